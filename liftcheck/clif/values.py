"""Values worth trying, per type: what constants in programs, arguments of runs and bytes of memory are drawn from.

The one idea: tables of a power-of-two length, made once per type, so that a draw is one mask and one index. An integer
table holds 0, ±1, the width and its neighbours, min, max, 2^k, 2^k±1, values just inside and outside of the immediate
fields of the four ISAs, replicated bytes, bit masks that aarch64's logical immediates can and cannot express; a float
table holds zeros, subnormals, ulps around 1, limits, infinities, NaNs (quiet, signalling, with payload and sign),
integers on both sides of every conversion's bounds. Vectors are lanes of these, equal or different.
Sources: field widths from the ISA manuals (x86-64 imm8/imm32; aarch64 add imm12 and imm12<<12, ldr scaled imm12, ldur
imm9, movz imm16; riscv64 I-type imm12, U-type imm20; s390x 12- and 20-bit displacements, 8/16/32-bit immediates).
"""

from __future__ import annotations

from functools import cache
from random import Random
from typing import Final

from liftcheck.bits.floats import FORMATS
from liftcheck.clif.types import Type, by_name
from liftcheck.layout import SLOT_SIZE

_FIELDS: Final = (4, 5, 6, 7, 8, 9, 11, 12, 13, 14, 15, 16, 19, 20, 21, 24, 26, 31, 32, 33, 48, 63, 64, 127)
_PATTERNS: Final = (0x00FF, 0x0F0F, 0x5555, 0xAAAA, 0x3333, 0x1234, 0xFF00, 0x8001, 0x7FFE, 0x0101, 0x8080, 0x00FF00FF,
                    0x0000FFFF, 0xFFFF0000, 0x12345678, 0xDEADBEEF, 0xFFF000, 0x1000, 0xFFF, 0x7FF, 0x800,
                    0x0000FFFF0000FFFF, 0x00FF00FF00FF00FF, 0x5555555555555555, 0xFFFFFFFF00000000,
                    0x0123456789ABCDEF, 0x8000000080000000, 0x7FFFFFFF7FFFFFFF, 0xFFFFFFFF80000000)  # fmt: skip


def integers(width: int) -> list[int]:
    """The interesting integers of `width` bits, unsigned, without repetition, in a fixed order."""
    found = [
        0,
        1,
        -1,
        2,
        -2,
        3,
        width,
        width - 1,
        width + 1,
        -width,
        1 << (width - 1),
        (1 << (width - 1)) - 1,
        5,
        6,
        7,
        10,
        100,
        127,
        128,
        255,
        256,
        1000,
    ]
    for field in _FIELDS:
        found += [1 << field, (1 << field) - 1, (1 << field) + 1, -(1 << field), -(1 << field) - 1, -(1 << field) + 1]
    found += [1 << k for k in range(width)] + [(1 << width) - (1 << k) for k in range(0, width, 3)]
    for pattern in _PATTERNS:
        size = max(8, 1 << (pattern.bit_length() - 1).bit_length())
        found += [pattern, sum(pattern << shift for shift in range(0, width, size))]
    mask = (1 << width) - 1
    return list(dict.fromkeys(value & mask for value in found))


def floats(width: int) -> list[int]:
    """The interesting bit patterns of an IEEE float of `width` bits, in a fixed order."""
    form = FORMATS[width]
    mantissa, top, sign = form.stored, form.infinity, form.sign
    bias = (1 << (form.exponent - 1)) - 1
    one = bias << mantissa
    found = [
        0,
        one,
        one + 1,
        one - 1,
        one - (1 << mantissa),
        one + (1 << mantissa),
        1,
        (1 << mantissa) - 1,
        1 << mantissa,
        top - 1,
        top,
        one + (1 << (mantissa - 1)),
        one + (3 << (mantissa - 2)),
        2,
    ]
    found += [(1 << mantissa) + 1, top | 1 << (mantissa - 1), top | 1, top | (1 << mantissa) - 1]
    found.append(top | 1 << (mantissa - 2))
    for power in (1, 2, 3, 7, 8, 10, 15, 16, 23, 24, 31, 32, 52, 53, 62, 63, 64, 127, 128):
        if power < bias:
            place = (bias + power) << mantissa
            found += [place, place - 1, place + 1, (bias - power) << mantissa]
            if power <= mantissa:
                found.append(place + (1 << (mantissa - power)))
    return list(dict.fromkeys(pattern ^ flip for pattern in found for flip in (0, sign)))


@cache
def table(ty: Type) -> tuple[int, ...]:
    """1024 values of `ty`: every interesting one, small and boundary values more often, some of random bits."""
    random = Random(ty.name)
    if ty.is_vector:
        lanes = table(ty.lane)
        return tuple(_vector(ty, lanes, random) for _ in range(1024))
    interesting = floats(ty.bits) if ty.is_float else integers(ty.bits)
    chosen = interesting[:400] + [random.choice(interesting[:24]) for _ in range(300)]
    while len(chosen) < 900:
        chosen.append(random.choice(interesting))
    chosen += [random.getrandbits(ty.bits) for _ in range(1024 - len(chosen))]
    random.shuffle(chosen)
    return tuple(chosen)


def _vector(ty: Type, lanes: tuple[int, ...], random: Random) -> int:
    """All lanes equal (as often as not), different, or zero but one."""
    style = random.randrange(4)
    picks = [random.choice(lanes)] * ty.lanes if style < 2 else [random.choice(lanes) for _ in range(ty.lanes)]
    if style == 3:
        kept = random.randrange(ty.lanes)
        picks = [pick if lane == kept else 0 for lane, pick in enumerate(picks)]
    return sum(pick << ty.lane_bits * lane for lane, pick in enumerate(picks))


@cache
def runtime_table(ty: Type) -> tuple[int, ...]:
    """512 values for the arguments of runs: half boundary values, half small or random."""
    random = Random(f"run {ty.name}")
    base = table(ty)
    chosen = [random.choice(base) for _ in range(320)] + [random.getrandbits(ty.bits) for _ in range(128)]
    small = range(16) if ty.is_int and not ty.is_vector else base[:64]
    return tuple(chosen + [random.choice(small) & ty.mask for _ in range(64)])


@cache
def memory_pool() -> bytes:
    """What initial memories are slices of: random bytes, boundary integers and floats, runs of equal bytes."""
    random = Random("memory")
    kinds = [by_name(name) for name in ("i64", "i32", "i16", "f64", "f32", "i8")]
    pool = bytearray()
    while len(pool) < 8 * SLOT_SIZE:
        style = random.randrange(8)
        if style < 2:
            pool += random.randbytes(16)
        elif style == 2:
            pool += bytes([random.choice((0, 0xFF, 0x80, 0x7F, 1))]) * 16
        else:
            ty = random.choice(kinds)
            for _ in range(16 // ty.bytes):
                pool += random.choice(table(ty)).to_bytes(ty.bytes, "little")
    return bytes(pool)
