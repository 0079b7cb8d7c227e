"""riscv64's vector instructions: the rows of the table, and what moves, loads and stores of vectors do exactly.

The one idea: an arithmetic vector instruction is a funct6 in one of three opcode spaces (integer, multiply, float), and
its operand category (VV, VX, VI, VF) says what stands in the field of the first source.

What is assumed, as Cranelift does it: destinations are tail and mask agnostic, so that what an instruction leaves alone
is worth nothing (`vsetvli` with another policy, or with LMUL above 1, is not known here), and the elements of operands
fit one register (a widening instruction runs at LMUL 1/2 or less). A masked instruction merges into its destination.
Accesses with a stride, with indexes, of masks and of several fields are not known: Cranelift has none.
The configuration is one value, vl << 16 | vtype, with vl for VLEN = 128, the least that V guarantees.
Source: The RISC-V Instruction Set Manual, Volume I (20240411), chapter 30 and its instruction table; Zvbb (chapter 32).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from liftcheck.bits.build import eq, extract, ite
from liftcheck.bits.term import Term, const, var
from liftcheck.mach import insn as m
from liftcheck.mach.insn import Effect, Insn, Load, Store, address, loaded, register
from liftcheck.mach.regs import NONE

_ISA: Final = "riscv64"
VLEN: Final = 128


class Row(NamedTuple):
    """One instruction: pattern, operand fields (see the legend of `decoder`), bytes of memory.

    vector      whether it depends on the vector configuration
    masked      1 if bit 25 clear means 'under the mask v0', 2 if it then reads v0 and no more
    registers   how many registers its vector operands are
    stores      a vector store: field d is read
    """

    name: str
    mask: int
    match: int
    fields: str
    size: int = 0
    vector: bool = False
    masked: int = 0
    registers: int = 1
    stores: bool = False

    @property
    def of_vectors(self) -> bool:
        """Whether it is a vector instruction: whole registers are moved whatever the configuration is."""
        return self.vector or "vd" in self.fields


_INTEGER: Final = """
0 vadd VXI, 2 vsub VX, 3 vrsub XI, 4 vminu VX, 5 vmin VX, 6 vmaxu VX, 7 vmax VX, 9 vand VXI, 10 vor VXI, 11 vxor VXI,
12 vrgather VXI, 14 vrgatherei16 V, 14 +vslideup XI, 15 vslidedown XI, 16 =vadc VXI, 17 =vmadc VXI, 18 =vsbc VX,
19 =vmsbc VX, 24 vmseq VXI, 25 vmsne VXI, 26 vmsltu VX, 27 vmslt VX, 28 vmsleu VXI, 29 vmsle VXI, 30 vmsgtu XI,
31 vmsgt XI, 32 vsaddu VXI, 33 vsadd VXI, 34 vssubu VX, 35 vssub VX, 37 vsll VXI, 39 vsmul VX, 40 vsrl VXI,
41 vsra VXI, 42 vssrl VXI, 43 vssra VXI, 44 vnsrl VXI, 45 vnsra VXI, 46 vnclipu VXI, 47 vnclip VXI, 48 vwredsumu V,
49 vwredsum V, 1 vandn VX, 20 vror VXI, 21 vrol VX, 21 vror I, 53 vwsll VXI
"""
_MULTIPLY: Final = """
0 vredsum V, 1 vredand V, 2 vredor V, 3 vredxor V, 4 vredminu V, 5 vredmin V, 6 vredmaxu V, 7 vredmax V, 8 vaaddu VX,
9 vaadd VX, 10 vasubu VX, 11 vasub VX, 14 ~vslide1up X, 15 vslide1down X, 23 vcompress V, 24 vmandn V, 25 vmand V,
26 vmor V, 27 vmxor V, 28 vmorn V, 29 vmnand V, 30 vmnor V, 31 vmxnor V, 32 vdivu VX, 33 vdiv VX, 34 vremu VX,
35 vrem VX, 36 vmulhu VX, 37 vmul VX, 38 vmulhsu VX, 39 vmulh VX, 41 +vmadd VX, 43 +vnmsub VX, 45 +vmacc VX,
47 +vnmsac VX, 48 vwaddu VX, 49 vwadd VX, 50 vwsubu VX, 51 vwsub VX, 52 vwaddu.w VX, 53 vwadd.w VX, 54 vwsubu.w VX,
55 vwsub.w VX, 56 vwmulu VX, 58 vwmulsu VX, 59 vwmul VX, 60 +vwmaccu VX, 61 +vwmacc VX, 62 +vwmaccus X,
63 +vwmaccsu VX, 12 vclmul VX, 13 vclmulh VX
"""
_FLOAT: Final = """
0 vfadd VF, 1 vfredusum V, 2 vfsub VF, 3 vfredosum V, 4 vfmin VF, 5 vfredmin V, 6 vfmax VF, 7 vfredmax V, 8 vfsgnj VF,
9 vfsgnjn VF, 10 vfsgnjx VF, 14 ~vfslide1up F, 15 vfslide1down F, 24 vmfeq VF, 25 vmfle VF, 27 vmflt VF, 28 vmfne VF,
29 vmfgt F, 31 vmfge F, 32 vfdiv VF, 33 vfrdiv F, 36 vfmul VF, 39 vfrsub F, 40 +vfmadd VF, 41 +vfnmadd VF,
42 +vfmsub VF, 43 +vfnmsub VF, 44 +vfmacc VF, 45 +vfnmacc VF, 46 +vfmsac VF, 47 +vfnmsac VF, 48 vfwadd VF,
49 vfwredusum V, 50 vfwsub VF, 51 vfwredosum V, 52 vfwadd.w VF, 54 vfwsub.w VF, 56 vfwmul VF, 60 +vfwmacc VF,
61 +vfwnmacc VF, 62 +vfwmsac VF, 63 +vfwnmsac VF
"""
"""funct6, name, operand categories. + reads its destination; ~ merges into it (Cranelift gives those that slide up by
one the old value for the tail); = reads v0 as an operand if bit 25 is clear."""
_CATEGORIES: Final = {
    "integer": {"V": (0, "vs", ".vv"), "X": (4, "xs", ".vx"), "I": (3, "z", ".vi")},
    "multiply": {"V": (2, "vs", ".vv"), "X": (6, "xs", ".vx")},
    "float": {"V": (1, "vs", ".vv"), "F": (5, "fs", ".vf")},
}  # fmt: skip


def _full_name(name: str, suffix: str) -> str:
    """The suffix says what the sources are: a scalar in a register (s), a wide one (w), masks (m)."""
    if name.startswith(("vred", "vwred", "vfred", "vfwred")):
        return name + ".vs"
    if name.endswith(".w") or name.startswith(("vnsr", "vnclip")):
        return name.removesuffix(".w") + suffix.replace(".v", ".w")
    if name in _OF_MASKS:
        return name + (".vm" if name == "vcompress" else ".mm")
    return name + suffix + ("m" if name in ("vadc", "vmadc", "vsbc", "vmsbc") else "")


_OF_MASKS: Final = frozenset({"vcompress", "vmandn", "vmand", "vmor", "vmxor", "vmorn", "vmnand", "vmnor", "vmxnor"})


def _arithmetic(space: str, text: str) -> Iterator[Row]:
    for entry in text.replace("\n", " ").split(","):
        number, name, categories = entry.split()
        for category in categories:
            minor, source, suffix = _CATEGORIES[space][category]
            target = name[0] + "vd" if name[0] in "+~" else "vd"
            masked = 2 if name[0] == "=" else 1
            match, full = int(number) << 26 | minor << 12 | 0x57, _full_name(name.lstrip("+~="), suffix)
            yield Row(full, 0xFC00707F, match, f"{target} vt {source}", 0, True, masked)


def _one(name: str, six: int, minor: int, fields: str, mask: int, match: int, **more: int) -> Row:
    """A row whose other source field belongs to the opcode."""
    return Row(name, 0xFC00707F | mask, six << 26 | minor << 12 | 0x57 | match, fields, 0, True, more.get("masked", 1))


_S: Final = 31 << 15
_T: Final = 31 << 20
_M: Final = 1 << 25


def _unary(six: int, minor: int, names: dict[int, str], fields: str = "vd vt") -> Iterator[Row]:
    """The opcode goes on in the field of the first source."""
    for number, name in names.items():
        yield _one(name, six, minor, fields, _S, number << 15)


def _special() -> Iterator[Row]:
    for minor, source, suffix in ((0, "vs", "v"), (4, "xs", "x"), (3, "z", "i")):
        yield _one(f"vmerge.v{suffix}m", 23, minor, f"vd vt {source}", _M, 0, masked=2)
        yield _one(f"vmv.v.{suffix}", 23, minor, f"vd {source}", _M | _T, _M, masked=0)
    yield _one("vfmerge.vfm", 23, 5, "vd vt fs", _M, 0, masked=2)
    yield _one("vfmv.v.f", 23, 5, "vd fs", _M | _T, _M, masked=0)
    yield _one("vmv.x.s", 16, 2, "xd vt", _S | _M, _M, masked=0)
    yield _one("vmv.s.x", 16, 6, "~vd xs", _T | _M, _M, masked=0)
    yield _one("vfmv.f.s", 16, 1, "fd vt", _S | _M, _M, masked=0)
    yield _one("vfmv.s.f", 16, 5, "~vd fs", _T | _M, _M, masked=0)
    yield _one("vcpop.m", 16, 2, "xd vt", _S, 16 << 15, masked=2)
    yield _one("vfirst.m", 16, 2, "xd vt", _S, 17 << 15, masked=2)
    yield _one("vid.v", 20, 2, "vd", _S | _T, 17 << 15)
    yield from _unary(20, 2, {1: "vmsbf.m", 2: "vmsof.m", 3: "vmsif.m", 16: "viota.m"})
    yield from _unary(
        18,
        2,
        {
            2: "vzext.vf8",
            3: "vsext.vf8",
            4: "vzext.vf4",
            5: "vsext.vf4",
            6: "vzext.vf2",
            7: "vsext.vf2",
            8: "vbrev8.v",
            9: "vrev8.v",
            10: "vbrev.v",
            12: "vclz.v",
            13: "vctz.v",
            14: "vcpop.v",
        },
    )
    yield from _unary(19, 1, {0: "vfsqrt.v", 4: "vfrsqrt7.v", 5: "vfrec7.v", 16: "vfclass.v"})
    conversions = ("xu.f", "x.f", "f.xu", "f.x", "f.f", "", "rtz.xu.f", "rtz.x.f")
    for base, prefix, suffix in ((0, "vfcvt", "v"), (8, "vfwcvt", "v"), (16, "vfncvt", "w")):
        names = {
            base + i: f"{prefix}.{name}.{suffix}"
            for i, name in enumerate(conversions)
            if name and (base or name != "f.f")
        }
        yield from _unary(18, 1, names | ({21: "vfncvt.rod.f.f.w"} if base == 16 else {}))
    for count in (1, 2, 4, 8):
        match = 39 << 26 | 3 << 12 | 0x57 | count - 1 << 15 | _M
        yield Row(f"vmv{count}r.v", 0xFE0FF07F, match, "vd vt", registers=count)


_WIDTHS: Final = {8: 0, 16: 5, 32: 6, 64: 7}


def _memory() -> Iterator[Row]:
    """Accesses without a stride. `size` is that of the access if vl fills a register."""
    for width, minor in _WIDTHS.items():
        for store in (False, True):
            letter, match = ("s", minor << 12 | 0x27) if store else ("l", minor << 12 | 0x07)
            yield Row(f"v{letter}e{width}.v", 0xFDF0707F, match, "vd xs", 16, True, 1, 1, store)
    for count in (1, 2, 4, 8):
        fixed = count - 1 << 29 | 8 << 20 | _M
        for width, minor in _WIDTHS.items():
            match = fixed | minor << 12 | 0x07
            yield Row(f"vl{count}re{width}.v", 0xFFF0707F, match, "vd xs", 16 * count, False, 0, count)
        yield Row(f"vs{count}r.v", 0xFFF0707F, fixed | 0x27, "vd xs", 16 * count, False, 0, count, True)


def _configuring() -> Iterator[Row]:
    """vtype: LMUL 1 or less (vlmul 0, 5, 6, 7), both policies agnostic (bits 6 and 7), nothing reserved."""
    for lmul in (0, 5, 6, 7):
        agnostic = 3 << 26 | lmul << 20
        yield Row("vsetivli", 0xFE70707F, 3 << 30 | agnostic | 0x7057, "xd z", 0, True)
        yield Row("vsetvli", 0xFE70707F, agnostic | 0x7057, "xd xs", 0, True)


VECTOR_ROWS: Final = (
    *_arithmetic("integer", _INTEGER),
    *_arithmetic("multiply", _MULTIPLY),
    *_arithmetic("float", _FLOAT),
    *_special(),
    *_memory(),
    *_configuring(),
)


_ASKED: Final = 48
"""Where the number of elements stands that is asked for."""


def configuration(word: int) -> int:
    """The configuration that a `vsetivli` makes, and above it how many elements are asked for."""
    vtype, wanted = word >> 20 & 0x3FF, word >> 15 & 31
    element = 8 << (vtype >> 3 & 7)
    shift = vtype & 7
    most = VLEN // element >> (8 - shift if shift else 0)
    return wanted << _ASKED | min(wanted, most) << 16 | vtype


def sized(machine: Insn, state: int) -> Insn:
    """The instruction under a configuration: what it accesses of memory are the elements that are asked for, which a
    register has that is as wide as the code was compiled for."""
    accessed = [a for a in machine.accesses if m.VECTOR_CONFIGURATION in machine.reads]
    if not accessed:
        return machine
    width = int("".join(c for c in machine.name if c.isdigit()))
    size = (state >> _ASKED) * width // 8
    return machine._replace(accesses=tuple(a._replace(size=size) for a in accessed))


def _full(width: int) -> Term:
    """Truth of 'vl elements of `width` bits are a whole register'."""
    state = register(_ISA, m.VECTOR_CONFIGURATION)
    return eq(extract(state, 16, _ASKED - 16), const(VLEN // width, _ASKED - 16))


def _unknown(name: str) -> Term:
    """Any value: what the tail of a register or of a place in memory holds if vl is less."""
    return var(name, VLEN)


def vector_effect(row: Row, word: int, registers: dict[str, int]) -> Effect | None:
    """What a move of one register, a full load or store, a constant configuration does."""
    target, source, base = (registers.get(field, NONE) for field in "dts")
    if row.name == "vsetivli" and target == NONE:
        return Effect(((m.VECTOR_CONFIGURATION, const(configuration(word), 64)),))
    if row.name == "vmv1r.v":
        return Effect(((target, register(_ISA, source)),))
    if not row.size or row.registers > 1 or base == NONE or (row.masked and not word & _M):
        return None
    where, width = address(_ISA, base, 0), {0: 8, 5: 16, 6: 32, 7: 64}[word >> 12 & 7]
    if row.stores:
        value = register(_ISA, target)
        if row.vector:
            value = ite(_full(width), value, _unknown("stored in part"))
        return Effect(stores=(Store(where, 16, value),))
    value = loaded(0, 16)
    if row.vector:
        value = ite(_full(width), value, _unknown("loaded in part"))
    return Effect(((target, value),), (Load(loaded(0, 16), where, 16),))
