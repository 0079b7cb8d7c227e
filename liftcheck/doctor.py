"""What this machine can do for liftcheck, and for each gap the command that closes it.

The one idea: a check is a row (what, state, detail, remedy); one function per group makes its rows from what is there.
It builds and downloads nothing; runners are asked with their probes (runners/features.py), which takes half a second.
Only essential rows decide whether liftcheck is usable here.
"""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import metadata
from typing import TYPE_CHECKING, Final

from liftcheck.compilers.cranelift import builds
from liftcheck.compilers.cranelift.cargo import RUSTUP
from liftcheck.errors import Unavailable
from liftcheck.isa import HOST, ISAS
from liftcheck.isa.base import isa_named
from liftcheck.isle import sources as isle
from liftcheck.runners.table import NAMES, kind_of

if TYPE_CHECKING:
    from liftcheck.runners.pool import Abilities

OK: Final = "ok"
LIMITED: Final = "limited"
MISSING: Final = "missing"

NEEDED_SPACE: Final = 1_000_000_000
"""Bytes that a build of Cranelift wants free: 0.4 GB for itself, and cargo's registry."""


@dataclass(frozen=True, slots=True)
class Check:
    """One row. `state` is OK, LIMITED or MISSING; `remedy` the command that closes the gap, '' if there is none."""

    group: str
    name: str
    state: str
    detail: str
    remedy: str = ""
    essential: bool = False


@dataclass(frozen=True, slots=True)
class Report:
    """All rows, in order."""

    checks: tuple[Check, ...]

    @property
    def usable(self) -> bool:
        """Can fuzz and test: nothing essential is missing."""
        return not any(check.essential and check.state == MISSING for check in self.checks)

    def as_json(self) -> dict[str, object]:
        fields = ("group", "name", "state", "detail", "remedy", "essential")
        rows = [{field: getattr(check, field) for field in fields} for check in self.checks]
        return {"usable": self.usable, "checks": rows}

    def as_text(self, columns: int = 100) -> str:
        """Groups of aligned lines, wrapped; under each gap the command that closes it."""
        lines: list[str] = []
        width = max(len(check.name) for check in self.checks)
        indent = " " * (width + 12)
        group = ""
        for check in self.checks:
            if check.group != group:
                group = check.group
                lines += ["", group] if lines else [group]
            lines += textwrap.wrap(
                f"  {check.state:<8}{check.name:<{width}}  {check.detail}",
                columns,
                subsequent_indent=indent,
                break_long_words=False,
                break_on_hyphens=False,
            )
            if check.remedy:
                lines.append(f"{indent}-> {check.remedy}")
        return "\n".join([*lines, "", self._summary()])

    def _summary(self) -> str:
        if not self.usable:
            lacking = ", ".join(check.name for check in self.checks if check.essential and check.state == MISSING)
            return f"liftcheck cannot fuzz here yet: it lacks {lacking}."
        gaps = sum(check.state != OK for check in self.checks)
        return (
            "Everything is there."
            if not gaps
            else f"liftcheck can fuzz here; {gaps} of {len(self.checks)} rows say what would be better."
        )


def examine() -> Report:
    """Looks at everything; builds and downloads nothing."""
    groups = (_python(), _packages(), _toolchain(), _runners(), _builds(), _disk())
    return Report(tuple(check for group in groups for check in group))


def _python() -> Iterator[Check]:
    fine = sys.version_info >= (3, 11)
    yield Check(
        "Python",
        "python",
        OK if fine else MISSING,
        f"{platform.python_version()} ({sys.executable})",
        "" if fine else "install Python 3.11 or newer",
        essential=True,
    )


def _packages() -> Iterator[Check]:
    for requirement in _requirements():
        yield _package(*requirement)


def _requirements() -> list[tuple[str, str, bool]]:
    """(package, wanted version or '', needed only by the tests) of each requirement of liftcheck itself."""
    try:
        lines = metadata.requires("liftcheck") or []
    except metadata.PackageNotFoundError:
        return [("liftcheck", "", False)]
    return [_requirement(line) for line in lines]


def _requirement(line: str) -> tuple[str, str, bool]:
    name = re.match(r"[\w.-]+", line)
    pinned = re.search(r"==\s*([\w.]+)", line)
    return (name.group() if name else line, pinned.group(1) if pinned else "", "extra ==" in line)


def _package(name: str, wanted: str, for_tests: bool) -> Check:
    group = "Packages of the tests" if for_tests else "Packages"
    remedy = "pip install -e '.[test]'" if for_tests else "pip install -e ."
    try:
        version = metadata.version(name)
    except metadata.PackageNotFoundError:
        return Check(group, name, MISSING, "not installed", remedy, essential=not for_tests)
    if wanted and version != wanted:
        return Check(group, name, LIMITED, f"{version}; liftcheck is tested with {wanted}", remedy)
    return Check(group, name, OK, version)


def _toolchain() -> Iterator[Check]:
    """What a build wants: essential only while nothing is built."""
    needed = not builds.listed()
    for tool in ("cargo", "rustc"):
        yield _tool("Building Cranelift", tool, f"{RUSTUP}, or: apt-get install {tool}", needed)
    linker = next((name for name in ("cc", "gcc", "clang") if shutil.which(name)), "")
    detail = shutil.which(linker) or "none of cc, gcc, clang is on the PATH"
    yield Check(
        "Building Cranelift",
        "C compiler",
        OK if linker else MISSING,
        detail,
        "" if linker else "apt-get install gcc",
        needed,
    )


