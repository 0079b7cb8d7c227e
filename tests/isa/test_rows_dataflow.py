"""What the rows say an instruction reads, writes and accesses is what the reader says that validation stands upon."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from random import Random
from typing import Any

import pytest
from support.examples import many, sparse

from liftcheck.isa import ISAS
from liftcheck.isa.base import isa_named
from liftcheck.mach.insn import BRANCH, CALL, FLAGS, JUMP, MEMORY, PC, RETURN, TRAP, Insn, decode
from liftcheck.mach.regs import NONE
from liftcheck.mach.rows.bench import Bench
from liftcheck.mach.rows.evaluate import Runnable
from liftcheck.mach.rows.table import Lifted, reads
from liftcheck.oracles.rows.instances import drawn

ALREADY: dict[str, dict[str, str]] = {
    # Their tail is agnostic; the reader takes it for merged, since Cranelift gives such instructions an old value.
    "riscv64": {"reads": r"vmv\.s\.x|vfmv\.s\.f|vf?slide1up\.v.|vf?w?red.*"},
    # Pointer authentication is off in a process that has not asked for it, and moves nothing; prefetches have an
    # address; conditions that always hold, and their kin where both ways are the same, name flags.
    "aarch64": {"reads": r"(pac|aut)i[ab](sp|z)|reta[ab]|xpaclri|prfu?m", "flags": r"b\.(al|nv)|f?cs.*|ccm[np]"},
    # A comparison that is always false has operands; leave takes rsp in its stride; no-operations have an address. A
    # shift by nothing keeps the flags, which no compiler counts upon.
    "x86-64": {"reads": r"vcmp(false|true).*|leave|nop", "flags": r"ro[lr]|s[ha][lr]d?"},
    # A store that may not happen keeps what was there. Constants in the code are jumped over with bras.
    "s390x": {"memory": r"stocg?.*", "flow": r"bras|debugtrap"},
}
"""What of which rows is known to be said in another way."""
FLAGS_OF = {"x86-64": {"zf", "cf", "of", "sf", "pf", "af"}, "aarch64": {"n", "z", "c", "v"}, "s390x": {"cc"}}
FLOWS = {JUMP: "jump", BRANCH: "jump", CALL: "call", RETURN: "return", TRAP: "trap"}


def of_row(isa: str, one: Bench, lifted: Lifted) -> dict[str, Any]:
    """Registers read and written, whether memory and flags are, where control goes: by the row."""
    effects = lifted.effects
    assert effects is not None
    read, written = reads(effects, one.table.registers), set(effects.writes)
    traps = any(trap.when.prim == "const" for trap in effects.traps)
    flags = FLAGS_OF.get(isa, set())
    return {
        "reads": {place for place in read if isinstance(place, int)},
        "writes": {place for place in written if isinstance(place, int)},
        "memory": (bool(effects.loads), bool(effects.stores)),
        "flags": (bool(read & flags), bool(written & flags)),
        "flow": effects.jumps[0].kind if effects.jumps else "trap" if traps else None,
    }


def of_reader(known: Insn, read: set[int]) -> dict[str, Any]:
    """The same by the reader. A register of which a part stays is read by the row, where that part is something."""
    return {
        "reads": {p for p in known.reads | known.kept & read if p >= 0},
        "writes": {p for p in known.writes if p >= 0},
        "memory": (MEMORY in known.reads, MEMORY in known.writes),
        "flags": (FLAGS in known.reads, FLAGS in known.writes),
        "flow": FLOWS.get(known.flow),
    }


def cases(isa: str, each: int) -> Iterator[tuple[Bench, Lifted]]:
    """Random instructions of each row."""
    draw = Random(1)
    for one in isa_named(isa).part(isa_named(isa).bench)():
        contexts = [context for context, _ in one.contexts if _usual(context)]
        for row in one.rows():
            for _ in range(each if row.base is None else 0):
                decoded = drawn(one, row, draw)
                lifted = decoded and one.table.lift(decoded, draw.choice(contexts))
                if lifted is not None and lifted.effects is not None:
                    yield one, lifted


def differences(
    isa: str, each: int, read: Callable[[bytes], Insn]
) -> tuple[int, list[tuple[str, str, object, object]]]:
    """How many instructions were compared, and where row and reader differ: text, what, row's, reader's."""
    found, compared = [], 0
    for one, lifted in cases(isa, each):
        known = read(lifted.decoded.data)
        if not known.known or re.search(r"\b(zero|[wx]zr)\b", lifted.decoded.text):
            continue  # what is lost, or a constant, has its operands in the reader's lists
        compared += 1
        row = of_row(isa, one, lifted)
        theirs = of_reader(known, row["reads"])
        for what, ours in row.items():
            already = re.fullmatch(ALREADY[isa].get(what, "-"), lifted.decoded.row.name)
            if ours != theirs[what] and not already:
                found.append((lifted.decoded.text, what, ours, theirs[what]))
    return compared, found


@pytest.mark.parametrize("isa", ISAS)
def test_dataflow_is_the_readers(isa: str) -> None:
    compared, differ = differences(isa, many(4), lambda data: decode(isa, data)[0])
    assert compared > many(2000)
    assert differ == []


IMPLICIT = r"call|data16|leave|pop(fq)?|push|ret"
"""x86-64's, whose accesses of the stack are not operands; `data16` pads a call."""


