"""Edits of a program that exists: some change what it means, some do not.

The one idea: an edit puts something well-typed in the place of something well-typed, in a copy, and what stands there
already is worth more than what chance would make. Edits of `CHANGES` may change the meaning; those of `KEEPS` must not,
which is for others to check. What comes out may end late, trap, or be ill-formed in rare cases (an early return may
leave a block unreachable): who asks for it judges that (`campaign.seeds`).
Nothing is random but what the given `Random` draws. An address that is accessed is not replaced by another value.
Source of the idea: Le, Afshari, Su, "Compiler Validation via Equivalence Modulo Inputs" (PLDI 2014), where inputs keep
edits honest; here the reference does.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from random import Random
from typing import Final

from liftcheck.clif.edit import fresh, map_values
from liftcheck.clif.ir import Block, BlockCall, Function, Inst, Module, StackSlot
from liftcheck.clif.opcodes import CONSTANTS, OPCODES
from liftcheck.clif.types import I8, I64
from liftcheck.generators.editor import (
    Edit,
    Editor,
    Operand,
    Place,
    free_operands,
    of_instruction,
    of_operand,
    with_operand,
)
from liftcheck.generators.rows import Table

COMMUTES: Final = frozenset({"iadd", "imul", "band", "bor", "bxor", "umin", "umax", "smin", "smax", "umulhi", "smulhi",
                             "uadd_sat", "sadd_sat", "avg_round", "fadd", "fmul"})  # fmt: skip
_MIRRORED: Final = {"eq": "eq", "ne": "ne", "slt": "sgt", "sgt": "slt", "sge": "sle", "sle": "sge", "ult": "ugt",
                    "ugt": "ult", "uge": "ule", "ule": "uge"}  # fmt: skip
_INVOLUTIONS: Final = ("bnot", "ineg", "bswap", "bitrev", "fneg")
_UNDONE: Final = (("bxor", "bxor"), ("iadd", "isub"), ("isub", "iadd"), ("rotl", "rotr"), ("rotr", "rotl"))
_IMMEDIATE: Final = frozenset({"IntCompare", "FloatCompare", "BinaryImm8", "TernaryImm8"})
_FRAGMENT: Final = 6
"""Instructions of another program that are spliced in, at most."""


# -- edits that may change the meaning


@of_instruction(lambda inst: inst.op in CONSTANTS)
def other_constant(editor: Editor, place: Place, inst: Inst) -> bool:
    ty = editor.function.types[inst.results[0]]
    value, insts = editor.made(ty)
    last = insts[-1]
    if last.op != inst.op:
        return False
    near = isinstance(inst.imm, int) and inst.op == "iconst" and editor.random.randrange(2)
    imm = (inst.imm + editor.random.choice((-1, 1, 8, -8))) if near and isinstance(inst.imm, int) else last.imm
    del editor.function.types[value]
    editor.replace(place, dataclasses.replace(inst, imm=imm))
    return True


@of_operand
def other_operand(editor: Editor, found: Operand) -> bool:
    value, insts = editor.some_value(found.ty, found.place)
    editor.swap(found, value, *insts)
    return True


@of_instruction(lambda inst: OPCODES[inst.op].is_plain and bool(inst.args) and bool(inst.results))
def other_opcode(editor: Editor, place: Place, inst: Inst) -> bool:
    """An opcode of the same operands and results."""
    types = editor.function.types
    shape = tuple(types[value] for value in inst.args), tuple(types[value] for value in inst.results)
    rows = [
        row for row in editor.table.rows if (row.args, row.results) == shape and row.imm not in ("mask", "distinct")
    ]
    if not rows:
        return False
    row = editor.random.choice(rows)
    editor.replace(place, editor.instruction(row, inst.args, inst.results))
    return True


@of_instruction(lambda inst: OPCODES[inst.op].format.name in _IMMEDIATE)
def other_immediate(editor: Editor, place: Place, inst: Inst) -> bool:
    """Another condition, lane or operation."""
    row = next((row for row in editor.table.rows if row.op == inst.op and row.type is inst.type), None)
    if row is None:
        return False
    editor.replace(place, dataclasses.replace(inst, imm=editor.immediate(row)))
    return True


@of_operand
def wrap_operand(editor: Editor, found: Operand) -> bool:
    """An operand goes through one more instruction."""
    ty = found.ty
    rows = [
        row
        for row in editor.table.rows
        if row.results == (ty,) and ty in row.args and row.imm not in ("mask", "distinct")
    ]
    if not rows:
        return False
    row = editor.random.choice(rows)
    made, args = list[Inst](), list[int]()
    forced = row.args.index(ty)
    for at, one in enumerate(row.args):
        value, insts = (found.value, list[Inst]()) if at == forced else editor.some_value(one, found.place)
        made += insts
        args.append(value)
    result = fresh(editor.function, ty)
    editor.swap(found, result, *made, editor.instruction(row, tuple(args), (result,)))
    return True


@of_instruction(lambda inst: OPCODES[inst.op].is_plain and len(inst.results) == 1)
def drop_result(editor: Editor, place: Place, inst: Inst) -> bool:
    """Another value of its type in the place of a result, which nothing needs then."""
    ty = editor.function.types[inst.results[0]]
    value, insts = editor.some_value(ty, place)
    gone = inst.results[0]
    for block in editor.function.blocks:
        block.insts[:] = [map_values(one, lambda read: value if read == gone else read) for one in block.insts]
    editor.put(place, *insts)
    return True


@of_instruction(lambda inst: inst.op == "brif")
def swap_edges(editor: Editor, place: Place, inst: Inst) -> bool:
    """A conditional branch takes its edges the other way round."""
    editor.replace(place, dataclasses.replace(inst, targets=inst.targets[::-1]))
    return True


def splice(editor: Editor) -> bool:
    """A few instructions of another program, with operands from here; what they make is an operand here."""
    fragment = _fragment(editor)
    if not fragment:
        return False
    donor, insts = fragment
    ends = {donor.types[value]: value for one in insts for value in one.results}
    types = editor.function.types
    found = editor.some(lambda inst: any(types[inst.args[which]] in ends for which in free_operands(inst)))
    if found is None:
        return False
    place, inst = found
    which = editor.random.choice([which for which in free_operands(inst) if types[inst.args[which]] in ends])
    end = ends[types[inst.args[which]]]
    names: dict[int, int] = {}
    made: list[Inst] = []
    for one in insts:
        for value in one.args:
            if value not in names:
                names[value], more = editor.some_value(donor.types[value], place)
                made += more
        for value in one.results:
            names[value] = fresh(editor.function, donor.types[value])
        imm = one.imm
        if one.op in ("vconst", "f128const", "shuffle") and isinstance(one.imm, int):
            imm = max(editor.function.constants, default=-1) + 1
            editor.function.constants[imm] = donor.constants[one.imm]
        renamed = map_values(one, names.__getitem__)
        made.append(dataclasses.replace(renamed, results=tuple(names[r] for r in one.results), imm=imm, line=0))
    editor.replace(place, with_operand(inst, which, names[end]))
    editor.put(place, *made)
    return True


def _fragment(editor: Editor) -> tuple[Function, list[Inst]] | None:
    """Instructions that stand together somewhere and do nothing but compute."""
    for _ in range(4 if editor.donors else 0):
        donor = editor.random.choice(editor.donors)
        insts = editor.random.choice(donor.blocks).insts
        start = editor.random.randrange(max(len(insts), 1))
        some = insts[start : start + 1 + editor.random.randrange(_FRAGMENT)]
        found = [inst for inst in some if OPCODES[inst.op].is_plain or inst.op in CONSTANTS]
        if any(inst.args and inst.results for inst in found):
            return donor, found
    return None


CHANGES: Final[tuple[Edit, ...]] = (
    other_constant, other_constant, other_operand, other_operand, other_opcode, other_opcode, other_immediate,
    wrap_operand, wrap_operand, drop_result, swap_edges, splice, splice,
)  # fmt: skip


# -- edits that keep the meaning


@of_operand
def undo(editor: Editor, found: Operand) -> bool:
    """An operand goes through two instructions of which the second undoes the first."""
    value, ty = found.value, found.ty
    once = [op for op in _INVOLUTIONS if editor.has(f"{op}.{ty.name}")]
    twice = [pair for pair in _UNDONE if not ty.is_float and all(editor.row(op, ty, 2) is not None for op in pair)]
    if not once and not twice:
        return False
    first, second = fresh(editor.function, ty), fresh(editor.function, ty)
    if once and (not twice or editor.random.randrange(2)):
        op = editor.random.choice(once)
        steps = [Inst(op, ty, (first,), (value,)), Inst(op, ty, (second,), (first,))]
    else:
        one, other = editor.random.choice(twice)
        row = editor.row(one, ty, 2)
        assert row is not None
        amount, made = editor.some_value(row.args[1], found.place)
        steps = [*made, Inst(one, ty, (first,), (value, amount)), Inst(other, ty, (second,), (first, amount))]
    editor.swap(found, second, *steps)
    return True


@of_operand
def select_same(editor: Editor, found: Operand) -> bool:
    """An operand is selected between itself and itself."""
    value, ty = found.value, found.ty
    if not editor.has(f"select.{ty.name}.i8"):
        return False
    condition, made = editor.some_value(I8, found.place)
    result = fresh(editor.function, ty)
    editor.swap(found, result, *made, Inst("select", ty, (result,), (condition, value, value)))
    return True


@of_operand
def through_slot(editor: Editor, found: Operand) -> bool:
    """An operand is stored to a stack slot of its own and loaded back."""
    value, ty = found.value, found.ty
    if not (editor.has(f"load.{ty.name}") and editor.has(f"store.{ty.name}") and editor.has("stack_addr.i64")):
        return False
    slots = editor.function.stack_slots
    number = max(slots, default=-1) + 1
    slots[number] = StackSlot(max(ty.bytes, 8))
    address = fresh(editor.function, I64)
    result = fresh(editor.function, ty)
    editor.swap(
        found,
        result,
        Inst("stack_addr", I64, (address,), (), number),
        Inst("store", ty, (), (value, address)),
        Inst("load", ty, (result,), (address,)),
    )
    return True


def split_block(editor: Editor) -> bool:
    """A block is cut in two; a value of the first part is a parameter of the second."""
    blocks = editor.function.blocks
    number = editor.random.randrange(len(blocks))
    block = blocks[number]
    if len(block.insts) < 2:
        return False
    at = editor.random.randrange(1, len(block.insts))
    rest = block.insts[at:]
    made = [value for inst in block.insts[:at] for value in inst.results]
    read = [value for value in made if any(value in inst.args for inst in rest)]
    passed = [editor.random.choice(read)] if read else []
    second = Block(
        max(one.number for one in blocks) + 1,
        [(fresh(editor.function, editor.function.types[v]), editor.function.types[v]) for v in passed],
    )
    names = {value: param for value, (param, _) in zip(passed, second.params)}
    second.insts = [map_values(inst, lambda value: names.get(value, value)) for inst in rest]
    block.insts[at:] = [Inst("jump", None, targets=(BlockCall(second.number, tuple(passed)),))]
    blocks.insert(number + 1, second)
    return True


@of_instruction(
    lambda inst: len(inst.args) == 2 and (inst.op in COMMUTES or (inst.op == "icmp" and inst.imm in _MIRRORED))
)
def commute(editor: Editor, place: Place, inst: Inst) -> bool:
    """Operands, or a comparison, the other way round."""
    imm = _MIRRORED[str(inst.imm)] if inst.op == "icmp" else inst.imm
    editor.replace(place, dataclasses.replace(inst, args=inst.args[::-1], imm=imm))
    return True


@of_operand
def widen(editor: Editor, found: Operand) -> bool:
    """An integer is extended and reduced again."""
    value, ty = found.value, found.ty
    rows = [
        row
        for row in editor.table.rows
        if row.op in ("uextend", "sextend")
        and row.args == (ty,)
        and editor.has(f"ireduce.{ty.name}.{row.results[0].name}")
    ]
    if not rows:
        return False
    row = editor.random.choice(rows)
    wide, result = fresh(editor.function, row.results[0]), fresh(editor.function, ty)
    editor.swap(found, result, Inst(row.op, row.type, (wide,), (value,)), Inst("ireduce", ty, (result,), (wide,)))
    return True


KEEPS: Final[tuple[Edit, ...]] = (
    undo, undo, select_same, through_slot, split_block, split_block, commute, widen,
)  # fmt: skip


def mutated(
    random: Random, module: Module, table: Table, donors: Sequence[Function], keep: bool
) -> tuple[Module, list[str]]:
    """A module with one to five edits of one of its functions, and their names; `keep`: those that keep the meaning."""
    number = random.randrange(len(module.functions))
    editor = Editor(random, module.functions[number], table, donors)
    editor.edit(KEEPS if keep else (*CHANGES, *KEEPS), 1 + random.randrange(5))
    functions = list(module.functions)
    functions[number] = editor.function
    return Module(functions), editor.done
