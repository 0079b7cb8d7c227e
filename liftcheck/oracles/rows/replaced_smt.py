"""Code that stands for an instruction (a thunk) does what the instruction's row says: proven, for all states.

The one idea: both are lifted as functions that return (`mach/lift`), from the same state of variables. On each path of
the replacement every register and flag, slice by slice, is the same term as the instruction gives; what is not the
same in normal form is asked of z3, in parts where it gives up on the whole. Arithmetic on floats and products are
unknown functions of their operands there; comparisons, signs and classes are exact. What z3 finds is computed again by
the terms themselves: an input for which they do not differ refutes nothing.

A bit that the row leaves undefined is one that is not the same with all of its undefined bits zero and all of them
one; what the replacement leaves undefined may be anything. Memory: the same accesses, in their order; the replacement
stores in the frame alone, below the stack pointer. Assumed: docs/lifting.md (the frame is apart from data).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from random import Random
from typing import Any, Final, NamedTuple

import z3

from liftcheck.bits import build as b
from liftcheck.bits.concrete import closure
from liftcheck.bits.meaning import Meaning
from liftcheck.bits.prim import PRIMS
from liftcheck.bits.simplify import FALSE, joined, rebuilt, simplified, sliced
from liftcheck.bits.smt import to_z3
from liftcheck.bits.term import Term, const, postorder, term, var
from liftcheck.case import FunctionCode
from liftcheck.isa.base import isa_named
from liftcheck.mach.lift import lift, table_of
from liftcheck.mach.lift_memory import FRAME
from liftcheck.mach.lift_paths import End, Entry, Lifted
from liftcheck.mach.rows.machine import Place

EFFORT: Final = 4_000_000
"""z3's own count, so that what is proven does not depend on what else the machine does: some seconds."""
SLICE: Final = {64: 64, 128: 32}
"""Bits of a register that are compared at once, by its width: of vectors the lane of a short float."""
_ARITHMETIC: Final = frozenset(
    {"fadd", "fsub", "fmul", "fdiv", "fsqrt", "fma", "fceil", "ffloor", "ftrunc", "fnearest", "fconvert", "from_uint",
     "from_sint", "to_uint", "to_sint"}
)  # fmt: skip


class Frame(NamedTuple):
    """The places of the stack pointer and of the return address, and the code of a return."""

    stack: Place
    link: Place
    ret: bytes


class Verdict(NamedTuple):
    """kind: 'equal' (in normal form), 'proven' (by z3), 'different', 'undecided'; the detail says where, and why."""

    kind: str
    detail: str = ""


def verdict(
    isa: str, frame: Frame, instruction: bytes, replacement: bytes, leaving: frozenset[Place] = frozenset()
) -> Verdict:
    """Whether the replacement, which goes on right behind it, does what the instruction does. `leaving`: places that it
    is known to leave in another state."""
    alone = _lifted(isa, frame, instruction)
    made = _lifted(isa, frame, replacement)
    for name, lifted in (("the instruction", alone), ("the replacement", made)):
        reason = next((end.detail for end in lifted.ends if end.kind != "returned"), None)
        if reason is not None:
            return Verdict("undecided", f"{name}: {reason}")
    if len(alone.ends) != 1:
        return Verdict("undecided", "the instruction: it has several paths")
    names = _same_memory(alone, made)
    kinds = {"equal"}
    for end in made.ends:
        if _memory(end) != _memory(alone.ends[0]) or _leaves_frame(end):
            return Verdict("different", "its accesses to memory are others")
        for claim in _claims(isa, alone, end, names, leaving):
            found = _holds(claim)
            kinds.add(found.kind)
            if found.kind not in ("equal", "proven"):
                return Verdict(found.kind, f"{claim.where}: {found.detail}")
    return Verdict("proven" if "proven" in kinds else "equal")


def _lifted(isa: str, frame: Frame, code: bytes) -> Lifted:
    back = joined(var("return address", 63), const(0, 1))
    entry = Entry({frame.link: back}, table_of(isa).registers.variable(frame.stack), back)
    return lift(isa, FunctionCode("%code", code + frame.ret), entry)


def _memory(end: End) -> list[tuple[Term, int, bool]]:
    return [(access.address, access.size, access.stored) for access in end.accesses]


def _leaves_frame(end: End) -> bool:
    """Whether it stores above the stack pointer, where the frame of the code around it is."""
    stores = end.memory.areas[FRAME].stores if FRAME in end.memory.areas else ()
    return any(made.offset + made.size > 0 for made in stores)


