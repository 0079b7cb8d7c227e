"""A64's rows: every kind of wrong row is seen by execution; text and bytes are those of other assemblers."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import pytest
from support.examples import many
from support.wrong_rows import planted, processes_of

from liftcheck.bits import build as b
from liftcheck.bits.term import Term, const
from liftcheck.errors import AssemblyError
from liftcheck.isa.aarch64.insts.bench import benches
from liftcheck.isa.aarch64.insts.common import laned, set_flags
from liftcheck.isa.aarch64.insts.vector import compare
from liftcheck.mach.rows.bench import Bench
from liftcheck.mach.rows.floats import handed_on
from liftcheck.mach.rows.machine import Machine


@cache
def bench() -> Bench:
    return benches()[0]


def without_carry(s: Machine, a: Term, c: Term) -> Term:
    return b.add(a, c)


def wrong_carry(s: Machine, a: Term, c: Term) -> Term:
    """The carry of a difference as a borrow."""
    total = b.sub(a, c)
    over = b.extract(b.band(b.bxor(a, c), b.bxor(a, total)), 63, 1)
    set_flags(s, b.extract(total, 63, 1), b.eq(total, const(0, 64)), b.ult(a, c), over)
    return total


def without_flags(s: Machine, a: Term, c: Term) -> Term:
    return b.band(a, c)


def other_order(s: Machine, base: Term, offset: Term) -> tuple[Term, Term, Term]:
    moved = b.add(base, offset)
    low, high = s.load(moved, 8), s.load(b.add(moved, const(8, 64)), 8)
    return high, low, moved


def keeps_the_rest(s: Machine, a: Term) -> Term:
    """32 bits written, the upper ones not cleared."""
    s.write(3, b.concat(b.extract(s.read(3), 32, 32), const(0, 32)))
    return a


@pytest.mark.needs_qemu
@pytest.mark.parametrize(
    ("shape", "kind", "meaning"),
    [
        ("sub xd, xn, xm_sh", "operand order", lambda s, a, c: b.sub(c, a)),
        ("subs xd, xn, xm_sh", "carry", wrong_carry),
        ("adc xd, xn, xm", "a flag not read", without_carry),
        ("ands xd, xn, xm_ror", "flags not written", without_flags),
        ("asr wd, wn, wm", "sign", lambda s, a, n: b.lshr(a, b.band(n, const(31, 32)))),
        ("lsl xd, xn, xm", "shift amount", lambda s, a, n: b.shl(a, n)),
        ("smaddl xd, wn, wm, xa", "width", lambda s, n, m, a: b.add(a, b.zext(b.mul(n, m), 64))),
        ("sdiv xd, xn, xm", "a case of its own", lambda s, a, c: b.sdiv(a, b.bor(c, const(1, 64)))),
        ("clz wd, wn", "another write", keeps_the_rest),
        ("ldp xt, xu, [xnw, pair8]!", "order of registers", other_order),
        ("str wt, [xnsp, reg4]", "size of a store", lambda s, v, n, m: s.store(b.add(n, m), b.trunc(v, 16))),
        ("ldrsb xt, [xnsp{, off1}]", "extension", lambda s, n, m: b.zext(s.load(b.add(n, m), 1), 64)),
        ("tbz xt, bit6, target14", "condition", lambda s, a, n, to: s.jump(to, b.extract(a, 63, 1))),
        ("fadd sd, sn, sm", "NaNs", lambda s, a, c: b.fadd(a, c)),
        ("fsub vd.4s, vn.4s, vm.4s", "order of NaNs", lambda s, a, c: laned(32, other_nan)(a, c)),
        ("fcvtzs wd, dn", "saturation", lambda s, a: b.trunc(b.to_sint(a, 64), 32)),
        ("fcvtns xd, sn", "rounding", lambda s, a: b.to_sint(a, 64)),
        ("fmadd dd, dn, dm, da", "rounding twice", lambda s, n, m, a: handed_on(b.fadd(a, b.fmul(n, m)), a, n, m)),
        ("fmax hd, hn, hm", "sign of zero", lambda s, a, c: b.ite(b.flt(c, a), a, c)),
        ("zip1 vd.4s, vn.4s, vm.4s", "lane order", lambda s, a, c: _zipped(c, a)),
        ("addp vd.8h, vn.8h, vm.8h", "lanes", lambda s, a, c: laned(16, b.add)(a, c)),
        ("sqxtn2 vd.16b, vn.8h", "the half that is written", lambda s, d, a: b.concat(b.trunc(d, 64), _narrow(a))),
        ("uqsub vd.16b, vn.16b, vm.16b", "saturation of lanes", lambda s, a, c: laned(8, b.sub)(a, c)),
        ("cmhi vd.2d, vn.2d, vm.2d", "signedness", lambda s, a, c: laned(64, compare(lambda x, y: b.slt(y, x)))(a, c)),
        ("tbl vd.16b, table2, vm.16b", "range", lambda s, t, i: _first_table(t, i)),
        ("sshr vd.4s, vn.4s, right32", "shift of lanes", lambda s, a, n: laned(32, lambda x: b.ashr(x, _one(x)))(a)),
    ],
)
def test_a_wrong_row_is_seen(shape: str, kind: str, meaning: Callable[..., Any]) -> None:
    judged = planted(bench(), shape, meaning, processes_of(bench()), many(300))
    assert judged.differing.get("qemu"), f"{kind} of {shape}: {judged}"


def other_nan(a: Term, c: Term) -> Term:
    return handed_on(b.fsub(a, c), c, a)


def _zipped(a: Term, c: Term) -> Term:
    return b.scalar(b.permute([b.shape(a, 32, 4), b.shape(c, 32, 4)], [0, 4, 1, 5]))


def _narrow(a: Term) -> Term:
    return b.scalar(b.clamp_signed(b.shape(a, 16, 8), 8))


def _first_table(table: Term, indexes: Term) -> Term:
    return b.scalar(b.gather(b.shape(b.trunc(table, 128), 8, 16), b.shape(indexes, 8, 16)))


def _one(like: Term) -> Term:
    return const(1, like.lane, like.lanes)


@pytest.mark.parametrize(
    ("text", "data"),
    [
        ("mov x1, #0xffffffffffffff00", "e11f8092"), ("and x0, x1, #0xff00ff00ff00ff00", "209c0892"),
        ("add x3, x4, w5, uxtw #2", "8348258b"), ("cset x0, lo", "e0279f9a"), ("ubfx x1, x2, #3, #7", "412443d3"),
        ("ldr q0, [x1, x2, lsl #4]", "2078e23c"), ("fmov d1, #-1.5", "0110 7f1e"),
        ("movi v2.2d, #0xff00ff00ff00ff00", "42e5056f"), ("tbl v0.16b, {v1.16b, v2.16b}, v3.16b", "2020034e"),
        ("caspal x0, x1, x2, x3, [x4]", "82fc6048"),
    ],
)  # fmt: skip
def test_text_and_bytes_are_the_assemblers(text: str, data: str) -> None:
    """What GNU as makes of the text."""
    assert bench().table.assemble(text).data.hex() == data.replace(" ", "")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("and x0, x1, #5, lsl #1", "expected"), ("and w0, w1, #0x101", "not a run of ones"),
        ("add x0, x1, #4096", "cannot be encoded: 0 to 4095"), ("fmov d0, #0.1", "no eight bits"),
        ("cset x0, al", "none of"), ("ldr x0, [x1, x2, lsl #2]", "shifted by 3"), ("addd x0, x1, x2", "there are"),
    ],
)  # fmt: skip
def test_what_cannot_be_encoded_is_said(text: str, words: str) -> None:
    with pytest.raises(AssemblyError, match=words) as raised:
        bench().table.assemble(text)
    assert len(str(raised.value)) < 300


@pytest.mark.parametrize("word", ["400040a9", "420c40f8"])
def test_what_the_manual_leaves_open_is_no_instruction(word: str) -> None:
    """A pair into one register, a base that is loaded and written back."""
    assert bench().table.decode(bytes.fromhex(word)) is None
