"""Run lines with memory: the notation, where buffers lie, what is claimed of them; on all ISAs, in all commands."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from liftcheck import cli, layout
from liftcheck.clif.text.buffers import FILL, Memory
from liftcheck.clif.text.filetest import read_text
from liftcheck.clif.text.parser import parse_filetest
from liftcheck.clif.text.runlines import RunLine, run_line_text
from liftcheck.compilers.cranelift.client import Cranelift
from liftcheck.errors import Diagnostic

BUFFERS = Path(__file__).resolve().parents[2] / "corpus" / "files" / "buffers.clif"
BODY = "function %f(i64, i64) -> i64 {\nblock0(v0: i64, v1: i64):\n    return v0\n}\n"


def line_of(*comments: str, header: str = "") -> RunLine:
    """The last run line of `%f` with these comments, in data region 0 of a little-endian machine."""
    text = header + BODY + "".join(f"; liftcheck: {comment}\n" for comment in comments)
    return parse_filetest(text, "f.clif").functions[0].run_lines[-1].at(0, False)


def wrong(*comments: str) -> list[Diagnostic]:
    return parse_filetest(BODY + "".join(f"; liftcheck: {c}\n" for c in comments), "f.clif", strict=False).errors


def region(line: RunLine) -> bytes:
    regions = line.regions()
    assert regions is not None
    ((base, content),) = regions.items()
    assert base == layout.slot_address(0) and len(content) == layout.SLOT_SIZE
    return content


def test_contents_lie_in_the_machines_byte_order_and_bytes_as_they_stand() -> None:
    made = line_of("memory a = i16[1 -2], f32[0x1.0], bytes[de ad_be 0xef], zero[3], i8[5]", "print: %f(&a, 0)")
    little = bytes.fromhex("0100feff0000803fdeadbeef00000005")
    big = bytes.fromhex("0001fffe3f800000deadbeef00000005")
    assert region(made)[: len(little) + 1] == little + bytes([FILL])
    assert region(made.at(0, True))[: len(big) + 1] == big + bytes([FILL])


def test_buffers_follow_one_another_aligned_and_only_those_that_are_used() -> None:
    made = line_of(
        "memory a = i8[1]",
        "memory unused = zero[1000]",
        "memory b = i8[2], align = 64",
        "memory c = i8[3]",
        "run: %f(&a, &c) == 0, b == i8[2]",
    )
    assert made.memory is not None and made.memory.offsets == {"a": 0, "c": 16, "b": 64}
    base = layout.slot_address(0)
    assert made.args == (base, base + 16)
    assert made.at(3, False).args == (layout.slot_address(3), layout.slot_address(3) + 16)


def test_addresses_in_memory_in_results_and_with_offsets() -> None:
    made = line_of("memory a = i64[7 8]", "memory b = ptr[&a+8 &b 0]", "run: %f(&b, 1) == &a+8")
    base = layout.slot_address(0)
    content = region(made)
    assert made.memory is not None and made.expected == (base + made.memory.offsets["a"] + 8,)
    at = made.memory.offsets["b"]
    assert content[at : at + 8] == made.expected[0].to_bytes(8, "little")
    assert content[at + 8 : at + 16] == (base + at).to_bytes(8, "little") and content[at + 16 : at + 24] == bytes(8)


def test_a_claim_is_met_by_its_bytes_alone() -> None:
    made = line_of("memory a = i32[1 2]", "run: %f(&a, 0) == 5, a+4 == i32[9]")
    content = bytearray(region(made))
    assert not made.is_met("returned", (5,), "", bytes(content))
    content[4:8] = (9).to_bytes(4, "little")
    assert made.is_met("returned", (5,), "", bytes(content)) and not made.is_met("returned", (6,), "", bytes(content))
    assert not made.at(0, True).is_met("returned", (5,), "", bytes(content))
    assert made.found_text(bytes(content)) == ["a+4 = i32[9]"]


def test_a_trap_may_be_expected_with_what_was_written_before() -> None:
    made = line_of("memory a = i32[1]", "run: %f(&a, 0) == trap heap_oob, a == i32[1]")
    assert made.is_met("trapped", (), "heap_oob", region(made)) and not made.is_met("trapped", (), "heap_oob", b"")
    assert made.expectation() == "== trap heap_oob, a == i32[1]"


def test_a_buffer_of_the_header_is_every_functions() -> None:
    made = line_of("run: %f(&a, 2) == 1", header="test run\n; liftcheck: memory a = i8[9]\n")
    assert region(made)[:1] == b"\x09"
    again = line_of("memory a = i8[8]", "run: %f(&a, 2) == 1", header="; liftcheck: memory a = i8[9]\n")
    assert region(again)[:1] == b"\x08"


def test_a_line_reads_back_as_it_is_written() -> None:
    test = parse_filetest(read_text(BUFFERS), str(BUFFERS))
    lines = [line for function in test.functions for line in function.run_lines]
    assert len(lines) == 10 and sum(line.memory is not None for line in lines) == 9
    for function in test.functions:
        for line in function.run_lines:
            kept = [text for number, text in function.annotations if "memory" in text and number < line.line]
            header = "\n".join(text for _, text in test.comments)
            source = f"{header}\n{test.source[function.line - 1]}\nblock0:\n    return\n}}\n"
            again = parse_filetest(source + "\n".join([*kept, run_line_text(line)]), strict=False)
            (read,) = again.functions[0].run_lines
            assert (read.args, read.memory, read.expected) == (line.args, line.memory, line.expected)


@pytest.mark.parametrize(
    ("comment", "message"),
    [
        ("rnu: %f(1, 2) == 1", "expected 'memory', 'run' or 'print'"),
        ("run: %f(&b, 2) == 1", "there is no buffer 'b'"),
        ("run: %f(&a, 2) == 1, b == i8[1]", "there is no buffer 'b'; a line `; liftcheck: memory b"),
        ("run: %f(&a, 2) == 1, a == i32", "expected '[' after i32"),
        ("run: %f(&a, 2) == 1, a+4095 == i32[1]", "outside the data region"),
        ("run: %f(&a, 2) == 1 a", "expected the end of the line"),
        ("run: %f(&i32[1, 2) == 1", "i32"),
        ("memory zero = i8[1]", "is not a name for a buffer"),
        ("memory v1 = i8[1]", "expected a buffer's name"),
        ("memory b = i8x16[1]", "expected contents"),
        ("memory b = i8[300]", "300"),
        ("memory b = bytes[abc]", "expected bytes in hexadecimal"),
        ("memory b = i8[1], align = 3", "a power of two"),
        ("memory b = zero[5000]", "a run has 4096 bytes"),
        ("run: %f(&zero[4000], &zero[4000]) == 1", "the buffers take 8000 bytes; a run has 4096"),
        ("run: f(1, 2) == 1", "expected a function's name"),
    ],
)
def test_what_is_wrong_is_said_at_its_line(comment: str, message: str) -> None:
    (error,) = wrong("memory a = i8[1]", comment)
    assert message in error.message and error.line == 6 and error.column > 1


def test_prose_that_names_liftcheck_is_prose() -> None:
    assert not wrong() and not parse_filetest(BODY + "; liftcheck found this in 2026\n; liftchecker: x\n").errors


def test_upstream_reads_such_files_as_if_nothing_were_there(compiler: Cranelift) -> None:
    assert compiler.read_filetest(read_text(BUFFERS)) == []


def test_no_memory_is_no_memory() -> None:
    made = line_of("run: %f(1, 2) == 1")
    assert made.memory is None and made.regions() is None and made.args == (1, 2)
    assert Memory(()).length == 0


# in the commands


@pytest.mark.needs_compiler
@pytest.mark.parametrize("words", [["interpret"], ["interpret", "--big-endian"], ["run"], ["test"]])
def test_the_lines_hold_in_every_command_on_every_isa(capsys: pytest.CaptureFixture[str], words: list[str]) -> None:
    assert cli.main([words[0], str(BUFFERS), *words[1:], "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    if words[0] == "test":
        assert (document["passed"], document["failed"], document["skipped"]) == (40, 0, 0)
        return
    results = document["results" if words[0] == "run" else "calls"]
    expecting = [result for result in results if result["expected"]]
    assert all(result["as_expected"] for result in expecting)
    assert len(expecting) == (32 if words[0] == "run" else 8)


@pytest.mark.needs_compiler
def test_print_lines_show_memory_and_the_byte_order(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["run", str(BUFFERS)]) == 0
    out = capsys.readouterr().out
    assert out.count("%reverse(&words, 6) = (), words = i16[3 2 1 -4], bytes[de ad], zero[6]") == 4
    assert out.count("%lowest(&wide) = 1, wide = i32[1]") == 3 and "%lowest(&wide) = 0, wide = i32[1]" in out
    assert out.count("= [&tail, 7], tail = ptr[&head &tail], i32[7]  ; as expected") == 4


@pytest.mark.needs_compiler
@pytest.mark.parametrize("command", ["interpret", "run", "test"])
@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("words == i16[-4 3 2 1], bytes[de ad]", "words == i16[-4 3 2 2], bytes[de ad]"),
        ("words == i16[-4 3 2 1], bytes[de ad]", "words == i16[-4 3 2 1], bytes[de ae]"),
        ("== [&tail, 7]", "== [&tail+8, 7]"),
        ("tail == ptr[&head &tail]", "tail == ptr[&tail &tail]"),
    ],
)
def test_a_wrong_claim_is_noticed(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, command: str, old: str, new: str
) -> None:
    path = tmp_path / "wrong.clif"
    assert old in read_text(BUFFERS)
    path.write_text(read_text(BUFFERS).replace(old, new))
    assert cli.main([command, str(path)]) == 1
    out = capsys.readouterr().out
    assert new.split("; ")[-1].removeprefix("== ") in out


@pytest.mark.needs_compiler
def test_args_may_name_and_hold_buffers(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["run", str(BUFFERS), "--function", "sum", "--args", "&numbers+4, 2", "--isa", "s390x"]) == 0
    assert "%sum(&numbers+4, 2) = 0x1.c" in capsys.readouterr().out
    assert cli.main(["interpret", str(BUFFERS), "--function", "sum", "--args", "&f32[0x1.0 0x1.0], 2"]) == 0
    assert "= 0x1.0000000000000p1" in capsys.readouterr().out
    assert cli.main(["interpret", str(BUFFERS), "--function", "sum", "--args", "&nothing, 2"]) == 2
    assert "there is no buffer 'nothing'" in capsys.readouterr().err


@pytest.mark.needs_compiler
def test_more_lines_than_there_are_data_regions(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    lines = "".join(f"; liftcheck: run: %f(&i32[{n} 5], {n}) == {n + 5}, b == i8[1]\n" for n in range(600))
    body = (
        "function %f(i64, i64) -> i64 {\nblock0(v0: i64, v1: i64):\n    v2 = load.i32 v0+4\n"
        "    v3 = uextend.i64 v2\n    v4 = iadd v1, v3\n    return v4\n}\n; liftcheck: memory b = i8[1]\n"
    )
    path = tmp_path / "many.clif"
    path.write_text("test run\ntarget riscv64\ntarget s390x\n" + body + lines)
    assert cli.main(["test", str(path)]) == 0 and "1200 passed" in capsys.readouterr().out
    assert cli.main(["run", str(path)]) == 0 and capsys.readouterr().out.count("as expected") == 1200


@pytest.mark.needs_compiler
def test_a_line_without_memory_beside_lines_with_it(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "both.clif"
    path.write_text(
        "test run\ntarget x86_64\ntarget s390x\n" + BODY + "; run: %f(3, 4) == 3\n"
        "; liftcheck: run: %f(&i8[1], 4) != 3\n; run: %f(5, 4) == 5\n"
    )
    for command in ("run", "test", "interpret"):
        assert cli.main([command, str(path)]) == 0, command
    assert "6 passed" in capsys.readouterr().out


@pytest.mark.needs_compiler
@pytest.mark.parametrize("command", ["interpret", "run", "test"])
def test_a_claim_of_open_bytes_is_undecided_and_others_are_judged(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, command: str
) -> None:
    """The bits of a NaN that arithmetic makes are stored at a+4; a+0 is closed."""
    text = (
        "test run\ntarget x86_64\ntarget riscv64\nfunction %f(i64, f32) {\nblock0(v0: i64, v1: f32):\n"
        "    v2 = fsub v1, v1\n    store v2, v0+4\n    store v1, v0\n    return\n}\n"
        "; liftcheck: memory a = f32[0x1.0 0x1.0]\n; liftcheck: run: %f(&a, Inf), a == f32[Inf]\n"
        "; liftcheck: run: %f(&a, Inf), a+4 == f32[+NaN]\n"
    )
    path = tmp_path / "nan.clif"
    path.write_text(text.replace("(&a, Inf)", "(&a, +Inf)").replace("f32[Inf]", "f32[+Inf]"))
    assert cli.main([command, str(path)]) == 0
    out = capsys.readouterr().out
    places = 1 if command == "interpret" else 2
    if command == "test":
        assert "2 passed, 0 failed, 2 undecided" in out
    else:
        assert out.count("as expected") == places and out.count("undecided: CLIF leaves it open") == 2 * places
        assert all(("as expected" in line) == ("a = f32[+Inf]" in line) for line in out.splitlines())
    path.write_text(path.read_text().replace("a == f32[+Inf]", "a == f32[-Inf]"))
    assert cli.main([command, str(path)]) == 1
    capsys.readouterr()
