"""Assembles oracles/stubs/*.s with the GNU cross assemblers and writes the bytes and labels next to them as JSON.

Run after a change of a stub; nothing assembles at run time. tests/test_runner_stubs.py holds sources and bytes
together.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from liftcheck import layout

STUBS = Path(__file__).resolve().parent.parent / "oracles" / "stubs"
TOOLS = {
    "x86-64": ("x86_64-linux-gnu-", ["--64"]),
    "aarch64": ("aarch64-linux-gnu-", ["-march=armv8.5-a"]),
    "riscv64": ("riscv64-linux-gnu-", ["-march=rv64gcv", "-mno-relax"]),
    "s390x": ("s390x-linux-gnu-", ["-march=z14"]),
}
SYMBOLS = {
    "ARENA": layout.ARENA, "STUB": layout.STUB, "CONTROL": layout.CONTROL, "ROWS_SIZE": layout.ROWS_SIZE,
    "STACK": layout.STACK, "STACK_SIZE": layout.STACK_SIZE, "DATA": layout.DATA, "SLOTS": layout.SLOTS,
    "SLOT_SIZE": layout.SLOT_SIZE, "SLOT_STRIDE": layout.SLOT_STRIDE, "ALTSTACK": layout.SIGNAL_STACK,
    "ALTSTACK_SIZE": layout.SIGNAL_STACK_SIZE, "TICK_US": 10_000,
}  # fmt: skip


def assemble(isa: str, source: str) -> tuple[bytes, dict[str, int]]:
    """Bytes of .text and the labels' offsets; CalledProcessError if the assembler refuses, OSError if it is missing."""
    prefix, flags = TOOLS[isa]
    symbols = [word for name, value in SYMBOLS.items() for word in ("--defsym", f"{name}={value:#x}")]
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        (place / "s").write_text(source)

        def tool(name: str, *words: str) -> str:
            command = [prefix + name, *words]
            return subprocess.run(command, cwd=place, check=True, stdout=subprocess.PIPE, text=True).stdout

        tool("as", *flags, *symbols, "-o", "o", "s")
        tool("ld", f"-Ttext={layout.STUB:#x}", "-e", f"{layout.STUB:#x}", "-o", "elf", "o")
        tool("objcopy", "-O", "binary", "-j", ".text", "elf", "bin")
        rows = [line.split() for line in tool("nm", "elf").splitlines()]
        ours = [row for row in rows if len(row) == 3 and row[1] in "tT" and row[2][0] != "_"]
        labels = {name: int(address, 16) - layout.STUB for address, _, name in ours}
        return (place / "bin").read_bytes(), dict(sorted(labels.items(), key=lambda item: item[1]))


def write(isa: str) -> None:
    """Assembles one stub and replaces its JSON."""
    code, labels = assemble(isa, (STUBS / f"{isa}.s").read_text())
    lines = [code[i : i + 48].hex() for i in range(0, len(code), 48)]
    (STUBS / f"{isa}.json").write_text(json.dumps({"labels": labels, "code": lines}, indent=1) + "\n")


if __name__ == "__main__":
    for isa in sys.argv[1:] or TOOLS:
        write(isa)
