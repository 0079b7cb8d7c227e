"""x86-64's instructions: accesses from Capstone, exact meanings of what moves values about.

The one idea: Capstone's detail mode knows the registers; `_CORRECTED` states what it gets wrong, each row with a test
that shows it. Effects are one short function for each family of mnemonics below.
VEX moves zero the upper half of the ymm register, which is not part of a register here (`mach.insn.WIDTHS`).

Source: Intel SDM volume 2 (operation sections). Not covered: what Cranelift does not emit (x87, AVX-512 masks: see
`_CLASSES`; their instructions are `known` with the registers that are named).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

import capstone
from capstone import x86

from liftcheck.bits.build import add, concat, extract, sext, trunc, zext
from liftcheck.bits.term import Term, const
from liftcheck.mach.capstone import opened
from liftcheck.mach.insn import (
    BRANCH,
    CALL,
    CONTROL,
    FLAGS,
    JUMP,
    MEMORY,
    ORDINARY,
    PC,
    RETURN,
    STACK_POINTERS,
    TRAP,
    Access,
    Effect,
    Insn,
    Load,
    Store,
    address,
    loaded,
    register,
    unknown,
)
from liftcheck.mach.regs import NONE

ISA: Final = "x86-64"
SP: Final = STACK_POINTERS[ISA]
BP: Final = 5
FLOAT_FIRST: Final = 64
_INTEGERS: Final = ("ax", "cx", "dx", "bx", "sp", "bp", "si", "di")


def _numbers() -> dict[str, int]:
    """Every spelling of a register to its place."""
    found: dict[str, int] = {}
    for number, name in enumerate(_INTEGERS):
        bytes_ = (f"{name}l",) if number > 3 else (f"{name[0]}l", f"{name[0]}h")
        found |= dict.fromkeys((f"r{name}", f"e{name}", name, *bytes_), number)
    for number in range(8, 16):
        found |= dict.fromkeys((f"r{number}", f"r{number}d", f"r{number}w", f"r{number}b"), number)
    for number in range(16):
        found |= dict.fromkeys((f"xmm{number}", f"ymm{number}", f"zmm{number}"), FLOAT_FIRST + number)
    for name in ("rflags", "eflags", "flags"):
        found[name] = FLAGS
    found["mxcsr"] = CONTROL
    return found


PLACES: Final[Mapping[str, int]] = _numbers()
_DISASSEMBLER: Final = opened(ISA)
_DISASSEMBLER.detail = True
_PLACE_OF: Final[dict[int, int]] = {
    number: PLACES[name]
    for number in range(1, x86.X86_REG_ENDING)
    if (name := _DISASSEMBLER.reg_name(number)) in PLACES
}
"""Capstone's register numbers; what is missing (rip, segments) is not a register here."""

_NO_ACCESS: Final = frozenset({"lea", "nop", "prefetcht0", "prefetcht1", "prefetcht2", "prefetchnta"})
"""Their memory operands are not read."""
_TRAPS: Final = frozenset({"ud2", "int3", "hlt"})


def read(window: bytes) -> Insn:
    """See `mach.insn.Reader`."""
    instruction = next(_DISASSEMBLER.disasm(window, 0, 1), None)
    if instruction is None:
        return _alike(window)
    name, size = instruction.mnemonic, instruction.size
    bare = name.rpartition(" ")[2]
    operands = instruction.operands
    if not _is_ours(bare, operands):
        return unknown(size, name, instruction.op_str)
    accesses = _accesses(bare, operands)
    reads, writes = _registers(instruction, bare, operands, accesses)
    flow = _flow(instruction, bare)
    target = None
    if flow in (JUMP, BRANCH, CALL) and operands[0].type == x86.X86_OP_IMM:
        target = _signed(operands[0].imm)
    whole = name == "lea" and operands[0].size == 8
    if whole and operands[1].mem.base == x86.X86_REG_RIP and not operands[1].mem.index:
        target = size + operands[1].mem.disp
    family = _EFFECTS.get(name)
    effect = family(operands) if family else None
    merged = _merged(bare, operands)
    return Insn(
        size,
        name,
        instruction.op_str,
        reads | merged,
        writes,
        flow,
        effect,
        target,
        accesses,
        True,
        merged,
        _kept(bare, operands, writes),
        _cancels(bare, operands),
        _twice(operands, reads - merged),
    )


