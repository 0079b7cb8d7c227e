"""Whether riscv64's machine instructions have the operands that Cranelift's own text of an instruction names.

The one idea: texts are read into steps (`forms`), which are held against the operands that the table's rows have;
compressed instructions are read as the ones that they stand for. An address that is made before an access (or is what
is made) is put in the place of its register. Of vectors the configuration is compared where it is made. What has
matched once is known by its spelling (`regalloc.spelling`).

It does not compare orders of atomic instructions and fences, and numbers of control registers (no row
of an instruction has them), where a jump out of an instruction leads, nor which constant of the code's own is loaded.
Source: cranelift-codegen 0.130 to 0.137 isa/riscv64/inst/emit.rs.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Final

from liftcheck.bits.term import value_of
from liftcheck.isa.riscv64.forms import BRANCHES, NAMES, PC, ZERO, same_as, shape_of
from liftcheck.isa.riscv64.spelling import ROUNDINGS
from liftcheck.mach.insn import JUMP, VECTOR_CONFIGURATION, Insn
from liftcheck.regalloc.named import ALL, DIFFERS, FITS, SILENT, Named
from liftcheck.regalloc.results import retrieved
from liftcheck.regalloc.spelling import Text, known, learn, split
from liftcheck.regalloc.steps import ANY, SLOT_AREA, Distance, Found, Item, Register, Step, fit, is_there, same

_PLACES: Final = {
    kind: {first + n: str(n) for n in range(32)} for kind, first in (("x", 0), ("f", 64), ("v", 128))
}  # fmt: skip
"""Numbers of registers by the letter before them."""
_VIRTUAL: Final = re.compile(r"v(\d{4,}|[2-9]\d\d|19[2-9])")
"""Numbers below are those of real registers."""


def compare(text: str, own: Sequence[tuple[int, Insn]], named: Named) -> str:
    """See `regalloc.named.Reader`."""
    parts = _cut(text, named.slots if "(slot)" in text else None)
    if len(own) == 1 and known(parts, own[0][1], named):
        return ALL
    shape = shape_of(parts.pieces)
    if shape is None:
        return SILENT
    if len(own) > 1:
        own = _without_half_jumps(own)
    numbers = parts.vregs
    if shape.branches:
        reads = all(_branches(shape.ways[0][0], m, numbers, named) for _, m in own if m.name in BRANCHES)
        return FITS if reads else DIFFERS
    if shape.calls:
        return FITS if _calls(shape.ways[0], own, numbers, named) else DIFFERS
    if shape.state and own and own[0][1].name == "vsetivli":
        if not _configures(own[0][1], shape.state):
            return DIFFERS
        own = own[1:]
    found = [_found(at, machine) for at, machine in own]
    standing = bool(shape.standing) and all(_together(*pair, numbers, named) for pair in shape.standing)
    if not any(_fits(way, found, numbers, named) for way in (shape.turned if standing else shape.ways)):
        return DIFFERS
    if len(own) == 1 and len(shape.ways) == 1 == len(shape.ways[0]):
        _learn(parts, shape.ways[0][0], own[0][1], named)
    return ALL


@lru_cache(maxsize=1 << 14)
def _cut(text: str, slots: int | None) -> Text:
    """`slots`: where a distance in it is counted from."""
    return split(text, _VIRTUAL, str(slots))


# Machine instructions


@lru_cache(maxsize=1 << 15)
def _machine(name: str, operands: str) -> tuple[str, tuple[Item, ...]]:
    """The name and the operands that they are compared by."""
    items: list[Item] = []
    for one in operands.split(", ") if operands else ():
        if one == "v0.t":
            items.append(Register(NAMES["v0"].number, ".t"))
        else:
            items.append(NAMES[one] if one in NAMES else one if one in ROUNDINGS else int(one))
    if name.startswith(("vle", "vse")) and name[3].isdigit():
        items.insert(2, 0)
    return same_as(name, items)


def _found(at: int, machine: Insn) -> Found:
    name, items = _machine(machine.name, machine.operands)
    if machine.target is None:
        return Found(at, machine.size, name, items)
    return Found(at, machine.size, name, items[:-1], at + machine.target, machine.flow == JUMP)


def _without_half_jumps(own: Sequence[tuple[int, Insn]]) -> Sequence[tuple[int, Insn]]:
    """Of a far jump over an island, or of a block's at the end, the second half was left out."""
    if not any(machine.name == "auipc" for _, machine in own):
        return own
    after = [at for at, _ in own[1:]] + [-1]
    return [(at, m) for (at, m), following in zip(own, after) if m.name != "auipc" or following == at + m.size]


