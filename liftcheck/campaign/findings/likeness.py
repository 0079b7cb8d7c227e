"""What is alike: which programs show a finding's fault, and which could not show any.

The one idea: a smaller program stands for a finding if it goes wrong as that one does. Asked here is all that needs no
compiler: whether a mismatch is of the finding's kind, whether what a program does may be compared at all, and how long
the reference may take. Who compiles and runs it: `investigate`.
"""

from __future__ import annotations

import dataclasses

from liftcheck import layout
from liftcheck.campaign.findings.finding import Finding
from liftcheck.campaign.reduce.visible import left_open
from liftcheck.case import Case, CompileFailure, Target
from liftcheck.clif.verify import verify
from liftcheck.isa import BIG_ENDIAN
from liftcheck.oracles.base import Mismatch
from liftcheck.oracles.classes import class_of
from liftcheck.oracles.reference import FUEL, interpret, reads_garbage


def unsound(case: Case, finding: Finding, fuel: int, shown: bool = False) -> str:
    """Why what a case does is not to be compared."""
    by_value, big_endian = finding.row.may_be_open, finding.target.isa in BIG_ENDIAN
    if trouble := interpret(case, big_endian, fuel).trouble:
        return f"cannot be judged ({trouble})"
    run = finding.run if finding.run < len(case.inputs) else 0
    if by_value and not shown and (opening := left_open(case, run, big_endian, fuel)):
        return f"show what CLIF leaves open ({opening.what})"
    if by_value and reads_garbage(case, big_endian, fuel):
        return "read stack that they have not written"
    return ""


def holds_addresses(case: Case) -> bool:
    """Whether an argument or a constant of the case is an address that means nothing elsewhere: of a function, of the
    stack, of a data region that the case has not (as a constant, of any)."""
    constants = {
        inst.imm
        for function in case.module.functions
        for block in function.blocks
        for inst in block.insts
        if inst.op == "iconst" and isinstance(inst.imm, int)
    }
    arguments = {
        value
        for row in case.inputs
        for value in row
        if not case.memories or not layout.DATA <= value < layout.DATA + layout.SLOTS * layout.SLOT_STRIDE
    }
    return any(layout.ARENA <= value < layout.ARENA + layout.ARENA_SIZE for value in constants | arguments)


def alike(mismatch: Mismatch, finding: Finding) -> bool:
    """Whether a mismatch shows the finding's fault (of whatever target)."""
    if finding.failure is not None:
        return _same_failure(mismatch.failure, finding.failure)
    if finding.row.ours:
        return mismatch.failure is None
    return class_of(mismatch.verdict.klass).is_kin(finding.row)


def _same_failure(left: CompileFailure | None, right: CompileFailure) -> bool:
    return left is not None and (left.kind, left.reason, left.place) == (right.kind, right.reason, right.place)


def effort(finding: Finding) -> int:
    """The fuel that the reference may spend on a run of a program made out of the finding's: a few times what that one
    took, so that candidates that go round for ever are soon refused."""
    case, run = finding.case, finding.run
    alone = dataclasses.replace(
        case, inputs=case.inputs[run : run + 1], memories=case.memories[run : run + 1], slot=case.slot + run
    )
    steps = sum(interpret(alone, finding.target.big_endian).executed.values())
    return min(FUEL, 4 * steps + 1000)


def probe(case: Case, target: Target) -> tuple[int, ...] | None:
    """What the reference returns for the first input, if the case is well-formed and returns."""
    if verify(case.module) or not case.inputs:
        return None
    found = interpret(case, target.big_endian, 100_000)
    return found.outcomes[0].values if found.outcomes and found.outcomes[0].kind == "returned" else None


def followed(finding: Finding, target: Target) -> Target | None:
    """The finding's witness without the settings that `target` no longer has, if it is of the same ISA."""
    witness = finding.witness
    if witness is None or witness.isa != target.isa:
        return witness
    dropped = set(finding.target.settings) - set(target.settings)
    return Target(witness.isa, tuple(s for s in witness.settings if s not in dropped))
