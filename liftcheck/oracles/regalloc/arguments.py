"""How many bytes of arguments a `tail` function is handed on the stack, and takes away.

The one idea: the convention is Cranelift's own, so it is stated here once, as a walk over a signature with the numbers
of registers that an ISA's row gives (`isa.abi.Passing`), and not read off code. Other conventions' callees take nothing
away; where their arguments lie is not asked.

Sources: cranelift-codegen 0.135, `compute_arg_locs` of isa/*/abi.rs, and `SigSet::from_func_sig` of machinst/abi.rs (an
area for results is an argument); 0.130 has the same for `tail`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cache
from typing import Final

from liftcheck.clif.ir import Signature
from liftcheck.clif.types import Type
from liftcheck.isa.abi import COPIED, PAIR, Passing, abi_named

_INT, _FLOAT, _VECTOR = range(3)
_STACK: Final = -1
"""Class of what is never in a register."""
_WORD: Final = 8


@cache
def stack_bytes(isa: str, signature: Signature) -> int | None:
    """Bytes of stack arguments of a function of this signature by `tail`; None if that is not known."""
    passing = abi_named(isa).passing
    params, returns = signature.params, [result.type for result in signature.returns]
    if passing is None or any(p.type.bits > passing.widest for p in params):
        return None
    taken = int(passing.area and bool(_Walk(passing, passing.results).over(returns, returning=True)))
    walk = _Walk(passing, passing.arguments, taken)
    for param in params:
        if param.purpose.startswith("sarg("):
            walk.top += int(param.purpose[5:-1])
        else:
            walk.over([param.type])
    return walk.end()


class _Walk:
    """Where the next argument goes."""

    def __init__(self, passing: Passing, registers: tuple[int, int, int], taken: int = 0) -> None:
        self.passing: Final = passing
        self.registers: Final = registers
        self.next: Final = [taken, 0, 0]
        self.top = self.copies = 0

    def over(self, types: Iterable[Type], *, returning: bool = False) -> int:
        """Take these, and say how many bytes lie on the stack now. Results that are copied are never in registers."""
        for ty in types:
            parts = list(self._parts(ty, returning))
            pair = len(parts) == 2 and self.passing.i128 == PAIR
            if pair and self.registers[_INT] - self.next[_INT] >= 2:
                self.next[_INT] += 2 + self.next[_INT] % 2  # from an even number on
                continue
            for cls, size in [(_STACK, 16)] if pair else parts:
                self._take(cls, size)
        return self.top

    def _take(self, cls: int, size: int) -> None:
        if cls != _STACK and self.next[cls] < self.registers[cls]:
            self.next[cls] += 1
            return
        size = max(size, _WORD)
        align = min(size, self.passing.most_aligned)
        self.top = -(-self.top // align) * align + size

    def _parts(self, ty: Type, returning: bool) -> Iterator[tuple[int, int]]:
        """The register class and the bytes of each part of a value."""
        rule = self.passing
        if ty.is_vector:
            how = rule.vectors if ty.bits == 128 or not rule.whole_vectors else COPIED
        else:
            how = {"i128": rule.i128, "f128": rule.f128}.get(ty.name, "float" if ty.is_float else "int")
        if how == COPIED:
            self.copies += ty.bytes
            yield (_STACK if returning else _INT), _WORD
        elif how in ("float", "vector", "stack"):
            yield {"float": _FLOAT, "vector": _VECTOR, "stack": _STACK}[how], ty.bytes
        elif how == "int":
            yield _INT, ty.bytes
        else:
            yield from ((_INT, _WORD), (_INT, _WORD))

    def end(self) -> int:
        """How many bytes there are in all."""
        unit = self.passing.unit
        top = -(-self.top // unit) * unit + self.copies
        return top + self.passing.behind if top else 0
