"""A limit of ours is not a fault of the compiler's: slow programs are run longer, endless ones are still found."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
import time
from pathlib import Path

import pytest
from support import campaign_hooks
from support.runner_samples import RUNNERS, SAMPLES, SIGNATURE, one_of_each, opened, trampoline

from liftcheck import cli
from liftcheck.campaign.findings.investigate import Investigator
from liftcheck.campaign.options import FuzzOptions
from liftcheck.campaign.run import fuzz
from liftcheck.case import Case, FunctionCode, Outcome, Relocation, Target
from liftcheck.clif.text.parser import parse_module
from liftcheck.commands import options
from liftcheck.compilers.base import Compiler
from liftcheck.isa import ISAS
from liftcheck.oracles import compare
from liftcheck.oracles.confirm import OutOfTime, vote_of
from liftcheck.oracles.differential import Judge
from liftcheck.oracles.hooks import Hooks
from liftcheck.oracles.rounds import NO_TIME
from liftcheck.oracles.tally import Tally
from liftcheck.runners import patience
from liftcheck.runners.link import link
from liftcheck.runners.pool import Job, RunnerPool

SLOW = Path(__file__).resolve().parents[2] / "corpus" / "run" / "slow.clif"
LOOP = """
function %loop(i64) -> i64 system_v {
block0(v0: i64):
    v1 = iconst.i64 0
    jump block1(v0, v1)

block1(v2: i64, v3: i64):
    v4 = bxor v3, v2
    v5 = iconst.i64 1
    v6 = isub v2, v5
    v7 = icmp ne v6, v1
    brif v7, block1(v6, v4), block2

block2:
    return v4
}
"""
BROKEN = LOOP.replace("icmp ne v6, v1", "icmp ne v1, v5")
"""Its exit test never holds, while its counter goes on: no state of the machine comes again."""


def loop_case(rounds: int, text: str = LOOP) -> Case:
    return Case(parse_module(text), 0, ((3,), (rounds,)))


def targets(isa: str) -> list[Target]:
    return [Target(isa, (("opt_level", level),)) for level in ("none", "speed")]


def broken(compiler: Compiler, isa: str) -> Hooks:
    """The compiler gives the code of a loop whose exit test is broken."""

    def fault(code: FunctionCode, target: Target) -> FunctionCode:
        if target.isa != isa:
            return code
        (other,) = compiler.compile_text(BROKEN, [target])[0]
        assert isinstance(other, FunctionCode)
        return dataclasses.replace(other, name=code.name)

    return Hooks(code=fault)


@pytest.mark.parametrize("isa", ISAS)
def test_a_loop_whose_exit_test_is_broken_is_endless(compiler: Compiler, runners: RunnerPool, isa: str) -> None:
    judge = Judge(compiler, runners, broken(compiler, isa))
    case, tally = loop_case(2000), Tally()
    suspects = judge.judge([case], targets(isa), tally)
    found = Investigator(judge, runners).investigate(case, suspects, tally)
    assert [finding.klass for finding in found] == [compare.ENDLESS]
    assert "makes no progress" in found[0].detail


@pytest.mark.parametrize("isa", ISAS)
def test_without_the_time_to_prove_it_it_is_undecided(compiler: Compiler, runners: RunnerPool, isa: str) -> None:
    tally = Tally()
    judge = Judge(compiler, runners, broken(compiler, isa), longest=0.2)
    assert judge.judge([loop_case(2000)], targets(isa)[:1], tally) == []
    ((where, reason),) = tally.undecided
    assert where == isa
    assert reason.startswith("time: not ended after 0.2 s")


@pytest.mark.parametrize("isa", ISAS)
def test_a_slow_program_agrees(
    compiler: Compiler, runners: RunnerPool, isa: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its rows do not end in the little time that a runner gives by itself."""
    tried: list[float] = []
    alone = patience._alone
    monkeypatch.setattr(patience, "_alone", lambda job, number: (tried.append(number), alone(job, number))[1])
    case = loop_case(200_000)
    pool = _Impatient(runners)
    tally = Tally()
    assert Judge(compiler, pool).judge([case], targets(isa), tally) == []
    assert tally.agreed[isa] == 2
    assert not tally.undecided
    assert tried


