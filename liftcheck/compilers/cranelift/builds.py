"""Bridges that are built: list, add, remove, ensure. Built by cargo on first use, kept in the user's cache folder.

The one idea: a build is a folder named by its key, made elsewhere and moved into place when finished; so it is there or
not, whatever is killed when. One process builds at a time; the others wait and then find it.
Where: `bridges/VERSION-PROFILE-KEY` in `base.cache_folder()`.
"""

from __future__ import annotations

import contextlib
import difflib
import fcntl
import json
import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from liftcheck.compilers.base import cache_folder
from liftcheck.compilers.cranelift import cargo, sources
from liftcheck.compilers.cranelift.cargo import Report
from liftcheck.compilers.cranelift.sources import FUZZ, PROFILES, REGALLOC, RELEASE, Source, numbers
from liftcheck.errors import Unavailable, UsageError

__all__ = ["FUZZ", "PROFILES", "REGALLOC", "RELEASE", "Build", "add", "available", "cache", "ensure", "listed",
           "newer_published", "newest", "numbers", "remove", "source_of", "why_newest"]  # fmt: skip

BINARY: Final = "liftcheck-bridge"
PIN: Final = "LIFTCHECK_CRANELIFT"
"""The environment variable that says which version plain 'cranelift' means."""


@dataclass(frozen=True, slots=True)
class Build:
    """One finished bridge. `spec` opens it again; `seconds` is what building took."""

    spec: str
    version: str
    profile: str
    key: str
    seconds: float
    rustc: str
    folder: Path

    @property
    def name(self) -> str:
        return self.spec if self.profile == FUZZ else f"{self.spec} ({self.profile})"

    @property
    def binary(self) -> Path:
        return self.folder / BINARY

    @property
    def size(self) -> int:
        """Bytes on disk."""
        return sum(path.stat().st_size for path in self.folder.iterdir())


def cache() -> Path:
    """The folder of all builds."""
    return cache_folder() / "bridges"


def listed() -> list[Build]:
    """Every build there is, by version."""
    found = [build for build in map(_read, cache().glob("*/build.json")) if build is not None]
    return sorted(found, key=lambda build: (numbers(build.version), build.spec, build.profile))


def _read(record: Path) -> Build | None:
    """None for a record that an older liftcheck wrote or that lost its binary: it counts as not built."""
    try:
        build = Build(**json.loads(record.read_text()), folder=record.parent)
    except (OSError, TypeError, ValueError):
        return None
    return build if build.binary.exists() else None


def available() -> list[str]:
    """Versions that can be asked for here, newest first; those in `sources.KNOWN` that this toolchain builds."""
    rustc = cargo.rustc_version()
    usable = [v for v, wants in sources.KNOWN.items() if rustc is None or wants <= numbers(rustc)]
    return sorted(usable, key=numbers, reverse=True)


def newest() -> str:
    """The version that plain 'cranelift' means: the newest known one that this toolchain builds, or the one pinned."""
    if pinned := os.environ.get(PIN):
        return source_of(f"cranelift@{pinned}").version
    if cargo.rustc_version() is None:
        built = [build.version for build in listed() if build.spec == f"cranelift@{build.version}"]
        return max(built, key=numbers) if built else max(sources.KNOWN, key=numbers)
    versions = available()
    if not versions:
        raise Unavailable(f"rustc {cargo.rustc_version()} is too old for every known Cranelift: rustup update stable")
    return versions[0]


def lacking() -> str:
    """What must be installed before plain 'cranelift' means anything here; '' if nothing: it is built, or can be."""
    if os.environ.get(PIN) or cargo.rustc_version() is not None:
        return ""
    return "" if any(build.spec.startswith("cranelift@") for build in listed()) else f"Rust: {cargo.RUSTUP}"


