"""The oracle `regalloc`: every function's register allocation is proven as it is compiled.

The proof is made by a compiler around the compiler (`regalloc.compiler.Validating`), whose code bears its refutation;
here that becomes a mismatch, and verdicts and time go to the tally.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from liftcheck.compilers.base import Compiler
from liftcheck.oracles.base import Compiled, FindingClass, Mismatch, Oracle, refuted
from liftcheck.oracles.regalloc.compiler import Validating, open_validating, refutation

REFUTED_ALLOCATION: Final = FindingClass(
    "refuted allocation",
    "allocates registers for `{target}` in a way that changes what this program means.{shown}\n\n```\n{message}\n```",
    counts_as_pair=False,
    needs_witness=False,
    seeks_run=True,
    no_filetest="a filetest proves no allocation: `liftcheck regalloc` refutes the one of this file",
)


class Allocations(Oracle):
    """See the module. Its compiler is a `Validating`, or it finds nothing."""

    name = "regalloc"
    classes = (REFUTED_ALLOCATION,)

    def open(self, spec: str) -> Compiler:
        return open_validating(spec)

    def begin(self, compiler: Compiler) -> None:
        """Discards what votes and reductions compiled in between."""
        if isinstance(compiler, Validating):
            compiler.take()

    def judge(self, compiled: Compiled) -> Iterator[Mismatch]:
        if not isinstance(compiled.compiler, Validating):
            return
        verdicts, seconds = compiled.compiler.take()
        compiled.tally.validated.update(verdicts)
        compiled.tally.spend("validate", seconds)
        compiled.tally.spend("compile", -seconds)
        for column, number, code in compiled.programs():
            failure = refutation(code)
            if failure is not None:
                yield refuted(compiled, column, number, REFUTED_ALLOCATION, failure)


ORACLE: Final = Allocations()
