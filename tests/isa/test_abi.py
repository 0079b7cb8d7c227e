"""What the ABI documents say of callee-saved registers, by name: read off them, not off a compiler."""

from __future__ import annotations

import pytest

from liftcheck.isa import ISAS
from liftcheck.isa.abi import Owed, abi_named, owed, reserved
from liftcheck.isa.base import isa_named
from liftcheck.mach.insn import WIDTHS, show
from liftcheck.oracles.canaries import watched

_S = [f"s{n}" for n in range(12)]
SYSTEM_V = {
    "x86-64": ["rbx", "rbp", "r12", "r13", "r14", "r15"],
    "aarch64": [*(f"x{n}" for n in range(19, 30)), *(f"v{n}" for n in range(8, 16))],
    "riscv64": [*_S, *(f"f{name}" for name in _S)],
    "s390x": [*(f"r{n}" for n in range(6, 14)), *(f"v{n}" for n in range(8, 16))],
}


def promised(isa: str, convention: str) -> Owed:
    found = owed(isa, convention)
    assert found is not None
    return found


@pytest.mark.parametrize("isa", ISAS)
def test_the_default_convention_keeps_what_its_document_says(isa: str) -> None:
    found = promised(isa, "system_v")
    assert [show(place, isa) for place in found.bits] == SYSTEM_V[isa]
    assert {bits for place, bits in found.bits.items() if place >= 64} <= {64}
    assert found.low == (64 if isa == "s390x" else 0) and not found.pops


@pytest.mark.parametrize("isa", ISAS)
def test_other_conventions_differ_where_they_say_so(isa: str) -> None:
    default = promised(isa, "system_v")
    assert promised(isa, "") == promised(isa, "fast") == default
    gone = set(default.bits) - set(promised(isa, "tail").bits)
    assert promised(isa, "tail").pops and {show(place, isa) for place in gone} == (
        {"r6", "r7"} if isa == "s390x" else set()
    )
    assert (promised(isa, "windows_fastcall") == default) == (isa != "x86-64")
    assert (owed(isa, "winch") is not None) == ("winch" in isa_named(isa).conventions)
    assert owed(isa, "a convention of nobody's") is None


def test_fastcall_keeps_whole_vector_registers() -> None:
    found = promised("x86-64", "windows_fastcall").bits
    assert {show(place, "x86-64"): bits for place, bits in found.items() if bits != 64} == {
        f"xmm{n}": 128 for n in range(6, 16)
    }
    assert {"rsi", "rdi"} <= {show(place, "x86-64") for place in found}


@pytest.mark.parametrize("isa", ISAS)
def test_all_registers_are_kept_whole_by_preserve_all(isa: str) -> None:
    bits = promised(isa, "preserve_all").bits
    assert all(width == WIDTHS[isa][place >> 6] for place, width in bits.items())
    assert set(promised(isa, "system_v").bits) - {reserved(isa).frame} <= set(bits)  # frames have rules of their own


@pytest.mark.parametrize("isa", ISAS)
def test_what_is_watched_is_what_is_owed_by_its_own_name(isa: str) -> None:
    names = watched(isa)
    assert list(names.values()) == list(promised(isa, "system_v").bits)
    halves = {"aarch64": "d", "s390x": "f"}.get(isa)
    assert {name for name, place in names.items() if halves and place >= 64} == (
        {f"{halves}{n}" for n in range(8, 16)} if halves else set()
    )


@pytest.mark.parametrize("isa", ISAS)
def test_no_register_is_reserved_and_owed_but_the_frame_pointer(isa: str) -> None:
    kept = reserved(isa)
    assert {kept.sp, kept.link, *kept.scratch}.isdisjoint(promised(isa, "system_v").bits)
    assert abi_named(isa).frame == kept.frame and (kept.frame < 0) == (isa == "s390x")
