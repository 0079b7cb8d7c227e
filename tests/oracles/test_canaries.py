"""Which callee-saved registers a program changes: exactly those, on every runner."""

from __future__ import annotations

import dataclasses
import struct
from collections.abc import Iterator
from itertools import pairwise

import pytest
from support.runner_samples import SIGNATURE, opened, trampoline

from liftcheck.case import FunctionCode, Target
from liftcheck.clif.build import signature
from liftcheck.clif.ir import Signature
from liftcheck.clif.types import F64, I8, I64, I128
from liftcheck.compilers.base import Compiler
from liftcheck.errors import Unavailable
from liftcheck.isa import ISAS
from liftcheck.isa.base import isa_named
from liftcheck.oracles import canaries
from liftcheck.runners.link import link
from liftcheck.runners.pool import NAMES, Job, Runner, open_runner
from liftcheck.runners.trampolines import trampoline_target, trampoline_text

MANY = signature([I8, F64, I128] * 50, [I64, F64] * 4, "system_v")
"""Its row is longer than a load's offset of riscv64."""
FEW = signature([I64], [I64], "system_v")


def cleared(isa: str, register: str) -> bytes:
    """An instruction that makes a register 0."""
    number = canaries.watched(isa)[register] & 63
    if isa == "x86-64":
        texts = {"rbx": "31db", "r12": "4531e4", "r13": "4531ed", "r14": "4531f6", "r15": "4531ff"}
        return bytes.fromhex(texts[register])
    if isa == "aarch64":
        return struct.pack("<I", (0x9E6703E0 if register[0] == "d" else 0xD2800000) | number)
    if isa == "riscv64":
        return struct.pack("<I", (0xF2000053 if register[0] == "f" else 0x13) | number << 7)
    return bytes([0xB3, 0x75, 0, number << 4]) if register[0] == "f" else bytes([0xA7, number << 4 | 9, 0, 0])


@pytest.fixture(
    params=[(isa, name) for isa in ISAS for name in NAMES if name != "native" or isa == "x86-64"],
    ids=lambda pair: "-".join(pair),
)
def runner(request: pytest.FixtureRequest) -> Iterator[Runner]:
    isa, name = request.param
    try:
        opened = open_runner(name, isa)
    except Unavailable as error:
        pytest.skip(str(error))
    except Exception as error:  # qemu on the host's own ISA
        pytest.skip(str(error))
    yield opened
    opened.close()


def made(compiler: Compiler, isa: str, sig: Signature) -> tuple[FunctionCode, Job]:
    """A function that returns zeros, and the job that calls it."""
    returned = "\n".join(
        f"    v{1000 + n} = {'iconst.i64 0' if p.type is I64 else 'f64const 0.0'}" for n, p in enumerate(sig.returns)
    )
    text = trampoline_text(sig).partition("sig0 = ")[2].partition("\n")[0]
    values = ", ".join(f"v{1000 + n}" for n in range(len(sig.returns)))
    names = ", ".join(f"v{n}: {p.type}" for n, p in enumerate(sig.params))
    function = f"function %f{text} {{\nblock0({names}):\n{returned}\n    return {values}\n}}\n"
    [[code]] = compiler.compile_text(function, [Target(isa)])
    [[trampoline]] = compiler.compile_text(trampoline_text(sig), [trampoline_target(Target(isa))])
    assert isinstance(code, FunctionCode)
    assert isinstance(trampoline, FunctionCode)
    return code, Job(trampoline, 0, sig, [(0,) * len(sig.params)])


def test_each_register_is_named_and_no_other(compiler: Compiler, runner: Runner) -> None:
    code, job = made(compiler, runner.isa, FEW)
    assert canaries.damaged(runner, [code], "%f", job) == ()
    assert canaries.damaged_by_trampoline(runner, job) == ()
    names = registers(runner.isa)
    for one in names:
        bad = dataclasses.replace(code, code=cleared(runner.isa, one) + code.code)
        assert canaries.damaged(runner, [bad], "%f", job) == (one,)
    for pair in pairwise(names):
        bad = dataclasses.replace(code, code=b"".join(cleared(runner.isa, one) for one in pair) + code.code)
        assert canaries.damaged(runner, [bad], "%f", job) == pair


def registers(isa: str) -> list[str]:
    """The callee-saved registers of an ISA without the frame pointer, which brings the stack pointer back."""
    frame = {"x86-64": "rbp", "aarch64": "x29", "riscv64": "s0", "s390x": ""}[isa]
    return [name for name in canaries.watched(isa) if name != frame]


@pytest.mark.parametrize("isa", ISAS)
def test_the_loop_looks_at_each_register_of_the_abi(isa: str) -> None:
    """The stubs list them once more, in assembly."""
    names, ret = registers(isa), bytes.fromhex(isa_named(isa).ret)
    programs = [[FunctionCode("%f", code + ret)] for code in (b"", *(cleared(isa, name) for name in names))]
    image = link(programs, isa)
    jobs = [Job(trampoline(isa), image.entry(at, "%f"), SIGNATURE, [(1, 2, 3)]) for at in range(len(programs))]
    runner = opened("unicorn", isa)
    unharmed, *harmed = (outcomes[0].kind for outcomes in runner.run(image, jobs))
    runner.close()
    assert unharmed == "returned"
    assert [name for name, kind in zip(names, harmed, strict=True) if kind != "abi"] == []
    assert len(names) >= 5


def test_a_long_row_has_its_notes_behind_it(compiler: Compiler, runner: Runner) -> None:
    """The trampoline of a long signature keeps some of the registers for its own use: those are not damaged."""
    code, job = made(compiler, runner.isa, MANY)
    own = set(canaries.damaged(runner, [code], "%f", job))
    assert own <= {"fs1"}  # docs/findings/riscv64-fs1-not-saved.md
    seen = []
    for one in registers(runner.isa):
        bad = dataclasses.replace(code, code=cleared(runner.isa, one) + code.code)
        found = canaries.damaged(runner, [bad], "%f", job)
        assert set(found) - own <= {one}
        seen += found
    assert seen or runner.isa != "riscv64"


def test_a_trampoline_that_damages_is_told_apart(compiler: Compiler, runner: Runner) -> None:
    code, job = made(compiler, runner.isa, FEW)
    register = {"x86-64": "r14", "aarch64": "d9", "riscv64": "fs1", "s390x": "f12"}[runner.isa]
    spoiled = dataclasses.replace(job.trampoline, code=cleared(runner.isa, register) + job.trampoline.code)
    job = job._replace(trampoline=spoiled)
    assert canaries.damaged(runner, [code], "%f", job) == (register,)
    assert canaries.damaged_by_trampoline(runner, job) == (register,)


def test_code_that_does_not_come_back_is_not_taken_for_clean(compiler: Compiler, runner: Runner) -> None:
    code, job = made(compiler, runner.isa, FEW)
    lost = {
        "x86-64": "4831e4c3",
        "aarch64": "090080d23f010091c0035fd6",
        "riscv64": "1301000067800000",
        "s390x": "a7f9000007fe",
    }[runner.isa]
    bad = dataclasses.replace(code, code=bytes.fromhex(lost))
    assert canaries.damaged(runner, [bad], "%f", job) == (canaries.STACK_POINTER,)
