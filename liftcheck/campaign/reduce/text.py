"""Makes a file's text small while somebody finds it interesting: for what is not a disagreement between runs.

The one idea: the question is about a text, so it may be anything: a reader that refuses it, a command of the user's. A
file that is a well-formed program is reduced by the engine, as ever, and each candidate is asked in print, with the
file's own header and, if it is not interesting without, its run lines. Any other is only cut by lines.
`fewer` cuts whatever comes in a list: lines of the header, run lines, lines of a text.
Sources: Zeller and Hildebrandt, "Simplifying and Isolating Failure-Inducing Input" (fewer).
"""

from __future__ import annotations

import dataclasses
from collections import deque
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple, Protocol, TypeVar

from liftcheck.campaign.reduce.answers import ALONE, Answers, Panel
from liftcheck.campaign.reduce.engine import Meter, reduce_case
from liftcheck.case import Case
from liftcheck.clif.ir import Module
from liftcheck.clif.text.filetest import FileTest
from liftcheck.clif.text.parser import parse_filetest
from liftcheck.clif.text.printer import print_function
from liftcheck.clif.verify import verify
from liftcheck.errors import InputError

TextQuestion = Callable[[str], str]
"""'' if a text is still interesting, else why not."""
BORING: Final = "are not interesting"
_HEADER: Final = ("test ", "set ", "target ", "feature ")
_T = TypeVar("_T")


class _Asked(Protocol):
    """Asks the question of what becomes a text."""

    def __call__(self, make: Callable[[_T], str], /) -> Answers[_T]: ...


class Shrunk(NamedTuple):
    """`text` is the smallest found; `by_lines` says why the engine could not be used, or ''; `complete` as for
    `Reduced`."""

    text: str
    complete: bool
    by_lines: str = ""
    refused: Mapping[str, int] = {}


@dataclass(frozen=True, slots=True)
class Draft:
    """A file in parts. `notes`: name of a function -> its run lines."""

    header: tuple[str, ...]
    module: Module
    notes: Mapping[str, tuple[str, ...]]

    def text(self) -> str:
        """The file."""
        parts = [
            "\n".join([print_function(function).rstrip("\n"), *self.notes.get(function.name, ())])
            for function in self.module.functions
        ]
        head = "\n".join(self.header)
        return (head + "\n\n" if head else "") + "\n\n".join(parts) + "\n"


def fewer(items: Sequence[_T], answers: Answers[list[_T]], meter: Meter) -> Generator[None, None, list[_T]]:
    """As few of the items as `answers` allow, in steps: parts are left out, from halves down to single ones."""
    kept, level = list(items), _Level(max(1, len(items) // 2))
    while True:
        levels: deque[_Level] = deque()
        good: _Level | None = None
        for answer in answers(_shorter(kept, level, meter, levels)):
            if answer is not None:
                meter.charge()
                level = levels.popleft()
                if not answer[1]:
                    kept, good = answer[0], level
                yield from meter.pause()
        if good is None:
            return kept
        level = good._replace(helped=True)


class _Level(NamedTuple):
    """Parts of `length` items are left out, from `at` on; whether one of them was."""

    length: int
    at: int = 0
    helped: bool = False


def _shorter(items: list[_T], level: _Level, meter: Meter, levels: deque[_Level]) -> Iterator[list[_T]]:
    """The items without a part, part by part from a level on, as long as that does not help; `levels` gets where.
    Single items are tried again after others have gone."""
    length, at, helped = level
    while items:
        for start in range(at, len(items), length):
            if meter.over(ahead=len(levels)):
                return
            levels.append(_Level(length, start, helped))
            yield items[:start] + items[start + length :]
        if length == 1 and not helped:
            return
        length, at, helped = max(1, length // 2), 0, False


def shrink(
    text: str, question: TextQuestion, meter: Meter, file: str = "", panel: Panel = ALONE
) -> Generator[None, None, Shrunk]:
    """The smallest text found that is as interesting as `text`, in steps. There must be no objection to `text`.
    `panel`: who asks it of candidates."""

    def asked(make: Callable[[_T], str]) -> Answers[_T]:
        return panel.answers(lambda candidate: question(make(candidate)), make)

    try:
        test = parse_filetest(text, file)
    except InputError as error:
        return (yield from _by_lines(text, asked, meter, f"it is not read: {error.diagnostics[0].message}"))
    draft = _draft(test)
    if not draft.module.functions:
        return (yield from _by_lines(text, asked, meter, "there is no function in it"))
    wrong = verify(draft.module)
    if wrong:
        return (yield from _by_lines(text, asked, meter, f"it is ill-formed: {wrong[0].message}"))
    objection = question(draft.text())
    bare = dataclasses.replace(draft, notes={})
    if draft.notes and not question(bare.text()):
        draft, objection = bare, ""
    yield from meter.pause()
    if objection:
        return (yield from _by_lines(text, asked, meter, f"liftcheck's own print of it {objection}"))
    return (yield from _by_engine(draft, asked, meter))


def _draft(test: FileTest) -> Draft:
    first = min((function.line for function in test.functions), default=len(test.source) + 1)
    header = tuple(line for line in test.source[: first - 1] if line.startswith(_HEADER))
    notes = {
        function.name: tuple(text for _, text in function.annotations)
        for function in test.functions
        if function.function is not None and function.annotations
    }
    return Draft(header, test.module(), notes)


def _by_lines(text: str, asked: _Asked, meter: Meter, why: str) -> Generator[None, None, Shrunk]:
    lines = yield from fewer(text.splitlines(keepends=True), asked("".join), meter)
    return Shrunk("".join(lines), not meter.over(), why)


def _by_engine(draft: Draft, asked: _Asked, meter: Meter) -> Generator[None, None, Shrunk]:
    """Run lines first, since they hold signatures fast; then programs; then the header."""
    pairs = [(name, line) for name, lines in draft.notes.items() for line in lines]

    def with_notes(kept: Sequence[tuple[str, str]]) -> Draft:
        notes: dict[str, tuple[str, ...]] = {}
        for name, line in kept:
            notes[name] = (*notes.get(name, ()), line)
        return dataclasses.replace(draft, notes=notes)

    draft = with_notes((yield from fewer(pairs, asked(lambda kept: with_notes(kept).text()), meter)))

    def in_print(case: Case) -> str:
        return dataclasses.replace(draft, module=case.module).text()

    start = Case(draft.module, len(draft.module.functions) - 1, ())
    done = yield from reduce_case(start, asked(in_print), lambda _case: None, meter)
    draft = dataclasses.replace(draft, module=done.case.module)

    def with_header(lines: Sequence[str]) -> Draft:
        return dataclasses.replace(draft, header=tuple(lines))

    header = yield from fewer(draft.header, asked(lambda lines: with_header(lines).text()), meter)
    return Shrunk(with_header(header).text(), done.complete, "", done.refused)
