"""Which (opcode, type) a compiler has on an ISA: asked of the compiler once per build and settings, then kept on disk.

The one idea: the compiler is the authority on its own gaps. Every probe (`probes.py`) is compiled, at both optimization
levels; what is refused is a row with the compiler's reason, and no program is generated that needs it. A panic that is
no known face of a missing lowering is a row too, and stands in `panics`.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from liftcheck.case import CompileFailure, Target
from liftcheck.compilers.base import Compiler, Reply, cache_folder
from liftcheck.compilers.probes import Probe, probes
from liftcheck.compilers.registry import OWN, name_of
from liftcheck.errors import Unsupported

LEVELS: Final = ("none", "speed")
_BATCH: Final = 128
Settings = Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Matrix:
    """What a compiler has on one ISA under some settings.

    lacks    key -> reason, for every key that was asked for and that the compiler cannot do
    invalid  key -> complaint, where its verifier refuses the typing itself: no gap, it means nothing there
    has      the keys that compile, all of their conditions, operations or lanes
    choices  key -> the conditions, operations or lanes that compile, for keys of which only some do (also in `lacks`)
    panics   key -> message, where the refusal was a panic that is not a known face of a missing lowering
    """

    compiler: str
    target: Target
    has: frozenset[str]
    lacks: Mapping[str, str]
    choices: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    panics: Mapping[str, str] = field(default_factory=dict)
    invalid: Mapping[str, str] = field(default_factory=dict)

    def __contains__(self, key: object) -> bool:
        return key in self.has

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self.has))

    def __len__(self) -> int:
        return len(self.has)

    def reason(self, key: str) -> str:
        """Why `key` is not there; '' if it is."""
        if key in self.has:
            return ""
        return self.lacks.get(key) or self.invalid.get(key, "unknown to this version")


def common(one: Matrix, other: Matrix) -> Matrix:
    """What two compilers both have: programs within it are for either."""
    has = one.has & other.has
    partial = {
        key: _shared(one.choices.get(key), other.choices.get(key))
        for key in (one.choices.keys() | other.choices.keys()) - has
        if all(key in side.has or key in side.choices for side in (one, other))
    }
    lacks = {**other.lacks, **one.lacks}
    invalid, panics = {**other.invalid, **one.invalid}, {**other.panics, **one.panics}
    choices = {key: some for key, some in partial.items() if some}
    return Matrix(f"{one.compiler}, {other.compiler}", one.target, has, lacks, choices, panics, invalid)


def _shared(some: tuple[str, ...] | None, others: tuple[str, ...] | None) -> tuple[str, ...]:
    """Those in both; None stands for all."""
    if some is None or others is None:
        return some or others or ()
    return tuple(one for one in some if one in others)


def load(compiler: Compiler, isa: str, settings: Settings = ()) -> Matrix:
    """The matrix of `compiler` on `isa` under `settings` (the optimization level is not looked at)."""
    plain = tuple(sorted(pair for pair in settings if pair[0] != "opt_level"))
    target = Target(isa, plain)
    asked = probes(_version(compiler))
    path = _path(compiler, target, asked)
    found = _read(path, compiler, target) if path else None
    if found is None:
        found = ask(compiler, target, asked)
        if path:
            _write(path, found)
    return found


def _version(compiler: Compiler) -> tuple[int, ...]:
    """A compiler that is not Cranelift numbers its versions as it likes: then all opcodes are asked for."""
    if name_of(compiler.name) != OWN:
        return (99,)
    return tuple(int(part) for part in compiler.version.split("-")[0].split(".")[:3])


def ask(compiler: Compiler, target: Target, asked: Sequence[Probe]) -> Matrix:
    """Asks the compiler itself."""
    answers = _compile(compiler, target, [probe.text for probe in asked])
    again = [place for place, answer in enumerate(answers) if answer is not None and asked[place].by_memory]
    for place, answer in zip(again, _compile(compiler, target, [asked[place].by_memory for place in again])):
        if answer is None:
            answers[place] = None
    return _sorted(compiler, target, asked, answers)


def _compile(compiler: Compiler, target: Target, texts: Sequence[str]) -> list[CompileFailure | None]:
    """For each text its first failure among the levels, or None."""
    targets = [Target(target.isa, tuple(sorted((*target.settings, ("opt_level", level))))) for level in LEVELS]
    answers: list[CompileFailure | None] = []
    for start in range(0, len(texts), _BATCH):
        columns = compiler.compile_text("".join(texts[start : start + _BATCH]), targets)
        answers += [_failure(replies) for replies in zip(*columns)]
    return answers


def _failure(replies: Iterable[Reply]) -> CompileFailure | None:
    return next((reply for reply in replies if isinstance(reply, CompileFailure)), None)


def _sorted(
    compiler: Compiler, target: Target, asked: Sequence[Probe], answers: Sequence[CompileFailure | None]
) -> Matrix:
    lacks: dict[str, str] = {}
    panics: dict[str, str] = {}
    invalid: dict[str, str] = {}
    good: dict[str, list[str]] = {}
    for probe, answer in zip(asked, answers):
        if answer is None:
            good.setdefault(probe.key, []).append(probe.choice)
            continue
        kind = "" if answer.kind in ("unsupported", "input") else f"{answer.kind}: "
        (invalid if answer.kind == "input" else lacks).setdefault(probe.key, kind + answer.reason)
        if answer.is_finding:
            panics.setdefault(probe.key, f"{answer.message} ({answer.place})")
    partly = {key: tuple(choices) for key, choices in good.items() if key in lacks}
    has = frozenset(good) - lacks.keys() - invalid.keys()
    return Matrix(compiler.name, target, has, lacks, partly, panics, invalid)


# -- on disk


def _path(compiler: Compiler, target: Target, asked: Sequence[Probe]) -> Path | None:
    """Where the answer is kept; None for a compiler that does not say what identifies its build."""
    key = getattr(compiler, "cache_key", "")
    if not key:
        return None
    digest = hashlib.sha256(f"{key}\0{target}\0{_digest(tuple(asked))}".encode()).hexdigest()[:24]
    return cache_folder() / "matrix" / f"{target.isa}-{digest}.json"


def _digest(asked: tuple[Probe, ...]) -> str:
    state = hashlib.sha256()
    for probe in asked:
        state.update("\0".join(probe).encode())
    return state.hexdigest()


def _read(path: Path, compiler: Compiler, target: Target) -> Matrix | None:
    """None if there is nothing or not what was written: then it is asked again."""
    try:
        data = json.loads(path.read_text())
        choices = {key: tuple(names) for key, names in data["choices"].items()}
        return Matrix(
            compiler.name, target, frozenset(data["has"]), data["lacks"], choices, data["panics"], data["invalid"]
        )
    except (OSError, ValueError, KeyError, AttributeError):
        return None


def _write(path: Path, matrix: Matrix) -> None:
    """A full disk costs a second per start and nothing else."""
    data = {
        "compiler": matrix.compiler,
        "target": str(matrix.target),
        "has": sorted(matrix.has),
        "lacks": dict(matrix.lacks),
        "choices": dict(matrix.choices),
        "panics": dict(matrix.panics),
        "invalid": dict(matrix.invalid),
    }
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent)
        with os.fdopen(handle, "w") as file:
            json.dump(data, file)
        Path(name).replace(path)


def table(compiler: Compiler, isas: Sequence[str], settings: Settings = ()) -> dict[str, Matrix]:
    """The matrices of several ISAs; settings that one does not know are left out there, if another knows them."""
    found = {}
    known = {isa: compiler.settings(isa) for isa in isas}
    for name, _ in settings:
        if not any(name in names for names in known.values()):
            raise Unsupported(f"no ISA of {', '.join(isas)} has a setting '{name}'")
    for isa in isas:
        found[isa] = load(compiler, isa, [pair for pair in settings if pair[0] in known[isa]])
    return found
