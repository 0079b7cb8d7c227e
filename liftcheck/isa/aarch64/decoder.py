"""aarch64's instructions: accesses and exact meanings, read off the encoding.

The one idea: A64 keeps its register fields in fixed places (d: bits 0-4, n: 5-9, a: 10-14, m: 16-20), so which
registers an instruction reads is a question of its encoding class alone. Capstone's access lists are wrong for whole
classes (`cmp` writes its operand, shifts by immediates read their target, narrowing into the upper half does not), so
Capstone only names the instruction; `tests/mach/test_machine.py` holds what it gets wrong and asks an emulator.

Classes that no compiler of ours emits (SVE, tags, most system instructions) are not known: see `mach.insn.Insn.known`.
The effects of loads, stores, moves and address arithmetic are in `effects`.
Source: Arm ARM (DDI 0487) C4.1, 'A64 instruction set encoding'.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

from liftcheck.isa.aarch64 import ISA
from liftcheck.isa.aarch64.effects import FLOAT_FIRST, LINK, SP, effect
from liftcheck.mach.capstone import opened
from liftcheck.mach.insn import (
    BRANCH,
    CALL,
    CONTROL,
    FLAGS,
    JUMP,
    MEMORY,
    ORDINARY,
    PC,
    RETURN,
    TRAP,
    Access,
    Insn,
    unknown,
)
from liftcheck.mach.regs import NONE

_DISASSEMBLER: Final = opened(ISA.name)


class _Uses(NamedTuple):
    """What a class's decoder says. Registers may be ZERO: they are left out later."""

    reads: tuple[int, ...] = ()
    writes: tuple[int, ...] = ()
    flow: int = ORDINARY
    target: int | None = None
    accesses: tuple[Access, ...] = ()


_Decoder = Callable[[int], "_Uses | None"]
ZERO: Final = 31


def read(window: bytes) -> Insn:
    """See `mach.insn.Reader`."""
    if len(window) < 4:
        return unknown(len(window))
    word = int.from_bytes(window[:4], "little")
    uses = _CLASSES[word >> 25 & 15](word)
    named = next(_DISASSEMBLER.disasm_lite(window[:4], 0, 1), None)
    if uses is None or named is None:
        return unknown(4, *(named[2:] if named else ()))
    reads, writes = ({r for r in registers if r != ZERO} for registers in (uses.reads, uses.writes))
    for access in uses.accesses:
        reads |= {MEMORY} if access.read else set()
        writes |= {MEMORY} if access.written else set()
    twice = frozenset(r for r in reads if uses.reads.count(r) > 1)
    return Insn(
        4,
        named[2],
        named[3],
        frozenset(reads),
        frozenset(writes),
        uses.flow,
        effect(word),
        uses.target,
        uses.accesses,
        twice=twice,
    )


def _d(word: int) -> int:
    return word & 31


def _n(word: int) -> int:
    return word >> 5 & 31


def _a(word: int) -> int:
    return word >> 10 & 31


def _m(word: int) -> int:
    return word >> 16 & 31


def _or_sp(number: int) -> int:
    """31 means the stack pointer here."""
    return SP if number == 31 else number


def _v(number: int) -> int:
    return FLOAT_FIRST + number


def _signed(value: int, bits: int) -> int:
    return value - (value >> bits - 1 << bits)


def _reserved(word: int) -> _Uses | None:
    """udf; the rest is SVE or nothing."""
    return None if word >> 16 else _Uses((), (), TRAP)


# Integers.


def _immediate(word: int) -> _Uses | None:
    """Data processing with an immediate."""
    d, n = _d(word), _n(word)
    kind = word >> 23 & 7
    if kind <= 1:
        near = _signed(word >> 3 & 0x1FFFFC | word >> 29 & 3, 21)
        return _Uses((), (d,), target=None if word >> 31 else near)
    if kind == 2:
        sets = word >> 29 & 1
        return _Uses((_or_sp(n),), (d, FLAGS) if sets else (_or_sp(d),))
    if kind == 4:
        return _Uses((n,), (d, FLAGS) if word >> 29 & 3 == 3 else (_or_sp(d),))
    if kind == 5:
        keeps = word >> 29 & 3 == 3
        return _Uses((d,) if keeps else (), (d,))
    if kind == 6:
        merges = word >> 29 & 3 == 1
        return _Uses((n, d) if merges else (n,), (d,))
    if kind == 7:
        return _Uses((n, _m(word)), (d,))
    return None


