"""The oracle `optimized`: what the middle end makes of a program is well-formed and computes the same.

The one idea: a compiler that shows its optimized CLIF can be judged in the middle. That text is verified by our own
verifier and run by the reference on the program's inputs; the original says what is right. So a fault of the middle end
is told from one of the backend, and is found where a backend hides it, or no runner has the target.
Equal texts of several targets are judged once. What CLIF leaves open (`admissible`) is not compared.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final, NamedTuple

from liftcheck import layout
from liftcheck.case import Case, CompileFailure, Target
from liftcheck.clif.ir import Function, Module
from liftcheck.clif.text.parser import parse_module
from liftcheck.clif.types import Type
from liftcheck.clif.verify import verify
from liftcheck.compilers.base import Program
from liftcheck.compilers.cranelift.failures import fold
from liftcheck.errors import InputError, Unsupported
from liftcheck.oracles import admissible, compare
from liftcheck.oracles.base import Compiled, FindingClass, Mismatch, Oracle, refuted
from liftcheck.oracles.reference import FUEL, interpret
from liftcheck.oracles.texts import CLIF, SILENT, shown

ILL_FORMED: Final = FindingClass(
    "ill-formed optimized CLIF",
    "optimizes this program for `{target}` to CLIF that is not well-formed: {message}.",
    counts_as_pair=False,
    needs_witness=False,
    no_filetest="no filetest fails on it: `test optimize` of liftcheck does",
)
WRONG: Final = FindingClass(
    "wrong optimized CLIF",
    "optimizes this program for `{target}` to CLIF that does something else: the fault is the middle end's. {message}.",
    counts_as_pair=False,
    needs_witness=False,
    folds_by_program=True,
    no_filetest="no filetest fails on it: `test optimize` of liftcheck does",
)
AGREES: Final = "computes the same"


class Judged(NamedTuple):
    """What is counted of a program's optimized CLIF; `wrong` and its class if it is."""

    verdict: str
    klass: FindingClass | None = None
    wrong: CompileFailure | None = None


class OptimizedOracle(Oracle):
    """See the module."""

    name = "optimized"
    classes = (ILL_FORMED, WRONG)
    wants = frozenset({CLIF})

    def judge(self, compiled: Compiled) -> Iterator[Mismatch]:
        known: dict[tuple[int, str, bool, tuple[str, ...]], Judged] = {}
        for column, number, code in compiled.programs():
            target, case = compiled.targets[column], compiled.cases[number]
            texts = tuple(shown(*pair) for pair in zip(code, case.module.functions, strict=True))
            key = number, target.isa, target.big_endian, texts
            if key not in known:
                known[key] = judged(case, code, target)
            found = known[key]
            compiled.tally.validated[target.isa, f"optimized: {found.verdict}"] += len(code)
            if found.klass is not None and found.wrong is not None:
                yield refuted(compiled, column, number, found.klass, found.wrong)


def judged(case: Case, code: Program, target: Target) -> Judged:
    """The verdict on the optimized CLIF of a case's code (`extra['clif']`), against the case."""
    texts = [shown(*pair) for pair in zip(code, case.module.functions, strict=True)]
    if not all(texts):
        told = all(CLIF in one.extra for one in code)
        return Judged("undecided: " + ("its text leaves out different memory flags" if told else SILENT))
    try:
        forms = [_form(text, original) for text, original in zip(texts, case.module.functions)]
    except (InputError, Unsupported) as error:
        why = error.diagnostics[0].message if isinstance(error, InputError) else str(error)
        return Judged(f"undecided: it is not read: {fold(why)}")
    for form in forms:
        problems = verify(form, target.isa, dict(target.settings), file="optimized CLIF")
        if problems:
            words = fold(problems[0].message)
            return Judged(ILL_FORMED.name, ILL_FORMED, CompileFailure("refuted", words, str(problems[0])))
    return _run(case, replace(case, module=Module(forms)), target.big_endian)


def _form(text: str, original: Function) -> Function:
    """An optimized function with the name that others call it by."""
    return replace(parse_module(text, "optimized CLIF").functions[0], name=original.name)


def _run(case: Case, other: Case, big_endian: bool) -> Judged:
    """Both forms on all inputs."""
    expected, got = interpret(case, big_endian), interpret(other, big_endian, 2 * FUEL)
    if expected.trouble or (got.trouble and not got.outcomes):
        return Judged(f"undecided: {expected.trouble or got.trouble}")
    types = compare.return_types(case)
    run, verdict = compare.compare_runs(expected.outcomes, got.outcomes, types)
    if verdict.kind == compare.DISAGREE:
        verdict = _closed(case, run, big_endian, other, types)
    if verdict.kind == compare.AGREE:
        return Judged(AGREES)
    if verdict.kind == compare.UNDECIDED:
        return Judged(f"undecided: {verdict.detail}")
    return Judged(WRONG.name, WRONG, CompileFailure("refuted", verdict.klass, f"Input {run}: {verdict.detail}"))


def _closed(case: Case, run: int, big_endian: bool, other: Case, types: Sequence[Type]) -> compare.Verdict:
    """The verdict on a run that differs, without what CLIF leaves open there."""
    regions = {layout.slot_address(case.slot + run): case.memories[run]} if case.memories else None
    args = case.inputs[run]
    prediction = admissible.Reference(case.module, big_endian).openness(
        case.entry, args, regions, FUEL, admissible.MANY
    )
    second = admissible.Reference(other.module, big_endian).predict(case.entry, args, regions, FUEL)
    return admissible.judge(prediction, second.outcome, types)


ORACLE: Final = OptimizedOracle()
