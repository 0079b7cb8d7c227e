"""`%__cranelift_throw`, which upstream's harness gives to filetests: machine code that walks the stack to a handler.

The one idea: the walk is a function in CLIF, written for one compiled program: it compares the return address of each
frame with the call sites that have handlers, whose places in the code the compiler states, and the compiler under test
compiles it. Only the last step cannot be said in CLIF, so it is a few machine words an ISA (`Abi.resume`): take the
handler's stack and frame pointer, put the payloads where the handler wants them, jump.

`%__cranelift_throw(entry_fp, exit_fp, exit_pc, tag, payload, payload)` begins at the frame (exit_fp, exit_pc) and gives
up at entry_fp: the outcome is then a trap 'unhandled exception'. A handler for any tag catches all; contexts are not
looked at. Frames must be chained (`preserve_frame_pointers`).
Sources: upstream's `cranelift/filetests/src/function_runner.rs` and `crates/unwinder` (arguments, order of frames);
cranelift-codegen 0.135 `isa/*/abi.rs` (`exception_payload_regs`, frame layouts), `machinst/buffer.rs` (call sites).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final

from liftcheck.case import CallSite, CompileFailure, FunctionCode, Target
from liftcheck.compilers.base import Compiler
from liftcheck.errors import Unsupported
from liftcheck.interp.libcalls import UNHANDLED
from liftcheck.isa.abi import abi_named
from liftcheck.runners.trampolines import trampoline_target

THROW: Final = "%__cranelift_throw"
_RESUME: Final = "%__liftcheck_resume"
_TRAP: Final = "user213"
"""Stands for `UNHANDLED` in the routine's text."""


def with_throw(compiler: Compiler, program: Sequence[FunctionCode], target: Target) -> list[FunctionCode]:
    """The program, and the routine if it refers to it and has none of its own. Unsupported if it cannot be compiled."""
    named = {function.name for function in program}
    wanted = any(relocation.name == THROW for function in program for relocation in function.relocations)
    if not wanted or THROW in named:
        return list(program)
    (reply,) = compiler.compile_text(routine_text(program, target.isa), [trampoline_target(target)])[0]
    if isinstance(reply, CompileFailure):
        raise Unsupported(f"{THROW[1:]} on {target.isa}: {reply.reason}")
    traps = tuple((offset, UNHANDLED if code == _TRAP else code) for offset, code in reply.traps)
    resume = FunctionCode(_RESUME, bytes.fromhex(abi_named(target.isa).resume))
    return [*program, replace(reply, traps=traps), resume]


def routine_text(program: Sequence[FunctionCode], isa: str) -> str:
    """The walk over the frames of this program, as CLIF."""
    sites = list(_sites(program))
    names = list(dict.fromkeys(function.name for function, _ in sites))
    lines = [
        "sig0 = () system_v",
        "sig1 = (i64, i64, i64, i64, i64) system_v",
        f"fn0 = colocated {_RESUME} sig1",
        *(f"fn{number} = colocated {name} sig0" for number, name in enumerate(names, 1)),
        "block0(v0: i64, v1: i64, v2: i64, v3: i32, v4: i64, v5: i64):",
        "jump block1(v1, v2)",
        "block1(v6: i64, v7: i64):",
        "jump block4",
    ]
    writer = _Writer(lines)
    for number, (function, site) in enumerate(sites):
        writer.site(site, _test(number), _test(number + 1), names.index(function.name) + 1)
    lines += [
        f"block{_test(len(sites))}:",
        f"v8 = load.i64 notrap v6+{abi_named(isa).return_address}",
        "v9 = load.i64 notrap v6",
        "v10 = icmp eq v9, v0",
        "brif v10, block2, block1(v9, v8)",
        "block2:",
        f"trap {_TRAP}",
        "block3(v11: i64, v12: i64):",
        "call fn0(v11, v12, v6, v4, v5)",
        f"trap {_TRAP}",
    ]
    return f"function {THROW}(i64, i64, i64, i32, i64, i64) system_v {{\n" + "\n".join(lines) + "\n}\n"


def _sites(program: Sequence[FunctionCode]) -> Iterator[tuple[FunctionCode, CallSite]]:
    """Calls that catch, of frames whose stack pointer is known."""
    for function in program:
        yield from ((function, site) for site in function.calls if site.handlers and site.frame_offset is not None)


def _test(site: int) -> int:
    """The block that compares the return address with that of a site; after the last one it goes on to the caller."""
    return 4 + 2 * site


class _Writer:
    """Writes instructions with values of its own."""

    def __init__(self, lines: list[str]) -> None:
        self.lines = lines
        self.next = 20

    def value(self, text: str) -> str:
        """An instruction; its value's name."""
        name = f"v{self.next}"
        self.next += 1
        self.lines.append(f"{name} = {text}")
        return name

    def at(self, base: str, offset: int) -> str:
        """An address in a function's code."""
        return self.value(f"iadd {base}, {self.value(f'iconst.i64 {offset}')}")

    def site(self, site: CallSite, here: int, following: int, function: int) -> None:
        """Is it this call? Then the first handler that catches the tag, if any does; else the next site's block."""
        self.lines.append(f"block{here}:")
        base = self.value(f"func_addr.i64 fn{function}")
        equal = self.value(f"icmp eq v7, {self.at(base, site.offset)}")
        self.lines += [f"brif {equal}, block{here + 1}, block{following}", f"block{here + 1}:"]
        handler = self.value("iconst.i64 0")
        for item in reversed(site.handlers):
            if item[0] == "default":
                handler = self.at(base, _number(item[1]))
            elif item[0] == "tag":
                tag = self.value(f"iconst.i32 {item[1]}")
                handler = self.value(
                    f"select {self.value(f'icmp eq v3, {tag}')}, {self.at(base, _number(item[2]))}, {handler}"
                )
        stack = self.value(f"isub v6, {self.value(f'iconst.i64 {site.frame_offset}')}")
        self.lines.append(f"brif {handler}, block3({handler}, {stack}), block{following}")


def _number(offset: object) -> int:
    assert isinstance(offset, int)
    return offset
