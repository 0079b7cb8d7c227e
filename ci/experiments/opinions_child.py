"""The process that an opinion is asked in: `python opinions_child.py LIBRARY`, requests and answers pickled.

The one idea: a library may end the process, so there is one apart from the one that asks. First comes a `Layout`,
then a `Request` for each instruction; an `Answer` for each.
"""

from __future__ import annotations

import pickle
import signal
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Any, Final

from opinions_state import After, Answer, Cell, Elsewhere, Layout, Open, Request, Unknown

SECONDS: Final = 4
"""Of processor time for an instruction on all of its states."""


def answer(library: Any, layout: Layout, places: Sequence[Cell], request: Request) -> Answer:
    """What the library says of an instruction on each state."""
    found: list[bytes | str] = []
    try:
        computed = library.Computed(layout, places, request.data, request.pc)
        for number, record in enumerate(request.records):
            try:
                after = computed.run(record, request.address + len(record) * number)
                found.append(_record(layout, places, request, record, after))
            except Open as left_open:
                found.append(str(left_open))
            except Elsewhere as elsewhere:
                found.append(f"!{elsewhere}")
    except Unknown as unknown:
        return Answer(str(unknown), ())
    return Answer("", found)


def _record(layout: Layout, places: Sequence[Cell], request: Request, record: bytes, after: After) -> bytes:
    made, (start, size) = bytearray(record), layout.window
    made[start : start + size] = after.memory.data
    for cell, value in zip(places, after.values):
        made[cell.record : cell.record + cell.size] = value.to_bytes(cell.size, layout.order)
    taken = {request.pc + len(request.data): 0, request.pc + request.taken: 1}.get(after.goal, 2)
    made[layout.taken : layout.taken + 8] = taken.to_bytes(8, layout.order)
    return bytes(made)


def main() -> None:
    """Answers until the input ends."""
    library = import_module(f"opinions_{sys.argv[1]}")
    source, sink = sys.stdin.buffer, sys.stdout.buffer
    layout: Layout | None = None
    places: Sequence[Cell] = ()
    while True:
        try:
            asked = pickle.load(source)
        except EOFError:
            return
        if isinstance(asked, Layout):
            layout, places = asked, library.cells(asked)
            continue
        assert layout is not None
        signal.setitimer(signal.ITIMER_PROF, SECONDS)  # ends the process: a library may not come back
        found = answer(library, layout, places, asked)
        signal.setitimer(signal.ITIMER_PROF, 0)
        pickle.dump(found, sink)
        sink.flush()


if __name__ == "__main__":
    main()
