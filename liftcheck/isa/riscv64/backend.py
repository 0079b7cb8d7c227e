"""riscv64's registers, frames, moves and jumps for the compiler of our own, and its forms that are no single row.

The one idea: what a frame's distance is, is known when bytes are made; so accesses of the frame name an area, and take
the long way when they are far. t5 and t6 are never allocated, and free between any two instructions.

Sources: RISC-V ELF psABI (registers, the pair at the frame pointer); the ISA manual, 2.5 (reaches of jumps).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any, Final

from liftcheck.isa.riscv64.insts.common import F, V, X
from liftcheck.isa.riscv64.insts.table import table
from liftcheck.mach.backend import Backend, CallForm, Emitter, Frame, frame_of
from liftcheck.mach.convention import BASE, OUTGOING, STACK_SLOT, TAIL
from liftcheck.mach.emit import Reach
from liftcheck.mach.regs import FLOAT, INT, SLOT
from liftcheck.mach.vcode import DEF, EARLY, LATE, USE, Form, Insn, RowForm, Slot, Steps, VCode

ZERO, RA, SP, FP, T5, T6 = 0, 1, 2, 8, 30, 31
_SAVED: Final = (9, *range(18, 28))
_SAVED_F: Final = (64 + 8, 64 + 9, *range(64 + 18, 64 + 28))
_LOST: Final = (*range(10, 18), 5, 6, 7, 28, 29)
_LOST_F: Final = (*range(64 + 10, 64 + 18), *range(64, 64 + 8), *range(64 + 28, 64 + 31))
OPPOSITE: Final = {"beq": "bne", "bne": "beq", "blt": "bge", "bge": "blt", "bltu": "bgeu", "bgeu": "bltu"}
REGISTERS: Final = (X, F, V)


@cache
def form(name: str) -> RowForm:
    """The instruction of a mnemonic."""
    return RowForm(table(), table().by_name[name][0])


def row(name: str, *registers: int, extra: tuple[Any, ...] = ()) -> bytes:
    """An instruction's bytes: registers by place, those that are written first."""
    return form(name).bytes(registers, extra)


@cache
def steps(name: str, operands: str, text: str) -> Steps:
    """A form of several instructions."""
    return Steps(table(), REGISTERS, name, operands, text)


def halves(value: int) -> tuple[int, int]:
    """A number of 32 bits with a sign as the operands of `lui` (or `auipc`) and `addi`."""
    low = (value & 0xFFF) - (value & 0x800) * 2
    return (value - low >> 12) & 0xFFFFF, low


def fits(value: int, bits: int = 12) -> bool:
    """Whether a number with a sign has so many bits."""
    return -(1 << bits - 1) <= value < 1 << bits - 1


def near32(value: int) -> bool:
    """Whether `lui` and `addi` (`addiw`) reach it."""
    return -(1 << 31) <= value < (1 << 31) - 0x800


@cache
def constant(value: int, target: int) -> bytes | None:
    """Code for a constant of 64 bits with a sign, of at most four instructions; None if there is none."""
    if fits(value):
        return row("addi", target, ZERO, extra=(value,))
    if fits(value, 32):
        high, low = halves(value)
        upper = row("lui", target, extra=(high,))
        return upper + (row("addiw", target, target, extra=(low,)) if low else b"")
    shift = 12
    low = (value & 0xFFF) - (value & 0x800) * 2
    rest = value - low >> 12
    while not rest & 1:
        rest, shift = rest >> 1, shift + 1
    first = constant(rest, target)
    if first is None or len(first) > (8 if low else 12):
        return None
    code = first + row("slli", target, target, extra=(shift,))
    return code + (row("addi", target, target, extra=(low,)) if low else b"")


class Constant(Form):
    """The number `extra[0]`, with a sign, in a register; from memory if that is shorter."""

    __slots__ = ()

    def emit(self, out: Emitter, places: Sequence[int], insn: Insn) -> None:
        put_constant(out, places[0], insn.extra[0])


def put_constant(out: Emitter, target: int, value: int) -> None:
    """A constant into a register."""
    code = constant(value, target)
    if code is not None:
        out.put(code)
        return
    out.lead(from_pool("ld", target, target), out.constant((value & (1 << 64) - 1).to_bytes(8, "little")))


CONSTANT: Final = Constant("li", (Slot(INT, DEF, LATE),))


@cache
def from_pool(name: str, target: int, through: int) -> Reach:
    """A load of what a label stands for."""

    def encode(form: int, distance: int) -> bytes:
        high, low = halves(distance)
        return row("auipc", through, extra=(high,)) + row(name, target, through, extra=(low,))

    return Reach((8,), lambda form, distance: True, encode)


class FromPool(Form):
    """A float whose bytes are `extra[0]`, from memory."""

    __slots__ = ()

    def emit(self, out: Emitter, places: Sequence[int], insn: Insn) -> None:
        out.lead(from_pool(self.name, places[0], T6), out.constant(insn.extra[0]))


POOL: Final = {4: FromPool("flw", (Slot(FLOAT, DEF, LATE),)), 8: FromPool("fld", (Slot(FLOAT, DEF, LATE),))}


