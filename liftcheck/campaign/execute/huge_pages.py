"""Puts a worker's memory on huge pages.

The one idea: what a worker keeps (tables, the interpreter's recipes, patterns of rules) are 200 MB that it reads here
and there. With pages of 4 KiB such reads miss the processor's TLB, and a virtual machine then walks two page tables.
The kernel makes huge pages of memory that is there already when it is asked to (`MADV_COLLAPSE`): a fifteenth of this
process's time, and nothing of how memory is allocated need change. Pieces that are less than half full stay as they
are, so a process does not grow.

It does nothing where there is no such call (before Linux 6.1, on other systems) or where huge pages are turned off
('never'). Memory that is shared with another process by a fork would be copied: only a worker that was started anew
asks. Files that are mapped, code among them, stay as they are.
Sources: madvise(2); Linux, admin-guide/mm/transhuge.
"""

from __future__ import annotations

import ctypes
import mmap
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

_SETTING: Final = Path("/sys/kernel/mm/transparent_hugepage")
_MAPS, _PAGES = Path("/proc/self/maps"), Path("/proc/self/pagemap")
_COLLAPSE: Final = 25
_ENTRY: Final = 8
"""Bytes of `pagemap` about one page; the highest bit of the last says whether it is there."""
_ABSENT: Final = bytes(range(0x80))


def heap(maps: str, size: int) -> Iterator[range]:
    """Addresses of whole pieces of `size` bytes in private memory of a process; `maps` is as in /proc/PID/maps."""
    for line in maps.splitlines():
        place, rights, *rest = line.split()
        if rights == "rw-p" and (len(rest) == 3 or rest[3:] == ["[heap]"]):
            start, _, end = place.partition("-")
            first, last = -(-int(start, 16) // size) * size, int(end, 16) // size * size
            if first < last:
                yield range(first, last, size)


def filled(pages: bytes, pieces: int) -> list[int]:
    """The numbers of the pieces of which at least half is there; `pages` is their part of /proc/PID/pagemap."""
    there, step = pages[_ENTRY - 1 :: _ENTRY], len(pages) // _ENTRY // pieces
    return [at for at in range(pieces) if 2 * len(there[at * step : at * step + step].translate(None, _ABSENT)) >= step]


def collapse() -> bool:
    """Makes huge pages of this process's memory, as far as it is there and the kernel can; False if it is not asked."""
    try:
        if not sys.platform.startswith("linux") or "[never]" in (_SETTING / "enabled").read_text():
            return False
        size = int((_SETTING / "hpage_pmd_size").read_text())
        madvise = ctypes.CDLL(None).madvise
        madvise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
        with _PAGES.open("rb") as pages:
            for pieces in heap(_MAPS.read_text(), size):
                pages.seek(pieces.start // mmap.PAGESIZE * _ENTRY)
                found = pages.read(len(pieces) * size // mmap.PAGESIZE * _ENTRY)
                for number in filled(found, len(pieces)):
                    madvise(pieces[number], size, _COLLAPSE)  # what cannot be one stays as it is
    except (OSError, ValueError, AttributeError):
        return False
    return True
