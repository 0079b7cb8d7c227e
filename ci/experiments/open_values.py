"""Programs with open values put in on purpose, and random programs without: what `run` makes of them.

The one idea: a program is a *source* (an instruction that lets something open in), a *way* (moves and arithmetic that
keep it open) and an *observer* (what makes it visible), drawn by a seed; it is judged by the very functions of `run`.
Of each the script knows what `run` must say: undecided, for this reason, because of this line; DISAGREES, WRONG and
plain agreement are faults of ours. `--random` judges programs of `generate` instead, of which nothing is open: whatever
is not agreement is printed (of what cannot be run, the first of each kind), to be compared with docs/findings.

    python ci/experiments/open_values.py [--count 2000] [--seed 0] [--isa ISA]
    python ci/experiments/open_values.py --random [--count 20000] [--seed 0] [--isa ISA]
"""

from __future__ import annotations

import argparse
import json
import re
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from random import Random
from typing import Final, NamedTuple

from liftcheck.commands import calls, execute, generate, targets
from liftcheck.compilers.choice import Exactly
from liftcheck.compilers.registry import open_compiler
from liftcheck.oracles.differential import Judge
from liftcheck.runners.patience import DEFAULT
from liftcheck.runners.pool import RunnerPool

NAN: Final = "the sign and payload of an arithmetic NaN"
UNWRITTEN: Final = "what a stack slot holds before it is written"
SLOT: Final = "where a stack slot lies"
FUNCTION: Final = "where functions and symbols lie"
FRAME: Final = "the stack pointer, the frame pointer and the return address"
PINNED: Final = "what the pinned register holds at first"
OUTSIDE: Final = "memory outside the program's stack slots and data"
CODE: Final = "machine code read or written as data"
ATOMIC: Final = "misaligned atomic access"
ALIGNED: Final = "misaligned access flagged aligned"
CALL: Final = "the call does not match"
HEADER: Final = """test run
set enable_llvm_abi_extensions
set enable_multi_ret_implicit_sret
set preserve_frame_pointers
set opt_level={level}{pinned}
target x86_64 has_sse3 has_ssse3 has_sse41 has_sse42
target aarch64
target riscv64 has_v
{s390x}

function %other(i64) -> i64 {{
block0(v0: i64):
    return v0
}}

function %tail(i64) -> i64 tail {{
block0(v0: i64):
    return v0
}}

function %narrow(i32 uext, i64) -> i64 {{
block0(v0: i32, v1: i64):
    v2 = uextend.i64 v0
    return v2
}}

"""
PREAMBLE: Final = """    ss0 = explicit_slot 32, align = 16
    ss1 = explicit_slot 8
    sig0 = (i64) -> i64
    sig1 = (i64) -> i64 tail
    sig2 = (i64, i64) -> i64
    fn0 = %other sig0
    fn1 = %tail sig1
    fn2 = %tail sig0
    fn3 = %other sig2
    fn4 = %narrow sig2
    fn5 = %other(i32) -> i64
"""
_VALUE: Final = re.compile(r"@\d+")


class Source(NamedTuple):
    """`lines` make an open i64; `*` marks the line that must be named, `@N` is a fresh value. `ends`: what follows does
    not matter, the run is over."""

    what: str
    lines: tuple[str, ...]
    ends: bool = False


def _scalar_nan(rng: Random) -> Source:
    """Arithmetic that makes a NaN of f32 or f64, its bits as i64."""
    wide = rng.random() < 0.5
    bits = "i64" if wide else "i32"
    inf = (
        ("f64const Inf", "f64const 0.0", "f64const -0x1.0", "f64const +NaN:0x1234")
        if wide
        else ("f32const Inf", "f32const 0.0", "f32const -0x1.0", "f32const +NaN:0x1234")
    )
    making = rng.choice(
        [
            ("fsub", 0, 0),
            ("fdiv", 1, 1),
            ("fmul", 0, 1),
            ("sqrt", 2),
            ("fadd", 3, 1),
            ("fma", 0, 1, 2),
            ("fmin", 3, 1),
            ("fmax", 1, 3),
            ("ceil", 3),
            ("floor", 3),
            ("trunc", 3),
            ("nearest", 3),
            ("fdiv", 0, 0),
            ("fma", 3, 0, 1),
        ]
    )
    lines = [f"@{i} = {text}" for i, text in enumerate(inf)]
    made = f"*@4 = {making[0]} {', '.join(f'@{i}' for i in making[1:])}"
    sign = rng.choice(
        ["@5 = fneg @4", "@5 = fabs @4", "@5 = fcopysign @4, @2", "@5 = fcopysign @1, @4", "@5 = select @9, @4, @4"]
    )
    lines += ["@9 = iconst.i8 1", made, sign]
    if rng.random() < 0.3:
        lines += ["@6 = stack_addr.i64 ss0", "store @5, @6+8", f"@7 = load.{bits} @6+8"]
    else:
        lines.append(f"@7 = bitcast.{bits} @5")
    lines.append("@8 = iadd_imm @7, 0" if wide else "@8 = sextend.i64 @7")
    return Source(NAN, tuple(lines))