def touched(one: Bench, lifted: Lifted, draw: Random) -> tuple[dict[int, int], set[int], set[int]] | None:
    """In a random state: the registers that were read, the bytes loaded, the bytes stored; None if it traps."""
    registers: dict[Any, int] = {}
    loaded: set[int] = set()

    def read(place: Any) -> int:
        known = place in one.table.registers
        return registers.setdefault(place, draw.getrandbits(min(one.table.registers.width(place), 40) if known else 40))

    def memory(address: int, size: int) -> int:
        loaded.update(range(address, address + size))
        return draw.getrandbits(8 * size)

    assert lifted.effects is not None
    outcome = Runnable(lifted.effects, one.table.registers).run(read, memory, 0)
    stored = {at for address, size, _ in outcome.stores for at in range(address, address + size)}
    return None if outcome.trap else (registers, loaded, stored)


def in_operands(known: Insn, registers: dict[int, int]) -> tuple[set[int], set[int]]:
    """The bytes that the reader's memory operands name, read and written."""
    read: set[int] = set()
    written: set[int] = set()
    for access in known.accesses:
        base = registers.get(access.base, 0)
        at = base + access.displacement & (1 << 64) - 1
        read |= set(range(at, at + access.size)) if access.read else set()
        written |= set(range(at, at + access.size)) if access.written else set()
    return read, written


@pytest.mark.parametrize("isa", sparse(ISAS, 2, 1))
def test_memory_operands_are_the_rows(isa: str) -> None:
    """Base, displacement, size; all of it, unless the access depends on something."""
    draw, differ, compared = Random(2), [], 0
    for one, lifted in cases(isa, many(3)):
        known, effects = decode(isa, lifted.decoded.data)[0], lifted.effects
        simple = known.known and all(a.scaled == NONE and a.base != PC for a in known.accesses)
        found = touched(one, lifted, draw) if simple and effects and (effects.loads or effects.stores) else None
        if found is None or (isa == "x86-64" and re.fullmatch(IMPLICIT, lifted.decoded.row.name)):
            continue
        compared += 1
        whole = not lifted.decoded.text.split()[0].endswith(".v")  # riscv64's have as many elements as vl says
        whole = whole and all(x.when.prim == "const" for x in (*effects.loads, *effects.stores))
        registers, *ours = found
        theirs = in_operands(known, registers)
        if any(a != b and (whole or not a <= b) for a, b in zip(ours, theirs)):
            differ.append((lifted.decoded.text, known.accesses))
    assert compared > many(50)
    assert differ == []


@pytest.mark.parametrize("isa", sparse(ISAS, 2))
def test_a_reader_that_forgets_is_seen(isa: str) -> None:
    """A read, a write, an access, flags: each that is left out is noticed."""
    for what in ("reads", "writes"):
        for kind in (lambda p: p >= 0, lambda p: p == MEMORY, lambda p: p == FLAGS):
            if isa == "riscv64" and kind(FLAGS):
                continue

            def forget(data: bytes, what: str = what, kind: Callable[[int], bool] = kind) -> Insn:
                known = decode(isa, data)[0]
                left = frozenset(p for p in getattr(known, what) if not kind(p))
                return known._replace(**{what: left}, kept=frozenset())

            assert differences(isa, 1, forget)[1]


def _usual(context: object) -> bool:
    """All elements; the tail is agnostic, what a mask leaves out is not: the reader takes that for merged."""
    return getattr(context, "vl", -1) in (-1, getattr(context, "lanes", -1)) and getattr(context, "vtype", -1) in (
        -1, *(0x40 | width << 3 for width in range(4)),
    )  # fmt: skip
