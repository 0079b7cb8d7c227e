"""z14 instructions in Unicorn by the supplement: against meanings in Python, and against qemu where it is installed.

A tested function loads v2, v3, v4 from the data region, does the instruction into v1, stores v1 at 128 and the
condition code at 144.
"""

from __future__ import annotations

import itertools
import struct
from random import Random

import pytest
from support.examples import many, sparse
from support.runner_samples import SIGNATURE, opened, trampoline

from liftcheck import layout
from liftcheck.bits.floats import F32, F64, exact_add, exact_max, exact_min, is_nan
from liftcheck.case import FunctionCode, Outcome
from liftcheck.isa.s390x.insts.table import table
from liftcheck.isa.s390x.reader import read
from liftcheck.isa.s390x.sites import _flow, missed_conversion, missed_test, reachable
from liftcheck.isa.s390x.thunks import thunk_for
from liftcheck.mach.insn import BRANCH, CALL, JUMP, ORDINARY
from liftcheck.mach.rows.row import Row
from liftcheck.runners.base import Runner
from liftcheck.runners.link import link
from liftcheck.runners.pool import Job

LOADS = "e72020000006e73020100006e74020200006"
STORES = "b2220000e30020900024e7102080000e07fe"
FLOATS32 = [0, 1 << 31, 0x3F800000, 0xBF800000, 0x7F800000, 0xFF800000, 0x7FC00000, 1, 0x807FFFFF, 0x40490FDB,
            0x4B000001]  # fmt: skip
FLOATS64 = [0, 1 << 63, 0x3FF << 52, 0xBFF << 52, 0x7FF << 52, 0xFFF << 52, 0x7FF8 << 48, 1, 0x400921FB54442D18,
            0x433 << 52]  # fmt: skip


def run(runner: Runner, instruction: str, operands: list[tuple[bytes, bytes, bytes]]) -> list[Outcome]:
    function = FunctionCode("%f", bytes.fromhex(LOADS + instruction + STORES))
    image = link([[function]], "s390x")
    memories = [b"".join(row).ljust(layout.SLOT_SIZE, b"\0") for row in operands]
    inputs = [(layout.slot_address(k), 0, 0) for k in range(len(operands))]
    found = runner.run(image, [Job(trampoline("s390x"), image.entry(0, "%f"), SIGNATURE, inputs, memories)])[0]
    assert {outcome.kind for outcome in found} == {"returned"}
    return found


def lanes(outcome: Outcome, form: str) -> tuple[int, ...]:
    return struct.unpack(form, outcome.memory[128:144])


@pytest.mark.parametrize(
    ("instruction", "meaning"), [("e712301020ef", exact_max), ("e712301020ee", exact_min), ("e712300020e3", exact_add)]
)
def test_short_floats(instruction: str, meaning: object) -> None:
    assert callable(meaning)
    pairs = list(itertools.product(FLOATS32, repeat=2))
    rows = [pairs[k : k + 4] for k in range(0, len(pairs) - 3, 4)]
    operands = [
        (struct.pack(">4I", *(a for a, _ in row)), struct.pack(">4I", *(b for _, b in row)), bytes(16)) for row in rows
    ]
    for row, outcome in zip(rows, run(opened("unicorn", "s390x"), instruction, operands)):
        for (a, b), found in zip(row, lanes(outcome, ">4I")):
            expected = meaning(F32, a, b)
            assert found == expected or (is_nan(F32, found) and is_nan(F32, expected)), (hex(a), hex(b))


@pytest.mark.parametrize(("instruction", "meaning"), [("e712301030ef", exact_max), ("e712301030ee", exact_min)])
def test_long_floats(instruction: str, meaning: object) -> None:
    assert callable(meaning)
    rows = list(itertools.product(FLOATS64, repeat=2))
    operands = [(struct.pack(">2Q", a, b), struct.pack(">2Q", b, a), bytes(16)) for a, b in rows]
    for (a, b), outcome in zip(rows, run(opened("unicorn", "s390x"), instruction, operands)):
        for found, expected in zip(lanes(outcome, ">2Q"), (meaning(F64, a, b), meaning(F64, b, a))):
            assert found == expected or (is_nan(F64, found) and is_nan(F64, expected)), (hex(a), hex(b))


