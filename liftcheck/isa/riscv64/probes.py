"""Probes of single instructions out of the tables, which have every instruction that the compiler has.

The one idea: a row becomes the instruction with operands that may be, after what configures vectors for it, and a
return; `runners.probes` executes it.
Sources: as the tables'; which instructions are of which extension: the RISC-V ISA manual, the vector specification 1.0.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from liftcheck.isa.riscv64 import ISA
from liftcheck.isa.riscv64.known import Known, known
from liftcheck.mach.rows.kinds import Immediate

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
_LEFT_OUT: Final = ("vset", "vlse", "vsse", "vlm", "vsm.", "vclmul", "froundnx.", "fleq.", "fltq.", "fcvtmod.")
"""Of another extension, or never emitted: a runner that lacks the last four (qemu 7.2) misses nothing."""
_VFADD: Final = 1 << 25 | 2 << 20 | 3 << 15 | 1 << 12 | 1 << 7 | 0x57
"""vfadd.vv v1, v2, v3"""


def _extensions(name: str, of_vectors: bool) -> frozenset[str]:
    """Under which extensions an instruction is emitted; none: under the base."""
    first, *parts = name.split(".")
    if of_vectors:
        return frozenset({"has_v", "has_zvbb"} if first in _VECTOR_BITS and name != "vcpop.m" else {"has_v"})
    if name in _EXTENSION:
        return frozenset({_EXTENSION[name]})
    if first in _ZFA:
        return frozenset({"has_zfa", "has_zfh"} if parts[-1] == "h" else {"has_zfa"})
    return frozenset({"has_zfh"}) if "h" in parts and first[0] == "f" else frozenset()


def of_tables() -> Iterator[tuple[frozenset[str], str, bytes]]:
    """(extensions, name, a function that executes the instruction and returns) of each row of an extension."""
    for name, one in known().items():
        needs = _extensions(name, one.of_vectors)
        if not needs or name.startswith(_LEFT_OUT):
            continue
        yield needs, name, _function(name, one, 32)
        if name.startswith(("vf", "vmf")) and one.of_vectors and not name.startswith("vfirst"):
            # A widening or narrowing one of 16 bits has operands of 32.
            yield needs | {"has_zvfh"}, name, _function(name, one, 16)


def _function(name: str, one: Known, width: int) -> bytes:
    """The instruction after what configures vectors for it, and a return. A floating-point instruction of the current
    rounding mode comes first: of one with a mode of its own in that place qemu 7.2 dies, whatever it has."""
    code = _encoded(one)
    if one.of_vectors:
        code = b"".join(word.to_bytes(4, "little") for word in (_configuration(name, width), _VFADD)) + code
    return code + _RETURN


def _configuration(name: str, width: int) -> int:
    """vsetivli zero, 2, e32, mf2 for what widens or narrows (its wide operand fits one register); e64 for what takes an
    eighth."""
    halved = name.startswith(("vw", "vfw", "vn", "vfn", "vmadc", "vwred", "vfwred"))
    element = 3 if name.endswith(".vf8") else {16: 1, 32: 2}[width]
    lmul = 7 if halved else 0
    count = 2 if halved or element == 3 else 4
    return 3 << 30 | (3 << 6 | element << 3 | lmul) << 20 | count << 15 | 7 << 12 | 0x57


_FIELDS: Final = {
    "rd": 10,
    "rs1": 11,
    "rs2": 12,
    "rs3": 13,
    "vd": 8,
    "vs1": 16,
    "vs2": 24,
    "vm": 1,
    "rm": 7,
    "shamt": 3,
}
"""a0 ... a3, fa0 ... fa3, the current rounding mode, no mask."""
_STACK: Final = 2


def _encoded(one: Known) -> bytes:
    """The instruction with operands that may be; an access is by the stack."""
    fields = {name: _FIELDS.get(name, 0) & room for name, room in one.row.encoding.rooms().items()}
    if one.accesses:
        fields["rs1"] = _STACK
    for operand in one.row.operands:
        if isinstance(operand.kind, Immediate) and operand.kind.field in ("rs1", "vs1"):
            fields[operand.kind.field] = 2
    return one.row.encoding.encode(fields)
