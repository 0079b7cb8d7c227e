"""Instances of rewrite rules: left-hand sides made from a rule's pattern for types and constants; what z3 says of them.

The one idea: a pattern says how to build what it matches. Names become variables (leaves of the e-graph), types and
constants are chosen from short lists, one instance a choice; the compiled rules are run on the instance, and what the
rule gave is compared with the left-hand side for all values of the variables, traps included.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Any, NamedTuple

import z3

from liftcheck.bits.smt import Translation
from liftcheck.clif.opcodes import FREE_OPERAND, OPCODES, _sensible
from liftcheck.clif.semantics.meaning import meaning
from liftcheck.clif.types import TYPES, Type
from liftcheck.errors import LiftcheckError
from liftcheck.isle.terms import Bind, Const, Extract, Pattern, Rule, Same, Variant, Wild
from liftcheck.opt.egraph import IMMEDIATE, Graph, Node, operands, result_type
from liftcheck.opt.externs import splatted

CANDIDATES = [TYPES[name] for name in ("i8", "i32", "i16", "i16x4", "i64", "i8x16", "f32", "i32x4", "f64", "i128")]
"""The types of instances, those that are proven soonest first."""
_CONSTANTS: dict[str, Callable[[Type], int]] = {
    "zero": lambda ty: 0, "one": lambda ty: 1, "ones": lambda ty: -1, "lowest": lambda ty: 1 << ty.lane_bits - 1,
    "highest": lambda ty: (1 << ty.lane_bits - 1) - 1, "zero_bits": lambda ty: 0, "konst_zero": lambda ty: 0,
    "ones_bits": lambda ty: -1, "konst_nonzero": lambda ty: 2,
}  # fmt: skip


class Impossible(Exception):
    """These choices make nothing that the pattern matches."""


class Choices:
    """One way through all that is to be chosen; `next` says whether there is another."""

    def __init__(self) -> None:
        self.path: list[list[int]] = []
        self.at = 0

    def __call__(self, options: Sequence[Any]) -> Any:
        if not options:
            raise Impossible
        if self.at == len(self.path):
            self.path.append([0, len(options)])
        chosen = options[self.path[self.at][0]]
        self.at += 1
        return chosen

    def next(self) -> bool:
        """The next way: the last choice changes soonest."""
        del self.path[self.at :]
        self.at = 0
        while self.path and self.path[-1][0] + 1 == self.path[-1][1]:
            self.path.pop()
        if self.path:
            self.path[-1][0] += 1
        return bool(self.path)


class Raw(Graph):
    """A graph that leaves operands in their order."""

    def _in_order(self, node: Node) -> Node:
        return node


class Builder:
    """Makes a node that a pattern matches."""

    def __init__(self, choose: Choices) -> None:
        self.choose = choose
        self.graph = Raw()
        self.names: dict[str, Any] = {}

    def node(self, pattern: Variant, want: Type | None) -> Node:
        """A node of a type (None: of any)."""
        op = pattern.name
        if op == "result":
            return self._result(pattern, want)
        if op == "const":
            raise Impossible
        row = OPCODES[op]
        fields = list(pattern.fields)
        ctrl = self._ctrl(op, fields.pop(0), want)
        imm = [self._immediate(op, fields.pop(0), ctrl)] if op in IMMEDIATE else []
        args, types = [], []
        for field, ty in zip(fields, row.arg_types(ctrl)):
            options = [ty] if isinstance(ty, Type) else [t for t in CANDIDATES if t in ty]
            args.append(self.value(field, options))
            types.append(self.graph.types[args[-1]])
        if not _sensible(op, ctrl, tuple(types)) or (op in FREE_OPERAND and None in types):  # type: ignore[arg-type]
            raise Impossible
        return (op, ctrl, *imm, *args)

    def _result(self, pattern: Variant, want: Type | None) -> Node:
        kind, of, number = pattern.fields
        assert isinstance(number, Const) and isinstance(of, Extract) and isinstance(of.fields[0], Variant)
        made = self.node(of.fields[0], None)
        ty = OPCODES[made[0]].result_types(made[1])[int(number.python)]
        if isinstance(kind, Bind):
            self.names[kind.name] = ty
        if want not in (None, ty):
            raise Impossible
        return ("result", ty, self.graph.add(made), int(number.python))

    def _ctrl(self, op: str, pattern: Pattern, want: Type | None) -> Type | None:
        row = OPCODES[op]
        if not row.ctrl:
            return None

        def fits(ty: Type) -> bool:
            try:
                return ty in row.ctrl and (want is None or row.result_types(ty)[0] is want)
            except KeyError:
                return False

        if isinstance(pattern, Same):
            ty: Type = self.names[pattern.name]
            if not fits(ty):
                raise Impossible
            return ty
        ty = self.choose([one for one in CANDIDATES if fits(one)])
        if isinstance(pattern, Bind):
            self.names[pattern.name] = ty
        return ty

    def _immediate(self, op: str, pattern: Pattern, ty: Type | None) -> Any:
        if isinstance(pattern, Variant):
            return pattern.name
        if isinstance(pattern, Same):
            return self.names[pattern.name]
        if isinstance(pattern, Const):
            return int(pattern.python)
        options: list[Any] = [0, 1]
        if op == "icmp":
            options = ["eq", "slt", "uge", "ne", "ugt", "sle"]
        elif op == "bitcast":
            options = ["little", "big"]
        found = self.choose(options)
        if isinstance(pattern, Bind):
            self.names[pattern.name] = found
        return found

    def value(self, pattern: Pattern, types: Sequence[Type]) -> int:
        """A class of one of these types."""
        if isinstance(pattern, Bind):
            made = self.value(pattern.inside, types)
            self.names[pattern.name] = made
            return made
        if isinstance(pattern, Same):
            one: int = self.names[pattern.name]
            if self.graph.types[one] not in types:
                raise Impossible
            return one
        ty: Type = self.choose(types)
        if isinstance(pattern, Wild):
            return self.graph.leaf(ty)
        assert isinstance(pattern, Extract), pattern
        if pattern.term == "node":
            (inner,) = pattern.fields
            assert isinstance(inner, Variant)
            node = self.node(inner, ty)
            if result_type(node) is not ty:
                raise Impossible
            return self.graph.add(node)
        return self.graph.const(ty, self._constant(pattern, ty))

    def _constant(self, pattern: Extract, ty: Type) -> int:
        if pattern.term in ("zero_bits", "ones_bits"):
            return _CONSTANTS[pattern.term](ty)
        if pattern.term in _CONSTANTS:
            return splatted(ty, _CONSTANTS[pattern.term](ty))
        width = ty.lane_bits
        if pattern.term == "konst":
            return splatted(ty, self.choose([5, -1, 0xF3, 1, 12, 0, 0x0F, 1 << width - 1]))
        assert pattern.term in ("lanes", "pow2"), pattern.term
        (number,) = pattern.fields
        if isinstance(number, Same):
            found: int = self.names[number.name]
        elif isinstance(number, Const):
            found = int(number.python)
        elif pattern.term == "pow2":
            found = self.choose([1, 0, 3, width - 1, width - 2])
        else:
            near = [3, 5, 0, 1, 7, 29, 31, 13, 15, 27, 59, 63, 8, width - 1, width, 200, 255, 0xFFFF, 0xFFFFFFFF]
            found = self.choose([n for n in near if n <= ty.lane_mask])
        if isinstance(number, Bind):
            self.names[number.name] = found
        return splatted(ty, 1 << found if pattern.term == "pow2" else found)


class Instance(NamedTuple):
    """A left-hand side, and the class that a rule gave for it."""

    graph: Graph
    left: Node
    right: int


def instances(rule: Rule, simplify: Callable[..., list[int]], tries: int = 3000) -> Iterator[Instance]:
    """Instances on which the rule matches."""
    choose = Choices()
    for _ in range(tries):
        builder = Builder(choose)
        pattern = rule.patterns[0]
        assert isinstance(pattern, Variant)
        try:
            node = builder.node(pattern, None)
            graph = builder.graph
            graph.trace = []
            for view in graph._views(node):
                del graph.trace[:]
                found = simplify(graph, view)
                matched = [line for line in graph.trace if line.endswith(" simplify")]
                assert len(matched) == len(found)
                here = f"{rule.place} simplify"
                if here in matched:
                    yield Instance(graph, node, found[matched.index(here)])
                    break
        except (Impossible, KeyError):
            pass
        if not choose.next():
            return


class Values:
    """The classes of a graph in z3; `traps`: the conditions under which something traps."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.known: dict[object, Any] = {}
        self.traps: list[Any] = []

    def of(self, one: int) -> Any:
        """A class."""
        if one not in self.known:
            node, ty = self.graph.best[one], self.graph.types[one]
            if node is None:
                assert ty is not None
                self.known[one] = z3.BitVec(f"v{one}", ty.bits)
            else:
                self.known[one] = self.of_node(node)
        return self.known[one]

    def of_node(self, node: Node) -> Any:
        """A node; one of several results gives a list."""
        if node[0] == "const":
            return z3.BitVecVal(node[2], node[1].bits)
        if node[0] == "result":
            return self.of(node[2])[node[3]]
        args = operands(node)
        types = tuple(self.graph.types[one] for one in args)
        imm = node[2] if node[0] in IMMEDIATE else None
        results = OPCODES[node[0]].result_types(node[1])
        what = meaning(node[0], node[1], types, results, imm)  # type: ignore[arg-type]
        translation = Translation(dict(zip(what.inputs, map(self.of, args))))
        self.traps += [translation(condition) == 1 for condition, _ in what.traps]
        found = [translation(result) for result in what.results]
        return found[0] if len(found) == 1 else found


