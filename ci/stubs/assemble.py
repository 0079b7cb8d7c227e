"""Assembles liftcheck/runners/stubs/*.s and the probes there with the GNU cross assemblers, and writes bytes and labels
as JSON.

Run after a change of a stub; nothing assembles at run time. tests/runners/test_runner_stubs.py holds sources and bytes
together.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from liftcheck import layout
from liftcheck.isa import ISAS
from liftcheck.isa.base import isa_named

STUBS = Path(__file__).resolve().parents[2] / "liftcheck" / "runners" / "stubs"
SYMBOLS = {
    "ARENA": layout.ARENA, "STUB": layout.STUB, "CONTROL": layout.CONTROL, "ROWS_SIZE": layout.ROWS_SIZE,
    "STACK": layout.STACK, "STACK_SIZE": layout.STACK_SIZE, "DATA": layout.DATA, "SLOTS": layout.SLOTS,
    "SLOT_SIZE": layout.SLOT_SIZE, "SLOT_STRIDE": layout.SLOT_STRIDE, "ALTSTACK": layout.SIGNAL_STACK,
    "ALTSTACK_SIZE": layout.SIGNAL_STACK_SIZE, "TICK_US": 10_000,
}  # fmt: skip


def assemble(isa: str, source: str) -> tuple[bytes, dict[str, int]]:
    """Bytes of .text and the labels' offsets; CalledProcessError if the assembler refuses, OSError if it is missing."""
    tools = isa_named(isa).assembler
    symbols = [word for name, value in SYMBOLS.items() for word in ("--defsym", f"{name}={value:#x}")]
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        (place / "s").write_text(source)

        def tool(name: str, *words: str) -> str:
            command = [tools.prefix + name, *words]
            return subprocess.run(command, cwd=place, check=True, stdout=subprocess.PIPE, text=True).stdout

        tool("as", *tools.options, *symbols, "-o", "o", "s")
        tool("ld", f"-Ttext={layout.STUB:#x}", "-e", f"{layout.STUB:#x}", "-o", "elf", "o")
        tool("objcopy", "-O", "binary", "-j", ".text", "elf", "bin")
        rows = [line.split() for line in tool("nm", "elf").splitlines()]
        ours = [row for row in rows if len(row) == 3 and row[1] in "tT" and row[2][0] != "_"]
        labels = {name: int(address, 16) - layout.STUB for address, _, name in ours}
        return (place / "bin").read_bytes(), dict(sorted(labels.items(), key=lambda item: item[1]))


def assemble_probes(isa: str) -> list[list[str]]:
    """The lines of probes-ISA.txt: [extensions, bytes in hex]."""
    lines = [line for line in (STUBS / f"probes-{isa}.txt").read_text().splitlines() if line and line[0] != "#"]
    pairs = [line.split(": ", 1) for line in lines]
    head = isa_named(isa).assembler.head
    source = "\n".join([head, *(f"p{number}: {text}" for number, (_, text) in enumerate(pairs)), "end:", ""])
    code, labels = assemble(isa, source)
    places = [*(labels[f"p{number}"] for number in range(len(pairs))), labels["end"]]
    return [[needs, code[start:end].hex()] for (needs, _), start, end in zip(pairs, places, places[1:])]


def write_probes() -> None:
    """Assembles all probes of instructions and replaces their JSON."""
    parts = [f' "{isa}": [\n  ' + ",\n  ".join(map(json.dumps, assemble_probes(isa))) + "\n ]" for isa in ISAS]
    (STUBS / "probes.json").write_text("{\n" + ",\n".join(parts) + "\n}\n")


def write(isa: str) -> None:
    """Assembles one stub and replaces its JSON."""
    code, labels = assemble(isa, (STUBS / f"{isa}.s").read_text())
    lines = [code[i : i + 48].hex() for i in range(0, len(code), 48)]
    (STUBS / f"{isa}.json").write_text(json.dumps({"labels": labels, "code": lines}, indent=1) + "\n")


if __name__ == "__main__":
    for isa in sys.argv[1:] or ISAS:
        write(isa)
    write_probes()
