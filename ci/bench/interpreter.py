"""How fast the reference interpreter is on one core: one JSON line.

hot            million instructions a second in a hot loop of integer arithmetic (the second tier)
hot_memory     the same with a load and a store in a loop of 10 instructions
closures       the hot loop in the first tier alone
prepare        us an instruction to make a program of about 60 instructions ready, its first run taken off
run            us an instruction of a short program, eight inputs after another

    python ci/bench/interpreter.py [--repeat 5]
"""

from __future__ import annotations

import argparse
import json
import random
import time

from liftcheck import layout
from liftcheck.clif.build import FunctionBuilder, signature
from liftcheck.clif.ir import Module
from liftcheck.clif.types import I32, I64
from liftcheck.interp.run import prepare

TURNS = 200_000
PROGRAMS = 200


def loop(with_memory: bool) -> Module:
    """`%f(x: i64, n: i64, p: i64) -> i64`: n turns of a loop of 10 instructions."""
    b = FunctionBuilder("%f", signature([I64, I64, I64], [I64]))
    x, n, p = b.entry_params
    body, done = b.block(I64, I64), b.block(I64)
    zero, one, k = b.iconst(I64, 0), b.iconst(I64, 1), b.iconst(I64, 0x9E37_79B9_7F4A_7C15)
    b.jump(body, x, zero)
    b.switch_to(body)
    (value, _), (i, _) = body.params
    value = b.ins("iadd", I64, b.ins("imul", I64, value, k), i)
    value = b.ins("bxor", I64, value, b.ins("ushr", I64, value, one))
    if with_memory:
        old = b.ins("load", I64, p, offset=16)
        b.ins("store", I64, value, p, offset=16)
        value = b.ins("isub", I64, value, old)
    else:
        value = b.ins("bor", I64, b.ins("band", I64, b.ins("isub", I64, value, i), k), i)
    i = b.ins("iadd", I64, i, one)
    b.brif(b.ins("icmp", I64, i, n, imm="ult"), body, [value, i], done, [value])
    b.switch_to(done)
    b.ret(done.params[0][0])
    return Module([b.finish()])


def speed(module: Module, hot_after: int | None, repeat: int) -> float:
    """Million instructions a second, best of `repeat`."""
    region = layout.slot_address(0)
    prepared = prepare(module, hot_after=hot_after)
    best = float("inf")
    for _ in range(repeat):
        started = time.perf_counter()
        outcome = prepared.run(0, [3, TURNS, region], {region: bytes(layout.SLOT_SIZE)}, fuel=1 << 40)
        best = min(best, time.perf_counter() - started)
        if outcome.kind != "returned":
            raise SystemExit(f"{outcome}")
    return prepared.stats.instructions / best / 1e6


def short_program(seed: int) -> Module:
    """60 instructions of integer arithmetic with some loads and stores."""
    draw = random.Random(seed)
    b = FunctionBuilder("%f", signature([I64, I64, I32], [I64, I32]))
    pools = {I64: list(b.entry_params[:2]), I32: [b.entry_params[2]]}
    for _ in range(60):
        ty = draw.choice([I64, I32])
        pool, choice = pools[ty], draw.randrange(12)
        left, right = draw.choice(pool), draw.choice(pool)
        if choice < 9:
            op = draw.choice(["iadd", "isub", "imul", "band", "bxor", "umin", "smax", "ishl", "sshr", "rotl"])
            pool.append(b.ins(op, ty, left, right))
        elif choice < 10:
            pool.append(b.iconst(ty, draw.getrandbits(16)))
        elif choice < 11:
            pool.append(b.ins("load", ty, b.entry_params[1], offset=draw.randrange(200)))
        else:
            b.ins("store", ty, left, b.entry_params[1], offset=draw.randrange(200))
    b.ret(pools[I64][-1], pools[I32][-1])
    return Module([b.finish()])


def short_programs(repeat: int) -> tuple[float, float]:
    """us an instruction: preparing, running."""
    modules = [short_program(seed) for seed in range(PROGRAMS)]
    instructions = sum(len(block.insts) for m in modules for f in m.functions for block in f.blocks)
    region, memory = layout.slot_address(0), bytes(layout.SLOT_SIZE)
    making, running = float("inf"), float("inf")
    for _ in range(repeat):
        started = time.perf_counter()
        everything = [prepare(m) for m in modules]
        for prepared in everything:
            prepared.run(0, [5, region, 7], {region: memory})
        made = time.perf_counter()
        for prepared in everything:
            for _ in range(8):
                prepared.run(0, [5, region, 7], {region: memory})
        ran = (time.perf_counter() - made) / 8
        running, making = min(running, ran), min(making, made - started - ran)
    return making / instructions * 1e6, running / instructions * 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeat", type=int, default=5)
    repeat = parser.parse_args().repeat
    preparing, running = short_programs(repeat)
    print(
        json.dumps(
            {
                "hot": round(speed(loop(False), 2000, repeat), 1),
                "hot_memory": round(speed(loop(True), 2000, repeat), 1),
                "closures": round(speed(loop(False), None, repeat), 1),
                "prepare": round(preparing, 2),
                "run": round(running, 3),
            }
        )
    )


if __name__ == "__main__":
    main()
