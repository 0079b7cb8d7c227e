"""One finding on the HTML page: what is wrong, CLIF beside machine code, suspect lines marked.

The one idea: a line is marked only for a reason that is written below it: the only instruction of the program that
computes anything, or instructions that the code of the target that is right, on the same ISA, does not have.
"""

from __future__ import annotations

import difflib
import html
import re
import zlib
from collections.abc import Collection
from typing import Final

from liftcheck.campaign.findings import blamed
from liftcheck.campaign.findings.finding import DULL, Finding, decode_outcome
from liftcheck.campaign.findings.page import SIDES, outcome_text
from liftcheck.campaign.report.gather import Shown

_INST: Final = re.compile(r"^ {4}(?:v\d+(?:, v\d+)* = )?([a-z][a-z0-9_]*)")
_DECLARED: Final = re.compile(r"^ {4}(ss|gv|sig|fn|const|stack_limit)\w*( =|$)")
_NEWLINE: Final = "\n"
_ADDRESS: Final = re.compile(r"\b0x[0-9a-f]+\b")


def anchor(shown: Shown) -> str:
    """What a link on the page names."""
    return re.sub(r"[^A-Za-z0-9_-]", "-", shown.folder.name)


def caption(shown: Shown) -> str:
    """One line, as HTML."""
    found = shown.finding
    parts = found.key.split(" | ")
    what = f"<code>{html.escape(parts[2])}</code> " if found.failure is None and len(parts) >= 3 else ""
    return (
        f"<b>{html.escape(found.target.isa)}</b> {what}{html.escape(found.detail.partition(_NEWLINE)[0] or found.key)}"
    )


def finding(shown: Shown, is_new: bool, is_open: bool, is_known: bool = False) -> str:
    """The finding as something that opens."""
    found, data = shown.finding, shown.data
    badges = [
        "known" if is_known else "",
        f"{found.count} times" if found.count > 1 else "",
        "new" if is_new else "",
        "" if found.reduced else "not reduced",
    ]
    made = "".join(f'<span class="badge">{text}</span>' for text in badges if text)
    when = f"<small>after {found.seconds:,.0f} s</small>"
    parts = [
        f"<details{' open' if is_open else ''}><summary>{caption(shown)} {made} {when}</summary>",
        f'<div id="{anchor(shown)}"></div>',
        _what(found),
        _code(shown),
        _outcomes(shown),
        _blame(found.blame) or _rules(data.get("suspects")),
        _votes(data.get("votes")),
        f"<pre>liftcheck replay {html.escape(str(shown.folder))}</pre>",
        "</details>",
    ]
    return "\n".join(filter(None, parts))


def _what(found: Finding) -> str:
    lines = [f"<p><code>{html.escape(str(found.target))}</code></p>"]
    if _NEWLINE in found.detail:
        lines.append(f"<pre>{html.escape(found.detail)}</pre>")
    if found.failure is not None and found.failure.place:
        lines.append(f"<p>at <code>{html.escape(str(found.failure.place))}</code></p>")
    if found.fault:
        lines.append(f"<p>known fault: {html.escape(found.fault)}</p>")
    if found.note:
        lines.append(f"<p>{html.escape(found.note)}</p>")
    return "".join(lines)


def _code(shown: Shown) -> str:
    clif, machine = _blamed_places(shown.finding.blame)
    first = _those(shown.program, clif)
    why = "the first that gives a wrong value" if first else "the only instruction that computes anything"
    boxes = [_box("CLIF", shown.program, first or only_one(shown.program), why)]
    bad = next((one for one in shown.listings if one[0] == str(shown.finding.target)), None)
    good = next((one for one in shown.listings if one is not bad), None)
    if bad is not None:
        is_same = good is not None and good[0].split()[0] == bad[0].split()[0]
        marked = foreign(bad[1], good[1]) if good is not None and is_same else set()
        guilty = _those(bad[1], machine)
        why = "gives the first wrong value" if guilty else "not in the code that is right"
        boxes.append(_box(bad[0], bad[1], guilty or marked, why))
    if good is not None:
        how = "which is right" if bad is not None else "for which it is compiled"
        boxes.append(f"<details><summary>{html.escape(good[0])}, {how}</summary>{lines(good[1], ())}</details>")
    count = 2 if bad is not None else 1
    return f'<div class="side">{"".join(boxes[:count])}</div>{"".join(boxes[count:])}'


