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


UNWRAP = "called `Option::unwrap()` on a `None` value"
ZERO = "internal error: entered unreachable code: no rule matched for term all_zero at src/opts/bitops.isle line 17"


def told(isa: str, text: str, message: str, place: str) -> str:
    function = parse_module(text).functions[0]
    return cause_of_failure(isa, function, CompileFailure("panic", message, message, place)).partition(" (")[0]


def test_panics_of_the_same_fault_in_other_programs() -> None:
    both = "function %f({0}) -> {0} {{\nblock0(v0: {0}):\n    v1 = bxor v0, v0\n    return v1\n}}\n"
    float_zero = "compiler panic: the mid-end folds a float to a zero that it cannot make"
    assert told("riscv64", both.format("f16x8"), ZERO, "isle_opt.rs:1:1") == float_zero
    assert told("riscv64", both.format("i32x4"), ZERO, "isle_opt.rs:1:1") == ""
    of_complement = (
        "function %f({0}) -> {0} {{\nblock0(v0: {0}):\n    v1 = bnot v0\n    v2 = band v0, v1\n    return v2\n}}\n"
    )
    assert told("riscv64", of_complement.format("f128"), ZERO, "isle_opt.rs:1:1") == float_zero
    assert told("riscv64", of_complement.format("i128"), ZERO, "isle_opt.rs:1:1") == ""
    shifts = "function %f({0}, i64) -> {0} {{\nblock0(v0: {0}, v1: i64):\n    v2 = ishl v0, v1\n    return v2\n}}\n"
    made, place = (
        "compiler panic: the mid-end makes an iconst of a 64-bit vector",
        "src/isa/riscv64/lower/isle.rs:169:22",
    )
    assert told("riscv64", shifts.format("i16x4"), UNWRAP, place) == made
    assert told("riscv64", shifts.format("i16x8"), UNWRAP, place) == ""


def test_a_bit_test_is_known_by_the_width_of_its_amount() -> None:
    bits = (
        "function %f(i64, {0}) -> i64 {{\nblock0(v0: i64, v1: {0}):\n    v2 = iconst.i64 1\n    v3 = ishl v2, v1\n"
        "    v4 = band v0, v3\n    return v4\n}}\n"
    )
    place = "src/isa/x64/lower/isle.rs:289:5"
    assert told("x86-64", bits.format("i128"), UNWRAP, place) == "compiler panic: a bit test by an i128 amount"
    assert told("x86-64", bits.format("i64"), UNWRAP, place) == "" == told("s390x", bits.format("i128"), UNWRAP, place)