INTEGERS = [0, 1, 2, 3, 1 << 63, (1 << 64) - 1, (1 << 63) - 1, 1 << 31, (1 << 31) - 1, 0xFFFFFFFF, 0xB504F333,
            3037000500]  # fmt: skip


@pytest.mark.parametrize(("opcode", "size"), [("b9ed", 64), ("b9fd", 32)])
@pytest.mark.parametrize("registers", ["4023", "3023", "2023", "4022"])
def test_multiplication_sets_the_condition_code(opcode: str, size: int, registers: str) -> None:
    """msgrkc, msrkc: R3 second, then R1 and R2 of the four digits; the factors are loaded into r2 and r3."""
    target, left, right = int(registers[0], 16), int(registers[3], 16), int(registers[2], 16)
    body = (
        f"eb6ff0300024"
        f"b9040072"
        f"e32070000004"
        f"e33070080004"
        f"{opcode}{right:x}0{target:x}{left:x}"
        f"b2220010"
        f"e3{target:x}070800024"
        f"e31070880024"
        f"eb6ff0300004"
        f"07fe"
    )
    image = link([[FunctionCode("%f", bytes.fromhex(body))]], "s390x")
    rows = list(itertools.product(INTEGERS, repeat=2))
    memories = [struct.pack(">2Q", *row).ljust(layout.SLOT_SIZE, b"\0") for row in rows]
    inputs = [(layout.slot_address(k), 0, 0) for k in range(len(rows))]
    job = Job(trampoline("s390x"), image.entry(0, "%f"), SIGNATURE, inputs, memories)
    for row, outcome in zip(rows, opened("unicorn", "s390x").run(image, [job])[0]):
        a, b = (_signed(row[k - 2], size) for k in (left, right))
        product = a * b
        low = product & (1 << size) - 1
        result, code = struct.unpack(">2Q", outcome.memory[128:144])
        assert result & (1 << size) - 1 == low
        overflow = _signed(low, size) != product
        assert code >> 28 & 3 == (3 if overflow else 0 if low == 0 else 1 if product < 0 else 2), (row, hex(code))


@pytest.mark.parametrize("opcode", ["54", "56", "57"])
@pytest.mark.parametrize(("start", "end", "rotate"), [(0, 63, 0), (32, 47, 16), (40, 8, 3), (63, 63, 63)])
@pytest.mark.parametrize("registers", sparse(["23", "32", "22"], 2))
@pytest.mark.parametrize("name", ["unicorn", "qemu"])
def test_bits_are_tested_without_a_result(
    name: str, opcode: str, start: int, end: int, rotate: int, registers: str
) -> None:
    """rnsbg, rosbg, rxsbg with the test bit: CC 0 if the selected bits are all zero, else 1; no register changes."""
    body = (
        f"b9040072"
        f"e32070000004"
        f"e33070080004"
        f"ec{registers}{start | 0x80:02x}{end:02x}{rotate:02x}{opcode}"
        f"b2220010"
        f"e32070800024"
        f"e33070880024"
        f"e31070900024"
        f"07fe"
    )
    body = "eb6ff0300024" + body[:-4] + "eb6ff0300004" + "07fe"
    image = link([[FunctionCode("%f", bytes.fromhex(body))]], "s390x")
    random = Random(5)
    rows = [*itertools.product(INTEGERS[:6], repeat=2), *((random.getrandbits(64), 0) for _ in range(4))]
    memories = [struct.pack(">2Q", *row).ljust(layout.SLOT_SIZE, b"\0") for row in rows]
    inputs = [(layout.slot_address(k), 0, 0) for k in range(len(rows))]
    job = Job(trampoline("s390x"), image.entry(0, "%f"), SIGNATURE, inputs, memories)
    bits = range(start, end + 1) if start <= end else [*range(start, 64), *range(end + 1)]
    mask = sum(1 << 63 - bit for bit in bits)
    for row, outcome in zip(rows, opened(name, "s390x").run(image, [job])[0]):
        first, second = (row[int(digit) - 2] for digit in registers)
        turned = (second << rotate | second >> 64 - rotate) & (1 << 64) - 1 if rotate else second
        result = {"54": first & turned, "56": first | turned, "57": first ^ turned}[opcode] & mask
        left, right, code = struct.unpack(">3Q", outcome.memory[128:152])
        assert (left, right) == row
        assert code >> 28 & 3 == (1 if result else 0), (row, hex(code))


