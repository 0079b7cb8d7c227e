"""What Cranelift emits on x86-64 for what is several machine instructions by nature: each step with its operands.

The one idea: a sequence is written as an assembler would, with the text's virtual registers by their numbers in it:
`q0` is the first one as an 8-byte register, `d0`, `w0` and `b0` its lower parts, `x0` a vector register, `qm0` memory
that the text does not tell (`qm8` lies 8 bytes above it), the same one throughout, `t` a distance from the instruction,
`c` any constant. `1:` before a step is a label, `>1` leads there, `!` to a trap.

Source: cranelift-codegen 0.130 to 0.137 isa/x64/inst/emit.rs.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from functools import cache
from itertools import product
from typing import Final

from liftcheck.mach.insn import Insn

_OPPOSITE: Final = (
    ("o", "no"),
    ("b", "nb"),
    ("z", "nz"),
    ("be", "nbe"),
    ("s", "ns"),
    ("p", "np"),
    ("l", "nl"),
    ("le", "nle"),
)
_OTHER: Final = {one: other for pair in _OPPOSITE for one, other in (pair, pair[::-1])}
MOVES: Final = ("movaps", "movapd", "movdqa", "movups", "movupd", "movdqu")
"""How a vector register is moved to another one."""
LOADS_NAME: Final = ("lea q0, t", "mov q0, 0", "mov q0, t", "mov q0, t; add q0, c")


_PREFERRED: Final[Mapping[str, str]] = {"nb": "ae", "z": "e", "nz": "ne", "nbe": "a", "nl": "ge", "nle": "g"}


def condition(name: str) -> str:
    """As disassemblers name it."""
    return _PREFERRED.get(name, name)


def opposite(condition: str) -> str:
    """As Cranelift names conditions."""
    return _OTHER[condition]


def direction(text: str, machine: Insn, _data: bytes) -> int:
    """See `isa.base.Isa.direction`: of two conditions (`jp,nz`) the first one is never turned round."""
    conditions = text.partition(" ")[0][1:].split(",")
    taken = machine.name[1:]
    holds = any(condition(one) == taken for one in conditions)
    return holds - (condition(opposite(conditions[-1])) == taken)


def _bits(value: float, size: int) -> int:
    """A float's bits."""
    return int.from_bytes(struct.pack("<f" if size == 4 else "<d", value), "little")


def _from_unsigned(size: int) -> str:
    s = "ss" if size == 4 else "sd"
    return (
        f"cmp q0, 0; jl >1; cvtsi2{s} x1, q0; jmp >2; 1: mov q2, q0; shr q2, 1; mov q3, q0; and q3, 1; or q3, q2;"
        f" cvtsi2{s} x1, q3; add{s} x1, x1; 2:"
    )


def _constant(value: int, to: str, size: int) -> str:
    """A float's bits through an integer register `to` into the vector register x3, or x2."""
    return f"mov q{to}, {value:#x}" if size == 8 else f"mov d{to}, {value:#x}"


def _to_signed(source: int, target: int, saturates: bool) -> str:
    """0: source, 1: result, 2: temporary, 3: temporary vector."""
    s, d = ("ss" if source == 4 else "sd"), ("d" if target == 4 else "q")
    begin = f"cvtt{s}2si {d}1, x0; cmp {d}1, 1; jno >9; ucomi{s} x0, x0;"
    if saturates:
        return (
            f"{begin} jnp >1; xor {d}1, {d}1; jmp >9; 1: xorpd x3, x3; ucomi{s} x3, x0; jae >9;"
            f" mov {d}1, {(1 << 8 * target - 1) - 1:#x}; 9:"
        )
    least, over = -(2.0 ** (8 * target - 1)), "b"
    if source == 8 and target == 4:
        least, over = least - 1, "be"
    move = "movd x3, d2" if source == 4 else "movq x3, q2"
    return (
        f"{begin} jp !; {_constant(_bits(least, source), '2', source)}; {move}; ucomi{s} x0, x3; j{over} !;"
        f" xorpd x3, x3; ucomi{s} x3, x0; jb !; 9:"
    )


def _to_unsigned(source: int, target: int, saturates: bool) -> str:
    """0: source, 1: result, 2: temporary, 3 and 4: temporary vectors."""
    s, d = ("ss" if source == 4 else "sd"), ("d" if target == 4 else "q")
    move = "movd x3, d2" if source == 4 else "movq x3, q2"
    nan, small, large = "jp !;", "ud2;", "jl !;"
    if saturates:
        nan = small = f"xor {d}1, {d}1; jmp >9;"
        nan = f"jnp >1; {nan} 1:"
        large = f"jge >3; {'mov q1, -1' if target == 8 else 'mov d1, 0xffffffff'}; jmp >9; 3:"
    add = "add d1, 0x80000000" if target == 4 else "mov q2, 0x8000000000000000; add q1, q2"
    return (
        f"{_constant(_bits(2.0 ** (8 * target - 1), source), '2', source)}; {move}; ucomi{s} x0, x3; jae >2; {nan}"
        f" cvtt{s}2si {d}1, x0; cmp {d}1, 0; jge >9; {small} 2: movaps x4, x0; sub{s} x4, x3; cvtt{s}2si {d}1, x4;"
        f" cmp {d}1, 0; {large} {add}; 9:"
    )


