# ruff: noqa: E501
"""x86-64's rows against execution: every kind of wrong row is seen."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import pytest
from support.wrong_rows import planted, processes_of

from liftcheck.bits import build as b
from liftcheck.bits.term import const
from liftcheck.isa.x64.insts import floats, integer, lanes, shifts, vectors
from liftcheck.isa.x64.insts.bench import benches
from liftcheck.isa.x64.insts.common import FALSE, say, top
from liftcheck.mach.rows.bench import Bench
from liftcheck.oracles.rows.unicorn import UnicornExecutor


@cache
def bench(number: int = 0) -> Bench:
    return benches()[number]


def without_borrow(s: Any, a: Any, c: Any) -> Any:
    """The carry of an addition."""
    return say(s, b.sub(a, c), top(b.band(a, c)), FALSE)


def lost_remainder(s: Any, a: Any) -> None:
    """The quotient for it."""
    integer.divided(32, False)(s, a)
    s.write(2, s.current(0))


def always_flags(s: Any, a: Any) -> Any:
    """Flags also where the count is zero."""
    return say(s, b.shl(a, b.zext(b.trunc(s.read(1), 5), 32)), FALSE, FALSE)


@pytest.mark.parametrize(
    ("shape", "kind", "meaning"),
    [
        ("sub rm64, r64", "operand order", lambda s, a, c: integer.subtracted(s, c, a)),
        ("mov rm16, r16", "width", lambda s, a: b.bor(a, const(1 << 15, 16))),
        ("movsx r64, rm8w", "sign", lambda s, a: b.zext(a, 64)),
        ("adc rm32, r32", "carry", integer.added),
        ("cmp rm64, r64", "flag", lambda s, a, c: without_borrow(s, a, c) and None),
        ("shl rm32, cl", "flags of count zero", always_flags),
        ("sar rm64, cl", "sign of a shift", shifts.by_cl(shifts.right)),
        ("shr rm16, cl", "count mask", lambda s, a: b.lshr(a, b.zext(b.trunc(s.read(1), 4), 16))),
        ("imul r64, rm64", "an overflow", lambda s, a, c: say(s, b.mul(a, c), FALSE, FALSE)),
        ("mul rm64", "upper half", integer.multiplied(64, True)),
        ("div rm32", "remainder", lost_remainder),
        ("setbe rm8", "condition", lambda s: b.zext(s.read("cf"), 8)),
        ("cmovl r64, rm64", "condition of two flags", lambda s, a, c: b.ite(s.read("sf"), c, a)),
        ("lea r64, m", "address", lambda s, a: b.add(a, const(1, 64))),
        ("push o64", "size of a store", lambda s, a: s.store(b.sub(s.read(4), const(8, 64)), b.trunc(a, 32))),
        ("call rel32", "link", lambda s, to: (s.store(b.sub(s.read(4), const(8, 64)), to), s.jump(to))[1]),
        ("lock xadd m64, r64", "order in memory", lambda s, a, c: (a, b.add(a, c))),
        ("lock cmpxchg m32, r32", "the case of equality", lambda s, a, c: c),
        ("bswap o64", "byte order", lambda s, a: b.bitrev(a)),
        ("lzcnt r32, rm32", "a case of its own", lambda s, a: b.clz(a)),
        ("punpckldq x, xa", "lane order", lambda s, a, c: vectors.interleaved(32, False)(c, a)),
        ("paddsb x, xa", "saturation", lambda s, a, c: lanes.lanes(8, b.add)(a, c)),
        ("packuswb x, xa", "sign of a saturation", lambda s, a, c: vectors.packed(16, True)(a, c)),
        ("psrlw x, xa", "a count beyond the width", lambda s, a, c: vectors.by_count(b.lshr, 16)(a, b.zext(b.trunc(c, 4), 128))),
        ("pshufb x, xa", "a case of its own", lambda s, a, c: lanes.lanes(8, lambda x, y: b.gather(x, b.band(y, const(15, 8, 16))))(a, c)),
        ("pmuludq x, xa", "sign of a product", lambda s, a, c: vectors.even(True)(a, c)),
        ("cvtsd2si r64, xm64", "rounding", lambda s, a: floats.to_integer(64, "trunc")(a)),
        ("cvttss2si r32, xm32", "out of range", lambda s, a: b.to_sint(a, 32)),
        ("roundps x, xa, u8", "rounding mode", lambda s, a, imm: lanes.lanes(32, lambda x: b.fround(x, "floor"))(a)),
        ("addps x, xa", "payload of a NaN", lambda s, a, c: lanes.lanes(32, b.fadd)(a, c)),
        ("minsd x64, xm64", "which of two zeros", lambda s, a, c: b.fmin(a, c)),
        ("sqrtss x32, xm32", "operand order", lambda s, a, c: floats.root(a)),
        ("movss x, m32", "what is cleared", lambda s, a: b.concat(const(-1, 96), a)),
        ("movsd x64, xr64", "what is kept", lambda s, a, c: b.bxor(a, c)),
        ("ucomisd x64, xm64", "flags of a NaN", lambda s, a, c: s.write("zf", b.feq(a, c))),
        ("movaps xa, x", "a store unsaid", lambda s, a: (s.store(s.read(4), a), a)[1]),
    ],
)  # fmt: skip
def test_a_wrong_row_is_seen(shape: str, kind: str, meaning: Callable[..., Any]) -> None:
    judged = planted(bench(), shape, meaning, [UnicornExecutor()], 60)
    assert judged.differing.get("unicorn"), f"{kind} of {shape}: {judged}"


@pytest.mark.needs_qemu
@pytest.mark.parametrize(
    ("shape", "kind", "meaning"),
    [
        ("vaddss x, xv, xm32", "whose upper lanes", lambda s, a, c: lanes.filled(b.fadd(b.trunc(a, 32), c))),
        ("vfmadd213sd x, xv, xm64", "operand order", lambda s, a, c, d: lanes.over(a, b.fma(b.trunc(a, 64), d, b.trunc(c, 64)))),
        ("vfnmadd231ps x, xv, xm128", "sign", lambda s, a, c, d: lanes.lanes(32, b.fma)(c, d, a)),
        ("vfmadd132ss x, xv, xm32", "rounding once", lambda s, a, c, d: lanes.over(a, b.fadd(b.fmul(b.trunc(a, 32), d), b.trunc(c, 32)))),
        ("vpblendvb x, xv, xm128, xi", "the choice", lambda s, a, c, d: vectors.selected(8)(c, a, d)),
        ("vpackssdw x, xv, xm128", "operand order", lambda s, a, c: vectors.packed(32, True)(c, a)),
    ],
)  # fmt: skip
def test_a_wrong_row_of_avx_is_seen(shape: str, kind: str, meaning: Callable[..., Any]) -> None:
    judged = planted(bench(1), shape, meaning, processes_of(bench(1)), 60)
    assert judged.differing, f"{kind} of {shape}: {judged}"
