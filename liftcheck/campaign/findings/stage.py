"""Whether the middle end or the backend is at fault: the optimized CLIF is asked, as it is a program like any other.

The one idea: the compiler prints what its middle end made of a function. The reference runs that on the finding's
input. If it already gives something else, the middle end is wrong; if it gives what the program gives, the backend is.
A compilation that fails prints nothing: there the place of the failure says it, or what compiles beside it: without
optimization, and the optimized CLIF of another ISA, which shares the middle end.
What it does not do: a middle end that relies on what CLIF leaves open is not told from a wrong one; such runs are no
findings (`oracles.admissible`).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Final, Literal, NamedTuple

from liftcheck.campaign.findings.finding import Finding
from liftcheck.campaign.findings.investigate import NOT_RUN, Investigator, voters
from liftcheck.campaign.findings.likeness import alike
from liftcheck.campaign.reduce.passes import narrow_inputs
from liftcheck.case import Case, CompileFailure, Outcome, Target
from liftcheck.clif.ir import Module
from liftcheck.clif.text.parser import parse_module
from liftcheck.clif.text.printer import print_module
from liftcheck.clif.verify import verify
from liftcheck.compilers.base import Program
from liftcheck.compilers.choice import LEVEL
from liftcheck.errors import InputError, Unsupported
from liftcheck.oracles import compare
from liftcheck.oracles.differential import Prepared
from liftcheck.oracles.filetests.optimized import CLIF, with_flags
from liftcheck.oracles.filetests.runs import BACKEND
from liftcheck.oracles.reference import FUEL, interpret
from liftcheck.oracles.refusals import WRONG, at_level
from liftcheck.oracles.tally import Tally

Where = Literal["mid-end", "backend", ""]
NO_VALUE: Final = "what is wrong is not what the code computes"
_MIDDLE: Final = ("opt.rs", "/opts/", "prelude_opt", "egraph", "alias_analysis", "legalizer", "nan_canonicalization",
                  "src/verifier/")  # fmt: skip
"""Parts of a panic's place or message that are of the middle end, or judge what it made."""


class Stage(NamedTuple):
    """`where` the fault is ('': not known), and the grounds, or why it is not known."""

    where: Where
    why: str


def stage_of(desk: Investigator, finding: Finding) -> Stage:
    """Which half of the compiler is at fault."""
    if finding.row.names_registers or finding.row.asked == "compiled twice":
        return Stage("", NO_VALUE)
    if finding.failure is not None:
        return _of_failure(desk, finding, finding.failure)
    code = desk.judge.compile([finding.case], [finding.target], Tally(), CLIF)[0][0]
    if code is None or isinstance(code, CompileFailure):
        return Stage("", "it is not compiled")
    optimized, why = optimized_case(finding.case, code, finding.target)
    if optimized is None:
        return Stage("", why)
    run = finding.run if finding.run < len(optimized.inputs) else 0
    alone = narrow_inputs(optimized, [run])
    found = interpret(alone, finding.target.big_endian, FUEL)
    expected = finding.expected or _expected(finding, run)
    if found.trouble or expected is None:
        return Stage("", f"the optimized CLIF cannot be run: {found.trouble or 'nothing is expected'}")
    if compare.compare(expected, found.outcomes[0], compare.return_types(alone)).kind == compare.DISAGREE:
        return Stage("mid-end", "the optimized CLIF, interpreted, is wrong already")
    return Stage("backend", "the optimized CLIF, interpreted, is right")


def _expected(finding: Finding, run: int) -> Outcome | None:
    found = interpret(narrow_inputs(finding.case, [run]), finding.target.big_endian, FUEL)
    return None if found.trouble or not found.outcomes else found.outcomes[0]


def optimized_case(case: Case, code: Program, target: Target) -> tuple[Case | None, str]:
    """The case with the CLIF that the middle end made of it; or None, and why there is none."""
    functions = []
    try:
        for original, one in zip(case.module.functions, code, strict=True):
            text = one.extra.get("clif")
            if not isinstance(text, str):
                return None, "this compiler does not show its optimized CLIF"
            functions.append(with_flags(parse_module(text, "optimized CLIF").functions[0], original))
    except (InputError, Unsupported) as error:
        return None, f"its optimized CLIF is not read: {error}"
    if wrong := verify(Module(functions), target.isa, dict(target.settings), file="optimized CLIF"):
        return None, f"its optimized CLIF is not well-formed: {wrong[0].message}"
    return dataclasses.replace(case, module=Module(functions)), ""


def _of_failure(desk: Investigator, finding: Finding, failure: CompileFailure) -> Stage:
    words = f"{failure.place} {failure.message}"
    if any(part in words for part in _MIDDLE):
        return Stage("mid-end", f"it fails there: {failure.place or failure.reason}")
    plain = at_level(finding.target, "none")
    is_plain = dict(finding.target.settings).get(LEVEL, "none") == "none"
    if is_plain or _fails_alike(desk, finding, finding.case, plain):
        is_there = any(part in words for part in BACKEND) and failure.place
        return Stage(
            "backend", f"it fails there: {failure.place}" if is_there else "it fails without optimization, too"
        )
    if not desk.judge.refusals.compiles(finding.case.module, plain):
        return Stage("", "without optimization it is refused for another reason")
    if finding.failure is not None and finding.failure.kind == WRONG:
        return Stage("mid-end", "its optimized CLIF is refused; without optimization it compiles")
    if _is_made(desk, finding, plain):
        return Stage("mid-end", "it makes a form that the backend does not take; without optimization it compiles")
    return Stage("", "it compiles without optimization, and its optimized CLIF cannot be seen")


def _fails_alike(desk: Investigator, finding: Finding, case: Case, target: Target) -> bool:
    """Whether a case fails on a target as the finding does."""
    prepared = [Prepared(print_module(case.module), NOT_RUN, {})]
    seen = desk.judge_for(finding).judge([case], [target], Tally(), prepared=prepared)
    return any(alike(one, finding) for one in seen)


def _is_made(desk: Investigator, finding: Finding, plain: Target) -> bool:
    """Whether what the middle end makes of the program elsewhere fails in the same way without optimization."""
    others: Sequence[Target] = [t for t in voters(finding.target) if dict(t.settings).get(LEVEL) == "speed"]
    for target in others:
        code = desk.judge.compile([finding.case], [target], Tally(), CLIF)[0][0]
        if code is None or isinstance(code, CompileFailure):
            continue
        optimized, _ = optimized_case(finding.case, code, target)
        if optimized is not None:
            return _fails_alike(desk, finding, optimized, plain)
    return False
