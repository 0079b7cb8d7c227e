"""Text in and out: lexer, literals, parser, printer, filetests, run lines."""

from __future__ import annotations

import random
import time
from pathlib import Path

import pytest

from liftcheck.clif.build import FunctionBuilder, signature
from liftcheck.clif.ir import Function, MemFlags
from liftcheck.clif.opcodes import OPCODES
from liftcheck.clif.text import literals
from liftcheck.clif.text.filetest import read_text
from liftcheck.clif.text.function import MAX_ERRORS
from liftcheck.clif.text.lexer import Cursor
from liftcheck.clif.text.parser import parse_filetest, parse_module
from liftcheck.clif.text.portable import OLD_OPCODES, modern
from liftcheck.clif.text.printer import print_function, print_module
from liftcheck.clif.text.runlines import data_text, run_line_text
from liftcheck.clif.types import I8, I32, I64, TYPES
from liftcheck.clif.verify import verify
from liftcheck.errors import InputError, Unsupported

CORPUS = Path(__file__).parents[2] / "corpus" / "parse"


def functions(name: str) -> list[Function]:
    return [t.function for t in parse_filetest(read_text(CORPUS / name), name).functions if t.function]


def one(body: str, head: str = "function %f(i32, i64) -> i32 {") -> Function:
    return parse_module(f"{head}\nblock0(v0: i32, v1: i64):\n{body}\n}}").functions[0]


def errors_of(text: str) -> list[tuple[int, int, str]]:
    with pytest.raises(InputError) as caught:
        parse_module(text)
    return [(d.line, d.column, d.message) for d in caught.value.diagnostics]


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("v1, v2 = iadd.i32 v0+8, -1 ; c", ["v1", ",", "v2", "=", "iadd", ".", "i32", "v0", "+8", ",", "-1"]),
        ("v3->v4 -0x1.8p-3 +sNaN:0x1 NaN:0x5 Inf", ["v3", "->", "v4", "-0x1.8p-3", "+sNaN:0x1", "NaN:0x5", "Inf"]),
        ('region0 = 1 "a;b" @00ff @ %f_1', ["region0", "=", "1", '"a;b"', "@00ff", "@", "%f_1"]),
        ("--5 -x é", ["--5", "-", "x", "é"]),
    ],
)
def test_tokens(text: str, tokens: list[str]) -> None:
    assert Cursor([text], 1).tokens[:-4] == tokens


@pytest.mark.parametrize(
    ("text", "bits", "value"),
    [
        ("0.0", 32, 0),
        ("-0.0", 32, 1 << 31),
        ("0x1.8p0", 32, 0x3FC00000),
        ("0x0.000002p-126", 32, 1),
        ("0x1p-149", 32, 1),
        ("+Inf", 64, 0x7FF0000000000000),
        ("-NaN", 16, 0xFE00),
        ("NaN:0x1", 32, 0x7FC00001),
        ("+sNaN:0x1", 32, 0x7F800001),
        ("0x1.fffffep127", 32, 0x7F7FFFFF),
        ("0x00ff.8p+1", 64, 0x407FF00000000000),
        ("-0x1.0p16383", 128, 0xFFFE << 112),
        ("0x0.0p5", 64, 0),
    ],
)
def test_float_literals(text: str, bits: int, value: int) -> None:
    assert literals.float_bits(text, bits) == value
    assert literals.float_bits(literals.float_text(value, bits), bits) == value


@pytest.mark.parametrize(
    "text",
    [
        "1.0",
        "0x1.0000001p0",
        "0x1p128",
        "0x1p-150",
        "NaN:0x400000",
        "sNaN:0x0",
        "0x",
        "0x1.p",
        "0x1.0p99999",
        "0x1.2.3",
        "Infinity",
        "0x" + "1" * 33,
        "sNaN",
    ],
)
def test_what_is_no_float(text: str) -> None:
    with pytest.raises(literals.BadLiteral):
        literals.float_bits(text, 32)


def test_random_floats_survive_their_text() -> None:
    rng = random.Random(1)
    for bits in (16, 32, 64, 128):
        for _ in range(300):
            value = rng.getrandbits(bits)
            assert literals.float_bits(literals.float_text(value, bits), bits) == value


@pytest.mark.parametrize(
    ("text", "bits", "value"),
    [
        ("255", 8, 255),
        ("-128", 8, 128),
        ("+7", 8, 7),
        ("0xff", 8, 255),
        ("-0x1", 16, 65535),
        ("0xf_f", 8, 255),
        ("-0", 8, 0),
    ],
)
def test_immediates(text: str, bits: int, value: int) -> None:
    assert literals.immediate(text, bits) == value


