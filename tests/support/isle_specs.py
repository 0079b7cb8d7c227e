"""A reader and evaluator for the instruction specifications that cranelift-codegen publishes (`src/spec/*.isle`).

The language (as used there, 0.135): s-expressions; `(spec (op params) (modifies …) (provide formula …))` relates
`result`, parameters and state; `(instantiate op …)` gives widths; `(macro (name params) body)` is called as
`name!`; `(form name …)` names a list of instantiations. Values: bit-vectors with a width, integers, truth values,
names of enumerators.

What is checked is a relation: with our result and our trap put in, every formula must hold. Two liberties: where the
operation trapped, the result is free; where the specification says that a NaN is not determined (`relax_nan`, promote,
demote), two arithmetic NaNs are equal, which is the specification's own `fp_equiv!`.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from liftcheck.bits import floats
from liftcheck.isle import sources as isle

Tree = Any  # str, or a list of trees


class Bits(NamedTuple):
    """A bit-vector."""

    value: int
    width: int


class Free:
    """The result of an operation that trapped: equal to anything of its width."""

    def __init__(self, width: int) -> None:
        self.width = width


class Spec(NamedTuple):
    """One instruction: parameters, formulas, whether NaNs are relaxed, and its instantiations (arguments, result)."""

    op: str
    params: list[str]
    formulas: list[Tree]
    relaxed: bool
    typings: list[tuple[list[Tree], Tree]]


class Library(NamedTuple):
    """Everything read."""

    specs: dict[str, Spec]
    macros: dict[str, tuple[list[str], Tree]]


def read(paths: list[Path]) -> Library:
    """All specifications and macros of some files."""
    forms: dict[str, list[Tree]] = {}
    macros: dict[str, tuple[list[str], Tree]] = {}
    bodies: dict[str, tuple[list[str], list[Tree]]] = {}
    typings: dict[str, list[Tree]] = {}
    for path in paths:
        for tree in (form.tree for form in isle.forms(path.read_text(encoding="utf-8"))):
            match tree:
                case ["form", str(name), *rows]:
                    forms[name] = rows
                case ["macro", [str(name), *params], body]:
                    macros[name] = (params, body)
                case ["spec", [str(name), *params], *clauses]:
                    bodies[name] = (params, clauses)
                case ["instantiate", str(name), str(form), *_]:
                    typings.setdefault(name, []).extend(forms[form])
                case ["instantiate", str(name), *rows]:
                    typings.setdefault(name, []).extend(rows)
    return Library({op: _spec(op, *body, typings.get(op, [])) for op, body in bodies.items()}, macros)


def _spec(op: str, params: list[str], clauses: list[Tree], typings: list[Tree]) -> Spec:
    formulas = [f for clause in clauses if clause[0] == "provide" for f in clause[1:]]
    relaxed = any(clause[:2] == ["modifies", "relax_nan"] for clause in clauses) or op in ("fpromote", "fdemote")
    return Spec(op, params, formulas, relaxed, [(row[0][1:], row[1][1]) for row in typings])


class Evaluator:
    """Formulas of one specification for one set of values."""

    def __init__(self, macros: dict[str, tuple[list[str], Tree]], relaxed: bool) -> None:
        self.macros = macros
        self.relaxed = relaxed

    def __call__(self, tree: Tree, env: dict[str, Any]) -> Any:
        if isinstance(tree, str):
            return _atom(tree, env)
        head, *rest = tree
        special = getattr(self, f"_{SPECIAL[head]}", None) if head in SPECIAL else None
        if special is not None:
            return special(rest, env)
        if not rest:
            return head.split(".")[1]  # an enumerator
        if head.startswith(":"):
            return self(rest[0], env)[head[1:]]
        if head.endswith("!"):
            params, body = self.macros[head[:-1]]
            return self(body, dict(zip(params, (self(r, env) for r in rest), strict=True)))
        return OPERATIONS[head](*(self(r, env) for r in rest))

    def _if(self, rest: list[Tree], env: dict[str, Any]) -> Any:
        return self(rest[1] if self(rest[0], env) else rest[2], env)

    def _let(self, rest: list[Tree], env: dict[str, Any]) -> Any:
        inner = dict(env)
        for name, tree in rest[0]:
            inner[name] = self(tree, inner)
        return self(rest[1], inner)

    def _switch(self, rest: list[Tree], env: dict[str, Any]) -> Any:
        subject = self(rest[0], env)
        for key, tree in rest[1:]:
            if self(key, env) == subject:
                return self(tree, env)
        raise ValueError(f"no arm for {subject}")

    def _match(self, rest: list[Tree], env: dict[str, Any]) -> Any:
        subject = env[rest[0]]
        for (name, *_), tree in rest[1:]:
            if name == subject:
                return self(tree, env)
        raise ValueError(f"no arm for {subject}")

    def _with(self, rest: list[Tree], env: dict[str, Any]) -> Any:
        """Only `(with (low) (= (concat high low) whole))`: there is such a low part."""
        _, (_, (_, high, _), whole) = rest
        part, total = self(high, env), self(whole, env)
        return isinstance(part, Free) or part.value == total.value >> total.width - part.width

    def _equal(self, rest: list[Tree], env: dict[str, Any]) -> bool:
        a, b = (self(r, env) for r in rest)
        if isinstance(a, Free) or isinstance(b, Free):
            return True
        if self.relaxed and "result" in rest and a.width in floats.FORMATS:
            quiet = floats.FORMATS[a.width].nan
            if a.value & quiet == quiet and b.value & quiet == quiet:
                return True
        return bool(a == b)

    def _and(self, rest: list[Tree], env: dict[str, Any]) -> bool:
        return all(self(r, env) for r in rest)

    def _or(self, rest: list[Tree], env: dict[str, Any]) -> bool:
        return any(self(r, env) for r in rest)

    def _implies(self, rest: list[Tree], env: dict[str, Any]) -> bool:
        return not self(rest[0], env) or self(rest[1], env)


SPECIAL = {"if": "if", "let": "let", "switch": "switch", "match": "match", "with": "with", "=": "equal", "and": "and",
           "or": "or", "=>": "implies"}  # fmt: skip


def _atom(text: str, env: dict[str, Any]) -> Any:
    if text in env:
        return env[text]
    if text.startswith("#x"):
        return Bits(int(text[2:], 16), 4 * len(text[2:]))
    if text.startswith("#b"):
        return Bits(int(text[2:], 2), len(text[2:]))
    if text in ("true", "false"):
        return text == "true"
    return int(text)


def cut(value: int, width: int) -> Bits:
    """The value modulo 2^width."""
    return Bits(value & (1 << width) - 1, width)


def signed(x: Bits) -> int:
    """Read as two's complement."""
    return x.value - (x.value >> x.width - 1 << x.width)


