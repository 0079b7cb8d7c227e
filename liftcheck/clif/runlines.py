"""Run lines: `; run: %f(1, 0x1.0) == [2, -3]`, `; print: %f(7)`, typed by the signature of the function they follow.

The one idea: every value becomes the unsigned integer of its type's width that the interpreter and the runners use.
Whose function is meant: upstream runs the function that the comment belongs to, whatever name the line says.
Sources: cranelift-reader 0.135 `parse_run_command` and what it calls.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from liftcheck.clif import literals
from liftcheck.clif.ir import Signature
from liftcheck.clif.lexer import Cursor, Fault
from liftcheck.clif.parser_operands import constant_data
from liftcheck.clif.types import TYPES, Type
from liftcheck.errors import Diagnostic


@dataclass(frozen=True, slots=True)
class RunLine:
    """One run line.

    function    the name that the line says ('%f'), '' if it says none
    comparison  '==', '!=', or 'print' (expects nothing)
    args, expected   unsigned values in signature order; a line without invocation (`; run`) expects != 0
    types       of the arguments and of the results
    """

    function: str
    args: tuple[int, ...]
    comparison: str
    expected: tuple[int, ...]
    line: int
    arg_types: tuple[Type, ...] = ()
    result_types: tuple[Type, ...] = ()


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
    comparison = _comparison(p)
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
    results = ", ".join(map(data_text, line.expected, line.result_types))
    if len(line.result_types) != 1:
        results = f"[{results}]"
    return f"; run: {line.function}({args}) {line.comparison} {results}"
