"""Our meanings against the specifications that the published cranelift-codegen ships: an independent statement.

The crate is looked for in cargo's registry; where it is not, the test is skipped and says so. Rows of `EXCEPTIONS` are
places where the specification itself is narrower than CLIF's documentation, with the reason.
"""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import pytest
from support import semantics as support
from support.isle_specs import Bits, Evaluator, Free, Library, Spec, Tree, read

from liftcheck.bits.floats import FORMATS, is_nan
from liftcheck.clif.semantics.meaning import has_meaning
from liftcheck.clif.types import TYPES, Type

INT_CODES = {"Equal": "eq", "NotEqual": "ne", "SignedGreaterThan": "sgt", "SignedGreaterThanOrEqual": "sge",
             "SignedLessThan": "slt", "SignedLessThanOrEqual": "sle", "UnsignedGreaterThan": "ugt",
             "UnsignedGreaterThanOrEqual": "uge", "UnsignedLessThan": "ult",
             "UnsignedLessThanOrEqual": "ule"}  # fmt: skip
FLOAT_CODES = {"Equal": "eq", "NotEqual": "ne", "LessThan": "lt", "GreaterThan": "gt", "LessThanOrEqual": "le",
               "GreaterThanOrEqual": "ge"}  # fmt: skip
FLOAT_OPERANDS = frozenset({"fadd", "fsub", "fmul", "fdiv", "fmin", "fmax", "fabs", "fneg", "sqrt", "ceil", "floor",
                            "trunc", "nearest", "fcopysign", "fcmp", "fdemote", "fpromote", "fcvt_to_uint",
                            "fcvt_to_sint", "f32const", "f64const"})  # fmt: skip
FLOAT_RESULTS = (FLOAT_OPERANDS - {"fcmp", "fcvt_to_uint", "fcvt_to_sint"}) | {"fcvt_from_uint", "fcvt_from_sint"}
KNOWN = ("0.136", "0.135")
CONTROL = frozenset({"trap"})


def crate() -> Path | None:
    """The folder of the newest cranelift-codegen in cargo's registry whose specifications this reader knows."""
    home = Path(os.environ.get("CARGO_HOME", Path.home() / ".cargo"))
    for version in KNOWN:
        for found in home.glob(f"registry/src/*/cranelift-codegen-{version}.*/src/spec/inst_specs.isle"):
            return found.parent
    return None


@cache
def library() -> Library:
    folder = crate()
    if folder is None:
        pytest.skip(f"NOT CHECKED: no cranelift-codegen of {' or '.join(KNOWN)} in cargo's registry")
    return read([folder / name for name in ("prelude_spec.isle", "fpconst.isle", "inst_specs.isle")])


def value_type(op: str, width: int, floats: frozenset[str]) -> Type:
    return TYPES[f"{'f' if op in floats else 'i'}{width}"]


def environments(spec: Spec, typing: tuple[list[Tree], Tree], random: Random) -> list[dict[str, Any]]:
    """What the parameters are: operands, or everything an enumeration has."""
    known: dict[str, Any] = {}
    codes: list[tuple[str, str]] = []
    for name, kind in zip(spec.params, typing[0], strict=True):
        match kind:
            case ["bv", width] | ["bv", width, *_]:
                operand = support.operand(value_type(spec.op, int(width), FLOAT_OPERANDS), random)
                if spec.op == "iconst":  # the verifier asks for a zero-extended immediate
                    operand &= (1 << int(typing[1][1])) - 1
                known[name] = Bits(operand, int(width))
            case ["named", "Type"]:
                known[name] = {"bits": int(typing[1][1]) if typing[1] != ["bv", "1"] else _first_width(typing)}
            case ["named", "IntCC" | "FloatCC" as which]:
                codes = [(name, code) for code in (INT_CODES if which == "IntCC" else FLOAT_CODES)]
            case ["named", _]:
                known[name] = None
    return [known | dict([code]) for code in codes] or [known]


def _first_width(typing: tuple[list[Tree], Tree]) -> int:
    return next(int(kind[1]) for kind in typing[0] if kind[0] == "bv")


