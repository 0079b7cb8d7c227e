"""Compiles a file for an ISA and prints the machine code: disassembly, the CLIF line that each instruction comes from,
relocations, call sites and traps with their codes.

Exit code 2 if the compiler refuses a function (a missing lowering), 1 if it panics, dies or does not end.
"""

from __future__ import annotations

import argparse
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
    parser.add_argument("--vcode", action="store_true", help="the compiler's own text of its instructions as well")
    parser.add_argument("--clif", action="store_true", help="the optimized CLIF as well")
    parser.add_argument("--rules", action="store_true", help="the ISLE rules that matched as well")
    options.add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Compiles for every target; 1 if the compiler panicked or died, 2 if it refused a function."""
    from liftcheck.commands import calls, targets
    from liftcheck.compilers.choice import Exactly, each_target

    program = calls.read_file(args.file)
    chosen = _chosen(program, args.function)
    wanted = {"srclocs", *(name for name in ("vcode", "clif", "rules") if getattr(args, name))}
    with targets.opened(args.compiler) as compiler:
        choice = targets.chosen(compiler, program.test, args)
        asked = Exactly(compiler) if choice.exact else compiler
        columns = each_target(partial(asked.compile_text, text_for_compiler(program), wants=frozenset(wanted)),
                              choice.targets, len(program.test.functions))
        found = [(target, column[number]) for target, column in columns for number in chosen]
        name = compiler.name
    if args.json:
        functions = [_document(target, reply) for target, reply in found]
        output.print_json("compile", {"file": program.file, "compiler": name, "notes": list(choice.notes),
                                      "functions": functions})
    else:
        notes = "".join(f"; note: {note}\n" for note in choice.notes)
        print(notes + "\n\n".join(_text(target, reply, program) for target, reply in found))
    return max((_code(reply) for _, reply in found), default=0)


def text_for_compiler(program: Program) -> str:
    """The file as the compiler reads it: its header is not executed (settings come from the command line), but a file
    with `test run` keeps that line, since it decides the default calling convention. Line numbers stay."""
    start = min(function.line for function in program.test.functions)
    header = ["test run" if program.test.has("run") else "", *[""] * (start - 2)] if start > 1 else []
    return "\n".join([*header, *program.source[start - 1:]])


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


def _lines(reply: Reply) -> list[tuple[int, int, int]]:
    """(first byte, end, CLIF line) out of what the compiler says of its source locations."""
    rows = getattr(reply, "extra", {}).get("srclocs", ())
    return [(row[0], row[1], row[3]) for row in rows]


def _text(target: Target, reply: Reply, program: Program) -> str:
    from liftcheck.case import CompileFailure
    from liftcheck.commands import listing

    if isinstance(reply, CompileFailure):
        place = f" (at {reply.place})" if reply.place else ""
        return f"{target}: {reply.kind}: {reply.message or reply.reason}{place}"
    body = listing.as_text(reply, listing.rows(reply, target.isa, _lines(reply)), program.source)
    more = [f"{name}:\n{_block(reply.extra[name])}" for name in ("clif", "vcode", "rules") if name in reply.extra]
    return "\n\n".join([f"; {target}\n{body}", *more])


def _block(value: object) -> str:
    lines = value.splitlines() if isinstance(value, str) else [str(item) for item in value]  # type: ignore[attr-defined]
    return "\n".join(f"  {line}" for line in lines)


def _document(target: Target, reply: Reply) -> dict[str, object]:
    from liftcheck.case import CompileFailure
    from liftcheck.commands import listing

    head: dict[str, object] = {"isa": target.isa, "settings": dict(target.settings)}
    if isinstance(reply, CompileFailure):
        return {**head, "failure": {"kind": reply.kind, "reason": reply.reason, "message": reply.message,
                                    "place": reply.place}}
    rows = listing.rows(reply, target.isa, _lines(reply))
    extra = {name: reply.extra[name] for name in ("clif", "vcode", "rules") if name in reply.extra}
    return {**head, "name": reply.name, "code": reply.code.hex(), "alignment": reply.alignment,
            "instructions": [listing.as_json(row) for row in rows],
            "relocations": [relocation._asdict() for relocation in reply.relocations],
            "traps": [{"offset": offset, "code": code} for offset, code in reply.traps],
            "calls": [call._asdict() for call in reply.calls], **extra}
