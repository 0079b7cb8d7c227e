"""Measures what docs/validation-evidence.md says, and writes the page: one command for all of its figures.

The one idea: each part is a command of ours that prints JSON; what it printed is kept, cut down to what the page shows,
in docs/validation-evidence.json, and the page is the text of ci/docs/validation_evidence.md with its tables made of
that. So a part can be measured anew alone, and a test can tell a page that was written by hand.

    python ci/docs/validation_evidence.py                            # everything, an hour and a half on two cores
    python ci/docs/validation_evidence.py --size short               # a quarter of an hour; the page shows the commands
    python ci/docs/validation_evidence.py --part mutations           # one part, the others stay
    python ci/docs/validation_evidence.py --size quick --folder DIR  # a few seconds each, into another folder
    python ci/docs/validation_evidence.py --no-measure               # the page alone, from what is kept
"""

from __future__ import annotations

import argparse
import json
import re
import shlex
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Final

from liftcheck.isa import ISAS

ROOT: Final = Path(__file__).resolve().parents[2]
TEXT: Final = Path(__file__).with_suffix(".md")
NAME: Final = "validation-evidence"
SIZES: Final = ("full", "short", "quick")
COMMANDS: Final = {
    "faults": (
        "ci/experiments/regalloc_faults.py --per-kind 3 --seed 11 --time 160 --json",
        "ci/experiments/regalloc_faults.py --per-kind 2 --seed 11 --time 240 --json",
        "ci/experiments/regalloc_faults.py --per-kind 1 --seed 11 --time 8 --isa riscv64 --kind spill --json",
    ),
    "mutations": (
        "ci/experiments/validation_mutations.py --time 15m --seed 1 --jobs 2 --json",
        "ci/experiments/validation_mutations.py --time 60s --seed 1 --jobs 2 --json",
        "ci/experiments/validation_mutations.py --programs 1 --rounds 1 --seed 1 --isa x86-64 --json",
    ),
    "generated": (
        "-m liftcheck regalloc --generate 250 --seed 77 --opt none,speed,speed_and_size --json",
        "-m liftcheck regalloc --generate 60 --seed 77 --opt none,speed,speed_and_size --json",
        "-m liftcheck regalloc --generate 2 --seed 77 --json",
    ),
    "speed": (
        "ci/bench/validation.py --programs 40 --z3-programs 4",
        "ci/bench/validation.py --programs 20 --z3-programs 2",
        "ci/bench/validation.py --programs 1 --z3-programs 1",
    ),
    "historical": ("ci/experiments/historical_regalloc.py --version 0.135.8 --json",) * 3,
}
"""Each part's command in each of SIZES."""
Document = dict[str, Any]


