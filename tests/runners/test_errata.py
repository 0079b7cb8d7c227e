"""Each row of the table of shortcomings is shown by its proof, found in code, and written in docs/runners.md."""

from __future__ import annotations

import faulthandler
import os
import signal
from pathlib import Path

import pytest
from support.runner_samples import RUNNERS, SIGNATURE, opened, trampoline

from liftcheck.case import FunctionCode, Outcome, Target
from liftcheck.clif.types import I64
from liftcheck.isa import ISAS
from liftcheck.isa.errata import Erratum
from liftcheck.oracles import compare
from liftcheck.runners.base import Runner
from liftcheck.runners.errata import first, of_isa, own_words
from liftcheck.runners.link import link
from liftcheck.runners.pool import Job, RunnerPool, open_runner
from liftcheck.runners.table import runners_of

TABLE = [row for isa in ISAS for row in of_isa(isa)]
PROVEN = [row for row in TABLE if row.proof is not None]
DEADLY = [row for row in TABLE if row.death is not None and row.runner != "unicorn"]
SUICIDAL = [row for row in TABLE if row.death is not None and row.runner == "unicorn"]
PAGE = Path(__file__).resolve().parents[2] / "docs" / "runners.md"


def result(runner: Runner, row: Erratum) -> int:
    assert row.proof is not None
    image = link([[FunctionCode("%f", bytes.fromhex(row.proof.code))]], row.isa)
    job = Job(trampoline(row.isa), image.entry(0, "%f"), SIGNATURE, [(*row.proof.arguments, 0)])
    (outcome,) = runner.run(image, [job])[0]
    assert outcome.kind == "returned"
    return outcome.values[0]


@pytest.mark.parametrize("row", PROVEN, ids=lambda row: f"{row.isa}: {row.name}")
def test_proof_shows_the_shortcoming(row: Erratum) -> None:
    """If this fails because the runner is right: its emulator was mended, delete the row."""
    assert row.proof is not None
    assert result(opened(row.runner, row.isa), row) == row.proof.wrong


@pytest.mark.needs_qemu
@pytest.mark.parametrize("row", PROVEN, ids=lambda row: f"{row.isa}: {row.name}")
def test_other_runners_are_right(row: Erratum) -> None:
    assert row.proof is not None
    others = [name for name in runners_of(row.isa) if name != row.runner]
    assert {name: result(opened(name, row.isa), row) for name in others} == dict.fromkeys(others, row.proof.right)


@pytest.mark.parametrize("row", PROVEN, ids=lambda row: f"{row.isa}: {row.name}")
def test_routed_rows_are_found_in_code(row: Erratum) -> None:
    assert row.proof is not None
    found = first(row.runner, row.isa, [FunctionCode("%f", bytes.fromhex(row.proof.code))], exact=True)
    assert found == ("" if row.harmless else f"{row.runner} gets {row.name} wrong")


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ("e14321b8", True),
        ("1f2003d5e14321b8", True),
        ("e143e178", True),
        ("e1536138", True),
        ("e14321f8", False),
        ("000000e14321b800", False),
        ("0000e14321b80000", False),
        ("00e14321b8000000", False),
    ],
    ids=["ldsmax", "behind nop", "ldsmaxalh", "ldsminlb", "64 bits", "at 3", "at 2", "at 1"],
)
def test_a_narrow_ldsmax_is_one_where_an_instruction_begins(code: str, found: bool) -> None:
    row = next(row for row in TABLE if row.isa == "aarch64" and row.pattern is not None)
    assert row.pattern is not None and row.confirm is not None
    data = bytes.fromhex(code)
    assert (row.pattern.search(data) is not None and row.confirm(data)) is found


def test_every_row_is_looked_for_or_says_why_not() -> None:
    assert all((row.pattern is None and row.whole is None) == bool(row.harmless) for row in TABLE)
    assert {(row.runner, row.isa) for row in TABLE} <= set(RUNNERS)
    assert all(row.isa == isa for isa in ISAS for row in of_isa(isa))


def test_the_page_has_every_row() -> None:
    page = PAGE.read_text()
    for row in TABLE:
        assert f"| {row.runner} | {row.isa} | {row.name} | {row.what} | {row.harmless or 'routed elsewhere'} |" in page


def test_pool_goes_round_a_shortcoming() -> None:
    row = next(row for row in PROVEN if not row.harmless and row.isa == "aarch64")
    assert row.proof is not None
    program = [FunctionCode("%f", bytes.fromhex(row.proof.code))]
    pool, target = RunnerPool("unicorn"), Target("aarch64", (("has_lse", "true"),))
    assert pool.pick(target, program) == f"emulator: unicorn gets {row.name} wrong"
    chosen = pool.pick(target, [])
    assert not isinstance(chosen, str)
    assert chosen.name == "unicorn"
    pool.close()


HIDING = [row for row in PROVEN if row.hides]


