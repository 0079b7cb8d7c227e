"""Targets out of `--isa`, `--opt` and `--set`, checked against what the compiler knows; and a compiler that is closed.

A setting is applied on every ISA that has it; one that no chosen ISA has is an error with the nearest names.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from liftcheck.case import Target
from liftcheck.compilers.base import Compiler, Setting, UnknownSetting
from liftcheck.compilers.registry import open_compiler


@contextmanager
def opened(spec: str) -> Iterator[Compiler]:
    """A compiler for as long as it is needed."""
    compiler = open_compiler(spec)
    try:
        yield compiler
    finally:
        compiler.close()


def make_targets(compiler: Compiler, isas: Sequence[str], levels: Sequence[str],
                 settings: Sequence[tuple[str, str]]) -> list[Target]:
    """One target for each ISA and level, ISAs first; UnknownSetting if no ISA has a setting."""
    known = {isa: compiler.settings(isa) for isa in isas}
    for name, _ in settings:
        if not any(name in there for there in known.values()):
            raise UnknownSetting(_unknown(compiler, isas, known, name), name)
    return [_target(isa, level, settings, known[isa]) for isa in isas for level in levels or ("",)]


def _target(isa: str, level: str, settings: Sequence[tuple[str, str]], known: dict[str, Setting]) -> Target:
    chosen = {"opt_level": level} if level else {}
    chosen |= {name: _value(known[name], value) for name, value in settings if name in known}
    return Target(isa, tuple(sorted(chosen.items())))


def _value(setting: Setting, value: str) -> str:
    """A preset that is named alone is applied; it has no other value."""
    return "preset" if setting.kind == "preset" and value == "true" else value


def _unknown(compiler: Compiler, isas: Sequence[str], known: dict[str, dict[str, Setting]], name: str) -> str:
    names = sorted({name for there in known.values() for name in there})
    near = difflib.get_close_matches(name, names, 3)
    hint = f"; did you mean {' or '.join(near)}?" if near else f" (there are {len(names)}: {', '.join(names[:12])}, …)"
    return f"{compiler.name} has no setting '{name}' on {', '.join(isas)}{hint}"
