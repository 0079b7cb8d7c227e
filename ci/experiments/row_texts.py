"""Holds the assembler text of an ISA's rows against GNU as: it is to make the same bytes of it.

    python ci/experiments/row_texts.py --isa riscv64 [--option=-march=rv64gcv_zba_zbb_zbc_zbs_zbkb_zfh] [--each 5]

Prints what GNU as refuses, by extension, and what is another instruction to it; another form of the same (x86-64
has several) is counted. Exit code 1 if there is any of the former, 3 without GNU as for the ISA.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from random import Random
from typing import Final

from liftcheck.errors import LiftcheckError
from liftcheck.isa import ISAS
from liftcheck.isa.base import isa_named
from liftcheck.mach.rows.table import Decoded, Table
from liftcheck.oracles.rows.instances import drawn

SLOT: Final = 32
"""Bytes for each: the instruction, `END`, and zeros."""
END: Final = 0x5A
Assemble = Callable[[str, Sequence[Decoded], Sequence[str]], tuple[dict[int, str], bytes]]


def instructions(isa: str, each: int) -> Iterator[Decoded]:
    """So many of each row."""
    for bench in isa_named(isa).part(isa_named(isa).bench)():
        for row in bench.rows():
            draw = Random(row.syntax.shape)
            found = (one for _ in range(20 * each) if (one := drawn(bench, row, draw)) is not None)
            yield from (one for one, _ in zip(found, range(each)))


def assembled(isa: str, asked: Sequence[Decoded], more: Sequence[str]) -> tuple[dict[int, str], bytes]:
    """Complaints by number, and a slot of each instruction (`SLOT`) if there are none. One assembly for all."""
    tools = isa_named(isa).assembler
    compressed = isa_named(isa).compressed
    lines = [tools.head or "# no head"]
    for one in asked:
        option = f".option {'' if one.size == 2 else 'no'}rvc" if compressed else "# any size"
        lines += [option, one.text, f".byte {END}", f".balign {SLOT}, 0"]
    with tempfile.TemporaryDirectory(prefix="liftcheck-texts-") as folder:
        source, made, flat = (Path(folder, name) for name in ("x.s", "x.o", "x.bin"))
        source.write_text("\n".join(lines) + "\n", encoding="utf-8")
        command = [f"{tools.prefix}as", *tools.options, *more, str(source), "-o", str(made)]
        done = subprocess.run(command, capture_output=True, text=True)
        wrong = {(int(m[1]) - 2) // 4: m[2] for m in re.finditer(r"x\.s:(\d+): Error: (.*)", done.stderr)}
        if wrong:
            return wrong, b""
        if done.returncode:
            raise LiftcheckError(f"GNU as: {done.stderr.strip()}")
        subprocess.run([f"{tools.prefix}objcopy", "-O", "binary", "-j", ".text", str(made), str(flat)], check=True)
        return {}, flat.read_bytes()


def slots(
    isa: str, asked: Sequence[Decoded], more: Sequence[str], assemble: Assemble = assembled
) -> tuple[dict[int, str], dict[int, bytes]]:
    """Complaints and bytes by number. GNU as may complain about some only where it did not about others, so what is
    left is assembled until nothing is refused."""
    refused: dict[int, str] = {}
    while True:
        left = [number for number in range(len(asked)) if number not in refused]
        wrong, code = assemble(isa, [asked[number] for number in left], more)
        refused.update({left[place]: why for place, why in wrong.items()})
        if not wrong:
            starts = (code[SLOT * place : SLOT * (place + 1)] for place in range(len(left)))
            return refused, {number: slot.rstrip(b"\0")[:-1] for number, slot in zip(left, starts)}


def is_same(table: Table, one: Decoded, read: Decoded | None, got: bytes) -> bool:
    """Whether what GNU as made is another form of an instruction: it has the same text, or does the same."""
    if read is None or read.data != got:
        return False
    effects = table.lift(one).effects
    return read.text == one.text or (effects is not None and table.lift(read).effects == effects)


def main(argv: list[str]) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description="Holds the text of machine instructions against GNU as.")
    parser.add_argument("--isa", required=True, choices=[isa for isa in ISAS if isa_named(isa).bench])
    parser.add_argument("--option", action="append", default=[], help="of GNU as, after the ISA's own; repeatable")
    parser.add_argument("--each", type=int, default=5, help="instructions of each row (default: 5)")
    options = parser.parse_args(argv)
    if shutil.which(f"{isa_named(options.isa).assembler.prefix}as") is None:
        print(f"{isa_named(options.isa).assembler.prefix}as is not installed", file=sys.stderr)
        return 3
    asked = list(instructions(options.isa, options.each))
    wrong, made = slots(options.isa, asked, options.option)
    refused: dict[str, list[str]] = {}
    for number, why in wrong.items():
        refused.setdefault(asked[number].row.needs or "base", []).append(f"{asked[number].text}: {why}")
    for needs, lines in refused.items():
        print(f"{needs}: {len(lines)} refused, e.g. {lines[0]}")
    table = isa_named(options.isa).part(isa_named(options.isa).rows)()
    differ = [(asked[number], got) for number, got in made.items() if got != asked[number].data]
    other = [
        f"{one.text}: {one.data.hex()} is {got.hex()} to GNU as"
        for one, got in differ
        if not is_same(table, one, table.decode(got), got)
    ]
    print("\n".join(other[:40]))
    print(
        f"{len(asked)} instructions, {len(wrong)} refused by GNU as, "
        f"{len(made) - len(differ)} the same, {len(differ) - len(other)} another form of the same, {len(other)} other"
    )
    return int(bool(other))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
