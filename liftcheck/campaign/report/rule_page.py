"""The compiler's rule sources as one HTML page, each rule in a colour: no script, no network.

The one idea: the page is the sources themselves, file by file, with a mark before each rule, so that a reader sees
beside a rule what its neighbours are. What the colours mean, and which rule has which, is a `View`: what was executed
(`executed`), or what is proven (`proven`). Texts between rules are left out to keep the page small. It reads the
sources and decides nothing.
"""

from __future__ import annotations

import html
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from liftcheck import __version__
from liftcheck.campaign.report.rule_coverage import Coverage, files, parts
from liftcheck.campaign.report.rule_proofs import BESIDE, NOT_REACHED, PROVEN, REFUTED, UNDECIDED, Bad, RuleVerdict
from liftcheck.campaign.report.style import STYLE
from liftcheck.isle.sources import Rule

_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'"
_OWN: Final = """
.isle { padding: 8px 0 } .isle span { display: block; padding: 0 10px 0 6px; border-left: 5px solid transparent;
  min-height: 1.45em; width: max-content; min-width: 100% }
.isle .shown { color: var(--dim) }
.isle i { display: inline-block; width: 8.5ch; color: var(--dim); font-style: normal; text-align: right;
  margin-right: 1.5ch; user-select: none }
.isle b { color: var(--dim); font-weight: 400 }
.key span { border-left: 5px solid; padding: 0 8px; margin-right: 8px; display: inline-block }
"""


class Kind(NamedTuple):
    """One colour: the name of its column and class, a variable of the style sheet, its strength in percent, and what
    the key says of it."""

    name: str
    colour: str
    strength: int
    says: str

    @property
    def css(self) -> str:
        """Its class."""
        return "is-" + self.name.replace(" ", "-")


class Mark(NamedTuple):
    """What stands at a rule: the name of its kind, a word in the margin, what is told after its first line, and what
    stands below it."""

    kind: str
    margin: str
    told: str
    below: tuple[str, ...] = ()


class View(NamedTuple):
    """What a page shows. Shares are of the rules of the first kinds, as many as `good` says."""

    title: str
    lead: str
    kinds: tuple[Kind, ...]
    good: int
    mark: Callable[[Rule], Mark]


def executed(coverage: Coverage, why: Mapping[str, str]) -> View:
    """Rules by what programs executed; `why`: the reason of those out of reach, by place."""

    def mark(rule: Rule) -> Mark:
        hits = coverage.of(rule)
        if hits is not None:
            return Mark("executed", f"{hits.times:,}×", f"first: seed {hits.seed} case {hits.case}")
        if rule.place in why:
            return Mark("out of reach", "", f"out of reach: {why[rule.place]}")
        return Mark("not yet", "", "not yet")

    kinds = (
        Kind("executed", "good", 12, "executed, how often"),
        Kind("out of reach", "dim", 14, "out of reach"),
        Kind("not yet", "bad", 14, "not yet"),
    )
    lead = (
        f"{coverage.programs:,} traced programs of {coverage.campaigns} campaign{'s' * (coverage.campaigns != 1)}. A"
        " rule counts when it matched in the compilation of a program whose code was run and compared."
    )
    return View(f"rules executed: {coverage.compiler}", lead, kinds, 1, mark)


def proven(found: Sequence[RuleVerdict], compiler: str, isa: str) -> View:
    """Rules by the verdicts on their instances."""
    verdicts = {one.rule.place: one for one in found}

    def mark(rule: Rule) -> Mark:
        one = verdicts[rule.place]
        every = one.seen.equal + one.seen.proven + one.seen.bad
        why = f": {one.why}" if one.why else ""
        shown = next((bad for bad in one.matters if bad.kind == REFUTED), None)
        return Mark(one.verdict, f"{every:,}×" if every else "", one.verdict + why, tuple(_shown(shown)))

    lead = (
        f"{len(found):,} rules on {isa}. Before a rule stands how many instances, small programs in whose"
        " compilation it fired, were proven or not, for all values of registers and memory."
    )
    kinds = (
        Kind(PROVEN, "good", 14, "proven: every instance"),
        Kind(BESIDE, "good", 5, "beside: every instance but those that are another rule's matter"),
        Kind(REFUTED, "bad", 22, "refuted: a run shows it"),
        Kind(UNDECIDED, "c2", 16, "undecided"),
        Kind(NOT_REACHED, "dim", 12, "not reached"),
    )
    return View(f"rules proven on {isa}: {compiler}", lead, kinds, 2, mark)


