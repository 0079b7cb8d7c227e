"""The HTML page of a folder: whole, self-contained, true to what lies there, whatever stands in it."""

from __future__ import annotations

import dataclasses
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from support.reports import CLIF, NASTY, TARGET, campaign, finding
from support.toy_campaign import options, toy

from liftcheck import cli
from liftcheck.campaign.findings.finding import Finding
from liftcheck.campaign.findings.page import functions
from liftcheck.campaign.findings.store import Store
from liftcheck.campaign.report.gather import Statistics, change, gather
from liftcheck.campaign.report.html import page
from liftcheck.campaign.report.html_finding import foreign, only_one
from liftcheck.case import CompileFailure, Outcome
from liftcheck.oracles.compare import COMPILER_PANIC

VOID = {"meta", "link", "br", "img"}


class Reader(HTMLParser):
    """Fails on tags that do not close one another; keeps text, tags and attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def read(text: str) -> Reader:
    reader = Reader()
    reader.feed(text)
    reader.close()
    assert reader.open == []
    return reader


def panic(key: str, reduced: bool = False) -> Finding:
    made = finding(failure=CompileFailure("panic", "it broke", NASTY, "lib.rs:1"))
    return dataclasses.replace(made, klass=COMPILER_PANIC, key=key, detail=NASTY, reduced=reduced)


def wrong(**changes: Any) -> Finding:
    made = finding(
        expected=Outcome("returned", (7,)),
        actual=Outcome("returned", (9,)),
        disassembly={str(TARGET): "%f:\n  add a0, a0, a0\n  ret", "riscv64": "%f:\n  sub a0, a0, a0\n  ret"},
        suspects=(f"src/isa/riscv64/lower.isle:12 {NASTY}",),
        reduced=True,
    )
    return dataclasses.replace(made, **changes)


def folder(out: Path, *findings: Finding) -> Path:
    store = Store(out)
    store.check()
    for one in findings:
        store.save(one.key, one)
    return out


def test_the_reader_sees_a_tag_that_is_not_closed() -> None:
    with pytest.raises(AssertionError):
        read("<p><b></p></b>")


def test_a_page_is_whole_and_needs_nothing_else(tmp_path: Path) -> None:
    report = campaign(tmp_path, wrong(), panic(NASTY))
    text = page(gather(tmp_path, Statistics(report.document())))
    reader = read(text)
    assert not {"script", "img", "link", "iframe", "object"} & {tag for tag, _ in reader.tags}
    assert all(name not in ("src", "srcset", "onclick") for _, attributes in reader.tags for name in attributes)
    assert all((given.get("href") or "#").startswith("#") for _, given in reader.tags)
    assert "http:" not in text and "https:" not in text and "url(" not in text and "@import" not in text
    assert any(given.get("http-equiv") == "Content-Security-Policy" for _, given in reader.tags)


def test_a_page_has_program_code_outcomes_rules_and_the_command(tmp_path: Path) -> None:
    text = read(page(gather(folder(tmp_path, wrong())))).text
    for part in ("v1 = iadd", "add a0, a0, a0", "returned 0x0000000000000007", "returned 0x0000000000000009"):
        assert part in text
    assert f"src/isa/riscv64/lower.isle:12 {NASTY}".split("\r")[0] in text and "liftcheck replay " in text


def test_what_blame_found_is_marked_and_said(tmp_path: Path) -> None:
    instruction = {"clif": "v1 = iadd.i64 v0, v0", "code": [[0, "add a0, a0, a0"]], "offset": 0, "register": "a0"}
    clif = next(line.strip() for line in functions(wrong().case).split("\n") if "iadd" in line)
    blame = {"instruction": {**instruction, "clif": clif, "expected": "0x7", "actual": "0x9", "why": ""}}
    text = page(gather(folder(tmp_path, wrong(blame=blame))))
    assert "the first that gives a wrong value" in text and "gives the first wrong value" in text
    assert re.search(r"<mark>[^<]*add a0, a0, a0</mark>", text) and f"<mark>    {clif}</mark>" in text
    assert "who is to blame" in text and "run `liftcheck blame` again" in text
    strange = page(gather(folder(tmp_path / "b", wrong(blame={"instruction": {"code": [3, [1]], "clif": NASTY}}))))
    assert "the only instruction that computes anything" in strange


def test_code_of_another_target_is_not_shown_as_the_wrong_code(tmp_path: Path) -> None:
    one = wrong(disassembly={"aarch64": "%f:\n  add x0, x0, x0"}, failure=CompileFailure("panic", "it broke"))
    text = read(page(gather(folder(tmp_path, one)))).text
    assert "aarch64, for which it is compiled" in text and "which is right" not in text


def test_a_page_has_the_campaigns_counts_and_reasons(tmp_path: Path) -> None:
    document = campaign(tmp_path, wrong()).document()
    document["executed"] = {"riscv64": {"iadd.i64": 3, "call": 1, **{f"op{n}.i8": n for n in range(5)}}}
    text = read(
        page(gather(tmp_path, Statistics(document, (("x64", "src/isa/x64/lower.isle", 3, 4),), ("a remark",))))
    ).text
    assert "an address shows" in text and "no lowering of a%,b:" in text and "ZeroDivisionError: planted" in text
    assert "riscv64: 7 typings" in text and "keeps no statistics" not in text
    assert "x64: 3 of 4 (75%)" in text and "a remark" in text


def test_a_folder_without_statistics_is_said_to_have_none(tmp_path: Path) -> None:
    assert "keeps no statistics" in read(page(gather(folder(tmp_path, wrong())))).text
    assert "Findings" in page(gather(folder(tmp_path / "empty")))


def test_the_only_instruction_is_marked_and_among_several_none_is() -> None:
    text = "function %f(i64) -> i64 {\n    sig0 = (i64)\nblock0(v0: i64):\n    v1 = iconst.i64 3\n"
    assert only_one(text + "    v2, v3 = uadd_overflow v0, v1\n    return v2\n}") == {4}
    assert only_one(text + "    v2 = iadd v0, v1\n    store v2, v0\n    return v2\n}") == set()
    assert only_one(CLIF) == {2}


def test_lines_that_the_right_code_lacks_are_marked_but_not_its_addresses_and_not_all_of_them() -> None:
    good = "block0:\n  lui a1, 0x10\n  sub a0, a0, a1\n  ret"
    assert foreign("block0:\n  lui a1, 0x20\n  add a0, a0, a1\n  ret", good) == {2}
    assert foreign(good, good) == set()
    assert foreign("nothing\nof\nthat", good) == set()
    many = "\n".join(f"  op{n} a{n}" for n in range(20))
    assert foreign(f"{many}\n{good}", f"{many.replace('op', 'po')}\n{good}") == set()


def test_what_changed_goes_by_keys_and_what_was_never_reduced_is_not_compared(tmp_path: Path) -> None:
    now = folder(
        tmp_path / "now", wrong(key="same"), wrong(key="new", number=3), wrong(key="x", reduced=False, number=4)
    )
    old = folder(tmp_path / "old", wrong(key="same"), panic("gone"))
    found = change(gather(now), gather(old))
    keys = [[one.key for one in part] for part in (found.new, found.gone, found.both, found.unknown)]
    assert keys == [["new"], ["gone"], ["same"], ["x"]]
    text = read(page(gather(now), found)).text
    assert "1 new" in text and "1 gone" in text and "1 were never reduced" in text


def test_every_link_on_the_page_leads_to_a_place_on_it(tmp_path: Path) -> None:
    now, old = folder(tmp_path / "now", wrong(key="new"), panic("other")), folder(tmp_path / "old")
    tags = read(page(gather(now), change(gather(now), gather(old)))).tags
    links = {str(given["href"])[1:] for tag, given in tags if tag == "a"}
    assert len(links) == 2 and links <= {given.get("id") for _, given in tags}


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"format": 1}', '"x"', "\x00"])
def test_a_finding_that_cannot_be_read_is_listed_and_costs_no_other(tmp_path: Path, text: str) -> None:
    folder(tmp_path, wrong())
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "finding.json").write_text(text)
    gathered = gather(tmp_path)
    assert len(gathered.findings) == 1 and [name for name, _ in gathered.unreadable] == ["bad"]
    assert "bad" in read(page(gathered)).text


@pytest.mark.parametrize("value", [None, 7, "x", [], {}])
@pytest.mark.parametrize(
    "key", ["target", "recipe", "expected", "votes", "suspects", "seconds", "count", "detail", "failure"]
)
def test_no_value_in_a_finding_breaks_the_page(tmp_path: Path, key: str, value: object) -> None:
    place = next(folder(tmp_path, wrong()).glob("*/finding.json"))
    place.write_text(json.dumps({**json.loads(place.read_text()), key: value}))
    gathered = gather(tmp_path)
    read(page(gathered))
    assert len(gathered.findings) + len(gathered.unreadable) == 1


def test_the_command_writes_the_page_beside_the_findings(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, old = folder(tmp_path / "now", wrong()), folder(tmp_path / "old")
    assert cli.main(["report", str(out), "--against", str(old), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["new"] == ["wrong value | riscv64 | iadd.i64"] and document["gone"] == []
    assert re.search(r"1 new", (out / "report.html").read_text(encoding="utf-8"))
    assert cli.main(["report", str(out), "--out", str(tmp_path / "x.html")]) == 0
    assert "1 findings" in capsys.readouterr().out and (tmp_path / "x.html").exists()


def test_wrong_folders_and_files_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["report", str(tmp_path / "no")]) == 2
    assert "no such folder" in capsys.readouterr().err
    assert cli.main(["report", str(tmp_path), "--out", str(tmp_path / "no" / "x.html")]) == 2
    assert "cannot write" in capsys.readouterr().err


def test_a_campaigns_folder_tells_its_numbers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    report = toy(monkeypatch, options(tmp_path, cases=200))
    assert cli.main(["report", str(tmp_path)]) == 0
    text = read((tmp_path / "report.html").read_text(encoding="utf-8")).text
    assert f"{report.tally.programs:,}programs" in text and "keeps no statistics" not in text
    assert len(gather(tmp_path).findings) == len(report.findings) > 0


def test_a_damaged_database_costs_the_numbers_alone(tmp_path: Path) -> None:
    folder(tmp_path, wrong())
    (tmp_path / "campaign.sqlite").write_bytes(b"nonsense" * 100)
    assert cli.main(["report", str(tmp_path)]) == 0
    text = read((tmp_path / "report.html").read_text(encoding="utf-8")).text
    assert "campaign.sqlite" in text and "keeps no statistics" in text and "v1 = iadd" in text
