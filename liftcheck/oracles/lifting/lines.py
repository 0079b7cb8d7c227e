"""Run lines against lifted code: what the terms of a function's machine code say for a line's arguments.

The one idea: the line is met in each of several states that differ in what nobody has set (`execute.SALTS`), or the
difference says which. A line is undecided, with the reason, where the path that its inputs take is. A NaN that
arithmetic makes may have any sign and payload (`liftcheck.nan`): results of floats are compared so where the function
has such an instruction.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import NamedTuple

from liftcheck.case import FunctionCode, Outcome, Target
from liftcheck.clif.ir import Function, Module
from liftcheck.clif.text.runlines import RunLine
from liftcheck.clif.types import Type
from liftcheck.interp.run import Prepared, prepare
from liftcheck.mach.lift import lift
from liftcheck.mach.lift_memory import Undecided
from liftcheck.mach.lift_paths import Lifted
from liftcheck.nan import CREATES, canonical
from liftcheck.oracles.lifting.execute import SALTS, Result, execute
from liftcheck.oracles.lifting.frame import entry, slots
from liftcheck.oracles.lifting.program import Program, lift_program
from liftcheck.oracles.lifting.signature import Side, extended


class Verdict(NamedTuple):
    """What came of a line: 'equal', 'different', 'undecided'; `why`: the difference, or the reason."""

    kind: str
    why: str = ""


class Interpreted:
    """The functions of a module, as the interpreter runs them: `execute.Callees`."""

    def __init__(self, module: Module, big_endian: bool) -> None:
        self._module, self._big_endian = module, big_endian

    @cached_property
    def _prepared(self) -> Prepared:
        return prepare(self._module, self._big_endian)

    @cached_property
    def _numbers(self) -> dict[int, int]:
        names = [function.name for function in self._module.functions]
        return {self.address_of(name): number for number, name in enumerate(names)}

    def address_of(self, name: str) -> int:
        return self._prepared.address_of(name)

    def call(self, address: int, args: Sequence[int], regions: Mapping[int, bytes]) -> Outcome:
        number = self._numbers.get(address)
        if number is None:
            raise Undecided("a call of what the file does not have")
        return self._prepared.run(number, args, regions)


def sides(target: Target, function: Function, code: FunctionCode | None) -> tuple[Side, Lifted]:
    """A function's code as terms, or, without code, its program; `Undecided` if where its values are is not known."""
    if code is None:
        return Program(function.signature), lift_program(target, function)
    entered = entry(target, function, slots(target, function, code))
    return entered, lift(target.isa, code, entered.entry)


class Judge:
    """One function's machine code, lifted, or without code the program itself; its calls are of the functions of
    `module`."""

    def __init__(
        self, target: Target, function: Function, code: FunctionCode | None, module: Module | None = None
    ) -> None:
        self.function = function
        self._callees = None if module is None else Interpreted(module, target.big_endian)
        self.reason = ""
        self.side: Side | None = None
        self.lifted: Lifted | None = None
        try:
            self.side, self.lifted = sides(target, function, code)
        except Undecided as reason:
            self.reason = str(reason)
        self._open = any(inst.op in CREATES for block in function.blocks for inst in block.insts)

    def line(self, line: RunLine) -> Verdict:
        """A line that is `at` its data region."""
        if self.side is None or self.lifted is None:
            return Verdict("undecided", self.reason)
        undecided = ""
        for salt in SALTS:
            try:
                result = execute(self.lifted, self.side, line.args, line.regions(), salt, self._callees)
            except Undecided as reason:
                result = Result("undecided", (), str(reason))
            if result.kind == "undecided":
                undecided = result.detail
            elif wrong := self._wrong(line, result):
                return Verdict("different", f"{wrong} in state {salt}")
        return Verdict("undecided", undecided) if undecided else Verdict("equal")

    def _wrong(self, line: RunLine, result: Result) -> str:
        if result.kind not in ("returned", "trapped"):
            return result.detail or f"{result.kind} of the paths is taken"
        values = self._values(line, result)
        if values is None:
            return f"{result.values}: no values of the signature's types"
        if self._open and line.comparison == "==" and result.kind == "returned" and not line.trap:
            values = tuple(map(_as_expected, values, line.expected, line.result_types))
        if line.is_met(result.kind, values, result.detail, _region(line, result)):
            return ""
        return f"{result.kind} {result.detail or list(values)}, {line.expectation()} expected"

    def _values(self, line: RunLine, result: Result) -> tuple[int, ...] | None:
        """Values of the signature's types; None if an extension is wrong, or a value has no meaning."""
        if self.side is None or result.kind != "returned":
            return ()
        found = []
        for number, value in zip(result.values, self.side.signature.returns, strict=True):
            if number is None:
                return None
            narrow = number & (1 << value.type.bits) - 1
            if number != narrow and number != extended(narrow, value.type.bits, value.extension):
                return None
            found.append(narrow)
        if [*self.side.expected(found)] != [*result.values]:
            return None
        return tuple(found)


def _as_expected(value: int, expected: int, ty: Type) -> int:
    """The expected value where that differs in NaNs' bits alone."""
    return expected if ty.is_float and canonical(value, ty) == canonical(expected, ty) else value


def _region(line: RunLine, result: Result) -> bytes:
    """The data region after a run."""
    regions = line.regions()
    if not regions:
        return b""
    ((base, content),) = regions.items()
    after = bytearray(content)
    for address, byte in result.changed.items():
        if 0 <= address - base < len(after):
            after[address - base] = byte
    return bytes(after)
