"""x86-64's registers, frames, moves and jumps for the compiler of our own, and its instructions as lines of text.

The one idea: an instruction of the compiler's is assembler text in which `{d:64}` is a register by its name of 64 bits
(vectors: `{d}`), `{0}` what `extra` has, `{m}` an address; bytes come of the rows that the text means. Flags live
inside of one form only: what sets them and what reads them stand together. r11 and xmm15 are never allocated, and free
between any two forms.

Sources: System V psABI AMD64 (registers, the pair at the frame pointer); Intel's manual, volume 2, `Jcc`, `JMP`,
`CALL`.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any, Final

from liftcheck.isa.x64.insts.common import NAMES
from liftcheck.isa.x64.insts.table import table
from liftcheck.mach.backend import Backend, CallForm, Emitter, Frame, frame_of
from liftcheck.mach.convention import BASE, OUTGOING, STACK_SLOT, TAIL
from liftcheck.mach.emit import Reach
from liftcheck.mach.regs import FLOAT, INT, SLOT
from liftcheck.mach.rows.program import assemble
from liftcheck.mach.vcode import DEF, EARLY, FIXED, LATE, REG, REUSE, USE, Form, Insn, Slot, VCode

RSP, RBP, R11, XMM15 = 4, 5, 11, 64 + 15
_LOST: Final = (0, 1, 2, 6, 7, 8, 9, 10)
_SAVED: Final = (3, 12, 13, 14, 15)
CONDITIONS: Final = {
    "o": 0, "no": 1, "b": 2, "ae": 3, "e": 4, "ne": 5, "be": 6, "a": 7, "s": 8, "ns": 9, "p": 10, "np": 11, "l": 12,
    "ge": 13, "le": 14, "g": 15,
}  # fmt: skip
OPPOSITE: Final = {name: next(n for n, c in CONDITIONS.items() if c == code ^ 1) for name, code in CONDITIONS.items()}


class Named:
    """A register in a text: `{d:32}` is its name of 32 bits, `{d}` a vector's."""

    __slots__ = ("place",)

    def __init__(self, place: int) -> None:
        self.place: Final = place

    def __format__(self, width: str) -> str:
        return NAMES[int(width)][self.place] if width else f"xmm{self.place - 64}"


def slots_of(text: str) -> tuple[list[str], list[Slot]]:
    """Names and slots of `=d/a a n@1 &t x.f`: `=d/a` is written over what `a` was in, `@1` is in register 1, `&` is
    written before all is read, `~` read to the end; `.f` is a vector register."""
    words = text.split()
    bare = [word.lstrip("=&~") for word in words]
    names = [word.partition("/")[0].partition("@")[0].partition(".")[0] for word in bare]
    slots = []
    for word, rest in zip(words, bare):
        cls = FLOAT if ".f" in rest else INT
        kind = DEF if word[0] in "=&" else USE
        position = (EARLY if "&" in word[:2] else LATE) if kind == DEF else (LATE if word[0] == "~" else EARLY)
        name, _, over = rest.partition("/")
        _, _, number = name.partition("@")
        if over:
            slots.append(Slot(cls, kind, position, REUSE, names.index(over)))
        elif number:
            slots.append(Slot(cls, kind, position, FIXED, int(number)))
        else:
            slots.append(Slot(cls, kind, position, REG))
    return names, slots


_MEMO: Final = 20_000


