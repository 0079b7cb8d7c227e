"""Drives cargo: finds the toolchain, resolves, builds with visible progress, and says what went wrong in its own words.

It knows nothing of caches (`builds.py`) or of what is built (`sources.py`).
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final

from liftcheck.compilers.cranelift import shim
from liftcheck.compilers.cranelift.sources import Source
from liftcheck.errors import Unavailable, UsageError

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress

RUSTUP: Final = "curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh"
SOON: Final = 3.0
"""Seconds that a question to crates.io may take which nothing depends on."""
_OFFLINE: Final = ("failed to download", "Could not resolve", "network failure", "failed to query", "spurious network",
                   "failed to fetch", "download of config.json failed", "Unable to update registry")  # fmt: skip


class Report:
    """Tells a person on standard error how a build goes: a bar on a terminal, a line now and then elsewhere."""

    def __init__(self, console: Console | None = None) -> None:
        # Starting rich takes longer than opening a bridge that is built.
        from rich.console import Console

        self.console: Final = console or Console(file=sys.stderr)
        self._bar: Progress | None = None
        self._said = 0

    def say(self, text: str) -> None:
        self.console.print(text, highlight=False, markup=False, soft_wrap=True)

    def begin(self, label: str, total: int) -> None:
        """`total` is the number of crates to build."""
        self.say(f"building {label}: {total} crates, about three minutes, once")
        if self.console.is_terminal:
            from rich.progress import (
                BarColumn,
                MofNCompleteColumn,
                Progress,
                SpinnerColumn,
                TextColumn,
                TimeElapsedColumn,
            )

            columns = (
                SpinnerColumn(),
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn("crates"),
                TimeElapsedColumn(),
            )
            self._bar = Progress(*columns, console=self.console, transient=True)
            self._bar.add_task(label, total=total)
            self._bar.start()

    def step(self, done: int, total: int, crate: str) -> None:
        """`done` crates are begun, the last of them `crate`."""
        if self._bar is not None:
            self._bar.update(self._bar.task_ids[0], completed=min(done, total), description=crate)
        elif 4 * done // total > self._said:
            self._said = 4 * done // total
            self.say(f"  {done}/{total} crates ({crate})")

    def end(self) -> None:
        if self._bar is not None:
            self._bar.stop()
        self._bar, self._said = None, 0


def rustc_version() -> str | None:
    """'1.95.0', or None without a toolchain on the PATH."""
    path = shutil.which("rustc")
    return _rustc_version(path) if path and shutil.which("cargo") else None


@cache
def _rustc_version(path: str) -> str | None:
    done = subprocess.run([path, "--version"], capture_output=True, text=True)
    found = re.match(r"rustc (\S+)", done.stdout)
    return found.group(1) if found else None


def require() -> str:
    """The toolchain's version; Unavailable with the command that installs what is missing."""
    for tool in ("cargo", "rustc"):
        if shutil.which(tool) is None:
            raise Unavailable(f"Cranelift is not built yet and {tool} is not on the PATH; install Rust: {RUSTUP}")
    if not any(shutil.which(tool) for tool in ("cc", "gcc", "clang", os.environ.get("CC", "cc"))):
        raise Unavailable("building Cranelift wants a C compiler and linker: apt-get install gcc")
    version = rustc_version()
    if version is None:
        raise Unavailable("rustc is on the PATH but does not say its version; repair it: rustup default stable")
    return version


def published_wants(version: str) -> tuple[int, ...] | None:
    """The rustc that cranelift-codegen `version` wants; None if crates.io has no such version."""
    facts = _published(version)
    found = re.search(r"rust-version: (\d+)\.(\d+)", facts)
    return (int(found.group(1)), int(found.group(2))) if found else (1, 0) if facts else None


def newest_published(minor: str) -> str | None:
    """The newest version on crates.io that begins like '0.129'; None if there is none."""
    found = re.search(r"^version: (\d+\.\d+\.\d+)", _published(minor), re.MULTILINE)
    return found.group(1) if found else None


def latest_published() -> str | None:
    """The newest version on crates.io, whatever rustc it wants; None if that cannot be told within seconds."""
    command = ["cargo", "info", "--color=never", "cranelift-codegen"]
    try:
        done = subprocess.run(command, cwd="/", capture_output=True, text=True, env=_environment(), timeout=SOON)
    except (OSError, subprocess.TimeoutExpired):
        return None
    found = re.search(r"^version: (\S+)(?: \(latest (\S+)\))?", done.stdout, re.MULTILINE)
    return (found.group(2) or found.group(1)) if found else None


