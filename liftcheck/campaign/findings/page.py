"""A finding for people: its page, and its program as a filetest.

The one idea: a maintainer who has never heard of liftcheck can act on the page alone. What goes wrong comes first, then
the smallest program, then expected and actual, then who stands against whom; provenance and replay come last.
"""

from __future__ import annotations

from typing import Final

from liftcheck import __version__, layout
from liftcheck.campaign.findings.blamed import section
from liftcheck.campaign.findings.finding import Finding, cause_key
from liftcheck.case import Case, Outcome
from liftcheck.clif.text.printer import print_module
from liftcheck.isa import LISTED
from liftcheck.oracles.compare import hex_value, return_types

SIDES: Final = {True: "with the reference", False: "against it", None: "cannot say"}
"""Where a voter stands."""
_WORD: Final = 16
_WORDS_SHOWN: Final = 16
"""Bytes a line and lines of the initial memory on a page."""


def functions(case: Case) -> str:
    """The program as functions alone, which is not a filetest."""
    return "; The program alone, not a filetest: its inputs and initial memory are in finding.json.\n\n" + print_module(
        case.module
    )


def program_text(finding: Finding) -> str:
    """What `program.clif` holds."""
    return finding.program or functions(finding.case)


def entry_line(finding: Finding) -> int:
    """The line of `program.clif` where the function begins that is called; 0 if it has none."""
    head = f"function {finding.case.module.functions[finding.case.entry].name}("
    lines = program_text(finding).split("\n")
    return next((number for number, line in enumerate(lines, 1) if line.startswith(head)), 0)


def target_line(text: str) -> str:
    """A target as the header of a filetest has it."""
    isa, *settings = text.split(" ")
    return " ".join([LISTED[isa].triple if isa in LISTED else isa, *settings])


def outcome_text(outcome: Outcome | None, case: Case) -> str:
    """One outcome in one line."""
    if outcome is None:
        return "nothing"
    if outcome.kind == "returned":
        values = ", ".join(hex_value(v, t) for v, t in zip(outcome.values, return_types(case)))
        return f"returned {values}" if values else "returned"
    if outcome.kind == "trapped":
        return f"trap {outcome.detail}"
    return f"{outcome.kind}: {outcome.detail}" if outcome.detail else outcome.kind


def title(finding: Finding) -> str:
    """What is wrong, in one line."""
    return f"{finding.klass} on {finding.target.isa} ({finding.target})"


def page(finding: Finding, name: str) -> str:
    """The README.md of a finding's folder."""
    parts = [
        f"# {title(finding)}\n",
        _summary(finding),
        _program(finding),
        _difference(finding),
        _voters(finding),
        section(finding.blame) if finding.blame is not None else _suspects(finding),
        _provenance(finding, name),
    ]
    return "\n".join(part for part in parts if part)


def _summary(finding: Finding) -> str:
    lines = [f"`{finding.compiler}` {_what(finding)}", ""]
    if finding.detail and (finding.failure is None or finding.detail != finding.failure.message):
        lines += [finding.detail, ""]
    if finding.other:
        lines += [f"`{finding.other}`, with the same program on the same target: {finding.beside}.", ""]
    if finding.fault:
        lines += [f"A known fault, proven to be the cause: {finding.fault}.", ""]
    if len(finding.targets) > 1:
        lines += ["The same on: " + "; ".join(f"`{target}`" for target in finding.targets) + ".", ""]
    if finding.witness is not None:
        right = "Compiled" if finding.failure is not None and finding.expected is None else "Right"
        lines += [f"{right} on `{finding.witness}`.", ""]
    return "\n".join(lines)


def _what(finding: Finding) -> str:
    failure = finding.failure
    message = (failure.message or failure.reason) if failure is not None else ""
    first_line, _, more = message.partition("\n")
    return finding.row.says.format(
        target=finding.target,
        message=message,
        first_line=first_line,
        place=f" (at {failure.place})" if failure is not None and failure.place else "",
        more=f"\n{more}" if more else "",
        shown="" if finding.expected is None else " A run shows it: see below.",
    )


