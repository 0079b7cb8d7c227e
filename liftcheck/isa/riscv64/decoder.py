"""riscv64 instructions as data: RV64GC and the extensions that Cranelift knows, read from their encodings.

The one idea: where an instruction has its registers is fixed by its format, so a row of the table is a pattern and a
list of operand fields, and everything else follows. A compressed instruction is expanded to the instruction that it
stands for and read as that one. Rows are kept by major opcode and mask, so a lookup costs two or three dictionary
accesses. Vector instructions are in `vector`.

Legend of the operand fields, in the order of assembler text: a class (x, f, v), then the field (d 7…11, s 15…19,
t 20…24, u 27…31). Fields d are written, all others read; +vd is read too, ~vd is merged into (`Insn.merged`).
i, j, k, l, m, h, w, z: the immediates of I, S, B, U, J, a shift amount of 6 and of 5 bits, an unsigned one in field s.
r: the rounding mode, by its name.
A row with a size in bytes accesses memory at xs + i (loads) or xs + j (stores).

Only the integer register x0 is not a register. Floats are 64 bits wide (D); narrower ones are NaN-boxed. Rounding modes
and sticky bits are left out of floating-point instructions: only those that access the CSRs themselves name CONTROL.
Source: The RISC-V Instruction Set Manual, Volume I (20240411): chapters 2 to 30 and the listings of 37; Zfa (20),
Zicond (13), Zc (27), B (28), V (30). Not here: hypervisor, privileged and reserved instructions (`Insn.known`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

from liftcheck.bits.build import add, ashr, band, bor, bxor, concat, eq, extract, ite, lshr, sext, shl, sub, trunc, zext
from liftcheck.bits.term import Term, const, packed_const
from liftcheck.isa.riscv64.vector import VECTOR_ROWS, Row, vector_effect
from liftcheck.mach import insn as m
from liftcheck.mach.insn import Access, Effect, Insn, Load, Store, address, loaded, register, unknown
from liftcheck.mach.regs import NONE

_ISA: Final = "riscv64"
_SHIFTS: Final = {"d": 7, "s": 15, "t": 20, "u": 27}
_CLASSES: Final = {"x": 0, "f": 64, "v": 128}
_LINK: Final = 1


def _i(name: str, major: int, minor: int, fields: str = "xd xs i", size: int = 0) -> Row:
    return Row(name, 0x707F, minor << 12 | major, fields, size)


def _r(name: str, major: int, minor: int, seven: int, fields: str = "xd xs xt") -> Row:
    return Row(name, 0xFE00707F, seven << 25 | minor << 12 | major, fields)


def _unary(name: str, major: int, minor: int, top: int, fields: str = "xd xs") -> Row:
    """All twelve high bits belong to the opcode."""
    return Row(name, 0xFFF0707F, top << 20 | minor << 12 | major, fields)


def _shift(name: str, minor: int, six: int) -> Row:
    return Row(name, 0xFC00707F, six << 26 | minor << 12 | 0x13, "xd xs h")


_INTEGER: Final = (
    *(_i(name, 0x03, minor, "xd xs i", size) for minor, (name, size) in enumerate((
        ("lb", 1), ("lh", 2), ("lw", 4), ("ld", 8), ("lbu", 1), ("lhu", 2), ("lwu", 4)))),
    *(_i(name, 0x23, minor, "xt xs j", 1 << minor) for minor, name in enumerate(("sb", "sh", "sw", "sd"))),
    *(_i(name, 0x13, minor) for name, minor in (
        ("addi", 0), ("slti", 2), ("sltiu", 3), ("xori", 4), ("ori", 6), ("andi", 7))),
    _i("addiw", 0x1B, 0),
    Row("lui", 0x7F, 0x37, "xd l"), Row("auipc", 0x7F, 0x17, "xd l"),
    Row("jal", 0x7F, 0x6F, "xd m"), _i("jalr", 0x67, 0),
    *(_i(name, 0x63, minor, "xs xt k") for name, minor in (
        ("beq", 0), ("bne", 1), ("blt", 4), ("bge", 5), ("bltu", 6), ("bgeu", 7))),
    _i("fence", 0x0F, 0, ""), _i("fence.i", 0x0F, 1, ""),
    Row("ebreak", 0xFFFFFFFF, 0x100073, ""),
    *(_i(name, 0x73, minor, fields) for name, minor, fields in (
        ("csrrw", 1, "xd xs"), ("csrrs", 2, "xd xs"), ("csrrc", 3, "xd xs"),
        ("csrrwi", 5, "xd z"), ("csrrsi", 6, "xd z"), ("csrrci", 7, "xd z"))),
    _shift("slli", 1, 0), _shift("srli", 5, 0), _shift("srai", 5, 16), _shift("rori", 5, 24),
    _shift("bclri", 1, 18), _shift("bexti", 5, 18), _shift("binvi", 1, 26), _shift("bseti", 1, 10),
    *(_unary(name, 0x13, minor, top) for name, minor, top in (
        ("clz", 1, 0x600), ("ctz", 1, 0x601), ("cpop", 1, 0x602), ("sext.b", 1, 0x604), ("sext.h", 1, 0x605),
        ("orc.b", 5, 0x287), ("brev8", 5, 0x687), ("rev8", 5, 0x6B8))),
    _r("slliw", 0x1B, 1, 0, "xd xs w"), _r("srliw", 0x1B, 5, 0, "xd xs w"), _r("sraiw", 0x1B, 5, 32, "xd xs w"),
    _r("roriw", 0x1B, 5, 48, "xd xs w"),
    Row("slli.uw", 0xFC00707F, 2 << 26 | 1 << 12 | 0x1B, "xd xs h"),
    *(_unary(name, 0x1B, 1, top) for name, top in (("clzw", 0x600), ("ctzw", 0x601), ("cpopw", 0x602))),
    *(_r(name, 0x33, minor, seven) for name, seven, minor in (
        ("add", 0, 0), ("sll", 0, 1), ("slt", 0, 2), ("sltu", 0, 3), ("xor", 0, 4), ("srl", 0, 5), ("or", 0, 6),
        ("and", 0, 7), ("sub", 32, 0), ("sra", 32, 5), ("xnor", 32, 4), ("orn", 32, 6), ("andn", 32, 7),
        ("mul", 1, 0), ("mulh", 1, 1), ("mulhsu", 1, 2), ("mulhu", 1, 3), ("div", 1, 4), ("divu", 1, 5),
        ("rem", 1, 6), ("remu", 1, 7), ("pack", 4, 4), ("packh", 4, 7), ("clmul", 5, 1), ("clmulr", 5, 2),
        ("clmulh", 5, 3), ("min", 5, 4), ("minu", 5, 5), ("max", 5, 6), ("maxu", 5, 7), ("czero.eqz", 7, 5),
        ("czero.nez", 7, 7), ("sh1add", 16, 2), ("sh2add", 16, 4), ("sh3add", 16, 6), ("bset", 20, 1),
        ("bclr", 36, 1), ("bext", 36, 5), ("rol", 48, 1), ("ror", 48, 5), ("binv", 52, 1))),
    *(_r(name, 0x3B, minor, seven) for name, seven, minor in (
        ("addw", 0, 0), ("sllw", 0, 1), ("srlw", 0, 5), ("subw", 32, 0), ("sraw", 32, 5), ("mulw", 1, 0),
        ("divw", 1, 4), ("divuw", 1, 5), ("remw", 1, 6), ("remuw", 1, 7), ("add.uw", 4, 0), ("packw", 4, 4),
        ("sh1add.uw", 16, 2), ("sh2add.uw", 16, 4), ("sh3add.uw", 16, 6), ("rolw", 48, 1), ("rorw", 48, 5))),
    _unary("zext.h", 0x3B, 4, 0x080),
)  # fmt: skip

_AMO: Final = {0: "amoadd", 1: "amoswap", 3: "sc", 4: "amoxor", 8: "amoor", 12: "amoand", 16: "amomin", 20: "amomax",
               24: "amominu", 28: "amomaxu", 5: "amocas"}  # fmt: skip


def _atomics() -> Iterator[Row]:
    for minor, suffix in enumerate("bhwd"):
        for five, name in _AMO.items():
            fields = "+xd xs xt" if name == "amocas" else "xd xs xt"
            yield Row(f"{name}.{suffix}", 0xF800707F, five << 27 | minor << 12 | 0x2F, fields, 1 << minor)
        yield Row(f"lr.{suffix}", 0xF9F0707F, 2 << 27 | minor << 12 | 0x2F, "xd xs", 1 << minor)


ROUNDINGS: Final = ("rne", "rtz", "rdn", "rup", "rmm", "reserved", "reserved", "dyn")
_FORMATS: Final = {"s": 0, "d": 1, "h": 2, "q": 3}
_CONVERTED: Final = ("w", "wu", "l", "lu")


def _op_fp(name: str, five: int, form: int, fields: str, minor: int | None = None, second: int | None = None) -> Row:
    """OP-FP: funct5, the format, and what else belongs to the opcode: the rounding field, rs2."""
    mask, match = 0xFE00007F, five << 27 | form << 25 | 0x53
    if minor is not None:
        mask, match = mask | 0x7000, match | minor << 12
    if second is not None:
        mask, match = mask | 0x1F00000, match | second << 20
    return Row(name, mask, match, fields)


def _floats() -> Iterator[Row]:
    for minor, (suffix, size) in {1: ("h", 2), 2: ("w", 4), 3: ("d", 8)}.items():
        yield _i(f"fl{suffix}", 0x07, minor, "fd xs i", size)
        yield _i(f"fs{suffix}", 0x27, minor, "ft xs j", size)
    for suffix, form in _FORMATS.items():
        for name, major in (("fmadd", 0x43), ("fmsub", 0x47), ("fnmsub", 0x4B), ("fnmadd", 0x4F)):
            yield Row(f"{name}.{suffix}", 0x0600007F, form << 25 | major, "fd fs ft fu r")
        for five, name in enumerate(("fadd", "fsub", "fmul", "fdiv")):
            yield _op_fp(f"{name}.{suffix}", five, form, "fd fs ft r")
        for name, five, minor in (
            ("fsgnj", 4, 0),
            ("fsgnjn", 4, 1),
            ("fsgnjx", 4, 2),
            ("fmin", 5, 0),
            ("fmax", 5, 1),
            ("fminm", 5, 2),
            ("fmaxm", 5, 3),
        ):
            yield _op_fp(f"{name}.{suffix}", five, form, "fd fs ft", minor)
        for name, minor in (("fle", 0), ("flt", 1), ("feq", 2), ("fleq", 4), ("fltq", 5)):
            yield _op_fp(f"{name}.{suffix}", 20, form, "xd fs ft", minor)
        yield from _conversions(suffix, form)


def _conversions(suffix: str, form: int) -> Iterator[Row]:
    yield _op_fp(f"fsqrt.{suffix}", 11, form, "fd fs r", None, 0)
    yield _op_fp(f"fround.{suffix}", 8, form, "fd fs r", None, 4)
    yield _op_fp(f"froundnx.{suffix}", 8, form, "fd fs r", None, 5)
    for other, second in _FORMATS.items():
        if other != suffix:
            yield _op_fp(f"fcvt.{suffix}.{other}", 8, form, "fd fs r", None, second)
    for second, integer in enumerate(_CONVERTED):
        yield _op_fp(f"fcvt.{integer}.{suffix}", 24, form, "xd fs r", None, second)
        yield _op_fp(f"fcvt.{suffix}.{integer}", 26, form, "fd xs r", None, second)
    moved = "w" if suffix == "s" else suffix
    yield _op_fp(f"fmv.x.{moved}", 28, form, "xd fs", 0, 0)
    yield _op_fp(f"fclass.{suffix}", 28, form, "xd fs", 1, 0)
    yield _op_fp(f"fmv.{moved}.x", 30, form, "fd xs", 0, 0)
    yield _op_fp(f"fli.{suffix}", 30, form, "fd z", 0, 1)
    if suffix == "d":
        yield _op_fp("fcvtmod.w.d", 24, form, "xd fs", 1, 8)


def _by_major(rows: Iterator[Row]) -> dict[int, tuple[tuple[int, dict[int, Row]], ...]]:
    """Rows by major opcode and mask, the longest masks first."""
    found: dict[int, dict[int, dict[int, Row]]] = {}
    for row in rows:
        found.setdefault(row.match & 0x7F, {}).setdefault(row.mask, {})[row.match] = row
    return {
        major: tuple(sorted(masks.items(), key=lambda item: -item[0].bit_count())) for major, masks in found.items()
    }


def rows() -> Iterator[Row]:
    """The whole table."""
    yield from _INTEGER
    yield from _atomics()
    yield from _floats()
    yield from VECTOR_ROWS


_TABLE: Final = _by_major(rows())


# -- reading


def read(window: bytes) -> Insn:
    """The instruction that `window` begins with."""
    size = 4 if window[0] & 3 == 3 else 2
    if len(window) < size:
        return unknown(len(window))
    word = int.from_bytes(window[:size], "little")
    if word == 0:
        return Insn(2, "c.unimp", "", frozenset(), frozenset(), m.TRAP)
    full = word if size == 4 else expand(word)
    if full is None:
        return unknown(size)
    return _read(full) if size == 4 else _read(full)._replace(size=2)


def row_of(word: int) -> Row | None:
    """The table's row for a 32-bit instruction."""
    for mask, rows in _TABLE.get(word & 0x7F, ()):
        row = rows.get(word & mask)
        if row is not None:
            return row
    return None