def _configures(machine: Insn, state: int) -> bool:
    """Whether a `vsetivli` makes that configuration."""
    _, items = _machine(machine.name, machine.operands)
    effect = machine.effect
    made = [value_of(value) for place, value in effect.writes if place == VECTOR_CONFIGURATION] if effect else []
    return items == (ZERO, state >> 16) and [one & 0x3FF for one in made] == [state & 0x3FF]


# Both


_COMMUTES: Final = frozenset({"add", "and", "or", "xor", "addw", "mul"})
"""Compressed ones have the operands in either order."""
_MOVES: Final = frozenset({"mv", "fsgnj.d", "fsgnj.s", "fsgnj.h", "vmv1r.v"})


def _fits(way: Sequence[Step], found: Sequence[Found], numbers: Sequence[int], named: Named) -> bool:
    """One way. Moves to where the value is already are left out."""
    if len(way) == 1:
        if len(found) > 1 or "load_addr" in way[0].words:
            found = _addressed(found, "load_addr" in way[0].words)
        if len(found) != 1:
            return not found and _idle(way[0], numbers, named)
        return _one(way[0], found[0], numbers, named)
    steps = [step for step in way if not _idle(step, numbers, named)]
    if len(steps) == 2 and steps[0].goal == steps[1].label and not steps[1].words:
        steps = []
    if found and found[-1].jumps and found[-1].goal >= found[-1].offset + found[-1].size:
        found = found[:-1]  # over an island after them
    return _all(steps, found, numbers, named) or (
        len(found) >= len(steps) and _all(steps, _addressed(found, False), numbers, named)
    )


def _all(steps: Sequence[Step], found: Sequence[Found], numbers: Sequence[int], named: Named) -> bool:
    turned = [_turned(step, one, numbers, named) for step, one in zip(steps, found)]
    return fit([*turned, *steps[len(turned) :]], found, numbers, named)


def _one(step: Step, found: Found, numbers: Sequence[int], named: Named) -> bool:
    if LOADED in found.items and len(step.items) == len(found.items):
        found = _with_loaded(step, found)
    return same(step, found, numbers, named) or same(_turned(step, found, numbers, named), found, numbers, named)


def _turned(step: Step, found: Found, numbers: Sequence[int], named: Named) -> Step:
    """With its inputs the other way round, if they are."""
    if step.words.isdisjoint(_COMMUTES) or same(step, found, numbers, named):
        return step
    return step._replace(items=(step.items[0], *step.items[:0:-1]))


def _idle(step: Step, numbers: Sequence[int], named: Named) -> bool:
    """Whether it moves something to where that is."""
    return not step.words.isdisjoint(_MOVES) and all(
        one != step.items[0] and _together(step.items[0], one, numbers, named) for one in step.items[1:]
    )


def _together(one: Item, other: Item, numbers: Sequence[int], named: Named) -> bool:
    """Whether two registers of a text are in one place."""
    if not isinstance(one, Register) or not isinstance(other, Register):
        return False
    if one.number < 0:
        return is_there(other, -2 - one.number, numbers, named)
    place = named.places.get(numbers[one.number])
    return place is not None and is_there(other, place, numbers, named)


_MADE: Final = frozenset({"lui", "addi", "mv", "auipc", "add", "ld"})


def _addressed(found: Sequence[Found], whole: bool) -> Sequence[Found]:
    """With the address of an access in the place of the register that it is made in before; `whole`: it is made for its
    own sake."""
    last = len(found) if whole else next((n for n in range(len(found) - 1, 0, -1) if _accesses(found[n])), 0)
    if not last:
        return found
    register = found[-1].items[0] if whole else found[last].items[1]
    first = last
    while first and found[first - 1].name in _MADE and found[first - 1].items[0] == register:
        first -= 1
    address = _made(register, found[first:last]) if first < last else None
    if address is None:
        return found
    if whole:
        return [*found[:first], found[last - 1]._replace(name="load_addr", items=(register, *address))]
    one = found[last]
    base, distance = address
    if one.items[2] not in (0, ANY) and base != PC:
        return found
    return [*found[:first], one._replace(items=(one.items[0], base, distance, *one.items[3:])), *found[last + 1 :]]


