"""How many bytes of stack arguments a `tail` function takes away, by ISA: worked out by hand from the convention, and
what the compiler's own functions and calls do.
"""

from __future__ import annotations

import pytest

from liftcheck.clif.ir import Signature
from liftcheck.clif.text.parser import parse_filetest
from liftcheck.isa import ISAS
from liftcheck.mach.arguments import passed, stack_bytes, stacked


def signed(params: str, returns: str, convention: str) -> Signature:
    head = (
        f"function %f({params})" + (f" -> {returns}" if returns else "") + f" {convention} {{\nBODY\n trap user1\n}}\n"
    )
    body = f"block0({', '.join(f'v{n}: {p.split()[0]}' for n, p in enumerate(_split(params)))}):"
    return parse_filetest(head.replace("BODY", body), "t").module().functions[0].signature


def taken(isa: str, params: str, returns: str = "") -> int | None:
    return stack_bytes(isa, signed(params, returns, "tail"))


def lies(isa: str, convention: str, params: str, returns: str = "") -> list[str]:
    """By each setting, arguments and results as 'offset:bytes'; '+' is accessed as a word."""
    found = stacked(isa, signed(params, returns, convention))
    assert found is not None
    rows = [[f"{one.offset}:{one.size}{'+' * one.widened}" for one in (*s.arguments, *s.results)] for s in found]
    return [" ".join(row) for row in rows]


def _split(params: str) -> list[str]:
    return [param for param in params.split(", ") if param]


def times(count: int, name: str) -> str:
    return ", ".join([name] * count)


SAVE_AREA = 160
"""s390x's stack arguments have the register save area beside them."""


@pytest.mark.parametrize(
    ("params", "x64", "aarch64", "riscv64", "s390x"),
    [
        ("", 0, 0, 0, 0),
        (times(6, "i64"), 0, 0, 0, 0),
        (times(7, "i64"), 16, 16, 0, SAVE_AREA + 8),
        (times(8, "i32"), 16, 16, 0, SAVE_AREA + 16),
        (times(9, "i8"), 32, 32, 16, SAVE_AREA + 24),
        (times(8, "f64"), 0, 0, 0, SAVE_AREA + 32),
        (times(9, "f32"), 16, 16, 16, SAVE_AREA + 40),
        (times(8, "i8x16"), 0, 0, 128, 0),
        (times(9, "f64x2"), 16, 16, 144, SAVE_AREA + 16),
        # The fourth i128: halves, a pair that has no registers left, halves, copies.
        (times(4, "i128"), 16, 16, 0, SAVE_AREA + 64),
        ("i64, " + times(3, "i128"), 16, 16, 0, SAVE_AREA + 48),
        (times(5, "i64") + ", i128", 16, 16, 0, SAVE_AREA + 16),
        ("i64, i128, i64, i128, i64", 16, 16, 0, SAVE_AREA + 32),
        (times(7, "i64") + ", i128", 32, 32, 16, SAVE_AREA + 32),
        ("f128", 0, 0, 0, SAVE_AREA + 16),
    ],
)
def test_what_lies_on_the_stack_is_counted(params: str, x64: int, aarch64: int, riscv64: int, s390x: int) -> None:
    assert {isa: taken(isa, params) for isa in ISAS} == {
        "x86-64": x64,
        "aarch64": aarch64,
        "riscv64": riscv64,
        "s390x": s390x,
    }


@pytest.mark.parametrize(
    ("isa", "returns", "few"), [("x86-64", 8, 6), ("aarch64", 6, 6), ("riscv64", 2, 8), ("s390x", 6, 6)]
)
def test_the_address_of_an_area_for_results_takes_a_register(isa: str, returns: int, few: int) -> None:
    """aarch64 has one of its own for it."""
    assert not taken(isa, times(few, "i64"), times(returns, "i64"))
    assert bool(taken(isa, times(few, "i64"), times(returns + 1, "i64"))) == (isa != "aarch64")


def test_results_whose_registers_differ_between_versions_are_not_known() -> None:
    """0.137 has a second register for floats."""
    for returns, known in (("f64, i64", True), ("i64, i64", True), ("f64, f64", False), ("f32, i8x16, i64", False)):
        assert (passed("x86-64", signed("i64", returns, "windows_fastcall")) is not None) == known, returns


