"""What a command found, as every format of a report needs it: one list of entries out of the command's JSON document.

The one idea: the `--json` document is the source and a format is a way of writing it down, so no format knows a command
and no command a format. `READERS` has a row for each command.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final

from liftcheck.campaign.report.entries import COMPILER_SOURCE, Document, Entry, Place, Results, State, located
from liftcheck.campaign.report.results_rules import changed, rules

_DIAGNOSTIC: Final = re.compile(r"(?P<file>.*?):(?P<line>\d+):(?P<column>\d+): (?P<what>.*)", re.DOTALL)
_RULE: Final = re.compile(r"(?P<file>\S+\.isle):(?P<line>\d+)(?: (?P<what>.*))?")
_NAMED: Final = re.compile(r"(?P<file>\bsrc/\S+\.isle) line (?P<line>\d+)")


def results(command: str, document: Document, exit_code: int) -> Results:
    """The entries of a command's document."""
    return READERS[command](document, exit_code)


# fuzz


def _fuzz(document: Document, exit_code: int) -> Results:
    entries = [
        *_isas(document),
        *(_finding(one, one.get("compiler", document["compiler"])) for one in document["findings"]),
        *_reasons(document),
        *_troubles(document),
    ]
    undecided, refused = (sum(document[name].values()) for name in ("undecided", "refused"))
    totals = {
        "findings": len(document["findings"]),
        "new": document["new"],
        "programs": document["programs"],
        "pairs": document["pairs"],
        "undecided": undecided,
        "refused": refused,
        "troubles": len(document["troubles"]),
    }
    number = len(document["findings"])
    listed = f", {document['new']} new" if document["new"] < number else ""
    headline = (
        f"{document['programs']:,} programs, {document['pairs']:,} pairs judged, {number} findings{listed} "
        f"(seed {document['seed']})"
    )
    return Results("fuzz", headline, tuple(entries), totals, document["compiler"], document["seconds"], exit_code)


def _isas(document: Document) -> Iterator[Entry]:
    for isa, row in document["isas"].items():
        title = f"{row['agreed']:,} of {row['pairs']:,} pairs agree with the reference"
        yield Entry(isa, "pairs that agree", "passed", "agreed", title, count=row["agreed"])


def _finding(found: Document, compiler: str) -> Entry:
    folder = found["folder"]
    place = (Place((Path(folder) / "program.clif").as_posix(), found.get("line", 0)),) if folder else ()
    title = f"{found['class']} on {found['target']}: {_first(found['detail'])}".removesuffix(": ")
    fault = f"known fault: {found['fault']}" if found["fault"] else ""
    listed = f"known: {found['link'] or found['cause']}" if found["known"] else found["lapsed"]
    whose = f" ({found['whose']})" if "whose" in found else ""
    two = f"{found['whose']}; {found['other']}: {found['beside']}" if "whose" in found else ""
    text = [found["detail"], two, fault, listed, found["note"], f"liftcheck replay {folder}" if folder else ""]
    if found["count"] > 1:
        text.insert(1, f"{found['count']} findings are one here.")
    return Entry(
        found["isa"],
        (found["cause"] or found["key"] or f"{found['class']} of case {found['case']}") + whose,
        "known" if found["known"] or found.get("spared") else "failed",
        found["class"],
        title + whose,
        "\n\n".join(filter(None, text)),
        found.get("program", ""),
        place,
        tuple(located(compiler, (*rules_named(found["detail"]), *rule_places(found["suspects"])))),
        found["cause"] or found["key"],
        found["count"],
    )


def rules_named(detail: str) -> Iterator[Place]:
    """Rules that a panic speaks of: `src/opts/cprop.isle line 12`."""
    for found in _NAMED.finditer(detail):
        yield Place(found["file"], int(found["line"]), 0, COMPILER_SOURCE, "named in the compiler's message")


