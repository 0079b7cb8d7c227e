"""Values of CLIF's types in memory of terms, and what an instruction accesses there.

The one idea: memory (`mach.lift_memory`) has numbers in the machine's byte order; a vector lies with lane 0 first, each
lane in the access's byte order, so a value is a number with its lanes put in that order.
Source: `interp.memory`, which says the same of bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from typing import NamedTuple

from liftcheck.bits import build
from liftcheck.bits.simplify import TRUE, joined, normal, simplified, sliced
from liftcheck.bits.term import Term, const
from liftcheck.clif.ir import Inst
from liftcheck.clif.opcodes import OPCODES
from liftcheck.clif.semantics.meaning import meaning
from liftcheck.clif.types import Type
from liftcheck.mach.lift_memory import Undecided, located
from liftcheck.mach.lift_paths import Path
from liftcheck.mach.transfer import over


class Order(NamedTuple):
    """The byte orders of the machine and of an access."""

    big_machine: bool
    big: bool


def value(number: Term, ty: Type, order: Order) -> Term:
    """The value of a type that a number of memory is."""
    return normal(build.shape(_laid(number, ty, order), ty.lane_bits, ty.lanes))


def number(term: Term, ty: Type, order: Order) -> Term:
    """The number that memory holds for a value."""
    return _laid(normal(build.scalar(term)), ty, order)


def _laid(whole: Term, ty: Type, order: Order) -> Term:
    """From a number to a value's lanes and back: both turn the same."""
    if order.big_machine == order.big and (not order.big or ty.lanes == 1):
        return whole
    width = ty.lane_bits
    lanes = [_turned(sliced(whole, width * lane, width), order) for lane in range(ty.lanes)]
    # A big-endian machine's number has the first byte, so lane 0, on top; `joined` takes the upper part first.
    return reduce(joined, lanes if order.big_machine else lanes[::-1])


def _turned(lane: Term, order: Order) -> Term:
    return simplified(build.bswap(lane)) if order.big_machine != order.big and lane.lane > 8 else lane


def demand(path: Path, address: Term, size: int) -> None:
    """From here on an address is a multiple of a size: of others the program means nothing."""
    if size == 1:
        return
    low = sliced(address, 0, size.bit_length() - 1)
    aligned = simplified(build.eq(low, const(0, low.lane)))
    if path.decided(aligned):
        return
    other = path.copy()
    other.assume(simplified(build.bnot(aligned)))
    other.end("open", "an address that is not aligned")
    path.assume(aligned)


def load(path: Path, inst: Inst, address: Term, ty: Type, order: Order) -> Term:
    """What a load gives."""
    access = OPCODES[inst.op].access
    inside = ty if access is None else access.type_in_memory(ty)
    found = value(path.load(address, inside.bytes, TRUE), inside, order)
    if access is None or not access.extension:
        return found
    return normal((build.sext if access.extension == "s" else build.zext)(found, ty.lane_bits))


def store(path: Path, inst: Inst, address: Term, term: Term, ty: Type, order: Order) -> None:
    """Puts a value there, or its low bits."""
    access = OPCODES[inst.op].access
    inside = ty if access is None else access.type_in_memory(ty)
    narrow = normal(build.trunc(term, inside.lane_bits)) if inside.lane_bits < ty.lane_bits else term
    path.store(address, number(narrow, inside, order), TRUE)


def atomic(path: Path, inst: Inst, args: Sequence[Term], ty: Type, order: Order) -> tuple[Term, ...]:
    """The results of an atomic access, which nobody interrupts."""
    demand(path, args[1] if inst.op == "atomic_store" else args[0], ty.bytes)
    if inst.op == "atomic_store":
        path.store(args[1], number(args[0], ty, order), TRUE)
        return ()
    old = value(path.load(args[0], ty.bytes, TRUE), ty, order)
    if inst.op == "atomic_rmw":
        what = meaning("atomic_rmw_op", ty, (ty, ty), (ty,), inst.imm)
        new = over(what.results[0], what.inputs)(old, args[1])
        path.store(args[0], number(new, ty, order), TRUE)
    elif inst.op == "atomic_cas":
        same = simplified(build.eq(old, args[1]))
        path.store(args[0], number(args[2], ty, order), same)
    return (old,)


def address(base: Term, offset: int) -> Term:
    """Where an access is."""
    if base.lane != 64:
        raise Undecided("an address of 32 bits")
    return located(base, offset)