_DOT_PRODUCTS: Final[Mapping[int, str]] = {0x50: "vpdpbusd", 0x51: "vpdpbusds", 0x52: "vpdpwssd", 0x53: "vpdpwssds"}
"""VEX.66.0F38.W0 (AVX-VNNI), which Capstone does not know."""
_FMA: Final = 0xB8
"""Of the same form, with the same operands read and written: vfmadd231ps."""


def _alike(window: bytes) -> Insn:
    """What Capstone does not know, by an instruction of the same form; else nothing is known."""
    if len(window) < 5 or window[0] != 0xC4 or window[1] & 31 != 2 or window[2] & 0x83 != 1:
        return unknown(1)
    name = _DOT_PRODUCTS.get(window[3])
    if name is None:
        return unknown(1)
    fma = read(window[:3] + bytes((_FMA,)) + window[4:])
    return fma._replace(name=name, reads=fma.reads - {CONTROL}, writes=fma.writes - {CONTROL})


_LISTED: Final = (
    "mov movabs movzx movsx movsxd movbe lea push pop leave xchg bswap cbw cwde cdqe cwd cdq cqo "
    "add adc sub sbb and or xor not neg inc dec cmp test mul imul mulx div idiv adcx adox "
    "shl sal shr sar rol ror rcl rcr shld shrd sarx shlx shrx rorx andn blsi blsr blsmsk bzhi bextr pdep pext "
    "bt bts btr btc bsf bsr lzcnt tzcnt popcnt crc32 xadd cmpxchg cmpxchg16b "
    "jmp call ret ud2 int3 hlt nop endbr64 mfence lfence sfence pause vzeroupper ldmxcsr stmxcsr clc stc "
    "prefetcht0 prefetcht1 prefetcht2 prefetchnta prefetchw"
)
_INTEGER: Final = frozenset(_LISTED.split())
"""Instructions on integer registers that this module says the right things of, with their conditional kin."""
_IMPLICIT: Final = ("maskmov", "vmaskmov", "pcmpistr", "pcmpestr", "vpcmpistr", "vpcmpestr", "gather", "scatter",
                    "vzeroall", "clflush")  # fmt: skip
"""Vector instructions with operands that are not written down, or with memory that Capstone does not tell."""


_NO_PLACE: Final = re.compile(r"k\d|[xyz]mm(1[6-9]|2\d|3[01])")
"""Registers that Cranelift does not use, and that are not places here."""


def _is_ours(name: str, operands: Any) -> bool:
    """Whether what is said of an instruction is right: of integer ones those that are listed, of vector ones those
    whose registers are all written down."""
    if name in _INTEGER or name[:1] == "j" or name.startswith(("cmov", "set")):
        return name not in ("jrcxz", "jecxz", "jcxz")
    if any(o.type == x86.X86_OP_REG and _NO_PLACE.match(_DISASSEMBLER.reg_name(o.reg)) for o in operands):
        return False
    vectors = any(_is_register(o) and _PLACE_OF[o.reg] >= FLOAT_FIRST for o in operands)
    return vectors and not any(part in name for part in _IMPLICIT)


def _merged(name: str, operands: Any) -> frozenset[int]:
    """Registers that are read in name only: the zeroing idioms' operand, and the target of conversions of which the
    upper part stays as it was (the compiler takes that for undefined, or has it from an uninitialized value)."""
    if name in _ZEROING and _same_registers(operands):
        return frozenset({_PLACE_OF[operands[-1].reg]})
    if name in _KEEPS_REST:
        return frozenset({_PLACE_OF[operands[0].reg]} if _is_register(operands[0]) else ())
    return frozenset()


