"""Is a function well-formed? Finds what Cranelift's verifier finds, and what a broken tree can have in addition.

The one idea: `verify` gives all findings as diagnostics and an empty list means that the compiler's reader and verifier
take the printed text. Function-wide rules are here, those of single instructions in `verify_insts.py`.

Where it differs from upstream on purpose (`DIFFERENCES` says so by name, tests hold the two against each other):
references to undeclared global values in a declaration or `stack_limit` are errors here, upstream fails later. A tree
can contradict itself where its text cannot (an `Inst.type` that is not its operand's, a stale entry in `types`, an
alias as an operand): errors here.
Source: cranelift-codegen 0.135 `verifier/mod.rs`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Final

from liftcheck.clif.cfg import Cfg
from liftcheck.clif.ir import Block, Function, Inst, MemFlags, Module
from liftcheck.clif.opcodes import OPCODES
from liftcheck.clif.types import I32, I64, Type
from liftcheck.clif.verify_insts import InstVerifier
from liftcheck.errors import Diagnostic

DIFFERENCES: Final = {
    "undeclared global": "a declaration that refers to an undeclared global value: error here, later panic upstream",
    "older dialect": "opcodes, trap codes, flags, conventions of older versions: accepted here, unknown to the newest",
    "wide vectors": "vector types of more than 512 bits: unknown here, accepted upstream (no backend has them)",
    "multi-line string": "a quoted string with a line break: error here",
    "junk in run lines": "a character that begins no token in a run line: error here, skipped in places upstream",
    "huge numbers": "value and entity numbers that make upstream allocate gigabytes: accepted here",
}
"""All known differences between parse + verify here and reader + verifier upstream, with what each side does."""


def verify(
    subject: Module | Function,
    isa: str | None = None,
    settings: Mapping[str, str] | None = None,
    default_conv: str = "fast",
    file: str = "<input>",
) -> list[Diagnostic]:
    """All that is wrong. `isa` decides how wide pointers are (None: not checked), `settings` about pinned register and
    frame pointer opcodes (None: allowed); `default_conv` is what a signature without a convention means."""
    functions = subject.functions if isinstance(subject, Module) else [subject]
    pointer = None if isa is None else I32 if isa.startswith("pulley32") else I64
    found: list[Diagnostic] = []
    for func in functions:
        found += _Verifier(func, pointer, settings, default_conv, file).run()
    return found


class _Verifier:
    """Verifies one function; findings collect in `found`."""

    def __init__(
        self, func: Function, pointer: Type | None, settings: Mapping[str, str] | None, default_conv: str, file: str
    ) -> None:
        self.func = func
        self.pointer = pointer
        self.settings = settings
        self.default_conv = default_conv
        self.file = file
        self.found: list[Diagnostic] = []
        self.regions = {entity for entity, _ in func.preamble if entity.startswith("region")}
        self.cyclic = _cyclic(func.globals)

    def report(self, message: str, line: int = 0, source: str = "") -> None:
        self.found.append(
            Diagnostic(
                self.file,
                line or self.func.line,
                1 if line or self.func.line else 0,
                f"{self.func.name}: {message}",
                source,
            )
        )

    def run(self) -> list[Diagnostic]:
        self._globals()
        self._regions()
        self._entry()
        self._signatures()
        if self._shape():
            self._instructions()
        return self.found

    # Declarations

    def _globals(self) -> None:
        for number, parsed in self.func.globals.items():
            for problem in self._global_problems(number, parsed):
                self.report(f"gv{number}: {problem}")

    def _global_problems(self, number: int, parsed: tuple[object, ...]) -> Iterator[str]:
        globals_ = self.func.globals
        if parsed[0] == "vmctx" and not any(p.purpose == "vmctx" for p in self.func.signature.params):
            yield "vmctx, but no parameter is declared so"
        if parsed[0] not in ("load", "iadd_imm"):
            return
        base, kind = parsed[1], parsed[3]
        if not isinstance(base, int) or base not in globals_:
            yield f"refers to gv{base}, which is not declared"
        elif number in self.cyclic:
            yield "a cycle of global values"
        else:
            yield from self._base_problems(str(parsed[0]), kind, self.global_type(globals_[base]))
        if parsed[0] == "load" and isinstance(parsed[4], MemFlags) and not self.region_known(parsed[4].region):
            yield f"undefined alias region {parsed[4].region}"

    def _base_problems(self, form: str, kind: object, base_type: Type | None) -> Iterator[str]:
        if form == "iadd_imm" and not (isinstance(kind, Type) and kind.is_int and not kind.is_vector):
            yield f"iadd_imm of type {kind}"
        elif form == "iadd_imm" and self.pointer is not None and kind is not base_type:
            yield f"iadd_imm of type {kind} on a base of type {base_type}"
        elif form == "load" and base_type is not self.pointer and self.pointer is not None:
            yield f"its base has type {base_type}, which is not the pointer type"

    def global_type(self, parsed: tuple[object, ...]) -> Type | None:
        """The type of a global value's address or content; None: a pointer, whose width is not known."""
        kind = parsed[3] if parsed[0] in ("load", "iadd_imm") else self.pointer
        return kind if isinstance(kind, Type) else None

    def region_known(self, region: str) -> bool:
        """Is an access's alias region declared (the older dialect's have names and need not be)?"""
        return not region.startswith("region") or region in self.regions

    def _regions(self) -> None:
        users = Counter(text.split(" ", 1)[0] for entity, text in self.func.preamble if entity.startswith("region"))
        for user, count in users.items():
            if count > 1:
                self.report(f"{count} alias regions have the number {user}")
        for entity, text in self.func.preamble:
            if entity == "stack_limit" and text not in {f"gv{number}" for number in self.func.globals}:
                self.report(f"the stack limit {text} is not declared")

    def _entry(self) -> None:
        if not self.func.blocks:
            return
        entry, params = self.func.blocks[0], self.func.signature.params
        if entry.cold:
            self.report("the entry block cannot be cold", entry.line)
        if len(entry.params) != len(params):
            self.report(f"the entry block has {len(entry.params)} parameters, the signature {len(params)}", entry.line)
        for (value, ty), param in zip(entry.params, params):
            if ty is not param.type:
                self.report(f"entry block parameter v{value} has type {ty}, the signature {param.type}", entry.line)

    def _signatures(self) -> None:
        sig = self.func.signature
        for side, params in (("parameter", sig.params), ("return value", sig.returns)):
            for place, param in enumerate(params):
                if side != "parameter" and param.purpose.startswith("sarg"):
                    self.report(f"return value {place} cannot be a struct argument")
                if param.extension and (param.type.is_float or param.type.is_vector):
                    self.report(f"{side} {place} of type {param.type} cannot be extended")
        for name, signature in [("the function", sig), *((f"sig{n}", s) for n, s in self.func.signatures.items())]:
            if signature.call_conv == "preserve_all" and signature.returns:
                self.report(f"{name}: a preserve_all signature cannot have return values")
        for number, ref in self.func.func_refs.items():
            if ref.sig not in self.func.signatures:
                self.report(f"fn{number}: undefined signature sig{ref.sig}")

    # Blocks

    def _shape(self) -> bool:
        """Blocks are not empty and end with their only terminator; everything is defined once. False: stop here."""
        before = len(self.found)
        numbers = Counter(block.number for block in self.func.blocks)
        for number, count in numbers.items():
            if count > 1:
                self.report(f"block{number} is defined {count} times")
        defined: set[int] = set()
        for block in self.func.blocks:
            self._block_shape(block)
            self._definitions(block, defined)
        return len(self.found) == before

    def _block_shape(self, block: Block) -> None:
        if not block.insts:
            self.report(f"block{block.number} cannot be empty", block.line)
        for inst in block.insts:
            opcode = OPCODES.get(inst.op)
            if opcode is None:
                self.report(f"unknown opcode {inst.op}", inst.line)
            elif opcode.terminator != (inst is block.insts[-1]):
                self.report(
                    f"{inst.op} ends block{block.number} before its end"
                    if opcode.terminator
                    else f"block{block.number} does not end in a terminator",
                    inst.line,
                )

    def _definitions(self, block: Block, defined: set[int]) -> None:
        types = self.func.types
        for value, ty in block.params:
            if value in defined or types.get(value) is not ty:
                self.report(f"parameter v{value} is defined twice, or has another type elsewhere", block.line)
            defined.add(value)
        for inst in block.insts:
            for value in inst.results:
                if value in defined or value not in types:
                    self.report(f"v{value} is defined twice, or has no type", inst.line)
                defined.add(value)

    def _instructions(self) -> None:
        verifier = InstVerifier(self.func, Cfg(self.func), self.pointer, self.settings, self.default_conv)
        for block in self.func.blocks:
            for place, inst in enumerate(block.insts):
                for problem in verifier.problems(block, place, inst):
                    self.report(f"{_shown(inst)}: {problem}", inst.line)
                for problem in self._references(inst):
                    self.report(f"{_shown(inst)}: {problem}", inst.line)

    def _references(self, inst: Inst) -> Iterator[str]:
        if not self.region_known(inst.flags.region):
            yield f"undefined alias region {inst.flags.region}"
        if OPCODES[inst.op].format.name == "UnaryGlobalValue":
            parsed = self.func.globals.get(inst.imm)  # type: ignore[call-overload]
            if parsed is None:
                yield f"undefined global value gv{inst.imm}"
            elif self.pointer is not None and self.global_type(parsed) is not inst.type:
                yield f"gv{inst.imm} has type {self.global_type(parsed)}"


def _cyclic(declared: Mapping[int, tuple[object, ...]]) -> set[int]:
    """The global values whose chain of bases does not end; each is walked over once."""
    done: set[int] = set()
    found: set[int] = set()
    for number in declared:
        path: dict[int, None] = {}
        current: object = number
        while (
            isinstance(current, int)
            and current not in done
            and current not in path
            and declared.get(current, ("",))[0] in ("load", "iadd_imm")
        ):
            path[current] = None
            current = declared[current][1]
        done.update(path)
        if current in path or current in found:
            found.update(path)
    return found


def _shown(inst: Inst) -> str:
    results = ", ".join(f"v{v}" for v in inst.results)
    kind = f".{inst.type.name}" if inst.type is not None else ""
    return f"{results} = {inst.op}{kind}" if results else f"{inst.op}{kind}"
