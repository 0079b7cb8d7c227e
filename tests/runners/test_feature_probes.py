"""Every instruction of an extension is executed once; what a runner lacks is named, and is not a failure of the
compiler."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from support.runner_samples import RUNNERS, SIGNATURE, opened, trampoline

from liftcheck import cli
from liftcheck.case import FunctionCode, Outcome, Target
from liftcheck.isa import ISAS
from liftcheck.isa.base import isa_named
from liftcheck.runners.features import probe
from liftcheck.runners.link import Image, link
from liftcheck.runners.pool import Job, RunnerPool
from liftcheck.runners.probes import Lack, Probe, first_lacking, lacks, probes

FLI_H = Path(__file__).resolve().parents[2] / "corpus" / "runners" / "fli-h.clif"
ZFA_ZFH = Target("riscv64", (("has_zfa", "true"), ("has_zfh", "true")))
WORD = bytes.fromhex("530518f4")
"""fli.h fa0, 1.0"""
RETURN = bytes.fromhex("67800000")


def of(isa: str, feature: str) -> set[str]:
    return {one.name for one in probes(isa) if feature in one.needs}


@pytest.mark.parametrize("isa", ISAS)
def test_probes_are_of_extensions_that_are_known_and_of_instructions_that_are(isa: str) -> None:
    known = {*isa_named(isa).probes}
    for one in probes(isa):
        assert one.needs <= known, one
        assert one.name[0] != ".", one
        assert first_lacking(isa, {one.name}, [FunctionCode("%f", one.code)]) == one.name
    assert known - {feature for one in probes(isa) for feature in one.needs} <= {
        "has_cmpxchg16b",
        "has_mie4",
        "has_vxrs_ext3",
    }, "an extension without probes of its instructions"


def test_all_that_is_emitted_under_an_extension_has_a_probe() -> None:
    zfa = {f"{name}.{form}" for name in ("fli", "fround", "fminm", "fmaxm") for form in "sdh"}
    assert zfa == of("riscv64", "has_zfa")
    assert {"czero.eqz", "czero.nez"} == of("riscv64", "has_zicond")
    assert {"vadd.vv", "vfadd.vf", "vfncvt.f.f.w", "vle8.v", "vcompress.vm", "vmv8r.v"} <= of("riscv64", "has_v")
    assert {"vfadd.vv", "vfwcvt.f.f.v", "vfsqrt.v"} <= of("riscv64", "has_zvfh")
    assert {"vror.vi", "vclz.v", "vandn.vx"} <= of("riscv64", "has_zvbb")
    assert {"fadd.h", "fmadd.h", "fcvt.w.h", "flt.h"} <= of("riscv64", "has_zfh")
    assert {"c.lbu", "c.sh", "c.mul"} <= of("riscv64", "has_zcb")
    assert {"vpabsq", "vpsraq", "vcvtudq2ps"} <= of("x86-64", "has_avx512f")
    assert {"ldsmaxal", "casalh", "swpalb"} <= of("aarch64", "has_lse")
    assert {"ncgrk", "popcnt"} <= of("s390x", "has_mie3")


@pytest.mark.parametrize(("name", "isa"), RUNNERS)
def test_what_a_runner_lacks_does_not_return_and_the_rest_does(name: str, isa: str) -> None:
    runner = opened(name, isa)
    has = probe(runner)
    missing = lacks(runner, has)
    assert all(lack.needs <= has for lack in missing)
    nothing = SIGNATURE._replace(params=(), returns=())
    for one in probes(isa):
        if one.needs <= has and len(one.code) < 9:
            (outcome,) = runner.run(link([], isa), [Job(FunctionCode("%f", one.code), 0, nothing, [()])])[0]
            assert (outcome.kind == "returned") != (Lack(one.needs, one.name) in missing), one
    runner.close()


class Lacking:
    """A runner of an ISA that lacks some instructions: their rows do not return."""

    name, isa = "small", "riscv64"

    def __init__(self, *missing: str) -> None:
        self.missing = missing

    def run(self, image: Image, jobs: Sequence[Job], seconds: float = 0.0, until: float = 0.0) -> list[list[Outcome]]:
        named = {one.code: one.name for one in probes(self.isa)}
        return [[Outcome("crashed" if named[job.trampoline.code] in self.missing else "returned")] for job in jobs]

    def close(self) -> None:
        pass


def test_only_what_is_lacking_of_extensions_that_are_there_is_named() -> None:
    runner = Lacking("fli.h", "fli.s", "vadd.vv")
    assert lacks(runner, frozenset({"has_zfa"})) == (Lack(frozenset({"has_zfa"}), "fli.s"),)
    both = lacks(runner, frozenset({"has_zfa", "has_zfh"}))
    assert both == (Lack(frozenset({"has_zfa"}), "fli.s"), Lack(frozenset({"has_zfa", "has_zfh"}), "fli.h"))
    assert lacks(Lacking(), frozenset({"has_zfa", "has_v"})) == ()


def test_an_instruction_is_found_in_a_program() -> None:
    program = [FunctionCode("%f", RETURN), FunctionCode("%g", WORD + RETURN)]
    assert first_lacking("riscv64", {"fli.h", "fli.s"}, program) == "fli.h"
    assert first_lacking("riscv64", {"fli.s"}, program) == ""
    compressed = [FunctionCode("%f", bytes.fromhex("41118280"))]
    assert first_lacking("riscv64", {"addi"}, compressed) == ""
    assert first_lacking("riscv64", {"c.addi"}, compressed) == "c.addi"


def lacks_fli_h() -> bool:
    runner = opened("qemu", "riscv64")
    missing = any(lack.name == "fli.h" for lack in lacks(runner, probe(runner)))
    runner.close()
    return missing


@pytest.mark.needs_qemu
def test_the_pool_names_what_nobody_has(monkeypatch: pytest.MonkeyPatch) -> None:
    opened("qemu", "riscv64").close()
    monkeypatch.setattr(
        "liftcheck.runners.pool.lacks", lambda runner, has: (Lack(frozenset({"has_zfa", "has_zfh"}), "fli.h"),)
    )
    pool = RunnerPool()
    assert pool.pick(ZFA_ZFH, [FunctionCode("%f", WORD + RETURN)]) == "qemu lacks fli.h"
    assert not isinstance(pool.pick(ZFA_ZFH, [FunctionCode("%f", RETURN)]), str)
    assert not isinstance(pool.pick(Target("riscv64", (("has_zfa", "true"),)), [FunctionCode("%f", RETURN)]), str)
    assert pool.every(ZFA_ZFH, [FunctionCode("%f", WORD + RETURN)]) == []
    pool.close()


@pytest.mark.needs_compiler
@pytest.mark.needs_qemu
def test_a_program_with_a_lacking_instruction_is_skipped_by_name(capsys: pytest.CaptureFixture[str]) -> None:
    missing = lacks_fli_h()
    code = cli.main(["run", str(FLI_H)])
    printed = capsys.readouterr().out
    assert ("cannot be run here: qemu lacks fli.h" in printed, code) == (True, 2) if missing else (False, 0)
    assert cli.main(["test", str(FLI_H)]) == 0
    assert ("qemu lacks fli.h" in capsys.readouterr().out) == missing


@pytest.mark.needs_qemu
def test_an_instruction_that_no_probe_foresaw_is_named_where_a_run_stops() -> None:
    """fltq.d, which Cranelift does not emit and qemu 7.2 lacks; then one that is none."""
    runner = opened("qemu", "riscv64")
    programs = [[FunctionCode("%f", bytes.fromhex(word) + RETURN)] for word in ("53d5b5a2", "ffffffff", "731000c0")]
    image = link(programs, "riscv64")
    jobs = [Job(trampoline("riscv64"), image.entry(number, "%f"), SIGNATURE, [(1, 2, 3)]) for number in range(3)]
    (unforeseen,), (none,), (trap,) = runner.run(image, jobs)
    if unforeseen.kind != "returned":
        assert unforeseen == Outcome("unsupported", detail="qemu lacks fltq.d")
    assert (none.kind, trap.kind) == ("crashed", "crashed")
    runner.close()


def test_a_probe_is_a_function() -> None:
    assert Probe(frozenset({"has_zfa", "has_zfh"}), "fli.h", bytes.fromhex("530511f4") + RETURN) in probes("riscv64")
