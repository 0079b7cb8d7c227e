"""A compiler under test whose every allocation is validated as it compiles: `liftcheck fuzz --validate regalloc`.

The one idea: validation is a compiler around a compiler. It gives the same code as the one inside, and code whose
allocation is refuted bears the refutation (`refutation`), in the form of a compiler's own failure: so it is counted,
folded, reduced, stored and replayed like any other finding. The program is run all the same; `varied` makes inputs
that may show in a run what the proof says.
It does not judge (`validate.py`), and trampolines and listings are passed on unseen.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from random import Random
from typing import Final

from liftcheck import layout
from liftcheck.case import Case, CompileFailure, FunctionCode, Target
from liftcheck.clif.text.parser import parse_filetest
from liftcheck.clif.types import Type
from liftcheck.compilers.base import Reply, Setting
from liftcheck.compilers.cranelift import builds
from liftcheck.compilers.cranelift.client import Cranelift
from liftcheck.compilers.registry import OWN, name_of, open_compiler
from liftcheck.errors import UsageError
from liftcheck.mach.insn import show
from liftcheck.oracles.regalloc import validate
from liftcheck.oracles.regalloc.code.frame import OF_A_REGISTER
from liftcheck.oracles.regalloc.source import Source, source_of
from liftcheck.oracles.regalloc.verdict import INVALID, VALID, Verdict
from liftcheck.regalloc.allocation import Captured

REFUTED: Final = "refuted"
"""`CompileFailure.kind` of a refuted allocation, and the key of `FunctionCode.extra` that holds it."""
VARIANTS: Final = 224
"""Inputs that are tried to show a refuted allocation in a run."""
_TRAMPOLINE: Final = "function %trampoline"


class Validating:
    """See the module. `verdicts`: (ISA, 'valid', 'invalid: reason' or 'undecided: reason') -> functions; `seconds` of
    validation; both grow until `take` empties them."""

    def __init__(self, inner: Cranelift) -> None:
        self.inner: Final = inner
        self.verdicts: Counter[tuple[str, str]] = Counter()
        self.seconds = 0.0

    @property
    def name(self) -> str:
        return self.inner.name

    @property
    def version(self) -> str:
        return self.inner.version

    @property
    def cache_key(self) -> str:
        return self.inner.cache_key

    def settings(self, isa: str) -> dict[str, Setting]:
        return self.inner.settings(isa)

    def close(self) -> None:
        self.inner.close()

    def compile_text(
        self, text: str, targets: Sequence[Target], wants: frozenset[str] = frozenset()
    ) -> list[list[Reply]]:
        """As the compiler inside; functions whose allocation is refuted bear the refutation."""
        if wants or text.startswith(_TRAMPOLINE):
            return self.inner.compile_text(text, targets, wants)
        columns = self.inner.allocations(text, targets, with_text=True)
        started = time.perf_counter()
        sources = [source_of(function) for function in parse_filetest(text, "").module().functions]
        judged = [
            [self._judged(target.isa, *one) for one in zip(column, sources, strict=True)]
            for target, column in zip(targets, columns)
        ]
        self.seconds += time.perf_counter() - started
        return judged

    def _judged(self, isa: str, captured: Captured | CompileFailure, source: Source) -> Reply:
        if isinstance(captured, CompileFailure):
            return captured
        verdict = validate.validate(isa, captured, source)
        self.verdicts[isa, verdict.status + (f": {verdict.reason}" if verdict.status != VALID else "")] += 1
        code = captured.code
        if verdict.status != INVALID:
            return code
        return replace(code, extra={**code.extra, REFUTED: _failure(isa, verdict)})

    def take(self) -> tuple[Counter[tuple[str, str]], float]:
        """Verdicts and seconds since the last time."""
        taken = self.verdicts, self.seconds
        self.verdicts, self.seconds = Counter(), 0.0
        return taken


def open_capturing(spec: str) -> Cranelift:
    """The compiler called `spec` in the build that shows its allocations. UsageError for one that has none."""
    if name_of(spec) != OWN:
        open_compiler(spec).close()  # one that is not there at all is told first
        raise UsageError(f"{spec} does not show its register allocation; {OWN}, {OWN}@VERSION and {OWN}=PATH do")
    return Cranelift(spec, builds.REGALLOC)


def open_validating(spec: str) -> Validating:
    """The compiler called `spec`, validated; UsageError as above."""
    return Validating(open_capturing(spec))


def _failure(isa: str, verdict: Verdict) -> CompileFailure:
    """A refutation; its reason has the register where that is the convention's and not the allocation's."""
    example = verdict.counterexample
    assert example is not None
    register = f": {show(example.place, isa)}" if example.rule in OF_A_REGISTER else ""
    return CompileFailure(REFUTED, verdict.reason + register, example.render())


def refutation(code: Sequence[FunctionCode]) -> CompileFailure | None:
    """Of a program's functions, the first refutation that one of them bears."""
    for function in code:
        found = function.extra.get(REFUTED)
        if isinstance(found, CompileFailure):
            return found
    return None


def varied(case: Case, random: Random) -> Case:
    """The case with as many other inputs as there are data regions for: its own ones mixed, edges, noise; its memories
    with other bytes here and there. An argument that is an address of a data region stays one, of its own run's."""
    kinds = [parameter.type for parameter in case.module.functions[case.entry].signature.params]
    count = min(VARIANTS, layout.SLOTS)
    rows = tuple(tuple(_argument(case, kinds[at], at, run, random) for at in range(len(kinds))) for run in range(count))
    memories = tuple(_memory(case, random) for _ in range(count)) if case.memories else ()
    return replace(case, inputs=rows, memories=memories, slot=0)


def _argument(case: Case, ty: Type, at: int, run: int, random: Random) -> int:
    chosen = random.randrange(len(case.inputs))
    value = case.inputs[chosen][at]
    offset = value - layout.slot_address(case.slot + chosen)
    if -layout.SLOT_SIZE <= offset <= 2 * layout.SLOT_SIZE and ty.bits == 64:
        return layout.slot_address(run) + offset
    full = (1 << ty.bits) - 1
    edges = (0, 1, full, full >> 1, (full >> 1) + 1, random.getrandbits(8) & full)
    return random.choice((value, value, random.getrandbits(ty.bits), random.choice(edges)))


def _memory(case: Case, random: Random) -> bytes:
    content = bytearray(random.choice(case.memories))
    for _ in range(random.randrange(8)):
        content[random.randrange(len(content))] = random.choice((0, 1, 0x7F, 0x80, 0xFF, random.getrandbits(8)))
    return bytes(content)
