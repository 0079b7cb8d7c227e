"""How long the compiler of our own takes, beside its peers, in one run: text of CLIF in memory to machine code.

The one idea: each candidate compiles the same program again and again in turns, in this process, and medians of
processor time are compared; a peer that is not installed is skipped, and said. LLVM gets its own IR as text, which
`compilers.llvm` makes of the same function outside of the clock.

    python ci/bench/compile.py [--isa I] [--turns N] [--json]
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from importlib.util import find_spec

from liftcheck.case import CompileFailure, Target
from liftcheck.clif.text.parser import parse_module
from liftcheck.compilers.builtin.client import Builtin
from liftcheck.isa import ISAS
from liftcheck.isa.base import isa_named

TWICE = "function %twice(i64) -> i64 system_v {\nblock0(v0: i64):\n    v1 = iadd v0, v0\n    return v1\n}\n"


def loop(count: int) -> str:
    """A loop of so many instructions: sums, products, shifts and differences of what came before."""
    ops = ("iadd", "imul", "bxor", "isub", "band", "bor", "ishl", "ushr")
    lines = [f"    v{n} = {ops[n % 8]} v{n - 1}, v{n - 3}\n" for n in range(8, 8 + count - 4)]
    last = 8 + count - 5
    return (
        "function %loop(i64, i64) -> i64 system_v {\nblock0(v0: i64, v1: i64):\n    v2 = iconst.i64 0\n"
        "    jump block1(v2, v0, v1)\nblock1(v3: i64, v5: i64, v6: i64):\n    v7 = iadd v3, v5\n"
        f"{''.join(lines)}    v{last + 1} = iconst.i64 1\n    v{last + 2} = iadd v3, v{last + 1}\n"
        f"    v{last + 3} = icmp ult v{last + 2}, v1\n"
        f"    brif v{last + 3}, block1(v{last + 2}, v{last}, v{last - 1}), block2\nblock2:\n    return v{last}\n}}\n"
    )


PROGRAMS: Mapping[str, str] = {"x + x": TWICE, "a loop of 73 instructions": loop(73)}


def builtin(text: str, isa: str, level: str) -> Callable[[], None]:
    """Our own compiler: read, verified, compiled."""
    compiler, target = Builtin(), Target(isa, (("opt_level", level),))

    def run() -> None:
        (reply,) = compiler.compile_text(text, [target])[0]
        if isinstance(reply, CompileFailure):
            raise SystemExit(f"builtin refuses {text}: {reply.reason}")

    return run


def llvm(text: str, isa: str, level: int) -> Callable[[], None]:
    """LLVM: its IR read, verified, compiled to an object."""
    from llvmlite import binding

    from liftcheck.compilers.llvm.translate import translate

    binding.initialize_all_targets()
    binding.initialize_all_asmprinters()
    value = isa_named(isa)
    facts = value.part("llvm:LLVM")
    triple = f"{value.listed.triple.split('-')[0]}-unknown-linux-gnu"
    said = translate(parse_module(text).functions[0], facts, Target(isa).big_endian, triple, False, False).text
    machine = binding.Target.from_triple(triple).create_target_machine(cpu=facts.cpu, opt=level, reloc="pic")

    def run() -> None:
        module = binding.parse_assembly(said)
        module.verify()
        if level:
            options = binding.create_pipeline_tuning_options(speed_level=level)
            passes = binding.create_pass_builder(machine, options)
            passes.getModulePassManager().run(module, passes)
        machine.emit_object(module)

    return run


def measured(candidates: Mapping[str, Callable[[], None]], turns: int) -> dict[str, float]:
    """Milliseconds of processor time, the median of turns."""
    times: dict[str, list[float]] = {name: [] for name in candidates}
    for run in candidates.values():
        run()
    for _ in range(turns):
        for name, run in candidates.items():
            started = time.process_time_ns()
            run()
            times[name].append((time.process_time_ns() - started) / 1e6)
    return {name: statistics.median(some) for name, some in times.items()}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--isa", default="x86-64", choices=ISAS)
    parser.add_argument("--turns", type=int, default=200)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    there = find_spec("llvmlite") is not None
    if not there:
        print("llvmlite is not installed: LLVM is left out", file=sys.stderr)
    report: dict[str, dict[str, float]] = {}
    for name, text in PROGRAMS.items():
        candidates = {f"builtin, {level}": builtin(text, args.isa, level) for level in ("none", "speed")}
        if there:
            candidates |= {f"LLVM -O{level}": llvm(text, args.isa, level) for level in (0, 2)}
        report[name] = measured(candidates, args.turns)
    if args.json:
        print(json.dumps(report))
        return 0
    for name, times in report.items():
        print(f"{name} ({args.isa}), ms of processor time, medians of {args.turns} turns")
        print("".join(f"    {candidate:<16} {value:8.3f}\n" for candidate, value in times.items()), end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
