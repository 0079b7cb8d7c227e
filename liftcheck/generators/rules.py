"""Programs that a compiler's own rules match: templates read from the left-hand sides of its `.isle` files.

The one idea: a rule's left-hand side is already the shape of a program. `isle` lists the rules, `read` turns one into a
pattern over opcodes, types, constants and variables, dropping what it does not know (guards, extractors of machine
things), and `instances` finds typings that the matrix allows, by backtracking over the rows of the table. A rule is
resolved when it is first drawn, and kept with the table. Guards on constants are not solved: constants are drawn from
the interesting ones. Without the sources of the Cranelift under test (`isle.find`) there are no such programs.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final

from liftcheck import isle
from liftcheck.clif.formats import FLOAT_CONDITIONS, INT_CONDITIONS
from liftcheck.clif.opcodes import DIVISIONS, OPCODES
from liftcheck.clif.types import TYPES, Type
from liftcheck.generators.body import Body
from liftcheck.generators.patterns import emit_pattern, instantiate, takes
from liftcheck.generators.rows import Leaf, Node, Row, RowIndex, Table
from liftcheck.isle import Tree

_ROOTS: Final = ("simplify", "lower", "simplify_skeleton", "lower_branch")
_MOST_INSTANCES: Final = 12
_MOST_ALIKE: Final = 2
_CONSTANT_TERMS: Final = re.compile(r"(.*_from_value|.*_from_iconst|iconst.*|f\d+const|vconst|uimm.*|.*imm.*from.*)$")
_WRAPPERS: Final = {"sext32_value": ("sextend", "i32"), "zext32_value": ("uextend", "i32"),
                    "sext8_value": ("sextend", "i8"), "zext8_value": ("uextend", "i8"),
                    "sext16_value": ("sextend", "i16"), "zext16_value": ("uextend", "i16"),
                    "extended_value_from_value": ("uextend", ""), "uextend_maybe": ("uextend", ""),
                    "sextend_maybe": ("sextend", ""), "maybe_uextend": ("uextend", ""),
                    "maybe_sextend": ("sextend", "")}  # fmt: skip
_TESTS: Final = frozenset({"brif", "trapz", "trapnz"})
_TYPE_TESTS: Final[dict[str, Callable[[Type], bool]]] = {
    "fits_in_64": lambda t: t.bits <= 64 and not t.is_vector, "fits_in_32": lambda t: t.bits <= 32 and not t.is_vector,
    "fits_in_16": lambda t: t.bits <= 16 and not t.is_vector, "ty_int": lambda t: t.is_int and not t.is_vector,
    "ty_vec128": lambda t: t.is_vector and t.bits == 128, "multi_lane": lambda t: t.is_vector,
    "ty_int_ref_scalar_64_extract": lambda t: t.is_int and t.bits <= 64 and not t.is_vector,
    "ty_scalar_float": lambda t: t.is_float and not t.is_vector, "ty_32_or_64": lambda t: t.bits in (32, 64),
    "ty_vec64": lambda t: t.is_vector and t.bits == 64, "ty_supported_vec": lambda t: t.is_vector,
    "ty_32": lambda t: t.bits == 32, "ty_64": lambda t: t.bits == 64, "ty_8_or_16": lambda t: t.bits in (8, 16),
    "ty_int_vec128": lambda t: t.is_int and (not t.is_vector or t.bits == 128), "vr128_ty": lambda t: t.bits == 128,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Op:
    """An operation of a rule. Its controlling type is `exact`, or satisfies `test`, and is bound to `variable`.
    `condition` as in `patterns.Node`."""

    name: str
    variable: str
    exact: Type | None
    test: str
    condition: str
    arguments: tuple[Op | Atom, ...]


@dataclass(frozen=True, slots=True)
class Atom:
    """A variable, or a constant: `constant` is None, a name for a drawn one, or a number's text."""

    name: str
    constant: str | None = None


