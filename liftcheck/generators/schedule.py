"""Which typings a program has to hold: a schedule, so that rare ones are executed by plan and not by luck.

The one idea: every typing that programs can hold is listed under the largest set of ISAs that has it. A round of the
schedule shuffles each list and cuts it into goals of a few; turn after turn goes through them, round after round in
another order, so that a typing whose program is refused comes back in other company. Goals are met at the start of the
entry function, in the block that every run passes, with operands from memory or parameters, guarded against traps, and
most results go to memory.
It is a function of the context and the turn alone. What every program holds anyway (calls, jumps, integer constants) is
not on it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from random import Random
from typing import Final

from liftcheck.clif.ir import NO_FLAGS, BlockCall
from liftcheck.clif.opcodes import OPCODES, key_of
from liftcheck.clif.types import Type
from liftcheck.errors import InternalError
from liftcheck.generators import memory, traps
from liftcheck.generators.body import Body
from liftcheck.generators.rows import Row
from liftcheck.generators.tables import UNREACHED, Context, Goals

_MOST: Final = 7
"""Typings of one goal."""
_BRANCH: Final = "brif"
NOT_SCHEDULED: Final = frozenset(
    name
    for name, opcode in OPCODES.items()
    if name in UNREACHED or (opcode.family in ("control", "call", "address") and name != _BRANCH)
)
"""Opcodes that are not on the schedule: programs are full of them, or they need more around them than a typing."""


def goals(context: Context, turn: int) -> Goals:
    """What is due at a turn, counted from 0."""
    lists = _lists(context)
    total = sum(-(-len(keys) // _MOST) for _, keys in lists)
    return _round(context, turn // total)[turn % total]


def _lists(context: Context) -> list[tuple[tuple[str, ...], list[str]]]:
    """The keys on the schedule, by the largest set of ISAs that has them."""
    kept = context.schedule
    if not kept.lists:
        left = left_out(context)
        lists: dict[tuple[str, ...], list[str]] = {context.isas: []}
        for key, isas in context.keys().items():
            if key not in left and key.partition(".")[0] not in NOT_SCHEDULED:
                _emitter(context.table(isas).by_key[key])
                lists.setdefault(isas, []).append(key)
        kept.lists = sorted(lists.items())
    return kept.lists


def left_out(context: Context) -> dict[str, str]:
    """Typings that the compiler has and the schedule has not, with the reason."""
    found: dict[str, str] = {}
    for key, isas in context.keys().items():
        op = key.partition(".")[0]
        if op in UNREACHED:
            found[key] = UNREACHED[op]
        elif key not in context.table(isas).by_key:
            found[key] = "the compiler makes no constant of an operand's type"
    return found


def _round(context: Context, number: int) -> list[Goals]:
    """The goals of one round; the last that was asked for is kept."""
    kept = context.schedule
    if kept.number != number:
        random = Random(f"round {number}")
        found = []
        for isas, keys in _lists(context):
            shuffled = random.sample(keys, len(keys))
            found += [Goals(isas, tuple(shuffled[at : at + _MOST])) for at in range(0, len(keys), _MOST)]
        kept.number, kept.round = number, found
    return kept.round


def emit_goals(body: Body, keys: tuple[str, ...]) -> None:
    """Emit one instruction of every key in the current block; none of them traps."""
    entry, body.is_entry = body.is_entry, False
    for key in keys:
        row = body.table.by_key[key]
        _provide(body, row)
        insts, before = body.insts, len(body.insts)
        _emitter(row)(body)
        if not any(inst.op == row.op and key_of(inst, body.types) == key for inst in insts[before:]):
            raise InternalError(f"{key} was due, and something else was emitted")
        if body.insts:
            _show(body)
    body.is_entry = entry


def _provide(body: Body, row: Row) -> None:
    """Operands that are not constants, from memory, of types that have no value in scope yet."""
    for ty in row.args:
        if not body.pools[ty] and body.table.has(f"load.{ty.name}"):
            at, offset = _place(body, ty)
            body.push(body.ins("load", ty, (at,), ty, None, NO_FLAGS, offset), ty)


def _place(body: Body, ty: Type) -> tuple[int, int]:
    """An address in the data region and an offset, for a value of `ty`."""
    region = body.pointers[0]
    return region.value, region.low + body.bits(16) % ((region.high - region.low) // ty.bytes) * ty.bytes


def _show(body: Body) -> None:
    """Store what the last instruction made, so that it is needed; a value whose bits must not be seen stays."""
    made = body.insts[-1]
    if not made.results or body.bits(3) == 0:
        return
    value = made.results[-1]
    ty = body.types[value]
    if body.table.has(f"store.{ty.name}") and (value not in body.tainted or body.program.cleaner(ty)):
        at, offset = _place(body, ty)
        body.effect("store", ty, (body.clean(value), at), None, NO_FLAGS, offset)


def _emitter(row: Row) -> Callable[[Body], object]:
    opcode = OPCODES[row.op]
    emit: Callable[..., object] | None = _branch if row.op == _BRANCH else _EMITTERS.get(opcode.family)
    if opcode.is_plain:
        emit = Body.plain
    if emit is None:
        raise InternalError(f"{row.key} is on the schedule, and nothing emits it: see liftcheck/generators/schedule.py")
    return partial(emit, row=row)


def _constant(body: Body, row: Row) -> None:
    ty = row.results[0]
    body.push(body.const(ty), ty)


def _branch(body: Body, row: Row) -> None:
    """Both ways lead to the same block, with different arguments."""
    ty = row.args[0]
    join = body.block((ty,))
    body.brif(body.value(ty), BlockCall(join.number, (body.value(ty),)), BlockCall(join.number, (body.value(ty),)))
    body.start(join)


_EMITTERS: Final[dict[str, Callable[..., object]]] = {
    "load": memory.emit_load,
    "store": memory.emit_store,
    "atomic": memory.emit_atomic,
    "div": traps.emit_division,
    "fconvert": traps.emit_conversion,
    "trap": traps.emit_trap,
    "const": _constant,
}
"""By family, for opcodes that are not plain."""
