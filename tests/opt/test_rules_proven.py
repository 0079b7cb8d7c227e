"""Every rewrite rule, on instances of its types: z3 proves that both sides are equal, and refutes wrong rules."""

from __future__ import annotations

import pytest
from support.rule_instances import instances, judged

from liftcheck.isle.compiled import NAME, Compiled, compile_rules
from liftcheck.isle.reader import Source
from liftcheck.isle.terms import Rule
from liftcheck.opt.externs import EXTERNS
from liftcheck.opt.rules import FOLDER, nodes, rules

LEAST = 500
"""Rules, at least."""
PARTS = 3
"""Parts of a file's rules, proven side by side."""


def of_file(name: str) -> list[Rule]:
    return [rule for rule in rules().program.terms["simplify"].rules if rule.place.startswith(f"src/opts/{name}:")]


FILES = [path.name for path in sorted(FOLDER.glob("*.isle")) if path.name != "prelude.isle"]


def test_each_rule_is_in_a_file() -> None:
    every = rules().program.terms["simplify"].rules
    assert sum(len(of_file(name)) for name in FILES) == len(every) >= LEAST


@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize("name", FILES)
def test_both_sides_are_equal(name: str, part: int) -> None:
    simplify = rules().term("simplify")
    chosen = of_file(name)[part::PARTS]
    assert chosen
    verdicts = {rule.place: judged(rule, simplify) for rule in chosen}
    assert {place: found for place, found in verdicts.items() if found.get("refuted")} == {}
    assert [place for place, found in verdicts.items() if not found.get("proven")] == []


def planted(text: str) -> Compiled:
    prelude = Source("src/opts/prelude.isle", (FOLDER / "prelude.isle").read_text(encoding="utf-8"))
    return compile_rules([nodes(), prelude, Source("planted", text)], EXTERNS, {"CC": NAME})


WRONG = [
    "(rule (simplify (isub ty x y)) (isub ty y x))",
    "(rule (simplify (iadd ty x (one))) x)",
    "(rule (simplify (band ty x (bor ty x y))) y)",
    "(rule (simplify (sdiv ty x (pow2 n))) (sshr ty x (cst_i32 n)))",
    "(rule (simplify (udiv ty x (pow2 n))) (sshr ty x (cst_i32 n)))",
    "(rule (simplify (ushr ty x (lanes k))) (if (less k 8)) (ushr ty (ushr ty x (cst_i32 1)) (cst_i32 k)))",
    "(rule (simplify (ishl ty x (lanes k))) (if (less 7 k)) (cst ty 0))",
    "(rule (simplify (icmp ty (CC.ult) x y)) (icmp ty (CC.slt) x y))",
    "(rule (simplify (icmp ty (CC.ule) x (zero))) (truth ty false))",
    "(rule (simplify (icmp ty (CC.slt) (iadd ty x c @ (konst)) d @ (konst))) (icmp ty (CC.slt) x (isub ty d c)))",
    "(rule (simplify (icmp ty (CC.ult) (sextend ty x) (zero))) (truth ty true))",
    "(rule (simplify (select ty c x y)) (select ty c y x))",
    "(rule (simplify (sextend ty (uextend _ x))) (sextend ty x))",
    "(rule (simplify (ireduce ty (uextend _ x))) (if (narrower (type_of x) ty)) (sextend ty x))",
    "(rule (simplify (fneg ty x)) (fabs ty x))",
    "(rule (simplify (fadd ty x (zero_bits))) x)",
    "(rule (simplify (fsub ty x x)) (bits ty 0))",
    "(rule (simplify (popcnt ty (bnot ty x))) (popcnt ty x))",
    "(rule (simplify (rotl ty x y)) (rotr ty x y))",
    "(rule (simplify (result ty (uadd_overflow _ x y) 1)) (cst ty 0))",
    "(rule (simplify (insertlane ty k v x)) v)",
]  # fmt: skip


@pytest.mark.parametrize("text", WRONG)
def test_a_wrong_rule_is_refuted(text: str) -> None:
    program = planted(text)
    (rule,) = program.program.terms["simplify"].rules
    assert judged(rule, program.term("simplify"), wanted=12).get("refuted"), text


def test_a_rule_that_never_matches_has_no_instances() -> None:
    program = planted("(rule (simplify (iadd ty x y)) (if (less 1 0)) x)")
    (rule,) = program.program.terms["simplify"].rules
    assert list(instances(rule, program.term("simplify"))) == []
    assert judged(rule, program.term("simplify")) == {}
