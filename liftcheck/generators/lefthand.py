"""Left-hand sides of a compiler's rules, read as patterns of programs.

The one idea: a rule's left-hand side is already the shape of a program. `isle` lists the rules, `unfold` says under
which left-hand sides of lowerings and simplifications a helper's rule is tried, `read` turns one into a pattern over
opcodes, types, constants and variables. What is said of types is kept as far as the words are known; what is asked of
constants is not (`rules.py` draws many instead of solving it), and machine things are variables.
Sources: the terms that stand in `src/opts/*.isle` and `src/isa/*/lower.isle` of 0.130 to 0.135.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, NamedTuple

from liftcheck.clif.formats import FLOAT_CONDITIONS, INT_CONDITIONS
from liftcheck.clif.opcodes import DIVISIONS, OPCODES, Opcode
from liftcheck.clif.types import TYPES, Type
from liftcheck.generators.unfold import CONSTANT, ROOTS, ZERO, Unfolder, arguments, replaced
from liftcheck.isle import sources as isle
from liftcheck.isle.sources import Tree

_CONSTANT_TERMS: Final = re.compile(
    r"(.*_from_(negated_)?value|.*_from_iconst|iconst.*|f\d+const|vconst|uimm.*|.*imm.*from.*)$"
)
_WRAPPERS: Final = {"sext32_value": ("sextend", "i32"), "zext32_value": ("uextend", "i32"),
                    "sext8_value": ("sextend", "i8"), "zext8_value": ("uextend", "i8"),
                    "sext16_value": ("sextend", "i16"), "zext16_value": ("uextend", "i16"),
                    "extended_value_from_value": ("uextend", ""), "uextend_maybe": ("uextend", ""),
                    "sextend_maybe": ("sextend", ""), "maybe_uextend": ("uextend", ""),
                    "maybe_sextend": ("sextend", "")}  # fmt: skip
BRANCHES: Final = ("brif", "trapz", "trapnz")
OVERFLOWS: Final = "uadd_overflow_trap"
_PASSED: Final = frozenset({"has_type", "first_result", "inst_result", "and", "def_inst"})
"""Terms whose arguments are patterns of one value."""
_SUNK: Final = re.compile(r"sinkable_((?:load|[us]load\d+)(?![\dx]))((?:_\w+)?)")
_MANY: Final = 60
_NUMBER: Final = re.compile(r"-?(0x[0-9a-fA-F][0-9a-fA-F_]*|[0-9][0-9_]*)")


def _scalar(most: int, least: int = 0) -> Callable[[Type], bool]:
    return lambda t: least <= t.bits <= most and not t.is_vector


TYPE_TESTS: Final[dict[str, Callable[[Type], bool]]] = {
    "fits_in_64": _scalar(64), "fits_in_32": _scalar(32), "fits_in_16": _scalar(16), "int_fits_in_32": _scalar(32),
    "ty_int": lambda t: t.is_int and not t.is_vector, "multi_lane": lambda t: t.is_vector,
    "ty_vec128": lambda t: t.is_vector and t.bits == 128, "ty_vec64": lambda t: t.is_vector and t.bits == 64,
    "ty_vec128_int": lambda t: t.is_vector and t.is_int and t.bits == 128,
    "ty_vec64_int": lambda t: t.is_vector and t.is_int and t.bits == 64,
    "ty_int_ref_scalar_64_extract": lambda t: t.is_int and t.bits <= 64 and not t.is_vector,
    "ty_int_ref_16_to_64": lambda t: t.is_int and 16 <= t.bits <= 64 and not t.is_vector,
    "ty_int_ref_64": lambda t: t.is_int and t.bits == 64 and not t.is_vector,
    "ty_scalar_float": lambda t: t.is_float and not t.is_vector, "ty_float_or_vec": lambda t: t.is_float or t.is_vector,
    "ty_supported_float_full": lambda t: t.is_float and not t.is_vector,
    "ty_supported_float_min": lambda t: t.is_float and not t.is_vector,
    "ty_supported_float_size": lambda t: t.is_float and not t.is_vector,
    "ty_32_or_64": _scalar(64, 32), "ty_8_or_16": _scalar(16), "ty_supported_vec": lambda t: t.is_vector,
    "ty_32": lambda t: t.bits == 32, "ty_64": lambda t: t.bits == 64, "ty_reg_pair": lambda t: t.bits == 128,
    "ty_int_vec128": lambda t: t.is_int and (not t.is_vector or t.bits == 128), "vr128_ty": lambda t: t.bits == 128,
    "gpr64_ty": _scalar(64, 64), "gpr32_ty": _scalar(32), "valid_atomic_transaction": _scalar(64),
    "is_xmm_type": lambda t: t.is_float or t.is_vector, "is_gpr_type": lambda t: t.is_int and not t.is_vector,
    "lane_fits_in_32": lambda t: t.lane_bits <= 32,
}  # fmt: skip


class TypeTest(NamedTuple):
    """What a rule says of a type: the name that it binds, the one type that it is, the tests that it is under, how wide
    its lanes may be (empty: any), and how many there are (0: any)."""

    variable: str = ""
    exact: Type | None = None
    tests: tuple[str, ...] = ()
    widths: tuple[int, ...] = ()
    lanes: int = 0

    def fits(self, ty: Type) -> bool:
        """Whether a type may stand here, whatever the name."""
        return (
            (self.exact is None or self.exact is ty)
            and (not self.widths or ty.lane_bits in self.widths or ty.bits in self.widths)
            and (not self.lanes or self.lanes == ty.lanes)
            and all(TYPE_TESTS[test](ty) for test in self.tests)
        )


ANY: Final = TypeTest()


@dataclass(frozen=True, slots=True)
class Op:
    """An operation of a rule, without the address of an access. `ty` is said of its first result's type; `condition` as
    in `patterns.Node`, or what `_Reader._access` says; `bind` is the name by which it is used again."""

    name: str
    ty: TypeTest
    condition: str
    arguments: tuple[Op | Atom, ...]
    bind: str = ""


@dataclass(frozen=True, slots=True)
class Atom:
    """A variable, or a constant: `constant` is None, a name for a drawn one, or a number's text."""

    name: str
    constant: str | None = None
    ty: TypeTest = ANY


