"""How aarch64 executes a record (`mach.rows.bench`).

x29 points to the record, x28 is for the program's own use. Flags are a byte each.
"""

from __future__ import annotations

from typing import Final

from liftcheck.isa.aarch64.insts.common import FLOAT, SP
from liftcheck.isa.aarch64.insts.table import table
from liftcheck.mach.rows.bench import DATA, FRAGMENT, TAKEN, Bench
from liftcheck.mach.rows.machine import Place

_X, _LINK, _STACK, _FLAGS, _Q = 16, 240, 248, 256, 272
_WINDOW: Final = 784
_SIZE: Final = 1040
_INTEGERS: Final = range(28)
_RESERVED: Final = frozenset({28, 29})

ERRATA: Final = (
    (
        "unicorn",
        "lds(max|min)(a|l|al)?[bh]?",
        "it compares 8, 16 and 32 bits as unsigned numbers: the wrong one is stored",
    ),
)


def _slots() -> dict[Place, int]:
    found: dict[Place, int] = {number: _X + 8 * number for number in _INTEGERS}
    found |= {30: _LINK, SP: _STACK}
    found |= {flag: _FLAGS + at for at, flag in enumerate("nzcv")}
    return found | {FLOAT + number: _Q + 16 * number for number in range(32)}


def _each(access: str) -> str:
    lines = [f"{access} q{number}, [x29, #{_Q + 16 * number}]" for number in range(32)]
    return "\n".join(lines + [f"{access} x{number}, [x29, #{_X + 8 * number}]" for number in _INTEGERS])


def _main() -> str:
    flags_in = "\n".join(
        f"ldrb w30, [x29, #{_FLAGS + at}]\nbfi w28, w30, #{31 - at}, #1" for at in range(4)
    )  # fmt: skip
    flags_out = "\n".join(f"ubfx w30, w28, #{31 - at}, #1\nstrb w30, [x29, #{_FLAGS + at}]" for at in range(4))
    return f"""
        mov x29, #{DATA}
    next:
        {flags_in}
        msr nzcv, x28
        ldr x28, [x29, #{_STACK}]
        mov sp, x28
        {_each("ldr")}
        ldr x30, [x29, #{_LINK}]
        ldr x28, [x29, #{FRAGMENT}]
        cbz x28, done
        br x28
    taken:
        mov x28, #1
        b noted
    stored:
        mov x28, #0
    noted:
        str x28, [x29, #{TAKEN}]
        {_each("str")}
        str x30, [x29, #{_LINK}]
        mrs x28, nzcv
        {flags_out}
        mov x28, sp
        str x28, [x29, #{_STACK}]
        add x29, x29, #{_SIZE}
        b next
    """


def _leave() -> str:
    """write(1, DATA, size), exit(0). The size is where the last record ends: x29 is there."""
    return f"""
        mov x0, #1
        mov x1, #{DATA}
        sub x2, x29, x1
        add x2, x2, #{_SIZE}
        mov x8, #64
        svc #0
        mov x0, #0
        mov x8, #93
        svc #0
    """


def benches() -> tuple[Bench, ...]:
    """For every machine."""
    return (
        Bench("aarch64", table(), _slots(), _SIZE, (_WINDOW, _SIZE - _WINDOW), _RESERVED, _main(), _leave(), "b",
              errata=ERRATA),
    )  # fmt: skip
