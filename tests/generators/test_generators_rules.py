"""Templates, and programs that a compiler's own rules match."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.generators import context, matrices

from liftcheck import isle
from liftcheck.clif.opcodes import OPCODES, variants
from liftcheck.clif.text.printer import print_module
from liftcheck.clif.verify import verify
from liftcheck.errors import InternalError
from liftcheck.generators import rules
from liftcheck.generators.choices import RandomChoices
from liftcheck.generators.generate import generate
from liftcheck.generators.patterns import resolve
from liftcheck.generators.rows import Leaf, Node, Table
from liftcheck.generators.tables import Context, build_table
from liftcheck.generators.templates import TEMPLATES
from liftcheck.isa import ISAS

SOURCE = """
;; a comment (with parentheses
(decl pure other (Value) Value)
(rule (simplify (iadd (fits_in_64 ty) x (ineg ty y))) (isub ty x y))
(rule name 3 (simplify (select ty (sgt _ x y) x y)) (smax ty x y))
(rule (simplify (bxor ty x (iconst_s ty -1))) (bnot ty x))
(rule (simplify (eq ty (uextend_maybe _ inner @ (icmp _ _ _ _)) (iconst_u _ 1))) (subsume inner))
(rule (simplify_skeleton (udiv ty x (iconst_u ty k))) (x))
(rule (simplify_skeleton (udiv ty x y)) (x))
(rule (lower (shuffle ty a b (u128_from_immediate 0x1f1e1d1c1b1a191817161514131211_10))) (x))
(rule (lower (imul $I32 x (sext8_value y))) (x))
(rule (lower (something_of_a_machine x)) (x))
(rule (lower (iadd ty x y)) (x))
(rule (lower (fcmp ty (FloatCC.LessThan) x (fneg _ y))) (x))
"""


def patterns() -> list[rules.Op]:
    return [op for rule in isle.rules_in(SOURCE, "opts/a.isle", isle.MID_END) if (op := rules.read(rule)) is not None]


def test_reading_rules() -> None:
    found = patterns()
    assert [op.name for op in found] == ["iadd", "select", "bxor", "icmp", "udiv", "shuffle", "imul", "fcmp"]
    assert found[0].test == "fits_in_64" and found[0].variable == "ty"
    assert found[2].arguments[1] == rules.Atom("-1", "-1")
    assert found[3].condition == "eq"
    assert found[4].arguments[1] == rules.Atom("k", "kd")
    assert found[-1].name == "fcmp" and found[-1].condition == "lt"


def test_instances_keep_to_types() -> None:
    table = context().table(ISAS)
    index = rules.row_index(table)
    assert not any(OPCODES[op].can_load or OPCODES[op].can_store for op in index)
    add, choose = patterns()[:2]
    for node in rules.instances(table, index, add):
        negated = node.arguments[1]
        assert isinstance(negated, Node) and negated.row.type is node.row.type
        assert node.row.type is not None and node.row.type.bits <= 64
    for node in rules.instances(table, index, choose):
        compared = node.arguments[0]
        assert isinstance(compared, Node) and compared.condition == "sgt"
        assert compared.arguments == node.arguments[1:]


def test_programs_from_rules_are_accepted_and_reproducible() -> None:
    read = tuple(patterns())
    first, second = (Context(ISAS, matrices(), rules=read) for _ in range(2))
    for seed in range(60):
        case = generate(RandomChoices(seed), "rules", first)
        assert verify(case.module) == []
        assert print_module(case.module) == print_module(generate(RandomChoices(seed), "rules", second).module)


def test_no_sources_no_rules(tmp_path: Path) -> None:
    assert isle.find("0.0.0") is None
    assert rules.load(None, ISAS) == () == rules.load(tmp_path, ISAS)


def test_a_crates_rules_are_found(tmp_path: Path) -> None:
    (tmp_path / "opts").mkdir()
    (tmp_path / "opts" / "arithmetic.isle").write_text(SOURCE)
    (tmp_path / "isa" / "x64").mkdir(parents=True)
    (tmp_path / "isa" / "x64" / "lower.isle").write_text("(rule (lower (bnot ty (bnot ty x))) (x))")
    names = [op.name for op in rules.load(tmp_path, ("x86-64",))]
    assert names[0] == "iadd" and names[-1] == "bnot"


@pytest.fixture(scope="module")
def everything() -> Table:
    """A table that has every typing that there is."""
    return build_table(("x86-64",), frozenset(variant.key for name in OPCODES for variant in variants(name)))


@pytest.mark.parametrize("line", TEMPLATES, ids=lambda line: line.partition("|")[0].strip())
def test_every_template_has_a_typing(line: str, everything: Table) -> None:
    made = resolve(everything, (line,))
    assert made
    assert all(isinstance(argument, (Node, Leaf)) for node in made for argument in node.arguments)


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("a | int | (avg_flor.T x y)", "no opcode 'avg_flor'"),
        ("a | int | (iadd.T x)", "iadd has 2 operands, not 1"),
        ("a | int | (iadd.T x (ineg.T x y))", "ineg has 1 operands, not 2"),
        ("a | int | (iadd.T x kk)", "no atom 'kk'"),
        ("a | int | (iadd.Z x y)", "no type 'Z'"),
        ("a | int | (iadd.T x y:Z)", "no type 'Z'"),
        ("a | ints | (iadd.T x y)", "no class of types 'ints'"),
        ("a | int | (icmp.T.less x y)", "no condition of icmp"),
        ("a | float | (fcmp.T.slt x y)", "no condition of fcmp"),
        ("a | int | (iadd.T.eq x y)", "no condition of iadd"),
        ("a | int | (icmp.T.eq.eq x y)", "no condition of icmp"),
        ("a | int | (store.T x y)", "store gives nothing"),
        ("a | int | (load.T x)", "load gives nothing, or not by its operands alone"),
        ("a | int | (udiv.T x k)", "udiv gives nothing, or not by its operands alone"),
        ("a | int | (iadd.T x y", "a parenthesis is missing"),
        ("a | int | (iadd.T x y))", "a parenthesis too many"),
        ("a | int | x", "no operation"),
        ("a | int | ()", "no opcode ''"),
        ("a | i128 | (uextend.D x)", "none of its types"),
        ("a | (iadd.T x y)", "name | types | expression"),
    ],
)
def test_a_template_that_says_what_there_is_not_raises_with_its_line(line: str, what: str, everything: Table) -> None:
    with pytest.raises(InternalError) as caught:
        resolve(everything, (TEMPLATES[0], line))
    assert what in str(caught.value) and line in str(caught.value)
