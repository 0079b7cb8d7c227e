"""What commands print and read with: one JSON document on standard output, messages and progress on standard error,
and files read with one clear complaint about whatever is wrong with them.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from liftcheck import __version__
from liftcheck.errors import UsageError, decode

if TYPE_CHECKING:
    from rich.console import Console


def print_json(command: str, document: dict[str, object]) -> None:
    """The one object of `--json`: the tool, its version and the command stand first."""
    head: dict[str, object] = {"tool": "liftcheck", "version": __version__, "command": command}
    print(json.dumps({**head, **document}, indent=2, ensure_ascii=True, default=str))


def table_console(width: int = 100_000) -> Console:
    """Where tables go: as wide as the terminal, or `width` columns where there is none to fit into: then nothing is
    broken over two lines."""
    from rich.console import Console

    console = Console()
    return console if console.is_terminal else Console(width=width)


def note(text: str) -> None:
    """One line for the person in front of the screen: standard error, never part of the result."""
    print(text, file=sys.stderr, flush=True)


def read_text(path: str) -> str:
    """The text of a CLIF file, or of standard input for '-'."""
    name = "<stdin>" if path == "-" else path
    return decode(sys.stdin.buffer.read() if path == "-" else read_bytes(path), name)


def read_bytes(path: str) -> bytes:
    """The file's bytes; UsageError says which file cannot be read and why."""
    place = Path(path)
    try:
        if place.is_dir():
            raise UsageError(f"{path} is a folder; this command wants one .clif file (`liftcheck test` takes folders)")
        return place.read_bytes()
    except (OSError, ValueError) as error:
        raise UsageError(f"cannot read {path!r}: {reason(error)}") from None


def reason(error: OSError | ValueError) -> str:
    """What the system said, without the error number."""
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


def write_page(path: str, text: str) -> None:
    """Writes an HTML page and says so; UsageError if it cannot be written."""
    try:
        Path(path).write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"cannot write {path!r}: {reason(error)}") from None
    note(f"{path}: written")
