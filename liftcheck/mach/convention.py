"""Calls, entries and returns: a signature's values into the registers and stack places of its convention, and back.

The one idea: where everything is, `mach.arguments` says; how a part gets there or comes from there is the ISA's
(`Parts`), four small functions.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Final, Protocol

from liftcheck.clif.ir import AbiParam, Inst, Signature
from liftcheck.isa.abi import abi_named, owed
from liftcheck.mach.arguments import Part, Passed, passed, stack_bytes
from liftcheck.mach.lower import Lowering, Refused
from liftcheck.mach.vcode import DEF, EARLY, FIXED, LATE, REG, USE, Arguments, Form, Return, Slot

BASE, OUTGOING, INCOMING, STACK_SLOT, TAIL = "base", "outgoing", "incoming", "slot", "tail"
"""Areas: a register with an address; stack arguments and results of calls; the function's own stack arguments; a stack
slot; where a tail call's stack arguments are."""


class Parts(Protocol):
    """How an ISA moves parts of values. `cls`: the class of the register."""

    def load(self, low: Lowering, cls: int, size: int, area: str, offset: int, base: int = -1) -> int: ...

    def store(
        self, low: Lowering, register: int, cls: int, size: int, area: str, offset: int, base: int = -1
    ) -> None: ...

    def extend(self, low: Lowering, register: int, bits: int, how: str) -> int:
        """The low bits of a register as a word, by 'uext' or 'sext'."""

    def address(self, low: Lowering, area: str, offset: int) -> int: ...

    def call(self, slots: Sequence[Slot], clobbers: Sequence[int], popped: int, tail: int) -> Form:
        """The instruction of a call; its `extra` is the symbol (None: through the first register that is read that has
        no fixed place, or the convention's) and the handlers."""


