"""Reads s390x's instructions: what the rows (`insts`) do not say of how compilers use them.

The stack pointer is r15, and `br %r14` is a return. Traps under a condition (`crt`, `cgit`) fall through.
Source: z/Architecture Principles of Operation SA22-7832-13, chapters 5 ('Instruction formats') and 7.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import Final, NamedTuple

from liftcheck.bits.term import Term
from liftcheck.isa.s390x import ISA
from liftcheck.isa.s390x.insts.common import VECTOR, Address, Float, Pair, Range
from liftcheck.isa.s390x.insts.table import table
from liftcheck.mach.insn import FLAGS, JUMP, MEMORY, ORDINARY, Insn
from liftcheck.mach.rows.encoding import Word
from liftcheck.mach.rows.kinds import Kind, Register
from liftcheck.mach.rows.reader import Manner, Reader
from liftcheck.mach.rows.row import Row
from liftcheck.mach.rows.table import Decoded

_EXACT: Final = re.compile(
    "lgr|vlr|lr|ldr|ler|ll?gfr|lgdr|ldgr|lg?hi|lgfi|llilf|llihf|lli[hl][hl]|ii[hl]f|aghik?|agfi|algfi|slgfi|"
    "al?grk?|sl?grk?|lay?|br|bcr|nopr|jg?nop|lg|ll?gf|ll?gh|lgb|llgc|ly?|lhy?|ll?[hc]|lb|ldy?|ley?|"
    "vl|vle[bhfg]|lmg|stg|sty?|sthy?|stcy?|stdy?|stey?|vst|vste[bhfg]|mviy?|mvhhi|mvhi|mvghi|stmg"
)
_MERGED: Final = r"vle(br)?[bhfg]|vlei[bhfg]|vlvg[bhfg]|lrvh|iilf|ler|ley?"
"""Insertions; `iilf`, `ler` and `le` are emitted for new values and for parts of old ones, too."""


def _address_of_code(target: Term) -> Term:
    """A branch ignores bit 63 of the address, which is never set in an address of code."""
    return target.args[0] if target.prim == "and" else target


# -- whatever the registers


FLOAT_FIRST: Final = VECTOR
MEANT: Final = frozenset({0, 1, 14, 15})
"""General registers that mean something by themselves: none, the temporary, the link, the stack pointer."""
OPENED: Final = 6
"""What `opened` gives: the instruction, and as many places as one may have."""


class _Opened(NamedTuple):
    """A field that names a register: the operand, the part of its value (NONE: all), the place of register 0, the
    field's bits in the instruction, and the other register in them."""

    operand: int
    part: int | None
    first: int
    mask: int
    other: int


def opened(row: Row) -> Callable[[Decoded], tuple[bytes | int, ...]]:
    """What gives a row's instructions with other registers, the same ones for all of them (2, 4, 6 and so on; vectors
    and floats 4, 8, 12), and which places they have in truth."""
    assert isinstance(row.encoding, Word)
    size, fields = row.encoding.size, tuple(_fields(row, row.encoding))

    def open_(decoded: Decoded) -> tuple[bytes | int, ...]:
        word, places = int.from_bytes(decoded.data, "big"), [0] * (OPENED - 1)
        for number, (operand, part, first, mask, other) in enumerate(fields):
            value = decoded.values[operand]
            place: int = value if part is None else value[part]
            if first or place not in MEANT:
                places[number] = place + first
                word = word & ~mask | other
        return word.to_bytes(size, "big"), *places

    return open_


def _fields(row: Row, encoding: Word) -> Iterator[_Opened]:
    found = [
        (operand, kind, *part) for operand, kind in enumerate(o.kind for o in row.operands) for part in _parts(kind)
    ]
    for number, (operand, kind, field, part) in enumerate(found, 1):
        first = VECTOR if isinstance(kind, Float) else kind.first if isinstance(kind, Register) else 0
        yield _Opened(operand, part, first, *_placed(encoding, field, 4 * number if first else 2 * number))


def _parts(kind: Kind) -> Sequence[tuple[str, int | None]]:
    """The fields of an operand that name registers, and which part of its value each is."""
    if isinstance(kind, Range):
        return ("r1", 0), ("r3", 1)
    if isinstance(kind, Address):
        return (("b", 2), ("x", 1)) if kind.index else (("b", 2),)
    return ((kind.field, None),) if isinstance(kind, Register | Pair | Float) else ()


def _placed(encoding: Word, field: str, number: int) -> tuple[int, int]:
    """The bits that a field has in an instruction, and a number in them."""
    mask = bits = 0
    for _, low, shift, width in (piece for piece in encoding.pieces if piece.name == field):
        ones = (1 << width) - 1
        mask |= ones << shift
        bits |= (number >> low & ones) << shift
    return mask, bits


MANNER: Final = Manner(
    named={"cc": FLAGS},
    exact=_EXACT,
    idle=re.compile("bcr|nopr|jg?nop"),
    merged=re.compile(_MERGED),
    flows={"bras": JUMP, "debugtrap": ORDINARY},  # over a constant; a debugger goes on
    varies=re.compile("nopr|lmg|stmg"),
    plain=re.compile(r"ear|ll?xa[bhfgq]"),
    goal=_address_of_code,
    opened=opened,
)


@cache
def _reader() -> Reader:
    return Reader(ISA.name, table(), MANNER)


def read(window: bytes) -> Insn:
    """See `mach.insn.Reader`."""
    return _reader()(window)


@cache
def touching(name: str) -> tuple[bool, bool]:
    """Whether the instructions of a mnemonic load, and whether they store."""
    found = [_reader().of_row(row) for row in table().by_name.get(name, ())]
    return any(MEMORY in one.reads for one in found), any(MEMORY in one.writes for one in found)
