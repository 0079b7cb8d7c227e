"""riscv64: vector moves, merges, slides, gathers, compression; instructions on masks.

Source: The RISC-V Instruction Set Manual, Volume I (20240411), 30.11.15, 30.11.16 (merge, move), 30.15 (masks), 30.16
(permutations).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from liftcheck.bits import build as b
from liftcheck.bits.floats import FORMATS
from liftcheck.bits.term import Term, const, packed_const
from liftcheck.isa.riscv64.insts.common import VECTOR, VLEN, Configuration
from liftcheck.isa.riscv64.insts.vconfig import (
    check_mask,
    configuration,
    elements,
    is_masked,
    mask_bits,
    mask_result,
    merged,
    refuse,
    unchanged_if_empty,
    vector,
    with_rest,
)
from liftcheck.isa.riscv64.insts.vinteger import SOURCES, other
from liftcheck.mach.rows.kinds import unboxed
from liftcheck.mach.rows.machine import Machine, NoMeaning
from liftcheck.mach.rows.row import Meaning, Row


def float_scalar(s: Machine, c: Configuration, value: Term) -> Term:
    """A float register's value in the format of an element."""
    if c.sew not in FORMATS:
        raise NoMeaning("floats of 8 bits")
    return value if c.sew == 64 else unboxed(value, c.sew, FORMATS[c.sew].nan)


def _merge(s: Machine, old: Term, vs2: Term, source: Term) -> Term:
    c = configuration(s)
    refuse(s.operands["vd"] == 0)
    new = float_scalar(s, c, source) if "fs1" in s.operands else source
    chosen = b.splat(new, c.lanes) if "fs1" in s.operands else other(c, new, c.sew)
    return merged(s, c, old, b.ite(mask_bits(s.read(VECTOR), c.lanes), chosen, elements(vs2, c.sew, c.lanes)), None)


def _move(s: Machine, old: Term, source: Term) -> Term:
    c = configuration(s)
    if "fs1" in s.operands:
        return merged(s, c, old, b.splat(float_scalar(s, c, source), c.lanes), None)
    return merged(s, c, old, other(c, source, c.sew), None)


def _moves() -> Iterator[Row]:
    for way in "VXI":
        minor, source, letter = SOURCES[way]
        field = "rs1" if source == "rs1" else "vs1"
        yield vector(
            f"vmerge.v{letter}m +vd, vs2, {source}, v0", f"010111 0 vs2 {field} {minor} vd 1010111", _merge, "30.11.15"
        )
        yield vector(f"vmv.v.{letter} +vd, {source}", f"010111 1 00000 {field} {minor} vd 1010111", _move, "30.11.16")
    yield vector("vfmerge.vfm +vd, vs2, fs1, v0", "010111 0 vs2 rs1 101 vd 1010111", _merge, "30.13.15")
    yield vector("vfmv.v.f +vd, fs1", "010111 1 00000 rs1 101 vd 1010111", _move, "30.13.16")
    yield vector("vmv.x.s rd, vs2", "010000 1 vs2 00000 010 rd 1010111", _to_x, "30.16.1")
    yield vector("vmv.s.x +vd, rs1", "010000 1 00000 rs1 110 vd 1010111", _first, "30.16.1")
    yield vector("vfmv.f.s fd, vs2", "010000 1 vs2 00000 001 rd 1010111", _to_f, "30.16.2")
    yield vector("vfmv.s.f +vd, fs1", "010000 1 00000 rs1 101 vd 1010111", _first, "30.16.2")
    yield vector("vmv1r.v vd, vs2", "100111 1 vs2 00000 011 vd 1010111", lambda s, a: a, "30.16.6")
    for count in (2, 4, 8):
        picture = f"100111 1 vs2 {count - 1:05b} 011 vd 1010111"
        yield vector(f"vmv{count}r.v vd, vs2", picture, _move_group(count), "30.16.6")


