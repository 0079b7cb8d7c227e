"""The bridge: what comes back for a text, per function and target, and what is refused in which words."""

from __future__ import annotations

import pytest

from liftcheck.case import CompileFailure, FunctionCode, Target
from liftcheck.compilers.base import WANTS, UnknownSetting
from liftcheck.compilers.cranelift.client import Cranelift
from liftcheck.compilers.registry import open_compiler
from liftcheck.errors import InputError, Unsupported, UsageError
from liftcheck.isa import ISAS

PLAIN = [Target(isa) for isa in ISAS]

ADD = """\
function %add(i64, i64) -> i64 system_v {
block0(v0: i64, v1: i64):
    v2 = iadd v0, v1
    return v2
}
"""
BUSY = """\
function %busy(i64, i64) -> i64 system_v {
    sig0 = (i64) -> i64 system_v
    fn0 = colocated %near sig0
    fn1 = %far sig0
    ss0 = explicit_slot 16
block0(v0: i64, v1: i64):
    v2 = call fn0(v0)
    v3 = call fn1(v2)
    v4 = udiv v3, v1
    v5 = stack_addr.i64 ss0
    store v4, v5
    store user5 v4, v1
    v6 = load.i64 v0+8
    trapz v6, user7
    return v6
}
"""
ILL_TYPED = """\
function %bad(i64) -> i32 system_v {
block0(v0: i64):
    return v0
}
"""
HALVES = """\
function %halves(f16, f16) -> f16 system_v {
block0(v0: f16, v1: f16):
    v2 = fadd v0, v1
    return v2
}
"""
NEAR = {"x86-64": "X86CallPCRel4", "aarch64": "Arm64Call", "riscv64": "RiscvCallPlt", "s390x": "S390xPLTRel32Dbl"}


def code(reply: FunctionCode | CompileFailure) -> FunctionCode:
    assert isinstance(reply, FunctionCode), reply
    return reply


def failure(reply: FunctionCode | CompileFailure) -> CompileFailure:
    assert isinstance(reply, CompileFailure), reply
    return reply


def test_answers_by_target_and_position(compiler: Cranelift) -> None:
    answer = compiler.compile_text(ADD + BUSY + ADD, PLAIN)
    assert [[code(reply).name for reply in column] for column in answer] == [["%add", "%busy", "%add"]] * 4
    assert all(column[0].code == column[2].code for column in answer)  # type: ignore[union-attr]


def test_the_code_is_the_isas_own(compiler: Cranelift) -> None:
    flat = (Target("x86-64", (("preserve_frame_pointers", "false"),)), *PLAIN[1:])
    x64, arm, riscv, s390x = (code(column[0]).code for column in compiler.compile_text(ADD, flat))
    assert x64.endswith(b"\xc3")
    assert arm.endswith(bytes.fromhex("c0035fd6"))
    assert riscv.endswith(bytes.fromhex("67800000"))
    assert s390x.endswith(bytes.fromhex("07fe"))


@pytest.mark.parametrize("place", range(4))
def test_relocations_traps_and_calls(compiler: Cranelift, place: int) -> None:
    busy = code(compiler.compile_text(BUSY, PLAIN)[place][0])
    near, far = busy.relocations
    assert (near.kind, near.name) == (NEAR[ISAS[place]], "%near")
    assert (far.kind, far.name, far.addend) == ("Abs8", "%far", 0)
    assert {name for _, name in busy.traps} >= {"int_divz", "user5", "user7", "heap_oob"}
    assert all(0 <= offset < len(busy.code) for offset, _ in busy.traps)
    assert len(busy.calls) == 2
    assert all(near.offset < call.offset <= len(busy.code) for call in busy.calls)


