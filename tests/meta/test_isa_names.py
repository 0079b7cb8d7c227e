"""The check that only `isa/` names ISAs, on the tree, and that it can fail."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.scripts import ROOT, load

isas = load("checks/isas")


@pytest.mark.slow
def test_nobody_names_an_isa_but_its_own_package() -> None:
    assert isas.complaints(ROOT) == []


@pytest.mark.parametrize(
    "text",
    [
        'FILL = {"x86-64": 1}\n',
        'TRIPLE = "x86_64"\n',
        'ALIAS = "ARM64"\n',
        'PROGRAM = f"qemu-{x}-riscv64"\n',
        'def f(isa: str) -> str:\n    return "memory as on s390x"\n',
        "def _decode_x64() -> None: ...\n",
        "QEMU_RISCV64 = 1\n",
        "from liftcheck.isa.s390x.thunks import Thunks\n",
        "from unicorn import arm64_const\n",
        "import liftcheck.isa.x64.reader\n",
        "x.is_x86_64()\n",
        "def f(s390x: int) -> int: ...\n",
    ],
)
def test_a_name_is_reported(text: str) -> None:
    assert [excusable for _, _, always in isas.check(text) if (excusable := not always)]


@pytest.mark.parametrize(
    "text",
    [
        'if isa == "riscv64":\n    pass\n',
        'x = isa in ("x86-64", "aarch64")\n',
        'x = a if "s390x" != target.isa else b\n',
        'x = program.isas == ("x86-64",)\n',
        'match isa:\n    case "s390x":\n        pass\n',
    ],
)
def test_no_reason_excuses_a_condition(text: str) -> None:
    assert [what for _, what, always in isas.check(text) if always and what.startswith("a condition on")]


@pytest.mark.parametrize(
    "text",
    [
        '"""What s390x has."""\n',
        'X = 1\n"""aarch64: 31 is the zero register."""\n',
        "x = 1  # riscv64\n",
        'CONVENTION = "apple_aarch64"\n',
        'OP = "x86_pmulhrsw"\n',
        'KIND = "S390xPCRel32Dbl"\n',
        'if name == "qemu":\n    pass\n',
    ],
)
def test_what_names_no_isa_passes(text: str) -> None:
    assert list(isas.check(text)) == []


def test_an_entry_that_is_needed_no_more_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "liftcheck" / "isa").mkdir(parents=True)
    for name, text in {
        "isa/base": 'X = "s390x"',
        "plain": "X = 1",
        "rows": 'X = "s390x"',
        "asks": 'X == "s390x"',
    }.items():
        (tmp_path / "liftcheck" / f"{name}.py").write_text(text)
    monkeypatch.setattr(
        isas, "MAY_NAME", dict.fromkeys(("liftcheck/plain.py", "liftcheck/rows.py", "liftcheck/asks.py"), "")
    )
    asked, stale = isas.complaints(tmp_path)
    assert asked.startswith("liftcheck/asks.py:1: a condition on s390x") and "plain.py names no ISA" in stale
