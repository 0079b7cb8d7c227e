"""A compiler as docs/adding/a-compiler.md says one must be, and nothing more: it has Cranelift do the work.

`toy@wrong` is its planted fault: it subtracts where it should add. Any setting but the one that all compilers are given
is refused.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from liftcheck.case import CompileFailure, FunctionCode, Target
from liftcheck.compilers.cranelift.client import Cranelift


class Toy:
    """Has `name`, `version`, `compile_text`."""

    def __init__(self, version: str) -> None:
        self.name = f"toy@{version}" if version else "toy"
        self.version = version or "of today"
        self._inner = Cranelift("cranelift")

    def compile_text(
        self, text: str, targets: Sequence[Target], wants: frozenset[str] = frozenset()
    ) -> list[list[FunctionCode | CompileFailure]]:
        for target in targets:
            for name, _ in target.settings:
                if name != "opt_level":
                    raise ValueError(f"no setting {name}")
        if self.version == "wrong":
            text = re.sub(r" = iadd\b", " = isub", text)
        return self._inner.compile_text(text, targets, wants)


def open_compiler(version: str) -> Toy:
    if version == "9":
        raise FileNotFoundError("no toy 9")
    return Toy(version)


def open_nothing(_version: str) -> object:
    return object()