def test_what_is_not_known_is_not_guessed() -> None:
    assert taken("x86-64", "i64x8") is None
    assert taken("riscv64", "i64x8") == 64
    assert taken("x86-64", "i64 sarg(64), i64") == 64
    assert stacked("x86-64", signed("i64 sarg(64), i64", "", "system_v")) is None
    assert stacked("x86-64", signed("i64x4", "", "system_v")) is None
    assert stacked("s390x", signed("i64", "", "winch")) is None


@pytest.mark.parametrize(
    ("isa", "convention", "params", "returns", "expected"),
    [
        ("aarch64", "system_v", times(8, "i64"), "", [""]),
        ("aarch64", "system_v", times(8, "i64") + ", i8, i128, i32", "", ["0:1 16:8 24:8 32:4"]),
        ("aarch64", "system_v", times(7, "i64") + ", i128, i64, i64", "", ["0:8 8:8 16:8"]),  # the first takes x7
        ("aarch64", "apple_aarch64", times(8, "i64") + ", i8, i16, i32 sext", "", ["0:1 2:2 4:4+", "0:1 2:2 4:4"]),
        ("aarch64", "system_v", "i64 sret, " + times(8, "i64"), "", [""]),
        ("aarch64", "tail", times(7, "i64"), times(7, "i64"), ["0:8 16:8"]),
        ("aarch64", "winch", "i64", "i16 sext, i8, i8 uext, i64", ["15:2 8:1 7:1"]),
        ("aarch64", "winch", times(8, "i64"), "i32, i64", ["0:8 16:4"]),  # the area's address is in x0
        ("x86-64", "system_v", times(6, "i64") + ", i8, i16 uext, f32, i8x16", "", ["0:1 8:2+"]),
        ("x86-64", "system_v", times(5, "i64") + ", i128, i64", "", ["0:8 8:8 16:8"]),  # no register is left then
        ("x86-64", "fast", times(5, "i64") + ", i128, i64", "", ["0:8 8:8"]),  # half in r9
        ("x86-64", "system_v", "i64", times(3, "i64"), ["0:8", ""]),  # by a setting
        ("x86-64", "windows_fastcall", "i64, f64, i8x16, i64, i8, f32", "", ["32:1 40:4 48:16"]),
        ("x86-64", "windows_fastcall", "i64", "i64, i64, i64", ["32:8"]),
        ("x86-64", "winch", "i64", "i32, i8, i64", ["1:4 0:1"]),
        ("x86-64", "winch", "i64", "i32, i8 uext, i64", ["8:4 0:1+"]),
        ("x86-64", "tail", "i64", times(9, "i64"), ["0:8"]),
        ("riscv64", "system_v", times(8, "i64") + ", f32, i8, i16 uext, i128, i8x16", "", ["0:1 8:2+ 16:8 24:8 32:16"]),
        ("riscv64", "fast", "i64", "i8, i8, i8, f32, f64, f32, i32 sext, f16", ["0:1 8:4 16:4+ 24:2"]),
        ("riscv64", "tail", times(7, "i64"), "i64, i64, i8", ["0:1"]),
        ("riscv64", "tail", times(8, "i64"), "i64, i64, i8", ["0:8 16:1"]),  # an address of results is one more
        ("s390x", "system_v", times(5, "i64") + ", i8, i16 uext, f32, i64", "", ["167:1 168:2+ 176:8"]),  # f32 in f0
        ("s390x", "system_v", times(4, "f64") + ", f32, f16, f64", "", ["164:4 174:2 176:8"]),
        ("s390x", "fast", times(5, "i64") + ", i128, i8", "", ["160:8 175:1 176:16"]),  # an address, and what is there
        ("s390x", "system_v", times(4, "i64") + ", f128, i8", "", ["167:1 168:16"]),
        ("s390x", "system_v", times(6, "i64"), times(5, "i64") + ", i16, i128", ["160:8 168:8 176:8 190:2 192:16"]),
        ("s390x", "system_v", times(9, "i8x16"), "i8x8", ["160:16 176:8"]),
        ("s390x", "tail", times(8, "i32"), times(6, "i64") + ", i32, i8 sext", ["164:4 172:4 180:4 164:4 168:1+"]),
    ],
)
def test_values_lie_where_the_convention_has_them(
    isa: str, convention: str, params: str, returns: str, expected: list[str]
) -> None:
    assert lies(isa, convention, params, returns) == expected
