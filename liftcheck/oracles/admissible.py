"""What the reference says of one run, and which parts of that CLIF leaves open.

The one idea: CLIF leaves some things to the machine (`interp.worlds`), and a program may let them be seen. So where a
cheap look says that something open can be met, the reference runs in several admissible worlds. What all of them agree
on is closed, and is compared; what differs is open, and no answer is right or wrong. Between two worlds that
differ a bisection over the choices finds one that alone makes the difference: the instruction that opens it.

A run that leaves the meaning of CLIF altogether (a call that does not match its callee, memory that is not the
program's) has no closed part. A part is the way a run ends, a lane of a returned value, a byte of the first region.
Lanes that are a NaN in every world are closed: `compare` admits any NaN there; `nans` marks those whose bits differ,
for a reader who looks at bits.
It does not compare with what machines did (`compare.compare_open`)."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple

from liftcheck import layout
from liftcheck.case import NO_ANSWER, Outcome
from liftcheck.clif.ir import Function, Module
from liftcheck.clif.opcodes import ATOMICS, INDIRECT_CALLS
from liftcheck.clif.text.printer import print_inst
from liftcheck.clif.text.runlines import RunLine
from liftcheck.clif.types import Type
from liftcheck.interp import run
from liftcheck.interp.libcalls import NAMES
from liftcheck.interp.memory import Meaningless, Mismatch, Open
from liftcheck.interp.worlds import TEXTS, Choice, Kind, World, instruction
from liftcheck.nan import CREATES, is_nan
from liftcheck.oracles import compare, places

WORLDS: Final = 8
MANY: Final = 64
"""Worlds to look at, and to look at before anybody is called wrong."""
FUEL: Final = 2_000_000
"""Instructions of a world's run; of what takes longer see `LONG`."""
LONG: Final = 1.0
"""Seconds of processor time that a world of a longer run may take. What takes yet longer is looked at only before
anybody is called wrong, and else said to be `unseen`."""
UNSEEN: Final = "whether CLIF leaves it open was not looked at: the run is too long"
FEW: Final = 4
"""Worlds to look at of a run that does not end."""
_PLACES: Final = frozenset({Kind.SLOT, Kind.FUNCTION})
"""What most programs ask for: if the answers cannot show (`places`), all worlds are as the first."""
PATIENCE: Final = 2.0
"""Seconds of processor time after which no further world is looked at, except for the second."""
_ADDRESSES: Final = frozenset({"stack_addr", "stack_load", "stack_store", "func_addr", "symbol_value", "global_value",
                               "get_stack_pointer", "get_frame_pointer", "get_return_address", "get_pinned_reg",
                               "get_exception_handler_address"})  # fmt: skip
_OPENING: Final = CREATES | _ADDRESSES | ATOMICS | INDIRECT_CALLS
"""Opcodes that may let something open in."""
WILD_ACCESS: Final = "an access that must not trap, and does"
WILD_CALL: Final = "a call of an address where no function is"
LARGE: Final = 1 << 16
"""Bytes of a slot that the runners' stack may lack."""
LEFT_OPEN: Final = "CLIF leaves it open"
WRONG: Final = "the program is wrong"
INCOMPLETE: Final = "the program is not whole"
_KINDS: Final = {WRONG: "a call does not match its callee", INCOMPLETE: "it reaches a symbol that is not in the file"}
_ARITHMETIC: Final = frozenset({"int_divz", "int_ovf", "bad_toint"})


class Opening(NamedTuple):
    """What lets something open in: `what`, and the instruction (`text`, or '') in a function, with its line.
    `head`: whose doing it is; `kind`: without names and places, for counting."""

    what: str
    function: str = ""
    line: int = 0
    text: str = ""
    head: str = LEFT_OPEN

    def __str__(self) -> str:
        if self.head == WRONG:
            what = self.what.removeprefix("the call ")
            return f"{WRONG}: the call in line {self.line} {what} ({self.text})"
        line = f"line {self.line}: " if self.line else ""
        return f"{self.head}: {self.what}" + (f" ({line}{self.text})" if self.text else "")

    @property
    def kind(self) -> str:
        """Without names and places, for counting."""
        return f"{self.head}: {_KINDS.get(self.head, self.what)}"

    def document(self) -> dict[str, object]:
        """For `--json`."""
        return {
            "what": self.what,
            "function": self.function or None,
            "line": self.line or None,
            "instruction": self.text or None,
        }


