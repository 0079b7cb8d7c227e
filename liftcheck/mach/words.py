"""What the rules of all machines of 64-bit words call (`words.isle`), whatever the ISA: facts of types and numbers.

The one idea: an ISA's package gives these with its own to `compile_rules`; a term that both have is the ISA's.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from liftcheck.clif.ir import Inst
from liftcheck.clif.opcodes import OPCODES
from liftcheck.clif.types import Type
from liftcheck.isle.compiled import Compiled, compile_rules
from liftcheck.isle.reader import Source
from liftcheck.mach import prelude
from liftcheck.mach.backend import Backend
from liftcheck.mach.convention import Conventions, Parts
from liftcheck.mach.lower import Lowering, Refused
from liftcheck.mach.vcode import Form, fixed

SHARED: Final = Source("src/words.isle", Path(__file__).with_name("words.isle").read_text(encoding="utf-8"))
"""The shared rules."""


def exact(ty: Type, value: int) -> bool:
    """Whether a float type has a number."""
    digits = abs(value).bit_length() - (value & -value).bit_length()
    return value == 0 or digits < (24 if ty.bits == 32 else 53)


def least(ty: Type) -> int:
    """The least number of an integer type, with a sign."""
    return -(1 << ty.bits - 1)


def bound_bits(ty: Type, to: Type, kind: int) -> int:
    """The float beside which a conversion traps: 0, 1 below (signed, unsigned), 2, 3 above; its bits."""
    below = least(to) - exact(ty, least(to) - 1)
    value = (below, -1, 1 << to.bits - 1, 1 << to.bits)[kind]
    return int.from_bytes(struct.pack("<f" if ty.bits == 32 else "<d", float(value)), "little")


def signed(ty: Type, value: int) -> int:
    """A constant of a type with its sign."""
    return (value & ty.mask) - ((value & ty.mask) >> ty.bits - 1 << ty.bits)


def extension(name: str) -> Callable[[Lowering], bool]:
    """Whether an extension is on."""
    return lambda low: name in low.has


EXTERNS: Final[dict[str, Any]] = {
    "sext_imm": lambda low, ty, k: signed(ty, k),
    "boxed": lambda low, k: k | 0xFFFF0000,
    "code_overflow": lambda low: "int_ovf",
    "code_divz": lambda low: "int_divz",
    "code_toint": lambda low: "bad_toint",
    "float64": lambda low, ty: ty if ty.is_float and not ty.is_vector and ty.bits in (32, 64) else None,
    "in_float": lambda low, ty: ty if ty.is_float and ty.bits <= 64 and not ty.is_vector else None,
    "bit_mask": lambda low, ty: ty.mask,
    "bits_of": lambda low, ty: ty.bits,
    "least": lambda low, ty: least(ty),
    "greatest": lambda low, ty: (1 << ty.bits - 1) - 1,
    "ugreatest": lambda low, ty: ty.mask,
    "is_big": lambda low, flags: flags.endianness == "big",
    "little": lambda low, flags: flags if flags.endianness != "big" else None,
    "power": lambda low, n: 1 << n,
    "log2": lambda low, k: k.bit_length() - 1 if k and not k & k - 1 else None,
    "nonzero": lambda low, k: k or None,
    "unsigned_of": lambda low, cc: "u" + cc[1:] if cc[0] == "s" else cc,
    "is_strict": lambda low, ty, to, kind: kind == 0 and not exact(ty, least(to) - 1),
    "access_size": lambda low, ty: ty.bytes,
}


Term = tuple[str, Callable[..., Any], tuple[list[str], str]]
"""A term that rules use without having said it: name, function, the types of its arguments and its own."""


def compiled(path: Path, package: str, own: Mapping[str, Any], declared: Callable[[str], Iterable[Term]]) -> Compiled:
    """The rules of an ISA: its own file beside the shared ones. `declared`: the terms that a text of rules uses without
    having said them."""
    files = [SHARED, Source(f"src/isa/{package}/{path.name}", path.read_text(encoding="utf-8"))]
    externs = {**prelude.EXTERNS, **EXTERNS, **own}
    lines = []
    for name, build, (types, gives) in declared("".join(file.text for file in files)):
        externs[name] = build
        lines.append(f"(decl {name} ({' '.join(types)}) {gives}) (extern constructor {name} {name})")
    instructions = Source(f"{package} instructions", "\n".join(lines))
    return compile_rules([prelude.prelude(), instructions, *files], externs, prelude.LAYOUTS)


def addresses(form: Form, frame_pointer: int, stack_pointer: int) -> dict[str, Any]:
    """What gives addresses: of symbols by a form whose extra is (symbol, addend), and the pointers, places both."""

    def symbol(low: Lowering, name: object, addend: object = 0) -> int:
        made = low.temp(0)
        low.emit(form, (made,), (name, addend))
        return made

    def of_global(low: Lowering, number: int) -> int | None:
        kind, *rest = low.function.globals[number]
        return symbol(low, rest[0], rest[1]) if kind == "symbol" and not rest[3] else None

    def framed(low: Lowering) -> int:
        low.code.frame = True
        return fixed(frame_pointer)

    return {
        "function_address": lambda low, number: symbol(low, low.function.func_refs[number].name),
        "symbol_address": of_global,
        "stack_pointer": lambda low: fixed(stack_pointer),
        "frame_pointer": framed,
    }


_ACCESSES: Final = frozenset(name for name, op in OPCODES.items() if op.address is not None)


class WordRules:
    """An ISA's part of lowering (`lower.Rules`). `table`: the form of a jump by a table; `wide_floats`: a float of 128
    bits is in a register of floats, and not in two of integers."""

    def __init__(
        self, isa: str, backend: Backend, parts: Parts, rules: Compiled, table: Form, wide_floats: bool
    ) -> None:
        every = [place for groups in backend.allocatable for group in groups for place in group]
        conventions = Conventions(isa, parts, every)
        self.enter, self.leave, self.call = conventions.enter, conventions.leave, conventions.call
        self._lower: Final = rules.term("lower")
        self._branch: Final = rules.term("lower_branch")
        self._table: Final = table
        self._wide_floats: Final = wide_floats

    def classes(self, low: Lowering, ty: Type) -> Sequence[int]:
        """The register class of each part of a value."""
        if ty.is_vector:
            raise Refused(f"values of {ty}")
        if ty.is_float and (ty.bits <= 64 or self._wide_floats):
            return (1,)
        return (0,) if ty.bits <= 64 else (0, 0)

    def lower(self, low: Lowering, inst: Inst) -> Any:
        """The registers of each result; None: there is no rule."""
        outer, low.access_trap = low.access_trap, prelude.access_trap(inst.flags) if inst.op in _ACCESSES else ""
        try:
            return self._lower(low, inst)
        finally:
            low.access_trap = outer

    def branch(self, low: Lowering, inst: Inst, targets: Sequence[int]) -> object:
        """A terminator with more than one successor."""
        if inst.op == "br_table":
            low.emit(self._table, (low.temp(0), low.temp(0), low.reg(inst.args[0])), tuple(targets))
            return 0
        return self._branch(low, inst, targets[0], targets[1]) if len(targets) == 2 else None
