"""What a function owes its caller, and which registers the compilers keep for themselves, by ISA and convention.

The one idea: stated from the ABI documents, not taken from what a compiler emits or says; where a convention is
Cranelift's own (`tail`, `winch`, `preserve_all`), its documentation is the source and the row says so. An ISA's facts
are a value, `ABI` in its package's `abi` (`abi_named` gives it); a field that an ISA does not fill has the value of an
ISA that has nothing of the kind. Registers are places (`mach.regs`), -1 is none.

Sources: with the values; Cranelift's `ir::CallConv`: `tail`: callee-saved as in the default one; `winch`: none;
`preserve_all`: all registers; `windows_fastcall` is one ISA's alone and means the default one elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Final, NamedTuple

from liftcheck.isa.base import isa_named

FLOATS: Final = 64
VECTORS: Final = 128
Saved = tuple[tuple[int, ...], tuple[int, ...]]
"""Integer registers and float registers, by number."""
HALVES, PAIR, UNEVEN, SPENT, COPIED = "halves", "pair", "uneven", "spent", "copied"
"""How a value that fills no one register is passed: each half as an integer of its own; both in registers from an even
number on, or both on the stack; the same from any number on; the same, and no later argument is in a register then; a
copy after all arguments, by its address."""
EACH, ALL = "each", "all"


class Passing(NamedTuple):
    """How a convention passes arguments: registers of the classes integer, float, vector; what has none left, or is of
    class 'stack', lies on the stack, one after the other, aligned to its size."""

    arguments: tuple[int, int, int]
    results: tuple[int, int, int]
    vectors: str
    """Class of a vector: 'float', 'vector', 'stack'."""
    i128: str = HALVES
    f128: str = "float"
    area: bool = True
    """The address of the area for results that have no register takes an integer register of the arguments."""
    whole_vectors: bool = False
    """Only vectors of 128 bits are in registers; others are copied."""
    widest: int = 128
    """Bits of the widest argument that it has."""
    most_aligned: int = 64
    unit: int = 16
    """The arguments fill a multiple of these bytes."""
    more_results: tuple[int, int, int] | None = None
    """The registers of results by another setting (`enable_llvm_abi_extensions`)."""
    other_results: tuple[int, int, int] | None = None
    """The registers of results in other versions."""
    result_i128: str = ""
    """As `i128`, for results; '': alike."""
    copied_vectors: bool = False
    """Arguments of 128 bits that an allocator has in a float register are copied; results are not."""
    sret: bool = True
    """The address of a structure that is returned is an argument like any other."""
    positional: bool = False
    """An argument's register is that of its position, whatever the class."""
    shadow: int = 0
    """Bytes below the stack arguments."""
    to_the_right: bool = False
    """What is narrower than a word and has no extension lies at its word's end."""
    packed: bool = False
    """An argument takes no more bytes than it has."""
    packs_results: str = ""
    """All results but the last are on the stack, the first on top, each in the bytes that it has: EACH, except those
    with an extension; ALL, if none has one, nor is of two bytes in a float register."""
    widens: bool = False
    """A value with an extension is accessed as a word."""
    widened_once: bool = False
    """Up to some version; later ones do so in registers alone."""


class Order(NamedTuple):
    """Numbers of the registers in which a convention passes arguments and results, of each class in their order; those
    of vectors are registers of floats. `sret`: the register of a structure's address that is none of them."""

    arguments: tuple[tuple[int, ...], ...]
    results: tuple[tuple[int, ...], ...]
    sret: int = -1


