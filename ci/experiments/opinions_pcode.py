"""P-code (pypcode, Ghidra's SLEIGH) of one instruction, computed on states.

The one idea: each operation becomes a closure over the bytes of its operands, once an instruction; operations on floats
are those of `liftcheck.bits.floats`, so what is compared is what the instruction does, not arithmetic. P-code says
nothing of which NaN comes out of an operation, nor of rounding: such states are left open.
Source: Ghidra's "P-Code Reference Manual" (the meaning of each operation).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, Final

import pypcode
from opinions_state import After, Cell, Layout, Memory, Open, Unknown

from liftcheck.bits import floats as f

LANGUAGES: Final = {
    "x86-64": "x86:LE:64:default", "aarch64": "AARCH64:LE:64:v8A", "riscv64": "RISCV:LE:64:default",
}  # fmt: skip
FLAGS: Final = {"n": "NG", "z": "ZR", "c": "CY", "v": "OV"}
HARMLESS: Final = ("LOCK", "UNLOCK", "LOAcquire", "LORelease")
"""Operations outside of p-code that change nothing that a record has."""
_MOST: Final = 20_000
"""Steps of a loop (`bsf`) at most."""


class State:
    """Registers, temporaries and memory while an instruction is computed."""

    def __init__(self, registers: bytearray, memory: Memory) -> None:
        self.register = registers
        self.unique = _unique()
        self.memory = memory


@cache
def _unique() -> bytearray:
    return bytearray(1 << 22)


@cache
def context(isa: str) -> Any:
    """The library's tables of an ISA."""
    return pypcode.Context(LANGUAGES[isa])


def cells(layout: Layout) -> list[Cell]:
    """Where each place of a record is in SLEIGH's register space."""
    known, found = context(layout.isa).registers, []
    for name, (at, size) in layout.slots.items():
        called = FLAGS.get(name, name) if layout.isa == "aarch64" else name
        if layout.isa == "x86-64":
            called = name.upper()
        elif layout.isa == "aarch64" and name[0] == "v" and name[1:]:
            called = "q" + name[1:]
        if called in known:
            found.append(Cell(name, at, size, known[called].offset))
    return found


Step = Callable[[State], "int | None"]
"""None: on; a number: the operation to go to; negative: -1 - address, where control leaves the instruction."""


class Computed:
    """An instruction, ready to be computed on states; Unknown if the library does not have it."""

    def __init__(self, layout: Layout, places: Sequence[Cell], data: bytes, pc: int) -> None:
        try:
            made = context(layout.isa).translate(data, base_address=pc, max_instructions=1)
        except Exception as error:  # its errors have no common base
            why = "it has no p-code" if "not implemented" in str(error) else "it does not decode"
            raise Unknown(why) from error
        ops = list(made.ops)
        if not ops or ops[0].inputs[0].size != len(data):
            raise Unknown("it decodes other bytes")
        self._layout: Final = layout
        self._places: Final = places
        self._steps: Final = [_step(op, number) for number, op in enumerate(ops)]
        self._next: Final = pc + len(data)

    def run(self, record: bytes, address: int) -> After:
        """What a state is after it."""
        order = self._layout.order
        state = State(bytearray(1 << 17), Memory(self._layout, record, address))
        for _, at, size, where in self._places:
            value = int.from_bytes(record[at : at + size], order)
            state.register[where : where + size] = value.to_bytes(size, "little")
        goal = self._goal(state)
        values = [int.from_bytes(state.register[where : where + size], "little") for _, _, size, where in self._places]
        return After(values, state.memory, goal)

    def _goal(self, state: State) -> int:
        at, count, end = 0, 0, len(self._steps)
        while at < end:
            found = self._steps[at](state)
            at = at + 1 if found is None else found
            count += 1
            if at < 0:
                return -1 - at
            if count > _MOST:
                raise Open("a loop does not end")
        return self._next


