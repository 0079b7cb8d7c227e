"""The reference interpreter: `prepare(module)` once, `Prepared.run(entry, args, regions)` for every input.

The one idea: two tiers over the same recipes. Closures run at about 0.1 µs an instruction and cost nothing to make;
a function one of whose segments was visited often is turned into Python source (`compiled`) that runs
several times as fast and hands back to the closures at calls, returns and when fuel gets low. Both tiers give the same
outcomes, which the tests hold. Calls use a list of frames, so depth is bounded by the stack area alone, and tail calls
by nothing.

Outcomes: 'returned', 'trapped' (detail: the trap code), 'crashed' (a fault on a `notrap` access, in a library routine,
a call to nowhere), 'out_of_fuel', 'unsupported' (what CLIF leaves open, or what is refused by name). The outcome's
memory is the first region's. `try_call` takes its normal edge unless the routine of upstream's harness throws.
What is not here: threads, thread-local storage, stack switching.
Sources: cranelift-codegen-meta's documentation of each instruction; docs/architecture.md for the contract.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, Final, NamedTuple

from liftcheck import layout
from liftcheck.bits.concrete import Trap
from liftcheck.case import Outcome, OutcomeKind
from liftcheck.clif.ir import Inst, Module
from liftcheck.clif.opcodes import FREE_OPERAND, key_of
from liftcheck.clif.types import Type
from liftcheck.interp import compiled
from liftcheck.interp.code import CALL, GO, HOT, INDIRECT, LOWER, RETURN, TAIL_INDIRECT, Code, Program, Segment, missing
from liftcheck.interp.libcalls import UNHANDLED, WALK, Libcall, Thrown
from liftcheck.interp.memory import STACK_TOP, Crash, Meaningless, Memory, Mismatch, Refusal
from liftcheck.interp.translate import mismatch, set_byte_order, translate
from liftcheck.interp.world_steps import WorldTranslator
from liftcheck.interp.worlds import World

DEFAULT_FUEL: Final = 4_000_000
"""Instructions after which a run counts as endless: half a second of closures."""
SLICE: Final = 20_000
"""Instructions between two looks at what has become hot."""
HOT_AFTER: Final = 2_000
"""Visits of one segment that make its function hot."""


class OutOfFuel(Exception):
    """The run used up its fuel."""


class Stats(NamedTuple):
    """What the last run did. `executed` counts `opcodes.key_of` keys; of the path on which a compiled function stopped
    nothing is counted. `looped` misses a loop only if another call of the same function skipped it."""

    looped: bool
    called: bool
    instructions: int
    executed: Counter[str]


def prepare(
    module: Module, big_endian: bool = False, hot_after: int | None = HOT_AFTER, world: World | None = None
) -> Prepared:
    """Make a module ready to run. `hot_after`: visits that make a function hot, None: never, 0: at once. `world`: who
    chooses what CLIF leaves open, and notes it (without: one way for all, quickly)."""
    return Prepared(module, big_endian, hot_after, world)


class Prepared:
    """A module ready to run. Not reentrant; every run starts from fresh memory."""

    def __init__(self, module: Module, big_endian: bool, hot_after: int | None, world: World | None = None) -> None:
        self.module: Final = module
        self._world: Final = world
        self._memory: Final = Memory() if world is None else world
        self._program: Final = Program(module, big_endian, self._memory)
        self._hot_after: Final = hot_after
        self._rest = 0
        self._entry: Code | None = None
        self._entered: Final[list[Code]] = []
        """The functions that the last run entered: a module may have many that it does not."""
        self._slices: Final = 1 + sum(len(function.blocks) for function in module.functions) // SLICE
        """So many slices lie between two looks at what is hot: a look costs time for each block."""
        self._until_look = 0
        self.refusal: Refusal | None = None
        self._stopped: tuple[Segment, tuple[Any, ...] | None] | None = None
        self._stats: Stats | None = None

    def run(
        self, entry: int, args: Sequence[int], regions: Mapping[int, bytes] | None = None, fuel: int = DEFAULT_FUEL
    ) -> Outcome:
        """Run function number `entry` of the module."""
        code = self._entry = self._program.codes[entry]
        memory = self._memory
        memory.reset(regions or {})
        self._stopped = None
        self._stats = None
        self.refusal = None
        self._rest = rest = fuel - SLICE if fuel > SLICE else 0
        self._until_look = self._slices
        for other in self._entered:
            other.entered = False
            for segment in other.segments:
                segment.visits = 0
            if other.hot is not None:
                other.hot.reset()
        self._entered.clear()
        values: tuple[int, ...] = ()
        kind: OutcomeKind = "returned"
        detail = ""
        try:
            values = tuple(map(int, self._execute(code, list(args), fuel - rest)))
        except Trap as trap:
            kind, detail = "trapped", trap.code
        except Crash as crash:
            kind, detail = "crashed", str(crash)
        except Refusal as refusal:
            kind, detail, self.refusal = "unsupported", str(refusal), refusal
        except OutOfFuel:
            kind = "out_of_fuel"
        return Outcome(kind, values, memory.content() if regions else b"", detail)

    def poison_stack(self, garbage: int) -> None:
        """From now on stack slots begin as bytes of this value: a program whose outcome changes reads the unwritten."""
        self._memory.garbage = garbage

    def set_byte_order(self, big_endian: bool) -> bool:
        """Go over to the other byte order, at a part of what preparing costs; False if a function has become hot: then
        only preparing anew helps."""
        program = self._program
        if any(code.hot is not None for code in program.codes):
            return False
        program.big_endian = big_endian
        for code in program.codes:
            set_byte_order(code, big_endian)
        return True

    def release(self) -> None:
        """Give memory back at once, not when garbage is collected. It cannot run again."""
        self._program.release()

    def address_of(self, name: str) -> int:
        """The address of a function, a routine or a symbol, as programs see it."""
        return self._program.address_of(name)

    @property
    def stats(self) -> Stats:
        """What the last run did; worked out when asked."""
        if self._stats is None:
            self._stats = self._counted()
        return self._stats

    def _counted(self) -> Stats:
        once: list[str] = []
        often: dict[str, int] = {}
        looped = called = False
        instructions = 0
        for code in self._entered:
            if code.hot is not None:
                code.hot.flush_counts()
            most = 0
            for segment in code.segments:
                visits = segment.visits
                if not visits:
                    continue
                most = max(most, visits)
                instructions += visits * len(segment.insts)
                if visits == 1:
                    once += _keys(segment)
                    continue
                for key in _keys(segment):
                    often[key] = often.get(key, 0) + visits
            if most:
                called |= code is not self._entry
                looped |= most > code.entry.visits
        executed = Counter(once)
        executed.update(often)
        if self._stopped is not None:
            missed = _not_reached(*self._stopped)
            instructions -= len(missed)
            executed.subtract(missed)
            executed += Counter()
        return Stats(looped, called, instructions, executed)

    def _execute(self, code: Code, args: list[int], fuel: int) -> Sequence[int]:
        """The loop. `r` are the registers of the frame on top, `sp` its lowest address."""
        memory = self._memory
        frames: list[tuple[list[int], Segment, int]] = []
        operands: tuple[Any, ...] | None = None
        r, sp = self._enter(code, args, STACK_TOP)
        segment = code.entry
        try:
            while True:
                cost = segment.cost
                fuel -= cost
                if fuel < 0:
                    fuel = self._refill(fuel)
                    if segment.kind == HOT:
                        fuel += cost
                segment.visits += 1
                for op, operands in segment.ops:
                    op(r, operands)
                value: Any = segment.term(r, segment.wires)
                kind = segment.kind
                if kind == HOT:
                    segment.visits -= 1
                    operands = None
                    segment, value, fuel = segment.hot(r, segment.label, fuel + self._rest, memory)  # type: ignore[misc]
                    self._rest = max(0, fuel - SLICE)
                    fuel -= self._rest
                    kind = segment.kind
                if kind == GO:
                    segment = value
                elif kind == RETURN:
                    if not frames:
                        return value  # type: ignore[no-any-return]
                    r, segment, sp = frames.pop()
                    if self._world is not None:
                        self._world.leave(sp)
                    segment = _resume(r, segment, value)
                elif kind == LOWER:
                    segment.visits = 0
                    self._translate(code := segment.code, r, sp)
                    segment = code.entry
                elif kind == CALL and segment.direct is not None:
                    frames.append((r, segment, sp))
                    r, sp = self._enter(code := segment.direct, value, sp)
                    segment = code.entry
                else:
                    callee, value = self._called(segment, value)
                    if isinstance(callee, Libcall):
                        try:
                            segment = _resume(r, segment, callee.run(memory, value))
                        except Thrown as thrown:
                            r, segment, sp = self._caught(frames, thrown, sp)
                        continue
                    if kind <= INDIRECT:
                        frames.append((r, segment, sp))
                        r, sp = self._enter(callee, value, sp)
                    else:
                        below = frames[-1][2] if frames else STACK_TOP
                        if self._world is not None:
                            self._world.leave(below)
                        r, sp = self._enter(callee, value, below)
                    segment = callee.entry
        except (Trap, Crash, Refusal):
            self._stopped = segment, operands
            raise

    def _enter(self, code: Code, args: list[int], below: int) -> tuple[list[int], int]:
        """The registers and the frame of a call; `below` is the lowest address in use."""
        if not code.entered:
            code.entered = True
            self._entered.append(code)
        if code.copies:
            below = self._copy_structs(code, args, below)
        sp = (below - code.frame) & code.align
        if sp < layout.STACK:
            raise Trap("stk_ovf")
        r = args + code.tail
        if code.sp >= 0:
            self._memory.enter(sp, code.stack_bytes)
            r[code.sp] = sp
        return r, sp

    def _copy_structs(self, code: Code, args: list[int], below: int) -> int:
        for index, size in code.copies:
            content = self._memory.read(args[index], size, "")
            below = (below - size) & -16
            if below < layout.STACK:
                raise Trap("stk_ovf")
            args[index] = self._memory.copy_in(below, content)
        return below

    def _translate(self, code: Code, r: list[int], sp: int) -> None:
        """Translate a function at its first entry, and complete the registers that were made without knowing it."""
        translate(code)
        r.extend(code.tail)
        if code.sp >= 0:
            self._memory.enter(sp, code.stack_bytes)
            r[code.sp] = sp
        if self._hot_after == 0:
            compiled.compile_hot(code)

    def _caught(
        self, frames: list[tuple[list[int], Segment, int]], thrown: Thrown, sp: int
    ) -> tuple[list[int], Segment, int]:
        """Where an exception goes on that the frame at `sp` throws: the innermost frame that has a handler for it,
        which becomes the one on top."""
        world = self._world
        if world is not None and world.frame_pointer(sp) != thrown.exit:
            raise Meaningless(WALK)
        while frames:
            r, segment, sp = frames.pop()
            pointer = sp + segment.code.frame if world is None else world.frame_pointer(sp)
            if world is not None:
                world.leave(sp)
            if pointer == thrown.entry:
                raise Trap(UNHANDLED)
            for tag, handler in segment.handlers:
                if tag is None or tag == thrown.tag:
                    for register, payload in zip(segment.payloads, thrown.payloads):
                        r[register] = payload
                    return r, handler, sp
        raise Trap(UNHANDLED) if world is None else Meaningless(WALK)

    def _called(self, segment: Segment, value: list[int]) -> tuple[Code | Libcall, list[int]]:
        """Whom a call calls, and with what."""
        callee, problem = segment.callee, segment.problem
        translator = segment.code.translator
        if isinstance(translator, WorldTranslator):  # a routine asks, and so does a struct that is copied
            translator.mark(segment.insts[-1])
        if segment.kind in (INDIRECT, TAIL_INDIRECT):
            callee = self._program.at(value[0])
            if callee is None:
                raise Crash(f"call of address {value[0]:#x}, where no function is")
            inst, value = segment.insts[-1], value[1:]
            number = inst.table.sig if inst.table is not None else inst.imm
            problem = mismatch(callee, segment.code.function.signatures[number])  # type: ignore[index]
        if problem:
            raise Mismatch(problem)
        if callee is None:
            raise missing(segment.code.function.func_refs[segment.insts[-1].imm].name)  # type: ignore[index]
        if isinstance(callee, Libcall) and segment.after is None:
            raise Refusal(f"tail call of {callee.name}: no convention of a routine allows it")
        return callee, value

    def _refill(self, fuel: int) -> int:
        """The next slice of fuel, after a look at what is hot."""
        self._until_look -= 1
        if self._hot_after is not None and not self._until_look:
            self._until_look = self._slices
            for code in self._entered:
                if any(s.visits > self._hot_after for s in code.segments):
                    compiled.compile_hot(code)
        while fuel < 0 and self._rest:
            take = min(SLICE, self._rest)
            self._rest -= take
            fuel += take
        if fuel < 0:
            raise OutOfFuel
        return fuel


def _keys(segment: Segment) -> list[str]:
    if segment.keys is None:
        segment.keys = _keys_of(segment.insts, segment.code.function.types)
    return segment.keys


def _keys_of(insts: Sequence[Inst], types: Mapping[int, Type]) -> list[str]:
    """`opcodes.key_of` every instruction."""
    return [
        _key(inst.op, inst.type, None if (place := FREE_OPERAND[inst.op]) is None else types[inst.args[place]])
        for inst in insts
    ]


@cache
def _key(op: str, ty: Type | None, operand: Type | None) -> str:
    """The key, the same object each time: to count it, its hash need not be computed."""
    return key_of(Inst(op, ty, args=(0,) * 3), {} if operand is None else {0: operand})


def _resume(r: list[int], segment: Segment, results: Sequence[int]) -> Segment:
    """Take a call's results; where it goes on."""
    for register, result in zip(segment.results, results):
        r[register] = result
    assert segment.after is not None
    return segment.after


def _not_reached(segment: Segment, operands: tuple[Any, ...] | None) -> list[str]:
    """The keys of the instructions after the one that stopped the run, which had these very operands (constants count
    as reached)."""
    left = next((at for at, op in enumerate(segment.ops, 1) if op[1] is operands), None)
    if left is None:
        return []
    translator = segment.code.translator
    assert translator is not None
    for at, inst in enumerate(segment.insts[:-1]):
        left -= len(translator.translate(inst))
        if left <= 0:
            return _keys_of(segment.insts[at + 1 :], translator.types)
    return []
