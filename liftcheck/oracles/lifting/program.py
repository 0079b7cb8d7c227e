"""A CLIF function as terms: what its program says that its machine code must do, along all paths.

The one idea: the same states, memory, calls and ends as those of machine code (`mach.lift_paths`), with values in the
place of registers; what an opcode computes and when it traps is its meaning (`clif.semantics`). So both sides of a
function meet: arguments, symbols, initial memory, the results of calls are the same variables.

Undecided, each by name: loops that depend on inputs, addresses of 32 bits, calls that may throw, thread-local storage,
what asks for the frame's registers. Assumed: accesses to a stack slot stay in it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence, Set
from functools import lru_cache
from typing import Final, NamedTuple

from liftcheck.bits import build
from liftcheck.bits.simplify import normal, simplified
from liftcheck.bits.term import Term, const, var
from liftcheck.case import Target
from liftcheck.clif.ir import BlockCall, Function, Inst, MemFlags, Signature
from liftcheck.clif.opcodes import ATOMICS, CALLS, INDIRECT_CALLS, LOADS, OPCODES, STORES, TRY_CALLS
from liftcheck.clif.semantics.meaning import has_meaning, meaning
from liftcheck.clif.types import Type
from liftcheck.errors import Unsupported
from liftcheck.interp.recipes import trap_of
from liftcheck.mach.lift_areas import Areas
from liftcheck.mach.lift_memory import DATA, Memory, Reads, Undecided, located
from liftcheck.mach.lift_paths import End, Ended, Lifted, Limits, Path, Stops
from liftcheck.mach.transfer import over
from liftcheck.oracles.lifting import accesses
from liftcheck.oracles.lifting.accesses import Order
from liftcheck.oracles.lifting.calls import name_of, outcome, symbol_of
from liftcheck.oracles.lifting.frame import anywhere, stack_slots
from liftcheck.oracles.lifting.signature import ALIGNED, STACK, arguments

_USUAL: Final = Limits()
_SYMBOLS: Final[Mapping[Term, str]] = {}
_NOWHERE: Final = Stops(frozenset(), lambda path: None)


def lift_program(
    target: Target,
    function: Function,
    slots: Mapping[int, Term] | None = None,
    reads: Reads | None = None,
    limits: Limits = _USUAL,
    stops: Stops = _NOWHERE,
    values: Mapping[int, Term] | None = None,
) -> Lifted:
    """A function as terms. `slots`: where its stack slots are (none: somewhere in the frame); `reads`: initial memory
    that it shares with other code; `values`: what values are where it begins (none: its arguments)."""
    places = anywhere(function) if slots is None else slots
    walk = _Walk(target, function, places, Reads() if reads is None else reads, limits, stops)
    return walk.lifted(dict(zip(_parameters(function), arguments(function.signature))) if values is None else values)


def derivation(target: Target, function: Function) -> Callable[[Inst, Mapping[int, Term]], tuple[Term, ...] | None]:
    """What gives an instruction's results of values that are known; None where they are no function of these alone."""
    return _Walk(target, function, {}, Reads(), _USUAL, _NOWHERE).derived


def _parameters(function: Function) -> list[int]:
    return [number for number, _ in function.blocks[0].params]


class Program(NamedTuple):
    """The side of a program: its signature, and the results of an end."""

    signature: Signature

    def results(self, end: End) -> list[Term]:
        """The results, as whole numbers."""
        return [normal(build.scalar(term)) for term in end.results]

    def expected(self, results: Sequence[int]) -> list[int]:
        """Numbers that the results are to be, given values of the signature's types."""
        return list(results)


