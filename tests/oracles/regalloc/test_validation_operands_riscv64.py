"""riscv64's own bytes against its texts' operands: pseudo-instructions, addresses, vectors, steps of sequences."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import pairwise

import pytest
from support.validation_planting import one, placed, put, refuted

from liftcheck.compilers.cranelift.client import Cranelift
from liftcheck.isa.riscv64.insts.table import table
from liftcheck.isa.riscv64.operands import compare
from liftcheck.mach.insn import BRANCH, JUMP, Insn, decode
from liftcheck.mach.rows.program import assemble, bytes_of
from liftcheck.oracles.regalloc.code.listed import OPERANDS
from liftcheck.oracles.regalloc.source import Source
from liftcheck.oracles.regalloc.validate import validate
from liftcheck.oracles.regalloc.verdict import VALID
from liftcheck.regalloc.allocation import REG, USE, Captured, Operand
from liftcheck.regalloc.named import ALL, DIFFERS, FITS, SILENT, Named

ISA = "riscv64"
BITS = """\
function %bits(i64, i32, i16, i8, i128, i128, f32) -> i64, i32, i16, i8, i128, f32 system_v {
    ss0 = explicit_slot 64
block0(v0: i64, v1: i32, v2: i16, v3: i8, v4: i128, v5: i128, v6: f32):
    v7 = clz v0
    v8 = ctz v1
    v9 = popcnt v2
    v10 = bitrev v3
    v11 = icmp ult v7, v0
    v12 = select v11, v4, v5
    v13 = fcvt_to_uint_sat.i64 v6
    v14 = fcvt_to_sint.i32 v6
    v15 = iadd v7, v13
    v16 = iadd v8, v14
    v17 = load.i64 v0+123456
    v18 = stack_addr.i64 ss0+8
    store v17, v18
    v19 = udiv v15, v17
    v20 = select v11, v6, v6
    return v19, v16, v9, v10, v12, v20
}
"""
PARTS = """\
function %parts(i64, i8, i16, i32, i8) -> i8, i16, i32, i8, i16, i8 system_v {
block0(v0: i64, v1: i8, v2: i16, v3: i32, v4: i8):
    v5 = atomic_rmw.i8 little smax v0, v1
    v6 = atomic_rmw.i16 little nand v0, v2
    v7 = atomic_cas.i32 little v0, v3, v3
    v8 = atomic_cas.i8 little v0, v4, v1
    v9 = atomic_rmw.i16 little xchg v0, v2
    v10 = atomic_rmw.i8 little sub v0, v4
    return v5, v6, v7, v8, v9, v10
}
"""
TABLE = """\
function %table(i32, i64) -> i64 system_v {
block0(v0: i32, v1: i64):
    br_table v0, block1, [block2, block3, block2]
block1:
    v2 = iconst.i64 5
    return v2
block2:
    v3 = iadd v1, v1
    return v3
block3:
    v4 = imul v1, v1
    return v4
}
"""
WIDE = """\
function %wide(i64x4, i64x4, i64x8, i64) -> i64 system_v {
    sig0 = (i64x4, i64, i64x4) -> i64x4, i64x8, i64x8, i64, i64x4 system_v
    fn0 = colocated %g sig0
block0(v0: i64x4, v1: i64x4, v2: i64x8, v3: i64):
    v4, v5, v6, v7, v8 = call fn0(v0, v3, v1)
    v9 = iadd v4, v8
    v10 = isub v5, v6
    v11 = iadd v10, v2
    v12 = extractlane v9, 1
    v13 = extractlane v11, 3
    v14 = iadd v12, v13
    v15 = iadd v14, v7
    return v15
}
"""
VECTORS = (("has_v", "true"), *((f"has_zvl{bits}b", "true") for bits in (128, 256, 512)))
PROGRAMS = {"bits": BITS, "parts": PARTS, "table": TABLE}
MANY = 3
"""Own bytes of so many machine instructions are a sequence."""


def _answer(text: str, code: str, places: dict[str, int], slots: int | None = 32) -> str:
    """What is answered of a text whose virtual registers are in these places."""
    operands = [Operand(int(name[1:]), 0, USE, 0, REG) for name in places]
    own, at = [], 0
    for machine in decode(ISA, bytes_of(assemble(table(), code.replace(";", "\n")))):
        own.append((at, machine))
        at += machine.size
    return compare(text, own, Named(operands, [*places.values()], slots))


A, B, C, D = {"v192": 10}, {"v192": 10, "v193": 11}, {"v192": 10, "v193": 11, "v194": 12}, {"v192": 74, "v193": 75}
V, W = {"v192": 137, "v193": 138}, {"v192": 137, "v193": 138, "v194": 139}
STATE = " #avl=4, #vtype=(e32, m1, ta, ma)"
FAR = "lui t6, 0x1; addi t6, t6, -64; add t6, t6, a1; ld a0, 0(t6)"


@pytest.mark.parametrize(
    ("text", "code", "places"),
    [
        ("add v192,v193,v194", "add a0, a1, a2", C),
        ("add v192,v193,v193", "add a0, a1, a1", B),
        ("add v1929,v1930,v12000", "add a0, a1, a2", {"v1929": 10, "v1930": 11, "v12000": 12}),
        ("add v192,v193,v192", "c.add a0, a1", B),
        ("sub v192,zero,v193", "sub a0, zero, a1", B),
        ("addi v192,v193,0", "c.mv a0, a1", B),
        ("ori v192,v193,0", "c.mv a0, a1", B),
        ("mv v192,sp", "c.mv a0, sp", A),
        ("mv v192,v193", "", {"v192": 10, "v193": 10}),
        ("li v192,-5", "addi a0, zero, -5", A),
        ("li v192,0", "c.li a0, 0", A),
        ("lui v192,-1", "lui a0, 0xfffff", A),
        ("sext.w v192,v193", "addiw a0, a1, 0", B),
        ("not v192,v193", "xori a0, a1, -1", B),
        ("seqz v192,v193", "sltiu a0, a1, 1", B),
        ("andi v192,v193", "andi a0, a1, 255", B),
        ("sgt v192,v193,v194", "slt a0, a2, a1", C),
        ("slli.uw v192,v193,67", "slli.uw a0, a1, 3", B),
        ("srli v192,v193,-63", "srli a0, a1, 1", B),
        ("slli v192,v193,48; srai v192,v192,48", "slli a0, a1, 48; srai a0, a0, 48", B),
        ("amoadd.w.aqrl v192,v193,(v194)", "amoadd.w a0, a1, (a2)", C),
        ("ld v192,8(v193)", "ld a0, 8(a1)", B),
        ("ld v192,4032(v193)", FAR, B),
        ("ld v192,8(slot)", "ld a0, 40(sp)", A),
        ("ld v192,8(sp)", "ld a0, 8(sp)", A),
        ("sd zero,8(slot)", "sd zero, 40(sp)", {}),
        ("load_addr v192,8(slot)", "addi a0, sp, 40", A),
        ("load_addr v192,8(fp)", "addi a0, s0, 8", A),
        ("load_addr v192,4064(slot)", "lui a0, 0x1; add a0, a0, sp", A),
        ("ld v192,[const(0)]", "auipc a0, 0; ld a0, 16(a0)", A),
        ("auipc v192,0; ld v192,12(v192); j 12; .8byte 0x123456789", "auipc a0, 0; ld a0, 12(a0)", A),
        ("load_ext_name_near v192,%f+0", "auipc a0, 0; addi a0, a0, 0", A),
        ("fmv.s v192,v193", "fsgnj.s fa0, fa1, fa1", D),
        ("fabs.d v192,v193", "fsgnjx.d fa0, fa1, fa1", D),
        ("fcvt.w.s v192,v193,rtz", "fcvt.w.s a0, fa1, rtz", {"v192": 10, "v193": 75}),
        ("fli.d v192,0.125", "fli.d fa0, 7", {"v192": 74}),
        ("flh v192,2(v193)", "lh t6, 2(a1); lui t5, 0xffff0; or t6, t6, t5; fmv.w.x fa0, t6", {"v192": 74, "v193": 11}),
        ("select [v192,v193],[v194v194],[v193,v192]##condition=(v194 eq zero)",
         "addi a0, a2, 0; addi a1, a2, 0; beq a2, zero, . + 12; addi a0, a1, 0; addi a1, a0, 0", C),
        ("select v192,v193,v192##condition=(v194 ult zero)", "bgeu a2, zero, . + 8; addi a0, a1, 0", C),
        ("select v192,v193,v193##condition=(v194 eq zero)", "", {"v192": 11, "v193": 11, "v194": 12}),
        ("trap_if heap_oob##(v192 ugt v193)", "bgeu a1, a0, . + 6; c.unimp", B),
        ("bgt v192,v193,taken(label1),not_taken(label2)", "bge a1, a0, . + 64", B),
        ("vadd.vv v192,v193,v194" + STATE, "vadd.vv v9, v10, v11", W),
        ("vadd.vv v192,v193,v194" + STATE, "vsetivli zero, 4, e32, m1, ta, ma; vadd.vv v9, v10, v11", W),
        ("vmacc.vv v192,v195,v193,v194" + STATE, "vmacc.vv v9, v11, v10", {**W, "v195": 137}),
        ("vrsub.vi v192,v193,-16" + STATE, "vrsub.vi v9, v10, -16", V),
        ("vnot.v v192,v193" + STATE, "vxor.vi v9, v10, -1", V),
        ("vneg.v v192,v193" + STATE, "vrsub.vx v9, v10, zero", V),
        ("vmerge.vim v192,v193,3,v194.t" + STATE, "vmerge.vim v9, v10, 3, v0", {**V, "v194": 128}),
        ("vle32.v v192,16(v193)" + STATE, "addi t6, a1, 16; vle32.v v9, (t6)", {"v192": 137, "v193": 11}),
        ("vse32.v v192,0(slot)" + STATE, "addi t6, sp, 32; vse32.v v9, (t6)", V),
    ],
)  # fmt: skip
def test_operands_agree(text: str, code: str, places: dict[str, int]) -> None:
    for _ in range(2):  # the second time it may be known by its spelling
        assert _answer(text, code, places) in (ALL, FITS)


@pytest.mark.parametrize(
    ("text", "code", "places"),
    [
        ("add v192,v193,v194", "add a0, a1, a1", C),
        ("sub v192,v193,v194", "sub a0, a2, a1", C),
        ("add v192,v193,v194", "sub a0, a1, a2", C),
        ("addi v192,v193,0", "c.mv a0, a2", C),
        ("mv v192,v193", "", B),
        ("li v192,-5", "addi a0, zero, 5", A),
        ("lui v192,1", "lui a0, 2", A),
        ("sext.w v192,v193", "addiw a0, a1, 1", B),
        ("andi v192,v193", "andi a0, a1, 127", B),
        ("sgt v192,v193,v194", "slt a0, a1, a2", C),
        ("slliw v192,v193,3", "slliw a0, a1, 2", B),
        ("slli v192,v193,48; srai v192,v192,48", "slli a0, a1, 48; srai a0, a1, 48", B),
        ("amoadd.w.aqrl v192,v193,(v194)", "amoadd.w a0, a2, (a1)", C),
        ("ld v192,8(v193)", "ld a0, 16(a1)", B),
        ("ld v192,8(v193)", "lw a0, 8(a1)", B),
        ("ld v192,4032(v193)", FAR.replace("-64", "-72"), B),
        ("ld v192,4032(v193)", FAR.replace("a1", "a2"), C),
        ("ld v192,4032(v193)", FAR.replace("0(t6)", "8(t6)"), B),
        ("ld v192,8(slot)", "ld a0, 8(sp)", A),
        ("ld v192,8(sp)", "ld a0, 40(sp)", A),
        ("sd zero,8(slot)", "sd zero, 48(sp)", {}),
        ("load_addr v192,8(fp)", "addi a0, sp, 8", A),
        ("load_addr v192,4064(slot)", "lui a0, 0x1; add a0, a0, a0", A),
        ("fmv.s v192,v193", "fsgnj.s fa0, fa1, fa0", D),
        ("fmv.s v192,v193", "fsgnj.d fa0, fa1, fa1", D),
        ("fli.d v192,0.125", "fli.d fa0, 8", {"v192": 74}),
        ("flh v192,2(v193)", "lh t6, 2(a1); lui t5, 0xffff0; or t6, t6, t5; fmv.w.x fa1, t6", {"v192": 74, "v193": 11}),
        ("select v192,v193,v192##condition=(v194 ult zero)", "bltu a2, zero, . + 8; addi a0, a1, 0", C),
        ("select v192,v193,v194##condition=(v194 ult zero)", "addi a0, a1, 0; bltu a2, zero, . + 4; addi a0, a2, 0", C),
        ("select v192,v193,v194##condition=(v194 ult zero)", "addi a0, a1, 0; bltu a2, zero, . + 8", C),
        ("trap_if heap_oob##(v192 ugt v193)", "bgeu a0, a1, . + 6; c.unimp", B),
        ("trap_if heap_oob##(v192 ugt v193)", "bgeu a1, a0, . + 4; c.unimp", B),
        ("bgt v192,v193,taken(label1),not_taken(label2)", "bge a0, a1, . + 64", B),
        ("vadd.vv v192,v193,v194" + STATE, "vadd.vv v9, v11, v10", W),
        ("vadd.vv v192,v193,v194" + STATE, "vsetivli zero, 2, e32, m1, ta, ma; vadd.vv v9, v10, v11", W),
        ("vadd.vv v192,v193,v194" + STATE, "vsetivli zero, 4, e16, m1, ta, ma; vadd.vv v9, v10, v11", W),
        ("vrsub.vi v192,v193,-16" + STATE, "vrsub.vi v9, v10, 15", V),
        ("vle32.v v192,16(v193)" + STATE, "vle32.v v9, (a1)", {"v192": 137, "v193": 11}),
    ],
)  # fmt: skip
def test_other_operands_differ(text: str, code: str, places: dict[str, int]) -> None:
    assert _answer(text, code, places) == DIFFERS


@pytest.mark.parametrize("text", ["j label3", "unheard_of v192", "args v192=a0", "add v192,v193,strange"])
def test_what_says_nothing_is_silent(text: str) -> None:
    assert _answer(text, "add a0, a1, a2", C) == SILENT


def _sequences(captured: Captured) -> Iterator[tuple[int, list[tuple[int, Insn]]]]:
    for number, what in enumerate(captured.allocation.instructions):
        own = placed(ISA, captured, number)
        if len(own) >= MANY and not what.is_return and not what.clobbers:
            yield number, [(at, machine) for at, machine in own]


@pytest.mark.parametrize("compressed", ["true", "false"])
@pytest.mark.parametrize("name", PROGRAMS)
def test_what_is_emitted_is_compared(regalloc: Cranelift, name: str, compressed: str) -> None:
    for algorithm in ("backtracking", "single_pass"):
        more = (("regalloc_algorithm", algorithm), ("has_zca", compressed))
        captured, source = one(regalloc, ISA, PROGRAMS[name], *more)
        verdict = validate(ISA, captured, source)
        assert verdict.status == VALID
        assert not verdict.counts.uncompared.keys() - {"j"}
        assert name != "bits" or sum(1 for _ in _sequences(captured)) > 5


@pytest.mark.parametrize("name", ["bits", "parts"])
def test_a_temporary_that_is_written_and_read_elsewhere_is_refuted(regalloc: Cranelift, name: str) -> None:
    """Two steps of a sequence with the same other register in the place of one."""
    captured, source = one(regalloc, ISA, PROGRAMS[name])
    tried: Counter[str] = Counter()
    for number, own in _sequences(captured):
        others = {place for place in captured.allocation.places[number] if place < 32} | {30, 31}
        for first, one_ in enumerate(own):
            for other in own[first + 1 : first + 4]:
                tried.update(_renamed(captured, source, one_, other, others))
    assert not tried[""] and tried.total() > 100 and tried[OPERANDS] > 20, tried


def _renamed(
    captured: Captured, source: Source, first: tuple[int, Insn], second: tuple[int, Insn], others: set[int]
) -> Iterator[str]:
    code = captured.code.code
    for place in (first[1].writes & second[1].reads) - {-3}:
        for other in others - {place}:
            write, read = (_with(code, *each, place, other, each is first) for each in (first, second))
            if write and read:
                edited = put(ISA, captured, first[0], write, 4)
                yield refuted(ISA, put(ISA, edited, second[0], read, 4), source)


def _with(code: bytes, at: int, machine: Insn, place: int, other: int, written: bool) -> bytes:
    """The instruction with another register in the place of one; b'' if there is none."""
    word = int.from_bytes(code[at : at + 4], "little")
    for low in (7, 15, 20) if machine.size == 4 else ():
        data = (word & ~(31 << low) | other << low).to_bytes(4, "little")
        after = decode(ISA, data + bytes(8), 0, 1)[0]
        old, new = (machine.writes, after.writes) if written else (machine.reads, after.reads)
        if word >> low & 31 == place and after.name == machine.name and old - new == {place}:
            return data
    return b""


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_branch_inside_that_leads_elsewhere_is_refuted(regalloc: Cranelift, name: str) -> None:
    captured, source = one(regalloc, ISA, PROGRAMS[name])
    tried = 0
    for number, own in _sequences(captured):
        start, end = captured.allocation.offsets[number] or 0, captured.allocation.ends[number]
        for at, machine in own:
            if machine.flow not in (BRANCH, JUMP) or machine.target is None:
                continue
            for bit in range(32):
                word = int.from_bytes(captured.code.code[at : at + 4], "little") ^ 1 << bit
                after = decode(ISA, word.to_bytes(4, "little"), 0, 1)[0]
                if machine.size == 4 == after.size and after.name == machine.name and after.target != machine.target:
                    goal = at + (after.target or 0)
                    assert refuted(ISA, put(ISA, captured, at, word.to_bytes(4, "little"), 4), source), after.text
                    tried += start <= goal <= end
    assert tried > 2


@pytest.mark.parametrize("algorithm", ["backtracking", "single_pass"])
def test_wide_values_lie_where_the_signature_has_them(regalloc: Cranelift, algorithm: str) -> None:
    """Arguments and results of 256 and 512 bits, handed over on the stack; two results of 512 are exchanged."""
    captured, source = one(
        regalloc, ISA, WIDE, ("regalloc_algorithm", algorithm), ("enable_llvm_abi_extensions", "true"), *VECTORS
    )
    number = next(n for n, what in enumerate(captured.allocation.instructions) if what.clobbers)
    edited, tried = captured, 0
    for at, machine in placed(ISA, captured, number):
        if machine.name == "ld" and machine.accesses[0].base == 2 and 128 <= machine.accesses[0].displacement < 256:
            other = machine.accesses[0].displacement ^ 64
            (target,) = machine.writes
            word = other << 20 | 2 << 15 | 3 << 12 | target << 7 | 3
            edited, tried = put(ISA, edited, at, word.to_bytes(4, "little"), 4), tried + 1
    assert tried == 16
    assert refuted(ISA, edited, source) == OPERANDS
    assert _moved(captured, source) >= 2


def _moved(captured: Captured, source: Source) -> int:
    """Vectors that are accessed by the stack pointer: each address half a vector and a whole one further on."""
    tried = 0
    for number, what in enumerate(captured.allocation.instructions):
        own = placed(ISA, captured, number)
        for (at, machine), (_, after) in pairwise(own):
            if machine.name == "addi" and after.name.startswith(("vle", "vse")) and machine.size == 4:
                for more in (32, 64):
                    word = int.from_bytes(captured.code.code[at : at + 4], "little") + (more << 20)
                    assert refuted(ISA, put(ISA, captured, at, (word % (1 << 32)).to_bytes(4, "little"), 4), source), (
                        what
                    )
                    tried += 1
    return tried


def test_a_text_of_another_version_is_read(regalloc: Cranelift) -> None:
    """Before 0.135 parts of words were loaded twice; what is emitted now is not that."""
    captured, _ = one(regalloc, ISA, PARTS)
    number, own = next(
        (n, own) for n, own in _sequences(captured) if "smax" in captured.allocation.instructions[n].text
    )
    what, places = captured.allocation.instructions[number], captured.allocation.places[number]
    named = Named(what.operands, places)
    assert compare(what.text, own, named) == ALL
    assert own[1][1].name == "addi"
    load = own[0][1]
    again = load._replace(operands=load.operands.replace(load.operands.split(", ")[0], "x30"))
    at = next(n for n, (_, machine) in enumerate(own) if machine.text.startswith("addi x31"))
    older = [*own[:1], *own[2:at], (own[at][0], again), (own[at][0] + 1, own[at][1]), *own[at + 1 :]]
    assert compare(what.text, older, named) == ALL
    assert compare(what.text.replace("smax", "smin"), older, named) == DIFFERS


def test_a_description_that_lacks_operands_does_not_agree(regalloc: Cranelift) -> None:
    captured, _ = one(regalloc, ISA, BITS)
    rows = captured.allocation
    for number, own in _sequences(captured):
        what = rows.instructions[number]
        named = Named(what.operands[:-2], rows.places[number][:-2], 32)
        assert len(what.operands) < 3 or compare(what.text, own, named) != ALL


DISTANT = """\
function %far(i64, f64, i64x2) -> i64, f64, i64x2, i8 system_v {
block0(v0: i64, v1: f64, v2: i64x2):
    v3 = load.i64 v0+2147483520
    v4 = load.f64 v0+2147481600
    v5 = load.i64x2 v0+2147483646
    store v1, v0+2147483640
    store v2, v0+2147483520
    v6 = load.i8 v0+2147483647
    v7 = load.i64 v0-2147483648
    v8 = iadd v7, v3
    return v8, v4, v5, v6
}
"""


def test_a_distance_that_is_loaded_agrees(regalloc: Cranelift) -> None:
    """What lui and addi cannot make stands in the code; near ones are compared as ever."""
    captured, source = one(regalloc, "riscv64", DISTANT, ("has_v", "true"))
    assert validate("riscv64", captured, source).status == VALID
    loads = [machine for machine in decode("riscv64", captured.code.code) if machine.name == "auipc"]
    assert len(loads) >= 4


def test_a_rounding_mode_that_is_none_agrees(regalloc: Cranelift) -> None:
    """The texts of Zfa's minimum and maximum name the field where others have their rounding mode."""
    text = """\
function %least(f32, f32, f64, f64) -> f32, f64 system_v {
block0(v0: f32, v1: f32, v2: f64, v3: f64):
    v4 = fmin v0, v1
    v5 = fmax v2, v3
    return v4, v5
}
"""
    captured, _ = one(regalloc, "riscv64", text, ("has_zfa", "true"))
    assert any(what.text.startswith("fminm.s") for what in captured.allocation.instructions)
