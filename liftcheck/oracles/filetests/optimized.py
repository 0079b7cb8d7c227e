"""The test commands whose result is CLIF: `test optimize`, `alias-analysis`, `inline`, `legalizer` and older passes.

The one idea: whatever a pass does, what comes out must be well-formed and compute what went in. So a unit passes if the
optimized CLIF, as the compiler under test prints it, verifies and means the same (`meaning`). The compiler
offers no single pass and no inliner: all commands are judged by the whole middle end with the file's settings, and of
`test inline precise-output` also the text that the file itself records, against the functions before it.
It does not compare that text with the compiler's.
Sources: upstream's `cranelift/filetests`: `test_optimize.rs`, `test_inline.rs`, `test_alias_analysis.rs`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final, NamedTuple

from liftcheck.case import FunctionCode, Target
from liftcheck.clif.ir import Block, Function, Inst
from liftcheck.clif.text.filetest import FileTest, TestFunction
from liftcheck.clif.text.parser import parse_module
from liftcheck.clif.verify import verify
from liftcheck.errors import InputError, Unsupported
from liftcheck.oracles.filetests.meaning import Comparison, compare_forms
from liftcheck.oracles.filetests.report import Failure, Report

CLIF: Final = frozenset({"clif"})
"""What the compiler is to say in addition to the code."""
_FLAGS_NOT_PRINTED: Final = ("atomic_rmw", "atomic_cas")


class Optimized(NamedTuple):
    """One function under one command on one target. `model`: with explicit conventions; `before`: the functions of the
    file that stand before it."""

    test: FileTest
    command: str
    function: TestFunction
    model: Function
    before: Sequence[Function]
    target: Target

    def judge(self, code: FunctionCode, report: Report) -> None:
        """Exactly one verdict."""
        try:
            found = list(self._forms(code))
        except (InputError, Unsupported) as error:
            why = error.diagnostics[0].message if isinstance(error, InputError) else str(error)
            report.skip(self.target.isa, f"its optimized CLIF is not read: {why}")
            return
        if not found:
            report.skip(self.target.isa, "this compiler does not show its optimized CLIF")
            return
        results = [self._one(form, callees) for form, callees in found]
        wrong = next((result for result in results if isinstance(result, Failure)), None)
        if wrong is not None:
            report.fails(self.target.isa, wrong)
        else:
            self._settled([result for result in results if isinstance(result, Comparison)], report)

    def _forms(self, code: FunctionCode) -> Iterator[tuple[Function, Sequence[Function]]]:
        """The other forms of the function, each with the callees that it is compared with."""
        text = code.extra.get("clif")
        if isinstance(text, str):
            yield with_flags(parse_module(text, "optimized CLIF").functions[0], self.model), ()
        recorded = recorded_text(self.function) if self.command == "inline" else ""
        if recorded and self.test.option("inline", "precise-output"):
            own = parse_module(recorded, "recorded CLIF").functions[0]
            yield with_flags(own, self.model), _called(self.model, self.before)

    def _one(self, form: Function, callees: Sequence[Function]) -> Failure | Comparison:
        where = f"{self.target}, {self.command}"
        place = self.test.file, self.function.line, where
        problems = verify(form, self.target.isa, dict(self.target.settings), file="optimized CLIF")
        if problems:
            return Failure(*place, self.function.name, "well-formed CLIF", "; ".join(map(str, problems)))
        found = compare_forms(self.model, form, self.target.big_endian, callees)
        if found.call:
            return Failure(*place, found.call, f"as before, {found.expected}", found.got)
        return found

    def _settled(self, found: Sequence[Comparison], report: Report) -> None:
        """No difference: passed if every form was seen to compute something."""
        empty = next((one for one in found if not one.judged), None)
        if empty is None:
            report.passes(self.target.isa)
            if self.test.option(self.command, "precise-output"):
                report.notes[f"test {self.command} precise-output: what it computes is tested, its text is not"] += 1
        elif empty.open:
            unit = Failure(
                self.test.file,
                self.function.line,
                str(self.target),
                self.function.name,
                "a closed result",
                _commonest(empty.open),
            )
            report.undecides(self.target.isa, _commonest(empty.open), unit)
        else:
            report.skip(self.target.isa, f"test {self.command}: no run shows anything: {_commonest(empty.lost)}")


def _called(function: Function, others: Sequence[Function]) -> list[Function]:
    """Those of the others that a function names, directly or not; of several with one name the last."""
    by_name = {other.name: other for other in others}
    found: dict[str, Function] = {}
    todo = [function]
    while todo:
        for ref in todo.pop().func_refs.values():
            if ref.name in by_name and ref.name not in found:
                found[ref.name] = by_name[ref.name]
                todo.append(by_name[ref.name])
    return list(found.values())


def _commonest(reasons: Counter[str]) -> str:
    return reasons.most_common(1)[0][0] if reasons else "no run"


def recorded_text(function: TestFunction) -> str:
    """The CLIF in the comments after a function, '' if there is none."""
    lines = [text[1:].removeprefix(" ") for _, text in function.annotations if not text.startswith(";;")]
    return "\n".join(lines) if lines and lines[0].startswith("function ") else ""


def with_flags(form: Function, original: Function) -> Function:
    """A form that Cranelift printed, with the memory flags that it leaves out of atomic read-modify-writes. Unsupported
    if these do not all have the same in the original."""
    flags = {inst.flags for block in original.blocks for inst in block.insts if inst.op in _FLAGS_NOT_PRINTED}
    if not flags:
        return form
    if len(flags) > 1:
        raise Unsupported("Cranelift's text of atomic_rmw and atomic_cas leaves out their memory flags")
    own = flags.pop()

    def flagged(inst: Inst) -> Inst:
        return replace(inst, flags=own) if inst.op in _FLAGS_NOT_PRINTED else inst

    blocks = [Block(b.number, b.params, [flagged(inst) for inst in b.insts], b.cold, b.line) for b in form.blocks]
    return replace(form, blocks=blocks)
