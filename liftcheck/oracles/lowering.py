"""The oracle `lowering`: the code of every function does what its CLIF says, in every state.

The one idea: beside running a program on a few inputs, its code is read back as terms and proven equal to the program
(`oracles.lifting.loops`), function by function: for all arguments, all contents of memory, whatever callees give. A
counterexample accuses nobody: it is handed on as a case (`Mismatch.trials`), and what that does on a runner is the
finding. What terms do not say, and loops that no induction is found for, are undecided, counted by reason.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from liftcheck.case import CompileFailure, FunctionCode, Target
from liftcheck.clif.ir import Function
from liftcheck.clif.text.filetest import with_call_conv
from liftcheck.oracles.base import Compiled, FindingClass, Mismatch, Oracle, refuted

if TYPE_CHECKING:
    from liftcheck.oracles.lifting.equal import Verdict

REFUTED_LOWERING: Final = FindingClass(
    "refuted lowering",
    "compiles this program for `{target}` to code that does something else by its terms: {message}.{shown}",
    counts_as_pair=False,
    needs_witness=False,
    needs_run=True,
    no_filetest="a filetest proves nothing: `liftcheck verify` refutes the code of this file",
)
EFFORT: Final = 1_000_000
"""Steps of z3's for a claim: a quarter of what `liftcheck verify` has, since a campaign has other programs."""
FRAME: Final = "frame"
_Known = dict[tuple[object, ...], "Verdict"]


def prove(target: Target, function: Function, code: FunctionCode, effort: int) -> Verdict:
    """`loops.prove`, with z3, which is imported by who asks."""
    from liftcheck.oracles.lifting.loops import prove as proven

    return proven(target, function, code, effort)


class Lowering(Oracle):
    """See the module."""

    name = "lowering"
    classes = (REFUTED_LOWERING,)
    wants = frozenset({FRAME})

    def judge(self, compiled: Compiled) -> Iterator[Mismatch]:
        from liftcheck.oracles.lifting.examples import trials

        known: _Known = {}
        for column, number, code in compiled.programs():
            target, case = compiled.targets[column], compiled.cases[number]
            for place, function in enumerate(case.module.functions):
                found = _verdict(known, target, function, code[place], (number, place))
                reason = f"undecided: {found.why}" if found.kind == "undecided" else found.kind
                compiled.tally.validated[target.isa, f"lowering: {reason}"] += 1
                if found.kind == "refuted":
                    failure = CompileFailure("refuted", found.why, f"{found.why} of {function.name}", function.name)
                    mismatch = refuted(compiled, column, number, REFUTED_LOWERING, failure)
                    yield mismatch._replace(trials=trials(found.examples, case, place))


def _verdict(known: _Known, target: Target, function: Function, code: FunctionCode, which: tuple[int, int]) -> Verdict:
    """The verdict on a function's code, once for equal code of several targets."""
    frame = str(code.extra.get(FRAME)) if function.stack_slots else ""
    made = code.code, code.relocations, code.traps, code.calls, frame
    key = which, target.isa, dict(target.settings).get("enable_llvm_abi_extensions"), made
    if key not in known:
        known[key] = prove(target, with_call_conv(function, "fast"), code, EFFORT)
    return known[key]


ORACLE: Final = Lowering()