class _Unknown(Exception):
    """The rule speaks of something that has no counterpart in CLIF."""


def load(source: Path | None, isas: tuple[str, ...]) -> tuple[Op, ...]:
    """Every pattern of the mid-end's and the given ISAs' rules below a crate's `src` folder; () if there is none."""
    if source is None:
        return ()
    return tuple(dict.fromkeys(op for rule in isle.rules_below(source, isas) if (op := read(rule)) is not None))


def read(rule: isle.Rule) -> Op | None:
    """The pattern of a rule; None if the rule cannot be said in CLIF alone, or says nothing but an opcode."""
    left = rule.left
    if rule.term not in _ROOTS or not isinstance(left, list) or len(left) < 2:
        return None
    try:
        pattern = _Reader().value(left[1:2])
    except _Unknown:
        return None
    return pattern if isinstance(pattern, Op) and _says_something(pattern) else None


def _says_something(pattern: Op) -> bool:
    """Whether the pattern is more than one opcode on any operands, which programs are full of anyway."""
    return pattern.condition.startswith("0x") or any(isinstance(a, Op) or a.constant for a in pattern.arguments)


def _arguments(parts: list[Tree]) -> list[list[Tree]]:
    """Groups an argument list: each group is one pattern, `name @ pattern` being one group of three."""
    groups: list[list[Tree]] = []
    at = 0
    while at < len(parts):
        size = 3 if at + 2 < len(parts) and parts[at + 1] == "@" else 1
        groups.append(parts[at : at + size])
        at += size
    return groups


class _Reader:
    """Reads one rule."""

    def __init__(self) -> None:
        self.fresh = 0

    def value(self, group: list[Tree]) -> Op | Atom:
        """A pattern of a value. A bound one (`x @ (…)`) is its pattern: using it again would need sharing."""
        tree = group[-1]
        if isinstance(tree, str):
            if tree == "_":
                self.fresh += 1
                return Atom(f"_{self.fresh}")
            return Atom(tree)
        if not tree or not isinstance(tree[0], str):
            raise _Unknown("()")
        head, rest = tree[0], _arguments(tree[1:])
        if head in ("has_type", "first_result", "inst_result", "and", "def_inst") and rest:
            return self.value(rest[-1])
        if head in _TESTS and rest:
            return self.value(rest[0])
        if _CONSTANT_TERMS.match(head):
            return self._constant(rest)
        if head in _WRAPPERS and rest:
            name, narrow = _WRAPPERS[head]
            inner = self.value(rest[-1])
            if narrow:
                inner = Op("bor", "", TYPES[narrow], "", "", (inner, Atom("_" + narrow)))
            return Op(name, "", None, "", "", (inner,))
        if head in INT_CONDITIONS or head in OPCODES:
            return self._operation(head, rest)
        if head.startswith("sinkable_load"):
            return Atom("load")
        raise _Unknown(head)

    def _constant(self, rest: list[list[Tree]]) -> Atom:
        last = rest[-1][-1] if rest else "k"
        if isinstance(last, str):
            number = re.fullmatch(r"-?(0x[0-9a-fA-F][0-9a-fA-F_]*|[0-9][0-9_]*)", last)
            return Atom(last, str(int(last.replace("_", ""), 0)) if number else "k")
        self.fresh += 1
        return Atom(f"_k{self.fresh}", "k")

    def _operation(self, head: str, rest: list[list[Tree]]) -> Op:
        condition = ""
        name = head
        if head in INT_CONDITIONS:
            name, condition = "icmp", head
        opcode = OPCODES[name]
        wanted = len(opcode.args)
        variable, exact, test = "", None, ""
        form = opcode.format.name
        if len(rest) > wanted and opcode.ctrl | {None} and (len(rest) - wanted) >= 1:
            variable, exact, test = self._type(rest[0])
            rest = rest[1:]
        if form in ("IntCompare", "FloatCompare") and not condition and len(rest) > wanted:
            condition, rest = _condition(rest[0][-1]), rest[1:]
        elif form in ("LoadNoOffset",) and len(rest) > wanted:
            rest = rest[len(rest) - wanted :]
        elif form == "Shuffle" and len(rest) > wanted:
            condition = _mask(rest[-1][-1])
        arguments = rest[:wanted]
        if len(arguments) < wanted or opcode.is_call or opcode.can_load or opcode.can_store or not opcode.results:
            raise _Unknown(name)
        found = [self.value(group) for group in arguments]
        if name in DIVISIONS:
            if not isinstance(found[1], Atom) or not found[1].constant:
                raise _Unknown("a division by a variable may trap")
            found[1] = Atom(found[1].name, "kd")
        return Op(name, variable, exact, test, condition, tuple(found))

    def _type(self, group: list[Tree]) -> tuple[str, Type | None, str]:
        """A pattern of a type: the name that it binds, the one type that it is, the test that it is under."""
        variable = group[0] if len(group) == 3 and isinstance(group[0], str) else ""
        tree = group[-1]
        if isinstance(tree, str):
            if tree.startswith("$"):
                return variable, TYPES.get(tree[1:].lower()), ""
            return (variable or ("" if tree == "_" else tree)), None, ""
        test = tree[0] if tree and isinstance(tree[0], str) else ""
        inner = tree[-1] if len(tree) > 1 else "_"
        while isinstance(inner, list) and inner:
            inner = inner[-1]
        if isinstance(inner, str) and not variable and inner not in ("_", "@"):
            variable = inner
        return variable, None, test


