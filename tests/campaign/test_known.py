"""Lists of known findings: they excuse a cause and nothing that only looks like it; and what is wrong with a list."""

from __future__ import annotations

import dataclasses
import datetime
import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from support.reports import CLIF, campaign, finding
from support.toy_campaign import play

from liftcheck import cli
from liftcheck.campaign.findings.finding import Finding, cause_key, decode, encode, page_name
from liftcheck.campaign.findings.investigate import Investigator
from liftcheck.campaign.findings.known import EVERY, PACKAGED, SURE, Entry, gather, read, standing, standings
from liftcheck.campaign.findings.reduction import counted, reduce_finding
from liftcheck.campaign.options import FuzzOptions
from liftcheck.campaign.planner import Planner
from liftcheck.campaign.report import github, junit, markdown, sarif
from liftcheck.campaign.report.results import results
from liftcheck.case import Case, CompileFailure, FunctionCode, Target
from liftcheck.clif.text.parser import parse_module
from liftcheck.compilers.cranelift.failures import shorten
from liftcheck.errors import InputError
from liftcheck.oracles import compare
from liftcheck.oracles.differential import Judge
from liftcheck.oracles.filetests.pages import PAGES
from liftcheck.oracles.filetests.proofs import Panic
from liftcheck.oracles.hooks import Hooks
from liftcheck.oracles.tally import Tally

COMPILER = "cranelift@0.135.8"
TODAY = datetime.date(2026, 11, 30)
RULES = ("src/isa/riscv64/lower.isle:12 lower",)
PAGE = "docs/findings/riscv64-fs1-not-saved.md"


def reduced(**changes: object) -> Finding:
    return dataclasses.replace(finding(reduced=True, fired=RULES), **changes)  # type: ignore[arg-type]


def entry(of: Finding, **changes: object) -> Entry:
    return Entry(cause_key(of), "https://x.y/1", file="known.toml", line=3)._replace(**changes)


def known(of: Finding, *entries: Entry, compiler: str = COMPILER) -> bool:
    return standing(entries, of, compiler, TODAY).entry is not None


# causes


def test_a_cause_is_class_isa_opcodes_and_rules() -> None:
    key = cause_key(reduced())
    assert re.fullmatch(r"wrong value \| riscv64 \| iadd\.i64 fast \| rules [0-9a-f]{10}", key)
    assert key == cause_key(reduced(number=77, seed=9, count=5, seconds=3.0, detail="5 expected, 6 seen"))


@pytest.mark.parametrize(
    "changes",
    [
        {"fired": ("src/isa/riscv64/lower.isle:13 lower",)},
        {"target": Target("aarch64")},
        {"target": Target("riscv64", (("opt_level", "speed"),))},
        {"klass": compare.WRONG_TRAP},
        {"damaged": ("fs1",)},
        {"case": Case(parse_module(CLIF.replace("i64", "i32")), 0, ((7,),))},
    ],
)  # fmt: skip
def test_another_rule_isa_level_class_register_or_type_is_another_cause(changes: dict[str, object]) -> None:
    assert cause_key(reduced(**changes)) != cause_key(reduced())


def test_a_panic_is_known_by_words_place_and_opcodes() -> None:
    def panic(place: str) -> Finding:
        failure = CompileFailure("panic", "it broke at out/isle_opt.rs", "it broke", place)
        return reduced(klass=compare.COMPILER_PANIC, failure=failure, fired=())

    assert cause_key(panic("lib.rs:1")) != cause_key(panic("lib.rs:2"))
    assert " | lib.rs:1 | iadd.i64" in cause_key(panic("lib.rs:1"))


