"""Random edits of emitted code, one instruction or several that belong together: what the mutation fuzzer plants.

The one idea: an edit is searched for among bytes near the compiler's own (bits flipped, bytes replaced), decoded by the
tables, so each kind exists on every ISA. Edits of several instructions make the same change in each of them, so that
they still fit one another: a saved register is restored from where it now is, a temporary is read where it now is.
`mutation_claims.py` says of which edits the proof claims nothing. Nothing here runs or judges code. Edits of
descriptions and offsets are `mutation_told.py`'s.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import lru_cache
from itertools import pairwise
from random import Random
from typing import Final, NamedTuple

from mutation_claims import alike, inside
from regalloc_edits import nothing, read

from liftcheck.isa.abi import abi_named, reserved
from liftcheck.mach.insn import JUMP, MEMORY, ORDINARY, PC, STACK_POINTERS, Access, Insn, decode
from liftcheck.mach.regs import NONE
from liftcheck.regalloc.allocation import Captured

PROLOGUE: Final = "prologue"
OWN: Final = "own bytes"
EXIT: Final = "exit"
MOVE: Final = "move"
TRIES: Final = 24
CONSTANT: Final = "another constant in the code"


class Spot(NamedTuple):
    """A machine instruction, where it stands, and what it belongs to: an instruction's number, or that of a move."""

    offset: int
    machine: Insn
    role: str
    piece: int

    @property
    def end(self) -> int:
        return self.offset + self.machine.size


class Change(NamedTuple):
    """Other bytes for one instruction."""

    spot: Spot
    data: bytes


class Edited(NamedTuple):
    """A function with wrong bytes or a wrong description, what was done in words, and why nothing is claimed of it
    ('': something is)."""

    captured: Captured
    words: str
    beyond: str = ""


Maker = Callable[[str, Captured, Sequence[Spot], Random], Edited | None]


# Where


def spots(isa: str, captured: Captured) -> list[Spot]:
    """The instructions of prologue, own bytes, exits and moves, in the order of the code. What is not known (tables,
    constants) and what stands after it in its piece are left out, and what a jump leads over."""
    rows = captured.allocation
    begins = [at or 0 for at in (*rows.offsets, *(start for start, _ in rows.edit_ranges))]
    pieces = [(0, min(begins, default=0), PROLOGUE, NONE)]
    pieces += [(start, end, MOVE, n) for n, (start, end) in enumerate(rows.edit_ranges)]
    pieces += [
        (at or 0, end, EXIT if what.is_return else OWN, n)
        for n, (at, end, what) in enumerate(zip(rows.offsets, rows.ends, rows.instructions))
    ]
    found: list[Spot] = []
    for start, end, role, number in sorted(pieces):
        found.extend(Spot(at, machine, role, number) for at, machine in _passed(isa, captured.code.code, start, end))
    return found


def _passed(isa: str, code: bytes, start: int, end: int) -> Iterator[tuple[int, Insn]]:
    """The known instructions of [start, end). What a jump leads over is data: constants, an island."""
    while start < end:
        machine = decode(isa, code, start, start + 1)[0]
        if not machine.known or start + machine.size > end:
            return
        yield start, machine
        over = machine.flow == JUMP and machine.target is not None and machine.size < machine.target <= end - start
        start += machine.target if over and machine.target is not None else machine.size


def _code(captured: Captured, spot: Spot) -> bytes:
    return captured.code.code[spot.offset : spot.end]


# Near bytes


@lru_cache(maxsize=4000)
def _flipped(isa: str, data: bytes) -> tuple[tuple[bytes, Insn], ...]:
    """Every known instruction of the same size that differs by one bit."""
    number = int.from_bytes(data, "little")
    rows = [(number ^ 1 << bit).to_bytes(len(data), "little") for bit in range(8 * len(data))]
    return tuple((row, m) for row in rows if (m := read(isa, row)).known and m.size == len(data))


def _near(isa: str, data: bytes, rng: Random) -> Iterator[tuple[bytes, Insn]]:
    """Known instructions of the same size near by, in random order."""
    flipped = list(_flipped(isa, data))
    rng.shuffle(flipped)
    yield from flipped
    for _ in range(TRIES):
        changed = bytearray(data)
        for _ in range(rng.choice((1, 1, 2))):
            changed[rng.randrange(len(data))] = rng.randrange(256)
        machine = read(isa, bytes(changed))
        if machine.known and machine.size == len(data) and bytes(changed) != data:
            yield bytes(changed), machine


# Edits


def put(captured: Captured, changes: Sequence[Change]) -> Captured:
    """The function with these bytes."""
    code = bytearray(captured.code.code)
    for spot, data in changes:
        code[spot.offset : spot.offset + len(data)] = data
    return captured._replace(code=replace(captured.code, code=bytes(code)))


