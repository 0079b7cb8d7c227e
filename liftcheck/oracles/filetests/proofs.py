"""By what a fault of the compiler's that has a page is told from another one: registers, refusals, panics.

The one idea: a proof, not a list of names. A register that comes back changed is ABI damage whatever the results. Where
the compiler's words have to do, they are not enough: a panic's words and place are shared by many faults
(`Option::unwrap()` on None), so each row also asks for what the page blames: opcodes, the types that they
are on, instructions that the mid-end makes others of. A new fault in the same place then stays a failure.

Which page is told by what: `pages.py`. Results that are wrong: `faults.py`, by the fault as a program, and `mends.py`,
by what takes it away.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import NamedTuple

from liftcheck.case import CompileFailure
from liftcheck.clif.ir import Function, Inst
from liftcheck.clif.types import F16, I128, Type


class Register(NamedTuple):
    """This callee-saved register comes back changed."""

    name: str


class Illegal(NamedTuple):
    """Such instructions are in the code of a function that the target lacks, and this holds for the function."""

    words: str
    holds: Callable[[Function], bool]


class Refused(NamedTuple):
    """The compiler says so of a wrong refusal, and the program has an instruction that the mid-end makes that of."""

    words: str
    becomes: Callable[[Function, Inst, Mapping[int, Inst], re.Match[str]], bool]


class Panic(NamedTuple):
    """What a panic says with its place; the opcodes of which the program has all (none: any), on a value of such a
    type; the fault's name."""

    words: str
    ops: frozenset[str]
    on: Callable[[Type], bool]
    name: str


def is_refused(proof: Refused, function: Function, failure: CompileFailure) -> bool:
    """Whether a wrong refusal is this one."""
    match = re.match(proof.words, failure.reason)
    made = {value: inst for block in function.blocks for inst in block.insts for value in inst.results}
    return match is not None and any(proof.becomes(function, inst, made, match) for inst in made.values())


def is_illegal(proof: Illegal, function: Function, failure: CompileFailure) -> bool:
    """Whether code that the target cannot execute is this one."""
    return re.match(proof.words, failure.reason) is not None and proof.holds(function)


def has_panicked(proof: Panic, function: Function, failure: CompileFailure) -> bool:
    """Whether a panic is this one."""
    words = f"{failure.message or failure.reason} {failure.place}"
    return re.search(proof.words, words, re.DOTALL) is not None and _holds(function, proof)


def _holds(function: Function, proof: Panic) -> bool:
    """Whether the program has the row's opcodes, and one of them (any, if there are none) touches such a type."""
    insts = [inst for block in function.blocks for inst in block.insts if not proof.ops or inst.op in proof.ops]
    if not proof.ops <= {inst.op for inst in insts}:
        return False
    touched = {
        function.types[function.aliases.get(value, value)] for inst in insts for value in (*inst.args, *inst.results)
    }
    return any(map(proof.on, touched))


def is_min_max(function: Function, inst: Inst, made: Mapping[int, Inst], _said: re.Match[str]) -> bool:
    """A select between the i128 operands of its own comparison."""
    names = [function.aliases.get(value, value) for value in inst.args]
    if inst.op != "select" or function.types[inst.results[0]] != I128:
        return False
    compared = made.get(names[0])
    return (
        compared is not None
        and compared.op == "icmp"
        and ({function.aliases.get(value, value) for value in compared.args} == set(names[1:]))
    )


def is_made_scalar(function: Function, inst: Inst, made: Mapping[int, Inst], match: re.Match[str]) -> bool:
    """A conversion to lanes of f16, where the compiler refuses one to the scalar, which the program has nowhere: the
    mid-end made it, of lanes that it knows to be equal (a splat, a constant, `x ^ x`)."""
    ty = function.types[inst.results[0]]
    scalars = {function.types[other.results[0]] for other in made.values() if other.op == inst.op}
    return inst.op == match[1] and ty.is_vector and ty.lane == F16 and F16 not in scalars


def is_mask(function: Function, inst: Inst, made: Mapping[int, Inst], _said: re.Match[str]) -> bool:
    """A vector of 64 bits or less, shifted right and then left: the mid-end makes that a mask."""
    if inst.op != "ishl" or not half_vector(function.types[inst.results[0]]):
        return False
    before = made.get(function.aliases.get(inst.args[0], inst.args[0]))
    return before is not None and before.op in ("ushr", "sshr")


def saves_all(function: Function) -> bool:
    """A function that saves all registers."""
    return function.signature.call_conv == "preserve_all"


def guards_vectors(function: Function) -> bool:
    """A select_spectre_guard of vectors."""
    insts = (inst for block in function.blocks for inst in block.insts if inst.op == "select_spectre_guard")
    return any(function.types[inst.results[0]].is_vector for inst in insts)


def compares_halves(function: Function) -> bool:
    """A comparison of two floats of 16 bits, which a select, a branch or a trap may take."""
    insts = [inst for block in function.blocks for inst in block.insts]
    compared = (inst.args[0] for inst in insts if inst.op == "fcmp")
    return any(function.types[function.aliases.get(value, value)] == F16 for value in compared) and any(
        inst.op in ("select", "select_spectre_guard", "brif", "trapz", "trapnz") for inst in insts
    )


def half_vector(ty: Type) -> bool:
    """A vector that is not a whole register."""
    return ty.is_vector and ty.bits < 128


def floats(ty: Type) -> bool:
    """A vector of floats."""
    return ty.is_vector and ty.is_float


def scalar_float(ty: Type) -> bool:
    """A float that is not a vector."""
    return ty.is_float and not ty.is_vector
