"""riscv64: what its lowering rules call, and the rules compiled.

The one idea: every row of the tables is a term (`rv_NAME`): its registers that are read, and its immediates, are the
arguments, the register that it writes is what it gives; so nothing is said of an instruction here. `/rtz` and the like
after a name are its rounding mode.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Final

from liftcheck.isa.riscv64.backend import (
    ADDRESS,
    BACKEND,
    BRANCHES,
    CONSTANT,
    FP,
    FUNCTION_ADDRESS,
    OPPOSITE,
    POOL,
    SP,
    TABLE,
    TRAP,
    TRAP_IF,
    ZERO,
    Call,
    access,
    fits,
    form,
)
from liftcheck.isa.riscv64.insts.common import ROUNDING
from liftcheck.isa.riscv64.sequences_own import select, sequences
from liftcheck.isle.compiled import Compiled
from liftcheck.mach import words
from liftcheck.mach.convention import BASE, STACK_SLOT
from liftcheck.mach.lower import Lowering
from liftcheck.mach.vcode import DEF, USE, Form, RowForm, Slot, fixed

Amode = tuple[str, int, int]
"""An area, an offset, the register of the area `base` (or -1)."""
Cond = tuple[str, int, int]
"""The mnemonic of a branch, and its registers."""
_X0: Final = fixed(ZERO)
_CONDITIONS: Final = {
    "eq": ("beq", False), "ne": ("bne", False), "slt": ("blt", False), "sge": ("bge", False), "sgt": ("blt", True),
    "sle": ("bge", True), "ult": ("bltu", False), "uge": ("bgeu", False), "ugt": ("bltu", True), "ule": ("bgeu", True),
}  # fmt: skip
_EXTENSIONS: Final = ("zba", "zbb", "zbs", "zicond")


def _row(row: RowForm, mode: int | None) -> tuple[Callable[..., Any], tuple[list[str], str]]:
    """The term of a row: its function, and its types. `mode`: the rounding mode, if it is said."""
    kinds: list[tuple[str, int]] = []
    for operand in row.row.operands:
        if operand.kind.role == "register":
            if operand.reads:
                kinds.append(("register", 0))
        elif operand.kind.default is not None:
            kinds.append(("given", operand.kind.default if mode is None else mode))
        else:
            kinds.append(("number", 0))
    registers = [n for n, (what, _) in enumerate(k for k in kinds if k[0] != "given") if what == "register"]
    plain = [k for k in kinds if k[0] != "given"]
    registers = [n for n, (what, _) in enumerate(plain) if what == "register"]
    numbers = iter([n for n, (what, _) in enumerate(plain) if what == "number"])
    extras = [next(numbers) if what == "number" else ~value for what, value in kinds if what != "register"]
    written = [slot.cls for slot in row.slots if slot.kind == DEF]
    types = ["Reg" if what == "register" else "Imm" for what, _ in plain]

    def build(low: Lowering, *given: int) -> int:
        extra = tuple([given[n] if n >= 0 else ~n for n in extras])
        trap = low.access_trap if row.accesses else ""
        if written:
            made = low.temp(written[0])
            low.emit(row, (made, *[given[n] for n in registers]), extra, trap)
            return made
        low.emit(row, tuple([given[n] for n in registers]), extra, trap)
        return 0

    return build, (types, "Reg" if written else "Unit")


def _access(name: str) -> tuple[Callable[..., Any], tuple[list[str], str]]:
    """The term of a load or store by an address."""
    slot = form(name).slots[0]
    loads = slot.kind == DEF

    def build(low: Lowering, *given: Any) -> int:
        area, offset, base = given[-1]
        register = low.temp(slot.cls) if loads else given[0]
        registers = (register, base) if area == BASE else (register,)
        low.emit(access(name, area), registers, (area, offset), low.access_trap)
        return int(register)

    return build, (["Amode"] if loads else ["Reg", "Amode"], "Reg" if loads else "Unit")


def _sequence(name: str) -> tuple[Callable[..., Any], tuple[list[str], str]]:
    """The term of a sequence: registers that are read are its arguments."""
    made = sequences()[name]
    written = [slot.cls for slot in made.slots if slot.kind == DEF]
    reads = sum(slot.kind == USE for slot in made.slots)

    order = [slot.kind for slot in made.slots]

    def build(low: Lowering, *given: int) -> int:
        own = [low.temp(cls) for cls in written]
        rest, mine = iter(given), iter(own)
        low.emit(made, tuple(next(mine) if kind == DEF else next(rest) for kind in order), (), low.access_trap)
        return own[0]

    return build, (["Reg"] * reads, "Reg")


_USED: Final = re.compile(r"\((rv|w|m|s)_([^\s()]+)")


def _declared(text: str) -> Iterator[tuple[str, Callable[..., Any], tuple[list[str], str]]]:
    """The terms that rules use without having said them."""
    for kind, name in sorted(set(_USED.findall(text))):
        bare, _, mode = name.partition("/")
        if kind in ("rv", "w"):
            made = _row(form(bare), next(n for n, text in ROUNDING.items() if text == mode) if mode else None)
        else:
            made = _access(name) if kind == "m" else _sequence(name)
        yield f"{kind}_{name}", *made


# -- what rules call


def _imm(low: Lowering, value: int) -> int:
    value &= (1 << 64) - 1
    made = low.temp(0)
    low.emit(CONSTANT, (made,), (value - (value >> 63 << 64),))
    return made


def _float_bits(low: Lowering, size: int, value: int) -> int:
    made = low.temp(1)
    if not value:
        low.emit(form("fmv.w.x" if size == 4 else "fmv.d.x"), (made, _X0))
    else:
        low.emit(POOL[size], (made,), (value.to_bytes(size, "little"),))
    return made


def _wide_const(low: Lowering, number: int) -> tuple[int, int]:
    value = int.from_bytes(low.function.constants[number], "little")
    return _imm(low, value), _imm(low, value >> 64)


def _cond(low: Lowering, cc: str, a: int, b: int) -> Cond:
    name, swapped = _CONDITIONS[cc]
    return (name, b, a) if swapped else (name, a, b)


def _branch(low: Lowering, cond: Cond, then: int, other: int) -> int:
    low.emit(BRANCHES[cond[0]], cond[1:], (then, other))
    return 0


def _trap_if(low: Lowering, cond: Cond, code: str) -> int:
    low.emit(TRAP_IF[cond[0]], cond[1:], (code,))
    return 0


def _trap_now(low: Lowering, code: str) -> int:
    low.emit(TRAP, (), (code,))
    return 0


def _select_reg(low: Lowering, cond: Cond, x: int, y: int) -> int:
    cls = low.code.classes[x] if x >= 0 else 0
    made = low.temp(cls)
    low.emit(select("float" if cls else "int"), (made, cond[1], cond[2], x, y), (cond[0],))
    return made


def _at(low: Lowering, register: int, offset: int) -> Amode:
    return BASE, offset, register


def _in_slot(low: Lowering, slot: int, offset: int) -> Amode:
    return STACK_SLOT, low.code.slots[slot] + offset, -1


def _address(low: Lowering, amode: Amode) -> int:
    made = low.temp(0)
    low.emit(ADDRESS, (made,), amode[:2])
    return made


_EXTERNS: Final[dict[str, Any]] = {
    **words.addresses(FUNCTION_ADDRESS, FP, SP),
    "zero": lambda low: _X0,
    "imm": _imm,
    "small": lambda low, k: k if fits(k) else None,
    "float_bits": _float_bits,
    "wide_const": _wide_const,
    "cond": _cond,
    "cond_not": lambda low, cond: (OPPOSITE[cond[0]], *cond[1:]),
    "branch": _branch,
    "trap_if": _trap_if,
    "trap_now": _trap_now,
    "select_reg": _select_reg,
    **{f"has_{name}": words.extension(f"has_{name}") for name in _EXTENSIONS},
    "wide": lambda low, ty: ty if ty.bits == 128 and not ty.is_vector else None,
    "bound": lambda low, ty, to, kind: _float_bits(low, ty.bytes, words.bound_bits(ty, to, kind)),
    "at": _at,
    "in_slot": _in_slot,
    "further": lambda low, amode, k: (amode[0], amode[1] + k, amode[2]),
    "address": _address,
}


@cache
def rules() -> Compiled:
    """The rules of this ISA."""
    return words.compiled(Path(__file__).with_name("lower.isle"), "riscv64", _EXTERNS, _declared)


# -- the seam


class _Parts:
    """See `convention.Parts`."""

    _LOADS: Final = {
        (0, 1): "lb",
        (0, 2): "lh",
        (0, 4): "lw",
        (0, 8): "ld",
        (1, 2): "flw",
        (1, 4): "flw",
        (1, 8): "fld",
    }
    _STORES: Final = {
        (0, 1): "sb",
        (0, 2): "sh",
        (0, 4): "sw",
        (0, 8): "sd",
        (1, 2): "fsw",
        (1, 4): "fsw",
        (1, 8): "fsd",
    }

    def load(self, low: Lowering, cls: int, size: int, area: str, offset: int, base: int = -1) -> int:
        made = low.temp(cls)
        low.emit(access(self._LOADS[cls, size], area), (made, base) if area == BASE else (made,), (area, offset))
        return made

    def store(self, low: Lowering, register: int, cls: int, size: int, area: str, offset: int, base: int = -1) -> None:
        registers = (register, base) if area == BASE else (register,)
        low.emit(access(self._STORES[cls, size], area), registers, (area, offset))

    def extend(self, low: Lowering, register: int, bits: int, how: str) -> int:
        made = low.temp(0)
        if how == "uext" and bits == 8:
            low.emit(form("andi"), (made, register), (255,))
            return made
        middle = low.temp(0)
        low.emit(form("slli"), (middle, register), (64 - bits,))
        low.emit(form("srai" if how == "sext" else "srli"), (made, middle), (64 - bits,))
        return made

    def address(self, low: Lowering, area: str, offset: int) -> int:
        return _address(low, (area, offset, -1))

    def call(self, slots: Sequence[Slot], clobbers: Sequence[int], popped: int, tail: int) -> Form:
        return Call(slots, clobbers, popped, tail)


@cache
def opened() -> words.WordRules:
    """Its part of lowering."""
    return words.WordRules("riscv64", BACKEND, _Parts(), rules(), TABLE, wide_floats=False)
