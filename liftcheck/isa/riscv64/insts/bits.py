"""riscv64: bit manipulation: Zba, Zbb, Zbc, Zbs, Zbkb.

Source: The RISC-V Instruction Set Manual, Volume I (20240411), chapter 28 (B) and 31 (scalar cryptography).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from liftcheck.bits import build as b
from liftcheck.bits.term import Term, const
from liftcheck.isa.riscv64.insts.common import KINDS, narrow, plain
from liftcheck.isa.riscv64.insts.integer import shifted
from liftcheck.mach.rows.row import Row, alias

_ONE: Final = const(1, 64)


def _shift_add(count: int) -> Callable[[Term, Term], Term]:
    return lambda a, c: b.add(b.shl(a, const(count, 64)), c)


def unsigned_word(a: Term) -> Term:
    """The low word, zero-extended."""
    return b.zext(b.trunc(a, 32), 64)


def carryless(a: Term, c: Term) -> Term:
    """The carry-less product, of twice the width."""
    width = a.lane
    wide, total = b.zext(a, 2 * width), const(0, 2 * width, a.lanes)
    for bit in range(width):
        mask = b.sext(b.extract(c, bit, 1), 2 * width)
        total = b.bxor(total, b.band(b.shl(wide, const(bit, 2 * width, a.lanes)), mask))
    return total


def _single(n: Term) -> Term:
    return shifted(b.shl)(_ONE, n)


def _bit(a: Term, n: Term) -> Term:
    return b.band(shifted(b.lshr)(a, n), _ONE)


def _or_combine(a: Term) -> Term:
    lanes = b.shape(a, 8, 8)
    return b.scalar(b.sext(b.nonzero(lanes), 8))


def reversed_in_bytes(a: Term) -> Term:
    """Each byte's bits in reverse order."""
    return b.shape(b.bitrev(b.shape(a, 8, a.bits // 8)), a.lane, a.lanes)


def _pack(a: Term, c: Term) -> Term:
    half = a.lane // 2
    return b.concat(b.trunc(c, half), b.trunc(a, half))


def _pack_bytes(a: Term, c: Term) -> Term:
    return b.zext(b.concat(b.trunc(c, 8), b.trunc(a, 8)), 64)


_REGISTERS: Final[tuple[tuple[str, str, str, Callable[[Term, Term], Term], str], ...]] = (
    ("sh1add", "0010000", "010", _shift_add(1), "zba"), ("sh2add", "0010000", "100", _shift_add(2), "zba"),
    ("sh3add", "0010000", "110", _shift_add(3), "zba"),
    ("andn", "0100000", "111", lambda a, c: b.band(a, b.bnot(c)), "zbb"),
    ("orn", "0100000", "110", lambda a, c: b.bor(a, b.bnot(c)), "zbb"),
    ("xnor", "0100000", "100", lambda a, c: b.bnot(b.bxor(a, c)), "zbb"),
    ("min", "0000101", "100", b.smin, "zbb"), ("minu", "0000101", "101", b.umin, "zbb"),
    ("max", "0000101", "110", b.smax, "zbb"), ("maxu", "0000101", "111", b.umax, "zbb"),
    ("rol", "0110000", "001", b.rotl, "zbb"), ("ror", "0110000", "101", b.rotr, "zbb"),
    ("clmul", "0000101", "001", lambda a, c: b.trunc(carryless(a, c), 64), "zbc"),
    ("clmulh", "0000101", "011", lambda a, c: b.extract(carryless(a, c), 64, 64), "zbc"),
    ("clmulr", "0000101", "010", lambda a, c: b.extract(carryless(a, c), 63, 64), "zbc"),
    ("bset", "0010100", "001", lambda a, n: b.bor(a, _single(n)), "zbs"),
    ("bclr", "0100100", "001", lambda a, n: b.band(a, b.bnot(_single(n))), "zbs"),
    ("binv", "0110100", "001", lambda a, n: b.bxor(a, _single(n)), "zbs"),
    ("bext", "0100100", "101", _bit, "zbs"),
    ("pack", "0000100", "100", _pack, "zbkb"), ("packh", "0000100", "111", _pack_bytes, "zbkb"),
)  # fmt: skip
_WORDS: Final[tuple[tuple[str, str, str, Callable[[Term, Term], Term], str], ...]] = (
    ("add.uw", "0000100", "000", lambda a, c: b.add(unsigned_word(a), c), "zba"),
    ("sh1add.uw", "0010000", "010", lambda a, c: _shift_add(1)(unsigned_word(a), c), "zba"),
    ("sh2add.uw", "0010000", "100", lambda a, c: _shift_add(2)(unsigned_word(a), c), "zba"),
    ("sh3add.uw", "0010000", "110", lambda a, c: _shift_add(3)(unsigned_word(a), c), "zba"),
    ("rolw", "0110000", "001", narrow(b.rotl), "zbb"), ("rorw", "0110000", "101", narrow(b.rotr), "zbb"),
    ("packw", "0000100", "100", narrow(_pack), "zbkb"),
)  # fmt: skip
_IMMEDIATES: Final[tuple[tuple[str, str, str, Callable[[Term, Term], Term], str], ...]] = (
    ("rori", "011000", "101", b.rotr, "zbb"),
    ("bseti", "001010", "001", lambda a, n: b.bor(a, _single(n)), "zbs"),
    ("bclri", "010010", "001", lambda a, n: b.band(a, b.bnot(_single(n))), "zbs"),
    ("binvi", "011010", "001", lambda a, n: b.bxor(a, _single(n)), "zbs"),
    ("bexti", "010010", "101", _bit, "zbs"),
)  # fmt: skip
_ONE_OPERAND: Final[tuple[tuple[str, str, str, str, Callable[[Term], Term], str], ...]] = (
    ("clz", "011000000000", "001", "0010011", b.clz, "zbb"), ("ctz", "011000000001", "001", "0010011", b.ctz, "zbb"),
    ("cpop", "011000000010", "001", "0010011", b.popcnt, "zbb"),
    ("clzw", "011000000000", "001", "0011011", narrow(b.clz), "zbb"),
    ("ctzw", "011000000001", "001", "0011011", narrow(b.ctz), "zbb"),
    ("cpopw", "011000000010", "001", "0011011", narrow(b.popcnt), "zbb"),
    ("sext.b", "011000000100", "001", "0010011", lambda a: b.sext(b.trunc(a, 8), 64), "zbb"),
    ("sext.h", "011000000101", "001", "0010011", lambda a: b.sext(b.trunc(a, 16), 64), "zbb"),
    ("orc.b", "001010000111", "101", "0010011", _or_combine, "zbb"),
    ("rev8", "011010111000", "101", "0010011", b.bswap, "zbb"),
    ("brev8", "011010000111", "101", "0010011", reversed_in_bytes, "zbkb"),
)  # fmt: skip


def _rows() -> Iterator[Row]:
    for name, seven, three, meaning, needs in _REGISTERS:
        yield plain(f"{name} rd, rs1, rs2", f"{seven} rs2 rs1 {three} rd 0110011", meaning, "28", needs)
    words = []
    for name, seven, three, meaning, needs in _WORDS:
        words.append(plain(f"{name} rd, rs1, rs2", f"{seven} rs2 rs1 {three} rd 0111011", meaning, "28", needs))
    yield from words
    for name, six, three, meaning, needs in _IMMEDIATES:
        yield plain(f"{name} rd, rs1, shamt", f"{six} shamt rs1 {three} rd 0010011", meaning, "28", needs)
    yield plain("roriw rd, rs1, shamtw", "0110000 shamt:5 rs1 101 rd 0011011", narrow(b.rotr), "28.4.28", "zbb")
    yield plain("slli.uw rd, rs1, shamt", "000010 shamt rs1 001 rd 0011011",
                lambda a, n: b.shl(unsigned_word(a), n), "28.4.36", "zba")  # fmt: skip
    for name, twelve, three, major, one, needs in _ONE_OPERAND:
        yield plain(f"{name} rd, rs1", f"{twelve} rs1 {three} rd {major}", one, "28", needs)
    yield plain("zext.h rd, rs1", "0000100 00000 rs1 100 rd 0111011", lambda a: b.zext(b.trunc(a, 16), 64), "28.4.44",
                "zbb")  # fmt: skip
    yield alias(words[0], "zext.w rd, rs1", KINDS, rs2=0)


ROWS: Final = tuple(_rows())
