"""Instances compiled with the trace of rules, and which of them are worth a proof.

The one idea: compiling costs a hundredth of proving, so everything is compiled, and the trace decides. Instances that
differ in one constant are laid out in the order of their numbers; where the rules that fired change from one to the
next, the edge is looked for between them, and both sides of it are kept. Of all that fire a rule with one typing a few
are kept (`Chooser`), those with plain operands first.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Final, NamedTuple

from liftcheck.case import CompileFailure, FunctionCode, Target
from liftcheck.clif.ir import Function
from liftcheck.clif.text.printer import print_function
from liftcheck.compilers.base import Compiler
from liftcheck.generators.instance_emit import function
from liftcheck.generators.instances import CONSTANT, Recipe, between, leaves, signed
from liftcheck.generators.rows import Table

WANTS: Final = frozenset({"rules", "frame"})
_BATCH: Final = 128
_HALVINGS: Final = 24
"""How often the way between two constants is halved: fields' edges are constants already, so it mostly is enough."""


class Made(NamedTuple):
    """What the compiler made of an instance for a target, and the rules ('file:line') that fired."""

    recipe: Recipe | None
    function: Function
    text: str
    target: Target
    code: FunctionCode
    fired: frozenset[str]

    @property
    def key(self) -> tuple[object, ...]:
        """What a proof depends on."""
        code = self.code
        frame = repr(code.extra.get("frame")) if self.function.stack_slots else ""
        return (self.target.isa, self.text, code.code, code.alignment, code.relocations, code.traps, code.calls, frame)


class Factory:
    """Compiles instances for some targets. `known`: the rules that count; `refused`: why functions were not compiled
    anywhere, or why one was not where that is a fault of the compiler's (a panic)."""

    def __init__(self, compiler: Compiler, targets: Sequence[Target], known: frozenset[str]) -> None:
        self.compiler: Final = compiler
        self.targets: Final = targets
        self.known: Final = known
        self.refused: Counter[str] = Counter()
        self.compiled = 0

    def recipes(
        self, table: Table, recipes: Sequence[Recipe], targets: Sequence[Target] = ()
    ) -> list[list[Made | None]]:
        """What each recipe becomes, for each target (of these, if any)."""
        models = [function(table, one, "%f") for one in recipes]
        return self._compile(models, recipes, [print_function(one) for one in models], targets or self.targets)

    def written(self, model: Function, text: str) -> list[Made | None]:
        """What a function becomes that is written down as text."""
        return self._compile([model], [None], [text], self.targets)[0]

    def _compile(
        self,
        functions: Sequence[Function],
        recipes: Sequence[Recipe | None],
        texts: Sequence[str],
        targets: Sequence[Target],
    ) -> list[list[Made | None]]:
        found: list[list[Made | None]] = []
        for at in range(0, len(functions), _BATCH):
            some = slice(at, at + _BATCH)
            numbered = (text.replace("%f", f"%f{n}", 1) for n, text in enumerate(texts[some]))
            columns = self.compiler.compile_text("\n".join(numbered), targets, WANTS)
            for recipe, model, text, replies in zip(recipes[some], functions[some], texts[some], zip(*columns)):
                found.append([self._made(recipe, model, text, *one) for one in zip(targets, replies)])
                failures = [reply for reply in replies if isinstance(reply, CompileFailure)]
                worst = next((one for one in failures if one.is_finding), None)
                if worst is not None or len(failures) == len(replies):
                    first = worst or failures[0]
                    self.refused[f"{first.kind}: {first.reason}"] += 1
        self.compiled += len(functions) * len(targets)
        return found

    def _made(
        self, recipe: Recipe | None, model: Function, text: str, target: Target, reply: FunctionCode | CompileFailure
    ) -> Made | None:
        if isinstance(reply, CompileFailure):
            return None
        names = reply.extra.get("rules")
        fired = (str(name).partition(" ")[0] for name in names) if isinstance(names, tuple) else ()
        return Made(recipe, model, text, target, reply, self.known.intersection(fired))


