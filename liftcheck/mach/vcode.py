"""Machine code before registers are allocated: instructions over virtual registers, in blocks.

The one idea: an instruction is a form with numbers. A form says, once, which of its registers are read and written
and how bytes come of places; most forms are a row of the ISA's table, whose operands tell all of that. So an
instruction costs a tuple, and what an instruction is stands in its row alone.

A register is the number of a virtual one, or `fixed(place)` for a place that no allocator gives out: the stack
pointer, a register that is always zero.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from liftcheck.errors import InternalError
from liftcheck.mach.rows.kinds import Register
from liftcheck.mach.rows.program import assemble
from liftcheck.mach.rows.row import Row
from liftcheck.mach.rows.table import Table

USE, DEF = 0, 1
EARLY, LATE = 0, 1
REG, FIXED, REUSE = 1, 3, 4
"""As in `regalloc.allocation.Operand`."""


class Slot(NamedTuple):
    """A register of a form: its class, whether it is read or written and where, and what it must be in: any register
    of the class (REG), the place `value` (FIXED), the place of the form's register number `value` (REUSE)."""

    cls: int
    kind: int
    position: int
    constraint: int = REG
    value: int = 0


def fixed(place: int) -> int:
    """The register number that stands for a place which is not allocated."""
    return ~place


class Form:
    """A kind of machine instruction.

    name      the mnemonic, or what it is called
    slots     its registers, those that are written first
    clobbers  places that lose what they hold
    accesses  whether it may fault at an address
    """

    __slots__ = ("accesses", "clobbers", "is_branch", "is_return", "name", "slots")

    def __init__(self, name: str, slots: Sequence[Slot], clobbers: Sequence[int] = (), accesses: bool = False) -> None:
        self.name: Final = name
        self.slots: Final = tuple(slots)
        self.clobbers: Final = tuple(clobbers)
        self.accesses: Final = accesses
        self.is_branch = False
        self.is_return = False

    def emit(self, out: Any, places: Sequence[int], insn: Insn) -> None:
        """Puts its bytes into an `emit.Emitter`; `places` is where each of its registers is."""
        raise InternalError(f"{self.name} has no bytes")


class Insn(NamedTuple):
    """An instruction: its form, a register for each of the form's slots, what else the form wants to know; the code of
    the trap that its access is, '' for none; the source line (0: unknown)."""

    form: Form
    registers: tuple[int, ...]
    extra: tuple[Any, ...] = ()
    trap: str = ""
    line: int = 0


_MEMO: Final = 20_000


class RowForm(Form):
    """An instruction of the ISA's table. `extra` are the operands that are not registers, in the order of the text."""

    __slots__ = ("_memo", "_plan", "row", "table")

    def __init__(self, table: Table, row: Row) -> None:
        slots: list[Slot] = []
        plan: list[tuple[bool, int]] = []
        reads: list[tuple[int, Slot]] = []
        extras = 0
        for number, operand in enumerate(row.operands):
            kind = operand.kind
            if not isinstance(kind, Register):
                plan.append((False, extras))
                extras += 1
                continue
            cls = kind.first >> 6
            plan.append((True, -1))
            if operand.writes:
                plan[number] = (True, len(slots))
                slots.append(Slot(cls, DEF, LATE))
            if operand.reads:
                reads.append((number, Slot(cls, USE, EARLY)))
        for number, slot in reads:
            written = plan[number][1]
            if written >= 0:
                slots[written] = slots[written]._replace(constraint=REUSE, value=len(slots))
            else:
                plan[number] = (True, len(slots))
            slots.append(slot)
        accesses = any(isinstance(part, str) and "(" in part for part in row.syntax.parts)
        super().__init__(row.name, slots, accesses=accesses)
        self.row: Final = row
        self.table: Final = table
        self._plan: Final = tuple(plan)
        self._memo: Final[dict[tuple[object, object], bytes]] = {}

    def bytes(self, places: Sequence[int], extra: tuple[Any, ...] = ()) -> bytes:
        """The instruction with these places for its registers."""
        key = (*places,), extra
        found = self._memo.get(key)
        if found is None:
            if len(self._memo) > _MEMO:
                self._memo.clear()
            values = []
            for operand, (register, index) in zip(self.row.operands, self._plan):
                if register:
                    kind = operand.kind
                    assert isinstance(kind, Register)
                    number = places[index] - kind.first
                    values.append(kind.numbers.index(number) if kind.numbers else number)
                else:
                    values.append(extra[index])
            found = self._memo[key] = self.table.encode(self.row, values).data
        return found

    def emit(self, out: Any, places: Sequence[int], insn: Insn) -> None:
        if insn.trap:
            out.trap(insn.trap)
        out.put(self.bytes(places, insn.extra))


