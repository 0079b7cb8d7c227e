"""`liftcheck disasm` and `liftcheck asm`."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from liftcheck import cli


def printed(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert cli.main(list(words)) == 0
    return capsys.readouterr().out


def test_bytes_are_shown_as_instructions(capsys: pytest.CaptureFixture[str]) -> None:
    assert printed(capsys, "disasm", "33 85 c5 00 2e95 67800000 ffff", "--isa", "riscv64") == (
        "     0  3385c500  add a0, a1, a2\n"
        "     4  2e95      c.add a0, a1\n"
        "     6  67800000  ret\n"
        "     a  ffff      .byte 0xffff\n"
    )


def test_what_an_instruction_does_is_explained(capsys: pytest.CaptureFixture[str]) -> None:
    shown = printed(capsys, "disasm", "03258100 b3c5e50a 6308b500", "--isa", "riscv", "--explain")
    assert shown.splitlines() == [
        "     0  03258100  lw a0, 8(sp)    (§2.6, 4.3)",
        "        loaded0 = 4 bytes of memory at sp + 8",
        "        a0 = sext(loaded0)",
        "     4  b3c5e50a  min a1, a1, a4    (zbb  §28)",
        "        a1 = (a4 <s a1) ? a4 : a1",
        "     8  6308b500  beq a0, a1, . + 16    (§2.5.2)",
        "        jump to pc + 16, if a0 == a1",
    ]


def test_vectors_are_explained_under_the_configuration_before_them(capsys: pytest.CaptureFixture[str]) -> None:
    shown = printed(capsys, "disasm", "d7802102", "--isa", "riscv64", "--explain")
    assert "undecided: the vector configuration is not known" in shown
    shown = printed(capsys, "disasm", "577002cd d7802102", "--isa", "riscv64", "--explain")
    assert "v1 = reshape(reshape(v2) + reshape(v3))" in shown


def test_files_and_standard_input(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = bytes.fromhex("67800000")
    (tmp_path / "ret.bin").write_bytes(code)
    (tmp_path / "ret.hex").write_text("0x67 80\n00 00\n")
    expected = "     0  67800000  ret\n"
    for name in ("ret.bin", "ret.hex"):
        assert printed(capsys, "disasm", str(tmp_path / name), "--isa", "riscv64") == expected
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(code)))
    assert printed(capsys, "disasm", "-", "--isa", "riscv64") == expected


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["disasm", "678", "--isa", "riscv64"], "'678' is neither hexadecimal bytes (two digits each) nor a file"),
        (["disasm", "nowhere.bin", "--isa", "riscv64"], "nor a file that there is"),
        (["disasm", "6780", "--isa", "riscv46"], "unknown ISA 'riscv46'; did you mean riscv64?"),
        (["disasm", "6780"], "--isa"),
        (["asm", "ad a0, a1, a2", "--isa", "riscv64"], "no instruction is called 'ad'"),
        (["asm", "nop; add a0, a1", "--isa", "riscv64"], "line 2: add a0, a1: expected: add rd, rs1, rs2"),
        (["asm", "addi a0, a0, 2048", "--isa", "riscv64"], "2048 cannot be encoded: -2048 to 2047"),
        (["asm", "add a0, a1, v2", "--isa", "riscv64"], "'v2' is not a register that can stand here"),
        (["asm", "beq a0, a1, . + 3", "--isa", "riscv64"], "branch has no place for 0x1"),
        (["asm", "j end", "--isa", "riscv64"], "'end' is not a number"),
    ],
)
def test_complaints(capsys: pytest.CaptureFixture[str], words: list[str], complaint: str) -> None:
    assert cli.main(words) == 2
    assert complaint in capsys.readouterr().err


def test_programs_are_assembled(capsys: pytest.CaptureFixture[str]) -> None:
    text = "again: ; addi a0, a0, -1 # down ; bnez a0, again ; ret"
    assert (
        printed(capsys, "asm", text.replace("# down ", ""), "--isa", "riscv64", "--hex") == "1305f5ffe31e05fe67800000\n"
    )
    document = json.loads(printed(capsys, "asm", "nop;ret", "--isa", "riscv64", "--json"))
    assert document["code"] == "1300000067800000"
    assert [one["text"] for one in document["instructions"]] == ["nop", "ret"]


def test_both_in_json(capsys: pytest.CaptureFixture[str]) -> None:
    document = json.loads(printed(capsys, "disasm", "13000000", "--isa", "riscv64", "--json", "--explain"))
    assert document["command"] == "disasm"
    assert document["instructions"] == [
        {"offset": 0, "data": "13000000", "text": "nop", "section": "2.4.1", "needs": "", "does": ["nothing"]}
    ]


@pytest.mark.parametrize("isa", ["x86-64", "aarch64", "riscv64", "s390x"])
def test_every_isa_is_disassembled(capsys: pytest.CaptureFixture[str], isa: str) -> None:
    assert printed(capsys, "disasm", "00" * 8, "--isa", isa, "--explain")
