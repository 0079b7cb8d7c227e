"""Probes of single instructions out of the tables, which have every instruction that the compiler has.

The one idea: a row becomes the instruction with operands that may be, after what configures vectors for it, and a
return; `runners.probes` executes it.
Sources: as the tables'; which instructions are of which extension: the RISC-V ISA manual, the vector specification 1.0.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from liftcheck.isa.riscv64 import ISA
from liftcheck.isa.riscv64.decoder import rows
from liftcheck.isa.riscv64.vector import Row

_RETURN: Final = bytes.fromhex(ISA.ret)
_VECTOR_BITS: Final = frozenset({"vandn", "vrol", "vror", "vwsll", "vbrev", "vbrev8", "vrev8", "vclz", "vctz", "vcpop"})
_BY_NAME: Final = {
    "has_zba": "sh1add sh2add sh3add sh1add.uw sh2add.uw sh3add.uw add.uw slli.uw",
    "has_zbb": "andn orn xnor clz clzw ctz ctzw cpop cpopw max maxu min minu sext.b sext.h zext.h rol rolw ror rori "
    "roriw rorw orc.b rev8",
    "has_zbs": "bclr bclri bext bexti binv binvi bset bseti",
    "has_zbc": "clmul clmulh clmulr",
    "has_zbkb": "pack packh packw brev8",
    "has_zicond": "czero.eqz czero.nez",
    "has_zfhmin": "flh fsh fmv.x.h fmv.h.x fcvt.s.h fcvt.h.s fcvt.d.h fcvt.h.d",
}
_EXTENSION: Final = {name: extension for extension, names in _BY_NAME.items() for name in names.split()}
_ZFA: Final = frozenset({"fli", "fminm", "fmaxm", "fround"})
_LEFT_OUT: Final = ("vset", "vclmul", "froundnx.", "fleq.", "fltq.", "fcvtmod.")
"""Of another extension, or never emitted: a runner that lacks the last four (qemu 7.2) misses nothing."""
_D, _S, _T, _U = 10, 11, 12, 13
"""a0 … a3, fa0 … fa3."""
_VD, _VS, _VT = 8, 16, 24
_STACK: Final = 2
_VFADD: Final = 1 << 25 | 2 << 20 | 3 << 15 | 1 << 12 | 1 << 7 | 0x57
"""vfadd.vv v1, v2, v3"""


def _extensions(row: Row) -> frozenset[str]:
    """Under which extensions a row's instruction is emitted; none: under the base."""
    first, *parts = row.name.split(".")
    if row.of_vectors:
        return frozenset({"has_v", "has_zvbb"} if first in _VECTOR_BITS and row.name != "vcpop.m" else {"has_v"})
    if row.name in _EXTENSION:
        return frozenset({_EXTENSION[row.name]})
    if first in _ZFA:
        return frozenset({"has_zfa", "has_zfh"} if parts[-1] == "h" else {"has_zfa"})
    return frozenset({"has_zfh"}) if "h" in parts and first[0] == "f" else frozenset()


def of_tables() -> Iterator[tuple[frozenset[str], str, bytes]]:
    """(extensions, name, a function that executes the instruction and returns) of each row of an extension."""
    for row in rows():
        needs = _extensions(row)
        if not needs or row.name.startswith(_LEFT_OUT) or ".q" in row.name:
            continue
        yield needs, row.name, _function(row, 32)
        if row.name.startswith(("vf", "vmf")) and row.of_vectors and not row.name.startswith("vfirst"):
            # A widening or narrowing one of 16 bits has operands of 32.
            yield needs | {"has_zvfh"}, row.name, _function(row, 16)


def _function(row: Row, width: int) -> bytes:
    """The instruction after what configures vectors for it, and a return. A floating-point instruction of the current
    rounding mode comes first: of one with a mode of its own in that place qemu 7.2 dies, whatever it has."""
    words = [_word(row)]
    if row.of_vectors:
        words = [_configuration(row, width), _VFADD, *words]
    return b"".join(word.to_bytes(4, "little") for word in words) + _RETURN


def _configuration(row: Row, width: int) -> int:
    """vsetivli zero, 2, e32, mf2 for what widens or narrows (its wide operand fits one register); e64 for what takes an
    eighth."""
    name = row.name
    halved = name.startswith(("vw", "vfw", "vn", "vfn", "vmadc", "vwred", "vfwred"))
    element = 3 if name.endswith(".vf8") else {16: 1, 32: 2}[width]
    lmul = 7 if halved else 0
    count = 2 if halved or element == 3 else 4
    return 3 << 30 | (3 << 6 | element << 3 | lmul) << 20 | count << 15 | 7 << 12 | 0x57


def _word(row: Row) -> int:
    """The row's instruction with operands that may be: the first argument registers, the stack, vectors 8, 16, 24."""
    word = row.match
    for field in row.fields.split():
        kind, place = field.lstrip("+~")[0], field[-1]
        if kind == "v":
            word |= {"d": _VD << 7, "s": _VS << 15, "t": _VT << 20}[place]
        elif kind in "xf" and len(field.lstrip("+~")) == 2:
            base = _STACK if row.size and kind == "x" and place == "s" else _S
            word |= {"d": _D << 7, "s": base << 15, "t": _T << 20, "u": _U << 27}[place]
        elif kind == "z":
            word |= 2 << 15
        elif kind in "hw":
            word |= 3 << 20
    if not row.mask & 0x7000 and word & 0x7F in (0x43, 0x47, 0x4B, 0x4F, 0x53):
        word |= 7 << 12  # the current rounding mode
    return word | (1 << 25 if row.masked == 1 else 0)
