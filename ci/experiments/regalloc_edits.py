"""Faults in emitted bytes: one machine instruction of a compiled function replaced by a wrong one of the same length.

The one idea: the wrong instruction is searched for, not written down. Bytes near the right one's (a byte replaced, two
fields of bits exchanged) are decoded until one differs from it in exactly the wanted way, so the same kinds of fault
exist on every ISA. What is planted is named by the decoder; whether it does harm is for others to say, by proof
(`liftcheck/oracles/regalloc/validate.py`) or by running it (`regalloc_faults.py`).

Only instructions that belong to register allocation are edited: its moves, spills and reloads, what saves and restores
callee-saved registers and makes the frame, and the registers that an instruction names.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from random import Random
from typing import Final, Literal, NamedTuple

from liftcheck.isa.abi import owed
from liftcheck.mach.insn import CALL, ORDINARY, RETURN, STACK_POINTERS, Access, Insn, decode
from liftcheck.mach.regs import SLOT
from liftcheck.mach.state import parts
from liftcheck.regalloc.allocation import Captured

Predicate = Callable[[Insn, Insn], bool]
TRIES: Final = 700
"""Candidates looked at for one instruction."""


class Spot(NamedTuple):
    """An instruction of a function, where it stands."""

    offset: int
    machine: Insn


class Planted(NamedTuple):
    """A function with a wrong instruction, and what was done, in words."""

    captured: Captured
    words: str


# What differs


def _one(machine: Insn) -> Access | None:
    return machine.accesses[0] if len(machine.accesses) == 1 else None


def _registers(places: frozenset[int]) -> frozenset[int]:
    return frozenset(place for place in places if place >= 0)


def _access(old: Insn, new: Insn, **wanted: bool) -> bool:
    """Whether both have one access, of the same direction, that differs in exactly the fields `wanted`."""
    a, b = _one(old), _one(new)
    if a is None or b is None or (a.read, a.written, a.scaled) != (b.read, b.written, b.scaled):
        return False
    differs = {"base": a.base != b.base, "displacement": a.displacement != b.displacement, "size": b.size != a.size}
    return b.size <= a.size and all(differs[name] == wanted.get(name, False) for name in differs)


def _data(machine: Insn) -> tuple[frozenset[int], frozenset[int]]:
    """Registers read and written beside those of the address."""
    access = _one(machine)
    address = {access.base, access.scaled} if access else set()
    return _registers(machine.reads - address), _registers(machine.writes)


def _narrower(old: Insn, new: Insn) -> bool:
    return (
        _access(old, new, size=True)
        and _registers(new.writes) == _registers(old.writes)
        and _registers(new.reads - new.merged) >= _registers(old.reads) - _registers(new.writes)
    )


def _elsewhere(old: Insn, new: Insn) -> bool:
    return (
        new.name == old.name
        and _access(old, new, displacement=True)
        and new.writes == old.writes
        and new.reads == old.reads
    )


def _other_base(old: Insn, new: Insn) -> bool:
    return new.name == old.name and _access(old, new, base=True) and _data(new) == _data(old)


def _other_source(old: Insn, new: Insn) -> bool:
    return (
        new.name == old.name
        and _same_accesses(old, new)
        and new.writes == old.writes
        and _data(new)[0] != _data(old)[0]
        and len(_data(new)[0]) == len(_data(old)[0])
    )


def _other_target(old: Insn, new: Insn) -> bool:
    return (
        new.name == old.name
        and _same_accesses(old, new)
        and new.reads - new.merged == old.reads - old.merged
        and _data(new)[1] != _data(old)[1]
        and len(_data(new)[1]) == len(_data(old)[1])
    )


def _same_accesses(old: Insn, new: Insn) -> bool:
    return new.accesses == old.accesses


def _swapped(old: Insn, new: Insn) -> bool:
    source, target = _data(old)
    return not new.accesses and source != target and _data(new) == (target, source)


def _narrower_move(old: Insn, new: Insn) -> bool:
    return (
        not new.accesses
        and new.writes == old.writes
        and new.effect is not None
        and old.effect is not None
        and new.effect.writes != old.effect.writes
        and _registers(new.reads) - new.writes == _registers(old.reads)
    )


def _reads_another(old: Insn, new: Insn) -> bool:
    return (
        new.name == old.name
        and new.writes == old.writes
        and _registers(new.reads) != _registers(old.reads)
        and [a[1:5] for a in new.accesses] == [a[1:5] for a in old.accesses]
        and _as_many(old, new)
    )


def _writes_another(old: Insn, new: Insn) -> bool:
    return (
        new.name == old.name
        and new.reads == old.reads
        and new.accesses == old.accesses
        and _registers(new.writes) != _registers(old.writes)
        and _as_many(old, new)
    )


def _as_many(old: Insn, new: Insn) -> bool:
    return len(new.writes) == len(old.writes) and new.operands.count(",") == old.operands.count(",")


def _other_constant(old: Insn, new: Insn) -> bool:
    """The stack pointer gets another distance from itself."""
    if new.name != old.name or new.writes != old.writes or new.reads != old.reads or new.effect is None:
        return False
    return new.effect != old.effect and all(parts(value) is not None for _, value in new.effect.writes)


def _loses_source(old: Insn, new: Insn) -> bool:
    """A register that was stored is not stored any more; all else stays."""
    return (
        new.name == old.name
        and new.writes == old.writes
        and [a[:2] for a in new.accesses][:1] == [a[:2] for a in old.accesses][:1]
        and bool(_data(old)[0] - _data(new)[0])
    )


def _loses_target(old: Insn, new: Insn) -> bool:
    return new.name == old.name and new.reads == old.reads and bool(_data(old)[1] - _data(new)[1])


def _never(_old: Insn, _new: Insn) -> bool:
    return False


# Kinds


class Kind(NamedTuple):
    """A kind of fault: in which instructions, how the new one differs; `drop`: a no-operation will do if the stack
    pointer is not among what the instruction writes."""

    where: str
    differs: Predicate
    drop: bool = False


KINDS: Final[dict[str, Kind]] = {
    "spill dropped": Kind("spill", _never, True),
    "spill narrower": Kind("spill", _narrower),
    "spill to a wrong frame offset": Kind("spill", _elsewhere),
    "spill to a wrong base": Kind("spill", _other_base),
    "spill of another register": Kind("spill", _other_source),
    "reload dropped": Kind("reload", _never, True),
    "reload narrower": Kind("reload", _narrower),
    "reload from a wrong frame offset": Kind("reload", _elsewhere),
    "reload from a wrong base": Kind("reload", _other_base),
    "reload into another register": Kind("reload", _other_target),
    "move dropped": Kind("move", _never, True),
    "move narrower": Kind("move", _narrower_move),
    "move from another register": Kind("move", _other_source),
    "move to another register": Kind("move", _other_target),
    "move the other way": Kind("move", _swapped),
    "moves in another order": Kind("pair", _never),
    "callee-saved register not saved": Kind("save", _loses_source, True),
    "callee-saved register saved narrower": Kind("save", _narrower),
    "callee-saved register saved elsewhere": Kind("save", _elsewhere),
    "callee-saved register not restored": Kind("restore", _loses_target, True),
    "callee-saved register restored from elsewhere": Kind("restore", _elsewhere),
    "callee-saved register restored narrower": Kind("restore", _narrower),
    "frame made too small or too large": Kind("frame", _other_constant),
    "frame given back in part": Kind("unframe", _other_constant),
    "an instruction reads another register": Kind("own", _reads_another),
    "an instruction writes another register": Kind("own", _writes_another),
    "one of a sequence reads another register": Kind("sequence", _reads_another),
    "one of a sequence writes another register": Kind("sequence", _writes_another),
}  # fmt: skip


# Where


def spots(isa: str, captured: Captured) -> dict[str, list[Spot]]:
    """The instructions that may be edited, by what they do."""
    code, allocation = captured
    found: dict[str, list[Spot]] = {
        name: [] for name in ("spill", "reload", "move", "save", "restore", "frame", "unframe", "own", "sequence")
    }
    for edit, (start, end) in zip(allocation.edits, allocation.edit_ranges):
        kind = "spill" if edit.target >= SLOT else "reload" if edit.source >= SLOT else "move"
        placed = _decoded(isa, code.code, start, end)
        if len(placed) == 1 and (kind == "move") == (not placed[0].machine.accesses):
            found[kind] += placed
    begins = [o for o in allocation.offsets if o is not None] + [start for start, _ in allocation.edit_ranges]
    promised = owed(isa, str(allocation.frame.get("convention", "")))
    saved = frozenset(promised.bits) if promised else frozenset()
    _frame_spots(isa, _decoded(isa, code.code, 0, min(begins)), saved, "save", "frame", found)
    for what, start, end in zip(allocation.instructions, allocation.offsets, allocation.ends):
        if start is None:
            continue
        placed = _decoded(isa, code.code, start, end)
        if what.is_return:
            _frame_spots(isa, placed, saved, "restore", "unframe", found)
        elif placed and not what.is_branch and not any(m.flow != ORDINARY or not m.known for _, m in placed):
            found["own" if len(placed) == 1 else "sequence"] += placed
    related = {r.offset + at for r in code.relocations for at in range(-8, 8)}
    return {kind: [spot for spot in row if spot.offset not in related] for kind, row in found.items()}


def instructions(isa: str, captured: Captured) -> list[Spot]:
    """All instructions that the allocation's offsets lead to, prologue first."""
    code, allocation = captured.code.code, captured.allocation
    ranges = [*allocation.edit_ranges, *((o, e) for o, e in zip(allocation.offsets, allocation.ends) if o is not None)]
    ranges.append((0, min(start for start, _ in ranges)))
    return [spot for start, end in sorted(set(ranges)) for spot in _decoded(isa, code, start, end)]


