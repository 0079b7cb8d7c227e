"""Reads the pieces that operands are made of: flags, offsets, block calls, exception tables, constants.

The one idea: each takes what it reads off the cursor, for instructions (`instructions`), the preamble and run lines
alike. References to entities must be declared before their use, values need not be (the parser checks them when the
function is read).
Sources: cranelift-reader 0.135 `optional_memflags`, `parse_exception_table`; 0.130 for the older dialect's flags (`heap
table vmctx`, and `checked`, which is read and dropped) and trap codes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from liftcheck.clif.formats import TRAP_CODES, trap_code
from liftcheck.clif.ir import NO_FLAGS, BlockCall, ExceptionTable, Function, MemFlags
from liftcheck.clif.text import literals
from liftcheck.clif.text.lexer import Cursor
from liftcheck.clif.types import Type

DYNAMIC_SLOT: Final = 1_000_000
"""What is added to a dynamic stack slot's number among the stack slots."""


def take_trap_code(p: Cursor) -> str:
    code = trap_code(p.tokens[p.index])
    if code is None:
        p.fail(f"expected a trap code ({', '.join(TRAP_CODES)}, user1 to user250), found {p.found()}")
    p.index += 1
    return code


def memflags(p: Cursor) -> MemFlags:
    """A possibly empty sequence of memory flags."""
    flags = NO_FLAGS
    while p.tokens[p.index] not in p.values:
        changed = _with_flag(p, flags, p.tokens[p.index])
        if changed is None:
            break
        flags = changed
        p.index += 1
    return flags


def _with_flag(p: Cursor, flags: MemFlags, name: str) -> MemFlags | None:
    if name == "aligned":
        return flags._replace(aligned=True)
    if name == "readonly":
        return flags._replace(readonly=True)
    if name == "can_move":
        return flags._replace(can_move=True)
    if name in ("little", "big"):
        if flags.endianness not in ("", name):
            p.fail("an access cannot be both big and little endian")
        return flags._replace(endianness=name)
    if name in ("heap", "table", "vmctx") or p.entity_number(name, "region") is not None:
        if flags.region:
            p.fail("an access cannot have more than one alias region")
        return flags._replace(region=name)
    if name == "checked":
        return flags
    code = "" if name == "notrap" else trap_code(name)
    return None if code is None else flags._replace(trap=None if code == "heap_oob" else code)


def optional_offset(p: Cursor) -> int:
    """`+8`, `-0x10` or nothing."""
    token = p.tokens[p.index]
    if token[:1] not in ("+", "-") or len(token) < 2 or token == "->":
        return 0
    return p.number(literals.offset32, "an offset")


def block_number(p: Cursor) -> int:
    return p.entity("block", "a block")


def block_call(p: Cursor) -> BlockCall:
    """`block3`, `block3(v1, v2)`; arguments of `try_call` edges are texts ('ret0', 'exn1')."""
    number = block_number(p)
    if p.tokens[p.index] != "(":
        return BlockCall(number)
    p.index += 1
    args: list[int | str] = []
    while p.tokens[p.index] != ")":
        args.append(_block_argument(p))
        if not p.optional(","):
            break
    p.take(")", "after block arguments")
    return BlockCall(number, tuple(args))


def _block_argument(p: Cursor) -> int | str:
    token = p.tokens[p.index]
    if token[0:1] in ("r", "e") and (
        p.entity_number(token, "ret") is not None or p.entity_number(token, "exn") is not None
    ):
        p.index += 1
        return token
    return p.value("a block argument")


def value_list(p: Cursor) -> tuple[int, ...]:
    """Comma-separated values, maybe none."""
    if not p.at_value():
        return ()
    found = [p.value()]
    while p.optional(","):
        found.append(p.value("a value in the argument list"))
    return tuple(found)


def call_args(p: Cursor) -> tuple[int, ...]:
    p.take("(", "before arguments")
    args = value_list(p)
    p.take(")", "after arguments")
    return args


def pair(p: Cursor) -> tuple[int, int]:
    first = p.value("the first operand")
    p.take(",", "between operands")
    return first, p.value("the second operand")


def declared(p: Cursor, table: Mapping[int, object], prefix: str, what: str) -> int:
    """A reference to an entity that the preamble has declared."""
    number = p.entity(prefix, what)
    if number not in table:
        p.fail(f"undefined {what.split(' ', 1)[1]} {prefix}{number}", p.index - 1)
    return number


def exception_table(p: Cursor, func: Function) -> ExceptionTable:
    """`sig0, block1(ret0), [ tag0: block2(exn0), context v1, default: block3 ]`"""
    sig = declared(p, func.signatures, "sig", "a signature")
    p.take(",", "after the signature")
    normal = block_call(p)
    p.take(",", "after the normal-return destination")
    p.take("[", "before the exception table")
    items: list[tuple[object, ...]] = []
    while p.tokens[p.index] != "]":
        items.append(_table_item(p))
        if not p.optional(","):
            break
    p.take("]", "after the exception table")
    return ExceptionTable(sig, normal, tuple(items))


def _table_item(p: Cursor) -> tuple[object, ...]:
    if p.optional("context"):
        return ("context", p.value("a context value"))
    if p.optional("default"):
        p.take(":", "after 'default'")
        return ("default", block_call(p))
    tag = p.entity("tag", "an exception tag, 'default' or 'context'")
    p.take(":", "after the exception tag")
    return ("tag", tag, block_call(p))


def constant_data(p: Cursor, ty: Type) -> bytes:
    """`0x…` (padded to the type) or `[1 2 3 4]`: bytes in memory order."""
    if not p.optional("["):
        data = p.number(literals.constant, "a hexadecimal constant")
        if len(data) > ty.bytes:
            p.fail(f"the constant has more than {ty.bytes} bytes", p.index - 1)
        return data.ljust(ty.bytes, b"\0")
    if not ty.is_vector or ty.lane_bits == 128:
        p.fail(f"a list of lanes needs a vector type with lanes up to 64 bits, not {ty.name}")
    lanes = [_lane(p, ty) for _ in range(ty.lanes)]
    p.take("]", f"after {ty.lanes} lanes")
    return b"".join(lane.to_bytes(ty.lane_bits // 8, "little") for lane in lanes)


def _lane(p: Cursor, ty: Type) -> int:
    bits = ty.lane_bits
    if ty.is_float:
        return p.float(bits, f"a {bits}-bit float")
    if bits == 64:
        return p.number(literals.imm64, "a 64-bit integer") & ty.lane_mask
    return p.number(lambda text: literals.immediate(text, bits), f"a {bits}-bit integer")


def pool(p: Cursor, func: Function, data: bytes) -> int:
    """The number of a constant in the function's pool, put there if it is new."""
    number = p.declared.constants.get(data)
    if number is None:
        number = p.declared.next.get("const", 0)
        new_constant(p, func, number, data)
    return number


def new_constant(p: Cursor, func: Function, number: int, data: bytes) -> None:
    """Constant `number` is `data`."""
    func.constants[number] = data
    p.declared.take("const", number)
    p.declared.constants.setdefault(data, number)
