"""Small functions in the assembler text of each ISA, right and wrong, with what they compute.

Each takes two numbers of 64 bits (of 32, where the name says so) and gives one of 64.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Final, NamedTuple

from liftcheck.case import FunctionCode, Target
from liftcheck.clif.ir import AbiParam, Function, Module, Signature
from liftcheck.clif.text.parser import parse_filetest
from liftcheck.clif.text.printer import print_module
from liftcheck.clif.types import I32, I64
from liftcheck.compilers.cranelift.client import Cranelift
from liftcheck.mach.lift import lift, table_of
from liftcheck.mach.rows.program import assemble, bytes_of
from liftcheck.oracles.lifting.execute import SALTS, Result, execute
from liftcheck.oracles.lifting.signature import Boundary, boundary

MASK: Final = (1 << 64) - 1


class Sample(NamedTuple):
    """`wrong`: what is replaced in the text by what, with what kind of fault that is."""

    isa: str
    name: str
    text: str
    computes: Callable[[int, int], int]
    wrong: tuple[tuple[str, str, str], ...]
    width: int = 64


def _signed(x: int) -> int:
    return x - (x >> 63 << 64)


def _larger(a: int, b: int) -> int:
    return max(_signed(a), _signed(b)) & MASK


def _kept(a: int, b: int) -> int:
    """Both numbers go through the stack; of the second one the lowest four bytes alone."""
    return a - (b & 0xFFFF_FFFF) & MASK


def _extended(a: int, b: int) -> int:
    return (a & 0xFFFF_FFFF) + (b & 0xFFFF_FFFF) & MASK


SAMPLES: Final = (
    Sample("x86-64", "larger", "mov rax, rdi\ncmp rdi, rsi\njg on\nmov rax, rsi\non:\nret", _larger,
           (("a flipped condition", "jg", "jle"), ("another comparison", "jg", "ja"))),
    Sample("x86-64", "kept", "push rbp\nmov rbp, rsp\nsub rsp, 16\nmov qword ptr [rsp], rdi\n"
           "mov qword ptr [rsp + 8], rsi\nmov rax, qword ptr [rsp]\nmov ecx, dword ptr [rsp + 8]\nsub rax, rcx\n"
           "add rsp, 16\npop rbp\nret", _kept,
           (("a wrong displacement", "ecx, dword ptr [rsp + 8]", "ecx, dword ptr [rsp + 12]"),
            ("a wrong width", "ecx, dword", "rcx, qword"), ("a frame that is left", "add rsp, 16", "add rsp, 8"))),
    Sample("x86-64", "extended", "mov eax, edi\nmov ecx, esi\nadd rax, rcx\nret", _extended,
           (("no extension", "mov ecx, esi", "mov rcx, rsi"), ("a sign", "mov ecx, esi", "movsxd rcx, esi")), 32),
    Sample("aarch64", "larger", "cmp x0, x1\nb.gt on\nmov x0, x1\non:\nret", _larger,
           (("a flipped condition", "b.gt", "b.le"), ("another comparison", "b.gt", "b.hi"))),
    Sample("aarch64", "kept", "sub sp, sp, #16\nstr x0, [sp]\nstr x1, [sp, #8]\nldr x2, [sp]\nldr w3, [sp, #8]\n"
           "sub x0, x2, x3\nadd sp, sp, #16\nret", _kept,
           (("a wrong displacement", "ldr w3, [sp, #8]", "ldr w3, [sp, #12]"), ("a wrong width", "ldr w3", "ldr x3"))),
    Sample("aarch64", "extended", "mov w0, w0\nadd x0, x0, w1, uxtw\nret", _extended,
           (("no extension", "w1, uxtw", "x1"), ("a sign", "uxtw", "sxtw")), 32),
    Sample("riscv64", "larger", "blt a1, a0, on\nadd a0, a1, zero\non:\njalr zero, 0(ra)", _larger,
           (("a flipped condition", "blt", "bge"), ("another comparison", "blt", "bltu"))),
    Sample("riscv64", "kept", "addi sp, sp, -16\nsd a0, 0(sp)\nsd a1, 8(sp)\nld a2, 0(sp)\nlwu a3, 8(sp)\n"
           "sub a0, a2, a3\naddi sp, sp, 16\njalr zero, 0(ra)", _kept,
           (("a wrong displacement", "lwu a3, 8", "lwu a3, 12"), ("a wrong width", "lwu", "ld"))),
    Sample("riscv64", "extended", "slli a0, a0, 32\nsrli a0, a0, 32\nslli a1, a1, 32\nsrli a1, a1, 32\n"
           "add a0, a0, a1\njalr zero, 0(ra)", _extended,
           (("no extension", "slli a1, a1, 32\nsrli a1, a1, 32\n", ""), ("a sign", "srli a1", "srai a1")), 32),
    Sample("s390x", "larger", "cgrjh %r2, %r3, on\nlgr %r2, %r3\non:\nbr %r14", _larger,
           (("a flipped condition", "cgrjh", "cgrjnh"), ("another comparison", "cgrjh", "clgrjh"))),
    Sample("s390x", "kept", "aghi %r15, -16\nstg %r2, 0(%r15)\nstg %r3, 8(%r15)\nlg %r4, 0(%r15)\n"
           "llgf %r5, 12(%r15)\nsgrk %r2, %r4, %r5\naghi %r15, 16\nbr %r14", _kept,
           (("a wrong displacement", "llgf %r5, 12", "llgf %r5, 8"), ("a wrong width", "llgf %r5, 12", "lg %r5, 8"))),
    Sample("s390x", "extended", "llgfr %r2, %r2\nllgfr %r3, %r3\nagr %r2, %r3\nbr %r14", _extended,
           (("no extension", "llgfr %r3, %r3\n", ""), ("a sign", "llgfr %r3", "lgfr %r3")), 32),
)  # fmt: skip

INPUTS: Final = (
    (0, 0), (1, 2), (7, 3), (MASK, 1), (1, MASK), (1 << 63, 5), (5, 1 << 63), (0x0123_4567_89AB_CDEF, 0xFEDC_BA98),
    (0xFEDC_BA98_7654_3210, 0x8000_0000_8000_0001), (MASK, MASK - 1),
)  # fmt: skip


@cache
def signature(width: int) -> Signature:
    """Two numbers to one."""
    param = AbiParam(I32 if width == 32 else I64)
    return Signature((param, param), (AbiParam(I64),), "system_v")


@cache
def entered(isa: str, width: int) -> Boundary:
    """The state on entry."""
    return boundary(Target(isa), signature(width))


def function(isa: str, text: str, traps: tuple[tuple[int, str], ...] = ()) -> FunctionCode:
    """The code of assembler text."""
    return FunctionCode("%f", bytes_of(assemble(table_of(isa), text)), traps=traps)


def module(text: str) -> list[Function]:
    """The functions of a file."""
    return parse_filetest(text, "equal.clif").module().functions


def compiled(compiler: Cranelift, text: str, target: Target) -> dict[str, FunctionCode]:
    """The code of a file's functions, by name, with the layout of their frames."""
    made = Module(module(text))
    replies = compiler.compile_text(print_module(made), [target], frozenset({"frame"}))[0]
    return {
        function.name: reply
        for function, reply in zip(made.functions, replies, strict=True)
        if isinstance(reply, FunctionCode)
    }


def outcomes(isa: str, code: FunctionCode, inputs: tuple[int, ...], width: int = 64) -> list[Result]:
    """What comes of it in each state."""
    bound = entered(isa, width)
    lifted = lift(isa, code, bound.entry)
    return [execute(lifted, bound, [x & (1 << width) - 1 for x in inputs], salt=salt) for salt in SALTS]


def is_right(sample: Sample, text: str) -> bool:
    """Whether a text computes what the sample does, on all inputs in all states."""
    code = function(sample.isa, text)
    for pair in INPUTS:
        a, b = (x & (1 << sample.width) - 1 for x in pair)
        results = outcomes(sample.isa, code, (a, b), sample.width)
        if any(r.kind != "returned" or r.values != (sample.computes(a, b),) for r in results):
            return False
    return True