def _decoded(isa: str, code: bytes, start: int, end: int) -> list[Spot]:
    row = []
    for machine in decode(isa, code, start, end):
        row.append(Spot(start, machine))
        start += machine.size
    return row if start == end else []


def _frame_spots(
    isa: str, placed: list[Spot], saved: frozenset[int], saves: str, sizes: str, found: dict[str, list[Spot]]
) -> None:
    """Of a prologue or an exit: accesses of callee-saved registers; changes of the stack pointer alone."""
    for spot in placed:
        machine = spot.machine
        if machine.flow in (CALL, RETURN):
            continue
        data = _data(machine)[0 if saves == "save" else 1]
        if machine.accesses and data & saved - {STACK_POINTERS[isa]}:
            found[saves].append(spot)
        elif not machine.accesses and _registers(machine.writes) == {STACK_POINTERS[isa]} == _registers(machine.reads):
            found[sizes].append(spot)


# Planting


def plant(
    kind: str, isa: str, captured: Captured, rng: Random, where: dict[str, list[Spot]] | None = None
) -> Planted | None:
    """A fault of this kind in a random place; None if the function has none, or no instruction differs so."""
    if KINDS[kind].where == "pair":
        return _reordered(isa, captured, rng)
    row = list((where or spots(isa, captured))[KINDS[kind].where])
    rng.shuffle(row)
    for spot in row[:4]:
        data = captured.code.code[spot.offset : spot.offset + spot.machine.size]
        new = _wrong(KINDS[kind], isa, data, spot.machine, _allocatable(captured), rng)
        if new is not None:
            return _with(isa, captured, spot, new)
    return None


