"""Runs mypy --strict over the whole package.

The one idea: mypy looks for `liftcheck.oracles` below liftcheck/, but generators/ and oracles/ stand at the top level.
So it is shown a folder of links in which they stand where they are imported; paths in its answer are put back.

    python ci/typecheck.py [FILE …]         # all of it, or only complaints about these files
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
CACHE: Final = ROOT / ".mypy_cache"
MOVED: Final = ("generators", "oracles")


def link_farm(folder: Path) -> None:
    """`folder`/liftcheck as it looks to an importer."""
    package = folder / "liftcheck"
    package.mkdir()
    for entry in (*(ROOT / "liftcheck").iterdir(), *(ROOT / name for name in MOVED)):
        if entry.name != "__pycache__":
            (package / entry.name).symlink_to(entry)


def check(folder: Path) -> tuple[int, list[str]]:
    """mypy's exit code and its lines, with the paths of the tree."""
    command = [sys.executable, "-m", "mypy", "--config-file", str(ROOT / "pyproject.toml"), "--cache-dir", str(CACHE),
               "--no-error-summary", "-p", "liftcheck"]
    done = subprocess.run(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    text = done.stdout
    for name in MOVED:
        text = text.replace(f"liftcheck/{name}/", f"{name}/")
    return done.returncode, text.splitlines()


def main(argv: list[str]) -> int:
    """Prints the complaints; 1 if there are any (about the files named, if files are named)."""
    with tempfile.TemporaryDirectory() as folder:
        link_farm(Path(folder))
        code, lines = check(Path(folder))
    if argv:
        wanted = tuple(str(Path(word).resolve().relative_to(ROOT)) for word in argv)
        lines = [line for line in lines if line.startswith(wanted)]
        code = int(bool(lines))
    print("\n".join(lines) if lines else "the types hold")
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