def _shown(bad: Bad | None) -> Iterator[str]:
    if bad is not None:
        yield f";; {bad.what}, for ({', '.join(map(hex, bad.inputs))}): {bad.ran}"
        yield f";; {bad.target}"
        yield from (f";; {line}" for line in bad.text.rstrip().split("\n"))


def page(view: View, rules: Sequence[Rule], source: Path) -> str:
    """The whole page, of rules whose files are below a crate's `src` folder."""
    marks = {rule.place: view.mark(rule) for rule in rules}
    colours = "\n".join(
        f".{kind.css} {{ border-color: var(--{kind.colour}); background: "
        f"color-mix(in srgb, var(--{kind.colour}) {kind.strength}%, transparent) }}"
        for kind in view.kinds
    )
    head = (
        f'<meta charset="utf-8"><meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{html.escape(view.title)}</title><style>{STYLE}{_OWN}{colours}</style>"
    )
    key = "".join(
        f'<span style="border-color: var(--{kind.colour})" class="{kind.css}">{html.escape(kind.says)}</span>'
        for kind in view.kinds
    )
    body = "\n".join(
        [
            f"<header><h1>{html.escape(view.title)}</h1><p>{html.escape(view.lead)}</p></header>",
            f'<p class="key">{key}</p>',
            _table(view, rules, marks),
            *(_file(view, name, some, marks, source) for name, some in files(rules).items()),
            f"<footer>made by liftcheck {__version__}</footer>",
        ]
    )
    return f'<!DOCTYPE html>\n<html lang="en"><head>{head}</head>\n<body>\n{body}\n</body></html>\n'


def _share(view: View, counts: Counter[str]) -> tuple[int, str]:
    """How many rules are of the good kinds, and their share."""
    good = sum(counts[kind.name] for kind in view.kinds[: view.good])
    return good, f"{good / counts.total():.1%}" if counts else "-"


def _table(view: View, rules: Sequence[Rule], marks: Mapping[str, Mark]) -> str:
    rows = []
    for mine in parts(rules).values():
        for name, some in files(mine).items():
            counts = Counter(marks[rule.place].kind for rule in some)
            cells = (_share(view, counts)[1], counts.total(), *(counts[kind.name] for kind in view.kinds))
            link = f'<a href="#{html.escape(name)}">{html.escape(name.removeprefix("src/"))}</a>'
            rows.append(f"<tr><td>{link}</td>" + "".join(f'<td class="number">{cell}</td>' for cell in cells) + "</tr>")
    names = ("share", "rules", *(kind.name for kind in view.kinds))
    head = "<th>file</th>" + "".join(f'<th class="number">{name}</th>' for name in names)
    return f'<div class="wide"><table><tr>{head}</tr>{"".join(rows)}</table></div>'


def _file(view: View, name: str, rules: Sequence[Rule], marks: Mapping[str, Mark], source: Path) -> str:
    """One file, folded; only the rules and what stands right before them."""
    lines = (source / name.removeprefix("src/")).read_text(encoding="utf-8").split("\n")
    counts = Counter(marks[rule.place].kind for rule in rules)
    good, share = _share(view, counts)
    css = {kind.name: kind.css for kind in view.kinds}
    text = "".join(line for rule in rules for line in _rule(rule, marks[rule.place], css, lines))
    return (
        f"<details><summary>{html.escape(name)} <small>{good:,} of {len(rules):,},"
        f' {share}</small></summary><pre class="isle" id="{html.escape(name)}">{text}</pre></details>'
    )


def _rule(rule: Rule, mark: Mark, css: Mapping[str, str], lines: Sequence[str]) -> Iterator[str]:
    kind = css[mark.kind]
    for number in range(rule.first, rule.last + 1):
        margin = mark.margin if number == rule.first else ""
        text = html.escape(lines[number - 1])
        more = f"  <b>; line {number}, {html.escape(mark.told)}</b>" if number == rule.first else ""
        yield f'<span class="{kind}"><i>{margin or number}</i>{text}{more}</span>'
    yield from (f'<span class="shown"><i></i>{html.escape(line)}</span>' for line in mark.below)
    yield "<span></span>"
