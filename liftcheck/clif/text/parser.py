"""CLIF text to IR, both dialects: `parse_module` for functions, `parse_filetest` for upstream's filetests.

The one idea: recursive descent without recursion over flat tokens; a file is cut at lines that begin with `function`,
which can stand nowhere else, and each function is read for itself (`function`), also where another one is wrong.
It accepts what the reader of any version from 0.95 on accepts, except for: dynamic vector types in signatures (refused
by name), reference types, vectors of more than 512 bits, strings with line breaks. What a well-formed program may say
is `verify`'s business.
Sources: cranelift-reader 0.135 and 0.130 `parser.rs`.
"""

from __future__ import annotations

import re
from typing import Final

from liftcheck.clif.ir import Module
from liftcheck.clif.text.dialects import in_one_sentence
from liftcheck.clif.text.filetest import FileTest, TestFunction, read_header
from liftcheck.clif.text.function import MAX_ERRORS, FunctionReader
from liftcheck.clif.text.lexer import END, Cursor
from liftcheck.clif.text.runlines_read import NO_BUFFERS, Buffers, read_buffers, read_run_lines
from liftcheck.errors import Diagnostic, InputError, Unsupported

LONG: Final = 2_000_000
"""Functions with more characters are first read in part: nonsense of any size is answered at once."""
_FUNCTION_LINE: Final = re.compile(r"^[ \t\r\f\v]*function\b", re.MULTILINE | re.ASCII)


def parse_module(text: str, file: str = "<input>") -> Module:
    """The functions of a text, in order. InputError with all diagnostics; Unsupported if a function is refused."""
    tests = parse_filetest(text, file).functions
    for test in tests:
        if test.function is None:
            raise Unsupported(test.refused)
    return Module([test.function for test in tests if test.function is not None])


def parse_filetest(text: str, file: str = "<input>", strict: bool = True) -> FileTest:
    """A whole filetest. `strict`: InputError if anything is wrong; otherwise the errors are in the result."""
    errors: list[Diagnostic] = []
    text = text.removeprefix("\ufeff")
    starts = [match.start() for match in _FUNCTION_LINE.finditer(text)]
    head = text[: starts[0]] if starts else text
    result = read_header(head, file, errors)
    runs = not result.commands or result.has("run") or result.has("interpret")
    buffers = read_buffers(result.comments, file, errors if runs else [])
    line = head.count("\n") + 1
    for start, end in zip(starts, [*starts[1:], len(text)]):
        if len(errors) >= MAX_ERRORS:
            errors.append(Diagnostic(file, 0, 0, f"more than {MAX_ERRORS} errors, the rest of the file was not read"))
            break
        piece = text[start:end]
        if end - start <= LONG or not _hopeless(piece, line, file, errors):
            result.functions.extend(_functions(Cursor(piece.split("\n"), line, file), errors, runs, buffers))
        line += piece.count("\n")
    result.source = text.split("\n")
    result.errors.extend(in_one_sentence(errors, result.source))
    if strict and errors:
        raise InputError(result.errors)
    return result


def _hopeless(piece: str, line: int, file: str, errors: list[Diagnostic]) -> bool:
    """Is something wrong early in a very long function? Then the errors up to there are all that is reported of it."""
    lines = piece[: LONG // 2].split("\n")
    found: list[Diagnostic] = []
    _functions(Cursor(lines, line, file), found, False)
    cut = (line + len(lines) - 1, len(lines[-1]) - 1000)
    early = [error for error in found if (error.line, error.column) < cut]
    errors.extend(early)
    return bool(early)


def _functions(
    cursor: Cursor, errors: list[Diagnostic], runs: bool, buffers: Buffers = NO_BUFFERS
) -> list[TestFunction]:
    """Every function. `runs`: the file's run lines are executed; elsewhere what looks like one is a comment, which
    upstream never reads, and nothing can be wrong with it."""
    found = []
    while cursor.tokens[cursor.index] != END and len(errors) < MAX_ERRORS:
        reader = FunctionReader(cursor, errors)
        test = reader.read()
        if test is not None:
            test.run_lines.extend(
                read_run_lines(test.annotations, test.signature, cursor, errors if runs else [], buffers)
            )
            found.append(test)
    return found
