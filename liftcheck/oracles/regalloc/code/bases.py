"""Whether an address that own bytes make has a base: what its register was made of.

The one idea: a word that is out of reach is addressed by a register that the same bytes compute of constants and one
base. If only constants went into it, or a pointer to the frame other than by addition of a constant, or the very input
that is stored there, then some step failed to read what it should.

Bytes with loops, and addresses with an index, are not examined.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from liftcheck.isa.abi import reserved
from liftcheck.mach.insn import BRANCH, CALL, MEMORY, PC, Insn, register
from liftcheck.mach.regs import NONE
from liftcheck.mach.state import State, parts
from liftcheck.oracles.regalloc.code.framed import something
from liftcheck.oracles.regalloc.code.layout import Placed


def baseless(isa: str, own: Sequence[Placed], lone: set[int]) -> tuple[Placed, int] | None:
    """The first access whose base register has no base in it, and that register. `lone`: registers of one input."""
    if any(machine.flow == BRANCH for _, machine in own):
        return None
    pointers = reserved(isa).readable
    states = enumerate(_states(isa, own))
    at, state = next(states)
    for number, place, root in _bases(isa, own):
        stored = len(root) == 1 and not root.isdisjoint(lone & own[number].machine.reads)
        if not root or stored:
            return own[number], place
        if not root.isdisjoint(pointers):
            while at < number:
                at, state = next(states)
            found = parts(state.value(place))
            if found is None or found[0] not in [register(isa, p) for p in pointers]:
                return own[number], place
    return None


def _states(isa: str, own: Sequence[Placed]) -> Iterator[State]:
    """The state before each instruction: one object, which is advanced when the next one is asked for."""
    state = State(isa)
    for _, machine in own:
        yield state
        effect = machine.effect
        if effect is not None and not effect.loads and not effect.stores:
            state.run(effect)
        else:
            state.registers.update({place: something(isa, place) for place in machine.writes if place >= 0})


def made(isa: str, own: Sequence[Placed]) -> bool:
    """Whether an access has no index and a base that the bytes before it wrote: nothing else can lack one."""
    written: set[int] = set()
    kept = reserved(isa).readable
    for _, machine in own:
        for access in machine.accesses:
            if access.base in written and access.scaled == NONE and access.base not in kept:
                return True
        written |= machine.writes
    return False


def _bases(isa: str, own: Sequence[Placed]) -> Iterator[tuple[int, int, frozenset[int]]]:
    """Accesses without an index by a base that bytes without loops have made themselves: the instruction's number, the
    base, and what that was made of (registers before the bytes, MEMORY, PC; constants are nothing)."""
    kept = reserved(isa).readable
    roots: dict[int, frozenset[int]] = {}
    for number, (_, machine) in enumerate(own):
        for access in machine.accesses:
            if access.base in roots and access.scaled == NONE and access.base not in kept:
                yield number, access.base, roots[access.base]
        made_of = _roots(machine, roots)
        roots.update({place: made_of for place in machine.writes if place >= 0})


def _roots(machine: Insn, roots: Mapping[int, frozenset[int]]) -> frozenset[int]:
    """What an instruction's results are computed of. One without inputs yields a constant or an address in the code."""
    found = [roots.get(place, frozenset({place})) for place in machine.reads if place >= 0]
    if MEMORY in machine.reads or machine.flow == CALL:
        found.append(frozenset({MEMORY}))
    if machine.target is not None or (not machine.reads and machine.effect is None):
        found.append(frozenset({PC}))
    return frozenset().union(*found)
