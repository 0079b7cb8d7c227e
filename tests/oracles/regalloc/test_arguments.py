"""How many bytes of stack arguments a `tail` function takes away, by ISA: worked out by hand from the convention, and
what the compiler's own functions and calls do.
"""

from __future__ import annotations

import pytest

from liftcheck.clif.text.parser import parse_filetest
from liftcheck.isa import ISAS
from liftcheck.oracles.regalloc.arguments import stack_bytes


def taken(isa: str, params: str, returns: str = "") -> int | None:
    head = f"function %f({params})" + (f" -> {returns}" if returns else "") + " tail {\nblock0:\n trap user1\n}\n"
    text = head.replace(
        "block0:", f"block0({', '.join(f'v{n}: {p.split()[0]}' for n, p in enumerate(_split(params)))}):"
    )
    return stack_bytes(isa, parse_filetest(text, "t").module().functions[0].signature)


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


def test_what_is_not_known_is_not_guessed() -> None:
    assert taken("x86-64", "i64x8") is None
    assert taken("riscv64", "i64x8") == 64
    assert taken("x86-64", "i64 sarg(64), i64") == 64
