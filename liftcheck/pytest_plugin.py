"""A pytest plugin: `.clif` files are tests, each judged as `liftcheck test` does it.

The one idea: off unless asked for, by `--liftcheck` or `liftcheck = true` in pytest's own settings, so that installing
liftcheck changes no one's suite; and nothing of liftcheck is imported before. A file is one test: it fails if a unit of
it fails or is a finding, and is skipped if none was judged. With `--liftcheck-reduce` a failure shows the file made
small. docs/pytest.md has an example.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

if TYPE_CHECKING:
    from liftcheck.oracles.filetests.engine import Options
    from liftcheck.oracles.filetests.report import Report
    from liftcheck.oracles.filetests.runs import Engine

SUFFIX: Final = ".clif"
_ENGINE: Final = pytest.StashKey[Any]()
_SHOWN: Final = 10


def pytest_addoption(parser: pytest.Parser) -> None:
    """The options, and what stands for them in pytest's settings."""
    group = parser.getgroup("liftcheck", "Cranelift's CLIF files as tests")
    group.addoption("--liftcheck", action="store_true", help="collect .clif files and judge them with liftcheck")
    group.addoption("--liftcheck-compiler", metavar="NAME[@VERSION]", help="compiler under test (default: cranelift)")
    group.addoption("--liftcheck-isa", metavar="ISAS", help="only these ISAs, separated by commas")
    group.addoption("--liftcheck-interpreter-only", action="store_true", help="compile nothing")
    group.addoption(
        "--liftcheck-reduce", metavar="SECONDS", type=float, help="make failing files smaller for this long"
    )
    parser.addini("liftcheck", "collect .clif files and judge them with liftcheck", type="bool", default=False)
    parser.addini("liftcheck_compiler", "compiler under test", default="cranelift")
    parser.addini("liftcheck_isa", "only these ISAs, separated by commas", default="")


def pytest_configure(config: pytest.Config) -> None:
    """Wrong options are told before anything is collected."""
    if _is_on(config):
        from liftcheck.errors import LiftcheckError

        try:
            _isas(config)
        except (LiftcheckError, ValueError) as error:
            raise pytest.UsageError(f"--liftcheck-isa: {error}") from None


def pytest_unconfigure(config: pytest.Config) -> None:
    """Ends the compiler and the runners."""
    engine = config.stash.get(_ENGINE, None)
    if engine is not None:
        engine.close()


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """A `.clif` file, if that is wanted."""
    if file_path.suffix != SUFFIX or not _is_on(parent.config):
        return None
    return ClifFile.from_parent(parent, path=file_path)


def _is_on(config: pytest.Config) -> bool:
    return bool(config.getoption("--liftcheck") or config.getini("liftcheck"))


def _isas(config: pytest.Config) -> tuple[str, ...]:
    import argparse

    from liftcheck.commands.options import isa_list

    text = config.getoption("--liftcheck-isa") or str(config.getini("liftcheck_isa"))
    try:
        return tuple(dict.fromkeys(isa_list(text))) if text else ()
    except argparse.ArgumentTypeError as error:
        raise ValueError(str(error)) from None


def _options(config: pytest.Config) -> Options:
    from liftcheck.oracles.filetests.engine import Options

    return Options(
        _isas(config),
        config.getoption("--liftcheck-compiler") or str(config.getini("liftcheck_compiler")),
        interpreter_only=config.getoption("--liftcheck-interpreter-only"),
    )


def _engine(config: pytest.Config, options: Options) -> Engine | None:
    """One compiler with its runners for the whole session."""
    if options.interpreter_only:
        return None
    if _ENGINE not in config.stash:
        from liftcheck.oracles.filetests.runs import Engine

        config.stash[_ENGINE] = Engine(options.compiler, options.runner, options.patience)
    engine: Engine = config.stash[_ENGINE]
    return engine


class ClifFile(pytest.File):
    """One file."""

    def collect(self) -> Iterator[pytest.Item]:
        """Its test."""
        yield ClifItem.from_parent(self, name="liftcheck")


class ClifItem(pytest.Item):
    """All units of a file."""

    def runtest(self) -> None:
        """Judges the file."""
        from liftcheck.errors import LiftcheckError
        from liftcheck.oracles.filetests.engine import run_file
        from liftcheck.oracles.filetests.report import Report

        report, options = Report(), _options(self.config)
        try:
            run_file(str(self.path), options, _engine(self.config, options), report)
        except LiftcheckError as error:
            raise ClifFailed(str(error)) from None
        if report.failures or report.findings or report.broken or report.lost:
            raise ClifFailed("\n".join([*_wrong(report), *self._reduced(report, options)]))
        if not report.passed:
            pytest.skip(_skipped(report))

    def _reduced(self, report: Report, options: Options) -> Iterator[str]:
        """The file made small, if that is wanted."""
        seconds = self.config.getoption("--liftcheck-reduce")
        if seconds and not options.interpreter_only and (report.failures or report.findings):
            yield from reduced(self.path, options, seconds)

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """What is wrong with the file; of liftcheck's own errors the traceback."""
        if isinstance(excinfo.value, ClifFailed):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, int, str]:
        """Where it stands, and its name."""
        return self.path, 0, f"liftcheck: {self.path.name}"


class ClifFailed(Exception):
    """A file that fails; the message says all."""


def _wrong(report: Report) -> Iterator[str]:
    units = [*report.failures, *(unit for _, unit in report.findings)]
    yield from map(str, units[:_SHOWN])
    if len(units) > _SHOWN:
        yield f"… and {len(units) - _SHOWN} more units"
    yield from (f"finding: {cause}" for cause in dict.fromkeys(cause for cause, _ in report.findings))
    yield from map(str, report.broken)
    yield from report.lost


def _skipped(report: Report) -> str:
    reasons = [*report.skips, *(reason for reason, _ in report.undecided)]
    return "; ".join(dict.fromkeys(reasons)) or "nothing to judge"


def reduced(path: Path, options: Options, seconds: float) -> Iterator[str]:
    """The file made small for what disagrees there, or why it was not."""
    import sys

    from liftcheck.campaign.reduce.engine import Limits
    from liftcheck.campaign.shrink import Wanted, Watch, by_disagreement
    from liftcheck.compilers.choice import Wish
    from liftcheck.errors import LiftcheckError

    limits = Limits(seconds, questions=sys.maxsize)
    wanted = Wanted(options.compiler, Wish(options.isas), (options.runner,), limits)
    try:
        small = by_disagreement(path.read_text(encoding="utf-8"), str(path), wanted, Watch(lambda lines, asked: None))
    except LiftcheckError as error:
        yield f"not reduced: {error}"
        return
    yield f"\nreduced ({small.before} lines before, {small.after} now): {small.klass}\n\n{small.text}"
