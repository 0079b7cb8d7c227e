"""A case as one of Cranelift's own filetests: the program, a wrapper per input, run lines with right expectations.

The one idea: a run line can pass numbers and nothing else, so each input gets a wrapper that makes the data region in a
stack slot, fills it, calls the entry with the slot's address in place of the pointers, and returns the entry's results
with NaNs replaced and a checksum of the region. What the wrapper returns is computed by interpreting the very text's
module, so it cannot drift from it. Of the initial memory only the words that make a difference to the reference are
filled in; a finding's file, whose compiled code may read others, has all of it (`Form`).
An input that traps cannot be a run line of upstream's, nor can one whose results are unspecified NaNs of a type that no
backend compares; both are named in a comment.
Sources: cranelift-reader `run_command.rs`, `testfile.rs`; cranelift-filetests `test_run.rs`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Final, NamedTuple

from liftcheck.case import Case, Outcome, Target
from liftcheck.clif.build import FunctionBuilder
from liftcheck.clif.ir import AbiParam, FuncRef, Function, Module, Signature
from liftcheck.clif.text.printer import print_module
from liftcheck.clif.text.runlines import RunLine, data_text, run_line_text
from liftcheck.clif.types import F32, F64, I64, TYPES, Type
from liftcheck.generators.regions import Window, checksum, moved, opened, pointers, region, seen
from liftcheck.interp.run import prepare
from liftcheck.isa import LISTED
from liftcheck.layout import SLOT_SIZE, slot_address
from liftcheck.nan import is_nan

_FUEL: Final = 2_000_000
ALWAYS: Final = (
    ("enable_llvm_abi_extensions", "true"),
    ("enable_multi_ret_implicit_sret", "true"),
    ("preserve_frame_pointers", "true"),
)
"""The settings that liftcheck always compiles with."""
_OWN_FLAGS: Final = ("has_", "sign_return_address", "use_bti", "use_csdb")
_DEFAULTS: Final = {"opt_level": "none", "regalloc_algorithm": "backtracking", "bb_padding_log2_minus_one": "0",
                    "log2_min_function_alignment": "0", "probestack_strategy": "outline", "tls_model": "none",
                    "libcall_call_conv": "isa_default", "probestack_size_log2": "12",
                    "enable_heap_access_spectre_mitigation": "true", "enable_table_access_spectre_mitigation": "true",
                    "unwind_info": "true", "enable_verifier": "true", "enable_alias_analysis": "true"}  # fmt: skip
_CLEANED: Final = frozenset({F32, F64, TYPES["f32x4"], TYPES["f64x2"]})


class Form(NamedTuple):
    """How a case is said.

    plain    without the settings that liftcheck always compiles with
    noise    narrow arguments come as an i64 with these bits above them, so that, whatever calls, the callee's registers
             hold them; 0: as they are
    whole    the whole initial memory is filled in
    traps    an expected trap is a run line, which liftcheck alone reads
    direct   run lines call the entry itself, where it has no data region
    buffers  run lines call the entry itself with its data region, which liftcheck alone reads
    window   the part of the data region that a wrapper has; None: all of it
    runs     the numbers of the inputs; None: all
    """

    plain: bool = False
    noise: int = 0
    whole: bool = False
    traps: bool = False
    direct: bool = False
    buffers: bool = False
    window: Window | None = None
    runs: tuple[int, ...] | None = None


EVERYTHING: Final = Form()


def filetest_text(case: Case, targets: Sequence[Target], big_endian: bool = False, form: Form = EVERYTHING) -> str:
    """The file. Where results depend on the byte order, targets of the other order than `big_endian` are left out
    (if all targets are of one order, it is that one)."""
    orders = {target.big_endian for target in targets}
    big_endian = orders == {True} or (big_endian and orders != {False})
    runs = range(len(case.inputs)) if form.runs is None else form.runs
    made = list(_said(case, runs, big_endian, form))
    other = _said(case, runs, not big_endian, form) if len(orders) > 1 else made
    same = all(a[1:] == b[1:] for a, b in zip(made, other))
    kept = [target for target in targets if same or target.big_endian == big_endian]
    lines = ["test run", *header(kept, form.plain)]
    if case.name:
        lines.append(f"; {case.name}")
    left_out = dict.fromkeys(target.isa for target in targets if target not in kept)
    if left_out:
        lines.append(
            f"; the expectations are for {'big' if big_endian else 'little'}-endian targets: "
            f"{', '.join(left_out)} left out"
        )
    texts = ["\n".join(lines) + "\n", print_module(case.module)]
    if form.buffers or (form.direct and not case.memories):
        return "\n".join([texts[0], _with_lines(case, [line or f"; {remark}" for _, line, remark in made])])
    for wrapper, line, remark in made:
        texts.append(f"{print_module(Module([wrapper])).rstrip()}\n{line}\n" if line else f"; {remark}\n")
    return "\n".join(texts)


def _with_lines(case: Case, lines: Sequence[str]) -> str:
    """The functions, with run lines after the entry."""
    texts = [print_module(Module([function])) for function in case.module.functions]
    texts[case.entry] += "".join(f"{line}\n" for line in lines)
    return "\n".join(texts)


def header(targets: Sequence[Target], plain: bool = False) -> list[str]:
    """`set` and `target` lines; a setting is said again wherever it differs from the target before. `plain`: without
    the settings that liftcheck always compiles with, unless a target names them."""
    lines: list[str] = []
    current: dict[str, str] = {}
    for target in targets:
        wanted = dict((*(() if plain else ALWAYS), *target.settings))
        own = [
            name if value == "true" else f"{name}={value}"
            for name, value in sorted(wanted.items())
            if name.startswith(_OWN_FLAGS) or value == "preset"
        ]
        shared = {
            name: value for name, value in wanted.items() if not name.startswith(_OWN_FLAGS) and value != "preset"
        }
        for name in sorted({*shared, *current}):
            value = shared.get(name, _DEFAULTS.get(name, "false"))
            if current.get(name, _DEFAULTS.get(name, "false")) != value:
                lines.append(f"set {name}={value}")
                current[name] = value
        lines.append(" ".join(["target", LISTED[target.isa].triple, *own]))
    return lines


def _said(case: Case, runs: Sequence[int], big_endian: bool, form: Form) -> Iterator[tuple[Function, str, str]]:
    """Run by run: the function that its line calls, the line, or '' and why there is none."""
    reference = _Reference(case, big_endian)
    for run in runs:
        if form.direct and not case.memories:
            yield _directly(reference, run, form)
        elif form.buffers:
            yield case.module.functions[case.entry], *_with_buffer(reference, run)
        else:
            yield _wrapped(reference, run, form)


class _Reference:
    """The reference interpreter on a case in one byte order."""

    def __init__(self, case: Case, big_endian: bool) -> None:
        self.case: Final = case
        self.big_endian: Final = big_endian
        self._prepared: Final = prepare(case.module, big_endian)

    def run(self, run: int, memory: bytes) -> Outcome:
        """What the entry makes of an input with this initial memory."""
        case = self.case
        regions = {slot_address(case.slot + run): memory} if case.memories else {}
        return self._prepared.run(case.entry, case.inputs[run], regions, fuel=_FUEL)

    def wrapper(self, wrapper: Function, args: tuple[int, ...]) -> Outcome:
        """What a wrapper of the entry makes of its arguments."""
        functions = self.case.module.functions
        return prepare(Module([*functions, wrapper]), self.big_endian).run(len(functions), args, fuel=_FUEL)


def _wrapped(reference: _Reference, run: int, form: Form) -> tuple[Function, str, str]:
    """The wrapper of one input, its run line, or '' and why there is none."""
    case = reference.case
    if form.whole:
        memory = case.memories[run] if case.memories else b""
    else:
        memory = _needed_memory(reference, run)
    wrapper, args, types = _wrapper(case, run, memory, form)
    outcome, direct = reference.wrapper(wrapper, args), reference.run(run, memory)
    returns = tuple(param.type for param in wrapper.signature.returns)
    if form.traps and direct.kind == outcome.kind == "trapped" and direct.detail == outcome.detail:
        line = RunLine(wrapper.name, args, "==", (), 0, types, returns, direct.detail)
        return wrapper, run_line_text(line), ""
    if direct.kind != "returned" or outcome.kind != "returned":
        ended = direct if direct.kind != "returned" else outcome
        return wrapper, "", f"input {run} is not a run line: it {ended.kind} ({ended.detail})"
    for value, ty in zip(outcome.values, returns):
        if ty.is_float and ty not in _CLEANED and _has_nan(value, ty):
            return wrapper, "", f"input {run} is not a run line: it returns a NaN of type {ty} with unspecified bits"
    line = RunLine(wrapper.name, args, "==", outcome.values, 0, types, returns)
    return wrapper, run_line_text(line), ""


def _directly(reference: _Reference, run: int, form: Form) -> tuple[Function, str, str]:
    """The entry itself with its run line, or '' and why there is none."""
    case = reference.case
    entry, row = case.module.functions[case.entry], case.inputs[run]
    outcome = reference.run(run, b"")
    types, returns = (tuple(param.type for param in side) for side in (entry.signature.params, entry.signature.returns))
    trapped = form.traps and outcome.kind == "trapped"
    if outcome.kind != "returned" and not trapped:
        return entry, "", f"input {run} is not a run line: it {outcome.kind} ({outcome.detail})"
    if any(ty.is_float and _has_nan(value, ty) for value, ty in zip(outcome.values, returns)):
        return entry, "", f"input {run} is not a run line: it returns a NaN with unspecified bits"
    line = RunLine(entry.name, row, "==", outcome.values, 0, types, returns, outcome.detail if trapped else "")
    return entry, run_line_text(line), ""


def _with_buffer(reference: _Reference, run: int) -> tuple[str, str]:
    """Lines of liftcheck's own: the data region as a buffer, and a run of the entry with it; or '' and why not."""
    case = reference.case
    entry = case.module.functions[case.entry]
    outcome = reference.run(run, case.memories[run])
    returns = [param.type for param in entry.signature.returns]
    if outcome.kind != "returned":
        return "", f"input {run} is not a run line: it {outcome.kind} ({outcome.detail})"
    if any(ty.is_float and _has_nan(value, ty) for value, ty in zip(outcome.values, returns)):
        return "", f"input {run} is not a run line: it returns a NaN with unspecified bits"

    def text(value: int, ty: Type) -> str:
        away = value - slot_address(case.slot + run)
        return f"&data+{away}" if ty is I64 and 0 <= away <= SLOT_SIZE else data_text(value, ty)

    args = ", ".join(text(value, param.type) for value, param in zip(case.inputs[run], entry.signature.params))
    results = ", ".join(map(text, outcome.values, returns))
    expected = f" == {results if len(returns) == 1 else f'[{results}]'}" if returns else ""
    return (
        f"; liftcheck: memory data = {_contents(case.memories[run])}\n"
        f"; liftcheck: run: {entry.name}({args}){expected}, data == {_contents(outcome.memory)}"
    ), ""


