"""What a file is compiled for: its own targets and settings, what options override, and that nothing vanishes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from liftcheck import cli
from liftcheck.case import Target
from liftcheck.clif.text.filetest import isa_of
from liftcheck.clif.text.parser import parse_filetest
from liftcheck.compilers.base import Compiler, UnknownSetting
from liftcheck.compilers.choice import Choice, Wish, choose
from liftcheck.isa import ISAS

FILES = Path(__file__).resolve().parents[2] / "corpus" / "files"
OWN = str(FILES / "own-settings.clif")
BODY = "function %f(i32) -> i32 {\nblock0(v0: i32):\n    return v0\n}\n; run: %f(1) == 1\n"


def choice(compiler: Compiler, header: str, wish: Wish = Wish()) -> Choice:  # noqa: B008
    return choose(compiler, parse_filetest(header + BODY, "f.clif"), wish)


@pytest.mark.parametrize(
    ("triple", "isa"),
    [
        ("x86_64", "x86-64"),
        ("x86_64-apple-darwin", "x86-64"),
        ("x86_64-unknown-linux-gnu", "x86-64"),
        ("x86-64", "x86-64"),
        ("x86-64-pc-windows-msvc", "x86-64"),
        ("amd64", "x86-64"),
        ("x64", "x86-64"),
        ("aarch64", "aarch64"),
        ("arm64-apple-ios", "aarch64"),
        ("aarch64-linux-android", "aarch64"),
        ("riscv64", "riscv64"),
        ("riscv64gc", "riscv64"),
        ("riscv64gc-unknown-linux-gnu", "riscv64"),
        ("riscv64imac", "riscv64"),
        ("riscv64a23", "riscv64"),
        ("s390x", "s390x"),
        ("s390x-unknown-linux-gnu", "s390x"),
        ("pulley64", "pulley64"),
        ("pulley32be", "pulley32be"),
        ("i686", "i686"),
        ("i686-linux", "i686"),
        ("aarch64_be", "aarch64_be"),
        ("x86_64h", "x86_64h"),
        ("armv7", "armv7"),
        ("riscv32imac", "riscv32imac"),
    ],
)
def test_the_architecture_of_a_triple(triple: str, isa: str) -> None:
    assert isa_of(triple) == isa


def test_a_file_states_targets_and_settings_as_upstream_reads_them(compiler: Compiler) -> None:
    found = choice(
        compiler,
        "test run\nset opt_level=none\ntarget x86_64 skylake\nset opt_level=speed is_pic\n"
        "target riscv64gc has_v has_zbb=false\ntarget pulley32\n",
    )
    assert found.targets == [
        Target("x86-64", (("opt_level", "none"), ("skylake", "preset"))),
        Target("riscv64", (("has_v", "true"), ("has_zbb", "false"), ("is_pic", "true"), ("opt_level", "speed"))),
    ]
    assert found.exact and [target.triple for target in found.outside] == ["pulley32"]
    assert found.notes == ["line 6 is left out: not an ISA of liftcheck: pulley32"] and not found.overrides


def test_a_file_without_targets_is_for_all_isas_with_its_settings(compiler: Compiler) -> None:
    found = choice(compiler, "test run\nset opt_level=none\n")
    assert found.targets == [Target(isa, (("opt_level", "none"),)) for isa in ISAS] and not found.exact
    assert choice(compiler, "").targets == [Target(isa, (("opt_level", "speed"),)) for isa in ISAS]


def test_an_option_overrides_and_says_so(compiler: Compiler) -> None:
    header = "set opt_level=none\nset probestack_size_log2=12\ntarget x86_64 has_sse41\ntarget s390x\n"
    found = choice(compiler, header, Wish(("s390x", "riscv64"), ("speed",), (("probestack_size_log2", "13"),)))
    assert [target.isa for target in found.targets] == ["s390x", "riscv64"]
    assert all(dict(target.settings)["opt_level"] == "speed" for target in found.targets)
    assert all(dict(target.settings)["probestack_size_log2"] == "13" for target in found.targets)
    assert "has_sse41" not in str(found.targets)
    assert found.notes == [
        "--isa leaves out targets of the file: x86-64",
        "--isa adds to the file's targets: riscv64 (with its 'set' lines)",
        "--opt opt_level=speed overrides the file's opt_level=none",
        "--set probestack_size_log2=13 overrides the file's probestack_size_log2=12",
    ]


def test_an_option_that_agrees_with_the_file_says_nothing(compiler: Compiler) -> None:
    header = "set opt_level=none\ntarget x86_64\n"
    assert choice(compiler, header, Wish(("x86-64",), ("none",))).notes == []


def test_a_setting_that_no_isa_of_the_file_has_is_an_error(compiler: Compiler) -> None:
    with pytest.raises(UnknownSetting, match="has_zbb"):
        choice(compiler, "target x86_64\n", Wish(settings=(("has_zbb", "true"),)))


@pytest.mark.needs_compiler
def test_run_obeys_the_file(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["run", OWN, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert [(r["isa"], r["settings"]["opt_level"], r["as_expected"]) for r in document["results"]] == [
        ("x86-64", "none", True),
        ("riscv64", "speed", True),
    ]
    assert document["results"][0]["settings"]["has_sse41"] == "true"
    assert document["notes"] == ["line 8 is left out: not an ISA of liftcheck: pulley64"]


@pytest.mark.needs_compiler
def test_a_setting_that_the_file_needs_and_lacks_is_missed(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "lacks.clif"
    path.write_text(Path(OWN).read_text().replace("set enable_llvm_abi_extensions\n", ""))
    assert cli.main(["run", str(path)]) == 2
    assert "unsupported" in capsys.readouterr().out


@pytest.mark.needs_compiler
def test_a_setting_of_another_version_refuses_its_target_alone(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = tmp_path / "old.clif"
    path.write_text("test run\ntarget s390x\nset use_egraphs=true\ntarget x86_64\n" + BODY)
    assert cli.main(["run", str(path)]) == 2
    out = capsys.readouterr().out
    assert "%f(1) = 1  ; as expected" in out and "unsupported: the setting use_egraphs" in out


@pytest.mark.needs_compiler
def test_compile_obeys_the_file_and_an_option_overrides(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["compile", OWN, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert [f["isa"] for f in document["functions"]] == ["x86-64", "riscv64"]
    assert cli.main(["compile", OWN, "--isa", "aarch64", "--opt", "none"]) == 0
    out = capsys.readouterr().out
    assert "; note: --isa adds to the file's targets: aarch64" in out and "ret" in out


@pytest.mark.needs_compiler
def test_a_file_for_other_isas_alone_is_refused_by_name(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "pulley.clif"
    path.write_text("test run\ntarget pulley64be\n" + BODY)
    for command in ("run", "compile"):
        assert cli.main([command, str(path)]) == 2
        assert "only for ISAs that liftcheck does not have: pulley64be (line 2)" in capsys.readouterr().err
    assert cli.main(["run", str(path), "--isa", "s390x"]) == 0


def test_interpret_takes_the_byte_order_of_the_targets(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "order.clif"
    path.write_text(
        "test run\ntarget s390x\nfunction %first(i32) -> i8 {\n    ss0 = explicit_slot 4\n"
        "block0(v0: i32):\n    v1 = stack_addr.i64 ss0\n    store v0, v1\n    v2 = load.i8 v1\n"
        "    return v2\n}\n"
        "; run: %first(0x01020304) == 1\n"
    )
    assert cli.main(["interpret", str(path)]) == 0
    assert "note: big-endian" in capsys.readouterr().out
    assert cli.main(["interpret", str(path), "--little-endian"]) == 1
    assert "--little-endian overrides the file's targets" in capsys.readouterr().out


@pytest.mark.needs_compiler
def test_regalloc_says_what_an_option_overrides(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["regalloc", OWN, "--opt", "speed", "--isa", "x86-64", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["notes"] == {
        "--isa leaves out targets of the file: riscv64": 1,
        "--opt opt_level=speed overrides the file's opt_level=none": 1,
    }
    assert cli.main(["regalloc", OWN, "--opt", "speed"]) == 0
    assert "note: --opt opt_level=speed overrides the file's opt_level=none,speed (1 files)" in capsys.readouterr().out


def test_a_target_line_without_a_triple_is_said() -> None:
    (error,) = parse_filetest("test run\ntarget\n" + BODY, strict=False).errors
    assert error.line == 2 and "names a triple" in error.message