class Prediction(NamedTuple):
    """The reference's `outcome` and what of it is open: `opening` says what lets it in (None: nothing is open).

    steps    instructions that the reference executed; None if it did not end
    whole    how the run ends is open, and so everything
    values   the open bits of each returned value; `nans` those that are open within NaNs alone
    memory   the open bytes of the first region, as 0 and 1
    looked   whether anything open was met, even if it did not show
    outside  memory was read that is not the program's: the outcome is that of a world, where there are such bytes
    unseen   what is open was not looked at: no world came to its end in time
    meaningless  anything may happen: it is not to be run
    """

    outcome: Outcome
    opening: Opening | None = None
    steps: int | None = None
    whole: bool = False
    values: tuple[int, ...] = ()
    nans: tuple[int, ...] = ()
    memory: bytes = b""
    looked: bool = False
    outside: bool = False
    unseen: bool = False
    meaningless: bool = False


def not_to_run(prediction: Prediction) -> str:
    """Why a run is not to be tried on a runner: it may do anything to the runner. '' if it may be tried."""
    if prediction.outcome.kind == "trapped" and prediction.outcome.detail == "stk_ovf":
        return f"the program needs more stack than there is ({layout.STACK_SIZE >> 20} MiB)"
    return str(prediction.opening) if prediction.meaningless else ""


def judge(prediction: Prediction, actual: Outcome, types: Sequence[Type]) -> compare.Verdict:
    """The verdict on a run that was predicted: the closed parts are compared."""
    opening = prediction.opening
    if opening is None:
        return compare.compare(prediction.outcome, actual, types)
    if prediction.whole:
        return compare.Verdict(compare.UNDECIDED, detail=str(opening))
    return compare.compare_parts(prediction.outcome, actual, types, prediction.values, prediction.memory, str(opening))


def missing(actual: Outcome) -> Opening | None:
    """A run that reached a symbol that is not defined."""
    if actual.kind != "trapped" or not actual.detail.startswith("unresolved "):
        return None
    return Opening(f"it reaches {actual.detail.removeprefix('unresolved ')}, which is not in the file", head=INCOMPLETE)


def meets(line: RunLine, prediction: Prediction, actual: Outcome, own_isa: bool = False) -> bool | None:
    """Whether an outcome is what a run line asks for, by its bits; None if what decides that is open. `own_isa`: the
    file is for this ISA alone, and may ask for the NaN that this one makes: it has it, or it is open."""
    if line.claims_any(prediction.memory):
        return None
    met = line.is_met(actual.kind, actual.values, actual.detail, actual.memory)
    if prediction.whole or actual.kind in NO_ANSWER or (missing(actual) and not line.trap):
        return None
    if (not any(prediction.values) and not any(prediction.nans)) or actual.kind != "returned" or line.trap:
        return met
    if line.comparison == "print":
        return None if any(prediction.values) else met
    for wanted, seen, open_, ty in zip(line.expected, actual.values, prediction.values, line.result_types):
        if not compare.same_value(wanted, seen & ~open_ | wanted & open_, ty):
            return met
    beyond = any(
        (wanted ^ seen) & ~(open_ | nans)
        for wanted, seen, open_, nans in zip(line.expected, actual.values, prediction.values, prediction.nans)
    )
    if beyond and not any(prediction.values):
        return met
    return True if own_isa and met and not any(prediction.values) else None


class _Seen(NamedTuple):
    """A run in one world: the outcome, the address of the access that trapped, and what was asked."""

    outcome: Outcome
    fault: int
    used: dict[Choice, int]


