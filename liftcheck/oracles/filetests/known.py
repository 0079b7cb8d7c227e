"""Units of upstream's run tests in which Cranelift itself is wrong: how such a unit is told from a failure of ours.

The one idea: upstream's harness passes narrow arguments extended and does not look at callee-saved registers; liftcheck
fills the upper bits with noise and looks. What proves that the compiler is wrong: `proofs.py`, `faults.py`, `mends.py`;
the page that explains it: `pages.py`; who runs what they need: `explain.py`. The answer is the cause that a report
lists, with its page at the end.
Sources: RISC-V psABI, "Procedure Calling Convention" (fs0-fs11 are preserved); Cranelift's docs on `uext` and `sext`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from liftcheck.case import CompileFailure, Target
from liftcheck.clif.ir import Function
from liftcheck.oracles.filetests.faults import Rewrite, rewritten
from liftcheck.oracles.filetests.mends import Mend
from liftcheck.oracles.filetests.pages import FOLDER, ON_THE_WEB, PANICS_PAGE, told_by
from liftcheck.oracles.filetests.proofs import Illegal, Panic, Refused, Register, has_panicked, is_illegal, is_refused
from liftcheck.oracles.refusals import WRONG
from liftcheck.runners.beyond import ILLEGAL

UPPER_BITS: Final = "the code reads undefined upper bits of a narrow argument"
NO_PAGE: Final = "no page yet"


def not_saved(isa: str, damaged: Sequence[str]) -> str:
    """The cause, if all callee-saved registers that came back changed are known not to be saved; '' otherwise."""
    known = {proof.name: page.path for page, proof in told_by(Register, isa)}
    pages = {known.get(register, "") for register in damaged}
    if len(pages) != 1 or "" in pages:
        return ""
    return f"{', '.join(damaged)} not saved by the callee ({pages.pop()})"


def page_in(cause: str) -> str:
    """The page that a cause ends with; '' if it has none."""
    found = re.search(rf"\(((?:{re.escape(ON_THE_WEB)}/)?{FOLDER}/[\w-]+\.md)\)$", cause)
    return found[1] if found else ""


def fault_in(cause: str) -> str:
    """What units with the same fault share: the page, and of a page on several faults the cause; '' without a page."""
    page = page_in(cause)
    return cause if page == PANICS_PAGE else page


def cause_of_failure(isa: str, function: Function, failure: CompileFailure) -> str:
    """What is wrong where there is no code for the target; '' if nothing is known."""
    if failure.kind == WRONG:
        found = (page.path for page, proof in told_by(Refused, isa) if is_refused(proof, function, failure))
        return f"wrong refusal on {isa}: {failure.reason} ({next(found, NO_PAGE)})"
    if failure.kind == ILLEGAL:
        found = (page.path for page, proof in told_by(Illegal, isa) if is_illegal(proof, function, failure))
        return f"{failure.reason} ({next(found, NO_PAGE)})"
    for page, proof in told_by(Panic, isa) if failure.kind == "panic" else ():
        if has_panicked(proof, function, failure):
            return f"compiler panic: {proof.name} ({page.path})"
    return ""


def faulty(target: Target, functions: Sequence[Function]) -> list[tuple[str, list[Function]]]:
    """For each page that may explain a result on a target, the program as the page says that it is compiled."""
    return [
        (page.path, program)
        for page, proof in told_by(Rewrite, target.isa)
        if page.is_for(target)
        for program in rewritten(proof, functions)
    ]


def mends(target: Target) -> list[tuple[str, Mend]]:
    """What takes the faults of pages away that may explain a result on a target."""
    return [(page.path, proof) for page, proof in told_by(Mend, target.isa) if page.is_for(target)]
