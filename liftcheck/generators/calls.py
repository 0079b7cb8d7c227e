"""Signatures, calls of every kind and returns.

The one idea: functions are made leaves first, so a call goes to a function that is finished and whose greatest cost is
known; a call inside loops is made only if the product stays small. Recursion is direct, through a parameter that the
callee alone counts down and callers set to 1 or 2.
A parameter is data, a pointer to `POINTEE` bytes (aligned to 16: the data region or a stack slot), or that counter.
A struct (`sarg`, which x86-64 alone has) is a pointer of the caller's and a copy in the callee.
Sources: Cranelift's `isa/call_conv.rs` and `isa/*/abi.rs` (0.135): `preserve_all` returns nothing, `tail` alone can
tail-call, aarch64's `tail` has no `sret`, exceptions need tail, system_v, preserve_all or apple_aarch64.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from liftcheck.clif.ir import NO_FLAGS, AbiParam, BlockCall, ExceptionTable, FuncRef, Inst, Signature, StackSlot
from liftcheck.clif.types import I8, I16, I32, I64, Type
from liftcheck.generators.body import Body
from liftcheck.generators.choices import RandomChoices
from liftcheck.generators.profiles import type_class
from liftcheck.generators.program import Callee, Program
from liftcheck.isa.base import isa_named

POINTEE: Final = 64
_COST_LIMIT: Final = 500
_CATCHING: Final = frozenset({"tail", "system_v", "preserve_all", "apple_aarch64", "winch"})
_EXTENSIONS: Final = ("", "uext", "sext", "")


def draw_types(body_bits: int, palette: tuple[Type, ...], count: int) -> list[Type]:
    """`count` types from the palette by a random number of eight bits each."""
    return [palette[(body_bits >> 8 * at & 255) % len(palette)] for at in range(count)]


def _param(ty: Type, r: int) -> AbiParam:
    return AbiParam(ty, _EXTENSIONS[r & 3] if ty.is_int and ty.bits < 64 and not ty.is_vector else "")


def draw_signature(program: Program, convention: str, entry: bool) -> tuple[Signature, tuple[str, ...]]:
    """A signature: a few parameters and returns, now and then many (stack-passed, implicit sret)."""
    if entry:
        return _entry_signature(program, convention)
    tails = [callee for callee in program.specs if callee.signature.call_conv == "tail"]
    structs = all(isa_named(isa).struct_arguments for isa in program.isas) and convention in ("system_v", "fast")
    return _drawn(program.bits, program.passable(convention), convention, False, tails, structs)


def _entry_signature(program: Program, convention: str) -> tuple[Signature, tuple[str, ...]]:
    """One of a few dozen signatures a profile and set of ISAs: what calls an entry (trampolines, packing of rows) is
    then made once, not for every program. Inner functions have signatures without end."""
    few = program.isas == program.context.isas
    table, number = program.table, program.bits(5 if few else 3)
    key = (program.profile.name, convention, number)
    found = table.derived.entries.get(key)
    if found is None:
        bits = RandomChoices(number).bits
        allowed = program.all_passable(convention)
        classes, other = program.profile.classes, program.profile.other
        pool = [ty for ty in table.types if ty in allowed for _ in range(classes.get(type_class(ty), other))]
        palette = tuple([pool[bits(16) % len(pool)] for _ in range(6)]) if pool else (I64,)
        found = table.derived.entries[key] = _drawn(bits, palette, convention, True, [])
    return found


def _drawn(
    bits: Callable[[int], int],
    palette: tuple[Type, ...],
    convention: str,
    entry: bool,
    tails: list[Callee],
    structs: bool = False,
) -> tuple[Signature, tuple[str, ...]]:
    r = bits(32)
    count = (2, 1, 3, 4, 2, 3, 5, 6)[r & 7]
    if r & 0x78 == 0:
        count += 3 + (r >> 7 & 15)
    returns = 0 if convention == "preserve_all" else (1, 1, 2, 2, 1, 3, 4, 1)[r >> 11 & 7]
    if r & 0x3C000 == 0 and returns:
        returns += 2 + (r >> 18 & 7)
    random = bits(8 * (count + returns))
    kinds = draw_types(random, palette, count)
    params = [_param(ty, r >> 20 + at % 10) for at, ty in enumerate(kinds)]
    roles = ["data"] * count
    out = [_param(ty, r >> 19 + at % 10) for at, ty in enumerate(draw_types(random >> 8 * count, palette, returns))]
    if convention == "tail" and tails and r & 0x100:
        out = list(tails[-1].signature.returns)
    if entry or r & 0x600000 == 0 or not returns:
        sret = not entry and returns == 0 and convention in ("system_v", "fast")
        place = 0 if entry or sret else (r >> 23) % (count + 1)
        params.insert(place, AbiParam(I64, "", "sret" if sret and r & 1 else ""))
        roles.insert(place, "pointer")
    if entry and r & 0x80000000:
        params.insert(1, AbiParam(I64))
        roles.insert(1, "pointer")
    if structs and r & 0xC0 == 0:
        params.insert(0, AbiParam(I64, "", f"sarg({POINTEE})"))
        roles.insert(0, "struct")
    if not entry and returns and r & 0x18000000 == 0:
        params.append(AbiParam((I32, I64, I8, I16)[r >> 29 & 3]))
        roles.append("counter")
    return Signature(tuple(params), tuple(out), convention), tuple(roles)


def _pointer(body: Body, tail: bool) -> int | None:
    """A pointer to POINTEE bytes that may be written, aligned to 16; not into this frame for a tail call."""
    usable = [
        p
        for p in body.pointers
        if p.high - p.low >= POINTEE and p.align >= 16 and not p.region and not (tail and p.slot >= 0)
    ]
    if not usable:
        return None
    value, low, high, _, slot, _ = usable[body.bits(4) % len(usable)]
    if slot >= 0:
        value = body.ins("stack_addr", I64, (), I64, slot)
    steps = (high - low - POINTEE) // 16
    away = low // 16 * 16 + body.bits(8) % (steps + 1) * 16 if steps else low
    if away:
        value = body.ins("iadd", I64, (value, body.const(I64, away & I64.mask)), I64)
    return value


def _arguments(body: Body, callee: Callee, tail: bool = False, counter: int | None = None) -> tuple[int, ...] | None:
    args: list[int] = []
    for kind, param in zip(callee.kinds, callee.signature.params):
        if kind == "data":
            args.append(body.value(param.type))
        elif kind in ("pointer", "struct"):
            pointer = _pointer(body, tail)
            if pointer is None:
                return None
            args.append(pointer)
        else:
            args.append(body.const(param.type, 1 + body.bits(1)) if counter is None else counter)
    return tuple(args)


def _signature_number(body: Body, signature: Signature) -> int:
    numbers = body.sig_numbers
    number = numbers.get(signature)
    if number is None:
        number = numbers[signature] = len(numbers)
        body.function.signatures[number] = signature
    return number


def reference(body: Body, callee: Callee) -> int:
    """The function reference for a callee: near (colocated) or far."""
    near = bool(body.bits(1))
    number = body.refs.get((callee.name, near))
    if number is None:
        number = body.refs[callee.name, near] = len(body.refs)
        body.function.func_refs[number] = FuncRef(callee.name, _signature_number(body, callee.signature), near)
    return number


def _affordable(body: Body) -> Callee | None:
    callees = body.callees
    if not callees:
        return None
    callee = callees[body.bits(4) % len(callees)]
    if callee.cost * body.mult > _COST_LIMIT or body.cost > 6 * _COST_LIMIT:
        return None
    return callee


def call(body: Body) -> None:
    """A call of a function made before, direct or through its address; something plain if none fits."""
    callee = _affordable(body)
    args = _arguments(body, callee) if callee is not None else None
    if callee is None or args is None:
        body.anything()
        return
    results = emit_call(body, callee, args)
    for value, param in zip(results, callee.signature.returns):
        body.push(value, param.type)
    body.cost += callee.cost * body.mult


def emit_call(body: Body, callee: Callee, args: tuple[int, ...]) -> tuple[int, ...]:
    """The call itself; its results are not in scope yet."""
    returns = callee.signature.returns
    number = reference(body, callee)
    indirect = body.bits(2) == 0
    address = _address(body, callee, number) if indirect else -1
    first = body.n
    results = tuple(range(first, first + len(returns)))
    body.n = first + len(returns)
    for value, param in zip(results, returns):
        body.types[value] = param.type
        if param.type.is_float:
            body.tainted.add(value)
    if indirect:
        number = _signature_number(body, callee.signature)
        body.insts.append(Inst("call_indirect", I64, results, (address, *args), number))
    else:
        body.insts.append(Inst("call", None, results, args, number))
    return results


def _address(body: Body, callee: Callee, number: int) -> int:
    """A callee's address: by its function reference or as that of a symbol."""
    if body.bits(1) or not body.table.has("symbol_value.i64"):
        return body.ins("func_addr", I64, (), I64, number)
    near = body.function.func_refs[number].colocated
    found = body.symbols.get((callee.name, near))
    if found is None:
        found = body.symbols[callee.name, near] = len(body.symbols)
        body.function.globals[found] = ("symbol", callee.name, 0, near, False)
        body.function.preamble.append((f"gv{found}", f"symbol {'colocated ' if near else ''}{callee.name}"))
    return body.ins("symbol_value", I64, (), I64, found)


