"""Hooks for campaigns under test: module-level functions, because workers are spawned and find them by name."""

from __future__ import annotations

import dataclasses
import os
import signal
import zlib
from collections.abc import Sequence
from typing import Final

from liftcheck.case import Case, CompileFailure, FunctionCode, Outcome, Target
from liftcheck.compilers.base import Compiler
from liftcheck.oracles.hooks import Hooks


def _number(case: Case) -> int:
    """A case's number in its campaign; 1, of which no hook makes anything, for those that an appeal makes."""
    number = case.tags.get("number", 1)
    assert isinstance(number, int)
    return number


def _kill_bridge(cases: Sequence[Case], compiler: Compiler) -> None:
    pid = compiler.pid
    assert isinstance(pid, int)
    os.kill(pid, signal.SIGKILL)


def bridge_dies() -> Hooks:
    """The compiler's child is killed before every batch."""
    return Hooks(before=_kill_bridge)


def _die_on_five(cases: Sequence[Case], compiler: Compiler) -> None:
    if any(_number(case) == 5 for case in cases):
        os.kill(os.getpid(), signal.SIGKILL)


def worker_dies() -> Hooks:
    """The worker is killed whenever it works on case 5."""
    return Hooks(before=_die_on_five)


_ABORTS: Final = bytes.fromhex("220cdb2e")
"""An undefined half-precision instruction of aarch64, of which Unicorn dies with the process that it is in."""


def _aborting(code: FunctionCode, target: Target) -> FunctionCode | CompileFailure:
    chosen = target.isa == "aarch64" and zlib.crc32(code.code) % 24 == 0
    return dataclasses.replace(code, code=_ABORTS + code.code) if chosen else code


def emulator_aborts() -> Hooks:
    """Some functions of aarch64 have code that kills an emulator inside of the worker."""
    return Hooks(code=_aborting)


def _fail_on_seven(case: Case, outcomes: list[Outcome]) -> list[Outcome]:
    if _number(case) == 7:
        raise ZeroDivisionError("planted")
    return outcomes


def harness_fails() -> Hooks:
    """Our own code fails on case 7."""
    return Hooks(expected=_fail_on_seven)


def _wrong_on_some(case: Case, outcomes: list[Outcome]) -> list[Outcome]:
    isas = case.tags.get("isas", ())
    if _number(case) % 3 or not isinstance(isas, tuple) or len(isas) < 4:
        return outcomes
    return [
        o._replace(memory=o.memory[:2000] + bytes([o.memory[2000] ^ 1]) + o.memory[2001:])
        if o.memory
        else o._replace(values=tuple(v ^ 1 for v in o.values))
        for o in outcomes
    ]


def reference_is_wrong() -> Hooks:
    """The reference is wrong about every third case, if it is for all ISAs."""
    return Hooks(expected=_wrong_on_some)


def _panic(code: FunctionCode, target: Target) -> FunctionCode | CompileFailure:
    if target.isa == "riscv64" and len(code.code) > 500:
        return CompileFailure("panic", "planted panic", "planted panic 12", "somewhere.rs:1:2")
    return code


def compiler_panics() -> Hooks:
    """Every bigger function makes the compiler panic on riscv64, at one place."""
    return Hooks(code=_panic)


def _jump_to_itself(code: FunctionCode, target: Target) -> FunctionCode | CompileFailure:
    if target.isa == "x86-64" and code.name == "%f1" and len(code.code) % 4 == 0:
        return dataclasses.replace(code, code=b"\xeb\xfe" + code.code[2:])
    return code


def code_never_ends() -> Hooks:
    """Some functions begin with a jump to themselves on x86-64."""
    return Hooks(code=_jump_to_itself)


_XOR: Final = 0x00004033
"""A xor of riscv64 without its registers; 0x2000 makes it or."""


def _or(code: FunctionCode, target: Target) -> FunctionCode | CompileFailure:
    if target.isa != "riscv64" or ("opt_level", "speed") not in target.settings:
        return code
    words = bytearray(code.code)
    for at in range(0, len(words) - 3, 4):
        word = int.from_bytes(words[at : at + 4], "little")
        if word & 0xFE00707F == _XOR:
            words[at : at + 4] = (word | 0x2000).to_bytes(4, "little")
    return dataclasses.replace(code, code=bytes(words))


def _or_of_single_pass(code: FunctionCode, target: Target) -> FunctionCode | CompileFailure:
    return _or(code, target) if ("regalloc_algorithm", "single_pass") in target.settings else code


def single_pass_is_wrong() -> Hooks:
    """The same, of one register allocator alone."""
    return Hooks(code=_or_of_single_pass)


def code_is_wrong() -> Hooks:
    """Where xor stands on riscv64 at the higher level, the code has or."""
    return Hooks(code=_or)


def _break(code: FunctionCode, target: Target) -> FunctionCode | CompileFailure:
    return CompileFailure("panic", f"planted {len(code.code)}", "planted", f"somewhere.rs:{len(code.code)}:2")


def all_is_broken() -> Hooks:
    """Every function makes the compiler panic, at a place that depends on its length."""
    return Hooks(code=_break)


_SPINS: Final = {"x86-64": b"\xeb\xfe", "aarch64": b"\0\0\0\x14", "riscv64": b"\x6f\0\0\0", "s390x": b"\xa7\xf4\0\0"}


def _spin(code: FunctionCode, target: Target) -> FunctionCode | CompileFailure:
    spin = _SPINS[target.isa]
    return code if len(code.code) // 4 % 2 else dataclasses.replace(code, code=spin + code.code[len(spin) :])


def half_never_ends() -> Hooks:
    """Half of all functions begin with a jump to themselves, on every ISA."""
    return Hooks(code=_spin)