_IMMEDIATE: Final = (
    "IntCompare", "FloatCompare", "LoadNoOffset", "Shuffle", "BinaryImm8", "TernaryImm8", "IntAddTrap"
)  # fmt: skip
"""Formats whose patterns have one more argument than operands. Before 0.135 lowerings have no type in front of them."""


class Rules:
    """The rules of a crate that code for some ISAs goes through, each as patterns of programs (few: none can be said).
    A rule is read when its patterns are first asked for."""

    def __init__(self, source: Path, isas: tuple[str, ...]) -> None:
        self.rules, self._macros, _ = isle.read_below(source, isas)
        shared = [rule for rule in self.rules if rule.part == isle.SHARED]
        self._of = {
            part: Unfolder([*(rule for rule in self.rules if rule.part == part), *(shared if part in isas else ())])
            for part in dict.fromkeys(rule.part for rule in self.rules)
        }
        self._lowered = next((isa for isa in isas if isa in self._of), isle.SHARED)
        self._patterns: dict[int, tuple[Op, ...]] = {}

    def patterns(self, place: int) -> tuple[Op, ...]:
        """What programs have to hold for a rule to be tried."""
        found = self._patterns.get(place)
        if found is None:
            rule = self.rules[place]
            part = self._lowered if rule.part == isle.SHARED else rule.part
            made = (read(left, self._macros) for left in self._of[part].unfolded(rule))
            found = self._patterns[place] = tuple(dict.fromkeys(op for op in made if op is not None))
        return found


Macros = Mapping[str, tuple[list[Tree], Tree]]


def read(left: Tree, macros: Macros | None = None) -> Op | None:
    """The pattern of a root term's left-hand side; None if it cannot be said in CLIF."""
    if not isinstance(left, list) or len(left) < 2 or left[0] not in ROOTS:
        return None
    pattern = _Reader(macros or {}).value(arguments(left[1:])[0])
    return pattern if isinstance(pattern, Op) else None


