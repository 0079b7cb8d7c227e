"""Prints which (opcode, type) a compiler can compile on an ISA and which it lacks, as one table.

The compiler is asked once per build; the answer is cached and is what the generator draws from. A missing lowering is a
row here and not a finding.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from liftcheck.commands import options, output
from liftcheck.errors import UsageError
from liftcheck.isa import ISAS

if TYPE_CHECKING:
    from rich.table import Table

    from liftcheck.compilers.matrix import Matrix


def declare(parser: argparse.ArgumentParser) -> None:
    options.add_isa(parser, "ask for this ISA (default: all four)")
    options.add_compiler(parser)
    options.add_settings(parser)
    parser.add_argument("--opcode", action="append", metavar="NAME", help="only this opcode; repeatable")
    parser.add_argument("--missing", action="store_true", help="only what an ISA lacks, with the compiler's words")
    options.add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Prints one row an opcode and type, one column an ISA."""
    from liftcheck.commands import targets
    from liftcheck.compilers import choice, matrix

    isas = options.flat(args.isa, ISAS)
    wanted = frozenset(_opcodes(args.opcode or ()))
    with targets.opened(args.compiler) as compiler:
        places = choice.make_targets(compiler, isas, (), args.settings)
        found = [matrix.load(compiler, target.isa, target.settings) for target in places]
        name = compiler.name
    keys = _keys(found, wanted, args.missing)
    if args.json:
        output.print_json("matrix", {"compiler": name, "isas": {m.target.isa: _document(m, wanted) for m in found}})
    else:
        _show(name, found, keys, args.missing)
    return 0


def _opcodes(names: Sequence[str]) -> Sequence[str]:
    """The names, checked."""
    from liftcheck.clif.opcodes import OPCODES

    for name in names:
        if name not in OPCODES:
            raise UsageError(f"unknown opcode '{name}'{options.near_miss(name, OPCODES)}")
    return names


def _keys(found: Sequence[Matrix], wanted: frozenset[str], missing: bool) -> list[str]:
    """The rows: every key that was asked for, or those that some ISA lacks."""
    every = {key for matrix in found for key in (*(() if missing else matrix.has), *matrix.lacks)}
    return sorted(key for key in every if not wanted or key.split(".")[0] in wanted)


def _document(matrix: Matrix, wanted: frozenset[str]) -> dict[str, object]:
    def is_wanted(key: str) -> bool:
        return not wanted or key.split(".")[0] in wanted

    return {
        "settings": dict(matrix.target.settings),
        "has": sorted(filter(is_wanted, matrix.has)),
        "lacks": {key: reason for key, reason in sorted(matrix.lacks.items()) if is_wanted(key)},
        "partly": {key: list(names) for key, names in sorted(matrix.choices.items()) if is_wanted(key)},
        "panics": {key: text for key, text in sorted(matrix.panics.items()) if is_wanted(key)},
    }


def _show(compiler: str, found: Sequence[Matrix], keys: Sequence[str], missing: bool) -> None:
    console = output.table_console(160)
    console.print(_missing_table(compiler, found, keys) if missing else _table(compiler, found, keys))
    for matrix in found:
        console.print(
            f"{matrix.target}: {len(matrix.has)} there, {len(matrix.lacks)} lacking", markup=False, highlight=False
        )


def _table(compiler: str, found: Sequence[Matrix], keys: Sequence[str]) -> Table:
    """One row an opcode: the types that every ISA has, then those that an ISA lacks."""
    from rich.table import Table

    table = Table(title=f"{compiler}: types by opcode", title_justify="left")
    for name in ("opcode", "on all", *(f"not on {matrix.target.isa}" for matrix in found)):
        table.add_column(name, overflow="fold")
    rows: dict[str, list[str]] = {}
    for key in keys:
        rows.setdefault(key.split(".")[0], []).append(key)
    for opcode, typings in rows.items():
        shared = [key for key in typings if all(key in matrix for matrix in found)]
        lacking = [_types(key for key in typings if key not in matrix) for matrix in found]
        table.add_row(opcode, _types(shared), *lacking)
    return table


def _types(keys: Iterable[str]) -> str:
    """`i8 i16 i32.i64` of keys `op.i8`, …; '-' for an opcode without types."""
    return " ".join(key.partition(".")[2] or "-" for key in keys)


def _missing_table(compiler: str, found: Sequence[Matrix], keys: Sequence[str]) -> Table:
    """One row an opcode, type and reason."""
    from rich.table import Table

    table = Table(title=f"{compiler}: what is missing", title_justify="left")
    for name in ("opcode.type", "ISA", "the compiler's reason"):
        table.add_column(name, overflow="fold")
    for key in keys:
        for matrix in found:
            if key not in matrix:
                table.add_row(key, matrix.target.isa, _words(matrix, key))
    return table


def _words(matrix: Matrix, key: str) -> str:
    partly = matrix.choices.get(key)
    return matrix.reason(key) + (f" (there: {', '.join(partly)})" if partly else "")
