"""What a campaign is asked to do, and what one batch of it consists of.

The one idea: everything about batch b (its case numbers, its ISAs, its settings, its profile) is a function of the
campaign's options and b; at which rules of the compiler a directed batch aims, of earlier batches too
(`campaign.steering`). Workers, time and luck decide only how many batches are done, never what is in them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final, NamedTuple

import liftcheck
from liftcheck.isa import ISAS

BATCH: Final = 32
"""Programs a batch: few compile requests and two starts of each emulator. 32 programs x 8 inputs fill all slots; with
16 each program takes a tenth more time."""

Avoided = tuple[tuple[str, str], ...]
"""(ISA, typing or convention) that programs do without."""


@dataclass(frozen=True, slots=True)
class FuzzOptions:
    """One campaign. `cases` bounds it by programs, `seconds` by time; with neither it runs until it is interrupted,
    with both until the first of them is met.

    runners    names in order of preference; 'auto' takes the best there is for each program
    profiles   only these generator profiles; () means all of them, drawn by batch
    settings   `--set k=v`, applied to every target whose ISA knows them
    sweep      whether batches also draw settings of their own (register allocators, extensions, …)
    out        the folder for findings; None: they are only reported
    oracles    that judge the code itself, not its runs (`oracles.registry`)
    baseline   the compiler that `compiler` is compared with, on the same programs; '' for none
    seeds      a folder of `.clif` files whose functions, edited, are the programs; None: they are generated
    """

    isas: tuple[str, ...] = ISAS
    compiler: str = "cranelift"
    opt_levels: tuple[str, ...] = ("none", "speed")
    settings: tuple[tuple[str, str], ...] = ()
    runners: tuple[str, ...] = ("auto",)
    seconds: float | None = 60.0
    cases: int | None = None
    seed: int = 0
    jobs: int = 1
    profiles: tuple[str, ...] = ()
    out: Path | None = None
    sweep: bool = True
    reduce_seconds: float = 20.0
    oracles: tuple[str, ...] = ()
    baseline: str = ""
    seeds: Path | None = None


class Extent(NamedTuple):
    """How far a campaign over all small programs goes (`--profile exhaustive`).

    numbers   case numbers from 0 on, of which a few at the end of a world have no program
    programs  how many there are to be judged, of `whole` in all
    typings   (opcode, types) in them, `pairs` of those with an edge between them; each world counts its own
    left_out  typings that the compiler has and no program holds, with the reason
    """

    numbers: int
    programs: int
    whole: int
    typings: int
    pairs: int
    left_out: Mapping[str, str]


def case_seed(seed: int, number: int) -> int:
    """The PRNG seed of case `number`: the same on every machine, run and job count."""
    digest = hashlib.blake2b(f"case {seed} {number}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little")


def batch_seed(seed: int, batch: int) -> int:
    """The seed of what a whole batch shares: profile, ISAs, settings."""
    digest = hashlib.blake2b(f"batch {seed} {batch}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little")


def batch_cases(options: FuzzOptions, batch: int) -> range:
    """The case numbers of a batch; the last batch of a bounded campaign may be short or empty."""
    start = batch * BATCH
    end = start + BATCH
    if options.cases is not None:
        end = min(end, options.cases)
    return range(start, max(start, end))


@cache
def made_by() -> str:
    """This liftcheck: its version, and a digest of its sources, since other sources generate other programs."""
    digest = hashlib.blake2b(digest_size=6)
    for path in sorted(Path(liftcheck.__file__).parent.rglob("*.py")):
        digest.update(path.read_bytes())
    return f"{liftcheck.__version__} ({digest.hexdigest()})"
