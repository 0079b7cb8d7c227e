"""Reading by rows: what a row's instructions have in common, what differs, what is not known."""

from __future__ import annotations

import pickle
import re
from collections.abc import Iterable
from dataclasses import replace
from random import Random

import pytest
from support.examples import many

from liftcheck.bits.build import zext
from liftcheck.bits.simplify import normal
from liftcheck.isa.aarch64 import reader as aarch64
from liftcheck.isa.base import isa_named
from liftcheck.isa.riscv64 import reader as riscv64
from liftcheck.isa.s390x.insts.bench import benches
from liftcheck.isa.s390x.insts.table import table
from liftcheck.isa.s390x.reader import MANNER, read
from liftcheck.isa.x64 import reader as x64
from liftcheck.mach import insn as m
from liftcheck.mach.capstone import opened
from liftcheck.mach.insn import Access, Effect, Insn
from liftcheck.mach.rows.reader import Manner, Reader
from liftcheck.mach.rows.row import Row
from liftcheck.mach.rows.table import Table, reads
from liftcheck.mach.state import State
from liftcheck.oracles.rows.instances import drawn


def assembled(text: str) -> bytes:
    return table().assemble(text).data


def one(text: str, reader: Reader | None = None) -> Insn:
    return (reader or read)(assembled(text))


def test_a_row_is_told_by_any_of_its_instructions() -> None:
    """Whichever comes first: with equal registers, without a base, with what would be no operation."""
    for first in ("ar %r3, %r3", "a %r3, 0", "sllg %r2, %r2, 0", "lg %r1, 0", "risbg %r1, %r1, 0, 63, 0"):
        reader = Reader("s390x", table(), MANNER)
        one(first, reader)
        assert one("ar %r4, %r5", reader).reads == {4, 5}
        assert one("a %r4, 8(%r6,%r7)", reader).reads == {4, 6, 7, m.MEMORY}
        assert one("sllg %r4, %r5, 3(%r6)", reader).reads == {5, 6}
        assert one("lg %r4, -8(%r5)", reader).accesses == (Access(5, -8, 8, True, False),)
        assert one("risbg %r4, %r5, 1, 2, 3", reader).reads == {4, 5}


def test_what_varies_is_looked_at_one_by_one() -> None:
    assert one("lmg %r6, %r8, 48(%r15)").writes == {6, 7, 8}
    wide = one("lmg %r14, %r1, 48(%r15)")
    assert wide.writes == {14, 15, 0, 1}
    assert wide.accesses == (Access(15, 48, 32, True, False),)


def test_a_row_that_varies_and_is_not_said_to_is_seen() -> None:
    """The first one's registers are taken for those of all."""
    forgetful = Reader("s390x", table(), replace(MANNER, varies=re.compile("nopr")))
    one("lmg %r6, %r8, 48(%r15)", forgetful)
    assert one("lmg %r6, %r10, 48(%r15)", forgetful).writes != {6, 7, 8, 9, 10}
    ranges = [row for row in benches()[0].rows() if row.name in ("lmg", "stmg", "lg", "stg", "risbg")]
    assert differing(forgetful, 6, ranges) == {"lmg", "stmg"}
    assert differing(Reader("s390x", table(), MANNER), many(3), benches()[0].rows()) == set()


def differing(reader: Reader, each: int, rows: Iterable[Row]) -> set[str]:
    """Which of these rows have an instruction that reads or writes other registers than its own meaning."""
    draw, found = Random(3), set[str]()
    bench = benches()[0]
    for row in rows:
        for decoded in filter(None, [drawn(bench, row, draw) for _ in range(each)]):
            effects, machine = table().lift(decoded).effects, reader(decoded.data)
            if effects is None:
                continue
            read_there = {place for place in reads(effects, table().registers) if isinstance(place, int)}
            written = {place for place in effects.writes if isinstance(place, int)}
            ours = {place for place in machine.reads | machine.kept & read_there if place >= 0}
            if (ours, {place for place in machine.writes if place >= 0}) != (read_there, written):
                found.add(row.name)
    return found


