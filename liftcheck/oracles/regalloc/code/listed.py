"""Whether an instruction's own bytes are the machine instructions that the compiler's own text of it names.

The one idea: the compiler prints what it believes it emits, with virtual registers; what its bytes are, the tables say.
So a load does not become a store, a constant not an address of the frame, and no operation another one that reads and
writes the same. Where the text is not at hand, or there is no way to read it yet (`Isa.listing`), nothing is asked.
Exits are executed (`frame`), and so not asked about here.

It does not compare operands, immediates and distances, and a mnemonic that no table has says nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Final

from liftcheck.isa.abi import abi_named
from liftcheck.isa.base import isa_named
from liftcheck.mach.insn import Insn
from liftcheck.mach.regs import NONE
from liftcheck.oracles.regalloc.code.layout import Placed
from liftcheck.oracles.regalloc.code.problem import Problem
from liftcheck.regalloc.allocation import Allocation

OTHER: Final = "bytes are another instruction than the compiler's listing names"


def check(isa: str, allocation: Allocation, instruction: int, own: Sequence[Placed]) -> Sequence[Problem]:
    """`own`: what control reaches of the instruction's bytes."""
    what = allocation.instructions[instruction]
    text = what.text
    if not text or not own or (len(own) == 1 and text.startswith(f"{own[0].machine.name} ") and ";" not in text):
        return ()
    agrees = _agrees(isa)
    machines = [machine for _, machine in own]
    if len(own) > 1 and machines[-1].name == abi_named(isa).half_jump:
        del machines[-1]
    if what.is_return or agrees is None or agrees(text, machines):
        return ()
    found = "; ".join(machine.text for machine in machines)
    return (Problem(OTHER, instruction, own[0].offset, NONE, text, found, tuple(own)),)


@cache
def _agrees(isa: str) -> Callable[[str, Sequence[Insn]], bool] | None:
    value = isa_named(isa)
    found: Callable[[str, Sequence[Insn]], bool] | None = value.part(value.listing)
    return found
