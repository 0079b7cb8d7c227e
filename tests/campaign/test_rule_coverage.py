"""Coverage of the compiler's rules: what a folder keeps, how it adds up, what is said of the rest."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from liftcheck import cli
from liftcheck.campaign.options import FuzzOptions
from liftcheck.campaign.planner import Planner
from liftcheck.campaign.report import rule_coverage
from liftcheck.campaign.report.asked import Told, asked, said
from liftcheck.campaign.report.cold_rules import NOT_PASSED, Runs, reasons
from liftcheck.campaign.report.rule_coverage import Coverage, Hits, Kept
from liftcheck.campaign.report.rule_page import page, proven
from liftcheck.campaign.report.rule_proofs import (
    BESIDE,
    NOT_REACHED,
    PROVEN,
    REFUTED,
    UNDECIDED,
    Bad,
    RuleVerdict,
    Seen,
)
from liftcheck.campaign.run import fuzz
from liftcheck.case import FunctionCode, Target
from liftcheck.clif.text.printer import print_module
from liftcheck.errors import InputError, UsageError
from liftcheck.isa import ISAS
from liftcheck.isle import sources as isle
from liftcheck.isle.sources import MID_END, Rule
from liftcheck.oracles.differential import is_for
from liftcheck.oracles.tally import Tally

OPTS = """
;; x + 0
(rule (simplify (iadd ty x (iconst_u ty 0))) x)
(rule (simplify (bnot <script>)) x)
"""
LOWER = """
(rule (lower (popcnt x)) (if-let true (has_made_up)) (helper x))
(rule 1 (lower (bnot x)) (helper2 x))
(rule (helper x) (machine))
(rule (helper2
        x)
  (machine))
(rule (lower (tls_value x)) (helper3 x))
(rule (helper3 x) (helper4 x))
(rule (helper4 x) (machine))
(rule (lower (shuffle _ x y (mask (imm8x16 _ 0 _ 1) 5))) (machine))
(rule (lower (load (ty_dyn_vec64 _) a)) (machine))
(rule (helper3 (has_nothing_to_do x)) (machine))
"""


@pytest.fixture
def crate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A registry with the sources of a version."""
    source = tmp_path / "cargo" / "registry" / "src" / "index" / "cranelift-codegen-0.0.7" / "src"
    for name, text in (("opts/a.isle", OPTS), ("isa/riscv64/lower.isle", LOWER)):
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_text(text)
    monkeypatch.setenv("CARGO_HOME", str(tmp_path / "cargo"))
    return source


def one(**changes: Any) -> Coverage:
    hits = {"riscv64": {"src/opts/a.isle:3": Hits(4, 7, 32), "src/isa/riscv64/lower.isle:3": Hits(2, 7, 33)}}
    return Coverage(
        **{"compiler": "cranelift@0.0.7", "version": "0.0.7", "programs": 10, "campaigns": 1, "hits": hits, **changes}
    )


def test_what_is_kept_comes_back(tmp_path: Path) -> None:
    rule_coverage.save(tmp_path, [one(), one(version="0.0.8")])
    assert rule_coverage.load(tmp_path) == [one(), one(version="0.0.8")]
    assert [path.name for path in tmp_path.iterdir()] == ["coverage.json"]


def test_campaigns_add_up_and_the_first_program_stays() -> None:
    later = one(hits={"riscv64": {"src/opts/a.isle:3": Hits(1, 9, 1)}, "s390x": {"src/opts/a.isle:4": Hits(5, 9, 2)}})
    other = one(version="0.0.8")
    found = rule_coverage.added([one(), later, other])
    assert [(c.version, c.programs, c.campaigns) for c in found] == [("0.0.7", 20, 2), ("0.0.8", 10, 1)]
    assert found[0].hits["riscv64"]["src/opts/a.isle:3"] == Hits(5, 7, 32)
    assert found[0].hits["s390x"] == {"src/opts/a.isle:4": Hits(5, 9, 2)}


