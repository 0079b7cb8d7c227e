"""What runners get wrong of s390x (`isa.errata`)."""

from __future__ import annotations

import re
from typing import Final

from liftcheck.isa.errata import Erratum, Proof
from liftcheck.isa.s390x import ISA
from liftcheck.isa.s390x.thunks import SILENT, TEST, missed_conversion, missed_test
from liftcheck.mach.capstone import mnemonics

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
    length = ISA.sizes[first]
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


ROWS: Final[tuple[Erratum, ...]] = (
    Erratum(
        "qemu", ISA.name, "rnsbg, rosbg, rxsbg that only test",
        "aborts on a fatal error of its translator (qemu 7.2; the supplement mends it, except for code after a jump "
        "table)",
        TEST, missed_test, death=("c0100000000407f1ec23803f005707fe", "tcg/tcg.c:3243: tcg fatal error"),
    ),
    Erratum(
        "unicorn", ISA.name, "rnsbg, rosbg, rxsbg that only test",
        "kills the process that runs it (the supplement mends it, except for code after a jump table)",
        TEST, missed_test, death=("c0100000000407f1ec23803f005707fe", "SIGABRT"),
    ),
    Erratum(
        "unicorn", ISA.name, "overflow of signed additions and subtractions",
        "the condition code is not 3 for 0 - INT_MIN and INT_MIN + INT_MIN",
        re.compile(rb"\xec[\x01\x11\x21\x31\x41\x51\x61\x71\x81\x91\xa1\xb1\xc1\xd1\xe1\xf1].{2}\x00[\x42\x46]"
                   rb"|\xa7\x14|\xc0\x14|\xb9[\xe2\xf2]\x10", re.DOTALL),
        _overflow_condition,
        proof=Proof("b9e93002a7290000ec210001004607fe", (0, 1 << 63), 1, 0),
    ),
    Erratum(
        "unicorn", ISA.name, "sqxbr", "kills the process that runs it",
        re.compile(rb"\xb3\x16"), lambda code: "sqxbr" in mnemonics(ISA.name, code),
        death=("b316004007fe", "SIGSEGV"),
    ),
    Erratum(
        "unicorn", ISA.name, "conversion of a NaN to an integer",
        "cgdbr, clgdbr, cfdbr, clfdbr, cgebr, clfebr, vcgd, vclgd, cgxbr and similar ones give the largest integer, "
        "not the smallest or 0 (the supplement mends those that Cranelift uses, except for code after a jump table)",
        SILENT, missed_conversion,
        proof=Proof("c0100000000407f1b3c10002b3a9502007fe", (0x7FF8 << 48, 0), 1 << 63, (1 << 63) - 1),
    ),
    Erratum(
        "unicorn", ISA.name, "vsl, vsra, vsrl with unequal amounts in the bytes",
        "differ between machines before z15", harmless="Cranelift repeats one amount in all bytes",
    ),
)  # fmt: skip
