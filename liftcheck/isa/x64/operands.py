"""Whether x86-64's machine instructions have the operands that Cranelift's own text of an instruction names.

The one idea: a text is read into a form (`forms`), which is held against what Capstone names, operand by operand.
Sizes are the mnemonic's; a spilled operand is the word of its spill slot; where an address is made in the place of its
base or index, the compiler adds instead. What has matched once is known by its spelling (`regalloc.spelling`).

It does not compare where a jump out of an instruction leads, nor which constant of the code's own an access by `rip`
means.
Source: cranelift-codegen 0.135 to 0.137 isa/x64/inst/emit.rs; forms.py.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Final

from liftcheck.isa.x64.forms import BY_WORD, LETTERS, RIP, Form, Memory, Operand, Register, shape_of
from liftcheck.isa.x64.listing import EXTENDS, SIZES, is_named, width
from liftcheck.isa.x64.places import PLACES
from liftcheck.isa.x64.sequences import MOVES, condition
from liftcheck.mach.insn import PC, STACK_POINTERS, Insn
from liftcheck.mach.regs import NONE, SLOT
from liftcheck.regalloc.allocation import USE
from liftcheck.regalloc.named import ALL, DIFFERS, FITS, SILENT, Named
from liftcheck.regalloc.results import retrieved
from liftcheck.regalloc.spelling import Text, cut, known, learn
from liftcheck.regalloc.steps import leads

_SP: Final = STACK_POINTERS["x86-64"]
_VECTORS: Final = 64
"""Places from here on are vector registers."""


def compare(text: str, own: Sequence[tuple[int, Insn]], named: Named) -> str:
    """See `regalloc.named.Reader`."""
    parts = cut(text)
    if len(own) == 1 and known(parts, own[0][1], named):
        return ALL
    shape = shape_of(parts.pieces)
    if shape is None:
        return SILENT
    numbers = tuple([one.vreg for one in named.operands]) if shape.by_operand else parts.vregs
    if shape.calls:
        fits = bool(own) and _fits(shape.ways[0][0], own[0][1], numbers, named)
        return FITS if fits and retrieved("x86-64", [machine for _, machine in own[1:]], named) else DIFFERS
    if not any(_fit(way, own, numbers, named) for way in shape.ways):
        return DIFFERS
    if len(own) == 1 and len(shape.ways) == 1:
        _learn(parts, shape.ways[0][0], own[0][1], named)
    return ALL


# Instructions


_HIGH: Final = ("ah", "bh", "ch", "dh")
_UNKNOWN: Final = -99
"""A register that no text has."""
_POINTED: Final = re.compile(r"(?:(\w+) ptr )?\[([^\]]*)\]")
_TERM: Final = re.compile(r"(?: ?([+-]) ?)?(?:(\w+)\*(\d)|(0x[0-9a-f]+|\d+)|(\w+))")


@lru_cache(maxsize=1 << 15)
def _operands(text: str) -> tuple[Operand, ...]:
    """What Capstone names. What is not understood is a word that no text has."""
    return tuple([_named(one) for one in text.split(", ")]) if text else ()


def _named(text: str) -> Operand:
    if text in _HIGH:  # no text has one
        return f"?{text}"
    if text in PLACES:
        return Register(PLACES[text], width(text))
    if found := _POINTED.fullmatch(text):
        return _memory(found[2])
    try:
        return int(text, 0)
    except ValueError:
        return f"?{text}"


def _memory(text: str) -> Operand:
    base, index, scale, distance = NONE, NONE, 1, 0
    for sign, scaled, by, number, name in _TERM.findall(text):
        if scaled:
            index, scale = PLACES.get(scaled, _UNKNOWN), int(by)
        elif number:
            distance += int(number, 0) * (-1 if sign == "-" else 1)
        elif name == "rip":
            base = PC
        elif name not in PLACES:
            return f"?{text}"
        elif base == NONE:
            base = PLACES[name]
        else:
            index = PLACES[name]
    return Memory(base, index, scale, distance)


# Both


def _fit(way: Sequence[Form], own: Sequence[tuple[int, Insn]], numbers: Sequence[int], named: Named) -> bool:
    """One way."""
    if len(way) == len(own) == 1 and not way[0].goal:
        return _fits(way[0], own[0][1], numbers, named)
    forms = way[:-1] if not way[-1].word else way
    if len(forms) != len(own) or not all(_fits(form, m, numbers, named) for form, (_, m) in zip(forms, own)):
        return False
    end = own[-1][0] + own[-1][1].size
    offsets = [*(at for at, _ in own), end]
    labels = {form.label: at for form, at in zip(way, offsets) if form.label}
    rows = [(form.untold, m) for form, (_, m) in zip(forms, own) if form.untold >= 0]
    places = {_place(beyond, m, named) for beyond, m in rows}
    return len(places) < 2 and all(_leads(form, at, m, labels, offsets[0], end) for form, (at, m) in zip(forms, own))


def _place(beyond: int, machine: Insn, named: Named) -> tuple[object, ...]:
    """Where an instruction accesses memory, by what is in its registers; `beyond`: so many bytes after the address."""
    access = machine.accesses[0]
    scale = next((one.scale for one in _operands(machine.operands) if isinstance(one, Memory)), 1)
    return _held(access.base, named), _held(access.scaled, named), scale, access.displacement - beyond


def _held(place: int, named: Named) -> tuple[int, bool]:
    """What is in a register, of which an allocator may have made copies: an input, else the register itself."""
    inputs = [one.vreg for one, where in zip(named.operands, named.given) if where == place and one.kind == USE]
    return (min(inputs), True) if inputs else (place, False)


def _leads(form: Form, at: int, machine: Insn, labels: Mapping[str, int], start: int, end: int) -> bool:
    """Whether an instruction leads to where it should: a trap stands outside, and so may what stands at the end, if
    that is a jump."""
    if not form.goal or machine.target is None:
        return not form.goal
    goal = at + machine.target
    if form.goal == "!":
        return goal >= end
    return leads(goal, labels[form.goal], start, end)


def _fits(form: Form, machine: Insn, numbers: Sequence[int], named: Named) -> bool:
    """One instruction."""
    if form.word != machine.name:
        size = max([access.size for access in machine.accesses], default=0)
        if not (is_named(form.word, machine.name, size) or _spelt(form.word, machine.name)):
            return False
    have = _operands(machine.operands)
    if machine.name == "add" and form.word in ("leal", "leaq"):
        return _adds(form, have, numbers, named)
    if len(have) != len(form.operands):
        return False
    sizes = _sizes(form.word, machine.name, len(have))
    for want, got, size in zip(form.operands, have, sizes):
        if isinstance(want, Register):
            if not _in_place(want, got, size, numbers, named):
                return False
        elif isinstance(want, Memory):
            if not isinstance(got, Memory) or not _at(want, got, numbers, named):
                return False
        elif isinstance(want, int):
            if not isinstance(got, int) or _differ(want, got, have[0], size):
                return False
        elif want[1:2] == "m" and (not isinstance(got, Memory) or LETTERS[want[0]] != machine.accesses[0].size):
            return False
    return True


def _differ(one: int, other: int, first: Operand, size: int) -> bool:
    """Constants of an operand's size."""
    if one == other:
        return False
    size = size or (first.size if isinstance(first, Register) else 8)
    return bool((one - other) & (1 << 8 * (size or 8)) - 1)


