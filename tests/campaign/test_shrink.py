"""`liftcheck reduce FILE`: for a command, for readers of different minds, for what disagrees; what Ctrl-C leaves."""

from __future__ import annotations

import dataclasses
import io
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from liftcheck import cli
from liftcheck.campaign.findings import store
from liftcheck.campaign.findings.from_file import disagreements
from liftcheck.campaign.findings.investigate import Investigator
from liftcheck.campaign.findings.replay import reduce_again, replay
from liftcheck.campaign.findings.watched import INTERRUPTED, Watched
from liftcheck.campaign.reduce.answers import one_by_one
from liftcheck.campaign.reduce.engine import Limits, Meter, finished, size
from liftcheck.campaign.reduce.text import fewer, shrink
from liftcheck.campaign.shrink import Watch, lines_of
from liftcheck.case import Case, Target
from liftcheck.clif.text.parser import parse_filetest
from liftcheck.compilers.cranelift.client import Cranelift
from liftcheck.oracles.differential import Judge
from liftcheck.oracles.tally import Tally
from liftcheck.runners.pool import RunnerPool

PROGRAM = """\
test interpret
set opt_level=speed
target x86_64

function %helper(i64) -> i64 {
block0(v0: i64):
    v1 = imul v0, v0
    return v1
}
; run: %helper(3) == 9

function %main(i64, i64) -> i64 {
    fn0 = %helper(i64) -> i64
block0(v0: i64, v1: i64):
    v2 = iconst.i64 12
    v3 = iadd v0, v2
    v4 = call fn0(v3)
    brif v4, block1(v4), block2
block1(v5: i64):
    v6 = udiv v5, v1
    return v6
block2:
    v7 = bxor v0, v1
    return v7
}
; run: %main(1, 2) == 84
; run: %main(5, 2) == 144
"""
GREP = "grep -q udiv {}"


def reduced(text: str, ask: Any) -> tuple[str, str]:
    """The smallest text, and why it was cut by lines alone."""
    done = finished(
        shrink(text, lambda text: "" if ask(text) else "are not interesting", Meter(Limits(30.0)), "a.clif")
    )
    assert ask(done.text) and done.complete
    return done.text, done.by_lines


def instructions(text: str) -> int:
    return sum(len(block.insts) for f in parse_filetest(text, "").module().functions for block in f.blocks)


def test_a_program_is_reduced_by_the_engine() -> None:
    text, why = reduced(PROGRAM, lambda text: "udiv" in text)
    assert why == "" and instructions(text) <= 3 and text.startswith("function")


def test_run_lines_and_headers_stay_as_long_as_they_are_needed_and_no_longer() -> None:
    kept = ("udiv", "%main(5, 2)", "target", "function %main(i64, i64) -> i64 ")
    text, _ = reduced(PROGRAM, lambda text: all(part in text for part in kept))
    assert text.count("; run:") == 1 and text.startswith("target x86_64\n\n") and "%helper" not in text
    test = parse_filetest(text, "")
    assert [line.args for line in test.functions[0].run_lines] == [(5, 2)]


def test_what_is_not_read_is_cut_by_lines() -> None:
    text, why = reduced(PROGRAM.replace("v7 = bxor v0, v1", "v7 = frobnicate v0"), lambda text: "frobnicate" in text)
    assert text == "    v7 = frobnicate v0\n" and "not read" in why


def test_what_is_ill_formed_is_cut_by_lines() -> None:
    text, why = reduced(PROGRAM.replace("v7 = bxor v0, v1", "v7 = ireduce.i64 v0"), lambda text: "ireduce" in text)
    assert "ireduce" in text and lines_of(text) == 1 and "ill-formed" in why


def test_what_only_the_users_own_text_shows_is_cut_by_lines() -> None:
    marked = PROGRAM.replace("v3 = iadd v0, v2", "v3 = iadd v0,  v2")
    text, why = reduced(marked, lambda text: "v0,  v2" in text)
    assert text == "    v3 = iadd v0,  v2\n" and "own print" in why


@pytest.mark.parametrize("wanted", [set(), {0}, {9}, {3, 7}, set(range(10))])
def test_as_few_as_it_takes_are_kept(wanted: set[int]) -> None:
    kept = finished(
        fewer(range(10), one_by_one(lambda items: "" if wanted <= set(items) else "no"), Meter(Limits(30.0)))
    )
    assert set(kept) == wanted and len(kept) == len(wanted)


def test_a_search_ends_at_its_limit_with_what_it_has() -> None:
    asked = []

    def ask(items: list[int]) -> str:
        asked.append(items)
        return "" if 99 in items else "no"

    kept = finished(fewer(range(100), one_by_one(ask), Meter(Limits(30.0, questions=5))))
    assert len(asked) == 5 and 99 in kept and len(kept) < 100


