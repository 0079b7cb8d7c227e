"""Whether s390x's machine instructions have the operands that Cranelift's own text of an instruction names.

The one idea: the text is what an assembler reads, and so is what the table of rows (`insts`) makes of the bytes. Both
are cut into steps of a word and items (`items`), which are the same once `words` has turned a short form into the long
one, and once an address that is made first stands in the access itself. What this asks of a virtual register is which
place it is in, so it is worked out once for a form of text and bytes with any registers. A distance from the stack
pointer is counted from where the stack slots, the outgoing arguments or the caller's begin, which a text does not tell
apart.

It does not compare where a jump out of an instruction leads, which constant of the code's own is loaded, nor the symbol
that is linked. What is not compared, for no row or word of the text is known, is counted (`Listing.uncompared`).
Source: cranelift-codegen 0.130 to 0.137 isa/s390x/inst/mod.rs (`print_with_state`), inst/args.rs, inst/emit.rs, abi.rs.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import cache, lru_cache
from typing import Any, Final, NamedTuple

from liftcheck.isa.s390x import ISA
from liftcheck.isa.s390x.insts.common import CONDITIONS
from liftcheck.isa.s390x.insts.table import table
from liftcheck.isa.s390x.items import Address, Goal, Item, Register, Slot, fixed, items, read, shifted
from liftcheck.isa.s390x.reader import FLOAT_FIRST, OPENED
from liftcheck.isa.s390x.words import RENAMED, WHOLE, long_form
from liftcheck.mach.insn import Insn
from liftcheck.mach.regs import NONE, SLOT
from liftcheck.regalloc.allocation import REUSE
from liftcheck.regalloc.named import ALL, DIFFERS, FITS, SILENT, Named
from liftcheck.regalloc.steps import leads

_VIRTUAL: Final = 192
"""Virtual registers have numbers from here on; a vector register that a text names by a lower one is the machine's."""
_POINTER: Final = fixed(ISA.stack_pointer)
_MADE_IN: Final = fixed(1)
"""The register that an address is made in."""


class Step(NamedTuple):
    """One machine instruction. `at`: where its bytes begin, in a text its label."""

    word: str
    items: tuple[Item, ...]
    at: int | str = ""


class Form(NamedTuple):
    """What a text of some form means. `end`: the label after its last step; `turns`: the words of a branch, either
    way; `calls`: results may be taken from the stack after its first step."""

    steps: tuple[Step, ...]
    end: str = ""
    turns: frozenset[str] = frozenset()
    calls: bool = False


class Fit(NamedTuple):
    """What has to hold for some bytes to be those of a text. registers: (number in the text, number among those that
    were opened, how many registers above it), or `-1 - place` for either; frame: (the text's distance from the stack
    pointer, the bytes', whether it is of a plain load or store); slots: (spill slot, the bytes' distance); whole: no
    part of an input stays in the result."""

    registers: tuple[tuple[int, int, int], ...]
    frame: tuple[tuple[int, int, bool], ...] = ()
    slots: tuple[tuple[int, int], ...] = ()
    whole: bool = False


@lru_cache(maxsize=1 << 12)
def _one_fit(
    registers: tuple[tuple[int, int, int], ...],
    frame: tuple[tuple[int, int, bool], ...],
    slots: tuple[tuple[int, int], ...],
    whole: bool,
) -> Fit:
    """One object for all that are equal."""
    return Fit(registers, frame, slots, whole)


_SAYS_NOTHING: Final = frozenset({"args", "rets", "unwind", "dummy_use", "sequence_point", "nop-zero-len"})
"""Words of what has no bytes."""


def compare(text: str, own: Sequence[tuple[int, Insn]], named: Named) -> str:
    """See `regalloc.named.Reader`."""
    parts = _cut(text)
    places: Sequence[bytes | int]
    if not own:
        form = _form(parts[0])
        return SILENT if form is None else FITS if form.turns else DIFFERS
    if len(own) == 1:
        places = own[0][1].opened
        fit = _fit(parts[0], 0, places[0])
    else:
        start = own[0][0]
        fit = _fit(parts[0], *[one for at, machine in own for one in (at - start, machine.opened[0])])
        places = [one for _, machine in own for one in machine.opened]
    if fit.__class__ is not Fit:
        if isinstance(fit, Form):
            fit = _calls(fit, parts, own, named)
        if not isinstance(fit, Fit):
            return fit or DIFFERS
    return ALL if _holds(fit, parts, places, named) else DIFFERS


