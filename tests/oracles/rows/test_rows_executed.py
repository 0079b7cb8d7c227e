"""Rows against execution: silent where they are right, and every kind of wrong row is seen."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import pytest
from support.examples import many, some
from support.wrong_rows import planted, processes_of

from liftcheck.bits import build as b
from liftcheck.bits.term import Term, const
from liftcheck.isa import ISAS
from liftcheck.isa.base import isa_named
from liftcheck.isa.riscv64.insts.floats import to_integer
from liftcheck.isa.riscv64.insts.vinteger import lanewise, swapped
from liftcheck.mach.rows.bench import Bench
from liftcheck.mach.rows.integers import saturated
from liftcheck.mach.rows.machine import Machine
from liftcheck.oracles.rows.compare import Judged, judge
from liftcheck.oracles.rows.executors import Executor
from liftcheck.oracles.rows.unicorn import UnicornExecutor, forked


@cache
def benches_of(isa: str) -> tuple[Bench, ...]:
    found: tuple[Bench, ...] = isa_named(isa).part(isa_named(isa).bench)()
    return found


LACKING = {
    ("aarch64", "unicorn"): r"i8mm",
    ("riscv64", "qemu"): r"zicond|zfa.*|zcb.*|zabha.*|zacas|v zvbb",
    ("x86-64", "qemu"): "avx512.*|avx_vnni",
    ("s390x", "unicorn"): r"vxrs_ext[12]|mie[23]",
    ("riscv64", "unicorn"): r"zicond|zfa.*|zcb.*|zabha.*|zacas|zb.*|zfh.*|v.*",
}
"""Extensions (`Row.needs`) that the executors at hand lack: finding that out anew takes most of the time."""
MANY = ("aarch64", "s390x", "x86-64")
"""Which have so many rows that one executor is enough where tests are to be quick."""
BENCHES = [(isa, n) for isa in ISAS if isa_named(isa).bench for n in range(len(benches_of(isa)))]


def bench() -> Bench:
    return benches_of("riscv64")[0]


def vectors() -> Bench:
    return benches_of("riscv64")[1]


def known_to_lack(one: Bench) -> dict[str, str]:
    return {executor: lacking for (isa, executor), lacking in LACKING.items() if isa == one.isa}


def complaints(one: Bench, found: Sequence[Judged]) -> list[str]:
    """What differs for no known reason."""
    return [
        str(difference)
        for judged in found
        for name, kept in judged.differences.items()
        for difference in kept
        if not one.erratum(name, judged.row)
    ]


def agree(one: Bench, executors: Sequence[Executor]) -> None:
    """Some states of each row; what has no count is one that the executor lacks, though it is not known to."""
    rows, lacking = some([row for row in one.rows() if not row.untested]), known_to_lack(one)
    found = judge(one, rows, executors, many(6), lacking=lacking)
    assert complaints(one, found) == []
    for name in (executor.name for executor in executors):
        due = [
            judged.row
            for judged in found
            if not re.fullmatch(lacking.get(name, "never"), judged.row.needs)
            and not one.erratum(name, judged.row)  # it may end the process, or trap
            and (name != "native" or not judged.row.needs)  # hosts have what they have
        ]
        ran = {id(judged.row) for judged in found if name in judged.compared}
        assert [row.syntax.shape for row in due if id(row) not in ran] == []


@pytest.mark.parametrize(
    ("isa", "number"),
    [pytest.param(isa, number, marks=pytest.mark.slow if isa in MANY else ()) for isa, number in BENCHES],
)
def test_unicorn_agrees_with_every_row_that_it_has(isa: str, number: int) -> None:
    one = benches_of(isa)[number]
    if one.in_unicorn:
        agree(one, [UnicornExecutor()])


@pytest.mark.needs_qemu
@pytest.mark.parametrize(("isa", "number"), BENCHES)
def test_processes_agree_with_every_row_that_they_have(isa: str, number: int) -> None:
    one = benches_of(isa)[number]
    agree(one, processes_of(one))


def test_what_an_executor_lacks_is_told_from_what_it_has() -> None:
    some = [row for row in bench().rows() if row.name in ("mul", "czero.eqz", "div")]
    found = {judged.row.name: judged for judged in judge(bench(), some, [UnicornExecutor()], 4)}
    assert found["czero.eqz"].compared == {}
    assert found["czero.eqz"].lacks.keys() == {"unicorn"}
    assert found["mul"].compared == found["div"].compared == {"unicorn": 4}


def forgetful(s: Machine, a: Term, c: Term) -> Term:
    """Writes another register, too."""
    s.write(5, a)
    return b.add(a, c)


def unsigned_maximum(s: Machine, value: Term, at: Term) -> Term:
    """The order of amomaxu."""
    s.trap(b.nonzero(b.band(at, const(7, 64))), "unaligned")
    old = s.load(at, 8)
    s.store(at, b.umax(old, value))
    return old


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
        ("amomax.d", "order in memory", unsigned_maximum),
        ("fcvt.w.d", "rounding", lambda s, a, rm: b.sext(to_integer(a, "rtz", 32, True), 64)),
        ("fcvt.lu.d", "saturation", lambda s, a, rm: b.to_uint(a, 64)),
        ("fmul.d", "rounding of arithmetic", lambda s, a, c, rm: b.fadd(b.fmul(a, c), const(0, 64))),
    ],
)
def test_a_wrong_row_is_seen(name: str, kind: str, meaning: Callable[..., Any]) -> None:
    judged = planted(bench(), name, meaning, [UnicornExecutor()], 200)
    assert judged.differing.get("unicorn"), f"{kind} of {name}: {judged}"


def backwards(function: Callable[[Term, Term], Term]) -> Callable[..., Term]:
    """The lanes of the result in the wrong order."""

    def turned(a: Term, c: Term) -> Term:
        return b.permute((function(a, c),), range(a.lanes - 1, -1, -1))

    return lanewise(turned)


def unmasked(function: Callable[[Term, Term], Term]) -> Callable[..., Term]:
    """As if there were no mask."""
    return lambda s, old, vs2, vs1, vm: lanewise(function)(s, old, vs2, vs1, const(1, 8))


@pytest.mark.needs_qemu
@pytest.mark.parametrize(
    ("name", "kind", "meaning"),
    [
        ("vadd.vv", "lane order", backwards(b.add)),
        ("vsub.vv", "operand order", lanewise(swapped(b.sub))),
        ("vand.vv", "mask", unmasked(b.band)),
        ("vsadd.vv", "saturation", lanewise(b.add)),
        ("vsaddu.vx", "sign of saturation", lanewise(saturated(b.add, True))),
        ("vmin.vv", "sign", lanewise(b.umin)),
        ("vnsrl.wx", "width", lanewise(lambda a, n: b.trunc(a, a.lane // 2), first=2)),
        (
            "vaaddu.vv",
            "rounding",
            lanewise(lambda a, c: b.add(b.band(a, c), b.lshr(b.bxor(a, c), const(1, a.lane, a.lanes)))),
        ),
    ],
)
def test_a_wrong_row_of_vectors_is_seen(name: str, kind: str, meaning: Callable[..., Any]) -> None:
    judged = planted(vectors(), name, meaning, processes_of(vectors()), 200)
    assert judged.differing.get("qemu"), f"{kind} of {name}: {judged}"


def test_trials_are_the_same_for_the_same_seed() -> None:
    some = [row for row in bench().rows() if row.needs == "m"][:2]
    again = [judge(bench(), some, [UnicornExecutor()], 3, seed=5) for _ in range(2)]
    assert [j.compared for j in again[0]] == [j.compared for j in again[1]]


def test_what_ends_the_process_is_lacking() -> None:
    """Unicorn 2.1.4 aborts at `sqxbr`."""
    one = benches_of("s390x")[0]
    some = [row for row in one.rows() if row.name in ("sqxbr", "agr", "ltdbr")]
    found = {judged.row.name: judged for judged in judge(one, some, [UnicornExecutor()], 4)}
    assert found["sqxbr"].compared == {} and found["sqxbr"].lacks.keys() == {"unicorn"}
    assert found["agr"].compared == {"unicorn": 4}


def test_a_fork_that_dies_says_nothing() -> None:
    assert forked(lambda: b"done") == b"done"
    assert forked(lambda: None) is None
    assert forked(os.abort) is None
