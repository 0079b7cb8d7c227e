"""No command grows faster than n log n. Steps are counted, not timed: lines of Python that run for a file of some size
and for one of four times that size, in every dimension of `ci/bench/growth_files.py`."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest
from support.examples import sparse
from support.scripts import load

from liftcheck.campaign.reduce.dead_code import tidy
from liftcheck.campaign.reduce.proposals import return_zeros, without
from liftcheck.case import Case, FunctionCode
from liftcheck.clif.dominators import Tree, Walk, immediate_dominators
from liftcheck.clif.edit import copy_function, fresh
from liftcheck.clif.ir import Function, Module
from liftcheck.clif.opcodes import CALLS
from liftcheck.clif.text.parser import parse_filetest, parse_module
from liftcheck.clif.text.printer import print_module
from liftcheck.clif.types import I64
from liftcheck.clif.verify import verify
from liftcheck.commands import listing
from liftcheck.interp.compiled import WIDEST
from liftcheck.interp.run import prepare
from liftcheck.oracles.admissible import Reference
from liftcheck.oracles.regalloc.code.chains import Chains, Ends
from liftcheck.oracles.regalloc.source import source_of

SMALL, FACTOR, LIMIT = 32, 4, 5.0
"""4 log(128) / log(32) is 5.6 with all of the time in sorting, which is in C and counts nothing here."""


SHAPES: dict[str, Callable[[int], str]] = load("bench/growth_files").SHAPES


def steps(action: Callable[[], object]) -> int:
    """Lines of Python that run."""
    count = 0

    def line(_frame: FrameType, event: str, _arg: object) -> Any:
        nonlocal count
        count += event == "line"
        return line

    before = sys.gettrace()
    sys.settrace(lambda _frame, _event, _arg: line)
    try:
        action()
    finally:
        sys.settrace(before)
    return count


def growth(action: Callable[[str], object], shape: Callable[[int], str]) -> float:
    """How many times as many steps a file of FACTOR times the size takes, what the smallest takes left aside."""
    action(shape(2))
    base, small, large = (
        steps(lambda size=size: action(shape(size)))  # type: ignore[misc]
        for size in (2, SMALL, FACTOR * SMALL)
    )
    return (large - base) / max(small - base, SMALL)


def read(text: str) -> Module:
    module = parse_filetest(text).module()
    assert not verify(module)
    return module


def interpret(text: str) -> None:
    test = parse_filetest(text)
    prepared = prepare(test.module())
    for number, function in enumerate(test.functions):
        for line in function.run_lines:
            there = line.at(0, False)
            outcome = prepared.run(number, there.args, there.regions(), fuel=100_000)
            assert outcome.kind in ("returned", "trapped", "out_of_fuel")


@pytest.mark.parametrize("shape", sparse(SHAPES, 3, 0))
def test_reading_verifying_and_printing(shape: str) -> None:
    assert growth(lambda text: print_module(read(text), "exact"), SHAPES[shape]) < LIMIT


@pytest.mark.parametrize("shape", sparse(SHAPES, 3, 1))
def test_interpreting(shape: str) -> None:
    assert growth(interpret, SHAPES[shape]) < LIMIT


@pytest.mark.parametrize("shape", ["functions", "callees", "func_refs", "run_lines", "call_chain"])
def test_predicting(shape: str) -> None:
    def predict(text: str) -> None:
        test = parse_filetest(text)
        reference = Reference(test.module(), False)
        for number, function in enumerate(test.functions):
            for line in function.run_lines:
                assert reference.predict(number, line.args).outcome.kind == "returned"

    assert growth(predict, SHAPES[shape]) < LIMIT


@pytest.mark.parametrize("shape", sparse(SHAPES, 3, 2))
def test_sweeping_after_an_edit(shape: str) -> None:
    """As it is, and with nothing read any longer of what was computed."""

    def swept(text: str) -> None:
        for function in read(text).functions:
            assert not verify(Module([tidy(function)]))
            unread = without(function, lambda inst: inst.op in CALLS or (bool(inst.results) and not inst.args))
            tidy(_returning_zeros(unread))

    assert growth(swept, SHAPES[shape]) < LIMIT


def _returning_zeros(function: Function) -> Function:
    return return_zeros(Case(Module([function]), 0, ()), 0, len(function.blocks) - 1).module.functions[0]


def test_what_is_read_by_the_unread_alone_goes_in_one_walk() -> None:
    """A chain through instructions and block parameters in turn, entered twice each, so that no blocks join."""

    def swept(text: str) -> None:
        size = len(text)
        body = "".join(
            f"block{i}(v{2 * i}: i64):\nv{2 * i + 1} = iadd v{2 * i}, v0\n"
            f"brif v0, block{i + 1}(v{2 * i + 1}), block{i + 1}(v{2 * i + 1})\n"
            for i in range(1, size)
        )
        function = parse_module(
            f"function %f(i64) -> i64 {{\nblock0(v0: i64):\njump block1(v0)\n{body}"
            f"block{size}(v{2 * size}: i64):\nreturn v0\n}}"
        ).functions[0]
        left = tidy(function)
        assert [inst.op for block in left.blocks for inst in block.insts] == ["brif"] * (size - 1) + ["return"]
        assert left.types.keys() == {0}

    assert growth(swept, lambda size: "x" * size) < LIMIT


def test_new_numbers_are_above_all_others_whatever_their_order() -> None:
    function = parse_module(
        "function %f() -> i64 {\nblock0:\nv9 = iconst.i64 1\nv3 = iadd v9, v9\nreturn v3\n}"
    ).functions[0]
    copy = copy_function(function)
    assert [fresh(copy, ty) for ty in (I64, I64)] == [10, 11]
    assert copy.types == {3: I64, 9: I64, 10: I64, 11: I64} and function.types.keys() == {3, 9}


def test_the_conventions_of_all_callees_are_worked_out_once() -> None:
    callee = "".join(f"fn{i} = %g{i}() tail\n" for i in range(3)) + "fn3 = %h() system_v\n"
    calls = "".join(f"call fn{i}()\n" for i in range(4))
    source = source_of(parse_module(f"function %f() {{\n{callee}block0:\n{calls}return\n}}").functions[0])
    assert source.conventions(frozenset(["%h"])) == {"system_v"}
    assert source.conventions(frozenset()) == {"tail", "system_v"}
    assert source.conventions(frozenset(["%other"])) is source.conventions(frozenset())


def test_steps_tell_a_quadratic_walk() -> None:
    def quadratic(text: str) -> None:
        for _ in text.split(","):
            for _ in text.split(","):
                pass

    assert growth(quadratic, lambda size: "x," * size) > 3 * LIMIT


def _chain(length: int, body: str) -> str:
    return "\n".join(body.format(i=i, before=i - 1) for i in range(1, length))


def test_chains_of_any_length_need_no_recursion() -> None:
    """Far beyond Python's limit of nested calls."""
    length = 20 * sys.getrecursionlimit()
    aliases = _chain(length, "v{i} -> v{before}")
    function = parse_module(f"function %f(i64) -> i64 {{\nblock0(v0: i64):\n{aliases}\nreturn v{length - 1}\n}}")
    declared = _chain(length, "gv{i} = iadd_imm.i64 gv{before}, 1")
    globals_ = parse_module(
        f"function %f(i64 vmctx) -> i64 {{\ngv0 = vmctx\n{declared}\nblock0(v0: i64):\n"
        f"v1 = global_value.i64 gv{length - 1}\nreturn v1\n}}"
    )
    for module, wanted in ((function, 5), (globals_, length + 4)):
        assert not verify(module) and print_module(module)
        assert prepare(module).run(0, [5]).values == (wanted,)


