"""Hypothesis strategies for CLIF: types, values, functions, modules, and cases that can be run.

The one idea: a program is drawn as a seed of the generator, which decides what it is about, and then thinned out by
switches, one an instruction, block and result, that Hypothesis draws. The simplest switch leaves out, so shrinking is
what Hypothesis does best: it turns off what the failure does not need, and what is never read is swept away.

    @given(strategies.functions())
    def test_my_pass(function): ...

Without a compiler, programs hold whatever CLIF has; with `compiler="cranelift"`, what that one can compile.
Needs `hypothesis`. docs/hypothesis.md has examples.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache, lru_cache
from typing import Any, Final

from liftcheck.campaign.options import FuzzOptions
from liftcheck.campaign.planner import Planner
from liftcheck.campaign.reduce.edit import with_function
from liftcheck.campaign.reduce.engine import tidied
from liftcheck.campaign.reduce.passes import returns
from liftcheck.campaign.reduce.proposals import cut, return_zeros, without, without_param
from liftcheck.campaign.reduce.visible import left_open
from liftcheck.case import Case
from liftcheck.clif.edit import copy_function, reachable, replace_uses, values_read
from liftcheck.clif.ir import Function, Inst, Module
from liftcheck.clif.opcodes import OPCODES, TERMINATORS, variants
from liftcheck.clif.text.portable import OLD_OPCODES
from liftcheck.clif.text.printer import print_function, print_module
from liftcheck.clif.types import TYPES, Type
from liftcheck.clif.values import runtime_table
from liftcheck.clif.verify import verify
from liftcheck.generators.choices import RandomChoices
from liftcheck.generators.generate import generate
from liftcheck.generators.profiles import Profile, by_name
from liftcheck.generators.tables import UNREACHED, Context
from liftcheck.isa import BIG_ENDIAN, ISAS
from liftcheck.oracles.reference import depends_on_byte_order, interpret

try:
    from hypothesis import strategies as st
    from hypothesis.strategies import DrawFn, SearchStrategy
except ModuleNotFoundError as error:
    raise ModuleNotFoundError("liftcheck.strategies needs Hypothesis: pip install hypothesis") from error

SIZE: Final = 30
"""About how many instructions a program has before it is thinned."""
_SELDOM: Final = 255
"""Of so many switches one is off, until Hypothesis shrinks."""
_FUEL: Final = 20_000


def types(*, floats: bool = True, vectors: bool = True) -> SearchStrategy[Type]:
    """CLIF's types up to 128 bits, which is what compilers have; scalar integers are the simplest."""
    chosen = [
        ty for ty in TYPES.values() if ty.bits <= 128 and (floats or not ty.is_float) and (vectors or not ty.is_vector)
    ]
    return st.sampled_from(sorted(chosen, key=lambda ty: (ty.is_vector, ty.is_float, ty.bits, ty.name)))


def values(ty: Type) -> SearchStrategy[int]:
    """Values of a type as liftcheck has them, unsigned integers of its width: zero is the simplest, edges are
    frequent."""
    edges = sorted(set(runtime_table(ty)))
    return st.one_of(st.integers(0, (1 << ty.bits) - 1), st.sampled_from(edges))


def cases(
    *,
    isas: Sequence[str] = ISAS,
    profile: str = "default",
    compiler: str | None = None,
    size: int = SIZE,
    inputs: int = 2,
    calls: bool = False,
) -> SearchStrategy[Case]:
    """Programs with inputs: each returns or traps, and what it does is CLIF's word alone. Ready for
    `oracles.reference.interpret` and for `Judge`. With `calls` of several functions, which shrink less."""
    chosen = by_name(profile) if calls else _alone(profile)
    make = _maker(tuple(isas), chosen, compiler, size, inputs)
    return _programs(make).filter(_ends).map(lambda case: ShownCase(**_fields(case)))


def modules(
    *, isas: Sequence[str] = ISAS, profile: str = "default", compiler: str | None = None, size: int = SIZE
) -> SearchStrategy[Module]:
    """Well-formed modules whose last function calls the others, or some of them."""
    return _programs(_maker(tuple(isas), by_name(profile), compiler, size, 1)).map(
        lambda case: ShownModule(**_fields(case.module))
    )


def functions(
    *, isas: Sequence[str] = ISAS, profile: str = "default", compiler: str | None = None, size: int = SIZE
) -> SearchStrategy[Function]:
    """Well-formed functions that call none but by address."""
    make = _maker(tuple(isas), _alone(profile), compiler, size, 1)
    return _programs(make).map(lambda case: ShownFunction(**_fields(case.module.functions[case.entry])))


def _alone(profile: str) -> Profile:
    """A profile whose programs are one function."""
    return by_name(profile)._replace(name=f"{profile}-alone", functions=(1,))


def _maker(
    isas: tuple[str, ...], profile: Profile, compiler: str | None, size: int, inputs: int
) -> Callable[[int], Case]:
    context = dataclasses.replace(_context(isas, compiler), size=size, inputs=inputs)

    @lru_cache(maxsize=64)  # while it shrinks, Hypothesis asks for one program over and over
    def make(seed: int) -> Case:
        return generate(RandomChoices(seed), profile, context)

    return make


@cache
def _context(isas: tuple[str, ...], compiler: str | None) -> Context:
    """What programs may hold: all of CLIF, or what a compiler has."""
    if compiler is not None:
        return Planner(FuzzOptions(isas=isas, compiler=compiler)).context("")
    keys = frozenset(
        variant.key
        for name, opcode in OPCODES.items()
        if not opcode.removed and opcode.family != "x86" and name not in UNREACHED.keys() | OLD_OPCODES
        for variant in variants(name)
    )
    return Context(isas, dict.fromkeys(isas, keys))


