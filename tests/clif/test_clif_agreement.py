"""Parser and verifier here against the real reader and verifier: on randomly broken programs they accept the same.

The real ones answer through the bridge. What differs on purpose is listed in `verify.DIFFERENCES`; the seeds below meet
little of it, so any other difference is a bug. (20,000 programs on another seed had none either.)
"""

from __future__ import annotations

import random
import re
from collections import Counter
from pathlib import Path

import pytest
from support.clif_mutate import mutate_text, mutate_tree

from liftcheck.case import Target
from liftcheck.clif.ir import Function
from liftcheck.clif.opcodes import OPCODES
from liftcheck.clif.text.filetest import read_text
from liftcheck.clif.text.parser import parse_filetest, parse_module
from liftcheck.clif.text.printer import print_function
from liftcheck.clif.verify import DIFFERENCES, verify
from liftcheck.compilers.cranelift.client import Cranelift
from liftcheck.errors import InputError, Unsupported

CORPUS = Path(__file__).parents[2] / "corpus" / "parse"
TARGET = Target("x86-64", (("enable_pinned_reg", "true"), ("preserve_frame_pointers", "true")))
OLDER = re.compile(
    r"(load|store|cas|rmw)\S* .*\b(vmctx|heap|table|checked)\b"
    r"|\buser(0|25[1-9]|2[6-9]\d|[3-9]\d\d|\d{4,})\b"
)
"""What the newest reader no longer knows, as far as the edits can make it: the difference 'older dialect'."""
TREE_ONLY = "its type is"


def programs(*names: str) -> list[Function]:
    return [t.function for name in names for t in parse_filetest(read_text(CORPUS / name)).functions if t.function]


def ours(text: str) -> str:
    """'' if the text is accepted, otherwise what is wrong."""
    try:
        found = verify(parse_module(text), "x86-64")
    except (InputError, Unsupported) as error:
        return str(error)
    return str(found[0]) if found else ""


def compare(compiler: Cranelift, text: str, seen: Counter[str]) -> None:
    here, there = ours(text), compiler.verify_text(text, TARGET)
    if (OLDER.search(text) and not here) or ("is not declared" in here and not there):
        seen["known difference"] += 1
        return
    assert bool(here) == bool(there), f"here: {here or 'accepted'}\nthere: {there or 'accepted'}\n{text}"
    seen["refused" if here else "accepted"] += 1


@pytest.mark.parametrize("seed", range(3))
def test_broken_texts(compiler: Cranelift, seed: int) -> None:
    rng, seen = random.Random(seed), Counter[str]()
    found = programs("operands.clif", "calls.clif")
    texts = [print_function(f, dialect) for f in found for dialect in ("exact", "portable")]
    for _ in range(300):
        compare(compiler, mutate_text(rng, rng.choice(texts)), seen)
    assert seen["refused"] > 100 and seen["accepted"] > 30


@pytest.mark.parametrize("seed", range(3))
def test_broken_trees(compiler: Cranelift, seed: int) -> None:
    rng, seen = random.Random(seed), Counter[str]()
    found = programs("operands.clif", "calls.clif")
    for _ in range(250):
        tree = mutate_tree(rng, rng.choice(found))
        problems = verify(tree, "x86-64")
        text = print_function(tree, "exact")
        compare(compiler, text, seen)
        if not any(TREE_ONLY in problem.message for problem in problems):
            assert bool(problems) == bool(ours(text)), (list(map(str, problems)), ours(text), text)
    assert seen["refused"] > 80 and seen["accepted"] > 30