def test_a_tree_whose_operands_are_aliases_is_interpreted() -> None:
    """The parser leaves none, a builder may: in any order, and however long the chain is."""
    length = 2 * sys.getrecursionlimit()
    function: Function = parse_module(
        "function %f(i64) -> i64 {\nblock0(v0: i64):\nv1 = iadd v0, v0\nreturn v1\n}"
    ).functions[0]
    function.aliases = {value: value - 1 for value in range(length, 1, -1)}
    function.blocks[0].insts[-1].args = (length,)
    assert prepare(Module([function])).run(0, [5]).values == (10,)


def _dominance(entry: int, succs: dict[int, list[int]]) -> dict[int, set[int]]:
    """What each block dominates, by taking it away."""

    def reached(without: int) -> set[int]:
        seen, todo = {entry} - {without}, [entry]
        while todo:
            for succ in succs[todo.pop()] if entry != without else ():
                if succ not in seen and succ != without:
                    seen.add(succ)
                    todo.append(succ)
            if entry == without:
                break
        return seen

    everything = reached(-1)
    return {block: everything - reached(block) for block in everything}


def test_dominators_are_right_on_random_graphs() -> None:
    draw = random.Random(1)
    for _ in range(1000):
        size = draw.randrange(1, 12)
        succs = {block: [draw.randrange(size) for _ in range(draw.randrange(4))] for block in range(size)}
        preds = {block: [other for other in succs for succ in succs[other] if succ == block] for block in succs}
        walk = Walk(0, succs)
        tree = Tree(walk.postorder[::-1], immediate_dominators(walk, preds))
        wanted = _dominance(0, succs)
        for above in range(size):
            for below in range(size):
                assert tree.dominates(above, below) == (below in wanted.get(above, ()))


