"""Reports for other programs: each format holds every entry and keeps to its own rules, whatever the text."""

from __future__ import annotations

import dataclasses
import json
import re
import sys
import xml.etree.ElementTree as ElementTree
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft4Validator
from support.reports import CLIF, NASTY, TARGET, campaign, finding
from support.toy_campaign import play

from liftcheck import cli
from liftcheck.campaign.findings.finding import Finding
from liftcheck.campaign.report import github, markdown, regalloc, rule_proofs, sarif, verify
from liftcheck.campaign.report.entries import Entry, Place, Results
from liftcheck.campaign.report.results import READERS, results
from liftcheck.case import CompileFailure
from liftcheck.errors import Diagnostic
from liftcheck.isle.sources import rules_in
from liftcheck.oracles import compare
from liftcheck.oracles.filetests.report import Failure, Report
from liftcheck.oracles.regalloc.verdict import Counterexample, Counts, refuted

SCHEMA = json.loads((Path(__file__).parents[1] / "support" / "sarif-schema-2.1.0.json").read_text(encoding="utf-8"))


def of_campaign(out: Path, *findings: Finding) -> Results:
    report = campaign(out, *findings)
    return results("fuzz", report.document(), report.exit_code)


def of_filetests() -> Results:
    report = Report(files=1, units=4, passed=1)
    unit = Failure("a b/c.clif", 12, "x86-64", "%f(1)", "== 2", f"3 {NASTY}")
    report.fails("x86-64", unit)
    report.finds("x86-64", "a cause with a page", unit._replace(line=20))
    report.undecides("x86-64", "nobody knows", unit._replace(line=30))
    report.passes("x86-64")
    report.skip("x86-64", "no runner has it")
    report.by_file["a b/c.clif"] = Counter(report.by_target)
    report.broken.append(Diagnostic("bad.clif", 3, 7, "a type was expected", "what"))
    return results("test", report.document(), report.exit_code)


def of_allocations() -> Results:
    report = regalloc.Report("cranelift@0.135.8", texts=1, units=1)
    example = Counterexample("a use reads another value", 0, (0,), 1, "add", "this", "that")
    verdict = refuted(example, Counts())
    report.count("f.clif", "%f", 4, TARGET, verdict)
    report.refuted.append(regalloc.Refuted("f.clif", "%f", TARGET, verdict, CLIF, 4))
    report.refuse("f.clif", "%g", 9, TARGET, "unsupported: no lowering")
    return results("regalloc", report.document(), report.exit_code)


def of_proofs() -> Results:
    report = verify.Report("cranelift@0.135.8", texts=1, units=3)
    places = [verify.Place("v.clif", name, line, TARGET) for name, line in (("%f", 4), ("%g", 9), ("%h", 20))]
    ran = verify.Ran("wrong result", NASTY, ("unicorn",), ("suspect  v1",), "", CLIF)
    report.refute(verify.Refuted(places[0], verify.Example("result 1", ("1", NASTY)), CLIF, ran))
    report.unsettle(places[1], "undecided", "a loop")
    report.holds(places[2], "proven")
    return results("verify", report.document(), report.exit_code)


RULES = """
(rule (lower (iadd x y)) (add x y))
(rule 1 (lower (isub x y)) (sub x y))
(rule 2 (lower (isub x y)) (if-let true (odd)) (sub x y))
(rule (lower (imul x y)) (mul x y))
"""


def rules_document(compiler: str) -> tuple[dict[str, Any], int]:
    """One rule proven, one refuted, one undecided, one not reached; an instance that is our own fault."""
    rules = list(rules_in(RULES, "src/isa/riscv64/lower.isle", "riscv64"))
    add, sub, odd, _ = (rule.place for rule in rules)
    wrong = rule_proofs.Bad("refuted", "result 1", TARGET, CLIF, "00", (1, 2), (sub,), f"wrong result {NASTY}")
    proofs = rule_proofs.Proofs(
        {add: rule_proofs.Seen(2), sub: rule_proofs.Seen(1, 0, 1), odd: rule_proofs.Seen(0, 0, 1)},
        [wrong, wrong._replace(kind="undecided", what="z3 gives up", rules=(odd,), ran="")],
        lost=["rule [3]: its worker died"],
    )
    proofs.bad.append(
        wrong._replace(kind=rule_proofs.OURS, rules=("src/isa/riscv64/inst.isle:9",), ran="its run agrees")
    )
    found = rule_proofs.verdicts(proofs, rules, {})
    document = rule_proofs.document(proofs, found, compiler, "riscv64", 1.5)
    return document, rule_proofs.exit_code(proofs, found)