def _in_place(want: Register, got: Operand, size: int, numbers: Sequence[int], named: Named) -> bool:
    """A register, or the spill slot in its place."""
    if isinstance(got, Register):
        if not _is(want.number, got.number, numbers, named):
            return False
        size = size if want.size == BY_WORD else want.size
        return got.number >= _VECTORS or not size or got.size == size
    if not isinstance(got, Memory) or got[:3] != (_SP, NONE, 1) or not 0 <= want.number < len(numbers):
        return False
    place = named.places.get(numbers[want.number], NONE)
    return place >= SLOT and named.is_slot(place, got.distance)


def _is(number: int, place: int, numbers: Sequence[int], named: Named) -> bool:
    """Whether a register of a text is in a place."""
    if number < 0:
        return place == (NONE if number == NONE else -2 - number)
    if number >= len(numbers):  # a description that lacks an operand which the text has
        return False
    vreg = numbers[number]
    return named.places.get(vreg) == place or named.also(vreg, place)


def _at(want: Memory, got: Memory, numbers: Sequence[int], named: Named) -> bool:
    """An address."""
    if want.base == RIP:
        return (got.base, got.by) == (PC, NONE)
    same = _is(want.base, got.base, numbers, named) and _is(want.by, got.by, numbers, named)
    if not same or (want.by != NONE and want.scale != got.scale):
        return (
            want.scale == 1 and not want.begin and want.distance == got.distance and _turned(want, got, numbers, named)
        )
    distance = got.distance - want.distance
    if want.begin == "1" and named.slots is not None:
        return distance == named.slots
    return named.distance(want.begin, distance) if want.begin else not distance


def _turned(want: Memory, got: Memory, numbers: Sequence[int], named: Named) -> bool:
    """Base and index exchanged."""
    if want.by == NONE or got.by == NONE or got.scale != 1:
        return False
    return _is(want.base, got.by, numbers, named) and _is(want.by, got.base, numbers, named)


