"""How functions become code for the reference interpreter: one pass, one operation an instruction, and terminators.

The one idea: a function is translated when it is first entered, so what one function lacks does not hurt the others of
its file; what depends on the byte order is noted on the way, and made anew for the other one (`set_byte_order`).

It knows terminators alone: other instructions are `steps`'s. What comes of it is `code`'s, and it
does not run anything (see `run`).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Final

from liftcheck.clif.ir import AbiParam, Block, BlockCall, ExceptionTable, Inst, Signature
from liftcheck.clif.opcodes import CALLS, EXITS, INDIRECT_CALLS, LOADS, OPCODES, STORES, TERMINATORS, WHOLE
from liftcheck.errors import Unsupported
from liftcheck.interp.code import CALL, GO, INDIRECT, RETURN, TAIL, TAIL_INDIRECT, Code, Segment
from liftcheck.interp.libcalls import Libcall
from liftcheck.interp.recipes import Op, Run, compiled, plain, pure, refusing
from liftcheck.interp.steps import SP, TRANSLATORS, Translator, access
from liftcheck.interp.world_steps import SPECIAL, WorldTranslator
from liftcheck.interp.worlds import World


def translate(code: Code) -> None:
    """Make the segments. A function that the interpreter lacks something for refuses where it gets there."""
    _Translation(code).run()


def set_byte_order(code: Code, big_endian: bool) -> None:
    """Make the accesses of a function that is translated, and not hot, for the other byte order."""
    translator = code.translator
    if translator is not None:
        translator.big_endian = big_endian
        for ops, at, what in code.ordered:
            if isinstance(what, tuple):
                ops[at] = access(what, big_endian)[0], ops[at][1]
                continue
            for recipe, extras, outs, ins in translator.translate(what):
                ops[at] = recipe.run, (*extras, *outs, *ins)
                at += 1


class _Translation:
    """Translates one function: one pass, one operation an instruction."""

    def __init__(self, code: Code) -> None:
        self.code = code
        self.function = code.function
        careful = isinstance(code.program.memory, World)
        self.translator = code.translator = WorldTranslator(code) if careful else Translator(code)
        self.special = SPECIAL if careful else TRANSLATORS.keys()
        self.plain_accesses = frozenset() if careful else _PLAIN_ACCESSES
        self.reg = self.translator.reg
        self.heads: dict[int, Segment] = {}
        self.segments = code.segments

    def run(self) -> None:
        blocks = self.function.blocks
        entry = self.code.entry
        entry.kind = GO
        self.heads[blocks[0].number] = entry
        self.params = {b.number: self.reg.of(tuple([v for v, _ in b.params])) for b in blocks}
        for block in blocks:
            self._block(block)
        tail = [0] * self.reg.count
        for register, value in self.translator.constants.items():
            tail[register] = value
        del tail[: len(blocks[0].params)]
        self.code.tail = tail
        self.code.sp = self.reg.get(SP, -1)

    def _head(self, number: int) -> Segment:
        found = self.heads.get(number)
        if found is None:
            found = self.heads[number] = Segment(self.code)
        return found

    def _block(self, block: Block) -> None:
        segment = self._head(block.number)
        ops, start = segment.ops, 0
        translator, insts, reg, types = self.translator, block.insts, self.reg, self.translator.types
        constants, ordered = translator.constants, self.code.ordered
        special, plain_accesses = self.special, self.plain_accesses
        for at, inst in enumerate(insts):
            op = inst.op
            if op in _ENDS:
                segment.insts = insts[start : at + 1]
                segment.cost = at + 1 - start
                self.segments.append(segment)
                start = at + 1
                segment = self._end(segment, inst)
                ops = segment.ops
            elif op == "iconst":
                constants[reg.of(inst.results)[0]] = inst.imm & inst.type.mask  # type: ignore[operator, union-attr]
            elif op in plain_accesses:
                self._access(ops, inst)
            elif op not in special:
                # An opcode with a meaning, with two operands mostly: this is the hot path of preparing a program.
                args = inst.args
                try:
                    recipe = (
                        pure(op, inst.type, inst.imm, types[args[0]], types[args[1]])
                        if len(args) == 2
                        else pure(op, inst.type, inst.imm, *[types[a] for a in args])
                    )
                    ops.append((recipe.run, reg.of(inst.results + args)))
                except Unsupported as missing:
                    ops.append((refusing().run, (missing.reason,)))
            else:
                if op in ORDERED:
                    ordered.append((ops, len(ops), inst))
                for recipe, extras, outs, ins in translator.translate(inst):
                    ops.append((recipe.run, (*extras, *outs, *ins)))

    def _access(self, ops: list[Op], inst: Inst) -> None:
        """A plain load or store, the commonest access."""
        translator, flags, offset = self.translator, inst.flags, inst.offset
        operands = inst.results + inst.args
        value, address = operands
        what = (inst.op, translator.types[value], flags, address in translator.on_stack, offset != 0)
        if not flags.endianness:
            self.code.ordered.append((ops, len(ops), what))
        run, trap = access(what, translator.big_endian)
        if offset:
            ops.append((run, (translator.memory, offset, trap, *self.reg.of(operands))))
        else:
            ops.append((run, (translator.memory, trap, *self.reg.of(operands))))

    def _end(self, segment: Segment, inst: Inst) -> Segment:
        """Write the terminator; answers the segment for what follows a call in the block."""
        op, reg = inst.op, self.reg
        if op == "jump":
            self._jump(segment, inst.targets[0])
        elif op == "brif":
            self._branch(segment, inst)
        elif op == "br_table":
            self._table(segment, inst)
        elif op == "return":
            segment.kind = RETURN
            segment.term, segment.wires = collect(len(inst.args)), reg.of(inst.args)
        elif op == "trap":
            segment.ops.append((plain("raise Trap({k0})", 1, 0, 0).run, (inst.imm,)))
        else:
            return self._call(segment, inst)
        return segment

    def _edge(self, segment: Segment, call: BlockCall, renamed: Mapping[str, int] | None = None) -> int:
        """Record an edge with its parallel moves; answers its number."""
        if renamed is None:
            sources = self.reg.of(call.args)  # type: ignore[arg-type]
        else:
            sources = tuple([renamed.get(a, -1) if isinstance(a, str) else self.reg[a] for a in call.args])
        segment.targets.append(self._head(call.block))
        segment.target_calls.append((self.params[call.block], sources))
        return len(segment.targets) - 1

    def _jump(self, segment: Segment, call: BlockCall, renamed: Mapping[str, int] | None = None) -> None:
        params, sources = segment.target_calls[self._edge(segment, call, renamed)]
        segment.term, segment.wires = mover(len(params)), (segment.targets[0], *params, *sources)

    def _branch(self, segment: Segment, inst: Inst) -> None:
        for call in inst.targets:
            self._edge(segment, call)
        (p, a), (q, b) = segment.target_calls
        then, other = segment.targets
        segment.term = brancher(len(p), len(q))
        segment.wires = (*self.reg.of(inst.args), then, other, *p, *a, *q, *b)

    def _table(self, segment: Segment, inst: Inst) -> None:
        for call in inst.targets:
            self._edge(segment, call)
        default, *entries = [
            (mover(len(p)), (target, *p, *a)) for target, (p, a) in zip(segment.targets, segment.target_calls)
        ]
        segment.term, segment.wires = _switch, (*self.reg.of(inst.args), default, entries)

    def _call(self, segment: Segment, inst: Inst) -> Segment:
        op, function = inst.op, self.function
        indirect = op in INDIRECT_CALLS
        if inst.table is not None:
            signature = function.signatures[inst.table.sig]
        else:
            number = inst.imm if indirect else function.func_refs[inst.imm].sig  # type: ignore[index]
            signature = function.signatures[number]  # type: ignore[index]
        self._callee(segment, inst, signature, indirect)
        if op in EXITS:
            segment.kind = TAIL_INDIRECT if indirect else TAIL
            return segment
        segment.kind = INDIRECT if indirect else CALL
        after = segment.after = Segment(self.code)
        if inst.table is None:
            segment.results = self.reg.of(inst.results)
            return after
        names = {f"ret{i}": self.reg["ret", id(inst), i] for i in range(len(signature.returns))}
        segment.results = tuple(names.values())
        self.segments.append(after)
        self._jump(after, inst.table.normal, names)
        self._handlers(segment, inst, inst.table)
        return after

    def _handlers(self, segment: Segment, inst: Inst, table: ExceptionTable) -> None:
        """Where exceptions go on: as control goes on after the call, each with an edge of its own."""
        names = {f"exn{i}": self.reg["exn", id(inst), i] for i in range(2)}
        found: list[tuple[int | None, Segment]] = []
        for item in table.items:
            if item[0] in ("tag", "default"):
                handler = Segment(self.code)
                self.segments.append(handler)
                tag, call = item[1:] if item[0] == "tag" else (None, item[1])
                assert isinstance(call, BlockCall) and (tag is None or isinstance(tag, int))
                self._jump(handler, call, names)
                found.append((tag, handler))
        segment.handlers, segment.payloads = tuple(found), tuple(names.values())

    def _callee(self, segment: Segment, inst: Inst, signature: Signature, indirect: bool) -> None:
        segment.term, segment.wires = collect(len(inst.args)), self.reg.of(inst.args)
        if indirect:
            return
        name = self.function.func_refs[inst.imm].name  # type: ignore[index]
        callee = segment.callee = self.code.program.named(name)
        segment.problem = "" if callee is None else mismatch(callee, signature)
        asks = isinstance(self.translator, WorldTranslator) and isinstance(callee, Code) and callee.copies
        if isinstance(callee, Code) and not segment.problem and not asks:
            segment.direct = callee


def mismatch(callee: Code | Libcall, signature: Signature) -> str:
    """Why a call with this signature cannot mean the callee; '' if it can."""
    if isinstance(callee, Libcall):
        name = f"%{callee.name}"
        own = Signature(tuple(map(AbiParam, callee.params)), tuple(map(AbiParam, callee.returns)), "")
        signature = _bare(signature) if signature.call_conv != "tail" else signature
    else:
        name, own = callee.function.name, callee.function.signature
    if own == signature:
        return ""
    problem = _difference(own, signature)
    return problem and f"the call does not match {name}: {problem}"


def _bare(signature: Signature) -> Signature:
    """Types alone: a routine takes its integers as every convention of C passes them."""
    return Signature(
        tuple(AbiParam(p.type) for p in signature.params), tuple(AbiParam(p.type) for p in signature.returns)
    )


def _difference(own: Signature, used: Signature) -> str:
    """What of two signatures makes a call of one by the other meaningless. Extending what the other side does not need
    extended is harmless, and so is calling a parameter `vmctx`."""
    if own.call_conv != used.call_conv and ((own.call_conv and used.call_conv) or used.call_conv == "tail"):
        return f"convention {used.call_conv}, but it has {own.call_conv or 'that of C'}"
    for what, ours, theirs in (("parameter", own.params, used.params), ("return", own.returns, used.returns)):
        if len(ours) != len(theirs):
            return f"{len(theirs)} {what}{'' if len(theirs) == 1 else 's'}, but it has {len(ours)}"
        for number, (callee, caller) in enumerate(zip(ours, theirs)):
            given, needed = (caller, callee) if what == "parameter" else (callee, caller)
            if not _fits(given, needed):
                return f"{what} {number} is {param_text(caller)}, but it has {param_text(callee)}"
    return ""


def _fits(given: AbiParam, needed: AbiParam) -> bool:
    """Whether what one side passes is what the other takes."""
    purposes = {p.purpose if p.purpose != "vmctx" else "" for p in (given, needed)}
    return given.type == needed.type and len(purposes) == 1 and needed.extension in ("", given.extension)


def param_text(param: AbiParam) -> str:
    """`i32 uext`, as CLIF text has it."""
    return " ".join(filter(None, (param.type.name, param.extension, param.purpose)))


# Terminators: functions of the registers and of a segment's `wires`.


@cache
def collect(count: int) -> Run:
    """The values of some registers as a list."""
    names = _names(count, "a")
    return _terminator(names, f" return [{', '.join(f'r[{n}]' for n in names)}]")


@cache
def mover(count: int) -> Run:
    """Parallel moves into a block's parameters, then that block."""
    return _terminator(
        ["target", *_names(count, "p"), *_names(count, "a")], f" {_moves(count, 'p', 'a')}\n return target"
    )


