"""The calls that `interpret` and `run` make: a file's run lines, or one call from the command line.

The one idea: `--args` is read by the reader of run lines, typed by the function's signature, so there is one notation
for values. A `Program` is a file with its calls; a call's `function` is a number in the module. It runs nothing.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, replace

from liftcheck.case import Outcome
from liftcheck.clif.ir import Module
from liftcheck.clif.text.filetest import FileTest, TestFunction
from liftcheck.clif.text.lexer import Cursor
from liftcheck.clif.text.parser import parse_filetest
from liftcheck.clif.text.runlines import EXTENSION, RunLine
from liftcheck.clif.text.runlines_read import read_buffers, read_run_lines
from liftcheck.clif.verify import verify
from liftcheck.commands import output
from liftcheck.commands.options import near_miss
from liftcheck.errors import Diagnostic, InputError, UsageError


@dataclass(frozen=True, slots=True)
class Call:
    """One call: function number `function` of the module, which is called `name`."""

    function: int
    name: str
    line: RunLine

    def text(self) -> str:
        """`%f(1, 2)`, as a run line has it."""
        return f"{self.name}({self.line.args_text()})"

    def at(self, slot: int, big_endian: bool) -> Call:
        """The call in data region `slot` of a machine of this byte order (see `RunLine.at`)."""
        return self if self.line.memory is None else replace(self, line=self.line.at(slot, big_endian))

    def expectation(self) -> str:
        """`== 3` if the run line expects something, else ''."""
        return self.line.expectation()

    def outcome_text(self, outcome: Outcome) -> str:
        """`3`, `[1, 2]`, `trap int_divz`, `out_of_fuel`; with what memory holds where the line asks for it."""
        text = f"{'trap' if outcome.kind == 'trapped' else outcome.kind} {outcome.detail}".rstrip()
        if outcome.kind == "returned":
            text = _joined(self.line.results_text(outcome.values))
        return ", ".join([text, *self.line.found_text(outcome.memory)])

    def outcome_json(self, outcome: Outcome) -> dict[str, object]:
        """An outcome in a JSON document: values as CLIF text, since JSON's readers lose large integers; `memory` if the
        line speaks of it."""
        return {
            "kind": outcome.kind,
            "detail": outcome.detail,
            "values": self.line.results_text(outcome.values) if outcome.kind == "returned" else [],
            **({"memory": self.line.found_text(outcome.memory)} if self.line.memory else {}),
        }


@dataclass(frozen=True, slots=True)
class Program:
    """A file that was read. `source` are its lines."""

    file: str
    source: tuple[str, ...]
    test: FileTest
    module: Module
    calls: tuple[Call, ...]


def _joined(texts: Sequence[str]) -> str:
    """Results: one as it stands, several in brackets, none as `()`."""
    if not texts:
        return "()"
    return texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]"


def read_program(args: argparse.Namespace) -> Program:
    """The file and the calls that a command line asks for; InputError or UsageError says what is wrong."""
    program = read_file(args.file)
    if args.function is None and args.args:
        raise UsageError("--args needs --function: which function are they for?")
    calls = _all_calls(program.test) if args.function is None else [_one_call(program.test, args.function, args.args)]
    if not calls:
        names = ", ".join(test.name for test in program.test.functions if test.function)
        raise UsageError(
            f"{program.file} has no run lines (`; run: %f(1) == 2`); choose a function: "
            f"--function NAME [--args VALUES] (there are: {names})"
        )
    return Program(program.file, program.source, program.test, program.module, tuple(calls))


def read_file(path: str) -> Program:
    """A well-formed file with at least one function, without calls."""
    text = output.read_text(path)
    name = "<stdin>" if path == "-" else path
    test = parse_filetest(text, name)
    if not any(function.function for function in test.functions):
        refused = [f"{function.name}: {function.refused}" for function in test.functions if function.refused]
        raise InputError([Diagnostic(name, 0, 0, "; ".join(refused) or "there is no function in this file")])
    source, module = text.split("\n"), test.module()
    wrong = [
        replace(found, source=source[found.line - 1].strip() if 0 < found.line <= len(source) else "")
        for found in verify(module, file=name)
    ]
    if wrong:
        raise InputError(wrong)
    return Program(name, tuple(source), test, module, ())


def _readable(test: FileTest) -> list[TestFunction]:
    """Functions in the order of the module, which leaves out those that were refused."""
    return [function for function in test.functions if function.function]


def _all_calls(test: FileTest) -> list[Call]:
    return [
        Call(number, function.name, line)
        for number, function in enumerate(_readable(test))
        for line in function.run_lines
    ]


def _one_call(test: FileTest, name: str, values: str) -> Call:
    wanted = name if name.startswith(("%", "u")) else f"%{name}"
    functions = _readable(test)
    for number, function in enumerate(functions):
        if function.name == wanted:
            return Call(number, wanted, _parse_call(test, function, values))
    names = [function.name for function in functions]
    raise UsageError(f"no function '{wanted}'{near_miss(wanted, names)} (there are: {', '.join(names)})")


def _parse_call(test: FileTest, function: TestFunction, values: str) -> RunLine:
    """Reads the values of `--args` by the function's signature."""
    text = f"; {EXTENSION}: print: %call({values})"
    errors: list[Diagnostic] = []
    buffers = read_buffers([*test.comments, *function.annotations], test.file, [])
    lines = read_run_lines([(1, text)], function.signature, Cursor([text], 1, "--args"), errors, buffers)
    if errors or len(lines) != 1 or "\n" in values:
        kinds = ", ".join(param.type.name for param in function.signature.params)
        message = errors[0].message if errors else "one call is wanted"
        raise UsageError(f"--args '{values}': {message} ({function.name} takes: {kinds or 'nothing'})")
    return lines[0]
