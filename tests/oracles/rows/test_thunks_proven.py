"""s390x's thunks are proven to do what the rows say of the instructions that they replace; wrong ones are refuted."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from itertools import chain, islice, product
from random import Random

import pytest
from support.examples import sparse

from liftcheck.bits import build as b
from liftcheck.bits.concrete import closure
from liftcheck.bits.meaning import Meaning
from liftcheck.bits.term import var
from liftcheck.isa.s390x.insts.bench import with_stack
from liftcheck.isa.s390x.thunk_code import Thunk, assembled
from liftcheck.isa.s390x.thunks import has_thunks, thunk_for
from liftcheck.mach.rows.bench import Bench
from liftcheck.mach.rows.row import Row
from liftcheck.mach.rows.table import Decoded
from liftcheck.oracles.rows.instances import drawn
from liftcheck.oracles.rows.replaced_smt import Verdict, frame_of, signed_product, verdict

OTHER_CODE = r"cl?[fg][edx]bra?"
"""Conversions whose thunks leave another condition code (`thunks` says so)."""
STACK, LINK = 15, 14
HARD = ("vbperm", "vpopct", "msgrkc")
"""What z3 needs seconds for."""


@cache
def bench() -> Bench:
    usual = with_stack()
    return replace(usual, reserved=usual.reserved | {LINK})


def replaced(row: Row, draws: int = 400) -> Iterator[Decoded]:
    """Instructions of a row that have thunks, and of which a term can be said."""
    draw = Random(row.syntax.shape)
    made = (one for one in (drawn(bench(), row, draw) for _ in range(draws)) if one is not None)
    first = next(made, None)
    if first is None or not has_thunks(first.data.ljust(6, b"\0")):
        return iter(())
    found = (one for one in chain([first], made) if thunk_for(one.data.ljust(6, b"\0")) is not None)
    return (one for one in found if bench().table.lift(one).effects is not None)


SHAPES = [row.syntax.shape for row in bench().rows() if next(replaced(row, 40), None) is not None]
QUICK = [shape for shape in SHAPES if not shape.startswith(HARD)]


def judged(one: Decoded) -> Verdict:
    code = one.data.ljust(6, b"\0")

    def body(back: int) -> bytes:
        thunk = thunk_for(code)
        assert thunk is not None
        return thunk.finish(0, back)

    leaves = frozenset({"cc"}) if re.fullmatch(OTHER_CODE, one.row.name) else frozenset()
    return verdict("s390x", frame_of("s390x", STACK, LINK), one.data, body(len(body(0))), leaves)


@pytest.mark.parametrize(
    "shape", [*sparse(QUICK, 6), *(pytest.param(s, marks=pytest.mark.slow) for s in SHAPES if s.startswith(HARD))]
)
def test_a_thunk_does_what_its_row_says(shape: str) -> None:
    (row,) = (row for row in bench().rows() if row.syntax.shape == shape)
    for one in islice(replaced(row), 1 if shape.startswith(HARD) else 2):
        assert judged(one).kind in ("equal", "proven"), (one.text, judged(one))


def test_each_instruction_that_has_a_thunk_is_among_them() -> None:
    assert len(SHAPES) > 90


@pytest.mark.parametrize(
    ("instruction", "line", "other", "says"),
    [
        ("msrkc %r1, %r2, %r3", r"lr %r1, (%r\d+)", r"lgr %r1, \1", "r1 from bit 0"),
        ("msrkc %r1, %r2, %r3", "tmll (.*), 1", r"tmll \1, 2", "cc from bit 0"),
        pytest.param("mgrk %r2, %r4, %r5", r"sgr (.*), (.*)", r"agr \1, \2", "r2 from bit 0", marks=pytest.mark.slow),
        pytest.param("mgrk %r2, %r4, %r5", r"spm .*", "lr %r0, %r0", "cc from bit 0", marks=pytest.mark.slow),
        ("agh %r3, 4(%r2)", "agr (.*)", r"sgr \1", "r3 from bit 0"),
        ("agh %r3, 4(%r2)", r"lgh (.*), 4(.*)", r"lgh \1, 6\2", "accesses"),
        ("agh %r3, 4(%r2)", r"stg (.*), -8(.*)", r"stg \1, 8\2", "accesses"),
        ("agh %r3, 4(%r2)", r"lg (.*), -8(.*)", "lr %r0, %r0", "from bit 0"),
        ("vfasb %v1, %v2, %v3", r"aeb %f0, 24(.*)", r"seb %f0, 24\1", "v1 from bit 32"),
        ("vfmaxsb %v1, %v2, %v3, 1", r"n %r0, 20(.*)", r"o %r0, 20\1", "v1 from bit 64"),
        ("wfcsb %v1, %v2", r"ceb %f0, 16(.*)", r"ceb %f0, 20\1", "cc from bit 0"),
        ("vpopcth %v1, %v2", "srlg %r0, %r0, 56", "srlg %r0, %r0, 55", "v1 from bit"),
        ("wclgdb %v1, %v2, 8, 5", "llihl %r1, 0", "llihl %r1, 1", "v1 from bit"),
        ("vflcsb %v1, %v2", "lcdfr (.*)", r"lndfr \1", "v1 from bit"),
        ("vfcesbs %v1, %v2, %v3", "vgbm %v0, 65535", "vgbm %v0, 65534", "cc from bit 0"),
    ],
)
def test_a_wrong_thunk_is_refuted(
    instruction: str, line: str, other: str, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One line of its text is another."""
    plain, changed = Thunk.add, []

    def add(self: Thunk, *lines: str) -> None:
        made = [re.sub(f"^{line}$", other, one) for one in lines]
        changed.extend(one for one, was in zip(made, lines) if one != was)
        plain(self, *made)

    one = bench().table.assemble(instruction)
    assert judged(one).kind in ("equal", "proven")
    monkeypatch.setattr(Thunk, "add", add)
    found = judged(one)
    assert changed, "nothing was planted"
    assert found.kind == "different", found
    assert re.search(says, found.detail), found


def test_what_cannot_be_said_is_undecided_by_name() -> None:
    one = bench().table.assemble("cgebra %r4, 8, %f15, 8")
    assert judged(one) == Verdict("undecided", "the instruction: cgebra: a rounding mode that is not known")
    away = assembled("br %r1")
    found = verdict("s390x", frame_of("s390x", STACK, LINK), assembled("lgr %r1, %r2"), away)
    assert found.kind == "undecided" and found.detail.startswith("the replacement: ")


def test_signed_products_by_unsigned_ones() -> None:
    x, y = var("x", 4), var("y", 4)
    unsigned = b.mul(b.zext(x, 8), b.zext(y, 8))
    pair = (signed_product(unsigned, x, y), b.mul(b.sext(x, 8), b.sext(y, 8)))
    run = closure(Meaning((x, y), pair))
    assert [(n, m) for n, m in product(range(16), repeat=2) if len(set(run(n, m))) > 1] == []
