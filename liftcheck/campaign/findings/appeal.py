"""Before the reference is blamed: other judges are asked when every ISA and level stands against it.

The one idea: that all backends agree is not a proof. They share a middle end and habits (a rule that looks at the
result's type only was copied from ISA to ISA). So two more judges are heard, who owe them nothing:

- another version of the compiler that is built on this machine: if it sides with the reference on the program, this
  version is at fault;
- each instruction of the entry function alone, on operands as in the program, as parameters and (a middle end folds
  them) as constants. The first that goes wrong alone on the target is the matter in dispute. An ISA or a level that
  computes it as the reference does decides it; if there is none, z3 does, whose theories of bit-vectors and floats
  share no code with the reference's arithmetic.

Where neither says anything (memory, control flow, calls, a fault of two instructions together), the verdict stays.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from liftcheck.campaign.reduce.proposals import cut
from liftcheck.case import Case, Outcome, Target
from liftcheck.clif.edit import constant, copy_function, replace_uses
from liftcheck.clif.ir import Function, Inst, Module
from liftcheck.clif.opcodes import EXITS
from liftcheck.clif.semantics.meaning import has_meaning, meaning
from liftcheck.compilers.cranelift import builds
from liftcheck.compilers.cranelift.client import Cranelift
from liftcheck.errors import LiftcheckError
from liftcheck.oracles import compare
from liftcheck.oracles.base import Mismatch
from liftcheck.oracles.differential import Judge
from liftcheck.oracles.reference import interpret
from liftcheck.oracles.refusals import in_signature
from liftcheck.oracles.tally import Tally

_FUEL: Final = 100_000
_OTHER_VERSIONS: Final = 2


class Answer(NamedTuple):
    """Whether the reference is right, and the grounds in words."""

    right: bool
    words: str


class _Alone(NamedTuple):
    """An instruction of a function with its operands, as a case of one run."""

    inst: Inst
    function: Function
    operands: tuple[int, ...]
    case: Case


def appeal(judge: Judge, case: Case, mismatch: Mismatch, others: Sequence[Target]) -> Answer:
    """Hears the other judges on a mismatch that all ISAs agree on."""
    return _by_versions(judge, case, mismatch) or _by_instructions(judge, case, mismatch, others) or Answer(False, "")


def _by_versions(judge: Judge, case: Case, mismatch: Mismatch) -> Answer | None:
    if not isinstance(judge.compiler, Cranelift):
        return None
    built = [one for one in builds.listed() if one.profile == builds.FUZZ and one.version != judge.compiler.version]
    for build in built[-_OTHER_VERSIONS:]:
        with Cranelift(build) as other:
            if _agrees(other, judge, case, mismatch.target):
                return Answer(True, f"Every ISA agrees against the reference; {other.name} sides with it.")
    return None


def _agrees(other: Cranelift, judge: Judge, case: Case, target: Target) -> bool:
    """Whether another version computes what the reference does; its fault, if it has one, is its own."""
    tally = Tally()
    known = other.settings(target.isa)
    plain = Target(target.isa, tuple(s for s in target.settings if s[0] in known and known[s[0]].takes(s[1])))
    try:
        hooks = dataclasses.replace(judge.hooks, code=None, before=None)
        return not Judge(other, judge.runners, hooks).judge([case], [plain], tally) and bool(tally.agreed)
    except LiftcheckError:
        return False


def _by_instructions(judge: Judge, case: Case, mismatch: Mismatch, others: Sequence[Target]) -> Answer | None:
    disputed = list(_instructions(case, mismatch))
    seen = judge.judge([one.case for one in disputed], [mismatch.target], Tally())
    wrong = min((s for s in seen if s.failure is None), key=lambda s: s.case, default=None)
    if wrong is None or wrong.expected is None:
        return None
    one = disputed[wrong.case]
    what = f"`{_text(one.inst)}` alone goes wrong on {mismatch.target.isa}"
    for target in others:
        tally = Tally()
        if not judge.judge([one.case], [target], tally) and tally.agreed:
            return Answer(
                True,
                f"Every ISA agrees against the reference on the whole; {what} and is right "
                f"on `{target}`, as the reference has it.",
            )
    exact = _exact(one)
    if exact is None:
        return None
    right = compare.compare(exact, wrong.expected, compare.return_types(one.case)).kind == compare.AGREE
    sides = "and the reference's result is z3's too" if right else "but the reference's result is not z3's either"
    return Answer(right, f"Every ISA agrees against the reference; {what}, {sides}.")


def _text(inst: Inst) -> str:
    return inst.op if inst.type is None else f"{inst.op}.{inst.type.name}"


def _instructions(case: Case, mismatch: Mismatch) -> Iterator[_Alone]:
    """The instructions of the entry that are functions of their operands, with operands as the reference sees them."""
    run, function = mismatch.run, case.module.functions[case.entry]
    single = dataclasses.replace(
        case, inputs=case.inputs[run : run + 1], memories=case.memories[run : run + 1], slot=case.slot + run
    )
    for number, block in enumerate(function.blocks):
        for position, inst in enumerate(block.insts):
            if inst.op in EXITS or not has_meaning(inst.op) or not inst.args or not inst.results:
                continue
            seen = interpret(cut(single, case.entry, number, position, inst.args), mismatch.target.big_endian, _FUEL)
            if seen.outcomes and seen.outcomes[0].kind == "returned":
                operands, alone = seen.outcomes[0].values, in_signature(function, inst)
                yield _Alone(inst, function, operands, Case(Module([alone]), 0, (operands,)))
                yield _Alone(inst, function, operands, Case(Module([_folded(alone, operands)]), 0, ((),)))


def _folded(alone: Function, operands: Sequence[int]) -> Function:
    """A function of one instruction with constants in the place of its parameters."""
    changed = copy_function(alone)
    entry = changed.blocks[0]
    params, entry.params = entry.params, []
    changed.signature = changed.signature._replace(params=())
    before: list[Inst] = []
    for (value, ty), operand in zip(params, operands, strict=True):
        number, made = constant(changed, ty, operand)
        before += made
        replace_uses(changed, {value: number})
    entry.insts[:0] = before
    return changed


def _exact(one: _Alone) -> Outcome | None:
    """What z3 makes of an instruction; None if it cannot say."""
    from liftcheck.bits import smt  # z3 is a tenth of what a command takes to start, and few come here

    inst, types = one.inst, one.function.types
    imm = inst.flags.endianness if inst.op == "bitcast" else inst.imm
    try:
        found = meaning(
            inst.op,
            inst.type,
            tuple(types[value] for value in inst.args),
            tuple(types[value] for value in inst.results),
            imm,
        )
        values = dict(zip(found.inputs, one.operands, strict=True))
        for condition, code in found.traps:
            if smt.substituted(condition, values):
                return Outcome("trapped", detail=code)
        return Outcome("returned", tuple(smt.substituted(result, values) for result in found.results))
    except (LiftcheckError, KeyError):
        return None