# -- accesses of memory


def located(out: Emitter, area: str, offset: int, base: int) -> tuple[int, int]:
    """The register and the distance of a place in an area."""
    if area == BASE:
        return base, offset
    if area == OUTGOING:
        return SP, offset
    if area == STACK_SLOT:
        return SP, out.frame.slots + offset
    above = 16 + out.frame.grown
    return FP, above + offset + (out.code.incoming if area == TAIL else 0)


def near(out: Emitter, base: int, offset: int) -> tuple[int, int]:
    """The same with a distance that an instruction has room for; the address in t6 if it has not."""
    if fits(offset):
        return base, offset
    high, low = halves(offset)
    if near32(offset):
        out.put(row("lui", T6, extra=(high,)) + row("add", T6, T6, base))
        return T6, low
    put_constant(out, T6, offset)
    out.put(row("add", T6, T6, base))
    return T6, 0


class Access(Form):
    """A load or store: `extra` is the area and the offset; of the area `base` the last register is the address."""

    __slots__ = ()

    def emit(self, out: Emitter, places: Sequence[int], insn: Insn) -> None:
        area, offset = insn.extra
        base, distance = near(out, *located(out, area, offset, places[-1]))
        if insn.trap:
            out.trap(insn.trap)
        out.put(row(self.name, places[0], base, extra=(distance,)))


@cache
def access(name: str, area: str) -> Access:
    """The load or store of a mnemonic in an area."""
    first = form(name).slots[0]
    return Access(name, (first,) if area != BASE else (first, Slot(INT, USE, EARLY)), accesses=True)


class Address(Form):
    """The address of a place in an area: `extra` as in `Access`."""

    __slots__ = ()

    def emit(self, out: Emitter, places: Sequence[int], insn: Insn) -> None:
        area, offset = insn.extra
        base, distance = located(out, area, offset, places[-1])
        if fits(distance):
            out.put(row("addi", places[0], base, extra=(distance,)))
        else:
            put_constant(out, T6, distance)
            out.put(row("add", places[0], T6, base))


ADDRESS: Final = Address("address", (Slot(INT, DEF, LATE),))


# -- control


@cache
def _branch(name: str, first: int, second: int) -> Reach:
    def encode(form: int, distance: int) -> bytes:
        if not form:
            return row(name, first, second, extra=(distance,))
        over = row(OPPOSITE[name], first, second, extra=(8 if form == 1 else 12,))
        return over + _jump_bytes(form - 1, distance - 4)

    limits = (13, 21, 32)
    return Reach((4, 8, 12), lambda form, distance: fits(distance - (4 if form else 0), limits[form]), encode)


def _jump_bytes(form: int, distance: int) -> bytes:
    return row("j", extra=(distance,)) if not form else far(distance, ZERO)


def far(distance: int, link: int) -> bytes:
    """A jump or call that reaches everything, through t6."""
    high, low = halves(distance)
    return row("auipc", T6, extra=(high,)) + row("jalr", link, T6, extra=(low,))


_JUMP: Final = Reach((4, 8), lambda form, distance: form == 1 or fits(distance, 21), _jump_bytes)
_FAR: Final = Reach((8,), lambda form, distance: True, lambda form, distance: far(distance, ZERO))


class Branch(Form):
    """`extra`: the block to which control goes if the condition of the mnemonic holds, and the other."""

    __slots__ = ()

    def emit(self, out: Emitter, places: Sequence[int], insn: Insn) -> None:
        then, other = insn.extra
        name = self.name
        if out.comes_next(then):
            name, then, other = OPPOSITE[name], other, then
        out.lead(_branch(name, places[0], places[1]), out.to(then))
        out.jump(other)


BRANCHES: Final = {name: Branch(name, (Slot(INT, USE, EARLY), Slot(INT, USE, EARLY))) for name in OPPOSITE}
for _form in BRANCHES.values():
    _form.is_branch = True


class TrapIf(Form):
    """A trap if the condition of the mnemonic holds; `extra`: its code."""

    __slots__ = ()

    def emit(self, out: Emitter, places: Sequence[int], insn: Insn) -> None:
        out.put(row(OPPOSITE[self.name], *places, extra=(8,)))
        put_trap(out, insn.extra[0])


TRAP_IF: Final = {name: TrapIf(name, (Slot(INT, USE, EARLY), Slot(INT, USE, EARLY))) for name in OPPOSITE}


def put_trap(out: Emitter, code: str) -> None:
    """A trap with a code."""
    out.trap(code)
    out.put(bytes(4))


class Trap(Form):
    """Always; it ends its block."""

    __slots__ = ()

    def emit(self, out: Emitter, places: Sequence[int], insn: Insn) -> None:
        put_trap(out, insn.extra[0])


TRAP: Final = Trap("udf", ())
TRAP.is_branch = True


