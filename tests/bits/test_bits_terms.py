"""The term language: interning, shapes, readable text, and the quality of the generated Python."""

from __future__ import annotations

import pickle

import pytest

from liftcheck.bits import build as b
from liftcheck.bits import concrete, show
from liftcheck.bits.meaning import Meaning
from liftcheck.bits.prim import PRIMS
from liftcheck.bits.term import Term, const, postorder, term, var
from liftcheck.clif.semantics.meaning import meaning
from liftcheck.clif.types import I8, I32, I64, TYPES
from liftcheck.errors import InternalError

X, Y = var("x", 32), var("y", 32)


def test_equal_terms_are_one_object() -> None:
    assert b.add(X, Y) is b.add(X, Y)
    assert b.add(X, Y) is not b.add(Y, X)
    assert const(-1, 8) is const(255, 8)
    assert pickle.loads(pickle.dumps(b.mul(X, b.add(X, Y)))) is b.mul(X, b.add(X, Y))


def test_shapes_are_checked() -> None:
    with pytest.raises(InternalError, match="shapes"):
        b.add(X, var("y", 16))
    with pytest.raises(InternalError, match="condition"):
        b.ite(X, X, Y)
    with pytest.raises(InternalError, match="lanes"):
        b.shape(X, 8, 3)
    with pytest.raises(InternalError, match="no float format"):
        b.fadd(var("x", 8), var("y", 8))


def test_operands_come_before_users() -> None:
    order = postorder((b.mul(b.add(X, Y), X),))
    assert [t.prim for t in order] == ["var", "var", "add", "mul"]


def test_a_terms_representation_makes_it() -> None:
    made = b.ite(b.slt(X, Y), b.permute((X, Y), (0,)), const(3, 32))
    assert eval(repr(made), {"term": term}) is made


def test_text_is_readable() -> None:
    assert show.text(b.mul(b.add(X, Y), const(3, 32))) == "(x + y) * 3"
    assert show.text(b.ite(b.slt(X, Y), X, b.bnot(Y))) == "(x <s y) ? x : (~y)"
    assert show.text(b.permute((X, Y), (1, -1))) == "permute(x, y; 1 zero)"


@pytest.mark.parametrize("name", PRIMS)
def test_every_row_shows(name: str) -> None:
    assert PRIMS[name].show.format("a", "b", "c", p0="p", args="a", params="1")


def source(op: str, *types: str, imm: object = None, result: str = "") -> str:
    kinds = tuple(TYPES[t] for t in types)
    what = meaning(op, kinds[0], kinds, (TYPES[result or types[0]],), imm)
    statements, results = concrete.python_source(what, "abc"[: len(types)])
    return "; ".join([*statements, *results])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (source("iadd", "i32", "i32"), "a + b & 0xffffffff"),
        (source("band", "i64", "i64"), "a & b"),
        (source("umulhi", "i64", "i64"), "a * b >> 64"),
        (source("ushr", "i32", "i8"), "a >> (b & 31)"),
        (source("icmp", "i64", "i64", imm="ult", result="i8"), "1 if a < b else 0"),
        (source("icmp", "i8", "i8", imm="slt", result="i8"), "1 if a ^ 128 < b ^ 128 else 0"),
        (source("popcnt", "i32"), "(a).bit_count()"),
        (source("uextend", "i8", result="i64"), "a"),
        (source("sextend", "i8", result="i16"), "a if a < 128 else a + 0xff00"),
        (source("select", "i8", "i64", "i64", result="i64"), "b if a else c"),
        (source("udiv", "i8", "i8"), "if not b: raise Trap('int_divz'); a // b"),
        (source("bxor", "i8x16", "i8x16"), "a ^ b"),
        (source("splat", "i8", result="i8x8"), "a * 0x101010101010101"),
        (source("extractlane", "i32x4", imm=3, result="i32"), "a >> 96"),
    ],
)
def test_generated_text_has_no_needless_masks(text: str, expected: str) -> None:
    assert text == expected


def test_shared_subterms_are_computed_once() -> None:
    square = b.mul(b.add(X, Y), b.add(X, Y))
    statements, results = concrete.python_source(Meaning((X, Y), (square,)), ["p", "q"], "w")
    assert statements == ["w0 = p + q & 0xffffffff"] and results == ["w0 * w0 & 0xffffffff"]


def test_constants_are_folded() -> None:
    assert concrete.evaluate(b.add(const(3, 8), const(255, 8))) == 2
    shifted = meaning("ishl_imm", I32, (I32,), (I32,), 33)
    assert concrete.python_source(shifted, ["a"])[1] == ["a << 1 & 0xffffffff"]


def test_long_text_becomes_a_helper() -> None:
    lanes = TYPES["i8x16"]
    statements, results = concrete.python_source(meaning("smin", lanes, (lanes, lanes), (lanes,)), ["a", "b"])
    assert statements == [] and results[0].startswith("helper") and results[0].split("(")[0] in concrete.NAMESPACE


def test_the_caller_says_how_to_leave() -> None:
    statements, _ = concrete.python_source(meaning("trapz", I8, (I8,), ()), ["c"], leave=lambda code: f"leave({code})")
    assert statements == ["if not c: leave(user)"]


def test_a_closure_raises_the_trap() -> None:
    with pytest.raises(concrete.Trap) as caught:
        concrete.closure(meaning("sdiv", I64, (I64, I64), (I64,)))(1 << 63, (1 << 64) - 1)
    assert caught.value.code == "int_ovf"


def test_shifts_and_rotations_are_total() -> None:
    n = var("n", 32)
    for made, expected in ((b.shl(X, n), 0), (b.lshr(X, n), 0), (b.ashr(X, n), 0xFFFF_FFFF), (b.rotl(X, n), 1 << 31)):
        assert run(made, {X: 1 << 31, n: 64}) == expected


def run(term: Term, values: dict[Term, int]) -> int:
    found: int = concrete.closure(Meaning(tuple(values), (term,)))(*values.values())
    return found
