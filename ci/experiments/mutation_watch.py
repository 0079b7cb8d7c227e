"""Runs a program before and after an edit and looks at more than its results: what each call of the edited function did
to its caller.

The one idea: the edited program is held against the unedited one on the same runner, input by input, so nothing is
allowed for. Results, data, traps, callee-saved registers and the stack pointer at the program's border are the
runner's own outcomes. For calls inside of the program a Unicorn is given hooks at the function's first byte and at the
places that calls return to: what the function owes by its convention (registers as wide as they are owed, the stack
pointer, the stack from its arguments upwards) is read at both, and what one call changed is what is compared.
It does not see registers that a convention leaves open, nor the area of stack arguments, which is the callee's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, NamedTuple

import unicorn
from unicorn import arm64_const, riscv_const, s390x_const, x86_const

from liftcheck import layout
from liftcheck.case import Case, FunctionCode, Outcome
from liftcheck.clif.ir import Signature
from liftcheck.errors import InternalError, Unsupported
from liftcheck.isa.abi import owed, reserved
from liftcheck.mach.insn import CALL, STACK_POINTERS, decode, show
from liftcheck.runners.base import STACK_TOP, BaseRunner, Batch, Job, control_block
from liftcheck.runners.link import Image, link
from liftcheck.runners.unicorn import UnicornRunner

_X64: Final = ("RAX", "RCX", "RDX", "RBX", "RSP", "RBP", "RSI", "RDI", *(f"R{n}" for n in range(8, 16)))
REGISTERS: Final[dict[str, dict[int, int]]] = {
    "x86-64": {n: getattr(x86_const, f"UC_X86_REG_{name}") for n, name in enumerate(_X64)}
    | {64 + n: getattr(x86_const, f"UC_X86_REG_XMM{n}") for n in range(16)},
    "aarch64": {n: getattr(arm64_const, f"UC_ARM64_REG_X{n}") for n in range(31)}
    | {63: arm64_const.UC_ARM64_REG_SP}
    | {64 + n: getattr(arm64_const, f"UC_ARM64_REG_Q{n}") for n in range(32)},
    "riscv64": {n: getattr(riscv_const, f"UC_RISCV_REG_X{n}") for n in range(1, 32)}
    | {64 + n: getattr(riscv_const, f"UC_RISCV_REG_F{n}") for n in range(32)},
    "s390x": {n: getattr(s390x_const, f"UC_S390X_REG_R{n}") for n in range(16)}
    | {64 + n: getattr(s390x_const, f"UC_S390X_REG_F{n}") for n in range(16)},
}
"""Places and the emulator's registers. Of s390x's vector registers only the halves that are floats: no convention but
`preserve_all` keeps more."""
_SAVE_AREA: Final = {"s390x": 160, "x86-64": 8}
"""Bytes above the stack pointer at entry that are the callee's: the register save area, the return address."""
_STACK_END: Final = STACK_TOP + 0x1000
_CANARIES: Final = 64
"""Where the control block's noise and canaries begin."""
_SEEN: Final = 0x8000
"""Bytes of the caller's stack that are looked at."""


class Call(NamedTuple):
    """What one call did to its caller: registers that are not as they were; how far the stack pointer moved; bytes of
    the caller's stack that are not as they were, by distance from the stack pointer at entry. `row`: of which run."""

    registers: tuple[str, ...]
    popped: int
    stack: dict[int, tuple[int, int]]
    above: bytes
    row: int


class Ran(NamedTuple):
    """A program's outcomes, or why it could not be run. `broke`: how it took the runner's own memory with it."""

    outcomes: Sequence[Outcome]
    trouble: str = ""
    broke: str = ""


