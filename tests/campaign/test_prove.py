"""Rules proven by their instances: verdicts, what is chosen, and wrong lowerings that are planted."""

from __future__ import annotations

import io
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.console import Console
from support.planted_rules import Planted

from liftcheck.campaign.planner import Planner
from liftcheck.campaign.prove.kept import Kept, digest
from liftcheck.campaign.prove.made import Chooser, Made
from liftcheck.campaign.prove.run import prove_rules
from liftcheck.campaign.prove.work import RULE, TEXT, TYPING, ProveOptions, Task, Workshop, matches
from liftcheck.campaign.report import rule_tables
from liftcheck.campaign.report.rule_proofs import (
    BESIDE,
    NOT_REACHED,
    OURS,
    PROVEN,
    REFUTED,
    UNDECIDED,
    UNRUN,
    Bad,
    Proofs,
    Seen,
    by_file,
    document,
    exit_code,
    verdicts,
)
from liftcheck.case import CompileFailure, FunctionCode, Target
from liftcheck.clif.ir import Function
from liftcheck.clif.text.parser import parse_module
from liftcheck.compilers.cranelift.client import Cranelift
from liftcheck.errors import UsageError
from liftcheck.isa import ISAS
from liftcheck.isle.sources import Rule, rules_in, spelled
from liftcheck.oracles.lifting.equal import Verdict

SOURCE = """
(rule (lower (iadd x y)) (add x y))
(rule (lower (isub x y)) (sub x y))
(rule 2 (add x y) (machine x y))
(rule (never x) (machine x x))
"""
ADD, SUB, HELPER, NEVER = rules_in(SOURCE, "src/isa/toy/lower.isle", "toy")
TOY = Target("riscv64")


def bad(kind: str, *rules: Rule) -> Bad:
    return Bad(kind, "why", TOY, "text", "", (1,), tuple(rule.place for rule in rules))


def seen(good: int, wrong: int = 0) -> Seen:
    return Seen(good, 0, wrong, Counter({"iadd.i32": good + wrong}), Counter({"integer scalar": good + wrong}))


# -- verdicts


def test_a_rule_is_proven_by_its_instances_and_not_reached_without_any() -> None:
    proofs = Proofs({ADD.place: seen(3)}, tried=Counter({NEVER.place: 4}))
    found = {one.rule.place: one for one in verdicts(proofs, (ADD, SUB, NEVER), {SUB.place: "out of reach"})}
    assert found[ADD.place].verdict == PROVEN and found[ADD.place].category == "integer scalar"
    assert (found[SUB.place].verdict, found[SUB.place].why) == (NOT_REACHED, "out of reach")
    assert found[NEVER.place].why == "of 4 programs made of its left-hand side none fires it"
    assert exit_code(proofs, list(found.values())) == 0


def test_what_is_refuted_is_the_matter_of_the_rule_that_is_proven_most_seldom() -> None:
    proofs = Proofs({ADD.place: seen(1, 1), HELPER.place: seen(9, 1)}, [bad("refuted", ADD, HELPER)])
    found = {one.rule.place: one for one in verdicts(proofs, (ADD, HELPER), {})}
    assert found[ADD.place].verdict == REFUTED and found[HELPER.place].verdict == BESIDE
    assert exit_code(proofs, list(found.values())) == 1
    assert {line.name: dict(line.counts) for line in by_file(list(found.values()))} == {
        "src/isa/toy/lower.isle": {REFUTED: 1, BESIDE: 1}
    }


def test_rules_that_are_proven_alike_share_the_matter_and_refuted_weighs_more_than_undecided() -> None:
    proofs = Proofs({ADD.place: seen(0, 2), HELPER.place: seen(0, 2)}, [bad("undecided", ADD, HELPER)])
    assert {one.verdict for one in verdicts(proofs, (ADD, HELPER), {})} == {UNDECIDED}
    proofs.bad.append(bad("refuted", ADD, HELPER))
    found = verdicts(proofs, (ADD, HELPER), {})
    assert {one.verdict for one in found} == {REFUTED} and found[0].matters[0].kind == "refuted"


@pytest.mark.parametrize("kind", [OURS, UNRUN])
def test_what_no_run_shows_accuses_no_rule(kind: str) -> None:
    proofs = Proofs({ADD.place: seen(1, 1)}, [bad(kind, ADD)._replace(ran="its run agrees")])
    (found,) = verdicts(proofs, (ADD,), {})
    assert (found.verdict, found.why) == (UNDECIDED, f"{kind}: its run agrees") and exit_code(proofs, [found]) == 3
    assert document(proofs, [found], "c", "toy", 1.0)["unconfirmed"][0]["reason"] == found.why


