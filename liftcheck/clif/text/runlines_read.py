"""Reads run lines out of a function's comments, and the buffers that liftcheck's own lines speak of.

The one idea: a comment is a little text of its own for the lexer of CLIF; values are typed by the signature. A comment
that begins as a run line does and is none is an error, as upstream has it; `; liftcheck:` too must be followed by a
word that means something, so that no line is lost to a typing mistake.
Sources: cranelift-reader 0.135 `parse_run_command`; docs/files.md for liftcheck's own lines.
"""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Iterable, Mapping
from typing import Final

from liftcheck import layout
from liftcheck.clif.formats import TRAP_CODES, trap_code
from liftcheck.clif.ir import Signature
from liftcheck.clif.text import literals
from liftcheck.clif.text.buffers import ALIGN, BYTES, POINTERS, Buffer, Claim, Memory, Piece, Place
from liftcheck.clif.text.lexer import END, Cursor, Fault
from liftcheck.clif.text.operands import optional_offset
from liftcheck.clif.text.runlines import ANY_TRAP, EXTENSION, RunLine, data_value, place_text
from liftcheck.clif.types import TYPES, Type
from liftcheck.errors import Diagnostic

Buffers = Mapping[str, Buffer]
NO_BUFFERS: Final[Buffers] = {}
NO_SIGNATURE: Final = Signature((), ())


def read_run_lines(
    comments: Iterable[tuple[int, str]],
    signature: Signature,
    cursor: Cursor,
    errors: list[Diagnostic],
    shared: Buffers = NO_BUFFERS,
) -> list[RunLine]:
    """The run lines among a function's comments; what is wrong goes to `errors`. `shared`: the file's own buffers."""
    found: list[RunLine] = []
    buffers = dict(shared)
    for number, text in comments:
        body = text.lstrip("; ")
        if body.startswith(("run", "print", EXTENSION)):
            p = Cursor([" " * cursor.column_of(number, body) + body], number, cursor.file)
            try:
                line = (
                    _extension(p, signature, number, buffers)
                    if p.tokens[0] == EXTENSION
                    else _run_line(p, signature, number)
                    if p.tokens[0] in ("run", "print")
                    else None
                )
            except Fault as fault:
                errors.append(p.diagnostic(fault))
            else:
                found += [line] if line is not None else []
    return found


def read_buffers(comments: Iterable[tuple[int, str]], file: str, errors: list[Diagnostic]) -> dict[str, Buffer]:
    """The buffers that a file's comments in front of the first function give to all its functions."""
    buffers: dict[str, Buffer] = {}
    for number, text in comments:
        p = Cursor([text.lstrip("; ")], number, file)
        if p.tokens[:3] == [EXTENSION, ":", "memory"]:
            try:
                _extension(p, NO_SIGNATURE, number, buffers)
            except Fault as fault:
                errors.append(p.diagnostic(fault))
    return buffers


def _extension(p: Cursor, signature: Signature, line: int, buffers: dict[str, Buffer]) -> RunLine | None:
    """`liftcheck: memory …`, which adds a buffer, or `liftcheck: run: …`. Prose that begins so has no colon."""
    p.index += 1
    if not p.optional(":"):
        return None
    word = p.one_of(("memory", "run", "print"), "'memory', 'run' or 'print'")
    if word == "memory":
        buffer = _buffer(p, buffers)
        buffers[buffer.name] = buffer
        found = None
    else:
        p.index -= 1
        found = _run_line(p, signature, line, _Names(buffers))
    if p.tokens[p.index] != END:
        p.fail(f"expected the end of the line, found {p.found()}")
    return found


