"""Whether s390x's machine instructions are those that Cranelift's own text of an instruction names.

The one idea: the text is as an assembler would write it, one mnemonic for each instruction; a mnemonic of the text has
the size of elements or a condition in it, which `decoder` leaves out, and the emitter has a shorter form of many. So
each word means a set of machine mnemonics, or (floating point, which has many forms) any that does not access memory.
How an address is made before an access is left out on both sides: it depends on the frame, which is not known where the
text is made. Of calls (whose results are stored between loads) only the loads are compared, operands never, but
of what turns a call's results.
A word that is not known here says nothing of its instruction.

Source: cranelift-codegen 0.135 isa/s390x/inst/mod.rs (`print_with_state`), inst/emit.rs.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Final

from liftcheck.isa.s390x.decoder import ROWS
from liftcheck.mach.insn import Insn

_MEMORY: Final = {row.name: row.memory for row in ROWS.values()}
"""Machine mnemonic -> what it does to memory, '' for nothing."""
_ADDRESSES: Final = frozenset({"la", "lay", "larl", "lgfi"})
_SIZES: Final = re.compile(r"[bhfgq]?s?|[bhf]w|[sdx]b")
_CONDITION: Final = r"n?(?:[ohle]|he|lh|le|lhe)"
_CONDITIONAL: Final = re.compile(rf"(loc|locg|locr|locgr|lochi|locghi|cl?[gf]?[ir]?t)(?:{_CONDITION})")
_JUMP: Final = re.compile(rf"jg?(?:{_CONDITION})?")
_FLOATING: Final = re.compile(r"[vw](?:f|c[defgl]|l[de]).*|[a-z]+[bx]ra?")
_FORMS: Final[Mapping[str, tuple[str, ...]]] = {
    "vlef": ("le", "ley"), "vleg": ("ld", "ldy"), "vstef": ("ste", "stey"), "vsteg": ("std", "stdy"),
    "vlvgg": ("ldgr",), "vlgvg": ("lgdr",), "vlr": ("ldr", "ler"), "br": ("bcr",), "msgrkc": ("msgr",),
    "msrkc": ("msr",),
}  # fmt: skip
"""Other instructions that are emitted for a word."""
_CALLS: Final = frozenset({"basr", "brasl"})
_TURNS: Final = frozenset({"vpdi", "verll"})
"""How the lanes of a call's results are turned: in registers that the convention fixes."""
_TURNED: Final = re.compile(r"\b(vpdi|verll)[bhfg]? ([^;]*)")
_REGISTER: Final = re.compile(r"%v\d+")
_FIXED: Final = frozenset(f"%v{number}" for number in range(32))
"""The machine's registers. Results on the stack are loaded into others, which a text calls by other numbers."""
_SILENT: Final = frozenset({"callee_pop_size", "data", ""})
_UNKNOWN: Final = frozenset({"args", "rets", ".word", "label_address", "sequence_point", "jt_entries"})
_LABEL: Final = re.compile(r"^\d+: ?")
_ANYTHING: Final = frozenset({""})
"""An instruction that does not access memory."""


_MASKS: Final = {name: mask for mask, name in enumerate(
    ("o", "h", "nle", "l", "nhe", "lh", "ne", "e", "nlh", "he", "nl", "le", "nh", "no"), 1)}  # fmt: skip
"""Condition codes that a branch is taken for, as bits of its mask."""


def direction(text: str, machine: Insn, data: bytes) -> int:
    """See `isa.base.Isa.direction`."""
    mask = _MASKS[text.partition(" ")[0][2:]]
    taken = data[1] >> 4 if machine.name in ("brc", "brcl") else 0
    return (taken == mask) - (taken == 15 - mask)


def agrees(text: str, machines: Sequence[Insn]) -> bool:
    """See `isa.base.Isa.listing`."""
    words = _words(text) if ";" in text or "#" in text else (text.partition(" ")[0],)
    if words[0] in _CALLS and "vpdi" in words:
        turned = Counter(_registers(m.name, m.operands) for m in machines if m.name in _TURNS)
        told = [_registers(found[1], found[2]) for found in _TURNED.finditer(text)]
        fixed = Counter(one for one in told if _FIXED.issuperset(one[1:]))
        if turned.total() != len(told) or fixed - turned:
            return False
    return _agree(words, tuple([m.name for m in machines]))


@lru_cache(maxsize=1 << 14)
def _agree(words: tuple[str, ...], machines: tuple[str, ...]) -> bool:
    """The same of mnemonics. One of two jumps may be left out."""
    wanted = _wanted(words)
    if wanted is None:
        return True
    if all(map(_JUMP.fullmatch, words)):
        return not any(map(_MEMORY.get, machines))
    if "data" in words:
        machines = (machines[0], machines[-1])
    if words[0] in _CALLS:
        loads = Counter(filter(_loads, machines))
        return loads == Counter(next(filter(loads.get, names), "") for names in wanted if any(map(_loads, names)))
    found = [*(name for name in machines[:-1] if name not in _ADDRESSES), *machines[-1:]]
    return len(found) == len(wanted) and all(map(_means, wanted, found))


def _registers(name: str, operands: str) -> tuple[str, ...]:
    return (name, *_REGISTER.findall(operands))


def _loads(name: str) -> bool:
    return _MEMORY.get(name, "").startswith("L")


def _means(names: frozenset[str], machine: str) -> bool:
    return not _MEMORY.get(machine) if names is _ANYTHING else machine in names


def _words(text: str) -> tuple[str, ...]:
    """The mnemonics. Where a call's handlers are is not an instruction."""
    text = text.partition("; jg MachLabel")[0].partition(" # ")[0]
    return tuple([_LABEL.sub("", part.strip()).partition(" ")[0] for part in text.split(";")])


@lru_cache(maxsize=1 << 12)
def _wanted(words: tuple[str, ...]) -> list[frozenset[str]] | None:
    """What each instruction may be, except for those that make an address; None if that is not known."""
    if not _UNKNOWN.isdisjoint(words):
        return None
    words = tuple(word for word in words if word not in _SILENT)
    left = [*(word for word in words[:-1] if word not in _ADDRESSES), *words[-1:]]
    found = [_names(word) for word in left]
    return None if None in found else [names for names in found if names is not None]


@lru_cache(maxsize=1 << 12)
def _names(word: str) -> frozenset[str] | None:
    """The machine instructions that a word means."""
    if word in ("la", "lay"):
        return frozenset({"la", "lay"})
    if _JUMP.fullmatch(word):
        return frozenset({"brc", "brcl"})
    found = {word} & _MEMORY.keys()
    if word[0] == "v" and not _MEMORY.get(word):  # `vuplh` is one of its own, and one of halfwords
        found |= {name for name in _MEMORY if word.startswith(name) and _SIZES.fullmatch(word[len(name) :])}
    found |= {name for name in (word + "y", word.removesuffix("y"), word.removesuffix("k")) if name in _MEMORY}
    if conditional := _CONDITIONAL.fullmatch(word):
        found.add(conditional[1])
    if (not found or word[0] == "w") and _FLOATING.fullmatch(word):
        return _ANYTHING
    found.update(_FORMS.get(word, ()))
    return frozenset(found) or None
