"""riscv64: whether a program's code depends on the NaN boxes of 32-bit floats, at which Unicorn does not look.

The one idea: a register that holds an f32 has ones in its upper half, or else every instruction of single precision
that reads it takes it for a NaN. Which registers may lack them is a set, 32 bits, that flows through each function:
what single precision, `flw`, `fmv.w.x` write is boxed, what other instructions write is not; moves of the whole
register keep it, and so do `fsd` and `fld` of one place of the frame. With it flows the set of registers that may hold
an f32. A program depends on boxes if an instruction of single precision reads a register that may lack them, or an
instruction looks at all of a register that may hold an f32 (which Unicorn does not box).

Functions are told apart at their calls only: what is not boxed in a register at some call or return of the program may
be so at every entry and after every call (but in callee-saved registers, which come back as they were). That is
coarse, and errs to one side: code is said to depend on boxes that does not, and then another runner has it. So is all
code with both kinds of instructions that jumps through a table or runs into what is not an instruction.
Source: The RISC-V Instruction Set Manual, Volume I (20240411), 21.2.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Final, NamedTuple

from liftcheck.case import FunctionCode
from liftcheck.mach import insn as m
from liftcheck.mach.insn import Insn, decode

_FLOAT: Final = 64
_ALL: Final = 0xFFFF_FFFF
_BOTH: Final = 1 << 32 | 1
"""A state is two sets: bit n is set if register n may lack its box, bit 32 + n if it may hold an f32."""
_SAVED: Final = sum(_BOTH << number for number in (8, 9, *range(18, 28)))
_STACK: Final = m.STACK_POINTERS["riscv64"]
_BOXING: Final = frozenset({"flw", "fmv.w.x"})


class _Borders(NamedTuple):
    """The state at calls, and at returns."""

    calls: int = 0
    returns: int = 0


class _Step(NamedTuple):
    """What an instruction does to the state: the registers that it writes; whether they are then boxed; the register
    that it copies (-1: none); what must not be set: registers that it takes for boxed, or looks at as a whole; the
    place of the frame that it loads, stores, loads into an integer register (None: none)."""

    writes: int = 0
    boxes: bool = False
    copies: int = -1
    checks: int = 0
    loads: int | None = None
    stores: int | None = None
    peeks: int | None = None


def may_depend_on_boxes(program: Sequence[FunctionCode]) -> bool:
    """Whether the program has both kinds of instructions: quick, since it is asked of every program."""
    for function in program:
        if _checks(function.code):
            return any(_unboxes(other.code) for other in program)
    return False


def depends_on_boxes(program: Sequence[FunctionCode]) -> bool:
    """Whether some run of the program may differ where boxes are not looked at."""
    functions = [_Function(function) for function in program]
    if not any(function.checks for function in functions) or not any(function.unboxes for function in functions):
        return False
    borders = _Borders()
    while True:
        calls, returns = borders
        for function in functions:
            mine = function.flow(borders)
            if mine is None:
                return True
            calls, returns = calls | mine.calls, returns | mine.returns
        if borders == (calls, returns):
            return False
        borders = _Borders(calls, returns)


class _Function:
    """One function's instructions with their steps."""

    def __init__(self, function: FunctionCode) -> None:
        self.lines: Final = _lines(function.code)
        self.checks: Final = any(step.checks & _ALL for _, step in self.lines)
        self.unboxes: Final = any((step.writes and not step.boxes) or step.checks >> 32 for _, step in self.lines)
        self.calls: Final = function.calls

    def flow(self, borders: _Borders) -> _Borders | None:
        """The borders of the function; None if it depends on a box. Starts anew when a place of the frame turns out to
        hold what is not boxed."""
        if not self.checks and not self.unboxes and not borders.calls and not borders.returns:
            return borders
        frame: dict[int, int] = {}
        while True:
            before = dict(frame)
            found = self._pass(borders, frame)
            if found is None or frame == before:
                return found

    def _pass(self, borders: _Borders, frame: dict[int, int]) -> _Borders | None:
        """The flow with the frame's places in these states (as of register 0); adds to them."""
        places = self._places()
        offsets = list(places)
        handlers = [
            int(str(handler[-1])) for site in self.calls for handler in site.handlers if handler[0] != "context"
        ]
        entered = {0: borders.calls, **{places[at]: _ALL for at in handlers if at in places}}
        pending = list(entered)
        calls = returns = 0
        while pending:
            at = pending.pop()
            state = entered[at]
            while at < len(self.lines):
                machine, step = self.lines[at]
                if step.checks & state or self._is_lost(machine):
                    return None
                if step.peeks is not None and frame.get(step.peeks, 0) >> 32:
                    return None
                state = _after(step, state, frame)
                if machine.flow == m.CALL:
                    calls |= state
                    state = state & _SAVED | borders.returns & ~_SAVED
                elif machine.flow == m.RETURN:
                    returns |= state & ~_SAVED
                elif machine.target is not None:
                    _enter(entered, pending, places.get(offsets[at] + machine.target, len(self.lines)), state)
                if machine.flow in (m.JUMP, m.RETURN, m.TRAP):
                    break
                at += 1
                if at in entered:
                    _enter(entered, pending, at, state)
                    break
        return _Borders(calls, returns)

    def _is_lost(self, machine: Insn) -> bool:
        """Whether it is unknown where control goes, in a function where that matters."""
        unknown = not machine.known or (machine.flow == m.JUMP and machine.target is None)
        return unknown and self.checks

    def _places(self) -> dict[int, int]:
        """Offset -> number of the instruction there."""
        at, found = 0, {}
        for number, (machine, _) in enumerate(self.lines):
            found[at] = number
            at += machine.size
        return found


