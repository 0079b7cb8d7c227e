"""Islands that the assembler puts between a function's instructions, and jumps over them that are sent on or left out:
right code of every such place is valid, and a jump that leads elsewhere is refuted."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest
from support.validation_planting import put

from liftcheck.case import CompileFailure, Target
from liftcheck.compilers.cranelift.client import Cranelift
from liftcheck.mach.insn import BRANCH, JUMP, decode
from liftcheck.oracles.regalloc.code.layout import Layout
from liftcheck.oracles.regalloc.validate import validate
from liftcheck.oracles.regalloc.verdict import INVALID, VALID
from liftcheck.regalloc.allocation import Captured

STEPS = {
    "trap": ("v{1} = icmp ugt v{0}, v1", "trapnz v{1}, user1", "v{2} = iadd v{0}, v1"),
    "constant": ("v{1} = iconst.i64 {big}", "v{2} = bxor v{0}, v{1}"),
    "loop": ("v{1} = popcnt v{0}", "v{2} = iadd v{1}, v1"),
    "bits": ("v{1} = bitrev v{0}", "v{2} = popcnt v{1}"),
}
"""Lines that make a value of another one. What is not an extension's instruction is a loop on riscv64 without Zbb."""
PLACES = [*(("loop", last, range(77, 99, 2)) for last in STEPS), ("trap", "constant", range(176, 188, 3))]
"""What a function is full of, what stands before its blocks' jumps, and how many there are: a branch over it has not
the reach, so there is an island; where it is depends on the number."""


def full(kind: str, last: str, count: int) -> str:
    """A function whose first branch leads over `count` such steps."""
    lines = [f"function %{kind}{count}{last}(i64, i64) -> i64 system_v {{"]
    lines += ["block0(v0: i64, v1: i64):", "    brif v0, block1, block2"]
    number = 2
    for block, first in ((1, 0), (2, 1)):
        lines.append(f"block{block}:")
        before = first
        for step in (*[kind] * count, last):
            big = 0x1234_5678_90AB_CDEF + number * 0x11_1111_1111
            lines += ["    " + line.format(before, number, number + 1, big=big) for line in STEPS[step]]
            before, number = number + 1, number + 2
        lines.append(f"    jump block3(v{before})")
    lines += [f"block3(v{number}: i64):", f"    v{number + 1} = iadd v{number}, v0", f"    return v{number + 1}", "}"]
    return "\n".join(lines) + "\n"


def cold(count: int) -> str:
    """A function whose last block ends in a loop, of which the way out is sent on to the block behind: its jump is left
    out, and an island may stand in its place."""
    # The constant behind the code reads as two additions.
    lines = [f"function %cold{count}(i64, i64) -> i64 system_v {{"]
    lines += ["block0(v0: i64, v1: i64):", "    brif v0, block1, block2(v1)"]
    lines += ["block1 cold:", "    v2 = iconst.i64 0x00b5053300b50533", "    v3 = bxor v1, v2"]
    lines += ["    v4 = popcnt v3", "    jump block2(v4)", "block2(v5: i64):"]
    for number in range(5, 5 + 2 * count, 2):
        lines += ["    " + line.format(number, number + 1, number + 2) for line in STEPS["loop"]]
    return "\n".join([*lines, f"    return v{5 + 2 * count}", "}"]) + "\n"


def captured(regalloc: Cranelift, texts: Sequence[str]) -> Iterator[Captured]:
    settings = (("has_zbb", "false"), ("opt_level", "speed"))
    for reply in regalloc.allocations("".join(texts), [Target("riscv64", settings)], with_text=True)[0]:
        assert not isinstance(reply, CompileFailure)
        yield reply


@pytest.mark.parametrize(("kind", "last", "counts"), PLACES)
def test_right_code_with_islands_is_valid(regalloc: Cranelift, kind: str, last: str, counts: range) -> None:
    texts = [full(kind, last, count) for count in counts]
    verdicts = [validate("riscv64", each) for each in captured(regalloc, texts)]
    assert {verdict.status for verdict in verdicts} == {VALID}


def jal(distance: int) -> bytes:
    """`jal x0`: the jump over an island."""
    bits = ((distance >> 20 & 1) << 31) | ((distance >> 1 & 0x3FF) << 21) | ((distance >> 11 & 1) << 20)
    return (bits | (distance >> 12 & 0xFF) << 12 | 0x6F).to_bytes(4, "little")


