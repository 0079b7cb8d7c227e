"""What the names in a compiler's own text of an instruction mean: what readers of operands (`Isa.operands`) share.

The one idea: a text names virtual registers, and words of the frame by distances that were open when it was made. The
allocation says where a virtual register is; a distance is the same one in the whole function, so the first one that is
seen is learnt and all others are held against it. Nothing here knows an ISA or judges code.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from operator import attrgetter
from typing import Final, NamedTuple

from liftcheck.mach.insn import Insn
from liftcheck.mach.regs import SLOT
from liftcheck.regalloc.allocation import Operand

ALL, FITS, DIFFERS, SILENT = "all", "fits", "differs", "silent"
"""What a reader answers: they are the instructions that the text names, with their operands; they have its operands
(whether they are its instructions is for `Isa.listing` to say); they have not; it names nothing that is compared."""
Reader = Callable[["str", "Sequence[tuple[int, Insn]]", "Named"], str]
"""Given a text, machine instructions with their offsets, and its names: one of the above."""


_VREG: Final = attrgetter("vreg")
SPILL: Final = "spill"
"""The distance from the stack pointer to the first spill slot."""
SLOT_BYTES: Final = 8


class Named:
    """The names of one instruction, whose `operands` are in `given`. `places`: virtual register -> where it is (one of
    its places, if its uses have several: see `also`); `slots`: where the function's stack slots begin above the stack
    pointer; `learnt`: distances that the function's texts leave open; `size`: of the frame, without what is saved;
    `spoken`: the conventions that it may call, empty if that is not known."""

    __slots__ = ("_places", "given", "learnt", "operands", "size", "slots", "spoken")

    def __init__(
        self,
        operands: Sequence[Operand],
        given: Sequence[int],
        slots: int | None = None,
        learnt: dict[str, int] | None = None,
        size: int = 0,
        spoken: frozenset[str] = frozenset(),
    ) -> None:
        self.operands = operands
        self.given = given
        self._places: dict[int, int] | None = None
        self.slots: Final = slots
        self.learnt: Final = {} if learnt is None else learnt
        self.size: Final = size
        self.spoken: Final = spoken

    def of(self, operands: Sequence[Operand], given: Sequence[int]) -> Named:
        """The same for another instruction of the function; what was said before of one is forgotten."""
        self.operands, self.given, self._places = operands, given, None
        return self

    @property
    def places(self) -> Mapping[int, int]:
        """See above."""
        if self._places is None:
            self._places = dict(zip(map(_VREG, self.operands), self.given))
        return self._places

    def also(self, vreg: int, place: int) -> bool:
        """Whether a virtual register is there, too."""
        return any(one.vreg == vreg and where == place for one, where in zip(self.operands, self.given))

    def is_there(self, vreg: int, place: int) -> bool:
        """Whether a virtual register is in a place."""
        return self.places.get(vreg) == place or self.also(vreg, place)

    def is_slot(self, place: int, found: int) -> bool:
        """Whether a spill slot lies at a distance from the stack pointer: they lie in a row."""
        return self.distance(SPILL, found - SLOT_BYTES * (place - SLOT))

    def distance(self, name: str, found: int) -> bool:
        """Whether a distance of that name is what it was before; the first one is taken as it is."""
        return self.learnt.setdefault(name, found) == found


Width = tuple[str, str]
"""How a register's name says its width, a letter, and its number."""


class Told(NamedTuple):
    """A line of emitted code: what the instruction is called, and its registers."""

    word: str
    registers: tuple[Width, ...]


class Emitted(NamedTuple):
    """How an ISA's text of emitted code says how wide registers are.

    word     a mnemonic to what both sides call it
    told     a text to its lines, in their order
    widths   a machine instruction to its registers; none if it has no line or no register
    fixed    whether an access within what is several instructions by nature is as wide as the text (with virtual
             registers) of it says
    """

    word: Callable[[str], str]
    told: Callable[[str], Iterable[Told]]
    widths: Callable[[Insn], tuple[Width, ...]]
    fixed: Callable[[str, Insn], bool]
