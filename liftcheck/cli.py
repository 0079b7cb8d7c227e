"""The `liftcheck` command: finds the subcommand, reads its options, maps every failure to one message and an exit code.

The one idea: a subcommand is a module of `liftcheck.commands`, imported only when it is asked for, so help and wrong
usage answer in the time that Python takes to start. Exit codes: 0 nothing found, 1 findings or failed tests, 2 wrong
usage or input, 3 the environment lacks something, 130 interrupted, 141 the reader of our output went away.
It knows nothing about what the commands do.
"""

from __future__ import annotations

import argparse
import errno
import gc
import importlib
import os
import shutil
import signal
import sys
import textwrap
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Final, NamedTuple, NoReturn

from liftcheck import __version__
from liftcheck.commands.options import near_miss
from liftcheck.errors import InputError, LiftcheckError, UsageError


class Command(NamedTuple):
    """`module` is the name below `liftcheck.commands`; `summary` one line of the overview."""

    name: str
    module: str
    summary: str


GROUPS: Final[tuple[tuple[str, tuple[Command, ...]], ...]] = (
    ("Find wrong code", (
        Command("fuzz", "fuzz", "generate programs, compile, run, compare with the reference interpreter"),
        Command("merge", "merge", "merge the folders of several campaigns into one"),
        Command("test", "filetests", "run Cranelift's own filetests on every ISA and setting they name"),
        Command("verify", "verify", "prove each function's machine code right for every input, or refute it"),
        Command("regalloc", "regalloc", "prove each function's register allocation and code, or refute them"),
        Command("coverage", "coverage", "which of the compiler's own rules a campaign's programs have executed"),
        Command("replay", "replay", "run a finding again and say whether it still disagrees"),
        Command("triage", "triage", "sort findings of campaigns by their causes; write a list of known ones"),
        Command("report", "report", "make an HTML page of a campaign's folder, and of what changed since another"),
        Command("blame", "blame", "say which rule, instruction, settings and versions are at fault for a finding"),
        Command("reduce", "reduce", "make a finding or a file as small as it gets while it still disagrees"),
    )),
    ("Look at one program", (
        Command("generate", "generate", "print random programs as filetests with right expectations"),
        Command("interpret", "interpret", "the reference result of a file"),
        Command("run", "execute", "the result of a file on an ISA"),
        Command("compile", "compile", "machine code with disassembly, relocations, traps and CLIF lines"),
        Command("disasm", "disasm", "machine code as instructions, and what each of them does"),
        Command("asm", "asm", "instructions as machine code"),
    )),
    ("Compilers and this machine", (
        Command("compiler", "compiler", "list, add and remove compilers under test"),
        Command("matrix", "matrix", "which (opcode, type) a compiler has on an ISA and which it lacks"),
        Command("growth", "growth", "how a compiler's time and memory grow with the size of a program"),
        Command("doctor", "doctor", "what this machine can do, and the command that closes each gap"),
    )),
)  # fmt: skip
COMMANDS: Final = {command.name: command for _, commands in GROUPS for command in commands}

INTERRUPTED: Final = 128 + signal.SIGINT
PIPE_CLOSED: Final = 128 + signal.SIGPIPE

GARBAGE: Final = 40_000
"""New objects between two collections. Python's 700 make the reading of large files take twice as long."""
_ERRORS_SHOWN: Final = 8

_EXAMPLES: Final = """\
Examples:
  liftcheck fuzz --isa riscv64                  one minute of fuzzing
  liftcheck fuzz --time 10m --compiler cranelift@0.130.0 --out findings
  liftcheck replay findings/FINDING             does it still disagree?
  liftcheck doctor                              what is missing here?

Exit codes: 0 nothing found, 1 findings or failed tests, 2 wrong usage or input,
3 this machine lacks something (`liftcheck doctor` says what).
`liftcheck COMMAND --help` explains a command."""


