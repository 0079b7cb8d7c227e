"""Wrong answers and wrong descriptions at the seam of the allocator, and code offsets that are told wrong.

The one idea: a wrong description alone does no harm, as the code is right; what does is code made from an allocation
that is right by the wrong description. So the shim for regalloc2 plants a fault in the answer, the compiler makes code
of it, and then the description is changed until part 1 of the proof has nothing to say: a result that is written early
is called a late one, a lost register is taken off the clobbers, an input is not told of, a fixed or shared register is
called a free choice. What is left is part 2's to see. Offsets are told as a compiler would that dropped or exchanged
the bytes, so that no byte is left over.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise
from random import Random
from typing import Final

from mutation_edits import MOVE, OWN, Change, Edited, Maker, Spot, beyond, put
from regalloc_edits import nothing

from liftcheck.compilers.cranelift.capture import FAULTS
from liftcheck.mach.insn import ORDINARY
from liftcheck.mach.regs import SLOT
from liftcheck.oracles.regalloc.validate import validate_allocation
from liftcheck.oracles.regalloc.verdict import VALID
from liftcheck.regalloc.allocation import (
    DEF,
    FIXED,
    LATE,
    REG,
    REUSE,
    USE,
    Allocation,
    Captured,
    Edit,
    Instruction,
    Operand,
)

ROUNDS: Final = 6
Teller = Callable[[Allocation, Captured], Allocation | None]
"""The faulty allocation, and what it would have been -> with a description that fits."""


def _with(allocation: Allocation, number: int, what: Instruction, places: tuple[int, ...]) -> Allocation:
    instructions, rows = list(allocation.instructions), list(allocation.places)
    instructions[number], rows[number] = what, places
    return replace(allocation, instructions=tuple(instructions), places=tuple(rows))


def _late(faulty: Allocation, _right: Captured) -> Allocation:
    """Early definitions are told as late ones."""
    rows = tuple(
        what._replace(operands=tuple(o._replace(position=LATE) if o.kind == DEF else o for o in what.operands))
        for what in faulty.instructions
    )
    return replace(faulty, instructions=rows)


def _unclobbered(faulty: Allocation, _right: Captured) -> Allocation | None:
    """The registers that a value is lost in are told as kept."""
    found = faulty
    for _ in range(ROUNDS):
        example = validate_allocation(found).counterexample
        if example is None:
            return found
        rows = tuple(
            what._replace(clobbers=tuple(c for c in what.clobbers if c != example.place)) for what in found.instructions
        )
        if rows == found.instructions:
            return None
        found = replace(found, instructions=rows)
    return None


def _untold(faulty: Allocation, _right: Captured) -> Allocation | None:
    """Of the inputs that read another value nothing is told."""
    found = faulty
    for _ in range(ROUNDS):
        example = validate_allocation(found).counterexample
        if example is None:
            return found
        number = example.instruction
        if not 0 <= number < len(found.instructions):
            return None
        operands, places = found.instructions[number].operands, found.places[number]
        gone = [n for n, (o, p) in enumerate(zip(operands, places)) if o.kind == USE and p == example.place]
        if not gone or [*places].count(example.place) > 1:
            return None  # what another operand stands for may be read
        found = _without(found, number, gone[0])
    return None


def _without(allocation: Allocation, number: int, gone: int) -> Allocation:
    """An instruction without one of its operands; results that share its register are free."""
    what, places = allocation.instructions[number], allocation.places[number]
    rows: list[Operand] = []
    for operand in what.operands[:gone] + what.operands[gone + 1 :]:
        if operand.constraint == REUSE and operand.value == gone:
            operand = operand._replace(constraint=REG, value=0)
        elif operand.constraint == REUSE and operand.value > gone:
            operand = operand._replace(value=operand.value - 1)
        rows.append(operand)
    return _with(allocation, number, what._replace(operands=tuple(rows)), places[:gone] + places[gone + 1 :])


def _lost_edit(faulty: Allocation, right: Captured) -> Edit | None:
    """The move that is missing now."""
    left = list(faulty.edits)
    for edit in right.allocation.edits:
        if edit not in left:
            return edit
        left.remove(edit)
    return None


def _free(faulty: Allocation, right: Captured) -> Allocation | None:
    """The input that a missing move should have brought is told where it was: any register will do for it."""
    edit = _lost_edit(faulty, right)
    if edit is None or edit.source >= SLOT:
        return None
    number = edit.instruction
    what, places = faulty.instructions[number], faulty.places[number]
    if what.clobbers or what.is_return:
        return None  # what calls and returns hand over in which register, no bytes say
    for n, (operand, place) in enumerate(zip(what.operands, places)):
        if operand.kind == USE and place == edit.target:
            operands = [
                o._replace(constraint=REG, value=0) if o.constraint == REUSE and o.value == n else o
                for o in what.operands
            ]
            told_as = REG if operand.constraint == FIXED else operand.constraint
            operands[n] = operand._replace(constraint=told_as, value=0)
            return _with(
                faulty, number, what._replace(operands=tuple(operands)), (*places[:n], edit.source, *places[n + 1 :])
            )
    return None


TOLD: Final[dict[str, tuple[tuple[str, ...], Teller]]] = {
    "position: an early result told late": (("early-def-on-use",), _late),
    "clobber: a lost register told as kept": (("clobber",), _unclobbered),
    "kind: an input not told of": (("use", "use-of-value", "swap-uses"), _untold),
    "fixed: an input told free, where it was": (("drop-edit",), _free),
    "reuse: an input told apart from its result": (("reuse-copy",), _free),
}  # fmt: skip
"""Kinds of wrong descriptions: the faults that go with them, and who tells them."""
SEAM: Final = tuple(FAULTS)


def told(kind: str, faulty: Captured, right: Captured) -> Captured | None:
    """The faulty function under a description by which its allocation is right; None if that cannot be had."""
    if not faulty.allocation.fault or faulty.allocation.fault.startswith(("nothing", "none")):
        return None
    found = TOLD[kind][1](faulty.allocation, right)
    if found is None or found is faulty.allocation or validate_allocation(found).status != VALID:
        return None
    return faulty._replace(allocation=found)


# Offsets


def _unemitted(_isa: str, captured: Captured, where: Sequence[Spot], rng: Random) -> Edited | None:
    """An instruction, or a move, emits nothing, and that is told."""
    pieces = sorted({(spot.role, spot.piece) for spot in where if spot.role in (OWN, MOVE)})
    if not pieces:
        return None
    role, piece = rng.choice(pieces)
    rows = [spot for spot in where if (spot.role, spot.piece) == (role, piece)]
    if any(spot.machine.flow != ORDINARY for spot in rows):
        return None
    changed = put(captured, [Change(spot, nothing(_isa, spot.machine.size)) for spot in rows])
    words = f"{rows[0].offset:#x} ({role}): nothing emitted for {'; '.join(spot.machine.text for spot in rows)}"
    return Edited(
        changed._replace(allocation=ranged(captured.allocation, role, piece, rows[0].offset, rows[0].offset)), words
    )


def ranged(allocation: Allocation, role: str, piece: int, start: int, end: int) -> Allocation:
    """The bytes of a piece told to be [start, end)."""
    if role == MOVE:
        ranges = list(allocation.edit_ranges)
        ranges[piece] = start, end
        return replace(allocation, edit_ranges=tuple(ranges))
    offsets, ends = list(allocation.offsets), list(allocation.ends)
    offsets[piece], ends[piece] = start, end
    return replace(allocation, offsets=tuple(offsets), ends=tuple(ends))


def _neighbours(where: Sequence[Spot]) -> list[tuple[list[Spot], list[Spot]]]:
    """Two pieces that follow each other in the code, with no control in them."""
    rows: list[list[Spot]] = []
    for spot in where:
        if rows and rows[-1][0][2:] == spot[2:]:
            rows[-1].append(spot)
        else:
            rows.append([spot])
    return [
        (a, b)
        for a, b in pairwise(rows)
        if a[-1].end == b[0].offset
        and {a[0].role, b[0].role} <= {OWN, MOVE}
        and all(s.machine.flow == ORDINARY and s.machine.target is None for s in (*a, *b))
    ]


def _exchanged(isa: str, captured: Captured, where: Sequence[Spot], rng: Random) -> Edited | None:
    """Two pieces stand in the other order, and that is told."""
    pairs = _neighbours(where)
    if not pairs:
        return None
    a, b = rng.choice(pairs)
    start, middle, end = a[0].offset, b[0].offset, b[-1].end
    if any(start - 8 < r.offset < end + 8 for r in captured.code.relocations):
        return None
    code = captured.code.code
    changed = code[:start] + code[middle:end] + code[start:middle] + code[end:]
    allocation = ranged(captured.allocation, b[0].role, b[0].piece, start, start + end - middle)
    allocation = ranged(allocation, a[0].role, a[0].piece, start + end - middle, end)
    first, second = ("; ".join(spot.machine.text for spot in row) for row in (a, b))
    return Edited(
        Captured(replace(captured.code, code=changed), allocation),
        f"{start:#x}: {first} now stands behind {second}, and that is told",
    )


def _shifted(isa: str, captured: Captured, where: Sequence[Spot], rng: Random) -> Edited | None:
    """The border of two pieces is told one instruction off, and that instruction does nothing."""
    pairs = _neighbours(where)
    if not pairs:
        return None
    a, b = rng.choice(pairs)
    spot, border = rng.choice(((b[0], b[0].end), (a[-1], a[-1].offset)))
    change = [Change(spot, nothing(isa, spot.machine.size))]
    changed = put(captured, change)
    reason = beyond(isa, captured, changed, change)
    allocation = ranged(captured.allocation, a[0].role, a[0].piece, a[0].offset, border)
    allocation = ranged(allocation, b[0].role, b[0].piece, border, b[-1].end)
    words = f"{spot.offset:#x}: {spot.machine.text} dropped, and the border told at {border:#x}"
    return Edited(changed._replace(allocation=allocation), words, reason)


OFFSETS: Final[dict[str, Maker]] = {
    "offsets: nothing emitted, and told": _unemitted,
    "offsets: two pieces exchanged, and told": _exchanged,
    "offsets: a border told one instruction off": _shifted,
}
"""Kinds of wrong bytes with offsets that fit them."""
