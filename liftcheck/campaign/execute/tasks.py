"""What a fuzz campaign asks of its workers and what they answer: plain data.

It imports no worker: who hands out tasks needs neither generators nor runners.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from math import inf
from typing import Final, Literal, NamedTuple

from liftcheck.campaign.findings.finding import Familiar, Finding
from liftcheck.campaign.options import Avoided
from liftcheck.oracles.tally import Tally

NO_TIME: Final = "mismatch at the end of the campaign: no time for its vote"
"""Why a mismatch is undecided that there was no time to vote on."""


class Task(NamedTuple):
    """Work for a worker. `kind` is 'batch' (batch `number`), 'case' (only case `case` of that batch) or 'reduce': a
    slice of `seconds` of reduction `ident`, which begins with the slice that brings its `finding`; 'state': the
    filetest of `finding`; 'forget': reduction `ident` is not wanted any more.

    until   the moment of the monotonic clock after which no program is run and no search goes on
    cold    the rules that are to be aimed at (`campaign.steering`)
    avoided (ISA, typing) that most programs are to do without (the same)
    known   findings that are known: what looks like one needs no vote, except for a sample
    apart   a case that workers died of: on runners alone that have processes of their own
    """

    kind: Literal["batch", "case", "reduce", "state", "forget"]
    number: int = 0
    case: int = 0
    finding: Finding | None = None
    ident: int = 0
    seconds: float = 0.0
    until: float = inf
    cold: bytes = b""
    avoided: Avoided = ()
    known: Familiar = Familiar()
    apart: bool = False


@dataclass(slots=True)
class Answer:
    """What came of a task. `alike`: key of a known finding -> mismatches that look like it and had no vote. `troubles`
    are (case name, text) of our own bugs; `more`: the reduction is not done; `longest`: seconds of its longest step."""

    tally: Tally = field(default_factory=Tally)
    findings: list[Finding] = field(default_factory=list)
    alike: Counter[str] = field(default_factory=Counter)
    troubles: list[tuple[str, str]] = field(default_factory=list)
    more: bool = False
    longest: float = 0.0