def _adds(form: Form, have: tuple[Operand, ...], numbers: Sequence[int], named: Named) -> bool:
    """An address that is made by an addition, in the place of its base or its index."""
    target, address = form.operands
    if len(have) != 2 or not isinstance(target, Register) or not isinstance(address, Memory) or address.begin:
        return False
    to, added = have
    if (
        not isinstance(to, Register)
        or not _is(target.number, to.number, numbers, named)
        or to.size != SIZES[form.word[3]]
    ):
        return False
    if isinstance(added, int):
        return (
            address.by == NONE
            and _is(address.base, to.number, numbers, named)
            and not ((added - address.distance) & (1 << 8 * to.size) - 1)
        )
    if not isinstance(added, Register) or address.distance or address.scale != 1 or added.size != to.size:
        return False
    return any(
        _is(one, to.number, numbers, named) and _is(other, added.number, numbers, named)
        for one, other in ((address.base, address.by), (address.by, address.base))
    )


_NAMES: Final[Mapping[int, Mapping[int, str]]] = {
    **{
        size: {p: n for n, p in PLACES.items() if 0 <= p < _VECTORS and width(n) == size and n not in _HIGH}
        for size in (1, 2, 4, 8)
    },
    16: {PLACES[name]: name for name in PLACES if name.startswith("xmm")},
    32: {PLACES[name]: name for name in PLACES if name.startswith("ymm")},
}
"""What registers are called, by their size."""
_WORD: Final = re.compile(r"\b[a-z][a-z0-9]*\b(?! ptr)")


def _is_told(memory: Memory, named: Named) -> bool:
    """Whether an address follows from the text, and from where stack slots begin."""
    return not memory.begin or (memory.begin == "1" and bool(memory.distance) and named.slots is not None)


def _learn(text: Text, form: Form, machine: Insn, named: Named) -> None:
    """How the instruction is spelt, once it has matched: but where an addition stands for an address, or what it means
    depends on the function."""
    if form.goal or (machine.name == "add") != (form.word[:3] == "add"):
        return
    wanted: list[int] = []
    for want, got in zip(form.operands, _operands(machine.operands)):
        if isinstance(want, Register) and isinstance(got, Register):
            wanted.append(want.number)
        elif isinstance(want, Memory) and isinstance(got, Memory) and _is_told(want, named):
            wanted += [number for number in (want.base, want.by) if number not in (NONE, RIP)]
        elif not isinstance(want, int):
            return
    numbers = iter(wanted)
    gaps: list[tuple[int, Mapping[int, str]]] = []

    def gap(one: re.Match[str]) -> str:
        if one[0] not in PLACES:
            return one[0]
        number = next(numbers, NONE)
        if number < 0:
            return one[0]
        size = {"x": 16, "y": 32}.get(one[0][0], 0) if PLACES[one[0]] >= _VECTORS else width(one[0])
        if size not in _NAMES:
            return one[0]
        gaps.append((number, _NAMES[size]))
        return "%s"

    operands = _WORD.sub(gap, machine.operands)
    opens = any(isinstance(want, Memory) and want.base == RIP for want in form.operands)
    if opens:
        operands = f"{operands.partition('[rip')[0]}[rip"
        gaps = gaps if operands.count("%s") == len(gaps) else []  # bzhi has a register after its memory
    if len(gaps) == sum(number >= 0 for number in wanted):
        learn(text, machine, operands, gaps, named, opens)


@lru_cache(maxsize=1 << 10)
def _spelt(word: str, name: str) -> bool:
    """Other spellings: of conditions, constants of 64 bits, moves with three operands' prefix."""
    if word[0] == "j" == name[0]:
        return condition(word[1:]) == name[1:]
    return (word, name) == ("mov", "movabs") or (word in MOVES and name == f"v{word}")


_SHIFTS: Final = re.compile(r"(?:sh[lr]|sar|ro[lr])[bwlq]")
_INTEGERS: Final = {"movd": 4, "movq": 8, "movslq": 8, "movabsq": 8}


@lru_cache(maxsize=1 << 12)
def _sizes(word: str, name: str, count: int) -> tuple[int, ...]:
    """Of the operands of an instruction, those that are integer registers; 0: not said."""
    if extends := EXTENDS.fullmatch(word):
        return SIZES[word[-1]], SIZES[extends[2]]
    if word == "movslq":
        return 8, 4
    size = _INTEGERS.get(word, 0)
    if not size and word[:-1] == name and word[-1] in SIZES:
        size = SIZES[word[-1]]
    if word in ("leal", "leaq"):
        size = SIZES[word[3]]
    if count == 2 and _SHIFTS.fullmatch(word):
        return size, 1
    return (size,) * count
