"""s390x: computation in general registers: loads of registers and immediates, arithmetic, logic, shifts, bit fields.

Legend: `common.family`; the second operand may be a register, in memory or an immediate, narrower ones are extended.
Source: z/Architecture Principles of Operation SA22-7832-13 (2022), chapter 7.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from liftcheck.bits import build as b
from liftcheck.bits.term import Term, const
from liftcheck.isa.s390x.insts.common import compared, family, inst, negative, set_nonzero, set_sign
from liftcheck.mach.rows.machine import Machine
from liftcheck.mach.rows.row import Row

SECTION: Final = "7"


# -- operations


def overflows(a: Term, c: Term, total: Term) -> Term:
    """Whether a signed sum does not fit: both operands have the sign that it lacks."""
    return negative(b.band(b.bxor(a, total), b.bxor(c, total)))


def add(s: Machine, a: Term, c: Term) -> Term:
    """Signed, overflow in the condition code."""
    total = b.add(a, c)
    set_sign(s, total, overflows(a, c, total))
    return total


def subtract(s: Machine, a: Term, c: Term) -> Term:
    """Signed, overflow in the condition code."""
    total = b.sub(a, c)
    set_sign(s, total, negative(b.band(b.bxor(a, c), b.bxor(a, total))))
    return total


def set_carry(s: Machine, carry: Term, result: Term) -> None:
    """The carry is the condition code's upper bit, 'not zero' the lower."""
    s.write("cc", b.concat(carry, b.nonzero(result)))


def carried(s: Machine, a: Term, c: Term, carry: Term) -> Term:
    """The sum of two numbers and a carry, with its carry."""
    wide = [b.zext(x, a.lane + 1) for x in (a, c, carry)]
    total = b.add(b.add(wide[0], wide[1]), wide[2])
    result = b.trunc(total, a.lane)
    set_carry(s, b.extract(total, a.lane, 1), result)
    return result


def add_logical(s: Machine, a: Term, c: Term) -> Term:
    return carried(s, a, c, const(0, 1))


def subtract_logical(s: Machine, a: Term, c: Term) -> Term:
    """The carry says 'no borrow'."""
    carried(s, a, b.bnot(c), const(1, 1))
    return b.sub(a, c)


def add_carry(s: Machine, a: Term, c: Term) -> Term:
    return carried(s, a, c, b.extract(s.read("cc"), 1, 1))


def subtract_borrow(s: Machine, a: Term, c: Term) -> Term:
    return carried(s, a, b.bnot(c), b.extract(s.read("cc"), 1, 1))


def logic(function: Callable[[Term, Term], Term]) -> Callable[[Machine, Term, Term], Term]:
    """Bit by bit; the condition code is 'not zero'."""

    def meaning(s: Machine, a: Term, c: Term) -> Term:
        result = function(a, c)
        set_nonzero(s, result)
        return result

    return meaning


def compare(s: Machine, a: Term, c: Term) -> None:
    s.write("cc", compared(b.slt(a, c), b.eq(a, c)))


def compare_logical(s: Machine, a: Term, c: Term) -> None:
    s.write("cc", compared(b.ult(a, c), b.eq(a, c)))


def multiply(s: Machine, a: Term, c: Term) -> Term:
    return b.mul(a, c)


def multiply_checked(s: Machine, a: Term, c: Term) -> Term:
    """The low half; overflow in the condition code."""
    width = a.lane
    product = b.mul(b.sext(a, 2 * width), b.sext(c, 2 * width))
    result = b.trunc(product, width)
    set_sign(s, result, b.ne(b.sext(result, 2 * width), product))
    return result


def load(s: Machine, a: Term) -> Term:
    return a


def load_and_test(s: Machine, a: Term) -> Term:
    set_sign(s, a)
    return a


def load_complement(s: Machine, a: Term) -> Term:
    result = b.neg(a)
    set_sign(s, result, b.band(negative(a), b.eq(result, a)))
    return result


def load_positive(s: Machine, a: Term) -> Term:
    result = b.ite(negative(a), b.neg(a), a)
    set_sign(s, result, negative(result))
    return result


def load_negative(s: Machine, a: Term) -> Term:
    result = b.ite(negative(a), a, b.neg(a))
    set_sign(s, result)
    return result


def load_reversed(s: Machine, a: Term) -> Term:
    return b.bswap(a)


# -- rows that `family` writes

