"""Measures the runners: microseconds per batch and row, on real Cranelift code, all runners in one run.

    python ci/bench/runners.py [--isa s390x] [--rounds 7]

A batch is one call of `Runner.run`. 'new' is code that the runner has not seen, 'same' runs the last image again. Each
number is the best of the rounds, on the thread's core; the last line is the same as JSON, with the ratio to the first
runner.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable

from liftcheck import layout
from liftcheck.case import FunctionCode, Target
from liftcheck.clif.ir import AbiParam, Signature
from liftcheck.clif.types import I64
from liftcheck.compilers.registry import open_compiler
from liftcheck.errors import Unavailable
from liftcheck.isa import ISAS, byte_order
from liftcheck.runners.link import Image, link
from liftcheck.runners.pool import Job, Runner, open_runner
from liftcheck.runners.table import runners_of
from liftcheck.runners.trampolines import trampoline_target, trampoline_text

ROWS = 8
SIGNATURE = Signature((AbiParam(I64),) * 3, (AbiParam(I64),), "system_v")
OPERATIONS = ("iadd", "bxor", "isub", "bor", "band", "rotl", "smin", "umax")


def program(number: int) -> str:
    """About 60 instructions over i64, loads and stores in the data region, a loop of 8 turns."""
    lines = [
        "block0(v0: i64, v1: i64, v2: i64):",
        "    v3 = iconst.i64 0",
        "    jump block1(v0, v3)",
        "block1(v4: i64, v5: i64):",
    ]
    value, last = 6, "v4"
    for step in range(15):
        operation = OPERATIONS[(step * 7 + number) % len(OPERATIONS)]
        constant = (number * 2654435761 + step * 40503) % 30011
        lines += [f"    v{value} = iconst.i64 {constant}", f"    v{value + 1} = {operation} {last}, v{value}"]
        if step % 4 == 0:
            lines += [
                f"    store v{value + 1}, v2+{8 * step}",
                f"    v{value + 2} = load.i64 v2+{8 * step}",
                f"    v{value + 3} = {operation} v{value + 2}, v1",
            ]
            value += 2
        last, value = f"v{value + 1}", value + 2
    lines += [
        f"    v{value} = iconst.i64 1",
        f"    v{value + 1} = iadd v5, v{value}",
        f"    v{value + 2} = iconst.i64 8",
        f"    v{value + 3} = icmp ult v{value + 1}, v{value + 2}",
        f"    brif v{value + 3}, block1({last}, v{value + 1}), block2",
        "block2:",
        f"    return {last}",
    ]
    body = "\n".join(lines)
    return f"function %f{number}(i64, i64, i64) -> i64 system_v {{\n{body}\n}}\n"


def best(rounds: int, action: Callable[[], object]) -> float:
    """The shortest of some timings, in microseconds."""
    times = []
    for _ in range(rounds):
        started = time.perf_counter()
        action()
        times.append(time.perf_counter() - started)
    return min(times) * 1e6


def jobs(trampoline: FunctionCode, image: Image, names: list[str], isa: str) -> list[Job]:
    """One job of ROWS inputs per program, each with data regions of its own."""
    order = byte_order(isa)
    memory = b"".join((k * 77).to_bytes(8, order) for k in range(512))
    made = []
    for position, name in enumerate(names):
        slot = position * ROWS
        inputs = tuple((k * 3, k + 11, layout.slot_address(slot + k)) for k in range(ROWS))
        made.append(Job(trampoline, image.entry(position, name), SIGNATURE, inputs, (memory,) * ROWS, slot))
    return made


def measure(runner: Runner, trampoline: FunctionCode, codes: list[FunctionCode], rounds: int) -> dict[str, float]:
    """Microseconds per program in batches of 1 and 8 programs, with new and with known code."""
    fresh = iter(range(len(codes)))

    def batch(size: int) -> Callable[[], object]:
        def run() -> object:
            chosen = [codes[next(fresh) % len(codes)] for _ in range(size)]
            image = link([[code] for code in chosen], runner.isa)
            return runner.run(image, jobs(trampoline, image, [code.name for code in chosen], runner.isa))

        return run

    batch(1)()
    new_one, new_eight = best(rounds, batch(1)), best(rounds, batch(8)) / 8
    image = link([[codes[0]]], runner.isa)
    prepared = jobs(trampoline, image, [codes[0].name], runner.isa)
    runner.run(image, prepared)
    same = best(rounds * 50, lambda: runner.run(image, prepared))
    return {"new, 1 program": new_one, "new, 8 programs": new_eight, "same": same, "same, per row": same / ROWS}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--isa", choices=ISAS, action="append")
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    compiler = open_compiler("cranelift")
    results: dict[str, dict[str, dict[str, float]]] = {}
    text = "\n".join(program(n) for n in range(9 * options.rounds + 1))
    for isa in options.isa or ISAS:
        target = Target(isa, (("opt_level", "speed"),))
        codes = [code for code in compiler.compile_text(text, [target])[0] if isinstance(code, FunctionCode)]
        trampoline = compiler.compile_text(trampoline_text(SIGNATURE), [trampoline_target(target)])[0][0]
        assert isinstance(trampoline, FunctionCode)
        results[isa] = {}
        for name in runners_of(isa):
            try:
                runner = open_runner(name, isa)
            except Unavailable as error:
                print(f"{isa:8} {name:8} {error}")
                continue
            row = results[isa][name] = measure(runner, trampoline, codes, options.rounds)
            runner.close()
            first = next(iter(results[isa].values()))
            print(
                f"{isa:8} {name:8}",
                ", ".join(f"{key} {value:6.1f} us" for key, value in row.items()),
                f"(x{row['new, 1 program'] / first['new, 1 program']:.1f})",
            )
    print(json.dumps(results))


if __name__ == "__main__":
    main()
