"""qemu-user as a runner: the stub's process below the emulator, with the richest processor model that it knows."""

from __future__ import annotations

import re
import shutil
import subprocess

from liftcheck.errors import Unavailable
from liftcheck.isa.base import isa_named
from liftcheck.runners.base import Kind
from liftcheck.runners.process import ProcessRunner


def qemu_runner(isa: str, vector_bits: int = 128) -> ProcessRunner:
    """qemu-user for an ISA; with vector registers of that size, where that can be chosen. Unavailable if it is not
    installed."""
    program, qemu = program_of(isa), isa_named(isa).qemu
    if not program:
        raise Unavailable(f"{qemu.program} is not installed: {KIND.remedy}")
    if qemu.models:
        return _richest_model(isa, program, vector_bits)
    return ProcessRunner("qemu", isa, (program, *qemu.options))


def program_of(isa: str) -> str:
    """The path of the emulator for an ISA, '' if it is not installed."""
    name = isa_named(isa).qemu.program
    return shutil.which(name) or shutil.which(f"{name}-static") or ""


def _richest_model(isa: str, program: str, vector_bits: int) -> ProcessRunner:
    """qemu refuses names of extensions that it does not know: the most is tried first."""
    qemu = isa_named(isa).qemu
    for model in qemu.models:
        cpu = model.format(vlen=min(vector_bits, 1024))
        runner = ProcessRunner("qemu", isa, (program, *qemu.options, "-cpu", cpu))
        runner.set_vector_noise()
        try:
            runner.start()
            return runner
        except Unavailable:
            runner.close()
    raise Unavailable(f"{program} knows none of the processor models that were tried: {qemu.models}")


def version(isa: str) -> str:
    """That of the program for an ISA, '' if it does not say within five seconds."""
    program = program_of(isa)
    if not program:
        return ""
    command = [program, "--version"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=5, stdin=subprocess.DEVNULL)
    except (OSError, UnicodeError, subprocess.SubprocessError):
        return ""
    return version_in(done.stdout)


def version_in(text: str) -> str:
    """`7.2.22` out of what `qemu-… --version` prints, '' if it is not there."""
    found = re.search(r"version (\d+(?:\.\d+)+)", text)
    return found.group(1) if found else ""


KIND = Kind(
    qemu_runner,
    runs=lambda isa: bool(isa.qemu.program),
    version=version,
    remedy="apt-get install qemu-user",
    newer=lambda isa: "a newer QEMU has more: see its change log" if isa.qemu.outdated else "",
    sized=True,
)
