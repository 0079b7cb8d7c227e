"""Programs made of other people's: `fuzz --seeds DIR`.

The one idea: a program is drawn, edited, and looked at: it must be well-formed, end soon, show nothing that CLIF leaves
open (NaN bits, addresses, unwritten stack), and, if its edits are to keep the meaning, do what the original does, by
the reference. What fails is drawn again; after a few times the original stands. So all that is compared is settled, and
no mutant needs the excuses of a vote.
A seed is a function of a `.clif` file with all that it calls. Flags that promise what edits may break (`notrap`,
`aligned`, `readonly`, …) are taken from accesses. What cannot be a seed is counted with its reason (`Stock`).
A program is a function of the campaign's seed, its number and the files.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from pathlib import Path
from random import Random
from typing import Final, NamedTuple

from liftcheck.campaign.reduce.visible import shows_addresses, shows_nan_bits
from liftcheck.case import Case
from liftcheck.clif.edit import reachable, values_read
from liftcheck.clif.ir import NO_FLAGS, Function, Inst, MemFlags, Module
from liftcheck.clif.opcodes import OPCODES, key_of
from liftcheck.clif.text.filetest import FileTest, read_text
from liftcheck.clif.text.parser import parse_filetest, parse_module
from liftcheck.clif.text.portable import modern
from liftcheck.clif.text.printer import print_module
from liftcheck.clif.types import I64
from liftcheck.clif.values import memory_pool, runtime_table
from liftcheck.clif.verify import verify
from liftcheck.errors import InputError
from liftcheck.generators.mutate import mutated
from liftcheck.generators.tables import UNREACHED, Context
from liftcheck.isa import BIG_ENDIAN
from liftcheck.layout import SLOT_SIZE, slot_address
from liftcheck.oracles.admissible import Reference
from liftcheck.oracles.reference import Expected, interpret, reads_garbage

SOON: Final = 4_000
"""Instructions of a run: longer ones are left to other campaigns."""
ATTEMPTS: Final = 8
SEEDS: Final = 64
"""Seeds that are drawn for a program, at most."""
KEEPING: Final = 4
"""Every fourth program on average has edits alone that keep its meaning."""
WILD: Final = "heap_oob"
"""The trap of an access outside of the program's memory. Where an edit leads may be a runner's, so none is kept."""
_DONORS: Final = 3
_LONGEST: Final = 400
"""Instructions of a seed with all that it calls."""
_NOT: Final = frozenset(UNREACHED) | {"get_exception_handler_address", "symbol_value", "get_frame_pointer",
                                      "get_stack_pointer", "get_return_address"}  # fmt: skip
"""Opcodes that no seed holds: addresses that nothing else knows, and what no program holds."""


class Seed(NamedTuple):
    """A function of a file, with what it calls: `entry` of `module`. `rows` are the arguments of its run lines."""

    name: str
    module: Module
    entry: int
    rows: tuple[tuple[int, ...], ...] = ()


@dataclass(slots=True)
class Stock:
    """What there is in a folder. `unread`: file -> why it is not read; `left_out`: why functions are not seeds."""

    folder: str
    files: int = 0
    seeds: int = 0
    unread: dict[str, str] = field(default_factory=dict)
    left_out: Counter[str] = field(default_factory=Counter)

    def document(self) -> dict[str, object]:
        """For `--json`."""
        return {
            "folder": self.folder,
            "files": self.files,
            "seeds": self.seeds,
            "unread": dict(self.unread),
            "left_out": dict(self.left_out.most_common()),
        }

    def says(self) -> str:
        """One line for people."""
        line = f"{self.seeds:,} seeds of {self.files:,} files in {self.folder}"
        if self.left_out:
            line += f"; {self.left_out.total():,} functions cannot be seeds ({self.left_out.most_common(1)[0][0]}, …)"
        if self.unread:
            first, why = next(iter(self.unread.items()))
            line += f"; {len(self.unread):,} files are not read: {first} ({why})" + ", …" * (len(self.unread) > 1)
        return line


class Seeds:
    """The seeds of a folder, for a context's ISAs. Files are read when they are first drawn."""

    def __init__(self, folder: Path) -> None:
        self.folder: Final = folder
        self.files: Final = sorted(path for path in folder.rglob("*.clif") if path.is_file())
        if not self.files:
            what = "no .clif file in this folder" if folder.is_dir() else "no such folder"
            raise InputError.at(what, str(folder))

    @cached_property
    def digest(self) -> str:
        """What identifies the files: other ones make other programs."""
        found = hashlib.blake2b(digest_size=6)
        for path in self.files:
            found.update(path.relative_to(self.folder).as_posix().encode())
            found.update(path.read_bytes())
        return found.hexdigest()

    def stock(self, context: Context) -> Stock:
        """Reads all files; InputError if there is no seed in them."""
        stock = Stock(str(self.folder), len(self.files))
        for path in self.files:
            stock.seeds += len(self._usable(path, context, stock))
        if not stock.seeds:
            raise InputError.at(f"no function here can be a seed: {stock.says()}", str(self.folder))
        return stock

    def _usable(self, path: Path, context: Context, stock: Stock | None = None) -> list[Seed]:
        name = path.relative_to(self.folder).as_posix()
        try:
            test = parse_filetest(read_text(path), name)
            found = [_seed(test, number) for number in test.readable()]
        except InputError as error:
            if stock is not None:
                first = error.diagnostics[0]
                stock.unread[name] = f"line {first.line}: {first.message}" if first.line else first.message
            return []
        usable = []
        for one in found:
            why = one if isinstance(one, str) else _objection(one, context)
            if isinstance(one, Seed) and not why:
                usable.append(one)
            elif stock is not None:
                stock.left_out[str(why)] += 1
        return usable

    @lru_cache(maxsize=512)  # noqa: B019  (one object a process)
    def _read(self, at: int, context_key: int) -> list[Seed]:
        return self._usable(self.files[at], self._contexts[context_key])

    @cached_property
    def _contexts(self) -> dict[int, Context]:
        return {}

    def draw(self, random: Random, context: Context) -> Seed:
        """A seed: a file, then one of its functions."""
        self._contexts[id(context)] = context
        while True:
            there = self._read(random.randrange(len(self.files)), id(context))
            if there:
                return random.choice(there)

    def case(self, random: Random, context: Context, slot: int, name: str, tags: Mapping[str, object]) -> Case:
        """One program: of a seed, or of the next if nothing comes of it."""
        for _ in range(SEEDS):
            made = self._edited(random, context, slot, name, {"profile": "seeds", **tags})
            if made is not None:
                return made
        raise ValueError(f"none of {SEEDS} seeds ends soon without showing what CLIF leaves open")

    def _edited(
        self, random: Random, context: Context, slot: int, name: str, tags: Mapping[str, object]
    ) -> Case | None:
        """A seed with edits; as it is, if they fail again and again; None if it cannot be judged itself."""
        seed = self.draw(random, context)
        donors = [function for _ in range(_DONORS) for function in self.draw(random, context).module.functions]
        keep = not random.randrange(KEEPING)
        original = _case(random, seed, context, slot, f"{name} ({seed.name})", tags)
        before = _judged(original) if keep else None
        if keep and before is None:
            return None
        table = context.table(isas_of(original.module, context))
        for _ in range(ATTEMPTS):
            module, edits = mutated(random, original.module, table, donors, keep)
            isas = isas_of(module, context)
            if not edits or not isas or verify(module):
                continue
            made = replace(original, module=module, tags={**original.tags, "isas": isas, "edits": tuple(edits)})
            after = _judged(made)
            if after is None:
                continue
            if before is not None and after.outcomes != before.outcomes:
                raise ValueError(f"edits that keep the meaning changed it: {', '.join(edits)} of {seed.name}")
            return made
        return original if _judged(original) is not None else None