class Program(NamedTuple):
    """What stays when a function is edited."""

    isa: str
    case: Case
    codes: tuple[FunctionCode, ...]
    trampoline: FunctionCode

    def with_code(self, number: int, code: FunctionCode) -> Program:
        """With another code for function `number`."""
        return self._replace(codes=(*self.codes[:number], code, *self.codes[number + 1 :]))

    def job(self, image: Image) -> Job:
        entry = self.case.module.functions[self.case.entry]
        case = self.case
        return Job(self.trampoline, image.entry(0, entry.name), entry.signature, case.inputs, case.memories, case.slot)


def run(runner: BaseRunner, program: Program, garbage: int) -> Ran:
    """All inputs. `garbage`: a byte that fills the stack before, another one each time: who reads it does otherwise."""
    runner.arena.write(layout.STACK, bytes([garbage]) * layout.STACK_SIZE)
    runner.arena.write(layout.CONTROL + _CANARIES, control_block(runner.arena.order)[_CANARIES:])
    try:
        image = link([program.codes], program.isa)
        found = runner.run(image, [program.job(image)])[0]
    except Unsupported as error:
        return Ran((), f"linker: {error.reason}")
    except InternalError as error:
        return Ran((), "", str(error))
    lacking = next((o.detail for o in found if o.kind == "unsupported"), "")
    return Ran(found, lacking)


def difference(before: Ran, after: Ran) -> str:
    """The first input that ends otherwise, in words."""
    if after.broke != before.broke:
        return after.broke or before.broke
    for number, (old, new) in enumerate(zip(before.outcomes, after.outcomes)):
        if old != new:
            shown = [f"{o.kind} {', '.join(f'{v:#x}' for v in o.values)} {o.detail}".strip() for o in (old, new)]
            memory = " (data differs)" if old.memory != new.memory else ""
            return f"input {number}: {shown[0]} before, {shown[1]} after{memory}"
    return ""


class _Runner(UnicornRunner):
    """Forgets what was seen of a run that was stopped for its time and begins again."""

    seen: _Seen | None = None

    def restore(self, batch: Batch, row: int) -> None:
        super().restore(batch, row)
        if self.seen is not None:
            self.seen.calls[:] = [call for call in self.seen.calls if call.row != row]
            self.seen.open.clear()


class Watcher:
    """Looks at every call of one function of a program. One emulator an ISA; not for use in a forked child."""

    def __init__(self, isa: str) -> None:
        self.isa: Final = isa
        self.runner: Final = _Runner(isa)
        self._uc: Final[Any] = self.runner._uc

    def calls(self, program: Program, number: int) -> list[Call] | None:
        """What each call of function `number` did, over all inputs; None if the emulator lacks something."""
        image = link([program.codes], self.isa)
        function = program.case.module.functions[number]
        seen = _Seen(
            self,
            program.codes[number],
            str(function.signature.call_conv or ""),
            _arguments(self.isa, function.signature),
        )
        hooks = [self._hook(image.entry(0, function.name), seen.entered)]
        hooks += [self._hook(address, seen.returned) for address in self._returns(program, image)]
        self.runner.seen = seen
        self.runner.forget_trampolines()
        try:
            found = self.runner.run(image, [program.job(image)])[0]
        finally:
            for hook in hooks:
                self._uc.hook_del(hook)
            self._uc.ctl_remove_cache(layout.CODE, layout.CODE + len(image.code))
            self.runner._image = None
        return None if any(outcome.kind == "unsupported" for outcome in found) else seen.calls

    def _hook(self, address: int, callback: Callable[..., None]) -> object:
        return self._uc.hook_add(unicorn.UC_HOOK_CODE, callback, None, address, address)

    def _returns(self, program: Program, image: Image) -> Iterator[int]:
        """Where calls return to: in the program, and in the trampoline."""
        for code in program.codes:
            start = image.entry(0, code.name)
            yield from sorted({start + site.offset for site in code.calls})
        at = self.runner._trampoline(program.trampoline)
        for machine in decode(self.isa, program.trampoline.code):
            at += machine.size
            if machine.flow == CALL:
                yield at

    def read(self, place: int) -> int:
        """A register."""
        return int(self._uc.reg_read(REGISTERS[self.isa][place]))

    def word(self, address: int) -> int:
        return self.runner.arena.word(address)

    def stack(self, start: int) -> bytes:
        """The stack from an address to its end."""
        inside = layout.STACK <= start < _STACK_END
        return self.runner.arena.read(start, min(_STACK_END - start, _SEEN)) if inside else b""