_VREG: Final = re.compile(r"(?<=%)v(\d+)")


@lru_cache(maxsize=1 << 14)
def _cut(text: str) -> tuple[Any, ...]:
    """A text with '@' for its virtual registers, and these. Functions are compiled again and again."""
    parts = _VREG.split(text)
    return "@".join(parts[::2]), *map(int, parts[1::2])


def _holds(fit: Fit, parts: Sequence[Any], places: Sequence[Any], named: Named) -> bool:
    where = named.places
    registers, frame, slots, whole = fit
    for number, field, above in registers:
        place = places[field] if field > 0 else -1 - field
        if above:
            place += 2 if place >= FLOAT_FIRST else 1
        if number < 0:
            if place != -1 - number:
                return False
            continue
        vreg = parts[number]
        if where.get(vreg) != place and not _is(vreg, place, named):
            return False
    if whole and any(operand.constraint == REUSE for operand in named.operands):
        return False
    if slots and not all(named.is_slot(slot, distance) for slot, distance in slots):
        return False
    return not frame or all(_framed(*one, named) for one in frame)


def _is(vreg: int, place: int, named: Named) -> bool:
    return place == FLOAT_FIRST + vreg if vreg < _VIRTUAL else named.also(vreg, place)


_SAVE_AREA: Final = 160
"""Outgoing arguments lie above it."""
_KEPT_THERE: Final = (0, 14 * 8)
"""The back chain and the return address, from where the stack pointer was at entry."""


def _framed(told: int, found: int, plain: bool, named: Named) -> bool:
    """Whether a word of the frame lies where its text has it: in a stack slot, or among what is handed to callees; or
    above the frame, at the same distance in the whole function: an argument; what the caller's frame begins with."""
    distance = found - told
    if told >= 0 and distance == named.slots:
        return True
    if not distance and (told >= _SAVE_AREA or (plain and not told)):
        return True
    if told >= _SAVE_AREA or distance < named.size:
        return False
    kept = plain and told in _KEPT_THERE
    return named.distance("incoming", distance) or (kept and named.distance("entry", distance))


# Texts


_NO_STEP: Final = ("data ", "jt_entries", "callee_pop_size")
_TURNED: Final = re.compile(r"(jg\w*) label\d+(?: ; jg label\d+)?")
_OPPOSITE: Final = {f"jg{suffix}": f"jg{CONDITIONS[15 - mask]}" for mask, suffix in CONDITIONS.items()}
_THREAD: Final = "brasl %r14, tls_gdcall"
"""A call that finds thread-local storage."""


@lru_cache(maxsize=1 << 10)
def _form(text: str) -> Form | None:
    """Of a text with '@' for its virtual registers; None: it is not known."""
    text = "".join([f"%@{number}{piece}" if number else piece for number, piece in enumerate(text.split("%@"))])
    word = text.partition(" ")[0]
    if word in _SAYS_NOTHING or text.startswith(_THREAD):
        return None
    if turned := _TURNED.fullmatch(text):
        return Form((), turns=frozenset({"jg", turned[1], _OPPOSITE.get(turned[1], "jg")}))
    lines = [line.strip() for line in text.partition("; jg MachLabel")[0].partition(" # ")[0].split(" ; ")]
    lines = [line for line in lines if not line.startswith(_NO_STEP)]
    end = lines.pop()[:-1] if lines[-1][-1:] == ":" else ""
    try:
        steps = [_step(line) for line in lines]
    except LookupError:
        return None
    if any(step.word not in _known() for step in steps):
        return None
    _turn(steps)
    calls = word in ("basr", "brasl")
    return Form(tuple(steps) if calls else _collapsed(steps), end, calls=calls and len(steps) > 1)


@cache
def _known() -> frozenset[str]:
    """Words that have rows."""
    return frozenset(table().by_name) | RENAMED.keys()


_SYMBOL: Final = re.compile(
    r"\[const\(\d+\)\]|(?<=, )\S+ \+ -?\d+$|MachLabel\(\d+\)|\blabel\d+\b|(?<=^brasl %r14, )\S+$"
)
_AS_ROWS: Final = {
    "bcr 14, 0": ("bnor", "%r0"),
    "nop ": ("nopr", "%r7"),
    ".word 0x0000": ("trap", ""),
    ".word 0x0001": ("debugtrap", ""),
}
_SHORT_JUMP: Final = re.compile(r"j(?!g)\w+")


