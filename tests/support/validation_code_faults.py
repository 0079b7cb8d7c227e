"""Wrong bytes made out of right ones: single instructions changed by flipping bits until they are wrong in one way.

The one idea: what a changed instruction does is read off the tables, which are held against emulators; so a fault is a
predicate over two decoded instructions, and the search for bits serves all ISAs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import combinations
from typing import NamedTuple

from liftcheck.isa.abi import owed, reserved
from liftcheck.mach.insn import STACK_POINTERS, Effect, Insn, decode, register
from liftcheck.mach.regs import NONE, SLOT
from liftcheck.mach.state import parts
from liftcheck.oracles.regalloc.code.layout import Layout, Piece
from liftcheck.regalloc.allocation import Captured

NOPS = {"x86-64": {n: b"\x90" * n for n in range(1, 13)}, "aarch64": {4: b"\x1f\x20\x03\xd5"},
        "riscv64": {2: b"\x01\x00", 4: b"\x13\x00\x00\x00"},
        "s390x": {2: b"\x07\x07", 4: b"\xa7\x04\x00\x00", 6: b"\xc0\x04\x00\x00\x00\x00"}}  # fmt: skip
Fault = Callable[[str, Insn, Insn], bool]


class Spoiled(NamedTuple):
    """Code with one fault: where, what stood there, what stands there."""

    captured: Captured
    offset: int
    before: Insn
    after: Insn


def _with(captured: Captured, offset: int, data: bytes) -> Captured:
    code = captured.code.code
    changed = code[:offset] + data + code[offset + len(data) :]
    return Captured(replace(captured.code, code=changed), captured.allocation)


def flipped(isa: str, captured: Captured, offset: int, fault: Fault) -> Iterator[Spoiled]:
    """Changes of one or two bits of the instruction at an offset that make this fault of it."""
    code = captured.code.code
    before = decode(isa, code, offset, offset + 1)[0]
    data = int.from_bytes(code[offset : offset + before.size], "big")
    for count in (1, 2):
        for bits in combinations(range(8 * before.size), count):
            changed = (data ^ sum(1 << bit for bit in bits)).to_bytes(before.size, "big")
            after = decode(isa, changed + bytes(16), 0, 1)[0]
            if after.size == before.size and after.known and after.effect is not None and fault(isa, before, after):
                yield Spoiled(_with(captured, offset, changed), offset, before, after)


def _variants(code: bytes, offset: int, size: int) -> Iterator[bytes]:
    data = int.from_bytes(code[offset : offset + size], "big")
    for bit in range(8 * size):
        yield (data ^ 1 << bit).to_bytes(size, "big")


def foreign(isa: str, captured: Captured) -> Iterator[tuple[Spoiled, str]]:
    """One bit of own bytes flipped such that a register is read or written that the instruction has no operand for, and
    that nothing in the same bytes wrote before."""
    layout, rows = Layout(isa, captured.code, captured.allocation), captured.allocation
    free = reserved(isa).readable | reserved(isa).scratch
    for index, what in enumerate(rows.instructions):
        own = layout.code(rows.offsets[index] or 0, rows.ends[index])[0]
        if what.is_return or what.is_branch or what.clobbers or not own:
            continue
        places = {o.value if p == NONE else p for o, p in zip(what.operands, rows.places[index])}
        touched = places.union(free, *(m.reads | m.writes for _, m in own))
        for offset, before in own:
            for data in _variants(captured.code.code, offset, before.size):
                after = decode(isa, data + bytes(16), 0, 1)[0]
                if after.size != before.size or not after.known or after.flow != before.flow:
                    continue
                for kind in ("reads", "writes"):
                    if any(place >= 0 and place not in touched for place in getattr(after, kind) - after.merged):
                        yield Spoiled(_with(captured, offset, data), offset, before, after), kind
                        break


def retargeted(isa: str, captured: Captured) -> Iterator[Spoiled]:
    """One bit of a direct jump between blocks flipped such that it leads elsewhere in the function."""
    layout, rows = Layout(isa, captured.code, captured.allocation), captured.allocation
    relocated = {r.offset for r in captured.code.relocations}
    exit_ = min(rows.offsets[i] or 0 for i, what in enumerate(rows.instructions) if what.is_return)
    for block in rows.blocks:
        index = block.end - 1
        if rows.instructions[index].is_return:
            continue
        for offset, before in layout.code(rows.offsets[index] or 0, rows.ends[index], True)[0]:
            if before.target is None or any(offset <= at < offset + before.size for at in relocated):
                continue
            for data in _variants(captured.code.code, offset, before.size):
                after = decode(isa, data + bytes(16), 0, 1)[0]
                goal, same = offset + (after.target or 0), (after.size, after.flow) == (before.size, before.flow)
                if same and after.target != before.target and 0 < goal < exit_:
                    yield Spoiled(_with(captured, offset, data), offset, before, after)


def removed(isa: str, captured: Captured, offset: int) -> Spoiled:
    """The instruction at an offset becomes a no-operation."""
    before = decode(isa, captured.code.code, offset, offset + 1)[0]
    data = NOPS[isa][before.size]
    return Spoiled(_with(captured, offset, data), offset, before, decode(isa, data, 0, 1)[0])


# Predicates.


def _both(before: Insn, after: Insn) -> tuple[Effect, Effect]:
    assert before.effect is not None and after.effect is not None
    return before.effect, after.effect


def narrower_store(isa: str, before: Insn, after: Insn) -> bool:
    """The same address and register, fewer bytes."""
    old, new = _both(before, after)
    return (
        len(old.stores) == len(new.stores) == 1
        and old.stores[0].address is new.stores[0].address
        and new.stores[0].size < old.stores[0].size
        and before.reads == after.reads
        and not new.writes
    )


def narrower_load(isa: str, before: Insn, after: Insn) -> bool:
    """The same address and register, fewer bytes."""
    old, new = _both(before, after)
    return (
        len(old.loads) == len(new.loads) == 1
        and old.loads[0].address is new.loads[0].address
        and new.loads[0].size < old.loads[0].size
        and before.writes == after.writes
        and not new.stores
    )


def other_offset(isa: str, before: Insn, after: Insn) -> bool:
    """The same base register, another distance."""
    old, new = _both(before, after)
    one, two = (*old.loads, *old.stores), (*new.loads, *new.stores)
    if len(one) != 1 or len(two) != 1 or one[0].size != two[0].size or type(one[0]) is not type(two[0]):
        return False
    places = [parts(access.address) for access in (one[0], two[0])]
    accesses = (before.reads, before.writes) == (after.reads, after.writes)
    return (
        places[0] is not None
        and places[1] is not None
        and places[0][0] is places[1][0]
        and places[0][1] != places[1][1]
        and accesses
    )


def other_base(isa: str, before: Insn, after: Insn) -> bool:
    """Another base register than the stack pointer, the same distance."""
    old, new = _both(before, after)
    one, two = (*old.loads, *old.stores), (*new.loads, *new.stores)
    if len(one) != 1 or len(two) != 1 or one[0].size != two[0].size or type(one[0]) is not type(two[0]):
        return False
    places = [parts(access.address) for access in (one[0], two[0])]
    return (
        places[0] is not None
        and places[1] is not None
        and places[0][1] == places[1][1]
        and places[0][0] is register(isa, STACK_POINTERS[isa])
        and places[1][0] is not places[0][0]
        and before.writes == after.writes
    )


def other_source(isa: str, before: Insn, after: Insn) -> bool:
    """A move or a store of another register."""
    old, new = _both(before, after)
    if len(old.stores) == len(new.stores) == 1 and not old.loads and not new.loads:
        same = old.stores[0].address is new.stores[0].address and old.stores[0].size == new.stores[0].size
        return same and old.stores[0].value is not new.stores[0].value and not new.writes
    if old.loads or new.loads or old.stores or new.stores or len(old.writes) != 1 or len(new.writes) != 1:
        return False
    (place, value), (other, source) = old.writes[0], new.writes[0]
    return place == other and value.prim == source.prim == "var" and value is not source


def other_target(isa: str, before: Insn, after: Insn) -> bool:
    """A move or a load into another register."""
    old, new = _both(before, after)
    if old.stores or new.stores or len(old.writes) != 1 or len(new.writes) != 1 or old.loads != new.loads:
        return False
    (place, value), (other, source) = old.writes[0], new.writes[0]
    return place != other and value is source and other not in reserved(isa).scratch


# Places.


def moves(isa: str, captured: Captured, kind: str) -> list[Piece]:
    """The pieces of moves of one instruction: 'spill', 'reload', 'move'."""
    layout, edits = Layout(isa, captured.code, captured.allocation), captured.allocation.edits
    found = []
    for block in layout.order:
        for piece in layout.pieces(block):
            if piece.edit == NONE or len(layout.code(piece.start, piece.end)[0]) != 1:
                continue
            edit = edits[piece.edit]
            what = "spill" if edit.target >= SLOT else "reload" if edit.source >= SLOT else "move"
            found += [piece] if what == kind else []
    return found


def saves(isa: str, captured: Captured) -> list[int]:
    """Offsets of the prologue's stores of callee-saved registers that the function writes."""
    end = min(start for start in captured.allocation.offsets if start is not None)
    promised = owed(isa, str(captured.allocation.frame.get("convention", "")))
    assert promised is not None
    written = {e.target for e in captured.allocation.edits} | {
        p
        for what, places in zip(captured.allocation.instructions, captured.allocation.places)
        for o, p in zip(what.operands, places)
        if o.kind
    }
    stored = {register(isa, place) for place in promised.bits if place in written}
    return [
        offset
        for offset, machine in _laid(isa, captured, 0, end)
        if machine.effect is not None and any(s.value in stored for s in machine.effect.stores)
    ]


def restores(isa: str, captured: Captured) -> list[int]:
    """Offsets of the exits' loads of callee-saved registers that the function writes."""
    promised = owed(isa, str(captured.allocation.frame.get("convention", "")))
    assert promised is not None
    found = []
    rows = captured.allocation
    for what, start, end in zip(rows.instructions, rows.offsets, rows.ends):
        if what.is_return and start is not None:
            found += [
                offset
                for offset, m in _laid(isa, captured, start, end)
                if m.effect is not None
                and m.effect.loads
                and any(place in promised.bits and place != reserved(isa).frame for place, _ in m.effect.writes)
            ]
    return found


def _laid(isa: str, captured: Captured, start: int, end: int) -> list[tuple[int, Insn]]:
    found = []
    for machine in decode(isa, captured.code.code, start, end):
        found.append((start, machine))
        start += machine.size
    return found