def made(isa: str, captured: Captured, changes: Sequence[Change]) -> Edited:
    """The edit, with its words and what is claimed of it."""
    lines = [
        f"{c.spot.offset:#x} ({c.spot.role}): {c.spot.machine.text} ({_code(captured, c.spot).hex()}) becomes "
        f"{'; '.join(m.text for m in decode(isa, c.data))} ({c.data.hex()})"
        for c in changes
    ]
    changed = put(captured, changes)
    return Edited(changed, ", ".join(lines), beyond(isa, captured, changed, changes))


def beyond(isa: str, before: Captured, after: Captured, changes: Sequence[Change]) -> str:
    """Why the proof claims nothing of an edit; '' if it does. Each change is in own bytes, and each is beyond."""
    found = set()
    for spot, data in changes:
        new = read(isa, data)
        if spot.role != OWN:
            return ""
        found.add(alike(isa, before, spot.machine, new, spot.end) or inside(isa, before, after, spot.piece))
    return "" if "" in found else max(found, default="")


def _single(wanted: Callable[[Spot, Insn], bool], eligible: Callable[[Spot], bool]) -> Maker:
    """One instruction that `wanted` accepts in the place of another one."""

    def make(isa: str, captured: Captured, where: Sequence[Spot], rng: Random) -> Edited | None:
        order = [spot for spot in where if eligible(spot)]
        rng.shuffle(order)
        for spot in order[:4]:
            for data, machine in _near(isa, _code(captured, spot), rng):
                if wanted(spot, machine):
                    return made(isa, captured, [Change(spot, data)])
        return None

    return make


def _any(_spot: Spot) -> bool:
    return True


def _accesses(spot: Spot) -> bool:
    return len(spot.machine.accesses) == 1


def _leads(spot: Spot) -> bool:
    return spot.machine.target is not None


def _other_register(spot: Spot, new: Insn) -> bool:
    old = spot.machine
    return (
        new.name == old.name
        and (new.reads, new.writes) != (old.reads, old.writes)
        and [a._replace(base=0, scaled=0) for a in new.accesses] == [a._replace(base=0, scaled=0) for a in old.accesses]
    )


def _other_access(field: str) -> Callable[[Spot, Insn], bool]:
    def wanted(spot: Spot, new: Insn) -> bool:
        if len(new.accesses) != 1:
            return False
        a, b = spot.machine.accesses[0], new.accesses[0]
        return getattr(a, field) != getattr(b, field) and b._replace(**{field: getattr(a, field)}) == a

    return wanted


def _other_target(spot: Spot, new: Insn) -> bool:
    return new.target is not None and new.target != spot.machine.target and new.flow == spot.machine.flow


def _other_flow(spot: Spot, new: Insn) -> bool:
    return new.flow != spot.machine.flow


def _other_pointer(spot: Spot, new: Insn) -> bool:
    return new.text != spot.machine.text and any(
        sp in (new.reads | new.writes) ^ (spot.machine.reads | spot.machine.writes) for sp in STACK_POINTERS.values()
    )


def _anything(_spot: Spot, _new: Insn) -> bool:
    return True


def _byte(isa: str, captured: Captured, where: Sequence[Spot], rng: Random) -> Edited | None:
    """Random bytes in one instruction."""
    spot = rng.choice(where)
    near = list(_near(isa, _code(captured, spot), rng))
    return made(isa, captured, [Change(spot, rng.choice(near)[0])]) if near else None


def _two_bytes(isa: str, captured: Captured, where: Sequence[Spot], rng: Random) -> Edited | None:
    """Two instructions that need not have anything to do with one another."""
    changes: list[Change] = []
    for spot in rng.sample(where, min(4, len(where))):
        data = next((data for data, _ in _near(isa, _code(captured, spot), rng)), b"")
        if data and len(changes) < 2 and not made(isa, captured, [Change(spot, data)]).beyond:
            changes.append(Change(spot, data))
    return made(isa, captured, changes) if len(changes) == 2 else None


def _dropped(isa: str, captured: Captured, where: Sequence[Spot], rng: Random) -> Edited | None:
    spot = rng.choice(where)
    return made(isa, captured, [Change(spot, nothing(isa, spot.machine.size))])


def _twice(isa: str, captured: Captured, where: Sequence[Spot], rng: Random) -> Edited | None:
    """An instruction in the place of its neighbour."""
    pairs = [
        pair
        for a, b in pairwise(where)
        for pair in ((a, b), (b, a))
        if a.machine.size == b.machine.size
        and a.machine.target is None
        and b.machine.target is None
        and a.machine != b.machine
    ]
    if not pairs:
        return None
    source, target = rng.choice(pairs)
    return made(isa, captured, [Change(target, _code(captured, source))])


