"""Real Cranelift code on every runner: values of all kinds in and out, traps with their codes, linked calls."""

from __future__ import annotations

import pytest
from support.runner_samples import RUNNERS, opened

from liftcheck import layout
from liftcheck.case import FunctionCode, Outcome, Target
from liftcheck.clif.ir import Signature
from liftcheck.clif.text.parser import parse_module
from liftcheck.compilers.base import Compiler
from liftcheck.runners.features import features_of, probe
from liftcheck.runners.link import link
from liftcheck.runners.pool import Job
from liftcheck.runners.trampolines import trampoline_target, trampoline_text

LEVELS = ("none", "speed")


def run(
    compiler: Compiler,
    name: str,
    target: Target,
    text: str,
    inputs: list[tuple[int, ...]],
    memories: list[bytes] | None = None,
) -> list[Outcome]:
    """The first function of `text` on the inputs; skips if the runner lacks what the target asks for."""
    runner = opened(name, target.isa)
    if not features_of(target) <= probe(runner):
        pytest.skip(f"{name} for {target.isa} lacks {', '.join(features_of(target))}")
    module = parse_module(text)
    codes = compiler.compile_text(text, [target])[0]
    functions = [code for code in codes if isinstance(code, FunctionCode)]
    assert len(functions) == len(module.functions), codes
    signature: Signature = module.functions[0].signature
    (made,) = compiler.compile_text(trampoline_text(signature), [trampoline_target(target)])[0]
    assert isinstance(made, FunctionCode), made
    image = link([functions], target.isa)
    job = Job(made, image.entry(0, module.functions[0].name), signature, inputs, memories or [])
    outcomes = runner.run(image, [job])[0]
    runner.close()
    return outcomes


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize(("name", "isa"), RUNNERS)
@pytest.mark.parametrize("convention", ["system_v", "fast", "tail"])
def test_values_of_every_kind(compiler: Compiler, name: str, isa: str, convention: str, level: str) -> None:
    """More arguments and results than registers hold; narrow, 128-bit and float values; a call in between."""
    kinds = ["i8", "i16", "i32", "i64", "i128", "f32", "f64"] * 3
    params, returns = ", ".join(kinds), ", ".join(reversed(kinds))
    names = [f"v{k}" for k in range(len(kinds))]
    block = ", ".join(f"{v}: {kind}" for v, kind in zip(names, kinds))
    back = ", ".join(f"v{k + 100}" for k in range(len(kinds)))
    text = f"""function %f({params}) -> {returns} {convention} {{
    fn0 = %g({params}) -> {returns} {convention}
block0({block}):
    {back} = call fn0({", ".join(names)})
    return {back}
}}
function %g({params}) -> {returns} {convention} {{
block0({block}):
    return {", ".join(reversed(names))}
}}
"""
    widths = [int(kind[1:]) for kind in kinds]
    inputs = [
        tuple((0x9E3779B97F4A7C15F39CC0605CEDC835 * (k + seed + 1)) % (1 << w) for k, w in enumerate(widths))
        for seed in range(5)
    ]
    finite = {32: ~(0x7F8 << 20), 64: ~(0x7FF << 52)}
    inputs = [tuple(value & finite.get(width, -1) for value, width in zip(row, widths)) for row in inputs]
    for row, outcome in zip(inputs, run(compiler, name, Target(isa, (("opt_level", level),)), text, inputs)):
        assert outcome == Outcome("returned", row[::-1])


@pytest.mark.parametrize(("name", "isa"), RUNNERS)
def test_vectors_come_through_by_lanes(compiler: Compiler, name: str, isa: str) -> None:
    settings = (("has_v", "true"),) if isa == "riscv64" else ()
    text = """function %f(i32x4, i16x8) -> i32, i16, i32x4 system_v {
block0(v0: i32x4, v1: i16x8):
    v2 = extractlane v0, 1
    v3 = extractlane v1, 6
    v4 = iadd v0, v0
    return v2, v3, v4
}
"""
    first = 0x40000003_30000002_20000001_10000000
    second = sum((lane + 100) << 16 * lane for lane in range(8))
    (outcome,) = run(compiler, name, Target(isa, settings), text, [(first, second)])
    assert outcome.values == (0x20000001, 106, 0x80000006_60000004_40000002_20000000)


