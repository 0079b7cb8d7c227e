"""Compiles a file for an ISA and prints the machine code: disassembly, the CLIF line that each instruction comes from,
relocations, call sites and traps with their codes.

Exit code 2 if the compiler refuses a function (a missing lowering), 1 if it panics, dies or does not end.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from liftcheck.commands import options, output
from liftcheck.errors import UsageError

if TYPE_CHECKING:
    from liftcheck.case import Target
    from liftcheck.commands.calls import Program
    from liftcheck.compilers.base import Reply


def declare(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", help="a .clif file, or - for standard input")
    options.add_isa(parser, "compile for this ISA (default: those that the file names, else all four)")
    parser.add_argument("--function", metavar="NAME", help="only this function")
    options.add_compiler(parser)
    options.add_opt(parser, "the file's own, else speed")
    options.add_settings(parser)
    parser.add_argument("--vcode", action="store_true", help="also the compiler's own text of its instructions")
    parser.add_argument("--clif", action="store_true", help="also the optimized CLIF")
    parser.add_argument("--rules", action="store_true", help="also the ISLE rules that matched")
    options.add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Compiles for every target; 1 if the compiler panicked or died, 2 if it refused a function."""
    from liftcheck.commands import calls, targets
    from liftcheck.compilers.choice import Exactly, each_target
    from liftcheck.compilers.spelling import spell

    program = calls.read_file(args.file)
    chosen = _chosen(program, args.function)
    wanted = {"srclocs", *(name for name in ("vcode", "clif", "rules") if getattr(args, name))}
    with targets.opened(args.compiler) as compiler:
        choice = targets.chosen(compiler, program.test, args)
        asked = Exactly(compiler) if choice.exact else compiler
        spelling = spell(compiler, program.test, chosen)
        columns = each_target(
            partial(asked.compile_text, spelling.text, wants=frozenset(wanted)), choice.targets, len(chosen)
        )
        found = [(target, spelling.located(reply)) for target, column in columns for reply in column]
        name = compiler.name
    notes = [*choice.notes, *spelling.notes]
    lines = spelling.lines
    if args.json:
        functions = [_document(target, reply, lines) for target, reply in found]
        output.print_json("compile", {"file": program.file, "compiler": name, "notes": notes, "functions": functions})
    else:
        print(
            "".join(f"; note: {note}\n" for note in notes)
            + "\n\n".join(_text(target, reply, program, lines) for target, reply in found)
        )
    return max((_code(reply) for _, reply in found), default=0)


def _chosen(program: Program, name: str | None) -> list[int]:
    """Numbers of the functions to show."""
    names = [function.name for function in program.test.functions]
    if name is None:
        return list(range(len(names)))
    wanted = name if name.startswith(("%", "u")) else f"%{name}"
    if wanted not in names:
        raise UsageError(f"no function '{wanted}'{options.near_miss(wanted, names)} (there are: {', '.join(names)})")
    return [number for number, other in enumerate(names) if other == wanted]


def _code(reply: Reply) -> int:
    """0 for code, 1 for what the compiler does badly, 2 for what it refuses."""
    from liftcheck.case import CompileFailure

    if not isinstance(reply, CompileFailure):
        return 0
    return 1 if reply.is_finding else 2


def _lines(reply: Reply, lines: Sequence[int]) -> list[tuple[int, int, int]]:
    """(first byte, end, line of the file) out of what the compiler says of its source locations in the text."""
    rows = getattr(reply, "extra", {}).get("srclocs", ())
    return [(row[0], row[1], lines[row[3] - 1]) for row in rows if row[3]]


def _text(target: Target, reply: Reply, program: Program, lines: Sequence[int]) -> str:
    from liftcheck.case import CompileFailure
    from liftcheck.commands import listing

    if isinstance(reply, CompileFailure):
        place = f" (at {reply.place})" if reply.place else ""
        return f"{target}: {reply.kind}: {reply.message or reply.reason}{place}"
    body = listing.as_text(reply, listing.rows(reply, target.isa, _lines(reply, lines)), program.source)
    more = [f"{name}:\n{_block(reply.extra[name])}" for name in ("clif", "vcode", "rules") if name in reply.extra]
    return "\n\n".join([f"; {target}\n{body}", *more])


def _block(value: object) -> str:
    lines = value.splitlines() if isinstance(value, str) else [str(item) for item in value]  # type: ignore[attr-defined]
    return "\n".join(f"  {line}" for line in lines)


def _document(target: Target, reply: Reply, lines: Sequence[int]) -> dict[str, object]:
    from liftcheck.case import CompileFailure
    from liftcheck.commands import listing

    head: dict[str, object] = {"isa": target.isa, "settings": dict(target.settings)}
    if isinstance(reply, CompileFailure):
        return {
            **head,
            "failure": {"kind": reply.kind, "reason": reply.reason, "message": reply.message, "place": reply.place},
        }
    rows = listing.rows(reply, target.isa, _lines(reply, lines))
    extra = {name: reply.extra[name] for name in ("clif", "vcode", "rules") if name in reply.extra}
    return {
        **head,
        "name": reply.name,
        "code": reply.code.hex(),
        "alignment": reply.alignment,
        "instructions": [listing.as_json(row) for row in rows],
        "relocations": [relocation._asdict() for relocation in reply.relocations],
        "traps": [{"offset": offset, "code": code} for offset, code in reply.traps],
        "calls": [call._asdict() for call in reply.calls],
        **extra,
    }
