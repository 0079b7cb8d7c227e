"""The report of a campaign that its folder remembers: what it printed at its end, or would if it ended now.

The one idea: the journal is played to a docket that writes nothing. It changes nothing in the folder, and may be asked
beside a campaign that runs.
"""

from __future__ import annotations

import dataclasses

from liftcheck.campaign.findings.docket import Docket
from liftcheck.campaign.keep.journal import replay
from liftcheck.campaign.keep.kept import Kept
from liftcheck.campaign.keep.shelf import Shelf
from liftcheck.campaign.options import BATCH
from liftcheck.campaign.report.fuzz import FuzzReport


def recalled(held: Kept) -> FuzzReport:
    """The report of one campaign."""
    shelf = Shelf(held.folder, names=held.names, is_replaying=True)
    docket = Docket(shelf, held.options.cases is not None, lambda *_: None, lambda _: None)
    replay(docket, held.events, held.complete * BATCH)
    left = len(docket.waiting)
    docket.close()
    shelf.paths = {key: held.folder / name for key, name in held.names.items() if name and key in docket.known}
    return FuzzReport(
        dataclasses.replace(held.options, out=held.folder),
        shelf,
        held.compiler,
        held.tally(),
        sorted(docket.known.values(), key=lambda finding: finding.seconds),
        held.troubles(),
        held.deaths,
        held.seconds,
        left,
    )
