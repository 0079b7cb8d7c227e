"""Requests to the bridge as bytes, and its replies as values. The bridge's `main.rs` and `compile.rs` state the format.

The one idea: a reply is one JSON head, decoded in C, and one run of machine code that is sliced; lists in the head are
flat, so tuples are made in C as well; tables that are seldom looked at are made when they are. A result that repeats an
earlier target's is the same object.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Collection, Sequence
from functools import cache
from typing import Any, Final

from liftcheck.case import CallSite, CompileFailure, FunctionCode, Relocation
from liftcheck.compilers.base import WANTS, Complaint, Reply
from liftcheck.compilers.cranelift import failures

NONE: Final = 0xFFFFFFFF
ALLOCATION: Final = 1 << len(WANTS)
TEXT: Final = ALLOCATION << 1
"""Wants that only a bridge with the shim for regalloc2 knows: see `capture.py`."""
_BITS: Final = {name: 1 << number for number, name in enumerate(WANTS)}
_decode: Final = json.JSONDecoder().decode
_relocation: Final = Relocation._make
_new: Final = object.__new__
_set: Final = object.__setattr__
Column = list[Reply | None]


def wants_mask(wants: Collection[str]) -> int:
    """The bits of a set of wants; KeyError for one that there is not."""
    return sum(_BITS[name] for name in set(wants))


def compile_request(
    text: str,
    handles: Sequence[int],
    wants: int,
    skip: Collection[tuple[int, int]] = (),
    only: int = NONE,
    ahead: bytes = b"",
) -> bytes:
    """`skip` are (function, target) pairs by index; `only` is the one function to compile; `ahead`: what a want in
    addition says in front of the text."""
    numbers = [wants, len(handles), *handles, len(skip)]
    for pair in skip:
        numbers += pair
    numbers.append(only)
    return b"C" + struct.pack(f"<{len(numbers)}I", *numbers) + ahead + text.encode()


def head(reply: bytes) -> tuple[dict[str, Any], int]:
    """The JSON head, and where machine code begins."""
    end = 4 + int.from_bytes(reply[:4], "little")
    return _decode(reply[4:end].decode()), end


def results(answer: dict[str, Any], reply: bytes, at: int) -> list[Column]:
    """The head of a compile reply as one list a target; None for pairs that were skipped."""
    columns: list[Column] = []
    names, rules = answer["names"], answer.get("rules")
    if rules is not None:
        rules = [*map(_from_one, rules)]
    for rows in answer["results"]:
        column: Column = []
        for name, row in zip(names, rows):
            kind = row.__class__
            if kind is list:
                end = at + row[0]
                column.append(_code(name, reply[at:end], row, rules))
                at = end
            elif kind is int:
                column.append(columns[row][len(column)])
            else:
                column.append(None if row is None else failures.sort(row))
        columns.append(column)
    return columns


class _Received(FunctionCode):
    """A function's code whose tables of traps and calls are made when they are first asked for, which for most code
    never happens."""

    __slots__ = ("_row",)
    _row: list[Any]

    def __getattr__(self, name: str) -> object:
        """Called for a field that is not set."""
        made: object
        if name == "traps":
            two = iter(self._row[3])
            made = tuple(zip(two, two))
        elif name == "calls":
            made = tuple(
                [CallSite(offset, frame, tuple(map(tuple, handlers))) for offset, frame, handlers in self._row[4]]
            )
        else:
            raise AttributeError(name)
        _set(self, name, made)
        return made


def _code(name: str, code: bytes, row: list[Any], rules: list[str] | None) -> FunctionCode:
    made = _new(_Received)
    _set(made, "name", name)
    _set(made, "code", code)
    _set(made, "alignment", row[1])
    four = iter(row[2])
    _set(made, "relocations", tuple(map(_relocation, zip(four, four, four, four))) if row[2] else ())
    _set(made, "extra", _extra(row[5], rules) if len(row) > 5 else {})
    _set(made, "_row", row)
    return made


@cache
def _from_one(rule: str) -> str:
    """A rule's name with its line as an editor counts it: the compiler of the rules counts lines from 0."""
    place, _, term = rule.partition(" ")
    file, _, line = place.rpartition(":")
    return f"{file}:{int(line) + 1} {term}" if line.isdigit() else rule


def _extra(extra: dict[str, Any], rules: list[str] | None) -> dict[str, Any]:
    if rules is not None:
        extra["rules"] = tuple(map(rules.__getitem__, extra["rules"]))
    if "srclocs" in extra:
        extra["srclocs"] = tuple(map(tuple, extra["srclocs"]))
    return extra


def complaints(answer: dict[str, Any]) -> list[Complaint]:
    """What the reader or the verifier says of a text."""
    return [Complaint(*row) for row in answer["complaints"]]


def refused_text(complaint: Complaint) -> CompileFailure:
    """A text that could not be read, as a failure of the function that it is. A panic of the reader is a finding."""
    place = complaint.place or (f"line {complaint.line}" if complaint.line else "")
    if complaint.stage == "panic":
        return CompileFailure(
            "panic", f"reader: {failures.fold(complaint.message)}", complaint.message, failures.shorten(place)
        )
    return CompileFailure("input", failures.fold(complaint.message), complaint.message, place)
