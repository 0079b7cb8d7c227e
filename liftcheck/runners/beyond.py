"""Code that its target cannot execute: instructions of extensions that the target's settings do not promise.

The one idea: what the settings promise is all that the code may use, whatever the runner at hand has in addition.
Unicorn stops at a vector instruction, qemu executes it; on the machine that was asked for it is illegal either way. So
it is looked for in the code, at places that control can come to (constants and tables stand between them). Of which
extension an instruction is says its row (`mach.rows.row.Row.needs`).

To read all code takes as long as all else that is done with a program. So `judged` looks for vector instructions on
targets without vectors, where an ISA can be without (riscv64), which costs nothing; `judged_wholly` for all. A campaign
asks the latter in some batches (the oracle `extensions`), and where a runner stops at an instruction that it lacks.

Cranelift has vectors with `has_v`, or with a `has_zvl…b`, which is the size that its rules ask for. Without, it should
refuse a program's vectors; some opcodes it does not refuse. That is a gap of its checks, and a refusal here, since
such a program is for no machine without vectors. In a function that has no vector at all it is the compiler's bug; a
campaign then also runs the program (`machine_for`), since something else may be wrong with it.

What it does not do: the sizes of elements that vector instructions are configured for (Zvfh); what only an indirect
jump or a handler comes to.
Sources: cranelift-codegen 0.135.8 isa/riscv64/{abi.rs,lower/isle.rs}; wasmtime #13959 ('i8x16 requires has_v').
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import cache
from typing import Final

from liftcheck.case import CompileFailure, FunctionCode, Target
from liftcheck.clif.ir import Function
from liftcheck.isa.base import VECTOR_SIZES, Isa, isa_named
from liftcheck.mach.insn import BRANCH, JUMP, RETURN, TRAP, Insn, decode
from liftcheck.mach.rows.table import Table
from liftcheck.runners.features import features_of

ILLEGAL: Final = "illegal"
"""`CompileFailure.kind` of code that its target cannot execute."""


_WITHOUT: Final = " for a target without "
_LEGAL: Final[dict[tuple[str, frozenset[str]], set[bytes]]] = {}
"""Instructions that are known to be legal, by what is promised."""
_MOST: Final = 30_000
"""So many are remembered; then the memory starts anew."""


@cache
def may_lack(target: Target) -> bool:
    """Whether `judged` can find anything in code for a target: if not, none need be looked at."""
    return bool(isa_named(target.isa).vectors) and not _has_vectors(target)


def judged(functions: Iterable[Function], target: Target, program: Iterable[FunctionCode]) -> CompileFailure | None:
    """Why a program's code is not for its target: a failure of kind `ILLEGAL`, or a refusal if the program's own
    vectors are to blame. Functions and their code are in the same order. It looks for vector instructions alone."""
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
    reason = f"vector instructions{_WITHOUT}{flag}"
    return CompileFailure(ILLEGAL, reason, f"{name} in {function.name}, which has no vectors: no {flag}")


def judged_wholly(
    functions: Sequence[Function], target: Target, program: Sequence[FunctionCode]
) -> CompileFailure | None:
    """The same of instructions of all extensions."""
    return judged(functions, target, program) or other_extensions(target, program)


def other_extensions(target: Target, program: Iterable[FunctionCode]) -> CompileFailure | None:
    """A failure for the first instruction that a program's code comes to of an extension that the target lacks, vectors
    apart where it has none."""
    isa, promised = isa_named(target.isa), _promised(target)
    table: Table = isa.part(isa.rows)()
    legal = _LEGAL.setdefault((isa.name, promised), set())
    for function in program:
        strange = table.different(function.code) - legal
        if not strange:
            continue
        beyond = {data: found for data in strange if (found := _beyond(isa, table, promised, data))}
        if len(legal) > _MOST:
            legal.clear()
        legal |= strange - beyond.keys()
        if not beyond:
            continue
        places = _places(isa, function.code)
        for at in sorted(_reached(places)):
            found = beyond.get(function.code[at : at + places[at].size])
            if found is not None:
                name, lacking = found
                words = " and ".join(sorted(lacking))
                return CompileFailure(ILLEGAL, f"{name}{_WITHOUT}{words}", f"{name} in {function.name}: no {words}")
    return None


def machine_for(target: Target, failure: CompileFailure | None) -> Target:
    """Where a program's code can be run: the target, with what its code has and it lacks if that is its `failure`."""
    if failure is None or failure.kind != ILLEGAL:
        return target
    lacking = failure.reason.rpartition(_WITHOUT)[2].split(" and ")
    return Target(target.isa, tuple(sorted((*target.settings, *((flag, "true") for flag in lacking)))))


def own_vectors(isa: Isa) -> str:
    """Why a program with vectors counts as refused."""
    return f"vectors without {isa.vectors[0]}, although it makes vector instructions for them"


def _has_vectors(target: Target) -> bool:
    isa = isa_named(target.isa)
    sizes = (isa.vector_size.format(bits) for bits in VECTOR_SIZES)
    return not features_of(target).isdisjoint((*isa.vectors, *sizes))


@cache
def _promised(target: Target) -> frozenset[str]:
    """The extensions that code for a target may use, with those that every machine has which has these."""
    isa, found = isa_named(target.isa), features_of(target)
    if _has_vectors(target):
        found = found.union(isa.vectors)
    return found.union(isa.always, *(isa.implied.get(name, ()) for name in found))


@cache
def _flags(isa: str, needs: str) -> frozenset[str]:
    """The compiler's flags for the extensions of a row: of those that it has a flag for."""
    names = (f"has_{name.replace('.', '')}" for name in needs.split())
    return frozenset(name for name in names if name in isa_named(isa).probes)


def _beyond(isa: Isa, table: Table, promised: frozenset[str], data: bytes) -> tuple[str, frozenset[str]] | None:
    """An instruction's name and the extensions of it that are not promised; None if it is legal: by one of its names
    (riscv64's zext.h is of Zbb, and as packw of Zbkb), or since it is only a trap or a hint."""
    one = table.decode(data)
    if one is None or _flags(isa.name, one.row.needs) <= promised or re.match(isa.hints, data):
        return None
    lacking = [_flags(isa.name, other.row.needs) - promised for other in table.readings(data)]
    if not all(lacking) or re.fullmatch(isa.trapping, one.row.name):
        return None
    return one.row.name, min(lacking, key=len)


def _places(isa: Isa, code: bytes) -> dict[int, Insn]:
    """The instructions of a function by their places."""
    places: dict[int, Insn] = {}
    at = 0
    for machine in decode(isa.name, code):
        places[at] = machine
        at += machine.size
    return places


def _vector_name(isa: Isa, code: bytes) -> str:
    """The first vector instruction that the code comes to, or ''. Code that configures no vectors is not decoded."""
    if re.search(isa.configures, code) is None:
        return ""
    places = _places(isa, code)
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
