"""Part 2 of the validation of an allocation: the emitted bytes do what the allocation says.

The one idea: the code is cut into pieces, the own bytes of instructions and the bytes of the allocator's moves. A
move's bytes must have exactly the move's meaning; own bytes may read and write only what the allocation gives their
instruction (what they compute is the compiler's business and not asked here). Steps:

    layout               which bytes belong to which instruction or move, and what lies between
    moves                bytes against moves, over `mach.state` (equal_smt: by z3)
    accesses, operands   own bytes against operands
    called               own bytes that call
    lone                 instructions that `accesses` need not be asked about
    unborn               uses of values that nothing defines
    flags                who reads flags, and for whom they are written
    order                in which order own bytes read and write, on all ways through them
    bases                addresses that own bytes make
    framed, areas        accesses of the frame against what lies there
    handed, stacked      arguments and results on the stack against signatures
    links                what is linked with a symbol
    calls                what calls lose, tell unwinders, and how control leaves for another stack
    jumps, tables        jumps against blocks, by tables as well
    executed, frame      prologue and exits, executed and judged
    listed, widths,
    trapped, ways        own bytes against the compiler's texts
    slots                spill slots and saved words against everything else in the frame

Assumed: the meanings in the ISAs' tables and what `isa.abi` says of conventions. The compiler's offsets are not: a
wrong one leads to a refutation, not to a proof.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from liftcheck.bits.term import Term, value_of
from liftcheck.errors import Unsupported
from liftcheck.isa.abi import abi_named
from liftcheck.isa.base import isa_named
from liftcheck.mach.disassembly import named
from liftcheck.mach.insn import CALL, JUMP, VECTOR_CONFIGURATION, show
from liftcheck.mach.regs import NONE, SLOT, show_place
from liftcheck.mach.state import State, describe
from liftcheck.oracles.regalloc.code import (
    accesses,
    areas,
    frame,
    handed,
    jumps,
    links,
    order,
    slots,
    trapped,
    unborn,
    ways,
)
from liftcheck.oracles.regalloc.code.calls import Calls
from liftcheck.oracles.regalloc.code.frame_accesses import Rules
from liftcheck.oracles.regalloc.code.layout import LEAVES, Layout, Piece, Placed, idle
from liftcheck.oracles.regalloc.code.listed import Listing
from liftcheck.oracles.regalloc.code.moves import Difference, Sequences, Slots, same, size_of
from liftcheck.oracles.regalloc.code.problem import Problem
from liftcheck.oracles.regalloc.code.widths import Widths
from liftcheck.oracles.regalloc.source import Source
from liftcheck.oracles.regalloc.verdict import UNDECIDED, VALID, Counterexample, Counts, Verdict, refuted
from liftcheck.regalloc.allocation import Captured, Edit

SHOWN: Final = 12
"""Machine instructions that a counterexample lists at most."""


PROGRAM_READS: Final = "the program reads out of bounds"
PROGRAMS_FAULT: Final = "the program stores out of bounds"
"""It may do anything then: no fault of the allocation's."""


class Found(NamedTuple):
    """problems: in the order of the code; doubts: named reasons why something was not decided."""

    problems: list[Problem]
    doubts: list[str]
    counts: Counts


def check(isa: str, captured: Captured, source: Source | None = None, *, z3_only: bool = False) -> Verdict:
    """The verdict on one function's bytes. `source`: what its text says. `z3_only`: every comparison of moves with
    their code goes to z3."""
    started = time.process_time()
    found = examine(isa, captured, source, z3_only=z3_only)
    found.counts.seconds = time.process_time() - started
    if found.problems:
        return refuted(_example(isa, captured, found.problems[0]), found.counts)
    if found.doubts:
        reason = found.doubts[0]
        return Verdict(UNDECIDED, reason if reason == PROGRAMS_FAULT else f"code: {reason}", None, found.counts)
    return Verdict(VALID, counts=found.counts)


def examine(isa: str, captured: Captured, source: Source | None = None, *, z3_only: bool = False) -> Found:
    """Everything that is wrong or not decided. Where the compiler's version is not known: nothing, if nothing is by
    what one of the versions has its conventions do with arguments."""
    abi, version = abi_named(isa), captured.allocation.frame.get("version")
    asked = source is not None and not abi.popping.isdisjoint(source.spoken)
    pops = isinstance(version, tuple) and version >= abi.popping_since
    try:
        found = Examination(isa, captured, source, z3_only, abi.popping if asked and pops else frozenset()).run()
        if not found.problems or not asked or version:
            return found
        other = Examination(isa, captured, source, z3_only, abi.popping).run()
        return other if len(other.problems) < len(found.problems) else found
    except Unsupported as limit:
        return Found([], [limit.reason], Counts(instructions=len(captured.allocation.instructions)))


