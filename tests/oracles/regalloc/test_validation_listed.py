"""Own bytes against the compiler's own text of them: another operation is refuted, and what it emits agrees."""

from __future__ import annotations

from dataclasses import replace

import pytest
from support.validation_planting import CALLS, LOOPS, RESULTS, TAIL, WIDE, flips, one, placed, refuted

from liftcheck.compilers.cranelift.client import Cranelift
from liftcheck.isa.aarch64.listing import agrees as aarch64
from liftcheck.isa.riscv64.listing import agrees as riscv64
from liftcheck.isa.s390x.listing import agrees as s390x
from liftcheck.isa.x64.listing import agrees as x64
from liftcheck.mach.insn import TRAP, decode
from liftcheck.oracles.regalloc.code.layout import Layout
from liftcheck.oracles.regalloc.code.listed import OTHER, POINTED, Listing
from liftcheck.oracles.regalloc.validate import validate
from liftcheck.oracles.regalloc.verdict import INVALID
from liftcheck.regalloc.allocation import Captured

LISTED = ("x86-64", "aarch64", "riscv64", "s390x")
MEMORY = """\
function %memory(i64, i64, i32, f32, f64) -> i64, f64 system_v {
    ss0 = explicit_slot 64
    fn0 = %g(i64, i64, i64, i64, i64, i64, i64, i64, i8, i64, i32, i64) -> i64 system_v
block0(v0: i64, v1: i64, v2: i32, v3: f32, v4: f64):
    v5 = load.i8 v0+3
    v6 = uload16.i64 v0+8
    v7 = load.f32 v0+16
    store v7, v1
    istore8 v2, v1+5
    store v3, v1+8
    v8 = iconst.i64 2
    v9 = stack_addr.i64 ss0+8
    store v2, v9
    v10 = iadd v6, v8
    v11 = sextend.i64 v5
    v12 = icmp slt v11, v10
    brif v12, block1, block2(v10)
block1:
    v13 = call fn0(v0, v1, v8, v9, v0, v1, v8, v9, v5, v10, v2, v11)
    v14 = bxor v13, v11
    jump block2(v14)
block2(v15: i64):
    v16 = load.f64 v0+4000
    v17 = fadd v16, v4
    v18 = load.f64 v0+40000
    v19 = fmul v17, v18
    return v15, v19
}
"""
RIGHT = {
    "x86-64": [
        ("xorq %v196, (%v197 <- %v196)", "4d33ca"), ("movq %v193, (%v197)", "4c8901"), ("movw %v1, (%v2)", "66890a"),
        ("movzbl 8(%v192), %v195", "0fb64808"), ("movslq (%v1), %v2", "486301"), ("leaq -1(%v192), %v202", "4883c1ff"),
        ("cqto  ;; implicit: %v195, %v192", "4899"), ("jnbe    label4; j label5", "0f8600000000"),
        ("jp,nz   label5; j label4", "0f8a000000000f8500000000"), ("lock addq %v193, (%v2)", "f0480101"),
        ("movapd %v194, %v196; jz $next; movapd %v193, %v196; $next:", "7404660f28c1"),
        ("u64_to_f64_seq %v1, %v2, %v3, %v4", "4883f8007c05"), ("cvtsi2sdl %v196, (%v197 <- %v195)", "f20f2ac8"),
        ("call    *%v197", "ffd0488b442408"), ("unheard_of %v1", "4d33ca"),
    ],
    "aarch64": [
        ("movk %v1, %v1, #48, LSL #16", "00f0b772"), ("add %v1, %v2, %v3", "4a010b8b"),
        ("str %v224, [sp, #8]", "e38300b8"), ("ldrh %v1, [sp]", "e3034078"), ("subs xzr, %v1, %v2", "bf0214eb"),
        ("b label7", "9f2403d5"), ("b label7", "040000149f2403d5"),
        ("b.eq label3 ; b label2", "41000054"), ("cbz %v1, label3 ; b label2", "400000b4"),
        ("movz w16, #34464 ; movk w16, w16, #1, LSL #16", "10d4905230 00a072"),
        ("atomic_rmw_loop_add_64 addr=%v1", "3bff5fc87c031a8b3cff18c8b8ffffb5"),
        ("blr %v198", "c0013fd6e30340f8"), ("unheard.of %v1", "4a010b8b"),
        ("bic %v1, %v2, #18446744073709535231", "4af8718a"),
        ("b.hs label1 ; csel x1, xzr, x2, hs ; csdb ; adr x3, pc+16", "420000544100819a"),
    ],
    "riscv64": [
        ("sd v194,16(v212)", "2338a600"), ("sd v194,4056(v192)", "3715000013050500b305a50023b0a500"),
        ("ori v231,v232,0", "3e88"), ("addi v231,v232,0", "3e88"),
        ("li v247,4", "13054000"), ("load_addr v240,0(sp)", "13050100"), ("ld v222,[const(1)]", "1705000003350509"),
        ("bne v236,zero,taken(label1),not_taken(label2)", "63040500"), ("mv v3,v4", "13850500"),
        ("slli v1,v2,48; srli v1,v1,48", "1315050313550503"), ("unheard v1", "13054000"),
        ("amoadd.d.aqrl v2,v3,(v4)", "2fb5a506"), ("atomic_store.i32 v1,(v2)", "0f00100323a0a500"),
    ],
    "s390x": [
        ("vl %v1, 160(%r15)", "e700f0a00006"), ("vleg %v1, 0(%r2), 0", "68002000"), ("agrk %v1, %v1, %v2", "b9080023"),
        ("lay %r1, -56(%r15) ; vl %v2, 0(%r1)", "e700f0a00006"), ("wfcdb %v1, %v2", "b3190002"),
        ("jglh label4 ; jg label5", "c0640000000a"), ("unheard %v1", "b9080023"),
        ("basr %r14, %v1 ; vl %v2, 160(%r15)", "0de2e700f0a00006e700f0b0000e"),
        ("basr %r14, %v1 ; vpdi %v25, %v25, %v25, 4", "0de2e79990004e84"),
        ("basr %r14, %v1 ; vpdi %v25, %v25, %v25, 4 ; vpdi %v262, %v262, %v262, 4", "0de2e71110004084e79990004e84"),
        ("vceqgs %v1, %v2, %v3", "e712301030f8"),
    ],
}  # fmt: skip
WRONG = {
    "x86-64": [
        ("xorq %v196, (%v197 <- %v196)", "4d13ca"), ("movq %v193, (%v197)", "4c2901"), ("movq %v1, (%v2)", "66890a"),
        ("movzbl 8(%v192), %v195", "0fb74808"), ("movslq (%v1), %v2", "488b01"), ("leaq -1(%v192), %v202", "4883c9ff"),
        ("cqto  ;; implicit: %v195, %v192", "4898"), ("jnbe    label4; j label5", "0f8400000000"),
        ("lock addq %v193, (%v2)", "480101"), ("addq %v193, (%v2)", "f0480101"),
        ("movapd %v194, %v196; jz $next; movapd %v193, %v196; $next:", "7404660ff5c1"),
        ("u64_to_f64_seq %v1, %v2, %v3, %v4", "480fafc07c05"), ("call    *%v197", "ffd0480303"),
    ],
    "aarch64": [
        ("movk %v1, %v1, #48, LSL #16", "00701e72"), ("add %v1, %v2, %v3", "4a010b6a"),
        ("str %v224, [sp, #8]", "e3830038"), ("ldrh %v1, [sp]", "e3030078"), ("subs xzr, %v1, %v2", "bf0214cb"),
        ("b label7", "1f2003d5"), ("b label7", "9f2403d51f2003d5"),
        ("b.eq label3 ; b label2", "4a000054"), ("cbz %v1, label3 ; b label2", "40000036"),
        ("atomic_rmw_loop_add_64 addr=%v1", "3bff5fc87c031acb3cff18c8b8ffffb5"),
        ("blr %v198", "c0013fd64a010b8b"),
    ],
    "riscv64": [
        ("sd v194,16(v212)", "2328a600"), ("ld v1,0(v2)", "23b00500"), ("lb v1,0(v2)", "23800500"),
        ("ori v231,v232,1", "3e88"), ("ori v231,v232,0", "33880700"), ("addi v231,v232,16", "3e88"),
        ("li v247,4", "13054100"), ("load_addr v240,0(sp)", "13050000"), ("add v1,v2,v3", "3305b540"),
        ("bne v236,zero,taken(label1),not_taken(label2)", "23140500"),
        ("select v1,v2,v3##condition=(v4 ne zero)", "23b00500"),
        ("slli v1,v2,48; srli v1,v1,48", "1315050313550543"), ("atomic_store.i32 v1,(v2)", "0f00100323b0a500"),
        ("amoadd.d.aqrl v2,v3,(v4)", "2fa5a506"), ("load_ext_name_near v2,%f0+0", "1705000003350509"),
    ],
    "s390x": [
        ("vl %v1, 160(%r15)", "e700f0a00002"), ("vleg %v1, 0(%r2), 0", "e70020000006"),
        ("agrk %v1, %v1, %v2", "b9090023"),
        ("wfcdb %v1, %v2", "68002000"), ("jglh label4 ; jg label5", "e300f0a00024"),
        ("stg %v1, 8(%v2)", "50102008"),
        ("basr %r14, %v1 ; vl %v2, 160(%r15)", "0de2e700f0a00002e700f0b0000e"),
        ("basr %r14, %v1 ; vpdi %v25, %v25, %v25, 4", "0de2e79890004e84"),
        ("basr %r14, %v1 ; vpdi %v25, %v25, %v25, 4 ; vpdi %v262, %v262, %v262, 4", "0de2e71110004084e79890004e84"),
        ("basr %r14, %v1 ; vpdi %v25, %v25, %v25, 4 ; vpdi %v262, %v262, %v262, 4", "0de2e79990004e84"),
        ("la %v1, 160(%r15)", "5810f0a0"),
    ],
}  # fmt: skip
READERS = {"x86-64": x64, "aarch64": aarch64, "riscv64": riscv64, "s390x": s390x}