def _enter(entered: dict[int, int], pending: list[int], at: int, state: int) -> None:
    old = entered.get(at)
    if old is None or state & ~old:
        entered[at] = state | (old or 0)
        pending.append(at)


def _after(step: _Step, state: int, frame: dict[int, int]) -> int:
    """The state after an instruction."""
    copied = state >> step.copies & _BOTH if step.copies >= 0 else 1
    if step.stores is not None:
        frame[step.stores] = frame.get(step.stores, 0) | copied
        return state
    if not step.writes:
        return state
    if step.loads is not None:
        copied = frame.get(step.loads, 1)
    return state & ~(_BOTH * step.writes) | (1 << 32 if step.boxes else copied) * step.writes


_STEPS: Final[dict[bytes, tuple[Insn, _Step]]] = {}
_MOST: Final = 30_000


def _lines(code: bytes) -> list[tuple[Insn, _Step]]:
    """The instructions with their steps, each made once in a process."""
    at, found = 0, []
    if len(_STEPS) > _MOST:
        _STEPS.clear()
    while at < len(code):
        data = code[at : at + (4 if code[at] & 3 == 3 else 2)]
        line = _STEPS.get(data)
        if line is None:
            machine = decode("riscv64", data)[0]
            line = _STEPS[data] = machine, _step(machine)
        found.append(line)
        at += len(data)
    return found


_CHECKS, _UNBOXES = 1, 2
"""Takes registers for boxed; writes them without a box, or looks at one as a whole."""
_UNCOMPRESSED: Final = bytes(b for b in range(256) if b & 3 == 3)
_FLOATING: Final = bytes(
    {0x43: 1, 0x47: 1, 0x4B: 1, 0x4F: 1, 0x53: 2, 0x07: 3, 0x27: 3}.get(b & 0x7F, 0) for b in range(256)
)
_SINGLE: Final = bytes(b & 6 == 0 and b >> 3 in (0, 1, 2, 3, 4, 5, 11, 20, 24) for b in range(256))
"""Last bytes of OP-FP that read single precision, whatever the others are."""


def _class(chosen: Iterator[int]) -> bytes:
    return b"[%s]" % re.escape(bytes(chosen))


_OTHERS: Final = re.compile(
    b"(?:%s.|%s%s|%s%s|%s.{3})*+"
    % (
        _class(b for b in range(256) if b & 3 == 1),
        _class(b for b in range(256) if b & 3 == 2),
        _class(b for b in range(256) if b >> 5 != 1),
        _class(b for b in range(256) if b & 3 == 0),
        _class(b for b in range(256) if b >> 5 not in (1, 5)),
        _class(b for b in range(256) if b & 3 == 3 and not _FLOATING[b]),
    ),
    re.DOTALL,
)
"""Instructions from one on that are of neither kind, whatever their operands: all but 32-bit ones of floating point,
c.fld, c.fldsp, c.fsd."""


def _plain(code: bytes) -> int:
    """How many bytes from the start have no compressed instruction (nor data) in them."""
    low = code[: len(code) & ~3 : 4]
    rest = low.lstrip(_UNCOMPRESSED)
    return 4 * (len(low) - len(rest))