class Examination:
    """One function's check. Mutable, and used once."""

    def __init__(
        self, isa: str, captured: Captured, source: Source | None, z3_only: bool, popping: frozenset[str] = frozenset()
    ) -> None:
        self.isa: Final = isa
        self.code: Final = captured.code
        self.allocation: Final = captured.allocation
        self.layout: Final = Layout(isa, captured.code, captured.allocation)
        self.slots: Final = Slots()
        self.sequences: Final = Sequences(isa, self.slots)
        self.source: Final = source
        self.calls: Final = Calls(self.layout, captured.code, source, popping)
        self.rules: Final = Rules(isa, captured.allocation, self.calls)
        self.listing: Final = Listing(
            isa, captured.allocation, source.any_callee if source is not None else frozenset()
        )
        self.widths: Final = Widths(isa, captured.code, captured.allocation)
        self.problems: Final[list[Problem]] = []
        self.doubts: Final[list[str]] = []
        self.counts: Final = Counts(instructions=len(captured.allocation.instructions))
        self.own: Final[dict[int, Sequence[Placed]]] = {}
        self.labels: Final[dict[int, tuple[int, int]]] = {}
        """Where a block's label may stand: anywhere among idle instructions before its first piece."""
        self.z3_only: Final = z3_only
        self.vectors: Term | None = None
        """The vector configuration, where there is one and it is known."""
        self._unlisted: Final[list[Problem]] = []
        """Told where no rule says better what is wrong."""
        self._sized: Final = isa_named(isa).part(isa_named(isa).sized)

    def run(self) -> Found:
        """Everything in the order of the code."""
        blocks = self.layout.order
        self._prologue(self.layout.starts[blocks[0]] if blocks else 0)
        end, falls = self.layout.starts[blocks[0]] if blocks else 0, True
        for block in blocks:
            end, falls = self._block(block, end, falls)
        for block in jumps.not_there(self.layout, self.own, self.labels):
            del self.labels[block]
        self.problems.extend(self._frame())
        self.problems.extend(jumps.check(self.calls, self.layout, self.own, self.labels))
        self.problems.extend(unborn.check(self.allocation, self.rules.unborn, self.rules.abi.merging, self.own))
        self.problems.extend(
            links.check(self.layout.isa, self.own, [(r.offset, r.kind) for r in self.code.relocations])
        )
        linked = [r.offset for r in self.code.relocations]
        self.problems.extend(links.literals(self.isa, self.own, linked, len(self.code.code)))
        self._unlisted.extend(self.listing.displaced(self.slots.offsets))
        self._unlisted.extend(self.widths.check(self.listing.uncompared))
        self._unlisted.extend(trapped.check(self.layout, self.own))
        self._unlisted.extend(ways.addresses(self.layout, self.own, self.labels))
        self.problems.extend(() if self.problems else self._unlisted)
        self.problems.sort(key=lambda problem: problem.offset)
        if self.source is not None and self.source.strays:
            self.doubts.insert(0, PROGRAMS_FAULT)
        self.counts.uncompared = self.listing.uncompared
        return Found(self.problems, self.doubts, self.counts)

    def _prologue(self, end: int) -> None:
        code, reached = self.layout.code(0, end)
        self.counts.machine_instructions += len(code)
        if self._well_cut(Piece(NONE, NONE, 0, end), code, reached):
            self.own[NONE], self.vectors = self._configured(code)
            self.widths.note(NONE, code)
            vain = order.unread(self.own[NONE], self.rules.kept.scratch)
            if vain is not None:
                placed, place = vain
                self.problems.append(
                    Problem(accesses.IDLE, NONE, placed.offset, place, "", show(place, self.isa), (placed,))
                )

    def _block(self, block: int, end: int, falls: bool) -> tuple[int, bool]:
        """One block's pieces. `end`, `falls`: where the last piece before ended, and whether control goes on there."""
        last = self.allocation.blocks[block].end - 1
        self.rules.enter_block()
        if block:
            self.vectors = None
        for number, piece in enumerate(self.layout.pieces(block)):
            if not number:
                self.labels[block] = self.layout.idle_from(end, piece.start), piece.start
            if piece.start != end and falls and not self._gap(piece, end):
                continue
            code, reached = self.layout.code(piece.start, piece.end, piece.instruction == last and piece.edit == NONE)
            self.counts.machine_instructions += len(code)
            end = piece.end
            if not code or (not code[0].machine.writes and all(idle(machine) for _, machine in code)):
                end = piece.start  # of a jump into the next block nothing is left but where its label may stand
            elif not falls and self._left_out(block, piece, code):
                continue
            if code:
                over = piece.instruction != last and self.layout.goal(*code[-1]) == piece.end  # an island
                falls = over or code[-1].machine.flow not in LEAVES
            configured, vectors = (code, None) if self._sized is None else self._configured(code)
            if self._well_cut(piece, configured, reached):
                self._piece(piece, configured)
            self.vectors = vectors
        return end, falls

    def _left_out(self, block: int, piece: Piece, code: Sequence[Placed]) -> bool:
        """Whether a block's jump was left out, as everybody was sent on, and an island stands in its place: then
        nothing may lead there (a label, or what stands in front of it: `jumps`)."""
        row, at = self.allocation.blocks[block], piece.instruction
        if piece.edit != NONE or at != row.end - 1 or len(row.successors) != 1:
            return False
        if jumps.only_jumps(self.layout, block):
            if code[0].machine.flow == JUMP:
                return False
            del self.labels[block]
            return True
        return not self.allocation.instructions[at].operands and not jumps.led_to(self.layout, block, self.own)

    def _configured(self, code: Sequence[Placed]) -> tuple[Sequence[Placed], Term | None]:
        """Follow the vector configuration through these bytes (a move relies on what stands before it in its block):
        the instructions as they are under it, and the one after them."""
        if self._sized is None:
            return code, None
        known: Term | None = self.vectors
        found: Sequence[Placed] = code
        for at, (offset, machine) in enumerate(code):
            if known is not None and machine.accesses and VECTOR_CONFIGURATION in machine.reads:
                found = [*found[:at], Placed(offset, self._sized(machine, value_of(known))), *found[at + 1 :]]
            if machine.flow == CALL or VECTOR_CONFIGURATION in machine.writes:
                writes = dict(machine.effect.writes) if machine.effect is not None else {}
                value = writes.get(VECTOR_CONFIGURATION)
                known = value if value is not None and value.prim == "const" else None
        return found, known

    def _gap(self, piece: Piece, end: int) -> bool:
        """Bytes between two pieces that control runs through."""
        if end < piece.start and self.layout.idle_from(end, piece.start) == end:
            return True
        code, _ = self.layout.code(min(end, piece.start), piece.start)
        self._report("bytes that belong to nothing are executed", piece, NONE, "", "", code)
        return False

    def _well_cut(self, piece: Piece, code: Sequence[Placed], reached: int) -> bool:
        for _, machine in code:
            if not machine.known:
                self.doubts.append(f"an instruction is not in the tables: {machine.name}")
                return False
            if machine.reserved:
                self.doubts.append(f"bytes are not an instruction of the table: {machine.name}")
        if reached > piece.end:
            self._report("an instruction's bytes reach into the next one's", piece, NONE, "", "", code)
            return False
        return True

    def _piece(self, piece: Piece, code: Sequence[Placed]) -> None:
        self.widths.note(piece.instruction, code, piece.edit != NONE)
        if piece.edit == NONE:
            self.own[piece.instruction] = code
            self.problems.extend(self.rules.check(piece.instruction, code))
            self._unlisted.extend(self.listing.check(piece.instruction, code))
        else:
            self._move(piece, code)

    # Moves.

    def _move(self, piece: Piece, code: Sequence[Placed]) -> None:
        edit = self.allocation.edits[piece.edit]
        self.counts.obligations += 1
        self.rules.moved(code)
        place = edit.source if edit.source >= SLOT else edit.target
        if len(code) == 1 and not self.z3_only:
            distance = same(self.isa, code[0].machine, edit)
            if distance is not None and (
                place < SLOT or self.slots.note(place, distance + self.rules.shift, size_of(self.isa, edit))
            ):
                return
        self._execute(piece, edit, code)

    def _execute(self, piece: Piece, edit: Edit, code: Sequence[Placed]) -> None:
        """The general case: both executed, by normal forms and by z3."""
        moved = f"{show_place(edit.source, self.isa)} -> {show_place(edit.target, self.isa)}"
        after = self.sequences.code([m for _, m in code], self.vectors, self.rules.shift)
        if after is None:
            self._report("a move's code does something else than moving", piece, edit.target, moved, "", code)
            return
        if not self.sequences.learn(edit, after):
            self._report(
                "a spill slot is not where it was before",
                piece,
                max(edit.source, edit.target),
                self._lies(edit),
                "",
                code,
            )
            return
        wanted = self.sequences.move(edit)
        differences = self._judged(wanted, after)
        if differences:
            first = min(differences, key=lambda d: d.place != edit.target)
            shown = f"memory at sp + {first.offset}" if first.place == NONE else show(first.place, self.isa)
            self._report(
                _rule(edit, first),
                piece,
                first.place,
                f"{moved}: {shown} = {describe(first.expected)}",
                describe(first.found),
                code,
            )

    def _lies(self, edit: Edit) -> str:
        place = max(edit.source, edit.target)
        return f"{show_place(place, self.isa)} at sp + {self.slots.offsets.get(place)}"

    def _judged(self, wanted: State, after: State) -> list[Difference]:
        differences = self.sequences.differences(wanted, after)
        if not self.z3_only and not differences:
            return []
        from liftcheck.oracles.regalloc.code import equal_smt as smt

        if self.z3_only:
            differences = self.sequences.compared(wanted, after)
        self.counts.by_z3 += len(differences)
        return [d for d in differences if not smt.equal(d.expected, d.found)]

    # The rest.

    def _frame(self) -> Iterator[Problem]:
        if NONE not in self.own:
            return
        unwound = jumps.unwound(self.layout, self.calls, self.labels)
        checked = frame.check(self.isa, self.allocation, self.own, self.calls, unwound, self.z3_only)
        self.doubts.extend(checked.doubts)
        self.counts.by_z3 += checked.by_z3
        yield from checked.problems
        yield from self.rules.located(self.slots, checked.body)
        floor = max(self.calls.callee_area(), self.rules.results(checked.body))
        yield from slots.slot_problems(self.isa, self.allocation, self.slots, checked, floor)
        lowest = [low for low, _ in slots.explicit(self.allocation)]
        lowest += [*self.slots.offsets.values(), *checked.body.saved]
        low = min(lowest, default=checked.size or 0)
        yield from self.rules.unbalanced(checked.body, low)
        explicit = slots.explicit(self.allocation)
        yield from self.rules.stray_pointers(self.slots, explicit, low, checked.size or 0)
        reads: list[Problem] = []
        for problem in handed.check(self.rules, checked.body, low):
            if problem.rule == handed.HANDED and areas.free(self.rules):  # the program stores by its pointers
                self.doubts.append(PROGRAMS_FAULT)
            else:
                yield problem
        if checked.size is not None:
            loads = [*areas.arguments(self.rules, checked.body, checked.size)]
            reads += handed.given(self.rules, loads, areas.entry(self.rules, checked.size))
            reads += areas.outside(self.rules, self.slots, checked.body, explicit, checked.size, low)
        for problem in (*self.rules.stray_stores(self.slots, checked.body), *reads):
            if self.source is None:
                yield problem
            elif problem.rule in accesses.OVERSTORED and self.source.may_stray:
                self.doubts.append(PROGRAMS_FAULT)
            elif problem.rule in (areas.READS_OUTSIDE, handed.HANDED) and self.source.may_read:
                self.doubts.append(PROGRAM_READS)
            else:
                yield problem

    def _report(self, rule: str, piece: Piece, place: int, expected: str, found: str, code: Sequence[Placed]) -> None:
        self.problems.append(Problem(rule, piece.instruction, piece.start, place, expected, found, tuple(code)))


def _rule(edit: Edit, difference: Difference) -> str:
    """What a difference is called."""
    if difference.place == edit.target or (difference.place == NONE and edit.target >= SLOT):
        return "a spill does not store the value" if edit.target >= SLOT else "a move's target gets another value"
    return "a move's code changes something else"


def _example(isa: str, captured: Captured, problem: Problem) -> Counterexample:
    allocation = captured.allocation
    instruction = problem.instruction
    block = next((b for b, x in enumerate(allocation.blocks) if x.first <= instruction < x.end), 0)
    shown = [(offset, captured.code.code[offset : offset + m.size], m) for offset, m in problem.code[-SHOWN:]]
    code = [f"{offset:#06x}: {data.hex():<16} {named(isa, data, m)}" for offset, data, m in shown]
    text = allocation.instructions[instruction].text if instruction >= 0 else ""
    return Counterexample(
        problem.rule,
        block,
        (block,),
        instruction,
        text,
        problem.expected,
        problem.found,
        NONE,
        problem.place,
        code=tuple(code),
    )
