"""Small functions that fire a compiler's rules: what is enumerated, and how they look.

The one idea: an instance is a tree of typings (`rows.Node`) and what each of its leaves is: a parameter, the same
parameter again, a load, or a constant. So one tree makes a family of functions that differ in nothing else, and which
rules fire in each says where the guards of rules have their edges (`between`). Operands are parameters, so narrow ones
have arbitrary upper bits; results are returned; an access has its address in one of several shapes (`addresses`).
`of_typing` enumerates all operands of a single operation, `of_rule` trees of a rule's left-hand side; the same ones
every time. Functions are judged by terms, for all values of their parameters: there are no inputs here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from itertools import combinations, islice
from random import Random
from typing import Final, NamedTuple

from liftcheck.clif.opcodes import OPCODES
from liftcheck.clif.types import Type
from liftcheck.generators.addresses import SHAPES
from liftcheck.generators.exhaustive import immediates as of_row
from liftcheck.generators.exhaustive_emit import boundary
from liftcheck.generators.lefthand import Op, Rules
from liftcheck.generators.patterns import given, splat
from liftcheck.generators.rows import Leaf, Node, Row, Table
from liftcheck.generators.solver import ACCESSES, operands, row_index, typings

REGISTER, CONSTANT, MEMORY, SAME = "r", "c", "m", "s"
ROOT: Final = -1
"""The place of the constant that an operation without operands is."""
_ALL_CONSTANT: Final = ((3, 0), (0, 1), (2, -2), (1, -1), (0, 2), (5, 2))
"""Of operations all of whose operands are constants: the first's number, and how far it is to the next one's."""
_TYPINGS: Final = 6
"""Typings of a pattern."""
_FEW: Final = 12
"""Constants of an operand where an operation has many immediates, and of floats and vectors."""


class Choice(NamedTuple):
    """What a leaf is: `kind`, and the constant's number or the place whose parameter it is."""

    kind: str
    number: int = 0


class Recipe(NamedTuple):
    """One function. `choices`: leaves that are no parameters, by place; `turn`: which immediates operations have for
    which the tree says none; `shape`: of the root's address, with `offset`."""

    node: Node
    choices: tuple[tuple[int, Choice], ...] = ()
    turn: int = 0
    shape: str = ""
    offset: int = 0

    @property
    def typing(self) -> str:
        """The key of the operation at the root."""
        return self.node.row.key

    @property
    def form(self) -> str:
        """What the leaves are, and where the access is: instances of one form differ in numbers only."""
        kinds = {place: choice.kind for place, choice in self.choices}
        return "".join(kinds.get(leaf.place, REGISTER) for leaf in leaves(self.node)) + self.shape

    def with_number(self, place: int, number: int) -> Recipe:
        """The same with another constant."""
        changed = tuple((at, Choice(CONSTANT, number) if at == place else choice) for at, choice in self.choices)
        return self._replace(choices=changed)


def leaves(node: Node) -> list[Leaf]:
    """The leaves of a tree, each place once."""
    found: dict[int, Leaf] = {}
    for argument in node.arguments:
        for leaf in (argument,) if isinstance(argument, Leaf) else leaves(argument):
            found.setdefault(leaf.place, leaf)
    return list(found.values())


def rows(table: Table) -> list[Row]:
    """The operations that instances are made of."""
    constants = [row for row in table.by_key.values() if OPCODES[row.op].family == "const"]
    return constants + [row for of in row_index(table).values() for row in of[None] if row.op != "fence"]


def of_typing(table: Table, row: Row) -> Iterator[Recipe]:
    """All that the operands of one operation may be."""
    given = operands(row)
    node = Node(row, "", tuple(Leaf(ty, None, place) for place, ty in enumerate(given)))
    if OPCODES[row.op].family in ACCESSES:
        yield from _accesses(table, node)
        return
    if OPCODES[row.op].family == "const":
        yield from (Recipe(node, ((ROOT, Choice(CONSTANT, n)),)) for n in numbers("k", row.results[0]))
        return
    for turn in range(len(immediates(row))):
        plain = Recipe(node, turn=turn)
        yield plain
        for first, second in combinations(range(len(given)), 2):
            if given[first] is given[second]:
                yield plain._replace(choices=((second, Choice(SAME, first)),))
        for place, ty in enumerate(given):
            if table.has(f"load.{ty.name}"):
                yield plain._replace(choices=((place, Choice(MEMORY)),))
        for place, ty in enumerate(given):
            for number in numbers("k", ty)[: _FEW if turn else None]:
                yield plain._replace(choices=((place, Choice(CONSTANT, number)),))
        for first, step in _ALL_CONSTANT[: None if turn == 0 else 1]:
            values = [picked(ty, first + step * place) for place, ty in enumerate(given)]
            yield plain._replace(choices=tuple((at, Choice(CONSTANT, value)) for at, value in enumerate(values)))


