"""The code of a thunk: assembler text, the frame below the stack pointer, what is saved there.

The one idea: a thunk changes what the instruction that it replaces would change, so it begins and ends with the same
few instructions, which stand here. Its text is assembled by the ISA's own table of rows, a line at a time; lines are
few, since all of a thunk but its operands' registers is always the same, so each is assembled once. Which thunks there
are: `thunks`; that each does what its row says is proven (`oracles/rows/replaced_smt.py`).
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from liftcheck.isa.s390x import ISA

_FRAME: Final = 288
OPERAND_A, OPERAND_B, OPERAND_C, RESULT, _SAVE, _GPRS = 0, 16, 32, 48, 64, 144
SP: Final = "(%r15)"
_JUMP: Final = 4


@lru_cache(maxsize=1 << 13)
def assembled(line: str) -> bytes:
    """The bytes of an instruction."""
    data: bytes = ISA.part(ISA.rows)().assemble(line).data
    return data


def jump_to(distance: int, short: bool) -> bytes:
    """A jump of four bytes or of six."""
    return assembled(f"{'j' if short else 'jg'} {distance}")


class Thunk:
    """Assembles a sequence of instructions with local labels."""

    def __init__(self, *lines: str) -> None:
        self.code = bytearray()
        self._labels: dict[str, int] = {}
        self._jumps: list[tuple[int, str, str]] = []
        self.add(*lines)

    def add(self, *lines: str) -> None:
        """Instructions."""
        for line in lines:
            self.code += assembled(line)

    def label(self, name: str) -> None:
        self._labels[name] = len(self.code)

    def jump(self, mnemonic: str, name: str) -> None:
        """A jump to a label, of any condition."""
        self._jumps.append((len(self.code), mnemonic, name))
        self.code += bytes(_JUMP)

    def finish(self, at: int, back: int) -> bytes:
        """The bytes for address `at`, with a jump to `back` after them."""
        for place, mnemonic, name in self._jumps:
            self.code[place : place + _JUMP] = assembled(f"{mnemonic} {self._labels[name] - place}")
        return bytes(self.code) + jump_to(back - at - len(self.code), short=False)

    def enter(self, save: tuple[int, ...], keep_cc: bool) -> None:
        """Makes the frame, saves r0 … r3 and the vector registers `save`; the condition code stays in r3."""
        self.add(f"lay %r15, -{_FRAME}{SP}", f"stmg %r0, %r3, {_GPRS}{SP}")
        if keep_cc:
            self.add("ipm %r3")
        self.add(*(f"vst %v{register}, {_SAVE + 16 * index}{SP}" for index, register in enumerate(save)))

    def leave(self, save: tuple[int, ...], keep_cc: bool, result: int | None) -> None:
        """Undoes `enter` and loads the result's vector register."""
        self.add(*(f"vl %v{register}, {_SAVE + 16 * index}{SP}" for index, register in enumerate(save)))
        if result is not None:
            self.add(f"vl %v{result}, {RESULT}{SP}")
        if keep_cc:
            self.add("spm %r3")
        self.add(f"lmg %r0, %r3, {_GPRS}{SP}", f"lay %r15, {_FRAME}{SP}")
