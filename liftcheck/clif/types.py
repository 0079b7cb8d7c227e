"""CLIF value types: i8…i128, f16…f128 and fixed vectors of them, 16 to 512 bits wide.

A type is an interned object, compared by identity. Run-time values of every type are plain unsigned Python integers of
`bits` bits: floats are their IEEE bit patterns, vectors have lane 0 in the least significant bits.
Source: Cranelift's `ir/types.rs` (names, widths); dynamic vector types are names of these in the parser.
"""

from __future__ import annotations

from typing import Final


class Type:
    """One CLIF type. Widths are in bits; `lane` is the type itself for scalars."""

    __slots__ = ("bits", "bytes", "is_float", "is_int", "is_vector", "lane", "lane_bits", "lane_mask", "lanes", "mask",
                 "name")  # fmt: skip

    def __init__(self, name: str, lane: Type | None, lane_bits: int, lanes: int, is_float: bool) -> None:
        self.name: Final = name
        self.lane: Final[Type] = lane or self
        self.lane_bits: Final = lane_bits
        self.lanes: Final = lanes
        self.is_float: Final = is_float
        self.is_int: Final = not is_float
        self.is_vector: Final = lanes > 1
        self.bits: Final = lane_bits * lanes
        self.bytes: Final = self.bits // 8
        self.mask: Final = (1 << self.bits) - 1
        self.lane_mask: Final = (1 << lane_bits) - 1

    def __repr__(self) -> str:
        return self.name

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return by_name, (self.name,)

    def vector(self, lanes: int) -> Type:
        """The type of `lanes` lanes of this lane type; KeyError if CLIF has none."""
        return TYPES[f"{self.lane.name}x{lanes}"] if lanes > 1 else self.lane

    def as_int(self) -> Type:
        """The integer type of the same shape (f32x4 -> i32x4)."""
        return TYPES[self.name.replace("f", "i")]

    def as_truthy(self) -> Type:
        """What a comparison of this type gives: i8 for scalars, a mask vector of the same shape otherwise."""
        return self.as_int() if self.is_vector else I8

    def half_width(self) -> Type | None:
        """Lanes of half the width, as many of them; None if there is no such type."""
        return TYPES.get(_name(self.is_float, self.lane_bits // 2, self.lanes))

    def double_width(self) -> Type | None:
        """Lanes of twice the width, as many of them; None if there is no such type."""
        return TYPES.get(_name(self.is_float, self.lane_bits * 2, self.lanes))

    def merge_lanes(self) -> Type | None:
        """Half as many lanes of twice the width (i16x8 -> i32x4); None if there is no such type."""
        return TYPES.get(_name(self.is_float, self.lane_bits * 2, self.lanes // 2)) if self.lanes > 1 else None

    def split_lanes(self) -> Type | None:
        """Twice as many lanes of half the width (i32x4 -> i16x8); None if there is no such type."""
        return TYPES.get(_name(self.is_float, self.lane_bits // 2, self.lanes * 2))


def _name(is_float: bool, lane_bits: int, lanes: int) -> str:
    return f"{'f' if is_float else 'i'}{lane_bits}" + (f"x{lanes}" if lanes > 1 else "")


def by_name(name: str) -> Type:
    """The type called `name`; KeyError if there is none."""
    return TYPES[name]


TYPES: Final[dict[str, Type]] = {}


def _build() -> None:
    scalars = [(width, False) for width in (8, 16, 32, 64, 128)] + [(width, True) for width in (16, 32, 64, 128)]
    for width, is_float in scalars:
        lane = Type(_name(is_float, width, 1), None, width, 1, is_float)
        TYPES[lane.name] = lane
    for lane in list(TYPES.values()):
        lanes = 2
        while lane.bits * lanes <= 512 and lanes <= 64:
            ty = Type(_name(lane.is_float, lane.bits, lanes), lane, lane.bits, lanes, lane.is_float)
            TYPES[ty.name] = ty
            lanes *= 2


_build()
I8, I16, I32, I64, I128 = (TYPES[f"i{w}"] for w in (8, 16, 32, 64, 128))
F16, F32, F64, F128 = (TYPES[f"f{w}"] for w in (16, 32, 64, 128))
DYNAMIC_BITS: Final = 128
"""Bits of a dynamic vector on the four ISAs (`TargetIsa::dynamic_vector_bytes`)."""
INTS: Final = (I8, I16, I32, I64, I128)
FLOATS: Final = (F16, F32, F64, F128)
