"""The pages of docs/findings that `liftcheck test` knows: for which ISAs, and by what their faults are told.

The one idea: one table. A page with several faults has a row for each; a fault that no row tells stays a failure.
Sources: docs/findings.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Final, NamedTuple, TypeVar

from liftcheck.case import Target
from liftcheck.clif.types import F16, F32, F64, F128, I8, I16, I64, I128, TYPES
from liftcheck.isa import ISAS
from liftcheck.oracles.filetests.faults import (
    Rewrite,
    always_true,
    first_of_constants,
    low_half,
    nothing_of_splat,
    operand_too_large,
    padded,
    passes_256,
    vectors_below,
)
from liftcheck.oracles.filetests.mends import (
    Mend,
    boxed_anew,
    halves_apart,
    preserves_all,
    takes_arguments_away,
    unextended,
)
from liftcheck.oracles.filetests.proofs import (
    Illegal,
    Panic,
    Refused,
    Register,
    compares_halves,
    floats,
    guards_vectors,
    half_vector,
    is_made_scalar,
    is_mask,
    is_min_max,
    saves_all,
    scalar_float,
)

Proof = Register | Illegal | Refused | Panic | Rewrite | Mend
_P = TypeVar("_P", bound=Proof)
FOLDER: Final = "docs/findings"
ON_THE_WEB: Final = "https://github.com/liftcheck/liftcheck/blob/main"


class Page(NamedTuple):
    """One fault that is explained: the page's name, the ISAs that have it, what tells it; the setting with which it is
    not there."""

    name: str
    isas: str
    told_by: Proof
    unless: str = ""

    @property
    def path(self) -> str:
        return _path(self.name)

    def is_for(self, target: Target) -> bool:
        """Whether the fault may be there with a target's settings."""
        return (self.unless, "true") not in target.settings


def folder(root: Path) -> str:
    """Where a reader finds the pages: in the tree at `root`; an installed package has none, so on the web."""
    return FOLDER if (root / FOLDER).is_dir() else f"{ON_THE_WEB}/{FOLDER}"


_HERE: Final = folder(Path(__file__).resolve().parents[3])


def _path(name: str) -> str:
    return f"{_HERE}/{name}.md"


_ALL: Final = " ".join(ISAS)
_PANICS: Final = "compiler-panics"
PANICS_PAGE: Final = _path(_PANICS)
"""A page on several faults."""
_REGISTER_CLASS: Final = r"left: Float\s+right: Int.*(regalloc2|aarch64/inst/emit\.rs)"
_I8X16: Final = frozenset({TYPES["i8x16"]})
_NO_REGISTER: Final = r"Option::unwrap\(\)` on a `None`.*riscv64/lower/isle\.rs"


def _ops(names: str) -> frozenset[str]:
    return frozenset(names.split())