def why_newest() -> str:
    """Why plain 'cranelift' means that version and no newer one, as far as this machine knows without asking."""
    if os.environ.get(PIN):
        return f"{PIN} says so"
    rustc, best = cargo.rustc_version(), max(sources.KNOWN, key=numbers)
    if rustc is None:
        return "the newest that is built here: no Rust toolchain" if listed() else "no Rust toolchain yet"
    chosen = newest()
    if chosen != best:
        after = min((v for v in sources.KNOWN if numbers(v) > numbers(chosen)), key=numbers)
        wants = ".".join(map(str, sources.KNOWN[after]))
        return f"{after} and newer want rustc {wants}, here is {rustc}: rustup update stable"
    stated = sources.STATED.get(chosen)
    if stated is not None and stated > numbers(rustc):
        return f"its manifest wants rustc {'.'.join(map(str, stated))}, yet {rustc} builds it"
    return "the newest that this liftcheck knows"


def newer_published() -> str:
    """The newest version on crates.io if it is newer than all that are known here, else ''. Asks crates.io; '' if that
    cannot be reached soon."""
    found = cargo.latest_published() if cargo.rustc_version() else None
    return found if found and numbers(found) > max(map(numbers, sources.KNOWN)) else ""


def source_of(spec: str) -> Source:
    """'cranelift' or 'cranelift@latest', 'cranelift@0.130.0', 'cranelift@0.130' (its newest patch) or 'cranelift=PATH'
    as a source; UsageError for anything else."""
    if spec in ("cranelift", "cranelift@latest"):
        return sources.published(newest())
    if spec.startswith("cranelift="):
        return sources.at_path(spec.removeprefix("cranelift="))
    if spec.startswith("cranelift@"):
        version = spec.removeprefix("cranelift@")
        return sources.published(_newest_patch(version) if re.fullmatch(r"\d+\.\d+", version) else version)
    hint = f"; did you mean cranelift@{spec.rpartition('@')[2]}?" if re.search(r"(^|@)\d+\.\d+[\d.]*$", spec) else ""
    raise UsageError(f"'{spec}' is not a Cranelift{hint}: say cranelift, cranelift@VERSION or cranelift=PATH")


def _newest_patch(minor: str) -> str:
    """The newest known version of '0.130'; of a minor number that none is known of, what is built or published."""
    found = sources.newest_patch(minor, sources.KNOWN) or sources.newest_patch(
        minor, [build.version for build in listed() if build.spec == f"cranelift@{build.version}"]
    )
    if found is None and numbers(minor) >= sources.OLDEST:
        cargo.require()
        found = cargo.newest_published(minor)
    if found is None:
        raise UsageError(f"there is no cranelift {minor} that the bridge reads (0.95 and newer); {sources.known()}")
    return found


def find(spec: str, profile: str = FUZZ) -> Build | None:
    """The build that `spec` means now, if it is there. Without a toolchain any build of that version will do."""
    source, rustc = source_of(spec), cargo.rustc_version()
    if rustc is None and source.path is None:
        same = [b for b in listed() if (b.spec, b.profile) == (source.spec, profile)]
        return same[-1] if same else None
    return _find(source, profile, rustc or "")


def _find(source: Source, profile: str, rustc: str) -> Build | None:
    key = sources.key(source, profile, rustc)
    return _read(cache() / f"{source.version}-{profile}-{key}" / "build.json")


def ensure(spec: str, profile: str = FUZZ, report: Report | None = None) -> Build:
    """The build that `spec` means, made now if it is not there (about three minutes)."""
    if profile not in PROFILES:
        raise UsageError(f"no build profile '{profile}'; there is {', '.join(PROFILES)}")
    found = find(spec, profile)
    if found is not None:
        return found
    source, report = source_of(spec), report or Report()
    rustc = cargo.require()
    try:
        _check_version(source, rustc, report)
        with _only_one(report):
            return _find(source, profile, rustc) or _make(source, profile, rustc, report)
    except Unavailable as error:
        others = [build.spec for build in listed() if build.profile == profile and build == find(build.spec, profile)]
        if not others:
            raise
        raise Unavailable(f"{error}\nready here: --compiler {' or '.join(others)}") from error


add = ensure


