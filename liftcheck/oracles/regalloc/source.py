"""What the text of a function says that its allocation does not: conventions of calls, accesses outside of its slots.

The one idea: an allocation has registers and bytes, but not whom a call calls, nor which stores are the program's own
fault. Both are read off the program's text, once for all targets. Addresses are followed as far as constants lead
(`stack_addr`, additions, block arguments that agree); an offset that is constant but not followed may lead anywhere.

It judges nothing (`oracles.regalloc.code.check`, `oracles.regalloc.code.frame`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final, NamedTuple

from liftcheck.clif.cfg import edges
from liftcheck.clif.ir import AbiParam, Function, Inst, Signature
from liftcheck.clif.opcodes import DIRECT_CALLS, INDIRECT_CALLS, OF_CONSTANT, OPCODES

FEW: Final = 3
"""With the address of a return area there are registers for one more (Microsoft x64: four in all)."""
_SLOT: Final = 16
"""An argument takes whole ones at most."""
_POINTERS: Final = frozenset({"get_stack_pointer", "get_frame_pointer"})
POINTERS: Final = ""
"""Key of `Source.callees` for calls through pointers."""


_CALLERS: Final = frozenset({"get_frame_pointer", "get_return_address"})


@dataclass(frozen=True)
class Source:
    """callees: symbol, or POINTERS -> conventions that the function calls it with. strays: it stores outside of its
    stack slots; may_stray: it does so unless a constant that is not followed keeps it inside; may_read: the same of
    loads. packed: symbol, or POINTERS -> how many bytes of results its callees leave on the stack of x86-64 at most,
    which packs them for `winch`; None: not worked out. incoming: no more bytes of its arguments lie on the stack.
    tails: it has tail calls. returning: it asks for its return address; asked: for which of its pointers, by opcode;
    chained: it looks for its caller's frame. signature: its own; called: symbol, or POINTERS -> the signatures that it
    calls it with; tail_called: those of its tail calls."""

    callees: Mapping[str, frozenset[str]]
    strays: bool = False
    may_stray: bool = False
    may_read: bool = False
    packed: Mapping[str, int | None] = field(default_factory=dict)
    incoming: int = 1 << 32
    tails: bool = True
    returning: bool = True
    asked: frozenset[str] = _POINTERS
    chained: bool = False
    signature: Signature | None = None
    called: Mapping[str, tuple[Signature, ...]] = field(default_factory=dict)
    tail_called: tuple[Signature, ...] = ()

    @property
    def pointing(self) -> bool:
        """Whether it asks for its stack or frame pointer."""
        return bool(self.asked)

    @property
    def spoken(self) -> frozenset[str]:
        """The conventions of the function and of what it calls."""
        own = frozenset() if self.signature is None else frozenset({self.signature.call_conv})
        return own | self.any_callee

    def conventions(self, symbols: frozenset[str]) -> frozenset[str]:
        """With which conventions one of these symbols may be called; of a call through a register that may be any of
        the function's: compilers load addresses of symbols too."""
        named = [self.callees[symbol] for symbol in symbols if symbol in self.callees]
        return frozenset().union(*named) if named else self.any_callee

    def packed_results(self, symbols: frozenset[str]) -> int | None:
        """How many bytes at most the callee of a call that is linked with one of these symbols leaves on the stack."""
        return _most([self.packed.get(symbol) for symbol in symbols & self.callees.keys() or self.callees])

    @cached_property
    def any_callee(self) -> frozenset[str]:
        """All conventions of calls. Worked out once: each call through a register asks."""
        return frozenset().union(*self.callees.values())


