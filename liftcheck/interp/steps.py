"""Translation of instructions other than terminators: to steps, that is recipes applied to registers.

The one idea: an opcode with a meaning is one recipe on its registers; the table `TRANSLATORS` names the others:
constants (no step at all: they are in the register list from the start), memory, addresses, and what is refused by
name. Values are numbered densely per function on first mention. Both tiers of the interpreter use the same steps.

Addresses of functions and routines are opaque numbers here, unique and unlike any data.
Sources: cranelift-codegen-meta's documentation of each instruction.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from typing import Final

from liftcheck import layout
from liftcheck.clif.ir import Function, Inst, MemFlags
from liftcheck.clif.opcodes import LOADS, OF_CONSTANT, OPCODES, STORES, Access
from liftcheck.clif.types import I64, Type
from liftcheck.errors import InternalError, Unsupported
from liftcheck.interp import recipes
from liftcheck.interp.code import FUNCTION_STRIDE, AccessKind, Code, Step
from liftcheck.interp.memory import shape_of
from liftcheck.interp.recipes import Run, plain, pure

RETURN_ADDRESS: Final = layout.STUB
HANDLERS: Final = layout.CODE + layout.CODE_SIZE // 4 * 3
"""Opaque addresses of the caller, of exception handlers."""

SP: Final = ("sp",)


@lru_cache(maxsize=8192)
def access(what: AccessKind, big_endian: bool) -> tuple[Run, str]:
    """What a plain `load` or `store` does, and its trap code."""
    op, ty, flags, on_stack, offset = what
    big = big_endian if not flags.endianness else flags.endianness == "big"
    misaligned = recipes.MISALIGNED if flags.aligned else ""
    shape = shape_of(ty, big)
    made = (
        recipes.load(shape, None, on_stack, offset, misaligned)
        if OPCODES[op].can_load
        else recipes.store(shape, False, on_stack, offset, misaligned)
    )
    return made.run, recipes.trap_of(flags)


class Registers(dict[object, int]):
    """Numbers registers on first mention, the entry's parameters first. Keys are values, or tuples for registers that
    hold none. The usual case is `dense`: the values are 0 … n-1, the parameters the first of them, there are no
    aliases; then a value's register has the value's number, and `of` need not look."""

    def __init__(self, function: Function) -> None:
        super().__init__()
        self.aliases = function.aliases
        params, types = [v for v, _ in function.blocks[0].params], function.types
        self.dense = (
            not self.aliases and max(types, default=-1) == len(types) - 1 and params == list(range(len(params)))
        )
        self.count = len(types) if self.dense else 0
        if not self.dense:
            for value in params:
                self[value]

    def of(self, values: tuple[int, ...]) -> tuple[int, ...]:
        """The registers of some values."""
        return values if self.dense else tuple([self[value] for value in values])

    def __missing__(self, key: object) -> int:
        if self.dense and isinstance(key, int):
            number = key
        elif key in self.aliases:
            return self._alias(key)
        else:
            number = self.count
            self.count += 1
        self[key] = number
        return number

    def _alias(self, key: object) -> int:
        """The register of what an alias stands for, at the end of a chain of any length."""
        path: dict[object, None] = {}
        while isinstance(key, int) and key in self.aliases and key not in self and key not in path:
            path[key] = None
            key = self.aliases[key]
        number = self[key]
        self.update(dict.fromkeys(path, number))
        return number


class Translator:
    """Turns instructions other than terminators into steps; both tiers use it."""

    def __init__(self, code: Code) -> None:
        self.code = code
        self.function = code.function
        self.memory = code.program.memory
        self.big_endian = code.program.big_endian
        self.types: dict[int, Type] = code.function.types
        self.reg = Registers(code.function)
        self.constants: dict[int, int] = {}
        self.on_stack: set[int] = set()
        if code.function.aliases:
            self._type_aliases(code.function.aliases)

    def _type_aliases(self, aliases: dict[int, int]) -> None:
        self.types = dict(self.types)
        for alias in aliases:
            path: dict[int, None] = {}
            while alias not in self.types and alias in aliases and alias not in path:
                path[alias] = None
                alias = aliases[alias]
            if alias in self.types:
                self.types.update(dict.fromkeys(path, self.types[alias]))

    def translate(self, inst: Inst) -> list[Step]:
        """The steps of one instruction."""
        special = TRANSLATORS.get(inst.op)
        if special is not None:
            return special(self, inst)
        try:
            recipe = pure(inst.op, inst.type, inst.imm, *map(self.types.__getitem__, inst.args))
        except Unsupported as missing:
            return self.refuse(missing.reason)
        return [(recipe, (), self.reg.of(inst.results), self.reg.of(inst.args))]

    # Constants and addresses.

    def constant(self, value: int) -> int:
        """A register that holds a number from the start."""
        register = self.reg["constant", value]
        self.constants[register] = value
        return register

    def number(self, inst: Inst, value: int) -> list[Step]:
        """An instruction whose result is known: no step at all."""
        self.constants[self.reg.of(inst.results)[0]] = value
        return []

    def refuse(self, reason: str) -> list[Step]:
        """A step that refuses when it is reached."""
        return [(recipes.refusing(), (reason,), (), ())]

    def big(self, flags: MemFlags) -> bool:
        """Whether an access is big-endian."""
        return self.big_endian if not flags.endianness else flags.endianness == "big"

    def load(self, out: int, address: int, type_: Type, wider: Type | None, inst: Inst, on_stack: bool) -> Step:
        flags = inst.flags
        misaligned = recipes.MISALIGNED if flags.aligned else ""
        shape = shape_of(type_, self.big(flags))
        recipe = recipes.load(shape, wider, on_stack, inst.offset != 0, misaligned)
        return (recipe, self._extras(inst), (out,), (address,))

    def store(self, value: int, address: int, type_: Type, narrows: bool, inst: Inst, on_stack: bool) -> Step:
        flags = inst.flags
        misaligned = recipes.MISALIGNED if flags.aligned else ""
        shape = shape_of(type_, self.big(flags))
        recipe = recipes.store(shape, narrows, on_stack, inst.offset != 0, misaligned)
        return (recipe, self._extras(inst), (), (value, address))

    def _extras(self, inst: Inst) -> tuple[object, ...]:
        code = recipes.trap_of(inst.flags)
        return (self.memory, inst.offset, code) if inst.offset else (self.memory, code)

    def slot_address(self, out: int, slot: int, offset: int, type_: Type = I64) -> Step:
        """The address of a byte of a stack slot."""
        template = "{d0} = {a0} + {k0}" if type_ is I64 else f"{{d0}} = {{a0}} + {{k0}} & {type_.mask}"
        return (plain(template, 1, 1, 1), (self.code.slots[slot] + offset,), (out,), (self.reg[SP],))

    def address(self, out: int, name: str, offset: int, type_: Type) -> list[Step]:
        """The address of a function, a routine or a symbol: a number."""
        self.constants[out] = self.code.program.address_of(name) + offset & type_.mask
        return []


def _iconst(low: Translator, inst: Inst) -> list[Step]:
    assert isinstance(inst.imm, int) and inst.type is not None
    return low.number(inst, inst.imm & inst.type.mask)


def _fconst(low: Translator, inst: Inst) -> list[Step]:
    assert isinstance(inst.imm, int)
    return low.number(inst, inst.imm)


def _pool_constant(low: Translator, inst: Inst) -> list[Step]:
    return low.number(inst, int.from_bytes(low.function.constants[inst.imm], "little"))  # type: ignore[index]


def _nop(low: Translator, inst: Inst) -> list[Step]:
    return []


def _access(inst: Inst) -> Access:
    access = OPCODES[inst.op].access
    if access is None:
        raise InternalError(f"{inst.op} accesses no memory: see its row in liftcheck/clif/opcodes.py")
    return access


def _load(low: Translator, inst: Inst) -> list[Step]:
    access, address, out = _access(inst), inst.args[0], inst.results[0]
    loaded = access.type_in_memory(low.types[out])
    if loaded.is_vector and access.extension:
        return _vector_load(low, inst, loaded, access.extension)
    wider = low.types[out] if access.extension == "s" else None
    return [low.load(low.reg[out], low.reg[address], loaded, wider, inst, address in low.on_stack)]


def _store(low: Translator, inst: Inst) -> list[Step]:
    access, (value, address) = _access(inst), inst.args
    ty, narrow = access.type_in_memory(low.types[value]), access.ty is not None
    return [low.store(low.reg[value], low.reg[address], ty, narrow, inst, address in low.on_stack)]


def _vector_load(low: Translator, inst: Inst, loaded: Type, extension: str) -> list[Step]:
    """`uload8x8` and similar: half a vector is loaded and its lanes extended."""
    half, address, whole = low.reg["half", id(inst)], inst.args[0], loaded.vector(loaded.lanes * 2)
    widen = pure(_WIDENS[extension], whole, None, whole)
    load = low.load(half, low.reg[address], loaded, None, inst, address in low.on_stack)
    return [load, (widen, (), (low.reg[inst.results[0]],), (half,))]


_WIDENS: Final = {"u": "uwiden_low", "s": "swiden_low"}


def _stack_addr(low: Translator, inst: Inst) -> list[Step]:
    if inst.type is I64:
        low.on_stack.update(inst.results)
    else:
        low.memory.short = True
    return [low.slot_address(low.reg[inst.results[0]], inst.imm, inst.offset, inst.type or I64)]  # type: ignore[arg-type]


def _stack_access(low: Translator, inst: Inst) -> list[Step]:
    """`stack_load` and `stack_store` of the old dialect."""
    address = low.reg["slot", inst.imm, inst.offset]
    first = low.slot_address(address, inst.imm, inst.offset)  # type: ignore[arg-type]
    plainly = Inst(inst.op, inst.type)
    assert inst.type is not None
    if inst.op == "stack_load":
        return [first, low.load(low.reg[inst.results[0]], address, inst.type, None, plainly, True)]
    return [first, low.store(low.reg[inst.args[0]], address, inst.type, False, plainly, True)]


def _func_addr(low: Translator, inst: Inst) -> list[Step]:
    name = low.function.func_refs[inst.imm].name  # type: ignore[index]
    assert inst.type is not None
    low.memory.short |= inst.type is not I64
    return low.address(low.reg.of(inst.results)[0], name, 0, inst.type)


def _atomic(low: Translator, inst: Inst) -> list[Step]:
    assert inst.type is not None
    recipe = recipes.atomic(inst.op, str(inst.imm), inst.type, low.big(inst.flags))
    return [(recipe, (low.memory, recipes.trap_of(inst.flags)), low.reg.of(inst.results), low.reg.of(inst.args))]


def _bitcast(low: Translator, inst: Inst) -> list[Step]:
    source = low.types[inst.args[0]]
    assert inst.type is not None
    order = inst.flags.endianness or ("big" if low.big_endian else "little")
    imm = "" if source.lanes == inst.type.lanes else order
    return [(pure("bitcast", inst.type, imm, source), (), low.reg.of(inst.results), low.reg.of(inst.args))]


def _shuffle(low: Translator, inst: Inst) -> list[Step]:
    mask = inst.imm
    assert isinstance(mask, tuple)
    return [(recipes.shuffle(), (mask,), low.reg.of(inst.results), low.reg.of(inst.args))]


def _trap_if(low: Translator, inst: Inst) -> list[Step]:
    """`trapz`, `trapnz`, `uadd_overflow_trap`: the trap code is an extra."""
    recipe = pure(inst.op, inst.type, None, *(low.types[a] for a in inst.args))
    return [(recipe, (inst.imm,), low.reg.of(inst.results), low.reg.of(inst.args))]


def _with_constant(low: Translator, inst: Inst) -> list[Step]:
    """`iadd_imm` and similar ones of the old dialect: the operation on a constant."""
    ty = inst.type
    assert ty is not None
    if inst.op == "icmp_imm":
        assert isinstance(inst.imm, tuple)
        condition, number = inst.imm
        recipe = pure("icmp", ty, condition, ty, ty)
        operands = (low.reg[inst.args[0]], low.constant(number & ty.mask))
    else:
        # Shift amounts of vectors are scalars; any width does, as they are taken modulo the lane's.
        right = I64 if ty.is_vector else ty
        operands = (low.reg[inst.args[0]], low.constant(inst.imm & right.mask))  # type: ignore[operator]
        if inst.op == "irsub_imm":
            op, operands = "isub", (operands[1], operands[0])
        else:
            op = OF_CONSTANT[inst.op]
        recipe = pure(op, ty, None, ty, right)
    return [(recipe, (), low.reg.of(inst.results), operands)]


def _pinned(low: Translator, inst: Inst) -> list[Step]:
    if inst.op == "get_pinned_reg":
        return [(plain("{d0} = {k0}.pinned", 1, 1, 0), (low.memory,), low.reg.of(inst.results), ())]
    return [(plain("{k0}.pinned = {a0}", 1, 0, 1), (low.memory,), (), low.reg.of(inst.args))]


def _frame_place(low: Translator, inst: Inst) -> list[Step]:
    up = low.code.frame if inst.op == "get_frame_pointer" else 0
    return [(plain("{d0} = {a0} + {k0}", 1, 1, 1), (up,), low.reg.of(inst.results), (low.reg[SP],))]


def _return_address(low: Translator, inst: Inst) -> list[Step]:
    return low.number(inst, RETURN_ADDRESS)


def _handler_address(low: Translator, inst: Inst) -> list[Step]:
    return low.number(inst, HANDLERS + len(low.constants) * FUNCTION_STRIDE)


def _global_value(low: Translator, inst: Inst) -> list[Step]:
    return _global(low, inst.imm, low.reg[inst.results[0]])  # type: ignore[arg-type]


def _global(low: Translator, number: int, out: int) -> list[Step]:
    """Compute a global value into a register: `load` and `iadd_imm` of others, down to the root of their chain."""
    declared: Mapping[int, tuple[object, ...]] = low.function.globals
    chain: dict[int, int] = {}
    while declared.get(number, ("undeclared",))[0] in ("load", "iadd_imm") and number not in chain:
        chain[number] = out
        out = low.reg["global", number]
        number = declared[number][1]  # type: ignore[assignment]
    steps = _root_global(low, declared.get(number, ("undeclared",)), out)
    for above, result in reversed(chain.items()):
        steps += _derived_global(low, declared[above], result, low.reg["global", above])
    return steps


def _root_global(low: Translator, declared: tuple[object, ...], out: int) -> list[Step]:
    """A `vmctx` or a `symbol`."""
    kind, *rest = declared
    if kind == "vmctx":
        for register, param in enumerate(low.function.signature.params):
            if param.purpose == "vmctx":
                return [(plain("{d0} = {a0}", 0, 1, 1), (), (out,), (register,))]
    elif kind == "symbol":
        return _symbol(low, rest, out)
    return low.refuse(f"global value of kind {kind}")


def _symbol(low: Translator, rest: list[object], out: int) -> list[Step]:
    name, offset = str(rest[0]), rest[1] if len(rest) > 1 else 0
    if not isinstance(offset, int):
        return low.refuse("symbol with an offset that is not a number")
    return low.address(out, name, offset, I64)


def _derived_global(low: Translator, declared: tuple[object, ...], out: int, base: int) -> list[Step]:
    """The step from a base, which is in a register, to the global value upon it."""
    kind, _, offset, type_, *rest = declared
    assert isinstance(offset, int) and isinstance(type_, Type)
    if kind == "iadd_imm":
        return [(plain(f"{{d0}} = {{a0}} + {{k0}} & {type_.mask:#x}", 1, 1, 1), (offset,), (out,), (base,))]
    flags = next((x for x in rest if isinstance(x, MemFlags)), MemFlags())
    inst = Inst("load", type_, flags=flags, offset=offset)
    return [low.load(out, base, type_, None, inst, False)]


def _refused(low: Translator, inst: Inst) -> list[Step]:
    return low.refuse(f"{inst.op} is not interpreted")


def _rows() -> Iterator[tuple[Callable[[Translator, Inst], list[Step]], str]]:
    yield _iconst, "iconst"
    yield _fconst, "f16const f32const f64const"
    yield _pool_constant, "vconst f128const"
    yield _nop, "nop fence sequence_point"
    yield _load, " ".join(LOADS)
    yield _store, " ".join(STORES)
    yield _stack_addr, "stack_addr"
    yield _stack_access, "stack_load stack_store"
    yield _func_addr, "func_addr"
    yield _atomic, "atomic_load atomic_store atomic_rmw atomic_cas"
    yield _bitcast, "bitcast"
    yield _shuffle, "shuffle"
    yield _trap_if, "trapz trapnz resumable_trapnz uadd_overflow_trap"
    yield _with_constant, " ".join(("icmp_imm", "irsub_imm", *OF_CONSTANT))
    yield _pinned, "get_pinned_reg set_pinned_reg"
    yield _frame_place, "get_frame_pointer get_stack_pointer"
    yield _return_address, "get_return_address"
    yield _handler_address, "get_exception_handler_address"
    yield _global_value, "symbol_value global_value"
    yield (
        _refused,
        (
            "tls_value stack_switch debugtrap resumable_trap dynamic_stack_addr dynamic_stack_load "
            "dynamic_stack_store extract_vector"
        ),
    )


TRANSLATORS: Final = {op: function for function, ops in _rows() for op in ops.split()}
"""Opcodes whose steps are not just a meaning applied to registers."""