class Text(Form):
    """Instructions as text. `extra`: numbers for `{0}` …, and, where the text has `{m}`, first the area and offset of
    an address, whose base and index are the last registers. A line that begins with `!` is the access that may trap."""

    __slots__ = ("_lines", "_memo", "_names", "memory")

    def __init__(self, name: str, operands: str, text: str) -> None:
        names, slots = slots_of(operands)
        super().__init__(name, slots, accesses="{m}" in text or "!" in text)
        self._names: Final = names
        self._lines: Final = text
        self.memory: Final = "{m}" in text
        self._memo: Final[dict[object, list[tuple[bool, bytes]]]] = {}

    def pieces(self, places: Sequence[int], extra: tuple[Any, ...], memory: str = "") -> list[tuple[bool, bytes]]:
        """The machine instructions, and whether each may trap."""
        key = (*places,), extra, memory
        found = self._memo.get(key)
        if found is None:
            if len(self._memo) > _MEMO:
                self._memo.clear()
            named = {name: Named(place) for name, place in zip(self._names, places)}
            text = self._lines.format(*extra, m=memory, **named)
            lines = [line.strip() for line in text.split(";")]
            marked = [line.startswith("!") for line in lines if not line.endswith(":")]
            made = assemble(table(), "\n".join(lines).replace("!", ""))
            found = self._memo[key] = [(mark, one.data) for mark, (_, one) in zip(marked, made, strict=True)]
        return found

    def emit(self, out: Emitter, places: Sequence[int], insn: Insn) -> None:
        extra, memory = insn.extra, ""
        if self.memory:
            area, offset, scale, *rest = extra
            extra = tuple(rest)
            memory = address(out, area, offset, scale, places[len(self._names) :])
        for marked, data in self.pieces(places, extra, memory):
            if insn.trap and (marked or self.memory):
                out.trap(insn.trap)
            out.put(data)


class Addressed(Text):
    """A text with an address: so many registers more."""

    __slots__ = ()

    def __init__(self, name: str, operands: str, text: str, registers: int) -> None:
        super().__init__(name, operands, text)
        self.slots += tuple(Slot(INT, USE, EARLY) for _ in range(registers))  # type: ignore[misc]


def address(out: Emitter, area: str, offset: int, scale: int, registers: Sequence[int]) -> str:
    """The text of an address. `registers`: base and index, as far as there are any."""
    parts = []
    if area == BASE:
        parts = [NAMES[64][registers[0]]]
        if len(registers) > 1:
            parts.append(f"{NAMES[64][registers[1]]}*{1 << scale}")
    elif area == OUTGOING:
        parts = ["rsp"]
    elif area == STACK_SLOT:
        parts, offset = ["rsp"], offset + out.frame.slots
    else:
        above = 16 + out.frame.grown + (out.code.incoming if area == TAIL else 0)
        parts, offset = ["rbp"], offset + above
    sign = "-" if offset < 0 else "+"
    return f"[{' + '.join(parts)} {sign} {abs(offset)}]" if offset else f"[{' + '.join(parts)}]"


@cache
def text(name: str, operands: str, lines: str) -> Text:
    """A form of text."""
    return Text(name, operands, lines)


@cache
def addressed(name: str, operands: str, lines: str, registers: int) -> Addressed:
    """A form of text with an address."""
    return Addressed(name, operands, lines, registers)


@cache
def line(words: str) -> bytes:
    """Bytes of instructions without registers of the program's."""
    return b"".join(one.data for _, one in assemble(table(), words.replace(";", "\n")))


# -- jumps


def _signed(value: int, size: int) -> bytes:
    return value.to_bytes(size, "little", signed=True)


@cache
def branch(condition: str) -> Reach:
    """A conditional jump."""
    code = CONDITIONS[condition]

    def encode(form: int, distance: int) -> bytes:
        if not form:
            return bytes([0x70 + code]) + _signed(distance - 2, 1)
        return bytes([0x0F, 0x80 + code]) + _signed(distance - 6, 4)

    return Reach((2, 6), lambda form, distance: form == 1 or -126 <= distance <= 129, encode)


_JUMP: Final = Reach(
    (2, 5),
    lambda form, distance: form == 1 or -126 <= distance <= 129,
    lambda form, d: b"\xe9" + _signed(d - 5, 4) if form else b"\xeb" + _signed(d - 2, 1),
)


class Branch(Form):
    """A comparison and a conditional jump; `extra`: the condition, the block where it holds, the other, and what the
    comparison's text has."""

    __slots__ = ("_compare",)

    def __init__(self, compare: Text) -> None:
        super().__init__(f"{compare.name}; j", compare.slots)
        self._compare: Final = compare
        self.is_branch = True

    def emit(self, out: Emitter, places: Sequence[int], insn: Insn) -> None:
        condition, then, other, *extra = insn.extra
        for _, data in self._compare.pieces(places, tuple(extra)):
            out.put(data)
        if out.comes_next(then):
            condition, then, other = OPPOSITE[condition], other, then
        out.lead(branch(condition), out.to(then))
        out.jump(other)


