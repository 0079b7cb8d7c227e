"""ISLE rules: what they do once they are compiled, and what is said of those that are wrong, with the place."""

from __future__ import annotations

from typing import Any

import pytest

from liftcheck.errors import InputError
from liftcheck.isle.compiled import NAME, NoRule, compile_rules
from liftcheck.isle.reader import Source

HEAD = """
(type Inst (enum (iadd (a Value) (b Value)) (isub (a Value) (b Value)) (ishl (a Value) (b Value)) (iconst (k Imm))
                 (nop) (cmp (cc Cond) (a Value)) (neg (a Value))))
(type Cond (enum eq ne))
(type Value (primitive Value)) (type Imm (primitive Imm)) (type Reg (primitive Reg))
(decl def_inst (Inst) Value) (extern extractor def_inst def_inst)
(convert Inst Value def_inst)
(decl put (Value) Reg) (extern constructor put put)
(convert Value Reg put)
(decl iadd (Value Value) Inst) (extractor (iadd a b) (Inst.iadd a b))
(decl ishl (Value Value) Inst) (extractor (ishl a b) (Inst.ishl a b))
(decl iconst (Imm) Inst) (extractor (iconst a) (Inst.iconst a))
(decl pure partial imm12 (Imm) Imm) (extern constructor imm12 imm12)
(decl add (Reg Reg) Reg) (extern constructor add add)
(decl addi (Reg Imm) Reg) (extern constructor addi addi)
(decl shadd (Reg Imm Reg) Reg) (extern constructor shadd shadd)
(extern const $SEVEN Imm)
(decl partial lower (Inst) Reg)
"""
ONE = "\n(rule (lower (Inst.nop)) (add 1 1))"
RULES = """(rule (lower (iadd x y)) (add x y))
(rule 1 (lower (iadd x (iconst k))) (if-let j (imm12 k)) (addi x j))
(rule 2 (lower (iadd x (ishl y (iconst k)))) (shadd y k x))
(rule 3 (lower (iadd x (iconst $SEVEN))) x)
(rule 4 (lower (iadd x x)) (shadd x 1 x))
(rule (lower (Inst.isub x (iconst 0))) x)
(rule (lower (Inst.nop)) (let ((a Reg (add 1 2)) (b Reg (add a a))) (addi b 5)))
(rule (lower (Inst.cmp (Cond.eq) y)) y)
(rule (lower (Inst.neg (and x (iconst _)))) (addi x -1))
"""


class Context:
    """What every function is given: here, what values are defined by, and the trace."""

    def __init__(self, **defined: Any) -> None:
        self.defined = defined
        self.trace: list[str] | None = []


EXTERNS = {
    "def_inst": lambda ctx, value: ctx.defined.get(value),
    "put": lambda ctx, value: f"r{value}",
    "imm12": lambda ctx, k: k if -2048 <= k < 2048 else None,
    "add": lambda ctx, a, b: f"add {a} {b}",
    "addi": lambda ctx, a, k: f"addi {a} {k}",
    "shadd": lambda ctx, a, k, b: f"shadd {a} {k} {b}",
    "SEVEN": 7,
}


def compiled(text: str) -> Any:
    return compile_rules([Source("head.isle", HEAD), Source("t.isle", text)], EXTERNS, {"Cond": NAME})


@pytest.mark.parametrize(
    ("inst", "expected", "line"),
    [
        (("iadd", "a", "b"), "add ra rb", 1),
        (("iadd", "a", "small"), "addi ra 6", 2),
        (("iadd", "a", "large"), "add ra rlarge", 1),
        (("iadd", "a", "shifted"), "shadd rb 6 ra", 3),
        (("iadd", "a", "seven"), "ra", 4),
        (("iadd", "a", "a"), "shadd ra 1 ra", 5),
        (("isub", "a", "zero"), "ra", 6),
        (("isub", "a", "small"), None, 0),
        (("nop",), "addi add add 1 2 add 1 2 5", 7),
        (("cmp", "eq", "a"), "ra", 8),
        (("cmp", "ne", "a"), None, 0),
        (("neg", "small"), "addi rsmall -1", 9),
        (("ishl", "a", "b"), None, 0),
    ],
)
def test_the_rule_of_highest_priority_that_matches(inst: Any, expected: object, line: int) -> None:
    context = Context(
        small=("iconst", 6),
        large=("iconst", 9999),
        shifted=("ishl", "b", "small"),
        seven=("iconst", 7),
        zero=("iconst", 0),
    )
    assert compiled(RULES).term("lower")(context, inst) == expected
    assert context.trace == ([f"t.isle:{line} lower"] if line else [])


