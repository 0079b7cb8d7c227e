"""Where in machine code the instructions stand that have thunks: what control flow reaches, and what it may miss.

The one idea: control flow is followed from a function's entry, so data are never taken for code; a jump table's targets
are not seen, and whether something may stand there is told.
Source: Principles of Operation SA22-7832-11, 'Branching'.
"""

from __future__ import annotations

import re
from typing import Final

from liftcheck.isa.s390x import ISA

ALWAYS: Final = 15
"""The mask of a branch that is one whatever the condition code is."""
CONVERT: Final = frozenset({0x98, 0x99, 0x9A, 0x9C, 0x9D, 0x9E, 0xA8, 0xA9, 0xAA, 0xAC, 0xAD, 0xAE})
PREFILTER: Final = re.compile(
    rb"\xb9[\xec\xed\xfd]|\xb3[\x98-\x9a\x9c-\x9e\xa8-\xaa\xac-\xae]"
    rb"|\xec.[\x80-\xff]..[\x54\x56\x57]"
    rb"|\xe7.{4}[\x50\x85\x8e\x8f\xc0\xc2\xc4\xc5\xc7\xca\xcb\xcc\xce\xe2\xe3\xe5\xe7\xe8\xea\xeb\xee\xef]",
    re.DOTALL,
)


TEST: Final = re.compile(rb"\xec.[\x80-\xff]..[\x54\x56\x57]", re.DOTALL)
_TESTS: Final = re.compile(rb"(?=\xec.[\x80-\xff]..[\x54\x56\x57])", re.DOTALL)
"""A test of bits; all of them, also those that begin within another instruction."""


def missed_test(code: bytes) -> bool:
    """Whether a function may test bits at a place that `reachable` does not find (after a jump table)."""
    return _is_missed(code, {match.start() for match in _TESTS.finditer(code) if not match.start() & 1})


SILENT: Final = re.compile(rb"\xb3[\x98-\x9a\x9c-\x9e\xa8-\xaa\xac-\xae]|\xe7.{3}[\x30-\x3f][\xc0\xc2]", re.DOTALL)


def missed_conversion(code: bytes) -> bool:
    """Whether a function may convert floats to integers at a place that `reachable` does not find (after a jump
    table)."""
    return b"\x07\xf1" in code and _is_missed(
        code, {match.start() for match in SILENT.finditer(code) if not match.start() & 1}
    )


def _is_missed(code: bytes, places: set[int]) -> bool:
    """Whether an instruction may begin at one of these places that control flow is not seen to reach. What lies within
    an instruction that it reaches (a constant) is not one."""
    if not places:
        return False
    reached = _reached(code, 0, len(code))
    within = {at + further for at in reached for further in range(2, ISA.sizes[code[at]], 2)}
    return not places <= reached | within


_MULTIPLY: Final = frozenset({0xEC, 0xED, 0xFD})
_COMPARE_AND_BRANCH: Final = frozenset({0x64, 0x65, 0x76, 0x77, 0x7C, 0x7D, 0x7E, 0x7F})


def reachable(code: bytes, start: int, size: int) -> list[int]:
    """Offsets of instructions that the prefilter may mean, among those that control flow reaches from `start`."""
    return [at for at in sorted(_reached(code, start, size)) if _is_meant(code, at)]


def _is_meant(code: bytes, at: int) -> bool:
    first, second = code[at], code[at + 1]
    return (
        first == 0xE7
        or (first == 0xB9 and second in _MULTIPLY)
        or (first == 0xB3 and second in CONVERT)
        or (first == 0xEC and TEST.match(code, at) is not None)
    )


def _reached(code: bytes, start: int, size: int) -> set[int]:
    """Offsets of all instructions that control flow reaches from `start`."""
    seen: set[int] = set()
    waiting, end = [start], start + size
    while waiting:
        at = waiting.pop()
        while at < end - 1 and at not in seen:
            seen.add(at)
            first, second = code[at], code[at + 1]
            target, falls = _flow(code, at, first, second)
            if target is not None and start <= target < end:
                waiting.append(target)
            if not falls:
                break
            at += ISA.sizes[first]
    return seen


def _flow(code: bytes, at: int, first: int, second: int) -> tuple[int | None, bool]:
    """Where the instruction may branch to, and whether the next may follow: as `reader.read` says, without decoding."""
    if first == 0xA7 and second & 15 in (4, 5, 6, 7):
        target = at + 2 * int.from_bytes(code[at + 2 : at + 4], "big", signed=True)
        conditional = second & 15 == 4
        return target if second != 4 else None, second >> 4 != ALWAYS if conditional else second & 15 > 5
    if first == 0xC0 and second & 15 == 4 and second != 4:  # with a mask of 0 it never branches
        return at + 2 * int.from_bytes(code[at + 2 : at + 6], "big", signed=True), second >> 4 != ALWAYS
    if first == 0xEC and code[at + 5 : at + 6] and code[at + 5] in _COMPARE_AND_BRANCH:
        return at + 2 * int.from_bytes(code[at + 2 : at + 4], "big", signed=True), True
    if first == 0x07:  # register 0 is not a target: a no-operation that serializes
        return None, second >> 4 != ALWAYS or second & 15 == 0
    return None, first != 0 or second != 0