def _converted_nan(rng: Random) -> Source:
    if rng.random() < 0.5:
        return Source(NAN, ("@0 = f32const +NaN:0x77", "*@1 = fpromote.f64 @0", "@8 = bitcast.i64 @1"))
    return Source(
        NAN, ("@0 = f64const -NaN:0x77", "*@1 = fdemote.f32 @0", "@2 = bitcast.i32 @1", "@8 = uextend.i64 @2")
    )


def _vector_nan(rng: Random) -> Source:
    lane = rng.randrange(2)
    making = rng.choice(["fsub @1, @1", "fdiv @2, @2", "fmul @1, @2"])
    return Source(
        NAN,
        (
            "@0 = f64const Inf",
            "@1 = splat.f64x2 @0",
            "@3 = f64const 0.0",
            "@2 = splat.f64x2 @3",
            f"*@4 = {making}",
            "@5 = bitcast.i64x2 little @4",
            f"@8 = extractlane @5, {lane}",
        ),
    )


def _unwritten(rng: Random) -> Source:
    at = rng.choice([0, 8, 16])
    if rng.random() < 0.5:
        return Source(UNWRITTEN, ("@0 = stack_addr.i64 ss0", f"*@8 = load.i64 @0+{at}"))
    return Source(
        UNWRITTEN,
        (
            "@0 = stack_addr.i64 ss0",
            "@1 = iconst.i32 77",
            f"store @1, @0+{at + rng.randrange(5)}",
            f"*@8 = load.i64 @0+{at}",
        ),
    )


def _place(rng: Random) -> Source:
    return rng.choice(
        [
            Source(SLOT, ("*@8 = stack_addr.i64 ss0",)),
            Source(SLOT, ("*@0 = stack_addr.i64 ss0", "*@1 = stack_addr.i64 ss1", "@8 = isub @0, @1")),
            Source(FUNCTION, ("*@8 = func_addr.i64 fn0",)),
            Source(FUNCTION, ("*@0 = func_addr.i64 fn0", "*@1 = func_addr.i64 fn1", "@8 = isub @1, @0")),
            Source(FRAME, ("*@8 = get_stack_pointer.i64",)),
            Source(FRAME, ("*@8 = get_frame_pointer.i64",)),
            Source(FRAME, ("*@8 = get_return_address.i64",)),
            Source(PINNED, ("*@8 = get_pinned_reg.i64",)),
        ]
    )


def _stray(rng: Random) -> Source:
    far = rng.choice([32, 40, 4000, -8, -256, 29])
    return rng.choice(
        [
            Source(OUTSIDE, ("@0 = stack_addr.i64 ss0", f"*@8 = load.i64 @0{far:+}"), True),
            Source(OUTSIDE, ("@0 = stack_addr.i64 ss1", "@8 = iconst.i64 1", f"*store @8, @0{far:+}"), True),
            Source(CODE, ("@0 = func_addr.i64 fn0", f"*@8 = load.i64 @0+{rng.randrange(16)}"), True),
            Source(
                ATOMIC,
                (
                    "@0 = stack_addr.i64 ss0",
                    "@1 = iconst.i64 1",
                    "store @1, @0",
                    "store @1, @0+8",
                    "@2 = iadd @0, @1",
                    "*@8 = atomic_rmw.i64 add @2, @1",
                ),
                True,
            ),
            Source(
                ALIGNED,
                (
                    "@0 = stack_addr.i64 ss0",
                    "@1 = iconst.i64 1",
                    "store @1, @0",
                    "store @1, @0+8",
                    "*@8 = load.i64 aligned @0+4",
                ),
                True,
            ),
        ]
    )


def _mismatched(rng: Random) -> Source:
    return rng.choice(
        [
            Source(CALL, ("@0 = iconst.i64 5", "*@8 = call fn2(@0)"), True),
            Source(CALL, ("@0 = iconst.i64 5", "*@8 = call fn3(@0, @0)"), True),
            Source(CALL, ("@0 = iconst.i64 5", "*@8 = call fn4(@0, @0)"), True),
            Source(CALL, ("@0 = iconst.i32 5", "*@8 = call fn5(@0)"), True),
            Source(CALL, ("@0 = iconst.i64 5", "@1 = func_addr.i64 fn1", "*@8 = call_indirect sig0, @1(@0)"), True),
            Source(CALL, ("@0 = iconst.i64 5", "@1 = func_addr.i64 fn0", "*@8 = call_indirect sig2, @1(@0, @0)"), True),
        ]
    )


