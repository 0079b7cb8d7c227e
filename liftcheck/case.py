"""The values that flow between the seams: targets, cases, compiled code, outcomes, verdicts.

Run-time values are unsigned integers of their type's width (see `clif.types`). Records here are immutable and cheap:
the hot path makes one `Outcome` a run and nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, NamedTuple

from liftcheck.clif.ir import Module
from liftcheck.isa import BIG_ENDIAN


class Target(NamedTuple):
    """An ISA with its settings (shared and ISA flags alike), sorted by name; presets have the value 'preset'."""

    isa: str
    settings: tuple[tuple[str, str], ...] = ()

    @property
    def big_endian(self) -> bool:
        return self.isa in BIG_ENDIAN

    def __str__(self) -> str:
        return " ".join([self.isa, *(name if value == "true" else f"{name}={value}" for name, value in self.settings)])


@dataclass(frozen=True, slots=True)
class Case:
    """One program and its inputs.

    entry     index of the function that is run
    inputs    one tuple of argument values a run (pointers into the run's data region are already addresses)
    memories  one initial content of the data region a run, each `layout.SLOT_SIZE` bytes, or empty: no region
    slot      run i has the data region `layout.slot_address(slot + i)`
    name      what identifies the case for people ('seed 7 case 12')
    tags      what the generator knows: the profile's name, traps intended, settings that the program asks for
    """

    module: Module
    entry: int
    inputs: tuple[tuple[int, ...], ...]
    memories: tuple[bytes, ...] = ()
    slot: int = 0
    name: str = ""
    tags: Mapping[str, object] = field(default_factory=dict)


class Relocation(NamedTuple):
    """`kind` is Cranelift's name (Abs8, RiscvCallPlt, …); `name` the symbol ('%f', 'u0:5', 'libcall:FmaF64', or
    'func:OFFSET' for a place in this function); `addend` signed."""

    offset: int
    kind: str
    name: str
    addend: int


class CallSite(NamedTuple):
    """`offset` is that of the return address; `handlers` are ('tag', n, offset), ('default', offset), ('context',
    n)."""

    offset: int
    frame_offset: int | None
    handlers: tuple[tuple[object, ...], ...] = ()


@dataclass(frozen=True, slots=True)
class FunctionCode:
    """What a compiler says of one function for one target. Offsets are bytes from the function's start.

    traps are (offset, code text); `extra` holds what else was asked for ('disassembly', 'vcode', 'srclocs',
    'rules', 'clif', 'frame', …).
    """

    name: str
    code: bytes
    alignment: int = 16
    relocations: tuple[Relocation, ...] = ()
    traps: tuple[tuple[int, str], ...] = ()
    calls: tuple[CallSite, ...] = ()
    extra: Mapping[str, object] = field(default_factory=dict)


FailureKind = Literal[
    "unsupported", "input", "panic", "verifier", "timeout", "memory", "abort", "refusal", "illegal", "refuted"
]


@dataclass(frozen=True, slots=True)
class CompileFailure:
    """A function that was not compiled, or whose code is refuted without a run.

    kind     'unsupported' (a missing lowering or ABI, a refusal), 'refusal' (a refusal of what the compiler has, see
             `oracles.refusals`), 'illegal' (code that the target cannot execute, see `runners.beyond`), 'panic',
             'verifier', 'timeout', 'memory', 'abort', 'input' (the reader or the verifier refused our text: our bug),
             'refuted' (an oracle proves the code wrong: `oracles.base.Oracle`)
    reason   folded text without numbers, for counting
    message, place   what the compiler said, and file:line:column of a panic
    """

    kind: FailureKind
    reason: str
    message: str = ""
    place: str = ""

    @property
    def is_finding(self) -> bool:
        return self.kind not in ("unsupported", "input")


OutcomeKind = Literal["returned", "trapped", "out_of_fuel", "endless", "abi", "crashed", "unsupported", "unknown"]
NO_ANSWER: Final[tuple[OutcomeKind, ...]] = ("unsupported", "out_of_fuel")
"""Kinds of outcomes that say that nothing was found out: of those nothing is right and nothing wrong."""


class Outcome(NamedTuple):
    """What one run did.

    kind     'returned', 'trapped', 'out_of_fuel' (did not end in the time or fuel it got), 'endless' (makes no
             progress: runners/patience.py), 'abi' (callee-saved state or stack pointer damaged), 'crashed' (a fault
             that no trap-table entry explains: detail says what and where), 'unsupported', 'unknown' (nothing ran it)
    values   returned values, in signature order, unsigned (kind 'returned')
    memory   the data region afterwards (also after a trap), b'' if the case has none
    detail   the trap code ('heap_oob', 'int_divz', 'int_ovf', 'bad_toint', 'stk_ovf', 'user7'), or the reason
    """

    kind: OutcomeKind
    values: tuple[int, ...] = ()
    memory: bytes = b""
    detail: str = ""
