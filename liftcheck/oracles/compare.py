"""Whether two outcomes of one program may both be right: the only place that knows where results may legally differ.

The one idea: equal outcomes agree at once (tuple equality, done by the caller on whole lists); only unequal ones come
here. Two rules of tolerance, and no third:

- **NaN.** The sign and payload of a NaN made by arithmetic are unspecified, so float-typed returned values (lane by
  lane) agree when both lanes are NaN. Memory and integers are compared exactly: the generator canonicalizes a NaN
  before its bits can be seen there (`liftcheck.nan` lists the opcodes that make such NaNs).
- **Torn stores.** An access that straddles the end of the data region traps, but a backend may split it and have done
  the part inside. After a memory trap the bytes next to the region's ends, within one access of them, are not compared.

Everything else that differs has a class (`oracles/base.py`). What is not known (a runner without the instruction, a
reference that ran out of fuel) is undecided with its reason, never agreement.
Sources: Cranelift's `docs/ir.md` and `ir/instructions` (NaN bits, trapping accesses), IEEE 754-2019 §6.2.3.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal, NamedTuple

from liftcheck.case import NO_ANSWER, Case, Outcome
from liftcheck.clif.types import Type
from liftcheck.nan import is_nan

WRONG_RESULT: Final = "wrong result"
WRONG_MEMORY: Final = "wrong memory"
WRONG_TRAP: Final = "wrong trap"
ABI_DAMAGE: Final = "ABI damage"
CRASH: Final = "crash"
ENDLESS: Final = "endless"
WRONG_MEANING: Final = "wrong meaning"
"""The reference stands alone against every ISA and level: the fault is most likely ours. Given by the vote only."""
COMPILER_PANIC: Final = "compiler panic"
COMPILER_TIMEOUT: Final = "compiler time-out"
COMPILER_MEMORY: Final = "compiler memory"
COMPILER_ABORT: Final = "compiler abort"
COMPILER_VERIFIER: Final = "invalid IR in the compiler"
NONDETERMINISTIC: Final = "nondeterministic output"
WRONG_REFUSAL: Final = "wrong refusal"
"""The compiler has every instruction of the program and refuses the program."""
ILLEGAL_CODE: Final = "illegal code"
"""The code has instructions that the target lacks."""

VerdictKind = Literal["agree", "disagree", "undecided"]
AGREE: Final = "agree"
DISAGREE: Final = "disagree"
UNDECIDED: Final = "undecided"

WIDEST_ACCESS: Final = 64
_NOT_A_MEMORY_TRAP: Final = frozenset({"int_divz", "int_ovf", "bad_toint", "stk_ovf"})


class Verdict(NamedTuple):
    """`kind` is AGREE, DISAGREE or UNDECIDED; `klass` names a class of findings when they disagree; `detail` says what
    differs, or why nothing can be said."""

    kind: VerdictKind
    klass: str = ""
    detail: str = ""


AGREED: Final = Verdict(AGREE)


def return_types(case: Case) -> tuple[Type, ...]:
    """The types of the values that the case's entry returns."""
    return tuple(param.type for param in case.module.functions[case.entry].signature.returns)


def same_value(expected: int, actual: int, ty: Type) -> bool:
    """Equality of two values of type `ty`, modulo the bits of NaNs in float lanes."""
    if expected == actual:
        return True
    if not ty.is_float:
        return False
    width, mask = ty.lane_bits, ty.lane_mask
    for shift in range(0, ty.bits, width):
        left, right = (expected >> shift) & mask, (actual >> shift) & mask
        if left != right and not (is_nan(left, width) and is_nan(right, width)):
            return False
    return True


def compare(expected: Outcome, actual: Outcome, types: Sequence[Type]) -> Verdict:
    """The verdict on one run: `expected` is the reference's outcome, `actual` a runner's; `types` of the returns."""
    if expected == actual:
        return AGREED
    if actual.kind in NO_ANSWER:
        return Verdict(UNDECIDED, detail=actual.detail or actual.kind)
    if actual.kind == "trapped" and actual.detail == "stk_ovf":
        return Verdict(UNDECIDED, detail="stack overflow: machine code recurses less deep than the reference")
    if expected.kind == "trapped" and expected.detail == "stk_ovf":
        return Verdict(UNDECIDED, detail="stack overflow in the reference: machine code may need less")
    if expected.kind not in ("returned", "trapped"):
        return Verdict(UNDECIDED, detail=f"reference: {expected.detail or expected.kind}")
    if actual.kind == "abi":
        return Verdict(DISAGREE, ABI_DAMAGE, actual.detail or "callee-saved state or the stack pointer was damaged")
    if actual.kind == "crashed":
        return Verdict(DISAGREE, CRASH, actual.detail)
    if actual.kind == "endless":
        return Verdict(DISAGREE, ENDLESS, f"{_brief(expected)} expected, but it makes no progress: {actual.detail}")
    if expected.kind == "trapped" or actual.kind == "trapped":
        return _compare_traps(expected, actual)
    return _compare_returns(expected, actual, types)


