"""What may stand around an instruction and says nothing of what it does: debug tags, source locations, stack maps.

The one idea: each is read from the cursor, so that its errors are told where they are, and kept as the text that prints
it again; nothing else looks into it.
Source: cranelift-reader 0.135 `parser.rs`.
"""

from __future__ import annotations

from liftcheck.clif.ir import Inst
from liftcheck.clif.opcodes import OPCODES
from liftcheck.clif.text import literals
from liftcheck.clif.text.lexer import Cursor


def debug_tags(p: Cursor) -> str:
    """`<ss0, 3>`, as it is printed."""
    first = p.index
    p.index += 1
    while not p.optional(">"):
        if p.tokens[p.index].startswith("ss"):
            p.entity("ss", "a stack slot")
        else:
            p.number(literals.uimm32, "a number or a stack slot in debug tags")
        if not p.optional(","):
            p.take(">", "after debug tags")
            break
    return "<" + ", ".join(t for t in p.tokens[first + 1 : p.index - 1] if t != ",") + ">"


def source_location(p: Cursor) -> int:
    """`@12ab`."""
    digits = p.tokens[p.index][1:]
    if not digits or int(digits, 16) >> 32:
        p.fail("a source location is '@' and up to 8 hexadecimal digits")
    p.index += 1
    return int(digits, 16)


def stack_map(p: Cursor, inst: Inst) -> str:
    """`, stack_map=[i32 @ ss0+0, …]` after a call."""
    p.index += 1
    p.take("stack_map", "after the instruction")
    opcode = OPCODES[inst.op]
    if not opcode.is_call or opcode.is_return:
        p.fail("a stack map belongs to a call that is not a tail call", p.index - 1)
    p.take("=", "before the stack map")
    p.take("[", "before the stack map")
    entries = []
    while not p.optional("]"):
        entries.append(_stack_map_entry(p))
        if not p.optional(","):
            p.take("]", "after the stack map")
            break
    return "[" + ", ".join(entries) + "]"


def _stack_map_entry(p: Cursor) -> str:
    ty = p.type("a type")
    p.take("@", "before the stack slot")
    slot = p.entity("ss", "a stack slot")
    p.optional("+")
    offset = p.number(literals.uimm32, "an offset")
    return f"{ty.name} @ ss{slot}+{offset}"