def _accesses(one: Found) -> bool:
    return len(one.items) >= 3 and isinstance(one.items[2], int) and one.name.lstrip("vf")[0] in "ls"


def _made(register: Item, found: Sequence[Found]) -> tuple[Item, Item] | None:
    """The base and the distance of an address; None: it is not made so."""
    base: Item = ZERO
    value: Item = 0
    for number, one in enumerate(found):
        rest = one.items[1:]
        if one.name == "auipc" and not number:
            base, value = PC, ANY
        elif one.name == "lui" and not number:
            value = rest[0]
        elif one.name in ("addi", "mv") and (not number or rest[0] == register):
            base = base if number else rest[0]
            more = rest[1] if one.name == "addi" else 0
            value = value + more if isinstance(value, int) and isinstance(more, int) else value
        elif one.name == "ld" and base == PC and rest[0] == register:
            base, value = ZERO, LOADED
        elif one.name == "add" and number and base == ZERO and register in rest and rest[0] != rest[1]:
            base = next(each for each in rest if each != register)
        else:
            return None
    return base, value


LOADED: Final = "a constant of the code"
"""A distance that was loaded: which constant it is, is not compared."""
_MADE_OF_TWO: Final = range(-(1 << 31) - (1 << 11), (1 << 31) - (1 << 11))
"""What lui and addi make."""


def _with_loaded(step: Step, found: Found) -> Found:
    """With the text's distance in the place of one that was loaded, if it can be made by no other means."""
    pairs = zip(step.items, found.items)
    far = [want if isinstance(want, int) and want not in _MADE_OF_TWO and got == LOADED else got for want, got in pairs]
    return found._replace(items=tuple(far))


def _branches(step: Step, machine: Insn, numbers: Sequence[int], named: Named) -> bool:
    return same(step, _found(0, machine), numbers, named)


def _calls(steps: Sequence[Step], own: Sequence[tuple[int, Insn]], numbers: Sequence[int], named: Named) -> bool:
    """A call, and how its results are taken from the stack."""
    head, rest = own[: len(steps)], own[len(steps) :]
    if not fit(steps, [_found(at, machine) for at, machine in head], numbers, named):
        return False
    return retrieved("riscv64", _halves_loaded([machine for _, machine in rest]), named)


_BOXED: Final = (("lui", (NAMES["x30"], -65536)), ("or", (NAMES["x31"], NAMES["x31"], NAMES["x30"])))


def _halves_loaded(machines: Sequence[Insn]) -> Sequence[Insn]:
    """Loads of f16 without Zfhmin, through an integer register, as one load."""
    found: list[Insn] = []
    at = 0
    while at < len(machines):
        load, *more = machines[at : at + 4]
        read = [_machine(one.name, one.operands) for one in (load, *more)]
        if load.name == "lh" and tuple(read[1:3]) == _BOXED and [name for name, _ in read[3:]] == ["fmv.w.x"]:
            boxed = read[0][1][0] == read[3][1][1] == NAMES["x31"]
            load, at = (load._replace(writes=more[-1].writes), at + 3) if boxed else (load, at)
        found.append(load)
        at += 1
    return found


_NUMBERED: Final = re.compile(r"\b([xfv])(\d+)\b(?!\.t)")


def _learn(text: Text, step: Step, machine: Insn, named: Named) -> None:
    """How the instruction is spelt, once it has matched: but where a distance depends on the function alone."""
    step = _turned(step, _found(0, machine), text.vregs, named)
    if any(isinstance(one, Distance) and (one.begin != SLOT_AREA or named.slots is None) for one in step.items):
        return
    wanted = [one for one in step.items if isinstance(one, Register) and not one.lane][::-1]
    gaps: list[tuple[int, Mapping[int, str]]] = []

    def gap(one: re.Match[str]) -> str:
        register = NAMES[one[0]]
        if not wanted or not is_there(wanted[-1], -2 - register.number, text.vregs, named):
            return one[0] if register == ZERO else ""
        number = wanted.pop().number
        if number < 0:
            return one[0]
        gaps.append((number, _PLACES[one[1]]))
        return f"{one[1]}%s"

    spelt = _NUMBERED.sub(gap, machine.operands)
    if not wanted:
        learn(text, machine, spelt, gaps, named)