def _blamed_places(blame: object) -> tuple[str, str]:
    """The CLIF instruction and the machine instruction that blame found; '' where it found none."""
    found = blame.get("instruction") if isinstance(blame, dict) else None
    if not isinstance(found, dict):
        return "", ""
    code = [row for row in found.get("code", ()) if isinstance(row, list | tuple) and len(row) == 2]
    machine = next((str(text) for offset, text in code if offset == found.get("offset")), "")
    return str(found.get("clif", "")), machine


def _those(text: str, instruction: str) -> set[int]:
    """The line of an instruction, if it is one line only."""
    if not instruction:
        return set()
    found = {number for number, line in enumerate(text.split("\n")) if line.strip().endswith(instruction)}
    return found if len(found) == 1 else set()


def _blame(blame: object) -> str:
    """What blame found, part by part."""
    if not isinstance(blame, dict):
        return ""
    rows = [f"<dt>{name}</dt><dd><pre>{html.escape(text)}</pre></dd>" for name, text in blamed.lines(blame)]
    return f"<details><summary>who is to blame</summary><dl>{''.join(rows)}</dl></details>"


def _box(title: str, text: str, marked: Collection[int], why: str) -> str:
    legend = f'<small class="legend"><mark>marked</mark>: {why}</small>' if marked else ""
    return f"<div><h4>{html.escape(title)}</h4>{lines(text, marked)}{legend}</div>"


def lines(text: str, marked: Collection[int]) -> str:
    """Code, its marked lines (from 0) shown as such."""
    made = [
        f"<mark>{html.escape(line)}</mark>" if number in marked else html.escape(line)
        for number, line in enumerate(text.rstrip("\n").split("\n"))
    ]
    return f"<pre>{chr(10).join(made)}</pre>"


def only_one(program: str) -> set[int]:
    """The line of the only instruction that is neither a constant nor a jump or return; none if there are several."""
    found = set()
    for number, line in enumerate(program.split("\n")):
        match = None if _DECLARED.match(line) else _INST.match(line)
        if match is not None and match[1] not in DULL:
            found.add(number)
    return found if len(found) == 1 else set()


def foreign(bad: str, good: str) -> set[int]:
    """Lines of the wrong code that the right code has not at that place; nothing if they have little in common."""
    old, new = ([_ADDRESS.sub("0x", line.strip()) for line in text.split("\n")] for text in (good, bad))
    matcher = difflib.SequenceMatcher(None, old, new, autojunk=False)
    if matcher.ratio() < _KIN:
        return set()
    changed = [range(b, e) for tag, _, _, b, e in matcher.get_opcodes() if tag != "equal"]
    lines = {
        number for part in changed for number in part if new[number] and not new[number].startswith(("block", "%"))
    }
    return lines if len(lines) <= _FEW else set()


_KIN: Final = 0.4
_FEW: Final = 8
"""A difference below this likeness, or of more lines, points at nothing."""


def _outcomes(shown: Shown) -> str:
    if not shown.data.get("expected") and not shown.data.get("actual"):
        return ""
    rows = []
    for name in ("expected", "actual"):
        try:
            text = outcome_text(decode_outcome(shown.data.get(name)), shown.finding.case)
        except (KeyError, TypeError, ValueError, AttributeError, zlib.error) as error:
            text = f"cannot be read: {error}"
        rows.append(f"<dt>{name}</dt><dd><code>{html.escape(text)}</code></dd>")
    return f"<dl>{''.join(rows)}</dl>"


def _rules(suspects: object) -> str:
    rules = suspects if isinstance(suspects, list) else []
    if not rules:
        return ""
    items = "".join(f"<li><code>{html.escape(str(rule))}</code></li>" for rule in rules)
    title = f"{len(rules)} rules that fired here and not where it is right"
    return f"<details><summary>{title}</summary><ul>{items}</ul></details>"


def _votes(votes: object) -> str:
    rows = [vote for vote in votes if isinstance(vote, dict)] if isinstance(votes, list) else []
    if not rows:
        return ""
    body = "".join(f"<tr>{''.join(f'<td>{html.escape(cell)}</td>' for cell in _vote(vote))}</tr>" for vote in rows)
    return f'<details><summary>who stands against whom</summary><div class="wide"><table>{body}</table></div></details>'


def _vote(vote: dict[str, object]) -> tuple[str, str, str]:
    side = vote.get("with_reference")
    return str(vote.get("who")), str(vote.get("outcome")), SIDES[side if isinstance(side, bool) else None]
