"""The text of one function in LLVM's IR while it is made: types, values, labels, traps.

Source: LLVM Language Reference of LLVM 22.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from liftcheck.clif.ir import AbiParam, BlockCall, Function, Inst, Signature
from liftcheck.clif.types import Type
from liftcheck.isa.llvm import Llvm

TRAP: Final = "clif.trap."
"""What the names of functions begin with that are trap codes."""
FLOATS: Final = {16: "half", 32: "float", 64: "double", 128: "fp128"}
_PASSED, _RETURNED = 6, 2
"""So many words are in registers on each ISA."""
_TYPE: Final = re.compile(r"<[^>]*>|\S+")
"""What an operand with its type begins with."""
_WIDEST: Final = 128
CONVENTIONS: Final = ("", "system_v", "fast", "cold")


class Refused(Exception):
    """What LLVM's IR does not say, or this translation does not: the reason, without numbers."""


def type_text(ty: Type) -> str:
    """A type as LLVM writes it."""
    if ty.bits > _WIDEST:
        raise Refused(f"a value of type {ty}")
    lane = FLOATS[ty.lane_bits] if ty.is_float else f"i{ty.lane_bits}"
    return f"<{ty.lanes} x {lane}>" if ty.is_vector else lane


def mangled(ty: Type) -> str:
    lane = f"f{ty.lane_bits}" if ty.is_float else f"i{ty.lane_bits}"
    return f"v{ty.lanes}{lane}" if ty.is_vector else lane


