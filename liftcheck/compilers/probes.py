"""One tiny CLIF function for every typing of every opcode, and for what conventions can carry: the matrix' questions.

The one idea: operands are parameters, so nothing folds away and each probe asks for one lowering. What a signature
cannot carry on some ISA is asked again through memory (`by_memory`), so a gap in the ABI hides no lowering.
Keys are `opcodes.Variant.key`, and for conventions `param.CONV.T`, `return.CONV.T`, `call.CONV`, `return_call.CONV`,
`try_call.CONV`, and `text.WHAT` for what the text of older versions cannot say. `matrix.py` asks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import Final, NamedTuple

from liftcheck.clif.formats import ATOMIC_OPERATIONS, FLOAT_CONDITIONS, INT_CONDITIONS
from liftcheck.clif.opcodes import OPCODES, Variant, variants
from liftcheck.clif.types import TYPES, Type

CONVENTIONS: Final = ("fast", "system_v", "tail", "windows_fastcall", "apple_aarch64", "winch", "preserve_all", "cold")


class Probe(NamedTuple):
    """A function. `choice` is the condition, operation or lane where a key has several; `by_memory` may be ''."""

    key: str
    choice: str
    text: str
    by_memory: str = ""


_CHOICES: Final = {"IntCompare": INT_CONDITIONS, "IntCompareImm": INT_CONDITIONS, "FloatCompare": FLOAT_CONDITIONS,
                   "AtomicRmw": ATOMIC_OPERATIONS}  # fmt: skip
_MASK: Final = "[0 17 2 19 4 5 30 7 8 25 10 11 12 29 14 15]"
_SLOT: Final = "    ss0 = explicit_slot 64\n"
_CALLEE: Final = "    sig0 = () {conv}\n    fn0 = %callee sig0\n"


_TEXTS: Final = (
    # since 0.113: up to 0.110 a flag names one of Cranelift's own codes, and in 0.95 none
    Probe(
        "text.user_code_of_access",
        "",
        "function %p(i64) -> i64 system_v {\nblock0(v0: i64):\n    v1 = load.i64 user7 v0\n    return v1\n}\n",
    ),
    # since 0.110
    Probe(
        "text.alignment_of_slot",
        "",
        "function %p() -> i64 system_v {\n    ss0 = explicit_slot 16, align = 16\n"
        "block0:\n    v0 = stack_addr.i64 ss0\n    return v0\n}\n",
    ),
)


@cache
def probes(version: tuple[int, ...] = (99,)) -> tuple[Probe, ...]:
    """All probes whose opcodes `version` knows."""
    found: list[Probe] = []
    for name, opcode in OPCODES.items():
        if _numbers(opcode.since) <= version and (not opcode.removed or version < _numbers(opcode.removed)):
            for variant in variants(name):
                found += _probes_of(variant)
    return (*found, *_conventions(), *_TEXTS)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".")) if version else ()


def _probes_of(variant: Variant) -> Iterator[Probe]:
    form = OPCODES[variant.op].format.name
    for choice in _choices(variant, form):
        preamble, body = _body(variant, form, choice)
        yield Probe(variant.key, choice, _function(variant, preamble, body), _through_memory(variant, preamble, body))


def _choices(variant: Variant, form: str) -> tuple[str, ...]:
    """What is asked for one by one: conditions, atomic operations, lanes; ('',) for the rest."""
    if form in ("BinaryImm8", "TernaryImm8"):
        return tuple(str(lane) for lane in range(variant.arg_types[0].lanes))
    return _CHOICES.get(form, ("",))


# -- one instruction


def _body(variant: Variant, form: str, choice: str) -> tuple[str, list[str]]:
    """Declarations, and the lines of the instruction with what must follow it; results are v10, v11, …"""
    special = _CONTROL.get(variant.op)
    if special:
        return special(variant)
    name = variant.op if variant.type is None else f"{variant.op}.{variant.type.name}"
    results = ", ".join(f"v{10 + place}" for place in range(len(variant.result_types)))
    head = f"{results} = {name}" if results else name
    preamble, operands = _operands(variant, form, choice)
    return preamble, [f"{head} {operands}".rstrip()]


def _operands(variant: Variant, form: str, choice: str) -> tuple[str, str]:
    values = [f"v{place}" for place in range(len(variant.arg_types))]
    listed = ", ".join(values)
    if form in _CHOICES:
        return "", f"{choice} {listed}" + (", 3" if form == "IntCompareImm" else "")
    if form == "LoadNoOffset" and variant.op == "bitcast":
        assert variant.type is not None
        return "", f"little {listed}" if variant.type.lanes != variant.arg_types[0].lanes else listed
    text = _IMMEDIATES.get(form)
    if text is None:
        return "", listed
    preamble, immediate = text(variant, choice)
    return preamble, ", ".join([*values, immediate]) if immediate else listed


def _constant(variant: Variant, _choice: str) -> tuple[str, str]:
    ty = variant.type or TYPES["f128"]
    digits = "".join(f"{byte:02x}" for byte in range(17, 17 + ty.bytes))
    return f"    const0 = 0x{digits}\n", "const0"


_Immediate = Callable[[Variant, str], tuple[str, str]]
_IMMEDIATES: Final[dict[str, _Immediate]] = {
    "UnaryImm": lambda v, c: ("", "77"), "UnaryIeee16": lambda v, c: ("", "0x1.8p1"),
    "UnaryIeee32": lambda v, c: ("", "0x1.8p1"), "UnaryIeee64": lambda v, c: ("", "0x1.8p1"), "UnaryConst": _constant,
    "UnaryGlobalValue": lambda v, c: (f"    gv0 = symbol {'tls ' if v.op == 'tls_value' else ''}%data\n", "gv0"),
    "BinaryImm8": lambda v, c: ("", c), "TernaryImm8": lambda v, c: ("", c), "BinaryImm64": lambda v, c: ("", "3"),
    "Shuffle": lambda v, c: ("", _MASK),
    "IntAddTrap": lambda v, c: ("", "user1"), "Trap": lambda v, c: ("", "user1"),
    "CondTrap": lambda v, c: ("", "user1"),
    "StackAddr": lambda v, c: (_SLOT, "ss0+8"), "StackLoad": lambda v, c: (_SLOT, "ss0"),
    "StackStore": lambda v, c: (_SLOT, "ss0"),
    "FuncAddr": lambda v, c: (_CALLEE.format(conv="system_v"), "fn0"),
}  # fmt: skip

_TRY: Final = "sig0, block8, [ default: block9 ]"


def _branch(text: str) -> Callable[[Variant], tuple[str, list[str]]]:
    return lambda v: ("", [text.format(type=v.type), "block8:", "return", "block9:", "return"])


def _call(
    text: str, conv: str = "system_v", ends: bool = False, tail: bool = False
) -> Callable[[Variant], tuple[str, list[str]]]:
    lines = [text, "block8:", "return", "block9:", "return"] if ends else [text]
    return lambda _: (_CALLEE.format(conv=conv), ["TAIL", *lines] if tail else lines)


_CONTROL: Final[dict[str, Callable[[Variant], tuple[str, list[str]]]]] = {
    "jump": _branch("jump block8"), "brif": _branch("brif v0, block8, block9"),
    "br_table": _branch("br_table v0, block8, [block9, block8]"), "return": lambda _: ("", []),
    "call": _call("call fn0()"), "call_indirect": _call("call_indirect sig0, v0()"),
    "return_call": _call("return_call fn0()", "tail", tail=True),
    "return_call_indirect": _call("return_call_indirect sig0, v0()", "tail", tail=True),
    "try_call": _call(f"try_call fn0(), {_TRY}", ends=True),
    "try_call_indirect": _call(f"try_call_indirect v0(), {_TRY}", ends=True),
    "get_exception_handler_address": _call(
        f"jump block1\nblock1:\n    try_call fn0(), {_TRY}\nblock8:\n"
        f"    v10 = get_exception_handler_address.i64 block1, 0\n    return\nblock9:\n    return"),
    "store": lambda v: ("", ["store v0, v1+8"]),
}  # fmt: skip


# -- functions around it


def _function(variant: Variant, preamble: str, body: list[str]) -> str:
    """Operands are parameters, results are returned."""
    params = [f"v{place}: {ty.name}" for place, ty in enumerate(variant.arg_types)]
    returned = [] if _branches(body) else list(variant.result_types)
    results = ", ".join(f"v{10 + place}" for place in range(len(returned)))
    return _text(list(variant.arg_types), returned, params, preamble, body, f"return {results}".rstrip())


def _branches(body: list[str]) -> bool:
    return any("block8:" in line for line in body)


def _through_memory(variant: Variant, preamble: str, body: list[str]) -> str:
    """Operands are loaded from v90 on, results are stored there; '' where there is nothing to carry. Operands are read
    twice and results meet other values before they are stored: or a rule that takes an access together with the
    instruction would answer for the instruction."""
    if _branches(body) or "TAIL" in body or not (variant.arg_types or variant.result_types):
        return ""
    operands, results = variant.arg_types, variant.result_types
    before = [f"v{place} = load.{ty.name} v90+{64 * place}" for place, ty in enumerate(operands)]
    before += [f"v{40 + place} = load.{ty.name} v90+{64 * place}" for place, ty in enumerate(results)]
    before += [f"store v{place}, v90+{4096 + 64 * place}" for place in range(len(operands))]
    after = [_merge(results)] if results else []
    after += [f"store v{60 + place}, v90+{64 * place}" for place in range(len(results))]
    return _text([TYPES["i64"], TYPES["i8"]], [], ["v90: i64", "v91: i8"], preamble, [*before, *body, *after], "return")


def _merge(results: Sequence[Type]) -> str:
    """A branch to one block with the results (v10, …) or others (v40, …), which are v60, … there."""
    numbers = range(len(results))
    made, others = (", ".join(f"v{first + place}" for place in numbers) for first in (10, 40))
    params = ", ".join(f"v{60 + place}: {ty.name}" for place, ty in zip(numbers, results))
    return f"brif v91, block7({made}), block7({others})\nblock7({params}):"


def _text(takes: list[Type], gives: list[Type], params: list[str], preamble: str, body: list[str], end: str) -> str:
    conv = "system_v"
    if body and body[0] == "TAIL":
        conv, body, end = "tail", body[1:], ""
    if body and body[-1].strip().rpartition("\n")[2].strip().startswith(("trap ", "return")):
        end = ""
    arrow = f" -> {', '.join(ty.name for ty in gives)}" if gives else ""
    takes_text = ", ".join(ty.name for ty in takes)
    lines = [line if line.endswith(":") else f"    {line}" for line in [*body, end] if line]
    head = f"block0({', '.join(params)}):" if params else "block0:"
    return f"function %p({takes_text}){arrow} {conv} {{\n{preamble}{head}\n" + "\n".join(lines) + "\n}\n"


# -- conventions


def _conventions() -> Iterator[Probe]:
    for conv in CONVENTIONS:
        for ty in TYPES.values():
            if not ty.is_vector or ty.bits in (64, 128):
                yield from _carries(conv, ty.name)
        callee = _CALLEE.format(conv=conv)
        yield Probe(f"call.{conv}", "", f"function %p() system_v {{\n{callee}block0:\n    call fn0()\n    return\n}}\n")
        yield Probe(f"return_call.{conv}", "", f"function %p() {conv} {{\n{callee}block0:\n    return_call fn0()\n}}\n")
        yield Probe(
            f"try_call.{conv}",
            "",
            f"function %p() system_v {{\n{callee}block0:\n    try_call fn0(), {_TRY}\n"
            f"block8:\n    return\nblock9:\n    return\n}}\n",
        )


def _carries(conv: str, kind: str) -> Iterator[Probe]:
    yield Probe(
        f"param.{conv}.{kind}",
        "",
        f"function %p({kind}, i64) {conv} {{\nblock0(v0: {kind}, v1: i64):\n    store v0, v1\n    return\n}}\n",
    )
    yield Probe(
        f"return.{conv}.{kind}",
        "",
        f"function %p(i64) -> {kind} {conv} {{\nblock0(v1: i64):\n    v2 = load.{kind} v1\n    return v2\n}}\n",
    )
