"""What lowering rules of every ISA are written with: CLIF's instructions as ISLE has them, of the table of opcodes.

The one idea: an opcode is a variant of `Inst` whose fields are its operands and what its format adds, and an extractor
of the opcode's name; so a new opcode is there once its row is. What is asked of a function (a value's type, what
defines it) is an extractor that `EXTERNS` has; the context is a `lower.Lowering`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from liftcheck.clif.formats import ATOMIC_OPERATIONS, FLOAT_CONDITIONS, INT_CONDITIONS
from liftcheck.clif.ir import Inst
from liftcheck.clif.opcodes import OPCODES, Opcode
from liftcheck.clif.types import TYPES, Type
from liftcheck.isle.compiled import NAME, Layout
from liftcheck.isle.reader import Source

if TYPE_CHECKING:
    from liftcheck.mach.lower import Lowering

_MORE: Final[Mapping[str, tuple[tuple[str, str], ...]]] = {
    "UnaryImm": (("Imm", ".imm"),), "UnaryIeee16": (("Imm", ".imm"),), "UnaryIeee32": (("Imm", ".imm"),),
    "UnaryIeee64": (("Imm", ".imm"),), "UnaryConst": (("Imm", ".imm"),), "BinaryImm8": (("Imm", ".imm"),),
    "TernaryImm8": (("Imm", ".imm"),), "Shuffle": (("Lanes", ".imm"),), "IntAddTrap": (("Code", ".imm"),),
    "Trap": (("Code", ".imm"),), "CondTrap": (("Code", ".imm"),), "Load": (("Flags", ".flags"), ("Imm", ".offset")),
    "Store": (("Flags", ".flags"), ("Imm", ".offset")), "LoadNoOffset": (("Flags", ".flags"),),
    "StoreNoOffset": (("Flags", ".flags"),), "AtomicCas": (("Flags", ".flags"),),
    "AtomicRmw": (("Flags", ".flags"), ("AtomicOp", ".imm")), "StackAddr": (("Imm", ".imm"), ("Imm", ".offset")),
    "FuncAddr": (("Imm", ".imm"),), "UnaryGlobalValue": (("Imm", ".imm"),),
}  # fmt: skip
"""What a format has beside its values: types and places; they come after the values; flags,
conditions and operations before them."""
_CONDITIONS: Final = {"IntCompare": "IntCC", "FloatCompare": "FloatCC"}
_HEAD: Final = """
(type Value (primitive Value)) (type Type (primitive Type)) (type Reg (primitive Reg)) (type Regs (primitive Regs))
(type Results (primitive Results)) (type Imm (primitive Imm)) (type Flags (primitive Flags))
(type Code (primitive Code)) (type Lanes (primitive Lanes)) (type Block (primitive Block))
(type Unit (primitive Unit))
(decl inst_type (Type) Inst) (extern extractor infallible inst_type inst_type)
(decl has_type (Type Inst) Inst) (extractor (has_type ty inst) (and (inst_type ty) inst))
(decl value_type (Type) Value) (extern extractor infallible value_type value_type)
(decl def_inst (Inst) Value) (extern extractor def_inst def_inst) (convert Inst Value def_inst)
(decl sconst (Imm) Value) (extern extractor sconst sconst)
(decl uconst (Imm) Value) (extern extractor uconst uconst)
(decl bits (Imm) Type) (extern extractor infallible bits bits)
(decl put_in_reg (Value) Reg) (extern constructor put_in_reg put_in_reg) (convert Value Reg put_in_reg)
(decl put_in_regs (Value) Regs) (extern constructor put_in_regs put_in_regs) (convert Value Regs put_in_regs)
(decl pure type_of (Value) Type) (extern constructor type_of type_of)
(decl one (Reg) Regs) (extern constructor one one) (convert Reg Regs one)
(decl pair (Reg Reg) Regs) (extern constructor pair pair)
(decl low (Regs) Reg) (extern constructor low low)
(decl high (Regs) Reg) (extern constructor high high)
(decl result (Reg) Results) (extern constructor result result) (convert Reg Results result)
(decl results (Regs) Results) (extern constructor results results) (convert Regs Results results)
(decl value_results (Value) Results) (extern constructor value_results value_results)
(convert Value Results value_results)
(decl two (Regs Regs) Results) (extern constructor two two)
(decl nothing () Results) (extern constructor nothing nothing)
(decl done (Unit) Results) (extern constructor done done) (convert Unit Results done)
(decl also (Unit Results) Results) (extern constructor also also)
(decl then (Unit Reg) Reg) (extern constructor then then)
(decl pure is_int (Type) bool) (extern constructor is_int is_int)
(decl int64 (Type) Type) (extern extractor int64 int64)
(decl int32 (Type) Type) (extern extractor int32 int32)
(decl int16 (Type) Type) (extern extractor int16 int16)
(decl pure same_bits (Type Type) bool) (extern constructor same_bits same_bits)
(decl pure plus (Imm Imm) Imm) (extern constructor plus plus)
(decl pure minus (Imm Imm) Imm) (extern constructor minus minus)
(decl pure shifted_left (Imm Imm) Imm) (extern constructor shifted_left shifted_left)
(decl pure masked (Imm Imm) Imm) (extern constructor masked masked)
(decl pure opposite (IntCC) IntCC) (extern constructor opposite opposite)
(decl pure swapped (IntCC) IntCC) (extern constructor swapped swapped)
(decl signed (IntCC) IntCC) (extern extractor signed signed)
(decl unsigned (IntCC) IntCC) (extern extractor unsigned unsigned)
(decl pure trap_of (Flags) Code) (extern constructor trap_of trap_of)
"""


def fields(opcode: Opcode) -> list[tuple[str, str]]:
    """The type and the place in `ir.Inst` of each field of an opcode's variant."""
    form = opcode.format
    values = [("Value", f".args[{n}]") for n in range(form.values or 0)]
    before = [(_CONDITIONS[form.name], ".imm")] if form.name in _CONDITIONS else []
    more = _MORE.get(form.name, ())
    before += [one for one in more if one[0] in ("Flags", "AtomicOp")]
    return [*before, *values, *(one for one in more if one not in before)]


