"""Every opcode's meaning, for every typing: compiled Python = pasted Python = z3, on boundary-heavy operands."""

from __future__ import annotations

import time
from random import Random

import pytest
from support import semantics as support
from support.examples import many, some

from liftcheck.bits import build
from liftcheck.clif.opcodes import OPCODES
from liftcheck.clif.semantics import meaning as semantics
from liftcheck.clif.semantics.integers import value
from liftcheck.clif.semantics.meaning import RULES, constant, has_meaning, meaning
from liftcheck.clif.types import I8, I32, TYPES
from liftcheck.errors import Unsupported

OPS = sorted(RULES)


TODAY = time.strftime("%Y-%j")
"""Every day draws other operands, so that few are enough for one run; a message shows those that differ."""


def draws(typing: support.Typing) -> int:
    """Operand tuples a typing and immediate: fewer where z3 is slow."""
    widest = max((t.bits for t in typing.args), default=0)
    slow = any(t.is_float and t.lane_bits == 128 for t in (*typing.args, *typing.results))
    few = typing.op in ("icmp", "fcmp", "icmp_imm", "atomic_rmw_op", "bitcast")
    return 2 if slow or few or widest > 64 else 3


@pytest.mark.parametrize("op", OPS)
def test_python_is_z3(op: str) -> None:
    checked = 0
    for typing in some(support.typings(op)):
        random = Random(f"{TODAY} {op} {typing.args} {typing.results}")
        for imm in support.immediates(typing, random):
            for _ in range(many(draws(typing))):
                operands = tuple(support.operand(t, random) for t in typing.args)
                assert not support.differs(typing, imm, operands)
                checked += 1
    assert checked, f"{op} has a meaning and no typing: nothing was checked"


def test_every_opcode_has_a_meaning_or_is_the_interpreters() -> None:
    unstated = {op for op in OPCODES if not has_meaning(op)}
    assert unstated == support.NOT_FUNCTIONS
    assert set(RULES) - set(OPCODES) == {"atomic_rmw_op"}


def test_count_of_what_is_checked(capsys: pytest.CaptureFixture[str]) -> None:
    counts = {op: len(support.typings(op)) for op in OPS}
    assert all(counts.values()), [op for op, n in counts.items() if not n]
    with capsys.disabled():
        print(f"\n{len(counts)} opcodes with {sum(counts.values())} typings checked against z3")
    assert sum(counts.values()) > 3000


