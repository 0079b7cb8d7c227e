"""Of which edits the proof claims nothing: told by what the tables say of an instruction's bytes before and after.

The one idea: the proof takes an instruction of the compiler's for an unknown function of its uses. So its bytes
compute something else, and no more, if they may read the same registers before writing them, write the same ones for
certain, leave to the same places in the same way, and access the frame alike: on all ways through them, before and
after. This is worked out here by a dataflow of its own, which shares the tables with the validator and nothing else.
Moves, prologues and exits are claimed to the bit, so nothing of them is beyond. Where an input or a result is in a
spill slot, or bytes move the stack pointer, each machine instruction must be alike by itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from liftcheck.isa.abi import reserved
from liftcheck.mach.insn import (
    BRANCH,
    CALL,
    FLAGS,
    JUMP,
    MEMORY,
    ORDINARY,
    RETURN,
    TRAP,
    VECTOR_CONFIGURATION,
    Access,
    Insn,
    decode,
)
from liftcheck.mach.regs import NONE, SLOT
from liftcheck.oracles.regalloc.code.slots import explicit
from liftcheck.regalloc.allocation import Captured

COMPUTES: Final = "computes something else"
ADDRESS: Final = "another address of the same base"
STORES: Final = "accesses more or less of the program's own memory"
INSIDE: Final = "other steps inside of one instruction"
_ENDS: Final = (JUMP, RETURN, TRAP)


class _Place(NamedTuple):
    """An access as far as something is claimed of it: of memory that is the program's, only how it is reached."""

    base: int
    scaled: int
    read: bool
    written: bool
    frame: Access | None


class Summary(NamedTuple):
    """What bytes do on all ways: places that may be read before they are written; that are written on every way to the
    end; that may be written; how control leaves; accesses of the frame."""

    read: frozenset[int]
    must: frozenset[int]
    may: frozenset[int]
    leaves: frozenset[tuple[int, int | None, frozenset[int]]]
    frame: frozenset[_Place]


def _flags_are_dead(isa: str, code: bytes, end: int) -> bool:
    """Whether the next instruction that has to do with flags writes them, with no control between."""
    for machine in decode(isa, code, end, min(end + 64, len(code))):
        if FLAGS in machine.reads or machine.flow != ORDINARY or not machine.known:
            return False
        if FLAGS in machine.writes:
            return True
    return False


def alike(isa: str, captured: Captured, old: Insn, new: Insn, end: int | None = None) -> str:
    """Why nothing is claimed of one machine instruction of own bytes, which ends there, in the place of another; '' if
    something is. Flags that nothing reads are nothing."""
    kept = reserved(isa)
    flags = old.writes ^ new.writes == {FLAGS}
    if flags and end is not None and _flags_are_dead(isa, captured.code.code, end):
        old, new = (machine._replace(writes=machine.writes - {FLAGS}) for machine in (old, new))
    if new.size != old.size or not new.known:
        return ""
    if (new.flow, new.target, new.writes, new.kept) != (old.flow, old.target, old.writes, old.kept):
        return ""
    # What only stays where less is loaded is no input: how much of memory an access means is not claimed.
    loads = bool(old.accesses) and old.merged <= new.merged <= new.writes
    if new.reads - new.merged != old.reads - old.merged or not (loads or new.merged == old.merged):
        return ""
    if {kept.sp, kept.frame, VECTOR_CONFIGURATION} & old.writes:
        return ""
    if new.accesses == old.accesses:
        return COMPUTES
    areas = _areas(isa, captured)
    places = [[_place(isa, areas, access) for access in machine.accesses] for machine in (old, new)]
    return ADDRESS if places[0] == places[1] else ""


def _areas(isa: str, captured: Captured) -> list[tuple[int, int, int]]:
    """(base, first, end) of what belongs to the program in and around the frame: stack slots, incoming arguments, what
    is handed to callees and back (below whatever slots, moves and the prologue access). Which of its own words a
    program accesses is not claimed, nor which argument is where."""
    kept, rows = reserved(isa), captured.allocation
    frame, slots = rows.frame, explicit(captured.allocation)
    found = [(kept.sp, low, high) for low, high in slots]
    begins = min([at or 0 for at in (*rows.offsets, *(start for start, _ in rows.edit_ranges))], default=0)
    lows = [low for low, _ in slots]
    for start, end in ((0, begins), *rows.edit_ranges):
        for machine in decode(isa, captured.code.code, start, end):
            lows += [a.displacement for a in machine.accesses if a.base == kept.sp and a.displacement > 0]
    found.append((kept.sp, 0, min(lows, default=0)))
    if kept.frame != NONE:
        found.append((kept.frame, 16, 1 << 31))
    size, taken = frame.get("frame_to_fp_offset"), frame.get("arguments")
    if (
        isinstance(size, int) and isinstance(taken, int) and isa == "s390x"
    ):  # a `tail` function's own, which it takes away
        found.append((kept.sp, size - taken, size))
    if isinstance(size, int):
        found.append((kept.sp, size + (160 if isa == "s390x" else 16), 1 << 31))
    return found


