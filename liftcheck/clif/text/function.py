"""One function of CLIF text to IR: header, declarations, blocks, statements.

The one idea: statement by statement; one that is wrong becomes a diagnostic, its values count as defined, and reading
goes on at the next line, so that one run collects all of a function's errors and none of them twice. References to what
comes later are settled at the end. It knows nothing of files (`parser`).
Sources: cranelift-reader 0.135 and 0.130 `parser.rs`.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import Final

from liftcheck.clif.cfg import edge_values
from liftcheck.clif.ir import Block, BlockCall, ExceptionTable, Function, Inst, Signature
from liftcheck.clif.opcodes import DYNAMIC, OPCODES, Opcode
from liftcheck.clif.text.filetest import TestFunction
from liftcheck.clif.text.instructions import READERS
from liftcheck.clif.text.lexer import END, Cursor, Declared, Fault
from liftcheck.clif.text.notes import debug_tags, source_location, stack_map
from liftcheck.clif.text.preamble import DYNAMIC_TYPES, Refused, preamble, signature, skip_fact, user_name
from liftcheck.clif.types import DYNAMIC_BITS, Type
from liftcheck.errors import Diagnostic

MAX_ERRORS: Final = 100
MAX_BLOCK: Final = 100_000

_STATIC: Final = {
    "dynamic_stack_addr": "stack_addr",
    "dynamic_stack_load": "stack_load",
    "dynamic_stack_store": "stack_store",
}


def _without_dynamic_types(inst: Inst, func: Function) -> Opcode:
    """An opcode of the dynamic vector types in terms of vectors and slots of 128 bits, which they are."""
    if inst.op == "extract_vector":
        inst.op, inst.args, inst.imm = "bor", (inst.args[0], inst.args[0]), None
    elif inst.op == "global_value":
        assert isinstance(inst.imm, int)
        kind, *base = func.globals[inst.imm]
        if kind == "dynamic_scale":
            assert isinstance(base[0], Type)
            inst.op, inst.imm = "iconst", DYNAMIC_BITS // base[0].bits
    else:
        inst.op = _STATIC[inst.op]
    return OPCODES[inst.op]


class _Known(Fault):
    """A consequence of an error that was already reported."""


class FunctionReader:
    """Reads one function from a cursor; diagnostics go to `errors`."""

    def __init__(self, cursor: Cursor, errors: list[Diagnostic]) -> None:
        self.p = cursor
        self.errors = errors
        self.broken: set[int] = set()
        self.block: Block | None = None
        self.blocks: set[int] = set()
        self.func: Function
        self.explicit: list[Inst] = []

    def read(self) -> TestFunction | None:
        """The function, or None if not even its header can be read."""
        p, count = self.p, len(self.errors)
        start = p.index
        p.dynamic_types = {}
        try:
            self._header()
        except Fault as fault:
            self._report(fault)
            self._skip_function()
            return None
        except Refused:
            self._skip_function()
            return None
        refused = ""
        try:
            self._declarations()
            self._body()
            p.take("}", "after the function body")
            self._finish()
        except Fault as fault:
            self._report(fault)
            self._skip_function()
        except Refused as refusal:
            refused = refusal.reason
            self._skip_function()
        failed = refused or len(self.errors) > count
        test = TestFunction(
            self.func.name,
            self.func.signature,
            None if failed else self.func,
            p.line_of[start],
            refused=refused or ("" if not failed else "syntax errors"),
        )
        test.annotations.extend(self._comments(start))
        if not failed:
            self.func.annotations = list(test.annotations)
        return test

    def _comments(self, start: int) -> list[tuple[int, str]]:
        """Comments from the function's first line up to the next function (or the end)."""
        p = self.p
        first = bisect_left(p.comments, (p.line_of[start], ""))
        last = bisect_left(p.comments, (p.line(), "")) if p.tokens[p.index] != END else len(p.comments)
        return p.comments[first:last]

    def _report(self, fault: Fault) -> None:
        if not isinstance(fault, _Known):
            self.errors.append(self.p.diagnostic(fault))

    def _skip_function(self) -> None:
        """Go after the next `}`, or to the end."""
        p = self.p
        while p.tokens[p.index] not in ("}", END, "function"):
            p.index += 1
        p.optional("}")

    def _header(self) -> None:
        p = self.p
        line = p.line()
        if p.tokens[p.index] != "function":
            p.fail(f"expected 'function', found {p.found()}")
        p.index += 1
        name = p.tokens[p.index]
        if name[:1] == "%":
            p.index += 1
        else:
            name = user_name(p, "a function name (%name or u0:0)")
        self.func = Function(name, signature(p), line=line)
        p.declared = Declared()
        p.take("{", "before the function body")

    def _declarations(self) -> None:
        more = True
        while more:
            start = self.p.index
            try:
                more = preamble(self.p, self.func)
            except Fault as fault:
                self._recover(fault, start)

    def _recover(self, fault: Fault, start: int) -> None:
        """Report, and go on at the next line; the values of the skipped text count as defined."""
        p = self.p
        self._report(fault)
        if len(self.errors) >= MAX_ERRORS:
            raise _Known("too many errors", fault.index)
        if p.line_of[fault.index] > p.line_of[start]:
            p.index = fault.index
            while p.line_of[p.index - 1] == p.line_of[fault.index]:
                p.index -= 1
        else:
            p.skip_line(fault.index)
        for token in p.tokens[start : p.index]:
            if token in p.values:
                self.broken.add(p.values[token])

    def _body(self) -> None:
        p, tokens = self.p, self.p.tokens
        while True:
            start = p.index
            token = tokens[start]
            if token in ("}", END, "function"):
                return
            try:
                if token[:5] == "block" and p.entity_number(token, "block") is not None:
                    self._block_header()
                elif self.block is None:
                    p.fail(f"expected a block, found {p.found()}")
                else:
                    self._statement(self.block)
            except Fault as fault:
                self._recover(fault, start)

    def _block_header(self) -> None:
        p, func = self.p, self.func
        line = p.line()
        number = p.entity("block", "a block")
        if number in self.blocks:
            p.fail(f"duplicate entity: block{number}", p.index - 1)
        if number >= MAX_BLOCK:
            p.fail(f"too many blocks: numbers end at {MAX_BLOCK - 1}", p.index - 1)
        self.blocks.add(number)
        self.block = Block(number, line=line)
        func.blocks.append(self.block)
        if p.optional("(") and not p.optional(")"):
            self._block_param(self.block)
            while p.optional(","):
                self._block_param(self.block)
            p.take(")", "after block parameters")
        self.block.cold = p.optional("cold")
        p.take(":", "after the block header")

    def _block_param(self, block: Block) -> None:
        p = self.p
        at = p.index
        value = p.value("a block parameter")
        skip_fact(p)
        p.take(":", "after the block parameter")
        if p.entity_number(p.tokens[p.index], "dt") is not None:
            raise Refused(DYNAMIC_TYPES)
        ty = p.type("a type")
        self._define(value, ty, at)
        block.params.append((value, ty))

    def _define(self, value: int, ty: Type, at: int) -> None:
        if value in self.func.types:
            self.p.fail(f"duplicate entity: v{value}", at)
        self.func.types[value] = ty

    # Statements

    def _statement(self, block: Block) -> None:
        p = self.p
        tokens, start = p.tokens, p.index
        tags = debug_tags(p) if tokens[start] == "<" else ""
        loc = source_location(p) if tokens[p.index][:1] == "@" else None
        results: tuple[int, ...] = ()
        first = p.index
        if p.at_value():
            results = self._results()
            if tokens[p.index] == "->":
                self._alias(results, first)
                return
            p.take("=", "or '->' after the results")
        inst = self._instruction(results, first)
        inst.line = p.line_of[first]
        inst.loc = loc
        kept = stack_map(p, inst) if tokens[p.index] == "," else ""
        if tags or kept:
            inst.notes = (tags, kept)
        block.insts.append(inst)

    def _results(self) -> tuple[int, ...]:
        p = self.p
        value = p.value()
        skip_fact(p)
        if p.tokens[p.index] != ",":
            return (value,)
        found = [value]
        while p.optional(","):
            found.append(p.value("a result"))
            skip_fact(p)
        return tuple(found)

    def _alias(self, results: tuple[int, ...], at: int) -> None:
        p, func = self.p, self.func
        p.index += 1
        if len(results) != 1:
            p.fail("an alias has one name", at)
        alias, target = results[0], p.value()
        if alias in func.aliases:
            if func.aliases[alias] != target:
                p.fail(f"v{alias} is already an alias of v{func.aliases[alias]}", at)
            return
        if target == alias:
            p.fail(f"alias cycle involving v{alias}", at)
        if target not in func.types:
            if target in self.broken:
                raise _Known("", p.index)
            p.fail(f"v{target} is not yet defined", p.index - 1)
        self._define(alias, func.types[target], at)
        func.aliases[alias] = target

    def _instruction(self, results: tuple[int, ...], at: int) -> Inst:
        p, types = self.p, self.func.types
        where = p.index
        opcode = OPCODES.get(p.tokens[where])
        if opcode is None:
            p.fail(f"unknown opcode {p.found()}" if p.is_word() else f"expected an opcode, found {p.found()}")
        p.index = where + 1
        ty = None
        if p.tokens[where + 1] == ".":
            ty = self._suffix()
        inst = READERS[opcode.format.name](p, self.func, opcode, ty)
        if opcode.name in DYNAMIC or opcode.name == "global_value":
            if inst.imm and opcode.name == "extract_vector":
                p.fail("a dynamic vector has one vector of 128 bits here: only number 0 can be extracted", where)
            opcode = _without_dynamic_types(inst, self.func)
        expected = self._result_types(inst, opcode, ty, where)
        if len(expected) != len(results):
            p.fail(f"{opcode.name} gives {len(expected)} results, {len(results)} are named", at)
        for value, result_type in zip(results, expected):
            if value in types:
                p.fail(f"duplicate entity: v{value}", at)
            types[value] = result_type
        inst.results = results
        return inst

    def _suffix(self) -> Type:
        p = self.p
        p.index += 1
        dynamic = p.dynamic_types.get(p.tokens[p.index])
        if dynamic is None:
            return p.type("a type after the opcode")
        p.index += 1
        return dynamic

    def _result_types(self, inst: Inst, opcode: Opcode, ty: Type | None, where: int) -> tuple[Type, ...]:
        """Settle the controlling type of `inst`; the types of its results."""
        p = self.p
        if opcode.ctrl:
            if ty is None:
                ty = inst.type = self._infer(inst, opcode, where)
            elif opcode.infer_from is not None:
                self.explicit.append(inst)
            if ty not in opcode.ctrl:
                p.fail(f"{ty.name} is not a type for {opcode.name}", where)
        elif ty is not None:
            p.fail(f"{opcode.name} does not take a type", where)
        if opcode.is_call and not opcode.terminator and opcode.name != "stack_switch":
            return tuple(r.type for r in self._callee(inst).returns)
        try:
            return opcode.result_types(ty)
        except KeyError as error:
            p.fail(f"{opcode.name}.{ty} has no result type: there is no {error.args[0]}", where)

    def _callee(self, inst: Inst) -> Signature:
        assert isinstance(inst.imm, int)
        number = self.func.func_refs[inst.imm].sig if inst.op == "call" else inst.imm
        return self.func.signatures[number]

    def _infer(self, inst: Inst, opcode: Opcode, where: int) -> Type:
        p = self.p
        example = f"e.g. '{opcode.name}.{min(opcode.ctrl, key=lambda t: abs(t.bits - 32)).name}'"
        if opcode.infer_from is None:
            p.fail(f"{opcode.name} needs a type, {example}", where)
        value = inst.args[opcode.infer_from]
        ty = self.func.types.get(value)
        if ty is None:
            if value in self.broken:
                raise _Known("", where)
            p.fail(f"{opcode.name} needs a type, {example}: v{value} is not yet defined", where)
        return ty

    # When all is read

    def _finish(self) -> None:
        """References to later values and aliases are resolved; types that operands tell replace the text's."""
        func, types = self.func, self.func.types
        for block in func.blocks:
            for inst in block.insts:
                for value in inst.args:
                    if value not in types:
                        self._undefined(value, inst)
                if inst.targets or inst.table is not None:
                    for value in edge_values(inst):
                        if value not in types:
                            self._undefined(value, inst)
        if func.aliases:
            _resolve_aliases(func)
        for inst in self.explicit:
            opcode = OPCODES[inst.op]
            if opcode.infer_from is not None and opcode.results[:1] != ("T",):
                inst.type = types.get(inst.args[opcode.infer_from], inst.type)

    def _undefined(self, value: int, inst: Inst) -> None:
        if value not in self.broken and len(self.errors) < MAX_ERRORS:
            self.broken.add(value)
            self.errors.append(self.p.place_of(inst.line, f"v{value}", f"undefined value v{value}"))


def _resolve_aliases(func: Function) -> None:
    """Replace aliases in all operands by what they stand for."""
    final: dict[int, int] = {}
    for alias, target in func.aliases.items():
        final[alias] = final.get(target, target)

    def call(edge: BlockCall) -> BlockCall:
        return BlockCall(edge.block, tuple(final.get(a, a) if isinstance(a, int) else a for a in edge.args))

    def item(entry: tuple[object, ...]) -> tuple[object, ...]:
        return tuple(
            call(x)
            if isinstance(x, BlockCall)
            else final.get(x, x)
            if entry[0] == "context" and isinstance(x, int)
            else x
            for x in entry
        )

    for block in func.blocks:
        for inst in block.insts:
            inst.args = tuple(final.get(a, a) for a in inst.args)
            inst.targets = tuple(map(call, inst.targets))
            if inst.table is not None:
                inst.table = ExceptionTable(inst.table.sig, call(inst.table.normal), tuple(map(item, inst.table.items)))
