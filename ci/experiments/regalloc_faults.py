"""Plants faults in register allocation and asks three judges: the validator, upstream's checker, plain execution.

Three families of faults. At the seam: the shim for regalloc2 hands the compiler a faulty answer
(`capture.FAULTS`). In the description: the same, and operands are described such that the answer is a right one (a
result that is written early is called a late one). In the bytes: one machine instruction that belongs to the allocation
is replaced (`regalloc_edits.py`). Programs are the generator's, compiled by both allocators; a program counts only if
its code is valid without a fault and runs as the reference interpreter does. One column a judge:

    validator    refutes the faulty function (`oracles.regalloc.validate`)
    checker      `regalloc_checker=true` refuses to compile (it sees no bytes: seam faults only)
    execution    the program, linked with the faulty function, disagrees with the reference on 16 inputs, or, if the
                 validator does not refute it, on 240

A fault that execution sees changes behaviour for certain; the validator should refute each. What it does not is printed
in full, and what neither sees is shown to do no harm (`regalloc_harmless.py`). Code without a fault that is refuted is
a false alarm, printed in full, unless it is a bug of the compiler's that has a page (`regalloc_known.py`). Exit code 1
below 99 %, or with a false alarm.

    python ci/experiments/regalloc_faults.py [--compiler cranelift] [--isa ISA] [--per-kind 10] [--seed 1] [--time 600]
        [--json]
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from random import Random
from typing import Final, NamedTuple

from regalloc_edits import KINDS, plant, spots
from regalloc_harmless import why
from regalloc_known import page

from liftcheck.case import Case, CompileFailure, Target
from liftcheck.clif.text.printer import print_function
from liftcheck.compilers import matrix
from liftcheck.compilers.base import Reply
from liftcheck.compilers.cranelift import builds, capture
from liftcheck.compilers.cranelift.client import Cranelift
from liftcheck.generators import generate
from liftcheck.generators.choices import RandomChoices
from liftcheck.generators.tables import Context
from liftcheck.isa import ISAS
from liftcheck.oracles.base import Mismatch
from liftcheck.oracles.differential import Judge, Prepared
from liftcheck.oracles.filetests.known import cause_of_failure, faulty, page_in
from liftcheck.oracles.regalloc.source import Source, source_of
from liftcheck.oracles.regalloc.validate import validate
from liftcheck.oracles.regalloc.verdict import INVALID, VALID, Verdict
from liftcheck.oracles.tally import Tally
from liftcheck.regalloc.allocation import ALGORITHMS, DEF, LATE, Captured
from liftcheck.runners.pool import RunnerPool

INPUTS: Final = 16
MANY: Final = 240
SIZE: Final = 90
LEVELS: Final = ("none", "speed")
PROFILES: Final = ("default", "integers", "wide", "calls", "control", "simd", "floats", "memory")
UNEXPLAINED: Final = "UNEXPLAINED"
NOT_CLAIMED: Final = "nothing is claimed of which of its uses an inner step of an instruction reads"
CHECKER: Final = ("regalloc_checker", "true")
LATER: Final = "early definitions told as late ones"
DESCRIPTIONS: Final = {LATER: "early-def-on-use"}
"""Kinds of wrong descriptions -> the fault that goes with them."""


class Fault(NamedTuple):
    """A planted fault and what the judges say. `checker`: None where it has nothing to look at."""

    family: str
    kind: str
    isa: str
    where: str
    words: str
    verdict: Verdict
    checker: bool | None
    seen: str
    harmless: str

    @property
    def refuted(self) -> bool:
        return bool(self.verdict.status == INVALID)


@dataclass(slots=True)
class Row:
    """One kind on one ISA."""

    planted: int = 0
    refuted: int = 0
    undecided: int = 0
    checker: int = 0
    executed: int = 0
    missed: int = 0
    reasons: Counter[str] = field(default_factory=Counter)

    def add(self, fault: Fault) -> None:
        """Counts a fault."""
        self.planted += 1
        self.refuted += fault.refuted
        self.undecided += fault.verdict.status not in (INVALID, VALID)
        self.checker += fault.checker is True
        self.executed += bool(fault.seen)
        self.missed += bool(fault.seen) and not fault.refuted
        self.reasons[fault.verdict.reason] += 1


class Canned:
    """A compiler that answers with replies made before; only trampolines are really compiled."""

    def __init__(self, honest: Cranelift) -> None:
        self.honest: Final = honest
        self.name: Final = honest.name
        self.version: Final = honest.version
        self.replies: Sequence[Reply] = ()

    def compile_text(
        self, text: str, targets: Sequence[Target], wants: frozenset[str] = frozenset()
    ) -> list[list[Reply]]:
        """See `compilers.base.Compiler`."""
        if "%trampoline" in text:
            return self.honest.compile_text(text, targets, wants)
        return [list(self.replies) for _ in targets]


class Subject(NamedTuple):
    """A program on a target that is valid and runs rightly: something to plant faults in."""

    seed: int
    profile: str
    case: Case
    target: Target
    texts: list[str]
    functions: list[Captured]
    sources: list[Source]
    prepared: Prepared | None
    """What is predicted of the case; None: not yet."""


class Experiment:
    """Makes subjects, plants faults, asks the judges."""

    def __init__(self, compiler: Cranelift, isas: Sequence[str], settings: tuple[tuple[str, str], ...]) -> None:
        self.compiler: Final = compiler
        self.settings: Final = settings
        self.canned: Final = Canned(compiler)
        self.judge: Final = Judge(self.canned, RunnerPool("auto"))
        matrices = {isa: matrix.load(compiler, isa, settings) for isa in isas}
        self.contexts: Final = {
            (isa, inputs): Context((isa,), {isa: matrices[isa]}, SIZE, inputs)
            for isa in isas
            for inputs in (INPUTS, MANY)
        }
        self.skipped: Final[Counter[str]] = Counter()
        self.unfaulted: Final[Counter[str]] = Counter()
        """Programs without a planted fault that are not subjects: a page of a known bug, or why else."""
        self.alarms: Final[list[str]] = []
        self.unexplained: Final[list[str]] = []
        """Proven code that runs otherwise, and nobody knows why."""
        self.seconds: Final = {"execution": 0.0, "validator": 0.0}

    def subject(self, isa: str, seed: int) -> Subject | None:
        """Program number `seed`; None if it is not compiled, valid and right."""
        draw = Random(seed)
        profile, target = draw.choice(PROFILES), self._target(isa, draw)
        case = generate.generate(RandomChoices(seed), profile, self.contexts[isa, INPUTS])
        texts = [print_function(function) for function in case.module.functions]
        replies = self.compiler.allocations("\n".join(texts), [target], with_text=True)[0]
        functions = [reply for reply in replies if isinstance(reply, Captured)]
        if len(functions) != len(texts):
            self.skipped["not compiled"] += 1
            return None
        sources = [source_of(function) for function in case.module.functions]
        verdicts = [validate(isa, *each) for each in zip(functions, sources)]
        if any(verdict.status != VALID for verdict in verdicts):
            for each, verdict in zip(zip(functions, sources), verdicts):
                self._not_valid(isa, seed, *each, verdict)
            return None
        found = Subject(
            seed, profile, case, target, texts, functions, sources, self.judge.prepare(case, [target], Tally())
        )
        mismatches, tally = self._run(found, found.functions)
        if mismatches or not tally.agreed:
            self.unfaulted[f"valid, but {self._otherwise(found, mismatches, tally)}"] += 1
            return None
        return found

    def _otherwise(self, subject: Subject, mismatches: Sequence[Mismatch], tally: Tally) -> str:
        """Why proven code does not run as the reference: the page of a fault of the compiler's that, in the program's
        place, gives for all inputs just what was seen; or what was seen, for somebody to look at."""
        if not mismatches:
            reasons = sorted({reason for _, reason in (*tally.undecided, *tally.refused)})
            return f"not run: {'; '.join(reasons)}"
        first, target, functions = mismatches[0], subject.target, subject.case.module.functions
        if first.failure is not None:
            causes = (cause_of_failure(target.isa, function, first.failure) for function in functions)
            return next((page_in(cause) for cause in causes if page_in(cause)), f"{first.failure.kind}, without a page")
        for page_of_fault, program in faulty(target, functions):
            case = replace(subject.case, module=replace(subject.case.module, functions=program))
            again, agreed = self._run(subject._replace(case=case, prepared=None), subject.functions)
            if not again and agreed.agreed:
                return page_of_fault
        verdict = first.verdict
        self.unexplained.append(f"{target}, seed {subject.seed}, {subject.profile}: {verdict.klass}: {verdict.detail}")
        return f"runs otherwise, with no page that is proven: {verdict.klass}"

    def _not_valid(self, isa: str, seed: int, captured: Captured, source: Source, verdict: Verdict) -> None:
        """Accounts for code without a fault and without a proof."""
        known = page(isa, captured, source, verdict)
        if verdict.status == VALID:
            return
        self.unfaulted[f"docs/findings/{known}.md" if known else f"{verdict.status}: {verdict.reason}"] += 1
        if verdict.status == INVALID and not known and verdict.counterexample is not None:
            self.alarms.append(f"{isa}, seed {seed}, {captured.code.name}: {verdict.counterexample.render()}")

    def _target(self, isa: str, draw: Random) -> Target:
        more = (
            ("opt_level", draw.choice(LEVELS)),
            ("regalloc_algorithm", draw.choice(ALGORITHMS)),
            ("enable_verifier", "false"),
        )
        known = self.compiler.settings(isa)
        return Target(isa, tuple(sorted((k, v) for k, v in (*self.settings, *more) if k in known)))

    def runs(self, subject: Subject, number: int, function: Captured) -> str:
        """What execution sees with this function in the place of number `number`; '' if nothing, 'undecided: …' if it
        cannot be run."""
        functions = list(subject.functions)
        functions[number] = function
        mismatches, tally = self._run(subject, functions)
        if mismatches:
            return f"{mismatches[0].verdict.klass}: {mismatches[0].verdict.detail}"
        reasons = (reason for _, reason in (*tally.undecided, *tally.refused))
        return "" if tally.agreed else "undecided: " + "; ".join(reasons)

    def _run(self, subject: Subject, functions: Sequence[Captured]) -> tuple[Sequence[Mismatch], Tally]:
        """The program with this code, against what is predicted of it."""
        self.canned.replies = [each.code for each in functions]
        tally, started = Tally(), time.perf_counter()
        prepared = subject.prepared or self.judge.prepare(subject.case, [subject.target], Tally())
        mismatches = self.judge.judge([subject.case], [subject.target], tally, prepared=[prepared])
        self.seconds["execution"] += time.perf_counter() - started
        return mismatches, tally

    def with_many_inputs(self, subject: Subject) -> Subject:
        """The same program with other inputs."""
        context = self.contexts[subject.target.isa, MANY]
        case = generate.generate(RandomChoices(subject.seed), subject.profile, context)
        assert [print_function(function) for function in case.module.functions] == subject.texts
        return subject._replace(case=case, prepared=self.judge.prepare(case, [subject.target], Tally()))

    # -- one fault

    def byte_fault(self, subject: Subject, kind: str, rng: Random) -> Fault | None:
        """A fault in the bytes of a random function; None if none of them has a place for it."""
        isa = subject.target.isa
        order = list(range(len(subject.functions)))
        rng.shuffle(order)
        for number in order:
            function = subject.functions[number]
            planted = plant(kind, isa, function, rng, spots(isa, function))
            if planted is not None:
                return self._judged("bytes", kind, subject, number, planted.captured, planted.words, None)
        return None

    def seam_fault(self, subject: Subject, kind: str, rng: Random) -> Fault | None:
        """A fault in the allocator's answer for a random function."""
        order = list(range(len(subject.functions)))
        rng.shuffle(order)
        for number in order:
            fault = capture.PlantedFault(kind, rng.randrange(1 << 16))
            text = subject.texts[number]
            reply = self.compiler.allocations(text, [subject.target], fault, with_text=True)[0][0]
            if isinstance(reply, CompileFailure):
                self.skipped[f"faulty, not compiled: {kind}: {reply.reason[:80]}"] += 1
                continue
            if not reply.allocation.fault or reply.allocation.fault.startswith("nothing"):
                continue
            checked = Target(subject.target.isa, tuple(sorted((*subject.target.settings, CHECKER))))
            found = self.compiler.allocations(text, [checked], fault)[0][0]
            return self._judged(
                "seam", kind, subject, number, reply, reply.allocation.fault, isinstance(found, CompileFailure)
            )
        return None

    def description_fault(self, subject: Subject, kind: str, rng: Random) -> Fault | None:
        """A faulty answer for a random function, which is right by what is said of the operands."""
        number = rng.randrange(len(subject.texts))
        fault = capture.PlantedFault(DESCRIPTIONS[kind], rng.randrange(1 << 16))
        reply = self.compiler.allocations(subject.texts[number], [subject.target], fault, with_text=True)[0][0]
        if not isinstance(reply, Captured) or reply.allocation.fault.startswith(("nothing", "none")):
            return None
        rows = tuple(
            what._replace(operands=tuple(o._replace(position=LATE) if o.kind == DEF else o for o in what.operands))
            for what in reply.allocation.instructions
        )
        told = reply._replace(allocation=replace(reply.allocation, instructions=rows))
        return self._judged("description", kind, subject, number, told, reply.allocation.fault, None)

    def _judged(
        self, family: str, kind: str, subject: Subject, number: int, faulty: Captured, words: str, checker: bool | None
    ) -> Fault:
        isa = subject.target.isa
        started = time.perf_counter()
        verdict = validate(isa, faulty, subject.sources[number])
        self.seconds["validator"] += time.perf_counter() - started
        seen = self.runs(subject, number, faulty)
        harmless = ""
        if verdict.status != INVALID and not seen:
            seen = self.runs(self.with_many_inputs(subject), number, faulty)
            harmless = (
                ""
                if seen
                else why(isa, subject.functions[number], faulty)
                or (
                    NOT_CLAIMED
                    if family == "description" or KINDS.get(kind, KINDS["move dropped"]).where == "sequence"
                    else UNEXPLAINED
                )
            )
        if seen.startswith("undecided"):
            self.skipped[f"faulty, execution {seen[:90]}"] += 1
            seen = ""
        function = subject.functions[number].code.name
        where = f"seed {subject.seed}, {function} on {subject.target}"
        return Fault(family, kind, isa, where, words, verdict, checker, seen, harmless)


