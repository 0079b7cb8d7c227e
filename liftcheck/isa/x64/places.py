"""Every spelling of an x86-64 register, and its place."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

_INTEGERS: Final = ("ax", "cx", "dx", "bx", "sp", "bp", "si", "di")
FLOAT_FIRST: Final = 64


def _numbers() -> dict[str, int]:
    found: dict[str, int] = {}
    for number, name in enumerate(_INTEGERS):
        bytes_ = (f"{name}l",) if number > 3 else (f"{name[0]}l", f"{name[0]}h")
        found |= dict.fromkeys((f"r{name}", f"e{name}", name, *bytes_), number)
    for number in range(8, 16):
        found |= dict.fromkeys((f"r{number}", f"r{number}d", f"r{number}w", f"r{number}b"), number)
    for number in range(16):
        found |= dict.fromkeys((f"xmm{number}", f"ymm{number}", f"zmm{number}"), FLOAT_FIRST + number)
    return found


PLACES: Final[Mapping[str, int]] = _numbers()
