"""The opcode table: closed, consistent with its notation, and giving the typings that upstream's table gives."""

from __future__ import annotations

import pytest

from liftcheck.clif.build import FunctionBuilder, signature
from liftcheck.clif.formats import FORMATS
from liftcheck.clif.opcodes import (
    ATOMICS,
    BRANCHES,
    CALLS,
    DIVISIONS,
    DYNAMIC,
    LOADS,
    OPCODES,
    STORES,
    TERMINATORS,
    TYPE_SETS,
    Opcode,
    key_of,
    variants,
)
from liftcheck.clif.text.parser import parse_module
from liftcheck.clif.text.portable import OLD_OPCODES
from liftcheck.clif.text.printer import print_function
from liftcheck.clif.types import I8, I32, I64, TYPES
from liftcheck.clif.verify import verify
from liftcheck.errors import InternalError


def _is_new(row: Opcode) -> bool:
    return row.since != "" and int(row.since.partition(".")[2]) > 135


def test_version_0_135_has_163_opcodes() -> None:
    assert sum(not row.removed and not _is_new(row) for row in OPCODES.values()) == 163


ACCESSES = {
    "load": (None, "", 0, None), "store": (None, "", 1, 0),
    "uload8": ("i8", "u", 0, None), "sload8": ("i8", "s", 0, None), "istore8": ("i8", "", 1, 0),
    "uload16": ("i16", "u", 0, None), "sload16": ("i16", "s", 0, None), "istore16": ("i16", "", 1, 0),
    "uload32": ("i32", "u", 0, None), "sload32": ("i32", "s", 0, None), "istore32": ("i32", "", 1, 0),
    "uload8x8": ("i8x8", "u", 0, None), "sload8x8": ("i8x8", "s", 0, None),
    "uload16x4": ("i16x4", "u", 0, None), "sload16x4": ("i16x4", "s", 0, None),
    "uload32x2": ("i32x2", "u", 0, None), "sload32x2": ("i32x2", "s", 0, None),
    "stack_load": (None, "", None, None), "stack_store": (None, "", None, 0),
    "dynamic_stack_load": (None, "", None, None), "dynamic_stack_store": (None, "", None, 0),
    "atomic_rmw": (None, "", 0, 1), "atomic_cas": (None, "", 0, 2),
    "atomic_load": (None, "", 0, None), "atomic_store": (None, "", 1, 0),
}  # fmt: skip


def test_accesses_and_roles() -> None:
    """As the documentation of cranelift-codegen-meta's `shared/instructions.rs` says of each; of one that comes new,
    its file in `corpus/run` says it."""
    found = {
        name: (row.access.ty and row.access.ty.name, row.access.extension, row.address, row.stored)
        for name, row in OPCODES.items()
        if row.access is not None
    }
    assert {name: row for name, row in found.items() if name in ACCESSES or not _is_new(OPCODES[name])} == ACCESSES
    assert {name for name, row in found.items() if row[2] is not None} == LOADS | STORES | ATOMICS


def test_sets_of_opcodes() -> None:
    calls = {f"{kind}call{way}" for kind in ("", "return_", "try_") for way in ("", "_indirect")}
    assert calls == CALLS
    assert {"jump", "brif", "br_table", "try_call", "try_call_indirect"} == BRANCHES
    assert BRANCHES | {"return", "trap", "return_call", "return_call_indirect"} == TERMINATORS
    assert {"udiv", "sdiv", "urem", "srem"} == DIVISIONS


@pytest.mark.parametrize(
    ("row", "what"),
    [
        ("avg_floor Binary IntVector T,T T -", "seven columns"),
        ("avg_floor Binary IntVector T,T T - saturat", "a family, not 'saturat'"),
        ("uload24 Load iWord @Addr T load load", "what is accessed"),
        ("uload24 Load iWord Addr T load:8u load", "which operand is the address"),
        ("sload16x2 Load Addr @T i32x2 load:2x16s load", "lanes of 16 bits, two of them"),
        ("istore24 Store iWord T,@Addr - store:8 store", "which operand is stored"),
    ],
)
def test_a_row_that_lacks_a_fact_raises_with_its_line(row: str, what: str) -> None:
    with pytest.raises(InternalError) as caught:
        Opcode(row)
    assert what in str(caught.value) and row in str(caught.value)


def test_every_row_has_a_known_format_with_as_many_operands() -> None:
    for row in OPCODES.values():
        assert FORMATS[row.format.name] is row.format
        if row.format.values is not None:
            assert row.format.values == len(row.args), row


def test_removed_opcodes_are_rewritten_or_named() -> None:
    left = {name for name, row in OPCODES.items() if row.removed} - OLD_OPCODES
    assert left == {
        "resumable_trap",
        "resumable_trapnz",
        "dynamic_stack_load",
        "dynamic_stack_store",
        "x86_blendv",
        "fcvt_low_from_sint",
    }