class Reference:
    """One module in one byte order. Runs are predicted one at a time."""

    def __init__(self, module: Module, big_endian: bool) -> None:
        self.module: Final = module
        self._big_endian: Final = big_endian
        self._by_name: Final = {function.name: function for function in module.functions}
        self._prepared: run.Prepared | None = None
        self._world: World | None = None
        self._travelled: run.Prepared | None = None
        self._openers: set[int] | None = None
        self._places_shown: bool | None = None
        self._known: dict[tuple[object, ...], Prediction] = {}

    def may_open(self, entry: int) -> bool:
        """Whether a function, or one that it names, has an instruction that lets something open in."""
        if self._openers is None:
            self._openers = _openers(self.module.functions, self._by_name)
        return entry in self._openers

    def predict(
        self,
        entry: int,
        args: Sequence[int],
        regions: Mapping[int, bytes] | None = None,
        fuel: int = run.DEFAULT_FUEL,
        worlds: int = WORLDS,
    ) -> Prediction:
        """What the reference says of function number `entry`, and what of that is open."""
        if self._prepared is None:
            self._prepared = run.prepare(self.module, self._big_endian)
        key = entry, tuple(args), fuel, worlds
        if regions is None and key in self._known:
            return self._known[key]
        outcome = self._prepared.run(entry, args, regions, fuel)
        steps = self._prepared.stats.instructions if outcome.kind in ("returned", "trapped") else None
        if outcome.kind == "out_of_fuel":
            outcome = outcome._replace(detail=f"{fuel} instructions, see --fuel")
        plain = outcome.kind == "returned" or outcome.detail in _ARITHMETIC
        if (plain or outcome.kind == "out_of_fuel") and not self.may_open(entry):
            found = Prediction(outcome)
        else:
            ends = outcome.kind != "out_of_fuel"
            most = fuel if ends and worlds == MANY else min(fuel, FUEL)
            found = self.openness(entry, args, regions, most, worlds, outcome, fuel if ends else 0)
        if found.outside and self._travelled is not None:
            steps = self._travelled.stats.instructions
        found = found._replace(steps=steps)
        if regions is None:
            self._known[key] = found
        return found

    def openness(
        self,
        entry: int,
        args: Sequence[int],
        regions: Mapping[int, bytes] | None = None,
        fuel: int = run.DEFAULT_FUEL,
        worlds: int = WORLDS,
        outcome: Outcome | None = None,
        most: int = 0,
    ) -> Prediction:
        """What of a run is open. `outcome`: the reference's, if it is known; else the first world's stands for it.
        `most`: a world whose `fuel` does not last may have so much of it, as far as time allows."""
        started = time.process_time()
        travel = self._traveller(entry, args, regions, fuel)
        first = travel(0, {})
        more = min(most, int(fuel * LONG / max(time.process_time() - started, 1e-6)))
        if first.outcome.kind == "out_of_fuel" and more > fuel:
            travel = self._traveller(entry, args, regions, more)
            first = travel(0, {})
        outside = any(choice.kind is Kind.OUTSIDE for choice in first.used)
        outcome = first.outcome if outside or outcome is None else outcome
        if (lost := self._lost(outcome, first)) is not None:
            return lost
        types = tuple(param.type for param in self.module.functions[entry].signature.returns)
        if first.outcome.kind == "out_of_fuel":
            return self._unended(travel, first, outcome, types, started)
        if not first.used:
            return Prediction(outcome)  # no question was asked: every world is this one
        seen = [first]
        kinds = {choice.kind for choice in first.used}
        if worlds < MANY and kinds <= _PLACES and first.outcome.kind == "returned" and not self._shows_places():
            worlds = 1
        while len(seen) < worlds and (len(seen) < 2 or time.process_time() - started < PATIENCE):
            seen.append(travel(len(seen), {}))
            if (lost := self._lost(outcome, seen[-1])) is not None:
                return lost
        found = parts(outcome, seen, types)._replace(outside=outside)
        if found.whole or any(found.values) or any(found.memory):
            opening = self._opening(travel, seen, _differ(types)) or self._first_opening(first)
            return found._replace(opening=opening)
        return found

    def _first_opening(self, seen: _Seen) -> Opening:
        """What was asked for first, where the worlds are all the same and only the reference without any differs."""
        choice, site = next(iter(seen.used.items()))
        return self._at(site, TEXTS[choice.kind])

    def _shows_places(self) -> bool:
        """Whether a run that returns, and for which nothing but places is open, may differ with those."""
        if self._places_shown is None:
            self._places_shown = places.shown(self.module)
        return self._places_shown

    def _unended(
        self,
        travel: Callable[[int, dict[Choice, int]], _Seen],
        first: _Seen,
        outcome: Outcome,
        types: Sequence[Type],
        started: float,
    ) -> Prediction:
        """Of a run whose first world does not end: does another one, then whether it ends is open. Else it is
        unknown: a disagreement is looked at again."""
        seen = [first]
        places = all(choice.kind in (Kind.SLOT, Kind.FUNCTION) for choice in first.used)  # what hardly ends a loop
        while not places and len(seen) < FEW and time.process_time() - started < PATIENCE:
            seen.append(travel(len(seen), {}))
            if (lost := self._lost(outcome, seen[-1])) is not None:
                return lost
            if seen[-1].outcome.kind != "out_of_fuel":
                return Prediction(outcome, self._opening(travel, seen, _differ(types)), whole=True, looked=True)
        return Prediction(outcome, looked=True, unseen=True)

    def opening_of_nan(self, entry: int, args: Sequence[int], regions: Mapping[int, bytes] | None = None) -> Opening:
        """The instruction that makes the bits of a returned NaN."""
        travel = self._traveller(entry, args, regions, run.DEFAULT_FUEL)
        seen = [travel(seed, {}) for seed in range(WORLDS)]
        found = self._opening(travel, seen, lambda a, b: a.outcome.values != b.outcome.values)
        return found or Opening(TEXTS[Kind.NAN])

    def _traveller(
        self, entry: int, args: Sequence[int], regions: Mapping[int, bytes] | None, fuel: int
    ) -> Callable[[int, dict[Choice, int]], _Seen]:
        """Runs in the world of a seed, with other seeds for some choices."""
        if self._world is None or self._travelled is None:
            self._world = World(self.module)
            self._travelled = run.prepare(self.module, self._big_endian, world=self._world)
        world, prepared = self._world, self._travelled

        def travel(seed: int, chosen: dict[Choice, int]) -> _Seen:
            world.choose(seed, chosen)
            outcome = prepared.run(entry, args, regions, fuel)
            told = outcome.kind == "returned" or missing(outcome) is not None
            return _Seen(outcome, -1 if told else world.fault, dict(world.used))

        return travel

    def _lost(self, outcome: Outcome, seen: _Seen) -> Prediction | None:
        """A run that leaves CLIF's meaning, or does what the interpreter lacks."""
        if seen.outcome.kind not in ("unsupported", "crashed"):
            return None
        assert self._world is not None and self._travelled is not None
        if seen.outcome.kind == "crashed":
            what = WILD_CALL if seen.outcome.detail.startswith("call") else WILD_ACCESS
            return Prediction(outcome, self._at(self._world.site, what), whole=True, looked=True, meaningless=True)
        refusal = self._travelled.refusal
        if not isinstance(refusal, Open):
            return Prediction(outcome)
        opening = self._at(self._world.site, str(refusal), WRONG if isinstance(refusal, Mismatch) else LEFT_OPEN)
        return Prediction(outcome, opening, whole=True, looked=True, meaningless=isinstance(refusal, Meaningless))

    def _at(self, site: int, what: str, head: str = LEFT_OPEN) -> Opening:
        found = instruction(self.module, site)
        if found is None:
            return Opening(what, head=head)
        function, inst = found
        return Opening(what, function.name, inst.line, print_inst(inst).strip(), head)

    def _opening(
        self,
        travel: Callable[[int, dict[Choice, int]], _Seen],
        seen: Sequence[_Seen],
        differ: Callable[[_Seen, _Seen], bool],
    ) -> Opening | None:
        """A choice that alone makes two worlds differ."""
        other = next((seed for seed, one in enumerate(seen) if differ(seen[0], one)), None)
        if other is None:
            return None
        choices = list(dict.fromkeys([*seen[0].used, *seen[other].used]))
        equal, differs, last = 0, len(choices), seen[other]
        while differs - equal > 1:
            middle = (equal + differs) // 2
            tried = travel(0, dict.fromkeys(choices[:middle], other))
            if differ(seen[0], tried):
                differs, last = middle, tried
            else:
                equal = middle
        choice = choices[differs - 1]
        what = TEXTS[choice.kind]
        return self._at(last.used.get(choice, seen[0].used.get(choice, -1)), what)


