"""The compiler's rule sources as one HTML page, coloured by what was executed: no script, no network.

The one idea: the page is the sources themselves, file by file, with a count before each rule that was executed, so that
a reader sees beside a rule that was not what its neighbours are. Texts between rules are shortened to keep the page
small. It reads the sources and decides nothing.
"""

from __future__ import annotations

import html
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from liftcheck import __version__
from liftcheck.campaign.report.rule_coverage import Coverage, files, parts, share
from liftcheck.campaign.report.style import STYLE
from liftcheck.isle import Rule

_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'"
_OWN: Final = """
.isle { padding: 8px 0 } .isle span { display: block; padding: 0 10px 0 6px; border-left: 5px solid transparent;
  min-height: 1.45em; width: max-content; min-width: 100% }
.isle .hit { border-color: var(--good); background: color-mix(in srgb, var(--good) 12%, transparent) }
.isle .cold { border-color: var(--bad); background: color-mix(in srgb, var(--bad) 14%, transparent) }
.isle .out { border-color: var(--dim); background: color-mix(in srgb, var(--dim) 14%, transparent) }
.isle i { display: inline-block; width: 8.5ch; color: var(--dim); font-style: normal; text-align: right;
  margin-right: 1.5ch; user-select: none }
.isle b { color: var(--dim); font-weight: 400 }
.key span { border-left: 5px solid; padding: 0 8px; margin-right: 8px; display: inline-block }
"""


def page(coverage: Coverage, rules: Sequence[Rule], why: Mapping[str, str], source: Path) -> str:
    """The whole page."""
    title = f"rules executed: {coverage.compiler}"
    head = (
        f'<meta charset="utf-8"><meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{html.escape(title)}</title><style>{STYLE}{_OWN}</style>"
    )
    body = "\n".join(
        [
            f"<header><h1>{html.escape(title)}</h1><p>{coverage.programs:,} traced programs of {coverage.campaigns}"
            f" campaign{'s' * (coverage.campaigns != 1)}. A rule counts when it matched in the compilation of a program"
            " whose code was run and compared.</p></header>",
            '<p class="key"><span style="border-color: var(--good)">executed, how often</span>'
            '<span style="border-color: var(--bad)">not yet</span>'
            '<span style="border-color: var(--dim)">out of reach</span></p>',
            _table(coverage, rules, why),
            *(_file(coverage, name, some, why, source) for name, some in files(rules).items()),
            f"<footer>made by liftcheck {__version__}</footer>",
        ]
    )
    return f'<!DOCTYPE html>\n<html lang="en"><head>{head}</head>\n<body>\n{body}\n</body></html>\n'


def _table(coverage: Coverage, rules: Sequence[Rule], why: Mapping[str, str]) -> str:
    rows = []
    for mine in parts(rules).values():
        for name, some in files(mine).items():
            found = share(coverage, some)
            beyond = sum(coverage.of(rule) is None and rule.place in why for rule in some)
            cells = (found, found.executed, len(some), beyond, len(some) - found.executed - beyond)
            link = f'<a href="#{html.escape(name)}">{html.escape(name.removeprefix("src/"))}</a>'
            rows.append(f"<tr><td>{link}</td>" + "".join(f'<td class="number">{cell}</td>' for cell in cells) + "</tr>")
    names = ("share", "executed", "rules", "out of reach", "not yet")
    head = "<th>file</th>" + "".join(f'<th class="number">{name}</th>' for name in names)
    return f'<div class="wide"><table><tr>{head}</tr>{"".join(rows)}</table></div>'


def _file(coverage: Coverage, name: str, rules: Sequence[Rule], why: Mapping[str, str], source: Path) -> str:
    """One file, folded; only the rules and what stands right before them."""
    lines = (source / name.removeprefix("src/")).read_text(encoding="utf-8").split("\n")
    found = share(coverage, rules)
    text = "".join(_rules(coverage, rules, why, lines))
    return (
        f"<details><summary>{html.escape(name)} <small>{found.executed:,} of {len(rules):,},"
        f' {found}</small></summary><pre class="isle" id="{html.escape(name)}">{text}</pre></details>'
    )


def _rules(coverage: Coverage, rules: Sequence[Rule], why: Mapping[str, str], lines: Sequence[str]) -> Iterator[str]:
    for rule in rules:
        hits = coverage.of(rule)
        if hits is not None:
            kind, told = "hit", f"first: seed {hits.seed} case {hits.case}"
        elif rule.place in why:
            kind, told = "out", f"out of reach: {why[rule.place]}"
        else:
            kind, told = "cold", "not yet"
        count = f"{hits.times:,}×" if hits is not None else ""
        for number in range(rule.first, rule.last + 1):
            mark = count if number == rule.first else ""
            text = html.escape(lines[number - 1])
            more = f"  <b>; line {number}, {html.escape(told)}</b>" if number == rule.first else ""
            yield f'<span class="{kind}"><i>{mark or number}</i>{text}{more}</span>'
        yield "<span></span>"
