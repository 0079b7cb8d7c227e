"""`%__cranelift_throw`: control goes to the handler that CLIF means, on every ISA, with the payloads."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from liftcheck.campaign.filetests import run_filetests
from liftcheck.case import FunctionCode, Target
from liftcheck.clif.text.filetest import FileTest, read_text
from liftcheck.clif.text.parser import parse_filetest
from liftcheck.clif.text.printer import print_module
from liftcheck.compilers.base import Compiler
from liftcheck.interp.libcalls import UNHANDLED
from liftcheck.interp.run import prepare
from liftcheck.isa import ISAS
from liftcheck.oracles.filetests.engine import Options
from liftcheck.oracles.throwing import THROW, with_throw
from liftcheck.runners.link import link
from liftcheck.runners.patience import longer
from liftcheck.runners.pool import Job, RunnerPool
from liftcheck.runners.trampolines import trampoline_target, trampoline_text

THROWING = Path(__file__).resolve().parents[2] / "corpus" / "files" / "throw.clif"


@pytest.fixture(scope="module")
def test_file() -> FileTest:
    return parse_filetest(read_text(THROWING), str(THROWING))


def compiled(compiler: Compiler, test: FileTest, target: Target) -> list[FunctionCode]:
    replies = compiler.compile_text(print_module(test.module()), [target])[0]
    assert all(isinstance(reply, FunctionCode) for reply in replies), replies
    return [reply for reply in replies if isinstance(reply, FunctionCode)]


def results(
    compiler: Compiler, test: FileTest, target: Target, program: list[FunctionCode], number: int
) -> list[tuple[str, tuple[int, ...], str]]:
    """What the run lines of a function give when this program runs."""
    function = test.module().functions[number]
    (made,) = compiler.compile_text(trampoline_text(function.signature), [trampoline_target(target)])[0]
    assert isinstance(made, FunctionCode)
    pool = RunnerPool("auto")
    try:
        runner = pool.pick(target, program)
        assert not isinstance(runner, str)
        image = link([with_throw(compiler, program, target)], target.isa)
        inputs = [line.args for line in test.functions[number].run_lines]
        job = Job(made, image.entry(0, function.name), function.signature, inputs)
        outcomes = longer(runner, image, job, runner.run(image, [job])[0], program, lambda _: 100_000)
    finally:
        pool.close()
    return [(outcome.kind, outcome.values, outcome.detail) for outcome in outcomes]


@pytest.mark.needs_compiler
def test_the_file_passes_as_upstream_would_have_it() -> None:
    report = run_filetests([str(THROWING)], Options())
    assert report.failed == report.skipped == 0 and report.passed == 5 * 8


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("level", ["none", "speed"])
def test_the_handler_of_the_tag_gets_the_payloads(
    compiler: Compiler, test_file: FileTest, isa: str, level: str
) -> None:
    target = Target(isa, (("opt_level", level), ("preserve_frame_pointers", "true")))
    program = compiled(compiler, test_file, target)
    assert results(compiler, test_file, target, program, 0) == [
        ("returned", (58,), ""),
        ("returned", (142,), ""),
        ("returned", (4200,), ""),
    ]
    assert results(compiler, test_file, target, program, 4) == [("trapped", (), UNHANDLED)]


@pytest.mark.parametrize("isa", ISAS)
def test_a_wrong_table_is_noticed(compiler: Compiler, test_file: FileTest, isa: str) -> None:
    """Handlers of two tags exchanged, as a wrong exception table would have them."""
    target = Target(isa, (("opt_level", "speed"), ("preserve_frame_pointers", "true")))
    program = compiled(compiler, test_file, target)
    (site,) = program[1].calls
    (kind, first, one), (_, second, two), other = site.handlers
    wrong = site._replace(handlers=((kind, first, two), (kind, second, one), other))
    program[1] = replace(program[1], calls=(wrong,))
    assert results(compiler, test_file, target, program, 0)[:2] == [("returned", (142,), ""), ("returned", (58,), "")]


LOOP = """\
function %count(i64) -> i64 tail {
    sig0 = (i64, i64) tail
    fn0 = colocated %odd(i64, i64) tail
block0(v0: i64):
    v1 = get_frame_pointer.i64
    v2 = iconst.i64 0
    jump block1(v0, v2)

block1(v3: i64, v4: i64):
    v5 = iconst.i64 -1
    v6 = iadd v3, v5
    try_call fn0(v1, v3), sig0, block2(v4), [ tag5: block3(exn1, v4) ]

block2(v7: i64):
    brif v6, block1(v6, v7), block4(v7)

block3(v8: i64, v9: i64):
    v10 = iadd v9, v8
    jump block2(v10)

block4(v11: i64):
    return v11
}

function %odd(i64, i64) tail {
    sig0 = (i64, i64, i64, i32, i64, i64) system_v
    fn0 = %__cranelift_throw(i64, i64, i64, i32, i64, i64) system_v
block0(v0: i64, v1: i64):
    v2 = iconst.i64 1
    v3 = band v1, v2
    brif v3, block1, block2

block1:
    v4 = get_frame_pointer.i64
    v5 = iconst.i32 5
    v6 = iconst.i64 0
    call fn0(v6, v4, v6, v5, v0, v1)
    trap user1

block2:
    return
}
"""


@pytest.mark.parametrize("hot_after", [None, 0, 50])
def test_the_reference_throws_in_both_tiers(hot_after: int | None) -> None:
    prepared = prepare(parse_filetest(LOOP).module(), hot_after=hot_after)
    outcome = prepared.run(0, [2001])
    assert (outcome.kind, outcome.values) == ("returned", (1001 * 1001,))


def test_the_walk_ends_at_the_entrys_frame() -> None:
    """The same on the machine: the handler lies in the very frame that is named as the entry's."""
    text = LOOP.replace("call fn0(v6, v4", "call fn0(v0, v4")
    assert text != LOOP
    outcome = prepare(parse_filetest(text).module()).run(0, [3])
    assert (outcome.kind, outcome.detail) == ("trapped", UNHANDLED)


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize(("entry", "expected"), [("v6", ("returned", (25,), "")), ("v0", ("trapped", (), UNHANDLED))])
def test_the_machine_throws_as_the_reference(
    compiler: Compiler, isa: str, entry: str, expected: tuple[str, tuple[int, ...], str]
) -> None:
    text = LOOP.replace("call fn0(v6, v4", f"call fn0({entry}, v4")
    test = parse_filetest(text.replace("function %odd", "; run: %count(9) == 25\nfunction %odd"))
    target = Target(isa, (("opt_level", "speed"), ("preserve_frame_pointers", "true")))
    assert results(compiler, test, target, compiled(compiler, test, target), 0) == [expected]


def test_only_who_throws_gets_the_routine(compiler: Compiler, test_file: FileTest) -> None:
    target = Target("x86-64")
    program = compiled(compiler, test_file, target)
    calm = [function for function in program if all(r.name != THROW for r in function.relocations)]
    assert with_throw(compiler, calm, target) == calm and len(with_throw(compiler, program, target)) == len(program) + 2
    own = [*program, FunctionCode(THROW, b"\xc3")]
    assert with_throw(compiler, own, target) == own