def try_call(body: Body) -> bool:
    """A call with handlers that end the function; False if there is nothing to call so."""
    table = body.table
    if "try_call" not in body.program.context.features or not table.has("try_call"):
        return False
    callee = _affordable(body)
    if (
        callee is None
        or callee.signature.call_conv not in _CATCHING
        or not body.program.convention_has("try_call", callee.signature.call_conv)
    ):
        return False
    args = _arguments(body, callee)
    if args is None:
        return False
    returns = tuple([param.type for param in callee.signature.returns])
    r = body.bits(6)
    handled = r >> 4 == 0 and table.has("get_exception_handler_address.i64")
    if handled and body.current is body.function.blocks[0]:
        inside = body.block()
        body.jump(inside)
        body.start(inside)
    caller, normal = body.current, body.block(returns)
    payloads = (I64, I64) if r & 1 and callee.signature.call_conv != "winch" else ()
    handlers = [body.block(payloads) for _ in range(1 + (r >> 1 & 1))]
    names = ("exn0", "exn1") if payloads else ()
    items: list[tuple[object, ...]] = [
        ("tag", at + 1, BlockCall(handler.number, names)) for at, handler in enumerate(handlers)
    ]
    if r & 4:
        items[-1] = ("default", BlockCall(handlers[-1].number, names))
    exits = ExceptionTable(
        _signature_number(body, callee.signature),
        BlockCall(normal.number, tuple([f"ret{at}" for at in range(len(returns))])),
        tuple(items),
    )
    number = reference(body, callee)
    if r & 8 and table.has("try_call_indirect.i64"):
        address = _address(body, callee, number)
        body.insts.append(Inst("try_call_indirect", I64, (), (address, *args), table=exits))
    else:
        body.insts.append(Inst("try_call", None, (), args, number, table=exits))
    body.cost += callee.cost * body.mult
    for handler in handlers:
        mark = len(body.log)
        body.start(handler)
        finish(body)
        body.leave(mark)
    body.start(normal)
    if handled:
        hide(body, body.ins("get_exception_handler_address", I64, (), I64, (caller.number, 0)))
    return True