def rule_places(rules: object) -> Iterator[Place]:
    """Rules of the compiler as places: `src/isa/x64/lower.isle:12 lower`."""
    for rule in rules if isinstance(rules, (list, tuple)) else ():
        if found := _RULE.fullmatch(str(rule)):
            yield Place(found["file"], int(found["line"]), 0, COMPILER_SOURCE, found["what"] or "")


def _reasons(document: Document) -> Iterator[Entry]:
    states: tuple[tuple[str, State], ...] = (("undecided", "undecided"), ("refused", "skipped"))
    for isa, row in document["isas"].items():
        for name, state in states:
            for reason, count in row[name].items():
                yield Entry(isa, f"{name}: {reason}", state, reason, f"{count:,} pairs {name}: {reason}", count=count)


def _troubles(document: Document) -> Iterator[Entry]:
    for trouble in document["troubles"]:
        last = trouble["text"].strip().rpartition("\n")[2]
        title = f"{trouble['case']}: {last}"
        yield Entry("liftcheck", trouble["case"], "broken", "trouble of liftcheck's own", title, trouble["text"])
    for number, text in enumerate((*document.get("lost", ()), *filter(None, [document.get("storage", "")]))):
        yield Entry("liftcheck", f"lost {number + 1}", "broken", "trouble of liftcheck's own", text, text)


# test


def _test(document: Document, exit_code: int) -> Results:
    entries = [
        *_passed(document),
        *(_unit(unit, "failed", "failed unit") for unit in document["failures"]),
        *(_unit(unit, "failed", unit["cause"]) for unit in document["findings"]),
        *(_unit(unit, "undecided", unit["reason"]) for unit in document["open"]),
        *_skips("skipped units", document["skips"]),
        *_broken(document),
        *_troubles({"troubles": [], "lost": document["lost"]}),
    ]
    names = ("failed", "passed", "undecided", "skipped")
    totals = {"units": document["units"], **{name: document[name] for name in names}}
    totals |= {"findings": len(document["findings"]), "files": document["files"]}
    found = f", {totals['findings']:,} findings" if totals["findings"] else ""
    headline = ", ".join(f"{document[name]:,} {name}" for name in names) + f"{found} in {document['files']:,} files"
    return Results("test", headline, tuple(entries), totals, "", document["seconds"], exit_code)


def _passed(document: Document) -> Iterator[Entry]:
    for file, wheres in document["by_file"].items():
        for where, counts in wheres.items():
            if number := counts.get("passed", 0):
                title = f"{number} units passed"
                yield Entry(file, f"{where}: what passes", "passed", "passed", title, count=number)


def _unit(unit: Document, state: State, rule: str) -> Entry:
    title = f"{unit['what']} on {unit['where']}: expected {unit['expected']}, got {_first(unit['got'])}"
    text = f"expected {unit['expected']}\ngot      {unit['got']}"
    name = f"{unit['what']} on {unit['where']} (line {unit['line']})"
    place = Place(unit["file"], unit["line"])
    related = tuple(rules_named(unit["got"]))
    return Entry(unit["file"], name, state, rule, title, text, "", (place,), related, f"{unit['file']} {name}")


def _first(text: str) -> str:
    return text.partition("\n")[0]


def _skips(suite: str, reasons: Document) -> Iterator[Entry]:
    for reason, count in reasons.items():
        yield Entry(suite, reason, "skipped", reason, f"{count:,}: {reason}", count=count)


def _broken(document: Document) -> Iterator[Entry]:
    for message in document["broken"]:
        found = _DIAGNOSTIC.match(message)
        place = (
            Place(found["file"], int(found["line"]), int(found["column"])) if found else Place(message.split(": ")[0])
        )
        title = _first(found["what"] if found else message)
        yield Entry(place.file, message, "broken", "unreadable file", title, message, places=(place,), key=message)


# regalloc


