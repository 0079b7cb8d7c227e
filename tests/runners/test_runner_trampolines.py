"""Trampoline texts, and rows packed and unpacked in both byte orders."""

from __future__ import annotations

import pytest

from liftcheck.case import Target
from liftcheck.clif.ir import AbiParam, Signature
from liftcheck.clif.text.parser import parse_module
from liftcheck.clif.types import F32, I8, I16, I32, I64, I128, TYPES, Type
from liftcheck.runners.trampolines import HEADER, packing, signature_text, trampoline_target, trampoline_text

PATTERN = int.from_bytes(bytes(range(1, 65)), "little")


@pytest.mark.parametrize("big_endian", [False, True])
@pytest.mark.parametrize("ty", TYPES.values(), ids=lambda ty: ty.name)
def test_a_value_survives_the_row(ty: Type, big_endian: bool) -> None:
    """A row with the value as argument is read as a row with it as result: same field, same form."""
    value = PATTERN & ty.mask
    given = packing(Signature((AbiParam(ty, "uext" if ty.is_int else ""),), (), ""), big_endian)
    taken = packing(Signature((), (AbiParam(ty),), ""), big_endian)
    row = given.pack(1, 2, 3, 4, 0, (value,))
    assert len(row) == given.size == taken.size
    assert taken.unpack(row, 0) == (value,)


@pytest.mark.parametrize(
    ("big_endian", "expected"),
    [(False, "0100 0200 0300 0400 0500 0600 0700 0800"), (True, "0001 0002 0003 0004 0005 0006 0007 0008")],
)
def test_lanes_lie_in_memory_from_lane_zero(big_endian: bool, expected: str) -> None:
    ty = TYPES["i16x8"]
    value = sum((lane + 1) << 16 * lane for lane in range(8))
    row = packing(Signature((AbiParam(ty),), (), ""), big_endian).pack(0, 0, 0, 0, 0, (value,))
    assert row[HEADER:] == bytes.fromhex(expected)


@pytest.mark.parametrize("big_endian", [False, True])
def test_noise_fills_the_upper_bits_of_narrow_integers_only(big_endian: bool) -> None:
    params = (AbiParam(I8), AbiParam(I16, "sext"), AbiParam(I32), AbiParam(I64), AbiParam(F32))
    row = packing(Signature(params, (), ""), big_endian).pack(0, 0, 0, 0, (1 << 64) - 1, (0x12, 0x34, 0x56, 0x78, 0x9A))
    fields = [row[HEADER + 16 * k : HEADER + 16 * k + 8] for k in range(5)]
    order = "big" if big_endian else "little"
    whole = [int.from_bytes(field, order) for field in fields]
    assert whole[0] == 0xFFFFFFFF_FFFFFF12
    assert int.from_bytes(fields[1][:2], order) == 0x34
    assert whole[2] == 0xFFFFFFFF_00000056
    assert whole[3] == 0x78
    assert int.from_bytes(fields[4][:4], order) == 0x9A


def test_text_is_well_formed_for_every_type() -> None:
    for ty in TYPES.values():
        signature = Signature((AbiParam(ty), AbiParam(I64, "", "sret")), (AbiParam(ty),), "tail")
        (function,) = parse_module(trampoline_text(signature)).functions
        assert function.signature.call_conv == "system_v"
        assert function.signatures[0] == signature


def test_signature_text_keeps_flags() -> None:
    params = (AbiParam(I8, "uext"), AbiParam(I64, "", "vmctx"))
    signature = Signature(params, (AbiParam(I128), AbiParam(I8, "sext")), "fast")
    assert signature_text(signature) == "(i8 uext, i64 vmctx) -> i128, i8 sext fast"


def test_trampolines_are_compiled_without_optimization() -> None:
    target = Target("s390x", (("arch13", "preset"), ("opt_level", "speed")))
    assert trampoline_target(target) == Target("s390x", (("arch13", "preset"), ("opt_level", "none")))
