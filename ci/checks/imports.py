"""Holds the layers: a module imports from its own package or from a lower layer, says so in its own text, and no
imports make a circle.

The one idea: read every import with `ast` (those inside functions count too, for they are edges like any other; those
under `TYPE_CHECKING` as well) and compare with the table below; between files of one package, the graph has to be free
of circles. Prints one line a broken rule; exit code 1 if any. tests/meta/test_layers.py runs the same check and shows
that it can fail.
What it does not see: an import by a string (`isa.base` opens an ISA's package so).

    python ci/checks/imports.py [ROOT]
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Final, NamedTuple

LAYERS: Final[dict[str, int]] = {
    "liftcheck": 0, "liftcheck.errors": 0, "liftcheck.layout": 0,
    "liftcheck.bits": 1, "liftcheck.isa": 1,
    "liftcheck.clif": 2,
    "liftcheck.clif.semantics": 3, "liftcheck.case": 3, "liftcheck.nan": 3, "liftcheck.isle": 3,
    "liftcheck.clif.text": 4, "liftcheck.interp": 4, "liftcheck.mach": 4, "liftcheck.opt": 4,
    "liftcheck.regalloc": 5, "liftcheck.isa.errata": 5,
    "liftcheck.generators": 6,
    "liftcheck.compilers": 7, "liftcheck.runners": 7,
    "liftcheck.oracles.regalloc": 8,
    "liftcheck.oracles": 9,
    "liftcheck.oracles.filetests": 10,
    "liftcheck.campaign.options": 11, "liftcheck.campaign.reduce": 11,
    "liftcheck.campaign.seeds": 12,
    "liftcheck.campaign.plan": 13,
    "liftcheck.campaign.planner": 14,
    "liftcheck.campaign.findings": 15,
    "liftcheck.campaign.report": 16, "liftcheck.campaign.execute": 16,
    "liftcheck.campaign.keep": 17,
    "liftcheck.campaign": 18, "liftcheck.doctor": 18,
    "liftcheck.strategies": 19, "liftcheck.commands": 19,
    "liftcheck.cli": 20, "liftcheck.pytest_plugin": 20,
    "liftcheck.__main__": 21,
}  # fmt: skip
"""Package or module -> layer; the longest prefix of a module's name counts. The package of an ISA has the layer of
OF_AN_ISA: it has instructions, and a value that anybody may ask for (by a string: `isa.base`)."""

OF_AN_ISA: Final = 6
_ISAS: Final = Path(__file__).resolve().parents[2] / "liftcheck" / "isa"
LAYERS.update({f"liftcheck.isa.{folder.parent.name}": OF_AN_ISA for folder in sorted(_ISAS.glob("*/__init__.py"))})

APART: Final = (("liftcheck.oracles", "liftcheck.generators"), ("liftcheck.runners", "liftcheck.generators"))
"""Never, though the layers allow it: who judges programs does not know who makes them."""

NAMED_FOR: Final = {"z3": ("smt", "z3"), "unicorn": ("unicorn",), "distributed": ("cluster",)}
"""A package -> words one of which must stand in the name of a module that imports it."""


_INSIDE: Final = ("body", "orelse", "finalbody", "handlers", "cases")
"""The fields in which a statement, a handler or a case of a match holds statements."""


class Edge(NamedTuple):
    """`importer` imports `imported` (full names) at `line` of `path`."""

    importer: str
    imported: str
    path: Path
    line: int


def modules(root: Path) -> Iterator[tuple[str, Path]]:
    """(module name, path) of every module of the distribution."""
    for path in sorted((root / "liftcheck").rglob("*.py")):
        parts = path.relative_to(root).with_suffix("").parts
        yield ".".join(part for part in parts if part != "__init__"), path


def edges(name: str, path: Path) -> Iterator[Edge]:
    """Every import of one module. Relative imports are a broken rule of their own: they come out as '.'."""
    for node in _statements(ast.parse(path.read_text(encoding="utf-8"), str(path))):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Edge(name, alias.name, path, node.lineno)
        elif isinstance(node, ast.ImportFrom):
            yield from _from_edges(name, path, node)


def _statements(tree: ast.Module) -> Iterator[ast.AST]:
    """All statements, those inside others too. Expressions, where most nodes are, hold none."""
    waiting: list[ast.AST] = [tree]
    while waiting:
        node = waiting.pop()
        yield node
        for field in _INSIDE:
            waiting += getattr(node, field, ())


def _from_edges(name: str, path: Path, node: ast.ImportFrom) -> Iterator[Edge]:
    """`from package import name`: the whole name, which may be that of a module or of something in one."""
    if node.level:
        yield Edge(name, ".", path, node.lineno)
        return
    for alias in node.names:
        yield Edge(name, f"{node.module}.{alias.name}", path, node.lineno)


@cache
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
    return _layer_complaint(edge.importer, edge.imported) if package == "liftcheck" else ""


def _layer_complaint(importer: str, imported: str) -> str:
    ours, theirs = unit(importer), unit(imported)
    if ours in ("", "liftcheck") and importer != "liftcheck":
        return "this module is in no layer: add it to LAYERS"
    if ours == theirs:
        return ""
    if any(importer.startswith(f"{a}.") and f"{imported}.".startswith(f"{b}.") for a, b in APART):
        return f"{ours} and {theirs} know nothing of each other"
    if LAYERS[theirs] >= LAYERS[ours]:
        return f"layer {LAYERS[ours]} ({ours}) imports layer {LAYERS[theirs]} ({theirs})"
    return ""


def circle(imports: dict[str, set[str]]) -> str:
    """A circle of modules that import each other, 'a -> b -> a'; '' if there is none."""
    try:
        TopologicalSorter(imports).prepare()
    except CycleError as error:
        return " -> ".join(reversed(error.args[1]))
    return ""


def graph(imports: dict[str, list[Edge]]) -> dict[str, set[str]]:
    """Module -> the modules that it imports, and the packages around both, whose `__init__` is executed before."""
    found: dict[str, set[str]] = {}
    for name, made in imports.items():
        names = {name, *(edge.imported for edge in made)}
        around = {".".join(parts[:n]) for parts in (one.split(".") for one in names) for n in range(1, len(parts) + 1)}
        found[name] = {one for one in around if one in imports} - {name}
    return found


def complaints(root: Path) -> list[str]:
    """Every broken rule as 'path:line: what'."""
    found, imports = [], {}
    for name, path in modules(root):
        imports[name] = list(edges(name, path))
        if name != "liftcheck" and unit(name) in ("", "liftcheck"):
            found.append(f"{path.relative_to(root)}:1: this module is in no layer: add it to LAYERS")
        for edge in imports[name]:
            if what := complaint(edge):
                found.append(f"{path.relative_to(root)}:{edge.line}: {what}")
    if not found and (chain := circle(graph(imports))):
        found.append(f"imports in a circle: {chain}")
    return found


def main(argv: list[str]) -> int:
    """Prints the complaints about the tree; 1 if there are any."""
    found = complaints(Path(argv[0]) if argv else Path(__file__).resolve().parents[2])
    print("\n".join(found) if found else "imports keep to the layers, and none make a circle")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
