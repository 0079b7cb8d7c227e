"""Assembler text of several lines, with labels, to bytes.

The one idea: a label is a name for a distance. Each line is assembled twice: with distance zero for its size, and
with the distance once all sizes are known; so a line whose size depends on the distance is written in its long form.
`name:` alone on a line is a label; `#` before a blank begins a comment. There are no directives.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from liftcheck.errors import AssemblyError
from liftcheck.mach.rows.table import Decoded, Table

_LABEL: Final = re.compile(r"\s*([A-Za-z_.]\w*):\s*")
_COMMENT: Final = re.compile(r"#(?=\s|$).*")
_WORD: Final = re.compile(r"[A-Za-z_]\w*")


def assemble(table: Table, text: str, labels: Mapping[str, int] | None = None) -> list[tuple[int, Decoded]]:
    """(offset, instruction) of each line. `labels`: offsets of labels that the text does not have itself. AssemblyError
    names the line."""
    lines = [(number, _COMMENT.sub("", line).strip()) for number, line in enumerate(text.splitlines(), 1)]
    lines = [(number, line) for number, line in lines if line]
    known = dict.fromkeys((found[1] for _, line in lines if (found := _LABEL.fullmatch(line))), 0) | dict(labels or {})
    sizes = dict(known)
    placed = _pass(table, lines, dict.fromkeys(known, 0), sizes, sized=True)
    return _pass(table, lines, sizes, dict(sizes), sized=False) if sizes else placed


def _pass(
    table: Table, lines: list[tuple[int, str]], known: Mapping[str, int], found: dict[str, int], sized: bool
) -> list[tuple[int, Decoded]]:
    at, placed = 0, []
    for number, line in lines:
        label = _LABEL.fullmatch(line)
        if label:
            found[label[1]] = at
            continue
        try:
            one = table.assemble(_resolved(line, known, 0 if sized else at))
        except AssemblyError as error:
            raise AssemblyError(f"line {number}: {error}") from error
        placed.append((at, one))
        at += one.size
    return placed


def _resolved(line: str, known: Mapping[str, int], here: int) -> str:
    """A line with distances for labels; a mnemonic may be called like one."""
    name, _, rest = line.partition(" ")
    return f"{name} {_WORD.sub(lambda found: _distance(found[0], known, here), rest)}"


def _distance(word: str, known: Mapping[str, int], here: int) -> str:
    if word not in known:
        return word
    distance = known[word] - here
    return f". {'-' if distance < 0 else '+'} {abs(distance)}"


def bytes_of(placed: list[tuple[int, Decoded]]) -> bytes:
    """The code."""
    return b"".join(one.data for _, one in placed)
