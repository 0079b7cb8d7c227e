"""Own bytes against the operands that the compiler's own text of them names: other ones are refuted, its own agree."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import pairwise

import pytest
from support.validation_planting import CALLS, LOOPS, RESULTS, TAIL, WIDE, flips, one, placed, put, refuted

from liftcheck.compilers.cranelift.client import Cranelift
from liftcheck.isa.base import isa_named
from liftcheck.mach.insn import MEMORY, TRAP, Insn, decode
from liftcheck.oracles.regalloc.code.accesses import TOO_EARLY
from liftcheck.oracles.regalloc.code.listed import ABSENT, OPERANDS, Listing
from liftcheck.oracles.regalloc.validate import validate
from liftcheck.oracles.regalloc.verdict import INVALID, VALID
from liftcheck.regalloc.allocation import DEF, REG, USE, Captured, Edit, Operand
from liftcheck.regalloc.named import ALL, DIFFERS, FITS, SILENT, Named

COMPARED = ("x86-64", "aarch64", "riscv64", "s390x")
VECTORS = {"riscv64": (("has_v", "true"),)}
"""Settings without which there are no vectors."""
MEMORIES = """\
function %memories(i64, i64, i32, f64, i64x2, i64x2) -> i64, f64, i64x2 system_v {
    ss0 = explicit_slot 64
block0(v0: i64, v1: i64, v2: i32, v3: f64, v4: i64x2, v5: i64x2):
    v6 = load.i64 v0+8
    v7 = uload8.i64 v1+5
    v8 = iadd v6, v7
    v9 = imul v8, v1
    v10 = isub v9, v6
    v11 = stack_addr.i64 ss0+16
    store v10, v11+8
    store v2, v0+4
    v20 = iconst.i64 255
    v12 = band v10, v20
    v13 = rotl v12, v2
    v14 = load.f64 v0+40
    v15 = fmul v14, v3
    v16 = iadd v4, v5
    v17 = extractlane v16, 1
    v18 = select v13, v17, v10
    v19 = udiv v18, v1
    return v19, v15, v16
}
"""
ATOMICS = """\
function %atomics(i64, i64, i32, i8) -> i64, i32, i8, i64, f64, f32 system_v {
block0(v0: i64, v1: i64, v2: i32, v3: i8):
    v4 = atomic_rmw.i64 little umax v0, v1
    v5 = atomic_rmw.i32 little nand v0, v2
    v6 = atomic_rmw.i8 little smin v0, v3
    v7 = atomic_cas.i64 little v0, v4, v1
    v8 = fcvt_from_uint.f64 v7
    v9 = fcvt_from_uint.f32 v4
    v10 = fcvt_to_uint.i64 v8
    return v10, v5, v6, v7, v8, v9
}
"""
PROGRAMS = {"calls": CALLS, "loops": LOOPS, "results": RESULTS, "tail": TAIL, "wide": WIDE, "memory": MEMORIES,
            "atomics": ATOMICS}  # fmt: skip
LEADS = {"jmp", "b", "ud2", "udf", "dmb", "mfence", "fence"}
"""What is not compared beside conditional jumps: it has no operands, or leads elsewhere."""


def _answer(isa: str, text: str, code: str, **registers: int) -> str:
    """What is answered of a text whose virtual registers (v192 and so on) are in these places."""
    operands = [Operand(int(name[1:]), 0, USE, 0, REG) for name in registers]
    own, at = [], 0
    for machine in decode(isa, bytes.fromhex(code)):
        own.append((at, machine))
        at += machine.size
    answer = isa_named(isa).part(isa_named(isa).operands)(
        text, own, Named(operands, [*registers.values()], 32, size=400)
    )
    assert isinstance(answer, str)
    return answer


@pytest.mark.parametrize(
    ("isa", "text", "code", "registers"),
    [
        ("x86-64", "addq %v192, (%v193 <- %v194)", "4801c8", {"v192": 1, "v193": 0, "v194": 0}),
        ("x86-64", "movq %v192, <offset:1>+8(%rsp)", "48894c2428", {"v192": 1}),
        ("x86-64", "leaq 5(%v192), %v193", "4883c105", {"v192": 1, "v193": 1}),
        ("x86-64", "leaq (%v192, %v193), %v194", "4801c8", {"v192": 1, "v193": 0, "v194": 0}),
        ("x86-64", "movzbl 8(%v192, %v193, 4), %v194", "0fb6448a08", {"v192": 2, "v193": 1, "v194": 0}),
        ("x86-64", "jb #trap=heap_oob", "0f8210000000", {}),
        ("x86-64", "load_ext_name %f0+0, %v192", "48b90000000000000000", {"v192": 1}),
        ("aarch64", "add %v192, %v193, %v194, LSL 3", "410c038b", {"v192": 1, "v193": 2, "v194": 3}),
        ("aarch64", "subs wzr, %v192, #2097152", "5f004871", {"v192": 2}),
        ("aarch64", "sbfm %v192, %v193, #16, #25", "81651013", {"v192": 1, "v193": 12}),
        ("aarch64", "str %v192, [sp, #8]", "e11300f9", {"v192": 1}),
        ("aarch64", "str %v192, [sp, #8]", "e11700f9", {"v192": 1}),
        ("aarch64", "movn %v192, #16384", "0108 8892".replace(" ", ""), {"v192": 1}),
        ("aarch64", "mov %v192.d[1], %v193.d[1], %v194", "611c184e", {"v192": 65, "v193": 65, "v194": 3}),
        ("s390x", "agrk %v192, %v193, %v194", "b9080034", {"v192": 3, "v193": 3, "v194": 4}),
        ("s390x", "agrk %v192, %v193, %v194", "b9e84023", {"v192": 2, "v193": 3, "v194": 4}),
        ("s390x", "aghik %v192, %v193, 7", "a73b0007", {"v192": 3, "v193": 3}),
        ("s390x", "iilf %v192<-%v193, 17", "c03900000011", {"v192": 3, "v193": 3}),
        ("s390x", "mlgr %v192/%v193<-_/%v194, %v195", "b9860026", {"v192": 2, "v193": 3, "v194": 3, "v195": 6}),
        ("s390x", "la %v192, 8(%r15)", "4120f028", {"v192": 2}),
        ("s390x", "stg %v192, 168(%r15)", "e320f0a80024", {"v192": 2}),
        ("s390x", "vleg %v192, 8(%v193), 0", "68203008", {"v192": 66, "v193": 3}),
        ("s390x", "vlgvg %v192, %v193, 0", "b3cd0021", {"v192": 2, "v193": 65}),
        ("s390x", "wfadb %v192, %v193, %v194", "b31a0012", {"v192": 65, "v193": 65, "v194": 66}),
        ("s390x", "larl %r1, [const(3)] ; vlef %v192, 0(%r1), 0", "c0100000001078201000", {"v192": 66}),
        ("s390x", "lay %r1, 5000(%v193) ; mvghi 0(%r1), 7", "e31033880171e54810000007", {"v193": 3}),
        ("s390x", "stg %v192, 700000(%v193)", "c011000aae60e32130000024", {"v192": 2, "v193": 3}),
        ("s390x", "jne 10 ; vlr %v192<-%v193, %v194", "a77400033812",
         {"v192": 65, "v193": 65, "v194": 66}),
        ("s390x", "0: cs %r0, %v192, 0(%v193) ; jglh 0b ; 1:", "ba023000c064fffffffe", {"v192": 2, "v193": 3}),
        ("s390x", "jgo .+2 # trap=int_ovf", "c01400000001", {}),
        ("s390x", "bcr 14, 0", "07e0", {}),
        ("s390x", "vpdi %v192, %v193, %v193, 4 ; verllg %v193, %v193, 32", "e71220004084e71100203033",
         {"v192": 65, "v193": 66}),
        ("s390x", "cgrtlh %v192, %v193 # trap=int_ovf", "b9606023", {"v192": 2, "v193": 3}),
    ],
)  # fmt: skip
def test_operands_agree(isa: str, text: str, code: str, registers: dict[str, int]) -> None:
    machine = decode(isa, bytes.fromhex(code))[0]
    expected = (ALL, FITS) if "[sp, #8]" not in text or machine.accesses[0].displacement in (8, 40) else (DIFFERS,)
    if text.startswith("movn"):
        expected = (DIFFERS,)  # another constant
    assert _answer(isa, text, code, **registers) in expected, machine.text


@pytest.mark.parametrize(
    ("isa", "text", "code", "registers"),
    [
        ("x86-64", "addq %v192, (%v193 <- %v194)", "4801c8", {"v192": 0, "v193": 1, "v194": 1}),
        ("x86-64", "addq %v192, (%v193 <- %v194)", "01c8", {"v192": 1, "v193": 0, "v194": 0}),
        ("x86-64", "movq %v192, <offset:1>+8(%rsp)", "48894c2408", {"v192": 1}),
        ("x86-64", "movq %v192, 8(%v193)", "48894a10", {"v192": 1, "v193": 2}),
        ("x86-64", "leaq 5(%v192), %v193", "4883c106", {"v192": 1, "v193": 1}),
        ("x86-64", "leaq 5(%v192), %v193", "4883c105", {"v192": 2, "v193": 1}),
        ("x86-64", "movzbl 8(%v192, %v193, 4), %v194", "0fb6444a08", {"v192": 2, "v193": 1, "v194": 0}),
        ("x86-64", "jb #trap=heap_oob", "0f8310000000", {}),
        ("x86-64", "andq $0xff, (%v192 <- %v193)", "4881e1ff000000", {"v192": 0, "v193": 0}),
        ("x86-64", "movdqu (%rip), %v192", "f30f6f8d00000000", {"v192": 65}),
        ("aarch64", "add %v192, %v193, %v194, LSL 3", "4108038b", {"v192": 1, "v193": 2, "v194": 3}),
        ("aarch64", "add %v192, %v193, %v194", "4100038b", {"v192": 1, "v193": 3, "v194": 2}),
        ("aarch64", "ldr qv192, [%v193]", "410040fd", {"v192": 65, "v193": 2}),
        ("aarch64", "str %v192, [sp, #8]", "e11f00f9", {"v192": 1}),
        ("aarch64", "csel %v192, %v193, %v194, ne", "4100839a", {"v192": 1, "v193": 2, "v194": 3}),
        ("aarch64", "mov %v192.d[1], %v193.d[1], %v194", "611c084e", {"v192": 65, "v193": 65, "v194": 3}),
        ("aarch64", "b.vs #trap=int_ovf", "47010054", {}),
        ("s390x", "agrk %v192, %v193, %v194", "b9080034", {"v192": 3, "v193": 5, "v194": 4}),
        ("s390x", "agrk %v192, %v193, %v194", "b9080034", {"v192": 3, "v193": 4, "v194": 3}),
        ("s390x", "agrk %v192, %v193, %v194", "b9e84023", {"v192": 2, "v193": 4, "v194": 3}),
        ("s390x", "aghik %v192, %v193, 7", "a73b0008", {"v192": 3, "v193": 3}),
        ("s390x", "iilf %v192<-%v193, 17", "c03900000011", {"v192": 3, "v193": 4}),
        ("s390x", "mlgr %v192/%v193<-_/%v194, %v195", "b9860026", {"v192": 2, "v193": 4, "v194": 4, "v195": 6}),
        ("s390x", "la %v192, 8(%r15)", "4120f030", {"v192": 2}),
        ("s390x", "stg %v192, 168(%r15)", "e320f0b00024", {"v192": 2}),
        ("s390x", "stg %v192, 8(%v193,%v194)", "e32430080024", {"v192": 2, "v193": 3, "v194": 4}),
        ("s390x", "vleg %v192, 8(%v193), 1", "68203008", {"v192": 66, "v193": 3}),
        ("s390x", "wfadb %v192, %v193, %v194", "b31a0012", {"v192": 65, "v193": 66, "v194": 65}),
        ("s390x", "vag %v192, %v193, %v194", "e712300020f3", {"v192": 65, "v193": 66, "v194": 67}),
        ("s390x", "larl %r1, [const(3)] ; vlef %v192, 0(%r1), 0", "c0100000001078201004", {"v192": 66}),
        ("s390x", "stg %v192, 700000(%v193)", "c011000aae61e32130000024", {"v192": 2, "v193": 3}),
        ("s390x", "jne 10 ; vlr %v192<-%v193, %v194", "a77400023812", {"v192": 65, "v193": 65, "v194": 66}),
        ("s390x", "jne 10 ; vlr %v192<-%v193, %v194", "a78400033812", {"v192": 65, "v193": 65, "v194": 66}),
        ("s390x", "0: cs %r0, %v192, 0(%v193) ; jglh 0b ; 1:", "ba023000c06400000003", {"v192": 2, "v193": 3}),
        ("s390x", "jgo .+2 # trap=int_ovf", "c01400000003", {}),
        ("s390x", "bcr 14, 0", "0700", {}),
        ("s390x", "rll %v192, %v193, 3(%v194)", "eb234004001d", {"v192": 2, "v193": 3, "v194": 4}),
        ("s390x", "risbgn %v192<-%v193, %v194, 8, 55, 3", "ec2408370459", {"v192": 2, "v193": 2, "v194": 4}),
    ],
)  # fmt: skip
def test_other_operands_differ(isa: str, text: str, code: str, registers: dict[str, int]) -> None:
    assert _answer(isa, text, code, **registers) == DIFFERS


def test_what_says_nothing_is_silent() -> None:
    assert _answer("x86-64", "jmp     label3", "e900000000") == SILENT
    assert _answer("x86-64", "unheard_of { %v192 }", "4801c8", v192=0) == SILENT
    assert _answer("aarch64", "b label3", "00000014") == SILENT
    assert _answer("s390x", "unheard_of %v192", "b9080034", v192=3) == SILENT
    assert _answer("s390x", "jglh label1 ; jg label2", "c06400000010") == FITS
    assert _answer("s390x", "jglh label1 ; jg label2", "c04400000010") == DIFFERS


def test_a_spelling_that_is_known_is_no_licence() -> None:
    """What was right once, with other registers and with other places."""
    text = "xorq %v192, (%v193 <- %v194)"
    for first, second, code in ((1, 0, "4831c8"), (3, 2, "4831da"), (9, 10, "4d31ca")):
        assert _answer("x86-64", text, code, v192=first, v193=second, v194=second) == ALL
        assert _answer("x86-64", text, code, v192=second, v193=first, v194=first) == DIFFERS
    rotated = "extr %v192, %v193, %v194, #8"
    assert _answer("aarch64", rotated, "4120c293", v192=1, v193=2, v194=2) in (ALL, FITS)
    assert _answer("aarch64", rotated, "4120c293", v192=1, v193=2, v194=3) == DIFFERS


@pytest.mark.parametrize("isa", COMPARED)
@pytest.mark.parametrize("name", PROGRAMS)
def test_what_is_emitted_is_compared(regalloc: Cranelift, isa: str, name: str) -> None:
    """Nothing but where control leads is left out."""
    for algorithm in ("backtracking", "single_pass"):
        more = (("regalloc_algorithm", algorithm), *VECTORS.get(isa, ()))
        captured, source = one(regalloc, isa, PROGRAMS[name], *more)
        verdict = validate(isa, captured, source)
        assert verdict.status == VALID, verdict.counterexample and verdict.counterexample.render()
        left = {word for word in verdict.counts.uncompared if word not in LEADS and word[0] not in "jb"}
        assert not left


@pytest.mark.parametrize("isa", COMPARED)
@pytest.mark.parametrize("name", ["loops", "memory", "atomics", "results"])
def test_another_register_or_distance_is_refuted(regalloc: Cranelift, isa: str, name: str) -> None:
    """Whatever one bit makes of own bytes: other registers, another access, another instruction of a sequence."""
    captured, source = one(regalloc, isa, PROGRAMS[name], *VECTORS.get(isa, ()))
    tried: Counter[str] = Counter()
    for number, what in enumerate(captured.allocation.instructions):
        own = placed(isa, captured, number)
        for at, machine in own if not what.is_return and not what.is_branch else ():
            data = captured.code.code[at : at + machine.size]
            for row in (row for row in flips(data) if (int.from_bytes(row) ^ int.from_bytes(data)).bit_count() == 1):
                after = decode(isa, row + bytes(16), 0, 1)[0]
                if not after.known or after.size != machine.size or TRAP in (machine.flow, after.flow):
                    continue
                if _claimed(isa, machine, after):
                    rule = refuted(isa, put(isa, captured, at, row, machine.size), source)
                    assert rule, f"{what.text}: {machine.text} becomes {after.text}"
                    tried[rule] += 1
    assert tried.total() > 90
    assert name in ("loops", "results") or tried[OPERANDS]


def _claimed(isa: str, before: Insn, after: Insn) -> bool:
    """Whether other registers are read or written, or memory is accessed elsewhere or in another way: how wide a
    register is, aarch64's texts do not say."""
    if before.name == after.name and isa == "aarch64" and MEMORY not in before.reads | before.writes:
        return (before.reads, before.writes) != (after.reads, after.writes)
    one_, other = ([a._replace(size=0) for a in m.accesses] for m in (before, after))
    return (before.reads, before.writes, one_) != (after.reads, after.writes, other)