@pytest.mark.parametrize(("change", "name"), [
    (lambda row: replace(row, meaning=lambda s, a, c: c), "ar"),
    (lambda row: replace(row, meaning=lambda s, address: zext(s.load(address, 4), 64)), "lg"),
])  # fmt: skip
def test_a_wrong_row_is_read_wrongly(change: object, name: str) -> None:
    """Nothing but the row says what an instruction does: flags and sizes are lost with it."""
    assert callable(change)

    def changed(row: Row) -> Row:
        found: Row = change(row) if row.name == name else row
        return found

    reader = Reader("s390x", table().changed(changed), MANNER)
    data = assembled({"ar": "ar %r1, %r2", "lg": "lg %r1, 0(%r2)"}[name])
    assert (reader(data).writes, reader(data).accesses) != (read(data).writes, read(data).accesses)


def test_what_has_no_row_or_no_meaning_is_not_known() -> None:
    assert not read(bytes.fromhex("b9ff0000")).known
    assert not read(bytes.fromhex("e712301030ff")).known
    assert one("lxab %r2, 8(%r3,%r4)").reads == {3, 4}
    strict = Reader("s390x", table(), replace(MANNER, plain=re.compile("(?!)")))
    unknown = one("lxab %r2, 8(%r3,%r4)", strict)
    assert not unknown.known and (unknown.size, unknown.name) == (6, "lxab")


def test_a_mode_that_no_term_says_hides_nothing() -> None:
    """cgdbra sets the condition code, to nearest with ties away too."""
    for first, then in (("1", "5"), ("5", "1")):
        reader = Reader("s390x", table(), MANNER)
        for mode in (first, then):
            machine = one(f"cgdbra %r2, {mode}, %f4, 0", reader)
            assert (machine.reads, machine.writes) == ({68}, {2, m.FLAGS})


WITH_EFFECTS = (
    "lg %r2, 8(%r3)", "lg %r2, -16(%r15)", "stg %r4, 8(%r3)", "lg %r3, 0(%r3)", "le %f2, 4(%r3)", "le %f2, 8(%r4)",
    "vleg %v20, 8(%r3), 1", "vleg %v20, 8(%r3), 0", "mvghi 8(%r3), 5", "mvghi 8(%r3), 6", "lg %r2, 8(%r3,%r4)",
)  # fmt: skip


def test_effects_are_those_of_the_instruction() -> None:
    """Also where they are another one's of the row, elsewhere."""
    reader = Reader("s390x", table(), MANNER)
    for text in WITH_EFFECTS:
        decoded = table().assemble(text)
        effects, found = table().lift(decoded).effects, reader(decoded.data).effect
        assert effects is not None and found is not None
        assert dict(found.writes) == {p: normal(t) for p, t in effects.writes.items() if isinstance(p, int)}, text
        assert [(x.address, x.size) for x in found.loads] == [(normal(x.address), x.size) for x in effects.loads], text
        assert [(x.address, x.size, x.value) for x in found.stores] == [
            (normal(x.address), x.size, normal(x.value)) for x in effects.stores
        ], text


def test_an_effect_is_worked_out_when_it_is_asked_for() -> None:
    asked = []

    def make() -> Effect:
        asked.append(1)
        return Effect(((1, m.register("s390x", 2)),))

    later = Effect.later(make)
    assert asked == []
    assert later == make() and later.writes and later.loads == ()
    assert len(asked) == 2
    assert pickle.loads(pickle.dumps(later)) == later
    assert hash(later) == hash(make()) and later != Effect()
    with pytest.raises(AttributeError):
        later.nothing  # noqa: B018


def test_a_return_goes_to_the_link() -> None:
    machine = one("br %r14")
    assert (machine.flow, machine.reads) == (m.RETURN, {14})
    assert machine.effect is not None and machine.effect.writes == ((m.PC, m.register("s390x", 14)),)
    assert one("br %r1").flow == m.JUMP
    assert one("bhr %r14").flow == m.BRANCH


def test_a_fence_is_no_no_operation() -> None:
    for text, effect in (("nopr %r7", Effect()), ("jnop . + 4", Effect()), ("bnor %r0", None), ("br %r0", None)):
        machine = one(text)
        assert (machine.effect, machine.reads, machine.writes, machine.flow) == (effect, set(), set(), m.ORDINARY)