@pytest.mark.needs_qemu
@pytest.mark.parametrize("row", HIDING, ids=lambda row: f"{row.isa}: {row.name}")
def test_what_only_hides_faults_is_routed_elsewhere_if_anybody_else_runs_it(row: Erratum) -> None:
    """In votes, too: who sees no fault is no witness against one. Alone, it runs what it cannot see through."""
    assert row.proof is not None
    program = [FunctionCode("%f", bytes.fromhex(row.proof.code))]
    pool, alone, target = RunnerPool(), RunnerPool(row.runner), Target(row.isa)
    chosen, only = pool.pick(target, program), alone.pick(target, program)
    assert not isinstance(chosen, str) and chosen.name == "qemu"
    assert not isinstance(only, str) and only.name == row.runner
    assert [opener().name for opener in pool.every(target, program)] == ["qemu"]
    assert [opener().name for opener in alone.every(target, program)] == [row.runner]
    pool.close()
    alone.close()


@pytest.mark.parametrize("code", ["bf2303d5", "ff2303d5", "9f2303d5", "df2303d5", "9f2103d5", "df2103d5"])
def test_authentication_is_found_where_an_instruction_begins(code: str) -> None:
    assert first("unicorn", "aarch64", [FunctionCode("%f", bytes.fromhex(f"3f2303d5{code}"))])
    assert not first("unicorn", "aarch64", [FunctionCode("%f", bytes.fromhex(f"3f23{code}03d5"))])


def test_signing_alone_is_right_on_every_runner() -> None:
    assert not first("unicorn", "aarch64", [FunctionCode("%f", bytes.fromhex("3f2303d51f2103d57f2303d5c0035fd6"))])


RTZ = "577003cdd792334a67800000"
"""vsetivli zero, 6, e32, m1; vfcvt.rtz.x.f.v v5, v3; ret."""
RTZ_BEHIND_DYN = "577003cd5791310ad792334a67800000"
"""The same behind vfsub.vv, which takes the current rounding mode."""


@pytest.mark.needs_qemu
def test_qemu_dies_of_a_first_rounding_mode_of_its_own_alone() -> None:
    assert _outcome(opened("qemu", "riscv64"), RTZ_BEHIND_DYN).kind == "returned"
    assert first("qemu", "riscv64", [FunctionCode("%f", bytes.fromhex(RTZ_BEHIND_DYN))]) == ""


@pytest.mark.parametrize("row", DEADLY, ids=lambda row: f"{row.isa}: {row.name}")
def test_a_runner_that_dies_is_named_with_its_last_words(row: Erratum) -> None:
    """The death is the emulator's, so the code that it dies of is not a finding, and is found before it runs."""
    assert row.death is not None
    code, words = row.death
    program = [FunctionCode("%f", bytes.fromhex(code))]
    assert first(row.runner, row.isa, program) == f"{row.runner} gets {row.name} wrong"
    outcome = _outcome(opened(row.runner, row.isa), code)
    assert outcome == Outcome("unsupported", detail=f"emulator: {row.runner} for {row.isa} died: {words}")
    assert compare.compare(Outcome("returned", (1,)), outcome, (I64,)).kind == compare.UNDECIDED


@pytest.mark.parametrize("row", SUICIDAL, ids=lambda row: f"{row.isa}: {row.name}")
def test_a_runner_that_takes_our_process_along_is_never_given_such_code(row: Erratum) -> None:
    assert row.death is not None
    code, ending = row.death
    program = [FunctionCode("%f", bytes.fromhex(code))]
    assert first(row.runner, row.isa, program) == f"{row.runner} gets {row.name} wrong"
    child = os.fork()
    if child == 0:  # pragma: no cover
        faulthandler.disable()
        _outcome(open_runner(row.runner, row.isa), code)
        os._exit(0)
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.Signals[ending]


def test_last_words_are_an_emulators_own_or_the_guests() -> None:
    assert own_words("**\nERROR:../../tcg/tcg.c:3247: tcg fatal error\n") == "tcg/tcg.c:3247: tcg fatal error"
    assert (
        own_words("../tcg/tcg.c:4010: tcg fatal error\nqemu: uncaught target signal 6 (Aborted) - core dumped")
        == "tcg/tcg.c:4010: tcg fatal error"
    )
    assert (
        own_words("ERROR:../target/s390x/tcg/translate.c:1: code should not be reached\nBail out! ERROR:x")
        == "target/s390x/tcg/translate.c:1: code should not be reached"
    )
    assert own_words("qemu: uncaught target signal 11 (Segmentation fault) - core dumped\n") == ""
    assert own_words("malloc(): corrupted top size\n") == ""


def _outcome(runner: Runner, code: str) -> Outcome:
    image = link([[FunctionCode("%f", bytes.fromhex(code))]], runner.isa)
    job = Job(trampoline(runner.isa), image.entry(0, "%f"), SIGNATURE, [(0, 0, 0)])
    (outcome,) = runner.run(image, [job])[0]
    return outcome


def test_code_that_is_cut_off_has_no_overflow_condition() -> None:
    """agr, then half of a locgr that waits for an overflow; whole, it has one."""
    from liftcheck.isa.s390x.errata import _overflow_condition

    assert not _overflow_condition(bytes.fromhex("b9080012b9e2"))
    assert _overflow_condition(bytes.fromhex("b9080012b9e21034"))
    assert not _overflow_condition(bytes.fromhex("b9080012b9e24034"))
