"""Breaks CLIF at random: edits of the text, token by token or line by line, and edits of the tree.

The one idea: what replaces a thing is usually of the same kind (a value for a value, a type for a type, an opcode for
one of the same format), so that most of the results get past the parser and try the verifier. Every draw is from the
`random.Random` that is handed in.
"""

from __future__ import annotations

import copy
import random
import re

from liftcheck.clif.ir import BlockCall, Function, Inst, MemFlags
from liftcheck.clif.opcodes import DYNAMIC, OPCODES
from liftcheck.clif.types import TYPES

_TOKENS = re.compile(r"[%@#]?\w+|->|\s+|.", re.DOTALL)
_KINDS = (
    re.compile(r"v\d+\Z"),
    re.compile(r"[if]\d+(x\d+)?\Z"),
    re.compile(r"block\d+\Z"),
    re.compile(r"\d+\Z"),
    re.compile(r"(ss|gv|fn|sig|const|region)\d+\Z"),
    re.compile(r"[a-z_0-9]+\Z"),
    re.compile(r"[^\w\s]\Z"),
)
_NEWER = [name for name, row in OPCODES.items() if not row.removed and name not in DYNAMIC]
_SAME_FORMAT = {name: [other for other in _NEWER if OPCODES[other].format is OPCODES[name].format] for name in _NEWER}
_SMALL_TYPES = [t for t in TYPES.values() if t.bits <= 128]


def _kind(token: str) -> int:
    return next((k for k, pattern in enumerate(_KINDS) if pattern.match(token)), -1)


def mutate_text(rng: random.Random, text: str) -> str:
    """One to three edits of a text."""
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        text = rng.choice(_TEXT_EDITS)(rng, text) or " "
    return text


def _swap_like(rng: random.Random, text: str) -> str:
    """A token becomes another token of its kind from the same text."""
    tokens = _TOKENS.findall(text)
    place = rng.randrange(len(tokens))
    alike = [t for t in tokens if _kind(t) == _kind(tokens[place]) and not t.isspace()]
    tokens[place] = rng.choice(alike) if alike and not tokens[place].isspace() else tokens[place]
    return "".join(tokens)


def _opcode(rng: random.Random, text: str) -> str:
    tokens = _TOKENS.findall(text)
    places = [i for i, t in enumerate(tokens) if t in _SAME_FORMAT]
    if places:
        place = rng.choice(places)
        tokens[place] = rng.choice(_SAME_FORMAT[tokens[place]])
    return "".join(tokens)


def _type(rng: random.Random, text: str) -> str:
    tokens = _TOKENS.findall(text)
    places = [i for i, t in enumerate(tokens) if t in TYPES]
    if places:
        tokens[rng.choice(places)] = rng.choice(_SMALL_TYPES).name
    return "".join(tokens)


def _number(rng: random.Random, text: str) -> str:
    tokens = _TOKENS.findall(text)
    places = [i for i, t in enumerate(tokens) if t.isdigit() or t.startswith("0x")]
    if places:
        tokens[rng.choice(places)] = rng.choice(
            (
                "0",
                "1",
                "7",
                "15",
                "16",
                "31",
                "32",
                "255",
                "256",
                "0xff",
                "65536",
                "4294967295",
                "4294967296",
                "18446744073709551616",
                "0x1_0",
                "1_0",
            )
        )
    return "".join(tokens)


def _delete(rng: random.Random, text: str) -> str:
    tokens = _TOKENS.findall(text)
    del tokens[rng.randrange(len(tokens))]
    return "".join(tokens)


def _double(rng: random.Random, text: str) -> str:
    tokens = _TOKENS.findall(text)
    place = rng.randrange(len(tokens))
    tokens.insert(place, tokens[place])
    return "".join(tokens)


def _exchange(rng: random.Random, text: str) -> str:
    tokens = _TOKENS.findall(text)
    one, two = rng.randrange(len(tokens)), rng.randrange(len(tokens))
    tokens[one], tokens[two] = tokens[two], tokens[one]
    return "".join(tokens)


_WORDS = ("cold", "notrap", "readonly", "little", "big", "aligned", "uext", "sret", "sarg(8)", "vmctx", "tail",
          "system_v", "preserve_all", "-", "+", ".", ",", "(", ")", ";", "[", "ret0", "exn0", "$", "->", "0.0", "+NaN",
          "user1", "heap_oob", "v0", "block0", "i32", "@12", "<1>", "colocated", "patchable")  # fmt: skip


def _insert(rng: random.Random, text: str) -> str:
    tokens = _TOKENS.findall(text)
    word = rng.choice(_WORDS)
    tokens.insert(rng.randrange(len(tokens)), f" {word} ")
    return "".join(tokens)


def _line_delete(rng: random.Random, text: str) -> str:
    lines = text.split("\n")
    del lines[rng.randrange(len(lines))]
    return "\n".join(lines)


def _line_move(rng: random.Random, text: str) -> str:
    lines = text.split("\n")
    line = lines.pop(rng.randrange(len(lines)))
    lines.insert(rng.randrange(len(lines) + 1), line)
    return "\n".join(lines)


def _line_copy(rng: random.Random, text: str) -> str:
    lines = text.split("\n")
    lines.insert(rng.randrange(len(lines)), rng.choice(lines))
    return "\n".join(lines)


def _cut(rng: random.Random, text: str) -> str:
    return text[: rng.randrange(len(text))] if rng.random() < 0.2 else text


