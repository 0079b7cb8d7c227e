"""Which of a compiler's rules differ from those of another one, as text and as structure.

The one idea: a rule is its term, its left-hand side, its guards, its right-hand side and its priority, as trees:
comments and lines are no part of it. What it calls is a part of it in so far as that differs: another term, extractor,
type or function in Rust changes all rules that name it, and through these whoever names their terms. So rules are known
again in another source by what they say (`Side.same`), by which traces are compared.
Implicit conversions name nothing: one that differs counts for all rules of its ISA. Of Rust only the functions are
compared that rules call (`extern`), not what those call: other files that differ are listed (`Changes.others`).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple

from liftcheck.generators.lefthand import Rules
from liftcheck.isa import LISTED
from liftcheck.isle import sources as isle
from liftcheck.isle.sources import Rule, Tree, spelled

ADDED, REMOVED, EDITED, PRIORITY, CALLS = "added", "removed", "edited", "priority", "calls"
_CONVERTS: Final = "an implicit conversion"
_COMMENT: Final = re.compile(r"//[^\n]*|/\*.*?\*/", re.DOTALL)
_PROOFS_ONLY: Final = ("spec", "model", "form", "instantiate", "attr", "state")
"""Forms that only upstream's verifier reads."""


class Change(NamedTuple):
    """A rule that differs. `kind`: ADDED, EDITED, PRIORITY or CALLS of a rule that there is, REMOVED of one that was;
    `what`: in words."""

    kind: str
    rule: Rule
    what: str


@dataclass(frozen=True, slots=True)
class Side:
    """What one compiler's sources have for an ISA.

    same     a rule's place -> what it says, the same text as in other sources that have the rule
    defined  name of a term, extractor, type's variant -> what is said of it besides rules
    rust     name of a term -> the text of the function that it is in Rust
    files    name of a Rust file -> its text without these functions
    """

    source: Path
    rules: tuple[Rule, ...]
    same: Mapping[str, str]
    defined: Mapping[str, frozenset[str]]
    rust: Mapping[str, str]
    files: Mapping[str, str] = field(default_factory=dict)

    def shapes(self, isa: str) -> Rules:
        """The rules as shapes of programs."""
        return Rules(self.source, (isa,))


@dataclass(frozen=True, slots=True)
class Changes:
    """How the rules of an ISA differ. `direct`: rules whose own text does; `callers`: those that call what does;
    `gone`: rules that there were; `others`: Rust files that differ in more than functions that rules call."""

    direct: tuple[Change, ...]
    callers: tuple[Change, ...]
    gone: tuple[Change, ...]
    others: tuple[str, ...]
    now: Side
    before: Side

    def __bool__(self) -> bool:
        return bool(self.direct or self.callers or self.gone)


def said(rule: Rule) -> str:
    """All that a rule says but its priority."""
    return f"{rule.term}: {' '.join(map(spelled, rule.parts))}"


def side(source: Path, isa: str) -> Side:
    """What the `src` folder of a crate has for an ISA."""
    rules = isle.read_below(source, (isa,)).rules
    seen: Counter[str] = Counter()
    same: dict[str, str] = {}
    for rule in rules:
        text = said(rule)
        seen[text] += 1
        same[rule.place] = f"{text} #{seen[text]}" if seen[text] > 1 else text
    defined: dict[str, set[str]] = {}
    externs: dict[str, set[str]] = {}
    for path, _ in isle.files_below(source, (isa,)):
        for form in isle.forms(path.read_text(encoding="utf-8")) if path.is_file() else ():
            for name, text in _definitions(form.tree):
                defined.setdefault(name, set()).add(text)
            if form.tree[:1] == ["extern"] and len(form.tree) > 3:
                externs.setdefault(str(form.tree[-2]), set()).add(str(form.tree[-1]))
    files = {str(path.relative_to(source)): _plain(path) for path in _rust_files(source, isa)}
    functions = _functions(files.values(), {rust for names in externs.values() for rust in names})
    rust = {term: " ".join(functions.get(name, "") for name in sorted(names)) for term, names in externs.items()}
    rest = {name: _without(text, functions) for name, text in files.items()}
    return Side(source, rules, same, {name: frozenset(texts) for name, texts in defined.items()}, rust, rest)


def _definitions(tree: Sequence[Tree]) -> Iterator[tuple[str, str]]:
    """(name, text) of what a form says besides rules; a variant of a type by itself."""
    kind = tree[0] if tree else ""
    if kind == "rule" or kind in _PROOFS_ONLY or len(tree) < 2:
        return
    if kind == "type" and isinstance(tree[-1], list) and tree[-1][:1] == ["enum"]:
        for variant in tree[-1][1:]:
            name = variant[0] if isinstance(variant, list) and variant else variant
            yield f"{tree[1]}.{name}", spelled(variant)
        return
    yield _named(tree), " ".join(map(spelled, tree))