def test_an_alias_is_the_row_with_operands_given() -> None:
    """aarch64's `ret` is `ret x30`, `mov x1, x2` an orr with the zero register; both name what the row reads."""
    isa = isa_named("aarch64")
    rows = isa.part(isa.rows)()
    reader = Reader("aarch64", rows, Manner(dict.fromkeys("nzcv", m.FLAGS), re.compile("mov|ret")))
    found = reader(rows.assemble("ret").data)
    assert (found.flow, found.reads) == (m.RETURN, {30})
    moved = reader(rows.assemble("mov x1, x2").data)
    assert (moved.name, moved.reads, moved.writes) == ("mov", {2}, {1})
    assert moved.effect is not None and moved.effect.writes[0][1] is m.register("aarch64", 2)
    assert reader(rows.assemble("cmp x1, x2").data).writes == {m.FLAGS}


def fresh(name: str, manner: Manner) -> tuple[Table, Reader]:
    """A reader that has met nothing yet."""
    isa = isa_named(name)
    rows: Table = isa.part(isa.rows)()
    return rows, Reader(name, rows, manner)


def of_aarch64() -> tuple[Table, Reader]:
    return fresh("aarch64", aarch64.MANNER)


def of_x64() -> tuple[Table, Reader]:
    return fresh("x86-64", x64.MANNER)


@pytest.mark.parametrize("first", ["cbz xzr, . + 8", "csel x1, xzr, x2, al", "ldr xzr, [x1, xzr]", "str wzr, [sp]"])
def test_zero_registers_and_conditions_that_always_hold_hide_nothing(first: str) -> None:
    """Where the first instruction of a row that is met has them."""
    rows, reader = of_aarch64()
    reader(rows.assemble(first).data)
    branch = reader(rows.assemble("cbz x3, . + 8").data)
    assert (branch.flow, branch.reads, branch.target) == (m.BRANCH, {3}, 8)
    assert reader(rows.assemble("csel x1, x3, x2, eq").data).reads == {2, 3, m.FLAGS}
    loaded = reader(rows.assemble("ldr x4, [x5, x6]").data)
    assert (loaded.accesses, loaded.reads) == ((Access(5, 0, 8, True, False, 6),), {5, 6, m.MEMORY})
    assert reader(rows.assemble("str w4, [sp, #8]").data).accesses == (Access(63, 8, 4, False, True),)


@pytest.mark.parametrize(("text", "access"), [
    ("ldr x1, [x2, #16]", Access(2, 16, 8, True, False)), ("ldr x1, [x2], #16", Access(2, 0, 8, True, False)),
    ("ldr x1, [x2, #-16]!", Access(2, -16, 8, True, False)),
    ("stp q1, q2, [sp, #-32]!", Access(63, -32, 32, False, True)),
    ("ldr q1, . + 64", Access(m.PC, 64, 16, True, False)), ("ldaddal x1, x2, [x3]", Access(3, 0, 8, True, True)),
    ("stlxr w1, x2, [x3]", Access(3, 0, 8, False, True)), ("casal x1, x2, [x3]", Access(3, 0, 8, True, True)),
])  # fmt: skip
def test_a_base_and_a_distance_are_operands_of_their_own(text: str, access: Access) -> None:
    """Whichever of them is met first: the distance of another one counts where this one's does."""
    rows, reader = of_aarch64()
    assert reader(rows.assemble(text).data).accesses == (access,)


def test_operands_are_spelt_as_disassemblers_do() -> None:
    rows, reader = of_aarch64()
    for text, spelt in (
        ("add x1, x2, #16", "x1, x2, #0x10"), ("add x1, x2, #9", "x1, x2, #9"), ("b . - 8", "#0xfffffffffffffff8"),
        ("movk x1, #258, lsl #16", "x1, #0x102, lsl #16"), ("ldr x1, [x2]", "x1, [x2]"),
        ("stur x1, [sp, #-16]", "x1, [sp, #-0x10]"), ("mov v1.b[11], w2", "v1.b[0xb], w2"),
    ):  # fmt: skip
        data = rows.assemble(text).data
        (named,) = opened("aarch64").disasm_lite(data, 0)
        assert reader(data).operands == spelt == named[3]


