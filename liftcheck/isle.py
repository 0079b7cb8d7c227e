"""The rule sources of a compiler (`.isle` files): forms with their lines, and the list of rules.

The one idea: a rule is known by its file and line, for that is what the compiler's trace says (`compile --rules`).
`forms` reads s-expressions; `rules_below` lists every rule of a crate with its root term and priority, and the part of
the compiler that it belongs to: the mid-end, an ISA, or what all ISAs share. It types nothing and knows no term's
meaning: `generators/rules.py` makes programs of left-hand sides. Files that a build script writes (x86-64's assembler,
the opcodes' extractors) are not among the published sources, so their rules are not listed.
Sources: `cranelift/isle/docs/language-reference.md`; the list of files per compilation is `cranelift-codegen-meta`'s
`isle.rs`; the published crate ships `src/opts`, `src/isa/*` and the preludes.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from itertools import takewhile
from pathlib import Path
from typing import Final, NamedTuple

from liftcheck.isa import LISTED

Tree = str | list["Tree"]

_TOKEN: Final = re.compile(r"\(;.*?;\)|;[^\n]*|\"[^\"]*\"|[()]|@|[^\s()@;\"]+", re.DOTALL)
_NUMBER: Final = re.compile(r"-?[0-9]+$")
MID_END: Final = "mid-end"
SHARED: Final = "shared"
"""Parts of the compiler that are no ISA: the optimizer's rules, and the lowering rules that all ISAs have."""


class Form(NamedTuple):
    """A top-level s-expression. `line` is that of what stands behind its first word, `first` and `last` are those of
    its parentheses; all count from 1."""

    tree: list[Tree]
    line: int
    first: int
    last: int


class Rule(NamedTuple):
    """A rule: `file` below the crate (`src/opts/icmp.isle`), `line` as the trace says it (that of the name, the
    priority or the left-hand side), `first` to `last` its text. `part` is MID_END, SHARED or an ISA."""

    file: str
    line: int
    term: str
    priority: int
    part: str
    parts: list[Tree]
    first: int
    last: int

    @property
    def place(self) -> str:
        return f"{self.file}:{self.line}"

    @property
    def left(self) -> Tree:
        """The left-hand side; behind it in `parts` stand the guards (`if`, `if-let`), at last the right-hand side."""
        return self.parts[0]


def find(version: str) -> Path | None:
    """The `src` folder of a published Cranelift in cargo's registry, if cargo has fetched it."""
    home = Path(os.environ.get("CARGO_HOME", Path.home() / ".cargo"))
    found = sorted((home / "registry" / "src").glob(f"*/cranelift-codegen-{version}/src"))
    return found[0] if found else None


def forms(text: str) -> Iterator[Form]:
    """Top-level s-expressions; `x @ (…)` keeps its `@` as a token of its own. Ends at what is none."""
    stack: list[list[Tree]] = [[]]
    line, at, first, inner, seen = 1, 0, 0, 0, 0
    for match in _TOKEN.finditer(text):
        token = match.group()
        line, at = line + text.count("\n", at, match.start()), match.start()
        if token[0] == ";" or token[:2] == "(;":
            continue
        seen += 1
        if len(stack) == 1:
            first, seen = line, 0
        elif seen == 2:
            inner = line
        if token == "(":
            stack.append([])
        elif token == ")":
            if len(stack) == 1:
                return
            done = stack.pop()
            if len(stack) == 1:
                yield Form(done, inner, first, line)
            else:
                stack[-1].append(done)
        else:
            stack[-1].append(token)


def rules_in(text: str, file: str, part: str) -> Iterator[Rule]:
    """The rules of one file, in order."""
    for tree, line, first, last in forms(text):
        if len(tree) > 1 and tree[0] == "rule":
            words = [*takewhile(lambda one: isinstance(one, str), tree)]
            parts = tree[len(words) :]
            term = parts[0][0] if parts and parts[0] else ""
            if isinstance(term, str) and term:
                numbers = [int(word) for word in words if isinstance(word, str) and _NUMBER.match(word)]
                yield Rule(file, line, term, numbers[-1] if numbers else 0, part, parts, first, last)


def files_below(source: Path, isas: tuple[str, ...]) -> Iterator[tuple[Path, str]]:
    """The rule files of a crate's `src` folder that code for these ISAs goes through, and the part that each is of."""
    yield from ((path, MID_END) for path in (source / "prelude_opt.isle", *sorted((source / "opts").glob("*.isle"))))
    yield from ((source / name, SHARED) for name in ("prelude.isle", "prelude_lower.isle"))
    for isa in isas:
        yield from ((path, isa) for path in sorted((source / "isa" / LISTED[isa].package).glob("*.isle")))


def rules_below(source: Path, isas: tuple[str, ...]) -> list[Rule]:
    """Every rule of a crate's `src` folder that code for these ISAs goes through."""
    found: list[Rule] = []
    for path, part in files_below(source, isas):
        if path.is_file():
            name = f"src/{path.relative_to(source).as_posix()}"
            found += rules_in(path.read_text(encoding="utf-8"), name, part)
    return found