def test_sums_of_tasks_add_up() -> None:
    whole, part = Proofs({ADD.place: seen(1)}), Proofs({ADD.place: seen(2, 1)}, [bad("undecided", ADD)], instances=3)
    whole.add(part)
    assert whole.seen[ADD.place].equal == 3 and whole.instances == 3 and len(whole.bad) == 1


@pytest.mark.parametrize("pattern", ["", "toy/lower.isle", "lower.isle:2", "iadd", "lower", "toy"])
def test_a_pattern_names_a_rule(pattern: str) -> None:
    assert matches(ADD, pattern)


@pytest.mark.parametrize("pattern", ["imul", "lower.isle:3", "x64", "low"])
def test_another_pattern_does_not(pattern: str) -> None:
    assert not matches(ADD, pattern) or pattern == "low"  # part of the file's name


# -- what is chosen and kept


def made(code: bytes, *rules: str, text: str = "") -> Made:
    model = parse_module("function %f() {\nblock0:\n    return\n}\n").functions[0]
    return Made(None, model, text, TOY, FunctionCode("%f", code), frozenset(rules))


def test_of_a_rule_a_few_functions_are_chosen_for_all_targets_whose_code_differs() -> None:
    chooser = Chooser(2, lambda rule: rule != "unasked")
    assert not chooser.takes(made(b"0", "unasked"))
    assert [chooser.takes(made(b"0", "a", text=f"{n}")) for n in range(3)] == [True, True, False]
    assert chooser.takes(made(b"1", "a", text="0")) and not chooser.takes(made(b"1", "a", text="0"))
    assert chooser.takes(made(b"0", "a", "b", text="0")), "known code says something of another rule"
    assert chooser.takes(made(b"9", "a", text="9"), always=True)


def test_of_each_set_of_lowerings_that_fire_with_a_helper_one_function_is_chosen() -> None:
    """A helper that matched for nothing four times is still proven where its caller fires."""
    chooser = Chooser(2, "helper".__eq__, frozenset(("caller", "other")))
    plain = [chooser.takes(made(b"0", "helper", "other", "more", text=f"{n}")) for n in range(3)]
    assert plain == [True, True, False]
    assert [chooser.takes(made(b"0", "helper", "caller", text=f"c{n}")) for n in range(2)] == [True, False]


def test_verdicts_are_kept_on_disk_and_a_torn_line_is_passed_over(tmp_path: Path) -> None:
    folder = tmp_path / "proofs"
    first, verdict = Kept(folder), Verdict("undecided", "a loop")
    first.put(digest(made(b"1").key), verdict)
    first.put(digest(made(b"3").key), Verdict("refuted", "result 1"))
    (file,) = folder.iterdir()
    file.write_text(file.read_text() + '["torn", "equ')
    again = Kept(folder)
    assert again.read == 1 and again.get(digest(made(b"1").key)) == verdict
    assert again.get(digest(made(b"2").key)) is None and Kept(None).get(digest(made(b"1").key)) is None


# -- with a compiler


@pytest.fixture(scope="module")
def shops(compiler: Cranelift) -> Iterator[dict[str, Workshop]]:
    opened = {isa: Workshop(ProveOptions(isa, most=2, fresh=True)) for isa in ISAS}
    yield opened
    for shop in opened.values():
        shop.close()


def typing(shop: Workshop, key: str) -> Task:
    return Task(TYPING, (next(n for n, row in enumerate(shop.operations) if row.key == key),))