def _exchanged(isa: str, captured: Captured, where: Sequence[Spot], rng: Random) -> Edited | None:
    """Two neighbours in the other order, as they were cut."""
    pairs = [
        (a, b)
        for a, b in pairwise(where)
        if a.end == b.offset
        and a.machine.size == b.machine.size
        and ORDINARY == a.machine.flow == b.machine.flow
        and a.machine != b.machine
        and a.machine.target is None
        and b.machine.target is None
    ]
    if not pairs:
        return None
    a, b = rng.choice(pairs)
    return made(isa, captured, [Change(a, _code(captured, b)), Change(b, _code(captured, a))])


def _between(isa: str, captured: Captured, where: Sequence[Spot], rng: Random) -> Edited | None:
    """A byte between two pieces: padding, landing pads, islands."""
    gaps = [at for a, b in pairwise(where) for at in range(a.end, b.offset)]
    if not gaps:
        return None
    at, code = rng.choice(gaps), bytearray(captured.code.code)
    old = code[at]
    code[at] ^= rng.randrange(1, 256)
    changed = captured._replace(code=replace(captured.code, code=bytes(code)))
    beyond = CONSTANT if any(low <= at < high for low, high in _constants(isa, where)) else ""
    return Edited(changed, f"{at:#x} (between pieces): {old:02x} becomes {code[at]:02x}", beyond)


def _constants(isa: str, where: Sequence[Spot]) -> Iterator[tuple[int, int]]:
    """Where the constants lie that own bytes load: by their own address, or by one that is made right before."""
    for before, spot in pairwise(where):
        for access in spot.machine.accesses:
            if access.base == PC:
                low = spot.offset + access.displacement + (spot.machine.size if abi_named(isa).from_end else 0)
            elif before.machine.name == "auipc" and access.base in before.machine.writes:
                low = before.offset + int(before.machine.operands.rpartition(", ")[2], 0) + access.displacement
            else:
                continue
            yield low, low + access.size


# Several that belong together


def _displaced(isa: str, captured: Captured, group: Sequence[Spot], rng: Random) -> list[Change] | None:
    """The accesses of a group, all moved by the same distance or onto the same other base, of the same size."""
    options: list[dict[tuple[int, int, int], bytes]] = []
    for spot in group:
        a = spot.machine.accesses[0]
        rows: dict[tuple[int, int, int], bytes] = {}
        for data, machine in _flipped(isa, _code(captured, spot)):
            if machine.name == spot.machine.name and len(machine.accesses) == len(spot.machine.accesses):
                b = machine.accesses[0]
                if (a.read, a.written, a.scaled) == (b.read, b.written, b.scaled):
                    rows[b.base, b.displacement - a.displacement, b.size - a.size] = data
        options.append(rows)
    common = set.intersection(*map(set, options)) - {(group[0].machine.accesses[0].base, 0, 0)}
    if not common:
        return None
    chosen = rng.choice(sorted(common))
    return [Change(spot, rows[chosen]) for spot, rows in zip(group, options)]


def _moved(choose: Callable[[str, Sequence[Spot]], list[list[Spot]]]) -> Maker:
    """A whole group of accesses to the frame, moved."""

    def make(isa: str, captured: Captured, where: Sequence[Spot], rng: Random) -> Edited | None:
        groups = choose(isa, where)
        rng.shuffle(groups)
        for group in groups[:4]:
            changes = _displaced(isa, captured, group, rng)
            if changes:
                return made(isa, captured, changes)
        return None

    return make


def _frame_access(isa: str, spot: Spot) -> Access | None:
    kept = reserved(isa)
    one = spot.machine.accesses[0] if spot.machine.accesses else None
    return one if one is not None and one.base in (kept.sp, kept.frame) and one.scaled == NONE else None


def _saves(isa: str, where: Sequence[Spot]) -> list[list[Spot]]:
    """A save and all of its restores."""
    return [
        group
        for group in _same_words(isa, [s for s in where if s.role in (PROLOGUE, EXIT)])
        if len({spot.role for spot in group}) == 2
    ]


def _words(isa: str, where: Sequence[Spot]) -> list[list[Spot]]:
    """All accesses of a word of the frame, stores and loads."""
    return [
        group
        for group in _same_words(isa, [s for s in where if s.role in (OWN, MOVE)])
        if len(group) > 1 and any(s.machine.accesses[0].written for s in group)
    ]


def _same_words(isa: str, where: Sequence[Spot]) -> list[list[Spot]]:
    groups: dict[tuple[int, int], list[Spot]] = {}
    for spot in where:
        access = _frame_access(isa, spot)
        if access is not None:
            groups.setdefault((access.base, access.displacement), []).append(spot)
    return list(groups.values())


