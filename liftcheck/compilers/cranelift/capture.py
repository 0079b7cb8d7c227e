"""What a bridge with the shim for regalloc2 says of register allocation, as an `Allocation`.

The one idea: the reply is lists of plain numbers in the order that `bridge/shim/bridge/allocation.rs` states;
operands are packed into one number each, and a number always means the same operand, so it is unpacked once.
Nothing here judges an allocation; how the shim gets at it is told in `shim.py`.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, NamedTuple

from liftcheck.case import CompileFailure, FunctionCode
from liftcheck.compilers.base import Reply
from liftcheck.errors import UsageError
from liftcheck.mach.regs import CLASSES, NONE
from liftcheck.regalloc.allocation import (
    DEF,
    EARLY,
    FIXED,
    LATE,
    USE,
    Allocation,
    Block,
    Captured,
    Edit,
    Environment,
    Instruction,
    Operand,
)

FAULTS: Final[Mapping[str, str]] = {
    "use": "a use reads another register",
    "def": "a definition is put into another register",
    "use-of-value": "a use reads a register that an instruction nearby reads or writes",
    "swap-uses": "two uses of an instruction read each other's registers",
    "def-on-def": "two definitions of an instruction share a register",
    "early-def-on-use": "a definition in the early position shares the register of a use",
    "class": "a use reads a register of another class",
    "slot-operand": "an operand on the stack is in another slot",
    "drop-edit": "a move is missing",
    "retarget-edit": "a move writes another register or slot",
    "resource-edit": "a move reads another register or slot",
    "swap-edits": "two moves of one place, one of which writes what the other reads or writes, change their order",
    "edit-side": "a move stands on the other side of its instruction, which touches one of its places",
    "edit-neighbour": "a move stands at the instruction before or after",
    "extra-edit": "a register is overwritten just before an instruction reads it",
    "merge-slots": "two spill slots are one",
    "half-slot": "a value of two slots is moved by one slot, into its neighbour's",
    "few-slots": "the frame lacks its last spill slot",
    "clobber": "a value that lives across an instruction lives in a register that the instruction clobbers",
    "edge-edit": "a move that passes a block its parameter reads another register",
    "reuse-copy": "the move that copies an input into the register that the result overwrites is missing",
}  # fmt: skip
"""Kinds of planted faults (`bridge/shim/bridge/damage.rs`). Some compilations panic with it: then the message says
what was planted. A function without a place for it comes out right, and `Allocation.fault` begins with 'nothing'."""

_MOST: Final = 200_000
_NO_SCRATCH: Final = 255


class PlantedFault(NamedTuple):
    """A fault to plant in an allocation: one of FAULTS; `seed` modulo the number of eligible places says where."""

    kind: str
    seed: int = 0


class _Operands(dict[int, Operand]):
    """Packed operands: vreg + 1 from bit 14 on, class at 12, definition at 11, late at 10, constraint at 7, value."""

    def __missing__(self, packed: int) -> Operand:
        if len(self) > _MOST:
            self.clear()
        cls, constraint, value = packed >> 12 & 3, packed >> 7 & 7, packed & 127
        operand = Operand(
            (packed >> 14) - 1,
            cls,
            DEF if packed & 2048 else USE,
            LATE if packed & 1024 else EARLY,
            constraint,
            cls << 6 | value if constraint == FIXED else value,
        )
        self[packed] = operand
        return operand


class _Registers(dict[str, tuple[int, ...]]):
    """'1,2,3' as numbers."""

    def __missing__(self, text: str) -> tuple[int, ...]:
        if len(self) > _MOST:
            self.clear()
        numbers = self[text] = tuple(map(int, text.split(","))) if text else ()
        return numbers


class _Environments(dict[str, Environment]):
    """Eight lists of registers, ';' between: preferred and others by class, scratch, fixed slots. Before regalloc2 0.9
    there were two classes, so six lists."""

    def __missing__(self, text: str) -> Environment:
        lists = [_registers[part] for part in text.split(";")]
        scratch = tuple(NONE if register == _NO_SCRATCH else register for register in lists[-2])
        half = (len(lists) - 2) // 2
        missing = len(CLASSES) - half
        environment = self[text] = Environment(
            (*lists[:half], *[()] * missing),
            (*lists[half:-2], *[()] * missing),
            (*(scratch or (NONE,) * half), *[NONE] * missing),
            lists[-1],
        )
        return environment


_operands: Final = _Operands()
_registers: Final = _Registers()
_environments: Final = _Environments()


def request(fault: PlantedFault | None) -> bytes:
    """What stands in front of the text when allocations are wanted."""
    kind, seed = fault or ("", 0)
    if kind not in ("", *FAULTS):
        raise UsageError(f"no fault called '{kind}'; there is {', '.join(FAULTS)}")
    return struct.pack("<II", seed, len(kind)) + kind.encode()


def read_all(
    columns: Sequence[Sequence[Reply]], isas: Sequence[str], version: tuple[int, ...] = ()
) -> list[list[Captured | CompileFailure]]:
    """All replies, one column for each of `isas`; `version`: the published compiler's, () for any other.
    What repeats an earlier target's is the same object, read once."""
    seen: dict[int, Captured] = {}
    done: list[list[Captured | CompileFailure]] = []
    for column, isa in zip(columns, isas):
        done.append([])
        for reply in column:
            if isinstance(reply, CompileFailure):
                done[-1].append(reply)
                continue
            if id(reply) not in seen:
                seen[id(reply)] = read(reply, isa, version)
            done[-1].append(seen[id(reply)])
    return done


