"""All small programs there are, numbered: `--profile exhaustive`.

The one idea: a program is a number. `Space` counts what there is for a context, and gives program n without making
those before it, so a campaign over all of them is one that is bounded by its programs, and ends. Two kinds:
- singles: one typing, one immediate, each operand a register, a constant or a load, with boundary values;
- edges: one typing whose result is an operand of another, other operands registers, then constants.
Each program is for the largest set of ISAs that has its typings. What has no place here is said (`Space.left_out`).
How they look: `exhaustive_emit.py`.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from itertools import accumulate, product
from typing import Final, NamedTuple

from liftcheck.clif.formats import ATOMIC_OPERATIONS, FLOAT_CONDITIONS, INT_CONDITIONS
from liftcheck.clif.opcodes import OPCODES, WHOLE
from liftcheck.clif.types import Type
from liftcheck.generators.rows import Row
from liftcheck.generators.schedule import NOT_SCHEDULED, left_out
from liftcheck.generators.tables import Context

REGISTER, CONSTANT, MEMORY = "r", "c", "m"
RUNS: Final = 8
EVALUATIONS: Final = 8
"""Of one program; each has values of its own in each of the runs."""
WIDE, NARROW, CONSTANTS = 16, 8, 24
"""How many boundary values of each of two operands are paired where both are registers, and else; and how many are
tried where one operand is a constant."""
_STYLES: Final = (0, 1, 2, 3, 5)
_PARTS: Final = (0, 1, 2, 7, 15, 16, 31)


class Single(NamedTuple):
    """Programs of one typing: `form` says of each operand what it is ('rc'), `part` which of the `parts` it is."""

    key: str
    isas: tuple[str, ...]
    imm: object
    form: str
    parts: int
    part: int = 0


class Edge(NamedTuple):
    """A typing whose first result is operand `places` of another. `part`: which evaluation, where each traps; -1: all
    of them. `salt` turns values and immediates from edge to edge."""

    first: str
    second: str
    isas: tuple[str, ...]
    places: tuple[int, ...]
    salt: int
    part: int = -1


class Space:
    """All programs of a context. `singles` and `edges` say how many there are of each; `len` how many in all."""

    def __init__(self, context: Context) -> None:
        self.context: Final = context
        self.rows: Final = _rows(context)
        self._singles: Final = list(_singles(self.rows))
        self._single_ends: Final = list(accumulate(one.parts for one in self._singles))
        self._edges: Final = list(_edges(self.rows))
        self._edge_ends: Final = list(accumulate(parts for _, parts in self._edges))
        self.singles: Final = self._single_ends[-1] if self._single_ends else 0
        self.edges: Final = self._edge_ends[-1] if self._edge_ends else 0

    def __len__(self) -> int:
        return self.singles + self.edges

    def __getitem__(self, number: int) -> Single | Edge:
        """Program `number`."""
        if number < self.singles:
            at = bisect_right(self._single_ends, number)
            single = self._singles[at]
            return single._replace(part=number - (self._single_ends[at] - single.parts))
        number -= self.singles
        at = bisect_right(self._edge_ends, number)
        edge, parts = self._edges[at]
        return edge if parts == 1 and edge.part < 0 else edge._replace(part=number - (self._edge_ends[at] - parts))

    def typings(self) -> int:
        """How many typings there are in it."""
        return len(self.rows)

    def pairs(self) -> int:
        """How many pairs of typings with an edge between them there are in it."""
        return len(self._edges)

    def left_out(self) -> dict[str, str]:
        """Typings that the compiler has, and that have no place here, with the reason."""
        reasons = left_out(self.context)
        return {
            key: reasons.get(key, "control, a call or an address: it takes more than operands")
            for key in sorted(self.context.keys() - self.rows.keys())
        }


def _rows(context: Context) -> dict[str, tuple[Row, tuple[str, ...]]]:
    """Every typing that has a place, with the ISAs that have it."""
    missing = left_out(context)
    return {
        key: (context.table(isas).by_key[key], isas)
        for key, isas in sorted(context.keys().items())
        if key not in missing and key.partition(".")[0] not in NOT_SCHEDULED
    }


def immediates(row: Row) -> tuple[object, ...]:
    """Every immediate of a typing; of shuffles the masks that backends have instructions for, and some more."""
    if row.op == "atomic_rmw":
        return row.imm if isinstance(row.imm, tuple) else ATOMIC_OPERATIONS
    if isinstance(row.imm, tuple):
        return row.imm
    known: dict[str, tuple[object, ...]] = {"intcc": INT_CONDITIONS, "floatcc": FLOAT_CONDITIONS}
    if row.imm == "lane":
        return tuple(range(row.args[0].lanes))
    if row.imm == "mask":
        return tuple(dict.fromkeys((style, part) for style in _STYLES for part in _PARTS))
    return known.get(str(row.imm), (None,))


def traps(row: Row) -> bool:
    """Whether it may trap for some of its operands: then nothing comes after it in a program."""
    return OPCODES[row.op].can_trap and row.op not in ("load", "store") and OPCODES[row.op].address is None


def _singles(rows: dict[str, tuple[Row, tuple[str, ...]]]) -> Iterator[Single]:
    for key, (row, isas) in rows.items():
        for imm in immediates(row):
            for form, parts in forms(row):
                yield Single(key, isas, imm, form, parts)


def forms(row: Row) -> Iterator[tuple[str, int]]:
    """What the operands of a typing are, and in how many programs their values are tried."""
    opcode = OPCODES[row.op]
    if opcode.address is not None:
        yield from ((kind * (len(row.args) - 1), 1) for kind in (REGISTER, CONSTANT)[: len(row.args)])
        return
    if not row.args:
        yield "", 8 if opcode.family == "const" else 1
        return
    each = 1 if traps(row) else EVALUATIONS
    for kinds in product((REGISTER, CONSTANT, MEMORY), repeat=len(row.args)):
        form = "".join(kinds)
        if len(form) < 3 or len(set(form)) == 1 or form.count(REGISTER) == len(form) - 1:
            yield form, -(-_combinations(form, len(row.args), traps(row)) // each)


def _combinations(form: str, arity: int, alone: bool) -> int:
    """How many evaluations a form takes, each with other constants or with eight more tuples of values."""
    fixed = form.count(CONSTANT)
    if fixed == arity:
        return {1: CONSTANTS, 2: NARROW**2, 3: 4**3}[arity]
    if fixed:
        return NARROW if alone else CONSTANTS
    if MEMORY in form or alone:
        return NARROW
    return {1: NARROW, 2: WIDE**2 // RUNS, 3: 128 // RUNS}[arity]


def _edges(rows: dict[str, tuple[Row, tuple[str, ...]]]) -> Iterator[tuple[Edge, int]]:
    """Pairs of typings, and in how many programs each is tried."""
    takers: dict[Type, dict[str, list[int]]] = {}
    for key, (row, _) in rows.items():
        if OPCODES[row.op].address is None or OPCODES[row.op].access not in (None, WHOLE):
            for place, ty in enumerate(row.args):
                if place != OPCODES[row.op].address:
                    takers.setdefault(ty, {}).setdefault(key, []).append(place)
    salt = 0
    for first, (row, isas) in rows.items():
        if not (row.results and row.args) or OPCODES[row.op].access == WHOLE:
            continue  # a constant or a load is the form of an operand
        for second, places in takers.get(row.results[0], {}).items():
            other, more = rows[second]
            both = tuple(isa for isa in isas if isa in more)
            if both:
                salt += 1
                alone = traps(row) or traps(other)
                edge = Edge(first, second, both, tuple(places), salt)
                yield edge, evaluations(edge, row, other) if alone else 1


def evaluations(edge: Edge, first: Row, second: Row) -> int:
    """How many there are of an edge: for each place with registers, and with constants where there is room for one."""
    return len(edge.places) * (1 + (len(first.args) > 1 or len(second.args) > 1))
