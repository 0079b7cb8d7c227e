"""What the experiments on lifted code share: files compiled function by function, and their command line.

The one idea: each function of the files is compiled for the targets that its file names, with both levels of
optimization and no other settings; an experiment has counts an ISA, does one file at a time, and shows them. With
`--campaign N` the files are N programs of a campaign for each ISA (those of `liftcheck generate`, without the functions
that only run others). What takes long says every minute on standard error what it has so far.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from time import monotonic
from typing import NamedTuple, TypeVar

from liftcheck.case import CompileFailure, FunctionCode, Target
from liftcheck.clif.ir import Function, Module
from liftcheck.clif.text.filetest import FileTest, TestFunction, read_text
from liftcheck.clif.text.parser import parse_filetest
from liftcheck.commands import generate
from liftcheck.compilers.base import Compiler
from liftcheck.compilers.choice import Exactly, Wish, choose, each_target
from liftcheck.compilers.registry import open_compiler
from liftcheck.compilers.spelling import spell
from liftcheck.errors import LiftcheckError
from liftcheck.isa import ISAS
from liftcheck.isa.base import isa_named

LEVELS = ("none", "speed")
_SAID = 60.0
"""Seconds between two lines of progress."""
Counts = TypeVar("Counts")


class Unit(NamedTuple):
    """A function for a target, and what the compiler made of it."""

    test: FileTest
    function: TestFunction
    model: Function
    module: Module
    target: Target
    reply: FunctionCode | CompileFailure | None


def units(test: FileTest, isa: str, compiler: Compiler, code: bool = True) -> Iterator[Unit]:
    """The functions of a file on an ISA; without `code` they are not compiled, and come for one target."""
    chosen = choose(compiler, test, Wish((isa,), LEVELS), only_filter=True).targets
    functions = [function for function in test.functions if function.function is not None]
    if not chosen or not functions:
        return
    module = test.module(functions)
    if not code:
        for function, model in zip(functions, module.functions, strict=True):
            yield Unit(test, function, model, module, chosen[0], None)
        return
    text = spell(compiler, test, test.readable()).text
    for target, replies in each_target(partial(_compiled, compiler, text), chosen, len(functions)):
        for function, model, reply in zip(functions, module.functions, replies, strict=True):
            yield Unit(test, function, model, module, target, reply)


def _compiled(compiler: Compiler, text: str, targets: Sequence[Target]) -> list[list[FunctionCode | CompileFailure]]:
    return Exactly(compiler).compile_text(text, targets, frozenset({"frame"}))


def files(paths: Sequence[Path]) -> Iterator[Path]:
    """The CLIF files of files and folders."""
    for path in paths:
        yield from sorted(path.rglob("*.clif")) if path.is_dir() else (path,)


def tests(options: argparse.Namespace, isa: str) -> Iterator[FileTest]:
    """The files of a command line, read; what cannot be read is said and left out."""
    for name, text in _texts(options, isa):
        try:
            yield parse_filetest(text(), name, strict=False)
        except LiftcheckError as error:
            print(f"{Path(name).name} left out: {str(error).splitlines()[0]}", file=sys.stderr)


def _texts(options: argparse.Namespace, isa: str) -> Iterator[tuple[str, Callable[[], str]]]:
    for path in files(options.paths):
        yield str(path), partial(read_text, path)
    if options.campaign:
        parser = argparse.ArgumentParser()
        generate.declare(parser)
        wish = ["--isa", isa, "--compiler", options.compiler, "--count", str(options.campaign)]
        for number, _, text in generate.programs(parser.parse_args([*wish, "--seed", str(options.seed)])):
            yield f"seed{options.seed}-{number}.clif", partial(_without_runs, text)


def _without_runs(text: str) -> str:
    """A program without the functions that run others: those that have run lines."""
    head, *functions = re.split(r"^(?=function )", text, flags=re.MULTILINE)
    return head + "".join(one for one in functions if not one.startswith("function %run"))


def command_line(what: str) -> argparse.ArgumentParser:
    """The options that all have."""
    parser = argparse.ArgumentParser(description=what)
    known = [isa for isa in ISAS if isa_named(isa).rows]
    parser.add_argument("--isa", action="append", choices=known, help="ISAs (default: all)")
    parser.add_argument("--compiler", default="cranelift")
    parser.add_argument("--campaign", type=int, default=0, metavar="N", help="programs of a campaign, for each ISA")
    parser.add_argument("--seed", type=int, default=0, help="theirs")
    parser.add_argument("paths", nargs="*", type=Path, help="CLIF files and folders")
    return parser


def each_isa(
    options: argparse.Namespace,
    begin: Callable[[], Counts],
    one: Callable[[FileTest, str, Compiler, Counts], None],
    show: Callable[[str, Counts], int],
    so_far: Callable[[Counts], str],
) -> int:
    """Does all files on each ISA, and shows the counts; 1 if `show` says that anything is wrong."""
    compiler = open_compiler(options.compiler)
    wrong = 0
    try:
        for isa in options.isa or [isa for isa in ISAS if isa_named(isa).rows]:
            counts, said = begin(), monotonic()
            for number, test in enumerate(tests(options, isa), 1):
                try:
                    one(test, isa, compiler, counts)
                except LiftcheckError as error:
                    print(f"{Path(test.file).name} left out: {str(error).splitlines()[0]}", file=sys.stderr)
                if monotonic() - said > _SAID:
                    said = monotonic()
                    print(f"{isa}: {number} files: {so_far(counts)}", file=sys.stderr, flush=True)
            wrong += show(isa, counts)
            sys.stdout.flush()
    finally:
        compiler.close()
    return int(bool(wrong))
