"""Shows machine code as instructions: offset, bytes, text, and where the ISA has a table of instructions, the
extension of each and its section in the manual.

CODE is hexadecimal (blanks do not matter), a file with such text or with the bytes themselves, or - for standard input.
With --explain each instruction is followed by what it does: registers, memory, traps, where control goes.

What is not an instruction is shown as data: a text that begins with a dot. Without a table Capstone names instructions.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from liftcheck.commands import options, output
from liftcheck.errors import UsageError

if TYPE_CHECKING:
    from liftcheck.mach.rows.table import Table

_HEX: Final = re.compile(rb"\s*(?:0x)?((?:[0-9a-fA-F]{2}\s*)+)")


class Line(NamedTuple):
    """One instruction, or data (`text` begins with a dot)."""

    offset: int
    data: bytes
    text: str
    section: str = ""
    needs: str = ""
    does: tuple[str, ...] = ()


def declare(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("code", metavar="CODE", help="hexadecimal, a file, or - for standard input")
    parser.add_argument("--isa", type=options.one_isa, required=True, metavar="ISA", help="the ISA of the code")
    parser.add_argument("--explain", action="store_true", help="also what each instruction does")
    options.add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Prints the instructions; always 0: that bytes are data is not a fault."""
    code = read_code(args.code)
    lines = list(lines_of(args.isa, code, args.explain))
    if args.json:
        shown = [line._asdict() | {"data": line.data.hex()} for line in lines]
        output.print_json("disasm", {"isa": args.isa, "instructions": shown})
        return 0
    width = max((2 * len(line.data) for line in lines), default=0)
    for line in lines:
        where = "  ".join(x for x in (line.needs, line.section and f"§{line.section}") if x) if args.explain else ""
        print(f"{line.offset:6x}  {line.data.hex():<{width}}  {line.text}{where and f'    ({where})'}")
        for one in line.does:
            print(f"{'':8}{one}")
    return 0


def read_code(word: str) -> bytes:
    """The bytes that a word on the command line means."""
    found = _HEX.fullmatch(word.encode("utf-8", "surrogateescape"))
    if found and not Path(word).is_file():
        return bytes.fromhex(found[1].decode())
    if word != "-" and not Path(word).exists():
        raise UsageError(f"{word!r} is neither hexadecimal bytes (two digits each) nor a file that there is")
    data = sys.stdin.buffer.read() if word == "-" else output.read_bytes(word)
    found = _HEX.fullmatch(data)
    return bytes.fromhex(found[1].decode()) if found else data


def lines_of(isa: str, code: bytes, explain: bool) -> Iterator[Line]:
    """All of the code, in order."""
    from liftcheck.isa.base import isa_named
    from liftcheck.mach.disassembly import disassembly

    value = isa_named(isa)
    rows = value.part(value.rows)
    if rows is not None:
        yield from _by_rows(isa, rows(), code, explain)
        return
    does = ("undecided: this ISA has no table of instructions yet",) if explain else ()
    for offset, data, text in disassembly(isa, code):
        yield Line(offset, data, text, does=() if text.startswith(".") else does)


def _by_rows(isa: str, table: Table, code: bytes, explain: bool) -> Iterator[Line]:
    from liftcheck.isa.base import isa_named
    from liftcheck.mach.rows.explain import explained

    follow = isa_named(isa).part(isa_named(isa).context)
    context: object = None
    for at, one in table.instructions(code):
        if one is None:
            data = code[at : at + table.step]
            yield Line(at, data, f".byte 0x{data.hex()}")
            continue
        row, lifted = one.instruction, table.lift(one, context)
        does = tuple(explained(lifted, table.registers)) if explain else ()
        yield Line(at, one.data, one.text, row.section, row.needs, does)
        context = follow(lifted, context) if follow else None