def _step(op: Any, number: int) -> Step:
    name = op.opcode.name
    if name == "IMARK":
        return lambda s: None
    if name == "CALLOTHER":
        called = op.inputs[0].getUserDefinedOpName()
        if called not in HARMLESS:
            raise Unknown(f"an operation outside of p-code ({called})")
        return lambda s: None
    if name in ("BRANCH", "CBRANCH", "CALL"):
        return _branch(op, number)
    if name in ("BRANCHIND", "CALLIND", "RETURN"):
        where = _reader(op.inputs[0])
        return lambda s: -1 - where(s)
    if name in ("LOAD", "STORE"):
        return _access(op)
    function, reads = _function(op), [_reader(x) for x in op.inputs]
    write = _writer(op.output)
    if len(reads) == 1:
        (one,) = reads
        return lambda s: write(s, function(one(s)))
    first, second = reads
    return lambda s: write(s, function(first(s), second(s)))


def _branch(op: Any, number: int) -> Step:
    to = op.inputs[0]
    goal = number + _signed(to.offset, 8 * to.size) if to.space.name == "const" else -1 - to.offset
    if op.opcode.name != "CBRANCH":
        return lambda s: goal
    when = _reader(op.inputs[1])
    return lambda s: goal if when(s) else None


def _access(op: Any) -> Step:
    where = _reader(op.inputs[1])
    if op.opcode.name == "LOAD":
        size, write = op.output.size, _writer(op.output)
        return lambda s: write(s, s.memory.load(where(s), size))
    value, width = _reader(op.inputs[2]), op.inputs[2].size
    return lambda s: s.memory.store(where(s), width, value(s))


def _reader(node: Any) -> Callable[[State], int]:
    at, end, space = node.offset, node.offset + node.size, node.space.name
    if space == "const":
        value = at & (1 << 8 * node.size) - 1
        return lambda s: value
    if space == "unique":
        return lambda s: int.from_bytes(s.unique[at:end], "little")
    if space == "register":
        return lambda s: int.from_bytes(s.register[at:end], "little")
    return lambda s: s.memory.load(at, end - at)


def _writer(node: Any) -> Callable[[State, int], None]:
    at, size, space = node.offset, node.size, node.space.name
    end, mask = at + size, (1 << 8 * size) - 1
    if space not in ("unique", "register"):
        return lambda s, value: s.memory.store(at, size, value)

    def write(s: State, value: int) -> None:
        (s.unique if space == "unique" else s.register)[at:end] = (value & mask).to_bytes(size, "little")

    return write


def _signed(value: int, width: int) -> int:
    return (value ^ 1 << width - 1) - (1 << width - 1)


def _function(op: Any) -> Callable[..., int]:
    """The function of an operation that only computes."""
    name, width = op.opcode.name, 8 * op.inputs[0].size
    if name.startswith("FLOAT_"):
        return _float(name[6:], width, 8 * op.output.size)
    if name == "PIECE":
        low = 8 * op.inputs[1].size
        return lambda a, b: a << low | b
    known = _INTEGERS.get(name)
    if known is None:
        raise Unknown(f"p-code's {name} is not computed here")
    return known(width)


def _divided(signed: bool, rest: bool) -> Callable[[int], Callable[[int, int], int]]:
    def of(width: int) -> Callable[[int, int], int]:
        def divide(a: int, b: int) -> int:
            if not b:
                raise Open("it divides by zero")
            if not signed:
                return a % b if rest else a // b
            x, y = _signed(a, width), _signed(b, width)
            whole = abs(x) // abs(y) * (1 if (x < 0) == (y < 0) else -1)
            return x - whole * y if rest else whole

        return divide

    return of


def _borrow(width: int) -> Callable[[int, int], int]:
    low = 1 << width - 1
    return lambda a, b: not -low <= _signed(a, width) - _signed(b, width) < low


def _overflow(width: int) -> Callable[[int, int], int]:
    low = 1 << width - 1
    return lambda a, b: not -low <= _signed(a, width) + _signed(b, width) < low