def test_names_of_users_and_library_calls(compiler: Cranelift) -> None:
    text = """function u1:7(f64, f64, f64) -> f64 system_v {
    sig0 = (f64) -> f64 system_v
    fn0 = u0:5 sig0
block0(v0: f64, v1: f64, v2: f64):
    v3 = fma v0, v1, v2
    v4 = call fn0(v3)
    return v4
}
"""
    found = code(compiler.compile_text(text, [Target("x86-64")])[0][0])
    assert found.name == "u1:7"
    assert [relocation.name for relocation in found.relocations] == ["libcall:FmaF64", "u0:5"]


def test_places_inside_the_function(compiler: Cranelift) -> None:
    text = (
        "function %f() -> i64 system_v {\n    fn0 = colocated %g() system_v\nblock0:\n"
        "    v0 = func_addr.i64 fn0\n    return v0\n}\n"
    )
    found = code(compiler.compile_text(text, [Target("riscv64")])[0][0])
    high, low = found.relocations
    assert (high.kind, low.kind, low.name) == ("RiscvPCRelHi20", "RiscvPCRelLo12I", f"func:{high.offset}")


@pytest.mark.parametrize("place", range(4))
def test_exception_handlers(compiler: Cranelift, place: int) -> None:
    text = """function %f(i32) -> i32 system_v {
    sig0 = (i32) -> i32 tail
    fn0 = %g sig0
block0(v0: i32):
    try_call fn0(v0), sig0, block1(ret0), [ tag3: block2(exn0), default: block2(exn0) ]
block1(v1: i32):
    return v1
block2(v2: i64):
    v3 = ireduce.i32 v2
    return v3
}
"""
    found = code(compiler.compile_text(text, PLAIN)[place][0])
    (site,) = found.calls
    (tag, number, there), (default, here) = site.handlers
    assert (tag, number, default) == ("tag", 3, "default")
    assert site.offset < int(str(there)) < len(found.code) and site.offset < int(str(here)) < len(found.code)


def test_equal_code_between_levels_is_one_object(compiler: Cranelift) -> None:
    levels = [Target(isa, (("opt_level", level),)) for isa in ISAS for level in ("none", "speed")]
    answer = compiler.compile_text(ADD + BUSY, levels)
    assert all(answer[2 * place][0] is answer[2 * place + 1][0] for place in range(4))
    assert answer[0][0] is not answer[2][0]


def test_everything_that_can_be_wanted(compiler: Cranelift) -> None:
    targets = [Target(isa, (("machine_code_cfg_info", "true"), ("opt_level", "speed"))) for isa in ISAS]
    for column in compiler.compile_text(ADD + BUSY, targets, frozenset(WANTS)):
        found = code(column[1])
        assert set(found.extra) == set(WANTS)
        assert "%far" in str(found.extra["disassembly"])
        assert "block0" in str(found.extra["vcode"])
        assert "function %busy" in str(found.extra["clif"])
        assert found.extra["frame"]["slots"] and found.extra["blocks"]  # type: ignore[index]
        rows = list(found.extra["srclocs"])  # type: ignore[call-overload]
        lines = (ADD + BUSY).split("\n")
        assert all(start < end <= len(found.code) for start, end, _, _ in rows)
        assert {"udiv", "trapz"} <= {word for *_, line in rows for word in lines[line - 1].split()}


def test_wanting_more_leaves_the_code_alone(compiler: Cranelift) -> None:
    plain = compiler.compile_text(BUSY, PLAIN)
    rich = compiler.compile_text(BUSY, PLAIN, frozenset(WANTS))
    assert [code(c[0]).code for c in plain] == [code(c[0]).code for c in rich]


def test_rules_that_matched(compiler: Cranelift) -> None:
    text = ADD.replace("iadd v0, v1", "isub v0, v0")
    targets = [Target("s390x", (("opt_level", level),)) for level in ("none", "speed")]
    answer = compiler.compile_text(text, targets, frozenset({"rules"}))
    none, speed = (code(column[0]).extra["rules"] for column in answer)
    assert all(".isle:" in rule and " " in rule for rule in (*none, *speed))  # type: ignore[misc]
    assert any("src/opts/" in rule for rule in speed)  # type: ignore[attr-defined]
    assert not any("src/opts/" in rule for rule in none)  # type: ignore[attr-defined]
    assert not code(compiler.compile_text(text, targets)[0][0]).extra


