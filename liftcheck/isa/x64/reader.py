"""Reads x86-64's instructions: what the rows (`insts`) do not say of how compilers use them.

Shifts by nothing keep the flags, which compilers do not count upon: so shifts do not read them. With one register for
both inputs, results of the zeroing and ones idioms do not depend on it; of conversions and square roots, which leave
the upper part of their target alone, compilers take that part for undefined.
Source: Intel SDM volume 2; volume 1, 'Zeroing idioms' (3.4.1.4, optimization manual).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from typing import Final

from liftcheck.isa.x64 import ISA
from liftcheck.isa.x64.insts.common import FLAGS as FLAG_NAMES
from liftcheck.isa.x64.insts.common import Address
from liftcheck.isa.x64.insts.encoding import RIP
from liftcheck.isa.x64.insts.table import table
from liftcheck.mach.insn import FLAGS, Insn, unknown
from liftcheck.mach.rows.kinds import Immediate, Register
from liftcheck.mach.rows.reader import Manner, Reader
from liftcheck.mach.rows.table import Decoded

_EXACT: Final = re.compile(
    "mov|movabs|movzx|movsx|movsxd|v?mov[au]p[sd]|v?movdq[au]|v?lddqu|v?mov[dq]|v?movs[sd]|add|sub|lea|push|pop|leave|"
    "ret|xchg|nop|endbr64|vzeroupper"
)
_ZEROING: Final = ("pxor", "xorps", "xorpd", "psubb", "psubw", "psubd", "psubq", "pcmpeqb", "pcmpeqw", "pcmpeqd",
                   "pcmpeqq", "pcmpgtb", "pcmpgtw", "pcmpgtd", "pcmpgtq")  # fmt: skip
_SHIFTS: Final = ("shl", "shr", "sar", "rol", "ror", "shld", "shrd")


def _zeroing(machine: Insn, decoded: Decoded) -> Insn:
    """Of two registers; one may be another's name here (`Insn.cancels`)."""
    values, kinds = decoded.values[-2:], [operand.kind for operand in decoded.row.operands[-2:]]
    if len(values) < 2 or isinstance(kinds[1], Immediate) or any(isinstance(value, Address) for value in values):
        return machine
    if values[0] != values[1]:
        return machine._replace(cancels=True)
    same = frozenset([place for place in kinds[1].places(values[1]) if isinstance(place, int)])
    return machine._replace(merged=same, cancels=True, twice=machine.twice - same)


def _shift(machine: Insn, _: Decoded) -> Insn:
    return machine._replace(reads=machine.reads - {FLAGS})


def _address(machine: Insn, decoded: Decoded) -> Insn:
    """lea: an address in the code."""
    address, kind = decoded.values[1], decoded.row.operands[0].kind
    if address.base != RIP:
        return machine
    wide = isinstance(kind, Register) and kind.width == 64
    return machine._replace(target=machine.size + address.disp if wide else None, effect=None)


def _untold(machine: Insn, _: Decoded) -> Insn:
    """It sets flags that nothing here keeps track of (direction, traps)."""
    return unknown(machine.size, machine.name, machine.operands)


def _mended() -> dict[str, Callable[[Insn, Decoded], Insn]]:
    zeroing = ("xor", "sub", *_ZEROING, *(f"v{name}" for name in _ZEROING))
    return {
        **dict.fromkeys(zeroing, _zeroing),
        **dict.fromkeys(_SHIFTS, _shift),
        **dict.fromkeys(("lea", "data16 lea"), _address),
        "popfq": _untold,
    }


MANNER: Final = Manner(
    named=dict.fromkeys(FLAG_NAMES, FLAGS),
    exact=_EXACT,
    idle=re.compile("nop|endbr64|vzeroupper"),
    merged=re.compile("cvtsi2s[sd]|cvtsd2ss|cvtss2sd|sqrts[sd]|rounds[sd]"),
    typical={"u8": 1},  # a shift by nothing sets no flags
    prefixes=frozenset({"lock", "data16"}),
    mended=_mended(),
)


@cache
def _reader() -> Reader:
    return Reader(ISA.name, table(), MANNER)


def read(window: bytes) -> Insn:
    """See `mach.insn.Reader`."""
    return _reader()(window)