def of_rules(compiler: str = "cranelift@0.135.8") -> Results:
    return results("verify --rules", *rules_document(compiler))


def of_changed() -> Results:
    document, code = rules_document("cranelift=/x")
    refused = [{"isa": "riscv64", "settings": {}, "clif": CLIF}] * 3
    isas = {"riscv64": {**document, "other_code": 7, "refused": refused}}
    whole = {"compiler": "cranelift=/x", "against": "cranelift@0.135.8", "seconds": 2.0, "isas": isas}
    return results("verify --changed", whole, code)


@pytest.fixture
def all_of_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Results]:
    monkeypatch.chdir(tmp_path)
    panic = CompileFailure("panic", "it broke", NASTY, "lib.rs:1")
    found = [finding(suspects=("src/isa/riscv64/lower.isle:12 lower",)), finding(failure=panic, detail=NASTY)]
    found[1] = dataclasses.replace(found[1], klass=compare.COMPILER_PANIC, key=f"compiler panic | {NASTY}")
    return [
        of_campaign(Path("findings"), *found),
        of_filetests(),
        of_allocations(),
        of_proofs(),
        of_rules(),
        of_changed(),
    ]


def test_every_command_that_judges_has_a_reader(all_of_them: list[Results]) -> None:
    assert {found.command for found in all_of_them} == set(READERS)


def test_entries_are_what_the_document_has(all_of_them: list[Results]) -> None:
    states = [Counter(entry.state for entry in found.entries) for found in all_of_them]
    assert states[0] == {"passed": 1, "failed": 2, "undecided": 1, "skipped": 1, "broken": 1}
    assert states[1] == {"passed": 1, "failed": 2, "undecided": 1, "skipped": 1, "broken": 1}
    assert states[2] == {"passed": 1, "failed": 1, "skipped": 1}
    assert states[3] == {"passed": 1, "failed": 1, "undecided": 1}
    assert states[4] == {"passed": 1, "failed": 1, "undecided": 1, "skipped": 1, "broken": 2}
    assert states[5] == {**states[4], "failed": 2}
    assert [found.exit_code for found in all_of_them] == [1] * 6


def test_a_finding_lies_where_its_function_begins_in_the_folders_program(all_of_them: list[Results]) -> None:
    place = all_of_them[0].of("failed")[0].places[0]
    assert Path(place.file).read_text(encoding="utf-8").split("\n")[place.line - 1].startswith("function %f(i64)")
    assert all_of_them[0].of("failed")[0].related[0].file == "src/isa/riscv64/lower.isle"


def test_a_rule_that_a_panic_names_is_a_place(tmp_path: Path) -> None:
    detail = "no rule matched for term iconst_u at src/prelude_opt.isle line 212; should it be partial?"
    related = of_campaign(tmp_path, finding(detail=detail)).of("failed")[0].related
    assert [place[:4] for place in related] == [("src/prelude_opt.isle", 212, 0, "CRANELIFT_CODEGEN")]


def test_rules_of_a_checkout_are_places_in_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    crate = tmp_path / "cranelift" / "codegen"
    crate.mkdir(parents=True)
    (crate / "Cargo.toml").write_text('[package]\nname = "cranelift-codegen"\nversion = "0.135.0"\n')
    report = campaign(Path("findings"), finding(suspects=("src/isa/x64/lower.isle:12 lower",)))
    report.compiler = f"cranelift={tmp_path}"
    run = sarif.log(results("fuzz", report.document(), 1))["runs"][0]
    place = run["results"][0]["relatedLocations"][0]["physicalLocation"]["artifactLocation"]
    assert place == {"uri": "cranelift/codegen/src/isa/x64/lower.isle", "uriBaseId": "%SRCROOT%"}
    report.compiler = "cranelift=/no/such/folder"
    assert results("fuzz", report.document(), 1).of("failed")[0].related[0].base == "CRANELIFT_CODEGEN"


