"""What pyproject.toml says is in the distribution is what stands in the tree, data files included."""

from __future__ import annotations

import importlib
import tomllib
from collections.abc import Iterator
from pathlib import Path

from liftcheck import __version__

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
SETUPTOOLS = PROJECT["tool"]["setuptools"]
TOP = {"liftcheck": "liftcheck", "generators": "liftcheck.generators", "oracles": "liftcheck.oracles"}
IGNORED = ("__pycache__", "target")


def packages_in_tree() -> dict[str, Path]:
    """Package name -> folder, of every folder with an `__init__.py`."""
    found = {}
    for folder, name in TOP.items():
        for init in sorted((ROOT / folder).rglob("__init__.py")):
            below = init.parent.relative_to(ROOT / folder).parts
            found[".".join([name, *below])] = init.parent
    return found


def data_files() -> Iterator[tuple[str, Path]]:
    """(owning package, path within it) of every file below a package that is not a module."""
    packages = packages_in_tree()
    owners = {folder: name for name, folder in packages.items()}
    for folder in {ROOT / top for top in TOP}:
        for path in folder.rglob("*"):
            hidden = any(part in IGNORED or part.startswith(".") for part in path.relative_to(ROOT).parts)
            if path.is_file() and path.suffix != ".py" and not hidden:
                owner = next(parent for parent in path.parents if parent in owners)
                yield owners[owner], path.relative_to(owner)


def test_the_package_list_equals_the_tree() -> None:
    assert sorted(SETUPTOOLS["packages"]) == sorted(packages_in_tree())


def test_every_folder_of_modules_is_a_package() -> None:
    folders = {path.parent for top in TOP for path in (ROOT / top).rglob("*.py")}
    assert folders == set(packages_in_tree().values())


def test_the_distribution_carries_every_data_file() -> None:
    patterns = SETUPTOOLS["package-data"]
    missing = [f"{package}: {path}" for package, path in data_files()
               if not any(path.match(pattern) for pattern in patterns.get(package, ()))]
    assert missing == []


def test_every_data_pattern_names_something() -> None:
    packages = packages_in_tree()
    for package, patterns in SETUPTOOLS["package-data"].items():
        for pattern in patterns:
            assert list(packages[package].glob(pattern)), f"{package}: {pattern}"


def test_every_package_can_be_imported() -> None:
    for package in SETUPTOOLS["packages"]:
        importlib.import_module(package)


def test_the_version_stands_in_both_places() -> None:
    assert PROJECT["project"]["version"] == __version__


def test_dependencies_are_bounded() -> None:
    lines = PROJECT["project"]["dependencies"] + PROJECT["project"]["optional-dependencies"]["test"]
    assert all("==" in line or "<" in line for line in lines)


def test_the_script_is_the_command() -> None:
    assert PROJECT["project"]["scripts"]["liftcheck"] == "liftcheck.cli:main"


def test_the_licence_is_there() -> None:
    text = (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert "Apache License" in text and "LLVM Exceptions" in text
