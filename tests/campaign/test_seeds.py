"""Programs made of files: what is a seed, what edits make of it, and that what is planted is found."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest
from support import campaign_hooks
from support.examples import many
from support.scripts import ROOT

from liftcheck import cli
from liftcheck.campaign import seeds as module
from liftcheck.campaign.execute.serial import SerialExecutor
from liftcheck.campaign.options import FuzzOptions
from liftcheck.campaign.run import fuzz
from liftcheck.campaign.seeds import Seeds, isas_of
from liftcheck.case import Case
from liftcheck.clif.opcodes import OPCODES, variants
from liftcheck.clif.text.parser import parse_module
from liftcheck.clif.text.printer import print_module
from liftcheck.clif.verify import verify
from liftcheck.errors import InputError
from liftcheck.generators.mutate import CHANGES, KEEPS
from liftcheck.generators.tables import Context
from liftcheck.isa import ISAS
from liftcheck.layout import slot_address
from liftcheck.oracles.admissible import Reference
from liftcheck.oracles.reference import interpret

CORPUS = ROOT / "corpus" / "run"
GOOD = """test run
function %f(i64, i64) -> i64 system_v {
block0(v0: i64, v1: i64):
    v2 = band v0, v1
    v3 = iadd v2, v0
    v4 = icmp ult v3, v1
    brif v4, block1(v2), block2
block1(v5: i64):
    v6 = imul v5, v1
    return v6
block2:
    v7 = ushr v3, v0
    return v7
}
; run: %f(1, 2) == 0
"""
NOT_SEEDS = {
    "it calls what is not in the file": "fn0 = %g() system_v\nblock0(v0: i64):\n    call fn0()\n    return v0",
    "it has global values": "gv0 = symbol %data\nblock0(v0: i64):\n    v1 = symbol_value.i64 gv0\n    return v0",
    "no program holds get_stack_pointer": "block0(v0: i64):\n    v1 = get_stack_pointer.i64\n    return v0",
    "it is not well-formed": "block0(v0: i64):\n    v1 = iadd v0, v2\n    v2 = iadd v0, v0\n    return v1",
    "it shows what CLIF leaves open": "ss0 = explicit_slot 8\nblock0(v0: i64):\n v1 = stack_addr.i64 ss0\n return v1",
}


@pytest.fixture(scope="module")
def context() -> Context:
    """Of a compiler that has everything everywhere."""
    every = {variant.key for name in OPCODES for variant in variants(name)}
    return Context(ISAS, dict.fromkeys(ISAS, every))


def cases(folder: Path, context: Context, count: int) -> Iterator[Case]:
    seeds = Seeds(folder)
    for number in range(count):
        yield seeds.case(Random(number), context, 0, f"case {number}", {})


@pytest.fixture(scope="module")
def first(context: Context) -> list[Case]:
    """Programs of the corpus."""
    return list(cases(CORPUS, context, 200))


def test_what_is_a_seed_and_what_is_not_is_counted(tmp_path: Path, context: Context) -> None:
    (tmp_path / "good.clif").write_text(GOOD)
    (tmp_path / "below").mkdir()
    texts = (f"function %f{n}(i64) -> i64 system_v {{\n    {body}\n}}\n" for n, body in enumerate(NOT_SEEDS.values()))
    (tmp_path / "below" / "others.clif").write_text("\n".join(texts))
    (tmp_path / "broken.clif").write_text("function %f( {\nblock0:\n    return\n}\n")
    (tmp_path / "latin.clif").write_bytes(b"; \xff\n")
    stock = Seeds(tmp_path).stock(context)
    assert (stock.files, stock.seeds, stock.left_out) == (4, 1, Counter(dict.fromkeys(NOT_SEEDS, 1)))
    assert set(stock.unread) == {"broken.clif", "latin.clif"} and stock.unread["broken.clif"].startswith("line 1: ")
    assert "1 seeds of 4 files" in stock.says() and "2 files are not read: broken.clif (line 1" in stock.says()


def test_a_folder_without_seeds_is_one_message(tmp_path: Path, context: Context) -> None:
    with pytest.raises(InputError, match="no such folder"):
        Seeds(tmp_path / "nowhere")
    with pytest.raises(InputError, match=r"no \.clif file"):
        Seeds(tmp_path)
    (tmp_path / "broken.clif").write_text("function")
    with pytest.raises(InputError, match="no function here can be a seed: 0 seeds of 1 files"):
        Seeds(tmp_path).stock(context)


def test_programs_are_well_formed_and_depend_on_nothing_but_their_draws(first: list[Case], context: Context) -> None:
    assert [print_module(case.module) for case in first[: many(60)]] == [
        print_module(case.module) for case in cases(CORPUS, context, many(60))
    ]
    for case in first[: many(60)]:
        assert not verify(case.module) and case.tags["isas"] == isas_of(case.module, context)
        assert not interpret(case, False, module.SOON).trouble
    assert sum("edits" in case.tags for case in first[: many(60)]) > many(50)


def test_every_edit_is_made_somewhere(first: list[Case]) -> None:
    done = Counter(str(edit) for case in first for edit in case.tags.get("edits", ()) or ())
    assert set(done) == {edit.__name__ for edit in (*CHANGES, *KEEPS)}, done


def test_edits_that_keep_the_meaning_keep_it(monkeypatch: pytest.MonkeyPatch, context: Context) -> None:
    """`Seeds.case` raises where they do not."""
    monkeypatch.setattr(module, "KEEPING", 1)
    edited = [case for case in cases(CORPUS, context, 150) if "edits" in case.tags]
    names = {edit.__name__ for edit in KEEPS}
    assert len(edited) > 100 and all(names.issuperset(str(e) for e in case.tags["edits"]) for case in edited)


def test_an_edit_that_does_not_keep_it_is_seen(monkeypatch: pytest.MonkeyPatch, context: Context) -> None:
    monkeypatch.setattr(module, "KEEPING", 1)
    monkeypatch.setattr("liftcheck.generators.mutate.KEEPS", CHANGES[:1])
    with pytest.raises(ValueError, match="edits that keep the meaning changed it: other_constant"):
        list(cases(CORPUS, context, 50))


def test_no_program_shows_what_clif_leaves_open(tmp_path: Path, context: Context) -> None:
    """An index leads out of a stack slot, which nothing has written."""
    (tmp_path / "slots.clif").write_text("""