class Table_(Form):
    """A jump by a table: `extra` is the default block and the others. The index is 32 bits wide."""

    __slots__ = ()

    def emit(self, out: Emitter, places: Sequence[int], insn: Insn) -> None:
        index, at, index_in = places
        default, *others = insn.extra
        out.put(row("slli", index, index_in, extra=(32,)) + row("srli", index, index, extra=(32,)))
        put_constant(out, at, len(others))
        inside = out.label()
        out.lead(_branch("bltu", index, at), inside)
        out.lead(_JUMP, out.to(default))
        out.bind(inside)
        out.put(row("auipc", at, extra=(0,)) + row("slli", index, index, extra=(3,)) + row("add", at, at, index))
        out.put(row("jr", at, extra=(16,)))
        for block in others:
            out.lead(_FAR, out.to(block))


TABLE: Final = Table_("br_table", (Slot(INT, DEF, EARLY), Slot(INT, DEF, EARLY), Slot(INT, USE, EARLY)))
TABLE.is_branch = True


class Call(CallForm):
    """See `backend.CallForm`."""

    __slots__ = ()

    def restore(self, out: Emitter, above: int) -> None:
        _restore(out, above)

    def go(self, out: Emitter, symbol: str | None, through: int, tail: bool) -> None:
        link = ZERO if tail else RA
        if symbol is not None:
            out.relocation("RiscvCallPlt", symbol)
            out.put(far(0, link))
        else:
            out.put(row("jr", through, extra=(0,)) if tail else row("jalr", link, through, extra=(0,)))

    def lower_stack(self, out: Emitter, count: int) -> None:
        _add_sp(out, -count)


class FunctionAddress(Form):
    """The address of a symbol (`extra[0]`) with an addend."""

    __slots__ = ()

    def emit(self, out: Emitter, places: Sequence[int], insn: Insn) -> None:
        symbol, addend = insn.extra
        # auipc; ld from the word after the jump over it
        out.put(row("auipc", places[0], extra=(0,)) + row("ld", places[0], places[0], extra=(12,)))
        out.put(row("j", extra=(12,)))
        out.relocation("Abs8", symbol, addend)
        out.put(bytes(8))


FUNCTION_ADDRESS: Final = FunctionAddress("load_ext_name", (Slot(INT, DEF, LATE),))


class Block_(Form):
    """Fixed bytes: `extra[0]`."""

    __slots__ = ()

    def emit(self, out: Emitter, places: Sequence[int], insn: Insn) -> None:
        out.put(insn.extra[0])


# -- frames


def _add_sp(out: Emitter, count: int) -> None:
    if fits(count):
        if count:
            out.put(row("addi", SP, SP, extra=(count,)))
        return
    put_constant(out, T6, count)
    out.put(row("add", SP, SP, T6))


def _saves(frame: Frame) -> int:
    return -(-8 * len(frame.saved) // 16) * 16


def _restore(out: Emitter, above: int) -> None:
    """All that the prologue did, undone; the stack pointer ends `above` bytes higher."""
    frame = out.frame
    if not frame.has_pair:
        return
    _add_sp(out, frame.size)
    for number, place in enumerate(frame.saved):
        out.put(row("fld" if place >= 64 else "ld", place, SP, extra=(8 * number,)))
    _add_sp(out, _saves(frame))
    out.put(row("ld", RA, SP, extra=(8,)) + row("ld", FP, SP, extra=(0,)))
    _add_sp(out, 16 + above)


class Riscv64(Backend):
    """See `mach.backend.Backend`."""

    allocatable = ((_LOST, _LOST_F, ()), (_SAVED, _SAVED_F, ()))
    scratch = (T5, 64 + 31, -1)
    slot_words = (1, 1, 2)

    def frame(self, code: VCode, saved: Sequence[int], spills: int, wants_pair: bool) -> Frame:
        return frame_of(code, saved, spills, wants_pair)

    def prologue(self, out: Emitter) -> None:
        frame = out.frame
        if not frame.has_pair:
            return
        _add_sp(out, -16 - frame.grown)
        out.put(row("sd", RA, SP, extra=(8,)) + row("sd", FP, SP, extra=(0,)) + row("addi", FP, SP, extra=(0,)))
        _add_sp(out, -_saves(frame))
        for number, place in enumerate(frame.saved):
            out.put(row("fsd" if place >= 64 else "sd", place, SP, extra=(8 * number,)))
        _add_sp(out, -frame.size)

    def leave(self, out: Emitter) -> None:
        popped = out.code.incoming if out.code.convention == "tail" else 0
        _restore(out, out.frame.grown + popped)
        out.put(row("ret"))

    def move(self, out: Emitter, source: int, target: int) -> None:
        if target >= SLOT:
            base, distance = near(out, SP, out.spill(target))
            out.put(row("fsd" if source >= 64 else "sd", source, base, extra=(distance,)))
        elif source >= SLOT:
            base, distance = near(out, SP, out.spill(source))
            out.put(row("fld" if target >= 64 else "ld", target, base, extra=(distance,)))
        elif target >= 64:
            out.put(row("fsgnj.d", target, source, source))
        elif source != target:
            out.put(row("addi", target, source, extra=(0,)))

    def jump(self, out: Emitter, label: int) -> None:
        out.lead(_JUMP, label)


BACKEND: Final = Riscv64()
