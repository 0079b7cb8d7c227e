"""Reads what follows an opcode: one function for each instruction format, all in one table.

The one idea: a format's function consumes the operands and returns the finished record except for its results and line,
so that the parser's loop is the same for every opcode. References to entities must be declared before their use, values
need not be (the parser checks them when the function is read).
Sources: cranelift-reader 0.135 `parse_inst_operands`, `optional_memflags`, `parse_exception_table`; 0.130 for the older
dialect's formats, flags (`heap table vmctx`, and `checked`, which is read and dropped) and trap codes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from liftcheck.clif.formats import ATOMIC_OPERATIONS, FLOAT_CONDITIONS, INT_CONDITIONS, TRAP_CODES, trap_code
from liftcheck.clif.ir import NO_FLAGS, BlockCall, ExceptionTable, Function, Inst, MemFlags
from liftcheck.clif.opcodes import Opcode
from liftcheck.clif.text import literals
from liftcheck.clif.text.lexer import Cursor
from liftcheck.clif.types import TYPES, Type

_INT_CONDITIONS: Final = frozenset(INT_CONDITIONS)
_FLOAT_CONDITIONS: Final = frozenset(FLOAT_CONDITIONS)

DYNAMIC_SLOT: Final = 1_000_000
"""What is added to a dynamic stack slot's number among the stack slots."""

Reader = Callable[[Cursor, Function, Opcode, "Type | None"], Inst]


def _take_trap_code(p: Cursor) -> str:
    code = trap_code(p.tokens[p.index])
    if code is None:
        p.fail(f"expected a trap code ({', '.join(TRAP_CODES)}, user1 to user250), found {p.found()}")
    p.index += 1
    return code


def memflags(p: Cursor) -> MemFlags:
    """A possibly empty sequence of memory flags."""
    flags = NO_FLAGS
    while p.tokens[p.index] not in p.values:
        changed = _with_flag(p, flags, p.tokens[p.index])
        if changed is None:
            break
        flags = changed
        p.index += 1
    return flags


def _with_flag(p: Cursor, flags: MemFlags, name: str) -> MemFlags | None:
    if name == "aligned":
        return flags._replace(aligned=True)
    if name == "readonly":
        return flags._replace(readonly=True)
    if name == "can_move":
        return flags._replace(can_move=True)
    if name in ("little", "big"):
        if flags.endianness not in ("", name):
            p.fail("an access cannot be both big and little endian")
        return flags._replace(endianness=name)
    if name in ("heap", "table", "vmctx") or p.entity_number(name, "region") is not None:
        if flags.region:
            p.fail("an access cannot have more than one alias region")
        return flags._replace(region=name)
    if name == "checked":
        return flags
    code = "" if name == "notrap" else trap_code(name)
    return None if code is None else flags._replace(trap=None if code == "heap_oob" else code)


def optional_offset(p: Cursor) -> int:
    """`+8`, `-0x10` or nothing."""
    token = p.tokens[p.index]
    if token[:1] not in ("+", "-") or len(token) < 2 or token == "->":
        return 0
    return p.number(literals.offset32, "an offset")


def block_number(p: Cursor) -> int:
    return p.entity("block", "a block")


def block_call(p: Cursor) -> BlockCall:
    """`block3`, `block3(v1, v2)`; arguments of `try_call` edges are texts ('ret0', 'exn1')."""
    number = block_number(p)
    if p.tokens[p.index] != "(":
        return BlockCall(number)
    p.index += 1
    args: list[int | str] = []
    while p.tokens[p.index] != ")":
        args.append(_block_argument(p))
        if not p.optional(","):
            break
    p.take(")", "after block arguments")
    return BlockCall(number, tuple(args))


def _block_argument(p: Cursor) -> int | str:
    token = p.tokens[p.index]
    if token[0:1] in ("r", "e") and (
        p.entity_number(token, "ret") is not None or p.entity_number(token, "exn") is not None
    ):
        p.index += 1
        return token
    return p.value("a block argument")


