"""Reads signatures and the declarations between a function's `{` and its first block.

The one idea: one function a kind of declaration, chosen by the entity's name; what has a field in `ir.Function` goes
there, everything else is kept in `Function.preamble` as (entity, canonical text).
Memory types and facts (`mt0 = struct …`, `v1 ! range(…) = …`) of versions before 0.131 are read over and dropped: they
never changed what a program does. Dynamic vector types are the vectors of 128 bits that they are on the four ISAs; in
signatures, or with a scale that the program computes, they are refused by name (`Refused`).
Sources: cranelift-reader 0.135 `parse_preamble` and what it calls; 0.130 for memory types and facts; `TargetIsa::
dynamic_vector_bytes` of the ISAs.
"""

from __future__ import annotations

from typing import Final

from liftcheck.clif.ir import AbiParam, FuncRef, Function, Signature, StackSlot
from liftcheck.clif.text import literals
from liftcheck.clif.text.lexer import Cursor
from liftcheck.clif.text.operands import DYNAMIC_SLOT, constant_data, declared, memflags, new_constant, optional_offset
from liftcheck.clif.types import DYNAMIC_BITS, TYPES

CALL_CONVS: Final = ("fast", "tail", "system_v", "windows_fastcall", "apple_aarch64", "probestack", "winch",
                     "preserve_all", "wasmtime_system_v", "wasmtime_fastcall", "wasmtime_apple_aarch64")  # fmt: skip
"""Every convention that the reader of any version takes (the last three up to 0.110), except for `_COLD`."""
_COLD: Final = "cold"
"""A convention of versions up to 0.127, which every backend took for `fast`; it is read as that."""


