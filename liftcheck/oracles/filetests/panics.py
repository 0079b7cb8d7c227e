"""Panics of Cranelift on valid programs that have a page: by what the panic says, and by what the program holds.

The one idea: a panic's words and place are shared by many faults (`Option::unwrap()` on None), so each row asks besides
for what the page says is to blame: opcodes, and the types that they are on. What one row alone asks for is no proof
that nothing else is wrong, but a panic on a well-formed program is a bug of the compiler's whatever its cause.
Sources: docs/findings/compiler-panics.md.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final, NamedTuple

from liftcheck.case import CompileFailure
from liftcheck.clif.ir import Function
from liftcheck.clif.types import F16, I128, Type

PAGE: Final = "docs/findings/compiler-panics.md"
_ANY: Final = ""
_REGISTER_CLASS: Final = r"left: Float\s+right: Int.*(regalloc2|aarch64/inst/emit\.rs)"
_NO_REGISTER: Final = r"Option::unwrap\(\)` on a `None`.*riscv64/lower/isle\.rs"


class Known(NamedTuple):
    """A panic with a page: its ISA ('' for all), what it says with its place, the opcodes of which the program has all
    (none: any), on a value of such a type, and the fault's name."""

    isa: str
    said: str
    ops: frozenset[str]
    on: Callable[[Type], bool]
    name: str


def _half_vector(kind: Type) -> bool:
    return kind.is_vector and kind.bits < 128


def _floats(kind: Type) -> bool:
    return kind.is_vector and kind.is_float


def _float(kind: Type) -> bool:
    return kind.is_float and not kind.is_vector


def _ops(names: str) -> frozenset[str]:
    return frozenset(names.split())


KNOWN: Final = (
    Known(_ANY, r"no rule matched for term (iconst_u|cmp_true|all_zero) ", _ops(""), _half_vector,
          "the mid-end folds a 64-bit vector to a constant that it cannot make"),
    Known(_ANY, r"no rule matched for term all_zero ", _ops("bxor"), _float,
          "the mid-end folds a float to a zero that it cannot make"),
    Known(_ANY, r"Could not canonicalize NaN", _ops(""), _floats,
          "enable_nan_canonicalization and a 64-bit vector of floats"),
    Known("riscv64", _NO_REGISTER, _ops("select_spectre_guard"), _float, "select_spectre_guard of a float"),
    Known("riscv64", _NO_REGISTER, _ops("bmask"), lambda kind: kind == I128, "bmask of a comparison made i128"),
    Known("riscv64", _NO_REGISTER, _ops("select_spectre_guard"), lambda kind: kind == I128,
          "select_spectre_guard of a comparison made i128"),
    Known("aarch64", r"unreachable code.*aarch64/inst/emit\.rs", _ops("fma splat"), _half_vector,
          "fma of an f32x2 with a splat"),
    Known("riscv64", r"unreachable code.*verifier/mod\.rs", _ops("ishl"), _half_vector,
          "the mid-end makes an iconst of a 64-bit vector"),
    Known("aarch64", _REGISTER_CLASS, _ops("ineg"), _half_vector, "ineg of a 64-bit vector"),
    Known("aarch64", _REGISTER_CLASS, _ops("isub"), _half_vector, "ineg of a 64-bit vector"),
    Known("aarch64", _REGISTER_CLASS, _ops("bnot bxor"), _float, "bnot of a bxor of floats"),
    Known("x86-64", r"put_in_xmm_mem_32: .* type f16", _ops("fpromote"), lambda kind: kind == F16,
          "fpromote of an f16"),
    Known("riscv64", r"RVCJump offset .* must not exceed max range", _ops(""), lambda _: True,
          "a compressed jump over many constants"),
)  # fmt: skip


def known(isa: str, function: Function, failure: CompileFailure) -> str:
    """The name of the fault with its page; '' if none is known."""
    said = f"{failure.message or failure.reason} {failure.place}"
    found = next(
        (
            row.name
            for row in KNOWN
            if row.isa in (_ANY, isa) and re.search(row.said, said, re.DOTALL) and _holds(function, row)
        ),
        "",
    )
    return f"compiler panic: {found} ({PAGE})" if found else ""


def _holds(function: Function, row: Known) -> bool:
    """Whether the program has the row's opcodes, and one of them (any, if there are none) touches such a type."""
    insts = [inst for block in function.blocks for inst in block.insts if not row.ops or inst.op in row.ops]
    if not row.ops <= {inst.op for inst in insts}:
        return False
    touched = {
        function.types[function.aliases.get(value, value)] for inst in insts for value in (*inst.args, *inst.results)
    }
    return any(map(row.on, touched))
