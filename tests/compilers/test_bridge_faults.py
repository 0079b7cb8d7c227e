"""What a compiler does badly is a value: each kind of death is blamed on the function that caused it."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from liftcheck.case import CompileFailure, FunctionCode, Target
from liftcheck.compilers.cranelift import failures
from liftcheck.compilers.cranelift.client import Cranelift, patience
from liftcheck.errors import Unavailable

TARGETS = [Target("x86-64"), Target("s390x")]


@pytest.fixture
def bridge(compiler: Cranelift, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cranelift]:
    """A bridge that misbehaves over functions called %fault_…"""
    monkeypatch.setenv("LIFTCHECK_BRIDGE_FAULTS", "1")
    with Cranelift(compiler.build, timeout=0.3, memory=1 << 29) as opened:
        yield opened


def function(name: str) -> str:
    return f"function %{name}(i64) -> i64 system_v {{\nblock0(v0: i64):\n    return v0\n}}\n"


@pytest.mark.parametrize(
    ("fault", "kind", "reason"),
    [
        ("panic", "panic", "asked to panic on N values at src/compile.rs"),
        ("abort", "abort", "compilation dies: killed by signal 6"),
        ("overflow", "abort", "compilation overflows the stack"),
        ("eat", "memory", "compilation runs out of memory"),
        ("hang", "timeout", "compilation does not end"),
    ],
)
def test_the_guilty_function_is_named(bridge: Cranelift, fault: str, kind: str, reason: str) -> None:
    if fault == "eat":
        bridge.timeout = 20
    text = function("before") + function(f"fault_{fault}") + function("after")
    for column in bridge.compile_text(text, TARGETS):
        before, guilty, after = column
        assert isinstance(before, FunctionCode) and isinstance(after, FunctionCode)
        assert isinstance(guilty, CompileFailure) and guilty.is_finding
        assert (guilty.kind, guilty.reason) == (kind, reason)
    assert isinstance(bridge.compile_text(function("later"), TARGETS)[0][0], FunctionCode)


def test_a_long_text_has_more_time(bridge: Cranelift) -> None:
    """A compiler that is slow with a long function is not a compiler that does not end."""
    for padding, limit in ((0, "0.3"), (200_000, "1.3")):
        text = f"; {' ' * padding}\n{function('fault_hang')}"
        ((reply,),) = bridge.compile_text(text, TARGETS[:1])
        assert isinstance(reply, CompileFailure)
        assert (reply.kind, reply.message.split(";")[0]) == ("timeout", f"no answer within {limit} s")
    assert patience(" " * 1_000_000, 5.0) == 30.0


def test_each_target_has_its_own_replies_in_whatever_order(bridge: Cranelift) -> None:
    """The bridge compiles target by target; what panics or dies is told of the right pair."""
    text = "".join(map(function, ["first", "fault_panic", *(f"f{number}" for number in range(8))]))
    targets = [
        Target(isa, (("opt_level", level),)) for level in ("none", "speed") for isa in ("s390x", "aarch64", "x86-64")
    ]
    together = bridge.compile_text(text, targets)
    alone = [bridge.compile_text(text, [target])[0] for target in reversed(targets)][::-1]
    assert [list(map(shape, column)) for column in together] == [list(map(shape, column)) for column in alone]
    assert all(isinstance(column[1], CompileFailure) and column[1].kind == "panic" for column in together)
    assert len({column[0].code for column in together if isinstance(column[0], FunctionCode)}) >= 3
    dead = bridge.compile_text(text + function("fault_abort"), targets)
    assert [column[-1].kind for column in dead if isinstance(column[-1], CompileFailure)] == ["abort"] * 6
    assert [list(map(shape, column[:-1])) for column in dead] == [list(map(shape, column)) for column in together]


def shape(reply: object) -> tuple[type, str, bytes]:
    return type(reply), getattr(reply, "name", ""), getattr(reply, "code", b"")


def test_two_guilty_functions(bridge: Cranelift) -> None:
    text = function("fault_abort") + function("a") + function("fault_overflow")
    kinds = [[getattr(reply, "reason", "") for reply in column] for column in bridge.compile_text(text, TARGETS)]
    assert kinds == [["compilation dies: killed by signal 6", "", "compilation overflows the stack"]] * 2


def test_a_panic_says_where(bridge: Cranelift) -> None:
    reply = bridge.compile_text(function("fault_panic"), TARGETS)[0][0]
    assert isinstance(reply, CompileFailure)
    assert reply.message == "asked to panic on 17 values"
    assert reply.place.startswith("src/compile.rs:")
    assert bridge.deaths == 0


def test_killed_from_outside_in_mid_compile(bridge: Cranelift) -> None:
    victim = bridge.pid
    killer = threading.Timer(0.3, os.kill, (victim, signal.SIGKILL))
    killer.start()
    columns = bridge.compile_text(function("a") + function("fault_sleep_600") + function("b"), TARGETS)
    killer.join()
    assert bridge.deaths == 1 and bridge.pid != victim
    assert all(isinstance(reply, FunctionCode) for column in columns for reply in column)


def test_killed_while_idle(bridge: Cranelift) -> None:
    bridge.compile_text(function("a"), TARGETS)
    os.kill(bridge.pid, signal.SIGKILL)
    time.sleep(0.05)
    assert isinstance(bridge.compile_text(function("a"), TARGETS)[0][0], FunctionCode)
    for target in (None, TARGETS[0]):
        os.kill(bridge.pid, signal.SIGKILL)
        time.sleep(0.05)
        assert bridge.verify_text(function("a"), target) == []


def test_a_bridge_that_is_gone(bridge: Cranelift, tmp_path: Path) -> None:
    lost = Cranelift(replace(bridge.build, folder=tmp_path))
    with pytest.raises(Unavailable, match="liftcheck compiler add cranelift@"):
        lost.compile_text(function("a"), TARGETS)


def test_it_ends_with_its_parent(bridge: Cranelift) -> None:
    """Even in the middle of a compilation that never ends, and though siblings hold the pipe open."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        bridge.compile_text(function("a"), TARGETS)
        os.write(writing, str(bridge.pid).encode())
        bridge.timeout = 60
        bridge.compile_text(function("fault_hang"), TARGETS)
    orphan = int(os.read(reading, 20))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    deadline = time.monotonic() + 10
    while Path(f"/proc/{orphan}").exists() and "Z" not in Path(f"/proc/{orphan}/stat").read_text().split()[2]:
        assert time.monotonic() < deadline, "the bridge outlives its parent"
        time.sleep(0.1)