def _checks(code: bytes) -> bool:
    """Whether some instruction takes a register for boxed."""
    end = _plain(code)
    chosen, last = code[:end:4].translate(_FLOATING), code[3:end:4]
    at = chosen.find(2)
    while at >= 0:
        byte = last[at]
        if _SINGLE[byte] or (
            byte in (0x40, 0x42, 0x44, 0x46, 0xE0, 0xE1) and _kind(code[4 * at : 4 * at + 4]) & _CHECKS
        ):
            return True
        at = chosen.find(2, at + 1)
    at = chosen.find(1)
    while at >= 0:
        if not last[at] & 6:
            return True
        at = chosen.find(1, at + 1)
    return end < len(code) and bool(_kinds(code[end:], _CHECKS) & _CHECKS)


def _unboxes(code: bytes) -> bool:
    """Whether some instruction writes a register without a box, or looks at one as a whole."""
    end = _plain(code)
    chosen = code[:end:4].translate(_FLOATING)
    for sought in (3, 2, 1):
        at = chosen.find(sought)
        while at >= 0:
            if _kind(code[4 * at : 4 * at + 4]) & _UNBOXES:
                return True
            at = chosen.find(sought, at + 1)
    return end < len(code) and bool(_kinds(code[end:], _UNBOXES) & _UNBOXES)


def _kinds(code: bytes, sought: int) -> int:
    """What kinds of instructions a function has: all that it has, or one that is sought."""
    found = at = 0
    while not found & sought:
        match = _OTHERS.match(code, at)
        at = match.end() if match else at
        if at >= len(code) - 1:
            break
        if code[at] & 3 == 3:
            found |= _kind(code[at : at + 4])
            at += 4
        else:
            found |= _UNBOXES
            at += 2
    return found


@lru_cache(1 << 15)
def _kind(word: bytes) -> int:
    """The kind of a 32-bit instruction."""
    number = int.from_bytes(word, "little")
    major, minor, form, five = number & 0x7F, number >> 12 & 7, number >> 25 & 3, number >> 27
    if major not in (0x07, 0x27, 0x43, 0x47, 0x4B, 0x4F, 0x53):
        return 0
    if major == 0x27:
        return _UNBOXES if minor == 3 and number >> 15 & 31 != _STACK else 0
    if major == 0x07:
        return _UNBOXES if minor in (1, 3) else 0
    if major == 0x53:
        if five == 8:  # conversions, rounding: the source stands in the field of the second operand
            source = number >> 20 & 31
            checks = source == 0 or (form == 0 and source > 3)
            return (_CHECKS if checks else 0) | (_UNBOXES if form or source == 1 else 0)
        if five == 28 and minor == 0:
            return _UNBOXES if form == 1 else 0
        if five in (20, 24, 28):
            return _UNBOXES if form else _CHECKS
        if five in (26, 30):
            return _UNBOXES if form else 0
    return _UNBOXES if form else _CHECKS


def _registers(places: frozenset[int]) -> Iterator[int]:
    return (place - _FLOAT for place in places if _FLOAT <= place < _FLOAT + 32)


def _step(machine: Insn) -> _Step:
    reads, writes = [*_registers(machine.reads)], [*_registers(machine.writes)]
    access = machine.accesses[0] if machine.accesses else None
    framed = access.displacement if access is not None and access.base == _STACK else None
    if access is not None and access.written and framed is not None:
        return _Step(copies=reads[0] if machine.name == "fsd" else -1, stores=framed)
    if machine.name == "ld" and framed is not None:
        return _Step(peeks=framed)
    if not writes and not reads:
        return _NOTHING
    first, *parts = machine.name.split(".")
    checks = parts[-1:] == ["s"] and first != "fmv"
    boxes = machine.name in _BOXING or (bool(parts) and parts[0] == "s")
    copies = reads[0] if machine.name == "fsgnj.d" and len(reads) == 1 else -1
    loads = framed if machine.name == "fld" else None
    looked_at = sum(1 << number for number in reads)
    whole = machine.name == "fsd" or (parts[-1:] == ["d"] and copies < 0)
    forbidden = looked_at if checks else looked_at << 32 if whole else 0
    return _Step(sum(1 << number for number in writes), boxes, copies, forbidden, loads)


_NOTHING: Final = _Step()
