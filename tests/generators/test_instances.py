"""Instances of rules: what is enumerated, and that each is a function which the compiler's reader takes."""

from __future__ import annotations

from support.generators import context

from liftcheck.clif.opcodes import OPCODES
from liftcheck.clif.text.parser import parse_module
from liftcheck.clif.text.printer import print_function
from liftcheck.clif.types import I8, I64
from liftcheck.clif.verify import verify
from liftcheck.generators.instance_emit import function
from liftcheck.generators.instance_texts import TEXTS
from liftcheck.generators.instances import (
    CONSTANT,
    MEMORY,
    SAME,
    Choice,
    Recipe,
    between,
    leaves,
    masks,
    of_typing,
    rows,
    signed,
)
from liftcheck.generators.lefthand import ANY, Atom, Op
from liftcheck.generators.rows import Leaf, Table
from liftcheck.generators.solver import typings
from liftcheck.isa import ISAS


def table() -> Table:
    return context().table(ISAS)


def of(key: str) -> list[Recipe]:
    return list(of_typing(table(), table().by_key[key]))


def test_every_operation_has_instances_that_are_well_formed_and_read_back() -> None:
    made = table()
    for number, row in enumerate(rows(made)):
        recipes = list(of_typing(made, row))
        assert recipes, row.key
        for recipe in (recipes[0], recipes[-1], recipes[number % len(recipes)]):
            built = function(made, recipe, "%f")
            text = print_function(built)
            assert verify(built) == [], text
            assert parse_module(text).functions[0] == built, text


def test_the_texts_are_well_formed() -> None:
    for text in TEXTS:
        module = parse_module(text)
        assert verify(module) == [] and [one.name for one in module.functions] == ["%f"], text
    assert len(set(TEXTS)) == len(TEXTS)


def test_operands_are_parameters_loads_constants_and_the_same_twice() -> None:
    forms = {recipe.form for recipe in of("iadd.i32")}
    assert forms == {"rr", "rs", "mr", "rm", "cr", "rc", "cc"}
    same = next(one for one in of("iadd.i32") if one.choices == ((1, Choice(SAME, 0)),))
    built = function(table(), same, "%f")
    assert len(built.signature.params) == 1 and built.blocks[0].insts[0].args == (0, 0)
    loaded = next(one for one in of("iadd.i32") if one.choices == ((1, Choice(MEMORY)),))
    assert [inst.op for inst in function(table(), loaded, "%f").blocks[0].insts] == ["load", "iadd", "return"]


def test_every_condition_and_every_shape_of_address_is_there() -> None:
    conditions = {function(table(), one, "%f").blocks[0].insts[-2].imm for one in of("icmp.i64")}
    assert len(conditions) == 10
    shapes = {one.shape for one in of("load.i64")}
    assert {"p", "po", "px", "pl", "pu", "psl", "So", "G"} <= shapes
    assert not any("o" in one.shape for one in of("atomic_load.i64"))


def test_masks_are_lane_numbers() -> None:
    assert all(len(mask) == 16 and all(0 <= lane < 32 for lane in mask) for mask in masks())


def test_between_halves_as_signed_numbers_and_ends() -> None:
    low = next(one for one in of("iadd.i8") if one.choices == ((1, Choice(CONSTANT, 0x80)),))
    high = low.with_number(1, 3)
    steps = 0
    while (middle := between(low, high)) is not None:
        assert signed(low.choices[0][1].number, I8) < signed(middle.choices[0][1].number, I8)
        low, steps = middle, steps + 1
    assert steps == 8 and low.choices[0][1].number == 2
    assert between(low, replace_choice(low)) is None


def replace_choice(recipe: Recipe) -> Recipe:
    return recipe._replace(choices=((1, Choice(SAME, 0)),))


def test_a_branch_returns_different_values_both_ways() -> None:
    built = function(table(), of("brif.i32")[0], "%f")
    assert [block.insts[-1].args for block in built.blocks[1:]] == [(1,), (2,)]


def test_typings_give_each_typing_of_the_root_once() -> None:
    pattern = Op("iadd", ANY, "", (Op("ineg", ANY, "", (Atom("x"),)), Atom("y")))
    found = list(typings(table(), pattern))
    keys = [node.row.key for node in found]
    assert len(keys) == len(set(keys)) > 4 and "iadd.i32" in keys
    for node in found:
        assert OPCODES[node.row.op].is_plain and {leaf.ty for leaf in leaves(node)} == {node.row.results[0]}
        assert all(isinstance(leaf, Leaf) for leaf in leaves(node))
    assert I64 in {node.row.results[0] for node in found}
