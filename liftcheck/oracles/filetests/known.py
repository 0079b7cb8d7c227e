"""Units of upstream's run tests in which Cranelift itself is wrong: how such a unit is told from a failure of ours.

The one idea: upstream's harness passes narrow arguments extended and does not look at callee-saved registers; liftcheck
fills the upper bits with noise and looks. What proves that the compiler is wrong: `proofs.py` and `faults.py`; the page
that explains it: `pages.py`. Here both are asked, and the answer is the cause that a report lists, with its page.
Sources: RISC-V psABI, "Procedure Calling Convention" (fs0-fs11 are preserved); Cranelift's docs on `uext` and `sext`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from liftcheck.case import CompileFailure
from liftcheck.clif.ir import Function
from liftcheck.oracles.filetests.faults import Rewrite, rewritten
from liftcheck.oracles.filetests.pages import told_by
from liftcheck.oracles.filetests.proofs import (
    Illegal,
    Panic,
    Refused,
    Register,
    Unboxed,
    UpperBits,
    has_panicked,
    is_refused,
)
from liftcheck.oracles.refusals import WRONG
from liftcheck.runners.beyond import ILLEGAL

UPPER_BITS: Final = "the code reads undefined upper bits of a narrow argument"
NO_PAGE: Final = "no page yet"


def cause(isa: str, function: Function, damaged: Sequence[str], passes_without_noise: bool) -> str:
    """What is wrong with the compiled code, with the page if there is one; '' if nothing is proven. `damaged`: the
    callee-saved registers that came back changed."""
    known = {proof.name: page.path for page, proof in told_by(Register, isa)}
    if damaged and all(register in known for register in damaged):
        pages = dict.fromkeys(known[register] for register in damaged)
        return f"{', '.join(damaged)} not saved by the callee ({', '.join(pages)})"
    if not passes_without_noise:
        return ""
    ops = {inst.op for block in function.blocks for inst in block.insts}
    page = next((page.path for page, proof in told_by(UpperBits, isa) if proof.op in ops), NO_PAGE)
    return f"{UPPER_BITS} ({page})"


def unboxed(isa: str) -> str:
    """The cause where a line is met by a runner that does not look at NaN boxes, of code that depends on them."""
    page = next((page.path for page, _ in told_by(Unboxed, isa)), NO_PAGE)
    return f"an f32 lacks its NaN box ({page})"


def cause_of_failure(isa: str, function: Function, failure: CompileFailure) -> str:
    """What is wrong where there is no code for the target; '' if nothing is known."""
    if failure.kind == WRONG:
        found = (page.path for page, proof in told_by(Refused, isa) if is_refused(proof, function, failure))
        return f"wrong refusal on {isa}: {failure.reason} ({next(found, NO_PAGE)})"
    if failure.kind == ILLEGAL:
        convention = function.signature.call_conv
        found = (page.path for page, proof in told_by(Illegal, isa) if proof.call_conv == convention)
        return f"{failure.reason} ({next(found, NO_PAGE)})"
    for page, proof in told_by(Panic, isa) if failure.kind == "panic" else ():
        if has_panicked(proof, function, failure):
            return f"compiler panic: {proof.name} ({page.path})"
    return ""


def faulty(isa: str, functions: Sequence[Function]) -> list[tuple[str, list[Function]]]:
    """For each page that may explain a result on an ISA, the program as the page says that it is compiled."""
    made = [(page.path, rewritten(proof, functions)) for page, proof in told_by(Rewrite, isa)]
    return [(path, program) for path, program in made if program is not None]