def test_a_test_of_bits_behind_a_jump_table_is_missed() -> None:
    assert missed_test(bytes.fromhex("c0100000000407f1ec23803f005707fe"))
    assert not missed_test(bytes.fromhex("ec23803f005707fe"))
    assert not missed_test(bytes.fromhex("c0100000000407f1ec23003f005707fe"))
    constants = "c05e531becabc05903578900"  # llihf and iilf, whose immediates look like a test
    assert not missed_test(bytes.fromhex(constants + "07fe"))
    assert missed_test(bytes.fromhex(constants + "07f1ec23803f005707fe"))


def _signed(value: int, size: int) -> int:
    value &= (1 << size) - 1
    return value - (1 << size) if value >> size - 1 else value


def test_bit_permute() -> None:
    random = Random(3)
    rows = [
        (random.randbytes(16), bytes(random.choice((random.randrange(128), 200)) for _ in range(16))) for _ in range(40)
    ]
    found = run(opened("unicorn", "s390x"), "e71230000085", [(a, b, bytes(16)) for a, b in rows])
    for (source, places), outcome in zip(rows, found):
        number = int.from_bytes(source, "big")
        picked = [number >> 127 - place & 1 if place < 128 else 0 for place in places]
        assert lanes(outcome, ">2Q") == (int("".join(map(str, picked)), 2), 0)


INSTRUCTIONS = {
    "vfssb": "e712300020e2", "vfmsb": "e712300020e7", "vfdsb": "e712300020e5", "wfasb": "e712300820e3",
    "vfsqsb": "e712000020ce", "vflcsb": "e712000020cc", "vfisb toward 0": "e712005020c7",
    "vfmasb": "e7123200408f", "vfmssb": "e7123200408e", "vfcesb": "e712300020e8", "vfchsbs": "e712301020eb",
    "vfchesb": "e712300020ea", "wfcsb": "e723000020cb", "wfksb": "e723000020ca", "vfmaxsb C++": "e712303020ef",
    "vfmindb C++": "e712303030ee", "vpopcth": "e71200001050", "vpopctf": "e71200002050", "vpopctg": "e71200003050",
    "vbperm": "e71230000085", "wfaxb": "e712300840e3", "wfdxb": "e712300840e5", "wfmxb": "e712300840e7",
    "wfcxb": "e723000040cb", "wflld": "e712000830c4", "wflrx": "e712000840c5", "vcgdb": "e712005030c2",
    "vclgdb": "e712005030c0", "wcgdb": "e712005830c2",
}  # fmt: skip


@pytest.mark.needs_qemu
@pytest.mark.parametrize("name", INSTRUCTIONS)
def test_like_qemu(name: str) -> None:
    """The result's bytes (NaNs made one, lanes that a single-lane form leaves open left out) and the condition code."""
    random = Random(name)
    operands = [(_vector(random), _vector(random), _vector(random)) for _ in range(60)]
    qemu, unicorn = (run(opened(runner, "s390x"), INSTRUCTIONS[name], operands) for runner in ("qemu", "unicorn"))
    doubles = ("wflrx", "vcgdb", "vclgdb", "wcgdb", "vfmindb C++")
    size = 8 if name in doubles else 16 if name in ("wfaxb", "wfdxb", "wfmxb", "wflld") else 4
    used = size if name.startswith("w") else 16
    for one, other in zip(qemu, unicorn):
        if not name.startswith(("wfc", "wfk")):
            left, right = (_canonical(outcome.memory[128 : 128 + used], size) for outcome in (one, other))
            assert left == right
        assert one.memory[144:152] == other.memory[144:152]


