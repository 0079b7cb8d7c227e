"""In which order own bytes read and write registers, on every path through them.

The one idea: own bytes are a small control-flow graph, in which a compiler leaves nothing that is dead. At each
instruction a register holds one of two things, the input or what the bytes have written over it; what was written is
read later, or is a result. So four properties are checked on every path:

    overwritten   no read may see the input on one path and another value on another one, nor always another value,
                  unless it is that value's only read (had it meant the input, the write would be dead)
    idle          what an instruction writes is read later, or live after the bytes
    unwritten     what is read, or is a result, was written before on every path
    stuck         control reaches the end

It does not know whose value an instruction wants: where two inputs are there, it may read either. Where a result takes
an input's place by its description, each read of that register is meant.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence, Set
from functools import lru_cache
from typing import Final, NamedTuple

from liftcheck.isa.abi import Abi
from liftcheck.mach.insn import BRANCH, CALL, FLAGS, JUMP, MEMORY, ORDINARY, RETURN, TRAP, Effect, Insn
from liftcheck.mach.regs import NONE
from liftcheck.oracles.regalloc.code.layout import Placed

Step = tuple[Set[int], Set[int]]
"""What an instruction reads and writes: of a call without what its callee does."""

NOTHING: Final = Effect()
_STAYS: Final = frozenset({ORDINARY, CALL})


class Graph(NamedTuple):
    """`follows`: for each instruction the numbers of those that may come next; the end is number len(own)."""

    own: Sequence[Placed]
    follows: Sequence[Sequence[int]]
    steps: Sequence[Step]
    branches: bool
    """Whether there is any other way than from one to the next."""


def graph(own: Sequence[Placed], traps: Callable[[int], bool], steps: Sequence[Step] | None = None) -> Graph:
    """`traps`: whether a branch to this offset is one to a trap; every other way out counts as one to the end."""
    steps = steps or [(machine.reads, machine.writes) for _, machine in own]
    for _, machine in own:
        if machine.flow not in _STAYS:
            break
    else:
        return Graph(own, _straight(len(own)), steps, False)
    numbers = {offset: number for number, (offset, _) in enumerate(own)}
    follows = []
    for number, (offset, machine) in enumerate(own):
        ways = [number + 1] if machine.flow not in (JUMP, RETURN, TRAP) else []
        if machine.flow == JUMP and machine.target is None:
            ways.append(len(own))
        elif machine.flow in (BRANCH, JUMP) and machine.target is not None:
            goal = offset + machine.target
            if goal in numbers or not traps(goal):
                ways.append(numbers.get(goal, len(own)))
        follows.append(tuple(ways))
    branches = any(ways != (number + 1,) for number, ways in enumerate(follows))
    return Graph(own, follows, steps, branches)


@lru_cache(maxsize=256)
def _straight(count: int) -> Sequence[Sequence[int]]:
    """What follows what in straight-line code."""
    return [(number,) for number in range(1, count + 1)]


def overwritten(found: Graph, inputs: Set[int], live_out: Set[int] = frozenset()) -> tuple[Placed, int] | None:
    """The first read of one of these registers that may see something else than the input. `live_out`: what is read
    after the bytes."""
    for place in sorted(inputs & _all_writes(found)):
        seen = _followed(found, place)
        for number, placed in enumerate(found.own):
            if place not in found.steps[number][0] or True not in seen[number]:
                continue
            if len(seen[number]) == 2 or not _alone(found, number, place, live_out):
                return placed, place
    return None


def _all_writes(found: Graph) -> set[int]:
    return set().union(*[writes for _, writes in found.steps])


def _alone(found: Graph, number: int, place: int, live_out: Set[int]) -> bool:
    """Whether an instruction is the only one that reads what a register holds then, and by one field."""
    if place in found.own[number].machine.twice:
        return False
    if place in found.steps[number][1]:
        readers = 0
    elif found.branches:
        return False
    else:
        live = _readers(found, number + 1, place)
        readers = len(found.own) if live is None and place in live_out else live or 0
    at = number - 1
    while at >= 0 and place not in found.steps[at][1]:
        if place in found.steps[at][0] or found.branches:
            return False
        at -= 1
    return not readers


def _readers(found: Graph, start: int, place: int) -> int | None:
    """How many instructions read a register from here to the next write of it; None if it reaches the end unread."""
    count = 0
    for reads, writes in found.steps[start:]:
        count += place in reads
        if place in writes:
            return count
    return count or None


def reads_input(found: Graph, place: int) -> bool:
    """Whether some path reads the register before any write to it."""
    seen = _followed(found, place)
    return any(place in reads and False in seen[number] for number, (reads, _) in enumerate(found.steps))


def survives(found: Graph, place: int) -> bool:
    """Whether some path through the bytes does not write the register."""
    return False in _followed(found, place)[-1]


def idle(
    found: Graph, live_out: Set[int], unused: Set[int], may_trap: Callable[[int, int], bool], abi: Abi
) -> tuple[Placed, int] | None:
    """The first instruction that writes a register which nothing reads, or does nothing but read; `live_out`: what is
    read after the bytes; `unused`: results that are not read, which a loop makes for its own use (except where it
    stores conditionally: an exchange does not need what it takes out of the word that was there)."""
    vain = _made_in_vain(found, live_out, unused) if unused and _makes_for_itself(found, abi) else None
    for number, after in _afters(found, live_out | unused) if vain is None else ():
        place = _vain(found, number, after, may_trap, abi)
        if place is not None:
            vain = found.own[number], place
    return vain


def _makes_for_itself(found: Graph, abi: Abi) -> bool:
    """Whether the bytes are a loop that makes values only for its own use."""
    loops = any(machine.flow == BRANCH and (machine.target or 0) < 0 for _, machine in found.own)
    return loops and not any(machine.name.startswith(abi.storing_if) for _, machine in found.own)


def retries_elsewhere(found: Graph, abi: Abi) -> Placed | None:
    """A branch back, of bytes that store conditionally, to another of them than a load. One that leaves them may lead
    back, too, where the next instruction would jump (`jumps`)."""
    if not any(machine.name.startswith(abi.storing_if) for _, machine in found.own):
        return None
    loads = {offset for offset, machine in found.own if any(access.read for access in machine.accesses)}
    for placed in found.own:
        goal = placed.machine.target
        if placed.machine.flow != BRANCH or goal is None or goal >= 0:
            continue
        if placed.offset + goal >= found.own[0].offset and placed.offset + goal not in loads:
            return placed
    return None


def _made_in_vain(found: Graph, live_out: Set[int], unused: Set[int]) -> tuple[Placed, int] | None:
    """An instruction whose results are all dead, within the bytes and after them."""
    for number, after in _afters(found, live_out):
        machine = found.own[number].machine
        made = {p for p in machine.writes if p >= 0}
        compares = FLAGS in machine.writes and FLAGS in after
        if machine.flow == ORDINARY and not machine.accesses and made and made <= unused - after and not compares:
            return found.own[number], min(made)
    return None


def _vain(found: Graph, number: int, after: Set[int], may_trap: Callable[[int, int], bool], abi: Abi) -> int | None:
    """What an instruction makes, or reads, in vain; `after`: what is read after it."""
    offset, machine = found.own[number]
    if machine.flow != ORDINARY:
        return None
    unread = set() if machine.writes <= after else {p for p in machine.writes - after if p >= 0}
    if machine.name.startswith(abi.storing_if):
        # their outcome is not a result, whatever the description says
        later = frozenset().union(*(m.reads for _, m in found.own[number + 1 :]))
        unread |= {p for p in machine.writes - later if p >= 0}
    if unread and not _half_left(found, number, abi) and not (FLAGS in machine.writes and FLAGS in after):
        return min(unread)
    if FLAGS not in after and only_compares(machine):
        return FLAGS
    if only_reads(machine) and (machine.accesses or not may_trap(offset, machine.size)):
        return min(machine.reads)
    return NONE if does_nothing(machine) and not may_trap(offset, machine.size) else None


def _half_left(found: Graph, number: int, abi: Abi) -> bool:
    """Whether an instruction is the half of a far jump, whose other half `layout` has left out with the island."""
    offset, machine = found.own[number]
    last = number + 1 == len(found.own)
    return machine.name == abi.half_jump and (last or found.own[number + 1].offset != offset + machine.size)


def unread(own: Sequence[Placed], scratch: Set[int]) -> tuple[Placed, int] | None:
    """The first instruction of straight-line code that writes only a scratch register which is dead then."""
    pending: dict[int, Placed] = {}
    for placed in own:
        if placed.machine.flow != ORDINARY:
            return None
        for place in placed.machine.reads & pending.keys():
            del pending[place]
        made = {place for place in placed.machine.writes if place >= 0}
        for place in made & scratch if made <= scratch else ():
            if place in pending:
                return pending[place], place
            pending[place] = placed
    return next(((placed, place) for place, placed in pending.items()), None)


def only_compares(machine: Insn) -> bool:
    """An instruction that is there for its flags."""
    return FLAGS in machine.writes and not any(place >= 0 or place == MEMORY for place in machine.writes)


def only_reads(machine: Insn) -> bool:
    """An instruction that changes nothing, and is not a no-operation."""
    return machine.flow == ORDINARY and not machine.writes and bool(machine.reads)


def does_nothing(machine: Insn) -> bool:
    """A no-operation: what is known to have no effect; a fence is none."""
    return machine.flow == ORDINARY and not (machine.reads or machine.writes) and machine.effect == NOTHING


def _afters(found: Graph, live_out: Set[int]) -> Iterator[tuple[int, Set[int]]]:
    """Each instruction's number, the last one first, and what is read after it: valid until the next is asked for."""
    if found.branches:
        live = _live(found, live_out)
        for number in range(len(found.own) - 1, -1, -1):
            yield number, _after(found, live, number)
        return
    after = set(live_out)
    for number in range(len(found.own) - 1, -1, -1):
        yield number, after
        reads, writes = found.steps[number]
        kept = found.own[number].machine.kept
        after.difference_update(writes - kept if kept else writes)
        after.update(reads)


