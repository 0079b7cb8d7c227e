"""What the rules of a compiler pass to one another: which types, variants of enumerations and truth values.

The one idea: an argument's value is abstract, a set of constants or anything (`None`). What is called from elsewhere
gets anything; every rule that can match hands on what its own patterns and guards leave, each call for itself, since
arguments go together (`with_flags` of what a comparison makes and what a branch wants); what a term gives is what its
rules give. To the fixpoint of that, a rule that matches no call cannot fire, no matter who wrote the program.
All is an upper bound: a pattern that is not known here matches everything, a function of Rust gives anything, and a
constant of another kind than the pattern's may have been converted. Priorities have no part in it.
Sources: `cranelift/isle/docs/language-reference.md`; the predicates of types are those of `isle_prelude.rs`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Final

from liftcheck.clif.types import TYPES, Type
from liftcheck.generators.unfold import arguments, replaced
from liftcheck.isle.sources import Rule, Sources, Tree

Value = frozenset[str] | None
"""The constants that an expression may be: '$I8', 'CC.Z', 'true'; None: anything."""
Call = tuple[Value, ...]
Names = dict[str, Value]

MANY: Final = 48
"""Calls of one term that are told apart; more are taken together, argument by argument."""


def _types(holds: Callable[[Type], bool]) -> frozenset[str]:
    return frozenset(f"${name.upper()}" for name, ty in TYPES.items() if holds(ty))


_PREDICATES: Final[Mapping[str, frozenset[str]]] = {
    "fits_in_16": _types(lambda ty: ty.bits <= 16),
    "fits_in_32": _types(lambda ty: ty.bits <= 32),
    "fits_in_64": _types(lambda ty: ty.bits <= 64),
    "int_fits_in_32": _types(lambda ty: ty.is_int and not ty.is_vector and ty.bits <= 32),
    "ty_8_or_16": _types(lambda ty: ty.bits in (8, 16)),
    "ty_16_or_32": _types(lambda ty: ty.bits in (16, 32)),
    "ty_32_or_64": _types(lambda ty: ty.bits in (32, 64)),
    "ty_16": _types(lambda ty: ty.bits == 16),
    "ty_32": _types(lambda ty: ty.bits == 32),
    "ty_64": _types(lambda ty: ty.bits == 64),
    "ty_128": _types(lambda ty: ty.bits == 128),
    "ty_int": _types(lambda ty: ty.is_int),
    "ty_scalar": _types(lambda ty: not ty.is_vector),
    "ty_scalar_float": _types(lambda ty: ty.is_float and not ty.is_vector),
    "ty_float_or_vec": _types(lambda ty: ty.is_float or ty.is_vector),
    "ty_int_ref_scalar_64": _types(lambda ty: ty.bits <= 64 and ty.is_int and not ty.is_vector),
    "ty_int_ref_64": frozenset({"$I64"}),
    "ty_int_ref_16_to_64": frozenset({"$I16", "$I32", "$I64"}),
    "ty_vec64": _types(lambda ty: ty.is_vector and ty.bits == 64),
    "ty_vec128": _types(lambda ty: ty.is_vector and ty.bits == 128),
    "ty_vec64_int": _types(lambda ty: ty.is_vector and ty.bits == 64 and ty.is_int),
    "ty_vec128_int": _types(lambda ty: ty.is_vector and ty.bits == 128 and ty.is_int),
}


def unmatched(
    sources: Sources, units: Sequence[Collection[str]], elsewhere: Collection[str], dead: Collection[str] = ()
) -> set[str]:
    """The rules that no call matches, by place. `units`: parts that are compiled together; `elsewhere`: terms that are
    called from outside; `dead`: rules, by place, that cannot fire for another reason, and so call nothing. A term that
    none of these rules calls is taken to be called from elsewhere, too."""
    found, matched = set[str](), set[str]()
    called = {word for rule in sources.rules for word in _heads(rule.parts[1:]) if word != rule.term}
    elsewhere = {*elsewhere, *(rule.term for rule in sources.rules if rule.term not in called)}
    for unit in units:
        rules = [rule for rule in sources.rules if rule.part in unit]
        flow = _Flow(rules, sources.extractors, elsewhere, dead)
        flow.run()
        found |= {rule.place for rule in rules}
        matched |= flow.matched
    return found - matched - {*dead}


class _Flow:
    """The fixpoint over the rules of one unit."""

    def __init__(
        self,
        rules: Sequence[Rule],
        extractors: Mapping[str, tuple[list[Tree], Tree]],
        elsewhere: Collection[str],
        dead: Collection[str],
    ) -> None:
        self.extractors = extractors
        self.by_term: dict[str, list[Rule]] = {}
        self.users: dict[str, set[str]] = {}
        """Term -> the terms whose rules use what it gives."""
        self.matched: set[str] = set()
        self.calls: dict[str, set[Call]] = {}
        self.given: dict[str, Value] = {}
        self._waiting: deque[str] = deque()
        self._known: dict[int, tuple[list[Tree], list[list[Tree]]]] = {}
        self._inner: dict[int, Tree | None] = {}
        for rule in rules:
            if rule.place not in dead:
                self.by_term.setdefault(rule.term, []).append(rule)
        for term, mine in self.by_term.items():
            self.given[term] = frozenset()
            for word in _heads([part for rule in mine for part in rule.parts[1:]]):
                self.users.setdefault(word, set()).add(term)
            if term in elsewhere:
                self._called(term, (None,) * _arity(mine[0]))

    def run(self) -> None:
        while self._waiting:
            term = self._waiting.popleft()
            for rule in self.by_term[term]:
                for call in list(self.calls[term]):
                    names = self._matched(rule, call)
                    if names is not None:
                        self.matched.add(rule.place)
                        self._gives(term, self._value(rule.parts[-1], names))

    def _called(self, term: str, call: Call) -> None:
        """A call of a term; a new one is looked at."""
        known = self.calls.setdefault(term, set())
        if len(known) >= MANY and call not in known:
            call = tuple(_joined(column) for column in zip(call, *known))
            known.clear()
        if call not in known:
            known.add(call)
            if term not in self._waiting:
                self._waiting.append(term)

    def _gives(self, term: str, value: Value) -> None:
        """What a rule of a term gives; who uses that is looked at again if it is new."""
        old = self.given[term]
        new = _joined((old, value))
        if new != old:
            self.given[term] = new
            for user in self.users.get(term, ()):
                if user not in self._waiting and user in self.calls:
                    self._waiting.append(user)

    def _matched(self, rule: Rule, call: Call) -> Names | None:
        """What a rule's names are for a call; None if it does not match."""
        names: Names = {}
        groups = self._parts(rule.left) if isinstance(rule.left, list) else []
        if len(groups) != len(call):
            return {}
        for group, value in zip(groups, call):
            if self._pattern(group, value, names) == frozenset():
                return None
        for guard in rule.parts[1:-1]:
            if not isinstance(guard, list) or len(guard) < 2:
                continue
            value = self._value(guard[-1], names)
            wanted = guard[1:-1] if guard[0] == "if-let" else ["true"]
            if guard[0] in ("if-let", "if") and self._pattern(list(wanted), value, names) == frozenset():
                return None
        return names

    def _pattern(self, group: list[Tree], value: Value, names: Names) -> Value:
        """What of a value a pattern leaves; nothing, the empty set, if it does not match."""
        if len(group) == 3:
            left = self._pattern(group[2:], value, names)
            return self._pattern(group[:1], left, names)
        pattern = group[0] if group else "_"
        if isinstance(pattern, str):
            if _is_constant(pattern):
                return _meet(value, pattern)
            if pattern != "_":
                names[pattern] = _both(names.get(pattern), value)
            return value
        head = pattern[0] if pattern else ""
        if not isinstance(head, str):
            return value
        if "." in head:
            return _meet(value, head)
        parts = self._parts(pattern)
        if head == "and":
            for part in parts:
                value = self._pattern(part, value, names)
            return value
        if head in _PREDICATES:
            value = _both(value, _PREDICATES[head])
            return self._pattern(parts[0], value, names) if parts else value
        if head == "multi_lane" and (lanes := _lanes(parts)):
            return _both(value, lanes)
        inner = self._unfolded(pattern, parts)
        if inner is not None:
            return self._pattern([inner], value, names)
        for part in parts:
            if self._pattern(part, None, names) == frozenset():
                return frozenset()
        return value

    def _parts(self, pattern: list[Tree]) -> list[list[Tree]]:
        """The arguments of a pattern, which is met often."""
        if id(pattern) not in self._known:
            self._known[id(pattern)] = pattern, arguments(pattern[1:])
        return self._known[id(pattern)][1]

    def _unfolded(self, pattern: list[Tree], parts: list[list[Tree]]) -> Tree | None:
        """What an extractor that is a pattern with another name stands for."""
        if id(pattern) not in self._inner:
            parameters, inner = self.extractors.get(str(pattern[0]), ([], ""))
            put = {str(name): part[0] for name, part in zip(parameters, parts) if len(part) == 1}
            fits = inner and len(put) == len(parameters) == len(parts)
            self._inner[id(pattern)] = replaced(inner, put) if fits else None
        return self._inner[id(pattern)]

    def _value(self, tree: Tree, names: Names) -> Value:
        """What an expression may be; its calls are made."""
        if isinstance(tree, str):
            return frozenset({tree}) if _is_constant(tree) else names.get(tree)
        head = tree[0] if tree else ""
        if not isinstance(head, str):
            return None
        if head == "let" and len(tree) > 2 and isinstance(tree[1], list):
            inner = dict(names)
            for binding in tree[1]:
                if isinstance(binding, list) and len(binding) == 3 and isinstance(binding[0], str):
                    value = self._value(binding[2], inner)
                    if value == frozenset():
                        return value
                    inner[binding[0]] = value
            for part in tree[2:-1]:
                self._value(part, inner)
            return self._value(tree[-1], inner)
        call = tuple([self._value(one, names) for one in tree[1:]])
        if frozenset() in call:
            return frozenset()
        if "." in head:
            return frozenset({head})
        if head not in self.by_term:
            return None
        self._called(head, call)
        return self.given[head]