def test_a_watch_keeps_the_best_and_not_the_last() -> None:
    watch = Watch(lambda lines, asked: None)
    for text in ("aaaa\n", "", "aa\n", "", "aaa\n"):
        watch.heard(text)
    assert watch.best == "aa\n" and watch.asked == 5


# the command


def run(tmp_path: Path, *words: str, text: str = PROGRAM) -> int:
    (tmp_path / "a.clif").write_text(text)
    return cli.main(["reduce", str(tmp_path / "a.clif"), *words])


def test_a_file_is_reduced_for_a_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "small.clif"
    assert run(tmp_path, "--test", GREP, "--out", str(out), "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert "udiv" in out.read_text() and document["after"] == lines_of(out.read_text()) < document["before"]
    assert run(tmp_path, "--test", GREP, "--out", "-") == 0
    assert capsys.readouterr().out == out.read_text()


def test_the_result_goes_beside_nobody_and_never_over_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(tmp_path, "--test", GREP) == 0
    assert "udiv" in Path("a.reduced.clif").read_text() and Path("a.clif").read_text() == PROGRAM
    assert run(tmp_path, "--test", GREP, "--out", "a.clif") == 2
    assert "is the file itself" in capsys.readouterr().err and Path("a.clif").read_text() == PROGRAM


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--test", "true"), "does not say where the file's name goes"),
        (("--test", "echo no >&2; false {}"), "the command ended with 1 (no): it must end with 0 for the file itself"),
        (("--test", "true {}", "--out", "no/such/place"), "cannot write"),
    ],
)
def test_what_is_wrong_with_a_command_line_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], message: str
) -> None:
    assert run(tmp_path, *words) == 2
    assert message in capsys.readouterr().err


def test_a_folder_takes_no_option_for_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["reduce", str(tmp_path), "--test", "true {}"]) == 2
    assert "--test is for files" in capsys.readouterr().err


def test_standard_input_is_reduced_to_standard_output(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(PROGRAM.encode())))
    assert cli.main(["reduce", "-", "--test", GREP]) == 0
    assert "udiv" in capsys.readouterr().out


def test_a_command_that_hangs_is_not_waited_for_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("liftcheck.campaign.command._PATIENCE", 0.2)
    slow = f"{GREP} && {{ grep -q helper {{}} || sleep 60; }}"
    started = time.monotonic()
    assert run(tmp_path, "--test", slow, "--time", "3s", "--out", str(tmp_path / "o.clif")) == 0
    assert time.monotonic() - started < 20 and "helper" in (tmp_path / "o.clif").read_text()


def test_ctrl_c_keeps_the_best_so_far(tmp_path: Path) -> None:
    (tmp_path / "a.clif").write_text(PROGRAM)
    log = tmp_path / "log"
    command = f"echo x >> {log}; test $(wc -l < {log}) -ne 12 || exec sleep 60; {GREP}"  # it is in the midst of it
    words = [sys.executable, "-m", "liftcheck", "reduce", "a.clif", "--test", command, "--out", "o.clif"]
    process = subprocess.Popen(words, cwd=tmp_path, start_new_session=True, stderr=subprocess.PIPE)
    until = time.monotonic() + 120
    while time.monotonic() < until and (not log.exists() or log.read_text().count("x") < 12):
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGINT)
    _, told = process.communicate(timeout=60)
    assert process.returncode == 130 and b"best so far" in told, told
    text = (tmp_path / "o.clif").read_text()
    assert "udiv" in text and lines_of(text) < lines_of(PROGRAM)


# what disagrees


@pytest.mark.needs_compiler
def test_a_panic_or_wrong_refusal_of_the_newest_version_is_reduced(tmp_path: Path) -> None:
    """What the pages of findings say is open: each is a filetest that fails today."""
    page = Path(__file__).parents[2] / "corpus" / "regressions" / "compiler-panics-canonical-nan.clif"
    padded = page.read_text().replace(
        "function", "function %unrelated(i64) -> i64 {\nblock0(v0: i64):\n    return v0\n}\n\nfunction", 1
    )
    out = tmp_path / "o.clif"
    assert run(tmp_path, "--out", str(out), "--time", "20s", text=padded) == 0
    text = out.read_text()
    assert "%unrelated" not in text and instructions(text) <= 2