class _Operands(NamedTuple):
    """What the fields of an instruction say. `registers`: places by field, -1 for x0."""

    registers: dict[str, int]
    immediate: int
    reads: set[int]
    writes: set[int]
    merged: set[int]
    twice: set[int]
    text: str


def _read(word: int) -> Insn:
    row = row_of(word)
    if row is None:
        return unknown(4)
    o = _operands(word, row)
    accesses = _memory(row, o)
    if row.match & 0x7F == 0x73 and row.fields:
        o.reads.add(m.CONTROL)
        o.writes.add(m.CONTROL)
    if row.vector:
        (o.writes if row.name.startswith("vset") else o.reads).add(m.VECTOR_CONFIGURATION)
    flow, target = _flow(row, o)
    effect = vector_effect(row, word, o.registers) if row.of_vectors else _effect(row, o)
    return Insn(
        4,
        row.name,
        o.text,
        frozenset(o.reads),
        frozenset(o.writes),
        flow,
        effect,
        target,
        accesses,
        True,
        frozenset(o.merged),
        twice=frozenset(o.twice),
    )


def _operands(word: int, row: Row) -> _Operands:
    registers: dict[str, int] = {}
    reads: set[int] = set()
    writes: set[int] = set()
    merged: set[int] = set()
    twice: set[int] = set()
    texts, immediate = [], 0
    for field in row.fields.split():
        kind, base = field.lstrip("+~"), 0
        if kind == "r":
            texts.append(ROUNDINGS[word >> 12 & 7])
            continue
        if len(kind) == 1:
            immediate = _IMMEDIATES[kind](word)
            texts.append(str(immediate))
            continue
        number = word >> _SHIFTS[kind[1]] & 31
        texts.append(f"{kind[0]}{number}")
        base = _CLASSES[kind[0]] + number if kind[0] != "x" or number else NONE
        registers[kind[1]] = base
        if base == NONE:
            continue
        written = kind[1] == "d" and not row.stores
        if base in reads and (not written or field[0] in "+~"):
            twice.add(base)
        for count in range(row.registers):
            (writes if written else reads).add(base + count if kind[0] == "v" else base)
        if field[0] in "+~":
            reads.add(base)
        if field[0] == "~":
            merged.add(base)
    if row.vector and row.masked and not word >> 25 & 1:
        reads.add(_CLASSES["v"])
        texts.append("v0.t")
        if row.masked == 1:
            merged.update(writes - reads)
            reads.update(writes)
    return _Operands(registers, immediate, reads, writes, merged, twice, ", ".join(texts))


