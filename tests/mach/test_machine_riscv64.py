"""riscv64's table: every instruction of upstream's run tests is known, and what the table says holds in execution.

`corpus/machine/riscv64.json` has one or two encodings of each instruction that Cranelift 0.135.8 compiles those files
to, under all extensions that it has; a vector instruction stands after the `vsetivli` that it ran under.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.examples import many, some
from support.machine_execution import Case, check

from liftcheck.bits.term import value_of
from liftcheck.isa.riscv64.compressed import expand
from liftcheck.isa.riscv64.insts.table import table
from liftcheck.isa.riscv64.reader import read
from liftcheck.isa.riscv64.vector import configuration
from liftcheck.mach import insn as m

SAMPLES = json.loads((Path(__file__).parents[2] / "corpus" / "machine" / "riscv64.json").read_text())
LACKING = {"brev8", "czero.eqz", "czero.nez", "fli.d", "fli.s", "fminm.d", "fminm.s", "fround.d", "fround.s",
           "vandn.vv", "vcpop.v", "c.add.uw", "c.lh", "c.mul", "c.sb", "c.sext.b", "c.sext.h", "c.xori", "c.zext.h",
           "vfcvt.rtz.xu.f.v"}  # fmt: skip
"""What qemu 7.2 has not, or does not survive (see `runners.errata`)."""


def case(name: str, sample: str) -> Case:
    *prefix, code = (bytes.fromhex(part) for part in sample.split())
    state = configuration(int.from_bytes(prefix[0], "little")) if prefix else 0
    return Case("riscv64", name, code, m.decode("riscv64", code)[0], b"".join(prefix), state)


def one(code: str) -> m.Insn:
    return read(bytes.fromhex(code))


def x(*numbers: int) -> frozenset[int]:
    return frozenset(numbers)


def test_every_sample_is_known() -> None:
    cases = [case(name, sample) for name, samples in SAMPLES.items() for sample in samples]
    assert len(SAMPLES) > 300
    assert [c.code.hex() for c in cases if not c.machine.known] == []


@pytest.mark.needs_qemu
def test_tables_hold_in_execution() -> None:
    cases = [case(name, sample) for name, samples in some([*SAMPLES.items()]) for sample in samples]
    check(cases, trials=many(3))
    assert {c.name: c.wrong[:2] for c in cases if c.wrong} == {}
    assert {c.name for c in cases if not c.ran} <= LACKING
    assert sum(c.ran for c in cases) > many(500)


@pytest.mark.needs_qemu
@pytest.mark.parametrize(
    ("code", "change", "found"),
    [
        ("33059c01", {"reads": x(25)}, "reads something that a0 depends on"),
        ("33059c01", {"writes": x(11)}, "writes a0"),
        ("33059c01", {"effect": m.Effect(((10, m.register("riscv64", 24)),))}, "effect on a0"),
        ("23b0a500", {"reads": x(11)}, "reads something that it stores"),
    ],
)
def test_wrong_tables_are_noticed(code: str, change: dict[str, object], found: str) -> None:
    wrong = Case("riscv64", "planted", bytes.fromhex(code), one(code)._replace(**change))
    check([wrong])
    assert any(found in text for text in wrong.wrong), wrong.wrong


@pytest.mark.parametrize(
    ("code", "reads", "writes"),
    [
        ("33059c01", x(24, 25), x(10)),  # add x10, x24, x25
        ("1300a500", x(10), x()),  # addi x0, x10, 10
        ("53050520", x(74, 64), x(74)),  # fsgnj.s f10, f10, f0
        ("2fb5ce07", x(29, 28, m.MEMORY), x(10, m.MEMORY)),  # amoadd.d
        ("57854b02", x(132, 151, m.VECTOR_CONFIGURATION), x(138)),  # vadd.vv v10, v4, v23
        ("d7a443b6", x(137, 135, 132, m.VECTOR_CONFIGURATION), x(137)),  # vmacc.vv v9, v7, v4
    ],
)
def test_accesses(code: str, reads: frozenset[int], writes: frozenset[int]) -> None:
    machine = one(code)
    assert (machine.reads, machine.writes) == (reads, writes), machine.text


def test_flows() -> None:
    assert one("67800000").flow == m.RETURN
    assert one("8280").flow == m.RETURN
    assert one("67800200")[5] == m.JUMP  # jalr x0, 0(x5)
    assert one("e7800000").flow == m.CALL
    assert (one("6f000001").flow, one("6f000001").target) == (m.JUMP, 16)
    assert (one("e31cb5fe").flow, one("e31cb5fe").target) == (m.BRANCH, -8)
    assert one("0000").flow == m.TRAP


def test_masked_instructions_merge() -> None:
    masked = one("57854b00")
    assert 128 in masked.reads
    assert masked.merged == {138}
    assert one("57854b02").merged == frozenset()


def test_configuration_is_followed() -> None:
    effect = one("577008cc").effect  # vsetivli x0, 16, e8, m1, ta, ma
    assert effect is not None
    ((place, value),) = effect.writes
    elements = value_of(value) >> 16 & 0xFFFF_FFFF, value_of(value) >> 48  # that there are, that are asked for
    assert (place, elements) == (m.VECTOR_CONFIGURATION, (16, 16))
    assert not one("57700804").known  # vsetvli, tail undisturbed


def test_every_compressed_instruction_has_a_row() -> None:
    """Of the 49152 patterns; what is left are hints with x0, which are their own expansion, and reserved ones."""
    expanded = {half: expand(half) for half in range(1, 1 << 16) if half & 3 != 3}
    rows = {half: table().first(word.to_bytes(4, "little")) for half, word in expanded.items() if word is not None}
    assert [hex(half) for half, row in rows.items() if row is None] == []
    assert sum(word is not None for word in expanded.values()) > 45000


def test_what_is_no_instruction() -> None:
    assert not one("ffffffff").known
    assert not one("57f5ffff").known
    assert one("13").size == 1
