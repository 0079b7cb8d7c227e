"""The code that the reference interpreter runs: functions cut into segments of operations on a register list.

The one idea: a *segment* is a run of instructions that is left at its end only (or by a trap): a basic block, cut after
each call. It has a list of operations (see `recipes.Op`), one terminator that does the block-argument moves
and answers the next segment (or, for calls and returns, the values), and a visit counter from which all statistics
follow. Constants cost nothing: they are in the register list from the start.

Data alone: it is made by `translate`, run by `run`, made quicker by `compiled`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Protocol

from liftcheck import layout
from liftcheck.bits.concrete import Trap
from liftcheck.clif.ir import Function, Inst, MemFlags, Module
from liftcheck.clif.types import Type
from liftcheck.interp.libcalls import NAMES, UNSUPPORTED, Libcall, libcall
from liftcheck.interp.memory import ARENA_HALF, Memory, Refusal
from liftcheck.interp.recipes import Op, Recipe, Run
from liftcheck.interp.worlds import World

FUNCTION_STRIDE: Final = 64
ROUTINES: Final = layout.CODE + layout.CODE_SIZE // 2
"""Opaque addresses of functions (from `layout.CODE` on) and of library routines."""

Step = tuple[Recipe, tuple[object, ...], tuple[int, ...], tuple[int, ...]]
"""A recipe with its extras' values, the registers of its results and those of its operands."""


AccessKind = tuple[str, Type, MemFlags, bool, bool]
"""What makes up a plain access: the opcode, the value's type, the flags, whether the address is known to be one of the
stack, whether there is an offset."""

GO, CALL, INDIRECT, RETURN, TAIL, TAIL_INDIRECT, HOT, LOWER = range(8)
"""What follows a segment's terminator: the next segment, a call, a return, …"""

SMALLEST_FRAME: Final = 32
"""Bytes of stack that a frame without slots takes: what bounds the depth of recursion."""


class Translator(Protocol):
    """What made a function's steps (`steps.Translator`): hot code and the other byte order ask it again."""

    big_endian: bool

    @property
    def memory(self) -> Memory:
        """What loads and stores speak to."""

    @property
    def types(self) -> Mapping[int, Type]:
        """The type of every value."""

    @property
    def reg(self) -> Mapping[object, int]:
        """The number of each value's register."""

    @property
    def constants(self) -> Mapping[int, int]:
        """Registers that hold a number from the start."""

    def translate(self, inst: Inst) -> list[Step]:
        """The steps of one instruction."""


class Segment:
    """See the module.

    cost      instructions, the terminator or call among them; `insts` are they
    term      the terminator, a function of the registers and of `wires`: what it moves and where it goes
    after     where a call continues; `results` are the registers that its results go to, `problem` why it is refused;
              `direct` is the `callee` if it is a function and nothing is wrong with the call
    handlers  of a call that catches: the tag (None: any) and where an exception continues, its payloads in `payloads`
    targets   the segments it may go to; `target_calls` the registers (parameters, arguments) moved on the way
    hot       the compiled function of a label, `label` its number there (kind HOT)
    keys      `opcodes.key_of` its instructions, when somebody asked
    """

    # fmt: off
    __slots__ = ("after", "callee", "code", "cost", "direct", "handlers", "hot", "insts", "keys", "kind", "label",
                 "ops", "payloads", "problem", "results", "target_calls", "targets", "term", "visits", "wires")
    # fmt: on

    def __init__(self, code: Code) -> None:
        self.code = code
        self.ops: list[Op] = []
        self.term: Run = nothing
        self.wires: tuple[Any, ...] = ()
        self.kind = GO
        self.cost = 0
        self.visits = 0
        self.insts: Sequence[Inst] = ()
        self.results: tuple[int, ...] = ()
        self.callee: Code | Libcall | None = None
        self.direct: Code | None = None
        self.after: Segment | None = None
        self.handlers: tuple[tuple[int | None, Segment], ...] = ()
        self.payloads: tuple[int, ...] = ()
        self.targets: list[Segment] = []
        self.target_calls: list[tuple[tuple[int, ...], tuple[int, ...]]] = []
        self.problem = ""
        self.keys: list[str] | None = None
        self.hot: Callable[..., tuple[Segment, object, int]] | None = None
        self.label = 0

    def take_place_of(self, other: Segment) -> None:
        """Become what `other` is, with its own visit counter."""
        for name in (
            "after",
            "callee",
            "cost",
            "direct",
            "handlers",
            "insts",
            "kind",
            "ops",
            "payloads",
            "problem",
            "results",
            "target_calls",
            "targets",
            "term",
            "wires",
        ):
            setattr(self, name, getattr(other, name))


