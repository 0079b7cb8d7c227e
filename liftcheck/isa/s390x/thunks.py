"""Lets Unicorn run z14 instructions that it lacks: each is replaced by a jump to a thunk of older instructions.

The one idea: the replacement is machine code, so a loop over such an instruction costs no stop of the emulator. Sites
are found before a run by following the control flow from each function's entry (so data between functions or after a
`bras` is never taken for code), and one that was missed (after a jump table) stops as illegal, is replaced then, and
its row runs again. Instructions whose meaning has no thunk here stay, and end their row as 'unsupported'.

What is covered, with the meaning that the thunk has (Principles of Operation SA22-7832-11 and later):
  msrkc, msgrkc    the low half of the signed product; CC 3 if it overflows, else 0, 1, 2 for zero, negative, positive
  mgrk             the signed 64 x 64 -> 128 product
  agh, sgh, mgh    add, subtract (CC set), multiply (CC kept) a sign-extended halfword in storage
  wf/vf{a,s,m,d}, vfpso, vfi of short and extended floats, vfsq, vfma, vfms of short ones, lane by lane
  wfc, wfk of short and extended floats; vfce, vfch, vfche of short floats, with or without CC
  vfll long -> extended, vflr extended -> long
  vfmin, vfmax     with M6 = 1 (a NaN gives a NaN, -0 < +0) and M6 = 3 (the C++ std::min, std::max), short and long
  vpopct           of halfwords, words, doublewords
  wc(l)gd, vc(l)gd, c(l){f,g}{e,d,x}br
                   which Unicorn has, but converts a NaN to the largest integer, not to the smallest (signed) or 0; they
                   do not stop, so only sites that are found count: `missed_conversion` tells of others. The condition
                   code of c… is not the instruction's: compiled code has its checks before
  rnsbg, rosbg, rxsbg with the test bit, of which Unicorn dies: the others, on a copy
  vbperm           bits of operand 2 chosen by the 16 bytes of operand 3, those from 128 up give 0
All but those that set it keep the condition code. Thunks use 288 bytes below the stack pointer (the ABI has no red
zone). Which NaN results is left to the older instructions. Each is proven to do what the row of the instruction says.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol

from liftcheck.errors import AssemblyError
from liftcheck.isa.s390x.sites import CONVERT, PREFILTER, TEST, reachable
from liftcheck.isa.s390x.thunk_code import Thunk, jump_to
from liftcheck.isa.s390x.thunks_scalar import halfword, multiply32, multiply64, scalar_to_integer, test_bits
from liftcheck.isa.s390x.thunks_vector import (
    binary,
    bit_permute,
    compare_lanes,
    compare_scalar,
    convert,
    extremum,
    multiply_add,
    popcount,
    to_integer,
    unary,
)


class Linked(Protocol):
    """Machine code at its addresses: what of a linked image matters here."""

    @property
    def base(self) -> int:
        """The address of the first byte."""

    @property
    def code(self) -> bytes:
        """All of it."""

    def extents(self) -> list[tuple[int, int]]:
        """Address and size of every function."""


_NEAR: Final = 0xFFFE


_BUILDERS: Final[dict[tuple[int, int], Callable[[bytes], Thunk | None]]] = {
    (0xB9, 0xFD): multiply32, (0xB9, 0xED): multiply64, (0xB9, 0xEC): multiply64,
    (0xE3, 0x38): halfword, (0xE3, 0x39): halfword, (0xE3, 0x3C): halfword,
    **{(0xB3, second): scalar_to_integer for second in CONVERT},
    **{(0xEC, last): test_bits for last in (0x54, 0x56, 0x57)},
    (0xE7, 0x50): popcount, (0xE7, 0xC0): to_integer, (0xE7, 0xC2): to_integer,
    (0xE7, 0x85): bit_permute, (0xE7, 0x8E): multiply_add, (0xE7, 0x8F): multiply_add,
    (0xE7, 0xC4): convert, (0xE7, 0xC5): convert, (0xE7, 0xC7): unary, (0xE7, 0xCC): unary, (0xE7, 0xCE): unary,
    (0xE7, 0xCA): compare_scalar, (0xE7, 0xCB): compare_scalar,
    (0xE7, 0xE2): binary, (0xE7, 0xE3): binary, (0xE7, 0xE5): binary, (0xE7, 0xE7): binary,
    (0xE7, 0xE8): compare_lanes, (0xE7, 0xEA): compare_lanes, (0xE7, 0xEB): compare_lanes,
    (0xE7, 0xEE): extremum, (0xE7, 0xEF): extremum,
}  # fmt: skip


def has_thunks(code: bytes) -> bool:
    """Whether any instruction has a thunk that has the opcode of the one at the start of `code`."""
    return _builder(code) is not None


def _builder(code: bytes) -> Callable[[bytes], Thunk | None] | None:
    if len(code) < 4:
        return None
    return _BUILDERS.get((code[0], code[1] if code[0] in (0xB9, 0xB3) else code[5] if len(code) > 5 else -1))


def thunk_for(code: bytes) -> Thunk | None:
    """The thunk of the instruction at the start of `code`, None if it needs none or has none; also for an encoding that
    is an exception: of an odd pair of registers, a format of floats that there is not."""
    builder = _builder(code)
    try:
        return builder(code) if builder else None
    except (AssemblyError, IndexError, KeyError):
        return None


class Thunks:
    """Rewrites images. One per emulator; keeps the last image's bytes, so that a missed site can be added. With
    `tests_alone` only the tests of bits are replaced, which qemu 7.2 lacks as well."""

    def __init__(self, tests_alone: bool = False) -> None:
        self.code = bytearray()
        self.base = 0
        self._prefilter: Final = TEST if tests_alone else PREFILTER
        self._first: Final = (0xEC,) if tests_alone else (0xB3, 0xB9, 0xE3, 0xE7, 0xEC)

    def rewrite(self, image: Linked) -> bytes:
        """The image's code with thunks for all sites that control flow reaches."""
        self.code, self.base = bytearray(image.code), image.base
        if self._prefilter.search(image.code):
            for start, size in image.extents():
                if self._prefilter.search(image.code, start - image.base, start - image.base + size):
                    for site in reachable(image.code, start - image.base, size):
                        self._replace(site)
        return bytes(self.code)

    def add(self, address: int) -> bool:
        """Replaces the instruction at an address that stopped as illegal; False if there is no thunk for it."""
        offset = address - self.base
        return 0 <= offset < len(self.code) and self._replace(offset)

    def _replace(self, offset: int) -> bool:
        code = bytes(self.code[offset : offset + 6])
        thunk = thunk_for(code) if code[:1] and code[0] in self._first else None
        if thunk is None:
            return False
        self.code += bytes(len(self.code) & 1)
        length = 4 if code[0] in (0xB9, 0xB3) else 6
        at = len(self.code)
        if length == 4 and at - offset > _NEAR:
            return False
        self.code += thunk.finish(self.base + at, self.base + offset + length)
        self.code[offset : offset + length] = jump_to(at - offset, short=length == 4)
        return True