def _regalloc(document: Document, exit_code: int) -> Results:
    entries = [
        *_proven(document),
        *map(_refuted, document["invalid"]),
        *(_unsettled(one, "undecided") for one in document["undecided"]),
        *(_unsettled(one, "skipped") for one in document["refused"]),
        *_skips("skipped functions", document["skipped"]),
        *_broken(document),
        *_troubles(document),
    ]
    rows = [row for isa in document["isas"].values() for row in isa.values()]
    totals = {"functions on targets": document["pairs"], "invalid": len(document["invalid"])}
    totals |= {"valid": sum(row["valid"] for row in rows)}
    totals |= {name: len(document[name]) for name in ("undecided", "refused")}
    headline = ", ".join(f"{number:,} {name}" for name, number in totals.items())
    return Results("regalloc", headline, tuple(entries), totals, document["compiler"], document["seconds"], exit_code)


def _proven(document: Document) -> Iterator[Entry]:
    for isa, rows in document["isas"].items():
        for allocator, row in rows.items():
            title = f"{row['valid']:,} of {row['functions']:,} functions are proven"
            yield Entry(isa, f"{allocator}: what is proven", "passed", "valid", title, count=row["valid"])


def _refuted(one: Document) -> Entry:
    example = one["counterexample"] or {}
    lines = [f"{name}: {example[name]}" for name in ("text", "expected", "found") if example.get(name)]
    lines += [*map(str, example.get("events", ())), *map(str, example.get("code", ()))]
    return _function(one, "failed", "\n".join(lines), one["clif"])


def _unsettled(one: Document, state: State) -> Entry:
    return _function(one, state, one["reason"], "")


def _function(one: Document, state: State, text: str, program: str) -> Entry:
    settings = " ".join(name if value == "true" else f"{name}={value}" for name, value in one["settings"].items())
    name = f"{one['unit']}: {one['function']} on {one['isa']} {settings}".rstrip()
    place = (Place(one["unit"], one["line"]),) if one["line"] else ()
    title = f"{one['function']} on {one['isa']} {settings}: {one['reason']}"
    return Entry(one["isa"], name, state, one["reason"], title, text, program, place, key=f"{one['reason']} | {name}")


# verify


def _verify(document: Document, exit_code: int) -> Results:
    entries = [
        *_equal(document),
        *(_counterexample(one, "known" if one["run"]["fault"] else "failed") for one in document["refuted"]),
        *(_counterexample(one, "broken" if one["ours"] else "undecided") for one in document["unconfirmed"]),
        *(_unsettled({**one, "unit": one["file"]}, "undecided") for one in document["undecided"]),
        *(_unsettled({**one, "unit": one["file"]}, "skipped") for one in document["refused"]),
        *_skips("skipped functions", document["skipped"]),
        *_broken(document),
        *_troubles({"troubles": [], "lost": document["lost"]}),
    ]
    totals = {"functions on targets": document["units"], "refuted": len(document["refuted"])}
    totals |= {name: sum(row[name] for row in document["isas"].values()) for name in ("equal", "proven")}
    totals |= {name: len(document[name]) for name in ("unconfirmed", "undecided", "refused")}
    headline = ", ".join(f"{number:,} {name}" for name, number in totals.items())
    return Results("verify", headline, tuple(entries), totals, document["compiler"], document["seconds"], exit_code)


def _counterexample(one: Document, state: State) -> Entry:
    program = one["run"]["filetest"] if one["run"] else one["clif"]
    return _function({**one, "unit": one["file"]}, state, one["text"], program)


def _equal(document: Document) -> Iterator[Entry]:
    for isa, row in document["isas"].items():
        count = row["equal"] + row["proven"]
        title = f"{count:,} of {row['functions']:,} functions do what their programs say, for every input"
        yield Entry(isa, "what is proven", "passed", "proven", title, count=count)


READERS: Final[Mapping[str, Callable[[Document, int], Results]]] = {
    "fuzz": _fuzz, "test": _test, "regalloc": _regalloc, "verify": _verify,
    "verify --rules": rules,
    "verify --changed": changed,
}  # fmt: skip
