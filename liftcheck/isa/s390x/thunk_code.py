"""The code of a thunk: a small assembler, the frame below the stack pointer, what is saved there.

The one idea: a thunk changes what the instruction that it replaces would change, so it begins and ends with the same
few instructions, which stand here. Which thunks there are: `thunks`.
Source: Principles of Operation SA22-7832-11, 'Instruction formats'.
"""

from __future__ import annotations

from typing import Final

_SP: Final = 15
_FRAME: Final = 288
OPERAND_A, OPERAND_B, OPERAND_C, RESULT, _SAVE, _GPRS = 0, 16, 32, 48, 64, 144
ALWAYS, EQUAL, LESS, GREATER, UNORDERED = 15, 8, 4, 2, 1


class Thunk:
    """Assembles a sequence of instructions with local labels. Only what the thunks need."""

    def __init__(self) -> None:
        self.code = bytearray()
        self._labels: dict[str, int] = {}
        self._jumps: list[tuple[int, str]] = []

    def rre(self, opcode: int, r1: int, r2: int, m3: int = 0) -> None:
        """RRE and RRF: opcode, M3 (or zero), R1, R2."""
        self.code += bytes((opcode >> 8, opcode & 255, m3 << 4, r1 << 4 | r2))

    def rr(self, opcode: int, r1: int, r2: int) -> None:
        self.code += bytes((opcode, r1 << 4 | r2))

    def ri(self, opcode: int, r1: int, value: int) -> None:
        """RI: opcode as in 0xa78 (lhi)."""
        self.code += bytes((opcode >> 4, r1 << 4 | opcode & 15)) + (value & 0xFFFF).to_bytes(2, "big")

    def rx(self, opcode: int, r1: int, at: int) -> None:
        """RX with the stack pointer as base."""
        self.code += bytes((opcode, r1 << 4, _SP << 4 | at >> 8, at & 255))

    def rxe(self, opcode: int, r1: int, at: int) -> None:
        self.code += bytes((0xED, r1 << 4, _SP << 4 | at >> 8, at & 255, 0, opcode))

    def rxf(self, opcode: int, r1: int, r3: int, at: int) -> None:
        self.code += bytes((0xED, r3 << 4, _SP << 4 | at >> 8, at & 255, r1 << 4, opcode))

    def rxy(self, opcode: int, r1: int, at: int, index: int = 0, base: int = _SP) -> None:
        self.code += bytes((0xE3, r1 << 4 | index, base << 4 | at >> 8 & 15, at & 255, at >> 12 & 255, opcode))

    def rsy(self, opcode: int, r1: int, r3: int, at: int, base: int = _SP) -> None:
        self.code += bytes((0xEB, r1 << 4 | r3, base << 4 | at >> 8 & 15, at & 255, at >> 12 & 255, opcode))

    def vector(self, opcode: int, v1: int, at: int) -> None:
        """vl (0x06), vst (0x0e) in the frame."""
        self.code += bytes((0xE7, (v1 & 15) << 4, _SP << 4 | at >> 8, at & 255, v1 >> 4 << 3, opcode))

    def raw(self, data: bytes) -> None:
        self.code += data

    def label(self, name: str) -> None:
        self._labels[name] = len(self.code)

    def jump(self, mask: int, name: str) -> None:
        self._jumps.append((len(self.code), name))
        self.code += bytes((0xA7, mask << 4 | 4, 0, 0))

    def finish(self, at: int, back: int) -> bytes:
        """The bytes for address `at`, with a jump to `back` after them."""
        for place, name in self._jumps:
            self.code[place + 2 : place + 4] = (self._labels[name] - place >> 1 & 0xFFFF).to_bytes(2, "big")
        distance = back - at - len(self.code) >> 1
        return bytes(self.code) + b"\xc0\xf4" + (distance & 0xFFFFFFFF).to_bytes(4, "big")

    def enter(self, save: tuple[int, ...], keep_cc: bool) -> None:
        """Makes the frame, saves r0 … r3 and the vector registers `save`; the condition code stays in r3."""
        self.rxy(0x71, _SP, -_FRAME)
        self.rsy(0x24, 0, 3, _GPRS)
        if keep_cc:
            self.raw(b"\xb2\x22\x00\x30")
        for index, register in enumerate(save):
            self.vector(0x0E, register, _SAVE + 16 * index)

    def leave(self, save: tuple[int, ...], keep_cc: bool, result: int | None) -> None:
        """Undoes `enter` and loads the result's vector register."""
        for index, register in enumerate(save):
            self.vector(0x06, register, _SAVE + 16 * index)
        if result is not None:
            self.vector(0x06, result, RESULT)
        if keep_cc:
            self.raw(b"\x04\x30")
        self.rsy(0x04, 0, 3, _GPRS)
        self.rxy(0x71, _SP, _FRAME)
