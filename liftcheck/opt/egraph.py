"""The acyclic e-graph: classes of equal values, built in one pass, rewritten while they are built.

The one idea: a class is a number, a node is a tuple `(op, type, [immediate,] operand classes)` and its own key, so that
equal nodes are one class (value numbering). A new node is folded, or matched against the rules; what a rule gives is
put into the same class, and the cheapest node of a class is known when it is made: operands are older than what uses
them, so nothing is ever repaired, and nothing recurses but a rewrite in a rewrite (to `_DEEP`).

A constant of any type is the node ('const', type, bits). Results of a node that has several are ('result', type, class,
number). What is not a node, as a block's parameter or the result of a load, is a leaf: a class without nodes.
Source: Fallin, "ægraphs: Acyclic E-graphs for Efficient Optimization in a Production Compiler" (2023).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Set
from typing import Any, Final

from liftcheck.clif.opcodes import DIVISIONS, OPCODES
from liftcheck.clif.types import Type
from liftcheck.opt.fold import folded

Node = tuple[Any, ...]

_DEEP: Final = 5
"""Rewrites of what rewrites give."""
_WIDE: Final = 6
"""Nodes in a class; more are not taken."""
_DEAREST: Final = 1 << 40
_COSTS: Final = {
    "const": 1, "result": 0, "imul": 8, "umulhi": 12, "smulhi": 12, "udiv": 40, "sdiv": 40, "urem": 40, "srem": 40,
    "fdiv": 40, "sqrt": 40, "fma": 12, "popcnt": 8, "bitrev": 8, "uextend": 2, "sextend": 2, "ireduce": 1,
    "select": 4, "band": 3, "bor": 3, "bxor": 3, "bnot": 3,
}  # fmt: skip
_COST: Final = 3
"""What a node costs by itself, of opcodes that `_COSTS` does not name."""
COMMUTES: Final = frozenset({"iadd", "imul", "band", "bor", "bxor", "smin", "smax", "umin", "umax", "umulhi", "smulhi",
                             "uadd_sat", "sadd_sat", "avg_round", "fadd", "fmul"})  # fmt: skip
"""Binary opcodes whose operands may change places (the floats': up to which NaN it is, which is open anyway)."""
TURNED: Final = {"eq": "eq", "ne": "ne", "slt": "sgt", "sle": "sge", "sgt": "slt", "sge": "sle", "ult": "ugt",
                 "ule": "uge", "ugt": "ult", "uge": "ule"}  # fmt: skip
"""A condition -> the one that holds when the operands change places."""
_WITH_IMMEDIATE: Final = frozenset({
    "IntCompare", "FloatCompare", "BinaryImm8", "TernaryImm8", "Shuffle", "StackAddr", "FuncAddr", "BinaryImm64",
    "IntCompareImm",
})  # fmt: skip
IMMEDIATE: Final = frozenset(
    {"bitcast", *(name for name, row in OPCODES.items() if row.format.name in _WITH_IMMEDIATE)}
)
"""Opcodes whose nodes have an immediate after the type."""


def operands(node: Node) -> tuple[int, ...]:
    """The classes that a node is of."""
    op = node[0]
    if op == "const":
        return ()
    if op == "result":
        return (node[2],)
    return node[3:] if op in IMMEDIATE else node[2:]


def result_type(node: Node) -> Type | None:
    """The type of a node; None: it has several results."""
    op = node[0]
    if op in ("const", "result"):
        found: Type = node[1]
        return found
    types = OPCODES[op].result_types(node[1])
    return types[0] if len(types) == 1 else None


class Graph:
    """Classes are the numbers below `len(types)`. `nodes[c]`: the nodes of a class, the cheapest at `best[c]`;
    `trace`: None, or a list that gets 'file:line term' of every rule that matched."""

    def __init__(self, simplify: Callable[..., list[int]] | None = None, begin: Set[str] = frozenset()) -> None:
        """`simplify`: gives classes equal to a node of which the opcode is in `begin`."""
        self.types: Final[list[Type | None]] = []
        self.nodes: Final[list[list[Node]]] = []
        self.best: Final[list[Node | None]] = []
        self.cost: Final[list[int]] = []
        self.known: Final[dict[Node, int]] = {}
        self.trace: list[str] | None = None
        self._simplify: Final = simplify
        self._begin: Final = begin
        self._depth = 0
        self._view: dict[int, Node] = {}

    def leaf(self, ty: Type | None) -> int:
        """A class that nothing is known of."""
        self.types.append(ty)
        self.nodes.append([])
        self.best.append(None)
        self.cost.append(0)
        return len(self.types) - 1

    def definition(self, one: int) -> Node | None:
        """The node by which rules see a class."""
        return self._view.get(one) or self.best[one]

    def constant(self, one: int) -> int | None:
        """The bits of a class that is a constant."""
        node = self.best[one]
        return node[2] if node is not None and node[0] == "const" else None

    def const(self, ty: Type, bits: int) -> int:
        """The class of a constant."""
        return self.add(("const", ty, bits & ty.mask))

    def add(self, node: Node) -> int:
        """The class of a node."""
        node = self._in_order(node)
        found = self.known.get(node)
        if found is not None:
            return found
        simple = self._folded(node)
        if simple is None and self._simplify is not None and self._depth < _DEEP and node[0] in self._begin:
            return self._rewritten(node)
        if simple is not None:
            self.known[node] = simple
            return simple
        return self._fresh(node)

    def _fresh(self, node: Node) -> int:
        new = self.leaf(result_type(node))
        self.nodes[new].append(node)
        self.best[new] = node
        self.cost[new] = self._price(node)
        self.known[node] = new
        return new

    def _rewritten(self, node: Node) -> int:
        self._depth += 1
        found: list[int] = []
        assert self._simplify is not None
        for view in self._views(node):
            found += self._simplify(self, view)
            if any(self.best[one] is None or self.constant(one) is not None for one in found):
                break
        self._depth -= 1
        again = self.known.get(node)
        new = again
        if not found:
            return self._fresh(node) if new is None else new
        price = self._price(node)
        cheapest = min(found, key=self.cost.__getitem__)
        ty = self.types[cheapest]
        assert ty is result_type(node), f"{node} becomes a {ty}"
        if self.cost[cheapest] <= price:
            self.known[node] = cheapest
            return cheapest
        new = self._fresh(node) if new is None else new
        for one in found:
            self.nodes[new] += [n for n in self.nodes[one] if n not in self.nodes[new]][: _WIDE - len(self.nodes[new])]
        return new

    def _views(self, node: Node) -> Iterator[Node]:
        """A node as rules are to see it: its operands changed, and by other nodes of their classes."""
        yield node
        turned = _turned(node)
        if turned is not None:
            yield turned
        for one in operands(node):
            for other in self.nodes[one]:
                if other is not self.best[one]:
                    saved, self._view = self._view, {one: other}
                    yield node
                    if turned is not None:
                        yield turned
                    self._view = saved

    def _in_order(self, node: Node) -> Node:
        """Operands that may change places: a constant last, else the older one first."""
        turned = _turned(node)
        if turned is None:
            return node
        a, b = operands(node)
        a_is, b_is = self.constant(a) is not None, self.constant(b) is not None
        return turned if (a_is, a) > (b_is, b) else node

    def _price(self, node: Node) -> int:
        total = _COSTS.get(node[0], _COST) + sum(map(self.cost.__getitem__, operands(node)))
        return min(total, _DEAREST)

    def _folded(self, node: Node) -> int | None:
        op = node[0]
        if op == "const":
            return None
        if op == "result":
            inner = self.best[node[2]]
            values = self.several(inner) if inner is not None else None
            return None if values is None else self.const(node[1], values[node[3]])
        parts = operands(node)
        if not parts or any(self.constant(one) is None for one in parts) or len(OPCODES[op].results) != 1:
            return None
        found = self.several(node)
        ty = result_type(node)
        return None if found is None or ty is None else self.const(ty, found[0])

    def several(self, node: Node) -> tuple[int, ...] | None:
        """All results of a node of constants."""
        values = [self.constant(one) for one in operands(node)]
        if None in values or not values:
            return None
        types = tuple(self.types[one] for one in operands(node))
        imm = node[2] if node[0] in IMMEDIATE else None
        return folded(node[0], node[1], types, imm, values)  # type: ignore[arg-type]

    def cannot_trap(self, op: str, args: tuple[int, ...]) -> bool:
        """Whether a division is one by a constant that never traps."""
        if op not in DIVISIONS:
            return False
        divisor = self.constant(args[1])
        ty = self.types[args[1]]
        return bool(divisor) and (op[0] == "u" or op == "srem" or divisor != (ty.mask if ty else None))


def _turned(node: Node) -> Node | None:
    op = node[0]
    if op in COMMUTES:
        return (op, node[1], node[3], node[2])
    if op == "icmp":
        return (op, node[1], TURNED[node[2]], node[4], node[3])
    return None