def _run_line(p: Cursor, signature: Signature, line: int, names: _Names | None = None) -> RunLine:
    """One run line. `names`: it may speak of memory."""
    params, returns = (tuple(x.type for x in side) for side in (signature.params, signature.returns))
    command = p.word("a command")
    if not p.optional(":") and names is None:
        return _implicit(p, command, params, returns, line)
    name = p.tokens[p.index]
    if name[:1] != "%" and not (names is not None and p.entity_number(name, "u") is not None):
        p.fail(f"expected a function's name (%f), found {p.found()}")
    p.index += 1
    if name[:1] == "u":
        p.take(":", "in a name of the form u0:0")
        name += f":{p.number(literals.decimal32, 'a number')}"
    p.take("(", "before the arguments")
    args, places = _data_values(p, params, names)
    p.take(")", "after the arguments")
    comparison, expected, results, trap = _expected(p, returns, names) if command == "run" else ("print", (), (), "")
    memory = None if names is None else names.memory(p, places, results, _claims(p, names))
    return RunLine(name, args, comparison, expected, line, params, returns, trap, memory)


_Places = tuple[tuple[int, Place], ...]


def _expected(p: Cursor, returns: tuple[Type, ...], names: _Names | None) -> tuple[str, tuple[int, ...], _Places, str]:
    """Comparison, values, which of them are addresses, and the trap's code."""
    if p.optional("traps"):
        return "==", (), (), _trap(p)
    if names is not None and not returns and p.tokens[p.index] in (",", END):
        return "==", (), (), ""
    comparison = _comparison(p)
    if p.optional("trap"):
        return comparison, (), (), _trap(p)
    if len(returns) != 1:
        p.take("[", "before the results")
    expected, places = _data_values(p, returns, names)
    if len(returns) != 1:
        p.take("]", "after the results")
    return comparison, expected, places, ""


class _Names:
    """The buffers that a run line may name, and those that it does."""

    def __init__(self, known: Mapping[str, Buffer]) -> None:
        self.known = known
        self.used: dict[str, Buffer] = {}

    def use(self, p: Cursor) -> Place:
        """A buffer's name, with an offset or without."""
        name = p.word("a buffer's name")
        if name not in self.known:
            p.fail(
                f"there is no buffer '{name}'; a line `; liftcheck: memory {name} = i32[1 2]` above makes one"
                + (f" (there are: {', '.join(self.known)})" if self.known else ""),
                p.index - 1,
            )
        self._note(self.known[name])
        return Place(name, optional_offset(p))

    def _note(self, buffer: Buffer) -> None:
        """A buffer is used, and with it those that it points to."""
        if buffer.name in self.used:
            return
        self.used[buffer.name] = buffer
        for item in (item for piece in buffer.pieces for item in piece.items):
            if isinstance(item, Place) and item.name in self.known:
                self._note(self.known[item.name])

    def unnamed(self, pieces: tuple[Piece, ...]) -> Place:
        """A buffer that is written in the place of an address."""
        buffer = Buffer(f"#{len(self.used)}", pieces)
        self.used[buffer.name] = buffer
        return Place(buffer.name)

    def memory(self, p: Cursor, args: _Places, results: _Places, claims: tuple[Claim, ...]) -> Memory | None:
        memory = Memory(tuple(self.used.values()), args, results, claims)
        if memory.length > layout.SLOT_SIZE:
            p.fail(f"the buffers take {memory.length} bytes; a run has {layout.SLOT_SIZE}")
        for claim in claims:
            at = memory.at(claim.place, 0)
            if not 0 <= at <= layout.SLOT_SIZE - sum(piece.length for piece in claim.pieces):
                p.fail(f"{place_text(claim.place)} is outside the data region")
        return memory if self.used else None


def _claims(p: Cursor, names: _Names) -> tuple[Claim, ...]:
    found = []
    while p.optional(","):
        place = names.use(p)
        p.take("=", "in the comparison")
        p.take("=", "in the comparison")
        found.append(Claim(place, _pieces(p, names)))
    return tuple(found)


def _buffer(p: Cursor, known: dict[str, Buffer]) -> Buffer:
    """`a = i32[1 2], zero[8], align = 16`"""
    if p.tokens[p.index] in (BYTES, POINTERS, "zero", "align"):
        p.fail(f"{p.found()} is not a name for a buffer: it means something here")
    name = p.word("a buffer's name")
    p.take("=", "before the contents")
    pieces, align = _pieces(p, _Names(ChainMap({name: Buffer(name, ())}, known))), ALIGN
    if p.optional(","):
        p.take("align", "or contents")
        p.take("=", "before the alignment")
        align = p.number(literals.imm64, "an alignment")
        if not 0 < align <= layout.SLOT_SIZE or align & (align - 1):
            p.fail(f"a buffer's alignment is a power of two up to {layout.SLOT_SIZE}", p.index - 1)
    return Buffer(name, pieces, align)


