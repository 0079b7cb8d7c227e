"""Expression templates: chains of operations that mid-end rules and lowering rules match.

The one idea: a template is an s-expression over one type `T`; for each type of its class it is resolved against the
table into a tree of rows, once, and then instantiated with values in scope and interesting constants. Left-hand sides
of `.isle` rules become such templates too (`rules.py`).

    name | types | expression
    operators     op.TYPE or op.TYPE.condition; TYPE is T, H (half as wide), D (twice), B (i8), W (i32), Q (i64),
                  X (i128), I (integers of T's shape), L (T's lane); condition `?` is drawn
    atoms         x y z   a value of the type that the place wants (the same name, the same value)
                  k k2    a constant, drawn       kz  a constant or a value
                  n       a constant in 0…2·width       p  a power of two       q  a power of two, ±1      m  a mask
                  a number, -1, w (the width), w-1, h (half the width), min, max

A template that says what there is not (an opcode, a type, a condition, a constant) raises with its line; that each has
a typing in a table that has everything is a test's (`tests/generators/test_generators_rules.py`).
Sources: what the left-hand sides in Cranelift's `src/opts/*.isle` and `src/isa/*/lower.isle` look for, said anew.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import cache
from typing import Final, NamedTuple

from liftcheck.bits.floats import FORMATS
from liftcheck.clif.formats import FLOAT_CONDITIONS, INT_CONDITIONS
from liftcheck.clif.opcodes import OPCODES, Opcode
from liftcheck.clif.types import I8, I32, I64, I128, TYPES, Type
from liftcheck.clif.values import table as table_of
from liftcheck.errors import InternalError
from liftcheck.generators.body import Body
from liftcheck.generators.rows import Leaf, Node, Row, Table
from liftcheck.generators.templates import TEMPLATES
from liftcheck.isle.sources import Tree, forms


def parse(text: str) -> Tree:
    """The one s-expression of a text."""
    found = [form.tree for form in forms(f"({text})")]
    if text.count("(") < text.count(")"):
        raise _Wrong("a parenthesis too many")
    if text.count("(") > text.count(")") or len(found) != 1 or len(found[0]) != 1:
        raise _Wrong("not one expression, or a parenthesis is missing")
    return found[0][0]


_CLASSES: Final[dict[str, tuple[str, ...]]] = {
    "int": ("i8", "i16", "i32", "i64"), "wide": ("i16", "i32", "i64"), "all": ("i8", "i16", "i32", "i64", "i128"),
    "word": ("i32", "i64"), "i8": ("i8",), "i16": ("i16",), "i32": ("i32",), "i64": ("i64",), "i128": ("i128",),
    "ivec": ("i8x16", "i16x8", "i32x4", "i64x2"), "float": ("f32", "f64"), "fvec": ("f32x4", "f64x2"),
    "floats": ("f32", "f64", "f32x4", "f64x2"),
    "any": ("i8", "i16", "i32", "i64", "i128", "i8x16", "i16x8", "i32x4", "i64x2"),
}  # fmt: skip
_NAMED: Final = {"B": I8, "W": I32, "Q": I64, "X": I128}


def _named_type(letter: str, ty: Type) -> Type | None:
    """The type that a letter means where T is `ty`; None if there is no such type."""
    if letter == "T":
        return ty
    if letter in _NAMED:
        return _NAMED[letter]
    if letter == "I":
        return ty.as_int()
    if letter == "L":
        return ty.lane
    if letter in TYPES:
        return TYPES[letter]
    if letter not in _WIDTHS:
        raise _Wrong(f"no type {letter!r}")
    return _WIDTHS[letter](ty)


_WIDTHS: Final[dict[str, Callable[[Type], Type | None]]] = {"H": Type.half_width, "D": Type.double_width}


class _Shape(NamedTuple):
    """An operation of a template for one type, before a table is known."""

    op: str
    control: Type | None
    condition: str
    arguments: tuple[_Shape | _Atom, ...]


class _Atom(NamedTuple):
    """A value or a constant; `ty` is the type that the template says, None if it is the place's."""

    name: str
    constant: str | None
    ty: Type | None


class _Missing(Exception):
    """There is no such type for this T: the template is one for other types."""


class _Wrong(Exception):
    """The template says something that there is not, whatever T is."""


def _shape(tree: Tree, ty: Type) -> _Shape | _Atom:
    """A parsed template for the type T = `ty`; _Missing if it speaks of a type that there is not."""
    if isinstance(tree, str):
        name, _, letter = tree.partition(":")
        return _Atom(name, None if _is_value(name) else name, _existing(letter, ty))
    head, *children = tree
    assert isinstance(head, str)
    op, letter, condition = [*head.split("."), "", ""][:3]
    return _Shape(op, _existing(letter, ty), condition, tuple([_shape(child, ty) for child in children]))