def test_a_mid_end_rule_counts_on_every_isa(crate: Path) -> None:
    rules = isle.read_below(crate, ("riscv64", "s390x")).rules
    both = one(hits={isa: {"src/opts/a.isle:3": Hits(3, 1, 1)} for isa in ("riscv64", "s390x")})
    assert both.of(rules[0]) == Hits(6, 1, 1) and both.of(rules[1]) is None
    assert rule_coverage.share(both, rules[:2]) == (1, 2)
    assert "mid-end 50.0%, riscv64 0.0% (lower.isle 0.0%)" in rule_coverage.line(both, rules)


def tally(*, traced: int = 32) -> Tally:
    made = Tally(traced=traced)
    made.fired["riscv64", "src/opts/a.isle:3"] += 3
    made.firsts["riscv64", "src/opts/a.isle:3"] = 230
    return made


def test_a_campaign_adds_to_what_its_folder_has(crate: Path, tmp_path: Path) -> None:
    rules, out = isle.read_below(crate, ("riscv64",)).rules, tmp_path / "out"
    rule_coverage.save(out, [one(), one(version="0.0.8")])
    kept = Kept(out, "cranelift@0.0.7", "0.0.7", 1, rules)
    kept.save(tally(), seldom=True)
    assert rule_coverage.load(out) == [one(), one(version="0.0.8")]
    for _ in range(2):
        kept.save(tally())
    mine, other = rule_coverage.load(out)
    assert other == one(version="0.0.8")
    assert (mine.programs, mine.campaigns, mine.hits["riscv64"]["src/opts/a.isle:3"]) == (42, 2, Hits(7, 7, 32))
    assert kept.trouble == ""


def test_a_file_that_cannot_be_read_is_put_aside_and_told(tmp_path: Path) -> None:
    (tmp_path / "coverage.json").write_text("{")
    kept = Kept(tmp_path, "cranelift@0.0.7", "0.0.7", 1, ())
    kept.save(tally())
    assert "not JSON" in kept.trouble and "coverage.json.unreadable" in kept.trouble
    assert (tmp_path / "coverage.json.unreadable").read_text() == "{"
    assert rule_coverage.load(tmp_path)[0].programs == 32


def test_a_folder_that_cannot_be_written_costs_no_campaign(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    kept = Kept(tmp_path / "file" / "out", "cranelift@0.0.7", "0.0.7", 1, ())
    kept.save(tally())
    assert "coverage.json" in kept.trouble
    nothing = Kept(None, "cranelift@0.0.7", "0.0.7", 1, ())
    nothing.save(tally())
    assert nothing.trouble == ""


def test_nothing_traced_keeps_nothing(tmp_path: Path) -> None:
    Kept(tmp_path / "out", "toy", "1", 1, ()).save(Tally())
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("{", "not JSON"),
        ("[]", "not what `liftcheck fuzz` writes there"),
        ('{"format": 9, "compilers": []}', "format 9, and this liftcheck knows 1"),
        ('{"format": 1, "compilers": [{"compiler": "a"}]}', "not what `liftcheck fuzz` writes there"),
        ('{"format": 1, "compilers": [{"compiler": "a", "version": "1", "programs": 1, "campaigns": 1, '
         '"isas": {"x": {"a:1": 5}}}]}', "not what"),
    ],
)  # fmt: skip
def test_a_broken_file_is_told_with_its_name(tmp_path: Path, text: str, what: str) -> None:
    (tmp_path / "coverage.json").write_text(text)
    with pytest.raises(InputError, match=re.escape(what)) as caught:
        rule_coverage.load(tmp_path)
    assert "coverage.json" in str(caught.value)


def test_a_folder_without_coverage_is_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"holds no coverage\.json"):
        rule_coverage.load(tmp_path)


def told_of(crate: Path, rust: str = "", runs: Runs = lambda isa, name: name != "has_made_up") -> dict[int, str]:
    """What is said of the lowering rules, by line."""
    sources = isle.read_below(crate, ("riscv64",))
    why = reasons(sources, runs, rust)
    assert all(rule.place not in why for rule in sources.rules if rule.part == MID_END)
    return {rule.line: why.get(rule.place, "") for rule in sources.rules if rule.part != MID_END}


