"""x86-64's and aarch64's instruction tables against Unicorn, and against what Capstone says."""

from __future__ import annotations

import json
from pathlib import Path

import capstone
import pytest
from support import machine_unicorn
from support.examples import many, some

from liftcheck.mach.insn import CALL, FLAGS, MEMORY, RETURN, TRAP, Insn, decode, integer, register

CORPUS = Path(__file__).parents[2] / "corpus" / "machine"


def _corpus(isa: str) -> list[tuple[str, bytes, Insn]]:
    rows = json.loads((CORPUS / f"{isa}.json").read_text())
    return [(name, bytes.fromhex(code), decode(isa, bytes.fromhex(code))[0]) for name in rows for code in rows[name]]


@pytest.mark.parametrize("isa", ["x86-64", "aarch64"])
def test_every_instruction_of_the_corpus_keeps_to_its_table(isa: str) -> None:
    """Unicorn has no AVX: it takes VEX prefixes for their SSE forms, so these are left out."""
    wrong: list[str] = []
    ran = refused = 0
    for name, code, machine in some(_corpus(isa)):
        assert machine.known and machine.size == len(code), machine
        if (isa == "x86-64" and name.startswith("v")) or machine.flow in (CALL, RETURN, TRAP):
            continue
        case = machine_unicorn.check(isa, code, machine, trials=many(4))
        ran, refused = ran + case.ran, refused + (not case.ran)
        wrong += [f"{code.hex()} {machine.text}: {what}" for what in dict.fromkeys(case.wrong)]
    assert not wrong, "\n".join(wrong)
    assert ran > 10 * refused


@pytest.mark.parametrize("isa", ["x86-64", "aarch64"])
def test_effects_write_what_the_lists_say(isa: str) -> None:
    found = 0
    for _, _, machine in _corpus(isa):
        if machine.effect is not None and machine.flow != RETURN:
            found += 1
            assert {place for place, _ in machine.effect.writes} == {p for p in machine.writes if p >= 0}, machine
            assert bool(machine.effect.stores) == (MEMORY in machine.writes), machine
    assert found > 100


def _planted(isa: str, code: str, wrong: dict[str, frozenset[int]]) -> tuple[str, ...]:
    machine = decode(isa, bytes.fromhex(code))[0]
    return machine_unicorn.check(isa, bytes.fromhex(code), machine._replace(**wrong)).wrong


def test_a_wrong_table_is_seen() -> None:
    add = decode("aarch64", bytes.fromhex("2000028b"))[0]
    assert add.text == "add x0, x1, x2" and not _planted("aarch64", "2000028b", {})
    assert _planted("aarch64", "2000028b", {"reads": frozenset({1})})
    assert _planted("aarch64", "2000028b", {"writes": frozenset({3})})
    assert _planted("x86-64", "4801d8", {"writes": frozenset({0})})  # add rax, rbx: the flags
    assert _planted("x86-64", "4801d8", {"reads": frozenset({3})})
    assert _planted("x86-64", "0f114424f0", {"writes": frozenset()})  # movups [rsp - 16], xmm0


CAPSTONE_ERRORS = {
    ("x86-64", "a921000000"): "test eax, immediate writes eax",
    ("x86-64", "4899"): "cqo writes rax",
    ("x86-64", "0f44c3"): "cmove does not read its target",
    ("x86-64", "f0480fb11f"): "lock cmpxchg does not write rax",
    ("x86-64", "c5f877"): "vzeroupper writes whole registers",
    ("x86-64", "f00fc107"): "lock xadd does not write the flags",
    ("x86-64", "f20f2ac0"): "cvtsi2sd does not keep the upper half",
    ("aarch64", "9fa80071"): "cmp writes its operand",
    ("aarch64", "037c0013"): "asr by an immediate reads its target",
    ("aarch64", "e10000b4"): "cbz reads the flags",
    ("aarch64", "00107e1e"): "fmov of an immediate reads its target",
    ("aarch64", "c048214e"): "sqxtn2 does not keep the lower half",
    ("aarch64", "c023034e"): "tbl reads its target",
    ("aarch64", "c63c020e"): "umov accesses nothing",
    ("aarch64", "c0035fd6"): "ret does not read the link register",
}  # fmt: skip


@pytest.mark.parametrize(("isa", "code"), sorted(CAPSTONE_ERRORS))
def test_capstone_is_wrong_where_the_tables_differ(isa: str, code: str) -> None:
    """Each error that the tables correct is one in this Capstone; if a newer one is right, the correction can go."""
    told = _capstone(isa, bytes.fromhex(code))
    machine = decode(isa, bytes.fromhex(code))[0]
    assert (told.reads, told.writes) != (machine.reads - {MEMORY}, machine.writes - {MEMORY})


def _capstone(isa: str, code: bytes) -> Insn:
    """The access lists as Capstone gives them."""
    modes = {"x86-64": (capstone.CS_ARCH_X86, capstone.CS_MODE_64), "aarch64": (capstone.CS_ARCH_ARM64, 0)}
    disassembler = capstone.Cs(*modes[isa])
    disassembler.detail = True
    instruction = next(disassembler.disasm(code, 0))
    lists = [
        frozenset(n for r in told if (n := _number(isa, instruction.reg_name(r))) is not None)
        for told in instruction.regs_access()
    ]
    return Insn(len(code), instruction.mnemonic, "", *lists)


def _number(isa: str, name: str) -> int | None:
    if name in ("nzcv", "rflags"):
        return FLAGS
    if isa == "x86-64":
        from liftcheck.isa.x64.places import PLACES

        return PLACES.get(name)
    if name in ("sp", "lr", "fp", "xzr", "wzr"):
        return {"sp": 63, "lr": 30, "fp": 29}.get(name)
    return int(name[1:]) if name[0] in "xw" else 64 + int(name[1:])


def test_decoding_is_cached_by_bytes_and_knows_data() -> None:
    first, second = decode("x86-64", bytes.fromhex("4889c34889c3"))
    assert first is second and first.effect is not None
    assert first.effect.writes == ((integer(3), register("x86-64", integer(0))),)
    assert not decode("aarch64", bytes.fromhex("ffffffff"))[0].known
    assert not decode("x86-64", bytes.fromhex("06"))[0].known
