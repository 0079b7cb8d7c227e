"""A campaign whose processes are killed at random, resumed until it is done, beside an undisturbed one.

The one idea: with `--cases` everything that a campaign says, times aside, is a function of its options. So both must
say the same: every count, every rule that was executed, every finding with its count, its program and its folder's
name. Every `--every` seconds one process of the campaign's own is killed (SIGKILL): first its kind is drawn (the
campaign itself, a worker, a compiler's child, an emulator, …), then which of that kind. When the campaign itself is
dead, `liftcheck fuzz --resume` goes on, and nothing that the dead one started may live on for longer than `ORPHANS`
seconds. After `--minutes` nobody is killed any more. Exit code 1 if the two differ, or if something lived on.

With `--disk MIB` the killed campaign's folder lies on a disk of its own (a tmpfs, for which the script needs root), and
every other kill is a disk that somebody else fills, until the next.
With `--cluster N` the killed campaign is done by N workers of a Dask scheduler, which are killed, too, with their
nannies and the scheduler; whoever is missing is started anew. The undisturbed one is done by local processes.

    python ci/experiments/kill_campaign.py --minutes 10 --cases 60000
    python ci/experiments/kill_campaign.py --minutes 2 --every 5 --cases 2000 --disk 8
    python ci/experiments/kill_campaign.py --cluster 2 --compiler cranelift@0.130.0 --compiler cranelift@0.135.8
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from liftcheck.campaign.execute.local import children
from liftcheck.campaign.findings.store import RECIPE
from liftcheck.campaign.keep import kept
from liftcheck.campaign.report import rule_coverage
from liftcheck.errors import InputError

FUZZ = [sys.executable, "-m", "liftcheck", "fuzz", "--json"]
TIMES = ("seconds", "pairs_per_second", "time_share", "activity", "jobs", "worker_deaths")
MARK = "LIFTCHECK_KILL_CAMPAIGN"
"""In the environment of all processes of a campaign: whose they are, although their parent is dead."""
ORPHANS = 20.0
GONE = 3
"""The exit code of a campaign whose scheduler is gone, or whose disk is full."""


def below(pid: int) -> list[int]:
    """What a process started, and what that started."""
    return [one for child in children(pid) for one in (child, *below(child))]


def kind_of(pid: int) -> str:
    """What a process is, in a word or two."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")
    except OSError:
        return "gone"
    line, name = " ".join(words), Path(words[0]).name
    if words[1:3] == ["-m", "liftcheck"]:
        return "campaign"
    for part, kind in KINDS.items():
        if part in line:
            return kind
    if name.startswith("liftcheck"):
        return "compiler"
    return "native runner" if name.isdigit() else name.partition("-")[0] or "gone"


KINDS = {
    "dask_scheduler": "scheduler",
    "dask_worker": "nanny",
    "resource_tracker": "resource tracker",
    "spawn_main": "worker",
}


def marked(mark: str) -> list[int]:
    """The living processes whose environment has a mark."""
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if f"{MARK}={mark}".encode() in (place / "environ").read_bytes().split(b"\0"):
                found.append(int(place.name))
    return found


def orphans(mark: str, patience: float = ORPHANS) -> list[str]:
    """What of a dead campaign still lives after `patience` seconds; it is ended now."""
    deadline = time.monotonic() + patience
    while (living := marked(mark)) and time.monotonic() < deadline:
        time.sleep(0.2)
    names = [kind_of(pid) for pid in living]
    for pid in living:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    return names


class Cluster:
    """A scheduler and workers in processes of their own; `mend` starts anew who is missing."""

    def __init__(self, size: int, log: Path) -> None:
        self.log = log
        self.members: list[subprocess.Popen[bytes] | None] = [None] * (1 + size)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.address = f"tcp://127.0.0.1:{self.port}"
        self.mend()

    def mend(self) -> None:
        first = ["distributed.cli.dask_scheduler", "--no-dashboard", "--host", "127.0.0.1", "--port", str(self.port)]
        worker = ["distributed.cli.dask_worker", self.address, "--no-dashboard", "--nthreads", "1"]
        with self.log.open("ab") as log:
            for number, member in enumerate(self.members):
                if member is None or member.poll() is not None:
                    words = [sys.executable, "-m", *(worker if number else first)]
                    self.members[number] = subprocess.Popen(words, stdout=log, stderr=log)

    @property
    def pids(self) -> list[int]:
        return [one for member in self.members if member for one in (member.pid, *below(member.pid))]

    def end(self) -> None:
        for pid in self.pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for member in self.members:
            if member:
                member.wait()


