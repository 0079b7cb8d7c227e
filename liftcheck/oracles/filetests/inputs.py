"""Runs for a function of which nothing is known but its text: arguments, memory, and callees that are not in the file.

The one idea: a function is observable by what it returns, by one region of memory and by what it calls. Its pointers
lead into areas of the region, far from one another, whose first words lead on into areas of their own; a callee is a
stub that writes its arguments into a log in the same region, answers with bytes of a pool, and in some runs adds one to
every word of the areas, as a callee may. So the order of calls and what they are given shows in memory afterwards.
Integers are values worth trying and the function's own constants with their neighbours.
A function that says by flags what its accesses cannot meet (alias regions, `readonly`, `can_move`) gets no pointers
that meet, and no callee that writes.
It does not run or compare anything (`meaning`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from random import Random
from typing import Final, NamedTuple
from zlib import crc32

from liftcheck import layout
from liftcheck.clif.ir import Function, Signature
from liftcheck.clif.opcodes import INDIRECT_CALLS, OPCODES
from liftcheck.clif.text.parser import parse_module
from liftcheck.clif.text.printer import print_function, signature_text
from liftcheck.clif.types import I64, Type
from liftcheck.clif.values import floats, integers, memory_pool, runtime_table
from liftcheck.interp.libcalls import NAMES

RUNS: Final = 48
"""Runs of a function that takes arguments; one that takes none has two."""
SPECIAL: Final = 36
"""So many of the values worth trying are tried more often: NaNs and infinities among floats, bounds among integers."""
VARIANTS: Final = 8
"""Different contents of memory."""
BASE: Final = layout.DATA
AREA: Final = 0x1000
AREAS: Final = 8
WITHIN: Final = 0x400
"""Where in its area a pointer leads, so that there is something below it too."""
WORDS: Final = 16
NEXT: Final = AREAS * AREA
NEXT_SIZE: Final = 0x80
"""The first words of each area lead to areas of this size after them all."""
POOL: Final = NEXT + AREAS * WORDS * NEXT_SIZE
LOG: Final = POOL + 0x1000
LOG_SIZES: Final = tuple(0x4000 << n for n in range(10))
"""The smallest is taken in which every call instruction has room once; without limit it would outgrow the arena."""
ENTRY: Final = 16
"""Bytes of the log for each argument, and for the name of a callee."""
PARAMS: Final = 200
"""The number of a stub's first parameter, above those that its own lines have."""
_NOTHING: Final = Signature((), ())


class Run(NamedTuple):
    """The arguments and the content of the region at `BASE`."""

    args: tuple[int, ...]
    memory: bytes


class Traits(NamedTuple):
    """What of a function decides about its runs: whether its flags promise that accesses do not meet, whether it can
    touch memory or call, its constants, and the bytes that its calls log."""

    promises: bool
    memory: bool
    constants: tuple[int, ...]
    logged: int


def stubs(functions: Sequence[Function]) -> list[Function]:
    """A stub for every function and symbol that is named and is not among these, except for library routines."""
    known = {function.name for function in functions}
    missing: dict[str, Signature] = {}
    signature = next((found for function in functions for found in indirect(function)), _NOTHING)
    for function in functions:
        named = [(ref.name, function.signatures[ref.sig]) for ref in function.func_refs.values()]
        named += [(str(parsed[1]), signature) for parsed in function.globals.values() if parsed[0] == "symbol"]
        for name, signature in named:
            if name not in known and name[1:] not in NAMES:
                missing.setdefault(name, signature)
    return [_stub(name, signature) for name, signature in missing.items()]


def indirect(function: Function) -> list[Signature]:
    """The signatures under which a function calls addresses."""
    found = [
        inst.table.sig if inst.table is not None else inst.imm
        for block in function.blocks
        for inst in block.insts
        if inst.op in INDIRECT_CALLS
    ]
    return list(dict.fromkeys(function.signatures[number] for number in found if isinstance(number, int)))


def targets(function: Function) -> list[Function]:
    """A stub for each of these signatures: what addresses among the arguments may lead to."""
    return [_stub(f"%target{number}", signature) for number, signature in enumerate(indirect(function))]