def test_rules_are_entries_at_their_lines_named_by_their_left_hand_sides(tmp_path: Path) -> None:
    found = of_rules()
    (wrong,), (undecided,) = found.of("failed"), found.of("undecided")
    assert (wrong.name, wrong.program) == ("(lower (isub x y))", CLIF) and "for (0x1, 0x2)" in wrong.text
    assert wrong.places == (Place("src/isa/riscv64/lower.isle", 3, 0, "CRANELIFT_CODEGEN", "lower"),)
    assert (undecided.name, undecided.rule) == ("(lower (isub x y)) #2", "z3 gives up")
    assert [entry.suite for entry in found.of("broken")] == ["riscv64", "liftcheck"]
    assert [entry.count for entry in found.of("passed", "skipped")] == [1, 1]
    (tmp_path / "Cargo.toml").write_text('[package]\nname = "cranelift-codegen"\nversion = "0.135.8"\n')
    (located,) = of_rules(f"cranelift={tmp_path}").of("failed")[0].places
    assert located.file == str(tmp_path / "src/isa/riscv64/lower.isle") and not located.base
    assert f"::error file={located.file},line=3" in "\n".join(github.lines(of_rules(f"cranelift={tmp_path}")))


def test_findings_of_filetests_are_in_the_headline(all_of_them: list[Results]) -> None:
    assert "1 failed" in all_of_them[1].headline and "1 findings" in all_of_them[1].headline


def test_a_format_without_its_library_is_told_before_the_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.clif").write_text(FAILING)
    monkeypatch.setitem(sys.modules, "junitparser", None)
    monkeypatch.delitem(sys.modules, "liftcheck.campaign.report.junit", raising=False)
    words = ["test", str(tmp_path / "a.clif"), "--interpreter-only", "--junit", str(tmp_path / "j.xml")]
    assert cli.main(words) == 3
    assert "--junit needs the package junitparser: pip install junitparser" in capsys.readouterr().err


def test_a_broken_file_keeps_its_place(all_of_them: list[Results]) -> None:
    assert all_of_them[1].of("broken")[0].places == (Place("bad.clif", 3, 7),)


# SARIF


def wrong_by_schema(document: Any) -> list[str]:
    return [f"{list(error.path)}: {error.message}" for error in Draft4Validator(SCHEMA).iter_errors(document)]


def test_the_schema_sees_what_is_wrong() -> None:
    assert wrong_by_schema({"version": "2.1.0"}) and wrong_by_schema({"version": "2.1.0", "runs": [{}]})
    result = {"message": {"text": "a"}, "level": "bad"}
    run = {"tool": {"driver": {"name": "x"}}, "results": [result]}
    assert wrong_by_schema({"version": "2.1.0", "runs": [run]})


def test_sarif_is_valid_by_the_published_schema(all_of_them: list[Results]) -> None:
    for found in all_of_them:
        assert wrong_by_schema(json.loads(sarif.text(found))) == []


def test_sarif_holds_every_finding_with_places_that_exist(all_of_them: list[Results], tmp_path: Path) -> None:
    run = sarif.log(all_of_them[0])["runs"][0]
    errors = [result for result in run["results"] if result["level"] == "error"]
    assert [result["ruleId"] for result in errors] == ["wrong-result", "compiler-panic"]
    for result in errors:
        where = result["locations"][0]["physicalLocation"]
        assert where["artifactLocation"]["uriBaseId"] == "%SRCROOT%" and where["region"]["startLine"] > 0
        assert (tmp_path / where["artifactLocation"]["uri"]).is_file()
        assert run["tool"]["driver"]["rules"][result["ruleIndex"]]["id"] == result["ruleId"]
    rule = errors[0]["relatedLocations"][0]["physicalLocation"]
    assert rule["artifactLocation"] == {"uri": "src/isa/riscv64/lower.isle", "uriBaseId": "CRANELIFT_CODEGEN"}
    assert rule["region"] == {"startLine": 12}


def test_sarif_fingerprints_go_by_the_key_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    def prints(one: Finding, out: str) -> list[Any]:
        run = sarif.log(of_campaign(Path(out), one))["runs"][0]
        return [result["partialFingerprints"] for result in run["results"]]

    one = finding()
    assert prints(one, "a") == prints(dataclasses.replace(one, seed=9, detail="other", count=7), "b")
    assert prints(one, "c") != prints(dataclasses.replace(one, key="another"), "d")


def test_sarif_percent_encodes_and_reaches_outside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "in").mkdir()
    monkeypatch.chdir(tmp_path / "in")
    assert sarif.uri_of(Place("a b/ä%.clif", 1)) == ("a%20b/%C3%A4%25.clif", "%SRCROOT%")
    assert sarif.uri_of(Place("../x.clif")) == (f"file://{tmp_path}/x.clif", "")


