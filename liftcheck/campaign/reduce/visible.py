"""Whether a program shows what may legally differ: the bits of an arithmetic NaN, or where its stack and code lie.

The one idea: the reducer may take out the instructions by which the generator made a NaN canonical. So every candidate
is checked: a value that arithmetic made (`liftcheck.nan.CREATES`), or that came into a function from a caller or a
callee, and that flows by moves into memory or an integer, is visible, unless its own unordered comparison masks its
NaNs out. Returned floats are fine: they are compared modulo NaN. Addresses of stack slots and functions are visible
where they, or what was computed from them, are returned or stored elsewhere than in the stack. It errs on the side of
'visible'.
"""

from __future__ import annotations

from typing import Final

from liftcheck import layout
from liftcheck.case import Case
from liftcheck.clif.cfg import edges
from liftcheck.clif.edit import values_read
from liftcheck.clif.ir import Function, Inst, Module
from liftcheck.clif.opcodes import OPCODES
from liftcheck.nan import CREATES, PROPAGATES, observed
from liftcheck.oracles.admissible import Opening, Prediction, Reference


def shows_nan_bits(module: Module, entry: int) -> bool:
    """Whether any function of the module does; the arguments of function `entry` are exact."""
    return any(_Taint(function, number == entry).shows() for number, function in enumerate(module.functions))


def prediction(case: Case, run: int, big_endian: bool, fuel: int) -> Prediction | None:
    """What CLIF leaves open of a run (`oracles.admissible`); None where this analysis excludes that anything is."""
    if not (shows_nan_bits(case.module, case.entry) or shows_addresses(case.module)):
        return None
    regions = {layout.slot_address(case.slot + run): case.memories[run]} if case.memories else None
    return Reference(case.module, big_endian).openness(case.entry, case.inputs[run], regions, fuel)


def left_open(case: Case, run: int, big_endian: bool, fuel: int) -> Opening | None:
    """What lets something show in a run that CLIF leaves open, if anything does."""
    found = prediction(case, run, big_endian, fuel)
    return found and found.opening


def exposed(module: Module, entry: int) -> list[tuple[int, int]]:
    """(number of a function, value) of what may legally differ and shows: NaNs whose bits do, addresses."""
    found: dict[tuple[int, int], None] = {}
    for number, function in enumerate(module.functions):
        found.update(((number, value), None) for value in _Taint(function, number == entry).exposed())
        found.update(((number, value), None) for value in _addresses_shown(function))
    return list(found)


def carriers(module: Module, entry: int) -> list[tuple[int, int]]:
    """(number of a function, value) of all that may legally differ, whether it shows or not."""
    found: list[tuple[int, int]] = []
    for number, function in enumerate(module.functions):
        insts = [inst for block in function.blocks for inst in block.insts]
        held = _Taint(function, number == entry).tainted | _addresses(function, insts)
        found += [(number, value) for value in sorted(held)]
    return found


