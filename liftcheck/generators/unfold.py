"""Left-hand sides of helper terms' rules, unfolded into those of the lowerings and simplifications that call them.

The one idea: most rules belong to helpers (`vall_true_val`, `x64_round_f32x4`, `compose_icmp`), which no program names.
A rule that calls a helper, `(rule (lower (vall_true ty x)) … (vall_true_val x))`, and a rule of the helper,
`(rule (vall_true_val (icmp ty cc a b)) …)`, give by substitution what a program has to hold for the second to be tried:
`(lower (vall_true ty (icmp ty cc a b)))`. So chains of calls are followed up to the roots, the shortest first. In the
same way a guard `(if-let x (val_minus_one y))` becomes what the helper's rules match.
It is substitution of text and proves nothing: whether a program made of it fires the rule says the compiler's trace.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from functools import cache, cached_property
from typing import Final

from liftcheck.isle.sources import Rule, Tree

ROOTS: Final = frozenset({"simplify", "lower", "simplify_skeleton", "lower_branch"})
_MOST: Final = 8
"""Left-hand sides of one rule."""
_CALLERS: Final = 16
"""Callers of one helper that are looked at."""
_STEPS: Final = 160
_DEPTH: Final = 6
CONSTANT: Final = "perhaps a constant"
ZERO: Final = "zero"
"""The heads that are put around a variable of which a guard says that it is a constant."""
_OF_CONSTANTS: Final = re.compile(r".*(imm|const|val_minus_one|safe_divisor|power_of_two|replicated).*")
"""Functions of guards whose arguments are constants."""


class Unfolder:
    """The rules of one part of a compiler, and who calls whom."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self.rules = rules

    @cached_property
    def _callers(self) -> dict[str, list[tuple[Rule, list[Tree]]]]:
        """Term -> the rules on whose right-hand sides it is called, with the arguments."""
        terms = {rule.term for rule in self.rules}
        found: dict[str, list[tuple[Rule, list[Tree]]]] = {}
        for rule in self.rules:
            names = _lets(rule.parts[-1])
            for part in rule.parts[1:]:
                for call in _calls(part):
                    if call[0] in terms and call[0] != rule.term:
                        arguments = [names.get(one, one) if isinstance(one, str) else one for one in call[1:]]
                        found.setdefault(str(call[0]), []).append((rule, arguments))
        for callers in found.values():
            callers.sort(key=lambda caller: caller[0].term not in ROOTS)
        return found

    @cached_property
    def _by_term(self) -> dict[str, list[Rule]]:
        found: dict[str, list[Rule]] = {}
        for rule in self.rules:
            found.setdefault(rule.term, []).append(rule)
        return found

    def unfolded(self, rule: Rule) -> list[Tree]:
        """Left-hand sides of root terms under which a rule is tried."""
        found: list[Tree] = []
        waiting = deque([(left, rule.term, 0) for left in self._guarded(rule)])
        for _ in range(_STEPS):
            if not waiting or len(found) >= _MOST:
                break
            left, term, depth = waiting.popleft()
            if term in ROOTS:
                found.append(left)
            elif depth < _DEPTH and isinstance(left, list):
                wanted = [_marked(group[-1], f"{depth}") for group in arguments(left[1:])]
                for caller, given in self._callers.get(term, ())[:_CALLERS]:
                    if len(waiting) + len(found) > _MOST * 3:
                        break
                    put = _put(caller.left, given, wanted)
                    if put is not None:
                        waiting.append((put, caller.term, depth + 1))
        return found

    def _guarded(self, rule: Rule) -> Iterator[Tree]:
        """The left-hand side as it is, and with each guard that asks a helper about a variable unfolded."""
        yield replaced(rule.left, _constants_by_guards(rule.parts[1:-1]))
        for guard in rule.parts[1:-1]:
            if not (isinstance(guard, list) and guard and guard[0] in ("if-let", "if") and isinstance(guard[-1], list)):
                continue
            for helper in self._by_term.get(str(guard[-1][0]) if guard[-1] else "", ())[:_MOST]:
                left = helper.left[1:] if isinstance(helper.left, list) else []
                put = _put(rule.left, guard[-1][1:], [_marked(group[-1], "g") for group in arguments(left)])
                if put is None:
                    continue
                result, name = helper.parts[-1], guard[1] if guard[0] == "if-let" else None
                if isinstance(result, str) and name is not None:
                    put = replaced(put, {f"{result}'g": name})
                yield put


