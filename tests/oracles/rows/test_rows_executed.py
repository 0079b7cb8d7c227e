"""Rows against execution: silent where they are right, and every kind of wrong row is seen."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import pytest

from liftcheck.bits import build as b
from liftcheck.bits.term import Term, const
from liftcheck.isa.riscv64.insts.bench import bench as riscv64
from liftcheck.isa.riscv64.insts.floats import to_integer
from liftcheck.mach.rows.bench import Bench
from liftcheck.mach.rows.encoding import decoder_of
from liftcheck.mach.rows.machine import Machine
from liftcheck.mach.rows.row import Row
from liftcheck.mach.rows.table import Table
from liftcheck.oracles.rows.compare import Judged, judge
from liftcheck.oracles.rows.executors import processes
from liftcheck.oracles.rows.unicorn import UnicornExecutor

BOXES = ("f", "zfh", "zfhmin", "d")
"""Of these Unicorn boxes nothing (isa/riscv64/errata.py); the emulators at hand lack NEWER."""
NEWER = ("zicond", "zfa", "zfa zfh", "zcb", "zcb zba", "zcb zbb", "zabha", "zabha zacas", "zacas")
IN_UNICORN = ("", "m", "a", "zca", "zcd")


@cache
def bench() -> Bench:
    return riscv64()


def rows(needs: Sequence[str]) -> list[Row]:
    return [row for row in bench().table.rows if not row.untested and row.needs in needs]


def complaints(found: Sequence[Judged]) -> list[str]:
    """What differs for no known reason."""
    return [
        str(one)
        for judged in found
        for name, kept in judged.differences.items()
        for one in kept
        if not bench().erratum(name, judged.row)
    ]


def test_unicorn_agrees_with_every_row_that_it_has() -> None:
    found = judge(bench(), rows(IN_UNICORN), [UnicornExecutor()], 6)
    assert complaints(found) == []
    assert all(judged.compared == {"unicorn": 6} for judged in found), [
        j for j in found if j.compared != {"unicorn": 6}
    ]


@pytest.mark.needs_qemu
def test_qemu_agrees_with_every_row_that_it_has() -> None:
    asked = [row for row in bench().table.rows if not row.untested and row.needs not in NEWER]
    found = judge(bench(), asked, processes(bench()), 6)
    assert complaints(found) == []
    assert [judged for judged in found if judged.compared != {"qemu": 6}] == []


def test_what_an_executor_lacks_is_told_from_what_it_has() -> None:
    asked = [row for row in rows(("zicond", "m")) if row.name in ("mul", "czero.eqz", "div")]
    found = {judged.row.name: judged for judged in judge(bench(), asked, [UnicornExecutor()], 4)}
    assert found["czero.eqz"].compared == {}
    assert found["czero.eqz"].lacks.keys() == {"unicorn"}
    assert found["mul"].compared == found["div"].compared == {"unicorn": 4}


def planted(name: str, meaning: Callable[..., Any]) -> list[Judged]:
    """What is found of a row with another meaning."""
    wrong = [replace(row, meaning=meaning) if row.name == name else row for row in bench().table.rows]
    table = Table(wrong, decoder_of([row.encoding for row in wrong]), bench().table.registers, 4, (4,) * 256)
    return judge(
        replace(bench(), table=table),
        [row for row in wrong if row.name == name and not row.base],
        [UnicornExecutor()],
        60,
    )


def forgetful(s: Machine, a: Term, c: Term) -> Term:
    """Writes another register, too."""
    s.write(5, a)
    return b.add(a, c)


def without_wrap(s: Machine, a: Term, c: Term) -> Term:
    """The carry into the upper half is lost."""
    return b.concat(b.add(b.extract(a, 32, 32), b.extract(c, 32, 32)), b.add(b.trunc(a, 32), b.trunc(c, 32)))


@pytest.mark.parametrize(
    ("name", "kind", "meaning"),
    [
        ("sub", "operand order", lambda s, a, c: b.sub(c, a)),
        ("addw", "width", lambda s, a, c: b.add(a, c)),
        ("sra", "sign", lambda s, a, n: b.lshr(a, b.band(n, const(63, 64)))),
        ("srl", "shift amount", lambda s, a, n: b.lshr(a, n)),
        ("add", "carry", without_wrap),
        ("sltu", "flag", lambda s, a, c: b.zext(b.ule(a, c), 64)),
        ("mulhsu", "sign of one operand", lambda s, a, c: b.extract(b.mul(b.sext(a, 128), b.sext(c, 128)), 64, 64)),
        ("divu", "a case of its own", lambda s, a, c: b.udiv(a, b.bor(c, const(1, 64)))),
        ("and", "a write unsaid", forgetful),
        ("lh", "extension", lambda s, imm, base: b.zext(s.load(b.add(base, imm), 2), 64)),
        ("lw", "address", lambda s, imm, base: b.sext(s.load(b.sub(base, imm), 4), 64)),
        ("sw", "size of a store", lambda s, value, imm, base: s.store(b.add(base, imm), value)),
        ("beq", "condition", lambda s, a, c, target: s.jump(target, b.ne(a, c))),
        ("jal", "link", lambda s, target: (s.jump(target), b.add(s.next, const(4, 64)))[1]),
        ("amomax.d", "order in memory", lambda s, v, at: (old := s.load(at, 8), s.store(at, b.umax(old, v)))[0]),
        ("fcvt.w.d", "rounding", lambda s, a, rm: b.sext(to_integer(a, "rtz", 32, True), 64)),
        ("fcvt.lu.d", "saturation", lambda s, a, rm: b.to_uint(a, 64)),
        ("fmul.d", "rounding of arithmetic", lambda s, a, c, rm: b.fadd(b.fmul(a, c), const(0, 64))),
    ],
)
def test_a_wrong_row_is_seen(name: str, kind: str, meaning: Callable[..., Any]) -> None:
    (judged,) = planted(name, meaning)
    assert judged.differing.get("unicorn"), f"{kind} of {name}: {judged}"


def test_trials_are_the_same_for_the_same_seed() -> None:
    asked = rows(("m",))[:2]
    again = [judge(bench(), asked, [UnicornExecutor()], 3, seed=5) for _ in range(2)]
    assert [j.compared for j in again[0]] == [j.compared for j in again[1]]
