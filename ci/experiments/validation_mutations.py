"""Random edits of emitted code against the validator: what it calls valid must run as before.

One machine instruction of a generated program (own bytes, moves, prologue, exits) gets random bytes: an instruction of
the same length and name that reads or writes other registers, or one that calls, returns, jumps or moves the stack
pointer. Nothing is claimed of what own bytes compute, so edits that keep name and registers are not made. A valid one
is run; a run that differs is an unsoundness of the validator, printed in full. Exit code 1 if there is one.
It cannot make: edits of two instructions that belong together, of tables and metadata, of descriptions of operands
(`regalloc_faults.py` has those), and changes that only a caller's frame would show.

    python ci/experiments/validation_mutations.py [--isa ISA] [--seed 1] [--time 60] [--edits 40]
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Final

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from regalloc_faults import Experiment, Subject

from liftcheck.case import ISAS
from liftcheck.compilers.allocation import Captured
from liftcheck.compilers.cranelift import builds
from liftcheck.compilers.cranelift.client import Cranelift
from liftcheck.oracles.machine import ORDINARY, STACK_POINTERS, Machine, decode
from liftcheck.oracles.validation import validate
from liftcheck.oracles.validation_verdict import VALID

TRIES: Final = 60


def edited(isa: str, captured: Captured, rng: Random) -> tuple[Captured, str] | None:
    """One instruction replaced; None if no wanted one was found."""
    code = captured.code.code
    spots = list(_spots(isa, captured))
    for _ in range(TRIES):
        offset, before = rng.choice(spots)
        data = bytearray(code[offset : offset + before.size])
        for _ in range(rng.choice((1, 1, 2))):
            data[rng.randrange(len(data))] ^= rng.choice((1 << rng.randrange(8), rng.randrange(1, 256)))
        after = decode(isa, bytes(data) + bytes(16), 0, 1)[0]
        if _wanted(isa, before, after):
            changed = code[:offset] + bytes(data) + code[offset + before.size :]
            return captured._replace(code=replace(captured.code, code=changed)), (
                f"{offset:#x}: {before.text} becomes {after.text}")  # fmt: skip
    return None


def _spots(isa: str, captured: Captured) -> Iterator[tuple[int, Machine]]:
    """Instructions that are executed: of the prologue, of own bytes, of moves."""
    rows = captured.allocation
    spans = [(0, min((at or 0 for at in rows.offsets), default=0)), *rows.edit_ranges]
    spans += [(at or 0, end) for at, end in zip(rows.offsets, rows.ends)]
    for start, end in spans:
        at = start
        for machine in decode(isa, captured.code.code, start, end):
            if any(at <= r.offset < at + machine.size for r in captured.code.relocations):
                break
            yield at, machine
            at += machine.size


def _wanted(isa: str, before: Machine, after: Machine) -> bool:
    if not after.known or after.size != before.size or (after.reads, after.writes) == (before.reads, before.writes):
        return False
    sp = STACK_POINTERS[isa]
    control = after.flow != before.flow and after.flow != ORDINARY
    return after.name == before.name or control or (sp in after.writes) != (sp in before.writes)


def judged(experiment: Experiment, subject: Subject, rng: Random) -> Iterator[tuple[str, str]]:
    """(what came of it, the edit) for one edit of each function."""
    isa = subject.target.isa
    for number, function in enumerate(subject.functions):
        made = edited(isa, function, rng)
        if made is None:
            continue
        captured, words = made
        verdict = validate(isa, captured, subject.sources[number])
        if verdict.status != VALID:
            yield verdict.status, words
            continue
        seen = experiment.runs(subject, number, captured)
        where = f"{words}\n    seed {subject.seed}, {function.code.name} on {subject.target}: {seen}"
        yield ("valid, not run" if seen.startswith("undecided") else "UNSOUND" if seen else "valid, runs alike"), where


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--isa", action="append", choices=ISAS)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--time", type=float, default=60.0, help="seconds, shared among the ISAs")
    parser.add_argument("--edits", type=int, default=40, help="rounds of edits for each program")
    options = parser.parse_args()
    isas = options.isa or ISAS
    experiment = Experiment(Cranelift("cranelift", builds.REGALLOC), isas, ())
    found: Counter[tuple[str, str]] = Counter()
    for turn, isa in enumerate(isas):
        until, number = time.monotonic() + options.time / len(isas), options.seed * 100_000
        while time.monotonic() < until:
            number += 1
            subject = experiment.subject(isa, number)
            rng = Random(f"{isa} {number}")
            for _ in range(options.edits if subject is not None else 0):
                for what, words in judged(experiment, subject, rng) if subject is not None else ():
                    found[isa, what] += 1
                    if what == "UNSOUND":
                        print(f"UNSOUND {isa}: {words}", flush=True)
        print(f"{isa}: " + ", ".join(f"{count} {what}" for (i, what), count in sorted(found.items()) if i == isa),
              f"(turn {turn + 1} of {len(isas)}; not edited: "
              f"{dict(experiment.skipped + experiment.undamaged)})", flush=True)
    return int(any(what == "UNSOUND" for _, what in found))


if __name__ == "__main__":
    sys.exit(main())
