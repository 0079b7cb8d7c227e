"""x86-64: jumps, calls, the stack, atomics, fences, traps.

The one idea: `lock` is part of an instruction's text, as the manual writes it; what it makes atomic reads and writes
the same as without it.
Source: Intel 64 and IA-32 Architectures Software Developer's Manual, volume 2; a row's section is the page there.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from liftcheck.bits import build as b
from liftcheck.bits.term import Term, const
from liftcheck.isa.x64.insts.common import CONDITIONS, FLAGS, RAX, RBX, RCX, RDX, RSP, TRUE, inst
from liftcheck.isa.x64.insts.integer import ARITHMETIC, WIDTHS, added, compare, immediates, put
from liftcheck.mach.rows.machine import Machine, NoMeaning
from liftcheck.mach.rows.row import Meaning, Row

AWAY: Final = "its target is where no test can be"


def _jump(s: Machine, target: Term) -> None:
    s.jump(target)


def _call(s: Machine, target: Term) -> None:
    _push(s, s.next)
    s.jump(target, kind="call")


def _push(s: Machine, value: Term) -> None:
    below = b.sub(s.read(RSP), const(value.bits // 8, 64))
    s.store(below, value)
    s.write(RSP, below)


def _pop(width: int) -> Meaning:
    def meaning(s: Machine) -> Term:
        s.write(RSP, b.add(s.read(RSP), const(width // 8, 64)))
        return s.load(s.read(RSP), width // 8)

    return meaning


def _return(s: Machine, more: Term | None = None) -> None:
    by = const(8, 64) if more is None else b.add(const(8, 64), more)
    s.jump(s.load(s.read(RSP), 8), kind="return")
    s.write(RSP, b.add(s.read(RSP), by))


def _leave(s: Machine) -> None:
    s.write(RSP, b.add(s.read(5), const(8, 64)))
    s.write(5, s.load(s.read(5), 8))


def _trap(code: str) -> Meaning:
    return lambda s: s.trap(TRUE, code)


def _flags_from_stack(s: Machine) -> None:
    """The flags that there are places for; a system's flags stay as they are in user mode."""
    whole = s.load(s.read(RSP), 8)
    for name, bit in zip(FLAGS, (0, 2, 6, 7, 11)):
        s.write(name, b.extract(whole, bit, 1))
    s.write(RSP, b.add(s.read(RSP), const(8, 64)))


def _control() -> Iterator[Row]:
    yield inst("jmp rel32", "E9 id", _jump, "JMP")
    yield inst("jmp rel8", "EB ib", _jump, "JMP")
    yield inst("jmp rm64", "FF /4", _jump, "JMP", untested=AWAY)
    yield inst("call rel32", "E8 id", _call, "CALL")
    yield inst("data16 call rel32p", "66 66 REX.W E8 id", _call, "CALL", untested="linkers alone make something of it")
    yield inst("call rm64", "FF /2", _call, "CALL", untested=AWAY)
    yield inst("ret", "C3", _return, "RET", untested=AWAY)
    yield inst("ret u16", "C2 iw", _return, "RET", untested=AWAY)
    for code, (name, condition) in enumerate(CONDITIONS):
        for kind, picture in (("rel32c", f"0F {0x80 + code:X} id"), ("rel8", f"{0x70 + code:X} ib")):
            yield inst(f"j{name} {kind}", picture, lambda s, to, f=condition: s.jump(to, f(s)), "Jcc")
    for name, picture in (("ud2", "0F 0B"), ("int3", "CC"), ("hlt", "F4")):
        yield inst(name, picture, _trap(name), {"ud2": "UD", "int3": "INT n/INTO/INT3/INT1"}.get(name, "HLT"),
                   untested="it always traps")  # fmt: skip


