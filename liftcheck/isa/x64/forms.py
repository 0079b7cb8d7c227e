"""Cranelift's own texts of x86-64 instructions, read into forms that can be held against machine instructions.

The one idea: a text is read once, with its virtual registers numbered; the form says of each machine instruction its
mnemonic and its operands in Intel's order. Words of the frame are named by their distance from where the stack slots
(`<offset:1>`), or the incoming arguments (`<offset:0>`), begin. What is several instructions by nature is written in
`sequences`. What a text says nothing of that can be compared has no form.

Source: cranelift-codegen 0.135 to 0.137 isa/x64/inst/mod.rs (`pretty_print`), cranelift-assembler-x64 src/mem.rs.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Final, NamedTuple

from liftcheck.isa.x64.places import PLACES
from liftcheck.isa.x64.sequences import LOADS_NAME, MOVES, opposite, sequences, wide_loop
from liftcheck.mach.regs import NONE

BY_WORD: Final = -1
"""A register's size is what the mnemonic says."""
RIP: Final = -1000
"""A base: the instruction's own place. No register has this number."""
LETTERS: Final = {"b": 1, "w": 2, "d": 4, "q": 8, "o": 16, "x": 0}
"""Sizes of registers in sequences."""


class Register(NamedTuple):
    """`number`: the place; in a text the number among its virtual registers, or `-1 - place`. `size` in bytes; 0: not
    said."""

    number: int
    size: int = BY_WORD


class Memory(NamedTuple):
    """Registers as in `Register`, NONE: there is none. `begin`: what the distance is counted from, '' for the base."""

    base: int
    by: int = NONE
    scale: int = 1
    distance: int = 0
    begin: str = ""


Operand = Register | Memory | int | str
"""A number is a constant, a word anything: a label, a symbol."""


class Form(NamedTuple):
    """One machine instruction. `word`: its mnemonic as texts spell it. `label`: its own, and `goal` the one that it
    leads to, '' if it is not said."""

    word: str
    operands: tuple[Operand, ...]
    label: str = ""
    goal: str = ""

    @property
    def untold(self) -> int:
        """Where memory that the text does not tell is accessed; -1: it is not."""
        return next((int(one[2:]) for one in self.operands if isinstance(one, str) and one[1:2] == "m"), -1)


class Shape(NamedTuple):
    """What texts of one form are emitted as: one of several ways. `by_operand`: the text names no virtual registers,
    and numbers are those of the operands. `calls`: results may be taken from the stack after it."""

    ways: tuple[tuple[Form, ...], ...]
    by_operand: bool = False
    calls: bool = False


_SAYS_NOTHING: Final = frozenset({"args", "rets", "uninit", "unwind", "dummy_use", "sequence_point", "jmp", "nop",
                                  "return_call_known", "return_call_unknown", "stack_probe_loop"})  # fmt: skip
"""Words of what has no bytes, or none that are the instruction's own, and of jumps, which are left out where they lead
to what follows."""


@lru_cache(maxsize=1 << 13)
def shape_of(literals: tuple[str, ...]) -> Shape | None:
    """What a text with these pieces between its virtual registers may be emitted as; None: that is not known."""
    text = "".join(f"v{number - 1}{piece}" if number else piece for number, piece in enumerate(literals))
    shown = text.partition(" ;;")[0].strip()
    word, _, rest = shown.partition(" ")
    if not word or word in _SAYS_NOTHING:
        return None
    if word == "call":
        callee = rest.strip().partition("; ")[0]
        operand = _operand(callee[1:]) if callee[0] == "*" else callee
        return None if operand is None else Shape(((Form("call", (operand,)),),), calls=True)
    if word == "atomically" and (steps := sequences().get(text.partition(";")[0])):
        return Shape((_steps(steps),), by_operand=True)
    if word == "atomically" and (loop := _WIDE.search(shown)):
        return Shape((_steps(wide_loop(loop[1] or "", loop[3] or "0", loop[2] or "0")),))
    if many := _several(word, shown):
        return Shape(tuple([_steps(steps) for steps in many]))
    if ";" in shown or word[0] == "j" or word == "atomically":
        return None
    if word == "lock":
        second, _, rest = rest.partition(" ")
        word = f"lock {second}"
    operands = [_operand(one) for one in reversed(_cut(rest.strip()))]
    return (
        Shape(((Form(word, tuple([one for one in operands if one is not None])),),)) if None not in operands else None
    )


_WIDE: Final = re.compile(r"; (?:[^;]*:%v\d+ ([A-Z]\w+) %v(\d+):%v(\d+); )?[^;]* = %v\d+:%v\d+ \}$")
_TRAP_IF: Final = re.compile(r"j(\w+) #trap=.*")
_TRAP_IF_BOTH: Final = re.compile(r"trap_if_(and|or) (\w+), (\w+), .*")
_SELECT: Final = re.compile(r"mov\w+ %v0, %v1; j(\w+) \$next; mov\w+ %v2, %v3; \$next:")
_MIN_MAX: Final = re.compile(r"(xmm (?:min|max) seq f\d+) .*")
_SIZE_LETTER: Final = re.compile(r"%v\d+([bwl]?)")


