"""How the programs of `exhaustive` look: few instructions, boundary values, every result in memory.

The one idea: a program has one parameter, the address of its data region. Registers are loaded there in a block before,
from where no backend takes them into another instruction; an operand in memory is loaded just before its only use.
What is loaded lies in the region once for each byte order, and two bytes at its start say where: so values are the same
on every ISA. Every result is stored in a place of its own.
Nothing is random here: a program is a function of its unit (`Single` or `Edge`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Final

from liftcheck.bits.floats import FORMATS
from liftcheck.case import Case
from liftcheck.clif.ir import NO_FLAGS, AbiParam, BlockCall, Inst, MemFlags, Module, Signature, StackSlot
from liftcheck.clif.opcodes import OPCODES, WHOLE
from liftcheck.clif.types import I32, I64, Type
from liftcheck.clif.values import floats, integers
from liftcheck.generators import exhaustive
from liftcheck.generators.body import Body
from liftcheck.generators.exhaustive import CONSTANT, CONSTANTS, EVALUATIONS, MEMORY, NARROW, RUNS, WIDE, Edge, Single
from liftcheck.generators.profiles import PROFILES
from liftcheck.generators.program import Program
from liftcheck.generators.rows import Row
from liftcheck.generators.tables import LITTLE, Context, access_bytes
from liftcheck.isa import BIG_ENDIAN
from liftcheck.layout import SLOT_SIZE, slot_address

_BIG_COPY, _RESULTS, _LITTLE_COPY = 0x8, 0x400, 0x800
_PROBE: Final = bytes([0, _LITTLE_COPY >> 8])
"""Read as two bytes it is where the operands of the reader's own byte order lie."""
assert (_PROBE[0] << 8 | _PROBE[1], _PROBE[1] << 8 | _PROBE[0]) == (_BIG_COPY, _LITTLE_COPY)
_MIDDLE: Final = SLOT_SIZE // 2
_CODE: Final = "user1"
_TRIPLE: Final = 5
"""Values of each of three operands."""


# -- values


@cache
def boundary(ty: Type, count: int) -> tuple[int, ...]:
    """The `count` values of a type that are worth most, the best first; fewer if it has not so many."""
    if ty.is_vector:
        lanes = boundary(ty.lane, max(count, 2 * ty.lanes))
        return tuple(dict.fromkeys(_vector(ty, lanes, number) for number in range(count)))
    first = _floats(ty.bits) if ty.is_float else _integers(ty.bits)
    rest = floats(ty.bits) if ty.is_float else integers(ty.bits)
    return tuple(dict.fromkeys([*first, *rest]))[:count]


def _integers(width: int) -> list[int]:
    top, mask = 1 << (width - 1), (1 << width) - 1
    pattern = 0x0123456789ABCDEFFEDCBA9876543210DEADBEEF12345678
    return [
        value & mask for value in (0, 1, -1, top, top - 1, width - 1, pattern, width, 2, top + 1, -2, 127, 128, -128)
    ]


def _floats(width: int) -> list[int]:
    form = FORMATS[width]
    one, top, sign = ((1 << (form.exponent - 1)) - 1) << form.stored, form.infinity, form.sign
    nan = top | 1 << (form.stored - 1) | 5
    return [0, sign, one, sign | one | 1 << (form.stored - 1), top, nan, 1, top - 1, sign | top, sign | nan, sign | 1,
            top | 3, sign | top - 1, one + 1]  # fmt: skip


def _vector(ty: Type, lanes: Sequence[int], number: int) -> int:
    """Equal lanes first, then different ones."""
    if number < 4:
        picks = [lanes[number % len(lanes)]] * ty.lanes
    else:
        picks = [lanes[(number * 3 + lane * (1 + 2 * (number & 1))) % len(lanes)] for lane in range(ty.lanes)]
    return sum(pick << ty.lane_bits * lane for lane, pick in enumerate(picks))


