"""Holds the layers: a module imports from its own package or from a lower layer, and says so in its own text.

The one idea: read every import with `ast` (those inside functions count too, for they are edges like any other; those
under `TYPE_CHECKING` as well) and compare with the table below. Prints one line a broken rule; exit code 1 if any.
tests/test_layers.py runs the same check and shows that it can fail.

    python ci/check_imports.py [ROOT]
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

LAYERS: Final = {
    "liftcheck": 0, "liftcheck.errors": 0, "liftcheck.layout": 0, "liftcheck.bits": 0,
    "liftcheck.clif": 1, "liftcheck.isle": 1, "liftcheck.case": 1, "liftcheck.nan": 1,
    "liftcheck.opt": 2, "liftcheck.mach": 2, "liftcheck.regalloc": 2,
    "liftcheck.isa": 3,
    "liftcheck.compilers": 4,
    "liftcheck.generators": 5, "liftcheck.oracles": 5,
    "liftcheck.campaign": 6,
    "liftcheck.commands": 7, "liftcheck.cli": 7, "liftcheck.doctor": 7, "liftcheck.__main__": 7,
}
"""Package or module -> layer; the longest prefix of a module's name counts."""

SIDEWAYS: Final = frozenset({
    ("liftcheck.regalloc", "liftcheck.mach"),
    ("liftcheck.case", "liftcheck.clif"),
    ("liftcheck.clif", "liftcheck.case"),
    ("liftcheck.nan", "liftcheck.clif"), ("liftcheck.clif", "liftcheck.nan"),
    ("liftcheck.bits", "liftcheck.errors"),
    ("liftcheck.cli", "liftcheck.commands"), ("liftcheck.commands", "liftcheck.doctor"),
    ("liftcheck.__main__", "liftcheck.cli"), ("liftcheck.layout", "liftcheck"), ("liftcheck.bits", "liftcheck"),
})
"""Edges within one layer that are allowed. `clif.interpret` gives an `Outcome`, and `case` holds a `clif.ir.Module`."""

NAMED_FOR: Final = {"z3": ("smt", "z3"), "unicorn": ("unicorn",)}
"""A package -> words one of which must stand in the name of a module that imports it."""


class Edge(NamedTuple):
    """`importer` imports `imported` (full names) at `line` of `path`."""

    importer: str
    imported: str
    path: Path
    line: int


def modules(root: Path) -> Iterator[tuple[str, Path]]:
    """(module name, path) of every module of the distribution; `generators/` and `oracles/` are below liftcheck."""
    for folder, prefix in (("liftcheck", "liftcheck"), ("generators", "liftcheck.generators"),
                           ("oracles", "liftcheck.oracles")):
        for path in sorted((root / folder).rglob("*.py")):
            parts = path.relative_to(root / folder).with_suffix("").parts
            yield ".".join([prefix, *(part for part in parts if part != "__init__")]), path


def edges(name: str, path: Path) -> Iterator[Edge]:
    """Every import of one module. Relative imports are a broken rule of their own: they come out as '.'."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"), str(path))):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Edge(name, alias.name, path, node.lineno)
        elif isinstance(node, ast.ImportFrom):
            yield from _from_edges(name, path, node)


def _from_edges(name: str, path: Path, node: ast.ImportFrom) -> Iterator[Edge]:
    if node.level:
        yield Edge(name, ".", path, node.lineno)
        return
    module = node.module or ""
    for alias in node.names:
        below = f"{module}.{alias.name}"
        yield Edge(name, below if module == "liftcheck" and below in LAYERS else module, path, node.lineno)


def unit(name: str) -> str:
    """The entry of LAYERS that a module belongs to; '' if it has none."""
    parts = name.split(".")
    return next((".".join(parts[:n]) for n in range(len(parts), 0, -1) if ".".join(parts[:n]) in LAYERS), "")


def complaint(edge: Edge) -> str:
    """What is wrong with an edge, '' if nothing."""
    if edge.imported == ".":
        return "relative import: write the full name"
    package = edge.imported.split(".")[0]
    if package in NAMED_FOR:
        last = edge.importer.rsplit(".", 1)[-1]
        words = NAMED_FOR[package]
        return "" if any(word in last for word in words) else f"{package} belongs in modules named for it ({words[0]})"
    return _layer_complaint(unit(edge.importer), unit(edge.imported)) if package == "liftcheck" else ""


def _layer_complaint(importer: str, imported: str) -> str:
    if not importer:
        return "this module is in no layer: add it to LAYERS"
    if importer == imported or (importer, imported) in SIDEWAYS or LAYERS[imported] < LAYERS[importer]:
        return ""
    if importer == "liftcheck":
        return f"the package itself imports nothing of its own, but imports {imported}"
    return f"layer {LAYERS[importer]} ({importer}) imports layer {LAYERS[imported]} ({imported})"


def complaints(root: Path) -> list[str]:
    """Every broken rule as 'path:line: what'."""
    found = []
    for name, path in modules(root):
        if name != "liftcheck" and unit(name) in ("", "liftcheck"):
            found.append(f"{path.relative_to(root)}:1: this module is in no layer: add it to LAYERS")
        for edge in edges(name, path):
            if what := complaint(edge):
                found.append(f"{path.relative_to(root)}:{edge.line}: {what}")
    return found


def main(argv: list[str]) -> int:
    found = complaints(Path(argv[0]) if argv else Path(__file__).resolve().parent.parent)
    print("\n".join(found) if found else "imports keep to the layers")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
