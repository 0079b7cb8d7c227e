"""aarch64's loads and stores of the program's own memory are as wide as the compiler's text of the code says."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

import pytest
from support.validation_planting import one, put

from liftcheck.compilers.cranelift.client import Cranelift
from liftcheck.mach.insn import PC, Insn, decode
from liftcheck.oracles.regalloc.code.check import examine
from liftcheck.oracles.regalloc.code.listed import OPERANDS
from liftcheck.oracles.regalloc.code.widths import APART
from liftcheck.oracles.regalloc.validate import validate
from liftcheck.oracles.regalloc.verdict import INVALID, VALID
from liftcheck.regalloc.allocation import Captured

ISA = "aarch64"
PROGRAM = """\
function %widths(i64, i32, f32, f64) -> i64, f64, f32, i32 system_v {
    ss0 = explicit_slot 16
    fn0 = %g(i64) -> i64 system_v
block0(v0: i64, v1: i32, v2: f32, v3: f64):
    v4 = load.i32 v0+8
    v5 = load.i64 v0+16
    v6 = uextend.i64 v4
    v7 = iadd v5, v6
    store v2, v0+24
    store v1, v0+32
    v8 = load.f64 v0+48
    v9 = load.f32 v0+64
    store v3, v0+400
    v10 = fadd v8, v3
    v11 = load.i32 v0+36000
    v15 = stack_addr.i64 ss0+8
    v12 = load.i64 v15
    store v12, v0+33000
    v13 = call fn0(v0)
    v14 = iadd v7, v13
    return v14, v10, v9, v11
}
"""
LOOPS = """\
function %loops(i64, i32, i64) -> i32, i64, i32, i64 system_v {
    fn0 = %far(i64) -> i64 system_v
block0(v0: i64, v1: i32, v2: i64):
    v3 = atomic_rmw.i32 little nand v0, v1
    v4 = atomic_rmw.i64 little smin v0, v2
    v5 = atomic_cas.i32 little v0, v1, v3
    v6 = func_addr.i64 fn0
    return v3, v4, v5, v6
}
"""
LONGER = {"x": (3, 2), "w": (2, 3), "d": (3, 2), "s": (2, 3)}
"""Of a letter: the power of two that it accesses, and that of the other one."""


def of_other_width(machine: Insn, word: int) -> int | None:
    """The load or store of as many bits more or less at the same place; None if there is none."""
    letter = machine.operands[:1]
    if machine.name not in ("ldr", "str", "ldur", "stur") or letter not in LONGER or not machine.accesses:
        return None
    now, then = LONGER[letter]
    changed = word ^ 1 << 30
    if not word >> 24 & 1:  # unscaled, or a register
        return changed if machine.accesses[0].base != PC else None
    scaled = (word >> 10 & 0xFFF) << now
    return (changed & ~(0xFFF << 10)) | scaled >> then << 10 if scaled % (1 << then) == 0 else None


def edits(captured: Captured) -> Iterator[tuple[int, Insn, bytes]]:
    at = 0
    for machine in decode(ISA, captured.code.code):
        other = of_other_width(machine, int.from_bytes(captured.code.code[at : at + 4], "little"))
        if other is not None:
            yield at, machine, other.to_bytes(4, "little")
        at += machine.size


def test_a_width_of_the_programs_own_memory_is_seen(regalloc: Cranelift) -> None:
    captured, source = one(regalloc, ISA, PROGRAM)
    assert validate(ISA, captured, source).status == VALID
    seen, said = Counter[str](), ""
    for at, machine, data in edits(captured):
        example = validate(ISA, put(ISA, captured, at, data, 4), source).counterexample
        assert example is not None, machine.text
        seen[machine.operands[:1]] += example.rule == OPERANDS
        said += example.render()
    assert seen["x"] >= 2 and seen["w"] >= 3 and seen["d"] >= 2 and seen["s"] >= 2
    assert "of a register w" in said


def test_a_width_within_several_instructions_is_seen(regalloc: Cranelift) -> None:
    """A symbol's address is 8 bytes; a loop's accesses are as wide as its name says."""
    captured, source = one(regalloc, ISA, LOOPS)
    assert validate(ISA, captured, source).status == VALID
    at, seen = 0, Counter[str]()
    for machine in decode(ISA, captured.code.code):
        literal = machine.name == "ldr" and machine.accesses and machine.accesses[0].base == PC
        if literal or machine.name in ("ldaxr", "stlxr"):
            data = bytearray(captured.code.code[at : at + 4])
            data[3] ^= 0x40
            assert decode(ISA, bytes(data))[0].known
            assert validate(ISA, put(ISA, captured, at, bytes(data), 4), source).status == INVALID, machine.text
            seen[machine.name] += 1
        at += machine.size
    assert seen == {"ldr": 1, "ldaxr": 3, "stlxr": 3}


def test_lists_of_other_registers_are_not_compared(regalloc: Cranelift) -> None:
    """A probe of the stack is in the bytes alone, a store by other bytes in the text alone: as many, not the same."""
    captured, source = one(regalloc, ISA, PROGRAM)
    text = str(captured.code.extra["vcode"]).replace("ldr x", "ldr d")
    extra = {**captured.code.extra, "vcode": text.replace("ldr w", "ldr x9, [x1]\n  ldrx w", 1)}
    found = examine(ISA, captured._replace(code=replace(captured.code, extra=extra)), source)
    assert not found.problems
    assert found.counts.uncompared[f"{APART} ldr"] > 1


@pytest.mark.parametrize("text", ["", None])
def test_texts_that_do_not_fit_are_counted(regalloc: Cranelift, text: str | None) -> None:
    captured, source = one(regalloc, ISA, PROGRAM)
    extra = {key: value for key, value in captured.code.extra.items() if key != "vcode"}
    if text is not None:
        extra["vcode"] = text
    found = examine(ISA, captured._replace(code=replace(captured.code, extra=extra)), source)
    assert not found.problems
    assert any(name.startswith(APART) for name in found.counts.uncompared) == (text is not None)


def test_a_branch_by_a_bit_has_the_width_that_the_bit_needs(regalloc: Cranelift) -> None:
    """The compiler's text says x, a disassembler w for the lower bits."""
    text = """\
function %bit(i64, i64) -> i64 system_v {
block0(v0: i64, v1: i64):
    v2 = iadd v0, v1
    v3 = iconst.i64 4
    v4 = band v2, v3
    brif v4, block1, block2
block1:
    return v2
block2:
    return v1
}
"""
    captured, _ = one(regalloc, ISA, text)
    assert any(what.text.startswith("tbnz") for what in captured.allocation.instructions)
