"""`liftcheck verify`: what it proves and refutes, how it says so, and one message for whatever is wrong."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from support.scripts import ROOT

from liftcheck import cli
from liftcheck.campaign import verify
from liftcheck.campaign.report.verify import Place, Report
from liftcheck.case import CompileFailure, FailureKind, Target
from liftcheck.clif.ir import Signature
from liftcheck.compilers.cranelift.client import Cranelift
from liftcheck.isa import ISAS
from liftcheck.oracles.lifting.equal import Verdict
from liftcheck.oracles.lifting.examples import Example
from liftcheck.oracles.lifting.stubs import Made

CLIF = """\
function %f(i32, i32) -> i32 {
block0(v0: i32, v1: i32):
    v2 = iadd v0, v1
    v3 = imul v2, v0
    return v3
}
"""
OPEN = """\
function %g(i64) -> i64 {
block0(v0: i64):
    v1 = get_stack_pointer.i64
    v2 = iadd v0, v1
    return v2
}
"""
TARGETED = f"""\
test compile
set opt_level=speed
target aarch64
target riscv64 has_zba
target pulley64

{CLIF}
{OPEN}"""


def outcome(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    """Exit code, standard output, standard error."""
    code = cli.main(["verify", *words])
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


def compiling(monkeypatch: pytest.MonkeyPatch, isa: str, old: str, new: str) -> None:
    """Has the compiler compile another text for an ISA."""
    whole = Cranelift.compile_text

    def compile_text(self: Cranelift, text: str, targets: Sequence[Target], *more: Any, **named: Any) -> Any:
        right = whole(self, text, targets, *more, **named)
        wrong = whole(self, re.sub(old, new, text), targets, *more, **named)
        return [other if target.isa == isa else one for target, one, other in zip(targets, right, wrong)]

    monkeypatch.setattr(Cranelift, "compile_text", compile_text)


def failing(monkeypatch: pytest.MonkeyPatch, failure: CompileFailure) -> None:
    """Has the compiler compile nothing."""

    def compile_text(self: Cranelift, text: str, targets: Sequence[Target], *more: Any, **named: Any) -> Any:
        return [[failure] * text.count("function ") for _ in targets]

    monkeypatch.setattr(Cranelift, "compile_text", compile_text)


@pytest.mark.needs_compiler
def test_a_plain_file_is_proven_on_all_isas(capsys: pytest.CaptureFixture[str], plain: str) -> None:
    found = document(capsys, plain)
    assert found["command"] == "verify" and set(found["isas"]) == set(ISAS) and found["refuted"] == []
    assert (found["units"], found["files"], found["lost"]) == (len(ISAS), 1, [])
    for row in found["isas"].values():
        assert (row["functions"], row["equal"] + row["proven"], row["undecided"], row["refused"]) == (1, 1, {}, {})


@pytest.mark.needs_compiler
def test_a_file_with_targets_says_for_what(capsys: pytest.CaptureFixture[str], targeted: str) -> None:
    found = document(capsys, targeted)
    assert set(found["isas"]) == {"aarch64", "riscv64"}
    assert (found["units"], sum(found["skipped"].values()), found["lost"]) == (6, 2, [])
    assert [one["reason"] for one in found["undecided"]] == ["get_stack_pointer: it has no term"] * 2
    assert found["undecided"][1]["settings"] == {"has_zba": "true", "opt_level": "speed"}
    other = document(capsys, targeted, "--isa", "riscv64")
    assert set(other["isas"]) == {"riscv64"} and other["skipped"] == {} and other["units"] == 2


MEMORY = """\
function %f(i64, i32) -> i32 {
block0(v0: i64, v1: i32):
    v2 = load.i32 v0+8
    v3 = iadd v2, v1
    store v3, v0+16
    trapz v2, user5
    return v3
}
"""
CALLED = """\
function %f(i64, i32) -> i32 {
    sig0 = (i64, i32 sext) -> i32, i128
    fn0 = %one sig0
    fn1 = %two sig0
block0(v0: i64, v1: i32):
    v2, v3 = call fn0(v0, v1)
    v4, v5 = call fn1(v0, v1)
    v6 = ireduce.i32 v3
    v7 = iadd v4, v6
    return v7
}
"""
UNNAMED = Made("", Signature((), ()), (), ())
"""A call of what has no name."""
LEFT_OUT = "returned after 1 calls where the program has returned after 2 calls"
FAULTS = [
    (CLIF, "iadd", "isub", "result 1", "wrong result"),
    (MEMORY, r"(store\S*) v3", r"\1 v1", "memory", "wrong memory"),
    (MEMORY, r"v0\+16", "v0+20", "an access that the program has not", "wrong trap"),
    (MEMORY, r"store\S* v3", "istore16.i32 v3", "memory", "wrong memory"),
    (MEMORY, r"load.i32 v0\+8", "load.i32 user7 v0+8", "an access that the program has not", "wrong trap"),
    (CALLED, "iadd", "isub", "result 1", "wrong result"),
    (CALLED, "call fn1", "call fn0", "call 2: the callee", "wrong result"),
    (CALLED, r"fn1\(v0, v1\)", "fn1(v0, v2)", "call 2: argument 2", "wrong trap"),
    (CALLED, r"v4, v5 = call.*\n", r"v4 = iconst.i32 7\n", LEFT_OUT, "wrong result"),
    (MEMORY, "user5", "user6", "trapped user6 where the program has trapped user5", "wrong trap"),
]


@pytest.mark.needs_compiler
@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize(("text", "old", "new", "claim", "klass"), FAULTS, ids=[row[1] for row in FAULTS])
def test_wrong_code_is_refuted_and_run(
    capsys: pytest.CaptureFixture[str],
    plain: str,
    monkeypatch: pytest.MonkeyPatch,
    isa: str,
    text: str,
    old: str,
    new: str,
    claim: str,
    klass: str,
) -> None:
    Path(plain).write_text(text)
    monkeypatch.setattr(verify, "REDUCING", 0.0)
    compiling(monkeypatch, isa, old, new)
    found = document(capsys, plain, "--isa", isa, code=1)
    (one,) = found["refuted"]
    assert (one["function"], one["isa"], one["line"], one["claim"]) == ("%f", isa, 1, claim)
    assert len(one["inputs"]) == 2 and "function %f" in one["clif"] and found["unconfirmed"] == []
    ran = one["run"]
    assert ran["klass"] == klass and ran["runners"] and "; run: %" in ran["filetest"].replace("liftcheck: ", "")


@pytest.mark.needs_compiler
def test_a_refutation_is_shown_with_its_run_and_a_small_program(
    capsys: pytest.CaptureFixture[str], plain: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiling(monkeypatch, "riscv64", "iadd", "isub")
    code, out, _ = outcome(capsys, plain, "--isa", "riscv64", "--jobs", "1")
    assert code == 1
    for words in (
        f"{plain}:1: %f on riscv64 opt_level=speed: REFUTED: result 1 differs for %f(",
        "    program  0x",
        "    code     0x",
        "    run      wrong result on unicorn",
        "    suspect  v2 = iadd.i32 v0, v1: 0x",
        "subw a0, a0, a1",
        "test run\ntarget riscv64\n",
        "; run: %f(",
    ):
        assert words in out, out
    assert "imul" not in out


@pytest.mark.needs_compiler
@pytest.mark.parametrize(("keeps_text", "where"), [(False, "mid-end"), (True, "backend")])
def test_the_guilty_half_is_named(
    capsys: pytest.CaptureFixture[str], plain: str, monkeypatch: pytest.MonkeyPatch, keeps_text: bool, where: str
) -> None:
    """The code of another program, with its optimized CLIF or with that of the right one."""
    whole = Cranelift.compile_text

    def compile_text(self: Cranelift, text: str, targets: Sequence[Target], *more: Any, **named: Any) -> Any:
        right = whole(self, text, targets, *more, **named)
        made = whole(self, text.replace("iadd", "isub"), targets, *more, **named)
        for target, column, wrong in zip(targets, right, made):
            for number, (one, other) in enumerate(zip(column, wrong)):
                if target.isa == "aarch64" and dict(target.settings).get("opt_level") == "speed":
                    extra = {**other.extra, **({"clif": one.extra.get("clif")} if keeps_text else {})}
                    column[number] = dataclasses.replace(other, extra=extra)
        return right

    monkeypatch.setattr(Cranelift, "compile_text", compile_text)
    monkeypatch.setattr(verify, "REDUCING", 0.0)
    (one,) = document(capsys, plain, "--isa", "aarch64", code=1)["refuted"]
    (line,) = [line for line in one["run"]["blame"] if line.startswith("half ")]
    assert line.startswith(f"half     {where}: the optimized CLIF, interpreted, is ")
    assert ("proven to do what the optimized CLIF says" in line) == (where == "mid-end"), line


@pytest.mark.needs_compiler
def test_what_is_refuted_and_does_not_show_is_an_error_of_ours(
    capsys: pytest.CaptureFixture[str], plain: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A wrong row says that code is wrong which is right."""
    example = Example("result 1", (1, 2), 3, 4, 32)
    monkeypatch.setattr(verify, "prove", lambda *_: Verdict("refuted", "result 1", (example,)))
    found = document(capsys, plain, "--isa", "aarch64", code=3)
    (one,) = found["unconfirmed"]
    assert found["refuted"] == [] and one["ours"] and one["run"] is None
    assert one["reason"] == "a bug of liftcheck, please report it: its run agrees with the reference"
    assert found["isas"]["aarch64"]["unconfirmed"] == 1
    code, out, _ = outcome(capsys, plain, "--isa", "aarch64")
    assert code == 3 and "UNCONFIRMED" in out and "REFUTED" not in out


