"""Rules of the normal form on all values of small widths, what they are to achieve, and wrong ones that are seen."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

import pytest
from support.examples import many, some
from support.truth_tables import Tables

from liftcheck.bits import build as b
from liftcheck.bits import simplify
from liftcheck.bits.simplify import normal, simplified
from liftcheck.bits.term import Term, const, packed_const, term, value_of, var
from liftcheck.bits.values import Values

X, Y, C = var("x", 4), var("y", 4), var("c", 1)
V = var("v", 2, 2)
_BINARY = (
    b.add, b.sub, b.mul, b.band, b.bor, b.bxor, b.shl, b.lshr, b.ashr, b.rotl, b.rotr, b.eq, b.ult, b.ule, b.slt, b.sle,
    b.udiv, b.urem, b.sdiv, b.srem,
)  # fmt: skip


def _leaves() -> list[Term]:
    return [X, Y, C, *(const(n, 4) for n in (0, 1, 3, 4, 6, 8, 12, 15)), const(0, 1), const(1, 1), const(2, 2)]


def _made(terms: list[Term], others: list[Term]) -> Iterator[Term]:
    """One node upon these, in all ways."""
    for a in terms:
        yield b.bnot(a)
        yield b.neg(a)
        yield from (f(a, 4) for f in (b.zext, b.sext) if a.lane < 4)
        yield from (
            b.extract(a, low, width) for width in (1, 2, 3) for low in range(a.lane - width + 1) if width < a.lane
        )
        for other in others:
            if a.lane == other.lane:
                yield from (f(*pair) for f in _BINARY for pair in ((a, other), (other, a)))
                yield b.ite(C, a, other)
                yield b.ite(b.bnot(C), other, a)
            if a.lane + other.lane <= 4:
                yield from (b.concat(a, other), b.concat(other, a))


def _normal_terms(terms: Iterator[Term]) -> list[Term]:
    """Normal forms, each once: what rules are given as operands."""
    return list(dict.fromkeys(normal(t) for t in terms))


def _wrong(terms: list[Term]) -> list[Term]:
    """The nodes that the rules change into something else."""
    tables = Tables([X, Y, C])
    return [t for t in terms if tables.of(simplified(t)) != tables.of(t)]


@cache
def _population(share: int) -> list[Term]:
    """Each node of one level of all primitives over normal operands, a share of the second level and of the third."""
    leaves = _leaves()
    first = list(_made(leaves, leaves))
    second = list(_made(_normal_terms(iter(first))[::share], leaves))
    deeper = _normal_terms(iter(second[:: max(50, 400 // share)]))
    return [*first, *second, *_made(deeper[::3], [X, const(6, 4), *deeper[::60]])]


def test_every_rule_on_all_values_of_four_bits() -> None:
    population = _population(153 // many(9))
    assert len(population) > many(15_000)
    assert {t.prim for t in population} >= simplify.RULES.keys() - {"var", "const", "bswap", "shape", "permute"}
    assert sum(simplified(t) is not t for t in population) > many(5_000)
    assert _wrong(population) == []


@pytest.mark.slow
def test_every_node_of_two_levels() -> None:
    assert _wrong(_population(1)) == []


def test_divisions_of_extended_numbers() -> None:
    """Of numbers that were narrower, both or one and a constant, and their parts."""
    narrow = [f(b.extract(v, at, w), 4) for v in (X, Y) for at in (0, 1) for w in (1, 2, 3) for f in (b.zext, b.sext)]
    divided = [
        f(*pair)
        for f in (b.udiv, b.urem, b.sdiv, b.srem)
        for one in some(narrow)
        for other in [*narrow, X, *(const(n, 4) for n in range(16))]
        for pair in ((one, other), (other, one))
    ]
    parts = [
        b.extract(normal(t), low, w) for t in divided[:: 18 // many(6)] for low, w in ((0, 1), (0, 2), (0, 3), (1, 2))
    ]
    assert sum(simplified(t) is not t for t in (*divided, *parts)) > many(1_000)
    assert _wrong([*divided, *parts]) == []


def test_vectors_whose_lanes_are_taken_out() -> None:
    tables = Tables([X, Y, C, V])
    pairs = (
        V,
        b.shape(X, 2, 2),
        b.shape(Y, 2, 2),
        b.splat(b.trunc(X, 2), 2),
        b.permute([V, b.shape(X, 2, 2)], [3, -1]),
    )
    vectors = [*pairs, *(f(v, w) for f in (b.add, b.band, b.ashr, b.bxor) for v in pairs for w in pairs)]
    vectors += [b.ite(C, v, w) for v in pairs for w in pairs] + [b.ite(b.ult(V, w), V, w) for w in pairs]
    terms = [b.pick(v, i) for v in vectors for i in (0, 1)]
    terms += [b.extract(b.scalar(v), low, width) for v in vectors for low in range(4) for width in range(1, 4 - low)]
    terms += [b.permute([v], [0, 1]) for v in pairs] + [b.permute([v], [1, 0]) for v in pairs]
    assert [t for t in terms if tables.of(normal(t)) != tables.of(t)] == []


@pytest.mark.parametrize(
    ("prim", "wrong"),
    [
        ("lshr", lambda t: b.zext(b.extract(t.args[0], 1, 3), 4) if t.args[1] is const(3, 4) else t),
        ("sext", lambda t: b.zext(t.args[0], t.lane)),
        ("urem", lambda t: b.srem(*t.args)),
        ("ult", lambda t: b.slt(*t.args)),
        ("sub", lambda t: b.sub(t.args[1], t.args[0])),
        ("ite", lambda t: b.ite(t.args[0], t.args[2], t.args[1])),
        ("concat", lambda t: b.concat(t.args[1], t.args[0]) if t.args[0].lane == t.args[1].lane else t),
    ],
)
def test_a_wrong_rule_is_seen(prim: str, wrong: simplify.Rule, monkeypatch: pytest.MonkeyPatch) -> None:
    population = [t for t in _population(51) if t.prim == prim]
    assert _wrong(population) == []
    monkeypatch.setitem(simplify.RULES, prim, wrong)
    assert _wrong(population)


def test_the_gates_of_these_tests_agree_with_the_primitives() -> None:
    """In three states, on a share of the terms."""
    tables = Tables([X, Y, C])
    for state in (0, 0b1_0110_1011, 0b0_1111_0100):
        given = {X: state & 15, Y: state >> 4 & 15, C: state >> 8}
        values = Values(given.__getitem__)
        for t in _population(51)[::97]:
            found = values(t)  # None where it divides by zero
            assert found in (None, sum((bit >> state & 1) << i for i, bit in enumerate(tables.of(t))))


_WIDE = var("w", 64)
_NARROW = var("n", 32)


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (b.band(_WIDE, const(0xFF, 64)), b.zext(b.trunc(_WIDE, 8), 64)),
        (b.lshr(b.shl(_WIDE, const(32, 64)), const(32, 64)), b.zext(b.trunc(_WIDE, 32), 64)),
        (b.ashr(b.shl(_WIDE, const(48, 64)), const(48, 64)), b.sext(b.trunc(_WIDE, 16), 64)),
        (b.trunc(b.add(b.zext(_NARROW, 64), _WIDE), 32), b.add(_NARROW, b.trunc(_WIDE, 32))),
        (b.add(b.band(_WIDE, const(~0xFFF, 64)), b.band(_WIDE, const(0xFFF, 64))), _WIDE),
        (b.bor(b.zext(_NARROW, 64), b.shl(_WIDE, const(32, 64))), b.concat(b.trunc(_WIDE, 32), _NARROW)),
        (b.add(b.sub(_WIDE, const(16, 64)), const(24, 64)), b.add(_WIDE, const(8, 64))),
        (b.eq(b.zext(b.eq(_NARROW, const(5, 32)), 64), const(0, 64)), b.ne(_NARROW, const(5, 32))),
        (b.ite(b.ne(_WIDE, const(0, 64)), const(1, 8), const(0, 8)), b.zext(b.ne(_WIDE, const(0, 64)), 8)),
        (b.slt(b.sext(_NARROW, 64), const(-3, 64)), b.slt(_NARROW, const(-3, 32))),
        (b.add(_WIDE, b.zext(_NARROW, 64)), b.add(b.zext(_NARROW, 64), _WIDE)),
        (b.concat(b.extract(_WIDE, 8, 8), b.concat(b.trunc(_WIDE, 8), _NARROW)), b.concat(b.trunc(_WIDE, 16), _NARROW)),
    ],
)
def test_two_ways_to_write_a_value_meet(left: Term, right: Term) -> None:
    assert normal(left) is normal(right)


def test_constants_are_folded_floats_included() -> None:
    one_and_a_half = b.fadd(const(0x3F800000, 32), const(0x3F000000, 32))
    assert value_of(normal(one_and_a_half)) == 0x3FC00000
    lanes = b.add(packed_const(0x0304, 8, 2), packed_const(0x01FF, 8, 2))
    assert value_of(normal(lanes)) == 0x0403


def test_division_by_zero_is_left_alone_and_has_no_value() -> None:
    quotient = b.udiv(const(7, 8), const(0, 8))
    assert normal(quotient) is quotient
    values = Values({}.__getitem__)
    assert values(quotient) is None
    assert values(b.ite(const(1, 1), const(3, 8), quotient)) == 3
    assert values(b.band(const(0, 8), quotient)) == 0
    assert values(b.add(const(1, 8), quotient)) is None


def test_values_of_terms_that_are_nested_deeply() -> None:
    deep = _WIDE
    for _ in range(5000):
        deep = term("add", 64, 1, (), (b.bxor(deep, _WIDE), _WIDE))
    assert Values({_WIDE: 3}.__getitem__)(deep) is not None
