"""Machine code as terms: small functions by hand on each ISA, faults in them and in rows that are seen, limits."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from support.lifting import SAMPLES, Sample, entered, function, is_right, outcomes

from liftcheck.bits import build as b
from liftcheck.bits.term import Term, const, value_of, var
from liftcheck.bits.values import Values
from liftcheck.case import FunctionCode, Relocation
from liftcheck.isa import ISAS
from liftcheck.isa.base import isa_named
from liftcheck.mach import lift as lifting
from liftcheck.mach.lift import lift, table_of
from liftcheck.mach.lift_memory import DATA, FRAME, Memory, Reads, Undecided, located
from liftcheck.mach.lift_paths import Limits
from liftcheck.mach.rows.row import Meaning, Row
from liftcheck.mach.rows.table import Table

_IDS = [f"{sample.isa} {sample.name}" for sample in SAMPLES]
FAULTS = [(sample, *wrong) for sample in SAMPLES for wrong in sample.wrong]


@pytest.mark.parametrize("sample", SAMPLES, ids=_IDS)
def test_functions_compute_what_they_do(sample: Sample) -> None:
    assert is_right(sample, sample.text)


@pytest.mark.parametrize(("sample", "fault", "old", "new"), FAULTS, ids=[f"{f[0].isa} {f[1]}" for f in FAULTS])
def test_faults_in_code_are_seen(sample: Sample, fault: str, old: str, new: str) -> None:
    assert old in sample.text
    assert not is_right(sample, sample.text.replace(old, new))


def _with_row(isa: str, name: str, meaning: Meaning) -> Table:
    """The table with another meaning in the rows of a mnemonic."""
    old = table_of(isa)
    rows: list[Row] = [replace(row, meaning=meaning) if row.name == name else row for row in old.rows]
    changed = Table(rows, old._decoder, old.registers, old.longest, old.sizes)
    assert changed.rows != old.rows
    return changed


@pytest.fixture
def forgotten() -> Iterator[None]:
    """What is remembered of rows does not outlive a test."""
    lifting._STEPS.clear()
    yield
    lifting._STEPS.clear()


@pytest.mark.usefixtures("forgotten")
@pytest.mark.parametrize(
    ("isa", "name", "sample"),
    [("aarch64", "sub", "kept"), ("riscv64", "sub", "kept"), ("s390x", "sgrk", "kept"), ("x86-64", "mov", "extended")],
)
def test_a_wrong_row_is_seen(isa: str, name: str, sample: str, monkeypatch: pytest.MonkeyPatch) -> None:
    (chosen,) = (one for one in SAMPLES if (one.isa, one.name) == (isa, sample))

    def swapped(machine: object, *values: Term) -> Term:
        return b.sub(values[-1], values[0]) if len(values) == 2 else b.bnot(values[0])

    table = _with_row(isa, name, swapped)
    assert is_right(chosen, chosen.text)
    lifting._STEPS.clear()
    monkeypatch.setattr(lifting, "table_of", lambda isa: table)
    assert not is_right(chosen, chosen.text)


@pytest.mark.parametrize(
    ("isa", "text", "reason"),
    [
        ("riscv64", "on:\naddi a0, a0, -1\nbne a0, zero, on\njalr zero, 0(ra)", "a loop"),
        ("riscv64", "jalr ra, 0(a0)\njalr zero, 0(ra)", "a call"),
        ("riscv64", "jalr zero, 0(a0)", "a jump to where a term says"),
        ("riscv64", "add a0, a0, a1", "control leaves the function's code"),
        ("aarch64", "on:\nsub x0, x0, #1\ncbnz x0, on\nret", "a loop"),
        ("x86-64", "on:\ndec rdi\njne on\nret", "a loop"),
        ("s390x", "on:\nbrctg %r2, on\nbr %r14", "a loop"),
        ("x86-64", "syscall\nret", "syscall: what a system call does is the system's"),
    ],
)
def test_what_is_undecided_says_why(isa: str, text: str, reason: str) -> None:
    lifted = lift(isa, function(isa, text), entered(isa, 64).entry)
    assert reason in {end.detail for end in lifted.ends if end.kind == "undecided"}


def test_a_loop_whose_count_is_a_number_is_followed() -> None:
    text = "addi a2, zero, 10\non:\nadd a0, a0, a1\naddi a2, a2, -1\nbne a2, zero, on\njalr zero, 0(ra)"
    assert {r.values for r in outcomes("riscv64", function("riscv64", text), (5, 7))} == {(75,)}


def test_limits_are_named() -> None:
    many = "\n".join(f"beq a0, a1, on{n}\naddi a0, a0, {n + 1}\non{n}:" for n in range(12)) + "\njalr zero, 0(ra)"
    entry, code = entered("riscv64", 64).entry, function("riscv64", many)
    assert [e.detail for e in lift("riscv64", code, entry, Limits(paths=8)).ends] == ["more paths than the limit"]
    few = lift("riscv64", code, entry, Limits(steps=30))
    assert [e.detail for e in few.ends] == ["more instructions than the limit"]


def test_traps_have_the_code_of_the_table() -> None:
    code = function("x86-64", "test rsi, rsi\nje bad\nmov rax, rdi\nret\nbad:\nud2")
    code = replace(code, traps=((len(code.code) - 2, "int_divz"),))
    assert {(r.kind, r.detail) for r in outcomes("x86-64", code, (3, 0))} == {("trapped", "int_divz")}
    assert {r.values for r in outcomes("x86-64", code, (3, 1))} == {(3,)}


def test_a_table_of_jumps_is_followed() -> None:
    """Distances in the code, an index that is bounded by a comparison."""
    behind = "movsxd rax, dword ptr [rcx + rdi*4]\nadd rax, rcx\njmp rax\nother:\nmov eax, 7\nret"
    room = len(function("x86-64", behind).code)
    head = function("x86-64", f"cmp rdi, 2\njae other\nlea rcx, [rip + {room}]\n{behind}")
    first, second = (function("x86-64", f"mov eax, {n}\nret").code for n in (11, 22))
    table = (8).to_bytes(4, "little") + (8 + len(first)).to_bytes(4, "little")
    code = FunctionCode("%f", head.code + table + first + second)
    found = {x: {r.values for r in outcomes("x86-64", code, (x, 0))} for x in (0, 1, 2, 1 << 40)}
    assert found == {0: {(11,)}, 1: {(22,)}, 2: {(7,)}, 1 << 40: {(7,)}}


_SYMBOLS = [
    ("x86-64", "lea rax, [rip + 5]\nret", (Relocation(3, "X86PCRel4", "%data", -4),)),
    ("x86-64", "mov rax, qword ptr [rip + 5]\nret", (Relocation(3, "X86GOTPCRel4", "%data", -4),)),
    ("x86-64", "movabs rax, 81985529216486895\nret", (Relocation(2, "Abs8", "%data", 0),)),
    ("riscv64", "auipc a0, 0\nld a0, 0(a0)\njalr zero, 0(ra)",
     (Relocation(0, "RiscvGotHi20", "%data", 0), Relocation(4, "RiscvPCRelLo12I", "func:0", 0))),
    ("riscv64", "auipc a0, 0\naddi a0, a0, 0\njalr zero, 0(ra)",
     (Relocation(0, "RiscvPCRelHi20", "%data", 0), Relocation(4, "RiscvPCRelLo12I", "func:0", 0))),
    ("aarch64", "adrp x0, #0\nadd x0, x0, #0\nret",
     (Relocation(0, "Aarch64AdrPrelPgHi21", "%data", 0), Relocation(4, "Aarch64AddAbsLo12Nc", "%data", 0))),
    ("aarch64", "adrp x0, #0\nldr x0, [x0]\nret",
     (Relocation(0, "Aarch64AdrGotPage21", "%data", 0), Relocation(4, "Aarch64Ld64GotLo12Nc", "%data", 0))),
    ("s390x", "larl %r2, . + 4\nbr %r14", (Relocation(2, "S390xPCRel32Dbl", "%data", 2),)),
]  # fmt: skip


@pytest.mark.parametrize(("isa", "text", "relocations"), _SYMBOLS, ids=[f"{s[0]} {s[2][0].kind}" for s in _SYMBOLS])
def test_relocations_are_symbols(isa: str, text: str, relocations: tuple[Relocation, ...]) -> None:
    code = replace(function(isa, text), relocations=relocations)
    bound = entered(isa, 64)
    (end,) = lift(isa, code, bound.entry).ends
    assert bound.results(end) == [var("symbol %data", 64)]
    moved = [r._replace(addend=r.addend + 4) if r.name == "%data" and "G" not in r.kind[3:] else r for r in relocations]
    if tuple(moved) != relocations:
        (end,) = lift(isa, replace(code, relocations=tuple(moved)), bound.entry).ends
        assert bound.results(end) == [located(var("symbol %data", 64), 4)]


# -- memory

_BASE, _OTHER = var("p", 64), var("q", 64)


def _memory(big: bool) -> Memory:
    return Memory(big, lambda base: FRAME if base is _OTHER else DATA, Reads())


@pytest.mark.parametrize("big", [False, True])
def test_memory_in_parts_and_overlapping(big: bool) -> None:
    """Against bytes, at distances around one base."""
    memory, shadow = _memory(big), {}
    order = "big" if big else "little"
    for number, (at, size) in enumerate([(0, 8), (4, 4), (-3, 8), (9, 2), (0, 1), (16, 16), (20, 4), (24, 1)]):
        content = bytes((37 * number + k) & 255 for k in range(size))
        memory.store(located(_BASE, at), const(int.from_bytes(content, order), 8 * size))
        shadow |= {at + k: byte for k, byte in enumerate(content)}
    for at in range(-3, 30):
        for size in (1, 2, 4, 8, 16):
            if all(at + k in shadow for k in range(size)):
                expected = int.from_bytes(bytes(shadow[at + k] for k in range(size)), order)
                assert value_of(memory.load(located(_BASE, at), size)) == expected


@pytest.mark.parametrize("big", [False, True])
def test_a_store_elsewhere_may_have_hit(big: bool) -> None:
    """p and r may be aliases: each distance between them, by evaluation; q is another area and is not."""
    r, order = var("r", 64), "big" if big else "little"
    memory = _memory(big)
    memory.store(_BASE, const(0x1122334455667788, 64))
    memory.store(r, const(0xAABBCCDD, 32))
    memory.store(_OTHER, const(0, 64))
    found = memory.load(_BASE, 8)
    for apart in range(-8, 12):
        expected = bytearray((0x1122334455667788).to_bytes(8, order))
        for k, byte in enumerate((0xAABBCCDD).to_bytes(4, order)):
            if 0 <= apart + k < 8:
                expected[apart + k] = byte
        values = Values({_BASE: 0x1000, r: 0x1000 + apart, _OTHER: 0x1000}.__getitem__)
        assert values(found) == int.from_bytes(expected, order)
    assert value_of(memory.load(_OTHER, 8)) == 0


@pytest.mark.parametrize("big", [False, True])
def test_aligned_words_are_the_same_or_apart(big: bool) -> None:
    """Words of one size at aligned addresses, in parts known before or after: as memory of bytes has them."""
    word, half = (b.concat(b.extract(v, 2, 62), const(0, 2)) for v in (_BASE, var("r", 64)))
    order = "big" if big else "little"
    memory, shadow = _memory(big), bytearray(16)
    memory.store(word, const(0x0102030405060708, 64))
    shadow[:8] = (0x0102030405060708).to_bytes(8, order)
    memory.store(located(half, 4), const(0xAABBCCDD, 32), b.eq(_OTHER, const(0, 64)))
    memory.store(located(word, 4), const(0x99, 8))
    found = [memory.load(located(word, at), 4) for at in (0, 4)]
    assert found[0].prim == "ite" and found[0].args[1].prim == "const"
    for distance in (-8, -4, 0, 4):
        for other in (0, 1):
            content = bytearray(shadow)
            if other == 0 and 0 <= distance + 4 < 8:
                content[distance + 4 : distance + 8] = (0xAABBCCDD).to_bytes(4, order)
            content[4] = 0x99
            values = Values({_BASE: 0x1001, var("r", 64): 0x1000 + distance, _OTHER: other}.__getitem__)
            expected = [int.from_bytes(content[at : at + 4], order) for at in (0, 4)]
            assert [values(term) for term in found] == expected


def test_initial_memory_is_the_same_however_it_is_read() -> None:
    memory = _memory(False)
    whole = memory.load(located(_BASE, 8), 8)
    assert memory.load(located(_BASE, 10), 2) is b.extract(whole, 16, 16)
    across = memory.load(located(_BASE, 12), 8)
    assert across is b.concat(b.extract(memory.load(located(_BASE, 16), 8), 0, 32), b.extract(whole, 32, 32))
    memory.store(located(_BASE, 8), const(5, 8), b.eq(_OTHER, const(0, 64)))
    assert memory.load(located(_BASE, 8), 1).prim == "ite"


def test_constants_that_are_read_with_what_lies_behind_the_function() -> None:
    """Sixteen bytes, of which eight are the function's: these are known."""
    code = function("x86-64", "movdqu xmm0, xmmword ptr [rip + 6]\nmovq rax, xmm0\nret")
    room = len(code.code) - len(function("x86-64", "movdqu xmm0, xmmword ptr [rip + 6]").code)
    code = function("x86-64", f"movdqu xmm0, xmmword ptr [rip + {room}]\nmovq rax, xmm0\nret")
    code = replace(code, code=code.code + (1234567).to_bytes(8, "little"))
    assert {r.values for r in outcomes("x86-64", code, (0, 0))} == {(1234567,)}


