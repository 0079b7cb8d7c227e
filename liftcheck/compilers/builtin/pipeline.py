"""One function through the compiler: verified CLIF in, code with its tables out.

The one idea: `compile_function` can be read aloud; every stage is a function of what the one before gave, and `observe`
sees each of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, NamedTuple

from liftcheck.case import FunctionCode
from liftcheck.clif.ir import Function
from liftcheck.clif.text.printer import print_function
from liftcheck.isa.abi import owed
from liftcheck.isa.base import isa_named
from liftcheck.mach.backend import Backend, Emitter
from liftcheck.mach.emit import Finished
from liftcheck.mach.lower import Lowering, Refused, Rules
from liftcheck.mach.regs import SLOT, show_place
from liftcheck.mach.vcode import DEF, Form, VCode
from liftcheck.opt.optimize import optimize
from liftcheck.regalloc.allocation import Allocation, Block, Environment, Instruction, Operand
from liftcheck.regalloc.linear import allocate
from liftcheck.regalloc.problem import Problem, Solution

Observer = Callable[[str, Any], Any]
"""Called with a stage's name and what it gave; what comes back, unless it is None, goes on in its place."""


class Compiled(NamedTuple):
    """A function's code, and the allocation that it was made from."""

    code: FunctionCode
    allocation: Allocation


class _Made(NamedTuple):
    """What the stages gave."""

    function: Function
    better: Function
    isa: str
    lowered: VCode
    problem: Problem
    solution: Solution
    emitter: Emitter
    finished: Finished
    trace: list[str] | None


def compile_function(
    function: Function,
    isa: str,
    settings: Mapping[str, str],
    wants: frozenset[str] = frozenset(),
    observe: Observer | None = None,
) -> Compiled:
    """Code of a verified function. Refused, by name, for what this compiler does not have."""
    see = observe or _nobody
    trace: list[str] | None = [] if "rules" in wants else None
    shown = bool(wants & {"vcode", "allocation"})
    better = _seen(see, "optimized", _optimize(function, settings, trace))
    lowered = _seen(see, "lowered", _lower(better, isa, settings, trace))
    problem = _seen(see, "problem", _problem(lowered, isa, shown))
    solution = _seen(see, "allocated", allocate(problem))
    emitter = _emitter(lowered, problem, solution, isa, settings)
    finished = _seen(see, "emitted", emitter.run(record="allocation" in wants))
    made = _Made(function, better, isa, lowered, problem, solution, emitter, finished, trace)
    return Compiled(_code(made, wants), _allocation(made))


def _nobody(stage: str, value: Any) -> None:
    return None


def _seen(observe: Observer, stage: str, value: Any) -> Any:
    replaced = observe(stage, value)
    return value if replaced is None else replaced


def _optimize(function: Function, settings: Mapping[str, str], trace: list[str] | None) -> Function:
    return function if settings.get("opt_level", "none") == "none" else optimize(function, trace)


def _lower(function: Function, isa: str, settings: Mapping[str, str], trace: list[str] | None) -> VCode:
    rules = rules_of(isa)
    if rules is None:
        raise Refused(f"the ISA {isa}")
    has = frozenset(name for name, value in settings.items() if name.startswith("has_") and value == "true")
    return Lowering(function, rules, has, settings, trace).run()


@cache
def rules_of(isa: str) -> Rules | None:
    """An ISA's lowering rules, compiled; None if it has none yet."""
    opened = isa_named(isa).part(isa_named(isa).lowering)
    return None if opened is None else opened()


def _backend(isa: str) -> Backend:
    found: Backend = isa_named(isa).part(isa_named(isa).backend)
    return found


@cache
def environment(isa: str) -> Environment:
    """The registers that are given out."""
    backend = _backend(isa)
    return Environment(*backend.allocatable, backend.scratch)


def _problem(code: VCode, isa: str, shown: bool) -> Problem:
    """What the allocator is asked. `shown`: with the instructions as text."""
    blocks: list[Block] = []
    instructions: list[Instruction] = []
    came: list[list[int]] = [[] for _ in code.blocks]
    for number, block in enumerate(code.blocks):
        for successor in block.successors:
            came[successor].append(number)
    make = Operand._make
    for block, before in zip(code.blocks, came):
        first = len(instructions)
        for form, registers, extra, _, _ in block.insns:
            operands = tuple([make((r, *slot)) for r, slot in zip(registers, form.slots) if r >= 0])
            words = _text(form, registers, extra) if shown else ""
            instructions.append(Instruction(operands, form.clobbers, form.is_return, form.is_branch, words))
        leads = tuple(block.params), tuple(block.successors), tuple(block.arguments), tuple(before)
        blocks.append(Block(first, len(instructions), *leads))
    return Problem(tuple(blocks), tuple(instructions), tuple(code.classes), environment(isa), _backend(isa).slot_words)


