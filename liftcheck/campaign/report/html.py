"""A campaign as one HTML page: no script, no network, readable on a wide screen and on a phone.

The one idea: who gets the page by mail can act on it: every finding has its program beside the machine code, with
the lines marked that are suspect; then how the campaign went. What the folder does not know is said, not drawn as zero.
Parts that are pictures: `charts.py`; a finding: `html_finding.py`. It reads nothing (`gather.py` does).
"""

from __future__ import annotations

import html
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from liftcheck import __version__
from liftcheck.campaign.report import charts
from liftcheck.campaign.report.gather import Change, Gathered, Shown
from liftcheck.campaign.report.html_finding import anchor, caption, finding
from liftcheck.campaign.report.style import STYLE

_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'"
_REASONS: Final = 15


def page(gathered: Gathered, compared: Change | None = None) -> str:
    """The whole page."""
    title = f"liftcheck: {_compilers(gathered)}"
    parts = [
        f"<header><h1>{html.escape(title)}</h1>{_about(gathered)}</header>",
        _tiles(gathered),
        _changes(compared),
        _findings(gathered, compared),
        charts.timeline(gathered),
        _isas(gathered.kept.document),
        _reasons(gathered.kept.document, "undecided", "Undecided", "pairs for which it cannot be said who is right"),
        _reasons(gathered.kept.document, "refused", "Refused", "pairs that the compiler does not compile"),
        charts.rules(gathered.kept.rules),
        charts.coverage(gathered.kept.document),
        _missing(gathered),
        f"<footer>made by liftcheck {__version__} of <code>{html.escape(str(gathered.folder))}</code></footer>",
    ]
    head = (
        f'<meta charset="utf-8"><meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{html.escape(title)}</title><style>{STYLE}</style>"
    )
    body = "\n".join(filter(None, parts))
    return f'<!DOCTYPE html>\n<html lang="en"><head>{head}</head>\n<body>\n{body}\n</body></html>\n'


def _compilers(gathered: Gathered) -> str:
    if gathered.kept.document is not None:
        return str(gathered.kept.document["compiler"])
    names = dict.fromkeys(one.finding.compiler for one in gathered.findings)
    return ", ".join(names) or str(gathered.folder)


def _about(gathered: Gathered) -> str:
    document = gathered.kept.document
    if document is None:
        return ""
    seeds = document.get("seeds") or [document["seed"]]
    ended = ", interrupted" if document.get("interrupted") else ""
    what = f"seed {seeds[0]}" if len(seeds) == 1 else f"{len(seeds)} campaigns, seeds {', '.join(map(str, seeds))}"
    return f"<p>{what}, {document['jobs']} jobs, {charts.duration(document['seconds'])}{ended}</p>"


def _tiles(gathered: Gathered) -> str:
    document = gathered.kept.document
    known = sum(map(gathered.is_known, gathered.findings))
    tiles = [
        (
            "new findings" if known else "findings",
            f"{len(gathered.findings) - known:,}",
            "bad" if len(gathered.findings) > known else "good",
        )
    ]
    tiles += [("known findings", f"{known:,}", "")] if known else []
    if document is not None:
        speed = document["pairs"] / document["seconds"] if document["seconds"] else 0.0
        tiles += [
            ("programs", f"{document['programs']:,}", ""),
            ("pairs judged", f"{document['pairs']:,}", ""),
            ("pairs a second", f"{speed:,.0f}", ""),
            ("undecided", f"{sum(document['undecided'].values()):,}", ""),
            ("refused", f"{sum(document['refused'].values()):,}", ""),
        ]
    made = "".join(f'<div class="tile {mood}"><b>{number}</b><span>{name}</span></div>' for name, number, mood in tiles)
    return f'<section class="tiles">{made}</section>'


def _changes(compared: Change | None) -> str:
    if compared is None:
        return ""
    earlier = html.escape(str(compared.earlier))
    parts = [f"<section><h2>Since <code>{earlier}</code></h2>"]
    parts.append(_links(f"{len(compared.new)} new", compared.new, True))
    parts.append(_links(f"{len(compared.gone)} gone", compared.gone, False))
    parts.append(f"<p>{len(compared.both)} in both.</p>")
    if compared.unknown:
        parts.append(
            f"<p>{len(compared.unknown)} were never reduced: what they have in common with others is not known.</p>"
        )
    return "".join([*parts, "</section>"])


