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
`Packing` turns values into the bytes of a row and back. It is made once per signature and byte order, cheaply: most
programs have a signature of their own.
It does not place or link trampolines (base.py).
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Sequence
from functools import cache, lru_cache
from itertools import repeat, starmap
from typing import Final, Literal, NamedTuple

from liftcheck import layout
from liftcheck.case import Target
from liftcheck.clif.ir import AbiParam, Signature
from liftcheck.clif.types import Type
from liftcheck.isa.base import isa_named

HEADER: Final = 80
STACK_POINTER: Final = 64
"""Where the trampoline notes the stack pointer before the call, then how it differs after it; the loop wants 0."""
WORDS: Final = 32
"""The trampoline, the stack pointer, the next row and the callee: what differs between runs of the same inputs."""
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
    ty = param.type
    return ty.is_int and not ty.is_vector and ty.bits < 64 and not param.extension


def _offsets(params: tuple[AbiParam, ...], start: int) -> tuple[tuple[int, ...], int]:
    """The offset of each field, and of the first byte after them."""
    offsets = []
    for param in params:
        offsets.append(start)
        start += -(-param.type.bytes // _FIELD) * _FIELD
    return tuple(offsets), start


@lru_cache(maxsize=256)
def trampoline_text(signature: Signature, name: str = "%trampoline", pinned: bool = False) -> str:
    """The CLIF text of the trampoline for `signature`, as one function called `name`. `pinned`: the callee may leave
    anything in the pinned register, which the loop counts among those that are saved; so it is put back."""
    arguments, after = _offsets(signature.params, HEADER)
    results, _ = _offsets(signature.returns, after)
    lines = [
        f"v0 = iconst.i64 {layout.CONTROL:#x}",
        "v1 = load.i64 notrap aligned v0",
        "v2 = load.i64 notrap aligned v1+24",
        "v3 = get_stack_pointer.i64",
        f"store notrap aligned v3, v1+{STACK_POINTER}",
    ]
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
    lines += [
        f"store notrap aligned {result}, {row}+{offset}" for result, offset in zip(returned, results, strict=True)
    ]
    lines += [
        f"v{value + 2} = load.i64 notrap aligned {row}+{STACK_POINTER}",
        f"v{value + 3} = get_stack_pointer.i64",
        f"v{value + 4} = bxor v{value + 2}, v{value + 3}",
        f"store notrap aligned v{value + 4}, {row}+{STACK_POINTER}",
    ]
    if pinned:
        lines = [f"v{value + 5} = get_pinned_reg.i64", *lines, f"set_pinned_reg v{value + 5}"]
    body = "\n".join("    " + line for line in [*lines, "return"])
    return f"function {name}() system_v {{\n    sig0 = {signature_text(signature)}\n\nblock0:\n{body}\n}}\n"


def keeps_pinned(target: Target) -> bool:
    """Whether a target has a pinned register (the other ISAs cannot write one)."""
    return isa_named(target.isa).pinned is not None and ("enable_pinned_reg", "true") in target.settings


def trampoline_target(target: Target) -> Target:
    """The target that a trampoline is compiled for: the same settings except for opt_level=none."""
    kept = tuple(setting for setting in target.settings if setting[0] != "opt_level")
    return Target(target.isa, tuple(sorted((*kept, ("opt_level", "none")))))


class Packing:
    """Rows of one signature in one byte order.

    size     bytes of a row, a multiple of 16
    results  offset of the results in a row
    """

    __slots__ = ("_answer", "_body", "_order", "_params", "_returns", "results", "size")

    def __init__(self, signature: Signature, big_endian: bool) -> None:
        _, self.results = _offsets(signature.params, HEADER)
        _, self.size = _offsets(signature.returns, self.results)
        self._params = [_field(param.type, _is_noisy(param), big_endian) for param in signature.params]
        self._returns = [_field(param.type, False, big_endian) for param in signature.returns]
        self._order = order = ">" if big_endian else "<"
        letters = "".join([field.letters for field in self._params])
        self._body = struct.Struct(f"{order}{HEADER - WORDS}x{letters}{self.size - self.results}x")
        self._answer = struct.Struct(order + "".join([field.letters for field in self._returns]))

    def pack(
        self, trampoline: int, stack: int, following: int, callee: int, noise: int, arguments: Sequence[int]
    ) -> bytes:
        """A row's bytes. `noise` gives the unspecified upper bits of narrow arguments."""
        (body,) = self.bodies([arguments], (noise,))
        return struct.pack(self._order + "4Q", trampoline, stack, following, callee) + body

    def bodies(self, inputs: Sequence[Sequence[int]], noise: Iterable[int]) -> tuple[bytes, ...]:
        """The rows of these inputs without their first four words, which say where things are."""
        return _packed(self._body, self._params, inputs, noise)

    def rows(self, trampoline: int, stack: int, start: int, callee: int, bodies: Sequence[bytes]) -> bytes:
        """Rows that follow one another, the first at address `start`."""
        fields: list[int | bytes] = []
        for body in bodies:
            start += self.size
            fields += (trampoline, stack, start, callee, body)
        return _rows(self._order, self.size, len(bodies)).pack(*fields)

    def unpack(self, buffer: bytes, row: int) -> tuple[int, ...]:
        """The results of the row at an offset, unsigned."""
        found = self._answer.unpack_from(buffer, row + self.results)
        return tuple([field.take(value) if field.take else value for field, value in zip(self._returns, found)])

    def answers(self, values: Sequence[Sequence[int]]) -> tuple[bytes, ...]:
        """What rows that returned these have from `results` on; ValueError, OverflowError or struct.error if they are
        not values of the signature's types."""
        return _packed(self._answer, self._returns, values, repeat(0))

    def answers_in(self, rows: bytes, at: int, count: int) -> tuple[bytes, ...]:
        """What `count` rows, the first at offset `at`, have from `results` on."""
        return _results(self.results, self.size, count).unpack_from(rows, at)


@lru_cache(maxsize=4096)
def packing(signature: Signature, big_endian: bool) -> Packing:
    """The `Packing` of a signature, made once."""
    return Packing(signature, big_endian)


@cache
def _rows(order: str, size: int, count: int) -> struct.Struct:
    return struct.Struct(order + f"4Q{size - WORDS}s" * count)


@cache
def _results(results: int, size: int, count: int) -> struct.Struct:
    return struct.Struct("<" + f"{results}x{size - results}s" * count)


def _packed(
    form: struct.Struct, fields: Sequence[_Field], rows: Sequence[Sequence[int]], noise: Iterable[int]
) -> tuple[bytes, ...]:
    """Rows of values, each as `form` packs it; column by column, as most columns need nothing more. `noise` is for the
    rows in order, and starts anew for every column."""
    if not rows:
        return ()
    given = [*zip(*rows, strict=True)]
    columns = [
        [*map(field.put, column, noise)] if field.put else column for field, column in zip(fields, given, strict=True)
    ]
    return tuple(starmap(form.pack, zip(*columns))) if columns else (form.pack(),) * len(rows)


class _Field(NamedTuple):
    """How a value lies in its field: struct's letters for one value; `put` makes that of an argument and noise, `take`
    a result of it; None: it is the value."""

    letters: str
    put: Callable[[int, int], int | bytes] | None = None
    take: Callable[[bytes], int] | None = None


@cache
def _field(ty: Type, noisy: bool, big_endian: bool) -> _Field:
    if noisy:
        upper = _MASK64 ^ ty.mask
        return _Field("Q8x", lambda value, noise: value | noise & upper)
    size, lane = ty.bytes, ty.lane_bits // 8
    padding = f"{-size % _FIELD}x"
    if ty.is_vector and big_endian:
        return _Field(
            f"{size}s{padding}", lambda value, _: swap_lanes(value, lane, size), lambda raw: join_lanes(raw, lane)
        )
    if size <= 8:
        return _Field(_LETTERS[ty.bits] + padding)
    order: Literal["big", "little"] = "big" if big_endian else "little"
    return _Field(
        f"{size}s{padding}", lambda value, _: value.to_bytes(size, order), lambda raw: int.from_bytes(raw, order)
    )


def swap_lanes(value: int, lane_bytes: int, size: int) -> bytes:
    """A vector's bytes in memory of a big-endian target: lane 0 first, each lane's highest byte first."""
    raw = value.to_bytes(size, "big")
    return b"".join([raw[at : at + lane_bytes] for at in range(size - lane_bytes, -1, -lane_bytes)])


def join_lanes(raw: bytes, lane_bytes: int) -> int:
    """The inverse of `swap_lanes`."""
    return int.from_bytes(
        b"".join([raw[at : at + lane_bytes] for at in range(len(raw) - lane_bytes, -1, -lane_bytes)]), "big"
    )
