"""A row: everything about one machine instruction.

The one idea: a row is one expression, `syntax · encoding · meaning · section · extension`, and nothing else states a
fact about the instruction. A meaning is a function of the machine and of the values of the operands that are read, in
the syntax's order; what it returns goes to the operands that are written, in the same order (one term, or a tuple; None
if there are none). Everything beyond its operands it reads and writes by the machine (`machine.Machine`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Final

from liftcheck.bits.term import Term
from liftcheck.errors import InternalError
from liftcheck.mach.rows.encoding import Encoding
from liftcheck.mach.rows.kinds import Kind, Value
from liftcheck.mach.rows.machine import Machine, NoMeaning
from liftcheck.mach.rows.syntax import Operand, Syntax, syntax

Meaning = Callable[..., Any]
"""(machine, values of the operands that are read …) to a term for each operand that is written."""


class _Here:
    """Of an alias: this operand is one that it names."""


HERE: Final = _Here()


@dataclass(frozen=True)
class Row:
    """One instruction.

    encoding   how it lies in memory
    meaning    what it does; None: nobody has said, and its users are told so
    section    where the manual has it
    needs      the extensions that it belongs to, all of them, separated by blanks; '' is the base
    untested   why it is not executed in tests, where that cannot be; ''
    base       of an alias: the row that it is another name of
    given      of an alias: the values of that row's operands, or HERE
    """

    syntax: Syntax
    encoding: Encoding
    meaning: Meaning | None
    section: str = ""
    needs: str = ""
    untested: str = ""
    base: Row | None = None
    given: tuple[Value, ...] = ()

    @property
    def name(self) -> str:
        """The mnemonic."""
        return self.syntax.mnemonic

    @property
    def operands(self) -> tuple[Operand, ...]:
        """Its operands, in the order of its text."""
        return self.syntax.operands

    def whole(self, values: Sequence[Value]) -> tuple[Row, tuple[Value, ...]]:
        """The row that this is a name of, and the values of that row's operands."""
        if self.base is None:
            return self, tuple(values)
        named = {operand.name: value for operand, value in zip(self.operands, values)}
        full = (named[o.name] if v is HERE else v for o, v in zip(self.base.operands, self.given))
        return self.base, tuple(full)

    def apply(self, machine: Machine, values: Sequence[Value]) -> None:
        """Does to the machine what an instruction with these operands does."""
        if self.base is not None:
            row, full = self.whole(values)
            row.apply(machine, full)
            return
        if self.meaning is None:
            raise NoMeaning(f"nobody has said what {self.name} does")
        names, read, written = self._ways
        machine.operands = dict(zip(names, values))
        result = self.meaning(machine, *[kind.read(machine, values[number]) for number, kind in read])
        results = () if result is None else (result,) if isinstance(result, Term) else result
        if len(results) != len(written):
            raise InternalError(f"{self.name} gives {len(results)} results for {len(written)} operands")
        for (number, kind), term in zip(written, results):
            kind.write(machine, values[number], term)

    @cached_property
    def _ways(self) -> tuple[tuple[str, ...], list[tuple[int, Kind]], list[tuple[int, Kind]]]:
        """The operands' names; those that are read and those that are written, by number and kind."""
        every = [*enumerate(self.operands)]
        read, written = [(n, o.kind) for n, o in every if o.reads], [(n, o.kind) for n, o in every if o.writes]
        return tuple(o.name for _, o in every), read, written


def pure(function: Callable[..., Any]) -> Meaning:
    """A meaning that asks nothing of the machine."""
    return lambda machine, *values: function(*values)


def alias(row: Row, template: str, kinds: Mapping[str, Kind], /, **fixed: Value) -> Row:
    """Another name for a row's instructions whose operands of these names have these values; the template names the
    others. It prints instead of the row, since more of its bits are fixed."""
    fields: dict[str, int] = {}
    for operand in row.operands:
        if operand.name in fixed:
            fields.update(operand.kind.encode(fixed[operand.name]))
    made = syntax(template, kinds)
    by_name = {operand.name: operand for operand in row.operands}
    made = replace(made, operands=tuple(by_name[operand.name] for operand in made.operands))
    named = {operand.name for operand in made.operands}
    if named | fixed.keys() != by_name.keys() or named & fixed.keys():
        raise InternalError(f"{template!r} does not say each operand of {row.name} once")
    given = tuple(fixed.get(operand.name, HERE) for operand in row.operands)
    return replace(
        row, syntax=made, encoding=row.encoding.fixed(fields), base=row, given=given, untested="another name"
    )
