"""The oracle `extensions`: code has no instruction of an extension that its target's settings do not promise.

The one idea: a rule of the compiler's that forgets to ask for the extension shows on no runner that has it, so the code
is read, whichever runner runs it (`runners.beyond`). Vector instructions for targets without vectors are looked for in
every batch (`differential`), so they are not told a second time here.
"""

from __future__ import annotations

from collections.abc import Iterator

from liftcheck.oracles.base import ILLEGAL, Compiled, Mismatch, Oracle, refuted
from liftcheck.runners import beyond


class Extensions(Oracle):
    """See the module."""

    name = "extensions"
    classes = (ILLEGAL,)

    def judge(self, compiled: Compiled) -> Iterator[Mismatch]:
        for column, number, code in compiled.programs():
            target, functions = compiled.targets[column], compiled.cases[number].module.functions
            if beyond.judged(functions, target, code) is not None:
                continue
            failure = beyond.other_extensions(target, code)
            verdict = "beyond the target" if failure is not None else "within the target"
            compiled.tally.validated[target.isa, f"extensions: {verdict}"] += len(code)
            if failure is not None:
                yield refuted(compiled, column, number, ILLEGAL, failure)


ORACLE = Extensions()