class _Walk:
    """Follows the paths of one function."""

    def __init__(
        self, target: Target, function: Function, slots: Mapping[int, Term], reads: Reads, limits: Limits, stops: Stops
    ) -> None:
        self.stops: Final = stops
        self.function: Final = function
        self.limits: Final = limits
        self.reads: Final = reads
        self.slots: Final = slots
        self.big: Final = target.big_endian
        self.ends: Final[list[End]] = []
        self.steps = 0
        self.trap_code: str | None = None
        self._blocks: Final = {block.number: block for block in function.blocks}
        self._areas: Final = Areas(frozenset({ALIGNED, STACK}), frozenset())
        self._waiting: Final[list[Path]] = []
        self._count = 0

    # -- what a path asks of its owner

    @property
    def names(self) -> Mapping[Term, str]:
        return _SYMBOLS

    def load_code(self, address: Term, size: int, holds: Set[Term]) -> Term:
        raise Undecided("an access to code as data")

    def area_of(self, base: Term) -> str:
        return self._areas.of(base)

    def trap_at(self, at: int) -> str | None:
        return self.trap_code

    def undefined(self, width: int) -> Term:
        self._count += 1
        return var(f"open{self._count}", width)

    def decide(self, condition: Term) -> bool | None:
        return None if self.stops.decide is None else self.stops.decide(condition)

    def finish(self, end: End) -> None:
        if len(self.ends) >= self.limits.paths:
            raise Undecided("more paths than the limit")
        self.ends.append(end)

    # -- paths

    def lifted(self, values: Mapping[int, Term]) -> Lifted:
        memory = Memory(self.big, self.area_of, self.reads, stack_slots(self.function, self.slots))
        if self.stops.reaches:
            memory.reach_all()
        first = Path(self, {}, memory)
        for number, term in values.items():
            first.state[number] = term
        first.at = self.function.blocks[0].number if self.stops.start is None else self.stops.start
        for condition in self.stops.assumed:
            first.assume(condition)
        self._waiting.append(first)
        try:
            while self._waiting:
                self._walk(self._waiting.pop())
        except Undecided as reason:
            self.ends[:] = [End("undecided", (), str(reason), {}, Memory(self.big, lambda base: DATA, self.reads))]
        return Lifted(tuple(self.ends), self.reads, self.steps, frozenset(), self.big)

    def _walk(self, path: Path) -> None:
        """One path to its end; the others of its forks wait."""
        try:
            while True:
                for inst in self._blocks[path.at].insts:
                    self.steps += 1
                    self._execute(path, inst)
        except Ended:
            pass
        except Undecided as reason:
            path.end("undecided", str(reason))
        except Unsupported as missing:
            path.end("undecided", missing.reason)
        if self.steps > self.limits.steps:
            raise Undecided("more instructions than the limit")

    def _execute(self, path: Path, inst: Inst) -> None:
        own = _OWN.get(inst.op)
        if own is not None:
            results = own(self, path, inst)
        elif has_meaning(inst.op):
            results = self._computed(path, inst)
        else:
            raise Undecided(f"{inst.op}: it has no term")
        path.state.update(zip(inst.results, results, strict=True))

    def args(self, path: Path, values: Sequence[int | str]) -> list[Term]:
        """What values are."""
        return [path.state[self._resolved(value)] for value in values]

    def _resolved(self, value: int | str) -> int | str:
        aliases = self.function.aliases
        while value not in self.function.types and value in aliases:
            value = aliases[value]
        return value

    def types(self, values: Sequence[int]) -> tuple[Type, ...]:
        """The types of values."""
        return tuple(self.function.types[self._resolved(value)] for value in values)  # type: ignore[index]

    def _computed(self, path: Path, inst: Inst) -> tuple[Term, ...]:
        types = self.types(inst.args)
        traps, results = _functions(
            inst.op, inst.type, types, self.types(inst.results), _immediate(self.function, inst, types, self.big)
        )
        args = self.args(path, inst.args)
        for when, code in traps:
            self.trap_code = str(inst.imm) if code == "user" else code
            path.trap(when(*args), code)
        return tuple(result(*args) for result in results)

    def derived(self, inst: Inst, values: Mapping[int, Term]) -> tuple[Term, ...] | None:
        """What an instruction computes of values that are known, if it does nothing else and cannot trap; else None."""
        if inst.op in _OWN or not has_meaning(inst.op):
            return None
        args = [self._resolved(value) for value in inst.args]
        if any(value not in values for value in args):
            return None
        types = self.types(inst.args)
        made = _immediate(self.function, inst, types, self.big)
        traps, results = _functions(inst.op, inst.type, types, self.types(inst.results), made)
        if traps:
            return None
        terms = [values[value] for value in args]  # type: ignore[index]
        return tuple(result(*terms) for result in results)

    def go(self, path: Path, call: BlockCall) -> None:
        """Control goes to a block."""
        block = self._blocks[call.block]
        values = self.args(path, call.args)
        path.state.update(zip([number for number, _ in block.params], values, strict=True))
        path.at = call.block
        name = self.stops.visit(path) if call.block in self.stops.at else None
        if name is not None:
            path.end("reached", name)
            raise Ended
        asked = path.turns.get(call.block)
        if asked is not None and asked != len(path.conditions):
            raise Undecided("a loop")
        path.turns[call.block] = len(path.conditions)
        if self.steps > self.limits.steps:
            raise Undecided("more instructions than the limit")

    def fork(self, path: Path, condition: Term, call: BlockCall) -> bool:
        """A path on which a condition holds goes to a block; whether the one that is left is that path."""
        holds = path.decided(condition)
        if holds is None:
            other = path.copy()
            other.assume(condition)
            try:
                self.go(other, call)
                self._waiting.append(other)
            except Ended:
                pass
            except Undecided as reason:
                other.end("undecided", str(reason))
            path.assume(simplified(build.bnot(condition)))
        elif holds:
            self.go(path, call)
        return bool(holds)

    def accessed(self, inst: Inst, value: int) -> int:
        """How many bytes an instruction loads or stores."""
        access, (ty,) = OPCODES[inst.op].access, self.types([value])
        return (ty if access is None else access.type_in_memory(ty)).bytes

    def order(self, flags: MemFlags) -> Order:
        """The byte orders of an access, whose trap code is the one that faults have from now on."""
        self.trap_code = trap_of(flags) or None
        return Order(self.big, flags.endianness == "big" if flags.endianness else self.big)