@pytest.mark.parametrize(
    ("place", "short"),
    [
        ("/h/registry/src/i-1f/cranelift-codegen-0.135.8/src/egraph.rs:1:2", "cranelift-codegen/src/egraph.rs:1:2"),
        ("/t/build/cranelift-codegen-641b8a38b646cb55/out/isle_opt.rs:3:4", "cranelift-codegen/out/isle_opt.rs:3:4"),
        ("/t/build/cranelift-codegen-0f1b8a38b646cb5e/out/isle_opt.rs:3:4", "cranelift-codegen/out/isle_opt.rs:3:4"),
        ("/h/registry/src/i-1f/regalloc2-0.15.0/src/ion/moves.rs:7:1", "regalloc2/src/ion/moves.rs:7:1"),
        ("/home/x/wasmtime/cranelift/codegen/src/egraph.rs:7:1", "cranelift/codegen/src/egraph.rs:7:1"),
    ],
)
def test_the_place_of_a_panic_is_the_same_in_all_builds(place: str, short: str) -> None:
    assert shorten(place).endswith(short)


def test_a_page_is_a_cause_wherever_its_folder_is() -> None:
    web = f"https://github.com/liftcheck/liftcheck/blob/main/{PAGE}"
    assert {cause_key(finding(fault=one)) for one in (PAGE, web)} == {"page | riscv64-fs1-not-saved"}
    several = "compiler panic: ineg of a 64-bit vector (docs/findings/compiler-panics.md)"
    assert page_name(several) == "compiler-panics | ineg of a 64-bit vector"


def test_what_was_not_reduced_has_no_cause() -> None:
    assert cause_key(finding(fired=RULES)) == ""
    assert not known(finding(fired=RULES), entry(reduced()), Entry(""))


def test_a_finding_that_is_read_has_its_cause() -> None:
    data = json.loads(json.dumps(encode(reduced())))
    assert data["cause"] == cause_key(reduced()) == cause_key(decode(data, "x"))


# lists


def test_an_entry_excuses_its_cause_and_no_other() -> None:
    assert known(reduced(), entry(reduced()))
    assert not known(reduced(fired=("src/isa/riscv64/lower.isle:13 lower",)), entry(reduced()))
    assert not known(reduced(), entry(reduced(), isas=("aarch64",)))


@pytest.mark.parametrize(
    ("versions", "compiler", "holds"),
    [
        ("", COMPILER, True),
        (">=0.130.0, <0.136", COMPILER, True),
        (">=0.130.0, <0.136", "cranelift@0.136.0", False),
        ("0.135", COMPILER, True),
        ("0.135.7", COMPILER, False),
        ("<=0.135", COMPILER, True),
        (">0.135.8", COMPILER, False),
        (">=0.1", "cranelift=/no/such/folder", False),
        ("", "cranelift=/no/such/folder", True),
        ("", "other@0.135.8", False),
    ],
)
def test_an_entry_holds_for_its_versions(tmp_path: Path, versions: str, compiler: str, holds: bool) -> None:
    file = tmp_path / "known.toml"
    file.write_text(f'[[known]]\ncause = "{cause_key(reduced())}"\nversions = "{versions}"\n')
    assert known(reduced(), *read(file), compiler=compiler) is holds


def test_sources_have_the_version_that_they_state(tmp_path: Path) -> None:
    (tmp_path / "Cargo.toml").write_text('[package]\nname = "cranelift-codegen"\nversion = "0.135.0"\n')
    of_135 = entry(reduced(), versions=(("==", (0, 135)),))
    assert known(reduced(), of_135, compiler=f"cranelift={tmp_path}")


def test_an_entry_that_has_lapsed_says_so() -> None:
    for until, why in ((TODAY, ""), (TODAY - datetime.timedelta(1), "known.toml:3 knew it until 2026-11-29")):
        said = standing((entry(reduced(), until=until),), reduced(), COMPILER, TODAY)
        assert (said.entry is not None, said.why) == (not why, why)


