"""Plants wrong rules in the compiler of our own, one at a time, and tells which are found, and by what.

The one idea: a copy of the package with one word of one lowering rule exchanged (an instruction for a sibling, a
condition, the halves of a pair, how a narrow value is widened) compiles programs of the generator, whose run lines the
reference interpreter made; a line that is not met finds the fault. A fault that survives is printed with its line: it
changes nothing, or no program reached it.

    python ci/experiments/builtin_faults.py --isa I [--faults N] [--programs N] [--seed N]
"""

from __future__ import annotations

import argparse
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

import liftcheck

PACKAGE: Final = Path(liftcheck.__file__).parent
SIBLINGS: Final = {
    "w_add ": "w_sub ", "w_sub ": "w_add ", "w_and ": "w_or ", "w_or ": "w_and ", "w_xor ": "w_or ",
    "w_sll ": "w_srl ", "w_srl ": "w_sra ", "w_sra ": "w_srl ", "w_srli ": "w_srai ", "w_srai ": "w_srli ",
    "w_slli ": "w_srli ", "w_slt ": "w_sltu ", "w_sltu ": "w_slt ", "w_mulh ": "w_mulhu ", "w_mulhu ": "w_mulh ",
    "w_div ": "w_divu ", "w_divu ": "w_div ", "w_rem ": "w_remu ", "w_remu ": "w_rem ", "w_addw ": "w_subw ",
    "w_subw ": "w_addw ", "w_sllw ": "w_srlw ", "w_srlw ": "w_sraw ", "w_sraw ": "w_srlw ", "(zext ": "(sext ",
    "(sext ": "(zext ", "IntCC.eq": "IntCC.ne", "IntCC.ne": "IntCC.eq", "IntCC.ult": "IntCC.slt",
    "IntCC.slt": "IntCC.sgt", "(low ": "(high ", "(high ": "(low ", "m_lbu": "m_lb", "m_lb ": "m_lbu ",
    "m_lhu": "m_lh", "m_lh ": "m_lhu ", "m_sh": "m_sb", "m_sw": "m_sh", "feq ": "fle ", "flt ": "fle ", "fle ": "flt ",
    "w_fadd.": "w_fsub.", "w_fsub.": "w_fadd.", "w_fmul.": "w_fadd.", "w_fdiv.": "w_fmul.", "s_fmin": "s_fmax",
    "s_ceil": "s_floor", "s_floor": "s_trunc", "code_divz": "code_overflow", "code_overflow": "code_toint",
}  # fmt: skip


class Fault(NamedTuple):
    """`old` at `column` of a line becomes `new`."""

    line: int
    column: int
    old: str
    new: str


def faults(text: str) -> Iterator[Fault]:
    """Every exchange on the right-hand side of a rule."""
    for number, line in enumerate(text.splitlines()):
        if line.startswith((";", "(decl", "(type")):
            continue
        for old, new in SIBLINGS.items():
            for found in re.finditer(re.escape(old), line):
                if not (line.startswith("(rule") and found.start() < line.find("))") and "lower" in line):
                    yield Fault(number, found.start(), old, new)


def planted(text: str, fault: Fault) -> str:
    """The rules with the fault in them."""
    lines = text.splitlines()
    line = lines[fault.line]
    lines[fault.line] = line[: fault.column] + fault.new + line[fault.column + len(fault.old) :]
    return "\n".join(lines) + "\n"


def run(tree: Path, isa: str, programs: Path) -> subprocess.CompletedProcess[str]:
    """The programs, compiled by the compiler in `tree` and executed."""
    command = [sys.executable, "-m", "liftcheck", "test", str(programs), "--compiler", "builtin", "--isa", isa]
    environment = os.environ | {"PYTHONPATH": str(tree), "LIFTCHECK_CACHE": str(tree / "cache")}
    return subprocess.run(
        [*command, "--jobs", "1"], cwd=tree, env=environment, capture_output=True, text=True, timeout=300
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--isa", required=True)
    parser.add_argument("--faults", type=int, default=40)
    parser.add_argument("--programs", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        tree, programs = Path(folder) / "tree", Path(folder) / "programs"
        shutil.copytree(PACKAGE, tree / "liftcheck", ignore=shutil.ignore_patterns("__pycache__"))
        options = ["--isa", args.isa, "--compiler", "builtin", "--seed", str(args.seed), "--count", str(args.programs)]
        generate = [sys.executable, "-m", "liftcheck", "generate", *options, "--out", str(programs)]
        subprocess.run(generate, cwd=tree, check=True, capture_output=True)
        rules = tree / "liftcheck" / "mach" / "words.isle"
        right = rules.read_text(encoding="utf-8")
        clean = run(tree, args.isa, programs)
        if clean.returncode:
            print(f"not silent without a fault:\n{clean.stdout[-2000:]}{clean.stderr[-2000:]}")
            return 1
        every = list(faults(right))
        chosen = random.Random(args.seed).sample(every, min(args.faults, len(every)))
        found = 0
        for fault in sorted(chosen):
            rules.write_text(planted(right, fault), encoding="utf-8")
            done = run(tree, args.isa, programs)
            caught = done.returncode != 0
            found += caught
            what = f"words.isle:{fault.line + 1}: {fault.old.strip()} -> {fault.new.strip()}"
            last = next(reversed((done.stdout + done.stderr).strip().splitlines()), "")
            print(f"{'found' if caught else 'SURVIVES'}  {what:<50} {last[:100]}", flush=True)
        print(f"{args.isa}: {found} of {len(chosen)} planted rule faults found by {args.programs} programs")
    return 0


if __name__ == "__main__":
    sys.exit(main())