def _links(title: str, findings: Iterable[Shown], is_here: bool) -> str:
    items = [
        f'<li><a href="#{anchor(one)}">{caption(one)}</a></li>' if is_here else f"<li>{caption(one)}</li>"
        for one in findings
    ]
    return f"<p>{title}{':' if items else '.'}</p><ul>{''.join(items)}</ul>"


def _findings(gathered: Gathered, compared: Change | None) -> str:
    if not gathered.findings:
        return "<section><h2>Findings</h2><p>None.</p></section>"
    new = {one.folder for one in compared.new} if compared is not None else set()
    classes = Counter(one.finding.klass for one in gathered.findings)
    parts = [f"<section><h2>{len(gathered.findings)} findings</h2>"]
    for klass, count in classes.most_common():
        parts.append(f"<h3>{html.escape(klass)} <small>{count}</small></h3>")
        parts += [
            finding(one, one.folder in new, len(gathered.findings) == 1, gathered.is_known(one))
            for one in gathered.findings
            if one.finding.klass == klass
        ]
    return "\n".join([*parts, "</section>"])


def table(columns: Iterable[str], rows: Iterable[Iterable[object]], left: int = 1) -> str:
    """A table that scrolls by itself where it is too wide; the first `left` columns are words, the others numbers."""
    head = "".join(f"<th>{html.escape(name)}</th>" for name in columns)
    body = "".join(f"<tr>{''.join(_cells(row, left))}</tr>" for row in rows)
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def _cells(row: Iterable[object], left: int) -> Iterator[str]:
    for number, cell in enumerate(row):
        text = f"{cell:,}" if isinstance(cell, int) else html.escape(str(cell))
        yield f"<td>{text}</td>" if number < left else f'<td class="number">{text}</td>'


def _isas(document: Mapping[str, Any] | None) -> str:
    if document is None or not document["isas"]:
        return ""
    names = ("ISA", "programs", "pairs", "agreed", "disagreed", "undecided", "refused", "pairs/s")
    rows = [
        (
            isa,
            row["programs"],
            row["pairs"],
            row["agreed"],
            *(sum(row[name].values()) for name in ("disagreed", "undecided", "refused")),
            round(row["pairs_per_second"]),
        )
        for isa, row in document["isas"].items()
    ]
    shares = charts.shares(document.get("time_share", {}))
    return f"<section><h2>Throughput</h2>{table(names, rows)}{shares}{_activity(document)}</section>"


def _activity(document: Mapping[str, Any]) -> str:
    """What the time went to, in three numbers; and what programs steer around."""
    shares = ", ".join(f"{name} {share:.0%}" for name, share in document.get("activity", {}).items())
    lines = [f"<p>Of the workers' time: {shares}.</p>"] if shares else []
    rows = [(one["isa"], one["key"], one["kind"], one["wrong"], one["programs"]) for one in document.get("steered", ())]
    if rows:
        lines.append("<p>What frequent wrong programs have in common, around which most programs steer:</p>")
        lines.append(table(("ISA", "typing", "kind", "wrong", "programs (about)"), rows, 3))
    return "".join(lines)


def _reasons(document: Mapping[str, Any] | None, name: str, title: str, what: str) -> str:
    if document is None:
        return ""
    reasons = sorted(document[name].items(), key=lambda item: -item[1])
    if not reasons:
        return f"<section><h2>{title}</h2><p>None.</p></section>"
    rows = [(reason, count) for reason, count in reasons[:_REASONS]]
    if len(reasons) > _REASONS:
        rows.append((f"{len(reasons) - _REASONS} more reasons", sum(count for _, count in reasons[_REASONS:])))
    return f"<section><h2>{title}</h2><p>{what}, by reason</p>{table(('reason', 'pairs'), rows)}</section>"


def _missing(gathered: Gathered) -> str:
    """What the page has not, and why."""
    lines = [f"<code>{html.escape(name)}</code>: {html.escape(why)}" for name, why in gathered.unreadable]
    if gathered.kept.document is None:
        lines.append(
            "The folder keeps no statistics of its campaign: programs, throughput, reasons and coverage are not known."
        )
    lines += map(html.escape, gathered.kept.remarks)
    troubles = gathered.kept.document["troubles"] if gathered.kept.document is not None else []
    lines += [f"{html.escape(one['case'])}: <pre>{html.escape(one['text'])}</pre>" for one in troubles[:20]]
    if not lines:
        return ""
    items = "".join(f"<li>{line}</li>" for line in lines)
    return f"<section><h2>What could not be read or judged</h2><ul>{items}</ul></section>"
