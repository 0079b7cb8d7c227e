"""Programs for the mutation fuzzer that the generator of campaigns makes rarely: what frames, calls and exits can hold.

The one idea: one shape with everything drawn: %main calls %middle in a random convention, which keeps values of many
types alive over a call of %leaf in another one, with stack slots of any size, in a loop or not, and hands on results on
the stack. Drawn are handlers with throws through them, vectors and float halves over calls, frames above 32 KiB and
1 MiB, f16 and f32 in wider registers, home space, packed results, tail calls, and settings that make islands, padding
and frame pointers. Inputs are numbers. What a target does not have is refused by the compiler and counted.
"""

from __future__ import annotations

from random import Random
from typing import Final, NamedTuple

from liftcheck.case import Case
from liftcheck.clif.opcodes import OF_CONSTANT
from liftcheck.clif.text.parser import parse_filetest
from liftcheck.isa.base import isa_named

SCALARS: Final = ("i64", "i64", "i32", "i8", "i128", "f64", "f64", "f32")
VECTORS: Final = ("i64x2", "f64x2")
SLOTS: Final = (0, 0, 8, 24, 256, 4096, 40_000, 1_200_000)
SETTINGS: Final = (
    ("bb_padding_log2_minus_one", ("0", "0", "0", "4", "7", "11")),
    ("enable_probestack", ("true", "false")),
    ("probestack_strategy", ("inline",)),
    ("preserve_frame_pointers", ("true", "false")),
    ("has_zbb", ("true", "false")),
)  # fmt: skip
INPUTS: Final = (0, 1, 2, 3, 6, 255, -1, 1 << 31, -(1 << 63), 0x1234_5678_9ABC_DEF0)
THROWS: Final = frozenset({"tail"})
"""Conventions whose frames may be thrown through by a routine that gives back the stack and frame pointer alone."""


_THROW: Final = """function %throw(i64) tail {
    sig0 = (i64, i64, i64, i32, i64, i64) system_v
    fn0 = %__cranelift_throw sig0
block0(v0: i64):
    v1 = get_frame_pointer.i64
    v2 = get_return_address.i64
    v3 = func_addr.i64 fn0
    v4 = iconst.i32 1
    v5 = iconst.i64 17
    call_indirect sig0, v3(v0, v1, v2, v4, v5, v5)
    trap user2
}
"""
"""A function of its own: the walk over the frames begins at its caller's call."""


class Drawn(NamedTuple):
    """A program and the settings that it is for."""

    case: Case
    text: str
    settings: tuple[tuple[str, str], ...]


