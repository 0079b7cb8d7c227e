"""Results as JUnit XML, which Jenkins, GitLab and most others read.

The one idea: an entry is a test case, and its suite is the ISA or the file. What is known, undecided or refused is
skipped with its reason, a failure of liftcheck itself is an error. Test cases keep their names from run to run, so that
a server can tell new failures from old ones. Characters that XML cannot have are written as escapes.
Sources: the schema of Jenkins' xunit plugin, GitLab's documentation of unit test reports.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping
from typing import Final

from junitparser import Attr, Error, Failure, IntAttr, JUnitXml, Skipped, TestCase, TestSuite

from liftcheck.campaign.report.entries import Entry, Results

_ILLEGAL: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_RESULTS: Final[Mapping[str, type[Failure] | type[Skipped] | type[Error]]] = {
    "failed": Failure,
    "known": Skipped,
    "undecided": Skipped,
    "skipped": Skipped,
    "broken": Error,
}


class _Located(TestCase):  # type: ignore[misc]  # not typed
    """A test case that says where it stands; GitLab shows it."""

    file = Attr()
    line = IntAttr()


def text(found: Results) -> str:
    """The whole file."""
    document = JUnitXml(legal(f"liftcheck {found.command} {found.compiler}".rstrip()))
    suites: dict[str, TestSuite] = {}
    for entry in found.entries:
        suite = suites.setdefault(entry.suite, TestSuite(legal(entry.suite)))
        suite.add_testcase(_case(found.command, entry))
    for suite in suites.values():
        document.add_testsuite(suite)
    totals = TestSuite(f"liftcheck {found.command}")
    totals.time = found.seconds
    for name, number in (("headline", found.headline), ("version", found.version), *found.totals.items()):
        totals.add_property(name, legal(str(number)))
    document.add_testsuite(totals)
    document.update_statistics()
    totals.time = document.time = found.seconds
    ElementTree.indent(document._elem)
    made: bytes = document.tostring()
    return made.decode("utf-8") + "\n"


def _case(command: str, entry: Entry) -> TestCase:
    case = _Located(legal(entry.name), classname=legal(f"liftcheck.{command}.{entry.suite}"), time=0.0)
    if entry.places:
        place = entry.places[0]
        case.file = legal(place.file)
        if place.line:
            case.line = place.line
    if entry.state in _RESULTS:
        result = _RESULTS[entry.state](legal(entry.title), legal(entry.rule))
        result.text = legal("\n\n".join(filter(None, [entry.text, entry.program])))
        case.result = [result]
    else:
        case.system_out = legal(entry.title)
    return case


def legal(content: str) -> str:
    """The text without what XML 1.0 cannot have."""
    return _ILLEGAL.sub(lambda found: found[0].encode("unicode_escape").decode("ascii"), content)