def _place(isa: str, areas: Sequence[tuple[int, int, int]], access: Access) -> _Place:
    kept = reserved(isa)
    framed = access.base in (kept.sp, kept.frame) and access.scaled == NONE
    programs = not framed or any(
        base == access.base and low <= access.displacement and access.displacement + access.size <= high
        for base, low, high in areas
    )
    return _Place(access.base, access.scaled, access.read, access.written, None if programs else access)


def inside(isa: str, before: Captured, after: Captured, instruction: int) -> str:
    """Why nothing is claimed of an instruction's bytes as a whole; '' if something is."""
    rows = before.allocation
    what, places = rows.instructions[instruction], rows.places[instruction]
    if what.clobbers or what.is_branch or what.is_return or any(place >= SLOT for place in places):
        return ""
    start, end = rows.offsets[instruction] or 0, rows.ends[instruction]
    areas = _areas(isa, before)
    one, two = (summary(isa, areas, each.code.code, start, end) for each in (before, after))
    kept = reserved(isa)
    if one is None or two is None or {kept.sp, kept.frame, VECTOR_CONFIGURATION} & one.may:
        return ""
    if one == two:
        return INSIDE
    return STORES if _plain(one) == _plain(two) else ""


def _plain(found: Summary) -> Summary:
    """Except for memory that is the program's."""
    memory = frozenset({MEMORY})
    leaves = frozenset((flow, goal, written - memory) for flow, goal, written in found.leaves)
    return found._replace(read=found.read - memory, must=found.must - memory, may=found.may - memory, leaves=leaves)


def summary(isa: str, areas: Sequence[tuple[int, int, int]], code: bytes, start: int, end: int) -> Summary | None:
    """Of the bytes [start, end); None where they are not known or call."""
    row = _row(isa, code, start, end)
    if row is None:
        return None
    kept = reserved(isa)
    leaves: set[tuple[int, int | None, frozenset[int]]] = set()
    written: dict[int, frozenset[int] | None] = {start: frozenset()}
    work, read, may = [start], set(), set()
    must: frozenset[int] | None = None
    while work:
        at = work.pop()
        machine, before = row[at], written[at]
        assert before is not None
        read |= machine.reads - before
        may |= machine.writes
        behind = before | machine.writes
        for goal in _goals(at, machine):
            if start <= goal < end and goal in row:
                known = written.get(goal)
                joined = behind if known is None else known & behind
                if goal not in written or joined != known:
                    written[goal] = joined
                    work.append(goal)
            elif goal == end:
                must = behind if must is None else must & behind
            else:
                leaves.add((machine.flow, goal, behind))
        if machine.flow in _ENDS and machine.target is None:
            leaves.add((machine.flow, None, behind))
    reached = [_place(isa, areas, access) for at in written for access in row[at].accesses]
    pointers = {kept.sp, kept.frame} - {NONE}
    frame = frozenset(place for place in reached if place.frame or {place.base, place.scaled} & pointers)
    return Summary(frozenset(read), must or frozenset(), frozenset(may), frozenset(leaves), frame)


def _row(isa: str, code: bytes, start: int, end: int) -> dict[int, Insn] | None:
    found: dict[int, Insn] = {}
    at = start
    for machine in decode(isa, code, start, end):
        if not machine.known or machine.flow == CALL:
            return None
        found[at] = machine
        at += machine.size
    return found if at == end else None


def _goals(at: int, machine: Insn) -> Sequence[int]:
    goals = []
    if machine.flow in (BRANCH, JUMP) and machine.target is not None:
        goals.append(at + machine.target)
    if machine.flow in (ORDINARY, BRANCH):
        goals.append(at + machine.size)
    return goals
