"""Known panics: by ISA, words, place and program; other panics stay failures.

That every filetest of the page is a finding under its name is for `tests.meta.test_regressions`.
"""

from __future__ import annotations

import re

from liftcheck.case import CompileFailure
from liftcheck.clif.text.parser import parse_module
from liftcheck.oracles.filetests.known import cause_of_failure
from liftcheck.oracles.filetests.pages import PAGES
from liftcheck.oracles.filetests.proofs import Panic

NEGATION = "function %f(i16x4) -> i16x4 {\nblock0(v0: i16x4):\n    v1 = ineg v0\n    return v1\n}\n"
NEGATED = parse_module(NEGATION).functions[0]
WHOLE = parse_module(NEGATION.replace("i16x4", "i16x8")).functions[0]
SAID = CompileFailure(
    "panic",
    "assertion",
    "assertion `left == right` failed\n  left: Float\n right: Int",
    "cranelift-codegen-0.135.8/src/isa/aarch64/inst/emit.rs:98:5",
)


def test_a_panic_is_known_by_isa_words_place_and_program() -> None:
    assert cause_of_failure("aarch64", NEGATED, SAID).startswith("compiler panic: ineg of a 64-bit vector (docs/")
    assert cause_of_failure("riscv64", NEGATED, SAID) == ""
    assert cause_of_failure("aarch64", WHOLE, SAID) == ""
    assert (
        cause_of_failure("aarch64", NEGATED, CompileFailure("panic", "index", "index out of bounds", SAID.place)) == ""
    )
    elsewhere = CompileFailure("panic", SAID.reason, SAID.message, "src/isa/aarch64/abi.rs:1:1")
    assert cause_of_failure("aarch64", NEGATED, elsewhere) == ""


def test_no_row_takes_every_panic() -> None:
    unlike = CompileFailure("panic", "attempt to add with overflow", "attempt to add with overflow", "src/lib.rs:1:1")
    panics = [page.told_by for page in PAGES if isinstance(page.told_by, Panic)]
    assert len(panics) > 10
    assert [row.name for row in panics if re.search(row.words, f"{unlike.message} {unlike.place}", re.DOTALL)] == []
