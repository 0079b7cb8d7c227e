"""The rewrite rules, read and compiled once a process.

The one idea: what the rules are about is in the table of opcodes already, so the enum `Inst` and its terms are written
here from the table; `rules/*.isle` has what people decide.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Final

from liftcheck.clif.opcodes import CONSTANTS, OPCODES
from liftcheck.clif.semantics.meaning import has_meaning
from liftcheck.isle.compiled import NAME, Compiled, compile_rules
from liftcheck.isle.reader import Source
from liftcheck.isle.terms import Variant
from liftcheck.opt.egraph import IMMEDIATE
from liftcheck.opt.externs import EXTERNS

FOLDER: Final = Path(__file__).parent / "rules"


def _declared(op: str, fields: Iterable[str]) -> tuple[str, str]:
    """A variant of Inst, and its term."""
    types = list(fields)
    names = [f"a{n}" for n in range(len(types))]
    listed = " ".join(names)
    variant = f"({op} {' '.join(f'({n} {t})' for n, t in zip(names, types))})"
    term = (
        f"(decl {op} ({' '.join(types)}) Inst) (extractor ({op} {listed}) (Inst.{op} {listed}))"
        f" (rule ({op} {listed}) (Inst.{op} {listed}))"
    )
    return variant, term


def nodes() -> Source:
    """The enum of nodes, as ISLE."""
    rows = [("const", ["Type", "Imm"]), ("result", ["Type", "Value", "Imm"])]
    for name, row in OPCODES.items():
        if has_meaning(name) and row.args and not row.removed and name not in CONSTANTS and row.results:
            immediate = ["CC" if name == "icmp" else "Imm"] if name in IMMEDIATE else []
            rows.append((name, ["Type", *immediate, *["Value"] * len(row.args)]))
    variants, terms = zip(*(_declared(name, fields) for name, fields in rows))
    return Source("src/opts/opcodes", "\n".join(("(type Inst (enum", *variants, "))", *terms)))


def sources() -> list[Source]:
    """The files, with `nodes`."""
    return [
        nodes(),
        *(Source(f"src/opts/{path.name}", path.read_text(encoding="utf-8")) for path in sorted(FOLDER.glob("*.isle"))),
    ]


@cache
def rules() -> Compiled:
    """The rules: the term `simplify`, of a graph and a node."""
    return compile_rules(sources(), EXTERNS, {"CC": NAME})


@cache
def beginnings() -> frozenset[str]:
    """The opcodes that some rule begins with."""
    patterns = (rule.patterns[0] for rule in rules().program.terms["simplify"].rules)
    return frozenset(pattern.name for pattern in patterns if isinstance(pattern, Variant))
