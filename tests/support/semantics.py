"""What the tests of meanings share: every row with its typings, immediates, boundary-heavy operands, the comparison.

`typings` covers more than `opcodes.variants`: also vectors of 16, 32, 256 and 512 bits. `differs` runs one typed opcode
as a closure, as pasted source and in z3, and says what differs.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from itertools import product
from random import Random
from typing import Any, NamedTuple

import z3

from liftcheck.bits import concrete, smt
from liftcheck.bits.floats import FORMATS, Format
from liftcheck.bits.meaning import Meaning
from liftcheck.clif.opcodes import OPCODES, variants
from liftcheck.clif.semantics.floats import CONDITIONS as FLOAT_CONDITIONS
from liftcheck.clif.semantics.integers import CONDITIONS as INT_CONDITIONS
from liftcheck.clif.semantics.integers import RMW
from liftcheck.clif.semantics.meaning import RULES, meaning
from liftcheck.clif.types import INTS, TYPES, Type

NOT_FUNCTIONS = frozenset(op for op, opcode in OPCODES.items() if opcode.access is not None) | frozenset({
    "jump", "brif", "br_table", "debugtrap", "trap", "resumable_trap", "resumable_trapnz", "return", "call",
    "call_indirect", "return_call", "return_call_indirect", "func_addr", "try_call", "try_call_indirect",
    "stack_switch", "stack_load", "stack_store", "stack_addr", "dynamic_stack_load", "dynamic_stack_store",
    "dynamic_stack_addr", "global_value", "symbol_value", "tls_value", "get_pinned_reg", "set_pinned_reg",
    "get_frame_pointer", "get_stack_pointer", "get_return_address", "get_exception_handler_address", "nop", "fence",
    "sequence_point",
})  # fmt: skip
"""Opcodes that are memory's, control flow's or the machine's: the interpreter states them."""


class Typing(NamedTuple):
    """One concrete typing of an opcode."""

    op: str
    ctrl: Type | None
    args: tuple[Type, ...]
    results: tuple[Type, ...]

    def meaning(self, imm: object) -> Meaning:
        """Its meaning for an immediate."""
        return meaning(self.op, self.ctrl, self.args, self.results, imm)


def typings(op: str) -> list[Typing]:
    """Every typing with fixed types that the meaning covers."""
    if op == "atomic_rmw_op":
        return [Typing(op, t, (t, t), (t,)) for t in INTS]
    if op == "extract_vector":
        return [
            Typing(op, t, (t,), (TYPES[f"{t.lane.name}x{128 // t.lane_bits}"],))
            for t in TYPES.values()
            if t.bits in (256, 512) and t.lane_bits < 128
        ]
    found = [Typing(op, v.type, v.arg_types, v.result_types) for v in variants(op)]
    return list(dict.fromkeys([*found, *_uncommon(op)]))


def _uncommon(op: str) -> Iterator[Typing]:
    """Vectors of the sizes that `variants` leaves out; free operands have the same lanes or are scalars."""
    row = OPCODES[op]
    for ctrl in sorted(row.ctrl, key=lambda t: (t.bits, t.name)):
        if not ctrl.is_vector or ctrl.bits in (64, 128):
            continue
        try:
            operands, results = row.arg_types(ctrl), row.result_types(ctrl)
        except KeyError:
            continue
        choices = [[t] if isinstance(t, Type) else _free(t, op, ctrl) for t in operands]
        yield from (Typing(op, ctrl, args, results) for args in product(*choices))


def _free(allowed: frozenset[Type], op: str, ctrl: Type) -> list[Type]:
    if op == "bitcast":
        return [t for t in allowed if t.bits == ctrl.bits]
    if op.startswith(("fcvt", "x86_cvt")):
        return [t for t in allowed if t.lanes == ctrl.lanes and t.bits == ctrl.bits]
    return [t for t in allowed if not t.is_vector and t.bits in (8, 64)]


