"""VEX (pyvex, Valgrind's lifter) of one instruction, computed on states.

The one idea: statements are walked for each state; operators are functions found by their names (`opinions_vex_ops`);
helpers that are plain C are called in the library itself, by their names. s390x's condition code is computed by inline
assembly there, so `opinions_vex_cc` says it again from VEX's legend of its operations.
Source: VEX's libvex_ir.h, guest_amd64_defs.h, guest_arm64_defs.h, guest_s390_defs.h.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Final

import archinfo
import pyvex
from opinions_state import After, Cell, Layout, Memory, Open, Order, Unknown
from opinions_vex_cc import condition_code
from opinions_vex_ops import operator

ARCHITECTURES: Final = {
    "x86-64": archinfo.ArchAMD64(), "aarch64": archinfo.ArchAArch64(), "s390x": archinfo.ArchS390X(),
}  # fmt: skip
_CC: Final = {"x86-64": 144, "aarch64": 280, "s390x": 736}
"""Where the operation of the condition code lies; its two operands and what it depends on follow, 8 bytes each."""
_BITS: Final = {
    "x86-64": {"cf": 0, "pf": 2, "zf": 6, "sf": 7, "of": 11},
    "aarch64": {"v": 28, "c": 29, "z": 30, "n": 31},
}
_SET: Final = 35
"""s390x's operation for a condition code that is given (S390_CC_OP_SET)."""
_FLAGS: Final = {"x86-64": "amd64g_calculate_rflags_all", "aarch64": "arm64g_calculate_flags_nzcv"}
_STACK_POINTER: Final = 48
"""x86-64's; VEX puts temporary values below it."""
_GOES: Final = ("Ijk_Boring", "Ijk_Call", "Ijk_Ret")


def cells(layout: Layout) -> list[Cell]:
    """Where each place of a record is in VEX's state; flags have no place of their own."""
    known = {r.name: r.vex_offset for r in ARCHITECTURES[layout.isa].register_list}
    found = []
    for name, (at, size) in layout.slots.items():
        called = name.removeprefix("%")
        if layout.isa == "x86-64":
            called = called.replace("xmm", "ymm")
        elif layout.isa == "aarch64":
            called = "xsp" if called == "sp" else "q" + called[1:] if called[0] == "v" and called[1:] else called
        if called in known:
            found.append(Cell(name, at, size, known[called]))
        elif name in _BITS.get(layout.isa, ()) or name == "cc":
            found.append(Cell(name, at, size, -1))
    return found


@cache
def _library() -> ctypes.CDLL:
    return ctypes.CDLL(str(next(Path(pyvex.__file__).parent.glob("lib/libpyvex*.so"))))


@cache
def helper(name: str, bits: int) -> Callable[..., int]:
    """A helper of the library's: a function of numbers of 64 bits."""
    if name == "s390_calculate_cc":
        return condition_code
    if name == "s390_calculate_cond":
        return lambda mask, *cc: mask << condition_code(*cc) & 8
    if name.startswith(("s390", "amd64g_dirty", "arm64g_dirty", "h_generic")):
        raise Unknown(f"a helper that is not plain C ({name})")
    found = getattr(_library(), name)
    found.restype = ctypes.c_uint64
    mask = (1 << bits) - 1
    return lambda *args: found(*map(ctypes.c_uint64, args)) & mask


class State:
    """The guest state, temporaries and memory while an instruction is computed."""

    def __init__(self, order: Order, guest: bytearray, memory: Memory) -> None:
        self.order = order
        self.guest = guest
        self.memory = memory
        self.temporary: dict[int, int] = {}

    def get(self, at: int, size: int) -> int:
        return int.from_bytes(self.guest[at : at + size], self.order)

    def put(self, at: int, size: int, value: int) -> None:
        self.guest[at : at + size] = (value & (1 << 8 * size) - 1).to_bytes(size, self.order)


Value = Callable[[State], int]


