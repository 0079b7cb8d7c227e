"""The one way to make IR by program: a builder that owns a function until `finish`.

The one idea: values are numbered in the order of their making and typed from the opcode table, so whatever the builder
makes parses back to an equal function. It checks nothing that `verify`
checks. The generator has its own, faster way (`generators.body`).
"""

from __future__ import annotations

from collections.abc import Sequence

from liftcheck.clif.ir import (
    NO_FLAGS,
    AbiParam,
    Block,
    BlockCall,
    FuncRef,
    Function,
    Inst,
    MemFlags,
    Signature,
    StackSlot,
)
from liftcheck.clif.opcodes import OPCODES
from liftcheck.clif.types import Type

_RESULTS = {name: opcode.result_types for name, opcode in OPCODES.items()}


def signature(params: Sequence[Type], returns: Sequence[Type], call_conv: str = "") -> Signature:
    """A signature without attributes."""
    return Signature(tuple(map(AbiParam, params)), tuple(map(AbiParam, returns)), call_conv)


class FunctionBuilder:
    """Builds one function. The entry block exists from the start, with one parameter for each of the signature's.

    `current` is the block that instructions go to; `params` of the entry are `entry_params`.
    """

    __slots__ = ("_insts", "_next", "current", "entry_params", "func", "types")

    def __init__(self, name: str, sig: Signature) -> None:
        self.func = Function(name, sig)
        self.types = self.func.types
        self._next = 0
        self.current = self.block(*(p.type for p in sig.params))
        self.entry_params = tuple(v for v, _ in self.current.params)
        self._insts = self.current.insts

    def block(self, *param_types: Type, cold: bool = False) -> Block:
        """A new block at the end of the layout."""
        block = Block(len(self.func.blocks), cold=cold)
        self.func.blocks.append(block)
        for ty in param_types:
            self.param(block, ty)
        return block

    def param(self, block: Block, ty: Type) -> int:
        """One more parameter of a block."""
        value = self._next
        self._next = value + 1
        self.types[value] = ty
        block.params.append((value, ty))
        return value

    def switch_to(self, block: Block) -> None:
        """Instructions go to the end of `block` from now on."""
        self.current = block
        self._insts = block.insts

    def ins(
        self, op: str, ty: Type | None, *args: int, imm: object = None, flags: MemFlags = NO_FLAGS, offset: int = 0
    ) -> int:
        """Append an instruction of an opcode with at most one result; gives the result's value number, or -1."""
        results = _RESULTS[op](ty)
        if not results:
            self._insts.append(Inst(op, ty, (), args, imm, flags, offset))
            return -1
        value = self._next
        self._next = value + 1
        self.types[value] = results[0]
        self._insts.append(Inst(op, ty, (value,), args, imm, flags, offset))
        return value

    def ins_many(self, op: str, ty: Type | None, *args: int, imm: object = None) -> tuple[int, ...]:
        """Like `ins`, for opcodes with several results (`isplit`, `uadd_overflow`, …)."""
        results = self._define(_RESULTS[op](ty))
        self._insts.append(Inst(op, ty, results, args, imm))
        return results

    def _define(self, kinds: Sequence[Type]) -> tuple[int, ...]:
        first = self._next
        self._next = first + len(kinds)
        results = tuple(range(first, self._next))
        self.types.update(zip(results, kinds))
        return results

    def iconst(self, ty: Type, number: int) -> int:
        """`iconst`; the number is reduced to the type's width (up to i64)."""
        return self.ins("iconst", ty, imm=number & ty.mask)

    def vconst(self, ty: Type, bits: int) -> int:
        """`vconst` or `f128const` of a bit pattern."""
        number = self.constant(bits.to_bytes(ty.bytes, "little"))
        return self.ins("vconst", ty, imm=number) if ty.is_vector else self.ins("f128const", None, imm=number)

    def jump(self, to: Block, *args: int | str) -> None:
        self._insts.append(Inst("jump", None, targets=(BlockCall(to.number, args),)))

    def brif(self, cond: int, then: Block, then_args: Sequence[int], other: Block, other_args: Sequence[int]) -> None:
        targets = (BlockCall(then.number, tuple(then_args)), BlockCall(other.number, tuple(other_args)))
        self._insts.append(Inst("brif", self.types[cond], (), (cond,), targets=targets))

    def ret(self, *values: int) -> None:
        self._insts.append(Inst("return", None, (), values))

    def call(self, ref: int, *args: int) -> tuple[int, ...]:
        """A direct call through function reference `ref`; its results."""
        sig = self.func.signatures[self.func.func_refs[ref].sig]
        results = self._define([p.type for p in sig.returns])
        self._insts.append(Inst("call", None, results, args, ref))
        return results

    def signature(self, sig: Signature) -> int:
        """The number of a signature, declared once."""
        for number, known in self.func.signatures.items():
            if known == sig:
                return number
        number = len(self.func.signatures)
        self.func.signatures[number] = sig
        return number

    def func_ref(self, name: str, sig: Signature, colocated: bool = False) -> int:
        """The number of a function reference, declared once."""
        ref = FuncRef(name, self.signature(sig), colocated)
        for number, known in self.func.func_refs.items():
            if known == ref:
                return number
        number = len(self.func.func_refs)
        self.func.func_refs[number] = ref
        return number

    def stack_slot(self, size: int, align: int = 1) -> int:
        number = len(self.func.stack_slots)
        self.func.stack_slots[number] = StackSlot(size, align)
        return number

    def constant(self, data: bytes) -> int:
        """The number of a pool constant, declared once."""
        for number, known in self.func.constants.items():
            if known == data:
                return number
        number = len(self.func.constants)
        self.func.constants[number] = data
        return number

    def finish(self) -> Function:
        """The function; the builder must not be used afterwards."""
        return self.func
