"""The engine of the rows: notation, decoding, encoding, text, meanings; on tables in the manner of four ISAs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pytest

from liftcheck.bits import build as b
from liftcheck.bits.term import Term, const
from liftcheck.errors import AssemblyError, InternalError
from liftcheck.isa.x64.insts import encoding as x64
from liftcheck.mach.rows.encoding import Fields, decoder, word
from liftcheck.mach.rows.evaluate import Runnable
from liftcheck.mach.rows.explain import explained
from liftcheck.mach.rows.kinds import Choice, Immediate, Kind, Register, Target, Value, number_of
from liftcheck.mach.rows.machine import Machine, NoMeaning, Registers
from liftcheck.mach.rows.program import assemble, bytes_of
from liftcheck.mach.rows.row import Row, alias, pure
from liftcheck.mach.rows.syntax import syntax
from liftcheck.mach.rows.table import Table, reads

NAMES = tuple(f"r{n}" for n in range(32))
PLACES = Registers((64,), (NAMES,), {"cc": 2, "z": 1})


def made(rows: list[Row], longest: int) -> Table:
    return Table(rows, decoder([row.encoding for row in rows]), PLACES, longest)


# -- fixed words, in the manner of aarch64


def bitmask(number: int, width: int) -> int | None:
    """N:immr:imms as the manual's DecodeBitMasks has it; None is reserved."""
    n, rotation, ones = number >> 12, number >> 6 & 63, number & 63
    length = (n << 6 | ~ones & 63).bit_length() - 1
    if length < 1 or (width == 32 and n):
        return None
    size = 1 << length
    run, by = (ones & size - 1) + 1, rotation & size - 1
    if run == size:
        return None
    element = (1 << run) - 1
    element = (element >> by | element << size - by) & (1 << size) - 1
    return sum(element << k for k in range(0, width, size))


class Bitmask(Kind):
    """An immediate of a logical instruction: one field of 13 bits."""

    def decode(self, fields: Fields) -> Value:
        return bitmask(fields["mask"], 64)

    def encode(self, value: Value) -> Mapping[str, int]:
        found = [number for number in range(1 << 13) if bitmask(number, 64) == value]
        if not found:
            raise AssemblyError(f"{value:#x} is no bitmask")
        return {"mask": found[0]}

    def show(self, value: Value) -> str:
        return f"#{value:#x}"

    def parse(self, text: str) -> Value:
        return number_of(text)

    def read(self, machine: Machine, value: Value) -> Term:
        return const(value, 64)


A64: dict[str, Kind] = {
    "xd": Register("rd", (*NAMES[:31], "xzr"), 0, 64, written=True, zero=31),
    "xn": Register("rn", (*NAMES[:31], "xzr"), 0, 64, zero=31),
    "xm": Register("rm", (*NAMES[:31], "xzr"), 0, 64, zero=31),
    "wd": Register("rd", tuple(f"w{n}" for n in range(32)), 0, 32, written=True, zero=31),
    "wn": Register("rn", tuple(f"w{n}" for n in range(32)), 0, 32, zero=31),
    "wm": Register("rm", tuple(f"w{n}" for n in range(32)), 0, 32, zero=31),
    "shift": Choice("sh", {0: "lsl", 1: "lsr", 2: "asr"}, default=0),
    "amount": Immediate("amount", 6, default=0),
    "mask": Bitmask(),
    "label": Target("label", 19, scale=4),
}
A64_WIDTHS = {"rd": 5, "rn": 5, "rm": 5, "sh": 2, "amount": 6}


def shifted_add(n: Term, m: Term, how: Term, amount: Term) -> Term:
    return b.add(n, [b.shl, b.lshr, b.ashr][how.params[0]](m, amount))  # type: ignore[index,call-overload]


def branch_if_zero(s: Machine, value: Term, target: Term) -> None:
    s.jump(target, b.eq(value, const(0, 64)))


def a64(template: str, picture: str, meaning: object, section: str = "C6") -> Row:
    return Row(syntax(template, A64), word(picture, A64_WIDTHS, "little"), meaning, section)  # type: ignore[arg-type]


