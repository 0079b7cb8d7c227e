"""Whether instructions are as wide as in the compiler's text of the code that it emitted.

The one idea: that text, with allocated registers, has the instructions in the order of the bytes, and says how wide
their registers are where the text with virtual ones (`listed`) leaves it open (`Isa.emitted`: aarch64). For each
mnemonic both are lists, so nothing needs to be known of where a line's bytes stand. Lists that differ in length or in
registers (a mnemonic that only one side calls so) are not compared, and counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Final

from liftcheck.case import FunctionCode
from liftcheck.isa.base import isa_named
from liftcheck.mach.regs import NONE
from liftcheck.oracles.regalloc.code.layout import Placed
from liftcheck.oracles.regalloc.code.listed import OPERANDS
from liftcheck.oracles.regalloc.code.problem import Problem
from liftcheck.regalloc.allocation import Allocation
from liftcheck.regalloc.named import Emitted, Width

APART: Final = "the width of"
_TAIL_CALL: Final = "return_call"
"""Its exit has no lines of its own."""


_Seen = tuple[int, Placed, tuple[Width, ...]]
"""An instruction, a machine instruction of its, and that one's registers."""


class Widths:
    """One function's instructions, noted in the order of the code."""

    def __init__(self, isa: str, code: FunctionCode, allocation: Allocation) -> None:
        self.allocation: Final = allocation
        self._text: Final = code.extra.get("vcode")
        self._way: Final = _way(isa) if isinstance(self._text, str) else None
        self._noted: Final[list[tuple[int, Sequence[Placed], bool]]] = []
        self._found: Final[dict[str, list[_Seen]]] = {}
        self._wrong: Final[list[Problem]] = []

    def note(self, instruction: int, code: Sequence[Placed], whole: bool = False) -> None:
        """The bytes of an instruction, or of the prologue (NONE) or a move, which are `whole`ly in the text."""
        if self._way is not None:
            self._noted.append((instruction, code, whole))

    def _sort(self, way: Emitted) -> None:
        """What was noted, by mnemonic."""
        rows, found, names = self.allocation.instructions, self._found, way.word
        for instruction, code, moves in self._noted:
            row = rows[instruction] if instruction != NONE else None
            whole = moves or row is None or (row.is_return and not row.text.startswith(_TAIL_CALL))
            called = "" if whole or row is None else names(row.text.partition(" ")[0])
            for placed in code:
                word = names(placed.machine.name)
                if whole or word == called:
                    registers = way.widths(placed.machine)
                    if registers:
                        found.setdefault(word, []).append((instruction, placed, registers))
                elif row is not None and placed.machine.accesses and not way.fixed(row.text, placed.machine):
                    self._wrong.append(self._problem(instruction, placed, ""))

    def check(self, uncompared: Counter[str]) -> Iterator[Problem]:
        """The instructions of another width."""
        if self._way is None:
            return
        self._sort(self._way)
        yield from self._wrong
        told: dict[str, list[tuple[Width, ...]]] = {}
        for word, registers in self._way.told(str(self._text)):
            told.setdefault(word, []).append(registers)
        for word, rows in self._found.items():
            wanted, seen = told.get(word, []), [registers for _, _, registers in rows]
            if wanted == seen:
                continue
            if [one[0][1] for one in wanted] != [one[0][1] for one in seen]:
                uncompared[f"{APART} {word}"] += len(rows)
                continue
            for (instruction, placed, registers), line in zip(rows, wanted):
                want = _other(line[0], registers[0]) or _others(line[1:], registers[1:])
                if want:
                    yield self._problem(instruction, placed, f", of a register {want}")

    def _problem(self, instruction: int, placed: Placed, more: str) -> Problem:
        text = self.allocation.instructions[instruction].text if instruction != NONE else "prologue"
        return Problem(OPERANDS, instruction, placed.offset, NONE, text + more, placed.machine.text, (placed,))


def _others(wanted: Sequence[Width], found: Sequence[Width]) -> str:
    """The first letter that is another one, where they are the same registers."""
    if len(wanted) != len(found) or any(a[1] != b[1] for a, b in zip(wanted, found)):
        return ""
    return next((a[0] for a, b in zip(wanted, found) if _other(a, b)), "")


def _other(wanted: Width, found: Width) -> str:
    return wanted[0] if wanted[0] != found[0] else ""


@cache
def _way(isa: str) -> Emitted | None:
    value = isa_named(isa)
    found = value.part(value.emitted)
    return None if found is None else found()
