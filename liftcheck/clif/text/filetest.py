"""Upstream's filetests as data: header commands, settings, targets, functions with their run lines.

The one idea: the header is lines, not tokens (a command takes its whole line), and settings apply to the targets after
them, as upstream does it. Which commands and settings make sense is not decided here.
Sources: cranelift-reader 0.135 `testfile.rs`, `testcommand.rs`, `isaspec.rs`, `parse_target_specs`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final, NamedTuple

from liftcheck import layout
from liftcheck.clif.ir import Function, Module, Signature
from liftcheck.clif.text.lexer import shown
from liftcheck.clif.text.runlines import RunLine
from liftcheck.errors import Diagnostic, InputError, decode
from liftcheck.isa import BIG_ENDIAN, HOST, ISA_ALIASES, LISTED
from liftcheck.isa.base import isa_named

Settings = tuple[tuple[str, str], ...]

_ISAS: Final = {**{word: row.name for row in LISTED.values() for word in (row.triple, *row.spellings)}, **ISA_ALIASES}
"""Architectures of a triple as target-lexicon spells them, and as people do. What
Cranelift also reads is another ISA (`pulley64`, `aarch64_be`) or none of its own (`x86_64h`, `i686`)."""


_BIG_ENDIAN: Final = BIG_ENDIAN | {"pulley32be", "pulley64be", "aarch64_be"}


class TestCommand(NamedTuple):
    """`test run opt=1`: options as written."""

    name: str
    options: tuple[str, ...] = ()


class FileTarget(NamedTuple):
    """A `target` line. `isa` is liftcheck's name ('x86-64'; other architectures as written), `triple` the text's;
    `settings` are the shared ones set before the line (`shared`) and the line's own, sorted; presets have the value
    'preset'."""

    isa: str
    triple: str
    settings: Settings
    line: int = 0
    shared: Settings = ()


@dataclass(slots=True)
class TestFunction:
    """One function of a file with what its comments say.

    function   None if it was refused or has errors; `refused` says why ('dynamic vector types')
    """

    name: str
    signature: Signature
    function: Function | None
    line: int
    run_lines: list[RunLine] = field(default_factory=list)
    annotations: list[tuple[int, str]] = field(default_factory=list)
    refused: str = ""

    def at(self, big_endian: bool) -> TestFunction:
        """The function with its run lines put at data regions of a machine of this byte order."""
        if all(line.memory is None for line in self.run_lines):
            return self
        return replace(
            self, run_lines=[line.at(number % layout.SLOTS, big_endian) for number, line in enumerate(self.run_lines)]
        )


@dataclass(slots=True)
class FileTest:
    """A whole file. `settings` are those of a file without targets; `errors` is empty if parsed strictly; `source` are
    its lines."""

    file: str
    commands: list[TestCommand] = field(default_factory=list)
    settings: Settings = ()
    targets: list[FileTarget] = field(default_factory=list)
    features: list[tuple[bool, str]] = field(default_factory=list)
    functions: list[TestFunction] = field(default_factory=list)
    comments: list[tuple[int, str]] = field(default_factory=list)
    errors: list[Diagnostic] = field(default_factory=list)
    source: list[str] = field(default_factory=list, repr=False)

    def readable(self) -> list[int]:
        """The numbers of the functions that were read: those of `module`, in its order."""
        return [number for number, test in enumerate(self.functions) if test.function is not None]

    def has(self, command: str) -> bool:
        """Does the file ask for `test command`?"""
        return any(c.name == command for c in self.commands)

    def option(self, command: str, option: str) -> bool:
        """Does the file ask for `test command option`?"""
        return any(c.name == command and option in c.options for c in self.commands)

    @property
    def big_endian(self) -> bool:
        """Is the file for big-endian targets alone?"""
        return bool(self.targets) and all(target.isa in _BIG_ENDIAN for target in self.targets)

    def is_only_for(self, isa: str) -> bool:
        """Does the file name this ISA as a target, and no other?"""
        return bool(self.targets) and all(target.isa == isa for target in self.targets)

    @property
    def default_call_conv(self) -> str:
        """What a signature without a convention means: the host's in files that are run, `fast` elsewhere."""
        return "system_v" if self.has("run") else "fast"

    def module(self, functions: Sequence[TestFunction] | None = None) -> Module:
        """All functions that were read (or those of `functions`), with explicit calling conventions."""
        chosen = self.functions if functions is None else functions
        return Module([with_call_conv(t.function, self.default_call_conv) for t in chosen if t.function])


