"""Filetests over many files: the engine of `liftcheck test`, as far as it is about files and workers.

The one idea: a task is a file, an answer the file's report, and reports are added in the order of the files, so what is
printed does not depend on `--jobs`. What a file's units are worth is `oracles.filetests.engine`'s business.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from liftcheck.campaign.execute.base import Death, Done, Work, Worker, spread
from liftcheck.campaign.execute.local import local
from liftcheck.oracles.filetests.engine import Options, files_below, run_file
from liftcheck.oracles.filetests.report import Report
from liftcheck.oracles.filetests.runs import Engine

FEW: Final = 4
"""Files below which no processes are started."""


def run_filetests(paths: Sequence[str], options: Options) -> Report:
    """Run every file below the paths. InputError if there is none."""
    started = time.monotonic()
    files = files_below(paths)
    if not options.interpreter_only:
        # Built here, once and visibly, before the workers ask for it.
        with Engine(options.compiler, options.runner, options.patience):
            pass
    report = Report()

    def take(event: Done[str, Report] | Death[str]) -> None:
        if isinstance(event, Done):
            report.add(event.answer)
        else:
            report.lost.append(f"{event.task}: no verdicts: its worker died twice: {event.why}")

    jobs = 1 if len(files) < FEW else min(options.jobs, len(files))
    spread(local(FileWork(options), jobs), files, take, cost=lambda file: Path(file).stat().st_size)
    report.seconds = time.monotonic() - started
    return report


@dataclass(frozen=True)
class FileWork(Work[str, Report]):
    """Files as tasks."""

    options: Options

    def open(self) -> Worker[str, Report]:
        return FileWorker(self.options)


class FileWorker:
    """Judges files with one compiler and its runners."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.engine = None if options.interpreter_only else Engine(options.compiler, options.runner, options.patience)

    def do(self, task: str, /) -> Report:
        report = Report()
        run_file(task, self.options, self.engine, report)
        report.by_file[task] = report.by_target
        return report

    def close(self) -> None:
        if self.engine is not None:
            self.engine.close()
