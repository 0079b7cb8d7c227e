"""Allocations made by hand: the right one is proven, its faulty twins are refuted in the right words; z3 agrees."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import pytest
from support.validation import (
    ENVIRONMENT,
    after,
    any_use,
    before,
    body,
    define,
    early_define,
    f,
    fixed_define,
    fixed_use,
    jump,
    late_use,
    made,
    op,
    p,
    ret,
    reuse,
    s,
    swapped,
    untracked,
    use,
    with_clobbers,
    with_edit,
    with_operand,
    with_place,
    without_edit,
)

from liftcheck.mach.regs import FLOAT, INT, NONE, show_place
from liftcheck.oracles.regalloc.validate import validate_allocation
from liftcheck.oracles.regalloc.verdict import Verdict
from liftcheck.regalloc.allocation import FIXED, LIMIT, REG, STACK, Allocation, Edit, Operand

USE_RULE = "a use reads another value"


class Case(NamedTuple):
    """A right allocation, and for each faulty twin (name, spoil, rule, words of the counterexample)."""

    name: str
    right: Allocation
    twins: tuple[tuple[str, Callable[[Allocation], Allocation], str, tuple[str, ...]], ...]


def straight() -> Allocation:
    return made(
        [
            body(
                op(define(0, p(0)), text="v0 := a"),
                op(define(1, p(1)), text="v1 := b"),
                op(use(0, p(0)), use(1, p(1)), define(2, p(0)), text="v2 := v0 + v1"),
                ret(use(2, p(0)), use(1, p(1))),
            )
        ]
    )


def call() -> Allocation:
    """v0 lives across a call that clobbers everything, v1 dies there."""
    everything = [p(n) for n in range(8)]
    return made(
        [
            body(
                op(define(0, p(0))),
                op(define(1, p(1))),
                op(fixed_use(1, p(3)), fixed_define(2, p(0)), clobbers=everything[1:], text="call"),
                ret(use(0, p(4)), use(2, p(0))),
            )
        ],
        [after(0, p(0), s(2)), before(2, p(1), p(3)), before(3, s(2), p(4))],
    )


def loop() -> Allocation:
    """block1(v2, v3) passes (v3, v2) to itself: an exchange of two registers over a third."""
    return made(
        [
            body(op(define(0, p(0))), op(define(1, p(1))), jump(), ways=[(1, (0, 1))]),
            body(op(use(2, p(0)), use(3, p(1)), text="v2, v3"), jump(), parameters=(2, 3), ways=[(2, ()), (3, ())]),
            body(jump(), ways=[(1, (3, 2))]),
            body(ret(use(2, p(0)), use(3, p(1)))),
        ],
        [before(5, p(0), p(2)), before(5, p(1), p(0)), before(5, p(2), p(1))],
    )


def looped() -> Allocation:
    """The same with its back edge into a block of two ways in."""
    good = loop()
    blocks = list(good.blocks)
    blocks[1] = blocks[1]._replace(predecessors=(0, 2))
    return replace(good, blocks=tuple(blocks))


def wide() -> Allocation:
    """A float of two cells between integers of one."""
    return made(
        [
            body(
                op(define(0, f(0), cls=FLOAT)),
                op(define(1, p(1))),
                op(define(2, p(2))),
                op(clobbers=[f(0), p(1), p(2)], text="call"),
                ret(use(0, f(3), cls=FLOAT), use(1, p(1)), use(2, p(2))),
            )
        ],
        [
            after(0, f(0), s(2)),
            after(1, p(1), s(1)),
            after(2, p(2), s(4)),
            before(4, s(2), f(3)),
            before(4, s(1), p(1)),
            before(4, s(4), p(2)),
        ],
    )


def reused() -> Allocation:
    """v0 outlives an instruction that puts its result where it read v0: a copy is needed."""
    return made(
        [
            body(
                op(define(0, p(0))),
                op(define(1, p(1))),
                op(use(0, p(2)), use(1, p(1)), reuse(2, 0, p(2)), text="sub"),
                ret(use(2, p(2)), use(0, p(0))),
            )
        ],
        [before(2, p(0), p(2))],
    )


def positions() -> Allocation:
    """A temporary, an early use that shares its place with a late definition, a late use."""
    return made(
        [
            body(
                op(define(0, p(0))),
                op(define(1, p(1))),
                op(
                    use(0, p(0)),
                    late_use(1, p(1)),
                    early_define(2, p(2)),
                    define(3, p(0)),
                    clobbers=[p(4)],
                    text="loop",
                ),
                ret(use(1, p(1)), use(2, p(2)), use(3, p(0))),
            )
        ]
    )


def try_call() -> Allocation:
    """A call that ends its block: its results are arguments of either way out."""
    lost = [p(n) for n in range(1, 8)]
    return made(
        [
            body(
                op(define(0, p(8))),
                jump(use(0, p(8)), fixed_define(1, p(0)), clobbers=lost, text="try_call"),
                ways=[(1, (1,)), (2, (1, 0))],
            ),
            body(ret(use(2, p(0)), use(0, p(8))), parameters=(2,)),
            body(ret(use(3, p(3)), use(4, p(8))), parameters=(3, 4)),
        ],
        [before(3, p(0), p(3))],
        classes=[INT] * 5,
    )


def names() -> Allocation:
    """A parameter gets a value that stays live: one place holds both."""
    return made(
        [
            body(op(define(0, p(0))), jump(), ways=[(1, (0,))]),
            body(op(use(1, p(0)), text="v1"), jump(), parameters=(1,), ways=[(2, ())]),
            body(ret(use(0, p(0)), use(1, p(0)))),
        ]
    )


def constraints() -> Allocation:
    return made(
        [
            body(
                op(define(0, p(0), LIMIT, 4), define(1, s(1), STACK)),
                op(untracked(p(20)), text="mov sp"),
                ret(use(0, p(0), LIMIT, 4), use(1, s(1), STACK), any_use(1, s(1)), fixed_use(0, p(9))),
            )
        ],
        [before(2, p(0), p(9))],
    )


def v2_in(good: Allocation, slot: int) -> Allocation:
    """`wide` with v2 spilled to another slot."""
    return with_edit(with_edit(good, 2, after(2, p(2), slot)), 5, before(4, slot, p(2)))


def _spoil_parameters(good: Allocation) -> Allocation:
    blocks = list(good.blocks)
    blocks[2] = blocks[2]._replace(arguments=((2, 3),))
    return replace(good, blocks=tuple(blocks))


CASES = (
    Case("straight", straight(), (
        ("wrong register read", lambda a: with_place(a, 2, 1, p(0)), USE_RULE,
         ("instruction 2 `v2 := v0 + v1`", "reads v1 in p0i", "p0i holds v0", "`v0 := a` defines v0", "v1 is in p1i")),
        ("wrong register written", lambda a: with_place(a, 1, 0, p(0)), USE_RULE,
         ("reads v0 in p0i", "p0i holds v1", "v0 is nowhere any more", "v0 is lost in p0i")),
        ("result over a live value", lambda a: with_place(a, 2, 2, p(1)), USE_RULE,
         ("instruction 3 `ret`", "reads v2 in p0i", "p0i holds v0")),
        ("never written", lambda a: with_place(a, 3, 1, p(5)), USE_RULE,
         ("p5i holds what was in p5i when the function began", "p1i only")),
        ("clobber ignored", lambda a: with_clobbers(a, 2, [p(1)]), USE_RULE,
         ("what instruction 2 leaves", "clobbers p1i; v1 is lost in p1i")),
    )),
    Case("call", call(), (
        ("reload dropped", lambda a: without_edit(a, 2), USE_RULE,
         ("reads v0 in p4i", "leaves", "v0 is in stack2 only")),
        ("spill dropped", lambda a: without_edit(a, 0), USE_RULE,
         ("what was in stack2 when", "v0 is nowhere any more")),
        ("argument not moved", lambda a: without_edit(a, 1), USE_RULE, ("reads v1 in p3i", "when the function began")),
        ("spill into another slot", lambda a: with_edit(a, 0, after(0, p(0), s(3))), USE_RULE, ("stack3 only",)),
        ("result not where the call leaves it", lambda a: with_place(a, 2, 1, p(1)), "a fixed register missed",
         ("v2 in p0i", "writes v2 in p1i")),
        ("argument not where the call wants it", lambda a: with_place(a, 2, 0, p(1)), "a fixed register missed", ()),
        ("reload too early", lambda a: replace(a, edits=(a.edits[0], before(2, s(2), p(4)), a.edits[1])), USE_RULE,
         ("clobbers", "stack2 only")),
    )),
    Case("loop", looped(), (
        ("moves in another order", lambda a: swapped(a, 0), USE_RULE, ("block1", "path:     block0 -> block1")),
        ("moves in another order, later", lambda a: swapped(a, 1), USE_RULE, ()),
        ("a move dropped", lambda a: without_edit(a, 1), USE_RULE,
         ("path:     block0 -> block1 -> block2 -> block1", "block2 -> block1: v2 is v3 there")),
        ("no exchange in the program", _spoil_parameters, USE_RULE, ()),
        ("exit reads them crosswise", lambda a: with_place(with_place(a, 6, 0, p(1)), 6, 1, p(0)), USE_RULE,
         ("path:     block0 -> block1 -> block3", "p1i holds v1 = v3")),
    )),
    Case("wide", wide(), (
        ("slot overlaps the later half", lambda a: v2_in(a, s(3)), USE_RULE,
         ("only a part of v0", "reads v0 in p3f")),
        ("slot overlaps the first half", lambda a: v2_in(a, s(2)), USE_RULE, ("reads v0 in p3f",)),
        ("float over an integer", lambda a: with_edit(with_edit(a, 0, after(2, f(0), s(1))), 3, before(4, s(1), f(3))),
         "an edit out of order", ()),
        ("read from a half", lambda a: with_edit(a, 3, before(4, s(3), f(3))), USE_RULE, ("reads v0 in p3f",)),
        ("slot outside the frame", lambda a: replace(a, slots=3), "an edit of a spill slot outside the frame",
         ("slots below 3",)),
        ("class changed on the stack", lambda a: with_edit(a, 4, before(4, s(2), p(1))), USE_RULE,
         ("reads v1 in p1i",)),
        ("class changed", lambda a: with_edit(a, 0, after(0, f(0), p(5))), "an edit between register classes",
         ("p0f -> p5i",)),
        ("wrong class", lambda a: with_place(a, 4, 0, p(3)), "a register of the wrong class", ("class float",)),
    )),
    Case("reused", reused(), (
        ("copy missed", lambda a: replace(with_place(with_place(a, 2, 0, p(0)), 2, 2, p(0)), edits=()), USE_RULE,
         ("reads v2 in p2i",)),
        ("copy missed, all of it", lambda a: with_place(replace(with_place(with_place(a, 2, 0, p(0)), 2, 2, p(0)),
                                                                edits=()), 3, 0, p(0)),
         USE_RULE, ("reads v0 in p0i", "p0i holds v2", "v0 is lost in p0i")),
        ("another register", lambda a: with_place(a, 2, 2, p(3)), "a reused input missed", ("operand 0",)),
        ("copy dropped", lambda a: without_edit(a, 0), USE_RULE, ("reads v0 in p2i",)),
    )),
    Case("positions", positions(), (
        ("temporary over an early use", lambda a: with_place(a, 2, 2, p(0)), "two definitions in one place", ()),
        ("temporary over an early use alone", lambda a: with_place(with_place(a, 2, 2, p(0)), 2, 3, p(3)),
         "an early definition over a use", ("v0", "may get v2 before it is read")),
        ("temporary over a late use", lambda a: with_place(a, 2, 2, p(1)), "an early definition over a use", ("v1",)),
        ("result over a late use", lambda a: with_place(a, 2, 3, p(1)), "a definition over a late use",
         ("while it is still",)),
        ("clobber over a late use", lambda a: with_clobbers(a, 2, [p(1)]), "a clobber over a late use", ()),
        ("clobber over a temporary", lambda a: with_clobbers(a, 2, [p(2)]), "a definition in a clobbered register", ()),
        ("clobber over a result", lambda a: with_clobbers(a, 2, [p(0)]), "a definition in a clobbered register", ()),
        ("two results in one place", lambda a: with_place(a, 2, 3, p(2)), "two definitions in one place", ("v2",)),
    )),
    Case("try_call", try_call(), (
        ("result not moved", lambda a: without_edit(a, 0), USE_RULE,
         ("block2", "reads v3 in p3i", "path:     block0 -> block2", "v3 is v1 there")),
        ("kept in a clobbered register", lambda a: with_place(with_place(a, 0, 0, p(5)), 1, 0, p(5)), USE_RULE,
         ("p4i, p5i, p6i and 1 more; v0 is lost in p5i",)),
        ("moved on the other way out", lambda a: replace(a, edits=(before(2, p(0), p(3)),)), USE_RULE, ("block2",)),
        ("moved after the branch", lambda a: replace(a, edits=(after(1, p(0), p(3)),)), USE_RULE,
         ("is never emitted", "block2")),
    )),
    Case("names", names(), (
        ("another place for one of them", lambda a: with_place(a, 4, 1, p(1)), USE_RULE, ("v0 = v1 is in p0i only",)),
    )),
    Case("constraints", constraints(), (
        ("above the limit", lambda a: with_place(a, 0, 0, p(4)), "a register above the limit", ("first 4",)),
        ("stack-only in a register", lambda a: with_place(a, 0, 1, p(3)), "a stack-only operand in a register", ()),
        ("register-only on the stack", lambda a: with_place(a, 2, 0, s(3)), "a register-only operand on the stack", ()),
        ("no place", lambda a: with_place(a, 2, 2, NONE), "an operand without a place", ("none",)),
        ("outside the environment", lambda a: with_place(a, 2, 2, p(13)), "a register outside the environment",
         ("p13i",)),
        ("the untracked register missed", lambda a: with_place(a, 1, 0, p(3)), "a fixed register missed", ("p20i",)),
        ("a slot too high", lambda a: with_place(a, 2, 2, s(8)), "a spill slot outside the frame", ("below 8",)),
        ("an edit from stack to stack", lambda a: with_edit(a, 0, before(2, s(1), s(2))),
         "an edit from stack to stack", ()),
        ("an edit of no register of ours", lambda a: with_edit(a, 0, before(2, p(0), p(20))),
         "an edit of a register outside the environment", ("p20i",)),
        ("an edit of nothing", lambda a: with_edit(a, 0, before(2, NONE, p(3))),
         "an edit of a register outside the environment", ("none",)),
    )),
)  # fmt: skip


def both(allocation: Allocation) -> Verdict:
    """The verdict, which must be the same whoever decides."""
    by_terms = validate_allocation(allocation)
    by_z3 = validate_allocation(allocation, z3_only=True)
    assert (by_terms.status, by_terms.reason) == (by_z3.status, by_z3.reason)
    return by_terms


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_right_allocation_is_proven(case: Case) -> None:
    verdict = both(case.right)
    assert (verdict.status, verdict.reason, verdict.counterexample) == ("valid", "", None)
    assert verdict.counts.obligations > 0 and verdict.counts.by_z3 == 0


@pytest.mark.parametrize(
    ("case", "twin"),
    [(case, twin) for case in CASES for twin in case.twins],
    ids=lambda value: value.name if isinstance(value, Case) else value[0],
)
def test_a_faulty_twin_is_refuted(
    case: Case, twin: tuple[str, Callable[[Allocation], Allocation], str, tuple[str, ...]]
) -> None:
    _, spoil, rule, words = twin
    verdict = both(spoil(case.right))
    assert (verdict.status, verdict.reason) == ("invalid", rule)
    assert verdict.counterexample is not None
    text = verdict.counterexample.render()
    assert [word for word in words if word not in text] == [], text


def test_an_older_value_of_a_loop_is_told_from_the_current_one() -> None:
    """v1 is defined anew in each round; its copy of the round before is another value."""

    def made_with(copy_first: bool) -> Allocation:
        return made(
            [
                body(op(define(0, p(0))), op(define(2, p(2))), jump(), ways=[(1, (2,))]),
                body(
                    op(use(0, p(0)), define(1, p(1)), text="v1 := next v0"),
                    op(use(1, p(2) if copy_first else p(1))),
                    jump(),
                    parameters=(3,),
                    ways=[(2, ()), (3, ())],
                ),
                body(jump(), ways=[(1, (1,))]),
                body(ret(use(1, p(1)))),
            ],
            [before(6, p(1), p(2))],
            classes=[INT] * 4,
        )

    assert both(made_with(False)).status == "valid"
    verdict = both(made_with(True))
    assert verdict.counterexample is not None
    assert (verdict.reason, verdict.counterexample.value, verdict.counterexample.place) == (USE_RULE, 1, p(2))


def test_a_block_that_is_never_reached_may_read_anything() -> None:
    good = made([body(op(define(0, p(0))), ret(use(0, p(0)))), body(op(use(0, p(7))), jump(), ways=[(1, ())])])
    assert both(good).status == "valid"


def test_a_function_may_jump_to_its_beginning() -> None:
    def again(place: int) -> Allocation:
        return made([body(op(define(0, p(0))), op(use(0, place)), jump(), ways=[(0, ()), (1, ())]), body(ret())])

    assert both(again(p(0))).status == "valid"
    assert both(again(p(1))).reason == USE_RULE


def test_one_register_defined_twice_by_an_instruction_has_one_place() -> None:
    def twice(place: int) -> Allocation:
        return made([body(op(define(0, p(1)), define(0, place)), ret(use(0, p(1))))])

    assert both(twice(p(1))).status == "valid"
    assert both(twice(p(2))).reason == "one definition in two places"


def test_a_scratch_register_keeps_nothing_across_an_instruction() -> None:
    environment = ENVIRONMENT._replace(scratch=(p(15), NONE, NONE))

    def through(at: int) -> Allocation:
        return made(
            [body(op(define(0, p(0))), op(text="nop"), ret(use(0, p(1))))],
            [before(at, p(0), p(15)), before(2, p(15), p(1))],
            environment=environment,
        )

    assert both(through(2)).status == "valid"
    assert both(through(1)).reason == USE_RULE
    direct = with_place(through(2), 2, 0, p(15))
    assert both(direct).reason == "a register outside the environment"


def test_registers_that_are_stack_slots_in_truth() -> None:
    slot = f(40) - 64
    environment = ENVIRONMENT._replace(fixed_slots=(slot,))
    right = made(
        [body(op(define(0, slot, FIXED, slot)), op(use(0, slot, STACK)), ret(use(0, p(1))))],
        [before(2, slot, p(1))],
        environment=environment,
    )
    assert both(right).status == "valid"
    assert both(with_operand(right, 1, 0, constraint=REG)).reason == "a register-only operand on the stack"
    assert both(with_edit(right, 0, before(2, slot, s(1)))).reason == "an edit from stack to stack"


def test_edits_out_of_order_are_refuted() -> None:
    good = call()
    assert both(replace(good, edits=good.edits[::-1])).reason == "an edit out of order"
    assert both(replace(good, edits=(*good.edits, before(99, p(0), p(0))))).reason == "an edit out of order"


def _one_block(*changes: tuple[str, object]) -> Allocation:
    good = straight()
    return replace(good, blocks=(good.blocks[0]._replace(**dict(changes)),))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("allocation", "reason"),
    [
        (made([body(op(use(0, p(0))), ret())]), "reads a virtual register that it does not define on every path"),
        (made([body(op(define(0, p(0))), op(define(0, p(0))), ret())]), "not in SSA form"),
        (with_operand(straight(), 0, 0, cls=FLOAT), "an operand's class"),
        (with_operand(straight(), 0, 0, vreg=77), "names no virtual register"),
        (_one_block(("end", 3)), "blocks and places are not those"),
        (_one_block(("first", 1)), "do not follow one another"),
        (_one_block(("successors", (5,)), ("arguments", ((),))), "leads to no block"),
        (_one_block(("parameters", (3,))), "the entry block has parameters"),
        (_one_block(("successors", (0,)), ("arguments", ((1,),))), "not as many arguments"),
        (_one_block(("successors", (0,))), "not as many lists of arguments"),
        (replace(straight(), places=((), (), (), ())), "not as many places"),
    ],
)
def test_what_is_no_program_is_undecided_with_a_reason(allocation: Allocation, reason: str) -> None:
    verdict = both(allocation)
    assert verdict.status == "undecided" and verdict.reason.startswith("allocation: ")
    assert reason in verdict.reason and verdict.counterexample is None


def test_a_bug_of_ours_is_no_verdict() -> None:
    broken = replace(straight(), edits=(Edit(1, 0, "p0", p(1)),))  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        validate_allocation(broken)


def test_a_counterexample_as_data() -> None:
    example = both(with_place(straight(), 2, 1, p(0))).counterexample
    assert example is not None
    document = example.document("aarch64")
    assert document["rule"] == USE_RULE and document["path"] == [0] and document["value"] == 1
    assert (document["block"], document["instruction"], document["place"]) == (0, 2, "x0")
    assert isinstance(document["events"], list) and document["code"] == []
    assert document["steps"] == [["instruction", 1]]


def test_operands_without_text_are_named() -> None:
    example = both(with_place(call(), 3, 0, p(5))).counterexample
    assert example is not None and example.text == "ret"
    unnamed = made(
        [body(op(untracked(p(20)), Operand(0, INT, 1, 1, REG) and define(0, p(0))), op(use(0, p(1)), text=""), ret())]
    )
    found = both(unnamed).counterexample
    assert found is not None and found.text == "use v0"


@pytest.mark.parametrize(
    ("isa", "place", "name"),
    [
        ("riscv64", f(9), "fs1"),
        ("riscv64", f(28), "ft8"),
        ("riscv64", p(9), "s1"),
        ("riscv64", p(31), "t6"),
        ("riscv64", 128 + 8, "v8"),
        ("aarch64", p(63), "sp"),
        ("aarch64", p(30), "x30"),
        ("aarch64", f(8), "v8"),
        ("x86-64", p(7), "rdi"),
        ("x86-64", p(8), "r8"),
        ("x86-64", f(15), "xmm15"),
        ("s390x", p(14), "r14"),
        ("s390x", f(31), "v31"),
        ("riscv64", s(2), "stack2"),
        ("x86-64", p(40), "p40i"),
        ("", f(9), "p9f"),
        ("", -1, "none"),
    ],
)
def test_places_have_the_names_of_the_isa(isa: str, place: int, name: str) -> None:
    assert show_place(place, isa) == name


def test_a_counterexample_speaks_the_names_of_the_isa() -> None:
    example = both(replace(with_place(straight(), 2, 1, p(0)), isa="riscv64")).counterexample
    assert example is not None
    assert "reads v1 in zero" in example.render() and "p0i" not in example.render()