@cache
def values_of(row: Row, place: int, count: int) -> tuple[int, ...]:
    """The values worth most of an operand: of amounts of shifts and of floats that become integers other ones."""
    ty, family = row.args[place], OPCODES[row.op].family
    if family == "shift" and place == 1:
        width = row.args[0].lane_bits
        amounts = [0, 1, width - 1, width, width + 1, 2 * width - 1, -1, width // 2, *boundary(ty, count)]
        return tuple(dict.fromkeys(amount & ty.mask for amount in amounts))[:count]
    if row.op in ("fcvt_to_uint", "fcvt_to_sint", "fcvt_to_uint_sat", "fcvt_to_sint_sat") and not ty.is_vector:
        assert row.type is not None
        bounds = _bounds(ty, row.type.bits)
        return tuple(dict.fromkeys([*bounds, *boundary(ty, count)]))[:count]
    return boundary(ty, count)


def _bounds(ty: Type, width: int) -> list[int]:
    """Floats on both sides of what fits into an integer of a width, signed or not."""
    form = FORMATS[ty.bits]
    bias = (1 << (form.exponent - 1)) - 1
    high, whole = (min((power + bias) << form.stored, form.infinity) for power in (width - 1, width))
    below = form.sign | high
    return [high, high - 1, below, below + 1, whole - 1, whole, form.sign | bias << form.stored, form.infinity | 9]


# -- one program


class Maker:
    """A program in the making."""

    def __init__(self, context: Context, isas: tuple[str, ...]) -> None:
        program = Program(lambda _: 0, PROFILES["default"], context, "f", isas)
        self.body: Final = Body(program, "%f0", Signature((AbiParam(I64),), (), "system_v"))
        self.region: Final = self.body.function.blocks[0].params[0][0]
        self.before: Final = self.body.insts
        self.contents: Final[list[tuple[Type, int, Sequence[int]]]] = []
        self._used, self._result = 0, _RESULTS
        orders = {isa in BIG_ENDIAN for isa in isas}
        self.mixed: Final = len(orders) > 1
        self.operands = self.region
        self._away = 0 if self.mixed else _BIG_COPY if True in orders else _LITTLE_COPY
        if self.mixed:
            where = self.body.ins("uload16", I64, (self.region,), I64)
            self.operands = self.body.ins("iadd", I64, (self.region, where), I64)
        self.body.start(self.body.block())

    def _place(self, ty: Type, values: Sequence[int]) -> int:
        """A place for an operand that has these values in the runs."""
        at = -(-self._used // ty.bytes) * ty.bytes
        self._used = at + ty.bytes
        assert self._used <= _RESULTS - _BIG_COPY
        self.contents.append((ty, at, values))
        return at + self._away

    def register(self, ty: Type, values: Sequence[int]) -> int:
        """A value that is in a register when the block begins."""
        value = self.body.n
        self.body.n += 1
        self.body.types[value] = ty
        at = self._place(ty, values)
        self.before.append(Inst("load", ty, (value,), (self.operands,), None, NO_FLAGS, at))
        return value

    def memory(self, ty: Type, values: Sequence[int]) -> int:
        """A value that is loaded here, for the next instruction."""
        return self.body.ins("load", ty, (self.operands,), ty, None, NO_FLAGS, self._place(ty, values))

    def loaded(self, row: Row, values: Sequence[int]) -> int:
        """The same by a load that widens."""
        result = row.results[0]
        return self.body.ins(row.op, row.type, (self.operands,), result, None, NO_FLAGS, self._place(I64, values))

    def apply(self, row: Row, args: tuple[int, ...], imm: object) -> list[int]:
        """One instruction; gives its results."""
        body = self.body
        if row.op == "brif":
            join = body.block((I32,))
            then, other = body.const(I32, 1), body.const(I32, 0)
            body.brif(args[0], BlockCall(join.number, (then,)), BlockCall(join.number, (other,)))
            body.start(join)
            return [join.params[0][0]]
        if row.op in ("trapz", "trapnz", "uadd_overflow_trap"):
            imm = _CODE
        if row.imm == "mask":
            assert isinstance(imm, tuple)
            imm = body.mask(imm[0] | imm[1] << 3)
        first = body.apply(row, args, imm)
        made = body.insts[-1].results
        return list(made) if first >= 0 and made else []

    def can_show(self, ty: Type) -> bool:
        """Whether a NaN of a type can be replaced where its ISAs have little for it: vectors that they only splat."""
        return not ty.is_float or bool(self.body.program.cleaner(ty)) or ty in self.body.const_of

    def keep(self, value: int) -> None:
        """Stores a result, with a fixed value in place of a NaN whose bits are open."""
        ty = self.body.types[value]
        at = -(-self._result // ty.bytes) * ty.bytes
        self._result = at + ty.bytes
        assert self._result <= _LITTLE_COPY
        self.body.effect("store", ty, (self.body.clean(value), self.region), None, NO_FLAGS, at)

    def case(self, slot: int, name: str, tags: Mapping[str, object]) -> Case:
        """The program with its runs, in the data regions from `slot` on."""
        body = self.body
        self.before.append(Inst("jump", None, targets=(BlockCall(1, ()),)))
        body.insts.append(Inst("return", None))
        inputs = tuple((slot_address(slot + run),) for run in range(RUNS))
        memories = tuple(self._content(run) for run in range(RUNS))
        return Case(Module([body.function]), 0, inputs, memories, slot, name, tags)

    def _content(self, run: int) -> bytes:
        content = bytearray(bytes(range(256)) * (SLOT_SIZE // 256))
        content[: len(_PROBE)] = _PROBE
        for ty, at, values in self.contents:
            value = values[run % len(values)]
            for start, big in ((_LITTLE_COPY, False), (_BIG_COPY, True)):
                content[start + at : start + at + ty.bytes] = _in_memory(ty, value, big)
        return bytes(content)


def _in_memory(ty: Type, value: int, big: bool) -> bytes:
    if not big:
        return value.to_bytes(ty.bytes, "little")
    lanes = [value >> ty.lane_bits * lane & ty.lane_mask for lane in range(ty.lanes)]
    return b"".join(lane.to_bytes(ty.lane_bits // 8, "big") for lane in lanes)


def emit(space: exhaustive.Space, number: int, slot: int, name: str, tags: Mapping[str, object]) -> Case:
    """Program `number` of a space."""
    unit = space[number]
    maker = Maker(space.context, unit.isas)
    if isinstance(unit, Edge):
        _edge(maker, unit, space.rows[unit.first][0], space.rows[unit.second][0])
    else:
        _single(maker, unit, space.rows[unit.key][0])
    about = {"profile": "exhaustive", "isas": unit.isas, "may_trap": True, "endian_sensitive": maker.mixed}
    return maker.case(slot, name, {**about, **tags})


# -- singles


def _single(maker: Maker, unit: Single, row: Row) -> None:
    opcode = OPCODES[row.op]
    if opcode.address is not None:
        _accesses(maker, unit, row)
    elif opcode.family == "const":
        for value in boundary(row.results[0], 8 * EVALUATIONS)[unit.part :: 8]:
            maker.keep(maker.body.const(row.results[0], value))
    elif not row.args:
        maker.apply(row, (), unit.imm)
    else:
        each = 1 if exhaustive.traps(row) else EVALUATIONS
        for number in range(unit.part * each, (unit.part + 1) * each):
            _evaluate(maker, unit, row, number)


def _evaluate(maker: Maker, unit: Single, row: Row, number: int) -> None:
    """Evaluation `number` of a form."""
    args = []
    for place, kind in enumerate(unit.form):
        values = _operand(row, unit.form, place, number)
        if kind == CONSTANT:
            args.append(maker.body.const(row.args[place], values[0]))
        elif kind == MEMORY:
            args.append(maker.memory(row.args[place], values))
        else:
            args.append(maker.register(row.args[place], values))
    for result in maker.apply(row, tuple(args), unit.imm):
        maker.keep(result)


def _operand(row: Row, form: str, place: int, number: int) -> list[int]:
    """The values of an operand in the runs of evaluation `number`; a constant is the first of them."""
    arity, fixed = len(form), form.count(CONSTANT)
    if form[place] == CONSTANT:
        count = CONSTANTS if fixed == 1 else NARROW if arity == 2 else 4
        values = values_of(row, place, count)
        turned = number // count**place if fixed > 1 else number
        if row.imm == "distinct" and place and fixed > 1 and turned % count == number % count:
            turned += 1  # see `Row`
        return [values[turned % len(values)]]
    if fixed or arity == 1:
        values = values_of(row, place, NARROW if fixed else NARROW * RUNS)
        step = (number if not fixed else place) * RUNS
        return [values[((run * (2 * place + 1)) + step) % len(values)] for run in range(RUNS)]
    count = _TRIPLE if arity == 3 else NARROW if MEMORY in form or exhaustive.traps(row) else WIDE
    values = values_of(row, place, count)
    return [values[(number * RUNS + run) // count**place % count % len(values)] for run in range(RUNS)]


# -- accesses


def _accesses(maker: Maker, unit: Single, row: Row) -> None:
    """An access by every shape of address, of values in registers or constants."""
    opcode = OPCODES[row.op]
    no_offset = "NoOffset" in opcode.format.name or row.op.startswith("atomic")
    for number, (address, offset, flags) in enumerate(_addresses(maker, row, no_offset)):
        args = []
        for place, ty in enumerate(row.args):
            if place == opcode.address:
                args.append(address)
                continue
            values = boundary(ty, CONSTANTS)
            if unit.form[:1] == CONSTANT:
                args.append(maker.body.const(ty, values[(number + 5 * place) % len(values)]))
            else:
                args.append(
                    maker.register(ty, [values[(number + 5 * place + 3 * run) % len(values)] for run in range(RUNS)])
                )
        results = row.results
        if not results:
            maker.body.effect(row.op, row.type, tuple(args), unit.imm, flags, offset)
            continue
        made = maker.body.ins(row.op, row.type, tuple(args), results[0], unit.imm, flags, offset)
        maker.keep(made)


def _addresses(maker: Maker, row: Row, no_offset: bool) -> Iterator[tuple[int, int, MemFlags]]:
    """Addresses with offsets and flags: what addressing modes are made of, each as far as it may reach."""
    body, region, size = maker.body, maker.region, access_bytes(row)
    step = size if no_offset else 1
    last = SLOT_SIZE - size
    yield region, 0, NO_FLAGS
    for offset in () if no_offset else (1, 8, 255, 256, 257, 2047, 2048, last):
        yield region, offset, NO_FLAGS
    for away in (step, _MIDDLE, last):
        yield body.ins("iadd", I64, (region, body.const(I64, away)), I64), 0, NO_FLAGS
    middle = body.ins("iadd", I64, (region, body.const(I64, _MIDDLE)), I64)
    for offset in () if no_offset else (-1, -8, -256, -257, -2048):
        yield middle, offset, NO_FLAGS
    index = maker.register(I64, [run * step for run in range(RUNS)])
    shifts = () if no_offset else (1, 2, 3, 4)
    for operand in (index, *(body.ins("ishl", I64, (index, body.const(I32, shift)), I64) for shift in shifts)):
        yield body.ins("iadd", I64, (region, operand), I64), 0, NO_FLAGS
    small = maker.register(I32, [-run * step & I32.mask for run in range(RUNS)])
    yield body.ins("iadd", I64, (middle, body.ins("sextend", I64, (small,), I64)), I64), 0, NO_FLAGS
    narrow = maker.register(I32, [run * step for run in range(RUNS)])
    yield body.ins("iadd", I64, (region, body.ins("uextend", I64, (narrow,), I64)), I64), 0, NO_FLAGS
    both = body.ins("iadd", I64, (body.ins("iadd", I64, (region, index), I64), body.const(I64, 4 * size)), I64)
    yield both, 0 if no_offset else 4, NO_FLAGS
    if OPCODES[row.op].access == WHOLE:
        yield region, 0, LITTLE
    yield _slot(maker), 0, NO_FLAGS


def _slot(maker: Maker) -> int:
    """The address of a stack slot that is wholly written."""
    body, slots = maker.body, maker.body.function.stack_slots
    slots[0] = StackSlot(16, 16 if body.program.can_say("alignment_of_slot") else 1)
    at, filler = body.ins("stack_addr", I64, (), I64, 0), maker.register(I64, boundary(I64, RUNS))
    for offset in (0, 8):
        body.effect("store", I64, (filler, at), None, NO_FLAGS, offset)
    return at


# -- edges


def _edge(maker: Maker, edge: Edge, first: Row, second: Row) -> None:
    count = exhaustive.evaluations(edge, first, second)
    for number in range(count) if edge.part < 0 else (edge.part,):
        place, with_constants = edge.places[number % len(edge.places)], number >= len(edge.places)
        salt = edge.salt + number
        value = _producer(maker, first, with_constants, salt)
        if not all(map(maker.can_show, second.results)):
            value = maker.body.clean(value)
        args = []
        for other in range(len(second.args)):
            if other == OPCODES[second.op].address:
                args.append(maker.region)
            else:
                args.append(value if other == place else _other(maker, second, other, with_constants, 7 * salt))
        imm = _turned(exhaustive.immediates(second), salt // 3)
        if OPCODES[second.op].address is not None:
            maker.body.effect(second.op, second.type, tuple(args), None, NO_FLAGS, _RESULTS + 16 * number)
            continue
        for result in maker.apply(second, tuple(args), imm):
            maker.keep(result)


def _producer(maker: Maker, row: Row, with_constants: bool, salt: int) -> int:
    """The first result of the first typing."""
    if OPCODES[row.op].address is not None:
        values = boundary(I64, NARROW)
        return maker.loaded(row, [values[(run + salt) % len(values)] for run in range(RUNS)])
    args = tuple(
        _other(maker, row, place, with_constants and place > 0 and place == len(row.args) - 1, salt)
        for place in range(len(row.args))
    )
    return maker.apply(row, args, _turned(exhaustive.immediates(row), salt))[0]


def _other(maker: Maker, row: Row, place: int, is_constant: bool, salt: int) -> int:
    """An operand that is not a result."""
    ty = row.args[place]
    if is_constant:
        values = values_of(row, place, CONSTANTS)
        return maker.body.const(ty, values[salt % len(values)])
    values = values_of(row, place, NARROW)
    return maker.register(ty, [values[(run * (2 * place + 1) + salt) % len(values)] for run in range(RUNS)])


def _turned(choices: Sequence[object], salt: int) -> object:
    return choices[salt % len(choices)]
