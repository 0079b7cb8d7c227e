"""x86-64: integers in registers and memory: moves, addition, logic, comparison, multiplication, division, conditions.

The one idea: what is the same for four widths is one loop over `WIDTHS`, which has the widths' encodings.
Source: Intel 64 and IA-32 Architectures Software Developer's Manual, volume 2; a row's section is the page there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from liftcheck.bits import build as b
from liftcheck.bits.term import Term, const
from liftcheck.isa.x64.insts.common import CONDITIONS, FALSE, RAX, RDX, inst, leave_open, say, top
from liftcheck.mach.rows.machine import Machine
from liftcheck.mach.rows.row import Meaning, Row, pure

WIDTHS: Final = ((64, "REX.W ", 1), (32, "", 1), (16, "66 ", 1), (8, "", 0))
"""Width, prefixes, what is added to the opcode of the byte form."""


def added(s: Machine, a: Term, c: Term, carry: Term | None = None) -> Term:
    """The sum, with its flags."""
    total = b.add(a, c)
    if carry is None:
        return say(s, total, b.ult(total, a), top(b.band(b.bxor(a, total), b.bxor(c, total))))
    total = b.add(total, b.zext(carry, a.lane))
    signs = b.band(b.bxor(a, total), b.bxor(c, total))
    out = top(b.bor(b.band(a, c), b.band(b.bor(a, c), b.bnot(total))))
    return say(s, total, out, top(signs))


def subtracted(s: Machine, a: Term, c: Term, borrow: Term | None = None) -> Term:
    """The difference, with its flags."""
    rest = b.sub(a, c)
    if borrow is None:  # said by comparisons, so that conditions are comparisons again
        return say(s, rest, b.ult(a, c), b.bxor(b.slt(a, c), top(rest)))
    rest = b.sub(rest, b.zext(borrow, a.lane))
    signs = b.band(b.bxor(a, c), b.bxor(a, rest))
    out = top(b.bor(b.band(b.bnot(a), c), b.band(b.bor(b.bnot(a), c), rest)))
    return say(s, rest, out, top(signs))


def logic(function: Callable[[Term, Term], Term]) -> Meaning:
    """A bitwise operation: carry and overflow are cleared."""
    return lambda s, a, c: say(s, function(a, c), FALSE, FALSE)


def compare(s: Machine, a: Term, c: Term) -> None:
    """The flags of a difference."""
    subtracted(s, a, c)


def test(s: Machine, a: Term, c: Term) -> None:
    """The flags of the bits that both have."""
    say(s, b.band(a, c), FALSE, FALSE)


ARITHMETIC: Final[tuple[tuple[str, int, Meaning], ...]] = (
    ("add", 0, added), ("or", 1, logic(b.bor)), ("adc", 2, lambda s, a, c: added(s, a, c, s.read("cf"))),
    ("sbb", 3, lambda s, a, c: subtracted(s, a, c, s.read("cf"))), ("and", 4, logic(b.band)), ("sub", 5, subtracted),
    ("xor", 6, logic(b.bxor)), ("cmp", 7, compare),
)  # fmt: skip
"""Name, number in the opcode, meaning."""


def _arithmetic() -> Iterator[Row]:
    for name, number, meaning in ARITHMETIC:
        mark, page = "" if name == "cmp" else "+", name.upper()
        for width, prefix, one in WIDTHS:
            base = 8 * number + one
            yield inst(f"{name} {mark}rm{width}, r{width}", f"{prefix}{base:02X} /r", meaning, page)
            yield inst(f"{name} {mark}r{width}, rm{width}", f"{prefix}{base + 2:02X} /r", meaning, page)
            yield from immediates(name, number, meaning, f"{mark}rm", width, prefix, page)
            short, size = ("s32to64", "id") if width == 64 else (f"i{width}", {32: "id", 16: "iw", 8: "ib"}[width])
            accumulator = {64: "rax", 32: "eax", 16: "ax", 8: "al"}[width]
            yield inst(f"{name} {accumulator}, {short}", f"{prefix}{base + 4:02X} {size}",
                       in_accumulator(width, meaning), page)  # fmt: skip


def in_accumulator(width: int, meaning: Meaning) -> Meaning:
    """The meaning with rax for the first operand."""

    def whole(s: Machine, c: Term) -> None:
        result = meaning(s, b.trunc(s.read(RAX), width), c)
        if result is not None:
            put(s, RAX, result)

    return whole


def put(s: Machine, place: int, value: Term) -> None:
    """Writes a register's part: 32 bits clear the rest, fewer keep it."""
    if value.bits >= 32:
        s.write(place, b.zext(value, 64))
    else:
        s.write_part(place, 0, value)


