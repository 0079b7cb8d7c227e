"""Builds of the bridge: what a name means, when it is built, what is said when it cannot be."""

from __future__ import annotations

import fcntl
import io
import json
import os
import shutil
import threading
import time
from pathlib import Path

import pytest
from rich.console import Console

from liftcheck.cli import main
from liftcheck.compilers.cranelift import builds, cargo, sources
from liftcheck.compilers.registry import open_compiler
from liftcheck.errors import Unavailable, UsageError

FAKE_CARGO = """#!/bin/sh
echo "$@" >> "$LOG"
case "$1" in
info) case "$3" in
  *0.129) echo "version: 0.129.2 (latest 0.137.1)"; echo "rust-version: 1.91.0";;
  *0.131.0*) echo "version: 0.131.0"; echo "rust-version: 1.92.0";;
  *0.138.0*) echo "version: 0.138.0"; echo "rust-version: 1.98.0";;
  cranelift-codegen) echo "version: 0.135.8 (latest ${LATEST:-0.137.1})";;
  *0.132.0*) echo "error: failed to download from crates.io" >&2; exit 101;;
  *) echo "error: could not find it" >&2; exit 101;; esac;;
update) test -e Cargo.lock || printf '[[package]]\\nname = "%s"\\nversion = "%s"\\n' cranelift-codegen 0.131.0 \\
  regalloc2 0.15.2 > Cargo.lock;;
metadata)
  printf '{"packages":[{"name":"regalloc2","version":"0.15.2","manifest_path":"%s/theirs/Cargo.toml"}]}' "${LOG%/*}";;
tree) printf 'log v0.4\\ncranelift-codegen v0.131.0\\nliftcheck-bridge v0.1.0 (/x)\\n';;
build)
  test -z "$SLOW" || sleep "$SLOW"
  printf '   Compiling log v0.4\\n   Compiling cranelift-codegen v0.131.0\\n' >&2
  if test -n "$BREAK"; then
    printf 'error[E0308]: mismatched types\\n --> src/isa/x64/inst.rs:7:1\\nerror: could not compile\\n' >&2; exit 101
  fi
  mkdir -p target/release; printf '#!/bin/sh\\n' > target/release/liftcheck-bridge
  chmod +x target/release/liftcheck-bridge;;
esac
"""


