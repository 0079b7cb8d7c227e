"""What ISLE files declare: types, terms, constants, conversions; and rules, type-checked, as patterns and expressions.

The one idea: macros are unfolded and conversions are put in while reading, so what comes after sees a handful of
shapes: a pattern is a wildcard, a name, a constant, a variant, an extractor or several at once; an expression is a
name, a constant, a variant, a call or a let.

Source: `cranelift/isle/docs/language-reference.md`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from liftcheck.errors import Diagnostic, InputError
from liftcheck.isle.reader import Atom, Form, Source, Tree, atom, complaint, read, wrong

_DEEP: Final = 64
"""So many macros inside of one another are one that never ends."""


@dataclass(slots=True)
class TypeDecl:
    """`variants`: name -> (field, type), of an enum; None: a primitive type."""

    name: str
    where: Atom
    variants: dict[str, tuple[tuple[str, str], ...]] | None = None


@dataclass(slots=True)
class Term:
    """What a name stands for.

    params, result  types
    pure, partial, multi, rec  as declared
    constructor, extractor  'internal', 'extern' or '' (a macro is unfolded: `macro`)
    python          of extern ones: (constructor's, extractor's) name in Python
    infallible      of an extern extractor
    """

    name: str
    where: Atom
    params: tuple[str, ...]
    result: str
    flags: frozenset[str] = frozenset()
    constructor: str = ""
    extractor: str = ""
    python: dict[str, str] = field(default_factory=dict)
    infallible: bool = False
    macro: tuple[tuple[Atom, ...], Tree] | None = None
    rules: list[Rule] = field(default_factory=list)


# -- patterns and expressions


class Wild(NamedTuple):
    """Anything."""


class Bind(NamedTuple):
    """A new name for what also matches `inside`."""

    name: str
    inside: Pattern


class Same(NamedTuple):
    """What a name has already."""

    name: str


class Const(NamedTuple):
    """A constant: how Python writes it."""

    python: str
    type: str


class Variant(NamedTuple):
    """One variant of an enum."""

    type: str
    name: str
    fields: tuple[Pattern, ...]


class Extract(NamedTuple):
    """What an extractor makes of it."""

    term: str
    fields: tuple[Pattern, ...]


class All(NamedTuple):
    """Several patterns at once."""

    parts: tuple[Pattern, ...]


Pattern = Wild | Bind | Same | Const | Variant | Extract | All


class Name(NamedTuple):
    """What was bound."""

    name: str


class Make(NamedTuple):
    """A variant with these fields."""

    type: str
    name: str
    fields: tuple[Expr, ...]


class Call(NamedTuple):
    """A constructor."""

    term: str
    arguments: tuple[Expr, ...]


class Let(NamedTuple):
    """Names for expressions, one after the other."""

    names: tuple[tuple[str, Expr], ...]
    body: Expr


Expr = Name | Const | Make | Call | Let


@dataclass(slots=True)
class Rule:
    """`place`: 'file:line' as a trace says it. `patterns`: of the arguments; `lets`: (pattern, expression) in turn."""

    term: str
    where: Form
    place: str
    priority: int
    patterns: tuple[Pattern, ...]
    lets: tuple[tuple[Pattern, Expr], ...]
    body: Expr


@dataclass(slots=True)
class Program:
    """Everything that some files say. `constants`: name -> (type, Python)."""

    types: dict[str, TypeDecl] = field(default_factory=dict)
    terms: dict[str, Term] = field(default_factory=dict)
    constants: dict[str, tuple[str, str]] = field(default_factory=dict)
    conversions: dict[tuple[str, str], str] = field(default_factory=dict)


def program_of(files: Iterable[Source]) -> Program:
    """The program of some files, which may refer to one another in any order. InputError with all that is wrong."""
    made = _Reader()
    forms = [form for file in files for form in read(file)]
    for step in (made.declare, made.define, made.rule):
        for form in forms:
            try:
                step(form)
            except InputError as error:
                made.errors.extend(error.diagnostics)
        if made.errors:
            raise InputError(made.errors)
    return made.program


_FLAGS: Final = frozenset({"pure", "partial", "multi", "rec"})


class _Reader:
    def __init__(self) -> None:
        self.program: Final = Program()
        self.errors: Final[list[Diagnostic]] = []

    # -- declarations

    def declare(self, form: Form) -> None:
        """Types, terms and constants."""
        word = _word(form)
        if word == "type":
            self._type(form)
        elif word == "decl":
            self._decl(form)
        elif word == "extern" and len(form) > 1 and form[1] == "const":
            name, ty = _atoms(form, 2, 2)
            self.program.constants[name] = (ty, name.lstrip("$").replace(".", "_"))
        elif word == "pragma" or word in ("extern", "extractor", "convert", "rule"):
            return
        else:
            raise wrong(form, f"no form is called {word!r}: type, decl, extern, extractor, convert, rule")

    def _type(self, form: Form) -> None:
        name = _atoms(form, 1, 1)[0]
        if name in self.program.types:
            raise wrong(name, f"there is a type {name} already")
        kind = form[-1]
        if not isinstance(kind, Form) or not kind or kind[0] not in ("primitive", "enum"):
            raise wrong(form, "a type is (primitive NAME) or (enum …)")
        declared = TypeDecl(name, name)
        if kind[0] == "enum":
            declared.variants = {}
            for variant in kind[1:]:
                if isinstance(variant, Atom):
                    declared.variants[variant] = ()
                    continue
                fields = []
                for one in variant[1:]:
                    if not isinstance(one, Form) or len(one) != 2:
                        raise wrong(one, "a field is (name Type)")
                    fields.append((str(one[0]), str(one[1])))
                declared.variants[str(variant[0])] = tuple(fields)
        self.program.types[name] = declared

    def _decl(self, form: Form) -> None:
        rest = list(form[1:])
        flags = set()
        while rest and isinstance(rest[0], Atom) and rest[0] in _FLAGS and len(rest) > 3:
            flags.add(str(rest.pop(0)))
        if len(rest) != 3 or not isinstance(rest[0], Atom) or not isinstance(rest[1], Form):
            raise wrong(form, "expected: (decl [pure] [partial] [multi] [rec] NAME (TYPE …) TYPE)")
        name, params, result = rest
        assert isinstance(name, Atom) and isinstance(params, Form)
        if name in self.program.terms:
            raise wrong(name, f"there is a term {name} already")
        self.program.terms[name] = Term(name, name, tuple(map(str, params)), str(result), frozenset(flags))

    def define(self, form: Form) -> None:
        """What belongs to terms, and that types are there."""
        word = _word(form)
        if word == "decl":
            names = [one for one in form[1:] if isinstance(one, Form) or one not in _FLAGS]
            assert isinstance(names[1], Form)
            for ty in (*names[1], names[2]):
                self._known_type(ty)
        elif word == "extern":
            self._extern(form)
        elif word == "extractor":
            self._macro(form)
        elif word == "convert":
            inner, outer, term = _atoms(form, 1, 3)
            self._known_type(inner)
            self._known_type(outer)
            self._term(term)
            self.program.conversions[inner, outer] = term
        elif word == "type" and isinstance(form[-1], Form) and form[-1][0] == "enum":
            for variant in form[-1][1:]:
                for one in variant[1:] if isinstance(variant, Form) else ():
                    assert isinstance(one, Form)
                    self._known_type(one[1])

    def _extern(self, form: Form) -> None:
        if len(form) > 1 and form[1] == "const":
            self._known_type(form[3])
            return
        words = list(form[1:])
        if len(words) < 3 or words[0] not in ("constructor", "extractor"):
            raise wrong(form, "expected: (extern constructor TERM NAME), (extern extractor [infallible] TERM NAME)")
        kind = str(words.pop(0))
        infallible = words[0] == "infallible"
        words = words[1:] if infallible else words
        name, python = words[0], words[1]
        term = self._term(name)
        if kind == "constructor":
            self._once(term, name, "constructor", term.constructor)
            term.constructor = "extern"
        else:
            self._once(term, name, "extractor", term.extractor)
            term.extractor, term.infallible = "extern", infallible
        term.python[kind] = str(python)

    def _macro(self, form: Form) -> None:
        if len(form) != 3 or not isinstance(form[1], Form) or not form[1]:
            raise wrong(form, "expected: (extractor (TERM NAME …) PATTERN)")
        name, *params = form[1]
        term = self._term(name)
        self._once(term, name, "extractor", term.extractor)
        if len(params) != len(term.params):
            raise wrong(form[1], f"{term.name} has {len(term.params)} arguments, here are {len(params)}")
        term.extractor = "macro"
        term.macro = tuple(p for p in params if isinstance(p, Atom)), form[2]

    @staticmethod
    def _once(term: Term, where: Tree, kind: str, known: str) -> None:
        if known:
            raise wrong(where, f"{term.name} has an {kind} already")

    def _term(self, name: Tree) -> Term:
        term = self.program.terms.get(name) if isinstance(name, Atom) else None
        if term is None:
            raise wrong(name, f"no term is called {name!s}{_like(str(name), self.program.terms)}")
        return term

    def _known_type(self, name: Tree) -> None:
        if str(name) not in self.program.types and name not in ("bool", "int"):
            raise wrong(name, f"no type is called {name!s}{_like(str(name), self.program.types)}")

    # -- rules

    def rule(self, form: Form) -> None:
        """A rule, onto its term."""
        if _word(form) != "rule":
            return
        rest = list(form[1:])
        if len(rest) > 2 and isinstance(rest[0], Atom) and not _is_number(rest[0]):
            rest.pop(0)  # a name
        where, priority = rest[0], 0
        if isinstance(rest[0], Atom) and _is_number(rest[0]):
            priority = int(str(rest.pop(0)))
        if len(rest) < 2 or not isinstance(rest[0], Form) or not rest[0]:
            raise wrong(form, "expected: (rule [PRIORITY] (TERM PATTERN …) [(if-let PATTERN EXPR)]… EXPR)")
        left, *lets, body = rest
        assert isinstance(left, Form)
        term = self._term(left[0])
        if term.constructor == "extern":
            raise wrong(left[0], f"{term.name} is made in Python: it has no rules")
        term.constructor = "internal"
        scope = _Scope(self.program)
        patterns = scope.patterns(left, left[1:], term.params)
        bound: list[tuple[Pattern, Expr]] = []
        for one in lets:
            if not isinstance(one, Form) or not one or one[0] not in ("if", "if-let"):
                raise wrong(one, "expected: (if EXPR), (if-let PATTERN EXPR)")
            if len(one) != (2 if one[0] == "if" else 3):
                raise wrong(one, f"{one[0]!s} has {1 if one[0] == 'if' else 2} parts")
            expr, ty = scope.expression(one[-1], None, pure=True)
            pattern: Pattern
            if one[0] == "if-let":
                pattern = scope.pattern(one[1], ty)
            else:
                pattern = Const("True", "bool") if ty == "bool" else Wild()
            bound.append((pattern, expr))
        made, _ = scope.expression(body, term.result)
        place = f"{where.source.name}:{where.line}"
        term.rules.append(Rule(term.name, form, place, priority, patterns, tuple(bound), made))


class _Scope:
    """The names of one rule, with their types."""

    def __init__(self, program: Program) -> None:
        self.program: Final = program
        self.types: dict[str, str] = {}
        self._fresh = 0

    # -- patterns

    def patterns(self, where: Form, trees: Sequence[Tree], types: Sequence[str]) -> tuple[Pattern, ...]:
        """The patterns of a term's arguments."""
        found = self._sequence(trees, types, None, 0, where)
        return tuple(found)

    def pattern(
        self, tree: Tree, ty: str, given: Mapping[str, Pattern | tuple[Tree, str]] | None = None, depth: int = 0
    ) -> Pattern:
        """A pattern for a value of a type. `given`: of a macro the patterns of its parameters, not yet read."""
        if isinstance(tree, Atom):
            return self._atom(tree, ty, given, depth)
        if len(tree) >= 3 and tree[1] == "@":
            raise wrong(tree, "write name @ pattern without parentheses")
        if not tree or not isinstance(tree[0], Atom):
            raise wrong(tree, "a pattern begins with a name")
        if tree[0] == "and":
            return All(tuple(self._sequence(tree[1:], [ty] * self._count(tree[1:]), given, depth)))
        found = self._variant(tree[0], ty)
        if found is not None:
            fields = self.program.types[found[0]].variants[found[1]]  # type: ignore[index]
            parts = self._sequence(tree[1:], [t for _, t in fields], given, depth, tree)
            return self._converted(tree, found[0], ty, Variant(found[0], found[1], tuple(parts)))
        term = self.program.terms.get(tree[0])
        if term is None:
            raise wrong(tree[0], f"no term is called {tree[0]!s}{_like(tree[0], self.program.terms)}")
        if not term.extractor:
            raise wrong(tree[0], f"{term.name} has no extractor: it cannot stand in a pattern")
        if depth > _DEEP:
            raise wrong(tree, f"the extractor {term.name} is unfolded without end")
        if term.macro is not None:
            params, body = term.macro
            trees = self._split(tree[1:])
            if len(trees) != len(params):
                raise wrong(tree, f"{term.name} has {len(params)} arguments, here are {len(trees)}")
            inner: dict[str, Pattern | tuple[Tree, str]] = {}
            for param, one in zip(params, trees):
                inner[str(param)] = _Later(one, given)  # type: ignore[assignment]
            made = self.pattern(body, term.result, inner, depth + 1)
        else:
            parts = self._sequence(tree[1:], term.params, given, depth, tree)
            made = Extract(term.name, tuple(parts))
        return self._converted(tree, term.result, ty, made)

    def _atom(self, tree: Atom, ty: str, given: Mapping[str, Pattern | tuple[Tree, str]] | None, depth: int) -> Pattern:
        if tree == "_":
            return Wild()
        if given is not None and tree in given:
            later = given[tree]
            assert isinstance(later, _Later)
            trees = later.trees
            if len(trees) == 3:
                return self._bound(trees[0], trees[2], ty, later.given, depth)
            return self.pattern(trees[0], ty, later.given, depth)
        constant = self._constant(tree, ty)
        if constant is not None:
            return constant
        found = self._variant(tree, ty)
        if found is not None:
            return self._converted(tree, found[0], ty, Variant(found[0], found[1], ()))
        if tree in self.types:
            if self.types[tree] != ty:
                raise wrong(tree, f"{tree} is a {self.types[tree]}, here stands a {ty}")
            return Same(tree)
        self.types[tree] = ty
        return Bind(tree, Wild())

    def _bound(
        self, name: Tree, inside: Tree, ty: str, given: Mapping[str, Pattern | tuple[Tree, str]] | None, depth: int
    ) -> Pattern:
        if not isinstance(name, Atom):
            raise wrong(name, "before @ stands a name")
        if name in self.types:
            raise wrong(name, f"{name} is bound already")
        self.types[name] = ty
        return Bind(name, self.pattern(inside, ty, given, depth))

    def _sequence(
        self,
        trees: Sequence[Tree],
        types: Sequence[str],
        given: Mapping[str, Pattern | tuple[Tree, str]] | None,
        depth: int,
        where: Form | None = None,
    ) -> list[Pattern]:
        """Patterns one after the other; `x @ p` is one."""
        split = self._split(trees)
        if where is not None and len(split) != len(types):
            raise wrong(where, f"{where[0]!s} has {len(types)} arguments, here are {len(split)}")
        return [
            self._bound(one[0], one[2], ty, given, depth) if len(one) == 3 else self.pattern(one[0], ty, given, depth)
            for one, ty in zip(split, types)
        ]

    @staticmethod
    def _split(trees: Sequence[Tree]) -> list[tuple[Tree, ...]]:
        found: list[tuple[Tree, ...]] = []
        at = 0
        while at < len(trees):
            if at + 2 < len(trees) and trees[at + 1] == "@":
                found.append(tuple(trees[at : at + 3]))
                at += 3
            else:
                found.append((trees[at],))
                at += 1
        return found

    def _count(self, trees: Sequence[Tree]) -> int:
        return len(self._split(trees))

    def _constant(self, tree: Atom, ty: str | None) -> Const | None:
        if tree[0] == "$":
            found = self.program.constants.get(tree)
            if found is None:
                raise wrong(tree, f"no constant is called {tree}{_like(tree, self.program.constants)}")
            if ty is not None and found[0] != ty:
                raise wrong(tree, f"{tree} is a {found[0]}, here stands a {ty}")
            return Const(f"K_{found[1]}", found[0])
        if tree in ("true", "false"):
            return Const(str(tree).capitalize(), "bool")
        if _is_number(tree):
            return Const(str(int(tree.replace("_", ""), 0)), ty or "int")
        return None

    def _variant(self, name: Atom, ty: str | None) -> tuple[str, str] | None:
        """The enum and the variant that `Type.Variant` names."""
        enum, dot, variant = name.partition(".")
        declared = self.program.types.get(enum) if dot else None
        if declared is None or declared.variants is None:
            return None
        if variant not in declared.variants:
            raise wrong(name, f"{enum} has no variant {variant}{_like(variant, declared.variants)}")
        return enum, variant

    def _converted(self, where: Tree, have: str, want: str, made: Pattern) -> Pattern:
        if have == want:
            return made
        term = self.program.conversions.get((have, want))
        if term is None or not self.program.terms[term].extractor:
            raise wrong(where, f"this matches a {have}, here stands a {want}")
        return Extract(term, (made,))

    # -- expressions

    def expression(self, tree: Tree, want: str | None, pure: bool = False) -> tuple[Expr, str]:
        """An expression and its type, converted to the one that is wanted."""
        made, have = self._expression(tree, want, pure)
        if want is None or have == want:
            return made, have
        term = self.program.conversions.get((have, want))
        if term is None or not self.program.terms[term].constructor:
            raise wrong(tree, f"this is a {have}, here stands a {want}")
        return Call(term, (made,)), want

    def _expression(self, tree: Tree, want: str | None, pure: bool) -> tuple[Expr, str]:
        if isinstance(tree, Atom):
            constant = self._constant(tree, None)
            if constant is not None:
                if constant.type == "int" and want is not None:
                    return constant, want
                return constant, constant.type
            found = self._variant(tree, want)
            if found is not None:
                return Make(found[0], found[1], ()), found[0]
            if tree not in self.types:
                raise wrong(tree, f"nothing is called {tree}{_like(tree, self.types)}")
            return Name(str(tree)), self.types[tree]
        if not tree or not isinstance(tree[0], Atom):
            raise wrong(tree, "an expression begins with a name")
        if tree[0] == "let":
            return self._let(tree, want, pure)
        found = self._variant(tree[0], want)
        if found is not None:
            fields = self.program.types[found[0]].variants[found[1]]  # type: ignore[index]
            types = [t for _, t in fields]
            return Make(found[0], found[1], self._arguments(tree, types, pure)), found[0]
        term = self.program.terms.get(tree[0])
        if term is None:
            raise wrong(tree[0], f"no term is called {tree[0]!s}{_like(tree[0], self.program.terms)}")
        if pure and "pure" not in term.flags:
            raise wrong(tree[0], f"{term.name} is not pure: it cannot stand in an if-let")
        return Call(term.name, self._arguments(tree, term.params, pure)), term.result

    def _arguments(self, tree: Form, types: Sequence[str], pure: bool) -> tuple[Expr, ...]:
        if len(tree) - 1 != len(types):
            raise wrong(tree, f"{tree[0]!s} has {len(types)} arguments, here are {len(tree) - 1}")
        return tuple(self.expression(one, ty, pure)[0] for one, ty in zip(tree[1:], types))

    def _let(self, tree: Form, want: str | None, pure: bool) -> tuple[Expr, str]:
        if len(tree) != 3 or not isinstance(tree[1], Form):
            raise wrong(tree, "expected: (let ((NAME TYPE EXPR) …) EXPR)")
        outer = dict(self.types)
        names: list[tuple[str, Expr]] = []
        for one in tree[1]:
            if not isinstance(one, Form) or len(one) != 3 or not isinstance(one[0], Atom):
                raise wrong(one, "expected: (NAME TYPE EXPR)")
            made, _ = self.expression(one[2], str(one[1]), pure)
            names.append((str(one[0]), made))
            self.types[str(one[0])] = str(one[1])
        body, ty = self.expression(tree[2], want, pure)
        self.types = outer
        return Let(tuple(names), body), ty


class _Later(NamedTuple):
    """A macro's argument, read where the macro's body has it; `given`: what its own names mean."""

    trees: tuple[Tree, ...]
    given: Mapping[str, object] | None


def _word(form: Form) -> str:
    if not form or not isinstance(form[0], Atom):
        raise wrong(form, "a form begins with a word")
    return str(form[0])


def _atoms(form: Form, start: int, count: int) -> list[Atom]:
    found = [one for one in form[start : start + count] if isinstance(one, Atom)]
    if len(found) != count:
        raise wrong(form, f"expected {count} names here")
    return found


def _is_number(text: str) -> bool:
    try:
        int(text.replace("_", ""), 0)
    except ValueError:
        return False
    return True


def _like(name: str, known: Iterable[str]) -> str:
    from difflib import get_close_matches  # only where something is wrong

    close = get_close_matches(name, [*known], 2)
    return f"; there is {', '.join(close)}" if close else ""


__all__ = ["Program", "Source", "atom", "complaint", "program_of"]
