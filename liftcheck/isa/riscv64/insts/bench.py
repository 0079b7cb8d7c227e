"""How riscv64 executes a record (`mach.rows.bench`).

x31 points to the record, x30 holds the fragment's address and then what is noted. Vectors are loaded where the
machine has them (`bench(vectors=True)`), under the configuration that the record has.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Final

from liftcheck.isa.riscv64.errata import CTZW
from liftcheck.isa.riscv64.insts.common import FLOAT, VECTOR, Configuration, most
from liftcheck.isa.riscv64.insts.table import table
from liftcheck.mach.rows.bench import DATA, FRAGMENT, TAKEN, Bench
from liftcheck.mach.rows.machine import Place

_INTEGERS: Final = range(1, 30)
_CONFIGURATION, _MODE, _X, _F, _V = 16, 32, 40, 272, 528
_WINDOW: Final = 1040
_SIZE: Final = 1296
_RESERVED: Final = frozenset({30, 31})

_BEFORE: Final = "fcvt.w.s zero, ft0"
"""Of an instruction with a rounding mode of its own qemu 7.2 dies if none of the current mode came before it."""
ERRATA: Final = (
    (CTZW.runner, CTZW.name, CTZW.what),
    ("unicorn", r".*\.s(\..*)?|fmv\.w\.x|fcvt\.d\.s", "it makes no NaN boxes and looks at none"),
    (
        "unicorn",
        r"c\.(mul|not|[sz]ext\..|lbu|lhu|lh|sb|sh)",
        "it takes these compressed instructions for no-operations",
    ),
    ("unicorn", r"f(min|max)\.d", "a signaling NaN makes a NaN, as in the specification before version 2.2"),
)


def _slots(vectors: bool) -> dict[Place, int]:
    found: dict[Place, int] = {number: _X + 8 * (number - 1) for number in _INTEGERS}
    found["frm"] = _MODE
    found |= {FLOAT + number: _F + 8 * number for number in range(32)}
    if vectors:
        found |= {VECTOR + number: _V + 16 * number for number in range(32)}
        found |= {"avl": _CONFIGURATION, "vtype": _CONFIGURATION + 8}
    return found


def _each(integers: str, floats: str, vectors: str) -> str:
    """A line for each register; vectors' addresses go through x30."""
    lines = []
    for number in range(32) if vectors else ():
        lines += [f"addi t5, t6, {_V + 16 * number}", f"{vectors} v{number}, (t5)"]
    lines += [f"{floats} {_float(number)}, {_F + 8 * number}(t6)" for number in range(32)]
    lines += [f"{integers} {_integer(number)}, {_X + 8 * (number - 1)}(t6)" for number in _INTEGERS]
    return "\n".join(lines)


def _integer(number: int) -> str:
    return table().registers.name(number)


def _float(number: int) -> str:
    return table().registers.name(FLOAT + number)


def _main(vectors: bool) -> str:
    configure = (
        f"ld t5, {_CONFIGURATION}(t6)\nld t4, {_CONFIGURATION + 8}(t6)\nvsetvl zero, t5, t4\n" if vectors else ""
    )
    return f"""
        lui t6, {DATA >> 12}
    next:
        {_each("ld", "fld", "vl1re8.v" if vectors else "")}
        lbu t5, {_MODE}(t6)
        csrrw zero, frm, t5
        {configure and configure + f"ld t4, {_X + 8 * 28}(t6)"}
        ld t5, {FRAGMENT}(t6)
        beqz t5, done
        jr t5
    taken:
        li t5, 1
        j noted
    stored:
        li t5, 0
    noted:
        sd t5, {TAKEN}(t6)
        csrrs t5, frm, zero
        sb t5, {_MODE}(t6)
        {_each("sd", "fsd", "vs1r.v" if vectors else "")}
        addi t6, t6, {_SIZE}
        j next
    """


def _leave() -> str:
    """write(1, DATA, size), exit(0). The size is where the last record ends: t6 is there."""
    return f"""
        li a0, 1
        lui a1, {DATA >> 12}
        sub a2, t6, a1
        addi a2, a2, {_SIZE}
        li a7, 64
        ecall
        li a0, 0
        li a7, 93
        ecall
    """


@cache
def bench(vectors: bool = False) -> Bench:
    """With vector registers in the state, or without for machines that have none."""
    return Bench(
        "riscv64",
        table(),
        _slots(vectors),
        _SIZE,
        (_WINDOW, _SIZE - _WINDOW),
        _RESERVED,
        _main(vectors),
        _leave(),
        "j",
        _configurations() if vectors else _modes(),
        ERRATA,
        in_unicorn=not vectors,
        only="v" if vectors else "(?!v)",
        before=_BEFORE,
    )


def _modes() -> tuple[tuple[Configuration, Mapping[Place, int]], ...]:
    """All rounding modes, most often the one that functions are entered in."""
    return tuple((Configuration(frm=frm), {"frm": frm}) for frm in (0, 0, 0, 0, 0, 0, 1, 2, 3, 4))


def _configurations() -> tuple[tuple[Configuration, Mapping[Place, int]], ...]:
    """All widths and groups, agnostic and not, all elements, all but one, one, none."""
    found: list[tuple[Configuration, Mapping[Place, int]]] = []
    for vtype in range(256):
        lanes = most(vtype) if vtype & 7 not in (1, 2, 3) else 0
        for vl in sorted({0, 1, lanes - 1, lanes}) if lanes else ():
            weight = 4 if vtype & 7 == 0 and vl == lanes else 1
            for frm in (0,) * weight if lanes > 1 else range(5):
                found.append((Configuration(vl, vtype, frm), {"avl": vl, "vtype": vtype, "frm": frm}))
    return tuple(found)


def benches() -> tuple[Bench, ...]:
    """One for instructions of vectors, one for all others."""
    return bench(), bench(vectors=True)
