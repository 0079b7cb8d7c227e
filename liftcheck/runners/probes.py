"""Which instructions of an extension a runner lacks that has the extension: each is executed once.

The one idea: an extension is not had or lacked as a whole. So beside the probe that tells whether a runner has one
(features.py), every instruction that Cranelift emits under an extension has a probe of its own: the instruction and a
return. What does not come back, the runner lacks; a program for a target with that extension that has such an
instruction is for another runner, or is undecided with the instruction's name.

Probes are written in stubs/probes-ISA.txt and assembled by ci/stubs/assemble.py; an ISA may make more of its tables
(`Isa.more_probes`). One that is not listed is still named when a run stops at it (`BaseRunner`), and no finding.
What it does not do: it does not look at results (errata.py).
"""

from __future__ import annotations

import json
from collections.abc import Container, Iterator, Sequence
from functools import cache
from importlib import resources
from typing import NamedTuple

from liftcheck.case import FunctionCode
from liftcheck.clif.ir import Signature
from liftcheck.isa.base import isa_named
from liftcheck.mach.capstone import exactly
from liftcheck.mach.insn import LONGEST, decode
from liftcheck.runners.base import Job, Runner
from liftcheck.runners.link import link


class Probe(NamedTuple):
    """An instruction: the extensions under which it is emitted, its name, a function that executes it."""

    needs: frozenset[str]
    name: str
    code: bytes


class Lack(NamedTuple):
    """An instruction that a runner lacks though it has the extensions."""

    needs: frozenset[str]
    name: str


@cache
def probes(isa: str) -> tuple[Probe, ...]:
    """All probes of an ISA."""
    data = json.loads(resources.files("liftcheck.runners").joinpath("stubs", "probes.json").read_text())
    value = isa_named(isa)
    back, more = bytes.fromhex(value.ret), value.part(value.more_probes)
    listed = [
        Probe(frozenset(needs.split("+")), [*_names(isa, bytes.fromhex(code))][-1], bytes.fromhex(code) + back)
        for needs, code in data[isa]
    ]
    return (*listed, *(Probe(*one) for one in (more() if more else ())))


def _names(isa: str, code: bytes) -> Iterator[str]:
    """The names of instructions. A compressed one is read as what it stands for, but is another one to a runner;
    of what no row has, Capstone may know the name, and its size."""
    at, compressed = 0, isa_named(isa).compressed
    while at < len(code):
        machine = decode(isa, code, at, at + 1)[0]
        size, name = machine.size, machine.name
        if not machine.known:
            found = next(exactly(isa).disasm_lite(code[at : at + LONGEST], 0, 1), None)
            size, name = (size, name) if found is None else (found[1], found[2])
        yield f"c.{name}" if compressed and size == 2 else name
        at += size


def lacks(runner: Runner, has: frozenset[str]) -> tuple[Lack, ...]:
    """What a runner lacks of the extensions that it has."""
    asked = [probe for probe in probes(runner.isa) if probe.needs <= has]
    nothing = Signature((), (), "system_v")
    jobs = [Job(FunctionCode(f"%probe{number}", probe.code), 0, nothing, [()]) for number, probe in enumerate(asked)]
    outcomes = runner.run(link([], runner.isa), jobs)
    missing = [probe for probe, (outcome,) in zip(asked, outcomes) if outcome.kind != "returned"]
    return tuple(dict.fromkeys(Lack(probe.needs, probe.name) for probe in missing))


def first_lacking(isa: str, names: Container[str], program: Sequence[FunctionCode]) -> str:
    """The first of these names that an instruction of the program has, or ''."""
    return next((name for function in program for name in _names(isa, function.code) if name in names), "")
