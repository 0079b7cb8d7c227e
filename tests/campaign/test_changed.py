"""Rules that differ between two compilers: what is a change, and what it makes the compiler do is proven and run."""

from __future__ import annotations

import dataclasses
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from support.planted_rules import Planted

from liftcheck.campaign.planner import Planner
from liftcheck.campaign.prove import changed, checkout, compare
from liftcheck.campaign.prove.changed import NOW, ROW, ChangedShop, ChangedTask, Compared, drawn
from liftcheck.campaign.prove.changes import ADDED, CALLS, EDITED, PRIORITY, REMOVED, Change, Changes, changes, side
from liftcheck.campaign.prove.shown import done, listed
from liftcheck.campaign.prove.work import ProveOptions, Workshop
from liftcheck.campaign.report.rule_proofs import OURS, PROVEN, REFUTED, verdicts
from liftcheck.case import FunctionCode, Target
from liftcheck.clif.text.parser import parse_module
from liftcheck.compilers.base import Reply
from liftcheck.compilers.cranelift.client import Cranelift
from liftcheck.errors import UsageError
from liftcheck.isle import sources as isle
from liftcheck.oracles.lifting.equal import Verdict

LOWER = """
(decl lower (Inst) InstOutput)
(type Op (enum (Add) (Sub)))
(decl small (u64) Value)
(extern extractor small small_fn)
(extractor (tiny x) (small x))
;; adds
(rule (lower (iadd x y)) (add x y))
(rule 2 (lower (isub x (tiny y))) (add x y))
(rule add_rule (add x y) (machine (Op.Add) x y))
(rule (machine op x y) (emit op x y))
(rule (lower (ineg x)) (negate x))
(rule (negate x) (emit (Op.Sub) x x))
"""
RUST = (
    "impl C { fn small_fn(&mut self) -> Option<u64> { if self.x { None } else { Some(1) } }\n fn other() { one() } }\n"
)
ISA = "riscv64"


def crate(folder: Path, lower: str = LOWER, rust: str = RUST) -> Path:
    """The `src` folder of a crate with these rules and this Rust."""
    for name, text in (("isa/riscv64/lower.isle", lower), ("isa/riscv64/isle.rs", rust), ("opts/a.isle", "")):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def differing(tmp_path: Path, lower: str = LOWER, rust: str = RUST) -> Changes:
    before, now = crate(tmp_path / "before"), crate(tmp_path / "now", lower, rust)
    return changes(side(before, ISA), side(now, ISA))


def told(found: Sequence[Change]) -> list[tuple[str, str]]:
    return [(one.kind, isle.spelled(one.rule.left)) for one in found]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (";; adds", ";; adds\n\n;; two registers"),
        ("(rule (lower (iadd x y)) (add x y))", "(rule\n  (lower (iadd x y)) ; both\n  (add x y))"),
        ("(rule add_rule (add", "(rule (add"),
    ],
)
def test_comments_lines_and_names_are_no_change(tmp_path: Path, old: str, new: str) -> None:
    found = differing(tmp_path, LOWER.replace(old, new))
    assert LOWER.count(old) == 1 and not found and not found.others


def test_a_new_rule_an_edited_one_another_priority_and_one_that_is_gone_are_told_apart(tmp_path: Path) -> None:
    text = LOWER.replace("(lower (ineg x)) (negate x)", "(lower (ineg x)) (if-let 1 x) (negate x)")
    text = text.replace("(rule 2 (lower", "(rule 5 (lower").replace("(rule (lower (iadd x y)) (add x y))\n", "")
    found = differing(tmp_path, text + "(rule 7 (lower (bnot x)) (emit x))\n")
    assert told(found.direct) == [
        (PRIORITY, "(lower (isub x (tiny y)))"),
        (EDITED, "(lower (ineg x))"),
        (ADDED, "(lower (bnot x))"),
    ]
    assert told(found.gone) == [(REMOVED, "(lower (iadd x y))")]
    assert found.direct[0].what == "priority 5, was 2"


@pytest.mark.parametrize(
    ("old", "new", "callers"),
    [
        ("(machine (Op.Add) x y)", "(machine (Op.Add) y x)", ["(lower (iadd x y))", "(lower (isub x (tiny y)))"]),
        ("(emit op x y)", "(emit op y x)", ["(lower (iadd x y))", "(lower (isub x (tiny y)))", "(add x y)"]),
        ("(tiny x) (small x)", "(tiny x) (and 1 (small x))", ["(lower (isub x (tiny y)))"]),
        ("(Add) (Sub)", "(Add) (Sub (x u8))", ["(lower (ineg x))", "(negate x)"]),
    ],
)
def test_what_a_rule_calls_changes_it_however_far_away(tmp_path: Path, old: str, new: str, callers: list[str]) -> None:
    found = differing(tmp_path, LOWER.replace(old, new))
    assert LOWER.count(old) == 1 and told(found.callers) == [(CALLS, left) for left in callers]