class _Impatient:
    """Runners that say of every row that it did not end, unless they are told how long it may take."""

    def __init__(self, pool: RunnerPool) -> None:
        self.pool = pool

    def pick(self, target: Target, program: list[FunctionCode]) -> object:
        runner = self.pool.pick(target, program)
        assert not isinstance(runner, str)
        return _ImpatientRunner(runner)


class _ImpatientRunner:
    def __init__(self, runner: object) -> None:
        self.runner, self.name, self.isa = runner, runner.name, runner.isa  # type: ignore[attr-defined]

    def run(self, image: object, jobs: list[Job], seconds: float = 0.0, until: float = 0.0) -> list[list[Outcome]]:
        if not seconds:
            return [[Outcome("out_of_fuel")] * len(job.inputs) for job in jobs]
        return self.runner.run(image, jobs, seconds)  # type: ignore[attr-defined, no-any-return]


@pytest.mark.parametrize(("name", "isa"), one_of_each(RUNNERS))
def test_a_runner_gives_the_time_it_is_told_to(name: str, isa: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "AT_LEAST", 0.05)
    runner = opened(name, isa)
    program = [FunctionCode("%f", SAMPLES[isa].faults["endless"])]
    image = link([program], isa)
    job = Job(trampoline(isa), image.entry(0, "%f"), SIGNATURE, [(1, 2, 3), (4, 5, 6)])
    short = runner.run(image, [job])[0]
    assert [outcome.kind for outcome in short] == ["out_of_fuel"] * 2
    assert all(outcome.detail.startswith("time: ") for outcome in short)
    proven = patience.longer(runner, image, job, short, program, lambda _: 10)
    assert [outcome.kind for outcome in proven] == ["endless", "out_of_fuel"]
    assert "where the reference executed 10 instructions" in proven[0].detail
    unproven = patience.longer(runner, image, job, short, program, lambda _: None, 0.1)
    assert [outcome.kind for outcome in unproven] == ["out_of_fuel"] * 2
    assert unproven[0].detail == "time: not ended after 0.1 s of processor time"
    runner.close()


def test_what_is_enough_grows_with_what_was_executed_and_with_the_code() -> None:
    small = [FunctionCode("%f", bytes(100))]
    assert patience.enough(0, small) < 1
    assert patience.enough(1_000_000, small) > 10
    assert patience.enough(0, [FunctionCode("%f", bytes(1_000_000))]) > 10
    copies = dataclasses.replace(small[0], relocations=(Relocation(0, "Abs8", "libcall:Memcpy", 0),))
    assert patience.enough(1000, [copies]) > 10 > patience.enough(1000, small)


@pytest.mark.needs_compiler
def test_slow_programs_run_everywhere(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["run", str(SLOW)]) == 0
    assert capsys.readouterr().out.count("; as expected") == 4 * len(ISAS)


@pytest.mark.needs_compiler
def test_what_the_reference_has_no_fuel_for_is_undecided(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["run", str(SLOW), "--fuel", "500", "--isa", "x86-64"]) == 0
    printed = capsys.readouterr().out
    assert printed.count("undecided: the reference says out_of_fuel 500 instructions, see --fuel; as expected") == 2
    assert "DISAGREES" not in printed
    assert cli.main(["interpret", str(SLOW), "--fuel", "500"]) == 0
    assert capsys.readouterr().out.count("undecided: not ended in the instructions of --fuel") == 2
    assert cli.main(["test", str(SLOW), "--fuel", "500", "--isa", "x86-64"]) == 0
    assert "2  time: not ended in the processor time or the fuel that it got" in capsys.readouterr().out


