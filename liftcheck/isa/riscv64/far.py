"""riscv64's far jumps: auipc into a register, and a jump to a distance from that.

Source: The RISC-V Instruction Set Manual, Volume I (20240411), 2.5.1.
"""

from __future__ import annotations

_AUIPC, _JALR_ZERO = 0x17, 0x67


def goal(code: bytes, at: int) -> int:
    """Where such a jump leads whose second half stands at `at`; -1 if there is none."""
    if at < 4:
        return -1
    first, second = (int.from_bytes(code[start : start + 4], "little") for start in (at - 4, at))
    if first & 0x7F != _AUIPC or second & 0x7FFF != _JALR_ZERO or first >> 7 & 31 != second >> 15 & 31:
        return -1
    high = first >> 12 << 12
    return at - 4 + high - (high >> 31 << 32) + (second >> 20) - (second >> 31 << 12)
