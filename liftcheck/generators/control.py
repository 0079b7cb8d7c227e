"""Control flow that ends: branches, tables, loops of every shape, early returns, blocks that trap.

The one idea: every structure is entered from the current block and leaves a new current block, so structures nest;
every cycle counts something down that nothing else writes. Values made inside of an arm go out of scope with it; what
passes on are block parameters, permuted on back edges (the swap problem). Loop trips are few (1 to 6), because the
interpreter and four emulators walk them all.
"""

from __future__ import annotations

from collections.abc import Callable

from liftcheck.clif.ir import Block, BlockCall, Inst
from liftcheck.clif.types import I8, I16, I32, I64, Type
from liftcheck.generators.body import Body
from liftcheck.generators.calls import finish, try_call

_COUNTERS = (I32, I64, I32, I8, I64, I16)
_MOST_TURNS = 40


def fill(body: Body, budget: int, depth: int = 0) -> None:
    """About `budget` instructions: runs, and structures between them."""
    chance = body.program.profile.structure
    while budget > 0:
        r = body.bits(16)
        run = 2 + (r & 7) if budget > 4 else budget
        budget -= body.straight(run)
        if budget > 5 and depth < 4 and (r >> 8) < chance:
            before = body.count
            inner = max(3, (budget * (3 + (r >> 3 & 3))) >> 3)
            STRUCTURES[body.bits(5)](body, inner, depth + 1)
            budget -= body.count - before + 3