@pytest.mark.parametrize("isa", COMPARED)
def test_a_result_that_is_taken_from_or_put_elsewhere_is_refuted(regalloc: Cranelift, isa: str) -> None:
    """Results on the stack that have a spill slot: each load and each store at each distance within the frame."""
    text = RESULTS.replace("fn0 = colocated", "fn1 = %h(i64) -> i64 system_v\n    fn0 = colocated")
    sums = "".join(f"    v{20 + n} = iadd v{19 + n}, v{2 + n}\n" for n in range(1, 10))
    text = (
        text.partition("    v12 =")[0]
        + "    v12 = call fn1(v1)\n    v20 = iadd v12, v2\n"
        + sums
        + "    return v29\n}\n"
    )
    captured, source = one(regalloc, isa, text, ("regalloc_algorithm", "single_pass"))
    number = next(n for n, what in enumerate(captured.allocation.instructions) if what.clobbers)
    tried = 0
    for at, machine in placed(isa, captured, number)[1:]:
        data = captured.code.code[at : at + machine.size]
        for row in flips(data):
            after = decode(isa, row + bytes(16), 0, 1)[0]
            moved = [a._replace(displacement=0) for a in after.accesses] == [
                a._replace(displacement=0) for a in machine.accesses
            ]
            if moved and after.name == machine.name and after.writes == machine.writes and after != machine:
                assert refuted(isa, put(isa, captured, at, row, machine.size), source), after.text
                tried += 1
    assert tried > 20