@pytest.mark.parametrize(("isa", "text", "code"), [(isa, *row) for isa in LISTED for row in RIGHT[isa]])
def test_a_text_and_its_bytes_agree(isa: str, text: str, code: str) -> None:
    assert READERS[isa](text, decode(isa, bytes.fromhex(code)))


@pytest.mark.parametrize(("isa", "text", "code"), [(isa, *row) for isa in LISTED for row in WRONG[isa]])
def test_other_bytes_disagree(isa: str, text: str, code: str) -> None:
    machines = decode(isa, bytes.fromhex(code))
    assert all(machine.known for machine in machines)
    assert not READERS[isa](text, machines)


@pytest.mark.parametrize("isa", LISTED)
@pytest.mark.parametrize("text", [CALLS, LOOPS, RESULTS, TAIL, WIDE, MEMORY])
def test_what_is_emitted_agrees(regalloc: Cranelift, isa: str, text: str) -> None:
    captured, _ = one(regalloc, isa, text)
    asked, layout, listing = 0, Layout(isa, captured.code, captured.allocation), Listing(isa, captured.allocation)
    for number, what in enumerate(captured.allocation.instructions):
        own, _ = layout.code(captured.allocation.offsets[number] or 0, captured.allocation.ends[number])
        asked += bool(what.text and own)
        assert not listing.check(number, own), what.text
    assert asked > 3


