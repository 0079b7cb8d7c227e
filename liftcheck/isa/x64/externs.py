"""x86-64: what its lowering rules call, and the rules compiled.

The one idea: every line of `instructions_own` is a term: its registers that are read, then its numbers, are the
arguments, the first register that it writes is what it gives.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Final

from liftcheck.clif.types import Type
from liftcheck.isa.x64.backend import (
    BACKEND,
    FUNCTION_ADDRESS,
    JUMP_TABLE,
    OPPOSITE,
    POOL,
    RBP,
    RSP,
    TRAP,
    Call,
    Text,
    addressed,
    branch_on,
    text,
    trap_on,
)
from liftcheck.isa.x64.instructions_own import texts
from liftcheck.isle.compiled import Compiled
from liftcheck.mach import words
from liftcheck.mach.convention import BASE, STACK_SLOT
from liftcheck.mach.lower import Lowering
from liftcheck.mach.vcode import DEF, USE, Form, Slot, fixed

Amode = tuple[str, int, int, tuple[int, ...]]
"""An area, an offset, the scale of the index, base and index."""
Cond = tuple[str, int, int]
"""A condition, and the words that are compared."""
_ZERO: Final = fixed(63)
"""Stands for the number 0 where a register is asked for."""
_CONDITIONS: Final = {
    "eq": "e", "ne": "ne", "slt": "l", "sge": "ge", "sgt": "g", "sle": "le", "ult": "b", "uge": "ae", "ugt": "a",
    "ule": "be",
}  # fmt: skip
_EXTENSIONS: Final = ("fma", "avx", "popcnt", "lzcnt", "bmi1")
_COMPARE: Final = text("cmp", "a b", "cmp {a:64}, {b:64}")
_TEST: Final = text("test", "a", "test {a:64}, {a:64}")
_SELECT: Final = {
    (0, False): text("select", "=d/y a b x y", "cmp {a:64}, {b:64}; cmov{0} {d:64}, {x:64}"),
    (0, True): text("select", "=d/y a x y", "test {a:64}, {a:64}; cmov{0} {d:64}, {x:64}"),
    (1, False): text("select", "=d.f/y a b x.f y.f", "cmp {a:64}, {b:64}; j{0} end; movaps {d}, {x}; end:"),
    (1, True): text("select", "=d.f/y a x.f y.f", "test {a:64}, {a:64}; j{0} end; movaps {d}, {x}; end:"),
}
"""By class, and whether zero is compared with; of vectors the condition is the opposite."""
_ACCESS: Final = {
    "lbu": ("=d", "movzx {d:32}, byte ptr {m}"), "lb": ("=d", "movsx {d:64}, byte ptr {m}"),
    "lhu": ("=d", "movzx {d:32}, word ptr {m}"), "lh": ("=d", "movsx {d:64}, word ptr {m}"),
    "lw": ("=d", "movsxd {d:64}, dword ptr {m}"), "lwu": ("=d", "mov {d:32}, dword ptr {m}"),
    "ld": ("=d", "mov {d:64}, qword ptr {m}"), "flw": ("=d.f", "movss {d}, dword ptr {m}"),
    "fld": ("=d.f", "movsd {d}, qword ptr {m}"), "movups": ("=d.f", "movups {d}, xmmword ptr {m}"),
    "sb": ("v", "mov byte ptr {m}, {v:8}"), "sh": ("v", "mov word ptr {m}, {v:16}"),
    "sw": ("v", "mov dword ptr {m}, {v:32}"), "sd": ("v", "mov qword ptr {m}, {v:64}"),
    "fsw": ("v.f", "movss dword ptr {m}, {v}"), "fsd": ("v.f", "movsd qword ptr {m}, {v}"),
    "movups_store": ("v.f", "movups xmmword ptr {m}, {v}"), "lea": ("=d", "lea {d:64}, {m}"),
}  # fmt: skip
Term = tuple[Callable[..., Any], tuple[list[str], str]]


def _word(low: Lowering, register: int) -> int:
    """A register that is allocated: a new one with the number 0, or with what a register holds that is not."""
    if register >= 0:
        return register
    if register == _ZERO:
        return _imm(low, 0)
    made = low.temp(0)
    low.emit(text("mov", "=d a", "mov {d:64}, {a:64}"), (made, register))
    return made


def _instruction(made: Text, numbers: int) -> Term:
    """The term of an instruction."""
    kinds = [slot.kind for slot in made.slots]
    classes = [slot.cls for slot in made.slots if slot.kind == DEF]
    reads = kinds.count(USE)

    def build(low: Lowering, *given: Any) -> int:
        rest = iter([_word(low, register) for register in given[:reads]])
        own = [low.temp(cls) for cls in classes]
        mine = iter(own)
        registers = tuple(next(mine) if kind == DEF else next(rest) for kind in kinds)
        low.emit(made, registers, given[reads:], low.access_trap if made.accesses else "")
        return own[0] if own and kinds[0] == DEF else 0

    written = bool(kinds) and kinds[0] == DEF
    return build, (["Reg"] * reads + ["Imm"] * numbers, "Reg" if written else "Unit")


def _emit_access(low: Lowering, name: str, amode: Amode, value: int = -1) -> int:
    area, offset, scale, registers = amode
    operands, lines = _ACCESS[name]
    made = addressed(name, operands, lines, len(registers))
    if operands[0] == "=":
        value = low.temp(made.slots[0].cls)
    low.emit(made, (_word(low, value), *registers), (area, offset, scale), low.access_trap)
    return value


def _access(name: str) -> Term:
    """The term of a load or store by an address."""
    if _ACCESS[name][0][0] == "=":
        return lambda low, amode: _emit_access(low, name, amode), (["Amode"], "Reg")
    return lambda low, value, amode: _emit_access(low, name, amode, value), (["Reg", "Amode"], "Unit")


_USED: Final = re.compile(r"\((x|w|m|s)_([^\s()]+)")


@cache
def _lines() -> dict[str, tuple[Text, int]]:
    return {name: (text(name, operands, lines), numbers) for name, numbers, operands, lines in texts()}


def _declared(rules: str) -> Iterator[tuple[str, Callable[..., Any], tuple[list[str], str]]]:
    """The terms that rules use without having said them."""
    for kind, name in sorted(set(_USED.findall(rules))):
        if f"(decl {kind}_{name} " not in rules and f"(decl partial {kind}_{name} " not in rules:
            yield f"{kind}_{name}", *(_access(name) if kind == "m" else _instruction(*_lines()[name]))


# -- what rules call


def _imm(low: Lowering, value: int) -> int:
    value &= (1 << 64) - 1
    made = low.temp(0)
    if not value:
        form = text("zero", "=d", "xor {d:32}, {d:32}")
    elif value < 1 << 32:
        form = text("mov", "=d", "mov {d:32}, {0}")
    elif value >= (1 << 64) - (1 << 31):
        form, value = text("mov", "=d", "mov {d:64}, {0}"), value - (1 << 64)
    else:
        form = text("movabs", "=d", "movabs {d:64}, {0}")
    low.emit(form, (made,), (value,))
    return made


def _float_bits(low: Lowering, size: int, value: int) -> int:
    made = low.temp(1)
    if not value:
        low.emit(text("zero", "=d.f", "xorps {d}, {d}"), (made,))
    else:
        low.emit(POOL[size], (made,), (value.to_bytes(size, "little"),))
    return made


def _wide_const(low: Lowering, number: int) -> tuple[int]:
    return (_float_bits(low, 16, int.from_bytes(low.function.constants[number], "little")),)


def _cond(low: Lowering, cc: str, a: int, b: int) -> Cond:
    return _CONDITIONS[cc], _word(low, a), b


def _compared(cond: Cond) -> tuple[Text, tuple[int, ...]]:
    _, a, b = cond
    return (_TEST, (a,)) if b == _ZERO else (_COMPARE, (a, b))


def _branch(low: Lowering, cond: Cond, then: int, other: int) -> int:
    compare, registers = _compared(cond)
    low.emit(branch_on(compare), registers, (cond[0], then, other))
    return 0


def _trap_if(low: Lowering, cond: Cond, code: str) -> int:
    compare, registers = _compared(cond)
    low.emit(trap_on(compare), registers, (cond[0], code))
    return 0


def _trap_now(low: Lowering, code: str) -> int:
    low.emit(TRAP, (), (code,))
    return 0


def _select_reg(low: Lowering, cond: Cond, x: int, y: int) -> int:
    x, y = _word(low, x), _word(low, y)
    cls = low.code.classes[x]
    made = low.temp(cls)
    _, registers = _compared(cond)
    condition = OPPOSITE[cond[0]] if cls else cond[0]
    low.emit(_SELECT[cls, len(registers) == 1], (made, *registers, x, y), (condition,))
    return made


def _at(low: Lowering, register: int, offset: int) -> Amode:
    return BASE, offset, 0, (register,)


def _in_slot(low: Lowering, slot: int, offset: int) -> Amode:
    return STACK_SLOT, low.code.slots[slot] + offset, 0, ()


def _carry(name: str) -> Callable[..., tuple[int, int]]:
    def build(low: Lowering, x: tuple[int, int], y: tuple[int, int]) -> tuple[int, int]:
        made = low.temp(0), low.temp(0)
        given = [_word(low, register) for register in (*x, *y)]
        low.emit(_lines()[name][0], (*made, *given))
        return made

    return build


def _rmw(low: Lowering, op: str, ty: Type, address: int, value: int) -> int:
    made: int = _instruction(*_lines()[f"{op}{ty.bits}"])[0](low, address, value)
    return made


def _cas(low: Lowering, ty: Type, address: int, expected: int, value: int) -> int:
    made: int = _instruction(*_lines()[f"cas{ty.bits}"])[0](low, address, expected, value)
    return made


_EXTERNS: Final[dict[str, Any]] = {
    **words.addresses(FUNCTION_ADDRESS, RBP, RSP),
    "zero": lambda low: _ZERO,
    "imm": _imm,
    "small": lambda low, k: k if -(1 << 31) <= k < 1 << 31 else None,
    "float_bits": _float_bits,
    "wide_const": _wide_const,
    "cond": _cond,
    "cond_not": lambda low, cond: (OPPOSITE[cond[0]], *cond[1:]),
    "branch": _branch,
    "trap_if": _trap_if,
    "trap_now": _trap_now,
    "select_reg": _select_reg,
    **{f"has_{name}": words.extension(f"has_{name}") for name in _EXTENSIONS},
    "wide": lambda low, ty: ty if ty.bits == 128 and ty.is_int and not ty.is_vector else None,
    "in_vector": lambda low, ty: ty if ty.is_float or ty.is_vector else None,
    "bound": lambda low, ty, to, kind: _float_bits(low, ty.bytes, words.bound_bits(ty, to, kind)),
    "at": _at,
    "in_slot": _in_slot,
    "further": lambda low, amode, k: (amode[0], amode[1] + k, *amode[2:]),
    "address": lambda low, amode: _emit_access(low, "lea", amode),
    "carried": _carry("add_"),
    "borrowed": _carry("sub_"),
    "rmw": _rmw,
    "cas": _cas,
}


@cache
def rules() -> Compiled:
    """The rules of this ISA."""
    return words.compiled(Path(__file__).with_name("lower.isle"), "x64", _EXTERNS, _declared)


# -- the seam


class _Parts:
    """See `convention.Parts`."""

    _LOADS: Final = {(0, 1): "lbu", (0, 2): "lhu", (0, 4): "lwu", (0, 8): "ld", (1, 4): "flw", (1, 8): "fld",
                     (1, 16): "movups"}  # fmt: skip
    _STORES: Final = {(0, 1): "sb", (0, 2): "sh", (0, 4): "sw", (0, 8): "sd", (1, 4): "fsw", (1, 8): "fsd",
                      (1, 16): "movups_store"}  # fmt: skip

    def load(self, low: Lowering, cls: int, size: int, area: str, offset: int, base: int = -1) -> int:
        amode = area, offset, 0, (base,) if area == BASE else ()
        if (cls, size) == (1, 2):
            made = low.temp(1)
            low.emit(_lines()["fmv.w.x"][0], (made, _emit_access(low, "lhu", amode)))
            return made
        return _emit_access(low, self._LOADS[cls, size], amode)

    def store(self, low: Lowering, register: int, cls: int, size: int, area: str, offset: int, base: int = -1) -> None:
        if (cls, size) == (1, 2):
            made = low.temp(0)
            low.emit(_lines()["fmv.x.w"][0], (made, register))
            register, cls = made, 0
        _emit_access(low, self._STORES[cls, size], (area, offset, 0, (base,) if area == BASE else ()), register)

    def extend(self, low: Lowering, register: int, bits: int, how: str) -> int:
        made = low.temp(0)
        name = f"{how.replace('u', 'z')}.{ {8: 'b', 16: 'h', 32: 'w'}[bits] }".replace(" ", "")
        low.emit(_lines()[name][0], (made, register))
        return made

    def address(self, low: Lowering, area: str, offset: int) -> int:
        return _emit_access(low, "lea", (area, offset, 0, ()))

    def call(self, slots: Sequence[Slot], clobbers: Sequence[int], popped: int, tail: int) -> Form:
        return Call(slots, clobbers, popped, tail)


@cache
def opened() -> words.WordRules:
    """Its part of lowering."""
    return words.WordRules("x86-64", BACKEND, _Parts(), rules(), JUMP_TABLE, wide_floats=True)
