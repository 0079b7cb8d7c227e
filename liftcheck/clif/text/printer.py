"""IR to CLIF text.

The one idea: one function for each instruction format, found by opcode in one table, each a single f-string: the
generator prints every program it makes, at less than 1 µs an instruction. Types are always written (`brif.i8 v0, …`),
so that the reader never has to infer one from a value that it has not seen yet.

Dialects: 'portable' is what the readers of all supported versions (0.110 to the newest) accept and means the same:
removed opcodes are rewritten (`portable.modern`), conventions are explicit, hints that change no result are left out
(alias regions, `can_move`, `patchable`, stack maps, debug tags, stack slot keys, aliases). 'exact' keeps all of them:
`parse(print(m)) == m`.
It does not decide what may be printed for one version alone: new opcodes go out as they are.
Sources: cranelift-codegen 0.135 `write.rs`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import lru_cache
from itertools import chain
from operator import attrgetter
from typing import Any, Final

from liftcheck.clif.ir import NO_FLAGS, Block, BlockCall, ExceptionTable, Function, Inst, MemFlags, Module, Signature
from liftcheck.clif.opcodes import OPCODES
from liftcheck.clif.text.literals import float_text
from liftcheck.clif.text.portable import OLD_OPCODES, modern
from liftcheck.clif.types import Type

Printer = Callable[[Any], str]
_opcode, _insts = attrgetter("op"), attrgetter("insts")


def print_module(module: Module, dialect: str = "portable", default_conv: str = "fast") -> str:
    """All functions, a blank line between them. `default_conv` stands where a signature names no convention."""
    return "\n".join(print_function(func, dialect, default_conv) for func in module.functions)


def print_function(func: Function, dialect: str = "portable", default_conv: str = "fast") -> str:
    """One function. Dialect 'portable' or 'exact' (see above); 'exact' leaves an implicit convention implicit."""
    portable = dialect == "portable"
    if portable and not OLD_OPCODES.isdisjoint(map(_opcode, chain.from_iterable(map(_insts, func.blocks)))):
        func = modern(func)
    conv = default_conv if portable else ""
    lines = [f"function {func.name}{signature_text(func.signature, conv)} {{"]
    _preamble(lines, func, portable, conv)
    if portable:
        _portable_blocks(lines, func)
    else:
        _exact_blocks(lines, func)
    lines.append("}\n")
    return "\n".join(lines)


@lru_cache(maxsize=4096)
def signature_text(sig: Signature, default_conv: str) -> str:
    """`(i32 uext, i64) -> i8 system_v`"""
    text = f"({_params_text(sig.params)})"
    if sig.returns:
        text += f" -> {_params_text(sig.returns)}"
    conv = sig.call_conv or default_conv
    return f"{text} {conv}" if conv else text


def _params_text(params: Iterable[Any]) -> str:
    return ", ".join(" ".join(filter(None, (p.type.name, p.extension, p.purpose))) for p in params)


# Preamble


def _preamble(lines: list[str], func: Function, portable: bool, conv: str) -> None:
    for number, slot in func.stack_slots.items():
        align = f", align = {slot.align}" if slot.align != 1 else ""
        key = f", key = {slot.key}" if slot.key and not portable else ""
        kind = "explicit_slot" if portable else slot.kind
        lines.append(f"    ss{number} = {kind} {slot.size}{align}{key}")
    for entity, text in func.preamble:
        if portable and entity.startswith("region"):
            continue
        lines.append(f"    {entity} = {_portable_global(func, entity, text) if portable else text}")
    for number, sig in func.signatures.items():
        lines.append(f"    sig{number} = {signature_text(sig, conv)}")
    for number, ref in func.func_refs.items():
        words = "colocated " * ref.colocated + "patchable " * (ref.patchable and not portable)
        lines.append(f"    fn{number} = {words}{ref.name} sig{ref.sig}")
    for number, data in func.constants.items():
        lines.append(f"    const{number} = {_constant_text(data)}")


def _portable_global(func: Function, entity: str, text: str) -> str:
    """A declaration, if it is a global value's without hints."""
    if entity[:2] != "gv" or func.globals[int(entity[2:])][0] != "load":
        return text
    return " ".join(
        w for w in text.split(" ") if w != "can_move" and not w.startswith(("region", "heap", "table")) and w != "vmctx"
    )


def _constant_text(data: bytes) -> str:
    """Up to 16 bytes `0x…`; more as lanes of 64 bits."""
    if len(data) <= 16:
        return "0x" + data[::-1].hex()
    lanes = [int.from_bytes(data[i : i + 8], "little") for i in range(0, len(data), 8)]
    return f"i64x{len(lanes)} [" + " ".join(f"{lane:#x}" for lane in lanes) + "]"


