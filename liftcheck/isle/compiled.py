"""Rules compiled to Python: a decision tree for each term.

The one idea: rules in the order of their priorities, and always the first rule's next step: whatever other rules need
it too, and may move up there, stands below it; steps that ask what variant or constant a slot is become one switch, a
dictionary where there are many. What no rule of a branch matches falls through to what comes after it.

A term is a function of a context (the first argument, which every function of Python's gets as well) and of its
arguments. If no rule matches, a `partial` term gives None, another raises `NoRule`; a `multi` term gives the list of
all matches. `context.trace`, if it is a list, gets 'file:line term' of every rule that matched.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from liftcheck.errors import InputError, InternalError
from liftcheck.isle.reader import Source, complaint
from liftcheck.isle.steps import (
    AreSame,
    Computed,
    Extracted,
    IsConst,
    IsVariant,
    Matched,
    Slots,
    Step,
    calls_of,
    check,
    renamed,
)
from liftcheck.isle.terms import Call, Const, Expr, Let, Make, Name, Program, Term, program_of

_MANY: Final = 4
"""A switch of more cases is a dictionary of functions."""


class NoRule(InternalError):
    """No rule of a term matches."""

    def __init__(self, term: str, arguments: tuple[Any, ...]) -> None:
        super().__init__(f"no rule of {term} matches {arguments!r}")
        self.term = term


class Layout(NamedTuple):
    """How Python has an enum: what tells the variant of `x` (as text in terms of `{x}`), what a field is (given the
    text of x, the variant and the field's number), and a variant with these fields."""

    tag: str
    field: Callable[[str, str, int], str]
    make: Callable[[str, Sequence[str]], str]


TUPLE: Final = Layout(
    "{x}[0]", lambda x, variant, n: f"{x}[{n + 1}]", lambda v, fields: f"({v!r}, {''.join(f + ', ' for f in fields)})"
)
"""('variant', field, …): of an enum without a layout of its own."""
NAME: Final = Layout("{x}", lambda x, variant, n: "", lambda v, fields: repr(v))
"""A string: of an enum whose variants have no fields."""


class Compiled:
    """The terms of some files. `source`: the Python that they became."""

    def __init__(self, program: Program, source: str, names: Mapping[str, Any]) -> None:
        self.program: Final = program
        self.source: Final = source
        space: dict[str, Any] = dict(names)
        exec(compile(source, "<rules>", "exec"), space)
        self._space: Final = space

    def term(self, name: str) -> Callable[..., Any]:
        """The function of a term."""
        found: Callable[..., Any] = self._space[f"t_{_plain(name)}"]
        return found


def compile_rules(
    files: Sequence[Source], externs: Mapping[str, Any], layouts: Mapping[str, Layout] | None = None
) -> Compiled:
    """The rules of some files. `externs`: what Python has, by the names in `extern` forms; constants by theirs without
    the `$`. InputError with all that is wrong in them."""
    program = program_of(files)
    return _Writer(program, externs, dict(layouts or {})).compiled()


def _plain(name: str) -> str:
    return "".join(c if c.isalnum() else f"_{ord(c):x}_" if c != "_" else "_" for c in name)


class _Writer:
    def __init__(self, program: Program, externs: Mapping[str, Any], layouts: dict[str, Layout]) -> None:
        self.program: Final = program
        self.externs: Final = externs
        self.layouts: Final = layouts
        self.lines: Final[list[str]] = []
        self.count: Final = itertools.count()
        self.space: dict[str, Any] = {"NoRule": NoRule}

    def compiled(self) -> Compiled:
        """All terms."""
        self._bind()
        matched: dict[str, list[Matched]] = {}
        slots: dict[str, Slots] = {}
        for name, term in self.program.terms.items():
            if term.rules:
                slots[name] = Slots(self.program, term)
                matched[name] = [slots[name].matched(rule) for rule in term.rules]
        check(self.program, matched)
        for name, rules in matched.items():
            _Function(self, self.program.terms[name], slots[name]).write(rules)
        return Compiled(self.program, "\n".join(self.lines), self.space)

    def _bind(self) -> None:
        """Python's names for what the files say is Python's."""
        lacking = []
        for term in self.program.terms.values():
            for kind, python in term.python.items():
                if python not in self.externs:
                    lacking.append(complaint(term.where, f"Python has no {kind} {python!r} for {term.name}"))
                    continue
                self.space[f"{'x' if kind == 'extractor' else 't'}_{_plain(term.name)}"] = self.externs[python]
            if not (term.constructor or term.extractor):
                lacking.append(complaint(term.where, f"{term.name} has no rule, and is not Python's"))
        for name, (_, python) in self.program.constants.items():
            if python not in self.externs:
                raise InputError.at(f"Python has no constant {python!r} for {name}")
            self.space[f"K_{python}"] = self.externs[python]
        if lacking:
            raise InputError(lacking)

    def layout(self, ty: str) -> Layout:
        """How Python has an enum."""
        return self.layouts.get(ty, TUPLE)


_Case = tuple[str, list[str], list[Matched], frozenset[Step], frozenset[str], tuple[IsVariant, ...]]
"""A function for a case of a switch: its name, the slots that it is given, its rules, steps done, slots known, and what
is asked for by the case."""


class _Function:
    """Writes the function of one term, and those of the cases of its switches."""

    def __init__(self, writer: _Writer, term: Term, slots: Slots) -> None:
        self.writer: Final = writer
        self.term: Final = term
        self.slots: Final = slots
        self.multi: Final = "multi" in term.flags
        self.partial: Final = "partial" in term.flags
        self.tables: list[str] = []
        self.waiting: list[
            tuple[str, list[str], list[Matched], frozenset[Step], frozenset[str], tuple[IsVariant, ...]]
        ] = []

    def write(self, rules: Sequence[Matched]) -> None:
        """The function."""
        name = f"t_{_plain(self.term.name)}"
        arguments = ", ".join(("ctx", *self.slots.arguments))
        lines = self.writer.lines
        lines.append(f"def {name}({arguments}):")
        lines.append("    trace = ctx.trace")
        if self.multi:
            lines.append("    out = []")
        ordered = sorted(rules, key=lambda one: -one.rule.priority)
        self._tree(ordered, frozenset(), frozenset(self.slots.arguments), 1)
        if self.multi:
            lines.append("    return out")
        elif self.partial:
            lines.append("    return None")
        else:
            given = "".join(a + ", " for a in self.slots.arguments)
            lines.append(f"    raise NoRule({self.term.name!r}, ({given}))")
        while self.waiting:
            case, given_slots, rules_of, done, known, asks = self.waiting.pop()
            lines.append(f"def {case}({', '.join(('ctx', *(['out'] if self.multi else []), *given_slots))}):")
            lines.append("    trace = ctx.trace")
            for asked in asks:
                known |= self._fields(asked, rules_of, done, "    ")
                done |= {asked}
            self._tree(rules_of, done, known, 1)
        lines += self.tables

    def _tree(self, rules: Sequence[Matched], done: frozenset[Step], known: frozenset[str], depth: int) -> None:
        lines, indent = self.writer.lines, "    " * depth
        rules = list(rules)
        while rules:
            first = rules[0]
            step = next((one for one in first.steps if one not in done), None)
            if step is None:
                self._body(first, depth)
                if not self.multi:
                    return
                rules = rules[1:]
                continue
            if self._is_total(step):
                known |= self._total(step, indent)
                done |= {step}
                continue
            if isinstance(step, IsVariant | IsConst):
                rules = self._switch(step, rules, done, known, depth)
                continue
            taken, rules = self._taken(rules, lambda one, s=step: s in one.steps)  # type: ignore[misc]
            made = self._guard(step, indent)
            self._tree(taken, done | {step}, known | made, depth + 1)
        if lines[-1].endswith(":"):
            lines.append(f"{indent}pass")

    def _taken(self, rules: Sequence[Matched], wants: Callable[[Matched], bool]) -> tuple[list[Matched], list[Matched]]:
        """The rules that want something and may be tried before the others, and these others."""
        taken: list[Matched] = []
        rest: list[Matched] = []
        for one in rules:
            if wants(one) and (not rest or self.multi or rest[0].rule.priority == one.rule.priority):
                taken.append(one)
            else:
                rest.append(one)
        return taken, rest

    def _is_total(self, step: Step) -> bool:
        if isinstance(step, Extracted):
            return self.writer.program.terms[step.term].infallible
        return isinstance(step, Computed) and not self._may_fail(step.expr)

    def _may_fail(self, expr: Expr) -> bool:
        return any("partial" in self.writer.program.terms[name].flags for name in calls_of(expr))

    def _total(self, step: Step, indent: str) -> set[str]:
        """A step that always has a value."""
        if isinstance(step, Computed):
            self.writer.lines.append(f"{indent}{step.made} = {self._expression(step.expr)}")
            return {step.made}
        assert isinstance(step, Extracted)
        call = f"x_{_plain(step.term)}(ctx, {step.slot})"
        self.writer.lines.append(f"{indent}{', '.join(step.made)} = {call}" if step.made else f"{indent}{call}")
        return set(step.made)

    def _guard(self, step: Step, indent: str) -> set[str]:
        """A step that may fail, as a condition."""
        lines = self.writer.lines
        if isinstance(step, AreSame):
            lines.append(f"{indent}if {step.slot} == {step.other}:")
            return set()
        if isinstance(step, Computed):
            value, ok = self._statements(step.expr, indent)
            lines.append(f"{indent}{step.made} = {_or_none(value, ok)}")
            lines.append(f"{indent}if {step.made} is not None:")
            return {step.made}
        assert isinstance(step, Extracted)
        single = len(step.made) == 1
        target = step.made[0] if single else f"w{next(self.writer.count)}"
        lines.append(f"{indent}{target} = x_{_plain(step.term)}(ctx, {step.slot})")
        lines.append(f"{indent}if {target} is not None:")
        if not single and step.made:
            lines.append(f"{indent}    {', '.join(step.made)} = {target}")
        return set(step.made)

    def _switch(
        self,
        step: IsVariant | IsConst,
        rules: Sequence[Matched],
        done: frozenset[Step],
        known: frozenset[str],
        depth: int,
    ) -> list[Matched]:
        """All cases of a slot, for the rules that ask what it is; the other rules come back."""

        def test(one: Matched) -> IsVariant | IsConst | None:
            return next(
                (s for s in one.steps if isinstance(s, IsVariant | IsConst) and s.slot == step.slot and s not in done),
                None,
            )

        taken, rest = self._taken(rules, lambda one: test(one) is not None)
        cases: dict[IsVariant | IsConst, list[Matched]] = {}
        for one in taken:
            asked = test(one)
            assert asked is not None
            cases.setdefault(asked, []).append(one)
        lines, indent = self.writer.lines, "    " * depth
        tag = self._tag(step)
        if len(cases) > _MANY and isinstance(step, IsVariant):
            self._dictionary(cases, done, known, indent, tag)
            return rest
        word = "if"
        if isinstance(step, IsVariant) and len(cases) > 1 and tag != step.slot:
            lines.append(f"{indent}tag = {tag}")
            tag = "tag"
        for asked, some in cases.items():
            what = repr(asked.variant) if isinstance(asked, IsVariant) else asked.python
            lines.append(f"{indent}{word} {tag} {'is' if what in ('True', 'False') else '=='} {what}:")
            word = "elif"
            made = self._fields(asked, some, done, indent + "    ")
            self._tree(some, done | {asked}, known | made, depth + 1)
        return rest

    def _dictionary(
        self,
        cases: Mapping[IsVariant | IsConst, list[Matched]],
        done: frozenset[Step],
        known: frozenset[str],
        indent: str,
        tag: str,
    ) -> None:
        lines = self.writer.lines
        table = f"D{next(self.writer.count)}"
        named = sorted(known)
        entries = []
        for asked, some in cases.items():
            assert isinstance(asked, IsVariant)
            case = f"c{next(self.writer.count)}_{_plain(asked.variant)}"
            entries.append(f"{asked.variant!r}: {case}")
            self.waiting.append((case, named, some, done, known, (asked,)))
        arguments = ", ".join(("ctx", *(["out"] if self.multi else []), *named))
        found = f"f{next(self.writer.count)}"
        lines.append(f"{indent}{found} = {table}.get({tag})")
        lines.append(f"{indent}if {found} is not None:")
        if self.multi:
            lines.append(f"{indent}    {found}({arguments})")
        else:
            lines.append(f"{indent}    {found} = {found}({arguments})")
            lines.append(f"{indent}    if {found} is not None:")
            lines.append(f"{indent}        return {found}")
        self.tables.append(f"{table} = {{{', '.join(entries)}}}")

    def _tag(self, step: IsVariant | IsConst) -> str:
        if isinstance(step, IsConst):
            return step.slot
        return self.writer.layout(step.type).tag.format(x=step.slot)

    def _fields(
        self, step: IsVariant | IsConst, rules: Sequence[Matched], done: frozenset[Step], indent: str
    ) -> set[str]:
        """The fields of a variant that some rule looks at."""
        if isinstance(step, IsConst):
            return set()
        variants = self.writer.program.types[step.type].variants
        assert variants is not None
        layout = self.writer.layout(step.type)
        made = set()
        used = {slot for one in rules for slot in _used(one)}
        for number in range(len(variants[step.variant])):
            slot = self.slots.field(step.slot, step.type, step.variant, number)
            if slot in used:
                self.writer.lines.append(f"{indent}{slot} = {layout.field(step.slot, step.variant, number)}")
                made.add(slot)
        return made

    # -- right-hand sides

    def _body(self, matched: Matched, depth: int) -> None:
        lines, indent = self.writer.lines, "    " * depth
        rule = matched.rule
        lines.append(f"{indent}if trace is not None:")
        lines.append(f"{indent}    trace.append({f'{rule.place} {rule.term}'!r})")
        value, ok = self._statements(renamed(rule.body, matched.names), indent)
        if self.multi:
            if ok:
                lines.append(f"{indent}if {ok}:")
                indent += "    "
            lines.append(f"{indent}out.append({value})")
        else:
            if ok and not self.partial:
                raise InternalError(f"{rule.place}: {rule.term} is not partial, and what it gives is")
            lines.append(f"{indent}return {_or_none(value, ok)}")

    def _statements(self, expr: Expr, indent: str) -> tuple[str, str]:
        """Puts down what an expression needs; its value, and the condition under which it has one ('': always)."""
        conditions: list[str] = []
        names: dict[str, str] = {}
        value = self._flat(expr, indent, names, conditions)
        return value, " and ".join(conditions)

    def _flat(self, expr: Expr, indent: str, names: dict[str, str], conditions: list[str]) -> str:
        if isinstance(expr, Name):
            return names.get(expr.name, expr.name)
        if isinstance(expr, Const):
            return expr.python
        if isinstance(expr, Let):
            for name, one in expr.names:
                value = self._flat(one, indent, names, conditions)
                names[name] = f"l{next(self.writer.count)}"
                self._put(f"{names[name]} = {value}", indent, conditions)
            return self._flat(expr.body, indent, names, conditions)
        if isinstance(expr, Make):
            fields = [self._flat(one, indent, names, conditions) for one in expr.fields]
            return self.writer.layout(expr.type).make(expr.name, fields)
        arguments = [self._flat(one, indent, names, conditions) for one in expr.arguments]
        call = f"t_{_plain(expr.term)}({', '.join(('ctx', *arguments))})"
        if "partial" not in self.writer.program.terms[expr.term].flags:
            return call
        made = f"p{next(self.writer.count)}"
        self._put(f"{made} = {call}", indent, conditions)
        conditions.append(f"{made} is not None")
        return made

    def _put(self, statement: str, indent: str, conditions: Sequence[str]) -> None:
        """A statement that is done if all before it have values."""
        if conditions:
            name, _, value = statement.partition(" = ")
            statement = f"{name} = ({value}) if {' and '.join(conditions)} else None"
        self.writer.lines.append(indent + statement)

    def _expression(self, expr: Expr) -> str:
        """An expression that always has a value."""
        if isinstance(expr, Name):
            return expr.name
        if isinstance(expr, Const):
            return expr.python
        if isinstance(expr, Make):
            return self.writer.layout(expr.type).make(expr.name, [self._expression(one) for one in expr.fields])
        if isinstance(expr, Call):
            return f"t_{_plain(expr.term)}({', '.join(('ctx', *map(self._expression, expr.arguments)))})"
        raise InternalError("a let stands in an if-let")


def _or_none(value: str, ok: str) -> str:
    """A value, or None where a condition does not hold."""
    return value if ok in ("", f"{value} is not None") else f"({value}) if {ok} else None"


def _used(matched: Matched) -> Iterator[str]:
    """Every slot that a rule mentions."""
    yield from matched.names.values()
    for step in matched.steps:
        if isinstance(step, IsVariant | IsConst | Extracted):
            yield step.slot
        elif isinstance(step, AreSame):
            yield step.slot
            yield step.other
        else:
            yield from _slots(step.expr)


def _slots(expr: Expr) -> Iterator[str]:
    if isinstance(expr, Name):
        yield expr.name
    elif isinstance(expr, Call):
        for one in expr.arguments:
            yield from _slots(one)
    elif isinstance(expr, Make):
        for one in expr.fields:
            yield from _slots(one)