def hide(body: Body, address: int) -> None:
    """Stores an address, which differs everywhere, in a stack slot that nothing reads."""
    if body.sink < 0:
        slots = body.function.stack_slots
        body.sink = len(slots)
        slots[body.sink] = StackSlot(8)
    body.effect("store", I64, (address, body.ins("stack_addr", I64, (), I64, body.sink)), None, NO_FLAGS, 0)


def recursion(body: Body, callee: Callee) -> None:
    """At the start of a function with a counter: unless that is zero, call itself with one less."""
    place = callee.kinds.index("counter")
    counter, ty = body.function.blocks[0].params[place]
    returns = tuple([param.type for param in callee.signature.returns])
    again, join = body.block(), body.block(returns)
    body.brif(counter, BlockCall(again.number), BlockCall(join.number, tuple([body.value(t) for t in returns])))
    mark = len(body.log)
    body.start(again)
    less = body.ins("isub", ty, (counter, body.const(ty, 1)), ty)
    tail = callee.signature.call_conv == "tail" and bool(body.bits(1))
    args = _arguments(body, callee, tail, less)
    if args is None:
        body.jump(join, tuple([body.value(t) for t in returns]))
    elif tail:
        body.insts.append(Inst("return_call", None, (), args, reference(body, callee)))
    else:
        body.jump(join, emit_call(body, callee, args))
    body.leave(mark)
    body.start(join)


def finish(body: Body) -> None:
    """End the current block by leaving the function: a return, or a tail call where convention and returns allow."""
    signature = body.function.signature
    if signature.call_conv == "tail" and body.callees and body.bits(2):
        fitting = [
            callee
            for callee in body.callees
            if callee.signature.call_conv == "tail"
            and [p.type for p in callee.signature.returns] == [p.type for p in signature.returns]
            and [p.extension for p in callee.signature.returns] == [p.extension for p in signature.returns]
            and callee.cost * body.mult <= _COST_LIMIT
        ]
        if fitting:
            callee = fitting[body.bits(3) % len(fitting)]
            args = _arguments(body, callee, tail=True)
            if args is not None:
                _tail_call(body, callee, args)
                return
    body.insts.append(Inst("return", None, (), tuple([body.latest(param.type) for param in signature.returns])))


def _tail_call(body: Body, callee: Callee, args: tuple[int, ...]) -> None:
    number = reference(body, callee)
    body.cost += callee.cost * body.mult
    if body.bits(2) == 0:
        address = _address(body, callee, number)
        number = _signature_number(body, callee.signature)
        body.insts.append(Inst("return_call_indirect", I64, (), (address, *args), number))
    else:
        body.insts.append(Inst("return_call", None, (), args, number))
