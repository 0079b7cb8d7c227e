"""The test commands that are judged without a compiler: `test cat`, `test domtree`, `test print-cfg`.

The one idea: what a command says of a function in words that our own model can check. `cat`: printed and read again the
function is the same, and so is its text. `domtree`: the `dominates:` comments name just the immediate dominators of all
reachable blocks. `print-cfg`: every edge that a comment announces (`block0:inst1 -> block2`) is one of the function's.
It does not compare the texts that upstream prints.
Sources: upstream's `cranelift/filetests`: `test_cat.rs`, `test_domtree.rs`, `match_directive.rs`, `cfg_printer.rs`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from liftcheck.clif.cfg import Cfg, successors
from liftcheck.clif.ir import Function
from liftcheck.clif.text.filetest import TestFunction
from liftcheck.clif.text.parser import parse_module
from liftcheck.clif.text.printer import print_function
from liftcheck.errors import InputError

_EDGE: Final = re.compile(r"block(\d+):\S* -> block(\d+)\b")
_BLOCK: Final = re.compile(r"block(\d+)\Z")
_DOMINATES: Final = "dominates:"


def cat(function: TestFunction) -> str:
    """'' if the function survives its text; else what is wrong."""
    assert function.function is not None
    text = print_function(function.function, "exact")
    try:
        again = parse_module(text).functions[0]
    except InputError as error:
        return f"its printed text is not read: {error}"
    if again != function.function:
        return "its printed text means another function"
    return "" if print_function(again, "exact") == text else "its printed text does not print as itself"


def domtree(function: TestFunction) -> str:
    """'' if the comments say what immediately dominates every reachable block; else what is wrong."""
    assert function.function is not None
    cfg = Cfg(function.function)
    named: dict[int, int] = {}
    for line, block, above in _dominated(function):
        if isinstance(above, str):
            return f"line {line}: {above}"
        if block in named:
            return f"line {line}: block{block} has two immediate dominators"
        named[block] = above
        found = cfg.idom.get(block)
        if found != above:
            actual = "unreachable" if found is None else f"block{found}"
            return f"line {line}: the immediate dominator of block{block} is block{above} there, {actual} here"
    missing = [block for block in cfg.idom if block not in named]
    return f"block{missing[0]} is unreachable there, block{cfg.idom[missing[0]]} dominates it here" if missing else ""


def _dominated(function: TestFunction) -> Iterator[tuple[int, int, int | str]]:
    """(line, block, its immediate dominator, or what is wrong) for every block that a comment names."""
    assert function.function is not None
    known = {block.number for block in function.function.blocks}
    for line, text in function.annotations:
        directive = text.lstrip("; \t")
        if not directive.startswith(_DOMINATES):
            continue
        above = _block_at(function.function, line)
        for word in directive.removeprefix(_DOMINATES).split():
            match = _BLOCK.match(word)
            if above is None:
                yield line, 0, "the comment belongs to no instruction"
            elif match is None or int(match.group(1)) not in known:
                yield line, 0, f"'{word}' is not a block of the function"
            else:
                yield line, int(match.group(1)), above


def _block_at(function: Function, line: int) -> int | None:
    """The block of the instruction that a comment in this line belongs to: the last one that begins before it."""
    places = [(inst.line, True, block.number) for block in function.blocks for inst in block.insts]
    places += [(block.line, False, block.number) for block in function.blocks]
    before = [place for place in places if place[0] <= line]
    last = max(before, default=None)
    return last[2] if last is not None and last[1] else None


def print_cfg(function: TestFunction) -> str:
    """'' if the edges that comments announce are edges of the function; else the first that is not."""
    assert function.function is not None
    edges = {(block.number, successor) for block in function.function.blocks for successor in successors(block)}
    for line, text in function.annotations:
        for source, target in _EDGE.findall(text):
            if (int(source), int(target)) not in edges:
                return f"line {line}: there is no edge from block{source} to block{target}"
    return ""
