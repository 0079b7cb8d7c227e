"""Wrong code made of right code: programs, and how bytes of what the compiler made of them are replaced."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from itertools import combinations
from pathlib import Path

from liftcheck.case import Target
from liftcheck.clif.text.filetest import read_text
from liftcheck.clif.text.parser import parse_filetest
from liftcheck.clif.text.printer import print_module
from liftcheck.compilers.cranelift.capture import PlantedFault
from liftcheck.compilers.cranelift.client import Cranelift
from liftcheck.mach.insn import decode
from liftcheck.oracles.regalloc.code.layout import Placed
from liftcheck.oracles.regalloc.source import Source, source_of
from liftcheck.oracles.regalloc.validate import validate
from liftcheck.oracles.regalloc.verdict import VALID, Verdict
from liftcheck.regalloc.allocation import ALGORITHMS, DEF, EARLY, LATE, Captured
from support.validation_code_faults import NOPS

CORPUS = Path(__file__).parents[2] / "corpus" / "regalloc"
CALLS = """\
function %calls(i64, i64, f64) -> i64, f64 system_v {
    ss0 = explicit_slot 32
    sig0 = (i64, f64) -> i64, f64 system_v
    fn0 = colocated %g sig0
block0(v0: i64, v1: i64, v2: f64):
    v3 = stack_addr.i64 ss0
    store v1, v3+8
    v4, v5 = call fn0(v0, v2)
    fence
    v6 = iadd v4, v1
    brif v6, block1, block2
block1:
    v7, v8 = call_indirect sig0, v1(v6, v5)
    v9 = isub v7, v0
    v10 = load.i64 v3+8
    v11 = bxor v9, v10
    v20 = iconst.i64 0x12345
    v21 = imul v11, v20
    v22 = popcnt v21
    return v22, v8
block2:
    v12 = bor v4, v0
    v13 = popcnt v12
    return v13, v2
}
"""
TAIL = """\
function %tail(i64, i64) -> i64 tail {
    ss0 = explicit_slot 32
    sig0 = (i64, i64) -> i64 tail
    fn0 = colocated %g sig0
block0(v0: i64, v1: i64):
    v2 = stack_addr.i64 ss0
    store v1, v2+8
    v3 = iadd v0, v1
    brif v3, block1, block2
block1:
    return_call_indirect sig0, v1(v3, v0)
block2:
    return_call fn0(v0, v3)
}
"""
WIDE = """\
function %wide(i64, i64) -> i64 tail {
    sig0 = (i64, i64, i64, i64, i64, i64, i64, i64, i64, i64, i64, i64, i64, i64) -> i64 tail
    fn0 = colocated %g sig0
block0(v0: i64, v1: i64):
    v2 = call fn0(v0, v1, v0, v1, v0, v1, v0, v1, v0, v1, v0, v1, v0, v1)
    v3 = iadd v2, v1
    return v3
}
"""
RESULTS = """\
function %results(i64, i64) -> i64 system_v {
    sig0 = (i64) -> i64, i64, i64, i64, i64, i64, i64, i64, i64, i64 tail
    fn0 = colocated %g sig0
block0(v0: i64, v1: i64):
    v2, v3, v4, v5, v6, v7, v8, v9, v10, v11 = call fn0(v0)
    v12 = iadd v2, v10
    v13 = iadd v12, v11
    v14 = isub v13, v1
    v15 = bxor v14, v9
    return v15
}
"""
LOOPS = """\
function %loops(i64, i64, f64) -> i64 system_v {
block0(v0: i64, v1: i64, v2: f64):
    v3 = clz v0
    v4 = ctz v1
    v5 = popcnt v3
    v6 = bitrev v4
    v7 = iadd v5, v6
    v8 = fcvt_to_sint_sat.i64 v2
    v9 = fcvt_to_uint_sat.i64 v2
    v10 = iadd v8, v9
    v11 = iadd v7, v10
    return v11
}
"""


@cache
def functions(compiler: Cranelift, name: str, algorithm: str) -> list[tuple[str, str, Captured, Source]]:
    """(ISA, function, what was captured, what its text says), on the file's targets."""
    test = parse_filetest(read_text(CORPUS / name), name)
    targets = [Target(t.isa, tuple(sorted((*t.settings, ("regalloc_algorithm", algorithm))))) for t in test.targets]
    module = test.module()
    columns = compiler.allocations(print_module(module), targets, with_text=True, raw=True)
    return [
        (target.isa, function.name, reply, source_of(function))
        for target, column in zip(targets, columns)
        for function, reply in zip(module.functions, column)
        if isinstance(reply, Captured)
    ]


