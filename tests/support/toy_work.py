"""Work for executors that costs nothing: words that are answered, and words that kill, hang or fail. It imports little,
for every worker process imports it."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass

from liftcheck.campaign.execute.base import Work, Worker
from liftcheck.errors import Unavailable


@dataclass(frozen=True)
class ToyWork(Work[str, str]):
    """Answers a word with itself and what it had before. Words of one letter are the parts of 'a+b'."""

    start: str = ""

    def open(self) -> Worker[str, str]:
        return ToyWorker(self.start)

    def is_repeated(self, task: str, /) -> bool:
        return task != "once die"

    def parts(self, task: str, /) -> Sequence[str]:
        return task.split("+") if "+" in task else ()


class ToyWorker:
    def __init__(self, start: str) -> None:
        self.had = 0
        if start:
            self.do(start)

    def do(self, task: str, /) -> str:
        self.had += 1
        if task.endswith("die"):
            os._exit(7)
        if task == "hang":
            time.sleep(60)
        if task == "bug":
            raise ValueError(task)
        if task == "missing":
            raise Unavailable("no such thing: install it")
        if task.endswith("slow"):
            time.sleep(0.2)
        return f"{task} {self.had}"

    def close(self) -> None: ...
