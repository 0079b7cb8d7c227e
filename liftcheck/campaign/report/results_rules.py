"""The results of `liftcheck verify --rules`: an entry for each rule that is refuted or undecided, at its place in the
compiler's `.isle` files.

The one idea: a rule is named by its left-hand side, so that its entry is the same when lines are moved; of rules with
the same one the second says so.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Final

from liftcheck.campaign.report.entries import COMPILER_SOURCE, Document, Entry, Place, Results, State, located
from liftcheck.campaign.report.rule_proofs import BESIDE, NOT_REACHED, PROVEN, REFUTED, UNDECIDED, VERDICTS, alike

_LONGEST: Final = 160
"""Characters of a left-hand side in a name."""


def rules(document: Document, exit_code: int) -> Results:
    """The entries of its document."""
    entries = [
        *_proven(document),
        *_judged(document),
        *_unreached(document),
        *(_unconfirmed(one, document["compiler"], document["isa"]) for one in document["unconfirmed"]),
        *(_lost(number, text) for number, text in enumerate(document["lost"])),
    ]
    totals = {"rules": len(document["rules"])}
    totals |= {name: document["verdicts"].get(name, 0) for name in (REFUTED, PROVEN, BESIDE, UNDECIDED, NOT_REACHED)}
    totals |= {"unconfirmed instances": len(document["unconfirmed"]), "instances": document["instances"]}
    counted = ", ".join(f"{document['verdicts'].get(name, 0):,} {name}" for name in VERDICTS)
    headline = f"{len(document['rules']):,} rules on {document['isa']}: {counted}"
    found = tuple(entries)
    return Results("verify --rules", headline, found, totals, document["compiler"], document["seconds"], exit_code)


def changed(document: Document, exit_code: int) -> Results:
    """The entries of `verify --changed`: of each ISA those of its rules, and what is not compiled any more."""
    several = {isa: rules(one, exit_code) for isa, one in document["isas"].items()}
    entries = [entry for isa, found in several.items() for entry in (*found.entries, *_refused(document["isas"][isa]))]
    totals = Counter[str]()
    for isa, found in several.items():
        totals.update(found.totals)
        totals["instances by other code or rules"] += document["isas"][isa]["other_code"]
    headline = f"rules that differ from {document['against']}: " + (
        "; ".join(found.headline for found in several.values()) or "none"
    )
    every = tuple(entries)
    return Results("verify --changed", headline, every, totals, document["compiler"], document["seconds"], exit_code)


def _refused(document: Document) -> Iterator[Entry]:
    if refused := document["refused"]:
        first, isa = refused[0], document["isa"]
        title = f"{len(refused):,} instances are not compiled any more on {isa}"
        name, rule = "what is not compiled any more", "not compiled any more"
        yield Entry(isa, name, "failed", rule, title, title, first["clif"], count=len(refused), key=f"{isa} {name}")


def _proven(document: Document) -> Iterator[Entry]:
    for row in document["files"]:
        if count := row.get(PROVEN, 0) + row.get(BESIDE, 0):
            beside = f", {row[BESIDE]:,} of them beside what is another rule's matter" if row.get(BESIDE) else ""
            title = f"{count:,} of {row['rules']:,} rules are proven by their instances{beside}"
            yield Entry(row["file"], "what is proven", "passed", PROVEN, title, count=count)


def _judged(document: Document) -> Iterator[Entry]:
    """Rules that are refuted or undecided."""
    seen: Counter[str] = Counter()
    for row in document["rules"]:
        short = row["left"] if len(row["left"]) <= _LONGEST else row["left"][:_LONGEST] + " …"
        seen[f"{row['file']} {short}"] += 1
        number = seen[f"{row['file']} {short}"]
        name = f"{short} #{number}" if number > 1 else short
        if row["verdict"] in (REFUTED, UNDECIDED):
            yield _rule(row, name, document)


def _rule(row: Document, name: str, document: Document) -> Entry:
    found = row["refuted"]
    state: State = "undecided" if not found else "known" if all(one["fault"] for one in found) else "failed"
    first = found[0] if found else {}
    counts = f"{row['not_proven']:,} of {row['instances']:,} instances that fire it are not proven"
    lines = [counts, f"typings: {', '.join(row['typings'])}"]
    if found:
        settings = " ".join(f"{key}={value}" for key, value in first["target"]["settings"].items())
        told = f"{first['what']}, for ({', '.join(first['inputs'])}): {first['run']}"
        lines = [told, f"{document['isa']} {settings}".rstrip(), *lines]
    place = tuple(located(document["compiler"], [_place(row)]))
    title = f"{row['verdict']} on {document['isa']}: rule {row['file']}:{row['line']} {row['term']}: {row['reason']}"
    rule = f"rule {row['verdict']}" if found else row["reason"]
    text, program = "\n".join(lines), first.get("clif", "")
    return Entry(row["file"], name, state, rule, title, text, program, place, key=f"{row['file']} {name}")


def _place(row: Document) -> Place:
    return Place(row["file"], row["line"], 0, COMPILER_SOURCE, row["term"])


def _unreached(document: Document) -> Iterator[Entry]:
    counts = Counter(alike(row["reason"]) for row in document["rules"] if row["verdict"] == NOT_REACHED)
    for reason, count in counts.most_common():
        yield Entry(document["isa"], reason, "skipped", f"not reached: {reason}", f"{count:,}: {reason}", count=count)


def _unconfirmed(one: Document, compiler: str, isa: str) -> Entry:
    state: State = "broken" if one["ours"] else "undecided"
    related = tuple(located(compiler, (Place(*_split(rule), base=COMPILER_SOURCE) for rule in one["rules"])))
    title = f"{one['what']} on {isa}: {one['reason']}"
    return Entry(isa, title, state, one["reason"], title, title, one["clif"], (), related, f"{title}\n{one['clif']}")


def _split(place: str) -> tuple[str, int]:
    """A rule's place as file and line."""
    file, _, line = place.rpartition(":")
    return file, int(line)


def _lost(number: int, text: str) -> Entry:
    return Entry("liftcheck", f"lost {number + 1}", "broken", "trouble of liftcheck's own", text, text)
