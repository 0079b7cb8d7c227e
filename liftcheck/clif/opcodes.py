"""The closed table of CLIF opcodes: name, format, typing, effects. One row an opcode; nothing else states these facts.

The one idea: a row's typing is a tiny notation over one controlling type `T`, from which everything is derived: the
parser infers with it, the verifier checks with it, `variants` enumerates with it. What an opcode computes is said in
`clif/semantics/meaning.py` under the same name.

    name  format  T ranges over  operands  results  effects  family

Operands and results are `T`, a function of it (`lane T truthy T half T double T split T merge T`, written `lane(T)`), a
concrete type (`i8`), or, for operands alone, a set that the operand's type is free in: a named set (`Addr`), or
`narrower(T)`, `wider(T)`. Calls, jumps and returns have further operands, typed by signatures and block parameters.
Roles: `@` before the operand that is the address of the access, `=` before the one that is stored.
Effects: branch, return, call, ends (ends its block without a successor), trap (may trap by itself), load, store, effect
(some other side effect), idem (its side effect may be done twice or removed if dominated). After `load:` and `store:`
stands what is accessed: `T` a whole value, `8` the low 8 bits of it, `8u` and `8s` 8 bits that are extended, without or
with the sign, `8x8u` eight lanes of 8 bits, each extended.
Family: what the generator weighs and switches together, one of `FAMILIES`; `-` for an opcode that no program holds.
`<0.133` after a row says where the opcode was removed, `>=0.125` where it appeared, to the precision of the versions
that were read: 0.95, 0.96, 0.100, 0.105, 0.110, 0.113, 0.115, 0.118, 0.120, 0.125, 0.127, 0.128, and 0.130 to 0.135.
It does not hold the reference types (`r32`, `r64`, `null`, `is_null`) of versions up to 0.110, nor `table_addr` of
those before it, nor `patchable_call` of 0.127.
Sources: cranelift-codegen-meta of those versions, `shared/instructions.rs`, and the constraint table generated from it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cache
from itertools import product
from typing import Final, NamedTuple

from liftcheck.clif.formats import FORMATS, Format
from liftcheck.clif.ir import Inst
from liftcheck.clif.types import TYPES, Type
from liftcheck.errors import InternalError

TypeSet = frozenset[Type]


def _types(kinds: str, low: int, high: int, lanes: range | tuple[int, ...]) -> TypeSet:
    """All types whose lane kind is in `kinds` ('i', 'f', 'if'), lane width in low…high, lane count in `lanes`."""
    return frozenset(
        t for t in TYPES.values() if t.name[0] in kinds and low <= t.lane_bits <= high and t.lanes in lanes
    )


_SCALAR, _VECTOR, _ALL = (1,), range(2, 257), range(1, 257)
TYPE_SETS: Final[dict[str, TypeSet]] = {
    "Any": _types("if", 8, 128, _ALL),
    "Int": _types("i", 8, 128, _ALL),
    "Float": _types("f", 16, 128, _ALL),
    "Vector": _types("if", 8, 128, _VECTOR),
    "IntVector": _types("i", 8, 128, _VECTOR),
    "iB": _types("i", 8, 128, _SCALAR),
    "iNarrow": _types("i", 8, 64, _SCALAR),
    "iWide": _types("i", 16, 128, _SCALAR),
    "iExt8": _types("i", 16, 64, _SCALAR),
    "Addr": _types("i", 32, 64, _SCALAR),
    "iWord": _types("i", 32, 64, _SCALAR),
    "i64only": _types("i", 64, 64, _SCALAR),
    "fScalar": _types("f", 16, 128, _SCALAR),
    "NarrowVec": _types("i", 16, 64, (2, 4, 8)),
    "WidenVec": _types("i", 8, 32, (2, 4, 8, 16)),
    "MulVec": _types("i", 16, 32, (4, 8)),
}  # fmt: skip

_TABLE: Final = """
# control flow
jump                  Jump             -         -             -               branch                control
brif                  Brif             iB        T             -               branch                control
br_table              BranchTable      -         i32           -               branch                control
debugtrap             NullAry          -         -             -               effect,load,store     -
trap                  Trap             -         -             -               trap,ends             control
trapz                 CondTrap         iB        T             -               trap,idem             trap
trapnz                CondTrap         iB        T             -               trap,idem             trap
resumable_trap        Trap             -         -             -               trap                  -          <0.110
resumable_trapnz      CondTrap         iB        T             -               trap                  -          <0.110
return                MultiAry         -         -             -               return                control
call                  Call             -         -             -               call                  call
call_indirect         CallIndirect     Addr      T             -               call                  call
return_call           Call             -         -             -               call,return           call
return_call_indirect  CallIndirect     Addr      T             -               call,return           call
func_addr             FuncAddr         Addr      -             T               -                     address
try_call              TryCall          -         -             -               call,branch           call       >=0.120
try_call_indirect     TryCallIndirect  Addr      T             -               call,branch           call       >=0.120
# lanes
splat                 Unary            Vector    lane(T)       T               -                     lanes
swizzle               Binary           -         i8x16,i8x16   i8x16           -                     lanes
x86_pshufb            Binary           -         i8x16,i8x16   i8x16           -                     x86
insertlane            TernaryImm8      Vector    T,lane(T)     T               -                     lanes
extractlane           BinaryImm8       Vector    T             lane(T)         -                     lanes
shuffle               Shuffle          -         i8x16,i8x16   i8x16           -                     lanes
smin                  Binary           Int       T,T           T               -                     add
umin                  Binary           Int       T,T           T               -                     add
smax                  Binary           Int       T,T           T               -                     add
umax                  Binary           Int       T,T           T               -                     add
avg_round             Binary           IntVector  T,T          T               -                     saturate
uadd_sat              Binary           IntVector  T,T          T               -                     saturate
sadd_sat              Binary           IntVector  T,T          T               -                     saturate
usub_sat              Binary           IntVector  T,T          T               -                     saturate
ssub_sat              Binary           IntVector  T,T          T               -                     saturate
# memory
load                  Load             Any       @Addr         T               load:T                load
store                 Store            Any       =T,@Addr      -               store:T               store
uload8                Load             iExt8     @Addr         T               load:8u               load
sload8                Load             iExt8     @Addr         T               load:8s               load
istore8               Store            iExt8     =T,@Addr      -               store:8               store
uload16               Load             iWord     @Addr         T               load:16u              load
sload16               Load             iWord     @Addr         T               load:16s              load
istore16              Store            iWord     =T,@Addr      -               store:16              store
uload32               Load             Addr      @T            i64             load:32u              load
sload32               Load             Addr      @T            i64             load:32s              load
istore32              Store            i64only   =T,@Addr      -               store:32              store
stack_switch          Ternary          Addr      T,T,T         T               effect,load,store,call  -        >=0.113
uload8x8              Load             Addr      @T            i16x8           load:8x8u             load
sload8x8              Load             Addr      @T            i16x8           load:8x8s             load
uload16x4             Load             Addr      @T            i32x4           load:16x4u            load
sload16x4             Load             Addr      @T            i32x4           load:16x4s            load
uload32x2             Load             Addr      @T            i64x2           load:32x2u            load
sload32x2             Load             Addr      @T            i64x2           load:32x2s            load
stack_load            StackLoad        Any       -             T               load:T                -          <0.134
stack_store           StackStore       Any       =T            -               store:T               -          <0.134
stack_addr            StackAddr        Addr      -             T               -                     address
dynamic_stack_load    DynamicStackLoad  Any      -             T               load:T                -          <0.134
dynamic_stack_store   DynamicStackStore  Any     =T            -               store:T               -          <0.134
dynamic_stack_addr    DynamicStackAddr  Addr     -             T               -                     -
global_value          UnaryGlobalValue  Any      -             T               -                     -          <0.134
symbol_value          UnaryGlobalValue  Any      -             T               -                     address
tls_value             UnaryGlobalValue  Any      -             T               -                     -
get_pinned_reg        NullAry          Addr      -             T               effect                -
set_pinned_reg        Unary            Addr      T             -               effect                -
get_frame_pointer     NullAry          Addr      -             T               -                     address
get_stack_pointer     NullAry          Addr      -             T               -                     address
get_return_address    NullAry          Addr      -             T               -                     address
get_exception_handler_address  ExceptionHandlerAddress  Addr  -  T             -                     address    >=0.125
# constants, moves, selection
iconst                UnaryImm         iNarrow   -             T               -                     const
f16const              UnaryIeee16      -         -             f16             -                     const      >=0.113
f32const              UnaryIeee32      -         -             f32             -                     const
f64const              UnaryIeee64      -         -             f64             -                     const
f128const             UnaryConst       -         -             f128            -                     const      >=0.113
vconst                UnaryConst       Vector    -             T               -                     const
nop                   NullAry          -         -             -               -                     quiet
select                Ternary          Any       iB,T,T        T               -                     select
select_spectre_guard  Ternary          Any       iB,T,T        T               -                     select
bitselect             Ternary          Any       T,T,T         T               -                     bits
blendv                Ternary          Any       T,T,T         T               -                     select     >=0.130
x86_blendv            Ternary          Any       T,T,T         T               -                     select     <0.130
vany_true             Unary            Vector    T             i8              -                     lanes
vall_true             Unary            Vector    T             i8              -                     lanes
vhigh_bits            Unary            iNarrow   Vector        T               -                     lanes
# integers
icmp                  IntCompare       Int       T,T           truthy(T)       -                     compare
icmp_imm              IntCompareImm    iB        T             i8              -                     -          <0.133
iadd                  Binary           Int       T,T           T               -                     add
isub                  Binary           Int       T,T           T               -                     add
ineg                  Unary            Int       T             T               -                     add
iabs                  Unary            Int       T             T               -                     add
imul                  Binary           Int       T,T           T               -                     mul
umulhi                Binary           Int       T,T           T               -                     mul
smulhi                Binary           Int       T,T           T               -                     mul
sqmul_round_sat       Binary           MulVec    T,T           T               -                     saturate
x86_pmulhrsw          Binary           MulVec    T,T           T               -                     x86
udiv                  Binary           iB        T,T           T               trap,idem             div
sdiv                  Binary           iB        T,T           T               trap,idem             div
urem                  Binary           iB        T,T           T               trap,idem             div
srem                  Binary           iB        T,T           T               trap,idem             div
iadd_imm              BinaryImm64      iB        T             T               -                     -          <0.133
imul_imm              BinaryImm64      iB        T             T               -                     -          <0.133
udiv_imm              BinaryImm64      iB        T             T               -                     -          <0.133
sdiv_imm              BinaryImm64      iB        T             T               -                     -          <0.133
urem_imm              BinaryImm64      iB        T             T               -                     -          <0.133
srem_imm              BinaryImm64      iB        T             T               -                     -          <0.133
irsub_imm             BinaryImm64      iB        T             T               -                     -          <0.133
sadd_overflow_cin     Ternary          iB        T,T,i8        T,i8            -                     overflow   >=0.113
uadd_overflow_cin     Ternary          iB        T,T,i8        T,i8            -                     overflow   >=0.113
uadd_overflow         Binary           iB        T,T           T,i8            -                     overflow   >=0.96
sadd_overflow         Binary           iB        T,T           T,i8            -                     overflow   >=0.96
usub_overflow         Binary           iB        T,T           T,i8            -                     overflow   >=0.96
ssub_overflow         Binary           iB        T,T           T,i8            -                     overflow   >=0.96
umul_overflow         Binary           iNarrow   T,T           T,i8            -                     overflow   >=0.96
smul_overflow         Binary           iNarrow   T,T           T,i8            -                     overflow   >=0.96
uadd_overflow_trap    IntAddTrap       iWord     T,T           T               trap,idem             trap
ssub_overflow_bin     Ternary          iB        T,T,i8        T,i8            -                     overflow   >=0.113
usub_overflow_bin     Ternary          iB        T,T,i8        T,i8            -                     overflow   >=0.113
iadd_cin              Ternary          iB        T,T,i8        T               -                     overflow   <0.113
iadd_cout             Binary           iB        T,T           T,i8            -                     overflow   <0.96
iadd_carry            Ternary          iB        T,T,i8        T,i8            -                     overflow   <0.113
isub_bin              Ternary          iB        T,T,i8        T               -                     overflow   <0.113
isub_bout             Binary           iB        T,T           T,i8            -                     overflow   <0.96
isub_borrow           Ternary          iB        T,T,i8        T,i8            -                     overflow   <0.113
band                  Binary           Any       T,T           T               -                     bits
bor                   Binary           Any       T,T           T               -                     bits
bxor                  Binary           Any       T,T           T               -                     bits
bnot                  Unary            Any       T             T               -                     bits
band_not              Binary           Any       T,T           T               -                     bits       <0.134
bor_not               Binary           Any       T,T           T               -                     bits       <0.134
bxor_not              Binary           Any       T,T           T               -                     bits       <0.134
band_imm              BinaryImm64      iB        T             T               -                     -          <0.133
bor_imm               BinaryImm64      iB        T             T               -                     -          <0.133
bxor_imm              BinaryImm64      iB        T             T               -                     -          <0.133
rotl                  Binary           Int       T,iB          T               -                     shift
rotr                  Binary           Int       T,iB          T               -                     shift
rotl_imm              BinaryImm64      Int       T             T               -                     -          <0.133
rotr_imm              BinaryImm64      Int       T             T               -                     -          <0.133
ishl                  Binary           Int       T,iB          T               -                     shift
ushr                  Binary           Int       T,iB          T               -                     shift
sshr                  Binary           Int       T,iB          T               -                     shift
ishl_imm              BinaryImm64      Int       T             T               -                     -          <0.133
ushr_imm              BinaryImm64      Int       T             T               -                     -          <0.133
sshr_imm              BinaryImm64      Int       T             T               -                     -          <0.133
bitrev                Unary            iB        T             T               -                     count
clz                   Unary            iB        T             T               -                     count
cls                   Unary            iB        T             T               -                     count
ctz                   Unary            iB        T             T               -                     count
bswap                 Unary            iWide     T             T               -                     count
popcnt                Unary            Int       T             T               -                     count
# floats
fcmp                  FloatCompare     Float     T,T           truthy(T)       -                     fcompare
fadd                  Binary           Float     T,T           T               -                     float
fsub                  Binary           Float     T,T           T               -                     float
fmul                  Binary           Float     T,T           T               -                     float
fdiv                  Binary           Float     T,T           T               -                     float
sqrt                  Unary            Float     T             T               -                     float
fma                   Ternary          Float     T,T,T         T               -                     float
fneg                  Unary            Float     T             T               -                     float
fabs                  Unary            Float     T             T               -                     float
fcopysign             Binary           Float     T,T           T               -                     float
fmin                  Binary           Float     T,T           T               -                     float
fmax                  Binary           Float     T,T           T               -                     float
fmin_pseudo           Binary           Float     T,T           T               -                     float      <0.100
fmax_pseudo           Binary           Float     T,T           T               -                     float      <0.100
ceil                  Unary            Float     T             T               -                     float
floor                 Unary            Float     T             T               -                     float
trunc                 Unary            Float     T             T               -                     float
nearest               Unary            Float     T             T               -                     float
# conversions
bitcast               LoadNoOffset     Any       Any           T               -                     convert
scalar_to_vector      Unary            Vector    lane(T)       T               -                     lanes
bmask                 Unary            iB        iB            T               -                     select
ireduce               Unary            iB        wider(T)      T               -                     convert
snarrow               Binary           NarrowVec  T,T          split(T)        -                     lanes
unarrow               Binary           NarrowVec  T,T          split(T)        -                     lanes
uunarrow              Binary           NarrowVec  T,T          split(T)        -                     lanes
swiden_low            Unary            WidenVec  T             merge(T)        -                     lanes
swiden_high           Unary            WidenVec  T             merge(T)        -                     lanes
uwiden_low            Unary            WidenVec  T             merge(T)        -                     lanes
uwiden_high           Unary            WidenVec  T             merge(T)        -                     lanes
iadd_pairwise         Binary           WidenVec  T,T           T               -                     lanes
x86_pmaddubsw         Binary           -         i8x16,i8x16   i16x8           -                     x86
uextend               Unary            iB        narrower(T)   T               -                     convert
sextend               Unary            iB        narrower(T)   T               -                     convert
fpromote              Unary            fScalar   narrower(T)   T               -                     fconvert
fdemote               Unary            fScalar   wider(T)      T               -                     fconvert
fvdemote              Unary            -         f64x2         f32x4           -                     fconvert
fvpromote_low         Unary            -         f32x4         f64x2           -                     fconvert
fcvt_to_uint          Unary            iB        fScalar       T               trap,idem             fconvert
fcvt_to_sint          Unary            iB        fScalar       T               trap,idem             fconvert
fcvt_to_uint_sat      Unary            Int       Float         T               -                     fconvert
fcvt_to_sint_sat      Unary            Int       Float         T               -                     fconvert
x86_cvtt2dq           Unary            Int       Float         T               -                     x86
fcvt_from_uint        Unary            Float     Int           T               -                     fconvert
fcvt_from_sint        Unary            Float     Int           T               -                     fconvert
fcvt_low_from_sint    Unary            Float     Int           T               -                     fconvert   <0.100
isplit                Unary            iWide     T             half(T),half(T)  -                    convert
iconcat               Binary           iNarrow   T,T           double(T)       -                     convert
# atomics and the rest
atomic_rmw            AtomicRmw        iB        @Addr,=T      T               load:T,store:T,effect  atomic
atomic_cas            AtomicCas        iB        @Addr,T,=T    T               load:T,store:T,effect  atomic
atomic_load           LoadNoOffset     iB        @Addr         T               load:T,effect         atomic
atomic_store          StoreNoOffset    iB        =T,@Addr      -               store:T,effect        atomic
fence                 NullAry          -         -             -               effect                atomic
extract_vector        BinaryImm8       Any       T             T               -                     -
sequence_point        NullAry          -         -             -               effect                quiet      >=0.127
"""

_SAME_LANES: Final = frozenset(
    {"fcvt_to_uint_sat", "fcvt_to_sint_sat", "x86_cvtt2dq", "fcvt_from_uint", "fcvt_from_sint", "fcvt_low_from_sint"}
)
"""Conversions that the type system allows between any shapes, and that mean something only lane by lane."""

DYNAMIC: Final = frozenset({"extract_vector", "dynamic_stack_addr", "dynamic_stack_load", "dynamic_stack_store"})
"""Opcodes of the dynamic vector types: the parser says them in terms of vectors of 128 bits."""


PLAIN_FAMILIES: Final = frozenset({
    "add", "mul", "bits", "shift", "count", "compare", "select", "convert", "overflow", "float", "fcompare", "fconvert",
    "lanes", "saturate", "x86", "quiet",
})  # fmt: skip
"""Opcodes that are functions of their operands or do nothing: all are emitted alike, unless they may trap."""
FAMILIES: Final = PLAIN_FAMILIES | {"control", "call", "address", "const", "load", "store", "atomic", "div", "trap"}
"""The others need something around them, and each family is emitted in a way of its own."""


class Access(NamedTuple):
    """What an opcode accesses in memory.

    kind         the type that it has there; None: the value's own, whole
    extension    of what is loaded: 'u', 's', or ''
    """

    ty: Type | None
    extension: str

    def type_in_memory(self, value: Type) -> Type:
        """The type in memory of a `value` that is loaded or stored."""
        return self.ty or value


WHOLE: Final = Access(None, "")
"""A whole value."""


class Opcode:
    """One row. `args` and `results` are the notation; the methods resolve it for a controlling type.

    format         the row of `formats.FORMATS`
    over, ctrl     the types that `T` ranges over, by name ('': none) and themselves; empty: the opcode has no type
                   variable, its `Inst.type` is None
    infer_from     index of the value operand that tells T (the text may leave the suffix out), or None
    terminator     ends its block: branch, return or ends
    access         of a load, a store, an atomic operation; None: of no memory, or not the program's
    address        index of the operand that is the address of the access, or None
    stored         index of the operand that is stored, or None
    family         one of `FAMILIES`, or '' for an opcode that no program holds
    is_plain       of a plain family, and cannot trap: any operands do
    """

    __slots__ = ("_args_of", "_results_of", "access", "address", "args", "can_load", "can_store", "can_trap", "ctrl",
                 "effects", "family", "format", "has_side_effect", "infer_from", "is_branch", "is_call", "is_plain",
                 "is_return", "name", "over", "removed", "results", "since", "stored", "terminator")  # fmt: skip

    def __init__(self, line: str) -> None:
        try:
            name, form, over, args, results, effects, family, *versions = line.split()
        except ValueError:
            raise _wrong(line, "seven columns, and the versions") from None
        operands = _listed(args)
        self.name: Final = name
        self.format: Final[Format] = FORMATS[form]
        self.over: Final = over.strip("-")
        self.ctrl: Final[TypeSet] = TYPE_SETS[over] if self.over else frozenset()
        self.args: Final = tuple(operand.lstrip("@=") for operand in operands)
        self.results: Final = _listed(results)
        self.effects: Final = frozenset(effect.partition(":")[0] for effect in _listed(effects))
        self.since: Final = next((v[2:] for v in versions if v.startswith(">=")), "")
        self.removed: Final = next((v[1:] for v in versions if v.startswith("<")), "")
        self.access: Final = _access(effects, line)
        self.address: Final = _role("@", operands)
        self.stored: Final = _role("=", operands)
        self.family: Final = family.strip("-")
        if self.family and self.family not in FAMILIES:
            raise _wrong(line, f"a family, not {family!r}: {', '.join(sorted(FAMILIES))}")
        if self.family in ("load", "store") and (self.access is None or self.address is None):
            raise _wrong(line, "what is accessed (load:8u) and which operand is the address (@Addr)")
        if self.family == "store" and self.stored is None:
            raise _wrong(line, "which operand is stored (=T)")
        place = self.format.inferred_from
        told = place is not None and self.ctrl and self.args[place : place + 1] == ("T",)
        self.infer_from: Final = place if told else None
        self.is_branch: Final = "branch" in self.effects
        self.is_return: Final = "return" in self.effects
        self.is_call: Final = "call" in self.effects
        self.terminator: Final = bool(self.effects & {"branch", "return", "ends"})
        self.can_trap: Final = "trap" in self.effects
        self.can_load: Final = "load" in self.effects
        self.can_store: Final = "store" in self.effects
        self.has_side_effect: Final = "effect" in self.effects
        self.is_plain: Final = self.family in PLAIN_FAMILIES and not self.can_trap
        self._results_of: dict[Type | None, tuple[Type, ...]] = {}
        self._args_of: dict[Type | None, tuple[Type | TypeSet, ...]] = {}

    def __repr__(self) -> str:
        return f"Opcode({self.name})"

    def result_types(self, ctrl: Type | None) -> tuple[Type, ...]:
        """The types of the fixed results (calls' results come from the signature). KeyError: `ctrl` is not allowed."""
        found = self._results_of.get(ctrl)
        if found is None:
            found = self._results_of[ctrl] = tuple(self._fixed(text, ctrl) for text in self.results)
        return found

    def arg_types(self, ctrl: Type | None) -> tuple[Type | TypeSet, ...]:
        """For each fixed value operand its type, or the set it is free in. KeyError: `ctrl` is not allowed."""
        found = self._args_of.get(ctrl)
        if found is None:
            found = self._args_of[ctrl] = tuple(self._operand(text, ctrl) for text in self.args)
        return found

    def infer(self, ctrl: Type | None, arg_types: tuple[Type, ...]) -> tuple[Type | None, tuple[Type, ...]]:
        """The controlling type (given, or told by an operand) and the result types. KeyError: not allowed."""
        if ctrl is None and self.infer_from is not None:
            ctrl = arg_types[self.infer_from]
        return ctrl, self.result_types(ctrl)

    def _operand(self, text: str, ctrl: Type | None) -> Type | TypeSet:
        if text.startswith(("narrower", "wider")):
            return _ordered(text, self._checked(ctrl))
        return TYPE_SETS[text] if text in TYPE_SETS else self._fixed(text, ctrl)

    def _fixed(self, text: str, ctrl: Type | None) -> Type:
        if text in TYPES:
            if self.ctrl:
                self._checked(ctrl)
            return TYPES[text]
        derived = _DERIVED[text](self._checked(ctrl))
        if derived is None:
            raise KeyError(f"{text} of {ctrl}")
        return derived

    def _checked(self, ctrl: Type | None) -> Type:
        if ctrl is None or ctrl not in self.ctrl:
            raise KeyError(f"{self.name}.{ctrl}")
        return ctrl


_DERIVED: Final[dict[str, Callable[[Type], Type | None]]] = {
    "T": lambda t: t, "lane(T)": lambda t: t.lane, "truthy(T)": Type.as_truthy, "half(T)": Type.half_width,
    "double(T)": Type.double_width, "split(T)": Type.split_lanes, "merge(T)": Type.merge_lanes}  # fmt: skip


def _ordered(text: str, ctrl: Type) -> TypeSet:
    """The scalars of the same kind as `ctrl` that are narrower, or wider."""
    kin = TYPE_SETS["fScalar" if ctrl.is_float else "iB"]
    return frozenset(t for t in kin if (t.bits < ctrl.bits if text[0] == "n" else t.bits > ctrl.bits))


def _wrong(line: str, needed: str) -> InternalError:
    return InternalError(f"liftcheck/clif/opcodes.py: a row needs {needed}\n    {line}")


def _listed(text: str) -> tuple[str, ...]:
    return () if text == "-" else tuple(text.split(","))


def _role(mark: str, operands: tuple[str, ...]) -> int | None:
    """The place of the operand with a mark, if there is one."""
    return next((place for place, operand in enumerate(operands) if operand[0] == mark), None)


def _access(effects: str, line: str) -> Access | None:
    """`load:8x8u` and similar; of an opcode that loads and stores both are the same."""
    for effect in _listed(effects):
        what = effect.partition(":")[2]
        if what:
            extension = what[-1] if what[-1] in "us" else ""
            ty = TYPES.get(f"i{what.removesuffix(extension)}")
            if ty is None and what != "T":
                raise _wrong(line, f"an access as 8u, 16x2s (lanes of 16 bits, two of them) or T, not {what!r}")
            return Access(ty, extension)
    return None


OPCODES: Final[dict[str, Opcode]] = {
    opcode.name: opcode for opcode in map(Opcode, [line for line in _TABLE.splitlines() if line and line[0] != "#"])
}


def _those(of: Callable[[Opcode], bool]) -> frozenset[str]:
    return frozenset(name for name, opcode in OPCODES.items() if of(opcode))


LOADS: Final = _those(lambda o: o.address is not None and o.can_load and not o.has_side_effect)
"""Loads through an address, atomic ones apart; `STORES` are the stores."""
STORES: Final = _those(lambda o: o.address is not None and o.can_store and not o.has_side_effect)
ATOMICS: Final = _those(lambda o: o.address is not None and o.has_side_effect)
"""Atomic accesses; what is loaded or stored is a whole value."""
DIRECT_CALLS: Final = _those(lambda o: o.format.name in ("Call", "TryCall"))
INDIRECT_CALLS: Final = _those(lambda o: o.format.name in ("CallIndirect", "TryCallIndirect"))
CALLS: Final = DIRECT_CALLS | INDIRECT_CALLS
TRY_CALLS: Final = _those(lambda o: o.is_call and o.is_branch)
BRANCHES: Final = _those(lambda o: o.is_branch)
TERMINATORS: Final = _those(lambda o: o.terminator)
EXITS: Final = TERMINATORS - BRANCHES
"""Terminators after which nothing of the function follows."""
DIVISIONS: Final = _those(lambda o: o.format.name == "Binary" and o.can_trap)
CONSTANTS: Final = _those(lambda o: o.family == "const")
OF_CONSTANT: Final = {f"{op}_imm": op for op in (
    "iadd", "imul", "udiv", "sdiv", "urem", "srem", "band", "bor", "bxor", "rotl", "rotr", "ishl", "ushr", "sshr"
)}  # fmt: skip
"""Opcodes of older versions that apply another one to a constant as its second operand."""


class Variant(NamedTuple):
    """One concrete typing. `type` is `Inst.type`; `arg_types`, `result_types` cover the fixed operands and results."""

    key: str
    op: str
    type: Type | None
    arg_types: tuple[Type, ...]
    result_types: tuple[Type, ...]


_COMMON: Final = {t: i for i, t in enumerate(t for t in TYPES.values() if not t.is_vector or t.bits in (64, 128))}
"""The types that `variants` is about, in their order: scalars and vectors of 64 and 128 bits."""


@cache
def variants(name: str) -> tuple[Variant, ...]:
    """Every concrete typing of an opcode over scalars and vectors of 64 and 128 bits; addresses are i64."""
    opcode = OPCODES[name]
    if name in DYNAMIC:
        return ()
    if not opcode.ctrl:
        return tuple(_typings(opcode, None))
    ctrls = sorted(opcode.ctrl & _COMMON.keys(), key=_COMMON.__getitem__)
    return tuple(variant for ctrl in ctrls for variant in _typings(opcode, ctrl))


def _typings(opcode: Opcode, ctrl: Type | None) -> Iterator[Variant]:
    if opcode.over == "Addr" and ctrl is not TYPES["i64"]:
        return
    try:
        results, operands = opcode.result_types(ctrl), opcode.arg_types(ctrl)
    except KeyError:
        return
    choices = [_choices(opcode, text, operand) for text, operand in zip(opcode.args, operands)]
    for args in product(*choices):
        if all(t in _COMMON for t in (*args, *results)) and _sensible(opcode.name, ctrl, args):
            yield Variant(_key(opcode, ctrl, args), opcode.name, ctrl, args, results)


def _choices(opcode: Opcode, text: str, operand: Type | TypeSet) -> list[Type]:
    if isinstance(operand, Type):
        return [operand]
    if text == "Addr":
        return [TYPES["i64"]]
    return sorted((t for t in operand if t in _COMMON), key=_COMMON.__getitem__)


def _sensible(name: str, ctrl: Type | None, args: tuple[Type, ...]) -> bool:
    """Typings that the table allows and the verifier (or the meaning) does not."""
    if ctrl is None:
        return True
    if name in ("symbol_value", "tls_value", "global_value"):
        return ctrl is TYPES["i64"]
    if name == "bitcast":
        return args[0].bits == ctrl.bits
    if name == "fcvt_low_from_sint":
        return (args[0], ctrl) == (TYPES["i32x4"], TYPES["f64x2"])
    if name in _SAME_LANES:
        return args[0].lanes == ctrl.lanes and (ctrl.lanes == 1 or args[0].bits == ctrl.bits)
    return True


def _key(opcode: Opcode, ctrl: Type | None, args: tuple[Type, ...]) -> str:
    """`op`, `op.T`, or `op.T.U` with U the type of the operand that is free (an address does not count)."""
    key = opcode.name if ctrl is None else f"{opcode.name}.{ctrl.name}"
    place = FREE_OPERAND[opcode.name]
    return key if place is None else f"{key}.{args[place].name}"


def _free_operand(opcode: Opcode) -> int | None:
    for place, text in enumerate(opcode.args):
        if text != "Addr" and (text in TYPE_SETS or text.startswith(("narrower", "wider"))):
            return place
    return None


FREE_OPERAND: Final[dict[str, int | None]] = {name: _free_operand(opcode) for name, opcode in OPCODES.items()}
"""For each opcode the operand whose type is free of T, or None."""


def key_of(inst: Inst, types: Mapping[int, Type]) -> str:
    """The variant's key of an instruction; `types` maps values to types (`Function.types`)."""
    place = FREE_OPERAND[inst.op]
    ty = inst.type
    key = inst.op if ty is None else f"{inst.op}.{ty.name}"
    return key if place is None else f"{key}.{types[inst.args[place]].name}"
