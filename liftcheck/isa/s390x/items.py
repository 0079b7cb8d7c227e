"""What the operands of an s390x instruction are, in an assembler's text and in bytes: registers, addresses, goals.

The one idea: an operand of bytes is what its row's text of it would be read as (`insts`). Which registers
an instruction has is most of how instructions differ, so bytes with other registers in their place are read once for
all of them (`reader.opened`).

Source: z/Architecture Principles of Operation SA22-7832-13, 'Instruction formats'.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import cache, lru_cache
from typing import Any, Final, NamedTuple

from liftcheck.isa.s390x.insts import common as kinds
from liftcheck.isa.s390x.insts.table import table
from liftcheck.isa.s390x.reader import FLOAT_FIRST, MEANT
from liftcheck.mach.rows.kinds import Immediate, Kind, Target
from liftcheck.mach.rows.kinds import Register as RegisterKind
from liftcheck.mach.rows.syntax import Syntax


class Register(NamedTuple):
    """`places`: what it stands for, each with how many registers it lies above the one that an instruction names (0; 1
    for the second of a pair). From 1 on the number of a virtual register of the text, or of one that was opened; below
    that the place `-1 - number`."""

    places: tuple[tuple[int, int], ...]


class Address(NamedTuple):
    """distance(by,base)"""

    distance: int
    by: Register | None
    base: Register | None


class Goal(NamedTuple):
    """A place in the code: `distance` bytes from the instruction, at a `label` of the text, or, with '', anywhere."""

    label: str
    distance: int = 0


class Slot(NamedTuple):
    """A spill slot."""

    place: int


Item = Register | Address | Goal | Slot | int
ANYWHERE: Final = Goal("")


@lru_cache(maxsize=1 << 10)
def _standing(places: tuple[tuple[int, int], ...]) -> Register:
    """One object for all that are equal: there are few of them, and many items."""
    return Register(places)


def fixed(place: int) -> Register:
    """A register of the machine's."""
    return _standing(((-1 - place, 0),))


# Texts


_OPERAND: Final = re.compile(
    r"(?P<high>%[^\s,()/<]+)(?:/(?P<low>%[^\s,()/<]+))?(?:<-(?P<from>%[^\s,()/]+|_)(?:/(?P<and>%[^\s,()/]+))?)?"
    r"|(?P<number>-?\d+)(?P<label>[bf])?(?:\((?P<one>%[^\s,()]+)?(?P<comma>, ?)?(?P<two>%[^\s,()]+|0)?\))?"
    r"|\. ?(?P<sign>[+-]) ?(?P<far>\d+)"
)
_MACHINE: Final = re.compile(r"%([rfva])(\d+)")
_COMMA: Final = re.compile(r", ?(?![^()]*\))")


def items(operands: str) -> tuple[Item, ...]:
    """Of the operands of one instruction; `%@1` is the text's first virtual register. LookupError where something is
    not known."""
    return tuple([_item(one) for one in _COMMA.split(operands)]) if operands else ()


@lru_cache(maxsize=1 << 13)
def _item(text: str) -> Item:
    found = _OPERAND.fullmatch(text)
    if found is None:
        raise LookupError(text)
    if high := found["high"]:
        if high[1] != "@" and _MACHINE.fullmatch(high) is None:
            return ANYWHERE  # a symbol
        names = ((high, 0), (found["low"], 1), (found["from"], 0), (found["and"], 1))
        return _standing(tuple([_register(name, above) for name, above in names if name and name != "_"]))
    if found["sign"]:
        return Goal(".", int(found["far"]) * (1 if found["sign"] == "+" else -1))
    number = int(found["number"])
    if found["label"]:
        return Goal(found["number"])
    if not found["one"] and not found["two"]:
        return number
    base, by = (found["two"], found["one"]) if found["comma"] else (found["one"], None)
    if found["comma"] == ", ":  # how the text of a jump by a table has it
        base, by = by, base
    return Address(number, *(_standing((_register(name),)) if name and name != "0" else None for name in (by, base)))


def _register(name: str, above: int = 0) -> tuple[int, int]:
    if name[1] == "@":
        return int(name[2:]), above
    found = _MACHINE.fullmatch(name)
    if found is None:
        raise LookupError(name)
    return -1 - int(found[2]) - (FLOAT_FIRST if found[1] in "fv" else 0), above


# Bytes


@lru_cache(maxsize=1 << 13)
def read(data: bytes) -> tuple[str, tuple[Item, ...]] | None:
    """The word and the items of an instruction whose registers are opened; None: there is no row."""
    found = table().first(data)
    if found is None:
        return None
    made: list[Item] = []
    template = _TEMPLATES.get(id(found.row))
    if template is None:
        template = _TEMPLATES[id(found.row)] = tuple(_template(found.row.syntax))
    for operand, item in template:
        if operand is None:
            made.append(item)
        else:
            made += _meant(found.row.operands[operand].kind, found.values[operand])
    return found.row.name, tuple(made)


_TEMPLATES: Final[dict[int, tuple[tuple[int | None, Item], ...]]] = {}
"""By a row, which lives as long as its table."""


def _template(syntax: Syntax) -> Iterator[tuple[int | None, Item]]:
    """What the text of an instruction consists of: the numbers of operands, and items that all of its row have."""
    literal = ""
    for part in (*syntax.parts, ","):
        if isinstance(part, int):
            yield part, 0
        elif part != ",":
            literal += part if isinstance(part, str) else "?"
        else:
            if literal.strip():
                yield None, _open(_item(literal.strip()))
            literal = ""


def _meant(kind: Kind, value: Any) -> Sequence[Item]:
    """The items that an operand is, as its text would be read."""
    if isinstance(kind, kinds.Address):
        by, base = (_opened(one) if one else None for one in value[1:])
        return (Address(value[0], by, base) if by or base else value[0],)
    if isinstance(kind, kinds.Range):
        return [_opened(one) for one in value]
    if isinstance(kind, kinds.Pair):
        return (_opened(value),)
    if isinstance(kind, RegisterKind | kinds.Float):
        return (_opened(value + (kind.first if isinstance(kind, RegisterKind) else FLOAT_FIRST)),)
    if isinstance(kind, Immediate):
        return (Goal(".", value) if isinstance(kind, Target) else value,)
    return (_open(_item(kind.show(value))),)


def _open(item: Item) -> Item:
    return _opened(-1 - item.places[0][0]) if isinstance(item, Register) else item


@cache
def _opened(place: int) -> Register:
    """A register that stands for one which was opened, as its number."""
    if place in MEANT:
        return fixed(place)
    return _standing((((place - FLOAT_FIRST) // 4 if place >= FLOAT_FIRST else place // 2, 0),))


def shifted(found: Sequence[Item], by: int) -> tuple[Item, ...]:
    """With higher numbers of what was opened: of an instruction that is not the first."""
    return tuple([_shifted(item, by) for item in found]) if by else tuple(found)


def _shifted(item: Item, by: int) -> Item:
    if isinstance(item, Address):
        return Address(item.distance, *(None if one is None else _higher(one, by) for one in (item.by, item.base)))
    return _higher(item, by) if isinstance(item, Register) else item


def _higher(register: Register, by: int) -> Register:
    number = register.places[0][0]
    return _standing(((number + by, 0),)) if number > 0 else register
