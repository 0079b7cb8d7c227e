"""riscv64's texts as steps: how Cranelift's own text of an instruction is read.

The one idea: a text becomes steps (`regalloc.steps`) in the order of the machine's fields, with the table's names:
pseudo-instructions stand for what they mean. What is several instructions by nature is in `sequences`. A word that is
not known here is not read. Nothing here looks at machine code.

Source: cranelift-codegen 0.130 to 0.137 isa/riscv64/inst/mod.rs (`print_with_state`), args.rs, vector.rs.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Final, NamedTuple

from liftcheck.isa.riscv64.known import known
from liftcheck.isa.riscv64.sequences import selection, sequences
from liftcheck.isa.riscv64.spelling import ROUNDINGS
from liftcheck.mach.insn import Insn
from liftcheck.regalloc.steps import ANY, SLOT_AREA, Distance, Item, Register, Step

_ROWS: Final = frozenset(known())
_ROUNDED: Final = frozenset(name for name, one in known().items() if one.rounds)
ZERO: Final = Register(-2)
PC: Final = "pc"


def _registers() -> Mapping[str, Register]:
    """By the names of texts, of the tables and of sequences."""
    names = {"zero": 0, "ra": 1, "sp": 2, "gp": 3, "tp": 4, "fp": 8, "s1": 9}
    names |= {f"t{n}": n + 5 for n in range(3)} | {f"t{n}": n + 25 for n in range(3, 7)}
    names |= {f"a{n}": n + 10 for n in range(8)} | {f"s{n}": n + 16 for n in range(2, 12)}
    names |= {f"ft{n}": 64 + n for n in range(8)} | {f"ft{n}": 64 + n + 20 for n in range(8, 12)}
    names |= {"fs0": 72, "fs1": 73} | {f"fa{n}": 74 + n for n in range(8)} | {f"fs{n}": 80 + n for n in range(2, 12)}
    names |= {f"{kind}{n}": first + n for kind, first in (("x", 0), ("f", 64), ("v", 128)) for n in range(32)}
    return {name: Register(-2 - place) for name, place in names.items()}


NAMES: Final = _registers()
_STATE: Final = re.compile(r" #avl=(\d+), #vtype=\(e(\d+), (m[1248]|mf[248]), (t[au]), (m[au])\)")
_GROUPS: Final = ("m1", "m2", "m4", "m8", "", "mf8", "mf4", "mf2")
_VREG: Final = re.compile(r"%v(\d+)(\.t)?")
_ADDRESS: Final = re.compile(r"(-?)(-?\d+)\(([^)]+)\)")
_IN_CODE: Final = re.compile(r"\[(?:const\(|label)\d+\)?\]")
_ORDER: Final = re.compile(r"\.(?:aqrl|aq|rl)$")
BRANCHES: Final[Mapping[str, tuple[str, str, bool]]] = {
    "beq": ("beq", "bne", False), "bne": ("bne", "beq", False), "blt": ("blt", "bge", False),
    "bge": ("bge", "blt", False), "bltu": ("bltu", "bgeu", False), "bgeu": ("bgeu", "bltu", False),
    "bgt": ("blt", "bge", True), "ble": ("bge", "blt", True), "bgtu": ("bltu", "bgeu", True),
    "bleu": ("bgeu", "bltu", True),
}  # fmt: skip
"""What a block's branch is emitted as, or the other way round; whether its operands are exchanged."""


def direction(text: str, machine: Insn, _data: bytes) -> int:
    """See `isa.base.Isa.direction`."""
    holds, fails, _ = BRANCHES.get(text.partition(" ")[0], ("", "", False))
    return (machine.name == holds) - (machine.name == fails)


class Shape(NamedTuple):
    """What a text is emitted as: one of several ways. `state`: the vector configuration that may be made before it;
    `standing`: pairs of which each is in one place if one of `turned` is meant; `calls`: results may be taken from the
    stack after it; `branches`: the registers of a branch alone are compared."""

    ways: tuple[tuple[Step, ...], ...]
    state: int = 0
    standing: tuple[tuple[Item, Item], ...] = ()
    turned: tuple[tuple[Step, ...], ...] = ()
    calls: bool = False
    branches: bool = False


_SAYS_NOTHING: Final = frozenset(
    {"args", "rets", "ret", "j", "unwind", "##zero", "##fixed", "dummy_use", "sequence_point", "emit_island",
     "inline_stack_probe##guard_size", "return_call", "return_call_ind", "elf_tls_get_addr", "csrrw", "csrrs", "csrrc",
     "csrrwi", "csrrsi", "csrrci"}
)  # fmt: skip
"""Words of what has no bytes or no operands, of jumps, and of what is not read here."""


