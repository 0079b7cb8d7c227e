"""What a process that runs code under test may ask of the kernel: as good as nothing, and what it asked is named.

The one idea: seccomp. A filter is a program for the kernel's classic BPF machine, assembled here, that sees each system
call's number, arguments and place. Once installed it stays, across `execve` too, and nothing in the process undoes it.

native  The stub installs it in its own process when it is set up. It needs four calls, and only its own page may make
        them: read a byte, write a byte, return from a signal, end. Every other raises SIGSYS at its place, which the
        stub's handler notes in the row: neighbours run on.
qemu    The emulator starts under it (stub `launch`): calls that it needs later too are free (`QEMU`), all others ask
        the listener, who lets them pass while the emulator starts, and after the first answer never: a call then is the
        guest's, or that of an emulator that dies. The process is ended before the call is done, and the call named.
        Calls of the emulator's own second thread, which a busy host may start late, pass: the guest has but one.
        A guest's call that qemu answers itself (with ENOSYS, say, to ptrace) reaches no one, and is not named.

Also: no new privileges, no open file but two pipes (and one for an emulator's last words), limits on memory, files,
processes, core dumps and, against a process that is forgotten, processor time.
What it does not do: it does not hide memory (what qemu's own process holds may be read and written by wild guest code),
and on hosts other than x86-64 Linux nothing is confined. Then `doctor` says so, and the runner on standard error.
Sources: Linux `seccomp(2)`, `seccomp_unotify(2)`, `include/uapi/linux/{seccomp,filter,audit}.h`.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import resource
import struct
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import resources
from typing import Final, NamedTuple

from liftcheck import layout
from liftcheck.isa import HOST

Allowed = Mapping[str, tuple[int, tuple[int, ...]] | None]
"""A call's name -> what one argument must be (its place, the values allowed), or None: whatever they are."""
Rule = tuple[int, int, int, int]

NATIVE: Final[Allowed] = {
    "read": (0, (0,)),
    "write": (0, (1,)),
    "rt_sigreturn": None,
    "exit_group": None,
}  # fmt: skip
QEMU: Final[Allowed] = {
    "read": (0, (0,)),  # the next batch
    "write": (0, (1, 2)),  # its answer; last words
    "mmap": (4, (0xFFFF_FFFF,)),  # memory of the translator: never a file
    "munmap": None, "mremap": None, "mprotect": None, "madvise": None, "brk": None,  # the same; new code
    "futex": None, "membarrier": None, "sched_yield": None,  # its second thread
    "nanosleep": None, "clock_nanosleep": None, "restart_syscall": None, "rseq": None, "set_robust_list": None,
    "clock_gettime": None, "clock_getres": None, "gettimeofday": None, "getcpu": None,  # where the vDSO cannot
    "rt_sigprocmask": None, "rt_sigreturn": None,  # signals on their way to the guest
    "exit_group": None,  # the end
}  # fmt: skip

LIFETIME: Final = 3600.0
"""Seconds after which a process is replaced between two batches; its processor time is limited to twice as many."""
_MEMORY: Final = 1 << 30
_WORDS: Final = 1 << 16

_ALLOW, _TRAP, _ASK, _KILL = 0x7FFF_0000, 0x0003_0000, 0x7FC0_0000, 0x8000_0000
_LOAD, _IF_EQUAL, _IF_AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06
_NUMBER, _ARCHITECTURE, _PLACE, _ARGUMENTS = 0, 4, 8, 16
_ARCHITECTURE_OF_HOST: Final = 0xC000_003E
_RULE: Final = struct.Struct("<HBBI")
MOST_RULES: Final = 48


@cache
def _names() -> Mapping[str, Mapping[str, str]]:
    text = resources.files("liftcheck.runners").joinpath("stubs", "system_calls.json").read_text()
    tables: Mapping[str, Mapping[str, str]] = json.loads(text)
    return tables


def name(isa: str, number: int, what: str = "system call") -> str:
    """A system call's name on an ISA, as in `the code made a system call: openat`."""
    table = _names()[isa if isa in _names() else "generic"]
    return table.get(str(number), f"{what} {number}")


def made(called: str) -> str:
    """The detail of an outcome."""
    return f"the code made a system call: {called}"


def noted(word: int) -> str:
    """The name of the call that a filter stopped: its number, and the architecture above it."""
    number, architecture = word & 0xFFFF_FFFF, word >> 32
    return name(HOST, number) if architecture == _ARCHITECTURE_OF_HOST else f"32-bit system call {number}"


def _call_number(called: str) -> int:
    return next(int(number) for number, other in _names()[HOST].items() if other == called)


