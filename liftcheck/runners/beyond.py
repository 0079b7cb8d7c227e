"""Code that its target cannot execute: vector instructions for a target without vectors, where an ISA can be without
(riscv64).

The one idea: what the settings promise is all that the code may use, whatever the runner at hand has in addition.
Unicorn stops at a vector instruction, qemu executes it; on the machine that was asked for it is illegal either way. So
it is looked for in the code, at places that control can come to (constants and tables stand between them).

Cranelift has vectors with `has_v`, or with a `has_zvl…b`, which is the size that its rules ask for. Without, it should
refuse a program's vectors; some opcodes it does not refuse. That is a gap of its checks, and a refusal here, since
such a program is for no machine without vectors. In a function that has no vector at all it is the compiler's bug; a
campaign then also runs the program (`machine_for`), since something else may be wrong with it.

What it does not do: other extensions, whose instructions are under their own settings in every rule; what only an
indirect jump or a handler comes to.
Sources: cranelift-codegen 0.135.8 isa/riscv64/{abi.rs,lower/isle.rs}; wasmtime #13959 ('i8x16 requires has_v').
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from typing import Final

from liftcheck.case import CompileFailure, FunctionCode, Target
from liftcheck.clif.ir import Function
from liftcheck.isa.base import VECTOR_SIZES, Isa, isa_named
from liftcheck.mach.insn import BRANCH, JUMP, RETURN, TRAP, Insn, decode
from liftcheck.runners.features import features_of

ILLEGAL: Final = "illegal"
"""`CompileFailure.kind` of code that its target cannot execute."""


@cache
def may_lack(target: Target) -> bool:
    """Whether there is code for the target's ISA that the target cannot execute: if not, none need be looked at."""
    return bool(isa_named(target.isa).vectors) and not _has_vectors(target)


def judged(functions: Iterable[Function], target: Target, program: Iterable[FunctionCode]) -> CompileFailure | None:
    """Why a program's code is not for its target: a failure of kind `ILLEGAL`, or a refusal if the program's own
    vectors are to blame. Functions and their code are in the same order."""
    if not may_lack(target):
        return None
    isa = isa_named(target.isa)
    found = [(function, name) for function, code in zip(functions, program) if (name := _vector_name(isa, code.code))]
    if not found:
        return None
    if any(ty.is_vector for function, _ in found for ty in function.types.values()):
        return CompileFailure("unsupported", own_vectors(isa))
    function, name = found[0]
    flag = isa.vectors[0]
    reason = f"vector instructions for a target without {flag}"
    return CompileFailure(ILLEGAL, reason, f"{name} in {function.name}, which has no vectors: no {flag}")


def machine_for(target: Target, failure: CompileFailure | None) -> Target:
    """Where a program's code can be run: the target, with what its code has and it lacks if that is its `failure`."""
    if failure is None or failure.kind != ILLEGAL:
        return target
    return Target(target.isa, tuple(sorted((*target.settings, (isa_named(target.isa).vectors[0], "true")))))


def own_vectors(isa: Isa) -> str:
    """Why a program with vectors counts as refused."""
    return f"vectors without {isa.vectors[0]}, although it makes vector instructions for them"


def _has_vectors(target: Target) -> bool:
    isa = isa_named(target.isa)
    sizes = (isa.vector_size.format(bits) for bits in VECTOR_SIZES)
    return not features_of(target).isdisjoint((*isa.vectors, *sizes))


def _vector_name(isa: Isa, code: bytes) -> str:
    """The first vector instruction that the code comes to, or ''. Code that configures no vectors is not decoded."""
    if re.search(isa.configures, code) is None:
        return ""
    places: dict[int, Insn] = {}
    at = 0
    for machine in decode(isa.name, code):
        places[at] = machine
        at += machine.size
    names = (places[at].name for at in sorted(_reached(places)))
    return next((name for name in names if name.startswith(isa.vector_names)), "")


def _reached(places: dict[int, Insn]) -> set[int]:
    """The places that control comes to from the start, by falling through, branches and direct jumps."""
    reached: set[int] = set()
    pending = [0]
    while pending:
        at = pending.pop()
        while at not in reached and at in places:
            reached.add(at)
            machine = places[at]
            if machine.flow in (BRANCH, JUMP) and machine.target is not None:
                pending.append(at + machine.target)
            if machine.flow in (JUMP, RETURN, TRAP) or not machine.known:
                break
            at += machine.size
    return reached