def jumps_behind(found: Captured) -> Iterator[tuple[int, int]]:
    """Where the jumps of instructions within blocks stand that lead to the instruction's end or away, and where to."""
    rows = found.allocation
    lasts = {block.end - 1 for block in rows.blocks}
    for instruction, (start, end) in enumerate(zip(rows.offsets, rows.ends)):
        at = start or 0
        while instruction not in lasts and at + 4 <= end:
            machine = decode("riscv64", found.code.code, at, at + 1)[0]
            goal = at + (machine.target or 0)
            if machine.flow == JUMP and machine.target is not None and not at < goal < end and goal > at:
                yield at, goal
                break
            at += machine.size


def test_a_jump_to_a_veneer_behind_it_is_right(regalloc: Cranelift) -> None:
    text = """\
function %veneer() -> i64 system_v {
block0:
    v0 = iconst.i64 1
    jump block1
block1:
    v1 = iconst.i64 2
    v2 = iadd v0, v1
    return v2
}
"""
    target = Target("riscv64", (("bb_padding_log2_minus_one", "21"), ("opt_level", "none")))
    reply = regalloc.allocations(text, [target], with_text=True)[0][0]
    assert not isinstance(reply, CompileFailure) and len(reply.code.code) > 1 << 20
    assert validate("riscv64", reply).status == VALID


@pytest.mark.parametrize("last", STEPS)
def test_a_jump_over_an_island_that_leads_elsewhere_is_not_valid(regalloc: Cranelift, last: str) -> None:
    refuted = 0
    for found in captured(regalloc, [full("loop", last, count) for count in (79, 95)]):
        for at, goal in jumps_behind(found):
            if decode("riscv64", found.code.code, goal, goal + 1)[0].flow == JUMP:
                continue  # what leads on to where it leads is as good
            for distance in (goal - at + 4, goal - at - 4, goal - at + 2, goal - at + 16):
                wrong = put("riscv64", found, at, jal(distance), 4)
                verdict = validate("riscv64", wrong)
                assert verdict.status != VALID, (found.code.name, hex(at), hex(goal), distance)
                refuted += verdict.status == INVALID
    assert refuted


def test_a_branch_into_an_island_in_the_place_of_a_jump_is_not_valid(regalloc: Cranelift) -> None:
    refuted = 0
    for found in captured(regalloc, [cold(count) for count in (1, 5, 20, 82)]):
        assert validate("riscv64", found).status == VALID
        rows = found.allocation
        layout = Layout("riscv64", found.code, rows)
        for block in rows.blocks:
            at, before = rows.offsets[block.end - 1] or 0, rows.offsets[block.end - 2] or 0
            if rows.ends[block.end - 1] - at < 8 or len(block.successors) != 1:
                continue
            for where in range(before, at, 2):
                machine = layout.at(where)
                if machine.flow == BRANCH and not before <= where + (machine.target or 0) < at:
                    wrong = put("riscv64", found, where, branch_to(found.code.code[where : where + 4], at - where), 4)
                    verdict = validate("riscv64", wrong)
                    assert verdict.status != VALID
                    refuted += verdict.status == INVALID
    assert refuted


def branch_to(code: bytes, distance: int) -> bytes:
    """A conditional branch with another distance."""
    bits = int.from_bytes(code, "little") & 0x01FFF07F
    bits |= (distance >> 12 & 1) << 31 | (distance >> 5 & 0x3F) << 25
    return (bits | (distance >> 1 & 0xF) << 8 | (distance >> 11 & 1) << 7).to_bytes(4, "little")


def test_a_far_jump_by_a_register_that_is_in_use_is_not_valid(regalloc: Cranelift) -> None:
    tried = 0
    for found in captured(regalloc, [full("loop", "loop", count) for count in (101,)]):
        code = found.code.code
        for at in range(0, len(code) - 7, 2):
            first, second = (int.from_bytes(code[low : low + 4], "little") for low in (at, at + 4))
            if first & 0xFFF == 0x17 | 31 << 7 and second & 0xFFFFF == 0x67 | 31 << 15:
                for register in (6, 9, 18):
                    words = first & ~0xF80 | register << 7, second & ~0xF8000 | register << 15
                    data = b"".join(word.to_bytes(4, "little") for word in words)
                    tried += 1
                    assert validate("riscv64", put("riscv64", found, at, data, 8)).status != VALID
    assert tried
