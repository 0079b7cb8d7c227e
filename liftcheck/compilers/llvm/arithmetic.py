"""Opcodes that are functions of their operands, in LLVM's IR; what they compute: `clif/semantics`."""

from __future__ import annotations

from typing import Final

from liftcheck.clif.ir import Inst
from liftcheck.clif.types import Type, by_name
from liftcheck.compilers.llvm.body import Body, Refused, all_lanes, integers, mangled, type_text

BINARY: Final = {"iadd": "add", "isub": "sub", "imul": "mul", "band": "and", "bor": "or", "bxor": "xor"}
FLOAT_BINARY: Final = ("fadd", "fsub", "fmul", "fdiv")
SHIFTS: Final = {"ishl": "shl", "ushr": "lshr", "sshr": "ashr"}
ROTATIONS: Final = {"rotl": "fshl", "rotr": "fshr"}
INTRINSICS: Final = {
    "smin": "smin", "smax": "smax", "umin": "umin", "umax": "umax", "uadd_sat": "uadd.sat", "sadd_sat": "sadd.sat",
    "usub_sat": "usub.sat", "ssub_sat": "ssub.sat", "bitrev": "bitreverse", "bswap": "bswap", "popcnt": "ctpop",
    "sqrt": "sqrt", "fma": "fma", "fabs": "fabs", "fcopysign": "copysign", "fmin": "minimum", "fmax": "maximum",
    "ceil": "ceil", "floor": "floor", "trunc": "trunc", "nearest": "roundeven",
}  # fmt: skip
"""Opcodes that are intrinsics of all their operands."""
FLAGGED: Final = {"clz": "ctlz", "ctz": "cttz", "iabs": "abs"}
"""Intrinsics that are told that no operand is undefined."""
OVERFLOWS: Final = {
    "uadd_overflow": "uadd", "sadd_overflow": "sadd", "usub_overflow": "usub", "ssub_overflow": "ssub",
    "umul_overflow": "umul", "smul_overflow": "smul",
}  # fmt: skip
CARRIES: Final = {
    "uadd_overflow_cin": ("add", "zext"), "sadd_overflow_cin": ("add", "sext"),
    "usub_overflow_bin": ("sub", "zext"), "ssub_overflow_bin": ("sub", "sext"),
}  # fmt: skip
ORDERS: Final = {
    "eq": "oeq", "ne": "une", "lt": "olt", "le": "ole", "gt": "ogt", "ge": "oge", "ord": "ord", "uno": "uno",
    "ueq": "ueq", "one": "one", "ult": "ult", "ule": "ule", "ugt": "ugt", "uge": "uge",
}  # fmt: skip
CASTS: Final = {"ireduce": "trunc", "uextend": "zext", "sextend": "sext", "fpromote": "fpext", "fdemote": "fptrunc"}
NUMBERS: Final = {"fcvt_from_uint": "uitofp", "fcvt_from_sint": "sitofp"}
SATURATING: Final = {"fcvt_to_uint_sat": "fptoui.sat", "fcvt_to_sint_sat": "fptosi.sat"}
WIDENS: Final = {
    "swiden_low": ("sext", 0),
    "swiden_high": ("sext", 1),
    "uwiden_low": ("zext", 0),
    "uwiden_high": ("zext", 1),
}
NARROWS: Final = {"snarrow": (True, True), "unarrow": (True, False), "uunarrow": (False, False)}


