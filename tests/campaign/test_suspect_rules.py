"""Which rule is at fault: by spectra alone, and with rules of the real compiler planted as wrong."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.planted_rules import Planted, other_middle_end

from liftcheck.campaign.findings.finding import Finding
from liftcheck.campaign.findings.from_file import disagreements
from liftcheck.campaign.findings.investigate import Investigator
from liftcheck.campaign.findings.neighbours import INPUTS, neighbours, relatives, retyped
from liftcheck.campaign.findings.stage import stage_of
from liftcheck.campaign.findings.suspect_rules import (
    NO_RULE,
    NONE_FIRED,
    OF_RELATIVES,
    Sight,
    fired,
    is_mid_end,
    ranked,
    suspected,
)
from liftcheck.campaign.reduce.engine import Limits
from liftcheck.case import Case, CompileFailure, FunctionCode, Target
from liftcheck.clif.text.parser import parse_filetest, parse_module
from liftcheck.clif.types import I16, I32
from liftcheck.clif.verify import verify
from liftcheck.compilers.base import Compiler, Reply
from liftcheck.compilers.cranelift.client import Cranelift
from liftcheck.isa import ISAS
from liftcheck.isle import sources as isle
from liftcheck.oracles import compare
from liftcheck.oracles.differential import Judge
from liftcheck.oracles.tally import Tally
from liftcheck.runners.pool import RunnerPool

PROGRAM = """
function %f(i64, i64) -> i64 system_v {
block0(v0: i64, v1: i64):
    v2 = iadd v0, v1
    v3 = imul v2, v1
    v4 = bxor v3, v0
    return v4
}
"""
CORPUS = Path(__file__).resolve().parents[2] / "corpus" / "regressions"
LIMITS = Limits(60.0, 150)


def case_of(text: str, *rows: tuple[int, ...]) -> Case:
    return Case(parse_module(text), 0, rows or ((5, 9),), name="planted")


def target_of(isa: str, level: str = "none") -> Target:
    return Target(isa, (("opt_level", level),))


def rules_of(compiler: Compiler, runners: RunnerPool, text: str, target: Target) -> list[str]:
    rules, why = fired(Investigator(Judge(compiler, runners), runners), case_of(text), target)
    assert rules and not why
    return [rule for rule in rules if "<OUT_DIR>" not in rule]


def finding_of(desk: Investigator, case: Case, target: Target) -> Finding:
    tally = Tally()
    [first, *_] = desk.judge.judge([case], [target], tally)
    [found] = desk.investigate(case, [first], tally)
    return found


def own_rule(compiler: Compiler, runners: RunnerPool, op: str, target: Target) -> str:
    """A rule that matches an opcode of PROGRAM and none of the others."""
    others = PROGRAM.replace(op, "isub")
    rest = rules_of(compiler, runners, others, target)
    return next(r for r in rules_of(compiler, runners, PROGRAM, target) if r not in rest and r.endswith(" lower"))


# -- spectra alone


def test_a_rule_that_fired_in_all_that_is_wrong_and_in_nothing_else_comes_first() -> None:
    seen = [
        Sight(frozenset({"a:1 x", "b:2 lower", "c:3 y"}), True),
        Sight(frozenset({"a:1 x", "b:2 lower"}), True),
        Sight(frozenset({"a:1 x", "c:3 y"}), False),
        Sight(frozenset({"a:1 x"}), False),
    ]
    first, *rest = ranked(["a:1 x", "b:2 lower", "c:3 y"], seen)
    assert first.rules == ("b:2 lower",) and (first.wrong, first.right) == (2, 0)
    assert [suspect.rules for suspect in rest] == [("a:1 x",), ("c:3 y",)]


def test_rules_that_nothing_tells_apart_are_one_suspect_and_those_of_clif_stand_first() -> None:
    seen = [Sight(frozenset({"a:1 helper", "b:2 lower"}), True), Sight(frozenset({"c:3 y"}), False)]
    [only] = ranked(["a:1 helper", "b:2 lower"], seen)
    assert only.rules == ("b:2 lower", "a:1 helper")


def test_a_program_that_hides_the_fault_by_its_data_does_not_speak_for_its_rules() -> None:
    same = frozenset({"a:1 lower", "b:2 lower"})
    seen = [Sight(same, True), *[Sight(same, False)] * 9, Sight(frozenset({"b:2 lower"}), False)]
    assert ranked(["a:1 lower", "b:2 lower"], seen)[0].rules == ("a:1 lower",)


# -- neighbours


def test_neighbours_are_of_every_kind_and_have_several_inputs() -> None:
    made = list(neighbours(case_of(PROGRAM), 0, lambda _: (5, 9)))
    ops = {inst.op for case in made for inst in case.module.functions[case.entry].blocks[0].insts}
    types = {param.type for case in made for param in case.module.functions[case.entry].signature.params}
    assert {"isub", "smax", "imul"} <= ops and {I16, I32} <= types
    assert any(len(case.module.functions[0].blocks[0].insts) == 2 for case in made)
    assert all(len(case.inputs) == INPUTS for case in made if case.module.functions[case.entry].signature.params)
    assert sum(not verify(case.module) for case in made) > 50


def test_types_that_follow_from_others_are_inferred() -> None:
    text = PROGRAM.replace("v4 = bxor v3, v0", "v4 = icmp ult v3, v0").replace("-> i64", "-> i8")
    made = retyped(case_of(text), lambda _, ty: I32 if ty.bits == 64 else ty)
    assert made is not None and not verify(made.module)
    assert [param.type for param in made.module.functions[0].signature.params] == [I32, I32]
    assert made.module.functions[0].types[3] is I32 and made.module.functions[0].types[4].bits == 8
    assert retyped(case_of(text), lambda value, ty: I32 if value == 0 else ty) is None or verify(made.module) == []


def test_relatives_have_the_same_shape() -> None:
    own = [inst.op for inst in parse_module(PROGRAM).functions[0].blocks[0].insts]
    shapes = [[inst.op for inst in case.module.functions[0].blocks[0].insts] for case in relatives(case_of(PROGRAM), 0)]
    assert len(shapes) >= 3 and all(shape == own for shape in shapes)


# -- planted rules


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("op", ["imul", "bxor"])
def test_a_wrong_rule_of_the_backend_is_named(compiler: Cranelift, runners: RunnerPool, isa: str, op: str) -> None:
    target = target_of(isa)
    rule = own_rule(compiler, runners, op, target)
    planted = Planted(compiler, rule.partition(" ")[0])
    desk = Investigator(Judge(planted, runners), runners)
    found = suspected(desk, finding_of(desk, case_of(PROGRAM), target), LIMITS)
    assert rule in found.rules and len(found.rules) <= 4, found.suspects[:3]
    assert found.stage.where == "backend" and found.wrong > 1 and found.right > 5


def test_a_wrong_rule_of_the_middle_end_is_named(compiler: Cranelift, runners: RunnerPool) -> None:
    text = PROGRAM.replace("imul v2, v1", "isub v2, v2")
    target = target_of("x86-64", "speed")
    fired_here = rules_of(compiler, runners, text, target)
    rule = next(r for r in fired_here if r.startswith("src/opts/arithmetic.isle"))
    planted = Planted(compiler, rule.partition(" ")[0])
    desk = Investigator(Judge(planted, runners), runners)
    found = suspected(desk, finding_of(desk, case_of(text), target), LIMITS)
    assert rule in found.rules and found.stage.where == "mid-end"
    assert all(is_mid_end(one) for suspect in found.suspects for one in suspect.rules)


def test_of_a_panic_the_rules_of_relatives_that_compile_are_named(compiler: Cranelift, runners: RunnerPool) -> None:
    target = target_of("riscv64")
    rule = own_rule(compiler, runners, "imul", target)
    failure = CompileFailure("panic", "no such thing", "no such thing", "src/isa/riscv64/lower/isle.rs:1:2")
    planted = Planted(compiler, rule.partition(" ")[0], failure, only=lambda code: len(code.code) > 12)
    desk = Investigator(Judge(planted, runners), runners)
    found = suspected(desk, finding_of(desk, case_of(PROGRAM), target), LIMITS)
    assert found.why == OF_RELATIVES and found.stage.where == "backend"
    assert found.suspects and not any(is_mid_end(one) for one in found.rules)


def test_what_is_no_rule_is_not_blamed_on_one(compiler: Cranelift, runners: RunnerPool) -> None:
    desk = Investigator(Judge(compiler, runners), runners)
    damage = Finding(compare.ABI_DAMAGE, case_of(PROGRAM), target_of("x86-64"))
    assert suspected(desk, damage).why == NO_RULE and not suspected(desk, damage).suspects


@pytest.mark.parametrize(
    ("file", "words"),
    [
        ("s390x-fcvt-to-uint-sat-i8", ("uint_sat_reg", "$I8")),
        ("aarch64-fdemote-from-f128", ("lower", "fdemote", "$F32")),
        ("riscv64-swizzle-of-splat", ("lower", "swizzle", "splat")),
    ],
)
def test_known_wrong_rules_are_named(
    compiler: Cranelift, runners: RunnerPool, file: str, words: tuple[str, ...]
) -> None:
    test = parse_filetest((CORPUS / f"{file}.clif").read_text(), file)
    [line] = test.targets[:1]
    desk = Investigator(Judge(compiler, runners), runners)
    target = Target(line.isa, tuple(sorted((*test.settings, *line.settings))))
    found = next(disagreements(desk, test, [target], Tally()))
    rules = suspected(desk, found, LIMITS).rules
    assert any(all(word in source_of(compiler.version, rule) for word in words) for rule in rules), rules


def source_of(version: str, rule: str) -> str:
    """The text of a rule of a published version, to the next empty line."""
    file, _, line = rule.partition(" ")[0].rpartition(":")
    source = isle.find(version)
    assert source is not None
    lines = (source.parent / file).read_text().split("\n")[int(line) - 1 :]
    return "\n".join(lines[: lines.index("")])


def test_a_compiler_that_does_not_trace_says_so(compiler: Cranelift, runners: RunnerPool) -> None:
    class Silent(Planted):
        def compile_text(self, text: str, targets: object, wants: frozenset[str] = frozenset()) -> object:  # type: ignore[override]
            return self.inner.compile_text(text, targets, wants - {"rules", "clif"})  # type: ignore[arg-type]

    desk = Investigator(Judge(Silent(compiler, ""), runners), runners)
    found = suspected(desk, Finding(compare.WRONG_RESULT, case_of(PROGRAM), target_of("x86-64")))
    assert found.why == "this compiler does not say which rules matched" and not found.suspects
    assert stage_of(desk, Finding(compare.WRONG_RESULT, case_of(PROGRAM), target_of("x86-64"))).where == ""


def test_a_wrong_middle_end_without_a_rule_is_no_rules_fault(compiler: Cranelift, runners: RunnerPool) -> None:
    target = target_of("x86-64")
    lowering = own_rule(compiler, runners, "imul", target)

    class Pass(Planted):
        def _planted(self, reply: Reply, target: Target) -> Reply:
            made = super()._planted(reply, target)
            return other_middle_end(made) if made is not reply and isinstance(made, FunctionCode) else made

    desk = Investigator(Judge(Pass(compiler, lowering.partition(" ")[0]), runners), runners)
    found = suspected(desk, finding_of(desk, case_of(PROGRAM), target), LIMITS)
    assert found.stage.where == "mid-end" and found.why == NONE_FIRED and not found.suspects
