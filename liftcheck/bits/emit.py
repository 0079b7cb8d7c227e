"""From terms to Python text, lane by lane or whole vectors at once.

The one idea: a term is asked for in a *view* — raw, exact, signed, as an atom, as a condition, or flat (all lanes in
one integer) — and each view is written from the cheapest views of the operands. Vectors are taken apart once
(`struct` or shifts) and every lane is written as scalar code, unless the row has a flat form. Subterms with several
users become locals. Inputs are written `{0}`, `{1}`, …, locals `{t}0`, `{t}1`, …: the text is a template for
`str.format`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Final

from liftcheck.bits import code as c
from liftcheck.bits.code import ATOM, Code
from liftcheck.bits.flat import FLAT, pack, unpack
from liftcheck.bits.prim import PRIMS
from liftcheck.bits.term import Term, postorder, value_of
from liftcheck.errors import InternalError


class Emitter:
    """Writes the terms below `roots`; `statements` grows as locals are needed, in the order of evaluation."""

    def __init__(self, inputs: tuple[Term, ...], roots: tuple[Term, ...], namespace: Mapping[str, object]) -> None:
        self.statements: list[str] = []
        self._namespace = namespace
        self._inputs: Final = {term: Code(f"{{{i}}}", ATOM, 0, (1 << term.bits) - 1) for i, term in enumerate(inputs)}
        order = postorder(roots)
        self._uses: Final = Counter(roots)
        for node in order:
            self._uses.update(node.args)
        self._constant: Final = _constants(order)
        self._signed: Final = _only_signed(order)
        self._memo: Final[dict[tuple[str, int, Term], Code]] = {}
        self._lanes: Final[dict[Term, list[Code]]] = {}
        self._locals = 0
        self._lane = 0

    # Views of one lane (the context of `prim`).

    def raw(self, term: Term) -> Code:
        """See `code.Context`. What has several users is masked at once, unless it fits as a signed number."""
        if self._uses[term] == 1 or not PRIMS[term.prim].lanewise:
            return self._viewed("raw", term)
        known = self._memo.get(self._key("raw", term)) or self._memo.get(self._key("exact", term))
        if known is None:
            top, code = 1 << term.lane - 1, PRIMS[term.prim].python(self, term)
            if not code.within(-top, top - 1) or term in self._constant:
                return self.exact(term)
            known = self._memo[self._key("raw", term)] = self._shared(term, code)
        return known

    def exact(self, term: Term) -> Code:
        """See `code.Context`."""
        return self._viewed("exact", term)

    def signed(self, term: Term) -> Code:
        """See `code.Context`."""
        top = 1 << term.lane - 1
        raw = self.raw(term)
        if raw.within(-top, top - 1):
            return raw
        biased = c.infix(self.exact(term), "^", c.literal(top), 0, 2 * top - 1)
        return c.subtracted(biased, c.literal(top))

    def is_signed(self, term: Term) -> bool:
        """See `code.Context`."""
        top, raw = 1 << term.lane - 1, self.raw(term)
        return raw.low < 0 and raw.within(-top, top - 1)

    def atom(self, term: Term) -> Code:
        """See `code.Context`."""
        return self._named("exact", term, self.exact(term))

    def signed_atom(self, term: Term) -> Code:
        """See `code.Context`."""
        code = self._memo.get(self._key("signed", term)) or self.signed(term)
        if code.low == code.high:
            return Code(f"({code.text})" if code.low < 0 else code.text, ATOM, code.low, code.high)
        return self._named("signed", term, code)

    def condition(self, term: Term) -> Code:
        """See `code.Context`."""
        inner = term.args[0] if term.prim == "not" else term
        if inner.prim == "eq" and inner.args[1].prim == "const" and not value_of(inner.args[1]):
            code = self.exact(inner.args[0])
            return code if term.prim == "not" else Code(f"not {c.wrap(code, c.COMPARE)}", c.NOT, 0, 1)
        if term.prim in ("and", "or") and self._uses[term] == 1:
            return c.truth(self.condition(term.args[0]), term.prim, self.condition(term.args[1]))
        return self.exact(term)

    # Whole vectors.

    def flat(self, term: Term) -> Code:
        """See `code.Context`."""
        if term.lanes == 1:
            return self._scalar(term)
        key = ("flat", 0, term)
        found = self._memo.get(key)
        if found is None:
            found = self._memo[key] = self._shared(term, self._flat(term))
        return found

    def lanes(self, term: Term) -> list[Code]:
        """See `code.Context`."""
        if term.lanes == 1:
            return [self._scalar(term)]
        found = self._lanes.get(term)
        if found is None:
            found = self._lanes[term] = self._apart(term)
        return found

    def local(self, code: Code) -> Code:
        """See `code.Context`."""
        name = f"{{t}}{self._locals}"
        self._locals += 1
        self.statements.append(f"{name} = {code.text}")
        return Code(name, ATOM, code.low, code.high)

    def local_names(self, count: int, high: int) -> list[Code]:
        """See `code.Context`."""
        first = self._locals
        self._locals += count
        return [Code(f"{{t}}{first + i}", ATOM, 0, high) for i in range(count)]

    def flat_atom(self, term: Term) -> Code:
        """See `code.Context`."""
        code = self.flat(term)
        if code.precedence < ATOM:
            code = self._memo[("flat" if term.lanes > 1 else "exact", 0, term)] = self.local(code)
        return code

    # How it is done.

    def _key(self, view: str, term: Term) -> tuple[str, int, Term]:
        return view, self._lane if term.lanes > 1 else 0, term

    def _scalar(self, term: Term) -> Code:
        lane, self._lane = self._lane, 0
        code = self.exact(term)
        self._lane = lane
        return code

    def _named(self, view: str, term: Term, code: Code) -> Code:
        if code.precedence < ATOM:
            code = self._memo[self._key(view, term)] = self.local(code)
        return code

    def _shared(self, term: Term, code: Code) -> Code:
        return self.local(code) if self._uses[term] > 1 and code.precedence < ATOM else code

    def _viewed(self, view: str, term: Term) -> Code:
        key = self._key(view, term)
        found = self._memo.get(key)
        if found is None:
            found = self._memo[key] = self._write(view, term)
        return found

    def _write(self, view: str, term: Term) -> Code:
        row = PRIMS[term.prim]
        if not row.lanewise:
            code = self._structural(term)
            return c.masked(code, term.mask) if view == "exact" else code
        raw = self._memo.get(self._key("raw", term))
        if view == "exact" and raw is not None:
            code = raw
        elif view == "exact" and row.exact is not None:
            code = row.exact(self, term)
        else:
            code = row.python(self, term)
        if term in self._constant:
            code = c.literal(int(eval(code.text, dict(self._namespace))) & term.mask)
        elif view == "exact":
            code = c.masked(code, term.mask)
        return self._shared(term, code)

    def _structural(self, term: Term) -> Code:
        if term.lanes > 1:
            return self.lanes(term)[self._lane]
        if term.prim == "const":
            return c.literal(value_of(term))
        if term.prim == "var":
            return self._inputs[term]
        writer = FLAT.get(term.prim)
        if writer is None:
            raise InternalError(f"no scalar form of {term.prim}")
        code = writer(self, term)
        if code.precedence < 0:  # declined, which of scalars only a lane of few bits that is picked is
            code = self._permuted(term)[0]
        return self._shared(term, code)

    def _flat(self, term: Term) -> Code:
        if term.prim == "var":
            return self._inputs[term]
        if term.prim == "const":
            return c.literal(value_of(term))
        row = PRIMS[term.prim]
        writer = FLAT.get(term.prim) or row.flat
        if writer is not None and (term.prim != "ite" or term.args[0].lanes == 1):
            code = writer(self, term)
            if code.precedence >= 0:
                return code
        return pack(self, term)

    def _apart(self, term: Term) -> list[Code]:
        if term.prim == "const":
            whole = value_of(term)
            return [c.literal(whole >> term.lane * i & term.mask) for i in range(term.lanes)]
        if term.prim == "splat":
            return [self._named("exact", term.args[0], self._scalar(term.args[0]))] * term.lanes
        if term.prim == "permute":
            return self._permuted(term)
        if not PRIMS[term.prim].lanewise:
            return unpack(self, term, term in self._signed)
        outer, lanes = self._lane, []
        for self._lane in range(term.lanes):
            lanes.append(self.exact(term))
        self._lane = outer
        return lanes

    def _permuted(self, term: Term) -> list[Code]:
        lanes = [lane for source in term.args for lane in self.lanes(source)]
        return [lanes[i] if isinstance(i, int) and i >= 0 else c.literal(0) for i in term.params]


def _constants(order: list[Term]) -> frozenset[Term]:
    """The terms without variables, other than constants themselves."""
    found: set[Term] = set()
    for node in order:
        closed = node.args and all(a in found or a.prim == "const" for a in node.args)
        if closed and PRIMS[node.prim].lanewise and node.lanes == 1:
            found.add(node)
    return frozenset(found)


def _only_signed(order: list[Term]) -> frozenset[Term]:
    """The vectors that are only ever read as signed lanes: they are unpacked as such."""
    found = {node for node in order if node.lanes > 1 and node.prim in ("var", "permute")}
    for node in reversed(order):
        if node.prim not in ("sext", "slt", "sle") and node not in found:
            found.difference_update(node.args)
    return frozenset(found)