@lru_cache(maxsize=1 << 13)
def shape_of(literals: tuple[str, ...]) -> Shape | None:
    """Of a text with these pieces between its virtual registers; None: it is not known."""
    text = "".join(f"%v{number - 1}{piece}" if number else piece for number, piece in enumerate(literals))
    word, _, rest = text.partition(" ")
    if word.partition("=")[0] in _SAYS_NOTHING:
        return None
    try:
        if word in ("call", "callind"):
            return _called(word, rest.partition(";")[0])
        if word in BRANCHES:
            first, second = (_register(one) for one in rest.split(",")[:2])
            items = (second, first) if BRANCHES[word][2] else (first, second)
            return Shape(((Step(frozenset(BRANCHES[word][:2]), items),),), branches=True)
        if chosen := selection(text):
            pairs = zip(map(_register, chosen.results), map(_register, chosen.seconds))
            return Shape(_ways(chosen.ways), 0, tuple(pairs), _ways(chosen.turned))
        if many := sequences(text):
            return Shape(_ways(many))
        state = _STATE.search(text)
        plain = _STATE.sub("", text)
        return Shape((tuple([_step(one) for one in plain.split("; ") if one]),), _configuration(state) if state else 0)
    except _UnknownError:
        return None


class _UnknownError(Exception):
    """A word that is not read here."""


def _ways(texts: Sequence[str]) -> tuple[tuple[Step, ...], ...]:
    return tuple([tuple(_labelled([_step(one) for one in way.split("; ")])) for way in texts])


def _labelled(steps: Sequence[Step]) -> Iterator[Step]:
    """A label that stands alone is that of the next step."""
    label = ""
    for number, step in enumerate(steps):
        if step.words or number == len(steps) - 1:
            yield step._replace(label=step.label or label)
            label = ""
        else:
            label = step.label


def _called(word: str, register: str) -> Shape:
    """A call to a symbol, or to what a register holds."""
    link = Register(-3)
    if word == "callind":
        return Shape(((Step(frozenset({"jalr"}), (link, _register(register), 0)),),), calls=True)
    steps = (Step(frozenset({"auipc"}), (link, 0)), Step(frozenset({"jalr"}), (link, link, 0)))
    return Shape((steps,), calls=True)


def _step(text: str) -> Step:
    """`1: lr.w %v0, %v3`, `bne x10, x0 >2`, or a text."""
    label, colon, rest = text.partition(":")
    if not colon:
        label, rest = "", text
    word, _, operands = rest.strip().partition(" ")
    before, _, goal = operands.partition(" >")
    if not word:
        return Step(frozenset(), (), label)
    items: list[Item] = []
    for one in before.split(","):
        items += _read(one.strip())
    word, items = _meant(_ORDER.sub("", word), items, "(" in before)
    if word not in _ROUNDED:  # some texts tell of the field that others have a rounding mode in
        items = [one for one in items if one not in ROUNDINGS]
    name, row = same_as(word, items)
    if name not in _ROWS and name not in ("load_addr", "c.unimp", "mv"):
        raise _UnknownError(name)
    return Step(frozenset({name}), tuple(row), label, goal)


def _read(text: str) -> list[Item]:
    """Operands of a text, an address being two: its base and the distance."""
    if not text:
        return []
    if text in ROUNDINGS:
        return [text]
    if found := _ADDRESS.fullmatch(text):
        value = int(found[1] + found[2]) if found[1] + found[2][:1] != "--" else int(found[2][1:])
        if found[3] == "slot":
            return [NAMES["sp"], Distance(SLOT_AREA, value)]
        if found[3] == "incoming_arg":
            return [NAMES["sp"], Distance("incoming", value)]
        return [_register(found[3]), value]
    if _IN_CODE.fullmatch(text):
        return [PC, ANY]
    if text == ANY:
        return [ANY]
    if text[0] == "(":
        return [_register(text.strip("()"))]
    if text in _CONSTANTS:
        return [_CONSTANTS.index(text)]
    if text.lstrip("-").isdigit():
        return [int(text)]
    return [_register(text)]


def _register(text: str) -> Register:
    if found := _VREG.fullmatch(text.strip()):
        return Register(int(found[1]), found[2] or "")
    if text.strip() not in NAMES:
        raise _UnknownError(text)
    return NAMES[text.strip()]


