"""Units of upstream's run tests in which Cranelift itself is wrong: how such a unit is told from a failure of ours.

The one idea: a proof, not a list of names. Upstream's harness passes narrow arguments extended and does not look at
callee-saved registers; liftcheck fills the upper bits with noise and looks. So a unit that passes when its narrow
arguments are zero-extended, and does not otherwise, shows code that reads bits that no convention defines; and a
callee-saved register that comes back changed is ABI damage, whatever the results.
`PAGES` maps what is understood to its page.
Sources: RISC-V psABI, "Procedure Calling Convention" (fs0-fs11 are preserved); Cranelift's docs on `uext` and `sext`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from liftcheck.case import CompileFailure
from liftcheck.clif.ir import Function
from liftcheck.oracles import filetest_panics
from liftcheck.oracles.beyond import ILLEGAL
from liftcheck.oracles.refusals import WRONG

UPPER_BITS: Final = "the code reads undefined upper bits of a narrow argument"
UNBOXED: Final = "an f32 lacks its NaN box (docs/findings/riscv64-f32-return-value-not-boxed.md)"
"""Proven where a line is met by a runner that does not look at boxes, of code that depends on them."""
PAGES: Final = {
    ("riscv64", "swizzle"): "docs/findings/riscv64-swizzle-of-splat.md",
    ("riscv64", "fs1"): "docs/findings/riscv64-fs1-not-saved.md",
}
"""(ISA, opcode or register) -> the page that explains it."""
ILLEGAL_PAGE: Final = "docs/findings/riscv64-preserve-all-without-vectors.md"


def cause(isa: str, function: Function, damaged: Sequence[str], passes_without_noise: bool) -> str:
    """What is wrong with the compiled code, with the page if there is one; '' if nothing is proven. `damaged`: the
    callee-saved registers that came back changed."""
    pages = [page for page in (PAGES.get((isa, register)) for register in damaged) if page]
    if damaged and len(pages) == len(damaged):
        return f"{', '.join(damaged)} not saved by the callee ({', '.join(dict.fromkeys(pages))})"
    if not passes_without_noise:
        return ""
    ops = {inst.op for block in function.blocks for inst in block.insts}
    page = next((page for (of, op), page in PAGES.items() if of == isa and op in ops), "no page yet")
    return f"{UPPER_BITS} ({page})"


def cause_of_failure(isa: str, function: Function, failure: CompileFailure) -> str:
    """What is wrong where there is no code for the target; '' if nothing is known."""
    if failure.kind == WRONG:
        return f"wrong refusal on {isa}: {failure.reason}"
    if failure.kind == ILLEGAL:
        page = ILLEGAL_PAGE if function.signature.call_conv == "preserve_all" else "no page yet"
        return f"{failure.reason} ({page})"
    return filetest_panics.known(isa, function, failure) if failure.kind == "panic" else ""