@pytest.mark.needs_compiler
@pytest.mark.parametrize(
    "change",
    [{"placed": False}, {"calls": (UNNAMED,)}, {"sees_later": True}, {"unseen": "why"}],
    ids=["placed", "calls", "sees_later", "unseen"],
)
def test_what_cannot_be_run_is_named(
    capsys: pytest.CaptureFixture[str], plain: str, monkeypatch: pytest.MonkeyPatch, change: dict[str, Any]
) -> None:
    example = Example("result 1", (1, 2), 3, 4, 32)._replace(**change)
    monkeypatch.setattr(verify, "prove", lambda *_: Verdict("refuted", "result 1", (example,)))
    found = document(capsys, plain, "--isa", "aarch64", code=3)
    (one,) = found["unconfirmed"]
    assert not one["ours"] and one["reason"].startswith("not run: ")


@pytest.mark.needs_compiler
@pytest.mark.needs_qemu
def test_a_known_fault_has_its_page(capsys: pytest.CaptureFixture[str]) -> None:
    file = ROOT / "corpus" / "regressions" / "riscv64-swizzle-of-splat.clif"
    (one,) = document(capsys, str(file), code=1)["refuted"]
    assert one["run"]["fault"] == "docs/findings/riscv64-swizzle-of-splat.md"


