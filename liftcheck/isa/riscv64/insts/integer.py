"""riscv64: integer computation, control transfer, loads and stores, multiplication and division, conditional zero.

Legend: the operands are in `common`; the encoding is the manual's picture. Division by zero and overflow do not trap.
Source: The RISC-V Instruction Set Manual, Volume I (20240411), chapters 2, 4 (RV64I), 12 (M), 13 (Zicond), 6 (Zicsr).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from liftcheck.bits.build import (
    add,
    ashr,
    band,
    bnot,
    bor,
    bxor,
    eq,
    extract,
    ite,
    lshr,
    mul,
    ne,
    nonzero,
    sdiv,
    sext,
    shl,
    sle,
    slt,
    srem,
    sub,
    trunc,
    udiv,
    ule,
    ult,
    urem,
    zext,
)
from liftcheck.bits.term import Term, const
from liftcheck.isa.riscv64.insts.common import KINDS, inst, narrow, plain
from liftcheck.mach.rows.machine import ALWAYS, PC, Machine, NoMeaning
from liftcheck.mach.rows.row import Row, alias

_BIT0: Final = const(-2, 64)


def shifted(shift: Callable[[Term, Term], Term]) -> Callable[[Term, Term], Term]:
    """A shift by the low bits of the second operand: six of 64, five of 32."""
    return lambda a, n: shift(a, band(n, const(a.lane - 1, a.lane)))


def flag(condition: Callable[[Term, Term], Term]) -> Callable[[Term, Term], Term]:
    """1 where the condition holds, else 0."""
    return lambda a, b: zext(condition(a, b), 64)


def high(a_signed: bool, b_signed: bool) -> Callable[[Term, Term], Term]:
    """The upper half of the product."""

    def product(a: Term, b: Term) -> Term:
        wide = (sext if a_signed else zext)(a, 2 * a.lane), (sext if b_signed else zext)(b, 2 * a.lane)
        return extract(mul(*wide), a.lane, a.lane)

    return product


def quotient(divide: Callable[[Term, Term], Term]) -> Callable[[Term, Term], Term]:
    """All ones where the divisor is zero; overflow wraps."""
    return lambda a, b: ite(eq(b, const(0, b.lane, b.lanes)), const(-1, b.lane, b.lanes), divide(a, divisor(b)))


def remainder(divide: Callable[[Term, Term], Term]) -> Callable[[Term, Term], Term]:
    """The dividend where the divisor is zero."""
    return lambda a, b: ite(eq(b, const(0, b.lane, b.lanes)), a, divide(a, divisor(b)))


def divisor(b: Term) -> Term:
    """The divisor, 1 for 0, for which the terms have no quotient."""
    return ite(eq(b, const(0, b.lane, b.lanes)), const(1, b.lane, b.lanes), b)


def ge(a: Term, b: Term) -> Term:
    """a >= b, signed."""
    return sle(b, a)


def geu(a: Term, b: Term) -> Term:
    """a >= b, unsigned."""
    return ule(b, a)


# name, funct3, meaning of the instruction on registers and on an immediate
_BOTH: Final = (
    ("add", "000", add),
    ("slt", "010", flag(slt)),
    ("sltu", "011", flag(ult)),
    ("xor", "100", bxor),
    ("or", "110", bor),
    ("and", "111", band),
)
_REGISTERS: Final = (
    ("sub", "0100000", "000", sub), ("sll", "0000000", "001", shifted(shl)), ("srl", "0000000", "101", shifted(lshr)),
    ("sra", "0100000", "101", shifted(ashr)),
)  # fmt: skip
_WORDS: Final = (
    ("addw", "0000000", "000", add), ("subw", "0100000", "000", sub), ("sllw", "0000000", "001", shifted(shl)),
    ("srlw", "0000000", "101", shifted(lshr)), ("sraw", "0100000", "101", shifted(ashr)),
)  # fmt: skip
_MULTIPLY: Final = (
    ("mul", "000", mul), ("mulh", "001", high(True, True)), ("mulhsu", "010", high(True, False)),
    ("mulhu", "011", high(False, False)), ("div", "100", quotient(sdiv)), ("divu", "101", quotient(udiv)),
    ("rem", "110", remainder(srem)), ("remu", "111", remainder(urem)),
)  # fmt: skip
_MULTIPLY_WORDS: Final = (
    ("mulw", "000", mul), ("divw", "100", quotient(sdiv)), ("divuw", "101", quotient(udiv)),
    ("remw", "110", remainder(srem)), ("remuw", "111", remainder(urem)),
)  # fmt: skip
_BRANCHES: Final = (
    ("beq", "000", eq), ("bne", "001", ne), ("blt", "100", slt), ("bge", "101", ge), ("bltu", "110", ult),
    ("bgeu", "111", geu),
)  # fmt: skip
_LOADS: Final = (
    ("lb", "000", 1, sext), ("lh", "001", 2, sext), ("lw", "010", 4, sext), ("ld", "011", 8, sext),
    ("lbu", "100", 1, zext), ("lhu", "101", 2, zext), ("lwu", "110", 4, zext),
)  # fmt: skip
_STORES: Final = (("sb", "000", 1), ("sh", "001", 2), ("sw", "010", 4), ("sd", "011", 8))


def load(size: int, extend: Callable[[Term, int], Term]) -> Callable[..., Term]:
    """rd from memory at rs1 + imm."""
    return lambda s, imm, rs1: extend(s.load(add(rs1, imm), size), 64)


def store(size: int) -> Callable[..., None]:
    """The low bytes of rs2 to memory at rs1 + imm."""

    def meaning(s: Machine, rs2: Term, imm: Term, rs1: Term) -> None:
        s.store(add(rs1, imm), trunc(rs2, 8 * size))

    return meaning


def branch(condition: Callable[[Term, Term], Term]) -> Callable[..., None]:
    """To the target if the condition holds."""

    def meaning(s: Machine, a: Term, b: Term, target: Term) -> None:
        s.jump(target, condition(a, b))

    return meaning


def upper(value: Term) -> Term:
    """The immediate of `lui`, `auipc`."""
    return sext(shl(zext(value, 32), const(12, 32)), 64)


def jal(s: Machine, target: Term) -> Term:
    """The address of what follows; control goes to the target."""
    s.jump(target, ALWAYS, "call")
    return s.next


def jalr(s: Machine, imm: Term, rs1: Term) -> Term:
    """As `jal`, to rs1 + imm with bit 0 cleared."""
    s.jump(band(add(rs1, imm), _BIT0), ALWAYS, "call")
    return s.next


def jump_to(kind: str) -> Callable[..., None]:
    """To rs1 + imm with bit 0 cleared."""

    def meaning(s: Machine, imm: Term, rs1: Term) -> None:
        s.jump(band(add(rs1, imm), _BIT0), ALWAYS, kind)

    return meaning


def trap(code: str) -> Callable[[Machine], None]:
    """Always."""
    return lambda s: s.trap(ALWAYS, code)


def _csr(s: Machine, *values: Term) -> Term:
    raise NoMeaning("control and status registers")


def _frm(update: Callable[[Term, Term], Term]) -> Callable[..., Term]:
    """The rounding mode: the old one goes to rd. One that there is not makes later arithmetic trap."""

    def meaning(s: Machine, value: Term) -> Term:
        old = s.read("frm")
        s.write("frm", update(old, trunc(value, 3)))
        return zext(old, 64)

    return meaning


_UPDATES: Final[tuple[tuple[str, str, Callable[[Term, Term], Term]], ...]] = (
    ("csrrw", "01", lambda old, value: value),
    ("csrrs", "10", bor),
    ("csrrc", "11", lambda old, v: band(old, bnot(v))),
)
_NOTHING: Final = "a hint or an ordering of accesses: there is nothing to see"


def _integer() -> Iterator[Row]:
    for name, three, meaning in _BOTH:
        unsigned = {"sltu": "sltiu"}.get(name, name + "i")
        yield plain(f"{name} rd, rs1, rs2", f"0000000 rs2 rs1 {three} rd 0110011", meaning, "2.4.2")
        yield plain(f"{unsigned} rd, rs1, imm", f"imm:12 rs1 {three} rd 0010011", meaning, "2.4.1")
    for name, seven, three, meaning in _REGISTERS:
        yield plain(f"{name} rd, rs1, rs2", f"{seven} rs2 rs1 {three} rd 0110011", meaning, "2.4.2")
    for name, seven, three, meaning in _WORDS:
        yield plain(f"{name} rd, rs1, rs2", f"{seven} rs2 rs1 {three} rd 0111011", narrow(meaning), "4.2.2")
    yield plain("addiw rd, rs1, imm", "imm:12 rs1 000 rd 0011011", narrow(add), "4.2.1")
    for name, six, three, meaning in (("slli", "000000", "001", shl), ("srli", "000000", "101", lshr),
                                      ("srai", "010000", "101", ashr)):  # fmt: skip
        yield plain(f"{name} rd, rs1, shamt", f"{six} shamt rs1 {three} rd 0010011", meaning, "4.2.1")
        word_meaning = narrow(meaning)
        yield plain(f"{name}w rd, rs1, shamt", f"{six} 0 shamt:5 rs1 {three} rd 0011011", word_meaning, "4.2.1")
    yield plain("lui rd, upper", "upper:20 rd 0110111", upper, "2.4.1")
    yield plain("auipc rd, upper", "upper:20 rd 0010111", lambda value: add(PC, upper(value)), "2.4.1")
    for name, seven, three, meaning in (("czero.eqz", "0000111", "101", _zero_if(False)),
                                        ("czero.nez", "0000111", "111", _zero_if(True))):  # fmt: skip
        yield plain(f"{name} rd, rs1, rs2", f"{seven} rs2 rs1 {three} rd 0110011", meaning, "13", "zicond")


def _zero_if(nonzero_wanted: bool) -> Callable[[Term, Term], Term]:
    zero = const(0, 64)
    return lambda a, c: ite(nonzero(c), zero, a) if nonzero_wanted else ite(nonzero(c), a, zero)


def _multiply() -> Iterator[Row]:
    for name, three, meaning in _MULTIPLY:
        yield plain(f"{name} rd, rs1, rs2", f"0000001 rs2 rs1 {three} rd 0110011", meaning, "12", "m")
    for name, three, meaning in _MULTIPLY_WORDS:
        yield plain(f"{name} rd, rs1, rs2", f"0000001 rs2 rs1 {three} rd 0111011", narrow(meaning), "12", "m")


def _memory() -> Iterator[Row]:
    for name, three, size, extend in _LOADS:
        yield inst(f"{name} rd, offset(rs1)", f"imm:12 rs1 {three} rd 0000011", load(size, extend), "2.6, 4.3")
    for name, three, size in _STORES:
        yield inst(f"{name} rs2, offset(rs1)", f"imm[11:5] rs2 rs1 {three} imm[4:0] 0100011", store(size), "2.6, 4.3")


def _control() -> Iterator[Row]:
    yield inst("jal rd, jump", "jump[20|10:1|11|19:12] rd 1101111", jal, "2.5.1")
    yield inst("j jump", "jump[20|10:1|11|19:12] 00000 1101111", lambda s, target: s.jump(target), "2.5.1")
    yield inst("jalr rd, imm(rs1)", "imm:12 rs1 000 rd 1100111", jalr, "2.5.1", untested=_ANYWHERE)
    yield inst("jr imm(rs1)", "imm:12 rs1 000 00000 1100111", jump_to("jump"), "2.5.1", untested=_ANYWHERE)
    yield inst("ret", "000000000000 00001 000 00000 1100111", _return, "2.5.1", untested=_ANYWHERE)
    for name, three, condition in _BRANCHES:
        picture = f"branch[12|10:5] rs2 rs1 {three} branch[4:1|11] 1100011"
        yield inst(f"{name} rs1, rs2, branch", picture, branch(condition), "2.5.2")


_ANYWHERE: Final = "it jumps to wherever a register says"


def _return(s: Machine) -> None:
    jump_to("return")(s, const(0, 64), s.read(1))


def _system() -> Iterator[Row]:
    yield inst("fence pred, succ", "0000 pred succ 00000 000 00000 0001111", _nothing, "2.7", untested=_NOTHING)
    yield inst("fence.tso", "1000 0011 0011 00000 000 00000 0001111", _nothing, "2.7", untested=_NOTHING)
    yield inst("fence.i", "000000000000 00000 001 00000 0001111", _nothing, "5", "zifencei", _NOTHING)
    yield inst("ebreak", "000000000001 00000 000 00000 1110011", trap("break"), "2.8", untested="it traps")
    yield inst("ecall", "000000000000 00000 000 00000 1110011", trap("system call"), "2.8", untested="it traps")
    for name, two, update in _UPDATES:
        for suffix, bit, source in (("", "0", "rs1"), ("i", "1", "uimm5")):
            tail = f"rs1 {bit}{two} rd 1110011"
            yield inst(f"{name}{suffix} rd, frm, {source}", f"000000000010 {tail}", _frm(update), "21.2", "f")
            yield inst(f"{name}{suffix} rd, csr, {source}", f"csr {tail}", _csr, "6.1", "zicsr", "no meaning")


def _nothing(s: Machine, *orders: Term) -> None:
    """Nothing that terms can see."""


def _aliases(rows: dict[str, Row]) -> Iterator[Row]:
    yield alias(rows["fence"], "fence", KINDS, pred=15, succ=15)
    yield alias(rows["addi"], "nop", KINDS, rd=0, rs1=0, imm=0)
    yield alias(rows["addi"], "li rd, imm", KINDS, rs1=0)
    yield alias(rows["addi"], "mv rd, rs1", KINDS, imm=0)
    yield alias(rows["xori"], "not rd, rs1", KINDS, imm=-1)
    yield alias(rows["sub"], "neg rd, rs2", KINDS, rs1=0)
    yield alias(rows["subw"], "negw rd, rs2", KINDS, rs1=0)
    yield alias(rows["addiw"], "sext.w rd, rs1", KINDS, imm=0)
    yield alias(rows["sltiu"], "seqz rd, rs1", KINDS, imm=1)
    yield alias(rows["sltu"], "snez rd, rs2", KINDS, rs1=0)
    yield alias(rows["slt"], "sltz rd, rs1", KINDS, rs2=0)
    yield alias(rows["slt"], "sgtz rd, rs2", KINDS, rs1=0)
    yield alias(rows["jal"], "jal jump", KINDS, rd=1)
    yield alias(rows["jalr"], "jalr rs1", KINDS, rd=1, imm=0)
    yield alias(rows["jr"], "jr rs1", KINDS, imm=0)
    for name, base in (("beqz", "beq"), ("bnez", "bne"), ("bgez", "bge"), ("bltz", "blt")):
        yield alias(rows[base], f"{name} rs1, branch", KINDS, rs2=0)
    for name, base in (("blez", "bge"), ("bgtz", "blt")):
        yield alias(rows[base], f"{name} rs2, branch", KINDS, rs1=0)


def _rows() -> Iterator[Row]:
    made = [*_integer(), *_multiply(), *_memory(), *_control(), *_system()]
    yield from made
    yield from _aliases({row.name: row for row in made})


ROWS: Final = tuple(_rows())