class Refused(Exception):
    """The function uses something that liftcheck knows and does not take: `reason` names it."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


DYNAMIC_TYPES: Final = "dynamic vector types"


def signature(p: Cursor) -> Signature:
    """`(i32 uext, i64 sarg(16)) -> i8, f32 system_v`"""
    p.take("(", "before the parameters")
    params: list[AbiParam] = []
    if p.tokens[p.index] != ")":
        params = _abi_params(p)
    p.take(")", "after the parameters")
    returns = _abi_params(p) if p.optional("->") else []
    conv = ""
    if p.is_word():
        conv = "fast" if p.optional(_COLD) else p.one_of(CALL_CONVS, "a calling convention")
    return Signature(tuple(params), tuple(returns), conv)


def _abi_params(p: Cursor) -> list[AbiParam]:
    found = [_abi_param(p)]
    while p.optional(","):
        found.append(_abi_param(p))
    return found


def _abi_param(p: Cursor) -> AbiParam:
    if p.entity_number(p.tokens[p.index], "dt") is not None:
        raise Refused(DYNAMIC_TYPES)
    param = AbiParam(p.type("a parameter type"))
    while True:
        token = p.tokens[p.index]
        if token in ("uext", "sext"):
            param = param._replace(extension=token)
        elif token in ("vmctx", "sret", "normal", "stack_limit"):
            param = param._replace(purpose="" if token == "normal" else token)
        elif token == "sarg":
            p.index += 1
            p.take("(", "before the size")
            param = param._replace(purpose=f"sarg({p.number(literals.uimm32, 'a size in bytes')})")
            p.take(")", "after the size")
            continue
        else:
            return param
        p.index += 1


def external_name(p: Cursor) -> str:
    """`%name`, `u0:5` or `userextname3`, as text."""
    token = p.tokens[p.index]
    if token[:1] == "%":
        p.index += 1
        return token
    if p.entity_number(token, "userextname") is not None:
        p.index += 1
        return token
    return user_name(p, "a name (%name or u0:0)")


def user_name(p: Cursor, what: str) -> str:
    space = p.entity("u", what)
    p.take(":", "in a name of the form u0:0")
    return f"u{space}:{p.number(literals.decimal32, 'a number')}"


def preamble(p: Cursor, func: Function) -> bool:
    """Read one declaration, if there is one. False at the first token that starts none."""
    token = p.tokens[p.index]
    prefix = token.rstrip("0123456789")
    reader = _DECLARATIONS.get(prefix) if prefix != token or token == "stack_limit" else None
    if reader is None:
        return False
    reader(p, func)
    return True


def _new(p: Cursor, table: dict[int, object], prefix: str) -> int:
    """The number of the entity being declared, which must be new."""
    number = p.entity(prefix, "an entity")
    if number in table:
        p.fail(f"duplicate entity: {prefix}{number}", p.index - 1)
    return number


def _equals(p: Cursor) -> None:
    p.take("=", "in the declaration")


def _stack_slot(p: Cursor, func: Function) -> None:
    number = _new(p, func.stack_slots, "ss")  # type: ignore[arg-type]
    _equals(p)
    kind = p.one_of(("explicit_slot", "explicit_dynamic_slot"), "'explicit_slot'")
    at = p.index
    size, align, key = p.number(literals.imm64, "a size in bytes"), 1, ""
    if not 0 <= size < 1 << 32:
        p.fail("a stack slot's size is a 32-bit unsigned number", at)
    while p.optional(","):
        if p.optional("align"):
            align = _alignment(p)
        else:
            p.take("key", "or 'align' as the stack slot's attribute")
            _equals(p)
            key = str(p.number(literals.uimm64, "a 64-bit number"))
    func.stack_slots[number] = StackSlot(size, align, kind, key)


def _alignment(p: Cursor) -> int:
    _equals(p)
    align = p.number(literals.imm64, "an alignment")
    if not 0 < align < 1 << 32 or align & (align - 1):
        p.fail("a stack slot's alignment is a power of two", p.index - 1)
    return align


def _signature(p: Cursor, func: Function) -> None:
    number = _new(p, func.signatures, "sig")  # type: ignore[arg-type]
    _equals(p)
    func.signatures[number] = signature(p)
    p.declared.take("sig", number)


def _function(p: Cursor, func: Function) -> None:
    number = _new(p, func.func_refs, "fn")  # type: ignore[arg-type]
    _equals(p)
    colocated, patchable = p.optional("colocated"), p.optional("patchable")
    name = external_name(p)
    if p.tokens[p.index] == "(":
        sig = p.declared.next.get("sig", 0)
        func.signatures[sig] = signature(p)
        p.declared.take("sig", sig)
    else:
        sig = declared(p, func.signatures, "sig", "a signature")
    func.func_refs[number] = FuncRef(name, sig, colocated, patchable)


def _constant(p: Cursor, func: Function) -> None:
    number = _new(p, func.constants, "const")  # type: ignore[arg-type]
    _equals(p)
    if p.tokens[p.index] == "[" or p.tokens[p.index][:1].isdigit():
        data = p.number(literals.constant, "a hexadecimal constant or a type")
    else:
        data = constant_data(p, p.type("a hexadecimal constant or a type"))
    new_constant(p, func, number, data)


def _stack_limit(p: Cursor, func: Function) -> None:
    if any(entity == "stack_limit" for entity, _ in func.preamble):
        p.fail("the stack limit is declared twice")
    p.index += 1
    _equals(p)
    func.preamble.append(("stack_limit", f"gv{p.entity('gv', 'a global value')}"))


def _alias_region(p: Cursor, func: Function) -> None:
    number = p.entity("region", "an alias region")
    if number != p.declared.next.get("region", 0):
        p.fail(f"alias regions are declared once and in order, not region{number} here", p.index - 1)
    _equals(p)
    user = p.number(literals.decimal32, "a number")
    text = p.tokens[p.index]
    if text[:1] != '"' or len(text) < 2:
        p.fail(f"expected a description in quotes, found {p.found()}")
    p.index += 1
    func.preamble.append((f"region{number}", f"{user} {text}"))
    p.declared.take("region", number)


def _global_value(p: Cursor, func: Function) -> None:
    number = _new(p, func.globals, "gv")  # type: ignore[arg-type]
    skip_fact(p)
    _equals(p)
    kind = p.word("a kind of global value")
    reader = _GLOBALS.get(kind)
    if reader is None:
        p.fail(f"unknown kind of global value '{kind}'", p.index - 1)
    parsed, text = reader(p)
    func.globals[number] = parsed
    func.preamble.append((f"gv{number}", text))


_Global = tuple[tuple[object, ...], str]


def _gv_vmctx(p: Cursor) -> _Global:
    return ("vmctx",), "vmctx"


def _gv_load(p: Cursor) -> _Global:
    p.take(".", "and a type")
    ty = p.type("a type")
    flags = memflags(p)
    base = p.entity("gv", "a global value")
    offset = optional_offset(p)
    if flags.trap != "" or not flags.aligned:
        p.fail("a global value's load must be notrap and aligned", p.index - 1)
    text = " ".join(
        [
            "notrap aligned",
            *(n for n in ("readonly", "can_move") if getattr(flags, n)),
            *filter(None, (flags.endianness, flags.region)),
        ]
    )
    return ("load", base, offset, ty, flags), f"load.{ty.name} {text} gv{base}" + (f"{offset:+}" if offset else "")


def _gv_iadd(p: Cursor) -> _Global:
    p.take(".", "and a type")
    ty = p.type("a type")
    base = p.entity("gv", "a global value")
    p.take(",", "between base and offset")
    offset = p.number(literals.imm64, "a number")
    return ("iadd_imm", base, offset, ty), f"iadd_imm.{ty.name} gv{base}, {offset}"


def _gv_symbol(p: Cursor) -> _Global:
    colocated, tls = p.optional("colocated"), p.optional("tls")
    name = external_name(p)
    token = p.tokens[p.index]
    offset = p.number(literals.imm64, "an offset") if token[:1] in ("+", "-") and token not in ("+", "-", "->") else 0
    words = ["symbol"] + ["colocated"] * colocated + ["tls"] * tls + [name]
    return ("symbol", name, offset, colocated, tls), " ".join(words) + (f"{offset:+}" if offset else "")


def _gv_dynamic(p: Cursor) -> _Global:
    p.take(".", "and a type")
    ty = p.type("a vector type")
    return ("dynamic_scale", ty), f"dyn_scale_target_const.{ty.name}"


_GLOBALS: Final = {"vmctx": _gv_vmctx, "load": _gv_load, "iadd_imm": _gv_iadd, "symbol": _gv_symbol,
                   "dyn_scale_target_const": _gv_dynamic}  # fmt: skip


def _dynamic_type(p: Cursor, func: Function) -> None:
    """`dt0 = i16x8*gv0`: the base vector as often as the target's dynamic vectors are larger than it, which have 128
    bits on every ISA of liftcheck. So it is a name for a type here."""
    token = p.tokens[p.index]
    p.entity("dt", "a dynamic type")
    if token in p.dynamic_types:
        p.fail(f"duplicate entity: {token}", p.index - 1)
    _equals(p)
    at = p.index
    base = p.type("a vector type")
    p.take("*", "before the scale")
    scale = declared(p, func.globals, "gv", "a global value")
    if func.globals[scale][0] != "dynamic_scale":
        raise Refused(DYNAMIC_TYPES)
    ty = TYPES.get(f"{base.lane.name}x{DYNAMIC_BITS // base.lane_bits}")
    if not base.is_vector or base.bits > DYNAMIC_BITS or ty is None:
        p.fail(f"{base.name} is not a base of a dynamic vector type", at)
    p.dynamic_types[token] = ty


def _dynamic_slot(p: Cursor, func: Function) -> None:
    """`dss0 = explicit_dynamic_slot dt0`: a stack slot for one vector, with a number of its own."""
    number = DYNAMIC_SLOT + p.entity("dss", "a dynamic stack slot")
    if number in func.stack_slots:
        p.fail(f"duplicate entity: dss{number - DYNAMIC_SLOT}", p.index - 1)
    _equals(p)
    p.one_of(("explicit_slot", "explicit_dynamic_slot"), "'explicit_dynamic_slot'")
    ty = p.dynamic_types.get(p.tokens[p.index])
    if ty is None:
        p.fail(f"expected a dynamic type, found {p.found()}")
    p.index += 1
    func.stack_slots[number] = StackSlot(ty.bytes, 16)


def _memory_type(p: Cursor, func: Function) -> None:
    p.entity("mt", "a memory type")
    _equals(p)
    kind = p.one_of(("struct", "memory", "dynamic_memory", "empty"), "a kind of memory type")
    if kind == "dynamic_memory":
        p.entity("gv", "a global value")
        p.optional("+")
    if kind != "empty":
        p.number(literals.imm64, "a size")
    if kind == "struct":
        p.take("{", "before the fields")
        while p.tokens[p.index] not in ("}", ""):
            p.index += 1
        p.take("}", "after the fields")


def skip_fact(p: Cursor) -> None:
    """`! range(64, 0, 4)`: read over, if there is one."""
    if not p.optional("!"):
        return
    p.word("a fact")
    if p.optional("("):
        while p.tokens[p.index] not in (")", "", "}", "="):
            p.index += 1
        p.take(")", "after the fact")


_DECLARATIONS: Final = {"ss": _stack_slot, "sig": _signature, "fn": _function, "const": _constant, "gv": _global_value,
                        "region": _alias_region, "stack_limit": _stack_limit, "mt": _memory_type,
                        "dt": _dynamic_type, "dss": _dynamic_slot}  # fmt: skip
