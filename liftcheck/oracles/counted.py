"""What reports have in common that count what they judge: no unit is left out unnoticed.

The one idea: a report finds its units before it judges them, and `settle` holds the sum of verdicts against their
number as soon as a part is done. It knows nothing of verdicts, and stops nothing: what is lost is told, and is a matter
for the exit code.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import ClassVar


@dataclass(slots=True)
class Counted(ABC):
    """`units` that were found before they were judged; `lost`: parts whose verdicts are not as many as their units, in
    words. `UNITS`: what people read a unit as."""

    UNITS: ClassVar[str] = "units"
    units: int = field(default=0, kw_only=True)
    lost: list[str] = field(default_factory=list, kw_only=True)

    @property
    @abstractmethod
    def judged(self) -> int:
        """The sum of all verdicts."""

    def settle(self, part: str, units: int, before: int, fault: str = "") -> None:
        """A part is done, which has so many units; `judged` was `before` when it was begun. `fault`: what ended it."""
        self.units += units
        verdicts = self.judged - before
        if fault or verdicts != units:
            self.lost.append(
                f"{part}: {units} {self.UNITS}, but {verdicts} verdicts: a bug of liftcheck's, "
                f"please report it with the file{fault and f' ({fault})'}"
            )

    def add_counted(self, other: Counted) -> None:
        """Sums of what stands here."""
        self.units += other.units
        self.lost += other.lost
