"""Translation for worlds: the same steps, and beside them the questions that CLIF leaves open.

The one idea: the interpreter's two tiers stay as they are. What an instruction leaves open becomes one more step, a
call of the `World` that stands in the place of the memory, with the number of the instruction that asks: a *site*,
which `worlds.instruction` finds again.
It does not answer (`worlds`), and knows no instruction whose meaning is closed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from liftcheck.clif.ir import Inst
from liftcheck.clif.opcodes import OPCODES
from liftcheck.clif.types import I64, Type
from liftcheck.interp.code import Code, Step
from liftcheck.interp.recipes import plain
from liftcheck.interp.steps import SP, TRANSLATORS, Translator
from liftcheck.interp.worlds import World
from liftcheck.nan import CREATES, infinity

_MARKED: Final = frozenset(op for op, row in OPCODES.items() if row.can_load or row.can_store) | {
    "get_pinned_reg",
    "global_value",
    "symbol_value",
}
SPECIAL: Final = TRANSLATORS.keys() | CREATES
"""Opcodes that are more in a world than a meaning applied to registers."""


class WorldTranslator(Translator):
    """Translates for a `World`."""

    def __init__(self, code: Code) -> None:
        super().__init__(code)
        insts = (inst for block in self.function.blocks for inst in block.insts)
        self._sites = {id(inst): code.index << 32 | number for number, inst in enumerate(insts)}
        self._site = -1

    def site(self, inst: Inst) -> int:
        """The number of an instruction."""
        return self._sites.get(id(inst), self._site)

    def mark(self, inst: Inst) -> None:
        """This instruction is about to ask."""
        assert isinstance(self.memory, World)
        self.memory.site = self.site(inst)

    def translate(self, inst: Inst) -> list[Step]:
        """The steps of one instruction, questions included."""
        self._site = self.site(inst)
        own = _OWN.get(inst.op)
        if own is not None:
            return own(self, inst)
        steps = super().translate(inst)
        if inst.op in CREATES and steps[-1][2]:
            return [*steps, self._nan(inst)]
        return [self._mark(), *steps] if inst.op in _MARKED else steps

    def _mark(self) -> Step:
        return plain("{k0}.site = {k1}", 2, 0, 0), (self.memory, self._site), (), ()

    def _nan(self, inst: Inst) -> Step:
        ty, count = self.types[inst.results[0]], len(inst.args)
        operands = "".join(f"{{a{i}}}, " for i in range(1, count + 1))
        seen = "" if ty.is_vector else f"if {{a0}} & {ty.mask >> 1:#x} > {infinity(ty.bits):#x}: "
        chosen = f"{{d0}} = {{k0}}.nan({{k1}}, {{k2}}, {{k3}}, {{k4}}, {{a0}}, ({operands}))"
        step = plain(seen + chosen, 5, 1, 1 + count)
        extras = self.memory, self._site, ty.lane_bits, ty.bits, self.types[inst.args[0]].lane_bits
        return step, extras, self.reg.of(inst.results), self.reg.of(inst.results + inst.args)

    def slot_address(self, out: int, slot: int, offset: int, type_: Type = I64) -> Step:
        """The address of a byte of a stack slot."""
        step = plain(f"{{d0}} = {{k0}}.slot({{a0}}, {{k1}}, {{k2}}, {{k3}}, {{k4}}) & {type_.mask:#x}", 5, 1, 1)
        return step, (self.memory, self._site, self.code.index, slot, offset), (out,), (self.reg[SP],)

    def address(self, out: int, name: str, offset: int, type_: Type) -> list[Step]:
        """The address of a function, a routine or a symbol."""
        step = plain(f"{{d0}} = {{k0}}.function({{k1}}, {{k2}}, {{k3}}) + {{k4}} & {type_.mask:#x}", 5, 1, 0)
        known = self.code.program.named(name) is not None
        return [(step, (self.memory, self._site, name, known, offset), (out,), ())]


def _opaque(low: WorldTranslator, inst: Inst) -> list[Step]:
    """An address of the frame that programs can ask for."""
    step = plain("{d0} = {k0}.opaque({a0}, {k1}, {k2})", 3, 1, 1)
    what = _FRAME_WORDS.index(inst.op)
    if isinstance(inst.imm, tuple):  # a handler: its block, and which of that block's it is
        what += (inst.imm[0] << 16) + inst.imm[1]
    extras = low.memory, low.site(inst), what
    return [(step, extras, low.reg.of(inst.results), (low.reg[SP],))]


_FRAME_WORDS: Final = ("get_stack_pointer", "get_frame_pointer", "get_return_address", "get_exception_handler_address")
_OWN: Final[dict[str, Callable[[WorldTranslator, Inst], list[Step]]]] = dict.fromkeys(_FRAME_WORDS, _opaque)