def test_sarif_of_what_is_undecided_is_open_and_what_is_counted_is_told(all_of_them: list[Results]) -> None:
    run = sarif.log(all_of_them[1])["runs"][0]
    assert [r["kind"] for r in run["results"] if r["level"] == "none"] == ["open"]
    told = sarif.log(all_of_them[0])["runs"][0]["invocations"][0]["toolExecutionNotifications"]
    assert {notice["level"] for notice in told} == {"note", "error"} and len(told) == 3


def test_a_known_fault_is_named_everywhere(tmp_path: Path) -> None:
    found = of_campaign(tmp_path, finding(fault="docs/findings/a-page.md"))
    for text in (junit(found), sarif.text(found), github.text(found), markdown.text(found)):
        assert "known fault: docs/findings/a-page.md" in text


# JUnit


def junit(found: Results) -> str:
    """Imported here, so that a machine without junitparser lacks these tests alone."""
    from liftcheck.campaign.report.junit import text

    return text(found)


def test_junit_counts_what_it_holds(all_of_them: list[Results]) -> None:
    for found in all_of_them:
        root = ElementTree.fromstring(junit(found))
        assert int(root.attrib["tests"]) == len(root.findall(".//testcase")) == len(found.entries)
        states = Counter(entry.state for entry in found.entries)
        assert int(root.attrib["failures"]) == len(root.findall(".//failure")) == states["failed"]
        assert int(root.attrib["errors"]) == len(root.findall(".//error")) == states["broken"]
        skipped = states["skipped"] + states["undecided"]
        assert len(root.findall(".//skipped")) == skipped
        for suite in root.findall("testsuite"):
            assert int(suite.attrib["tests"]) == len(suite.findall("testcase"))


def test_junit_has_the_program_and_no_character_that_xml_lacks(all_of_them: list[Results]) -> None:
    text = junit(all_of_them[0])
    assert "\x00" not in text and "\x1b" not in text and "\\x00\\x1b[1m]]&gt;" in text
    assert "v1 = iadd" in "".join(failure.text or "" for failure in ElementTree.fromstring(text).iter("failure"))


@pytest.mark.parametrize("code", [0, 0x1F, 0x7F, 0xD800, 0xFFFE, 0x10FFFF])
def test_junit_survives_any_character(code: int) -> None:
    entry = Entry(chr(code), chr(code), "failed", chr(code), chr(code), chr(code), chr(code), (Place(chr(code), 1),))
    ElementTree.fromstring(junit(Results("fuzz", chr(code), (entry,), {}, chr(code))).encode("utf-8"))


def test_a_place_without_a_line_is_one_in_every_format() -> None:
    found = Results("test", "h", (Entry("s", "n", "broken", "r", "t", places=(Place("a.clif"),)),), {})
    assert "line" not in next(ElementTree.fromstring(junit(found)).iter("testcase")).attrib
    assert wrong_by_schema(sarif.log(found)) == [] and "region" not in sarif.text(found)
    assert "::error file=a.clif,line=1," in github.text(found)


def test_junit_names_are_the_same_for_another_seed_and_different_from_each_other(tmp_path: Path) -> None:
    def names(one: Finding, out: str) -> list[tuple[str, str]]:
        root = ElementTree.fromstring(junit(of_campaign(tmp_path / out, one, finding(failure=None))))
        return [(case.attrib["classname"], case.attrib["name"]) for case in root.iter("testcase")]

    first = names(dataclasses.replace(finding(), key="another"), "a")
    assert first == names(dataclasses.replace(finding(), key="another", seed=5, number=77), "b")
    assert len(set(first)) == len(first)


# GitHub


def test_annotations_are_escaped_by_githubs_rules() -> None:
    made = github.command("error", "50%\r\na:b,c", {"file": "a:b,c%", "title": "x\ny"})
    assert made == "::error file=a%3Ab%2Cc%25,title=x%0Ay::50%25%0D%0Aa:b,c"


def test_every_annotation_is_one_line_at_its_place(all_of_them: list[Results]) -> None:
    for found in all_of_them:
        lines = github.text(found).splitlines()
        assert all(re.match(r"::(error|warning|notice) [^:]*::", line) for line in lines)
        assert sum(line.startswith("::error ") for line in lines) == len(found.of("failed", "broken"))
    assert "::error file=bad.clif,line=3," in github.text(all_of_them[1])


