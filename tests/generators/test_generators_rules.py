"""Templates, and programs that a compiler's own rules match."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.generators import context, matrices

from liftcheck.clif.opcodes import OPCODES, variants
from liftcheck.clif.text.printer import print_module
from liftcheck.clif.types import I64
from liftcheck.clif.verify import verify
from liftcheck.errors import InternalError
from liftcheck.generators.choices import RandomChoices
from liftcheck.generators.generate import generate
from liftcheck.generators.lefthand import ANY, Atom, Op, Rules, TypeTest, read
from liftcheck.generators.patterns import resolve
from liftcheck.generators.rows import Leaf, Node, Table
from liftcheck.generators.rules import _pieces, due
from liftcheck.generators.solver import drawn
from liftcheck.generators.tables import Context, build_table
from liftcheck.generators.templates import TEMPLATES
from liftcheck.isa import ISAS
from liftcheck.isle import sources as isle

EXACT = TypeTest(exact=I64)
LOADED = Op("load", TypeTest(widths=(32,)), "", ())
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


def patterns() -> list[Op]:
    found = [read(rule.left) for rule in isle.rules_in(SOURCE, "opts/a.isle", isle.MID_END)]
    return [op for op in found if op is not None]


def rules_of(folder: Path, text: str = SOURCE, lower: str = "", isas: tuple[str, ...] = ISAS) -> Rules:
    """The rules of a crate whose mid-end has this text, and whose x86-64 has that."""
    for name, part in (("opts/a.isle", text), ("isa/x64/lower.isle", lower)):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(part)
    return Rules(folder, isas)


def test_reading_rules() -> None:
    found = patterns()
    names = ["iadd", "select", "bxor", "icmp", "udiv", "udiv", "shuffle", "imul", "iadd", "fcmp"]
    assert [op.name for op in found] == names
    assert found[0].ty.tests == ("fits_in_64",) and found[0].ty.variable == "ty"
    assert found[2].arguments[1] == Atom("-1", "-1", TypeTest("ty"))
    assert found[3].condition == "eq"
    divisors = [one for op in found[4:6] if isinstance(one := op.arguments[1], Atom)]
    assert [(one.name, one.constant) for one in divisors] == [("k", "kd"), ("y", "odd")]
    assert found[6].condition == "0x1f1e1d1c1b1a19181716151413121110"
    assert found[-1].name == "fcmp" and found[-1].condition == "lt"


@pytest.mark.parametrize(
    ("left", "wanted"),
    [
        ("(iadd ty x (value_type $I64))", Op("iadd", TypeTest("ty"), "", (Atom("x"), Atom("_1", None, EXACT)))),
        ("(has_type $I64 (iadd _ x y))", Op("iadd", EXACT, "", (Atom("x"), Atom("y")))),
        ("(iadd ty x (sinkable_load_32 a))", Op("iadd", TypeTest("ty"), "", (Atom("x"), LOADED))),
        ("(load ty flags a offset)", Op("load", TypeTest("ty"), "", ())),
        ("(load ty (mem_flags_data f @ (littleendian)) a offset)", Op("load", TypeTest("ty"), "little", ())),
        ("(store flags (load ty f a b) a c)", Op("store", ANY, "=", (Op("load", TypeTest("ty"), "", ()),))),
        ("(store flags x a c)", Op("store", ANY, "", (Atom("x"),))),
        ("(atomic_rmw ty f (AtomicRmwOp.Xchg) a x)", Op("atomic_rmw", TypeTest("ty"), "xchg", (Atom("x"),))),
        ("(brif (icmp _ cc x y) a b)", Op("brif", ANY, "", (Op("icmp", ANY, "?", (Atom("x"), Atom("y"))),))),
        ("(shuffle x y (u128_from_immediate 0x0f))", Op("shuffle", ANY, "0xf", (Atom("x"), Atom("y")))),
        ("(shuffle _ x y (u128_from_immediate 0x0f))", Op("shuffle", ANY, "0xf", (Atom("x"), Atom("y")))),
        ("(icmp (IntCC.Equal) x y)", Op("icmp", ANY, "eq", (Atom("x"), Atom("y")))),
        ("(eq _ x y)", Op("icmp", ANY, "eq", (Atom("x"), Atom("y")))),
        ("(extractlane v (u8_from_uimm8 3))", Op("extractlane", ANY, "3", (Atom("v"),))),
        ("(bitcast flags x)", Op("bitcast", ANY, "", (Atom("x"),))),
        ("(uadd_overflow_trap x y code)", Op("uadd_overflow_trap", ANY, "", (Atom("x"), Atom("y")))),
        ("(extractlane $I64 v (u8_from_uimm8 3))", Op("extractlane", EXACT, "3", (Atom("v"),))),
        ("(srem x (iconst_s ty -1))", Op("srem", ANY, "", (Atom("x"), Atom("-1", "-1", TypeTest("ty"))))),
        ("(sdiv x (iconst_s ty -1))", Op("sdiv", ANY, "", (Atom("x"), Atom("-1", "kd", TypeTest("ty"))))),
        ("(urem x (iconst_u ty 0))", Op("urem", ANY, "", (Atom("x"), Atom("0", "kd", TypeTest("ty"))))),
        ("(udiv x y)", Op("udiv", ANY, "", (Atom("x"), Atom("y", "odd")))),
        ("(bnot (multi_lane 16 8) x)", Op("bnot", TypeTest("", None, ("multi_lane",), (16,), 8), "", (Atom("x"),))),
    ],
)
def test_what_is_read(left: str, wanted: Op) -> None:
    (rule,) = isle.rules_in(f"(rule (lower {left}) (x))", "a.isle", "x86-64")
    assert read(rule.left) == wanted


def test_a_value_that_is_used_again_is_one_value(tmp_path: Path) -> None:
    text = "(rule (lower (iadd ty (ineg _ lo @ (imul _ x y)) (bnot _ lo))) (x))"
    table = context().table(("x86-64",))
    (pattern,) = rules_of(tmp_path, text).patterns(0)
    for start in range(20):
        node = drawn(table, pattern, start)
        assert node is not None
        used = [one.arguments[0] for one in node.arguments if isinstance(one, Node)]
        shares = [one.share for one in used if isinstance(one, Node)]
        assert len(shares) == 2 and shares[0] == shares[1] >= 0


def test_types_are_kept() -> None:
    table = context().table(ISAS)
    add, choose = patterns()[:2]
    for start in range(40):
        node = drawn(table, add, start)
        assert node is not None and node.row.type is not None and node.row.type.bits <= 64
        negated = node.arguments[1]
        assert isinstance(negated, Node) and negated.row.type is node.row.type
        node = drawn(table, choose, start)
        assert node is not None
        compared = node.arguments[0]
        assert isinstance(compared, Node) and compared.condition == "sgt"
        assert compared.arguments == node.arguments[1:]


def test_what_has_no_typing_is_not_drawn() -> None:
    contradiction = "(rule (lower (iadd $I8 (sextend ty x) (icmp ty (IntCC.Equal) (f32const 1) y))) (x))"
    (rule,) = isle.rules_in(contradiction, "a.isle", "x86-64")
    pattern = read(rule.left)
    assert pattern is not None and drawn(context().table(ISAS), pattern, 0) is None


HELPED = """
(rule (lower (vall_true ty v)) (all v))
(rule (all (icmp _ (IntCC.Equal) x y)) (x))
(rule (lower (band ty x y)) (if-let z (less_one y)) (x))
(rule (less_one (iadd _ x (i64_from_iconst -1))) x)
(rule (lower (fma ty x y z)) (let ((x_neg Value x)) (helper1 x_neg y)))
(rule (helper1 a b) (helper2 (SomeCC.This) b a))
(rule (helper2 (SomeCC.That) (load _ _ _ _) y) (x))
(rule (helper2 (SomeCC.This) (load _ _ _ _) y) (x))
(rule (nobody_calls x) (nobody_calls x))
"""


def test_rules_of_helpers_are_unfolded(tmp_path: Path) -> None:
    rules = rules_of(tmp_path, "", HELPED, ("x86-64",))
    found = {rule.line: [op.name for op in rules.patterns(place)] for place, rule in enumerate(rules.rules)}
    assert found == {2: ["vall_true"], 3: ["vall_true"], 4: ["band", "band"], 5: ["band"], 6: ["fma"], 7: ["fma"],
                     8: [], 9: ["fma"], 10: []}  # fmt: skip
    compared = rules.patterns(1)[0].arguments[0]
    assert isinstance(compared, Op) and (compared.name, compared.condition) == ("icmp", "eq")
    less = [op.arguments[1] for op in rules.patterns(2)]
    assert isinstance(less[0], Atom) and isinstance(less[1], Op) and less[1].name == "iadd"
    multiplied = rules.patterns(7)[0].arguments[1]
    assert isinstance(multiplied, Op) and multiplied.name == "load"


def test_programs_from_rules_are_accepted_and_reproducible(tmp_path: Path) -> None:
    first, second = (Context(ISAS, matrices(), rules=rules_of(tmp_path)) for _ in range(2))
    for seed in range(60):
        case = generate(RandomChoices(seed), "rules", first)
        assert verify(case.module) == []
        assert print_module(case.module) == print_module(generate(RandomChoices(seed), "rules", second).module)


def test_every_rule_comes_round_once(tmp_path: Path) -> None:
    made = Context(ISAS, matrices(), rules=rules_of(tmp_path, SOURCE, HELPED))
    every = list(range(len(made.rules.rules)))
    left, turn = sorted(every * 3), 0
    while left:
        what = due(made, turn)
        assert what is not None and what.isas
        for place in what.places:
            left.remove(place)
            assert what.isas == ISAS or made.rules.rules[place].part in (isle.MID_END, *what.isas)
        turn += 1


def test_what_is_due_is_held(tmp_path: Path) -> None:
    text = "(rule (lower (umulhi $I64 (bnot _ x) (clz _ y))) (x))"
    made = Context(ISAS, matrices(), rules=rules_of(tmp_path, text))
    for seed in range(30):
        case = generate(RandomChoices(seed), "default", made, rule_turn=seed)
        assert verify(case.module) == []
        insts = case.module.functions[case.entry].blocks[0].insts
        made_by = {value: inst.op for inst in insts for value in inst.results}
        products = [[made_by.get(arg, "") for arg in inst.args] for inst in insts if inst.op == "umulhi"]
        assert ["bnot", "clz"] in products


def test_no_sources_no_rules() -> None:
    assert due(Context(ISAS, matrices()), 0) is None


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


def test_most_turns_are_for_what_is_cold(tmp_path: Path) -> None:
    made = Context(ISAS, matrices(), rules=rules_of(tmp_path, SOURCE, HELPED))
    every = range(len(made.rules.rules))
    known = [place for place in every if made.rules.patterns(place)]
    cold = bytearray(4)
    for place in (known[1], known[-1], next(place for place in every if place not in known)):
        cold[place >> 3] |= 1 << (place & 7)
    aimed = [due(made, turn, bytes(cold)) for turn in range(40)]
    assert all(what is not None for what in aimed)
    places = [set(what.places) for what in aimed if what is not None]
    assert set().union(*(places[turn] for turn in range(40) if turn % 4)) == {known[1], known[-1]}
    assert set().union(*places[::4]) == set(every)
    assert due(made, 8, bytes(cold)) == due(made, 2) != due(made, 9, bytes(cold))


def test_what_is_cold_and_cannot_be_said_is_no_aim(tmp_path: Path) -> None:
    made = Context(ISAS, matrices(), rules=rules_of(tmp_path, "(rule (nobody_calls x) (x))"))
    assert due(made, 3, b"\x01") == due(made, 0)


def test_masks_have_the_shapes_of_instructions() -> None:
    masks = {_pieces(r) for r in range(1 << 14)}
    assert all(len(mask) == 16 and all(0 <= lane < 32 for lane in mask) for mask in masks)
    everywhere = {mask for mask in masks for width in (2, 4, 8) if mask == mask[:width] * (16 // width)}
    assert (*range(12, 16),) * 4 in everywhere and (*range(24, 32),) * 2 in everywhere and (30, 31) * 8 in everywhere
    swapped_low = (6, 7, 4, 5, 2, 3, 0, 1, *range(8, 16))
    swapped_high = (*range(16, 24), 30, 31, 28, 29, 26, 27, 24, 25)
    assert {swapped_low, swapped_high} <= masks
