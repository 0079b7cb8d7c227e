"""The older dialect's opcodes in terms of those that every supported version has.

The one idea: one rewriting rule for each removed opcode, each a few new instructions in the place of one; what
prints or interprets a function calls `modern` first and needs to know one dialect only. Values keep their numbers.
It does not touch opcodes that are new in one version (`blendv`) or whose meaning has no other spelling
(`resumable_trap`, `fcvt_low_from_sint`).
Sources: cranelift-codegen 0.130 `legalizer/mod.rs` and `legalizer/globalvalue.rs` (which immediates are sign-extended),
documentation of the removed opcodes in cranelift-codegen-meta 0.95, 0.110.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from liftcheck.clif.ir import NO_FLAGS, Block, Function, Inst, MemFlags
from liftcheck.clif.opcodes import OF_CONSTANT
from liftcheck.clif.types import I8, I64, I128, Type

_SIGNED: Final = frozenset({"iadd_imm", "imul_imm", "irsub_imm", "sdiv_imm", "srem_imm", "icmp_imm"})
_RENAMED: Final = {"iadd_carry": "uadd_overflow_cin", "isub_borrow": "usub_overflow_bin", "iadd_cout": "uadd_overflow",
                   "isub_bout": "usub_overflow"}  # fmt: skip
_STACK_FLAGS: Final = MemFlags(trap="")


class _Rewriter:
    """Makes the instructions that stand for one old instruction."""

    def __init__(self, func: Function) -> None:
        self.func = func
        self.types = dict(func.types)
        self.next = max(func.types, default=-1) + 1
        self.out: list[Inst] = []

    def value(self, op: str, ty: Type | None, result: Type, *args: int, imm: object = None) -> int:
        """A new instruction in front; its value."""
        number = self.next
        self.next += 1
        self.types[number] = result
        self.out.append(Inst(op, ty, (number,), args, imm))
        return number

    def last(
        self,
        old: Inst,
        op: str,
        ty: Type | None,
        *args: int,
        imm: object = None,
        flags: MemFlags = NO_FLAGS,
        offset: int = 0,
    ) -> None:
        """The instruction that gives the old one's results."""
        self.out.append(Inst(op, ty, old.results, args, imm, flags, offset, loc=old.loc, line=old.line))

    def constant(self, ty: Type, number: int, signed: bool) -> int:
        """The immediate of a `*_imm` opcode as a value of the lane type."""
        if ty is I128:
            narrow = self.value("iconst", I64, I64, imm=number & I64.mask)
            return self.value("sextend" if signed else "uextend", I128, I128, narrow)
        return self.value("iconst", ty.lane, ty.lane, imm=number & ty.lane_mask)


def _binary_imm(w: _Rewriter, old: Inst) -> None:
    assert old.type is not None and isinstance(old.imm, int)
    constant = w.constant(old.type, old.imm, old.op in _SIGNED)
    if old.op == "irsub_imm":
        w.last(old, "isub", old.type, constant, old.args[0])
    else:
        w.last(old, OF_CONSTANT[old.op], old.type, old.args[0], constant)


def _icmp_imm(w: _Rewriter, old: Inst) -> None:
    assert old.type is not None and isinstance(old.imm, tuple)
    condition, number = old.imm
    w.last(old, "icmp", old.type, old.args[0], w.constant(old.type, number, True), imm=condition)


def _stack_load(w: _Rewriter, old: Inst) -> None:
    w.out.append(Inst("stack_addr", I64, (w.next,), (), old.imm, NO_FLAGS, old.offset))
    address = w.next
    w.types[address] = I64
    w.next += 1
    w.last(old, "load" if old.op == "stack_load" else "store", old.type, *old.args, address, flags=_STACK_FLAGS)


_NEGATED: Final = {"band_not": "band", "bor_not": "bor", "bxor_not": "bxor"}


def _negated(w: _Rewriter, old: Inst) -> None:
    assert old.type is not None
    inverted = w.value("bnot", old.type, old.type, old.args[1])
    w.last(old, _NEGATED[old.op], old.type, old.args[0], inverted)


def _renamed(w: _Rewriter, old: Inst) -> None:
    w.last(old, _RENAMED[old.op], old.type, *old.args)


def _carry_in(w: _Rewriter, old: Inst) -> None:
    carry = w.next
    w.next += 1
    w.types[carry] = I8
    op = "uadd_overflow_cin" if old.op == "iadd_cin" else "usub_overflow_bin"
    w.out.append(Inst(op, old.type, (*old.results, carry), old.args, loc=old.loc, line=old.line))


