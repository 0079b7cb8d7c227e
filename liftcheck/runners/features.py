"""Which instruction-set extensions a target's settings let the compiler use, and which a runner has.

The one idea: a runner is asked, not believed: every extension has a probe, a few bytes that use it and return; a runner
has the extension if they return. So a newer qemu or another processor is known for what it is. Probes, and presets of
the compiler (haswell, has_c, arch13, …), which stand for their features, are the ISA's (`isa.base.Isa`). Single
instructions of an extension that a runner has except for these: probes.py.
What a runner executes wrongly is another matter: errata.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Final

from liftcheck.case import FunctionCode, Target
from liftcheck.clif.ir import Signature
from liftcheck.isa.base import VECTOR_SIZES, isa_named
from liftcheck.runners.base import Job, Runner
from liftcheck.runners.link import link
from liftcheck.runners.table import runners_of

_ON: Final = frozenset({"true", "1", "on", "yes"})


@cache
def features_of(target: Target) -> frozenset[str]:
    """The extensions that the compiler may use for a target, by their flag's name."""
    found: set[str] = set()
    isa = isa_named(target.isa)
    presets = isa.presets
    for name, value in target.settings:
        if name in presets and (value == "preset" or value in _ON):
            found.update(presets[name].split())
        elif name.startswith("has_") and value in _ON:
            found.add(name)
    return frozenset(found - isa.always)


@cache
def vector_length(target: Target) -> int:
    """The smallest vector register that the target's settings promise, in bits; at least 128."""
    promised, flag = features_of(target), isa_named(target.isa).vector_size
    return max([128, *(bits for bits in VECTOR_SIZES if flag.format(bits) in promised)])


def probe(runner: Runner, vector_bits: int = 128) -> frozenset[str]:
    """The extensions that a runner has."""
    nothing = Signature((), (), "system_v")
    image, isa = link([], runner.isa), isa_named(runner.isa)
    jobs = [Job(FunctionCode(f"%{name}", bytes.fromhex(code)), 0, nothing, [()]) for name, code in isa.probes.items()]
    outcomes = runner.run(image, jobs)
    found = {name for name, (outcome,) in zip(isa.probes, outcomes) if outcome.kind == "returned"}
    if found.intersection(isa.vectors):
        found |= {isa.vector_size.format(bits) for bits in VECTOR_SIZES if bits <= vector_bits}
    found |= {other for name in found for other in isa.implied.get(name, ())}
    return frozenset(found) - isa.unprobed.get(runner.name, frozenset())


def choose_runner(target: Target, available: Mapping[str, frozenset[str]]) -> tuple[list[str], str]:
    """The runners that have all of a target's extensions, best first, and why there is none (or '').

    `available` maps a runner's name to what it has on the target's ISA.
    """
    wanted = features_of(target)
    able = [name for name in runners_of(target.isa) if name in available and wanted <= available[name]]
    if able:
        return able, ""
    if not available:
        return [], f"no runner for {target.isa}"
    missing = min((wanted - have for have in available.values()), key=len)
    return [], f"no runner here has {', '.join(sorted(missing))}"