def _lanes(parts: list[list[Tree]]) -> frozenset[str]:
    """The types of `(multi_lane 8 16)`; nothing if these are not numbers."""
    if not all(len(part) == 1 and str(part[0]).isdigit() for part in parts):
        return frozenset()
    bits, lanes = (int(str(part[0])) for part in parts)
    return _types(lambda ty: ty.is_vector and (ty.lane_bits, ty.lanes) == (bits, lanes))


def _arity(rule: Rule) -> int:
    return len(arguments(rule.left[1:])) if isinstance(rule.left, list) else 0


def _is_constant(word: str) -> bool:
    return word.startswith("$") or word in ("true", "false")


def _kind(word: str) -> str:
    """What constants must share to be compared: an enumeration, 'Type', 'bool'."""
    return "$" if word.startswith("$") else word.rpartition(".")[0]


def _meet(value: Value, wanted: str) -> Value:
    """What of a value is a constant: of one of another kind it is not known."""
    if value is None or wanted in value or any(_kind(one) != _kind(wanted) for one in value):
        return frozenset({wanted})
    return frozenset()


def _both(one: Value, other: Value) -> Value:
    """What is both; of constants of different kinds, the second."""
    if one is None or other is None:
        return other if one is None else one
    kinds = {*map(_kind, one), *map(_kind, other)}
    return one & other if len(kinds) <= 1 else other


def _joined(values: Sequence[Value]) -> Value:
    """What is one of several."""
    return None if None in values else frozenset().union(*(value for value in values if value is not None))


def _heads(trees: Sequence[Tree]) -> Iterator[str]:
    for tree in trees:
        if isinstance(tree, list):
            if tree and isinstance(tree[0], str):
                yield tree[0]
            yield from _heads(tree)
