"""The mutation fuzzer of the validator: what it calls valid must run as before, and it may refute nothing unedited.

Functions of random programs, the generator's (even numbers) and such as it makes rarely (odd ones,
`mutation_programs`), get faults: bytes of one instruction or of several that belong together (`mutation_edits`), the
allocator's answer, the description of operands, code offsets (`mutation_told`). *valid* and a run that differs from
that of the unedited program (`mutation_watch`) is an unsoundness of the validator; *invalid* without any edit is a
false alarm, unless it is a bug of the compiler's that has a page. Either is printed, kept with everything to repeat it,
and gives exit code 1; neither is ever skipped. An edit that only changes what an instruction computes is outside of
what is proved: it is told apart by the tables (`mutation_claims`) and counted. A program's edits are a function of its
ISA and number.

    python ci/experiments/validation_mutations.py [--isa ISA] [--seed 1] [--time 15m] [--jobs 2] [--keep FOLDER]
    python ci/experiments/validation_mutations.py --isa ISA --program NUMBER [--kind WORDS]      # once more
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter
from collections.abc import Container, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import reduce
from itertools import groupby
from multiprocessing import get_context
from pathlib import Path
from random import Random
from typing import Final, NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parent))

from mutation_child import Doing, Say, attempt
from mutation_edits import KINDS, Edited, spots
from mutation_programs import draw
from mutation_told import OFFSETS, SEAM, TOLD, told
from mutation_watch import Call, Program, Ran, Watcher, called_otherwise, difference, run
from regalloc_known import page as known_page

from liftcheck.case import Case, CompileFailure, FunctionCode, Target
from liftcheck.clif.ir import Function
from liftcheck.clif.text.printer import print_function
from liftcheck.compilers import matrix
from liftcheck.compilers.cranelift import builds
from liftcheck.compilers.cranelift.capture import PlantedFault
from liftcheck.compilers.cranelift.client import Cranelift
from liftcheck.errors import Unsupported
from liftcheck.generators import generate as programs
from liftcheck.generators.choices import RandomChoices
from liftcheck.generators.tables import Context
from liftcheck.isa import ISAS
from liftcheck.mach.arguments import stack_bytes
from liftcheck.oracles.regalloc.source import Source, source_of
from liftcheck.oracles.regalloc.validate import validate
from liftcheck.oracles.regalloc.verdict import INVALID, VALID
from liftcheck.oracles.throwing import with_throw
from liftcheck.regalloc.allocation import ALGORITHMS, Captured
from liftcheck.runners import errata
from liftcheck.runners.base import BaseRunner
from liftcheck.runners.pool import RunnerPool
from liftcheck.runners.trampolines import trampoline_target, trampoline_text

PROFILES: Final = ("default", "integers", "wide", "calls", "calls", "control", "simd", "floats", "memory")
SIZES: Final = (30, 90)
INPUTS: Final = 8
MOST: Final = 12_000
"""Bytes of code of a function that is edited: a longer one takes all the time."""
CANNOT: Final = (
    "tables of jumps, constants in the code, relocations, trap tables, unwind and handler tables",
    "which argument of a call or which result is in which register, and what a callee does: taken at their word",
    "which of its inputs is which, where an instruction's bytes read the same registers",
    "three or more independent edits; code that is longer or shorter than before",
    "signals, other threads, system calls; stacks that are switched",
    "what only an emulator that lacks the code's instructions would show inside of a program (riscv64's V)",
    "upper halves of s390x's vector registers at calls inside of a program",
)
CHANGED, REFUTED, UNDECIDED = "changed behaviour", "refuted", "undecided"
BEYOND, ALIKE, NOT_RUN = "valid: nothing claimed", "valid: runs alike", "valid: not run"
ABORTS: Final = "the emulator aborts"
UNSOUND: Final = "UNSOUND"
COLUMNS: Final = ("tried", CHANGED, REFUTED, UNDECIDED, BEYOND, ALIKE, NOT_RUN, ABORTS, UNSOUND)
NO_EDIT: Final = "no edit"
FALSE_ALARM: Final = "FALSE ALARM"
UNWRITTEN: Final = "READS WHAT NOBODY WROTE"
"""Of a program without any edit: what it does depends on what was on the stack before."""


class Subject(NamedTuple):
    """A program to be edited. `functions` are those of the module; `valid`: which of them; `ran`: its outcomes."""

    number: int
    target: Target
    case: Case
    texts: list[str]
    functions: list[Captured]
    sources: list[Source]
    program: Program
    ran: Ran
    valid: frozenset[int] = frozenset()


class Found(NamedTuple):
    """An unsoundness or a false alarm, with everything to repeat it."""

    what: str
    isa: str
    number: int
    kind: str
    function: str
    words: str
    shown: str
    text: str


def _sized(isa: str, captured: Captured, function: Function) -> Captured:
    """With the bytes of a `tail` function's own stack arguments, for `mutation_claims`."""
    tail = function.signature.call_conv == "tail"
    taken = stack_bytes(isa, function.signature) if tail else None
    frame = {**captured.allocation.frame, "arguments": taken}
    return captured._replace(allocation=replace(captured.allocation, frame=frame))


