"""`liftcheck blame`: each part with a planted fault, the whole as a user has it, what it cannot say."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from liftcheck import cli
from liftcheck.campaign import blame
from liftcheck.campaign.findings import blamed, store, versions
from liftcheck.campaign.findings.culprit import culprit
from liftcheck.campaign.findings.finding import Finding
from liftcheck.campaign.findings.investigate import Investigator
from liftcheck.campaign.findings.matters import ALLOCATOR, Asked, State, matters, needed
from liftcheck.campaign.findings.versions import bisected, boundary, candidates
from liftcheck.case import Case, CompileFailure, FunctionCode, Target
from liftcheck.clif.text.parser import parse_module
from liftcheck.compilers.cranelift.client import Cranelift
from liftcheck.isa import ISAS
from liftcheck.oracles import compare
from liftcheck.oracles.differential import Judge
from liftcheck.oracles.hooks import Hooks
from liftcheck.oracles.tally import Tally
from liftcheck.runners.pool import RunnerPool

CORPUS = Path(__file__).resolve().parents[2] / "corpus" / "regressions"
PROGRAM = """
function %f(i64, i64) -> i64 system_v {
block0(v0: i64, v1: i64):
    v2 = iadd v0, v1
    v3 = bxor v2, v1
    v4 = imul v3, v0
    return v4
}
"""
OR_FOR_XOR = {
    "x86-64": ((b"\x48\x33", b"\x48\x0b"),),
    "aarch64": ((b"\xca", b"\xaa"),),
    "riscv64": tuple((bytes([a, b]), bytes([a, b | 0x20])) for a in (0x33, 0xB3) for b in (0x45, 0xC5)),
    "s390x": ((b"\xb9\x82", b"\xb9\x81"), (b"\xb9\xe7", b"\xb9\xe6")),
}
FLIPPED = {"x86-64": "83f001c3", "aarch64": "00004052c0035fd6", "riscv64": "1345150067800000"}


def case_of(text: str = PROGRAM) -> Case:
    return Case(parse_module(text), 0, ((5, 9),), name="planted")


def or_for_xor(code: FunctionCode, target: Target) -> FunctionCode:
    changed = code.code
    for old, new in OR_FOR_XOR[target.isa]:
        changed = changed.replace(old, new)
    return code if code.name.startswith("%trampoline") else dataclasses.replace(code, code=changed)


def flipped(code: FunctionCode) -> FunctionCode:
    """A wrong lowest bit, on x86-64."""
    return dataclasses.replace(code, code=code.code.removesuffix(b"\xc3") + bytes.fromhex(FLIPPED["x86-64"]))


def finding_of(desk: Investigator, case: Case, target: Target) -> Finding:
    tally = Tally()
    [first, *_] = desk.judge.judge([case], [target], tally)
    [found] = desk.investigate(case, [first], tally)
    return found


def desk_with(compiler: Cranelift, runners: RunnerPool, hooks: Hooks) -> Investigator:
    return Investigator(Judge(compiler, runners, hooks), runners)


# -- the instruction


@pytest.mark.parametrize("isa", ISAS)
def test_the_wrong_instruction_is_named(compiler: Cranelift, runners: RunnerPool, isa: str) -> None:
    desk = desk_with(compiler, runners, Hooks(code=or_for_xor))
    found = culprit(desk, finding_of(desk, case_of(), Target(isa, (("opt_level", "none"),))))
    assert found.clif == "v3 = bxor.i64 v2, v1" and found.expected == hex(14 ^ 9) and found.actual == hex(14 | 9)
    [text] = [text for offset, text in found.code if offset == found.offset]
    assert text.startswith(("or", "ogr"))
    assert found.register and not found.why


def test_what_is_wrong_only_as_a_whole_says_so(compiler: Cranelift, runners: RunnerPool) -> None:
    def fault(code: FunctionCode, target: Target) -> FunctionCode:
        return flipped(code) if len(code.code) > 14 and code.name == "%f" else code

    desk = desk_with(compiler, runners, Hooks(code=fault))
    found = culprit(desk, finding_of(desk, case_of(), Target("x86-64", (("opt_level", "none"),))))
    assert found.clif or "whole program" in found.why


def test_where_nothing_runs_no_instruction_is_blamed(compiler: Cranelift, runners: RunnerPool) -> None:
    desk = desk_with(compiler, runners, Hooks())
    failure = CompileFailure("panic", "it broke", "it broke", "lib.rs:1")
    panic = Finding(compare.COMPILER_PANIC, case_of(), Target("x86-64"), failure=failure)
    assert culprit(desk, panic).why == "there is no code to run"
    damage = Finding(compare.ABI_DAMAGE, case_of(), Target("x86-64"))
    assert "comes back changed" in culprit(desk, damage).why


# -- what matters


def test_the_allocator_that_matters_is_named_and_nothing_else(compiler: Cranelift, runners: RunnerPool) -> None:
    def fault(code: FunctionCode, target: Target) -> FunctionCode:
        is_hit = (ALLOCATOR, "single_pass") in target.settings and code.name == "%f" and target.isa == "x86-64"
        return flipped(code) if is_hit else code

    desk = desk_with(compiler, runners, Hooks(code=fault))
    target = Target("x86-64", (("has_bmi2", "true"), ("opt_level", "none"), (ALLOCATOR, "single_pass")))
    asked = matters(desk, finding_of(desk, case_of(), target))
    states = {(one.name, one.value): one.state for one in asked}
    assert states[ALLOCATOR, "backtracking"] == "right" and states["opt_level", "speed"] == "wrong"
    assert states["has_bmi2", "without"] == "wrong" and states["ISA", "riscv64"] == "right"
    assert needed(asked) == (ALLOCATOR, "ISA")


def test_what_cannot_be_asked_is_no_answer() -> None:
    asked = (Asked("opt_level", "none", "unknown", "not compiled"), Asked("has_x", "without", "wrong"))
    assert needed(asked) == ()


# -- versions


def asking(states: dict[str, State], heard: list[str]) -> object:
    def ask(version: str) -> State:
        heard.append(version)
        return states[version]

    return ask


@pytest.mark.parametrize("first_good", [1, 5, 17, 31])
def test_the_boundary_is_found_by_halving(first_good: int) -> None:
    order = [str(n) for n in range(32)]
    states: dict[str, State] = {v: "right" if int(v) >= first_good else "wrong" for v in order}
    heard: list[str] = []
    assert boundary(order, asking(states, heard)) == (str(first_good), str(first_good - 1))  # type: ignore[arg-type]
    assert len(set(heard)) <= 8


def test_versions_that_cannot_say_are_passed_over() -> None:
    order = list("abcdefgh")
    states: dict[str, State] = dict.fromkeys(order, "unknown") | {"b": "wrong", "f": "right", "g": "right"}
    assert boundary(order, asking(states, [])) == ("f", "b")  # type: ignore[arg-type]
    assert boundary(order, asking(dict.fromkeys(order, "unknown"), [])) == ("", "")  # type: ignore[arg-type]
    assert boundary(order, asking(dict.fromkeys(order, "wrong"), []))[0] == ""  # type: ignore[arg-type]
    assert boundary([], asking({}, [])) == ("", "")  # type: ignore[arg-type]


def test_first_bad_last_good_and_fix(compiler: Cranelift, runners: RunnerPool, monkeypatch: pytest.MonkeyPatch) -> None:
    bad = {"0.113.1", "0.115.1", "0.118.0", "0.120.2", compiler.version}
    monkeypatch.setattr(versions, "_state", lambda _desk, _finding, v: ("wrong" if v in bad else "right", ""))
    finding = Finding(compare.WRONG_RESULT, case_of(), Target("x86-64"))
    desk = desk_with(compiler, runners, Hooks())
    monkeypatch.setattr(versions, "_bare", lambda _: compiler)
    said: list[str] = []
    order = "0.105.4,0.110.3,0.113.1,0.115.1"
    found = bisected(desk, finding, order, said.append)
    assert (found.first_bad, found.last_good, found.fixed) == ("0.113.1", "0.110.3", "")
    assert said and all(line.startswith("asking cranelift@0.1") for line in said)
    alone = bisected(desk, finding, compiler.version)
    assert "no other version" in alone.why and not alone.asked


def test_a_version_that_is_none_is_refused() -> None:
    with pytest.raises(Exception, match="not a version"):
        candidates("0.1x")


# -- the whole


def test_a_folder_gets_the_answer_and_keeps_it(
    compiler: Cranelift, runners: RunnerPool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = (CORPUS / "aarch64-fdemote-from-f128.clif").read_text()
    wanted = blame.Wanted(versions=compiler.version)
    found = blame.of_text(text, "a.clif", wanted, lambda _: None)
    place = tmp_path / "one"
    store.write_folder(place, store.files(dataclasses.replace(found.finding, count=3), "one"))
    assert cli.main(["blame", str(place), "--versions", compiler.version, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    answer = document["blame"]
    rule = answer["rules"]["suspects"][0]["rules"][0]
    assert rule.startswith("src/isa/aarch64/lower.isle:") and rule.endswith(" lower")
    assert answer["stage"]["where"] == "backend" and [text for _, text in answer["instruction"]["code"]] == [
        "fcvt s0, d0"
    ]
    kept = store.load(place)
    assert kept.blame == answer and kept.count == 3
    page = (place / "README.md").read_text()
    assert "## Blame" in page and rule in page and "## Suspects" not in page
    again = store.Store(tmp_path, {"k": place})
    again.save("k", dataclasses.replace(kept, blame=None, count=9))
    assert store.load(place).blame == answer and store.load(place).count == 9
    other = dataclasses.replace(kept, blame=None, case=case_of())
    again.save("k", other)
    assert store.load(place).blame is None


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["{dir}"], "no finding here"),
        (["{dir}", "--isa", "x86-64"], "--isa is for files"),
        (["{file}"], "nothing disagrees here"),
        (["{empty}"], "no function"),
        (["{dir}/none.clif"], "none.clif"),
        (["{file}", "--versions", "0.1x"], "'0.1x' is not a version"),
    ],
)
def test_what_cannot_be_blamed_is_said(
    arguments: list[str], says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], compiler: Cranelift
) -> None:
    (tmp_path / "right.clif").write_text("target x86_64\n" + PROGRAM)
    (tmp_path / "empty.clif").write_text("; nothing\n")
    places = {"dir": tmp_path, "file": tmp_path / "right.clif", "empty": tmp_path / "empty.clif"}
    assert cli.main(["blame", *(word.format(**places) for word in arguments)]) == 2
    assert says in " ".join(capsys.readouterr().err.split())


def test_versions_in_words() -> None:
    found = {"asked": [["0.130.0", "wrong", ""]], "first_bad": "0.130.0", "last_good": "", "last_bad": "0.130.0"}
    text = blamed._versions({**found, "fixed": "0.131.3", "why": "no older version was asked"})
    assert text.startswith("bad from 0.130.0 on; no older version was asked; fixed in 0.131.3 (last bad 0.130.0)")
    assert "first bad 0.130.0; last good 0.120.2" in blamed._versions(
        {**found, "last_good": "0.120.2", "fixed": "", "why": ""}
    )


def test_an_answer_of_another_form_is_no_traceback() -> None:
    assert "`liftcheck blame` again" in blamed.section({"stage": 3})
    assert "`liftcheck blame` again" in blamed.lines({})[0][1]
