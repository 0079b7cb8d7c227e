"""The commands about findings, and those that make programs, as `growth.py` measures them.

The one idea: a file becomes a finding of its last function with its first run line, on an ISA where nothing is wrong.
So `replay` says that it no longer disagrees, and `reduce` that the program itself, asked again, is no good. The search
for a smaller program is measured by a fixed number of its candidates: there are as many as the program has places, and
a reduction looks at so many of them as its limit lets it.

What is not here: `matrix`, `compiler` and `doctor` have no input that could grow.
"""

from __future__ import annotations

import shutil
from itertools import islice
from pathlib import Path
from typing import Final

from growth_files import SHAPES

from liftcheck import cli
from liftcheck.campaign.findings import store
from liftcheck.campaign.findings.finding import Finding
from liftcheck.campaign.findings.likeness import probe
from liftcheck.campaign.reduce.engine import cost, tidied
from liftcheck.campaign.reduce.passes import PASSES, SEVERAL
from liftcheck.case import Case, Outcome, Target
from liftcheck.clif.text.parser import parse_filetest
from liftcheck.clif.verify import verify
from liftcheck.oracles.compare import WRONG_RESULT

SITES, CANDIDATES = 2, 2
"""So many sites of each pass, and so many candidates of each."""
SIZE_OF_PROGRAM: Final = 25
"""So many instructions count as a program: the sizes of the other shapes, so much smaller."""
UNITS_OF_FILE: Final = 10
"""So many functions with a run line are in each file of a folder."""


def programs(size: int) -> str:
    """Stands for a file: how many programs."""
    return str(max(1, size // SIZE_OF_PROGRAM))


def files(size: int) -> str:
    """Stands for a folder: how many files."""
    return str(max(1, size // UNITS_OF_FILE))


PROGRAMS: Final = {programs.__name__: programs}
FOLDERS: Final = {files.__name__: files}


def generate(path: str, isa: str) -> int:
    """`liftcheck generate --count`."""
    return cli.main(["generate", "--seed", "1", "--isa", isa, "--count", Path(path).read_text()])


def _campaign(path: str, isa: str, *more: str) -> int:
    words = ("fuzz", "--seed", "1", "--isa", isa, "--jobs", "1", "--cases", Path(path).read_text())
    return cli.main([*words, *more, "--out", f"{path}.findings"])


def fuzz(path: str, isa: str) -> int:
    """`liftcheck fuzz --cases`; its workers are children."""
    return _campaign(path, isa)


def fuzz_validate(path: str, isa: str) -> int:
    """The same, with the proof of each allocation."""
    return _campaign(path, isa, "--validate", "regalloc")


def regalloc(path: str, isa: str) -> int:
    """`liftcheck regalloc --generate`."""
    return cli.main(["regalloc", "--seed", "1", "--isa", isa, "--jobs", "1", "--generate", Path(path).read_text()])


def test_folder(path: str, isa: str) -> int:
    """`liftcheck test` of a folder."""
    return cli.main(["test", _filled(path), "--isa", isa, "--jobs", "1"])


def regalloc_folder(path: str, isa: str) -> int:
    """`liftcheck regalloc` of a folder."""
    return cli.main(["regalloc", _filled(path), "--isa", isa, "--jobs", "1", "--algorithm", "backtracking"])


def _filled(path: str) -> str:
    """A folder of so many files."""
    folder = Path(f"{path}.folder")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    text = SHAPES["functions"](UNITS_OF_FILE)
    for number in range(int(Path(path).read_text())):
        (folder / f"{number}.clif").write_text(text)
    return str(folder)


def replay(path: str, isa: str) -> int:
    """`liftcheck replay` of a finding."""
    return cli.main(["replay", str(_folder(path, isa))])


def reduce(path: str, isa: str) -> int:
    """`liftcheck reduce` of a finding that no longer disagrees."""
    return cli.main(["reduce", str(_folder(path, isa))])


def search(path: str, isa: str) -> int:
    """What a reduction does with the first candidates of each pass, except for asking the compiler."""
    case, target = _case(path), Target(isa)
    for one in (*PASSES, SEVERAL):
        for site in range(SITES):
            for candidate in islice(one(case, site, lambda case: probe(case, target)) or (), CANDIDATES):
                swept = tidied(candidate)
                if cost(swept) < cost(case):
                    verify(swept.module)
    return 0


def _folder(path: str, isa: str) -> Path:
    target, wrong = Target(isa), Outcome("returned", (0,))
    finding = Finding(WRONG_RESULT, _case(path), target, (target,), expected=wrong, actual=wrong, compiler="cranelift")
    folder = Path(f"{path}.finding")
    store.write_folder(folder, store.files(finding, folder.name))
    return folder


def _case(path: str) -> Case:
    test = parse_filetest(Path(path).read_text(), path)
    return Case(test.module(), len(test.functions) - 1, (tuple(test.functions[-1].run_lines[0].args),))
