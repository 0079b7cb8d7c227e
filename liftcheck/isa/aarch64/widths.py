"""How wide the registers of aarch64's instructions are, in the compiler's text of the code that it emits and in bytes.

The one idea: with virtual registers texts do not say it (`operands`), with the allocated ones they do: a register's
letter. The text of the emitted code has a line for each instruction in the order of the bytes; so of each mnemonic the
first registers are the same list in both; where after the first one a text has more of them than a disassembler, or
others, those are not compared. Where a mnemonic is an alias of one side alone, the lists have different lengths or name
other registers. What is several instructions by nature has one line, and a size of its own in it.
Source: cranelift-codegen 0.135 to 0.137 machinst/vcode.rs (`want_disasm`), isa/aarch64/inst/mod.rs.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from itertools import chain
from typing import Final

from liftcheck.mach.insn import PC, Insn
from liftcheck.regalloc.named import Emitted, Told, Width

_REGISTER: Final = r"(?:(?P<letter>[xwqdshb])(?P<number>\d+|zr)|(?P<name>fp|lr|w?sp))"
_LINE: Final = re.compile(rf"(?:^ *|; )([a-z][a-z0-9.]*) {_REGISTER}([^;]*)")
_FIRST: Final = re.compile(_REGISTER)
_OTHERS: Final = re.compile(rf"(?<![#\w.]){_REGISTER}(?![\w=])(?P<by>, ?(?i:[us]xt[bhwx]))?")
_IN_CODE: Final = re.compile(r"const\(|pc\+|label")
_FAMILIES: Final = (
    "ldr ldur", "str stur", "mov movz movn orr orn mvn", "sub neg", "subs cmp negs", "adds cmn", "ands tst", "and bic",
    "eor eon", "madd mul", "msub mneg", "smaddl smull", "umaddl umull", "csneg cneg", "csinc cset cinc",
    "csinv csetm cinv", "extr ror", "lsl lsr asr ubfm ubfx ubfiz sbfm sbfx sbfiz uxtb uxth sxtb sxth sxtw",
    "cbz cbnz",
)  # fmt: skip
_BITS: Final = ("tbz", "tbnz")
"""Which bit says how wide the register has to be."""
_FAMILY: Final = {name: row.split()[0] for row in _FAMILIES for name in row.split()}
"""What one side may call by another name than the other one."""
_STATUS: Final = frozenset({"stlxr", "stxr"})
"""Their first register says whether they failed."""
_SIZED: Final = re.compile(r"atomic_\w+_loop_(?:\w+_)?(\d+) |(load_ext_name_far) ")


def word(mnemonic: str) -> str:
    """What both sides call it, whatever its distance and its zero registers are."""
    return _FAMILY.get(mnemonic, mnemonic)


def _told(text: str) -> Iterator[Told]:
    return chain.from_iterable(map(_line, text.split("\n")))


@lru_cache(maxsize=1 << 15)
def _line(line: str) -> tuple[Told, ...]:
    """What one line names: one instruction, or what makes its address before it."""
    found: list[Told] = []
    if "jt_entries" in line:  # of what leads by a table, `sequences` has all but the first step
        line = line.partition(";")[0]
    for name, letter, number, known, rest in _LINE.findall(line):
        if name in _BITS or (name == "ldr" and _IN_CODE.search(rest)):
            continue
        first = letter or ("w" if known == "wsp" else "x"), number or _NAMES[known]
        registers = [one for one in (first, *_more(rest)) if one[1] != "zr"]
        if registers:
            found.append(Told(word(name), tuple(registers)))
    return tuple(found)


def _registers(machine: Insn) -> tuple[Width, ...]:
    if machine.name in _BITS or (machine.accesses and machine.accesses[0].base == PC):
        return ()
    return _all(machine.operands)


@lru_cache(maxsize=1 << 14)
def _all(operands: str) -> tuple[Width, ...]:
    found = _FIRST.match(operands)
    every = (_named(found), *_more(operands[found.end() :])) if found else ()
    return tuple([one for one in every if one[1] != "zr"])


@lru_cache(maxsize=1 << 14)
def _more(operands: str) -> tuple[Width, ...]:
    """The registers of what stands after the first one. An extension says by itself how much of one it takes."""
    return tuple([("", one["number"] or "") if one["by"] else _named(one) for one in _OTHERS.finditer(operands)])


@lru_cache(maxsize=1 << 14)
def _of(operands: str) -> Width:
    found = _FIRST.match(operands)
    return _named(found) if found else ("", "")


def _named(found: re.Match[str]) -> Width:
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
    return Emitted(word, _told, _registers, _fixed)
