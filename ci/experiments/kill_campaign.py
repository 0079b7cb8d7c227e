"""A campaign whose processes are killed at random, resumed until it is done, beside an undisturbed one.

The one idea: with `--cases` everything that a campaign says, times aside, is a function of its options. So both must
say the same: every count, every finding with its count, its program and its folder's name.
Every `--every` seconds one process is killed (SIGKILL) of the campaign's own: its parent, a worker, a compiler's child
or an emulator, chosen at random. When the parent is dead, `liftcheck fuzz --resume` goes on. After `--minutes` no more
are killed. Exit code 1 if the two differ.

    python ci/experiments/kill_campaign.py --minutes 10 --cases 60000
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from liftcheck.campaign.execute.local import children
from liftcheck.campaign.findings.store import RECIPE
from liftcheck.campaign.keep import kept
from liftcheck.errors import InputError

FUZZ = [sys.executable, "-m", "liftcheck", "fuzz", "--json"]
TIMES = ("seconds", "pairs_per_second", "time_share", "activity", "jobs", "worker_deaths")


def processes(pid: int) -> list[int]:
    """A process and what it started, and what that started."""
    return [pid, *(one for child in children(pid) for one in processes(child))]


def name_of(pid: int) -> str:
    """What a process is, in a word or two."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")
    except OSError:
        return "gone"
    if words[1:3] == ["-m", "liftcheck"]:
        return "parent"
    if "spawn_main" in " ".join(words):
        return "worker"
    if "resource_tracker" in " ".join(words):
        return "resource tracker"
    name = Path(words[0]).name
    if name.startswith("liftcheck"):
        return "compiler"
    return "native runner" if name.isdigit() else name.partition("-")[0] or "?"


def killed(words: Sequence[str], out: Path, minutes: float, every: float, draw: random.Random) -> Counter[str]:
    """Runs a campaign to its end in spite of kills; gives who was killed how often."""
    victims: Counter[str] = Counter()
    deadline = time.monotonic() + 60 * minutes
    process = started([*FUZZ, *words, "--out", str(out)], out)
    while True:
        wait = every if time.monotonic() < deadline else None
        try:
            code = process.wait(wait)
        except subprocess.TimeoutExpired:
            victim = draw.choice(processes(process.pid))
            victims[name_of(victim)] += 1
            try:
                os.kill(victim, signal.SIGKILL)
            except ProcessLookupError:
                victims["gone"] += 1
            continue
        if code in (0, 1):
            return victims
        if code != -signal.SIGKILL:
            raise SystemExit(f"the campaign ended with exit code {code}: {(out.parent / 'words').read_text()[-2000:]}")
        going_on = ["--resume", str(out), *jobs(words)] if has_begun(out) else [*words, "--out", str(out)]
        process = started([*FUZZ, *going_on], out)


def has_begun(out: Path) -> bool:
    try:
        return bool(kept.all_in(out))
    except InputError:
        return False


def jobs(words: Sequence[str]) -> list[str]:
    return list(words[words.index("--jobs") : words.index("--jobs") + 2])


def started(words: Sequence[str], out: Path) -> subprocess.Popen[bytes]:
    with (out.parent / f"{out.name}.json").open("wb") as document, (out.parent / "words").open("ab") as said:
        return subprocess.Popen(words, stdout=document, stderr=said)


def said(out: Path) -> dict[str, Any]:
    """What a campaign says, without times; findings by key, with what their folders hold."""
    document = json.loads((out.parent / f"{out.name}.json").read_text())
    for row in (document, *document["isas"].values()):
        for name in TIMES:
            row.pop(name, None)
    document["findings"] = {row["key"]: finding(row) for row in document["findings"]}
    document["troubles"].sort(key=lambda row: row["case"])
    document["folders"] = sorted(place.name for place in out.iterdir() if place.is_dir())
    return document


def finding(row: dict[str, Any]) -> dict[str, Any]:
    place = Path(row.pop("folder"))
    row.pop("seconds")
    recipe = json.loads((place / RECIPE).read_text())
    recipe.pop("seconds")
    return {**row, "name": place.name, "recipe": recipe}


def differences(left: Any, right: Any, where: str = "") -> list[str]:
    """Where two documents differ, a line each."""
    if isinstance(left, dict) and isinstance(right, dict):
        keys = sorted({*left, *right})
        return [line for key in keys for line in differences(left.get(key), right.get(key), f"{where}/{key}")]
    return [] if left == right else [f"{where}: {str(left)[:150]} != {str(right)[:150]}"]


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--every", type=float, default=10.0)
    parser.add_argument("--cases", type=int, default=60_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--compiler", default="cranelift")
    parser.add_argument("--isa", default="all")
    args = parser.parse_args()
    words = ["--cases", str(args.cases), "--seed", str(args.seed), "--jobs", str(args.jobs)]
    words += ["--compiler", args.compiler, "--isa", args.isa]
    with tempfile.TemporaryDirectory() as folder:
        quiet, shaken = Path(folder) / "undisturbed", Path(folder) / "killed"
        began = time.monotonic()
        victims = killed(words, shaken, args.minutes, args.every, random.Random(args.seed))
        middle = time.monotonic()
        killed(words, quiet, 0, 0, random.Random(0))
        left, right = said(quiet), said(shaken)
        print(f"undisturbed: {time.monotonic() - middle:.0f} s; killed and resumed: {middle - began:.0f} s")
        print("killed:", ", ".join(f"{count} {name}" for name, count in victims.most_common()) or "nobody")
        for name in ("programs", "pairs"):
            print(f"{name:<12}{left[name]:>12,}{right[name]:>12,}")
        print(f"{'findings':<12}{len(left['findings']):>12,}{len(right['findings']):>12,}")
        counts = [sum(row["count"] for row in one["findings"].values()) for one in (left, right)]
        print(f"{'  counts':<12}{counts[0]:>12,}{counts[1]:>12,}")
        lines = differences(left, right)
        print("\n".join(lines) or "no difference, to the last count and file")
        return 1 if lines else 0


if __name__ == "__main__":
    raise SystemExit(main())
