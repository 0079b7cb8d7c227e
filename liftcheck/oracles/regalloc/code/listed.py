"""Whether an instruction's own bytes are the machine instructions that the compiler's own text of it names.

The one idea: the compiler prints what it believes it emits, with virtual registers; what its bytes are, the tables say.
So a load does not become a store, a constant not an address of the frame, and no operation another one that reads and
writes the same. Where the text is not at hand, or there is no way to read it yet (`Isa.listing`), nothing is asked.
What the text says of operands (registers, constants, distances, sizes) is held against the bytes by the ISA's own
reader (`Isa.operands`). Exits are executed (`frame`), and so not asked about here.

A mnemonic that no table has says nothing, and an ISA without a reader of operands compares none: `uncompared` counts
the words. But what reads the stack or frame pointer has a text that names one, or what lies there, and what copies one
the one that it copies.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Final

from liftcheck.isa.abi import abi_named, reserved
from liftcheck.isa.base import isa_named
from liftcheck.mach.insn import CALL, Insn, register, show
from liftcheck.mach.regs import NONE, SLOT
from liftcheck.mach.state import parts
from liftcheck.oracles.regalloc.code.layout import Placed
from liftcheck.oracles.regalloc.code.problem import Problem
from liftcheck.regalloc.allocation import Allocation
from liftcheck.regalloc.named import ALL, DIFFERS, SILENT, SLOT_BYTES, SPILL, Named, Reader

POINTED: Final = "bytes read another pointer to the frame than the compiler's listing names"
_COPY: Final = re.compile(r"(?:mv|movq?|lgr) +(?:%?v\d+, ?%?(\w+)|%(\w+), ?%v\d+)")
_ANY_ADDRESS: Final = "_at_[%r9]"
"""How x86-64's atomic loops call their address, whatever it is."""
ABSENT: Final = "an instruction that the compiler's listing names has no bytes"
OPERANDS: Final = "bytes have other operands than the compiler's listing names"
OTHER: Final = "bytes are another instruction than the compiler's listing names"


class Listing:
    """One function's texts. `uncompared`: words of texts whose operands say nothing that can be compared."""

    def __init__(self, isa: str, allocation: Allocation, spoken: frozenset[str] = frozenset()) -> None:
        self.isa: Final = isa
        self.allocation: Final = allocation
        self.uncompared: Final[Counter[str]] = Counter()
        self._operands: Final = _reader(isa)
        slots = allocation.frame.get("slots")
        self._slots: Final = min(slots, default=None) if isinstance(slots, list) else None
        size = allocation.frame.get("frame_to_fp_offset")
        self._names: Final = Named((), (), self._slots, size=size if isinstance(size, int) else 0, spoken=spoken)
        self._learnt: Final = self._names.learnt
        self._spills: tuple[int, Sequence[Placed]] | None = None
        """The first instruction whose own bytes access a spill slot."""

    def check(self, instruction: int, own: Sequence[Placed]) -> Sequence[Problem]:
        """`own`: what control reaches of the instruction's bytes."""
        what = self.allocation.instructions[instruction]
        if not what.text:
            return ()
        found = SILENT
        if self._operands is not None and not what.is_return:
            named = self._names.of(what.operands, self.allocation.places[instruction])
            found = self._operands(what.text, own, named)
            if self._learnt and self._spills is None and SPILL in self._learnt:
                self._spills = instruction, own
            if found is ALL:
                return ()
        if not own:
            return (self._absent(instruction),) if found == DIFFERS else ()
        if found == SILENT and not what.is_return:
            self.uncompared[_first_word(what.text)] += 1
        problems = self._named(instruction, own)
        return (self._problem(OPERANDS, instruction, own),) if found == DIFFERS and not problems else problems

    def displaced(self, offsets: Mapping[int, int]) -> Sequence[Problem]:
        """Whether own bytes access spill slots where moves do: `offsets` from the stack pointer."""
        begin = self._learnt.get(SPILL, 0)
        if self._spills is None or all(at - SLOT_BYTES * (slot - SLOT) == begin for slot, at in offsets.items()):
            return ()
        return (self._problem(OPERANDS, *self._spills),)

    def _named(self, instruction: int, own: Sequence[Placed]) -> Sequence[Problem]:
        """The mnemonics, and who reads a pointer."""
        isa, what = self.isa, self.allocation.instructions[instruction]
        text = what.text
        called = bool(what.clobbers) or any(machine.flow == CALL for _, machine in own)
        if not called and not what.is_return and (placed := _misread(isa, text, own)) is not None:
            return (Problem(POINTED, instruction, placed.offset, NONE, text, placed.machine.text, tuple(own)),)
        if len(own) == 1 and text.startswith(f"{own[0].machine.name} ") and ";" not in text:
            return ()
        agrees = _agrees(isa)
        machines = [machine for _, machine in own]
        if len(own) > 1 and machines[-1].name == abi_named(isa).half_jump:
            del machines[-1]
        if what.is_return or agrees is None or agrees(text, machines):
            return ()
        return (self._problem(OTHER, instruction, own),)

    def _absent(self, instruction: int) -> Problem:
        offset, text = self.allocation.offsets[instruction] or 0, self.allocation.instructions[instruction].text
        return Problem(ABSENT, instruction, offset, NONE, text, "nothing")

    def _problem(self, rule: str, instruction: int, own: Sequence[Placed]) -> Problem:
        found = "; ".join(machine.text for _, machine in own)
        text = self.allocation.instructions[instruction].text
        return Problem(rule, instruction, own[0].offset, NONE, text, found, tuple(own))


def _first_word(text: str) -> str:
    """What an instruction is called: of `v1 = what v2` the word after the result."""
    first, _, rest = text.partition(" ")
    return rest[2:].partition(" ")[0] if rest.startswith("= ") else first


def _misread(isa: str, text: str, own: Sequence[Placed]) -> Placed | None:
    """What reads a pointer that the text does not name, or is not a copy of the one that it copies."""
    pointers = reserved(isa).readable
    read = [placed for placed in own if not pointers.isdisjoint(placed.machine.reads)]
    if read:
        named = {place for word, place in _names(isa).items() if re.search(rf"\b{word}\b", text)}
        named |= {reserved(isa).sp} if _ANY_ADDRESS in text else set()
        wrong = next((placed for placed in read if not placed.machine.reads & pointers <= named), None)
        if wrong is not None:
            return wrong
    copy = _COPY.fullmatch(text) if text[0] in "ml" else None
    copied = _names(isa).get(copy[1] or copy[2]) if copy is not None else None
    if copied is None:
        return None
    effect = own[0].machine.effect
    made = [parts(value) for _, value in effect.writes] if effect is not None and len(own) == 1 else []
    pointer = register(isa, copied)
    return None if any(one is not None and one[0] is pointer for one in made) else own[0]


@cache
def _names(isa: str) -> Mapping[str, int]:
    """What texts call the pointers, and what lies there: slots and arguments are addressed by the stack pointer."""
    kept = reserved(isa)
    names = dict.fromkeys(("sp", "slot", "incoming_arg", show(kept.sp, isa)), kept.sp)
    return names | dict.fromkeys(("fp", show(kept.frame, isa)), kept.frame) if kept.frame >= 0 else names


@cache
def _reader(isa: str) -> Reader | None:
    value = isa_named(isa)
    found: Reader | None = value.part(value.operands)
    return found


@cache
def _agrees(isa: str) -> Callable[[str, Sequence[Insn]], bool] | None:
    value = isa_named(isa)
    found: Callable[[str, Sequence[Insn]], bool] | None = value.part(value.listing)
    return found
