"""Bugs that published versions had in register allocation, tried on the version that had them and on one without.

Each row is a program of the corpus, a version, and what the validator must say there. Three bugs are Cranelift's
(prologues and exits), one is the allocator's own: regalloc2 up to 0.12.1 numbers an instruction's operands in 8 bits.
cranelift-codegen 0.120.2 asks for 0.12.2, so for that row its published sources are built once more with
`regalloc2` held at 0.12.1, and nothing else changed. Bridges that are missing are built, some minutes each.

    python ci/experiments/historical_regalloc.py [--work DIR] [--verbose] [--version 0.135.8] [--json]
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple
from unittest import mock

from liftcheck.case import CompileFailure, Target
from liftcheck.compilers.cranelift import builds, cargo
from liftcheck.compilers.cranelift.client import Cranelift
from liftcheck.isa import ISAS
from liftcheck.oracles.regalloc.validate import validate, validate_allocation
from liftcheck.regalloc.allocation import Captured

CORPUS = Path(__file__).resolve().parents[2] / "corpus"
HELD = "0.12.1"
RETURNS = ("enable_multi_ret_implicit_sret", "true")


class Row(NamedTuple):
    """`allocator`: the version of regalloc2 that is held instead of the one that Cranelift asks for. `expected`: a
    status, or the kind of failure where the compiler gives no code: what emission chokes on is not seen."""

    program: str
    version: str
    target: Target
    expected: str
    reason: str = ""
    allocator: str = ""


LOST = "a callee-saved register is not restored"
ARGUMENT = "the prologue changes an argument's register"
PROBE = Target("riscv64", (("enable_probestack", "true"), ("probestack_strategy", "outline")))
FS1 = Target("riscv64", (("regalloc_algorithm", "single_pass"),))
ROWS = (
    Row("regalloc/riscv64-fs1", "0.130.0", FS1, "invalid", LOST),
    Row("regalloc/riscv64-fs1", "0.135.8", FS1, "invalid", LOST),
    Row("regressions/riscv64-outline-probestack-overwrites-a0", "0.130.0", PROBE, "invalid", ARGUMENT),
    Row("regressions/riscv64-outline-probestack-overwrites-a0", "0.135.8", PROBE, "invalid", ARGUMENT),
    Row("regalloc/aarch64-preserve-all", "0.130.0", Target("aarch64"), "invalid", LOST),
    Row("regalloc/aarch64-preserve-all", "0.135.8", Target("aarch64"), "valid"),
    *(Row("regalloc/many-results", "0.120.2", Target(isa, (RETURNS,)), "panic", "", HELD) for isa in ISAS),
    *(Row("regalloc/many-results", "0.120.2", Target(isa, (RETURNS,)), "valid") for isa in ISAS),
)  # fmt: skip


def open_compiler(row: Row, work: Path) -> Cranelift:
    """The row's bridge, built if it is missing."""
    if not row.allocator:
        return Cranelift(f"cranelift@{row.version}", builds.REGALLOC)
    copy = work / f"cranelift-codegen-{row.version}-regalloc2-{row.allocator}"
    if not copy.exists():
        (source,) = Path.home().glob(f".cargo/registry/src/*/cranelift-codegen-{row.version}")
        shutil.copytree(source, copy)
        manifest = copy / "Cargo.toml"
        manifest.write_text(manifest.read_text().replace('version = "0.12.2"', f'version = "{row.allocator}"'))
    pin = cargo._pin

    def hold(project: Path, version: str) -> None:
        pin(project, version)
        done = cargo._run(["cargo", "update", "-p", "regalloc2", "--precise", row.allocator], project)
        if done.returncode:
            raise SystemExit(done.stderr)

    with mock.patch.object(cargo, "_pin", hold):
        return Cranelift(f"cranelift={copy}", builds.REGALLOC)


def judge(row: Row, compiler: Cranelift) -> tuple[str, str, str]:
    """Status, reason and what a person reads. Before 0.127 there are no offsets: the allocation alone is judged."""
    text = (CORPUS / f"{row.program}.clif").read_text()
    text = text[text.index("\nfunction ") :]
    (reply,) = compiler.allocations(text, [row.target], with_text=True)[0]
    if isinstance(reply, CompileFailure):
        return reply.kind, "", f"{reply.message} ({reply.place})"
    assert isinstance(reply, Captured)
    old = builds.numbers(compiler.version) < (0, 127)
    verdict = validate_allocation(reply.allocation) if old else validate(row.target.isa, reply)
    return verdict.status, verdict.reason, verdict.counterexample.render() if verdict.counterexample else ""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, default=Path("regalloc-history"), help="where the modified crate goes")
    parser.add_argument("--verbose", action="store_true", help="print counterexamples")
    parser.add_argument("--version", action="append", help="rows of this version alone")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    wrong, rows = 0, []
    with ExitStack() as stack:
        for row in ROWS:
            if options.version and row.version not in options.version:
                continue
            status, reason, words = judge(row, stack.enter_context(open_compiler(row, options.work.resolve())))
            wrong += (status, reason) != (row.expected, row.reason)
            held = f" with regalloc2 {row.allocator}" if row.allocator else ""
            rows.append(
                {
                    "program": row.program,
                    "isa": row.target.isa,
                    "version": row.version,
                    "held": row.allocator,
                    "status": status,
                    "reason": reason,
                }
            )
            print(
                f"{row.program} on {row.target.isa}, {row.version}{held}: {status} {reason}",
                flush=True,
                file=sys.stderr if options.json else sys.stdout,
            )
            if options.verbose and words:
                print(words)
    if options.json:
        print(json.dumps({"rows": rows, "wrong": wrong}))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