def test_a_slow_function_among_many_has_its_own_deadline(bridge: Cranelift) -> None:
    text = "".join(function(f"fault_sleep_{300 + n}") for n in range(4))
    columns = bridge.compile_text(text, TARGETS[:1])
    assert all(isinstance(reply, FunctionCode) for reply in columns[0])
    assert bridge.deaths == 0


def test_a_fork_gets_a_bridge_of_its_own(bridge: Cranelift) -> None:
    bridge.compile_text(function("a"), TARGETS)
    pid = bridge.pid
    child = os.fork()
    if not child:
        fine = isinstance(bridge.compile_text(function("b"), TARGETS)[0][0], FunctionCode) and bridge.pid != pid
        bridge.close()
        os._exit(0 if fine else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert bridge.pid == pid
    assert isinstance(bridge.compile_text(function("c"), TARGETS)[0][0], FunctionCode)


def test_an_interrupted_exchange_leaves_no_half_message(bridge: Cranelift) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, 0.1)
    try:
        with pytest.raises(KeyboardInterrupt):
            bridge.compile_text(function("fault_sleep_400"), TARGETS)
    finally:
        signal.signal(signal.SIGALRM, before)
    assert isinstance(bridge.compile_text(function("a"), TARGETS)[0][0], FunctionCode)


def test_deep_nesting_kills_nobody(bridge: Cranelift) -> None:
    text = function("a") + "function %deep" + "(" * 1_000_000
    column = bridge.compile_text(text, TARGETS[:1])[0]
    assert isinstance(column[0], FunctionCode)
    assert isinstance(column[1], CompileFailure)


@pytest.mark.parametrize(
    ("message", "place", "kind", "reason"),
    [
        (
            "internal error: entered unreachable code: no rule matched for term fpuop2_add at F line 7",
            "isle_s390x.rs:1:1",
            "unsupported",
            "no rule for fpuop2_add",
        ),
        (
            "Unsupported calling convention: Tail",
            "/x/cranelift-codegen-0.95.1/src/machinst/abi.rs:1049:9",
            "unsupported",
            "convention not supported (cranelift-codegen/src/machinst/abi.rs)",
        ),
        (
            "internal error: entered unreachable code: no rule matched for term cmp_true at src/opts/arithmetic.isle line 381",  # noqa: E501
            "cranelift-codegen-0/out/isle_opt.rs:28718:5",
            "panic",
            "no mid-end rule for cmp_true",
        ),
        (
            "internal error: entered unreachable code",
            "/r/cranelift-codegen-0.135.8/src/isa/x64/inst/emit.rs:1:2",
            "unsupported",
            "unreachable for this type (cranelift-codegen/src/isa/x64/inst/emit.rs)",
        ),
        (
            "internal error: entered unreachable code",
            "/r/cranelift-codegen-0.135.8/src/egraph.rs:1:2",
            "panic",
            "internal error: entered unreachable code at cranelift-codegen/src/egraph.rs",
        ),
        (
            "register allocation checker: CheckerErrors { errors: [] }",
            "/r/cranelift-codegen-0.135.8/src/machinst/c.rs:4:5",
            "panic",
            "register allocation checker: CheckerErrors { errors: [] } at cranelift-codegen/src/machinst/c.rs",
        ),
        (
            "called `Option::unwrap()` on a `None` value",
            "/r/cranelift-codegen-0.135.8/src/isa/aarch64/lower/isle.rs:1:2",
            "unsupported",
            "lacks a case for this type (cranelift-codegen/src/isa/aarch64/lower/isle.rs)",
        ),
        (
            "StructArgument parameters are not supported on arm64. Use regular pointer arguments instead.",
            "/r/cranelift-codegen-0.135.8/src/isa/aarch64/abi.rs:249:17",
            "unsupported",
            "said not to be supported (cranelift-codegen/src/isa/aarch64/abi.rs)",
        ),
        (
            "index out of bounds: the len is 4 but the index is 4",
            "/r/regalloc2-0.15.2/src/ion/moves.rs:1:2",
            "panic",
            "index out of bounds: the len is N but the index is N at regalloc2/src/ion/moves.rs",
        ),
    ],
)
def test_panics_are_sorted(message: str, place: str, kind: str, reason: str) -> None:
    found = failures.sort({"kind": "panic", "message": message, "place": place, "line": 0})
    assert (found.kind, found.reason) == (kind, reason)


def test_a_verifier_error_from_inside_is_a_finding() -> None:
    found = failures.sort(
        {
            "kind": "verifier",
            "message": "- inst3 (v3 = iadd v1, v2): arg 0 has type i8, expected i32",
            "place": "",
            "line": 0,
        }
    )
    assert found.is_finding and found.reason == "arg N has type T, expected T"
