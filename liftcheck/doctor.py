"""What this machine can do for liftcheck, and for each gap the command that closes it.

The one idea: a check is a row (what, state, detail, remedy); one function per group makes its rows from what is
installed, without importing the packages or building anything, so that the whole answer takes a fraction of a second.
Only essential rows decide whether liftcheck is usable here. It does not run the emulators: the tests do.
Sources: Cranelift's `isa/x64/settings` (setting names of CPU features), QEMU's change logs 7.2 to 9.0 (RISC-V).
"""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Final

from liftcheck.case import ISAS
from liftcheck.errors import Unavailable

OK: Final = "ok"
LIMITED: Final = "limited"
MISSING: Final = "missing"

NEEDED_SPACE: Final = 1_000_000_000
"""Bytes that a build of Cranelift wants free: 0.4 GB for itself, and cargo's registry."""

QEMU: Final = {"aarch64": "qemu-aarch64", "riscv64": "qemu-riscv64", "s390x": "qemu-s390x"}

CPU_FEATURES: Final = {
    "sse4_2": "has_sse42", "popcnt": "has_popcnt", "abm": "has_lzcnt", "bmi1": "has_bmi1", "bmi2": "has_bmi2",
    "avx": "has_avx", "avx2": "has_avx2", "fma": "has_fma", "avx_vnni": "has_avx_vnni", "avx512f": "has_avx512f",
    "avx512dq": "has_avx512dq", "avx512vl": "has_avx512vl", "avx512_bitalg": "has_avx512bitalg",
    "avx512vbmi": "has_avx512vbmi", "avx512_vnni": "has_avx512vnni", "cx16": "has_cmpxchg16b",
}
"""Linux's name of a CPU feature -> the Cranelift setting that makes use of it."""

QEMU_RISCV: Final = (
    ((7, 2), "V, Zba, Zbb, Zbc, Zbs, Zbkb, Zfh, Zfhmin, C"), ((8, 0), "Zicond, Zca, Zcb, Zcd"),
    ((8, 1), "Zfa, Zvfh"), ((8, 2), "Zvbb"),
)
"""From which version on `qemu-riscv64` has which extensions."""


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

    def as_text(self) -> str:
        """Groups of aligned lines; under each gap the command that closes it."""
        lines: list[str] = []
        width = max(len(check.name) for check in self.checks)
        group = ""
        for check in self.checks:
            if check.group != group:
                group = check.group
                lines += ["" if lines else None, group] if lines else [group]  # type: ignore[list-item]
            lines.append(f"  {check.state:<8}{check.name:<{width}}  {check.detail}")
            if check.remedy:
                lines.append(f"  {'':<8}{'':<{width}}  -> {check.remedy}")
        return "\n".join([*lines, "", self._summary()])

    def _summary(self) -> str:
        if not self.usable:
            lacking = ", ".join(check.name for check in self.checks if check.essential and check.state == MISSING)
            return f"liftcheck cannot fuzz here yet: it lacks {lacking}."
        gaps = sum(check.state != OK for check in self.checks)
        return "Everything is there." if not gaps else f"liftcheck can fuzz here; {gaps} of {len(self.checks)} rows " \
                                                       "say what would be better."


def examine() -> Report:
    """Looks at everything; builds and downloads nothing."""
    groups = (_python(), _packages(), _toolchain(), _runners(), _builds(), _disk())
    return Report(tuple(check for group in groups for check in group))


def _python() -> Iterator[Check]:
    fine = sys.version_info >= (3, 11)
    yield Check("Python", "python", OK if fine else MISSING, f"{platform.python_version()} ({sys.executable})",
                "" if fine else "install Python 3.11 or newer", essential=True)


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
    for tool, remedy in (("cargo", "https://rustup.rs, or: apt-get install cargo"),
                         ("rustc", "https://rustup.rs, or: apt-get install rustc")):
        yield _tool("Building Cranelift", tool, remedy, essential=True)
    remedy = "apt-get install gcc"
    linker = next((name for name in ("cc", "gcc", "clang") if shutil.which(name)), "")
    yield Check("Building Cranelift", "C compiler", OK if linker else MISSING,
                shutil.which(linker) or "none of cc, gcc, clang is on the PATH", "" if linker else remedy,
                essential=True)


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
        done = subprocess.run(command, capture_output=True, text=True, timeout=5, stdin=subprocess.DEVNULL,
                              errors="replace")
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip().split("\n")[0] if done.returncode == 0 else ""


