"""Terms as text for people: infix where there is a sign for it, one line."""

from __future__ import annotations

from liftcheck.bits.prim import PRIMS
from liftcheck.bits.term import Term, repeated, value_of


def text(term: Term) -> str:
    """The term in readable form; variables by name, constants in decimal or hexadecimal, of equal lanes one."""
    if term.prim == "const":
        value = value_of(term)
        if value == repeated(value & term.mask, term.lane, term.lanes):
            value &= term.mask
        return str(value) if value < 1000 else hex(value)
    if term.prim == "var":
        return str(term.params[0])
    row = PRIMS[term.prim]
    infix = row.show.startswith("{0}") or row.show[:1] in "~-"
    operands = [text(a) if not infix or _atomic(a) else f"({text(a)})" for a in term.args]
    first = term.params[0] if term.params else ""
    return row.show.format(*operands, p0=first, args=", ".join(operands), params=_lanes(term.params))


def _lanes(indexes: tuple[object, ...]) -> str:
    """Lane numbers, runs shortened."""
    numbers = [i for i in indexes if isinstance(i, int)]
    if len(numbers) > 2 and numbers == list(range(numbers[0], numbers[0] + len(numbers))):
        return f"{numbers[0]}…{numbers[-1]}"
    return " ".join("zero" if i < 0 else str(i) for i in numbers)


def _atomic(term: Term) -> bool:
    show = PRIMS[term.prim].show
    return not show.startswith("{0}") and show[:1] not in "~-"
