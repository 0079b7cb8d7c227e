"""The values a differential oracle works with: what was seen, what was counted, what is suspected; and the reference's
run.

It judges nothing (`differential.py`) and confirms nothing (`confirm.py`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Final, NamedTuple, Protocol

from liftcheck import layout
from liftcheck.case import Case, CompileFailure, FunctionCode, Outcome, Target
from liftcheck.clif.ir import Module
from liftcheck.clif.opcodes import OPCODES
from liftcheck.errors import Unsupported
from liftcheck.interp.run import Prepared, Stats, prepare
from liftcheck.oracles.compare import Verdict
from liftcheck.runners.base import Runner

FUEL: Final = 2_000_000
STAGES: Final = ("generate", "interpret", "compile", "link", "run", "compare")
Program = Sequence[FunctionCode]
Reply = FunctionCode | CompileFailure


class CompilerLike(Protocol):
    """What is asked of a compiler under test (`compilers.base.Compiler`)."""

    @property
    def name(self) -> str: ...

    @property
    def version(self) -> str: ...

    def compile_text(
        self, text: str, targets: Sequence[Target], wants: frozenset[str] = frozenset()
    ) -> list[list[Reply]]: ...


@dataclass(frozen=True, slots=True)
class Hooks:
    """Places where a test may plant a fault; the product never sets them.

    code      edits what the compiler gave for a function and a target
    expected  edits the reference's outcomes of a case
    before    is called with a batch's cases and the compiler before they are judged
    """

    code: Callable[[FunctionCode, Target], FunctionCode | CompileFailure] | None = None
    expected: Callable[[Case, list[Outcome]], list[Outcome]] | None = None
    before: Callable[[Sequence[Case], CompilerLike], None] | None = None


@dataclass(slots=True)
class Tally:
    """What a stretch of a campaign did. Keys of the counters: an ISA, or (ISA, class or reason). `validated` counts
    functions."""

    programs: int = 0
    pairs: Counter[str] = field(default_factory=Counter)
    agreed: Counter[str] = field(default_factory=Counter)
    disagreed: Counter[tuple[str, str]] = field(default_factory=Counter)
    undecided: Counter[tuple[str, str]] = field(default_factory=Counter)
    refused: Counter[tuple[str, str]] = field(default_factory=Counter)
    validated: Counter[tuple[str, str]] = field(default_factory=Counter)
    programs_by_isa: Counter[str] = field(default_factory=Counter)
    executed: dict[str, Counter[str]] = field(default_factory=dict)
    behaviour: Counter[str] = field(default_factory=Counter)
    seconds: dict[str, float] = field(default_factory=dict)

    def spend(self, stage: str, seconds: float) -> None:
        """Counts time to a stage."""
        self.seconds[stage] = self.seconds.get(stage, 0.0) + seconds

    def add(self, other: Tally) -> None:
        """Adds another stretch to this one."""
        self.programs += other.programs
        for name in (
            "pairs",
            "agreed",
            "disagreed",
            "undecided",
            "refused",
            "validated",
            "programs_by_isa",
            "behaviour",
        ):
            getattr(self, name).update(getattr(other, name))
        for stage, seconds in other.seconds.items():
            self.spend(stage, seconds)
        for isa, counts in other.executed.items():
            self.executed.setdefault(isa, Counter()).update(counts)


class Mismatch(NamedTuple):
    """Something that disagrees: case number `case` of the batch on `target`, at input `run`."""

    case: int
    target: Target
    verdict: Verdict
    run: int = 0
    expected: Outcome | None = None
    actual: Outcome | None = None
    failure: CompileFailure | None = None
    runner: str = ""


class Expected(NamedTuple):
    """The reference's outcomes for one byte order, or the `trouble` why there are none; and what its first run did
    (opcode keys with counts, whether a loop was taken more than once, whether another function was called)."""

    outcomes: list[Outcome]
    trouble: str
    executed: Mapping[str, int]
    looped: bool = False
    called: bool = False


NOTHING: Final = Expected([], "", {})
"""For a case that none of the targets is for."""


class Runners(Protocol):
    """Hands out runners. `pick` gives the runner for a target's program, or a reason why there is none."""

    def pick(self, target: Target, program: Program) -> Runner | str: ...


