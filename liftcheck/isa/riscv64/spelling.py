"""riscv64's instructions as readers of the compiler's texts have them: one name each, operands in the encoding's order.

The one idea: aliases and compressed instructions are spelt as what they stand for, registers by their numbers (x10, f8,
v3), a base before its distance, `v0.t` where there is a mask; orders and numbers of control registers are left out.
Source: The RISC-V Instruction Set Manual, Volume I (20240411).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Final

from liftcheck.mach.rows.kinds import Register, Value
from liftcheck.mach.rows.row import Row
from liftcheck.mach.rows.table import Decoded

ROUNDINGS: Final = ("rne", "rtz", "rdn", "rup", "rmm", "reserved", "reserved", "dyn")
_ORDER: Final = re.compile(r"\.(aqrl|aq|rl|tso)$")
_JUMPS: Final = {"j": ("jal", "x0, "), "jr": ("jalr", "x0, "), "ret": ("jalr", "x0, x1, 0")}
_LEFT_OUT: Final = frozenset({"pred", "succ", "csr", "vtypei"})
_Spelt = Callable[[Value], str]
_Plan = tuple[str, str, Sequence[tuple[int, _Spelt]], str]
_PLANS: Final[dict[int, _Plan]] = {}
"""By the row's identity: the table's rows stay."""


def spelt(decoded: Decoded) -> tuple[str, str]:
    """Name and operands."""
    row, values = decoded.row.whole(decoded.values)
    found = _PLANS.get(id(row))
    if found is None:
        found = _PLANS[id(row)] = _plan(row)
    name, first, plan, last = found
    shown = [one for number, show in plan if (one := show(values[number]))]
    return name, first + ", ".join([*shown, last] if last else shown)


def name_of(row: Row) -> str:
    """What a row's instructions are called."""
    return _JUMPS.get(row.name, (_ORDER.sub("", row.name), ""))[0]


def _plan(row: Row) -> _Plan:
    """The name, what stands before the operands, these in their order, what stands after them."""
    name, first = name_of(row), _JUMPS.get(row.name, ("", ""))[1]
    numbers = [n for n, o in enumerate(row.operands) if o.name not in _LEFT_OUT]
    names = [row.operands[n].name for n in numbers]
    if names[-1:] == ["rs1"] and names[-2] in ("imm", "offset", "rs2"):
        numbers[-2:] = numbers[:-3:-1]
    if "vs2" in names[2:]:  # products that are added have their factors the other way round
        at = names.index("vs2")
        numbers[at - 1 : at + 1] = numbers[at], numbers[at - 1]
    masked = any(isinstance(part, str) and part == "v0" for part in row.syntax.parts)
    return (
        name,
        first,
        [(n, _of(row.operands[n].name, row.operands[n].kind)) for n in numbers],
        "v0.t" if masked else "",
    )


def _of(name: str, kind: object) -> _Spelt:
    if isinstance(kind, Register):
        letter = "xfv"[kind.first >> 6]
        names = [f"{letter}{number}" for number in range(32)]
        return names.__getitem__
    if name == "vm":
        return ("v0.t", "").__getitem__
    if name in ("rm", "rmx"):
        return ROUNDINGS.__getitem__
    if name == "upper":
        return lambda value: str(((value << 12) ^ 1 << 31) - (1 << 31))
    return (lambda value: str(value & 31)) if name == "simm5" else str