def _chain_of(block: int, onward: dict[int, int]) -> list[int]:
    found: list[int] = []
    while block not in found:
        found.append(block)
        block = onward.get(block, block)
    return found


def test_chains_of_jumps_lead_where_they_lead_one_by_one() -> None:
    """Random blocks that only jump, in circles too, labels that share places, are wide, or are missing."""
    draw = random.Random(2)
    for _ in range(500):
        size = draw.randrange(1, 10)
        onward = {block: draw.randrange(size) for block in range(size) if draw.random() < 0.6}
        lows = {block: draw.randrange(8) for block in range(size) if draw.random() < 0.9}
        labels = {block: (low, low + draw.choice((0, 0, 1, 3))) for block, low in lows.items()}
        successors = [draw.randrange(size) for _ in range(draw.randrange(4))]
        ends = Ends(Chains(size, onward, labels), successors)
        for offset in range(-1, 12):
            wanted = {
                block
                for block in successors
                for other in _chain_of(block, onward)
                if other in labels and (labels[other][1] == offset or labels[other][0] <= offset < labels[other][1])
            }
            assert ends.at(offset) == wanted


def test_long_chains_of_jumps_with_one_label_for_all() -> None:
    def asked(text: str) -> None:
        size = len(text)
        chains = Chains(size + 1, {block: block + 1 for block in range(size)}, dict.fromkeys(range(size + 1), (7, 7)))
        for block in range(size):
            ends = Ends(chains, [block, size])
            assert ends.at(7) == {block, size} and not ends.at(8)
        assert len(Ends(chains, range(size)).at(7)) == size

    assert growth(asked, lambda size: "x" * size) < LIMIT


def test_a_function_with_many_labels_and_registers_is_not_compiled_by_the_second_tier() -> None:
    """Each of its labels would write back each of its registers."""
    size = 700
    body = "".join(
        f"block{i}:\nv{i + 1} = iadd v{i}, v0\nbrif v{i + 1}, block{i + 1}, block{i + 1}\n" for i in range(1, size)
    )
    uses = "".join(f"v{size + i} = bxor v{size + i - 1}, v{i}\n" for i in range(1, size))
    module = parse_module(
        f"function %f(i64) -> i64 {{\nblock0(v0: i64):\nv1 = iadd v0, v0\njump block1\n{body}"
        f"block{size}:\n{uses}return v{2 * size - 1}\n}}"
    )
    assert size * size > WIDEST
    hot = prepare(module, hot_after=0)
    spent = steps(lambda: hot.run(0, [3]))
    assert spent < 300 * size
    assert hot.run(0, [3]) == prepare(module, hot_after=None).run(0, [3])


@pytest.mark.parametrize("isa", ["x86-64", "riscv64"])
def test_listing(isa: str) -> None:
    """Instructions, among them such as cannot be decoded, with a CLIF line each."""
    code = {"x86-64": "90" * 3 + "06", "riscv64": "13000000" * 3 + "ffffffff"}[isa]
    unit = len(code) // 8

    def listed(text: str) -> None:
        size = len(text)
        function = FunctionCode("%f", bytes.fromhex(code) * size)
        lines = [(unit * i, unit * i + unit, i + 1) for i in range(4 * size)]
        found = listing.rows(function, isa, lines)
        assert [row.line for row in found] == list(range(1, 4 * size + 1))
        listing.as_text(function, found, [text] * (4 * size))

    assert growth(listed, lambda size: "x" * size) < LIMIT
