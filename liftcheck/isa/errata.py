"""What a row about an instruction is that a runner gets wrong; the rows are `ROWS` in `errata` of the ISAs' packages.

The one idea: a row says which runner is wrong in what, how to see such an instruction in machine code, and carries a
proof: code, arguments, the right result and the runner's. tests/runners/test_errata.py runs the proofs, so a row
goes away when its emulator is mended. Rows without a finder are wrong in ways that code of Cranelift does not show;
they say why.
Sources: differential runs of Unicorn 2.1.4 against qemu-user 7.2 and an x86-64 processor, 700 operand triples for each
of 750 instructions; the architecture manuals.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

from liftcheck.case import FunctionCode


class Proof(NamedTuple):
    """A function of two 64-bit integers that shows the shortcoming, in the ISA's C convention: machine code in hex,
    the arguments, the right result, the result that the runner gives."""

    code: str
    arguments: tuple[int, int]
    right: int
    wrong: int


class Erratum(NamedTuple):
    """One row. `pattern` and `confirm` find it in a function's code, or `whole` in all of a program's, where `exact` is
    dearer and errs less; a row without any of them is harmless, and `harmless` says why. Where
    the runner's process dies, `death` is the proof: code that it dies of, and its last words, or the
    signal for Unicorn, which dies with the process that it is in. One that `hides` faults runs right code rightly, and
    is given such code if no other runner can run it."""

    runner: str
    isa: str
    name: str
    what: str
    pattern: re.Pattern[bytes] | None = None
    confirm: Callable[[bytes], bool] | None = None
    harmless: str = ""
    hides: bool = False
    proof: Proof | None = None
    death: tuple[str, str] | None = None
    whole: Callable[[Sequence[FunctionCode]], bool] | None = None
    exact: Callable[[Sequence[FunctionCode]], bool] | None = None
