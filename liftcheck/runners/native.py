"""The host's own processor as a runner: the stub's process, as it is."""

from __future__ import annotations

from liftcheck.errors import Unavailable
from liftcheck.runners.base import Kind
from liftcheck.runners.process import ProcessRunner
from liftcheck.runners.worker import is_native


def native_runner(isa: str, vector_bits: int = 128) -> ProcessRunner:
    """The host's own processor; Unavailable if it is of another ISA. Its vector registers are as they are."""
    if not is_native(isa):
        raise Unavailable(f"the native runner needs an {isa} Linux host: use --runner unicorn")
    return ProcessRunner("native", isa, ())


KIND = Kind(native_runner, runs=lambda isa: bool(isa.host))