class Disk:
    """A small disk at a place, which `fill` leaves no room on and `empty` does again."""

    def __init__(self, place: Path, mebibytes: int) -> None:
        self.place = place
        self.ballast = place / "ballast"
        place.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={mebibytes}m", "none", str(place)], check=True)

    def fill(self) -> None:
        with contextlib.suppress(OSError), self.ballast.open("ab", buffering=0) as file:
            while file.write(bytes(1 << 16)):
                pass

    def empty(self) -> None:
        self.ballast.unlink(missing_ok=True)

    def end(self) -> None:
        subprocess.run(["umount", "-l", str(self.place)], check=False)


class Campaign:
    """One campaign, in however many processes after one another. `lived`: what outlived the one that had started it."""

    def __init__(self, words: Sequence[str], who: Sequence[str], place: Path, name: str) -> None:
        self.words = words
        self.who = who
        self.out = place / name
        self.cluster: Cluster | None = None
        self.disk: Disk | None = None
        self.document = place / f"{name}.json"
        self.log = place / f"{name}.log"
        self.mark = uuid.uuid4().hex
        self.starts = 0
        self.victims: Counter[str] = Counter()
        self.lived: Counter[str] = Counter()

    def run(self, minutes: float, every: float, draw: random.Random) -> float:
        """To its end, in spite of kills; how long that took."""
        began = time.monotonic()
        process = self._start()
        while True:
            shaken = time.monotonic() < began + 60 * minutes
            if self.disk:
                self.disk.empty()
            if self.disk and shaken and draw.random() < 0.5:
                self.disk.fill()
                self.victims["disk"] += 1
                time.sleep(every)
                self.disk.empty()
            if self.cluster:
                self.cluster.mend()
            try:
                code = process.wait(every if shaken or self.cluster else None)
            except subprocess.TimeoutExpired:
                if shaken:
                    self._kill(process.pid, draw)
                continue
            self.lived.update(orphans(self.mark))
            if code in (0, 1) and not self._is_stopped():
                return time.monotonic() - began
            if code not in (0, 1, -signal.SIGKILL) and not (code == GONE and (self.cluster or self.disk)):
                raise SystemExit(f"the campaign ended with exit code {code}: {self.log.read_text()[-2000:]}")
            process = self._start()

    def _is_stopped(self) -> bool:
        """Whether the campaign says that it ended for want of room, or that something could not be written."""
        if self.disk:
            self.disk.empty()
        document = json.loads(self.document.read_text())
        return bool(document["stopped"] or document["storage"])

    def _start(self) -> subprocess.Popen[bytes]:
        """Begins the campaign, or goes on with it once its folder has one."""
        self.starts += 1
        words = ["--resume", str(self.out)] if has_begun(self.out) else [*self.words, "--out", str(self.out)]
        env = {**os.environ, MARK: self.mark}
        with self.document.open("wb") as document, self.log.open("ab") as log:
            return subprocess.Popen([*FUZZ, *words, *self.who], stdout=document, stderr=log, env=env)

    def _kill(self, pid: int, draw: random.Random) -> None:
        """Ends one process: first its kind is drawn, since emulators are many."""
        kinds: dict[str, list[int]] = {}
        for one in [pid, *below(pid), *(self.cluster.pids if self.cluster else [])]:
            kinds.setdefault(kind_of(one), []).append(one)
        kind = draw.choice(sorted(kinds))
        with contextlib.suppress(ProcessLookupError):
            os.kill(draw.choice(kinds[kind]), signal.SIGKILL)
            self.victims[kind] += 1


def has_begun(out: Path) -> bool:
    try:
        return bool(kept.all_in(out))
    except InputError:
        return False


def said(campaign: Campaign) -> dict[str, Any]:
    """What a campaign says, without times; findings by key, with what their folders hold; rules with their counts."""
    document: dict[str, Any] = json.loads(campaign.document.read_text())
    for row in (document, *document["isas"].values()):
        for name in TIMES:
            row.pop(name, None)
    document["findings"] = {row["key"]: finding(row) for row in document["findings"]}
    document["troubles"].sort(key=lambda row: row["case"])
    document["folders"] = sorted(place.name for place in campaign.out.iterdir() if place.is_dir())
    if (campaign.out / rule_coverage.FILE).exists():
        document["executed rules"] = json.loads((campaign.out / rule_coverage.FILE).read_text())
    return document