@pytest.mark.parametrize("isa", LISTED)
def test_an_access_more_or_less_is_refuted(regalloc: Cranelift, isa: str) -> None:
    """Whatever one bit makes of own bytes: another access of memory, narrower, wider, another way, or none. How wide
    the register of aarch64's `ldr` is, is not in its mnemonic."""
    captured, source = one(regalloc, isa, MEMORY)
    kinds = set()
    for number, what in enumerate(captured.allocation.instructions):
        for at, machine in placed(isa, captured, number) if not what.is_return else ():
            before = [(a.size, a.read, a.written) for a in machine.accesses]
            for data in flips(captured.code.code[at : at + machine.size]):
                after = decode(isa, data + bytes(16), 0, 1)[0]
                found = [(a.size, a.read, a.written) for a in after.accesses]
                if isa == "aarch64" and {machine.name, after.name} <= {"ldr", "ldur", "str", "stur"}:
                    continue
                if machine.flow != TRAP and after.known and after.size == machine.size and found != before:
                    rule = refuted(isa, _with(captured, at, data), source)
                    assert rule, f"{what.text}: {machine.text} becomes {after.text}"
                    kinds.add((bool(before), bool(found)))
    assert kinds == {(True, True), (True, False), (False, True)}


def test_a_constant_that_becomes_an_address_is_refuted(regalloc: Cranelift) -> None:
    captured, source = one(regalloc, "riscv64", MEMORY)
    words = {"li": b"\x13\x05\x21\x00", "load_addr": b"\x13\x05\x80\x02"}
    for word, like in words.items():
        number = next(n for n, i in enumerate(captured.allocation.instructions) if i.text.startswith(word + " "))
        at, machine = placed("riscv64", captured, number)[-1]
        old = captured.code.code[at : at + machine.size]
        pointer = int.from_bytes(like, "little") & 0xFFFF8000 | int.from_bytes(old, "little") & 0xFFF
        edited = _with(captured, at, pointer.to_bytes(4, "little"))
        found = Listing("riscv64", edited.allocation).check(number, placed("riscv64", edited, number))
        assert found[0].rule in (OTHER, POINTED)
        assert validate("riscv64", edited, source).status == INVALID, word


def _with(captured: Captured, at: int, data: bytes) -> Captured:
    code = bytearray(captured.code.code)
    code[at : at + len(data)] = data
    return captured._replace(code=replace(captured.code, code=bytes(code)))