ADD = a64("add xd, xn, xm{, shift #amount}", "1 0001011 sh 0 rm amount rn rd", pure(shifted_add))
AND = a64("and xd, xn, mask", "1 00 100100 mask:13 rn rd", pure(b.band))
ADDW = a64("add wd, wn, wm", "0 0001011 00 0 rm 000000 rn rd", pure(b.add))
CBZ = a64("cbz xn, label", "10110100 label:19 rn", branch_if_zero)
AARCH64 = made([ADD, AND, ADDW, CBZ], 4)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("add r0, r1, r2", "2000028b"),
        ("add r0, r1, r2, lsr #3", "200c428b"),
        ("add w3, w4, r5", None),
        ("and r1, r2, #0xff00ff00ff00ff00", "419c089200"[:8]),
        ("cbz r5, . - 8", "c5ffffb4"),
    ],
)
def test_aarch64_words(text: str, code: str | None) -> None:
    if code is None:
        with pytest.raises(AssemblyError, match="is not a register that can stand here"):
            AARCH64.assemble(text)
        return
    one = AARCH64.assemble(text)
    assert one.data.hex() == code
    assert AARCH64.decode(one.data) == one
    assert one.text == text


def test_a_narrow_write_clears_the_rest() -> None:
    effects = AARCH64.lift(AARCH64.assemble("add w1, w2, w3")).effects
    assert effects is not None
    outcome = Runnable(effects, PLACES).run(lambda place: {2: -1 & 2**64 - 1, 3: 2}[place], lambda a, n: 0, 0)  # type: ignore[index]
    assert outcome.writes[1].value == 1


# -- two, four and six bytes from the highest bit, in the manner of s390x

S390: dict[str, Kind] = {
    "r1": Register("r1", NAMES[:16], 0, 64, written=True),
    "r2": Register("r2", NAMES[:16], 0, 64),
    "w1": Register("r1", NAMES[:16], 0, 32, written=True, above="keep"),
    "w2": Register("r2", NAMES[:16], 0, 32),
    "b2": Register("b2", NAMES[:16], 0, 64, zero=0),
    "x2": Register("x2", NAMES[:16], 0, 64, zero=0),
    "d2": Immediate("d2", 20, signed=True),
}
S390_WIDTHS = {"r1": 4, "r2": 4, "b2": 4, "x2": 4}


def add_with_cc(s: Machine, a: Term, c: Term) -> Term:
    total = b.add(a, c)
    s.write("cc", b.ite(b.eq(total, const(0, total.lane)), const(0, 2), s.undefined(2)))
    return total


def s390(template: str, picture: str, meaning: object) -> Row:
    return Row(syntax(template, S390), word(picture, S390_WIDTHS, "big"), meaning, "7-1")  # type: ignore[arg-type]


AR = s390("ar +w1, w2", "0x1A r1 r2", add_with_cc)
AGR = s390("agr +r1, r2", "0xB908 ____ ____ r1 r2", add_with_cc)
LG = s390(
    "lg r1, d2(x2,b2)", "0xE3 r1 x2 b2 d2[11:0] d2[19:12] 0x04", lambda s, d, x, c: s.load(b.add(b.add(x, c), d), 8)
)
S390X = made([AR, AGR, LG], 6)


@pytest.mark.parametrize(
    ("text", "code"), [("ar r1, r2", "1a12"), ("agr r1, r15", "b908001f"), ("lg r3, -2(r0,r15)", "e330fffeff04")]
)
def test_s390x_words(text: str, code: str) -> None:
    one = S390X.assemble(text)
    assert one.data.hex() == code
    assert S390X.decode(bytes.fromhex(code) + b"\0\0\0\0") == one
    assert one.text == text


def test_a_narrow_write_keeps_the_rest_and_undefined_bits_are_told_apart() -> None:
    effects = S390X.lift(S390X.assemble("ar r1, r2")).effects
    assert effects is not None
    assert reads(effects, PLACES) == {1, 2}
    outcome = Runnable(effects, PLACES).run(lambda place: {1: 7 << 32 | 1, 2: 1}[place], lambda a, n: 0, 0)  # type: ignore[index]
    assert outcome.writes[1].value == 7 << 32 | 2
    assert outcome.writes["cc"].defined & 3 != 3
    outcome = Runnable(effects, PLACES).run(lambda place: {1: 7 << 32 | 1, 2: 2**32 - 1}[place], lambda a, n: 0, 0)  # type: ignore[index]
    assert outcome.writes["cc"] == (0, -1)