_CONDITION_WORDS: Final = {"Signed": "s", "Unsigned": "u", "Less": "l", "Greater": "g", "Equal": "e", "Not": "n",
                           "Ordered": "ord", "Unordered": "uno"}  # fmt: skip


def _condition(tree: Tree) -> str:
    """`(IntCC.SignedLessThan)` as CLIF has it, '?' for a variable."""
    if isinstance(tree, list) and len(tree) == 1 and isinstance(tree[0], str):
        words = re.findall("[A-Z][a-z]*", tree[0].partition(".")[2])
        short = "".join(_CONDITION_WORDS.get(word, "") for word in words)
        fixed = {
            "e": "eq",
            "ne": "ne",
            "sl": "slt",
            "sg": "sgt",
            "sle": "sle",
            "sge": "sge",
            "ul": "ult",
            "ug": "ugt",
            "ule": "ule",
            "uge": "uge",
            "l": "lt",
            "g": "gt",
            "le": "le",
            "ge": "ge",
        }.get(short, short)
        if fixed in INT_CONDITIONS or fixed in FLOAT_CONDITIONS:
            return fixed
    return "?"


def _mask(tree: Tree) -> str:
    """The lanes of `(u128_from_immediate 0x…)` as that number, '?' for others."""
    if isinstance(tree, list) and isinstance(tree[-1], str) and tree[-1].startswith("0x"):
        number = int(tree[-1].replace("_", ""), 16)
        if all(number >> 8 * lane & 255 < 32 for lane in range(16)) and number >> 128 == 0:
            return hex(number)
    return "?"


