"""Holds that ISAs are values: outside `isa/`, no module names one, and no condition asks for one by its name.

The one idea: `liftcheck/isa/__init__.py` has the names; here every module is read with `ast`, and whatever has one of
them as a whole word counts: texts (also those for people), names of functions and variables, imports. Comments and
docstrings may name whom they like. Who must name one stands in MAY_NAME with the reason; an entry that is needed no
more is a broken rule too, so the list stays short. A condition on a name is never allowed.
Prints one line a broken rule; exit code 1 if any. tests/meta/test_isa_names.py shows that it can fail.
What it does not see: a name that is put together at run time, an ISA that is known by what only it has.

    python ci/checks/isas.py [ROOT]
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from liftcheck.isa import LISTED

HERE: Final = "liftcheck/isa/"
MAY_NAME: Final = {
    "liftcheck/cli.py": "an example of a command line",
    "liftcheck/compilers/cranelift/failures.py": "rows about places in Cranelift's sources",
    "liftcheck/generators/tables.py": "why an opcode is not generated, for people",
    "liftcheck/oracles/filetests/pages.py": "rows about faults of a backend",
}
"""Module -> why it names ISAs."""

_WORDS: Final = sorted(
    {word for row in LISTED.values() for word in (row.name, row.package, row.triple, *row.aliases, *row.spellings)},
    key=len,
    reverse=True,
)
_ANY: Final = "|".join(map(re.escape, _WORDS))
_NAMED: Final = re.compile(rf"(?<!\w)(?:{_ANY})(?!\w)", re.IGNORECASE)
"""In a text: 'apple_aarch64', a calling convention, is another word."""
_MENTIONED: Final = re.compile(_ANY, re.IGNORECASE)
_IN_IDENTIFIER: Final = re.compile(rf"(?:^|_)(?:{_ANY})(?:_|$)", re.IGNORECASE)


def complaints(root: Path) -> list[str]:
    """Every broken rule as 'path:line: what'."""
    found, named = [], set()
    for path in sorted((root / "liftcheck").rglob("*.py")):
        name = path.relative_to(root).as_posix()
        if name.startswith(HERE):
            continue
        places = list(check(path.read_text(encoding="utf-8"), name))
        named |= {name} if places else set()
        found += [f"{name}:{line}: {what}" for line, what, always in places if always or name not in MAY_NAME]
    unneeded = sorted(MAY_NAME.keys() - named)
    return found + [f"ci/checks/isas.py:1: {name} names no ISA: take it from the list" for name in unneeded]


def check(text: str, name: str = "?") -> Iterator[tuple[int, str, bool]]:
    """(line, what, whether no reason excuses it) of each place of a module that names an ISA."""
    if not _MENTIONED.search(text):
        return
    nodes = list(ast.walk(ast.parse(text, name)))
    prose = {id(node.value) for node in nodes if isinstance(node, ast.Expr)}
    for node in nodes:
        line = getattr(node, "lineno", 1)
        if isinstance(node, (ast.Compare, ast.MatchValue)) and (word := _asked(node)):
            yield line, f"a condition on {word}: ask the ISA's value (isa.base.Isa)", True
        for word in _names(node, prose):
            yield line, f"names an ISA ({word}): a field of isa.base.Isa, or an entry of MAY_NAME", False


def _asked(node: ast.AST) -> str:
    """The name of an ISA that a condition compares with, or ''."""
    texts = (one.value for one in ast.walk(node) if isinstance(one, ast.Constant) and isinstance(one.value, str))
    return next((text for text in texts if _NAMED.fullmatch(text)), "")


def _names(node: ast.AST, prose: set[int]) -> Iterator[str]:
    if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in prose:
        if found := _NAMED.search(node.value):
            yield found[0]
        return
    for field in ("id", "name", "arg", "attr", "asname", "module"):
        words = getattr(node, field, None)
        if isinstance(words, str) and any(_IN_IDENTIFIER.search(word) for word in words.split(".")):
            yield words


def main(argv: list[str]) -> int:
    """Prints the complaints about the tree; 1 if there are any."""
    found = complaints(Path(argv[0]) if argv else Path(__file__).resolve().parents[2])
    print("\n".join(found) if found else "ISAs are named where they are described")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
