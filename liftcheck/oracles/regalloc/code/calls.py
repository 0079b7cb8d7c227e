"""What a call leaves of the registers: by its callee's convention where it returns, by the unwinder's elsewhere.

The one idea: an allocator is given one list of clobbers for both exits of a call, the return and the unwinder, so the
list holds what either of them clobbers. Whether callee-saved registers are restored depends on the exit: what only an
unwinder clobbers is clobbered in handlers alone. Which conventions a call may have is said by the program's text
(`oracles.regalloc.source`); where several remain, each is tried. Where none is known, the whole list is clobbered on
both exits.

Sources: `isa.abi`; Cranelift's `get_regs_clobbered_by_call` (what its unwinders restore).
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property, lru_cache
from typing import Final

from liftcheck.bits.term import Term
from liftcheck.case import CallSite, FunctionCode
from liftcheck.clif.ir import Signature
from liftcheck.isa.abi import UNRESTORED, Reserved, abi_named, owed, reserved
from liftcheck.isa.base import isa_named
from liftcheck.mach.arguments import stack_bytes, stacked
from liftcheck.mach.insn import JUMP, ORDINARY, PC, WIDTHS, Effect, Insn, decode, register
from liftcheck.mach.regs import NONE, SLOT
from liftcheck.mach.state import parts
from liftcheck.oracles.regalloc.code.layout import Layout, Placed
from liftcheck.oracles.regalloc.source import POINTERS, Source, structure_bytes
from liftcheck.regalloc.allocation import ANY, FIXED, USE, Allocation, Operand

LIBCALL: Final = "libcall:"
LIBRARY: Final = frozenset({"system_v"})
"""The convention of the library's functions, unless a setting says otherwise."""
Kept = Mapping[int, int]
"""Place -> how many of its bits survive."""


@lru_cache(maxsize=64)
def _offered(isa: str, groups: tuple[tuple[int, ...], ...]) -> frozenset[int]:
    """The allocatable registers; environments are few."""
    return frozenset(p for p in frozenset().union(*groups) if p < SLOT and WIDTHS[isa][p >> 6])


