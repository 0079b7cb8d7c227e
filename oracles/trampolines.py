"""Trampolines: functions, compiled by the compiler under test, that carry one run's arguments and results.

The one idea: a runner's loop knows no calling convention. It calls `function %trampolineN() system_v`, whose text is
made here for a signature; that function finds the current row through `layout.CONTROL`, loads callee and arguments from
it, calls indirectly with the callee's own signature, finds the row anew (so nothing but results lives over the call)
and stores the results there. It also compares the stack pointer before and after the call, which its own
epilogue would hide from the loop. Narrow integers without an extension flag are loaded as i64 and reduced: the noise
that `pack` puts into the upper bits reaches the callee's registers.

A row is a header of `HEADER` bytes (stubs/x86-64.s says what is where), then arguments, then results, each in a field
of 16 bytes or a multiple. Vectors are stored lane by lane from lane 0, every lane in the target's byte order, as CLIF's
own loads and stores have it; i128 and f128 in the target's byte order.
`Packing` turns values into the bytes of a row and back; it is made once per signature and byte order, as generated
Python over one precompiled struct, because it runs once for every input.
It does not place or link trampolines (runner_base.py).
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from functools import lru_cache
from typing import Final

from liftcheck import layout
from liftcheck.case import Target
from liftcheck.clif.ir import AbiParam, Signature
from liftcheck.clif.types import Type

HEADER: Final = 80
STACK_POINTER: Final = 64
"""Where the trampoline notes the stack pointer before the call, then how it differs behind it; the loop wants 0."""
_FIELD: Final = 16
_LETTERS: Final = {8: "B", 16: "H", 32: "I", 64: "Q"}
_MASK64: Final = (1 << 64) - 1


def signature_text(signature: Signature) -> str:
    """`(i32 uext, i64 sret) -> i8 system_v`, as CLIF text has it."""
    returns = f" -> {', '.join(map(_param_text, signature.returns))}" if signature.returns else ""
    convention = f" {signature.call_conv}" if signature.call_conv else ""
    return f"({', '.join(map(_param_text, signature.params))}){returns}{convention}"


def _param_text(param: AbiParam) -> str:
    return " ".join(filter(None, (param.type.name, param.extension, param.purpose)))


def _is_noisy(param: AbiParam) -> bool:
    """Whether the register's bits above the value are unspecified, so that noise belongs there."""
    kind = param.type
    return kind.is_int and not kind.is_vector and kind.bits < 64 and not param.extension