def _branch(word: int) -> _Uses | None:
    if word >> 26 & 31 == 0b00101:
        target = 4 * _signed(word & 0x3FFFFFF, 26)
        return _Uses((), (LINK,), CALL, target) if word >> 31 else _Uses((), (), JUMP, target)
    if word >> 24 == 0b01010100:
        return _Uses((FLAGS,), (), BRANCH, 4 * _signed(word >> 5 & 0x7FFFF, 19))
    if word >> 25 & 63 == 0b011010:
        return _Uses((_d(word),), (), BRANCH, 4 * _signed(word >> 5 & 0x7FFFF, 19))
    if word >> 25 & 63 == 0b011011:
        return _Uses((_d(word),), (), BRANCH, 4 * _signed(word >> 5 & 0x3FFF, 14))
    if word >> 25 == 0b1101011:
        return _to_register(word)
    if word >> 24 == 0b11010100:
        return _Uses((), (), TRAP) if word >> 21 & 7 in (1, 2) else None
    return _system(word) if word >> 22 == 0b1101010100 else None


def _to_register(word: int) -> _Uses | None:
    """br, blr, ret; retaa and retab read the link register and the stack pointer."""
    operation, authenticates = word >> 21 & 15, word >> 11 & 1
    if operation == 2:
        return _Uses((LINK, SP) if authenticates else (_n(word),), (), RETURN)
    if operation > 2 or authenticates:
        return None
    return _Uses((_n(word),), (LINK,), CALL) if operation else _Uses((_n(word),), (), JUMP)


_SIGNING: Final = frozenset({24, 25, 26, 27, 28, 29, 30, 31})
"""Hints that sign or authenticate the link register (paciaz … autibsp)."""
_STRIPPING: Final = 7
"""xpaclri."""


def _system(word: int) -> _Uses | None:
    if word & 0xFFFFF01F == 0xD503201F:
        hint = word >> 5 & 127
        if hint in _SIGNING:
            return _Uses((LINK, SP) if hint & 1 else (LINK,), (LINK,))
        return _Uses((LINK,), (LINK,)) if hint == _STRIPPING else _Uses()
    if word & 0xFFFFF000 == 0xD5033000:
        return _Uses()
    if word >> 20 & 0xFFF == 0xD53:
        return _Uses((_mode(word),), (_d(word),))
    return _Uses((_d(word),), (_mode(word),)) if word >> 20 & 0xFFF == 0xD51 else None


def _mode(word: int) -> int:
    """nzcv, or one of the others."""
    return FLAGS if word >> 5 & 0x7FFF == 0x5A10 else CONTROL


def _register(word: int) -> _Uses | None:
    """Data processing with registers."""
    d, n, m = _d(word), _n(word), _m(word)
    if not word >> 28 & 1:
        if not word >> 24 & 1:
            return _Uses((n, m), (d, FLAGS) if word >> 29 & 3 == 3 else (d,))
        sets, extends = word >> 29 & 1, word >> 21 & 1
        if extends:
            return _Uses((_or_sp(n), m), (d, FLAGS) if sets else (_or_sp(d),))
        return _Uses((n, m), (d, FLAGS) if sets else (d,))
    operation = word >> 21 & 15
    if operation & 8:
        return _Uses((n, m, _a(word)), (d,))
    return _conditional(word, operation)


def _conditional(word: int, operation: int) -> _Uses | None:
    d, n, m = _d(word), _n(word), _m(word)
    if operation == 0 and not word >> 10 & 63:
        return _Uses((n, m, FLAGS), (d, FLAGS) if word >> 29 & 1 else (d,))
    if operation == 2:
        immediate = word >> 11 & 1
        return _Uses((n, FLAGS) if immediate else (n, m, FLAGS), (FLAGS,))
    if operation == 4:
        return _Uses((n, m, FLAGS), (d,))
    if operation == 6:
        return _Uses((n,) if word >> 30 & 1 else (n, m), (d,))
    return None


# Memory.


def _memory(word: int) -> _Uses | None:
    if word >> 28 & 3 == 0:
        return _structures(word) if word >> 26 & 1 else _exclusive(word)
    if word >> 28 & 3 == 1:
        return _literal(word) if not word >> 24 & 1 else None
    if word >> 28 & 3 == 2:
        return _pair(word)
    return _single(word)


