"""Templates, and programs that a compiler's own rules match."""

from __future__ import annotations

from pathlib import Path

from support.generators import context, matrices

from liftcheck.clif.opcodes import OPCODES
from liftcheck.clif.text.printer import print_module
from liftcheck.clif.verify import verify
from liftcheck.generators import rules
from liftcheck.generators.choices import RandomChoices
from liftcheck.generators.generate import generate
from liftcheck.generators.patterns import Leaf, Node, parse, templates
from liftcheck.generators.tables import Context
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


def test_reading_rules() -> None:
    found = list(rules.read(SOURCE))
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
    add, choose = list(rules.read(SOURCE))[:2]
    for node in rules.instances(table, index, add):
        negated = node.arguments[1]
        assert isinstance(negated, Node) and negated.row.type is node.row.type
        assert node.row.type is not None and node.row.type.bits <= 64
    for node in rules.instances(table, index, choose):
        compared = node.arguments[0]
        assert isinstance(compared, Node) and compared.condition == "sgt"
        assert compared.arguments == node.arguments[1:]


def test_programs_from_rules_are_accepted_and_reproducible() -> None:
    read = tuple(rules.read(SOURCE))
    first, second = (Context(ISAS, matrices(), rules=read) for _ in range(2))
    for seed in range(60):
        case = generate(RandomChoices(seed), "rules", first)
        assert verify(case.module) == []
        assert print_module(case.module) == print_module(generate(RandomChoices(seed), "rules", second).module)


def test_no_sources_no_rules(tmp_path: Path) -> None:
    assert rules.find("0.0.0") is None
    assert rules.load(None, ISAS) == () == rules.load(tmp_path, ISAS)


def test_a_crates_rules_are_found(tmp_path: Path) -> None:
    (tmp_path / "opts").mkdir()
    (tmp_path / "opts" / "arithmetic.isle").write_text(SOURCE)
    (tmp_path / "isa" / "x64").mkdir(parents=True)
    (tmp_path / "isa" / "x64" / "lower.isle").write_text("(rule (lower (bnot ty (bnot ty x))) (x))")
    names = [op.name for op in rules.load(tmp_path, ("x86-64",))]
    assert names[0] == "iadd" and names[-1] == "bnot"


def test_every_template_resolves_somewhere() -> None:
    parsed = [line.split("|")[2].strip() for line in TEMPLATES]
    assert all(isinstance(parse(text), list) for text in parsed)
    everything = Context(("aarch64",), {"aarch64": matrices()["aarch64"]}).table(("aarch64",))
    made = templates(everything)
    assert len(made) > 3 * len(TEMPLATES)
    assert all(isinstance(argument, (Node, Leaf)) for node in made for argument in node.arguments)
