"""Whether aarch64's machine instructions have the operands that Cranelift's own text of an instruction names.

The one idea: both are lists of items (registers with their lanes, constants, words) in the same order, once what a
disassembler's shorter names leave out is left out of both: zero registers, and an input that the result takes the place
of. Mnemonics are `listing`'s. Words of the frame are counted from where the stack slots, outgoing or incoming arguments
begin, which a text does not tell apart. What is several instructions by nature is in `sequences`.

It does not compare how wide a register is (`widths`: these texts do not say it, but for zero registers and 128 bits),
where a jump out of an instruction leads, nor which constant of the code's own is loaded.
Source: cranelift-codegen 0.135 to 0.137 isa/aarch64/inst/mod.rs (`print_with_state`), inst/args.rs, inst/emit.rs.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Final, NamedTuple

from liftcheck.isa.aarch64.listing import GLUED, agrees, means
from liftcheck.isa.aarch64.sequences import sequences
from liftcheck.mach.insn import STACK_POINTERS, Insn
from liftcheck.mach.regs import NONE
from liftcheck.regalloc.allocation import DEF, REUSE
from liftcheck.regalloc.named import ALL, DIFFERS, FITS, SILENT, Named
from liftcheck.regalloc.results import retrieved
from liftcheck.regalloc.spelling import Text, cut, known, learn
from liftcheck.regalloc.steps import leads

_SP: Final = STACK_POINTERS["aarch64"]
_FP: Final = 29
_ZERO: Final = 31
_VECTORS: Final = 64
_ITEM: Final = re.compile(
    r"(?P<name>[%q]v\d+|[xwvqdshb]\d\d?(?!\w)|(?:w?sp|fp|lr|[xw]zr)\b)(?P<lane>\.\d*[a-z](?:\[(?:0x)?[0-9a-f]+\])?)?"
    r"|#(?P<number>-?(?:0x[0-9a-fA-F]+|\d+(?:\.\d+)?))|(?P<word>[^\s,{}\[\]]+)|(?P<bracket>\[)"
)


_FLAGS: Final = re.compile("#[nN][zZ][cC][vV]")
_CODE: Final = re.compile(r"#trap=\w+|\[const\(\d+\)\]|MachLabel\(\d+\)|pc\+\d+|\[?label\d+\]?")
"""Places in the code."""


class Register(NamedTuple):
    """`number`: the place; in a text the number among its virtual registers, or `-2 - place`. `letter`: how Capstone
    calls its width, in a text only 'q' and zero registers'."""

    number: int
    letter: str
    lane: str


Item = Register | int | float | str


def _place(name: str) -> int:
    if name in ("sp", "wsp"):
        return _SP
    if name in ("fp", "lr"):
        return _FP + (name == "lr")
    number = _ZERO if name[1:] == "zr" else int(name[1:])
    return number if name[0] in "xw" else _VECTORS + number


def _lane(text: str) -> str:
    kind, _, number = text.partition("[")
    return f"{kind}[{int(number[:-1], 0)}]" if number else kind


def _items(text: str) -> list[Item]:
    """Of a text, or of what Capstone names."""
    found: list[Item] = []
    for one in _ITEM.finditer(text):
        name, lane, number, word = one["name"], _lane(one["lane"] or ""), one["number"], one["word"]
        if name and name[0] in "%q" and name[1] == "v":
            found.append(Register(int(name[2:]), name[0].strip("%"), lane))
        elif name:
            found.append(Register(-2 - _place(name), name[0], lane))
        elif number:
            found.append(float(number) if "." in number else int(number, 0))
        elif word and word.isdigit():
            found.append(int(word))
        elif word and _FLAGS.fullmatch(word):
            found.append(int("".join(str(int(letter.isupper())) for letter in word[1:]), 2))
        else:
            found.append(word.lower() if word else "[")
    return [one for one in found if not (isinstance(one, Register) and one.number == -2 - _ZERO)]


class Step(NamedTuple):
    """One machine instruction. `label`: its own; `goal`: the one that it leads to."""

    words: frozenset[str]
    items: tuple[Item, ...]
    label: str = ""
    goal: str = ""


class Shape(NamedTuple):
    """What a text is emitted as: one of several ways. `calls`: results may be taken from the stack after it;
    `branches`: the registers alone are compared, of either way of it."""

    ways: tuple[tuple[Step, ...], ...]
    calls: bool = False
    branches: bool = False