def test_a_function_in_rust_changes_who_matches_by_it_and_a_comment_does_not(tmp_path: Path) -> None:
    assert not differing(tmp_path, rust=RUST.replace("if self.x", "/* odd */ if self.x // why\n"))
    found = differing(tmp_path, rust=RUST.replace("Some(1)", "Some(2)"))
    assert told(found.callers) == [(CALLS, "(lower (isub x (tiny y)))")] and not found.direct and not found.others
    other = differing(tmp_path, rust=RUST.replace("one()", "two()"))
    assert not other and other.others == ("isa/riscv64/isle.rs",)


# -- git


def git(folder: Path, *words: str) -> str:
    who = ("-c", "user.name=t", "-c", "user.email=t@t", "-c", "commit.gpgsign=false")
    return subprocess.run(["git", *who, *words], cwd=folder, check=True, capture_output=True, text=True).stdout.strip()


def test_a_commit_is_taken_out_of_git_and_the_working_tree_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIFTCHECK_CACHE", str(tmp_path / "cache"))
    root = tmp_path / "repo"
    inner = root / "some" / "crate"
    crate(inner / "src")
    (inner / "Cargo.toml").write_text('[package]\nname = "cranelift-codegen"\nversion = "0.135.8"\n')
    with pytest.raises(UsageError, match="rev-parse"):
        checkout.base(f"cranelift={inner}", "")
    git(root, "init", "-q", "-b", "main")
    git(root, "add", "-A")
    git(root, "commit", "-q", "-m", "first")
    first = git(root, "rev-parse", "HEAD")
    git(root, "checkout", "-q", "-b", "work")
    lower = inner / "src/isa/riscv64/lower.isle"
    lower.write_text("committed on the branch")
    git(root, "commit", "-q", "-am", "second")
    lower.write_text("not committed")
    for revision, text in (("", LOWER), ("HEAD", "committed on the branch"), (first, LOWER)):
        for _ in range(2):
            spec = checkout.base(f"cranelift={inner}", revision)
            assert (Path(spec.removeprefix("cranelift=")) / "src/isa/riscv64/lower.isle").read_text() == text
    with pytest.raises(UsageError, match="rev-parse"):
        checkout.base(f"cranelift={inner}", "nothing")


# -- with a compiler


def test_inputs_of_a_function_that_loads_are_addresses_of_its_data() -> None:
    text = "function %f(i64, i32) -> i32 {\nblock0(v0: i64, v1: i32):\n    v2 = load.i32 v0\n    return v2\n}\n"
    case = drawn(parse_module(text).functions[0])
    assert len(case.memories) == len(case.inputs) > 8 and len({row[1] for row in case.inputs}) > 2
    plain = drawn(parse_module("function %f() {\nblock0:\n    return\n}\n").functions[0])
    assert plain.inputs == ((),) and plain.memories == ()


class Quiet:
    """A compiler whose trace leaves a rule out."""

    def __init__(self, inner: Cranelift, place: str) -> None:
        self.inner, self.place = inner, place

    def __getattr__(self, name: str) -> object:
        return getattr(self.inner, name)

    def compile_text(
        self, text: str, targets: Sequence[Target], wants: frozenset[str] = frozenset()
    ) -> list[list[Reply]]:
        return [list(map(self._quiet, column)) for column in self.inner.compile_text(text, targets, wants)]

    def _quiet(self, reply: Reply) -> Reply:
        if not isinstance(reply, FunctionCode):
            return reply
        rules = reply.extra.get("rules")
        kept = tuple(rule for rule in rules if not str(rule).startswith(self.place)) if isinstance(rules, tuple) else ()
        return dataclasses.replace(reply, extra={**reply.extra, "rules": kept})


@pytest.fixture
def same(compiler: Cranelift) -> Iterator[Changes]:
    """The published sources twice, so that nothing differs."""
    source = isle.find(compiler.version)
    assert source is not None
    one = side(source, ISA)
    yield changes(one, one)


def isub(found: Changes) -> str:
    """The place of the rule that lowers a plain subtraction."""
    left = "(lower (isub $I64 x y))"
    (place,) = (rule.place for rule in found.now.rules if isle.spelled(rule.left) == left)
    return place


