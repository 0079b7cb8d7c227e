"""Run lines: `; run: %f(1, 0x1.0) == [2, -3]`, `; print: %f(7)`, typed by the signature of the function they follow.

The one idea: every value becomes the unsigned integer of its type's width that the interpreter and the runners use.
Whose function is meant: upstream runs the function that the comment belongs to, whatever name the line says.
One form is liftcheck's own, which upstream's reader refuses: `== trap int_divz` (`== trap`: any code; `traps int_divz`
means the same) expects a trap. Upstream has wished for such lines since 2022 (wasmtime #4781).
Sources: cranelift-reader 0.135 `parse_run_command` and what it calls.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from liftcheck.clif import literals
from liftcheck.clif.formats import TRAP_CODES, trap_code
from liftcheck.clif.ir import Signature
from liftcheck.clif.lexer import END, Cursor, Fault
from liftcheck.clif.parser_operands import constant_data
from liftcheck.clif.types import TYPES, Type
from liftcheck.errors import Diagnostic

ANY_TRAP: Final = "any"


@dataclass(frozen=True, slots=True)
class RunLine:
    """One run line.

    function    the name that the line says ('%f'), '' if it says none
    comparison  '==', '!=', or 'print' (expects nothing)
    args, expected   unsigned values in signature order; a line without invocation (`; run`) expects != 0
    types       of the arguments and of the results
    trap        the code of the trap that is compared instead of results, `ANY_TRAP`, or ''
    """

    function: str
    args: tuple[int, ...]
    comparison: str
    expected: tuple[int, ...]
    line: int
    arg_types: tuple[Type, ...] = ()
    result_types: tuple[Type, ...] = ()
    trap: str = ""

    def is_met(self, kind: str, values: tuple[int, ...], detail: str) -> bool:
        """Whether an outcome ('returned' with these values, 'trapped' with this code) is as the line expects; a `print`
        line expects a return, `!= trap int_divz` any return or trap but this one."""
        if self.comparison == "print":
            return kind == "returned"
        if self.trap:
            return kind in ("returned", "trapped") and self._is_its_trap(kind, detail) == (self.comparison == "==")
        return kind == "returned" and (values == self.expected) == (self.comparison == "==")

    def _is_its_trap(self, kind: str, detail: str) -> bool:
        return kind == "trapped" and self.trap in (detail, ANY_TRAP)

    def expectation(self) -> str:
        """`== 3`, `== [1, 2]`, `== trap int_divz`; '' for a line that expects nothing."""
        if self.comparison == "print":
            return ""
        if self.trap:
            return f"{self.comparison} trap {self.trap}".removesuffix(f" {ANY_TRAP}")
        results = ", ".join(map(data_text, self.expected, self.result_types))
        return f"{self.comparison} {results if len(self.result_types) == 1 else f'[{results}]'}"


def read_run_lines(comments: Iterable[tuple[int, str]], signature: Signature, cursor: Cursor,
                   errors: list[Diagnostic]) -> list[RunLine]:
    """The run lines among a function's comments; what is wrong goes to `errors`."""
    found = []
    for number, text in comments:
        body = text.lstrip("; ")
        if body.startswith(("run", "print")):
            p = Cursor([" " * cursor.column_of(number, body) + body], number, cursor.file)
            if p.tokens[0] in ("run", "print"):
                try:
                    found.append(_run_line(p, signature, number))
                except Fault as fault:
                    errors.append(p.diagnostic(fault))
    return found


def _run_line(p: Cursor, signature: Signature, line: int) -> RunLine:
    params, returns = (tuple(x.type for x in side) for side in (signature.params, signature.returns))
    command = p.word("a command")
    if not p.optional(":"):
        return _implicit(p, command, params, returns, line)
    name = p.tokens[p.index]
    if name[:1] != "%":
        p.fail(f"expected a function's name (%f), found {p.found()}")
    p.index += 1
    p.take("(", "before the arguments")
    args = _data_values(p, params)
    p.take(")", "after the arguments")
    if command == "print":
        return RunLine(name, args, "print", (), line, params, returns)
    if p.optional("traps"):
        return RunLine(name, args, "==", (), line, params, returns, _trap(p))
    comparison = _comparison(p)
    if p.optional("trap"):
        return RunLine(name, args, comparison, (), line, params, returns, _trap(p))
    if len(returns) != 1:
        p.take("[", "before the results")
    expected = _data_values(p, returns)
    if len(returns) != 1:
        p.take("]", "after the results")
    return RunLine(name, args, comparison, expected, line, params, returns)


def _implicit(p: Cursor, command: str, params: tuple[Type, ...], returns: tuple[Type, ...], line: int) -> RunLine:
    """`; run` alone: a function without parameters whose one integer result must not be 0; `; print` alone."""
    if params or (command == "run" and not (len(returns) == 1 and returns[0].is_int and not returns[0].is_vector)):
        p.fail(f"'{command}' without a call needs a function without parameters"
               + (" and with one integer result" if command == "run" else ""))
    return RunLine("", (), "!=" if command == "run" else "print", (0,) if command == "run" else (), line, (), returns)


def _comparison(p: Cursor) -> str:
    for first, text in (("=", "=="), ("!", "!=")):
        if p.optional(first):
            p.take("=", "in the comparison")
            return text
    return p.fail(f"expected '==' or '!=', found {p.found()}")


def _trap(p: Cursor) -> str:
    """The code after `trap`, or any if the line ends there."""
    if p.tokens[p.index] == END:
        return ANY_TRAP
    code = trap_code(p.tokens[p.index])
    if not code:
        p.fail(f"expected a trap code ({', '.join(TRAP_CODES)}, user1 to user250), found {p.found()}")
    p.index += 1
    return code


def _data_values(p: Cursor, types: tuple[Type, ...]) -> tuple[int, ...]:
    found = []
    for place, kind in enumerate(types):
        if place:
            p.take(",", "between values")
        found.append(data_value(p, kind))
    return tuple(found)


def data_value(p: Cursor, kind: Type) -> int:
    """One value of a type: an integer, a float, or a vector as `0x…` or `[1 2 3 4]`."""
    if kind.is_vector:
        if kind.bits > 128:
            p.fail("vectors larger than 128 bits are not supported in run lines")
        return int.from_bytes(constant_data(p, kind), "little")
    if kind.is_float:
        return p.float(kind.bits, f"a value of type {kind.name}")
    if kind is TYPES["i64"]:
        return p.number(literals.imm64, "a value of type i64") & kind.mask
    return p.number(lambda text: literals.immediate(text, kind.bits), f"a value of type {kind.name}")


def data_text(value: int, kind: Type) -> str:
    """The inverse of `data_value`: signed decimals, hexadecimal floats, vectors as lists of lanes."""
    if kind.is_vector and kind.lane_bits == 128:
        return f"0x{value:0{kind.bytes * 2}x}"
    if kind.is_vector:
        lanes = (value >> (i * kind.lane_bits) & kind.lane_mask for i in range(kind.lanes))
        return "[" + " ".join(data_text(lane, kind.lane) for lane in lanes) + "]"
    if kind.is_float:
        return literals.float_text(value, kind.bits)
    return str(value - (1 << kind.bits) if value >> (kind.bits - 1) else value)


def run_line_text(line: RunLine) -> str:
    """The comment that reads back as this run line."""
    args = ", ".join(map(data_text, line.args, line.arg_types))
    if line.comparison == "print":
        return f"; print: {line.function}({args})"
    return f"; run: {line.function}({args}) {line.expectation()}"
