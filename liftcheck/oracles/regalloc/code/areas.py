"""Whether own bytes access the frame where something of theirs is.

The one idea: the frame is a handful of areas, and each access by the stack or frame pointer lies inside of one that its
instruction may touch: stack slots, spill slots of its own operands, what is handed to callees (calls alone read there),
and what the caller handed over. Which word of an area it is, is not asked here; spill slots and saved words are held
against stores by `accesses`. Accesses by computed addresses are not seen.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from typing import Final

from liftcheck.clif.ir import Signature
from liftcheck.mach.arguments import stack_bytes
from liftcheck.mach.insn import Access
from liftcheck.mach.regs import NONE, SLOT
from liftcheck.oracles.regalloc.code.accesses import STORES_OUTSIDE
from liftcheck.oracles.regalloc.code.called import Body
from liftcheck.oracles.regalloc.code.frame_accesses import Rules
from liftcheck.oracles.regalloc.code.layout import Placed
from liftcheck.oracles.regalloc.code.moves import Slots
from liftcheck.oracles.regalloc.code.problem import Problem
from liftcheck.oracles.regalloc.code.stacked import STORED, tables

READS_OUTSIDE: Final = "an instruction reads the frame outside of what is its own"


def outside(
    rules: Rules, slots: Slots, body: Body, explicit: Sequence[tuple[int, int]], size: int, lowest: int
) -> Iterator[Problem]:
    """What is accessed elsewhere. `explicit`: the stack slots; `size`: the distance of the caller's frame; `lowest`: of
    the lowest slot or saved word. A program that asks for its stack pointer may read whatever it likes by it."""
    allocation = rules.allocation
    spilled = {at - 8 * (slot - SLOT) for slot, at in slots.offsets.items()}
    reads = free(rules)
    room = 8 * allocation.slots
    for instruction, own, shift in rules.framed:
        yield from _unframed(rules, body, instruction, own)
        what = allocation.instructions[instruction]
        rows = [*explicit]
        if any(place >= SLOT for place in allocation.places[instruction]):
            rows += [(low, low + room) for low in spilled]
        for placed, low, width, stores in rules.accesses(instruction, own, shift, body):
            high = low + width
            # A callee's packed results are read in whole words, which reach past them all.
            called = bool(what.clobbers) and not stores
            bottom = min(shift, 0) + (0 if called else rules.calls.least_area)
            handed = bottom <= low and (
                low < lowest if called else stores and high <= lowest and bool(rules.calls.calling)
            )
            chained = rules.abi.back_chain and stores and (low, high) == (shift, shift + 8) and shift < 0
            given = chained or (reads and not stores) or _given(rules, instruction, low, high, stores, size, body)
            if not handed and not given and not any(first <= low and high <= end for first, end in rows):
                rule, found = STORES_OUTSIDE if stores else READS_OUTSIDE, f"sp + {low}, {width} bytes"
                yield Problem(rule, instruction, placed.offset, NONE, "a slot, an argument", found, (placed,))


def free(rules: Rules) -> bool:
    """Whether the program may read whatever it likes by the stack and frame pointer."""
    source = rules.calls.source
    return rules.abi.folds_pointers and source is not None and source.pointing


def _unframed(rules: Rules, body: Body, instruction: int, own: Sequence[Placed]) -> Iterator[Problem]:
    """Accesses by a frame pointer that is the caller's, or by the frame pointer otherwise than compilers do."""
    frame = rules.kept.frame
    for placed in own:
        if body.frame_pointer is None and not placed.machine.accesses and frame in placed.machine.reads:
            yield Problem(READS_OUTSIDE, instruction, placed.offset, frame, "a slot, an argument", "", (placed,))
        for access in placed.machine.accesses:
            if access.base == frame >= 0 and (body.frame_pointer is None or not _by_frame(rules, access)):
                rule = STORES_OUTSIDE if access.written else READS_OUTSIDE
                yield Problem(rule, instruction, placed.offset, frame, "a slot, an argument", "", (placed,))


def _by_frame(rules: Rules, access: Access) -> bool:
    """Whether a compiler makes this access by the frame pointer: it has no index, and reads the return address, or is
    one of the function's arguments, where these are accessed so."""
    at, returning = access.displacement, rules.abi.return_address
    address = at == returning and access.size == 8 and not access.written
    given = rules.abi.by_frame and at >= returning + 8
    return access.scaled == NONE and (address or given or (free(rules) and not access.written))


