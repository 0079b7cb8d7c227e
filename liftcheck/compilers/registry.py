"""Compilers by name: 'cranelift', 'cranelift@0.130.0', 'cranelift=PATH', and what other packages offer.

A package offers a compiler through an entry point of the group `liftcheck.compilers`: a callable that takes what stands
behind the name ('' for `mine`, '1.2' for `mine@1.2`, 'PATH' for `mine=PATH`) and gives a `Compiler`.
"""

from __future__ import annotations

import difflib
import re
from importlib import metadata
from typing import Final, cast

from liftcheck.compilers.base import Compiler
from liftcheck.errors import UsageError

GROUP: Final = "liftcheck.compilers"
OWN: Final = "cranelift"


def names() -> list[str]:
    """Every compiler that can be opened here, without versions."""
    return [OWN, *sorted(point.name for point in metadata.entry_points(group=GROUP))]


def open_compiler(spec: str) -> Compiler:
    """The compiler called `spec`, built first if it must be. UsageError names the ones there are."""
    name, _, rest = spec.partition("=") if "=" in spec else spec.partition("@")
    if name == OWN:
        from liftcheck.compilers.cranelift.client import Cranelift

        return Cranelift(spec)
    for point in metadata.entry_points(group=GROUP):
        if point.name == name:
            return cast(Compiler, point.load()(rest))
    near = difflib.get_close_matches(name, names(), 1)
    if re.fullmatch(r"\d+\.\d+[\d.]*", name):
        near = [f"{OWN}@{name}"]
    hint = f"; did you mean {near[0]}?" if near else ""
    raise UsageError(
        f"no compiler called '{name}'{hint}; there is {', '.join(names())} "
        f"(cranelift@VERSION for a published version, cranelift=PATH for sources)"
    )
