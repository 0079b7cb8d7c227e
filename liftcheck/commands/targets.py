"""What commands share that compile for targets: a compiler that is closed, and what the options ask for."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager

from liftcheck.clif.text.filetest import FileTest
from liftcheck.commands import options
from liftcheck.compilers.base import Compiler
from liftcheck.compilers.choice import Choice, Wish, choose
from liftcheck.compilers.registry import open_compiler
from liftcheck.errors import InputError
from liftcheck.isa import ISAS


@contextmanager
def opened(spec: str) -> Iterator[Compiler]:
    """A compiler for as long as it is needed."""
    compiler = open_compiler(spec)
    try:
        yield compiler
    finally:
        compiler.close()


def wish(args: argparse.Namespace) -> Wish:
    """What `--isa`, `--opt` and `--set` ask for."""
    return Wish(options.flat(args.isa, ()), options.flat(args.opt, ()), tuple(args.settings))


def chosen(compiler: Compiler, test: FileTest, args: argparse.Namespace) -> Choice:
    """What a file is compiled for; InputError if that is nothing."""
    choice = choose(compiler, test, wish(args))
    if not choice.targets:
        lines = ", ".join(f"{target.triple} (line {target.line})" for target in choice.outside)
        raise InputError.at(
            f"only for ISAs that liftcheck does not have: {lines}; it has {', '.join(ISAS)} (choose with --isa)",
            test.file,
        )
    return choice