def _accesses(table: Table, node: Node) -> Iterator[Recipe]:
    """Accesses of a typing: each shape of address, each number that it may have."""
    row = node.row
    for turn in range(len(immediates(row))):
        for order in ("", "little", "big"):
            if order and turn:
                continue
            plain = Recipe(node._replace(condition=order), turn=turn, shape="p")
            yield plain
            if order:
                continue
            for number in range(len(node.arguments)):
                leaf = node.arguments[number]
                assert isinstance(leaf, Leaf)
                for value in numbers("k", leaf.ty)[: _FEW if turn else None]:
                    yield plain._replace(choices=((number, Choice(CONSTANT, value)),))
            if turn == 0:
                for shape, offsets in SHAPES.items():
                    if OPCODES[row.op].family != "atomic" or "o" not in shape:
                        for offset in offsets:
                            yield plain._replace(shape=shape, offset=offset)


def of_rule(table: Table, rules: Rules, place: int, turns: range = range(3)) -> Iterator[Recipe]:
    """Trees of the left-hand sides under which a rule is tried: each typing, operands of each kind, with constants that
    are drawn by their turn."""
    for pattern in rules.patterns(place):
        for node in islice(typings(table, pattern), _TYPINGS):
            yield from _of_tree(table, pattern, node, turns)


def _of_tree(table: Table, pattern: Op, node: Node, turns: range) -> Iterator[Recipe]:
    """Instances of a typed tree; of turn 0 all kinds of operands, of others further constants."""
    shape = "=" if pattern.condition == "=" else "p" if OPCODES[node.row.op].family in ACCESSES else ""
    every = leaves(node)
    free = [leaf for leaf in every if leaf.constant is None]
    recipes = [
        Recipe(node, tuple(_constants(every, turn, Random(f"{node.row.key} {turn}"))), turn, shape) for turn in turns
    ]
    yield from recipes
    if 0 not in turns:
        return
    plain = recipes[0]
    for leaf in free:
        value = picked(leaf.ty, 3)
        yield plain._replace(choices=(*plain.choices, (leaf.place, Choice(CONSTANT, value))))
        if table.has(f"load.{leaf.ty.name}"):
            yield plain._replace(choices=(*plain.choices, (leaf.place, Choice(MEMORY))))
    for first, second in combinations(free, 2):
        if first.ty is second.ty:
            yield plain._replace(choices=(*plain.choices, (second.place, Choice(SAME, first.place))))


def _constants(every: Sequence[Leaf], turn: int, random: Random) -> Iterator[tuple[int, Choice]]:
    """The constants that a tree asks for: alike at first, then one after the other, then drawn, sometimes in relation
    to the one before."""
    last: int | None = None
    for at, leaf in enumerate(every):
        if leaf.constant is None or leaf.constant == "odd" or (leaf.constant == "kz" and turn % 4 == 1):
            continue
        choices = numbers(leaf.constant, leaf.ty)
        number = choices[(0, 2 * at, 2 - 2 * at)[turn] % len(choices)] if turn < 3 else random.choice(choices)
        if (
            leaf.constant.rstrip("23456789") in ("k", "kz")
            and last is not None
            and turn & 1
            and turn > 1
            and leaf.ty.is_int
        ):
            lane, width = last & leaf.ty.lane.mask, leaf.ty.lane_bits
            related = (lane, width - lane, -lane, ~lane, lane + 1, lane - 1)[random.randrange(6)]
            number = splat(leaf.ty, related & leaf.ty.lane.mask)
        last = number
        yield leaf.place, Choice(CONSTANT, number)


def immediates(row: Row) -> tuple[object, ...]:
    """Every immediate of an operation; of shuffles masks of the shapes that instructions have."""
    return masks() if row.imm == "mask" else ("user5",) if row.op in _TRAPS else of_row(row)


_TRAPS: Final = ("trapz", "trapnz", "uadd_overflow_trap")


