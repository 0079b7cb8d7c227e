"""The listing of `liftcheck compile`: every byte once, relocations and traps beside their instruction."""

from __future__ import annotations

import random
import re

import pytest

from liftcheck.case import CallSite, FunctionCode, Relocation
from liftcheck.commands import listing
from liftcheck.isa.riscv64.insts.table import table
from liftcheck.isa.riscv64.known import known
from liftcheck.isa.riscv64.text import by_tables
from liftcheck.mach.disassembly import disassembly, with_names
from liftcheck.mach.rows.encoding import Word

NOPS = {"x86-64": "90c3", "aarch64": "1f2003d5c0035fd6", "riscv64": "1300000067800000", "s390x": "070007fe"}


@pytest.mark.parametrize("isa", NOPS)
def test_decodes_each_isa(isa: str) -> None:
    decoded = list(disassembly(isa, bytes.fromhex(NOPS[isa])))
    assert len(decoded) == 2 and b"".join(code for _, code, _ in decoded).hex() == NOPS[isa]
    assert not any(text.startswith(".") for _, _, text in decoded)


@pytest.mark.parametrize(
    ("isa", "unknown"), [("x86-64", "06"), ("aarch64", "ffffffff"), ("riscv64", "ffffffff"), ("s390x", "fffffffffffe")]
)
def test_bytes_that_are_no_code_are_shown_and_passed(isa: str, unknown: str) -> None:
    code = bytes.fromhex(unknown + NOPS[isa])
    decoded = list(disassembly(isa, code))
    assert b"".join(part for _, part, _ in decoded) == code
    assert decoded[0][2].startswith(".") and not decoded[-1][2].startswith(".")


def test_notes_stand_beside_their_instruction() -> None:
    function = FunctionCode(
        "%f",
        bytes.fromhex("e8000000000f0bc3"),
        16,
        (Relocation(1, "X86CallPCRel4", "%g", -4),),
        ((5, "int_ovf"),),
        (CallSite(5, None),),
    )
    found = listing.rows(function, "x86-64", [(0, 5, 3), (5, 7, 4)])
    assert [row.line for row in found] == [3, 4, 0]
    assert found[0].notes == ("X86CallPCRel4 %g-0x4", "call returns at 0x5")
    assert found[1].notes == ("trap int_ovf",)
    text = listing.as_text(function, found, ["function %f() {", "block0:", "  call fn0()", "  trap int_ovf"])
    assert "; 3: call fn0()" in text and "; (no CLIF line)" in text and "ud2  ; trap int_ovf" in text


def test_a_trap_at_the_last_byte_belongs_to_its_instruction() -> None:
    function = FunctionCode("%f", bytes.fromhex("b90d0023"), traps=((3, "int_divz"),))
    assert listing.rows(function, "s390x")[0].notes == ("trap int_divz",)


@pytest.mark.parametrize(
    ("word", "text"),
    [
        (0xCD027057, "vsetivli zero, 4, e32, m1, ta, ma"),
        (0xCC8272D7, "vsetivli t0, 4, e16, m1, ta, ma"),
        (0x0C5572D7, "vsetvli t0, a0, e8, mf8, ta, ma"),
        (0x022180D7, "vadd.vv v1, v2, v3"),
        (0x002180D7, "vadd.vv v1, v2, v3, v0.t"),
        (0x0225C0D7, "vadd.vx v1, v2, a1"),
        (0x02056407, "vle32.v v8, (a0)"),
        (0x00056407, "vle32.v v8, (a0), v0.t"),
        (0x02056427, "vse32.v v8, (a0)"),
        (0x04C5F553, "fadd.h fa0, fa1, fa2"),
        (0x00451507, "flh fa0, 4(a0)"),
        (0x00A59227, "fsh fa0, 4(a1)"),
        (0x20C5A533, "sh1add a0, a1, a2"),
        (0x60059513, "clz a0, a1"),
        (0x40C5F533, "andn a0, a1, a2"),
        (0x0AC5D533, "minu a0, a1, a2"),
        (0x0EC5D533, "czero.eqz a0, a1, a2"),
        (0x00C5852F, "amoadd.b a0, a2, (a1)"),
    ],
)
def test_riscv64_extensions_that_capstone_lacks_are_named_by_the_tables(word: int, text: str) -> None:
    code = word.to_bytes(4, "little") + bytes.fromhex(NOPS["riscv64"])
    assert [found for _, _, found in disassembly("riscv64", code)] == [text, "nop", "ret"]


def test_every_row_of_the_riscv64_tables_is_shown() -> None:
    """With any operands, and none of them as a bare number of a register."""
    draw = random.Random(1)
    for encoding in (one.row.encoding for one in known().values()):
        assert isinstance(encoding, Word)
        data = (draw.getrandbits(32) & ~encoding.mask | encoding.match).to_bytes(4, "little")
        if table().first(data) is None:
            continue
        text = by_tables(data)
        assert text and not re.search(r"\b[xf][0-9]+\b", text), text
        assert next(shown for _, _, shown in disassembly("riscv64", data))[:1] != "."


def test_a_compilers_own_disassembly_gets_the_names() -> None:
    text = (
        "block0: ; offset 0x0\n  ld ra, 8(sp)\n  .byte 0x57, 0x84, 0x84, 0x02\n  .byte 0xff, 0xff, 0xff, 0xff\n  ret\n"
    )
    assert with_names("riscv64", text) == (
        "block0: ; offset 0x0\n  ld ra, 8(sp)\n  vadd.vv v8, v8, v9\n  .byte 0xff, 0xff, 0xff, 0xff\n  ret\n"
    )