def _is_value(name: str) -> bool:
    return name.rstrip("23456789") in _VALUES


_VALUES: Final = ("x", "y", "z", "v")
_DRAWN: Final = ("k", "kd", "kz", "n", "p", "q", "m", "w", "w-1", "h", "min", "max")
_CONDITIONS: Final = {"IntCompare": INT_CONDITIONS, "FloatCompare": FLOAT_CONDITIONS}
_NUMBERED: Final = ("BinaryImm8", "TernaryImm8", "Shuffle")


def _check(tree: Tree) -> None:
    """_Wrong if a template names what there is not, whatever its types."""
    if isinstance(tree, str):
        name = tree.partition(":")[0]
        if not (_is_value(name) or _plain_name(name) in _DRAWN or name.lstrip("-").isdigit()):
            raise _Wrong(f"no atom {name!r}")
        return
    head, *children = tree if tree else [""]
    if not isinstance(head, str):
        raise _Wrong("an operation begins with its opcode")
    op, _, parts = head.partition(".")
    opcode = OPCODES.get(op)
    if opcode is None:
        raise _Wrong(f"no opcode {op!r}")
    if not (opcode.results and opcode.is_plain):
        raise _Wrong(f"{op} gives nothing, or not by its operands alone")
    if len(children) != len(opcode.args):
        raise _Wrong(f"{op} has {len(opcode.args)} operands, not {len(children)}")
    if parts.count(".") > 1 or not _is_condition(opcode, parts.partition(".")[2]):
        raise _Wrong(f"no condition of {op}: {head!r}")
    for child in children:
        _check(child)


def _is_condition(opcode: Opcode, text: str) -> bool:
    form = opcode.format.name
    if text in ("", "?"):
        return text == "" or form in _CONDITIONS or form in _NUMBERED
    return text in _CONDITIONS.get(form, ()) or (form in _NUMBERED and (text.isdigit() or text.startswith("0x")))


def _existing(letter: str, ty: Type) -> Type | None:
    found = _named_type(letter, ty) if letter else None
    if letter and found is None:
        raise _Missing(letter)
    return found


@cache
def _shapes(lines: tuple[str, ...]) -> tuple[_Shape, ...]:
    """Every template for every type of its class: the same for all tables."""
    found: list[_Shape] = []
    for line in lines:
        try:
            found += _shapes_of(line)
        except _Wrong as wrong:
            raise InternalError(f"liftcheck/generators/templates.py: {wrong}\n    {line}") from None
    return tuple(found)


def _shapes_of(line: str) -> list[_Shape]:
    """One template for every type of its classes."""
    parts = [part.strip() for part in line.split("|")]
    if len(parts) != 3:
        raise _Wrong("a template is `name | types | expression`")
    tree, found = parse(parts[2]), []
    _check(tree)
    for name in parts[1].split(","):
        if name not in _CLASSES:
            raise _Wrong(f"no class of types {name!r}: {', '.join(_CLASSES)}")
        for type_name in _CLASSES[name]:
            with suppress(_Missing):
                shape = _shape(tree, TYPES[type_name])
                if isinstance(shape, _Shape):
                    found.append(shape)
    if not found:
        raise _Wrong("no operation, or none of its types is there")
    return found


class _Resolver:
    """Resolves templates with a table's rows; None for those that it lacks a typing for."""

    def __init__(self, table: Table) -> None:
        self.const = table.const
        self.index: dict[tuple[str, Type | None], list[Row]] = {}
        for row in table.by_shape.values():
            if row.results and OPCODES[row.op].is_plain:
                self.index.setdefault((row.op, row.type), []).append(row)

    def node(self, shape: _Shape, places: dict[tuple[str, Type], int]) -> Node | None:
        """One operation and all below it; `places` numbers a template's names by type."""
        rows = self.index.get((shape.op, shape.control))
        if rows is None:
            return None
        inner: list[Node | _Atom] = []
        for argument in shape.arguments:
            made = self.node(argument, places) if isinstance(argument, _Shape) else argument
            if made is None:
                return None
            inner.append(made)
        row = _fitting(
            rows, shape.control, [node.row.results[0] if isinstance(node, Node) else node.ty for node in inner]
        )
        if row is None or not takes(row, shape.condition):
            return None
        args: list[Node | Leaf] = []
        for node, wanted in zip(inner, row.args):
            if isinstance(node, _Atom):
                ty = node.ty or wanted
                if ty not in self.const:
                    return None
                args.append(Leaf(ty, node.constant, places.setdefault((node.name, ty), len(places))))
            else:
                args.append(node)
        return Node(row, shape.condition, tuple(args))


