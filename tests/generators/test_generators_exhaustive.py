"""All small programs: each has its number, is well-formed, holds what it is for, and means the same in each byte
order."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

import pytest

from liftcheck.case import Case
from liftcheck.clif.opcodes import OPCODES, key_of, variants
from liftcheck.clif.types import TYPES, by_name
from liftcheck.clif.verify import verify
from liftcheck.generators.exhaustive import CONSTANTS, NARROW, RUNS, WIDE, Edge, Single, Space, immediates, traps
from liftcheck.generators.exhaustive_emit import _LITTLE_COPY, _RESULTS, boundary, emit, values_of
from liftcheck.generators.tables import Context
from liftcheck.isa import ISAS
from liftcheck.oracles.reference import interpret

FEW = ("iadd.", "sdiv.i", "fadd.f64", "icmp.i8", "uload8.", "istore8.", "store.", "load.", "iconst.", "brif.",
       "select.i32", "splat.i8x16", "trapz.i8", "vconst.", "fcmp.f64", "bitcast.", "uextend.", "iconcat.i64",
       "uadd_overflow.i32", "shuffle", "band.", "f64const", "sextend.", "ishl.i64", "atomic_rmw.i32", "atomic_cas.i64",
       "stack_addr")  # fmt: skip


def has(key: str) -> bool:
    return key.startswith(FEW)


@pytest.fixture(scope="module")
def space() -> Space:
    """Of a compiler that has a few opcodes, all of them everywhere but vectors, which riscv64 has not."""
    every = {variant.key for name in OPCODES for variant in variants(name) if has(variant.key)}
    plain = {key for key in every if "x" not in key.partition(".")[2]}
    return Space(Context(ISAS, {isa: plain if isa == "riscv64" else every for isa in ISAS}))


def numbers(space: Space, step: int = 1) -> Iterator[tuple[int, Case]]:
    for number in range(0, len(space), step):
        yield number, emit(space, number, 0, "one", {})


def test_every_number_is_another_program(space: Space) -> None:
    units = [space[number] for number in range(len(space))]
    assert len(set(units)) == len(units) == space.singles + space.edges
    assert {unit.key for unit in units if isinstance(unit, Single)} == set(space.rows)
    assert len({(unit.first, unit.second) for unit in units if isinstance(unit, Edge)}) == space.pairs()


def test_what_has_no_place_is_said(space: Space) -> None:
    keys = set(space.context.keys())
    assert set(space.rows) | set(space.left_out()) == keys and not set(space.rows) & set(space.left_out())
    assert "takes more than operands" in space.left_out()["stack_addr.i64"]


def test_programs_are_well_formed_and_hold_what_they_are_for(space: Space) -> None:
    for number, case in numbers(space, 7):
        (function,) = case.module.functions
        assert not verify(case.module), (space[number], verify(case.module))
        unit = space[number]
        held = [key_of(inst, function.types) for block in function.blocks for inst in block.insts]
        wanted = [unit.first, unit.second] if isinstance(unit, Edge) else [unit.key]
        assert all(key in held for key in wanted), unit
        assert case.tags["isas"] == unit.isas and len(case.inputs) == RUNS


def test_a_nan_in_a_vector_that_is_only_splat_is_replaced_before() -> None:
    """Of ISAs that have no comparison and no constant of the vector's type."""
    having = ("ceil.f32", "splat.f32x2", "store.", "load.", "iadd.i64", "iconst.", "select.f32", "fcmp.f32", "f32const")
    keys = {variant.key for name in OPCODES for variant in variants(name) if variant.key.startswith(having)}
    space = Space(Context(ISAS, {isa: {key for key in keys if "fcmp.f32x" not in key} for isa in ISAS}))
    edges = {number: space[number] for number in range(space.singles, len(space))}
    found = [
        number for number, unit in edges.items() if isinstance(unit, Edge) and unit[:2] == ("ceil.f32", "splat.f32x2")
    ]
    assert found
    for number in found:
        case = emit(space, number, 0, "one", {})
        assert not verify(case.module)
        ops = [inst.op for block in case.module.functions[0].blocks for inst in block.insts]
        assert ops.index("fcmp") < ops.index("select") < ops.index("splat")


def test_the_first_result_of_an_edge_is_an_operand_of_the_second(space: Space) -> None:
    seen = 0
    for number in range(space.singles, len(space), 11):
        unit, (function,) = space[number], emit(space, number, 0, "one", {}).module.functions
        assert isinstance(unit, Edge)
        insts = [inst for block in function.blocks for inst in block.insts]
        made = {inst.results[0] for inst in insts if key_of(inst, function.types) == unit.first}
        takers = [inst for inst in insts if key_of(inst, function.types) == unit.second]
        direct = [inst for inst in takers if made.intersection(inst.args)]
        assert direct or by_name(function.types[min(made)].name).is_float, unit  # a NaN may stand between
        seen += bool(direct)
    assert seen > 50


