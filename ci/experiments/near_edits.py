"""Every near edit of the validator's own bytes: one bit of a machine instruction, where that means something else.

The one idea: `validation_mutations` needs a run that differs, which few inputs show; the table's rows say at once
whether an edit means something else (or is no instruction at all). Each kind of text and instruction is tried twice,
each bit of it, in functions that are valid. What is called valid is printed, twice of a kind: some of it changes
nothing (a jump to a jump to the same place, bits above a narrow result), the rest is a hole.

    python ci/experiments/near_edits.py --isa aarch64 --seed 8000 --seconds 100
"""

from __future__ import annotations

import argparse
import re
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Final

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "bench"))

import validation

from liftcheck.clif.text.printer import print_module
from liftcheck.compilers.cranelift import builds
from liftcheck.compilers.cranelift.client import Cranelift
from liftcheck.isa import ISAS
from liftcheck.mach.lift import table_of
from liftcheck.oracles.regalloc.code import check
from liftcheck.oracles.regalloc.code.layout import Placed
from liftcheck.oracles.regalloc.source import Source, source_of
from liftcheck.regalloc.allocation import Captured

_NUMBERS: Final = re.compile(r"%?v\d+|-?0x[0-9a-f]+|\b\d+\b|label\d+")
_LONGEST: Final = 1500
"""Bytes of a function: it is validated once for each bit."""
_EACH: Final = 2
"""So often each kind is tried and shown."""


def functions(compiler: Cranelift, isa: str, seed: int) -> Iterator[tuple[Captured, Source]]:
    """Of generated programs."""
    context = validation.Context((isa,), {isa: validation.matrix.load(compiler, isa, ())}, validation.SIZE, 1)
    for number in count(seed):
        module = validation.generate.generate(validation.RandomChoices(number), "all", context).module
        sources = [source_of(function) for function in module.functions]
        columns = compiler.allocations(print_module(module), validation.targets(isa), with_text=True)
        for column in columns:
            yield from ((one, source) for one, source in zip(column, sources) if isinstance(one, Captured))


def meaning(isa: str, data: bytes) -> object:
    """What the row of these bytes does; None: there is none."""
    found = table_of(isa).decode(data)
    if found is None or found.size != len(data):
        return None
    return table_of(isa).lift(found).effects or found.text


def name(isa: str, data: bytes) -> str:
    """The row's text."""
    found = table_of(isa).decode(data)
    return found.text if found is not None and found.size == len(data) else "no instruction"


def edits(isa: str, old: bytes) -> Iterator[bytes]:
    """One bit each, if that means something else."""
    before = meaning(isa, old)
    for bit in range(8 * len(old)):
        data = bytearray(old)
        data[bit >> 3] ^= 1 << (bit & 7)
        if meaning(isa, bytes(data)) != before:
            yield bytes(data)


class Search:
    """Counts, and what was shown."""

    def __init__(self, isa: str) -> None:
        self.isa: Final = isa
        self.kinds: Final[Counter[tuple[str, str]]] = Counter()
        self.passed: Final[Counter[tuple[str, str, str]]] = Counter()
        self.tried = 0

    def function(self, captured: Captured, source: Source) -> None:
        """All own bytes of a function of kinds that are new, but for exits, which are executed."""
        if len(captured.code.code) > _LONGEST:
            return
        examined = check.Examination(self.isa, captured, source, False)
        found = examined.run()
        if found.problems or found.doubts:
            return
        linked = [r.offset for r in captured.code.relocations]
        for instruction, own in examined.own.items():
            what = captured.allocation.instructions[instruction] if instruction >= 0 else None
            for placed in own if what is not None and not what.is_return else ():
                text = what.text if what is not None else ""
                kind = _NUMBERS.sub("N", text)[:60], placed.machine.name
                end = placed.offset + placed.machine.size
                if self.kinds[kind] < _EACH and not any(placed.offset <= at < end for at in linked):
                    self.kinds[kind] += 1
                    self.instruction(captured, source, text, placed)

    def instruction(self, captured: Captured, source: Source, text: str, placed: Placed) -> None:
        """Each bit of one machine instruction."""
        code, at = captured.code.code, placed.offset
        old = code[at : at + placed.machine.size]
        for data in edits(self.isa, old):
            self.tried += 1
            edited = replace(captured.code, code=code[:at] + data + code[at + len(old) :])
            found = check.examine(self.isa, captured._replace(code=edited), source)
            if not found.problems and not found.doubts:
                now = name(self.isa, data)
                kind = text.partition(" ")[0], placed.machine.name, now.partition(" ")[0]
                self.passed[kind] += 1
                if self.passed[kind] <= _EACH:
                    print(f"{text[:90]}: {name(self.isa, old)} -> {now} ({data.hex()})", flush=True)


def main() -> None:
    """See above."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--isa", choices=ISAS, required=True)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=100)
    parser.add_argument("--compiler", default="cranelift")
    options = parser.parse_args()
    search, started = Search(options.isa), time.monotonic()
    with Cranelift(options.compiler, builds.REGALLOC) as compiler:
        for captured, source in functions(compiler, options.isa, options.seed):
            search.function(captured, source)
            if time.monotonic() - started > options.seconds:
                break
    passed = search.passed.total()
    print(f"{options.isa}: {search.tried} edits of {len(search.kinds)} kinds, {passed} called valid")


if __name__ == "__main__":
    main()