class _Formatter(argparse.HelpFormatter):
    """Wraps each paragraph of a description to the terminal; an indented paragraph stays as it is."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=28, width=min(shutil.get_terminal_size().columns, 110) - 2)

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        paragraphs = [part if part.startswith(" ") else textwrap.fill(part, width) for part in text.split("\n\n")]
        return "\n\n".join(paragraphs)


class Parser(argparse.ArgumentParser):
    """argparse whose complaints are `UsageError`s, so that there is one way out of the program."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{self.prog}: {message.removeprefix('argument ')} (`{self.prog} --help` explains)")


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command line; returns the exit code and lets no exception out."""
    _harden_streams()
    gc.set_threshold(GARBAGE, 20, 20)
    try:
        code = _guarded(lambda: _dispatch(list(sys.argv[1:] if argv is None else argv)))
        if sys.stdout is not None:
            sys.stdout.flush()
        return code
    except BrokenPipeError:
        _abandon_stdout()
        return PIPE_CLOSED
    except KeyboardInterrupt:
        _complain("interrupted")
        return INTERRUPTED
    except OSError as error:
        _abandon_stdout()
        _complain(f"standard output: {error.strerror}")
        return _os_code(error)


def _guarded(action: Callable[[], int]) -> int:
    """Runs `action`; every failure becomes one message. BrokenPipeError and KeyboardInterrupt pass."""
    try:
        return action()
    except LiftcheckError as error:
        _complain(_message(error))
        return error.exit_code
    except BrokenPipeError:
        raise
    except OSError as error:
        _complain(_os_message(error))
        return _os_code(error)
    except (RecursionError, MemoryError) as error:
        _complain(f"the input is too large or too deeply nested ({type(error).__name__})")
        return 2
    except Exception as error:
        return _own_bug(error)


def _message(error: LiftcheckError) -> str:
    """What to print of an error: of many diagnostics the first ones, for the rest follows from them as a rule."""
    if not isinstance(error, InputError) or len(error.diagnostics) <= _ERRORS_SHOWN:
        return str(error)
    shown = "\n".join(map(str, error.diagnostics[:_ERRORS_SHOWN]))
    return f"{shown}\n… and {len(error.diagnostics) - _ERRORS_SHOWN} more errors"


def _own_bug(error: Exception) -> int:
    """An unexpected exception is our bug: say so in one line, and where it came from."""
    import traceback  # costs 10 ms, and is rarely needed

    if os.environ.get("LIFTCHECK_TRACEBACK"):
        traceback.print_exception(error)
    frame = traceback.extract_tb(error.__traceback__)[-1]
    _complain(
        f"a bug in liftcheck: {type(error).__name__}: {error} ({frame.filename}:{frame.lineno}); "
        "please report it with the output under LIFTCHECK_TRACEBACK=1"
    )
    return 2


def _os_code(error: OSError) -> int:
    """A machine that has run out of something is the environment's fault, anything else that of the input."""
    return 3 if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EMFILE, errno.ENFILE, errno.ENOMEM) else 2


def _os_message(error: OSError) -> str:
    where = f"{error.filename}: " if error.filename else ""
    return f"{where}{error.strerror or error}"


def _dispatch(argv: list[str]) -> int:
    if argv[:1] == ["help"]:
        argv = [*argv[1:2], "--help"]
    if not argv or argv[0] in ("-h", "--help"):
        print(overview())
        return 0 if argv else 2
    if argv[0] in ("-V", "--version"):
        print(f"liftcheck {__version__}")
        return 0
    return _run_command(_find_command(argv[0]), argv[1:])


def _find_command(word: str) -> Command:
    if word in COMMANDS:
        return COMMANDS[word]
    if word.startswith("-"):
        raise UsageError(f"options stand after the command: liftcheck COMMAND {word} (`liftcheck --help` lists them)")
    raise UsageError(f"unknown command '{word}'{near_miss(word, COMMANDS)} (there are: {', '.join(COMMANDS)})")


def _run_command(command: Command, argv: list[str]) -> int:
    module = importlib.import_module(f"liftcheck.commands.{command.module}")
    parser = parser_of(command, module)
    try:
        args, unknown = parser.parse_known_intermixed_args(argv)
    except SystemExit as exit_:  # --help of a command
        return exit_.code if isinstance(exit_.code, int) else 0
    if unknown:
        raise UsageError(_unknown_message(parser, unknown[0]))
    return int(module.run(args))


def parser_of(command: Command, module: ModuleType) -> Parser:
    """The command's own parser. Positionals may stand between options (`test a.clif --json b.clif`)."""
    parser = Parser(
        prog=f"liftcheck {command.name}",
        allow_abbrev=False,
        description=(module.__doc__ or "").strip(),
        formatter_class=_Formatter,
    )
    module.declare(parser)
    return parser


def _unknown_message(parser: argparse.ArgumentParser, word: str) -> str:
    flags = [flag for action in parser._actions for flag in action.option_strings]
    name = word.split("=")[0]
    what = f"unknown option {name}{near_miss(name, flags)}" if word.startswith("-") else f"unexpected argument '{word}'"
    return f"{parser.prog}: {what} (`{parser.prog} --help` explains)"


def overview() -> str:
    """What `liftcheck --help` prints."""
    lines = [
        f"liftcheck {__version__}: finds wrong code in code generators",
        "",
        "Usage: liftcheck COMMAND [OPTIONS]",
        "",
    ]
    for title, commands in GROUPS:
        lines += [f"{title}:", *(f"  {command.name:<11}{command.summary}" for command in commands), ""]
    return "\n".join([*lines, _EXAMPLES])


def _complain(text: str) -> None:
    """One message on standard error; when that is closed too, there is no one to tell."""
    try:
        print(f"liftcheck: {text}" if not text.startswith("liftcheck ") else text, file=sys.stderr, flush=True)
    except OSError:
        return


def _harden_streams() -> None:
    """A character that the terminal cannot show must not end the program."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def _abandon_stdout() -> None:
    """Points standard output to nowhere, so that the interpreter's last flush does not fail again."""
    if sys.stdout is sys.__stdout__ and sys.stdout is not None:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