def _cancels(name: str, operands: Any) -> bool:
    """Of two registers; one may be another's name here (`Insn.cancels`)."""
    return name in _ZEROING and len(operands) >= 2 and all(map(_is_register, operands[-2:]))


def _twice(operands: Any, reads: frozenset[int]) -> frozenset[int]:
    """Registers that are read by several fields: those of memory operands, and others that are read."""
    named: list[int] = []
    for o in operands:
        if o.type == x86.X86_OP_MEM:
            named += [_PLACE_OF.get(o.mem.base, NONE), _PLACE_OF.get(o.mem.index, NONE)]
        elif _is_register(o) and o.access & capstone.CS_AC_READ:
            named.append(_PLACE_OF[o.reg])
    return frozenset(place for place in named if place in reads and named.count(place) > 1)


def _kept(name: str, operands: Any, writes: frozenset[int]) -> frozenset[int]:
    """Instructions on 8 and 16 bits leave the rest of a register alone: by the size of a register, else of memory."""
    sizes = [o.size for o in operands if _is_register(o)] or [o.size for o in operands if o.type == x86.X86_OP_MEM]
    if name != "cwd" and (not sizes or max(sizes) >= 4):
        return frozenset()
    return frozenset(place for place in writes if 0 <= place < FLOAT_FIRST)


_KEEPS_REST: Final = frozenset(
    {"cvtsi2sd", "cvtsi2ss", "cvtsd2ss", "cvtss2sd", "sqrtsd", "sqrtss", "roundsd", "roundss"}
)  # fmt: skip


def _signed(value: int) -> int:
    value &= (1 << 64) - 1
    return value - (value >> 63 << 64)


def _flow(instruction: Any, name: str) -> int:
    if name in ("ret", "retf", "iretq"):
        return RETURN
    if name in _TRAPS:
        return TRAP
    if instruction.group(capstone.CS_GRP_CALL):
        return CALL
    if instruction.group(capstone.CS_GRP_JUMP):
        return JUMP if name == "jmp" else BRANCH
    return ORDINARY


def _registers(
    instruction: Any, name: str, operands: Any, accesses: tuple[Access, ...]
) -> tuple[frozenset[int], frozenset[int]]:
    """Reads and writes: Capstone's, then the corrections."""
    told_reads, told_writes = instruction.regs_access()
    reads = {_PLACE_OF[r] for r in told_reads if r in _PLACE_OF}
    writes = {_PLACE_OF[r] for r in told_writes if r in _PLACE_OF}
    if correct := _CORRECTED.get(name, _vector if name[:1] == "v" else None):
        correct(operands, reads, writes)
    for access in accesses:
        reads |= {MEMORY} if access.read else set()
        writes |= {MEMORY} if access.written else set()
    reads |= {MEMORY} if name in _STACK_READS else set()
    writes |= {MEMORY} if name in _STACK_WRITES else set()
    return frozenset(reads), frozenset(writes)


_STACK_READS: Final = frozenset({"pop", "ret", "leave"})
_STACK_WRITES: Final = frozenset({"push", "call"})


_ZEROING: Final = frozenset(
    f"{v}{name}"
    for v in ("", "v")
    for name in (
        "xor",
        "sub",
        "pxor",
        "xorps",
        "xorpd",
        "psubb",
        "psubw",
        "psubd",
        "psubq",
        "pcmpeqb",
        "pcmpeqw",
        "pcmpeqd",
        "pcmpeqq",
        "pcmpgtb",
        "pcmpgtw",
        "pcmpgtd",
        "pcmpgtq",
    )
)
"""With one register for both inputs the result does not depend on it (SDM: the zeroing and ones idioms)."""