def _openers(functions: Sequence[Function], by_name: Mapping[str, Function]) -> set[int]:
    """The numbers of the functions that may let something open in, themselves or by what they name: all at once, as
    files have chains of calls that are as long as they are."""
    named_by: dict[str, list[int]] = {}
    found = set()
    for number, function in enumerate(functions):
        for ref in function.func_refs.values():
            named_by.setdefault(ref.name, []).append(number)
        if _opens(function) or _is_mismatched(function, by_name):
            found.add(number)
    todo = list(found)
    while todo:
        function = functions[todo.pop()]
        if by_name[function.name] is function:
            new = set(named_by.pop(function.name, ())) - found
            found |= new
            todo += new
    return found


def _opens(function: Function) -> bool:
    if any(ref.name[1:] in NAMES for ref in function.func_refs.values()):
        return True
    if any(slot.size > LARGE for slot in function.stack_slots.values()):
        return True
    return any(
        inst.op in _OPENING or inst.flags.aligned or inst.flags.trap == ""
        for block in function.blocks
        for inst in block.insts
    )


def _is_mismatched(function: Function, by_name: Mapping[str, Function]) -> bool:
    """Whether a signature under which a function names another is not that one's own."""
    return any(
        ref.name in by_name and by_name[ref.name].signature != function.signatures[ref.sig]
        for ref in function.func_refs.values()
    )


