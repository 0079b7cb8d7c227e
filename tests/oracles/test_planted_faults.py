"""Planted faults: each kind is caught and rightly named on each ISA, and identical sides are silent.

Wrong bytes are the compiler's own bytes for a slightly different program (another operation, immediate, condition,
operand), put in the place of the right ones after compilation: so the fault looks as a compiler's own fault would, on
every ISA.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

import pytest

from liftcheck import layout
from liftcheck.campaign.findings.finding import Finding
from liftcheck.campaign.findings.investigate import Investigator
from liftcheck.campaign.findings.reduction import reduce_finding
from liftcheck.campaign.reduce.engine import Limits
from liftcheck.case import Case, FunctionCode, Outcome, Target
from liftcheck.clif.text.parser import parse_module
from liftcheck.clif.text.printer import print_module
from liftcheck.compilers import matrix
from liftcheck.compilers.base import Compiler, Reply
from liftcheck.generators import generate
from liftcheck.generators.choices import RandomChoices
from liftcheck.generators.tables import Context
from liftcheck.isa import ISAS
from liftcheck.oracles import compare
from liftcheck.oracles.differential import Judge
from liftcheck.oracles.hooks import Hooks
from liftcheck.oracles.tally import Tally
from liftcheck.runners.pool import RunnerPool

Fault = Callable[[FunctionCode, Target], FunctionCode]

PROGRAM = """
function %add(i64, i64) -> i64 system_v {
block0(v0: i64, v1: i64):
    v2 = iadd v0, v1
    return v2
}

function %sub(i64, i64) -> i64 system_v {
block0(v0: i64, v1: i64):
    v2 = isub v0, v1
    return v2
}

