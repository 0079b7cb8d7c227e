"""Where a Cranelift comes from: a published version, a wasmtime checkout, or one modified crate; and its Cargo.toml.

The one idea: everything that decides the binary goes into one key (the bridge's sources, manifest, lock file,
toolchain, the files of a path), so a build is found again exactly as long as it would come out the same.
It builds nothing (`builds.py`).
"""

from __future__ import annotations

import hashlib
import os
import re
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from liftcheck.errors import UsageError

BRIDGE: Final = Path(__file__).parent / "bridge"
FUZZ, RELEASE, REGALLOC = "fuzz", "release", "regalloc"
PROFILES: Final = (FUZZ, RELEASE, REGALLOC)
"""fuzz: optimized, with Cranelift's assertions and overflow checks on (20 to 30 % slower); release: without them;
regalloc: fuzz, with a shim for regalloc2 that shows register allocation (`shim.py`)."""

KNOWN: Final = {
    "0.95.1": (1, 65), "0.96.4": (1, 66), "0.100.1": (1, 70), "0.105.4": (1, 73), "0.110.3": (1, 76),
    "0.113.1": (1, 78), "0.115.1": (1, 81), "0.118.0": (1, 83), "0.120.2": (1, 84), "0.125.4": (1, 88),
    "0.127.4": (1, 89), "0.128.4": (1, 90), "0.130.0": (1, 91), "0.130.2": (1, 91), "0.131.3": (1, 92),
    "0.132.3": (1, 93), "0.133.3": (1, 94), "0.134.4": (1, 94), "0.135.8": (1, 95),
    "0.136.5": (1, 95), "0.137.1": (1, 95),
}  # fmt: skip
"""Versions that the bridge was compiled against, with the rustc that builds each. Others from 0.95 on are tried."""
STATED: Final = {"0.136.5": (1, 96), "0.137.1": (1, 97)}
"""What the manifest wants where it is more than what was seen to build it."""
OLDEST: Final = (0, 95)

_SKIPPED: Final = frozenset({".git", "target", "filetests", "fuzz", "docs", "tests", "examples", "__pycache__"})


@dataclass(frozen=True, slots=True)
class Source:
    """`spec` names it; `path` is None for a published version; `checkout` tells a wasmtime tree from a single crate."""

    spec: str
    version: str
    path: Path | None = None
    checkout: bool = False


def numbers(version: str) -> tuple[int, ...]:
    """'0.135.8' -> (0, 135, 8)."""
    return tuple(int(part) for part in re.findall(r"\d+", version)[:3])


def published(version: str) -> Source:
    """A version on crates.io; whether it exists is cargo's to say."""
    if not re.fullmatch(r"\d+\.\d+\.\d+", version):
        raise UsageError(f"'{version}' is not a version like 0.135.8, 0.135 or latest; {known()}")
    if numbers(version) < OLDEST:
        raise UsageError(f"cranelift {version} is older than the bridge reads (0.95); {known()}")
    return Source(f"cranelift@{version}", version)


def known(near: str = "") -> str:
    """For messages: the versions that certainly work, first one with the minor number of `near`."""
    same = newest_patch(near, KNOWN) if near else None
    hint = f"did you mean {same}? " if same else ""
    return hint + "known to work: " + ", ".join(sorted(KNOWN, key=numbers))


def newest_patch(version: str, among: Iterable[str]) -> str | None:
    """The newest of the versions `among` those with the same minor number as '0.135' or '0.135.8'."""
    same = [other for other in among if numbers(other)[:2] == numbers(version)[:2]]
    return max(same, key=numbers, default=None)


def at_path(text: str) -> Source:
    """A wasmtime checkout, or a folder with a cranelift-codegen crate."""
    path = Path(text).expanduser().resolve()
    if not path.is_dir():
        raise UsageError(f"cranelift={text}: no such folder")
    for root in (path, path.parent, path.parent.parent):
        inside = (root, root / "cranelift", root / "cranelift/codegen")
        if path in inside and (root / "cranelift/codegen/Cargo.toml").exists():
            return Source(f"cranelift={path}", _version_of(root / "cranelift/codegen", root), root, True)
    if _package(path).get("name") != "cranelift-codegen":
        raise UsageError(
            f"cranelift={text} is neither a wasmtime checkout (with cranelift/codegen) nor a "
            f"cranelift-codegen crate (a Cargo.toml that says so)"
        )
    return Source(f"cranelift={path}", _version_of(path, path), path)