@pytest.mark.needs_compiler
def test_what_agrees_is_not_reduced(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(tmp_path, "--isa", "x86-64") == 2
    assert re.search(r"nothing disagrees here: \d+ functions on targets agree", capsys.readouterr().err)


@pytest.mark.needs_compiler
def test_a_text_that_only_liftcheck_refuses_is_reduced_to_what_it_refuses(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A planted fault of liftcheck's own verifier: it refuses every `bxor`."""
    from liftcheck.campaign.findings import from_file
    from liftcheck.errors import Diagnostic

    real = from_file.verify

    def wrong(module: Any, *words: Any) -> Any:
        ops = {inst.op for function in module.functions for block in function.blocks for inst in block.insts}
        return [Diagnostic("", 1, 1, "no bxor here")] if "bxor" in ops else real(module, *words)

    monkeypatch.setattr(from_file, "verify", wrong)
    out = tmp_path / "o.clif"
    assert run(tmp_path, "--out", str(out), "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert "liftcheck refuses it (no bxor here), cranelift" in document["class"]
    assert instructions(out.read_text()) <= 3 and "bxor" in out.read_text()


@pytest.mark.needs_compiler
def test_a_file_without_a_function_is_said_to_have_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(tmp_path, "--isa", "x86-64", text="test run\ntarget x86_64\n") == 2
    assert "there is no function in this file" in capsys.readouterr().err


@pytest.mark.needs_compiler
@pytest.mark.parametrize(
    ("text", "message"),
    [
        (PROGRAM.replace("v7 = bxor v0, v1", "v7 = ireduce.i32 v0"), "a.clif:24:1: %main: return"),
        (PROGRAM.replace("v7 = bxor", "v7 = frobnicate"), "unknown opcode 'frobnicate'"),
        (PROGRAM.replace("x86_64", "pulley64"), "not an ISA of liftcheck: pulley64"),
        (PROGRAM.replace("== 84", "== 85"), "nothing disagrees here"),
        ("", "there is no function in this file"),
    ],
)
def test_what_both_refuse_or_nothing_is_wrong_with_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, message: str
) -> None:
    assert run(tmp_path, "--out", str(tmp_path / "o.clif"), text=text) == 2
    told = capsys.readouterr().err
    assert message in told and "Traceback" not in told and not (tmp_path / "o.clif").exists()


@pytest.mark.needs_compiler
def test_a_function_without_run_lines_is_tried_with_inputs_at_hand(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Zeros do not show it: 0 - 0 is 0 + 0."""
    monkeypatch.syspath_prepend(str(Path(__file__).parents[1] / "support" / "toy_compiler"))
    text = "function %f(i64, i64) -> i64 {\nblock0(v0: i64, v1: i64):\n    v2 = iadd v0, v1\n"
    text += "    v3 = imul v2, v2\n    return v3\n}\n"
    out = tmp_path / "o.clif"
    assert run(tmp_path, "--compiler", "toy@wrong", "--isa", "x86-64", "--out", str(out), text=text) == 0
    assert instructions(out.read_text().partition("function %run")[0]) <= 3 and "iadd" in out.read_text()


LONG_FAULT = """\
target aarch64
function %f(f128, i64, i64) -> i64 {
block0(v0: f128, v1: i64, v2: i64):
    v3 = iadd v1, v2
    v4 = imul v3, v1
    v5 = bxor v4, v2
    v6 = fdemote.f32 v0
    v7 = bitcast.i32 v6
    v8 = uextend.i64 v7
    v9 = iadd v8, v5
    return v9
}
; run: %f(0x1.0p0, 3, 4) == 0x3f800011
"""


@pytest.mark.needs_compiler
def test_ctrl_c_keeps_the_best_so_far_of_a_folder(
    compiler: Cranelift, runners: RunnerPool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    test = parse_filetest(LONG_FAULT, "a.clif")
    desk = Investigator(Judge(compiler, runners), runners)
    found = next(disagreements(desk, test, [Target("aarch64")], Tally()))
    place = tmp_path / "one"
    store.write_folder(place, store.files(dataclasses.replace(found, count=4), "one"))
    good: list[Case] = []

    def heard(case: Case | None) -> None:
        good.extend([case] if case is not None else [])
        if len(good) == 4:
            raise KeyboardInterrupt

    some, _, interrupted = reduce_again(place, 60.0, heard)
    kept = store.load(place)
    assert interrupted and size(kept.case) == size(some.case) < size(found.case) and kept.count == 4
    assert kept.note == INTERRUPTED and kept.original == found.case
    assert replay(place).still
    done, _, interrupted = reduce_again(place, 60.0)
    assert not interrupted and size(done.case) <= size(some.case) and done.note != INTERRUPTED and done.reduced
    monkeypatch.setattr(Investigator, "objection", lambda *_args, **_more: pytest.fail("asked"))
    untouched = Watched(desk.judge, runners, lambda _: None)
    assert untouched.best(found) is found


def test_what_few_reductions_need_is_not_imported_before_it_is_needed() -> None:
    code = "import sys, liftcheck.campaign.shrink; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert {"z3", "unicorn", "capstone"}.isdisjoint(loaded)
