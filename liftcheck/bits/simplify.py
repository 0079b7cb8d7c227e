"""One normal form of terms: what two ways to write a value have in common.

The one idea: terms are interned, so if both sides of a claim are brought to one normal form, equality is identity. A
rule is a function of one node whose operands are normal already; it gives an equal term, which is normal. The rules are
the identities that moves, frames, extensions, comparisons and selections need: constants meet, slices of what was put
together are its parts, shifts and masks by constants are slices, truth values lose their detours. They decide nothing
else: what is left goes to z3 (`smt`).

Each rule is tested on all values of small widths (tests/bits/test_simplify.py). Vectors of several lanes only take part
where their lanes are taken out of them.
"""

from __future__ import annotations

from liftcheck.bits.normal import (
    FALSE,
    OF_LANES,
    RULES,
    TRUE,
    Rule,
    joined,
    normal,
    rank,
    rebuilt,
    replaced,
    simplified,
    sliced,
)
from liftcheck.bits.normal_integers import INTEGERS
from liftcheck.bits.normal_parts import LANES, PARTS
from liftcheck.bits.normal_truths import TRUTHS

RULES.update({**INTEGERS, **PARTS, **TRUTHS, "var": lambda t: t, "const": lambda t: t})
OF_LANES.update(LANES)

__all__ = ["FALSE", "RULES", "TRUE", "Rule", "joined", "normal", "rank", "rebuilt", "replaced", "simplified", "sliced"]