def finding(row: dict[str, Any]) -> dict[str, Any]:
    place = Path(row.pop("folder"))
    row.pop("seconds")
    recipe = json.loads((place / RECIPE).read_text())
    recipe.pop("seconds")
    return {**row, "name": place.name, "recipe": recipe}


def differences(left: Any, right: Any, where: str = "") -> Iterator[str]:
    """Where two documents differ, a line each."""
    if isinstance(left, dict) and isinstance(right, dict):
        for key in sorted({*left, *right}):
            yield from differences(left.get(key), right.get(key), f"{where}/{key}")
    elif left != right:
        yield f"{where}: {str(left)[:150]} != {str(right)[:150]}"


def numbers(document: dict[str, Any]) -> dict[str, int]:
    """A few counts of all those that are compared."""
    isas = document["isas"].values()
    kept_rules = document.get("executed rules", {"compilers": []})["compilers"]
    return {
        "programs": document["programs"],
        "pairs": document["pairs"],
        "refused": sum(sum(row["refused"].values()) for row in isas),
        "undecided": sum(sum(row["undecided"].values()) for row in isas),
        "findings": len(document["findings"]),
        "  their counts": sum(row["count"] for row in document["findings"].values()),
        "executed rules": sum(len(places) for one in kept_rules for places in one["isas"].values()),
        "  their counts ": sum(hit[0] for one in kept_rules for row in one["isas"].values() for hit in row.values()),
    }


def compared(quiet: Campaign, shaken: Campaign) -> int:
    """Prints both beside one another; how many differences there are."""
    left, right = said(quiet), said(shaken)
    print("killed:", ", ".join(f"{count} {name}" for name, count in shaken.victims.most_common()) or "nobody")
    print(f"starts of the campaign: {shaken.starts}")
    print(f"{'':<16}{'undisturbed':>14}{'killed':>14}")
    for (name, one), other in zip(numbers(left).items(), numbers(right).values(), strict=True):
        print(f"{name:<16}{one:>14,}{other:>14,}")
    lines = list(differences(left, right))
    lines += [f"{count} {name} lived on after its campaign" for name, count in (quiet.lived + shaken.lived).items()]
    print("\n".join(lines) or "no difference, to the last count and file; nothing lived on")
    return len(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=10.0, help="how long processes are killed")
    parser.add_argument("--every", type=float, default=10.0, help="seconds between two kills")
    parser.add_argument("--cases", type=int, default=60_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--cluster", type=int, default=0, metavar="N", help="the killed one has N workers of Dask")
    parser.add_argument("--disk", type=int, default=0, metavar="MIB", help="the killed one's disk, which gets full")
    parser.add_argument("--compiler", action="append", help="may be given twice, as to fuzz")
    parser.add_argument("--isa", default="all")
    args = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(3))
    words = ["--cases", str(args.cases), "--seed", str(args.seed), "--isa", args.isa]
    words += [word for name in args.compiler or ["cranelift"] for word in ("--compiler", name)]
    local = ["--jobs", str(args.jobs)]
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        cluster = Cluster(args.cluster, place / "dask") if args.cluster else None
        who = ["--scheduler", cluster.address] if cluster else local
        quiet, shaken = Campaign(words, local, place, "undisturbed"), Campaign(words, who, place, "killed")
        shaken.cluster = cluster
        shaken.disk = Disk(shaken.out, args.disk) if args.disk else None
        try:
            took = shaken.run(args.minutes, args.every, random.Random(args.seed))
            if cluster:
                cluster.end()
            print(f"killed and continued: {took:.0f} s; undisturbed: {quiet.run(0, 0, random.Random(0)):.0f} s")
            return 1 if compared(quiet, shaken) else 0
        finally:
            for campaign in (quiet, shaken):
                orphans(campaign.mark, 0.0)
            if cluster:
                cluster.end()
            if shaken.disk:
                shaken.disk.end()


if __name__ == "__main__":
    raise SystemExit(main())