def _move_group(count: int) -> Meaning:
    def meaning(s: Machine, first: Term) -> Term:
        target, source = (int(str(s.operands[name])) for name in ("vd", "vs2"))
        refuse(bool(target % count or source % count))
        for k in range(1, count):
            s.write(VECTOR + target + k, s.read(VECTOR + source + k))
        return first

    return meaning


def _to_x(s: Machine, vs2: Term) -> Term:
    return b.sext(b.extract(vs2, 0, configuration(s).sew), 64)


def _to_f(s: Machine, vs2: Term) -> Term:
    c = configuration(s)
    if c.sew not in FORMATS:
        raise NoMeaning("floats of 8 bits")
    first = b.extract(vs2, 0, c.sew)
    return first if c.sew == 64 else b.concat(const(-1, 64 - c.sew), first)


def _first(s: Machine, old: Term, source: Term) -> Term:
    c = configuration(s)
    value = float_scalar(s, c, source) if "fs1" in s.operands else b.trunc(source, c.sew)
    return unchanged_if_empty(c, old, with_rest(s, c, old, value))


# -- permutations


def _gather(s: Machine, old: Term, vs2: Term, source: Term, vm: Term) -> Term:
    """Elements out of range are zero."""
    c = configuration(s)
    check_mask(s, vm)
    names = s.operands
    refuse(names["vd"] == names["vs2"] or names["vd"] == names.get("vs1", -1))
    table = elements(vs2, c.sew, c.lanes)
    if source.bits == VLEN:
        return merged(s, c, old, b.gather(table, elements(source, c.sew, c.lanes)), vm)
    small = b.ult(source, const(c.lanes, 64))
    index = b.ite(small, b.trunc(source, c.sew), const(-1, c.sew))
    picked = b.gather(table, b.splat(index, c.lanes))
    return merged(s, c, old, b.ite(small, picked, const(0, c.sew, c.lanes)), vm)


def _gather16(s: Machine, old: Term, vs2: Term, vs1: Term, vm: Term) -> Term:
    c = configuration(s)
    check_mask(s, vm)
    names = s.operands
    refuse(names["vd"] in (names["vs2"], names["vs1"]))
    if c.lanes * 16 > VLEN:
        raise NoMeaning("groups of vector registers")
    if c.lanes * 16 * 8 < VLEN:
        raise NoMeaning("less than an eighth of a register")
    table, indexes = elements(vs2, c.sew, c.lanes), elements(vs1, 16, c.lanes)
    wide = max(c.sew, 16)
    found = b.gather(b.zext(table, wide), b.zext(indexes, wide))
    return merged(s, c, old, b.trunc(found, c.sew), vm)


def _amount(c: Configuration, source: Term) -> Term:
    """How far: no more than there are elements, as an element."""
    limit = const(c.lanes, 64)
    return b.splat(b.trunc(b.umin(source, limit), c.sew), c.lanes)


def _numbers(c: Configuration) -> Term:
    return packed_const(sum(k << c.sew * k for k in range(c.lanes)), c.sew, c.lanes)


def _slide_down(s: Machine, old: Term, vs2: Term, source: Term, vm: Term) -> Term:
    c = configuration(s)
    check_mask(s, vm)
    found = b.gather(elements(vs2, c.sew, c.lanes), b.add(_numbers(c), _amount(c, source)))
    return merged(s, c, old, found, vm)


def _slide_up(s: Machine, old: Term, vs2: Term, source: Term, vm: Term) -> Term:
    """Elements below the amount stay, whatever the policy."""
    c = configuration(s)
    check_mask(s, vm)
    refuse(s.operands["vd"] == s.operands["vs2"])
    amount = _amount(c, source)
    found = b.gather(elements(vs2, c.sew, c.lanes), b.sub(_numbers(c), amount))
    stays = b.ult(_numbers(c), amount)
    before = elements(old, c.sew, c.lanes)
    result = merged(s, c, old, b.ite(stays, before, found), vm)
    if vm is not None and is_masked(vm) and c.vl:
        low = b.ite(stays, before, elements(result, c.sew, c.lanes))
        result = (
            b.concat(b.extract(result, low.bits, VLEN - low.bits), b.scalar(low)) if low.bits < VLEN else b.scalar(low)
        )
    return result


