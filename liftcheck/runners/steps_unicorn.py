"""Unicorn as a stepper: what registers hold before each instruction of a program's first run.

The one idea: it is the runner with one more hook, so a run goes exactly as it did when it was judged: the same loop,
trampoline, noise, addresses. Only the instructions of the asked range are noted, each with the registers that results
can be in (`isa.base.Unicorn.results`), which of s390x's vectors are the first halves only.
It compares nothing (`campaign/findings/culprit.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import unicorn

from liftcheck.isa.base import isa_named
from liftcheck.runners.base import Job
from liftcheck.runners.link import Image
from liftcheck.runners.unicorn import UnicornRunner

LONGEST: Final = 20_000
"""Steps that are noted."""


class Step(NamedTuple):
    """An instruction at `address` that is about to run, with what registers hold before it."""

    address: int
    registers: Mapping[str, int]


class Stepper(UnicornRunner):
    """A runner that notes steps."""

    def steps(self, image: Image, job: Job, start: int, end: int) -> list[Step]:
        """The steps of a job's first run from address `start` up to `end`, and the first one after them."""
        found: list[Step] = []
        names = {name: self._named(name) for name in isa_named(self.isa).unicorn.results}
        inside = False

        def note(uc: Any, address: int, _size: int, _data: object) -> None:
            nonlocal inside
            was_inside, inside = inside, start <= address < end
            if (inside or was_inside) and len(found) < LONGEST:
                found.append(Step(address, {name: int(uc.reg_read(number)) for name, number in names.items()}))

        handle = self._uc.hook_add(unicorn.UC_HOOK_CODE, note)
        try:
            self.run(image, [job])
        finally:
            self._uc.hook_del(handle)
        return found

    def _named(self, name: str) -> int:
        prefix = isa_named(self.isa).unicorn.pc.rpartition("_")[0]
        return self._constant(f"{prefix}_{name}")
