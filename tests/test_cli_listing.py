"""The listing of `liftcheck compile`: every byte once, relocations and traps beside their instruction."""

from __future__ import annotations

import pytest

from liftcheck.case import CallSite, FunctionCode, Relocation
from liftcheck.commands import listing

NOPS = {"x86-64": "90c3", "aarch64": "1f2003d5c0035fd6", "riscv64": "1300000067800000", "s390x": "070007fe"}


@pytest.mark.parametrize("isa", NOPS)
def test_decodes_each_isa(isa: str) -> None:
    decoded = list(listing.decode(bytes.fromhex(NOPS[isa]), isa))
    assert len(decoded) == 2 and b"".join(code for _, code, _ in decoded).hex() == NOPS[isa]
    assert not any(text.startswith(".") for _, _, text in decoded)


@pytest.mark.parametrize(("isa", "unknown"), [("x86-64", "06"), ("aarch64", "ffffffff"), ("riscv64", "ffffffff"),
                                              ("s390x", "fffffffffffe")])
def test_bytes_that_are_no_code_are_shown_and_passed(isa: str, unknown: str) -> None:
    code = bytes.fromhex(unknown + NOPS[isa])
    decoded = list(listing.decode(code, isa))
    assert b"".join(part for _, part, _ in decoded) == code
    assert decoded[0][2].startswith(".") and not decoded[-1][2].startswith(".")


def test_notes_stand_beside_their_instruction() -> None:
    function = FunctionCode("%f", bytes.fromhex("e8000000000f0bc3"), 16, (Relocation(1, "X86CallPCRel4", "%g", -4),),
                            ((5, "int_ovf"),), (CallSite(5, None),))
    found = listing.rows(function, "x86-64", [(0, 5, 3), (5, 7, 4)])
    assert [row.line for row in found] == [3, 4, 0]
    assert found[0].notes == ("X86CallPCRel4 %g-0x4", "call returns at 0x5")
    assert found[1].notes == ("trap int_ovf",)
    text = listing.as_text(function, found, ["function %f() {", "block0:", "  call fn0()", "  trap int_ovf"])
    assert "; 3: call fn0()" in text and "; (no CLIF line)" in text and "ud2  ; trap int_ovf" in text


def test_a_trap_at_the_last_byte_belongs_to_its_instruction() -> None:
    function = FunctionCode("%f", bytes.fromhex("b90d0023"), traps=((3, "int_divz"),))
    assert listing.rows(function, "s390x")[0].notes == ("trap int_divz",)