def _stack() -> Iterator[Row]:
    yield inst("push o64", "50+r", _push, "PUSH")
    yield inst("push o16", "66 50+r", _push, "PUSH")
    yield inst("push rm64", "FF /6", _push, "PUSH")
    yield inst("push s8to64", "6A ib", _push, "PUSH")
    yield inst("push s32to64", "68 id", _push, "PUSH")
    yield inst("pop >o64", "58+r", _pop(64), "POP")
    yield inst("pop >o16", "66 58+r", _pop(16), "POP")
    yield inst("pop >n64", "8F /0", _pop(64), "POP")
    yield inst("popfq", "9D", _flags_from_stack, "POPF/POPFD/POPFQ", untested="every test begins with it")
    yield inst("leave", "C9", _leave, "LEAVE")


# -- atomics


def _exchange(s: Machine, a: Term, c: Term) -> tuple[Term, Term]:
    return c, a


def _add_and_exchange(s: Machine, a: Term, c: Term) -> tuple[Term, Term]:
    return added(s, a, c), a


def _compare_and_exchange(s: Machine, a: Term, c: Term) -> Term:
    """Memory becomes the operand if it is rax; else rax becomes memory's."""
    width = a.lane
    expected = b.trunc(s.read(RAX), width)
    compare(s, expected, a)
    same = b.eq(expected, a)
    put(s, RAX, a)
    s.write(RAX, b.ite(same, s.read(RAX), s.current(RAX)))
    return b.ite(same, c, a)


def _of_two(s: Machine, a: Term) -> Term:
    """cmpxchg16b: rdx:rax is compared, rcx:rbx stored."""
    same = b.eq(a, b.concat(s.read(RDX), s.read(RAX)))
    s.write("zf", same)
    s.write(RAX, b.ite(same, s.read(RAX), b.trunc(a, 64)))
    s.write(RDX, b.ite(same, s.read(RDX), b.extract(a, 64, 64)))
    return b.ite(same, b.concat(s.read(RCX), s.read(RBX)), a)


def _atomics() -> Iterator[Row]:
    for width, prefix, one in WIDTHS:
        for name, number, meaning in ARITHMETIC:
            if name != "cmp":
                yield inst(f"lock {name} +m{width}, r{width}", f"F0 {prefix}{8 * number + one:02X} /r", meaning,
                           name.upper())  # fmt: skip
                yield from immediates(f"lock {name}", number, meaning, "+m", width, prefix, name.upper(), locked=True)
        yield inst(f"xchg +rm{width}, +r{width}", f"{prefix}{0x86 + one:X} /r", _exchange, "XCHG")
        for lock, head in (("lock ", "F0 "), ("", "")):
            yield inst(f"{lock}xadd +m{width}, +r{width}", f"{head}{prefix}0F {0xC0 + one:X} /r", _add_and_exchange,
                       "XADD")  # fmt: skip
            yield inst(f"{lock}cmpxchg +m{width}, r{width}", f"{head}{prefix}0F {0xB0 + one:X} /r",
                       _compare_and_exchange, "CMPXCHG")  # fmt: skip
    for lock, head in (("lock ", "F0 "), ("", "")):
        yield inst(f"{lock}cmpxchg16b +ma", f"{head}REX.W 0F C7 /1", _of_two, "CMPXCHG8B/CMPXCHG16B", "cx16")


def _fences() -> Iterator[Row]:
    for name, picture in (("lfence", "0F AE E8"), ("mfence", "0F AE F0"), ("sfence", "0F AE F8"), ("pause", "F3 90")):
        yield inst(name, picture, lambda s: None, name.upper())
    for name, picture, bit in (("clc", "F8", 0), ("stc", "F9", 1)):
        yield inst(name, picture, lambda s, cf=bit: s.write("cf", const(cf, 1)), name.upper())
    yield inst("syscall", "0F 05", _system, "SYSCALL", untested="what it does is the system's")


def _system(s: Machine) -> None:
    raise NoMeaning("what a system call does is the system's")


ROWS: Final[tuple[Row, ...]] = (*_control(), *_stack(), *_atomics(), *_fences())
