"""How wide the registers of aarch64's instructions are, in the compiler's text of the code that it emits and in bytes.

The one idea: with virtual registers texts do not say it (`operands`), with the allocated ones they do: a register's
letter. The text of the emitted code has a line for each instruction in the order of the bytes; so of each mnemonic the
first registers are the same list in both. Where a mnemonic is an alias of one side alone, the lists have different
lengths or name other registers. What is several instructions by nature has one line, and a size of its own in it.
Source: cranelift-codegen 0.135 to 0.137 machinst/vcode.rs (`want_disasm`), isa/aarch64/inst/mod.rs.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Final

from liftcheck.mach.insn import PC, Insn
from liftcheck.regalloc.named import Emitted

_REGISTER: Final = r"(?:(?P<letter>[xwqdshb])(?P<number>\d+|zr)|(?P<name>fp|lr|w?sp))"
_LINE: Final = re.compile(rf"(?:^ *|; )([a-z][a-z0-9.]*) {_REGISTER}([^;]*)")
_FIRST: Final = re.compile(_REGISTER)
_IN_CODE: Final = re.compile(r"const\(|pc\+|label")
_UNSCALED: Final = {"ldur": "ldr", "stur": "str"}
_STATUS: Final = frozenset({"stlxr", "stxr"})
"""Their first register says whether they failed."""
_SIZED: Final = re.compile(r"atomic_\w+_loop_(?:\w+_)?(\d+) |(load_ext_name_far) ")


def word(mnemonic: str) -> str:
    """What is the same instruction in both but for how its distance is encoded."""
    return _UNSCALED.get(mnemonic, mnemonic)


def _told(text: str) -> Iterator[tuple[str, str, str]]:
    for line in text.split("\n"):
        yield from _line(line)


@lru_cache(maxsize=1 << 15)
def _line(line: str) -> tuple[tuple[str, str, str], ...]:
    """What one line names: one instruction, or what makes its address before it."""
    return tuple(
        (word(name), letter or ("w" if known == "wsp" else "x"), number or _NAMES[known])
        for name, letter, number, known, rest in _LINE.findall(line)
        if name != "ldr" or not _IN_CODE.search(rest)
    )


def _first(machine: Insn) -> tuple[str, str]:
    if machine.accesses and machine.accesses[0].base == PC:
        return "", ""
    return _of(machine.operands)


@lru_cache(maxsize=1 << 14)
def _of(operands: str) -> tuple[str, str]:
    found = _FIRST.match(operands)
    return _named(found) if found else ("", "")


def _named(found: re.Match[str]) -> tuple[str, str]:
    """A register's letter and number."""
    name = found["name"]
    return (found["letter"], found["number"]) if not name else ("w" if name == "wsp" else "x", _NAMES[name])


_NAMES: Final = {"fp": "29", "lr": "30", "sp": "sp", "wsp": "sp"}


def _fixed(text: str, machine: Insn) -> bool:
    found = _SIZED.match(text)
    if found is None or not machine.accesses:
        return True
    operands = machine.operands.partition(", ")[2] if machine.name in _STATUS else machine.operands
    return _of(operands)[0] == ("x" if found[2] or found[1] == "64" else "w")


def emitted() -> Emitted:
    """How texts of emitted code say it."""
    return Emitted(word, _told, _first, _fixed)
