"""Whether a block's last branches lead by their conditions to where the compiler's own text of them says.

The one idea: a text names a condition, where it leads to if that holds, and where if not. The assembler may have turned
the condition round, sent both ways on and left out a jump to what stands after; so each branch of the bytes is asked
which of both it is (`Isa.direction`), and must lead to that one's block, and what stands after the last one to the
other one's. That the ways are those of successors at all, `jumps` says.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache, lru_cache
from typing import Final

from liftcheck.bits.term import value_of
from liftcheck.isa.base import isa_named
from liftcheck.mach.insn import BRANCH, JUMP, Insn
from liftcheck.mach.regs import NONE
from liftcheck.oracles.regalloc.code.chains import Ends, Labels
from liftcheck.oracles.regalloc.code.layout import Layout, Placed
from liftcheck.oracles.regalloc.code.links import made_address
from liftcheck.oracles.regalloc.code.problem import Problem

Direction = Callable[[str, Insn, bytes], int]
"""Given a text, one of its branches and that one's bytes: whether it is taken where the text's condition holds (1),
where it does not hold (-1), or is neither's (0)."""
WRONG_WAY: Final = "a branch leads elsewhere than its condition says"
OTHER_LABEL: Final = "an address is not that of the block that the compiler's listing names"
_ADDRESS: Final = re.compile(r"label_address .*MachLabel\((\d+)\)")
NO_TABLE: Final = "a table is not jumped through"
_TABLE: Final = re.compile(r"^br_table |jt_entries")
_LABEL: Final = re.compile(r"label(\d+)")
_CONDITIONAL: Final = re.compile(r"(?:j(?!mp|g label)|b(?!r?_| label)|[ct]bn?z)[^;]*label\d+")


@lru_cache(maxsize=1 << 12)
def is_asked(text: str) -> bool:
    """Whether a block's end has a condition or a table."""
    return bool(_labels(text)) or _TABLE.search(text) is not None


def check(
    layout: Layout, instruction: int, own: Sequence[Placed], ends: Ends, follow: Callable[[int], Sequence[int]]
) -> Iterator[Problem]:
    """A block's last instruction. `ends`: of its successors; `follow`: an offset to where control may be sent on."""
    text = layout.allocation.instructions[instruction].text
    if _TABLE.search(text) and own and (own[-1].machine.flow != JUMP or layout.goal(*own[-1]) != -1):
        yield Problem(NO_TABLE, instruction, own[-1].offset, NONE, text, own[-1].machine.text, tuple(own))
    labels = _labels(text)
    branches = [placed for placed in own if placed.machine.flow == BRANCH]
    if not labels or not branches:
        return
    ask = _direction(layout.isa)
    last = 0
    for placed in branches:
        offset, machine = placed
        last = ask(text, machine, layout.bytes[offset : offset + machine.size])
        want = labels[0] if last > 0 else labels[-1]
        if not last or not _arrives(want, layout.goal(offset, machine), ends, follow):
            yield _problem(layout, instruction, placed, want, own)
    after = branches[-1].offset + branches[-1].machine.size
    other = labels[-1] if last > 0 else labels[0]
    if len(labels) == 2 and last and not _arrives(other, after, ends, follow):
        yield _problem(layout, instruction, branches[-1], other, own)


def addresses(layout: Layout, own: Mapping[int, Sequence[Placed]], labels: Labels) -> Iterator[Problem]:
    """Addresses of blocks' labels, that a text names."""
    for instruction, code in own.items():
        text = layout.allocation.instructions[instruction].text if instruction != NONE else ""
        found = _ADDRESS.match(text) if code and text[:1] == "l" else None
        if found is None:
            continue
        made = made_address(layout.isa, code[0])
        for _, machine in code[1:]:
            added = _added(machine)
            made = made + added if made is not None and added is not None else None
        low, high = labels.get(int(found[1]), (0, -1))
        if made is None or not low <= made & (1 << 64) - 1 <= high:
            yield Problem(OTHER_LABEL, instruction, code[0].offset, NONE, text, code[-1].machine.text, tuple(code))


def _added(machine: Insn) -> int | None:
    """The constant that an instruction adds to a register, if that is what it does."""
    writes = machine.effect.writes if machine.effect is not None else ()
    constants = [value_of(arg) for arg in writes[0][1].args if arg.prim == "const"] if writes else []
    return constants[0] if len(constants) == 1 and writes[0][1].prim == "add" else None


def _arrives(block: int, goal: int, ends: Ends, follow: Callable[[int], Sequence[int]]) -> bool:
    return any(block in ends.at(at) for at in follow(goal))


def _problem(layout: Layout, instruction: int, placed: Placed, block: int, own: Sequence[Placed]) -> Problem:
    text = layout.allocation.instructions[instruction].text
    shown = f"{text.partition(' ; larl')[0]}: block{block}"
    return Problem(WRONG_WAY, instruction, placed.offset, NONE, shown, placed.machine.text, tuple(own))


@lru_cache(maxsize=1 << 12)
def _labels(text: str) -> tuple[int, ...]:
    """Where the condition leads that a text begins with, and where else; of a table the former alone; () if it has no
    condition."""
    if not _CONDITIONAL.match(text):
        return ()
    found = [int(label) for label in _LABEL.findall(text)]
    return tuple(found[:1] if "jt_entries" in text else found[:2])


@cache
def _direction(isa: str) -> Direction:
    value = isa_named(isa)
    found: Direction = value.part(value.direction)
    return found