def edges(factory: Factory, table: Table, rows: Sequence[Sequence[Made | None]]) -> Iterator[Made]:
    """Instances on both sides of each edge: where, from one constant to the next, other rules fire. The first and the
    last of all are edges too. Of edges between the same rules one is looked for."""
    for target, column in zip(factory.targets, zip(*rows)):
        families = _families(column)
        yield from (one for family in families for one in (family[0], family[-1]))
        waiting = [pair for family in families for pair in _changes(family)]
        for _ in range(_HALVINGS):
            halves = [(low, high, between(_recipe(low), _recipe(high))) for low, high in waiting]
            yield from (one for low, high, middle in halves if middle is None for one in (low, high))
            asked = [(low, high, middle) for low, high, middle in halves if middle is not None]
            if not asked:
                waiting = []
                break
            answers = factory.recipes(table, [middle for _, _, middle in asked], (target,))
            waiting = [half for (low, high, _), (middle,) in zip(asked, answers) for half in _halved(low, high, middle)]
        yield from (one for pair in waiting for one in pair)


def _halved(low: Made, high: Made, middle: Made | None) -> list[tuple[Made, Made]]:
    """The half in which the edge is: the lower one if other rules fire in the middle than in the lower."""
    if middle is None:
        return []
    return [(low, middle) if middle.fired != low.fired else (middle, high)]


def _recipe(made: Made) -> Recipe:
    assert made.recipe is not None
    return made.recipe


def _families(column: Iterable[Made | None]) -> list[list[Made]]:
    """Instances that differ in one integer constant, in the order of their numbers."""
    found: dict[tuple[object, ...], list[tuple[int, Made]]] = {}
    for made in column:
        recipe = made.recipe if made is not None else None
        if made is None or recipe is None or len(recipe.choices) != 1:
            continue
        place, choice = recipe.choices[0]
        ty = next((leaf.ty for leaf in leaves(recipe.node) if leaf.place == place), None)
        if choice.kind == CONSTANT and ty is not None and ty.is_int and not ty.is_vector:
            found.setdefault((recipe.typing, recipe.form, recipe.turn), []).append((signed(choice.number, ty), made))
    return [[made for _, made in sorted(family, key=lambda one: one[0])] for family in found.values()]


def _changes(family: Sequence[Made]) -> Iterator[tuple[Made, Made]]:
    """Neighbours for which other rules fire, one pair of each kind."""
    known: set[frozenset[frozenset[str]]] = set()
    for low, high in pairwise(family):
        kind = frozenset((low.fired, high.fired))
        if len(kind) > 1 and kind not in known:
            known.add(kind)
            yield low, high


class Chooser:
    """Says which instances are proven: of each rule with each typing at most `most` functions, each for all targets
    whose code is another, and of rules for which `wanted` says that they are asked for. A helper that matches may come
    to nothing, as whoever called it has gone on to ask more: so with each of the `roots`, rules that lower or simplify,
    that fires with it there is one function at least."""

    def __init__(self, most: int, wanted: Callable[[str], bool], roots: frozenset[str] = frozenset()) -> None:
        self.most: Final = most
        self.wanted: Final = wanted
        self.roots: Final = roots
        self._counts: Counter[tuple[str, str]] = Counter()
        self._beside: set[tuple[str, str, str]] = set()
        self._seen: set[tuple[object, ...]] = set()
        self._texts: dict[str, set[str]] = {}
        """The functions that are chosen, and for which rules."""

    def takes(self, made: Made, always: bool = False) -> bool:
        """Whether an instance is to be proven. `always`: however many there are of its kind."""
        asked = {rule for rule in made.fired if self.wanted(rule)}
        typing = made.recipe.typing if made.recipe is not None else "text"
        key = (*made.key, made.fired)
        if not asked or key in self._seen:
            return False
        known = self._texts.get(made.text)
        beside = {(rule, typing, root) for rule in asked - self.roots for root in made.fired & self.roots}
        is_new = any(self._counts[rule, typing] < self.most for rule in asked) or not beside <= self._beside
        if known is None and not always and not is_new:
            return False
        self._seen.add(key)
        self._beside |= beside
        counted = self._texts.setdefault(made.text, set())
        self._counts.update((rule, typing) for rule in asked - counted)
        counted |= asked
        return True