def test_a_signed_address_comes_back_by_the_same_stack_pointer() -> None:
    rows, reader = of_aarch64()
    state = State("aarch64")
    for text in ("paciasp", "autiasp", "pacibsp", "autibsp"):
        machine = reader(rows.assemble(text).data)
        assert (machine.reads, machine.writes) == ({30, 63}, {30})
        assert machine.effect is not None
        state.run(machine.effect)
        assert (state.value(30) is m.register("aarch64", 30)) == text.startswith("aut")
    returns = reader(rows.assemble("retaa").data)
    assert (returns.flow, returns.reads) == (m.RETURN, {30, 63})


@pytest.mark.parametrize("first", ["add eax, ecx", "add dword ptr [rip + 8], ecx", "add dword ptr [rsi + rdi*4], ecx",
                                   "add dword ptr fs:[0], ecx", "shl eax, 0", "mov dword ptr [rsp], eax"])  # fmt: skip
def test_each_form_of_a_row_is_looked_at_by_itself(first: str) -> None:
    """A register or memory, whichever comes first; a shift by nothing hides no flags."""
    rows, reader = of_x64()
    reader(rows.assemble(first).data)
    register = reader(rows.assemble("add ebx, ecx").data)
    assert (register.reads, register.writes, register.accesses) == ({1, 3}, {3, m.FLAGS}, ())
    memory = reader(rows.assemble("add dword ptr [rbx + rdx*2 + 16], ecx").data)
    assert (memory.reads, memory.writes) == ({1, 2, 3, m.MEMORY}, {m.MEMORY, m.FLAGS})
    assert memory.accesses == (Access(3, 16, 4, True, True, 2),)
    near = reader(rows.assemble("add dword ptr [rip + 8], ecx").data)
    assert near.accesses == (Access(m.PC, 8, 4, True, True),)
    assert reader(rows.assemble("shl ebx, 3").data).writes == {3, m.FLAGS}
    stored = reader(rows.assemble("mov dword ptr [rsp + 4], ebx").data)
    assert (stored.reads, stored.accesses) == ({3, 4}, (Access(4, 4, 4, False, True),))


def test_what_compilers_take_for_undefined_on_x64() -> None:
    rows, reader = of_x64()
    zero = reader(rows.assemble("xorps xmm1, xmm1").data)
    assert (zero.reads, zero.merged, zero.cancels, zero.twice) == ({65}, {65}, True, set())
    two = reader(rows.assemble("xorps xmm1, xmm2").data)
    assert (two.merged, two.cancels) == (set(), True)
    assert not reader(rows.assemble("xor eax, 0").data).cancels
    assert reader(rows.assemble("cvtsi2sd xmm3, rax").data).merged == {67}
    assert m.FLAGS not in reader(rows.assemble("shl eax, cl").data).reads
    assert m.FLAGS in reader(rows.assemble("adc eax, ecx").data).reads


def test_bytes_of_a_register_keep_the_rest_of_it() -> None:
    rows, reader = of_x64()
    for text, kept in (
        ("setb cl", {1}),
        ("mov cl, dl", {1}),
        ("mov ch, dl", {1}),
        ("mov ecx, edx", set()),
        ("cwd", {2}),
    ):
        machine = reader(rows.assemble(text).data)
        assert (machine.kept, 2 in machine.reads) == (kept, "d" in text[3:] and text != "cwd"), text


@pytest.mark.parametrize(("data", "text", "target"), [
    ("e933000000", "jmp 0x38", 0x38), ("0f84f2ffffff", "je 0xfffffffffffffff8", -8), ("7f3f", "jg 0x41", 0x41),
    ("488d1509000000", "lea rdx, [rip + 9]", 16), ("8d1509000000", "lea edx, [rip + 9]", None),
    ("f0480fb1742430", "lock cmpxchg qword ptr [rsp + 0x30], rsi", None),
])  # fmt: skip
def test_names_and_targets_on_x64(data: str, text: str, target: int | None) -> None:
    _, reader = of_x64()
    machine = reader(bytes.fromhex(data))
    assert (machine.text, machine.target) == (text, target)
    assert machine.effect is None