def _pseudo_minimum(w: _Rewriter, old: Inst) -> None:
    """fmin_pseudo(a, b) = b < a ? b : a; fmax_pseudo(a, b) = a < b ? b : a."""
    assert old.type is not None
    a, b = old.args
    less = w.value("fcmp", old.type, old.type.as_truthy(), *((b, a) if old.op == "fmin_pseudo" else (a, b)), imm="lt")
    if not old.type.is_vector:
        w.last(old, "select", old.type, less, b, a)
        return
    mask = w.out[-1]
    cast = w.next
    w.next += 1
    w.types[cast] = old.type
    w.out.append(Inst("bitcast", old.type, (cast,), mask.results))
    w.last(old, "bitselect", old.type, cast, b, a)


def _global_value(w: _Rewriter, old: Inst) -> None:
    """Follow the chain of declarations from its root; the last step gives the result."""
    assert isinstance(old.imm, int) and old.type is not None
    chain = [w.func.globals[old.imm]]
    number = old.imm
    while chain[-1][0] in ("load", "iadd_imm") and len(chain) <= len(w.func.globals):
        base = chain[-1][1]
        assert isinstance(base, int)
        number = base
        chain.append(w.func.globals[base])
    address = _root(w, chain.pop(), number)
    while chain:
        address = _step(w, chain.pop(), address)
    _rename_last(w, address, old)


def _root(w: _Rewriter, declaration: tuple[object, ...], number: int) -> int:
    if declaration[0] == "vmctx":
        place = [p.purpose for p in w.func.signature.params].index("vmctx")
        return w.func.blocks[0].params[place][0]
    return w.value("tls_value" if declaration[4] else "symbol_value", I64, I64, imm=number)


def _step(w: _Rewriter, declaration: tuple[object, ...], base: int) -> int:
    if declaration[0] == "iadd_imm":
        _, _, offset, kind = declaration
        assert isinstance(offset, int) and isinstance(kind, Type)
        return w.value("iadd", kind, kind, base, w.value("iconst", kind, kind, imm=offset & kind.mask))
    _, _, offset, kind, flags = declaration
    assert isinstance(offset, int) and isinstance(kind, Type) and isinstance(flags, MemFlags)
    result = w.value("load", kind, kind, base)
    w.out[-1].flags, w.out[-1].offset = flags, offset
    return result


def _rename_last(w: _Rewriter, value: int, old: Inst) -> None:
    """Let the instruction that made `value` give the old result; a parameter is copied by `bor` with itself."""
    if w.out and w.out[-1].results == (value,):
        w.out[-1].results = old.results
        del w.types[value]
    else:
        w.last(old, "bor", old.type, value, value)


_RULES: Final[dict[str, Callable[[_Rewriter, Inst], None]]] = {
    **dict.fromkeys(("irsub_imm", *OF_CONSTANT), _binary_imm),
    "icmp_imm": _icmp_imm, "stack_load": _stack_load, "stack_store": _stack_load,
    **dict.fromkeys(_NEGATED, _negated), **dict.fromkeys(_RENAMED, _renamed),
    "iadd_cin": _carry_in, "isub_bin": _carry_in, "fmin_pseudo": _pseudo_minimum, "fmax_pseudo": _pseudo_minimum,
    "global_value": _global_value,
}  # fmt: skip
OLD_OPCODES: Final = frozenset(_RULES)


def modern(func: Function) -> Function:
    """The same function without removed opcodes: `func` itself if it has none."""
    if not any(inst.op in OLD_OPCODES for block in func.blocks for inst in block.insts):
        return func
    writer = _Rewriter(func)
    blocks = [Block(b.number, b.params, _rewritten(writer, b.insts), b.cold, b.line) for b in func.blocks]
    return replace(func, blocks=blocks, types=writer.types)


def _rewritten(writer: _Rewriter, insts: list[Inst]) -> list[Inst]:
    writer.out = found = []
    for inst in insts:
        rule = _RULES.get(inst.op)
        if rule is None:
            found.append(inst)
        else:
            at = len(found)
            rule(writer, inst)
            for made in found[at:]:
                made.line = inst.line
    return found


_OLD_REGIONS: Final = frozenset({"heap", "table", "vmctx"})


def without_old_regions(func: Function) -> Function:
    """The same function without the alias regions of versions before 0.131, which are hints."""

    def bare(flags: MemFlags) -> MemFlags:
        return flags._replace(region="") if flags.region in _OLD_REGIONS else flags

    def text_of(entity: str, text: str) -> str:
        words = text.split(" ")
        return " ".join(word for word in words if len(words) == 1 or word not in _OLD_REGIONS)

    blocks = [
        Block(b.number, b.params, [replace(inst, flags=bare(inst.flags)) for inst in b.insts], b.cold, b.line)
        for b in func.blocks
    ]
    return replace(func, blocks=blocks, preamble=[(entity, text_of(entity, text)) for entity, text in func.preamble])