# Blocks


def _header_text(block: Block) -> str:
    cold = " cold" if block.cold else ""
    if not block.params:
        return f"block{block.number}{cold}:"
    params = ", ".join([f"v{value}: {ty.name}" for value, ty in block.params])
    return f"block{block.number}({params}){cold}:"


def _portable_blocks(lines: list[str], func: Function) -> None:
    printers = _PORTABLE
    for block in func.blocks:
        lines.append(_header_text(block))
        lines += [
            printers[inst.op](inst) if inst.loc is None else f"@{inst.loc:04x} {printers[inst.op](inst)}"
            for inst in block.insts
        ]


def _exact_blocks(lines: list[str], func: Function) -> None:
    aliases: dict[int, list[int]] = {}
    for alias, target in func.aliases.items():
        aliases.setdefault(target, []).append(alias)
    for block in func.blocks:
        lines.append(_header_text(block))
        if aliases:
            _alias_lines(lines, aliases, (value for value, _ in block.params))
        for inst in block.insts:
            lines.append(print_inst(inst))
            if aliases:
                _alias_lines(lines, aliases, inst.results)


def _alias_lines(lines: list[str], aliases: dict[int, list[int]], values: Iterable[int]) -> None:
    waiting = list(values)
    while waiting:
        target = waiting.pop()
        for alias in aliases.get(target, ()):
            lines.append(f"    v{alias} -> v{target}")
            waiting.append(alias)


def print_inst(inst: Inst) -> str:
    """One instruction as 'exact' prints it."""
    text = _EXACT[inst.op](inst)
    tags, stack_map = inst.notes or ("", "")
    if stack_map:
        text += f", stack_map={stack_map}"
    loc = f"@{inst.loc:04x} " if inst.loc is not None else ""
    return f"{tags} {loc}{text}" if tags else loc + text


# Operands


def _call_text(call: BlockCall) -> str:
    if not call.args:
        return f"block{call.block}"
    args = ", ".join([f"v{a}" if a.__class__ is int else a for a in call.args])  # type: ignore[misc]
    return f"block{call.block}({args})"


def _values(values: Iterable[int]) -> str:
    return ", ".join([f"v{v}" for v in values])


@lru_cache(maxsize=1024)
def flags_text(flags: MemFlags, portable: bool) -> str:
    """Flags with a space in front, '' if there are none."""
    words = [n for n in ("aligned", "readonly") if getattr(flags, n)]
    if flags.can_move and not portable:
        words.append("can_move")
    if flags.trap is not None:
        words.append(flags.trap or "notrap")
    if flags.endianness:
        words.append(flags.endianness)
    if flags.region and not portable:
        words.append(flags.region)
    return "".join(f" {w}" for w in words)


_float_text: Final = lru_cache(maxsize=4096)(float_text)
"""Programs draw their constants from tables."""


def _table_text(table: ExceptionTable) -> str:
    items = []
    for item in table.items:
        if item[0] == "context":
            items.append(f"context v{item[1]}")
        elif item[0] == "default":
            items.append(f"default: {_call_text(item[1])}")  # type: ignore[arg-type]
        else:
            items.append(f"tag{item[1]}: {_call_text(item[2])}")  # type: ignore[arg-type]
    inner = f" {', '.join(items)} " if items else ""
    return f"sig{table.sig}, {_call_text(table.normal)}, [{inner}]"


def _shared(name: str, form: str) -> Printer:
    """The printer of an opcode that looks the same in both dialects. `i` is an `Inst`; typed loosely: this is hot."""
    special: dict[str, Printer] = {
        "UnaryImm": _iconst,
        "Jump": lambda i: f"    {name} {_call_text(i.targets[0])}",
        "Brif": _brif,
        "BranchTable": _br_table,
        "MultiAry": lambda i: f"    {name} {_values(i.args)}" if i.args else f"    {name}",
        "Call": lambda i: f"{_results(i)}{name} fn{i.imm}({_values(i.args)})",
        "CallIndirect": _call_indirect,
        "TryCall": lambda i: f"    {name} fn{i.imm}({_values(i.args)}), {_table_text(i.table)}",
        "TryCallIndirect": _try_call_indirect,
    }
    return special[form]


def _results(i: Any) -> str:
    return f"    {_values(i.results)} = " if i.results else "    "


def _iconst(i: Any) -> str:
    ty: Type = i.type
    mask = ty.mask
    number = i.imm & mask
    if number > mask >> 1:
        number -= mask + 1
    return f"    v{i.results[0]} = iconst.{ty.name} {number}"


