"""What a file is compiled for: its own `target` lines with their settings, unless the command line says otherwise.

The one idea: a file that names targets is compiled for these with exactly the settings that it states, as upstream's
filetests are; one that names none for the ISAs asked for, with its `set` lines on top of liftcheck's own defaults. An
option overrides what the file says, and every override is a sentence in `notes`, so that none is taken for the
other. What the compiler lacks (a setting of another version) is not an error here but a refusal of that target.
Sources: cranelift-reader 0.135 `parse_target_specs`.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final, NamedTuple, TypeVar

from liftcheck.case import CompileFailure, Target
from liftcheck.clif.text.filetest import FileTarget, FileTest, Settings
from liftcheck.compilers.base import Compiler, Reply, Setting, UnknownSetting
from liftcheck.compilers.cranelift.client import DEFAULTS, Cranelift
from liftcheck.errors import Unsupported
from liftcheck.isa import ISAS

LEVEL: Final = "opt_level"
_Answer = TypeVar("_Answer")


class Wish(NamedTuple):
    """What the command line asks for; () where it is silent."""

    isas: tuple[str, ...] = ()
    levels: tuple[str, ...] = ()
    settings: Settings = ()


class Choice(NamedTuple):
    """The targets, in the file's order.

    exact      the file states them, so no default of liftcheck's is added
    overrides  what options override in the file
    outside    its target lines that name no ISA of liftcheck
    """

    targets: list[Target]
    exact: bool
    overrides: tuple[str, ...] = ()
    outside: tuple[FileTarget, ...] = ()

    @property
    def notes(self) -> list[str]:
        """What is not as the file says."""
        return [
            *self.overrides,
            *(f"line {target.line} is left out: not an ISA of liftcheck: {target.triple}" for target in self.outside),
        ]


def choose(compiler: Compiler, test: FileTest, wish: Wish, only_filter: bool = False) -> Choice:
    """The targets of a file. An ISA that is asked for and that the file does not name gets the file's `set` lines and
    liftcheck's defaults; with `only_filter` (many files, one command line) nothing. UnknownSetting if none of the ISAs
    of a single file has a setting that is asked for."""
    outside = tuple(target for target in test.targets if target.isa not in ISAS)
    exact = bool(test.targets)
    rows = list(_rows(compiler, test, wish.isas, only_filter))
    if not only_filter:
        check_settings(compiler, list(dict.fromkeys(isa for isa, _ in rows)) or ISAS, wish.settings)
    levels = wish.levels or (() if exact or dict(test.settings).get(LEVEL) else ("speed",))
    targets = [
        _target(compiler.settings(isa), isa, settings, level, wish.settings)
        for isa, settings in rows
        for level in levels or ("",)
    ]
    return Choice(list(dict.fromkeys(targets)), exact, tuple(_notes(test, wish, rows)), outside)


def _rows(compiler: Compiler, test: FileTest, isas: Sequence[str], only_filter: bool) -> Iterator[tuple[str, Settings]]:
    """(ISA, settings) for each target before options change the settings."""
    if not test.targets:
        yield from ((isa, test.settings) for isa in isas or ISAS)
        return
    yield from (
        (target.isa, target.settings)
        for target in test.targets
        if target.isa in ISAS and (not isas or target.isa in isas)
    )
    if only_filter:
        return
    named = {target.isa for target in test.targets}
    shared = list(dict.fromkeys(target.shared for target in test.targets))
    for isa in isas:
        if isa not in named:
            yield from ((isa, as_given(compiler, Target(isa, settings)).settings) for settings in shared)


def _target(known: dict[str, Setting], isa: str, settings: Settings, level: str, wanted: Settings) -> Target:
    chosen = dict(settings) | ({LEVEL: level} if level else {})
    chosen |= {name: value for name, value in wanted if name in known}
    return Target(isa, tuple(sorted((name, value_of(known.get(name), value)) for name, value in chosen.items())))


def value_of(setting: Setting | None, value: str) -> str:
    """A preset that is named alone is applied; what is not a preset and named alone is switched on."""
    if setting is None or value not in ("true", "preset"):
        return value
    return "preset" if setting.kind == "preset" else "true"


def _notes(test: FileTest, wish: Wish, rows: Sequence[tuple[str, Settings]]) -> Iterator[str]:
    """What an option changes in what the file says."""
    named = list(dict.fromkeys(target.isa for target in test.targets if target.isa in ISAS))
    left = [isa for isa in named if wish.isas and isa not in wish.isas]
    if left:
        yield f"--isa leaves out targets of the file: {', '.join(left)}"
    added = [isa for isa in dict.fromkeys(isa for isa, _ in rows) if test.targets and isa not in named]
    if added:
        yield f"--isa adds to the file's targets: {', '.join(added)} (with its 'set' lines)"
    if wish.levels:
        yield from _overrides("--opt", rows, [(LEVEL, level) for level in wish.levels])
    yield from _overrides("--set", rows, wish.settings)


def _overrides(option: str, rows: Sequence[tuple[str, Settings]], wanted: Iterable[tuple[str, str]]) -> Iterator[str]:
    values: dict[str, list[str]] = {}
    for name, value in wanted:
        values.setdefault(name, []).append(value)
    for name, new in values.items():
        old = list(dict.fromkeys(dict(settings)[name] for _, settings in rows if name in dict(settings)))
        if old and old != new:
            yield f"{option} {name}={','.join(new)} overrides the file's {name}={','.join(old)}"


def make_targets(compiler: Compiler, isas: Sequence[str], levels: Sequence[str], settings: Settings) -> list[Target]:
    """One target for each ISA and level, ISAs first, without a file; UnknownSetting if no ISA has a setting."""
    check_settings(compiler, isas, settings)
    return [_target(compiler.settings(isa), isa, (), level, settings) for isa in isas for level in levels or ("",)]


def as_given(compiler: Compiler, target: Target) -> Target:
    """A target with the settings that liftcheck adds for a target that does not state its settings exactly."""
    known = compiler.settings(target.isa)
    usual = {name: value for name, value in DEFAULTS if name in known}
    return Target(target.isa, tuple(sorted((usual | dict(target.settings)).items())))


def check_settings(compiler: Compiler, isas: Sequence[str], settings: Settings) -> None:
    """UnknownSetting if none of the ISAs has a setting, or it does not take the value."""
    known = {isa: compiler.settings(isa) for isa in isas} if settings else {}
    for name, value in settings:
        having = [there[name] for there in known.values() if name in there]
        if not having:
            raise UnknownSetting(_unknown(compiler, isas, known, name), name)
        if not _takes(having[0], value):
            kinds = {"bool": "true, false", "num": "0 … 255"}
            values = ", ".join(having[0].values) or kinds.get(having[0].kind, "preset")
            raise UnknownSetting(f"{compiler.name}: '{name}={value}' is not among {values}", name)


def _takes(setting: Setting, value: str) -> bool:
    if setting.kind == "num":
        return value.isdecimal() and int(value) <= 255
    return setting.takes(value_of(setting, value))


def _unknown(compiler: Compiler, isas: Sequence[str], known: dict[str, dict[str, Setting]], name: str) -> str:
    names = sorted({name for there in known.values() for name in there})
    near = difflib.get_close_matches(name, names, 3)
    hint = f"; did you mean {' or '.join(near)}?" if near else f" (there are {len(names)}: {', '.join(names[:12])}, …)"
    return f"{compiler.name} has no setting '{name}' on {', '.join(isas)}{hint}"


def each_target(
    ask: Callable[[Sequence[Target]], Sequence[Sequence[_Answer]]], targets: Sequence[Target], count: int
) -> Iterator[tuple[Target, list[_Answer | CompileFailure]]]:
    """What `ask` answers for each target; a target whose settings the compiler lacks is refused for every function."""
    if not targets:
        return
    try:
        answers: list[list[_Answer | CompileFailure]] = [list(column) for column in ask(targets)]
    except (UnknownSetting, Unsupported) as error:
        if len(targets) > 1:
            for target in targets:
                yield from each_target(ask, [target], count)
            return
        what = f"the setting {error.name}" if isinstance(error, UnknownSetting) else str(error)
        answers = [[CompileFailure("unsupported", what)] * count]
    yield from zip(targets, answers, strict=True)


class Exactly:
    """A compiler whose targets have exactly the settings that they state, without liftcheck's defaults."""

    def __init__(self, compiler: Compiler) -> None:
        self.compiler: Final = compiler

    @property
    def name(self) -> str:
        return self.compiler.name

    @property
    def version(self) -> str:
        return self.compiler.version

    def compile_text(
        self, text: str, targets: Sequence[Target], wants: frozenset[str] = frozenset()
    ) -> list[list[Reply]]:
        """See `Compiler.compile_text`."""
        if isinstance(self.compiler, Cranelift):
            return self.compiler.compile_text(text, targets, wants, raw=True)
        return self.compiler.compile_text(text, targets, wants)

    def settings(self, isa: str) -> dict[str, Setting]:
        """See `Compiler.settings`."""
        return self.compiler.settings(isa)

    def close(self) -> None:
        """See `Compiler.close`."""
        self.compiler.close()