TRAPS = {
    "user9": "    trap user9",
    "int_divz": "    v2 = udiv v0, v1\n    return v2",
    "int_ovf": "    v2 = sdiv v0, v1\n    return v2",
    "user3": "    trapz v1, user3\n    return v0",
    "user4": "    v2 = uadd_overflow_trap v0, v0, user4\n    return v2",
    "heap_oob": "    v2 = load.i64 v1\n    return v2",
    "user5": "    store user5 v0, v1+8\n    return v0",
    "bad_toint": "    v2 = f64const +NaN\n    v3 = fcvt_to_sint.i64 v2\n    return v3",
}  # fmt: skip
INPUT = {"int_ovf": (1 << 63, (1 << 64) - 1), "user4": (1 << 63, 0)}


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize(("name", "isa"), RUNNERS)
@pytest.mark.parametrize("code", TRAPS)
def test_traps_have_their_code(compiler: Compiler, name: str, isa: str, code: str, level: str) -> None:
    text = f"function %f(i64, i64) -> i64 system_v {{\nblock0(v0: i64, v1: i64):\n{TRAPS[code]}\n}}\n"
    target = Target(isa, (("opt_level", level),))
    (outcome,) = run(compiler, name, target, text, [INPUT.get(code, (7, 0))], [bytes(layout.SLOT_SIZE)])
    assert outcome == Outcome("trapped", (), bytes(layout.SLOT_SIZE), code)


@pytest.mark.parametrize(("name", "isa"), RUNNERS)
def test_deep_recursion_overflows_the_stack(compiler: Compiler, name: str, isa: str) -> None:
    text = """function %f(i64) -> i64 system_v {
    ss0 = explicit_slot 64
    fn0 = colocated %f(i64) -> i64 system_v
block0(v0: i64):
    v1 = stack_addr.i64 ss0
    store v0, v1
    v2 = call fn0(v0)
    v3 = load.i64 v1
    v4 = iadd v2, v3
    return v4
}
"""
    (outcome,) = run(compiler, name, Target(isa, ()), text, [(5,)])
    assert (outcome.kind, outcome.detail) == ("trapped", "stk_ovf")


@pytest.mark.parametrize(("name", "isa"), RUNNERS)
@pytest.mark.parametrize("settings", [(), (("is_pic", "true"),), (("use_colocated_libcalls", "true"),)], ids=str)
def test_calls_near_far_and_position_independent(
    compiler: Compiler, name: str, isa: str, settings: tuple[tuple[str, str], ...]
) -> None:
    text = """function %f(i64) -> i64 system_v {
    sig0 = (i64) -> i64 system_v
    fn0 = colocated %g sig0
    fn1 = %g sig0
block0(v0: i64):
    v1 = call fn0(v0)
    v2 = call fn1(v1)
    v3 = func_addr.i64 fn0
    v4 = call_indirect sig0, v3(v2)
    v5 = func_addr.i64 fn1
    v6 = call_indirect sig0, v5(v4)
    return v6
}
function %g(i64) -> i64 system_v {
block0(v0: i64):
    v1 = iconst.i64 3
    v2 = imul v0, v1
    return v2
}
"""
    (outcome,) = run(compiler, name, Target(isa, settings), text, [(2,)])
    assert outcome.values == (162,)


@pytest.mark.parametrize(("name", "isa"), RUNNERS)
def test_fused_multiply_add_without_the_instruction(compiler: Compiler, name: str, isa: str) -> None:
    """x86-64 without has_fma calls the library; the others have the instruction."""
    text = """function %f(f64, f64, f64) -> f64 system_v {
block0(v0: f64, v1: f64, v2: f64):
    v3 = fma v0, v1, v2
    return v3
}
"""
    above, below, minus_one = 0x3FF0000000000001, 0x3FEFFFFFFFFFFFFE, 0xBFF0000000000000
    (outcome,) = run(compiler, name, Target(isa, ()), text, [(above, below, minus_one)])
    assert outcome.values == (0xB970000000000000,)
