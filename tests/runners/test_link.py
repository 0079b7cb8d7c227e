"""The linker: every relocation kind is applied and executed, symbols are scoped, traps found, refusals named."""

from __future__ import annotations

from typing import NamedTuple

import pytest
from support.runner_samples import SAMPLES, SIGNATURE, opened, trampoline

from liftcheck import layout
from liftcheck.case import FunctionCode, Relocation
from liftcheck.errors import InternalError, Unsupported
from liftcheck.isa import ISAS, byte_order
from liftcheck.mach import relocations
from liftcheck.mach.insn import decode
from liftcheck.runners.link import Image, fingerprint, link
from liftcheck.runners.pool import Job


class Sample(NamedTuple):
    """A function that calls %g with its argument and adds 1; `kinds` are one or two relocation kinds, 4 bytes apart."""

    isa: str
    kinds: str
    code: str
    offset: int
    addend: int


CALLERS = [
    Sample("x86-64", "X86CallPCRel4", "4883ec08e8000000004883c40848ffc0c3", 5, -4),
    Sample("x86-64", "X86CallPLTRel4", "4883ec08e8000000004883c40848ffc0c3", 5, -4),
    Sample("x86-64", "X86PCRel4", "4883ec08488d0500000000ffd04883c40848ffc0c3", 7, -4),
    Sample("x86-64", "X86GOTPCRel4", "4883ec08488b0500000000ffd04883c40848ffc0c3", 7, -4),
    Sample("x86-64", "Abs8", "4883ec0848b88877665544332211ffd04883c40848ffc0c3", 6, 0),
    Sample("aarch64", "Arm64Call", "fe0f1ff80000009400040091fe0741f8c0035fd6", 4, 0),
    Sample("aarch64", "Aarch64AdrPrelPgHi21 Aarch64AddAbsLo12Nc",
           "fe0f1ff8090000902901009120013fd600040091fe0741f8c0035fd6", 4, 0),
    Sample("aarch64", "Aarch64AdrGotPage21 Aarch64Ld64GotLo12Nc",
           "fe0f1ff809000090290140f920013fd600040091fe0741f8c0035fd6", 4, 0),
    Sample("aarch64", "Abs8", "fe0f1ff8a900005820013fd600040091fe0741f8c0035fd68877665544332211", 24, 0),
    Sample("riscv64", "RiscvCallPlt", "130101ff2330110097000000e780000013051500833001001301010167800000", 8, 0),
    Sample("riscv64", "RiscvPCRelHi20 RiscvPCRelLo12I",
           "130101ff233011009702000093820200e780020013051500833001001301010167800000", 8, 0),
    Sample("riscv64", "RiscvGotHi20 RiscvPCRelLo12I",
           "130101ff233011009702000083b20200e780020013051500833001001301010167800000", 8, 0),
    Sample("riscv64", "Abs8",
           "130101ff233011009702000083b20202e780020013051500833001001301010167800000130000008877665544332211", 40, 0),
    Sample("s390x", "S390xPLTRel32Dbl", "e3e0f0700024a7fbff60c0e500000000a72b0001a7fb00a0e3e0f070000407fe", 12, 2),
    Sample("s390x", "S390xPCRel32Dbl", "e3e0f0700024a7fbff60c010000000000de1a72b0001a7fb00a0e3e0f070000407fe", 12, 2),
    Sample("s390x", "Abs8",
           "e3e0f0700024a7fbff60c0100000000fe310100000040de1a72b0001a7fb00a0e3e0f070000407fe1122334455667788", 40, 0),
]  # fmt: skip


def caller(sample: Sample) -> FunctionCode:
    first, *rest = sample.kinds.split()
    found = [Relocation(sample.offset, first, "%g", sample.addend)]
    for kind in rest:
        name = f"func:{sample.offset}" if kind == relocations.LOW_HALF else "%g"
        found.append(Relocation(sample.offset + 4, kind, name, 0))
    return FunctionCode("%f", bytes.fromhex(sample.code), 16, tuple(found))


