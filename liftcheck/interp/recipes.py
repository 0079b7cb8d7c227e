"""Recipes: one typed instruction as Python text, and as a function of a register list and the registers' numbers.

The one idea: the text of an operation is written once, with names for its operands, and serves both tiers. The first
tier compiles it once a process into a function (`iadd` of i32 is one recipe, whatever the registers), so that preparing
a program compiles nothing; the second (`compiled`) pastes the same text with locals and literals in place of
registers. What cannot be part of a cached text (offsets, trap codes) is an *extra*: it comes with the registers.

    extras   texts of further parameters; a memory operation's first one is always `m`, the `Memory`
    outs     texts that are assigned to, one a result
    ins      texts of the operands, each free to be repeated
    prefix   of the text's own locals

It does not know registers, blocks or calls. Sources: the meanings come from `semantics`; accesses from `memory`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import cache
from itertools import count
from struct import Struct
from typing import Any, Final

from liftcheck.bits import concrete
from liftcheck.clif.ir import MemFlags
from liftcheck.clif.opcodes import OPCODES
from liftcheck.clif.semantics.meaning import meaning
from liftcheck.clif.types import Type
from liftcheck.interp.memory import Meaningless, Memory, Open, Refusal, Shape, decoder, encoder, shape_of

Emit = Callable[[Sequence[str], Sequence[str], Sequence[str], str], list[str]]
Run = Callable[[list[int], tuple[Any, ...]], object]
"""What a recipe does to a register list; the tuple holds the extras' values and the registers' numbers."""
Op = tuple[Run, tuple[Any, ...]]
"""An instruction of the first tier. A pair and not a closure: it is made in half the time, and all instructions of one
recipe share the function, which stays in the processor's cache."""

concrete.NAMESPACE["Refusal"] = Refusal
concrete.NAMESPACE["Meaningless"] = Meaningless
concrete.NAMESPACE["Open"] = Open
_SERIAL: Final = count()
_LETTERS: Final = {2: "H", 4: "I", 8: "Q"}


def helper(stem: str, function: object) -> str:
    """The name under which the texts find a new helper: a pure function."""
    name = f"{stem}_{next(_SERIAL)}"
    concrete.NAMESPACE[name] = function
    return name


class Recipe:
    """`emit(extras, outs, ins, prefix)` writes the lines; `run(r, (*extras, *outs, *ins))` executes them on a register
    list, for the extras' values and the registers' numbers."""

    __slots__ = ("emit", "run")

    def __init__(self, emit: Emit, extras: int, outs: int, ins: int) -> None:
        self.emit: Final = emit
        self.run: Final[Run] = _function(emit, extras, outs, ins)


def _function(emit: Emit, extras: int, outs: int, ins: int) -> Run:
    """Operands that the text uses once are read where they are used, others into a local first."""
    names = [f"k{i}" for i in range(extras)]
    lines = emit(names, [f"r[d{i}]" for i in range(outs)], [f"x{i}" for i in range(ins)], "t")
    text = "\n".join(f"    {line}" for line in lines)
    for i in range(ins):
        once = len(re.findall(rf"\bx{i}\b", text)) == 1
        text = re.sub(rf"\bx{i}\b", f"r[a{i}]", text) if once else f"    x{i} = r[a{i}]\n{text}"
    params = [*names, *(f"d{i}" for i in range(outs)), *(f"a{i}" for i in range(ins))]
    head = f"    {', '.join(params)}, = x\n" if params else ""
    return compiled(f"def op(r, x):\n{head}{text or '    pass'}", "op")


@cache
def compiled(source: str, name: str) -> Callable[..., Any]:
    """The function `name` of a text; half of the recipes have the text of another one. All share one dictionary of
    globals: a copy for each would take as long as compiling the text, and 100 KB."""
    found: dict[str, Any] = {}
    exec(source, concrete.NAMESPACE, found)
    function: Callable[..., Any] = found[name]
    return function


# Functions of the operands.


@cache
def pure(op: str, ctrl: Type | None, imm: object, *arg_types: Type) -> Recipe:
    """An opcode with a meaning. The trap code of a conditional trap is its only extra, not `imm`."""
    results = OPCODES[op].result_types(ctrl)
    what = meaning(op, ctrl, arg_types, results, imm)
    own_code = any(code == "user" for _, code in what.traps)

    def emit(extras: Sequence[str], outs: Sequence[str], ins: Sequence[str], prefix: str) -> list[str]:
        def leave(code: str) -> str:
            return f"raise Trap({extras[0]})" if code == "user" else concrete.raising(code)

        statements, values = concrete.python_source(what, ins, prefix, leave)
        return statements + [f"{out} = {value}" for out, value in zip(outs, values)]

    return Recipe(emit, int(own_code), len(results), len(arg_types))