def _stub(name: str, signature: Signature) -> Function:
    """A callee that logs its name and arguments, and answers out of the pool."""
    params = [f"v{PARAMS + n}" for n in range(len(signature.params))]
    typed = [f"{value}: {param.type.name}" for value, param in zip(params, signature.params, strict=True)]
    lines = [
        f"function {name}{signature_text(signature, 'fast')} {{",
        f"block0({', '.join(typed)}):",
        f"    v100 = iconst.i64 {BASE + LOG}",
        "    v101 = load.i64 v100",
        f"    v102 = iconst.i64 {crc32(name.encode())}",
        "    store v102, v101",
    ]
    lines += [f"    store {value}, v101+{ENTRY * n}" for n, value in enumerate(params, 1)]
    lines += [
        f"    v103 = iconst.i64 {ENTRY * (len(params) + 1)}",
        "    v104 = iadd v101, v103",
        "    store v104, v100",
        "    v105 = load.i64 v100+8",
        f"    v106 = iconst.i64 {BASE}",
        "    brif v105, block1(v106), block2",
        "block1(v107: i64):",
        "    v108 = load.i64 v107",
        "    v109 = iconst.i64 1",
        "    v110 = iadd v108, v109",
        "    store v110, v107",
        "    v111 = iconst.i64 8",
        "    v112 = iadd v107, v111",
        f"    v113 = iconst.i64 {BASE + NEXT}",
        "    v114 = icmp ult v112, v113",
        "    brif v114, block1(v112), block2",
        "block2:",
        "    v115 = iconst.i64 2032",
        "    v116 = band v101, v115",
        f"    v117 = iconst.i64 {BASE + POOL}",
        "    v118 = iadd v117, v116",
    ]
    results = [f"v{PARAMS + len(params) + n}" for n in range(len(signature.returns))]
    lines += [
        f"    {value} = load.{param.type.name} v118+{72 * n % 2048}"
        for n, (value, param) in enumerate(zip(results, signature.returns))
    ]
    return parse_module("\n".join([*lines, f"    return {', '.join(results)}", "}"])).functions[0]


def traits(function: Function) -> Traits:
    """See `Traits`."""
    constants: dict[int, None] = {}
    promises = memory = False
    logged = 0
    for block in function.blocks:
        for inst in block.insts:
            promises |= bool(inst.flags.region or inst.flags.readonly or inst.flags.can_move)
            opcode = OPCODES[inst.op]
            memory |= opcode.can_load or opcode.can_store or opcode.is_call
            logged += ENTRY * (len(inst.args) + 1) if opcode.is_call else 0
            number = inst.imm[-1] if isinstance(inst.imm, tuple) and inst.op == "icmp_imm" else inst.imm
            if isinstance(number, int) and inst.type is not None and inst.type.is_int:
                constants.update(dict.fromkeys((number, number + 1, number - 1, -number)))
    return Traits(promises, memory, tuple(constants), logged)


def runs(function: Function, big_endian: bool, entries: Sequence[int] = ()) -> Iterator[Run]:
    """The runs of a function, the same each time. `entries`: addresses of functions that it may call."""
    random = Random(print_function(function))
    found = traits(function)
    plain = not function.signature.params
    size = LOG + next((size for size in LOG_SIZES if size >= found.logged), LOG_SIZES[-1])
    for number in range(2 if plain else RUNS):
        style = number % 4
        if style == 3 and found.promises:
            style = 0
        args = tuple(
            _argument(n, param.type, param.purpose, style, found, entries, random)
            for n, param in enumerate(function.signature.params)
        )
        writes = number % 8 >= 4 and not found.promises
        yield Run(args, _memory(number % VARIANTS, big_endian, writes, size) if found.memory else b"")


def _argument(
    place: int, ty: Type, purpose: str, style: int, found: Traits, entries: Sequence[int], random: Random
) -> int:
    """Styles: 0 pointers into different areas, 1 values, 2 either, 3 pointers that meet."""
    if entries and ty is I64 and not purpose and random.randrange(2):
        return random.choice(entries)
    pointer = ty is I64 and (purpose or style == 0 or (style >= 2 and random.randrange(3)))
    if pointer and style == 3:
        return BASE + WITHIN + random.choice((0, 0, 0, 8, 4, 16, 1, AREA))
    if pointer:
        return BASE + place % AREAS * AREA + WITHIN
    if not random.randrange(3):
        return random.choice(runtime_table(ty))
    special = floats(ty.lane_bits)[:SPECIAL] if ty.is_float else integers(ty.lane_bits)[:SPECIAL]
    if found.constants and not ty.is_float and random.randrange(2):
        special = [constant & ty.lane_mask for constant in found.constants]
    return sum(random.choice(special) << ty.lane_bits * lane for lane in range(ty.lanes))


@lru_cache(maxsize=64)
def _memory(variant: int, big_endian: bool, writes: bool, size: int) -> bytes:
    """The region: boundary values everywhere; in every other variant the first words of each area are pointers; the log
    is empty."""
    random, pool = Random(variant), memory_pool()
    content = bytearray()
    while len(content) < size:
        start = random.randrange(0, len(pool) - AREA, 16)
        content += pool[start : start + AREA]
    del content[size:]
    words = {LOG: BASE + LOG + 16, LOG + 8: int(writes)}
    if variant % 2 == 0:
        words |= {
            area * AREA + WITHIN + 8 * word: BASE + NEXT + (area * WORDS + word) * NEXT_SIZE
            for area in range(AREAS)
            for word in range(WORDS)
        }
    for at, word in words.items():
        content[at : at + 8] = word.to_bytes(8, "big" if big_endian else "little")
    return bytes(content)