def test_a_jump_with_a_prefix_that_nothing_needs_is_not_known() -> None:
    """Its distance counts from another place."""
    _, reader = of_x64()
    assert not reader(bytes.fromhex("407f80")).known and reader(bytes.fromhex("7f80")).known


def of_riscv64(*texts: str) -> list[Insn]:
    rows: Table = isa_named("riscv64").part(isa_named("riscv64").rows)()
    return [riscv64.read(rows.assemble(text).data) for text in texts]


def test_a_compressed_instruction_is_what_it_stands_for() -> None:
    full, short = of_riscv64("add a0, a0, a1", "c.add a0, a1")
    assert short == full._replace(size=2)
    calls, jumps, returns = of_riscv64("c.jalr a0", "c.jr a0", "c.jr ra")
    assert [machine.flow for machine in (calls, jumps, returns)] == [m.CALL, m.JUMP, m.RETURN]
    assert calls.writes == {1} and calls.size == 2


def test_aliases_are_spelt_as_what_they_are() -> None:
    for text, spelt in (
        ("mv a0, a1", "addi x10, x11, 0"), ("ret", "jalr x0, x1, 0"), ("j . + 8", "jal x0, 8"),
        ("beqz a0, . + 8", "beq x10, x0, 8"),
        ("ld a0, 8(sp)", "ld x10, x2, 8"), ("sd a0, -8(sp)", "sd x10, x2, -8"), ("lui a0, 0xfffff", "lui x10, -4096"),
        ("amoadd.w.aqrl a0, a1, (a2)", "amoadd.w x10, x12, x11"), ("fadd.s ft0, ft1, ft2", "fadd.s f0, f1, f2, dyn"),
        ("vadd.vv v1, v2, v3, v0.t", "vadd.vv v1, v2, v3, v0.t"), ("vmacc.vv v1, v2, v3", "vmacc.vv v1, v3, v2"),
        ("vadd.vi v1, v2, -1", "vadd.vi v1, v2, 31"),
    ):  # fmt: skip
        assert of_riscv64(text)[0].text == spelt


def test_a_mask_merges_and_an_agnostic_tail_does_not() -> None:
    for first in (("vwadd.vv v1, v1, v1", "vle32.v v1, (a0)"), ("vwadd.vv v1, v2, v3, v0.t", "vle32.v v0, (a0)")):
        of_riscv64(*first)
        plain, masked = of_riscv64("vwadd.vv v4, v5, v6", "vwadd.vv v4, v5, v6, v0.t")
        configured = {m.VECTOR_CONFIGURATION}
        assert (plain.reads, plain.writes, plain.merged) == ({133, 134} | configured, {132}, set())
        assert (masked.reads, masked.merged) == ({128, 132, 133, 134} | configured, {132})
        loaded, stored = of_riscv64("vle32.v v4, (a0)", "vse8.v v4, (a0), v0.t")
        assert loaded.accesses == (Access(10, 0, 16, True, False),)
        assert stored.accesses == (Access(10, 0, 16, False, True),) and m.MEMORY not in stored.reads


def test_other_configurations_are_not_known() -> None:
    known = of_riscv64("vsetivli zero, 4, e32, m1, ta, ma", "vsetivli zero, 4, e32, mf2, ta, ma")
    assert all(machine.known and m.VECTOR_CONFIGURATION in machine.writes for machine in known)
    others = (
        "vsetivli zero, 4, e32, m1, tu, ma",
        "vsetivli zero, 4, e32, m2, ta, ma",
        "vlse32.v v4, (a0), a1",
        "vsetvl a0, a1, a2",
    )
    assert not any(machine.known for machine in of_riscv64(*others))


def test_a_segment_has_no_part_in_lea() -> None:
    """LEA computes the offset alone; memory of a segment has no term, wherever it is accessed."""
    with_segment, without = (x64.read(bytes.fromhex(code)) for code in ("658d742408", "8d742408"))
    assert with_segment.effect is not None and without.effect is not None
    assert with_segment.effect.writes == without.effect.writes != ()
    assert x64.read(bytes.fromhex("65488b442408")).effect is None
