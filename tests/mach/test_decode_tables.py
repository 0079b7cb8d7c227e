"""What decoded instructions are remembered by: each kind is read once in a process, and nothing else in its place."""

from __future__ import annotations

import pytest

from liftcheck.mach import insn
from liftcheck.mach.insn import decode

PUSH_MOV_RET = bytes.fromhex("554889e5c3")
"""x86-64: instructions of one byte among others."""


def test_an_instruction_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    first = decode("x86-64", PUSH_MOV_RET)
    assert [machine.size for machine in first] == [1, 3, 1]
    monkeypatch.setattr(insn, "_learn", None)
    assert decode("x86-64", PUSH_MOV_RET) == first
    assert decode("x86-64", PUSH_MOV_RET, 4) == first[2:]


def test_bytes_of_no_instruction_are_not_taken_for_the_beginning_of_another() -> None:
    cut = bytes.fromhex("4d0f")  # a conditional move that lacks its last bytes
    assert not decode("x86-64", cut, 0, 1)[0].known
    (whole,) = decode("x86-64", bytes.fromhex("4d0f44c8"))
    assert (whole.name, whole.size) == ("cmove", 4)
