"""The scripts of `ci/` as modules, for tests: they are not a package, and stand in no search path."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).resolve().parents[2]


def load(name: str) -> ModuleType:
    """The script `ci/NAME.py`, executed once; others import it by its last name, as its neighbours do."""
    path = ROOT / "ci" / f"{name}.py"
    last = path.stem
    known = sys.modules.get(last)
    if known is not None and known.__file__ == str(path):
        return known
    spec = importlib.util.spec_from_file_location(last, path)
    assert spec is not None and spec.loader is not None
    module = sys.modules[last] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
