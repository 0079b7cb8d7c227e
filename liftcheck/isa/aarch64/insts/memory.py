"""A64: loads and stores of integers, floats and vectors; atomic accesses.

Where a base register is written back, it is read before. Exclusive accesses: whether a store succeeds is open, whatever
was loaded. Atomic accesses that are misaligned trap (without FEAT_LSE2). What orders accesses changes nothing here.
Source: Arm ARM (DDI 0487), C4.1 'Loads and Stores', C6.2, C7.2.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

from liftcheck.bits import build as b
from liftcheck.bits.term import Term, const
from liftcheck.isa.aarch64.insts.common import ARRANGEMENTS, inst
from liftcheck.mach.rows.machine import Machine
from liftcheck.mach.rows.row import Row

_SECTION: Final = "C4.1 Loads and Stores"
_CODE: Final = "it reads code"
_EXCLUSIVE: Final = "whether an exclusive store succeeds is open"
_Meaning = Callable[..., Any]

# suffix, operand, size of access, (size bits, V, opc), extension to bits or None
_LOADS: Final = (
    ("b", "w", 1, "00", "0", "01", b.zext, 32), ("sb", "x", 1, "00", "0", "10", b.sext, 64),
    ("sb", "w", 1, "00", "0", "11", b.sext, 32), ("h", "w", 2, "01", "0", "01", b.zext, 32),
    ("sh", "x", 2, "01", "0", "10", b.sext, 64), ("sh", "w", 2, "01", "0", "11", b.sext, 32),
    ("", "w", 4, "10", "0", "01", b.zext, 32), ("sw", "x", 4, "10", "0", "10", b.sext, 64),
    ("", "x", 8, "11", "0", "01", b.zext, 64), ("", "b", 1, "00", "1", "01", b.zext, 8),
    ("", "h", 2, "01", "1", "01", b.zext, 16), ("", "s", 4, "10", "1", "01", b.zext, 32),
    ("", "d", 8, "11", "1", "01", b.zext, 64), ("", "q", 16, "00", "1", "11", b.zext, 128),
)  # fmt: skip
_STORES: Final = (
    ("b", "w", 1, "00", "0", "00"), ("h", "w", 2, "01", "0", "00"), ("", "w", 4, "10", "0", "00"),
    ("", "x", 8, "11", "0", "00"), ("", "b", 1, "00", "1", "00"), ("", "h", 2, "01", "1", "00"),
    ("", "s", 4, "10", "1", "00"), ("", "d", 8, "11", "1", "00"), ("", "q", 16, "00", "1", "10"),
)  # fmt: skip


def _load(size: int, extend: Callable[[Term, int], Term], width: int) -> _Meaning:
    return lambda s, base, offset: extend(s.load(b.add(base, offset), size), width)


def _load_before(size: int, extend: Callable[[Term, int], Term], width: int) -> _Meaning:
    return lambda s, base, offset: (extend(s.load(b.add(base, offset), size), width), b.add(base, offset))


def _load_after(size: int, extend: Callable[[Term, int], Term], width: int) -> _Meaning:
    return lambda s, base, offset: (extend(s.load(base, size), width), b.add(base, offset))


def _put(s: Machine, address: Term, value: Term, size: int) -> None:
    s.store(address, b.trunc(value, 8 * size))


def _store(size: int) -> _Meaning:
    return lambda s, value, base, offset: _put(s, b.add(base, offset), value, size)


def _store_indexed(size: int, before: bool) -> _Meaning:
    def meaning(s: Machine, value: Term, base: Term, offset: Term) -> Term:
        moved = b.add(base, offset)
        _put(s, moved if before else base, value, size)
        return moved

    return meaning


def _forms(name: str, operand: str, size: int, head: str, kinds: tuple[_Meaning, _Meaning, _Meaning]) -> Iterator[Row]:
    """Every addressing mode; of integers also the unprivileged one. `head`: up to the bits that tell them apart; '{}'
    there stands for those; `kinds`: what it does without writing the base, with writing it before, after."""
    plain_, before, after = kinds
    base = "xnw" if "x" in operand or "w" in operand else "xnsp"
    unscaled = name[:2] + "u" + name[2:]
    yield inst(f"{name} {operand}, [xnsp{{, off{size}}}]", head.format("01") + " imm12:12 rn rt", plain_, _SECTION)
    yield inst(f"{unscaled} {operand}, [xnsp{{, simm9z}}]", head.format("00") + " 0 imm9:9 00 rn rt", plain_, _SECTION)
    if "111 0" in head:
        unprivileged = name[:2] + "t" + name[2:]
        yield inst(
            f"{unprivileged} {operand}, [xnsp{{, simm9z}}]", head.format("00") + " 0 imm9:9 10 rn rt", plain_, _SECTION
        )
    yield inst(f"{name} {operand}, [+{base}], simm9", head.format("00") + " 0 imm9:9 01 rn rt", after, _SECTION)
    yield inst(f"{name} {operand}, [+{base}, simm9]!", head.format("00") + " 0 imm9:9 11 rn rt", before, _SECTION)
    yield inst(f"{name} {operand}, [xnsp, reg{size}]", head.format("00") + " 1 rm option:3 s:1 10 rn rt", plain_,
               _SECTION)  # fmt: skip


def _single() -> Iterator[Row]:
    for suffix, r, size, two, v, opc, extend, width in _LOADS:
        kinds = _load(size, extend, width), _load_before(size, extend, width), _load_after(size, extend, width)
        yield from _forms(f"ldr{suffix}", f">{r}t", size, f"{two} 111 {v} {{}} {opc}", kinds)
    for suffix, r, size, two, v, opc in _STORES:
        kinds = _store(size), _store_indexed(size, True), _store_indexed(size, False)
        yield from _forms(f"str{suffix}", f"{r}t", size, f"{two} 111 {v} {{}} {opc}", kinds)
    for name, r, opc, v, size, width in (("ldr", "w", "00", "0", 4, 32), ("ldr", "x", "01", "0", 8, 64),
                                         ("ldrsw", "x", "10", "0", 4, 64), ("ldr", "s", "00", "1", 4, 32),
                                         ("ldr", "d", "01", "1", 8, 64), ("ldr", "q", "10", "1", 16, 128)):  # fmt: skip
        yield inst(f"{name} >{r}t, target19", f"{opc} 011 {v} 00 imm19:19 rt", _literal(size, width, name == "ldrsw"),
                   _SECTION, untested=_CODE)  # fmt: skip
    for template, bits in (("prfm prefetch, [xnsp{, off8}]", "01 10 imm12:12"),
                           ("prfm prefetch, [xnsp, reg8]", "00 10 1 rm option:3 s:1 10"),
                           ("prfum prefetch, [xnsp{, simm9z}]", "00 10 0 imm9:9 00")):  # fmt: skip
        yield inst(template, f"11 111 0 {bits} rn rt", _nothing, _SECTION, untested="a hint: there is nothing to see")


def _nothing(s: Machine, *values: Term) -> None:
    """Nothing that terms can see."""


def _literal(size: int, width: int, signed: bool) -> _Meaning:
    extend = b.sext if signed else b.zext
    return lambda s, address: extend(s.load(address, size), width)


# -- pairs

_PAIRS: Final = (("w", 4, "00", "0"), ("x", 8, "10", "0"), ("s", 4, "00", "1"), ("d", 8, "01", "1"),
                 ("q", 16, "10", "1"))  # fmt: skip


def _two(s: Machine, address: Term, size: int, extend: int = 0) -> tuple[Term, Term]:
    found = s.load(address, size), s.load(b.add(address, const(size, 64)), size)
    return (b.sext(found[0], extend), b.sext(found[1], extend)) if extend else found


def _load_pair(size: int, mode: str, extend: int = 0) -> _Meaning:
    def meaning(s: Machine, base: Term, offset: Term) -> tuple[Term, ...]:
        moved = b.add(base, offset)
        found = _two(s, base if mode == "after" else moved, size, extend)
        return found if mode == "" else (*found, moved)

    return meaning


def _store_pair(size: int, mode: str) -> _Meaning:
    def meaning(s: Machine, one: Term, two: Term, base: Term, offset: Term) -> Term | None:
        moved = b.add(base, offset)
        address = base if mode == "after" else moved
        s.store(address, one)
        s.store(b.add(address, const(size, 64)), two)
        return moved if mode else None

    return meaning


def _pairs() -> Iterator[Row]:
    for r, size, opc, v in _PAIRS:
        for name, bit, mark, does in (("ldp", "1", ">", _load_pair), ("stp", "0", "", _store_pair)):
            base = "xnw" if v == "0" else "xnsp"
            second = f"{mark}{r}u" if bit == "1" and v == "0" else f"{mark}{r}t2"
            both = f"{name} {mark}{r}t, {second}"
            head = f"{opc} 101 {v}"
            tail = f"{bit} imm7:7 rt2 rn rt"
            yield inst(f"{both}, [xnsp{{, pairz{size}}}]", f"{head} 010 {tail}", does(size, ""), _SECTION)
            yield inst(f"{name[:2]}n{name[2:]} {mark}{r}t, {second}, [xnsp{{, pairz{size}}}]", f"{head} 000 {tail}",
                       does(size, ""), _SECTION)  # fmt: skip
            yield inst(f"{both}, [+{base}], pair{size}", f"{head} 001 {tail}", does(size, "after"), _SECTION)
            yield inst(f"{both}, [+{base}, pair{size}]!", f"{head} 011 {tail}", does(size, "before"), _SECTION)
    head, tail = "01 101 0", "1 imm7:7 rt2 rn rt"
    yield inst("ldpsw >xt, >xu, [xnsp{, pairz4}]", f"{head} 010 {tail}", _load_pair(4, "", 64), _SECTION)
    yield inst("ldpsw >xt, >xu, [+xnw], pair4", f"{head} 001 {tail}", _load_pair(4, "after", 64), _SECTION)
    yield inst("ldpsw >xt, >xu, [+xnw, pair4]!", f"{head} 011 {tail}", _load_pair(4, "before", 64), _SECTION)


# -- atomic

_ACCESSES: Final = (("b", "w", 1, "00"), ("h", "w", 2, "01"), ("", "w", 4, "10"), ("", "x", 8, "11"))


def _aligned(s: Machine, address: Term, size: int) -> None:
    if size > 1:
        s.trap(b.nonzero(b.band(address, const(size - 1, 64))), "unaligned")


def _ordered_load(size: int, width: int) -> _Meaning:
    def meaning(s: Machine, base: Term) -> Term:
        _aligned(s, base, size)
        return b.zext(s.load(base, size), width)

    return meaning


def _ordered_store(size: int) -> _Meaning:
    def meaning(s: Machine, value: Term, base: Term) -> None:
        _aligned(s, base, size)
        _put(s, base, value, size)

    return meaning


def _exclusive_store(size: int) -> _Meaning:
    def meaning(s: Machine, value: Term, base: Term) -> Term:
        _aligned(s, base, size)
        fails = s.undefined(1)
        s.store(base, b.trunc(value, 8 * size), b.bnot(fails))
        return b.zext(fails, 32)

    return meaning


def _ordered() -> Iterator[Row]:
    for suffix, r, size, two in _ACCESSES:
        width = 64 if r == "x" else 32
        load, store = _ordered_load(size, width), _ordered_store(size)
        head = f"{two} 001000"
        for name, bits in (("ldar", "1 1 0 11111 1"), ("ldlar", "1 1 0 11111 0"), ("ldaxr", "0 1 0 11111 1"),
                           ("ldxr", "0 1 0 11111 0")):  # fmt: skip
            yield inst(f"{name}{suffix} >{r}t, [xnsp]", f"{head} {bits} 11111 rn rt", load, _SECTION)
        yield inst(f"stlr{suffix} {r}t, [xnsp]", f"{head} 1 0 0 11111 1 11111 rn rt", store, _SECTION)
        for name, bit in (("stlxr", "1"), ("stxr", "0")):
            yield inst(f"{name}{suffix} >wsu, {r}t, [xnsp]", f"{head} 0 0 0 rs {bit} 11111 rn rt",
                       _exclusive_store(size), _SECTION, untested=_EXCLUSIVE)  # fmt: skip
        yield inst(f"ldapr{suffix} >{r}t, [xnsp]", f"{two} 111000 101 11111 110000 rn rt", load, _SECTION, "rcpc")
    for r, sz, size in (("w", "0", 4), ("x", "1", 8)):
        for name, bit in (("ldaxp", "1"), ("ldxp", "0")):
            yield inst(
                f"{name} >{r}t, >{r}u, [xnsp]",
                f"1 {sz} 001000 0 1 1 11111 {bit} rt2 rn rt",
                _exclusive_pair(size),
                _SECTION,
            )
        for name, bit in (("stlxp", "1"), ("stxp", "0")):
            yield inst(f"{name} >wsu, {r}t, {r}t2, [xnsp]", f"1 {sz} 001000 0 0 1 rs {bit} rt2 rn rt",
                       _exclusive_pair_store(size), _SECTION, untested=_EXCLUSIVE)  # fmt: skip


def _exclusive_pair(size: int) -> _Meaning:
    def meaning(s: Machine, base: Term) -> tuple[Term, Term]:
        _aligned(s, base, 2 * size)
        return _two(s, base, size)

    return meaning


def _exclusive_pair_store(size: int) -> _Meaning:
    def meaning(s: Machine, one: Term, two: Term, base: Term) -> Term:
        _aligned(s, base, 2 * size)
        fails = s.undefined(1)
        s.store(base, b.concat(two, one), b.bnot(fails))
        return b.zext(fails, 32)

    return meaning


_ORDERS: Final = (("", "0", "0"), ("a", "1", "0"), ("l", "0", "1"), ("al", "1", "1"))
_UPDATES: Final[tuple[tuple[str, str, Callable[[Term, Term], Term]], ...]] = (
    ("ldadd", "0000", b.add), ("ldclr", "0001", lambda old, new: b.band(old, b.bnot(new))), ("ldeor", "0010", b.bxor),
    ("ldset", "0011", b.bor), ("ldsmax", "0100", b.smax), ("ldsmin", "0101", b.smin), ("ldumax", "0110", b.umax),
    ("ldumin", "0111", b.umin), ("swp", "1000", lambda old, new: new),
)  # fmt: skip


def _update(function: Callable[[Term, Term], Term], size: int, width: int) -> _Meaning:
    def meaning(s: Machine, value: Term, base: Term) -> Term:
        _aligned(s, base, size)
        old = s.load(base, size)
        s.store(base, function(old, b.trunc(value, 8 * size)))
        return b.zext(old, width)

    return meaning


def _compare_and_swap(size: int, width: int) -> _Meaning:
    def meaning(s: Machine, expected: Term, value: Term, base: Term) -> Term:
        _aligned(s, base, size)
        old = s.load(base, size)
        s.store(base, b.trunc(value, 8 * size), b.eq(old, b.trunc(expected, 8 * size)))
        return b.zext(old, width)

    return meaning


def _atomic() -> Iterator[Row]:
    for suffix, r, size, two in _ACCESSES:
        width = 64 if r == "x" else 32
        for order, acquire, release in _ORDERS:
            for name, four, function in _UPDATES:
                yield inst(f"{name}{order}{suffix} {r}s, >{r}t, [xnsp]",
                           f"{two} 111000 {acquire} {release} 1 rs {four} 00 rn rt", _update(function, size, width),
                           _SECTION, "lse")  # fmt: skip
            yield inst(f"cas{order}{suffix} +{r}s, {r}t, [xnsp]",
                       f"{two} 001000 1 {acquire} 1 rs {release} 11111 rn rt", _compare_and_swap(size, width), _SECTION,
                       "lse")  # fmt: skip
    for r, sz, size in (("w", "0", 4), ("x", "1", 8)):
        for order, acquire, release in _ORDERS:
            yield inst(f"casp{order} +{r}pair_s, {r}pair_t, [xnsp]",
                       f"0 {sz} 001000 0 {acquire} 1 rs {release} 11111 rn rt",
                       _compare_and_swap(2 * size, 16 * size), _SECTION, "lse")  # fmt: skip


# -- vectors


def _replicated(lane: int, lanes: int) -> _Meaning:
    def meaning(s: Machine, base: Term) -> Term:
        whole = b.scalar(b.splat(s.load(base, lane // 8), lanes))
        return b.zext(whole, 128)

    return meaning


def _structures() -> Iterator[Row]:
    for number, (arrangement, (lane, lanes)) in enumerate(ARRANGEMENTS.items()):
        yield inst(
            f"ld1r list_{arrangement}, [xnsp]",
            f"0 {number & 1} 0011010 1 0 00000 110 0 {number >> 1:02b} rn rt",
            _replicated(lane, lanes),
            _SECTION,
        )


def _rows() -> Iterator[Row]:
    yield from _single()
    yield from _pairs()
    yield from _ordered()
    yield from _atomic()
    yield from _structures()


ROWS: Final = tuple(_rows())
