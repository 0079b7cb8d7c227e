"""Units of upstream's run tests in which Cranelift itself is wrong: how such a unit is told from a failure of ours.

The one idea: a proof, not a list of names. Upstream's harness passes narrow arguments extended and does not look at
callee-saved registers; liftcheck fills the upper bits with noise and looks. So a unit that passes when its narrow
arguments are zero-extended, and does not otherwise, shows code that reads bits that no convention defines; and a
callee-saved register that comes back changed is ABI damage, whatever the results.
`PAGES` maps what is understood to its page.
Sources: RISC-V psABI, "Procedure Calling Convention" (fs0-fs11 are preserved); Cranelift's docs on `uext` and `sext`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final

from liftcheck.case import CompileFailure
from liftcheck.clif.ir import Function, Inst
from liftcheck.clif.types import F16, I128
from liftcheck.oracles.filetests import panics
from liftcheck.oracles.refusals import WRONG
from liftcheck.runners.beyond import ILLEGAL

UPPER_BITS: Final = "the code reads undefined upper bits of a narrow argument"
UNBOXED: Final = "an f32 lacks its NaN box (docs/findings/riscv64-f32-return-value-not-boxed.md)"
"""Proven where a line is met by a runner that does not look at boxes, of code that depends on them."""
PAGES: Final = {
    ("riscv64", "swizzle"): "docs/findings/riscv64-swizzle-of-splat.md",
    ("riscv64", "fs1"): "docs/findings/riscv64-fs1-not-saved.md",
}
"""(ISA, opcode or register) -> the page that explains it."""
ILLEGAL_PAGE: Final = "docs/findings/riscv64-preserve-all-without-vectors.md"
MIN_MAX_PAGE: Final = "docs/findings/min-max-i128-refused-at-speed.md"
TO_F16_PAGE: Final = "docs/findings/riscv64-fcvt-of-splat-f16-refused.md"
_MIN_MAX: Final = re.compile(r"no lowering of [us](min|max)\.i128|lacks a case for this type .*aarch64/lower/isle\.rs")
_TO_F16: Final = re.compile(r"no lowering of (fcvt_from_[us]int)\.f16")
NO_PAGE: Final = "no page yet"


def cause(isa: str, function: Function, damaged: Sequence[str], passes_without_noise: bool) -> str:
    """What is wrong with the compiled code, with the page if there is one; '' if nothing is proven. `damaged`: the
    callee-saved registers that came back changed."""
    pages = [page for page in (PAGES.get((isa, register)) for register in damaged) if page]
    if damaged and len(pages) == len(damaged):
        return f"{', '.join(damaged)} not saved by the callee ({', '.join(dict.fromkeys(pages))})"
    if not passes_without_noise:
        return ""
    ops = {inst.op for block in function.blocks for inst in block.insts}
    page = next((page for (of, op), page in PAGES.items() if of == isa and op in ops), NO_PAGE)
    return f"{UPPER_BITS} ({page})"


def cause_of_failure(isa: str, function: Function, failure: CompileFailure) -> str:
    """What is wrong where there is no code for the target; '' if nothing is known."""
    if failure.kind == WRONG:
        return f"wrong refusal on {isa}: {failure.reason} ({_refused(isa, function, failure)})"
    if failure.kind == ILLEGAL:
        page = ILLEGAL_PAGE if function.signature.call_conv == "preserve_all" else NO_PAGE
        return f"{failure.reason} ({page})"
    return panics.known(isa, function, failure) if failure.kind == "panic" else ""


def _refused(isa: str, function: Function, failure: CompileFailure) -> str:
    """The page of a wrong refusal: it says which instruction is refused, and the program must hold what the mid-end
    makes that of."""
    made = {value: inst for block in function.blocks for inst in block.insts for value in inst.results}
    if isa in ("x86-64", "aarch64") and _MIN_MAX.match(failure.reason):
        return MIN_MAX_PAGE if any(_is_min_max(function, inst, made) for inst in made.values()) else NO_PAGE
    said = _TO_F16.match(failure.reason)
    if isa == "riscv64" and said and any(_is_of_splat(function, inst, made, said[1]) for inst in made.values()):
        return TO_F16_PAGE
    return NO_PAGE


def _is_min_max(function: Function, inst: Inst, made: Mapping[int, Inst]) -> bool:
    """A select between the i128 operands of its own comparison."""
    names = [function.aliases.get(value, value) for value in inst.args]
    if inst.op != "select" or function.types[inst.results[0]] != I128:
        return False
    compared = made.get(names[0])
    return (
        compared is not None
        and compared.op == "icmp"
        and ({function.aliases.get(value, value) for value in compared.args} == set(names[1:]))
    )


def _is_of_splat(function: Function, inst: Inst, made: Mapping[int, Inst], op: str) -> bool:
    """A conversion, to lanes of f16, of a splat."""
    kind = function.types[inst.results[0]]
    if inst.op != op or not kind.is_vector or kind.lane != F16:
        return False
    source = made.get(function.aliases.get(inst.args[0], inst.args[0]))
    return source is not None and source.op == "splat"