# -- bytes with prefixes


@dataclass(frozen=True)
class Address:
    base: int
    index: int
    scale: int
    disp: int
    wide: int = 0


class RegisterOrMemory(Kind):
    pattern = r"\[[^\]]*\]|\w+"

    def decode(self, fields: Fields) -> Value:
        if not fields["mem"]:
            return fields["rm"]
        return Address(fields["base"], fields["index"], fields["scale"], fields["disp"], fields.get("wide", 0))

    def encode(self, value: Value) -> Mapping[str, int]:
        if isinstance(value, int):
            return {"mem": 0, "rm": value}
        found = {name: getattr(value, name) for name in ("base", "index", "scale", "disp", "wide")}
        return {"mem": 1, **found}

    def show(self, value: Value) -> str:
        return NAMES[value] if isinstance(value, int) else f"[{NAMES[value.base]}]"

    def parse(self, text: str) -> Value:
        if text.startswith("["):
            return Address(NAMES.index(text[1:-1]), x64.NO_INDEX, 0, 0)
        return NAMES.index(text)

    def read(self, machine: Machine, value: Value) -> Term:
        return machine.read(value) if isinstance(value, int) else machine.load(machine.read(value.base), 8)

    def write(self, machine: Machine, value: Value, term: Term) -> None:
        if isinstance(value, int):
            machine.write(value, term)
        else:
            machine.store(machine.read(value.base), term)


X64: dict[str, Kind] = {
    "r": Register("reg", NAMES[:16], 0, 64, written=True),
    "s": Register("reg", NAMES[:16], 0, 64),
    "v": Register("vvvv", NAMES[:16], 0, 64),
    "rm": RegisterOrMemory(),
    "imm8": Immediate("imm", 8, signed=True),
}


def intel(template: str, picture: str, meaning: object = None) -> Row:
    return Row(syntax(template, X64), x64.opcode(picture), meaning, "3.2")  # type: ignore[arg-type]


X64_ROWS = [
    intel("add +rm, s", "REX.W 01 /r", pure(b.add)),
    intel("add +rm, imm8", "REX.W 83 /0 ib", pure(b.add)),
    intel("pshufb +r, rm", "66 0F 38 00 /r"),
    intel("andn r, v, rm", "VEX.L0.0F38.W1 F2 /r", pure(lambda v, m: b.band(b.bnot(v), m))),
    intel("ud2", "0F 0B"),
]
X86 = Table(X64_ROWS, x64.decoder([row.encoding for row in X64_ROWS]), PLACES, 15)  # type: ignore[misc]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("add r0, r1", "4801c8"),
        ("add [r4], r9", "4c010c24"),
        ("add [r13], r0", "49014500"),
        ("add r8, -1", "4983c0ff"),
        ("pshufb r9, r2", "66440f3800ca"),
        ("andn r0, r1, [r11]", "c4c2f0f203"),
        ("ud2", "0f0b"),
    ],
)
def test_x64_bytes(text: str, code: str) -> None:
    one = X86.assemble(text)
    assert one.data.hex() == code
    assert X86.decode(bytes.fromhex(code) + b"\x90") == one
    assert one.text == text


def test_a_long_displacement_stays_long() -> None:
    code = bytes.fromhex("48018424e8030000")  # add [rsp + 1000], rax
    for data in (code, bytes.fromhex("4801842408000000"), bytes.fromhex("48014c2408"), bytes.fromhex("48014c2400")):
        one = X86.decode(data)
        assert one is not None
        assert X86.encode(one.row, one.values).data == data


