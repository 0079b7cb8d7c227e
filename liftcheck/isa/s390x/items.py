"""What the operands of an s390x instruction are, in an assembler's text and in bytes: registers, addresses, goals.

The one idea: bytes are read as their row writes them (`insts`), so there is one way to read operands. Which registers
an instruction has is most of how instructions differ, so bytes with other registers in their place are read once for
all of them (`reader.opened`).

Source: z/Architecture Principles of Operation SA22-7832-13, 'Instruction formats'.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Final, NamedTuple

from liftcheck.isa.s390x.insts.table import table
from liftcheck.isa.s390x.reader import FLOAT_FIRST, MEANT


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
    found = next(table().readings(data), None)
    if found is None:
        return None
    word, _, operands = found.text.partition(" ")
    return word, tuple([_open(item) for item in items(operands)])


def _open(item: Item) -> Item:
    if isinstance(item, Address):
        by, base = (None if one is None else _opened(one) for one in (item.by, item.base))
        return Address(item.distance, by, base)
    return _opened(item) if isinstance(item, Register) else item


def _opened(register: Register) -> Register:
    """A register that stands for one which was opened, as its number."""
    place = -1 - register.places[0][0]
    if place in MEANT:
        return register
    number = (place - FLOAT_FIRST) // 4 if place >= FLOAT_FIRST else place // 2
    return _standing(((number, 0),))


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
