"""How a disassembler spells the instruction that a text means: what readers of operands (`Isa.operands`) share.

The one idea: two texts of one form, which differ in their virtual registers alone, or also in one constant, mean
instructions that differ in the same alone. So what an instruction was read against once, operand for operand, is kept
as a spelling with gaps; the next one is right if it is spelt so. It is only for speed: what is not spelt so is read.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property, lru_cache
from typing import Final, NamedTuple

from liftcheck.mach.insn import Insn
from liftcheck.regalloc.named import Named

_CONSTANT: Final = -1


class Gap(NamedTuple):
    """Where a register's name stands: the number of a virtual register among the text's, that of an operand which it
    is, and what the places of such a register are called. With _CONSTANT for a number, the text's constant number
    `operand`."""

    number: int
    operand: int
    names: Mapping[int, str] = {}


class Spelling(NamedTuple):
    """`operands` with '%s' for each gap; they may go on, without another operand, where `opens`: with a place in the
    code, which is not where the instruction itself stands."""

    name: str
    operands: str
    gaps: tuple[Gap, ...]
    opens: bool = False


class Text:
    """A text, cut: its virtual registers, its constants as a disassembler writes them, `far` if one is a distance from
    where the function's stack slots begin: its number, and how many bytes. `spelt`: what texts of this form are known
    to be."""

    __slots__ = ("__dict__", "constants", "far", "spelt", "text", "vregs")

    def __init__(
        self, text: str, vregs: tuple[int, ...], constants: tuple[str, ...], far: tuple[int, int], spelt: list[Spelling]
    ) -> None:
        self.text: Final = text
        self.vregs: Final = vregs
        self.constants: Final = constants
        self.far: Final = far
        self.spelt: Final = spelt

    @cached_property
    def pieces(self) -> tuple[str, ...]:
        """What stands between its virtual registers."""
        return tuple(_VREG.split(self.text)[::2])

    @cached_property
    def exact(self) -> list[Spelling]:
        """What texts with its constants are known to be."""
        return _spelt(("exact", *self.pieces))

    def written(self, slots: int | None) -> tuple[str, ...]:
        """Its constants in a function whose stack slots begin there."""
        number, distance = self.far
        if number < 0:
            return self.constants
        found = [*self.constants]
        found[number] = _far(distance + (slots or 0))
        return tuple(found)


_VREG: Final = re.compile(r"(?<=[%q])v(\d+)")
_NUMBER: Final = r"-?(?:0x[0-9a-f]+|\d+)"
_VARIES: Final = re.compile(rf"(?<=[%q])v(\d+)|(?<=[#$])({_NUMBER})(?![\w.])|(?<=[ +])({_NUMBER})(?=\()")
"""Virtual registers, constants, and distances as x86-64 writes them."""
_IN_SLOTS: Final = "<offset:1>+"
_SPELT: Final[dict[tuple[str, ...], list[Spelling]]] = {}
_MOST: Final = 1 << 14
_KNOWN: Final = 8
"""Spellings of one form that are kept: of other widths."""


def _spelt(form: tuple[str, ...]) -> list[Spelling]:
    if len(_SPELT) >= _MOST:
        _SPELT.clear()
    return _SPELT.setdefault(form, [])


@lru_cache(maxsize=1 << 14)
def cut(text: str) -> Text:
    """A text, cut. Functions are compiled again and again, so texts are seen again."""
    parts = _VARIES.split(text)
    vregs: list[int] = []
    constants: list[str] = []
    far = (-1, 0)
    for at in range(0, len(parts) - 1, 4):
        before, vreg, number, distance = parts[at : at + 4]
        if vreg:
            vregs.append(int(vreg))
        elif number:
            constants.append(_written(number))
        else:
            if before.endswith(_IN_SLOTS):
                far = len(constants), int(distance, 0)
            constants.append(_far(int(distance, 0)))
    return Text(text, tuple(vregs), tuple(constants), far, _spelt(tuple(parts[::4])))


def split(text: str, virtual: re.Pattern[str], where: str) -> Text:
    """A text, cut at its virtual registers alone: `virtual` has one group, a number. `where` tells texts apart that are
    spelt alike and mean other distances."""
    parts = virtual.split(text)
    pieces = tuple(parts[::2])
    found = Text(text, tuple(map(int, parts[1::2])), (), (-1, 0), _spelt((where, *pieces)))
    found.__dict__["pieces"] = pieces
    return found


def _written(number: str) -> str:
    """As Capstone writes a constant."""
    value = int(number, 0)
    return str(value) if -10 < value < 10 else hex(value)


def _far(value: int) -> str:
    """As Capstone writes a distance in an address."""
    return f"{'-' if value < 0 else '+'} {_written(str(abs(value)))}"


def known(text: Text, machine: Insn, named: Named) -> bool:
    """Whether the instruction is spelt as one that was read before."""
    if _is_one(text, text.spelt, machine, named):
        return True
    return bool(text.constants) and _is_one(text, text.exact, machine, named)


def _is_one(text: Text, spellings: Sequence[Spelling], machine: Insn, named: Named) -> bool:
    operands = named.operands
    count = len(operands)
    for name, spelt, gaps, opens in spellings:
        if name == machine.name:
            vregs, given = text.vregs, named.given
            constants = text.constants if text.far[0] < 0 else text.written(named.slots)
            filled = spelt % tuple(
                [
                    constants[at]
                    if number == _CONSTANT
                    else names.get(given[at])
                    if at < count and operands[at].vreg == vregs[number]
                    else None
                    for number, at, names in gaps
                ]
            )
            if filled == machine.operands or (opens and _goes_on(filled, machine)):
                return True
    return False


def _goes_on(filled: str, machine: Insn) -> bool:
    rest = machine.operands[len(filled) :]
    return machine.operands.startswith(filled) and "," not in rest and machine.target != 0


def learn(
    text: Text,
    machine: Insn,
    operands: str,
    gaps: Iterable[tuple[int, Mapping[int, str]]],
    named: Named,
    opens: bool = False,
) -> None:
    """One more spelling: `operands` with '%s' for registers, which are virtual registers by their numbers, with what
    their places are called. If not each constant stands there once, it is one of texts with these constants."""
    order = [operand.vreg for operand in named.operands]
    found = [Gap(number, order.index(text.vregs[number]), names) for number, names in gaps]
    spelling = Spelling(machine.name, operands, tuple(found), opens)
    rows = text.spelt
    if text.constants:
        wider = _with_constants(spelling, text.written(named.slots))
        rows, spelling = (text.spelt, wider) if wider is not None else (text.exact, spelling)
    if rows is not text.spelt and text.far[0] >= 0:
        return
    if len(rows) < _KNOWN and _is_one(text, [spelling], machine, named):
        rows.append(spelling)


def _with_constants(spelling: Spelling, constants: Sequence[str]) -> Spelling | None:
    """With gaps for all constants; None if one does not stand there once."""
    operands, gaps = spelling.operands, [*spelling.gaps]
    for number, constant in enumerate(constants):
        where = re.compile(rf"(?<![\w.-]){re.escape(constant)}(?![\w.])")
        at = where.search(operands)
        if at is None or len(where.findall(operands)) != 1:
            return None
        gaps.insert(operands.count("%s", 0, at.start()), Gap(_CONSTANT, number))
        operands = f"{operands[: at.start()]}%s{operands[at.end() :]}"
    return spelling._replace(operands=operands, gaps=tuple(gaps))