def _same_memory(alone: Lifted, made: Lifted) -> dict[Term, Term]:
    """New names for the replacement's variables of initial memory and of undefined bits."""
    known = {(read.address, read.size): v for v, read in alone.reads.of.items()}
    names = {v: var(f"its undefined {v.params[0]}", v.bits) for v in made.undefined}
    for v, read in made.reads.of.items():
        names[v] = known.get((read.address, read.size)) or var(f"its {v.params[0]}", v.bits)
    return names


class Claim(NamedTuple):
    """Where the conditions of a path hold, no bit of `differs` is one."""

    where: str
    conditions: tuple[Term, ...]
    differs: Term


def _claims(
    isa: str, alone: Lifted, end: End, names: Mapping[Term, Term], leaving: frozenset[Place]
) -> Iterator[Claim]:
    """Of each place, slice by slice."""
    registers, usual = table_of(isa).registers, alone.ends[0]
    conditions = tuple(_with(condition, names) for condition in end.conditions)
    zeros = {v: const(0, v.bits) for v in alone.undefined}
    ones = {v: const(-1, v.bits) for v in alone.undefined}
    for place in end.state.keys() - leaving:
        said, done = usual.value(place), end.value(place)
        width = registers.width(place)
        step = SLICE.get(width, width)
        for low in range(0, width, step):
            one, other = _by_lanes(sliced(said, low, step)), _with(_by_lanes(sliced(done, low, step)), names)
            first, last = _with(one, zeros), _with(one, ones)
            if first is not other:
                open_bits = simplified(b.bxor(first, last))
                differs = simplified(b.band(simplified(b.bxor(first, other)), simplified(b.bnot(open_bits))))
                yield Claim(f"{registers.name(place)} from bit {low}", conditions, differs)