def _vector(random: Random) -> bytes:
    kind = random.randrange(4)
    if kind == 0:
        return struct.pack(">4I", *(random.choice(FLOATS32) for _ in range(4)))
    if kind == 1:
        return struct.pack(">2Q", *(random.choice(FLOATS64) for _ in range(2)))
    if kind == 2:
        exponent = random.choice((0, 0x3FFF, 0x4000, 0x4030, 0x7FFF, 0x3FFE))
        high = random.getrandbits(1) << 63 | exponent << 48 | random.getrandbits(48)
        return struct.pack(">QQ", high, random.getrandbits(64))
    return struct.pack(">4f", *(random.uniform(-1e6, 1e6) for _ in range(4)))


def _canonical(data: bytes, size: int) -> list[int | str]:
    top, fraction = {4: (255, 23), 8: (2047, 52), 16: (32767, 112)}[size]
    found: list[int | str] = []
    for at in range(0, len(data), size):
        value = int.from_bytes(data[at : at + size], "big")
        nan = value >> fraction & top == top and value & (1 << fraction) - 1
        found.append("nan" if nan else value)
    return found


def test_data_is_not_taken_for_code() -> None:
    """A `bras` over data, code after a jump, a jump table's target that is not known."""
    over = bytes.fromhex("a7150006b9ed3024b9ed3024b9ed302407fe")
    assert reachable(over, 0, len(over)) == [12]
    taken = bytes.fromhex("a7140004b9ed302407feb9ed3024")
    assert sorted(reachable(taken, 0, len(taken))) == [4]
    both = bytes.fromhex("a7140005b9ed302407feb9ed302407fe")
    assert sorted(reachable(both, 0, len(both))) == [4, 10]


def test_conversions_behind_jump_tables_are_told() -> None:
    assert missed_conversion(bytes.fromhex("c0100000000407f1b3a9502007fe"))
    assert not missed_conversion(bytes.fromhex("b3a9502007fe"))
    assert not missed_conversion(bytes.fromhex("c0100000000407f1b904002307fe"))


def encoding(rng: Random, row: Row) -> bytes:
    """An instruction of a row, its fields at random, often all zeros or ones."""
    rooms = row.encoding.rooms()
    return row.encoding.encode(
        {name: rng.choice((0, bits, bits & rng.getrandbits(32))) for name, bits in rooms.items()}
    )


def test_control_flow_is_that_of_the_rows() -> None:
    """What the supplement sees of every instruction without decoding it, and what the rows say."""
    rng = Random(1)
    for row in table().rows:
        for code in (encoding(rng, row) for _ in range(many(20))):
            machine = read(code)
            target = machine.target if machine.flow in (BRANCH, JUMP) else None
            falls = machine.flow in (ORDINARY, BRANCH, CALL)
            seen = _flow(code, 0, code[0], code[1])
            assert not machine.known or row.name == "svc" or seen == (target, falls), code.hex()


def test_control_goes_on_after_a_serialization() -> None:
    """bcr 15,0 branches nowhere."""
    code = bytes.fromhex("07f0b9ed302407fe")
    assert reachable(code, 0, len(code)) == [2]


def test_encodings_that_are_an_exception_have_no_thunk() -> None:
    """mgrk to an odd register, any code that is none: no traceback."""
    assert thunk_for(bytes.fromhex("b9ec302e")) and thunk_for(bytes.fromhex("b9ec30fe")) is None
    rng = Random(2)
    kinds = [code[0] for code in (encoding(rng, row) for row in table().rows)]
    made = [thunk_for(encoding(rng, row)[:5] + rng.randbytes(1)) for row in table().rows for _ in range(2)]
    random = [thunk_for(bytes((rng.choice(kinds),)) + rng.randbytes(5)) for _ in range(20_000)]
    assert any(made) and any(random)
