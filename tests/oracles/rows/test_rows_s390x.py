"""s390x's rows: every kind of wrong row is seen by execution; text and bytes are those of other assemblers."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from support.wrong_rows import planted, processes_of

from liftcheck.bits import build as b
from liftcheck.bits.term import Term, const
from liftcheck.errors import AssemblyError
from liftcheck.isa.s390x.insts.bench import benches
from liftcheck.isa.s390x.insts.common import set_sign
from liftcheck.isa.s390x.insts.fields import test_under_mask as under_mask
from liftcheck.isa.s390x.insts.floats import mode_of, saturated, set_float
from liftcheck.isa.s390x.insts.vector_moves import elements, whole
from liftcheck.mach.rows.bench import Bench
from liftcheck.mach.rows.floats import handed_on
from liftcheck.mach.rows.machine import Machine, NoMeaning


@cache
def bench() -> Bench:
    return benches()[0]


def without_overflow(s: Machine, a: Term, c: Term) -> Term:
    total = b.add(a, c)
    set_sign(s, total)
    return total


def borrow_for_carry(s: Machine, a: Term, c: Term) -> Term:
    total = b.sub(a, c)
    s.write("cc", b.concat(b.ult(a, c), b.nonzero(total)))
    return total


def half_for_whole(s: Machine, a: Term) -> Term:
    """A write of 32 bits that clears the others."""
    s.write(5, const(0, 64))
    return a


def other_half(s: Machine, pair: Term, c: Term) -> Term:
    """The even register multiplied."""
    return b.mul(b.zext(b.extract(pair, 64, 64), 128), b.zext(c, 128))


def exchanged(s: Machine, pair: Term, c: Term) -> Term:
    """Quotient and remainder in the other order."""
    dividend, divisor = b.sext(b.trunc(pair, 64), 128), b.sext(b.bor(c, const(1, 64)), 128)
    s.trap(b.eq(c, const(0, 64)), "divide")
    return b.concat(b.trunc(b.sdiv(dividend, divisor), 64), b.trunc(b.srem(dividend, divisor), 64))


def stores_always(s: Machine, a: Term, c: Term, address: Term) -> Term:
    s.trap(b.nonzero(b.band(address, const(7, 64))), "misaligned")
    found = s.load(address, 8)
    s.store(address, c)
    s.write("cc", b.ite(b.eq(a, found), const(0, 2), const(1, 2)))
    return b.ite(b.eq(a, found), a, found)


def without_nan(s: Machine, a: Term, c: Term) -> Term:
    result = b.fadd(a, c)
    set_float(s, result)
    return result


def nan_is_zero(s: Machine, m3: Term, a: Term, m4: Term) -> Term:
    if m3 is not const(5, 64):
        raise NoMeaning("only to zero")
    s.write("cc", s.undefined(2))
    return b.to_sint(a, 64)


def never_rounded(s: Machine, m3: Term, a: Term, m4: Term) -> Term:
    s.write("cc", s.undefined(2))
    mode_of(m3)
    return saturated(b.fround(a, "trunc"), 64, True)


def low_half(s: Machine, m3: Term, a: Term, m4: Term) -> Term:
    mode_of(m3)
    return b.trunc(a, 32)


def twice(s: Machine, a: Term, m: Term, n: Term) -> Term:
    return handed_on(b.fadd(b.fmul(n, m), a), n, m, a)


def little_endian(s: Machine, a: Term, address: Term) -> None:
    s.store(address, b.bswap(a))


def other_merge(s: Machine, a: Term, c: Term) -> Term:
    return whole(b.permute([elements(a, 32), elements(c, 32)], [2, 6, 3, 7]))


def left_half(s: Machine, a: Term, c: Term) -> Term:
    parts = [b.scalar(b.extract(elements(x, 32), 16, 16)) for x in (a, c)]
    return b.concat(parts[0], parts[1])


def truncating(s: Machine, a: Term, c: Term) -> Term:
    parts = [b.scalar(b.trunc(elements(x, 32), 16)) for x in (a, c)]
    return b.concat(parts[0], parts[1])


@pytest.mark.needs_qemu
@pytest.mark.parametrize(
    ("shape", "kind", "meaning"),
    [
        ("sgr g1, g2", "operand order", lambda s, a, c: (set_sign(s, b.sub(c, a)), b.sub(c, a))[1]),
        ("agr g1, g2", "overflow", without_overflow),
        ("slgr g1, g2", "carry", borrow_for_carry),
        ("ngr g1, g2", "condition code not written", lambda s, a, c: b.band(a, c)),
        ("lr w1, w2", "another write", half_for_whole),
        ("lgfr g1, w2", "sign", lambda s, a: b.zext(a, 64)),
        ("llgc g1, bdxy", "width", lambda s, at: b.zext(s.load(at, 2), 64)),
        ("stg g1, bdxy", "byte order", little_endian),
        ("mlgr p1, g2", "half of a pair", other_half),
        ("dsgr p1, g2", "order of results", exchanged),
        ("sllg g1, g3, bdy", "shift amount", lambda s, a, n: b.shl(a, b.band(n, const(31, 64)))),
        ("csg g1, g3, bdy", "a condition of a store", stores_always),
        ("tmll g1, ui16", "condition code", lambda s, a, n: under_mask(s, b.trunc(a, 16), const(0xFFFF, 16))),
        ("crjl w1, w2, t16", "signedness", lambda s, a, c, to: s.jump(to, b.ult(a, c))),
        ("adbr d1, d2", "NaNs", without_nan),
        ("cgdbra g1, m3, d2, m4", "a NaN's integer", nan_is_zero),
        ("cgdbra g1, m3, d2, m4", "rounding", never_rounded),
        ("madbr d1, d3, d2", "rounding twice", twice),
        ("ledbra e1, m3, d2, m4", "the part that is written", low_half),
        ("vmrhf v1, v2, v3", "lane order", other_merge),
        ("vpkf v1, v2, v3", "the half that is taken", left_half),
        ("vpksf v1, v2, v3", "saturation", truncating),
        ("vab v1, v2, v3", "width of lanes", lambda s, a, c: b.add(a, c)),
        ("vchlg v1, v2, v3", "signedness of lanes", lambda s, a, c: _signed(a, c)),
        ("vsel v1, v2, v3, v4", "order of selection", lambda s, a, c, m: b.bor(b.band(c, m), b.band(a, b.bnot(m)))),
        ("vfmaxsb v1, v2, v3, 1", "sign of zero", lambda s, a, c: _larger(a, c)),
    ],
)  # fmt: skip
def test_a_wrong_row_is_seen(shape: str, kind: str, meaning: Callable[..., Any]) -> None:
    judged = planted(bench(), shape, meaning, processes_of(bench()), 400)
    assert judged.differing.get("qemu"), f"{kind} of {shape}: {judged}"


def _signed(a: Term, c: Term) -> Term:
    return whole(b.sext(b.slt(elements(c, 64), elements(a, 64)), 64))


def _larger(a: Term, c: Term) -> Term:
    a, c = elements(a, 32), elements(c, 32)
    return whole(handed_on(b.ite(b.flt(a, c), c, a), a, c))


@pytest.mark.parametrize(
    ("text", "data"),
    [
        ("lgr %r2, %r3", "b9040023"), ("l %r1, 8(%r2,%r15)", "5812f008"), ("lay %r1, -4(%r2)", "e3102ffcff71"),
        ("br %r14", "07fe"), ("jge . + 8", "c08400000004"), ("cgrjne %r1, %r2, . + 12", "ec1200066064"),
        ("stmg %r6, %r15, 48(%r15)", "eb6ff0300024"), ("risbgn %r1, %r2, 0, 191, 3", "ec1200bf0359"),
        ("selgre %r2, %r3, %r4", "b9e34823"), ("vab %v17, %v1, %v31", "e711f0000af3"),
        ("vlgvg %r2, %v24, 1", "e72800013421"), ("vrepf %v20, %v3, 2", "e7430002284d"),
        ("cgdbra %r2, 5, %f0, 0", "b3a95020"), ("wfmaxxb %v1, %v2, %v3, 1", "e712301840ef"),
    ],
)  # fmt: skip
def test_text_and_bytes_are_the_assemblers(text: str, data: str) -> None:
    """What GNU as makes of the text."""
    assert bench().table.assemble(text).data.hex() == data
    assert bench().table.decode(bytes.fromhex(data)).text == text  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("l %r1, 4096(%r2)", "0 to 4095"), ("lg %r1, 8(%r2,%r16)", "not a register of an address"),
        ("mvi 8(%r1,%r2), 3", "displacement"), ("mlgr %r3, %r2", "not an even register"),
        ("lxr %f2, %f0", "not a float"),
        ("vrepg %v1, %v2, 2", "0 to 1"), ("aghi %r1, 40000", "-32768 to 32767"), ("lmg %r6, r15, 0(%r15)", "expected"),
        ("adddbr %f1, %f2", "there are"),
    ],
)  # fmt: skip
def test_what_cannot_be_encoded_is_said(text: str, words: str) -> None:
    with pytest.raises(AssemblyError, match=words):
        bench().table.assemble(text)


@pytest.mark.parametrize("data", ["b9860032", "b3650020", "e7430010384d", "e7120008007700"[:12]])
def test_what_no_machine_executes_is_no_instruction(data: str) -> None:
    """An odd register of a pair, a float pair that there is not, an element behind the last; padding is checked too."""
    found = bench().table.decode(bytes.fromhex(data))
    assert found is None or found.row.name == "vsldb"


SAMPLES = json.loads((Path(__file__).parents[3] / "corpus" / "machine" / "s390x.json").read_text())


@pytest.mark.parametrize("name", SAMPLES)
def test_what_run_tests_are_compiled_to_has_rows(name: str) -> None:
    """And its bytes and text come back."""
    table = bench().table
    for data in SAMPLES[name]:
        decoded = table.decode(bytes.fromhex(data))
        assert decoded is not None, data
        assert table.encode(decoded.row, decoded.values).data.hex() == data
        assert table.assemble(decoded.text).data.hex() == data
        assert table.lift(decoded).effects is not None or re.fullmatch("ll?xa.", name), decoded.text


def test_rounding_that_terms_lack_has_no_meaning() -> None:
    table = bench().table
    lifted = table.lift(table.assemble("ledbra %f0, 1, %f1, 0"))
    assert lifted.effects is None
    assert lifted.lacking == "no term converts with this rounding mode"
    assert table.lift(table.assemble("ledbra %f0, 4, %f1, 0")).effects is not None