@pytest.mark.parametrize(
    ("programs", "changes", "said"),
    [
        ({"riscv64": SURE * EVERY}, {}, True),
        ({"riscv64": SURE * EVERY - 1}, {}, False),
        ({"aarch64": SURE * EVERY}, {}, False),
        ({"riscv64": SURE * EVERY}, {"profiles": ("simd",)}, False),
        ({"riscv64": SURE * EVERY}, {"opt_levels": ("none",)}, False),
    ],
)
def test_what_is_not_seen_any_more_is_said_where_it_could_have_been(
    programs: dict[str, int], changes: dict[str, object], said: bool
) -> None:
    options = dataclasses.replace(FuzzOptions(), **changes)  # type: ignore[arg-type]
    listed = entry(reduced(), isas=("riscv64",))
    assert bool(standings((listed,), [], COMPILER, options, programs).unseen) is said
    assert not standings((listed,), [reduced()], COMPILER, options, programs).unseen


BAD = [
    ("[[known]\n", 1, "not TOML"),
    ('[[known]]\ncause = "a"\n\n[[known]]\nlink = "b"\n', 4, "an entry needs a cause"),
    ('[[known]]\ncause = "a"\n[[known]]\ncause = "b"\nversion = "1"\n', 5, "unknown key 'version'"),
    ('[[known]]\ncause = "a"\nuntil = "2027-01-01"\n', 3, "a date like 2027-01-31"),
    ('[[known]]\ncause = "a"\nuntil = 2027-13-01\n', 3, "not TOML"),
    ('[[known]]\ncause = "a"\nversions = "new ones"\n', 3, "bounds like"),
    ('[[known]]\ncause = "a"\nisas = ["riscv"]\n', 3, "some of"),
    ('[[known]]\ncause = "a"\nevery = 0\n', 3, "a number of programs"),
    ('[[known]]\ncause = ""\n', 2, "a cause, as"),
    ("[[known]]\ncause = 1\n", 2, "text was expected"),
    ('[[knwon]]\ncause = "a"\n', 1, "unknown key 'knwon'"),
    ("known = 3\n", 1, "tables were expected"),
    ('[[known]]\ncause = "a"\ncause = "b"\n', 3, "not TOML"),
    ("\n\n\nx\x00", 4, "not TOML"),
]


@pytest.mark.parametrize(("text", "line", "message"), BAD)
def test_a_bad_list_is_told_with_its_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, line: int, message: str
) -> None:
    file = tmp_path / "known.toml"
    file.write_text(text)
    with pytest.raises(InputError) as error:
        read(file)
    assert error.value.diagnostics[0].line == line and message in str(error.value)
    assert cli.main(["fuzz", "--known", str(file)]) == 2
    assert f"{file}:{line}:" in capsys.readouterr().err


