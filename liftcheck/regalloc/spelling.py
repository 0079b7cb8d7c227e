"""How a disassembler spells the instruction that a text means: what readers of operands (`Isa.operands`) share.

The one idea: two texts of one form, which differ in their virtual registers alone, or in one constant besides, mean
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
    is, and what the places of such a register are called. With _CONSTANT for a number, the text's constant."""

    number: int
    operand: int = 0
    names: Mapping[int, str] = {}


class Spelling(NamedTuple):
    """`operands` with '%s' for each gap."""

    name: str
    operands: str
    gaps: tuple[Gap, ...]


class Text:
    """A text, cut: its virtual registers, and `constant` as a disassembler writes it, '' if there is not exactly one.
    `spelt`: what texts of this form are known to be."""

    __slots__ = ("__dict__", "constant", "spelt", "text", "vregs")

    def __init__(self, text: str, vregs: tuple[int, ...], constant: str, spelt: list[Spelling]) -> None:
        self.text: Final = text
        self.vregs: Final = vregs
        self.constant: Final = constant
        self.spelt: Final = spelt

    @cached_property
    def pieces(self) -> tuple[str, ...]:
        """What stands between its virtual registers."""
        return tuple(_VREG.split(self.text)[::2])


_VREG: Final = re.compile(r"(?<=[%q])v(\d+)")
_NUMBER: Final = r"-?(?:0x[0-9a-f]+|\d+)"
_VARIES: Final = re.compile(rf"(?<=[%q])v(\d+)|(?<=[#$])({_NUMBER})(?![\w.])|(?<=[ +])({_NUMBER})(?=\()")
"""Virtual registers, constants, and distances as x86-64 writes them."""
_SPELT: Final[dict[tuple[str, ...], list[Spelling]]] = {}
_MOST: Final = 1 << 14
_KNOWN: Final = 4
"""Spellings of one form that are kept: of other widths."""


@lru_cache(maxsize=1 << 14)
def cut(text: str) -> Text:
    """A text, cut. Functions are compiled again and again, so texts are seen again."""
    parts = _VARIES.split(text)
    vregs = [int(number) for number in parts[1::4] if number]
    form = tuple(parts[::4])
    constant = ""
    if len(vregs) + 2 == len(form):
        constant = next((_written(number) for number in parts[2::4] if number), "")
        constant = constant or next(_far(number) for number in parts[3::4] if number)
    elif len(vregs) + 1 != len(form):
        form = (text,) if not vregs else tuple(_VREG.split(text)[::2])
    if len(_SPELT) >= _MOST:
        _SPELT.clear()
    return Text(text, tuple(vregs), constant, _SPELT.setdefault(form, []))


def _written(number: str) -> str:
    """As Capstone writes a constant."""
    value = int(number, 0)
    return str(value) if -10 < value < 10 else hex(value)


def _far(number: str) -> str:
    """As Capstone writes a distance in an address."""
    value = int(number, 0)
    return f"{'-' if value < 0 else '+'} {_written(str(abs(value)))}"


def known(text: Text, machine: Insn, named: Named) -> bool:
    """Whether the instruction is spelt as one that was read before."""
    return bool(text.spelt) and _is_one(text, text.spelt, machine, named)


def _is_one(text: Text, spellings: Sequence[Spelling], machine: Insn, named: Named) -> bool:
    vregs, given, operands = text.vregs, named.given, named.operands
    count = len(operands)
    for name, spelt, gaps in spellings:
        if name == machine.name:
            filled = spelt % tuple(
                [
                    text.constant
                    if number == _CONSTANT
                    else names.get(given[at])
                    if at < count and operands[at].vreg == vregs[number]
                    else None
                    for number, at, names in gaps
                ]
            )
            if filled == machine.operands:
                return True
    return False


def learn(
    text: Text, machine: Insn, operands: str, gaps: Iterable[tuple[int, Mapping[int, str]]], named: Named
) -> None:
    """One more spelling: `operands` with '%s' for registers, which are virtual registers by their numbers, with what
    their places are called. A constant must stand there once."""
    order = [operand.vreg for operand in named.operands]
    found = [Gap(number, order.index(text.vregs[number]), names) for number, names in gaps]
    if text.constant:
        where = re.compile(rf"(?<![\w.-]){re.escape(text.constant)}(?![\w.])")
        if len(where.findall(operands)) != 1:
            return
        at = where.search(operands)
        assert at is not None
        found.insert(operands.count("%s", 0, at.start()), Gap(_CONSTANT))
        operands = f"{operands[: at.start()]}%s{operands[at.end() :]}"
    spelling = Spelling(machine.name, operands, tuple(found))
    if len(text.spelt) < _KNOWN and _is_one(text, [spelling], machine, named):
        text.spelt.append(spelling)
