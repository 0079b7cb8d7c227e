"""s390x: stores, insertions, load address, operations on storage, several registers, atomic updates.

Legend: `common`. What loads and computes at once is in `integer`. Misaligned operands of atomic updates trap.
Source: z/Architecture Principles of Operation SA22-7832-13 (2022), chapter 7.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from liftcheck.bits import build as b
from liftcheck.bits.term import Term, const
from liftcheck.isa.s390x.insts.common import CONDITIONS, LACKING, NEAR, holds, inst, narrow
from liftcheck.isa.s390x.insts.fields import test_under_mask
from liftcheck.isa.s390x.insts.integer import add, add_logical, compare_logical, logic
from liftcheck.mach.rows.machine import Machine, NoMeaning
from liftcheck.mach.rows.row import Row

SECTION: Final = "7"


def _store(size: int, reverse: bool = False) -> Callable[[Machine, Term, Term], None]:
    def meaning(s: Machine, a: Term, address: Term) -> None:
        value = b.trunc(a, 8 * size)
        s.store(address, b.bswap(value) if reverse else value)

    return meaning


_STORES: Final = (
    ("st w1, bdx", "RX 50", 4, False), ("sty w1, bdxy", "RXY E350", 4, False), ("stg g1, bdxy", "RXY E324", 8, False),
    ("sth w1, bdx", "RX 40", 2, False), ("sthy w1, bdxy", "RXY E370", 2, False), ("stc w1, bdx", "RX 42", 1, False),
    ("stcy w1, bdxy", "RXY E372", 1, False), ("strv w1, bdxy", "RXY E33E", 4, True),
    ("strvg g1, bdxy", "RXY E32F", 8, True), ("strvh w1, bdxy", "RXY E33F", 2, True),
    ("strl w1, t32", "RIL C4F", 4, False), ("stgrl g1, t32", "RIL C4B", 8, False),
    ("sthrl w1, t32", "RIL C47", 2, False),
)  # fmt: skip


def _insert(s: Machine, a: Term, address: Term) -> Term:
    return b.concat(b.extract(a, 8, 24), s.load(address, 1))


def _load_half_reversed(s: Machine, a: Term, address: Term) -> Term:
    return b.concat(b.extract(a, 16, 16), b.bswap(s.load(address, 2)))


def _address(s: Machine, address: Term) -> Term:
    return address


def _not_said(what: str) -> Callable[..., Term]:
    def meaning(s: Machine, *values: Term) -> Term:
        raise NoMeaning(f"no term says {what}")

    return meaning


def _simple() -> Iterator[Row]:
    for text, encoding, size, reverse in _STORES:
        yield inst(text, encoding, _store(size, reverse), SECTION, untested=NEAR if "t32" in text else "")
    yield inst("ic +w1, bdx", "RX 43", _insert, SECTION)
    yield inst("icy +w1, bdxy", "RXY E373", _insert, SECTION)
    yield inst("lrvh +w1, bdxy", "RXY E31F", _load_half_reversed, SECTION)
    yield inst("la >g1, bdx", "RX 41", _address, SECTION)
    yield inst("lay >g1, bdxy", "RXY E371", _address, SECTION)
    for number, letter in enumerate("bhfgq"):
        for l, bit in (("", 0), ("l", 1)):
            yield inst(f"l{l}xa{letter} >g1, bdxy", f"RXY E36{2 * number + bit}", _not_said("how the index wraps"),
                       SECTION, "mie4", LACKING)  # fmt: skip
    yield inst("ear >w1, a2", "RRE B24F", _not_said("access registers"), SECTION, untested="no term says it")
    yield inst("larl >g1, t32", "RIL C00", _address, SECTION)


def _several(s: Machine) -> list[int]:
    first, last = s.operands["range"]  # type: ignore[misc]
    return [(first + k) & 15 for k in range(((last - first) & 15) + 1)]  # type: ignore[has-type]


def _load_several(s: Machine, nothing: Term, address: Term) -> None:
    for k, number in enumerate(_several(s)):
        s.write(number, s.load(b.add(address, const(8 * k, 64)), 8))


def _store_several(s: Machine, nothing: Term, address: Term) -> None:
    for k, number in enumerate(_several(s)):
        s.store(b.add(address, const(8 * k, 64)), s.read(number))


# -- storage and an immediate


def _update(function: Callable[[Machine, Term, Term], Term]) -> Callable[[Machine, Term, Term], None]:
    return lambda s, address, value: s.store(address, function(s, s.load(address, 1), narrow(value, 8)))


def _move(size: int) -> Callable[[Machine, Term, Term], None]:
    return lambda s, address, value: s.store(address, narrow(value, 8 * size))


def _test(s: Machine, address: Term, mask: Term) -> None:
    test_under_mask(s, s.load(address, 1), narrow(mask, 8), bytewise=True)


def _compare(s: Machine, address: Term, value: Term) -> None:
    compare_logical(s, s.load(address, 1), narrow(value, 8))


def _storage() -> Iterator[Row]:
    for name, short, long, meaning in (("tm", "91", "EB51", _test), ("mvi", "92", "EB52", _move(1)),
                                       ("ni", "94", "EB54", _update(logic(b.band))), ("cli", "95", "EB55", _compare),
                                       ("oi", "96", "EB56", _update(logic(b.bor))),
                                       ("xi", "97", "EB57", _update(logic(b.bxor)))):  # fmt: skip
        yield inst(f"{name} bd, ui8", f"SI {short}", meaning, SECTION)
        yield inst(f"{name}y bdy, ui8", f"SIY {long}", meaning, SECTION)
    for name, opcode, size in (("mvhhi", "E544", 2), ("mvghi", "E548", 8), ("mvhi", "E54C", 4)):
        yield inst(f"{name} bd, si16", f"SIL {opcode}", _move(size), SECTION)


# -- atomic updates


def aligned(s: Machine, address: Term, size: int) -> None:
    """It traps where the operand is not aligned."""
    s.trap(b.nonzero(b.band(address, const(size - 1, 64))), "specification")


def _swap(size: int, check: bool = True) -> Callable[[Machine, Term, Term, Term], Term]:
    """The third operand is stored if the first is what stands there; else the first becomes that."""

    def meaning(s: Machine, a: Term, c: Term, address: Term) -> Term:
        aligned(s, address, size)
        found = s.load(address, size)
        equal = b.eq(a, found)
        s.store(address, c, equal)
        s.write("cc", b.ite(equal, const(0, 2), const(1, 2)))
        return b.ite(equal, a, found)

    return meaning


def _fetch(operation: Callable[[Machine, Term, Term], Term]) -> Callable[[Machine, Term, Term], Term]:
    """The result is stored, the operand before it is loaded."""

    def meaning(s: Machine, c: Term, address: Term) -> Term:
        aligned(s, address, c.lane // 8)
        found = s.load(address, c.lane // 8)
        s.store(address, operation(s, found, c))
        return found

    return meaning


def _load_pair(s: Machine, address: Term) -> Term:
    aligned(s, address, 16)
    return s.load(address, 16)


def _store_pair(s: Machine, pair: Term, address: Term) -> None:
    aligned(s, address, 16)
    s.store(address, pair)


def _atomic() -> Iterator[Row]:
    yield inst("cs +w1, w3, bd", "RS BA", _swap(4), SECTION)
    yield inst("csy +w1, w3, bdy", "RSY EB14", _swap(4), SECTION)
    yield inst("csg +g1, g3, bdy", "RSY EB30", _swap(8), SECTION)
    yield inst("cdsg +p1, p3, bdy", "RSY EB3E", _swap(16), SECTION)
    yield inst("lpq >p1, bdxy", "RXY E38F", _load_pair, SECTION)
    yield inst("stpq p1, bdxy", "RXY E38E", _store_pair, SECTION)
    for name, word_code, long_code, operation in (
        ("lan", "F4", "E4", logic(b.band)), ("lao", "F6", "E6", logic(b.bor)), ("lax", "F7", "E7", logic(b.bxor)),
        ("laa", "F8", "E8", add), ("laal", "FA", "EA", add_logical),
    ):  # fmt: skip
        yield inst(f"{name} >w1, w3, bdy", f"RSY EB{word_code}", _fetch(operation), SECTION)
        yield inst(f"{name}g >g1, g3, bdy", f"RSY EB{long_code}", _fetch(operation), SECTION)


# -- on a condition


def _load_if(mask: int) -> Callable[[Machine, Term, Term], Term]:
    """The operand is accessed in any case."""
    return lambda s, a, address: b.ite(holds(s, mask), s.load(address, a.lane // 8), a)


def _store_if(mask: int) -> Callable[[Machine, Term, Term], None]:
    return lambda s, a, address: s.store(address, a, holds(s, mask))


def _conditional() -> Iterator[Row]:
    for mask, condition in CONDITIONS.items():
        for letter, x, load, store in (("", "w", "EBF2", "EBF3"), ("g", "g", "EBE2", "EBE3")):
            yield inst(f"loc{letter}{condition} +{x}1, bdy", f"RSYm {load}", _load_if(mask), SECTION, m3=mask)
            yield inst(f"stoc{letter}{condition} {x}1, bdy", f"RSYm {store}", _store_if(mask), SECTION, m3=mask)


def _rows() -> Iterator[Row]:
    yield from _simple()
    yield inst("lmg range, bdy", "RSY EB04", _load_several, SECTION)
    yield inst("stmg range, bdy", "RSY EB24", _store_several, SECTION)
    yield from _storage()
    yield from _atomic()
    yield from _conditional()


ROWS: Final = tuple(_rows())