def test_a_memory_operand_is_loaded_and_stored() -> None:
    effects = X86.lift(X86.assemble("add [r4], r9")).effects
    assert effects is not None
    outcome = Runnable(effects, PLACES).run(lambda place: {4: 64, 9: 5}[place], lambda a, n: 7 if a == 64 else 0, 0)  # type: ignore[index]
    assert [(at, size, value.value) for at, size, value in outcome.stores] == [(64, 8, 12)]


# -- what is wrong is said


def test_an_alias_prints_instead_of_its_row_and_does_the_same() -> None:
    double = alias(ADD, "twice xd, xn, xm", A64, shift=0, amount=1)
    table = made([ADD, AND, double], 4)
    one = table.assemble("add r0, r1, r2, lsl #1")
    found = table.decode(one.data)
    assert found is not None
    assert (found.text, found.instruction) == ("twice r0, r1, r2", ADD)
    assert table.lift(found).effects == table.lift(one).effects
    with pytest.raises(InternalError, match="each operand"):
        alias(ADD, "twice xd, xn", A64, amount=1)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("ad r0, r1", "no instruction is called 'ad'; there are "),
        ("add r0, r1", "expected: add xd, xn, xm"),
        ("add r0, r1, r2, lsl #64", "64 cannot be encoded: 0 to 63"),
        ("add r0, r1, r2, ror #1", "'ror' is none of lsl, lsr, asr"),
        ("and r0, r1, #5", "0x5 is no bitmask"),
        ("cbz r0, . + 6", "6 cannot be encoded"),
        ("cbz r0, here", "'here' is not a number"),
    ],
)
def test_complaints(text: str, complaint: str) -> None:
    with pytest.raises(AssemblyError) as raised:
        AARCH64.assemble(text)
    assert complaint in str(raised.value)


@pytest.mark.parametrize("picture", ["0110 rq 0", "01", "1 rd[x] 000", "10000000 1000000"])
def test_pictures_that_are_none(picture: str) -> None:
    with pytest.raises(InternalError):
        word(picture, A64_WIDTHS, "little")


def test_what_nobody_has_said_is_not_guessed() -> None:
    lifted = X86.lift(X86.assemble("pshufb r0, r1"))
    assert lifted.effects is None
    assert lifted.lacking == "nobody has said what pshufb does"


def test_a_meaning_that_gives_too_little_is_a_mistake() -> None:
    bad = Row(ADDW.syntax, ADDW.encoding, lambda s, a, c: None)
    with pytest.raises(InternalError, match="0 results for 1"):
        bad.apply(Machine(PLACES, 4), (1, 2, 3))


def test_a_reason_is_kept() -> None:
    def refuse(s: Machine, *values: Term) -> Term:
        raise NoMeaning("no term has this rounding mode")

    table = made([Row(ADDW.syntax, ADDW.encoding, refuse)], 4)
    assert table.lift(table.assemble("add w0, w1, w2")).lacking == "no term has this rounding mode"


def test_programs_have_labels() -> None:
    text = """
    again:
        add r1, r1, r2      # a comment
        cbz r1, out
        cbz r2, again
    out:
    """
    assert bytes_of(assemble(AARCH64, text)).hex() == "2100028b410000b4c2ffffb4"
    with pytest.raises(AssemblyError, match=r"line 2: .*'nowhere' is not a number"):
        assemble(AARCH64, "add r1, r1, r2\ncbz r1, nowhere")


def test_bytes_that_are_no_instruction_are_stepped_over() -> None:
    code = bytes.fromhex("0f0bff4801c8")
    assert [(at, one.text if one else None) for at, one in X86.instructions(code)] == [
        (0, "ud2"),
        (2, None),
        (3, "add r0, r1"),
    ]


def test_a_part_that_is_used_often_is_explained_once() -> None:
    """Terms share parts: written out in full this one would have 2^60 of them."""

    def doubled(s: Machine, a: Term, c: Term) -> Term:
        for _ in range(60):
            a = b.add(b.bxor(a, c), a)
        return a

    table = made([Row(ADDW.syntax, ADDW.encoding, doubled)], 4)
    lines = explained(table.lift(table.assemble("add w0, w1, w2")), PLACES)
    assert len(lines) == 60
    assert lines[0].startswith("t1 = ")
