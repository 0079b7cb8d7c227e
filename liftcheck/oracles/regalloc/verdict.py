"""What the validation of an allocation says: a verdict, with a counterexample that people can follow if it refutes.

The one idea: three statuses that are never mixed. 'valid' is a proof under the assumptions of docs/validation.md;
'invalid' comes with a counterexample; 'undecided' comes with the name of what stood in the way. A named limit is raised
as `errors.Unsupported` inside the validator and becomes 'undecided' at its door (`validate.validate`); any other
exception is a bug of ours and passes. Nothing here decides anything.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

from liftcheck.mach.insn import show
from liftcheck.mach.regs import NONE

Status = Literal["valid", "invalid", "undecided"]
VALID: Final = "valid"
INVALID: Final = "invalid"
UNDECIDED: Final = "undecided"


@dataclass(frozen=True, slots=True)
class Counterexample:
    """One way to a wrong read, or one rule broken at one place.

    rule         what is wrong, without numbers: for counting ('a use reads another value')
    block        where it shows; `path` are the blocks from the entry to it, along which the value was lost
    instruction  its index, NONE where it is about the frame; `text` as the compiler prints it
    place        where the value should be (see `allocation`), or NONE
    value        the virtual register that should be there, or NONE
    expected     what the program means, in words; `found` what is there instead
    events       what happened to the value and to the place on the path, in order
    steps        the instructions ('instruction', number) and edits ('edit', index) that `events` tell of
    code         the bytes that are at fault, or those of `steps` and the instruction, disassembled, one line each
    """

    rule: str
    block: int
    path: tuple[int, ...]
    instruction: int
    text: str
    expected: str
    found: str
    value: int = NONE
    place: int = NONE
    events: tuple[str, ...] = ()
    steps: tuple[tuple[str, int], ...] = ()
    code: tuple[str, ...] = ()

    def render(self) -> str:
        """For people, several lines."""
        where = f"block{self.block}"
        if self.instruction != NONE:
            where += f", instruction {self.instruction}"
        lines = [
            f"{where}{f' `{self.text}`' if self.text else ''}: {self.rule}",
            f"  expected: {self.expected}",
            f"  found:    {self.found}",
            f"  path:     {' -> '.join(f'block{block}' for block in self.path)}",
        ]
        lines += [f"    {event}" for event in self.events]
        return "\n".join([*lines, *(["  code:"] if self.code else []), *(f"    {line}" for line in self.code)])

    def document(self, isa: str) -> dict[str, object]:
        """For JSON; `value` is a number, `place` has the ISA's name; null where there is none."""
        return {
            "rule": self.rule,
            "block": self.block,
            "path": list(self.path),
            "instruction": None if self.instruction == NONE else self.instruction,
            "text": self.text,
            "expected": self.expected,
            "found": self.found,
            "value": None if self.value == NONE else self.value,
            "place": None if self.place == NONE else show(self.place, isa),
            "events": list(self.events),
            "steps": [list(step) for step in self.steps],
            "code": list(self.code),
        }


@dataclass(slots=True)
class Counts:
    """How much was validated: instructions before allocation, machine instructions, obligations (how many of them went
    to z3), seconds of processor time; `uncompared`: words of the compiler's texts -> of how many instructions the
    operands were not held against the bytes."""

    instructions: int = 0
    machine_instructions: int = 0
    obligations: int = 0
    by_z3: int = 0
    seconds: float = 0.0
    uncompared: Counter[str] = field(default_factory=Counter)

    def add(self, other: Counts) -> None:
        """Sums."""
        self.instructions += other.instructions
        self.machine_instructions += other.machine_instructions
        self.obligations += other.obligations
        self.by_z3 += other.by_z3
        self.seconds += other.seconds
        if other.uncompared:
            self.uncompared.update(other.uncompared)


@dataclass(frozen=True, slots=True)
class Verdict:
    """status: VALID, INVALID or UNDECIDED. reason: what was refuted or what stood in the way, without numbers; '' if
    valid. `counterexample` exactly if invalid."""

    status: Status
    reason: str = ""
    counterexample: Counterexample | None = None
    counts: Counts = field(default_factory=Counts)


def refuted(example: Counterexample, counts: Counts) -> Verdict:
    """Invalid for this reason."""
    return Verdict(INVALID, example.rule, example, counts)


def merged(verdicts: Sequence[Verdict]) -> Verdict:
    """One verdict of several about the same function: a refutation stands, then a doubt; counts are sums, but the
    instructions before allocation are the same ones each time."""
    counts = Counts()
    for verdict in verdicts:
        counts.add(verdict.counts)
    counts.instructions = max((verdict.counts.instructions for verdict in verdicts), default=0)
    worst: tuple[Status, ...] = (INVALID, UNDECIDED)
    for status in worst:
        for verdict in verdicts:
            if verdict.status == status:
                return Verdict(status, verdict.reason, verdict.counterexample, counts)
    return Verdict(VALID, counts=counts)
