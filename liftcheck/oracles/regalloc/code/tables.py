"""Whether control gets through a jump table as a compiler has it do so, and nowhere else.

The one idea: where an indirect jump leads is computed by the last few bytes before it, and these have one form on each
ISA (`Abi.through_table`): the address of the table after the jump, one of its entries (or the distance of one, where
entries are jumps), their sum, the jump. Each instruction is the one of that name, takes what the ones before it made
and nothing else, and the address is the table's. Where the same bytes bound the index (`Abi.clamps`), they do so by the
number of entries.

Not asked: which index it is, and a bound that another instruction computes. Where entries lead, `jumps` asks.
Sources: cranelift-codegen 0.130 and 0.135 (`JmpTableSeq`, `JTSequence`, `BrTable`), the ISAs' manuals.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from liftcheck.bits.term import value_of
from liftcheck.isa.abi import Abi, abi_named
from liftcheck.mach.insn import BRANCH, FLAGS, JUMP, Insn
from liftcheck.mach.state import State
from liftcheck.oracles.regalloc.code.calls import offset_of
from liftcheck.oracles.regalloc.code.layout import Placed


def leads(isa: str, own: Sequence[Placed], entries: int) -> bool:
    """Whether the last of these bytes lead by the table after them; `entries`: how many the default is not."""
    abi = abi_named(isa)
    first = len(own) - len(abi.through_table)
    chain = own[first:] if first >= 0 else ()
    if not chain or tuple(machine.name for _, machine in chain) != abi.through_table or _entered(own, chain):
        return False
    pointer = {place for place in chain[0].machine.writes if place >= 0}
    if len(pointer) != 1 or chain[0].machine.reads or {p for p in chain[-1].machine.reads if p >= 0} != pointer:
        return False
    index = _index(isa, abi, chain, min(pointer))
    return index is not None and _bounded(isa, abi, own[:first], chain[0].offset, index, entries)


def _entered(own: Sequence[Placed], chain: Sequence[Placed]) -> bool:
    """Whether a branch leads after the beginning of the chain."""
    goals = {at + m.target for at, m in own if m.flow == BRANCH and m.target is not None}
    return any(placed.offset in goals for placed in chain[1:])


def _index(isa: str, abi: Abi, chain: Sequence[Placed], pointer: int) -> int | None:
    """The register that the entry is chosen by, if the chain is right."""
    address, entry, jump = chain[0], chain[1], chain[-1]
    after = jump.offset + jump.machine.size
    read = {place for place in entry.machine.reads if place >= 0}
    if re.fullmatch(abi.indexed, entry.machine.operands) is None or jump.machine.accesses:
        return None
    if abi.tables_of_jumps:
        start = address.offset + (offset_of(isa, jump.machine) or 0)
        at_table = address.machine.operands.endswith(", 0") and start == after
    else:
        at_table = address.offset + (address.machine.target or 0) == after
        read -= {pointer}
        loads = [(a.base, a.scaled, a.displacement, a.size, a.read, a.written) for a in entry.machine.accesses]
        index = min(read, default=pointer)
        ways = [(pointer, index), (index, pointer)] if len(chain) == 3 else [(pointer, index)]
        at_table = at_table and len(loads) == 1 and loads[0] in [(a, b, 0, 4, True, False) for a, b in ways]
    if not at_table or len(read) != 1 or pointer in read or not _summed(chain, pointer):
        return None
    return min(read)


def _summed(chain: Sequence[Placed], pointer: int) -> bool:
    """Whether the jump's register is the sum of the table's address and of what the entry's instruction made: the
    third one's work, or its own."""
    made = {place for place in chain[1].machine.writes if place >= 0}
    if len(chain) == 3:
        return made == {pointer}
    total = chain[2].machine
    if total.effect is None or len(total.effect.writes) != 1 or total.accesses:
        return False
    written = total.effect.writes[0][1]
    reads, writes = ({place for place in row if place >= 0} for row in (total.reads, total.writes))
    fields = len(made) == 1 and pointer not in made and (reads, writes) == (made | {pointer}, {pointer})
    return fields and written.prim == "add" and all(arg.prim == "var" for arg in written.args)


def _bounded(isa: str, abi: Abi, before: Sequence[Placed], chain: int, index: int, entries: int) -> bool:
    """Whether these bytes bound the index by the number of entries: by a selection, or by a branch round a jump to the
    default. Of a selection that takes zero instead, the branch is another one."""
    if not abi.clamps:
        return all(index not in machine.writes for _, machine in before)
    at = next((n for n in range(len(before) - 1, -1, -1) if before[n].machine.name == abi.clamps), -1)
    if at < 0 or any(index in machine.writes for _, machine in before[at + 1 :]):
        return False
    machine, words = before[at].machine, before[at].machine.operands.split(", ")
    if machine.flow == BRANCH:
        right = before[at].offset + (machine.target or 0) == chain and words[0] == f"x{index}"
        right = right and before[-1].machine.flow == JUMP  # to the default
    else:
        right = machine.writes == {index} and FLAGS in machine.reads
        if words[1::2] == ["xzr", "hs"]:
            return right and before[0].machine.flow == BRANCH
        right = right and words[0] == words[2] != words[1] and words[3] == "lo"
    return right and entries in _constants(isa, before[:at], machine)


def _constants(isa: str, before: Sequence[Placed], machine: Insn) -> list[int]:
    """Of what an instruction reads, the constants."""
    state = State(isa)
    for _, step in before:
        if step.effect is not None and not step.effect.loads and not step.effect.stores:
            state.run(step.effect)
    values = [state.value(place) for place in machine.reads if place >= 0]
    return [value_of(value) for value in values if value.prim == "const"]
