"""Reads riscv64's instructions: what the rows (`insts`) do not say of how compilers use them.

The one idea: a compressed instruction is read as the one that it stands for; a vector instruction is looked at under a
configuration in which it fills a register, tail and mask agnostic, as Cranelift has them: so what an instruction leaves
alone is worth nothing, but for those under a mask, which merge. Under any other policy, or with groups of registers,
`vsetvli` is not known, nor are accesses with a stride or of masks, which Cranelift does not emit.

Only jumps back to x1 are returns; a link in any register makes a call.
Source: The RISC-V Instruction Set Manual, Volume I (20240411): chapters 2, 6, 21, 26, 30.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from typing import Final

from liftcheck.bits.build import concat
from liftcheck.bits.simplify import normal
from liftcheck.bits.term import Term, const
from liftcheck.isa.riscv64 import ISA
from liftcheck.isa.riscv64.compressed import expand
from liftcheck.isa.riscv64.insts.common import VECTOR, Configuration, most
from liftcheck.isa.riscv64.insts.table import table
from liftcheck.isa.riscv64.spelling import spelt
from liftcheck.isa.riscv64.vector import of_access, of_configuration
from liftcheck.mach import insn as m
from liftcheck.mach.insn import Access, Effect, Insn, register, unknown
from liftcheck.mach.regs import NONE
from liftcheck.mach.rows.kinds import Register, unboxed
from liftcheck.mach.rows.reader import Manner, Reader
from liftcheck.mach.rows.table import Decoded

_EXACT: Final = re.compile(
    r"addi|li|mv|nop|xori|not|ori|andi|slli|srli|srai|addiw|sext\.w|slliw|srliw|sraiw|slli\.uw|add|sub|neg|and|or|xor|"
    r"addw|subw|negw|add\.uw|zext\.w|sext\.[bh]|zext\.h|fmv\.([xwhd]\.)?[xwhd]|lui|l[bhw]u?|ld|s[bhwd]|fl[hwd]|fs[hwd]|"
    r"jr|ret|vmv1r\.v|vl1re\d+\.v|vs1r\.v"
)
_UNKNOWN: Final = re.compile(r"v[ls]se\d+\.v|v[ls]m\.v|vsetvl|ecall")
_CONTEXTS: Final = tuple(
    Configuration(most(vtype), vtype)
    for vtype in [3 << 6 | width << 3 | group for group in (0, 7, 6, 5) for width in (2, 3, 1, 0)]
    if most(vtype)
)


def _agnostic(machine: Insn, decoded: Decoded) -> Insn:
    """vsetvli, vsetivli: both policies agnostic, at most one register."""
    vtype = decoded.values[2]
    if vtype >> 6 & 3 != 3 or vtype & 7 not in (0, 5, 6, 7):
        return unknown(machine.size)
    effect = of_configuration(decoded.data) if machine.name == "vsetivli" and not decoded.values[0] else None
    return machine._replace(effect=effect)


def _masked(machine: Insn, decoded: Decoded) -> Insn:
    """Under a mask, an instruction merges into what it writes."""
    if all(value for operand, value in zip(decoded.row.operands, decoded.values) if operand.name == "vm"):
        return machine
    merged = frozenset([p for p in machine.writes if p >= VECTOR]) - machine.reads
    return machine._replace(merged=machine.merged | merged, reads=machine.reads | merged)


def _elements(machine: Insn, decoded: Decoded) -> Insn:
    """Loads and stores of elements: as many as the configuration says, at most a register."""
    _, base, vm = decoded.values
    machine, stores = _masked(machine, decoded), m.MEMORY in machine.writes
    if stores:
        machine = machine._replace(reads=machine.reads - {m.MEMORY})
    access = Access(base or NONE, 0, 16, not stores, stores)
    effect = of_access(decoded.data) if vm and base else None
    return machine._replace(accesses=(access,), effect=effect)


def _summed(machine: Insn, decoded: Decoded) -> Insn:
    """Sums in any order, which no term says."""
    _, *sources, vm = decoded.values
    places = {VECTOR + number for number in (*sources, *([] if vm else [0]))}
    return _masked(machine._replace(reads=frozenset(places | {m.VECTOR_CONFIGURATION})), decoded)


def _control(machine: Insn, _: Decoded) -> Insn:
    return machine._replace(reads=machine.reads | {m.CONTROL}, writes=machine.writes | {m.CONTROL})


def _copied(machine: Insn, decoded: Decoded) -> Insn:
    """fsgnj of a register with itself is a move."""
    row, (target, one, *other) = decoded.row.whole(decoded.values)
    if other and other[0] != one:
        return machine
    kind = row.operands[1].kind
    assert isinstance(kind, Register)
    value = register(ISA.name, kind.first + one)
    if kind.width < 64:
        value = concat(const(-1, 64 - kind.width), unboxed(value, kind.width, kind.boxed))
    return machine._replace(effect=Effect(((kind.first + target, value),)))


def _not_known(machine: Insn, _: Decoded) -> Insn:
    return unknown(machine.size)


def _mended() -> dict[str, Callable[[Insn, Decoded], Insn]]:
    found: dict[str, Callable[[Insn, Decoded], Insn]] = {}
    for row in table().rows:
        name = (row.base or row).name
        if _UNKNOWN.fullmatch(name):
            found[row.name] = _not_known
        elif name.startswith("vset"):
            found[row.name] = _agnostic
        elif re.fullmatch(r"v[ls]e\d+\.v", name):
            found[row.name] = _elements
        elif name.endswith("redusum.vs"):
            found[row.name] = _summed
        elif any(operand.name == "vm" for operand in row.operands):
            found[row.name] = _masked
        elif name.startswith("csrr"):
            found[row.name] = _control
        elif name.startswith("fsgnj."):
            found[row.name] = _copied
    return found


def _address(target: Term) -> Term:
    """A jump clears bit 0 of the address, which is never set in an address of code."""
    return normal(target.args[0] if target.prim == "and" else target)


@cache
def _reader() -> Reader:
    manner = Manner(
        named={"frm": m.CONTROL, "vl": m.VECTOR_CONFIGURATION, "vtype": m.VECTOR_CONFIGURATION},
        exact=_EXACT,
        idle=re.compile("nop"),
        merged=re.compile(r"vf?slide1up\.v[xf]|vmv\.s\.x|vfmv\.s\.f"),
        varies=re.compile(r"v[ls][1248]re?\d*\.v|vmv[1248]r\.v"),
        plain=re.compile(r"csrr[wsc]i?|vfw?redusum\.vs"),
        goal=_address,
        typical={"rm": 7, "rmx": 0, "vd": 8, "vs1": 16, "vs2": 24, "vs3": 8},
        mended=_mended(),
        spelt=spelt,
        contexts=_CONTEXTS,
        context="vtype",
    )
    return Reader(ISA.name, table(), manner)


def _compressed(data: bytes) -> Decoded | None:
    """What it stands for, with its own bytes; hints and reserved ones have no row."""
    full = expand(int.from_bytes(data, "little"))
    if full is None or table().first(data) is None:
        return None
    found = table().first(full.to_bytes(4, "little"))
    return None if found is None else found._replace(data=data)


def read(window: bytes) -> Insn:
    """See `mach.insn.Reader`."""
    size = 4 if window[0] & 3 == 3 else 2
    data = window[:size]
    if len(data) < size:
        return unknown(len(data))
    if size == 4:
        decoded = table().first(data)
    elif not any(data):
        return Insn(2, "c.unimp", "", frozenset(), frozenset(), m.TRAP)
    else:
        decoded = _compressed(data)
    return unknown(size) if decoded is None else _reader().read(decoded)
