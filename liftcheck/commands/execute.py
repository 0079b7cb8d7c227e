"""Compiles a file for an ISA, links it, runs it there and prints the results beside the reference interpreter's.

Without --function every run line of the file is run; with it that function is run on --args. Exit code 1 if a result
differs from the reference or from the run line's expectation, 2 if a function cannot be compiled or run on a target.
What CLIF leaves open (the bits of an arithmetic NaN, what a slot holds at first, addresses) is undecided, and the
message says what leaves it open.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

from liftcheck import layout
from liftcheck.commands import interpret, options, output

if TYPE_CHECKING:
    from liftcheck.case import Case, Outcome, Target
    from liftcheck.clif.text.filetest import FileTest
    from liftcheck.commands.calls import Call, Program
    from liftcheck.compilers.base import Compiler
    from liftcheck.compilers.choice import Choice
    from liftcheck.compilers.spelling import Spelling
    from liftcheck.oracles.admissible import Prediction, Reference
    from liftcheck.oracles.differential import Judge
    from liftcheck.runners.patience import Patience
    from liftcheck.runners.pool import RunnerPool


NAN_OPEN: Final = "CLIF leaves the NaN open"
"""Of a run line that asks for one NaN of several, and gets it, in a file for this ISA alone."""


class Result(NamedTuple):
    """One call on one target. `problem` says why there is no outcome; `agrees` is the comparison with the reference,
    `met` with the run line; `undecided` says why either of them, or the outcome, is missing; `remark` what else is
    to be known of them."""

    call: Call
    target: Target
    runner: str
    reference: Prediction
    outcome: Outcome | None = None
    agrees: bool | None = None
    met: bool | None = None
    undecided: str = ""
    problem: str = ""
    remark: str = ""

    @property
    def code(self) -> int:
        """What this result makes of the exit code."""
        if self.problem:
            return 2
        return int(self.agrees is False or self.met is False)


class Entry(NamedTuple):
    """The calls of one function as inputs of one case, how its functions are written for the compiler, the file that
    they are of, and by byte order the reference."""

    calls: Sequence[Call]
    case: Case
    spelling: Spelling
    test: FileTest
    references: dict[bool, Reference]


def declare(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", help="a .clif file, or - for standard input")
    options.add_isa(parser, "run on this ISA (default: those that the file names, else all four)")
    interpret.add_call(parser)
    options.add_compiler(parser)
    options.add_opt(parser, "the file's own, else speed")
    options.add_settings(parser)
    options.add_runner(parser)
    options.add_fuel(parser)
    options.add_time(parser)
    options.add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Runs every call on every target; the exit code is the worst of all results."""
    from liftcheck.commands import calls, targets
    from liftcheck.runners.patience import Patience

    program = calls.read_program(args)
    with targets.opened(args.compiler) as compiler:
        choice = targets.chosen(compiler, program.test, args)
        name = compiler.name
        entries = entries_of(compiler, program)
        results = run_everywhere(compiler, entries, choice, args.runner, Patience(args.fuel, args.longest))
    notes = list(dict.fromkeys([*choice.notes, *(note for entry in entries for note in entry.spelling.notes)]))
    if args.json:
        output.print_json(
            "run", {"file": program.file, "compiler": name, "notes": notes, "results": [_document(r) for r in results]}
        )
    else:
        print("\n".join([*(f"; note: {note}" for note in notes), _text(results, name)]))
    codes = {result.code for result in results}
    return 1 if 1 in codes else max(codes, default=0)


def entries_of(compiler: Compiler, program: Program) -> list[Entry]:
    """A file's calls, function by function."""
    readable = program.test.readable()
    return [entry_of(compiler, program, calls, readable) for calls in _by_function(program.calls)]


def run_everywhere(
    compiler: Compiler, entries: Sequence[Entry], choice: Choice, runners: Sequence[str], patience: Patience
) -> list[Result]:
    """Results target by target, in the order of the file's calls."""
    from liftcheck.compilers.choice import Exactly
    from liftcheck.oracles.differential import Judge
    from liftcheck.runners.pool import RunnerPool

    pool = RunnerPool(",".join(runners))
    judge = Judge(Exactly(compiler) if choice.exact else compiler, pool, longest=patience.longest)
    try:
        return run_with(judge, pool, entries, choice.targets, patience.fuel)
    finally:
        pool.close()


def run_with(
    judge: Judge, pool: RunnerPool, entries: Sequence[Entry], targets: Sequence[Target], fuel: int
) -> list[Result]:
    """As `run_everywhere`, with a judge and runners that are there already."""
    return [
        result for target in targets for entry in entries for result in _run_function(judge, pool, entry, target, fuel)
    ]


