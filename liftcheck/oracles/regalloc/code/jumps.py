"""Whether control goes from block to block as the allocation's edges say.

The one idea: a block's label stands where its first piece begins (or among idle instructions before it). A block's
last instruction may jump to labels of its successors only, fall into one of them only, and must have a way to each: by
a jump, by falling through, by a table after an indirect jump, or by a call's handler. Elsewhere jumps stay inside own
bytes, or lead to traps. The assembler may send a jump on to where the jump at its target leads, through veneers, and
leave out blocks of nothing but a jump.

Which of two successors a condition chooses, `ways` asks.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from itertools import pairwise
from typing import Final

from liftcheck.isa import byte_order
from liftcheck.isa.abi import abi_named, reserved
from liftcheck.mach.insn import BRANCH, CALL, JUMP, ORDINARY, RETURN, TRAP
from liftcheck.mach.regs import NONE
from liftcheck.oracles.regalloc.code import order, tables, ways
from liftcheck.oracles.regalloc.code.calls import Calls, switches
from liftcheck.oracles.regalloc.code.chains import Chains, Ends, Labels
from liftcheck.oracles.regalloc.code.layout import LEAVES, Layout, Placed, traps
from liftcheck.oracles.regalloc.code.problem import Problem

HOPS: Final = 4
"""Veneers and jumps that a jump is followed through."""
_STAYS: Final = frozenset({ORDINARY, CALL})
"""Flows that lead to the next instruction alone."""


def check(calls: Calls, layout: Layout, own: Mapping[int, Sequence[Placed]], labels: Labels) -> Iterator[Problem]:
    """Every jump of every own bytes."""
    relocated = frozenset(offset for offset, _ in calls.symbols)
    chains: Chains | None = None
    for instruction, placed in own.items():
        if instruction < 0 or (layout.allocation.instructions[instruction].is_return and not traps(placed)):
            continue
        block = layout.lasts.get(instruction)
        if block is None and (_stays(placed[0]) if len(placed) == 1 else all(map(_stays, placed))):
            continue  # nearly all
        chains = chains or _chains(layout, labels)
        yield from _traps(layout, instruction, placed)
        yield from _lost(layout, instruction, placed, block)
        if block is None:
            yield from _inside(layout, instruction, placed, relocated, _sent_on(layout, instruction, own, chains))
        elif placed or not only_jumps(layout, block):
            before = () if placed else _before(layout, block, own)
            successors = layout.allocation.blocks[block].successors
            yield from _out(
                calls, layout, instruction, block, placed, before, Ends(chains, successors), labels, relocated
            )
            if ways.is_asked(layout.allocation.instructions[instruction].text):
                yield from ways.check(layout, instruction, placed, Ends(chains, successors), partial(_followed, layout))


def _stays(placed: Placed) -> bool:
    return placed.machine.flow in _STAYS


def not_there(layout: Layout, own: Mapping[int, Sequence[Placed]], labels: Labels) -> set[int]:
    """Blocks whose only jump was left out, though what stands in its place is not where it leads: everybody was sent
    on, and who comes there does not come to them."""
    found = set()
    for block, (_, at) in labels.items():
        goal, seen = block, {block}
        while not own.get(layout.allocation.blocks[goal].end - 1) and only_jumps(layout, goal):
            (goal,) = layout.allocation.blocks[goal].successors
            if goal in seen:
                break
            seen.add(goal)
        low, high = labels.get(goal, (-1, -1))
        if goal != block and not low <= at <= high:
            found.add(block)
    return found


def _goals(layout: Layout, own: Sequence[Placed], relocated: frozenset[int]) -> Iterator[tuple[int, int]]:
    """Offsets of direct jumps, and where they lead. A relocated one is a call of another function in disguise."""
    for offset, machine in own:
        if machine.flow in (BRANCH, JUMP):
            goal = layout.goal(offset, machine)
            if goal != -1 and not any(at in relocated for at in range(offset, offset + machine.size)):
                yield offset, goal


def _traps(layout: Layout, instruction: int, own: Sequence[Placed]) -> Iterator[Problem]:
    """Where control would end in something that is not a trap of the program's. Stops for a debugger are in no
    table."""
    for offset, machine in own:
        known = machine.flow != TRAP or machine.name in abi_named(layout.isa).stops or layout.traps(offset)
        if not known:
            yield Problem(
                "control ends in a trap that the program does not have",
                instruction,
                offset,
                NONE,
                "a trap of its table",
                machine.text,
                tuple(own),
            )


def _lost(layout: Layout, instruction: int, own: Sequence[Placed], block: int | None) -> Iterator[Problem]:
    """Where control would go to an unknown place: a return that is not an exit; a jump through a register, unless it is
    a block's way by a table, or one to another stack and back."""
    for offset, machine in own:
        direct = machine.target is not None or machine.flow not in (BRANCH, JUMP) or layout.goal(offset, machine) != -1
        if machine.flow != RETURN and direct:
            continue
        entries = -1 if block is None else len(layout.allocation.blocks[block].successors) - 1
        by_table = machine.flow == JUMP and offset == own[-1].offset and tables.leads(layout.isa, own, entries)
        if not (by_table and entries >= 0) and not (machine.flow == JUMP and switches(layout.isa, own)):
            yield Problem(
                "control leaves where it must not",
                instruction,
                offset,
                NONE,
                "its own bytes or a successor",
                "a return" if machine.flow == RETURN else "a jump through a register",
                tuple(own),
            )