def _signed(value: int, bits: int) -> int:
    return value - (1 << bits) if value >> bits - 1 else value


def _immediate_k(word: int) -> int:
    value = (word >> 31) << 12 | (word >> 7 & 1) << 11 | (word >> 25 & 63) << 5 | (word >> 8 & 15) << 1
    return _signed(value, 13)


def _immediate_m(word: int) -> int:
    value = (word >> 31) << 20 | (word >> 12 & 255) << 12 | (word >> 20 & 1) << 11 | (word >> 21 & 1023) << 1
    return _signed(value, 21)


_IMMEDIATES: Final[dict[str, Callable[[int], int]]] = {
    "i": lambda word: _signed(word >> 20, 12),
    "j": lambda word: _signed(word >> 25 << 5 | word >> 7 & 31, 12),
    "k": _immediate_k,
    "l": lambda word: _signed(word >> 12 << 12, 32),
    "m": _immediate_m,
    "h": lambda word: word >> 20 & 63,
    "w": lambda word: word >> 20 & 31,
    "z": lambda word: word >> 15 & 31,
}  # fmt: skip


def _memory(row: Row, o: _Operands) -> tuple[Access, ...]:
    if not row.size:
        return ()
    base = o.registers["s"]
    name = row.name
    atomic = row.match & 0x7F == 0x2F
    written = row.stores or row.match & 0x7F in (0x23, 0x27) or (atomic and not name.startswith("lr"))
    read_too = not written or (atomic and not name.startswith("sc"))
    if written:
        o.writes.add(m.MEMORY)
    if read_too:
        o.reads.add(m.MEMORY)
    return (Access(base, o.immediate, row.size, read_too, written),)


