"""Reads what follows an opcode: one function for each instruction format, all in one table.

The one idea: a format's function consumes the operands and returns the finished record except for its results and line,
so that the parser's loop is the same for every opcode. What the pieces are that operands are made of: `operands`.
Sources: cranelift-reader 0.135 `parse_inst_operands`; 0.130 for the older dialect's formats.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from liftcheck.clif.formats import ATOMIC_OPERATIONS, FLOAT_CONDITIONS, INT_CONDITIONS
from liftcheck.clif.ir import NO_FLAGS, Function, Inst
from liftcheck.clif.opcodes import Opcode
from liftcheck.clif.text import literals
from liftcheck.clif.text.lexer import Cursor
from liftcheck.clif.text.operands import (
    DYNAMIC_SLOT,
    block_call,
    block_number,
    call_args,
    constant_data,
    declared,
    exception_table,
    memflags,
    optional_offset,
    pair,
    pool,
    take_trap_code,
    value_list,
)
from liftcheck.clif.types import TYPES, Type

_INT_CONDITIONS: Final = frozenset(INT_CONDITIONS)
_FLOAT_CONDITIONS: Final = frozenset(FLOAT_CONDITIONS)

Reader = Callable[[Cursor, Function, Opcode, "Type | None"], Inst]


# One function a format


def _nullary(p: Cursor, func: Function, op: Opcode, ty: Type | None) -> Inst:
    return Inst(op.name, ty)


def _unary(p: Cursor, func: Function, op: Opcode, ty: Type | None) -> Inst:
    return Inst(op.name, ty, (), (p.value("an operand"),))


def _unary_imm(p: Cursor, func: Function, op: Opcode, ty: Type | None) -> Inst:
    if ty is None or ty.name not in ("i8", "i16", "i32", "i64"):
        p.fail(f"{op.name} needs one of the types i8, i16, i32, i64")
    bits = ty.bits
    if bits == 64:
        return Inst(op.name, ty, (), (), p.number(literals.imm64, "a 64-bit number") & ty.mask)
    return Inst(op.name, ty, (), (), p.number(lambda t: literals.immediate(t, bits), f"a {bits}-bit number"))


def _unary_ieee(bits: int) -> Reader:
    def read(p: Cursor, func: Function, op: Opcode, ty: Type | None) -> Inst:
        return Inst(op.name, ty, (), (), p.float(bits, f"a {bits}-bit float"))

    return read


def _unary_const(p: Cursor, func: Function, op: Opcode, ty: Type | None) -> Inst:
    if p.entity_number(p.tokens[p.index], "const") is not None:
        return Inst(op.name, ty, (), (), declared(p, func.constants, "const", "a constant"))
    if op.name == "f128const":
        data = p.float(128, "a 128-bit float").to_bytes(16, "little")
    elif ty is None:
        p.fail(f"{op.name} needs a constant (const«n») or a type, e.g. {op.name}.i32x4 [1 2 3 4]")
    else:
        data = constant_data(p, ty)
    return Inst(op.name, ty, (), (), pool(p, func, data))


def _unary_global(p: Cursor, func: Function, op: Opcode, ty: Type | None) -> Inst:
    return Inst(op.name, ty, (), (), declared(p, func.globals, "gv", "a global value"))


def _binary(p: Cursor, func: Function, op: Opcode, ty: Type | None) -> Inst:
    return Inst(op.name, ty, (), pair(p))


def _binary_imm8(p: Cursor, func: Function, op: Opcode, ty: Type | None) -> Inst:
    arg = p.value("the first operand")
    p.take(",", "between operands")
    return Inst(op.name, ty, (), (arg,), p.number(_uimm8, "an 8-bit number"))


def _uimm8(text: str) -> int:
    return literals.unsigned(text.removeprefix("+"), 8)


def _binary_imm64(p: Cursor, func: Function, op: Opcode, ty: Type | None) -> Inst:
    arg = p.value("the first operand")
    p.take(",", "between operands")
    return Inst(op.name, ty, (), (arg,), p.number(literals.imm64, "a number"))


def _ternary(p: Cursor, func: Function, op: Opcode, ty: Type | None) -> Inst:
    first, second = pair(p)
    p.take(",", "between operands")
    return Inst(op.name, ty, (), (first, second, p.value("the third operand")))


def _ternary_imm8(p: Cursor, func: Function, op: Opcode, ty: Type | None) -> Inst:
    args = pair(p)
    p.take(",", "between operands")
    return Inst(op.name, ty, (), args, p.number(_uimm8, "an 8-bit number"))


def _multiary(p: Cursor, func: Function, op: Opcode, ty: Type | None) -> Inst:
    return Inst(op.name, ty, (), value_list(p))


def _shuffle(p: Cursor, func: Function, op: Opcode, ty: Type | None) -> Inst:
    args = pair(p)
    p.take(",", "between operands")
    return Inst(op.name, ty, (), args, tuple(constant_data(p, TYPES["i8x16"])))


def _int_compare(p: Cursor, func: Function, op: Opcode, ty: Type | None) -> Inst:
    condition = p.one_of(_INT_CONDITIONS, "an integer condition")
    return Inst(op.name, ty, (), pair(p), condition)


def _int_compare_imm(p: Cursor, func: Function, op: Opcode, ty: Type | None) -> Inst:
    condition = p.one_of(_INT_CONDITIONS, "an integer condition")
    arg = p.value("the first operand")
    p.take(",", "between operands")
    return Inst(op.name, ty, (), (arg,), (condition, p.number(literals.imm64, "a number")))


def _float_compare(p: Cursor, func: Function, op: Opcode, ty: Type | None) -> Inst:
    condition = p.one_of(_FLOAT_CONDITIONS, "a float condition")
    return Inst(op.name, ty, (), pair(p), condition)


def _int_add_trap(p: Cursor, func: Function, op: Opcode, ty: Type | None) -> Inst:
    args = pair(p)
    p.take(",", "between operands")
    return Inst(op.name, ty, (), args, take_trap_code(p))


def _trap(p: Cursor, func: Function, op: Opcode, ty: Type | None) -> Inst:
    return Inst(op.name, ty, (), (), take_trap_code(p))


def _cond_trap(p: Cursor, func: Function, op: Opcode, ty: Type | None) -> Inst:
    arg = p.value("the condition")
    p.take(",", "between operands")
    return Inst(op.name, ty, (), (arg,), take_trap_code(p))


def _jump(p: Cursor, func: Function, op: Opcode, ty: Type | None) -> Inst:
    return Inst(op.name, ty, targets=(block_call(p),))


def _brif(p: Cursor, func: Function, op: Opcode, ty: Type | None) -> Inst:
    arg = p.value("the condition")
    p.take(",", "between operands")
    then = block_call(p)
    p.take(",", "between operands")
    return Inst(op.name, ty, (), (arg,), targets=(then, block_call(p)))


def _branch_table(p: Cursor, func: Function, op: Opcode, ty: Type | None) -> Inst:
    arg = p.value("the index")
    p.take(",", "between operands")
    targets = [block_call(p)]
    p.take(",", "between operands")
    p.take("[", "before the jump table")
    if p.tokens[p.index] != "]":
        targets.append(block_call(p))
        while p.optional(","):
            targets.append(block_call(p))
    p.take("]", "after the jump table")
    return Inst(op.name, ty, (), (arg,), targets=tuple(targets))


def _call(p: Cursor, func: Function, op: Opcode, ty: Type | None) -> Inst:
    ref = declared(p, func.func_refs, "fn", "a function")
    return Inst(op.name, ty, (), call_args(p), ref)


def _call_indirect(p: Cursor, func: Function, op: Opcode, ty: Type | None) -> Inst:
    sig = declared(p, func.signatures, "sig", "a signature")
    p.take(",", "between operands")
    callee = p.value("the callee")
    return Inst(op.name, ty, (), (callee, *call_args(p)), sig)


def _try_call(p: Cursor, func: Function, op: Opcode, ty: Type | None) -> Inst:
    ref = declared(p, func.func_refs, "fn", "a function")
    args = call_args(p)
    p.take(",", "after the arguments")
    return Inst(op.name, ty, (), args, ref, table=exception_table(p, func))


def _try_call_indirect(p: Cursor, func: Function, op: Opcode, ty: Type | None) -> Inst:
    callee = p.value("the callee")
    args = call_args(p)
    p.take(",", "after the arguments")
    return Inst(op.name, ty, (), (callee, *args), table=exception_table(p, func))


def _func_addr(p: Cursor, func: Function, op: Opcode, ty: Type | None) -> Inst:
    return Inst(op.name, ty, (), (), declared(p, func.func_refs, "fn", "a function"))


def _atomic_rmw(p: Cursor, func: Function, op: Opcode, ty: Type | None) -> Inst:
    flags = memflags(p)
    operation = p.one_of(ATOMIC_OPERATIONS, "an atomic operation")
    return Inst(op.name, ty, (), pair(p), operation, flags)


def _atomic_cas(p: Cursor, func: Function, op: Opcode, ty: Type | None) -> Inst:
    flags = memflags(p)
    first, second = pair(p)
    p.take(",", "between operands")
    return Inst(op.name, ty, (), (first, second, p.value("the replacement")), None, flags)


def _load(p: Cursor, func: Function, op: Opcode, ty: Type | None) -> Inst:
    flags = memflags(p)
    address = p.value("an address")
    return Inst(op.name, ty, (), (address,), None, flags, optional_offset(p))


def _load_no_offset(p: Cursor, func: Function, op: Opcode, ty: Type | None) -> Inst:
    flags = memflags(p)
    return Inst(op.name, ty, (), (p.value("an operand"),), None, flags)


def _store(p: Cursor, func: Function, op: Opcode, ty: Type | None) -> Inst:
    flags = memflags(p)
    args = pair(p)
    return Inst(op.name, ty, (), args, None, flags, optional_offset(p))


def _store_no_offset(p: Cursor, func: Function, op: Opcode, ty: Type | None) -> Inst:
    flags = memflags(p)
    return Inst(op.name, ty, (), pair(p), None, flags)


def _stack_addr(p: Cursor, func: Function, op: Opcode, ty: Type | None) -> Inst:
    slot = declared(p, func.stack_slots, "ss", "a stack slot")
    return Inst(op.name, ty, (), (), slot, NO_FLAGS, optional_offset(p))


def _stack_store(p: Cursor, func: Function, op: Opcode, ty: Type | None) -> Inst:
    arg = p.value("an operand")
    p.take(",", "between operands")
    slot = declared(p, func.stack_slots, "ss", "a stack slot")
    return Inst(op.name, ty, (), (arg,), slot, NO_FLAGS, optional_offset(p))


def _dynamic_slot(p: Cursor, func: Function, op: Opcode, ty: Type | None) -> Inst:
    """`dynamic_stack_load.dt0 dss0`, `dynamic_stack_store v0, dss0`: the slot is one of `Function.stack_slots`."""
    args: tuple[int, ...] = ()
    if op.name == "dynamic_stack_store":
        args = (p.value("an operand"),)
        p.take(",", "between operands")
    number = p.entity("dss", "a dynamic stack slot") + DYNAMIC_SLOT
    if number not in func.stack_slots:
        p.fail(f"undefined dynamic stack slot dss{number - DYNAMIC_SLOT}", p.index - 1)
    return Inst(op.name, ty, (), args, number)


def _handler_address(p: Cursor, func: Function, op: Opcode, ty: Type | None) -> Inst:
    block = block_number(p)
    p.take(",", "between operands")
    return Inst(op.name, ty, (), (), (block, p.number(literals.imm64, "a handler's index")))


READERS: Final[dict[str, Reader]] = {
    "NullAry": _nullary, "Unary": _unary, "UnaryImm": _unary_imm, "UnaryIeee16": _unary_ieee(16),
    "UnaryIeee32": _unary_ieee(32), "UnaryIeee64": _unary_ieee(64), "UnaryConst": _unary_const,
    "UnaryGlobalValue": _unary_global, "Binary": _binary, "BinaryImm8": _binary_imm8, "BinaryImm64": _binary_imm64,
    "Ternary": _ternary, "TernaryImm8": _ternary_imm8, "MultiAry": _multiary, "Shuffle": _shuffle,
    "IntCompare": _int_compare, "IntCompareImm": _int_compare_imm, "FloatCompare": _float_compare,
    "IntAddTrap": _int_add_trap, "Trap": _trap, "CondTrap": _cond_trap, "Jump": _jump, "Brif": _brif,
    "BranchTable": _branch_table, "Call": _call, "CallIndirect": _call_indirect, "TryCall": _try_call,
    "TryCallIndirect": _try_call_indirect, "FuncAddr": _func_addr, "AtomicRmw": _atomic_rmw, "AtomicCas": _atomic_cas,
    "Load": _load, "LoadNoOffset": _load_no_offset, "Store": _store, "StoreNoOffset": _store_no_offset,
    "StackAddr": _stack_addr, "StackLoad": _stack_addr, "StackStore": _stack_store,
    "ExceptionHandlerAddress": _handler_address,
    "DynamicStackAddr": _dynamic_slot, "DynamicStackLoad": _dynamic_slot, "DynamicStackStore": _dynamic_slot,
}  # fmt: skip
"""By format name."""
