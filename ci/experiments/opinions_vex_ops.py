"""VEX's operators as functions of numbers, found by their names.

The one idea: a name says its operation, the bits of a lane and how many lanes there are (`Iop_QAdd16Sx8`); so a few
patterns and tables of one-lane functions give all of them. An operator that is not here is unknown, by its name. Which
NaN comes out, and conversions out of range, VEX leaves to the host: such states are open.
Source: VEX's libvex_ir.h (legend of the operators).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import cache
from typing import Final

from opinions_state import Open, Unknown

from liftcheck.bits import floats as f

Function = Callable[..., int]
_MODES: Final = {0: "nearest", 1: "floor", 2: "ceil", 3: "trunc"}
"""IRRoundingMode."""


def signed(a: int, width: int) -> int:
    """A pattern as a signed number."""
    return (a ^ 1 << width - 1) - (1 << width - 1)


def lanes(a: int, width: int, count: int) -> list[int]:
    """The lanes, the lowest first."""
    mask = (1 << width) - 1
    return [a >> width * k & mask for k in range(count)]


def joined(parts: list[int], width: int) -> int:
    """The number of these lanes."""
    mask, whole = (1 << width) - 1, 0
    for k, part in enumerate(parts):
        whole |= (part & mask) << width * k
    return whole


def _clamped(a: int, width: int, is_signed: bool) -> int:
    low, high = (-1 << width - 1, (1 << width - 1) - 1) if is_signed else (0, (1 << width) - 1)
    return min(max(a, low), high)


def _shift(a: int, by: int, width: int, is_signed: bool, rounding: bool = False) -> int:
    """By a signed amount: to the left, or to the right, exactly."""
    value = signed(a, width) if is_signed else a
    if by >= 0:
        return value << by
    return (value + (1 << -by - 1 if rounding else 0)) >> -by


def _leading(a: int, width: int) -> int:
    return width - a.bit_length()


def _carryless(a: int, b: int) -> int:
    found = 0
    while b:
        low = b & -b
        found ^= a * low
        b ^= low
    return found


def _each(name: str, w: int) -> Function | None:
    """A function of one lane, of operands without sign; `name` ends with S or U where that matters."""
    mask = (1 << w) - 1
    table: dict[str, Function] = {
        "Add": lambda a, b: a + b, "Sub": lambda a, b: a - b, "Mul": lambda a, b: a * b,
        "And": lambda a, b: a & b, "Or": lambda a, b: a | b, "Xor": lambda a, b: a ^ b, "Not": lambda a: ~a,
        "Neg": lambda a: -a, "Abs": lambda a: abs(signed(a, w)),
        "CmpEQ": lambda a, b: -(a == b), "CmpNE": lambda a, b: -(a != b), "CmpNEZ": lambda a: -(a != 0),
        "CmpGTS": lambda a, b: -(signed(a, w) > signed(b, w)), "CmpGTU": lambda a, b: -(a > b),
        "MaxS": lambda a, b: max(a, b, key=lambda x: signed(x, w)), "MaxU": max,
        "MinS": lambda a, b: min(a, b, key=lambda x: signed(x, w)), "MinU": min,
        "AvgU": lambda a, b: a + b + 1 >> 1, "AvgS": lambda a, b: signed(a, w) + signed(b, w) + 1 >> 1,
        "HAddS": lambda a, b: signed(a, w) + signed(b, w) >> 1, "HAddU": lambda a, b: a + b >> 1,
        "HSubS": lambda a, b: signed(a, w) - signed(b, w) >> 1, "HSubU": lambda a, b: a - b >> 1,
        "QAddS": lambda a, b: _clamped(signed(a, w) + signed(b, w), w, True),
        "QAddU": lambda a, b: _clamped(a + b, w, False),
        "QSubS": lambda a, b: _clamped(signed(a, w) - signed(b, w), w, True),
        "QSubU": lambda a, b: _clamped(a - b, w, False),
        "QAddExtUSsatSS": lambda a, b: _clamped(a + signed(b, w), w, True),
        "QAddExtSUsatUU": lambda a, b: _clamped(signed(a, w) + b, w, False),
        "MulHiS": lambda a, b: signed(a, w) * signed(b, w) >> w, "MulHiU": lambda a, b: a * b >> w,
        "QDMulHiS": lambda a, b: _clamped(2 * signed(a, w) * signed(b, w) >> w, w, True),
        "QRDMulHiS": lambda a, b: _clamped(2 * signed(a, w) * signed(b, w) + (1 << w - 1) >> w, w, True),
        "Clz": lambda a: _leading(a, w), "Ctz": lambda a: (a & -a).bit_length() - 1 if a else w,
        "Cls": lambda a: _leading((a ^ a >> 1) & mask >> 1, w) - 1, "Cnt": lambda a: a.bit_count(),
        "Shl": lambda a, n: a << (n & 255) % w, "Shr": lambda a, n: a >> (n & 255) % w,
        "Sar": lambda a, n: signed(a, w) >> (n & 255) % w,
        "Rol": lambda a, n: a << n % w | a >> -n % w, "Sal": lambda a, n: _shift(a, signed(n & 255, 8), w, True),
        "ShU": lambda a, n: _shift(a, signed(n & 255, 8), w, False),
        "ShS": lambda a, n: _shift(a, signed(n & 255, 8), w, True),
        "RshU": lambda a, n: _shift(a, signed(n & 255, 8), w, False, True),
        "RshS": lambda a, n: _shift(a, signed(n & 255, 8), w, True, True),
        "PolynomialMul": _carryless,
        "QShlNsatSS": lambda a, n: _clamped(signed(a, w) << n, w, True),
        "QShlNsatSU": lambda a, n: _clamped(signed(a, w) << n, w, False),
        "QShlNsatUU": lambda a, n: _clamped(a << n, w, False),
    }  # fmt: skip
    return table.get(name)


_BY_NUMBER: Final = ("ShlN", "ShrN", "SarN", "QShlNsatSS", "QShlNsatSU", "QShlNsatUU")
_UNARY: Final = ("Not", "Neg", "Abs", "CmpNEZ", "Clz", "Ctz", "Cls", "Cnt")


def _vector(name: str, w: int, n: int) -> Function | None:
    if name in ("ShlN", "ShrN", "SarN"):
        shift = _shifted(name[:3], str(w))
        return lambda a, k: joined([shift(x, k) for x in lanes(a, w, n)], w)
    one = _each(name, w)
    if one is None:
        return _moved(name, w, n)
    if name in _BY_NUMBER:
        return lambda a, k: joined([one(x, k) for x in lanes(a, w, n)], w)
    if name in _UNARY:
        return lambda a: joined([one(x) for x in lanes(a, w, n)], w)
    return lambda a, b: joined([one(x, y) for x, y in zip(lanes(a, w, n), lanes(b, w, n))], w)


def _pairs(a: list[int], b: list[int]) -> list[int]:
    """Lanes of a above those of b."""
    return [x for y, z in zip(a, b) for x in (z, y)]


def _moved(name: str, w: int, n: int) -> Function | None:
    """What moves lanes, or makes wider or narrower ones of them."""

    def both(change: Callable[[list[int], list[int]], list[int]], to: int = w) -> Function:
        return lambda a, b: joined(change(lanes(a, w, n), lanes(b, w, n)), to)

    half = n // 2
    table: dict[str, Function] = {
        "InterleaveHI": both(lambda a, b: _pairs(a[half:], b[half:])),
        "InterleaveLO": both(lambda a, b: _pairs(a[:half], b[:half])),
        "InterleaveEvenLanes": both(lambda a, b: _pairs(a[::2], b[::2])),
        "InterleaveOddLanes": both(lambda a, b: _pairs(a[1::2], b[1::2])),
        "CatEvenLanes": both(lambda a, b: b[::2] + a[::2]),
        "CatOddLanes": both(lambda a, b: b[1::2] + a[1::2]),
        "PwAdd": both(lambda a, b: [x + y for x, y in zip((b + a)[::2], (b + a)[1::2])]),
        "PwMaxS": both(lambda a, b: [max(x, y, key=lambda v: signed(v, w)) for x, y in _two(b + a)]),
        "PwMaxU": both(lambda a, b: [max(x, y) for x, y in _two(b + a)]),
        "PwMinS": both(lambda a, b: [min(x, y, key=lambda v: signed(v, w)) for x, y in _two(b + a)]),
        "PwMinU": both(lambda a, b: [min(x, y) for x, y in _two(b + a)]),
        "PwAddLS": lambda a: joined([signed(x, w) + signed(y, w) for x, y in _two(lanes(a, w, n))], 2 * w),
        "PwAddLU": lambda a: joined([x + y for x, y in _two(lanes(a, w, n))], 2 * w),
        "MullS": both(lambda a, b: [signed(x, w) * signed(y, w) for x, y in zip(a, b)], 2 * w),
        "MullU": both(lambda a, b: [x * y for x, y in zip(a, b)], 2 * w),
        "PolynomialMull": both(lambda a, b: [_carryless(x, y) for x, y in zip(a, b)], 2 * w),
        "PolynomialMulAdd": both(lambda a, b: [x ^ y for x, y in _two([_carryless(*p) for p in zip(a, b)])], 2 * w),
        "QDMullS": both(
            lambda a, b: [_clamped(2 * signed(x, w) * signed(y, w), 2 * w, True) for x, y in zip(a, b)], 2 * w
        ),
        "GetMSBs": lambda a: sum(x >> w - 1 << k for k, x in enumerate(lanes(a, w, n))),
        "Dup": lambda a: joined([a] * n, w),
    }
    return table.get(name)


def _two(parts: list[int]) -> Iterator[tuple[int, int]]:
    return zip(parts[::2], parts[1::2])


def _chosen(name: str, w: int, n: int, big: bool) -> Function | None:
    """What counts lanes: from the lowest one, or in a big-endian guest from the highest one."""
    at = (lambda k: n - 1 - k) if big else (lambda k: k)
    if name == "GetElem":
        return lambda a, k: lanes(a, w, n)[at(k % n)]
    if name == "SetElem":
        return lambda a, k, x: joined([x if j == at(k % n) else y for j, y in enumerate(lanes(a, w, n))], w)
    if name in ("MullEvenS", "MullEvenU"):
        value = (lambda x: signed(x, w)) if name[-1] == "S" else (lambda x: x)
        return lambda a, b: joined(
            [value(x) * value(y) for x, y in zip(lanes(a, w, n)[big::2], lanes(b, w, n)[big::2])], 2 * w
        )
    if name == "Perm":

        def permuted(a: int, places: int) -> int:
            source = lanes(a, w, n)
            return joined([source[at(k % n)] for k in lanes(places, w, n)], w)

        return permuted
    return None


def _permuted_two(big: bool) -> Function:
    def permuted(a: int, b: int, places: int) -> int:
        source = lanes(b, 8, 16) + lanes(a, 8, 16) if big else lanes(a, 8, 16) + lanes(b, 8, 16)
        return joined([source[31 - k % 32 if big else k % 32] for k in lanes(places, 8, 16)], 8)

    return permuted


def _scalar(name: str) -> Function | None:
    """Whole numbers: sizes and signs are in the name."""
    for pattern, make in _SCALARS:
        found = re.fullmatch(pattern, name)
        if found:
            made: Function | None = make(*found.groups())
            return made
    return None


def _widened(a: str, s: str, b: str) -> Function:
    width, to = int(a), int(b)
    return (lambda x: signed(x, width) & (1 << to) - 1) if s == "S" else (lambda x: x)


def _narrowed(a: str, high: str, b: str) -> Function:
    by, mask = (int(a) - int(b) if high else 0), (1 << int(b)) - 1
    return lambda x: x >> by & mask


def _shifted(name: str, w: str) -> Function:
    width = int(w)

    def shift(a: int, n: int) -> int:
        if n >= width:
            raise Open("a shift by more than the width")
        value = {"Shl": a << n, "Shr": a >> n, "Sar": signed(a, width) >> n}[name]
        return value & (1 << width) - 1

    return shift


def _plain(name: str, w: str) -> Function | None:
    one, mask = _each(name, int(w)), (1 << int(w)) - 1
    if one is None:
        return None
    return (lambda a: one(a) & mask) if name in _UNARY else (lambda a, b: one(a, b) & mask)


def _compared(name: str, w: str, s: str) -> Function:
    width = int(w)
    value = (lambda a: signed(a, width)) if s == "S" else (lambda a: a)
    return {
        "EQ": lambda a, b: int(a == b),
        "NE": lambda a, b: int(a != b),
        "LT": lambda a, b: int(value(a) < value(b)),
        "LE": lambda a, b: int(value(a) <= value(b)),
    }[name]


def _product(s: str, w: str) -> Function:
    width = int(w)
    mask = (1 << 2 * width) - 1
    if s == "S":
        return lambda a, b: signed(a, width) * signed(b, width) & mask
    return lambda a, b: a * b


def _quotient(s: str, wide: str, w: str | None) -> Function:
    """DivMod: the remainder above the quotient. Without a second width: the quotient alone."""
    full, width = int(wide), int(w or wide)

    def divide(a: int, b: int) -> int:
        x, y = (signed(a, full), signed(b, width)) if s == "S" else (a, b)
        if not y:
            raise Open("it divides by zero")
        whole = abs(x) // abs(y) * (1 if (x < 0) == (y < 0) else -1)
        if not (-1 << width - 1 <= whole < 1 << width - 1 if s == "S" else whole < 1 << width):
            raise Open("a quotient out of range")
        mask = (1 << width) - 1
        return whole & mask if w is None else (x - whole * y & mask) << width | whole & mask

    return divide


def _reversed(part: str, whole: str, count: str) -> Function:
    w, of, n = int(part), int(whole), int(count)

    def reverse(a: int) -> int:
        return joined([joined(lanes(x, w, of // w)[::-1], w) for x in lanes(a, of, n)], of)

    return reverse


_SCALARS: Final[tuple[tuple[str, Callable[..., Function | None]], ...]] = (
    (r"(\d+)([US])to(\d+)", _widened),
    (r"(?:V?)(\d+)(HI)?to(\d+)", _narrowed),
    (r"V(\d+)(HI)?to(\d+)", _narrowed),
    (r"(\d+)HLtoV?\d+", lambda w: lambda a, b: a << int(w) | b),
    (r"(\d+)UtoV128", lambda w: lambda a: a),
    (r"(Shl|Shr|Sar)(\d+)", _shifted),
    (r"(?:Cas)?Cmp(EQ|NE|LT|LE)(\d+)([US]?)", _compared),
    (r"Exp?CmpNE(\d+)", lambda w: _compared("NE", w, "")),
    (r"CmpNEZ(\d+)", lambda w: lambda a: int(a != 0)),
    (r"CmpwNEZ(\d+)", lambda w: lambda a: (1 << int(w)) - 1 if a else 0),
    (r"Left(\d+)", lambda w: lambda a: (a | -a) & (1 << int(w)) - 1),
    (r"Max32(U)", lambda s: max),
    (r"Mull([US])(\d+)", _product),
    (r"DivMod([US])(\d+)to(\d+)", _quotient),
    (r"Div([US])(\d+)()", lambda s, w, _: _quotient(s, w, None)),
    (r"ClzNat(\d+)", lambda w: lambda a: int(w) - a.bit_length()),
    (r"CtzNat(\d+)", lambda w: lambda a: (a & -a).bit_length() - 1 if a else int(w)),
    (r"PopCount(\d+)", lambda w: lambda a: a.bit_count()),
    (r"(And|Or|Xor|Not)V?(\d+)", _plain),
    (r"(Add|Sub|Mul|Clz|Ctz)(\d+)", _plain),
    (r"SetV128lo(\d+)", lambda w: lambda a, x: a >> int(w) << int(w) | x),
    (r"ZeroHI(\d+)ofV128", lambda w: lambda a: a & (1 << 128 - int(w)) - 1),
    (r"V256to64_(\d)", lambda k: lambda a: a >> 64 * int(k) & (1 << 64) - 1),
    (r"V256toV128_(\d)", lambda k: lambda a: a >> 128 * int(k) & (1 << 128) - 1),
    (r"V128HLtoV256()", lambda _: lambda a, b: a << 128 | b),
    (r"Reverse(\d+)sIn(\d+)_x(\d+)", _reversed),
    (r"Reinterp(\w+)as\w+", lambda _: lambda a: a),
    (r"(Shl|Shr|Sar)V128", lambda name: lambda a, n: _shifted(name, "128")(a, n)),
    (r"SliceV128()", lambda _: lambda a, b, n: (a << 128 | b) >> 8 * n & (1 << 128) - 1),
    (r"Slice64()", lambda _: lambda a, b, n: (a << 64 | b) >> 8 * n & (1 << 64) - 1),
)


def _number(known: f.Format, a: int) -> int:
    if f.is_nan(known, a):
        raise Open("which NaN")
    return a


def _nearest(mode: int) -> None:
    if mode:
        raise Open("a rounding mode that is not computed here")


def _arithmetic(known: f.Format) -> dict[str, Function]:
    return {
        "Add": lambda a, b: _number(known, f.exact_add(known, a, b)),
        "Sub": lambda a, b: _number(known, f.exact_sub(known, a, b)),
        "Mul": lambda a, b: _number(known, f.exact_mul(known, a, b)),
        "Div": lambda a, b: _number(known, f.exact_div(known, a, b)),
        "Sqrt": lambda a: _number(known, f.exact_sqrt(known, a)),
        "MAdd": lambda a, b, c: _number(known, f.exact_fma(known, a, b, c)),
        "MSub": lambda a, b, c: _number(known, f.exact_fma(known, a, b, c ^ known.sign)),
        "NegMAdd": lambda a, b, c: _number(known, f.exact_fma(known, a, b, c)) ^ known.sign,
        "NegMSub": lambda a, b, c: _number(known, f.exact_fma(known, a, b, c ^ known.sign)) ^ known.sign,
    }


def _sign_and_order(known: f.Format) -> dict[str, Function]:
    ones = (1 << known.width) - 1

    def extreme(larger: bool) -> Function:
        def choose(a: int, b: int) -> int:
            if f.is_nan(known, a) or f.is_nan(known, b) or not (a | b) & known.magnitude:
                raise Open("the maximum of NaNs or zeros")
            return b if f.less(known, a, b) == larger else a

        return choose

    return {
        "Neg": lambda a: a ^ known.sign, "Abs": lambda a: a & known.magnitude,
        "Max": extreme(True), "Min": extreme(False), "MaxNum": extreme(True), "MinNum": extreme(False),
        "CmpEQ": lambda a, b: ones * f.exact_eq(known, a, b), "CmpLT": lambda a, b: ones * f.less(known, a, b),
        "CmpLE": lambda a, b: ones * f.exact_le(known, a, b), "CmpGT": lambda a, b: ones * f.less(known, b, a),
        "CmpGE": lambda a, b: ones * f.exact_le(known, b, a),
        "CmpUN": lambda a, b: ones * (f.is_nan(known, a) or f.is_nan(known, b)),
    }  # fmt: skip


def _compared_floats(known: f.Format) -> Function:
    """IRCmpF64Result."""

    def compare(a: int, b: int) -> int:
        if f.is_nan(known, a) or f.is_nan(known, b):
            return 0x45
        return 0x40 if f.exact_eq(known, a, b) else 0x01 if f.less(known, a, b) else 0

    return compare


def _rounded_in(function: Function) -> Function:
    def apply(mode: int, *args: int) -> int:
        _nearest(mode)
        return function(*args)

    return apply


def _to_integer(known: f.Format, width: int, is_signed: bool) -> Function:
    def convert(mode: int, a: int) -> int:
        if mode not in _MODES:
            raise Open("a rounding mode that is not computed here")
        whole = f.truncated(known, f.exact_round(known, a, _MODES[mode]))
        if whole is None or whole != _clamped(whole, width, is_signed):
            raise Open("a conversion out of range")
        return whole & (1 << width) - 1

    return convert


def _to_whole(known: f.Format) -> Function:
    def whole(mode: int, a: int) -> int:
        if mode not in _MODES:
            raise Open("a rounding mode that is not computed here")
        return _number(known, f.exact_round(known, a, _MODES[mode]))

    return whole


def _float(name: str) -> Function | None:
    """Operators on one float, or on floats in lanes."""
    found = re.fullmatch(r"(\w+?)F(16|32|64|128)", name)
    if found and found[2] != "16":
        known = f.FORMATS[int(found[2])]
        if found[1] == "Cmp":
            return _compared_floats(known)
        if found[1] in _sign_and_order(known):
            return _sign_and_order(known)[found[1]]
        if found[1] in _arithmetic(known):
            return _rounded_in(_arithmetic(known)[found[1]])
    found = re.fullmatch(r"RoundF(32|64|128)toInt", name)
    if found:
        return _to_whole(f.FORMATS[int(found[1])])
    found = re.fullmatch(r"(?:Trunc)?F(16|32|64|128)toI(\d+)([SU])", name)
    if found:
        return _to_integer(f.FORMATS[int(found[1])], int(found[2]), found[3] == "S")
    return _converted(name) or _float_lanes(name)


def _converted(name: str) -> Function | None:
    found = re.fullmatch(r"F(\d+)toF(\d+)", name)
    if found:
        source, to = f.FORMATS[int(found[1])], f.FORMATS[int(found[2])]

        def convert(*args: int) -> int:
            if len(args) == 2:
                _nearest(args[0])
            return _number(to, f.exact_convert(source, to, args[-1]))

        return convert
    found = re.fullmatch(r"I(\d+)([SU])toF(\d+)", name)
    if found:
        width, goal = int(found[1]), f.FORMATS[int(found[3])]

        def of_integer(*args: int) -> int:
            if len(args) == 2:
                _nearest(args[0])
            return f.rounded(goal, signed(args[-1], width) if found[2] == "S" else args[-1], 0)

        return of_integer
    pieces = {"F64HLtoF128": lambda a, b: a << 64 | b, "F128HItoF64": lambda a: a >> 64}
    return {**pieces, "F128LOtoF64": lambda a: a & (1 << 64) - 1}.get(name)


def _float_lanes(name: str) -> Function | None:
    found = re.fullmatch(r"(\w+?)(32|64)F(0?)x(\d+)", name)
    if not found:
        return None
    known, count, alone = f.FORMATS[int(found[2])], int(found[4]), bool(found[3])
    exact = _arithmetic(known).get(found[1])
    one = exact or _sign_and_order(known).get(found[1])
    if one is None:
        return None
    operands = 1 if found[1] in ("Sqrt", "Neg", "Abs") else 2

    def apply(*args: int) -> int:
        if len(args) > operands:
            _nearest(args[0])
        parts = [lanes(a, known.width, count) for a in args[-operands:]]
        if alone:
            return joined([one(*(x[0] for x in parts)), *parts[0][1:]], known.width)
        return joined([one(*x) for x in zip(*parts)], known.width)

    return apply


def _narrowing(name: str, w: int, count: int) -> Function | None:
    found = re.fullmatch(r"(Q?)Narrow(Bin|Un)(\d+)([SU]?)to(\d+)([SU]?)", name)
    if not found:
        return None
    w, to, saturates = int(found[3]), int(found[5]), bool(found[1])

    def one(a: int) -> int:
        return _clamped(signed(a, w) if found[4] == "S" else a, to, found[6] == "S") if saturates else a

    if found[2] == "Un":
        return lambda a: joined([one(x) for x in lanes(a, w, count)], to)
    each = count // 2
    return lambda a, b: joined([one(x) for x in lanes(b, w, each) + lanes(a, w, each)], to)


def _widening(name: str, count: int) -> Function | None:
    found = re.fullmatch(r"Widen(\d+)([SU])to(\d+)", name)
    if not found:
        return None
    w, to = int(found[1]), int(found[3])
    value = (lambda a: signed(a, w)) if found[2] == "S" else (lambda a: a)
    return lambda a: joined([value(x) for x in lanes(a, w, count)], to)


@cache
def operator(name: str, big: bool = False) -> Function:
    """The function of an operator; Unknown if it is not here. `big`: the guest counts lanes from the highest one."""
    short = name.removeprefix("Iop_")
    if short == "Perm8x16x2":
        return _permuted_two(big)
    found: Function | None = None
    parts = re.fullmatch(r"(\w+?)(\d+)([SU]?)x(\d+)", short)
    narrow = re.fullmatch(r"(Q?Narrow(?:Bin|Un)\d+[SU]?to\d+[SU]?|Widen\d+[SU]to\d+)x(\d+)", short)
    if narrow:
        found = _narrowing(narrow[1], 0, int(narrow[2])) or _widening(narrow[1], int(narrow[2]))
    elif parts:
        w, n = int(parts[2]), int(parts[4])
        found = _chosen(parts[1] + parts[3], w, n, big) or _vector(parts[1] + parts[3], w, n)
    found = found or _scalar(short) or _float(short)
    if found is None:
        raise Unknown(f"VEX's {short} is not computed here")
    return found