def read(code: FunctionCode, isa: str, version: tuple[int, ...] = ()) -> Captured:
    """A compiled function with its allocation, which stands in `extra` until now."""
    extra = dict(code.extra)
    raw = extra.pop("allocation")
    frame = extra.get("frame")
    assert isinstance(raw, list)
    told = dict(frame) if isinstance(frame, Mapping) else {}
    if version:
        told["version"] = version
    return Captured(replace(code, extra=extra), decode(raw, told, isa))


def decode(raw: list[Any], frame: Mapping[str, object], isa: str) -> Allocation:
    """The lists of a reply as an allocation."""
    (
        environment,
        classes,
        blocks,
        operands,
        places,
        clobbers,
        returns,
        branches,
        edits,
        slots,
        sizes,
        own,
        moved,
        algorithm,
        fault,
        text,
        slot_bytes,
        convention,
    ) = raw
    get = _operands.__getitem__
    instructions = [Instruction(tuple(map(get, row))) for row in operands]
    for number, registers in clobbers:
        instructions[number] = instructions[number]._replace(clobbers=_registers[registers])
    for number in returns:
        instructions[number] = instructions[number]._replace(is_return=True)
    for number in branches:
        instructions[number] = instructions[number]._replace(is_branch=True)
    if text is not None:
        instructions = [one._replace(text=line) for one, line in zip(instructions, text, strict=True)]
    four = iter(edits)
    return Allocation(
        tuple(map(_block, blocks)),
        tuple(instructions),
        tuple(bytes.fromhex(classes)),
        _environments[environment],
        tuple(map(tuple, places)),
        tuple(map(Edit._make, zip(four, four, four, four))),
        slots,
        tuple(sizes),
        (None,) * len(instructions) if own is None else tuple(own[::2]),
        () if own is None else tuple(own[1::2]),
        () if moved is None else tuple(zip(moved[::2], moved[1::2])),
        {**frame, "slot_sizes": slot_bytes, "convention": convention},
        algorithm,
        fault or "",
        isa,
    )


def _block(row: list[Any]) -> Block:
    first, end, parameters, successors, arguments, predecessors = row
    return Block(first, end, tuple(parameters), tuple(successors), tuple(map(tuple, arguments)), tuple(predecessors))
