"""Lists of known findings: causes that are reported already, with a link, the versions that have them and a date.

The one idea: an entry excuses a cause (`finding.cause_key`), which is as narrow as can be told, and nothing else. So a
finding of another rule, opcode, type or place is new though it looks alike, and one that was never reduced and that no
page proves is not excused at all. An entry holds for the versions it names and until its date; after that its findings
count again. One that a campaign could have seen and did not is said: it may be fixed.
A list is TOML, read strictly: a misspelt key must not excuse more than was meant.
"""

from __future__ import annotations

import datetime
import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Final, NamedTuple

from liftcheck.campaign.findings.finding import Finding, cause_key
from liftcheck.campaign.options import FuzzOptions
from liftcheck.compilers.cranelift.sources import at_path, numbers
from liftcheck.compilers.registry import OWN, name_of
from liftcheck.errors import InputError, UsageError, decode
from liftcheck.isa import ISAS

PACKAGED: Final = Path(__file__).parents[2] / "compilers" / "cranelift" / "known.toml"
"""What is known of published versions of Cranelift."""
EVERY: Final = 5_000
"""One program in so many shows a cause of which a list says nothing else."""
SURE: Final = 20
"""So many times that many programs without it are no longer chance."""
_BOUND: Final = re.compile(r"(>=|<=|==|>|<)?\s*(\d+(?:\.\d+){0,2})")


class Entry(NamedTuple):
    """One known cause. `versions`: bounds that all hold (operator, version); `every`: one program in so many that run
    on its ISAs shows it; `line`: of its header in `file`."""

    cause: str
    link: str = ""
    compiler: str = OWN
    versions: tuple[tuple[str, tuple[int, ...]], ...] = ()
    isas: tuple[str, ...] = ISAS
    until: datetime.date | None = None
    every: int = EVERY
    file: str = ""
    line: int = 0

    def is_for(self, compiler: str) -> bool:
        """Whether it speaks of this compiler, in this version."""
        if name_of(compiler) != self.compiler:
            return False
        version = version_of(compiler)
        return not self.versions or (bool(version) and all(_holds(version, *bound) for bound in self.versions))


Known = tuple[Entry, ...]


class Standing(NamedTuple):
    """What lists say of a finding: the entry that excuses it; or None, and why one of the same cause does not."""

    entry: Entry | None = None
    why: str = ""


class Standings(NamedTuple):
    """What lists say of a campaign: the standing of each finding, by its key; and the causes that it could have seen
    and did not."""

    by_key: Mapping[str, Standing] = {}
    unseen: Known = ()

    def of(self, finding: Finding) -> Standing:
        return self.by_key.get(finding.key, Standing())

    def is_known(self, finding: Finding) -> bool:
        return self.of(finding).entry is not None


@cache
def version_of(compiler: str) -> tuple[int, ...]:
    """The version of 'name@VERSION' or of the sources of 'name=PATH'; () if it is not known."""
    if "=" not in compiler:
        return numbers(compiler.partition("@")[2])
    try:
        return numbers(at_path(compiler.partition("=")[2]).version)
    except UsageError:
        return ()


def _holds(version: tuple[int, ...], operator: str, bound: tuple[int, ...]) -> bool:
    """Whether a version is within one bound; '0.135' means all of its patches."""
    have = version[: len(bound)]
    return {"==": have == bound, ">=": have >= bound, "<=": have <= bound, ">": have > bound, "<": have < bound}[
        operator
    ]


def standing(known: Known, finding: Finding, compiler: str, today: datetime.date) -> Standing:
    """What a list says of a finding."""
    cause, why = cause_key(finding), ""
    for entry in known if cause else ():
        if entry.cause != cause or entry.compiler != name_of(compiler):
            continue
        if not entry.is_for(compiler):
            why = f"{entry.file}:{entry.line} knows it of other versions"
        elif finding.target.isa not in entry.isas:
            why = f"{entry.file}:{entry.line} knows it on {', '.join(entry.isas)}"
        elif entry.until is not None and entry.until < today:
            why = f"{entry.file}:{entry.line} knew it until {entry.until}"
        else:
            return Standing(entry)
    return Standing(None, why)


def standings(
    known: Known,
    findings: Iterable[Finding],
    compiler: str,
    options: FuzzOptions,
    programs: Mapping[str, int],
    today: datetime.date | None = None,
) -> Standings:
    """What lists say of a campaign that judged so many `programs` by ISA."""
    today = today or datetime.date.today()
    found = {finding.key: standing(known, finding, compiler, today) for finding in findings}
    seen = {cause_key(finding) for finding in findings}
    unseen = [
        entry
        for entry in known
        if entry.cause not in seen and entry.is_for(compiler) and _is_wide(options) and _had_enough(entry, programs)
    ]
    return Standings(found, tuple(unseen))