def _same_registers(operands: Any) -> bool:
    registers = {o.reg for o in operands[-2:] if o.type == x86.X86_OP_REG}
    return len(operands) >= 2 and len(registers) == 1 and operands[-2].type == operands[-1].type


def _accesses(name: str, operands: Any) -> tuple[Access, ...]:
    if name in _NO_ACCESS:
        return ()
    found = []
    for number, o in enumerate(operands):
        if o.type == x86.X86_OP_MEM:
            reads, writes = bool(o.access & capstone.CS_AC_READ), bool(o.access & capstone.CS_AC_WRITE)
            if name in _MODIFIES:
                reads = writes = True
            elif name.removeprefix("v").startswith(_MOVES):
                reads, writes = bool(number), not number
            elif number or name == "test":
                reads, writes = True, False
            index = _PLACE_OF.get(o.mem.index, NONE)
            base = PC if o.mem.base == x86.X86_REG_RIP else _PLACE_OF.get(o.mem.base, NONE)
            found.append(Access(base, o.mem.disp, 8 if name == "comisd" else o.size, reads, writes, index))
    return tuple(found)


# What Capstone 5.0.7 gets wrong.

Correction = Callable[[Any, set[int], set[int]], None]


def _reads_all(operands: Any, reads: set[int], writes: set[int]) -> None:
    """Every register operand is read."""
    reads |= {_PLACE_OF[o.reg] for o in operands if o.type == x86.X86_OP_REG and o.reg in _PLACE_OF}


def _nothing(operands: Any, reads: set[int], writes: set[int]) -> None:
    """Only the half of the ymm registers changes that is not a register here."""
    writes.clear()


def _writes_flags(operands: Any, reads: set[int], writes: set[int]) -> None:
    writes.add(FLAGS)


def _writes_rax_too(operands: Any, reads: set[int], writes: set[int]) -> None:
    """cmpxchg: the destination is compared, rax takes its old value if they differ."""
    _reads_all(operands, reads, writes)
    reads.add(0)
    writes |= {0, FLAGS}


def _writes_rdx(operands: Any, reads: set[int], writes: set[int]) -> None:
    """cqo and similar ones: rax is not written."""
    writes -= {0}


def _writes_rdx_and_rax(operands: Any, reads: set[int], writes: set[int]) -> None:
    """cmpxchg16b: rdx:rax are compared and take the old value, rcx:rbx may be stored."""
    reads |= {0, 1, 2, 3}
    writes |= {0, 2, FLAGS}


def _only_compares(operands: Any, reads: set[int], writes: set[int]) -> None:
    """test and cmp write nothing but flags, read all: test of memory and a register is told without either."""
    _reads_all(operands, reads, writes)
    writes &= {FLAGS}
    writes.add(FLAGS)


def _vector(operands: Any, reads: set[int], writes: set[int]) -> None:
    """VEX and EVEX: the first operand is written, the others are read. Of shifts, and of some conversions from memory,
    registers are missing."""
    first, *others = operands or (None,)
    writes |= {_PLACE_OF[first.reg]} if first is not None and _is_register(first) else set()
    _reads_all(others, reads, writes)


def _vector_compares(operands: Any, reads: set[int], writes: set[int]) -> None:
    """All are read."""
    _reads_all(operands, reads, writes)