@pytest.mark.parametrize("isa", COMPARED)
def test_a_store_without_bytes_is_refuted(regalloc: Cranelift, isa: str) -> None:
    """The compiler would tell of an instruction that emits nothing where it has no operands, too."""
    text = "function %f(i64) -> i64 system_v {\n    ss0 = explicit_slot 16\nblock0(v0: i64):\n    v1 = iconst.i64 7\n"
    text += "    v4 = stack_addr.i64 ss0\n    store v1, v4\n    v2 = load.i64 v4\n    v3 = iadd v2, v0\n"
    text += "    return v3\n}\n"
    captured, _ = one(regalloc, isa, text)
    stores = [n for n, i in enumerate(captured.allocation.instructions) if MEMORY in _writes(isa, captured, n)]
    assert stores
    for number in stores:
        found = Listing(isa, captured.allocation).check(number, ())
        assert [problem.rule for problem in found] == [ABSENT]


def _writes(isa: str, captured: Captured, number: int) -> frozenset[int]:
    if captured.allocation.instructions[number].is_return:
        return frozenset()
    return frozenset().union(*[machine.writes for _, machine in placed(isa, captured, number)])


@pytest.mark.parametrize("isa", ["x86-64", "aarch64", "riscv64", "s390x"])
def test_a_move_before_the_arguments_are_taken_is_refuted(regalloc: Cranelift, isa: str) -> None:
    """They are in their registers from the beginning."""
    text = MEMORIES.replace("i64x2", "i64").replace("v17 = extractlane v16, 1", "v17 = bnot v16")
    captured, source = one(regalloc, isa, text)
    rows = captured.allocation
    first = rows.instructions[0]
    assert all(operand.kind == DEF for operand in first.operands)
    source_, target = rows.places[0][:2]
    edits = (Edit(0, 0, source_, target), *rows.edits)
    ranges = ((rows.offsets[0] or 0, rows.offsets[0] or 0), *rows.edit_ranges)
    changed = captured._replace(allocation=replace(rows, edits=edits, edit_ranges=ranges))
    verdict = validate(isa, changed, source)
    assert verdict.status == INVALID
    assert TOO_EARLY in _rules(isa, changed)