def test_a_missing_lowering_is_a_refusal(compiler: Cranelift) -> None:
    found = [column[0] for column in compiler.compile_text(HALVES, PLAIN)]
    assert failure(found[0]) == CompileFailure("unsupported", "no lowering of fadd.f16", failure(found[0]).message)
    assert failure(found[3]).kind == "unsupported" and not failure(found[3]).is_finding
    assert failure(found[3]).reason == "no rule for fpuop2_add"


def test_an_ill_typed_function_is_our_fault_and_alone_in_it(compiler: Cranelift) -> None:
    for column in compiler.compile_text(ADD + ILL_TYPED + BUSY, PLAIN):
        assert code(column[0]) and code(column[2])
        bad = failure(column[1])
        assert (bad.kind, bad.place) == ("input", "line 8")


def test_an_ill_typed_function_without_the_verifier_too(compiler: Cranelift) -> None:
    target = Target("aarch64", (("enable_verifier", "false"),))
    bad = compiler.compile_text(ILL_TYPED, [target])[0][0]
    assert isinstance(bad, FunctionCode) or bad.kind == "input"


def test_an_unreadable_function_is_alone_in_it(compiler: Cranelift) -> None:
    broken = ADD.replace("iadd v0, v1", "iadd v0,, v1")
    for column in compiler.compile_text(ADD + broken + BUSY, PLAIN):
        assert code(column[0]).name == "%add" and code(column[2]).name == "%busy"
        assert (failure(column[1]).kind, failure(column[1]).place) == ("input", "line 8")


@pytest.mark.parametrize("text", ["", "; nothing\n", "nonsense {"])
def test_a_text_without_functions(compiler: Cranelift, text: str) -> None:
    if text == "nonsense {":
        with pytest.raises(InputError):
            compiler.compile_text(text, PLAIN)
    else:
        assert compiler.compile_text(text, PLAIN) == [[]] * 4


def test_settings_decide(compiler: Cranelift) -> None:
    text = "function %f(i64) -> i64 system_v {\nblock0(v0: i64):\n    v1 = clz v0\n    return v1\n}\n"
    plain, single, preset = (
        code(column[0]).code
        for column in compiler.compile_text(
            text,
            [Target("x86-64"), Target("x86-64", (("has_lzcnt", "true"),)), Target("x86-64", (("haswell", "preset"),))],
        )
    )
    assert len(single) < len(plain)
    assert b"\xf3\x48\x0f\xbd" in single and len(preset) <= len(single)


def test_a_preset_yields_to_a_setting(compiler: Cranelift) -> None:
    text = "function %f(i64) -> i64 system_v {\nblock0(v0: i64):\n    v1 = clz v0\n    return v1\n}\n"
    both = Target("x86-64", (("has_lzcnt", "false"), ("haswell", "preset")))
    assert b"\xf3\x48\x0f\xbd" not in code(compiler.compile_text(text, [both])[0][0]).code


def test_defaults_make_wide_signatures_compile(compiler: Cranelift) -> None:
    text = ADD.replace("i64", "i128")
    assert all(isinstance(column[0], FunctionCode) for column in compiler.compile_text(text, PLAIN))
    refused = failure(compiler.compile_text(text, [Target("x86-64")], raw=True)[0][0])
    assert refused.kind == "unsupported"


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        (("has_popcount", "true"), "has_popcnt"),
        (("opt_level", "sped"), "none, speed, speed_and_size"),
        (("regalloc_checker", "maybe"), "true, false"),
        (("has_zbb", "true"), "x86-64"),
    ],
)
def test_unknown_settings_are_named(compiler: Cranelift, setting: tuple[str, str], says: str) -> None:
    with pytest.raises(UnknownSetting, match=says) as caught:
        compiler.compile_text(ADD, [Target("x86-64", (setting,))])
    assert caught.value.name == setting[0]


