"""Instruction formats: what an instruction carries in addition to its opcode, and which operand tells its type.

The one idea: a format is data read by parser, printer, verifier and builder alike. `values` is the number of value
operands (None: as many as the instruction has), `inferred_from` the value operand whose type is the controlling type if
the opcode's row gives that operand the type `T`.
It does not say what the operands mean (see `ir.Inst` for where each immediate is kept).
Sources: cranelift-codegen-meta 0.135 and 0.130 `shared/formats.rs`, cranelift-codegen `write.rs` for the text.
"""

from __future__ import annotations

from typing import Final, NamedTuple


class Format(NamedTuple):
    """One format: number of value operands, index of the one that may fix the type, what `Inst.imm` holds."""

    name: str
    values: int | None
    inferred_from: int | None = 0
    imm: str = ""


_ROWS: Final = (
    Format("NullAry", 0, None),
    Format("Unary", 1),
    Format("UnaryImm", 0, None, "imm64"),
    Format("UnaryIeee16", 0, None, "ieee16"),
    Format("UnaryIeee32", 0, None, "ieee32"),
    Format("UnaryIeee64", 0, None, "ieee64"),
    Format("UnaryConst", 0, None, "constant"),
    Format("UnaryGlobalValue", 0, None, "global_value"),
    Format("Binary", 2),
    Format("BinaryImm8", 1, 0, "uimm8"),
    Format("BinaryImm64", 1, 0, "imm64"),
    Format("Ternary", 3, 1),
    Format("TernaryImm8", 2, 0, "uimm8"),
    Format("MultiAry", None, None),
    Format("Shuffle", 2, 0, "lanes"),
    Format("IntCompare", 2, 0, "intcc"),
    Format("IntCompareImm", 1, 0, "intcc_imm64"),
    Format("FloatCompare", 2, 0, "floatcc"),
    Format("IntAddTrap", 2, 0, "trapcode"),
    Format("Trap", 0, None, "trapcode"),
    Format("CondTrap", 1, 0, "trapcode"),
    Format("Jump", 0, None),
    Format("Brif", 1),
    Format("BranchTable", 1),
    Format("Call", None, None, "func_ref"),
    Format("CallIndirect", None, 0, "sig_ref"),
    Format("TryCall", None, None, "func_ref"),
    Format("TryCallIndirect", None, 0),
    Format("FuncAddr", 0, None, "func_ref"),
    Format("AtomicRmw", 2, 0, "atomic_rmw_op"),
    Format("AtomicCas", 3, 2),
    Format("Load", 1),
    Format("LoadNoOffset", 1),
    Format("Store", 2),
    Format("StoreNoOffset", 2),
    Format("StackAddr", 0, None, "stack_slot"),
    Format("StackLoad", 0, None, "stack_slot"),
    Format("StackStore", 1, 0, "stack_slot"),
    Format("DynamicStackAddr", 0, None, "dynamic_stack_slot"),
    Format("DynamicStackLoad", 0, None, "dynamic_stack_slot"),
    Format("DynamicStackStore", 1, 0, "dynamic_stack_slot"),
    Format("ExceptionHandlerAddress", 0, None, "block_index"),
)  # fmt: skip

FORMATS: Final[dict[str, Format]] = {row.name: row for row in _ROWS}

INT_CONDITIONS: Final = ("eq", "ne", "slt", "sge", "sgt", "sle", "ult", "uge", "ugt", "ule")
FLOAT_CONDITIONS: Final = ("ord", "uno", "eq", "ne", "one", "ueq", "lt", "le", "gt", "ge", "ult", "ule", "ugt", "uge")
ATOMIC_OPERATIONS: Final = ("add", "sub", "and", "nand", "or", "xor", "xchg", "umin", "umax", "smin", "smax")
TRAP_CODES: Final = ("stk_ovf", "int_ovf", "heap_oob", "int_divz", "bad_toint")
"""The trap codes with a name; the others are `user1` to `user250`."""

OLD_TRAP_CODES: Final = ("heap_misaligned", "table_oob", "icall_null", "bad_sig", "unreachable", "interrupt",
                         "null_reference", "null_i31ref")  # fmt: skip
"""Trap codes that had a name up to 0.112; later versions have user codes in their place."""
_NAMED_TRAPS: Final = frozenset(TRAP_CODES) | frozenset(OLD_TRAP_CODES)


def trap_code(text: str) -> str | None:
    """A trap code's text in its one spelling, or None if it is not one (older versions have user0 to user65535)."""
    if text in _NAMED_TRAPS:
        return text
    digits = text[4:]
    if text.startswith("user") and digits.isdigit() and len(digits) <= 20 and int(digits) < 1 << 16:
        return f"user{int(digits)}"
    return None
