"""A lifted function on inputs: which path it takes, what it returns and leaves in memory.

The one idea: a state gives every variable of the terms a number; the conditions of exactly one end hold there, and its
terms say the outcome. A call is made when somebody first asks what it gave or left in memory, by whoever has the
functions (`Callees`). What a convention or a manual leaves open (`noise…`, registers, `undefined…`, memory that was
never written) is drawn by a salt, so an outcome that depends on it differs between salts; that it must not is the
caller's to ask (`SALTS`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple, Protocol
from zlib import crc32

from liftcheck.bits.term import Term
from liftcheck.bits.values import Values
from liftcheck.case import Outcome
from liftcheck.mach.lift_memory import DATA, Memory, Undecided
from liftcheck.mach.lift_paths import Called, End, Lifted
from liftcheck.oracles.lifting.calls import REACHES
from liftcheck.oracles.lifting.signature import Side, arguments, extended

SALTS: Final = (0, 1, 2)
"""All zeros, all ones, bits that look like chance."""
_FIXED: Final = {"frm": 0, "fpcr": 0, "vl": 0, "vtype": 0}
"""Modes as functions are entered with them."""
_STACK: Final = 0x2_1290_0000
_CODE: Final = 0x2_1000_0000
_SYMBOLS: Final = 0x2_1040_0000
_CHANCE: Final = 0x9E3779B97F4A7C15F39CC0605CEDC834


class Result(NamedTuple):
    """What came of a run: 'returned' with `values`, 'trapped' or 'undecided' with a detail, 'broken' with the rule of
    the convention that a call breaks, 'none' or 'several' if not exactly one path is taken. `changed`: bytes of data
    that were stored, by address."""

    kind: str
    values: tuple[int | None, ...] = ()
    detail: str = ""
    changed: Mapping[int, int] = {}


class Callees(Protocol):
    """The functions that may be called."""

    def address_of(self, name: str) -> int:
        """Where one is."""
        ...

    def call(self, address: int, args: Sequence[int], regions: Mapping[int, bytes]) -> Outcome:
        """Calls the one at an address; `Undecided` if there is none."""
        ...


def execute(
    lifted: Lifted,
    side: Side,
    inputs: Sequence[int],
    regions: Mapping[int, bytes] | None = None,
    salt: int = 0,
    callees: Callees | None = None,
) -> Result:
    """The outcome for some arguments, with data at some addresses."""
    state = _State(lifted, side, inputs, regions or {}, salt, callees)
    try:
        return state.result()
    except _Stopped as stopped:
        return stopped.result


class _Stopped(Exception):
    """The run ends within a call."""

    def __init__(self, result: Result) -> None:
        super().__init__()
        self.result = result


class _State:
    def __init__(
        self,
        lifted: Lifted,
        side: Side,
        inputs: Sequence[int],
        regions: Mapping[int, bytes],
        salt: int,
        callees: Callees | None,
    ) -> None:
        self.lifted, self.side, self.salt, self.callees = lifted, side, salt, callees
        self.given = dict(zip(arguments(side.signature), inputs, strict=True))
        self.order: Final = "big" if lifted.big else "little"
        self.regions = regions
        self._begin(())

    def _begin(self, calls: Sequence[Called]) -> None:
        """A path that has these calls, none of which is made yet; `contents[n]` is data after n of them."""
        self.values = Values(self.variable)
        self.calls = calls
        self.contents = [self.regions]
        self.results: dict[Term, int] = {}

    def variable(self, v: Term) -> int:
        """A variable's number."""
        if v in self.given:
            return self.given[v]
        name = str(v.params[0])
        read = self.lifted.reads.of.get(v)
        if read is not None:
            self._make_calls(read.calls)
            return self.memory(self.values(read.address), read.size, self.contents[read.calls])
        if name in _FIXED:
            return _FIXED[name]
        if name.startswith("call"):
            self._make_calls(1 + next(n for n, one in enumerate(self.calls) if v in one.results))
            return self.results[v]
        if name.startswith("symbol ") and self.callees is not None:
            return self.callees.address_of(name.removeprefix("symbol "))
        if name == "stack":
            return _STACK >> 4
        if name == "code":
            return _CODE >> 1
        if name.startswith(("symbol ", "slot ", "area", "copy", "return")):
            return (_SYMBOLS + (hash_of(name) % 0x1000 << 8)) & (1 << v.bits) - 1
        return self.drawn(name, v.bits)

    def drawn(self, name: str, width: int) -> int:
        """What is open."""
        if self.salt < 2:
            return -self.salt & (1 << width) - 1
        return _CHANCE * (2 * hash_of(name) + 1) & (1 << width) - 1

    def memory(self, address: int | None, size: int, regions: Mapping[int, bytes]) -> int:
        """Memory that nobody has stored to; what is in no region is open, byte by byte."""
        if address is None:
            return 0
        found = bytes(self._byte(address + k & (1 << 64) - 1, regions) for k in range(size))
        return int.from_bytes(found, self.order)

    def _byte(self, address: int, regions: Mapping[int, bytes]) -> int:
        for base, content in regions.items():
            if 0 <= address - base < len(content):
                return content[address - base]
        return self.drawn(f"byte {address}", 8)

    def result(self) -> Result:
        taken = [end for end in self.lifted.ends if self._takes(end)]
        if len(taken) != 1:
            return Result("several" if taken else "none")
        (end,) = taken
        self._takes(end)
        if end.kind in ("undecided", "open"):
            return Result("undecided", (), end.detail)
        self._make_calls(len(end.calls))
        if not all(map(self.values, end.in_slots)):
            return Result("broken", (), "an access in the frame outside of the stack slots")
        fault = self._fault(len(end.calls))
        if fault is not None:
            return Result("trapped", (), fault, {})
        if end.kind == "trapped":
            return Result("trapped", (), end.detail, self._changed(end.memory))
        values = tuple(self.values(term) for term in self.side.results(end))
        return Result("returned", values, "", self._changed(end.memory))

    def _takes(self, end: End) -> bool:
        """Whether a path is taken; its calls are the ones that terms mean from now on."""
        self.accesses = end.accesses
        if end.calls is not self.calls and (end.calls or self.calls):
            self._begin(end.calls)
        return all(self.values(c) for c in end.conditions)

    def _make_calls(self, count: int) -> None:
        """The first so many calls of the path."""
        while len(self.contents) <= count:
            number = len(self.contents) - 1
            fault = self._fault(number)
            if fault is not None:
                raise _Stopped(Result("trapped", (), fault))
            self._call(self.calls[number])

    def _call(self, one: Called) -> None:
        if one.reached:
            raise Undecided(REACHES)
        address, regions = self.values(one.target), self._regions(one.memory)
        if self.callees is None or address is None:
            raise Undecided("a call")
        outcome = self.callees.call(address, self._arguments(one), regions)
        if outcome.kind == "trapped":
            raise _Stopped(Result("trapped", (), outcome.detail, _differing(self.regions, _after(regions, outcome))))
        if outcome.kind != "returned":
            raise Undecided(f"a call that does not return: {outcome.kind}")
        self.results.update(zip(one.results, outcome.values, strict=True))
        self.contents.append(_after(regions, outcome))

    def _arguments(self, one: Called) -> list[int]:
        found = []
        for term, param in zip(one.arguments, one.signature.params):
            number, width = self.values(term), param.type.bits
            if number is None:
                raise Undecided("an argument without a value")
            narrow = number & (1 << width) - 1
            if term.bits > width and number != extended(narrow, width, param.extension):
                raise _Stopped(Result("broken", (), "an argument is not extended"))
            found.append(narrow)
        return found

    def _regions(self, memory: Memory) -> dict[int, bytes]:
        """Data as the last call that was made has left it, with what was stored since."""
        regions = {base: bytearray(content) for base, content in self.contents[-1].items()}
        for address, byte in self._stored(memory).items():
            for base, content in regions.items():
                if 0 <= address - base < len(content):
                    content[address - base] = byte
        return {base: bytes(content) for base, content in regions.items()}

    def _fault(self, calls: int) -> str | None:
        """The trap code of the first access outside of the regions up to call number `calls`; None: there is none."""
        for one in self.accesses:
            if one.calls > calls:
                break
            at = self.values(one.address)
            if at is None or not self.values(one.when):
                continue
            if not any(base <= at and at + one.size <= base + len(data) for base, data in self.regions.items()):
                return one.trap or "outside"
        return None

    def _changed(self, memory: Memory) -> dict[int, int]:
        return _differing(self.regions, self.contents[-1]) | self._stored(memory)

    def _stored(self, memory: Memory) -> dict[int, int]:
        """What was stored since the last call, byte by byte."""
        found: dict[int, int] = {}
        area = memory.areas.get(DATA)
        for made in area.stores if area is not None else ():
            base, value = self.values(made.base), self.values(made.value)
            if base is None or value is None or not self.values(made.when):
                continue
            content = value.to_bytes(made.size, self.order)
            found |= {base + made.offset + k & (1 << 64) - 1: byte for k, byte in enumerate(content)}
        return found


def _after(regions: Mapping[int, bytes], outcome: Outcome) -> dict[int, bytes]:
    """Data after a callee, which has the first region."""
    first = next(iter(regions), None)
    return {base: outcome.memory if base == first else content for base, content in regions.items()}


def _differing(before: Mapping[int, bytes], after: Mapping[int, bytes]) -> dict[int, int]:
    """The bytes that are others now."""
    return {
        base + k: new
        for base, content in after.items()
        for k, (old, new) in enumerate(zip(before[base], content))
        if old != new
    }


def hash_of(name: str) -> int:
    """A number that is the same in every process."""
    return crc32(name.encode())
