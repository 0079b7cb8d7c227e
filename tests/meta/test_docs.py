"""What the pages say exists: links, commands, options, files; and the generated page is up to date."""

from __future__ import annotations

import importlib
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.scripts import ROOT, load

from liftcheck import cli

PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")])
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
CODE = re.compile(r"`([^`\n]+)`")


def page_name(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def commands(text: str) -> Iterator[list[str]]:
    """The words after `liftcheck` of every command that a page shows, indented, fenced or in backticks."""
    shown = [line.strip().removeprefix("$ ") for line in text.splitlines() if line.startswith(("    ", "$ "))]
    shown += CODE.findall(text)
    for line in shown:
        for part in re.split(r"&&|\||;", line.split("  #")[0]):
            words = part.split()
            if words[:1] == ["liftcheck"] and len(words) > 1:
                yield words[1:]


def links(page: Path) -> list[str]:
    """Where the links of a page lead within the tree, as they are written."""
    return [
        link.split("#")[0]
        for link in LINK.findall(page.read_text(encoding="utf-8"))
        if not link.startswith(("http://", "https://", "#", "mailto:"))
    ]


@pytest.mark.parametrize("page", PAGES, ids=page_name)
def test_links_lead_somewhere(page: Path) -> None:
    assert [link for link in links(page) if not (page.parent / link).exists()] == []


def flags_of(command: str) -> set[str]:
    entry = cli.COMMANDS[command]
    parser = cli.parser_of(entry, importlib.import_module(f"liftcheck.commands.{entry.module}"))
    return {flag for action in parser._actions for flag in action.option_strings}


@pytest.mark.parametrize("page", PAGES, ids=page_name)
def test_commands_and_options_exist(page: Path) -> None:
    wrong = []
    for words in commands(page.read_text(encoding="utf-8")):
        name = words[0].rstrip(".,:")
        if name in ("COMMAND", "help") or name.startswith("-"):
            continue
        if name not in cli.COMMANDS:
            wrong.append(" ".join(words))
            continue
        used = {word.split("=")[0].rstrip(".,:") for word in words if word.startswith("--")}
        wrong += [f"{name} {flag}" for flag in used - flags_of(name)]
    assert wrong == []


def test_the_command_finder_sees_commands() -> None:
    text = "Do `liftcheck fuzz --isa x` or\n\n    pip install -e . && liftcheck test PATH   # words --no\n"
    assert list(commands(text)) == [["test", "PATH"], ["fuzz", "--isa", "x"]]


def test_the_page_of_the_command_line_is_up_to_date() -> None:
    assert (ROOT / "docs" / "cli.md").read_text(encoding="utf-8") == load("docs/cli").page(), (
        "run: python ci/docs/cli.py"
    )


def test_links_lead_from_the_index_to_every_page() -> None:
    found, waiting = set(), [ROOT / "docs" / "index.md"]
    while waiting:
        page = waiting.pop()
        if page not in found and page.suffix == ".md" and page.is_relative_to(ROOT / "docs"):
            found.add(page)
            near = [(page.parent / link).resolve() for link in links(page)]
            waiting += [link / "index.md" if link.is_dir() else link for link in near]
    assert {str(page.relative_to(ROOT)) for page in (ROOT / "docs").rglob("*.md") if page not in found} == set()


def test_the_readme_holds_the_two_commands() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert "pip install -e . && liftcheck fuzz --isa riscv64" in text
    assert "pip install -e '.[test]' && pytest -n auto" in text


def test_ci_runs_the_readmes_test_command() -> None:
    text = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert "pip install -q -e '.[test]'" in text
    assert re.search(r"^pytest -n auto\b", text, re.MULTILINE)


def test_files_that_pages_name_exist() -> None:
    """Paths in backticks that begin with one of the project's folders."""
    missing = []
    for page in PAGES:
        if page.parent.name == "findings":
            continue
        for code in CODE.findall(page.read_text(encoding="utf-8")):
            word = shlex.split(code, posix=False)[0] if code.strip() and "'" not in code and '"' not in code else ""
            if (
                re.fullmatch(r"(liftcheck|oracles|generators|ci|docs|tests|corpus)/[\w./-]+", word)
                and not (ROOT / word).exists()
                and "ISA" not in word
            ):
                missing.append(f"{page_name(page)}: {word}")
    assert missing == []
