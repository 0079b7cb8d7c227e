"""Whether s390x's machine instructions are those that Cranelift's own text of an instruction names.

The one idea: the text is as an assembler would write it, and so is what the rows make of bytes, one mnemonic for each
instruction; the emitter has a shorter form of many. So each word means a set of machine mnemonics, or (floating point,
which has many forms) any that does not access memory.
How an address is made before an access is left out on both sides: it depends on the frame, which is not known where the
text is made. Of calls (whose results are stored between loads) only the loads are compared, operands never, but
of what turns a call's results.
A word that is not known here says nothing of its instruction.

Source: cranelift-codegen 0.135 isa/s390x/inst/mod.rs (`print_with_state`), inst/emit.rs.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Final

from liftcheck.isa.s390x.insts.common import CONDITIONS
from liftcheck.isa.s390x.insts.table import table
from liftcheck.isa.s390x.reader import touching
from liftcheck.isa.s390x.words import RENAMED
from liftcheck.mach.insn import Insn

_ADDRESSES: Final = frozenset({"la", "lay", "larl", "lgfi"})
_JUMP: Final = re.compile(rf"jg?(?:{'|'.join(CONDITIONS.values())})?")
_FLOATING: Final = re.compile(r"[vw](?:f|c[defgl]|l[de]).*|[a-z]+[bx]ra?")
_FORMS: Final[Mapping[str, tuple[str, ...]]] = {
    "vlef": ("le", "ley"), "vleg": ("ld", "ldy"), "vstef": ("ste", "stey"), "vsteg": ("std", "stdy"),
    "vlvgg": ("ldgr",), "vlgvg": ("lgdr",), "vlr": ("ldr", "ler"), "bcr": ("bnor",), "msgrkc": ("msgr",),
    "msrkc": ("msr",),
}  # fmt: skip
"""Other instructions that are emitted for a word."""
_CALLS: Final = frozenset({"basr", "brasl"})
_TURNED: Final = re.compile(r"\b(vpdi|verll)[bhfg]? ([^;]*)")
"""How the lanes of a call's results are turned: in registers that the convention fixes."""
_REGISTER: Final = re.compile(r"%v\d+")
_FIXED: Final = frozenset(f"%v{number}" for number in range(32))
"""The machine's registers. Results on the stack are loaded into others, which a text calls by other numbers."""
_SILENT: Final = frozenset({"callee_pop_size", "data", ""})
_UNKNOWN: Final = frozenset({"args", "rets", ".word", "label_address", "sequence_point", "jt_entries"})
_LABEL: Final = re.compile(r"^\d+: ?")
_ANYTHING: Final = frozenset({""})
"""An instruction that does not access memory."""


_MASKS: Final = {condition: mask for mask, condition in CONDITIONS.items()}


def direction(text: str, machine: Insn, _data: bytes) -> int:
    """See `isa.base.Isa.direction`."""
    wanted = _MASKS[text.partition(" ")[0][2:]]
    taken = _MASKS.get(machine.name.removeprefix("j").removeprefix("g"), 0)
    return (taken == wanted) - (taken == 15 - wanted)


def agrees(text: str, machines: Sequence[Insn]) -> bool:
    """See `isa.base.Isa.listing`."""
    words = _words(text) if ";" in text or "#" in text else (text.partition(" ")[0],)
    if words[0] in _CALLS and "vpdi" in words:
        turned = Counter(one for m in machines for one in _turns(m.text))
        told = list(_turns(text))
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
        return not any(map(_accesses, machines))
    if "data" in words:
        machines = (machines[0], machines[-1])
    if words[0] in _CALLS:
        loads = Counter(filter(_loads, machines))
        return loads == Counter(next(filter(loads.get, names), "") for names in wanted if any(map(_loads, names)))
    found = [*(name for name in machines[:-1] if name not in _ADDRESSES), *machines[-1:]]
    return len(found) == len(wanted) and all(map(_means, wanted, found))


def _turns(text: str) -> Iterator[tuple[str, ...]]:
    """The instructions of a text that turn lanes, with their registers."""
    return ((found[1], *_REGISTER.findall(found[2])) for found in _TURNED.finditer(text))


def _loads(name: str) -> bool:
    return touching(name)[0]


def _accesses(name: str) -> bool:
    return any(touching(name))


def _means(names: frozenset[str], machine: str) -> bool:
    return not _accesses(machine) if names is _ANYTHING else machine in names


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
    known = table().by_name
    if _JUMP.fullmatch(word):
        return frozenset(filter(_JUMP.fullmatch, known))
    short = (word, RENAMED.get(word, word), word + "y", word.removesuffix("y"), word.removesuffix("k"))
    found = {name for name in short if name in known}
    if (not found or word[0] == "w") and _FLOATING.fullmatch(word):
        return _ANYTHING
    found.update(_FORMS.get(word, ()))
    return frozenset(found) or None