def _slide_one(up: bool) -> Meaning:
    def meaning(s: Machine, old: Term, vs2: Term, source: Term, vm: Term) -> Term:
        c = configuration(s)
        check_mask(s, vm)
        refuse(up and s.operands["vd"] == s.operands["vs2"])
        new = float_scalar(s, c, source) if "fs1" in s.operands else b.trunc(source, c.sew)
        lanes = elements(vs2, c.sew, c.lanes)
        last = max(c.vl, 1) - 1
        if up:
            order = [c.lanes, *range(c.lanes - 1)]
        else:
            order = [c.lanes if k == last else min(k + 1, c.lanes - 1) for k in range(c.lanes)]
        return merged(s, c, old, b.permute((lanes, new), order), vm)

    return meaning


def _compress(s: Machine, old: Term, vs2: Term, vs1: Term) -> Term:
    """The elements that the mask has, close together; what follows them is tail."""
    c = configuration(s)
    refuse(s.operands["vd"] in (s.operands["vs2"], s.operands["vs1"]))
    before, tail = elements(old, c.sew, c.lanes), None
    if c.tail_agnostic:
        tail = b.shape(s.undefined(c.sew * c.lanes), c.sew, c.lanes)
    out = [b.pick(tail if tail is not None else before, k) for k in range(c.lanes)]
    count = const(0, 8)
    for k in range(c.vl):
        has = b.extract(vs1, k, 1)
        for place in range(k + 1):
            here = b.band(has, b.eq(count, const(place, 8)))
            out[place] = b.ite(here, b.extract(vs2, k * c.sew, c.sew), out[place])
        count = b.add(count, b.zext(has, 8))
    result = b.permute(out, range(c.lanes))
    return unchanged_if_empty(c, old, with_rest(s, c, old, b.scalar(result)))


def _permutations() -> Iterator[Row]:
    for way in "VXU":
        minor, source, letter = SOURCES[way]
        field = "rs1" if source == "rs1" else "vs1"
        yield vector(
            f"vrgather.v{letter} +vd, vs2, {source}{{, vm}}",
            f"001100 vm vs2 {field} {minor} vd 1010111",
            _gather,
            "30.16.4",
        )
        if way != "V":
            for six, name, meaning in (("001110", "vslideup", _slide_up), ("001111", "vslidedown", _slide_down)):
                yield vector(f"{name}.v{letter} +vd, vs2, {source}{{, vm}}", f"{six} vm vs2 {field} {minor} vd 1010111",
                             meaning, "30.16.3")  # fmt: skip
    yield vector("vrgatherei16.vv +vd, vs2, vs1{, vm}", "001110 vm vs2 vs1 000 vd 1010111", _gather16, "30.16.4")
    for name, minor, source, letter in (("vslide1", "110", "rs1", "x"), ("vfslide1", "101", "fs1", "f")):
        for six, way in (("001110", "up"), ("001111", "down")):
            yield vector(f"{name}{way}.v{letter} +vd, vs2, {source}{{, vm}}", f"{six} vm vs2 rs1 {minor} vd 1010111",
                         _slide_one(way == "up"), "30.16.3")  # fmt: skip
    yield vector("vcompress.vm +vd, vs2, vs1", "010111 1 vs2 vs1 010 vd 1010111", _compress, "30.16.5")


# -- masks

_LOGIC: Final[tuple[tuple[str, str, Callable[[Term, Term], Term]], ...]] = (
    ("011000", "vmandn", lambda a, c: b.band(a, b.bnot(c))), ("011001", "vmand", b.band), ("011010", "vmor", b.bor),
    ("011011", "vmxor", b.bxor), ("011100", "vmorn", lambda a, c: b.bor(a, b.bnot(c))),
    ("011101", "vmnand", lambda a, c: b.bnot(b.band(a, c))), ("011110", "vmnor", lambda a, c: b.bnot(b.bor(a, c))),
    ("011111", "vmxnor", lambda a, c: b.bnot(b.bxor(a, c))),
)  # fmt: skip


