"""Cranelift's own filetests, run by liftcheck: the engine of `liftcheck test`.

The one idea: a file is read once, and its units (see `units`) go to judges that each know one test kind:
`test interpret` and `test verifier` here, `test run` and `test compile` in `runs`, which needs a compiler and
runners. A report is a sum of files; `campaign.filetests` spreads these over workers.

`test interpret` runs little-endian, as upstream does on its hosts, unless a file is for big-endian targets alone. With
`interpreter_only` the run lines of `test run` files are interpreted too.
Results are compared by their bits, NaNs too, as upstream does; where CLIF leaves them open (`oracles.admissible`), the
unit is undecided: the interpreter's choice is one of several, and so is that of the line.
What is out of scope: `test optimize`, `test unwind`, … (skipped by name), the text that `test compile` expects.
Sources: upstream's `cranelift/filetests` (which command means what), cranelift-reader 0.135 `run_command.rs`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from liftcheck.case import NO_ANSWER, Outcome
from liftcheck.clif.ir import Function
from liftcheck.clif.text.filetest import FileTest, TestFunction, read_text
from liftcheck.clif.text.parser import parse_filetest
from liftcheck.clif.text.runlines import RunLine
from liftcheck.clif.types import I128
from liftcheck.clif.verify import verify
from liftcheck.errors import InputError, own_fault
from liftcheck.interp.run import prepare
from liftcheck.oracles.admissible import UNSEEN, meets, missing
from liftcheck.oracles.filetests import texts
from liftcheck.oracles.filetests.open import Openings
from liftcheck.oracles.filetests.report import Failure, Report, line_failure, undecided
from liftcheck.oracles.filetests.runs import Engine
from liftcheck.oracles.filetests.units import COMMANDS, INTERPRETER, Plan, command, plan_of
from liftcheck.runners.patience import DEFAULT, OUT_OF_TIME, Patience

UPSTREAM_ONLY: Final = frozenset({"fcvt_to_uint", "fcvt_to_sint", "fcvt_to_uint_sat", "fcvt_to_sint_sat"})
"""To i128: upstream's interpreter saturates at i128's bounds, signed or not, trapping or not; no backend has them."""


@dataclass(frozen=True, slots=True)
class Options:
    """`isas` limits the ISAs (empty: those that a file names); `jobs` is the number of processes."""

    isas: tuple[str, ...] = ()
    compiler: str = "cranelift"
    runner: str = "auto"
    interpreter_only: bool = False
    jobs: int = 1
    patience: Patience = DEFAULT


def files_below(paths: Sequence[str]) -> list[str]:
    """Every file named and every .clif file below a folder named; InputError if there is none."""
    found: list[str] = []
    for name in paths:
        path = Path(name)
        if path.is_dir():
            inside = sorted(str(p) for p in path.rglob("*.clif") if p.is_file())
            if not inside:
                raise InputError.at("no .clif file in this folder", name)
            found += inside
        elif path.exists():
            found.append(name)
        else:
            raise InputError.at("no such file or folder", name)
    return list(dict.fromkeys(found))


def well_formed(file: str) -> FileTest:
    """A file whose functions are well-formed, unless it tests how they are read; else InputError."""
    test = parse_filetest(read_text(Path(file)), file)
    wrong = [] if test.commands else verify(test.module(), file=file)
    if wrong:
        raise InputError(wrong)
    return test


def run_file(file: str, options: Options, engine: Engine | None, report: Report) -> None:
    """Every unit of one file; without an engine in the interpreter alone."""
    try:
        test = parse_filetest(read_text(Path(file)), file)
    except InputError as error:
        report.broken += error.diagnostics
        report.unreadable += 1
        return
    report.files += 1
    before = report.judged
    plan = plan_of(test, options.isas, engine is None)
    report.unasked += plan.left_out
    fault = own_fault(lambda: _judge_all(plan, engine, report, options.patience.fuel))
    report.settle(file, plan.units, before, fault)


def _judge_all(plan: Plan, engine: Engine | None, report: Report, fuel: int) -> None:
    for name in plan.commands:
        _judge(name, plan, engine, report, fuel)
    if not plan.commands:
        report.skip("no command", "the file has no test command", len(plan.test.functions))


def _judge(name: str, plan: Plan, engine: Engine | None, report: Report, fuel: int) -> None:
    """One command of a file; each of its units gets a verdict."""
    if command(name).targets and not plan.once:
        for target in plan.outside:
            report.skip_outside(target.isa, plan.per_place(name))
        if engine is not None:
            engine.judge(name, plan, report)
    elif name == "interpret":
        _interpret(plan, report, fuel)
    elif name == "verifier":
        _verify(plan, report)
    elif name in TEXTS:
        _check_text(name, plan, report)
    elif name in COMMANDS:
        report.skip(name, f"test {name}: nothing is compiled with --interpreter-only", plan.per_place(name))
    else:
        report.skip(name, f"test {name}: not judged by liftcheck", plan.per_place(name))


# test interpret


def _interpret(plan: Plan, report: Report, fuel: int) -> None:
    """A run line passes if the interpreter meets it; a function without any if it is well-formed."""
    test = plan.test
    sound = [function.at(test.big_endian) for function in plan.sound("interpret", INTERPRETER, None, report)]
    prepared = prepare(test.module(sound), test.big_endian)
    openings = Openings(prepared.module)
    for number, function in enumerate(sound):
        for line, prediction in zip(function.run_lines, openings.of(number, function.run_lines, test.big_endian)):
            regions = line.regions()
            outcome = prediction.outcome if prediction.outside else prepared.run(number, line.args, regions, fuel)
            met = meets(line, prediction, outcome)
            if met is False and prediction.looked and outcome.kind not in NO_ANSWER:
                prediction = openings.again(number, line, test.big_endian)
                met = meets(line, prediction, outcome)
            if met is None and (prediction.whole or outcome.kind not in NO_ANSWER):
                opening = prediction.opening or missing(outcome) or openings.of_nan(number, line, test.big_endian)
                report.undecides(INTERPRETER, opening.kind, undecided(test.file, INTERPRETER, line, outcome, opening))
            else:
                _interpret_line(test, function, line, outcome, met is True, report)
                if prediction.unseen and met:
                    report.notes[UNSEEN] += 1
        if not function.run_lines:
            report.passes(INTERPRETER)


def _interpret_line(
    test: FileTest, function: TestFunction, line: RunLine, outcome: Outcome, met: bool, report: Report
) -> None:
    if met:
        report.passes(INTERPRETER)
    elif outcome.kind == "unsupported":
        report.skip(INTERPRETER, f"interpreter: {outcome.detail}")
    elif outcome.kind == "out_of_fuel":
        report.undecides(INTERPRETER, OUT_OF_TIME, line_failure(test.file, INTERPRETER, line, outcome))
    elif test.has("interpret") and function.function is not None and _is_upstreams_own(function.function):
        report.skip(INTERPRETER, "upstream's interpreter saturates conversions to i128, which no backend has")
    else:
        report.fails(INTERPRETER, line_failure(test.file, INTERPRETER, line, outcome))


def _is_upstreams_own(function: Function) -> bool:
    return any(inst.op in UPSTREAM_ONLY and inst.type is I128 for block in function.blocks for inst in block.insts)


# test verifier


def _verify(plan: Plan, report: Report) -> None:
    """A function passes if our verifier finds errors just if it has `error:` comments; texts are not compared. As
    upstream does it, once, with the target if there is one alone."""
    test = plan.test
    target = test.targets[0] if len(test.targets) == 1 else None
    for function in test.functions:
        expected = sorted({line for line, text in function.annotations if text.lstrip("; ").startswith("error:")})
        if function.function is None:
            report.skip("verifier", function.refused)
            continue
        found = plan.problem(function, target)
        if bool(found) == bool(expected):
            report.passes("verifier")
        else:
            report.fails(
                "verifier",
                Failure(
                    test.file,
                    expected[0] if expected else function.line,
                    "verifier",
                    function.name,
                    f"an error in line {expected[0]}" if expected else "no error",
                    f"line {found.line}: {found.message}" if found else "no error",
                ),
            )


# test cat, domtree, print-cfg

TEXTS: Final = {
    "cat": (texts.cat, "a function that survives its text"),
    "domtree": (texts.domtree, "that the comments name every immediate dominator"),
    "print-cfg": (texts.print_cfg, "the edges that the comments name"),
}  # fmt: skip


def _check_text(name: str, plan: Plan, report: Report) -> None:
    judge, expected = TEXTS[name]
    for function in plan.sound(name, name, None, report):
        wrong = judge(function)
        if wrong:
            report.fails(name, Failure(plan.test.file, function.line, name, function.name, expected, wrong))
        else:
            report.passes(name)