@pytest.mark.needs_compiler
def test_a_run_that_takes_longer_than_one_waits_is_undecided(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = tmp_path / "slow.clif"
    path.write_text(LOOP.strip() + "\n; run: %loop(1) == 1\n; run: %loop(100000000000) == 5\n")
    began = ["run", str(path), "--time", "300ms", "--fuel", "10000"]
    assert cli.main(began) == 0
    printed = capsys.readouterr().out
    assert printed.count("= out_of_fuel time: not ended after 0.3 s of processor time  ; undecided") == len(ISAS)
    assert "DISAGREES" not in printed
    assert "WRONG" not in printed
    path.write_text("test run\ntarget aarch64\n" + path.read_text())
    assert cli.main(["test", str(path), *began[2:]]) == 0
    assert "1 passed, 0 failed, 1 undecided, 0 skipped" in capsys.readouterr().out


def test_options_state_the_same_patience() -> None:
    assert patience.Patience(options.FUEL, options.LONGEST) == patience.Patience()


@pytest.mark.needs_compiler
def test_a_chain_of_divisions_runs_in_seconds() -> None:
    """Nearly all its time is an emulator's translation."""
    count = 12_000
    lines = ["function %f(f64, i32) -> i32 system_v {", "block0(v0: f64, v1: i32):", "    v2 = fcvt_to_sint.i32 v0"]
    lines += [f"    v{number} = sdiv v{number - 1}, v1" for number in range(3, count + 3)]
    lines += [f"    return v{count + 2}", "}", "; run: %f(0x1.8p10, 1) == 1536"]
    done = subprocess.run(
        [sys.executable, "-m", "liftcheck", "run", "-"],
        input="\n".join(lines),
        text=True,
        capture_output=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stdout.count("= 1536  ; as expected")) == (0, len(ISAS))


@pytest.mark.parametrize(("name", "isa"), one_of_each(RUNNERS))
def test_a_call_ends_when_it_is_told_to_however_many_do_not(name: str, isa: str) -> None:
    runner = opened(name, isa)
    program = [FunctionCode("%f", SAMPLES[isa].faults["endless"])]
    image = link([program], isa)
    job = Job(trampoline(isa), image.entry(0, "%f"), SIGNATURE, [(1, 2, 3)] * 8)
    runner.run(image, [job._replace(inputs=[(1, 2, 3)])])
    started = time.monotonic()
    outcomes = runner.run(image, [job] * 60, until=started + 0.15)
    assert time.monotonic() - started < 5.0
    kinds = [outcome for rows in outcomes for outcome in rows]
    assert len(kinds) == 480 and {outcome.kind for outcome in kinds} == {"out_of_fuel"}
    assert kinds[-1].detail == "time: not run"
    (again,) = runner.run(image, [job._replace(inputs=[(1, 2, 3)])])[0]
    assert again.detail.startswith("time: not ended after")
    runner.close()


@pytest.mark.needs_qemu
def test_after_its_deadline_a_judge_runs_nothing_and_says_so(compiler: Compiler, runners: RunnerPool) -> None:
    judge, tally = Judge(compiler, runners), Tally()
    judge.deadline = time.monotonic()
    case = Case(parse_module(LOOP, "loop"), 0, ((3,),))
    assert judge.judge([case], [Target("x86-64"), Target("s390x")], tally) == []
    assert dict(tally.undecided) == {("x86-64", NO_TIME): 1, ("s390x", NO_TIME): 1}
    with pytest.raises(OutOfTime):
        vote_of(judge, case, Target("x86-64"), opened("unicorn", "x86-64"))


@pytest.mark.needs_compiler
@pytest.mark.needs_qemu
def test_a_campaign_ends_in_time_though_half_of_all_programs_do_not() -> None:
    report = fuzz(FuzzOptions(cases=None, seconds=8.0, seed=3, jobs=1), hooks=campaign_hooks.half_never_ends)
    assert report.seconds < 18.0
    assert report.tally.programs > 0
    assert sum(report.tally.undecided.values()) > 0