_INTEGERS: Final[dict[str, Callable[[int], Callable[..., int]]]] = {
    "COPY": lambda w: lambda a: a,
    "INT_EQUAL": lambda w: lambda a, b: a == b,
    "INT_NOTEQUAL": lambda w: lambda a, b: a != b,
    "INT_LESS": lambda w: lambda a, b: a < b,
    "INT_LESSEQUAL": lambda w: lambda a, b: a <= b,
    "INT_SLESS": lambda w: lambda a, b: _signed(a, w) < _signed(b, w),
    "INT_SLESSEQUAL": lambda w: lambda a, b: _signed(a, w) <= _signed(b, w),
    "INT_ZEXT": lambda w: lambda a: a,
    "INT_SEXT": lambda w: lambda a: _signed(a, w),
    "INT_ADD": lambda w: lambda a, b: a + b,
    "INT_SUB": lambda w: lambda a, b: a - b,
    "INT_CARRY": lambda w: lambda a, b: a + b >> w,
    "INT_SCARRY": _overflow,
    "INT_SBORROW": _borrow,
    "INT_2COMP": lambda w: lambda a: -a,
    "INT_NEGATE": lambda w: lambda a: ~a,
    "INT_XOR": lambda w: lambda a, b: a ^ b,
    "INT_AND": lambda w: lambda a, b: a & b,
    "INT_OR": lambda w: lambda a, b: a | b,
    "INT_LEFT": lambda w: lambda a, b: a << b if b < w else 0,
    "INT_RIGHT": lambda w: lambda a, b: a >> b if b < w else 0,
    "INT_SRIGHT": lambda w: lambda a, b: _signed(a, w) >> min(b, w),
    "INT_MULT": lambda w: lambda a, b: a * b,
    "INT_DIV": _divided(False, False),
    "INT_REM": _divided(False, True),
    "INT_SDIV": _divided(True, False),
    "INT_SREM": _divided(True, True),
    "BOOL_NEGATE": lambda w: lambda a: not a,
    "BOOL_XOR": lambda w: lambda a, b: a ^ b,
    "BOOL_AND": lambda w: lambda a, b: a & b,
    "BOOL_OR": lambda w: lambda a, b: a | b,
    "SUBPIECE": lambda w: lambda a, b: a >> 8 * b,
    "POPCOUNT": lambda w: lambda a: a.bit_count(),
    "LZCOUNT": lambda w: lambda a: w - a.bit_length(),
}
_ARITHMETIC: Final = {"ADD": f.exact_add, "SUB": f.exact_sub, "MULT": f.exact_mul, "DIV": f.exact_div}
_COMPARED: Final = {"EQUAL": f.exact_eq, "LESS": f.less, "LESSEQUAL": f.exact_le}
_ROUNDED: Final = {"CEIL": "ceil", "FLOOR": "floor", "ROUND": "nearest"}


def _float(name: str, width: int, out: int) -> Callable[..., int]:
    if name == "INT2FLOAT":
        return lambda a: f.rounded(_format(out), _signed(a, width), 0)
    known = _format(width)
    if name in _ARITHMETIC:
        return lambda a, b: _number(known, _ARITHMETIC[name](known, a, b))
    if name in _COMPARED:
        return lambda a, b: _COMPARED[name](known, a, b)
    if name in _ROUNDED:
        return lambda a: _number(known, f.exact_round(known, a, _ROUNDED[name]))
    unary: dict[str, Callable[[int], int]] = {
        "NOTEQUAL": lambda a: 0,
        "NAN": lambda a: f.is_nan(known, a),
        "NEG": lambda a: a ^ known.sign,
        "ABS": lambda a: a & known.magnitude,
        "SQRT": lambda a: _number(known, f.exact_sqrt(known, a)),
        "FLOAT2FLOAT": lambda a: _number(_format(out), f.exact_convert(known, _format(out), a)),
        "TRUNC": lambda a: _whole(known, a, out),
    }
    if name == "NOTEQUAL":
        return lambda a, b: not f.exact_eq(known, a, b)
    return unary[name]


def _format(width: int) -> f.Format:
    if width not in f.FORMATS:
        raise Unknown(f"floats of {width} bits")
    return f.FORMATS[width]


def _number(known: f.Format, a: int) -> int:
    if f.is_nan(known, a):
        raise Open("which NaN")
    return a


def _whole(known: f.Format, a: int, width: int) -> int:
    """P-code does not say what a conversion out of range gives."""
    found = f.truncated(known, a)
    if found is None or not -1 << width - 1 <= found < 1 << width - 1:
        raise Open("a conversion out of range")
    return found
