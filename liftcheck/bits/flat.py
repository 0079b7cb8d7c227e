"""Whole vectors as one Python integer: taking apart, putting together, and what is quicker without either.

Bulk forms: lane-wise sums without carries between lanes (the SWAR identities), splats as a multiplication,
permutations of bytes as `bytes.translate` (the index vector is the string, the sources are the table), tables of
bytes looked up in the same way. Everything else goes lane by lane through `struct` (16 to 64 bits), `bytes` (8 bits)
or shifts.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from liftcheck.bits import code as c
from liftcheck.bits.code import ATOM, CALL, Code, Context
from liftcheck.bits.term import Term, repeated

DECLINED: Final = Code("", -1, 0, 0)
"""What a flat form returns where going lane by lane is better."""


def unpack(cx: Context, term: Term, signed: bool = False) -> list[Code]:
    """The lanes of a value that is there as a whole; signed ones where that is as cheap."""
    source = cx.flat_atom(term.args[0] if term.prim == "shape" else term)
    names = cx.local_names(term.lanes, term.mask)
    left = ", ".join(n.text for n in names)
    size = term.bits // 8
    if signed and term.lane in (8, 16, 32, 64) and term.lanes > 2:
        cx.statements.append(f"{left} = S{term.lane}x{term.lanes}(({source.text}).to_bytes({size}, 'little'))")
        names = [n._replace(low=-(1 << term.lane - 1), high=(1 << term.lane - 1) - 1) for n in names]
    elif term.lane == 8:
        cx.statements.append(f"{left} = ({source.text}).to_bytes({size}, 'little')")
    elif term.lane in (16, 32, 64) and term.lanes > 2:
        cx.statements.append(f"{left} = U{term.lane}x{term.lanes}(({source.text}).to_bytes({size}, 'little'))")
    else:
        for i, name in enumerate(names):
            piece = c.masked(c.shifted_right(source, term.lane * i), term.mask)
            cx.statements.append(f"{name.text} = {piece.text}")
    return names


def pack(cx: Context, term: Term) -> Code:
    """The whole value out of lanes."""
    lanes = cx.lanes(term)
    whole = (1 << term.bits) - 1
    if term.lane in (16, 32, 64) and term.lanes > 2:
        packed = c.call(f"P{term.lane}x{term.lanes}", *lanes)
    elif term.lane == 8 and term.lanes > 2:
        packed = Code(f"bytes(({', '.join(x.text for x in lanes)}))", CALL, 0, 0)
    else:
        return _joined(lanes, term.lane)
    return Code(f"from_bytes({packed.text}, 'little')", CALL, 0, whole)


def _joined(lanes: list[Code], width: int) -> Code:
    code = lanes[0]
    for i, lane in enumerate(lanes[1:], 1):
        code = c.infix(code, "|", c.shifted_left(lane, width * i), 0, (1 << width * (i + 1)) - 1)
    return code


def _shape(cx: Context, t: Term) -> Code:
    return cx.flat(t.args[0])


def _splat(cx: Context, t: Term) -> Code:
    return c.infix(cx.flat(t.args[0]), "*", c.literal(repeated(1, t.lane, t.lanes)), 0, (1 << t.bits) - 1)


def _tops(t: Term) -> int:
    return repeated(1 << t.lane - 1, t.lane, t.lanes)


def _low_parts(t: Term) -> int:
    return repeated((1 << t.lane - 1) - 1, t.lane, t.lanes)


def _add(cx: Context, t: Term) -> Code:
    a, b = (cx.flat_atom(x) for x in t.args)
    low, top, whole = hex(_low_parts(t)), hex(_tops(t)), (1 << t.bits) - 1
    return Code(f"({a.text} & {low}) + ({b.text} & {low}) ^ ({a.text} ^ {b.text}) & {top}", c.BIT_XOR, 0, whole)


def _sub(cx: Context, t: Term) -> Code:
    a, b = (cx.flat_atom(x) for x in t.args)
    low, top, whole = hex(_low_parts(t)), hex(_tops(t)), (1 << t.bits) - 1
    return Code(f"({a.text} | {top}) - ({b.text} & {low}) ^ (~({a.text} ^ {b.text}) & {top})", c.BIT_XOR, 0, whole)


def _neg(cx: Context, t: Term) -> Code:
    a = cx.flat_atom(t.args[0])
    low, top, whole = hex(_low_parts(t)), hex(_tops(t)), (1 << t.bits) - 1
    return Code(f"{top} - ({a.text} & {low}) ^ (~{a.text} & {top})", c.BIT_XOR, 0, whole)


def _sext(cx: Context, t: Term) -> Code:
    """Masks from equality: a lane of the difference is zero where its low part does not carry into the top bit."""
    equal = t.args[0].args[0] if t.args[0].prim == "not" else t.args[0]
    if equal.prim != "eq" or equal.args[0].lane != t.lane:
        return DECLINED
    a, b = (cx.flat(x) for x in equal.args)
    zero = b.low == b.high == 0
    x = cx.local(a if zero else c.infix(a, "^", b)) if not zero or a.precedence < ATOM else a
    low, top, whole = hex(_low_parts(t)), hex(_tops(t)), (1 << t.bits) - 1
    differs = f"(({x.text} & {low}) + {low} | {x.text}) & {top}"
    bit = cx.local(Code(differs if t.args[0].prim == "not" else f"{differs} ^ {top}", c.BIT_XOR, 0, whole))
    return Code(f"({bit.text} << 1) - ({bit.text} >> {t.lane - 1})", c.SUM, 0, whole)


def _permute(cx: Context, t: Term) -> Code:
    indexes = [i for i in t.params if isinstance(i, int)]
    if t.lane == 1:
        return DECLINED
    for write in (_slice, _blend):
        code = write(cx, t, indexes)
        if code.precedence >= 0:
            return code
    if t.lane < 8 or t.bits == 8:
        return DECLINED
    return _translated(cx, t, indexes)


def _slice(cx: Context, t: Term, indexes: list[int]) -> Code:
    """A run of neighbours of the first source, then zero lanes."""
    count = next((i for i, x in enumerate(indexes) if x < 0), len(indexes))
    first, source = indexes[0], t.args[0]
    if first < 0 or any(x >= 0 for x in indexes[count:]) or first + count > source.lanes:
        return DECLINED
    if indexes[:count] != list(range(first, first + count)):
        return DECLINED
    return c.masked(c.shifted_right(cx.flat(source), t.lane * first), (1 << t.lane * count) - 1)


def _blend(cx: Context, t: Term, indexes: list[int]) -> Code:
    """One lane of the first source replaced by the single lane of the second, or two whole sources joined."""
    a = t.args[0]
    if len(t.args) == 2 and indexes == list(range(a.lanes + t.args[1].lanes)):
        high = c.shifted_left(cx.flat(t.args[1]), a.bits)
        return c.infix(high, "|", cx.flat(a), 0, (1 << t.bits) - 1)
    changed = [i for i, x in enumerate(indexes) if x != i]
    if len(t.args) != 2 or t.args[1].lanes != 1 or len(changed) != 1 or indexes[changed[0]] != a.lanes:
        return DECLINED
    whole, hole = (1 << t.bits) - 1, t.mask << t.lane * changed[0]
    kept = c.infix(cx.flat(a), "&", c.literal(whole ^ hole), 0, whole ^ hole)
    return c.infix(kept, "|", c.shifted_left(cx.flat(t.args[1]), t.lane * changed[0]), 0, whole)


def _translated(cx: Context, t: Term, indexes: list[int]) -> Code:
    step = t.lane // 8
    table, offset = cx.flat(t.args[0]), t.args[0].bits
    for source in t.args[1:]:
        table = c.infix(table, "|", c.shifted_left(cx.flat(source), offset), 0, (1 << offset + source.bits) - 1)
        offset += source.bits
    pattern = bytes(255 if i < 0 else i * step + k for i in indexes for k in range(step))
    text = repr(pattern).replace("{", "{{").replace("}", "}}")
    return Code(
        f"from_bytes({text}.translate(({table.text}).to_bytes(256, 'little')), 'little')", CALL, 0, (1 << t.bits) - 1
    )


def _gather(cx: Context, t: Term) -> Code:
    a, s = (cx.flat(x) for x in t.args)
    size = t.bits // 8
    text = f"({s.text}).to_bytes({size}, 'little').translate(({a.text}).to_bytes(256, 'little'))"
    return Code(f"from_bytes({text}, 'little')", CALL, 0, (1 << t.bits) - 1)


FLAT: Final[dict[str, Callable[[Context, Term], Code]]] = {
    "shape": _shape, "splat": _splat, "permute": _permute, "gather": _gather, "add": _add, "sub": _sub, "neg": _neg,
    "sext": _sext,
}  # fmt: skip