function %entry(i64, i64, i64) -> i64, i8 system_v {
    fn0 = %add(i64, i64) -> i64 system_v
    fn1 = %sub(i64, i64) -> i64 system_v

block0(v0: i64, v1: i64, v2: i64):
    v3 = call fn0(v1, v2)
    v4 = call fn1(v3, v1)
    v5 = iconst.i64 77
    v6 = bxor v4, v5
    store v6, v0+16
    v7 = icmp ult v1, v2
    v8 = udiv v3, v2
    return v8, v7
}
"""
LEAF = """
function %leaf(i64, i64) -> i64 system_v {
block0(v0: i64, v1: i64):
    v2 = iadd v0, v1
    return v2
}
"""
VALUES = (compare.WRONG_RESULT, compare.WRONG_MEMORY)
CLOBBER = {"x86-64": "31db", "aarch64": "130080d2", "riscv64": "93040000", "s390x": "a7690000"}
"""rbx, x19, s1, r6 := 0"""
ENDLESS = {"x86-64": "ebfe", "aarch64": "00000014", "riscv64": "6f000000", "s390x": "a7f40000"}
WILD = {"x86-64": "31c0ffe0", "aarch64": "090080d220011fd6", "riscv64": "67000000", "s390x": "a719000007f1"}
NO_STACK = {
    "x86-64": "4831e4c3",
    "aarch64": "090080d23f010091c0035fd6",
    "riscv64": "1301000067800000",
    "s390x": "a7f9000007fe",
}


def case_of(text: str) -> Case:
    """Four runs: ordinary, equal, sign bit, division by zero; a leaf has three and no memory."""
    module = parse_module(text, "planted")
    numbers = [(5, 9), (3, 3), (1 << 63, 3), (7, 0)]
    if len(module.functions) == 1:
        return Case(module, 0, tuple(numbers[:3]))
    inputs = tuple((layout.slot_address(i), *row) for i, row in enumerate(numbers))
    return Case(module, len(module.functions) - 1, inputs, (bytes(layout.SLOT_SIZE),) * len(inputs))


def targets(*isas: str) -> list[Target]:
    return [Target(isa, (("opt_level", level),)) for isa in isas for level in ("none", "speed")]


def find(compiler: Compiler, runners: RunnerPool, case: Case, hooks: Hooks, *isas: str) -> list[Finding]:
    """All findings of a case under the hooks, through judge and vote."""
    judge = Judge(compiler, runners, hooks)
    tally = Tally()
    suspects = judge.judge([case], targets(*isas), tally)
    investigator = Investigator(judge, runners)
    groups: dict[str, list[object]] = {}
    for mismatch in suspects:
        groups.setdefault(mismatch.verdict.klass, []).append(mismatch)
    return [found for group in groups.values() for found in investigator.investigate(case, group, tally)]


def swapped(compiler: Compiler, isa: str, function: str, old: str, new: str) -> Fault:
    """Gives `function` on `isa` the code it would have if its text said `new` for `old`."""
    assert PROGRAM.count(old) == 1

    def fault(code: FunctionCode, target: Target) -> FunctionCode:
        if target.isa != isa or code.name != function:
            return code
        others = compiler.compile_text(PROGRAM.replace(old, new), [target])[0]
        return next(other for other in others if isinstance(other, FunctionCode) and other.name == function)

    return fault


def edited(isa: str, function: str, edit: Callable[[FunctionCode], FunctionCode]) -> Fault:
    return lambda code, target: edit(code) if target.isa == isa and code.name == function else code


@pytest.mark.parametrize("isa", ISAS)
def test_identical_sides_are_silent(compiler: Compiler, runners: RunnerPool, isa: str) -> None:
    tally = Tally()
    case = case_of(PROGRAM)
    assert Judge(compiler, runners).judge([case], targets(isa), tally) == []
    assert tally.agreed[isa] == tally.pairs[isa] == 2
    assert not tally.undecided and not tally.refused


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize(
    ("function", "old", "new", "klass"),
    [
        ("%add", "iadd v0, v1", "isub v0, v1", compare.WRONG_RESULT),
        ("%sub", "isub v0, v1", "isub v1, v0", compare.WRONG_MEMORY),
        ("%entry", "iconst.i64 77", "iconst.i64 76", compare.WRONG_MEMORY),
        ("%entry", "icmp ult", "icmp ule", compare.WRONG_RESULT),
        ("%entry", "icmp ult", "icmp slt", compare.WRONG_RESULT),
        ("%entry", "udiv v3, v2", "udiv v3, v1", compare.WRONG_RESULT),
        ("%entry", "v0+16", "v0+17", compare.WRONG_MEMORY),
        ("%entry", "v0+16", "v0+4090", compare.WRONG_TRAP),
    ],
    ids=["operation", "register", "immediate", "condition", "signedness", "operand", "offset", "overrun"],
)
def test_wrong_bytes_are_caught_and_named(
    compiler: Compiler, runners: RunnerPool, isa: str, function: str, old: str, new: str, klass: str
) -> None:
    found = find(compiler, runners, case_of(PROGRAM), Hooks(code=swapped(compiler, isa, function, old, new)), isa)
    assert klass in [finding.klass for finding in found], [f.detail for f in found]
    assert {finding.target.isa for finding in found} == {isa}
    finding = next(finding for finding in found if finding.klass == klass)
    assert finding.witness is not None
    assert finding.witness.isa != isa
    assert len(finding.targets) == 2


@pytest.mark.parametrize("isa", ISAS)
def test_a_wrong_relocation_is_caught(compiler: Compiler, runners: RunnerPool, isa: str) -> None:
    def crossed(code: FunctionCode) -> FunctionCode:
        assert any(r.name == "%add" for r in code.relocations)
        names = {"%add": "%sub", "%sub": "%add"}
        moved = tuple(r._replace(name=names.get(r.name, r.name)) for r in code.relocations)
        return dataclasses.replace(code, relocations=moved)

    found = find(compiler, runners, case_of(PROGRAM), Hooks(code=edited(isa, "%entry", crossed)), isa)
    assert {(f.klass, f.target.isa) for f in found} <= {(compare.WRONG_RESULT, isa), (compare.WRONG_MEMORY, isa)}
    assert found


@pytest.mark.parametrize("isa", ISAS)
def test_a_relocation_off_by_four_is_caught(compiler: Compiler, runners: RunnerPool, isa: str) -> None:
    def off(code: FunctionCode) -> FunctionCode:
        return dataclasses.replace(code, relocations=tuple(r._replace(addend=r.addend + 4) for r in code.relocations))

    found = find(compiler, runners, case_of(PROGRAM), Hooks(code=edited(isa, "%entry", off)), isa)
    assert found
    assert {f.target.isa for f in found} == {isa}


@pytest.mark.parametrize("isa", ISAS)
def test_a_dropped_callee_save_is_abi_damage(compiler: Compiler, runners: RunnerPool, isa: str) -> None:
    def clobbering(code: FunctionCode) -> FunctionCode:
        return dataclasses.replace(code, code=bytes.fromhex(CLOBBER[isa]) + code.code)

    found = find(compiler, runners, case_of(LEAF), Hooks(code=edited(isa, "%leaf", clobbering)), isa)
    assert [(f.klass, f.target.isa) for f in found] == [(compare.ABI_DAMAGE, isa)]


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize(
    ("of", "to", "detail"), [("int_divz", "int_ovf", "trap int_ovf seen"), ("int_divz", "user3", "trap user3 seen")]
)
def test_a_wrong_trap_code_is_a_wrong_trap(
    compiler: Compiler, runners: RunnerPool, isa: str, of: str, to: str, detail: str
) -> None:
    def relabelled(code: FunctionCode) -> FunctionCode:
        assert of in [trap for _, trap in code.traps]
        return dataclasses.replace(code, traps=tuple((at, to if trap == of else trap) for at, trap in code.traps))

    found = find(compiler, runners, case_of(PROGRAM), Hooks(code=edited(isa, "%entry", relabelled)), isa)
    assert [(f.klass, f.target.isa) for f in found] == [(compare.WRONG_TRAP, isa)]
    assert found[0].detail == f"trap {of} expected, {detail}"


@pytest.mark.parametrize("isa", ISAS)
def test_a_trap_without_an_entry_is_a_crash(compiler: Compiler, runners: RunnerPool, isa: str) -> None:
    def unlisted(code: FunctionCode) -> FunctionCode:
        return dataclasses.replace(code, traps=())

    found = find(compiler, runners, case_of(PROGRAM), Hooks(code=edited(isa, "%entry", unlisted)), isa)
    assert [f.klass for f in found] == [compare.CRASH]


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize(
    ("codes", "classes"),
    [(ENDLESS, {compare.ENDLESS}), (WILD, {compare.CRASH}), (NO_STACK, {compare.CRASH, compare.ABI_DAMAGE})],
    ids=["endless", "wild jump", "smashed stack"],
)
def test_code_that_runs_amok_is_a_finding_and_the_next_case_is_judged(
    compiler: Compiler, runners: RunnerPool, isa: str, codes: dict[str, str], classes: set[str]
) -> None:
    def amok(code: FunctionCode) -> FunctionCode:
        return dataclasses.replace(code, code=bytes.fromhex(codes[isa]) + code.code)

    found = find(compiler, runners, case_of(LEAF), Hooks(code=edited(isa, "%leaf", amok)), isa)
    assert len(found) == 1
    assert found[0].klass in classes
    tally = Tally()
    assert Judge(compiler, runners).judge([case_of(LEAF)], targets(isa), tally) == []
    assert tally.agreed[isa] == 2


@pytest.mark.parametrize(
    ("codes", "first"), [(ENDLESS, compare.CRASH), (WILD, compare.ENDLESS)], ids=["endless", "wild jump"]
)
def test_whether_wild_code_crashes_or_never_ends_is_what_a_fresh_runner_says(
    compiler: Compiler, runners: RunnerPool, codes: dict[str, str], first: str
) -> None:
    """In a batch it may do the one or the other, as what lies about happens to be."""

    def amok(code: FunctionCode) -> FunctionCode:
        return dataclasses.replace(code, code=bytes.fromhex(codes["aarch64"]) + code.code)

    judge = Judge(compiler, runners, Hooks(code=edited("aarch64", "%leaf", amok)))
    tally = Tally()
    [mismatch] = judge.judge([case_of(LEAF)], targets("aarch64")[:1], tally)
    other = mismatch._replace(verdict=compare.Verdict(compare.DISAGREE, first, "as seen in a batch"))
    assert other.verdict.klass != mismatch.verdict.klass
    [found] = Investigator(judge, runners).investigate(case_of(LEAF), [other], tally)
    assert found.klass == mismatch.verdict.klass
    assert found.detail != "as seen in a batch"
    assert tally.disagreed[mismatch.target.isa, found.klass] == 2


def _wrong_meaning(case: Case, outcomes: list[Outcome]) -> list[Outcome]:
    """As if the reference computed `bxor` with its lowest bit wrong."""
    if not any(inst.op == "bxor" for f in case.module.functions for b in f.blocks for inst in b.insts):
        return outcomes
    return [
        o._replace(memory=o.memory[:16] + bytes([o.memory[16] ^ 1]) + o.memory[17:])
        if o.memory
        else o._replace(values=tuple(value ^ 1 for value in o.values))
        for o in outcomes
    ]


def test_a_wrong_meaning_is_told_from_a_wrong_compiler(compiler: Compiler, runners: RunnerPool) -> None:
    found = find(compiler, runners, case_of(PROGRAM), Hooks(expected=_wrong_meaning), *ISAS)
    assert [f.klass for f in found] == [compare.WRONG_MEANING]
    assert all(vote.with_reference is False for vote in found[0].votes)


@pytest.mark.parametrize("isa", ISAS)
def test_a_wrong_meaning_is_told_from_one_isa_alone(compiler: Compiler, runners: RunnerPool, isa: str) -> None:
    """Though the campaign is for one ISA, the others are asked for their votes."""
    found = find(compiler, runners, case_of(PROGRAM), Hooks(expected=_wrong_meaning), isa)
    assert [f.klass for f in found] == [compare.WRONG_MEANING]


def test_a_wild_access_into_another_run_is_nobodys_fault(compiler: Compiler, runners: RunnerPool) -> None:
    """The reference maps one data region, runners all of them."""
    text = (
        f"function %f(i64) -> i64 system_v {{\nblock0(v0: i64):\n    v1 = load.i64 v0+{layout.SLOT_STRIDE}\n"
        "    return v1\n}\n"
    )
    case = Case(parse_module(text), 0, ((layout.slot_address(0),),), (bytes(layout.SLOT_SIZE),))
    tally = Tally()
    judge = Judge(compiler, runners)
    suspects = judge.judge([case], targets("aarch64"), tally)
    assert [s.verdict.klass for s in suspects] == [compare.WRONG_TRAP] * len(suspects)
    assert Investigator(judge, runners).investigate(case, suspects, tally) == []
    assert set(tally.undecided) == {("aarch64", "a wild access hits another run's data region")}
    assert not +tally.disagreed


@pytest.mark.parametrize("isa", ISAS)
def test_a_fault_at_one_level_only_names_the_other_as_witness(
    compiler: Compiler, runners: RunnerPool, isa: str
) -> None:
    fault = swapped(compiler, isa, "%add", "iadd v0, v1", "isub v0, v1")

    def at_speed(code: FunctionCode, target: Target) -> FunctionCode:
        return fault(code, target) if ("opt_level", "speed") in target.settings else code

    found = find(compiler, runners, case_of(PROGRAM), Hooks(code=at_speed), isa)
    assert [f.target.settings for f in found] == [(("opt_level", "speed"),)] * len(found)
    assert all(f.witness == Target(isa, (("opt_level", "none"),)) for f in found)
    assert found


class Liar:
    """A compiler that takes one opcode for another on one ISA: a fault that stays the same whatever the program
    becomes."""

    def __init__(self, honest: Compiler, isa: str, old: str, new: str) -> None:
        self.honest, self.isa, self.old, self.new = honest, isa, old, new
        self.name, self.version = honest.name, honest.version

    def compile_text(
        self, text: str, targets: Sequence[Target], wants: frozenset[str] = frozenset()
    ) -> list[list[Reply]]:
        lie = text if "%trampoline" in text else text.replace(self.old, self.new)
        return [
            self.honest.compile_text(lie if target.isa == self.isa else text, [target], wants)[0] for target in targets
        ]


@pytest.mark.parametrize(
    ("isa", "old", "new"),
    [("x86-64", "imul", "iadd"), ("aarch64", "bxor", "bor"), ("riscv64", "isub", "iadd"), ("s390x", "band.", "bor.")],
)
def test_a_generated_program_is_reduced_to_a_few_lines(
    compiler: Compiler, runners: RunnerPool, isa: str, old: str, new: str
) -> None:
    context = Context((isa,), {isa: matrix.load(compiler, isa, ())}, inputs=4)
    judge = Judge(Liar(compiler, isa, f" {old}", f" {new}"), runners)
    investigator = Investigator(judge, runners)
    for seed in range(200):
        case = generate.generate(RandomChoices(seed), "integers", context)
        if Judge(compiler, runners).judge([case], targets(isa), Tally()):
            continue  # a fault that nobody planted
        suspects = [s for s in judge.judge([case], targets(isa), Tally()) if s.verdict.klass in VALUES]
        if suspects and (found := investigator.investigate(case, suspects[:1], Tally())):
            break
    reduced = reduce_finding(investigator, found[0], Limits(20.0))[0]
    assert reduced.reduced
    assert len(reduced.case.module.functions) == 1
    assert sum(len(b.insts) for b in reduced.case.module.functions[0].blocks) <= 6, print_module(reduced.case.module)
    assert len(reduced.case.inputs) == 1
    assert reduced.original == found[0].case
    assert old.strip(".") in reduced.key
