"""Pieces of Python text that know their precedence and their range: what generated code is put together from.

The one idea: a piece carries inclusive bounds of the value it computes, so a mask is written only where a value can
leave its width. Bounds may be negative or beyond the width: such a piece is "raw", congruent to the value meant.
"""

from __future__ import annotations

from typing import Final, NamedTuple, Protocol

from liftcheck.bits.term import Term

TERNARY, OR, AND, NOT, COMPARE, BIT_OR, BIT_XOR, BIT_AND, SHIFT, SUM, PRODUCT, UNARY, CALL, ATOM = range(14)

_INFIX: Final = {
    "or": OR, "and": AND, "==": COMPARE, "!=": COMPARE, "<": COMPARE, "<=": COMPARE, ">": COMPARE, ">=": COMPARE,
    "|": BIT_OR, "^": BIT_XOR, "&": BIT_AND, "<<": SHIFT, ">>": SHIFT, "+": SUM, "-": SUM, "*": PRODUCT,
    "//": PRODUCT, "%": PRODUCT,
}  # fmt: skip


class Code(NamedTuple):
    """An expression: its text, the precedence of its outermost operator, inclusive bounds of its value."""

    text: str
    precedence: int
    low: int
    high: int

    def within(self, low: int, high: int) -> bool:
        """Whether the value cannot leave low … high."""
        return low <= self.low and self.high <= high


class Context(Protocol):
    """What a primitive's row may ask of the emitter about its operands, for the lane that is being emitted, and what a
    form of whole vectors may ask and add."""

    statements: list[str]
    """What has been written before this place; an unpacking assignment may be added."""

    def raw(self, term: Term) -> Code:
        """Any integer congruent to the value modulo 2^lane."""

    def exact(self, term: Term) -> Code:
        """The unsigned value itself (a truth value may be a bool)."""

    def signed(self, term: Term) -> Code:
        """The value read as two's complement."""

    def is_signed(self, term: Term) -> bool:
        """Whether the raw form already is the signed value."""

    def atom(self, term: Term) -> Code:
        """The unsigned value as a name or literal, free to be repeated."""

    def signed_atom(self, term: Term) -> Code:
        """The signed value as a name or literal."""

    def condition(self, term: Term) -> Code:
        """Text whose truthiness is the truth value."""

    def flat(self, term: Term) -> Code:
        """The whole value of all lanes."""

    def flat_atom(self, term: Term) -> Code:
        """The whole value as a name or literal."""

    def lanes(self, term: Term) -> list[Code]:
        """Every lane, exact."""

    def local(self, code: Code) -> Code:
        """A new local with this value."""

    def local_names(self, count: int, high: int) -> list[Code]:
        """Names for an unpacking assignment that the caller writes."""


def literal(value: int) -> Code:
    """A constant."""
    text = str(value) if -1000 < value < 1000 else hex(value)
    return Code(text, ATOM if value >= 0 else UNARY, value, value)


def wrap(code: Code, precedence: int) -> str:
    """The text, in parentheses if it binds less than `precedence`."""
    return code.text if code.precedence >= precedence else f"({code.text})"


def infix(left: Code, operator: str, right: Code, low: int = 0, high: int = 0) -> Code:
    """`left operator right`; the operators are left-associative, comparisons are never chained."""
    precedence = _INFIX[operator]
    text = f"{wrap(left, precedence + (precedence == COMPARE))} {operator} {wrap(right, precedence + 1)}"
    return Code(text, precedence, low, high)


def truth(left: Code, operator: str, right: Code) -> Code:
    """A comparison or a logical connective."""
    return infix(left, operator, right, 0, 1)


def ternary(condition: Code, then: Code, other: Code) -> Code:
    """`then if condition else other`."""
    text = f"{wrap(then, OR)} if {wrap(condition, OR)} else {wrap(other, TERNARY)}"
    return Code(text, TERNARY, min(then.low, other.low), max(then.high, other.high))


def call(function: str, *args: Code, low: int = 0, high: int = 0) -> Code:
    """A call of a helper of the namespace."""
    return Code(f"{function}({', '.join(a.text for a in args)})", CALL, low, high)


def method(subject: Code, name: str, arguments: str, low: int = 0, high: int = 0) -> Code:
    """A method call; the subject stands in parentheses, as it may be a literal."""
    return Code(f"({subject.text}).{name}({arguments})", CALL, low, high)


def added(a: Code, b: Code) -> Code:
    """The sum with its bounds."""
    return infix(a, "+", b, a.low + b.low, a.high + b.high)


def subtracted(a: Code, b: Code) -> Code:
    """The difference with its bounds."""
    return infix(a, "-", b, a.low - b.high, a.high - b.low)


def multiplied(a: Code, b: Code) -> Code:
    """The product with its bounds."""
    corners = [x * y for x in (a.low, a.high) for y in (b.low, b.high)]
    return infix(a, "*", b, min(corners), max(corners))


def masked(code: Code, mask: int) -> Code:
    """The value modulo mask + 1, with the mask only if it can matter."""
    return code if code.within(0, mask) else infix(code, "&", literal(mask), 0, mask)


def shifted_right(code: Code, count: int) -> Code:
    """The value floored by a power of two."""
    return infix(code, ">>", literal(count), code.low >> count, code.high >> count) if count else code


def shifted_left(code: Code, count: int) -> Code:
    """The value times a power of two."""
    return infix(code, "<<", literal(count), code.low << count, code.high << count) if count else code


def all_ones(high: int) -> int:
    """The smallest 2^k - 1 that is not below `high`: the bound of bitwise combinations."""
    return (1 << high.bit_length()) - 1