def _rules(isa: str, captured: Captured) -> set[str]:
    from liftcheck.oracles.regalloc.code.check import examine

    return {problem.rule for problem in examine(isa, captured).problems}


def test_pairs_are_compared_and_swapped() -> None:
    machine = decode("aarch64", bytes.fromhex("82fc6048"))[0]
    assert machine.text == "caspal x0, x1, x2, x3, [x4]" and machine.known
    assert machine.reads == {0, 1, 2, 3, 4, MEMORY} and machine.writes == {0, 1, MEMORY}
    assert (machine.accesses[0].size, decode("aarch64", bytes.fromhex("82fc6008"))[0].accesses[0].size) == (16, 8)
    assert not decode("aarch64", bytes.fromhex("83fc6048"))[0].known  # of an odd register


@pytest.mark.parametrize("isa", ["x86-64", "aarch64"])
def test_what_a_convention_does_is_its_versions(regalloc: Cranelift, isa: str) -> None:
    """Callees by `winch` take their arguments away from 0.137 on; of a checkout's compiler either is right."""
    arguments = ", ".join(f"v{n}: i64" for n in range(12))
    text = f"function %f({', '.join(['i64'] * 12)}) -> i64 winch {{\nblock0({arguments}):\n"
    text += "    v20 = iadd v10, v11\n    return v20\n}\n"
    captured, source = one(regalloc, isa, text)
    version = captured.allocation.frame["version"]
    assert isinstance(version, tuple) and version < (0, 137)
    for told, status in (({"version": version}, VALID), ({"version": (0, 137, 0)}, INVALID), ({}, VALID)):
        frame = {k: v for k, v in captured.allocation.frame.items() if k != "version"} | told
        changed = captured._replace(allocation=replace(captured.allocation, frame=frame))
        assert validate(isa, changed, source).status == status


