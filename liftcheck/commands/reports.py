"""The options that write a report for other programs, shared by the commands that judge many things.

The one idea: a format is a row of `FORMATS`, made from the command's `--json` document by a module that is imported
only when it is asked for. That a file can be written is found out before the work begins, not after an hour of it; what
cannot be written at the end is said, and costs no other report.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple, Protocol

from liftcheck.commands import output
from liftcheck.errors import Diagnostic, InputError, Unavailable, UsageError

SUMMARY: Final = "GITHUB_STEP_SUMMARY"
"""The file that a job's steps add their summaries to, one after the other."""


class Format(NamedTuple):
    """`module` is below `liftcheck.campaign.report` and has `text(results)`."""

    name: str
    module: str
    help: str


FORMATS: Final = (
    Format("junit", "junit", "write a JUnit XML file"),
    Format("sarif", "sarif", "write a SARIF 2.1.0 file, for code scanning and editors"),
    Format("markdown", "markdown", "write a Markdown page; it is added to the file that GITHUB_STEP_SUMMARY names"),
)
GITHUB: Final = Format("github", "github", "print annotations for GitHub Actions on standard error")


def add(parser: argparse.ArgumentParser) -> None:
    """`--junit FILE` and similar ones, and `--github`."""
    for form in FORMATS:
        parser.add_argument(f"--{form.name}", metavar="FILE", help=f"{form.help} (docs/ci.md)")
    parser.add_argument("--github", action="store_true", help=f"{GITHUB.help} (docs/ci.md)")


def check(args: argparse.Namespace, html: str | None = None) -> None:
    """UsageError if a file cannot be written (`html`: one that the command writes itself), Unavailable if a format
    lacks its library."""
    for form, path in _asked(args):
        _module(form)
        _writable(form.name, path)
    if html is not None:
        _writable("html", Path(html))
    if args.github:
        _module(GITHUB)


def _writable(name: str, path: Path) -> None:
    there = path.exists()
    try:
        with path.open("a", encoding="utf-8"):
            pass
        if not there:
            path.unlink()
    except OSError as error:
        raise UsageError(f"--{name}: cannot write {str(path)!r}: {output.reason(error)}") from None


def write(args: argparse.Namespace, command: str, document: Mapping[str, Any], exit_code: int) -> int:
    """Writes what is asked for; the exit code, which is 3 for 0 if a file could not be written."""
    asked = list(_asked(args))
    if not asked and not args.github:
        return exit_code
    from liftcheck.campaign.report.results import results

    found = results(command, document, exit_code)
    for form, path in asked:
        try:
            with path.open("a" if _is_summary(path) else "w", encoding="utf-8", errors="backslashreplace") as file:
                file.write(_module(form).text(found))
        except OSError as error:
            output.note(f"liftcheck: --{form.name}: cannot write {str(path)!r}: {output.reason(error)}")
            exit_code = exit_code or 3
    if args.github:
        sys.stderr.write(_module(GITHUB).text(found))
        sys.stderr.flush()
    return exit_code


def _asked(args: argparse.Namespace) -> list[tuple[Format, Path]]:
    paths = ((form, getattr(args, form.name)) for form in FORMATS)
    return [(form, Path(path)) for form, path in paths if path is not None]


def _is_summary(path: Path) -> bool:
    named = os.environ.get(SUMMARY)
    return bool(named) and path.absolute() == Path(str(named)).absolute()


def _module(form: Format) -> Any:
    try:
        return importlib.import_module(f"liftcheck.campaign.report.{form.module}")
    except ModuleNotFoundError as error:
        raise Unavailable(f"--{form.name} needs the package {error.name}: pip install {error.name}") from None


class Judged(Protocol):
    """What a command that judges files comes to."""

    @property
    def exit_code(self) -> int:
        """The command's."""
        ...

    broken: list[Diagnostic]
    texts: int

    def document(self) -> dict[str, Any]:
        """What `--json` prints."""
        ...


def finish(args: argparse.Namespace, command: str, report: Judged, judged: bool, show: Callable[[], None]) -> int:
    """Writes what was asked for and shows the rest; the exit code. InputError if no file could be read, or nothing in
    them was `judged`."""
    code = write(args, command, report.document(), report.exit_code)
    if report.broken and not report.texts:
        raise InputError(report.broken)
    if not judged:
        named = args.paths[0] if len(args.paths) == 1 else "these files"
        raise InputError.at("no function for the ISAs asked for", named)
    if args.json:
        output.print_json(command, report.document())
    else:
        show()
    return code
