"""`liftcheck regalloc`: what it validates, how it says what it found, and one message for whatever is wrong."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from liftcheck import cli
from liftcheck.campaign.report.regalloc import Refuted, Report, refutations, tables
from liftcheck.case import CompileFailure, FailureKind, Target
from liftcheck.compilers.cranelift.capture import PlantedFault
from liftcheck.compilers.cranelift.client import Cranelift
from liftcheck.isa import ISAS
from liftcheck.oracles.regalloc.verdict import UNDECIDED, VALID, Counterexample, Counts, Verdict, refuted
from liftcheck.regalloc.allocation import Captured

CLIF = """\
function %f(i64, i64) -> i64 {
    sig0 = (i64) -> i64
    fn0 = %g sig0
block0(v0: i64, v1: i64):
    v2 = call fn0(v0)
    v3 = iadd v2, v1
    v4 = isub v3, v0
    return v4
}
"""
TARGETED = f"""\
test compile
set opt_level=speed
target aarch64
target riscv64 has_zba
target pulley64

{CLIF}"""


def outcome(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    """Exit code, standard output, standard error."""
    code = cli.main(["regalloc", *words])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def document(capsys: pytest.CaptureFixture[str], *words: str, code: int = 0) -> dict[str, Any]:
    got, out, err = outcome(capsys, *words, "--json", "--jobs", "1")
    assert got == code, err
    loaded = json.loads(out)
    assert isinstance(loaded, dict)
    return loaded


@pytest.fixture
def plain(tmp_path: Path) -> str:
    path = tmp_path / "plain.clif"
    path.write_text(CLIF)
    return str(path)


@pytest.fixture
def targeted(tmp_path: Path) -> str:
    path = tmp_path / "targeted.clif"
    path.write_text(TARGETED)
    return str(path)


@pytest.fixture
def faulty(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Every function loses a move between allocator and code."""
    whole = Cranelift.allocations

    def spoiled(self: Cranelift, *args: Any, **more: Any) -> list[list[Captured | CompileFailure]]:
        return whole(self, *args, fault=PlantedFault("drop-edit", 0), **more)

    monkeypatch.setattr(Cranelift, "allocations", spoiled)
    yield


@pytest.mark.needs_compiler("regalloc")
def test_a_plain_file_is_validated_on_all_isas_with_both_allocators(
    capsys: pytest.CaptureFixture[str], plain: str
) -> None:
    found = document(capsys, plain)
    assert found["command"] == "regalloc" and set(found["isas"]) == set(ISAS) and found["invalid"] == []
    for rows in found["isas"].values():
        assert set(rows) == {"backtracking", "single_pass"}
        for row in rows.values():
            assert (row["functions"], row["valid"], row["undecided"], row["refused"]) == (1, 1, {}, {})
            assert row["obligations"] > 0 and row["by_z3"] == 0
            assert row["machine_instructions"] > row["instructions"] / 2
    for isa in ("x86-64", "aarch64"):  # their readers of operands leave jumps alone
        words = found["isas"][isa]["backtracking"]["uncompared"]
        assert set(words) <= {"jmp", "b"} or all(word[0] in "jb" for word in words)


@pytest.mark.needs_compiler("regalloc")
def test_a_file_with_targets_says_for_what(capsys: pytest.CaptureFixture[str], targeted: str) -> None:
    found = document(capsys, targeted)
    assert set(found["isas"]) == {"aarch64", "riscv64"}
    assert (sum(found["skipped"].values()), found["lost"], found["pairs"]) == (2, [], summed(found))
    other = document(capsys, targeted, "--isa", "riscv64")
    assert set(other["isas"]) == {"riscv64"} and other["skipped"] == {} and other["pairs"] == summed(other)


@pytest.mark.needs_compiler("regalloc")
@pytest.mark.parametrize("kind", ["timeout", "unsupported"])
def test_a_compilation_that_does_not_end_is_undecided_and_no_refusal(
    capsys: pytest.CaptureFixture[str], plain: str, monkeypatch: pytest.MonkeyPatch, kind: FailureKind
) -> None:
    whole = Cranelift.allocations

    def failing(self: Cranelift, *args: Any, **more: Any) -> list[list[Captured | CompileFailure]]:
        replies = whole(self, *args, **more)
        return [[CompileFailure(kind, "why", "")] * len(row) for row in replies]

    monkeypatch.setattr(Cranelift, "allocations", failing)
    found = document(capsys, plain, "--isa", "s390x", "--algorithm", "single_pass")
    row, reasons = found["isas"]["s390x"]["single_pass"], {f"{kind}: why": 1}
    ended = kind != "timeout"
    assert (row["valid"], row["undecided"], row["refused"]) == (0, {} if ended else reasons, reasons if ended else {})
    assert found["pairs"] == summed(found) == 1 and found["lost"] == []
    assert [one["reason"] for one in found["refused" if ended else "undecided"]] == [f"{kind}: why"]