def _rules(allowed: Allowed, otherwise: int) -> list[Rule]:
    """Rules after the loading of the call's number: those with an argument first, each ends by itself."""
    rules: list[Rule] = []
    free = []
    for called, argument in allowed.items():
        if argument is None:
            free.append(_call_number(called))
            continue
        place, values = argument
        body = [(_LOAD, 0, 0, _ARGUMENTS + 8 * place)]
        for value in values:
            body += [(_IF_EQUAL, 0, 1, value), (_RETURN, 0, 0, _ALLOW)]
        body.append((_RETURN, 0, 0, otherwise))
        rules += [(_IF_EQUAL, 0, len(body), _call_number(called)), *body]
    rules += [(_IF_EQUAL, len(free) - at, 0, number) for at, number in enumerate(free)]
    return [*rules, (_RETURN, 0, 0, otherwise), (_RETURN, 0, 0, _ALLOW)]


def native_filter(size: int) -> bytes:
    """Only the stub, `size` bytes at its place, may make the few calls."""
    low, high = layout.STUB & 0xFFFF_FFFF, layout.STUB >> 32
    return _assembled(
        [
            (_LOAD, 0, 0, _ARCHITECTURE),
            (_IF_EQUAL, 1, 0, _ARCHITECTURE_OF_HOST),
            (_RETURN, 0, 0, _TRAP),
            (_LOAD, 0, 0, _PLACE + 4),
            (_IF_EQUAL, 1, 0, high),
            (_RETURN, 0, 0, _TRAP),
            (_LOAD, 0, 0, _PLACE),
            (_IF_AT_LEAST, 0, 1, low),
            (_IF_AT_LEAST, 0, 1, low + size),
            (_RETURN, 0, 0, _TRAP),
            (_LOAD, 0, 0, _NUMBER),
            *_rules(NATIVE, _TRAP),
        ]
    )


def qemu_filter(socket: int) -> bytes:
    """What an emulator may do; the launcher sends one message through its socket."""
    return _assembled(
        [
            (_LOAD, 0, 0, _ARCHITECTURE),
            (_IF_EQUAL, 1, 0, _ARCHITECTURE_OF_HOST),
            (_RETURN, 0, 0, _KILL),
            (_LOAD, 0, 0, _NUMBER),
            *_rules({**QEMU, "sendmsg": (0, (socket,))}, _ASK),
        ]
    )


def _assembled(rules: Sequence[Rule]) -> bytes:
    assert len(rules) <= MOST_RULES
    return b"".join(_RULE.pack(*rule) for rule in rules)


class Asked(NamedTuple):
    """A call that waits for the listener's word."""

    ticket: int
    called: str
    thread: int


class Listener:
    """Hears the calls that a filter leaves to us. Its calls never block, if `poll` says that there is one."""

    _RECEIVE, _SEND = 0xC050_2100, 0xC018_2101
    _CONTINUE = 1

    def __init__(self, descriptor: int) -> None:
        self.descriptor: Final = descriptor

    def receive(self) -> Asked | None:
        """The next call; None if who made it is gone."""
        notice = bytearray(80)
        try:
            fcntl.ioctl(self.descriptor, self._RECEIVE, notice, True)
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.EINTR):
                return None
            raise
        ticket, thread, _, number = struct.unpack_from("<QIIi", notice)
        return Asked(ticket, name(HOST, number), thread)

    def let_pass(self, asked: Asked) -> None:
        """The call is done as if there were no filter."""
        answer = bytearray(struct.pack("<QqiI", asked.ticket, 0, 0, self._CONTINUE))
        with contextlib.suppress(OSError):
            fcntl.ioctl(self.descriptor, self._SEND, answer, True)

    def close(self) -> None:
        """No call is let pass any more."""
        with contextlib.suppress(OSError):
            os.close(self.descriptor)


def limit(pid: int) -> None:
    """Limits a process that is set up: no files, processes, core dumps any more, little memory and processor time.
    What the kernel does not let us set, stays."""
    used = _virtual_memory(pid)
    wanted = {
        resource.RLIMIT_CORE: (0, 0),
        resource.RLIMIT_NOFILE: (0, 0),
        resource.RLIMIT_NPROC: (0, 0),
        resource.RLIMIT_FSIZE: (_WORDS, _WORDS),
    }
    if used:
        wanted[resource.RLIMIT_AS] = (used + _MEMORY, used + _MEMORY)
    for which, pair in wanted.items():
        with contextlib.suppress(OSError, ValueError):
            resource.prlimit(pid, which, pair)
    limit_time(pid, 0.0)


def limit_time(pid: int, seconds: float) -> None:
    """Lets a process have so much processor time, and a lifetime's more: nothing that is still wanted meets it."""
    with contextlib.suppress(OSError, ValueError):
        resource.prlimit(pid, resource.RLIMIT_CPU, (int(seconds + 2 * LIFETIME), resource.RLIM_INFINITY))


def _virtual_memory(pid: int) -> int:
    """Bytes of address space that a process has mapped; 0 if that is not known."""
    try:
        with open(f"/proc/{pid}/statm", encoding="ascii") as file:
            return int(file.read().split()[0]) * resource.getpagesize()
    except (OSError, ValueError, IndexError):
        return 0
