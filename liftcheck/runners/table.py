"""Which runners there are: the only list of them, cheap enough for the start of a command.

A row is a name and where its `Kind` stands, which says everything else; its module is imported when it is first asked.
Where an ISA does not say which runners it prefers, the order of the rows counts.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Final

from liftcheck.errors import Unavailable

if TYPE_CHECKING:
    from liftcheck.runners.base import Kind

ROWS: Final[Mapping[str, str]] = {
    "unicorn": "liftcheck.runners.unicorn:KIND",
    "native": "liftcheck.runners.native:KIND",
    "qemu": "liftcheck.runners.qemu:KIND",
}
NAMES: Final = tuple(ROWS)


@cache
def kind_of(name: str) -> Kind:
    """What a runner says of itself; Unavailable if a Python package that it needs is not installed."""
    module, _, member = ROWS[name].partition(":")
    try:
        found: Kind = getattr(import_module(module), member)
    except ModuleNotFoundError as error:
        raise Unavailable(f"the {name} runner needs the package {error.name}: pip install -e .") from None
    return found


@cache
def runners_of(isa: str) -> tuple[str, ...]:
    """The runners of an ISA, whether this machine has them or not: those first that it prefers."""
    from liftcheck.isa.base import isa_named  # the list of names alone is what the command line wants

    value = isa_named(isa)
    every = dict.fromkeys((*value.preferred, *NAMES))
    return tuple(name for name in every if kind_of(name).runs(value))
