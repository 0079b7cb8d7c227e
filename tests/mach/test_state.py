"""Effects executed on symbols: an address is worked out over the state once, whatever its form."""

from __future__ import annotations

import pytest

from liftcheck.mach.insn import decode
from liftcheck.mach.state import State


@pytest.mark.parametrize(
    ("isa", "codes", "offset"),
    [
        # agfi %r15, -0x125258; lgfi %r1, 0x125058; vl %v0, 0(%r1,%r15)
        ("s390x", ["c2f8ffedada8", "c01100125058", "e701f0000006"], -0x200),
        # sub sp, sp, #64; mov x16, #24; ldr x1, [sp, x16]
        ("aarch64", ["ff0301d1", "100380d2", "e16b70f8"], -40),
        # addi sp, sp, -64; ld a0, 24(sp)
        ("riscv64", ["130101fc", "03358101"], -40),
    ],
)
def test_an_address_is_over_the_values_before_the_instruction(isa: str, codes: list[str], offset: int) -> None:
    state = State(isa)
    for code in codes:
        machine = decode(isa, bytes.fromhex(code) + bytes(16), 0, 1)[0]
        assert machine.effect is not None, machine.text
        state.run(machine.effect)
    assert [at for at, _, _ in state.touched] == [offset]