@pytest.mark.needs_compiler
@pytest.mark.parametrize("kind", ["timeout", "unsupported"])
def test_a_compilation_that_does_not_end_is_undecided_and_no_refusal(
    capsys: pytest.CaptureFixture[str], plain: str, monkeypatch: pytest.MonkeyPatch, kind: FailureKind
) -> None:
    failing(monkeypatch, CompileFailure(kind, "why", ""))
    found = document(capsys, plain, "--isa", "s390x")
    row, reasons = found["isas"]["s390x"], {f"{kind}: why": 1}
    ended = kind != "timeout"
    assert (row["undecided"], row["refused"]) == ({} if ended else reasons, reasons if ended else {})
    assert [one["reason"] for one in found["refused" if ended else "undecided"]] == [f"{kind}: why"]


@pytest.mark.needs_compiler
def test_the_sum_of_verdicts_is_held_against_the_functions(
    capsys: pytest.CaptureFixture[str], targeted: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Report, "holds", lambda self, place, verdict: self.row(place.target.isa))
    code, out, _ = outcome(capsys, targeted)
    assert code == 2 and "but 4 verdicts: a bug of liftcheck's" in out


@pytest.mark.needs_compiler
def test_a_fault_of_ours_costs_one_file_only(
    capsys: pytest.CaptureFixture[str], plain: str, targeted: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = Report.holds

    def broken(self: Report, place: Place, verdict: str) -> None:
        if place.file == plain:
            raise ZeroDivisionError("planted")
        whole(self, place, verdict)

    monkeypatch.setattr(Report, "holds", broken)
    found = document(capsys, str(Path(plain).parent), "--isa", "aarch64", code=2)
    assert found["isas"]["aarch64"]["functions"] == 2
    assert len(found["lost"]) == 1 and "ZeroDivisionError: planted" in found["lost"][0]


@pytest.mark.needs_compiler
def test_a_folder_is_spread_over_processes(capsys: pytest.CaptureFixture[str], plain: str, targeted: str) -> None:
    folder = str(Path(plain).parent)
    alone = document(capsys, folder)
    code, out, _ = outcome(capsys, folder, "--jobs", "2", "--json")
    together = json.loads(out)
    assert code == 0 and alone["files"] == together["files"] == 2
    for found in (alone, together):
        for row in found["isas"].values():
            del row["seconds"]
    assert alone["isas"] == together["isas"] and alone["undecided"] == together["undecided"]


@pytest.mark.needs_compiler
def test_rules_become_reports_and_a_page(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    names = {name: str(tmp_path / name) for name in ("junit", "sarif", "markdown", "html")}
    words = [word for name, path in names.items() for word in (f"--{name}", path)]
    rule = "riscv64/lower.isle:2990"
    code, out, err = outcome(capsys, "--rules", rule, "--isa", "riscv64", "--instances", "1", "--jobs", "1", *words)
    assert code == 1 and "REFUTED" in out and f"{names['html']}: written" in err
    texts = {name: Path(path).read_text(encoding="utf-8") for name, path in names.items()}
    place = json.loads(texts["sarif"])["runs"][0]["results"][0]["locations"][0]["physicalLocation"]
    assert place["artifactLocation"] == {"uri": "src/isa/riscv64/lower.isle", "uriBaseId": "CRANELIFT_CODEGEN"}
    assert place["region"] == {"startLine": 2990}
    assert 'line="2990"' in texts["junit"] and "swizzle" in texts["markdown"]
    assert re.search(r'class="is-refuted"><i>1×</i>\(rule 1 \(lower \(swizzle', texts["html"])


@pytest.mark.needs_compiler
@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([], "name files or folders, or --rules"),
        (["--rules"], "one ISA, by --isa"),
        (["--rules", "--isa", "riscv64", "--html", "/nowhere/x.html"], "--html: cannot write '/nowhere/x.html'"),
        ([__file__, "--html", "x.html"], "belong to --rules"),
        ([__file__, "--rules", "iadd"], "no files beside it"),
        ([__file__, "--fresh"], "belong to --rules"),
        (["--changed"], "neither a wasmtime checkout"),
        (["--changed", "--compiler", "cranelift@0.135.8"], "cranelift@0.135.8 is no checkout"),
        (["--changed", "HEAD", "--against", "cranelift@0.135.8"], "one of them"),
        (["--against", "cranelift@0.135.8", "--html", "x.html"], "--html belongs to --rules"),
        (["--against", "cranelift@0.135.8", "--rules"], "neither files nor --rules"),
        ([__file__, "--compiler", "gcc"], "no compiler called 'gcc'"),
        ([__file__, "--set", "no_such_thing"], "no_such_thing"),
        (["/nowhere/x.clif"], "no such file or folder"),
    ],
)
def test_wrong_usage_is_one_message(capsys: pytest.CaptureFixture[str], words: list[str], expected: str) -> None:
    code, out, err = outcome(capsys, *words)
    assert (code, out) == (2, "") and expected in err and err.count("\n") <= 2 and "bug in liftcheck" not in err


@pytest.mark.needs_compiler
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"\xff\xfe", ":1:1: byte 0xff is not UTF-8 text"),
        (b"function %f() {\nblock0:\n    v1 = frobnicate v0\n    return\n}\n", "frobnicate"),
        (b"", "no function"),
        (b"test compile\ntarget pulley64\n\nfunction %f() {\nblock0:\n    return\n}\n", "no function for the ISAs"),
    ],
)
def test_a_file_without_anything_to_verify_is_one_message(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, text: bytes, expected: str
) -> None:
    path = tmp_path / "bad.clif"
    path.write_bytes(text)
    code, out, err = outcome(capsys, str(path))
    assert (code, out) == (2, "") and expected in err