def _contents(memory: bytes) -> str:
    """A region as contents of a buffer: zeros by their number."""
    parts = []
    for zero, group in groupby(range(0, len(memory), 8), lambda at: not any(memory[at : at + 8])):
        places = list(group)
        size = 8 * len(places)
        parts.append(f"zero[{size}]" if zero else f"bytes[{memory[places[0] : places[0] + size].hex(' ')}]")
    return ", ".join(parts)


def _has_nan(value: int, ty: Type) -> bool:
    return any(is_nan(value >> shift & ty.lane_mask, ty.lane_bits) for shift in range(0, ty.bits, ty.lane_bits))


def _needed_memory(reference: _Reference, run: int) -> bytes:
    """The initial memory with zeros wherever they lead to the same values and the same final bytes where written."""
    case = reference.case
    if not case.memories:
        return b""
    memory = bytearray(case.memories[run])
    wanted = reference.run(run, bytes(memory))
    written = bytes(a != b for a, b in zip(wanted.memory, memory))
    final, kept = _number(wanted.memory), ~(_number(written) * 255)

    def same(low: int, high: int) -> bool:
        trial = memory.copy()
        trial[low:high] = bytes(high - low)
        got = reference.run(run, bytes(trial))
        if got[:2] != wanted[:2] or got.detail != wanted.detail:
            return False
        found = _number(got.memory)
        if found in (final, _number(trial) & kept | final & ~kept):  # what is not written stays as it was
            return True
        return all(
            new == end or (new == start and not changes)
            for new, end, start, changes in zip(got.memory, wanted.memory, trial, written)
        )

    stack = [(0, SLOT_SIZE)]
    while stack:
        low, high = stack.pop()
        if not any(memory[low:high]) or same(low, high):
            memory[low:high] = bytes(high - low)
        elif high - low > 8:
            middle = (low + high) // 16 * 8
            stack += [(middle, high), (low, middle)]
    return bytes(memory)


