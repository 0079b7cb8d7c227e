"""Dialects that are not read: one sentence, at the right word, that says how old the text is."""

from __future__ import annotations

from pathlib import Path

import pytest

from liftcheck import cli
from liftcheck.clif.opcodes import OPCODES
from liftcheck.clif.text.parser import parse_filetest
from liftcheck.clif.text.preamble import CALL_CONVS
from liftcheck.clif.text.printer import print_module
from liftcheck.clif.types import TYPES
from liftcheck.errors import Diagnostic

BLOCKS = """\
function %f(i64) -> i32 system_v {
    jt0 = jump_table [ebb1, ebb2]
ebb0(v0: i64):
    brnz v0, ebb1
    br_table v0, ebb2, jt0
ebb1:
    v1 = iconst.i32 1
    return v1
ebb2:
    v2 = iconst.i32 2
    return v2
}
"""


def errors(text: str) -> list[Diagnostic]:
    return parse_filetest(text, "f.clif", strict=False).errors


def one(body: str, signature: str = "(i64) -> i64", preamble: str = "") -> str:
    return f"function %f{signature} {{\n{preamble}block0(v0: i64):\n{body}    return v0\n}}\n"


def test_a_file_of_2019_is_refused_in_one_sentence() -> None:
    (error,) = errors(BLOCKS)
    assert (error.line, error.column) == (2, 5)
    assert error.message.startswith("an old dialect of CLIF, from before Cranelift 0.60: 'jt0' (jump tables")
    assert "0.95 and newer" in error.message and error.source == "jt0 = jump_table [ebb1, ebb2]"


@pytest.mark.parametrize(
    ("text", "line", "word", "version"),
    [
        (one("", "(i64) -> b1"), 1, "b1", "0.90"),
        (one("    v1 = bconst.b8 true\n"), 3, "bconst", "0.90"),
        (one("    v1 = bint.i32 v0\n"), 3, "bint", "0.90"),
        (one("    v1 = raw_bitcast.i64x2 v0\n"), 3, "raw_bitcast", "0.90"),
        (one("    brz v0, block0\n    jump block1\n"), 3, "brz", "0.93"),
        (one("    br_icmp eq v0, v0, block1\n"), 3, "br_icmp", "0.93"),
        (
            one("", preamble="    heap0 = static gv0, min 0x1000, bound 0x1_0000_0000, index_type i32\n"),
            2,
            "heap0",
            "0.92",
        ),
        (one("    v1 = heap_addr.i64 heap0, v0, 0, 4\n"), 3, "heap_addr", "0.92"),
        (
            one("", preamble="    table0 = dynamic gv0, min 0, bound gv1, element_size 8, index_type i32\n"),
            2,
            "table0",
            "0.110",
        ),
        (one("", preamble="    jt0 = jump_table [block0]\n"), 2, "jt0", "0.94"),
        (one("", "(i64, r64) -> i64"), 1, "r64", "0.112"),
        (one("    v1 = null.r32\n"), 3, "null", "0.112"),
        (one("    fallthrough block1\n"), 3, "fallthrough", "0.90"),
        (one("", "(i64) -> i64 baldrdash_system_v"), 1, "baldrdash_system_v", "0.90"),
    ],
)
def test_each_sign_is_told_at_its_word(text: str, line: int, word: str, version: str) -> None:
    (error,) = errors(text)
    assert error.line == line and text.split("\n")[line - 1][error.column - 1 :].startswith(word)
    assert f"from before Cranelift {version}: '{word}'" in error.message


def test_errors_in_front_stay_and_a_sign_in_a_comment_is_none() -> None:
    text = one("    v1 = nosuch v0 ; as brz did\n    brz v0, block0\n    v2 = nosuch v0\n")
    first, second = errors(text)
    assert "unknown opcode 'nosuch'" in first.message and second.line == 4 and "'brz'" in second.message


def test_what_was_never_clif_is_no_old_dialect() -> None:
    (error,) = errors(one("    v1 = nosuch v0\n"))
    assert error.message == "unknown opcode 'nosuch'"


def test_no_word_of_a_dialect_that_is_read_is_a_sign() -> None:
    from liftcheck.clif.text.dialects import _sign_of

    words = [*OPCODES, *TYPES, *CALL_CONVS, "notrap", "heap", "table", "vmctx", "checked", "block0", "explicit_slot"]
    assert not [word for word in words if _sign_of(word)]