def _flow(row: Row, o: _Operands) -> tuple[int, int | None]:
    """Only jumps back to x1 are returns; a link in any register makes a call."""
    major = row.match & 0x7F
    if row.name == "ebreak":
        return m.TRAP, None
    if major == 0x63:
        return m.BRANCH, o.immediate
    if major == 0x6F:
        return (m.JUMP if o.registers["d"] == NONE else m.CALL), o.immediate
    if major == 0x67:
        if o.registers["d"] != NONE:
            return m.CALL, None
        return (m.RETURN if o.registers["s"] == _LINK and o.immediate == 0 else m.JUMP), None
    return m.ORDINARY, None


# -- exact meanings


def _source(place: int) -> Term:
    return const(0, 64) if place == NONE else register(_ISA, place)


def _word(term: Term) -> Term:
    return sext(trunc(term, 32), 64)


_WITH_IMMEDIATE: Final[dict[str, Callable[[Term, Term], Term]]] = {
    "addi": add, "xori": bxor, "ori": bor, "andi": band, "slli": shl, "srli": lshr, "srai": ashr,
    "addiw": lambda a, b: _word(add(a, b)),
    "slliw": lambda a, b: _word(shl(a, b)),
    "srliw": lambda a, b: sext(lshr(trunc(a, 32), trunc(b, 32)), 64),
    "sraiw": lambda a, b: sext(ashr(trunc(a, 32), trunc(b, 32)), 64),
    "slli.uw": lambda a, b: shl(zext(trunc(a, 32), 64), b),
}  # fmt: skip
_WITH_REGISTER: Final[dict[str, Callable[[Term, Term], Term]]] = {
    "add": add, "sub": sub, "and": band, "or": bor, "xor": bxor,
    "addw": lambda a, b: _word(add(a, b)),
    "subw": lambda a, b: _word(sub(a, b)),
    "add.uw": lambda a, b: add(zext(trunc(a, 32), 64), b),
}  # fmt: skip
_OF_ONE: Final[dict[str, Callable[[Term], Term]]] = {
    "sext.b": lambda a: sext(trunc(a, 8), 64),
    "sext.h": lambda a: sext(trunc(a, 16), 64),
    "zext.h": lambda a: zext(trunc(a, 16), 64),
    "fmv.x.d": lambda a: a,
    "fmv.d.x": lambda a: a,
    "fmv.x.w": lambda a: _word(a),
    "fmv.w.x": lambda a: _boxed(trunc(a, 32)),
    "fmv.x.h": lambda a: sext(trunc(a, 16), 64),
    "fmv.h.x": lambda a: _boxed(trunc(a, 16)),
}  # fmt: skip


