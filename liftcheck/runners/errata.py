"""Instructions that a runner is known to get wrong: found in the code before it runs, so that the compiler is not
blamed.

The one idea: a row says which runner is wrong in what, how to see such an instruction in machine code, and carries a
proof: code, arguments, the right result and the runner's. tests/runners/test_errata.py runs the proofs, so a row
goes away when its emulator is mended. Rows without a finder are wrong in ways that code of Cranelift does not show;
they say why. `first` is on the hot path: a byte pattern is looked for first, and code that has none costs a
microsecond. A runner whose process dies of code that no row knows says so with its last words (`own_words`); then a row
is missing. Which extensions a runner has not at all: features.py.
Sources: differential runs of Unicorn 2.1.4 against qemu-user 7.2 and an x86-64 processor, 700 operand triples for each
of 750 instructions; the architecture manuals.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import cache
from typing import Final, NamedTuple

from liftcheck.case import FunctionCode
from liftcheck.isa.riscv64.nan_boxes import depends_on_boxes, may_depend_on_boxes
from liftcheck.isa.s390x.thunks import SILENT, TEST, missed_conversion, missed_test
from liftcheck.mach.capstone import disassembler, mnemonics


class Proof(NamedTuple):
    """A function of two 64-bit integers that shows the shortcoming, in the ISA's C convention: machine code in hex,
    the arguments, the right result, the result that the runner gives."""

    code: str
    arguments: tuple[int, int]
    right: int
    wrong: int


class Erratum(NamedTuple):
    """One row. `pattern` and `confirm` find it in a function's code, or `whole` in all of a program's, where `exact` is
    dearer and errs less; a row without any of them is harmless, and `harmless` says why. Where
    the runner's process dies, `death` is the proof: code that it dies of, and its last words, or the
    signal for Unicorn, which dies with the process that it is in."""

    runner: str
    isa: str
    name: str
    what: str
    pattern: re.Pattern[bytes] | None = None
    confirm: Callable[[bytes], bool] | None = None
    harmless: str = ""
    proof: Proof | None = None
    death: tuple[str, str] | None = None
    whole: Callable[[Sequence[FunctionCode]], bool] | None = None
    exact: Callable[[Sequence[FunctionCode]], bool] | None = None


_NARROW_SIGNED: Final = re.compile(r"lds(max|min)(a|l|al)?[bh]?$")


_LDSMAX: Final = rb"[\x40-\x43\x50-\x53][\x20-\x3f\x60-\x7f\xa0-\xbf\xe0-\xff][\x38\x78\xb8]"
_LDSMAXES: Final = re.compile(b"(?=%s)" % _LDSMAX, re.DOTALL)
"""All but the lowest byte of an ldsmax, ldsmin; all of them, also those that overlap."""


def _narrow_ldsmax(code: bytes) -> bool:
    """ldsmax, ldsmin of a byte, halfword or 32-bit word (the 64-bit ones are right)."""
    if all(match.start() & 3 != 1 for match in _LDSMAXES.finditer(code)):
        return False  # most matches lie across two instructions
    instructions = disassembler("aarch64").disasm_lite(code, 0)
    return any(
        _NARROW_SIGNED.match(name) and (name[-1] in "bh" or operands.startswith("w"))
        for _, _, name, operands in instructions
    )


_LENGTHS: Final = (2, 4, 4, 6)
_OVERFLOWING: Final = frozenset({0x1A, 0x1B, 0x5A, 0x5B, 0xB908, 0xB909, 0xB9E8, 0xB9E9, 0xB9F8, 0xB9F9,
                                 0xE308, 0xE309, 0xE35A, 0xE35B})  # fmt: skip
"""ar sr a s agr sgr agrk sgrk ark srk ag sg ay sy."""
_KEEP_CC: Final = frozenset({0x18, 0xB904, 0xE304, 0xE324, 0x58, 0x50, 0xA78, 0xA79, 0xC01, 0xC0F, 0x41, 0xE371})
"""Moves that may stand between the addition and what reads its condition: lr lgr lg stg l st lhi lghi lgfi llilf la
lay."""


def _overflow_condition(code: bytes) -> bool:
    """A signed addition or subtraction whose condition code 3 is read by itself (M3 or M1 = 1: overflow)."""
    at, after_addition = 0, False
    while at < len(code) - 1:
        opcode, length = _opcode(code, at)
        if after_addition and _reads_overflow(code, at, opcode):
            return True
        after_addition = opcode in _OVERFLOWING or (after_addition and opcode in _KEEP_CC)
        at += length
    return False


def _opcode(code: bytes, at: int) -> tuple[int, int]:
    first, second = code[at], code[at + 1]
    length = _LENGTHS[first >> 6]
    if first in (0xE3, 0xEC, 0xE7, 0xEB, 0xED):
        return first << 8 | (code[at + 5] if at + 5 < len(code) else 0), length
    if first in (0xA7, 0xC0, 0xC2, 0xA5, 0xC4):
        return first << 4 | second & 15, length
    return (first << 8 | second if first in (0xB9, 0xB3, 0xB2) else first), length


def _reads_overflow(code: bytes, at: int, opcode: int) -> bool:
    second = code[at + 1]
    if opcode in (0xA74, 0xC04):
        return second >> 4 == 1
    if opcode in (0xEC42, 0xEC46):
        return second & 15 == 1
    return opcode in (0xB9E2, 0xB9F2) and code[at + 2] >> 4 == 1


def _rounds_first(code: bytes) -> bool:
    """A vector conversion with a rounding mode of its own, not behind a floating-point instruction of the current mode
    in the same translation block (qemu 7.2 then saves the opcode of one instruction twice, which it asserts against).
    """
    at, current = 0, False
    while at < len(code) - 3:
        word = int.from_bytes(code[at : at + 4], "little")
        if word & 3 != 3:
            current = current and word & 0xE003 not in (0xA001, 0xC001, 0xE001) and word & 0xF07F != 0x8002
            at += 2
            continue
        opcode, funct3 = word & 0x7F, word >> 12 & 7
        if opcode == 0x57 and funct3 in (1, 5):
            if funct3 == 1 and word >> 26 == 0x12 and word >> 15 & 31 in _OWN_ROUNDING and not current:
                return True
            current = True
        elif opcode == 0x53 and word >> 25 & 0x7C in _ROUNDED:
            current = funct3 == 7
        elif opcode in (0x63, 0x67, 0x6F, 0x73) or (opcode == 0x57 and funct3 == 7):
            current = False
        at += 4
    return False


_OWN_ROUNDING: Final = frozenset({6, 7, 14, 15, 21, 22, 23})
"""vs1 of vf{,w,n}cvt.rtz.{x,xu}.f and vfncvt.rod.f.f (RISC-V V 1.0, VFUNARY0)."""
_ROUNDED: Final = frozenset({0x00, 0x04, 0x08, 0x0C, 0x2C, 0x20, 0x60, 0x68})
"""funct7 (but for the format) of fadd fsub fmul fdiv fsqrt fcvt.f.f fcvt.int.f fcvt.f.int."""


def _has_ctzw(code: bytes) -> bool:
    """A ctzw (Zbb) at an even offset."""
    words = (int.from_bytes(code[at : at + 4], "little") for at in range(0, len(code) - 3, 2))
    return any(word & 0xFFF0707F == 0x6010101B for word in words)


TABLE: Final[tuple[Erratum, ...]] = (
    Erratum(
        "qemu", "riscv64", "ctzw", "counts on into the upper word where the lower one is 0 (qemu 7.2)",
        re.compile(rb"[\x1b\x9b][\x10-\x1f\x90-\x9f][\x10-\x1f]\x60", re.DOTALL), _has_ctzw,
    ),
    Erratum(
        "qemu", "riscv64", "vfcvt.rtz behind vsetvli", "aborts on an assertion of its translator (qemu 7.2)",
        re.compile(rb"[\x57\xd7][\x10-\x1f\x90-\x9f][%s][\x48-\x4b]"
                   % re.escape(bytes(high << 4 | low for high in range(16) for low in (3, 7, 10, 11))), re.DOTALL),
        _rounds_first,
        death=("577003cdd792334a67800000",
               "target/riscv/translate.c:213: decode_save_opc: Assertion `ctx->insn_start != NULL' failed."),
    ),
    Erratum(
        "qemu", "s390x", "rnsbg, rosbg, rxsbg that only test",
        "aborts on a fatal error of its translator (qemu 7.2; the supplement mends it, but for code behind a jump "
        "table)",
        TEST, missed_test, death=("c0100000000407f1ec23803f005707fe", "tcg/tcg.c:3243: tcg fatal error"),
    ),
    Erratum(
        "unicorn", "s390x", "rnsbg, rosbg, rxsbg that only test",
        "kills the process that runs it (the supplement mends it, but for code behind a jump table)",
        TEST, missed_test, death=("c0100000000407f1ec23803f005707fe", "SIGABRT"),
    ),
    Erratum(
        "unicorn", "aarch64", "ldsmax, ldsmin of 8, 16, 32 bits", "compare as unsigned: the wrong value is stored",
        re.compile(_LDSMAX, re.DOTALL), _narrow_ldsmax,
        proof=Proof("ff4300d1e00300f9e14321b8e00340b9ff430091c0035fd6", (0xFFFFFFFF, 1), 1, 0xFFFFFFFF),
    ),
    Erratum(
        "unicorn", "s390x", "overflow of signed additions and subtractions",
        "the condition code is not 3 for 0 - INT_MIN and INT_MIN + INT_MIN",
        re.compile(rb"\xec[\x01\x11\x21\x31\x41\x51\x61\x71\x81\x91\xa1\xb1\xc1\xd1\xe1\xf1].{2}\x00[\x42\x46]"
                   rb"|\xa7\x14|\xc0\x14|\xb9[\xe2\xf2]\x10", re.DOTALL),
        _overflow_condition,
        proof=Proof("b9e93002a7290000ec210001004607fe", (0, 1 << 63), 1, 0),
    ),
    Erratum(
        "unicorn", "s390x", "sqxbr", "kills the process that runs it",
        re.compile(rb"\xb3\x16"), lambda code: "sqxbr" in mnemonics("s390x", code),
        death=("b316004007fe", "SIGSEGV"),
    ),
    Erratum(
        "unicorn", "s390x", "conversion of a NaN to an integer",
        "cgdbr, clgdbr, cfdbr, clfdbr, cgebr, clfebr, vcgd, vclgd, cgxbr and the like give the largest integer, not "
        "the smallest or 0 (the supplement mends those that Cranelift uses, but for code behind a jump table)",
        SILENT, missed_conversion,
        proof=Proof("c0100000000407f1b3c10002b3a9502007fe", (0x7FF8 << 48, 0), 1 << 63, (1 << 63) - 1),
    ),
    Erratum(
        "unicorn", "s390x", "vsl, vsra, vsrl with unequal amounts in the bytes",
        "differ between machines before z15", harmless="Cranelift repeats one amount in all bytes",
    ),
    Erratum(
        "unicorn", "riscv64", "fmin, fmax of a signalling NaN",
        "give the quiet NaN (the rule before version 2.2), not the number",
        harmless="Cranelift selects around them when an operand is a NaN",
        proof=Proof("530505f2d38505f25305b52a530505e267800000", (0x7FF4 << 48, 0x3FF0 << 48), 0x3FF0 << 48,
                    0x7FF8 << 48),
    ),
    Erratum(
        "unicorn", "riscv64", "NaN boxing of 32-bit floats", "results lack the upper ones, inputs are not checked",
        whole=may_depend_on_boxes, exact=depends_on_boxes,
        proof=Proof("530505f0d38505f05375b500530505e267800000", (0x3F800000, 0x3F800000), 0xFFFFFFFF_40000000,
                    0x40000000),
    ),
    Erratum(
        "unicorn", "riscv64", "reserved compressed instructions", "are done as no-operations, without a trap",
        harmless="Zcb, which would be among them, is not among Unicorn's features",
    ),
    Erratum(
        "qemu", "aarch64", "addresses that differ in the top byte alone", "are the same, as on Linux (top byte ignore)",
        harmless="an address of a data region has a top byte of zero, and Unicorn comes first",
    ),
    Erratum(
        "unicorn", "x86-64", "128-bit AVX", "one operand is ignored, without a trap",
        harmless="AVX is not among Unicorn's features (probed with 256 bits), so such code never comes to it",
        proof=Proof("66480f6ec766480f6ece66480f6ed7c5f1d4c266480f7ec0c3", (5, 7), 12, 10),
    ),
    Erratum(
        "unicorn", "x86-64", "bextr with a length from 64; carry of blsi and bzhi",
        "bit 63 is cleared; the carry is wrong", harmless="Cranelift emits no bextr and reads no flag of blsi and bzhi",
        proof=Proof("c4e2c8f7c7c3", (1 << 63, 64 << 8), 1 << 63, 0),
    ),
    Erratum(
        "unicorn", "x86-64", "unaligned movaps and the like", "does not trap",
        harmless="only code that claims `aligned` wrongly shows it",
    ),
)  # fmt: skip


_OWN_WORDS: Final = re.compile(
    r"tcg fatal error|assertion failed|Assertion .* failed|code should not be reached"
    r"|unhandled CPU exception|Unexpected error in"
)


_PREFIX: Final = re.compile(r"^(Bail out! )?(ERROR:)?(qemu-\w+: )?(\.\./)*")


def own_words(text: str) -> str:
    """The line of an emulator's last words that says that it died of itself, not of what the guest did; or ''."""
    line = next((line for line in text.splitlines() if _OWN_WORDS.search(line)), "")
    return _PREFIX.sub("", line.strip())


@cache
def rows(runner: str, isa: str) -> tuple[Erratum, ...]:
    """The rows of a runner that are looked for in code."""
    return tuple(row for row in TABLE if not row.harmless and (row.runner, row.isa) == (runner, isa))


def first(runner: str, isa: str, program: Sequence[FunctionCode], exact: bool = False) -> str:
    """The name of a shortcoming of the runner that the program would meet, or ''. `exact`: take the time to be sure,
    since nobody else runs it."""
    for row in rows(runner, isa):
        pattern = row.pattern
        if row.whole is not None and row.whole(program) and not (exact and row.exact and not row.exact(program)):
            return f"{runner} gets {row.name} wrong"
        if pattern is None:
            continue
        for function in program:
            if pattern.search(function.code) and (row.confirm is None or row.confirm(function.code)):
                return f"{runner} gets {row.name} wrong"
    return ""