def from_corpus(
    compiler: Cranelift, name: str, isa: str, function: str, algorithm: str = ALGORITHMS[1]
) -> tuple[Captured, Source]:
    """What was captured of one of a file's functions, and what its text says."""
    found = functions(compiler, name, algorithm)
    return next((captured, source) for i, f, captured, source in found if (i, f) == (isa, function))


@cache
def one(compiler: Cranelift, isa: str, text: str, *more: tuple[str, str]) -> tuple[Captured, Source]:
    """The allocation of one function, which is valid."""
    target = Target(
        isa,
        tuple(
            sorted(
                {
                    "enable_multi_ret_implicit_sret": "true",
                    "opt_level": "speed",
                    "regalloc_algorithm": "backtracking",
                    **dict(more),
                }.items()
            )
        ),
    )
    reply = compiler.allocations(text, [target], with_text=True)[0][0]
    assert isinstance(reply, Captured), reply
    source = source_of(parse_filetest(text, "t").module().functions[0])
    verdict = validate(isa, reply, source)
    assert verdict.status == VALID, verdict.counterexample and verdict.counterexample.render()
    return reply, source


def placed(isa: str, captured: Captured, instruction: int) -> list[Placed]:
    """An instruction's own bytes."""
    at, found = captured.allocation.offsets[instruction] or 0, []
    for machine in decode(isa, captured.code.code, at, captured.allocation.ends[instruction]):
        found.append(Placed(at, machine))
        at += machine.size
    return found


def put(isa: str, captured: Captured, offset: int, data: bytes, room: int) -> Captured:
    """Other bytes, and no-operations up to where the room ends."""
    rest, fill = room - len(data), b""
    while len(fill) < rest:
        fill += NOPS[isa][next(size for size in sorted(NOPS[isa], reverse=True) if size <= rest - len(fill))]
    code = captured.code.code
    changed = code[:offset] + data + fill + code[offset + room :]
    return captured._replace(code=replace(captured.code, code=changed))


def refuted(isa: str, captured: Captured, source: Source) -> str:
    """The rule that is broken, or why it is undecided; '' if valid."""
    verdict: Verdict = validate(isa, captured, source)
    return verdict.counterexample.rule if verdict.counterexample else verdict.reason


def called(isa: str, captured: Captured) -> list[int]:
    """Instructions that call."""
    return [i for i, what in enumerate(captured.allocation.instructions) if what.clobbers]


def plain(isa: str, captured: Captured, room: int) -> list[int]:
    """Instructions of enough bytes within blocks, that do not call."""
    rows, ends = captured.allocation, {block.end - 1 for block in captured.allocation.blocks}
    return [
        i
        for i, what in enumerate(rows.instructions)
        if i not in ends
        and not what.clobbers
        and rows.ends[i] - (rows.offsets[i] or 0) >= room
        and not captured_relocated(captured, i)
    ]


def captured_relocated(captured: Captured, instruction: int) -> bool:
    start, end = captured.allocation.offsets[instruction] or 0, captured.allocation.ends[instruction]
    return any(start <= r.offset < end for r in captured.code.relocations)


def flips(data: bytes) -> Iterator[bytes]:
    number = int.from_bytes(data, "big")
    for count in (1, 2):
        for bits in combinations(range(8 * len(data)), count):
            yield (number ^ sum(1 << bit for bit in bits)).to_bytes(len(data), "big")


def late_definitions(regalloc: Cranelift, isa: str, text: str) -> Iterator[str]:
    """What the validator says where the allocator put a result over an input, as it may if the description calls an
    early definition a late one: the reason of each, '' if it is taken for valid."""
    source = source_of(parse_filetest(text, "t").module().functions[0])
    for seed in range(24):
        reply = regalloc.allocations(
            text, [Target(isa, (("opt_level", "speed"),))], fault=PlantedFault("early-def-on-use", seed)
        )[0][0]
        if not isinstance(reply, Captured) or reply.allocation.fault.startswith("nothing"):
            continue
        late = tuple(
            what._replace(
                operands=tuple(
                    o._replace(position=LATE) if (o.kind, o.position) == (DEF, EARLY) else o for o in what.operands
                )
            )
            for what in reply.allocation.instructions
        )
        yield refuted(isa, reply._replace(allocation=replace(reply.allocation, instructions=late)), source)