def _boxed(value: Term) -> Term:
    """NaN boxing: ones above a narrow float."""
    return concat(packed_const(-1, 64 - value.bits, 1), value)


def _effect(row: Row, o: _Operands) -> Effect | None:
    name = row.name
    if row.size:
        return _memory_effect(row, o)
    target = o.registers.get("d", NONE)
    first, second = (o.registers.get(field, NONE) for field in "st")
    if name in _WITH_IMMEDIATE:
        value = _WITH_IMMEDIATE[name](_source(first), const(o.immediate, 64)) if o.immediate else _without(name, first)
    elif name in _WITH_REGISTER:
        value = _sum(name, first, second)
    elif name in _OF_ONE:
        value = _OF_ONE[name](_source(first))
    elif name == "lui":
        value = const(o.immediate, 64)
    elif name.startswith("fsgnj.") and first == second:
        narrow = {"d": 64, "s": 32, "h": 16}.get(name[-1])
        if narrow is None:
            return None
        value = _source(first) if narrow == 64 else _boxed(_unboxed(_source(first), narrow))
    elif row.match & 0x7F == 0x67 and target == NONE:
        return Effect(((m.PC, address(_ISA, first, o.immediate)),)) if first != NONE else None
    else:
        return None
    return Effect(((target, value),)) if target != NONE else Effect()


