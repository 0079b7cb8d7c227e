"""The build variant that shows register allocation: a crate in the place of `regalloc2`, put there by a Cargo patch.

The one idea: Cranelift is the published one, unmodified, and so is its allocator. The registry's `regalloc2` is copied
under another name, and a crate of ours (`bridge/shim`) bears its name, passes every call on and records what goes in
and comes out. (Depending on the registry's crate from a crate that patches it does not resolve; hence the copy.)
"""

from __future__ import annotations

import json
import re
import shutil
import tomllib
from pathlib import Path
from typing import Any, Final

from liftcheck.errors import InternalError

FOLDER: Final = Path(__file__).parent / "bridge" / "shim"
REAL: Final = "regalloc2-real"


def locked_version(lock: str) -> str:
    """The version of regalloc2 in the text of a Cargo.lock."""
    found = re.search(r'name = "regalloc2"\nversion = "([^"]+)"', lock)
    if found is None:
        raise InternalError("Cargo.lock names no regalloc2")
    return found.group(1)


def install(project: Path, metadata: str) -> None:
    """Makes a resolved bridge project one with the shim. `metadata` is what `cargo metadata` prints for it."""
    version = locked_version((project / "Cargo.lock").read_text())
    own = re.sub(r"\d+$", "99", version)
    real = project / REAL
    shutil.copytree(_source(metadata, version), real)
    features = _rename(real)
    shutil.copytree(FOLDER / "src", project / "regalloc2" / "src")
    shutil.copy2(FOLDER / "build.rs", project / "regalloc2" / "build.rs")
    (project / "regalloc2" / "Cargo.toml").write_text(_manifest(own, features))
    for path in (FOLDER / "bridge").iterdir():
        shutil.copy2(path, project / "src" / path.name)
    manifest = project / "Cargo.toml"
    manifest.write_text(_patched(manifest.read_text(), own))


def _source(metadata: str, version: str) -> Path:
    for package in json.loads(metadata)["packages"]:
        if (package["name"], package["version"]) == ("regalloc2", version):
            return Path(package["manifest_path"]).parent
    raise InternalError(f"cargo does not say where regalloc2 {version} is")


def _rename(crate: Path) -> dict[str, list[str]]:
    """Renames package and library; its features."""
    path = crate / "Cargo.toml"
    text = path.read_text()
    path.write_text(
        text.replace('name = "regalloc2"', f'name = "{REAL}"', 1).replace(
            'name = "regalloc2"', f'name = "{REAL.replace("-", "_")}"'
        )
    )
    table: dict[str, Any] = tomllib.loads(text)
    return dict(table.get("features", {}))


def _manifest(version: str, features: dict[str, list[str]]) -> str:
    lines = [
        "[package]",
        'name = "regalloc2"',
        f'version = "{version}"',
        'edition = "2021"',
        "publish = false",
        "",
        "[dependencies]",
        f'real = {{ package = "{REAL}", path = "../{REAL}", default-features = false }}',
        "",
        "[features]",
    ]
    for name, others in features.items():
        implied = others if name == "default" else [f"real/{name}"]
        lines.append(f"{name} = {json.dumps(implied)}")
    return "\n".join([*lines, ""])


def _patched(manifest: str, version: str) -> str:
    """The bridge's Cargo.toml with the patch, and with the feature that arms its own side."""
    patch, header = 'regalloc2 = { path = "regalloc2" }\n', "[patch.crates-io]\n"
    manifest = manifest.replace("[dependencies]\n", f'[dependencies]\nregalloc2 = "={version}"\n', 1)
    if header in manifest:
        manifest = manifest.replace(header, header + patch, 1)
    else:
        manifest += "\n" + header + patch
    return manifest + '\n[features]\ndefault = ["shim"]\nshim = []\n'