def _words(params: Sequence[AbiParam]) -> int:
    """How many registers values take at most."""
    return sum(-(-param.type.bits // 64) if param.type.is_int else 1 for param in params)


def _extension(param: AbiParam) -> str:
    """How a narrow value is extended, as LLVM says it."""
    is_narrow = param.type.bits < 64 and not param.type.is_vector
    return {"uext": "zeroext", "sext": "signext"}.get(param.extension, "") if is_narrow else ""


def integers(bits: int, lanes: int) -> str:
    return f"<{lanes} x i{bits}>" if lanes > 1 else f"i{bits}"


def all_lanes(bits: int, lanes: int, number: int) -> str:
    """The constant whose lanes are all this number."""
    number &= (1 << bits) - 1
    return "<" + ", ".join([f"i{bits} {number}"] * lanes) + ">" if lanes > 1 else str(number)


class Body:
    """A function's lines so far, and what they need: declarations, edges into blocks, codes of faults."""

    def __init__(self, function: Function, facts: Llvm, big_endian: bool, small: bool, keeps_frame: bool) -> None:
        self.function = function
        self.facts = facts
        self.big_endian = big_endian
        self.small = small
        self.keeps_frame = keeps_frame
        self.lines: list[str] = []
        self.count = 0
        self.label = "entry"
        self.faults: set[str] = set()
        self.declared: dict[str, str] = {}
        self.incoming: dict[int, list[tuple[str, list[str]]]] = {block.number: [] for block in function.blocks}

    def header(self, word: str, signature: Signature, name: str, names: list[str]) -> str:
        params = ", ".join(f"{self.param(p)} {n}".strip() for p, n in zip(signature.params, names))
        hidden = "hidden " if word == "declare" else ""
        return f'{word} {hidden}{self.convention(signature)}{self.returned(signature)} @"{name}"({params})'

    def convention(self, signature: Signature) -> str:
        name = signature.call_conv
        if name in CONVENTIONS or (name == "tail" and not self.facts.tail):
            return ""
        if name == "tail":
            if _words(signature.params) > _PASSED or _words(signature.returns) > _RETURNED:
                raise Refused("the convention tail with values on the stack")  # LLVM 22 loses the stack pointer there
            return "tailcc "
        if name == "windows_fastcall" and self.facts.windows:
            return "win64cc "
        raise Refused(f"the convention {name}")

    def param(self, param: AbiParam) -> str:
        if param.purpose.startswith("sarg"):
            raise Refused("a structure that is passed by value")
        return f"{type_text(param.type)} {_extension(param)}".rstrip()

    def returned(self, signature: Signature) -> str:
        """The type of what a function returns, with how it is extended."""
        extension = _extension(signature.returns[0]) if len(signature.returns) == 1 else ""
        return f"{extension} {self.result(signature)}".lstrip()

    def result(self, signature: Signature) -> str:
        """The type of what a function returns."""
        types = [type_text(param.type) for param in signature.returns]
        return types[0] if len(types) == 1 else f"{{ {', '.join(types)} }}" if types else "void"

    # Values

    def v(self, value: int | str) -> str:
        assert isinstance(value, int)
        return f"%v{self._root(value)}"

    def type_of(self, value: int) -> Type:
        return self.function.types[self._root(value)]

    def _root(self, value: int) -> int:
        """The value that an alias stands for."""
        while value in self.function.aliases:
            value = self.function.aliases[value]
        return value

    def new(self, text: str) -> str:
        self.count += 1
        self.lines.append(f"  %t{self.count} = {text}")
        return f"%t{self.count}"

    def set(self, inst: Inst, text: str, number: int = 0) -> None:
        self.lines.append(f"  %v{inst.results[number]} = {text}")

    def keep(self, inst: Inst, ty: str, value: str, number: int = 0) -> None:
        """A result is a value that exists."""
        self.set(inst, f"bitcast {ty} {value} to {ty}", number)

    def as_ints(self, value: str, ty: Type) -> tuple[str, str]:
        """A value and its type, floats as integers of the same shape."""
        ints = integers(ty.lane_bits, ty.lanes)
        return (self.new(f"bitcast {type_text(ty)} {value} to {ints}") if ty.is_float else value), ints

    def from_ints(self, inst: Inst, value: str, ty: Type, number: int = 0) -> None:
        self.set(inst, f"bitcast {integers(ty.lane_bits, ty.lanes)} {value} to {type_text(ty)}", number)

    def call(self, name: str, result: str, *operands: str) -> str:
        """The text of a call of an intrinsic. operands: with their types."""
        self.declared[f"llvm.{name}"] = (
            f"declare {result} @llvm.{name}({', '.join(_TYPE.match(operand)[0] for operand in operands)})"  # type: ignore[index]
        )
        return f"call {result} @llvm.{name}({', '.join(operands)})"

    def splat(self, ty: Type, number: int) -> str:
        return all_lanes(ty.lane_bits, ty.lanes, number)

    def is_true(self, value: int) -> str:
        return self.new(f"icmp ne {type_text(self.type_of(value))} {self.v(value)}, 0")

    # Control

    def block(self, label: str) -> None:
        self.lines.append(f"{label}:")
        self.label = label

    def fresh(self, word: str) -> str:
        self.count += 1
        return f"{word}{self.count}"

    def trap(self, code: str) -> None:
        self.declared[TRAP + code] = f'declare hidden void @"{TRAP}{code}"() cold noreturn nounwind'
        self.lines += [f'  call void @"{TRAP}{code}"()', "  unreachable"]

    def trap_if(self, condition: str, code: str) -> None:
        wrong, right = self.fresh("trap"), self.fresh("on")
        self.lines.append(f"  br i1 {condition}, label %{wrong}, label %{right}")
        self.block(wrong)
        self.trap(code)
        self.block(right)

    def go(self, target: BlockCall, args: list[str] | None = None) -> None:
        """An edge from where we are."""
        self.incoming[target.block].append((self.label, args if args is not None else [self.v(a) for a in target.args]))
        self.lines.append(f"  br label %block{target.block}")

    def edge(self, target: BlockCall) -> tuple[str, BlockCall]:
        return self.fresh("edge"), target

    def edges(self, edges: list[tuple[str, BlockCall]]) -> None:
        for label, target in edges:
            self.block(label)
            self.go(target)

    def operands(self, inst: Inst) -> list[str]:
        return [self.v(a) for a in inst.args]
