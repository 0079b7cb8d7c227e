"""What the rules of all machines of 64-bit words call (`words.isle`), whatever the ISA: facts of types and numbers.

The one idea: an ISA's package gives these with its own to `compile_rules`; a term that both have is the ISA's.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from liftcheck.clif.types import Type
from liftcheck.isle.reader import Source
from liftcheck.mach.lower import Lowering

SHARED: Final = Source("src/words.isle", Path(__file__).with_name("words.isle").read_text(encoding="utf-8"))
"""The shared rules."""


def exact(ty: Type, value: int) -> bool:
    """Whether a float type has a number."""
    digits = abs(value).bit_length() - (value & -value).bit_length()
    return value == 0 or digits < (24 if ty.bits == 32 else 53)


def least(ty: Type) -> int:
    """The least number of an integer type, with a sign."""
    return -(1 << ty.bits - 1)


def bound_bits(ty: Type, to: Type, kind: int) -> int:
    """The float beside which a conversion traps: 0, 1 below (signed, unsigned), 2, 3 above; its bits."""
    below = least(to) - exact(ty, least(to) - 1)
    value = (below, -1, 1 << to.bits - 1, 1 << to.bits)[kind]
    return int.from_bytes(struct.pack("<f" if ty.bits == 32 else "<d", float(value)), "little")


def signed(ty: Type, value: int) -> int:
    """A constant of a type with its sign."""
    return (value & ty.mask) - ((value & ty.mask) >> ty.bits - 1 << ty.bits)


def extension(name: str) -> Callable[[Lowering], bool]:
    """Whether an extension is on."""
    return lambda low: name in low.has


EXTERNS: Final[dict[str, Any]] = {
    "sext_imm": lambda low, ty, k: signed(ty, k),
    "boxed": lambda low, k: k | 0xFFFF0000,
    "code_overflow": lambda low: "int_ovf",
    "code_divz": lambda low: "int_divz",
    "code_toint": lambda low: "bad_toint",
    "float64": lambda low, ty: ty if ty.is_float and not ty.is_vector and ty.bits in (32, 64) else None,
    "in_float": lambda low, ty: ty if ty.is_float and ty.bits <= 64 and not ty.is_vector else None,
    "bit_mask": lambda low, ty: ty.mask,
    "bits_of": lambda low, ty: ty.bits,
    "least": lambda low, ty: least(ty),
    "greatest": lambda low, ty: (1 << ty.bits - 1) - 1,
    "ugreatest": lambda low, ty: ty.mask,
    "is_big": lambda low, flags: flags.endianness == "big",
    "little": lambda low, flags: flags if flags.endianness != "big" else None,
    "power": lambda low, n: 1 << n,
    "log2": lambda low, k: k.bit_length() - 1 if k and not k & k - 1 else None,
    "nonzero": lambda low, k: k or None,
    "unsigned_of": lambda low, cc: "u" + cc[1:] if cc[0] == "s" else cc,
    "is_strict": lambda low, ty, to, kind: kind == 0 and not exact(ty, least(to) - 1),
    "access_size": lambda low, ty: ty.bytes,
}


def source(path: Path, package: str) -> Source:
    """A file of rules, named as a trace says it."""
    return Source(f"src/isa/{package}/{path.name}", path.read_text(encoding="utf-8"))