Results = Sequence[Term]
Function_ = Callable[..., Term]


@lru_cache(maxsize=1 << 13)
def _functions(
    op: str, ctrl: Type | None, args: tuple[Type, ...], results: tuple[Type, ...], imm: object
) -> tuple[tuple[tuple[Function_, str], ...], tuple[Function_, ...]]:
    """The conditions of an opcode's traps with their codes, and its results, as functions of its operands."""
    what = meaning(op, ctrl, args, results, imm)
    traps = tuple((over(when, what.inputs), code) for when, code in what.traps)
    return traps, tuple(over(result, what.inputs) for result in what.results)


def _immediate(function: Function, inst: Inst, types: Sequence[Type], big: bool) -> object:
    """The immediate as meanings have it."""
    if inst.op in ("vconst", "f128const"):
        return function.constants[inst.imm]  # type: ignore[index]
    if inst.op == "bitcast":
        assert inst.type is not None
        order = inst.flags.endianness or ("big" if big else "little")
        return "" if types[0].lanes == inst.type.lanes else order
    return inst.imm


# -- opcodes whose meaning is not a function of their operands


def _load(walk: _Walk, path: Path, inst: Inst) -> Results:
    order = walk.order(inst.flags)
    where = accesses.address(walk.args(path, inst.args)[0], inst.offset)
    if inst.flags.aligned:
        accesses.demand(path, where, walk.accessed(inst, inst.results[0]))
    return [accesses.load(path, inst, where, walk.types(inst.results)[0], order)]


def _store(walk: _Walk, path: Path, inst: Inst) -> Results:
    order = walk.order(inst.flags)
    value, base = walk.args(path, inst.args)
    where = accesses.address(base, inst.offset)
    if inst.flags.aligned:
        accesses.demand(path, where, walk.accessed(inst, inst.args[0]))
    accesses.store(path, inst, where, value, walk.types(inst.args)[0], order)
    return []


def _atomic(walk: _Walk, path: Path, inst: Inst) -> Results:
    assert inst.type is not None
    order, args = walk.order(inst.flags), walk.args(path, inst.args)
    return accesses.atomic(path, inst, args, inst.type, order)


def _stack_addr(walk: _Walk, path: Path, inst: Inst) -> Results:
    if inst.type is not None and inst.type.bits != 64:
        raise Undecided("an address of 32 bits")
    return [located(walk.slots[inst.imm], inst.offset)]  # type: ignore[index]


def _stack_access(walk: _Walk, path: Path, inst: Inst) -> Results:
    order, where = walk.order(inst.flags), located(walk.slots[inst.imm], inst.offset)  # type: ignore[index]
    assert inst.type is not None
    if inst.op == "stack_load":
        return [accesses.value(path.load(where, inst.type.bytes, const(1, 1)), inst.type, order)]
    path.store(where, accesses.number(walk.args(path, inst.args)[0], inst.type, order), const(1, 1))
    return []


