"""A listing of compiled code for people: bytes, instruction, the CLIF line they come from, relocations, traps, calls.

The one idea: walk the code with Capstone from the start; where it cannot decode (constants and jump tables lie inside a
function's bytes; some extensions are newer than Capstone), the next unit of bytes is shown as data and the walk goes on
at the ISA's alignment. It judges nothing and knows no CLIF beyond line numbers.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from liftcheck.case import FunctionCode

_UNIT: Final = {"x86-64": 1, "aarch64": 4, "riscv64": 2, "s390x": 2}
"""Bytes by which instructions are aligned."""
_PIECE: Final = 2048
"""So many bytes are decoded at once: Capstone starts anew behind what it does not know, which may be often."""
_LONGEST: Final = 16
"""No instruction is longer, so each that begins in a piece is seen whole."""


@dataclass(frozen=True, slots=True)
class Row:
    """One instruction, or bytes that are none (`text` begins with a dot). `line` is the CLIF line, 0 if unknown."""

    offset: int
    code: bytes
    text: str
    line: int = 0
    notes: tuple[str, ...] = ()


def rows(function: FunctionCode, isa: str, lines: Sequence[tuple[int, int, int]] = ()) -> list[Row]:
    """The listing of a function; `lines` are (start, end, CLIF line)."""
    notes, line_at = _notes(function), _line_finder(lines)
    return [Row(offset, code, text, line_at(offset), _notes_in(notes, offset, len(code)))
            for offset, code, text in decode(function.code, isa)]


def decode(code: bytes, isa: str) -> Iterator[tuple[int, bytes, str]]:
    """(offset, bytes, text) of all of `code`, in order, nothing left out."""
    at, unit = 0, _UNIT[isa]
    while at < len(code):
        start = at
        for address, size, mnemonic, operands in _engine(isa).disasm_lite(code[at:at + _PIECE + _LONGEST], at):
            if address >= start + _PIECE:
                break
            yield address, code[address:address + size], f"{mnemonic} {operands}".strip()
            at = address + size
        if at == start:
            data = code[at:at + _data_size(code, at, isa, unit)]
            yield at, data, f".{'byte' if unit == 1 else 'inst'} 0x{data.hex()}"
            at += len(data)


def _data_size(code: bytes, at: int, isa: str, unit: int) -> int:
    """Bytes of an instruction that Capstone does not know, by the ISA's own length encoding."""
    if isa == "riscv64":
        return 4 if code[at] & 3 == 3 else 2
    if isa == "s390x":
        return (2, 4, 4, 6)[code[at] >> 6]
    return unit


@cache
def _engine(isa: str) -> Any:
    """Capstone for an ISA."""
    import capstone

    arch, mode = {
        "x86-64": (capstone.CS_ARCH_X86, capstone.CS_MODE_64),
        "aarch64": (capstone.CS_ARCH_ARM64, capstone.CS_MODE_ARM),
        "riscv64": (capstone.CS_ARCH_RISCV, capstone.CS_MODE_RISCV64 | capstone.CS_MODE_RISCVC),
        "s390x": (capstone.CS_ARCH_SYSZ, capstone.CS_MODE_BIG_ENDIAN),
    }[isa]
    return capstone.Cs(arch, mode)


def _notes(function: FunctionCode) -> dict[int, list[str]]:
    """What the compiler says of an offset: relocations, traps, call sites (whose offset is that behind the call)."""
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
    return {"offset": row.offset, "bytes": row.code.hex(), "text": row.text, "line": row.line or None,
            "notes": list(row.notes)}