PAGES: Final = (
    Page("riscv64-fs1-not-saved", "riscv64", Register("fs1")),
    Page("riscv64-f32-return-value-not-boxed", "riscv64", Mend(
        "when floats that calls return go through memory and so get their NaN boxes", boxed_anew, has_control=True)),
    Page("x86-64-atomic-i128-of-equal-halves", "x86-64", Mend(
        "when the two halves are two values", halves_apart, has_control=True)),
    Page("aarch64-apple-extended-stack-argument", "aarch64", Mend(
        "when no argument on the stack is to be extended", unextended)),
    Page("preserve-all-inline-probe-loses-a-register", "x86-64 riscv64", Mend(
        "without probes of the stack", preserves_all, (("enable_probestack", "false"),))),
    Page("aarch64-winch-signed-return", "aarch64", Mend(
        "without signed return addresses", partial(takes_arguments_away, "aarch64"),
        (("sign_return_address", "false"),))),
    Page("riscv64-preserve-all-without-vectors", "riscv64", Illegal("vector instructions ", saves_all)),
    Page("riscv64-vandn-without-zvbb", "riscv64", Illegal(r"vandn\.vx .* has_zvbb$", guards_vectors)),
    Page("aarch64-fcmp-f16-without-fp16", "aarch64", Illegal("fcmp .* has_fp16$", compares_halves)),
    Page("min-max-i128-refused-at-speed", "x86-64 aarch64", Refused(
        r"no lowering of [us](min|max)\.i128|lacks a case for this type .*aarch64/lower/isle\.rs", is_min_max)),
    Page("riscv64-fcvt-of-splat-f16-refused", "riscv64", Refused(
        r"no lowering of (fcvt_from_[us]int)\.f16", is_made_scalar)),
    Page("riscv64-mask-of-64-bit-vector-refused", "riscv64", Refused(r"no rule for imm\b", is_mask)),
    *(Page("mid-end-fmin-fmax-of-zero", _ALL, Rewrite(
        op, frozenset({F16, F128}), frozenset({F16, F128}), first_of_constants)) for op in ("fmin", "fmax")),
    Page("aarch64-fdemote-from-f128", "aarch64 x86-64", Rewrite(
        "fdemote", frozenset({F128}), frozenset({F32}), low_half)),
    Page("aarch64-fpromote-from-f16", "aarch64 x86-64 riscv64", Rewrite(
        "fpromote", frozenset({F16}), frozenset({F64}), padded)),
    Page("riscv64-swizzle-of-splat", "riscv64", Rewrite(
        "swizzle", _I8X16, _I8X16, nothing_of_splat)),
    Page("s390x-fcvt-to-uint-sat-i8", "s390x", Rewrite(
        "fcvt_to_uint_sat", frozenset({F32, F64, F128}), frozenset({I8}), passes_256)),
    Page("aarch64-narrow-atomic-umin-umax", "aarch64", Rewrite(
        "atomic_rmw", frozenset({I64}), frozenset({I8, I16}), operand_too_large), unless="has_lse"),
    Page("x86-64-vany-true-of-64-bit-vector", "x86-64", Rewrite(
        "vany_true", vectors_below(128), frozenset({I8}), always_true)),
    Page(_PANICS, _ALL, Panic(r"no rule matched for term (iconst_[us]|cmp_true|all_zero) ", _ops(""), half_vector,
         "the mid-end folds a 64-bit vector to a constant that it cannot make")),
    *(Page(_PANICS, _ALL, Panic(r"no rule matched for term all_zero ", _ops(ops), on,
           "the mid-end folds a float to a zero that it cannot make"))
      for ops in ("bxor", "bnot band") for on in (scalar_float, floats)),
    Page(_PANICS, _ALL, Panic(r"Could not canonicalize NaN", _ops(""), floats,
         "enable_nan_canonicalization and a 64-bit vector of floats")),
    Page(_PANICS, "riscv64", Panic(_NO_REGISTER, _ops("select_spectre_guard"), scalar_float,
         "select_spectre_guard of a float")),
    Page(_PANICS, "riscv64", Panic(_NO_REGISTER, _ops("bmask"), lambda ty: ty == I128,
         "bmask of a comparison made i128")),
    Page(_PANICS, "riscv64", Panic(_NO_REGISTER, _ops("select_spectre_guard"), lambda ty: ty == I128,
         "select_spectre_guard of a comparison made i128")),
    *(Page(_PANICS, "riscv64", Panic(_NO_REGISTER, _ops(ops), lambda ty: ty == I128,
           "has_zbs and a bit whose number is an i128"))
      for ops in ("ushr band", "sshr band", "ishl bor", "ishl bxor", "ishl bnot band")),
    Page(_PANICS, "aarch64", Panic(r"unreachable code.*aarch64/inst/emit\.rs", _ops("fma splat"), half_vector,
         "fma of an f32x2 with a splat")),
    Page(_PANICS, "riscv64", Panic(r"unreachable code.*verifier/mod\.rs", _ops("ishl"), half_vector,
         "the mid-end makes an iconst of a 64-bit vector")),
    Page(_PANICS, "riscv64", Panic(_NO_REGISTER, _ops("ishl"), half_vector,
         "the mid-end makes an iconst of a 64-bit vector")),
    Page(_PANICS, "aarch64", Panic(_REGISTER_CLASS, _ops("ineg"), half_vector, "ineg of a 64-bit vector")),
    Page(_PANICS, "aarch64", Panic(_REGISTER_CLASS, _ops("isub"), half_vector, "ineg of a 64-bit vector")),
    Page(_PANICS, "aarch64", Panic(_REGISTER_CLASS, _ops("bnot bxor"), scalar_float, "bnot of a bxor of floats")),
    Page(_PANICS, "x86-64", Panic(r"Option::unwrap\(\)` on a `None`.*x64/lower/isle\.rs", _ops("ishl band"),
         lambda ty: ty == I128, "a bit test by an i128 amount")),
    Page(_PANICS, "x86-64", Panic(r"put_in_xmm_mem_32: .* type f16", _ops("fpromote"), lambda ty: ty == F16,
         "fpromote of an f16")),
    Page(_PANICS, "riscv64", Panic(r"RVCJump offset .* must not exceed max range", _ops(""), lambda _: True,
         "a compressed jump over many constants")),
)  # fmt: skip


def told_by(kind: type[_P], isa: str) -> list[tuple[Page, _P]]:
    """The rows of an ISA that are told by this kind of proof."""
    return [(page, page.told_by) for page in PAGES if isinstance(page.told_by, kind) and isa in page.isas.split()]