def _arithmetic(step: Callable[[int, int], int]) -> Callable[[Bits, Bits], Bits]:
    def compute(a: Bits, b: Bits) -> Bits:
        if a.width != b.width:
            raise ValueError(f"widths {a.width} and {b.width}")
        return cut(step(a.value, b.value), a.width)

    return compute


def _quotient(a: int, b: int) -> int:
    """Rounded to zero."""
    return abs(a) // abs(b) * (1 if (a < 0) == (b < 0) else -1)


def _signed_division(rest: bool) -> Callable[[Bits, Bits], Bits]:
    def compute(a: Bits, b: Bits) -> Bits:
        x, y = signed(a), signed(b)
        quotient = _quotient(x, y)
        return cut(x - y * quotient if rest else quotient, a.width)

    return compute


def _float(name: str) -> Callable[..., Any]:
    def compute(*operands: Bits) -> Any:
        width = operands[0].width
        found = floats.exact_helpers(floats.FORMATS[width])[f"{name}{width}"](*(o.value for o in operands))
        return found if isinstance(found, bool) else Bits(found, width)

    return compute


def _is(test: Callable[[floats.Format, int], bool]) -> Callable[[Bits], bool]:
    return lambda x: test(floats.FORMATS[x.width], x.value)


def _to_bits(width: int, x: Bits) -> Bits:
    whole = floats.truncated(floats.FORMATS[x.width], x.value)
    return cut(0 if whole is None else whole, width)


def _to_fp_from_fp(width: int, x: Bits) -> Bits:
    return Bits(floats.exact_convert(floats.FORMATS[x.width], floats.FORMATS[width], x.value), width)


def _rotl(x: Bits, n: Bits) -> Bits:
    k = n.value % x.width
    return cut(x.value << k | x.value >> x.width - k, x.width)


def _cls(x: Bits) -> Bits:
    top, text = x.value >> x.width - 1, f"{x.value:0{x.width}b}"
    return Bits(x.width - len(text.lstrip(str(top))) - 1, x.width)