def _values(p: Cursor) -> tuple[int, ...]:
    """Comma-separated values, maybe none."""
    if not p.at_value():
        return ()
    found = [p.value()]
    while p.optional(","):
        found.append(p.value("a value in the argument list"))
    return tuple(found)


def _call_args(p: Cursor) -> tuple[int, ...]:
    p.take("(", "before arguments")
    args = _values(p)
    p.take(")", "after arguments")
    return args


def _pair(p: Cursor) -> tuple[int, int]:
    first = p.value("the first operand")
    p.take(",", "between operands")
    return first, p.value("the second operand")


def declared(p: Cursor, table: Mapping[int, object], prefix: str, what: str) -> int:
    """A reference to an entity that the preamble has declared."""
    number = p.entity(prefix, what)
    if number not in table:
        p.fail(f"undefined {what.split(' ', 1)[1]} {prefix}{number}", p.index - 1)
    return number


def exception_table(p: Cursor, func: Function) -> ExceptionTable:
    """`sig0, block1(ret0), [ tag0: block2(exn0), context v1, default: block3 ]`"""
    sig = declared(p, func.signatures, "sig", "a signature")
    p.take(",", "after the signature")
    normal = block_call(p)
    p.take(",", "after the normal-return destination")
    p.take("[", "before the exception table")
    items: list[tuple[object, ...]] = []
    while p.tokens[p.index] != "]":
        items.append(_table_item(p))
        if not p.optional(","):
            break
    p.take("]", "after the exception table")
    return ExceptionTable(sig, normal, tuple(items))


def _table_item(p: Cursor) -> tuple[object, ...]:
    if p.optional("context"):
        return ("context", p.value("a context value"))
    if p.optional("default"):
        p.take(":", "after 'default'")
        return ("default", block_call(p))
    tag = p.entity("tag", "an exception tag, 'default' or 'context'")
    p.take(":", "after the exception tag")
    return ("tag", tag, block_call(p))