def _exclusive(word: int) -> _Uses | None:
    """Exclusive, ordered, compare and swap. o1 with o2 = 0 is a pair."""
    t, n, t2, s = _d(word), _or_sp(_n(word)), _a(word), _m(word)
    size = 1 << (word >> 30)
    ordered, loads, pairs = word >> 23 & 1, word >> 22 & 1, word >> 21 & 1
    if pairs and (ordered or not word >> 31):
        return _compare_and_swap(word) if ordered else _compare_and_swap_pair(word)
    values = (t, t2) if pairs else (t,)
    access = Access(n, 0, size * (1 + pairs), bool(loads), not loads)
    if loads:
        return _Uses((n,), values, accesses=(access,))
    return _Uses((n, *values), () if ordered else (s,), accesses=(access,))


def _compare_and_swap(word: int) -> _Uses:
    t, n, s = _d(word), _or_sp(_n(word)), _m(word)
    return _Uses((t, n, s), (s,), accesses=(Access(n, 0, 1 << (word >> 30), True, True),))


def _compare_and_swap_pair(word: int) -> _Uses | None:
    """casp and its ordered kin, of pairs of registers that begin with an even one."""
    t, n, s = _d(word), _or_sp(_n(word)), _m(word)
    if _a(word) != 31 or (t | s) & 1:
        return None
    size = 8 << (word >> 30 & 1)
    return _Uses((t, t + 1, n, s, s + 1), (s, s + 1), accesses=(Access(n, 0, size, True, True),))


def _literal(word: int) -> _Uses | None:
    t, vector = _d(word), word >> 26 & 1
    if not vector and word >> 30 == 3:
        return _Uses()
    size = (4, 8, 16, 0)[word >> 30] if vector else (4, 8, 4, 0)[word >> 30]
    away = 4 * _signed(word >> 5 & 0x7FFFF, 19)
    return _Uses((), (_v(t) if vector else t,), accesses=(Access(PC, away, size, True, False),)) if size else None


def _pair(word: int) -> _Uses | None:
    mode, loads, vector = word >> 23 & 3, bool(word >> 22 & 1), word >> 26 & 1
    size = 4 << (word >> 30) if vector else (4, 4, 8, 0)[word >> 30]
    if size not in (4, 8, 16):
        return None
    n = _or_sp(_n(word))
    values = (_v(_d(word)), _v(_a(word))) if vector else (_d(word), _a(word))
    displacement = 0 if mode == 1 else size * _signed(word >> 15 & 127, 7)
    access = Access(n, displacement, 2 * size, loads, not loads)
    back = (n,) if mode & 1 else ()
    return _Uses((n,), (*values, *back), accesses=(access,)) if loads else _Uses((n, *values), back, accesses=(access,))


def _single(word: int) -> _Uses | None:
    """One register: by unsigned offset, by signed offset with or without write-back, by register, atomics."""
    vector, operation = word >> 26 & 1, word >> 22 & 3
    size = 1 << (word >> 30 | (4 if vector and operation & 2 else 0))
    if size > 16:
        return None
    loads = bool(operation & 1) if vector else operation > 0
    scaled, mode = word >> 24 & 1, word >> 10 & 3
    atomic = not scaled and word >> 21 & 1 and mode == 0
    if atomic:
        return _atomic(word, size) if not vector else None
    if not vector and operation == 2 and size == 8:
        return _Uses((_or_sp(_n(word)),))
    if not scaled and word >> 21 & 1:
        return _transfer(word, size, loads, (), 0, _m(word)) if mode == 2 else None
    displacement = size * (word >> 10 & 0xFFF) if scaled else _signed(word >> 12 & 0x1FF, 9)
    back = not scaled and mode & 1
    if not scaled and mode == 1:
        displacement = 0
    return _transfer(word, size, loads, (_or_sp(_n(word)),) if back else (), displacement, NONE)


def _transfer(word: int, size: int, loads: bool, back: tuple[int, ...], displacement: int, by: int) -> _Uses:
    n, t = _or_sp(_n(word)), _v(_d(word)) if word >> 26 & 1 else _d(word)
    access = Access(n, displacement, size, loads, not loads, by)
    bases = (n,) if by == NONE else (n, by)
    return _Uses(bases, (t, *back), accesses=(access,)) if loads else _Uses((*bases, t), back, accesses=(access,))


def _atomic(word: int, size: int) -> _Uses:
    """ldadd and similar ones, swp: s goes to memory, t gets the old value. ldapr reads no s, which is 31."""
    n = _or_sp(_n(word))
    only_loads = word >> 12 & 15 == 12
    return _Uses((n, _m(word)), (_d(word),), accesses=(Access(n, 0, size, True, not only_loads),))


