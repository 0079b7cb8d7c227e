"""CLIF text as tokens. One token is its text: its kind follows from the first character.

The one idea: a piece of text is cut into a flat list of strings with a parallel list of line numbers, in one pass of
one regular expression; columns are found again only when an error needs one. `Cursor` walks over them: a method that
takes a token either consumes and returns, or raises `Fault` at the current token.
It differs from upstream's lexer in one way: a quoted string may not contain a line break.
Sources: cranelift-reader 0.135 `lexer.rs`, 0.130's for the older dialect.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final, NoReturn, TypeVar

from liftcheck.clif.text import literals
from liftcheck.clif.types import TYPES, Type
from liftcheck.errors import Diagnostic

_TOKEN: Final = re.compile(
    r"""(?: (?:NaN:|NaN|Inf)[-_.0-9A-Za-z]*                                     # unsigned special floats
          | [A-Za-z][A-Za-z0-9_]*                                               # words, entities, types
          | [0-9][-_.0-9A-Za-z]*                                                # unsigned numbers
          | [,=()]
          | [-+](?:s?NaN:|(?=s?NaN|Inf)|(?!->)[-+.0-9])[-_.0-9A-Za-z]*           # signed numbers
          | ->
          | %[A-Za-z0-9_]*
          | "[^"]*"
          | \#[0-9A-Fa-f]*
          | @[0-9A-Fa-f]*
          | [^\s]                                                               # punctuation, and what is invalid
        )""",
    re.VERBOSE | re.ASCII,
)
_FIND_ALL: Final = _TOKEN.findall

_Number = TypeVar("_Number")
END: Final = ""
"""The token after the last one."""


class Fault(Exception):
    """Internal to parsing: something is wrong at token `index`. Becomes a diagnostic, never leaves the parser."""

    def __init__(self, message: str, index: int) -> None:
        super().__init__(message)
        self.message = message
        self.index = index


def code_of(line: str) -> tuple[str, str | None]:
    """A line without its comment, and the comment (with its ';') or None. A ';' inside a string is not a comment."""
    start = line.find(";")
    if start < 0:
        return line, None
    if '"' in line[:start]:
        for token in _TOKEN.finditer(line):
            if token.group()[0] == ";":
                start = token.start()
                break
        else:
            return line, None
    return line[:start], line[start:]


def shown(text: str, length: int) -> str:
    """The start of a piece of input, fit for a terminal."""
    text = text[:length]
    return text if text.isprintable() else "".join(c if c.isprintable() or c == "\t" else "\ufffd" for c in text)


@dataclass(slots=True)
class Declared:
    """What a function has declared so far, where its own tables do not give an answer at once: the number after the
    highest of a kind (by prefix), the number of a pool constant by its bytes."""

    next: dict[str, int] = field(default_factory=dict)
    constants: dict[bytes, int] = field(default_factory=dict)

    def take(self, prefix: str, number: int) -> None:
        """Entity `number` of a kind now exists."""
        self.next[prefix] = max(self.next.get(prefix, 0), number + 1)


class Cursor:
    """Tokens of a run of lines, and a position in them. `line_of[i]` is the line number of token i."""

    __slots__ = ("_first", "_source", "comments", "declared", "dynamic_types", "file", "index", "line_of", "tokens",
                 "values")  # fmt: skip

    def __init__(self, source: list[str], first_line: int, file: str = "<input>") -> None:
        """`source` are lines of the file, the first of them numbered `first_line`."""
        self._source = source
        self._first = first_line
        self.file = file
        self.index = 0
        self.tokens: list[str] = []
        self.line_of: list[int] = []
        self.comments: list[tuple[int, str]] = []
        self.values: dict[str, int] = {}
        self.dynamic_types: dict[str, Type] = {}
        self.declared = Declared()
        self._fill()

    def _fill(self) -> None:
        tokens, line_of, number = self.tokens, self.line_of, self._first
        for line in self._source:
            if ";" in line:
                line, comment = code_of(line)
                if comment is not None:
                    self.comments.append((number, comment))
            found = _FIND_ALL(line)
            if found:
                tokens += found
                line_of += [number] * len(found)
            number += 1
        tokens += (END, END, END, END)
        line_of += [number - 1] * 4

    # What is there

    def line(self) -> int:
        return self.line_of[self.index]

    def fail(self, message: str, index: int | None = None) -> NoReturn:
        raise Fault(message, self.index if index is None else index)

    def found(self) -> str:
        """The current token for a message."""
        token = self.tokens[self.index]
        return f"'{shown(token, 40)}'" if token else "the end of the text"

    def diagnostic(self, fault: Fault) -> Diagnostic:
        """Where a fault is, with its line's text."""
        line = self.line_of[fault.index]
        text = self._source[line - self._first] if line - self._first < len(self._source) else ""
        return Diagnostic(
            self.file, line, self._column(fault.index, line, text), fault.message, shown(text.strip(), 200)
        )

    def _column(self, index: int, line: int, text: str) -> int:
        if self.tokens[index] == END:
            return len(text) + 1
        nth = 0
        while index - nth > 0 and self.line_of[index - nth - 1] == line:
            nth += 1
        for place, token in enumerate(_TOKEN.finditer(code_of(text)[0])):
            if place == nth:
                return token.start() + 1
        return 1

    def place_of(self, line: int, token: str, message: str) -> Diagnostic:
        """A diagnostic about the first `token` on a line (or about the line)."""
        text = self._source[line - self._first]
        match = re.search(rf"\b{re.escape(token)}\b", text) if token else None
        return Diagnostic(self.file, line, match.start() + 1 if match else 1, message, shown(text.strip(), 200))

    def column_of(self, line: int, text: str) -> int:
        """How far to the right of its line's start `text` stands."""
        return max(self._source[line - self._first].find(text), 0)

    # Taking tokens

    def take(self, token: str, where: str) -> None:
        if self.tokens[self.index] != token:
            self.fail(f"expected '{token}' {where}, found {self.found()}")
        self.index += 1

    def optional(self, token: str) -> bool:
        if self.tokens[self.index] == token:
            self.index += 1
            return True
        return False

    def value(self, what: str = "a value") -> int:
        """`v12` -> 12."""
        number = self.values.get(self.tokens[self.index])
        if number is None:
            if not self.at_value():
                self.fail(f"expected {what} (v0, v1, …), found {self.found()}")
            number = self.values[self.tokens[self.index]]
        self.index += 1
        return number

    def at_value(self) -> bool:
        """Is the current token a value? What is one is remembered in `values`."""
        token = self.tokens[self.index]
        if token in self.values:
            return True
        digits = token[1:]
        if (
            token[:1] != "v"
            or not digits.isdigit()
            or (digits[0] == "0" and digits != "0")
            or len(digits) > 10
            or int(digits) > (1 << 31) - 2
        ):
            return False
        self.values[token] = int(digits)
        return True

    @staticmethod
    def entity_number(token: str, prefix: str, limit: int = (1 << 32) - 2) -> int | None:
        """`ss3` with prefix 'ss' -> 3; None if the token is something else."""
        digits = token[len(prefix) :]
        if not token.startswith(prefix) or not digits.isdigit() or (digits[0] == "0" and len(digits) > 1):
            return None
        return int(digits) if len(digits) <= 10 and int(digits) <= limit else None

    def entity(self, prefix: str, what: str) -> int:
        """The number of an entity reference."""
        number = self.entity_number(self.tokens[self.index], prefix)
        if number is None:
            self.fail(f"expected {what}: {prefix}«n», found {self.found()}")
        self.index += 1
        return number

    def type(self, what: str) -> Type:
        ty = TYPES.get(self.tokens[self.index])
        if ty is None:
            self.fail(f"expected {what}, found {self.found()}")
        self.index += 1
        return ty

    def is_word(self) -> bool:
        """Is the current token an identifier (neither an entity nor a type)?"""
        token = self.tokens[self.index]
        return token[:1].isalpha() and token not in TYPES and not is_number(token) and not is_entity(token)

    def word(self, what: str) -> str:
        if not self.is_word():
            self.fail(f"expected {what}, found {self.found()}")
        self.index += 1
        return self.tokens[self.index - 1]

    def one_of(self, choices: Iterable[str], what: str) -> str:
        token = self.tokens[self.index]
        if token not in choices:
            self.fail(f"expected {what}, found {self.found()}")
        self.index += 1
        return token

    def number(self, read: Callable[[str], _Number], what: str) -> _Number:
        """A number read by one of the functions of `literals`."""
        token = self.tokens[self.index]
        if not is_integer(token):
            self.fail(f"expected {what}, found {self.found()}")
        return self._read(read, token)

    def float(self, bits: int, what: str) -> int:
        token = self.tokens[self.index]
        if not is_number(token) or is_integer(token):
            self.fail(f"expected {what}, found {self.found()}")
        return self._read(lambda text: literals.float_bits(text, bits), token)

    def _read(self, read: Callable[[str], _Number], token: str) -> _Number:
        try:
            value = read(token)
        except literals.BadLiteral as error:
            self.fail(str(error))
        self.index += 1
        return value

    def skip_line(self, index: int) -> None:
        """Go to the first token of the line after that of token `index`."""
        line, line_of, tokens = self.line_of[index], self.line_of, self.tokens
        self.index = max(self.index, index)
        while tokens[self.index] != END and line_of[self.index] <= line:
            self.index += 1


_ENTITY: Final = re.compile(
    r"(v|block|ss|dss|dt|gv|mt|const|fn|sig|u|userextname|extable|tag|region|ret|exn)"
    r"(0|[1-9][0-9]*)\Z"
)


def is_entity(token: str) -> bool:
    """Is the token one of the numbered entities?"""
    return _ENTITY.match(token) is not None


def is_number(token: str) -> bool:
    """Is the token a number, integer or float?"""
    first = token[:1]
    return first.isdigit() or (first in ("-", "+") and len(token) > 1 and token != "->") or token[:3] in ("NaN", "Inf")


def is_integer(token: str) -> bool:
    """Is the token a number without a radix point that is not a special float?"""
    special = "NaN:" in token or token.lstrip("+-")[:3] in ("NaN", "Inf")
    return is_number(token) and "." not in token and not special