@cache
def brancher(then: int, other: int) -> Run:
    """`brif` with so many arguments on either edge."""
    return _terminator(
        ["c", "then", "other", *_names(then, "p"), *_names(then, "a"), *_names(other, "q"), *_names(other, "b")],
        f" if r[c]:\n  {_moves(then, 'p', 'a')}\n  return then\n {_moves(other, 'q', 'b')}\n return other",
    )


def _terminator(wires: list[str], body: str) -> Run:
    head = f" {', '.join(wires)}, = wires\n" if wires else ""
    return compiled(f"def go(r, wires):\n{head}{body}", "go")


def _moves(count: int, to: str, source: str) -> str:
    if not count:
        return "pass"
    return " = ".join(", ".join(f"r[{letter}{i}]" for i in range(count)) for letter in (to, source))


def _names(count: int, letter: str) -> list[str]:
    return [f"{letter}{i}" for i in range(count)]


def _switch(r: list[int], wires: tuple[int, Op, list[Op]]) -> object:
    """`br_table`: the default edge and those of the table, as moves."""
    index, default, entries = wires
    i = r[index]
    move, its_wires = entries[i] if i < len(entries) else default
    return move(r, its_wires)


_PLAIN_ACCESSES: Final = frozenset(op for op in LOADS | STORES if OPCODES[op].access == WHOLE)
"""Loads and stores of whole values."""
ORDERED: Final = frozenset(op for op, row in OPCODES.items() if row.access is not None) | {
    "bitcast",
    "global_value",
    "symbol_value",
}
"""Opcodes whose steps may depend on the byte order."""
_ENDS: Final = TERMINATORS | CALLS