OPERATIONS: dict[str, Callable[..., Any]] = {
    "not": lambda a: not a,
    "widthof": lambda a: a.width,
    "bvadd": _arithmetic(lambda a, b: a + b),
    "bvsub": _arithmetic(lambda a, b: a - b),
    "bvmul": _arithmetic(lambda a, b: a * b),
    "bvand": _arithmetic(lambda a, b: a & b),
    "bvor": _arithmetic(lambda a, b: a | b),
    "bvxor": _arithmetic(lambda a, b: a ^ b),
    "bvudiv": _arithmetic(lambda a, b: a // b if b else -1),
    "bvurem": _arithmetic(lambda a, b: a % b if b else a),
    "bvsdiv": _signed_division(rest=False),
    "bvsrem": _signed_division(rest=True),
    "bvneg": lambda a: cut(-a.value, a.width),
    "bvnot": lambda a: cut(~a.value, a.width),
    "bvshl": _arithmetic(lambda a, n: a << n),
    "bvlshr": _arithmetic(lambda a, n: a >> n),
    "bvashr": lambda a, n: cut(signed(a) >> n.value, a.width),
    "bvult": lambda a, b: a.value < b.value,
    "bvule": lambda a, b: a.value <= b.value,
    "bvugt": lambda a, b: a.value > b.value,
    "bvuge": lambda a, b: a.value >= b.value,
    "bvslt": lambda a, b: signed(a) < signed(b),
    "bvsle": lambda a, b: signed(a) <= signed(b),
    "bvsgt": lambda a, b: signed(a) > signed(b),
    "bvsge": lambda a, b: signed(a) >= signed(b),
    "zero_ext": lambda n, a: Bits(a.value, n),
    "sign_ext": lambda n, a: cut(signed(a), n),
    "conv_to": lambda n, a: cut(a.value, n),
    "int2bv": lambda n, a: cut(a, n),
    "extract": lambda high, low, a: cut(a.value >> low, high - low + 1),
    "concat": lambda a, b: Bits(a.value << b.width | b.value, a.width + b.width),
    "rotl": _rotl,
    "rotr": lambda a, n: _rotl(a, Bits(-n.value % a.width, a.width)),
    "rev": lambda a: Bits(int(f"{a.value:0{a.width}b}"[::-1], 2), a.width),
    "clz": lambda a: Bits(a.width - a.value.bit_length(), a.width),
    "cls": _cls,
    "popcnt": lambda a: Bits(a.value.bit_count(), a.width),
    "fp.add": _float("fadd"),
    "fp.sub": _float("fsub"),
    "fp.mul": _float("fmul"),
    "fp.div": _float("fdiv"),
    "fp.min": _float("fmin"),
    "fp.max": _float("fmax"),
    "fp.sqrt": _float("fsqrt"),
    "fp.ceil": _float("fceil"),
    "fp.floor": _float("ffloor"),
    "fp.trunc": _float("ftrunc"),
    "fp.nearest": _float("fnearest"),
    "fp.eq": _float("feq"),
    "fp.ne": lambda a, b: not _float("feq")(a, b),
    "fp.lt": _float("flt"),
    "fp.le": _float("fle"),
    "fp.gt": lambda a, b: _float("flt")(b, a),
    "fp.ge": lambda a, b: _float("fle")(b, a),
    "fp.neg": lambda a: Bits(a.value ^ 1 << a.width - 1, a.width),
    "fp.isNaN": _is(floats.is_nan),
    "fp.isInfinite": _is(lambda f, a: a & f.magnitude == f.infinity),
    "fp.isZero": _is(lambda f, a: not a & f.magnitude),
    "fp.isNegative": _is(lambda f, a: bool(a & f.sign) and not floats.is_nan(f, a)),
    "fp.isPositive": _is(lambda f, a: not a & f.sign and not floats.is_nan(f, a)),
    "fp.+zero": lambda w: Bits(0, w),
    "fp.-zero": lambda w: Bits(1 << w - 1, w),
    "fp.+oo": lambda w: Bits(floats.FORMATS[w].infinity, w),
    "fp.-oo": lambda w: Bits(floats.FORMATS[w].infinity | 1 << w - 1, w),
    "fp.to_ubv": _to_bits,
    "fp.to_sbv": _to_bits,
    "to_fp": lambda w, a: Bits(floats.rounded(floats.FORMATS[w], signed(a), 0), w),
    "to_fp_unsigned": lambda w, a: Bits(floats.rounded(floats.FORMATS[w], a.value, 0), w),
    "to_fp_from_fp": _to_fp_from_fp,
}  # fmt: skip