def _by_function(calls: Sequence[Call]) -> list[list[Call]]:
    """Calls of one function together: they are inputs of one case. Those with memory apart: their data regions are
    compared too."""
    groups: dict[tuple[int, bool], list[Call]] = {}
    for call in calls:
        groups.setdefault((call.function, call.line.memory is not None), []).append(call)
    return list(groups.values())


def _run_function(judge: Judge, pool: RunnerPool, entry: Entry, target: Target, fuel: int) -> list[Result]:
    """All calls of one function on one target."""
    from liftcheck.oracles.admissible import not_to_run

    reference = _reference(entry, target)
    calls = [call.at(number % layout.SLOTS, target.big_endian) for number, call in enumerate(entry.calls)]
    expected = [reference.predict(entry.case.entry, call.line.args, call.line.regions(), fuel) for call in calls]
    results = [Result(call, target, "", wanted, undecided=not_to_run(wanted)) for call, wanted in zip(calls, expected)]
    runs = [number for number, result in enumerate(results) if not result.undecided]
    found = _outcomes(judge, pool, entry, target, [results[number] for number in runs]) if runs else ("", [])
    if isinstance(found, str):
        return [result if result.undecided else result._replace(problem=found) for result in results]
    for number, outcome in zip(runs, found[1]):
        results[number] = _judged(results[number]._replace(runner=found[0]), entry, outcome, fuel)
    return results


def _reference(entry: Entry, target: Target) -> Reference:
    """The reference for a target's byte order, if that matters."""
    from liftcheck.oracles.admissible import Reference
    from liftcheck.oracles.reference import depends_on_byte_order

    big_endian = target.big_endian and depends_on_byte_order(entry.case.module)
    if big_endian not in entry.references:
        entry.references[big_endian] = Reference(entry.case.module, big_endian)
    return entry.references[big_endian]


def _judged(result: Result, entry: Entry, outcome: Outcome, fuel: int) -> Result:
    """A result with its outcome; before anybody is called wrong, many more worlds are looked at."""
    from liftcheck.case import NO_ANSWER
    from liftcheck.oracles import admissible, compare

    call, prediction = result.call, result.reference
    types, own = compare.return_types(entry.case), entry.test.is_only_for(result.target.isa)
    verdict, met = admissible.judge(prediction, outcome, types), _meets(call, prediction, outcome, own)
    if prediction.looked and (verdict.kind == compare.DISAGREE or met is False):
        prediction = _reference(entry, result.target).predict(
            entry.case.entry, call.line.args, call.line.regions(), fuel, admissible.MANY
        )
        verdict, met = admissible.judge(prediction, outcome, types), _meets(call, prediction, outcome, own)
    agrees = {compare.AGREE: True, compare.DISAGREE: False}.get(verdict.kind)
    undecided = verdict.detail if agrees is None else ""
    if undecided and prediction.opening is None and prediction.outcome.kind in NO_ANSWER:
        undecided = f"the reference says {call.outcome_text(prediction.outcome)}"
    if not undecided and met is None and call.expectation():
        undecided = str(admissible.missing(outcome) or "")
    if not undecided and met is None and call.expectation():
        opening = _reference(entry, result.target).opening_of_nan(entry.case.entry, call.line.args, call.line.regions())
        undecided = f"the run line asks for one NaN of several: {opening}"
    remark = NAN_OPEN if met and _meets(call, prediction, outcome) is None else ""
    if prediction.unseen and not undecided and agrees and met is not False:
        remark = admissible.UNSEEN
    return result._replace(
        reference=prediction, outcome=outcome, agrees=agrees, met=met, undecided=undecided, remark=remark
    )


def _meets(call: Call, prediction: Prediction, outcome: Outcome, own_isa: bool = False) -> bool | None:
    """Whether an outcome is as the run line expects; None if it expects nothing, or that is open."""
    from liftcheck.oracles import admissible

    return admissible.meets(call.line, prediction, outcome, own_isa) if call.expectation() else None


def entry_of(compiler: Compiler, program: Program, calls: Sequence[Call], readable: Sequence[int]) -> Entry:
    """The functions that can be reached from the one that is called, and the calls' arguments."""
    from liftcheck.case import Case
    from liftcheck.clif.edit import reachable
    from liftcheck.clif.ir import Module
    from liftcheck.compilers.spelling import spell

    functions = program.module.functions
    numbers = reachable(program.module, calls[0].function)
    module = Module([functions[number] for number in numbers])
    case = Case(module, numbers.index(calls[0].function), tuple(call.line.args for call in calls))
    spelling = spell(compiler, program.test, [readable[number] for number in numbers])
    return Entry(calls, case, spelling, program.test, {})