@pytest.mark.parametrize("text", ["256", "-129", "1_0", "0x", "", "-", "--1", "0x100", "9" * 5000])
def test_what_is_no_8_bit_immediate(text: str) -> None:
    with pytest.raises(literals.BadLiteral):
        literals.immediate(text, 8)


def test_imm64_takes_a_range_and_a_half() -> None:
    assert literals.imm64("18446744073709551615") == -1
    assert literals.imm64("-9223372036854775808") == -1 << 63
    assert literals.imm64("1_0") == 10
    for text in ("18446744073709551616", "-9223372036854775809", "0x10000000000000000", "- 1"):
        with pytest.raises(literals.BadLiteral):
            literals.imm64(text)


@pytest.mark.parametrize("name", ["operands.clif", "calls.clif", "older.clif"])
def test_the_corpus_parses_verifies_and_prints_back(name: str) -> None:
    found = functions(name)
    assert len(found) >= 5
    for func in found:
        assert verify(func, "x86-64") == []
        assert parse_module(print_function(func, "exact")).functions[0] == func
        again = parse_module(print_function(func)).functions[0]
        assert verify(again, "x86-64") == []
        assert print_function(again) == print_function(func)


def test_the_corpus_has_every_format() -> None:
    seen = {
        inst.op
        for name in ("operands.clif", "calls.clif", "older.clif")
        for func in functions(name)
        for block in func.blocks
        for inst in block.insts
    }
    formats = {row.format.name for row in OPCODES.values() if not row.format.name.startswith("Dynamic")}
    assert formats == {OPCODES[op].format.name for op in seen}
    assert seen >= OLD_OPCODES


def test_portable_text_has_no_removed_opcode() -> None:
    for func in functions("older.clif"):
        body = print_function(func).split("block0")[1]
        assert not any(f" {op}" in body for op in OLD_OPCODES)
        assert modern(func).types.items() >= func.types.items()


def test_one_error_a_broken_line_and_none_elsewhere() -> None:
    text = read_text(CORPUS / "broken.clif")
    found = parse_filetest(text, "broken.clif", strict=False).errors
    wanted = [n for n, line in enumerate(text.split("\n"), 1) if line.endswith("; error")]
    assert [d.line for d in sorted(found, key=lambda d: d.line)] == wanted
    assert all(d.column >= 1 and d.source and d.file == "broken.clif" for d in found)


def test_errors_have_columns() -> None:
    text = "function %f(i32) {\nblock0(v0: i32):\n    v1 = iadd v0, v9\n    v2 = icmp huh v0, v0\n    return\n}"
    assert [e[:2] for e in errors_of(text)] == [(4, 15), (3, 19)]


def test_suffix_and_operand_disagree_as_upstream_reads_it() -> None:
    inst = one("v2 = icmp.i64 eq v0, v0\nreturn v0").blocks[0].insts[0]
    assert inst.type is I32


def test_forward_references_and_aliases() -> None:
    func = parse_module("""function %f(i32) -> i32 {
        block0(v0: i32): v5 -> v0
            jump block2
        block1: v6 -> v5 return v7
        block2: v7 = iadd v5, v5 jump block1 }""").functions[0]
    assert func.blocks[2].insts[0].args == (0, 0)
    assert func.aliases == {5: 0, 6: 5}
    assert parse_module(print_function(func, "exact")).functions[0] == func


def test_flags() -> None:
    inst = one("v2 = load.i32 aligned notrap readonly can_move little region3 v1-0x10\nreturn v2").blocks[0].insts[0]
    assert inst.flags == MemFlags(True, True, True, "", "little", "region3")
    assert inst.offset == -16
    assert one("v2 = load.i32 heap_oob v1\nreturn v2").blocks[0].insts[0].flags == MemFlags()


def test_dynamic_vectors_of_another_size_are_refused_by_name() -> None:
    text = (
        "function %f(i64 vmctx) {\n gv0 = vmctx\n dt0 = i32x4*gv0\nblock0(v0: i64):\n return\n}\n; run: %f(0) == []\n"
    )
    with pytest.raises(Unsupported, match="dynamic vector types"):
        parse_module(text)
    test = parse_filetest(text + "function %g() {\nblock0:\n return\n}\n")
    assert [t.refused for t in test.functions] == ["dynamic vector types", ""]
    assert len(test.functions[0].run_lines) == 1


