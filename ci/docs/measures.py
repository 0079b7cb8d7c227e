"""How the code stands, in numbers: the table of docs/measures.md, one column a tree.

The one idea: what the checks forbid they can also count, so numbers of a tree of any age come from the rules of today:
lengths as `ci/checks/house.py` measures them, names of ISAs as `ci/checks/isas.py` finds them, circles in the imports
that `ci/checks/imports.py` reads. A tree from before the packages `generators` and `oracles` moved is read, too.
What no program can count (facts that stand twice, places a recipe takes) is said on the page by hand.

    python ci/docs/measures.py [ROOT ...]
"""

from __future__ import annotations

import ast
import statistics
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "checks"))
import imports
import isas

HERE: Final = Path(__file__).resolve().parents[2]
LONG: Final = 400
"""Lines that a module rarely has more of."""
_MOVED: Final = ("generators", "oracles")
"""Packages that stood beside `liftcheck` once; links to them do not count."""


def modules(root: Path) -> Iterator[tuple[str, Path]]:
    """(module name, path) of every module of the distribution."""
    folders = [root / "liftcheck", *(root / one for one in _MOVED if not (root / one).is_symlink())]
    for folder in folders:
        for path in sorted(folder.rglob("*.py")):
            parts = path.relative_to(root).with_suffix("").parts
            around = () if parts[0] == "liftcheck" else ("liftcheck",)
            yield ".".join((*around, *(part for part in parts if part != "__init__"))), path


def circles(uses: Mapping[str, set[str]]) -> list[set[str]]:
    """The sets of two or more modules each of which leads to all others."""
    leads = {name: _from(name, uses) for name in uses}
    found = {frozenset({other for other in leads[name] if name in leads[other]}) for name in uses}
    return sorted((set(one) for one in found if len(one) > 1), key=sorted)


def _from(name: str, uses: Mapping[str, set[str]]) -> set[str]:
    """Where imports lead, the module itself only if they lead back."""
    found: set[str] = set()
    waiting = list(uses[name])
    while waiting:
        one = waiting.pop()
        if one not in found:
            found.add(one)
            waiting += uses[one]
    return found


def measures(root: Path) -> dict[str, str]:
    """What there is to count in a tree, by its name in the table."""
    paths = dict(modules(root))
    texts = {name: path.read_text(encoding="utf-8") for name, path in paths.items()}
    lines = [text.count("\n") for text in texts.values() if text.strip()]
    nodes = [node for text in texts.values() for node in ast.walk(ast.parse(text))]
    functions = [
        (node.end_lineno or node.lineno) - node.lineno + 1
        for node in nodes
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
    ]
    outside = {name: text for name, text in texts.items() if not name.startswith("liftcheck.isa")}
    named = {name: list(isas.check(text)) for name, text in outside.items()}
    found = circles(_uses(paths))
    return {
        "functions": f"{len(functions):,}",
        "lines of a function: median, ninth decile": _lengths(functions),
        "modules": f"{len(lines):,}",
        "lines of a module: median, ninth decile": _lengths(lines),
        f"modules of more than {LONG} lines": str(sum(one > LONG for one in lines)),
        "circles of modules that import each other": ", ".join(f"one of {len(one)}" for one in found) or "0",
        "modules outside of `isa/` that name an ISA": str(sum(map(bool, named.values()))),
        "conditions on the name of an ISA there": str(sum(always for one in named.values() for *_, always in one)),
    }


def _uses(paths: Mapping[str, Path]) -> dict[str, set[str]]:
    """Module -> modules it imports by name; a package's `__init__`, which comes before, does not count."""
    found: dict[str, set[str]] = {}
    for name, path in paths.items():
        targets = [edge.imported for edge in imports.edges(name, path)]
        found[name] = {one if one in paths else one.rpartition(".")[0] for one in targets} & paths.keys() - {name}
    return found


def _lengths(lines: Sequence[int]) -> str:
    return f"{statistics.median(lines):.0f}, {sorted(lines)[len(lines) * 9 // 10]}" if lines else "none"


def main(argv: list[str]) -> int:
    """Prints the rows of the table, a column each tree."""
    columns = [measures(Path(one)) for one in argv] or [measures(HERE)]
    for name in columns[0]:
        print(f"| {name} | {' | '.join(column[name] for column in columns)} |")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