def value(image: Image, entry: int, argument: int) -> int:
    """What the function at `entry` returns in Unicorn."""
    runner = opened("unicorn", image.isa)
    ((outcome,),) = runner.run(image, [Job(trampoline(image.isa), entry, SIGNATURE, [(argument, 0, 0)])])
    assert outcome.kind == "returned", outcome
    runner.close()
    return outcome.values[0]


LOADS = {
    "Aarch64Ldst8AbsLo12Nc": "20014039", "Aarch64Ldst16AbsLo12Nc": "20014079", "Aarch64Ldst32AbsLo12Nc": "200140b9",
    "Aarch64Ldst64AbsLo12Nc": "200140f9", "Aarch64Ldst128AbsLo12Nc": "2001c03d",
}  # fmt: skip
"""Loads of each width: LLVM's way to the constants of a function."""


@pytest.mark.parametrize("sample", CALLERS, ids=lambda sample: f"{sample.isa}: {sample.kinds}")
@pytest.mark.parametrize("callee_first", [False, True])
def test_relocation_reaches_its_symbol(sample: Sample, callee_first: bool) -> None:
    callee = FunctionCode("%g", SAMPLES[sample.isa].plus_42)
    filler = FunctionCode("%h", bytes(0x5678))
    program = [callee, filler, caller(sample)] if callee_first else [caller(sample), filler, callee]
    image = link([program], sample.isa)
    assert value(image, image.entry(0, "%f"), 1000) == 1043


def test_every_kind_has_a_sample() -> None:
    assert {kind for sample in CALLERS for kind in sample.kinds.split()} | LOADS.keys() == relocations.KINDS


@pytest.mark.parametrize("kind", LOADS)
def test_the_low_bits_of_an_address_are_scaled(kind: str) -> None:
    code = bytearray.fromhex(LOADS[kind])
    relocations.write(code, 0, 0x4000, kind, 0x12345670, False)
    (access,) = decode("aarch64", bytes(code))[0].accesses
    assert access.displacement == 0x670


def test_display_names_are_kinds_too() -> None:
    shown = {
        "Call",
        "PCRel32Dbl",
        "PLTRel32Dbl",
        "CallPCRel4",
        "CallPLTRel4",
        "PCRel4",
        "GOTPCRel4",
        "Aarch64AdrGotLo12Nc",
    }
    assert {relocations.canonical(name) for name in shown} < relocations.KINDS


@pytest.mark.parametrize("isa", ISAS)
def test_symbols_belong_to_their_program(isa: str) -> None:
    sample = next(sample for sample in CALLERS if sample.isa == isa)
    program = [caller(sample), FunctionCode("%g", SAMPLES[isa].plus_42)]
    other = [FunctionCode("%f", SAMPLES[isa].plus_42), *program[1:]]
    image = link([program, other, program], isa)
    assert [value(image, image.entry(k, "%f"), 7) for k in range(3)] == [50, 49, 50]


@pytest.mark.parametrize("isa", ISAS)
def test_externals_and_unknown_symbols(isa: str) -> None:
    sample = next(sample for sample in CALLERS if sample.isa == isa)
    with pytest.raises(Unsupported, match="symbol %g"):
        link([[caller(sample)]], isa)
    target = FunctionCode("%other", SAMPLES[isa].plus_42)
    place = link([[target]], isa, layout.CODE).entry(0, "%other")
    image = link([[target], [caller(sample)]], isa, externals={"%g": place})
    assert value(image, image.entry(1, "%f"), 1) == 44


def test_missing_symbols_keep_their_names_when_there_are_many() -> None:
    """Each is found by its address, and, as long as each has a page, by what is after that."""
    missing: dict[str, int] = {}

    def address(name: str) -> int:
        found = layout.address_of_missing(name, missing)
        assert found is not None
        return found

    names = [f"%nobody{number}" for number in range(layout.UNRESOLVED_PAGES)]
    pages = [address(name) for name in names]
    assert [layout.missing_at(page + 0xFF8, missing) for page in pages] == names
    more = [f"%nobody{number}" for number in range(2, 5000)]
    addresses = [address(name) for name in more]
    assert len(set(addresses)) == len(more) and addresses[0] == pages[2]
    assert [layout.missing_at(address + 8, missing) for address in addresses] == more
    assert layout.missing_at(layout.UNRESOLVED - 1, missing) == ""
    assert layout.missing_at(layout.UNRESOLVED + layout.UNRESOLVED_SIZE, missing) == ""
    assert layout.missing_at(pages[-1], {"%one": pages[0]}) == ""