class _Entry(NamedTuple):
    """The state at a function's first byte."""

    back: int
    sp: int
    registers: dict[int, int]
    stack: bytes


class _Seen:
    """The calls of one function while a program runs."""

    def __init__(self, watcher: Watcher, code: FunctionCode, convention: str, arguments: int) -> None:
        kept = owed(watcher.isa, convention)
        self.watcher: Final = watcher
        self.skip: Final = arguments + _SAVE_AREA.get(watcher.isa, 0)
        known = REGISTERS[watcher.isa]
        low = kept.low if kept is not None else 0
        self.masks: Final = {
            place: -1 if place < 64 or low else (1 << bits) - 1
            for place, bits in (kept.bits.items() if kept is not None else ())
            if place in known and place not in (reserved(watcher.isa).link, STACK_POINTERS[watcher.isa])
        }
        self.open: Final[list[_Entry]] = []
        self.calls: Final[list[Call]] = []

    def entered(self, _uc: Any, _address: int, _size: int, _data: object) -> None:
        watcher, isa = self.watcher, self.watcher.isa
        sp = watcher.read(STACK_POINTERS[isa])
        link_register = reserved(isa).link
        back = watcher.read(link_register) if link_register >= 0 else watcher.word(sp)
        while self.open and self.open[-1].sp <= sp:  # of runs that trapped
            self.open.pop()
        self.open.append(_Entry(back, sp, {place: watcher.read(place) for place in self.masks}, watcher.stack(sp)))

    def returned(self, _uc: Any, address: int, _size: int, _data: object) -> None:
        watcher = self.watcher
        sp = watcher.read(STACK_POINTERS[watcher.isa])
        if not self.open or self.open[-1].back != address or sp < self.open[-1].sp:
            return
        entry = self.open.pop()
        changed = tuple(
            show(place, watcher.isa)
            for place, mask in self.masks.items()
            if (watcher.read(place) ^ entry.registers[place]) & mask
        )
        above = watcher.stack(entry.sp)
        stack = (
            {
                at: (entry.stack[at], above[at])
                for at in range(self.skip, min(len(above), len(entry.stack)))
                if entry.stack[at] != above[at]
            }
            if above != entry.stack
            else {}
        )
        self.calls.append(Call(changed, sp - entry.sp, stack, above, watcher.word(layout.CONTROL)))


def _arguments(isa: str, signature: Signature) -> int:
    """At least as many bytes as arguments and results take on the stack."""
    found = 32 if signature.call_conv == "windows_fastcall" else 0
    for row in (signature.params, signature.returns):
        units = sum(2 if param.type.bits > 64 else 1 for param in row)
        found = max(found, 16 * units + 32 if units > 2 else 0)
    return found


def called_otherwise(before: Sequence[Call], after: Sequence[Call]) -> str:
    """The first call that did something else to its caller, in words."""
    if len(before) != len(after):
        return f"{len(before)} calls before, {len(after)} after"
    for number, (old, new) in enumerate(zip(before, after)):
        if set(new.registers) - set(old.registers):
            return f"call {number}: {', '.join(new.registers)} changed"
        if new.popped != old.popped:
            return f"call {number}: the stack pointer moves by {new.popped}, not {old.popped}"
        for at in sorted(old.stack.keys() | new.stack.keys()):
            written = at in old.stack
            if (written and new.above[at] != old.above[at]) or (not written and new.stack[at][1] != old.above[at]):
                return f"call {number}: the caller's stack at sp + {at} is changed"
    return ""
