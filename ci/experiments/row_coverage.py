"""How much of the code that a compiler emits has rows: by occurrence, by mnemonic, and what lacks.

The one idea: the programs and settings of a campaign (same seed, same batches) are compiled and not run; each
function is walked from its beginning along direct jumps and branches, so that constants and jump tables, which lie
inside of functions, do not count (what only a jump table leads to does not either). An instruction is whole if its
row says what it does there, under the vector configuration that was set on the way. Each different instruction is
also encoded again, and its text assembled again.

    python ci/experiments/row_coverage.py --isa riscv64 [--batches 40] [--seed 1] [--text] [FILE ...]

Prints a line for each mnemonic that is not whole, then the shares; exit code 1 if an encoding or a text does not come
back. With files, these are compiled instead, under the targets of one batch. With --text, each different instruction's
text is compared with Capstone's, spelling apart (blanks, how numbers are written), and differences are counted by both
mnemonics.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from liftcheck.campaign.options import FuzzOptions
from liftcheck.campaign.planner import Planner
from liftcheck.case import FunctionCode
from liftcheck.clif.text.printer import print_module
from liftcheck.errors import AssemblyError, LiftcheckError
from liftcheck.isa import ISAS
from liftcheck.isa.base import isa_named
from liftcheck.mach.capstone import exactly
from liftcheck.mach.insn import BRANCH, JUMP, RETURN, TRAP, decode
from liftcheck.mach.rows.kinds import Target
from liftcheck.mach.rows.table import Decoded, Table


@dataclass
class Found:
    """Counts: instructions by mnemonic; those that are not whole, by mnemonic and reason."""

    instructions: Counter[str] = field(default_factory=Counter)
    lacking: Counter[tuple[str, str]] = field(default_factory=Counter)
    different: dict[bytes, Decoded] = field(default_factory=dict)


def compiled(isa: str, compiler: str, seed: int, batches: int) -> Iterator[FunctionCode]:
    """The functions of a campaign's first batches."""
    planner = Planner(FuzzOptions(isas=(isa,), compiler=compiler, seed=seed))
    opened = planner.open_compiler()
    try:
        for batch in range(batches):
            plan = planner.plan(batch)
            for case in plan.generate(None, []):
                for replies in opened.compile_text(print_module(case.module), plan.targets):
                    yield from (reply for reply in replies if isinstance(reply, FunctionCode))
    finally:
        opened.close()
        planner.runners.close()


def compiled_files(isa: str, compiler: str, files: Sequence[Path]) -> Iterator[FunctionCode]:
    """The functions of files, of those that a compiler takes."""
    planner = Planner(FuzzOptions(isas=(isa,), compiler=compiler))
    opened = planner.open_compiler()
    try:
        targets = planner.plan(0).targets
        for path in files:
            try:
                answers = list(opened.compile_text(path.read_text(encoding="utf-8"), targets))
            except LiftcheckError as error:
                print(f"{path.name} left out: {str(error).splitlines()[0]}", file=sys.stderr)
                continue
            for replies in answers:
                yield from (reply for reply in replies if isinstance(reply, FunctionCode))
    finally:
        opened.close()
        planner.runners.close()


def count(isa: str, table: Table, functions: Iterator[FunctionCode]) -> Found:
    """Walks the functions."""
    found = Found()
    for function in functions:
        _walk(isa, table, function.code, found)
    return found


def _walk(isa: str, table: Table, code: bytes, found: Found) -> None:
    follow = isa_named(isa).part(isa_named(isa).context)
    waiting: list[tuple[int, object]] = [(0, None)]
    seen: set[int] = set()
    while waiting:
        at, context = waiting.pop()
        while at not in seen and at < len(code):
            seen.add(at)
            flow = decode(isa, code, at, at + 1)[0]
            one = table.decode(code[at : at + table.longest])
            if one is None:
                name = flow.name if flow.known else f".bytes {code[at : at + 4].hex()}"
                found.lacking[name, "no row"] += 1
            else:
                name, lifted = one.instruction.name, table.lift(one, context)
                found.different[one.data] = one
                if lifted.effects is None:
                    found.lacking[name, lifted.lacking] += 1
                context = follow(lifted, context) if follow else None
            found.instructions[name] += 1
            if flow.flow in (BRANCH, JUMP) and flow.target is not None:
                waiting.append((at + flow.target, context))
            at = len(code) if flow.flow in (JUMP, RETURN, TRAP) else at + (one.size if one else flow.size)