_SAYS_NOTHING: Final = frozenset(
    {"args", "rets", "b", "udf", "nop", "nop-zero-len", "bti", "brk", "unwind", "dummy_use", "sequence_point",
     "emit_island", "stack_probe_loop", "return_call", "return_call_ind", "asp", "elf_tls_get_addr",
     "macho_tls_get_addr", "ret", "load_ext_name_got", "xpaclri", "mrs", "msr", "csdb"}
)  # fmt: skip
"""Words of what has no bytes or no operands, of jumps, and of what is not read here."""
_NAMES: Final = {
    **{letter: {number: str(number) for number in range(31)} for letter in "xw"},
    **{letter: {_VECTORS + number: str(number) for number in range(32)} for letter in "vqdshb"},
}  # fmt: skip
"""Numbers of registers by the letter before them."""


def compare(text: str, own: Sequence[tuple[int, Insn]], named: Named) -> str:
    """See `regalloc.named.Reader`."""
    parts = cut(text)
    if len(own) == 1 and known(parts, own[0][1], named):
        return ALL
    shape = _shape(parts.pieces)
    if shape is None:
        return SILENT
    numbers = parts.vregs
    if shape.branches:
        reads = all(_same(shape.ways[0][0], m, numbers, named) for _, m in own if m.name[:2] in ("cb", "tb"))
        return FITS if reads else DIFFERS
    if shape.calls:
        return FITS if _calls(shape.ways[0][0], own, numbers, named) else DIFFERS
    if not any(_fit(way, own, numbers, named) for way in shape.ways):
        return DIFFERS
    if len(own) != 1 or len(shape.ways) > 1 or not agrees(text, [own[0][1]]):
        return FITS
    _learn(parts, shape.ways[0][0], own[0][1], named)
    return ALL


# Texts


@lru_cache(maxsize=1 << 13)
def _shape(literals: tuple[str, ...]) -> Shape | None:
    """Of a text with these pieces between its virtual registers; None: it is not known."""
    text = "".join(f"v{number - 1}{piece}" if number else piece for number, piece in enumerate(literals))
    word = text.partition(" ")[0]
    if word in _SAYS_NOTHING:
        return None
    if word in ("bl", "blr"):
        return Shape(((_step(text.partition(";")[0]),),), calls=True)
    if " #trap=" in text:
        return Shape(((_step(text)._replace(goal="!"),),))
    if word[:2] in ("cb", "tb"):
        step = _step(text.partition(";")[0])
        return Shape(((step._replace(items=(*step.items[:-1], "?")),),), branches=True)
    if many := sequences(text):
        return Shape(tuple([tuple([_written(one.strip()) for one in way.split(";")]) for way in many]))
    if word[:2] == "b.":
        return None
    text = GLUED.sub("; ", text) if word == "movz" else text
    steps = [_step(one.strip()) for one in text.partition(" ; jt_entries")[0].split(";")]
    steps = _collapsed([step for step in steps if "csdb" not in step.words])
    return Shape((tuple(steps),))


def _step(text: str) -> Step:
    word, _, rest = text.partition(" ")
    return Step(frozenset({word}), tuple(_addressed(word, _items(_CODE.sub("pc", rest)))))


def _written(text: str) -> Step:
    """A step of a sequence: `1: mov %v0, %v1`, `b.ne >2`."""
    label, colon, rest = text.partition(":")
    if not colon:
        label, rest = "", text
    word, _, operands = rest.strip().partition(" ")
    before, arrow, goal = operands.partition(">")
    goal = goal.strip("?")
    return Step(means(word) if word else frozenset(), tuple(_items(before)) + (("?",) if arrow else ()), label, goal)


def _addressed(word: str, items: list[Item]) -> list[Item]:
    """An address by a pointer has a distance, be it 0, and constants are shifted; what is extracted begins at a bit."""
    if word == "extr":
        return [one for one in items if one not in ("lsl", "lsr")]
    for at in range(len(items) - 2) if word != "movk" else ():
        number, by = items[at], items[at + 2]
        if isinstance(number, int) and items[at + 1] == "lsl" and isinstance(by, int):
            items[at:] = [number << by, *items[at + 3 :]]
            break
    if items[-2:] == ["lsl", 0]:
        del items[-2:]
    for at, one in enumerate(items):
        if isinstance(one, Register) and one.number in (-2 - _SP, -2 - _FP):
            bracket = bool(at) and items[at - 1] == "["
            if bracket or (word in ("add", "mov") and at == 1):
                if len(items) == at + 1 or items[at + 1] == "!":
                    items.insert(at + 1, 0)
                break
    return items


def _frame_at(items: Sequence[Item]) -> int:
    """Where a distance from a pointer stands; -1: there is none."""
    for at in range(len(items) - 1):
        one = items[at]
        if isinstance(one, Register) and one.number in (-2 - _SP, -2 - _FP) and isinstance(items[at + 1], int):
            return at + 1
    return -1


_SCRATCH: Final = 16


