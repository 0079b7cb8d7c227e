"""x86-64's conventions: what callees give back, and how Cranelift's backend uses registers and the stack.

Sources: System V psABI AMD64 1.0 (3.2.1); Microsoft x64 calling convention ('Caller/callee saved registers', the home
of register arguments); cranelift-codegen 0.135 isa/x64/abi.rs (`winch`: no argument is in r10, results are packed).
"""

from __future__ import annotations

from typing import Final

from liftcheck.isa.abi import ALL, COPIED, HALVES, SPENT, Abi, Order, Passing, run

_PASSING: Final = Passing((6, 8, 0), (2, 2, 0), "float", more_results=(3, 2, 0), widens=True)

_ARGUMENTS: Final = ((7, 6, 2, 1, 8, 9), run(0, 7), ())
_ORDER: Final = {
    **dict.fromkeys(("system_v", "fast", "preserve_all"), Order(_ARGUMENTS, ((0, 2, 1), (0, 1), ()))),
    "tail": Order(_ARGUMENTS, ((0, 1, 2, 6, 7, 8, 9, 10), run(0, 7), ())),
    "windows_fastcall": Order(((1, 2, 8, 9), run(0, 3), ()), ((0, 2), (0, 1), ())),
}

ABI: Final = Abi(
    frame=5,
    saved={
        "system_v": ((3, 5, *run(12, 15)), ()),
        "windows_fastcall": ((3, 5, 6, 7, *run(12, 15)), run(6, 15)),
        "winch": ((5,), ()),  # it keeps the frame pointer, as all frames do
    },
    saved_bits=(0, 128),
    counts=(16, 16, 0),
    callee=10,
    tail_callee=10,
    shadow={"windows_fastcall": 32},
    packing=frozenset({"winch"}),
    popping=frozenset({"winch"}),
    doubling=frozenset({"ucomiss", "ucomisd", "vucomiss", "vucomisd"}),
    implicit=True,
    through_table=("lea", "movsxd", "add", "jmp"),
    indexed=r"r\w+, dword ptr \[\w+ \+ \w+\*4\]",
    pushing=frozenset({"push", "pop", "call", "ret", "leave"}),
    passing={
        "tail": Passing((6, 8, 0), (8, 8, 0), "float", widens=True),
        **dict.fromkeys(("fast", "preserve_all"), _PASSING),
        "system_v": _PASSING._replace(i128=SPENT, result_i128=HALVES),
        "winch": _PASSING._replace(packs_results=ALL),
        "windows_fastcall": Passing(
            (4, 4, 0),
            (2, 1, 0),
            "float",
            f128=COPIED,
            positional=True,
            shadow=32,
            widens=True,
            copied_vectors=True,
            other_results=(2, 2, 0),
        ),
    },
    order=_ORDER,
    whole_words=True,
    by_frame=True,
    stops=frozenset({"int3"}),
    merging=frozenset(f"{v}pinsr{size}" for v in ("", "v") for size in "bwdq"),
    from_end=frozenset(
        {"X86PCRel4", "X86CallPCRel4", "X86CallPLTRel4", "X86GOTPCRel4", "ElfX86_64TlsGd", "MachOX86_64Tlv"}
    ),
    # mov rsp,rsi; mov rbp,rdx; mov rax,rcx; mov rdx,r8; jmp rdi
    resume="4889f4 4889d5 4889c8 4c89c2 ffe7",
)