class Calls:
    """The calls of one function. `sites`: by the address that the callee returns to; `popping`: conventions whose
    callees take their arguments away, besides those that do so in every version."""

    def __init__(
        self, layout: Layout, code: FunctionCode, source: Source | None, popping: frozenset[str] = frozenset()
    ) -> None:
        isa, allocation = layout.isa, layout.allocation
        self.layout: Final = layout
        self.isa: Final = isa
        self.abi: Final = abi_named(isa)
        self._far: Final = isa_named(isa).far
        self.allocation: Final = allocation
        self.source: Final = source
        self.sites: Final[dict[int, CallSite]] = {site.offset: site for site in code.calls}
        self._returns: Final = sorted(self.sites)
        self.popping: Final = popping
        self.code: Final = code.code
        self.symbols: Final = sorted((r.offset, r.name) for r in code.relocations)
        self._descriptors: Final = sorted(r.offset for r in code.relocations if "TlsDesc" in r.kind)
        self._offered: Final = _offered(isa, allocation.environment.offered)
        self._library: Final = any(name.startswith(LIBCALL) for _, name in self.symbols)

    def conventions(self, instruction: int) -> frozenset[str]:
        """Those that an instruction's call may have; none: not known."""
        if self.source is None:
            return frozenset()
        names = frozenset(self.symbols_of(instruction))
        if not names and (self._library or len(self.source.any_callee) > 1):
            names = self._loaded(instruction)
            if names and (pointers := self.source.callees.get(POINTERS)):  # or the program calls it by its address
                library = LIBRARY if any(name.startswith(LIBCALL) for name in names) else frozenset()
                return pointers.union(library, *(self.source.callees.get(name, ()) for name in names))
        if any(name.startswith(LIBCALL) for name in names):
            return LIBRARY
        found = self.source.conventions(names)
        return found if names & self.source.callees.keys() or not self._library else found | LIBRARY

    def _loaded(self, instruction: int) -> frozenset[str]:
        """The symbols whose address another instruction made for a call through a register: far functions."""
        callees = (o.vreg for o in self.allocation.instructions[instruction].operands if self._may_be_callee(o))
        makers = (self._makers[vreg] for vreg in callees if vreg in self._makers)
        return frozenset(name for maker in makers for name in self.symbols_of(maker))

    def _may_be_callee(self, operand: Operand) -> bool:
        fixed = operand.constraint in (FIXED, ANY) and operand.value != self.abi.callee
        return operand.kind == USE and not fixed

    @cached_property
    def _makers(self) -> Mapping[int, int]:
        """Virtual register -> the instruction that defines it."""
        rows = enumerate(self.allocation.instructions)
        return {o.vreg: number for number, what in rows for o in what.operands if o.kind != USE}

    def lost(self, instruction: int, owing: Kept, unwound: bool) -> list[frozenset[int]]:
        """Of the registers that are owed, those that a call loses where it returns, or where an unwinder enters its
        handlers: one set for each convention that it may have. Empty if none is known."""
        clobbers = self.allocation.instructions[instruction].clobbers
        found = []
        for convention in sorted(self.conventions(instruction)):
            kept = owed(self.isa, convention)
            if kept is not None:
                bits = {} if unwound and convention in UNRESTORED else kept.bits
                found.append(frozenset(p for p in clobbers if bits.get(p, 0) < owing.get(p, 1)))
        return found

    def required(self, instruction: int) -> frozenset[int]:
        """Registers that the allocator must be told that this call clobbers: of those that it may give out the ones
        that no convention which the call may have keeps whole; after handlers, that no unwinder gives back. Resolvers
        of thread-local descriptors keep all."""
        conventions = self.conventions(instruction)
        start, end = self.allocation.offsets[instruction] or 0, self.allocation.ends[instruction]
        if self.source is None or bisect_left(self._descriptors, start) != bisect_left(self._descriptors, end):
            return frozenset()
        unwound = bool(self.handlers(start, end))
        found = self._offered
        for convention in conventions or LIBRARY:
            kept = owed(self.isa, convention)
            if kept is None:
                return frozenset()
            bits = {} if unwound and convention in UNRESTORED else kept.bits
            found = found - {p for p in found if bits.get(p, 0) >= WIDTHS[self.isa][p >> 6]}
        return found | (self._offered & {self.abi.link})  # the call itself writes it, whatever its callee keeps

    def may_pop(self, instruction: int) -> bool:
        """Whether a call's callee may take its stack arguments away."""
        conventions = self.conventions(instruction)
        return not conventions or any(self.pops(convention) for convention in conventions)

    def must_pop(self, instruction: int) -> bool:
        """Whether it does so for certain."""
        conventions = self.conventions(instruction)
        return bool(conventions) and all(self.pops(convention) for convention in conventions)

    def taken(self) -> int | None:
        """How many bytes of stack arguments the function itself takes away; None if that is not known."""
        return None if self.source is None or self.source.signature is None else self._taken(self.source.signature)

    def left_behind(self, instruction: int) -> frozenset[int] | None:
        """How many bytes of stack arguments the callee of a tail call takes away: one of these; None if that is not
        known. The callee of one through a register is any of the function's: compilers load addresses of symbols."""
        return self._all_taken(self._named(instruction)) or self.left_by_tail_calls()

    def left_by_tail_calls(self) -> frozenset[int] | None:
        """The same of all tail calls of the function."""
        return None if self.source is None else self._all_taken(self.source.tail_called)

    def taken_by_callee(self, instruction: int) -> frozenset[int] | None:
        """The same of a call."""
        if self.source is None or self._library:
            return None
        named = self._named(instruction)
        return self._all_taken(named) if named or not self.source.called else self._taken_by_any

    @cached_property
    def _taken_by_any(self) -> frozenset[int] | None:
        """The same of any call of the function."""
        called = self.source.called if self.source is not None else {}
        return self._all_taken([one for signatures in called.values() for one in signatures])

    @cached_property
    def by_address(self) -> bool:
        """Whether something may be handed over by an address in the memory at the stack pointer: an area for results,
        copies of wide values and of vectors, structures."""
        if self.source is None:
            return True
        called = [one for signatures in self.source.called.values() for one in signatures]
        values = [value for one in called for value in (*one.params, *one.returns)]
        return any(len(one.returns) > 1 for one in called) or any(
            v.type.bits > 64 or v.type.is_vector or v.purpose for v in values
        )

    def signatures(self, instruction: int) -> Sequence[Signature] | None:
        """Those that an instruction's call may have; None: not known."""
        symbols = self.symbols_of(instruction)
        if self.source is None or (self._library and not self._named(instruction)):
            return None
        if symbols and not self._named(instruction):
            return None
        return self._named(instruction) or [one for found in self.source.called.values() for one in found] or None

    def _named(self, instruction: int) -> Sequence[Signature]:
        """The signatures of the symbol that an instruction is linked with."""
        called = self.source.called if self.source is not None else {}
        return next((called[name] for name in self.symbols_of(instruction) if name in called), ())

    def _all_taken(self, signatures: Iterable[Signature]) -> frozenset[int] | None:
        """One for each signature; None if there is none, or one is not known."""
        found = {self._taken(one) for one in signatures}
        return frozenset(size for size in found if size is not None) if found and None not in found else None

    def _taken(self, signature: Signature) -> int | None:
        known = owed(self.isa, signature.call_conv) is not None
        return None if not known else stack_bytes(self.isa, signature) if self.pops(signature.call_conv) else 0

    def packed_results(self, instruction: int) -> int | None:
        """How many bytes of results a call's callee leaves on the stack at most, where it may pack them and the bytes
        after the call load more of one than there is: narrow ones."""
        if self.source is None or self.abi.packing.isdisjoint(self.conventions(instruction)):
            return None
        return self.source.packed_results(frozenset(self.symbols_of(instruction)))

    def pops(self, convention: str) -> bool:
        """Whether its callees may take their stack arguments away."""
        found = owed(self.isa, convention)
        return found is None or found.pops or convention in self.popping

    def callee_area(self) -> int:
        """How many bytes at the stack pointer callees may write at will: as many as any of them, for there is one area
        for all calls. Whichever of several conventions a call has, another call has the others."""
        if not self.calling:
            return 0
        conventions = frozenset().union(*map(self.conventions, self.calling)) if self.abi.shadow else frozenset()
        called = self.source.called.values() if self.source is not None else ()
        found = [self._area(one) for one in conventions] + [self.abi.callee_area]
        found += [
            self._area(one.call_conv) + sum(structure_bytes(p) for p in one.params)
            for signatures in called
            for one in signatures
        ]
        found += [self._handed_end(instruction) for instruction in self.calling]
        return max(found)

    def _handed_end(self, instruction: int) -> int:
        """Where what a call hands over and gets back ends at least: callees may write it all."""
        ends = []
        for signature in self.signatures(instruction) or ():
            pushed = self.abi.pushes_arguments and self.pops(signature.call_conv)
            for one in stacked(self.isa, signature) or ():
                rows = one.results if pushed else (*one.arguments, *one.results)
                ends.append(max((row.offset + row.size for row in rows), default=0))
            if stacked(self.isa, signature) is None:
                return 0
        return min(ends, default=0)

    def _area(self, convention: str) -> int:
        return self.abi.shadow.get(convention, 0) or self.abi.callee_area

    @cached_property
    def least_area(self) -> int:
        """Where arguments on the stack begin at the lowest."""
        shadow = self.abi.shadow
        conventions = (
            frozenset().union(*map(self.conventions, self.calling)) if shadow and self.calling else frozenset()
        )
        return min((shadow.get(one, 0) for one in conventions), default=0) + self.abi.callee_area

    @cached_property
    def calling(self) -> list[int]:
        """Instructions that call and go on after that: calls by `preserve_all` clobber nothing."""
        rows = self.allocation
        found = []
        for number, what in enumerate(rows.instructions):
            start, end = rows.offsets[number] or 0, rows.ends[number]
            returning = bisect_right(self._returns, start) != bisect_right(self._returns, end)
            if what.clobbers or (returning and not what.is_return):
                found.append(number)
        return found

    def symbols_of(self, instruction: int) -> list[str]:
        """The symbols that an instruction's bytes are linked with."""
        return self._linked(self.allocation.offsets[instruction] or 0, self.allocation.ends[instruction])

    def _linked(self, start: int, end: int) -> list[str]:
        first, after = (bisect_left(self.symbols, (at, "")) for at in (start, end))
        return [name for _, name in self.symbols[first:after]]

    def relocated(self, placed: Placed) -> bool:
        """Whether a jump leads to a symbol: itself, or by the instruction before it (`Isa.far`)."""
        low = placed.offset
        if placed.machine.target is None:
            low -= 4
            before = decode(self.isa, self.code, low, low + 1)[0] if self._far and low >= 0 else None
            if before is None or before.name != self._far or not before.writes <= placed.machine.reads:
                return False
        return bool(self._linked(low, placed.offset + placed.machine.size))

    def tail_callee(self, instruction: int) -> int:
        """The register that an exit's tail call jumps through by its description: its first input, in a register that
        is fixed for that; NONE if it is another call."""
        what, places = self.allocation.instructions[instruction], self.allocation.places[instruction]
        for operand, place in zip(what.operands, places):
            if operand.kind == USE:
                fixed = operand.constraint == FIXED and operand.value != self.abi.tail_callee
                return NONE if fixed else place
        return NONE

    def handlers(self, start: int, end: int) -> list[int]:
        """Where the handlers of the calls in these bytes are."""
        sites = self._returns[bisect_right(self._returns, start) : bisect_right(self._returns, end)]
        return [
            handler[-1]
            for at in sites
            for handler in self.sites[at].handlers
            if handler[0] != "context" and isinstance(handler[-1], int)
        ]

    def contexts(self, returning: int) -> list[int]:
        """What the call that returns there tells its unwinder of the values that its handlers' tags are looked up with:
        registers as places, distances from the stack pointer from SLOT on."""
        site = self.sites.get(returning)
        told = [handler for handler in site.handlers if handler[0] == "context"] if site is not None else []
        return [int(str(handler[-1])) + (SLOT if handler[1] == "sp" else 0) for handler in told]

    def context_uses(self, instruction: int) -> list[int]:
        """The places of the operands that the code of a call does not touch: they are for the unwinder alone, which may
        find them anywhere (all others of a call are in fixed registers, or in one)."""
        operands = self.allocation.instructions[instruction].operands
        return [
            place
            for operand, place in zip(operands, self.allocation.places[instruction])
            if operand.kind == USE and operand.constraint == ANY
        ]