def _collapsed(steps: list[Step]) -> list[Step]:
    """A distance that is made in a scratch register and then added to a pointer or a base: the instruction that does
    so, with the distance in its place."""
    if len(steps) < 2 or not steps[0].words & {"mov", "movz", "movn"}:
        return steps
    value, last = 0, steps[-1]
    for step in steps[:-1]:
        target, rest = step.items[0] if step.items else None, step.items[1:]
        if not isinstance(target, Register) or target.number != -2 - _SCRATCH:
            return steps
        made = _constant(step, value, [one for one in rest if not isinstance(one, Register)])
        if made is None:
            return steps
        value = made
    items = list(last.items)
    at = next((n for n, one in enumerate(items) if isinstance(one, Register) and one.number == -2 - _SCRATCH), -1)
    if at < 1:
        return steps
    if at > 1 and isinstance(items[at - 1], int) and not items[at - 1]:
        del items[at - 1]
        at -= 1
    items[at:] = [value]
    return [last._replace(items=tuple(items))]


def _constant(step: Step, before: int, rest: Sequence[Item]) -> int | None:
    """What `mov`, `movz`, `movn` or `movk` make."""
    number, shift = (rest[0], rest[2]) if len(rest) == 3 else (rest[0] if rest else None, 0)
    if not isinstance(number, int) or not isinstance(shift, int):
        return None
    if "movk" in step.words:
        return before & ~(0xFFFF << shift) | number << shift
    return ~(number << shift) if "movn" in step.words else number << shift


# Both


def _fit(steps: Sequence[Step], own: Sequence[tuple[int, Insn]], numbers: Sequence[int], named: Named) -> bool:
    """All of them."""
    machines = [(at, m) for at, m in own if m.name != "csdb"]
    if len(steps) == 1 == len(machines) and not steps[0].goal:
        return _same(steps[0], machines[0][1], numbers, named)
    found = _collapsed([Step(frozenset({m.name}), _machine(m.name, m.operands)) for _, m in machines])
    if len(found) == 1 == len(steps) and not steps[0].goal:
        return _match(steps[0], found[0], numbers, named)
    forms = steps[:-1] if not steps[-1].words else steps
    if len(forms) != len(machines):
        return False
    end = own[-1][0] + own[-1][1].size
    labels = {step.label: at for step, at in zip(steps, [*(at for at, _ in machines), end]) if step.label}
    return all(
        (m.name in step.words or not step.goal)
        and _same(step, m, numbers, named)
        and (not step.goal or (m.target is not None and _leads(at + m.target, labels.get(step.goal), own[0][0], end)))
        for step, (at, m) in zip(forms, machines)
    )


def _leads(goal: int, label: int | None, start: int, end: int) -> bool:
    """A trap, which has no label, stands outside."""
    return not start <= goal < end if label is None else leads(goal, label, start, end)


@lru_cache(maxsize=1 << 15)
def _machine(name: str, operands: str) -> tuple[Item, ...]:
    return tuple(_addressed(name, _items(operands)))


def _same(step: Step, machine: Insn, numbers: Sequence[int], named: Named) -> bool:
    """One instruction."""
    return _match(step, Step(frozenset({machine.name}), _machine(machine.name, machine.operands)), numbers, named)


def _match(want: Step, got: Step, numbers: Sequence[int], named: Named) -> bool:
    wanted, found = list(want.items), list(got.items)
    _settle(want, got, wanted, found, numbers, named)
    if len(wanted) != len(found):
        return False
    framed = _frame_at(found)
    for at, (one, other) in enumerate(zip(wanted, found)):
        if isinstance(one, Register):
            if not isinstance(other, Register) or not _is(one, other, numbers, named):
                return False
        elif isinstance(one, (int, float)):
            if at == framed and isinstance(one, int) and isinstance(other, int):
                if not _distant(other - one, one, found[at - 1], named):
                    return False
            elif not isinstance(other, (int, float)) or not _equal(one, other, want, found):
                return False
        elif one != other and not (one in _ANY or one[:1] == "?"):
            return False
    return True


_NUMBERED: Final = re.compile(r"\b(?:([xwvqdshb])\d\d?(?!\w)|w?sp\b)")


def _learn(text: Text, step: Step, machine: Insn, named: Named) -> None:
    """How the instruction is spelt, once it has matched. Not where an input is left out for being the same as another
    one, but for one that the result takes the place of; nor where a distance depends on the function."""
    wanted, found = list(step.items), list(_machine(machine.name, machine.operands))
    count, at = len(wanted), _frame_at(step.items)
    _settle(step, Step(frozenset({machine.name}), tuple(found)), wanted, found, text.vregs, named)
    if len(wanted) != count and all(operand.constraint != REUSE for operand in named.operands):
        return
    if at >= 0 and step.items[at] not in found:
        return
    registers = iter([one.number for one in wanted if isinstance(one, Register)])
    gaps: list[tuple[int, Mapping[int, str]]] = []

    def gap(one: re.Match[str]) -> str:
        number = next(registers, NONE)
        if number < 0:
            return one[0]
        gaps.append((number, _NAMES[one[1]]))
        return f"{one[1]}%s"

    operands = _NUMBERED.sub(gap, machine.operands)
    opens = False
    if wanted and isinstance(wanted[-1], str) and (wanted[-1] in _ANY or step.goal):
        operands, opens = f"{operands.rpartition('#')[0]}#", True
    if len(gaps) == sum(isinstance(one, Register) and one.number >= 0 for one in wanted):
        learn(text, machine, operands, gaps, named, opens)