def _least_or_greatest(kind: str, size: int) -> str:
    """0: left, 1: right, 2: result, in right's place."""
    s, p = ("ss", "ps") if size == 4 else ("sd", "pd")
    both = "or" if kind == "min" else "and"
    return f"ucomi{s} x2, x0; jne >1; jp >2; {both}{p} x2, x0; jmp >3; 2: add{s} x2, x0; jp >3; 1: {kind}{s} x2, x0; 3:"


_REMAINDER: Final[Mapping[str, str]] = {
    "b": "cmp b1, -1; jne >1; mov d2, 0; jmp >2; 1: idiv b1; 2:",
    **{z: f"cmp {z}2, -1; jne >1; mov d4, 0; jmp >2; 1: idiv {z}2; 2:" for z in "wdq"},
}  # fmt: skip
"""By the size of the divisor, whose number is 2 (1 for bytes)."""
_STEPS: Final[Mapping[str, str]] = {
    "And": "and q1, q0;", "Or": "or q1, q0;", "Xor": "xor q1, q0;", "Nand": "and q1, q0; not q1;",
    "Add": "add q1, q0;", "Sub": "sub q1, q0;",
    "Umin": "cmp {z}0, {z}1; cmovbe q1, q0;", "Umax": "cmp {z}0, {z}1; cmovae q1, q0;",
    "Smin": "cmp {z}0, {z}1; cmovle q1, q0;", "Smax": "cmp {z}0, {z}1; cmovge q1, q0;",
}  # fmt: skip
"""0: the operand, 1: the new value."""
_SUFFIX: Final[Mapping[str, str]] = {"8": "b", "16": "w", "32": "d", "64": "q"}


def _loop(bits: str, kind: str) -> str:
    """0: operand, 1: temporary, 2: the old value, by the instruction's operands, as the text names none."""
    z = _SUFFIX[bits]
    load = f"movzx q2, {z}m0" if z in "bw" else f"mov {z}2, {z}m0"
    steps = _STEPS[kind].format(z=z)
    return f"{load}; 1: mov q1, q2; {steps} lock cmpxchg {z}m0, {z}1; jne >1"


_PAIRS: Final[Mapping[str, str]] = {
    "And": "and", "Or": "or", "Xor": "xor", "Add": "add adc", "Sub": "sub sbb", "Nand": "and",
    "Umin": "ae", "Umax": "b", "Smin": "ge", "Smax": "l",
}  # fmt: skip


def wide_loop(kind: str, low: str, high: str) -> str:
    """Of 128 bits, with its operand's halves; '' exchanges."""
    first, second = (_PAIRS.get(kind, "?").split() * 2)[:2]
    steps = f"{first} rbx, q{low}; {second} rcx, q{high}; "
    if kind == "Nand":
        steps += "not rbx; not rcx; "
    elif kind[1:] in ("min", "max"):
        steps = f"cmp rbx, q{low}; sbb rcx, q{high}; mov rcx, rdx; cmov{first} rbx, q{low}; cmov{first} rcx, q{high}; "
    loop = f"mov rbx, rax; mov rcx, rdx; {steps}" if kind else ""
    return f"mov rax, qm0; mov rdx, qm8; 1: {loop}lock cmpxchg16b om0; jne >1"


@cache
def sequences() -> Mapping[str, str]:
    """By the text's first word, without blanks after it; for loops, by how it begins."""
    found: dict[str, str] = {}
    for source, target, saturates in product((4, 8), (4, 8), (False, True)):
        end = f"{8 * target}{'_sat' if saturates else ''}_seq"
        found[f"cvt_float{8 * source}_to_sint{end}"] = _to_signed(source, target, saturates)
        found[f"cvt_float{8 * source}_to_uint{end}"] = _to_unsigned(source, target, saturates)
    for size, kind in product((4, 8), ("min", "max")):
        found[f"xmm {kind} seq f{8 * size}"] = _least_or_greatest(kind, size)
    for size in (4, 8):
        found[f"u64_to_f{8 * size}_seq"] = _from_unsigned(size)
    for bits, kind in product(_SUFFIX, _STEPS):
        found[f"atomically {{ {bits}_bits_at_[%r9] {kind}= %r10"] = _loop(bits, kind)
    for letter, steps in _REMAINDER.items():
        found[f"checked_srem_seq {letter}"] = steps
    found["br_table"] = "lea q1, t; movslq q2, [1+0*4]; add q1, q2; jmp q1"
    return found