def _package(folder: Path, key: str = "package") -> dict[str, Any]:
    try:
        table = tomllib.loads((folder / "Cargo.toml").read_text())
    except (OSError, tomllib.TOMLDecodeError):
        return {}
    for part in key.split("."):
        table = table.get(part, {})
    return table


def _version_of(crate: Path, root: Path) -> str:
    """The version a crate states, or, where it says `version.workspace`, its workspace's or its meta crate's."""
    version = _package(crate).get("version")
    if not isinstance(version, str):
        dependencies = _package(root, "workspace.dependencies")
        entry = dependencies.get("cranelift-codegen", {})
        version = entry.get("version") if isinstance(entry, dict) else entry
    if not isinstance(version, str) or not numbers(version):
        raise UsageError(f"{crate}/Cargo.toml names no version")
    return version.lstrip("=^~ ")


def manifest(source: Source, profile: str) -> str:
    """The Cargo.toml that builds the bridge on this source."""
    lines = [
        "[package]",
        'name = "liftcheck-bridge"',
        'version = "0.1.0"',
        'edition = "2021"',
        "publish = false",
        "",
        "[dependencies]",
        f"cranelift-codegen = {{ {_where(source, 'codegen')}, default-features = false, "
        f'features = ["std", "unwind", "disas", "trace-log", "{_architectures(source)}"] }}',
        f"cranelift-reader = {{ {_where(source, 'reader')} }}",
    ]
    if numbers(source.version) >= (0, 96):
        lines.append(f"cranelift-control = {{ {_where(source, 'control')} }}")
    # A campaign lives in the compiler: another allocator saves it 5 % of the time, optimizing across crates 8 % more,
    # which costs a build about a minute.
    lines += [
        'log = "0.4"',
        'mimalloc = { version = "0.1", default-features = false }',
        "",
        "[profile.release]",
        "opt-level = 3",
        "debug = false",
        "strip = true",
    ]
    if profile != RELEASE:
        lines += ["debug-assertions = true", "overflow-checks = true"]
    if profile == FUZZ:
        lines += ['lto = "fat"', "codegen-units = 1"]
    if source.path is not None and not source.checkout:
        lines += ["", "[patch.crates-io]", f"cranelift-codegen = {{ path = {_quoted(source.path)} }}"]
    return "\n".join([*lines, "", "[workspace]", ""])


def _where(source: Source, crate: str) -> str:
    if source.path is not None and source.checkout:
        return f"path = {_quoted(source.path / 'cranelift' / crate)}"
    return f'version = "={source.version}"'


def _architectures(source: Source) -> str:
    return "all-native-arch" if numbers(source.version) >= (0, 113) else "all-arch"


def _quoted(path: Path) -> str:
    return '"' + str(path).replace("\\", "\\\\").replace('"', '\\"') + '"'


def lock_file(source: Source) -> Path | None:
    """A lock file to begin with: ours for a published version, the workspace's own for a checkout."""
    if source.checkout and source.path is not None:
        path = source.path / "Cargo.lock"
    else:
        path = BRIDGE / "locks" / f"{source.version}.lock"
    return path if path.exists() else None


def key(source: Source, profile: str, rustc: str) -> str:
    """Equal keys, equal binaries."""
    digest = hashlib.sha256(f"{manifest(source, profile)}\0{rustc}".encode())
    lock = lock_file(source)
    for path in (*_files(BRIDGE / "src"), BRIDGE / "build.rs", *([lock] if lock else [])):
        _feed(digest, path.name, path)
    if profile == REGALLOC:
        for path in _files(BRIDGE / "shim"):
            _feed(digest, f"shim/{path.name}", path)
    if source.path is not None:
        for path in _files(source.path / "cranelift" if source.checkout else source.path):
            _feed(digest, str(path.relative_to(source.path)), path)
    return digest.hexdigest()[:16]


def _feed(digest: Any, name: str, path: Path) -> None:
    content = path.read_bytes()
    digest.update(f"\0{name}\0{len(content)}\0".encode())
    digest.update(content)


def _files(root: Path) -> Iterator[Path]:
    for folder, folders, files in os.walk(root):
        folders[:] = sorted(set(folders) - _SKIPPED)
        for name in sorted(files):
            yield Path(folder) / name