# fmt: off
SOURCES: Final[tuple[Callable[[Random], Source], ...]] = (
    _scalar_nan, _scalar_nan, _converted_nan, _vector_nan, _unwritten, _place, _place, _stray, _mismatched)
# fmt: on
EVERY: Final = 500
"""Programs from one running tally to the next."""
WAYS: Final = (
    (), ("@8 = bxor_imm @8, 0x5a5a",), ("@8 = rotl_imm @8, 13",), ("@8 = imul_imm @8, 3",), ("@8 = bnot @8",),
    ("@7 = stack_addr.i64 ss1", "store @8, @7", "@8 = load.i64 @7"), ("@8 = call fn0(@8)",),
    ("@7 = scalar_to_vector.i64x2 @8", "@8 = extractlane @7, 0"), ("@8 = bswap @8",), ("@8 = bitrev @8",),
    ("@7 = func_addr.i64 fn0", "@8 = call_indirect sig0, @7(@8)"),
)  # fmt: skip
OBSERVERS: Final = (  # different values stay different: the sum of 0x80 and its extension from 8 bits would be 0
    ("return @8",),
    ("@9 = ireduce.i8 @8", "@10 = sextend.i64 @9", "@11 = imul_imm @10, 2", "@12 = iadd @11, @8", "return @12"),
    ("@9 = stack_addr.i64 ss1", "store @8, @9", "@10 = uload32 @9", "@11 = load.i64 @9", "@12 = imul_imm @10, 3",
     "@13 = iadd @11, @12", "return @13"),
    ("@9 = uextend.i128 @8", "@10, @11 = isplit @9", "@12 = bor @10, @11", "return @12"),
    ("@9 = splat.i64x2 @8", "@10 = extractlane @9, 1", "return @10"),
    ("@9 = iconst.i64 -1", "@10 = icmp eq @8, @9", "@11 = select @10, @9, @8", "return @11"),
    ("brif @8, block1(@8), block2", "block1(@9: i64):", "@10 = bnot @9", "return @10", "block2:", "@11 = iconst.i64 5",
     "return @11"),
    ("@9 = bmask.i64 @8", "@10 = bxor @9, @8", "return @10"),
)  # fmt: skip


class Program(NamedTuple):
    """A file, and what must be said of its run line: the reason and the lines that may be named."""

    text: str
    what: str
    lines: frozenset[int]


def program(seed: int) -> Program:
    """One program with one open value."""
    rng = Random(seed)
    source = rng.choice(SOURCES)(rng)
    ways = [line for _ in range(rng.randrange(3)) for line in rng.choice(WAYS)]
    lines = [*source.lines, *ways, *rng.choice(OBSERVERS)]
    pinned = source.what == PINNED  # which Cranelift does not have on s390x
    head = HEADER.format(
        level=rng.choice(["none", "speed"]),
        pinned="\nset enable_pinned_reg" * pinned,
        s390x="" if pinned else "target s390x",
    )
    body, marked = _numbered(lines, head.count("\n") + PREAMBLE.count("\n") + 3)
    text = f"{head}function %f() -> i64 {{\n{PREAMBLE}block0:\n{body}}}\n"
    return Program(f"{text}; {rng.choice(['print: %f()', 'run: %f() == 0', 'run: %f() == -1'])}\n", source.what, marked)


def _numbered(lines: list[str], first: int) -> tuple[str, frozenset[int]]:
    """Values get numbers: each `@N` that is defined is a new one. And the numbers of the marked lines."""
    names: dict[str, str] = {}
    texts, marked, fresh = [], set(), count()

    def define(match: re.Match[str]) -> str:
        names[match[0]] = f"v{next(fresh)}"
        return names[match[0]]

    for number, line in enumerate(lines, first):
        if line.startswith("*"):
            marked.add(number)
            line = line[1:]
        if line.startswith("block"):
            texts.append(_VALUE.sub(define, line))
            continue
        left, equals, right = line.rpartition(" = ")
        used = _VALUE.sub(lambda match: names[match[0]], right)
        texts.append(f"    {_VALUE.sub(define, left)}{equals}{used}")
    return "".join(f"{text}\n" for text in texts), frozenset(marked)