def _holds(claim: Claim) -> Verdict:
    """By the conditions that are of the same bits as the difference, which are the same on many paths; by all, if that
    is not enough; of each half, if that is too much."""
    about = _atoms(claim.differs)
    near = tuple(c for c in claim.conditions if _meets(_atoms(c), about))
    found = _decided(_failing(near, claim.differs))
    if found.kind not in ("equal", "proven") and len(near) < len(claim.conditions):
        found = _decided(_failing(claim.conditions, claim.differs))
    width = claim.differs.bits
    if found == GIVES_UP and width > 1:
        for low in (0, width // 2):
            found = _holds(claim._replace(differs=sliced(claim.differs, low, width // 2)))
            if found.kind not in ("equal", "proven"):
                break
    return found


def _failing(conditions: tuple[Term, ...], differs: Term) -> Term:
    """The term of one bit that is never to hold."""
    found = simplified(b.nonzero(differs))
    for condition in conditions:
        found = simplified(b.band(found, condition))
    return found


@lru_cache(maxsize=1 << 12)
def _atoms(root: Term) -> frozenset[tuple[Term, int, int]]:
    """The bits that a term depends on: a variable, from, to."""
    found, waiting, seen = set(), [root], set()
    while waiting:
        node = waiting.pop()
        if node in seen:
            continue
        seen.add(node)
        if node.prim == "var":
            found.add((node, 0, node.bits))
        elif node.prim == "extract" and node.args[0].prim == "var":
            (low,) = node.params
            assert isinstance(low, int)
            found.add((node.args[0], low, low + node.bits))
        else:
            waiting += node.args
    return frozenset(found)


def _meets(some: frozenset[tuple[Term, int, int]], others: frozenset[tuple[Term, int, int]]) -> bool:
    return any(v is w and low < end and first < high for v, low, high in some for w, first, end in others)


def _with(root: Term, names: Mapping[Term, Term]) -> Term:
    """The term with others for some variables, in normal form."""
    return _changed(root, lambda node: names.get(node)) if names else root


def _changed(root: Term, change: Callable[[Term], Term | None]) -> Term:
    made: dict[Term, Term] = {}
    for node in postorder((root,)):
        found = change(node)
        made[node] = rebuilt(node, tuple(made[a] for a in node.args)) if found is None else found
    return made[root]


GIVES_UP: Final = Verdict("undecided", "z3 gives up")
NO_DIFFERENCE: Final = Verdict("undecided", "what z3 finds is not a difference: it models neither products nor floats")
DRAWS: Final = 300


@lru_cache(maxsize=1 << 12)
def _decided(obligation: Term) -> Verdict:
    """Whether a term of one bit never holds."""
    if obligation is FALSE:
        return Verdict("equal")
    asked = _without_arithmetic(obligation)
    variables = {t: z3.BitVec(f"{number} {t.params[0]}", t.bits) for number, t in enumerate(_variables(asked))}
    solver = z3.Solver()
    solver.set("rlimit", EFFORT)
    solver.add(to_z3(asked, variables) == 1)
    answer = solver.check()
    if answer == z3.unsat:
        return Verdict("proven")
    if answer == z3.unknown:
        return GIVES_UP
    return _shown(obligation, variables, solver.model())


def _variables(root: Term) -> list[Term]:
    return [t for t in postorder((root,)) if t.prim == "var"]


def _without_arithmetic(root: Term) -> Term:
    """Each operation of floats, lane by lane, and each product, as a variable: the same operands give the same one.
    Products are those of unsigned numbers, of twice the width."""
    known: dict[Term, Term] = {}

    def unknown(node: Term) -> Term:
        return known.setdefault(node, var(f"unknown {len(known)}", node.bits))

    def change(node: Term) -> Term | None:
        if node.prim in _ARITHMETIC:
            found = [unknown(_lane(node, k)) for k in range(node.lanes)]
            whole = found[0]
            for above in found[1:]:
                whole = joined(above, whole)
            return b.shape(whole, node.lane, node.lanes)
        factors = _factors(node)
        if factors is None:
            return None
        a, c, are_signed = factors
        plain = unknown(b.mul(*sorted((b.zext(a, 2 * a.bits), b.zext(c, 2 * a.bits)), key=id)))
        return b.trunc(signed_product(plain, a, c) if are_signed else plain, node.bits)

    return _changed(root, change)


@lru_cache(maxsize=1 << 10)
def _by_lanes(root: Term) -> Term:
    """With operations of one lane where only that is taken out of a vector."""

    def change(node: Term) -> Term | None:
        if node.prim != "permute" or node.lanes > 1 or len(node.args) > 1 or not isinstance(node.params[0], int):
            return None
        return _lane(node.args[0], node.params[0]) if node.params[0] >= 0 else None

    return _changed(root, change)


def _lane(node: Term, number: int) -> Term:
    """One lane of a term, by the lanes of its operands where they are computed one by one."""
    if node.lanes == 1:
        return node
    if PRIMS[node.prim].lanewise:
        return rebuilt(term(node.prim, node.lane, 1, node.params, args := _lanes(node, number)), args)
    if node.prim == "splat":
        return node.args[0]
    return sliced(simplified(b.shape(node, node.bits, 1)), node.lane * number, node.lane)


def _lanes(node: Term, number: int) -> tuple[Term, ...]:
    return tuple(_lane(a, number) for a in node.args)


def _factors(node: Term) -> tuple[Term, Term, bool] | None:
    """The factors of a product, and whether they are signed: of twice their width, or of their own (its low half)."""
    if node.prim != "mul" or node.lanes != 1 or any(a.prim == "const" for a in node.args):
        return None
    a, c = node.args
    for kind in ("zext", "sext"):
        if a.prim == c.prim == kind and a.args[0].bits == c.args[0].bits == node.bits // 2:
            return a.args[0], c.args[0], kind == "sext"
    return a, c, False


def signed_product(unsigned: Term, a: Term, c: Term) -> Term:
    """The product of two numbers as signed ones, of twice their width, by that of the same bits as unsigned ones."""
    none = const(0, a.bits)
    high = b.add(b.ite(b.slt(a, none), c, none), b.ite(b.slt(c, none), a, none))
    return b.sub(unsigned, b.concat(high, none))


def _shown(obligation: Term, variables: Mapping[Term, Any], model: Any) -> Verdict:
    """The model's input, if the terms themselves differ for it, or one that is drawn."""
    inputs = _variables(obligation)
    run = closure(Meaning(tuple(inputs), (obligation, obligation)))
    found = [model.eval(variables[t], model_completion=True).as_long() if t in variables else 0 for t in inputs]
    draw = Random(1)
    for _ in range(DRAWS):
        if run(*found)[0]:
            given = ", ".join(f"{t.params[0]} = {value:#x}" for t, value in zip(inputs, found))
            return Verdict("different", given)
        found = [draw.choice((draw.getrandbits(t.bits), draw.getrandbits(8))) for t in inputs]
    return NO_DIFFERENCE


def frame_of(isa: str, stack: Place, link: Place) -> Frame:
    """The frame of an ISA's functions."""
    return Frame(stack, link, bytes.fromhex(isa_named(isa).ret))


__all__ = ["Frame", "Verdict", "frame_of", "verdict"]
