"""What riscv64's rows are written with: words, operands, places.

The one idea: names of operands are the manual's; x for integers is left out as there, f, s and h stand for floats of
64, 32 and 16 bits, c before a register is one of the eight that compressed instructions can name.
Source: The RISC-V Instruction Set Manual, Volume I (20240411): 2.2, 2.3 (formats), 21.2 (NaN boxes), 27.2 (compressed).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple

from liftcheck.bits.build import sext, trunc
from liftcheck.bits.floats import FORMATS
from liftcheck.bits.term import Term
from liftcheck.isa.riscv64 import ISA
from liftcheck.mach.rows.encoding import word
from liftcheck.mach.rows.kinds import Choice, Immediate, Kind, Register, Target
from liftcheck.mach.rows.machine import Machine, NoMeaning, Registers
from liftcheck.mach.rows.row import Meaning, Row, pure
from liftcheck.mach.rows.syntax import syntax

VLEN: Final = 128
"""Bits of a vector register: the least that V guarantees, which is what compiled code relies on."""
REGISTERS: Final = Registers((64, 64, VLEN), ISA.registers, {"frm": 3, "vl": 64, "vtype": 64})
"""Not here: the sticky bits of floating point and of saturation, which no instruction that is emitted reads."""

INT, FLOAT, VECTOR = 0, 64, 128
X, F, V = ISA.registers
FIELDS: Final = {
    "rd": 5,
    "rs1": 5,
    "rs2": 5,
    "rs3": 5,
    "rm": 3,
    "vd": 5,
    "vs1": 5,
    "vs2": 5,
    "vs3": 5,
    "vm": 1,
    "shamt": 6,
    "csr": 12,
    "rdc": 3,
    "rs1c": 3,
    "rs2c": 3,
    "pred": 4,
    "succ": 4,
}
ROUNDING: Final = {0: "rne", 1: "rtz", 2: "rdn", 3: "rup", 4: "rmm", 7: "dyn"}

_ORDERED: Final = {n: "".join(c for k, c in enumerate("wroi") if n >> k & 1)[::-1] or "0" for n in range(16)}
"""What a fence orders: device input and output, reads, writes."""


class Configuration(NamedTuple):
    """What meanings must know as numbers: vl, vtype (-1: not known) and frm (-1 too). `saved`: the place of a
    register that holds the mode that the function was entered in, to nearest even; -1: none."""

    vl: int = -1
    vtype: int = -1
    frm: int = 0
    saved: int = -1

    @property
    def sew(self) -> int:
        """Bits of an element."""
        return 8 << (self.vtype >> 3 & 7)

    @property
    def lanes(self) -> int:
        """VLMAX."""
        return most(self.vtype) if self.vl >= 0 else 0

    @property
    def tail_agnostic(self) -> bool:
        return bool(self.vtype >> 6 & 1)

    @property
    def mask_agnostic(self) -> bool:
        return bool(self.vtype >> 7 & 1)


def most(vtype: int) -> int:
    """VLMAX; 0: there is no such configuration."""
    group, width = vtype & 7, 8 << (vtype >> 3 & 7)
    if group == 4 or width > 64 or vtype >> 8:
        return 0
    share, limit = (VLEN << group, 64) if group < 4 else (VLEN >> 8 - group, 64 >> 8 - group)
    return share // width if width <= limit else 0


def rounding_mode(s: Machine, rm: int) -> str:
    """The name of a rounding mode, 'dyn' resolved: that of the context, to nearest even on entry."""
    if rm == 7:
        rm = s.context.frm if isinstance(s.context, Configuration) else 0
    if rm not in ROUNDING or rm == 7:
        raise NoMeaning("a rounding mode that is not known")
    return ROUNDING[rm]


def _float(field: str, width: int, written: bool) -> Register:
    nan = 0 if width == 64 else FORMATS[width].nan
    return Register(field, F, FLOAT, width, written=written, above="ones", boxed=nan)


def _small(field: str, first: int = INT, written: bool = False) -> Register:
    names = X if first == INT else F
    return Register(field, names[8:16], first, 64, written=written, numbers=range(8, 16))


def _kinds() -> dict[str, Kind]:
    kinds: dict[str, Kind] = {
        "rd": Register("rd", X, INT, 64, zero=0, written=True),
        "imm": Immediate("imm", 12, signed=True), "offset": Immediate("imm", 12, signed=True, role="offset"),
        "uimm5": Immediate("rs1", 5),
        "shamt": Immediate("shamt", 6),
        "shamtw": Immediate("shamt", 5, width=32),
        "upper": Immediate("upper", 20, width=20, hexadecimal=True),
        "branch": Target("branch", 13),
        "jump": Target("jump", 21),
        "rm": Choice("rm", ROUNDING, default=7),
        "rmx": Choice("rm", ROUNDING, default=0),
        "csr": Immediate("csr", 12, hexadecimal=True),
        "pred": Choice("pred", _ORDERED), "succ": Choice("succ", _ORDERED),
        # compressed
        "rdnz": Register("rd", ("", *X[1:]), INT, 64, written=True),
        "rdsp": Register("rd", ("", "", "sp", *("",) * 29), INT, 64, written=True),
        "rdlui": Register("rd", ("", X[1], "", *X[3:]), INT, 64, written=True),
        "rs1nz": Register("rs1", ("", *X[1:]), INT, 64),
        "rs2nz": Register("rs2", ("", *X[1:]), INT, 64),
        "rdc": _small("rdc", INT, True), "rs1c": _small("rs1c"), "rs2c": _small("rs2c"),
        "fdc": _small("rdc", FLOAT, True), "fs2c": _small("rs2c", FLOAT, False),
    }  # fmt: skip
    kinds |= {
        "vd": Register("vd", V, VECTOR, VLEN, VLEN, written=True),
        "vs1": Register("vs1", V, VECTOR, VLEN, VLEN),
        "vs2": Register("vs2", V, VECTOR, VLEN, VLEN),
        "vs3": Register("vd", V, VECTOR, VLEN, VLEN),
        "vm": Choice("vm", {0: "v0.t", 1: "unmasked"}, default=1, formed=True),
        "simm5": Immediate("vs1", 5, signed=True),
        "vuimm": Immediate("vs1", 5),
        "uimm6": Immediate("uimm6", 6),
    }
    for number in "123":
        kinds[f"rs{number}"] = Register(f"rs{number}", X, INT, 64, zero=0)
    for letter, width in (("f", 64), ("s", 32), ("h", 16)):
        kinds[f"{letter}d"] = _float("rd", width, True)
        for number in "123":
            kinds[f"{letter}s{number}"] = _float(f"rs{number}", width, False)
    return kinds


KINDS: Final = _kinds()


def inst(template: str, picture: str, meaning: Meaning, section: str, needs: str = "", untested: str = "") -> Row:
    """A row; see docs/machine-rows.md."""
    return Row(syntax(template, KINDS), word(picture, FIELDS, "little"), meaning, section, needs, untested)


def plain(template: str, picture: str, meaning: Callable[..., Any], section: str, needs: str = "") -> Row:
    """A row whose meaning asks nothing of the machine."""
    return inst(template, picture, pure(meaning), section, needs)


def narrow(function: Callable[..., Term], width: int = 32) -> Callable[..., Term]:
    """The function on the low 32 bits of its operands, sign-extended: the instructions on words."""
    return lambda *values: sext(function(*(trunc(v, width) for v in values)), 64)
