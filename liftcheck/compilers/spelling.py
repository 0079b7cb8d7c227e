"""How the functions of a file are written for one compiler: as the user wrote them, or translated if it reads no such.

The one idea: the compiler's own reader decides. What it takes goes to it letter for letter, every hint included; a
function that it refuses is tried in forms that say the same with ever fewer new or old words, and the first form that
is read stands for it. So every command takes every dialect that liftcheck's own reader takes, whatever the version
under test, and no table of versions has to be kept. Each line of the text knows its line in the file, so listings and
messages point at what the user wrote; what was translated is said in `notes`.
It runs nothing; what no form of is read goes out as written, and the compiler's own refusal is the answer.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final, NamedTuple

from liftcheck.case import CompileFailure
from liftcheck.clif.ir import Function
from liftcheck.clif.text.filetest import FileTest, with_call_conv
from liftcheck.clif.text.portable import modern, without_old_regions
from liftcheck.clif.text.printer import print_function
from liftcheck.compilers.base import Compiler, Complaint, Reply
from liftcheck.compilers.cranelift.client import Cranelift

_PLACE: Final = re.compile(r"line ([0-9]+)\Z")


_NOTES: Final = 4


class Piece(NamedTuple):
    """One function. `lines`: the file's line of each line of the text, 0 if it has none; `note`: what was changed."""

    text: str
    lines: tuple[int, ...]
    note: str = ""


@dataclass(frozen=True)
class Spelling:
    """Functions of a file in the order asked for, as one text of a header (a line or nothing) and the pieces."""

    header: str
    pieces: tuple[Piece, ...]

    @property
    def text(self) -> str:
        return self.header + "\n".join(piece.text for piece in self.pieces)

    @cached_property
    def lines(self) -> tuple[int, ...]:
        """The file's line of each line of the text."""
        return (*([0] * self.header.count("\n")), *(line for piece in self.pieces for line in piece.lines))

    @property
    def notes(self) -> list[str]:
        """What was changed; of many functions the first ones."""
        found = [piece.note for piece in self.pieces if piece.note]
        if len(found) <= _NOTES:
            return found
        return [*found[: _NOTES - 1], f"so are {len(found) - _NOTES + 1} more functions"]

    def only(self, place: int) -> str:
        """The text of one function alone."""
        return self.header + self.pieces[place].text

    def line(self, number: int) -> int:
        """The file's line of a line of the text, 0 if there is none."""
        return self.lines[number - 1] if 0 < number <= len(self.lines) else 0

    def located(self, reply: Reply) -> Reply:
        """A failure whose place is a line of the text, with the file's line."""
        if not isinstance(reply, CompileFailure) or (found := _PLACE.match(reply.place)) is None:
            return reply
        line = self.line(int(found[1]))
        return replace(reply, place=f"line {line}" if line else "")


def spell(compiler: Compiler, test: FileTest, numbers: Sequence[int] | None = None) -> Spelling:
    """The functions `numbers` of a file (default: those that liftcheck reads) for a compiler."""
    chosen = test.readable() if numbers is None else numbers
    header = "test run\n" if test.has("run") else ""
    written = [_written(test, number) for number in chosen]
    whole = Spelling(header, tuple(written))
    if not isinstance(compiler, Cranelift):
        return Spelling(header, tuple(_portable(test, number, piece) for number, piece in zip(chosen, written)))
    if _refusal(compiler, whole.text) is None:
        return whole
    return Spelling(
        header, tuple(_spelled(compiler, header, test, number, piece) for number, piece in zip(chosen, written))
    )


def _written(test: FileTest, number: int) -> Piece:
    """A function as it stands in the file, with the comments after it. One that shares its first line with another
    cannot be cut out: it becomes what no reader takes, and so is translated."""
    functions = test.functions
    first = functions[number].line
    following = functions[number + 1].line if number + 1 < len(functions) else len(test.source) + 1
    if following == first or (number and functions[number - 1].line == first):
        return Piece("function\n", (first, 0))
    return Piece("\n".join(test.source[first - 1 : following - 1]), tuple(range(first, following)))


def _refusal(compiler: Cranelift, text: str) -> Complaint | None:
    """What the compiler's reader has against a text; what its verifier says is not a question of spelling."""
    return next((complaint for complaint in compiler.verify_text(text) if complaint.stage in ("read", "panic")), None)


def _spelled(compiler: Cranelift, header: str, test: FileTest, number: int, written: Piece) -> Piece:
    """The first form of a function that the compiler reads; as written if it reads none."""
    refusal = _refusal(compiler, header + written.text)
    function = test.functions[number].function
    if refusal is None or function is None:
        return written
    line = Spelling(header, (written,)).line(refusal.line)
    note = f"{function.name} is translated for {compiler.name}, which does not read line {line}: {refusal.message}"
    for form in _forms(with_call_conv(function, test.default_call_conv)):
        if _refusal(compiler, header + form.text) is None:
            return form._replace(note=note)
    return written


def _portable(test: FileTest, number: int, written: Piece) -> Piece:
    function = test.functions[number].function
    if function is None:
        return written
    return list(_forms(with_call_conv(function, test.default_call_conv)))[-1]


_FORMS: Final[tuple[tuple[str, Callable[[Function], Function]], ...]] = (
    ("exact", modern),
    ("exact", lambda function: without_old_regions(modern(function))),
    ("portable", modern),
)
"""Dialect and transformation, from the form that keeps most of what was there to the one that every version reads."""


def _forms(function: Function) -> Iterator[Piece]:
    function = replace(function, aliases={})  # the operands are resolved
    for dialect, transform in _FORMS:
        changed = transform(function)
        text = print_function(changed, dialect)
        yield Piece(text, _lines_of(changed, text))


def _lines_of(function: Function, text: str) -> tuple[int, ...]:
    """The file's lines of a printed function: declarations, one line each, then blocks, then what closes it."""
    body = [line for block in function.blocks for line in (block.line, *(inst.line for inst in block.insts))]
    end = text.split("\n")[-2:]
    declared = text.count("\n") + 1 - len(body) - len(end)
    return (function.line, *([0] * (declared - 1)), *body, *([0] * len(end)))