class _Reader:
    """Reads one left-hand side."""

    def __init__(self, macros: Macros) -> None:
        self.macros = macros
        self.fresh = 0
        self.bound: dict[str, Op] = {}

    def value(self, group: list[Tree]) -> Op | Atom:
        """A pattern of a value. What has no counterpart in CLIF is a variable."""
        tree, name = group[-1], group[0] if len(group) == 3 and isinstance(group[0], str) else ""
        if isinstance(tree, str):
            return self.bound.get(tree) or Atom(self._name() if tree == "_" else tree)
        found = self._term(tree, name)
        if name and isinstance(found, Op):
            found = self.bound[name] = replace(found, bind=name)
        return found

    def _term(self, tree: list[Tree], name: str) -> Op | Atom:
        head = tree[0] if tree else ""
        rest = arguments(tree[1:])
        if not isinstance(head, str) or not rest:
            return self._operation(head, rest) if isinstance(head, str) and head in OPCODES else Atom(self._name())
        if head in (CONSTANT, ZERO):
            return Atom(str(rest[0][0]), "kz" if head == CONSTANT else "0")
        if head == "value_type":
            return Atom(name or self._name(), None, self._type(rest[0]))
        if head in _PASSED:
            return self._all([self._type(rest[0])] if head == "has_type" else [], rest[head == "has_type" :])
        if _CONSTANT_TERMS.match(head):
            return self._constant(rest)
        if head in _WRAPPERS:
            return self._wrapped(_WRAPPERS[head], rest)
        if head in INT_CONDITIONS or head in OPCODES:
            return self._operation(head, rest)
        return self._sunk(head) or self._macro(head, rest)

    def _name(self) -> str:
        self.fresh += 1
        return f"_{self.fresh}"

    def _all(self, said: list[TypeTest], rest: list[list[Tree]]) -> Op | Atom:
        """Several patterns of one value, and what is said of its type."""
        parts = [self.value(one) for one in rest]
        operation = next((part for part in parts if isinstance(part, Op)), None)
        atoms = [part for part in parts if isinstance(part, Atom)]
        ty = merged([*said, *(atom.ty for atom in atoms)] or [ANY])
        if operation is not None:
            return replace(operation, ty=merged([operation.ty, ty]))
        constant = next((atom.constant for atom in atoms if atom.constant is not None), None)
        return Atom(atoms[-1].name if atoms else self._name(), constant, ty)

    def _wrapped(self, meant: tuple[str, str], rest: list[list[Tree]]) -> Op:
        name, narrow = meant
        inner = self.value(rest[-1])
        if narrow:
            inner = Op("bor", TypeTest(exact=TYPES[narrow]), "", (inner, Atom("_" + narrow)))
        return Op(name, ANY, "", (inner,))

    def _macro(self, head: str, rest: list[list[Tree]]) -> Op | Atom:
        """Another pattern with another name."""
        names, body = self.macros.get(head, ([], ""))
        if not body or len(names) != len(rest) or self.fresh > _MANY:
            return Atom(self._name())
        self.fresh += 1
        values = {str(name): group[-1] for name, group in zip(names, rest)}
        return self.value([replaced(body, values)])

    def _sunk(self, head: str) -> Op | None:
        """A load that is merged into the instruction that uses it."""
        found = _SUNK.fullmatch(head)
        if found is None:
            return None
        op, rest = found.group(1), found.group(2)
        widths = [int(width) for width in re.findall(r"\d+", rest)]
        return Op(op, TypeTest(widths=tuple(widths)) if op == "load" else ANY, _order(rest), ())

    def _constant(self, rest: list[list[Tree]]) -> Atom:
        said = self._type(rest[0]) if len(rest) > 1 else ANY
        last = _innermost(rest[-1][-1])
        number = _NUMBER.fullmatch(last)
        return Atom(last or self._name(), str(int(last.replace("_", ""), 0)) if number else "k", said)

    def _operation(self, head: str, rest: list[list[Tree]]) -> Op | Atom:
        condition = ""
        name = head
        if head in INT_CONDITIONS:
            name, condition = "icmp", head
        opcode = OPCODES[name]
        if opcode.family in ("load", "store", "atomic"):
            return self._access(opcode, rest) or Atom(self._name())
        if name in BRANCHES and rest:
            return Op(name, ANY, "", (self.value(rest[0]),))
        if opcode.is_call or not opcode.results or not (opcode.is_plain or name in (*DIVISIONS, OVERFLOWS)):
            return Atom(self._name())
        wanted = len(opcode.args)
        ty = ANY
        form = opcode.format.name
        if len(rest) > wanted + (form in _IMMEDIATE and not condition):
            ty, rest = self._type(rest[0]), rest[1:]
        if form in ("IntCompare", "FloatCompare") and not condition and len(rest) > wanted:
            condition, rest = _condition(rest[0][-1]), rest[1:]
        elif form in ("LoadNoOffset",) and len(rest) > wanted:
            rest = rest[len(rest) - wanted :]
        elif form == "Shuffle" and len(rest) > wanted:
            condition = _mask(rest[-1][-1])
        elif form in ("BinaryImm8", "TernaryImm8") and len(rest) > wanted:
            lane = _innermost(rest[-1][-1])
            condition = lane if lane.isdigit() else ""
        if len(rest) < wanted:
            return Atom(self._name())
        found = [self.value(group) for group in rest[:wanted]]
        if name in DIVISIONS:
            by = found[1]
            if isinstance(by, Op):
                return Atom(self._name())
            found[1] = Atom(by.name, _divisor(name, by.constant), by.ty)
        return Op(name, ty, condition, tuple(found))

    def _access(self, opcode: Opcode, rest: list[list[Tree]]) -> Op | None:
        """An access without its address. `condition` of a store: '=' if the address is that of a load among its
        operands; of an atomic operation: which it is; else the byte order."""
        order = _order(str(rest))
        if opcode.name == "atomic_rmw" and len(rest) == 5:
            word = str(rest[2][-1]).strip("[']").partition(".")[2].lower()
            return Op(opcode.name, self._type(rest[0]), word, (self.value(rest[4]),))
        if opcode.name == "atomic_cas" and len(rest) >= 4:
            return Op(opcode.name, ANY, order, tuple(self.value(group) for group in rest[-2:]))
        if opcode.results:
            return Op(opcode.name, self._type(rest[0]) if rest else ANY, order, ())
        if opcode.stored is None or len(rest) < 3:
            return None
        value, address = self.value(rest[1]), rest[2][-1]
        again = isinstance(address, str) and re.search(rf"load\w*'.*'{re.escape(address)}'", str(rest[1])) is not None
        return Op(opcode.name, ANY, "=" if again else order, (value,))

    def _type(self, group: list[Tree]) -> TypeTest:
        """What a pattern says of a type."""
        variable = group[0] if len(group) == 3 and isinstance(group[0], str) else ""
        tree = group[-1]
        if isinstance(tree, str):
            if tree.startswith("$"):
                return TypeTest(variable, TYPES.get(tree[1:].lower()))
            return TypeTest(variable or ("" if tree == "_" else tree))
        if not tree or not isinstance(tree[0], str):
            return ANY
        if tree[0] == "multi_lane":
            width, count = [*(int(one) if isinstance(one, str) and one.isdigit() else 0 for one in tree[1:3]), 0, 0][:2]
            return TypeTest(variable, None, ("multi_lane",), (width,) if width else (), count)
        inner = [self._type(one) for one in arguments(tree[1:])] or [ANY]
        found = merged(inner) if tree[0] == "and" else inner[-1]
        tests = (tree[0], *found.tests) if tree[0] in TYPE_TESTS else found.tests
        return found._replace(variable=variable or found.variable, tests=tests)