def _text() -> Iterator[str]:
    yield _HEAD
    yield f"(type IntCC (enum {' '.join(INT_CONDITIONS)}))"
    yield f"(type FloatCC (enum {' '.join(FLOAT_CONDITIONS)}))"
    yield f"(type AtomicOp (enum {' '.join(ATOMIC_OPERATIONS)}))"
    variants = []
    for name, opcode in OPCODES.items():
        of = fields(opcode)
        variants.append(f"({name} {' '.join(f'(f{n} {ty})' for n, (ty, _) in enumerate(of))})")
        names = " ".join(f"f{n}" for n in range(len(of)))
        yield f"(decl {name} ({' '.join(ty for ty, _ in of)}) Inst) (extractor ({name} {names}) (Inst.{name} {names}))"
    yield f"(type Inst (enum {' '.join(variants)}))"
    yield from (f"(extern const ${name.upper()} Type)" for name, ty in TYPES.items() if ty.bits <= 128)


_PLACES: Final = {name: [place for _, place in fields(opcode)] for name, opcode in OPCODES.items()}
LAYOUTS: Final[Mapping[str, Layout]] = {
    "Inst": Layout("{x}.op", lambda x, variant, n: x + _PLACES[variant][n], lambda variant, given: "None"),
    "IntCC": NAME,
    "FloatCC": NAME,
    "AtomicOp": NAME,
}


def prelude() -> Source:
    """The declarations as a file."""
    return Source("prelude.isle", "\n".join(_text()))


# -- what extractors and constructors do


_NOTHING: Final = Type("nothing", None, 0, 1, False)
"""The type of an instruction that has none."""


def _def_inst(low: Lowering, value: int) -> Inst | None:
    return low.defined.get(value)


def _sconst(low: Lowering, value: int) -> int | None:
    inst = low.defined.get(value)
    if inst is None or inst.op != "iconst":
        return None
    ty = low.types[value]
    number = inst.imm & ty.mask  # type: ignore[operator]
    return number - (1 << ty.bits) if number >> ty.bits - 1 else number


def _uconst(low: Lowering, value: int) -> int | None:
    inst = low.defined.get(value)
    if inst is None or inst.op != "iconst":
        return None
    return inst.imm & low.types[value].mask  # type: ignore[operator]


def _inst_type(low: Lowering, inst: Inst) -> Type:
    if inst.results:
        return low.types[inst.results[0]]
    return inst.type or _NOTHING


def _int(limit: int) -> Any:
    return lambda low, ty: ty if ty.is_int and not ty.is_vector and ty.bits <= limit else None


_OPPOSITE: Final = {
    one: other
    for pair in ("eq ne", "slt sge", "sgt sle", "ult uge", "ugt ule")
    for one, other in (pair.split(), pair.split()[::-1])
}
_SWAPPED: Final = {"eq": "eq", "ne": "ne"} | {
    one: other
    for pair in ("slt sgt", "sge sle", "ult ugt", "uge ule")
    for one, other in (pair.split(), pair.split()[::-1])
}


def access_trap(flags: Any) -> str:
    """The code of a faulting access."""
    return "heap_oob" if flags.trap is None else str(flags.trap)


EXTERNS: Final[dict[str, Any]] = {
    "inst_type": _inst_type,
    "value_type": lambda low, value: low.types[value],
    "type_of": lambda low, value: low.types[value],
    "def_inst": _def_inst,
    "sconst": _sconst,
    "uconst": _uconst,
    "bits": lambda low, ty: ty.bits,
    "put_in_reg": lambda low, value: low.reg(value),
    "put_in_regs": lambda low, value: low.regs(value),
    "one": lambda low, reg: (reg,),
    "pair": lambda low, one, other: (one, other),
    "low": lambda low, regs: regs[0],
    "high": lambda low, regs: regs[1],
    "result": lambda low, reg: ((reg,),),
    "results": lambda low, regs: (regs,),
    "value_results": lambda low, value: (low.regs(value),),
    "two": lambda low, one, other: (one, other),
    "nothing": lambda low: (),
    "done": lambda low, unit: (),
    "also": lambda low, unit, results: results,
    "then": lambda low, unit, reg: reg,
    "is_int": lambda low, ty: ty.is_int and not ty.is_vector,
    "int64": _int(64),
    "int32": _int(32),
    "int16": _int(16),
    "same_bits": lambda low, a, b: a.bits == b.bits,
    "plus": lambda low, a, b: a + b,
    "minus": lambda low, a, b: a - b,
    "shifted_left": lambda low, a, b: a << b,
    "masked": lambda low, a, b: a & b,
    "opposite": lambda low, cc: _OPPOSITE[cc],
    "swapped": lambda low, cc: _SWAPPED[cc],
    "signed": lambda low, cc: cc if cc[0] == "s" else None,
    "unsigned": lambda low, cc: cc if cc[0] != "s" else None,
    "trap_of": lambda low, flags: access_trap(flags),
    **{name.upper(): ty for name, ty in TYPES.items()},
}
