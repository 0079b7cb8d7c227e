"""Thunks of instructions on general and float registers: arithmetic with a condition code, conversions, tests of bits.

The one idea: registers that an instruction leaves alone are saved below the stack pointer, and restored after it.
Which instruction has which, and what each means: `thunks`.
Source: Principles of Operation SA22-7832-11.
"""

from __future__ import annotations

from liftcheck.isa.s390x.thunk_code import ALWAYS, EQUAL, UNORDERED, Thunk


def scalar_to_integer(code: bytes) -> Thunk:
    """c(l){f,g}{e,d,x}br: the 32 or 64 bits of a short, long or extended float R2, into R1; NaNs as `thunks` says."""
    r1, r2, signed, wide = code[3] >> 4, code[3] & 15, not code[1] & 4, code[1] >= 0xA0
    thunk = Thunk()
    thunk.raw(code[:4])
    thunk.rre((0xB309, 0xB319, 0xB349)[code[1] & 3], r2, r2)
    thunk.jump(ALWAYS ^ UNORDERED, "number")
    if wide:
        thunk.ri(0xA5C if signed else 0xA5D, r1, 0x8000 if signed else 0)
    else:
        thunk.raw(bytes((0xC0, r1 << 4 | 9)) + (0x8000_0000 if signed else 0).to_bytes(4, "big"))
    thunk.label("number")
    return thunk


def _scratch(taken: set[int], pair: bool = False) -> int:
    """A register (the even one of a pair) between r0 and r13 that is not taken."""
    step = 2 if pair else 1
    return next(r for r in range(0, 13, step) if r not in taken and (not pair or r + 1 not in taken))


def _save_registers(thunk: Thunk, registers: tuple[int, ...], opcode: int) -> None:
    """stg (0x24) or lg (0x04) below the stack pointer."""
    for index, register in enumerate(registers):
        thunk.rxy(opcode, register, -8 * (index + 1))


def _set_cc(thunk: Thunk, value: int, differ: int) -> None:
    """CC 3 where the compare before found `differ`-ent, else the sign of register `value`."""
    thunk.jump(ALWAYS ^ EQUAL, "overflow")
    thunk.rre(0xB902, value, value)
    thunk.jump(ALWAYS, "end")
    thunk.label("overflow")
    thunk.ri(0xA78, differ, 1)
    thunk.ri(0xA71, differ, 1)
    thunk.label("end")


def multiply32(code: bytes) -> Thunk:
    """msrkc R1,R2,R3: the 64-bit product of the sign-extended halves is exact."""
    r3, r1, r2 = code[2] >> 4, code[3] >> 4, code[3] & 15
    s = _scratch({r1, r2, r3})
    t = _scratch({r1, r2, r3, s})
    thunk = Thunk()
    _save_registers(thunk, (s, t), 0x24)
    thunk.rre(0xB914, s, r2)
    thunk.rre(0xB914, t, r3)
    thunk.rre(0xB90C, s, t)
    thunk.rr(0x18, r1, s)
    thunk.rre(0xB914, t, s)
    thunk.rre(0xB920, t, s)
    _set_cc(thunk, s, t)
    _save_registers(thunk, (s, t), 0x04)
    return thunk


def multiply64(code: bytes) -> Thunk:
    """msgrkc, mgrk R1,R2,R3: mlgr and a correction of the high half for negative factors."""
    r3, r1, r2 = code[2] >> 4, code[3] >> 4, code[3] & 15
    wide = code[1] == 0xEC
    taken = {r1, r2, r3} | ({r1 + 1} if wide else set())
    high = _scratch(taken, pair=True)
    low, t = high + 1, _scratch(taken | {high, high + 1})
    flags = _scratch(taken | {high, low, t})
    thunk = Thunk()
    _save_registers(thunk, (high, low, t, flags), 0x24)
    if wide:
        thunk.raw(bytes((0xB2, 0x22, 0, flags << 4)))
    thunk.rre(0xB904, low, r2)
    thunk.rre(0xB986, high, r3)
    for sign, other in ((r2, r3), (r3, r2)):
        thunk.rsy(0x0A, t, sign, 63, 0)
        thunk.rre(0xB980, t, other)
        thunk.rre(0xB909, high, t)
    if wide:
        thunk.rre(0xB904, r1, high)
        thunk.rre(0xB904, r1 + 1, low)
        thunk.raw(bytes((0x04, flags << 4)))
    else:
        thunk.rre(0xB904, r1, low)
        thunk.rsy(0x0A, t, low, 63, 0)
        thunk.rre(0xB920, t, high)
        _set_cc(thunk, low, t)
    _save_registers(thunk, (high, low, t, flags), 0x04)
    return thunk


def halfword(code: bytes) -> Thunk:
    """agh (0x38), sgh (0x39), mgh (0x3c) R1,D2(X2,B2)."""
    r1 = code[1] >> 4
    s = _scratch({r1})
    thunk = Thunk()
    _save_registers(thunk, (s,), 0x24)
    thunk.raw(bytes((0xE3, s << 4 | code[1] & 15)) + code[2:5] + b"\x15")
    thunk.rre({0x38: 0xB908, 0x39: 0xB909, 0x3C: 0xB90C}[code[5]], r1, s)
    _save_registers(thunk, (s,), 0x04)
    return thunk


def test_bits(code: bytes) -> Thunk | None:
    """rnsbg (0x54), rosbg (0x56), rxsbg (0x57) R1,R2,I3,I4,I5 with the test bit: only the condition code is set."""
    if not code[2] & 0x80:
        return None
    s = _scratch({code[1] >> 4, code[1] & 15})
    thunk = Thunk()
    _save_registers(thunk, (s,), 0x24)
    thunk.rre(0xB904, s, code[1] >> 4)
    thunk.raw(bytes((0xEC, s << 4 | code[1] & 15, code[2] & 0x7F)) + code[3:6])
    _save_registers(thunk, (s,), 0x04)
    return thunk
