"""Assembler text from a template, both ways.

The one idea: a row's syntax is the manual's, with the operands' names where they stand; each name is looked up in the
ISA's operands. `{…}` holds what is left out where all operands in it have their default. One template prints an
instruction and, as a regular expression, reads one; blanks do not matter between parts.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any, Final

from liftcheck.errors import AssemblyError, InternalError
from liftcheck.mach.rows.kinds import Kind, Value

_TOKEN: Final = re.compile(r"(?P<open>\{)|(?P<close>\})|(?P<name>[+>]?[A-Za-z_][\w']*)|(?P<literal>.)")


@dataclass(frozen=True)
class Operand:
    """An operand of one row: its name, its kind, whether it is read and written."""

    name: str
    kind: Kind
    reads: bool
    writes: bool


Part = str | int | tuple["str | int", ...]
"""A literal, the number of an operand, a group that may be left out."""


@dataclass(frozen=True)
class Syntax:
    """The text of one row's instructions. `mnemonic` is the first word of `parts`."""

    mnemonic: str
    parts: tuple[Part, ...]
    operands: tuple[Operand, ...]

    def show(self, values: Sequence[Value]) -> str:
        """An instruction as text."""
        return f"{self.mnemonic} {self.written(values)}".rstrip()

    def written(self, values: Sequence[Value]) -> str:
        """What stands after the mnemonic."""
        return "".join([part if isinstance(part, str) else self._shown(part, values) for part in self.parts])

    def _shown(self, part: Part, values: Sequence[Value]) -> str:
        if isinstance(part, str):
            return part
        if isinstance(part, int):
            return self.operands[part].kind.show(values[part])
        inside = [p for p in part if isinstance(p, int)]
        if all(values[p] == self.operands[p].kind.default for p in inside):
            return ""
        return "".join(self._shown(p, values) for p in part)

    def spelt(self, values: Sequence[Value]) -> str:
        """The same as disassemblers have it (`Kind.spelt`)."""
        found = ""
        for part in self._spellings:
            if isinstance(part, str):
                found += part
            elif isinstance(part[0], int):
                found += part[1](values[part[0]])
            elif any(values[number] != default for number, default in part[0]):
                found += "".join([one if isinstance(one, str) else one[1](values[one[0]]) for one in part[1]])
        return found

    @cached_property
    def _spellings(self) -> list[Any]:
        """A literal; an operand's number and how it is spelt; a group's defaults, and its parts."""

        def one(part: str | int) -> Any:
            return part if isinstance(part, str) else (part, self.operands[part].kind.spelt)

        return [
            one(part)
            if not isinstance(part, tuple)
            else ([(p, self.operands[p].kind.default) for p in part if isinstance(p, int)], [one(p) for p in part])
            for part in self.parts
        ]

    def parse(self, text: str) -> list[Value]:
        """The values of the operands in what stands after the mnemonic; AssemblyError if it is not of this form."""
        found = self.pattern.fullmatch(text.strip())
        if found is None:
            raise AssemblyError(f"expected: {self.shape}")
        return [self._value(number, found[f"o{number}"]) for number in range(len(self.operands))]

    def read(self, text: str) -> int:
        """How far `parse` comes: 0 if the text is not of this form, 1 and the operands that have a value else."""
        found = self.pattern.fullmatch(text.strip())
        if found is None:
            return 0
        for number in range(len(self.operands)):
            try:
                self._value(number, found[f"o{number}"])
            except AssemblyError:
                return 1 + number
        return 1 + len(self.operands)

    def _value(self, number: int, text: str | None) -> Value:
        kind = self.operands[number].kind
        return kind.default if text is None else kind.parse(text.strip())

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        """What stands after the mnemonic, a group 'o0', 'o1', … for each operand."""
        return re.compile("".join(map(self._regex, self.parts)))

    def _regex(self, part: Part) -> str:
        if isinstance(part, int):
            return rf"\s*(?P<o{part}>{self.operands[part].kind.pattern})\s*"
        if isinstance(part, str):
            return "".join(rf"\s*{re.escape(c)}\s*" for c in part if not c.isspace())
        return f"(?:{''.join(map(self._regex, part))})?"

    @cached_property
    def shape(self) -> str:
        """The template for people."""
        names = [f"{{{''.join(map(self._named, p))}}}" if isinstance(p, tuple) else self._named(p) for p in self.parts]
        return f"{self.mnemonic} {''.join(names)}".rstrip()

    def _named(self, part: str | int) -> str:
        return part if isinstance(part, str) else self.operands[part].name


def syntax(template: str, kinds: Mapping[str, Kind]) -> Syntax:
    """A template's syntax: names of `kinds` are operands; a name with + before it is written besides being read, with >
    it is written only."""
    mnemonic, _, rest = template.partition(" ")
    operands: list[Operand] = []
    stack: list[list[str | int | tuple[str | int, ...]]] = [[]]
    for token in _TOKEN.finditer(rest):
        if token["open"]:
            stack.append([])
        elif token["close"]:
            group = tuple(p for p in stack.pop() if not isinstance(p, tuple))
            stack[-1].append(group)
        elif token["name"] and token["name"].lstrip("+>") in kinds:
            stack[-1].append(len(operands))
            operands.append(_operand(token["name"], kinds))
        else:
            stack[-1].append(token[0])
    if len(stack) != 1:
        raise InternalError(f"unbalanced braces in {template!r}")
    return Syntax(mnemonic, tuple(stack[0]), tuple(operands))


def _operand(mark: str, kinds: Mapping[str, Kind]) -> Operand:
    name = mark.lstrip("+>")
    kind = kinds[name]
    writes = mark[0] in "+>" or kind.written
    return _shared(name, kind, mark[0] == "+" or not writes, writes)


_shared: Final = cache(Operand)
"""One object for all rows that have the operand: the collector of garbage goes through what there is."""