def test_a_wrong_meaning_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The z3 side of one row is spoilt: the comparison must say so."""
    from liftcheck.bits import prim

    row = prim.PRIMS["mul"]
    spoilt = prim.Prim("mul", row.show, row.python, lambda z, t, a, b: a * b + 1)
    monkeypatch.setitem(prim.PRIMS, "mul", spoilt)
    typing = support.Typing("imul", I32, (I32, I32), (I32,))
    assert support.differs(typing, None, (6, 7))


def test_a_wrong_rule_gives_a_wrong_value(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(semantics.RULES, "iadd", value(build.sub))
    meaning.cache_clear()
    typing = support.Typing("iadd", I32, (I32, I32), (I32,))
    assert support.by_closure(typing.meaning(None), (6, 7)) == (0xFFFF_FFFF,)
    monkeypatch.undo()
    meaning.cache_clear()
    assert support.by_closure(typing.meaning(None), (6, 7)) == (13,)


def test_constants_without_terms_are_the_meanings() -> None:
    random = Random(5)
    for op in ("iconst", "f16const", "f32const", "f64const", "f128const", "vconst"):
        for typing in support.typings(op):
            for imm in support.immediates(typing, random):
                expected = support.by_closure(typing.meaning(imm), ())
                assert (constant(op, typing.results[0], imm),) == expected
    assert constant("iadd", I32, None) is None


def test_refusals_are_named() -> None:
    with pytest.raises(Unsupported, match="load is not a function"):
        meaning("load", I32, (I32,), (I32,), None)
    with pytest.raises(Unsupported, match="between"):
        meaning("fcvt_from_sint", TYPES["f32x4"], (TYPES["i8x16"],), (TYPES["f32x4"],), None)


@pytest.mark.parametrize(
    ("op", "args", "results", "imm", "operands", "expected"),
    [
        ("sdiv", "i8 i8", "i8", None, (0x80, 0xFF), "int_ovf"),
        ("sdiv", "i8 i8", "i8", None, (0x80, 0), "int_divz"),
        ("srem", "i8 i8", "i8", None, (0x80, 0xFF), (0,)),
        ("srem", "i8 i8", "i8", None, (0xF9, 2), (0xFF,)),
        ("ishl", "i8 i32", "i8", None, (1, 9), (2,)),
        ("rotl", "i128 i8", "i128", None, (1, 255), (1 << 127,)),
        ("cls", "i32", "i32", None, (0,), (31,)),
        ("usub_overflow_bin", "i8 i8 i8", "i8 i8", None, (0, 255, 4), (0, 1)),
        ("fcvt_to_uint", "f32", "i8", None, (0xBF00_0000,), (0,)),
        ("fcvt_to_uint", "f32", "i8", None, (0xBF80_0000,), "int_ovf"),
        ("fcvt_to_sint", "f32", "i8", None, (0x7FC0_0000,), "bad_toint"),
        ("fcvt_to_sint", "f32", "i8", None, (0xC300_8000,), (0x80,)),
        ("fcvt_to_sint", "f32", "i8", None, (0xC301_0000,), "int_ovf"),
        ("fcvt_to_sint", "f16", "i32", None, (0xFC00,), "int_ovf"),
        ("trapz", "i16", "", None, (0,), "user"),
        ("uadd_overflow_trap", "i32 i32", "i32", None, (0xFFFF_FFFF, 1), "user"),
        ("snarrow", "i32x4 i32x4", "i16x8", None, (0x8000, 1 << 31), (0x8000 << 64 | 0x7FFF,)),
        ("vhigh_bits", "i64x2", "i8", None, (1 << 127,), (2,)),
        ("bitcast", "i64x2", "i32x4", "big", (0x0000_0001_0000_0002,), (1 | 2 << 32,)),
        ("bitcast", "i32x4", "i8x16", "big", (0x0102_0304,), (0x0403_0201,)),
        ("x86_pmaddubsw", "i8x16 i8x16", "i16x8", None, (0x8080, 0xFFFF), (0x8000,)),
        ("x86_pmulhrsw", "i16x8 i16x8", "i16x8", None, (0x8000, 0x8000), (0x8000,)),
        ("sqmul_round_sat", "i16x8 i16x8", "i16x8", None, (0x8000, 0x8000), (0x7FFF,)),
        ("x86_cvtt2dq", "f32x4", "i32x4", None, (0x7FC0_0000,), (0x8000_0000,)),
        ("iadd_imm", "i128", "i128", -1, (0,), ((1 << 128) - 1,)),
        ("band_imm", "i128", "i128", -1, ((1 << 128) - 1,), ((1 << 64) - 1,)),
        ("irsub_imm", "i8", "i8", 1, (3,), (254,)),
        ("fmin", "f32 f32", "f32", None, (0, 0x8000_0000), (0x8000_0000,)),
        ("fmax", "f32 f32", "f32", None, (0x7F80_0001, 0), (0x7FC0_0000,)),
    ],
)
def test_known_values(
    op: str, args: str, results: str, imm: object, operands: tuple[int, ...], expected: support.Result
) -> None:
    arg_types = tuple(TYPES[name] for name in args.split())
    result_types = tuple(TYPES[name] for name in results.split())
    typing = support.Typing(op, (result_types or arg_types or (I8,))[0], arg_types, result_types)
    assert support.by_closure(typing.meaning(imm), operands) == expected