def source_of(function: Function) -> Source:
    """What the text of a function says."""
    called: dict[str, list[Signature]] = {}
    tail_called: list[Signature] = []
    for inst in (inst for block in function.blocks for inst in block.insts):
        found = _callee(function, inst)
        if found is not None:
            called.setdefault(found[0], []).append(function.signatures[found[1]])
            if inst.op.startswith("return_call"):
                tail_called.append(function.signatures[found[1]])
    callees = {symbol: frozenset(s.call_conv for s in signatures) for symbol, signatures in called.items()}
    packed = {symbol: _most([_left_on_stack(s) for s in signatures]) for symbol, signatures in called.items()}
    outside, read = (set(_strays(function, ops)) for ops in (_STORES, _LOADS))
    parameters = function.signature.params
    few = len(parameters) <= FEW and all(
        p.type.bits <= 64 and not p.type.is_vector and not p.purpose for p in parameters
    )  # riscv64 passes vectors on the stack
    room = sum(_SLOT * max(1, p.type.bits // 8 // _SLOT) + structure_bytes(p) for p in parameters)
    incoming = 0 if few else room
    ops = {inst.op for block in function.blocks for inst in block.insts}
    pointing = not ops.isdisjoint(_POINTERS)
    may_stray = bool(outside) or pointing
    return Source(
        callees,
        True in outside,
        may_stray,
        bool(read),
        packed,
        incoming,
        bool(tail_called),
        "get_return_address" in ops,
        _POINTERS & ops,
        not ops.isdisjoint(_CALLERS),
        function.signature,
        {symbol: tuple(dict.fromkeys(signatures)) for symbol, signatures in called.items()},
        tuple(dict.fromkeys(tail_called)),
    )


def structure_bytes(parameter: AbiParam) -> int:
    """The size of a structure that is passed on the stack: `sarg(64)`."""
    purpose = parameter.purpose
    return int(purpose[5:-1]) if purpose.startswith("sarg(") else 0


def _most(sizes: list[int | None]) -> int | None:
    """The largest, if all are known."""
    known = [size for size in sizes if size is not None]
    return max(known) if known and len(known) == len(sizes) else None


def _left_on_stack(signature: Signature) -> int | None:
    """Bytes of the results that a callee of x86-64 leaves on the stack at most; None if that is not worked out. `winch`
    packs all but the last word, one after the other, unless one is extended or of a type that keeps them in whole
    words (Cranelift's `compute_arg_locs`)."""
    types = [result.type for result in signature.returns]
    if not types or (len(types) == 1 and (types[0].bits <= 64 or types[0].is_vector)):
        return 0
    whole = any(result.extension for result in signature.returns) or any(t.name in ("f16", "i8x2") for t in types)
    if signature.call_conv != "winch" or whole:
        return None
    in_register = 64 if types[-1].name == "i128" else types[-1].bits
    return (sum(ty.bits for ty in types) - in_register) // 8


def _callee(function: Function, inst: Inst) -> tuple[str, int] | None:
    """Symbol and signature of a call."""
    if inst.op in DIRECT_CALLS:
        assert isinstance(inst.imm, int)
        reference = function.func_refs[inst.imm]
        return reference.name, reference.sig
    if inst.op in INDIRECT_CALLS:
        signature = inst.table.sig if inst.table is not None else inst.imm
        return (POINTERS, signature) if isinstance(signature, int) else None
    return None


# Accesses outside of slots.

_STORES: Final[Mapping[str, int]] = {
    op: row.address for op, row in OPCODES.items() if row.can_store and row.address is not None
}
_LOADS: Final[Mapping[str, int]] = {
    op: row.address for op, row in OPCODES.items() if row.can_load and row.address is not None
}
"""Opcode -> which argument is the address."""
_PURE: Final[Mapping[str, Callable[[int, int, int], int]]] = {
    "iadd": lambda a, b, bits: a + b,
    "isub": lambda a, b, bits: a - b,
    "imul": lambda a, b, bits: a * b,
    "band": lambda a, b, bits: a & b,
    "bor": lambda a, b, bits: a | b,
    "bxor": lambda a, b, bits: a ^ b,
    "ishl": lambda a, b, bits: a << b % bits,
    "ushr": lambda a, b, bits: a >> b % bits,
}  # fmt: skip


class _Known(NamedTuple):
    """A constant, or a constant number of bytes from a slot's start. `number` None: a constant that is not followed."""

    number: int | None
    slot: int = -1


def _strays(function: Function, ops: Mapping[str, int]) -> Iterator[bool]:
    """Accesses by these opcodes at constant distances from a slot that end outside of it: true; or may do so: false."""
    if not function.stack_slots:
        return
    known: dict[int, _Known | None] = {}
    passed = _passed(function)
    for block in function.blocks:
        for index, (parameter, _) in enumerate(block.params):
            known[parameter] = _joined(known, parameter, [args[index] for args in passed.get(block.number, ())])
        for inst in block.insts:
            address = None
            slot = "stack_store" if ops is _STORES else "stack_load"
            if inst.op == slot and isinstance(inst.imm, int):
                address = _Known(0, inst.imm)
            elif inst.op in ops:
                address = known.get(_value(function, inst.args[ops[inst.op]]))
            if address is not None and address.slot >= 0:
                yield from _outside(function, inst, address)
            for result in inst.results:
                known[result] = _followed(function, known, inst)


def _passed(function: Function) -> dict[int, list[tuple[int | str, ...]]]:
    """What each block is passed, by all who jump there."""
    found: dict[int, list[tuple[int | str, ...]]] = {}
    for block in function.blocks:
        for call in edges(block.insts[-1]) if block.insts else ():
            args = tuple(_value(function, arg) if isinstance(arg, int) else arg for arg in call.args)
            found.setdefault(call.block, []).append(args)
    return found


def _value(function: Function, value: int) -> int:
    for _ in function.aliases:
        if value not in function.aliases:
            break
        value = function.aliases[value]
    return value


def _joined(known: Mapping[int, _Known | None], parameter: int, passed: list[int | str]) -> _Known | None:
    """What a parameter is if all who jump there agree; one that is passed to itself adds nothing."""
    values = {known.get(arg) if isinstance(arg, int) else None for arg in passed if arg != parameter}
    return values.pop() if len(values) == 1 else None


def _outside(function: Function, inst: Inst, address: _Known) -> Iterator[bool]:
    ty, access = inst.type or function.types[_value(function, inst.args[0])], OPCODES[inst.op].access
    size = ty.bytes if access is None else access.type_in_memory(ty).bytes
    room = function.stack_slots[address.slot].size if address.slot in function.stack_slots else 0
    low = None if address.number is None else address.number + inst.offset
    if low is None:
        yield False
    elif low < 0 or low + size > room:
        yield True


def _followed(function: Function, known: Mapping[int, _Known | None], inst: Inst) -> _Known | None:
    """What an instruction's result is; of one that is not listed a constant that is not followed, if all its inputs
    are."""
    if inst.op == "stack_addr" and isinstance(inst.imm, int):
        return _Known(inst.offset, inst.imm)
    if inst.op == "iconst" and isinstance(inst.imm, int):
        return _Known(_signed(inst.imm, inst.type.bits if inst.type else 64))
    inputs = [known.get(_value(function, arg)) for arg in inst.args]
    if not inputs or inst.targets or OPCODES[inst.op].effects or any(one is None for one in inputs):
        return None
    if OPCODES[inst.op].format.name in ("BinaryImm64",) and isinstance(inst.imm, int):
        inputs.append(_Known(inst.imm))
    return _computed(inst, [one for one in inputs if one is not None])


def _computed(inst: Inst, inputs: list[_Known]) -> _Known:
    op, numbers = OF_CONSTANT.get(inst.op, inst.op), [one.number for one in inputs]
    slots = [one.slot for one in inputs if one.slot >= 0]
    unknown = _Known(None, slots[0] if slots else -1)
    if len(inputs) != 2 or op not in _PURE or None in numbers or inst.type is None or inst.type.lanes > 1:
        return unknown
    if slots and (op not in ("iadd", "isub") or len(slots) > 1 or (op == "isub" and inputs[1].slot >= 0)):
        return unknown
    bits, (a, b) = inst.type.bits, numbers
    assert a is not None and b is not None
    mask = -1 if op in ("iadd", "isub", "imul") else (1 << bits) - 1
    return _Known(_signed(_PURE[op](a & mask, b & mask, bits), bits), unknown.slot)


def _signed(value: int, bits: int) -> int:
    value &= (1 << bits) - 1
    return value - (value >> bits - 1 << bits)