def _seed(test: FileTest, number: int) -> Seed | str:
    """A function of a file with what it calls, in today's dialect; or why it is not a seed."""
    at = test.readable().index(number)
    module = test.module()
    numbers = reachable(module, at)
    functions = [modern(module.functions[place]) for place in numbers]
    if sum(len(block.insts) for function in functions for block in function.blocks) > _LONGEST:
        return f"it has more than {_LONGEST} instructions"
    plain = parse_module(print_module(Module(functions))).functions
    rows = tuple(line.args for line in test.functions[number].run_lines if line.memory is None)
    name = f"{test.file} {test.functions[number].name}"
    return Seed(name, Module([_unpromising(one) for one in plain]), numbers.index(at), rows)


def _unpromising(function: Function) -> Function:
    """Accesses promise nothing any more but their byte order."""

    def plain(inst: Inst) -> Inst:
        if inst.flags == NO_FLAGS or OPCODES[inst.op].address is None:
            return inst
        return replace(inst, flags=MemFlags(endianness=inst.flags.endianness))

    blocks = [replace(block, insts=[plain(inst) for inst in block.insts]) for block in function.blocks]
    return replace(function, blocks=blocks)


def _objection(seed: Seed, context: Context) -> str:
    """Why a function is not a seed, by what can be seen of it."""
    names = [function.name for function in seed.module.functions]
    for function in seed.module.functions:
        if any(ref.name not in names for ref in function.func_refs.values()):
            return "it calls what is not in the file"
        if function.globals or function.preamble:
            return "it has global values"
        if any(param.purpose for param in (*function.signature.params, *function.signature.returns)):
            return "a parameter has a special purpose"
        if held := {inst.op for block in function.blocks for inst in block.insts} & _NOT:
            return f"no program holds {min(held)}"
    if len(set(names)) < len(names):
        return "two functions have one name"
    if verify(seed.module):
        return "it is not well-formed"
    if not isas_of(seed.module, context):
        return "no ISA here has all of its instructions"
    if shows_nan_bits(seed.module, seed.entry) or shows_addresses(seed.module):
        return "it shows what CLIF leaves open"
    return ""


