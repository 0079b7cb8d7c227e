"""Programs that a compiler's own rules match, made of the patterns of `lefthand.py`.

The one idea: a pattern is typed against a table (`solver.drawn`), and the tree is emitted with values in scope and
constants. `emit_rule` draws a rule among others; `emit_due` emits what is due at a
turn: the rules are shuffled anew in every round and cut into groups, by the part of the compiler that they are of. What
a rule's guards want is not solved: constants are drawn from many kinds, and in relation to each other.
Values between the operations of a tree stay out of scope, so that they have one use, as many rules want.
"""

from __future__ import annotations

from functools import partial
from random import Random
from typing import Final, NamedTuple

from liftcheck.clif.formats import FLOAT_CONDITIONS, INT_CONDITIONS
from liftcheck.clif.ir import NO_FLAGS, BlockCall
from liftcheck.clif.opcodes import OPCODES
from liftcheck.clif.types import Type
from liftcheck.clif.values import table as values_of
from liftcheck.generators import memory
from liftcheck.generators.body import Body
from liftcheck.generators.lefthand import OVERFLOWS
from liftcheck.generators.patterns import constant, divisor, emit_pattern, given, splat
from liftcheck.generators.rows import Leaf, Node, Row, Table, kept
from liftcheck.generators.solver import ACCESSES, drawn
from liftcheck.generators.tables import Context
from liftcheck.isle.sources import MID_END

_GROUP: Final = 9
"""Rules of one program."""
_ROUNDS: Final = 4
"""Rounds that are kept."""
_ENDS: Final = ("trapz", "trapnz", OVERFLOWS)


def _tree(body: Body, place: int) -> Node | None:
    """A typing of one of the left-hand sides under which a rule is tried, if these ISAs have one. The mid-end's rules
    take vectors of any width and are not ready for most: such panics are known, and each costs a whole program, so
    nearly all of these vectors have 128 bits."""
    rules = body.program.context.rules
    patterns = rules.patterns(place)
    if not patterns:
        return None
    r = body.bits(24)
    node = drawn(body.table, patterns[r % len(patterns)], r >> 6)
    if node is not None and rules.rules[place].part == MID_END and r >> 20 and _has_odd_vectors(node):
        return None
    return node


def _has_odd_vectors(node: Node | Leaf) -> bool:
    """Whether a tree holds vectors of another width than 128 bits."""
    if isinstance(node, Leaf):
        return _is_odd(node.ty)
    return any(map(_is_odd, node.row.results)) or any(map(_has_odd_vectors, node.arguments))


def _is_odd(ty: Type) -> bool:
    return ty.is_vector and ty.bits != 128


def emit_rule(body: Body) -> None:
    """A rule's left-hand side with values in scope; an ordinary template if the rule has no typing on these ISAs, or
    one that would end the program."""
    node = _tree(body, body.bits(16) % len(body.program.context.rules.rules))
    if node is not None and node.row.results and node.row.op != OVERFLOWS:
        _emit_tree(body, node)
    else:
        emit_pattern(body)


class Due(NamedTuple):
    """What a program has to hold at a turn: rules by their places, for these ISAs."""

    isas: tuple[str, ...]
    places: tuple[int, ...]