def _is_wide(options: FuzzOptions) -> bool:
    """Whether a campaign draws from all programs and settings."""
    return (
        options.sweep and not options.profiles and not options.settings and {"none", "speed"} <= {*options.opt_levels}
    )


def _had_enough(entry: Entry, programs: Mapping[str, int]) -> bool:
    return max((programs.get(isa, 0) for isa in entry.isas), default=0) >= SURE * entry.every


# reading


def gather(names: Sequence[str]) -> Known:
    """The lists that `--known` names, after the packaged one; 'none' leaves that out."""
    files = [*(() if "none" in names else (PACKAGED,)), *(Path(name) for name in names if name != "none")]
    return tuple(entry for file in files for entry in read(file))


def read(path: Path) -> Known:
    """The entries of a list; InputError says what is wrong, and in which line."""
    try:
        text = decode(path.read_bytes(), str(path))
    except OSError as error:
        raise InputError.at(f"cannot read the list of known findings: {error.strerror or error}", str(path)) from None
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise _not_toml(error, path, text) from None
    place = _Places(str(path), text.split("\n"))
    strange = [name for name in data if name != "known"]
    if strange:
        raise place.error(f"unknown key {strange[0]!r}: a list has [[known]] tables", place.line_of(strange[0]))
    tables = data.get("known", [])
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        raise place.error("known: [[known]] tables were expected", place.line_of("known"))
    return tuple(_entry(table, number, place) for number, table in enumerate(tables))


def _not_toml(error: tomllib.TOMLDecodeError, path: Path, text: str) -> InputError:
    where = re.search(r"\(at line (\d+), column (\d+)\)", str(error))
    line, column = (int(where[1]), int(where[2])) if where else (text.count("\n") + 1, 1)
    lines = text.split("\n")
    message = re.sub(r" \(at .*\)$", "", str(error))
    return InputError.at(f"not TOML: {message}", str(path), line, column, lines[line - 1] if line <= len(lines) else "")


class _Places(NamedTuple):
    """Where in a file tables and keys stand, which the reader of TOML does not tell."""

    file: str
    lines: Sequence[str]

    def header(self, number: int) -> int:
        """The line of the `number`-th [[known]], from 0; the first for tables that are written otherwise."""
        headers = [at for at, line in enumerate(self.lines, 1) if re.match(r"\s*\[\[\s*\"?known\"?\s*\]\]", line)]
        return headers[number] if number < len(headers) else 1

    def line_of(self, key: str, after: int = 1) -> int:
        """The first line from `after` on that sets a key; `after` if none does."""
        pattern = re.compile(rf"\s*\[*\s*[\"']?{re.escape(key)}\b")
        return next((at for at in range(after, len(self.lines) + 1) if pattern.match(self.lines[at - 1])), after)

    def error(self, message: str, line: int) -> InputError:
        return InputError.at(message, self.file, line, 1, self.lines[line - 1])


def _entry(table: Mapping[str, Any], number: int, place: _Places) -> Entry:
    line = place.header(number)

    def check(key: str, right: bool, wanted: str) -> None:
        if not right:
            raise place.error(f"{key}: {wanted} was expected", place.line_of(key, line))

    strange = [key for key in table if key not in _KEYS]
    if strange:
        raise place.error(
            f"unknown key {strange[0]!r}; an entry has {', '.join(_KEYS)}", place.line_of(strange[0], line)
        )
    if "cause" not in table:
        raise place.error("an entry needs a cause, as `liftcheck triage` prints it", line)
    for key in ("cause", "link", "compiler", "versions"):
        check(key, isinstance(table.get(key, ""), str), "text")
    check("cause", bool(table["cause"].strip()), "a cause, as `liftcheck triage` prints it,")
    isas, until, every = table.get("isas", list(ISAS)), table.get("until"), table.get("every", EVERY)
    check(
        "isas", isinstance(isas, list) and bool(isas) and set(map(str, isas)) <= {*ISAS}, f"some of {', '.join(ISAS)}"
    )
    is_date = type(until) is datetime.date
    check("until", until is None or is_date, "a date like 2027-01-31, without quotes,")
    check("every", type(every) is int and every > 0, "a number of programs")
    versions = _bounds(table.get("versions", ""))
    check("versions", versions is not None, "bounds like '>=0.130.0, <0.136'")
    return Entry(
        table["cause"], table.get("link", ""), table.get("compiler", OWN), versions or (), tuple(isas), until, every,
        place.file, line,
    )  # fmt: skip


_KEYS: Final = ("cause", "link", "compiler", "versions", "isas", "until", "every")


def _bounds(text: str) -> tuple[tuple[str, tuple[int, ...]], ...] | None:
    """'>=0.130.0, <0.136' as bounds; None if it is something else."""
    parts = [part.strip() for part in text.split(",")] if text.strip() else []
    found = [_BOUND.fullmatch(part) for part in parts]
    bounds = tuple((match[1] or "==", numbers(match[2])) for match in found if match is not None)
    return bounds if len(bounds) == len(parts) else None