class Fuzzer:
    """Edits programs of one ISA. Not shared between processes."""

    def __init__(self, isa: str, compiler: str) -> None:
        self.isa: Final = isa
        self.compiler: Final = Cranelift(compiler, builds.REGALLOC)
        self.pool: Final = RunnerPool("auto")
        self.watcher: Final = Watcher(isa)
        self.known: Final = frozenset(self.compiler.settings(isa))
        lines = matrix.load(self.compiler, isa, ())
        self.contexts: Final = [Context((isa,), {isa: lines}, size, INPUTS) for size in SIZES]
        self.counts: Final[Counter[tuple[str, str]]] = Counter()
        self.notes: Final[Counter[str]] = Counter()
        self.found: Final[list[Found]] = []

    # Programs

    def subject(self, number: int) -> Subject | None:
        """Program `number`; None, with a note, if it cannot be compiled or run. What is invalid is a false alarm."""
        target, case, texts = self._drawn(number)
        replies = self.compiler.allocations("\n".join(texts), [target], with_text=True)[0]
        failed = next((reply for reply in replies if isinstance(reply, CompileFailure)), None)
        if failed is not None:
            self.notes[f"program not compiled: {failed.kind}: {failed.reason[:60]}"] += 1
            return None
        rows = zip(replies, case.module.functions, strict=True)
        functions = [_sized(self.isa, reply, function) for reply, function in rows if isinstance(reply, Captured)]
        sources = [source_of(function) for function in case.module.functions]
        made = self.compiler.compile_text(
            trampoline_text(case.module.functions[case.entry].signature), [trampoline_target(target)]
        )[0][0]
        if isinstance(made, CompileFailure):
            self.notes[f"no trampoline: {made.reason[:60]}"] += 1
            return None
        try:
            codes = with_throw(self.compiler, [f.code for f in functions], target)
        except Unsupported as error:
            self.notes[f"program not linked: {error.reason[:60]}"] += 1
            return None
        program = Program(self.isa, case, tuple(codes), made)
        found = Subject(number, target, case, texts, functions, sources, program, Ran((), "not run"))
        found = found._replace(valid=frozenset(self._valid(found)), ran=self._run(found, program, 0x5A))
        other = self._run(found, program, 0xC3)
        seen = "" if other.trouble else difference(found.ran, other)
        if seen:
            self.counts["nothing", UNWRITTEN] += 1
            self._keep(UNWRITTEN, found, case.entry, "nothing", NO_EDIT, seen)
        return None if seen else found

    def _drawn(self, number: int) -> tuple[Target, Case, list[str]]:
        draw_ = Random(f"target {self.isa} {number}")
        settings = {
            "opt_level": draw_.choice(("none", "speed")),
            "regalloc_algorithm": draw_.choice(ALGORITHMS),
            "enable_verifier": "false",
        }
        if number % 2:
            drawn = draw(self.isa, number, self.known)
            case, more = drawn.case, dict(drawn.settings)
        else:
            context, more = draw_.choice(self.contexts), {}
            case = programs.generate(RandomChoices(number), draw_.choice(PROFILES), context)
        texts = [print_function(function) for function in case.module.functions]
        rows = {k: v for k, v in {**settings, **more}.items() if k in self.known}
        return Target(self.isa, tuple(sorted(rows.items()))), case, texts

    def _valid(self, subject: Subject) -> Iterator[int]:
        """Functions that are; a refutation without an edit is a false alarm, or a bug that has a page."""
        for number, function in enumerate(subject.functions):
            verdict = validate(self.isa, function, subject.sources[number])
            self.counts["nothing", "tried"] += 1
            if verdict.status == VALID:
                yield number
                continue
            page = known_page(self.isa, function, subject.sources[number], verdict)
            if verdict.status != INVALID:
                self.notes[f"unedited, undecided: {verdict.reason}"] += 1
            elif page:
                self.notes[f"unedited, refuted: docs/findings/{page}.md"] += 1
            else:
                self.counts["nothing", FALSE_ALARM] += 1
                shown = verdict.counterexample.render() if verdict.counterexample else verdict.reason
                self._keep(FALSE_ALARM, subject, number, "nothing", NO_EDIT, shown)

    def _run(self, subject: Subject, program: Program, garbage: int) -> Ran:
        runner = self.pool.pick(subject.target, program.codes)
        if isinstance(runner, str):
            return Ran((), runner)
        assert isinstance(runner, BaseRunner)
        ran = run(runner, program, garbage)
        if ran.broke:
            self.pool.close()
        return ran

    def _again(self, subject: Subject, program: Program) -> str:
        """What differs in fresh runners: an edit may leave an emulator in a state that the next run begins in."""
        self.pool.close()
        return difference(self._run(subject, subject.program, 0x5A), self._run(subject, program, 0xA7))

    # Edits

    def edit_all(
        self, number: int, rounds: int, kinds: Sequence[str], fatal: Container[Doing] = (), say: Say = lambda _: None
    ) -> None:
        """Every kind, `rounds` times, in functions of program `number`, but for what is `fatal`; says each before."""
        say(Doing(number))
        subject = self.subject(number) if Doing(number) not in fatal else None
        if subject is None:
            return
        for turn in range(rounds):
            for kind in kinds:
                rng = Random(f"{self.isa} {number} {turn} {kind}")
                place = rng.randrange(len(subject.functions))
                if len(subject.functions[place].code.code) > MOST or place not in subject.valid:
                    continue
                edited = self._edited(subject, place, kind, rng)
                if edited is not None and Doing(number, turn, kind) not in fatal:
                    say(Doing(number, turn, kind))
                    self._judge(subject, place, kind, edited)

    def _edited(self, subject: Subject, place: int, kind: str, rng: Random) -> Edited | None:
        right = subject.functions[place]
        maker = KINDS.get(kind) or OFFSETS.get(kind)
        if maker is not None:
            where = spots(self.isa, right)
            return maker(self.isa, right, where, rng) if where else None
        seam = kind.removeprefix("seam: ")
        fault = seam if seam in SEAM else rng.choice(TOLD[kind][0])
        reply = self.compiler.allocations(
            subject.texts[place], [subject.target], PlantedFault(fault, rng.randrange(1 << 16)), with_text=True
        )[0][0]
        if isinstance(reply, CompileFailure):
            self.notes[f"faulty, not compiled: {fault}"] += 1
            return None
        words = reply.allocation.fault
        if not words or words.startswith(("nothing", "none")):
            return None
        captured = reply if seam in SEAM else told(kind, reply, right)
        return Edited(captured, words) if captured is not None else None

    def _judge(self, subject: Subject, place: int, kind: str, edited: Edited) -> None:
        """Counts what came of an edit."""
        count = self.counts
        count[kind, "tried"] += 1
        verdict = validate(self.isa, edited.captured, subject.sources[place])
        if verdict.status == VALID and edited.beyond:
            count[kind, BEYOND] += 1
            self.notes[f"nothing claimed: {edited.beyond}"] += 1
            return
        program = self._changed(subject, place, edited.captured.code)
        ran = self._run(subject, program, 0xA7)
        seen = "" if ran.trouble or subject.ran.trouble else difference(subject.ran, ran)
        if verdict.status == VALID and seen:
            seen = self._again(subject, program)
        if verdict.status == VALID and not seen:
            seen, trouble = self._watched(subject, place, program)
            trouble = subject.ran.trouble or ran.trouble or trouble
            if not seen:
                count[kind, NOT_RUN if trouble else ALIKE] += 1
                self.notes[f"valid, not run: {trouble[:60]}"] += bool(trouble)
                return
        count[kind, CHANGED] += bool(seen)
        column = {VALID: UNSOUND, INVALID: REFUTED}.get(verdict.status, UNDECIDED)
        count[kind, column] += 1
        if column == UNDECIDED:
            self.notes[f"edited, undecided: {verdict.reason[:60]}"] += 1
        if column == UNSOUND:
            self._keep(UNSOUND, subject, place, kind, edited.words, seen)

    def _changed(self, subject: Subject, place: int, code: FunctionCode) -> Program:
        """The program with another code of one function. Where calls return to is a part of the routine that throws."""
        right = [function.code for function in subject.functions]
        if code.calls == right[place].calls:
            return subject.program.with_code(place, code)
        codes = with_throw(self.compiler, [*right[:place], code, *right[place + 1 :]], subject.target)
        return subject.program._replace(codes=tuple(codes))

    def _watched(self, subject: Subject, place: int, program: Program) -> tuple[str, str]:
        """What calls of the function do to their callers, and why that is not known."""
        calls: list[list[Call]] = []
        for each in (subject.program, program):
            if wrong := errata.first("unicorn", self.isa, each.codes):
                return "", f"the emulator that watches calls: {wrong}"
            try:
                found = self.watcher.calls(each, place)
            except Unsupported as error:
                return "", error.reason
            if found is None:
                return "", "the emulator that watches calls lacks an instruction"
            calls.append(found)
        return called_otherwise(*calls), ""

    def _keep(self, what: str, subject: Subject, place: int, kind: str, words: str, shown: str) -> None:
        name = subject.functions[place].code.name
        text = f"; {subject.target}\n" + "\n".join(subject.texts)
        self.found.append(Found(what, self.isa, subject.number, kind, name, words, shown, text))

    def taken(self) -> tuple[Counter[tuple[str, str]], Counter[str], list[Found]]:
        """What was counted and found since the last time."""
        taken = Counter(self.counts), Counter(self.notes), list(self.found)
        self.counts.clear()
        self.notes.clear()
        self.found.clear()
        return taken