def _structures(word: int) -> _Uses | None:
    """ld1 and st1 of one register, ld1r; with write-back by the size or by a register."""
    if word >> 31:
        return None
    single, back, loads = word >> 24 & 1, word >> 23 & 1, bool(word >> 22 & 1)
    n, t, m = _or_sp(_n(word)), _v(_d(word)), _m(word)
    if word >> 21 & 1 or (not single and word >> 12 & 15 != 7) or (single and word >> 13 & 1):
        return None
    wide = 16 if word >> 30 & 1 else 8
    replicates = single and word >> 14 & 3 == 3
    size = wide if not single else 1 << (word >> 10 & 3) if replicates else _lane_size(word)
    reads = (n,) if not back or m == 31 else (n, m)
    access = Access(n, 0, size, loads, not loads)
    if not loads:
        return _Uses((*reads, t), (n,) if back else (), accesses=(access,))
    merges = (t,) if single and not replicates else ()
    return _Uses((*reads, *merges), (t, n) if back else (t,), accesses=(access,))


def _lane_size(word: int) -> int:
    """Of ld1 and st1 of one lane: opcode 000 bytes, 010 halves, 100 words, or doublewords with the lowest size bit."""
    scale = word >> 14 & 3
    return 8 if scale == 2 and word >> 10 & 1 else 1 << scale


# Floats and vectors.


def _vector(word: int) -> _Uses | None:
    if word >> 31 == 0 and word >> 24 & 0x1F in (0b01110, 0b01111):
        return _simd(word, not word >> 24 & 1)
    if word >> 30 == 1 and word >> 24 & 0x1F in (0b11110, 0b11111):
        return _simd(word, not word >> 24 & 1)
    if word >> 29 & 3 == 0 and word >> 24 & 0x1F == 0b11111:
        return _Uses((_v(_n(word)), _v(_m(word)), _v(_a(word))), (_v(_d(word)),))
    return _scalar(word) if word >> 29 & 3 == 0 and word >> 24 & 0x1F == 0b11110 else None


def _scalar(word: int) -> _Uses | None:
    """Floating point of one value."""
    d, n, m = _v(_d(word)), _v(_n(word)), _v(_m(word))
    if not word >> 21 & 1 or not word >> 10 & 63:
        return _conversion(word)
    if word >> 31:
        return None
    if word >> 10 & 31 == 16:
        return _Uses((n,), (d,))
    if word >> 10 & 15 == 8:
        return _Uses((n,) if word >> 3 & 1 else (n, m), (FLAGS,))
    if word >> 10 & 7 == 4:
        return _Uses((), (d,))
    kind = word >> 10 & 3
    if kind == 1:
        return _Uses((n, m, FLAGS), (FLAGS,))
    return _Uses((n, m, FLAGS) if kind == 3 else (n, m), (d,))


def _conversion(word: int) -> _Uses | None:
    """Between floats and integers; opcode 7 with mode 1 sets the upper half of a vector register, keeps the lower."""
    operation, mode = word >> 16 & 7, word >> 19 & 3
    if operation in (2, 3) or (operation == 7 and mode == 0):
        return _Uses((_n(word),), (_v(_d(word)),))
    if operation == 7:
        return _Uses((_n(word), _v(_d(word))), (_v(_d(word)),)) if mode == 1 else None
    return _Uses((_v(_n(word)),), (_d(word), FLAGS) if operation == 6 and mode == 3 else (_d(word),))


def _simd(word: int, first_half: bool) -> _Uses | None:
    """Advanced SIMD of vectors and of scalars: the encodings are the same except for two bits."""
    if not first_half:
        return _by_immediate(word) if word >> 10 & 1 else _by_element(word)
    if word >> 21 & 1:
        return _three_or_two(word)
    if word >> 15 & 1:
        return _three_extra(word) if word >> 10 & 1 else None
    if word >> 22 & 3 and word >> 10 & 1:
        return _three_half(word) if word >> 22 & 1 and word >> 14 & 3 == 0 else None
    return _copy(word) if word >> 10 & 1 else _permutation(word)


def _merged(word: int, merges: bool, *sources: int) -> _Uses:
    d = _v(_d(word))
    return _Uses((*sources, d) if merges else sources, (d,))