def _program(finding: Finding) -> str:
    how = "reduced" if finding.reduced else "as generated, not reduced"
    case = finding.case
    entry = case.module.functions[case.entry].name
    text = print_module(case.module).rstrip()
    parts = [f"## Program ({how})\n", f"```\n{text}\n```\n", *([f"{finding.note}\n"] if finding.note else [])]
    if len(case.module.functions) > 1:
        parts.append(f"`{entry}` is called.")
    parts += _memory(finding)
    if not finding.program:
        parts.append("`program.clif` has its functions; `liftcheck reduce` makes a filetest of it.\n")
    elif finding.unsaid:
        parts.append(f"`program.clif` has the whole as a filetest, with a reservation: {finding.unsaid}.\n")
    else:
        parts.append(
            "`program.clif` has the whole as a filetest: `liftcheck test` fails on it for this reason, and "
            "upstream's reader takes it.\n"
        )
    return "\n".join(parts)


def _memory(finding: Finding) -> list[str]:
    """Where the data region is, and what it holds where that is not zero."""
    case = finding.case
    if not case.memories or finding.run >= len(case.memories):
        return []
    content = case.memories[finding.run]
    words = [at for at in range(0, len(content), _WORD) if any(content[at : at + _WORD])]
    shown = [f"{at:#05x}: {content[at : at + _WORD].hex(' ')}" for at in words[:_WORDS_SHOWN]]
    held = "it holds, where it is not zero" if words else "it is zero"
    base = layout.slot_address(case.slot + finding.run)
    parts = [
        f"The data region of {len(content)} bytes at {base:#x} is an argument. Initially {held}"
        + (":\n" if words else ".")
    ]
    if words:
        more = f"\n… {len(words) - len(shown)} more lines, see finding.json" if len(words) > len(shown) else ""
        parts.append("```\n" + "\n".join(shown) + more + "\n```\n")
    return parts


def _difference(finding: Finding) -> str:
    if finding.failure is not None and finding.expected is None:
        return ""
    case = finding.case
    row = case.inputs[finding.run] if finding.run < len(case.inputs) else ()
    kinds = [param.type for param in case.module.functions[case.entry].signature.params]
    arguments = ", ".join(hex_value(v, t) for v, t in zip(row, kinds)) or "none"
    return "\n".join(
        [
            "## Expected and actual\n",
            f"- arguments: {arguments}",
            f"- expected: {outcome_text(finding.expected, case)}",
            f"- actual: {outcome_text(finding.actual, case)}",
            "",
        ]
    )


def _voters(finding: Finding) -> str:
    if not finding.votes:
        return ""
    rows = [f"| {vote.who} | {vote.outcome} | {SIDES[vote.with_reference]} |" for vote in finding.votes]
    return "\n".join(["## Who stands against whom\n", "| who | outcome | side |", "|---|---|---|", *rows, ""])


def _suspects(finding: Finding) -> str:
    if not finding.suspects:
        return ""
    rules = "\n".join(f"- {rule}" for rule in finding.suspects)
    return f"## Suspects\n\nSelection and rewrite rules that fired here and not where the result is right:\n\n{rules}\n"


def _provenance(finding: Finding, name: str) -> str:
    seed = f"seed {finding.seed}, case {finding.number}" if finding.seed is not None else "a program given by hand"
    lines = [
        "## Replay\n",
        "```",
        f"liftcheck replay {name}",
        "```\n",
        f"- found by liftcheck {__version__} with `{finding.compiler}`: {seed}"
        + (f", profile {finding.profile}" if finding.profile else "")
        + (f", {finding.seconds:.0f} s into the campaign" if finding.seconds else ""),
        f"- seen on: {', '.join(finding.runners) or 'the compiler alone'}",
        *([f"- cause, for lists of known findings: `{cause}`"] if (cause := cause_key(finding)) else []),
    ]
    if finding.count > 1:
        lines.append(
            f"- {finding.count} findings are one here: equal ones, those with the same known cause, and programs that "
            "go wrong in this way and hold all of its opcodes"
        )
    if finding.original is not None:
        lines.append("- `original.clif` is the program before reduction; `finding.json` holds everything as data")
    return "\n".join(lines) + "\n"