class TrapIf(Form):
    """A comparison and a trap if the condition holds; `extra`: the condition, the trap's code, the text's."""

    __slots__ = ("_compare",)

    def __init__(self, compare: Text) -> None:
        super().__init__(f"{compare.name}; trap", compare.slots)
        self._compare: Final = compare

    def emit(self, out: Emitter, places: Sequence[int], insn: Insn) -> None:
        condition, code, *extra = insn.extra
        for _, data in self._compare.pieces(places, tuple(extra)):
            out.put(data)
        out.put(bytes([0x70 + CONDITIONS[OPPOSITE[condition]], 2]))
        put_trap(out, code)


branch_on: Final = cache(Branch)
trap_on: Final = cache(TrapIf)


def put_trap(out: Emitter, code: str) -> None:
    """A trap with a code."""
    out.trap(code)
    out.put(b"\x0f\x0b")


class Trap(Form):
    """Always; it ends its block."""

    __slots__ = ()

    def emit(self, out: Emitter, places: Sequence[int], insn: Insn) -> None:
        put_trap(out, insn.extra[0])


TRAP: Final = Trap("ud2", ())
TRAP.is_branch = True


class JumpTable(Form):
    """A jump by a table of distances: `extra` is the default block and the others. The index is 32 bits wide."""

    __slots__ = ()

    def emit(self, out: Emitter, places: Sequence[int], insn: Insn) -> None:
        index, at, given = places
        default, *others = insn.extra
        name = {key: Named(place) for key, place in (("i", index), ("t", at), ("g", given))}
        out.put(line("mov {i:32}, {g:32}; cmp {i:32}, {n}".format(n=len(others), **name)))
        out.lead(branch("ae"), out.to(default))
        start = out.label()
        out.lead(from_pool("lea {t:64}, [rip + {x}]".format(x="{}", **name)), start)
        out.put(line("movsxd {i:64}, dword ptr [{t:64} + {i:64}*4]; add {t:64}, {i:64}; jmp {t:64}".format(**name)))
        out.bind(start)
        for number, block in enumerate(others):
            back = 4 * number
            out.lead(
                Reach((4,), lambda form, d: True, lambda form, d, back=back: _signed(d + back, 4)),  # type: ignore[misc]
                out.to(block),
            )


JUMP_TABLE: Final = JumpTable("br_table", (Slot(INT, DEF, EARLY), Slot(INT, DEF, EARLY), Slot(INT, USE, EARLY)))
JUMP_TABLE.is_branch = True


@cache
def from_pool(template: str) -> Reach:
    """An instruction that names a label by `[rip + {}]`."""
    size = len(line(template.format(0x7FFFFFFF)))

    def encode(form: int, distance: int) -> bytes:
        made = line(template.format(0x7FFFFFFF))
        return made.replace(_signed(0x7FFFFFFF, 4), _signed(distance - size, 4))

    return Reach((size,), lambda form, distance: True, encode)


class FromPool(Form):
    """A constant whose bytes are `extra[0]`, from memory into a vector register."""

    __slots__ = ()

    def emit(self, out: Emitter, places: Sequence[int], insn: Insn) -> None:
        out.lead(
            from_pool(f"{self.name} xmm{places[0] - 64}, {_SIZES[self.name]} ptr [rip + {{}}]"),
            out.constant(insn.extra[0]),
        )


_SIZES: Final = {"movss": "dword", "movsd": "qword", "movups": "xmmword"}
POOL: Final = {n: FromPool(name, (Slot(FLOAT, DEF, LATE),)) for n, name in ((4, "movss"), (8, "movsd"), (16, "movups"))}


# -- calls


class Call(CallForm):
    """See `backend.CallForm`."""

    __slots__ = ()

    def restore(self, out: Emitter, above: int) -> None:
        _restore(out, above)

    def go(self, out: Emitter, symbol: str | None, through: int, tail: bool) -> None:
        if symbol is None:
            out.put(line(f"{'jmp' if tail else 'call'} {NAMES[64][through]}"))
        else:
            out.relocation("X86PCRel4" if tail else "X86CallPCRel4", symbol, -4, within=1)
            out.put((b"\xe9" if tail else b"\xe8") + bytes(4))

    def lower_stack(self, out: Emitter, count: int) -> None:
        _add_sp(out, -count)