def _fitting(rows: list[Row], control: Type | None, known: list[Type | None]) -> Row | None:
    """Of the rows with these operands (None: any) the one whose operands are all of the controlling type, else one
    whose first is i8 (a shift's amount), else the first."""
    if len(rows[0].args) != len(known):
        return None
    for place, ty in enumerate(known):
        if ty is not None:
            rows = [row for row in rows if row.args[place] is ty]
    if len(rows) < 2:
        return rows[0] if rows else None
    alike = (control,) * len(known)
    return next((row for row in rows if row.args == alike), next((row for row in rows if row.args[0] is I8), rows[0]))


def resolve(table: Table, lines: tuple[str, ...]) -> tuple[Node, ...]:
    """Every template for every type of its class that the table can emit."""
    resolver = _Resolver(table)
    found = [resolver.node(shape, {}) for shape in _shapes(lines)]
    return tuple([node for node in found if node is not None])


def templates(table: Table) -> tuple[Node, ...]:
    """The resolved templates of `templates.py`."""
    return resolve(table, TEMPLATES)


def patterns_of(table: Table) -> tuple[Node, ...]:
    """The templates that a table can emit, resolved once."""
    derived = table.derived
    if derived.patterns is None:
        derived.patterns = templates(table)
    return derived.patterns


def emit_pattern(body: Body) -> None:
    """One template with values in scope."""
    patterns = patterns_of(body.table)
    instantiate(body, patterns[body.bits(16) % len(patterns)])


def instantiate(body: Body, node: Node) -> None:
    """Emit a template; its result comes into scope, the values in between now and then."""
    places: dict[int, int] = {}
    _emit(body, node, places)


def _emit(body: Body, node: Node, places: dict[int, int]) -> int:
    args: list[int] = []
    for argument in node.arguments:
        if isinstance(argument, Node):
            args.append(_emit(body, argument, places))
            continue
        ty, wanted, place = argument
        value = places.get(place)
        if value is None:
            value = places[place] = body.value(ty) if wanted is None else constant(body, wanted, ty)
        args.append(value)
    row, condition, _, _ = node
    imm: object = None
    if row.imm:
        r = body.bits(24)
        if condition and condition != "?":
            imm = given(condition)
        elif row.imm == "intcc":
            imm = INT_CONDITIONS[r % 10]
        elif row.imm == "floatcc":
            imm = FLOAT_CONDITIONS[r % 14]
        else:
            imm = body.immediate(row.imm, row.args[0], r)
    return body.apply(row, tuple(args), imm)


def takes(row: Row, condition: str) -> bool:
    """Whether the row may have this condition, lane or mask ('' and '?': one that is drawn)."""
    return condition in ("", "?") or not isinstance(row.imm, tuple) or given(condition) in row.imm


def given(condition: str) -> object:
    """A condition, a lane number, or the lanes of a shuffle (a hexadecimal number, lane 0 lowest)."""
    if condition.startswith("0x"):
        return tuple([int(condition, 16) >> 8 * lane & 255 for lane in range(16)])
    return int(condition) if condition.isdigit() else condition


def divisor(body: Body, ty: Type) -> int:
    """An interesting constant that neither division traps on."""
    value = table_of(ty)[body.bits(10)]
    return 3 if value in (0, ty.mask) else value


def _plain_name(name: str) -> str:
    """The kind of a constant: its name less the number that tells it from others of its kind."""
    return name.rstrip("23456789") if name[0] in "knpqm" else name


def constant(body: Body, name: str, ty: Type) -> int:
    """A constant by its template name; for vectors the same in every lane, for floats of that value."""
    name = _plain_name(name)
    if name == "kd":
        return body.const(ty, divisor(body, ty))
    if name == "k":
        return body.const(ty)
    if name == "kz":
        return body.const(ty) if body.bits(1) else body.value(ty)
    lane, width = ty.lane, ty.lane_bits
    r = body.bits(8)
    if ty.is_float:
        return body.const(ty, splat(ty, _float_constant(name, lane, r)))
    number = {
        "w": width,
        "w-1": width - 1,
        "h": width // 2,
        "min": 1 << (width - 1),
        "max": (1 << (width - 1)) - 1,
        "n": r % (2 * width),
        "p": 1 << r % width,
        "q": (1 << r % width) + (r >> 7) * 2 - 1,
        "m": (1 << r % (width + 1)) - 1,
    }.get(name)
    if number is None:
        number = int(name)
    return body.const(ty, splat(ty, number & lane.mask))


def splat(ty: Type, lane: int) -> int:
    return sum(lane << shift for shift in range(0, ty.bits, ty.lane_bits))


def _float_constant(name: str, lane: Type, r: int) -> int:
    """0, 1, -1, 2, a power of two as bits of a float type."""
    form = FORMATS[lane.bits]
    bias = (1 << (form.exponent - 1)) - 1
    power = {"0": None, "1": 0, "-1": 0, "2": 1, "p": r % 16 - 8}.get(name, 3)
    bits = 0 if power is None else (bias + power) << form.stored
    return bits | (1 << (lane.bits - 1) if name[0] == "-" else 0)