def _differ(types: Sequence[Type]) -> Callable[[_Seen, _Seen], bool]:
    """Whether two worlds' runs differ where that matters."""

    def differ(left: _Seen, right: _Seen) -> bool:
        found = parts(left.outcome, (left, right), types)
        return found.whole or any(found.values) or any(found.memory)

    return differ


def parts(outcome: Outcome, seen: Sequence[_Seen], types: Sequence[Type]) -> Prediction:
    """What of an outcome differs between worlds; `opening` is not looked for."""
    ends = {(one.outcome.kind, one.outcome.detail, one.fault, len(one.outcome.values)) for one in seen}
    if len(ends) > 1 or (seen[0].outcome.kind, seen[0].outcome.detail) != (outcome.kind, outcome.detail):
        return Prediction(outcome, whole=True, looked=True)
    masks = (
        [_open_bits([outcome.values[i], *(one.outcome.values[i] for one in seen)], ty) for i, ty in enumerate(types)]
        if outcome.kind == "returned"
        else []
    )
    memories = [outcome.memory, *(one.outcome.memory for one in seen)]
    memory = (
        b""
        if memories.count(memories[0]) == len(memories)
        else bytes(len(set(column)) > 1 for column in zip(*memories))
    )
    return Prediction(
        outcome, values=tuple(m[0] for m in masks), nans=tuple(m[1] for m in masks), memory=memory, looked=True
    )


def _open_bits(values: Sequence[int], ty: Type) -> tuple[int, int]:
    """The lanes in which values differ: all bits of those, apart the ones that are always a NaN."""
    width, mask = ty.lane_bits, ty.lane_mask
    open_, nans = 0, 0
    if values.count(values[0]) == len(values):
        return 0, 0
    for at in range(0, ty.bits, width):
        lanes = {value >> at & mask for value in values}
        if len(lanes) > 1 and ty.is_float and all(is_nan(lane, width) for lane in lanes):
            nans |= mask << at
        elif len(lanes) > 1:
            open_ |= mask << at
    return open_, nans
