"""The library calls in the stubs, on every runner: rounding, fused multiply-add, memory."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable

import pytest
from support.runner_samples import RUNNERS, SAMPLES, SIGNATURE, opened, trampoline

from liftcheck import layout
from liftcheck.bits.floats import F32, F64, exact_fma
from liftcheck.case import FunctionCode, Outcome, Relocation
from liftcheck.runners.base import Runner
from liftcheck.runners.link import link
from liftcheck.runners.pool import Job

FLOATS = [0.0, -0.0, 0.4, -0.4, 0.5, -0.5, 1.0, 1.5, 2.5, -2.5, 1e6 + 0.5, -8388607.5, 4503599627370495.5, 1e300,
          -9007199254740993.0, math.inf, -math.inf]  # fmt: skip
ROUNDING: dict[str, Callable[[float], float]] = {
    "Ceil": math.ceil, "Floor": math.floor, "Trunc": math.trunc, "Nearest": round,
}  # fmt: skip


def bits(value: float, size: int) -> int:
    form, whole = ("<d", "<Q") if size == 64 else ("<f", "<I")
    return int(struct.unpack(whole, struct.pack(form, value))[0])


def narrowed(value: float, size: int) -> float:
    if size == 64:
        return value
    return float(struct.unpack("<f", struct.pack("<f", value))[0]) if abs(value) < 3e38 or math.isinf(value) else 1e30


def wrapper(isa: str, libcall: str) -> FunctionCode:
    """The sample that passes its arguments to a library call in the way that this one wants."""
    samples = SAMPLES[isa]
    which = 2 if libcall.startswith("Mem") else 1 if libcall.endswith("32") else 0
    code = (samples.call_floats, samples.call_shorts, samples.call_integers)[which]
    reference = Relocation(samples.call_offsets[which], "Abs8", f"libcall:{libcall}", 0)
    return FunctionCode("%f", code, 16, (reference,))


def call(runner: Runner, libcall: str, inputs: list[tuple[int, int, int]], memory: bytes = b"") -> list[Outcome]:
    image = link([[wrapper(runner.isa, libcall)]], runner.isa)
    memories = [memory] * len(inputs) if memory else []
    return runner.run(image, [Job(trampoline(runner.isa), image.entry(0, "%f"), SIGNATURE, inputs, memories)])[0]


@pytest.mark.parametrize(("name", "isa"), RUNNERS)
def test_rounding(name: str, isa: str) -> None:
    runner = opened(name, isa)
    for libcall, exact in ROUNDING.items():
        for size in (32, 64):
            values = [narrowed(value, size) for value in FLOATS]
            found = call(runner, f"{libcall}F{size}", [(bits(value, size), 0, 0) for value in values])
            expected = [bits(math.copysign(exact(v), v) if math.isfinite(v) else v, size) for v in values]
            assert [outcome.values[0] & (1 << size) - 1 for outcome in found] == expected, (libcall, size)
            (nan,) = call(runner, f"{libcall}F{size}", [(bits(math.nan, size), 0, 0)])
            assert nan.values[0] & (1 << size - 1) - 1 > bits(math.inf, size)
    runner.close()


@pytest.mark.parametrize(("name", "isa"), RUNNERS)
def test_fused_multiply_add_rounds_once(name: str, isa: str) -> None:
    runner = opened(name, isa)
    for size, form in ((32, F32), (64, F64)):
        tiny = 2.0 ** (-12 if size == 32 else -27)
        triples = [
            (1 + tiny, 1 - tiny, -1.0),
            (3.0, 4.0, 5.0),
            (1e30, 1e-30, -1.0),
            (math.inf, 1.0, 1.0),
            (0.0, -1.0, 0.0),
        ]
        inputs = [(bits(x, size), bits(y, size), bits(z, size)) for x, y, z in triples]
        found = [outcome.values[0] & (1 << size) - 1 for outcome in call(runner, f"FmaF{size}", inputs)]
        assert found == [exact_fma(form, *triple) for triple in inputs]
        assert found[0] == bits(-tiny * tiny, size)
    runner.close()


@pytest.mark.parametrize(("name", "isa"), RUNNERS)
def test_memory_calls(name: str, isa: str) -> None:
    runner, base = opened(name, isa), layout.slot_address(0)
    memory = bytes(k * 7 & 255 for k in range(layout.SLOT_SIZE))
    for libcall, target, source in (("Memcpy", 512, 0), ("Memmove", 5, 0), ("Memmove", 0, 5)):
        (done,) = call(runner, libcall, [(base + target, base + source, 300)], memory)
        expected = bytearray(memory)
        expected[target : target + 300] = memory[source : source + 300]
        assert done[:3] == ("returned", (base + target,), bytes(expected))
    (done,) = call(runner, "Memset", [(base + 3, 0x1AB, 17)], memory)
    assert done.memory == memory[:3] + b"\xab" * 17 + memory[20:]
    for left, right, count, sign in ((0, 256, 100, 0), (0, 1, 4, -1), (1, 0, 4, 1), (0, 1, 0, 0)):
        (done,) = call(runner, "Memcmp", [(base + left, base + right, count)], memory)
        low = done.values[0] & 0xFFFFFFFF
        assert (low > 0) - 2 * (low >> 31) == sign
    runner.close()


@pytest.mark.parametrize(("name", "isa"), RUNNERS)
def test_fault_in_a_library_call_is_named(name: str, isa: str) -> None:
    runner = opened(name, isa)
    (outcome,) = call(runner, "Memset", [(8, 0, 1)])
    assert (outcome.kind, outcome.detail) == ("crashed", "memory fault in libcall Memset")
    runner.close()