def every_kind(words: Sequence[str] = ()) -> list[str]:
    """The kinds of edits, or those whose name has one of these words."""
    kinds = [*KINDS, *OFFSETS, *(f"seam: {kind}" for kind in SEAM), *TOLD]
    return [kind for kind in kinds if not words or any(word in kind for word in words)]


# Running it


class Plan(NamedTuple):
    """What one process does: programs first, first + step, …, until a time or a number."""

    isa: str
    compiler: str
    first: int
    step: int
    seconds: float
    most: int
    rounds: int
    kinds: tuple[str, ...]


class Report(NamedTuple):
    """What came of one ISA."""

    counts: Counter[tuple[str, str]]
    notes: Counter[str]
    found: list[Found]
    programs: int

    def joined(self, other: Report) -> Report:
        """Both together."""
        return Report(
            self.counts + other.counts,
            self.notes + other.notes,
            [*self.found, *other.found],
            self.programs + other.programs,
        )

    def document(self) -> dict[str, object]:
        """For `--json`."""
        counts = self.counts
        return {
            "programs": self.programs,
            "notes": dict(self.notes),
            "found": [one._asdict() for one in self.found],
            "kinds": {kind: {c: counts[kind, c] for c in COLUMNS} for kind in every_kind()},
            "unedited": counts["nothing", "tried"],
            "false alarms": counts["nothing", FALSE_ALARM],
            "reads what nothing wrote": counts["nothing", UNWRITTEN],
        }


