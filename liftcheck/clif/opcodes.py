"""The closed table of CLIF opcodes: name, format, typing, effects. One row an opcode; nothing else states these facts.

The one idea: a row's typing is a tiny notation over one controlling type `T`, from which everything is derived: the
parser infers with it, the verifier checks with it, `variants` enumerates with it. What an opcode computes is said in
`clif/semantics/meaning.py` under the same name.

    name  format  T ranges over  operands  results  effects

Operands and results are `T`, a function of it (`lane T truthy T half T double T split T merge T`, written `lane(T)`), a
concrete type (`i8`), or, for operands alone, a set that the operand's type is free in: a named set (`Addr`), or
`narrower(T)`, `wider(T)`. Calls, jumps and returns have further operands, typed by signatures and block parameters.
Effects: branch, return, call, ends (ends its block without a successor), trap (may trap by itself), load, store, effect
(some other side effect), idem (its side effect may be done twice or removed if dominated).
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
    "i64only": _types("i", 64, 64, _SCALAR),
    "fScalar": _types("f", 16, 128, _SCALAR),
    "NarrowVec": _types("i", 16, 64, (2, 4, 8)),
    "WidenVec": _types("i", 8, 32, (2, 4, 8, 16)),
    "MulVec": _types("i", 16, 32, (4, 8)),
}  # fmt: skip

_TABLE: Final = """
# control flow
jump                  Jump             -       -                      -              branch
brif                  Brif             iB      T                      -              branch
br_table              BranchTable      -       i32                    -              branch
debugtrap             NullAry          -       -                      -              effect,load,store
trap                  Trap             -       -                      -              trap,ends
trapz                 CondTrap         iB      T                      -              trap,idem
trapnz                CondTrap         iB      T                      -              trap,idem
resumable_trap        Trap             -       -                      -              trap           <0.110
resumable_trapnz      CondTrap         iB      T                      -              trap           <0.110
return                MultiAry         -       -                      -              return
call                  Call             -       -                      -              call
call_indirect         CallIndirect     Addr    T                      -              call
return_call           Call             -       -                      -              call,return
return_call_indirect  CallIndirect     Addr    T                      -              call,return
func_addr             FuncAddr         Addr    -                      T              -
try_call              TryCall          -       -                      -              call,branch    >=0.120
try_call_indirect     TryCallIndirect  Addr    T                      -              call,branch    >=0.120
# lanes
splat                 Unary            Vector  lane(T)                T              -
swizzle               Binary           -       i8x16,i8x16            i8x16          -
x86_pshufb            Binary           -       i8x16,i8x16            i8x16          -
insertlane            TernaryImm8      Vector  T,lane(T)              T              -
extractlane           BinaryImm8       Vector  T                      lane(T)        -
shuffle               Shuffle          -       i8x16,i8x16            i8x16          -
smin                  Binary           Int     T,T                    T              -
umin                  Binary           Int     T,T                    T              -
smax                  Binary           Int     T,T                    T              -
umax                  Binary           Int     T,T                    T              -
avg_round             Binary           IntVector  T,T                 T              -
uadd_sat              Binary           IntVector  T,T                 T              -
sadd_sat              Binary           IntVector  T,T                 T              -
usub_sat              Binary           IntVector  T,T                 T              -
ssub_sat              Binary           IntVector  T,T                 T              -
# memory
load                  Load             Any     Addr                   T              load
store                 Store            Any     T,Addr                 -              store
uload8                Load             iExt8   Addr                   T              load
sload8                Load             iExt8   Addr                   T              load
istore8               Store            iExt8   T,Addr                 -              store
uload16               Load             Addr    Addr                   T              load
sload16               Load             Addr    Addr                   T              load
istore16              Store            Addr    T,Addr                 -              store
uload32               Load             Addr    T                      i64            load
sload32               Load             Addr    T                      i64            load
istore32              Store            i64only T,Addr                 -              store
stack_switch          Ternary          Addr    T,T,T                  T              effect,load,store,call  >=0.113
uload8x8              Load             Addr    T                      i16x8          load
sload8x8              Load             Addr    T                      i16x8          load
uload16x4             Load             Addr    T                      i32x4          load
sload16x4             Load             Addr    T                      i32x4          load
uload32x2             Load             Addr    T                      i64x2          load
sload32x2             Load             Addr    T                      i64x2          load
stack_load            StackLoad        Any     -                      T              load           <0.134
stack_store           StackStore       Any     T                      -              store          <0.134
stack_addr            StackAddr        Addr    -                      T              -
dynamic_stack_load    DynamicStackLoad   Any   -                      T              load           <0.134
dynamic_stack_store   DynamicStackStore  Any   T                      -              store          <0.134
dynamic_stack_addr    DynamicStackAddr   Addr  -                      T              -
global_value          UnaryGlobalValue Any     -                      T              -              <0.134
symbol_value          UnaryGlobalValue Any     -                      T              -
tls_value             UnaryGlobalValue Any     -                      T              -
get_pinned_reg        NullAry          Addr    -                      T              effect
set_pinned_reg        Unary            Addr    T                      -              effect
get_frame_pointer     NullAry          Addr    -                      T              -
get_stack_pointer     NullAry          Addr    -                      T              -
get_return_address    NullAry          Addr    -                      T              -
get_exception_handler_address  ExceptionHandlerAddress  Addr  -       T              -              >=0.125
# constants, moves, selection
iconst                UnaryImm         iNarrow -                      T              -
f16const              UnaryIeee16      -       -                      f16            -              >=0.113
f32const              UnaryIeee32      -       -                      f32            -
f64const              UnaryIeee64      -       -                      f64            -
f128const             UnaryConst       -       -                      f128           -              >=0.113
vconst                UnaryConst       Vector  -                      T              -
nop                   NullAry          -       -                      -              -
select                Ternary          Any     iB,T,T                 T              -
select_spectre_guard  Ternary          Any     iB,T,T                 T              -
bitselect             Ternary          Any     T,T,T                  T              -
blendv                Ternary          Any     T,T,T                  T              -              >=0.130
x86_blendv            Ternary          Any     T,T,T                  T              -              <0.130
vany_true             Unary            Vector  T                      i8             -
vall_true             Unary            Vector  T                      i8             -
vhigh_bits            Unary            iNarrow Vector                 T              -
# integers
icmp                  IntCompare       Int     T,T                    truthy(T)      -
icmp_imm              IntCompareImm    iB      T                      i8             -              <0.133
iadd                  Binary           Int     T,T                    T              -
isub                  Binary           Int     T,T                    T              -
ineg                  Unary            Int     T                      T              -
iabs                  Unary            Int     T                      T              -
imul                  Binary           Int     T,T                    T              -
umulhi                Binary           Int     T,T                    T              -
smulhi                Binary           Int     T,T                    T              -
sqmul_round_sat       Binary           MulVec  T,T                    T              -
x86_pmulhrsw          Binary           MulVec  T,T                    T              -
udiv                  Binary           iB      T,T                    T              trap,idem
sdiv                  Binary           iB      T,T                    T              trap,idem
urem                  Binary           iB      T,T                    T              trap,idem
srem                  Binary           iB      T,T                    T              trap,idem
iadd_imm              BinaryImm64      iB      T                      T              -              <0.133
imul_imm              BinaryImm64      iB      T                      T              -              <0.133
udiv_imm              BinaryImm64      iB      T                      T              -              <0.133
sdiv_imm              BinaryImm64      iB      T                      T              -              <0.133
urem_imm              BinaryImm64      iB      T                      T              -              <0.133
srem_imm              BinaryImm64      iB      T                      T              -              <0.133
irsub_imm             BinaryImm64      iB      T                      T              -              <0.133
sadd_overflow_cin     Ternary          iB      T,T,i8                 T,i8           -              >=0.113
uadd_overflow_cin     Ternary          iB      T,T,i8                 T,i8           -              >=0.113
uadd_overflow         Binary           iB      T,T                    T,i8           -              >=0.96
sadd_overflow         Binary           iB      T,T                    T,i8           -              >=0.96
usub_overflow         Binary           iB      T,T                    T,i8           -              >=0.96
ssub_overflow         Binary           iB      T,T                    T,i8           -              >=0.96
umul_overflow         Binary           iNarrow T,T                    T,i8           -              >=0.96
smul_overflow         Binary           iNarrow T,T                    T,i8           -              >=0.96
uadd_overflow_trap    IntAddTrap       Addr    T,T                    T              trap,idem
ssub_overflow_bin     Ternary          iB      T,T,i8                 T,i8           -              >=0.113
usub_overflow_bin     Ternary          iB      T,T,i8                 T,i8           -              >=0.113
iadd_cin              Ternary          iB      T,T,i8                 T              -              <0.113
iadd_cout             Binary           iB      T,T                    T,i8           -              <0.96
iadd_carry            Ternary          iB      T,T,i8                 T,i8           -              <0.113
isub_bin              Ternary          iB      T,T,i8                 T              -              <0.113
isub_bout             Binary           iB      T,T                    T,i8           -              <0.96
isub_borrow           Ternary          iB      T,T,i8                 T,i8           -              <0.113
band                  Binary           Any     T,T                    T              -
bor                   Binary           Any     T,T                    T              -
bxor                  Binary           Any     T,T                    T              -
bnot                  Unary            Any     T                      T              -
band_not              Binary           Any     T,T                    T              -              <0.134
bor_not               Binary           Any     T,T                    T              -              <0.134
bxor_not              Binary           Any     T,T                    T              -              <0.134
band_imm              BinaryImm64      iB      T                      T              -              <0.133
bor_imm               BinaryImm64      iB      T                      T              -              <0.133
bxor_imm              BinaryImm64      iB      T                      T              -              <0.133
rotl                  Binary           Int     T,iB                   T              -
rotr                  Binary           Int     T,iB                   T              -
rotl_imm              BinaryImm64      Int     T                      T              -              <0.133
rotr_imm              BinaryImm64      Int     T                      T              -              <0.133
ishl                  Binary           Int     T,iB                   T              -
ushr                  Binary           Int     T,iB                   T              -
sshr                  Binary           Int     T,iB                   T              -
ishl_imm              BinaryImm64      Int     T                      T              -              <0.133
ushr_imm              BinaryImm64      Int     T                      T              -              <0.133
sshr_imm              BinaryImm64      Int     T                      T              -              <0.133
bitrev                Unary            iB      T                      T              -
clz                   Unary            iB      T                      T              -
cls                   Unary            iB      T                      T              -
ctz                   Unary            iB      T                      T              -
bswap                 Unary            iWide   T                      T              -
popcnt                Unary            Int     T                      T              -
# floats
fcmp                  FloatCompare     Float   T,T                    truthy(T)      -
fadd                  Binary           Float   T,T                    T              -
fsub                  Binary           Float   T,T                    T              -
fmul                  Binary           Float   T,T                    T              -
fdiv                  Binary           Float   T,T                    T              -
sqrt                  Unary            Float   T                      T              -
fma                   Ternary          Float   T,T,T                  T              -
fneg                  Unary            Float   T                      T              -
fabs                  Unary            Float   T                      T              -
fcopysign             Binary           Float   T,T                    T              -
fmin                  Binary           Float   T,T                    T              -
fmax                  Binary           Float   T,T                    T              -
fmin_pseudo           Binary           Float   T,T                    T              -              <0.100
fmax_pseudo           Binary           Float   T,T                    T              -              <0.100
ceil                  Unary            Float   T                      T              -
floor                 Unary            Float   T                      T              -
trunc                 Unary            Float   T                      T              -
nearest               Unary            Float   T                      T              -
# conversions
bitcast               LoadNoOffset     Any     Any                    T              -
scalar_to_vector      Unary            Vector  lane(T)                T              -
bmask                 Unary            iB      iB                     T              -
ireduce               Unary            iB      wider(T)               T              -
snarrow               Binary           NarrowVec  T,T                 split(T)       -
unarrow               Binary           NarrowVec  T,T                 split(T)       -
uunarrow              Binary           NarrowVec  T,T                 split(T)       -
swiden_low            Unary            WidenVec   T                   merge(T)       -
swiden_high           Unary            WidenVec   T                   merge(T)       -
uwiden_low            Unary            WidenVec   T                   merge(T)       -
uwiden_high           Unary            WidenVec   T                   merge(T)       -
iadd_pairwise         Binary           WidenVec   T,T                 T              -
x86_pmaddubsw         Binary           -       i8x16,i8x16            i16x8          -
uextend               Unary            iB      narrower(T)            T              -
sextend               Unary            iB      narrower(T)            T              -
fpromote              Unary            fScalar narrower(T)            T              -
fdemote               Unary            fScalar wider(T)               T              -
fvdemote              Unary            -       f64x2                  f32x4          -
fvpromote_low         Unary            -       f32x4                  f64x2          -
fcvt_to_uint          Unary            iB      fScalar                T              trap,idem
fcvt_to_sint          Unary            iB      fScalar                T              trap,idem
fcvt_to_uint_sat      Unary            Int     Float                  T              -
fcvt_to_sint_sat      Unary            Int     Float                  T              -
x86_cvtt2dq           Unary            Int     Float                  T              -
fcvt_from_uint        Unary            Float   Int                    T              -
fcvt_from_sint        Unary            Float   Int                    T              -
fcvt_low_from_sint    Unary            Float   Int                    T              -              <0.100
isplit                Unary            iWide   T                      half(T),half(T)  -
iconcat               Binary           iNarrow T,T                    double(T)      -
# atomics and the rest
atomic_rmw            AtomicRmw        iB      Addr,T                 T              load,store,effect
atomic_cas            AtomicCas        iB      Addr,T,T               T              load,store,effect
atomic_load           LoadNoOffset     iB      Addr                   T              load,effect
atomic_store          StoreNoOffset    iB      T,Addr                 -              store,effect
fence                 NullAry          -       -                      -              effect
extract_vector        BinaryImm8       Any     T                      T              -
sequence_point        NullAry          -       -                      -              effect         >=0.127
"""

_SAME_LANES: Final = frozenset(
    {"fcvt_to_uint_sat", "fcvt_to_sint_sat", "x86_cvtt2dq", "fcvt_from_uint", "fcvt_from_sint", "fcvt_low_from_sint"}
)
"""Conversions that the type system allows between any shapes, and that mean something only lane by lane."""

DYNAMIC: Final = frozenset({"extract_vector", "dynamic_stack_addr", "dynamic_stack_load", "dynamic_stack_store"})
"""Opcodes of the dynamic vector types: the parser says them in terms of vectors of 128 bits."""


class Opcode:
    """One row. `args` and `results` are the notation; the methods resolve it for a controlling type.

    format         the row of `formats.FORMATS`
    ctrl           the types that `T` ranges over; empty: the opcode has no type variable, its `Inst.type` is None
    infer_from     index of the value operand that tells T (the text may leave the suffix out), or None
    terminator     ends its block: branch, return or ends
    """

    __slots__ = ("_args_of", "_results_of", "args", "can_load", "can_store", "can_trap", "ctrl", "effects", "format",
                 "idempotent", "infer_from", "is_branch", "is_call", "is_return", "name", "removed", "results", "since",
                 "terminator")  # fmt: skip

    def __init__(
        self,
        name: str,
        form: Format,
        ctrl: TypeSet,
        args: tuple[str, ...],
        results: tuple[str, ...],
        effects: frozenset[str],
        since: str,
        removed: str,
    ) -> None:
        self.name: Final = name
        self.format: Final = form
        self.ctrl: Final = ctrl
        self.args: Final = args
        self.results: Final = results
        self.effects: Final = effects
        self.since: Final = since
        self.removed: Final = removed
        place = form.inferred_from
        self.infer_from: Final = place if place is not None and ctrl and args[place : place + 1] == ("T",) else None
        self.is_branch: Final = "branch" in effects
        self.is_return: Final = "return" in effects
        self.is_call: Final = "call" in effects
        self.terminator: Final = bool(effects & {"branch", "return", "ends"})
        self.can_trap: Final = "trap" in effects
        self.can_load: Final = "load" in effects
        self.can_store: Final = "store" in effects
        self.idempotent: Final = "idem" in effects
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


def _rows() -> Iterator[Opcode]:
    def listed(text: str) -> tuple[str, ...]:
        return () if text == "-" else tuple(text.split(","))

    for line in _TABLE.splitlines():
        if not line or line[0] == "#":
            continue
        name, form, ctrl, args, results, effects, *versions = line.split()
        since = next((v[2:] for v in versions if v.startswith(">=")), "")
        removed = next((v[1:] for v in versions if v.startswith("<")), "")
        yield Opcode(
            name,
            FORMATS[form],
            TYPE_SETS[ctrl] if ctrl != "-" else frozenset(),
            listed(args),
            listed(results),
            frozenset(listed(effects)),
            since,
            removed,
        )


OPCODES: Final[dict[str, Opcode]] = {opcode.name: opcode for opcode in _rows()}


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
    if opcode.ctrl is TYPE_SETS["Addr"] and _is_address(opcode) and ctrl is not TYPES["i64"]:
        return
    try:
        results, operands = opcode.result_types(ctrl), opcode.arg_types(ctrl)
    except KeyError:
        return
    choices = [_choices(opcode, text, operand) for text, operand in zip(opcode.args, operands)]
    for args in product(*choices):
        if all(t in _COMMON for t in (*args, *results)) and _sensible(opcode.name, ctrl, args):
            yield Variant(_key(opcode, ctrl, args), opcode.name, ctrl, args, results)


def _is_address(opcode: Opcode) -> bool:
    """Is this opcode's T an address (and not a number that has an address' widths)?"""
    return opcode.name not in ("uload16", "sload16", "istore16", "uadd_overflow_trap")


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
    kind = inst.type
    key = inst.op if kind is None else f"{inst.op}.{kind.name}"
    return key if place is None else f"{key}.{types[inst.args[place]].name}"
