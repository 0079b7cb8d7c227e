"""Every exception class of liftcheck; each docstring says what the reader should do.

Bad input is an `InputError`, a gap of the machine an `Unavailable`, a gap of a compiler or a runner an `Unsupported`,
and our own bug an `InternalError`. The command line maps them to exit codes (0 nothing found, 1 findings, 2 input, 3
environment); nothing else decides an exit code.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One thing wrong at one place of a text. `line` and `column` count from 1; 0 means the whole file."""

    file: str
    line: int
    column: int
    message: str
    source: str = ""

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}:{self.column}" if self.line else self.file
        return f"{place}: {self.message}" + (f"\n    {self.source}" if self.source else "")


class LiftcheckError(Exception):
    """The base of all of them: catch this one at the outermost level only."""

    exit_code = 2


class InputError(LiftcheckError):
    """The input is wrong: read the diagnostics, each names file, line and column, and mend the file."""

    exit_code = 2

    def __init__(self, diagnostics: Sequence[Diagnostic]) -> None:
        super().__init__("\n".join(map(str, diagnostics)))
        self.diagnostics = tuple(diagnostics)

    @classmethod
    def at(cls, message: str, file: str = "<input>", line: int = 0, column: int = 0, source: str = "") -> InputError:
        """One diagnostic at one place."""
        return cls([Diagnostic(file, line, column, message, source)])


class AssemblyError(LiftcheckError):
    """Assembler text that is not an instruction, or operands that none can have: the message says what is expected."""

    exit_code = 2


class UsageError(LiftcheckError):
    """The command line asks for something that does not exist: the message names the valid choices."""

    exit_code = 2


class Unavailable(LiftcheckError):
    """The machine lacks something (cargo, a package, qemu-user): the message names the command that closes the gap."""

    exit_code = 3


class Unsupported(LiftcheckError):
    """A compiler, a runner or a parser knows the thing and says that it lacks it. Counted by `reason`; never
    agreement."""

    exit_code = 2

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class InternalError(LiftcheckError):
    """A bug of liftcheck itself: please report it with the message and the case it names."""

    exit_code = 2


def own_fault(action: Callable[[], None]) -> str:
    """Does `action`; what it raises for one file of many that is neither the machine's nor the command line's fault, in
    a line, '' if nothing. So a bug of ours costs that file's verdicts, not all others'; the caller must report it."""
    try:
        action()
    except (Unavailable, UsageError, OSError):
        raise
    except Exception as error:
        if os.environ.get("LIFTCHECK_TRACEBACK"):
            raise
        return f"{type(error).__name__}: {error}"
    return ""


def decode(data: bytes, name: str) -> str:
    """UTF-8 text of `data`; InputError names line and column of the first byte that is not."""
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        before = data[: error.start]
        line = before.count(b"\n") + 1
        column = error.start - (before.rfind(b"\n") + 1) + 1
        message = f"byte 0x{data[error.start]:02x} is not UTF-8 text; is this a CLIF file?"
        raise InputError.at(message, name, line, column) from None