_FLOATS: Final = {"fmv": "fsgnj", "fneg": "fsgnjn", "fabs": "fsgnjx"}
_TWICE: Final = {
    **{f"{name}.{z}": f"{machine}.{z}" for name, machine in _FLOATS.items() for z in "hsdq"},
    "vfneg.v": "vfsgnjn.vv", "vfabs.v": "vfsgnjx.vv", "vmnot.m": "vmnand.mm",
}  # fmt: skip
"""Names of what has one input for both."""
_WITH: Final[Mapping[str, tuple[str, Item]]] = {
    "sext.w": ("addiw", 0), "not": ("xori", -1), "seqz": ("sltiu", 1), "zext.w": ("add.uw", ZERO),
    "vneg.v": ("vrsub.vx", ZERO), "vnot.v": ("vxor.vi", 31),
}  # fmt: skip
"""Names of what has one operand for certain."""
_SHIFTS: Final = {
    **dict.fromkeys(["slli", "srli", "srai", "rori", "slli.uw", "bclri", "bexti", "binvi", "bseti"], 63),
    **dict.fromkeys(["slliw", "srliw", "sraiw", "roriw"], 31),
}  # fmt: skip
"""Whose amounts wrap around: texts have them as the program has."""
_CONSTANTS: Final = tuple(
    """
    -1.0 min 2^-16 2^-15 2^-8 2^-7 0.0625 0.125 0.25 0.3125 0.375 0.4375 0.5 0.625 0.75 0.875 1.0 1.25 1.5 1.75 2.0 2.5
    3.0 4.0 8.0 16.0 128.0 256.0 32768.0 65536.0 inf nan
    """.split()  # noqa: SIM905
)
"""Of `fli`, by their numbers."""


def _meant(word: str, items: list[Item], pointed: bool) -> tuple[str, list[Item]]:
    """What a word of the compiler's own means. `pointed`: an operand is an address."""
    if word in _TWICE:
        return _TWICE[word], [*items, items[-1]]
    if word in _WITH:
        name, last = _WITH[word]
        lanes = [one for one in items[2:] if isinstance(one, Register)]
        return name, [*items[:2], last, *lanes]
    if word == "li":
        return "addi", [items[0], ZERO, *items[1:]]
    if word in ("sgt", "sgtu"):
        return word.replace("sgt", "slt"), [items[0], items[2], items[1]]
    if word == "andi" and len(items) == 2:
        return word, [*items, 255]
    if word == "packw" and items[-1] == ZERO:
        return "zext.h", items[:2]
    if word == "lui" and isinstance(items[1], int):
        return word, [items[0], _signed(items[1] << 12)]
    if word.startswith(("amo", "sc.")) and pointed:
        return word, [items[0], items[2], items[1]]
    if word in ("fsrm", "fsrmi"):
        return ("csrrw", [ZERO, *items]) if word == "fsrm" else ("csrrwi", items)
    if word in _SHIFTS and isinstance(items[-1], int):
        return word, [*items[:-1], items[-1] & _SHIFTS[word]]
    if word[0] == "v":
        return word, _of_vector(word, items)
    return word, items


def _signed(value: int) -> int:
    return (value & 0xFFFFFFFF ^ 1 << 31) - (1 << 31)


def _of_vector(word: str, items: list[Item]) -> list[Item]:
    """Without an input that the result takes the place of; constants have five bits."""
    if word.startswith(("vle", "vse")) and word[3].isdigit():
        return items
    if len([one for one in items if not (isinstance(one, Register) and one.lane)]) == 4:
        items = [items[0], *items[2:]]
    return [one & 31 if isinstance(one, int) else one for one in items]


def _configuration(found: re.Match[str]) -> int:
    """As `vector.configuration` has it, before its length is cut."""
    bits = _GROUPS.index(found[3]) | (int(found[2]).bit_length() - 4) << 3
    return int(found[1]) << 16 | bits | (found[4] == "ta") << 6 | (found[5] == "ma") << 7


def same_as(name: str, items: Sequence[Item]) -> tuple[str, tuple[Item, ...]]:
    """Moves have one name."""
    if name in ("addi", "ori") and len(items) == 3 and items[2] == 0 and not isinstance(items[2], Register):
        return "mv", tuple(items[:2])
    if name == "add" and len(items) == 3 and items[1] == ZERO:
        return "mv", (items[0], items[2])
    return name, tuple(items)