class _Taint:
    """The analysis of one function."""

    def __init__(self, function: Function, is_entry: bool) -> None:
        self.function = function
        self.insts = [inst for block in function.blocks for inst in block.insts]
        self.made = {result: inst for inst in self.insts for result in inst.results}
        first = () if is_entry else function.blocks[0].params
        self.tainted = {value for value, ty in first if ty.is_float}
        self._spread()

    def shows(self) -> bool:
        return any(self._shown_by(inst) for inst in self.insts)

    def exposed(self) -> list[int]:
        """The tainted values whose bits show."""
        return [value for inst in self.insts for value in self._shown_by(inst)]

    def _shown_by(self, inst: Inst) -> list[int]:
        """What an instruction shows the bits of."""
        if OPCODES[inst.op].terminator or OPCODES[inst.op].is_call:
            return []
        places = observed(inst.op, len(inst.args))
        seen = [inst.args[i] for i in places if i < len(inst.args) and inst.args[i] in self.tainted]
        return [] if inst.op == "bitcast" and seen and self._is_masked(inst) else seen

    def _is_masked(self, cast: Inst) -> bool:
        """All that reads the bits of `cast` masks them with the ordered comparison of the value they come from."""
        users = [inst for inst in self.insts if cast.results[0] in values_read(inst)]
        return all(
            user.op == "band" and any(self._is_ordered(arg, cast.args[0]) for arg in user.args) for user in users
        )

    def _is_ordered(self, mask: int, value: int) -> bool:
        condition = self.made.get(mask)
        return (
            condition is not None
            and condition.op == "fcmp"
            and condition.args == (value, value)
            and condition.imm in ("ord", "eq")
        )

    def _spread(self) -> None:
        """Follows taint to a fixed point."""
        params = {block.number: block.params for block in self.function.blocks}
        count = -1
        while count != len(self.tainted):
            count = len(self.tainted)
            for inst in self.insts:
                self.tainted.update(self._results(inst))
                for target in edges(inst):
                    for (value, ty), arg in zip(params.get(target.block, ()), target.args):
                        if ty.is_float and (arg in self.tainted or not isinstance(arg, int)):
                            self.tainted.add(value)

    def _results(self, inst: Inst) -> list[int]:
        results = [r for r in inst.results if self.function.types[r].is_float]
        if inst.op in CREATES or OPCODES[inst.op].is_call:
            return results
        moves = inst.op in PROPAGATES and not self.tainted.isdisjoint(inst.args)
        return results if moves and not self._is_clean_select(inst) else []

    def _is_clean_select(self, inst: Inst) -> bool:
        """select(fcmp.uno/ne x x, exact, x) or select(fcmp.ord/eq x x, x, exact): the NaNs of x are gone."""
        if inst.op != "select":
            return False
        condition = self.made.get(inst.args[0])
        if condition is None or condition.op != "fcmp" or condition.args[0] != condition.args[1]:
            return False
        kept = {"uno": 2, "ne": 2, "ord": 1, "eq": 1}.get(str(condition.imm))
        return kept is not None and inst.args[kept] == condition.args[0] and inst.args[3 - kept] not in self.tainted


_ADDRESSES: Final = frozenset(
    {"stack_addr", "func_addr", "symbol_value", "get_frame_pointer", "get_stack_pointer", "get_return_address"}
)


def shows_addresses(module: Module) -> bool:
    """Whether the address of a stack slot or a function, or a value made of one, leaves through a return or a store to
    anything but the stack. A callee's parameters count as harmless: the generator's callees do not show theirs."""
    return any(_addresses_shown(function) for function in module.functions)


def _addresses_shown(function: Function) -> list[int]:
    """The values made of addresses that leave the function."""
    insts = [inst for block in function.blocks for inst in block.insts]
    if not any(inst.op in _ADDRESSES for inst in insts):
        return []
    held = _addresses(function, insts)
    shown: list[int] = []
    for inst in insts:
        row = OPCODES[inst.op]
        if inst.op == "return" or (row.access is not None and row.can_load and row.can_store):
            shown += [arg for place, arg in enumerate(inst.args) if place != row.address and arg in held]
        elif _stores(inst, held) and (row.address is None or inst.args[row.address] not in held):
            shown += [arg for place, arg in enumerate(inst.args) if place == row.stored]
    return shown


def _stores(inst: Inst, held: set[int]) -> bool:
    """Whether an instruction stores one of these values."""
    place = OPCODES[inst.op].stored
    return place is not None and inst.args[place] in held


def _addresses(function: Function, insts: list[Inst]) -> set[int]:
    """Values made of addresses; what is loaded from the stack is one if one was stored there."""
    params = {block.number: block.params for block in function.blocks}
    held: set[int] = set()
    spilled = False
    count = -1
    while count != len(held) + spilled:
        count = len(held) + spilled
        for inst in insts:
            spilled = spilled or _stores(inst, held)
            through = OPCODES[inst.op].can_load and not spilled
            if inst.op in _ADDRESSES or not (held.isdisjoint(inst.args) or through or OPCODES[inst.op].is_call):
                held.update(inst.results)
            for target in edges(inst):
                held.update(value for (value, _), arg in zip(params.get(target.block, ()), target.args) if arg in held)
    return held
