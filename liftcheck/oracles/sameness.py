"""Whether two compilations of a program gave the same code, and if not, what the first difference is.

The one idea: the code of a program is all that a linker and a runner see of it: bytes, alignment, relocations, traps,
call sites. What else a compiler says (`FunctionCode.extra`) is for people.
"""

from __future__ import annotations

from typing import Final

from liftcheck.case import CompileFailure, FunctionCode
from liftcheck.compilers.base import Program

_PARTS: Final = ("code", "alignment", "relocations", "traps", "calls")


def difference(one: Program, other: Program | CompileFailure | None) -> str:
    """What the first function that differs differs in; '' if none does."""
    if other is None:
        return "nothing was answered"
    if isinstance(other, CompileFailure):
        return f"{other.kind}: {other.message or other.reason}"
    if len(one) != len(other):
        return f"{len(one)} functions, then {len(other)}"
    return next(filter(None, map(_of_functions, one, other)), "")


def _of_functions(one: FunctionCode, other: FunctionCode) -> str:
    part = next((part for part in _PARTS if getattr(one, part) != getattr(other, part)), "")
    if part != "code":
        return part and f"{one.name}: other {part}: {getattr(one, part)}, then {getattr(other, part)}"
    place = next((at for at, pair in enumerate(zip(one.code, other.code)) if pair[0] != pair[1]), len(one.code))
    place = min(place, len(one.code), len(other.code))
    was, now = one.code[place : place + 8].hex(" "), other.code[place : place + 8].hex(" ")
    return f"{one.name}: from byte {place} on {was or 'nothing'}, then {now or 'nothing'}"
