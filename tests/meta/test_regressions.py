"""A filetest for each page of findings: one that is open must fail for the page's reason, one that is fixed must pass.

`corpus/regressions/PAGE.clif` (or `PAGE-WHAT.clif`, if a page has several) is the program of `docs/findings/PAGE.md`,
with what the newest version that the index speaks of makes of it (`ci/experiments/cases.py`). So a fix upstream is
noticed when the index moves on to the next version, and before that by `ci/experiments/cases.py --compiler
cranelift=PATH corpus/regressions`.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from support.case_rows import cases, rows, run

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "corpus" / "regressions"
PAGES = {path.stem: path.read_text(encoding="utf-8") for path in (ROOT / "docs" / "findings").glob("*.md")}
INDEX = PAGES.pop("index")
FILES = {path.stem: path.read_text(encoding="utf-8") for path in sorted(FOLDER.glob("*.clif"))}
VERSION = re.findall(r"\d+\.\d+\.\d+", INDEX.split("\n|---")[0])[-1]
"""The newest version that the index has a column for."""
FILETEST = re.compile(r"^```\n(test .*?)^```$", re.MULTILINE | re.DOTALL)
SECTION = re.compile(r"^## (.*?) \((open|fixed)\)$(.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)
ONE = "test interpret\nfunction %f() -> i8 {\nblock0:\n    v0 = iconst.i8 1\n    return v0\n}\n; run: %f() == 1\n"
TOO_LONG = {"compiler-panics-jump-over-constants"}
"""Programs that their pages name and do not show."""


def page_of(stem: str) -> str:
    """The page that a file belongs to; '' if there is none."""
    return max((page for page in PAGES if stem == page or stem.startswith(f"{page}-")), key=len, default="")


def program(text: str) -> str:
    """A file from its first line of CLIF on."""
    return text[text.index("\ntest ") + 1 :]


def is_open(stem: str) -> bool:
    """Whether the page says that the newest version is still wrong: of a page with sections the file's section."""
    page = page_of(stem)
    for _, state, body in SECTION.findall(PAGES[page]):
        if program(FILES[stem]) in FILETEST.findall(body) or f"corpus/regressions/{stem}.clif" in body:
            return bool(state == "open")
    (row,) = [line for line in INDEX.splitlines() if f"]({page}.md)" in line]
    return "fixed |" not in row and not re.search(r"open\*\* since [\d.]+ \|", row)


@pytest.mark.needs_compiler("fuzz", "regalloc")
@pytest.mark.needs_qemu
@pytest.mark.parametrize(("path", "expected"), rows(FOLDER))
def test_an_open_finding_is_still_there_and_a_fixed_one_is_not(
    path: Path, expected: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong, output = run(path, expected, capsys, "--compiler", f"cranelift@{VERSION}")
    told = f"{wrong}\n{output}"
    if wrong.startswith("exit code 0, not 1"):
        told = (
            f"fixed in {VERSION}? Update docs/findings/{page_of(path.stem)}.md, its row of the index and "
            f"corpus/regressions/{path.name}.\n{told}"
        )
    assert not wrong, told


def test_every_page_has_its_files_and_every_file_its_page() -> None:
    assert {page_of(stem) for stem in FILES} == set(PAGES)
    assert [stem for stem, text in FILES.items() if not text.startswith(f"; docs/findings/{page_of(stem)}.md\n")] == []


@pytest.mark.parametrize("page", sorted(PAGES))
def test_a_page_shows_the_programs_of_its_files(page: str) -> None:
    own = [stem for stem in FILES if page_of(stem) == page]
    assert sorted(FILETEST.findall(PAGES[page])) == sorted(program(FILES[stem]) for stem in own if stem not in TOO_LONG)
    named = set(re.findall(r"corpus/regressions/([\w-]+)\.clif", PAGES[page]))
    assert named == TOO_LONG & set(own)


def test_every_section_on_panics_has_a_file() -> None:
    sections = SECTION.findall(PAGES["compiler-panics"])
    assert len(sections) >= 10
    without = [title for title, _, body in sections if not FILETEST.search(body)]
    assert without == ["riscv64: a compressed jump over many constants"]


@pytest.mark.parametrize("stem", FILES)
def test_a_file_fails_while_its_page_says_that_it_is_open(stem: str) -> None:
    codes = {one.code for one in cases.expectations(FOLDER / f"{stem}.clif")}
    assert codes and codes <= {0, 1}
    assert (1 in codes) == is_open(stem)
    texts = [one.texts for one in cases.expectations(FOLDER / f"{stem}.clif") if one.code == 1]
    assert all(texts), "an open finding says by what it is known"


def test_the_index_is_read_rightly() -> None:
    assert VERSION == "0.135.8"
    assert is_open("riscv64-fs1-not-saved") and not is_open("s390x-narrow-atomic-cas")
    assert is_open("compiler-panics-ineg-half-vector") and not is_open("compiler-panics-bnot-of-bxor")
    assert is_open("aarch64-narrow-atomic-umin-umax"), "fixed in a later version than the index's last column"
    assert not is_open("riscv64-vandn-without-zvbb"), "came with a later version than the index's last column"


def test_a_fix_is_noticed(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """A file that no longer fails, and one that fails for another reason."""
    path = tmp_path / "riscv64-fs1-not-saved.clif"
    path.write_text(ONE)
    wrong, _ = run(path, cases.parse("test --interpreter-only => 1: fs1 not saved"), capsys)
    assert wrong.startswith("exit code 0, not 1")
    path.write_text(path.read_text().replace("== 1", "== 2"))
    wrong, _ = run(path, cases.parse("test --interpreter-only => 1: fs1 not saved"), capsys)
    assert wrong == "does not print 'fs1 not saved'"
