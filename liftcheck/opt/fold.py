"""What opcodes give for constants, from their rows' meanings, compiled once for an opcode and its types.

A float result that is a NaN is not folded: which NaN it is belongs to the machine.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from liftcheck.bits.concrete import closure
from liftcheck.bits.floats import FORMATS
from liftcheck.clif.opcodes import OPCODES
from liftcheck.clif.semantics.meaning import meaning
from liftcheck.clif.types import Type
from liftcheck.errors import LiftcheckError

_Key = tuple[str, Type | None, tuple[Type, ...], object]
_KNOWN: Final[dict[_Key, Callable[..., Any] | None]] = {}


def function_of(op: str, ctrl: Type | None, arg_types: tuple[Type, ...], imm: object) -> Callable[..., Any] | None:
    """The opcode as a function of unsigned integers (see `bits.concrete.closure`); None: it has no meaning here."""
    key = (op, ctrl, arg_types, imm)
    if key not in _KNOWN:
        try:
            _KNOWN[key] = closure(meaning(op, ctrl, arg_types, OPCODES[op].result_types(ctrl), imm))
        except (LiftcheckError, KeyError):
            _KNOWN[key] = None
    return _KNOWN[key]


def folded(
    op: str, ctrl: Type | None, arg_types: tuple[Type, ...], imm: object, values: Sequence[int]
) -> tuple[int, ...] | None:
    """The results for constants; None: not to be folded (no meaning, a trap, a NaN)."""
    function = function_of(op, ctrl, arg_types, imm)
    if function is None:
        return None
    try:
        found = function(*values)
    except Exception:  # a trap, or outside of the domain
        return None
    results = found if isinstance(found, tuple) else (int(found),)
    if any(has_nan(ty, value) for ty, value in zip(OPCODES[op].result_types(ctrl), results)):
        return None
    return results


def has_nan(ty: Type, value: int) -> bool:
    """Whether a lane is a NaN of a float type."""
    if not ty.is_float:
        return False
    form = FORMATS[ty.lane_bits]
    magnitude = form.sign - 1
    return any(value >> ty.lane_bits * lane & magnitude > form.infinity for lane in range(ty.lanes))
