"""`%__cranelift_throw`: control goes to the handler that CLIF means, on every ISA, with the payloads."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from liftcheck.case import ISAS, FunctionCode, Target
from liftcheck.clif.filetest import FileTest, read_text
from liftcheck.clif.parser import parse_filetest
from liftcheck.clif.printer import print_module
from liftcheck.compilers.base import Compiler
from liftcheck.compilers.registry import open_compiler
from liftcheck.oracles.filetests import Options, main_like
from liftcheck.oracles.link import link
from liftcheck.oracles.runners import Job, RunnerPool
from liftcheck.oracles.throwing import THROW, UNHANDLED, with_throw
from liftcheck.oracles.trampolines import trampoline_target, trampoline_text

THROWING = Path(__file__).resolve().parent.parent / "corpus" / "files" / "throw.clif"


@pytest.fixture(scope="module")
def compiler() -> Iterator[Compiler]:
    opened = open_compiler("cranelift")
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def test_file() -> FileTest:
    return parse_filetest(read_text(THROWING), str(THROWING))


def compiled(compiler: Compiler, test: FileTest, target: Target) -> list[FunctionCode]:
    replies = compiler.compile_text(print_module(test.module()), [target])[0]
    assert all(isinstance(reply, FunctionCode) for reply in replies), replies
    return [reply for reply in replies if isinstance(reply, FunctionCode)]


def results(compiler: Compiler, test: FileTest, target: Target, program: list[FunctionCode],
            number: int) -> list[tuple[str, tuple[int, ...], str]]:
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
        (outcomes,) = runner.run(image, [Job(made, image.entry(0, function.name), function.signature, inputs)])
    finally:
        pool.close()
    return [(outcome.kind, outcome.values, outcome.detail) for outcome in outcomes]


def test_the_file_passes_as_upstream_would_have_it() -> None:
    report = main_like([str(THROWING)], Options())
    assert report.failed == report.skipped == 0 and report.passed == 4 * 8


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("level", ["none", "speed"])
def test_the_handler_of_the_tag_gets_the_payloads(compiler: Compiler, test_file: FileTest, isa: str,
                                                  level: str) -> None:
    target = Target(isa, (("opt_level", level), ("preserve_frame_pointers", "true")))
    program = compiled(compiler, test_file, target)
    assert results(compiler, test_file, target, program, 0) == [
        ("returned", (58,), ""), ("returned", (142,), ""), ("returned", (4200,), "")]
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


def test_only_who_throws_gets_the_routine(compiler: Compiler, test_file: FileTest) -> None:
    target = Target("x86-64")
    program = compiled(compiler, test_file, target)
    calm = [function for function in program if all(r.name != THROW for r in function.relocations)]
    assert with_throw(compiler, calm, target) == calm and len(with_throw(compiler, program, target)) == len(program) + 2
    own = [*program, FunctionCode(THROW, b"\xc3")]
    assert with_throw(compiler, own, target) == own
