"""s390x's reader: every instruction of upstream's run tests is known, and what is read and written in execution.

`corpus/machine/s390x.json` has one or two encodings of each instruction that Cranelift 0.135.8 compiles those files to,
for z14 to z17. Instructions of the other rows are drawn.
"""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
from support.examples import many, some
from support.machine_execution import Case, check

from liftcheck.isa.s390x.insts.bench import benches
from liftcheck.isa.s390x.reader import read
from liftcheck.mach import insn as m
from liftcheck.oracles.rows.instances import drawn

SAMPLES = json.loads((Path(__file__).parents[2] / "corpus" / "machine" / "s390x.json").read_text())
Z17 = {"bdepg", "bextg", "clzg", "ctzg", "llxab", "llxaf", "llxag", "llxah", "llxaq", "lxab", "lxaf", "lxag", "lxah",
       "lxaq", "vblend", "vd", "vdl", "veval", "vr", "vrl"}  # fmt: skip
QUADWORDS = {"vclz", "vec", "vlp", "vmn", "vmnl", "vmxl"}
"""Instructions of z17 with 128-bit elements: what qemu 7.2 has not, besides those of Z17."""
KEPT = {"wflrx"} | {f"wfl{kind}{size}b" for kind in "cnp" for size in "sd"}
"""What keeps the other elements in qemu, which the manual leaves open."""


def one(code: str) -> m.Insn:
    return read(bytes.fromhex(code))


def sampled() -> list[Case]:
    return [Case("s390x", name, bytes.fromhex(code), one(code)) for name, codes in SAMPLES.items() for code in codes]


def test_every_sample_is_known() -> None:
    assert len(SAMPLES) > 250
    assert [case.code.hex() for case in sampled() if not case.machine.known] == []


@pytest.mark.needs_qemu
def test_tables_hold_in_execution() -> None:
    cases = list(some(sampled()))
    check(cases, trials=many(3))
    assert {c.name: c.wrong[:2] for c in cases if c.wrong} == {}
    assert {c.name for c in cases if not c.ran} <= Z17 | QUADWORDS | {"clgrt"}
    assert sum(c.ran for c in cases) > many(440)


@pytest.mark.needs_qemu
def test_every_row_holds_in_execution() -> None:
    """What is said to be read and written, of all rows that go on and access memory at registers."""
    rng, cases = random.Random(5), []
    bench = benches()[0]
    for row in some(bench.rows()):
        made = [one for one in (drawn(bench, row, rng) for _ in range(many(4))) if one is not None]
        for code in (one.data for one in made[:2]):
            machine = read(code)
            addressed = all(a.base >= 0 and a.base != a.scaled for a in machine.accesses)
            plain = machine.known and machine.flow == m.ORDINARY and addressed and machine.target is None
            if plain and len(machine.reads | machine.writes) < 9 and machine.name not in KEPT and not row.untested:
                cases.append(Case("s390x", row.name, code, machine))
    check(cases, trials=1)
    assert {c.name: (c.code.hex(), c.wrong[:2]) for c in cases if c.wrong} == {}
    assert len({c.name for c in cases if c.ran}) > many(700) - 10


@pytest.mark.needs_qemu
@pytest.mark.parametrize(
    ("code", "change", "found"),
    [
        ("b9080013", {"reads": frozenset({1})}, "reads something that r1 depends on"),
        ("b9080013", {"writes": frozenset({2, m.FLAGS})}, "writes r1"),
        ("b9080013", {"writes": frozenset({1})}, "writes flags"),
        ("1812", {"merged": frozenset({2})}, "reads something that r1 depends on"),
        ("b9040018", {"effect": m.Effect(((1, m.register("s390x", 9)),))}, "effect on r1"),
        ("e7002000000e", {"reads": frozenset({2})}, "reads something that it stores"),
    ],
)
def test_wrong_tables_are_noticed(code: str, change: dict[str, object], found: str) -> None:
    wrong = Case("s390x", "planted", bytes.fromhex(code), one(code)._replace(**change))
    check([wrong])
    assert any(found in text for text in wrong.wrong), wrong.wrong


@pytest.mark.parametrize(
    ("code", "reads", "writes"),
    [
        ("b9870024", {2, 3, 4}, {2, 3}),  # dlgr %r2, %r4
        ("b90d0024", {3, 4}, {2, 3}),  # dsgr
        ("b9860025", {3, 5}, {2, 3}),  # mlgr
        ("b9830024", {4}, {2, 3, m.FLAGS}),  # flogr
        ("b3a60002", {2}, {64, 66}),  # cxgbra: a pair of floats
        ("eb68f0000024", {6, 7, 8, 15}, {m.MEMORY}),  # stmg %r6, %r8
        ("eb68f0000004", {15, m.MEMORY}, {6, 7, 8}),  # lmg
        ("eb240000003e", {2, 3, 4, 5, m.MEMORY}, {2, 3, m.MEMORY, m.FLAGS}),  # cdsg %r2, %r4, 0
        ("b9f22023", {2, 3, m.FLAGS}, {2}),  # locrh
        ("ec1280bf0055", {2}, {1, m.FLAGS}),  # risbg with the rest zeroed, from another register
        ("ec12803f0054", {1, 2}, {m.FLAGS}),  # rnsbg, test only
        ("1812", {2}, {1}),  # lr: the high half stays
        ("0d10", set(), {1}),  # basr %r1, 0: no call
        ("07e0", set(), set()),  # a fence
    ],
)
def test_accesses(code: str, reads: set[int], writes: set[int]) -> None:
    machine = one(code)
    assert (machine.reads, machine.writes) == (reads, writes), machine.text


def test_lanes_merge() -> None:
    assert one("e78200051822").merged == {88}  # vlvgh %v24, %r2, 5
    assert one("e7d010000803").merged == {93}  # vlef %v29, 0(%r1), 0
    assert one("c0290eca8642").merged == {2}  # iilf


def test_flows() -> None:
    assert one("07fe").flow == m.RETURN
    assert one("07f1").flow == m.JUMP
    assert (one("a7740005").flow, one("a7740005").target) == (m.BRANCH, 10)
    assert (one("c0f4fffffffd").flow, one("c0f4fffffffd").target) == (m.JUMP, -6)
    assert (one("a7150006").flow, one("a7150006").target) == (m.JUMP, 12)  # bras steps over a literal
    assert one("c0e500000000").flow == m.CALL
    assert one("0de1").flow == m.CALL
    assert one("a776fffc").flow == m.BRANCH  # brct %r7
    assert one("0000").flow == m.TRAP
    assert one("b9728012").flow == m.ORDINARY  # crt: a trap under a condition


def test_what_is_no_instruction() -> None:
    assert not one("ffffffffffff").known
    assert not one("b9ff0000").known
    assert one("b9").size == 1