def answer(spec: Spec, env: dict[str, Any], width: int) -> tuple[support.Result, Type]:
    """What our meaning says for these parameters. A result of one bit is the second one, a flag."""
    operands = [env[p] for p in spec.params if isinstance(env[p], Bits)]
    arg_types = tuple(value_type(spec.op, o.width, FLOAT_OPERANDS) for o in operands)
    code = next((env[p] for p in spec.params if isinstance(env[p], str)), None)
    imm: Any = (FLOAT_CODES if spec.op == "fcmp" else INT_CODES).get(str(code))
    values = tuple(o.value for o in operands)
    result_type = arg_types[0] if width == 1 else value_type(spec.op, width, FLOAT_RESULTS)
    if spec.op in ("iconst", "f32const", "f64const"):
        arg_types, imm, values = (), values[0], ()
    typing = support.Typing(spec.op, result_type, arg_types, (result_type,) if spec.op != "trapz" else ())
    found = support.by_closure(typing.meaning(imm), values)
    return found[1:] if width == 1 else found, result_type


def broken(spec: Spec, typing: tuple[list[Tree], Tree], env: dict[str, Any]) -> str:
    """The formula that our result breaks, or ''."""
    width = int(typing[1][1]) if typing[1] else 8
    result, ty = answer(spec, env, width)
    trapped = isinstance(result, str)
    bound = dict(env, clif_trap=trapped)
    bound["result"] = Free(width) if isinstance(result, str) or not result else Bits(result[0], width)
    nan = not isinstance(result, str) and spec.relaxed and is_nan(FORMATS[ty.bits], result[0])
    bound |= {"produces_nan": nan, "relax_nan": nan}
    evaluate = Evaluator(library().macros, spec.relaxed)
    for formula in spec.formulas:
        if not evaluate(formula, bound):
            return f"{spec.op}: {formula} with {bound}"
    return ""


EXCEPTIONS = {
    ("fcvt_to_uint", 64, 32): "rounds the f64 operand to f32 before it converts",
    ("fcvt_to_sint", 64, 32): "rounds the f64 operand to f32 before it converts",
}  # fmt: skip
"""(op, operand width, result width): why the published specification differs there, on purpose or not."""


def checked_rows() -> list[tuple[Spec, tuple[list[Tree], Tree]]]:
    found = []
    for spec in library().specs.values():
        if not has_meaning(spec.op) or spec.op in CONTROL:
            continue
        typings = spec.typings or ([([["bv", "32"], ["named", "TrapCode"]], ["bv", "8"])] if spec.op == "trapz" else [])
        found += [(spec, typing) for typing in typings]
    return found


def test_meanings_satisfy_the_published_specifications(capsys: pytest.CaptureFixture[str]) -> None:
    rows = checked_rows()
    evaluations, excepted = 0, set()
    for spec, typing in rows:
        random = Random(f"{spec.op} {typing}")
        widths = [int(kind[1]) for kind in typing[0] if kind[0] == "bv"]
        key = (spec.op, widths[0], int(typing[1][1]))
        for _ in range(40):
            for env in environments(spec, typing, random):
                problem = broken(spec, typing, env)
                evaluations += 1
                if problem and key in EXCEPTIONS:
                    excepted.add(key)
                else:
                    assert not problem
    assert excepted == set(EXCEPTIONS), "an exception that is not needed any more"
    opcodes = {spec.op for spec, _ in rows}
    with capsys.disabled():
        print(f"\n{len(opcodes)} opcodes, {len(rows)} typings, {evaluations} evaluations against {crate()}")
    assert len(opcodes) >= 55


def test_every_specification_is_used_or_named() -> None:
    memory = {
        "load",
        "store",
        "uload8",
        "uload16",
        "uload32",
        "sload8",
        "sload16",
        "sload32",
        "istore8",
        "istore16",
        "istore32",
    }
    assert set(library().specs) - {spec.op for spec, _ in checked_rows()} == memory | CONTROL


def test_a_wrong_result_breaks_a_formula() -> None:
    spec = library().specs["iadd"]
    env = {"ty": {"bits": 8}, "x": Bits(3, 8), "y": Bits(4, 8), "result": Bits(8, 8)}
    evaluate = Evaluator(library().macros, relaxed=False)
    assert not all(evaluate(formula, env) for formula in spec.formulas)
    assert all(evaluate(formula, env | {"result": Bits(7, 8)}) for formula in spec.formulas)