@cache
def masks() -> tuple[tuple[int, ...], ...]:
    """Lane numbers of 0…31: one lane everywhere, windows, interleavings, reversals, even and odd ones, any."""
    random, lanes = Random("masks"), range(16)
    found: list[tuple[int, ...]] = [(a,) * 16 for a in (0, 1, 15, 16, 31)]
    found += [tuple(a + lane for lane in lanes) for a in (0, 1, 8, 15, 16)]
    for width in (1, 2, 4, 8):
        for high in (0, 8):
            for first in (0, 16):
                picks = [(lane // width & 1) * 16 ^ first | high + lane // (2 * width) * width + lane % width
                         for lane in lanes]  # fmt: skip
                found.append(tuple(picks))
        found.append(tuple(lane // (2 * width) * (2 * width) + 2 * width - 1 - lane % (2 * width) for lane in lanes))
        for odd in (0, 1):
            found.append(tuple(((lane // width * 2 + odd) * width + lane % width) & 31 for lane in lanes))
        found.append(tuple(3 * width % 32 // width * width % 16 + lane % width for lane in lanes))
    for piece in (2, 4, 1):
        words = [random.randrange(32 // piece) for _ in range(16 // piece)]
        found.append(tuple(word * piece + at for word in words for at in range(piece)))
    found.append(tuple(random.randrange(16) for _ in lanes))
    return tuple(dict.fromkeys(found))


def immediate(row: Row, condition: str, turn: int) -> object:
    """The immediate of an operation: what its tree says, else by turn."""
    if OPCODES[row.op].family in ACCESSES and row.op != "atomic_rmw":
        return None
    if condition not in ("", "?", "="):
        return given(condition)
    every = immediates(row)
    return every[turn % len(every)]


@cache
def numbers(name: str, ty: Type) -> tuple[int, ...]:
    """What a constant of a kind (`patterns`) may be, as a value of a type; the most telling first."""
    plain = name.rstrip("23456789") if name[0] in "knpqm" else name
    width = ty.lane_bits
    if ty.is_float and plain in ("k", "kz", "kd"):
        return boundary(ty, _FEW)
    if ty.is_vector and plain in ("k", "kz"):
        return tuple(dict.fromkeys([*(splat(ty, n) for n in _integers(width)[:_FEW]), *boundary(ty, _FEW)]))
    kinds: dict[str, Sequence[int]] = {
        "k": _integers(width), "kz": _integers(width),
        "kd": [n for n in _integers(width) if n not in (0, ty.lane.mask)],
        "w": [width], "w-1": [width - 1], "h": [width // 2], "min": [1 << width - 1], "max": [(1 << width - 1) - 1],
        "n": [1, width - 1, 3, 0, width, width // 2, width + 1, 2 * width - 1, 8 % width, 7],
        "p": [1 << k for k in dict.fromkeys((1, 3, width - 1, width - 2, 0, width // 2, 5 % width, 12 % width))],
        "q": [(1 << k) + d for k in (2, width - 1, width // 2) for d in (1, -1)],
        "m": [(1 << k) - 1 for k in dict.fromkeys((8 % width or 4, 1, width // 2, width - 1, width))],
    }  # fmt: skip
    if ty.is_float:
        return (boundary(ty, 3)[0 if plain.lstrip("-") == "0" else 2],)
    found = kinds.get(plain) or [int(name, 0) if name.lstrip("-")[:1].isdigit() else 0]
    return tuple(dict.fromkeys(splat(ty, number & ty.lane.mask) for number in found))


def picked(ty: Type, turn: int) -> int:
    """One of a type's constants."""
    found = numbers("k", ty)
    return found[turn % len(found)]


def _integers(width: int) -> list[int]:
    """Both sides of every field that immediates have on the four ISAs, and the corners of the type."""
    found = [1, 2, 3, 0, -1, width, width - 1, width + 1, 1 << width - 1, (1 << width - 1) - 1, 127, 128, -128, -129,
             255, 256, 5, 10, 100, -2, -width]  # fmt: skip
    for field in (11, 12, 15, 16, 19, 20, 24, 31, 32, 48):
        found += [(1 << field) - 1, 1 << field, -(1 << field), -(1 << field) - 1]
    found += [0xFFF000, 0xFFF001, 0x00FF00FF00FF00FF, 0x5555555555555555, 0x0F0F0F0F, 0xFFFF0000, 0xFFFF00000000,
              0x12345678, 0x0123456789ABCDEF, 31, 32, 63, 64]  # fmt: skip
    return list(dict.fromkeys(number & (1 << width) - 1 for number in found))


def between(low: Recipe, high: Recipe) -> Recipe | None:
    """The instance in the middle of two that differ in one constant, as signed numbers; None if there is none."""
    differing = [(at, one, other) for (at, one), (_, other) in zip(low.choices, high.choices) if one != other]
    if len(differing) != 1 or {one.kind for one in differing[0][1:]} != {CONSTANT}:
        return None
    place, one, other = differing[0]
    ty = next(leaf.ty for leaf in leaves(low.node) if leaf.place == place)
    if not ty.is_int or ty.is_vector:
        return None
    middle = (signed(one.number, ty) + signed(other.number, ty)) // 2 & ty.mask
    return None if middle in (one.number, other.number) else low.with_number(place, middle)


def signed(number: int, ty: Type) -> int:
    """A value of a type as a signed number."""
    return number - (number >> ty.bits - 1 << ty.bits)
