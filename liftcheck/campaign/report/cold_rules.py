"""Why a rule of the compiler was never executed, as far as its sources tell.

The one idea: a rule that asks for an extension that no runner here has, or is about an opcode that no program holds, is
out of reach, and so is a helper all of whose callers are, or whose callers pass nothing that it matches (`passed.py`).
All others are open: no program has made them fire yet. A reason is said by the rule's own text or by its callers'; what
only a look at the compiler's Rust tells is not known here (docs/coverage.md has what was found by looking).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from typing import Final

from liftcheck.campaign.report.passed import unmatched
from liftcheck.clif.opcodes import OPCODES, variants
from liftcheck.clif.types import TYPES
from liftcheck.generators.tables import UNREACHED
from liftcheck.generators.unfold import ROOTS
from liftcheck.isle.sources import MID_END, SHARED, Rule, Sources, Tree

_SETTING: Final = re.compile(r"(?:has|use)_([a-z0-9_]+)|([a-z0-9_]+)_enabled")
_TEXTS: Final = (
    (re.compile(r"\bty_dyn|dynamic"), "dynamic vector types, which no program holds"),
    (re.compile(r"\(imm8x16 [^)]*_|_with_zeros"), "a shuffle of lanes above 31, which the verifier refuses"),
)
_OPCODES: Final = {**UNREACHED, "nop": "it has neither effect nor result, so it is never lowered"}

_CALLED: Final = re.compile(r"constructor_(\w+)")
_VARIANT: Final = re.compile(r"\b([A-Z]\w+)::([A-Z]\w*)")
_ENUM: Final = re.compile(r"[A-Z]\w*\.\w+")

_CALLERS: Final = "its callers are out of reach"
NOT_PASSED: Final = "no caller within reach passes the type, condition or variant that it matches"

Runs = Callable[[str, str], bool]
"""Whether a runner here runs code of an ISA with a setting on; so too for a setting that the ISA has not."""


def reasons(sources: Sources, runs: Runs, rust: str = "") -> dict[str, str]:
    """The rules that are out of reach, by place, with the reason. `rust`: the crate's other sources, which call rules
    too; without them no rule is said to be uncalled."""
    rules = sources.rules
    helpers = {rule.term for rule in rules}
    found = {rule.place: why for rule in rules if (why := _own(rule, runs, helpers, rust))}
    callers = _callers(rules)
    elsewhere = {*_CALLED.findall(rust), *sources.converters, *ROOTS} if rust else helpers - callers.keys()
    if rust:
        made = _made(rules, rust)
        for rule in rules:
            if rule.place not in found and (why := _uncalled(rule, callers, elsewhere, made)):
                found[rule.place] = why
    _spread(rules, found, callers, elsewhere)
    if rust:
        units = [(MID_END,), *((SHARED, part) for part in dict.fromkeys(rule.part for rule in rules)
                               if part not in (MID_END, SHARED))]  # fmt: skip
        found.update(dict.fromkeys(unmatched(sources, units, elsewhere, found), NOT_PASSED))
        _spread(rules, found, callers, elsewhere)
    return found


def _made(rules: Sequence[Rule], rust: str) -> dict[str, set[str]]:
    """The variants of enumerations that somebody makes, by the enumeration's name."""
    found: dict[str, set[str]] = {}
    words = (word for rule in rules for part in rule.parts[1:] for word in _words(part) if _ENUM.fullmatch(word))
    for name, variant in (*_VARIANT.findall(rust), *(word.split(".") for word in words)):
        found.setdefault(name, set()).add(variant)
    return found


def _uncalled(
    rule: Rule, callers: Mapping[str, list[Rule]], elsewhere: Container[str], made: Mapping[str, Container[str]]
) -> str:
    """Why nothing can call a rule as it is. Of what takes an enumeration that is made in files that are not published
    nothing is known."""
    variants = [word.split(".") for word in _words(rule.left) if _ENUM.fullmatch(word)]
    if any(name not in made for name, _ in variants):
        return ""
    if rule.term not in elsewhere and not any(map(_with(rule), callers.get(rule.term, ()))):
        return "no rule and no Rust code calls it"
    lacking = (f"{name}.{variant}" for name, variant in variants if variant not in made[name])
    return next((f"nothing makes {word}" for word in lacking), "")