ASKED = "has_made_up, which no runner here runs"
TLS = "`tls_value`: needs thread-local storage that no runner provides"
CALLERS = "its callers are out of reach: "
LANES = "a shuffle of lanes above 31, which the verifier refuses"
DYNAMIC = "dynamic vector types, which no program holds"


def test_reasons_are_the_rules_own_or_their_callers(crate: Path) -> None:
    helped = {
        9: f"its callers are out of reach: {TLS}",
        10: f"its callers are out of reach: {TLS}",
        13: f"its callers are out of reach: {TLS}",
    }
    own = {
        2: ASKED,
        3: "",
        4: f"its callers are out of reach: {ASKED}",
        5: "",
        8: TLS,
        **helped,
        11: LANES,
        12: DYNAMIC,
    }
    assert told_of(crate) == dict(sorted(own.items()))


def test_an_extension_that_is_run_is_no_reason(crate: Path) -> None:
    told = told_of(crate, runs=lambda isa, name: True)
    assert (told[2], told[4], told[8]) == ("", "", TLS)


CALLED = """
(rule (lower (bnot x)) (used (Flags.Made) x))
(rule (used (Flags.Made) x) (machine))
(rule (used (Flags.Never) x) (machine))
(rule (used (Elsewhere.Some) x) (machine))
(rule (nobody x) (deep x))
(rule (deep x) (machine))
(rule (from_rust x) (machine))
(rule (implied x) (machine))
(rule (has_helper x) (machine))
(rule (lower (ineg x)) (if-let true (has_helper x)) (machine))
(convert A B implied)
"""


def test_what_nobody_calls_or_makes_is_out_of_reach(crate: Path) -> None:
    (crate / "isa/riscv64/lower.isle").write_text(CALLED)
    uncalled = "no rule and no Rust code calls it"
    told = told_of(
        crate, rust="fn f() { generated::constructor_from_rust(ctx, x) } Flags::Other", runs=lambda isa, name: False
    )
    assert told == {2: "", 3: "", 4: "nothing makes Flags.Never", 5: "", 6: uncalled, 7: CALLERS + uncalled,
                    8: "", 9: "", 10: "", 11: ""}  # fmt: skip
    assert not any(told_of(crate, runs=lambda isa, name: False).values())


TYPINGS = """
(rule (lower (has_type $I128 (iconst x))) (machine))
(rule (lower (iconst $I128 x)) (machine))
(rule (lower (iconst $I64 x)) (machine))
(rule (lower (has_type $F64 (fadd x y))) (machine))
(rule (lower (has_type $I64 (fadd x y))) (machine))
(rule (lower (icmp $I8 cc x y)) (machine))
(rule (lower (iadd (fits_in_64 ty) x y)) (machine))
(rule (lower (store flags x y)) (machine))
(rule (lower (has_type $I128 (and x (iconst y)))) (machine))
"""


def test_a_typing_that_clif_lacks_is_out_of_reach(crate: Path) -> None:
    (crate / "isa/riscv64/lower.isle").write_text(TYPINGS)
    none = "CLIF has no `iconst.i128`"
    assert told_of(crate) == {2: none, 3: none, 4: "", 5: "", 6: "CLIF has no `fadd.i64`", 7: "", 8: "", 9: "", 10: ""}


ENABLED = """
(rule (lower (has_type (and (made_up_enabled) $I32) (bnot x))) (machine))
(rule (lower (has_type (and (other_enabled) $I32) (bnot x))) (machine))
"""


def test_a_setting_in_a_pattern_is_a_reason_if_the_crate_has_it(crate: Path) -> None:
    (crate / "isa/riscv64/lower.isle").write_text(ENABLED)
    told = told_of(crate, rust="self.flags.has_made_up()", runs=lambda isa, name: name[:4] != "has_")
    assert told == {2: "has_made_up, which no runner here runs", 3: ""}