def _step(line: str) -> Step:
    """One line of a text."""
    label, colon, rest = line.partition(": ")
    if not colon:
        label, rest = "", line
    word, _, operands = _SYMBOL.sub("%symbol", rest).partition(" ")
    word, operands = _AS_ROWS.get(f"{word} {operands}", (word, operands))
    found = items(operands)
    if _SHORT_JUMP.fullmatch(word) and isinstance(found[0], int):
        found = (Goal("end"),)  # its distance is that of the longer form
    return Step(word, found, label)


def _turn(steps: list[Step]) -> None:
    """What turns the lanes of a vector goes on with the result; the text says the input."""
    for at in range(1, len(steps)):
        if steps[at].word.startswith("verll") and steps[at - 1].word.startswith(("vpdi", "verll")):
            result = steps[at - 1].items[0]
            steps[at] = steps[at]._replace(items=(result, result, *steps[at].items[2:]))


# Both


@lru_cache(maxsize=1 << 15)
def _fit(text: str, *own: Any) -> Fit | Form | str | None:
    """What has to hold if offsets and bytes with opened registers, in turns, are those of a text of this form; None:
    they cannot be. What is said of it without that (`SILENT`); the form of a call that has results on the stack. (The
    arguments are flat, which costs the collector of garbage nothing.)"""
    form = _form(text)
    if form is None:
        return SILENT
    if form.calls:
        return form
    found = _steps(list(zip(own[::2], own[1::2])))
    if found is None:
        return SILENT
    if form.turns:
        return FITS if found[0].word in form.turns else None
    if form.steps[0].word in ("basr", "brasl") and len(found) == 2 and found[1].word == "jg":
        del found[1]
    return _matched(form, found, own[-2] + len(own[-1]))


def _steps(own: Sequence[tuple[int, Any]]) -> list[Step] | None:
    """What bytes with opened registers, at offsets, are; None: one of them has no row."""
    found = []
    for number, (at, data) in enumerate(own):
        machine = read(data)
        if machine is None:
            return None
        found.append(Step(machine[0], shifted(machine[1], number * OPENED), at))
    return found


def _matched(form: Form, steps: Sequence[Step], end: int) -> Fit | None:
    """`end`: where the last instruction ends."""
    found = _collapsed(steps)
    if len(found) != len(form.steps):
        return None
    if len(found) == 1:
        alone = _Match({"end": end}, end)
        return alone.fit() if alone.step(form.steps[0], found[0]) else None
    labels = {want.at: got.at for want, got in zip(form.steps, found) if want.at}
    labels |= dict.fromkeys(("end", form.end), end)
    match = _Match(labels, end)
    return match.fit() if all(map(match.step, form.steps, found)) else None


class _Match:
    """A text's steps against bytes' ones. Used once. `labels`: where they are; `end`: where the last one ends."""

    def __init__(self, labels: dict[int | str, int | str], end: int) -> None:
        self.labels: Final = labels
        self.end: Final = end
        self.registers: Final[dict[tuple[int, int, int], None]] = {}
        self.frame: Final[list[tuple[int, int, bool]]] = []
        self.slots: Final[list[tuple[int, int]]] = []
        self.whole = False

    def fit(self) -> Fit:
        """What has to hold."""
        return _one_fit(tuple(self.registers), tuple(self.frame), tuple(self.slots), self.whole)

    def step(self, want: Step, got: Step) -> bool:
        """One instruction."""
        found = long_form(want.word, got.word, got.items)
        if found is None or len(found) != len(want.items):
            return False
        self.whole |= got.word in WHOLE
        return all(self._item(one, other, got) for one, other in zip(want.items, found))

    def _item(self, want: Item, got: Item, step: Step) -> bool:
        if isinstance(want, Register):
            return isinstance(got, Register) and self._register(want, got)
        if isinstance(want, Goal):
            return isinstance(got, Goal) and self._leads(want, got, step)
        if isinstance(want, Address):
            return isinstance(got, Address) and self._address(want, got, step)
        if isinstance(want, Slot):
            if not isinstance(got, Address) or got.by is not None or got.base != _POINTER:
                return False
            self.slots.append((want.place, got.distance))
            return True
        return want == (got.distance if isinstance(got, Goal) else got)

    def _register(self, want: Register | None, got: Register | None) -> bool:
        if want is None or got is None:
            return want is got
        there = got.places[0][0]
        for number, above in want.places:
            if number > 0 or there > 0 or above:
                self.registers[number, there, above] = None
            elif number != there:
                return False
        return True

    def _address(self, want: Address, got: Address, step: Step) -> bool:
        if not self._register(want.base, got.base) or not self._register(want.by, got.by):
            return False
        if want.by is None and want.base == _POINTER:
            self.frame.append((want.distance, got.distance, step.word in ("lg", "stg")))
            return True
        return want.distance == got.distance

    def _leads(self, want: Goal, got: Goal, step: Step) -> bool:
        """What stands at the end may be a jump, so that one leads further on."""
        if not want.label:
            return True
        if want.label == ".":
            return want.distance == got.distance
        label = self.labels.get(want.label)
        assert isinstance(step.at, int)
        goal = step.at + got.distance
        if want.label == "end" or not isinstance(label, int):
            return goal == label
        return leads(goal, label, 0, self.end)


