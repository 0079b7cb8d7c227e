"""The second tier: a hot function as one Python function, registers as locals.

The one idea: segments are grouped into trees. The root of a tree (a *label*) is a segment that several edges, a call or
the main loop lead to; a segment with one predecessor is pasted into its predecessor's branch. A tree is a `while True`
that continues on itself and breaks to a dispatch by label number. Values that only their own tree uses stay locals;
the others (`escaping`) are taken from the register list on the way in and put back on the way out to a call, so the
closures can go on from any label, and come back after the call.

Fuel is tested at the root for the most expensive path and paid at the end of the path taken: what does not fit is left
to the closures (the segment's cold twin), so both tiers run out of it at the same instruction. Visits are counted by
path and turned into visits of segments when somebody asks.
It does not optimize: Python's compiler and the bounds kept by `bits.code` do enough.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Final

from liftcheck.bits import concrete
from liftcheck.clif.ir import Inst
from liftcheck.interp.code import CALL, GO, HOT, INDIRECT, Code, HotCode, Segment, nothing
from liftcheck.interp.steps import SP

DEEPEST: Final = 24
"""Segments on one path of a tree: beyond, one becomes a label of its own (Python refuses 100 levels of indentation)."""
LARGEST: Final = 20_000
"""Instructions of a function that is still compiled: the compiler takes about 40 µs an instruction."""
WIDEST: Final = 100_000
"""Labels times registers that outlive them, in a function that is still compiled: each label writes them all back."""
_WINDOW: Final = re.compile(r"\bm\.((?:stack_)?(?:base|buf|size))\b")


def compile_hot(code: Code) -> None:
    """Compile a function, unless it is compiled already or too large."""
    if code.hot is not None or code.too_large or not code.segments:
        return
    code.too_large = sum(s.cost for s in code.segments) > LARGEST
    if code.too_large:
        return
    writer = _Writer(code)
    code.too_large = len(writer.labels) * len(writer.escaping) > WIDEST
    if code.too_large:
        return
    function = writer.function()
    for number, label in enumerate(writer.labels):
        cold_copy = writer.hot.cold_copies[label]
        cold_copy.take_place_of(label)
        label.kind, label.hot, label.label = HOT, function, number
        label.ops, label.cost, label.term = [], 0, nothing
    code.hot = writer.hot


class _Writer:
    """Writes the text of one function."""

    def __init__(self, code: Code) -> None:
        self.code = code
        assert code.translator is not None
        self.low = code.translator
        self.labels = _labels(code)
        self.number = {segment: i for i, segment in enumerate(self.labels)}
        self.trees = {label: list(self._tree(label)) for label in self.labels}
        self.escaping = self._escaping()
        self.hot = HotCode()
        self.globals: dict[str, object] = {}
        self.lines: list[str] = []

    def function(self) -> Callable[..., tuple[Segment, object, int]]:
        """The compiled function (r, label, fuel, memory) -> (segment left at, its terminator's value, fuel left)."""
        self.globals["LEFT"] = left = Segment(self.code)
        left.kind = GO
        body = list(self._dispatch(0, len(self.labels), 3))
        counters = range(len(self.hot.paths))
        self.hot.counts = [0] * len(counters)
        self.globals["COUNTS"] = self.hot.counts
        text = "\n".join(
            [
                "def hot(r, label, fuel, m):",
                *(f" m_{w} = m.{w}" for w in ("base", "buf", "size", "stack_base", "stack_buf", "stack_size")),
                *(f" v{register} = r[{register}]" for register in sorted(self.escaping)),
                *(f" n{i} = 0" for i in counters),
                " try:",
                "  while True:",
                *body,
                " finally:",
                *(f"  COUNTS[{i}] += n{i}" for i in counters),
                "  pass",
            ]
        )
        found: dict[str, Callable[..., tuple[Segment, object, int]]] = {}
        exec(text, {**concrete.NAMESPACE, **self.globals}, found)
        return found["hot"]

    # Shapes.

    def _tree(self, label: Segment) -> Iterator[Segment]:
        """The segments pasted below a label, the label first."""
        pending = [label]
        while pending:
            segment = pending.pop()
            yield segment
            pending += [t for t in segment.targets if t not in self.number]

    def _escaping(self) -> set[int]:
        """Registers that another tree or a closure reads: labels' parameters, values used outside their tree."""
        home: dict[int, Segment] = {}
        found = set(range(len(self.code.function.blocks[0].params)))
        for label, tree in self.trees.items():
            for segment in tree:
                home.update((register, label) for register in self._defined(segment))
        for label, tree in self.trees.items():
            for segment in tree:
                for target, (params, sources) in zip(segment.targets, segment.target_calls):
                    if target in self.number:
                        found.update(params)
                    found.update(s for s in sources if home.get(s) is not label)
                found.update(s for s in self._used(segment) if home.get(s) is not label)
        return found - self.low.constants.keys()

    def _defined(self, segment: Segment) -> Iterator[int]:
        for inst in segment.insts:
            if inst is not segment.insts[-1] or segment.after is None:
                yield from map(self.low.reg.__getitem__, inst.results)
        for target, (params, _) in zip(segment.targets, segment.target_calls):
            if target not in self.number:
                yield from params

    def _used(self, segment: Segment) -> Iterator[int]:
        for inst in segment.insts:
            yield from map(self.low.reg.__getitem__, inst.args)
        if any(
            inst.op in ("stack_addr", "stack_load", "stack_store", "get_frame_pointer", "get_stack_pointer")
            for inst in segment.insts
        ):
            yield self.low.reg[SP]

    # Text.

    def _name(self, register: int) -> str:
        value = self.low.constants.get(register)
        return f"v{register}" if value is None else str(value) if value < 1000 else hex(value)

    def _dispatch(self, first: int, last: int, depth: int) -> Iterator[str]:
        """A binary search for `label` among the trees first … last-1."""
        pad = " " * depth
        if last - first == 1:
            yield from self._root(self.labels[first], depth)
            return
        middle = (first + last) // 2
        yield f"{pad}if label < {middle}:"
        yield from self._dispatch(first, middle, depth + 1)
        yield f"{pad}else:"
        yield from self._dispatch(middle, last, depth + 1)

    def _root(self, label: Segment, depth: int) -> Iterator[str]:
        pad = " " * depth
        cold_copy = self.hot.cold_copies[label] = Segment(self.code)
        self.globals[f"T{self.number[label]}"] = cold_copy
        yield f"{pad}while True:"
        yield f"{pad} if fuel < {self._dearest(label)}:"
        yield from self._put_back(f"{pad}  ")
        yield f"{pad}  return LEFT, T{self.number[label]}, fuel"
        yield from self._segment(label, (), depth + 1, label)

    def _dearest(self, segment: Segment) -> int:
        below = [self._dearest(t) for t in segment.targets if t not in self.number]
        return segment.cost + max(below, default=0)

    def _put_back(self, pad: str) -> Iterator[str]:
        for register in sorted(self.escaping):
            yield f"{pad}r[{register}] = v{register}"

    def _segment(self, segment: Segment, path: tuple[Segment, ...], depth: int, label: Segment) -> Iterator[str]:
        pad = " " * depth
        for inst in _plain(segment):
            for recipe, values, outs, ins in self.low.translate(inst):
                extras = ["m" if x is self.low.memory else repr(x) for x in values]
                lines = recipe.emit(extras, [f"v{o}" for o in outs], list(map(self._name, ins)), "t")
                yield from (pad + _WINDOW.sub(r"m_\1", line) for line in lines)
        path = (*path, segment)
        last = segment.insts[-1] if segment.insts else None
        if segment.kind != GO:
            yield from self._leave(segment, path, pad)
        elif last is not None and last.op == "trap":
            yield f"{pad}raise Trap({last.imm!r})"
        elif last is not None and last.op == "brif":
            yield f"{pad}if {self._name(self.low.reg[last.args[0]])}:"
            yield from self._edge(segment, 0, path, depth + 1, label)
            yield from self._edge(segment, 1, path, depth, label)
        elif last is not None and last.op == "br_table":
            yield from self._table(segment, last, path, depth, label)
        else:
            yield from self._edge(segment, 0, path, depth, label)

    def _table(
        self, segment: Segment, inst: Inst, path: tuple[Segment, ...], depth: int, label: Segment
    ) -> Iterator[str]:
        pad, index = " " * depth, self._name(self.low.reg[inst.args[0]])
        for entry in range(1, len(segment.targets)):
            yield f"{pad}if {index} == {entry - 1}:"
            yield from self._edge(segment, entry, path, depth + 1, label)
        yield from self._edge(segment, 0, path, depth, label)

    def _edge(
        self, segment: Segment, number: int, path: tuple[Segment, ...], depth: int, label: Segment
    ) -> Iterator[str]:
        pad = " " * depth
        target = segment.targets[number]
        params, sources = segment.target_calls[number]
        moves = [(f"v{p}", self._name(s)) for p, s in zip(params, sources) if p != s]
        if moves:
            yield f"{pad}{', '.join(p for p, _ in moves)} = {', '.join(s for _, s in moves)}"
        if target not in self.number:
            yield from self._segment(target, path, depth, label)
            return
        yield from (pad + line for line in self._paid(path))
        if target is label:
            yield f"{pad}continue"
        else:
            yield f"{pad}label = {self.number[target]}"
            yield f"{pad}break"

    def _paid(self, path: tuple[Segment, ...]) -> Iterator[str]:
        """The end of a path: count it and pay for it."""
        yield f"n{len(self.hot.paths)} += 1"
        yield f"fuel -= {sum(s.cost for s in path)}"
        self.hot.paths.append(path)

    def _leave(self, segment: Segment, path: tuple[Segment, ...], pad: str) -> Iterator[str]:
        """Out to the main loop, with what a call or a return carries."""
        name = f"S{len(self.globals)}"
        self.globals[name] = self._exit(segment)
        yield from (pad + line for line in self._paid(path))
        if segment.kind in (CALL, INDIRECT):
            yield from self._put_back(pad)
        values = ", ".join(self._name(self.low.reg[a]) for a in segment.insts[-1].args)
        yield f"{pad}return {name}, [{values}], fuel"

    def _exit(self, segment: Segment) -> Segment:
        """The segment that tells the main loop what to do next; `segment` itself may become a label."""
        out = Segment(self.code)
        out.take_place_of(segment)
        return out


def _plain(segment: Segment) -> list[Inst]:
    """The instructions without the terminator or call."""
    return list(segment.insts[:-1])


def _labels(code: Code) -> list[Segment]:
    """The entry, what follows calls, what several edges lead to, and whatever would nest too deep."""
    edges: dict[Segment, int] = {}
    for segment in code.segments:
        for target in segment.targets:
            edges[target] = edges.get(target, 0) + 1
    labels = {code.entry: None}
    labels.update((s.after, None) for s in code.segments if s.after is not None)
    labels.update((s, None) for s in code.segments if edges.get(s, 0) > 1)
    depth: dict[Segment, int] = {}
    pending = list(labels)
    while pending:
        segment = pending.pop()
        for target in segment.targets:
            if target in labels:
                continue
            nested = depth.get(segment, 0) + 1
            if nested > DEEPEST:
                labels[target], nested = None, 0
            depth[target] = nested
            pending.append(target)
    return list(labels)
