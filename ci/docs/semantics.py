"""Writes docs/clif-semantics.md from the table of meanings, so that the page and the interpreter cannot disagree.

python ci/docs/semantics.py            # after a change of a meaning; tests/clif/test_semantics_doc.py compares
"""

from __future__ import annotations

from pathlib import Path

from liftcheck.bits.show import text
from liftcheck.clif.opcodes import OPCODES, TYPE_SETS, TypeSet, variants
from liftcheck.clif.semantics import floats as semantics_float
from liftcheck.clif.semantics import integers
from liftcheck.clif.semantics import vectors as semantics_simd
from liftcheck.clif.semantics.meaning import meaning
from liftcheck.clif.types import I32, TYPES, Type

PAGE = Path(__file__).resolve().parents[2] / "docs" / "clif-semantics.md"

HEAD = """\
# What CLIF's opcodes compute

Written by `ci/docs/semantics.py` from the rows of `liftcheck/clif/semantics/*.py`: the interpreter's code, z3's
terms and this page come from the same statement. Memory, control flow and the effects of atomics are the
interpreter's.

How to read it. `x`, `y`, `z` are the operands in order; a row shows one typing (given first), the others are alike.
Operations work lane by lane. `+ - * << ~ & | ^ ==` are modulo the lane's width; `/u %u <u <=u >>u` read unsigned,
`/s %s <s <=s >>s` signed, `+f -f *f /f ==f <f <=f` IEEE floats rounded to nearest even; `::` puts high and low bits
together; `c ? a : b` chooses; `bits(x, from n)` cuts; `permute(x, y; …)` picks lanes of the concatenation, lane 0
first; `lookup(x, i)` gives zero where an index is out of range; `splat`, `reshape` make and recut vectors. Results
of opcodes with several are separated by `;`. Traps are tested first, in order; `user` is the instruction's own trap
code.

NaN: arithmetic gives the positive quiet NaN without payload. CLIF leaves the bits open, and comparisons of outcomes
allow for that; `fneg`, `fabs`, `fcopysign`, `bitcast` and moves keep the bits.
"""

IMMEDIATES = {"iconst": 7, "f16const": 0x3C00, "f32const": 0x3F80_0000, "f64const": 0x3FF << 52, "insertlane": 1,
              "extractlane": 1, "bitcast": "big", "shuffle": tuple(range(8, 24)),
              "extract_vector": 1, "icmp": "slt", "fcmp": "ult", "atomic_rmw_op": "nand"}  # fmt: skip
PREFERRED = ("i32", "f32", "i32x4", "i16x8", "i16x4", "i64", "f64", "i8x16")


def page() -> str:
    """The whole page."""
    parts = [HEAD]
    for title, rules in (
        ("Integers", integers.RULES),
        ("Floats", semantics_float.RULES),
        ("Vectors, constants, bitcast", semantics_simd.RULES),
    ):
        parts.append(f"\n## {title}\n\n| opcode | T | shown for | computes | traps |\n|---|---|---|---|---|\n")
        parts += [row(op) for op in rules]
    parts.append(conditions())
    return "".join(parts)


def row(op: str) -> str:
    """One opcode: its types, one typing, its terms, its traps."""
    shown, args, results = example(op)
    what = meaning(op, shown, args, results, immediate(op, results))
    imm = f" (immediate {IMMEDIATES[op]})" if op in IMMEDIATES else ""
    computes = "; ".join(text(r) for r in what.results) or "nothing"
    traps = ", ".join(f"{code} if {text(condition)}" for condition, code in what.traps)
    typing = f"{' '.join(t.name for t in args) or '()'} → {' '.join(t.name for t in results) or '()'}{imm}"
    return f"| `{op}` | {domain(op)} | {typing} | {cell(computes)} | {cell(traps)} |\n"


def cell(code: str) -> str:
    """Code inside a table."""
    return "`" + code.replace("|", "\\|") + "`" if code else ""


def example(op: str) -> tuple[Type | None, tuple[Type, ...], tuple[Type, ...]]:
    """The typing that the page shows."""
    if op == "atomic_rmw_op":
        return I32, (I32, I32), (I32,)
    if op == "extract_vector":
        return TYPES["i32x8"], (TYPES["i32x8"],), (TYPES["i32x4"],)
    chosen = min(variants(op), key=lambda v: [_rank(t) for t in (v.type, *v.arg_types)])
    if op == "bitcast":
        chosen = next(v for v in variants(op) if v.key == "bitcast.i32x4.i64x2")
    return chosen.type, chosen.arg_types, chosen.result_types


def _rank(ty: Type | None) -> int:
    return PREFERRED.index(ty.name) if ty and ty.name in PREFERRED else len(PREFERRED)


def immediate(op: str, results: tuple[Type, ...]) -> object:
    """The immediate that the page shows."""
    if op in ("vconst", "f128const"):
        return bytes(range(results[0].bytes))
    if op == "icmp_imm":
        return "slt", 7
    return IMMEDIATES.get(op, 7 if op in OPCODES and OPCODES[op].format.name == "BinaryImm64" else None)


def domain(op: str) -> str:
    """The types of T in words."""
    types = OPCODES[op].ctrl if op in OPCODES else TYPE_SETS["iB"]
    if not types:
        return "–"
    scalars, vectors = _widths({t for t in types if not t.is_vector}), _widths({t.lane for t in types if t.is_vector})
    return " and ".join(filter(None, (scalars, f"vectors of {vectors}" if vectors else "")))


def _widths(types: set[Type] | TypeSet) -> str:
    groups = []
    for letter in "if":
        widths = sorted(t.bits for t in types if t.name[0] == letter)
        if widths:
            groups.append(f"{letter}{widths[0]}" + (f"…{letter}{widths[-1]}" if len(widths) > 1 else ""))
    return ", ".join(groups)


def conditions() -> str:
    """The condition codes, as terms."""
    args = (I32, I32)
    rows = [
        f"| `icmp {code}` | {cell(text(meaning('icmp', I32, args, (TYPES['i8'],), code).results[0]))} |\n"
        for code in integers.CONDITIONS
    ]
    floats = (TYPES["f32"], TYPES["f32"])
    rows += [
        f"| `fcmp {code}` | {cell(text(meaning('fcmp', floats[0], floats, (TYPES['i8'],), code).results[0]))} |\n"
        for code in semantics_float.CONDITIONS
    ]
    rows += [
        f"| `atomic_rmw {code}` | {cell(text(meaning('atomic_rmw_op', I32, args, (I32,), code).results[0]))} |\n"
        for code in integers.RMW
    ]
    return "\n## Conditions and atomic operations\n\n| | computes |\n|---|---|\n" + "".join(rows)


def main() -> None:
    """Write the page."""
    PAGE.write_text(page(), encoding="utf-8")
    print(f"wrote {PAGE}")


if __name__ == "__main__":
    main()
