"""The sources that a checkout is compared with: those of another commit, taken out of git into the cache folder.

The one idea: a commit never changes, so its files are taken out once and are a compiler like any other
(`cranelift=FOLDER`). What is in the working tree and not committed is a part of what is verified.
"""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import tarfile
from pathlib import Path
from typing import Final

from liftcheck.compilers.base import cache_folder
from liftcheck.compilers.cranelift.sources import at_path
from liftcheck.errors import Unavailable, UsageError

_FOLDER: Final = "bases"
_USUAL: Final = ("origin/HEAD", "origin/main", "main", "master")


def base(spec: str, revision: str) -> str:
    """What opens the compiler of a commit ('cranelift=FOLDER'), for the sources that `spec` names ('cranelift=PATH').
    Without a `revision`: where this branch left the main one; on that one itself, the last commit. UsageError if the
    path is in no repository, or has no such commit."""
    path = at_path(spec.partition("=")[2]).path
    assert path is not None
    root = Path(_git(path, "rev-parse", "--show-toplevel"))
    commit = _git(root, "rev-parse", "--verify", f"{revision}^{{commit}}") if revision else _left(root)
    inside = path.resolve().relative_to(root.resolve())
    folder = (
        cache_folder() / _FOLDER / commit[:20] / ("all" if inside == Path() else inside.as_posix().replace("/", "_"))
    )
    if not folder.is_dir():
        _taken_out(root, commit, inside, folder)
    return f"cranelift={folder / inside}"


def _left(root: Path) -> str:
    """The commit that a branch is compared with."""
    here = _git(root, "rev-parse", "--verify", "HEAD^{commit}")
    for name in _USUAL:
        try:
            return _git(root, "merge-base", "HEAD", name)
        except UsageError:
            continue
    return here


def _git(folder: Path, *words: str) -> str:
    try:
        done = subprocess.run(["git", "-C", str(folder), *words], capture_output=True, text=True, check=False)
    except OSError as error:
        raise Unavailable(f"git cannot be run: {error.strerror or error}") from None
    if done.returncode:
        raise UsageError(f"git {words[0]} in {folder}: {(done.stderr.strip().splitlines() or ['it failed'])[-1]}")
    return done.stdout.strip()


def _taken_out(root: Path, commit: str, inside: Path, folder: Path) -> None:
    """Writes a commit's files below `inside` into a folder, whole or not at all."""
    command = ["git", "-C", str(root), "archive", "--format=tar", commit, "--", inside.as_posix()]
    done = subprocess.run(command, capture_output=True, check=False)
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip()
        raise UsageError(f"commit {commit[:12]} has no {inside}: {said}")
    draft = folder.with_name(f".{folder.name}.{os.getpid()}.new")
    try:
        draft.mkdir(parents=True)
        with tarfile.open(fileobj=io.BytesIO(done.stdout)) as files:
            files.extractall(draft, filter="data")
        draft.rename(folder)
    except OSError as error:
        raise Unavailable(f"{draft} cannot be written: {error.strerror or error}") from None
    finally:
        shutil.rmtree(draft, ignore_errors=True)