def test_more_missing_symbols_than_there_are_places_are_refused() -> None:
    function = FunctionCode("%f", bytes(8), 8, tuple(Relocation(0, "Abs8", f"%nobody{n}", 0) for n in range(65_537)))
    with pytest.raises(Unsupported, match="more missing symbols"):
        link([[function]], "x86-64", lenient=True)
    fewer = FunctionCode("%f", bytes(8), 8, function.relocations[1:])
    assert len(link([[fewer]], "x86-64", lenient=True).missing) == 65_536


def test_thread_local_kinds_are_refused_by_name() -> None:
    function = FunctionCode("%f", bytes(16), 16, (Relocation(0, "ElfX86_64TlsGd", "%f", 0),))
    with pytest.raises(Unsupported, match="relocation ElfX86_64TlsGd"):
        link([[function]], "x86-64")


def test_a_distance_out_of_reach_is_an_error() -> None:
    function = FunctionCode("%f", bytes(16), 16, (Relocation(0, "Arm64Call", "%far", 0),))
    with pytest.raises(InternalError, match="out of reach"):
        link([[function]], "aarch64", externals={"%far": layout.CODE + (1 << 28)})


def test_too_much_code_is_refused() -> None:
    with pytest.raises(Unsupported, match="larger than the code area"):
        link([[FunctionCode("%f", bytes(layout.CODE_SIZE))]], "riscv64")


def test_alignment_is_kept() -> None:
    image = link([[FunctionCode("%f", b"\xc3"), FunctionCode("%g", b"\xc3", 64)]], "x86-64")
    assert image.entry(0, "%f") == layout.CODE
    assert image.entry(0, "%g") == layout.CODE + 64
    assert image.code[1:64] == b"\xcc" * 63


def test_traps_are_found_by_address() -> None:
    first = FunctionCode("%f", bytes(20), traps=((4, "heap_oob"), (8, "user3")))
    image = link([[first, FunctionCode("%g", bytes(8), traps=((0, "int_divz"),))]], "aarch64")
    start, second = image.entry(0, "%f"), image.entry(0, "%g")
    assert [image.trap_at(start + k) for k in (0, 4, 8)] == [None, "heap_oob", "user3"]
    assert image.trap_at(second) == "int_divz"
    assert image.trap_at(start + 24) is None
    assert image.trap_at(start - 4) is None
    assert image.where(start + 4) == "%f+0x4"


def test_s390x_trap_table_names_the_last_byte() -> None:
    """A zero halfword, dlgr (4 bytes), a compare-and-trap (6 bytes), and the middle of `jg .+2`."""
    code = bytes.fromhex("0000b9870004ec2000016072c0f400000001")
    traps = ((1, "user1"), (5, "int_divz"), (11, "user2"), (15, "user3"))
    image = link([[FunctionCode("%f", code, traps=traps)]], "s390x")
    start = image.entry(0, "%f")
    assert [image.trap_at(start + k) for k in (0, 2, 6, 14)] == ["user1", "int_divz", "user2", "user3"]


def test_fingerprint_is_equal_for_equal_code_only() -> None:
    one = FunctionCode("%f", b"\xc3", traps=((0, "user1"),))
    assert fingerprint([one]) == fingerprint([FunctionCode("%f", b"\xc3", traps=((0, "user1"),), extra={"vcode": ""})])
    assert fingerprint([one]) != fingerprint([FunctionCode("%f", b"\xc3", traps=((0, "user2"),))])


@pytest.mark.parametrize("isa", ISAS)
def test_unaligned_slots_hold_the_target_byte_order(isa: str) -> None:
    function = FunctionCode("%f", bytes(24), 16, (Relocation(8, "Abs8", "%f", 5),))
    code = link([[function]], isa).code
    assert code[8:16] == (layout.CODE + 5).to_bytes(8, byte_order(isa))