def test_a_pair_may_be_accessed_by_copies_of_its_address() -> None:
    """Both halves of 128 bits have addresses of their own, whose registers are not always the same ones."""
    text = "atomically { %v200:%v201 = (%v192):8(%v192); (%v192):8(%v192) = %v202:%v203 }"
    code = "498b04244 98b5208f0490fc70c240f85f4ffffff".replace(" ", "")  # r12, and r10 for the upper half
    own, at = [], 0
    for machine in decode("x86-64", bytes.fromhex(code)):
        own.append((at, machine))
        at += machine.size
    vregs = ((192, USE, 12), (192, USE, 10), (200, DEF, 2), (201, DEF, 0), (202, USE, 1), (203, USE, 3))
    operands = [Operand(vreg, 0, kind, 0, REG) for vreg, kind, _ in vregs]
    compare = isa_named("x86-64").part(isa_named("x86-64").operands)
    assert compare(text, own, Named(operands, [place for _, _, place in vregs])) == ALL
    others = [one._replace(vreg=193) if number == 1 else one for number, one in enumerate(operands)]
    assert compare(text, own, Named(others, [place for _, _, place in vregs])) == DIFFERS


@pytest.mark.parametrize("lacking", [2, 3])
@pytest.mark.parametrize("isa", COMPARED)
def test_a_description_that_lacks_operands_of_its_text_does_not_agree(
    regalloc: Cranelift, isa: str, lacking: int
) -> None:
    """Of loops above all, whose operands are counted, since x86-64's texts of them name machine registers. (A temporary
    that is not described is refuted elsewhere: own bytes write it.)"""
    captured, _ = one(regalloc, isa, ATOMICS)
    rows, tried = captured.allocation, 0
    for number, what in enumerate(rows.instructions):
        own = placed(isa, captured, number)
        if len(own) > 2 and len(what.operands) > lacking and not what.clobbers:
            named = Named(what.operands[:-lacking], rows.places[number][:-lacking], 32)
            reader = isa_named(isa).part(isa_named(isa).operands)
            assert reader(what.text, [(at - own[0][0], machine) for at, machine in own], named) != ALL, what.text
            tried += 1
    assert tried