def test_header() -> None:
    test = parse_filetest(read_text(CORPUS / "calls.clif"))
    assert [c.name for c in test.commands] == ["compile"]
    assert test.features == [(True, "x"), (False, "y")]
    assert [t.isa for t in test.targets] == ["x86-64", "aarch64", "riscv64"]
    assert dict(test.targets[2].settings) == {
        "enable_llvm_abi_extensions": "true",
        "has_c": "preset",
        "has_v": "true",
        "has_zba": "true",
        "zvl128b": "preset",
    }
    assert test.default_call_conv == "fast"


def test_settings_hold_for_the_targets_after_them() -> None:
    test = parse_filetest(read_text(CORPUS / "operands.clif"))
    assert [dict(t.settings)["opt_level"] for t in test.targets] == ["none", "speed", "speed"]
    assert test.default_call_conv == "system_v"
    assert test.module().functions[0].signature.call_conv == "system_v"


def test_a_set_without_target_is_an_error() -> None:
    assert errors_of("test run\ntarget x86_64\nset opt_level=speed\n")[0][0] == 3


RUN = """test run
function %f(i8, f32, i32x4) -> i64, f16 {
block0(v0: i8, v1: f32, v2: i32x4):
    v3 = iconst.i64 0
    v4 = f16const 0.0
    return v3, v4
}
; run: %f(-1, -0x1.8p1, [1 -2 0x3 4]) == [-5, +Inf]
; run: %f(255, 0.0, 0x00000000000000000000000000000001) != [0xffff_ffff_ffff_ffff, 0x1.0]
; print: %f(1, +NaN:0x2, [0 0 0 0])
; running is not a run line
"""


def test_run_lines() -> None:
    lines = parse_filetest(RUN).functions[0].run_lines
    assert [(r.comparison, r.line) for r in lines] == [("==", 8), ("!=", 9), ("print", 10)]
    assert lines[0].args == (255, 0xC0400000, 1 | 0xFFFFFFFE << 32 | 3 << 64 | 4 << 96)
    assert lines[0].expected == ((1 << 64) - 5, 0x7C00)
    assert lines[1].args == (255, 0, 1)
    assert lines[2].args[1] == 0x7FC00002


def test_run_lines_survive_their_text() -> None:
    for line in parse_filetest(RUN).functions[0].run_lines:
        text = "\n".join([*RUN.split("\n")[:7], run_line_text(line)])
        again = parse_filetest(text).functions[0].run_lines[0]
        assert (again.args, again.expected, again.comparison) == (line.args, line.expected, line.comparison)


TRAPS = """test run
function %f(i32) -> i32 {
block0(v0: i32):
    v1 = udiv v0, v0
    return v1
}
; run: %f(0) == trap int_divz
; run: %f(1) != trap user7
; run: %f(0) == trap
; run: %f(0) traps int_divz
"""


def test_run_lines_that_expect_a_trap() -> None:
    lines = parse_filetest(TRAPS).functions[0].run_lines
    assert [(line.comparison, line.trap) for line in lines] == [
        ("==", "int_divz"),
        ("!=", "user7"),
        ("==", "any"),
        ("==", "int_divz"),
    ]
    met = [
        (
            line.is_met("trapped", (), "int_divz"),
            line.is_met("trapped", (), "user7"),
            line.is_met("returned", (1,), ""),
            line.is_met("crashed", (), "int_divz"),
        )
        for line in lines
    ]
    assert met == [
        (True, False, False, False),
        (True, False, True, False),
        (True, True, False, False),
        (True, False, False, False),
    ]
    assert [run_line_text(line) for line in lines[:3]] == TRAPS.splitlines()[6:9]


def test_a_run_line_that_names_no_trap_code() -> None:
    assert "trap code (stk_ovf" in errors_of(TRAPS.replace("== trap int_divz", "== trap int_div"))[0][2]


def test_what_looks_like_a_run_line_in_a_file_that_runs_nothing_is_a_comment() -> None:
    text = "test compile\nfunction %f(i16) {\nblock0(v0: i16):\n    return\n}\n; run: %f(6330)\n"
    assert parse_filetest(text).functions[0].run_lines == []
    for header in ("test compile\ntest run", "test interpret", ""):
        assert errors_of(text.replace("test compile", header))[0][0] == 6 + header.count("\n")


def test_implicit_run() -> None:
    text = "function %f() -> i8 {\nblock0:\nv0 = iconst.i8 1\nreturn v0\n}\n; run\n"
    line = parse_filetest(text).functions[0].run_lines[0]
    assert (line.function, line.comparison, line.expected) == ("", "!=", (0,))