def _constants_by_guards(guards: Sequence[Tree]) -> dict[str, Tree]:
    """The variables of which a guard says that they are constants."""
    found: dict[str, Tree] = {}
    for guard in guards:
        call = guard[-1] if isinstance(guard, list) and len(guard) > 1 else ""
        if isinstance(call, list) and call and isinstance(call[0], str):
            head = ZERO if call[0] == "zero_value" else CONSTANT if _OF_CONSTANTS.match(call[0]) else ""
            if head:
                found.update({one: [head, one] for one in call[1:] if isinstance(one, str) and _is_name(one)})
    return found


def arguments(parts: Sequence[Tree]) -> list[list[Tree]]:
    """Groups an argument list: each group is one pattern, `name @ pattern` being one group of three."""
    if "@" not in parts:
        return [[part] for part in parts]
    groups: list[list[Tree]] = []
    at = 0
    while at < len(parts):
        size = 3 if at + 2 < len(parts) and parts[at + 1] == "@" else 1
        groups.append(list(parts[at : at + size]))
        at += size
    return groups


def _calls(tree: Tree) -> Iterator[list[Tree]]:
    """Every call within an expression."""
    if isinstance(tree, list):
        if tree and isinstance(tree[0], str):
            yield tree
        for one in tree:
            yield from _calls(one)


def _lets(tree: Tree) -> dict[str, str]:
    """The names that `(let ((x Type y)) …)` gives to others."""
    found: dict[str, str] = {}
    if isinstance(tree, list) and tree[:1] == ["let"] and len(tree) > 1 and isinstance(tree[1], list):
        for binding in tree[1]:
            if isinstance(binding, list) and len(binding) == 3:
                name, value = binding[0], binding[2]
                if isinstance(name, str) and isinstance(value, str):
                    found[name] = found.get(value, value)
    return found


def _put(left: Tree, given: Sequence[Tree], wanted: Sequence[Tree]) -> Tree | None:
    """A caller's left-hand side where its variables are what a helper wants of them; None if they contradict."""
    if len(given) != len(wanted):
        return None
    values: dict[str, Tree] = {}
    for value, pattern in zip(given, wanted):
        if isinstance(value, str):
            if not _is_name(value):
                if isinstance(pattern, str) and not _is_name(pattern) and pattern != value:
                    return None
            elif isinstance(pattern, list) or not _is_name(pattern):
                values[value] = pattern
        elif _is_enum(value) and isinstance(pattern, list) and _is_enum(pattern) and pattern != value:
            return None
    return replaced(left, values) if values else left


@cache
def _is_name(word: str) -> bool:
    """Whether a word is a variable, and no type, number or truth value."""
    return not (word.startswith(("$", "#")) or word.lstrip("-")[:1].isdigit() or word in ("true", "false"))


def _is_enum(tree: Tree) -> bool:
    """Whether this is `(IntCC.Equal)`."""
    return isinstance(tree, list) and len(tree) == 1 and isinstance(tree[0], str) and "." in tree[0]


def _marked(tree: Tree, mark: str) -> Tree:
    """A pattern with its variables renamed."""
    if isinstance(tree, str):
        return f"{tree}'{mark}" if _is_name(tree) and tree not in ("_", "@") else tree
    return [*tree[:1], *(_marked(one, mark) for one in tree[1:])]


def replaced(tree: Tree, values: Mapping[str, Tree]) -> Tree:
    """A left-hand side with patterns in the place of variables. What was known of `x @ (…)` gives way, unless it is a
    type."""
    if isinstance(tree, str):
        return values.get(tree, tree)
    if not tree:
        return tree
    made: list[Tree] = [tree[0]]
    if "@" not in tree:
        for one in tree[1:]:
            made.append(values.get(one, one) if isinstance(one, str) else replaced(one, values))
        return made
    for group in arguments(tree[1:]):
        name = group[0]
        if len(group) == 3 and isinstance(name, str) and name in values:
            made.append(values[name])
        else:
            made += [replaced(one, values) for one in group]
    return made