def _with(isa: str, captured: Captured, spot: Spot, new: bytes) -> Planted:
    code = captured.code.code
    words = f"at {spot.offset:#x}: {spot.machine.text} -> {read(isa, new).text}"
    return Planted(_coded(captured, code[: spot.offset] + new + code[spot.offset + len(new) :]), words)


def _coded(captured: Captured, code: bytes) -> Captured:
    return captured._replace(code=replace(captured.code, code=code))


def _allocatable(captured: Captured) -> frozenset[int]:
    environment = captured.allocation.environment
    return frozenset(place for row in (*environment.preferred, *environment.others) for place in row)


def _wrong(kind: Kind, isa: str, data: bytes, old: Insn, allocatable: frozenset[int], rng: Random) -> bytes | None:
    """Bytes of a wrong instruction. An instruction's own registers are exchanged for such as an allocator hands out."""
    own = kind.where in ("own", "sequence")
    if kind.drop and STACK_POINTERS[isa] not in old.writes and len(_data(old)[0] | _data(old)[1]) < 3:
        return nothing(isa, len(data))
    for count, new in enumerate(candidates(isa, data, rng)):
        if count >= TRIES:
            break
        machine = read(isa, new)
        if machine.size != len(data) or not machine.known or machine.flow != old.flow:
            continue
        if kind.differs(old, machine) and (not own or _exchanges(old, machine) <= allocatable):
            return new
    return None