def immediates(
    name: str, number: int, meaning: Meaning, target: str, width: int, prefix: str, page: str, locked: bool = False
) -> Iterator[Row]:
    """The forms with an immediate, the short one first."""
    head = f"F0 {prefix}" if locked else prefix
    if width > 8:
        yield inst(f"{name} {target}{width}, s8to{width}", f"{head}83 /{number} ib", meaning, page)
    kind, size = ("s32to64", "id") if width == 64 else (f"i{width}", {32: "id", 16: "iw", 8: "ib"}[width])
    yield inst(f"{name} {target}{width}, {kind}", f"{head}{80 + (width > 8)} /{number} {size}", meaning, page)


def _test() -> Iterator[Row]:
    for width, prefix, one in WIDTHS:
        kind, size = ("s32to64", "id") if width == 64 else (f"i{width}", {32: "id", 16: "iw", 8: "ib"}[width])
        yield inst(f"test rm{width}, r{width}", f"{prefix}{0x84 + one:X} /r", test, "TEST")
        yield inst(f"test rm{width}, {kind}", f"{prefix}{0xF6 + one:X} /0 {size}", test, "TEST")
        accumulator = {64: "rax", 32: "eax", 16: "ax", 8: "al"}[width]
        yield inst(f"test {accumulator}, {kind}", f"{prefix}{0xA8 + one:X} {size}", in_accumulator(width, test), "TEST")


def same(s: Machine, a: Term) -> Term:
    """The operand itself."""
    return a


def _moves() -> Iterator[Row]:
    for width, prefix, one in WIDTHS:
        yield inst(f"mov >rm{width}, r{width}", f"{prefix}{0x88 + one:X} /r", same, "MOV")
        yield inst(f"mov >r{width}, rm{width}", f"{prefix}{0x8A + one:X} /r", same, "MOV")
        if width < 64:
            size = {32: "id", 16: "iw", 8: "ib"}[width]
            yield inst(f"mov >o{width}, i{width}", f"{prefix}{'B8' if one else 'B0'}+r {size}", same, "MOV")
            yield inst(f"mov >rm{width}, i{width}", f"{prefix}{0xC6 + one:X} /0 {size}", same, "MOV")
    yield inst("mov >rm64, s32to64", "REX.W C7 /0 id", same, "MOV")
    yield inst("movabs >o64, i64", "REX.W B8+r iq", same, "MOV")
    for width, prefix, _ in WIDTHS[:3]:
        byte = "rm8w" if width == 64 else "rm8"
        for name, extend, opcode in (("movzx", b.zext, 0xB6), ("movsx", b.sext, 0xBE)):
            yield inst(f"{name} >r{width}, {byte}", f"{prefix}0F {opcode:X} /r", widened(extend, width), name.upper())
            if width > 16:
                yield inst(f"{name} >r{width}, rm16", f"{prefix}0F {opcode + 1:X} /r", widened(extend, width),
                           name.upper())  # fmt: skip
        yield inst(f"lea >r{width}, m", f"{prefix}8D /r", truncated(width), "LEA")
    yield inst("data16 lea >r64, m", "66 REX.W 8D /r", truncated(64), "LEA")
    yield inst("movsxd >r64, rm32", "REX.W 63 /r", widened(b.sext, 64), "MOVSX")


def widened(extend: Callable[[Term, int], Term], width: int) -> Meaning:
    """Extension."""
    return lambda s, a: extend(a, width)


def truncated(width: int) -> Meaning:
    """The low bits."""
    return lambda s, a: b.trunc(a, width)


def _signs() -> Iterator[Row]:
    """Sign extension within rax and to rdx."""
    for name, prefix, width in (("cbw", "66 ", 16), ("cwde", "", 32), ("cdqe", "REX.W ", 64)):
        yield inst(name, f"{prefix}98", _doubled(width), "CBW")
    for name, prefix, width in (("cwd", "66 ", 16), ("cdq", "", 32), ("cqo", "REX.W ", 64)):
        yield inst(name, f"{prefix}99", _spread(width), "CWD")