@pytest.mark.parametrize("name", PROGRAMS)
def test_each_bit_of_s390x_counts(regalloc: Cranelift, name: str) -> None:
    """Constants, masks, conditions and sizes as well: whatever is another instruction differs, but for places in the
    code, and what has the same meaning."""
    captured, _ = one(regalloc, "s390x", PROGRAMS[name])
    table = isa_named("s390x").part(isa_named("s390x").rows)()
    compare = isa_named("s390x").part(isa_named("s390x").operands)
    rows, tried = captured.allocation, 0
    slots = rows.frame.get("slots")
    begin = min(slots, default=None) if isinstance(slots, list) else None
    size = rows.frame["frame_to_fp_offset"]
    assert isinstance(size, int)
    for number, what in enumerate(rows.instructions):
        own = placed("s390x", captured, number)
        if what.is_return or what.is_branch or len(own) != 1 or own[0][1].target is not None:
            continue
        at, machine = own[0]
        names = Named(what.operands, rows.places[number], begin, size=size)
        assert compare(what.text, own, names) == ALL, what.text
        for open_distance in ("incoming", "entry"):
            names.learnt.setdefault(open_distance, -1)
        data = captured.code.code[at : at + machine.size]
        for row in flips(data):
            after, meant = decode("s390x", row + bytes(16), 0, 1)[0], table.decode(row)
            other = meant is not None and meant.text != table.decode(data).text
            if after.known and after.size == machine.size and other:
                assert compare(what.text, [(at, after)], names) == DIFFERS, f"{what.text}: {meant.text}"
                tried += 1
    assert tried > 10