def test_too_many_stores_are_undecided() -> None:
    memory = _memory(False)
    for number in range(60):
        memory.store(var(f"p{number}", 64), const(0, 64))
    with pytest.raises(Undecided, match="more stores"):
        memory.load(_BASE, 8)


def test_every_isa_with_rows_has_samples() -> None:
    assert {sample.isa for sample in SAMPLES} == {isa for isa in ISAS if isa_named(isa).rows}


SIGNING = "paciasp\nstp x29, x30, [sp, #-16]!\nldp x29, x30, [sp], #16\nautiasp\nret"


@pytest.mark.parametrize(
    ("old", "new", "right"),
    [
        ("ret", "ret", True), ("autiasp\nret", "retaa", True), ("sp\n", "z\n", True), ("autiasp", "autibsp", False),
        ("autiasp", "autiaz", False), ("autiasp\n", "", False), ("paciasp\n", "", False),
        ("autiasp\nret", "retab", False), ("autiasp", "add sp, sp, #16\nautiasp\nsub sp, sp, #16", False),
    ],
)  # fmt: skip
def test_a_signed_return_address_is_one_again_by_the_same_key_and_modifier(old: str, new: str, right: bool) -> None:
    """What else comes of it is no return on all paths."""
    lifted = lift("aarch64", function("aarch64", SIGNING.replace(old, new)), entered("aarch64", 64).entry)
    assert (sorted(end.kind for end in lifted.ends) == ["returned"]) == right
    assert any(end.kind == "undecided" for end in lifted.ends) != right