def test_data_text_of_every_type() -> None:
    rng = random.Random(2)
    for ty in TYPES.values():
        if ty.bits <= 128:
            text = data_text(rng.getrandbits(ty.bits), ty)
            head = f"function %f({ty.name}) {{\nblock0(v0: {ty.name}):\nreturn\n}}\n; run: %f({text}) == []"
            assert data_text(parse_filetest(head).functions[0].run_lines[0].args[0], ty) == text


@pytest.mark.parametrize("line", ["%f(1) == 2", "%f(256) == [1]", "%f() = 1", "f() == 1", "%f(1)", "%f(1) == []"])
def test_wrong_run_lines(line: str) -> None:
    text = f"function %f(i8) -> i8 {{\nblock0(v0: i8):\nreturn v0\n}}\n; run: {line}\n"
    if line == "%f(1) == 2":
        assert parse_filetest(text).functions[0].run_lines[0].expected == (2,)
    else:
        assert errors_of(text)[0][0] == 5


@pytest.mark.parametrize(
    ("head", "unit", "count"),
    [
        ("", "(", 10_000_000),
        ("", "(\n", 2_000_000),
        ("function %f() {\nblock0:\n", "(", 10_000_000),
        ("function %f() {\nblock0:\n", "(\n", 5_000_000),
        ("function %f", "(", 5_000_000),
        ("", "function\n", 200_000),
        ("", "\0", 100_000),
        ("", "v", 5_000_000),
        ("function %f() {\nblock0:\n v0 = iconst.i64 ", "1", 5_000_000),
        ("function %f() { block0: jump block0", "[", 9999),
    ],
)
def test_nonsense_is_answered_at_once(head: str, unit: str, count: int) -> None:
    start = time.process_time()
    found = errors_of(head + unit * count)
    assert 1 <= len(found) <= MAX_ERRORS + 1
    assert all(message.isprintable() and len(message) < 300 for _, _, message in found)
    assert time.process_time() - start < 3


def test_random_bytes_and_truncated_files_never_raise_anything_else() -> None:
    rng = random.Random(3)
    texts = [read_text(path) for path in CORPUS.glob("*.clif")]
    for _ in range(150):
        text = rng.choice(texts)
        text = text[: rng.randrange(len(text))] + bytes(rng.randrange(256) for _ in range(9)).decode("latin-1")
        for error in parse_filetest(text, strict=False).errors:
            assert str(error)
    for _ in range(50):
        parse_filetest(bytes(rng.randrange(256) for _ in range(500)).decode("latin-1"), strict=False)


def test_a_file_that_is_no_text(tmp_path: Path) -> None:
    path = tmp_path / "x.clif"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="not UTF-8"):
        read_text(path)
    with pytest.raises(InputError, match="cannot be read"):
        read_text(tmp_path)


def test_builder_output_parses_back_to_the_same_function() -> None:
    b = FunctionBuilder("%f", signature((I32, I64), (I32,), "tail"))
    x, p = b.entry_params
    loop, done = b.block(I32), b.block(I32, I64, cold=True)
    b.jump(loop, b.iconst(I32, -7))
    b.switch_to(loop)
    counter = loop.params[0][0]
    (called,) = b.call(b.func_ref("%g", signature((I32,), (I32,), "fast"), colocated=True), counter)
    b.brif(b.ins("icmp", I32, called, x, imm="slt"), loop, (called,), done, (x, p))
    b.switch_to(done)
    b.vconst(TYPES["i32x4"], 5)
    low, flag = b.ins_many("uadd_overflow", I32, x, counter)
    assert b.types[flag] is I8
    b.ins("store", I32, low, p, flags=MemFlags(trap=""), offset=8)
    b.ret(low)
    func = b.finish()
    assert verify(func, "aarch64") == []
    assert parse_module(print_function(func, "exact")).functions[0] == func


def test_printing_is_fast_enough_for_the_generator() -> None:
    b = FunctionBuilder("%f", signature((I64, I64), (I64,)))
    x, y = b.entry_params
    for _ in range(5000):
        x = b.ins("iadd", I64, x, y)
    b.ret(x)
    func = b.finish()
    best = min(_seconds(func) for _ in range(5))
    assert best / 5000 < 4e-6, "aim 1.2 µs an instruction; 0.4 was measured"


def _seconds(func: Function) -> float:
    start = time.process_time()
    print_function(func)
    return time.process_time() - start


def test_module_text() -> None:
    found = functions("calls.clif")
    assert len(parse_module(print_module(parse_module("\n".join(map(print_function, found))))).functions) == len(found)