def _collapsed(steps: Sequence[Step]) -> tuple[Step, ...]:
    """An address that is made in the temporary register for the access after it: the access with the address. Of a
    distance that is too long for an instruction, too."""
    if len(steps) == 1:
        return (steps[0],)
    found, at = list(steps), 0
    while at + 1 < len(found):
        first, second = found[at : at + 2]
        made = _made(first)
        changed = tuple([_within(item, made) for item in second.items]) if made is not None else second.items
        if changed != second.items and _MADE_IN not in changed[1:]:
            found[at : at + 2] = [second._replace(items=changed, at=first.at)]
        else:
            at += 1
    return tuple(found)


def _made(step: Step) -> Address | None:
    """The address that a step makes in the temporary register."""
    if len(step.items) != 2 or step.items[0] != _MADE_IN:
        return None
    value = step.items[1]
    if step.word in ("la", "lay") and isinstance(value, Address) and _MADE_IN not in value[1:]:
        return value
    return Address(value, None, None) if step.word in ("lghi", "lgfi") and isinstance(value, int) else None


def _within(item: Item, made: Address) -> Item:
    """An address by the temporary register with what was made there in its place."""
    if not isinstance(item, Address):
        return item
    if item.base == _MADE_IN and item.by is None and not item.distance:
        return made
    if item.by == _MADE_IN and item.base is not None and made.base is None:
        return Address(item.distance + made.distance, None, item.base)
    return item


# Calls


def _calls(form: Form, vregs: Sequence[Any], own: Sequence[tuple[int, Insn]], named: Named) -> Fit | str | None:
    """A call, and how its results are taken from the stack and their lanes turned: first those that go to spill slots,
    through a temporary, then the others."""
    steps = _steps([(at, machine.opened[0]) for at, machine in own])
    if steps is None:
        return SILENT
    if steps[-1].word == "jg":
        del steps[-1]
    wanted, found = list(_in_order(form.steps, vregs, named)), _collapsed(steps)
    match = _Match({}, 0)
    return match.fit() if len(wanted) == len(found) and all(map(match.step, wanted, found)) else None


def _in_order(steps: Sequence[Step], vregs: Sequence[Any], named: Named) -> Iterator[Step]:
    """The call, and what follows in the order that the compiler emits it in."""
    yield steps[0]
    results: dict[int, list[Step]] = {}
    for step in _collapsed(steps[1:]):
        results.setdefault(_vreg(step.items[0], vregs), []).append(step)
    for vreg, rows in results.items():
        place = named.places.get(vreg, NONE)
        if place >= SLOT:
            cls = next(operand.cls for operand in named.operands if operand.vreg == vreg)
            for step in rows:
                changed = [_THROUGH[cls] if _vreg(item, vregs) == vreg else item for item in step.items]
                yield step._replace(items=tuple(changed))
            yield Step(("stg", "vst")[cls], (_THROUGH[cls], Slot(place)))
    for vreg, rows in results.items():
        if named.places.get(vreg, NONE) < SLOT:
            yield from rows


def _vreg(item: Item, vregs: Sequence[Any]) -> int:
    """A text's virtual register; NONE: it is none."""
    number = item.places[0][0] if isinstance(item, Register) else NONE
    return int(vregs[number]) if number > 0 else NONE


_THROUGH: Final = (fixed(0), fixed(FLOAT_FIRST + 1))
"""The temporary of a result that goes to a spill slot, by its class."""