def _number(content: bytes | bytearray) -> int:
    return int.from_bytes(content, "little")


def _wrapper(case: Case, run: int, memory: bytes, form: Form) -> tuple[Function, tuple[int, ...], tuple[Type, ...]]:
    """`function %runN(data…) -> results…, what the region holds`; its arguments and their types."""
    part, noise = form.window, form.noise
    entry = case.module.functions[case.entry]
    params, row = entry.signature.params, case.inputs[run]
    away = pointers(case, run)
    data = [at for at in range(len(params)) if at not in away]
    wide = {at for at in data if noise and _is_narrow(params[at])}
    types = tuple(I64 if at in wide else params[at].type for at in data)
    shown_of_memory = [I64] * (len(part.words) if part else bool(case.memories))
    returns = [param.type for param in entry.signature.returns] + shown_of_memory
    signature = Signature(tuple(map(AbiParam, types)), tuple(map(AbiParam, returns)), "system_v")
    builder = FunctionBuilder(f"%run{run}", signature)
    func = builder.func
    func.signatures[0] = entry.signature
    func.func_refs[0] = FuncRef(entry.name, 0, True)
    start = part.start if part else 0
    base = opened(builder, memory, part) if part else region(builder, memory) if case.memories else -1
    given = {
        at: builder.ins("ireduce", params[at].type, value) if at in wide else value
        for at, value in zip(data, builder.entry_params)
    }
    args = tuple(given[at] if at in given else moved(builder, base, away[at] - start) for at in range(len(params)))
    results = builder.call(0, *args)
    shown = [_shown(builder, value, param.type) for value, param in zip(results, entry.signature.returns)]
    if case.memories:
        shown += seen(builder, base, part) if part else [checksum(builder, base)]
    builder.ret(*shown)
    return func, tuple(row[at] | noise & ~params[at].type.mask if at in wide else row[at] for at in data), types


def _is_narrow(param: AbiParam) -> bool:
    """Whether a register that holds the parameter has unspecified upper bits."""
    return param.type.is_int and not param.type.is_vector and param.type.bits < 64 and not param.extension


def _shown(builder: FunctionBuilder, value: int, ty: Type) -> int:
    """A result with its NaNs replaced by zero, where the type can be compared everywhere."""
    if ty not in _CLEANED:
        return value
    shape = ty.as_truthy()
    ordered = builder.ins("fcmp", ty, value, value, imm="ord")
    if not ty.is_vector:
        name = "f32const" if ty is F32 else "f64const"
        return builder.ins("select", ty, ordered, value, builder.ins(name, None, imm=0))
    bits = builder.ins("band", shape, builder.ins("bitcast", shape, value), ordered)
    return builder.ins("bitcast", ty, bits)
