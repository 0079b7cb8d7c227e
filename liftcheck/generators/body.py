"""The state of one function being made: values in scope by type, the current block, and the hot path that emits.

The one idea: a pool of values per type, an undo log of the pools that were pushed to, and nothing else; leaving a
block's scope pops the log, so every operand drawn dominates its use by construction. Instructions are `ir.Inst` records
made directly (3 to 5 µs each with all their draws): `clif.build` is for people.
Taint: `tainted` holds the float values that may be a NaN of unspecified bits (`liftcheck.nan`); `clean` replaces such a
NaN before its bits can be seen.
It knows no memory, control flow or calls: see `memory.py`, `control.py`, `calls.py`.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable
from typing import Any, NamedTuple

from liftcheck.clif import values
from liftcheck.clif.formats import FLOAT_CONDITIONS, INT_CONDITIONS
from liftcheck.clif.ir import NO_FLAGS, Block, BlockCall, Function, Inst, MemFlags, Signature
from liftcheck.clif.types import F64, I8, I64, INTS, Type
from liftcheck.generators.program import Program
from liftcheck.generators.rows import Row

_INT_CONDITIONS = INT_CONDITIONS * 2
_FLOAT_CONDITIONS = (*FLOAT_CONDITIONS, "eq", "lt")


class Pointer(NamedTuple):
    """Memory that may be accessed: from byte `low` up to `high`, relative to the address `value`, whose alignment is
    at least `align`. With a `slot` it is that stack slot, and has no value before somebody makes one. `region` is its
    alias region, counted from 1; 0: none."""

    value: int
    low: int
    high: int
    align: int
    slot: int = -1
    region: int = 0


class Address(NamedTuple):
    """An address that was used a moment ago; as `Pointer`, and the offset that was last used with it."""

    value: int
    low: int
    high: int
    align: int
    offset: int
    region: int


class Body:
    """One function in the making. `mult` is how often the current block runs at most, `cost` the instructions run."""

    __slots__ = ("addresses", "bits", "block_count", "callees", "const_of", "cost", "count", "current", "function",
                 "insts", "is_entry", "late", "log", "mult", "n", "pointers", "pools", "program", "refs", "region_of",
                 "sig_numbers", "sink", "spec", "symbols", "table", "tainted", "types")  # fmt: skip

    def __init__(self, program: Program, name: str, signature: Signature) -> None:
        self.program = program
        self.bits: Callable[[int], int] = program.bits
        self.table = program.table
        self.const_of = program.table.const
        self.function = Function(name, signature)
        self.types = self.function.types
        self.pools: defaultdict[Type, list[int]] = defaultdict(list)
        self.log: list[list[Any]] = []
        self.tainted: set[int] = set()
        self.addresses: list[Address] = []
        self.pointers: list[Pointer] = []
        self.callees = program.specs
        self.refs: dict[tuple[str, bool], int] = {}
        self.symbols: dict[tuple[str, bool], int] = {}
        self.sig_numbers: dict[Signature, int] = {}
        self.region_of: dict[int, int] = {}
        self.n = self.block_count = self.count = self.cost = 0
        self.mult = 1
        self.sink = -1
        self.is_entry = False
        self.spec: Any = None
        self.late: list[Block] = []
        entry = self.block(tuple([param.type for param in signature.params]))
        self.current = entry
        self.insts = entry.insts
        self.function.blocks.append(entry)

    # blocks

    def block(self, kinds: tuple[Type, ...] = ()) -> Block:
        """A new block with parameters; it stands nowhere yet."""
        block = Block(self.block_count)
        self.block_count += 1
        n, types = self.n, self.types
        for ty in kinds:
            types[n] = ty
            block.params.append((n, ty))
            n += 1
        self.n = n
        return block

    def start(self, block: Block, tainted: bool = True) -> None:
        """Place `block` at the end of the layout; its parameters come into scope, floats tainted unless said."""
        self.function.blocks.append(block)
        self.current = block
        self.insts = block.insts
        pools, log = self.pools, self.log
        for value, ty in block.params:
            pool = pools[ty]
            pool.append(value)
            log.append(pool)
            if tainted and ty.is_float:
                self.tainted.add(value)

    def leave(self, mark: int) -> None:
        """Forget every value that came into scope since the log was `mark` long."""
        log = self.log
        while len(log) > mark:
            log.pop().pop()

    def push(self, value: int, ty: Type) -> None:
        """`value` may be an operand from now on, until the scope is left."""
        pool = self.pools[ty]
        pool.append(value)
        self.log.append(pool)

    # instructions

    def ins(
        self,
        op: str,
        ty: Type | None,
        args: tuple[int, ...],
        result: Type,
        imm: object = None,
        flags: MemFlags = NO_FLAGS,
        offset: int = 0,
    ) -> int:
        """Emit an instruction with one result, which does not come into scope by itself."""
        value = self.n
        self.n = value + 1
        self.types[value] = result
        self.insts.append(Inst(op, ty, (value,), args, imm, flags, offset))
        return value

    def effect(
        self,
        op: str,
        ty: Type | None,
        args: tuple[int, ...],
        imm: object = None,
        flags: MemFlags = NO_FLAGS,
        offset: int = 0,
    ) -> None:
        """Emit an instruction without results."""
        self.insts.append(Inst(op, ty, (), args, imm, flags, offset))

    def jump(self, target: Block, args: tuple[int | str, ...] = ()) -> None:
        self.insts.append(Inst("jump", None, targets=(BlockCall(target.number, args),)))

    def brif(self, condition: int, then: BlockCall, otherwise: BlockCall) -> None:
        self.insts.append(Inst("brif", self.types[condition], (), (condition,), targets=(then, otherwise)))

    def alias_region(self, slot: int) -> int:
        """An alias region of its own for a stack slot, counted from 1; 0 if the version has none."""
        if "regions" not in self.program.context.features:
            return 0
        number = len(self.region_of)
        self.region_of[slot] = number
        self.function.preamble.append((f"region{number}", f'{number + 1} "slot {slot}"'))
        return number + 1

    def anything(self) -> None:
        """Some plain row."""
        rows = self.table.rows
        self.plain(rows[self.bits(16) % len(rows)])

    def plain(self, row: Row, forced: int = -1, place: int = -1) -> int:
        """Emit one row with drawn operands; `forced` is the operand at `place`. Gives the first result, or -1."""
        op, ty, arg_types, results, imm_kind, flags, watch, effect, _ = row
        r = self.bits(32)
        value = self.value
        if len(arg_types) == 2:
            first, second = arg_types
            a = forced if place == 0 else value(first)
            if place == 1:
                args: tuple[int, ...] = (a, forced)
            elif r & 3 == 0:
                args = (a, self.const(second))
            elif r & 0x7C == 0 and first is second:
                args = (a, a)
            else:
                args = (a, value(second))
        elif len(arg_types) == 1:
            args = (forced if place == 0 else value(arg_types[0]),)
        else:
            args = tuple([forced if at == place else value(t) for at, t in enumerate(arg_types)])
        imm: object = None
        if imm_kind:
            if imm_kind == "distinct":
                args = self.distinct(args, arg_types[0])
            else:
                imm = self.immediate(imm_kind, arg_types[0], r >> 8)
        tainted = self.tainted
        if watch:
            cleaned = list(args)
            for at in watch:
                if cleaned[at] in tainted:
                    cleaned[at] = self.clean(cleaned[at])
            args = tuple(cleaned)
        n = self.n
        if len(results) == 1:
            result = results[0]
            self.n = n + 1
            self.types[n] = result
            self.insts.append(Inst(op, ty, (n,), args, imm, flags))
            pool = self.pools[result]
            pool.append(n)
            self.log.append(pool)
            if effect and (effect == 1 or not tainted.isdisjoint(args)):
                tainted.add(n)
            return n
        self.n = n + len(results)
        self.insts.append(Inst(op, ty, tuple(range(n, n + len(results))), args, imm, flags))
        for at, result in enumerate(results):
            self.types[n + at] = result
            self.push(n + at, result)
        return n if results else -1

    def apply(self, row: Row, args: tuple[int, ...], imm: object) -> int:
        """Emit one row with given operands and immediate; gives the first result, which is in scope."""
        tainted = self.tainted
        if row.imm == "distinct":
            args = self.distinct(args, row.args[0])
        if row.watch:
            args = tuple([self.clean(arg) if at in row.watch else arg for at, arg in enumerate(args)])
        n = self.n
        self.n = n + len(row.results)
        self.insts.append(Inst(row.op, row.type, tuple(range(n, self.n)), args, imm, row.flags))
        for at, result in enumerate(row.results):
            self.types[n + at] = result
            self.push(n + at, result)
        if row.nan == 1 or (row.nan and not tainted.isdisjoint(args)):
            tainted.add(n)
        return n

    def immediate(self, kind: str | tuple[object, ...], first: Type, r: int) -> object:
        """The immediate of a row, from the random bits `r` (24 of them)."""
        if kind == "intcc":
            return _INT_CONDITIONS[r % 20]
        if kind == "floatcc":
            return _FLOAT_CONDITIONS[r & 15]
        if kind == "lane":
            return r % first.lanes
        if isinstance(kind, tuple):
            return kind[r % len(kind)]
        return self.mask(r)

    def distinct(self, args: tuple[int, ...], ty: Type) -> tuple[int, ...]:
        """The operands, with a constant in place of the second if it is the first."""
        return (args[0], self.const(ty)) if args[0] == args[1] else args

    def mask(self, r: int) -> tuple[int, ...]:
        """Sixteen lane numbers of 0…31: the shapes that backends have instructions for, or random ones."""
        style, a = r & 7, r >> 3 & 31
        if style == 0:
            return (a,) * 16
        if style == 1:
            return tuple([(a & 15) + lane for lane in range(16)])
        if style == 2:
            return tuple([16 * (lane & 1) + (lane >> 1) + 8 * (a & 1) for lane in range(16)])
        if style == 3:
            width = 2 << a % 3
            return tuple([(lane // width * width) + width - 1 - lane % width for lane in range(16)])
        if style == 4:
            width = 2 << a % 3
            words = self.bits(5 * 16 // width)
            picks = [words >> 5 * word & 31 for word in range(16 // width)]
            return tuple([pick * width % 32 + at for pick in picks for at in range(width)])
        if style == 5:
            return tuple([(2 * lane + (a & 1)) & 31 for lane in range(16)])
        random = self.bits(80)
        return tuple([random >> 5 * lane & 31 for lane in range(16)])

    # operands

    def value(self, ty: Type) -> int:
        """An operand of a type: mostly a recent value, sometimes any value or a constant."""
        pool = self.pools[ty]
        if pool:
            r = self.bits(16)
            if r & 15:
                n = len(pool)
                if r & 16 and n > 4:
                    return pool[-1 - (r >> 5) % 4]
                return pool[(r >> 5) % n]
        elif self.program.supply and self.bits(2):
            return self.supplied(ty)
        return self.const(ty)

    def latest(self, ty: Type) -> int:
        """One of the newest values of a type: what a return or a final store shows."""
        pool = self.pools[ty]
        if not pool:
            return self.value(ty)
        return pool[-1 - self.bits(4) % min(3, len(pool))]

    def supplied(self, ty: Type) -> int:
        """A value of a type that has none in scope yet: converted from one in scope, else a constant."""
        producers = self.program.producers(ty)
        if producers:
            pools = self.pools
            for _ in range(2):
                row = producers[self.bits(10) % len(producers)]
                for t in row.args:
                    if not pools[t]:
                        break
                else:
                    return self.plain(row)
        return self.const(ty)

    def const(self, ty: Type, value: int | None = None) -> int:
        """A constant, drawn from `values.table` if not given."""
        if value is None:
            value = values.table(ty)[self.bits(10)]
        method = self.const_of[ty]
        if method == "iconst":
            n = self.n
            self.n = n + 1
            self.types[n] = ty
            self.insts.append(Inst("iconst", ty, (n,), (), value))
            return n
        if method == "fconst":
            return self.ins(f"{ty.name}const", None, (), ty, value)
        if method == "wide":
            low = self.ins("iconst", I64, (), I64, value & 0xFFFFFFFFFFFFFFFF)
            if value >> 64 == 0 and self.table.has("uextend.i128.i64"):
                return self.ins("uextend", ty, (low,), ty)
            return self.ins("iconcat", I64, (low, self.ins("iconst", I64, (), I64, value >> 64)), ty)
        if method in ("vconst", "f128const"):
            constants = self.function.constants
            number = len(constants)
            constants[number] = value.to_bytes(ty.bytes, "little")
            return self.ins(method, ty if ty.is_vector else None, (), ty, number)
        source = self.program.cast_source(ty)
        return self.ins(
            "bitcast", ty, (self.const(source, value),), ty, flags=self.table.by_shape["bitcast", ty, (source,)].flags
        )

    def clean(self, value: int) -> int:
        """`value` with its NaNs (of any lane) replaced: safe to show the bits of."""
        if value not in self.tainted:
            return value
        ty = self.types[value]
        method = self.program.cleaner(ty)
        if method == "select":
            ordered = self.ins("fcmp", ty, (value, value), I8, "ord")
            result = self.ins("select", ty, (ordered, value, self.const(ty, 0)), ty)
        elif method == "lanes":
            shape = ty.as_int()
            ordered = self.ins("fcmp", ty, (value, value), shape, "ord")
            kept = self.ins("band", shape, (self.ins("bitcast", shape, (value,), shape), ordered), shape)
            result = self.ins("bitcast", ty, (kept,), ty)
        else:
            result = self.const(ty)
        self.push(result, ty)
        return result

    def truth(self) -> int:
        """A condition: an integer of any width, most often a comparison made just before."""
        r = self.bits(16)
        style = r & 7
        if style < 4:
            rows = self.program.comparisons
            if rows:
                row = rows[(r >> 4) % len(rows)]
                if not row.results[0].is_vector:
                    return self.plain(row)
        if style == 4 and self.pools[F64] and self.table.has("fcmp.f64"):
            return self.plain(self.table.by_shape["fcmp", F64, (F64, F64)])
        first = r >> 4
        for step in range(5):
            ty = INTS[(first + step) % 5]
            if self.pools[ty]:
                return self.value(ty)
        return self.const(I8)

    # runs of instructions

    def straight(self, count: int) -> int:
        """About `count` instructions from the program's menu in the current block; gives how many they were."""
        menu, ends = self.program.menu, self.program.menu_ends
        bits, plain, size = self.bits, self.plain, ends[-1]
        insts = self.insts
        before = len(insts)
        end = before + count
        while len(insts) < end:
            r = bits(24)
            entry = menu[bisect_right(ends, r % size)]
            if isinstance(entry, tuple):
                plain(entry[(r >> 10) % len(entry)])
            else:
                entry(self)
        made = len(insts) - before
        self.count += made
        self.cost += made * self.mult
        return made
