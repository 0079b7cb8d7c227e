"""A64: branches, exceptions, hints, barriers, system registers.

Signing a return address is exclusive or with an unknown number that depends on the key and the modifier: so who
authenticates with the same key and modifier has the address again, and of nothing else is anything known.
Source: Arm ARM (DDI 0487), C4.1 'Branches, Exception Generating and System instructions', C6.2.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from liftcheck.bits import build as b
from liftcheck.bits.term import Term, const, value_of, var
from liftcheck.isa.aarch64.insts.common import CONDITIONS, KINDS, LINK, SIZES, SP, holds, inst
from liftcheck.mach.rows.machine import ALWAYS, Machine, NoMeaning
from liftcheck.mach.rows.row import Row, alias

_SECTION: Final = "C4.1 Branches, Exception Generating and System instructions"
_ANYWHERE: Final = "it jumps to wherever a register says"
_NOTHING: Final = "a hint or an ordering of accesses: there is nothing to see"
_SIGNED: Final = "it depends on a key"
_SIGNATURES: Final = (var("signature_a", 64), var("signature_b", 64))
"""By key."""
_HINTS: Final = {
    0: "nop", 1: "yield", 2: "wfe", 3: "wfi", 4: "sev", 5: "sevl", 20: "csdb", 32: "bti", 34: "bti c", 36: "bti j",
    38: "bti jc",
}  # fmt: skip
_SIGNS: Final = {
    24: "paciaz", 25: "paciasp", 26: "pacibz", 27: "pacibsp", 28: "autiaz", 29: "autiasp", 30: "autibz", 31: "autibsp",
}  # fmt: skip


def _jump(s: Machine, target: Term) -> None:
    s.jump(target)


def _call(s: Machine, target: Term) -> None:
    s.jump(target, ALWAYS, "call")
    s.write(LINK, s.next)


def _return(s: Machine, target: Term) -> None:
    s.jump(target, ALWAYS, "return")


def _if_zero(zero: bool) -> Callable[..., None]:
    def meaning(s: Machine, a: Term, target: Term) -> None:
        truth = b.nonzero(a)
        s.jump(target, b.bnot(truth) if zero else truth)

    return meaning


def _if_bit(wanted: int) -> Callable[..., None]:
    def meaning(s: Machine, a: Term, number: Term, target: Term) -> None:
        bit = b.extract(a, value_of(number), 1)
        s.jump(target, bit if wanted else b.bnot(bit))

    return meaning


def _if(number: int) -> Callable[..., None]:
    return lambda s, target: s.jump(target, holds(s, const(number, 8)))


def _branches() -> Iterator[Row]:
    for number, name in enumerate(CONDITIONS):
        yield inst(f"b.{name} target19", f"0101 0100 imm19:19 0 {number:04b}", _if(number), _SECTION)
    yield inst("b target", "0 00101 imm26:26", _jump, _SECTION)
    yield inst("bl target", "1 00101 imm26:26", _call, _SECTION)
    for r, sf, _ in SIZES:
        for name, bit in (("cbz", "0"), ("cbnz", "1")):
            yield inst(f"{name} {r}t, target19", f"{sf} 011010 {bit} imm19:19 rt", _if_zero(bit == "0"), _SECTION)
        for name, bit in (("tbz", "0"), ("tbnz", "1")):
            yield inst(f"{name} {r}t, bit{5 + int(sf)}, target14", f"{sf} 011011 {bit} bit:5 imm14:14 rt",
                       _if_bit(int(bit)), _SECTION)  # fmt: skip
    for name, opc, meaning in (("br", "0000", _jump), ("blr", "0001", _call), ("ret", "0010", _return)):
        yield inst(f"{name} xn", f"1101 011 {opc} 11111 000000 rn 00000", meaning, _SECTION, untested=_ANYWHERE)
    for name, bit in (("retaa", "0"), ("retab", "1")):
        yield inst(name, f"1101 011 0010 11111 00001{bit} 11111 11111", _authenticated(int(bit)), _SECTION, "pauth",
                   _ANYWHERE)  # fmt: skip


def _authenticated(key: int) -> Callable[[Machine], None]:
    return lambda s: s.jump(_turned(s, key, True), ALWAYS, "return")


def _turned(s: Machine, key: int, by_sp: bool) -> Term:
    """The link register, signed or authenticated: both are the same."""
    number = _SIGNATURES[key]
    return b.bxor(s.read(LINK), b.mul(s.read(SP), number) if by_sp else number)


def _traps(code: str) -> Callable[..., None]:
    return lambda s, number: s.trap(ALWAYS, code)


def _nothing(s: Machine, *values: Term) -> None:
    """Nothing that terms can see."""


def _signed(hint: int) -> Callable[[Machine], None]:
    return lambda s: s.write(LINK, _turned(s, hint >> 1 & 1, bool(hint & 1)))


def _stripped(s: Machine) -> None:
    s.write(LINK, s.undefined(64))


def _system() -> Iterator[Row]:
    for name, opc, last in (("svc", "000", "01"), ("hlt", "010", "00"), ("brk", "001", "00")):
        yield inst(f"{name} imm16", f"1101 0100 {opc} imm16:16 000 {last}", _traps(name), _SECTION, untested="it traps")
    yield inst("udf imm16", "0x0000 imm16:16", _traps("udf"), _SECTION, untested="it traps")
    for name, op2 in (("dsb", "100"), ("dmb", "101")):
        yield inst(f"{name} barrier", f"0xD503 0011 crm:4 1 {op2[1:]} 11111", _nothing, _SECTION, untested=_NOTHING)
    yield inst("isb", "0xD5033FDF", _nothing, _SECTION, untested=_NOTHING)
    yield inst("hint hint", "0xD503 0010 hint:7 11111", _unknown_hint, _SECTION, untested="a hint of no known kind")
    for number, name in _HINTS.items():
        yield inst(name, f"0xD503 0010 {number:07b} 11111", _nothing, _SECTION, untested=_NOTHING)
    for number, name in _SIGNS.items():
        yield inst(name, f"0xD503 0010 {number:07b} 11111", _signed(number), _SECTION, "pauth", _SIGNED)
    yield inst("xpaclri", "0xD503 0010 0000111 11111", _stripped, _SECTION, "pauth", _SIGNED)
    for register, bits in (("nzcv", "0x42 000"), ("tpidr_el0", "0xD0 010"), ("fpcr", "0x44 000")):
        yield inst(f"mrs >xt, {register}", f"0xD53B {bits} rt", _read(register), _SECTION,
                   untested="" if register == "nzcv" else "not in the states of tests")  # fmt: skip
        yield inst(f"msr {register}, xt", f"0xD51B {bits} rt", _write(register), _SECTION,
                   untested="" if register == "nzcv" else "not in the states of tests")  # fmt: skip


def _unknown_hint(s: Machine, number: Term) -> None:
    raise NoMeaning(f"hint {value_of(number)}")


def _read(register: str) -> Callable[[Machine], Term]:
    def meaning(s: Machine) -> Term:
        if register != "nzcv":
            return s.read(register)
        high = s.read("n")
        for flag in "zcv":
            high = b.concat(high, s.read(flag))
        return b.zext(b.concat(high, const(0, 28)), 64)

    return meaning


def _write(register: str) -> Callable[[Machine, Term], None]:
    def meaning(s: Machine, value: Term) -> None:
        if register != "nzcv":
            s.write(register, value)
            return
        for at, flag in enumerate("vczn"):
            s.write(flag, b.extract(value, 28 + at, 1))

    return meaning


def _rows() -> Iterator[Row]:
    made = [*_branches(), *_system()]
    yield from made
    yield alias(next(row for row in made if row.name == "ret"), "ret", KINDS, xn=30)


ROWS: Final = tuple(_rows())
