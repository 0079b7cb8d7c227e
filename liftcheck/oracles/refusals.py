"""Whether a compiler's refusal is a gap in what it has, or a bug: a wrong refusal.

The one idea: a gap is refused for itself. Every instruction of a refused program is compiled alone at opt_level=none,
its operands parameters (or, where a signature cannot carry them, loaded), its flags, lanes and conditions kept; so are
the program's own signature and its types. If one of them is refused for the reason that the program was, the compiler
simply lacks it. If none is, the compiler has all that the program holds and yet has no code for the program: its
optimizer made an instruction that nothing lowers, or two of its rules do not fit together. That is a finding, of kind
`WRONG`, whether another level compiles the program or not; the message says which do. An instruction that is lacking
for another reason leaves the question open where no level compiles the program: then it stays a refusal.

Limits of the compiler (code too large) are not bugs, and what its reader refuses is not a refusal. Nor is it one of the
program if the program, printed anew, compiles for the same target: then the text had what the model has not (dynamic
vector types, which are vectors of 128 bits here).
It counts nothing (`differential.py`, `oracles/filetests/runs.py`).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from liftcheck.case import CompileFailure, Target
from liftcheck.clif.build import signature
from liftcheck.clif.ir import AbiParam, Block, BlockCall, ExceptionTable, Function, Inst, Module, Signature
from liftcheck.clif.opcodes import EXITS
from liftcheck.clif.text.printer import print_function, print_module
from liftcheck.clif.types import I8, I64, Type
from liftcheck.compilers.base import Reply, UnknownSetting
from liftcheck.compilers.matrix import LEVELS
from liftcheck.errors import Unsupported

Compile = Callable[[str, Sequence[Target]], list[list[Reply]]]
"""Text and targets to replies by target and function."""

WRONG: Final = "refusal"
"""`CompileFailure.kind` of a wrong refusal."""
LIMIT: Final = "a limit of the compiler"
_KEPT: Final = 20_000
"""Answers that are kept."""
_WHOLE: Final = frozenset({"jump", "get_exception_handler_address"})
"""Not compiled alone: a jump is in every program, and the address of a handler means nothing without its call."""

_OF_CONTEXT: Final = ("gv", "stack_limit")
"""Declarations that may hang on a context."""


class Refusals:
    """Judges refusals of one compiler; keeps what it asked."""

    def __init__(self, ask: Compile) -> None:
        self.ask: Final = ask
        self._alone: dict[tuple[str, Target], str] = {}

    def judged(self, module: Module, target: Target, failure: CompileFailure) -> CompileFailure:
        """The refusal of a module's function for `target`; of kind `WRONG` if it is the compiler's bug."""
        if failure.kind != "unsupported" or failure.reason.startswith(LIMIT):
            return failure
        try:
            lacking = self.lacking(module, target)
        except (UnknownSetting, Unsupported):  # the target itself is refused
            return failure
        if failure.reason in lacking or self.compiles(module, target):
            return failure
        compiled = [level for level in LEVELS if self.compiles(module, at_level(target, level))]
        if not compiled and lacking:
            return failure
        other = f"With opt_level={' and '.join(compiled)} it compiles" if compiled else "No level compiles it"
        words = failure.message or failure.reason
        message = f"{words}\n\n{other}, and {target.isa} has each of its instructions alone."
        return dataclasses.replace(failure, kind=WRONG, message=message)

    def compiled_elsewhere(self, module: Module, target: Target) -> Target | None:
        """The nearest target that compiles a module: at another level, or without one setting that is not an
        extension."""
        others = [at_level(target, level) for level in LEVELS if ("opt_level", level) not in target.settings]
        others += [
            Target(target.isa, tuple(s for s in target.settings if s != dropped))
            for dropped in target.settings
            if not dropped[0].startswith(("has_", "opt_level"))
        ]
        return next((other for other in others if self.compiles(module, other)), None)

    def compiles(self, module: Module, target: Target) -> bool:
        """Whether all functions of a module are compiled."""
        return not any(isinstance(reply, CompileFailure) for reply in self.ask(print_module(module), [target])[0])

    def lacking(self, module: Module, target: Target) -> frozenset[str]:
        """The reasons why instructions of a module, or its signatures, are refused alone."""
        if len(self._alone) > _KEPT:  # before it is known what is missing
            self._alone.clear()
        plain = at_level(target, "none")
        pairs = list(dict.fromkeys(pair for function in module.functions for pair in _alone(function)))
        missing = [
            text
            for text in dict.fromkeys(text for pair in pairs for text in pair)
            if text and (text, plain) not in self._alone
        ]
        if missing:
            for text, reply in zip(missing, self.ask("\n".join(missing), [plain])[0], strict=True):
                self._alone[text, plain] = reply.reason if isinstance(reply, CompileFailure) else ""
        reasons: set[str] = set()
        for pair in pairs:
            refused = [self._alone.get((text, plain), "") for text in pair if text]
            if all(refused):
                reasons.update(refused)
        return frozenset(reasons)


def at_level(target: Target, level: str) -> Target:
    """The target at another optimization level."""
    kept = tuple(setting for setting in target.settings if setting[0] != "opt_level")
    return Target(target.isa, tuple(sorted((*kept, ("opt_level", level)))))


def _alone(function: Function) -> Iterator[tuple[str, str]]:
    """For each instruction and type of a function the texts of two functions that hold it alone: operands and results
    in the signature, and in memory ('' where that cannot be)."""
    yield print_function(_signature_alone(function)), ""
    for ty in dict.fromkeys(function.types.values()):
        passed, moved = _type_alone(ty)
        yield print_function(passed), print_function(moved)
    for block in function.blocks:
        for inst in block.insts:
            if inst.op not in _WHOLE:
                through = "" if inst.op in EXITS else print_function(_in_memory(function, inst))
                yield print_function(in_signature(function, inst)), through


def _signature_alone(function: Function) -> Function:
    params = [(n, param.type) for n, param in enumerate(function.signature.params)]
    body = [Inst("trap", None, imm="user1")]
    return Function("%p", function.signature, [Block(0, params, body)], dict(params))


def _type_alone(ty: Type) -> tuple[Function, Function]:
    """A value that is passed on, and one that is loaded and stored."""
    back = Block(0, [(0, ty)], [Inst("return", None, (), (0,))])
    moved = Block(
        0, [(0, I64)], [Inst("load", ty, (1,), (0,)), Inst("store", ty, (), (1, 0), offset=64), Inst("return", None)]
    )
    return (
        Function("%p", signature([ty], [ty], "system_v"), [back], {0: ty}),
        Function("%p", signature([I64], [], "system_v"), [moved], {0: I64, 1: ty}),
    )


def in_signature(function: Function, inst: Inst) -> Function:
    """A function of one instruction: operands are parameters, results are returned. Equal operands become different
    ones, so that nothing is folded away."""
    kinds, results = _kinds(function, inst)
    operands, defined = _numbers(0, kinds), _numbers(len(kinds), results)
    alone, stubs = _with_stubs(inst, operands, defined)
    ends = bool(stubs) or inst.op in EXITS
    entry = Block(0, list(zip(operands, kinds)), [alone] if ends else [alone, Inst("return", None, (), defined)])
    sig = signature(kinds, [] if ends else results, "system_v")
    if inst.op in EXITS and inst.op != "trap":
        sig = Signature(sig.params, function.signature.returns, function.signature.call_conv)
    return _made(function, sig, [entry, *stubs], dict(zip((*operands, *defined), (*kinds, *results))))


def _in_memory(function: Function, inst: Inst) -> Function:
    """A function of one instruction: operands are loaded, results are stored. Operands are read twice, and results meet
    other values before they are stored, so that no rule takes an access and the instruction for one."""
    kinds, results = _kinds(function, inst)
    operands = _numbers(2, kinds)
    defined, others, merged = (_numbers(2 + len(kinds) + n * len(results), results) for n in range(3))
    alone, stubs = _with_stubs(inst, operands, defined)
    loads = [
        Inst("load", ty, (value,), (0,), offset=64 * n)
        for n, (value, ty) in enumerate(zip((*operands, *others), (*kinds, *results)))
    ]
    again = [
        Inst("store", ty, (), (value, 0), offset=4096 + 64 * n) for n, (value, ty) in enumerate(zip(operands, kinds))
    ]
    blocks = [Block(0, [(0, I64), (1, I8)], [*loads, *again, alone]), *stubs]
    if not stubs:
        ways = BlockCall(1, defined), BlockCall(1, others)
        blocks[0].insts.append(Inst("brif", I8, (), (1,), targets=ways))
        stores = [
            Inst("store", ty, (), (value, 0), offset=64 * n) for n, (value, ty) in enumerate(zip(merged, results))
        ]
        blocks.append(Block(1, list(zip(merged, results)), [*stores, Inst("return", None)]))
    types = dict(zip((0, 1, *operands, *defined, *others, *merged), (I64, I8, *kinds, *results, *results, *results)))
    return _made(function, signature([I64, I8], [], "system_v"), blocks, types)


def _made(function: Function, sig: Signature, blocks: list[Block], types: dict[int, Type]) -> Function:
    """A function with the declarations of another one; with a context of its own if it asks for what lies there."""
    made = dataclasses.replace(
        function, name="%p", signature=sig, blocks=blocks, types=types, aliases={}, annotations=[]
    )
    if all(declared[0] != "vmctx" for declared in function.globals.values()):
        return made
    if not any(inst.op == "global_value" for block in blocks for inst in block.insts):
        preamble = [(entity, text) for entity, text in function.preamble if not entity.startswith(_OF_CONTEXT)]
        return dataclasses.replace(made, globals={}, preamble=preamble)
    context = max(types, default=-1) + 1
    made.signature = sig._replace(params=(*sig.params, AbiParam(I64, "", "vmctx")))
    made.blocks = [dataclasses.replace(blocks[0], params=[*blocks[0].params, (context, I64)]), *blocks[1:]]
    made.types = {**types, context: I64}
    return made


def _numbers(first: int, kinds: Sequence[Type]) -> tuple[int, ...]:
    return tuple(range(first, first + len(kinds)))


def _kinds(function: Function, inst: Inst) -> tuple[list[Type], list[Type]]:
    """The types of an instruction's operands and results."""
    read = [function.types[function.aliases.get(value, value)] for value in _operands(inst)]
    return read, [function.types[value] for value in inst.results]


def _operands(inst: Inst) -> list[int]:
    """The values that an instruction itself reads: not those that its edges pass on."""
    items = inst.table.items if inst.table is not None else ()
    return [*inst.args, *(value for kind, value, *_ in items if kind == "context" and isinstance(value, int))]


def _with_stubs(inst: Inst, operands: tuple[int, ...], defined: tuple[int, ...]) -> tuple[Inst, list[Block]]:
    """The instruction with its edges going to empty blocks, and these blocks."""
    count = len(inst.targets)
    args, context = operands[: len(inst.args)], operands[len(inst.args) :]
    table = inst.table
    if table is not None:
        items: list[tuple[object, ...]] = []
        for item in table.items:
            if item[0] == "context":
                items.append(("context", *context))
            else:
                count += 1
                items.append((*item[:-1], BlockCall(count)))
        count += 1
        table = ExceptionTable(table.sig, BlockCall(count), tuple(items))
    targets = tuple(BlockCall(number + 1) for number in range(len(inst.targets)))
    stubs = [Block(number + 1, [], [Inst("return", None)]) for number in range(count)]
    alone = dataclasses.replace(inst, results=defined, args=args, targets=targets, table=table, loc=None, notes=None)
    return alone, stubs
