"""A lifted function on inputs: which path it takes, what it returns and leaves in memory.

The one idea: a state gives every variable of the terms a number; the conditions of exactly one end hold there, and its
terms say the outcome. What a convention or a manual leaves open (`noise…`, registers, `undefined…`, memory that was
never written) is drawn by a salt, so an outcome that depends on it differs between salts; that it must not is the
caller's to ask (`SALTS`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple
from zlib import crc32

from liftcheck.bits.term import Term
from liftcheck.bits.values import Values
from liftcheck.mach.lift_memory import DATA
from liftcheck.mach.lift_paths import End, Lifted
from liftcheck.oracles.lifting.signature import Boundary, arguments

SALTS: Final = (0, 1, 2)
"""All zeros, all ones, bits that look like chance."""
_FIXED: Final = {"frm": 0, "fpcr": 0, "vl": 0, "vtype": 0}
"""Modes as functions are entered with them."""
_STACK: Final = 0x2_1290_0000
_CODE: Final = 0x2_1000_0000
_SYMBOLS: Final = 0x2_1040_0000
_CHANCE: Final = 0x9E3779B97F4A7C15F39CC0605CEDC834


class Result(NamedTuple):
    """What came of a run: 'returned' with `values`, 'trapped' or 'undecided' with a detail, 'none' or 'several' if not
    exactly one path is taken. `changed`: bytes of data that were stored, by address."""

    kind: str
    values: tuple[int | None, ...] = ()
    detail: str = ""
    changed: Mapping[int, int] = {}


def execute(
    lifted: Lifted, boundary: Boundary, inputs: Sequence[int], regions: Mapping[int, bytes] | None = None, salt: int = 0
) -> Result:
    """The outcome for some arguments, with data at some addresses."""
    return _State(lifted, boundary, inputs, regions or {}, salt).result()


class _State:
    def __init__(
        self, lifted: Lifted, boundary: Boundary, inputs: Sequence[int], regions: Mapping[int, bytes], salt: int
    ) -> None:
        self.lifted, self.boundary, self.salt = lifted, boundary, salt
        self.regions = regions
        self.given = dict(zip(arguments(boundary.signature), inputs, strict=True))
        self.order: Final = "big" if self._big() else "little"
        self.values = Values(self.variable)

    def _big(self) -> bool:
        return self.lifted.code is not None and self.lifted.code.big

    def variable(self, v: Term) -> int:
        """A variable's number."""
        if v in self.given:
            return self.given[v]
        name = str(v.params[0])
        read = self.lifted.reads.of.get(v)
        if read is not None:
            return self.memory(self.values(read.address), read.size)
        if name in _FIXED:
            return _FIXED[name]
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

    def memory(self, address: int | None, size: int) -> int:
        """Initial memory; what is in no region is open, byte by byte."""
        if address is None:
            return 0
        found = bytes(self._byte(address + k & (1 << 64) - 1) for k in range(size))
        return int.from_bytes(found, "big" if self.order == "big" else "little")

    def _byte(self, address: int) -> int:
        for base, content in self.regions.items():
            if 0 <= address - base < len(content):
                return content[address - base]
        return self.drawn(f"byte {address}", 8)

    def result(self) -> Result:
        taken = [end for end in self.lifted.ends if all(self.values(c) for c in end.conditions)]
        if len(taken) != 1:
            return Result("several" if taken else "none")
        (end,) = taken
        if end.kind == "undecided":
            return Result("undecided", (), end.detail)
        fault = self._fault(end)
        if fault is not None:
            return Result("trapped", (), fault, {})
        if end.kind == "trapped":
            return Result("trapped", (), end.detail, self._changed(end))
        values = tuple(self.values(term) for term in self.boundary.results(end))
        return Result("returned", values, "", self._changed(end))

    def _fault(self, end: End) -> str | None:
        """The trap code of the first access outside of the regions; None if there is none."""
        for address, size, code, _, when in end.accesses:
            at = self.values(address)
            if at is None or not self.values(when):
                continue
            if not any(base <= at and at + size <= base + len(content) for base, content in self.regions.items()):
                return code or "outside"
        return None

    def _changed(self, end: End) -> dict[int, int]:
        found: dict[int, int] = {}
        area = end.memory.areas.get(DATA)
        for made in area.stores if area is not None else ():
            base, value = self.values(made.base), self.values(made.value)
            if base is None or value is None or not self.values(made.when):
                continue
            content = value.to_bytes(made.size, "big" if self.order == "big" else "little")
            found |= {base + made.offset + k & (1 << 64) - 1: byte for k, byte in enumerate(content)}
        return found


def hash_of(name: str) -> int:
    """A number that is the same in every process."""
    return crc32(name.encode())
