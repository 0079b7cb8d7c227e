"""Equality of terms by z3, for bytes against moves.

The one idea: two terms are equal if z3 finds no values of their variables for which they differ; variables are
bit-vectors of their own width.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import z3

from liftcheck.bits.smt import to_z3
from liftcheck.bits.term import Term, postorder
from liftcheck.errors import Unsupported

TIMEOUT = 10_000
"""Milliseconds a query."""


@lru_cache(maxsize=1 << 14)
def equal(a: Term, b: Term) -> bool:
    """Whether both are the same whatever their variables are."""
    env: dict[Term, Any] = {t: z3.BitVec(str(t.params[0]), t.bits) for t in postorder((a, b)) if t.prim == "var"}
    solver = z3.Solver()
    solver.set("timeout", TIMEOUT)
    solver.add(to_z3(a, env) != to_z3(b, env))
    answer = solver.check()
    if answer == z3.unknown:
        raise Unsupported("z3 gives up on a move's code")
    return bool(answer == z3.unsat)