def _brif(i: Any) -> str:
    then, other = i.targets
    return f"    brif.{i.type.name} v{i.args[0]}, {_call_text(then)}, {_call_text(other)}"


def _br_table(i: Any) -> str:
    default, *entries = map(_call_text, i.targets)
    return f"    br_table v{i.args[0]}, {default}, [{', '.join(entries)}]"


def _call_indirect(i: Any) -> str:
    callee, *args = i.args
    return f"{_results(i)}{i.op}.{i.type.name} sig{i.imm}, v{callee}({_values(args)})"


def _try_call_indirect(i: Any) -> str:
    callee, *args = i.args
    return f"    {i.op}.{i.type.name} v{callee}({_values(args)}), {_table_text(i.table)}"


# Formats whose text is the results, the opcode with its type, and operands joined by commas: one template each. The
# function is compiled once per opcode, with the parts that are known put in.

_TEMPLATES: Final = {
    "NullAry": "", "Unary": " v{i.args[0]}", "UnaryIeee16": " {float_text(i.imm, 16)}",
    "UnaryIeee32": " {float_text(i.imm, 32)}", "UnaryIeee64": " {float_text(i.imm, 64)}", "UnaryConst": " const{i.imm}",
    "UnaryGlobalValue": " gv{i.imm}", "Binary": " v{a[0]}, v{a[1]}", "BinaryImm8": " v{i.args[0]}, {i.imm}",
    "BinaryImm64": " v{i.args[0]}, {i.imm}", "Ternary": " v{a[0]}, v{a[1]}, v{a[2]}",
    "TernaryImm8": " v{a[0]}, v{a[1]}, {i.imm}", "Shuffle": " v{a[0]}, v{a[1]}, 0x{bytes(i.imm)[::-1].hex()}",
    "IntCompare": " {i.imm} v{a[0]}, v{a[1]}", "IntCompareImm": " {i.imm[0]} v{i.args[0]}, {i.imm[1]}",
    "FloatCompare": " {i.imm} v{a[0]}, v{a[1]}", "IntAddTrap": " v{a[0]}, v{a[1]}, {i.imm}", "Trap": " {i.imm}",
    "CondTrap": " v{i.args[0]}, {i.imm}", "FuncAddr": " fn{i.imm}",
    "AtomicRmw": "{flags} {i.imm} v{a[0]}, v{a[1]}", "AtomicCas": "{flags} v{a[0]}, v{a[1]}, v{a[2]}",
    "Load": "{flags} v{i.args[0]}{offset}", "LoadNoOffset": "{flags} v{i.args[0]}",
    "Store": "{flags} v{a[0]}, v{a[1]}{offset}",
    "StoreNoOffset": "{flags} v{a[0]}, v{a[1]}", "StackAddr": " ss{i.imm}{offset}",
    "StackLoad": " ss{i.imm}{offset}", "StackStore": " v{i.args[0]}, ss{i.imm}{offset}",
    "DynamicStackAddr": " dss{i.imm}", "DynamicStackLoad": " dss{i.imm}",
    "DynamicStackStore": " v{i.args[0]}, dss{i.imm}",
    "ExceptionHandlerAddress": " block{i.imm[0]}, {i.imm[1]}",
}  # fmt: skip


def _compiled(portable: bool) -> dict[str, Printer]:
    """All opcodes' printers. The templates are ours alone: nothing of an input is ever evaluated."""
    names: dict[str, Any] = {
        "float_text": _float_text,
        "NO_FLAGS": NO_FLAGS,
        "flags": lambda flags: flags_text(flags, portable),
    }
    table: dict[str, Printer] = {}
    lines = []
    for name, opcode in OPCODES.items():
        template = _TEMPLATES.get(opcode.format.name)
        if template is None:
            table[name] = _shared(name, opcode.format.name)
            continue
        results = ", ".join(f"v{{i.results[{n}]}}" for n in range(len(opcode.results)))
        head = f"    {results} = " if results else "    "
        suffix = ".{i.type.name}" if opcode.ctrl else ""
        template = template.replace("{flags}", "{'' if i.flags is NO_FLAGS else flags(i.flags)}")
        template = template.replace("{offset}", "{f'{i.offset:+}' if i.offset else ''}")
        bind = "a = i.args; " if "a[" in template.replace("i.args[", "") else ""
        lines.append(f'def print_{name}(i):\n    {bind}return f"{head}{name}{suffix}{template}"\n')
    exec("\n".join(lines), names)
    return table | {name: names[f"print_{name}"] for name in OPCODES if name not in table}


_PORTABLE: Final = _compiled(True)
_EXACT: Final = _compiled(False)