def test_annotations_beyond_what_github_shows_are_counted() -> None:
    entries = tuple(Entry("s", f"n{n}", "failed", "r", "t") for n in range(13))
    lines = github.text(Results("test", "13 failed", entries, {})).splitlines()
    assert sum(line.startswith("::error") for line in lines) == 10
    assert lines[-1] == "::notice title=liftcheck test::13 failed; 3 more errors are not shown here"


# Markdown


def test_a_summary_has_what_to_act_on_and_what_is_counted(all_of_them: list[Results]) -> None:
    text = markdown.text(all_of_them[0])
    assert text.startswith("## ❌ liftcheck fuzz") and text.count("<details>") == text.count("</details>") == 3
    assert "v1 = iadd" in text and "`src/isa/riscv64/lower.isle:12`" in text and "| 1 | an address shows |" in text
    assert markdown.text(Results("fuzz", "all is well", (), {})).startswith("## ✅")


def test_a_summary_is_not_broken_by_what_it_quotes() -> None:
    assert markdown.fenced("``` and ````").startswith("`````\n")
    assert "|" not in markdown.plain(NASTY) and "<" not in markdown.plain(NASTY) and "\n" not in markdown.plain(NASTY)


def test_a_summary_stays_below_githubs_limit_and_says_what_it_leaves_out() -> None:
    entries = tuple(Entry("s", f"n{n}", "failed", "r", f"t{n}", "x" * 100_000) for n in range(20))
    text = markdown.text(Results("test", "20 failed", entries, {}))
    assert len(text.encode()) < 2**20 and "12 more are left out here" in text


# the options


FAILING = f"test interpret\n\n{CLIF}; run: %f(2) == 5\n; run: %f(2) == 4\n"


def test_the_command_writes_all_of_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a.clif").write_text(FAILING)
    words = ["--junit", "j.xml", "--sarif", "s.json", "--markdown", "m.md", "--github"]
    assert cli.main(["test", "a.clif", "--interpreter-only", "--json", *words]) == 1
    shown = capsys.readouterr()
    assert json.loads(shown.out)["failed"] == 1 and "::error file=a.clif,line=8," in shown.err
    assert wrong_by_schema(json.loads(Path("s.json").read_text())) == []
    assert ElementTree.parse("j.xml").getroot().attrib["failures"] == "1"
    assert "1 failed, 1 passed" in Path("m.md").read_text()


def test_a_report_that_cannot_be_written_is_told_before_the_work(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.clif").write_text(FAILING)
    words = ["test", str(tmp_path / "a.clif"), "--interpreter-only"]
    assert cli.main([*words, "--junit", str(tmp_path / "no" / "j.xml")]) == 2
    shown = capsys.readouterr()
    assert "--junit: cannot write" in shown.err and "No such file or directory" in shown.err and not shown.out
    assert cli.main([*words, "--sarif", str(tmp_path)]) == 2


def test_a_failed_command_leaves_no_empty_report(tmp_path: Path) -> None:
    (tmp_path / "a.clif").write_text("test run\nfunction %f(")
    assert cli.main(["test", str(tmp_path / "b.clif"), "--interpreter-only", "--junit", str(tmp_path / "j.xml")]) == 2
    assert not (tmp_path / "j.xml").exists()


def test_the_jobs_summary_is_added_to_and_other_files_are_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, summary = tmp_path / "a.clif", tmp_path / "summary.md"
    file.write_text(FAILING)
    for _ in range(2):
        cli.main(["test", str(file), "--interpreter-only", "--markdown", str(summary)])
    assert summary.read_text().count("## ") == 1
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    cli.main(["test", str(file), "--interpreter-only", "--markdown", str(summary)])
    assert summary.read_text().count("## ") == 2


def test_a_campaign_writes_all_of_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    play(monkeypatch)
    words = ["--junit", "j.xml", "--sarif", "s.json", "--markdown", "m.md", "--github", "--json"]
    assert cli.main(["fuzz", "--isa", "riscv64", "--cases", "64", "--seed", "4", "--jobs", "2", *words]) == 1
    shown = capsys.readouterr()
    document, log = json.loads(shown.out), json.loads(Path("s.json").read_text())
    assert wrong_by_schema(log) == [] and len(document["findings"]) > 0
    assert ElementTree.parse("j.xml").getroot().attrib["failures"] == str(len(document["findings"]))
    assert shown.err.count("::error ") == min(len(document["findings"]) + len(document["troubles"]), 10)
    for result in log["runs"][0]["results"]:
        where = result["locations"][0]["physicalLocation"]["artifactLocation"]
        assert Path(where["uri"]).is_file()