def faults(
    experiment: Experiment, isa: str, kinds: Sequence[tuple[str, str]], per_kind: int, seed: int, until: float
) -> Iterator[Fault]:
    """Faults of each kind until there are enough or time is up; a program gets one of each kind that lacks some."""
    counts: Counter[tuple[str, str]] = Counter()
    makers = {
        "bytes": experiment.byte_fault,
        "seam": experiment.seam_fault,
        "description": experiment.description_fault,
    }
    number = seed * 100_000
    while time.monotonic() < until and any(counts[kind] < per_kind for kind in kinds):
        number += 1
        subject = experiment.subject(isa, number)
        if subject is None:
            continue
        for family, kind in kinds:
            if counts[family, kind] >= per_kind:
                continue
            rng = Random(f"{number} {kind}")
            fault = makers[family](subject, kind, rng)
            if fault is not None:
                counts[family, kind] += 1
                yield fault


def table(rows: dict[tuple[str, str, str], Row], kinds: Sequence[tuple[str, str]], isas: Sequence[str]) -> str:
    """For people: per kind and ISA 'refuted/seen by the checker/seen by execution of planted'."""
    lines = [f"{'':46}" + "".join(f"{isa:>18}" for isa in isas), f"{'validator/checker/execution of planted':46}"]
    for family, kind in kinds:
        cells = []
        for isa in isas:
            row = rows.get((family, kind, isa), Row())
            checker = row.checker if family == "seam" else "-"
            cells.append(f"{row.refuted}/{checker}/{row.executed} of {row.planted}" if row.planted else "no place")
        lines.append(f"{family}: {kind:<40}" + "".join(f"{cell:>18}" for cell in cells))
    return "\n".join(lines)