def _offsets(params: tuple[AbiParam, ...], start: int) -> tuple[tuple[int, ...], int]:
    """The offset of each field, and of the first byte behind them."""
    offsets = []
    for param in params:
        offsets.append(start)
        start += -(-param.type.bytes // _FIELD) * _FIELD
    return tuple(offsets), start


@lru_cache(maxsize=256)
def trampoline_text(signature: Signature, name: str = "%trampoline") -> str:
    """The CLIF text of the trampoline for `signature`, as one function called `name`."""
    arguments, behind = _offsets(signature.params, HEADER)
    results, _ = _offsets(signature.returns, behind)
    lines = [f"v0 = iconst.i64 {layout.CONTROL:#x}", "v1 = load.i64 notrap aligned v0",
             "v2 = load.i64 notrap aligned v1+24", "v3 = get_stack_pointer.i64",
             f"store notrap aligned v3, v1+{STACK_POINTER}"]  # fmt: skip
    passed, value = [], 4
    for param, offset in zip(signature.params, arguments, strict=True):
        loaded = "i64" if _is_noisy(param) else param.type.name
        lines.append(f"v{value} = load.{loaded} notrap aligned v1+{offset}")
        if _is_noisy(param):
            value += 1
            lines.append(f"v{value} = ireduce.{param.type.name} v{value - 1}")
        passed.append(f"v{value}")
        value += 1
    returned = [f"v{value + i}" for i in range(len(results))]
    value += len(results)
    assigned = f"{', '.join(returned)} = " if returned else ""
    lines.append(f"{assigned}call_indirect sig0, v2({', '.join(passed)})")
    row = f"v{value + 1}"
    lines += [f"v{value} = iconst.i64 {layout.CONTROL:#x}", f"{row} = load.i64 notrap aligned v{value}"]
    lines += [f"store notrap aligned {result}, {row}+{offset}"
              for result, offset in zip(returned, results, strict=True)]  # fmt: skip
    lines += [f"v{value + 2} = load.i64 notrap aligned {row}+{STACK_POINTER}",
              f"v{value + 3} = get_stack_pointer.i64", f"v{value + 4} = bxor v{value + 2}, v{value + 3}",
              f"store notrap aligned v{value + 4}, {row}+{STACK_POINTER}"]  # fmt: skip
    body = "\n".join("    " + line for line in [*lines, "return"])
    return f"function {name}() system_v {{\n    sig0 = {signature_text(signature)}\n\nblock0:\n{body}\n}}\n"


def trampoline_target(target: Target) -> Target:
    """The target that a trampoline is compiled for: the same settings but for opt_level=none."""
    kept = tuple(setting for setting in target.settings if setting[0] != "opt_level")
    return Target(target.isa, tuple(sorted((*kept, ("opt_level", "none")))))


class Packing:
    """Rows of one signature in one byte order.

    size     bytes of a row, a multiple of 16
    pack     (trampoline, stack pointer, next row, callee, noise, arguments) -> the row's bytes
    unpack   (buffer, offset of a row) -> the results, unsigned
    """

    __slots__ = ("pack", "size", "unpack")

    def __init__(self, signature: Signature, big_endian: bool) -> None:
        _, behind = _offsets(signature.params, HEADER)
        _, self.size = _offsets(signature.returns, behind)
        self.pack: Callable[[int, int, int, int, int, tuple[int, ...]], bytes] = _packer(
            signature.params, self.size, big_endian
        )
        self.unpack: Callable[[object, int], tuple[int, ...]] = _unpacker(signature.returns, behind, big_endian)


@lru_cache(maxsize=4096)
def packing(signature: Signature, big_endian: bool) -> Packing:
    """The `Packing` of a signature, made once."""
    return Packing(signature, big_endian)


def _packer(params: tuple[AbiParam, ...], size: int, big_endian: bool) -> Callable[..., bytes]:
    form, values = f"4Q{HEADER - 32}x", []
    for index, param in enumerate(params):
        letters, expressions = _pack_field(param, f"a[{index}]", big_endian)
        form += letters
        values += expressions
    order = ">" if big_endian else "<"
    row = struct.Struct(f"{order}{form}{size - struct.calcsize(order + form)}x")
    head = "trampoline, sp, following, callee"
    source = f"lambda {head}, n, a: pack({', '.join([head, *values])})"
    made: Callable[..., bytes] = eval(source, {"pack": row.pack, "swap": swap_lanes})
    return made


def _pack_field(param: AbiParam, value: str, big_endian: bool) -> tuple[str, list[str]]:
    """Struct letters that fill the field, and the expressions for them."""
    kind = param.type
    if _is_noisy(param):
        return "Q8x", [f"{value} | n & {_MASK64 ^ kind.mask:#x}"]
    letters, parts = _letters(kind, big_endian)
    if parts == 1:
        return letters, [value]
    if "s" in letters:
        return letters, [f"swap({value}, {kind.lane_bits // 8}, {kind.bytes})"]
    words = [f"{value} >> {64 * i} & {_MASK64:#x}" for i in range(parts)]
    return letters, words[::-1] if big_endian else words


def _letters(kind: Type, big_endian: bool) -> tuple[str, int]:
    """Struct letters for a value of a type, padded to its field, and how many Python values they take."""
    padding = f"{-kind.bytes % _FIELD}x" if kind.bytes % _FIELD else ""
    if kind.is_vector and big_endian:
        return f"{kind.bytes}s{padding}", 2
    if kind.bits <= 64:
        return _LETTERS[kind.bits] + padding, 1
    return f"{kind.bits // 64}Q{padding}", kind.bits // 64


def swap_lanes(value: int, lane_bytes: int, size: int) -> bytes:
    """A vector's bytes in memory of a big-endian target: lane 0 first, each lane's highest byte first."""
    raw = value.to_bytes(size, "big")
    return b"".join([raw[at : at + lane_bytes] for at in range(size - lane_bytes, -1, -lane_bytes)])


def join_lanes(raw: bytes, lane_bytes: int) -> int:
    """The inverse of `swap_lanes`."""
    return int.from_bytes(
        b"".join([raw[at : at + lane_bytes] for at in range(len(raw) - lane_bytes, -1, -lane_bytes)]), "big"
    )


def _unpacker(returns: tuple[AbiParam, ...], start: int, big_endian: bool) -> Callable[..., tuple[int, ...]]:
    form, names, values = "", 0, []
    for param in returns:
        kind = param.type
        letters, parts = _letters(kind, big_endian)
        if "s" in letters:
            values.append(f"join(w[{names}], {kind.lane_bits // 8})")
            names += 1
        else:
            order = range(parts - 1, -1, -1) if big_endian else range(parts)
            values.append(" | ".join(f"w[{names + i}] << {64 * k}" if k else f"w[{names + i}]"
                                     for k, i in enumerate(order)))  # fmt: skip
            names += parts
        form += letters
    fields = struct.Struct((">" if big_endian else "<") + form)
    read = fields.unpack_from
    if names == len(returns) and all("join" not in value for value in values):
        return lambda buffer, row: read(buffer, row + start)
    source = f"lambda b, row: (lambda w: ({', '.join(values)},))(read(b, row + {start}))"
    made: Callable[..., tuple[int, ...]] = eval(source, {"read": read, "join": join_lanes})
    return made