def _text(form: Form, registers: tuple[int, ...], extra: tuple[Any, ...]) -> str:
    shown = [f"v{r}" if r >= 0 else show_place(~r) for r in registers]
    return f"{form.name} {', '.join([*shown, *map(str, extra)])}".rstrip()


def _emitter(code: VCode, problem: Problem, solution: Solution, isa: str, settings: Mapping[str, str]) -> Emitter:
    """What makes the bytes: with the frame, now that it is known what the function overwrites."""
    backend, kept = _backend(isa), owed(isa, code.convention)
    if kept is None:
        raise Refused(f"functions of {code.convention}")
    written = {edit.target for edit in solution.edits if edit.target < SLOT}
    written.update(register for insn in problem.instructions for register in insn.clobbers)
    for insn, places in zip(problem.instructions, solution.places):
        written.update([place for operand, place in zip(insn.operands, places) if operand.kind == DEF])
    given = {p for groups in backend.allocatable for group in groups for p in group} | {*backend.scratch}
    saved = sorted(place for place in written & given if kept.bits.get(place))
    frame = backend.frame(code, saved, solution.slots, settings.get("preserve_frame_pointers") == "true")
    has = frozenset(name for name, value in settings.items() if value == "true")
    return Emitter(backend, code, solution.places, solution.edits, frame, has)


def _frame(made: _Made) -> dict[str, object]:
    frame = made.emitter.frame
    return {
        "frame_to_fp_offset": frame.size + -(-len(frame.saved) // 2) * 16,
        "slots": [frame.slots + made.lowered.slots[number] for number in made.function.stack_slots],
    }


def _code(made: _Made, wants: frozenset[str]) -> FunctionCode:
    finished, marks = made.finished, made.finished.marks
    extra: dict[str, object] = {}
    if "frame" in wants:
        extra["frame"] = _frame(made)
    if made.trace is not None:
        extra["rules"] = made.trace
    if "clif" in wants:
        extra["clif"] = print_function(made.better)
    if "vcode" in wants:
        extra["vcode"] = _shown(made)
    if "disassembly" in wants:
        extra["disassembly"] = _disassembly(made.isa, finished.code)
    if "srclocs" in wants:
        lines = sorted({inst.line for block in made.function.blocks for inst in block.insts})
        ordinal = {line: number for number, line in enumerate(lines)}
        extra["srclocs"] = [
            [marks[start], marks[end], ordinal.get(line, 0), line]
            for start, end, line in made.emitter.lines
            if marks[start] < marks[end]
        ]
    if "blocks" in wants:
        extra["blocks"] = sorted({at for at in finished.labels[: len(made.lowered.blocks)] if at >= 0})
    name, alignment = made.function.name, max(4, isa_named(made.isa).alignment)
    return FunctionCode(name, finished.code, alignment, finished.relocations, finished.traps, finished.calls, extra)


def _allocation(made: _Made) -> Allocation:
    problem, solution = made.problem, made.solution
    sizes = [slot.size for slot in made.function.stack_slots.values()]
    convention = made.function.signature.call_conv or "fast"
    return Allocation(
        problem.blocks,
        problem.instructions,
        problem.classes,
        problem.environment,
        solution.places,
        solution.edits,
        solution.slots,
        problem.slot_sizes,
        frame={**_frame(made), "slot_sizes": sizes, "convention": convention},
        isa=made.isa,
    )


def _shown(made: _Made) -> str:
    """The code before allocation, for people."""
    lines = []
    for number, (block, asked) in enumerate(zip(made.lowered.blocks, made.problem.blocks)):
        lines.append(f"block{number}{_listed(block.params)}:")
        lines += [f"    {insn.text}" for insn in made.problem.instructions[asked.first : asked.end]]
        for successor, arguments in zip(block.successors, block.arguments):
            lines.append(f"        -> block{successor}{_listed(arguments)}")
    return "\n".join(lines) + "\n"


def _listed(registers: Any) -> str:
    return f"({', '.join(f'v{r}' for r in registers)})" if registers else ""


def _disassembly(isa: str, code: bytes) -> str:
    table = isa_named(isa).part(isa_named(isa).rows)()
    return "".join(
        f"{at:#6x}: {one.data.hex() if one else code[at : at + table.step].hex():<16} {one.text if one else '?'}\n"
        for at, one in table.instructions(code)
    )
