"""A matrix that needs no compiler: what Cranelift 0.135 has, roughly, so tests are quick and the same everywhere."""

from __future__ import annotations

from functools import cache

from liftcheck.clif.opcodes import OPCODES, Variant, variants
from liftcheck.generators.tables import UNREACHED, Context
from liftcheck.isa import ISAS

_MOVES = ("load", "store", "select", "f16const", "f128const", "bitcast", "bnot", "band", "bor", "bxor")


def _has(isa: str, variant: Variant) -> bool:
    kinds = [t for t in (variant.type, *variant.arg_types, *variant.result_types) if t is not None]
    vector = any(t.is_vector for t in kinds)
    if vector and (isa == "riscv64" or any(t.is_vector and t.bits == 64 and isa != "aarch64" for t in kinds)):
        return False
    if any(t.lane.name in ("f16", "f128") for t in kinds) and variant.op not in _MOVES:
        return isa == "s390x" and not any(t.lane.name == "f16" for t in kinds) and not vector
    if variant.op.startswith("x86_"):
        return isa == "x86-64"
    return not ("_overflow" in variant.op and any(t.bits == 128 for t in kinds))


@cache
def matrices() -> dict[str, frozenset[str]]:
    """The keys of each ISA."""
    return {
        isa: frozenset(
            variant.key
            for name, opcode in OPCODES.items()
            if not opcode.removed and name not in UNREACHED
            for variant in variants(name)
            if _has(isa, variant)
        )
        for isa in ISAS
    }


@cache
def context() -> Context:
    """For programs on all four ISAs."""
    return Context(ISAS, matrices())