_ADD: Final = """
ar RR 1A w
agr RRE B908 g
agfr RRE B918 g 4
ark RRFa B9F8 w
agrk RRFa B9E8 g
a RX 5A w
ay RXY E35A w
ag RXY E308 g
agf RXY E318 g 4
ah RX 4A w 2
ahy RXY E37A w 2
agh RXY E338 g 2 mie2
afi RIL C29 w
agfi RIL C28 g
ahi RI A7A w
aghi RI A7B g
ahik RIEd ECD8 w
aghik RIEd ECD9 g
"""
_SUBTRACT: Final = """
sr RR 1B w
sgr RRE B909 g
sgfr RRE B919 g 4
srk RRFa B9F9 w
sgrk RRFa B9E9 g
s RX 5B w
sy RXY E35B w
sg RXY E309 g
sgf RXY E319 g 4
sh RX 4B w 2
shy RXY E37B w 2
sgh RXY E339 g 2 mie2
"""
_ADD_LOGICAL: Final = """
alr RR 1E w
algr RRE B90A g
algfr RRE B91A g 4
alrk RRFa B9FA w
algrk RRFa B9EA g
al RX 5E w
aly RXY E35E w
alg RXY E30A g
algf RXY E31A g 4
alfi RIL C2B w
algfi RIL C2A g
"""
_ADD_LOGICAL_SIGNED: Final = """
alhsik RIEd ECDA w
alghsik RIEd ECDB g
"""
_SUBTRACT_LOGICAL: Final = """
slr RR 1F w
slgr RRE B90B g
slgfr RRE B91B g 4
slrk RRFa B9FB w
slgrk RRFa B9EB g
sl RX 5F w
sly RXY E35F w
slg RXY E30B g
slgf RXY E31B g 4
slfi RIL C25 w
slgfi RIL C24 g
"""
_ADD_CARRY: Final = """
alcr RRE B998 w
alcgr RRE B988 g
alc RXY E398 w
alcg RXY E388 g
"""
_SUBTRACT_BORROW: Final = """
slbr RRE B999 w
slbgr RRE B989 g
slb RXY E399 w
slbg RXY E389 g
"""
_AND: Final = """
nr RR 14 w
ngr RRE B980 g
nrk RRFa B9F4 w
ngrk RRFa B9E4 g
n RX 54 w
ny RXY E354 w
ng RXY E380 g
"""
_OR: Final = """
or RR 16 w
ogr RRE B981 g
ork RRFa B9F6 w
ogrk RRFa B9E6 g
o RX 56 w
oy RXY E356 w
og RXY E381 g
"""
_XOR: Final = """
xr RR 17 w
xgr RRE B982 g
xrk RRFa B9F7 w
xgrk RRFa B9E7 g
x RX 57 w
xy RXY E357 w
xg RXY E382 g
"""
_MULTIPLY: Final = """
msr RRE B252 w
msgr RRE B90C g
msgfr RRE B91C g 4
ms RX 71 w
msy RXY E351 w
msg RXY E30C g
msgf RXY E31C g 4
mh RX 4C w 2
mhy RXY E37C w 2
mgh RXY E33C g 2 mie2
mhi RI A7C w
mghi RI A7D g
msfi RIL C21 w
msgfi RIL C20 g
"""
_MULTIPLY_CHECKED: Final = """
msrkc RRFa B9FD w 0 mie2
msgrkc RRFa B9ED g 0 mie2
"""
_COMPARE: Final = """
cr RR 19 w
cgr RRE B920 g
cgfr RRE B930 g 4
c RX 59 w
cy RXY E359 w
cg RXY E320 g
cgf RXY E330 g 4
ch RX 49 w 2
chy RXY E379 w 2
cgh RXY E334 g 2
chi RI A7E w
cghi RI A7F g
cfi RIL C2D w
cgfi RIL C2C g
crl RIL C6D w 4
cgrl RIL C68 g 8
cgfrl RIL C6C g 4
chrl RIL C65 w 2
cghrl RIL C64 g 2
"""
_COMPARE_LOGICAL: Final = """
clr RR 15 w
clgr RRE B921 g
clgfr RRE B931 g 4
cl RX 55 w
cly RXY E355 w
clg RXY E321 g
clgf RXY E331 g 4
clfi RIL C2F w
clgfi RIL C2E g
clrl RIL C6F w 4
clgrl RIL C6A g 8
clgfrl RIL C6E g 4
clhrl RIL C67 w 2
clghrl RIL C66 g 2
"""
_LOAD: Final = """
lr RR 18 w
lgr RRE B904 g
lgfr RRE B914 g 4
lgbr RRE B906 g 1
lghr RRE B907 g 2
lbr RRE B926 w 1
lhr RRE B927 w 2
l RX 58 w
ly RXY E358 w
lg RXY E304 g
lgf RXY E314 g 4
lgh RXY E315 g 2
lgb RXY E377 g 1
lh RX 48 w 2
lhy RXY E378 w 2
lb RXY E376 w 1
lhi RI A78 w
lghi RI A79 g
lgfi RIL C01 g
lrl RIL C4D w 4
lgrl RIL C48 g 8
lgfrl RIL C4C g 4
lhrl RIL C45 w 2
lghrl RIL C44 g 2
"""
_LOAD_LOGICAL: Final = """
llgfr RRE B916 g 4
llgcr RRE B984 g 1
llghr RRE B985 g 2
llcr RRE B994 w 1
llhr RRE B995 w 2
llgf RXY E316 g 4
llgc RXY E390 g 1
llgh RXY E391 g 2
llc RXY E394 w 1
llh RXY E395 w 2
llgfrl RIL C4E g 4
llhrl RIL C42 w 2
llghrl RIL C46 g 2
llilf RIL C0F g
"""
_LOAD_REVERSED: Final = """
lrvr RRE B91F w
lrvgr RRE B90F g
lrv RXY E31E w
lrvg RXY E30F g
"""
_TEST: Final = """
ltr RR 12 w
ltgr RRE B902 g
ltgfr RRE B912 g 4
lt RXY E312 w
ltg RXY E302 g
"""
_POSITIVE: Final = """
lpr RR 10 w
lpgr RRE B900 g
lpgfr RRE B910 g 4
"""
_NEGATIVE: Final = """
lnr RR 11 w
lngr RRE B901 g
lngfr RRE B911 g 4
"""
_COMPLEMENT: Final = """
lcr RR 13 w
lcgr RRE B903 g
lcgfr RRE B913 g 4
"""
_MIE3: Final[tuple[tuple[str, str, str, Callable[[Term, Term], Term]], ...]] = (
    ("ncrk", "B9F5", "w", lambda a, c: b.band(a, b.bnot(c))), ("ncgrk", "B9E5", "g", lambda a, c: b.band(a, b.bnot(c))),
    ("nnrk", "B974", "w", lambda a, c: b.bnot(b.band(a, c))), ("nngrk", "B964", "g", lambda a, c: b.bnot(b.band(a, c))),
    ("nork", "B976", "w", lambda a, c: b.bnot(b.bor(a, c))), ("nogrk", "B966", "g", lambda a, c: b.bnot(b.bor(a, c))),
    ("nxrk", "B977", "w", lambda a, c: b.bnot(b.bxor(a, c))), ("nxgrk", "B967", "g", lambda a, c: b.bnot(b.bxor(a, c))),
    ("ocrk", "B975", "w", lambda a, c: b.bor(a, b.bnot(c))), ("ocgrk", "B965", "g", lambda a, c: b.bor(a, b.bnot(c))),
)  # fmt: skip


