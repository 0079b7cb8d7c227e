"""riscv64: what vector instructions share: the configuration, elements, masks and tails; and what sets the
configuration.

The one idea: a meaning sees lanes: elements of a width that depends on the configuration, which has to be known
(`Machine. context`, a `Configuration`). What is not written, tail elements and those that a mask leaves out, is
undefined if the configuration says agnostic (the manual allows the old value and all ones), else the old value.
Said for VLEN = 128 and LMUL of 1 or less, where an operand is one register at most; groups have no meaning here.
Fixed-point rounding is to nearest, up (vxrm = 0), the mode that every function is entered in.
Source: The RISC-V Instruction Set Manual, Volume I (20240411), 30.3 (state), 30.5.2 (overlap), 30.5.3 (masks), 30.6
(vset).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Final

from liftcheck.bits import build as b
from liftcheck.bits.concrete import evaluate
from liftcheck.bits.term import Term, const, packed_const, value_of
from liftcheck.errors import AssemblyError
from liftcheck.isa.riscv64.insts.common import FIELDS, KINDS, REGISTERS, VECTOR, VLEN, Configuration, most
from liftcheck.mach.rows.encoding import Fields, word
from liftcheck.mach.rows.kinds import Kind, Value
from liftcheck.mach.rows.machine import Effects, Machine, NoMeaning
from liftcheck.mach.rows.row import Meaning, Row
from liftcheck.mach.rows.syntax import syntax
from liftcheck.mach.rows.table import Lifted, variables

_GROUPS: Final = ("m1", "m2", "m4", "m8", "", "mf8", "mf4", "mf2")


def configuration(s: Machine, width: int = 0) -> Configuration:
    """The configuration, of LMUL 1 at most; NoMeaning if it is not known. `width`: bits of the widest operand's
    element, as multiples of SEW."""
    if not isinstance(s.context, Configuration) or s.context.vl < 0:
        raise NoMeaning("the vector configuration is not known")
    c = s.context
    if not c.lanes:
        raise NoMeaning("a vector configuration that there is not")
    if c.lanes * c.sew * max(width, 1) > VLEN or (width == 2 and c.sew == 64):
        raise NoMeaning("groups of vector registers")
    return c


def elements(raw: Term, width: int, lanes: int) -> Term:
    """The first elements of a register."""
    return b.shape(b.extract(raw, 0, width * lanes), width, lanes)


def mask_bits(raw: Term, lanes: int) -> Term:
    """The first bits of a mask register as truth values."""
    return b.shape(b.extract(raw, 0, lanes), 1, lanes)


def _constant_mask(vl: int, lanes: int) -> Term:
    return packed_const((1 << vl) - 1, 1, lanes)


def refuse(condition: bool) -> None:
    """What is reserved has no meaning."""
    if condition:
        raise NoMeaning("a reserved choice of registers")


def is_masked(vm: Term) -> bool:
    """Whether the instruction is under the mask v0."""
    return not value_of(vm)


def check_mask(s: Machine, vm: Term) -> None:
    """The destination of a masked instruction is not the mask."""
    refuse(is_masked(vm) and s.operands.get("vd") == 0)


def merged(s: Machine, c: Configuration, old: Term, result: Term, vm: Term | None) -> Term:
    """The destination register: `result` (its lanes) where active, and what the configuration says elsewhere."""
    width, lanes = result.lane, result.lanes
    whole = c.vl >= lanes and lanes * width == VLEN
    if whole and (vm is None or not is_masked(vm)):
        return b.scalar(result)
    before = elements(old, width, lanes)
    if vm is not None and is_masked(vm):
        kept = _open(s, width, lanes) if c.mask_agnostic else before
        result = b.ite(mask_bits(s.read(VECTOR), lanes), result, kept)
    if c.vl < lanes:
        tail = _open(s, width, lanes) if c.tail_agnostic else before
        result = b.ite(_constant_mask(c.vl, lanes), result, tail)
    return with_rest(s, c, old, b.scalar(result))


def with_rest(s: Machine, c: Configuration, old: Term, low: Term) -> Term:
    """A register whose low bits are these; the others are tail."""
    rest = VLEN - low.bits
    if not rest:
        return low
    return b.concat(s.undefined(rest) if c.tail_agnostic else b.extract(old, low.bits, rest), low)


def _open(s: Machine, width: int, lanes: int) -> Term:
    return b.shape(s.undefined(width * lanes), width, lanes)


def mask_result(s: Machine, c: Configuration, old: Term, bits: Term, vm: Term | None) -> Term:
    """The destination of an instruction that makes a mask: its tail is always agnostic."""
    lanes = bits.lanes
    if vm is not None and is_masked(vm):
        kept = _open(s, 1, lanes) if c.mask_agnostic else mask_bits(old, lanes)
        bits = b.ite(mask_bits(s.read(VECTOR), lanes), bits, kept)
    vl = min(c.vl, lanes)
    if not vl:
        return old
    return b.concat(s.undefined(VLEN - vl), b.extract(b.scalar(bits), 0, vl)) if vl < VLEN else b.scalar(bits)


def unchanged_if_empty(c: Configuration, old: Term, new: Term) -> Term:
    """Nothing is written where vl is 0."""
    return new if c.vl else old


# -- rows


def vector(template: str, picture: str, meaning: Meaning, section: str, needs: str = "v", untested: str = "") -> Row:
    """A row of a vector instruction."""
    return Row(syntax(template, KINDS_V), word(picture, FIELDS, "little"), meaning, section, needs, untested)


class VectorType(Kind):
    """The immediate of vsetvli, vsetivli: e32, m1, ta, ma."""

    pattern = r"e\d+,\s*mf?\d,\s*t[au],\s*m[au]"
    _text: Final = re.compile(r"e(8|16|32|64),\s*(mf?\d),\s*t([au]),\s*m([au])")

    def decode(self, fields: Fields) -> Value:
        value = fields["vtypei"]
        return value if most(value) else None

    def encode(self, value: Value) -> Mapping[str, int]:
        return {"vtypei": value}

    def show(self, value: Value) -> str:
        tail, mask = "ua"[value >> 6 & 1], "ua"[value >> 7 & 1]
        return f"e{8 << (value >> 3 & 7)}, {_GROUPS[value & 7]}, t{tail}, m{mask}"

    def parse(self, text: str) -> Value:
        found = self._text.fullmatch(text)
        if found is None or found[2] not in _GROUPS:
            raise AssemblyError(f"{text!r} is not a vector type: e8 … e64, mf8 … m8, ta or tu, ma or mu")
        width = int(found[1]).bit_length() - 4
        return _GROUPS.index(found[2]) | width << 3 | (found[3] == "a") << 6 | (found[4] == "a") << 7

    def read(self, machine: Machine, value: Value) -> Term:
        return const(value, 64)


KINDS_V: Final[Mapping[str, Kind]] = {**KINDS, "vtypei": VectorType()}


def _set(avl_is_register: bool) -> Callable[..., Term]:
    def meaning(s: Machine, avl: Term, vtype: Term) -> Term:
        limit = const(most(value_of(vtype)), 64)
        s.write("vtype", vtype)
        named = (s.operands["rd"], s.operands["rs1"]) if avl_is_register else (1, 1)
        if named == (0, 0):
            return s.read("vl")
        length = limit if named[1] == 0 else b.umin(avl, limit)
        s.write("vl", length)
        return length

    return meaning


_UNSEEN: Final = "vl and vtype are not in a record"


def configuring() -> tuple[Row, ...]:
    """vsetvli, vsetivli; vsetvl takes vtype from a register, so it has no meaning here."""
    return (
        vector("vsetvli rd, rs1, vtypei", "0 vtypei:11 rs1 111 rd 1010111", _set(True), "30.6", untested=_UNSEEN),
        vector("vsetivli rd, uimm5, vtypei", "11 vtypei:10 rs1 111 rd 1010111", _set(False), "30.6", untested=_UNSEEN),
        vector("vsetvl rd, rs1, rs2", "1000000 rs2 rs1 111 rd 1010111", _by_register, "30.6", untested=_UNSEEN),
    )


def _by_register(s: Machine, avl: Term, vtype: Term) -> Term:
    raise NoMeaning("a vector type out of a register")


def after(lifted: Lifted, before: object) -> object:
    """The context after an instruction: what it sets, where that is a number; after a call it is not known."""
    c = before if isinstance(before, Configuration) else Configuration()
    effects = lifted.effects
    if effects is None:
        return Configuration() if lifted.decoded.instruction.name.startswith("vset") else before
    if any(jump.kind == "call" for jump in effects.jumps):
        return Configuration()
    if c.saved in effects.writes:
        c = c._replace(saved=-1)
    if "vtype" in effects.writes:
        length = effects.writes.get("vl")
        vl = c.vl if length is None else -1 if variables([length]) else evaluate(length)
        c = c._replace(vl=vl, vtype=value_of(effects.writes["vtype"]) if vl >= 0 else -1)
    return _mode_after(c, effects) if "frm" in effects.writes else c


def _mode_after(c: Configuration, effects: Effects) -> Configuration:
    """The mode that was written: a number, or that of the function's entry, out of the register that keeps it."""
    frm, entry = REGISTERS.variable("frm"), effects.writes["frm"]
    keeper = next(
        (place for place, term in effects.writes.items() if place != "frm" and variables([term]) == [frm]), -1
    )
    if not variables([entry]):
        saved = keeper if c.frm == 0 and isinstance(keeper, int) else c.saved
        return c._replace(frm=evaluate(entry), saved=saved)
    restores = c.saved >= 0 and variables([entry]) == [REGISTERS.variable(c.saved)]
    return c._replace(frm=0 if restores else -1)