def _without(name: str, first: int) -> Term:
    """With an immediate of zero most are moves."""
    if name == "andi":
        return const(0, 64)
    return (
        _word(_source(first))
        if name in ("addiw", "slliw", "srliw", "sraiw")
        else (zext(trunc(_source(first), 32), 64) if name == "slli.uw" else _source(first))
    )


def _sum(name: str, first: int, second: int) -> Term:
    """`add rd, x0, rs` is what c.mv stands for."""
    if name in ("add", "or", "xor", "sub") and second == NONE:
        return _source(first)
    if name in ("add", "or", "xor") and first == NONE:
        return _source(second)
    return _WITH_REGISTER[name](_source(first), _source(second))


def _unboxed(value: Term, bits: int) -> Term:
    """A narrow float; what is not boxed is the canonical NaN (chapter 21.2)."""
    high = extract(value, bits, 64 - bits)
    nan = const(0x7FC00000 if bits == 32 else 0x7E00, bits)
    return ite(eq(high, packed_const(-1, 64 - bits, 1)), trunc(value, bits), nan)


_EXTENDED: Final = {"lb": True, "lh": True, "lw": True, "lbu": False, "lhu": False, "lwu": False, "ld": False}


def _memory_effect(row: Row, o: _Operands) -> Effect | None:
    if row.match & 0x7F == 0x2F:
        return None
    base = o.registers["s"]
    if base == NONE:
        return None
    where = address(_ISA, base, o.immediate)
    if row.match & 0x7F in (0x23, 0x27):
        value = _source(o.registers["t"])
        return Effect(stores=(Store(where, row.size, trunc(value, 8 * row.size)),))
    value = loaded(0, row.size)
    load = Load(value, where, row.size)
    target = o.registers["d"]
    if target == NONE:
        return Effect(loads=(load,))
    if row.name in _EXTENDED:
        wide = sext(value, 64) if _EXTENDED[row.name] else zext(value, 64)
    else:
        wide = value if row.size == 8 else _boxed(value)
    return Effect(((target, wide),), (load,))


