"""Immediate dominators and the dominator tree, in n log n for any graph.

The one idea: dominance is a question of intervals: each block gets its place in a walk over the dominator tree and the
number of blocks below it, so that `Tree.dominates` compares two numbers, however deep the tree is. Nothing recurses.
It knows graphs of numbered nodes only, no CLIF.
Source: Lengauer, Tarjan, "A Fast Algorithm for Finding Dominators in a Flowgraph" (1979), the version with simple
path compression.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence


class Walk:
    """A depth-first walk from `entry`: `preorder`, `parent` (of each reached node but the entry) and `postorder`."""

    __slots__ = ("parent", "postorder", "preorder")

    def __init__(self, entry: int, succs: Mapping[int, Sequence[int]]) -> None:
        self.preorder, self.postorder = [entry], list[int]()
        self.parent: dict[int, int] = {}
        seen = {entry}
        stack = [(entry, iter(succs[entry]))]
        while stack:
            number, rest = stack[-1]
            for succ in rest:
                if succ not in seen:
                    seen.add(succ)
                    self.parent[succ] = number
                    self.preorder.append(succ)
                    stack.append((succ, iter(succs[succ])))
                    break
            else:
                self.postorder.append(number)
                stack.pop()


def immediate_dominators(walk: Walk, preds: Mapping[int, Sequence[int]]) -> dict[int, int]:
    """The immediate dominator of every reached node but the entry. Nodes are numbered in preorder inside."""
    order = walk.preorder
    if len(order) == 2:
        return {order[1]: order[0]}
    place = {node: number for number, node in enumerate(order)}
    parents = [0, *(place[walk.parent[node]] for node in order[1:])]
    forest = _Forest(len(order))
    semi, idom = forest.semi, [0] * len(order)
    waiting: list[list[int]] = [[] for _ in order]
    for node in range(len(order) - 1, 0, -1):
        for pred in preds[order[node]]:
            if pred in place:
                semi[node] = min(semi[node], semi[forest.least(place[pred])])
        waiting[semi[node]].append(node)
        parent = forest.above[node] = parents[node]
        for other in waiting[parent]:
            least = forest.least(other)
            idom[other] = least if semi[least] < semi[other] else parent
        waiting[parent] = []
    for node in range(1, len(order)):
        if idom[node] != semi[node]:
            idom[node] = idom[idom[node]]
    return {order[node]: order[idom[node]] for node in range(1, len(order))}


class _Forest:
    """The part of the walk's tree that is linked so far. `semi` are semidominators."""

    __slots__ = ("above", "label", "semi")

    def __init__(self, size: int) -> None:
        self.semi = list(range(size))
        self.label = list(range(size))
        self.above: list[int] = [-1] * size

    def least(self, node: int) -> int:
        """The node with the least semidominator on the path from `node` up to below its root; the path is shortened."""
        above, label, semi = self.above, self.label, self.semi
        if above[node] < 0:
            return node
        path = []
        while above[above[node]] >= 0:
            path.append(node)
            node = above[node]
        root, best = above[node], label[node]
        for node in reversed(path):
            if semi[best] < semi[label[node]]:
                label[node] = best
            best = label[node]
            above[node] = root
        return best


class Tree:
    """The dominator tree over `order` (in which everything stands after its immediate dominator)."""

    __slots__ = ("_end", "_start")

    def __init__(self, order: Sequence[int], idom: Mapping[int, int]) -> None:
        below = dict.fromkeys(order, 1)
        for node in reversed(order[1:]):
            below[idom[node]] += below[node]
        self._start = dict.fromkeys(order[:1], 0)
        self._end = {node: below[node] for node in order[:1]}
        free = dict.fromkeys(order[:1], 1)
        for node in order[1:]:
            start = self._start[node] = free[idom[node]]
            free[idom[node]] = self._end[node] = start + below[node]
            free[node] = start + 1

    def span(self, node: int) -> tuple[int, int]:
        """The interval of numbers of a node and all below it; the node's own is the first."""
        return self._start[node], self._end[node]

    def dominates(self, above: int, below: int) -> bool:
        """Does every path from the entry to `below` pass `above`? False if either is unreachable."""
        start = self._start
        return above in start and below in start and start[above] <= start[below] < self._end[above]
