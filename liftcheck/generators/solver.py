"""Typings of a rule's left-hand side: a pattern of `lefthand.py` becomes a tree of rows of a table.

The one idea: backtracking over the rows that fit each operation, from a drawn one on, so that any typing may come first
and none is looked for longer than a number of steps. It solves types only: what a rule's guards want is not asked.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Final

from liftcheck.clif.opcodes import DIVISIONS, OPCODES
from liftcheck.clif.types import Type
from liftcheck.generators.lefthand import ANY, BRANCHES, OVERFLOWS, Atom, Op
from liftcheck.generators.patterns import takes
from liftcheck.generators.rows import Leaf, Node, Row, RowIndex, Table

_STEPS: Final = 300
"""Operations that are typed in search of a tree."""
ACCESSES: Final = ("load", "store", "atomic")
_OTHERS: Final = frozenset({*DIVISIONS, *BRANCHES, OVERFLOWS})
"""What trees are made of in addition to plain opcodes and accesses."""
_NO_CONDITIONS: Final = ("", "?", "=")


class _Solver:
    """Draws a typing of a pattern that a table allows."""

    def __init__(self, table: Table, index: RowIndex, start: int) -> None:
        self.table = table
        self.index = index
        self.start = start
        self.steps = _STEPS
        self.places: dict[tuple[str, Type], int] = {}

    def fitting(self, pattern: Op, wanted: Type | None) -> list[Row]:
        """The rows of the pattern's own opcode that give a `wanted` (None: anything), from a drawn one on."""
        rows = self.index.get(pattern.name, {}).get(wanted, [])
        if pattern.condition not in _NO_CONDITIONS and OPCODES[pattern.name].is_plain:
            rows = [row for row in rows if takes(row, pattern.condition)]
        if pattern.ty is not ANY:
            rows = [row for row in rows if (ty := _typed(row)) is None or pattern.ty.fits(ty)]
        at = self.start % len(rows) if rows else 0
        return rows[at:] + rows[:at]

    def solve(self, pattern: Op, row: Row, bound: dict[str, Type]) -> Iterator[tuple[Node, dict[str, Type]]]:
        """Ways to make `pattern` with `row` at its head; with the names bound, a dictionary of its own."""
        self.steps -= 1
        ty, names, share = _typed(row), bound.copy(), -1
        for name in (pattern.ty.variable, pattern.bind and "value " + pattern.bind):
            if name and ty is not None and names.setdefault(name, ty) is not ty:
                return
        if pattern.bind and ty is not None:
            share = self.places.setdefault(("= " + pattern.bind, ty), len(self.places))
        for args, every in self._arguments(pattern.arguments, operands(row), names):
            yield Node(row, pattern.condition, args, share), every

    def _arguments(
        self, patterns: tuple[Op | Atom, ...], kinds: tuple[Type, ...], names: dict[str, Type]
    ) -> Iterator[tuple[tuple[Node | Leaf, ...], dict[str, Type]]]:
        """Ways to make the operands, entering what they bind into `names`; of an operation's typings each is met once,
        with whatever else fits first."""
        leaves: list[Leaf] = []
        for pattern, ty in zip(patterns, kinds):
            if isinstance(pattern, Op):
                break
            leaf = self._leaf(pattern, ty, names)
            if leaf is None:
                return
            leaves.append(leaf)
        else:
            yield tuple(leaves), names
            return
        rest = len(leaves) + 1
        for row in self.fitting(pattern, ty):
            if self.steps < 0:
                return
            for node, inner in self.solve(pattern, row, names):
                if rest == len(patterns):
                    yield (*leaves, node), inner
                    continue
                for others, every in self._arguments(patterns[rest:], kinds[rest:], inner):
                    yield (*leaves, node, *others), every
                    break

    def _leaf(self, atom: Atom, ty: Type, names: dict[str, Type]) -> Leaf | None:
        """A value or a constant of a type, entered into `names`; None if the table makes none or the name is taken."""
        key = "value " + atom.name
        if ty not in self.table.const or not atom.ty.fits(ty):
            return None
        if atom.constant in (None, "kz", "odd") and names.get(key, ty) is not ty:
            return None
        if atom.ty.variable and names.setdefault(atom.ty.variable, ty) is not ty:
            return None
        names[key] = ty
        return Leaf(ty, atom.constant, self.places.setdefault((atom.name, ty), len(self.places)))


def _typed(row: Row) -> Type | None:
    """The type that rules say of an operation: that of its first result."""
    return row.results[0] if row.results else row.type


def operands(row: Row) -> tuple[Type, ...]:
    """The types of the operands except for an access's address."""
    at = OPCODES[row.op].address
    return row.args if at is None else row.args[:at] + row.args[at + 1 :]


def row_index(table: Table) -> RowIndex:
    """The rows that templates are made of."""
    index: RowIndex = {}
    for row in table.by_shape.values():
        opcode = OPCODES[row.op]
        if opcode.is_plain or opcode.family in ACCESSES or row.op in _OTHERS:
            rows = index.setdefault(row.op, {})
            for ty in (None, *row.results[:1]):
                rows.setdefault(ty, []).append(row)
    return index


def drawn(table: Table, pattern: Op, start: int) -> Node | None:
    """A typing of a pattern, which one depends on `start`; None if none is found soon."""
    derived = table.derived
    if derived.rule_index is None:
        derived.rule_index = row_index(table)
    solver = _Solver(table, derived.rule_index, start)
    for row in solver.fitting(pattern, None):
        if solver.steps < 0:
            break
        for node, _ in solver.solve(pattern, row, {}):
            return node
    return None


def typings(table: Table, pattern: Op) -> Iterator[Node]:
    """Typings of a pattern, one for each typing of its root that fits; of what is below the first that does."""
    derived = table.derived
    if derived.rule_index is None:
        derived.rule_index = row_index(table)
    for row in _Solver(table, derived.rule_index, 0).fitting(pattern, None):
        yield from islice((node for node, _ in _Solver(table, derived.rule_index, 0).solve(pattern, row, {})), 1)
