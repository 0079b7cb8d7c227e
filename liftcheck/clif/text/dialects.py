"""Dialects of CLIF that liftcheck does not read, told by their words: one sentence in the place of follow-up errors.

The one idea: a word that liftcheck does not read and an older version did (`ebb0`, `brz`, `jt0`, `b1`, `heap0`, `r64`)
names its dialect, so the first error on a line with such a word, and all after it, become one diagnostic at that word:
how old the text is, and what stands for the word today. Texts without errors are never looked at.
Sources: pull requests that removed the words, among them wasmtime #5031 (booleans), #5630 (`brz`, `brnz`) and
#5731 (jump tables).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from liftcheck.clif.text.lexer import code_of, shown
from liftcheck.errors import Diagnostic

_WORD: Final = re.compile(r"[%@A-Za-z_][A-Za-z0-9_]*", re.ASCII)


class _Sign(NamedTuple):
    """Words of a dialect: `until` is the first version without them, `today` what is written instead."""

    words: re.Pattern[str]
    what: str
    until: tuple[int, int]
    today: str


def _sign(words: str, what: str, until: tuple[int, int], today: str) -> _Sign:
    return _Sign(re.compile(f"(?:{words})\\Z", re.ASCII), what, until, today)


_SIGNS: Final = (
    _sign(r"ebb[0-9]+", "extended basic blocks", (0, 60), "block0"),
    _sign(r"fallthrough(_return)?|regmove|regspill|regfill|ifcmp(_imm|_sp)?|ffcmp|brif_ifcmp|brff|trueif|trueff|trapif|"
          r"trapff|selectif(_spectre_guard)?|copy_(special|nop|to_ssa)|spill|fill|spill_slot|incoming_arg|outgoing_arg|"
          r"jump_table_(entry|base)|indirect_jump_table_br|adjust_sp_(up|down)(_imm)?|x86_[a-z]*(zero|push|pop)",
          "instructions and slots of the first register allocator", (0, 90), "plain blocks, icmp and brif"),
    _sign(r"b(1|8|16|32|64|128)(x[0-9]+)?|bconst|bint|bextend|breduce|raw_bitcast|iadd_ifc(in|out|arry)|isub_ifb(in|out)",
          "boolean types", (0, 90), "i8 for one condition, integer lanes for vectors"),
    _sign(r"heap[0-9]+|heap_addr|heap_load|heap_store", "heaps", (0, 92), "the bounds check and the load or store"),
    _sign(r"brz|brnz|br_icmp(_imm)?", "branches that fall through", (0, 93), "brif v0, block1, block2"),
    _sign(r"jt[0-9]+|jump_table", "jump tables as entities", (0, 94), "br_table v0, block1, [block2, block3]"),
    _sign(r"table[0-9]+|table_addr", "tables", (0, 110), "the bounds check and the load or store"),
    _sign(r"r32|r64|null|is_null|is_invalid", "reference types", (0, 112), "i64, with stack_map entries at calls"),
    _sign(r"baldrdash_[a-z0-9_]+|spiderwasm|native", "calling conventions of other embedders", (0, 90), "system_v"),
)  # fmt: skip


def in_one_sentence(errors: Sequence[Diagnostic], source: Sequence[str]) -> list[Diagnostic]:
    """The errors, with those of a dialect that is not read as one."""
    for number, error in enumerate(errors):
        found = _first(source, error.line)
        if found is not None:
            return [*errors[:number], _sentence(error, source, *found)]
    return list(errors)


def _first(source: Sequence[str], line: int) -> tuple[int, str] | None:
    """Column and word of the first sign of an old dialect on a line."""
    if not 0 < line <= len(source):
        return None
    code, _ = code_of(source[line - 1])
    return next(((match.start() + 1, match.group()) for match in _WORD.finditer(code) if _sign_of(match.group())), None)


def _sign_of(word: str) -> _Sign | None:
    return next((sign for sign in _SIGNS if sign.words.match(word)), None)


def _sentence(error: Diagnostic, source: Sequence[str], column: int, word: str) -> Diagnostic:
    oldest = min(_signs(source), key=lambda sign: sign.until)
    sign = _sign_of(word)
    assert sign is not None
    text = source[error.line - 1]
    reads = "liftcheck reads what Cranelift 0.95 and newer read"
    if oldest.until > (0, 95):
        reads += ", except for these"
    message = (
        f"an old dialect of CLIF, from before Cranelift {'.'.join(map(str, oldest.until))}: "
        f"'{shown(word, 40)}' ({sign.what}); {reads}; today one writes {sign.today}"
    )
    return Diagnostic(error.file, error.line, column, message, shown(text.strip(), 200))


def _signs(source: Sequence[str]) -> Iterator[_Sign]:
    for line in source:
        for match in _WORD.finditer(code_of(line)[0]):
            sign = _sign_of(match.group())
            if sign is not None:
                yield sign
