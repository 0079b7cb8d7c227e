"""Machine code for the runners' tests, assembled by hand (the assembler's text stands beside), and what it says.

The trampolines are what Cranelift 0.135.8 makes of `trampoline_text(SIGNATURE)`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import pytest

from liftcheck.case import FunctionCode
from liftcheck.clif.ir import AbiParam, Signature
from liftcheck.clif.types import I64
from liftcheck.errors import Unavailable
from liftcheck.isa import ISAS
from liftcheck.runners.pool import Runner, open_runner
from liftcheck.runners.table import runners_of

SIGNATURE = Signature((AbiParam(I64),) * 3, (AbiParam(I64),), "system_v")
RUNNERS = [(name, isa) for isa in ISAS for name in runners_of(isa)]


def one_of_each(pairs: Sequence[tuple[str, str]]) -> list[Any]:
    """Pairs of a runner and an ISA, of which all but the first of each runner are slow tests: for what takes long,
    and is the runner's own, not the ISA's."""
    first = dict(reversed(pairs))
    return [pytest.param(*pair, marks=() if first[pair[0]] == pair[1] else pytest.mark.slow) for pair in pairs]


class Samples(NamedTuple):
    """good: r = load(c); store(a + r, c + 8); return a + r - b. plus_42: a + 42. call_*: pass the arguments on, as
    64-bit floats, as 32-bit floats, as integers, to the 8-byte address at call_offsets. faults end at once."""

    trampoline: bytes
    good: bytes
    plus_42: bytes
    call_floats: bytes
    call_shorts: bytes
    call_integers: bytes
    call_offsets: tuple[int, int, int]
    faults: dict[str, bytes]


SAMPLES = {
    "x86-64": Samples(
        trampoline=bytes.fromhex(
            "554889e549ba00000012020000004d8b124d8b5a184889e049894240498b7a50498b7260498b527041ffd349bb0000001202"
            "0000004d8b1b498983800000004889e0493143404889ec5dc3"
        ),
        good=bytes.fromhex("488b024801f8488942084829f0c3"),
        plus_42=bytes.fromhex("488d472ac3"),
        call_floats=bytes.fromhex("4883ec0866480f6ec766480f6ece66480f6ed248b88877665544332211ffd066480f7ec04883c408c3"),
        call_shorts=bytes.fromhex("4883ec0866480f6ec766480f6ece66480f6ed248b88877665544332211ffd066480f7ec04883c408c3"),
        call_integers=bytes.fromhex("4883ec0848b88877665544332211ffd04883c408c3"),
        call_offsets=(21, 21, 6),
        faults={
            "illegal": bytes.fromhex("0f0b"),
            "null": bytes.fromhex("488b06c3"),
            "endless": bytes.fromhex("ebfe"),
            "clobber": bytes.fromhex("48ffc3c3"),
            "stack": bytes.fromhex("585050c3"),
            "wild": bytes.fromhex("48b89078563412000000ffe0"),
            "recursion": bytes.fromhex("e8fbffffff"),
        },
    ),
    "aarch64": Samples(
        trampoline=bytes.fromhex(
            "fd7bbfa9fd0300910e40a2d24e00c0f2ce0140f9cf0d40f9e0030091c02100f9c02940f9c13140f9c23940f9e0013fd60f40"
            "a2d24f00c0f2ef0140f9e04100f9e02140f9e1030091000001cae02100f9fd7bc1a8c0035fd6"
        ),
        good=bytes.fromhex("430040f90000038b400400f9000001cbc0035fd6"),
        plus_42=bytes.fromhex("00a80091c0035fd6"),
        call_floats=bytes.fromhex(
            "fd7bbfa90000679e2100679e4200679ec900005820013fd60000669efd7bc1a8c0035fd61f2003d58877665544332211"
        ),
        call_shorts=bytes.fromhex(
            "fd7bbfa90000679e2100679e4200679ec900005820013fd60000669efd7bc1a8c0035fd61f2003d58877665544332211"
        ),
        call_integers=bytes.fromhex("fd7bbfa9a900005820013fd6fd7bc1a8c0035fd61f2003d58877665544332211"),
        call_offsets=(40, 40, 24),
        faults={
            "illegal": bytes.fromhex("00000000"),
            "null": bytes.fromhex("200040f9c0035fd6"),
            "endless": bytes.fromhex("00000014"),
            "clobber": bytes.fromhex("73060091c0035fd6"),
            "stack": bytes.fromhex("ff4300d1c0035fd6"),
            "wild": bytes.fromhex("010180d28146e2f220001fd6"),
            "recursion": bytes.fromhex("fd7bbfa9ffffff97"),
        },
    ),
    "riscv64": Samples(
        trampoline=bytes.fromhex(
            "130101ff233411002330810013040100b79610009397d60003b7070083378701130501002330a70403350705833507060336"
            "0707e7800700379710009315d70083b7050023b0a70803b50704930501003345b50023b0a704833081000334010013010101"
            "67800000"
        ),
        good=bytes.fromhex("833606003305d5002334a6003305b54067800000"),
        plus_42=bytes.fromhex("1305a50267800000"),
        call_floats=bytes.fromhex(
            "130101ff23301100530505f2d38505f2530606f29702000083b2c201e7800200530505e28330010013010101678000008877"
            "665544332211"
        ),
        call_shorts=bytes.fromhex(
            "130101ff23301100530505f0d38505f0530606f09702000083b2c201e7800200530505e08330010013010101678000008877"
            "665544332211"
        ),
        call_integers=bytes.fromhex("130101ff233011009702000083b28201e78002008330010013010101678000008877665544332211"),
        call_offsets=(48, 48, 32),
        faults={
            "illegal": bytes.fromhex("731000c0"),
            "null": bytes.fromhex("03b5050067800000"),
            "endless": bytes.fromhex("6f000000"),
            "clobber": bytes.fromhex("1309190067800000"),
            "stack": bytes.fromhex("1301010167800000"),
            "wild": bytes.fromhex("b79546029b85f5ac9395350267800500"),
            "recursion": bytes.fromhex("130101ff23301100eff09fff"),
        },
    ),
    "s390x": Samples(
        trampoline=bytes.fromhex(
            "ebeff0700024b904001fa7fbff60e310f0000024a52d0002a5221200e32020000004e35020180004b904003fe33020400024"
            "e3e020500004e33020600004e34020700004b904002e0de5a53d0002a5321200e33030000004e32030800024b904002fe320"
            "30400082e32030400024ebeff110000407fe"
        ),
        good=bytes.fromhex("e32040000008e32040080024b909002307fe"),
        plus_42=bytes.fromhex("a72b002a07fe"),
        call_floats=bytes.fromhex(
            "e3e0f0700024a7fbff60b3c10002b3c10023b3c10044c01000000011e310100000040de1b3cd0020a7fb00a0e3e0f0700004"
            "07fe070707071122334455667788"
        ),
        call_shorts=bytes.fromhex(
            "e3e0f0700024a7fbff60eb220020000deb330020000deb440020000db3c10002b3c10023b3c10044c01000000014e3101000"
            "00040de1b3cd0020eb220020000ca7fb00a0e3e0f070000407fe070707071122334455667788"
        ),
        call_integers=bytes.fromhex(
            "e3e0f0700024a7fbff60c0100000000fe310100000040de1a7fb00a0e3e0f070000407fe070707071122334455667788"
        ),
        call_offsets=(56, 80, 40),
        faults={
            "illegal": bytes.fromhex("0000"),
            "null": bytes.fromhex("e3203000000407fe"),
            "endless": bytes.fromhex("a7f40000"),
            "clobber": bytes.fromhex("a79b000107fe"),
            "stack": bytes.fromhex("a7fb000807fe"),
            "wild": bytes.fromhex("c01e0123456707f1"),
            "recursion": bytes.fromhex("a7fbff60e3e0f0000024c0e5fffffffb"),
        },
    ),
}


def opened(name: str, isa: str) -> Runner:
    """A runner, or a skip that says what the machine lacks."""
    try:
        return open_runner(name, isa)
    except Unavailable as error:
        pytest.skip(str(error))


def trampoline(isa: str) -> FunctionCode:
    return FunctionCode("%trampoline", SAMPLES[isa].trampoline)
