"""Which refutations of right code are bugs of the compiler that have a page; any other is a false alarm, or new.

The one idea: a row says how such a refutation looks, as narrowly as its page does: the rule that is broken, on which
ISA, at which place, with which convention. Nothing is left out for a row: it is counted, with its page.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from liftcheck.mach.insn import show
from liftcheck.oracles.regalloc.code.accesses import OVERSTORED
from liftcheck.oracles.regalloc.code.frame import ARGUMENT_LOST, NOT_RESTORED
from liftcheck.oracles.regalloc.source import Source
from liftcheck.oracles.regalloc.verdict import INVALID, Verdict
from liftcheck.regalloc.allocation import Captured


class Known(NamedTuple):
    """places: registers by the ISA's names, empty: any; convention: of the function; callees: a convention that it
    calls with; '' for any."""

    page: str
    isa: str
    rules: frozenset[str]
    places: frozenset[str] = frozenset()
    convention: str = ""
    callees: str = ""


KNOWN: Final = (
    Known("riscv64-fs1-not-saved", "riscv64", frozenset({NOT_RESTORED}), frozenset({"fs1"})),
    Known("riscv64-outline-probestack-overwrites-a0", "riscv64", frozenset({ARGUMENT_LOST}), frozenset({"a0"})),
    Known(
        "preserve-all-inline-probe-loses-a-register",
        "x86-64",
        frozenset({NOT_RESTORED}),
        frozenset({"r11"}),
        convention="preserve_all",
    ),
    Known(
        "preserve-all-inline-probe-loses-a-register",
        "riscv64",
        frozenset({NOT_RESTORED}),
        frozenset({"t3"}),
        convention="preserve_all",
    ),
    Known("aarch64-preserve-all-upper-vector-halves", "aarch64", frozenset({NOT_RESTORED}),
          frozenset(f"v{n}" for n in range(32)), convention="preserve_all"),
    Known("aarch64-apple-extended-stack-argument", "aarch64", OVERSTORED, callees="apple_aarch64"),
)  # fmt: skip


def page(isa: str, captured: Captured, source: Source, verdict: Verdict) -> str:
    """The page in docs/findings of the bug that refutes this code; '' if none is known."""
    example = verdict.counterexample
    if verdict.status != INVALID or example is None:
        return ""
    place = show(example.place, isa)
    own = str(captured.allocation.frame.get("convention", ""))
    return next(
        (
            row.page
            for row in KNOWN
            if row.isa == isa
            and example.rule in row.rules
            and (not row.places or place in row.places)
            and row.convention in ("", own)
            and (not row.callees or row.callees in source.any_callee)
        ),
        "",
    )