@cache
def shuffle() -> Recipe:
    """`shuffle` with its mask (32 lanes are numbered over both operands) as an extra: masks are too many to compile."""

    def emit(extras: Sequence[str], outs: Sequence[str], ins: Sequence[str], prefix: str) -> list[str]:
        both, lane = f"{prefix}s", f"{prefix}i"
        return [
            f"{both} = ({ins[1]} << 128 | {ins[0]}).to_bytes(32, 'little')",
            f"{outs[0]} = from_bytes(bytes([{both}[{lane}] for {lane} in {extras[0]}]), 'little')",
        ]

    return Recipe(emit, 1, 1, 2)


@cache
def plain(template: str, extras: int, outs: int, ins: int) -> Recipe:
    """One assignment or statement given as text with `{k0}`, `{d0}`, `{a0}`."""

    def emit(extra: Sequence[str], out: Sequence[str], arg: Sequence[str], prefix: str) -> list[str]:
        fields = {
            f"{letter}{i}": text
            for letter, texts in (("k", extra), ("d", out), ("a", arg))
            for i, text in enumerate(texts)
        }
        return [template.format(**fields)]

    return Recipe(emit, extras, outs, ins)


@cache
def refusing() -> Recipe:
    """An instruction that is refused when it is reached; the reason is its extra."""
    return plain("raise Refusal({k0})", 1, 0, 0)


# Accesses. Extras: the memory, the offset (unless it is 0), the trap code ('' for notrap).

MISALIGNED: Final = "misaligned access flagged aligned"
_MISALIGNED_ATOMIC: Final = "misaligned atomic access"
_REFUSALS: Final = {MISALIGNED: "Meaningless", _MISALIGNED_ATOMIC: "Open"}


class _Access:
    """Texts of one kind of access: window of the first region or of the stack, whether there is an offset."""

    def __init__(self, shape: Shape, on_stack: bool, offset: bool, misaligned: str) -> None:
        self.shape = shape
        self.window = "stack_" if on_stack else ""
        self.offset = offset
        self.misaligned = misaligned
        self.extras = 3 if offset else 2

    def lines(self, extras: Sequence[str], address: str, prefix: str, fast: str, slow: str) -> list[str]:
        """`fast` and `slow` are statements with `{buf}`, `{at}` and `{m}`, `{address}`, `{code}` to be filled in."""
        m, at, base = extras[0], f"{prefix}p", f"{extras[0]}.{self.window}base"
        there = f"{address} + {extras[1]}" if self.offset else address
        lines = [f"{at} = {there} - {base}"]
        if self.misaligned and self.shape.size > 1:
            there = f"{at} + {base}"
            lines.append(
                f"if {there} & {self.shape.size - 1} and not {m}.excuses({there}, {self.shape.size}): "
                f"raise {_REFUSALS[self.misaligned]}({self.misaligned!r})"
            )
        fast = fast.format(buf=f"{m}.{self.window}buf", at=at)
        slow = slow.format(m=m, address=f"{at} + {base}", code=extras[-1])
        return [*lines, f"if 0 <= {at} <= {m}.{self.window}size - {self.shape.size}: {fast}", f"else: {slow}"]


@cache
def load(shape: Shape, wider: Type | None, on_stack: bool, offset: bool, misaligned: str = "") -> Recipe:
    """A load; `wider` is the type to which a sign-extending load extends, `misaligned` why an address that is
    no multiple of the size is refused ('': it is not)."""
    access = _Access(shape, on_stack, offset, misaligned)
    size, decode = shape.size, decoder(shape)

    def from_afar(m: Memory, address: int, code: str) -> int:
        buf, at = m.locate(address, size, code)
        return decode(buf[at : at + size])

    far = helper("load", from_afar)
    near = _taken(shape)

    def emit(extras: Sequence[str], outs: Sequence[str], ins: Sequence[str], prefix: str) -> list[str]:
        out = outs[0] if wider is None else f"{prefix}v"
        lines = access.lines(extras, ins[0], prefix, f"{out} = {near}", f"{out} = {far}({{m}}, {{address}}, {{code}})")
        if wider is not None:
            top = 1 << 8 * size - 1
            lines.append(f"{outs[0]} = ({out} ^ {top}) - {top} & {wider.mask:#x}")
        return lines

    return Recipe(emit, access.extras, 1, 1)


@cache
def store(shape: Shape, narrows: bool, on_stack: bool, offset: bool, misaligned: str = "") -> Recipe:
    """A store; `narrows`: the value is wider than that. Operands: value, address."""
    access = _Access(shape, on_stack, offset, misaligned)
    size, encode = shape.size, encoder(shape)

    def to_afar(m: Memory, address: int, code: str, value: int) -> None:
        buf, at = m.place(address, size, code)
        buf[at : at + size] = encode(value)

    far = helper("store", to_afar)
    near = _put(shape)

    def emit(extras: Sequence[str], outs: Sequence[str], ins: Sequence[str], prefix: str) -> list[str]:
        value = f"{ins[0]} & {(1 << 8 * size) - 1:#x}" if narrows else ins[0]
        fast = near.replace("{value}", value)  # the other fields are for `lines` to fill in
        return access.lines(extras, ins[1], prefix, fast, f"{far}({{m}}, {{address}}, {{code}}, {ins[0]})")

    return Recipe(emit, access.extras, 0, 2)