def _several(word: str, text: str) -> Sequence[str]:
    """The ways of what is several instructions, or has a name of its own."""
    if found := _TRAP_IF.fullmatch(text):
        return (f"j{found[1]} !",)
    if found := _TRAP_IF_BOTH.fullmatch(text):
        other = f"j{opposite(found[3])} !"
        return (f"j{found[2]} >1; {other}; 1:",) if found[1] == "and" else (f"j{found[2]} !; {other}",)
    if found := _SELECT.fullmatch(text):
        return tuple([f"j{found[1]} >1; {move} x3, x2; 1:" for move in MOVES])
    if found := _MIN_MAX.fullmatch(text):
        return (sequences()[found[1]],)
    if word == "checked_srem_seq":
        letter = "b" if text.count("%v") == 3 else {"": "q", "l": "d"}.get(size := _SIZE_LETTER.findall(text)[0], size)
        return (sequences()[f"{word} {letter}"],)
    if word == "load_ext_name":
        return tuple(LOADS_NAME)
    if word == "label_address":
        return ("lea q0, t",)
    return (sequences()[word],) if word in sequences() else ()


@lru_cache(maxsize=1 << 10)
def _steps(text: str) -> tuple[Form, ...]:
    """A sequence as it is written in `sequences`. A label at its end is a form without a word."""
    found = []
    for part in text.split(";"):
        label, word, rest = _parted(part.strip())
        operands = [_written(one.strip()) for one in rest.split(",")] if rest else []
        goal = next((one[1:] or "!" for one in operands if isinstance(one, str) and one[0] in ">!"), "")
        found.append(Form(word, tuple(operands), label, goal))
    return tuple(found)


def _parted(step: str) -> tuple[str, str, str]:
    label, colon, rest = step.partition(":")
    if not colon:
        label, rest = "", step
    words = rest.strip()
    locked = words.startswith("lock ")
    word, _, operands = words.removeprefix("lock ").partition(" ")
    return label, f"lock {word}" if locked else word, operands


_PLAIN: Final = re.compile(r"([qdwbx])(\d+)")


def _written(text: str) -> Operand:
    """An operand of a step. `t`: a distance from the instruction; `[1+0*4]`: registers 1 and 0."""
    if found := _PLAIN.fullmatch(text):
        return Register(int(found[2]), LETTERS[found[1]])
    if text[0] == "[":
        return Memory(int(text[1]), int(text[3]), int(text[5]))
    if text == "t":
        return Memory(RIP)
    if text in PLACES:
        return Register(-2 - PLACES[text], 8)
    return text if text[0] in ">!c" or text[1:2] == "m" else int(text, 0)


def _cut(text: str) -> list[str]:
    """Operands; commas in parentheses belong to an address."""
    found, depth, start = [], 0, 0
    for at, sign in enumerate(text):
        depth += (sign == "(") - (sign == ")")
        if sign == "," and not depth:
            found.append(text[start:at].strip())
            start = at + 1
    return [*found, text[start:].strip()] if text else []


_NUMBER: Final = re.compile(r"\$(-?(?:0x)?[0-9a-f]+)")
_TIED: Final = re.compile(r"\(%v(\d+) <- [^)]*\)")
_NAME: Final = re.compile(r"%(?:v(\d+)|(\w+))")
_ADDRESS: Final = re.compile(r"(?:<offset:(\d)>\+)?(-?(?:0x)?[0-9a-f]*)\((%\w+)(?:, (%\w+)(?:, (\d))?)?\)")


def _operand(text: str) -> Operand | None:
    """None: it is not known."""
    if found := _NUMBER.fullmatch(text):
        return int(found[1], 0)
    if found := _TIED.fullmatch(text):
        return Register(int(found[1]))
    if text[0] == "%":
        number = _register(text)
        return None if number is None else Register(number)
    if found := _ADDRESS.fullmatch(text):
        if found[3] == "%rip":
            return Memory(RIP)
        base, index = _register(found[3]), _register(found[4]) if found[4] else NONE
        if base is None or index is None:
            return None
        return Memory(base, index, int(found[5] or 1), int(found[2] or "0", 0), found[1] or "")
    return text if text.startswith(_SYMBOLS) else None


_SYMBOLS: Final = ("label", "TestCase", "UserExternalName", "LibCall", "KnownSymbol", "User", "%")


def _register(text: str) -> int | None:
    found = _NAME.fullmatch(text)
    if found is None or not (found[1] or found[2] in PLACES):
        return None
    return int(found[1]) if found[1] else -2 - PLACES[found[2]]
