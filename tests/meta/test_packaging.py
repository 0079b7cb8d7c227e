"""The distribution is what stands in the tree: packages, data files, types; nothing twice."""

from __future__ import annotations

import importlib
import importlib.metadata
import tomllib
from collections.abc import Iterator
from pathlib import Path

from support.scripts import ROOT

from liftcheck import __version__

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
SETUPTOOLS = PROJECT["tool"]["setuptools"]
FOUND = sorted(".".join(init.parent.relative_to(ROOT).parts) for init in (ROOT / "liftcheck").rglob("__init__.py"))
"""What setuptools finds: folders with an `__init__.py`."""
IGNORED = ("__pycache__", "target")


def folder_of(package: str) -> Path:
    return ROOT.joinpath(*package.split("."))


def data_files() -> Iterator[tuple[str, Path]]:
    """(owning package, path within it) of every file below a package that is not a module."""
    owners = {folder_of(name): name for name in FOUND}
    for path in (ROOT / "liftcheck").rglob("*"):
        hidden = any(part in IGNORED or part.startswith(".") for part in path.relative_to(ROOT).parts)
        if path.is_file() and path.suffix != ".py" and not hidden:
            owner = next(parent for parent in path.parents if parent in owners)
            yield owners[owner], path.relative_to(owner)


def test_every_folder_of_modules_is_a_package() -> None:
    folders = {path.parent for path in (ROOT / "liftcheck").rglob("*.py")}
    assert folders == {folder_of(name) for name in FOUND}


def test_what_is_linked_at_the_top_is_in_the_distribution_once() -> None:
    for name in ("generators", "oracles"):
        assert (ROOT / name).is_symlink() and (ROOT / name).resolve() == ROOT / "liftcheck" / name
    assert SETUPTOOLS["packages"]["find"] == {"include": ["liftcheck*"]}


def test_the_distribution_carries_every_data_file() -> None:
    patterns = SETUPTOOLS["package-data"]
    missing = [
        f"{package}: {path}"
        for package, path in data_files()
        if not any(path.match(pattern) for pattern in patterns.get(package, ()))
    ]
    assert missing == []


def test_every_data_pattern_names_something() -> None:
    for package, patterns in SETUPTOOLS["package-data"].items():
        for pattern in patterns:
            assert list(folder_of(package).glob(pattern)), f"{package}: {pattern}"


def test_the_distribution_says_that_it_is_typed() -> None:
    assert "py.typed" in SETUPTOOLS["package-data"]["liftcheck"]


def test_every_package_can_be_imported() -> None:
    for package in FOUND:
        importlib.import_module(package)


def test_the_version_has_one_place() -> None:
    assert PROJECT["project"]["dynamic"] == ["version"] and "version" not in PROJECT["project"]
    assert SETUPTOOLS["dynamic"]["version"] == {"attr": "liftcheck.__version__"}
    assert importlib.metadata.version("liftcheck") == __version__


def test_dependencies_are_bounded() -> None:
    lines = PROJECT["project"]["dependencies"] + PROJECT["project"]["optional-dependencies"]["test"]
    assert all("==" in line or "<" in line for line in lines)


def test_the_script_is_the_command() -> None:
    assert PROJECT["project"]["scripts"]["liftcheck"] == "liftcheck.cli:main"


def test_the_licence_is_there() -> None:
    text = (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert "Apache License" in text and "LLVM Exceptions" in text
