"""Plants wrong rules in the real Cranelift, one at a time, and measures how long a campaign takes to find each.

Each row edits one rule of a copy of the published `cranelift-codegen` crate (found in cargo's registry), builds the
bridge over the copy (`liftcheck compiler add cranelift=PATH`, about two minutes each) and fuzzes it until the limit.
A finding counts if it is gone when replayed on the published version, which has bugs of its own. Prints one JSON line a
row, with the time of the first finding that counts; exit code 1 if a row was not found.

    python ci/experiments/planted_rules.py [--only NAME] [--limit 60] [--work DIR]
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

VERSION = "0.135.8"


@dataclass(frozen=True)
class Plant:
    """`old` must occur in `file` exactly once; `isas` are those on which the wrong code may show."""

    name: str
    file: str
    old: str
    new: str
    isas: tuple[str, ...]


PLANTS = (
    Plant("mid-end: x - -y becomes x - y", "src/opts/arithmetic.isle",
          "(rule (simplify (isub ty x (ineg ty y)))\n      (iadd ty x y))",
          "(rule (simplify (isub ty x (ineg ty y)))\n      (isub ty x y))",
          ("x86-64", "aarch64", "riscv64", "s390x")),
    Plant("riscv64: bnot negates instead", "src/isa/riscv64/lower.isle",
          "(rule 0 (lower (bnot (ty_int_ref_scalar_64_extract _) x))\n  (rv_not x))",
          "(rule 0 (lower (bnot (ty_int_ref_scalar_64_extract _) x))\n  (rv_neg x))", ("riscv64",)),
    Plant("s390x: iabs of narrow integers extends with zeros", "src/isa/s390x/lower.isle",
          "(abs_reg (ty_ext32 ty) (put_in_reg_sext32 x))", "(abs_reg (ty_ext32 ty) (put_in_reg_zext32 x))", ("s390x",)),
)  # fmt: skip


def registry_crate() -> Path:
    """The published crate's folder in cargo's registry; fetched by building the default bridge first."""
    found = sorted(Path.home().glob(f".cargo/registry/src/*/cranelift-codegen-{VERSION}"))
    if not found:
        sys.exit(f"cranelift-codegen {VERSION} is not in the registry: `liftcheck compiler add cranelift@{VERSION}`")
    return found[0]


def plant(row: Plant, work: Path) -> Path:
    """A copy of the crate with the one rule changed."""
    copy = work / row.name.split(":", 1)[0]
    shutil.copytree(registry_crate(), copy, dirs_exist_ok=True)
    file = copy / row.file
    text = file.read_text()
    if text.count(row.old) != 1:
        sys.exit(f"{row.name}: the rule stands {text.count(row.old)} times in {row.file}, not once")
    file.write_text(text.replace(row.old, row.new))
    return copy


def hunt(row: Plant, crate: Path, limit: int, out: Path) -> dict[str, Any]:
    """Builds, then fuzzes for `limit` seconds; the seconds until the first finding on one of the row's ISAs."""
    spec = f"cranelift={crate}"
    subprocess.run([sys.executable, "-m", "liftcheck", "compiler", "add", spec], check=True, stdout=sys.stderr)
    isas = [word for isa in row.isas for word in ("--isa", isa)]
    command = [
        sys.executable,
        "-m",
        "liftcheck",
        "fuzz",
        "--compiler",
        spec,
        *isas,
        "--time",
        f"{limit}s",
        "--json",
        "--out",
        str(out),
    ]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    report = json.loads(done.stdout)
    times = [f["seconds"] for f in report["findings"] if f["isa"] in row.isas and is_planted(f["folder"])]
    return {
        "plant": row.name,
        "found": bool(times),
        "seconds": min(times, default=None),
        "planted": len(times),
        "findings": len(report["findings"]),
        "pairs": report["pairs"],
    }


def is_planted(folder: str) -> bool:
    """Whether the published version is right where the copy is wrong."""
    command = [sys.executable, "-m", "liftcheck", "replay", folder, "--compiler", f"cranelift@{VERSION}"]
    return subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="rows whose name contains this")
    parser.add_argument("--limit", type=int, default=60, help="seconds of fuzzing a row")
    parser.add_argument("--work", type=Path, help="where the copies go (default: a temporary folder)")
    options = parser.parse_args()
    missed = 0
    with tempfile.TemporaryDirectory() as temporary:
        work = options.work or Path(temporary)
        for row in (row for row in PLANTS if options.only in row.name):
            result = hunt(row, plant(row, work), options.limit, work / f"findings-{row.name.split(':', 1)[0]}")
            missed += not result["found"]
            print(json.dumps(result), flush=True)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