def compared(
    monkeypatch: pytest.MonkeyPatch, found: Changes, now: object, before: object, key: str = "isub.i64"
) -> Compared:
    monkeypatch.setattr(Planner, "open_compiler", lambda _: now)
    monkeypatch.setattr(changed, "open_compiler", lambda _: before)
    shop = ChangedShop(ProveOptions(ISA, most=2, fresh=True), "other", found)
    (number,) = (n for n, row in enumerate(shop.shop.operations) if row.key == key)
    return shop.do(ChangedTask(ROW, number))


def test_what_does_not_differ_is_counted_and_neither_proven_nor_run(
    compiler: Cranelift, same: Changes, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not same
    found = compared(monkeypatch, same, compiler, compiler)
    assert found.instances > 100 and (found.other_code, found.other_rules) == (0, 0)
    assert found.proofs.instances == found.runs == 0


def test_other_code_is_proven_and_run_whatever_rule_made_it(
    compiler: Cranelift, same: Changes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A wrong rule that no text shows to differ: terms and runs refute it."""
    place = isub(same)
    found = compared(monkeypatch, same, Planted(compiler, place), compiler)
    assert 0 < found.other_code < found.instances and found.runs > 0 and found.agreed == 0
    assert {bad.kind for bad in found.proofs.bad} == {REFUTED} and all(place in bad.rules for bad in found.proofs.bad)


def test_a_rule_that_fires_now_and_did_not_is_exposed(
    compiler: Cranelift, same: Changes, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = isub(same)
    found = compared(monkeypatch, same, compiler, Quiet(compiler, place))
    assert found.other_code == 0 and set(found.gained) == {same.now.same[place]} and not found.lost
    assert found.runs == found.agreed + found.open_runs.total() and found.agreed > 0 and not found.proofs.bad
    report = compare.IsaReport(ISA, same, found, verdicts(found.proofs, same.now.rules, {}), 1.0)
    assert [one.verdict for one in report.found if one.rule.place == place] == [PROVEN] and report.exit_code == 0
    assert any(text.startswith(f"fires now where it did not: {place} lower, in ") for text in done(report))


def test_of_a_rule_that_differs_instances_are_proven_though_their_code_is_the_same(
    compiler: Cranelift, same: Changes, monkeypatch: pytest.MonkeyPatch
) -> None:
    (rule,) = (rule for rule in same.now.rules if rule.place == isub(same))
    direct = dataclasses.replace(same, direct=(Change(PRIORITY, rule, "priority 9, was 0"),))
    found = compared(monkeypatch, direct, compiler, compiler)
    assert found.other_code == 0 and found.agreed > 0 and found.touched == {rule.place}
    report = compare.IsaReport(ISA, direct, found, [], 1.0)
    assert list(listed(report, False))[1] == f"  priority {rule.place} lower: priority 9, was 0"


def test_a_run_that_goes_wrong_where_terms_prove_is_our_own_fault(
    compiler: Cranelift, same: Changes, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = isub(same)
    monkeypatch.setattr(changed, "Workshop", lambda options: Workshop(options, lambda *_: Verdict("equal")))
    found = compared(monkeypatch, same, Planted(compiler, place), compiler)
    assert {bad.kind for bad in found.proofs.bad} == {OURS}
    assert all("where terms prove the code" in bad.ran for bad in found.proofs.bad)


def test_what_is_not_compiled_any_more_is_told(
    compiler: Cranelift, same: Changes, monkeypatch: pytest.MonkeyPatch
) -> None:
    from liftcheck.case import CompileFailure

    failing = Planted(compiler, isub(same), fails=CompileFailure("unsupported", "no lowering"))
    found = compared(monkeypatch, same, failing, compiler)
    report = compare.IsaReport(ISA, same, found, [], 1.0)
    assert found.refused and report.exit_code == 1
    assert any(text.startswith("NOT COMPILED ANY MORE") for text in done(report))


def test_programs_of_a_rules_left_hand_side_are_compared(
    compiler: Cranelift, same: Changes, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = isub(same)
    monkeypatch.setattr(Planner, "open_compiler", lambda _: Planted(compiler, place))
    monkeypatch.setattr(changed, "open_compiler", lambda _: compiler)
    shop = ChangedShop(ProveOptions(ISA, most=1, fresh=True), "other", same)
    (number,) = (n for n, rule in enumerate(shop.shop.rules) if rule.place == place)
    for kind in (NOW, changed.BEFORE):
        assert REFUTED in {bad.kind for bad in shop.do(ChangedTask(kind, number)).proofs.bad}