def constant_data(p: Cursor, ty: Type) -> bytes:
    """`0x…` (padded to the type) or `[1 2 3 4]`: bytes in memory order."""
    if not p.optional("["):
        data = p.number(literals.constant, "a hexadecimal constant")
        if len(data) > ty.bytes:
            p.fail(f"the constant has more than {ty.bytes} bytes", p.index - 1)
        return data.ljust(ty.bytes, b"\0")
    if not ty.is_vector or ty.lane_bits == 128:
        p.fail(f"a list of lanes needs a vector type with lanes up to 64 bits, not {ty.name}")
    lanes = [_lane(p, ty) for _ in range(ty.lanes)]
    p.take("]", f"after {ty.lanes} lanes")
    return b"".join(lane.to_bytes(ty.lane_bits // 8, "little") for lane in lanes)


def _lane(p: Cursor, ty: Type) -> int:
    bits = ty.lane_bits
    if ty.is_float:
        return p.float(bits, f"a {bits}-bit float")
    if bits == 64:
        return p.number(literals.imm64, "a 64-bit integer") & ty.lane_mask
    return p.number(lambda text: literals.immediate(text, bits), f"a {bits}-bit integer")


def pool(p: Cursor, func: Function, data: bytes) -> int:
    """The number of a constant in the function's pool, put there if it is new."""
    number = p.declared.constants.get(data)
    if number is None:
        number = p.declared.next.get("const", 0)
        new_constant(p, func, number, data)
    return number


def new_constant(p: Cursor, func: Function, number: int, data: bytes) -> None:
    """Constant `number` is `data`."""
    func.constants[number] = data
    p.declared.take("const", number)
    p.declared.constants.setdefault(data, number)


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
    return Inst(op.name, ty, (), _pair(p))


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
    first, second = _pair(p)
    p.take(",", "between operands")
    return Inst(op.name, ty, (), (first, second, p.value("the third operand")))


def _ternary_imm8(p: Cursor, func: Function, op: Opcode, ty: Type | None) -> Inst:
    args = _pair(p)
    p.take(",", "between operands")
    return Inst(op.name, ty, (), args, p.number(_uimm8, "an 8-bit number"))


def _multiary(p: Cursor, func: Function, op: Opcode, ty: Type | None) -> Inst:
    return Inst(op.name, ty, (), _values(p))


def _shuffle(p: Cursor, func: Function, op: Opcode, ty: Type | None) -> Inst:
    args = _pair(p)
    p.take(",", "between operands")
    return Inst(op.name, ty, (), args, tuple(constant_data(p, TYPES["i8x16"])))


def _int_compare(p: Cursor, func: Function, op: Opcode, ty: Type | None) -> Inst:
    condition = p.one_of(_INT_CONDITIONS, "an integer condition")
    return Inst(op.name, ty, (), _pair(p), condition)


def _int_compare_imm(p: Cursor, func: Function, op: Opcode, ty: Type | None) -> Inst:
    condition = p.one_of(_INT_CONDITIONS, "an integer condition")
    arg = p.value("the first operand")
    p.take(",", "between operands")
    return Inst(op.name, ty, (), (arg,), (condition, p.number(literals.imm64, "a number")))


def _float_compare(p: Cursor, func: Function, op: Opcode, ty: Type | None) -> Inst:
    condition = p.one_of(_FLOAT_CONDITIONS, "a float condition")
    return Inst(op.name, ty, (), _pair(p), condition)


def _int_add_trap(p: Cursor, func: Function, op: Opcode, ty: Type | None) -> Inst:
    args = _pair(p)
    p.take(",", "between operands")
    return Inst(op.name, ty, (), args, _take_trap_code(p))


def _trap(p: Cursor, func: Function, op: Opcode, ty: Type | None) -> Inst:
    return Inst(op.name, ty, (), (), _take_trap_code(p))


def _cond_trap(p: Cursor, func: Function, op: Opcode, ty: Type | None) -> Inst:
    arg = p.value("the condition")
    p.take(",", "between operands")
    return Inst(op.name, ty, (), (arg,), _take_trap_code(p))


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
    return Inst(op.name, ty, (), _call_args(p), ref)


def _call_indirect(p: Cursor, func: Function, op: Opcode, ty: Type | None) -> Inst:
    sig = declared(p, func.signatures, "sig", "a signature")
    p.take(",", "between operands")
    callee = p.value("the callee")
    return Inst(op.name, ty, (), (callee, *_call_args(p)), sig)


def _try_call(p: Cursor, func: Function, op: Opcode, ty: Type | None) -> Inst:
    ref = declared(p, func.func_refs, "fn", "a function")
    args = _call_args(p)
    p.take(",", "after the arguments")
    return Inst(op.name, ty, (), args, ref, table=exception_table(p, func))


def _try_call_indirect(p: Cursor, func: Function, op: Opcode, ty: Type | None) -> Inst:
    callee = p.value("the callee")
    args = _call_args(p)
    p.take(",", "after the arguments")
    return Inst(op.name, ty, (), (callee, *args), table=exception_table(p, func))


def _func_addr(p: Cursor, func: Function, op: Opcode, ty: Type | None) -> Inst:
    return Inst(op.name, ty, (), (), declared(p, func.func_refs, "fn", "a function"))


def _atomic_rmw(p: Cursor, func: Function, op: Opcode, ty: Type | None) -> Inst:
    flags = memflags(p)
    operation = p.one_of(ATOMIC_OPERATIONS, "an atomic operation")
    return Inst(op.name, ty, (), _pair(p), operation, flags)


def _atomic_cas(p: Cursor, func: Function, op: Opcode, ty: Type | None) -> Inst:
    flags = memflags(p)
    first, second = _pair(p)
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
    args = _pair(p)
    return Inst(op.name, ty, (), args, None, flags, optional_offset(p))


def _store_no_offset(p: Cursor, func: Function, op: Opcode, ty: Type | None) -> Inst:
    flags = memflags(p)
    return Inst(op.name, ty, (), _pair(p), None, flags)


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
