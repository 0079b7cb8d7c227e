"""Where a value first goes wrong: the CLIF instruction, then the machine instruction.

The one idea: the function is ended after each of its instructions in turn, returning what that gave, compiled and
judged as ever: the first one that is wrong is the CLIF instruction. The compiler says which bytes come from it. Those
are stepped in the emulator beside the reference: the instruction after which a register holds the value that was
returned wrong, is the machine instruction: the last that changed the register which holds it in the end.
Each part that cannot be told says why: what is wrong only as a whole, code of callees, targets that no emulator here
steps (`runners/steps_unicorn.py`).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from itertools import pairwise
from typing import TYPE_CHECKING, Final, NamedTuple

from liftcheck.campaign.findings.finding import Finding
from liftcheck.campaign.findings.investigate import Investigator
from liftcheck.campaign.findings.likeness import alike, effort, probe, unsound
from liftcheck.campaign.reduce.passes import narrow_inputs
from liftcheck.campaign.reduce.proposals import cut
from liftcheck.case import Case, CompileFailure, Outcome, Target
from liftcheck.clif.ir import Function
from liftcheck.clif.opcodes import OPCODES, TERMINATORS
from liftcheck.clif.text.printer import print_function
from liftcheck.clif.verify import verify
from liftcheck.compilers.base import Program
from liftcheck.mach.disassembly import disassembly
from liftcheck.oracles.base import Mismatch
from liftcheck.oracles.compare import return_types, same_value
from liftcheck.oracles.tally import Tally
from liftcheck.runners.base import Job
from liftcheck.runners.link import link
from liftcheck.runners.pool import RunnerPool

if TYPE_CHECKING:
    from liftcheck.runners.steps_unicorn import Step

STEPPER: Final = "unicorn"
_READS: Final = "it reads memory, so what wrote there earlier is just as suspect"
_SRCLOCS: Final = frozenset({"srclocs"})


class Culprit(NamedTuple):
    """`clif`: the instruction as text; `expected` and `actual`: what it gives; `code`: the machine instructions that
    come from it, (offset, text); `offset` of the one that gives the wrong value, -1 if that is not known; `register`
    that it then changes to it, '' if none was changed; `why` something is not known."""

    clif: str = ""
    expected: str = ""
    actual: str = ""
    code: tuple[tuple[int, str], ...] = ()
    offset: int = -1
    register: str = ""
    why: str = ""


class _Ended(NamedTuple):
    """The case ended after an instruction of its entry: `number` is that one's in layout order."""

    case: Case
    number: int
    text: str
    op: str


def culprit(desk: Investigator, finding: Finding) -> Culprit:
    """Where a finding's first wrong value comes from."""
    if finding.failure is not None:
        return Culprit(why="there is no code to run")
    if finding.row.names_registers:
        return Culprit(why="what is wrong is a register that comes back changed, not a value")
    run = finding.run if finding.run < len(finding.case.inputs) else 0
    case = narrow_inputs(finding.case, [run])
    for ended in _ended(case, finding):
        tally = Tally()
        wrong = [m for m in desk.judge_for(finding).judge([ended.case], [finding.target], tally) if alike(m, finding)]
        if wrong and not unsound(ended.case, finding, effort(finding)):
            return _machine(desk, ended, wrong[0], finding.target)
    return Culprit(why="each value is right if the function ends there: the fault needs the whole program")


def _ended(case: Case, finding: Finding) -> Iterator[_Ended]:
    """The entry ended after each of its instructions in turn that the run comes to."""
    function = case.module.functions[case.entry]
    number = -1
    for b, block in enumerate(function.blocks):
        for i, inst in enumerate(block.insts):
            number += 1
            if inst.op in TERMINATORS:
                continue
            if probe(cut(case, case.entry, b, i, ()), finding.target) is None:
                continue
            ended = cut(case, case.entry, b, i + 1, inst.results)
            if not verify(ended.module):
                yield _Ended(dataclasses.replace(ended, name=case.name), number, _text(function, b, i), inst.op)


