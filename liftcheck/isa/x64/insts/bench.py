"""How x86-64 executes a record (`mach.rows.bench`).

r15 points to the record; the fragment is reached by a jump through memory, so all other registers are the test's.
Flags come by popfq from the word where the outcome is noted later, and are stored by setcc, which changes none.
"""

from __future__ import annotations

from typing import Final

from liftcheck.isa.x64.insts.common import FLAGS, NAMES, REGISTERS, VECTOR
from liftcheck.isa.x64.insts.table import table
from liftcheck.mach.rows.bench import DATA, FRAGMENT, TAKEN, Bench
from liftcheck.mach.rows.machine import Place

_POINTER: Final = 15
_GENERAL: Final = range(15)
_FLAGS, _R, _X = 16, 32, 160
_WINDOW, _SIZE = 672, 928
_SET: Final = {"cf": "setb", "pf": "setp", "zf": "sete", "sf": "sets", "of": "seto"}
_BIT: Final = {"cf": 0, "pf": 2, "zf": 6, "sf": 7, "of": 11}

_TWO_NANS: Final = "of two NaNs it gives one by the x87's rule, not the first operand; processors agree with the row"
_ARITHMETIC: Final = r"v?(add|sub|mul|div)[sp][sd]|vfn?m(add|sub)\d+[sp][sd]"
ERRATA: Final[tuple[tuple[str, str, str], ...]] = (
    ("qemu", "blsi", "carry is set where the operand is zero, not where it is none (7.2)"),
    ("qemu", _ARITHMETIC, _TWO_NANS),
    ("unicorn", _ARITHMETIC, _TWO_NANS),
    ("unicorn", "blsi", "carry is set where the operand is zero, not where it is none"),
    ("unicorn", "(lock )?cmpxchg m32, r32", "it clears the upper half of rax where it is equal, too"),
    ("unicorn", "bzhi", "an index beyond the width clears the highest bit"),
)


def _slots(vectors: int) -> dict[Place, int]:
    found: dict[Place, int] = {name: _FLAGS + number for number, name in enumerate(FLAGS)}
    found |= {number: _R + 8 * number for number in _GENERAL}
    return found | {VECTOR + number: _X + 16 * number for number in range(vectors)}


def _flags() -> str:
    """Into the flags: the bytes' bits in their order, through rax and rdx."""
    lines = ["xor eax, eax"]
    for number, name in enumerate(FLAGS):
        lines += [f"movzx edx, byte ptr [r15 + {_FLAGS + number}]", f"shl edx, {_BIT[name]}", "or eax, edx"]
    return "\n".join([*lines, f"mov qword ptr [r15 + {TAKEN}], rax", f"lea rsp, [r15 + {TAKEN}]", "popfq"])


def _main(vectors: int, move: str) -> str:
    general = [(NAMES[64][number], _R + 8 * number) for number in _GENERAL]
    wide = [(REGISTERS.name(VECTOR + number), _X + 16 * number) for number in range(vectors)]
    load = [f"{move} {name}, xmmword ptr [r15 + {at}]" for name, at in wide]
    store = [f"{move} xmmword ptr [r15 + {at}], {name}" for name, at in wide]
    return "\n".join(
        [
            f"mov r15d, {DATA}",
            "next:",
            *load,
            f"mov rax, qword ptr [r15 + {FRAGMENT}]",
            "test rax, rax",
            "je done",
            _flags(),
            *(f"mov {name}, qword ptr [r15 + {at}]" for name, at in general),
            f"jmp qword ptr [r15 + {FRAGMENT}]",
            "taken:",
            f"mov qword ptr [r15 + {TAKEN}], 1",
            "jmp noted",
            "stored:",
            f"mov qword ptr [r15 + {TAKEN}], 0",
            "noted:",
            *(f"{_SET[name]} byte ptr [r15 + {_FLAGS + number}]" for number, name in enumerate(FLAGS)),
            *(f"mov qword ptr [r15 + {at}], {name}" for name, at in general),
            *store,
            f"lea r15, [r15 + {_SIZE}]",
            "jmp next",
        ]
    )


def _leave() -> str:
    """write(1, DATA, size) until all is written, exit(0)."""
    return f"""
        mov esi, {DATA}
        lea rbx, [r15 + {_SIZE}]
    more:
        mov eax, 1
        mov edi, 1
        mov rdx, rbx
        sub rdx, rsi
        je exit
        syscall
        add rsi, rax
        jmp more
    exit:
        mov eax, 60
        xor edi, edi
        syscall
    """


def bench(vectors: int, move: str, only: str, unicorn: bool) -> Bench:
    """A program with so many vector registers, moved by `move`."""
    return Bench("x86-64", table(), _slots(vectors), _SIZE, (_WINDOW, _SIZE - _WINDOW), frozenset({_POINTER}),
                 _main(vectors, move), _leave(), "jmp", errata=ERRATA, in_unicorn=unicorn, only=only)  # fmt: skip


def benches() -> tuple[Bench, ...]:
    """For every machine."""
    return (bench(16, "movups", "(?!v)", True), bench(16, "vmovups", r"v\S+ (?!avx512)", False),
            bench(32, "vmovups", r"v\S+ avx512", False))  # fmt: skip