@pytest.mark.parametrize(
    ("name", "keys"),
    [
        (
            "iadd",
            [
                "iadd.i8",
                "iadd.i16",
                "iadd.i32",
                "iadd.i64",
                "iadd.i128",
                "iadd.i8x8",
                "iadd.i8x16",
                "iadd.i16x4",
                "iadd.i16x8",
                "iadd.i32x2",
                "iadd.i32x4",
                "iadd.i64x2",
            ],
        ),
        (
            "uextend",
            [
                "uextend.i16.i8",
                "uextend.i32.i8",
                "uextend.i32.i16",
                "uextend.i64.i8",
                "uextend.i64.i16",
                "uextend.i64.i32",
                "uextend.i128.i8",
                "uextend.i128.i16",
                "uextend.i128.i32",
                "uextend.i128.i64",
            ],
        ),
        (
            "fdemote",
            [
                "fdemote.f16.f32",
                "fdemote.f16.f64",
                "fdemote.f16.f128",
                "fdemote.f32.f64",
                "fdemote.f32.f128",
                "fdemote.f64.f128",
            ],
        ),
        ("snarrow", ["snarrow.i16x4", "snarrow.i16x8", "snarrow.i32x2", "snarrow.i32x4", "snarrow.i64x2"]),
        ("swizzle", ["swizzle"]),
        ("uload32", ["uload32.i64"]),
        ("call_indirect", ["call_indirect.i64"]),
        ("sqmul_round_sat", ["sqmul_round_sat.i16x4", "sqmul_round_sat.i16x8", "sqmul_round_sat.i32x4"]),
        ("iconcat", ["iconcat.i8", "iconcat.i16", "iconcat.i32", "iconcat.i64"]),
        ("extract_vector", []),
    ],
)
def test_variants(name: str, keys: list[str]) -> None:
    assert [v.key for v in variants(name)] == keys


def test_keys_are_unique_and_typings_allowed() -> None:
    keys = [v.key for name in OPCODES for v in variants(name)]
    assert len(keys) == len(set(keys)) > 2000
    for name, row in OPCODES.items():
        for variant in variants(name):
            assert row.infer(variant.type, variant.arg_types)[1] == variant.result_types


def test_what_a_row_refuses() -> None:
    for name, kind in (("iadd", "f32"), ("bswap", "i8"), ("udiv", "i32x4"), ("snarrow", "i8x16"), ("iconst", "i128")):
        with pytest.raises(KeyError):
            OPCODES[name].result_types(TYPES[kind])


def test_inference() -> None:
    assert OPCODES["iadd"].infer(None, (I32, I32)) == (I32, (I32,))
    assert OPCODES["icmp"].infer(None, (TYPES["f32x4"].as_int(),) * 2) == (TYPES["i32x4"], (TYPES["i32x4"],))
    assert OPCODES["select"].infer(None, (I8, I64, I64)) == (I64, (I64,))
    assert OPCODES["load"].infer_from is None and OPCODES["uload32"].infer_from == 0


def test_terminators() -> None:
    assert {name for name, row in OPCODES.items() if row.terminator} == {
        "jump",
        "brif",
        "br_table",
        "trap",
        "return",
        "return_call",
        "return_call_indirect",
        "try_call",
        "try_call_indirect",
    }


def _immediate(form: str) -> object:
    return {
        "UnaryImm": 1,
        "UnaryIeee16": 1,
        "UnaryIeee32": 1,
        "UnaryIeee64": 1,
        "BinaryImm8": 1,
        "TernaryImm8": 1,
        "BinaryImm64": -3,
        "Shuffle": tuple(range(16)),
        "IntCompare": "slt",
        "FloatCompare": "uno",
        "IntCompareImm": ("slt", -1),
        "IntAddTrap": "user1",
        "CondTrap": "int_ovf",
        "Trap": "user2",
        "AtomicRmw": "xchg",
        "StackAddr": 0,
        "StackLoad": 0,
        "StackStore": 0,
        "UnaryGlobalValue": 0,
        "FuncAddr": 0,
    }.get(form)


_STRAIGHT = [
    name
    for name, row in OPCODES.items()
    if not row.terminator and not row.is_call and name not in DYNAMIC and row.format.name != "ExceptionHandlerAddress"
]


@pytest.mark.parametrize("name", _STRAIGHT)
def test_every_variant_prints_parses_back_and_verifies(name: str) -> None:
    for variant in variants(name):
        if name in ("symbol_value", "tls_value", "global_value") and variant.type is not I64:
            continue
        b = FunctionBuilder("%f", signature(variant.arg_types, ()))
        b.stack_slot(64)
        b.func_ref("%g", signature((), (), "fast"))
        b.func.globals[0] = ("symbol", "%d", 0, False, False)
        b.func.preamble.append(("gv0", "symbol %d"))
        form = OPCODES[name].format.name
        imm = _immediate(form)
        if form == "UnaryConst":
            imm = b.constant(bytes((variant.type or TYPES["f128"]).bytes))
        results = b.ins_many(name, variant.type, *b.entry_params, imm=imm)
        inst = b.func.blocks[0].insts[-1]
        if name == "bitcast":
            inst.flags = inst.flags._replace(endianness="little")
        b.ret()
        func = b.finish()
        assert len(results) == len(variant.result_types)
        assert verify(func, "x86-64") == []
        assert key_of(inst, func.types) == variant.key
        assert parse_module(print_function(func, "exact")).functions[0] == func
        assert verify(parse_module(print_function(func)), "x86-64") == []


def test_type_sets_hold_what_their_names_say() -> None:
    assert TYPE_SETS["iWide"] == {TYPES[f"i{w}"] for w in (16, 32, 64, 128)}
    assert all(t.is_vector for t in TYPE_SETS["Vector"])
