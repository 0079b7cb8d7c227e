"""What Cranelift emits on riscv64 for what is several machine instructions by nature: each step with its operands.

The one idea: a sequence is written as an assembler would, in the order of the machine's fields, with the text's virtual
registers by their numbers in it: `%v0` is the first one. `1:` before a step is a label, `>1` leads there.

Source: cranelift-codegen 0.130 to 0.137 isa/riscv64/inst/emit.rs, args.rs (`AtomicOP`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple

_R: Final = r"(%v\d+|zero)"
_LOOP: Final = re.compile(rf"atomic_rmw\.i(\d+) (\w+) {_R},{_R},\({_R}\)##t0={_R} offset={_R}")
_EXCHANGE: Final = re.compile(rf"atomic_cas\.i(\d+) {_R},{_R},{_R},\({_R}\)##t0={_R} offset={_R}")
_ACCESS: Final = re.compile(rf"atomic_(load|store)\.i(\d+) {_R},\({_R}\)")
_COUNT: Final = re.compile(rf"(clz|ctz|popcnt) {_R},{_R}##ty=i(\d+) tmp={_R} step={_R}")
_REVERSE: Final = re.compile(rf"brev8 {_R},{_R}##tmp={_R} tmp2={_R} step={_R} ty=i(\d+)")
_TABLE: Final = re.compile(rf"br_table {_R},\[([^]]*)\]##tmp1={_R},tmp2={_R}")
_SELECT: Final = re.compile(rf"select (.+)##condition=\({_R} (\w+) {_R}\)")
_TRAP: Final = re.compile(rf"trap_if \S+##\({_R} (\w+) {_R}\)")
_HALF: Final = re.compile(r"(fl|fs)h ([^,]+),(.+)")
_ROW: Final = re.compile(r"\[[^]]*\]|[^,]+")
_REGISTER: Final = re.compile(r"%v\d+|zero")
"""Between two equal ones at the end of a row texts lack the comma."""
_SIZES: Final[Mapping[int, str]] = {8: "b", 16: "h", 32: "w", 64: "d"}
_CONDITIONS: Final[Mapping[str, tuple[str, bool]]] = {
    "eq": ("beq", False), "ne": ("bne", False), "slt": ("blt", False), "sge": ("bge", False), "sgt": ("blt", True),
    "sle": ("bge", True), "ult": ("bltu", False), "uge": ("bgeu", False), "ugt": ("bltu", True), "ule": ("bgeu", True),
}  # fmt: skip
"""The branch for a condition, and whether its operands are exchanged."""
_OPPOSITE: Final[Mapping[str, str]] = {
    one: other
    for pair in ("eq ne", "slt sge", "sgt sle", "ult uge", "ugt ule")
    for one, other in (pair.split(), pair.split()[::-1])
}


def branch(condition: str, first: str, second: str) -> str:
    """`blt %v0, %v1`: the branch that is taken if the condition holds."""
    name, turned = _CONDITIONS[condition]
    return f"{name} {second}, {first}" if turned else f"{name} {first}, {second}"


def sequences(text: str) -> Sequence[str]:
    """Of a text whose virtual registers have their numbers, the ways of several versions; none of any other."""
    for pattern, make in _MAKERS.items():
        if found := pattern.fullmatch(text):
            return make(*found.groups())
    word, _, rest = text.partition(" ")
    register = rest.partition(",")[0]
    if word == "load_ext_name_near":
        return (f"auipc {register}, 0; addi {register}, {register}, 0",)
    if word == "load_ext_name_got":
        return (f"auipc {register}, 0; ld {register}, {register}, 0",)
    if word == "label_address":
        begin = f"auipc {register}, ?; addi {register}, {register}"
        return f"{begin}, 0", f"{begin}, ?"
    if word == "load_ext_name_far" or (word == "auipc" and ".8byte" in text):  # a constant in the code
        return (f"auipc {register}, 0; ld {register}, {register}, ?",)
    return ()


# Parts


def _extended(target: str, source: str, bits: int, signed: bool = False) -> str:
    if bits == 8 and not signed:
        return f"andi {target}, {source}, 255"
    return f"slli {target}, {source}, {64 - bits}; {'srai' if signed else 'srli'} {target}, {target}, {64 - bits}"


def _merged(target: str, source: str, offset: str, bits: int) -> str:
    """Part of a word that is in `target`."""
    mask = "addi x31, x0, 255" if bits == 8 else f"addi x31, x0, -1; {_extended('x31', 'x31', bits)}"
    return (
        f"{mask}; sll x31, x31, {offset}; xori x31, x31, -1; and {target}, {target}, x31; "
        f"{_extended('x31', source, bits)}; sll x31, x31, {offset}; or {target}, {target}, x31"
    )


def _loaded(target: str, number: int) -> str:
    """A constant of 32 bits."""
    low = (number & 0xFFF ^ 0x800) - 0x800
    high = number - low
    if not high:
        return f"addi {target}, x0, {low}"
    return f"lui {target}, {high >> 12}" + (f"; addi {target}, {target}, {low}" if low else "")


# Loops


def _loop(bits: str, kind: str, old: str, value: str, address: str, new: str, offset: str) -> Sequence[str]:
    """Before 0.135 the word was loaded again before it was merged with."""
    size, z = int(bits), "w" if int(bits) <= 32 else "d"
    begin, end = f"1: lr.{z} {old}, {address}", f"{new}, {address}"
    if kind == "nand" and size >= 32:
        return (f"{begin}; {_nand(new, value, old)}; sc.{z} {end}, {new}; bne {new}, x0 >1",)
    part = f"srl {old}, {old}, {offset}; {_extended(old, old, size, kind in ('smin', 'smax'))}"
    computed = _computed(kind, new, value, old)
    merged = _merged("x30", value if kind == "xchg" else new, offset, size)
    store = f"{merged}; sc.{z} {end}, x30; bne {new}, x0 >1"
    steps = f"{computed}; " if computed else ""
    return (
        f"{begin}; addi x30, {old}, 0; {part}; {steps}{store}",
        f"{begin}; {part}; {steps}lr.{z} x30, {address}; {store}",
    )


def _nand(new: str, value: str, old: str) -> str:
    return f"and {new}, {value}, {old}; xori {new}, {new}, -1"


def _computed(kind: str, new: str, value: str, old: str) -> str:
    if kind == "nand":
        return _nand(new, value, old)
    if kind in ("add", "sub", "and", "or", "xor"):
        return f"{kind} {new}, {old}, {value}"
    if kind == "xchg":
        return ""
    condition = {"umin": "ult", "umax": "ugt", "smin": "slt", "smax": "sgt"}[kind]
    return f"{branch(condition, old, value)} >2; addi {new}, {value}, 0; jal x0 >3; 2: addi {new}, {old}, 0; 3:"


def _exchange(bits: str, old: str, expected: str, value: str, address: str, new: str, offset: str) -> Sequence[str]:
    size, z = int(bits), "w" if int(bits) <= 32 else "d"
    part = f"srl {old}, {old}, {offset}; {_extended(old, old, size)}; " if size < 32 else ""
    part = f"{_extended(old, old, 32)}; " if size == 32 else part
    merge, stored = "", value
    if size < 32:
        merge, stored = f"lr.{z} {new}, {address}; {_merged(new, value, offset, size)}; ", new
    return (
        f"1: lr.{z} {old}, {address}; {part}bne {expected}, {old} >2; {merge}sc.{z} {new}, {address}, {stored}; "
        f"bne {new}, x0 >1; 2:",
    )


def _count(kind: str, result: str, source: str, bits: str, bit: str, step: str) -> Sequence[str]:
    top = "" if kind == "ctz" else f"slli {bit}, {bit}, {int(bits) - 1}; "
    skip = "beq x0, x30 >2" if kind == "popcnt" else "bne x0, x30 >3"
    return (
        f"addi {result}, x0, 0; addi {step}, x0, {bits}; addi {bit}, x0, 1; {top}1: bge x0, {step} >3; "
        f"and x30, {bit}, {source}; {skip}; addi {result}, {result}, 1; 2: addi {step}, {step}, -1; "
        f"{'slli' if kind == 'ctz' else 'srli'} {bit}, {bit}, 1; jal x0 >1; 3:",
    )


def _reverse(result: str, source: str, bit: str, other: str, step: str, bits: str) -> Sequence[str]:
    return (
        f"addi {result}, x0, 0; addi {step}, x0, {bits}; addi {bit}, x0, 1; slli {bit}, {bit}, {int(bits) - 1}; "
        f"addi {other}, x0, 1; slli {other}, {other}, {int(bits) - 8}; 1: bge x0, {step} >5; "
        f"and x30, {bit}, {source}; beq x0, x30 >2; or {result}, {result}, {other}; 2: addi {step}, {step}, -1; "
        f"srli {bit}, {bit}, 1; addi x30, x0, 8; rem x30, {step}, x30; bne x30, x0 >3; srli {other}, {other}, 15; "
        f"jal x0 >4; 3: slli {other}, {other}, 1; 4: jal x0 >1; 5:",
    )


# Others


def _access(kind: str, bits: str, value: str, address: str) -> Sequence[str]:
    name = ("l" if kind == "load" else "s") + _SIZES[int(bits)]
    return (f"fence; {name} {value}, 0({address})" + ("; fence" if kind == "load" else ""),)


def _table(index: str, labels: str, address: str, other: str) -> Sequence[str]:
    count = labels.count(",")
    return (
        f"{_extended('x31', index, 32)}; {_loaded(other, count)}; bltu x31, {other} >1; auipc {other}, ?; "
        f"jalr x0, {other}, ?; 1: auipc {address}, 0; slli {other}, x31, 3; add {address}, {address}, {other}; "
        f"jalr x0, {address}, 16",
    )


class Selection(NamedTuple):
    """`results` of a selection, and its second operands. Where these stand in the same places, it is done by one of the
    ways `turned`, else by one of `ways`."""

    results: tuple[str, ...]
    seconds: tuple[str, ...]
    ways: Sequence[str]
    turned: Sequence[str]


def selection(text: str) -> Selection | None:
    """Of a text that is one. By class of the registers."""
    found = _SELECT.fullmatch(text)
    if found is None:
        return None
    registers, one, condition, two = found.groups()
    results, firsts, seconds = (tuple(_REGISTER.findall(row)) for row in _ROW.findall(registers))
    ways, turned = [], []
    for move in _MOVES[: 1 if len(results) > 1 else None]:
        to_first, to_second = (
            "; ".join(move.format(to, source) for to, source in zip(results, row)) for row in (firsts, seconds)
        )
        ways.append(f"{to_first}; {branch(condition, one, two)} >1; {to_second}; 1:")
        turned.append(f"{branch(_OPPOSITE[condition], one, two)} >1; {to_first}; 1:")
    return Selection(results, seconds, ways, turned)


_MOVES: Final = ("addi {0}, {1}, 0", "fsgnj.d {0}, {1}, {1}", "vmv1r.v {0}, {1}")


def _trap(first: str, condition: str, second: str) -> Sequence[str]:
    begin = f"{branch(_OPPOSITE[condition], first, second)} >1; c.unimp"
    return f"{begin}; 1:", f"{begin}; c.unimp; 1:"


def _half(kind: str, register: str, address: str) -> Sequence[str]:
    """Without Zfhmin, too."""
    if kind == "fl":
        through = f"lh x31, {address}; lui x30, -16; or x31, x31, x30; fmv.w.x {register}, x31"
    else:
        through = f"fmv.x.w x31, {register}; sh x31, {address}"
    return f"{kind}h {register}, {address}", through


_MAKERS: Final[Mapping[re.Pattern[str], Callable[..., Sequence[str]]]] = {
    _LOOP: _loop, _EXCHANGE: _exchange, _ACCESS: _access, _COUNT: _count, _REVERSE: _reverse, _TABLE: _table,
    _TRAP: _trap, _HALF: _half,
}  # fmt: skip
