"""What an instruction does to a state of terms, as a Python function.

The one idea: the effects of an instruction (`rows.machine.Effects`) are the same wherever it stands, so they become
straight-line code once: a line for each node of a term, which builds the node over the state's values in normal form
(`bits.simplify.rebuilt`, which remembers). Flags, which most instructions write and few read, are written as what
computes them (a tuple), and computed when somebody reads them.

A transfer is called with the registers (place to term), the instruction's address, and who has memory and traps
(`Around`). It answers where control may go: ((target, condition, kind), …), or None: on to the next instruction.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final, Protocol

from liftcheck.bits.simplify import rebuilt
from liftcheck.bits.term import Term, postorder
from liftcheck.mach.rows.machine import PC, Effects, Place, Registers

Jumps = tuple[tuple[Term, Term, str], ...] | None
State = dict[Place, Any]
"""Each place's value: a term, or a flag's that waits: (function, its operands …)."""


class Around(Protocol):
    """What an instruction needs besides registers."""

    def load(self, address: Term, size: int, when: Term) -> Term:
        """What memory holds."""
        ...

    def store(self, address: Term, value: Term, when: Term) -> None:
        """Puts it there."""
        ...

    def trap(self, when: Term, code: str) -> None:
        """The instruction traps if `when` holds; returns if it may go on."""
        ...

    def undefined(self, width: int) -> Term:
        """A fresh variable."""
        ...


Transfer = Callable[[State, Term, Around], Jumps]


def value(state: State, place: Place) -> Term:
    """What a place holds, computed now if it waits."""
    found = state[place]
    if found.__class__ is tuple:
        found = state[place] = found[0](*found[1:])
    term: Term = found
    return term


def transfer(effects: Effects, registers: Registers) -> Transfer:
    """The function of some effects."""
    return _Writer(effects, registers).written()


class _Writer:
    """Writes one function."""

    def __init__(self, effects: Effects, registers: Registers) -> None:
        self.effects: Final = effects
        self.registers: Final = registers
        self.lines: list[str] = []
        self.names: Final[dict[Term, str]] = {PC: "pc"}
        self.constants: Final[dict[str, Any]] = {"R": rebuilt, "value": value}
        self.undefined: Final = frozenset(effects.undefined)
        self.loads: Final = {load.value: load for load in effects.loads}

    def written(self) -> Transfer:
        effects = self.effects
        for trap in effects.traps:
            self.lines.append(f"p.trap({self.name(trap.when)}, {trap.code!r})")
        for load in effects.loads:
            self.name(load.value)
        stores = [[self.name(t) for t in (s.address, s.value, s.when)] for s in effects.stores]
        writes = [(place, self._lazy(place, term)) for place, term in effects.writes.items()]
        jumps = [f"({self.name(j.target)}, {self.name(j.when)}, {j.kind!r})" for j in effects.jumps]
        self.lines += [f"p.store({', '.join(store)})" for store in stores]
        self.lines += [f"r[{place!r}] = {text}" for place, text in writes]
        self.lines.append(f"return ({', '.join(jumps)},)" if jumps else "return None")
        function: Transfer = _function("r, pc, p", self.lines, self.constants)
        return function

    def name(self, root: Term) -> str:
        """The local that has a term's value, after the lines that compute it."""
        for node in postorder((root,)):
            if node not in self.names:
                self.names[node] = self._made(node)
        return self.names[root]

    def _made(self, node: Term) -> str:
        if node.prim == "const":
            return self._constant(node)
        if node.prim != "var":
            args = "".join(f"{self.names[a]}, " for a in node.args)
            return self._local(f"R({self._constant(node)}, ({args}))")
        place = self.registers.places.get(node)
        if place is not None:
            return self._local(f"value(r, {place!r})" if isinstance(place, str) else f"r[{place}]")
        load = self.loads.get(node)
        if load is not None:
            return self._local(f"p.load({self.name(load.address)}, {load.size}, {self.name(load.when)})")
        return self._local(f"p.undefined({node.bits})") if node in self.undefined else self._constant(node)

    def _constant(self, node: Term) -> str:
        name = f"k{len(self.constants)}"
        self.constants[name] = node
        return name

    def _local(self, text: str) -> str:
        name = f"x{len(self.lines)}"
        self.lines.append(f"{name} = {text}")
        return name

    def _lazy(self, place: Place, term: Term) -> str:
        """What is assigned to a place."""
        if isinstance(place, int) or not term.args or term in self.names:
            return self.name(term)
        leaves = [node for node in postorder((term,)) if node.prim == "var"]
        values = [self.name(leaf) for leaf in leaves]
        return f"({self._constant_function(term, leaves)}, {', '.join(values)},)" if values else self.name(term)

    def _constant_function(self, term: Term, leaves: list[Term]) -> str:
        name = f"k{len(self.constants)}"
        self.constants[name] = _Waiting(term, leaves)
        return name


class _Waiting:
    """Computes a flag; its code is written when it is first asked for."""

    __slots__ = ("_function", "_leaves", "_term")

    def __init__(self, term: Term, leaves: list[Term]) -> None:
        self._term, self._leaves = term, leaves
        self._function: Callable[..., Term] | None = None

    def __call__(self, *values: Term) -> Term:
        if self._function is None:
            self._function = over(self._term, self._leaves)
        return self._function(*values)


def over(term: Term, leaves: Iterable[Term]) -> Callable[..., Term]:
    """The function that puts values in the place of variables, and gives the normal form."""
    names = {leaf: f"v{number}" for number, leaf in enumerate(leaves)}
    inputs = ", ".join(names.values())
    lines: list[str] = []
    constants: dict[str, Any] = {"R": rebuilt}
    for node in postorder((term,)):
        if node in names:
            continue
        constant = f"k{len(constants)}"
        constants[constant] = node
        names[node] = constant
        if node.args:
            names[node] = f"x{len(lines)}"
            lines.append(f"{names[node]} = R({constant}, ({''.join(f'{names[a]}, ' for a in node.args)}))")
    made: Callable[..., Term] = _function(inputs, [*lines, f"return {names[term]}"], constants)
    return made


def _function(inputs: str, lines: list[str], constants: dict[str, Any]) -> Any:
    found: dict[str, Any] = {}
    exec("\n    ".join([f"def f({inputs}):", *lines]), constants, found)
    return found["f"]