def measured(part: str, size: str) -> Document:
    """Runs a part's command. Exit code 1 is a result, too: what was found stands in it."""
    words = COMMANDS[part][SIZES.index(size)]
    done = subprocess.run([sys.executable, *shlex.split(words)], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    if done.returncode not in (0, 1):
        raise SystemExit(f"{words}: exit code {done.returncode}")
    return kept(part, words, json.loads(done.stdout))


def kept(part: str, words: str, printed: Document) -> Document:
    """What the page needs of what a command printed."""
    shown = words.replace("-m liftcheck", "liftcheck") if words.startswith("-m") else f"python {words}"
    dropped = {"seconds", "missed", "units", "pairs", "lost", "notes", "troubles", "tool"}
    body = printed if part == "mutations" else {key: value for key, value in printed.items() if key not in dropped}
    if part == "mutations":
        body = {
            isa: {**row, "found": [f"{one['what']}: {one['kind']}: {one['words']}" for one in row["found"]]}
            for isa, row in printed.items()
        }
    if part == "faults":
        body["rows"] = [{k: v for k, v in row.items() if k != "reasons"} for row in body["rows"]]
    if part == "generated":
        pages = Counter(f"{one['isa']}: {one['reason']}" for one in body.pop("invalid"))
        body |= {"invalid": dict(pages), "undecided": len(body["undecided"]), "refused": len(body["refused"])}
    return {"command": shown, "result": body}


# The page


def page(data: Document) -> str:
    """The text, with each `{{part.block}}` filled in; parts that were not measured say so."""
    blocks: dict[str, Callable[[Document], str]] = {
        "faults.summary": faults_summary,
        "faults.harmless": faults_harmless,
        "faults.table": faults_table,
        "faults.unedited": faults_unedited,
        "mutations.summary": mutations_summary,
        "mutations.table": mutations_table,
        "mutations.beyond": mutations_beyond,
        "mutations.found": mutations_found,
        "mutations.cannot": mutations_cannot,
        "generated.table": generated_table,
        "generated.invalid": generated_invalid,
        "speed.table": speed_table,
        "speed.memory": speed_memory,
        "speed.picture": lambda r: "\n".join("    " + line for line in r["picture"].splitlines()),
        "historical.table": historical_table,
    }

    def filled(found: re.Match[str]) -> str:
        name = found[1]
        part = name.partition(".")[0]
        if name == "version":
            return str(data["speed"]["result"]["version"]) if "speed" in data else "?"
        if part not in data:
            return "not measured"
        return str(data[part]["command"]) if name.endswith(".command") else blocks[name](data[part]["result"])

    return re.sub(r"\{\{([a-z.]+)\}\}", filled, TEXT.read_text(encoding="utf-8"))


def rows(head: Sequence[str], body: Iterable[Sequence[object]]) -> str:
    """A table of Markdown."""
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join(
        [*lines, *("| " + " | ".join(f"{c:,}" if isinstance(c, int) else str(c) for c in row) + " |" for row in body)]
    )


def faults_summary(result: Document) -> str:
    """The families' totals."""
    head = (
        "",
        "planted",
        "validator refutes",
        "checker sees",
        "execution sees",
        "of these: validator",
        "of these: checker",
    )
    body = [
        (
            family,
            one["planted"],
            one["refuted"],
            _or(one["seen by the checker"]),
            one["seen by execution"],
            one["seen by execution and refuted"],
            _or(one["seen by execution and the checker"]),
        )
        for family in ("seam", "description", "bytes")
        if (one := result[family])["planted"]
    ]
    return rows(head, body)


def _or(value: object) -> object:
    return "-" if value is None else value


def faults_harmless(result: Document) -> str:
    """Why survivors do no harm."""
    why: Counter[str] = Counter()
    for family in ("seam", "description", "bytes"):
        why.update(result[family]["harmless because"])
    return rows(("why it does no harm", "faults"), why.most_common()) if why else "No fault survived all judges."


def faults_table(result: Document) -> str:
    """By kind and ISA."""
    known = {(row["family"], row["kind"], row["isa"]): row for row in result["rows"]}
    body = []
    for family, kind in dict.fromkeys((row["family"], row["kind"]) for row in result["rows"]):
        cells = []
        for isa in ISAS:
            row = known.get((family, kind, isa))
            checker = f" / {row['checker']}" if row and family == "seam" else ""
            cells.append(f"{row['refuted']}{checker} / {row['execution']} of {row['planted']}" if row else "no place")
        body.append((f"{family}: {kind}", *cells))
    return rows(("fault", *ISAS), body)


def faults_unedited(result: Document) -> str:
    """What was refuted before anything was planted."""
    alarms, known = result["false alarms"], result["without a fault"]
    lines = [f"Programs that are not valid before anything is planted: {len(alarms)} false alarms."]
    lines += [f"- {count}: {reason}" for reason, count in sorted(known.items())]
    lines += [f"- runs otherwise, and nobody knows why: {one}" for one in result["unexplained"]]
    return "\n".join(lines)


_SHORT: Final = {"valid: nothing claimed": "nothing claimed", "valid: runs alike": "runs alike",
                 "valid: not run": "not run", "UNSOUND": "unsound"}  # fmt: skip


def mutations_summary(result: Document) -> str:
    """By ISA."""
    columns = list(next(iter(next(iter(result.values()))["kinds"].values())))
    head = ("", "programs", "functions unedited", "of these: false alarms", *(_SHORT.get(c, c) for c in columns))
    body = [
        (
            isa,
            row["programs"],
            row["unedited"],
            row["false alarms"],
            *(sum(kind[c] for kind in row["kinds"].values()) for c in columns),
        )
        for isa, row in result.items()
    ]
    return rows(head, body)


def mutations_table(result: Document) -> str:
    """By kind: of each ISA 'refuted / changed behaviour of tried', and what is unsound."""
    kinds = next(iter(result.values()))["kinds"]
    body = []
    for kind in kinds:
        cells = [result[isa]["kinds"][kind] for isa in result]
        body.append(
            (
                kind,
                *(f"{c['refuted']} / {c['changed behaviour']} of {c['tried']}" for c in cells),
                sum(c["UNSOUND"] for c in cells),
            )
        )
    return "Refuted / changed behaviour of tried:\n\n" + rows(("kind", *result, "unsound"), body)


def mutations_beyond(result: Document) -> str:
    """Reasons of what is counted apart."""
    notes: Counter[str] = Counter()
    for row in result.values():
        notes.update(row["notes"])
    lines = [f"- {count:,}: {note}" for note, count in sorted(notes.items()) if not note.startswith("faulty")]
    return "What was counted apart, by reason:\n\n" + "\n".join(lines)


def mutations_found(result: Document) -> str:
    """What is still open, in the fuzzer's words."""
    lines = [f"- {isa}: {one}" for isa, row in result.items() for one in row["found"]]
    return "What was found wrong with the validator:\n\n" + "\n".join(lines) if lines else "Nothing was found wrong."


def mutations_cannot(_result: Document) -> str:
    """The fuzzer's own list."""
    sys.path.insert(0, str(ROOT / "ci" / "experiments"))
    from validation_mutations import CANNOT

    return "\n".join(f"- {line}" for line in CANNOT)


def generated_table(result: Document) -> str:
    """Verdicts by ISA."""
    body = []
    for isa, algorithms in result["isas"].items():
        one: Counter[str] = Counter()
        for row in algorithms.values():
            one.update({key: row[key] for key in ("functions", "valid", "invalid")})
            one["undecided"] += sum(row["undecided"].values())
        body.append((isa, *(one[key] for key in ("functions", "valid", "invalid", "undecided"))))
    return rows(("ISA", "functions", "valid", "invalid", "undecided"), body)


def generated_invalid(result: Document) -> str:
    """Which refutations there are (of each reason a few are kept)."""
    reasons = sorted(result["invalid"])
    known = "; `fs1` is [a bug of the compiler's](findings/riscv64-fs1-not-saved.md)" if reasons else ""
    return "Refuted for: " + ("; ".join(reasons) or "nothing") + known + "."


def speed_table(result: Document) -> str:
    """By ISA."""
    body = [
        (isa, row["per_second"], row["z3_only"], row["compile_us"], result["slope"][isa])
        for isa, row in result["rate"].items()
    ]
    return rows(("ISA", "machine instructions/s", "z3 only", "bridge, µs", "slope"), body)


def speed_memory(result: Document) -> str:
    """The process's peak."""
    return (
        f"The process's memory peaks at {result['peak_mb']} MB, with the longest functions; it is at "
        f"{result['half_mb']} MB after the generated programs of the first ISA. The tables of decoded instructions "
        "are bounded."
    )


def historical_table(result: Document) -> str:
    """Each program and version that was tried."""
    held = {True: " with regalloc2 ", False: ""}
    body = [
        (
            f"`{row['program']}`",
            row["isa"],
            row["version"] + held[bool(row["held"])] + row["held"],
            row["status"],
            row["reason"],
        )
        for row in result["rows"]
    ]
    return rows(("program", "ISA", "version", "verdict", "reason"), body)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", action="append", choices=sorted(COMMANDS))
    parser.add_argument("--size", choices=SIZES, default=SIZES[0], help="quick: to see that it works")
    parser.add_argument("--no-measure", action="store_true", help="write the page from what is kept")
    parser.add_argument("--folder", type=Path, default=ROOT / "docs")
    options = parser.parse_args()
    store = options.folder / f"{NAME}.json"
    data: Document = json.loads(store.read_text(encoding="utf-8")) if store.exists() else {}
    for part in () if options.no_measure else options.part or COMMANDS:
        print(f"{part}: {COMMANDS[part][SIZES.index(options.size)]}", file=sys.stderr, flush=True)
        data[part] = measured(part, options.size)
        store.write_text(json.dumps(data, indent=1, sort_keys=True, ensure_ascii=False) + "\n", encoding="utf-8")
    (options.folder / f"{NAME}.md").write_text(page(data), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