def _outcomes(
    judge: Judge, pool: RunnerPool, entry: Entry, target: Target, wanted: Sequence[Result]
) -> tuple[str, list[Outcome]] | str:
    """The runner's name and the outcomes of some calls, or why there are none."""
    from liftcheck.case import CompileFailure
    from liftcheck.compilers.base import UnknownSetting
    from liftcheck.errors import Unsupported
    from liftcheck.oracles.tally import Tally
    from liftcheck.oracles.throwing import with_throw
    from liftcheck.runners import beyond
    from liftcheck.runners.base import Job
    from liftcheck.runners.link import link
    from liftcheck.runners.patience import longer
    from liftcheck.runners.run_memory import has_memory, run_lines

    case = entry.case
    try:
        code = judge.compile([case], [target], Tally(), texts=[entry.spelling.text])[0][0]
    except UnknownSetting as error:
        return f"unsupported: the setting {error.name}"
    except Unsupported as error:
        return f"unsupported: {error.reason}"
    made = judge.trampoline(case, target)
    failure = code if isinstance(code, CompileFailure) else made if isinstance(made, CompileFailure) else None
    if failure is None and code is not None and not isinstance(code, CompileFailure):
        failure = beyond.judged_wholly(case.module.functions, target, code)
    if failure is not None:
        located = entry.spelling.located(failure)
        place = f" (at {located.place})" if isinstance(located, CompileFailure) and failure.kind == "input" else ""
        return f"{failure.kind}: {failure.message or failure.reason}{place}"
    assert code is not None and not isinstance(code, CompileFailure) and not isinstance(made, CompileFailure)
    runner = pool.pick(target, code)
    if isinstance(runner, str):
        return f"cannot be run here: {runner}"
    function = case.module.functions[case.entry]
    try:
        image = link([with_throw(judge.compiler, code, target)], target.isa, lenient=True)
    except Unsupported as error:
        return f"cannot be linked: {error.reason}"
    lines = [result.call.line for result in wanted]
    job = Job(made, image.entry(0, function.name), function.signature, tuple(line.args for line in lines))

    def steps(number: int) -> int | None:
        return wanted[number].reference.steps

    if has_memory(lines):
        return runner.name, run_lines(runner, image, job, lines, code, steps, judge.longest)
    return runner.name, longer(runner, image, job, runner.run(image, [job])[0], code, steps, judge.longest)


def _text(results: Sequence[Result], compiler: str) -> str:
    lines: list[str] = []
    heading = ""
    for result in results:
        here = f"{compiler}, {result.target}" + (f", on {result.runner}" if result.runner else "")
        if here != heading:
            heading = here
            lines += ["", f"; {here}"] if lines else [f"; {here}"]
        lines.append(_line(result))
    return "\n".join(lines)


def _line(result: Result) -> str:
    call = result.call
    if result.outcome is None:
        return f"{call.text()}: {result.problem or f'undecided: {result.undecided}'}"
    comments = []
    if result.agrees is False:
        comments.append(f"DISAGREES: the reference says {call.outcome_text(result.reference.outcome)}")
    elif result.undecided:
        comments.append(f"undecided: {result.undecided}")
    if result.met is False:
        comments.append(f"WRONG: the run line says {call.expectation()}")
    elif result.met:
        comments.append("as expected" + (f" ({result.remark})" if result.remark else ""))
    elif result.remark:
        comments.append(result.remark)
    return f"{call.text()} = {call.outcome_text(result.outcome)}" + (f"  ; {'; '.join(comments)}" if comments else "")


def _document(result: Result) -> dict[str, object]:
    call, outcome, opening = result.call, result.outcome, result.reference.opening
    return {
        "call": call.text(),
        "line": call.line.line,
        "isa": result.target.isa,
        "settings": dict(result.target.settings),
        "runner": result.runner or None,
        "reference": call.outcome_json(result.reference.outcome),
        "outcome": call.outcome_json(outcome) if outcome is not None else None,
        "agrees": result.agrees,
        "expected": call.expectation() or None,
        "as_expected": result.met,
        "undecided": result.undecided or None,
        "opened_by": opening.document() if opening is not None else None,
        "remark": result.remark or None,
        "problem": result.problem or None,
    }
