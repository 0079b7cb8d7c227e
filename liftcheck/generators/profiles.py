"""Profiles: how often each family of instructions is chosen, as one table.

The one idea: a profile is weights, and every program switches about half of its families off (a swarm), because bugs
hide where few things happen often rather than everything seldom.
It does not say what a family emits: `tables.py` sorts plain opcodes by the family of their row (`clif.opcodes`), the
other families are functions registered in `generate.py`.
Source of swarm testing: Groce, Zhang, Eide, Chen, Regehr, "Swarm Testing" (ISSTA 2012).
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Final, NamedTuple

from liftcheck.clif.types import Type
from liftcheck.errors import UsageError


def type_class(ty: Type) -> str:
    """The class of types that profiles weigh: narrow, word, wide, half, fp, quad, ivec, fvec, vec64."""
    if ty.is_vector:
        return "vec64" if ty.bits == 64 else "fvec" if ty.is_float else "ivec"
    if ty.is_float:
        return {16: "half", 128: "quad"}.get(ty.bits, "fp")
    return "narrow" if ty.bits < 32 else "wide" if ty.bits > 64 else "word"


class Profile(NamedTuple):
    """Weights. `families` and `classes` multiply; what is not named has weight `other`.

    structure    chance in 256 that a straight run of instructions is followed by a loop, branch, table…
    functions    weights of 1, 2, 3, 4 functions
    keep         chance in 256 that a family stays switched on in a program
    traps        chance in 256 that a program may trap on purpose
    size         factor on the size dial
    """

    name: str
    families: Mapping[str, int] = {}
    classes: Mapping[str, int] = {}
    other: int = 4
    structure: int = 185
    functions: tuple[int, ...] = (3, 6, 3, 1)
    keep: int = 150
    traps: int = 205
    size: float = 1.0


_CLASSES: Final = {"word": 10, "narrow": 5, "wide": 3, "fp": 5, "half": 1, "quad": 1, "ivec": 4, "fvec": 3, "vec64": 1}
_INT_CLASSES: Final = {"word": 10, "narrow": 8, "wide": 2, "fp": 0, "half": 0, "quad": 0, "ivec": 0, "fvec": 0,
                       "vec64": 0}  # fmt: skip
_FLOAT: Final = {"float": 12, "fcompare": 5, "fconvert": 8, "load": 3, "store": 3, "select": 3, "convert": 3}

PROFILES: Final[dict[str, Profile]] = {
    profile.name: profile
    for profile in (
        Profile(
            "default",
            {
                "pattern": 10,
                "load": 6,
                "store": 6,
                "call": 6,
                "rule": 6,
                "quiet": 1,
                "shift": 5,
                "atomic": 2,
                "trap": 2,
                "div": 4,
                "address": 1,
                "x86": 2,
                "count": 3,
            },
            _CLASSES,
        ),
        Profile(
            "integers",
            {"pattern": 12, "div": 6, "shift": 8, "rule": 8, "call": 2, "float": 0, "fcompare": 0, "fconvert": 0},
            _INT_CLASSES,
        ),
        Profile(
            "floats", _FLOAT, _CLASSES | {"fp": 20, "half": 6, "quad": 6, "fvec": 6, "ivec": 1, "vec64": 1}, other=1
        ),
        Profile(
            "simd",
            {"lanes": 10, "saturate": 6, "x86": 4, "load": 4, "store": 3, "pattern": 6},
            {"ivec": 20, "fvec": 10, "vec64": 5, "word": 2, "narrow": 1, "fp": 1, "wide": 1, "half": 1, "quad": 1},
            other=3,
        ),
        Profile(
            "memory", {"load": 30, "store": 30, "atomic": 6, "add": 5, "convert": 4, "shift": 4}, _CLASSES, other=1
        ),
        Profile("calls", {"call": 30}, _CLASSES, other=2, functions=(0, 2, 4, 6)),
        Profile("control", {"compare": 8, "fcompare": 3, "select": 4, "call": 2}, _CLASSES, other=2, structure=235),
        Profile("atomics", {"atomic": 30, "load": 6, "store": 6}, _CLASSES, other=1),
        Profile("traps", {"trap": 10, "div": 20, "load": 6, "store": 6, "fconvert": 4}, _CLASSES, other=2, traps=256),
        Profile(
            "wide",
            {"pattern": 8, "call": 5, "convert": 6, "overflow": 5},
            _INT_CLASSES | {"wide": 30, "word": 6, "narrow": 2},
            other=4,
        ),
        Profile("rules", {"pattern": 30, "rule": 40}, _CLASSES, other=1, structure=90),
        Profile("large", {"pattern": 8, "load": 6, "store": 6}, _CLASSES, size=20.0, functions=(2, 1, 1, 0)),
    )
}


EXHAUSTIVE: Final = "exhaustive"
"""The profile of all small programs (`generators.exhaustive`), which ends when each has been judged."""


def by_name(name: str) -> Profile:
    """The profile called `name` ('swarm' is another name of 'default'); UsageError names the others."""
    found = PROFILES.get("default" if name == "swarm" else name)
    if found is None:
        near = difflib.get_close_matches(name, (*PROFILES, EXHAUSTIVE), 1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise UsageError(f"no profile {name!r}: choose one of {', '.join((*PROFILES, EXHAUSTIVE))}{hint}")
    return found


MIX: Final = (("default", 40), ("integers", 8), ("floats", 6), ("simd", 10), ("memory", 9), ("calls", 6),
              ("control", 6), ("atomics", 3), ("traps", 5), ("wide", 4), ("rules", 8), ("large", 0))  # fmt: skip
"""What `all` draws from, by weight of 105; `large` is drawn by its own dial in `generate.py`, once in 512 programs."""