def summed(found: dict[str, Any]) -> int:
    """All verdicts of a document."""
    rows = [row for isa in found["isas"].values() for row in isa.values()]
    return sum(row["functions"] + sum(row["refused"].values()) for row in rows) + sum(found["skipped"].values())


@pytest.mark.needs_compiler("regalloc")
def test_the_sum_of_verdicts_is_held_against_the_functions(
    capsys: pytest.CaptureFixture[str], targeted: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, out, _ = outcome(capsys, targeted)
    assert code == 0 and "functions on targets: " in out
    monkeypatch.setattr(Report, "count", lambda self, unit, function, line, target, verdict: self.row(target))
    code, out, _ = outcome(capsys, targeted)
    assert code == 2 and "but 2 verdicts: a bug of liftcheck's" in out


@pytest.mark.needs_compiler("regalloc")
def test_a_fault_of_ours_costs_one_file_only(
    capsys: pytest.CaptureFixture[str], plain: str, targeted: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = Report.count

    def broken(self: Report, unit: str, *more: Any) -> None:
        if unit == plain:
            raise ZeroDivisionError("planted")
        whole(self, unit, *more)

    monkeypatch.setattr(Report, "count", broken)
    found = document(capsys, str(Path(plain).parent), code=2)
    assert found["isas"]["aarch64"]["backtracking"]["valid"] == 1
    assert len(found["lost"]) == 1 and "ZeroDivisionError: planted" in found["lost"][0]


@pytest.mark.needs_compiler("regalloc")
def test_levels_settings_and_allocators_can_be_chosen(capsys: pytest.CaptureFixture[str], plain: str) -> None:
    found = document(
        capsys, plain, "--isa", "x86-64", "--opt", "none,speed", "--algorithm", "single_pass", "--set", "has_avx2"
    )
    assert found["isas"]["x86-64"]["single_pass"]["functions"] == 2 and len(found["isas"]["x86-64"]) == 1


@pytest.mark.needs_compiler("regalloc")
def test_z3_decides_everything_if_asked(capsys: pytest.CaptureFixture[str], plain: str) -> None:
    row = document(capsys, plain, "--isa", "aarch64", "--z3-only")["isas"]["aarch64"]["backtracking"]
    assert row["valid"] == 1 and row["by_z3"] >= row["obligations"] / 2 > 0


@pytest.mark.needs_compiler("regalloc")
def test_a_folder_is_searched_and_spread_over_processes(
    capsys: pytest.CaptureFixture[str], plain: str, targeted: str
) -> None:
    folder = str(Path(plain).parent)
    alone = document(capsys, folder)
    code, out, _ = outcome(capsys, folder, "--jobs", "2", "--json")
    together = json.loads(out)
    assert code == 0 and alone["units"] == together["units"] == 2
    counts = ("functions", "valid", "instructions", "machine_instructions", "obligations")
    for isa, rows in alone["isas"].items():
        for name, row in rows.items():
            assert [row[key] for key in counts] == [together["isas"][isa][name][key] for key in counts]


@pytest.mark.needs_compiler("regalloc")
def test_generated_programs_are_validated(capsys: pytest.CaptureFixture[str]) -> None:
    found = document(capsys, "--generate", "3", "--isa", "aarch64", "--seed", "3")
    row = found["isas"]["aarch64"]["single_pass"]
    assert found["units"] == 3 and found["troubles"] == [] and row["functions"] >= 3
    again = document(capsys, "--generate", "3", "--isa", "aarch64", "--seed", "3")
    assert again["isas"]["aarch64"]["single_pass"]["instructions"] == row["instructions"]


@pytest.mark.needs_compiler("regalloc")
@pytest.mark.usefixtures("faulty")
def test_a_refuted_allocation_is_shown_with_its_function(capsys: pytest.CaptureFixture[str], plain: str) -> None:
    code, out, _ = outcome(capsys, plain, "--isa", "aarch64", "--algorithm", "backtracking", "--jobs", "1")
    assert code == 1
    for words in (f"{plain}: %f on aarch64", "INVALID", "path:     block0", "expected: it reads v", "%v", "iadd"):
        assert words in out
    found = document(capsys, plain, "--isa", "aarch64", "--algorithm", "backtracking", code=1)
    assert found["isas"]["aarch64"]["backtracking"]["invalid"] == 1
    one = found["invalid"][0]
    assert one["reason"] == one["counterexample"]["rule"] and one["counterexample"]["path"] == [0]
    assert any("instruction" in line for line in one["counterexample"]["code"])
    assert one["settings"]["regalloc_algorithm"] == "backtracking" and one["clif"].startswith("function %f")


@pytest.mark.needs_compiler("regalloc")
@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([], "name files or folders, or --generate N"),
        (["a.clif", "--generate", "3"], "one of the two"),
        (["a.clif", "--seed", "3"], "belong to --generate"),
        (["--generate", "0"], "at least 1"),
        (["--generate", "1", "--algorithm", "linear"], "unknown register allocator 'linear'"),
        (["--generate", "1", "--algorithm", "singel_pass"], "did you mean single_pass?"),
        (["--generate", "1", "--set", "regalloc_algorithm=single_pass"], "say --algorithm instead"),
        (["--generate", "1", "--set", "no_such_thing"], "no_such_thing"),
        (["--generate", "1", "--profile", "nonsense"], "nonsense"),
        (["--generate", "1", "--compiler", "gcc"], "no compiler called 'gcc'"),
        ([__file__, "--compiler", "gcc"], "no compiler called 'gcc'"),
        (["/nowhere/x.clif"], "no such file or folder"),
    ],
)
def test_wrong_usage_is_one_message(capsys: pytest.CaptureFixture[str], words: list[str], expected: str) -> None:
    code, out, err = outcome(capsys, *words)
    assert (code, out) == (2, "") and expected in err and err.count("\n") <= 2 and "bug in liftcheck" not in err


