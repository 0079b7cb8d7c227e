"""What runners get wrong of s390x (`isa.errata`)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from liftcheck.isa.errata import Erratum, Proof
from liftcheck.isa.s390x import ISA
from liftcheck.isa.s390x.sites import SILENT, TEST, missed_conversion, missed_test

_OVERFLOWING: Final = frozenset(
    {"ar", "sr", "a", "s", "agr", "sgr", "agrk", "sgrk", "ark", "srk", "ag", "sg", "ay", "sy"}
)
_KEEP_CC: Final = frozenset({"lr", "lgr", "lg", "stg", "l", "st", "lhi", "lghi", "lgfi", "llilf", "la", "lay"})
"""Moves that may stand between the addition and what reads its condition."""
_WAITING: Final = frozenset(f"{name}o" for name in ("j", "jg", "lochi", "locghi", "locr", "locgr"))
"""What waits for condition code 3 alone."""


def _names(code: bytes) -> Iterator[str]:
    """The mnemonics of code."""
    from liftcheck.isa.s390x.insts.table import table  # a tenth of a second, and few programs come here

    return (found.row.name if found is not None else "" for _, found in table().instructions(code))


def _overflow_condition(code: bytes) -> bool:
    """A signed addition or subtraction whose condition code 3 is read by itself."""
    after_addition = False
    for name in _names(code):
        if after_addition and name in _WAITING:
            return True
        after_addition = name in _OVERFLOWING or (after_addition and name in _KEEP_CC)
    return False


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
        re.compile(rb"\xb3\x16"), lambda code: "sqxbr" in _names(code),
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