class Conventions:
    """The conventions of an ISA. `allocatable`: every register that an allocator gives out."""

    def __init__(self, isa: str, parts: Parts, allocatable: Sequence[int]) -> None:
        self.isa: Final = isa
        self._parts: Final = parts
        self._allocatable: Final = frozenset(allocatable)

    def _where(self, low: Lowering, signature: Signature) -> Passed:
        more = low.settings.get("enable_llvm_abi_extensions") == "true"
        if any(param.purpose not in ("", "vmctx", "sret") for param in signature.params):
            raise Refused("an argument that is a structure")
        found = passed(self.isa, self._named(signature), more)
        if found is None:
            raise Refused(f"a signature of {signature.call_conv or 'fast'}")
        if any(part.copied for parts in (*found.arguments, *found.results) for part in parts):
            raise Refused("an argument that is copied")
        return found

    def enter(self, low: Lowering) -> None:
        """The function's parameters, from where its caller put them."""
        signature = low.function.signature
        where = self._where(low, signature)
        low.code.incoming = stack_bytes(self.isa, self._named(signature)) or 0
        slots: list[Slot] = []
        registers: list[int] = []
        loads: list[tuple[int, Part, AbiParam]] = []
        values = [value for value, _ in low.function.blocks[0].params]
        for value, param, parts in zip(values, signature.params, where.arguments, strict=True):
            mine = low.parameter(value)
            if mine is None:
                continue
            for register, part in zip(mine, parts, strict=True):
                if part.place >= 0:
                    slots.append(Slot(part.place >> 6, DEF, LATE, FIXED, part.place))
                    registers.append(register)
                else:
                    loads.append((register, part, param))
        if low.area >= 0:
            slots.append(Slot(0, DEF, LATE, FIXED, where.area))
            registers.append(low.area)
        if slots:
            low.emit(_arguments(tuple(slots)), tuple(registers))
        for register, part, _ in loads:
            cls = low.code.classes[register]
            low.same(register, self._parts.load(low, cls, part.size, INCOMING, part.offset))

    def leave(self, low: Lowering, values: Sequence[int]) -> None:
        """The results, to where the caller looks for them, and the return."""
        signature = low.function.signature
        where = self._where(low, signature)
        slots: list[Slot] = []
        registers: list[int] = []
        for value, param, parts in zip(values, signature.returns, where.results, strict=True):
            for register, part in zip(low.regs(value), parts, strict=True):
                register = self._extended(low, register, param, part, where)
                if part.place >= 0:
                    slots.append(Slot(part.place >> 6, USE, EARLY, FIXED, part.place))
                    registers.append(register)
                else:
                    if low.area < 0:
                        low.area = low.temp(0)
                    size = 8 if self._widened(param, part, where) else part.size
                    cls = low.code.classes[register] if register >= 0 else 0
                    self._parts.store(low, register, cls, size, BASE, part.offset, low.area)
        sret = next(
            (v for (v, _), p in zip(low.function.blocks[0].params, signature.params) if p.purpose == "sret"), -1
        )
        if sret >= 0 and not signature.returns:
            place = abi_named(self.isa).order[self._named(signature).call_conv].results[0][0]
            slots.append(Slot(0, USE, EARLY, FIXED, place))
            registers.append(low.reg(sret))
        low.emit(_return(tuple(slots)), tuple(registers))

    def call(self, low: Lowering, inst: Inst) -> Sequence[Sequence[int]]:
        """A call, with its arguments and results."""
        function = low.function
        indirect = "indirect" in inst.op
        number = inst.imm if indirect else function.func_refs[inst.imm].sig  # type: ignore[index]
        signature = function.signatures[number]  # type: ignore[index]
        tail = inst.op.startswith("return_call")
        where, abi = self._where(low, signature), abi_named(self.isa)
        kept = owed(self.isa, signature.call_conv or "fast")
        if kept is None:
            raise Refused(f"calls of {signature.call_conv}")
        size = stack_bytes(self.isa, self._named(signature)) or 0
        arguments = inst.args[1:] if indirect else inst.args
        area, start = (TAIL, -size) if tail else (OUTGOING, 0)
        uses: list[tuple[Slot, int]] = []
        stores = []
        for value, param, parts in zip(arguments, signature.params, where.arguments, strict=True):
            for register, part in zip(low.regs(value), parts, strict=True):
                register = self._extended(low, register, param, part, where)
                if part.place >= 0:
                    uses.append((Slot(part.place >> 6, USE, EARLY, FIXED, part.place), register))
                else:
                    width = 8 if self._widened(param, part, where) else part.size
                    stores.append((register, width, start + part.offset))
        if indirect:
            fixed = abi.tail_callee if tail else -1
            slot = Slot(0, USE, EARLY, FIXED, fixed) if fixed >= 0 else Slot(0, USE, EARLY, REG)
            uses.insert(0, (slot, low.reg(inst.args[0])))
        for register, width, offset in stores:
            self._parts.store(low, register, low.code.classes[register], width, area, offset)
        results: list[list[int]] = []
        defs: list[tuple[Slot, int]] = []
        loads: list[tuple[int, int, Part]] = []
        top = 0
        if not tail:
            for param, parts in zip(signature.returns, where.results, strict=True):
                classes = low.rules.classes(low, param.type)
                results.append([low.temp(cls) for cls in classes])
                for register, part in zip(results[-1], parts, strict=True):
                    if part.place >= 0:
                        defs.append((Slot(part.place >> 6, DEF, LATE, FIXED, part.place), register))
                    else:
                        loads.append((register, low.code.classes[register], part))
                        top = max(top, part.offset + max(part.size, 8))
            if where.area >= 0:
                at = self._parts.address(low, OUTGOING, size)
                uses.append((Slot(0, USE, EARLY, FIXED, where.area), at))
        elif where.area >= 0:
            if low.area < 0:
                low.area = low.temp(0)
            uses.append((Slot(0, USE, EARLY, FIXED, where.area), low.area))
        symbol = None if indirect else function.func_refs[inst.imm].name  # type: ignore[index]
        given = {slot.value for slot, _ in defs}
        lost = () if tail else tuple(sorted(p for p in self._allocatable if p not in given and not kept.bits.get(p)))
        slots = tuple(slot for slot, _ in (*defs, *uses))
        popped = size if kept.pops and not tail else 0
        form = self._form(slots, lost, popped, size if tail else -1)
        low.emit(form, tuple(register for _, register in (*defs, *uses)), (symbol, ()))
        code = low.code
        if tail:
            code.tail = max(code.tail, size)
            code.frame = True
        else:
            code.calls = True
            code.outgoing = max(code.outgoing, size + top)
        for register, cls, part in loads:
            low.same(register, self._parts.load(low, cls, part.size, OUTGOING, size + part.offset))
        return results

    @cache  # noqa: B019 - one object an ISA
    def _form(self, slots: tuple[Slot, ...], lost: tuple[int, ...], popped: int, tail: int) -> Form:
        return self._parts.call(slots, lost, popped, tail)

    def _named(self, signature: Signature) -> Signature:
        """The signature with the convention whose row says where its values are."""
        convention = signature.call_conv or "fast"
        if convention not in abi_named(self.isa).passing and owed(self.isa, convention) is not None:
            convention = "system_v"
        return signature._replace(call_conv=convention)

    def _widened(self, param: AbiParam, part: Part, where: Passed) -> bool:
        return where.extends and bool(param.extension) and not part.float and part.size < 8

    def _extended(self, low: Lowering, register: int, param: AbiParam, part: Part, where: Passed) -> int:
        if self._widened(param, part, where):
            return self._parts.extend(low, register, 8 * part.size, param.extension)
        return register


_arguments: Final = cache(Arguments)
_return: Final = cache(Return)