def with_call_conv(func: Function, conv: str) -> Function:
    """The same function with `conv` where its signatures name none (the rest is shared)."""

    def explicit(sig: Signature) -> Signature:
        return sig if sig.call_conv else sig._replace(call_conv=conv)

    return replace(
        func,
        signature=explicit(func.signature),
        signatures={number: explicit(sig) for number, sig in func.signatures.items()},
    )


def read_text(path: Path) -> str:
    """A file's text; InputError if it cannot be read or is not UTF-8."""
    try:
        return decode(path.read_bytes(), str(path))
    except OSError as error:
        raise InputError.at(f"cannot be read: {error.strerror}", str(path)) from error


def read_header(text: str, file: str, errors: list[Diagnostic]) -> FileTest:
    """The commands before the first function; the first line that is not one is an error and ends the reading."""
    test = FileTest(file)
    dangling = 0
    for number, line in enumerate(text.split("\n"), 1):
        words = line.split()
        if not words or words[0][0] == ";":
            if words:
                test.comments.append((number, line.strip()))
            continue
        if words[0] == "set":
            test.settings = _merged(test.settings, words[1:], "")
            dangling = number
        elif words[0] == "target" and len(words) > 1:
            test.targets.append(_target(test.settings, words[1:], number))
            dangling = 0
        elif not _other_command(test, words):
            column = len(line) - len(line.lstrip()) + 1
            message = (
                f"a 'target' line names a triple, e.g. {LISTED[HOST].triple}"
                if words == ["target"]
                else f"expected 'function' or a test command, found '{shown(words[0], 40)}'"
            )
            errors.append(Diagnostic(file, number, column, message, shown(line.strip(), 200)))
            break
    if dangling and test.targets:
        errors.append(Diagnostic(file, dangling, 1, "a 'set' after the last 'target' has no effect"))
    return test


def _other_command(test: FileTest, words: list[str]) -> bool:
    if words[0] == "test":
        test.commands.append(TestCommand(words[1] if len(words) > 1 else "", tuple(words[2:])))
        return True
    if words[0] == "feature" and len(words) > 1:
        name = "".join(words[1:])
        test.features.append((not name.startswith("!"), name.lstrip("!").strip('"')))
        return True
    return False


def _merged(known: Settings, words: list[str], isa: str) -> Settings:
    settings = dict(known)
    for word in words:
        name, equals, value = word.partition("=")
        settings[name] = value if equals else "preset" if isa and is_preset(isa, name) else "true"
    return tuple(sorted(settings.items()))


def _target(shared: Settings, words: list[str], line: int) -> FileTarget:
    isa = isa_of(words[0])
    return FileTarget(isa, words[0], _merged(shared, words[1:], isa), line, shared)


def isa_of(triple: str) -> str:
    """liftcheck's name of a triple's architecture; what is not one of its ISAs, as written."""
    for row in LISTED.values():
        triple = triple.replace(row.name, row.triple, 1)  # a name may have a dash
    arch = triple.split("-")[0]
    return _ISAS.get(arch, arch or triple)


def is_preset(isa: str, name: str) -> bool:
    """Is a bare word on a target line a preset (`skylake`, `has_c`), not a flag that is set?"""
    if isa in LISTED and name in isa_named(isa).presets:
        return True
    return not name.startswith(("has_", "use_", "sign_return_address"))
