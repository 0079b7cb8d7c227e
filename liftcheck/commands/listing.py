"""A listing of compiled code for people: bytes, instruction, the CLIF line they come from, relocations, traps, calls.

The one idea: what the compiler says of offsets (lines, relocations, traps, calls) is put beside the disassembly. It
judges nothing and knows no CLIF beyond line numbers.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from liftcheck.case import FunctionCode
from liftcheck.mach.disassembly import disassembly


@dataclass(frozen=True, slots=True)
class Row:
    """One instruction, or bytes that are not one (`text` begins with a dot). `line` is the CLIF line, 0 if unknown."""

    offset: int
    code: bytes
    text: str
    line: int = 0
    notes: tuple[str, ...] = ()


def rows(function: FunctionCode, isa: str, lines: Sequence[tuple[int, int, int]] = ()) -> list[Row]:
    """The listing of a function; `lines` are (start, end, CLIF line)."""
    notes, line_at = _notes(function), _line_finder(lines)
    return [
        Row(offset, code, text, line_at(offset), _notes_in(notes, offset, len(code)))
        for offset, code, text in disassembly(isa, function.code)
    ]


def _notes(function: FunctionCode) -> dict[int, list[str]]:
    """What the compiler says of an offset: relocations, traps, call sites (whose offset is the return address)."""
    found: dict[int, list[str]] = {}
    for relocation in function.relocations:
        addend = f"{relocation.addend:+#x}" if relocation.addend else ""
        found.setdefault(relocation.offset, []).append(f"{relocation.kind} {relocation.name}{addend}")
    for offset, code in function.traps:
        found.setdefault(offset, []).append(f"trap {code}")
    for call in function.calls:
        handlers = f" with {len(call.handlers)} handlers" if call.handlers else ""
        found.setdefault(call.offset - 1, []).append(f"call returns at {call.offset:#x}{handlers}")
    return found


def _notes_in(notes: Mapping[int, list[str]], offset: int, size: int) -> tuple[str, ...]:
    """Notes of any byte of an instruction: s390x's trap table names the last byte."""
    return tuple(note for at in range(offset, offset + size) for note in notes.get(at, ()))


def _line_finder(lines: Sequence[tuple[int, int, int]]) -> Callable[[int], int]:
    """The CLIF line of an offset, for offsets that are asked for in any order. Ranges do not overlap."""
    ordered = sorted(lines)
    starts = [start for start, _, _ in ordered]

    def line_at(offset: int) -> int:
        place = bisect_right(starts, offset) - 1
        return ordered[place][2] if place >= 0 and offset < ordered[place][1] else 0

    return line_at


def as_text(function: FunctionCode, listed: Sequence[Row], source: Sequence[str]) -> str:
    """The listing as text: a line of CLIF stands above the instructions that come from it."""
    out = [f"{function.name}: {len(function.code)} bytes, aligned to {function.alignment}"]
    previous = -1
    for row in listed:
        if row.line != previous and row.line:
            text = source[row.line - 1].strip() if row.line <= len(source) else ""
            out.append(f"  ; {row.line}: {text}")
        elif row.line != previous:
            out.append("  ; (no CLIF line)")
        previous = row.line
        notes = f"  ; {', '.join(row.notes)}" if row.notes else ""
        out.append(f"  {row.offset:6x}:  {row.code.hex():<16}  {row.text}{notes}")
    return "\n".join(out)


def as_json(row: Row) -> dict[str, object]:
    """One row of `compile --json`."""
    return {
        "offset": row.offset,
        "bytes": row.code.hex(),
        "text": row.text,
        "line": row.line or None,
        "notes": list(row.notes),
    }
