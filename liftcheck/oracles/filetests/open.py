"""What CLIF leaves open in the run lines of a file: the reference's word on each, asked once for all targets.

The one idea: a file has many targets and one meaning in each byte order, so what is open (see `oracles.admissible`) is
found once a line, and only for functions that have an instruction that could let something open in: most have none, and
are not interpreted at all. It judges nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from liftcheck.case import Outcome
from liftcheck.clif.ir import Module
from liftcheck.clif.text.runlines import RunLine
from liftcheck.oracles.admissible import MANY, Opening, Prediction, Reference
from liftcheck.oracles.reference import depends_on_byte_order
from liftcheck.runners.patience import DEFAULT

FUEL: Final = 100_000
"""Instructions of a first look; of longer runs it is said that they were not looked at, as they take too much time."""
CLOSED: Final = Prediction(Outcome("unknown"))
"""Of a line that was not interpreted: nothing in it is open."""


class Openings:
    """The lines of one module's functions."""

    def __init__(self, module: Module) -> None:
        self._module: Final = module
        self._references: dict[bool, Reference] = {}
        self._found: dict[tuple[int, bool], list[Prediction]] = {}

    def of(self, number: int, lines: Sequence[RunLine], big_endian: bool) -> list[Prediction]:
        """What is open in each line of function `number`; the outcomes mean nothing where nothing is."""
        reference = self._reference(big_endian)
        if not reference.may_open(number):
            return [CLOSED] * len(lines)
        key = number, big_endian
        if key not in self._found:
            self._found[key] = [reference.openness(number, line.args, line.regions(), FUEL) for line in lines]
        return self._found[key]

    def again(self, number: int, line: RunLine, big_endian: bool) -> Prediction:
        """What is open in one line, by many more worlds: before somebody is called wrong."""
        return self._reference(big_endian).openness(number, line.args, line.regions(), DEFAULT.fuel, MANY)

    def of_nan(self, number: int, line: RunLine, big_endian: bool) -> Opening:
        """What makes the bits of a NaN that a line returns."""
        return self._reference(big_endian).opening_of_nan(number, line.args, line.regions())

    def _reference(self, big_endian: bool) -> Reference:
        if True not in self._references and False not in self._references:
            same = not depends_on_byte_order(self._module)
            reference = Reference(self._module, big_endian)
            self._references = {True: reference, False: reference} if same else {big_endian: reference}
        if big_endian not in self._references:
            self._references[big_endian] = Reference(self._module, big_endian)
        return self._references[big_endian]


class Closed(Openings):
    """Of lines that somebody has looked into already: nothing is open."""

    def of(self, number: int, lines: Sequence[RunLine], big_endian: bool) -> list[Prediction]:
        return [CLOSED] * len(lines)
