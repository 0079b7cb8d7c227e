"""What the executions of single instructions share: the table against two runs, and its effects as functions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache

from liftcheck.bits.concrete import closure
from liftcheck.bits.meaning import Meaning
from liftcheck.bits.term import Term, postorder
from liftcheck.mach.insn import Insn, show

Run = tuple[Mapping[int, int], Mapping[int, int]]
"""Registers by place, before and after."""


def unread(isa: str, machine: Insn, one: Run, two: Run, tails: bool = False) -> list[str]:
    """What two runs, unlike in all that the table does not say is read, show of the registers that it says are written:
    results may differ only in bits that both times are the old ones (of a register a part
    of which is left alone). `tails`: vectors may keep theirs without a word in the table."""
    wrong = []
    for place in machine.writes:
        if place < 0:
            continue
        different = one[1][place] ^ two[1][place]
        moved = (one[1][place] ^ one[0][place]) | (two[1][place] ^ two[0][place])
        if different & moved:
            wrong.append(f"reads something that {show(place, isa)} depends on")
        if different and not tails and place not in machine.reads | machine.kept:
            wrong.append(f"keeps a part of {show(place, isa)}")
    return wrong


@cache
def evaluator(term: Term) -> tuple[tuple[Term, ...], Callable[..., int]]:
    """A term's variables, and the function of them that it is."""
    inputs = tuple(node for node in postorder((term,)) if node.prim == "var")
    return inputs, closure(Meaning(inputs, (term,)))