PASSED = """
(rule (lower (has_type (ty_32_or_64 ty) (iadd x y))) (add ty (Flags.Some) x))
(rule (lower (isub ty @ (multi_lane 32 4) x)) (if-let flags (helped ty)) (add ty flags x))
(rule (add $I8 _ x) (machine))
(rule (add $I32 _ x) (machine))
(rule (add (fits_in_16 ty) _ x) (machine))
(rule (add $I32X4 (Flags.Some) x) (machine))
(rule (add ty (Flags.Other) x) (machine))
(rule (add $I64X2 _ x) (machine))
(rule (helped ty) (Flags.Other))
(rule (add ty (Changed.Some) x) (machine))
(rule (lower (bnot x)) (if-let true (has_made_up)) (add $I64X2 (Flags.Some) x))
(rule (lower (ineg x)) (unknown (Flags.Some)))
(rule (lower (ineg ty x)) (let ((half Type (half_of ty))) (any half)))
(rule (any $I8) (machine))
(rule (from_rust $F64) (machine))
(rule (again ty (Flags.Some)) (again $F32 (Flags.Other)))
(rule (again $F64 (Flags.Other)) (machine))
(rule (again $F32 (Flags.Other)) (machine))
"""


def test_what_no_caller_passes_is_out_of_reach(crate: Path) -> None:
    """A type, a variant, and both together; not what comes from Rust or was converted to another enumeration."""
    (crate / "isa/riscv64/lower.isle").write_text(PASSED)
    told = told_of(crate, rust="constructor_from_rust constructor_again Flags::A Changed::Some")
    assert [line for line, why in told.items() if why == NOT_PASSED] == [4, 6, 7, 9]
    assert {line: why for line, why in told.items() if why and why != NOT_PASSED} == {12: ASKED}
    assert told_of(crate, rust="constructor_from_rust constructor_again Flags::A Changed::Some constructor_add") == {
        **dict.fromkeys(range(2, 20), ""),
        12: ASKED,
    }


def test_many_calls_of_one_helper_are_taken_together(crate: Path) -> None:
    """What they pass is told apart no more then, but nothing is lost."""
    variants = [f"V{number}" for number in range(200)]
    calls = "\n".join(f"(rule (lower (op{one} x)) (add $I32 (E.{one}) x))" for one in variants)
    takes = "(rule (add $I64 (E.V1) x) (machine))\n(rule (add $I32 (E.V150) x) (machine))"
    (crate / "isa/riscv64/lower.isle").write_text(f"{calls}\n{takes}\n")
    told = told_of(crate, rust="E::V1")
    assert [line for line, why in told.items() if why] == [201]


@pytest.mark.needs_compiler
def test_no_rule_that_is_executed_has_a_reason() -> None:
    """What a campaign of a few traced batches executes is within reach."""
    planner = Planner(FuzzOptions(seed=5))
    compiler = planner.open_compiler()
    source = isle.find(compiler.version)
    if source is None:
        pytest.skip("cargo's registry lacks the sources of this version")
    fired: set[str] = set()
    for batch in (7, 15, 23):
        plan = planner.plan(batch)
        for case in plan.generate(None, []):
            targets = [target for target in plan.targets if is_for(case, target)]
            for column in compiler.compile_text(print_module(case.module), targets, frozenset({"rules"})):
                for code in column:
                    names = code.extra["rules"] if isinstance(code, FunctionCode) else ()
                    assert isinstance(names, tuple)
                    fired.update(str(name).partition(" ")[0] for name in names)
    compiler.close()
    sources = isle.read_below(source, ISAS)
    wrong = fired & reasons(sources, lambda isa, name: True, isle.rust_below(source)).keys()
    assert len(fired) > 2000 and not wrong


HIGH, LOW = "src/isa/riscv64/lower.isle:4", "src/isa/riscv64/lower.isle:5"