@cache
def _published(version: str) -> str:
    """What cargo knows of a version on crates.io, or of the newest that it begins; '' if there is none."""
    done = _run(["cargo", "info", "--color=never", f"cranelift-codegen@{version}"], Path("/"))
    if done.returncode:
        _complain_if_offline(done.stderr)
        return ""
    return done.stdout


def _run(command: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, env=_environment())


def _environment() -> dict[str, str]:
    """Ours, but the target folder is inside the project, and old toolchains get dependencies that they can build."""
    return os.environ | {
        "CARGO_TARGET_DIR": "target",
        "CARGO_RESOLVER_INCOMPATIBLE_RUST_VERSIONS": "fallback",
        "CARGO_TERM_COLOR": "never",
        "CARGO_TERM_PROGRESS_WHEN": "never",
    }


def _complain_if_offline(words: str) -> None:
    if any(sign in words for sign in _OFFLINE):
        raise Unavailable(f"cargo cannot reach crates.io, which a first build needs: {_last(words)}")


def _last(words: str) -> str:
    lines = [line.strip() for line in words.strip().splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith(("error", "Caused by"))] + lines[-2:]
    return " ".join(dict.fromkeys(errors))[:600]


def build(project: Path, source: Source, report: Report, label: str, with_shim: bool = False) -> None:
    """Resolves and builds the project, in its own folder `target`."""
    _resolve(project, source)
    if with_shim:
        _install_shim(project, source)
    total = _crates(project)
    report.begin(label, total)
    try:
        words, status = _compile(project, total, report)
    finally:
        report.end()
    if status:
        _complain_if_offline(words)
        kind = UsageError if source.path is not None else Unavailable
        raise kind(f"{label} does not build:\n{_errors(words)}")


def _resolve(project: Path, source: Source) -> None:
    """Writes Cargo.lock. Every Cranelift crate gets the same version, though their requirements allow later ones."""
    if source.path is None and (project / "Cargo.lock").exists():
        return
    done = _run(["cargo", "update", "--workspace"], project)
    if done.returncode:
        _complain_if_offline(done.stderr)
        raise Unavailable(f"cargo cannot resolve {source.spec}: {_last(done.stderr)}")
    if not source.checkout:
        _pin(project, source.version)


def _install_shim(project: Path, source: Source) -> None:
    done = _run(["cargo", "metadata", "--format-version", "1", "--locked"], project)
    if done.returncode:
        _complain_if_offline(done.stderr)
        raise Unavailable(f"cargo cannot fetch {source.spec}: {_last(done.stderr)}")
    shim.install(project, done.stdout)
    done = _run(["cargo", "update", "--workspace", "--offline"], project)
    if done.returncode:
        raise Unavailable(f"cargo cannot resolve {source.spec} with the shim: {_last(done.stderr)}")


def _pin(project: Path, version: str) -> None:
    """A crate can only go back once those that want it newer did: so several rounds, until nothing changes."""
    lock = project / "Cargo.lock"
    before = ""
    while before != (before := lock.read_text()):
        for name, locked in re.findall(r'name = "(cranelift-[\w-]+)"\nversion = "([^"]+)"', before):
            if locked != version:
                # Not every crate was published with every version: then the resolved one stays.
                _run(["cargo", "update", "-p", f"{name}@{locked}", "--precise", version], project)


def _crates(project: Path) -> int:
    done = _run(["cargo", "tree", "--prefix", "none", "-e", "normal,build", "--locked"], project)
    return len({line.split(" (")[0] for line in done.stdout.splitlines() if line.strip()}) or 1


def _compile(project: Path, total: int, report: Report) -> tuple[str, int]:
    """All of cargo's words, and its exit status."""
    process = subprocess.Popen(
        ["cargo", "build", "--release", "--locked", "--ignore-rust-version"],
        cwd=project,
        env=_environment(),
        text=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    assert process.stderr is not None
    try:
        words = _follow(process.stderr, total, report)
        return words, process.wait()
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait()


def _follow(stream: IO[str], total: int, report: Report) -> str:
    lines, done = [], 0
    for line in stream:
        lines.append(line)
        found = re.match(r"\s*Compiling (\S+) v", line)
        if found:
            done += 1
            report.step(done, total, found.group(1))
    return "".join(lines)


def _errors(words: str) -> str:
    """From cargo's first error on, as far as a person reads."""
    lines = [line for line in words.splitlines() if not re.match(r"\s*(Compiling|Downloaded|Downloading) ", line)]
    first = next((number for number, line in enumerate(lines) if line.startswith("error")), max(0, len(lines) - 15))
    return "\n".join(lines[first : first + 25])