def _divisor(op: str, constant: str | None) -> str:
    """The constant that a division may have for one that its rule wants: neither zero nor a quotient that traps."""
    if constant is None:
        return "odd"
    traps = ("0", "-1") if op == "sdiv" else ("0",)
    return constant if _NUMBER.fullmatch(constant) and constant not in traps else "kd"


def merged(parts: list[TypeTest]) -> TypeTest:
    """All of several things said of one type."""
    return TypeTest(
        next((part.variable for part in parts if part.variable), ""),
        next((part.exact for part in parts if part.exact), None),
        tuple(test for part in parts for test in part.tests),
        next((part.widths for part in parts if part.widths), ()),
        max(part.lanes for part in parts),
    )


def _order(text: str) -> str:
    """The byte order that flags ask for, '' for none."""
    return "little" if "littleendian" in text or "_little" in text else "big" if "bigendian" in text else ""


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


def _innermost(tree: Tree) -> str:
    """The last word of a pattern: `(u64_from_imm64 0)` is about 0."""
    while isinstance(tree, list) and tree:
        tree = tree[-1]
    return tree if isinstance(tree, str) else ""


def _mask(tree: Tree) -> str:
    """The lanes of `(u128_from_immediate 0x…)`, or of `(shuffle_mask (imm8x16 0 1 …) 65535)`, as a number, lane 0
    lowest; '?' for others."""
    if isinstance(tree, list) and len(tree) > 1 and isinstance(tree[1], list) and tree[1][:1] == ["imm8x16"]:
        lanes = [int(one) if str(one).isdigit() else 0 for one in tree[1][1:] if isinstance(one, str)]
        return hex(sum(lane << 8 * at for at, lane in enumerate(lanes)))
    word = _innermost(tree)
    if word.startswith("0x") and _NUMBER.fullmatch(word):
        number = int(word.replace("_", ""), 16)
        if all(number >> 8 * lane & 255 < 32 for lane in range(16)) and number >> 128 == 0:
            return hex(number)
    return "?"
