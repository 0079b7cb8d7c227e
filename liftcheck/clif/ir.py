"""The CLIF data model: modules, functions, signatures, blocks, instructions. Data only, no behaviour.

The one idea: an instruction is one flat record, whatever its format, because the generator makes thousands a second
and every consumer dispatches on `op` anyway. What an opcode's operands mean is the row of `opcodes.py` named by `op`.
Values are plain integers (`v7` is 7), blocks, stack slots, signatures and function references are integers too.
Records are mutable while a builder owns them; one that was handed out is never changed.
Sources: Cranelift's `ir/` modules (extfunc, exception_table, memflags, stackslot, function), both text dialects.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from liftcheck.clif.types import Type


class AbiParam(NamedTuple):
    """One parameter or return. `extension` is '', 'uext' or 'sext'; `purpose` '', 'vmctx', 'sret', 'sarg(16)', …"""

    type: Type
    extension: str = ""
    purpose: str = ""


class Signature(NamedTuple):
    """`call_conv` is '' where the text leaves it to the reader's default (see
    `clif.text.filetest.default_call_conv`)."""

    params: tuple[AbiParam, ...]
    returns: tuple[AbiParam, ...]
    call_conv: str = ""


class FuncRef(NamedTuple):
    """`fn0 = colocated %name sig0`: `name` is its text ('%f', 'u0:5'); `sig` indexes `Function.signatures`."""

    name: str
    sig: int
    colocated: bool = False
    patchable: bool = False


class StackSlot(NamedTuple):
    """`size` in bytes; `align` in bytes (1 when not given); `key` is the text after `key =` if any."""

    size: int
    align: int = 1
    kind: str = "explicit_slot"
    key: str = ""


class MemFlags(NamedTuple):
    """Flags of one access. `endianness` is '' (the target's), 'little' or 'big'; `trap` is the trap code of a faulting
    access: None for the default heap_oob, '' for `notrap`. `region` is an alias region's text or ''."""

    aligned: bool = False
    readonly: bool = False
    can_move: bool = False
    trap: str | None = None
    endianness: str = ""
    region: str = ""


NO_FLAGS = MemFlags()


class BlockCall(NamedTuple):
    """A branch destination with its arguments: value numbers, or 'ret0', 'exn0' on `try_call` edges."""

    block: int
    args: tuple[int | str, ...] = ()


class ExceptionTable(NamedTuple):
    """`sig` indexes signatures; `items` are ('tag', n, BlockCall), ('default', BlockCall) or ('context', value)."""

    sig: int
    normal: BlockCall
    items: tuple[tuple[object, ...], ...] = ()


@dataclass(slots=True)
class Inst:
    """One instruction.

    op       opcode name, the key of `opcodes.OPCODES`
    type     the controlling type as the text would give it (`iadd.i32`): always filled in, None only for opcodes that
             have no type variable (jump, return, trap, fence, call, …)
    results  value numbers defined, in order
    args     value operands, in order (not those inside `targets`)
    imm      the immediate, by format: UnaryImm int (any value modulo 2^64), UnaryIeee* unsigned bits, UnaryConst index
             of `Function.constants`, Shuffle tuple of 16 lane numbers, BinaryImm8/TernaryImm8 lane number,
             IntCompare/FloatCompare condition text, AtomicRmw operation text, Trap/CondTrap/IntAddTrap trap code text,
             StackAddr slot number, FuncAddr/Call/TryCall function reference number, CallIndirect signature number,
             UnaryGlobalValue global value number, ExceptionHandlerAddress (block, index); of the older dialect:
             BinaryImm64 int, IntCompareImm (condition text, int), both signed, StackLoad/StackStore slot number
    flags    memory flags of loads, stores, atomics, bitcasts
    offset   signed 32-bit byte offset of Load, Store, StackAddr
    targets  Jump: one; Brif: then, else; BranchTable: default first, then the entries
    table    TryCall*: the exception table
    loc      source location number (`@0001`) or None; line: where the text has it (0 if generated; equality ignores it)
    notes    debug tags ('<1, ss0>' or '') and stack map ('[i32 @ ss0+0]' or ''), as text, or None
    """

    op: str
    type: Type | None
    results: tuple[int, ...] = ()
    args: tuple[int, ...] = ()
    imm: object = None
    flags: MemFlags = NO_FLAGS
    offset: int = 0
    targets: tuple[BlockCall, ...] = ()
    table: ExceptionTable | None = None
    loc: int | None = None
    line: int = field(default=0, compare=False)
    notes: tuple[str, str] | None = None


@dataclass(slots=True)
class Block:
    """A basic block: parameters as (value, type), instructions, the last of them a terminator."""

    number: int
    params: list[tuple[int, Type]] = field(default_factory=list)
    insts: list[Inst] = field(default_factory=list)
    cold: bool = False
    line: int = field(default=0, compare=False)


@dataclass(slots=True)
class Function:
    """One function. `blocks` is in layout order, the first is the entry. `types` maps every value to its type.

    constants are byte strings as stored in memory (little-endian order: byte 0 is lane 0's lowest).
    preamble keeps the other declarations (global values, alias regions, stack limit, memory types, dynamic types) as
    (entity text, right-hand side text), printed back verbatim; `globals` is the parsed form where it has a meaning.
    aliases maps `v9 -> v3`. annotations keep `; comment` lines that belong to the function (run lines, checks).
    """

    name: str
    signature: Signature
    blocks: list[Block] = field(default_factory=list)
    types: dict[int, Type] = field(default_factory=dict)
    stack_slots: dict[int, StackSlot] = field(default_factory=dict)
    signatures: dict[int, Signature] = field(default_factory=dict)
    func_refs: dict[int, FuncRef] = field(default_factory=dict)
    constants: dict[int, bytes] = field(default_factory=dict)
    globals: dict[int, tuple[object, ...]] = field(default_factory=dict)
    preamble: list[tuple[str, str]] = field(default_factory=list)
    aliases: dict[int, int] = field(default_factory=dict)
    annotations: list[tuple[int, str]] = field(default_factory=list, compare=False)
    line: int = field(default=0, compare=False)


@dataclass(slots=True)
class Module:
    """Functions that may call one another, in file order; names may repeat in upstream's files: the last one wins."""

    functions: list[Function] = field(default_factory=list)