@dataclass(frozen=True, slots=True)
class Abi:
    """Registers and stack of an ISA as its conventions and Cranelift's backend use them.

    frame         the frame pointer; -1: the ISA has none
    link          where the return address is on entry; -1: on the stack
    scratch       registers that may be written inside one instruction or move, and are relied on for nothing after it
    platform      registers that neither callers nor callees write: the platform's, and one that is always zero

    Conventions
    saved         convention -> registers that a callee gives back; what only differs by names is in `_CONVENTIONS`
    saved_bits    (first bit, bits) that it gives back of each of these floats
    half          how the assembler calls that part of one, before its number; '': by the register's name
    counts        registers of each class that `preserve_all` keeps, from number 0 on
    callee        the register that a convention of the compiler's own fixes for the callee of a call through a pointer
    tail_callee   the register that a tail call through a pointer has its callee in; -1: any
    callee_area   bytes at the stack pointer that any callee may write
    back_chain    the word at the stack pointer is the caller's
    shadow        convention -> bytes at the stack pointer that its callees may write
    stack_unit    a callee that takes its arguments away takes a multiple of these bytes
    passing       convention -> how it passes arguments and results, where that is known
    order         convention -> which registers these are
    area          the register with the address of the area for results, where it is none of the arguments'
    floats_on_top a float is at the upper end of its register
    boxed         above a float that is narrower than its register are ones
    top_lane      conventions in which lane 0 of a vector is at the upper end of its register
    whole_words   an integer that was handed over is loaded as a whole word, what is in a float register accessed as
                  four bytes at least; None: how is not known
    packing       conventions whose callees pack results on the stack
    popping       those whose callees take their arguments away in some versions, besides those that always do
    popping_since the first of these versions
    overstated    registers that the compiler counts as clobbered by calls although the convention keeps them

    The backend's code
    pushing           mnemonics that address the stack by themselves
    pushes_arguments  an instruction without operands takes room for arguments that a callee takes away
    carries_scratch   loops get values in scratch registers from the instruction before
    flags_wait        constants stand between who writes flags and who reads them
    flags_asked       nothing writes flags except for what reads them
    turns_unused      after a call the lanes of results are turned that nothing uses, too
    selects_by_moves  a selection is made of moves: none, where both its inputs are one
    doubling          mnemonics that are given one input twice: tests for NaN, moves, rotations, exchanges of halves
    implicit          instructions have operands that no field names
    tables_of_jumps   a jump table is made of far jumps, none for the default, not of distances
    stops             traps of the backend's own, for a debugger: no table has them
    merging           mnemonics that put a part into a register and leave the rest of it
    storing_if        beginnings of conditional stores' mnemonics: who describes them gives their outcome no result
    by_frame          functions access their arguments by the frame pointer, not by the stack pointer
    folds_pointers    loads through the stack or frame pointer that a program asks for are by the pointer itself
    half_jump         the half of a far jump round an island that is left in a function's bytes
    patched           relocation -> the mnemonics that it patches
    from_end          relocations of four bytes at the end of an instruction that addresses relatively to it
    through_table     the mnemonics by which control gets through one: its address, the entry, their sum, the jump
    indexed           the regular expression of the operands of what addresses the entry
    clamps            the mnemonic that bounds the index among the same bytes; '': others do

    Frames
    return_address  how far from a frame's frame pointer the return address is
    resume          code of a function of (pc, sp, frame pointer, two payloads) that enters an exception's handler
    """

    saved: Mapping[str, Saved]
    counts: tuple[int, int, int]
    resume: str
    frame: int = -1
    link: int = -1
    scratch: frozenset[int] = frozenset()
    platform: frozenset[int] = frozenset()
    saved_bits: tuple[int, int] = (0, 64)
    half: str = ""
    callee: int = -1
    tail_callee: int = -1
    callee_area: int = 0
    back_chain: bool = False
    shadow: Mapping[str, int] = field(default_factory=dict)
    stack_unit: int = 16
    passing: Mapping[str, Passing] = field(default_factory=dict)
    order: Mapping[str, Order] = field(default_factory=dict)
    area: int = -1
    floats_on_top: bool = False
    boxed: bool = False
    top_lane: frozenset[str] = frozenset()
    whole_words: bool | None = None
    packing: frozenset[str] = frozenset()
    popping: frozenset[str] = frozenset()
    popping_since: tuple[int, ...] = (0, 137)
    overstated: frozenset[int] = frozenset()
    pushing: frozenset[str] = frozenset()
    pushes_arguments: bool = False
    carries_scratch: bool = False
    flags_wait: bool = False
    flags_asked: bool = False
    turns_unused: bool = False
    selects_by_moves: bool = False
    doubling: frozenset[str] = frozenset()
    implicit: bool = False
    tables_of_jumps: bool = False
    stops: frozenset[str] = frozenset()
    merging: frozenset[str] = frozenset()
    storing_if: tuple[str, ...] = ()
    by_frame: bool = False
    folds_pointers: bool = False
    half_jump: str = ""
    patched: Mapping[str, frozenset[str]] = field(default_factory=dict)
    from_end: frozenset[str] = frozenset()
    through_table: tuple[str, ...] = ()
    indexed: str = ""
    clamps: str = ""
    return_address: int = 8


@cache
def abi_named(isa: str) -> Abi:
    """The facts of an ISA."""
    found = isa_named(isa).part("abi:ABI")
    assert isinstance(found, Abi)
    return found


class Owed(NamedTuple):
    """place -> how many bits of it a callee gives back unchanged, from bit `low` on."""

    bits: Mapping[int, int]
    low: int = 0
    pops: bool = False
    """Whether the callee takes its stack arguments away."""


class Reserved(NamedTuple):
    """Registers that no allocator gets. `readable`: the pointers, which any instruction may read."""

    sp: int
    frame: int
    link: int
    scratch: frozenset[int]
    readable: frozenset[int]


_CONVENTIONS: Final = dict.fromkeys(("", "fast", "cold", "apple_aarch64"), "system_v")
_AS_DEFAULT: Final = ("tail", "windows_fastcall")
"""Without a row they save what the default one does."""
UNRESTORED: Final = frozenset({"tail", "preserve_all", "winch"})
"""Conventions whose unwinders give no register back but the stack and frame pointer (Cranelift's
`get_regs_clobbered_by_call`, and Wasmtime's unwinder); others' give back what the callee owes."""


def free_for_all(isa: str, offered: Iterable[Iterable[int]]) -> frozenset[int]:
    """With `enable_pinned_reg` the pinned register, where there is one: the allocator is not offered it, any
    instruction may read and write it, and no function keeps it. `offered`: groups of registers."""
    pinned = isa_named(isa).pinned
    return frozenset() if pinned is None or any(pinned in group for group in offered) else frozenset({pinned})


@cache
def reserved(isa: str) -> Reserved:
    """What no allocator gets on this ISA."""
    abi, sp = abi_named(isa), isa_named(isa).stack_pointer
    return Reserved(sp, abi.frame, abi.link, abi.scratch, frozenset({sp, abi.frame} - {-1}))


@cache
def owed(isa: str, convention: str) -> Owed | None:
    """None: a convention that is not known for this ISA."""
    abi, widths = abi_named(isa), isa_named(isa).widths
    name = _CONVENTIONS.get(convention, convention)
    if name == "preserve_all":
        return Owed({64 * cls + n: width for cls, width in enumerate(widths) for n in range(abi.counts[cls])})
    row = abi.saved.get("system_v" if name in _AS_DEFAULT and name not in abi.saved else name)
    if row is None:
        return None
    low, bits = abi.saved_bits
    return Owed(dict.fromkeys(row[0], 64) | {FLOATS + n: bits for n in row[1]}, low, name == "tail")


def run(first: int, last: int) -> tuple[int, ...]:
    """Numbers of registers, both ends included."""
    return tuple(range(first, last + 1))