def test_broken_filetests(compiler: Cranelift) -> None:
    rng = random.Random(5)
    head = "test run\nset opt_level=speed\ntarget x86_64\n"
    body = "\n".join(
        [
            "function %f(i8, f32, i32x4) -> i64, f16 {",
            "block0(v0: i8, v1: f32, v2: i32x4):",
            "    v3 = iconst.i64 0",
            "    v4 = f16const 0.0",
            "    return v3, v4",
            "}",
        ]
    )
    lines = [
        "; run: %f(-1, -0x1.8p1, [1 -2 0x3 4]) == [-5, +Inf]",
        "; print: %f(0, +NaN, 0x00)",
        "; run: %f(255, 0.0, 0x00000000000000000000000000000001) != [0xffff_ffff_ffff_ffff, 0x1.0]",
    ]
    seen = Counter[str]()
    for _ in range(300):
        text = f"{head}{body}\n{mutate_text(rng, rng.choice(lines))}\n"
        if "$" in text:
            continue
        here, there = parse_filetest(text, strict=False).errors, compiler.read_filetest(text)
        assert bool(here) == bool(there), (list(map(str, here)), there, text)
        seen["refused" if here else "accepted"] += 1
    assert min(seen["refused"], seen["accepted"]) > 50


@pytest.mark.parametrize("name", ["operands.clif", "calls.clif"])
def test_the_corpus_is_read_by_the_real_reader(compiler: Cranelift, name: str) -> None:
    assert compiler.read_filetest(read_text(CORPUS / name)) == []


@pytest.mark.parametrize("dialect", ["portable", "exact"])
def test_what_is_printed_compiles_to_the_same_code(compiler: Cranelift, dialect: str) -> None:
    text = read_text(CORPUS / "operands.clif")
    original = text[text.index("function") :]
    printed = "\n".join(print_function(f, dialect) for f in programs("operands.clif"))
    targets = [Target("x86-64"), Target("s390x")]
    for one, two in zip(compiler.compile_text(original, targets), compiler.compile_text(printed, targets)):
        assert [getattr(x, "code", x) for x in one] == [getattr(x, "code", x) for x in two]


def test_the_older_dialect_becomes_readable(compiler: Cranelift) -> None:
    """Functions without trap codes, flags and conventions that have no newer spelling."""
    for func in programs("older.clif"):
        if func.name not in ("%globals", "%wasmtime"):
            assert compiler.verify_text(print_function(func), TARGET) == [], func.name


_CASES = {
    "undeclared global": ("function %f() {\n    stack_limit = gv3\nblock0:\n    return\n}\n", True, False),
    "older dialect": ("function %f(i32) {\nblock0(v0: i32):\n    v1 = iadd_imm v0, 1\n    return\n}\n", False, True),
    "wide vectors": ("function %f(i64x16) {\nblock0(v0: i64x16):\n    return\n}\n", True, False),
    "multi-line string": ('function %f() {\n    region0 = 1 "a\nb"\nblock0:\n    return\n}\n', True, False),
}  # fmt: skip


@pytest.mark.parametrize("name", _CASES)
def test_known_differences_are_still_there(compiler: Cranelift, name: str) -> None:
    text, here, there = _CASES[name]
    assert name in DIFFERENCES
    assert (bool(ours(text)), bool(compiler.verify_text(text, TARGET))) == (here, there)


def test_every_difference_has_a_case_or_is_too_big_for_one() -> None:
    assert set(DIFFERENCES) - set(_CASES) == {"huge numbers", "junk in run lines"}


def test_junk_in_run_lines(compiler: Cranelift) -> None:
    text = "test run\nfunction %f() -> i8 {\nblock0:\n    v0 = iconst.i8 1\n    return v0\n}\n; run: %f() $ != 2\n"
    assert parse_filetest(text, strict=False).errors
    assert compiler.read_filetest(text) == []


def test_newest_opcodes_are_known_to_the_reader(compiler: Cranelift) -> None:
    """An unknown opcode is a complaint of its own; all of the newest version's must get past it."""
    for name, row in OPCODES.items():
        complaints = compiler.verify_text(f"function %f() {{\nblock0:\n    {name} !\n}}\n", TARGET)
        unknown = any("opcode" in c.message.lower() and "unknown" in c.message.lower() for c in complaints)
        assert unknown == bool(row.removed), (name, complaints)