def _doubled(width: int) -> Meaning:
    return lambda s: put(s, RAX, b.sext(b.trunc(s.read(RAX), width // 2), width))


def _spread(width: int) -> Meaning:
    def meaning(s: Machine) -> None:
        put(s, RDX, b.ashr(b.trunc(s.read(RAX), width), const(width - 1, width)))

    return meaning


# -- one operand


def negated(s: Machine, a: Term) -> Term:
    """0 - a; carry: it was not 0."""
    return subtracted(s, const(0, a.lane), a)


def stepped(by: int) -> Meaning:
    """One more or less; carry stays."""

    def meaning(s: Machine, a: Term) -> Term:
        result = b.add(a, const(by, a.lane))
        sign = b.band(b.bnot(a), result) if by > 0 else b.band(a, b.bnot(result))
        return say(s, result, None, top(sign))

    return meaning


def product(signed: bool) -> Callable[[Term, Term], Term]:
    """The whole product, of twice the width."""
    extend = b.sext if signed else b.zext
    return lambda a, c: b.mul(extend(a, 2 * a.lane), extend(c, 2 * a.lane))


def multiplied(width: int, signed: bool) -> Meaning:
    """rax times the operand, into rdx and rax (ax of bytes)."""

    def meaning(s: Machine, a: Term) -> None:
        whole = product(signed)(b.trunc(s.read(RAX), width), a)
        low, high = b.trunc(whole, width), b.extract(whole, width, width)
        lost = b.ne(b.sext(low, 2 * width), whole) if signed else b.nonzero(high)
        s.write("cf", lost)
        s.write("of", lost)
        leave_open(s, "pf", "zf", "sf")
        halves(s, low, high)

    return meaning


def halves(s: Machine, low: Term, high: Term) -> None:
    """Two results: rax and rdx; of bytes al and ah."""
    if low.bits == 8:
        s.write_part(RAX, 0, b.concat(high, low))
    else:
        put(s, RAX, low)
        put(s, RDX, high)


def divided(width: int, signed: bool) -> Meaning:
    """rdx:rax (ax of bytes) by the operand: quotient and remainder; it traps if the quotient does not fit."""
    divide, rest, extend = (b.sdiv, b.srem, b.sext) if signed else (b.udiv, b.urem, b.zext)

    def meaning(s: Machine, a: Term) -> None:
        high = b.extract(s.read(RAX), 8, 8) if width == 8 else b.trunc(s.read(RDX), width)
        whole, zero = b.concat(high, b.trunc(s.read(RAX), width)), b.bnot(b.nonzero(a))
        by = extend(b.ite(zero, const(1, width), a), 2 * width)
        quotient, remainder = divide(whole, by), rest(whole, by)
        low = b.trunc(quotient, width)
        lost = b.ne(extend(low, 2 * width), quotient) if signed else b.ule(a, high)
        s.trap(b.bor(zero, lost), "divide error")
        leave_open(s, "cf", "pf", "zf", "sf", "of")
        halves(s, low, b.trunc(remainder, width))

    return meaning


def signed_product(s: Machine, a: Term, c: Term) -> Term:
    """The low half; carry and overflow: it does not fit."""
    whole = product(True)(a, c)
    low = b.trunc(whole, a.lane)
    lost = b.ne(b.sext(low, 2 * a.lane), whole)
    s.write("cf", lost)
    s.write("of", lost)
    leave_open(s, "pf", "zf", "sf")
    return low


def _one() -> Iterator[Row]:
    for width, prefix, one in WIDTHS:
        byte, step = f"{prefix}{0xF6 + one:X}", f"{prefix}{0xFE + one:X}"
        yield inst(f"not +rm{width}", f"{byte} /2", pure(b.bnot), "NOT")
        yield inst(f"neg +rm{width}", f"{byte} /3", negated, "NEG")
        yield inst(f"mul rm{width}", f"{byte} /4", multiplied(width, False), "MUL")
        yield inst(f"imul rm{width}", f"{byte} /5", multiplied(width, True), "IMUL")
        yield inst(f"div rm{width}", f"{byte} /6", divided(width, False), "DIV")
        yield inst(f"idiv rm{width}", f"{byte} /7", divided(width, True), "IDIV")
        yield inst(f"inc +rm{width}", f"{step} /0", stepped(1), "INC")
        yield inst(f"dec +rm{width}", f"{step} /1", stepped(-1), "DEC")
        if width > 8:
            kind, size = ("s32to64", "id") if width == 64 else (f"i{width}", {32: "id", 16: "iw"}[width])
            yield inst(f"imul +r{width}, rm{width}", f"{prefix}0F AF /r", signed_product, "IMUL")
            yield inst(f"imul >r{width}, rm{width}, s8to{width}", f"{prefix}6B /r ib", signed_product, "IMUL")
            yield inst(f"imul >r{width}, rm{width}, {kind}", f"{prefix}69 /r {size}", signed_product, "IMUL")


def _conditional() -> Iterator[Row]:
    for code, (name, condition) in enumerate(CONDITIONS):
        for width, prefix, _ in WIDTHS[:3]:
            yield inst(f"cmov{name} +r{width}, rm{width}", f"{prefix}0F {0x40 + code:X} /r",
                       lambda s, a, c, f=condition: b.ite(f(s), c, a), "CMOVcc")  # fmt: skip
        yield inst(f"set{name} >rm8", f"0F {0x90 + code:X} /0", lambda s, f=condition: b.zext(f(s), 8), "SETcc")


def _nothing(s: Machine, *values: Term) -> None:
    """No operation."""


def _idle() -> Iterator[Row]:
    yield inst("nop", "90", _nothing, "NOP")
    yield inst("nop", "66 90", _nothing, "NOP")
    yield inst("nop h32", "0F 1F /0", _nothing, "NOP")
    yield inst("nop h16", "66 0F 1F /0", _nothing, "NOP")
    yield inst("endbr64", "F3 0F 1E FA", _nothing, "ENDBR64")


ROWS: Final[tuple[Row, ...]] = (
    *_moves(), *_arithmetic(), *_test(), *_signs(), *_one(), *_conditional(), *_idle(),
)  # fmt: skip
