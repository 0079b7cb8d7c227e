"""The rule sources of a compiler (`.isle` files): forms with their lines, and the list of rules.

The one idea: a rule is known by its file and line, for that is what the compiler's trace says (`compile --rules`).
`forms` reads s-expressions; `read_below` lists every rule of a crate with its root term and priority, and the part of
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
"""Parts of the compiler that are not an ISA: the optimizer's rules, and the lowering rules that all ISAs have."""


class Form(NamedTuple):
    """A top-level s-expression. `line` is that of what stands after its first word, `first` and `last` are those of
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
        """The left-hand side; after it in `parts` stand the guards (`if`, `if-let`), at last the right-hand side."""
        return self.parts[0]


def find(version: str, compiler: str = "") -> Path | None:
    """The `src` folder of a compiler's cranelift-codegen: of 'cranelift=PATH' the one at that path, of a published
    version the one that cargo has fetched; None if it is not there."""
    if "=" in compiler:
        path = Path(compiler.partition("=")[2])
        return next((src for src in (path / "cranelift/codegen/src", path / "src") if (src / "opts").is_dir()), None)
    home = Path(os.environ.get("CARGO_HOME", Path.home() / ".cargo"))
    found = sorted((home / "registry" / "src").glob(f"*/cranelift-codegen-{version}/src"))
    return found[0] if found else None


def forms(text: str) -> Iterator[Form]:
    """Top-level s-expressions; `x @ (…)` keeps its `@` as a token of its own. Ends at a parenthesis too many."""
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


def spelled(tree: Tree) -> str:
    """A tree as text on one line."""
    return tree if isinstance(tree, str) else f"({' '.join(map(spelled, tree))})"


def words(tree: Tree) -> Iterator[str]:
    """All words of a tree."""
    if isinstance(tree, str):
        yield tree
    else:
        for one in tree:
            yield from words(one)


def _rule(form: Form, file: str, part: str) -> Rule | None:
    """A form as a rule of a file, if it is one."""
    tree, line, first, last = form
    words = [*takewhile(lambda one: isinstance(one, str), tree)]
    parts = tree[len(words) :]
    term = parts[0][0] if parts and parts[0] else ""
    if words[:1] != ["rule"] or not isinstance(term, str) or not term:
        return None
    numbers = [int(word) for word in words if isinstance(word, str) and _NUMBER.match(word)]
    return Rule(file, line, term, numbers[-1] if numbers else 0, part, parts, first, last)


def rules_in(text: str, file: str, part: str) -> Iterator[Rule]:
    """The rules of one file, in order."""
    return (rule for form in forms(text) if (rule := _rule(form, file, part)) is not None)


def files_below(source: Path, isas: tuple[str, ...]) -> Iterator[tuple[Path, str]]:
    """The rule files of a crate's `src` folder that code for these ISAs goes through, and the part that each is of."""
    yield from ((path, MID_END) for path in (source / "prelude_opt.isle", *sorted((source / "opts").glob("*.isle"))))
    yield from ((source / name, SHARED) for name in ("prelude.isle", "prelude_lower.isle"))
    for isa in isas:
        yield from ((path, isa) for path in sorted((source / "isa" / LISTED[isa].package).glob("*.isle")))


class Sources(NamedTuple):
    """The rules that code for some ISAs goes through; the extractors that are other patterns with another name: their
    parameters, and the pattern; the terms that are called without being named, to convert."""

    rules: tuple[Rule, ...]
    extractors: dict[str, tuple[list[Tree], Tree]]
    converters: frozenset[str] = frozenset()


def read_below(source: Path, isas: tuple[str, ...]) -> Sources:
    """What a crate's `src` folder has for these ISAs."""
    rules: list[Rule] = []
    extractors: dict[str, tuple[list[Tree], Tree]] = {}
    converters: set[str] = set()
    for path, part in files_below(source, isas):
        if path.is_file():
            name = f"src/{path.relative_to(source).as_posix()}"
            for form in forms(path.read_text(encoding="utf-8")):
                rule, tree = _rule(form, name, part), form.tree
                if rule is not None:
                    rules.append(rule)
                elif tree[:1] == ["extractor"] and len(tree) > 2 and isinstance(tree[-2], list) and tree[-2]:
                    extractors[str(tree[-2][0])] = tree[-2][1:], tree[-1]
                elif tree[:1] == ["convert"]:
                    converters.add(str(tree[-1]))
    return Sources(tuple(rules), extractors, frozenset(converters))


def rust_below(source: Path) -> str:
    """The text of a crate's Rust sources, which call rules and make what rules match."""
    return "\n".join(path.read_text(encoding="utf-8") for path in sorted(source.rglob("*.rs")))
