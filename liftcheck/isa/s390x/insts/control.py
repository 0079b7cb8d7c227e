"""s390x: branches, calls, compare and branch, the condition code as a number, what traps.

Legend: `common`. A branch on a mask is a row for each mask, as assemblers write it. `br %r14` is a return.
Source: z/Architecture Principles of Operation SA22-7832-13 (2022), chapter 7.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from liftcheck.bits import build as b
from liftcheck.bits.term import Term, const
from liftcheck.isa.s390x.insts.common import COMPARED, CONDITIONS, holds, inst, narrow
from liftcheck.isa.s390x.insts.fields import comparison
from liftcheck.mach.rows.machine import ALWAYS, Machine
from liftcheck.mach.rows.row import Row

SECTION: Final = "7"
_ANYWHERE: Final = "it jumps to wherever a register says"
_UNSEEN: Final = "it does nothing that is seen"
_LINK: Final = 14


def _jump(mask: int) -> Callable[[Machine, Term], None]:
    return lambda s, target: s.jump(target, holds(s, mask))


def _register(mask: int) -> Callable[[Machine, Term], None]:
    return lambda s, a: s.jump(b.band(a, const(-2, 64)), holds(s, mask))


def _return(s: Machine) -> None:
    s.jump(b.band(s.read(_LINK), const(-2, 64)), kind="return")


def _nothing(s: Machine, *values: Term) -> None:
    """Nothing that terms can see."""


def _call(s: Machine, target: Term) -> Term:
    s.jump(target, ALWAYS, "call")
    return s.next


def _count(s: Machine, a: Term, target: Term) -> Term:
    """It goes on until the count is zero."""
    left = b.sub(a, const(1, a.lane))
    s.jump(target, b.nonzero(left))
    return left


def _branches() -> Iterator[Row]:
    for mask, condition in {**CONDITIONS, 15: ""}.items():
        yield inst(f"jg{condition} t32", "RILm C04", _jump(mask), SECTION, m1=mask)
        yield inst(f"j{condition} t16", "RIm A74", _jump(mask), SECTION, m1=mask)
        yield inst(f"b{condition}r g2", "RRm 07", _register(mask), SECTION, untested=_ANYWHERE, m1=mask)
        yield inst(f"b{condition}r %r0", "RRm 07", _nothing, SECTION, untested=_UNSEEN, m1=mask, r2=0)
    yield inst("br %r14", "RRm 07", _return, SECTION, untested=_ANYWHERE, m1=15, r2=_LINK)
    yield inst("jgnop t32", "RILm C04", _nothing, SECTION, m1=0)
    yield inst("jnop t16", "RIm A74", _nothing, SECTION, m1=0)
    yield inst("bcr m1, %r0", "RRm 07", _nothing, SECTION, untested=_UNSEEN, r2=0)
    yield inst("nopr g2", "RRm 07", _nothing, SECTION, untested=_UNSEEN, m1=0)
    yield inst("basr >g1, g2", "RR 0D", _call, SECTION, untested=_ANYWHERE)
    yield inst("basr >g1, %r0", "RR 0D", lambda s: s.next, SECTION, r2=0)
    yield inst("brasl >g1, t32", "RIL C05", _call, SECTION)
    yield inst("bras >g1, t16", "RI A75", _call, SECTION)
    yield inst("brct +w1, t16", "RI A76", _count, SECTION)
    yield inst("brctg +g1, t16", "RI A77", _count, SECTION)


def _compare_and_branch(mask: int, signed: bool) -> Callable[[Machine, Term, Term, Term], None]:
    def meaning(s: Machine, a: Term, c: Term, target: Term) -> None:
        s.jump(target, comparison(mask, signed)(a, narrow(c, a.lane)))

    return meaning


def _compared() -> Iterator[Row]:
    for mask, condition in COMPARED.items():
        for l, signed, u, codes in (("", True, "s", ("76", "64", "7E", "7C")),
                                    ("l", False, "u", ("77", "65", "7F", "7D"))):  # fmt: skip
            meaning = _compare_and_branch(mask, signed)
            for name, code, x in ((f"c{l}rj", codes[0], "w"), (f"c{l}grj", codes[1], "g")):
                yield inst(f"{name}{condition} {x}1, {x}2, t16", f"RIEb EC{code}", meaning, SECTION, m3=mask)
            for name, code, x in ((f"c{l}ij", codes[2], "w"), (f"c{l}gij", codes[3], "g")):
                yield inst(f"{name}{condition} {x}1, {u}i8, t16", f"RIEc EC{code}", meaning, SECTION, m3=mask)


def _insert_program_mask(s: Machine, a: Term) -> Term:
    """The condition code in bits 2 and 3 of the low half, then the program mask, which is zero."""
    code = b.concat(const(0, 2), b.concat(s.read("cc"), const(0, 4)))
    return b.concat(code, b.trunc(a, 24))


def _set_program_mask(s: Machine, a: Term) -> None:
    s.write("cc", b.extract(a, 28, 2))


def _trap(code: str) -> Callable[[Machine], None]:
    return lambda s: s.trap(ALWAYS, code)


def _rows() -> Iterator[Row]:
    yield from _branches()
    yield from _compared()
    yield inst("ipm +w1", "RRE B222", _insert_program_mask, SECTION, r2=0)
    yield inst("spm w1", "RR 04", _set_program_mask, SECTION, untested="it sets what traps as well", r2=0)
    yield inst("svc ui8", "I 0A", lambda s, n: s.trap(ALWAYS, "system call"), SECTION, untested="it traps")
    yield inst("trap", "E 0000", _trap("trap"), SECTION, untested="it traps")
    yield inst("debugtrap", "E 0001", _trap("break"), SECTION, untested="it traps")


ROWS: Final = tuple(_rows())