class FunctionAddress(Form):
    """The address of a symbol (`extra[0]`) with an addend."""

    __slots__ = ()

    def emit(self, out: Emitter, places: Sequence[int], insn: Insn) -> None:
        symbol, addend = insn.extra
        made = line(f"movabs {NAMES[64][places[0]]}, 0x7123456789abcdef")
        out.relocation("Abs8", symbol, addend, within=len(made) - 8)
        out.put(made[:-8] + bytes(8))


FUNCTION_ADDRESS: Final = FunctionAddress("load_ext_name", (Slot(INT, DEF, LATE),))


# -- frames


def _room(place: int) -> int:
    return 16 if place >= 64 else 8


def _saves(frame: Frame) -> int:
    return -(-sum(map(_room, frame.saved)) // 16) * 16


def _add_sp(out: Emitter, count: int) -> None:
    if count:
        out.put(line(f"{'add' if count > 0 else 'sub'} rsp, {abs(count)}"))


def _each_saved(out: Emitter, store: bool) -> None:
    at = out.frame.size
    for place in sorted(out.frame.saved, reverse=True):
        name = f"xmm{place - 64}" if place >= 64 else NAMES[64][place]
        word, size = ("movups", "xmmword") if place >= 64 else ("mov", "qword")
        memory = f"{size} ptr [rsp + {at}]"
        out.put(line(f"{word} {memory}, {name}" if store else f"{word} {name}, {memory}"))
        at += _room(place)


def _restore(out: Emitter, above: int) -> None:
    """All that the prologue did, undone; the return address ends `above` bytes higher."""
    frame = out.frame
    if frame.has_pair:
        _each_saved(out, store=False)
        _add_sp(out, frame.size + _saves(frame))
        out.put(line("pop rbp"))
    if above:
        out.put(line("pop r11"))
        _add_sp(out, above)
        out.put(line("push r11"))


class X64(Backend):
    """See `mach.backend.Backend`."""

    allocatable = ((_LOST, tuple(range(64, 79)), ()), (_SAVED, (), ()))
    scratch = (R11, XMM15, -1)
    slot_words = (1, 2, 1)

    def frame(self, code: VCode, saved: Sequence[int], spills: int, wants_pair: bool) -> Frame:
        return frame_of(code, saved, spills, wants_pair)

    def prologue(self, out: Emitter) -> None:
        frame = out.frame
        if not frame.has_pair:
            return
        if frame.grown:
            _add_sp(out, -frame.grown)
            out.put(line(f"mov r11, qword ptr [rsp + {frame.grown}]; mov qword ptr [rsp], r11"))
        out.put(line("push rbp; mov rbp, rsp"))
        _add_sp(out, -frame.size - _saves(frame))
        _each_saved(out, store=True)

    def leave(self, out: Emitter) -> None:
        popped = out.code.incoming if out.code.convention == "tail" else 0
        if out.frame.grown or popped >= 1 << 16:
            _restore(out, out.frame.grown + popped)
            out.put(line("ret"))
        else:
            _restore(out, 0)
            out.put(line(f"ret {popped}" if popped else "ret"))

    def move(self, out: Emitter, source: int, target: int) -> None:
        if target >= SLOT:
            memory = f"ptr [rsp + {out.spill(target)}]"
            out.put(
                line(
                    f"movups xmmword {memory}, xmm{source - 64}"
                    if source >= 64
                    else f"mov qword {memory}, {NAMES[64][source]}"
                )
            )
        elif source >= SLOT:
            memory = f"ptr [rsp + {out.spill(source)}]"
            out.put(
                line(
                    f"movups xmm{target - 64}, xmmword {memory}"
                    if target >= 64
                    else f"mov {NAMES[64][target]}, qword {memory}"
                )
            )
        elif target >= 64:
            out.put(line(f"movaps xmm{target - 64}, xmm{source - 64}"))
        elif source != target:
            out.put(line(f"mov {NAMES[64][target]}, {NAMES[64][source]}"))

    def jump(self, out: Emitter, label: int) -> None:
        out.lead(_JUMP, label)


BACKEND: Final = X64()
