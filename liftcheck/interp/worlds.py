"""Worlds: memories of the reference interpreter in which everything that CLIF leaves open is chosen by a number.

The one idea: a *world* is a `Memory` whose windows show only what is closed (a region, a slot all of whose bytes are
known), so that every other access comes here, and with an answer to each open question: the bits of an arithmetic NaN,
what a slot holds before it is written, where slots, functions and frames lie, the pinned register. The answer is a
function of a seed and of the question's *choice*: its kind and the place in the program that asks. `chosen` gives
single choices another seed, so that when two worlds differ, it can be found which choice it is (`oracles.admissible`).
`used` records what was asked. A read around a frame (past a slot, the chain of frames, what a return address points at)
finds bytes that the world chooses. What no answer makes meaningful (a write there, memory that is not the program's, a
function's code read as data) ends the run with `Meaningless`.

Seeds 2k and 2k+1 give complementary bits: whatever looks at a single bit sees both. The first eight are the NaNs and
the contents that machines show.
It does not say what is open in an instruction (`world_steps` asks), nor judge anything.
Sources: Cranelift's `ir/instructions` on NaNs; `machinst/abi.rs` (slots lie at multiples of 8 or of their alignment).
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from enum import IntEnum
from typing import Final, NamedTuple
from zlib import crc32

from liftcheck import layout
from liftcheck.bits.concrete import Trap
from liftcheck.clif.ir import Function, Inst, Module
from liftcheck.clif.types import I64, Type
from liftcheck.interp.memory import ADDRESS_MASK, ARENA_HALF, Crash, Meaningless, Memory
from liftcheck.nan import exponent_bits, is_nan, quiet_nan

WORD: Final = 8
"""Slots lie at multiples of this, whatever they ask for."""
NEAR: Final = 1 << 20
"""An access this close to a slot or a frame that hits none of them missed one."""
AROUND: Final = 0x1000
"""A read this close to a slot or a frame finds something in every runner: above the first frame is a page of stack."""
AFTER_CALL: Final = 16
"""Bytes from a return address on that are code for certain, or at least mapped."""
CODE_NEAR: Final = 1 << 16
REMEMBERED: Final = 4096
"""Slots of which one knows where they were when they are gone."""
HOST: Final = range(1 << 36, 1 << 47)
"""Where a process has its own things, which a runner cannot move away; all else outside the arena is unmapped."""
STYLES: Final = 8
FRAME_POINTER: Final = 1
FIRST_CODE: Final = 2
"""Of the words of a frame (see `World.opaque`): the frame pointer, and from where on they are addresses of code."""


class Kind(IntEnum):
    """What is left open."""

    NAN = 0
    UNWRITTEN = 1
    SLOT = 2
    FUNCTION = 3
    FRAME = 4
    PINNED = 5
    COMPARE = 6
    OUTSIDE = 7


OUTSIDE: Final = "memory outside the program's stack slots and data"
CODE: Final = "machine code read or written as data"
TEXTS: Final = {
    Kind.NAN: "the sign and payload of an arithmetic NaN",
    Kind.UNWRITTEN: "what a stack slot holds before it is written",
    Kind.SLOT: "where a stack slot lies",
    Kind.FUNCTION: "where functions and symbols lie",
    Kind.FRAME: "the stack pointer, the frame pointer and the return address",
    Kind.PINNED: "what the pinned register holds at first",
    Kind.COMPARE: "what memcmp answers beyond the sign",
    Kind.OUTSIDE: OUTSIDE,
}  # fmt: skip


class Choice(NamedTuple):
    """One open question: what, and which place of the program asks (an instruction, a slot, a name; a number)."""

    kind: Kind
    place: int


class _Block:
    """A stack slot of one frame; `known` has 1 for each byte that was written, or read and so fixed;
    `first`: it is the frame's first."""

    __slots__ = ("base", "buf", "first", "known", "size")

    def __init__(self, base: int, size: int) -> None:
        self.base, self.size, self.first = base, size, False
        self.buf = bytearray(size)
        self.known = bytearray(size)


def mix(*parts: int) -> int:
    """64 bits that look like chance, the same in every process."""
    x = hash(parts) & ADDRESS_MASK
    x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9 & ADDRESS_MASK
    x = (x ^ x >> 27) * 0x94D049BB133111EB & ADDRESS_MASK
    return x ^ x >> 31