def _func_addr(walk: _Walk, path: Path, inst: Inst) -> Results:
    if inst.type is not None and inst.type.bits != 64:
        raise Undecided("an address of 32 bits")
    return [symbol_of(walk.function.func_refs[inst.imm].name)]  # type: ignore[index]


def _global_value(walk: _Walk, path: Path, inst: Inst) -> Results:
    return [_global(walk, path, inst.imm)]  # type: ignore[arg-type]


def _global(walk: _Walk, path: Path, number: int) -> Term:
    kind, *rest = walk.function.globals[number]
    if kind == "vmctx":
        for param, value in zip(walk.function.signature.params, arguments(walk.function.signature)):
            if param.purpose == "vmctx":
                return value
    if kind == "symbol" and rest[3:4] != [True]:
        return located(symbol_of(str(rest[0])), rest[1] if len(rest) > 1 else 0)  # type: ignore[arg-type]
    if kind not in ("iadd_imm", "load"):
        raise Undecided(f"a global value of kind {kind}")
    base, offset, ty, *more = rest
    where = accesses.address(_global(walk, path, base), offset)  # type: ignore[arg-type]
    if kind == "iadd_imm":
        return where
    flags = next((one for one in more if isinstance(one, MemFlags)), MemFlags())
    assert isinstance(ty, Type)
    order = walk.order(flags)
    return accesses.value(path.load(where, ty.bytes, const(1, 1)), ty, order)


def _nothing(walk: _Walk, path: Path, inst: Inst) -> Results:
    return []


def _jump(walk: _Walk, path: Path, inst: Inst) -> Results:
    walk.go(path, inst.targets[0])
    return []


def _brif(walk: _Walk, path: Path, inst: Inst) -> Results:
    (condition,) = walk.args(path, inst.args)
    then, other = inst.targets
    is_zero = simplified(build.eq(condition, const(0, condition.lane)))
    if not walk.fork(path, simplified(build.bnot(is_zero)), then):
        walk.go(path, other)
    return []


def _br_table(walk: _Walk, path: Path, inst: Inst) -> Results:
    (index,) = walk.args(path, inst.args)
    default, *entries = inst.targets
    inside = simplified(build.ult(index, const(len(entries), index.lane)))
    if walk.fork(path, simplified(build.bnot(inside)), default):
        return []
    for number, call in enumerate(entries[:-1]):
        if walk.fork(path, simplified(build.eq(index, const(number, index.lane))), call):
            return []
    if not entries:
        raise Ended
    walk.go(path, entries[-1])
    return []


def _trap(walk: _Walk, path: Path, inst: Inst) -> Results:
    walk.trap_code = str(inst.imm)
    path.trap(const(1, 1), "user")
    return []


def _return(walk: _Walk, path: Path, inst: Inst) -> Results:
    path.end("returned", results=tuple(walk.args(path, inst.args)))
    raise Ended


def _call(walk: _Walk, path: Path, inst: Inst) -> Results:
    function, args = walk.function, walk.args(path, inst.args)
    if inst.op in TRY_CALLS:
        raise Undecided("a call that may land in a handler")
    if inst.op in INDIRECT_CALLS:
        target, *args = args
        name, signature = name_of(target), function.signatures[inst.imm]  # type: ignore[index]
    else:
        reference = function.func_refs[inst.imm]  # type: ignore[index]
        name, signature = reference.name, function.signatures[reference.sig]
        target = symbol_of(name)
    tail = inst.op.startswith("return")
    results = outcome(path, name, target, signature, tuple(args), tail)
    if tail:
        path.end("returned", results=results)
        raise Ended
    return results


def _all(ops: Set[str] | str, what: Callable[[_Walk, Path, Inst], Results]) -> dict[str, Callable[..., Results]]:
    return dict.fromkeys(sorted(ops.split() if isinstance(ops, str) else ops), what)


_OWN: Final[dict[str, Callable[[_Walk, Path, Inst], Results]]] = {
    **_all(LOADS, _load), **_all(STORES, _store), **_all(ATOMICS, _atomic), **_all(CALLS, _call),
    **_all("stack_load stack_store", _stack_access), **_all("nop fence sequence_point", _nothing),
    **_all("symbol_value global_value", _global_value),
    "stack_addr": _stack_addr, "func_addr": _func_addr, "jump": _jump, "brif": _brif, "br_table": _br_table,
    "trap": _trap, "return": _return,
}  # fmt: skip
