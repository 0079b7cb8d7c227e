"""Claims decided by z3: values of variables in which one does not hold, or the proof that there are none.

The one idea: variables are bit-vectors; words of initial memory are what an array of bytes holds at their addresses as
soon as data have several bases, since these may be aliases. Each claim is a query of its own, with a limit of steps.
What rounds is uninterpreted at first (`bits.smt`); what is not proven so is asked again with the theory of floats.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

import z3

from liftcheck.bits.floats_smt import ROUNDING
from liftcheck.bits.smt import Translation
from liftcheck.bits.term import Term, postorder
from liftcheck.mach.lift_memory import Read, Reads, parts
from liftcheck.mach.rows.table import variables
from liftcheck.oracles.lifting.signature import STACK

EFFORT: Final = 4_000_000
"""z3's own steps for a claim, about a second of them: the same on every machine, however busy."""
_HANGS: Final = 60_000
"""Milliseconds after which z3 is stopped all the same."""
Model = dict[Term, int]
"""Numbers of variables."""


Kind = tuple[int, bool]


def kind_of(read: Read) -> Kind:
    """Of which memory a word is: after how many calls, and whether it is the frame's own, which is apart from all else
    (what callees may reach of it is as data are)."""
    return read.calls, not read.calls and STACK in variables([read.address])


class GaveUp(Exception):
    """It is not known; the text is the reason."""


class Prover:
    """Decides claims about the terms of one function; `floats`: by the theory of floats alone."""

    def __init__(self, reads: Reads, big: bool, effort: int = EFFORT, floats: bool = False) -> None:
        self._reads: Final = reads
        self._big: Final = big
        self._effort: Final = effort
        self._ways: Final = (False,) if floats else (True, False)

    def counterexamples(self, premises: Sequence[Term], wrong: Term) -> Iterator[Model]:
        """Numbers for which all premises hold and `wrong` does, as far as z3 knows. It ends where there are none;
        otherwise, when no more come, by `GaveUp`."""
        for uninterpreted in self._ways:
            found = self._asked(premises, wrong, uninterpreted)
            if found is None:
                return
            yield found
            if not _rounds([*premises, wrong]):
                break
        raise GaveUp("a counterexample that evaluation does not have")

    def _asked(self, premises: Sequence[Term], wrong: Term, uninterpreted: bool) -> Model | None:
        env = _Environment(self._reads, self._big, uninterpreted)
        solver = z3.Solver()
        solver.set("rlimit", self._effort)
        solver.set("timeout", _HANGS)
        for term in (*premises, wrong):
            solver.add(env.translation(term) == 1)
        answer = solver.check()
        if answer == z3.unknown:
            raise GaveUp("z3 gives up")
        return None if answer == z3.unsat else env.model(solver.model())


def _rounds(terms: Sequence[Term]) -> bool:
    return any(node.prim in ROUNDING for node in postorder(tuple(terms)))


class _Environment(dict[Term, Any]):
    """Variables as z3's, made when they are asked for."""

    def __init__(self, reads: Reads, big: bool, uninterpreted: bool) -> None:
        super().__init__()
        self._reads, self._big = reads, big
        self.translation: Final = Translation(self, uninterpreted)
        bases: dict[Kind, set[Term]] = {}
        for read in reads.of.values():
            bases.setdefault(kind_of(read), set()).add(parts(read.address)[0])
        self._several: Final = {kind for kind, found in bases.items() if len(found) > 1}

    def __missing__(self, v: Term) -> Any:
        read = self._reads.of.get(v)
        if read is not None and kind_of(read) in self._several:
            made = self._word(read)
        else:
            made = z3.BitVec(str(v.params[0]), v.bits)
        self[v] = made
        return made

    def _word(self, read: Read) -> Any:
        calls, in_frame = kind_of(read)
        name = "the frame" if in_frame else f"memory after {calls}"
        array = z3.Array(name, z3.BitVecSort(64), z3.BitVecSort(8))
        address = self.translation(read.address)
        found = [z3.Select(array, address + k) for k in range(read.size)]
        return z3.Concat(*(found if self._big else found[::-1]))

    def model(self, model: Any) -> Model:
        """The numbers of the variables that were asked for."""
        return {v: model.eval(expression, model_completion=True).as_long() for v, expression in self.items()}