def _logic(function: Callable[[Term, Term], Term]) -> Meaning:
    def meaning(s: Machine, old: Term, vs2: Term, vs1: Term) -> Term:
        c = configuration(s)
        return mask_result(s, c, old, function(mask_bits(vs2, c.lanes), mask_bits(vs1, c.lanes)), None)

    return meaning


def _active(s: Machine, c: Configuration, vs2: Term, vm: Term) -> list[Term]:
    """The bits of a mask in the body, those that v0 leaves out as zero."""
    bits = [b.extract(vs2, k, 1) for k in range(c.vl)]
    return [b.band(bit, b.extract(s.read(VECTOR), k, 1)) for k, bit in enumerate(bits)] if is_masked(vm) else bits


def _count(s: Machine, vs2: Term, vm: Term) -> Term:
    total = const(0, 64)
    for bit in _active(s, configuration(s), vs2, vm):
        total = b.add(total, b.zext(bit, 64))
    return total


def _find(s: Machine, vs2: Term, vm: Term) -> Term:
    found = const(-1, 64)
    for k, bit in reversed(list(enumerate(_active(s, configuration(s), vs2, vm)))):
        found = b.ite(bit, const(k, 64), found)
    return found


def _set_first(name: str) -> Meaning:
    """Bits before the first set one, up to it, that one alone."""

    def meaning(s: Machine, old: Term, vs2: Term, vm: Term) -> Term:
        c = configuration(s)
        check_mask(s, vm)
        refuse(s.operands["vd"] == s.operands["vs2"])
        seen, out = const(0, 1), []
        for bit in _active(s, c, vs2, vm):
            after = b.bor(seen, bit)
            out.append({"vmsbf": b.bnot(after), "vmsif": b.bnot(seen), "vmsof": b.band(bit, b.bnot(seen))}[name])
            seen = after
        padding = [const(0, 1)] * (c.lanes - len(out))
        return mask_result(s, c, old, b.permute([*out, *padding], range(c.lanes)), vm)

    return meaning


def _iota(s: Machine, old: Term, vs2: Term, vm: Term) -> Term:
    c = configuration(s)
    check_mask(s, vm)
    refuse(s.operands["vd"] == s.operands["vs2"])
    total, out = const(0, c.sew), []
    for bit in _active(s, c, vs2, vm):
        out.append(total)
        total = b.add(total, b.zext(bit, c.sew))
    padding = [const(0, c.sew)] * (c.lanes - len(out))
    return merged(s, c, old, b.permute([*out, *padding], range(c.lanes)), vm)


def _identity(s: Machine, old: Term, vm: Term) -> Term:
    c = configuration(s)
    check_mask(s, vm)
    return merged(s, c, old, _numbers(c), vm)


def _masks() -> Iterator[Row]:
    for six, name, function in _LOGIC:
        yield vector(f"{name}.mm +vd, vs2, vs1", f"{six} 1 vs2 vs1 010 vd 1010111", _logic(function), "30.15.1")
    yield vector("vcpop.m rd, vs2{, vm}", "010000 vm vs2 10000 010 rd 1010111", _count, "30.15.2")
    yield vector("vfirst.m rd, vs2{, vm}", "010000 vm vs2 10001 010 rd 1010111", _find, "30.15.3")
    for number, name in (("00001", "vmsbf"), ("00011", "vmsif"), ("00010", "vmsof")):
        yield vector(
            f"{name}.m +vd, vs2{{, vm}}", f"010100 vm vs2 {number} 010 vd 1010111", _set_first(name), "30.15.4"
        )
    yield vector("viota.m +vd, vs2{, vm}", "010100 vm vs2 10000 010 vd 1010111", _iota, "30.15.8")
    yield vector("vid.v +vd{, vm}", "010100 vm 00000 10001 010 vd 1010111", _identity, "30.15.9")


ROWS: Final = (*_moves(), *_permutations(), *_masks())