function %index(i64) -> i16 system_v {
    ss0 = explicit_slot 32
block0(v0: i64):
    v1 = stack_addr.i64 ss0
    v2 = iadd v1, v0
    v3 = load.i16 v2
    return v3
}
function %plain(i64) -> i64 system_v {
block0(v0: i64):
    v1 = bnot v0
    return v1
}
""")
    for case in cases(tmp_path, context, 60):
        reference = Reference(case.module, False)
        for number, row in enumerate(case.inputs):
            regions = {slot_address(number): case.memories[number]} if case.memories else None
            found = reference.openness(0, row, regions)
            assert found.opening is None and found.outcome.kind == "returned", print_module(case.module)


def test_accesses_promise_nothing(tmp_path: Path, context: Context) -> None:
    text = GOOD.replace("v2 = band v0, v1", "v9 = load.i64 notrap aligned readonly little v0\n    v2 = band v0, v9")
    (tmp_path / "flags.clif").write_text(text)
    flags = {
        inst.flags
        for case in cases(tmp_path, context, 20)
        for block in case.module.functions[0].blocks
        for inst in block.insts
        if inst.op == "load"
    }
    assert {(f.endianness, f.trap, f.aligned, f.readonly) for f in flags} <= {
        ("little", None, False, False),
        ("", None, False, False),
    }


def test_big_endian_accesses_are_for_big_endian_isas(context: Context) -> None:
    text = GOOD.replace("v2 = band v0, v1", "v2 = load.i64 big v0")
    assert isas_of(parse_module(text), context) == ("s390x",)


def test_an_isa_without_a_type_has_no_program_with_it(context: Context) -> None:
    """Though its compiler takes one instruction of the type."""
    few = {key for key in context.matrices["x86-64"] if "x16" not in key or key.startswith("splat")}
    here = Context(ISAS, {isa: few if isa == "riscv64" else context.matrices[isa] for isa in ISAS})
    text = "function %f(i8) -> i8x16 tail {\nblock0(v0: i8):\n    v1 = splat.i8x16 v0\n    return v1\n}\n"
    assert isas_of(parse_module(text), here) == ("x86-64", "aarch64", "s390x")


def test_what_lies_beside_a_slot_is_no_program(tmp_path: Path, context: Context) -> None:
    text = GOOD.replace("block0(v0", "    ss0 = explicit_slot 8\nblock0(v0").replace(
        "v2 = band v0, v1", "v9 = stack_addr.i64 ss0+OFFSET\n    store v1, v9\n    v2 = load.i64 v9"
    )
    for offset in (8, -8, 4):
        (tmp_path / f"{offset}.clif").write_text(text.replace("+OFFSET", f"{offset:+}"))
    (tmp_path / "good.clif").write_text(text.replace("+OFFSET", ""))
    assert {str(case.tags["file"]) for case in cases(tmp_path, context, 30)} == {"good.clif %f"}


@pytest.mark.needs_compiler
def test_a_fault_that_no_seed_shows_is_found_by_an_edit(tmp_path: Path) -> None:
    """xor is wrong, and no file has one."""
    (tmp_path / "good.clif").write_text(GOOD)
    options = FuzzOptions(
        isas=("riscv64",), seconds=None, cases=256, seed=3, sweep=False, seeds=tmp_path, reduce_seconds=3.0
    )
    report = fuzz(options, hooks=campaign_hooks.code_is_wrong, executor=SerialExecutor)
    found = [finding for finding in report.findings if "bxor" in finding.key]
    assert found and not report.troubles
    assert "good.clif %f" in found[0].case.name and report.document()["seed_files"]["seeds"] == 1


@pytest.mark.needs_compiler
def test_the_command_line(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert cli.main(["fuzz", "--seeds", str(tmp_path / "nowhere"), "--cases", "8"]) == 2
    assert "nowhere: no such folder" in capsys.readouterr().err
    assert cli.main(["fuzz", "--seeds", str(CORPUS), "--profile", "calls", "--cases", "8"]) == 2
    assert "--seeds with --profile" in capsys.readouterr().err
    words = ["--seeds", str(CORPUS), "--cases", "32", "--seed", "2", "--json", "--out", str(tmp_path), "--jobs", "1"]
    assert cli.main(["fuzz", *words]) in (0, 1)
    document = json.loads(capsys.readouterr().out)
    assert document["programs"] == 32 and document["seed_files"]["folder"] == str(CORPUS)
    assert cli.main(["fuzz", "--resume", str(tmp_path), "--seeds", str(tmp_path)]) == 2
    assert f"has --seeds {CORPUS}" in " ".join(capsys.readouterr().err.split())