def test_settings_that_do_not_go_together(compiler: Cranelift) -> None:
    with pytest.raises(Unsupported, match="riscv64"):
        compiler.compile_text(ADD, [Target("riscv64", (("has_m", "false"),))])


def test_unknown_isa(compiler: Cranelift) -> None:
    with pytest.raises(UsageError, match="x86-64, aarch64, riscv64, s390x"):
        compiler.compile_text(ADD, [Target("mips")])


def test_settings_are_enumerated(compiler: Cranelift) -> None:
    riscv = compiler.settings("riscv64")
    assert riscv["opt_level"][1:4] == ("enum", ("none", "speed", "speed_and_size"), "none")
    assert riscv["opt_level"].shared and not riscv["has_m"].shared
    assert (riscv["has_m"].default, riscv["has_v"].default) == ("true", "false")
    assert riscv["has_c"].kind == "preset"
    assert riscv["probestack_size_log2"].default == "12"
    assert "extension V" in riscv["has_v"].description


def test_verifying_text(compiler: Cranelift) -> None:
    assert compiler.verify_text(ADD + BUSY) == []
    assert compiler.verify_text(ADD, Target("s390x")) == []
    (wrong,) = compiler.verify_text(ADD + ILL_TYPED, Target("aarch64"))
    assert (wrong.stage, wrong.line, wrong.function) == ("verify", 8, "%bad")
    (unreadable,) = compiler.verify_text(ADD + "function %f( {")
    assert (unreadable.stage, unreadable.line) == ("read", 6)


def test_all_of_the_verifiers_complaints_come(compiler: Cranelift) -> None:
    text = ADD.replace("return v2", "v3 = iadd.i32 v0, v1\n    v4 = fadd v0, v1\n    return v2")
    complaints = compiler.verify_text(text)
    assert {complaint.line for complaint in complaints} in ({4, 5}, {5}), complaints


def test_reading_a_filetest(compiler: Cranelift) -> None:
    whole = "test run\nset opt_level=speed\ntarget x86_64\n\n" + ADD + "\n; run: %add(1, 2) == 3\n"
    assert compiler.read_filetest(whole) == []
    (wrong,) = compiler.read_filetest(whole.replace("(1, 2)", "(1, 2.0)"))
    assert wrong.stage == "run line" and "1, 2.0" in wrong.message


def test_strange_bytes_do_no_harm(compiler: Cranelift) -> None:
    odd = '; \u00fc \u4e2d "quoted" \\ \t\n' + ADD
    assert code(compiler.compile_text(odd, PLAIN)[0][0])
    (wrong,) = compiler.verify_text('function %f() {\nblock0:\n    \u00fc "\\\n}\n')
    assert wrong.line in (3, 5)


def test_a_large_text(compiler: Cranelift) -> None:
    body = "\n".join(f"    v{n} = iadd v{n - 1}, v{n - 2}" for n in range(2, 20_000))
    text = f"function %f(i64, i64) -> i64 system_v {{\nblock0(v0: i64, v1: i64):\n{body}\n    return v19999\n}}\n"
    assert all(len(code(column[0]).code) > 30_000 for column in compiler.compile_text(text + ADD, PLAIN))


def test_the_build_says_what_it_is(compiler: Cranelift) -> None:
    info = compiler.info()
    assert info["cranelift"] == compiler.version
    assert info["assertions"] is True and info["rules"] is True
    assert compiler.name == f"cranelift@{compiler.version}"


def test_compilers_by_name() -> None:
    with pytest.raises(UsageError, match="no compiler called 'gcc'; there is cranelift"):
        open_compiler("gcc")
