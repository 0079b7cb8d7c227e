"""Calls in lifted code: what the convention of a callee's signature passes, keeps and overwrites.

The one idea: whose signature a call has, the program says (by the callee's name; of an address that no name has, if all
its indirect calls agree). The arguments are read from where the convention has them, and what comes back are variables,
'call0.1' for the second result of a path's first call; of data nothing is known afterwards. Routines that are functions
of their arguments alone are what they compute, and no calls. Registers hold unknown values but for those that a callee
gives back; the frame is kept, except below the stack pointer, where the callee's own arguments were, and the stack
slots that it may reach (`mach.lift_slots`), of which as much is known as of data.

Undecided: a call that may reach the frame where the program's slots are not known, and a tail call that is given an
address in it; one that may land in a handler; routines that have no meaning (`interp.libcalls`).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache, partial, reduce
from typing import Final, NamedTuple

from liftcheck.bits.build import shape
from liftcheck.bits.simplify import joined, normal, sliced
from liftcheck.bits.term import Term, const, var
from liftcheck.case import Target
from liftcheck.clif.ir import AbiParam, Function, Inst, Signature
from liftcheck.clif.opcodes import INDIRECT_CALLS
from liftcheck.interp.libcalls import libcall, numeric
from liftcheck.isa.abi import abi_named, owed
from liftcheck.isa.base import isa_named
from liftcheck.mach.arguments import stack_bytes
from liftcheck.mach.lift import UNKNOWN_TARGET, table_of, untouched
from liftcheck.mach.lift_memory import DATA, FRAME, Range, Undecided, located, parts
from liftcheck.mach.lift_paths import Called, Path
from liftcheck.mach.lift_slots import reachable
from liftcheck.mach.rows.machine import Place
from liftcheck.mach.rows.table import variables
from liftcheck.mach.symbols import SYMBOL
from liftcheck.mach.transfer import State, over, value
from liftcheck.oracles.lifting.signature import ALIGNED, RETURN, STACK, Convention, convention

ROUTINE: Final = "libcall:"
REACHES: Final = "a call that may reach the frame"
_MODES: Final = frozenset({"frm", "fpcr", "tpidr_el0"})
"""Named places that callees leave as they are."""


def _signature(call: Inst) -> int:
    """The number of the signature of a call through an address; one that may land in a handler has it in its table."""
    number = call.imm if call.table is None else call.table.sig
    assert isinstance(number, int)
    return number


class Signatures:
    """The signatures by which a program calls: by the callee's name, and of calls through addresses."""

    def __init__(self, target: Target, function: Function) -> None:
        self._by_name: Final[dict[str, set[Signature]]] = {}
        for reference in function.func_refs.values():
            self._by_name.setdefault(reference.name, set()).add(function.signatures[reference.sig])
        self._routines: Final = dict(target.settings).get("libcall_call_conv", "isa_default")
        calls = [
            inst
            for block in function.blocks
            for inst in block.insts
            if inst.op in INDIRECT_CALLS and inst.table is None
        ]
        self.handlers: Final = any(inst.table is not None for block in function.blocks for inst in block.insts)
        self._indirect: Final = {
            tail: {function.signatures[_signature(call)] for call in calls if call.op.startswith("return") == tail}
            for tail in (False, True)
        }

    def of(self, name: str, tail: bool) -> Signature:
        """The one of a call of what has this name; '': of an address."""
        known = self._by_name.get(name.replace(ROUTINE, "%"))
        if known is None and name.startswith(ROUTINE):
            known = {self._routine(name.removeprefix(ROUTINE))}
        if known is None or not name:
            known = self._indirect[tail]
        if not known:
            raise Undecided(UNKNOWN_TARGET if tail else "a call that the program does not have")
        if len(known) > 1:
            raise Undecided("a call whose signature is one of several")
        return next(iter(known))

    def _routine(self, name: str) -> Signature:
        found = libcall(name)
        if found is None:
            raise Undecided("a call of a routine that has no meaning")
        how = "system_v" if self._routines == "isa_default" else self._routines
        return Signature(tuple(map(AbiParam, found.params)), tuple(map(AbiParam, found.returns)), how)


