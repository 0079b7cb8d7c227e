"""Holds the house rules that a linter does not know; the rest is ruff's and mypy's.

Rules: every module, and every public class, says what it is; nothing draws from the functions of the module `random`,
which share hidden state (`Random(seed)` is an explicit generator); no module-level name is rebound through `global`;
no `except:` without a type; functions and modules keep to a length; tests stand in the rooms of the source. Prints one
line a broken rule; exit code 1 if any. Otherwise it prints how long functions and modules are.

    python ci/checks/house.py [ROOT]
"""

from __future__ import annotations

import ast
import random
import statistics
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

FOLDERS: Final = ("liftcheck", "ci")
OWN_ROOMS: Final = frozenset({"tests/meta", "tests/support"})
"""Rooms that only tests have: what is true of the whole tree, and what tests share."""
FUNCTION_LINES: Final = 80
MODULE_LINES: Final = 700
MAY_BE_LONG: Final = frozenset(
    {"liftcheck/clif/opcodes.py", "liftcheck/clif/semantics/meaning.py", "liftcheck/bits/prim.py"}
)
"""Tables: data may be long, one topic each."""


def complaints(root: Path) -> list[str]:
    """Every broken rule as 'path:line: what'."""
    found = []
    for folder in FOLDERS:
        for path in sorted((root / folder).rglob("*.py")):
            name = path.relative_to(root).as_posix()
            found += [f"{name}:{line}: {what}" for line, what in check(name, path.read_text(encoding="utf-8"))]
    return found + strays(root)


def strays(root: Path) -> list[str]:
    """Modules of tests in a room that the source has not, or in none."""
    found = []
    for path in sorted((root / "tests").rglob("test_*.py")):
        room = path.parent.relative_to(root).as_posix()
        if room not in OWN_ROOMS and (room == "tests" or not (root / room.replace("tests", "liftcheck", 1)).is_dir()):
            found.append(f"{path.relative_to(root).as_posix()}:1: tests stand in the rooms of the source")
    return found


def measures(root: Path) -> str:
    """The median and the ninth decile of the lengths of functions and modules."""
    texts = [path.read_text(encoding="utf-8") for path in (root / "liftcheck").rglob("*.py")]
    nodes = [node for text in texts for node in ast.walk(ast.parse(text))]
    functions = [_lines(node) for node in nodes if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))]
    modules = [text.count("\n") for text in texts if text.strip()]
    shown = []
    for name, found in (("functions", functions), ("modules", modules)):
        ninth = sorted(found)[len(found) * 9 // 10]
        shown.append(f"{len(found)} {name}: median {statistics.median(found):.0f} lines, ninth decile {ninth}")
    return "; ".join(shown)


def _lines(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    return (node.end_lineno or node.lineno) - node.lineno + 1


def check(name: str, text: str) -> Iterator[tuple[int, str]]:
    """(line, what) of each broken rule of one module; `name` is its path below the root."""
    tree = ast.parse(text, name)
    nodes = list(ast.walk(tree))
    if text.strip() and not ast.get_docstring(tree):
        yield 1, "the module does not say what it is"
    if text.count("\n") > MODULE_LINES and name not in MAY_BE_LONG:
        yield 1, f"{text.count(chr(10))} lines: a module keeps to {MODULE_LINES}"
    imported = any(
        isinstance(node, ast.Import) and any(alias.name == "random" for alias in node.names) for node in nodes
    )
    for node in nodes:
        yield from _node(name, node)
        if _shares_random_state(node, imported):
            yield getattr(node, "lineno", 1), "hidden random state: draw from an explicit Random(seed) or Choices"


def _node(name: str, node: ast.AST) -> Iterator[tuple[int, str]]:
    if isinstance(node, ast.ExceptHandler) and node.type is None:
        yield node.lineno, "`except:` without a type"
    elif isinstance(node, ast.Global):
        yield node.lineno, f"`global {', '.join(node.names)}`: no module-level mutable state"
    elif isinstance(node, ast.ClassDef) and not node.name.startswith("_") and not ast.get_docstring(node):
        yield node.lineno, f"class {node.name} does not say what it is"
    elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
        length = _lines(node)
        if length > FUNCTION_LINES and name not in MAY_BE_LONG:
            yield node.lineno, f"function {node.name} has {length} lines: at most {FUNCTION_LINES}"


_RANDOM_FUNCTIONS: Final = frozenset(name for name in dir(random.Random) if not name.startswith("_"))


def _shares_random_state(node: ast.AST, imported: bool) -> bool:
    """`random.choice(…)` where the module is imported, or a function of it imported by name."""
    if imported and isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "random":
        return node.attr in _RANDOM_FUNCTIONS
    return isinstance(node, ast.ImportFrom) and node.module == "random" and [a.name for a in node.names] != ["Random"]


def main(argv: list[str]) -> int:
    """Prints the complaints about the tree; 1 if there are any."""
    root = Path(argv[0]) if argv else Path(__file__).resolve().parents[2]
    found = complaints(root)
    print("\n".join(found) if found else f"the house rules hold; {measures(root)}")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