def _given(rules: Rules, instruction: int, low: int, high: int, stores: bool, size: int, body: Body) -> bool:
    """Whether bytes of the frame are what the caller handed over, or tell of the caller: the return address, the
    back chains (tail calls move them). The first block reads the function's arguments. A `tail` function has arguments
    of its own tail calls there."""
    source, chain = rules.calls.source, body.frame_pointer
    after = 0 if chain is None else chain + rules.abi.return_address + 8
    if stores:
        return _handed_on(rules, low, high, size, after)
    if _chain(rules, instruction, low, high, size):
        return True
    if low == after - 8 and high == low + 8 if chain is not None else _returning(rules, low, high, size):
        return source is None or source.returning
    home = _home(rules)
    taken = rules.calls.taken() if rules.allocation.frame.get("convention") == "tail" else None
    if taken is None:  # only an upper bound is known
        taken = home + (1 << 16 if source is None else source.incoming)
    return (
        instruction < rules.allocation.blocks[0].end
        and max(size + home, after) <= low
        and high <= size + _pushed(rules) + taken
    )


def _ends(rules: Rules, size: int) -> set[object]:
    """Where the frame ends: without and with the arguments that the function takes away."""
    return {size, rules.allocation.frame.get("frame_to_fp_offset")}


def _returning(rules: Rules, low: int, high: int, size: int) -> bool:
    """Whether these bytes are the return address, as it is found where there is no frame pointer. In a function that
    takes arguments away it lies above them."""
    return high == low + 8 and low - rules.abi.return_address in _ends(rules, size)


def _chain(rules: Rules, instruction: int, low: int, high: int, size: int) -> bool:
    """Whether an instruction loads a back chain, and may: the program looks for its caller, or what was loaded is
    stored next, where a callee is handed arguments of its own."""
    if not rules.abi.back_chain or high != low + 8 or low not in {0, *_ends(rules, size)}:
        return False
    source, rows = rules.calls.source, rules.allocation.instructions
    loaded = {operand.vreg for operand in rows[instruction].operands}
    stored = ({operand.vreg for operand in what.operands} for what in rows[instruction + 1 : instruction + 3])
    return source is None or source.chained or loaded in stored


def arguments(rules: Rules, body: Body, size: int) -> Iterator[tuple[int, Placed, int, int]]:
    """Loads of what the caller handed over: instruction, machine instruction, distance from the stack pointer, size."""
    end, least = rules.allocation.blocks[0].end, entry(rules, size) + _home(rules)
    for instruction, own, shift in rules.framed:
        if instruction < end and not rules.allocation.instructions[instruction].clobbers:
            for placed, low, width, stores in rules.accesses(instruction, own, shift, body):
                if stores or low < least or _chain(rules, instruction, low, low + width, size):
                    continue
                if body.frame_pointer is not None or not _returning(rules, low, low + width, size):
                    yield instruction, placed, low, width


def entry(rules: Rules, size: int) -> int:
    """How far the stack pointer of the function's entry, without the return address, is from the body's."""
    return size + _pushed(rules)


def _home(rules: Rules) -> int:
    """Bytes that lie below the function's arguments."""
    return rules.abi.callee_area + rules.abi.shadow.get(str(rules.allocation.frame.get("convention")), 0)


def _pushed(rules: Rules) -> int:
    """Bytes of the return address on the stack."""
    return 8 if rules.kept.link < 0 else 0


@cache
def _tail_stores(isa: str, signatures: tuple[Signature, ...]) -> frozenset[tuple[int, int]] | None:
    """The stores of arguments of tail calls of these signatures: distances from where they end, bytes. None if they are
    not known."""
    found: set[tuple[int, int]] = set()
    for signature in signatures:
        known, end = tables(isa, signature, STORED), stack_bytes(isa, signature)
        if known is None or end is None:
            return None
        found.update((low - end, size) for table in known for low, size in table)
    return frozenset(found)


def _handed_on(rules: Rules, low: int, high: int, size: int, after: int) -> bool:
    """Whether these bytes are an argument for the callee of a tail call: they end where the function's own do. On
    s390x they begin after the register save area, which has the callee's back chain."""
    source, taken, left = rules.calls.source, rules.calls.taken(), rules.calls.left_by_tail_calls()
    if rules.allocation.frame.get("convention") != "tail" or not (source is None or source.tails):
        return False
    if taken is None or left is None:
        return low >= after
    end = size + _pushed(rules) + taken
    stores = None if source is None else _tail_stores(rules.isa, source.tail_called)
    chains = {(end - by, end - by + 8) for by in left if by and rules.abi.back_chain}
    if stores is not None:
        return (low - end, high - low) in stores or (low, high) in chains
    return (low, high) in chains or (end - max(left) + rules.abi.callee_area <= low and high <= end)