def _spread(
    rules: Sequence[Rule], found: dict[str, str], callers: Mapping[str, list[Rule]], elsewhere: Container[str]
) -> None:
    """Helpers all of whose callers are out of reach are so, too."""
    changed = True
    while changed:
        changed = False
        for rule in rules:
            calling = [caller for caller in callers.get(rule.term, ()) if _with(rule)(caller)]
            if rule.place not in found and rule.term not in elsewhere and rule.term not in ROOTS and calling:
                blocked = [found[caller.place] for caller in calling if caller.place in found]
                if len(blocked) == len(calling):
                    found[rule.place] = blocked[0] if blocked[0].startswith(_CALLERS) else f"{_CALLERS}: {blocked[0]}"
                    changed = True


def _with(rule: Rule) -> Callable[[Rule], bool]:
    """Whether another rule is compiled together with this one."""
    parts = (rule.part, SHARED) if rule.part not in (MID_END, SHARED) else (rule.part,)
    return lambda other: other.part in parts or (rule.part == SHARED and other.part != MID_END)


def _own(rule: Rule, runs: Runs, helpers: Container[str], rust: str) -> str:
    """What a rule's own text says against it. Some `has_…` are helpers with rules of their own, and no settings."""
    for name in _asked(rule):
        flag = _flag(name, rust)
        if rule.part not in (MID_END, SHARED) and name not in helpers and not runs(rule.part, flag):
            return f"{flag}, which no runner here runs"
    words = list(_words(rule.left))
    for word in words:
        if word in _OPCODES:
            return f"`{word}`: {_OPCODES[word]}"
    if typing := _no_typing(rule):
        return f"CLIF has no `{typing}`"
    text = " ".join(_spelt(rule.left))
    return next((why for pattern, why in _TEXTS if pattern.search(text) or pattern.search(rule.file)), "")


def _no_typing(rule: Rule) -> str:
    """What a lowering is of, if its opcode has no such result in any typing: `op.type`; else ''."""
    root: Tree = rule.left[1] if rule.term == "lower" and len(rule.left) > 1 else ""
    if not isinstance(root, list) or len(root) < 2:
        return ""
    name, op = root[1], root[2] if root[0] == "has_type" and len(root) > 2 else root
    head = op[0] if isinstance(op, list) and op else ""
    wanted = TYPES.get(name[1:].lower()) if isinstance(name, str) and name.startswith("$") else None
    if wanted is None or not isinstance(head, str) or head not in OPCODES:
        return ""
    made = {result for variant in variants(head) for result in variant.result_types[:1]}
    return f"{head}.{wanted.name}" if made and wanted not in made else ""


def _flag(name: str, rust: str) -> str:
    """The setting that a guard asks for: `has_zbb` itself; `use_lse` and `vxrs_ext3_enabled` ask for `has_…` if the
    crate's Rust does, else for what is not an extension."""
    words = _SETTING.fullmatch(name)
    flag = next((f"has_{word}" for word in words.groups() if word), name) if words else name
    return flag if flag == name or re.search(rf"\b{flag}\b", rust) else name


def _asked(rule: Rule) -> Iterator[str]:
    """The settings that a rule's guards want on."""
    for tree in rule.parts[1:-1]:
        if isinstance(tree, list) and tree[:2] == ["if-let", "true"]:
            word = tree[2][0] if len(tree) > 2 and isinstance(tree[2], list) and tree[2] else ""
            if isinstance(word, str) and _SETTING.fullmatch(word):
                yield word
    for word in _words(rule.left):
        if not word.startswith("has_") and _SETTING.fullmatch(word):
            yield word


def _callers(rules: Sequence[Rule]) -> Mapping[str, list[Rule]]:
    """Term -> the rules that call it."""
    found: dict[str, list[Rule]] = {}
    for rule in rules:
        for word in dict.fromkeys(word for part in rule.parts[1:] for word in _words(part)):
            if word != rule.term:
                found.setdefault(word, []).append(rule)
    return found


def _words(tree: Tree) -> Iterator[str]:
    """The heads of all terms in a tree."""
    if isinstance(tree, list):
        if tree and isinstance(tree[0], str):
            yield tree[0]
        for one in tree:
            yield from _words(one)


def _spelt(tree: Tree) -> Iterator[str]:
    """A tree as the text that it was, more or less."""
    if isinstance(tree, str):
        yield tree
    elif tree:
        inner = [" ".join(_spelt(one)) for one in tree]
        yield f"({' '.join(inner)})"
