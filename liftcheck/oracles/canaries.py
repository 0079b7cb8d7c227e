"""Which callee-saved registers a program changes: asked of the machine, not read from disassembly.

The one idea: the runner's loop only says that some register came back changed. So the run is repeated under a spy, a
few instructions of our own around the trampoline: it notes all registers that the default convention wants kept before
the trampoline and after it, into the row as further results, and puts them back. That holds whatever the code is, on
every runner, and names exactly the registers that were damaged. The same with a callee that does nothing tells whether
it was the trampoline, which the compiler under test made as well.

It cannot tell of a stack pointer that is lost: the spy does not come back then, and the answer is STACK_POINTER.
Which registers are callee-saved `isa.abi` says; each ISA's spy is a module of its package.
"""

from __future__ import annotations

import dataclasses
from typing import Final

from liftcheck.case import FunctionCode
from liftcheck.clif.ir import AbiParam
from liftcheck.clif.types import I64
from liftcheck.compilers.base import Program
from liftcheck.isa import BIG_ENDIAN
from liftcheck.isa.abi import FLOATS, abi_named, owed
from liftcheck.isa.base import isa_named
from liftcheck.mach.regs import show_place
from liftcheck.runners.base import Job, Runner
from liftcheck.runners.link import link
from liftcheck.runners.trampolines import packing

STACK_POINTER: Final = "stack pointer"
_NOTHING: Final = "%nothing"


def damaged(runner: Runner, program: Program, entry: str, job: Job) -> tuple[str, ...]:
    """The callee-saved registers that are not what they were when the first run of a job is over, in a fixed order.
    `job`: its trampoline, signature, inputs and memories; it calls `entry` of the program."""
    isa, names = runner.isa, watched(runner.isa)
    first = packing(job.signature, isa in BIG_ENDIAN).size
    spy = dataclasses.replace(job.trampoline, code=_around(isa, first, job.trampoline.code), alignment=16)
    noted = (AbiParam(I64),) * (2 * len(names))
    longer = job.signature._replace(returns=(*job.signature.returns, *noted))
    image = link([program], isa)
    spied = Job(spy, image.entry(0, entry), longer, job.inputs[:1], job.memories[:1], job.slot)
    outcome = runner.run(image, [spied])[0][0]
    if outcome.kind != "returned":
        return () if outcome.kind == "unsupported" else (STACK_POINTER,)
    before, after = outcome.values[-2 * len(names) : -len(names)], outcome.values[-len(names) :]
    return tuple(name for name, old, new in zip(names, before, after) if old != new)


def damaged_by_trampoline(runner: Runner, job: Job) -> tuple[str, ...]:
    """Those that are changed although the callee does nothing."""
    return damaged(runner, [FunctionCode(_NOTHING, bytes.fromhex(isa_named(runner.isa).ret))], _NOTHING, job)


def watched(isa: str) -> dict[str, int]:
    """The callee-saved registers of the default convention: name to place."""
    kept, abi = owed(isa, "system_v"), abi_named(isa)
    assert kept is not None
    floats = f"{abi.half}{{}}".format if abi.half else None
    return {floats(place & 63) if floats and place >= FLOATS else show_place(place, isa): place for place in kept.bits}


def _around(isa: str, first: int, code: bytes) -> bytes:
    """The spy with a trampoline's code after it; it notes registers from offset `first` of the row on."""
    spy, kept = isa_named(isa).part(isa_named(isa).spy), list(watched(isa).values())
    size = -(-len(spy(kept, first, 0)) // 16) * 16
    return bytes(spy(kept, first, size)).ljust(size, b"\0") + code
