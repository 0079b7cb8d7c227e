"""The rules for one instruction: typing as the opcode's row says, dominance, references, immediates.

The one idea: `problems` yields sentences; typing comes from the opcode table alone, what it cannot say (signatures,
block parameters, bitcast sizes, lane numbers, exception tables) is one method a rule, chosen by format or opcode.
Source: cranelift-codegen 0.135 `verifier/mod.rs`, `isa/call_conv.rs`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

from liftcheck.clif.cfg import Cfg, edge_values, edges, table_calls
from liftcheck.clif.formats import ATOMIC_OPERATIONS, FLOAT_CONDITIONS, INT_CONDITIONS, trap_code
from liftcheck.clif.ir import Block, BlockCall, ExceptionTable, Function, Inst, MemFlags, Signature
from liftcheck.clif.opcodes import DYNAMIC, OPCODES, TRY_CALLS, Opcode
from liftcheck.clif.types import Type

EXCEPTION_CONVS: Final = frozenset({"tail", "system_v", "winch", "preserve_all", "apple_aarch64"})
PAYLOAD_CONVS: Final = frozenset({"tail", "system_v", "preserve_all", "apple_aarch64"})
"""Conventions whose callees may throw, and those that hand two pointers to a handler."""
_BITCAST_FLAGS: Final = frozenset(MemFlags(endianness=e) for e in ("", "little", "big"))
_ADDRESS_OPERAND: Final = {"Load": 0, "LoadNoOffset": 0, "AtomicCas": 0, "AtomicRmw": 0, "Store": 1, "StoreNoOffset": 1}
_WITH_EDGES: Final = frozenset({"Jump", "Brif", "BranchTable", "TryCall", "TryCallIndirect"})


class InstVerifier:
    """Checks the instructions of one function whose blocks have the right shape."""

    def __init__(
        self, func: Function, cfg: Cfg, pointer: Type | None, settings: Mapping[str, str] | None, default_conv: str
    ) -> None:
        self.func = func
        self.cfg = cfg
        self.pointer = pointer
        self.settings = settings
        self.default_conv = default_conv
        self.defined: dict[int, tuple[int, int]] = {}
        self.entry = func.blocks[0].number if func.blocks else None
        for block in func.blocks:
            self.defined.update((value, (block.number, -1)) for value, _ in block.params)
            for place, inst in enumerate(block.insts):
                self.defined.update((value, (block.number, place)) for value in inst.results)
        self.by_format: dict[str, Callable[[Inst], Iterator[str]]] = {
            "MultiAry": self._return,
            "Call": self._call,
            "CallIndirect": self._call_indirect,
            "TryCall": self._try_call,
            "TryCallIndirect": self._try_call_indirect,
            "FuncAddr": self._func_ref,
            "StackAddr": self._stack_slot,
            "StackLoad": self._stack_slot,
            "StackStore": self._stack_slot,
            "UnaryConst": self._constant,
            "BinaryImm8": self._lane,
            "TernaryImm8": self._lane,
            "Shuffle": self._shuffle,
            "UnaryImm": self._iconst,
            "IntCompare": self._condition,
            "FloatCompare": self._condition,
            "AtomicRmw": self._condition,
            "ExceptionHandlerAddress": self._handler,
            "Trap": self._trap,
            "CondTrap": self._trap,
            "IntAddTrap": self._trap,
            "NullAry": self._setting,
            "Unary": self._setting,
            "Store": self._store,
        }

    def problems(self, block: Block, place: int, inst: Inst) -> Iterator[str]:
        """Everything that is wrong with the instruction at `place` of `block`."""
        opcode = OPCODES[inst.op]
        form = opcode.format
        if inst.op in DYNAMIC:
            yield "opcodes of dynamic vector types are for the parser alone"
            return
        fixed = len(opcode.args)
        if len(inst.args) < fixed or (form.values is not None and len(inst.args) != fixed):
            yield f"{len(inst.args)} operands, {fixed} expected"
            return
        if form.name in _WITH_EDGES:
            wrong = list(self._edges_exist(inst))
            if wrong:
                yield from wrong
                return
        unknown = [v for v in (*inst.args, *edge_values(inst)) if v not in self.defined]
        if unknown:
            yield from (f"undefined value v{v}" for v in unknown)
            return
        yield from self._dominance(block.number, place, inst)
        yield from self._typing(inst, opcode)
        check = self.by_format.get(form.name)
        if check is not None:
            yield from check(inst)
        if inst.op == "bitcast":
            yield from self._bitcast(inst)
        elif form.name in _ADDRESS_OPERAND:
            yield from self._address(inst, _ADDRESS_OPERAND[form.name])
        if inst.notes is not None and inst.notes[0] and not (opcode.is_call or inst.op == "sequence_point"):
            yield "debug tags belong to calls and sequence points"

    def _dominance(self, number: int, place: int, inst: Inst) -> Iterator[str]:
        if not self.cfg.is_reachable(number):
            return
        for value in (*inst.args, *edge_values(inst)):
            block, index = self.defined[value]
            if index >= place if block == number else not self.cfg.dominates(block, number):
                yield f"uses v{value}, whose definition does not dominate it"

    def _typing(self, inst: Inst, opcode: Opcode) -> Iterator[str]:
        types, ctrl = self.func.types, inst.type
        if opcode.infer_from is not None and opcode.results[:1] != ("T",):
            actual = types[inst.args[opcode.infer_from]]
            if actual is not ctrl:
                yield f"its type is {ctrl}, its operand's {actual}"
            ctrl = actual
        try:
            results, args = opcode.result_types(ctrl), opcode.arg_types(ctrl)
        except KeyError:
            yield f"{ctrl} is not a type for {inst.op}"
            return
        for place, (value, wanted) in enumerate(zip(inst.args, args)):
            ty = types[value]
            if ty is not wanted if isinstance(wanted, Type) else ty not in wanted:
                yield f"operand {place} (v{value}) has type {ty}" + (
                    f", expected {wanted}" if isinstance(wanted, Type) else ", which is not allowed"
                )
        if not opcode.is_call or inst.op == "stack_switch":
            yield from self._results(inst, results)

    def _results(self, inst: Inst, wanted: Sequence[Type]) -> Iterator[str]:
        if len(wanted) != len(inst.results):
            yield f"gives {len(wanted)} results, {len(inst.results)} are named"
        for value, ty in zip(inst.results, wanted):
            if self.func.types[value] is not ty:
                yield f"result v{value} has type {self.func.types[value]}, expected {ty}"

    # Edges

    def _edges_exist(self, inst: Inst) -> Iterator[str]:
        count = {"jump": 1, "brif": 2}.get(inst.op)
        if (count is not None and len(inst.targets) != count) or (inst.op == "br_table" and not inst.targets):
            yield f"{len(inst.targets)} targets"
        if inst.op in TRY_CALLS and inst.table is None:
            yield "no exception table"
        for call in edges(inst):
            if call.block not in self.cfg.blocks:
                yield f"undefined block{call.block}"
            elif call.block == self.entry:
                yield f"goes to the entry block{call.block}"
        if inst.table is None or inst.table.sig in self.func.signatures:
            for call in inst.targets:
                yield from self._edge(call, None)
            if inst.table is not None:
                yield from self._edge(inst.table.normal, self.func.signatures[inst.table.sig], "ret")
                for call in table_calls(inst.table)[:-1]:
                    yield from self._edge(call, self.func.signatures[inst.table.sig], "exn")

    def _edge(self, call: BlockCall, sig: Signature | None, kind: str = "") -> Iterator[str]:
        block = self.cfg.blocks.get(call.block)
        if block is None:
            return
        if len(call.args) != len(block.params):
            yield f"block{call.block} has {len(block.params)} parameters, {len(call.args)} arguments are given"
        for arg, (_, wanted) in zip(call.args, block.params):
            if isinstance(arg, int):
                actual = self.func.types.get(arg)
            else:
                actual = self._payload(arg, sig, kind)
                if actual is None and not self._is_pointer(arg, sig, kind):
                    yield f"{arg} has no meaning on this edge"
                    continue
            if actual is not None and actual is not wanted:
                yield f"argument {arg} of block{call.block} has type {actual}, expected {wanted}"

    def _payload(self, arg: str, sig: Signature | None, kind: str) -> Type | None:
        """The type of `ret0` or `exn1` on an edge of that kind, None if it has none there."""
        if sig is None or arg[:3] != kind or not arg[3:].isdigit():
            return None
        place = int(arg[3:])
        if kind == "ret":
            return sig.returns[place].type if place < len(sig.returns) else None
        return self.pointer if self._is_pointer(arg, sig, kind) else None

    def _is_pointer(self, arg: str, sig: Signature | None, kind: str) -> bool:
        """Is this a payload that the convention hands to a handler (or could be, if no ISA is given)?"""
        return (
            sig is not None
            and arg[:3] == kind == "exn"
            and (self.pointer is None or (int(arg[3:]) < 2 and self._conv(sig) in PAYLOAD_CONVS))
        )

    # Calls

    def _conv(self, sig: Signature) -> str:
        return sig.call_conv or self.default_conv

    def _arguments(self, values: Sequence[int], sig: Signature) -> Iterator[str]:
        if len(values) != len(sig.params):
            yield f"{len(values)} arguments, the signature has {len(sig.params)}"
        for value, param in zip(values, sig.params):
            if self.func.types[value] is not param.type:
                yield f"argument v{value} has type {self.func.types[value]}, expected {param.type}"

    def _return(self, inst: Inst) -> Iterator[str]:
        yield from self._returned([self.func.types[v] for v in inst.args], "values")

    def _returned(self, kinds: Sequence[Type], what: str) -> Iterator[str]:
        wanted = [p.type for p in self.func.signature.returns]
        if list(kinds) != wanted:
            given, expected = (", ".join(map(str, side)) for side in (kinds, wanted))
            yield f"returns {what} of types ({given}), the signature has ({expected})"

    def _callee(self, inst: Inst) -> Signature | None:
        ref = self.func.func_refs.get(inst.imm)  # type: ignore[call-overload]
        return None if ref is None else self.func.signatures.get(ref.sig)

    def _func_ref(self, inst: Inst) -> Iterator[str]:
        if inst.imm not in self.func.func_refs:
            yield f"undefined function fn{inst.imm}"

    def _call(self, inst: Inst) -> Iterator[str]:
        sig = self._callee(inst)
        if sig is None:
            yield f"undefined function fn{inst.imm}"
            return
        yield from self._patchable(inst, sig)
        yield from self._call_to(inst, sig, inst.args)

    def _call_indirect(self, inst: Inst) -> Iterator[str]:
        sig = self.func.signatures.get(inst.imm)  # type: ignore[call-overload]
        if sig is None:
            yield f"undefined signature sig{inst.imm}"
            return
        yield from self._call_to(inst, sig, inst.args[1:])

    def _call_to(self, inst: Inst, sig: Signature, args: Sequence[int]) -> Iterator[str]:
        yield from self._arguments(args, sig)
        if not OPCODES[inst.op].is_return:
            yield from self._results(inst, [p.type for p in sig.returns])
            return
        if self._conv(sig) != "tail":
            yield f"calling convention {self._conv(sig)} does not support tail calls"
        if self._conv(sig) != self._conv(self.func.signature):
            yield "the callee's calling convention is not the caller's"
        yield from self._returned([p.type for p in sig.returns], "results of the callee")

    def _patchable(self, inst: Inst, sig: Signature) -> Iterator[str]:
        ref = self.func.func_refs[inst.imm]  # type: ignore[index]
        if ref.patchable and (inst.op == "return_call" or not ref.colocated or sig.returns):
            yield "a patchable callee must be colocated, return nothing and not be tail-called"

    def _try_call(self, inst: Inst) -> Iterator[str]:
        sig = self._callee(inst)
        table = inst.table
        assert table is not None
        if sig is None:
            yield f"undefined function fn{inst.imm}"
            return
        yield from self._throwing(table, inst.args)
        declared = self.func.signatures.get(table.sig)
        if declared is not None and self._explicit(declared) != self._explicit(sig):
            yield f"the exception table's signature sig{table.sig} is not that of fn{inst.imm}"

    def _explicit(self, sig: Signature) -> Signature:
        return sig._replace(call_conv=self._conv(sig))

    def _try_call_indirect(self, inst: Inst) -> Iterator[str]:
        assert inst.table is not None
        yield from self._throwing(inst.table, inst.args[1:])

    def _throwing(self, table: ExceptionTable, args: Sequence[int]) -> Iterator[str]:
        sig = self.func.signatures.get(table.sig)
        if sig is None:
            yield f"undefined signature sig{table.sig}"
            return
        if self._conv(sig) not in EXCEPTION_CONVS:
            yield f"calling convention {self._conv(sig)} does not support exceptions"
        yield from self._arguments(args, sig)

    # Immediates and flags

    def _stack_slot(self, inst: Inst) -> Iterator[str]:
        if inst.imm not in self.func.stack_slots:
            yield f"undefined stack slot ss{inst.imm}"

    def _constant(self, inst: Inst) -> Iterator[str]:
        data = self.func.constants.get(inst.imm)  # type: ignore[call-overload]
        size = 16 if inst.type is None else inst.type.bytes
        if data is None:
            yield f"undefined constant const{inst.imm}"
        elif len(data) != size:
            yield f"const{inst.imm} has {len(data)} bytes, expected {size}"

    def _lane(self, inst: Inst) -> Iterator[str]:
        lanes = self.func.types[inst.args[0]].lanes
        if not isinstance(inst.imm, int) or not 0 <= inst.imm < lanes:
            yield f"there is no lane {inst.imm} of {lanes}"

    def _shuffle(self, inst: Inst) -> Iterator[str]:
        mask = inst.imm
        if not isinstance(mask, tuple) or len(mask) != 16 or not all(0 <= lane < 32 for lane in mask):
            yield "a shuffle mask has 16 lane numbers from 0 to 31"

    def _iconst(self, inst: Inst) -> Iterator[str]:
        if not isinstance(inst.imm, int):
            yield f"the constant is {inst.imm!r}"

    def _trap(self, inst: Inst) -> Iterator[str]:
        if not isinstance(inst.imm, str) or trap_code(inst.imm) != inst.imm:
            yield f"{inst.imm!r} is not a trap code"

    def _condition(self, inst: Inst) -> Iterator[str]:
        known = {"icmp": INT_CONDITIONS, "fcmp": FLOAT_CONDITIONS, "atomic_rmw": ATOMIC_OPERATIONS}[inst.op]
        if inst.imm not in known:
            yield f"unknown condition or operation {inst.imm!r}"

    def _handler(self, inst: Inst) -> Iterator[str]:
        number, index = inst.imm if isinstance(inst.imm, tuple) else (None, None)
        block = self.cfg.blocks.get(number) if isinstance(number, int) else None
        table = block.insts[-1].table if block is not None and block.insts else None
        if block is None or number == self.entry:
            yield f"block{number} is undefined or the entry block"
        elif table is None:
            yield f"block{number} does not end in a try_call"
        elif not isinstance(index, int) or not 0 <= index < len(table_calls(table)) - 1:
            yield f"exception handler index {index} is out of range"

    def _setting(self, inst: Inst) -> Iterator[str]:
        if self.settings is None:
            return
        wanted = {
            "get_pinned_reg": "enable_pinned_reg",
            "set_pinned_reg": "enable_pinned_reg",
            "get_frame_pointer": "preserve_frame_pointers",
            "get_return_address": "preserve_frame_pointers",
        }.get(inst.op)
        if wanted is not None and self.settings.get(wanted, "false") not in ("true", "1", "on", "yes"):
            yield f"needs the setting {wanted}"

    def _store(self, inst: Inst) -> Iterator[str]:
        if inst.flags.readonly:
            yield "a store cannot be readonly"

    def _address(self, inst: Inst, place: int) -> Iterator[str]:
        ty = self.func.types[inst.args[place]]
        if self.pointer is not None and ty.bits != self.pointer.bits:
            yield f"the address v{inst.args[place]} has {ty.bits} bits, a pointer {self.pointer.bits}"

    def _bitcast(self, inst: Inst) -> Iterator[str]:
        source, ty = self.func.types[inst.args[0]], inst.type
        assert ty is not None
        if source.bits != ty.bits:
            yield f"bitcast from {source.bits} to {ty.bits} bits"
        elif inst.flags not in _BITCAST_FLAGS:
            yield "bitcast takes only the flags 'little' and 'big'"
        elif not inst.flags.endianness and source.lanes != ty.lanes:
            yield "bitcast between different lane counts needs 'little' or 'big'"