def _live(found: Graph, live_out: Set[int]) -> list[set[int]]:
    """What is read from each instruction on, and from the end on, where there are several ways."""
    count = len(found.own)
    live: list[set[int]] = [*(set() for _ in range(count)), set(live_out)]
    changed = True
    while changed:
        changed = False
        for number in range(count - 1, -1, -1):
            reads, writes = found.steps[number]
            machine = found.own[number].machine
            gone = writes - machine.kept if machine.kept else writes
            before = _after(found, live, number).difference(gone).union(reads)
            if before != live[number]:
                live[number], changed = before, True
    return live


def _after(found: Graph, live: list[set[int]], number: int) -> set[int]:
    ways = found.follows[number]
    return live[ways[0]] if len(ways) == 1 else set().union(*(live[way] for way in ways))


def unwritten(found: Graph, given: Set[int], wanted: Set[int]) -> tuple[int, int] | None:
    """The first read of a register that some way leads to without a write of it, or, at the end, one of `wanted`: the
    number of the instruction, and the register. `given`: what holds a value from the beginning."""
    written = _written(found)
    for number, (reads, _) in enumerate(found.steps):
        before = written[number]
        machine = found.own[number].machine
        if before is not None and (bad := reads - machine.merged - given - before):
            return number, min(bad)
    before = written[-1]
    return (len(found.own), min(bad)) if before is not None and (bad := wanted - before) else None


def _written(found: Graph) -> list[set[int] | None]:
    """What has been written on every way to each instruction and to the end; None where no way leads."""
    written: list[set[int] | None] = [None] * (len(found.own) + 1)
    written[0] = set()
    work = [0]
    while work:
        number = work.pop()
        before = written[number]
        if before is None or number == len(found.own):
            continue
        after = before | found.steps[number][1]
        for way in found.follows[number]:
            known = written[way]
            joined = after if known is None else known & after
            if known is None or joined != known:
                written[way] = joined
                work.append(way)
    return written


def stuck(found: Graph) -> bool:
    """Whether no path reaches the end."""
    return _written(found)[-1] is None


def _followed(found: Graph, place: int) -> list[set[bool]]:
    """For each instruction, and for the end, whether the register may have been written before it: {False}, {True}, or
    both."""
    seen: list[set[bool]] = [set() for _ in range(len(found.own) + 1)]
    work = [(0, False)]
    while work:
        number, written = work.pop()
        if written in seen[number]:
            continue
        seen[number].add(written)
        if number < len(found.own):
            written = written or place in found.steps[number][1]
            work += [(way, written) for way in found.follows[number]]
    return seen