def compare_parts(
    expected: Outcome, actual: Outcome, types: Sequence[Type], values: Sequence[int], memory: bytes, why: str
) -> Verdict:
    """As `compare`, where some parts are open for the reason `why`: these bits of the returned `values`, these bytes
    (those not 0) of the `memory`. What is wrong in a closed part is wrong; else nothing can be said."""
    mended = actual
    if expected.kind == actual.kind == "returned" and len(expected.values) == len(actual.values) == len(values):
        mended = actual._replace(
            values=tuple(
                seen & ~open_ | wanted & open_ for seen, wanted, open_ in zip(actual.values, expected.values, values)
            )
        )
    if memory and len(memory) == len(expected.memory) == len(actual.memory):
        mended = mended._replace(
            memory=bytes(
                wanted if open_ else seen for seen, wanted, open_ in zip(actual.memory, expected.memory, memory)
            )
        )
    verdict = compare(expected, mended, types)
    return Verdict(UNDECIDED, detail=why) if verdict.kind == AGREE else verdict


def _brief(outcome: Outcome) -> str:
    return f"trap {outcome.detail}" if outcome.kind == "trapped" else "a return"


def _compare_traps(expected: Outcome, actual: Outcome) -> Verdict:
    if expected.kind != actual.kind:
        how = "missing" if expected.kind == "trapped" else "spurious"
        return Verdict(DISAGREE, WRONG_TRAP, f"{how} trap: {_brief(expected)} expected, {_brief(actual)} seen")
    if expected.detail != actual.detail:
        return Verdict(DISAGREE, WRONG_TRAP, f"trap {expected.detail} expected, trap {actual.detail} seen")
    torn = expected.detail not in _NOT_A_MEMORY_TRAP
    return _compare_memory(expected.memory, actual.memory, WIDEST_ACCESS - 1 if torn else 0)


def _compare_returns(expected: Outcome, actual: Outcome, types: Sequence[Type]) -> Verdict:
    if len(expected.values) != len(actual.values):
        return Verdict(DISAGREE, WRONG_RESULT, f"{len(expected.values)} values expected, {len(actual.values)} seen")
    for number, (left, right, ty) in enumerate(zip(expected.values, actual.values, types)):
        if not same_value(left, right, ty):
            text = f"return {number} ({ty}): {hex_value(left, ty)} expected, {hex_value(right, ty)} seen"
            return Verdict(DISAGREE, WRONG_RESULT, text)
    return _compare_memory(expected.memory, actual.memory, 0)


def _compare_memory(expected: bytes, actual: bytes, margin: int) -> Verdict:
    """Byte equality except `margin` bytes at both ends."""
    if len(expected) != len(actual):
        return Verdict(DISAGREE, WRONG_MEMORY, f"{len(expected)} bytes expected, {len(actual)} seen")
    end = len(expected) - margin
    if expected[margin:end] == actual[margin:end]:
        return AGREED
    at = next(i for i in range(margin, end) if expected[i] != actual[i])
    return Verdict(
        DISAGREE, WRONG_MEMORY, f"byte {at:#x} of the data region: {expected[at]:#04x} expected, {actual[at]:#04x} seen"
    )


def hex_value(value: int, ty: Type) -> str:
    """A value of a type as people compare it: fixed-width hexadecimal."""
    return f"0x{value:0{ty.bits // 4}x}"


def compare_runs(expected: Sequence[Outcome], actual: Sequence[Outcome], types: Sequence[Type]) -> tuple[int, Verdict]:
    """The verdict on all runs of a program, and the number of the run that decided it.

    A disagreement wins over everything; the program agrees when at least one run agrees and none is undecided for a
    reason of the runner's. A reference that ran out of fuel leaves that run out.
    """
    undecided: tuple[int, Verdict] | None = None
    agreed = False
    for number, (left, right) in enumerate(zip(expected, actual, strict=True)):
        verdict = compare(left, right, types)
        if verdict.kind == DISAGREE:
            return number, verdict
        if verdict.kind == UNDECIDED and (
            undecided is None or (right.kind in NO_ANSWER and actual[undecided[0]].kind not in NO_ANSWER)
        ):
            undecided = number, verdict
        agreed = agreed or verdict.kind == AGREE
    if undecided is not None and (not agreed or actual[undecided[0]].kind in NO_ANSWER):
        return undecided
    return 0, AGREED
