"""What a compiler under test is: CLIF text and targets in, machine code with tables or typed failures out.

The one idea: a compiler never raises for what it does badly. A refusal, a panic, a death are values (`CompileFailure`),
one a function and target. What *we* ask wrongly is raised: `UnknownSetting` for a setting that it does not have.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple, Protocol

from liftcheck.case import CompileFailure, FunctionCode, Target
from liftcheck.errors import UsageError

Reply = FunctionCode | CompileFailure
Program = Sequence[FunctionCode]
"""The code of a case: of all its functions, in their order."""

WANTS: Final = ("disassembly", "vcode", "srclocs", "frame", "rules", "clif", "blocks")
"""What `FunctionCode.extra` can hold in addition to the code:

disassembly, vcode, clif (optimized)    text
srclocs    rows [first byte, end, ordinal of the instruction in layout order, its line in the text]
frame      {'frame_to_fp_offset', 'slots': [offset of each stack slot]}; {'frame_size'} before 0.127
rules      'file:line term' of every ISLE rule that matched
blocks     first byte of every block; only with the setting machine_code_cfg_info
"""


class UnknownSetting(UsageError):
    """The compiler has no such setting or value: the message names near ones."""

    def __init__(self, message: str, name: str) -> None:
        super().__init__(message)
        self.name = name


def innermost(compiler: Compiler) -> Compiler:
    """The compiler inside one that also validates (its `inner`), or the compiler itself."""
    inner: Compiler = getattr(compiler, "inner", compiler)
    return inner


def cache_folder() -> Path:
    """Where builds and matrices are: `$LIFTCHECK_CACHE`, `$XDG_CACHE_HOME/liftcheck`, or `~/.cache/liftcheck`."""
    own = os.environ.get("LIFTCHECK_CACHE")
    return Path(own) if own else Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "liftcheck"


class Setting(NamedTuple):
    """One setting of a compiler. kind: 'bool', 'num', 'enum' (see `values`) or 'preset' (give it as 'preset')."""

    name: str
    kind: str
    values: tuple[str, ...]
    default: str
    description: str
    shared: bool

    def takes(self, value: str) -> bool:
        """Whether it has this value; the compiler itself judges numbers."""
        if self.kind == "enum":
            return value in self.values
        return value in ("true", "false") if self.kind == "bool" else (value == "preset") == (self.kind == "preset")


OPT_LEVEL: Final = Setting(
    "opt_level", "enum", ("none", "speed", "speed_and_size"), "none", "how much is optimized", True
)


def shared_settings(one: Mapping[str, Setting], other: Mapping[str, Setting]) -> dict[str, Setting]:
    """The settings that two compilers both have, with the values that both take."""
    return {
        name: setting._replace(values=tuple(value for value in setting.values if value in other[name].values))
        for name, setting in one.items()
        if name in other and other[name].kind == setting.kind
    }


class Complaint(NamedTuple):
    """Something wrong with a text. stage: 'read', 'verify', 'run line' or 'panic' (a bug of theirs); line from 1."""

    stage: str
    line: int
    function: str
    message: str
    place: str = ""


class Compiler(Protocol):
    """A compiler under test. `name` is what opens it again ('cranelift@0.130.0'), `version` its number.

    `name`, `version` and `compile_text` it must have; the rest is as it stands here, for one that inherits and for one
    that does not (`registry`). It may have a text `cache_key` that changes whenever it may compile differently; then
    its matrix is kept on disk.
    """

    @property
    def name(self) -> str: ...

    @property
    def version(self) -> str: ...

    def compile_text(
        self, text: str, targets: Sequence[Target], wants: frozenset[str] = frozenset()
    ) -> list[list[Reply]]:
        """Outer list: the targets in order; inner: the functions of the text in order."""
        ...

    def settings(self, isa: str) -> dict[str, Setting]:
        """Every setting there is on this ISA, by name. No other is given to it: of a compiler that says nothing only
        the one that all are given, which it may take no notice of."""
        return {OPT_LEVEL.name: OPT_LEVEL}

    def close(self) -> None:
        """Ends what runs in the background; the compiler may be used again afterwards."""
        return