def _taken(shape: Shape) -> str:
    """The value at `{at}` of `{buf}`. `struct` is quicker than slices, which make another object."""
    size, order = shape.size, "big" if shape.big else "little"
    if size == 1:
        return "{buf}[{at}]"
    whole = shape.lane == size
    if whole and size in _LETTERS:
        return helper("unpack", _struct(shape, 1).unpack_from) + "({buf}, {at})[0]"
    if whole:
        return f"from_bytes({helper('unpack', Struct(f'{size}s').unpack_from)}({{buf}}, {{at}})[0], '{order}')"
    if shape.lane in _LETTERS:
        theirs, ours = _struct(shape, size // shape.lane), _struct(shape._replace(big=False), size // shape.lane)
        lanes = f"{helper('unpack', theirs.unpack_from)}({{buf}}, {{at}})"
        return f"from_bytes({helper('pack', ours.pack)}(*{lanes}), 'little')"
    return helper("decode", decoder(shape)) + f"({{buf}}[{{at}}:{{at}} + {size}])"


def _put(shape: Shape) -> str:
    """The statement that puts `{value}` at `{at}` of `{buf}`."""
    size, order = shape.size, "big" if shape.big else "little"
    if size == 1:
        return "{buf}[{at}] = {value}"
    whole = shape.lane == size
    if whole and size in _LETTERS:
        return helper("pack", _struct(shape, 1).pack_into) + "({buf}, {at}, {value})"
    if whole:
        packed = helper("pack", Struct(f"{size}s").pack_into)
        return f"{packed}({{buf}}, {{at}}, ({{value}}).to_bytes({size}, '{order}'))"
    if shape.lane in _LETTERS:
        theirs, ours = _struct(shape, size // shape.lane), _struct(shape._replace(big=False), size // shape.lane)
        lanes = f"{helper('unpack', ours.unpack)}(({{value}}).to_bytes({size}, 'little'))"
        return f"{helper('pack', theirs.pack_into)}({{buf}}, {{at}}, *{lanes})"
    return f"{{buf}}[{{at}}:{{at}} + {size}] = {helper('encode', encoder(shape))}({{value}})"


def _struct(shape: Shape, lanes: int) -> Struct:
    """So many integers of the whole value's width, or of a lane's."""
    return Struct(f"{'>' if shape.big else '<'}{lanes}{_LETTERS[shape.size // lanes]}")


# Atomics: the same accesses, one thread; a misaligned one is refused, since the four ISAs differ there.


@cache
def atomic(op: str, operation: str, type_: Type, big: bool) -> Recipe:
    """`atomic_load` (p), `atomic_store` (x, p), `atomic_rmw` (p, x), `atomic_cas` (p, e, x). Extras: memory, code."""
    shape = shape_of(type_, big)
    if op == "atomic_load":
        return load(shape, None, False, False, _MISALIGNED_ATOMIC)
    if op == "atomic_store":
        return store(shape, False, False, False, _MISALIGNED_ATOMIC)
    name = helper("atomic", _atomic_cas(shape) if op == "atomic_cas" else _atomic_rmw(operation, type_, shape))
    operands = len(OPCODES[op].args)
    results = len(OPCODES[op].results)

    def emit(extras: Sequence[str], outs: Sequence[str], ins: Sequence[str], prefix: str) -> list[str]:
        target = f"{outs[0]} = " if outs else ""
        return [f"{target}{name}({extras[0]}, {extras[1]}, {', '.join(ins)})"]

    return Recipe(emit, 2, results, operands)


def _place(m: Memory, code: str, address: int, size: int) -> tuple[bytearray, int]:
    if address % size and not m.excuses(address, size):
        raise Open(_MISALIGNED_ATOMIC)
    found = m.locate(address, size, code)
    return m.place(address, size, code) if m.is_world else found  # in a world what may be read may not be writable


def _atomic_cas(shape: Shape) -> Callable[..., int]:
    encode, decode, size = encoder(shape), decoder(shape), shape.size

    def run(m: Memory, code: str, address: int, expected: int, value: int) -> int:
        buf, at = _place(m, code, address, size)
        old = decode(buf[at : at + size])
        if old == expected:
            buf[at : at + size] = encode(value)
        return old

    return run


def _atomic_rmw(operation: str, type_: Type, shape: Shape) -> Callable[..., int]:
    encode, decode, size = encoder(shape), decoder(shape), shape.size
    combine = concrete.closure(meaning("atomic_rmw_op", type_, (type_, type_), (type_,), operation))

    def run(m: Memory, code: str, address: int, value: int) -> int:
        buf, at = _place(m, code, address, size)
        old = decode(buf[at : at + size])
        buf[at : at + size] = encode(combine(old, value))
        return old

    return run


def trap_of(flags: MemFlags) -> str:
    """The trap code of a faulting access, '' if it has none."""
    return "heap_oob" if flags.trap is None else flags.trap