@pytest.mark.parametrize(
    ("told", "says"),
    [
        (Told(0, 0, {}), "no program can be made of its left-hand side"),
        (Told(32, 2, {HIGH: 30}), "it fires: in 2 of 32"),
        (Told(32, 0, {}), "not tried: of 32 programs made for it none comes to another rule of `lower`"),
        (Told(32, 0, {LOW: 31, HIGH: 16}), f"shadowed: of 32 programs made for it 16 go to {HIGH}, of higher priority"),
        (Told(32, 0, {LOW: 31, HIGH: 1}), f"not matched: of 32 programs made for it 31 go to {LOW}: a guard"),
    ],
)
def test_what_a_compiler_answers_about_a_rule(told: Told, says: str) -> None:
    rule = Rule("src/isa/riscv64/lower.isle", 3, "lower", 1, "riscv64", [["lower", "x"], "x"], 3, 3)
    assert said(rule, told, {HIGH: 2, LOW: 1}).startswith(says)


def test_a_simplification_is_shadowed_by_none() -> None:
    rule = Rule("src/opts/a.isle", 3, "simplify", 0, MID_END, [["simplify", "x"], "x"], 3, 3)
    assert said(rule, Told(8, 0, {HIGH: 8}), {HIGH: 2}).startswith("not matched: of 8 programs made for it none")


@pytest.mark.needs_compiler
def test_a_compiler_is_asked_about_rules() -> None:
    """One that fires, one that another takes everything from, one of which no program can be made; nobody else's."""
    compiler = FuzzOptions().compiler
    planner = Planner(FuzzOptions(isas=("x86-64",)))
    version = planner.open_compiler().version
    planner.open_compiler().close()
    source = isle.find(version)
    if source is None:
        pytest.skip("cargo's registry lacks the sources of this version")
    every = isle.read_below(source, ("x86-64",)).rules
    xors = [rule for rule in every if rule.term == "x64_xor"]
    memory = next(rule for rule in xors if "$I8" in str(rule.left) and "is_gpr_mem" in str(rule.left))
    register = next(rule for rule in xors if "$I64" in str(rule.left) and "is_gpr_mem" in str(rule.left))
    moved = next(rule for rule in every if rule.term == "writable_gpr_to_value_regs")
    told = asked([memory, register, moved], every, compiler, ("x86-64",))
    assert told[memory.place].startswith("shadowed: of ") and "x64/inst.isle" in told[memory.place]
    assert told[register.place].startswith("it fires: in ")
    assert told[moved.place] == "no program can be made of its left-hand side"


