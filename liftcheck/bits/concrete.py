"""Meanings as Python: templates of source text, and compiled closures.

A template is made once a meaning; filling in names costs a `str.format`. Text that is too long to be pasted into a
caller is compiled into a helper of `NAMESPACE` and the template becomes a call. `NAMESPACE` holds everything that the
text refers to; it only ever grows by such helpers, which are pure functions.

Values are unsigned ints of the type's width (see `clif.types`). Traps raise `Trap` unless the caller says otherwise.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from struct import Struct
from typing import Any, Final

from liftcheck.bits import floats, floats_host
from liftcheck.bits.emit import Emitter
from liftcheck.bits.meaning import Meaning
from liftcheck.bits.term import Term

PASTED_AT_MOST: Final = 240
"""Characters of source that are pasted into the caller; longer text becomes a helper."""


class Trap(Exception):
    """An operation trapped; the argument is the trap code. Never leaves the interpreter."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True, slots=True)
class Check:
    """Leave with `code` if `condition` holds."""

    condition: str
    code: str


@dataclass(frozen=True, slots=True)
class Template:
    """Source with `{0}`… for inputs and `{t}` for the prefix of locals. Checks and statements in order."""

    body: tuple[str | Check, ...]
    results: tuple[str, ...]

    @property
    def size(self) -> int:
        """Characters, roughly."""
        return sum(len(x if isinstance(x, str) else x.condition) for x in self.body) + sum(map(len, self.results))


def raising(code: str) -> str:
    """The statement that leaves by exception."""
    return f"raise Trap({code!r})"


def python_source(
    meaning: Meaning, names: Sequence[str], prefix: str = "t", leave: Callable[[str], str] = raising
) -> tuple[list[str], list[str]]:
    """Statements, and one expression per result. `names` are the inputs (names or literals), `leave` writes the
    statement that leaves with a trap code."""
    template = template_of(meaning)
    return _filled(template, names, prefix, leave), [r.format(*names, t=prefix) for r in template.results]


def _filled(template: Template, names: Sequence[str], prefix: str, leave: Callable[[str], str]) -> list[str]:
    return [
        x.format(*names, t=prefix)
        if isinstance(x, str)
        else f"if {x.condition.format(*names, t=prefix)}: {leave(x.code)}"
        for x in template.body
    ]


@lru_cache(maxsize=16384)
def template_of(meaning: Meaning) -> Template:
    """The template of a meaning, pasted or as a call."""
    template = _written(meaning)
    if template.size <= PASTED_AT_MOST or meaning.traps:
        return template
    name = f"helper{len(NAMESPACE)}"
    NAMESPACE[name] = _compiled(template, len(meaning.inputs))
    call = f"{name}({', '.join(f'{{{i}}}' for i in range(len(meaning.inputs)))})"
    if len(template.results) == 1:
        return Template((), (call,))
    targets = tuple(f"{{t}}{i}" for i in range(len(template.results)))
    return Template((f"{', '.join(targets)} = {call}",), targets)


def _written(meaning: Meaning) -> Template:
    roots = (*(condition for condition, _ in meaning.traps), *meaning.results)
    emitter = Emitter(meaning.inputs, roots, NAMESPACE)
    body: list[str | Check] = []
    for condition, code in meaning.traps:
        text = emitter.condition(condition).text
        body += emitter.statements
        emitter.statements.clear()
        body.append(Check(text, code))
    results = tuple(emitter.flat(result).text for result in meaning.results)
    return Template((*body, *emitter.statements), results)


def _compiled(template: Template, inputs: int) -> Callable[..., Any]:
    names = [f"x{i}" for i in range(inputs)]
    results = ", ".join(r.format(*names, t="t") for r in template.results)
    lines = [f"def f({', '.join(names)}):", *_filled(template, names, "t", raising), f"return {results}"]
    found: dict[str, Any] = {}
    exec("\n    ".join(lines), NAMESPACE, found)
    function: Callable[..., Any] = found["f"]
    return function


@lru_cache(maxsize=16384)
def closure(meaning: Meaning) -> Callable[..., Any]:
    """A function of the inputs: the value, a tuple of several values, or None; raises `Trap`."""
    return _compiled(_written(meaning), len(meaning.inputs))


def evaluate(term: Term) -> int:
    """The value of a term without variables."""
    value: int = closure(Meaning((), (term,)))()
    return value


def _bit_reversed() -> bytes:
    return bytes(int(f"{i:08b}"[::-1], 2) for i in range(256))


def _structs() -> dict[str, object]:
    found: dict[str, object] = {}
    for letter, width in (("B", 8), ("H", 16), ("I", 32), ("Q", 64)):
        for lanes in (1, 2, 4, 8, 16, 32, 64):
            packer = Struct(f"<{lanes}{letter}")
            found[f"P{width}x{lanes}"] = packer.pack
            found[f"U{width}x{lanes}"] = packer.unpack
            found[f"S{width}x{lanes}"] = Struct(f"<{lanes}{letter.lower()}").unpack
    return found


def _float_helpers() -> dict[str, object]:
    """Every float operation and conversion in its quickest form."""
    found: dict[str, object] = {}
    for f in floats.FORMATS.values():
        found.update(floats.exact_helpers(f))
    found.update(floats.exact_conversions())
    for f in (floats.F16, floats.F32, floats.F64):
        found.update(floats_host.quick_helpers(f))
    found.update(floats_host.quick_conversions())
    return found


NAMESPACE: Final[dict[str, Any]] = {
    "from_bytes": int.from_bytes,
    "BITREV": _bit_reversed(),
    "Trap": Trap,
    **_structs(),
    **_float_helpers(),
}
"""Everything generated text refers to: execute it in this dictionary, or in a copy made after the templates."""

__all__ = ["NAMESPACE", "Check", "Template", "Trap", "closure", "evaluate", "python_source", "template_of"]