# -- compressed instructions (chapter 27)


def expand(half: int) -> int | None:
    """The 32-bit instruction that a compressed one stands for; None for reserved ones."""
    return (_quadrant0, _quadrant1, _quadrant2)[half & 3](half, half >> 13 & 7)


def _enc_i(major: int, minor: int, rd: int, rs: int, immediate: int) -> int:
    return (immediate & 0xFFF) << 20 | rs << 15 | minor << 12 | rd << 7 | major


def _enc_s(major: int, minor: int, base: int, source: int, immediate: int) -> int:
    return (immediate >> 5 & 127) << 25 | source << 20 | base << 15 | minor << 12 | (immediate & 31) << 7 | major


def _enc_r(major: int, minor: int, seven: int, rd: int, rs: int, second: int) -> int:
    return seven << 25 | second << 20 | rs << 15 | minor << 12 | rd << 7 | major


def _enc_b(minor: int, rs: int, offset: int) -> int:
    high = (offset >> 12 & 1) << 6 | offset >> 5 & 63
    return high << 25 | rs << 15 | minor << 12 | (offset >> 1 & 15) << 8 | (offset >> 11 & 1) << 7 | 0x63


def _enc_j(rd: int, offset: int) -> int:
    high = (offset >> 20 & 1) << 19 | (offset >> 1 & 1023) << 9 | (offset >> 11 & 1) << 8 | offset >> 12 & 255
    return high << 12 | rd << 7 | 0x6F


def _quadrant0(half: int, three: int) -> int | None:
    low, base = half >> 2 & 7 | 8, half >> 7 & 7 | 8
    word = (half >> 10 & 7) << 3 | (half >> 6 & 1) << 2 | (half >> 5 & 1) << 6
    double = (half >> 10 & 7) << 3 | (half >> 5 & 3) << 6
    if three == 0:
        offset = (half >> 11 & 3) << 4 | (half >> 7 & 15) << 6 | (half >> 6 & 1) << 2 | (half >> 5 & 1) << 3
        return _enc_i(0x13, 0, low, 2, offset) if offset else None
    if three == 4:
        return _zcb_memory(half, low, base)
    major, minor, offset = {
        1: (0x07, 3, double),
        2: (0x03, 2, word),
        3: (0x03, 3, double),
        5: (0x27, 3, double),
        6: (0x23, 2, word),
        7: (0x23, 3, double),
    }[three]
    return _enc_i(major, minor, low, base, offset) if three < 4 else _enc_s(major, minor, base, low, offset)


def _zcb_memory(half: int, low: int, base: int) -> int | None:
    byte = half >> 6 & 1 | (half >> 5 & 1) << 1
    pair = (half >> 5 & 1) << 1
    match half >> 10 & 7:
        case 0:
            return _enc_i(0x03, 4, low, base, byte)
        case 1:
            return _enc_i(0x03, 1 if half >> 6 & 1 else 5, low, base, pair)
        case 2:
            return _enc_s(0x23, 0, base, low, byte)
        case 3:
            return None if half >> 6 & 1 else _enc_s(0x23, 1, base, low, pair)
    return None


def _quadrant1(half: int, three: int) -> int | None:
    rd, value = half >> 7 & 31, _signed((half >> 12 & 1) << 5 | half >> 2 & 31, 6)
    if three == 0:
        return _enc_i(0x13, 0, rd, rd, value)
    if three == 1:
        return _enc_i(0x1B, 0, rd, rd, value) if rd else None
    if three == 2:
        return _enc_i(0x13, 0, rd, 0, value)
    if three == 3:
        return _upper(half, rd, value)
    if three == 4:
        return _arithmetic(half, half >> 7 & 7 | 8, value)
    if three == 5:
        return _enc_j(0, _jump_offset(half))
    offset = (half >> 12 & 1) << 8 | (half >> 10 & 3) << 3 | (half >> 5 & 3) << 6 | (half >> 3 & 3) << 1
    return _enc_b(three - 6, half >> 7 & 7 | 8, _signed(offset | (half >> 2 & 1) << 5, 9))