class Jump(Form):
    """To the block `extra[0]`."""

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__("jump", ())
        self.is_branch = True

    def emit(self, out: Any, places: Sequence[int], insn: Insn) -> None:
        out.jump(insn.extra[0])


JUMP: Final = Jump()


class Arguments(Form):
    """What the convention has in registers when the function is entered; it has no bytes."""

    __slots__ = ()

    def __init__(self, slots: Sequence[Slot]) -> None:
        super().__init__("arguments", slots)

    def emit(self, out: Any, places: Sequence[int], insn: Insn) -> None:
        return


class Return(Form):
    """The end of the function, its results in the convention's registers."""

    __slots__ = ()

    def __init__(self, slots: Sequence[Slot]) -> None:
        super().__init__("return", slots)
        self.is_return = True

    def emit(self, out: Any, places: Sequence[int], insn: Insn) -> None:
        out.leave()


@dataclass(slots=True)
class VBlock:
    """Instructions, the last of which leaves the block. `params`: virtual registers; `successors`: indices of blocks,
    `arguments` the virtual registers that go to each. `cold`: it is put last. `clif`: the number of the CLIF block, -1
    for a block on an edge."""

    insns: list[Insn] = field(default_factory=list)
    params: list[int] = field(default_factory=list)
    successors: list[int] = field(default_factory=list)
    arguments: list[tuple[int, ...]] = field(default_factory=list)
    cold: bool = False
    clif: int = -1


@dataclass(slots=True)
class VCode:
    """A function. `classes`: the class of each virtual register; block 0 is the entry.

    slots       offset of each stack slot in the area of stack slots, by its number; `slot_bytes`: how large that is
    outgoing    bytes of stack arguments and results of the calls
    calls       whether it calls
    frame       whether it asks for the frame pointer
    incoming    bytes of its own stack arguments
    tail        the most bytes of stack arguments of a tail call
    """

    blocks: list[VBlock] = field(default_factory=list)
    classes: list[int] = field(default_factory=list)
    slots: dict[int, int] = field(default_factory=dict)
    slot_bytes: int = 0
    outgoing: int = 0
    calls: bool = False
    frame: bool = False
    incoming: int = 0
    tail: int = 0
    convention: str = ""


_MARKS: Final = {"=": (DEF, LATE), "=&": (DEF, EARLY), "&": (DEF, EARLY), "": (USE, EARLY), "~": (USE, LATE)}
_LETTERS: Final = {"": 0, "f": 1, "v": 2}


def slots_of(text: str) -> tuple[list[str], list[Slot]]:
    """Names and slots of registers that are written `=d a &t x.f`: `=` is written at the end, `=&` and `&` (a register
    to work in) before all others are read, `~` read to the end; `.f` and `.v` are the classes of floats and vectors.
    Those that are written come first."""
    names, slots = [], []
    for word in text.split():
        bare = word.lstrip("=&~")
        name, _, letter = bare.partition(".")
        kind, position = _MARKS[word[: len(word) - len(bare)]]
        names.append(name)
        slots.append(Slot(_LETTERS[letter], kind, position))
    return names, slots


class Steps(Form):
    """Several machine instructions, as assembler text in which `{d}` is a register and `{0}` what `extra` has. A line
    that begins with `!` is the access that may trap."""

    __slots__ = ("_memo", "_names", "_registers", "_table", "_text")

    def __init__(self, table: Table, registers: Sequence[Sequence[str]], name: str, operands: str, text: str) -> None:
        names, slots = slots_of(operands)
        super().__init__(name, slots, accesses="!" in text)
        self._names: Final = names
        self._registers: Final = registers
        self._table: Final = table
        self._text: Final = text.strip().splitlines()
        self._memo: Final[dict[tuple[object, object], list[tuple[bool, bytes]]]] = {}

    def pieces(self, places: Sequence[int], extra: tuple[Any, ...]) -> list[tuple[bool, bytes]]:
        """The machine instructions, and whether each may trap."""
        key = (*places,), extra
        found = self._memo.get(key)
        if found is None:
            if len(self._memo) > _MEMO:
                self._memo.clear()
            named = {n: self._registers[p >> 6][p & 63] for n, p in zip(self._names, places)}
            text = "\n".join(self._text).format(*extra, **named)
            marked = [line.strip().startswith("!") for line in text.splitlines() if not line.strip().endswith(":")]
            lines = assemble(self._table, text.replace("!", ""))
            found = self._memo[key] = [(mark, one.data) for mark, (_, one) in zip(marked, lines, strict=True)]
        return found

    def emit(self, out: Any, places: Sequence[int], insn: Insn) -> None:
        for marked, data in self.pieces(places, insn.extra):
            if marked and insn.trap:
                out.trap(insn.trap)
            out.put(data)
