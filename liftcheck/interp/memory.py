"""Memory of the reference interpreter: byte regions with unmapped surroundings, and how a value lies in bytes.

The one idea: the first region and the stack each have a window of plain attributes (`base`, `buf`, `size`), so that the
text of an access (see `interp.recipes`) can test and touch them without a call; everything else goes through
`locate`, which also decides what a stray access is. An access that is not wholly inside one region does nothing: real
CPUs check the whole store before they write a byte (measured for the four ISAs under Unicorn, and architectural for
s390x), so a partial store is not modelled. Addresses are taken modulo 2^64.

What is not here: concurrency (atomics are single-threaded), page permissions (regions are readable and writable).
Sources: cranelift-codegen `ir/memflags.rs` (trap code of an access, endianness), `isa/s390x/translate.isle` (vectors in
memory have lane 0 first, each lane in the access's byte order, whatever the lane order of the registers).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from operator import itemgetter
from typing import ClassVar, Final, NamedTuple

from liftcheck import layout
from liftcheck.bits.concrete import Trap
from liftcheck.clif.types import Type

ADDRESS_MASK: Final = (1 << 64) - 1
STACK_TOP: Final = layout.STACK + layout.STACK_SIZE
ARENA_HALF: Final = layout.ARENA >> 32 << 32
FIRST_STACK: Final = 0x1000
"""Bytes of stack that exist at first; it grows downwards to `layout.STACK_SIZE`."""


class Crash(Exception):
    """A fault that no trap-table entry of real code would explain: outcome 'crashed' with this detail."""


class Refusal(Exception):
    """The program does what CLIF leaves open or the interpreter lacks: outcome 'unsupported' with this reason."""


class Open(Refusal):
    """What CLIF leaves open, so that no outcome of it is wrong."""


class Meaningless(Open):
    """From here on anything may happen: memory that is not the program's, an access that breaks its own flags."""


class Mismatch(Meaningless):
    """A call that does not match its callee: the program is wrong."""


class Shape(NamedTuple):
    """How a value lies in memory: `size` bytes in all, lanes of `lane` bytes, `big` is the byte order of a lane. In
    little-endian order a value counts as one lane, as its lanes follow one another in that order too."""

    size: int
    lane: int
    big: bool


