"""Whether the traps of an instruction's bytes, and those that they lead to, have the codes that the compiler's own text
of it names.

The one idea: where a conditional trap leads, its text does not say but by the trap's code, and what stands there has
one in the compiler's table. A text that names one code has no trap of another; of what is several instructions by
nature (`Isa.trap_codes`) the codes are told in the order of the bytes. An access or a division that traps by itself is
in the table alone.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache, lru_cache
from typing import Final

from liftcheck.isa.base import isa_named
from liftcheck.mach.insn import BRANCH, CALL, JUMP, ORDINARY, TRAP
from liftcheck.mach.regs import NONE
from liftcheck.oracles.regalloc.code.layout import Layout, Placed
from liftcheck.oracles.regalloc.code.problem import Problem

_STAYS: Final = frozenset({ORDINARY, CALL})
"""Flows that lead to the next instruction alone."""
CODE: Final = "a trap has another code than the compiler's listing names"
_NAMED: Final = re.compile(r"# ?trap=(\w+)|trap_code=(\w+)|\btrap_if (\w+)##|\btrap_if_(?:and|or) \w+, \w+, (\w+)")


def check(layout: Layout, own: Mapping[int, Sequence[Placed]]) -> Iterator[Problem]:
    """`own`: of each instruction, what control reaches of its bytes."""
    of_many = _of_many(layout.isa)
    for instruction, code in own.items():
        if instruction == NONE or (len(code) == 1 and code[0].machine.flow in _STAYS):
            continue  # nearly all
        text = layout.allocation.instructions[instruction].text
        named = _code(text) if "trap" in text else ""
        wanted = of_many(text) if of_many is not None and not named else ()
        if named or wanted:
            for number, (placed, found) in enumerate(_traps(layout, code)):
                want = named or (wanted[number] if number < len(wanted) else "no trap")
                if found != want:
                    shown = f"{placed.machine.text} ({found or 'a trap that the program does not have'})"
                    yield Problem(CODE, instruction, placed.offset, NONE, f"{text}: {want}", shown, (placed,))


def _traps(layout: Layout, code: Sequence[Placed]) -> Iterator[tuple[Placed, str]]:
    """The traps of these bytes, and the ways out of them that are one's, with their codes. A trap may fill more bytes
    than one is long."""
    inside = {offset for offset, _ in code}
    if any(machine.flow == TRAP for _, machine in code):  # round which one leads
        inside.add(code[-1].offset + code[-1].machine.size)
    trapped = False
    for placed in code:
        offset, machine = placed
        if machine.flow == TRAP:
            if not trapped:
                yield placed, layout.trap_code(offset)
        elif machine.flow in (BRANCH, JUMP):
            goal = layout.goal(offset, machine)
            if goal not in inside and (found := layout.trap_code(goal)):
                yield placed, found
        trapped = machine.flow == TRAP


@lru_cache(maxsize=1 << 12)
def _code(text: str) -> str:
    found = _NAMED.search(text)
    return next((code for code in found.groups() if code), "") if found is not None else ""


@cache
def _of_many(isa: str) -> Callable[[str], Sequence[str]] | None:
    value = isa_named(isa)
    found: Callable[[str], Sequence[str]] | None = value.part(value.trap_codes)
    return found
