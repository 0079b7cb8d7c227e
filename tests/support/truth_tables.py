"""Terms of few bits as truth tables: a bit of a value is a number whose bit s is that bit in state s.

Written with gates alone, so it owes nothing to what primitives say of themselves in Python or z3.
"""

from __future__ import annotations

from liftcheck.bits.term import Term, postorder, value_of

Bits = list[int]


class Tables:
    """Truth tables over all values of some variables, which together have `width` bits."""

    def __init__(self, variables: list[Term]) -> None:
        width = sum(v.bits for v in variables)
        self.ones = (1 << (1 << width)) - 1
        self.known: dict[Term, Bits] = {}
        at = 0
        for variable in variables:
            self.known[variable] = [self._input(at + i) for i in range(variable.bits)]
            at += variable.bits

    def _input(self, index: int) -> int:
        block = (1 << (1 << index)) - 1 << (1 << index)
        period = 1 << index + 1
        return sum(block << at for at in range(0, self.ones.bit_length(), period))

    def of(self, root: Term) -> Bits:
        """The table of a term."""
        unknown = [arg for arg in root.args if arg not in self.known]
        for node in (*postorder(tuple(unknown)), root):
            if node not in self.known:
                self.known[node] = self._node(node)
        return self.known[root]

    def _node(self, t: Term) -> Bits:
        if t.prim == "const":
            return [self.ones if value_of(t) >> i & 1 else 0 for i in range(t.bits)]
        args = [self.known[a] for a in t.args]
        if t.prim == "shape":
            return args[0]
        if t.prim == "splat":
            return args[0] * t.lanes
        if t.prim == "permute":
            lanes = [lane for bits, a in zip(args, t.args) for lane in self._cut(bits, a)]
            return [bit for i in t.params for bit in (lanes[int(str(i))] if int(str(i)) >= 0 else [0] * t.lane)]
        cut = [self._cut(bits, a) for bits, a in zip(args, t.args)]
        cut = [lanes if len(lanes) == t.lanes else lanes * t.lanes for lanes in cut]
        return [bit for operands in zip(*cut) for bit in self._lane(t, list(operands))]

    def _cut(self, bits: Bits, a: Term) -> list[Bits]:
        return [bits[i : i + a.lane] for i in range(0, a.bits, a.lane)]

    def _lane(self, t: Term, x: list[Bits]) -> Bits:
        match t.prim:
            case "and":
                return [a & b for a, b in zip(*x)]
            case "or":
                return [a | b for a, b in zip(*x)]
            case "xor":
                return [a ^ b for a, b in zip(*x)]
            case "not":
                return [a ^ self.ones for a in x[0]]
            case "add":
                return self._sum(x[0], x[1], 0)
            case "sub":
                return self._sum(x[0], [b ^ self.ones for b in x[1]], self.ones)
            case "neg":
                return self._sum([0] * t.lane, [b ^ self.ones for b in x[0]], self.ones)
            case "mul":
                total = [0] * t.lane
                for i, bit in enumerate(x[1]):
                    total = self._sum(total, [0] * i + [a & bit for a in x[0][: t.lane - i]], 0)
                return total
            case "udiv" | "urem" | "sdiv" | "srem":
                return self._divided(t.prim, *x)
            case "ite":
                return self._choose(x[0][0], x[1], x[2])
            case "zext":
                return x[0] + [0] * (t.lane - len(x[0]))
            case "sext":
                return x[0] + [x[0][-1]] * (t.lane - len(x[0]))
            case "extract":
                low = int(str(t.params[0]))
                return x[0][low : low + t.lane]
            case "concat":
                return x[1] + x[0]
            case "eq":
                return [self._equal(*x)]
            case "ult" | "ule" | "slt" | "sle":
                return [self._less(t.prim, *x)]
            case "shl" | "lshr" | "ashr" | "rotl" | "rotr":
                return self._shifted(t.prim, *x)
            case "bswap":
                return [bit for i in reversed(range(0, t.lane, 8)) for bit in x[0][i : i + 8]]
        raise NotImplementedError(t.prim)

    def _sum(self, a: Bits, b: Bits, carry: int) -> Bits:
        found = []
        for x, y in zip(a, b):
            found.append(x ^ y ^ carry)
            carry = x & y | carry & (x | y)
        return found

    def _divided(self, prim: str, a: Bits, b: Bits) -> Bits:
        """By zero as SMT-LIB has it: all ones, and the dividend is left."""
        if prim[0] == "u":
            return self._quotient(a, b)[prim == "urem"]
        found = self._quotient(self._negated(a, a[-1]), self._negated(b, b[-1]))
        return self._negated(found[prim == "srem"], a[-1] if prim == "srem" else a[-1] ^ b[-1])

    def _quotient(self, a: Bits, b: Bits) -> tuple[Bits, Bits]:
        quotient, rest = [0] * len(a), [0] * (len(a) + 1)
        for at in reversed(range(len(a))):
            rest = [a[at], *rest[:-1]]
            fits = self._less("ule", [*b, 0], rest)
            less = self._sum(rest, [bit ^ self.ones for bit in [*b, 0]], self.ones)
            rest, quotient[at] = self._choose(fits, less, rest), fits
        return quotient, rest[:-1]

    def _negated(self, a: Bits, when: int) -> Bits:
        return self._sum([bit ^ when for bit in a], [when, *[0] * (len(a) - 1)], 0)

    def _choose(self, condition: int, a: Bits, b: Bits) -> Bits:
        return [x & condition | y & ~condition & self.ones for x, y in zip(a, b)]

    def _equal(self, a: Bits, b: Bits) -> int:
        differing = 0
        for x, y in zip(a, b):
            differing |= x ^ y
        return differing ^ self.ones

    def _less(self, prim: str, a: Bits, b: Bits) -> int:
        if prim[0] == "s":  # by their order with the sign turned
            a, b = ([*x[:-1], x[-1] ^ self.ones] for x in (a, b))
        less = 0
        for x, y in zip(a, b):
            less = ~x & y & self.ones | ~(x ^ y) & less
        return less | self._equal(a, b) if prim.endswith("le") else less

    def _shifted(self, prim: str, a: Bits, n: Bits) -> Bits:
        width, found = len(a), [0] * len(a)
        for by in range(1 << width):
            chosen = self.ones
            for i, bit in enumerate(n):
                chosen &= bit if by >> i & 1 else bit ^ self.ones
            found = self._choose(chosen, self._by(prim, a, by), found)
        return found

    def _by(self, prim: str, a: Bits, by: int) -> Bits:
        width = len(a)
        if prim in ("rotl", "rotr"):
            by = by % width if prim == "rotr" else -by % width
            return a[by:] + a[:by]
        fill = a[-1] if prim == "ashr" else 0
        by = min(by, width)
        return ([0] * by + a)[:width] if prim == "shl" else a[by:] + [fill] * by
