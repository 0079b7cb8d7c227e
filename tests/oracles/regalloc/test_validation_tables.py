"""Jump tables' own bytes have one form on each ISA: whatever else leads somewhere else is refuted."""

from __future__ import annotations

import pytest
from support.validation_planting import flips, one, placed, put, refuted

from liftcheck.compilers.cranelift.client import Cranelift
from liftcheck.isa import ISAS
from liftcheck.isa.abi import abi_named
from liftcheck.mach.insn import Insn, decode
from liftcheck.oracles.regalloc.code import tables
from liftcheck.oracles.regalloc.code.layout import Placed
from liftcheck.regalloc.allocation import Captured

TABLE = """\
function %table(i32, i64, i64) -> i64 system_v {
block0(v0: i32, v1: i64, v2: i64):
    v3 = iadd v1, v2
    br_table v0, block1, [block2, block3, block2, block3]
block1:
    return v3
block2:
    v4 = ishl v1, v3
    return v4
block3:
    v5 = imul v1, v2
    return v5
}
"""
TRAPS = """\
function %traps(i64, i64) system_v {
block0(v0: i64, v1: i64):
    brif v1, block1, block2
block1:
    trapnz v0, user1
    jump block2
block2:
    trap user2
}
"""
"""The trap that everybody comes to is where control goes on."""


ALIKE = {("add x10, x10, x11", "add x10, x11, x10"), ("csel x11, x0, x11, lo", "csel w11, w0, w11, lo"),
         ("mov x11, #4", "mov w11, #4"),
         *(("addi x10, x0, 4", f"{name} x10, x0, 4") for name in ("addiw", "ori", "xori"))}  # fmt: skip
"""Of an index of 32 bits the same."""


def _table(captured: Captured) -> tuple[int, int]:
    """The instruction that leads by a table, and how many entries that has."""
    for block in captured.allocation.blocks:
        if len(block.successors) > 2:
            return block.end - 1, len(block.successors) - 1
    raise AssertionError("no table")


def _chain(isa: str, captured: Captured) -> list[Placed]:
    """The bytes up to the jump."""
    own, form = placed(isa, captured, _table(captured)[0]), abi_named(isa).through_table
    names = [machine.name for _, machine in own]
    first = next(n for n in range(len(own)) if tuple(names[n : n + len(form)]) == form)
    return own[: first + len(form)]


@pytest.mark.parametrize("isa", ISAS)
def test_the_compilers_form_is_right_and_for_its_entries_alone(regalloc: Cranelift, isa: str) -> None:
    captured, _ = one(regalloc, isa, TABLE)
    chain, entries = _chain(isa, captured), _table(captured)[1]
    assert tables.leads(isa, chain, entries)
    assert tables.leads(isa, chain, entries + 1) == (not abi_named(isa).clamps)
    assert not tables.leads(isa, chain[:-1], entries) and not tables.leads(isa, chain[-1:], entries)


@pytest.mark.parametrize("isa", ISAS)
def test_a_step_that_is_lacking_is_refuted(regalloc: Cranelift, isa: str) -> None:
    captured, source = one(regalloc, isa, TABLE)
    chain = _chain(isa, captured)
    first = next((n for n, (_, machine) in enumerate(chain) if machine.name == abi_named(isa).clamps), 0)
    for at, machine in chain[first:]:
        assert refuted(isa, put(isa, captured, at, b"", machine.size), source), machine.text


@pytest.mark.parametrize("isa", ISAS)
def test_a_step_of_another_form_is_refuted(regalloc: Cranelift, isa: str) -> None:
    """One or two bits of the address, the entry, the sum or the jump: other registers, distances, sizes, operations."""
    captured, source = one(regalloc, isa, TABLE)
    found, passed = 0, set()
    for at, machine in _chain(isa, captured)[-len(abi_named(isa).through_table) :]:
        for data in flips(captured.code.code[at : at + machine.size]):
            other: Insn = decode(isa, data + bytes(16), 0, 1)[0]
            if other.known and other.size == machine.size and other.text != machine.text:
                found += 1
                if not refuted(isa, put(isa, captured, at, data, machine.size), source):
                    passed.add((machine.text, other.text))
    assert passed <= ALIKE
    assert found > 100


@pytest.mark.parametrize("isa", [isa for isa in ISAS if abi_named(isa).clamps])
def test_an_index_that_is_bounded_otherwise_is_refuted(regalloc: Cranelift, isa: str) -> None:
    captured, source = one(regalloc, isa, TABLE)
    chain, passed, found = _chain(isa, captured), set(), 0
    clamp = next(n for n, (_, machine) in enumerate(chain) if machine.name == abi_named(isa).clamps)
    for at, machine in chain[clamp - 1 : clamp + 1]:
        for data in flips(captured.code.code[at : at + machine.size]):
            other = decode(isa, data + bytes(16), 0, 1)[0]
            if other.known and other.size == machine.size and other.text != machine.text:
                found += 1
                if not refuted(isa, put(isa, captured, at, data, machine.size), source):
                    passed.add((machine.text, other.text))
    assert passed <= ALIKE
    assert found > 100


@pytest.mark.parametrize("isa", ISAS)
def test_a_conditional_trap_before_a_trap_goes_on(regalloc: Cranelift, isa: str) -> None:
    one(regalloc, isa, TRAPS)


def _by_another(data: bytes, register: int) -> bytes:
    """`auipc; jalr` by another register."""
    first, second = (int.from_bytes(half, "little") for half in (data[:4], data[4:]))
    words = first & ~0xF80 | register << 7, second & ~0xF8000 | register << 15
    return b"".join(word.to_bytes(4, "little") for word in words)


def test_an_entry_of_jumps_by_a_register_that_is_in_use_is_refuted(regalloc: Cranelift) -> None:
    """riscv64's entries are far jumps by the register that their bytes have for it."""
    captured, source = one(regalloc, "riscv64", TABLE)
    start, end = _chain("riscv64", captured)[-1], captured.allocation.ends[_table(captured)[0]]
    at = start.offset + start.machine.size
    entry = captured.code.code[at : at + 8]
    own = int.from_bytes(entry[:4], "little") >> 7 & 31
    assert at + 8 <= end and _by_another(entry, own) == entry
    for register in (5, 8, 9, 11, 18, 27):
        if register != own:
            wrong = put("riscv64", captured, at, _by_another(entry, register), 8)
            assert refuted("riscv64", wrong, source) == "a table does not lead to the start of a successor"