def _types_of(body: Body, most: int) -> tuple[Type, ...]:
    """Types for block parameters, of values that there are."""
    kinds = body.program.palette
    r = body.bits(16)
    return tuple([kinds[(r >> 3 * at + 2) % len(kinds)] for at in range((r & 3) * most // 3)])


def _arguments(body: Body, kinds: tuple[Type, ...]) -> tuple[int | str, ...]:
    return tuple([body.value(ty) for ty in kinds])


def _call(block: Block, args: tuple[int | str, ...] = ()) -> BlockCall:
    return BlockCall(block.number, args)


def _arm(body: Body, block: Block, join: Block, kinds: tuple[Type, ...], budget: int, depth: int) -> None:
    """Fill an arm and end it: mostly by a jump to the join, now and then by a return or a trap."""
    mark = len(body.log)
    body.start(block)
    if body.bits(4) == 0:
        block.cold = True
    fill(body, budget, depth)
    r = body.bits(6)
    if r in (1, 4, 5) and body.program.may_trap and body.is_entry:
        body.effect("trap", None, (), f"user{1 + body.bits(7)}")
    elif r in (2, 3) and depth > 0:
        finish(body)
    else:
        body.jump(join, _arguments(body, kinds))
    body.leave(mark)


def if_else(body: Body, budget: int, depth: int) -> None:
    """A diamond or a triangle with values joined."""
    kinds = _types_of(body, 4)
    then, join = body.block(), body.block(kinds)
    condition = body.truth()
    if body.bits(1):
        other = body.block()
        body.brif(condition, _call(then), _call(other))
        _arm(body, then, join, kinds, budget // 2, depth)
        mark = len(body.log)
        body.start(other)
        fill(body, budget // 2, depth)
        body.jump(join, _arguments(body, kinds))
        body.leave(mark)
    else:
        args = _arguments(body, kinds)
        calls = (_call(join, args), _call(then)) if body.bits(1) else (_call(then), _call(join, args))
        body.brif(condition, *calls)
        _arm(body, then, join, kinds, budget, depth)
    body.start(join)


def same_target(body: Body, budget: int, depth: int) -> None:
    """Both ways to one block, with different arguments: a select in disguise."""
    kinds = _types_of(body, 4)
    join = body.block(kinds)
    body.brif(body.truth(), _call(join, _arguments(body, kinds)), _call(join, _arguments(body, kinds)))
    body.start(join)


def chain(body: Body, budget: int, depth: int) -> None:
    """Several tests of one value, each with its way out to the join."""
    kinds = _types_of(body, 3)
    join = body.block(kinds)
    ty = _COUNTERS[body.bits(2)]
    value = body.value(ty)
    mark = len(body.log)
    for _ in range(2 + body.bits(1)):
        condition = body.ins("icmp", ty, (value, body.const(ty)), I8, ("eq", "ult", "sgt", "ne")[body.bits(2)])
        following = body.block()
        body.brif(condition, _call(join, _arguments(body, kinds)), _call(following))
        body.start(following)
        body.straight(max(1, budget // 4))
    body.jump(join, _arguments(body, kinds))
    body.leave(mark)
    body.start(join)


def switch(body: Body, budget: int, depth: int) -> None:
    """A `br_table` with up to nine entries, some equal, some straight to the join, with arguments now and then."""
    kinds = _types_of(body, 3)
    join = body.block(kinds)
    r = body.bits(16)
    arms = [body.block() for _ in range(1 + (r & 3))]
    entries = (1, 2, 3, 3, 4, 5, 8, 9)[r >> 2 & 7]
    index = body.value(I32)
    if r & 0x60:
        index = body.ins("band", I32, (index, body.const(I32, (3, 7, 15)[r >> 7 & 1])), I32)
    direct = _call(join, _arguments(body, kinds)) if r & 0x100 else _call(arms[0])
    picks = body.bits(24)
    targets = [
        direct if (picks >> 2 * at) % 5 == 4 else _call(arms[(picks >> 2 * at) % len(arms)]) for at in range(entries)
    ]
    body.insts.append(Inst("br_table", None, (), (index,), targets=(_call(arms[-1]), *targets)))
    used = {target.block for target in targets}
    for at, arm in enumerate(arms):
        if at == len(arms) - 1:
            mark = len(body.log)
            body.start(arm)
            fill(body, budget // len(arms), depth)
            body.jump(join, _arguments(body, kinds))
            body.leave(mark)
        elif arm.number in used:
            _arm(body, arm, join, kinds, budget // len(arms), depth)
    body.start(join)


def _rotated(body: Body, params: list[tuple[int, Type]]) -> tuple[int | str, ...]:
    """Arguments of a back edge: fresh values, or the parameters themselves moved to other places."""
    result: list[int | str] = []
    for value, ty in params:
        r = body.bits(8)
        same = [v for v, k in params if k is ty]
        if r & 3 == 0:
            result.append(value)
        elif r & 3 == 1 and len(same) > 1:
            result.append(same[(r >> 2) % len(same)])
        else:
            result.append(body.value(ty))
    return tuple(result)


def counted_loop(body: Body, budget: int, depth: int) -> None:
    """A loop that counts down or up, tested at the end, with accumulators, early exits and nested structures."""
    if body.mult > _MOST_TURNS:
        return if_else(body, budget, depth)
    r = body.bits(24)
    ty = _COUNTERS[(r & 7) % 6]
    turns = (2, 3, 4, 2, 5, 3, 6, 1)[r >> 3 & 7]
    kinds = _types_of(body, 4)
    up = r & 0x40
    limit = -1
    first = body.const(ty, 0 if up else turns)
    if r & 0x180 == 0:
        turns = 4
        limited = body.ins("band", ty, (body.value(ty), body.const(ty, 3)), ty)
        limit = body.ins("iadd", ty, (limited, body.const(ty, 1)), ty)
        if not up:
            first = limit
    elif up and r & 0x200:
        limit = body.const(ty, turns)
    header, out = body.block((ty, *kinds)), body.block(kinds)
    body.jump(header, (first, *_arguments(body, kinds)))
    mark, mult = len(body.log), body.mult
    body.mult = mult * turns
    body.start(header)
    counter = header.params[0][0]
    fill(body, budget, depth)
    if r & 0xC00 == 0:
        following = body.block()
        body.brif(body.truth(), _call(out, _arguments(body, kinds)), _call(following))
        body.start(following)
        body.straight(2)
    _latch(body, ty, counter, limit if up else -1, turns if up else 0, header, out, r >> 12)
    body.leave(mark)
    body.mult = mult
    body.start(out)
    return None


def _latch(body: Body, ty: Type, counter: int, limit: int, last: int, header: Block, out: Block, r: int) -> None:
    """Step the counter and go back or out. `last` is the limit's greatest value when counting up, 0 when down."""
    one = body.const(ty, 1)
    if last:
        following = body.ins("iadd", ty, (counter, one), ty)
        bound = limit if limit >= 0 else body.const(ty, last)
        condition = body.ins("icmp", ty, (following, bound), I8, ("ult", "ne", "slt", "ult")[r & 3])
        again = True
    elif r & 1:
        following = body.ins("isub", ty, (counter, one), ty)
        condition, again = following, True
    else:
        following = body.ins("iadd", ty, (counter, body.const(ty, ty.mask)), ty)
        code, again = (("eq", False), ("ne", True), ("ugt", True), ("sle", False))[r >> 1 & 3]
        condition = body.ins("icmp", ty, (following, body.const(ty, 0)), I8, code)
    params = header.params[1:]
    back = _call(header, (following, *_rotated(body, params)))
    leave = _call(out, _arguments(body, tuple([k for _, k in out.params])))
    body.brif(condition, *((back, leave) if again else (leave, back)))


def while_loop(body: Body, budget: int, depth: int) -> None:
    """A loop tested in its header, perhaps never entered; its body may `continue` early."""
    if body.mult > _MOST_TURNS:
        return switch(body, budget, depth)
    r = body.bits(16)
    ty = _COUNTERS[(r & 7) % 6]
    kinds = _types_of(body, 4)
    if r & 0x18:
        start = body.const(ty, 1 + (r >> 5 & 3))
    else:
        start = body.ins("band", ty, (body.value(ty), body.const(ty, 3)), ty)
    header, inside, out = body.block((ty, *kinds)), body.block(), body.block(kinds)
    body.jump(header, (start, *_arguments(body, kinds)))
    mark, mult = len(body.log), body.mult
    body.mult = mult * 3
    body.start(header)
    counter = header.params[0][0]
    if r & 0x100:
        body.straight(2)
    condition = counter
    if r & 0x200:
        condition = body.ins("icmp", ty, (counter, body.const(ty, 0)), I8, ("ne", "ugt")[r >> 10 & 1])
    body.brif(condition, _call(inside), _call(out, tuple([v for v, _ in header.params[1:]])))
    body.start(inside)
    less = body.ins("isub", ty, (counter, body.const(ty, 1)), ty)
    body.push(less, ty)
    fill(body, budget if r & 0x800 else budget // 2, depth)
    if not r & 0x800:
        following = body.block()
        body.brif(body.truth(), _call(header, (less, *_rotated(body, header.params[1:]))), _call(following))
        body.start(following)
        fill(body, budget // 2, depth)
    body.jump(header, (less, *_rotated(body, header.params[1:])))
    body.leave(mark)
    body.mult = mult
    body.start(out)
    return None


def irreducible(body: Body, budget: int, depth: int) -> None:
    """Two blocks that go to one another, each entered from outside: a cycle with two entries, limited by fuel."""
    if body.mult > _MOST_TURNS // 2:
        return if_else(body, budget, depth)
    r = body.bits(16)
    kinds = _types_of(body, 3)
    left, right, out = body.block((I32, *kinds)), body.block((I32, *kinds)), body.block(kinds)
    fuel = body.const(I32, 2 + (r & 3))
    args = (fuel, *_arguments(body, kinds))
    body.brif(body.truth(), _call(left, args), _call(right, (fuel, *_arguments(body, kinds))))
    mark, mult = len(body.log), body.mult
    body.mult = mult * 2
    for block, other in ((left, right), (right, left)):
        body.start(block)
        fill(body, budget // 2, depth)
        less = body.ins("isub", I32, (block.params[0][0], body.const(I32, 1)), I32)
        target = block if r & 0x10 and block is right and body.bits(2) == 0 else other
        body.brif(less, _call(target, (less, *_rotated(body, block.params[1:]))), _call(out, _arguments(body, kinds)))
        body.leave(mark)
    body.mult = mult
    body.start(out)
    return None


def trap_block(body: Body, budget: int, depth: int) -> None:
    """A branch around a block that does nothing but trap (the mid-end makes a conditional trap of it)."""
    if not body.program.may_trap:
        return if_else(body, budget, depth)
    dead, alive = body.block(), body.block()
    ty = _COUNTERS[body.bits(2)]
    style = body.bits(2) if body.is_entry else 0
    condition = body.ins("icmp", ty, (body.value(ty), body.const(ty)), I8, "ne" if style == 3 else "eq")
    body.brif(condition, _call(dead), _call(alive))
    dead.cold = bool(body.bits(1))
    if body.bits(1):
        body.start(dead)
        body.effect("trap", None, (), f"user{1 + body.bits(7)}")
        body.start(alive)
    else:
        body.start(alive)
        body.late.append(dead)
    return None


def protected_call(body: Body, budget: int, depth: int) -> None:
    """A `try_call`: its normal return is taken, its handlers are compiled and never run."""
    if not try_call(body):
        if_else(body, budget, depth)


def early_return(body: Body, budget: int, depth: int) -> None:
    """A test that leaves the function at once."""
    dead, alive = body.block(), body.block()
    body.brif(body.truth(), _call(dead), _call(alive))
    mark = len(body.log)
    body.start(dead)
    body.straight(1)
    finish(body)
    body.leave(mark)
    body.start(alive)


STRUCTURES: tuple[Callable[[Body, int, int], None], ...] = (
    *(counted_loop,) * 8, *(while_loop,) * 4, *(irreducible,) * 2, *(if_else,) * 6, *(switch,) * 4, *(chain,) * 2,
    same_target, trap_block, protected_call, protected_call, early_return, counted_loop,
)  # fmt: skip
"""32 places, drawn by five bits."""
assert len(STRUCTURES) == 32
