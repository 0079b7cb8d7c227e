"""A meaning: what an operation computes from its inputs, and when it traps. Terms, nothing else."""

from __future__ import annotations

from typing import NamedTuple

from liftcheck.bits.term import Term


class Meaning(NamedTuple):
    """`traps` are (truth value, trap code) in the order in which they are tested, all before the results are taken:
    a result is meaningless where a trap's condition holds. The code 'user' stands for the instruction's own code."""

    inputs: tuple[Term, ...]
    results: tuple[Term, ...]
    traps: tuple[tuple[Term, str], ...] = ()