def shape_of(type_: Type, big: bool) -> Shape:
    """The shape of a value of a type; byte order does not matter to single bytes."""
    big = big and type_.lane_bits > 8
    return Shape(type_.bytes, type_.lane_bits // 8 if big else type_.bytes, big)


class Memory:
    """The regions of one run. `base`, `buf`, `size` are the first region, `stack_*` the stack as far as it exists;
    `short`: the program takes addresses as i32, which mean the lower half of an address in the arena; `missing` has
    the addresses of what is nowhere (see `layout.UNRESOLVED`); `is_world`: what is open is chosen (see `worlds`)."""

    __slots__ = ("_others", "base", "buf", "garbage", "missing", "pinned", "short", "size", "stack_base", "stack_buf",
                 "stack_size")  # fmt: skip

    is_world: ClassVar[bool] = False

    def __init__(self) -> None:
        self.short = False
        self.garbage = 0
        self.missing: dict[str, int] = {}
        self.stack_buf = bytearray()
        self.stack_base = STACK_TOP
        self.stack_size = 0
        self.reset({})

    def reset(self, regions: Mapping[int, bytes]) -> None:
        """Begin a run: every region gets its content, the pinned register becomes 0. The stack is cleared by frame."""
        areas = iter(regions.items())
        self.base, content = next(areas, (0, b""))
        self.buf, self.size = bytearray(content), len(content)
        self._others = [(base, bytearray(content)) for base, content in areas] if len(regions) > 1 else []
        self.pinned = 0

    def locate(self, address: int, size: int, code: str) -> tuple[bytearray, int]:
        """The region and the offset in it of `size` bytes; raises `Trap` with the access's code, or `Crash` if it has
        none (`notrap`)."""
        address &= ADDRESS_MASK
        if self.short and address < 1 << 32:
            address |= ARENA_HALF
        if 0 <= (at := address - self.base) <= self.size - size:
            return self.buf, at
        if 0 <= (at := address - self.stack_base) <= self.stack_size - size:
            return self.stack_buf, at
        for base, buf in self._others:
            if 0 <= (at := address - base) <= len(buf) - size:
                return buf, at
        name = layout.unresolved(address, self.missing)
        if name:
            raise Trap(name)
        if not code:
            raise Crash(f"access of {size} bytes at {address:#x}")
        raise Trap(code)

    def place(self, address: int, size: int, code: str) -> tuple[bytearray, int]:
        """As `locate`, for bytes that are all about to be written."""
        return self.locate(address, size, code)

    def read(self, address: int, size: int, code: str) -> bytes:
        """`size` bytes; nothing is checked for a size of 0."""
        if not size:
            return b""
        buf, at = self.locate(address, size, code)
        return bytes(buf[at : at + size])

    def write(self, address: int, content: bytes, code: str) -> None:
        """All of `content`, or none of it and a fault."""
        if content:
            buf, at = self.place(address, len(content), code)
            buf[at : at + len(content)] = content

    def enter(self, low: int, size: int) -> None:
        """A frame's slots from `low` become `garbage` bytes (zero, unless uninitialised reads are looked for):
        deterministic, though real code finds what was there."""
        if low < self.stack_base:
            self._grow(low)
        at = low - self.stack_base
        self.stack_buf[at : at + size] = bytes([self.garbage]) * size if self.garbage else bytes(size)

    def excuses(self, address: int, size: int) -> bool:
        """Whether a misaligned access is none: it is aligned within its slot, and so in practice is the slot."""
        return False

    def copy_in(self, address: int, content: bytes) -> int:
        """A struct that is passed by value, at `address` of the stack; answers where it is."""
        self.enter(address, len(content))
        self.write(address, content, "")
        return address

    def arithmetic(self, ty: Type, value: int, args: Sequence[int]) -> int:
        """What a routine answers of whose arithmetic the result is `value`."""
        return value

    def magnitude(self, sign: int) -> int:
        """What memcmp answers for -1, 0 or 1: C promises the sign alone."""
        return sign

    def content(self) -> bytes:
        """The first region's bytes."""
        return bytes(self.buf)

    def _grow(self, low: int) -> None:
        if low < layout.STACK:
            raise Trap("stk_ovf")
        size = max(self.stack_size, FIRST_STACK)
        while STACK_TOP - size > low:
            size *= 2
        size = min(size, layout.STACK_SIZE)
        self.stack_buf = bytearray(size - self.stack_size) + self.stack_buf
        self.stack_size = size
        self.stack_base = STACK_TOP - size


@cache
def decoder(shape: Shape) -> Callable[[bytes | bytearray], int]:
    """Bytes of a value to the value."""
    if not shape.big:
        return lambda content: int.from_bytes(content, "little")
    if shape.size == shape.lane:
        return lambda content: int.from_bytes(content, "big")
    swap = _lane_swap(shape)
    return lambda content: int.from_bytes(swap(content), "little")


@cache
def encoder(shape: Shape) -> Callable[[int], bytes]:
    """A value to its bytes; upper bits of a wider value are dropped."""
    size, mask = shape.size, (1 << 8 * shape.size) - 1
    if not shape.big:
        return lambda value: (value & mask).to_bytes(size, "little")
    if shape.size == shape.lane:
        return lambda value: (value & mask).to_bytes(size, "big")
    swap = _lane_swap(shape)
    return lambda value: bytes(swap((value & mask).to_bytes(size, "little")))


def _lane_swap(shape: Shape) -> Callable[[bytes | bytearray], tuple[int, ...]]:
    order = [at + i for at in range(0, shape.size, shape.lane) for i in reversed(range(shape.lane))]
    return itemgetter(*order)