@pytest.mark.parametrize("isa", ISAS)
def test_a_wrong_lowering_is_refuted_under_its_rules_name(
    shops: dict[str, Workshop], isa: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What another operation's instances prove acquits the helpers that both have."""
    shop = shops[isa]
    proofs = shop.do(typing(shop, "bxor.i64"))
    acquitted, right = set(proofs.seen), shop.do(typing(shop, "isub.i64"))
    fired = [rule for rule in shop.rules if rule.place in right.seen and matches(rule, "isub")]
    (rule, *_) = (one for one in fired if one.term == "lower")
    assert not right.bad
    inner = shop.planner.open_compiler()
    monkeypatch.setattr(Planner, "open_compiler", lambda _: Planted(inner, rule.place))
    wrong = Workshop(ProveOptions(isa, most=2, fresh=True))
    proofs.add(wrong.do(typing(shop, "isub.i64")))
    found = {one.rule.place: one.verdict for one in verdicts(proofs, shop.rules, {})}
    assert found[rule.place] == REFUTED
    assert not [place for place in acquitted if found[place] == REFUTED]
    assert all(bad.ran.startswith("wrong result") for bad in proofs.bad if bad.kind == REFUTED)


@pytest.mark.parametrize("isa", ISAS)
def test_edges_of_immediates_are_instances(shops: dict[str, Workshop], isa: str) -> None:
    """Both sides of where other rules begin to fire are proven: constants that differ by one."""
    shop, chosen = shops[isa], []
    factory, chooser = shop.factory(), Chooser(99, lambda _: True)
    for one in shop.of_typing(factory, chooser, shop.table.by_key["iadd.i64"]):
        if one.recipe is not None and one.recipe.form == "rc" and one.target == factory.targets[0]:
            chosen.append((one.recipe.choices[0][1].number, one.fired))
    numbers = dict(chosen)
    assert any(number + 1 in numbers and numbers[number + 1] != fired for number, fired in chosen)


def test_a_rule_that_fires_in_no_instance_has_no_verdict(shops: dict[str, Workshop]) -> None:
    shop = shops["aarch64"]
    proofs = shop.do(Task(TEXT, (0,)))
    found = verdicts(proofs, shop.rules, {})
    assert all(one.seen.equal + one.seen.proven + one.seen.bad > 0 for one in found if one.verdict != NOT_REACHED)
    assert any(one.verdict == NOT_REACHED for one in found) and any(one.verdict == PROVEN for one in found)


def test_a_fault_of_ours_costs_one_instance_and_is_counted(shops: dict[str, Workshop]) -> None:
    asked: list[str] = []

    def broken(target: Target, function: Function, code: FunctionCode, effort: int) -> Verdict:
        asked.append(str(target))
        if len(asked) == 1:
            raise ZeroDivisionError("planted")
        return Verdict("equal")

    shop = Workshop(ProveOptions("riscv64", most=2, fresh=True), broken)
    proofs = shop.do(typing(shops["riscv64"], "isub.i64"))
    shop.close()
    assert len(asked) > 3
    assert [(bad.kind, bad.ran) for bad in proofs.bad] == [(OURS, "ZeroDivisionError: planted")]
    assert exit_code(proofs, verdicts(proofs, shop.rules, {})) == 3


def test_instances_that_make_the_compiler_fail_on_one_target_are_told(
    shops: dict[str, Workshop], monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = shops["riscv64"]
    plain = shop.do(typing(shop, "isub.i64"))
    (rule,) = (r.place for r in shop.rules if r.place in plain.seen and spelled(r.left) == "(lower (isub $I64 x y))")
    failing = Planted(shop.planner.open_compiler(), rule, fails=CompileFailure("panic", "planted"))
    monkeypatch.setattr(Planner, "open_compiler", lambda _: failing)
    wrong = Workshop(ProveOptions("riscv64", most=2, fresh=True))
    proofs = wrong.do(typing(shop, "isub.i64"))
    assert not plain.refused["panic: planted"] and proofs.refused["panic: planted"] > 0
    console = Console(width=200, file=io.StringIO())
    console.print(rule_tables.tables(proofs, verdicts(proofs, shop.rules, {}), "title"))
    assert re.search(r"make the compiler fail:\n +[0-9]+  panic: planted", console.file.getvalue())  # type: ignore[attr-defined]


def test_programs_of_a_rule_fire_it(shops: dict[str, Workshop]) -> None:
    shop = shops["riscv64"]
    number, rule = next(
        (n, r) for n, r in enumerate(shop.rules) if matches(r, "ineg") and r.file.startswith("src/opts")
    )
    proofs = shop.do(Task(RULE, (number,)))
    assert proofs.tried[rule.place] > 0 and proofs.seen[rule.place].equal + proofs.seen[rule.place].proven > 0


KNOWN = (
    ("x86-64", "x64/inst.isle:3872"),
    ("aarch64", "aarch64/lower.isle:554"),
    ("aarch64", "aarch64/lower.isle:559"),
    ("riscv64", "riscv64/lower.isle:2990"),
    ("s390x", "s390x/inst.isle:3842"),
    ("s390x", "opts/cprop.isle:470"),
    ("s390x", "opts/cprop.isle:483"),
)
"""Rules that pages of docs/findings name, wrong in 0.135.8."""


@pytest.mark.parametrize(("isa", "place"), KNOWN)
def test_known_faults_of_rules_are_refuted_by_programs_of_the_rules_alone(
    compiler: Cranelift, isa: str, place: str
) -> None:
    shop = Workshop(ProveOptions(isa, place, fresh=True))
    try:
        (number,) = (number for number, rule in enumerate(shop.rules) if rule.place in shop.asked)
        proofs = shop.do(Task(RULE, (number,)))
        (found,) = verdicts(proofs, [shop.rules[number]], {})
    finally:
        shop.close()
    assert found.verdict == REFUTED and exit_code(proofs, [found]) == 1
    assert any(bad.ran.startswith("wrong ") for bad in found.matters)


def test_no_rule_of_that_name_is_one_message(compiler: Cranelift) -> None:
    with pytest.raises(UsageError, match=r"no rule of .* is named by 'frobnicate'"):
        prove_rules(ProveOptions("x86-64", "frobnicate"))
