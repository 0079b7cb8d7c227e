"""Translation validation of register allocation: whether one function's allocation, and its code, mean the program.

The one idea: a proof per function, in two parts that share nothing with an allocator. Part 1 (here): every use reads,
in the place that it was given, the value that the program means, on every path. Part 2 (`oracles.regalloc.code.check`):
the bytes do what the allocation says. What each step contributes:

    program              both worlds made explicit: edges, emitted edits, cells
    rules                promises about one instruction or edit by itself
    infer                a guess of what holds at each block's entry
    blocks               the proof, from that guess, by comparing terms (blocks_smt: by z3)
    counterexample       a counterexample, executed along a path

A limit that has a name is `Unsupported` inside and 'undecided' here. docs/validation.md states what is proved, from
which assumptions, and why it is sound.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from liftcheck.errors import Unsupported
from liftcheck.mach.disassembly import named
from liftcheck.mach.insn import decode
from liftcheck.oracles.regalloc import blocks, counterexample
from liftcheck.oracles.regalloc.code import check
from liftcheck.oracles.regalloc.infer import needs
from liftcheck.oracles.regalloc.program import Program
from liftcheck.oracles.regalloc.rules import Rules
from liftcheck.oracles.regalloc.source import Source
from liftcheck.oracles.regalloc.verdict import UNDECIDED, VALID, Counterexample, Counts, Verdict, merged, refuted
from liftcheck.regalloc.allocation import AFTER, Allocation, Captured

SHOWN: Final = 6
"""Machine instructions of one step that a counterexample shows."""


def validate(isa: str, captured: Captured, source: Source | None = None, *, z3_only: bool = False) -> Verdict:
    """Both parts. `source`: what the function's text says (`source`), if it is at hand. A refuted allocation
    is not looked at further: what its code does is then beside the point."""
    first = validate_allocation(captured.allocation, z3_only=z3_only)
    if first.counterexample is not None:
        return replace(first, counterexample=with_code(isa, captured, first.counterexample))
    second = check.check(isa, captured, source, z3_only=z3_only)
    if second.counterexample is not None and first.status == VALID:
        program = Program(captured.allocation)
        path = counterexample.path_to(program, second.counterexample.block)
        second = replace(second, counterexample=replace(second.counterexample, path=path))
    return merged([first, second])


def with_code(isa: str, captured: Captured, example: Counterexample) -> Counterexample:
    """The counterexample with the bytes of its steps and of the instruction where it shows, as far as the compiler says
    where they are."""
    steps = dict.fromkeys((*example.steps, ("instruction", example.instruction)))
    lines = [line for step in steps for line in _listing(isa, captured, *step)]
    return replace(example, code=tuple(lines))


def _listing(isa: str, captured: Captured, kind: str, number: int) -> Iterator[str]:
    """The machine instructions of one instruction or edit; of many the first ones."""
    allocation = captured.allocation
    start: int | None = None
    end, name = 0, f"instruction {number}"
    if kind == "edit" and number < len(allocation.edit_ranges):
        start, end = allocation.edit_ranges[number]
        edit = allocation.edits[number]
        name = f"edit {'after' if edit.where == AFTER else 'before'} instruction {edit.instruction}"
    elif kind == "instruction" and number < len(allocation.ends):
        start, end = allocation.offsets[number], allocation.ends[number]
    if start is None:
        return
    decoded = decode(isa, captured.code.code[start:end])
    for machine in decoded[:SHOWN]:
        code = captured.code.code[start : start + machine.size]
        yield f"{start:#06x}: {code.hex():<16} {named(isa, code, machine):<24} ; {name}"
        start += machine.size
    if len(decoded) > SHOWN:
        yield f"… {len(decoded) - SHOWN} more of {name}"


def validate_allocation(allocation: Allocation, *, z3_only: bool = False) -> Verdict:
    """Part 1: the allocation against the program. `z3_only` gives every equality of values to z3."""
    started = time.process_time()
    counts = Counts(instructions=len(allocation.instructions))
    try:
        verdict = _validate(allocation, z3_only, counts)
    except Unsupported as limit:
        verdict = Verdict(UNDECIDED, f"allocation: {limit.reason}", None, counts)
    counts.seconds = time.process_time() - started
    return verdict


def _validate(allocation: Allocation, z3_only: bool, counts: Counts) -> Verdict:
    program = Program(allocation)
    broken = Rules(program).first_broken()
    if broken is not None:
        return refuted(counterexample.broken_rule(program, broken), counts)
    invariants = needs(program)
    if z3_only:
        from liftcheck.oracles.regalloc import blocks_smt

        checked = blocks_smt.check(program, invariants)
        counts.by_z3 = checked.obligations
    else:
        checked = blocks.check(program, invariants)
    counts.obligations = checked.obligations
    if checked.failure is None:
        return Verdict(VALID, counts=counts)
    example = counterexample.wrong_use(program, checked.failure, invariants)
    if example is None:
        return Verdict(UNDECIDED, "allocation: a claim cannot be proven, and no path shows a wrong use", None, counts)
    return refuted(example, counts)
