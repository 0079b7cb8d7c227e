"""The list of a compiler's rules: what is read from `.isle` sources, and that the compiler's trace names the same."""

from __future__ import annotations

from pathlib import Path

import pytest

from liftcheck.case import FunctionCode, Target
from liftcheck.compilers.registry import open_compiler
from liftcheck.isa import ISAS
from liftcheck.isle import sources as isle
from liftcheck.isle.sources import MID_END, Form, Rule

SOURCE = """;; (rule (lower (in_a_comment)))
(; a block
   (rule (lower (in_a_block)) (x)) ;)
(decl pure other (Value) Value)
(rule (simplify (iadd ty x y)) ; behind
      (x))
(rule named 3 (lower (icmp ty x z @ (iconst_s _ -7))) (if-let a b) (if c) (x))
(rule
  -1
  (lower_branch (brif x y) z) (x))
"""
PROGRAM = """function %f(i32, i32, f64) -> i32, f64 {
block0(v0: i32, v1: i32, v2: f64):
    v3 = iconst.i32 0
    v4 = iadd v0, v3
    v5 = isub v4, v1
    v6 = fadd v2, v2
    brif v5, block1, block2
block1:
    return v5, v6
block2:
    v7 = imul v0, v5
    return v7, v2
}
"""


def test_lines_are_those_of_an_editor() -> None:
    found = list(isle.rules_in(SOURCE, "src/opts/a.isle", MID_END))
    assert [(rule.line, rule.term, rule.priority) for rule in found] == [
        (5, "simplify", 0),
        (7, "lower", 3),
        (9, "lower_branch", -1),
    ]
    assert [(rule.first, rule.last) for rule in found] == [(5, 6), (7, 7), (8, 10)]
    assert found[1].place == "src/opts/a.isle:7"
    assert found[1].left == ["lower", ["icmp", "ty", "x", "z", "@", ["iconst_s", "_", "-7"]]]
    assert found[1].parts[1:] == [["if-let", "a", "b"], ["if", "c"], ["x"]]


@pytest.mark.parametrize(
    "text", ["", ")", "(rule", "(rule)", "(rule 3)", "(rule ())", "(rule ((a)) (x))", "rule a", '("']
)
def test_what_is_no_rule_is_left_out(text: str) -> None:
    assert list(isle.rules_in(text, "a.isle", MID_END)) == []


def test_a_form_knows_its_lines() -> None:
    assert list(isle.forms("\n(a\n b\n)\n(c)")) == [Form(["a", "b"], 3, 2, 4), Form(["c"], 5, 5, 5)]


def sources(tmp_path: Path) -> Path:
    for name in (
        "opts/b.isle",
        "isa/x64/lower.isle",
        "isa/x64/inst.isle",
        "isa/s390x/lower.isle",
        "prelude_lower.isle",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(f"\n(rule (lower ({name.partition('/')[0]})) (x))")
    return tmp_path


def test_rules_are_those_of_the_isas_asked_for(tmp_path: Path) -> None:
    found = isle.read_below(sources(tmp_path), ("x86-64",)).rules
    assert [(rule.place, rule.part) for rule in found] == [
        ("src/opts/b.isle:2", MID_END),
        ("src/prelude_lower.isle:2", isle.SHARED),
        ("src/isa/x64/inst.isle:2", "x86-64"),
        ("src/isa/x64/lower.isle:2", "x86-64"),
    ]


def test_no_sources_no_rules(tmp_path: Path) -> None:
    assert isle.find("0.0.0") is None
    assert isle.read_below(tmp_path, ISAS) == ((), {}, frozenset())


def traced(version: str) -> tuple[dict[str, Rule], list[str]]:
    """The rules of a version by place, and what its trace says of a program."""
    compiler = open_compiler(version)
    try:
        source = isle.find(compiler.version)
        if source is None:
            pytest.skip("cargo's registry lacks the sources of this version")
        targets = [Target(isa, (("opt_level", "speed"),)) for isa in ISAS]
        replies = compiler.compile_text(PROGRAM, targets, frozenset({"rules"}))
    finally:
        compiler.close()
    codes = [code for column in replies for code in column if isinstance(code, FunctionCode)]
    assert len(codes) == len(ISAS)
    names = [str(name) for code in codes for name in code.extra["rules"]]
    return {rule.place: rule for rule in isle.read_below(source, ISAS).rules}, names


@pytest.mark.needs_compiler
def test_the_trace_names_rules_by_the_lines_of_their_sources() -> None:
    known, names = traced("cranelift")
    published = [name.split(" ") for name in names if name.startswith("src/")]
    assert len(published) > 60
    assert [known[place].term for place, _ in published] == [term for _, term in published]
