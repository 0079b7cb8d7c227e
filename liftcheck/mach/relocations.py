"""Writes one relocation into code bytes: the table of kinds that Cranelift's four backends emit, and LLVM's.

Letters as in the ELF supplements: S the symbol, A the addend, P the patched place, G the address of an 8-byte slot that
holds S (`G` kinds are in `GOT_KINDS`; the linker makes the slots). Kinds go by Cranelift's Debug names; its Display
names are taken too. Thread-local kinds are refused by name: generated programs have no thread-local data.
Sources: cranelift-codegen binemit/mod.rs and the backends' emit.rs; the psABI supplements of x86-64, AArch64, RISC-V,
s390x.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from liftcheck.errors import InternalError, Unsupported

_ALIASES: Final = {
    "PCRel32Dbl": "S390xPCRel32Dbl", "PLTRel32Dbl": "S390xPLTRel32Dbl", "PCRel4": "X86PCRel4", "Call": "Arm64Call",
    "CallPCRel4": "X86CallPCRel4", "CallPLTRel4": "X86CallPLTRel4", "GOTPCRel4": "X86GOTPCRel4",
    "Aarch64AdrGotLo12Nc": "Aarch64Ld64GotLo12Nc",
}  # fmt: skip

GOT_KINDS: Final = frozenset({"X86GOTPCRel4", "Aarch64AdrGotPage21", "Aarch64Ld64GotLo12Nc", "RiscvGotHi20"})
"""The symbol's address is to be read from a slot: the linker passes the slot's address as the symbol."""

LOW_HALF: Final = "RiscvPCRelLo12I"
"""Names the auipc it belongs to ('func:OFFSET'); the linker passes that instruction's own relocation."""


def canonical(kind: str) -> str:
    """The Debug name of a relocation kind."""
    return _ALIASES.get(kind, kind)


def _fits(value: int, bits: int, kind: str) -> int:
    if not -(1 << bits - 1) <= value < 1 << bits - 1:
        raise InternalError(f"relocation {kind} out of reach: a distance of {value:#x} needs more than {bits} bits")
    return value


def _patch32(code: bytearray, at: int, keep: int, bits: int) -> None:
    """Replaces the bits of a little-endian instruction word that `keep` does not cover."""
    word = int.from_bytes(code[at : at + 4], "little")
    code[at : at + 4] = (word & keep | bits & ~keep & 0xFFFFFFFF).to_bytes(4, "little")


def _abs8(code: bytearray, at: int, place: int, target: int) -> None:
    code[at : at + 8] = (target & (1 << 64) - 1).to_bytes(8, "little")


def _abs8_big(code: bytearray, at: int, place: int, target: int) -> None:
    code[at : at + 8] = (target & (1 << 64) - 1).to_bytes(8, "big")


def _pc32(code: bytearray, at: int, place: int, target: int) -> None:
    code[at : at + 4] = (_fits(target - place, 32, "X86PCRel4") & 0xFFFFFFFF).to_bytes(4, "little")


def _arm_call(code: bytearray, at: int, place: int, target: int) -> None:
    _patch32(code, at, 0xFC000000, _fits(target - place, 28, "Arm64Call") >> 2)


def _adrp(code: bytearray, at: int, place: int, target: int) -> None:
    pages = _fits((target >> 12) - (place >> 12), 21, "Aarch64AdrPrelPgHi21")
    _patch32(code, at, 0x9F00001F, (pages & 3) << 29 | (pages >> 2 & 0x7FFFF) << 5)


def _add_low12(code: bytearray, at: int, place: int, target: int) -> None:
    _patch32(code, at, 0xFFC003FF, (target & 0xFFF) << 10)


def _scaled_low12(shift: int) -> Callable[[bytearray, int, int, int], None]:
    def written(code: bytearray, at: int, place: int, target: int) -> None:
        _patch32(code, at, 0xFFC003FF, (target & 0xFFF) >> shift << 10)

    return written


def _auipc(code: bytearray, at: int, place: int, target: int) -> None:
    _patch32(code, at, 0xFFF, _fits(target - place + 0x800, 32, "RiscvPCRelHi20") >> 12 << 12)


def _low12_bits(code: bytearray, at: int, place: int, target: int) -> None:
    """`place` is that of the auipc that this instruction completes."""
    _patch32(code, at, 0xFFFFF, (target - place & 0xFFF) << 20)


def _call_pair(code: bytearray, at: int, place: int, target: int) -> None:
    _auipc(code, at, place, target)
    _low12_bits(code, at + 4, place, target)


def _pc32_halfwords(code: bytearray, at: int, place: int, target: int) -> None:
    code[at : at + 4] = (_fits(target - place, 33, "S390xPCRel32Dbl") >> 1 & 0xFFFFFFFF).to_bytes(4, "big")


_WRITERS: Final[dict[str, Callable[[bytearray, int, int, int], None]]] = {
    "Abs8": _abs8,
    "X86PCRel4": _pc32,
    "X86CallPCRel4": _pc32,
    "X86CallPLTRel4": _pc32,
    "X86GOTPCRel4": _pc32,
    "Arm64Call": _arm_call,
    "Aarch64AdrPrelPgHi21": _adrp,
    "Aarch64AdrGotPage21": _adrp,
    "Aarch64AddAbsLo12Nc": _add_low12,
    "Aarch64Ld64GotLo12Nc": _scaled_low12(3),
    **{f"Aarch64Ldst{8 << shift}AbsLo12Nc": _scaled_low12(shift) for shift in range(5)},
    "RiscvCallPlt": _call_pair,
    "RiscvPCRelHi20": _auipc,
    "RiscvGotHi20": _auipc,
    LOW_HALF: _low12_bits,
    "S390xPCRel32Dbl": _pc32_halfwords,
    "S390xPLTRel32Dbl": _pc32_halfwords,
}  # fmt: skip
KINDS: Final = frozenset(_WRITERS)


def write(code: bytearray, at: int, place: int, kind: str, target: int, big_endian: bool) -> None:
    """Writes the relocation of `kind` for `target` (S+A or G+A) at `code[at]`, whose address will be `place`."""
    if kind == "Abs8" and big_endian:
        return _abs8_big(code, at, place, target)
    writer = _WRITERS.get(kind)
    if writer is None:
        raise Unsupported(f"relocation {kind}")
    return writer(code, at, place, target)