def remove(spec: str) -> list[Build]:
    """Deletes every build of `spec`, all profiles and states of a path; UsageError if there is none."""
    wanted = f"cranelift={Path(spec.partition('=')[2]).expanduser().resolve()}" if "=" in spec else spec
    built = listed()
    gone = [build for build in built if build.spec == wanted]
    if not gone:
        specs = list(dict.fromkeys(build.spec for build in built))
        near = difflib.get_close_matches(spec, specs, 1, 0.5)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise UsageError(f"'{spec}' is not built{hint}; built: {', '.join(specs) or 'nothing'}")
    for build in gone:
        shutil.rmtree(build.folder)
    return gone


def _check_version(source: Source, rustc: str, report: Report) -> None:
    """Versions that do not exist and toolchains that are known to be too old are told at once, not after a minute of
    building. What only the manifest of an unknown version wants is tried: 0.137 builds with less."""
    if source.path is not None:
        return
    wants = sources.KNOWN.get(source.version)
    if wants is not None and wants > numbers(rustc):
        raise Unavailable(
            f"cranelift {source.version} wants rustc {'.'.join(map(str, wants))}, here is {rustc}: rustup update stable"
        )
    stated = wants or cargo.published_wants(source.version)
    if stated is None:
        raise UsageError(f"cranelift {source.version} is not on crates.io; {sources.known(source.version)}")
    if stated > numbers(rustc):
        report.say(f"cranelift {source.version} wants rustc {'.'.join(map(str, stated))}; trying it with {rustc}")


@contextlib.contextmanager
def _only_one(report: Report) -> Iterator[None]:
    """Holds the one lock of the cache folder; says so if another process has it."""
    folder = cache()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = open(folder / "lock", "w")  # noqa: SIM115 (the `with` below closes it)
    except OSError as error:
        raise Unavailable(
            f"the cache folder cannot be written ({error}): export LIFTCHECK_CACHE=FOLDER that can be written"
        ) from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            report.say("another process is building a Cranelift; waiting for it")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _make(source: Source, profile: str, rustc: str, report: Report) -> Build:
    folder = cache()
    for stale in folder.glob("making-*"):
        shutil.rmtree(stale, ignore_errors=True)
    work = Path(tempfile.mkdtemp(prefix="making-", dir=folder))
    try:
        return _install(source, profile, rustc, work, report)
    except OSError as error:
        raise Unavailable(
            f"building in {folder} fails ({error}); a build wants 1 GB there: "
            f"free space, or export LIFTCHECK_CACHE=FOLDER elsewhere"
        ) from error
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _install(source: Source, profile: str, rustc: str, work: Path, report: Report) -> Build:
    start = time.monotonic()
    key = sources.key(source, profile, rustc)
    project, done = work / "bridge", work / "done"
    done.mkdir()
    _write_project(source, profile, project)
    label = source.spec if profile == FUZZ else f"{source.spec} ({profile})"
    cargo.build(project, source, report, label, with_shim=profile == REGALLOC)
    shutil.copy2(project / "target" / "release" / BINARY, done / BINARY)
    shutil.copy2(project / "Cargo.lock", done / "Cargo.lock")
    record = {
        "spec": source.spec,
        "version": _locked_version(project, source),
        "profile": profile,
        "key": key,
        "seconds": round(time.monotonic() - start, 1),
        "rustc": rustc,
    }
    (done / "build.json").write_text(json.dumps(record, indent=1))
    final = cache() / f"{source.version}-{profile}-{key}"
    shutil.rmtree(final, ignore_errors=True)
    done.rename(final)
    report.say(f"built {label} in {record['seconds']:.0f} s")
    build = _read(final / "build.json")
    assert build is not None
    return build


def _write_project(source: Source, profile: str, project: Path) -> None:
    shutil.copytree(sources.BRIDGE / "src", project / "src")
    shutil.copy2(sources.BRIDGE / "build.rs", project / "build.rs")
    (project / "Cargo.toml").write_text(sources.manifest(source, profile))
    lock = sources.lock_file(source)
    if lock is not None:
        shutil.copy2(lock, project / "Cargo.lock")


def _locked_version(project: Path, source: Source) -> str:
    found = re.search(r'name = "cranelift-codegen"\nversion = "([^"]+)"', (project / "Cargo.lock").read_text())
    return found.group(1) if found else source.version