def _pieces(p: Cursor, names: _Names) -> tuple[Piece, ...]:
    found = [_piece(p, names)]
    while p.tokens[p.index] == "," and _is_piece(p.tokens[p.index + 1]):
        p.index += 1
        found.append(_piece(p, names))
    return tuple(found)


def _is_piece(token: str) -> bool:
    return token in (BYTES, POINTERS, "zero") or (token in TYPES and not TYPES[token].is_vector)


def _piece(p: Cursor, names: _Names) -> Piece:
    kind = p.tokens[p.index]
    if not _is_piece(kind):
        p.fail(f"expected contents (i32[1 2], f64[0x1.8], bytes[de ad], zero[16], ptr[&a]), found {p.found()}")
    p.index += 1
    p.take("[", f"after {kind}")
    if kind == "zero":
        count = p.number(literals.uimm32, "a number of bytes")
        if count > layout.SLOT_SIZE:
            p.fail(f"a run has {layout.SLOT_SIZE} bytes", p.index - 1)
        p.take("]", "after the number of bytes")
        return Piece(BYTES, 1, (0,) * count)
    items: list[int | Place] = []
    while not p.optional("]"):
        items += _bytes(p) if kind == BYTES else [_item(p, kind, names)]
    size = {BYTES: 1, POINTERS: 8}.get(kind) or TYPES[kind].bytes
    return Piece(kind, size, tuple(items))


def _bytes(p: Cursor) -> list[int]:
    """Hexadecimal digits, two a byte: `de ad`, `dead`."""
    token = p.tokens[p.index]
    try:
        found = list(bytes.fromhex(token.replace("_", "").removeprefix("0x")))
    except ValueError:
        found = []
    if not found:
        p.fail(f"expected bytes in hexadecimal (de ad be ef) and ']', found {p.found()}")
    p.index += 1
    return found


def _item(p: Cursor, kind: str, names: _Names) -> int | Place:
    if kind != POINTERS:
        return data_value(p, TYPES[kind])
    if p.optional("&"):
        return names.use(p)
    return data_value(p, TYPES["i64"])


def _implicit(p: Cursor, command: str, params: tuple[Type, ...], returns: tuple[Type, ...], line: int) -> RunLine:
    """`; run` alone: a function without parameters whose one integer result must not be 0; `; print` alone."""
    if params or (command == "run" and not (len(returns) == 1 and returns[0].is_int and not returns[0].is_vector)):
        p.fail(
            f"'{command}' without a call needs a function without parameters"
            + (" and with one integer result" if command == "run" else "")
        )
    return RunLine("", (), "!=" if command == "run" else "print", (0,) if command == "run" else (), line, (), returns)


def _comparison(p: Cursor) -> str:
    for first, text in (("=", "=="), ("!", "!=")):
        if p.optional(first):
            p.take("=", "in the comparison")
            return text
    return p.fail(f"expected '==' or '!=', found {p.found()}")


def _trap(p: Cursor) -> str:
    """The code after `trap`, or any if the line ends there."""
    if p.tokens[p.index] == END:
        return ANY_TRAP
    code = trap_code(p.tokens[p.index])
    if not code:
        p.fail(f"expected a trap code ({', '.join(TRAP_CODES)}, user1 to user250), found {p.found()}")
    p.index += 1
    return code


def _data_values(p: Cursor, types: tuple[Type, ...], names: _Names | None) -> tuple[tuple[int, ...], _Places]:
    """Values of these types, and which of them are addresses (0 for now)."""
    found, places = [], []
    for number, ty in enumerate(types):
        if number:
            p.take(",", "between values")
        if names is not None and ty is TYPES["i64"] and p.optional("&"):
            places.append((number, names.unnamed(_pieces(p, names)) if _is_piece(p.tokens[p.index]) else names.use(p)))
            found.append(0)
        else:
            found.append(data_value(p, ty))
    return tuple(found), tuple(places)
