"""How long compiled code may run: a limit of ours is not a fault of the compiler's.

The one idea: a runner gives every row little time, which is enough for nearly all, and says 'out_of_fuel' of the
others. Such a row runs again, alone, for as long as what the reference executed could justify (`enough`). Does it end
then, that is its outcome. Does it not end in that time, it makes no progress: 'endless', the compiler's fault. If we do
not want to wait that long, or the reference does not know how long it takes, it stays 'out_of_fuel', and is undecided:
time.

A reduction asks so often that it cannot wait for every candidate: `in_haste`.
`enough` is generous: measured are 3 to 20 ns an instruction of the reference on processors and emulators, 3 us where a
runner's signal handler executes an instruction (Zfa in qemu 7.2), and 2.5 us a byte of code for an emulator's
translation; a routine that copies memory walks at most the stack, byte by byte. What counts is processor time, so a
busy host changes nothing.
What it does not do: it does not look at the machine's state; a loop of a few million rounds in the reference that is
endless in the machine is undecided unless one waits for it (`--time`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from math import inf
from typing import Final, NamedTuple

from liftcheck.case import FunctionCode, Outcome
from liftcheck.runners.base import Job, Runner
from liftcheck.runners.link import Image

AT_LEAST: Final = 0.5
PER_INSTRUCTION: Final = 20e-6
PER_BYTE: Final = 20e-6
PER_ROUTINE: Final = 20e-3
"""Seconds: for any run; for an instruction of the reference; for a byte of the program's code; for an instruction of
the reference in a program that calls routines over memory."""
IN_HASTE: Final = 0.02
"""What stands for `AT_LEAST` where a wrong answer only costs time: runners count in hundredths of a second."""
LONGEST: Final = 10.0
"""Seconds that the longer tries of one job may take together, unless somebody says otherwise."""
OUT_OF_TIME: Final = "time: not ended in the processor time or the fuel that it got"
FUEL: Final = 100_000_000
"""Instructions that the reference executes of a program of a user's before it gives up."""
_ROUTINES: Final = ("Memcpy", "Memmove", "Memset", "Memcmp")

Steps = Callable[[int], int | None]
"""The number of an input -> how many instructions the reference executed with it; None if it did not end."""


class Patience(NamedTuple):
    """When a run is given up: instructions of the reference, seconds of processor time of a function's rows."""

    fuel: int = FUEL
    longest: float = LONGEST


DEFAULT: Final = Patience()


def enough(steps: int, program: Sequence[FunctionCode], at_least: float | None = None) -> float:
    """Seconds of processor time after which a program that has not ended never will."""
    size = sum([len(function.code) for function in program])
    routines = any(relocation.name.endswith(_ROUTINES) for function in program for relocation in function.relocations)
    least = AT_LEAST if at_least is None else at_least
    return least + size * PER_BYTE + steps * (PER_ROUTINE if routines else PER_INSTRUCTION)


def longer(
    runner: Runner,
    image: Image,
    job: Job,
    outcomes: list[Outcome],
    program: Sequence[FunctionCode],
    steps: Steps,
    longest: float = LONGEST,
    until: float = inf,
) -> list[Outcome]:
    """The outcomes of a job, rows that were given too little time run again. `program` is the job's code; `longest`
    the seconds that all rows together may take, before the moment `until`. After the first that does not
    end no other is tried."""
    found, left = list(outcomes), longest
    for number, outcome in enumerate(outcomes):
        if outcome.kind != "out_of_fuel":
            continue
        count = steps(number)
        wanted = longest if count is None else enough(count, program)
        seconds = min(wanted, left)
        started = time.monotonic()
        (again,) = runner.run(image, [_alone(job, number)], seconds, until)[0]
        left -= min(seconds, time.monotonic() - started)
        if again.kind != "out_of_fuel":
            found[number] = again
            continue
        if count is not None and seconds == wanted and time.monotonic() < until:
            again = Outcome("endless", detail=f"{again.detail}, where the reference executed {count} instructions")
        found[number] = again
        break
    return found


def in_haste(
    runner: Runner, image: Image, job: Job, program: Sequence[FunctionCode], steps: int, until: float = inf
) -> list[Outcome]:
    """The outcomes of a job, each given at once what is enough for `steps`, and no more: what does not end in it is
    taken for endless. Who asks so asks again in earnest before anybody hears of it."""
    found = runner.run(image, [job], enough(steps, program, IN_HASTE), until)[0]
    return [Outcome("endless", detail=one.detail) if one.kind == "out_of_fuel" else one for one in found]


def _alone(job: Job, number: int) -> Job:
    """One input of a job, in the data region that it had."""
    return job._replace(
        inputs=job.inputs[number : number + 1],
        memories=job.memories[number : number + 1],
        slot=job.slot + number,
        expected=None,
    )