def _halves(isa: str, where: Sequence[Spot]) -> list[list[Spot]]:
    """Two neighbours that access words which lie side by side: both halves of a wide value."""
    found = []
    for a, b in pairwise(where):
        if a.machine.name == b.machine.name and len(a.machine.accesses) == len(b.machine.accesses) == 1:
            one, two = a.machine.accesses[0], b.machine.accesses[0]
            if one.base == two.base and abs(one.displacement - two.displacement) == one.size == two.size:
                found.append([a, b])
    return found


def _temporary(isa: str, captured: Captured, where: Sequence[Spot], rng: Random) -> Edited | None:
    """A register that own bytes, or moves, write and then read: another one in both places."""
    pairs = [
        (a, b, place)
        for n, a in enumerate(where)
        for b in where[n + 1 : n + 4]
        for place in a.machine.writes & b.machine.reads
        if place >= 0 and a.role != PROLOGUE and b.role != EXIT
    ]
    rng.shuffle(pairs)
    for a, b, place in pairs[:4]:
        first = _renamed(isa, captured, a, place, False)
        second = _renamed(isa, captured, b, place, True)
        common = sorted(first.keys() & second.keys())
        if common:
            other = rng.choice(common)
            return made(isa, captured, [Change(a, first[other]), Change(b, second[other])])
    return None


def _renamed(isa: str, captured: Captured, spot: Spot, place: int, read_: bool) -> dict[int, bytes]:
    """By the register that is written (read) instead of `place`, the bytes."""
    found: dict[int, bytes] = {}
    for data, machine in _flipped(isa, _code(captured, spot)):
        old, new = (spot.machine.reads, machine.reads) if read_ else (spot.machine.writes, machine.writes)
        gained, lost = new - old, old - new
        if machine.name == spot.machine.name and lost == {place} and len(gained) == 1 and min(gained) >= 0:
            found[min(gained)] = data
    return found


def _lowered(isa: str, captured: Captured, where: Sequence[Spot], rng: Random) -> Edited | None:
    """The prologue takes, and all exits give back, another amount of stack."""
    sp = STACK_POINTERS[isa]
    group = [
        s
        for s in where
        if s.role in (PROLOGUE, EXIT)
        and sp in s.machine.writes
        and sp in s.machine.reads
        and not s.machine.accesses
        and s.machine.flow == ORDINARY
    ]
    options = [_alike(isa, captured, spot) for spot in group]
    if not {PROLOGUE, EXIT} <= {s.role for s in group}:
        return None
    common = sorted(set.intersection(*map(set, options)))
    if not common:
        return None
    chosen = rng.choice(common)
    return made(isa, captured, [Change(spot, rows[chosen]) for spot, rows in zip(group, options)])


def _alike(isa: str, captured: Captured, spot: Spot) -> dict[int, bytes]:
    """By the bits that differ: bytes of instructions that read and write the same."""
    data, old = _code(captured, spot), spot.machine
    number = int.from_bytes(data, "little")
    return {
        number ^ int.from_bytes(row, "little"): row
        for row, new in _flipped(isa, data)
        if (new.name, new.reads, new.writes) == (old.name, old.reads, old.writes)
    }


def _stored(isa: str, captured: Captured, where: Sequence[Spot], rng: Random) -> Edited | None:
    """A plain instruction of own bytes becomes one that stores, or the other way round."""
    return _single(
        lambda spot, new: (MEMORY in new.writes) != (MEMORY in spot.machine.writes),
        lambda spot: spot.role in (OWN, MOVE),
    )(isa, captured, where, rng)


KINDS: Final[dict[str, Maker]] = {
    "random bytes": _byte,
    "random bytes in two instructions": _two_bytes,
    "another register": _single(_other_register, _any),
    "another base": _single(_other_access("base"), _accesses),
    "another displacement": _single(_other_access("displacement"), _accesses),
    "another size": _single(_other_access("size"), _accesses),
    "another flow": _single(_other_flow, _any),
    "another branch target": _single(_other_target, _leads),
    "another use of the stack pointer": _single(_other_pointer, _any),
    "an access of memory more or less": _stored,
    "random bytes in a prologue": _single(_anything, lambda spot: spot.role == PROLOGUE),
    "random bytes in an exit": _single(_anything, lambda spot: spot.role == EXIT),
    "random bytes in a move": _single(_anything, lambda spot: spot.role == MOVE),
    "a byte between pieces": _between,
    "an instruction dropped": _dropped,
    "an instruction twice": _twice,
    "two instructions exchanged": _exchanged,
    "a save and its restores moved": _moved(_saves),
    "stores and loads of a word moved": _moved(_words),
    "both halves moved": _moved(_halves),
    "a temporary written and read elsewhere": _temporary,
    "another frame size taken and given back": _lowered,
}  # fmt: skip
"""Kinds of edits of bytes."""