def _runners() -> Iterator[Check]:
    yield _unicorn()
    yield _native()
    for isa, program in QEMU.items():
        yield _qemu(isa, program)


def _unicorn() -> Check:
    try:
        version = metadata.version("unicorn")
    except metadata.PackageNotFoundError:
        return Check("Runners", "unicorn", MISSING, "not installed", "pip install -e .", essential=True)
    return Check("Runners", "unicorn", OK, f"{version}: {', '.join(ISAS)} (docs/runners.md lists what it lacks)",
                 essential=True)


def _native() -> Check:
    machine = platform.machine()
    if machine not in ("x86_64", "AMD64") or platform.system() != "Linux":
        return Check("Runners", "native", LIMITED,
                     f"this is {platform.system()} on {machine}; native runs want Linux on x86-64: Unicorn takes over")
    present = cpu_features()
    lacking = [setting for setting in CPU_FEATURES.values() if setting not in present]
    detail = f"x86-64 with {', '.join(name.removeprefix('has_') for name in present)}"
    return Check("Runners", "native", OK, detail + (f"; the CPU lacks {', '.join(lacking)}" if lacking else ""))


def cpu_features(cpuinfo: Path = Path("/proc/cpuinfo")) -> tuple[str, ...]:
    """The x86-64 settings of Cranelift whose instructions this CPU runs."""
    try:
        text = cpuinfo.read_text(errors="replace")
    except OSError:
        return ()
    flags = re.search(r"^flags\s*:(.*)$", text, re.MULTILINE)
    words = set(flags.group(1).split()) if flags else set()
    return tuple(setting for flag, setting in CPU_FEATURES.items() if flag in words)


def _qemu(isa: str, program: str) -> Check:
    path = shutil.which(program) or shutil.which(f"{program}-static")
    if path is None:
        return Check("Runners", program, LIMITED,
                     f"not installed; what Unicorn lacks on {isa} stays undecided", "apt-get install qemu-user")
    version = qemu_version(_first_line([path, "--version"]))
    if version is None:
        return Check("Runners", program, LIMITED, f"{path} does not tell its version", "apt-get install qemu-user")
    return _qemu_found(isa, program, version)


def _qemu_found(isa: str, program: str, version: tuple[int, int]) -> Check:
    text = f"{version[0]}.{version[1]}"
    if isa != "riscv64":
        return Check("Runners", program, OK, text)
    has = [names for since, names in QEMU_RISCV if version >= since]
    lacks = [names for since, names in QEMU_RISCV if version < since]
    detail = f"{text} with {', '.join(has) or 'the base set'}" + (f"; lacks {', '.join(lacks)}" if lacks else "")
    remedy = "a newer QEMU (8.2 has them all)" if lacks else ""
    return Check("Runners", program, LIMITED if lacks else OK, detail, remedy)


def qemu_version(text: str) -> tuple[int, int] | None:
    """(major, minor) out of what `qemu-… --version` prints."""
    found = re.search(r"version (\d+)\.(\d+)", text)
    return (int(found.group(1)), int(found.group(2))) if found else None


def _builds() -> Iterator[Check]:
    names = list(_built())
    if not names:
        yield Check("Compilers", "cranelift", LIMITED, "not built yet; the first use builds it (about two minutes)",
                    "liftcheck compiler add cranelift")
    for name in names:
        yield Check("Compilers", name, OK, "built")


def _built() -> Iterable[str]:
    from liftcheck.compilers.cranelift import builds

    try:
        return [str(build.name) for build in builds.listed()]
    except Unavailable:
        return []


def _disk() -> Iterator[Check]:
    folder = cache_folder()
    place = next(place for place in (folder, *folder.parents) if place.exists())
    free = shutil.disk_usage(place).free
    detail = f"{folder}: {free / 1e9:.1f} GB free"
    if not os.access(place, os.W_OK):
        yield Check("Disk", "cache folder", MISSING, f"{place} cannot be written",
                    "export XDG_CACHE_HOME=FOLDER that can be written", essential=True)
    elif free < NEEDED_SPACE:
        yield Check("Disk", "cache folder", LIMITED, f"{detail}; a build of Cranelift wants 1 GB",
                    "liftcheck compiler remove NAME, or export XDG_CACHE_HOME=FOLDER elsewhere")
    else:
        yield Check("Disk", "cache folder", OK, detail)


def cache_folder() -> Path:
    """Where builds are cached."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "liftcheck"