_CONDITIONS: Final = ("o", "no", "b", "ae", "e", "ne", "be", "a", "s", "ns", "p", "np", "l", "ge", "le", "g")
_CORRECTED: Final[Mapping[str, Correction]] = {
    **dict.fromkeys(("cqo", "cdq", "cwd"), _writes_rdx),
    "cmpxchg16b": _writes_rdx_and_rax,
    **{f"cmov{condition}": _reads_all for condition in _CONDITIONS},
    **dict.fromkeys(("test", "cmp"), _only_compares),
    **dict.fromkeys(("vcomiss", "vcomisd", "vucomiss", "vucomisd", "vptest", "vtestps", "vtestpd"), _vector_compares),
    "vzeroupper": _nothing,
    "cmpxchg": _writes_rax_too,
    "xadd": _writes_flags,
}
_MOVES: Final = ("mov", "pextr", "extract", "set")
"""A memory operand is written if it is the first one, else read."""
_MODIFIES: Final = frozenset({"cmpxchg", "cmpxchg16b", "xadd", "xchg", "rol", "ror", "rcl", "rcr", "shl", "shr", "sar"})
"""Their memory operand is read and written, whatever Capstone says."""


# Effects.

Family = Callable[[Any], "Effect | None"]


def _memory(operand: Any) -> Term | None:
    """The address of a memory operand with a base register alone."""
    if operand.mem.index or operand.mem.base not in _PLACE_OF or operand.mem.segment:
        return None
    return address(ISA, _PLACE_OF[operand.mem.base], operand.mem.disp)


def _is_register(operand: Any) -> bool:
    return bool(operand.type == x86.X86_OP_REG and operand.reg in _PLACE_OF)


def _source(operand: Any, size: int) -> tuple[Term, tuple[Load, ...]] | None:
    """The low `size` bytes of a register, an immediate, or what is loaded."""
    if operand.type == x86.X86_OP_IMM:
        return const(operand.imm, 8 * size), ()
    if _is_register(operand):
        name = _DISASSEMBLER.reg_name(operand.reg)
        return None if name in _HIGH else (trunc(register(ISA, _PLACE_OF[operand.reg]), 8 * size), ())
    where = _memory(operand) if operand.type == x86.X86_OP_MEM else None
    if where is None:
        return None
    value = loaded(0, size)
    return value, (Load(value, where, size),)


_HIGH: Final = ("ah", "bh", "ch", "dh")


def _moved(operands: Any, size: int, extend: Callable[[Term, int], Term] = zext) -> Effect | None:
    """The first operand becomes the last one's low `size` bytes; registers are extended to their full width."""
    target, source = operands[0], _source(operands[-1], size)
    if source is None:
        return None
    value, loads = source
    if target.type == x86.X86_OP_MEM:
        where = _memory(target)
        return None if where is None else Effect((), loads, (Store(where, size, value),))
    if not _is_register(target):
        return None
    return Effect(((_PLACE_OF[target.reg], _extended(target, value, extend)),), loads)


def _extended(target: Any, value: Term, extend: Callable[[Term, int], Term]) -> Term:
    """A value as it arrives in a register: narrow integer writes (8, 16 bits) keep the rest of the register."""
    place = _PLACE_OF[target.reg]
    width = register(ISA, place).bits
    if place >= FLOAT_FIRST or target.size >= 4:
        value = extend(value, 8 * target.size) if place < FLOAT_FIRST and target.size < 8 else value
        return zext(value, width) if place >= FLOAT_FIRST or target.size == 4 else extend(value, width)
    narrow = 8 * target.size
    return concat(extract(register(ISA, place), narrow, width - narrow), extend(value, narrow))


def _move(operands: Any) -> Effect | None:
    """mov, movabs: by the target's width."""
    if operands[0].type == x86.X86_OP_REG and _DISASSEMBLER.reg_name(operands[0].reg) in _HIGH:
        return None
    return _moved(operands, operands[0].size)


def _zero_extended(operands: Any) -> Effect | None:
    return _moved(operands, operands[1].size)


def _sign_extended(operands: Any) -> Effect | None:
    return _moved(operands, operands[1].size, sext)


def _whole_vector(operands: Any) -> Effect | None:
    """movaps and similar ones, of an xmm register."""
    return _moved(operands, 16) if operands[0].size == operands[1].size == 16 else None


