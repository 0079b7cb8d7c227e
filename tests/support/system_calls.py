"""Machine code that makes a system call: number as given, arguments (a, c, 0, 0) of a function (a, b, c)."""

from __future__ import annotations

NUMBERS = {
    "x86-64": {"open": 2, "openat": 257, "fork": 57, "clone": 56, "kill": 62, "socket": 41, "execve": 59, "ptrace": 101,
               "unlink": 87, "unlinkat": 263, "getpid": 39, "mkdirat": 258},
    "aarch64": {"openat": 56, "clone": 220, "kill": 129, "socket": 198, "execve": 221, "ptrace": 117, "unlinkat": 35,
                "getpid": 172, "mkdirat": 34},
    "riscv64": {"openat": 56, "clone": 220, "kill": 129, "socket": 198, "execve": 221, "ptrace": 117, "unlinkat": 35,
                "getpid": 172, "mkdirat": 34},
    "s390x": {"open": 5, "openat": 288, "fork": 2, "clone": 120, "kill": 37, "socket": 359, "execve": 11, "ptrace": 26,
              "unlink": 10, "unlinkat": 294, "getpid": 20, "mkdirat": 289},
}  # fmt: skip


def makes_call(isa: str, number: int) -> bytes:
    """The function's code."""
    if isa == "x86-64":  # mov eax, number; mov rsi, rdx; xor edx, edx; xor r10d, r10d; syscall; ret
        return b"\xb8" + number.to_bytes(4, "little") + bytes.fromhex("4889d631d24531d20f05c3")
    if isa == "aarch64":  # mov x8, number; mov x1, x2; mov x2, 0; mov x3, 0; svc 0; ret
        return (0xD2800008 | number << 5).to_bytes(4, "little") + bytes.fromhex(
            "e10302aa020080d2030080d2010000d4c0035fd6"
        )
    if isa == "riscv64":  # li a7, number; mv a1, a2; li a2, 0; li a3, 0; ecall; ret
        return (number << 20 | 0x893).to_bytes(4, "little") + bytes.fromhex("9305060013060000930600007300000067800000")
    # lghi r1, number; lgr r3, r4; lghi r4, 0; lghi r5, 0; svc 0; br r14
    return b"\xa7\x19" + number.to_bytes(2, "big") + bytes.fromhex("b9040034a7490000a75900000a0007fe")
