"""Runs a file in the reference interpreter and prints the results.

Without --function every run line of the file is run (`; run: %f(1) == 2` and `; print: %f(1)`); with it that function
is run on --args, written as in a run line: `--args '1, -2, 0x1.8p0, [1 2 3 4]'`.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, NamedTuple

from liftcheck.commands import options, output
from liftcheck.isa import BIG_ENDIAN

if TYPE_CHECKING:
    from liftcheck.case import Outcome
    from liftcheck.clif.text.filetest import FileTest
    from liftcheck.commands.calls import Call
    from liftcheck.oracles.admissible import Reference


def declare(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", help="a .clif file, or - for standard input")
    add_call(parser)
    order = parser.add_mutually_exclusive_group()
    order.add_argument(
        "--big-endian",
        action="store_true",
        default=None,
        help=f"memory as on {', '.join(sorted(BIG_ENDIAN))} "
        "(default if the file names targets and all of them are big-endian)",
    )
    order.add_argument(
        "--little-endian",
        action="store_false",
        dest="big_endian",
        help="memory as on the other ISAs, whatever the file's targets are",
    )
    options.add_fuel(parser)
    options.add_json(parser)


def add_call(parser: argparse.ArgumentParser) -> None:
    """`--function` and `--args`: one call instead of the file's run lines."""
    parser.add_argument("--function", metavar="NAME", help="run this function, not the file's run lines")
    parser.add_argument(
        "--args", default="", metavar="VALUES", help="its arguments, as in a run line, separated by commas"
    )


def run(args: argparse.Namespace) -> int:
    """Interprets every call; 1 if a run line's expectation is not met."""
    from liftcheck.commands import calls
    from liftcheck.oracles.admissible import Reference

    program = calls.read_program(args)
    big_endian, notes = _byte_order(program.test, args.big_endian)
    reference = Reference(program.module, big_endian)
    results = []
    if notes and not args.json:
        print("\n".join(f"; note: {note}" for note in notes))
    for call in program.calls:
        results.append(_result(reference, call.at(0, big_endian), args.fuel))
        if not args.json:
            print(_line(results[-1]))
    if args.json:
        output.print_json(
            "interpret",
            {"file": program.file, "big_endian": big_endian, "notes": notes, "calls": list(map(_document, results))},
        )
    return int(any(result.met is False for result in results))


class Result(NamedTuple):
    """A call, what the reference says of it, whether that is as the run line expects, why that cannot be said; what
    qualifies the verdict."""

    call: Call
    outcome: Outcome
    met: bool | None
    undecided: str
    remark: str = ""


def _result(reference: Reference, call: Call, fuel: int) -> Result:
    """What the reference says of a call, in one of the worlds that CLIF allows."""
    from liftcheck.case import NO_ANSWER
    from liftcheck.oracles.admissible import MANY, UNSEEN, meets, missing, not_to_run

    prediction = reference.predict(call.function, call.line.args, call.line.regions(), fuel)
    if prediction.outcome.kind == "out_of_fuel":
        reason = str(prediction.opening or "not ended in the instructions of --fuel")
        return Result(call, prediction.outcome._replace(detail=""), None, reason)
    if not prediction.opening and (limit := not_to_run(prediction)):
        return Result(call, prediction.outcome, None, limit)
    met = meets(call.line, prediction, prediction.outcome) if call.expectation() else None
    if met is False and prediction.looked:
        prediction = reference.predict(call.function, call.line.args, call.line.regions(), fuel, MANY)
        met = meets(call.line, prediction, prediction.outcome)
    undecided = str(prediction.opening or (missing(prediction.outcome) if met is None else None) or "")
    if met is None and call.expectation() and not undecided:
        if prediction.outcome.kind in NO_ANSWER:
            undecided = "the interpreter has no answer"
        else:
            opening = reference.opening_of_nan(call.function, call.line.args, call.line.regions())
            undecided = f"the run line asks for one NaN of several: {opening}"
    return Result(call, prediction.outcome, met, undecided, UNSEEN if prediction.unseen and not undecided else "")


def _byte_order(test: FileTest, asked: bool | None) -> tuple[bool, list[str]]:
    """Whether memory is big-endian, and what is to be said of it: a file's targets tell, unless an option does."""
    own = test.big_endian
    if asked is None:
        return own, ["big-endian, as all targets of the file are"] if own else []
    overrides = bool(test.targets) and asked != own
    return asked, [f"--{'big' if asked else 'little'}-endian overrides the file's targets"] if overrides else []


def _line(result: Result) -> str:
    call, comments = result.call, [f"undecided: {result.undecided}"] if result.undecided else []
    if result.met is not None:
        right = "as expected" + (f" ({result.remark})" if result.remark else "")
        comments.append(right if result.met else f"WRONG: the run line says {call.expectation()}")
    elif result.remark:
        comments.append(result.remark)
    return f"{call.text()} = {call.outcome_text(result.outcome)}" + (f"  ; {'; '.join(comments)}" if comments else "")


def _document(result: Result) -> dict[str, object]:
    call = result.call
    return {
        "call": call.text(),
        "line": call.line.line,
        "expected": call.expectation() or None,
        "as_expected": result.met,
        "outcome": call.outcome_json(result.outcome),
        "undecided": result.undecided or None,
        "remark": result.remark or None,
    }