BEHIND_MEMORY = """\
function %low(i64, i64) -> i64 system_v {
block0(v0: i64, v1: i64):
    v2 = iconst.i64 0x123456789abcdef
    v3 = iconst.i64 1
    v4 = ishl v3, v1
    v5 = iconst.i64 -1
    v6 = isub v4, v3
    v7 = band v2, v6
    return v7
}
"""


def test_a_register_behind_a_constant_in_memory_is_no_bug(regalloc: Cranelift) -> None:
    """`bzhi rax, [rip + …], rsi`: what is learnt of an address in the code ends there."""
    captured, source = one(regalloc, "x86-64", BEHIND_MEMORY, ("has_bmi2", "true"), ("opt_level", "none"))
    assert "bzhi" in " ".join(machine.text for machine in decode("x86-64", captured.code.code))
    assert [validate("x86-64", captured, source).status for _ in range(2)] == [VALID, VALID]


LOWERED = """\
function %lowered(i64) -> i64, i64 system_v {
    fn0 = %g(i64) -> i64, i64, i64, i64, i64, i64, i64, i64, i64, i64 winch
block0(v0: i64):
    v1, v2, v3, v4, v5, v6, v7, v8, v9, v10 = call fn0(v0)
    v11 = isub v1, v2
    v12 = isub v3, v4
    return v11, v12
}
"""


@pytest.mark.parametrize("isa", ["x86-64", "aarch64"])
def test_results_of_winch_lie_downwards(regalloc: Cranelift, isa: str) -> None:
    """As they lie they are right; two neighbours exchanged are refuted."""
    captured, source = one(regalloc, isa, LOWERED)
    assert validate(isa, captured, source).status == VALID
    at, loads = 0, []
    for machine in decode(isa, captured.code.code):
        access = machine.accesses[0] if machine.accesses else None
        if access is not None and access.read and not access.written and access.size == 8 and len(machine.writes) == 1:
            loads.append((at, machine))
        at += machine.size
    planted = 0
    for (first, machine), (second, other) in pairwise(loads):
        if machine.size != other.size or not 0 <= machine.accesses[0].displacement < 0x48:
            continue
        code, end = captured.code.code, machine.size
        low, high = code[first : first + end], code[second : second + end]
        if isa == "aarch64":
            mask = 0x1FF000 if not low[3] & 1 else 0x3FFC00
            words = [int.from_bytes(one, "little") for one in (low, high)]
            changed = [a & ~mask | b & mask for a, b in (words, words[::-1])]
            pieces = [word.to_bytes(4, "little") for word in changed]
        else:
            pieces = [low[:-1] + high[-1:], high[:-1] + low[-1:]]
        edited = put(isa, put(isa, captured, first, pieces[0], end), second, pieces[1], end)
        if edited.code.code != code:
            planted += 1
            assert validate(isa, edited, source).status == INVALID, (machine.text, other.text)
    assert planted >= 3


def test_an_instruction_without_operands_makes_no_distance() -> None:
    """Where a constant might be made in a scratch register, bytes that say nothing of a register end the search."""
    isa = isa_named("aarch64")
    codes = {"mov x16, #5": "b00080d2", "nop": "1f2003d5", "add x0, x1, x16": "2000108b"}
    own = [(4 * n, decode("aarch64", bytes.fromhex(code))[0]) for n, code in enumerate(codes.values())]
    operands = [Operand(vreg, 0, kind, 0, REG) for vreg, kind in ((200, DEF), (201, USE))]
    assert isa.part(isa.operands)("add %v200, %v201, #5", own, Named(operands, [0, 1])) != ALL
