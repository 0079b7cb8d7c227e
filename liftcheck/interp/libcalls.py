"""Library routines that CLIF may call by name: `%CeilF32`, `%Memcpy`, … as functions of the memory and the arguments.

The one idea: the numeric ones are the meaning of the opcode they stand in for, so they cannot differ from it.
A stray access inside a memory routine is a crash (the real routine has no trap-table entry). `%Memcmp` answers -1, 0 or
1: C promises no more than the sign, so programs should use only that. Routines of thread-local storage and the stack
probe are not here; a call of them is refused.
Source: cranelift-codegen 0.135 `ir/libcall.rs` (names, signatures).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache, partial
from typing import Final, NamedTuple

from liftcheck.bits.concrete import closure
from liftcheck.bits.meaning import Meaning
from liftcheck.clif.semantics.meaning import meaning
from liftcheck.clif.types import F32, F64, I32, I64, TYPES, Type
from liftcheck.interp.memory import ADDRESS_MASK, Memory

Routine = Callable[[Memory, Sequence[int]], tuple[int, ...]]


class Libcall(NamedTuple):
    """One routine: its name without '%', parameter and result types, and what it does."""

    name: str
    params: tuple[Type, ...]
    returns: tuple[Type, ...]
    run: Routine


_NUMERIC: Final = {
    "CeilF32": ("ceil", F32, 1), "CeilF64": ("ceil", F64, 1), "FloorF32": ("floor", F32, 1),
    "FloorF64": ("floor", F64, 1),
    "TruncF32": ("trunc", F32, 1), "TruncF64": ("trunc", F64, 1), "NearestF32": ("nearest", F32, 1),
    "NearestF64": ("nearest", F64, 1), "FmaF32": ("fma", F32, 3), "FmaF64": ("fma", F64, 3),
    "X86Pshufb": ("x86_pshufb", TYPES["i8x16"], 2),
}  # fmt: skip


def numeric(name: str) -> Meaning | None:
    """What the routine called `name` (without '%') computes, if it is a function of its arguments alone."""
    return _meaning(*_NUMERIC[name]) if name in _NUMERIC else None


def _meaning(op: str, type_: Type, operands: int) -> Meaning:
    ctrl = None if op == "x86_pshufb" else type_
    return meaning(op, ctrl, (type_,) * operands, (type_,))


def _numeric(op: str, type_: Type, operands: int, m: Memory, args: Sequence[int]) -> tuple[int, ...]:
    (value,) = (closure(_meaning(op, type_, operands))(*args),)
    return (m.arithmetic(type_, value, args) if type_.is_float else value,)


def _copy(m: Memory, args: Sequence[int]) -> tuple[int, ...]:
    """memcpy and memmove: (destination, source, count). Overlap is allowed, as in every C library of the four ISAs."""
    target, source, size = args
    m.write(target, _checked_read(m, source, size), "")
    return (target,)


def _set(m: Memory, args: Sequence[int]) -> tuple[int, ...]:
    """memset: (destination, byte, count)."""
    target, value, size = args
    if size:
        buf, at = m.place(target, size, "")
        buf[at : at + size] = bytes([value & 255]) * size
    return (target,)


def _compare(m: Memory, args: Sequence[int]) -> tuple[int, ...]:
    """memcmp: (left, right, count) to -1, 0 or 1 as an i32."""
    left, right = (_checked_read(m, at, args[2]) for at in args[:2])
    return (m.magnitude((left > right) - (left < right)) & I32.mask,)


def _checked_read(m: Memory, address: int, size: int) -> bytes:
    return m.read(address & ADDRESS_MASK, size, "")


_MEMORY: Final[dict[str, tuple[tuple[Type, ...], tuple[Type, ...], Routine]]] = {
    "Memcpy": ((I64, I64, I64), (I64,), _copy),
    "Memmove": ((I64, I64, I64), (I64,), _copy),
    "Memset": ((I64, I32, I64), (I64,), _set),
    "Memcmp": ((I64, I64, I64), (I32,), _compare),
}  # fmt: skip

UNSUPPORTED: Final = ("Probestack", "ElfTlsGetAddr", "ElfTlsGetOffset")
"""Names that Cranelift's reader knows and that mean nothing without a thread or a probed stack."""


class Thrown(Exception):
    """Control goes to the innermost handler of `tag` (or of any) between the frame that throws, whose pointer must be
    `exit`, and the one whose pointer is `entry`."""

    def __init__(self, entry: int, exit: int, tag: int, payloads: tuple[int, int]) -> None:
        super().__init__()
        self.entry = entry
        self.exit = exit
        self.tag = tag
        self.payloads = payloads


def _throw(m: Memory, args: Sequence[int]) -> tuple[int, ...]:
    """(entry's frame pointer, exit's frame pointer and place in the code, tag, payload, payload)."""
    raise Thrown(args[0], args[1], args[3], (args[4], args[5]))


UNHANDLED: Final = "unhandled exception"
"""The trap of an exception that is not handled."""
WALK: Final = "an exception that is not thrown from the caller's frame to one of its callers"
_HARNESS: Final = {"__cranelift_throw": ((I64, I64, I64, I32, I64, I64), (), _throw)}
"""What upstream's harness gives to filetests."""

NAMES: Final = (*_NUMERIC, *_MEMORY, *UNSUPPORTED, *_HARNESS)


@cache
def libcall(name: str) -> Libcall | None:
    """The routine called `name` (without '%'), None if there is none or it is one of `UNSUPPORTED`."""
    if name in _NUMERIC:
        op, type_, operands = _NUMERIC[name]
        return Libcall(name, (type_,) * operands, (type_,), partial(_numeric, op, type_, operands))
    if name in _MEMORY:
        return Libcall(name, *_MEMORY[name])
    if name in _HARNESS:
        return Libcall(name, *_HARNESS[name])
    return None