class _Solver:
    """Finds typings of one pattern that a table allows."""

    def __init__(self, table: Table, index: RowIndex) -> None:
        self.table = table
        self.index = index
        self.places: dict[tuple[str, Type], int] = {}

    def fitting(self, pattern: Op, wanted: Type | None) -> list[Row]:
        """The rows of the pattern's own opcode that give a `wanted` (None: anything), in order."""
        rows = self.index.get(pattern.name, {}).get(wanted, [])
        condition, exact, test = pattern.condition, pattern.exact, _TYPE_TESTS.get(pattern.test)
        if condition not in ("", "?"):
            rows = [row for row in rows if takes(row, condition)]
        if exact is not None:
            rows = [row for row in rows if row.type is exact]
        if test is not None:
            rows = [row for row in rows if row.type is None or test(row.type)]
        return rows

    def solve(self, pattern: Op, row: Row, bound: dict[str, Type]) -> Iterator[tuple[Node, dict[str, Type]]]:
        """Every way to make `pattern` with `row` at its head; with the names bound, a dictionary of its own."""
        ty, name, names = row.type, pattern.variable, bound.copy()
        if name and ty is not None and names.setdefault(name, ty) is not ty:
            return
        for args, every in self._arguments(pattern.arguments, row.args, names):
            yield Node(row, pattern.condition, args), every

    def _arguments(
        self, patterns: tuple[Op | Atom, ...], kinds: tuple[Type, ...], names: dict[str, Type]
    ) -> Iterator[tuple[tuple[Node | Leaf, ...], dict[str, Type]]]:
        """Every way to make the operands, entering what they bind into `names`; of an operation's typings each is met
        once, with whatever else fits first."""
        leaves: list[Leaf] = []
        for pattern, ty in zip(patterns, kinds):
            if isinstance(pattern, Op):
                break
            leaf = self._leaf(pattern, ty, names)
            if leaf is None:
                return
            leaves.append(leaf)
        else:
            yield tuple(leaves), names
            return
        rest = len(leaves) + 1
        for row in self.fitting(pattern, ty):
            for node, inner in self.solve(pattern, row, names):
                if rest == len(patterns):
                    yield (*leaves, node), inner
                    continue
                for others, every in self._arguments(patterns[rest:], kinds[rest:], inner):
                    yield (*leaves, node, *others), every
                    break

    def _leaf(self, atom: Atom, ty: Type, names: dict[str, Type]) -> Leaf | None:
        """A value or a constant of a type, entered into `names`; None if the table makes none or the name is taken."""
        key = "value " + atom.name
        if ty not in self.table.const or (atom.constant is None and names.get(key, ty) is not ty):
            return None
        names[key] = ty
        return Leaf(ty, atom.constant, self.places.setdefault((atom.name, ty), len(self.places)))


def row_index(table: Table) -> RowIndex:
    """Common types come first, so that a rule's first instances are the likely ones."""
    index: RowIndex = {}
    order = {name: place for place, name in enumerate(("i32", "i64", "i8", "i16", "i128", "f32", "f64", "i32x4"))}
    for row in sorted(table.by_shape.values(), key=lambda row: order.get(row.type.name if row.type else "", 9)):
        opcode = OPCODES[row.op]
        if row.results and not opcode.can_load and (row.op in DIVISIONS or not opcode.can_trap):
            rows = index.setdefault(row.op, {})
            for ty in (None, row.results[0]):
                rows.setdefault(ty, []).append(row)
    return index


def instances(table: Table, index: RowIndex, pattern: Op) -> tuple[Node, ...]:
    """Up to a dozen typings of a pattern, at most a few for each controlling type."""
    found: list[Node] = []
    per_type: Counter[Type | None] = Counter()
    solver = _Solver(table, index)
    for row in solver.fitting(pattern, None):
        if per_type[row.type] < _MOST_ALIKE:
            made = [node for node, _ in islice(solver.solve(pattern, row, {}), _MOST_ALIKE - per_type[row.type])]
            per_type[row.type] += len(made)
            found += made
            if len(found) >= _MOST_INSTANCES:
                break
    return tuple(found[:_MOST_INSTANCES])


def emit_rule(body: Body) -> None:
    """A rule's left-hand side with values in scope; an ordinary template if the rule has no typing on these ISAs."""
    rules = body.program.context.rules
    table = body.table
    place = body.bits(16) % len(rules)
    derived = table.derived
    found = derived.rules.get(place)
    if found is None:
        if derived.rule_index is None:
            derived.rule_index = row_index(table)
        found = derived.rules[place] = instances(table, derived.rule_index, rules[place])
    if found:
        instantiate(body, found[body.bits(8) % len(found)])
    else:
        emit_pattern(body)