def _named(tree: Sequence[Tree]) -> str:
    """The name that a form is about."""
    if tree[0] == "decl":
        return next((str(word) for word in reversed(tree[:-2]) if isinstance(word, str)), "")
    if tree[0] == "convert":
        return _CONVERTS
    if tree[0] == "extern":
        return str(tree[-2])
    inner = next((part for part in tree[1:] if isinstance(part, list) and part), None)
    return str(inner[0]) if tree[0] in ("extractor", "macro") and inner else str(tree[1])


def _rust_files(source: Path, isa: str) -> Iterator[Path]:
    folders = (source / "isa" / LISTED[isa].package, source / "machinst", source / "opts")
    yield from (path for path in (source / "isle_prelude.rs", source / "opts.rs") if path.is_file())
    for folder in folders:
        yield from sorted(folder.rglob("*.rs"))


def _plain(path: Path) -> str:
    """Rust without comments."""
    return _COMMENT.sub("", path.read_text(encoding="utf-8"))


def _functions(texts: Iterable[str], names: set[str]) -> dict[str, str]:
    """The functions of these names, words with one space between."""
    found: dict[str, list[str]] = {}
    for text in texts:
        for match in re.finditer(r"\bfn (\w+)", text):
            if match[1] in names:
                found.setdefault(match[1], []).append(" ".join(text[match.start() : _end(text, match.end())].split()))
    return {name: " ".join(sorted(bodies)) for name, bodies in found.items()}


def _end(text: str, start: int) -> int:
    """Where the body of a function ends whose head begins before `start`."""
    depth = 0
    for match in re.compile(r"[{};]").finditer(text, start):
        depth += {"{": 1, "}": -1, ";": 0}[match[0]]
        if depth == 0:
            return match.end()
    return len(text)


def _without(text: str, functions: Mapping[str, str]) -> str:
    """A file without these functions."""
    kept, at = [], 0
    for match in re.finditer(r"\bfn (\w+)", text):
        if match[1] in functions and match.start() >= at:
            kept.append(text[at : match.start()])
            at = _end(text, match.end())
    return " ".join("".join([*kept, text[at:]]).split())


def changes(before: Side, now: Side) -> Changes:
    """How one side differs from the other."""
    old, new = ({one.same[rule.place]: rule for rule in one.rules} for one in (before, now))
    lost = [rule for text, rule in old.items() if text not in new]
    direct = [
        Change(PRIORITY, rule, f"priority {rule.priority}, was {old[text].priority}")
        for text, rule in new.items()
        if text in old and old[text].priority != rule.priority
    ]
    gone = list(lost)
    for text, rule in new.items():
        if text not in old:
            was = next((one for one in gone if (one.term, one.left) == (rule.term, rule.left)), None)
            if was is not None:
                gone.remove(was)
            kind, what = (
                (ADDED, "there was no such rule") if was is None else (EDITED, "other guards or right-hand side")
            )
            direct.append(Change(kind, rule, what))
    direct.sort(key=lambda one: (one.rule.file, one.rule.line))
    names = {change.rule.term for change in direct} | {rule.term for rule in lost}
    callers = _callers(before, now, names, {change.rule.place for change in direct})
    removed = tuple(Change(REMOVED, rule, "there is no such rule any more") for rule in gone)
    others = tuple(
        name for name in sorted({*before.files, *now.files}) if before.files.get(name) != now.files.get(name)
    )
    return Changes(tuple(direct), tuple(callers), removed, others, now, before)


def _callers(before: Side, now: Side, names: set[str], direct: set[str]) -> list[Change]:
    """The rules that call what differs, however far away: `names` are terms whose rules differ, besides those whose
    definition or Rust does."""
    why = dict.fromkeys(names, "another rule")
    for table, text in ((_differing(before.defined, now.defined), "defined otherwise"),
                        (_differing(before.rust, now.rust), "its Rust differs")):  # fmt: skip
        why |= {name: why.get(name, text) for name in table}
    words = {rule.place: frozenset(isle.words(rule.parts)) for rule in now.rules}
    bodies = {name: frozenset(re.findall(r"[^\s()]+", " ".join(texts))) for name, texts in now.defined.items()}
    found: dict[str, Change] = {}
    fresh = set(why)
    while fresh:
        more: set[str] = set()
        for name, body in bodies.items():
            if name not in why and (hit := fresh & body):
                why[name] = f"through {min(hit)}"
                more.add(name)
        for rule in now.rules:
            hit = fresh & words[rule.place] - {rule.term}
            hit |= fresh & {_CONVERTS}
            if hit and rule.place not in found and rule.place not in direct:
                name = min(hit)
                found[rule.place] = Change(CALLS, rule, f"{name}: {why[name]}")
                if rule.term not in why:
                    why[rule.term] = f"through {name}"
                    more.add(rule.term)
        fresh = more
    return [found[rule.place] for rule in now.rules if rule.place in found]


def _differing(before: Mapping[str, object], now: Mapping[str, object]) -> set[str]:
    return {name for name in {*before, *now} if before.get(name) != now.get(name)}
