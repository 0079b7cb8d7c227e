"""What every CLIF opcode computes that is a function of its operands and immediate: `meaning(op, …)`.

The one idea (docs/architecture.md): an opcode's meaning is stated once, as a function over the terms of `bits`, and the
interpreter's code, z3 and the documentation are derived from it. The rows are in `integers`, `floats` and
`vectors`; memory, control flow and the effects of atomics belong to the interpreter (`atomic_rmw_op` is the
operation that `atomic_rmw` applies).

Immediates are those of `ir.Inst.imm`, except: constants of the pool come as their bytes (or the value as int),
`bitcast` takes the byte order ('little', 'big' or ''), `icmp_imm` takes (condition, number).
NaN results are the positive quiet NaN without payload; where results may legally differ is the comparison's business.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from liftcheck.bits.meaning import Meaning
from liftcheck.bits.term import Term, var
from liftcheck.clif.opcodes import CONSTANTS
from liftcheck.clif.semantics import floats, integers, vectors
from liftcheck.clif.semantics.integers import Request, Rule
from liftcheck.clif.types import Type
from liftcheck.errors import InternalError, Unsupported

RULES: Final[dict[str, Rule]] = {**integers.RULES, **floats.RULES, **vectors.RULES}
"""Every opcode with a meaning."""


def has_meaning(op: str) -> bool:
    """Whether the opcode is a function of its operands (and not memory's or control flow's)."""
    return op in RULES


@lru_cache(maxsize=16384)
def meaning(
    op: str, ctrl: Type | None, arg_types: tuple[Type, ...], result_types: tuple[Type, ...], imm: object = None
) -> Meaning:
    """The meaning of one typed opcode; `Unsupported` if it has none, or not for these types."""
    rule = RULES.get(op)
    if rule is None:
        raise Unsupported(f"{op} is not a function of its operands")
    inputs = tuple(_input(i, t) for i, t in enumerate(arg_types))
    answer = rule(Request(op, ctrl, inputs, arg_types, result_types, imm))
    return Meaning(inputs, answer.results, answer.traps)


def constant(op: str, result_type: Type, imm: object) -> int | None:
    """The value of `iconst`, `f32const`, `vconst` and similar ones, without making terms; None for other opcodes."""
    if op not in CONSTANTS:
        return None
    if isinstance(imm, bytes):
        return int.from_bytes(imm, "little")
    if not isinstance(imm, int):
        raise InternalError(f"{op} needs an integer or bytes, not {imm!r}")
    return imm & result_type.mask


def _input(index: int, ty: Type) -> Term:
    return var("xyzuvw"[index], ty.lane_bits, ty.lanes)


__all__ = ["RULES", "Meaning", "constant", "has_meaning", "meaning"]