def _tool(group: str, tool: str, remedy: str, essential: bool = False) -> Check:
    path = shutil.which(tool)
    if path is None:
        return Check(group, tool, MISSING, "not on the PATH", remedy, essential)
    answer = _first_line([path, "--version"])
    if not answer:
        return Check(group, tool, MISSING, f"{path} does not answer --version", remedy, essential)
    return Check(group, tool, OK, answer, essential=essential)


def _first_line(command: list[str]) -> str:
    """The first line that a command prints within five seconds, '' if it fails."""
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=5, stdin=subprocess.DEVNULL, errors="replace"
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip().split("\n")[0] if done.returncode == 0 else ""


def _runners() -> Iterator[Check]:
    lacking = list(_packages_of_runners())
    if lacking:
        yield from lacking
        return
    from liftcheck.runners.pool import available_runners, confinement

    for isa in ISAS:
        known = frozenset(isa_named(isa).probes)
        for name, has in available_runners(isa).items():
            yield _no_runner(isa, name, has) if isinstance(has, str) else _runner(isa, name, has, known)
    yield _confinement(confinement())


def _packages_of_runners() -> Iterator[Check]:
    """Runners that cannot be asked for want of a Python package; each is a requirement of liftcheck."""
    for name in NAMES:
        try:
            kind_of(name)
        except Unavailable as error:
            yield Check("Runners", name, MISSING, str(error), "pip install -e .", essential=True)


def _confinement(confined: Mapping[str, bool]) -> Check:
    """Whether code under test can make system calls."""
    free = [name for name, is_confined in confined.items() if not is_confined]
    if not free:
        names = f" ({', '.join(confined)})" if confined else ""
        return Check("Runners", "seccomp", OK, f"code under test cannot make system calls{names}")
    return Check(
        "Runners",
        "seccomp",
        LIMITED,
        f"not here: code under test that makes a system call acts with your rights on {', '.join(free)}",
        f"a Linux {HOST} kernel with CONFIG_SECCOMP_FILTER, and a container that lets seccomp be used; "
        "or --runner unicorn",
    )


def _runner(isa: str, name: str, able: Abilities, known: frozenset[str]) -> Check:
    """What a runner that works here has and lacks of the extensions that liftcheck knows."""
    has = able.features
    lacks = known - has
    version = kind_of(name).version(isa)
    detail = (version and f"{version}; ") + "runs the base set"
    detail += f" and {_extensions(has)}" if has & known else ""
    detail += f"; lacks {_extensions(lacks)}" if lacks else ""
    if able.lacks:
        detail += "; lacks single instructions: " + ", ".join(
            f"{lack.name} ({_extensions(lack.needs).replace(', ', ' with ')})" for lack in able.lacks
        )
    kind = kind_of(name)
    remedy = kind.newer(isa_named(isa)) if lacks else ""
    return Check("Runners", f"{name} {isa}", LIMITED if remedy else OK, detail, remedy, essential=kind.essential)


def _no_runner(isa: str, name: str, why: str) -> Check:
    kind = kind_of(name)
    state = MISSING if kind.essential else LIMITED
    return Check("Runners", f"{name} {isa}", state, why.split("\n")[0], kind.remedy, essential=kind.essential)


def _extensions(names: frozenset[str]) -> str:
    return ", ".join(sorted(name.removeprefix("has_") for name in names))


def _builds() -> Iterator[Check]:
    """The builds there are, and whether the one that plain `cranelift` means is among them."""
    built = {build.name: build for build in builds.listed()}
    for build in built.values():
        took = f"{build.version}, built in {build.seconds:.0f} s"
        yield Check("Compilers", build.name, OK, took + _rules(build.version, build.spec))
    try:
        newest = f"cranelift@{builds.newest()}"
        ready, why = builds.find("cranelift") is not None, builds.why_newest()
    except Unavailable as error:
        yield Check(
            "Compilers",
            "cranelift",
            LIMITED if built else MISSING,
            str(error),
            "rustup update stable",
            essential=not built,
        )
        return
    if not ready:
        state = "built by another liftcheck or rustc" if newest in built else "not built yet"
        yield Check(
            "Compilers",
            f"{newest} now",
            LIMITED,
            f"{why}; {state}; its next use builds it (about three minutes)",
            f"liftcheck compiler add {newest}",
        )
    else:
        yield Check("Compilers", "cranelift", OK, f"{newest}: {why}")
    if newer := builds.newer_published():
        detail = "is on crates.io; this liftcheck was not tried with it"
        yield Check("Compilers", f"cranelift@{newer}", LIMITED, detail, f"liftcheck compiler add cranelift@{newer}")


def _rules(version: str, compiler: str) -> str:
    """Whether the generator can read this version's own rules."""
    return "" if isle.find(version, compiler) else "; no sources in cargo's registry: no programs from its own rules"


def _disk() -> Iterator[Check]:
    folder = builds.cache()
    place = next(place for place in (folder, *folder.parents) if place.exists())
    free = shutil.disk_usage(place).free
    detail = f"{folder}: {free / 1e9:.1f} GB free"
    remedy = "export LIFTCHECK_CACHE=FOLDER"
    if not os.access(place, os.W_OK):
        yield Check(
            "Disk",
            "cache folder",
            MISSING,
            f"{place} cannot be written",
            f"{remedy} that can be written",
            essential=True,
        )
    elif free < NEEDED_SPACE:
        yield Check(
            "Disk",
            "cache folder",
            LIMITED,
            f"{detail}; a build of Cranelift wants 1 GB",
            f"liftcheck compiler remove NAME, or {remedy} elsewhere",
        )
    else:
        yield Check("Disk", "cache folder", OK, detail)
