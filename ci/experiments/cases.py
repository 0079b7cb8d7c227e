"""Runs the commands that case files name in their comments, and prints what was expected beside what came.

The one idea: a case is a .clif file in the manner of what people feed to the tool, and says itself what is right, in
comments that every reader of CLIF passes over:

    ; $ run --isa riscv64 => 0: as expected | !undecided

is `liftcheck run FILE --isa riscv64`, which must exit with 0, print `as expected` and not print `undecided`. For files
that cannot say it a table does (`--table`): lines of the file's name, a tab, and the same without `; $`. A file that
nothing is expected of is run by every command, and what came is printed to be read. A traceback, a bug of liftcheck's
own and a command that does not end in time are always wrong.

    python ci/experiments/cases.py [--table FILE] [--compiler NAME] [--time SECONDS] FOLDER_OR_FILE...

Exit code 1 if a row is wrong. `tests/meta/test_cases.py` does the same over `corpus/cases`,
`tests/meta/test_regressions.py` over `corpus/regressions`, where `--compiler cranelift=PATH` tells which findings a
later version has mended.
"""

from __future__ import annotations

import argparse
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

COMMANDS: Final = ("interpret", "run", "compile", "regalloc", "test")
NEVER: Final = ("Traceback (most recent call last)", "a bug in liftcheck", "a bug of liftcheck's")
TIMEOUT: Final = 120.0
_MARK: Final = "; $ "


class Expectation(NamedTuple):
    """One command on a file: the words except for the file, the exit code (None: any), what is printed and what is
    not."""

    words: tuple[str, ...]
    code: int | None = None
    texts: tuple[str, ...] = ()
    absent: tuple[str, ...] = ()

    def command(self, file: str) -> list[str]:
        """The words of the command line after `liftcheck`."""
        return [self.words[0], file, *self.words[1:]]

    def wrong(self, code: int, output: str) -> str:
        """'' if that is what was expected, else what is not."""
        found = [text for text in (*self.absent, *NEVER) if text in output]
        missing = [text for text in self.texts if text not in output]
        parts = [f"exit code {code}, not {self.code}"] if self.code not in (None, code) else []
        parts += [f"prints '{text}'" for text in found] + [f"does not print '{text}'" for text in missing]
        return ", ".join(parts)


def parse(text: str) -> Expectation:
    """`run --isa riscv64 => 0: as expected | !undecided`; ValueError if it is not of this form."""
    command, arrow, outcome = text.partition("=>")
    words = tuple(shlex.split(command))
    if not words or words[0] not in COMMANDS or not arrow:
        raise ValueError(f"no expectation: {text}")
    code, _, rest = outcome.partition(":")
    parts = [part.strip() for part in rest.split(" | ") if part.strip()]
    return Expectation(
        words,
        int(code),
        tuple(part for part in parts if part[0] != "!"),
        tuple(part[1:] for part in parts if part[0] == "!"),
    )


def expectations(path: Path) -> list[Expectation]:
    """What a file says of itself."""
    lines = path.read_bytes().decode("utf-8", "replace").splitlines()
    return [parse(line.strip().removeprefix(_MARK)) for line in lines if line.strip().startswith(_MARK)]


def table(path: Path) -> dict[str, list[Expectation]]:
    """What a table says of files by their names."""
    found: dict[str, list[Expectation]] = {}
    for line in path.read_text().splitlines():
        if line.strip() and line[0] != "#":
            name, _, text = line.partition("\t")
            found.setdefault(name, []).append(parse(text))
    return found


def files(names: list[str]) -> Iterator[Path]:
    """Files named, and the .clif files of folders named."""
    for name in names:
        path = Path(name)
        yield from sorted(path.glob("*.clif")) if path.is_dir() else [path]


def ask(words: list[str], timeout: float) -> tuple[int, str]:
    """Exit code and output of a command; code -1 if it did not end in time."""
    try:
        done = subprocess.run(
            [sys.executable, "-m", "liftcheck", *words], capture_output=True, text=True, timeout=timeout, check=False
        )
    except subprocess.TimeoutExpired:
        return -1, f"no answer within {timeout:g} s"
    return done.returncode, done.stdout + done.stderr


def main() -> int:
    """Prints a row for each command; 1 if one is wrong."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("paths", nargs="+", metavar="FOLDER_OR_FILE")
    parser.add_argument("--table", type=Path, help="expectations for files that state none")
    parser.add_argument("--compiler", metavar="NAME", help="the compiler for every command that has one")
    parser.add_argument("--time", type=float, default=TIMEOUT, help="seconds for a command (default: %(default)s)")
    args = parser.parse_args()
    known = table(args.table) if args.table else {}
    wrong = rows = 0
    for path in files(args.paths):
        expected = expectations(path) or known.get(path.name) or [Expectation((word,)) for word in COMMANDS]
        for one in expected:
            chosen = ["--compiler", args.compiler] if args.compiler and one.words[0] != "interpret" else []
            code, output = ask([*one.command(str(path)), *chosen], args.time)
            problem = one.wrong(code, output) or ("no answer in time" if code == -1 else "")
            rows += 1
            wrong += bool(problem)
            verdict = "WRONG" if problem else "right" if one.code is not None else "?"
            print(f"{verdict:5}  {path.name:40}  {' '.join(one.words):36}  {problem or gist(code, output)}", flush=True)
    print(f"{rows} rows, {wrong} wrong")
    return int(wrong > 0)


def gist(code: int, output: str) -> str:
    """The last line, or the first that tells something."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    telling = next((line for line in lines if any(word in line for word in ("DISAGREES", "WRONG", "INVALID"))), "")
    return f"exit {code}: {telling or (lines[-1] if lines else '')}"[:150]


if __name__ == "__main__":
    sys.exit(main())