def test_a_list_that_is_not_there(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert cli.main(["fuzz", "--known", str(tmp_path / "no.toml")]) == 2
    assert "no.toml: cannot read the list" in capsys.readouterr().err
    (tmp_path / "x").write_bytes(b"\xff")
    assert cli.main(["triage", str(tmp_path), "--known", str(tmp_path / "x")]) == 2


def test_the_packaged_list_has_the_pages_and_nothing_else() -> None:
    """A page whose fault the newest version has not any more is marked so here."""
    fixed = {"a compressed jump over many constants", "bnot of a bxor of floats"}
    pages = {
        f"page | {page.name}" + (f" | {page.told_by.name}" if isinstance(page.told_by, Panic) else "")
        for page in PAGES
        if not (isinstance(page.told_by, Panic) and page.told_by.name in fixed)
    }
    assert {one.cause for one in read(PACKAGED)} == pages
    assert gather(["none"]) == () and gather([]) == read(PACKAGED)


# reports


def test_only_new_findings_fail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    report = campaign(Path("findings"), reduced(), reduced(key="b", fired=()))
    assert report.exit_code == 1
    report.known = (entry(reduced()),)
    assert report.exit_code == 1 and report.document()["new"] == 1
    report.known = (entry(reduced()), entry(reduced(fired=()), link=""))
    assert report.exit_code == 0 and report.document()["new"] == 0
    found = results("fuzz", report.document(), 0)
    assert [one.state for one in found.entries].count("known") == 2 and not found.of("failed")
    assert found.of("known")[0].name == cause_key(reduced())
    assert 'failures="0"' in junit.text(found) and "https://x.y/1" in junit.text(found)
    assert all(one["suppressions"] for one in sarif.log(found)["runs"][0]["results"] if one["level"] == "error")
    assert "::error" not in github.text(dataclasses.replace(found, entries=tuple(found.of("known"))))
    assert "### Known findings" in markdown.text(found)


def test_a_campaign_with_its_own_list(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`triage --write-known` of its folder makes the same campaign exit with 0; one less in it, with 1 again."""
    play(monkeypatch)
    words = ["fuzz", "--compiler", "toy", "--isa", "riscv64", "--cases", "96", "--seed", "4"]
    first, listed = str(tmp_path / "first"), tmp_path / "known.toml"
    assert cli.main([*words, "--out", first]) == 1
    assert cli.main(["triage", first, "--write-known", str(listed)]) == 1
    assert len(read(listed)) > 2
    assert cli.main([*words, "--out", str(tmp_path / "second"), "--known", str(listed)]) == 0
    assert ", 0 new" in capsys.readouterr().out
    assert cli.main(["fuzz", "--resume", first, "--known", str(listed)]) == 0
    assert cli.main(["merge", first, "--into", str(tmp_path / "all"), "--known", str(listed)]) == 0
    assert cli.main(["report", first, "--known", str(listed), "--json"]) == 0
    text = listed.read_text().split("[[known]]")
    listed.write_text("[[known]]".join(text[:-1]))
    assert cli.main(["fuzz", "--resume", first, "--known", str(listed)]) == 1
    assert cli.main(["triage", first, "--known", str(listed), "--json"]) == 1


# a real compiler


def _with_words(code: FunctionCode, target: Target, change: Callable[[int], int]) -> FunctionCode:
    if target.isa != "riscv64" or code.name != "%f":
        return code
    words = [int.from_bytes(code.code[at : at + 4], "little") for at in range(0, len(code.code), 4)]
    return dataclasses.replace(code, code=b"".join(change(word).to_bytes(4, "little") for word in words))


def _differences(code: FunctionCode, target: Target) -> FunctionCode:
    """sub for add."""
    return _with_words(code, target, lambda word: word | 0x4000_0000 if word & 0xFE00707F == 0x33 else word)


def _other_sums(code: FunctionCode, target: Target) -> FunctionCode:
    """addi of another constant, where it adds to a0."""
    return _with_words(code, target, lambda word: word ^ 0x10_0000 if word & 0xF_F07F == 0x5_0013 else word)


SUMS = {
    "v2 = iadd v0, v1\n return v2": _differences,
    "v3 = bxor v0, v1\n v4 = imul v3, v0\n v2 = iadd v4, v1\n return v2": _differences,
    "v3 = iconst.i64 100\n v2 = iadd v0, v3\n return v2": _other_sums,
}


@pytest.mark.needs_compiler
def test_the_same_opcode_wrong_by_another_rule_is_not_known() -> None:
    """Two planted faults of iadd.i64 on riscv64: of the rule for two registers, and of that for a constant."""
    planner = Planner(FuzzOptions(isas=("riscv64",)))
    compiler = planner.open_compiler()
    found = []
    try:
        target = planner.target("plain", "riscv64", "none", ())
        for body, fault in SUMS.items():
            judge = Judge(compiler, planner.runners, Hooks(code=fault))
            desk = Investigator(judge, planner.runners)
            text = f"function %f(i64, i64) -> i64 system_v {{\nblock0(v0: i64, v1: i64):\n {body}\n}}\n"
            case = Case(parse_module(text), 0, ((1000, 7),), name=body)
            [made] = desk.investigate(case, judge.judge([case], [target], Tally()), Tally())
            found.append(desk.told(dataclasses.replace(reduce_finding(desk, made, counted(4))[0], reduced=True)))
    finally:
        compiler.close()
        planner.runners.close()
    plain, more, constant = found
    assert "| iadd.i64 |" in cause_key(plain) and "| iadd.i64 |" in cause_key(constant)
    assert known(more, entry(plain)) and not known(constant, entry(plain)) and not known(plain, entry(constant))
