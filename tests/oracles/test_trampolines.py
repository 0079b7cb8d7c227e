"""Trampolines as oracles keep them: one that would need a linker is a refusal with its reason."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from liftcheck.case import CompileFailure, FunctionCode, Relocation, Target
from liftcheck.cli import main
from liftcheck.clif.ir import Signature
from liftcheck.compilers.base import Reply
from liftcheck.oracles.trampolines import LIBRARY, Trampolines, shared_target

TARGET = Target("x86-64")
COPY = Relocation(3, "Abs8", "libcall:Memcpy", 0)


@pytest.mark.parametrize("relocations", [(), (COPY,)], ids=["alone", "calls"])
def test_what_calls_a_library_is_refused(relocations: tuple[Relocation, ...]) -> None:
    code = FunctionCode("%trampoline0", b"\xc3", relocations=relocations)

    def compiled(_text: str, targets: Sequence[Target]) -> list[list[Reply]]:
        return [[code] for _ in targets]

    made = Trampolines(compiled, shared_target).one(Signature((), (), "system_v"), TARGET)
    assert made == (CompileFailure("unsupported", LIBRARY, LIBRARY) if relocations else code)


LARGE = """test run
target x86_64
function %f(i64 sarg(64)) -> i64 system_v {
block0(v0: i64):
    v1 = iconst.i64 3
    return v1
}
; run: %f(0) == 3
"""


@pytest.mark.needs_compiler
def test_a_file_with_a_large_structure_is_skipped_with_its_reason(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "large.clif").write_text(LARGE)
    assert main(["test", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert f"1  no trampoline on x86-64: {LIBRARY}" in out and "1 skipped" in out
