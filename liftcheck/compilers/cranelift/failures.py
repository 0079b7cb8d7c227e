"""Sorts what Cranelift could not compile: a missing lowering is a refusal, a panic otherwise is a finding.

The one idea: a refusal has several faces, most of them panics, known by their texts; each folds into a reason without
numbers, types and values, so that equal gaps count as one row. A panic that no row knows stays a finding.
Sources: measured on 0.95 to 0.135 with upstream's run tests on every ISA; `isa/*/lower.isle`, `machinst/lower.rs`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from liftcheck.case import CompileFailure

_MISSING_TERM: Final = re.compile(r"no rule matched for term (\S+)")
_REFUSED_TEXT: Final = re.compile(
    r"should be implemented in ISLE: inst = `(?:[v\d, ]+= )?([\w.]+).*type = `(?:Some\(types::(\w+)\))?", re.DOTALL
)
_TYPE: Final = re.compile(r"\b[if](?:8|16|32|64|128)(?:x\d+)?(?:xN)?\b")
_NUMBER: Final = re.compile(r"\b(?:0x[0-9a-fA-F]+|[a-z]{0,5}\d+)\b")

_REFUSING_PANICS: Final = (
    # (text of the panic, part of its place, reason)
    ("put_in_xmm_mem_128: expected a 128-bit value", "", "operand is not a 128-bit vector"),
    ("put_in_xmm_mem_64: expected", "", "operand is not a 64-bit vector"),
    ("Invalid OperandSize", "", "operand size without an instruction"),
    ("implicit argument size is not properly aligned", "", "argument in memory is not aligned"),
    ("internal error: entered unreachable code", "/isa/x64/inst/emit.rs", "unreachable for this type"),
    ("internal error: entered unreachable code", "/isa/x64/lower/isle.rs", "unreachable for this type"),
    ("internal error: entered unreachable code", "/isa/x64/abi.rs", "unreachable for this convention"),
    ("internal error: entered unreachable code", "/isa/riscv64/", "unreachable for this type"),
    ("called `Option::unwrap()` on a `None` value", "/isa/aarch64/lower/isle.rs", "lacks a case for this type"),
    ("Unsupported floating-point size for vector op", "", "floating-point lanes without an instruction"),
    ("calling convention yet", "/abi.rs", "convention not supported"),
    ("Unsupported calling convention", "/abi.rs", "convention not supported"),
    ("should be implemented in ISLE", "", "no lowering"),
    ("Unexpected SSA-value type", "", "type without registers"),
    ("is not supported", "/isa/", "said not to be supported"),
    ("are not supported", "/isa/", "said not to be supported"),
    ("not implemented", "/isa/", "said not to be implemented"),
    ("not yet implemented", "/isa/", "said not to be implemented"),
)  # fmt: skip
_ABI_PANICS: Final = (
    "i128 args/return values not supported unless LLVM ABI extensions are enabled",
    "Tail calls require frame pointers",
    "frame pointers aren't fundamentally required for tail calls",
    "Too many return values",
)


def sort(raw: Mapping[str, Any]) -> CompileFailure:
    """One failure as the bridge reports it: kind, message, place (file:line:column), line of the text."""
    kind, message, place = raw["kind"], raw["message"].strip(), shorten(raw["place"])
    if kind == "panic":
        return _panic(message, place)
    if kind == "unsupported":
        return CompileFailure("unsupported", refusal_reason(message), message)
    if kind == "limit":
        return CompileFailure("unsupported", f"a limit of the compiler: {fold(message)}", message)
    if kind == "error":
        return CompileFailure("panic", fold(message), message, place)
    if kind == "input":
        return CompileFailure("input", fold(message), message, f"line {raw['line']}" if raw["line"] else place)
    return CompileFailure(kind, fold(message), message, place)


def _panic(message: str, place: str) -> CompileFailure:
    term = _MISSING_TERM.search(message)
    if term and "isle_opt" in place:  # rewriting is optional: a missing rule there is not a missing lowering
        return CompileFailure("panic", f"no mid-end rule for {term.group(1)}", message, place)
    if term:
        return CompileFailure("unsupported", f"no rule for {term.group(1)}", message, place)
    for text, where, reason in _REFUSING_PANICS:
        if text in message and where in "/" + place:
            return CompileFailure("unsupported", f"{reason} ({_file(place)})", message, place)
    if any(text in message for text in _ABI_PANICS):
        return CompileFailure("unsupported", f"ABI: {fold(message)}", message, place)
    return CompileFailure("panic", f"{fold(message)} at {_file(place)}", message, place)


def refusal_reason(message: str) -> str:
    """Folds `CodegenError::Unsupported`: by opcode where it names an instruction."""
    found = _REFUSED_TEXT.search(message)
    if not found:
        return fold(message)
    op, kind = found.group(1).split(".")[0], found.group(2)
    return f"no lowering of {op}" + (f".{kind.lower()}" if kind else "")


def fold(message: str) -> str:
    """The first line without numbers, types and entity names, so that equal failures read alike."""
    line = message.split("\n", 1)[0].removeprefix("- ")
    line = re.sub(r"^inst\d+ \(.*?\): ", "", line)
    return _NUMBER.sub("N", _TYPE.sub("T", line))[:160].strip()


def shorten(place: str) -> str:
    """A panic's place from the crate's name on: the rest names somebody's home folder. The crate's version, and what
    cargo adds for a build, are left out, so that a place is the same in all builds."""
    found = re.search(r"(?:registry/src/[^/]+/|/)((?:cranelift|regalloc|wasmtime)[^/]*)(/.*)$", place)
    if found:
        return re.sub(r"-(?:\d+\.\d+\.\d+[^/]*|[0-9a-f]{16})$", "", found.group(1)) + found.group(2)
    generated = re.search(r"/out/(isle_\w+\.rs:.*)$", place)
    return generated.group(1) if generated else place


def _file(place: str) -> str:
    return re.sub(r"(-\d+\.\d+\.\d+)|(:\d+)", "", place)


def death(status: int, last_words: str, timeout: float | None) -> CompileFailure:
    """A child that died or was killed over one function. `status` is `Popen.returncode`, `timeout` if we did it."""
    words = last_words.strip()[-2000:]
    if timeout is not None:
        message = f"no answer within {timeout:g} s; {words}".strip("; ")
        return CompileFailure("timeout", "compilation does not end", message)
    if "memory allocation of" in words or "out of memory" in words.lower():
        return CompileFailure("memory", "compilation runs out of memory", words)
    if "has overflowed its stack" in words:
        return CompileFailure("abort", "compilation overflows the stack", words)
    how = f"killed by signal {-status}" if status < 0 else f"exit status {status}"
    return CompileFailure("abort", f"compilation dies: {how}", words)
