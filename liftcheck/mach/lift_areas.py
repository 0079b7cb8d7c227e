"""Which memory an address is of: areas that nothing outside of them is an alias of.

The one idea: the area of an address is that of the one pointer that it is computed from, by sums, masks and choices.
The frame is what is computed from the stack pointer, code what is computed from the function's own address; bases that
are `apart` have areas of their own; all others are data. What may be of two areas is undecided.

Assumed: pointers that a function is given do not point into its frame (docs/lifting.md).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from liftcheck.bits.term import Term
from liftcheck.mach.lift_memory import CODE, DATA, FRAME, Undecided
from liftcheck.mach.rows.table import variables


class Areas:
    """The areas of bases. `frame`: what its addresses are computed from; `is_code`: whether a base is the code's."""

    def __init__(
        self, frame: frozenset[Term], apart: frozenset[Term], is_code: Callable[[Term], bool] = lambda base: False
    ) -> None:
        self._frame: Final = frame
        self._apart: Final = apart
        self._is_code: Final = is_code
        self._known: Final[dict[Term, str]] = {}

    def of(self, base: Term) -> str:
        """The area of a base; `Undecided` if it may be of several."""
        found = self._known.get(base)
        if found is None:
            found = self._known[base] = self._area(base)
        return found

    def _area(self, base: Term) -> str:
        if base in self._frame:
            return FRAME
        if self._is_code(base):
            return CODE
        if base in self._apart:
            return f"apart {base.params[0]}"
        addends = _addends(base)
        inside = {self.of(a) for a in addends}
        if not addends and not any(self.of(v) in (FRAME, CODE) for v in variables([base]) if v is not base):
            return DATA
        if len(inside) == 1:
            return inside.pop()
        special = inside - {DATA}
        if len(special) == 1 and base.prim != "ite":
            return special.pop()
        raise Undecided("an address that may be of the frame or of data")


_ADDENDS: Final = {"add": (0, 1), "sub": (0,), "and": (0,), "ite": (1, 2), "concat": (0,), "extract": (0,)}
"""The operands by which a term is an address where they are."""


def _addends(base: Term) -> list[Term]:
    if base.prim == "extract" and base.params[0] == 0:  # a number of few bits
        return []
    return [base.args[i] for i in _ADDENDS.get(base.prim, ()) if base.args[i].prim != "const"]
