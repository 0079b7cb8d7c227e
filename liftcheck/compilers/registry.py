"""Compilers by name: a table. `ROWS` has liftcheck's own, entry points of other packages are rows too.

'mine', 'mine@1.2' and 'mine=PATH' open the row `mine`. A package offers a compiler through an entry point of the group
`liftcheck.compilers`: a callable that takes what stands after the name ('', '1.2', 'PATH') and gives a `Compiler`, or
an object that has the members which a `Compiler` must have; those that it lacks are added here.
What goes wrong in such a package is said with its name; nothing of it is imported before it is asked for.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from importlib import import_module, metadata
from typing import Any, Final

from liftcheck.case import Target
from liftcheck.compilers.base import Compiler, Reply, Setting
from liftcheck.errors import LiftcheckError, Unavailable, UsageError

GROUP: Final = "liftcheck.compilers"
OWN: Final = "cranelift"
ROWS: Final[Mapping[str, str]] = {
    OWN: "liftcheck.compilers.cranelift.client:Cranelift",
    "llvm": "liftcheck.compilers.llvm.client:Llvm22",
    "builtin": "liftcheck.compilers.builtin.client:Builtin",
}
"""Name -> 'module:callable' that takes the whole of 'name@VERSION' or 'name=PATH'."""
_MUST: Final = ("name", "version", "compile_text")

Opener = Callable[[str], Compiler]


def name_of(spec: str) -> str:
    """The row that 'name', 'name@VERSION' or 'name=PATH' means."""
    return re.split("[@=]", spec, maxsplit=1)[0]


def openers() -> dict[str, Opener]:
    """Every row: what opens its compilers, given the whole of 'name@VERSION'."""
    offered = sorted(metadata.entry_points(group=GROUP), key=lambda point: point.name)
    found: dict[str, Opener] = {point.name: partial(_offered, point) for point in offered}
    return {name: partial(_own, where) for name, where in ROWS.items()} | {
        name: opener for name, opener in found.items() if name not in ROWS
    }


def names() -> list[str]:
    """Every compiler that can be opened here, without versions."""
    return list(openers())


def open_compiler(spec: str) -> Compiler:
    """The compiler called `spec`, built first if it must be. UsageError names the ones there are."""
    name, rows = name_of(spec), openers()
    if name in rows:
        return rows[name](spec)
    near = difflib.get_close_matches(name, rows, 1)
    if re.fullmatch(r"\d+\.\d+[\d.]*", name):
        near = [f"{OWN}@{name}"]
    hint = f"; did you mean {near[0]}?" if near else ""
    raise UsageError(
        f"no compiler called '{name}'{hint}; there is {', '.join(rows)} "
        f"(cranelift@VERSION for a published version, cranelift=PATH for sources)"
    )


def _own(where: str, spec: str) -> Compiler:
    module, _, name = where.partition(":")
    opened: Compiler = getattr(import_module(module), name)(spec)
    return opened


def _offered(point: metadata.EntryPoint, spec: str) -> Compiler:
    """What another package gives for a name; Unavailable if that fails, UsageError if it is not a compiler."""
    try:
        given = point.load()(spec[len(point.name) + 1 :])
    except LiftcheckError:
        raise
    except Exception as error:
        raise Unavailable(
            f"the compiler '{spec}' ({point.value}) cannot be opened: {type(error).__name__}: {error}"
        ) from error
    lacking = [member for member in _MUST if not hasattr(given, member)]
    if lacking:
        raise UsageError(f"{point.value} gives no compiler: it lacks {', '.join(lacking)} (docs/adding/a-compiler.md)")
    return given if Compiler in type(given).__mro__ else Completed(given)


class Completed(Compiler):
    """An object with the members that a compiler must have, as a whole one: the rest has the protocol's defaults."""

    def __init__(self, given: Any) -> None:
        self._given: Final = given

    @property
    def name(self) -> str:
        return str(self._given.name)

    @property
    def version(self) -> str:
        return str(self._given.version)

    def compile_text(
        self, text: str, targets: Sequence[Target], wants: frozenset[str] = frozenset()
    ) -> list[list[Reply]]:
        columns: list[list[Reply]] = self._given.compile_text(text, targets, wants)
        return columns

    @property
    def cache_key(self) -> str:
        return str(getattr(self._given, "cache_key", ""))

    def settings(self, isa: str) -> dict[str, Setting]:
        own = getattr(self._given, "settings", super().settings)
        found: dict[str, Setting] = own(isa)
        return found

    def close(self) -> None:
        getattr(self._given, "close", super().close)()