def _upper(half: int, rd: int, value: int) -> int | None:
    """c.addi16sp, c.lui"""
    if value == 0:
        return None
    if rd != 2:
        return (value & 0xFFFFF) << 12 | rd << 7 | 0x37
    offset = (half >> 12 & 1) << 9 | (half >> 6 & 1) << 4 | (half >> 5 & 1) << 6 | (half >> 3 & 3) << 7
    return _enc_i(0x13, 0, 2, 2, _signed(offset | (half >> 2 & 1) << 5, 10))


def _jump_offset(half: int) -> int:
    offset = (half >> 12 & 1) << 11 | (half >> 11 & 1) << 4 | (half >> 9 & 3) << 8 | (half >> 8 & 1) << 10
    offset |= (half >> 7 & 1) << 6 | (half >> 6 & 1) << 7 | (half >> 3 & 7) << 1 | (half >> 2 & 1) << 5
    return _signed(offset, 12)


_TWO_REGISTERS: Final = {0: (0x33, 0, 32), 1: (0x33, 4, 0), 2: (0x33, 6, 0), 3: (0x33, 7, 0), 4: (0x3B, 0, 32),
                         5: (0x3B, 0, 0), 6: (0x33, 0, 1)}  # fmt: skip
"""c.sub c.xor c.or c.and c.subw c.addw c.mul"""


def _arithmetic(half: int, rd: int, value: int) -> int | None:
    shift = value & 63
    match half >> 10 & 3:
        case 0:
            return _enc_i(0x13, 5, rd, rd, shift)
        case 1:
            return _enc_i(0x13, 5, rd, rd, 16 << 6 | shift)
        case 2:
            return _enc_i(0x13, 7, rd, rd, value)
    which = (half >> 12 & 1) << 2 | half >> 5 & 3
    if which != 7:
        return _enc_r(*_TWO_REGISTERS[which], rd, rd, half >> 2 & 7 | 8)
    return {
        0: _enc_i(0x13, 7, rd, rd, 0xFF),
        1: _enc_i(0x13, 1, rd, rd, 0x604),
        2: _enc_i(0x3B, 4, rd, rd, 0x080),
        3: _enc_i(0x13, 1, rd, rd, 0x605),
        4: _enc_r(0x3B, 0, 4, rd, rd, 0),
        5: _enc_i(0x13, 4, rd, rd, -1),
    }.get(half >> 2 & 7)


def _quadrant2(half: int, three: int) -> int | None:
    rd, second = half >> 7 & 31, half >> 2 & 31
    word = (half >> 12 & 1) << 5 | (half >> 4 & 7) << 2 | (half >> 2 & 3) << 6
    double = (half >> 12 & 1) << 5 | (half >> 5 & 3) << 3 | (half >> 2 & 7) << 6
    match three:
        case 0:
            return _enc_i(0x13, 1, rd, rd, (half >> 12 & 1) << 5 | second)
        case 1:
            return _enc_i(0x07, 3, rd, 2, double)
        case 2:
            return _enc_i(0x03, 2, rd, 2, word) if rd else None
        case 3:
            return _enc_i(0x03, 3, rd, 2, double) if rd else None
        case 4:
            return _moves(half, rd, second)
        case 6:
            return _enc_s(0x23, 2, 2, second, (half >> 9 & 15) << 2 | (half >> 7 & 3) << 6)
    return _enc_s(0x27 if three == 5 else 0x23, 3, 2, second, (half >> 10 & 7) << 3 | (half >> 7 & 7) << 6)


def _moves(half: int, rd: int, second: int) -> int | None:
    """c.jr, c.mv, c.ebreak, c.jalr, c.add"""
    adds = half >> 12 & 1
    if second:
        return _enc_r(0x33, 0, 0, rd, rd if adds else 0, second)
    if rd == 0:
        return 0x00100073 if adds else None
    return _enc_i(0x67, 0, adds, rd, 0)