class HotCode:
    """What compiling a function left: the cold twins of its labels, and a counter for each path of segments."""

    __slots__ = ("cold_copies", "counts", "paths")

    def __init__(self) -> None:
        self.cold_copies: dict[Segment, Segment] = {}
        self.paths: list[tuple[Segment, ...]] = []
        self.counts: list[int] = []

    def reset(self) -> None:
        """Begin a run."""
        self.counts[:] = [0] * len(self.counts)
        for cold_copy in self.cold_copies.values():
            cold_copy.visits = 0

    def flush_counts(self) -> None:
        """Move the counts into the segments' visits."""
        for count, path in zip(self.counts, self.paths):
            if count:
                for segment in path:
                    segment.visits += count
        for segment, cold_copy in self.cold_copies.items():
            segment.visits += cold_copy.visits
        self.reset()


def nothing(_r: list[int], _wires: tuple[Any, ...]) -> None:
    """The terminator of a segment that does not get there, or whose compiled function does what it would do."""


class Code:
    """One function. `tail` is the register list after the parameters; `frame` bytes of stack; `sp` the register that
    gets the frame's address, or -1; `copies` are parameters that are structs passed by value: (index, size).
    `ordered` are the operations that depend on the byte order, from this place of a segment's list on: a plain access
    (what `access` needs of it), or an instruction to be translated again."""

    __slots__ = ("address", "align", "copies", "entered", "entry", "frame", "function", "hot", "index", "ordered",
                 "program", "segments", "slots", "sp", "stack_bytes", "tail", "too_large", "translator")  # fmt: skip

    def __init__(self, program: Program, index: int, function: Function) -> None:
        self.program = program
        self.index = index
        self.function = function
        self.address = layout.CODE + index * FUNCTION_STRIDE
        self.tail: list[int] = []
        self.segments: list[Segment] = []
        self.sp = -1
        self.hot: HotCode | None = None
        self.translator: Translator | None = None
        self.ordered: list[tuple[list[Op], int, Inst | AccessKind]] = []
        self.slots: dict[int, int] = {}
        self.frame, self.align, self.stack_bytes = self._lay_out()
        self.copies = [
            (i, int(p.purpose[5:-1])) for i, p in enumerate(function.signature.params) if p.purpose.startswith("sarg(")
        ]
        self.entered = self.too_large = False
        self.entry = Segment(self)
        self.entry.kind = LOWER

    def _lay_out(self) -> tuple[int, int, int]:
        at, align = 0, 16
        for number, slot in self.function.stack_slots.items():
            wanted = max(slot.align, 8)
            at = -(-at // wanted) * wanted
            self.slots[number] = at
            at += slot.size
            align = max(align, wanted)
        return -(-at // 16) * 16 + SMALLEST_FRAME, -align, at

    def release(self) -> None:
        """Break the cycles, so that what was made is gone at once."""
        for segment in (*self.segments, self.entry):
            segment.wires = ()
            segment.targets.clear()
        del self.entry
        self.segments.clear()
        self.ordered.clear()
        self.translator = None
        self.hot = None


class Program:
    """The functions of a module, and what names and addresses mean."""

    def __init__(self, module: Module, big_endian: bool, memory: Memory) -> None:
        self.big_endian = big_endian
        self.memory: Final = memory
        self.codes: Final = [Code(self, i, function) for i, function in enumerate(module.functions)]
        self._by_name: Final = {code.function.name: code for code in self.codes}

    def release(self) -> None:
        """Break the cycles of all functions."""
        for code in self.codes:
            code.release()
        self.codes.clear()
        self._by_name.clear()

    def named(self, name: str) -> Code | Libcall | None:
        """What a function reference means: a function of the module, else a library routine; None: it is missing."""
        return self._by_name.get(name) or (libcall(name[1:]) if name.startswith("%") else None)

    def address_of(self, name: str) -> int:
        """The address of a function, a routine, or of the page that stands for a missing symbol."""
        found = self.named(name)
        if isinstance(found, Code):
            return found.address
        if found is not None:
            return ROUTINES + NAMES.index(found.name) * FUNCTION_STRIDE
        nowhere = layout.address_of_missing(name, self.memory.missing)
        if nowhere is None:
            raise Refusal("more missing symbols than there are addresses for")
        return nowhere

    def at(self, address: int) -> Code | Libcall | None:
        """What is at an address, for indirect calls; Trap if a missing symbol is."""
        if isinstance(self.memory, World):
            name = self.memory.name_at(address)
            found = None if name is None else self.named(name)
            if name is not None and found is None:
                raise missing(name)
            return found
        if self.memory.short and address < 1 << 32:
            address |= ARENA_HALF
        nowhere = layout.missing_at(address, self.memory.missing)
        if nowhere:
            raise missing(nowhere)
        index, odd = divmod(address - layout.CODE, FUNCTION_STRIDE)
        if not odd and 0 <= index < len(self.codes):
            return self.codes[index]
        number, odd = divmod(address - ROUTINES, FUNCTION_STRIDE)
        return libcall(NAMES[number]) if not odd and 0 <= number < len(NAMES) else None


def missing(name: str) -> Exception:
    """What a call of a symbol is that the module does not have."""
    if name[1:] in UNSUPPORTED:
        return Refusal(f"{name} is not interpreted")
    return Trap(f"unresolved {name}")