def verdict(instance: Instance, milliseconds: int = 1500) -> str:
    """'proven', 'refuted' or 'undecided'."""
    values = Values(instance.graph)
    try:
        left = values.of_node(instance.left)
        traps = list(values.traps)
        right = values.of(instance.right)
    except LiftcheckError:
        return "undecided"
    solver = z3.Solver()
    solver.set("timeout", milliseconds)
    if left.size() != right.size():
        return "refuted"
    solver.add(z3.Not(z3.Or(*traps)), z3.Or(left != right, *values.traps))
    answer = solver.check()
    return "proven" if answer == z3.unsat else "refuted" if answer == z3.sat else "undecided"


def judged(rule: Rule, simplify: Callable[..., list[int]], wanted: int = 6) -> dict[str, int]:
    """How many instances are what; of different types as far as there are some."""
    found: dict[str, int] = {}
    seen: dict[object, int] = {}
    for instance in islice(instances(rule, simplify), 400):
        kind = (instance.left[1], *(instance.graph.types[o] for o in operands(instance.left)))
        seen[kind] = seen.get(kind, 0) + 1
        if seen[kind] > 2:
            continue
        answer = verdict(instance)
        found[answer] = found.get(answer, 0) + 1
        if answer == "refuted" or sum(found.values()) >= wanted:
            break
    return found