@pytest.fixture
def toolchain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cargo that builds nothing, alone on the PATH with a shell; the cache is empty. Gives the log of its calls."""
    tools, log = tmp_path / "tools", tmp_path / "log"
    tools.mkdir()
    rustc = "#!/bin/sh\necho 'rustc 1.95.0 (fake)'\n"
    for name, text in (("cargo", FAKE_CARGO), ("rustc", rustc), ("cc", "#!/bin/sh\n")):
        (tools / name).write_text(text)
        (tools / name).chmod(0o755)
    for name in ("sh", "mkdir", "chmod", "sleep"):
        (tools / name).symlink_to(shutil.which(name) or name)
    monkeypatch.setenv("PATH", str(tools))
    monkeypatch.setenv("LOG", str(log))
    monkeypatch.delenv(builds.PIN, raising=False)
    monkeypatch.setenv("LIFTCHECK_CACHE", str(tmp_path / "cache"))
    log.touch()
    return log


def quiet() -> tuple[cargo.Report, io.StringIO]:
    words = io.StringIO()
    return cargo.Report(Console(file=words, width=200)), words


def test_a_build_is_made_once(toolchain: Path) -> None:
    report, words = quiet()
    build = builds.ensure("cranelift@0.131.0", report=report)
    assert build.binary.exists() and (build.spec, build.version) == ("cranelift@0.131.0", "0.131.0")
    assert "building cranelift@0.131.0: 3 crates" in words.getvalue()
    assert "built cranelift@0.131.0 in" in words.getvalue()
    before = toolchain.read_text()
    assert builds.ensure("cranelift@0.131.0") == build and toolchain.read_text() == before
    assert builds.listed() == [build] and build.size > 0
    assert not list(builds.cache().glob("making-*"))


def test_profiles_are_apart(toolchain: Path) -> None:
    report, _ = quiet()
    fuzz, release = (builds.ensure("cranelift@0.131.0", profile, report) for profile in (builds.FUZZ, builds.RELEASE))
    assert fuzz.folder != release.folder and release.name == "cranelift@0.131.0 (release)"
    assert "debug-assertions" in sources.manifest(sources.published("0.131.0"), "fuzz")
    assert "debug-assertions" not in sources.manifest(sources.published("0.131.0"), "release")
    with pytest.raises(UsageError, match="fuzz, release"):
        builds.ensure("cranelift@0.131.0", "debug")


def test_the_build_that_shows_register_allocation(toolchain: Path, tmp_path: Path) -> None:
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs/Cargo.toml").write_text('[package]\nname = "regalloc2"\n')
    shown = builds.ensure("cranelift@0.131.0", builds.REGALLOC, quiet()[0])
    assert shown.name == "cranelift@0.131.0 (regalloc)"
    assert [call.split()[0] for call in toolchain.read_text().splitlines() if call.split()[0] != "info"] == [
        "update",
        "metadata",
        "update",
        "tree",
        "build",
    ]
    assert builds.ensure("cranelift@0.131.0", builds.REGALLOC) == shown


def test_removing(toolchain: Path) -> None:
    report, _ = quiet()
    build = builds.ensure("cranelift@0.131.0", report=report)
    assert builds.remove("cranelift@0.131.0") == [build] and builds.listed() == []
    with pytest.raises(UsageError, match=r"'cranelift@0\.131\.0' is not built; built: nothing"):
        builds.remove("cranelift@0.131.0")


def test_removing_is_exact(toolchain: Path) -> None:
    build = builds.ensure("cranelift@0.131.0", report=quiet()[0])
    for near in ("cranelift@0.131", "0.131.0"):
        with pytest.raises(UsageError, match=r"is not built; did you mean cranelift@0\.131\.0\?"):
            builds.remove(near)
    assert builds.listed() == [build]


def test_a_version_without_its_patch_number(toolchain: Path) -> None:
    assert builds.source_of("cranelift@0.130").spec == "cranelift@0.130.2"
    assert builds.source_of("cranelift@latest") == builds.source_of("cranelift")
    assert "info" not in toolchain.read_text()
    assert builds.source_of("cranelift@0.129").spec == "cranelift@0.129.2"
    assert "info --color=never cranelift-codegen@0.129" in toolchain.read_text()


def test_two_at_once_build_once(toolchain: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLOW", "0.5")
    found: list[builds.Build] = []
    threads = [
        threading.Thread(target=lambda: found.append(builds.ensure("cranelift@0.131.0", report=quiet()[0])))
        for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 3 and len({build.folder for build in found}) == 1
    assert toolchain.read_text().count("build --release") == 1


def test_waiting_is_said(toolchain: Path) -> None:
    builds.cache().mkdir(parents=True)
    with open(builds.cache() / "lock", "w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        report, words = quiet()
        waiting = threading.Thread(target=builds.ensure, args=("cranelift@0.131.0", "fuzz", report))
        waiting.start()
        time.sleep(0.3)
        assert "another process is building" in words.getvalue() and waiting.is_alive()
    waiting.join()
    assert builds.listed()


def test_a_failed_build_leaves_nothing(toolchain: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BREAK", "1")
    words = r"does not build:\nerror\[E0308\]: mismatched types\n --> src/isa/x64/inst.rs"
    with pytest.raises(Unavailable, match=words):
        builds.ensure("cranelift@0.131.0", report=quiet()[0])
    assert builds.listed() == [] and not list(builds.cache().glob("making-*"))


def test_what_an_interrupted_build_left_is_cleared(toolchain: Path) -> None:
    stale = builds.cache() / "making-old"
    stale.mkdir(parents=True)
    builds.ensure("cranelift@0.131.0", report=quiet()[0])
    assert not stale.exists()


def test_a_build_that_lost_its_binary_counts_as_none(toolchain: Path) -> None:
    build = builds.ensure("cranelift@0.131.0", report=quiet()[0])
    build.binary.unlink()
    assert builds.listed() == []
    assert builds.ensure("cranelift@0.131.0", report=quiet()[0]).binary.exists()
    (build.folder / "build.json").write_text(json.dumps({"spec": 1}))
    assert builds.listed() == []


def test_no_cargo(toolchain: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    build = builds.ensure("cranelift@0.131.0", report=quiet()[0])
    monkeypatch.setenv("PATH", "/nowhere")
    start = time.monotonic()
    with pytest.raises(Unavailable, match=r"sh\.rustup\.rs"):
        open_compiler("cranelift@0.130.0")
    assert time.monotonic() - start < 1
    assert builds.ensure("cranelift@0.131.0") == build
    assert builds.newest() == "0.131.0"


def test_no_c_compiler(toolchain: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (Path(os.environ["PATH"]) / "cc").unlink()
    monkeypatch.delenv("CC", raising=False)
    with pytest.raises(Unavailable, match="apt-get install gcc"):
        builds.ensure("cranelift@0.131.0", report=quiet()[0])


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ("cranelift@0.999.0", "not on crates.io; known to work: 0.95.1, .*0.135.8"),
        ("cranelift@new", "not a version like"),
        ("cranelift@0.90.0", "older than the bridge reads"),
        ("cranelift=/no/where", "no such folder"),
        ("cranelift=/tmp", "neither a wasmtime checkout"),
        ("cranelift-0.130", "no compiler called"),
        ("cranelift@0.130.77", r"not on crates\.io; did you mean 0\.130\.2\?"),
        ("cranelift@0.90", "no cranelift 0.90 that the bridge reads"),
        ("0.130.0", r"did you mean cranelift@0\.130\.0\?"),
        ("cranelfit@0.130.0", r"did you mean cranelift\?"),
    ],
)
def test_unknown_names_are_told_at_once(toolchain: Path, spec: str, says: str) -> None:
    start = time.monotonic()
    with pytest.raises(UsageError, match=says):
        open_compiler(spec)
    assert time.monotonic() - start < 1


def set_rustc(version: str) -> None:
    cargo._rustc_version.cache_clear()
    (Path(os.environ["PATH"]) / "rustc").write_text(f"#!/bin/sh\necho 'rustc {version} (fake)'\n")


def test_a_toolchain_that_is_too_old(toolchain: Path) -> None:
    builds.ensure("cranelift@0.131.0", report=quiet()[0])
    set_rustc("1.94.1")
    with pytest.raises(Unavailable, match=r"wants rustc 1\.95, here is 1\.94\.1: rustup update stable$"):
        builds.ensure("cranelift@0.137.1")
    builds.ensure("cranelift@0.131.0", report=quiet()[0])
    with pytest.raises(Unavailable, match=r"rustup update stable\nready here: --compiler cranelift@0\.131\.0$"):
        builds.ensure("cranelift@0.137.1")


def test_what_only_the_manifest_of_an_unknown_version_wants_is_tried(toolchain: Path) -> None:
    report, words = quiet()
    assert builds.ensure("cranelift@0.138.0", report=report).binary.exists()
    assert "cranelift 0.138.0 wants rustc 1.98; trying it with 1.95.0" in words.getvalue()
    assert "build --release --locked --ignore-rust-version" in toolchain.read_text()


def test_offline(toolchain: Path) -> None:
    with pytest.raises(Unavailable, match=r"cannot reach crates\.io"):
        builds.ensure("cranelift@0.132.0")


def test_a_cache_folder_that_cannot_be_made(toolchain: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("LIFTCHECK_CACHE", str(tmp_path / "file"))
    with pytest.raises(Unavailable, match="export LIFTCHECK_CACHE"):
        builds.ensure("cranelift@0.131.0")


def test_the_newest_fits_the_toolchain(toolchain: Path) -> None:
    best = max(sources.KNOWN, key=builds.numbers)
    assert builds.newest() == best and "its manifest wants rustc 1.97, yet 1.95.0 builds it" in builds.why_newest()
    set_rustc("1.84.1")
    assert builds.newest() == "0.120.2"
    assert builds.why_newest() == "0.125.4 and newer want rustc 1.88, here is 1.84.1: rustup update stable"
    set_rustc("1.99.0")
    assert builds.newest() == best and builds.why_newest() == "the newest that this liftcheck knows"
    set_rustc("1.20.0")
    with pytest.raises(Unavailable, match="rustup update"):
        builds.newest()
    cargo._rustc_version.cache_clear()


def test_what_plain_cranelift_means_can_be_said(toolchain: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(builds.PIN, "0.130")
    assert builds.source_of("cranelift").spec == "cranelift@0.130.2" == builds.source_of("cranelift@latest").spec
    assert builds.PIN in builds.why_newest()
    monkeypatch.setenv(builds.PIN, "new")
    with pytest.raises(UsageError, match="'new' is not a version"):
        builds.newest()


def test_a_newer_version_on_crates_io_is_told(toolchain: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert builds.newer_published() == ""
    monkeypatch.setenv("LATEST", "0.999.0")
    assert builds.newer_published() == "0.999.0"
    set_rustc("1.95.0")
    (Path(os.environ["PATH"]) / "rustc").unlink()
    assert builds.newer_published() == ""


def test_the_versions_that_are_known_say_what_builds_them() -> None:
    assert set(sources.STATED) <= set(sources.KNOWN)
    assert all(stated > sources.KNOWN[version] for version, stated in sources.STATED.items())
    assert (sources.BRIDGE / "locks" / f"{max(sources.KNOWN, key=builds.numbers)}.lock").exists()


def crate(folder: Path, version: str = "0.135.8") -> Path:
    (folder / "src").mkdir(parents=True)
    (folder / "Cargo.toml").write_text(f'[package]\nname = "cranelift-codegen"\nversion = "{version}"\n')
    (folder / "src/lib.rs").write_text("// one\n")
    return folder


def test_a_modified_crate(toolchain: Path, tmp_path: Path) -> None:
    path = crate(tmp_path / "codegen")
    source = builds.source_of(f"cranelift={path}")
    text = sources.manifest(source, "fuzz")
    assert f'[patch.crates-io]\ncranelift-codegen = {{ path = "{path}" }}' in text
    assert 'cranelift-reader = { version = "=0.135.8" }' in text
    build = builds.ensure(f"cranelift={path}", report=quiet()[0])
    assert builds.ensure(f"cranelift={path}") == build
    (path / "target").mkdir()
    (path / "target/junk").touch()
    assert builds.ensure(f"cranelift={path}") == build
    (path / "src/lib.rs").write_text("// two\n")
    again = builds.ensure(f"cranelift={path}", report=quiet()[0])
    assert again.folder != build.folder
    assert sorted(b.key for b in builds.remove(f"cranelift={path}")) == sorted([build.key, again.key])


def test_a_checkout(toolchain: Path, tmp_path: Path) -> None:
    root = tmp_path / "wasmtime"
    crate(root / "cranelift/codegen")
    (root / "Cargo.lock").write_text("# theirs\n")
    for spec in (root, root / "cranelift", root / "cranelift/codegen"):
        source = builds.source_of(f"cranelift={spec}")
        assert source.checkout and sources.lock_file(source) == root / "Cargo.lock"
        assert f'cranelift-reader = {{ path = "{root}/cranelift/reader" }}' in sources.manifest(source, "fuzz")
    workspace = '[workspace.dependencies]\ncranelift-codegen = { path = "x", version = "0.140.0" }\n'
    (root / "Cargo.toml").write_text(workspace)
    inherits = '[package]\nname = "cranelift-codegen"\nversion.workspace = true\n'
    (root / "cranelift/codegen/Cargo.toml").write_text(inherits)
    assert builds.source_of(f"cranelift={root}").version == "0.140.0"


def test_a_modified_crate_that_does_not_compile_is_the_users(
    toolchain: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BREAK", "1")
    with pytest.raises(UsageError, match="mismatched types"):
        builds.ensure(f"cranelift={crate(tmp_path / 'codegen')}", report=quiet()[0])


@pytest.mark.parametrize(
    ("version", "has", "lacks"),
    [
        ("0.135.8", "all-native-arch", "all-arch"),
        ("0.113.1", "all-native-arch", '"all-arch'),
        ("0.110.3", '"all-arch"', "all-native-arch"),
        ("0.95.1", '"all-arch"', "cranelift-control"),
    ],
)
def test_the_manifest_by_version(version: str, has: str, lacks: str) -> None:
    text = sources.manifest(sources.published(version), "fuzz")
    assert has in text and lacks not in text


def test_shipped_locks_pin_every_crate_of_cranelift() -> None:
    for path in (sources.BRIDGE / "locks").iterdir():
        packages = path.read_text().split("[[package]]")
        versions = {
            line
            for package in packages
            if 'name = "cranelift-' in package
            for line in package.splitlines()
            if line.startswith("version")
        }
        assert versions == {f'version = "{path.stem}"'}
    assert (sources.BRIDGE / "locks/0.135.8.lock").exists()


def test_a_toolchain_that_builds_nothing_is_listed_all_the_same(
    toolchain: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    set_rustc("1.20.0")
    assert main(["compiler", "list"]) == 0
    assert "cranelift means nothing here: rustc 1.20.0 is too old" in capsys.readouterr().out
    cargo._rustc_version.cache_clear()