def _copy(word: int) -> _Uses | None:
    """dup, ins, smov, umov."""
    operation = word >> 11 & 15
    if word >> 29 & 1:
        return _merged(word, True, _v(_n(word)))
    if operation in (5, 7):
        return _Uses((_v(_n(word)),), (_d(word),))
    if operation in (1, 3):
        return _merged(word, operation == 3, _n(word))
    return _merged(word, False, _v(_n(word))) if operation == 0 else None


def _permutation(word: int) -> _Uses | None:
    """ext, zip, uzp, trn; tbl and tbx look up in 1 to 4 registers from n on."""
    n, m = _n(word), _v(_m(word))
    if word >> 29 & 1 or word >> 10 & 3 == 2:
        return _merged(word, False, _v(n), m)
    if word >> 10 & 3 or word >> 22 & 3:
        return None
    table = tuple(_v((n + i) % 32) for i in range((word >> 13 & 3) + 1))
    return _merged(word, bool(word >> 12 & 1), *table, m)


_UPPER_NARROWING: Final = frozenset({0b10010, 0b10100, 0b10110})
"""xtn, sqxtn, uqxtn, sqxtun, fcvtn, fcvtxn: into the upper half with Q."""


def _three_or_two(word: int) -> _Uses | None:
    n, m = _v(_n(word)), _v(_m(word))
    unsigned, upper = word >> 29 & 1, word >> 30 & 1 and not word >> 28 & 1
    if word >> 10 & 1:
        operation = word >> 11 & 31
        merges = operation in (0b10010, 0b01111) or (operation == 0b11001 and not unsigned)
        merges = merges or (operation == 3 and bool(unsigned and word >> 22 & 3))
        return _merged(word, merges or (operation == 0b11101 and not word >> 28 & 1 and not unsigned), n, m)
    if word >> 10 & 3 == 0:
        operation = word >> 12 & 15
        merges = operation in (5, 8, 9, 10, 11) or (operation in (4, 6) and bool(upper))
        return _merged(word, merges, n, m)
    operation, group = word >> 12 & 31, word >> 17 & 31
    if group == 0b10000:
        return _merged(word, operation in (3, 6) or bool(upper and operation in _UPPER_NARROWING), n)
    return _merged(word, False, n) if group in (0b11000, 0b11100) else None


def _three_extra(word: int) -> _Uses | None:
    """sqrdmlah, sqrdmlsh, dot products, fcmla merge; fcadd does not."""
    operation = word >> 11 & 15
    return _merged(word, operation not in (12, 14), _v(_n(word)), _v(_m(word)))


def _three_half(word: int) -> _Uses | None:
    """Three registers of half floats: fmla and fmls merge."""
    operation, unsigned = word >> 11 & 7, word >> 29 & 1
    return _merged(word, operation == 1 and not unsigned, _v(_n(word)), _v(_m(word)))


def _by_element(word: int) -> _Uses | None:
    """m has four bits where the elements are halves; products that accumulate merge."""
    operation, unsigned, size = word >> 12 & 15, word >> 29 & 1, word >> 22 & 3
    halves = size == 1 or (size == 0 and operation in (1, 5, 9))
    m = word >> 16 & 15 if halves else _m(word)
    merges = operation in (1, 2, 3, 5, 6, 7, 14, 15) or (operation in (0, 4) and bool(unsigned))
    return _merged(word, merges or (operation == 13 and bool(unsigned)), _v(_n(word)), _v(m))


def _by_immediate(word: int) -> _Uses | None:
    """Shifts by immediates, and with bits 19-22 zero: vectors of a constant (orr and bic merge)."""
    if word >> 19 & 15:
        operation, unsigned = word >> 11 & 31, word >> 29 & 1
        upper = word >> 30 & 1 and not word >> 28 & 1
        merges = operation in (2, 6) or (operation in (8, 10) and bool(unsigned))
        return _merged(word, merges or (16 <= operation <= 19 and bool(upper)), _v(_n(word)))
    if word >> 28 & 1:
        return None
    mode = word >> 12 & 15
    return _merged(word, bool(mode & 1) and mode < 12)


_CLASSES: Final[tuple[_Decoder, ...]] = tuple(
    _immediate
    if kind in (8, 9)
    else _branch
    if kind in (10, 11)
    else _memory
    if kind & 5 == 4
    else _register
    if kind & 7 == 5
    else _vector
    if kind & 7 == 7
    else _reserved
    for kind in range(16)
)
"""By bits 25-28."""