class World(Memory):
    """One world after another: `choose` which, then run. `used`: the choices that the last run asked for, and the
    instruction that asked first; `site` the instruction that touched memory last; `fault` the address of the access
    that trapped, or -1."""

    __slots__ = ("_bases", "_blocks", "_chosen", "_count", "_frames", "_gone", "_last", "_left", "_names", "_pinned",
                 "_placed", "_regions", "_seed", "_slots", "_told", "_words", "fault", "site", "used")  # fmt: skip

    is_world = True

    def __init__(self, module: Module) -> None:
        self._slots = [{n: (s.size, max(s.align, WORD)) for n, s in f.stack_slots.items()} for f in module.functions]
        self._seed = 0
        self._chosen: Mapping[Choice, int] = {}
        self._names: dict[str, tuple[int, bool]] = {}
        self._last: _Block | None = None
        super().__init__()
        self.short = any(_is_short(inst) for f in module.functions for block in f.blocks for inst in block.insts)

    def choose(self, seed: int, chosen: Mapping[Choice, int] | None = None) -> None:
        """The next runs are in this world."""
        self._seed, self._chosen = seed, chosen or {}

    def reset(self, regions: Mapping[int, bytes]) -> None:
        """Begin a run. The first window is the first region."""
        self._regions = [(base, bytearray(content)) for base, content in regions.items()]
        self.base, self.buf = self._regions[0] if self._regions else (0, bytearray())
        self.size = len(self.buf)
        self._forget()
        self._count: dict[Choice, int] = {}
        self._words: dict[tuple[int, int], int] = {}
        self._told: list[tuple[int, int]] = []
        self._left: dict[int, list[int]] = {}
        self._gone: list[tuple[int, int]] = []
        self._blocks: dict[int, _Block] = {}
        self._bases: list[int] = []
        self._placed: dict[tuple[int, int], _Block] = {}
        self._frames: list[tuple[int, int, int]] = []
        self._names.clear()
        self._pinned: int | None = None
        self.used: dict[Choice, int] = {}
        self.site = self.fault = -1

    # Answers.

    def _bits(self, choice: Choice, number: int) -> int:
        """64 bits of answer to a question that is asked for the `number`th time."""
        self.used.setdefault(choice, self.site)
        seed = self._chosen.get(choice, self._seed)
        bits = mix(seed >> 1, choice.kind, choice.place, number)
        return ~bits & ADDRESS_MASK if seed & 1 else bits

    def _spread(self, choice: Choice, number: int) -> int:
        """As `_bits`, a multiple of 8: in the first eight worlds each of those that there are within 64, as programs
        round addresses up to so much and less."""
        low = self._chosen.get(choice, self._seed) ^ mix(choice.place, number)
        return self._bits(choice, number) & -8 * WORD | low % WORD * WORD

    def _next(self, choice: Choice) -> int:
        self._count[choice] = number = self._count.get(choice, -1) + 1
        return number

    def _again(self, choice: Choice) -> bool:
        """Whether what is new lies where something was that is gone: so in half of the worlds, but not in the first
        two, which find out who uses what is gone."""
        return self._chosen.get(choice, self._seed) & 2 != 0

    def _address(self, choice: Choice, size: int, align: int) -> int:
        """A place for `size` bytes that nothing else is near of."""
        number = self._next(choice)
        while True:
            bits = self._spread(choice, number) if choice.kind is Kind.SLOT else self._bits(choice, number)
            address = bits & -align
            if self.short:
                address = ARENA_HALF | address & 0xFFFF_FFFF
            end = address + size
            if (
                address >= NEAR
                and end <= ADDRESS_MASK - NEAR
                and not self._near(address, size)
                and (end < layout.ARENA or address > layout.ARENA + layout.ARENA_SIZE)
            ):
                return address
            number += 1 << 32

    # NaNs.

    def nan(self, site: int, width: int, total: int, narrow: int, value: int, args: tuple[int, ...]) -> int:
        """`value`, the result of arithmetic, with other NaNs in the lanes that are NaN. `width` and `narrow` are the
        bits of a lane of it and of the operands `args`."""
        mask = (1 << width) - 1
        for at in range(0, total, width):
            if is_nan(value >> at & mask, width):
                lane = at // width * narrow
                operands = [carried(arg >> lane & (1 << narrow) - 1, narrow, width) for arg in args]
                self.site = site
                chosen = self._nan(Choice(Kind.NAN, site), width, [x for x in operands if is_nan(x, width)])
                value = value & ~(mask << at) | chosen << at
        return value

    def arithmetic(self, ty: Type, value: int, args: Sequence[int]) -> int:
        """See `Memory.arithmetic`."""
        return self.nan(self.site, ty.bits, ty.bits, ty.bits, value, tuple(args))

    def _nan(self, choice: Choice, width: int, operands: list[int]) -> int:
        number = self._next(choice)
        bits = self._bits(choice, number)
        bits |= bits << 64
        seed = self._chosen.get(choice, self._seed)
        style = seed if seed < STYLES else mix(seed, choice.place, number) % STYLES
        quiet, sign = quiet_nan(width), 1 << width - 1
        payload = (quiet & -quiet) - 1
        if style in (4, 5) and operands:
            return operands[0] | quiet if style == 4 else operands[-1]
        return quiet | (0, sign | payload, sign, payload)[style] if style < 4 else quiet | bits & (sign | payload)

    # Addresses.

    def slot(self, frame: int, site: int, function: int, slot: int, offset: int) -> int:
        """The address of a byte of a slot in the frame at `frame`."""
        self.site = site
        size, align = self._slots[function][slot]
        block = self._place(frame, function << 32 | slot, size, align)
        block.first = slot == next(iter(self._slots[function]))
        return block.base + offset & ADDRESS_MASK

    def _place(self, frame: int, place: int, size: int, align: int) -> _Block:
        block = self._placed.get((frame, place))
        if block is None:
            base = self._base(Choice(Kind.SLOT, place), size, align)
            block = self._blocks[base] = self._placed[frame, place] = _Block(base, size)
            at = bisect_right(self._bases, base)
            if not at or self._bases[at - 1] != base:
                self._bases.insert(at, base)
            self._frames.append((frame, place, base))
        return block

    def _base(self, choice: Choice, size: int, align: int) -> int:
        """Where a slot lies: in some worlds where one lay that is gone, as frames do that follow one another."""
        if self._gone and self._again(choice):
            base, room = self._gone[-1]
            if base % align == 0 and size <= max(room, NEAR >> 8):
                self.used.setdefault(choice, self.site)
                self._gone.pop()
                return base
        return self._address(choice, size, align)

    def copy_in(self, address: int, content: bytes) -> int:
        """A struct that is passed by value, in a place of its own."""
        block = self._place(address, 1 << 62 | len(content), len(content), 16)
        block.buf[:] = content
        block.known[:] = b"\1" * len(content)
        return block.base

    def enter(self, low: int, size: int) -> None:
        """Slots come to be when they are asked for."""

    def leave(self, frame: int) -> None:
        """Only frames at or above this address are left."""
        while self._frames and self._frames[-1][0] < frame:
            left, place, base = self._frames.pop()
            self._gone.append((base, self._blocks.pop(base).size))
            del self._gone[:-REMEMBERED], self._placed[left, place]
            self._forget()
            if len(self._bases) > REMEMBERED:
                del self._bases[bisect_right(self._bases, base) - 1]
        while self._told and self._told[-1][0] < frame:
            key = self._told.pop()
            words = self._left.setdefault(key[1], [])
            words.append(self._words.pop(key))
            del words[:-REMEMBERED]

    def function(self, site: int, name: str, known: bool) -> int:
        """The address of a function, a routine or a symbol (not `known`: nothing is there)."""
        self.site = site
        choice = Choice(Kind.FUNCTION, crc32(name.encode()))
        self.used.setdefault(choice, site)
        found = self._names.get(name)
        if found is None:
            found = self._names[name] = self._address(choice, CODE_NEAR, 1), known
        return found[0]

    def name_at(self, address: int) -> str | None:
        """The name whose address this is."""
        if self.short and address < 1 << 32:
            address |= ARENA_HALF
        return next((name for name, (at, _) in self._names.items() if at == address), None)

    def opaque(self, frame: int, site: int, what: int) -> int:
        """The stack pointer, the frame pointer, the return address of a frame, or from 3 on the address of one of its
        handlers (`what`): the same for the whole life of the frame."""
        self.site = site
        word = self._words.get((frame, what))
        if word is None:
            choice, left = Choice(Kind.FRAME, what), self._left.setdefault(what, [])
            self.used.setdefault(choice, site)
            again = left and self._again(choice)
            if again:
                word = left.pop()
            elif what >= FIRST_CODE:
                word = self._bits(choice, self._next(choice)) or WORD
            else:
                word = self._spread(choice, self._next(choice)) or WORD
            self._words[frame, what] = word
            self._told.append((frame, what))
        return word

    def frame_pointer(self, frame: int) -> int | None:
        """The frame pointer of a frame that is alive; None if it was not asked for."""
        return self._words.get((frame, FRAME_POINTER))

    @property
    def pinned(self) -> int:
        """The pinned register."""
        if self._pinned is None:
            self._pinned = self._bits(Choice(Kind.PINNED, 0), 0)
        return self._pinned

    @pinned.setter
    def pinned(self, value: int) -> None:
        self._pinned = value

    def magnitude(self, sign: int) -> int:
        """What memcmp may answer for -1, 0 or 1."""
        return sign * (1 + self._bits(Choice(Kind.COMPARE, self.site), 0) % 1000) if sign else 0

    # Accesses.

    def excuses(self, address: int, size: int) -> bool:
        """16 bytes at the start of a frame are taken for aligned: Cranelift's own tests do, though they do not say so
        of the slot. Where the frame lies is open all the same."""
        block = self._block(address)
        return block is not None and block.first and size == 2 * WORD and (address - block.base) % size == 0

    def locate(self, address: int, size: int, code: str) -> tuple[bytearray, int]:
        """See `Memory.locate`. Bytes of a slot that were not written get the world's contents; so do those around a
        frame, anew at each read, as others may write there."""
        try:
            block, at = self._find(address, size, code)
        except Meaningless:
            address = self.fault
            if not self._is_around(address, size):
                raise
            self.fault = -1
            return self._around(address, size), 0
        if not isinstance(block, _Block):
            return block, at
        if 0 in block.known[at : at + size]:
            self._fix(block, at, size)
        if 0 not in block.known:
            self._show(block)
        return block.buf, at

    def place(self, address: int, size: int, code: str) -> tuple[bytearray, int]:
        """See `Memory.place`."""
        last = self._last
        if last is None or not 0 <= (at := (address & ADDRESS_MASK) - last.base) <= last.size - size:
            found, at = self._find(address, size, code)
            if not isinstance(found, _Block):
                return found, at
            last = self._last = found
        last.known[at : at + size] = b"\1" * size
        return last.buf, at

    def _show(self, block: _Block) -> None:
        """Nothing is open about a slot's bytes any more: the stack's window is this slot, and the other one too if
        there are no regions."""
        self.stack_base, self.stack_buf, self.stack_size = block.base, block.buf, block.size
        if not self._regions:
            self.base, self.buf, self.size = block.base, block.buf, block.size

    def _forget(self) -> None:
        """A slot is gone: windows and `_last`, the slot written last, may be that one."""
        self._last = None
        self.stack_base, self.stack_buf, self.stack_size = 0, bytearray(), 0
        if not self._regions:
            self.base, self.buf, self.size = 0, self.stack_buf, 0

    def _find(self, address: int, size: int, code: str) -> tuple[_Block | bytearray, int]:
        address &= ADDRESS_MASK
        for base, buf in self._regions:
            if 0 <= (at := address - base) <= len(buf) - size:
                return buf, at
        if self.short and address < 1 << 32:
            address |= ARENA_HALF
        block = self._block(address)
        if block is not None and address + size <= block.base + block.size:
            return block, address - block.base
        self.fault = address
        raise self._stray(address, size, code)

    def _block(self, address: int) -> _Block | None:
        """The slot that begins last before an address, if it is alive."""
        index = bisect_right(self._bases, address) - 1
        return self._blocks.get(self._bases[index]) if index >= 0 else None

    def _stray(self, address: int, size: int, code: str) -> Exception:
        """What an access is that hits nothing of the program's."""
        for name, (at, known) in self._names.items():
            if -CODE_NEAR < address - at < CODE_NEAR:
                return Meaningless(CODE) if known else Trap(f"unresolved {name}")
        owned = layout.ARENA - NEAR <= address < layout.ARENA + layout.ARENA_SIZE or address in HOST
        if owned or self._near(address, size):
            return Meaningless(OUTSIDE)
        if any(abs(address - word) < NEAR for word, _ in self._known_words()):
            return Meaningless(OUTSIDE)
        return Trap(code) if code else Crash(f"access of {size} bytes at {address:#x}")

    def _known_words(self) -> Iterator[tuple[int, int]]:
        """The words of all frames that anybody asked for, and which each is; the last ones of frames that are gone."""
        yield from ((word, what) for (_, what), word in self._words.items())
        yield from ((word, what) for what, left in self._left.items() for word in left)

    def _is_around(self, address: int, size: int) -> bool:
        """Whether a read that hits nothing of the program's finds something unknown in every runner."""
        end = address + size
        for word, what in self._known_words():
            low, high = (0, AFTER_CALL) if what >= FIRST_CODE else (AROUND, AROUND)
            if word - low <= address and end <= word + high:
                return True
        index = bisect_right(self._bases, address)
        if index < len(self._bases) and address >= self._bases[index] - AROUND:
            return True
        base = self._bases[index - 1] if index else -1
        block = self._blocks.get(base)
        return index > 0 and end <= base + (block.size if block else 0) + AROUND

    def _around(self, address: int, size: int) -> bytearray:
        """Bytes that the world chooses, except for those that lie in a slot."""
        choice = Choice(Kind.OUTSIDE, self.site)
        found = bytearray(self._byte(choice) for _ in range(size))
        for i in range(size):
            block = self._block(address + i)
            if block is not None and (at := address + i - block.base) < block.size:
                self._fix(block, at, 1)
                found[i] = block.buf[at]
        return found

    def _near(self, address: int, size: int) -> bool:
        """Whether a slot of this run, or one that is gone, is close."""
        index = bisect_right(self._bases, address)
        margin = NEAR >> 8 if self.short else NEAR
        if index < len(self._bases) and self._bases[index] - address - size < margin:
            return True
        if not index:
            return False
        base = self._bases[index - 1]
        block = self._blocks.get(base)
        return address - base - (block.size if block else 0) < margin

    def _fix(self, block: _Block, at: int, size: int) -> None:
        """Give bytes that were never written the world's contents: from now on they have them."""
        choice = Choice(Kind.UNWRITTEN, self.site)
        for i in range(at, at + size):
            if not block.known[i]:
                block.buf[i] = self._byte(choice)
                block.known[i] = 1

    def _byte(self, choice: Choice) -> int:
        """The world's contents of a byte that nothing wrote: all zeros or all ones in the first two worlds."""
        bits = self._bits(choice, self._next(choice)) & 255
        return {0: 0, 1: 255}.get(self._chosen.get(choice, self._seed), bits)

    def content(self) -> bytes:
        """The first region's bytes."""
        return bytes(self._regions[0][1]) if self._regions else b""


def carried(lane: int, narrow: int, width: int) -> int:
    """A NaN of one float format in another: sign and the upper bits of the payload are kept."""
    if narrow == width:
        return lane
    if not is_nan(lane, narrow):
        return 0
    below, wanted = narrow - 1 - exponent_bits(narrow), width - 1 - exponent_bits(width)
    payload = lane & (1 << below) - 1
    payload = payload << wanted - below if wanted >= below else payload >> below - wanted
    return lane >> narrow - 1 << width - 1 | quiet_nan(width) | payload


def _is_short(inst: Inst) -> bool:
    return inst.op in ("stack_addr", "func_addr", "symbol_value") and inst.type is not I64


def instruction(module: Module, site: int) -> tuple[Function, Inst] | None:
    """The instruction that a site is: the function's number and the instruction's, counted from its first."""
    if site < 0:
        return None
    function, number = module.functions[site >> 32], site & 0xFFFF_FFFF
    for block in function.blocks:
        if number < len(block.insts):
            return function, block.insts[number]
        number -= len(block.insts)
    return None
