"""riscv64: instructions of two bytes (Zca, Zcd, Zcb): each has its own row, with the meaning of the one it stands for.

Reserved encodings have no row; hints (a result to x0, a shift by 0) are instructions that do nothing, and have none
either. Source: The RISC-V Instruction Set Manual, Volume I (20240411), chapters 26 (C), 27 (Zc), 26.8 (the listing).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Final

from liftcheck.bits import build as b
from liftcheck.bits.term import Term, const
from liftcheck.isa.riscv64.insts.common import FIELDS, KINDS, narrow
from liftcheck.isa.riscv64.insts.integer import branch, jump_to, load, store, trap, upper
from liftcheck.mach.rows.encoding import word
from liftcheck.mach.rows.kinds import Immediate, Kind, Target, Value, number_of
from liftcheck.mach.rows.machine import ALWAYS, Machine
from liftcheck.mach.rows.row import Meaning, Row, pure
from liftcheck.mach.rows.syntax import syntax


class _Upper(Immediate):
    """The immediate of c.lui: written as the 20 bits that it stands for."""

    def show(self, value: Value) -> str:
        return hex(value & 0xFFFFF)

    def parse(self, text: str) -> Value:
        number = number_of(text)
        return number - (1 << 20) if number >> 19 == 1 else number


_HERE: Final[Mapping[str, Kind]] = {
    **KINDS,
    "imm": Immediate("imm", 6, signed=True),
    "nzimm": Immediate("imm", 6, signed=True, refused=(0,)),
    "nzupper": _Upper("imm", 6, signed=True, refused=(0,), width=20),
    "shamt": Immediate("shamt", 6, refused=(0,)),
    "nzuimm": Immediate("uimm", 10, refused=(0,)),
    "adjust": Immediate("uimm", 10, signed=True, refused=(0,)),
    "uimm": Immediate("uimm", 9),
    "jump": Target("jump", 12),
    "branch": Target("branch", 9),
}
_SP: Final = 2


def _c(template: str, picture: str, meaning: Meaning, needs: str = "zca", untested: str = "") -> Row:
    return Row(syntax(template, _HERE), word(picture, FIELDS, "little"), meaning, "26, 27", needs, untested)


def _p(template: str, picture: str, meaning: Callable[..., Term], needs: str = "zca") -> Row:
    return _c(template, picture, pure(meaning), needs)


def _from_stack(size: int, extend: Callable[[Term, int], Term]) -> Meaning:
    return lambda s, offset: extend(s.load(b.add(s.read(_SP), offset), size), 64)


def _to_stack(size: int) -> Meaning:
    def meaning(s: Machine, value: Term, offset: Term) -> None:
        s.store(b.add(s.read(_SP), offset), b.trunc(value, 8 * size))

    return meaning


def _adjust(s: Machine, amount: Term) -> None:
    s.write(_SP, b.add(s.read(_SP), amount))


def _load_unsigned(size: int) -> Meaning:
    return load(size, b.zext)


def _loads_and_stores() -> Iterator[Row]:
    yield _c("c.addi4spn rdc, sp, nzuimm", "000 uimm[5:4|9:6|2|3] rdc 00", lambda s, n: b.add(s.read(_SP), n))
    for name, size, bits, extend in (("w", 4, "2|6", b.sext), ("d", 8, "7:6", b.sext)):
        three, high = {"w": ("010", "5:3"), "d": ("011", "5:3")}[name]
        to = {"w": "110", "d": "111"}[name]
        yield _c(f"c.l{name} rdc, uimm(rs1c)", f"{three} uimm[{high}] rs1c uimm[{bits}] rdc 00", load(size, extend))
        yield _c(f"c.s{name} rs2c, uimm(rs1c)", f"{to} uimm[{high}] rs1c uimm[{bits}] rs2c 00", store(size))
    yield _c("c.fld fdc, uimm(rs1c)", "001 uimm[5:3] rs1c uimm[7:6] rdc 00", load(8, b.sext), "zcd")
    yield _c("c.fsd fs2c, uimm(rs1c)", "101 uimm[5:3] rs1c uimm[7:6] rs2c 00", store(8), "zcd")
    yield _c("c.lwsp rdnz, uimm(sp)", "010 uimm[5] rd uimm[4:2|7:6] 10", _from_stack(4, b.sext))
    yield _c("c.ldsp rdnz, uimm(sp)", "011 uimm[5] rd uimm[4:3|8:6] 10", _from_stack(8, b.sext))
    yield _c("c.fldsp fd, uimm(sp)", "001 uimm[5] rd uimm[4:3|8:6] 10", _from_stack(8, b.sext), "zcd")
    yield _c("c.swsp rs2, uimm(sp)", "110 uimm[5:2|7:6] rs2 10", _to_stack(4))
    yield _c("c.sdsp rs2, uimm(sp)", "111 uimm[5:3|8:6] rs2 10", _to_stack(8))
    yield _c("c.fsdsp fs2, uimm(sp)", "101 uimm[5:3|8:6] rs2 10", _to_stack(8), "zcd")
    yield _c("c.lbu rdc, uimm(rs1c)", "100 000 rs1c uimm[0|1] rdc 00", _load_unsigned(1), "zcb")
    yield _c("c.lhu rdc, uimm(rs1c)", "100 001 rs1c 0 uimm[1] rdc 00", _load_unsigned(2), "zcb")
    yield _c("c.lh rdc, uimm(rs1c)", "100 001 rs1c 1 uimm[1] rdc 00", load(2, b.sext), "zcb")
    yield _c("c.sb rs2c, uimm(rs1c)", "100 010 rs1c uimm[0|1] rs2c 00", store(1), "zcb")
    yield _c("c.sh rs2c, uimm(rs1c)", "100 011 rs1c 0 uimm[1] rs2c 00", store(2), "zcb")


def _constants() -> Iterator[Row]:
    yield _c("c.nop", "000 0 00000 00000 01", lambda s: None)
    yield _p("c.addi +rdnz, nzimm", "000 imm[5] rd imm[4:0] 01", b.add)
    yield _p("c.addiw +rdnz, imm", "001 imm[5] rd imm[4:0] 01", narrow(b.add))
    yield _p("c.li rdnz, imm", "010 imm[5] rd imm[4:0] 01", lambda n: n)
    yield _c("c.addi16sp sp, adjust", "011 uimm[9] 00010 uimm[4|6|8:7|5] 01", _adjust)
    yield _p("c.lui rdlui, nzupper", "011 imm[5] rd imm[4:0] 01", upper)
    yield _p("c.slli +rdnz, shamt", "000 shamt[5] rd shamt[4:0] 10", b.shl)
    yield _p("c.srli +rdc, shamt", "100 shamt[5] 00 rdc shamt[4:0] 01", b.lshr)
    yield _p("c.srai +rdc, shamt", "100 shamt[5] 01 rdc shamt[4:0] 01", b.ashr)
    yield _p("c.andi +rdc, imm", "100 imm[5] 10 rdc imm[4:0] 01", b.band)


def _registers() -> Iterator[Row]:
    yield _p("c.mv rdnz, rs2nz", "100 0 rd rs2 10", lambda a: a)
    yield _p("c.add +rdnz, rs2nz", "100 1 rd rs2 10", b.add)
    for name, six, two, function, needs in (
        ("sub", "100011", "00", b.sub, "zca"),
        ("xor", "100011", "01", b.bxor, "zca"),
        ("or", "100011", "10", b.bor, "zca"),
        ("and", "100011", "11", b.band, "zca"),
        ("subw", "100111", "00", narrow(b.sub), "zca"),
        ("addw", "100111", "01", narrow(b.add), "zca"),
        ("mul", "100111", "10", b.mul, "zcb"),
    ):
        yield _p(f"c.{name} +rdc, rs2c", f"{six} rdc {two} rs2c 01", function, needs)
    extend: tuple[tuple[str, str, Callable[[Term], Term], str], ...] = (
        ("zext.b", "000", lambda a: b.zext(b.trunc(a, 8), 64), "zcb"),
        ("sext.b", "001", lambda a: b.sext(b.trunc(a, 8), 64), "zcb zbb"),
        ("zext.h", "010", lambda a: b.zext(b.trunc(a, 16), 64), "zcb zbb"),
        ("sext.h", "011", lambda a: b.sext(b.trunc(a, 16), 64), "zcb zbb"),
        ("zext.w", "100", lambda a: b.zext(b.trunc(a, 32), 64), "zcb zba"), ("not", "101", b.bnot, "zcb"),
    )  # fmt: skip
    for name, three, one, needs in extend:
        yield _p(f"c.{name} +rdc", f"100111 rdc 11 {three} 01", one, needs)


def _control() -> Iterator[Row]:
    yield _c("c.j jump", "101 jump[11|4|9:8|10|6|7|3:1|5] 01", lambda s, target: s.jump(target))
    for name, three, condition in (("c.beqz", "110", b.eq), ("c.bnez", "111", b.ne)):
        yield _c(f"{name} rs1c, branch", f"{three} branch[8|4:3] rs1c branch[7:6|2:1|5] 01", _zero(condition))
    yield _c(
        "c.jr ra", "100 0 00001 00000 10", lambda s: jump_to("return")(s, const(0, 64), s.read(1)), untested=_ANYWHERE
    )
    yield _c("c.jr rs1nz", "100 0 rs1 00000 10", lambda s, a: jump_to("jump")(s, const(0, 64), a), untested=_ANYWHERE)
    yield _c("c.jalr rs1nz", "100 1 rs1 00000 10", _call, untested=_ANYWHERE)
    yield _c("c.ebreak", "100 1 00000 00000 10", trap("break"), untested="it traps")
    yield _c("c.unimp", "000 0 00000 00000 00", trap("illegal"), untested="it traps")


_ANYWHERE: Final = "it jumps to wherever a register says"


def _zero(condition: Callable[[Term, Term], Term]) -> Meaning:
    return lambda s, a, target: branch(condition)(s, a, const(0, 64), target)


def _call(s: Machine, target: Term) -> None:
    s.jump(b.band(target, const(-2, 64)), ALWAYS, "call")
    s.write(1, s.next)


ROWS: Final = (*_loads_and_stores(), *_constants(), *_registers(), *_control())