def due(context: Context, turn: int, cold: bytes = b"") -> Due | None:
    """What is due at a turn, counted from 0; None if the compiler's rules are not known. With rules that are `cold`, a
    bit each, three of four turns are theirs."""
    if not context.rules:
        return None
    if cold:
        four, rest = divmod(turn, 4)
        cold = cold if rest and _groups(context, 0, cold) else b""
        turn = 3 * four + rest - 1 if cold else four
    groups = _groups(context, 0, cold)
    return _groups(context, turn // len(groups), cold)[turn % len(groups)]


def _groups(context: Context, number: int, cold: bytes) -> list[Due]:
    """The groups of one round, in the order of their turns, of all rules or the cold ones; a few rounds are kept."""
    found = context.rule_rounds.get((number, cold))
    if found is None:
        random = Random(f"rules {number}")
        parts: dict[tuple[str, ...], list[int]] = {}
        for place, rule in enumerate(context.rules.rules):
            if not cold or (cold[place >> 3] >> (place & 7) & 1 and context.rules.patterns(place)):
                parts.setdefault(_isas(context, rule.part, number), []).append(place)
        found = []
        for isas, places in parts.items():
            shuffled = random.sample(places, len(places))
            found += [Due(isas, tuple(shuffled[at : at + _GROUP])) for at in range(0, len(places), _GROUP)]
        random.shuffle(found)
        if len(context.rule_rounds) > _ROUNDS:
            context.rule_rounds.clear()
        context.rule_rounds[number, cold] = found
    return found


def _isas(context: Context, part: str, number: int) -> tuple[str, ...]:
    """For which ISAs a program of this part's rules is in a round: in every other for all, as what makes a rule of one
    ISA fire is a program like any other, and is judged on all at the price of one; else for the ISA, or for one in
    turn, with the typings that only it has."""
    if number % 2 == 0:
        return context.isas
    return (part,) if part in context.isas else (context.isas[number // 2 % len(context.isas)],)


def emit_due(body: Body, what: Due) -> None:
    """Emits a tree of every rule that is due, those that may trap last; what they make is stored."""
    trees = [node for place in what.places if (node := _tree(body, place)) is not None]
    for node in trees:
        if node.row.op not in _ENDS:
            _emit_tree(body, node)
    if body.program.may_trap:
        for node in trees:
            if node.row.op in _ENDS and body.bits(1):
                _emit_tree(body, node)


def _emit_tree(body: Body, node: Node) -> None:
    """A tree whose result comes into scope and is stored, or which is a store or a branch itself."""
    op, places = node.row.op, _Places()
    _bring_in(body, node, places)
    if OPCODES[op].family == "store":
        memory.emit_store(body, node.row, body.clean(_emit(body, node.arguments[0], places)), node.condition)
    elif op == "atomic_store":
        memory.emit_atomic(body, node.row, (body.clean(_emit(body, node.arguments[0], places)),), node.condition)
    elif op == "brif":
        ty = node.row.args[0]
        condition = _emit(body, node.arguments[0], places)
        join = body.block((ty,))
        then, otherwise = (BlockCall(join.number, (_operand(body, ty),)) for _ in range(2))
        body.brif(condition, then, otherwise)
        body.start(join)
    elif not node.row.results:
        body.effect(op, node.row.type, (_emit(body, node.arguments[0], places),), "user3")
    else:
        made = _emit(body, node, places)
        results = node.row.results
        shown = body.bits(4)
        for at, ty in enumerate(results):
            if len(results) == 1 or shown & 1 << at or shown == 0:
                body.push(made + at, ty)
                _show(body, made + at, ty)


def _bring_in(body: Body, node: Node | Leaf, places: _Places) -> None:
    """Makes a tree's operands and constants before its operations: a load is merged into what uses it only if no other
    access stands between."""
    if isinstance(node, Leaf):
        _emit(body, node, places)
    else:
        for argument in node.arguments:
            _bring_in(body, argument, places)


def _show(body: Body, value: int, ty: Type) -> None:
    """Mostly stores a value, so that it is needed; one whose bits must not be seen stays. Half of those that may be a
    NaN are compared and not cleaned: that is a single use, as a load needs that is merged into an operation."""
    row = body.table.by_shape.get(("fcmp", ty, (ty, ty))) if value in body.tainted else None
    if row is not None and body.bits(1):
        value, ty = body.apply(row, (value, body.const(ty)), _immediate(body, row, "")), row.results[0]
    if body.bits(3) and body.table.has(f"store.{ty.name}") and (value not in body.tainted or body.program.cleaner(ty)):
        memory.emit_store(body, body.table.by_key[f"store.{ty.name}"], value)


class _Places:
    """What a tree's names stand for, and the constants that were drawn for it."""

    __slots__ = ("constants", "values")

    def __init__(self) -> None:
        self.values: dict[int, int] = {}
        self.constants: list[int] = []


def _emit(body: Body, node: Node | Leaf, places: _Places) -> int:
    """Emits a tree; its values do not come into scope."""
    place = node.place if isinstance(node, Leaf) else node.share
    value = places.values.get(place)
    if value is None:
        value = _leaf(body, node, places) if isinstance(node, Leaf) else _operation(body, node, places)
        if place >= 0:
            places.values[place] = value
    return value


def _operation(body: Body, node: Node, places: _Places) -> int:
    row, condition, arguments, _ = node
    family = OPCODES[row.op].family
    args = tuple([_emit(body, argument, places) for argument in arguments])
    if family in ACCESSES:
        made = body.n
        if family == "load":
            made = memory.emit_load(body, row, condition)
        else:
            memory.emit_atomic(body, row, args, condition)
            made = body.insts[-1].results[0]
        body.leave(len(body.log) - 1)
        return made
    mark = len(body.log)
    made = body.apply(row, args, _immediate(body, row, condition))
    body.leave(mark)
    return made


def _immediate(body: Body, row: Row, condition: str) -> object:
    """The condition, lane, mask or trap code of an operation, drawn where the pattern says none."""
    if row.op == OVERFLOWS:
        return "user5"
    if row.imm in ("", "distinct"):
        return None
    r = body.bits(24)
    if condition and condition != "?":
        return given(condition)
    if row.imm == "intcc":
        return INT_CONDITIONS[r % 10]
    if row.imm == "floatcc":
        return FLOAT_CONDITIONS[r % 14]
    if row.imm == "mask" and r & 1:
        return _pieces(r >> 1)
    return body.immediate(row.imm, row.args[0], r)


def _pieces(r: int) -> tuple[int, ...]:
    """A mask of the shapes that instructions have: one piece of 2, 4 or 8 bytes everywhere, or one half of a vector
    with its four halfwords in another order."""
    side, half, order = r & 16, r >> 1 & 4, r >> 6
    if r & 1:
        width = (2, 4, 8, 4)[r >> 1 & 3]
        first = order % (32 // width) * width
        return tuple(range(first, first + width)) * (16 // width)
    moved = [half + (order >> 2 * at & 3) for at in range(4)]
    kept = list(range(4 - half, 8 - half))
    picks = [pick + (side >> 1) for pick in ((*kept, *moved) if half else (*moved, *kept))]
    return tuple([2 * pick + at for pick in picks for at in range(2)])


def _leaf(body: Body, leaf: Leaf, places: _Places) -> int:
    """A value in scope or a constant."""
    ty, name, _ = leaf
    if name is None and body.bits(2) == 0:
        return _made(body, ty)
    if name is None or (name == "kz" and body.bits(1)):
        return _operand(body, ty)
    if name in ("k", "kz"):
        return body.const(ty, _drawn(body, ty, places.constants))
    if name == "kd":
        return body.const(ty, divisor(body, ty))
    if name == "odd":
        positive = body.ins("band", ty, (_operand(body, ty), body.const(ty, ty.mask >> 1)), ty)
        return body.ins("bor", ty, (positive, body.const(ty, 1)), ty)
    return constant(body, name, ty)


def _made(body: Body, ty: Type) -> int:
    """A value that some operation makes, for a rule that looks further than its own pattern says."""
    makers = kept(body.table.derived.makers, ty, partial(_makers, body.table))
    if not makers:
        return _operand(body, ty)
    row = makers[body.bits(12) % len(makers)]
    mark = len(body.log)
    made = body.apply(row, tuple([_operand(body, kind) for kind in row.args]), _immediate(body, row, ""))
    body.leave(mark)
    return made


def _makers(table: Table, ty: Type) -> tuple[Row, ...]:
    """Plain operations that make a value of a type from values."""
    return tuple([row for row in table.rows if row.results == (ty,) and row.args])


def _operand(body: Body, ty: Type) -> int:
    """A value that is not a constant: one in scope, else from memory. Of vectors of other widths than 128 bits each is
    a new one: of an operation on the same one twice the mid-end makes constants that it has not (known panics)."""
    pool = body.pools[ty]
    r = body.bits(16)
    if pool and r & 7 and not _is_odd(ty):
        return pool[(r >> 3) % len(pool)]
    if body.table.has(f"load.{ty.name}"):
        region = body.pointers[0]
        offset = region.low + r % ((region.high - region.low) // ty.bytes) * ty.bytes
        value = body.ins("load", ty, (region.value,), ty, None, NO_FLAGS, offset) if region.slot < 0 else -1
        if value >= 0:
            body.push(value, ty)
            return value
    return body.value(ty)


def _drawn(body: Body, ty: Type, earlier: list[int]) -> int:
    """A constant: an interesting one, of the shape that an immediate field has, or related to an earlier one of the
    same tree; in vectors often the same in every lane."""
    lane, width = ty.lane, ty.lane_bits
    if ty.is_float or body.bits(2) == 0:
        value = values_of(ty)[body.bits(10)]
        if not ty.is_float:
            earlier.append(value & lane.mask)
        return value
    r = body.bits(24)
    style, n = r & 15, r >> 4
    if earlier and style < 7:
        last = earlier[-1]
        number = (last, width - last, -last, ~last, last + 1, last - 1, last << n % width)[style]
    elif style < 8:
        number = n % (2 * width)
    else:
        small = n >> 6 & 0xFFF
        number = (
            1 << n % width,
            (1 << n % width) - 1,
            ~(1 << n % width),
            -(1 << n % width),
            small - 0x800,
            (n & 31) - 16,
            small << (12, 16, 32, 48)[n & 3],
            (n & 0xFF) * (0x0101010101010101, 0x00FF00FF00FF00FF, 1 << 24, 1)[n >> 8 & 3],
        )[style - 8]
    number &= lane.mask
    earlier.append(number)
    return splat(ty, number)
