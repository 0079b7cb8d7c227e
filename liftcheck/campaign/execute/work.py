"""A fuzz campaign as `Work`: which worker does its tasks, which of them are repeated, what a batch's parts are.

It imports the worker only where one is opened.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from liftcheck.campaign.execute.base import Work, Worker
from liftcheck.campaign.execute.tasks import Answer, Task
from liftcheck.campaign.options import FuzzOptions, batch_cases, made_by
from liftcheck.oracles.hooks import Hooks


@dataclass(frozen=True)
class FuzzWork(Work[Task, Answer]):
    """The work of one campaign. `hooks` makes the faults that a test plants, in the worker's process."""

    options: FuzzOptions
    hooks: Callable[[], Hooks] | None = None

    def open(self) -> Worker[Task, Answer]:
        from liftcheck.campaign.execute.worker import FuzzWorker

        return FuzzWorker(self.options, self.hooks() if self.hooks else Hooks())

    def is_repeated(self, task: Task, /) -> bool:
        """Programs are; reductions begin anew elsewhere, by `slices`."""
        return task.kind in ("batch", "case")

    def moved(self, task: Task, seconds: float, /) -> Task:
        return task._replace(until=task.until + seconds)

    def maker(self) -> str:
        return made_by()

    def parts(self, task: Task, /) -> Sequence[Task]:
        if task.kind == "case" and not task.apart:
            return [task._replace(apart=True)]
        if task.kind != "batch":
            return ()
        return [task._replace(kind="case", case=case) for case in batch_cases(self.options, task.number)]