@st.composite
def _programs(draw: DrawFn, make: Callable[[int], Case]) -> Case:
    case = make(draw(st.integers(0, (1 << 32) - 1)))
    switch = st.integers(0, _SELDOM)
    thin = thinned(case, lambda: draw(switch))
    return thin if not verify(thin.module) else case


def thinned(case: Case, switch: Callable[[], int]) -> Case:
    """The case, thinned and swept. `switch` is asked for each result of the entry (0: gone), each end of a block (0:
    returns zeros, 1 and 2: goes its first or last way alone) and each other instruction (0: zero, 1: the entry ends
    here and returns its results, 2: its operand); as often, and in the same order, whatever it says."""
    results = [switch() for _ in case.module.functions[case.entry].signature.returns]
    ends = [[switch() for _ in function.blocks] for function in case.module.functions]
    switches = {id(inst): switch() for inst in _body(case.module)}
    for site in reversed(range(len(results))):
        if not results[site] and not _is_called(case):
            case = (returns(case, site, lambda _case: None) or [case])[0]
    case = _ended(case, switches)
    for number, function in enumerate(case.module.functions):
        case = with_function(case, number, _with_ways(_without(function, switches), ends[number]))
        for place, end in enumerate(ends[number]):
            if not end:
                case = return_zeros(case, number, place)
    return _swept(case)


def _ended(case: Case, switches: Mapping[int, int]) -> Case:
    """The case whose entry ends after the first instruction of which a switch says so."""
    for block, at in enumerate(case.module.functions[case.entry].blocks):
        for position, inst in enumerate(at.insts):
            if switches.get(id(inst)) == 1 and inst.results and not _is_called(case):
                return cut(case, case.entry, block, position + 1, inst.results)
    return case


def _without(function: Function, switches: Mapping[int, int]) -> Function:
    short = _shortened(function, switches)
    doomed = {id(new) for new, old in zip(_insts(short), _insts(function)) if switches.get(id(old)) == 0}
    return without(short, lambda inst: id(inst) in doomed)


def _with_ways(function: Function, ends: Sequence[int]) -> Function:
    """Blocks that go one way alone; the function is the caller's own copy."""
    for block, end in zip(function.blocks, ends):
        targets = block.insts[-1].targets
        if len(targets) > 1 and end in (1, 2):
            block.insts[-1] = Inst("jump", None, targets=(targets[0 if end == 1 else -1],))
    return function


def _shortened(function: Function, switches: Mapping[int, int]) -> Function:
    """Readers of an instruction whose switch is 2 read its first operand of the same type instead."""
    changed = copy_function(function)
    instead: dict[int, int] = {}
    for block in changed.blocks:
        for inst in block.insts:
            if switches.get(id(inst)) == 2 and len(inst.results) == 1:
                ty = changed.types[inst.results[0]]
                operand = next((value for value in inst.args if changed.types.get(value) is ty), None)
                if operand is not None:
                    instead[inst.results[0]] = instead.get(operand, operand)
    replace_uses(changed, instead)
    return changed


def _body(module: Module) -> Iterator[Inst]:
    """What may be left out of the middle of blocks."""
    for function in module.functions:
        yield from (inst for inst in _insts(function) if inst.op not in TERMINATORS or inst.table is not None)


def _insts(function: Function) -> Iterator[Inst]:
    for block in function.blocks:
        yield from block.insts


def _swept(case: Case) -> Case:
    """Without what is never read, called or passed."""
    case = tidied(case)
    numbers = reachable(case.module, case.entry)
    kept = Module([case.module.functions[number] for number in numbers])
    case = dataclasses.replace(case, module=kept, entry=numbers.index(case.entry))
    function = case.module.functions[case.entry]
    read = set().union(*(values_read(inst) for block in function.blocks for inst in block.insts))
    for site in reversed(range(len(function.signature.params))):
        if function.blocks[0].params[site][0] not in read and case.inputs and not _is_called(case):
            case = without_param(case, site)
    return tidied(case)


def _is_called(case: Case) -> bool:
    """Whether the entry is called, so that its parameters are not its own business."""
    name = case.module.functions[case.entry].name
    return any(ref.name == name for function in case.module.functions for ref in function.func_refs.values())


def _ends(case: Case) -> bool:
    """Whether what every run does is defined: it ends, and CLIF leaves nothing of it open."""
    isas = case.tags.get("isas")
    orders = {isa in BIG_ENDIAN for isa in (isas if isinstance(isas, tuple) else ISAS)}
    for big_endian in sorted(orders) if depends_on_byte_order(case.module) else (False,):
        if interpret(case, big_endian, _FUEL).trouble:
            return False
        if any(left_open(case, run, big_endian, _FUEL) for run in range(len(case.inputs))):
            return False
    return True


class Shown:
    """What Hypothesis prints by its `repr`, as it stands."""

    __slots__ = ()

    def _repr_pretty_(self, printer: Any, _is_cycle: bool) -> None:
        printer.text(repr(self))


class ShownCase(Shown, Case):
    """A case that Hypothesis prints as CLIF."""

    __slots__ = ()

    def __repr__(self) -> str:
        rows = "".join(f"; inputs: {', '.join(map(hex, row))}\n" for row in self.inputs)
        return f"\n{print_module(self.module)}{rows}"


class ShownModule(Shown, Module):
    """A module that Hypothesis prints as CLIF."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"\n{print_module(self)}"


class ShownFunction(Shown, Function):
    """A function that Hypothesis prints as CLIF."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"\n{print_function(self)}"


def _fields(value: Any) -> dict[str, Any]:
    return {field.name: getattr(value, field.name) for field in dataclasses.fields(value) if field.init}
