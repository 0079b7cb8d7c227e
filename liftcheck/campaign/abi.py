"""Which callee-saved registers a function uses without saving them: a guess from its disassembly, for folding and
pages.

The one idea: a register that belongs to the caller and occurs in the code, but is not stored in the prologue (the
leading instructions that store registers or set up the frame), was not saved. That is enough to tell one ABI bug from
another; it proves nothing, and it judges nothing.
Sources: the ELF psABIs of the four ISAs (callee-saved registers of the default convention).
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple


class _Saving(NamedTuple):
    """`registers` maps a spelling to the register; `saves` matches the mnemonics that save."""

    registers: dict[str, str]
    saves: re.Pattern[str]


def _all(prefixes: tuple[str, ...], numbers: range) -> dict[str, str]:
    return {f"{prefix}{n}": f"{prefixes[0]}{n}" for n in numbers for prefix in prefixes}


_SAVING: Final = {
    "x86-64": _Saving({"rbx": "rbx", "ebx": "rbx", "bl": "rbx", **{f"r{n}{s}": f"r{n}" for n in range(12, 16)
                                                                  for s in ("", "d", "w", "b")}},
                      re.compile(r"push|mov[qaup]*(?= qword ptr \[rsp)|movq(?= %\w+, [^,]*\(%rsp)")),
    "aarch64": _Saving(_all(("x", "w"), range(19, 29)) | _all(("d", "s", "q", "v", "h", "b"), range(8, 16)),
                       re.compile(r"stp|str")),
    "riscv64": _Saving(_all(("s",), range(1, 12)) | _all(("fs",), range(12)), re.compile(r"sd|fsd")),
    "s390x": _Saving(_all(("r",), range(6, 14)) | _all(("f", "v"), range(8, 16)), re.compile(r"stmg|stg|std|vst")),
}
_FRAME: Final = re.compile(r"block|add(i|i16sp)? sp|mv s0|lui t6|addi? t6|sub|mov|lay|aghi|lgr|push|endbr|pacia|bti"
                          r"|add x29|stg? %r14")
"""Other instructions of a prologue."""
_END: Final = re.compile(r"(c\.)?(retq?|jr|br)\b")
"""What may end a function: behind the last one stand constants, which read as any instruction."""
_WORD: Final = re.compile(r"[a-z]+[0-9]*[a-z]?")


def unsaved(isa: str, disassembly: str) -> tuple[str, ...]:
    """Callee-saved registers that some function uses and does not save, in a fixed order."""
    found: set[str] = set()
    for text in re.split(r"\n(?=%|u\d+:)", disassembly):
        found |= _unsaved(isa, text)
    return tuple(sorted(found))


def _unsaved(isa: str, text: str) -> set[str]:
    registers, saves = _SAVING[isa]
    used: set[str] = set()
    saved: set[str] = set()
    prologue = True
    lines = text.splitlines()[1:]
    ends = [at for at, line in enumerate(lines) if _END.match(line.strip())]
    for line in lines[: ends[-1] if ends else None]:
        line = line.partition(";")[0].strip().removeprefix("c.")
        prologue = prologue and bool(not line or saves.match(line) or _FRAME.match(line))
        names = [
            registers[word] for word in _WORD.findall(line.partition(" ")[2].replace("%", "")) if word in registers
        ]
        if prologue and saves.match(line):
            saved.update(_range(names) if line.startswith("stmg") else names)
        else:
            used.update(names)
    return used - saved


def _range(names: list[str]) -> list[str]:
    """`stmg %r6, %r15` saves all between."""
    numbers = [int(name[1:]) for name in names]
    return [f"r{n}" for n in range(min(numbers), 16)] if numbers else []