def test_every_immediate_and_every_kind_of_operand_is_tried(space: Space) -> None:
    singles = [unit for number in range(space.singles) if isinstance(unit := space[number], Single)]
    assert {unit.imm for unit in singles if unit.key == "icmp.i8"} == set(immediates(space.rows["icmp.i8"][0]))
    assert {unit.form for unit in singles if unit.key == "iadd.i32"} == {a + b for a in "rcm" for b in "rcm"}
    assert {"rrr", "ccc", "mmm", "rcr", "rrm"} <= {unit.form for unit in singles if unit.key.startswith("select.i32")}


def operands(space: Space, key: str, form: str) -> set[tuple[int, int]]:
    """The pairs of values that iadd.i32 meets in a form, as the region holds them."""
    met: set[tuple[int, int]] = set()
    for number in range(space.singles):
        unit = space[number]
        if not (isinstance(unit, Single) and unit.key == key and unit.form == form):
            continue
        case = emit(space, number, 0, "one", {})
        (function,) = case.module.functions
        insts = {inst.results[0]: inst for block in function.blocks for inst in block.insts if inst.results}
        for inst in insts.values():
            if key_of(inst, function.types) != key or function.types[inst.results[0]].name != "i32":
                continue
            sources = [insts.get(arg) for arg in inst.args]
            for memory in case.memories:
                pair = [
                    int.from_bytes(memory[_LITTLE_COPY + s.offset :][:4], "little") if s.op == "load" else s.imm
                    for s in sources
                    if s is not None
                ]
                met.add((int(str(pair[0])) & 0xFFFFFFFF, int(str(pair[1])) & 0xFFFFFFFF))
    return met


def test_boundary_values_meet_one_another(space: Space) -> None:
    i32 = by_name("i32")
    wide, narrow, constants = (boundary(i32, count) for count in (WIDE, NARROW, CONSTANTS))
    assert operands(space, "iadd.i32", "rr") == {(a, b) for a in wide for b in wide}
    assert operands(space, "iadd.i32", "mr") == {(a, b) for a in narrow for b in narrow}
    assert operands(space, "iadd.i32", "rc") == {(a, b) for a in narrow for b in constants}
    assert operands(space, "iadd.i32", "cc") == {(a, b) for a in narrow for b in narrow}


def test_divisions_meet_zero_and_overflow_and_each_traps_alone(space: Space) -> None:
    row = space.rows["sdiv.i64"][0]
    assert traps(row) and {0, (1 << 64) - 1} <= set(values_of(row, 1, NARROW)) and 1 << 63 in values_of(row, 0, NARROW)
    for number in range(space.singles):
        unit = space[number]
        if isinstance(unit, Single) and unit.key == "sdiv.i64":
            (function,) = emit(space, number, 0, "one", {}).module.functions
            assert sum(inst.op == "sdiv" for block in function.blocks for inst in block.insts) == 1


def test_values_are_boundaries() -> None:
    for ty in TYPES.values():
        if ty.bits <= 128:
            values = boundary(ty, NARROW)
            assert len(values) == len(set(values)) == NARROW and max(values) <= ty.mask and 0 in values
    assert set(values_of_amount()) >= {0, 31, 32, 33, 63}


def values_of_amount() -> tuple[int, ...]:
    row = next(v for v in variants("ishl") if v.key == "ishl.i32.i8")
    from liftcheck.generators.tables import _row

    return values_of(_row(row, None), 1, NARROW)


def test_operands_are_the_same_in_each_byte_order(space: Space) -> None:
    """Results of whole values, byte by byte in either order."""
    random = Random(1)
    tried = 0
    for number in random.sample(range(len(space)), 300):
        unit = space[number]
        key = unit.key if isinstance(unit, Single) else unit.second
        if not key.startswith(("iadd.i", "icmp.i8", "select.i32", "band.i")) or (
            isinstance(unit, Edge) and unit.first.startswith("uload8")
        ):
            continue
        case = emit(space, number, 0, "one", {})
        ty = space.rows[key][0].results[0]
        little, big = (interpret(case, order) for order in (False, True))
        assert not little.trouble and not big.trouble
        for one, other in zip(little.outcomes, big.outcomes, strict=True):
            assert one.kind == other.kind
            if one.kind == "returned" and not ty.is_vector:
                results = [range(_RESULTS + at, _RESULTS + at + ty.bytes) for at in range(0, 4 * ty.bytes, ty.bytes)]
                for place in results:
                    left, right = (m[place.start : place.stop] for m in (one.memory, other.memory))
                    assert left == right[::-1] or ty.bytes == 1 or left == right, unit
        tried += 1
    assert tried > 5
