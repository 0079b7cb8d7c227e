"""Writes docs/cli.md from the commands' own parsers, so that the page and `--help` cannot disagree.

python ci/docs/cli.py            # after a change of an option; tests/meta/test_docs.py compares
"""

from __future__ import annotations

import argparse
import importlib
from pathlib import Path

from liftcheck import cli

PAGE = Path(__file__).resolve().parents[2] / "docs" / "cli.md"

HEAD = """\
# The command line

Written by `ci/docs/cli.py` from the commands' parsers; `liftcheck COMMAND --help` says the same.

Exit codes: 0 nothing found; 1 findings, failed tests, or a finding that still disagrees; 2 wrong usage or input;
3 this machine lacks something (`liftcheck doctor` names the command that closes the gap); 130 interrupted;
141 the reader of the output went away. Messages and progress go to standard error, results to standard output; with
`--json` standard output is exactly one JSON object ([json.md](json.md)). Durations are written `90s`, `10m`, `1h30m`.
ISAs are `x86-64`, `aarch64`, `riscv64`, `s390x`; `x86_64`, `amd64`, `x64`, `arm64` and `riscv` are understood.
Plain `cranelift` means the newest version that liftcheck knows and that the Rust toolchain here builds; `liftcheck
doctor` and `liftcheck fuzz` say which that is and why it is no newer one. `LIFTCHECK_CRANELIFT=0.135.8` in the
environment makes it that version.
`LIFTCHECK_TRACEBACK=1` in the environment shows the traceback of a bug in liftcheck.
"""


def page() -> str:
    """The whole page."""
    parts = [HEAD]
    for title, commands in cli.GROUPS:
        parts.append(f"\n## {title}\n")
        parts += [section(command) for command in commands]
    return "".join(parts)


def section(command: cli.Command) -> str:
    """One command: what it does, then a table of its arguments and options."""
    module = importlib.import_module(f"liftcheck.commands.{command.module}")
    parser = cli.parser_of(command, module)
    actions = [action for action in parser._actions if not isinstance(action, argparse._HelpAction)]
    lines = (module.__doc__ or "").splitlines()
    about = "\n".join(f"  {line}" if line.startswith("  ") else line for line in lines)
    rows = "".join(f"| `{name(action)}` | {explanation(action)} |\n" for action in actions)
    return f"\n### liftcheck {command.name}\n\n{about.strip()}\n\n| option | meaning |\n|---|---|\n{rows}"


def name(action: argparse.Action) -> str:
    """How an argument is written."""
    metavar = action.metavar if isinstance(action.metavar, str) else ""
    if not action.option_strings:
        return metavar + (" …" if action.nargs in ("*", "+") else "")
    return " ".join(filter(None, (action.option_strings[-1], metavar)))


def explanation(action: argparse.Action) -> str:
    """The help text with its default filled in."""
    text = (action.help or "").replace("%(default)s", str(action.default))
    return text.replace("|", "\\|")


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