class Calls:
    """Makes the calls of one function's code: `lift_paths.Caller`."""

    def __init__(self, target: Target, function: Function) -> None:
        self._target: Final = target
        self._signatures: Final = Signatures(target, function)
        self._pointer: Final = isa_named(target.isa).stack_pointer

    def __call__(self, path: Path, target: Term, tail: bool) -> None:
        target, name = _named(target, path.owner.names)
        if self._signatures.handlers:
            raise Undecided("a call that may land in a handler")
        how = convention(self._target, self._signatures.of(name, tail))
        stack = self._stack(path, tail)
        register = partial(value, path.state)
        area = register(how.where.area) if how.where.area >= 0 else None
        arguments = tuple(
            how.taken(param, places, register, path.memory.load, stack)
            for param, places in zip(how.signature.params, how.where.arguments)
        )
        results = outcome(path, name, target, how.signature, arguments, tail)
        self._clobber(path, how, stack)
        for term, param, places in zip(results, how.signature.returns, how.where.results, strict=True):
            for part, piece in how.pieces(term, param, places, path.undefined):
                if part.place >= 0:
                    path.state[part.place] = piece
                elif area is not None:
                    path.memory.store(located(area, part.offset), piece)

    def _stack(self, path: Path, tail: bool) -> Term:
        """The stack pointer as the convention counts from it: without a return address."""
        abi, pointer = abi_named(self._target.isa), value(path.state, self._pointer)
        if parts(pointer)[0] is not ALIGNED:
            raise Undecided("a call with a stack pointer that is not known")
        on_stack = abi.link < 0
        if tail:
            back = path.memory.load(pointer, 8) if on_stack else value(path.state, abi.link)
            if back is not RETURN:
                raise Undecided("a tail call that does not return to the caller")
        return located(pointer, 8) if on_stack else pointer

    def _clobber(self, path: Path, how: Convention, stack: Term) -> None:
        """What nobody knows after a call, and the stack pointer."""
        isa, signature = how.isa, how.signature
        abi, kept, size = abi_named(isa), owed(isa, signature.call_conv), stack_bytes(isa, signature)
        if kept is None or size is None:
            raise Undecided("where arguments and results are is not known")
        _lose(path.state, isa, signature.call_conv, len(path.calls))
        path.state[self._pointer] = located(stack, size if kept.pops else 0)
        path.context = None
        at, owned = parts(stack)[1], max(size, abi.callee_area, abi.shadow.get(signature.call_conv, 0))
        for name in (FRAME, path.memory.name_of_slots):
            frame = path.memory.areas.get(name)
            if frame is not None:
                frame.forget(ALIGNED, -(1 << 62), at, path.undefined)
                frame.forget(ALIGNED, at + 8 * abi.back_chain, at + owned, path.undefined)


def _named(target: Term, names: Mapping[Term, str]) -> tuple[Term, str]:
    """An address and whose it is; functions are at even ones, so an instruction that clears the lowest bit changes
    nothing."""
    for symbol, name in names.items():
        if target is symbol or target is even(symbol):
            return symbol_of(name.replace(ROUTINE, "%")), name
    return target, ""


def symbol_of(name: str) -> Term:
    """The address of what has a name, as machine code has it."""
    return var(f"{SYMBOL} {name}", 64)


def name_of(address: Term) -> str:
    """The name of what is at an address; '': it has none."""
    kind, _, name = str(address.params[0]).partition(" ") if address.prim == "var" else ("", "", "")
    return name if kind == SYMBOL else ""


def even(address: Term) -> Term:
    """An address without its lowest bit."""
    return joined(sliced(address, 1, address.lane - 1), const(0, 1))


def outcome(
    path: Path, name: str, target: Term, signature: Signature, arguments: tuple[Term, ...], tail: bool = False
) -> tuple[Term, ...]:
    """The results of a call, which the path has made then. `tail`: the frame is no more when it is made."""
    meaning = numeric(name.removeprefix(ROUTINE).removeprefix("%"))
    if meaning is not None:
        shaped = [normal(shape(a, v.lane, v.lanes)) for a, v in zip(arguments, meaning.inputs, strict=True)]
        return tuple(over(term, meaning.inputs)(*shaped) for term in meaning.results)
    reached = _reached(path, arguments, tail)
    number = len(path.calls)
    results = tuple(
        var(f"call{number}.{n}", one.type.lane_bits, one.type.lanes) for n, one in enumerate(signature.returns)
    )
    path.calls.append(Called(target, signature, arguments, path.memory.copy(), results, reached))
    path.memory.reads.later.update(results)
    path.memory.called(reached)
    return results


def _reached(path: Path, arguments: tuple[Term, ...], tail: bool) -> frozenset[Range]:
    """The stack slots that a callee may reach."""
    memory = path.memory
    if memory.slots is not None and not tail:
        return reachable(memory, arguments)
    data = memory.areas.get(DATA)
    seen = [*arguments, *(made.value for made in data.stores)] if data is not None and not tail else arguments
    if STACK in variables(seen):
        raise Undecided(REACHES)
    return frozenset()


def _lose(state: State, isa: str, convention: str, calls: int) -> None:
    """Registers after call number `calls`, of a callee of a convention."""
    lost = _lost(isa, convention, calls)
    for place, low, bits, new in lost.in_part:
        whole = value(state, place)
        pieces = [(new, low + bits, whole.lane), (whole, low, low + bits), (new, 0, low)]
        cut = [sliced(term, first, end - first) for term, first, end in pieces if first < end]
        state[place] = reduce(joined, cut)
    state.update(lost.whole)


class _Lost(NamedTuple):
    """What registers hold after a call that are not kept, and those that are in part: (place, first bit, bits, other
    bits)."""

    whole: dict[Place, Term]
    in_part: list[tuple[int, int, int, Term]]


@lru_cache(maxsize=1 << 8)
def _lost(isa: str, convention: str, calls: int) -> _Lost:
    registers, kept = table_of(isa).registers, owed(isa, convention)
    assert kept is not None
    abi = abi_named(isa)
    found = _Lost({}, [])
    for place in untouched(registers):
        if place in abi.platform:
            continue
        width = registers.width(place)
        bits = 0 if isinstance(place, str) or place in abi.scratch else kept.bits.get(place, 0)
        new = var(f"{registers.name(place)} after call {calls}", width)
        if bits and bits < width and isinstance(place, int):
            found.in_part.append((place, kept.low, bits, new))
        elif not bits and place not in _MODES:
            found.whole[place] = new
    return found