def _families() -> Iterator[Row]:
    for operation, lines in ((add, _ADD), (subtract, _SUBTRACT), (logic(b.band), _AND), (logic(b.bor), _OR),
                             (logic(b.bxor), _XOR), (multiply, _MULTIPLY),
                             (multiply_checked, _MULTIPLY_CHECKED)):  # fmt: skip
        yield from family(operation, lines, SECTION)
    for operation, lines in ((add_logical, _ADD_LOGICAL), (subtract_logical, _SUBTRACT_LOGICAL),
                             (add_carry, _ADD_CARRY), (subtract_borrow, _SUBTRACT_BORROW)):  # fmt: skip
        yield from family(operation, lines, SECTION, signed=False)
    yield from family(add_logical, _ADD_LOGICAL_SIGNED, SECTION)
    yield from family(compare, _COMPARE, SECTION, mark="")
    yield from family(compare_logical, _COMPARE_LOGICAL, SECTION, mark="", signed=False)
    yield from family(load, _LOAD, SECTION, mark=">")
    yield from family(load, _LOAD_LOGICAL, SECTION, mark=">", signed=False)
    for unary, lines in ((load_reversed, _LOAD_REVERSED), (load_and_test, _TEST), (load_positive, _POSITIVE),
                         (load_negative, _NEGATIVE), (load_complement, _COMPLEMENT)):  # fmt: skip
        yield from family(unary, lines, SECTION, mark=">")
    for name, opcode, x, function in _MIE3:
        yield inst(f"{name} >{x}1, {x}2, {x}3", f"RRFa {opcode}", logic(function), SECTION, "mie3")


ROWS: Final = tuple(_families())