_ANY: Final = ("pc",)


def _is(want: Register, got: Register, numbers: Sequence[int], named: Named) -> bool:
    if want.number < 0:
        return want.number == got.number
    vreg, place = numbers[want.number], -2 - got.number
    if named.places.get(vreg) != place and not named.also(vreg, place):
        return False
    return want.lane == got.lane and (got.lane != "" or (got.letter == "q") == (want.letter == "q"))


def _distant(distance: int, told: int, pointer: Item, named: Named) -> bool:
    """How far a word of the frame is from where its text has it."""
    if isinstance(pointer, Register) and pointer.number != -2 - _SP:
        return not distance
    return named.distance("incoming", distance) if told < 0 else distance in (0, named.slots)


def _settle(want: Step, got: Step, wanted: list[Item], found: list[Item], numbers: Sequence[int], named: Named) -> None:
    """What shorter names leave out is left out of both."""
    for step, items in ((want, wanted), (got, found)):
        if step.words & {"movz", "movn"} and (value := _constant(step, 0, items[1:])) is not None:
            items[1:] = [value]
    if len(found) == len(wanted) + 1 and found[-1] == 0:
        del found[-1]
    if not want.words.isdisjoint(_FIELDS):
        for items in (wanted, found):
            items[:] = [one for one in items if not isinstance(one, int)]
    if not want.words.isdisjoint(_DOTS):
        for items in (wanted, found):
            items[:] = [one._replace(lane="") if isinstance(one, Register) else one for one in items]
    for results in (True, False):
        at = 1
        while len(wanted) > len(found) and at < len(wanted):
            if any(_alike(one, wanted[at], results, numbers, named) for one in wanted[:at]):
                del wanted[at]
            else:
                at += 1
    if got.words & _INVERTED and not want.words & _INVERTED and isinstance(found[-1], str):
        found[-1] = _OPPOSITE.get(found[-1], "")


_FIELDS: Final = frozenset({"sbfm", "ubfm"})
"""Disassemblers have many names for these, each with its own way to count bits: their constants are not compared."""
_DOTS: Final = frozenset({"sdot", "udot", "usdot"})
"""Their texts have one lane for all operands."""
_INVERTED: Final = frozenset({"cneg", "cinc", "cinv"})
_OPPOSITE: Final = {
    one: other
    for pair in ("eq ne", "hs lo", "mi pl", "vs vc", "hi ls", "ge lt", "gt le")
    for one, other in (pair.split(), pair.split()[::-1])
}


def _alike(one: Item, other: Item, results: bool, numbers: Sequence[int], named: Named) -> bool:
    """Whether two registers of a text are in one place; `results`: the first of them is a result."""
    if not isinstance(one, Register) or not isinstance(other, Register) or one.lane != other.lane:
        return False
    if one.number < 0 or other.number < 0:
        return one == other
    first, second = numbers[one.number], numbers[other.number]
    kinds = {operand.kind for operand in named.operands if operand.vreg == first}
    if results != (DEF in kinds):
        return False
    return any(
        operand.vreg == second and named.is_there(first, place) for operand, place in zip(named.operands, named.given)
    )


def _equal(one: float, other: float, want: Step, found: Sequence[Item]) -> bool:
    """Constants; where a register is read in part, of its size."""
    if one == other:
        return True
    if isinstance(one, float) or isinstance(other, float):
        return False
    narrow = any(isinstance(item, Register) and item.letter == "w" for item in found)
    mask = 0xFFFFFFFF if narrow else (1 << 64) - 1
    return not (one - other) & mask or bool(want.words & _NEGATED and not (~one - other) & mask)


_NEGATED: Final = frozenset({"bic", "orn", "eon"})


def _calls(step: Step, own: Sequence[tuple[int, Insn]], numbers: Sequence[int], named: Named) -> bool:
    """A call, and how its results are taken from the stack."""
    if not own or own[0][1].name not in step.words:
        return False
    if "blr" in step.words and not _same(step, own[0][1], numbers, named):
        return False
    return retrieved("aarch64", [machine for _, machine in own[1:]], named)
