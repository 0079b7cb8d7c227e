"""Every command takes every dialect: what a compiler reads goes to it as written, the rest is translated."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from liftcheck import cli
from liftcheck.case import CompileFailure, FunctionCode, Target
from liftcheck.clif.text.filetest import FileTest, read_text
from liftcheck.clif.text.parser import parse_filetest
from liftcheck.clif.text.portable import OLD_OPCODES
from liftcheck.compilers.base import Complaint
from liftcheck.compilers.cranelift.client import Cranelift
from liftcheck.compilers.spelling import Spelling, spell

OLDER = Path(__file__).resolve().parents[2] / "corpus" / "files" / "older.clif"


class WithoutRegions(Cranelift):
    """The newest Cranelift, but its reader knows no alias regions, as that of 0.130."""

    def verify_text(self, text: str, target: Target | None = None) -> list[Complaint]:
        for number, line in enumerate(text.split("\n"), 1):
            if "region0" in line:
                return [Complaint("read", number, "", "expected stack slot or block, found 'region0'")]
        return super().verify_text(text, target)


@pytest.fixture(scope="module")
def older() -> FileTest:
    return parse_filetest(read_text(OLDER), str(OLDER))


def piece(spelling: Spelling, name: str) -> str:
    return next(found.text for found in spelling.pieces if found.text.startswith(f"function {name}("))


def test_what_is_read_goes_out_as_written(compiler: Cranelift, older: FileTest) -> None:
    number = [function.name for function in older.functions].index("%regions")
    spelling = spell(compiler, older, [number])
    first = older.functions[number].line
    following = older.functions[number + 1].line
    assert spelling.pieces[0].text == "\n".join(older.source[first - 1 : following - 1]) and not spelling.notes
    assert spelling.header == "test run\n"


def test_only_what_is_not_read_is_translated_and_keeps_its_hints(compiler: Cranelift, older: FileTest) -> None:
    spelling = spell(compiler, older)
    assert "region0 = 5" in piece(spelling, "%regions")
    assert "region0" in piece(spelling, "%mixed") and "rotl_imm" not in piece(spelling, "%mixed")
    flags = piece(spelling, "%flags")
    assert "can_move" in flags and "heap" not in flags and "vmctx" not in flags and "checked" not in flags
    assert [note.split(" ")[0] for note in spelling.notes] == ["%imm", "%flags", "%mixed"]
    assert "does not read line 13: Unknown opcode: 'iadd_imm'" in spelling.notes[0]


def test_new_words_are_left_out_for_a_reader_without_them(compiler: Cranelift, older: FileTest) -> None:
    with WithoutRegions(compiler.build) as compiler:
        spelling = spell(compiler, older)
    assert "region0" not in piece(spelling, "%regions") and "'region0'" in spelling.notes[-2]


def test_every_line_of_the_text_knows_its_line_in_the_file(compiler: Cranelift, older: FileTest) -> None:
    spelling = spell(compiler, older)
    text = spelling.text.split("\n")
    assert len(text) == len(spelling.lines)
    for function in older.functions:
        assert function.function is not None
        for block in function.function.blocks:
            for inst in block.insts:
                words = [line for line, of in zip(text, spelling.lines) if of == inst.line]
                assert words, older.source[inst.line - 1]
                if inst.op not in OLD_OPCODES:
                    assert len(words) == 1 and inst.op in words[0]


def test_what_no_form_is_read_of_is_refused_at_the_users_line(compiler: Cranelift) -> None:
    new = "function %new(i64x2) -> i64x2 {\nblock0(v0: i64x2):\n    v1 = bnot v0\n    return v1\n}\n"
    text = f"{OLDER.read_text()}\n{new}"
    test = parse_filetest(text, "new.clif")

    class WithoutBnot(Cranelift):
        def verify_text(self, text: str, target: Target | None = None) -> list[Complaint]:
            lines = [number for number, line in enumerate(text.split("\n"), 1) if re.search(r"bnot(\.i64x2)? v0", line)]
            return [Complaint("read", lines[0], "", "no bnot")] if lines else super().verify_text(text, target)

    with WithoutBnot(compiler.build) as compiler:
        spelling = spell(compiler, test)
    bad = next(number for number, line in enumerate(spelling.text.split("\n"), 1) if "bnot v0" in line)
    failure = spelling.located(CompileFailure("input", "no bnot", "no bnot", f"line {bad}"))
    assert isinstance(failure, CompileFailure)
    assert failure.place == f"line {next(n for n, line in enumerate(test.source, 1) if 'bnot v0' in line)}"
    code = FunctionCode("%f", b"")
    assert spelling.located(code) is code


def test_a_file_without_old_words_is_one_question(compiler: Cranelift) -> None:
    asked = []

    class Counting(Cranelift):
        def verify_text(self, text: str, target: Target | None = None) -> list[Complaint]:
            asked.append(text)
            return super().verify_text(text, target)

    text = "".join(f"function %f{n}(i32) -> i32 {{\nblock0(v0: i32):\n    return v0\n}}\n" for n in range(50))
    with Counting(compiler.build) as compiler:
        assert spell(compiler, parse_filetest(text, "many.clif")).text == text
    assert len(asked) == 1


@pytest.mark.needs_compiler
@pytest.mark.parametrize("command", ["run", "compile"])
def test_what_has_no_other_form_is_named_with_its_line(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, command: str
) -> None:
    path = tmp_path / "blend.clif"
    path.write_text(
        'test run\ntarget x86_64 has_sse41\n\nfunction %f(i8x16) -> i8x16 {\n    region0 = 1 "r"\n'
        "block0(v0: i8x16):\n    v1 = x86_blendv v0, v0, v0\n    v2 = bnot v1\n    return v2\n}\n"
        "; run: %f(0x00000000000000000000000000000000) == 0xffffffffffffffffffffffffffffffff\n"
    )
    assert cli.main(["interpret", str(path)]) == 0
    assert cli.main([command, str(path)]) == 2
    assert "input: Unknown opcode: 'x86_blendv' (at line 7)" in capsys.readouterr().out


def test_functions_that_are_read_alone_keep_the_files_convention(compiler: Cranelift) -> None:
    target = Target("aarch64")
    body = "    v1 = get_stack_pointer.i64\n    return v1\n}\n"
    good = "function %g() -> i64 {\n    fn0 = %h() -> i64\nblock0:\n    v0 = call fn0()\n" + body
    for header in ("", "test run\n"):
        whole = compiler.compile_text(header + good, [target], frozenset({"clif"}))[0]
        apart = compiler.compile_text(
            f"{header}function %bad() {{\nblock0:\n    nonsense\n}}\n{good}", [target], frozenset({"clif"})
        )[0]
        assert isinstance(whole[0], FunctionCode) and isinstance(apart[0], CompileFailure)
        assert isinstance(apart[1], FunctionCode) and apart[1].extra["clif"] == whole[0].extra["clif"]
        assert ("system_v" in str(whole[0].extra["clif"])) == bool(header)


@pytest.mark.needs_compiler
def test_the_cold_convention_of_older_versions_is_fast(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "cold.clif"
    path.write_text(
        "test run\ntarget x86_64\ntarget s390x\nfunction %f(i32, f64) -> i32 cold {\n"
        "    sig0 = (i32) -> i32 cold\n    fn0 = %g sig0\nblock0(v0: i32, v1: f64):\n"
        "    v2 = call fn0(v0)\n    return v2\n}\n; run: %f(4, 0x1.0) == 8\n"
        "function %g(i32) -> i32 cold {\nblock0(v0: i32):\n    v1 = iadd v0, v0\n    return v1\n}\n"
    )
    for command in ("interpret", "run", "test", "compile", "regalloc"):
        assert cli.main([command, str(path)]) == 0, command
    assert "note: %f is translated" in capsys.readouterr().out


@pytest.mark.needs_compiler
@pytest.mark.parametrize("between", [" ", "\n", "\n\n"])
def test_functions_on_one_line(capsys: pytest.CaptureFixture[str], tmp_path: Path, between: str) -> None:
    text = between.join(
        f"function %f{n}(i32) -> i32 {{ block0(v0: i32): v1 = iadd v0, v0 v2 = isub v1, v0 return v2 }}"
        for n in range(3)
    )
    path = tmp_path / "line.clif"
    path.write_text(f"{text}\n; run: %f2(5) == 5\n")
    for command in ("interpret", "run", "compile", "regalloc"):
        assert cli.main([command, str(path)]) == 0, command
    assert cli.main(["compile", str(path), "--function", "f1", "--isa", "s390x"]) == 0
    assert "%f1: " in capsys.readouterr().out


def test_many_notes_are_folded(compiler: Cranelift) -> None:
    text = "".join(
        f"function %f{n}(i32) -> i32 {{\nblock0(v0: i32):\n    v1 = iadd_imm v0, 1\n    return v1\n}}\n"
        for n in range(9)
    )
    notes = spell(compiler, parse_filetest(text, "many.clif")).notes
    assert len(notes) == 4 and notes[-1] == "so are 6 more functions"


@pytest.mark.needs_compiler
@pytest.mark.parametrize(
    "words",
    [["interpret"], ["run"], ["test"], ["compile"], ["compile", "--clif", "--vcode"], ["regalloc", "--isa", "s390x"]],
)
def test_every_command_takes_the_older_dialect(capsys: pytest.CaptureFixture[str], words: list[str]) -> None:
    assert cli.main([words[0], str(OLDER), *words[1:], "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    if words[0] == "test":
        assert document["failed"] == document["skipped"] == 0 and document["passed"] == 30
    if words[0] in ("run", "interpret"):
        results = document["results" if words[0] == "run" else "calls"]
        assert all(result["as_expected"] for result in results) and len(results) in (6, 24)
    if words[0] == "regalloc":
        assert all(counts["valid"] == counts["functions"] == 4 for counts in document["isas"]["s390x"].values())


@pytest.mark.needs_compiler
def test_a_listing_points_at_the_lines_that_the_user_wrote(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["compile", str(OLDER), "--isa", "x86-64", "--function", "imm"]) == 0
    out = capsys.readouterr().out
    assert "; 14: v2 = irsub_imm v1, 100" in out and "; 24: v5 = imul_imm v9, 3" not in out
    assert "; 22: v5 = imul_imm v9, 3" in out or "; 23: return v5" in out


@pytest.mark.needs_compiler
def test_a_byte_order_mark_is_no_word(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "mark.clif"
    path.write_bytes(
        b"\xef\xbb\xbftest run\r\ntarget s390x\r\n" + b"function %f(i32) -> i32 {\r\nblock0(v0: i32):\r\n"
        b"    v1 = iadd_imm v0, 1\r\n    return v1\r\n}\r\n; run: %f(1) == 2\r\n"
    )
    for command in ("interpret", "run", "test", "compile", "regalloc"):
        assert cli.main([command, str(path)]) == 0, command
    capsys.readouterr()
