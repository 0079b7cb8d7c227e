"""Thunks of instructions on general and float registers: arithmetic with a condition code, conversions, tests of bits.

The one idea: registers that an instruction leaves alone are saved below the stack pointer, and restored after it.
Which instruction has which, and what each means: `thunks`.
Source: Principles of Operation SA22-7832-11.
"""

from __future__ import annotations

from liftcheck.isa.s390x.thunk_code import SP, Thunk


def scalar_to_integer(code: bytes) -> Thunk:
    """c(l){f,g}{e,d,x}br: the 32 or 64 bits of a short, long or extended float R2, into R1; NaNs as `thunks` says."""
    r1, r2, signed, wide = code[3] >> 4, code[3] & 15, not code[1] & 4, code[1] >= 0xA0
    letter = "edx"[code[1] & 3]
    name = f"c{'' if signed else 'l'}{'g' if wide else 'f'}{letter}br{'a' if signed else ''}"
    thunk = Thunk(f"{name} %r{r1}, {code[2] >> 4}, %f{r2}, {code[2] & 15}", f"c{letter}br %f{r2}, %f{r2}")
    thunk.jump("jno", "number")
    if wide:
        thunk.add(f"llihh %r{r1}, {0x8000}" if signed else f"llihl %r{r1}, 0")
    else:
        thunk.add(f"iilf %r{r1}, {0x8000_0000 if signed else 0}")
    thunk.label("number")
    return thunk


def _scratch(taken: set[int], pair: bool = False) -> int:
    """A register (the even one of a pair) between r0 and r13 that is not taken."""
    step = 2 if pair else 1
    return next(r for r in range(0, 13, step) if r not in taken and (not pair or r + 1 not in taken))


def _saved(thunk: Thunk, registers: tuple[int, ...], name: str) -> None:
    """stg or lg of some registers below the stack pointer."""
    thunk.add(*(f"{name} %r{register}, {-8 * (index + 1)}{SP}" for index, register in enumerate(registers)))


def _set_cc(thunk: Thunk, value: int, differ: int) -> None:
    """CC 3 where the compare before found `differ`-ent, else the sign of register `value`."""
    thunk.jump("jne", "overflow")
    thunk.add(f"ltgr %r{value}, %r{value}")
    thunk.jump("j", "end")
    thunk.label("overflow")
    thunk.add(f"lhi %r{differ}, 1", f"tmll %r{differ}, 1")
    thunk.label("end")


def multiply32(code: bytes) -> Thunk:
    """msrkc R1,R2,R3: the 64-bit product of the sign-extended halves is exact."""
    r3, r1, r2 = code[2] >> 4, code[3] >> 4, code[3] & 15
    s = _scratch({r1, r2, r3})
    t = _scratch({r1, r2, r3, s})
    thunk = Thunk()
    _saved(thunk, (s, t), "stg")
    thunk.add(f"lgfr %r{s}, %r{r2}", f"lgfr %r{t}, %r{r3}", f"msgr %r{s}, %r{t}", f"lr %r{r1}, %r{s}")
    thunk.add(f"lgfr %r{t}, %r{s}", f"cgr %r{t}, %r{s}")
    _set_cc(thunk, s, t)
    _saved(thunk, (s, t), "lg")
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
    _saved(thunk, (high, low, t, flags), "stg")
    if wide:
        thunk.add(f"ipm %r{flags}")
    thunk.add(f"lgr %r{low}, %r{r2}", f"mlgr %r{high}, %r{r3}")
    for sign, other in ((r2, r3), (r3, r2)):
        thunk.add(f"srag %r{t}, %r{sign}, 63", f"ngr %r{t}, %r{other}", f"sgr %r{high}, %r{t}")
    if wide:
        thunk.add(f"lgr %r{r1}, %r{high}", f"lgr %r{r1 + 1}, %r{low}", f"spm %r{flags}")
    else:
        thunk.add(f"lgr %r{r1}, %r{low}", f"srag %r{t}, %r{low}, 63", f"cgr %r{t}, %r{high}")
        _set_cc(thunk, low, t)
    _saved(thunk, (high, low, t, flags), "lg")
    return thunk


def halfword(code: bytes) -> Thunk:
    """agh (0x38), sgh (0x39), mgh (0x3c) R1,D2(X2,B2)."""
    r1 = code[1] >> 4
    s = _scratch({r1})
    thunk = Thunk()
    _saved(thunk, (s,), "stg")
    thunk.add(f"lgh %r{s}, {_address(code)}", f"{ {0x38: 'agr', 0x39: 'sgr', 0x3C: 'msgr'}[code[5]] } %r{r1}, %r{s}")
    _saved(thunk, (s,), "lg")
    return thunk


def _address(code: bytes) -> str:
    """D2(X2,B2) of an RXY instruction."""
    index, base, low = code[1] & 15, code[2] >> 4, (code[2] & 15) << 8 | code[3]
    distance = low | (code[4] << 12) - (code[4] >> 7 << 20)
    registers = [f"%r{index}" if index else "0", f"%r{base}" if base else "0"]
    return f"{distance}({','.join(registers[not index :])})" if index or base else f"{distance}"


def test_bits(code: bytes) -> Thunk | None:
    """rnsbg (0x54), rosbg (0x56), rxsbg (0x57) R1,R2,I3,I4,I5 with the test bit: only the condition code is set."""
    if not code[2] & 0x80:
        return None
    s = _scratch({code[1] >> 4, code[1] & 15})
    name = {0x54: "rnsbg", 0x56: "rosbg", 0x57: "rxsbg"}[code[5]]
    thunk = Thunk()
    _saved(thunk, (s,), "stg")
    thunk.add(f"lgr %r{s}, %r{code[1] >> 4}")
    thunk.add(f"{name} %r{s}, %r{code[1] & 15}, {code[2] & 0x7F}, {code[3]}, {code[4]}")
    _saved(thunk, (s,), "lg")
    return thunk
