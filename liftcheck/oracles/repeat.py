"""The oracle `repeat`: a program compiled again gives the same code, whatever was compiled before, and where.

The one idea: the code of a function is a function of its text and target. So a batch is compiled again in three
circumstances, of which none may matter: once more, so that all of the batch has gone before; in a new process, where
nothing has, backwards; and there again after neighbours that use much of the compiler (spills, constants, tables,
calls), which is what a reduction to a single program still has. What differs is state that leaks from one function into
the next, or the order of a hash table.
It cannot see what depends on the machine, or on time in a way that three compilations do not meet.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from liftcheck.case import CompileFailure
from liftcheck.oracles.base import Code, Compiled, FindingClass, Mismatch, Oracle, refuted
from liftcheck.oracles.sameness import difference

OTHER_CODE: Final = FindingClass(
    "other code",
    "does not always compile this program for `{target}` to the same code: {message}.",
    counts_as_pair=False,
    needs_witness=False,
    no_filetest="a filetest compiles once, in one process",
)
_LIVE: Final = 40


def _pressing() -> str:
    """A neighbour whose values do not fit into the registers."""
    made = [f"    v{n} = imul v{n - 1}, v{n - 2}" for n in range(2, _LIVE)]
    used = [f"    v{_LIVE + n} = bxor v{_LIVE + n - 1}, v{n}" for n in range(1, _LIVE)]
    return "\n".join(
        [
            "function %neighbour0(i64, i64) -> i64 system_v {",
            "block0(v0: i64, v1: i64):",
            *made,
            f"    v{_LIVE} = iadd v0, v1",
            *used,
            f"    return v{2 * _LIVE - 1}",
            "}",
        ]
    )


NEIGHBOURS: Final = f"""{_pressing()}
function %neighbour1(i32, f64, i8x16) -> f64, i8x16 system_v {{
    fn0 = %neighbour0(i64, i64) -> i64 system_v
block0(v0: i32, v1: f64, v2: i8x16):
    br_table v0, block1, [block2, block3, block1]
block1:
    v3 = f64const 0x1.8p-3
    v4 = fadd v1, v3
    v5 = vconst.i8x16 [1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16]
    v6 = iadd v2, v5
    return v4, v6
block2:
    v7 = uextend.i64 v0
    v8 = call fn0(v7, v7)
    v9 = fcvt_from_sint.f64 v8
    return v9, v2
block3:
    trapz v0, user3
    v10 = sdiv v0, v0
    v11 = fcvt_from_sint.f64 v10
    return v11, v2
}}
"""
"""Compiled in front of a batch, on whatever part of the compiler's state they may leave their mark."""


class Repeat(Oracle):
    """See the module."""

    name = "repeat"
    classes = (OTHER_CODE,)

    def judge(self, compiled: Compiled) -> Iterator[Mismatch]:
        told: set[tuple[int, int]] = set()
        for where, reason, code in _again(compiled):
            for column, number, first in compiled.programs():
                if (column, number) in told:
                    continue
                what = difference(first, code[column][number])
                if what:
                    told.add((column, number))
                    failure = CompileFailure("refuted", reason, f"{where} it is other code ({what})")
                    yield refuted(compiled, column, number, OTHER_CODE, failure)
        for column, number, first in compiled.programs():
            verdict = "other code" if (column, number) in told else "the same code in three more compilations"
            compiled.tally.validated[compiled.targets[column].isa, f"repeat: {verdict}"] += len(first)


def _again(compiled: Compiled) -> Iterator[tuple[str, str, Code]]:
    """The circumstances: as a page says them, as equal findings have them, and the code."""
    yield "compiled once more", "other code when compiled again", compiled.again(compiled.texts)
    compiled.compiler.close()
    yield "in a new process", "other code in a new process", compiled.again(compiled.texts, backwards=True)
    compiled.compiler.compile_text(NEIGHBOURS, compiled.targets)
    yield "after other functions", "other code after other functions", compiled.again(compiled.texts)


ORACLE: Final = Repeat()