def _text(function: Function, block: int, position: int) -> str:
    """An instruction as the printer has it."""
    one = dataclasses.replace(function, blocks=list(function.blocks), annotations=[])
    lines = print_function(one).split("\n")
    heads = [at for at, line in enumerate(lines) if line.startswith("block")]
    return lines[heads[block] + 1 + position].strip()


def _machine(desk: Investigator, ended: _Ended, wrong: Mismatch, target: Target) -> Culprit:
    """The machine instructions of the CLIF instruction that is wrong, and the one among them."""
    types = return_types(ended.case)
    at = _differing(ended.case, wrong)
    made = Culprit(ended.text, _shown(wrong.expected, at), _shown(wrong.actual, at))
    program = desk.judge.compile([ended.case], [target], Tally(), _SRCLOCS)[0][0]
    if program is None or isinstance(program, CompileFailure):
        return made._replace(why="it does not compile to the same code a second time")
    own = program[ended.case.entry]
    rows = own.extra.get("srclocs")
    spans = [(row[0], row[1]) for row in rows if row[2] == ended.number] if isinstance(rows, (list, tuple)) else []
    if not spans:
        return made._replace(why="the compiler maps no machine instruction to it")
    code = tuple((o, text) for o, _, text in disassembly(target.isa, own.code) if any(a <= o < b for a, b in spans))
    made = made._replace(code=code)
    if at < 0 or wrong.actual is None:
        return made._replace(why="no wrong returned value can be looked for in registers")
    if not isinstance(desk.runners, RunnerPool) or STEPPER not in desk.runners.names(target):
        return made._replace(why=f"no emulator that can single-step here runs {target}")
    steps = _steps(desk, ended.case, program, target)
    bits = types[at].bits
    found = _first(steps, {o for o, _ in code}, wrong.actual.values[at], bits)
    if found is None:
        return made._replace(why="the run reached none of them in the emulator")
    reads = OPCODES[ended.op].can_load
    return made._replace(offset=found[0], register=found[1], why=_READS if reads else "")


def _differing(case: Case, wrong: Mismatch) -> int:
    """The number of the first returned value that is wrong; -1 if something else is."""
    expected, actual = wrong.expected, wrong.actual
    if expected is None or actual is None or (expected.kind, actual.kind) != ("returned", "returned"):
        return -1
    pairs = zip(expected.values, actual.values, return_types(case))
    return next((at for at, (one, other, ty) in enumerate(pairs) if not same_value(one, other, ty)), -1)


def _shown(outcome: Outcome | None, at: int) -> str:
    if outcome is None:
        return "nothing"
    if at >= 0:
        return hex(outcome.values[at])
    return " ".join(filter(None, [outcome.kind, outcome.detail]))


def _steps(desk: Investigator, case: Case, program: Program, target: Target) -> list[tuple[int, Step, Step]]:
    """Each step of the entry's code: its offset, what was before it and after it."""
    from liftcheck.runners.steps_unicorn import Stepper  # Unicorn is a tenth of what a command takes to start

    image = link([program], target.isa)
    function = case.module.functions[case.entry]
    start = image.entry(0, function.name)
    trampoline = desk.judge.trampoline(case, target)
    if isinstance(trampoline, CompileFailure):
        return []
    job = Job(trampoline, start, function.signature, case.inputs[:1], case.memories[:1], case.slot)
    stepper = Stepper(target.isa)
    try:
        found = stepper.steps(image, job, start, start + len(program[case.entry].code))
    finally:
        stepper.close()
    return [(one.address - start, one, after) for one, after in pairwise(found)]


def _first(steps: list[tuple[int, Step, Step]], offsets: set[int], value: int, bits: int) -> tuple[int, str] | None:
    """The last step at one of these offsets that changes a register which holds the value when all are done; where none
    was changed (it held that before), the last one, and no register."""
    own = [step for step in steps if step[0] in offsets]
    if not own:
        return None
    found = [(-1, "")]
    for name, held in own[-1][2].registers.items():
        mask = (1 << (bits if held >> 64 else min(bits, 64))) - 1
        if (held ^ value) & mask == 0:
            changes = [
                at for at, (_, before, after) in enumerate(own) if before.registers[name] != after.registers[name]
            ]
            found += [(changes[-1], name.lower())] if changes else []
    at, register = max(found)
    return own[at][0], register