def summary(done: Sequence[Fault]) -> dict[str, object]:
    """The totals: of those that change behaviour how many each judge sees."""
    found: dict[str, object] = {}
    for family in ("seam", "description", "bytes"):
        mine = [fault for fault in done if fault.family == family]
        changing = [fault for fault in mine if fault.seen]
        found[family] = {
            "planted": len(mine),
            "refuted": sum(f.refuted for f in mine),
            "undecided": sum(f.verdict.status not in (INVALID, VALID) for f in mine),
            "seen by the checker": sum(f.checker is True for f in mine) if family == "seam" else None,
            "seen by execution": len(changing),
            "seen by execution and refuted": sum(f.refuted for f in changing),
            "seen by execution and the checker": sum(f.checker is True for f in changing) if family == "seam" else None,
            "neither": sum(not f.seen and not f.refuted for f in mine),
            "harmless because": dict(Counter(f.harmless for f in mine if f.harmless)),
        }
    return found


def document(family: str, kind: str, isa: str, row: Row) -> dict[str, object]:
    """A row for `--json`."""
    return {
        "family": family,
        "kind": kind,
        "isa": isa,
        "planted": row.planted,
        "refuted": row.refuted,
        "undecided": row.undecided,
        "checker": row.checker,
        "execution": row.executed,
        "missed": row.missed,
        "reasons": dict(row.reasons),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--compiler", default="cranelift")
    parser.add_argument("--isa", action="append", choices=ISAS)
    parser.add_argument("--kind", action="append", help="kinds whose name contains this")
    parser.add_argument("--per-kind", type=int, default=10, help="faults of each kind on each ISA")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--time", type=float, default=600.0, help="seconds, shared among the ISAs")
    parser.add_argument("--set", action="append", default=[], metavar="K=V")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    isas = options.isa or ISAS
    kinds = [("seam", kind) for kind in capture.FAULTS] + [("description", kind) for kind in DESCRIPTIONS]
    kinds += [("bytes", kind) for kind in KINDS]
    kinds = [k for k in kinds if not options.kind or any(word in f"{k[0]}: {k[1]}" for word in options.kind)]
    settings = tuple(tuple(word.split("=", 1)) for word in options.set)
    experiment = Experiment(Cranelift(options.compiler, builds.REGALLOC), isas, settings)
    rows: dict[tuple[str, str, str], Row] = {}
    done: list[Fault] = []
    started = time.monotonic()
    for turn, isa in enumerate(isas):
        until = started + options.time * (turn + 1) / len(isas)
        for fault in faults(experiment, isa, kinds, options.per_kind, options.seed, until):
            rows.setdefault((fault.family, fault.kind, isa), Row()).add(fault)
            done.append(fault)
            if not fault.refuted:
                print(
                    f"{fault.verdict.status} {fault.verdict.reason}: {fault.isa} {fault.kind}: {fault.words}\n"
                    f"    {fault.where}\n    execution: {fault.seen or 'sees nothing'}; "
                    f"checker: {fault.checker}; {fault.harmless}",
                    file=sys.stderr,
                    flush=True,
                )
    result = summary(done)
    missed = [fault for fault in done if fault.seen and not fault.refuted]
    if options.json:
        print(
            json.dumps(
                {
                    "version": experiment.compiler.version,
                    **result,
                    "seconds": dict(experiment.seconds),
                    "skipped": dict(experiment.skipped),
                    "without a fault": dict(experiment.unfaulted),
                    "false alarms": experiment.alarms,
                    "unexplained": experiment.unexplained,
                    "missed": [f"{f.isa} {f.kind}: {f.words}" for f in missed],
                    "rows": [document(*key, row) for key, row in rows.items()],
                }
            )
        )
    else:
        print(table(rows, kinds, isas))
        print(
            json.dumps(
                {
                    **result,
                    "skipped": experiment.skipped,
                    "without a fault": experiment.unfaulted,
                    "seconds": experiment.seconds,
                },
                indent=1,
            )
        )
        shown = [f"FALSE ALARM {alarm}\n" for alarm in experiment.alarms]
        print("".join(shown + [f"RUNS OTHERWISE {one}\n" for one in experiment.unexplained]), end="")
    changing = sum(bool(fault.seen) for fault in done)
    return int(len(missed) > 0.01 * changing or bool(experiment.alarms))


if __name__ == "__main__":
    sys.exit(main())
