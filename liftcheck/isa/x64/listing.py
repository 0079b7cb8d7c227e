"""Whether x86-64's machine instructions are those that Cranelift's own text of an instruction names.

The one idea: the text is as AT&T's assemblers write it, where the bytes are named as Intel does: a mnemonic has the
size of what it works on at its end, which an access of memory must have too. Of what is several instructions by nature,
the mnemonics that they are made of are known. A word that is not known here says nothing, operands are not compared.

Source: cranelift-codegen 0.135 isa/x64/inst/mod.rs (`pretty_print`), inst/emit.rs, cranelift-assembler-x64.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Final

from liftcheck.mach.insn import Insn

SIZES: Final = {"b": 1, "w": 2, "l": 4, "q": 8}
_NAMES: Final[Mapping[str, str]] = {
    "cbtw": "cbw", "cwtl": "cwde", "cltq": "cdqe", "cwtd": "cwd", "cltd": "cdq", "cqto": "cqo", "movslq": "movsxd",
    "movabsq": "movabs", "leal": "lea add", "leaq": "lea add", "movq": "mov movq", "label_address": "lea",
    "load_ext_name": "lea movabs mov",
}  # fmt: skip
EXTENDS: Final = re.compile(r"(mov[sz])([bw])[wlq]")
_TIED: Final = re.compile(r"\(%\w+ <- [^)]*\)")
"""A result in the place of an input. Other parentheses are memory."""
_ONE: Final = re.compile(r"(?!lea[lq]|call|j|nop|prefetch|clflush)(?:lock )?[a-z][a-z0-9]*")
"""An instruction that accesses memory if its text has an address."""
_CONDITIONS: Final = ("o no", "b ae nb c nc", "e ne z nz", "be a nbe", "s ns", "p np", "l ge nl nge", "le g nle ng")
_OF: Final = {one: frozenset(row.split()) for row in _CONDITIONS for one in row.split()}
_JUMPS: Final = re.compile(r"j(\w+?)(?:,(n?z))?")
_RESULTS: Final = re.compile(r"v?mov\w*|v?pinsr\w|sub|jmp")
"""What follows a call: results are taken from the stack, and the stack pointer may be moved."""
_MANY: Final[Mapping[str, str]] = {
    "br_table": "add j lea movsxd",
    "trap_if": "j ud2",
    "checked_srem_seq": "cmp idiv j mov movsx ud2",
    "xmm": "addsd addss andps andpd j maxss maxsd minsd minss orpd orps ucomisd ucomiss",
    "cvt_float": "cmp cvttsd2si cvttss2si j mov movabs movd movq ucomisd ucomiss xor xorpd xorps addsd addss add subss"
                 " subsd movaps movapd movdqa movss movsd cmpsd cmpss andps andpd ud2",
    "u64_to": "add addss addsd and cmp cvtsi2sd cvtsi2ss j mov movabs or shr",
    "atomically": "adc add and cmov cmp j lock mov movzx not or sbb sub xchg xor",
}  # fmt: skip
"""Beginning of a word -> what it is made of; `j`, `cmov`, `lock` with whatever follows."""
_BEGINNINGS: Final = re.compile(r"^(j|cmov|lock)\b.*|^(j|cmov)[a-z]+$")
_UNARY: Final = frozenset({"div", "idiv", "mul", "neg", "not"})
"""What works on one register, by the size at the word's end."""
_WIDTHS: Final = (
    (1, re.compile(r"r\d+b|[abcd][lh]|[sd]il|[bs]pl")),
    (2, re.compile(r"r\d+w|[abcd]x|[sd]i|[bs]p")),
    (4, re.compile(r"r\d+d|e\w\w")),
)
_UNKNOWN: Final = frozenset(
    {"args", "rets", "unwind", "dummy_use", "sequence_point", "stack_probe_loop", "uninit", "return_call_known",
     "return_call_unknown", "nop", "jmp", "ud2", "hlt", "int3", "rep"}
)  # fmt: skip


def agrees(text: str, machines: Sequence[Insn]) -> bool:
    """See `isa.base.Isa.listing`."""
    shown = text.partition(" ;;")[0]
    sizes = tuple([max((access.size for access in m.accesses), default=0) for m in machines])
    words = _words(shown)
    if not _agree(words, tuple([m.name for m in machines]), sizes):
        return False
    if len(words) > 1 or len(machines) > 1 or not _ONE.fullmatch(words[0]):
        return True
    if words[0][:-1] in _UNARY and not sizes[0] and width(machines[0].operands) != SIZES.get(words[0][-1]):
        return False
    return bool(sizes[0]) == ("(" in _TIED.sub("", shown))


def trap_codes(text: str) -> tuple[str, ...]:
    """See `isa.base.Isa.trap_codes`: conversions that trap ask for NaN first, then for what is too small or large."""
    return _CONVERSION if text.startswith("cvt_float") and "_sat" not in text.partition(" ")[0] else ()


_CONVERSION: Final = ("bad_toint", "int_ovf", "int_ovf")


def width(name: str) -> int:
    """Bytes of a register."""
    return next((size for size, names in _WIDTHS if names.fullmatch(name)), 8)


def _words(text: str) -> tuple[str, ...]:
    """The mnemonics; a locked one's is its second word."""
    parts = [part.split(maxsplit=2) for part in text.split(";")]
    return tuple([" ".join(part[: 1 + (part[0] == "lock")]) for part in parts if part])


@lru_cache(maxsize=1 << 14)
def _agree(words: tuple[str, ...], machines: tuple[str, ...], sizes: tuple[int, ...]) -> bool:
    """The same of mnemonics and of bytes of memory."""
    word = words[0]
    if word == "call":
        return machines[0] == "call" and all(map(_RESULTS.fullmatch, machines[1:]))
    many = next((row for begin, row in _MANY.items() if word.startswith(begin)), None)
    if many is not None:
        return set(many.split()).issuperset(_beginning(name) for name in machines)
    if (jump := _JUMPS.fullmatch(word)) and word not in _UNKNOWN:
        conditions = [_OF[one] for one in jump.groups() if one in _OF]
        return all(name == "jmp" or any(name[1:] in row for row in conditions) for name in machines)
    if len(words) > 1:
        return _moves_round(words, machines)
    if len(machines) != 1 or word in _UNKNOWN or (word not in _NAMES and not _ONE.fullmatch(word)):
        return True
    return is_named(word, machines[0], sizes[0])


def _beginning(name: str) -> str:
    found = _BEGINNINGS.match(name)
    return name if found is None else found[1] or found[2]


def _moves_round(words: tuple[str, ...], machines: tuple[str, ...]) -> bool:
    """A conditional move of a vector: a jump round a move (the first one is the allocator's)."""
    if len(words) != 4 or not words[0].startswith("mov"):
        return True
    return len(machines) == 2 and machines[0][0] == "j" and machines[1].lstrip("v").startswith("mov")


@lru_cache(maxsize=1 << 12)
def is_named(word: str, name: str, size: int) -> bool:
    """One instruction. An address has no size."""
    if extends := EXTENDS.fullmatch(word):
        return name == f"{extends[1]}x" and size in (0, SIZES[extends[2]])
    if word in _NAMES:
        wide = 4 if word == "movslq" else 8
        return name in _NAMES[word].split() and (size in (0, wide) or name == "lea")
    if word == name:
        return True
    return word[:-1] == name and word[-1] in SIZES and size in (0, SIZES[word[-1]])