_MEMORY_WORDS: Final = ("load", "store", "atomic", "stack", "bitcast", "vconst")
_MEMORY_OPCODES: Final = frozenset(op for op in OPCODES if any(word in op for word in _MEMORY_WORDS))
_opcode: Final = attrgetter("op")


def depends_on_byte_order(module: Module) -> bool:
    """Whether the module could compute something else on a big-endian machine."""
    return not all(
        _MEMORY_OPCODES.isdisjoint(map(_opcode, block.insts))
        for function in module.functions
        for block in function.blocks
    )


def interpret(case: Case, big_endian: bool, fuel: int = FUEL) -> Expected:
    """The reference's outcomes for every input of a case, in one byte order."""
    return interpret_orders(case, (big_endian,), fuel)[big_endian]


def interpret_orders(case: Case, orders: Sequence[bool], fuel: int = FUEL) -> dict[bool, Expected]:
    """The reference's outcomes by byte order (True: big-endian). Only the very first run is looked into: that costs as
    much as a run, and the orders take the same paths but for what they load."""
    found: dict[bool, Expected] = {}
    prepared: Prepared | None = None
    stats: Stats | None = None
    for order in orders:
        if prepared is not None and not prepared.set_byte_order(order):
            prepared.release()
            prepared = None
        prepared = prepared or prepare(case.module, order)
        try:
            outcomes, stats = _outcomes(case, prepared, stats, fuel)
        except Unsupported as error:
            found[order] = Expected([], f"reference: {error.reason}", {})
            continue
        if stats is None:
            found[order] = Expected([], "no inputs", {})
            continue
        found[order] = Expected(outcomes, _trouble(outcomes), stats.executed, stats.looped, stats.called)
    if prepared is not None:
        prepared.release()
    return found


def _outcomes(case: Case, prepared: Prepared, stats: Stats | None, fuel: int) -> tuple[list[Outcome], Stats | None]:
    """The outcomes of all inputs, and what the first run did, if that is not known."""
    entry, memories, slot = case.entry, case.memories, case.slot
    outcomes = []
    for number, row in enumerate(case.inputs):
        regions = {layout.slot_address(slot + number): memories[number]} if memories else None
        outcomes.append(prepared.run(entry, row, regions, fuel))
        stats = stats or prepared.stats
    return outcomes, stats


def reference_steps(case: Case, big_endian: bool, run: int, fuel: int = FUEL) -> int | None:
    """How many instructions the reference executes in one run; None if it does not end."""
    prepared = prepare(case.module, big_endian)
    regions = {layout.slot_address(case.slot + run): case.memories[run]} if case.memories else None
    ended = prepared.run(case.entry, case.inputs[run], regions, fuel).kind in ("returned", "trapped")
    steps = prepared.stats.instructions if ended else None
    prepared.release()
    return steps


def strays_into_others(case: Case, run: int, big_endian: bool, fuel: int = FUEL) -> bool:
    """Whether a run touches another run's data region: the reference maps its own one, runners have them all."""
    own = layout.slot_address(case.slot + run)
    others = {layout.slot_address(slot): bytes(layout.SLOT_SIZE) for slot in range(layout.SLOTS)}
    regions = {own: case.memories[run] if case.memories else bytes(layout.SLOT_SIZE)}
    prepared = prepare(case.module, big_endian)
    alone = prepared.run(case.entry, case.inputs[run], regions, fuel)
    among = prepared.run(case.entry, case.inputs[run], regions | others | regions, fuel)
    prepared.release()
    return alone != among


def reads_garbage(case: Case, big_endian: bool, fuel: int = FUEL) -> bool:
    """Whether what a case does depends on what its stack slots hold before it writes them. Generated programs never do;
    a reduction that drops a store may."""
    prepared = prepare(case.module, big_endian)
    found = []
    for garbage in (0, 0xA5):
        prepared.poison_stack(garbage)
        found.append(_outcomes(case, prepared, None, fuel)[0])
    prepared.release()
    return found[0] != found[1]


def _trouble(outcomes: Sequence[Outcome]) -> str:
    """Why a case cannot be judged by these outcomes, or ''."""
    for outcome in outcomes:
        if outcome.kind not in ("returned", "trapped"):
            return f"reference: {outcome.detail if outcome.kind == 'unsupported' else outcome.kind}"
        if outcome.detail == "stk_ovf":
            return "stack overflow in the reference"
    return ""
