"""A picture of a campaign's live display, as a terminal shows it: `docs/live-display.png`.

The campaign runs on a pseudo terminal; what stands on the screen after some seconds is drawn by a browser. Wants pyte
(`pip install pyte`) and Chromium, neither of which liftcheck needs.

    python ci/docs/live_display.py docs/live-display.png -- --isa riscv64 --isa s390x --time 40s
"""

from __future__ import annotations

import fcntl
import html
import os
import pty
import select
import struct
import subprocess
import sys
import tempfile
import termios
import time
from pathlib import Path

import pyte

COLUMNS, LINES = 110, 24
AFTER = 50.0
"""Seconds after which the screen is looked at."""
COLOURS = {"red": "#f87171", "green": "#4ade80", "blue": "#60a5fa", "cyan": "#22d3ee",
           "magenta": "#e879f9", "brown": "#facc15"}  # fmt: skip
PAGE = """<!doctype html><meta charset="utf-8"><style>body {{ margin: 0; background: #111827; color: #e5e7eb }}
pre {{ margin: 0; padding: 16px; font: 15px/20px "DejaVu Sans Mono", monospace }}</style><pre>{}</pre>"""


def watched(arguments: list[str]) -> pyte.Screen:
    """The screen of `liftcheck fuzz`, which is ended then."""
    screen = pyte.Screen(COLUMNS, LINES)
    stream = pyte.ByteStream(screen)
    pid, terminal = pty.fork()
    if pid == 0:
        os.execvp("liftcheck", ["liftcheck", "fuzz", *arguments])
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, COLUMNS, 0, 0))
    end = time.monotonic() + AFTER
    while (left := end - time.monotonic()) > 0:
        if select.select([terminal], [], [], left)[0]:
            stream.feed(os.read(terminal, 65536))
    os.write(terminal, b"\x03")
    os.close(terminal)
    return screen


def drawn(screen: pyte.Screen) -> str:
    """The screen as a page."""
    lines = []
    for row in range(LINES):
        cells = [screen.buffer[row][column] for column in range(COLUMNS)]
        lines.append("".join(_cell(cell) for cell in cells).rstrip())
    return PAGE.format("\n".join(lines).rstrip())


def _cell(cell: pyte.screens.Char) -> str:
    style = f"color:{COLOURS[cell.fg]};" if cell.fg in COLOURS else ""
    style += "font-weight:bold" if cell.bold else ""
    text = html.escape(cell.data)
    return f'<span style="{style}">{text}</span>' if style else text


def main() -> int:
    if len(sys.argv) < 2:
        print(__doc__)
        return 2
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "screen.html"
        page.write_text(drawn(watched([*sys.argv[3:], "--out", f"{folder}/campaign"])))
        size = f"--window-size={COLUMNS * 9 + 60},{LINES * 20 + 40}"
        command = ["chromium", "--headless", "--no-sandbox", "--hide-scrollbars", size, f"--screenshot={sys.argv[1]}"]
        subprocess.run([*command, page.as_uri()], check=True, capture_output=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