def _sent_on(layout: Layout, instruction: int, own: Mapping[int, Sequence[Placed]], chains: Chains) -> Ends | None:
    """Where the branches of an instruction may end that has only its block's jump after it: the assembler sends them
    on to where that one leads, and may leave it out."""
    at = instruction
    while not layout.edited(at, at + 1):
        at += 1
        block = layout.lasts.get(at)
        if block is not None:
            successors = layout.allocation.blocks[block].successors
            return Ends(chains, successors) if len(successors) == 1 else None
        if own.get(at, True):
            break
    return None


def _before(layout: Layout, block: int, own: Mapping[int, Sequence[Placed]]) -> Sequence[Placed]:
    """The bytes that stand at a block's end if its last instruction has none; () if they are a move's."""
    row = layout.allocation.blocks[block]
    for at in range(row.end - 1, row.first, -1):
        if layout.edited(at - 1, at):
            break
        if own.get(at - 1):
            return own[at - 1]
    return ()


def led_to(layout: Layout, block: int, own: Mapping[int, Sequence[Placed]]) -> bool:
    """Whether what stands in front of a block's jump branches to where it stands."""
    end = layout.allocation.offsets[layout.allocation.blocks[block].end - 1]
    return any(goal == end for _, goal in _goals(layout, _before(layout, block, own), frozenset()))


def _inside(
    layout: Layout, instruction: int, own: Sequence[Placed], relocated: frozenset[int], beyond: Ends | None
) -> Iterator[Problem]:
    """An instruction within a block."""
    if not own:
        return
    end = own[-1].offset + own[-1].machine.size
    inner = {offset for offset, _ in own} | {end, layout.ends_at(instruction)}
    if end < len(layout.bytes) and layout.at(end).flow == JUMP:
        inner.add(layout.goal(end, layout.at(end)))
    after = {end, *_followed(layout, end)}
    ways_on = order.graph(own, lambda at: layout.traps(at) and not (at in after or (beyond and beyond.at(at))))
    stops = abi_named(layout.isa).stops
    if ways_on.branches and order.stuck(ways_on) and not any(machine.name in stops for _, machine in own):
        rule = "no way leads to the end of an instruction"
        yield Problem(rule, instruction, own[-1].offset, NONE, "its end", "", tuple(own))
    for offset, goal in _goals(layout, own, relocated):
        ways = _followed(layout, goal)
        if not any(at in inner or layout.traps(at) or (beyond and beyond.at(at)) for at in ways):
            yield Problem(
                "a jump leads out of an instruction",
                instruction,
                offset,
                NONE,
                "its own bytes or a trap",
                f"{goal:#x}",
                tuple(own),
            )


def _out(
    calls: Calls,
    layout: Layout,
    instruction: int,
    block: int,
    own: Sequence[Placed],
    before: Sequence[Placed],
    ends: Ends,
    labels: Labels,
    relocated: frozenset[int],
) -> Iterator[Problem]:
    """A block's last instruction. `before`: if it has no bytes, the instruction's that stands in front of it, of which
    branches may be sent on. `ends` is asked for every way out."""
    row = layout.allocation.blocks[block]
    inner = {offset for offset, _ in own}
    for offset, goal in _goals(layout, own, relocated):
        ways = _followed(layout, goal)
        arrives = [at for at in ways if ends.at(at)]
        if not arrives and not any(at in inner or layout.traps(at) for at in ways):
            yield Problem(
                "a jump does not lead to the start of a successor",
                instruction,
                offset,
                NONE,
                _spans(row.successors, labels),
                f"{goal:#x}",
                tuple(own),
            )
    start, end = layout.allocation.offsets[instruction] or 0, layout.allocation.ends[instruction]
    after = own[-1].offset + own[-1].machine.size if own else start
    sent = {goal for _, goal in _goals(layout, before, relocated)}
    for goal in sent:
        for at in _followed(layout, goal):
            ends.at(at)
    if not own and before and before[-1].machine.flow in LEAVES and after not in sent:
        pass  # everybody was sent on
    elif (not own or own[-1].machine.flow not in LEAVES) and not ends.at(after):
        yield Problem(
            "control falls into a block that is not a successor",
            instruction,
            after,
            NONE,
            _spans(row.successors, labels),
            f"{after:#x}",
            tuple(own),
        )
    handlers = [(NONE, at) for at in calls.handlers(start, end)]
    for successor, at in (*_table(layout, row.successors, own, after, end), *handlers):
        found = ends.at(at)
        if successor not in found and not (successor == NONE and found):
            yield Problem(
                "a table does not lead to the start of a successor",
                instruction,
                start,
                NONE,
                _spans(row.successors, labels),
                f"{at:#x}",
                tuple(own),
            )
    reached = ends.reached()
    missed = [s for s in row.successors if s not in reached]
    if missed:
        yield Problem("no way leads to a successor", instruction, start, NONE, f"block{missed[0]}", "", tuple(own))