@pytest.mark.needs_compiler
def test_every_command_says_it(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "old.clif"
    path.write_text("test run\ntarget x86_64\n" + BLOCKS)
    for command in ("interpret", "run", "compile", "regalloc", "test"):
        assert cli.main([command, str(path)]) == 2, command
        captured = capsys.readouterr()
        printed = captured.err + captured.out
        assert printed.count("old dialect of CLIF") == 1 and "expected" not in printed, command


DYNAMIC = """\
test interpret
test run
target aarch64

function %narrow(i16, i16) -> i8x16 {
    gv0 = dyn_scale_target_const.i16x8
    gv1 = dyn_scale_target_const.i16x4
    dt0 = i16x8*gv0
    dt1 = i16x4*gv1
    dss0 = explicit_dynamic_slot dt0
    ss0 = explicit_slot 16
block0(v0: i16, v1: i16):
    v2 = splat.dt0 v0
    v3 = splat.dt1 v1
    v4 = snarrow.dt0 v2, v3
    v5 = extract_vector v4, 0
    return v5
}
; run: %narrow(300, -5) == [127 127 127 127 127 127 127 127 -5 -5 -5 -5 -5 -5 -5 -5]
"""


@pytest.mark.needs_compiler
def test_dynamic_vectors_are_vectors_of_128_bits(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "dynamic.clif"
    path.write_text(DYNAMIC)
    for command in ("interpret", "run", "compile", "regalloc", "test"):
        assert cli.main([command, str(path)]) == 0, command
    assert "0 failed, 0 undecided, 0 skipped" in capsys.readouterr().out
    path.write_text(DYNAMIC.replace("== [127", "== [126"))
    assert cli.main(["test", str(path)]) == 1 and "2 failed" in capsys.readouterr().out


def test_dynamic_slots_hold_what_was_stored() -> None:
    from liftcheck.interp.run import prepare

    text = (
        "function %f(i32) -> i32x4, i64 {\n    gv0 = dyn_scale_target_const.i32x2\n    dt0 = i32x2*gv0\n"
        "    dss3 = explicit_dynamic_slot dt0\nblock0(v0: i32):\n    v1 = splat.dt0 v0\n"
        "    dynamic_stack_store v1, dss3\n    v2 = dynamic_stack_load.dt0 dss3\n    v3 = extract_vector v2, 0\n"
        "    v4 = global_value.i64 gv0\n    return v3, v4\n}\n"
    )
    for order in (False, True):
        outcome = prepare(parse_filetest(text).module(), order).run(0, [7])
        assert outcome.values == (7 << 96 | 7 << 64 | 7 << 32 | 7, 2)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("dt0 = i16x8*gv0", "dt0 = i16*gv0", "i16 is not a base of a dynamic vector type"),
        ("splat.dt0", "splat.dt7", "expected a type after the opcode"),
        ("dt1 = i16x4*gv1", "dt0 = i16x4*gv1", "duplicate entity: dt0"),
        ("explicit_dynamic_slot dt0", "explicit_dynamic_slot dt9", "expected a dynamic type"),
        ("extract_vector v4, 0", "extract_vector v4, 1", "only number 0 can be extracted"),
    ],
)
def test_what_is_wrong_with_a_dynamic_type_is_said(old: str, new: str, message: str) -> None:
    assert message in errors(DYNAMIC.replace(old, new))[0].message


@pytest.mark.needs_compiler
def test_a_sized_slot_of_the_dynamic_kind_is_a_slot(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    text = (
        "test run\ntarget x86_64\ntarget s390x\nfunction %f(i32) -> i32 {\n"
        "    ss0 = explicit_dynamic_slot 64, align = 16\nblock0(v0: i32):\n    v1 = stack_addr.i64 ss0+60\n"
        "    store v0, v1\n    v2 = load.i32 v1\n    return v2\n}\n; run: %f(-5) == -5\n"
    )
    test = parse_filetest(text)
    assert "explicit_dynamic_slot 64, align = 16" in print_module(test.module(), "exact")
    assert "explicit_slot 64, align = 16" in print_module(test.module())
    path = tmp_path / "slot.clif"
    path.write_text(text)
    for command in ("interpret", "run", "compile", "regalloc", "test"):
        assert cli.main([command, str(path)]) == 0, command
    capsys.readouterr()
