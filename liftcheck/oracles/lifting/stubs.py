"""Callees that do what a counterexample says: functions in the place of a case's own.

The one idea: a proof leaves open what callees give, so a counterexample may choose it. The same can be had in a run:
each callee becomes a function that returns those numbers. If it is given other whole numbers than the program gives it
in any of its calls it traps, so that a wrong argument shows, and one that the program does not call always traps.

Not made: callees of which two calls give different results, calls of what has no name. They write no memory.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from liftcheck.clif.edit import constant, fresh
from liftcheck.clif.ir import Block, Function, Inst, Signature
from liftcheck.clif.types import I8

WRONG_CALL: Final = "user99"


class Made(NamedTuple):
    """A call: the callee's name ('': it has none) and signature, arguments, and what it gives; None: the program does
    not make it."""

    name: str
    signature: Signature
    arguments: tuple[int | None, ...]
    results: tuple[int, ...] | None


def stubs(calls: Sequence[Made]) -> list[Function] | None:
    """A function for each callee; None if some cannot be made so."""
    found: dict[str, list[Made]] = {}
    for one in calls:
        known = found.setdefault(one.name, [])
        if not one.name or any((one.signature, one.results) != (other.signature, other.results) for other in known):
            return None
        known.append(one)
    return [_stub(ones) for ones in found.values()]


def _stub(calls: Sequence[Made]) -> Function:
    name, signature, _, results = calls[0]
    function, block = Function(name, signature), Block(0)
    function.blocks.append(block)
    for number, param in enumerate(signature.params):
        function.types[number] = param.type
        block.params.append((number, param.type))
    block.insts += _checks(function, calls)
    values = []
    for param, given in zip(signature.returns, results or (0,) * len(signature.returns), strict=True):
        value, made = constant(function, param.type, given & param.type.mask)
        values.append(value)
        block.insts += made
    block.insts.append(Inst("return", None, (), tuple(values)))
    return function


def _checks(function: Function, calls: Sequence[Made]) -> list[Inst]:
    """A trap unless the arguments are those of one of the program's calls."""
    any_, insts = constant(function, I8, 0)
    for one in calls:
        if one.results is None:
            continue
        all_, made = constant(function, I8, 1)
        insts += made
        for number, wanted in enumerate(one.arguments):
            ty = function.types[number]
            if wanted is not None and ty.is_int and not ty.is_vector:
                value, made = constant(function, ty, wanted & ty.mask)
                same, both = fresh(function, I8), fresh(function, I8)
                insts += [*made, Inst("icmp", ty, (same,), (number, value), "eq")]
                insts.append(Inst("band", I8, (both,), (all_, same)))
                all_ = both
        either = fresh(function, I8)
        insts.append(Inst("bor", I8, (either,), (any_, all_)))
        any_ = either
    return [*insts, Inst("trapz", I8, (), (any_,), WRONG_CALL)]