def _followed(layout: Layout, target: int) -> list[int]:
    """A jump's target, and where the jumps that stand there lead."""
    found: list[int] = []
    while 0 <= target < len(layout.bytes) and target not in found and len(found) <= HOPS:
        found.append(target)
        machine = layout.at(target)
        if machine.flow != JUMP and layout.far is not None and target + machine.size < len(layout.bytes):
            free = machine.writes <= reserved(layout.isa).scratch
            target += machine.size
            machine = layout.at(target)
            if not free or machine.target is not None:
                break  # who is sent this way loses a register, or this is not a far jump
        target = layout.goal(target, machine) if machine.flow == JUMP else -1
    return found


def _chains(layout: Layout, labels: Labels) -> Chains:
    """Where jumps to the blocks may end."""
    blocks = layout.allocation.blocks
    onward = {block: row.successors[0] for block, row in enumerate(blocks) if only_jumps(layout, block)}
    return Chains(len(blocks), onward, labels)


def only_jumps(layout: Layout, block: int) -> bool:
    """A block of one jump, without moves, perhaps after instructions without bytes: the assembler sends those who jump
    to it on, and may leave it out."""
    row, offsets, ends = layout.allocation.blocks[block], layout.allocation.offsets, layout.allocation.ends
    if len(row.successors) != 1 or any(offsets[i] != ends[i] for i in range(row.first, row.end - 1)):
        return False
    return not any(layout.has_edits(i) for i in range(row.first, row.end))


def _table(
    layout: Layout, successors: Sequence[int], own: Sequence[Placed], start: int, end: int
) -> Iterator[tuple[int, int]]:
    """What stands after an indirect jump: the successors in order, the default (the first) last if it is there, and
    where each entry leads. Entries are distances from the table, or far jumps of two instructions, none for the
    default, and an island may stand after them."""
    if not own or own[-1].machine.flow != JUMP or layout.goal(*own[-1]) != -1 or start >= end:
        return
    order = (*successors[1:], *successors[:1])
    if abi_named(layout.isa).tables_of_jumps:
        free = frozenset().union(*(machine.writes for _, machine in own))
        for successor, at in zip(successors[1:], range(start, end - 7, 8)):
            yield successor, layout.goal(at + 4, layout.at(at + 4)) if layout.at(at).writes <= free else -1
        return
    for successor, (at, after) in zip(order, pairwise(range(start, end + 1, 4))):
        yield successor, start + int.from_bytes(layout.bytes[at:after], byte_order(layout.isa), signed=True)


def unwound(layout: Layout, calls: Calls, labels: Labels) -> dict[int, frozenset[int]]:
    """For each call that ends a block, and so may have handlers, the blocks where these begin. Which of the successors
    a handler is, is not said: those where it leads."""
    found: dict[int, frozenset[int]] = {}
    instructions = layout.allocation.instructions
    ending = [(last, block) for last, block in layout.lasts.items() if instructions[last].clobbers]
    if not ending:
        return found
    blocks, chains = layout.allocation.blocks, _chains(layout, labels)
    for instruction, block in ending:
        start, end = layout.allocation.offsets[instruction] or 0, layout.allocation.ends[instruction]
        ends = Ends(chains, blocks[block].successors)
        found[instruction] = frozenset().union(*map(ends.at, set(calls.handlers(start, end))))
    return found


def _spans(blocks: Sequence[int], labels: Labels) -> str:
    return ", ".join(f"{labels[b][1]:#x}" for b in dict.fromkeys(blocks) if b in labels) or "nowhere"