def test_a_term_that_is_not_partial_says_that_no_rule_matches() -> None:
    rules = compiled("(decl f (Imm) Imm)\n(rule (f 1) 2)\n(rule (lower (Inst.nop)) (add 1 1))")
    assert rules.term("f")(Context(), 1) == 2
    with pytest.raises(NoRule, match="no rule of f matches"):
        rules.term("f")(Context(), 3)


def test_a_multi_term_gives_all_matches() -> None:
    rules = compiled(
        "(decl multi all (Inst) Reg)\n(rule (all (iadd x y)) (add x y))\n(rule 1 (all (iadd x (iconst k))) "
        "(if-let j (imm12 k)) (addi x j))\n(rule (all (iadd x y)) (add y x))\n(rule (lower (Inst.nop)) (add 1 1))"
    )
    found = rules.term("all")(Context(small=("iconst", 6)), ("iadd", "a", "small"))
    assert sorted(found) == ["add ra rsmall", "add rsmall ra", "addi ra 6"]


def test_a_partial_term_on_the_right_fails_the_rule() -> None:
    rules = compiled(
        "(decl partial g (Imm) Imm)\n(rule (g 1) 2)\n(rule (lower (iadd x (iconst k))) (addi (addi x (g k)) (g k)))"
    )
    lower = rules.term("lower")
    assert lower(Context(one=("iconst", 1)), ("iadd", "a", "one")) == "addi addi ra 2 2"
    assert lower(Context(one=("iconst", 3)), ("iadd", "a", "one")) is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("(rule (lower (iadd x y)) (add x z))", "t.isle:1:33: nothing is called z"),
        ("(rule (lower (iad x y)) x)", "t.isle:1:15: no term is called iad; there is iadd"),
        ("(rule (lower (iadd x)) x)", "t.isle:1:14: iadd has 2 arguments, here are 1"),
        ("(rule (lower (iadd x y)) (iadd x y))", "iadd"),
        ("(rule (lower (iadd x y)) (add 5 $EIGHT))", "t.isle:1:33: no constant is called $EIGHT"),
        ("(rule (lower (iadd x y)) $SEVEN)", "t.isle:1:26: this is a Imm, here stands a Reg"),
        ("(rule (lower (iconst x)) x)", "t.isle:1:26: this is a Imm, here stands a Reg"),
        ("(rule (lower (iadd (iconst k) (iconst (add 1 2)))) k)", "t.isle:1:40: add has no extractor"),
        ("(rule (lower (iadd x y)) (if-let z (add x y)) z)", "t.isle:1:37: add is not pure"),
        ("(rule (lower (Inst.mul x y)) x)", "t.isle:1:15: Inst has no variant mul"),
        ("(rule (lower (iadd x y)) x", "t.isle:1:1: this parenthesis is never closed"),
        ("(rule (lower (iadd x y)) x))", "t.isle:1:28: a form begins with '(', not with ')'"),
        ("(rul (lower (iadd x y)) x)", "t.isle:1:1: no form is called 'rul'"),
        ("(rule (put x) x)", "t.isle:1:8: put is made in Python"),
        ("(decl put (Value) Reg)", "t.isle:1:7: there is a term put already"),
        ("(decl h (Value) Regg)", "t.isle:1:17: no type is called Regg; there is Reg"),
        ("(decl h (Value) Reg)\n(extern constructor h hh)" + ONE, "t.isle:1:7: Python has no constructor 'hh' for h"),
        ("(decl h (Value) Reg)" + ONE, "t.isle:1:7: h has no rule"),
        ("(decl e (Value) Inst)\n(extractor (e x) (e x))\n(rule (lower (e x)) x)", "e is unfolded without end"),
        (
            "(rule (lower (iadd x y)) x)\n(rule (lower (iadd x (iconst k))) x)",
            "t.isle:2:1: this rule and the one at t.isle:1 may both match",
        ),
        (
            "(rule (lower (iadd x y)) x)\n(rule -1 (lower (iadd x (iconst k))) x)",
            "t.isle:2:1: this rule never matches: the one at t.isle:1 always does before",
        ),
        (
            "(decl f (Reg) Reg)\n(decl g (Reg) Reg)\n(rule (f x) (g x))\n(rule (g x) (f x))" + ONE,
            "t.isle:1:7: f -> g -> f: a term that calls itself may never end",
        ),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_with_its_place(text: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        compiled(text)
    assert message in str(caught.value)
    assert text.splitlines()[caught.value.diagnostics[0].line - 1] in str(caught.value)


def test_a_circle_that_is_declared_is_allowed() -> None:
    text = "(decl rec f (Imm) Imm)\n(rule (f 0) 0)\n(rule -1 (f n) (f 0))\n(rule (lower (Inst.nop)) (add 1 1))"
    assert compiled(text).term("f")(Context(), 5) == 0
