"""A CLIF function as the text of an LLVM module, for what maps exactly; the rest is refused by name.

The one idea: CLIF leaves nothing undefined, LLVM much; so shift amounts are masked, divisions guarded, loads frozen and
addresses unaligned, null is an address like others, and every store, and every load that may trap, is volatile, which
keeps them in their order before a trap. A trap is a call of a function that has the trap's code in its name, in whose
place `objects` puts an instruction that traps. An edge of a branch has a block of its own, so each has its entry in the
phis. `body` is what is made, `arithmetic` are the instructions that compute.
Sources: LLVM Language Reference of LLVM 22; what opcodes compute: `clif/semantics`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

from liftcheck.clif.ir import BlockCall, Function, Inst, Signature
from liftcheck.clif.opcodes import OPCODES
from liftcheck.clif.types import Type
from liftcheck.compilers.llvm.arithmetic import (
    BINARY,
    CARRIES,
    CASTS,
    FLAGGED,
    FLOAT_BINARY,
    INTRINSICS,
    NARROWS,
    NUMBERS,
    OVERFLOWS,
    ROTATIONS,
    SATURATING,
    SHIFTS,
    WIDENS,
    Arithmetic,
)
from liftcheck.compilers.llvm.body import Refused, integers, type_text
from liftcheck.isa.llvm import Llvm

ATOMIC: Final = {
    "add": "add", "sub": "sub", "and": "and", "nand": "nand", "or": "or", "xor": "xor", "xchg": "xchg", "umin": "umin",
    "umax": "umax", "smin": "min", "smax": "max",
}  # fmt: skip
_BITWISE: Final = ("and", "nand", "or", "xor", "xchg")


class Translated(NamedTuple):
    """text: an LLVM module with one definition. called: names of the functions that the program calls. faults: the trap
    code of accesses to memory; '' if none may trap."""

    text: str
    called: frozenset[str]
    faults: str


def translate(
    function: Function, facts: Llvm, big_endian: bool, triple: str, small: bool = False, keeps_frame: bool = False
) -> Translated:
    """The module of a function; Refused. small: its size matters more than its speed. keeps_frame: it has a frame
    pointer."""
    return _Said(function, facts, big_endian, small, keeps_frame).module(triple)


class _Said(Arithmetic):
    """A whole function: its head, its blocks, and what is neither arithmetic nor lanes."""

    # The function

    def module(self, triple: str) -> Translated:
        function = self.function
        if any(key == "stack_limit" for key, _ in function.preamble):
            raise Refused("a stack limit")
        head = self.header(
            "define", function.signature, function.name, [f"%p{n}" for n in range(len(function.signature.params))]
        )
        self.lines.append("entry:")
        for number, slot in function.stack_slots.items():
            if slot.kind != "explicit_slot":
                raise Refused(f"a stack slot of the kind {slot.kind}")
            self.lines.append(f"  %ss{number} = alloca [{slot.size} x i8], align {max(slot.align, 1)}")
        first = function.blocks[0]
        self.go(BlockCall(first.number), [f"%p{n}" for n in range(len(first.params))])
        bodies: list[tuple[int, list[str]]] = []
        for block in function.blocks:
            self.lines, kept = [], self.lines
            self.label = f"block{block.number}"
            for inst in block.insts:
                self.inst(inst)
            self.lines, body = kept, self.lines
            bodies.append((block.number, body))
        for block, (number, body) in zip(function.blocks, bodies):
            self.lines.append(f"block{number}:")
            for n, (value, ty) in enumerate(block.params):
                pairs = ", ".join(f"[ {args[n]}, %{label} ]" for label, args in self.incoming[number])
                self.lines.append(
                    f"  %v{value} = phi {type_text(ty)} {pairs}"
                    if pairs
                    else f"  %v{value} = freeze {type_text(ty)} poison"
                )
            self.lines += body
        if len(self.faults) > 1:
            raise Refused("a limit of the compiler: accesses of memory with several trap codes")
        used = {inst.op for block in function.blocks for inst in block.insts}
        attributes = 'nounwind null_pointer_is_valid "no-jump-tables"="true"'
        if self.small or used & self.facts.sized:
            attributes += " optsize"
        if self.keeps_frame:
            attributes += ' "frame-pointer"="all"'
        attributes += ' section ".text"'
        declarations = [text for name, text in self.declared.items() if name != function.name]
        text = "\n".join(
            [f'target triple = "{triple}"', *declarations, f"{head} {attributes} {{", *self.lines, "}", ""]
        )
        called = frozenset(reference.name for reference in function.func_refs.values()) | {function.name}
        return Translated(text, called, next(iter(self.faults), ""))

    # Instructions

    def inst(self, inst: Inst) -> None:
        handler = _HANDLERS.get(inst.op)
        if handler is None:
            raise Refused(inst.op)
        for value in (*inst.results, *inst.args):
            type_text(self.type_of(value))
        handler(self, inst)

    # Memory

    def address(self, inst: Inst, number: int) -> str:
        address = inst.args[number]
        ty = self.type_of(address)
        if ty.bits != 64:
            raise Refused(f"an address of type {ty}")
        x = self.v(address)
        if inst.offset:
            x = self.new(f"add i64 {x}, {inst.offset}")
        return self.new(f"inttoptr i64 {x} to ptr")

    def may_trap(self, inst: Inst) -> bool:
        trap = "heap_oob" if inst.flags.trap is None else inst.flags.trap
        if trap:
            self.faults.add(trap)
        return bool(trap)

    def turned(self, x: str, ty: Type, inst: Inst) -> str:
        """A value of integers with each lane's bytes in the other order, if the access is in the other byte order."""
        endianness = inst.flags.endianness
        if not endianness or (endianness == "big") == self.big_endian or ty.lane_bits == 8:
            return x
        t = integers(ty.lane_bits, ty.lanes)
        name = f"bswap.{'v' + str(ty.lanes) if ty.is_vector else ''}i{ty.lane_bits}"
        return self.new(self.call(name, t, f"{t} {x}"))

    def load(self, inst: Inst) -> None:
        row = OPCODES[inst.op]
        assert row.access is not None
        to = self.type_of(inst.results[0])
        ty = row.access.type_in_memory(to)
        ints = integers(ty.lane_bits, ty.lanes)
        pointer = self.address(inst, 0)
        loaded = self.new(f"load {'volatile ' if self.may_trap(inst) else ''}{ints}, ptr {pointer}, align 1")
        loaded = self.turned(self.new(f"freeze {ints} {loaded}"), ty, inst)
        if row.access.extension:
            extend = "zext" if row.access.extension == "u" else "sext"
            self.set(inst, f"{extend} {ints} {loaded} to {type_text(to)}")
        else:
            self.from_ints(inst, loaded, to)

    def store(self, inst: Inst) -> None:
        row = OPCODES[inst.op]
        assert row.access is not None
        of = self.type_of(inst.args[0])
        x, ints = self.as_ints(self.v(inst.args[0]), of)
        ty = row.access.type_in_memory(of)
        if ty.bits != of.bits:
            x = self.new(f"trunc {ints} {x} to i{ty.bits}")
        self.may_trap(inst)
        pointer = self.address(inst, 1)
        self.lines.append(
            f"  store volatile {integers(ty.lane_bits, ty.lanes)} {self.turned(x, ty, inst)}, ptr {pointer}, align 1"
        )

    def atomic(self, inst: Inst) -> Type:
        """The type of an atomic operation."""
        ty = self.type_of(inst.results[0] if inst.results else inst.args[0])
        if ty.bits > 64:
            raise Refused(f"{inst.op} of {ty}")
        self.may_trap(inst)
        return ty

    def atomic_load(self, inst: Inst) -> None:
        ty = self.atomic(inst)
        loaded = self.new(f"load atomic volatile {ty}, ptr {self.address(inst, 0)} seq_cst, align {ty.bytes}")
        self.keep(inst, str(ty), self.turned(loaded, ty, inst))

    def atomic_store(self, inst: Inst) -> None:
        ty = self.atomic(inst)
        pointer, x = self.address(inst, 1), self.turned(self.v(inst.args[0]), ty, inst)
        self.lines.append(f"  store atomic volatile {ty} {x}, ptr {pointer} seq_cst, align {ty.bytes}")

    def atomic_rmw(self, inst: Inst) -> None:
        ty, word = self.atomic(inst), str(inst.imm)
        pointer, given = self.address(inst, 0), self.v(inst.args[1])
        x = self.turned(given, ty, inst)
        if x != given and word not in _BITWISE:
            raise Refused(f"an atomic {word} in the other byte order")
        old = self.new(f"atomicrmw volatile {ATOMIC[word]} ptr {pointer}, {ty} {x} seq_cst, align {ty.bytes}")
        self.keep(inst, str(ty), self.turned(old, ty, inst))

    def atomic_cas(self, inst: Inst) -> None:
        ty = self.atomic(inst)
        pointer, (x, y) = self.address(inst, 0), (self.turned(self.v(a), ty, inst) for a in inst.args[1:])
        both = self.new(f"cmpxchg volatile ptr {pointer}, {ty} {x}, {ty} {y} seq_cst seq_cst, align {ty.bytes}")
        self.keep(inst, str(ty), self.turned(self.new(f"extractvalue {{ {ty}, i1 }} {both}, 0"), ty, inst))

    def fence(self, inst: Inst) -> None:
        self.lines.append("  fence seq_cst")

    # Addresses

    def pointer(self, inst: Inst, text: str) -> None:
        self.set(inst, f"ptrtoint ptr {text} to {type_text(self.type_of(inst.results[0]))}")

    def stack_addr(self, inst: Inst) -> None:
        t = type_text(self.type_of(inst.results[0]))
        base = self.new(f"ptrtoint ptr %ss{inst.imm} to {t}")
        self.set(inst, f"add {t} {base}, {inst.offset}")

    def func_addr(self, inst: Inst) -> None:
        assert isinstance(inst.imm, int)
        self.pointer(inst, self.named(inst.imm)[0])

    def frame_pointer(self, inst: Inst) -> None:
        self.pointer(inst, self.new(self.call("frameaddress.p0", "ptr", "i32 0")))

    def return_address(self, inst: Inst) -> None:
        self.pointer(inst, self.new(self.call("returnaddress", "ptr", "i32 0")))

    def stack_pointer(self, inst: Inst) -> None:
        self.pointer(inst, self.new(self.call("stacksave.p0", "ptr")))

    # Calls and ends

    def named(self, number: int) -> tuple[str, Signature]:
        reference = self.function.func_refs[number]
        signature = self.function.signatures[reference.sig]
        text = self.header("declare", signature, reference.name, [""] * len(signature.params))
        if self.declared.setdefault(reference.name, text) != text:
            raise Refused("a function that is called by two signatures")
        return f'@"{reference.name}"', signature

    def call_text(self, inst: Inst) -> tuple[str, Signature]:
        assert isinstance(inst.imm, int)
        args = list(inst.args)
        if "indirect" in inst.op:
            signature = self.function.signatures[inst.imm]
            if self.type_of(args[0]).bits != 64:
                raise Refused("a call through a narrow address")
            callee = self.new(f"inttoptr i64 {self.v(args.pop(0))} to ptr")
        else:
            callee, signature = self.named(inst.imm)
        passed = ", ".join(f"{self.param(p)} {self.v(a)}" for p, a in zip(signature.params, args))
        return f"{self.convention(signature)}{self.returned(signature)} {callee}({passed})", signature

    def calls(self, inst: Inst) -> None:
        text, signature = self.call_text(inst)
        if not signature.returns:
            self.lines.append(f"  call {text}")
        elif len(signature.returns) == 1:
            self.set(inst, f"call {text}")
        else:
            whole = self.new(f"call {text}")
            for n in range(len(signature.returns)):
                self.set(inst, f"extractvalue {self.result(signature)} {whole}, {n}", n)

    def tail_calls(self, inst: Inst) -> None:
        text, signature = self.call_text(inst)
        if not self.facts.tail or "tailcc" not in text:
            raise Refused("a tail call by a convention without them")
        if not signature.returns:
            self.lines += [f"  musttail call {text}", "  ret void"]
        else:
            self.lines.append(f"  ret {self.result(signature)} {self.new(f'musttail call {text}')}")

    def returns(self, inst: Inst) -> None:
        params = self.function.signature.returns
        if not params:
            self.lines.append("  ret void")
        elif len(params) == 1:
            self.lines.append(f"  ret {type_text(params[0].type)} {self.v(inst.args[0])}")
        else:
            t, whole = self.result(self.function.signature), "poison"
            for n, (param, value) in enumerate(zip(params, inst.args)):
                whole = self.new(f"insertvalue {t} {whole}, {type_text(param.type)} {self.v(value)}, {n}")
            self.lines.append(f"  ret {t} {whole}")

    def jump(self, inst: Inst) -> None:
        self.go(inst.targets[0])

    def brif(self, inst: Inst) -> None:
        then, other = (self.edge(target) for target in inst.targets)
        self.lines.append(f"  br i1 {self.is_true(inst.args[0])}, label %{then[0]}, label %{other[0]}")
        self.edges([then, other])

    def br_table(self, inst: Inst) -> None:
        edges = [self.edge(target) for target in inst.targets]
        cases = " ".join(f"i32 {n}, label %{label}" for n, (label, _) in enumerate(edges[1:]))
        self.lines.append(f"  switch i32 {self.v(inst.args[0])}, label %{edges[0][0]} [ {cases} ]")
        self.edges(edges)

    def traps(self, inst: Inst) -> None:
        self.trap(str(inst.imm))

    def traps_if(self, inst: Inst) -> None:
        t = type_text(self.type_of(inst.args[0]))
        word = "eq" if inst.op == "trapz" else "ne"
        self.trap_if(self.new(f"icmp {word} {t} {self.v(inst.args[0])}, 0"), str(inst.imm))

    def nothing(self, inst: Inst) -> None:
        """Neither computes nor does anything."""