def immediates(typing: Typing, random: Random) -> list[Any]:
    """Immediates for a typing: all of them where they are few, else boundaries."""
    op = typing.op
    if op == "atomic_rmw_op":
        return list(RMW)
    fixed = {"icmp": list(INT_CONDITIONS), "fcmp": list(FLOAT_CONDITIONS), "bitcast": ["little", "big"]}
    if op in fixed:
        return fixed[op]
    if op == "extract_vector":
        return list(range(typing.args[0].lanes // typing.results[0].lanes))
    match OPCODES[op].format.name:
        case "IntCompareImm":
            return [(condition, random.choice([0, -1, 7, 1 << 63])) for condition in INT_CONDITIONS]
        case "BinaryImm64" | "UnaryImm":
            return [0, 1, -1, 3, (1 << 63) - 1, -(1 << 63), random.getrandbits(64)]
        case "UnaryIeee16" | "UnaryIeee32" | "UnaryIeee64":
            return [operand(typing.results[0], random) for _ in range(4)]
        case "UnaryConst":
            size = typing.results[0].bytes
            return [operand(typing.results[0], random).to_bytes(size, "little") for _ in range(4)]
        case "Shuffle":
            return [tuple(random.randrange(32) for _ in range(16)) for _ in range(6)]
        case "BinaryImm8" | "TernaryImm8":
            return sorted({0, 1, typing.args[0].lanes - 1})
    return [None]


def operand(ty: Type, random: Random) -> int:
    """A value of the type, every lane near a boundary more often than not."""
    pick = _float if ty.is_float else _integer
    return sum(pick(ty.lane_bits, random) << ty.lane_bits * i for i in range(ty.lanes))


def _integer(width: int, random: Random) -> int:
    mask = (1 << width) - 1
    match random.randrange(10):
        case 0 | 1:
            return random.choice([0, 1, mask, 1 << width - 1, (1 << width - 1) - 1, width, width - 1, width + 1])
        case 2 | 3 | 4:
            return (1 << random.randrange(width)) + random.choice([-1, 0, 1]) & mask
        case 5:
            return -(1 << random.randrange(width)) + random.choice([-1, 0, 1]) & mask
    return random.getrandbits(width)


def _float(width: int, random: Random) -> int:
    f = FORMATS[width]
    sign = random.choice([0, f.sign])
    if random.random() < 0.15:
        return sign | random.choice(_specials(f))
    most = (f.infinity >> f.stored) - 1
    bias = f.infinity >> f.precision
    near = min(max(bias + random.randrange(-f.precision - 3, f.precision + 4), 0), most)
    exponent = random.choice([near, near, near, near, 0, random.randint(0, most)])
    return sign | exponent << f.stored | _fraction(f, random)


def _specials(f: Format) -> list[int]:
    return [0, 1, f.fraction, f.fraction + 1, f.infinity - 1, f.infinity, f.nan, f.infinity + 1, f.magnitude]


def _fraction(f: Format, random: Random) -> int:
    """Few bits set, few bits clear, many trailing zeros, or anything: halfway cases are made of these."""
    bit, some = 1 << random.randrange(f.stored), random.getrandbits(f.stored)
    return random.choice([0, 1, f.fraction, bit, f.fraction ^ bit, some, some & -bit & f.fraction])


Result = tuple[int, ...] | str
"""Values, or the code of a trap."""


def by_closure(what: Meaning, operands: tuple[int, ...]) -> Result:
    """What the compiled closure says."""
    try:
        result = concrete.closure(what)(*operands)
    except concrete.Trap as trap:
        return trap.code
    return () if result is None else result if isinstance(result, tuple) else (result,)


def by_source(what: Meaning, operands: tuple[int, ...]) -> Result:
    """What the source says, pasted into a function with the operands as literals."""
    names = [str(x) for x in operands]
    statements, results = concrete.python_source(what, names, "u", lambda code: f"return {code!r}")
    found: dict[str, Any] = {}
    text = "\n    ".join(["def f():", *statements, f"return ({''.join(r + ', ' for r in results)})"])
    exec(text, concrete.NAMESPACE, found)
    result: Result = found["f"]()
    return result


def by_z3(what: Meaning, operands: tuple[int, ...]) -> Result:
    """What z3's simplifier says."""
    inputs, traps, results = _expressions(what)
    values = [(x, z3.BitVecVal(n, x.size())) for x, n in zip(inputs, operands, strict=True)]
    for condition, code in traps:
        if smt.value(z3.substitute(condition, *values)):
            return code
    return tuple(smt.value(z3.substitute(r, *values)) for r in results)


@lru_cache(maxsize=8)
def _expressions(what: Meaning) -> tuple[list[Any], list[tuple[Any, str]], list[Any]]:
    """Inputs, traps and results in z3, made once for all operands: that is most of the work."""
    env = {x: z3.BitVec(f"x{n}", x.bits) for n, x in enumerate(what.inputs)}
    traps = [(smt.to_z3(condition, env), code) for condition, code in what.traps]
    return list(env.values()), traps, [smt.to_z3(r, env) for r in what.results]


def differs(typing: Typing, imm: object, operands: tuple[int, ...]) -> str:
    """What the three ways disagree about, or ''."""
    what = typing.meaning(imm)
    results = {"closure": by_closure(what, operands), "source": by_source(what, operands), "z3": by_z3(what, operands)}
    first = results["closure"]
    plain = isinstance(first, str) or all(type(x) is int for x in first)
    if plain and all(r == first for r in results.values()):
        return ""
    shown = {k: r if isinstance(r, str) else [hex(x) for x in r] for k, r in results.items()}
    return f"{typing.op} {typing.args} -> {typing.results} imm {imm!r} on {[hex(x) for x in operands]}: {shown}"


__all__ = ["NOT_FUNCTIONS", "RULES", "Typing", "differs", "immediates", "operand", "typings"]