def switches(isa: str, own: Sequence[Placed]) -> bool:
    """Whether own bytes give control to another stack, and get it back after their end: they store the stack pointer,
    the frame pointer and the address of their end in one place, and take those of another place that is laid out
    alike. What comes back gives the first two back, and a value in the registers of the definitions."""
    if not own or own[-1].machine.flow != JUMP or own[-1].machine.target is not None:
        return False
    kept = reserved(isa)
    end = own[-1].offset + own[-1].machine.size
    stored: dict[int, int] = {}
    taken: dict[int, int] = {}
    ours = {register(isa, place): place for place in (kept.sp, kept.frame) if place != NONE}
    wanted = {*ours.values(), PC}
    loaded: dict[Term, int] = {}
    for offset, machine in own:
        writes, loads, stores = (machine.effect or Effect()).parts
        for store in stores:
            if store.value in ours and (where := parts(store.address)) is not None:
                stored[ours[store.value]] = where[1]
        for place, value in writes:
            if place in wanted and value in loaded:
                taken[place] = loaded[value]
        gone = {register(isa, place) for place in machine.writes if place >= 0}
        ours = {value: place for value, place in ours.items() if value not in gone}
        loaded = {value: at for value, at in loaded.items() if value not in gone}
        for place, value in writes:
            found = [parts(load.address) for load in loads if load.value is value]
            if found and found[0] is not None:
                loaded[register(isa, place)] = found[0][1]
        if machine.flow == ORDINARY and machine.target is not None and offset + machine.target == end:
            ours |= {register(isa, place): PC for place in machine.writes}
        through = [register(isa, place) for place in machine.reads if machine.flow == JUMP and place >= 0]
        if through and through[0] in loaded:
            taken[PC] = loaded[through[0]]
    return stored == taken and stored.keys() == wanted


def offset_of(isa: str, machine: Insn) -> int | None:
    """How far after the address in a register a call or a jump through it leads; None if it takes the address from
    memory there."""
    if machine.accesses or "[" in machine.operands:
        return None
    last = machine.operands.rpartition(",")[2].strip()
    return int(last) if isa_named(isa).far and last.lstrip("-").isdigit() else 0


def loads_link(allocation: Allocation, instruction: int, kept: Reserved) -> bool:
    """Whether an instruction may write the link register, as those that take the return address from the frame do
    (aarch64, signed addresses): it has no operands, and the register holds no values. Exits must give it back."""
    if allocation.instructions[instruction].operands or kept.link < 0:
        return False
    environment = allocation.environment
    return not any(kept.link in places for places in (*environment.preferred, *environment.others))