def document(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    assert cli.main(words) == 0
    made: dict[str, Any] = json.loads(capsys.readouterr().out)
    return made


def test_the_command_adds_folders_up(crate: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("a", "b"):
        rule_coverage.save(tmp_path / name, [one()])
    made = document(capsys, "coverage", str(tmp_path / "a"), str(tmp_path / "b"), "--isa", "riscv64", "--json")
    assert (made["compiler"], made["programs"], made["campaigns"]) == ("cranelift@0.0.7", 20, 2)
    assert made["parts"]["mid-end"] == {
        "executed": 1,
        "rules": 2,
        "files": {"src/opts/a.isle": {"executed": 1, "rules": 2}},
    }
    rules = {(rule["file"], rule["line"]): rule for rule in made["rules"]}
    hit, cold = rules["src/isa/riscv64/lower.isle", 3], rules["src/isa/riscv64/lower.isle", 5]
    assert (hit["times"], hit["first"], hit["reason"], hit["priority"]) == (4, {"seed": 7, "case": 33}, None, 1)
    assert (cold["times"], cold["first"], cold["reason"], cold["term"]) == (0, None, "open", "helper2")


def test_the_command_for_people(crate: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rule_coverage.save(tmp_path, [one()])
    assert cli.main(["coverage", str(tmp_path), "--isa", "riscv64", "--cold"]) == 0
    out = capsys.readouterr().out
    assert "50.0%" in out and "10.0%" in out and "10 traced programs of 1 campaign" in out
    assert "src/isa/riscv64/lower.isle:5 helper2: open" in out
    assert "src/isa/riscv64/lower.isle:8 lower: `tls_value`: needs thread-local" in out
    assert "lower.isle:3 " not in out.partition("never executed")[2]


def test_the_page_holds_the_sources_and_nothing_that_acts(
    crate: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rule_coverage.save(tmp_path, [one()])
    page = tmp_path / "page.html"
    assert cli.main(["coverage", str(tmp_path), "--isa", "riscv64", "--html", str(page)]) == 0
    text = page.read_text()
    assert "<script" not in text and "http" not in text.replace("http-equiv", "")
    assert "(bnot &lt;script&gt;)" in text and "4×" in text
    kinds = re.findall(r'<span class="is-([\w-]+)">', text)
    hit, cold, out = "executed", "not-yet", "out-of-reach"
    assert kinds == [hit, cold, out, hit, out, *[cold] * 3, *[out] * 6]
    assert capsys.readouterr().err == f"{page}: written\n"


def test_the_page_of_proofs_colours_by_verdict_and_shows_a_counterexample(crate: Path) -> None:
    """The same engine with other colours; a refuted rule has its program below it."""
    rules = isle.read_below(crate, ("riscv64",)).rules
    kinds = (PROVEN, BESIDE, REFUTED, UNDECIDED, NOT_REACHED)
    wrong = Bad(REFUTED, "result 1", Target("riscv64"), "function %f() <b>", "", (7,), (), "wrong result on qemu")
    found = [
        RuleVerdict(rule, kinds[n % 5], Seen(n), "why", (wrong,) if n % 5 == 2 else ()) for n, rule in enumerate(rules)
    ]
    text = page(proven(found, "toy", "riscv64"), rules, crate)
    coloured = re.findall(r'<span class="is-([\w-]+)"><i>[^<]*</i>[^<]*<b>; line', text)
    names = [kinds[n % 5] for n, rule in enumerate(rules) if rule.part == "riscv64"]
    share = sum(name in (PROVEN, BESIDE) for name in names) / len(names)
    assert f'<td class="number">{share:.1%}</td><td class="number">{len(names)}</td>' in text
    assert coloured == [kinds[n % 5].replace(" ", "-") for n in range(len(rules))]
    assert text.count("function %f() &lt;b&gt;") == 2 and "for (0x7): wrong result on qemu" in text
    assert all(f".is-{kind.replace(' ', '-')} {{" in text for kind in kinds)


@pytest.mark.parametrize(
    ("kept", "words", "code", "what"),
    [
        ([one(), one(version="0.0.8")], (), 2, "folders of several compilers"),
        ([one(version="9.9.9")], (), 3, "are not on this machine"),
        ([], (), 2, "hold no coverage"),
        ([one()], ("--html", "/nowhere/page.html"), 2, "cannot write '/nowhere/page.html'"),
        ([one()], ("--isa", "mips"), 2, "mips"),
    ],
)
def test_what_cannot_be_shown_is_told(
    crate: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    kept: list[Coverage],
    words: tuple[str, ...],
    code: int,
    what: str,
) -> None:
    rule_coverage.save(tmp_path, kept)
    assert cli.main(["coverage", str(tmp_path), *words]) == code
    captured = capsys.readouterr()
    assert what in captured.err and captured.out == ""


@pytest.mark.needs_compiler
def test_a_campaign_keeps_what_was_executed_whatever_the_jobs(tmp_path: Path) -> None:
    """Batch 7 is the first that is traced."""
    options = {"cases": 256, "seconds": None, "seed": 3, "isas": ("riscv64",), "reduce_seconds": 0.1, "out": tmp_path}
    first, second = (fuzz(FuzzOptions(**options, jobs=jobs)) for jobs in (1, 2))  # type: ignore[arg-type]
    if first.kept is None:
        pytest.skip("cargo's registry lacks the sources of this version")
    assert first.tally.fired == second.tally.fired and first.tally.firsts == second.tally.firsts
    assert first.tally.traced == 32 and set(first.tally.firsts.values()) <= set(range(224, 256))
    (kept,) = rule_coverage.load(tmp_path)
    assert (kept.programs, kept.campaigns) == (64, 2)
    assert {isa for isa, _ in first.tally.fired} == {"riscv64"}
    summary = first.document()["rules"]["parts"]
    assert 0.2 < summary["riscv64"]["executed"] / summary["riscv64"]["rules"] < 1