def _exchanges(old: Insn, new: Insn) -> frozenset[int]:
    """Registers that one of both names and the other does not."""
    return _registers((old.reads ^ new.reads) | (old.writes ^ new.writes))


def read(isa: str, data: bytes) -> Insn:
    """The instruction at the beginning of `data`."""
    return decode(isa, data + bytes(16), 0, 1)[0]


def nothing(isa: str, size: int) -> bytes:
    """Instructions without effect, of this size together."""
    if isa == "aarch64":
        return bytes.fromhex("1f2003d5") * (size // 4)
    if isa == "x86-64":
        return bytes([0x90]) * size
    rows = {"riscv64": {4: "13000000", 2: "0100"}, "s390x": {6: "c00400000000", 4: "b9040011", 2: "0707"}}[isa]
    found = b""
    while len(found) < size:
        found += bytes.fromhex(rows[max(step for step in rows if step <= size - len(found))])
    return found


def candidates(isa: str, data: bytes, rng: Random) -> Iterator[bytes]:
    """Bytes near `data`: bits flipped, narrower forms, a byte replaced, fields exchanged; in random order each."""
    yield from _halved(isa, data)
    number, bits = int.from_bytes(data, "little"), 8 * len(data)
    flips = list(range(bits))
    rng.shuffle(flips)
    for bit in flips:
        yield (number ^ 1 << bit).to_bytes(len(data), "little")
    yield from _exchanged(isa, data, rng)
    substitutes = [(at, value) for at in range(len(data)) for value in range(256)]
    rng.shuffle(substitutes)
    for at, value in substitutes:
        yield data[:at] + bytes([value]) + data[at + 1 :]


def _halved(isa: str, data: bytes) -> Iterator[bytes]:
    """aarch64 scales displacements by the access's size: the forms for half of it."""
    word = int.from_bytes(data, "little")
    if isa != "aarch64" or word >> 24 & 0x3B != 0x39:
        return
    size, vector, opcode, displacement = word >> 30, word >> 26 & 1, word >> 22 & 3, word >> 10 & 0xFFF
    rest = word & ~(3 << 30 | 3 << 22 | 0xFFF << 10) | (displacement * 2 & 0xFFF) << 10
    if vector and opcode >= 2:
        yield (rest | 3 << 30 | (opcode - 2) << 22).to_bytes(4, "little")
    elif size:
        yield (rest | (size - 1) << 30 | opcode << 22).to_bytes(4, "little")


def _exchanged(isa: str, data: bytes, rng: Random) -> Iterator[bytes]:
    """Two fields of 3, 4 or 5 bits exchanged."""
    order: Literal["big", "little"] = "big" if isa == "s390x" else "little"
    number, bits = int.from_bytes(data, order), 8 * len(data)
    pairs = [
        (low, high, width)
        for width in (3, 4, 5)
        for low in range(bits)
        for high in range(low + width, bits)
        if high + width <= bits and not (isa == "s390x" and (low % 4 or high % 4 or width != 4))
    ]
    rng.shuffle(pairs)
    for low, high, width in pairs[:600]:
        change = (number >> low ^ number >> high) & (1 << width) - 1
        if change:
            yield (number ^ change << low ^ change << high).to_bytes(len(data), order)


def _reordered(isa: str, captured: Captured, rng: Random) -> Planted | None:
    """The bytes of two moves that follow each other, exchanged; the second reads or writes what the first does."""
    code, allocation = captured
    pairs = []
    edits, ranges = allocation.edits, allocation.edit_ranges
    for number in range(len(edits) - 1):
        a, b = edits[number], edits[number + 1]
        (start, middle), (next_start, end) = ranges[number], ranges[number + 1]
        linked = a.target in (b.source, b.target) or a.source == b.target
        if a[:2] == b[:2] and middle == next_start and start < middle < end and linked:
            pairs.append((start, middle, end))
    if not pairs:
        return None
    start, middle, end = rng.choice(pairs)
    data = code.code
    changed = data[:start] + data[middle:end] + data[start:middle] + data[end:]
    if changed == data:
        return None
    return Planted(
        _coded(captured, changed),
        f"at {start:#x}: the moves [{start:#x}, {middle:#x}) and [{middle:#x}, {end:#x}) exchanged",
    )
