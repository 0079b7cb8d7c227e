"""Whether aarch64's machine instructions are those that Cranelift's own text of an instruction names.

The one idea: the text is as an assembler would write it, so its mnemonic is the machine instruction's, or one that a
disassembler prefers a shorter name to; an address may be made before an access. Of loops and of what is several
instructions by nature, the mnemonics that they are made of are known. A word that is not known here says nothing; of
operands only whether an access is by the frame pointer is compared.

Source: cranelift-codegen 0.135 isa/aarch64/inst/mod.rs (`print_with_state`), inst/emit.rs.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Final

from liftcheck.mach.insn import Insn

_SHORTER: Final[Mapping[str, str]] = {
    "adds": "cmn", "ands": "tst", "subs": "cmp negs", "sub": "neg", "orr": "mov", "orn": "mvn orr# mov#", "bic": "and#",
    "eon": "eor#", "movz": "mov",
    "movn": "mov", "mov": "add fmov movi", "csneg": "cneg", "extr": "ror", "madd": "mul", "msub": "mneg",
    "smaddl": "smull", "umaddl": "umull", "rev32": "rev", "rev64": "rev", "sxtl": "sshll", "sxtl2": "sshll2",
    "uxtl": "ushll", "uxtl2": "ushll2", "cmle": "cmge", "cmlt": "cmgt", "cset": "csinc", "csetm": "csinv",
    "label_address": "adr", "umov": "mov", "mvn": "not", "ubfm": "ubfx ubfiz lsl lsr uxtb uxth",
    "sbfm": "sbfx sbfiz asr sxtb sxth sxtw",
}  # fmt: skip
"""What else a word is called, or is emitted as; `#`: with a constant, of which it has the bits inverted."""
_ACCESS: Final = re.compile(r"(?:ldr|str)(?:s?[bhw])?")
_MADE: Final = frozenset({"mov", "movk", "add", "adrp", "ldr", "b"})
"""What an address is made by before an access, and the island round a constant."""
_UNKNOWN: Final = frozenset(
    {"args", "rets", "asp", "elf_tls_get_addr", "macho_tls_get_addr", "emit_island", "dummy_use", "sequence_point",
     "udf", "nop", "bti", "brk", "mrs", "msr", "unwind", "stack_probe_loop", "return_call", "return_call_ind",
     "load_ext_name_got", "data.i32", "data.i64", "sbfx", "ubfx", "shl", "shll2", "xpaclri", "swpal", "ret", "br"}
)  # fmt: skip
_FRAME: Final = 29
RESULTS: Final = re.compile(r"b|ldu?r[bhw]?|stu?r[bhw]?|sub|mov|movk")
"""What follows a call: results are taken from the stack, and the stack pointer may be moved."""
GLUED: Final = re.compile(r"(?<=\d)(?=movk |add )")
"""Where the text of a far address has nothing between two instructions."""
_CONDITION: Final = re.compile(r"b\.(\w\w)|(cbn?z)|(tbn?z)")
_OPPOSITE: Final = (("eq", "ne"), ("hs", "lo"), ("mi", "pl"), ("vs", "vc"), ("hi", "ls"), ("ge", "lt"), ("gt", "le"))
_EITHER: Final = {one: pair for pair in _OPPOSITE for one in pair}
_SUFFIX: Final = {"8": "b", "16": "h", "32": "", "64": ""}
_STEPS: Final[Mapping[str, frozenset[str]]] = {
    **{op: frozenset({op}) for op in ("add", "and", "eor", "orr", "sub")},
    "nand": frozenset({"and", "mvn"}),
    "xchg": frozenset(),
    **dict.fromkeys(("smax", "smin", "umax", "umin"), frozenset({"cmp", "csel", "sxtb", "sxth"})),
}  # fmt: skip
_MANY: Final[Mapping[str, frozenset[str]]] = {
    "load_ext_name_near": frozenset({"adrp", "add"}),
    "load_ext_name_far": frozenset({"ldr", "b", "udf"}),
    "br_table": frozenset({"mov", "movk", "csel", "csdb", "adr", "ldrsw", "add", "br", "b.hs"}),
    "b": frozenset({"b", "bti"}),  # a jump that falls through to a place that jumps through registers lead to
    "vcsel": frozenset({"mov", "b", *(f"b.{condition}" for condition in _EITHER)}),
}


def agrees(text: str, machines: Sequence[Insn]) -> bool:
    """See `isa.base.Isa.listing`."""
    if text.startswith("movz") and ";" not in text:
        text = GLUED.sub("; ", text)
    words = tuple([part.strip().partition(" ")[0] for part in text.split(";")])
    if len(machines) == 1 and machines[0].accesses and ("[fp" in text) != (machines[0].accesses[0].base == _FRAME):
        return False
    return _agree(words, tuple([_name(m.name, m.operands) for m in machines]))


@lru_cache(maxsize=1 << 14)
def _name(name: str, operands: str) -> str:
    """A mnemonic, with a mark if it is a logical one with a constant; a shift by nothing is one to the left, too."""
    if name in ("and", "eor", "orr", "mov") and operands.rpartition(", ")[2][0] == "#":
        return f"{name}#"
    return "lsl" if name == "lsr" and operands.endswith("#0") else name


@lru_cache(maxsize=1 << 14)
def _agree(words: tuple[str, ...], machines: tuple[str, ...]) -> bool:
    """The same of mnemonics."""
    word = words[0]
    if word in ("bl", "blr"):
        return machines[0] == word and all(RESULTS.fullmatch(machine.rstrip("#")) for machine in machines[1:])
    if "csdb" in words:
        word = "br_table"
    elif _CONDITION.fullmatch(word):
        return _branches(word, machines)
    elif len(words) > 1:
        return _all_mean(words, machines)
    if word.startswith("atomic_"):
        return _loops(word, tuple([machine.rstrip("#") for machine in machines]))
    if word in _MANY:
        return _MANY[word].issuperset(machine.rstrip("#") for machine in machines)
    if word in _UNKNOWN or (word not in _SHORTER and not re.fullmatch(r"[a-z][a-z0-9]*", word)):
        return True
    before = _MADE if _ACCESS.fullmatch(word) or word == "ldr" else frozenset()
    return _meant(machines[-1], word) and before.issuperset(machine.rstrip("#") for machine in machines[:-1])


@lru_cache(maxsize=1 << 10)
def means(word: str) -> frozenset[str]:
    """The machine instructions that a word means."""
    found = {word, *_SHORTER.get(word, "").split()}
    if _ACCESS.fullmatch(word):
        found.add(f"{word[:2]}u{word[2:]}")
    return frozenset(found)


def _meant(machine: str, word: str) -> bool:
    """`machine`: with its mark."""
    return machine in means(word) or machine.rstrip("#") in means(word)


def _all_mean(words: tuple[str, ...], machines: tuple[str, ...]) -> bool:
    """One instruction for each word; where there are fewer or more, nothing is known."""
    if len(words) != len(machines) or not _UNKNOWN.isdisjoint(words):
        return True
    return all(_meant(machine, word) for word, machine in zip(words, machines))


def direction(text: str, machine: Insn, _data: bytes) -> int:
    """See `isa.base.Isa.direction`."""
    word, name = text.partition(" ")[0], machine.name
    if word == name:
        return 1
    if word[:2] == "b." == name[:2]:
        return -(name[2:] in _EITHER.get(word[2:], ()))
    return -({word, name} in ({"cbz", "cbnz"}, {"tbz", "tbnz"}))


def _branches(word: str, machines: tuple[str, ...]) -> bool:
    """A branch either way, with or without the jump after it; nothing, if both ways are one."""
    found = _CONDITION.fullmatch(word)
    assert found is not None
    if found[1]:
        names = {f"b.{one}" for one in _EITHER.get(found[1], (found[1],))}
    else:
        names = {"cbz", "cbnz"} if found[2] else {"tbz", "tbnz"}
    return all(name in names or name in ("b", "bti") for name in machines)


def _loops(word: str, machines: tuple[str, ...]) -> bool:
    """A loop round an exclusive load and its store."""
    _, kind, _, *rest = word.split("_")
    suffix = _SUFFIX[rest[-1]]
    ends = (machines[0], *machines[-2:]) == (f"ldaxr{suffix}", f"stlxr{suffix}", "cbnz")
    if kind == "cas":
        return ends and {"cmp", "b.ne", "uxtb", "uxth"}.issuperset(machines[1:-2])
    return ends and _STEPS.get(rest[0], frozenset(machines)).issuperset(machines[1:-2])