def _low_of_vector(size: int) -> Family:
    """movd, movq, movss, movsd from or to memory, or between classes: the rest is zeroed. Two xmm registers merge in
    movss and movsd (no effect given), and are moved in movq."""

    def effect(operands: Any) -> Effect | None:
        if len(operands) != 2:
            return None
        return _moved(operands, size)

    return effect


def _from_or_to_memory(size: int) -> Family:
    moved = _low_of_vector(size)
    return lambda operands: moved(operands) if any(o.type == x86.X86_OP_MEM for o in operands) else None


def _added(sign: int) -> Family:
    """add or sub of a 64-bit register and an immediate or another register."""

    def effect(operands: Any) -> Effect | None:
        target, source = operands
        if not _is_register(target) or target.size != 8 or source.type == x86.X86_OP_MEM:
            return None
        place = _PLACE_OF[target.reg]
        if source.type == x86.X86_OP_IMM:
            return Effect(((place, add(register(ISA, place), const(sign * source.imm, 64))),))
        if sign < 0:
            return None
        return Effect(((place, add(register(ISA, place), register(ISA, _PLACE_OF[source.reg]))),))

    return effect


def _lea(operands: Any) -> Effect | None:
    where = _memory(operands[1])
    return None if where is None or operands[0].size != 8 else Effect(((_PLACE_OF[operands[0].reg], where),))


def _push(operands: Any) -> Effect | None:
    if operands[0].size != 8 or not _is_register(operands[0]):
        return None
    below = address(ISA, SP, -8)
    return Effect(((SP, below),), (), (Store(below, 8, register(ISA, _PLACE_OF[operands[0].reg])),))


def _pop(operands: Any) -> Effect | None:
    if operands[0].size != 8 or not _is_register(operands[0]):
        return None
    value = loaded(0, 8)
    place = _PLACE_OF[operands[0].reg]
    above = () if place == SP else ((SP, address(ISA, SP, 8)),)
    return Effect(((place, value), *above), (Load(value, register(ISA, SP), 8),))


def _leave(operands: Any) -> Effect | None:
    value = loaded(0, 8)
    return Effect(((SP, address(ISA, BP, 8)), (BP, value)), (Load(value, register(ISA, BP), 8),))


def _return(operands: Any) -> Effect | None:
    value = loaded(0, 8)
    popped = operands[0].imm if operands else 0
    return Effect(((PC, value), (SP, address(ISA, SP, 8 + popped))), (Load(value, register(ISA, SP), 8),))


def _exchange(operands: Any) -> Effect | None:
    first, second = operands
    if not (_is_register(first) and _is_register(second)) or first.size != 8:
        return None
    one, other = _PLACE_OF[first.reg], _PLACE_OF[second.reg]
    return Effect(((one, register(ISA, other)), (other, register(ISA, one))))


def _nop(operands: Any) -> Effect | None:
    return Effect()


_EFFECTS: Final[Mapping[str, Family]] = {
    **dict.fromkeys(("mov", "movabs"), _move),
    "movzx": _zero_extended,
    **dict.fromkeys(("movsx", "movsxd"), _sign_extended),
    **{
        f"{v}{name}": _whole_vector
        for v in ("", "v")
        for name in ("movaps", "movapd", "movdqa", "movups", "movupd", "movdqu", "lddqu")
    },
    **{f"{v}movd": _low_of_vector(4) for v in ("", "v")},
    **{f"{v}movq": _low_of_vector(8) for v in ("", "v")},
    **{f"{v}movss": _from_or_to_memory(4) for v in ("", "v")},
    **{f"{v}movsd": _from_or_to_memory(8) for v in ("", "v")},
    "add": _added(1),
    "sub": _added(-1),
    "lea": _lea,
    "push": _push,
    "pop": _pop,
    "leave": _leave,
    "ret": _return,
    "xchg": _exchange,
    **dict.fromkeys(("nop", "endbr64", "vzeroupper"), _nop),
}