class _Text:
    """One function's lines; values get numbers as they come."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self._count = 0

    def name(self) -> str:
        self._count += 1
        return f"v{self._count - 1}"

    def value(self, operation: str) -> str:
        """A new value; `NAME_imm value, number` takes a constant."""
        op, _, rest = operation.partition(" ")
        if op in OF_CONSTANT:
            left, _, number = rest.partition(", ")
            operation = f"{OF_CONSTANT[op]} {left}, {self.value(f'iconst.i64 {number}')}"
        made = self.name()
        self.lines.append(f"    {made} = {operation}")
        return made

    def line(self, text: str) -> None:
        self.lines.append(text)

    def widened(self, kind: str, value: str) -> str:
        """A value as an i64."""
        if kind in ("i8", "i32"):
            return self.value(f"uextend.i64 {value}")
        if kind == "i128":
            low, high = self.name(), self.name()
            self.line(f"    {low}, {high} = isplit {value}")
            return self.value(f"bxor {low}, {high}")
        if kind == "f64":
            return self.value(f"bitcast.i64 {value}")
        if kind in ("f32", "f16"):
            bits = self.value(f"bitcast.i{kind[1:]} {value}")
            return self.value(f"uextend.i64 {bits}")
        if kind in VECTORS:
            halves = [self.value(f"extractlane {value}, {lane}") for lane in (0, 1)]
            wide = [self.widened(kind[:3], half) for half in halves]
            shifted = self.value(f"rotl_imm {wide[1]}, 7")
            return self.value(f"bxor {wide[0]}, {shifted}")
        return value

    def made(self, kind: str, number: str) -> str:
        """A value out of an i64; floats are small numbers, so there is no NaN."""
        if kind in ("i8", "i32"):
            return self.value(f"ireduce.{kind} {number}")
        if kind == "i128":
            other = self.value(f"rotl_imm {number}, 13")
            return self.value(f"iconcat {number}, {other}")
        if kind in ("f64", "f32"):
            small = self.value(f"band_imm {number}, 0xffff")
            return self.value(f"fcvt_from_sint.{kind} {small}")
        if kind == "f16":
            small = self.value(f"band_imm {number}, 0x3bff")
            bits = self.value(f"ireduce.i16 {small}")
            return self.value(f"bitcast.f16 {bits}")
        if kind in VECTORS:
            lanes = [self.made(kind[:3], number), self.made(kind[:3], self.value(f"iadd_imm {number}, 5"))]
            return self.value(f"insertlane {self.value(f'splat.{kind} {lanes[0]}')}, {lanes[1]}, 1")
        return number

    def mixed(self, values: list[tuple[str, str]]) -> str:
        """All of them in one i64."""
        total = ""
        for kind, value in values:
            wide = self.widened(kind, value)
            total = self.value(f"iadd {self.value(f'rotl_imm {total}, 5')}, {wide}") if total else wide
        return total


class _Plan(NamedTuple):
    """What was drawn for a program."""

    leaf: str
    middle: str
    leaf_params: list[str]
    leaf_returns: list[str]
    middle_params: list[str]
    middle_returns: list[str]
    live: list[str]
    slot: int
    throws: bool
    handlers: bool
    loops: bool
    indirect: bool
    tail: bool


def _drawn(isa: str, rng: Random) -> _Plan:
    pool = [*SCALARS, *((*VECTORS, *VECTORS) if isa != "riscv64" else ()), *(("f16",) if rng.random() < 0.2 else ())]
    leaf, middle = rng.choice(isa_named(isa).conventions), rng.choice(isa_named(isa).conventions)
    throws = rng.random() < 0.15
    if throws:
        leaf = "tail"
    many = rng.random() < 0.3

    def kinds(low: int, high: int) -> list[str]:
        return [rng.choice(pool) for _ in range(rng.randint(low, high))]

    return _Plan(
        leaf,
        middle,
        kinds(1, 14 if many else 4),
        [] if leaf == "preserve_all" else kinds(1, 9 if many else 2),
        kinds(1, 12 if rng.random() < 0.2 else 3),
        [] if middle == "preserve_all" else kinds(1, 3),
        kinds(0, 22),
        rng.choice(SLOTS),
        throws,
        throws or rng.random() < 0.25,
        rng.random() < 0.4,
        rng.random() < 0.2,
        rng.random() < 0.2 and middle == "tail",
    )


def _signature(params: list[str], returns: list[str], convention: str) -> str:
    return f"({', '.join(params)}){f' -> {chr(44).join(returns)}' if returns else ''} {convention}"


def _leaf(plan: _Plan) -> str:
    """Mixes its parameters, or throws when the first one is a multiple of four."""
    text = _Text()
    params = ["i64", "i64", *plan.leaf_params]
    names = [text.name() for _ in params]
    total = text.mixed(list(zip(params, names)))
    thrown: list[str] = []
    if plan.throws:
        low = text.value(f"band_imm {names[1]}, 3")
        text.line(f"    brif {low}, block1, block2")
        thrown = ["block2:", f"    call fn9({names[0]})", "    trap user2"]
        text.line("block1:")
    results = [text.made(kind, text.value(f"iadd_imm {total}, {7 * n}")) for n, kind in enumerate(plan.leaf_returns)]
    text.line(f"    return {', '.join(results)}")
    head = f"function %leaf{_signature(params, plan.leaf_returns, plan.leaf)} {{\n"
    if plan.throws:
        head += "    fn9 = colocated %throw(i64) tail\n"
    block = ", ".join(f"{name}: {kind}" for name, kind in zip(names, params))
    return "\n".join([f"{head}block0({block}):", *text.lines, *thrown, "}", ""])


def _middle(plan: _Plan, rng: Random) -> str:
    """Keeps values alive over a call of %leaf."""
    text = _Text()
    params = ["i64", "i64", *plan.middle_params]
    names = [text.name() for _ in params]
    entry, seed = names[0], names[1]
    mixed = text.mixed(list(zip(params[1:], names[1:])))
    live = [(kind, text.made(kind, text.value(f"iadd_imm {mixed}, {n * 31 + 1}"))) for n, kind in enumerate(plan.live)]
    slots = []
    if plan.slot:
        base = text.value("stack_addr.i64 ss0")
        for at in {0, plan.slot // 2 & -8, plan.slot - 8}:
            text.line(f"    store notrap {text.value(f'iadd_imm {seed}, {at & 0xFF}')}, {base}+{at}")
            slots.append(at)
    count = text.value(f"band_imm {seed}, 3")
    if plan.loops:
        text.line(f"    jump block1({count}, {mixed})")
        rounds, carried = text.name(), text.name()
        text.line(f"block1({rounds}: i64, {carried}: i64):")
    else:
        carried = mixed
    given = [text.made(kind, text.value(f"iadd_imm {carried}, {n}")) for n, kind in enumerate(plan.leaf_params)]
    results = [text.name() for _ in plan.leaf_returns]
    arguments = ", ".join([entry, seed, *given])
    _called(plan, text, results, arguments)
    got = text.mixed([("i64", seed), *zip(plan.leaf_returns, results)])
    if plan.loops:
        less = text.value(f"iadd_imm {rounds}, -1")
        onward = text.value(f"iadd {got}, {carried}")
        text.line(f"    brif {rounds}, block1({less}, {onward}), block3")
        text.line("block3:")
    if plan.slot:
        base = text.value("stack_addr.i64 ss0")
        live += [("i64", text.value(f"load.i64 notrap {base}+{at}")) for at in slots]
    total = text.mixed([("i64", got), *live])
    _ends(plan, text, total, entry, seed)
    head = f"function %middle{_signature(params, plan.middle_returns, plan.middle)} {{\n"
    head += f"    ss0 = explicit_slot {plan.slot}\n" if plan.slot else ""
    head += f"    sig0 = {_signature(['i64', 'i64', *plan.leaf_params], plan.leaf_returns, plan.leaf)}\n"
    head += f"    fn0 = {'colocated ' if rng.random() < 0.7 else ''}%leaf sig0\n"
    block = ", ".join(f"{name}: {kind}" for name, kind in zip(names, params))
    return "\n".join([f"{head}block0({block}):", *text.lines, "}", ""])


def _called(plan: _Plan, text: _Text, results: list[str], arguments: str) -> None:
    assigned = f"{', '.join(results)} = " if results else ""
    callee = text.value("func_addr.i64 fn0") if plan.indirect else ""
    if plan.handlers:
        passed = ", ".join(f"ret{n}" for n in range(len(results)))
        call = f"try_call_indirect {callee}({arguments})" if callee else f"try_call fn0({arguments})"
        handlers = "[ tag1: block8(exn0), default: block9 ]" if plan.throws else "[ default: block9 ]"
        text.line(f"    {call}, sig0, block2({passed}), {handlers}")
        params = ", ".join(f"{name}: {kind}" for name, kind in zip(results, plan.leaf_returns))
        text.line(f"block2({params}):" if results else "block2:")
    else:
        call = f"call_indirect sig0, {callee}({arguments})" if callee else f"call fn0({arguments})"
        text.line(f"    {assigned}{call}")


def _ends(plan: _Plan, text: _Text, total: str, entry: str, seed: str) -> None:
    if plan.tail and plan.leaf == "tail" and plan.leaf_returns == plan.middle_returns and not plan.throws:
        given = [text.made(kind, text.value(f"iadd_imm {total}, {n}")) for n, kind in enumerate(plan.leaf_params)]
        text.line(f"    return_call fn0({', '.join([entry, seed, *given])})")
    else:
        results = [text.made(kind, text.value(f"iadd_imm {total}, {n}")) for n, kind in enumerate(plan.middle_returns)]
        text.line(f"    return {', '.join(results)}")
    if plan.handlers:
        if plan.throws:
            payload = text.name()
            text.line(f"block8({payload}: i64):")
            number = text.mixed([("i64", seed), ("i64", payload), ("i64", entry)])
            results = [text.made(kind, number) for kind in plan.middle_returns]
            text.line(f"    return {', '.join(results)}")
        text.line("block9:")
        text.line("    trap user1")


def _main(plan: _Plan) -> str:
    text = _Text()
    names = [text.name(), text.name()]
    first = text.value("get_frame_pointer.i64") if plan.throws else text.value("iconst.i64 1")
    kept = [text.value(f"iadd_imm {names[1]}, {n * 3 + 1}") for n in range(8)]
    given = [text.made(kind, text.value(f"iadd_imm {names[1]}, {n}")) for n, kind in enumerate(plan.middle_params)]
    results = [text.name() for _ in plan.middle_returns]
    assigned = f"{', '.join(results)} = " if results else ""
    text.line(f"    {assigned}call fn0({', '.join([first, names[0], *given])})")
    total = text.mixed([("i64", names[0]), *zip(plan.middle_returns, results), *(("i64", value) for value in kept)])
    text.line(f"    return {total}")
    signature = _signature(["i64", "i64", *plan.middle_params], plan.middle_returns, plan.middle)
    return "\n".join(
        [
            "function %main(i64, i64) -> i64 system_v {",
            f"    fn0 = colocated %middle{signature}",
            f"block0({names[0]}: i64, {names[1]}: i64):",
            *text.lines,
            "}",
            "",
        ]
    )


def draw(isa: str, number: int, known: frozenset[str]) -> Drawn:
    """Program `number` for an ISA whose compiler knows these settings."""
    rng = Random(f"shape {isa} {number}")
    plan = _drawn(isa, rng)
    text = "\n".join([*([_THROW] if plan.throws else ()), _leaf(plan), _middle(plan, rng), _main(plan)])
    settings = {name: rng.choice(values) for name, values in SETTINGS if name in known}
    if plan.throws:
        settings["preserve_frame_pointers"] = "true"
    if "enable_multi_ret_implicit_sret" in known:
        settings["enable_multi_ret_implicit_sret"] = "true"
    inputs = [(rng.choice(INPUTS), rng.choice(INPUTS)) for _ in range(4)] + [
        (rng.getrandbits(64), rng.getrandbits(64)) for _ in range(4)
    ]
    module = parse_filetest(text, "drawn").module()
    values = tuple(tuple(value % (1 << 64) for value in row) for row in inputs)
    case = Case(module, len(module.functions) - 1, values, name=f"shape {number}")
    return Drawn(case, text, tuple(sorted(settings.items())))
