"""How s390x executes a record (`mach.rows.bench`).

r14 points to the record, r13 is for the program's own use. The condition code is a byte; nothing between the fragment
and `ipm` changes it. Vectors are loaded where the machine has them.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from liftcheck.isa.s390x.insts.common import VECTOR
from liftcheck.isa.s390x.insts.table import table
from liftcheck.mach.rows.bench import DATA, FRAGMENT, TAKEN, Bench
from liftcheck.mach.rows.machine import Place

_CODE, _R, _V = 16, 32, 160
_WINDOW: Final = 672
_SIZE: Final = 928
_STACK: Final = 1024
_INTEGERS: Final = (*range(13), 15)
_RESERVED: Final = frozenset({13, 14})

ERRATA: Final = (
    ("qemu", "lt[edx]br", "7.2 leaves signaling NaNs as they are"),
    ("qemu", "mdebr", "7.2 takes the first operand for a long float"),
    ("unicorn", "mdebr", "it takes the first operand for a long float"),
    ("unicorn", "sqxbr", "it ends the process"),
    ("unicorn", "cl[fg]it.*", "the immediate is taken for a signed number, so it traps"),
    ("unicorn", "ris[bl]?[hl]g", "it changes bits of the other half of the register"),
    ("unicorn", "[as](g?rk?|g|y)?", "an overflow by the least number leaves condition code 0 or 1, not 3"),
    ("unicorn", "popcnt g1, g2, 8", "it counts bytes, as before z15"),
    ("unicorn", "(a|s|d|mee?|m)[edx]?br|[asd][ed]b|meeb|mdb|[vw]f[asmd]db", "of two NaNs it hands on another one"),
    ("unicorn", "lt[edx]br|l[dx][ed]br?|l[de][dx]bra", "it leaves signaling NaNs as they are"),
    (
        "unicorn",
        "cl?[fg][edx]bra?",
        "the condition code does not say what is out of range; NaNs are the largest integer",
    ),
    ("unicorn", "[vw]cl?gdb", "NaNs are the largest integer"),
    ("unicorn", "vs(l|rl|ra)", "one count is for all bytes, as before z15"),
)


def _slots() -> dict[Place, int]:
    found: dict[Place, int] = {number: _R + 8 * number for number in _INTEGERS}
    found["cc"] = _CODE
    return found | {VECTOR + number: _V + 16 * number for number in range(32)}


def _each(integers: str, vectors: str) -> str:
    lines = [f"{vectors} %v{number}, {_V + 16 * number}(%r14)" for number in range(32)]
    return "\n".join(lines + [f"{integers} %r{number}, {_R + 8 * number}(%r14)" for number in _INTEGERS])


def _main() -> str:
    return f"""
        llilh %r14, {DATA >> 16}
    next:
        llgc %r13, {_CODE}(%r14)
        sllg %r13, %r13, 28
        spm %r13
        {_each("lg", "vl")}
        lg %r13, {FRAGMENT}(%r14)
        cgije %r13, 0, done
        br %r13
    taken:
        lghi %r13, 1
        jg noted
    stored:
        lghi %r13, 0
    noted:
        stg %r13, {TAKEN}(%r14)
        ipm %r13
        srlg %r13, %r13, 28
        stc %r13, {_CODE}(%r14)
        {_each("stg", "vst")}
        lay %r14, {_SIZE}(%r14)
        jg next
    """


def _leave() -> str:
    """write(1, DATA, size), exit(0). The size is where the last record ends: r14 is there."""
    return f"""
        lghi %r2, 1
        llilh %r3, {DATA >> 16}
        lgr %r4, %r14
        sgr %r4, %r3
        aghi %r4, {_SIZE}
        svc 4
        lghi %r2, 0
        svc 1
    """


def benches() -> tuple[Bench, ...]:
    """For every machine."""
    return (
        Bench("s390x", table(), _slots(), _SIZE, (_WINDOW, _SIZE - _WINDOW), _RESERVED, _main(), _leave(), "jg",
              errata=ERRATA, ends_unicorn=True),
    )  # fmt: skip


def with_stack() -> Bench:
    """For code that needs a stack (`thunks`): r15 is where the record ends, and what lies below it is in no slot."""
    (usual,) = benches()
    size = _SIZE + _STACK
    main = _main().replace(f"lay %r14, {_SIZE}(%r14)", f"lay %r14, {size}(%r14)")
    main = main.replace("br %r13", f"lay %r15, {size}(%r14)\nbr %r13")
    slots = {place: at for place, at in usual.slots.items() if place != 15}
    leave = _leave().replace(f"aghi %r4, {_SIZE}", f"aghi %r4, {size}")
    return replace(usual, slots=slots, size=size, reserved=_RESERVED | {15}, main=main, leave=leave)