# fmt: off
_TEXT_EDITS = (_swap_like, _swap_like, _swap_like, _swap_like, _opcode, _opcode, _type, _type, _number, _delete,
               _double, _exchange, _insert, _insert, _line_delete, _line_move, _line_move, _line_copy, _cut)
# fmt: on


def mutate_tree(rng: random.Random, func: Function) -> Function:
    """A copy of a function with one to three edits."""
    func = copy.deepcopy(func)
    for _ in range(rng.choice((1, 1, 2, 3))):
        if any(block.insts for block in func.blocks):
            rng.choice(_TREE_EDITS)(rng, func)
    for block in func.blocks:
        for inst in block.insts:
            _retype(func, inst)
    return func


def _some_value(rng: random.Random, func: Function) -> int:
    return rng.choice([value for value in func.types if value not in func.aliases] or [0])


def _some_inst(rng: random.Random, func: Function) -> Inst:
    return rng.choice(rng.choice([b for b in func.blocks if b.insts]).insts)


def _tree_op(rng: random.Random, func: Function) -> None:
    inst = _some_inst(rng, func)
    alike = [op for op in _SAME_FORMAT.get(inst.op, ()) if len(OPCODES[op].results) == len(OPCODES[inst.op].results)]
    if alike:
        inst.op = rng.choice(alike)
        if not OPCODES[inst.op].ctrl:
            inst.type = None
        elif inst.type is None:
            inst.type = rng.choice(_SMALL_TYPES)


def _tree_type(rng: random.Random, func: Function) -> None:
    inst = _some_inst(rng, func)
    if inst.type is not None:
        inst.type = rng.choice(_SMALL_TYPES)


def _retype(func: Function, inst: Inst) -> None:
    """Results as the text would give them."""
    opcode = OPCODES[inst.op]
    if inst.type in opcode.ctrl and opcode.results:
        try:
            func.types.update(zip(inst.results, opcode.result_types(inst.type)))
        except KeyError:
            return


def _tree_arg(rng: random.Random, func: Function) -> None:
    inst = _some_inst(rng, func)
    if inst.args:
        args = list(inst.args)
        args[rng.randrange(len(args))] = _some_value(rng, func)
        inst.args = tuple(args)


def _tree_param(rng: random.Random, func: Function) -> None:
    block = rng.choice(func.blocks)
    if block.params:
        place = rng.randrange(len(block.params))
        ty = rng.choice(_SMALL_TYPES)
        block.params[place] = (block.params[place][0], ty)
        func.types[block.params[place][0]] = ty


def _tree_target(rng: random.Random, func: Function) -> None:
    inst = rng.choice([b.insts[-1] for b in func.blocks if b.insts])
    if inst.targets:
        targets = list(inst.targets)
        place = rng.randrange(len(targets))
        call = targets[place]
        targets[place] = rng.choice(
            (
                BlockCall(rng.choice(func.blocks).number, call.args),
                BlockCall(call.block, call.args[1:]),
                BlockCall(call.block, (*call.args, _some_value(rng, func))),
            )
        )
        inst.targets = tuple(targets)


def _tree_move(rng: random.Random, func: Function) -> None:
    block = rng.choice([b for b in func.blocks if b.insts])
    inst = block.insts.pop(rng.randrange(len(block.insts)))
    other = rng.choice(func.blocks)
    other.insts.insert(rng.randrange(len(other.insts) + 1), inst)


def _tree_delete(rng: random.Random, func: Function) -> None:
    block = rng.choice([b for b in func.blocks if b.insts])
    inst = block.insts.pop(rng.randrange(len(block.insts)))
    for value in inst.results:
        func.types.pop(value, None)


def _tree_flags(rng: random.Random, func: Function) -> None:
    inst = _some_inst(rng, func)
    if OPCODES[inst.op].format.name.startswith(("Load", "Store", "Atomic")):
        inst.flags = MemFlags(
            rng.random() < 0.5,
            rng.random() < 0.5,
            False,
            rng.choice((None, "", "user9")),
            rng.choice(("", "little", "big")),
            rng.choice(("", "", "", "region0")),
        )


def _tree_imm(rng: random.Random, func: Function) -> None:
    inst = _some_inst(rng, func)
    form = OPCODES[inst.op].format.name
    if form in ("BinaryImm8", "TernaryImm8"):
        inst.imm = rng.randrange(20)
    elif form == "Shuffle":
        inst.imm = tuple(rng.randrange(34) for _ in range(16))
    elif form == "UnaryConst" and func.constants:
        inst.imm = rng.choice(list(func.constants))


def _tree_signature(rng: random.Random, func: Function) -> None:
    sig = func.signature
    conv = rng.choice(("fast", "system_v", "tail", "preserve_all"))
    func.signature = rng.choice(
        (sig._replace(call_conv=conv), sig._replace(returns=sig.returns[1:]), sig._replace(params=sig.params[1:]))
    )


def _tree_cold(rng: random.Random, func: Function) -> None:
    rng.choice(func.blocks).cold = True


# fmt: off
_TREE_EDITS = (_tree_op, _tree_op, _tree_type, _tree_type, _tree_arg, _tree_arg, _tree_arg, _tree_param, _tree_target,
               _tree_target, _tree_move, _tree_move, _tree_delete, _tree_flags, _tree_imm, _tree_signature, _tree_cold)
# fmt: on
