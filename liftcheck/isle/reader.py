"""ISLE text as trees that know where they stand.

The one idea: an atom is a string with a place, a form is a list with a place; so whoever finds something wrong says
where, and nobody carries places about.
Source: `cranelift/isle/docs/language-reference.md` (comments, atoms, `@`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final

from liftcheck.errors import Diagnostic, InputError

_TOKEN: Final = re.compile(
    r"(?P<blank>\s+|;[^\n]*)|(?P<open>\()|(?P<close>\))|(?P<at>@)|(?P<atom>[^\s()@;\"]+)|(?P<text>\"[^\"\n]*\")"
)


class Source:
    """A text and its name."""

    __slots__ = ("lines", "name", "text")

    def __init__(self, name: str, text: str) -> None:
        self.name: Final = name
        self.text: Final = text
        self.lines: Final = text.split("\n")

    def complaint(self, line: int, column: int, message: str) -> Diagnostic:
        """What is wrong at a place."""
        shown = self.lines[line - 1].strip() if 0 < line <= len(self.lines) else ""
        return Diagnostic(self.name, line, column, message, shown)


class Atom(str):
    """A name, a number, or '@'."""

    __slots__ = ("column", "line", "source")
    source: Source
    line: int
    column: int


class Form(list["Tree"]):
    """What stands between parentheses."""

    __slots__ = ("column", "line", "source")

    def __init__(self, items: Iterable[Tree], source: Source, line: int, column: int) -> None:
        super().__init__(items)
        self.source: Final = source
        self.line: Final = line
        self.column: Final = column


Tree = Atom | Form


def complaint(where: Tree, message: str) -> Diagnostic:
    """What is wrong there."""
    return where.source.complaint(where.line, where.column, message)


def wrong(where: Tree, message: str) -> InputError:
    """The same as an exception."""
    return InputError([complaint(where, message)])


def atom(text: str, like: Tree) -> Atom:
    """An atom that stands where `like` does."""
    made = Atom(text)
    made.source, made.line, made.column = like.source, like.line, like.column
    return made


def read(source: Source) -> list[Form]:
    """All forms of a text; InputError for what is none."""
    stack: list[Form] = []
    found: list[Form] = []
    for kind, text, line, column in _tokens(source):
        if kind == "open":
            stack.append(Form((), source, line, column))
        elif not stack:
            raise InputError([source.complaint(line, column, f"a form begins with '(', not with {text!r}")])
        elif kind == "close":
            done = stack.pop()
            (stack[-1] if stack else found).append(done)
        else:
            made = Atom(text)
            made.source, made.line, made.column = source, line, column
            stack[-1].append(made)
    if stack:
        raise wrong(stack[-1], "this parenthesis is never closed")
    return found


def _tokens(source: Source) -> Iterator[tuple[str, str, int, int]]:
    at, line, start = 0, 1, 0
    text = source.text
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise InputError([source.complaint(line, at - start + 1, f"{text[at]!r} begins nothing")])
        kind = match.lastgroup or ""
        if kind != "blank":
            yield kind, match[0], line, at - start + 1
        breaks = match[0].count("\n")
        if breaks:
            line += breaks
            start = match.start() + match[0].rindex("\n") + 1
        at = match.end()