class Computed:
    """An instruction, ready to be computed on states; Unknown if the library does not have it."""

    def __init__(self, layout: Layout, places: Sequence[Cell], data: bytes, pc: int) -> None:
        arch = ARCHITECTURES[layout.isa]
        block = pyvex.IRSB(data, pc, arch, max_inst=1, max_bytes=len(data), opt_level=0)
        if block.jumpkind in ("Ijk_NoDecode", "Ijk_SigILL") or block.size != len(data):
            raise Unknown("it does not decode")
        if block.jumpkind not in _GOES:
            raise Unknown(f"it ends as {block.jumpkind}")
        self._layout: Final = layout
        self._places: Final = places
        self._types: Final = block.tyenv
        self._pc: Final = pc
        self._steps: Final = [step for one in block.statements if (step := self._step(one)) is not None]
        self._next: Final = self._value(block.next)

    def run(self, record: bytes, address: int) -> After:
        """What a state is after it."""
        layout = self._layout
        guest = entered(layout, self._places, record)
        state = State(layout.order, guest, Memory(layout, record, address))
        if layout.isa == "x86-64":
            state.memory.below = state.get(_STACK_POINTER, 8)
        goal = next((found for step in self._steps if (found := step(state)) is not None), None)
        goal = self._next(state) if goal is None else goal
        flags = flags_of(layout, guest)
        values = [flags[cell.name] if cell.at < 0 else state.get(cell.at, cell.size) for cell in self._places]
        return After(values, state.memory, goal)

    def _size(self, kind: str) -> int:
        return max(1, pyvex.const.get_type_size(kind) // 8)

    def _step(self, s: Any) -> Callable[[State], int | None] | None:
        name = type(s).__name__
        if name in ("IMark", "NoOp", "AbiHint", "MBE"):
            return None
        found: Callable[[State], int | None] | None = getattr(self, "_" + name.lower(), lambda _: None)(s)
        if found is None:
            raise Unknown(f"VEX's statement {name} is not computed here")
        return found

    def _put(self, s: Any) -> Callable[[State], None]:
        at, size, value = s.offset, self._size(s.data.result_type(self._types)), self._value(s.data)
        return lambda state: state.put(at, size, value(state))

    def _wrtmp(self, s: Any) -> Callable[[State], None]:
        number, value = s.tmp, self._value(s.data)

        def step(state: State) -> None:
            state.temporary[number] = value(state)

        return step

    def _store(self, s: Any) -> Callable[[State], None]:
        where, value, size = self._value(s.addr), self._value(s.data), self._size(s.data.result_type(self._types))
        return lambda state: state.memory.store(where(state), size, value(state))

    def _storeg(self, s: Any) -> Callable[[State], None]:
        where, value, size = self._value(s.addr), self._value(s.data), self._size(s.data.result_type(self._types))
        when = self._value(s.guard)
        return lambda state: state.memory.store(where(state), size, value(state)) if when(state) else None

    def _loadg(self, s: Any) -> Callable[[State], None]:
        where, other, when, number = self._value(s.addr), self._value(s.alt), self._value(s.guard), s.dst
        size, wide = (self._size(kind) for kind in reversed(s.cvt_types))
        signed = "S" in s.cvt and not s.cvt.startswith("ILGop_Ident")

        def step(state: State) -> None:
            if not when(state):
                state.temporary[number] = other(state)
                return
            value = state.memory.load(where(state), size)
            if signed and value >> 8 * size - 1:
                value += (1 << 8 * wide) - (1 << 8 * size)
            state.temporary[number] = value

        return step

    def _cas(self, s: Any) -> Callable[[State], None]:
        size = self._size(s.dataLo.result_type(self._types))
        where = self._value(s.addr)
        halves = [(s.oldLo, s.expdLo, s.dataLo), (s.oldHi, s.expdHi, s.dataHi)][: 1 + (s.dataHi is not None)]
        numbers = [old for old, _, _ in halves]
        expected = [self._value(x) for _, x, _ in halves]
        data = [self._value(x) for _, _, x in halves]

        def step(state: State) -> None:
            at = where(state)
            offsets = [size * k for k in range(len(numbers))]
            if state.order == "big":
                offsets.reverse()
            found = [state.memory.load(at + k, size) for k in offsets]
            if found == [x(state) for x in expected]:
                for k, x in zip(offsets, data):
                    state.memory.store(at + k, size, x(state))
            state.temporary.update(zip(numbers, found))

        return step

    def _dirty(self, s: Any) -> Callable[[State], None]:
        raise Unknown(f"a helper with effects ({s.cee.name})")

    def _exit(self, s: Any) -> Callable[[State], int | None]:
        when, goal, kind = self._value(s.guard), s.dst.value, s.jk
        again = goal == self._pc and kind == "Ijk_Boring"

        def step(state: State) -> int | None:
            if not when(state):
                return None
            if again or kind not in _GOES:
                raise Open("it would be executed again" if again else f"it ends as {kind}")
            return int(goal)

        return step

    def _value(self, e: Any) -> Value:
        """The function of an expression."""
        name = type(e).__name__
        if name == "RdTmp":
            number = e.tmp
            return lambda state: state.temporary[number]
        if name == "Const":
            return _constant(e.con)
        if name == "Get":
            at, size = e.offset, self._size(e.result_type(self._types))
            return lambda state: state.get(at, size)
        if name == "Load":
            where, width = self._value(e.addr), self._size(e.result_type(self._types))
            return lambda state: state.memory.load(where(state), width)
        if name == "ITE":
            when, yes, no = self._value(e.cond), self._value(e.iftrue), self._value(e.iffalse)
            return lambda state: yes(state) if when(state) else no(state)
        if name == "CCall":
            function, args = helper(e.cee.name, pyvex.const.get_type_size(e.ret_type)), [self._value(x) for x in e.args]
            return lambda state: function(*(x(state) for x in args))
        if name in ("Unop", "Binop", "Triop", "Qop"):
            return self._applied(e)
        raise Unknown(f"VEX's expression {name} is not computed here")

    def _applied(self, e: Any) -> Value:
        function, args = operator(e.op, self._layout.order == "big"), [self._value(x) for x in e.args]
        if len(args) == 1:
            (one,) = args
            return lambda state: function(one(state))
        if len(args) == 2:
            left, right = args
            return lambda state: function(left(state), right(state))
        return lambda state: function(*(x(state) for x in args))


def _constant(con: Any) -> Value:
    kind, value = type(con).__name__, con.value
    if kind == "F64":
        value = int.from_bytes(ctypes.c_double(value), "little")
    elif kind == "F32":
        value = int.from_bytes(ctypes.c_float(value), "little")
    value = int(value) & (1 << max(con.size, 1)) - 1
    return lambda state: value


def entered(layout: Layout, places: Sequence[Cell], record: bytes) -> bytearray:
    """The guest state of a record."""
    guest, flags = bytearray(1200), 0
    for cell in places:
        value = int.from_bytes(record[cell.record : cell.record + cell.size], layout.order)
        if cell.at >= 0:
            guest[cell.at : cell.at + cell.size] = value.to_bytes(cell.size, layout.order)
        else:
            flags |= value << (0 if cell.name == "cc" else _BITS[layout.isa][cell.name])
    at = _CC[layout.isa]
    operation = _SET if layout.isa == "s390x" else 0
    guest[at : at + 16] = operation.to_bytes(8, layout.order) + flags.to_bytes(8, layout.order)
    if layout.isa == "x86-64":
        guest[176:184] = (1).to_bytes(8, "little")  # the direction of strings
    return guest


def flags_of(layout: Layout, guest: bytearray) -> dict[str, int]:
    """The flags, or the condition code, of a guest state."""
    at = _CC[layout.isa]
    given = [int.from_bytes(guest[at + 8 * k : at + 8 * k + 8], layout.order) for k in range(4)]
    if layout.isa == "s390x":
        return {"cc": condition_code(*given)}
    found = helper(_FLAGS[layout.isa], 64)(*given)
    return {name: found >> bit & 1 for name, bit in _BITS[layout.isa].items()}