class Arithmetic(Body):
    """Each method says one instruction."""

    def binary(self, inst: Inst) -> None:
        ty = self.type_of(inst.results[0])
        (x, ints), (y, _) = (self.as_ints(self.v(a), ty) for a in inst.args)
        self.from_ints(inst, self.new(f"{BINARY[inst.op]} {ints} {x}, {y}"), ty)

    def bnot(self, inst: Inst) -> None:
        ty = self.type_of(inst.results[0])
        x, ints = self.as_ints(self.v(inst.args[0]), ty)
        self.from_ints(inst, self.new(f"xor {ints} {x}, {self.splat(ty, -1)}"), ty)

    def ineg(self, inst: Inst) -> None:
        ty = self.type_of(inst.results[0])
        self.set(inst, f"sub {type_text(ty)} {self.splat(ty, 0)}, {self.v(inst.args[0])}")

    def float_binary(self, inst: Inst) -> None:
        x, y = self.operands(inst)
        self.set(inst, f"{inst.op} {type_text(self.type_of(inst.args[0]))} {x}, {y}")

    def fneg(self, inst: Inst) -> None:
        self.set(inst, f"fneg {type_text(self.type_of(inst.args[0]))} {self.v(inst.args[0])}")

    def intrinsic(self, inst: Inst) -> None:
        ty = self.type_of(inst.results[0])
        name = INTRINSICS.get(inst.op) or FLAGGED[inst.op]
        flag = ["i1 false"] if inst.op in FLAGGED else []
        operands = [f"{type_text(ty)} {x}" for x in self.operands(inst)]
        self.set(inst, self.call(f"{name}.{mangled(ty)}", type_text(ty), *operands, *flag))

    def cls(self, inst: Inst) -> None:
        ty = self.type_of(inst.results[0])
        t, x = type_text(ty), self.v(inst.args[0])
        sign = self.new(f"ashr {t} {x}, {ty.bits - 1}")
        other = self.new(f"xor {t} {x}, {sign}")
        zeros = self.new(self.call(f"ctlz.{t}", t, f"{t} {other}", "i1 false"))
        self.set(inst, f"sub {t} {zeros}, 1")

    def amount(self, inst: Inst, ty: Type) -> str:
        """The shift's amount modulo the lanes' width, as a value of the type that is shifted."""
        given = self.type_of(inst.args[1])
        lane = by_name(f"i{ty.lane_bits}")
        x = self.new(f"and {given} {self.v(inst.args[1])}, {ty.lane_bits - 1}")
        if given.bits != lane.bits:
            x = self.new(f"{'trunc' if given.bits > lane.bits else 'zext'} {given} {x} to {lane}")
        return self.splatted(x, ty) if ty.is_vector else x

    def splatted(self, x: str, ty: Type) -> str:
        t, lane = type_text(ty), type_text(ty.lane)
        first = self.new(f"insertelement {t} poison, {lane} {x}, i32 0")
        return self.new(f"shufflevector {t} {first}, {t} poison, <{ty.lanes} x i32> zeroinitializer")

    def shift(self, inst: Inst) -> None:
        ty = self.type_of(inst.results[0])
        self.set(inst, f"{SHIFTS[inst.op]} {type_text(ty)} {self.v(inst.args[0])}, {self.amount(inst, ty)}")

    def rotate(self, inst: Inst) -> None:
        ty = self.type_of(inst.results[0])
        t, x = type_text(ty), self.v(inst.args[0])
        name = f"{ROTATIONS[inst.op]}.{mangled(ty)}"
        self.set(inst, self.call(name, t, f"{t} {x}", f"{t} {x}", f"{t} {self.amount(inst, ty)}"))

    def high_product(self, inst: Inst) -> None:
        ty = self.type_of(inst.results[0])
        if ty.lane_bits > 64:
            raise Refused(f"{inst.op} of {ty}")
        wide, extend = integers(2 * ty.lane_bits, ty.lanes), "zext" if inst.op == "umulhi" else "sext"
        x, y = (self.new(f"{extend} {type_text(ty)} {a} to {wide}") for a in self.operands(inst))
        product = self.new(f"mul {wide} {x}, {y}")
        high = self.new(f"lshr {wide} {product}, {all_lanes(2 * ty.lane_bits, ty.lanes, ty.lane_bits)}")
        self.set(inst, f"trunc {wide} {high} to {type_text(ty)}")

    def division(self, inst: Inst) -> None:
        ty = self.type_of(inst.results[0])
        t, (x, y) = type_text(ty), self.operands(inst)
        self.trap_if(self.new(f"icmp eq {t} {y}, 0"), "int_divz")
        if inst.op in ("sdiv", "srem"):
            least = self.new(f"icmp eq {t} {x}, {1 << ty.bits - 1}")
            minus = self.new(f"icmp eq {t} {y}, -1")
            both = self.new(f"and i1 {least}, {minus}")
            if inst.op == "sdiv":
                self.trap_if(both, "int_ovf")
            else:
                y = self.new(f"select i1 {both}, {t} 1, {t} {y}")
        self.set(inst, f"{inst.op} {t} {x}, {y}")

    def overflow(self, inst: Inst) -> None:
        ty = self.type_of(inst.results[0])
        t, (x, y) = type_text(ty), self.operands(inst)
        both = self.new(self.call(f"{OVERFLOWS[inst.op]}.with.overflow.{t}", f"{{ {t}, i1 }}", f"{t} {x}", f"{t} {y}"))
        self.set(inst, f"extractvalue {{ {t}, i1 }} {both}, 0")
        self.set(inst, f"zext i1 {self.new(f'extractvalue {{ {t}, i1 }} {both}, 1')} to i8", 1)

    def carry(self, inst: Inst) -> None:
        ty = self.type_of(inst.results[0])
        operation, extend = CARRIES[inst.op]
        t, wide = type_text(ty), f"i{ty.bits + 2}"
        x, y = (self.new(f"{extend} {t} {self.v(a)} to {wide}") for a in inst.args[:2])
        c = self.new(f"zext i1 {self.is_true(inst.args[2])} to {wide}")
        whole = self.new(f"{operation} {wide} {self.new(f'{operation} {wide} {x}, {y}')}, {c}")
        result = self.new(f"trunc {wide} {whole} to {t}")
        self.keep(inst, t, result)
        again = self.new(f"{extend} {t} {result} to {wide}")
        self.set(inst, f"zext i1 {self.new(f'icmp ne {wide} {whole}, {again}')} to i8", 1)

    def add_or_trap(self, inst: Inst) -> None:
        t, (x, y) = type_text(self.type_of(inst.results[0])), self.operands(inst)
        both = self.new(self.call(f"uadd.with.overflow.{t}", f"{{ {t}, i1 }}", f"{t} {x}", f"{t} {y}"))
        self.trap_if(self.new(f"extractvalue {{ {t}, i1 }} {both}, 1"), str(inst.imm))
        self.set(inst, f"extractvalue {{ {t}, i1 }} {both}, 0")

    def compare(self, inst: Inst) -> None:
        ty, (x, y) = self.type_of(inst.args[0]), self.operands(inst)
        word = f"fcmp {ORDERS[str(inst.imm)]}" if inst.op == "fcmp" else f"icmp {inst.imm}"
        truth = self.new(f"{word} {type_text(ty)} {x}, {y}")
        if ty.is_vector:
            self.set(inst, f"sext <{ty.lanes} x i1> {truth} to {type_text(ty.as_int())}")
        else:
            self.set(inst, f"zext i1 {truth} to i8")

    def cast(self, inst: Inst) -> None:
        of, to = self.type_of(inst.args[0]), self.type_of(inst.results[0])
        if of == to:
            self.keep(inst, type_text(of), self.v(inst.args[0]))
        else:
            self.set(inst, f"{CASTS[inst.op]} {type_text(of)} {self.v(inst.args[0])} to {type_text(to)}")

    def number(self, inst: Inst) -> None:
        of, to = self.type_of(inst.args[0]), self.type_of(inst.results[0])
        self.set(inst, f"{NUMBERS[inst.op]} {type_text(of)} {self.v(inst.args[0])} to {type_text(to)}")

    def saturating(self, inst: Inst) -> None:
        of, to = self.type_of(inst.args[0]), self.type_of(inst.results[0])
        name = f"{SATURATING[inst.op]}.{mangled(to)}.{mangled(of)}"
        self.set(inst, self.call(name, type_text(to), f"{type_text(of)} {self.v(inst.args[0])}"))

    def integer_of(self, inst: Inst) -> None:
        """A conversion that traps: first for NaN, then for what is out of range after truncation."""
        of, to = self.type_of(inst.args[0]), self.type_of(inst.results[0])
        t, x = type_text(of), self.v(inst.args[0])
        self.trap_if(self.new(f"fcmp uno {t} {x}, {x}"), "bad_toint")
        whole = self.new(self.call(f"trunc.{mangled(of)}", t, f"{t} {x}"))
        signed = inst.op == "fcvt_to_sint"
        lowest, highest = (-(1 << to.bits - 1), 1 << to.bits - 1) if signed else (0, 1 << to.bits)
        outside = [self.new(f"fcmp olt {t} {whole}, {self.float_of(of, lowest)}")]
        outside.append(self.new(f"fcmp oge {t} {whole}, {self.float_of(of, highest)}"))
        self.trap_if(self.new(f"or i1 {outside[0]}, {outside[1]}"), "int_ovf")
        self.set(inst, f"{'fptosi' if signed else 'fptoui'} {t} {x} to {type_text(to)}")

    def float_of(self, ty: Type, number: int) -> str:
        """The constant of zero or of a power of two, which is an infinity where the format has none."""
        if ty.lane_bits == 128:
            raise Refused("a conversion of f128")
        sign, power = number < 0, abs(number).bit_length() - 1
        if ty.lane_bits == 16:
            return f"0xH{sign << 15 | (min(power, 16) + 15 << 10 if number else 0):04X}"
        beyond = power >= (128 if ty.lane_bits == 32 else 1024)
        return f"0x{sign << 63 | ((0x7FF if beyond else power + 1023) << 52 if number else 0):016X}"

    # Lanes

    def select(self, inst: Inst) -> None:
        c, x, y = inst.args
        t = type_text(self.type_of(x))
        self.set(inst, f"select i1 {self.is_true(c)}, {t} {self.v(x)}, {t} {self.v(y)}")

    def bitselect(self, inst: Inst) -> None:
        ty = self.type_of(inst.results[0])
        (c, ints), (x, _), (y, _) = (self.as_ints(self.v(a), ty) for a in inst.args)
        other = self.new(f"xor {ints} {c}, {self.splat(ty, -1)}")
        taken = self.new(f"and {ints} {x}, {c}")
        rest = self.new(f"and {ints} {y}, {other}")
        self.from_ints(inst, self.new(f"or {ints} {taken}, {rest}"), ty)

    def bmask(self, inst: Inst) -> None:
        self.set(inst, f"sext i1 {self.is_true(inst.args[0])} to {type_text(self.type_of(inst.results[0]))}")

    def split(self, inst: Inst) -> None:
        of, to = self.type_of(inst.args[0]), self.type_of(inst.results[0])
        x = self.v(inst.args[0])
        self.set(inst, f"trunc {of} {x} to {to}")
        self.set(inst, f"trunc {of} {self.new(f'lshr {of} {x}, {to.bits}')} to {to}", 1)

    def concat(self, inst: Inst) -> None:
        of, to = self.type_of(inst.args[0]), self.type_of(inst.results[0])
        low, high = (self.new(f"zext {of} {x} to {to}") for x in self.operands(inst))
        self.set(inst, f"or {to} {low}, {self.new(f'shl {to} {high}, {of.bits}')}")

    def lanes_splat(self, inst: Inst) -> None:
        ty = self.type_of(inst.results[0])
        self.keep(inst, type_text(ty), self.splatted(self.v(inst.args[0]), ty))

    def scalar_to_vector(self, inst: Inst) -> None:
        ty = self.type_of(inst.results[0])
        lane = type_text(ty.lane)
        self.set(inst, f"insertelement {type_text(ty)} zeroinitializer, {lane} {self.v(inst.args[0])}, i32 0")

    def insertlane(self, inst: Inst) -> None:
        ty, (x, y) = self.type_of(inst.results[0]), self.operands(inst)
        self.set(inst, f"insertelement {type_text(ty)} {x}, {type_text(ty.lane)} {y}, i32 {inst.imm}")

    def extractlane(self, inst: Inst) -> None:
        self.set(inst, f"extractelement {type_text(self.type_of(inst.args[0]))} {self.v(inst.args[0])}, i32 {inst.imm}")

    def shuffle(self, inst: Inst) -> None:
        x, y = self.operands(inst)
        assert isinstance(inst.imm, tuple)
        mask = ", ".join(f"i32 {lane}" for lane in inst.imm)
        self.set(inst, f"shufflevector <16 x i8> {x}, <16 x i8> {y}, <16 x i32> <{mask}>")

    def swizzle(self, inst: Inst) -> None:
        x, y = self.operands(inst)
        found = "zeroinitializer"
        for lane in range(16):
            index = self.new(f"extractelement <16 x i8> {y}, i32 {lane}")
            inside = self.new(f"icmp ult i8 {index}, 16")
            low = self.new(f"and i8 {index}, 15")
            taken = self.new(f"extractelement <16 x i8> {x}, i8 {low}")
            value = self.new(f"select i1 {inside}, i8 {taken}, i8 0")
            found = self.new(f"insertelement <16 x i8> {found}, i8 {value}, i32 {lane}")
        self.keep(inst, "<16 x i8>", found)

    def avg_round(self, inst: Inst) -> None:
        ty = self.type_of(inst.results[0])
        wide, t, one = integers(2 * ty.lane_bits, ty.lanes), type_text(ty), all_lanes(2 * ty.lane_bits, ty.lanes, 1)
        x, y = (self.new(f"zext {t} {a} to {wide}") for a in self.operands(inst))
        total = self.new(f"add {wide} {self.new(f'add {wide} {x}, {y}')}, {one}")
        self.set(inst, f"trunc {wide} {self.new(f'lshr {wide} {total}, {one}')} to {t}")

    def multiply_rounding(self, inst: Inst) -> None:
        ty = self.type_of(inst.results[0])
        t, n = type_text(ty), ty.lane_bits
        wide = integers(2 * n, ty.lanes)
        x, y = (self.new(f"sext {t} {a} to {wide}") for a in self.operands(inst))
        product = self.new(f"mul {wide} {x}, {y}")
        rounded = self.new(f"add {wide} {product}, {all_lanes(2 * n, ty.lanes, 1 << n - 2)}")
        shifted = self.new(f"ashr {wide} {rounded}, {all_lanes(2 * n, ty.lanes, n - 1)}")
        most = f"{wide} {all_lanes(2 * n, ty.lanes, (1 << n - 1) - 1)}"
        least = self.new(self.call(f"smin.v{ty.lanes}i{2 * n}", wide, f"{wide} {shifted}", most))
        self.set(inst, f"trunc {wide} {least} to {t}")

    def narrow(self, inst: Inst) -> None:
        ty, to = self.type_of(inst.args[0]), self.type_of(inst.results[0])
        signed, keeps = NARROWS[inst.op]
        t, half = type_text(ty), integers(to.lane_bits, ty.lanes)
        low, high = (-(1 << to.lane_bits - 1), (1 << to.lane_bits - 1) - 1) if keeps else (0, (1 << to.lane_bits) - 1)
        parts = []
        for x in self.operands(inst):
            if signed:
                x = self.new(self.call(f"smax.{mangled(ty)}", t, f"{t} {x}", f"{t} {self.splat(ty, low)}"))
            name = f"{'smin' if signed else 'umin'}.{mangled(ty)}"
            x = self.new(self.call(name, t, f"{t} {x}", f"{t} {self.splat(ty, high)}"))
            parts.append(self.new(f"trunc {t} {x} to {half}"))
        mask = ", ".join(f"i32 {n}" for n in range(to.lanes))
        self.set(inst, f"shufflevector {half} {parts[0]}, {half} {parts[1]}, <{to.lanes} x i32> <{mask}>")

    def picked(self, x: str, t: str, lanes: list[int]) -> str:
        mask = ", ".join(f"i32 {n}" for n in lanes)
        return self.new(f"shufflevector {t} {x}, {t} poison, <{len(lanes)} x i32> <{mask}>")

    def widen(self, inst: Inst) -> None:
        ty, to = self.type_of(inst.args[0]), self.type_of(inst.results[0])
        extend, half = WIDENS[inst.op]
        part = self.picked(self.v(inst.args[0]), type_text(ty), [n + half * to.lanes for n in range(to.lanes)])
        self.set(inst, f"{extend} {integers(ty.lane_bits, to.lanes)} {part} to {type_text(to)}")

    def pairwise(self, inst: Inst) -> None:
        ty, (x, y) = self.type_of(inst.args[0]), self.operands(inst)
        t = type_text(ty)
        halves = []
        for first in (0, 1):
            mask = ", ".join(f"i32 {n}" for n in range(first, 2 * ty.lanes, 2))
            halves.append(self.new(f"shufflevector {t} {x}, {t} {y}, <{ty.lanes} x i32> <{mask}>"))
        self.set(inst, f"add {t} {halves[0]}, {halves[1]}")

    def truths(self, inst: Inst) -> tuple[str, Type]:
        ty = self.type_of(inst.args[0])
        x, ints = self.as_ints(self.v(inst.args[0]), ty)
        return self.new(f"icmp ne {ints} {x}, {self.splat(ty, 0)}"), ty

    def any_true(self, inst: Inst) -> None:
        truth, ty = self.truths(inst)
        some = self.new(self.call(f"vector.reduce.or.v{ty.lanes}i1", "i1", f"<{ty.lanes} x i1> {truth}"))
        self.set(inst, f"zext i1 {some} to i8")

    def all_true(self, inst: Inst) -> None:
        truth, ty = self.truths(inst)
        every = self.new(self.call(f"vector.reduce.and.v{ty.lanes}i1", "i1", f"<{ty.lanes} x i1> {truth}"))
        self.set(inst, f"zext i1 {every} to i8")

    def high_bits(self, inst: Inst) -> None:
        ty, to = self.type_of(inst.args[0]), self.type_of(inst.results[0])
        x, ints = self.as_ints(self.v(inst.args[0]), ty)
        bits = self.new(f"icmp slt {ints} {x}, {self.splat(ty, 0)}")
        if self.big_endian:  # there lane 0 is the highest bit
            bits = self.picked(bits, f"<{ty.lanes} x i1>", [*range(ty.lanes - 1, -1, -1)])
        number = self.new(f"bitcast <{ty.lanes} x i1> {bits} to i{ty.lanes}")
        if ty.lanes == to.bits:
            self.keep(inst, str(to), number)
        else:
            self.set(inst, f"{'zext' if ty.lanes < to.bits else 'trunc'} i{ty.lanes} {number} to {to}")

    def promote_low(self, inst: Inst) -> None:
        low = self.picked(self.v(inst.args[0]), "<4 x float>", [0, 1])
        self.set(inst, f"fpext <2 x float> {low} to <2 x double>")

    def demote_vector(self, inst: Inst) -> None:
        half = self.new(f"fptrunc <2 x double> {self.v(inst.args[0])} to <2 x float>")
        mask = "<4 x i32> <i32 0, i32 1, i32 2, i32 3>"
        self.set(inst, f"shufflevector <2 x float> {half}, <2 x float> zeroinitializer, {mask}")

    def bitcast(self, inst: Inst) -> None:
        of, to = self.type_of(inst.args[0]), self.type_of(inst.results[0])
        x = self.v(inst.args[0])
        wants_big = inst.flags.endianness == "big"
        turns = of.lanes != to.lanes and wants_big != self.big_endian
        if turns and of.is_vector:
            x = self.picked(x, type_text(of), [*range(of.lanes - 1, -1, -1)])
        y = self.new(f"bitcast {type_text(of)} {x} to {type_text(to)}")
        if turns and to.is_vector:
            y = self.picked(y, type_text(to), [*range(to.lanes - 1, -1, -1)])
        self.keep(inst, type_text(to), y)

    # Constants

    def constant(self, inst: Inst) -> None:
        ty = self.type_of(inst.results[0])
        number = inst.imm
        if inst.op in ("vconst", "f128const"):
            assert isinstance(number, int)
            number = int.from_bytes(self.function.constants[number], "little")
        assert isinstance(number, int)
        lanes = [number >> at & ty.lane_mask for at in range(0, ty.bits, ty.lane_bits)]
        ints = integers(ty.lane_bits, ty.lanes)
        text = "<" + ", ".join(f"i{ty.lane_bits} {lane}" for lane in lanes) + ">" if ty.is_vector else str(lanes[0])
        self.set(inst, f"bitcast {ints} {text} to {type_text(ty)}")