def lost(table: Table, different: Sequence[Decoded]) -> list[str]:
    """Instructions whose bytes or text do not come back."""
    found = []
    for one in different:
        try:
            again, read = table.encode(one.row, one.values).data, table.assemble(one.text)
        except AssemblyError as error:
            found.append(f"{one.data.hex()} {one.text}: {error}")
            continue
        if again != one.data or not _same(table, read, one):
            found.append(f"{one.data.hex()} {one.text}: encoded {again.hex()}, assembled {read.data.hex()}")
    return found


def _same(table: Table, read: Decoded, one: Decoded) -> bool:
    """The bytes, or another encoding that does the same; or of the same text and another size (what is relative to the
    next instruction lies elsewhere then)."""
    if read.data == one.data or (read.size != one.size and read.text == one.text):
        return True
    return table.lift(read).effects == table.lift(one).effects


_NUMBER = re.compile(r"0x[0-9a-f]+|\b[0-9]+\b")


def spelled(text: str) -> str:
    """A text without blanks, its numbers as decimals."""
    return _NUMBER.sub(lambda found: str(int(found[0], 0)), text.lower().replace(" ", ""))


def against_capstone(isa: str, different: Sequence[Decoded]) -> None:
    """Prints how many texts differ from Capstone's, by mnemonics, each with an example. Jumps, whose targets Capstone
    has as addresses, are compared by their mnemonics."""
    apart: dict[tuple[str, str], list[str]] = {}
    for one in different:
        _, _, name, operands = next(exactly(isa).disasm_lite(one.data, 0), (0, 0, "nothing", ""))
        ours, theirs = one.text, f"{name} {operands}"
        if any(isinstance(operand.kind, Target) for operand in one.row.operands):
            ours, theirs = one.row.name, name
        if spelled(ours) != spelled(theirs):
            apart.setdefault((one.row.name, name), []).append(f"{one.data.hex()} {one.text} | {name} {operands}")
    for (ours, theirs), texts in sorted(apart.items(), key=lambda item: -len(item[1])):
        print(f"{len(texts)} of {ours} are {theirs} to Capstone: {texts[0]}")
    print(f"{sum(map(len, apart.values()))} of {len(different)} texts differ from Capstone's")


def main(argv: list[str]) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description="How much of what a compiler emits has rows.")
    parser.add_argument("--isa", required=True, choices=[isa for isa in ISAS if isa_named(isa).rows])
    parser.add_argument("--compiler", default="cranelift")
    parser.add_argument("--batches", type=int, default=40, help="batches of a campaign (default: 40)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--least", type=int, default=0, help="show a mnemonic that lacks so often (default: all)")
    parser.add_argument("--text", action="store_true", help="compare texts with Capstone's")
    parser.add_argument("files", nargs="*", type=Path, help="CLIF files (default: a campaign's programs)")
    options = parser.parse_args(argv)
    table: Table = isa_named(options.isa).part(isa_named(options.isa).rows)()
    if options.files:
        functions = compiled_files(options.isa, options.compiler, options.files)
    else:
        functions = compiled(options.isa, options.compiler, options.seed, options.batches)
    found = count(options.isa, table, functions)
    if options.text:
        against_capstone(options.isa, list(found.different.values()))
    for (name, reason), number in found.lacking.most_common():
        if number >= options.least:
            print(f"{name}: {number} of {found.instructions[name]}: {reason}")
    return summary(found, lost(table, list(found.different.values())))


def summary(found: Found, not_back: list[str]) -> int:
    """Prints the shares and what does not come back."""
    every, lacking = found.instructions.total(), found.lacking.total()
    names = len(found.instructions)
    never = {name for name, _ in found.lacking if _lacks(found, name) == found.instructions[name]}
    share = 100 * (every - lacking) / every if every else 0
    print(f"{every} instructions, {share:.3f} % whole; {names} mnemonics, {names - len(never)} of them whole somewhere")
    print(f"{len(found.different)} different instructions, {len(not_back)} do not come back")
    for line in not_back[:40]:
        print(f"    {line}")
    return int(bool(not_back))


def _lacks(found: Found, name: str) -> int:
    return sum(number for (other, _), number in found.lacking.items() if other == name)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