@pytest.mark.needs_compiler("regalloc")
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"\xff\xfe", ":1:1: byte 0xff is not UTF-8 text"),
        (b"function %f() {\nblock0:\n    v1 = frobnicate v0\n    return\n}\n", "frobnicate"),
        (b"", "no function"),
        (b"test compile\ntarget pulley64\n\nfunction %f() {\nblock0:\n    return\n}\n", "no function for the ISAs"),
    ],
)
def test_a_file_without_anything_to_validate_is_one_message(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, text: bytes, expected: str
) -> None:
    path = tmp_path / "bad.clif"
    path.write_bytes(text)
    code, out, err = outcome(capsys, str(path))
    assert (code, out) == (2, "") and expected in err


@pytest.mark.needs_compiler("regalloc")
def test_a_bad_file_among_good_ones_is_named(capsys: pytest.CaptureFixture[str], plain: str) -> None:
    (Path(plain).parent / "bad.clif").write_text("function %f(")
    code, out, _ = outcome(capsys, str(Path(plain).parent), "--isa", "aarch64", "--jobs", "1")
    assert code == 2 and "bad.clif" in out and "aarch64" in out


def test_equal_refutations_are_shown_twice_and_counted() -> None:
    example = Counterexample("a use reads another value", 0, (0,), 1, "add", "this", "that")
    report = Report(units=4)
    for number in range(4):
        target = Target("aarch64", (("regalloc_algorithm", "single_pass"),))
        report.count(f"case {number}", "%f", 0, target, refuted(example, Counts(1, 2)))
        report.refuted.append(Refuted(f"case {number}", "%f", target, refuted(example, Counts()), "function %f"))
    texts = list(refutations(report))
    assert sum("expected: this" in text for text in texts) == 2 and sum("INVALID" in text for text in texts) == 4
    console = Console(width=140, record=True, file=io.StringIO())
    console.print(tables(report))
    text = console.export_text()
    assert "invalid, by reason:" in text and "4  aarch64: a use reads another value" in text
    assert report.exit_code == 1 and report.rows["aarch64", "single_pass"].counts.machine_instructions == 8


def test_reports_add_up() -> None:
    one, two = Report(units=1), Report(units=2)
    target = Target("s390x", (("regalloc_algorithm", "backtracking"),))
    one.count("a.clif", "%f", 7, target, Verdict(UNDECIDED, "code: something", None, Counts(5, 7, 9, 1, 0.5)))
    two.count("b.clif", "%g", 1, target, Verdict(VALID, counts=Counts(1, 1, 1, 0, 0.5)))
    two.refuse("b.clif", "%h", 9, target, "unsupported: that")
    one.add(two)
    row = one.rows["s390x", "backtracking"]
    assert (one.units, row.functions, row.valid, row.speed) == (3, 2, 1, 8.0)
    found = row.document()
    assert found["undecided"] == {"code: something": 1} and found["refused"] == {"unsupported: that": 1}
    assert one.exit_code == 0
    found = one.document()
    wanted = {"isa": "s390x", "allocator": "backtracking", "settings": {"regalloc_algorithm": "backtracking"}}
    assert found["undecided"] == [
        {"unit": "a.clif", "function": "%f", "line": 7, "reason": "code: something", **wanted}
    ]
    assert found["refused"] == [
        {"unit": "b.clif", "function": "%h", "line": 9, "reason": "unsupported: that", **wanted}
    ]
