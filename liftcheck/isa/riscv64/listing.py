"""Whether riscv64's machine instructions are those that Cranelift's own text of an instruction names.

The one idea: most words of the text are mnemonics, and then the bytes are that instruction; loads and stores may have
an address made before them, and vector instructions a configuration. Of what is several instructions by nature, only
which of them access memory, and how wide, is known. Operands are `operands`'. A word that is not known here says
nothing.

Source: cranelift-codegen 0.135 isa/riscv64/inst/mod.rs (`print_with_state`), inst/emit.rs.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import Final

from liftcheck.isa.riscv64.known import known
from liftcheck.mach.insn import Insn

_KNOWN: Final = known()
_BRANCHES: Final = ("beq", "bne", "blt", "bge", "bltu", "bgeu", "bgt", "bgtu", "ble", "bleu")
_LOOPS: Final = ("atomic_cas", "atomic_rmw")
_FLOATS: Final = {"fmv": "fsgnj", "fneg": "fsgnjn", "fabs": "fsgnjx"}
_ALIASES: Final[Mapping[str, frozenset[str]]] = {
    "not": frozenset({"xori"}),
    "seqz": frozenset({"sltiu"}),
    "sext.w": frozenset({"addiw"}),
    "zext.w": frozenset({"add.uw"}),
    "packw": frozenset({"packw", "zext.h"}),
    "mv": frozenset({"addi", "add"}),
    **{f"{name}.{size}": frozenset({machine + "." + size}) for name, machine in _FLOATS.items() for size in "hsdq"},
}
"""What else a word means than a mnemonic of its own."""
_ACCESSING: Final[Mapping[str, frozenset[str]]] = {
    **dict.fromkeys((*_BRANCHES, "j", "select", "clz", "ctz", "cpop", "popcnt", "brev8"), frozenset()),
    **dict.fromkeys(("trap_if", "label_address", "load_ext_name_near", "br_table"), frozenset()),
    **dict.fromkeys(("vneg.v", "vfneg.v", "vfabs.v", "vmnot.m", "vnot.v"), frozenset()),
    **dict.fromkeys(("load_ext_name_far", "load_ext_name_got"), frozenset({"ld"})),
    **{f"{loop}.{ty}": frozenset({"lr.w", "sc.w"}) for loop in _LOOPS for ty in ("i8", "i16", "i32")},
    **{f"{loop}.i64": frozenset({"lr.d", "sc.d"}) for loop in _LOOPS},
}  # fmt: skip
"""Which instructions among those of a word access memory, where nothing else of them is known."""
_MADE: Final = frozenset({"lui", "addi", "addiw", "add", "slli", "auipc", "vsetivli"})
"""What an address is made by, and how vectors are configured, before the instruction itself."""
_THROUGH_INTEGER: Final[Mapping[str, tuple[str, ...]]] = {"fsh": ("fmv.x.w", "sh"), "flh": ("lh", "or", "fmv.w.x")}
"""Without Zfh."""
_ATOMIC: Final[Mapping[str, str]] = {"i8": "b", "i16": "h", "i32": "w", "i64": "d"}
_ORDER: Final = re.compile(r"\.(aqrl|aq|rl)$")
_WORDS: Final = re.compile(r"(?:^|; )([^ ;]+)")
_MOVES: Final = re.compile(r"(addi|ori) ")
_POINTERS: Final = frozenset({2, 8})
_IN_FRAME: Final = ("(sp)", "(slot)", "(fp)", "(incoming_arg)")


def agrees(text: str, machines: Sequence[Insn]) -> bool:
    """See `isa.base.Isa.listing`."""
    if text.startswith("li "):
        return [m.name for m in machines] == ["addi"] and not machines[0].reads
    if text.endswith(",0") and _MOVES.match(text) and len(machines) == 1 and machines[0].name == "add":
        return machines[0].operands.split(", ")[1] == "x0"  # `c.mv`
    words = tuple(_WORDS.findall(text)) if ";" in text else (text.partition(" ")[0],)
    if words[0] == "load_addr":
        return _makes_address(text, machines)
    return _agree(words, tuple([m.name for m in machines]))


@lru_cache(maxsize=1 << 14)
def _agree(words: tuple[str, ...], machines: tuple[str, ...]) -> bool:
    """The same of mnemonics."""
    if len(words) > 1:
        return not all(word in _KNOWN and not _KNOWN[word].accesses for word in words) or machines == words
    word = words[0]
    known = _ACCESSING.get(word)
    if known is not None:
        return known == {name for name in machines if _accesses(name)}
    if word.startswith("atomic_"):
        return _ordered(word, machines)
    word = _ORDER.sub("", word)
    return _is(word, _ALIASES.get(word) or frozenset({word}), machines)


def _accesses(name: str) -> bool:
    return name in _KNOWN and _KNOWN[name].accesses


def _is(word: str, names: frozenset[str], machines: tuple[str, ...]) -> bool:
    """One instruction, and what may stand before it."""
    if names.isdisjoint(_KNOWN):
        return True
    through = _THROUGH_INTEGER.get(word)
    if through is not None and machines[-1] not in names:
        return tuple(name for name in machines if name not in _MADE) == through
    row = _KNOWN.get(word)
    before = _MADE if row is not None and (row.accesses or row.configured) else frozenset()
    return machines[-1] in names and before.issuperset(_without_constant(machines[:-1]) if before else machines[:-1])


def _without_constant(machines: tuple[str, ...]) -> tuple[str, ...]:
    """A distance that lui and addi cannot make (0x7ffff800 to 0x7fffffff, or more than 32 bits) is loaded."""
    for number, pair in enumerate(pairwise(machines)):
        if pair == ("auipc", "ld"):
            return (*machines[:number], *machines[number + 2 :])
    return machines


def _makes_address(text: str, machines: Sequence[Insn]) -> bool:
    """An address in the frame is made of the stack or the frame pointer."""
    if not all(m.name in _MADE for m in machines):
        return False
    reads = frozenset().union(*(m.reads for m in machines))
    if any(m.twice & _POINTERS for m in machines):
        return False
    return not text.endswith(_IN_FRAME) or not _POINTERS.isdisjoint(reads)


def _ordered(word: str, machines: tuple[str, ...]) -> bool:
    """A load or a store between fences."""
    kind, _, ty = word.partition(".")
    size = _ATOMIC.get(ty)
    if size is None or kind not in ("atomic_load", "atomic_store"):
        return True
    wanted = ("l" if kind == "atomic_load" else "s") + size
    found = [name for name in machines if name != "fence"]
    return found in ([wanted], [wanted + "u"])
