"""The action, the workflows and the template for GitLab are valid by the published schemas, and call liftcheck by
options that exist."""

from __future__ import annotations

import importlib
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from liftcheck import cli
from liftcheck.errors import UsageError

ROOT = Path(__file__).resolve().parents[2]
FILES = [
    (ROOT / "action.yml", "vendor.github-actions"),
    (ROOT / ".gitlab/liftcheck.yml", "vendor.gitlab-ci"),
    *((path, "vendor.github-workflows") for path in sorted((ROOT / ".github/workflows").glob("*.yml"))),
]
VALUES = {"$FUZZ_TIME": "5m", "$SEED": "1", "$LIFTCHECK_TIME": "5m", "$CI_PIPELINE_IID": "1"}
MORE = ("${more[@]}", "$LIFTCHECK_ARGUMENTS")
COMMAND = re.compile(r"^\s*(?:- )?(?:run: )?(?:\w+=\S+; )?(liftcheck (?:[^\n\\]|\\\n)*)", re.MULTILINE)


def verdict(path: Path, schema: str) -> subprocess.CompletedProcess[str]:
    """What check-jsonschema says of a file by a schema that it carries (no network)."""
    return subprocess.run(
        [sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema, str(path)],
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(("path", "schema"), FILES, ids=[path.name for path, _ in FILES])
def test_the_server_can_read_it(path: Path, schema: str) -> None:
    result = verdict(path, schema)
    assert result.returncode == 0, result.stdout + result.stderr


def test_a_wrong_key_is_noticed(tmp_path: Path) -> None:
    text = (ROOT / ".github/workflows/ci.yml").read_text(encoding="utf-8")
    broken = tmp_path / "ci.yml"
    broken.write_text(text.replace("runs-on:", "run-on:", 1), encoding="utf-8")
    assert verdict(broken, "vendor.github-workflows").returncode == 1


def commands_of(text: str) -> list[list[str]]:
    """The words of every liftcheck command, as a shell would read them."""
    folded = re.sub(r">-\n\s+(liftcheck [^\n]*(?:\n {6,}[^\n]*)*)", lambda found: " ".join(found[1].split()), text)
    return [shlex.split(found.replace("\\\n", " ")) for found in COMMAND.findall(folded)]


@pytest.mark.parametrize("path", [ROOT / "action.yml", ROOT / ".gitlab/liftcheck.yml"], ids=lambda path: path.name)
def test_it_calls_commands_that_exist(path: Path) -> None:
    commands = commands_of(path.read_text(encoding="utf-8"))
    assert {words[1] for words in commands} == {"doctor", "compiler", "test", "fuzz"}
    for _, name, *words in commands:
        kept = words[: words.index(">")] if ">" in words else words
        command = cli.COMMANDS[name]
        parser = cli.parser_of(command, importlib.import_module(f"liftcheck.commands.{command.module}"))
        parser.parse_args([VALUES.get(word, word) for word in kept if word not in MORE])


def test_a_wrong_option_is_noticed() -> None:
    with pytest.raises(UsageError):
        command = cli.COMMANDS["fuzz"]
        parser = cli.parser_of(command, importlib.import_module("liftcheck.commands.fuzz"))
        parser.parse_args(commands_of("  run: liftcheck fuzz --junti x.xml\n")[0][2:])