def work(plan: Plan) -> Report:
    """What one process does, in children: an edit of which one dies is counted, and left out by the next."""
    until, total, fatal = time.monotonic() + plan.seconds, Report(Counter(), Counter(), [], 0), set[Doing]()
    while total.programs < plan.most and (left := until - time.monotonic()) > 0:
        rest = plan._replace(
            first=plan.first + total.programs * plan.step, most=plan.most - total.programs, seconds=left
        )
        ended = attempt(edit, rest, frozenset(fatal))
        total = reduce(Report.joined, ended.answers, total)
        if ended.fatal is None:
            break
        fatal.add(ended.fatal)
        total = total.joined(_death(ended.fatal, ended.cause))
    return total


def edit(plan: Plan, fatal: frozenset[Doing], say: Say) -> None:
    """A child's part: a report for each program."""
    fuzzer = Fuzzer(plan.isa, plan.compiler)
    until, done = time.monotonic() + plan.seconds, 0
    while time.monotonic() < until and done < plan.most:
        fuzzer.edit_all(plan.first + done * plan.step, plan.rounds, plan.kinds, fatal, say)
        say(Report(*fuzzer.taken(), 1))
        done += 1
    fuzzer.pool.close()


def _death(doing: Doing, cause: str) -> Report:
    """An edit of which the emulator died, and the process with it."""
    edit = doing.kind
    counts = Counter({(edit, "tried"): 1, (edit, ABORTS): 1}) if edit else Counter[tuple[str, str]]()
    return Report(counts, Counter({f"{ABORTS} ({cause}): {edit or 'a program without an edit'}": 1}), [], 0)