def isas_of(module: Module, context: Context) -> tuple[str, ...]:
    """The ISAs that have every type, instruction and immediate of a module; of big-endian accesses those alone that are
    so themselves. A compiler may take a vector here and there where it has none."""
    types = {ty for function in module.functions for ty in function.types.values()}
    keys, isas = context.keys(), {isa for isa in context.isas if types.issubset(context.table((isa,)).const)}
    for function in module.functions:
        for block in function.blocks:
            for inst in block.insts:
                key = key_of(inst, function.types)
                isas &= set(keys.get(key, ()))
                if inst.flags.endianness == "big":
                    isas &= BIG_ENDIAN
                choices = context.choices(key, tuple(isas)) if isas else None
                if choices is not None and str(inst.imm) not in choices:
                    return ()
    return tuple(isa for isa in context.isas if isa in isas)


def _case(random: Random, seed: Seed, context: Context, slot: int, name: str, tags: Mapping[str, object]) -> Case:
    """A seed with inputs: its run lines', values worth trying, addresses of its data region."""
    params = seed.module.functions[seed.entry].signature.params
    touches = any(
        OPCODES[inst.op].address is not None
        for f in seed.module.functions
        for block in f.blocks
        for inst in block.insts
    )
    pointers = [at for at, param in enumerate(params) if param.type is I64 and random.randrange(4)]
    pool, rows, memories = memory_pool(), [], []
    for run in range(context.inputs):
        row = list(random.choice(seed.rows)) if seed.rows and random.randrange(2) else []
        row = row or [random.choice(runtime_table(param.type)) for param in params]
        base = slot_address(slot + run)
        if touches:
            for at in pointers:
                row[at] = base + 16 * random.randrange(SLOT_SIZE // 32)
            start = random.randrange(len(pool) - SLOT_SIZE)
            memories.append(pool[start : start + SLOT_SIZE])
        rows.append(tuple(row))
    isas = isas_of(seed.module, context)
    orders = {isa in BIG_ENDIAN for isa in isas}
    about = {"isas": isas, "may_trap": True, "endian_sensitive": len(orders) > 1, "file": seed.name}
    return Case(seed.module, seed.entry, tuple(rows), tuple(memories), slot, name, {**about, **tags})


def _judged(case: Case) -> Expected | None:
    """What a program does, in the byte order of its first ISA; None if that is not for comparison."""
    isas = case.tags.get("isas")
    big = isinstance(isas, tuple) and bool(isas) and isas[0] in BIG_ENDIAN
    if shows_nan_bits(case.module, case.entry) or shows_addresses(case.module):
        return None
    found = interpret(case, big, SOON)
    if found.trouble or any(outcome.detail == WILD for outcome in found.outcomes):
        return None
    has_slots = any(function.stack_slots for function in case.module.functions)
    return None if has_slots and _depends_on_its_stack(case, big) else found


def _depends_on_its_stack(case: Case, big: bool) -> bool:
    """Whether it reads what it has not written there, or something leads from one slot into what is beside it."""
    if reads_garbage(case, big, SOON) or any(map(_is_beside_its_slots, case.module.functions)):
        return True
    return any(map(_computes_with_slots, case.module.functions)) and _leaves_its_slots(case, big)


def _is_beside_its_slots(function: Function) -> bool:
    """Whether an access by the address of a slot reaches beyond it, by its offsets."""
    insts = [inst for block in function.blocks for inst in block.insts]
    rooms = {
        inst.results[0]: (inst.offset, function.stack_slots[inst.imm].size)
        for inst in insts
        if inst.op == "stack_addr" and isinstance(inst.imm, int)
    }
    if any(not 0 <= start < size for start, size in rooms.values()):
        return True
    for inst in insts:
        opcode = OPCODES[inst.op]
        if opcode.address is None or opcode.access is None or inst.args[opcode.address] not in rooms:
            continue
        start, size = rooms[inst.args[opcode.address]]
        value = inst.results[0] if opcode.stored is None else inst.args[opcode.stored]
        start += inst.offset
        if start < 0 or start + opcode.access.type_in_memory(function.types[value]).bytes > size:
            return True
    return False


def _computes_with_slots(function: Function) -> bool:
    """Whether anything but an access reads the address of a stack slot."""
    insts = [inst for block in function.blocks for inst in block.insts]
    held = {inst.results[0] for inst in insts if inst.op == "stack_addr"}
    for inst in insts:
        place = OPCODES[inst.op].address
        if held & (values_read(inst) - ({inst.args[place]} if place is not None else set())):
            return True
    return False


def _leaves_its_slots(case: Case, big: bool) -> bool:
    """Whether it depends on where its stack slots lie: an index may lead from one into what is beside it."""
    reference = Reference(case.module, big)
    for number, row in enumerate(case.inputs):
        regions = {slot_address(case.slot + number): case.memories[number]} if case.memories else None
        found = reference.openness(case.entry, row, regions, SOON)
        if found.opening is not None or found.outcome.detail == WILD:
            return True
    return False
