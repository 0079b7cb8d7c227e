"""Reads aarch64's instructions: what the rows (`insts`) do not say of how compilers use them.

Signing a return address is modelled as exclusive or with an unknown number that depends on the stack pointer alone: so
authenticating with the same stack pointer gives the address back, and nothing else is known of a signed address.
Source: Arm ARM (DDI 0487), C4.1 and C6.2; pointer authentication: D8.10.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from typing import Final

from liftcheck.bits.build import bxor, mul
from liftcheck.bits.term import Term, var
from liftcheck.isa.aarch64 import ISA
from liftcheck.isa.aarch64.insts.common import LINK, SP
from liftcheck.isa.aarch64.insts.table import table
from liftcheck.mach.insn import CONTROL, FLAGS, PC, Effect, Insn, register
from liftcheck.mach.rows.reader import Manner, Reader
from liftcheck.mach.rows.table import Decoded

_EXACT: Final = re.compile("add|sub|neg|mov|mov[nzk]|fmov|ld[ut]?rs?[bhw]?|st[ut]?r[bh]?|ldn?p|stn?p|ret|nop|csdb")
_SIGNATURES: Final = {"a": var("signature_a", 64), "b": var("signature_b", 64)}


def _signing(key: str, by_sp: bool, to: int) -> Callable[[Insn, Decoded], Insn]:
    """Of the link register, by the stack pointer or by zero; `to`: where it goes."""
    reads = frozenset({LINK, SP} if by_sp else {LINK})

    def mended(machine: Insn, _: Decoded) -> Insn:
        return machine._replace(reads=reads, effect=Effect(((to, _turned(key, by_sp)),)))

    return mended


def _turned(key: str, by_sp: bool) -> Term:
    signature = _SIGNATURES[key]
    return bxor(register(ISA.name, LINK), mul(register(ISA.name, SP), signature) if by_sp else signature)


def _stripped(machine: Insn, _: Decoded) -> Insn:
    """xpaclri: what it gives depends on the link register."""
    return machine._replace(reads=frozenset({LINK}))


MANNER: Final = Manner(
    named={**dict.fromkeys("nzcv", FLAGS), "tpidr_el0": CONTROL, "fpcr": CONTROL},
    exact=_EXACT,
    idle=re.compile("nop"),
    typical={"cond": 0, "invcond": 0},
    mended={
        "xpaclri": _stripped,
        **{
            f"{way}i{key}{by}": _signing(key, by == "sp", LINK)
            for way in ("pac", "aut")
            for key in "ab"
            for by in ("sp", "z")
        },
        **{f"reta{key}": _signing(key, True, PC) for key in "ab"},
    },
)


@cache
def _reader() -> Reader:
    return Reader(ISA.name, table(), MANNER)


def read(window: bytes) -> Insn:
    """See `mach.insn.Reader`."""
    return _reader()(window)