def seconds(words: str) -> float:
    """'90', '90s', '15m', '1h'."""
    unit = {"s": 1, "m": 60, "h": 3600}.get(words[-1:], 0)
    return float(words[:-1]) * unit if unit else float(words)


def table(counts: Counter[tuple[str, str]]) -> str:
    """For people: a row for each kind."""
    kinds = [kind for kind in (*every_kind(), "nothing") if counts[kind, "tried"]]
    width = max(map(len, kinds), default=0)
    lines = [f"{'':{width}} " + " ".join(f"{column:>9.22}" for column in COLUMNS)]
    for kind in kinds:
        lines.append(f"{kind:{width}} " + " ".join(f"{counts[kind, c]:>{max(9, len(c))}}" for c in COLUMNS))
    total = {c: sum(counts[kind, c] for kind in kinds if kind != "nothing") for c in COLUMNS}
    lines.append(f"{'all edits':{width}} " + " ".join(f"{total[c]:>{max(9, len(c))}}" for c in COLUMNS))
    return "\n".join(lines)


def keep(folder: Path, found: Found, number: int) -> Path:
    """Writes a file with everything about a finding."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{found.isa}-{found.number}-{number}.md"
    again = f"--isa {found.isa} --program {found.number}"
    again += f" --kind '{found.kind}'" if found.words != NO_EDIT else ""
    path.write_text(
        f"# {found.what}: {found.isa}, {found.kind}\n\n"
        f"    python ci/experiments/validation_mutations.py {again}\n\nfunction {found.function}\n\n"
        f"- edit: {found.words}\n- seen: {found.shown}\n\n```\n{found.text}\n```\n"
    )
    return path


def plans(options: argparse.Namespace, isas: Sequence[str]) -> list[Plan]:
    """What the processes do, one after the other: an ISA each, or a share of its programs if there are more of them."""
    kinds = tuple(every_kind(options.kind or ()))
    if options.program is not None:
        return [Plan(isa, options.compiler, options.program, 1, 1e9, 1, options.rounds, kinds) for isa in isas]
    step, first = max(1, options.jobs // len(isas)), options.seed * 1_000_000
    return [
        Plan(
            isa,
            options.compiler,
            first + job,
            step,
            seconds(options.time),
            -(-options.programs // step),
            options.rounds,
            kinds,
        )
        for isa in isas
        for job in range(step)
    ]


def reports(options: argparse.Namespace, isas: Sequence[str]) -> Iterator[tuple[str, Report]]:
    """Each ISA's, as soon as it is there."""
    todo = plans(options, isas)
    with ProcessPoolExecutor(options.jobs, get_context("spawn")) as pool:
        done = map(work, todo) if options.jobs == 1 else pool.map(work, todo)
        for isa, rows in groupby(zip(todo, done), lambda row: row[0].isa):
            yield isa, reduce(Report.joined, (one for _, one in rows))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--compiler", default="cranelift")
    parser.add_argument("--isa", action="append", choices=ISAS)
    parser.add_argument("--kind", action="append", help="kinds whose name contains this")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--time", default="60s", help="of each ISA: 90s, 15m")
    parser.add_argument("--programs", type=int, default=1 << 30, help="at most so many of each ISA")
    parser.add_argument("--rounds", type=int, default=2, help="edits of each kind in a program")
    parser.add_argument("--jobs", type=int, default=1, help="processes: an ISA each")
    parser.add_argument("--program", type=int, help="this one alone")
    parser.add_argument("--keep", type=Path, default=Path("mutations-found"), help="folder of what was found")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    bad, document = 0, {}
    for isa, report in reports(options, options.isa or ISAS):
        for number, one in enumerate(report.found):
            path = keep(options.keep, one, number)
            print(
                f"{one.what} {isa}: {one.kind}: {one.function}: {one.words}\n    {one.shown.splitlines()[0]}\n"
                f"    {path}",
                file=sys.stderr,
                flush=True,
            )
        bad += len(report.found)
        document[isa] = report.document()
        if not options.json:
            print(
                f"{isa}: {report.programs} programs, {report.counts['nothing', 'tried']} functions, "
                f"{report.counts['nothing', FALSE_ALARM]} refuted unedited\n{table(report.counts)}"
            )
            print("".join(f"    {n} {note}\n" for note, n in sorted(report.notes.items()) if n), flush=True)
    if options.json:
        print(json.dumps(document))
    else:
        print("It cannot make:\n" + "\n".join(f"- {line}" for line in CANNOT))
    return int(bool(bad))


if __name__ == "__main__":
    sys.exit(main())
