"""A worker's memory on huge pages: which pieces of it, and that nothing changes but where it lies."""

from __future__ import annotations

import mmap
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from liftcheck.campaign.execute import huge_pages
from liftcheck.campaign.execute.tasks import Answer, Task
from liftcheck.campaign.execute.worker import FuzzWorker

SIZE = 0x20_0000
MAPS = """\
558d00000000-558d00400000 rw-p 00000000 fe:00 18504                      /usr/bin/python3.11
558d01000000-558d01400000 rw-p 00000000 00:00 0                          [heap]
7f0000100000-7f0000700000 rw-p 00000000 00:00 0
7f0010000000-7f0010400000 r--p 00000000 00:00 0
7f0020000000-7f0020400000 rwxp 00000000 00:00 0
7f0030000000-7f0030400000 rw-s 00000000 00:01 1027                       /memfd:liftcheck-arena (deleted)
7f0040000000-7f00401ff000 rw-p 00000000 00:00 0
7ffc00000000-7ffc00400000 rw-p 00000000 00:00 0                          [stack]
"""


def test_whole_pieces_of_private_memory_without_a_file() -> None:
    assert list(huge_pages.heap(MAPS, SIZE)) == [
        range(0x558D0100_0000, 0x558D0140_0000, SIZE),
        range(0x7F00_0020_0000, 0x7F00_0060_0000, SIZE),
    ]


def entries(*there: bool) -> bytes:
    """What `pagemap` says of pages; of those that are not there, that they are swapped out."""
    return b"".join((1 << 63 if one else 1 << 62).to_bytes(8, "little") for one in there)


def test_pieces_of_which_half_is_there() -> None:
    full, half, less, none = [True] * 4, [True, False] * 2, [False, True, False, False], [False] * 4
    assert huge_pages.filled(entries(*none, *half, *less, *full), 4) == [1, 3]
    assert huge_pages.filled(entries(*less), 1) == []


def test_memory_stays_what_it_is() -> None:
    area = mmap.mmap(-1, 8 * SIZE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    pattern = bytes(range(251)) * (8 * SIZE // 251 + 1)
    area[:] = pattern[: 8 * SIZE]
    huge_pages.collapse()
    assert area[:] == pattern[: 8 * SIZE]


def with_setting(folder: Path, monkeypatch: pytest.MonkeyPatch, setting: str) -> list[object]:
    """A machine with this setting; the calls of madvise."""
    (folder / "enabled").write_text(setting)
    (folder / "hpage_pmd_size").write_text(f"{SIZE}\n")
    calls: list[object] = []

    class Library:
        def __init__(self, _name: None) -> None:
            self.madvise = Function(calls)

    monkeypatch.setattr(huge_pages, "_SETTING", folder)
    monkeypatch.setattr(huge_pages.ctypes, "CDLL", Library)
    return calls


class Function:
    """Stands for a function of the C library, whose `argtypes` can be set."""

    def __init__(self, calls: list[object]) -> None:
        self.calls = calls

    def __call__(self, *arguments: int) -> int:
        self.calls.append(arguments)
        return -1


def test_who_turned_huge_pages_off_is_obeyed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = with_setting(tmp_path, monkeypatch, "always madvise [never]\n")
    assert not huge_pages.collapse() and not calls


def test_a_kernel_that_refuses_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    area = mmap.mmap(-1, 8 * SIZE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    area[:] = b"x" * (8 * SIZE)
    calls = with_setting(tmp_path, monkeypatch, "always [madvise] never\n")
    assert huge_pages.collapse()
    assert len(calls) >= 7 and all(call[1:] == (SIZE, 25) for call in calls if isinstance(call, tuple))


def test_a_system_without_the_setting_is_not_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(huge_pages, "_SETTING", tmp_path / "none")
    assert not huge_pages.collapse()


def test_a_worker_asks_seldom(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    worker: Any = FuzzWorker.__new__(FuzzWorker)
    worker._batches, worker.baseline, worker.judge = 0, None, SimpleNamespace(deadline=0.0)
    worker._batch = lambda _task: Answer()
    monkeypatch.setattr(huge_pages, "collapse", lambda: asked.append(worker._batches))
    for number in range(1, 71):
        worker.do(Task("batch", number))
    assert asked == [8, 16, 32, 64]
