"""How an instance looks: a function of its recipe, with every operand a parameter, a constant or a load.

The one idea: parameters are made as they are needed, loads and constants before all operations (a load is merged into
what uses it only if no other access stands between), and what the root makes is returned. A branch returns one of two
parameters.
"""

from __future__ import annotations

from typing import Final

from liftcheck.clif.ir import NO_FLAGS, AbiParam, Block, BlockCall, Function, Inst, MemFlags, Signature, StackSlot
from liftcheck.clif.opcodes import OPCODES
from liftcheck.clif.types import I32, I64, Type
from liftcheck.errors import InternalError
from liftcheck.generators.addresses import SLOT
from liftcheck.generators.instances import CONSTANT, MEMORY, REGISTER, ROOT, SAME, Choice, Recipe, immediate
from liftcheck.generators.rows import Leaf, Node, Table
from liftcheck.generators.solver import ACCESSES

_SYMBOL: Final = "%data"
_ORDERS: Final = ("little", "big")
_REGISTER: Final = Choice(REGISTER)


def function(table: Table, recipe: Recipe, name: str) -> Function:
    """The function of a recipe."""
    return _Maker(table, recipe, name).made()


class _Maker:
    """One function in the making."""

    def __init__(self, table: Table, recipe: Recipe, name: str) -> None:
        self.table: Final = table
        self.recipe: Final = recipe
        self.choices: Final = dict(recipe.choices)
        self.entry: Final = Block(0)
        self.function: Final = Function(name, Signature((), (), "system_v"), [self.entry])
        self.types: Final = self.function.types
        self.leaves: Final[dict[int, int]] = {}
        self.shared: Final[dict[int, int]] = {}
        self.first = -1
        """The pointer of the first access."""

    def made(self) -> Function:
        """The whole function."""
        node = self.recipe.node
        for kind in (CONSTANT, REGISTER, MEMORY):
            self._bring_in(node, kind)
        results = self._root(node)
        function = self.function
        params = tuple(AbiParam(ty) for _, ty in self.entry.params)
        function.signature = Signature(params, tuple(AbiParam(self.types[v]) for v in results), "system_v")
        return function

    # -- values

    def _new(self, ty: Type) -> int:
        value = len(self.types)
        self.types[value] = ty
        return value

    def _param(self, ty: Type) -> int:
        value = self._new(ty)
        self.entry.params.append((value, ty))
        return value

    def _ins(self, op: str, ty: Type | None, args: tuple[int, ...], result: Type, imm: object = None,
             flags: MemFlags = NO_FLAGS, offset: int = 0) -> int:  # fmt: skip
        value = self._new(result)
        self.entry.insts.append(Inst(op, ty, (value,), args, imm, flags, offset))
        return value

    def _const(self, ty: Type, number: int) -> int:
        method = self.table.const.get(ty, "")
        if method == "iconst":
            return self._ins("iconst", ty, (), ty, number)
        if method == "fconst":
            return self._ins(f"{ty.name}const", None, (), ty, number)
        if method == "wide":
            low = self._ins("iconst", I64, (), I64, number & I64.mask)
            return self._ins("iconcat", I64, (low, self._ins("iconst", I64, (), I64, number >> 64)), ty)
        if method in ("vconst", "f128const"):
            pool = self.function.constants
            pool[len(pool)] = number.to_bytes(ty.bytes, "little")
            return self._ins(method, ty if ty.is_vector else None, (), ty, len(pool) - 1)
        source = next(row for row in self.table.by_shape.values() if row.op == "bitcast" and row.type is ty
                      and self.table.const.get(row.args[0], "bitcast") != "bitcast")  # fmt: skip
        return self._ins("bitcast", ty, (self._const(source.args[0], number),), ty, None, source.flags)

    # -- leaves

    def _bring_in(self, node: Node, kind: str) -> None:
        """Makes the leaves of a kind before all operations."""
        for argument in node.arguments:
            if isinstance(argument, Node):
                self._bring_in(argument, kind)
            elif argument.place not in self.leaves and self.choices.get(argument.place, _REGISTER).kind == kind:
                self.leaves[argument.place] = self._leaf(argument, kind)

    def _leaf(self, leaf: Leaf, kind: str) -> int:
        ty = leaf.ty
        if kind == CONSTANT:
            return self._const(ty, self.choices[leaf.place].number)
        if kind == MEMORY:
            return self._ins("load", ty, (self._pointer(),), ty)
        value = self._param(ty)
        if leaf.constant == "odd":
            positive = self._ins("band", ty, (value, self._const(ty, ty.mask >> 1)), ty)
            return self._ins("bor", ty, (positive, self._const(ty, 1)), ty)
        return value

    def _value(self, argument: Node | Leaf) -> int:
        if isinstance(argument, Node):
            return self._operation(argument)
        choice = self.choices.get(argument.place, _REGISTER)
        if choice.kind == SAME:
            if choice.number not in self.leaves:
                self.leaves[choice.number] = self._param(argument.ty)
            return self.leaves[choice.number]
        return self.leaves[argument.place]

    def _pointer(self) -> int:
        value = self._param(I64)
        if self.first < 0:
            self.first = value
        return value

    # -- operations

    def _operation(self, node: Node) -> int:
        """An operation below the root; its first result."""
        if node.share >= 0 and node.share in self.shared:
            return self.shared[node.share]
        args = tuple(self._value(argument) for argument in node.arguments)
        family = OPCODES[node.row.op].family
        made = self._access(node, args, "p")[0] if family in ACCESSES else self._plain(node, args)[0]
        if node.share >= 0:
            self.shared[node.share] = made
        return made

    def _plain(self, node: Node, args: tuple[int, ...]) -> tuple[int, ...]:
        row = node.row
        results = tuple(self._new(ty) for ty in row.results)
        imm = immediate(row, node.condition, self.recipe.turn)
        self.entry.insts.append(Inst(row.op, row.type, results, args, imm, row.flags))
        return results

    def _access(self, node: Node, args: tuple[int, ...], shape: str) -> tuple[int, ...]:
        row, opcode = node.row, OPCODES[node.row.op]
        at = self.first if shape == "=" and self.first >= 0 else self._address(shape, self.recipe.offset)
        offset = self.recipe.offset if "o" in shape else 0
        flags = MemFlags(endianness=node.condition) if node.condition in _ORDERS else NO_FLAGS
        place = opcode.address
        if place is None:
            raise InternalError(f"{row.op} has no address")
        results = tuple(self._new(ty) for ty in row.results)
        imm = immediate(row, "" if node.condition in _ORDERS else node.condition, self.recipe.turn)
        whole = (*args[:place], at, *args[place:])
        self.entry.insts.append(Inst(row.op, row.type, results, whole, imm, flags, offset))
        return results

    def _address(self, shape: str, number: int) -> int:
        """An address of a shape (`addresses`)."""
        at = -1
        for index, letter in enumerate(shape or "p"):
            if letter in "p=":
                at = self._pointer()
            elif letter == "S":
                self.function.stack_slots[0] = StackSlot(SLOT, 16)
                at = self._ins("stack_addr", I64, (), I64, 0)
            elif letter == "G":
                self.function.preamble.append(("gv0", f"symbol {_SYMBOL}"))
                self.function.globals[0] = ("symbol", _SYMBOL, 0, False, False)
                at = self._ins("symbol_value", I64, (), I64, 0)
            elif letter != "o":
                at = self._ins("iadd", I64, (at, self._part(letter, shape[index + 1 :], number)), I64)
        return at

    def _part(self, letter: str, rest: str, number: int) -> int:
        """What is added to an address."""
        if letter == "k":
            return self._ins("iconst", I64, (), I64, number & I64.mask)
        if letter in "us":
            op = "uextend" if letter == "u" else "sextend"
            value = self._ins(op, I64, (self._param(I32),), I64)
            return value if not rest.startswith("l") else self._shifted(value, number)
        value = self._param(I64)
        if letter == "m":
            return self._ins("band", I64, (value, self._ins("iconst", I64, (), I64, 31)), I64)
        return self._shifted(value, number & 7) if letter == "l" else value

    def _shifted(self, value: int, amount: int) -> int:
        return self._ins("ishl", I64, (value, self._ins("iconst", I64, (), I64, amount)), I64)

    # -- the root

    def _root(self, node: Node) -> tuple[int, ...]:
        """The operation at the root and the end of the function; gives what is returned."""
        if ROOT in self.choices:
            results: tuple[int, ...] = (self._const(node.row.results[0], self.choices[ROOT].number),)
            self._returns(self.entry, results)
            return results
        args = tuple(self._value(argument) for argument in node.arguments)
        if node.row.op == "brif":
            return self._branch(args[0])
        family = OPCODES[node.row.op].family
        results = self._access(node, args, self.recipe.shape) if family in ACCESSES else self._plain(node, args)
        self._returns(self.entry, results)
        return results

    def _branch(self, condition: int) -> tuple[int, ...]:
        """Both ways return something else."""
        then, other = self._param(I32), self._param(I32)
        blocks = [Block(1), Block(2)]
        targets = tuple(BlockCall(block.number) for block in blocks)
        self.entry.insts.append(Inst("brif", self.types[condition], (), (condition,), targets=targets))
        for block, value in zip(blocks, (then, other)):
            self._returns(block, (value,))
            self.function.blocks.append(block)
        return (then,)

    def _returns(self, block: Block, values: tuple[int, ...]) -> None:
        block.insts.append(Inst("return", None, (), values))
