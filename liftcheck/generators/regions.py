"""A case's data region as a wrapper has it: a stack slot that is filled, pointed into, and shown afterwards.

The one idea: as a whole it is a loop that clears it, stores of the words that are not zero, and a sum over all words in
the end; where little of it matters, that little alone (`Window`), so that a reader sees what goes in and what comes
out. A window need not be right: who asks for one holds its file against the finding.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from liftcheck.case import Case
from liftcheck.clif.build import FunctionBuilder
from liftcheck.clif.ir import Block, MemFlags, StackSlot
from liftcheck.clif.types import I32, I64
from liftcheck.layout import SLOT_SIZE, slot_address

_WORDS: Final = SLOT_SIZE // 8
_STRIDE: Final = 64
"""Bytes of the region that a round of a wrapper's loops deals with: the interpreter pays for each instruction."""
_LITTLE: Final = MemFlags(endianness="little")
_LARGEST: Final = 64
_GRAIN: Final = 16


class Window(NamedTuple):
    """`size` bytes of the region from its byte `start` on; `words`: the bytes of the region at which words begin that
    are shown."""

    start: int
    size: int
    words: tuple[int, ...]


def window(case: Case, run: int, memories: Sequence[bytes]) -> Window | None:
    """The part of a run's data region that seems to matter: where it is not zero at first, what the run may leave there
    (`memories`: the right content first), where pointers lead; None if that is too much."""
    if not case.memories:
        return None
    first = case.memories[run]
    changed = {at for other in memories for at, (old, new) in enumerate(zip(first, other)) if old != new}
    away = pointers(case, run).values()
    places = {at for at, byte in enumerate(first) if byte} | changed | {at for one in away for at in (one, one + 15)}
    if not places or min(places) < 0 or max(places) >= SLOT_SIZE:
        return None
    start = min(places) // _GRAIN * _GRAIN
    size = (max(places) - start) // _GRAIN * _GRAIN + _GRAIN
    if size > _LARGEST:
        return None
    wrong = {at for other in memories[1:] for at, (old, new) in enumerate(zip(memories[0], other)) if old != new}
    return Window(start, size, tuple(sorted({at // 8 * 8 for at in wrong})))


def pointers(case: Case, run: int) -> dict[int, int]:
    """Parameters that point into the run's data region or close to it: place -> bytes from its start."""
    if not case.memories:
        return {}
    away = [value - slot_address(case.slot + run) for value in case.inputs[run]]
    params = case.module.functions[case.entry].signature.params
    return {
        at: away[at] for at, param in enumerate(params) if param.type is I64 and -SLOT_SIZE <= away[at] <= 2 * SLOT_SIZE
    }


def moved(builder: FunctionBuilder, base: int, away: int) -> int:
    """The address `away` bytes from `base`."""
    return builder.ins("iadd", I64, base, builder.iconst(I64, away)) if away else base


def opened(builder: FunctionBuilder, memory: bytes, part: Window) -> int:
    """A stack slot with the words of a part of `memory`, in one byte order whatever the target's is."""
    builder.func.stack_slots[0] = StackSlot(part.size, _GRAIN)
    base = builder.ins("stack_addr", I64, imm=0)
    made: dict[int, int] = {}
    for at in range(0, part.size, 8):
        number = int.from_bytes(memory[part.start + at : part.start + at + 8], "little")
        if number not in made:
            made[number] = builder.iconst(I64, number)
        builder.ins("store", I64, made[number], base, flags=_LITTLE, offset=at)
    return base


def seen(builder: FunctionBuilder, base: int, part: Window) -> list[int]:
    """The words of a part that are shown."""
    return [builder.ins("load", I64, base, flags=_LITTLE, offset=at - part.start) for at in part.words]


def region(builder: FunctionBuilder, memory: bytes) -> int:
    """A zeroed stack slot with the words of `memory`, in one byte order whatever the target's is."""
    func = builder.func
    func.stack_slots[0] = StackSlot(SLOT_SIZE, 16)
    base = builder.ins("stack_addr", I64, imm=0)
    zero = builder.iconst(I64, 0)
    loop, ready = builder.block(I64), builder.block()
    builder.jump(loop, zero)
    builder.switch_to(loop)
    at = loop.params[0][0]
    there = builder.ins("iadd", I64, base, at)
    for offset in range(0, _STRIDE, 8):
        builder.ins("store", I64, zero, there, offset=offset)
    _next(builder, loop, ready, at)
    builder.switch_to(ready)
    for word in range(_WORDS):
        number = int.from_bytes(memory[word * 8 : word * 8 + 8], "little")
        if number:
            builder.ins("store", I64, builder.iconst(I64, number), base, flags=_LITTLE, offset=word * 8)
    return base


def _next(builder: FunctionBuilder, loop: Block, ready: Block, at: int, *carried: int) -> None:
    """The end of a loop over the region, `_STRIDE` bytes a round."""
    following = builder.ins("iadd", I64, at, builder.iconst(I64, _STRIDE))
    limit = builder.iconst(I64, SLOT_SIZE)
    more = builder.ins("icmp", I64, following, limit, imm="ult")
    builder.brif(more, loop, (following, *carried), ready, carried)


def checksum(builder: FunctionBuilder, base: int) -> int:
    """A sum over all words of the region that a change of any byte changes: h = rotl(h ^ word, 13) * odd."""
    loop, ready = builder.block(I64, I64), builder.block(I64)
    zero = builder.iconst(I64, 0)
    builder.jump(loop, zero, zero)
    builder.switch_to(loop)
    at, total = (value for value, _ in loop.params)
    there = builder.ins("iadd", I64, base, at)
    turn, odd = builder.iconst(I32, 13), builder.iconst(I64, 0x9E3779B97F4A7C15)
    for offset in range(0, _STRIDE, 8):
        word = builder.ins("load", I64, there, offset=offset)
        turned = builder.ins("rotl", I64, builder.ins("bxor", I64, total, word), turn)
        total = builder.ins("imul", I64, turned, odd)
    _next(builder, loop, ready, at, total)
    builder.switch_to(ready)
    return ready.params[0][0]