Handler = Callable[[_Said, Inst], None]
_ALONE: Final[dict[str, Handler]] = {
    "bnot": _Said.bnot, "ineg": _Said.ineg, "fneg": _Said.fneg, "cls": _Said.cls, "umulhi": _Said.high_product,
    "smulhi": _Said.high_product, "uadd_overflow_trap": _Said.add_or_trap, "icmp": _Said.compare, "fcmp": _Said.compare,
    "fcvt_to_uint": _Said.integer_of, "fcvt_to_sint": _Said.integer_of, "select": _Said.select,
    "select_spectre_guard": _Said.select, "bitselect": _Said.bitselect, "bmask": _Said.bmask, "isplit": _Said.split,
    "iconcat": _Said.concat, "splat": _Said.lanes_splat, "scalar_to_vector": _Said.scalar_to_vector,
    "insertlane": _Said.insertlane, "extractlane": _Said.extractlane, "shuffle": _Said.shuffle,
    "swizzle": _Said.swizzle, "avg_round": _Said.avg_round, "sqmul_round_sat": _Said.multiply_rounding,
    "iadd_pairwise": _Said.pairwise, "vany_true": _Said.any_true, "vall_true": _Said.all_true,
    "vhigh_bits": _Said.high_bits, "fvpromote_low": _Said.promote_low, "fvdemote": _Said.demote_vector,
    "bitcast": _Said.bitcast, "atomic_load": _Said.atomic_load, "atomic_store": _Said.atomic_store,
    "atomic_rmw": _Said.atomic_rmw, "atomic_cas": _Said.atomic_cas, "fence": _Said.fence,
    "stack_addr": _Said.stack_addr, "func_addr": _Said.func_addr,
    "get_frame_pointer": _Said.frame_pointer, "get_return_address": _Said.return_address,
    "get_stack_pointer": _Said.stack_pointer, "call": _Said.calls, "call_indirect": _Said.calls,
    "return_call": _Said.tail_calls, "return_call_indirect": _Said.tail_calls, "return": _Said.returns,
    "jump": _Said.jump, "brif": _Said.brif, "br_table": _Said.br_table, "trap": _Said.traps, "trapz": _Said.traps_if,
    "trapnz": _Said.traps_if, "nop": _Said.nothing, "sequence_point": _Said.nothing,
}  # fmt: skip
_HANDLERS: Final[dict[str, Handler]] = _ALONE | {
    op: handler
    for ops, handler in (
        (BINARY, _Said.binary), (FLOAT_BINARY, _Said.float_binary), (SHIFTS, _Said.shift), (ROTATIONS, _Said.rotate),
        ((*INTRINSICS, *FLAGGED), _Said.intrinsic), (OVERFLOWS, _Said.overflow), (CARRIES, _Said.carry),
        (("udiv", "sdiv", "urem", "srem"), _Said.division), (CASTS, _Said.cast), (NUMBERS, _Said.number),
        (SATURATING, _Said.saturating), (NARROWS, _Said.narrow), (WIDENS, _Said.widen),
        (("iconst", "f16const", "f32const", "f64const", "f128const", "vconst"), _Said.constant),
        ((op for op, row in OPCODES.items() if row.family == "load"), _Said.load),
        ((op for op, row in OPCODES.items() if row.family == "store"), _Said.store),
    )
    for op in ops
}  # fmt: skip