class Bench:
    """`run`, in this process, with runners that stay."""

    def __init__(self, isas: list[str]) -> None:
        self.compiler = open_compiler("cranelift")
        self.pool = RunnerPool("auto")
        self.judge = Judge(Exactly(self.compiler), self.pool)
        self.path = Path(tempfile.mkdtemp()) / "program.clif"
        self.args = argparse.Namespace(
            file=str(self.path), function=None, args="", isa=[isas] if isas else None, opt=None, settings=[]
        )

    def run(self, text: str) -> list[execute.Result]:
        """What `run` finds of a file."""
        self.path.write_text(text, encoding="utf-8")
        read = calls.read_program(self.args)
        choice = targets.chosen(self.compiler, read.test, self.args)
        return execute.run_with(
            self.judge, self.pool, execute.entries_of(self.compiler, read), choice.targets, DEFAULT.fuel
        )

    def close(self) -> None:
        self.pool.close()
        self.compiler.close()


def verdict(result: execute.Result, wanted: Program) -> str:
    """'' if a result is what it must be, else what is wrong."""
    opening = result.reference.opening
    if result.problem:
        return f"not run: {result.problem.split('(')[0].strip()[:60]}"
    if result.agrees is False or result.met is False:
        return "called wrong"
    if not result.undecided or opening is None:
        return "silently passed"
    if not opening.what.startswith(wanted.what):
        return f"wrong reason: {opening.what}"
    if opening.line not in wanted.lines:
        return f"wrong line: {opening.text}"
    return ""


class Sum(NamedTuple):
    """What was found so far; what is bad is printed at once."""

    counts: Counter[str]

    def begin(self) -> None:
        """One program more; now and then what was found so far is said, for whoever is stopped before the end."""
        self.counts["programs"] += 1
        if self.counts["programs"] % EVERY == 0:
            print(json.dumps(dict(self.counts.most_common())), file=sys.stderr, flush=True)

    def bad(self, text: str) -> None:
        self.counts["BAD"] += 1
        print(text, flush=True)


def put_in(args: argparse.Namespace, bench: Bench, found: Sum) -> None:
    """Judge programs with open values."""
    for number in range(args.count):
        one = program(args.seed * 1_000_000 + number)
        found.begin()
        for result in bench.run(one.text):
            wrong = verdict(result, one)
            found.counts[wrong or f"undecided: {one.what}"] += 1
            if wrong and not wrong.startswith("not run"):
                found.bad(f"{number} on {result.target}: {wrong}; {result.undecided}\n{one.text}")


def generated(args: argparse.Namespace, bench: Bench, found: Sum) -> None:
    """Judge programs of the generator, of which nothing is open."""
    for number, text in _texts(args):
        found.begin()
        for result in bench.run(text):
            isa = result.target.isa
            if result.problem:
                kind = f"{isa} not run: {result.problem[:60]}"
                found.counts[kind] += 1
                if found.counts[kind] == 1:
                    print(f"{number} on {result.target}: {result.call.text()}: {result.problem}", flush=True)
            elif result.agrees is False or result.met is False:
                found.counts[f"{isa} DISAGREES"] += 1
                found.bad(f"{number} on {result.target}: {result.call.text()} DISAGREES: {result.outcome}")
            elif result.undecided:
                found.counts[f"{isa} undecided: {result.undecided.partition('(')[0]}"] += 1
                found.bad(f"{number} on {result.target}: {result.call.text()}: {result.undecided}")
            else:
                found.counts[f"{isa} agrees"] += 1


def _texts(args: argparse.Namespace) -> Iterator[tuple[int, str]]:
    wanted = argparse.Namespace(
        isa=[args.isa] if args.isa else None, profile=None, compiler="cranelift", count=args.count, seed=args.seed
    )
    for number, _, text in generate.programs(wanted):
        if any(line.startswith("; run:") for line in text.split("\n")):
            yield number, text


def main() -> None:
    """Exit code 1 if anything is called wrong, silently passed, or undecided without being open."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else "")
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--isa", action="append", default=[])
    parser.add_argument("--random", action="store_true")
    args = parser.parse_args()
    for stop in (signal.SIGINT, signal.SIGTERM):  # a shell may start us deaf to the first
        signal.signal(stop, signal.default_int_handler)
    started, bench, found = time.monotonic(), Bench(args.isa), Sum(Counter())
    try:
        (generated if args.random else put_in)(args, bench, found)
    except KeyboardInterrupt:
        print("interrupted: what was found so far")
    finally:
        bench.close()
    bad = found.counts.pop("BAD", 0)
    print(
        json.dumps(
            {
                "programs": found.counts.pop("programs", 0),
                "seconds": round(time.monotonic() - started, 1),
                "bad": bad,
                "results": dict(found.counts.most_common()),
            },
            indent=1,
        )
    )
    sys.exit(bool(bad))


if __name__ == "__main__":
    main()
