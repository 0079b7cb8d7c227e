"""The loops of a function: of each block the innermost one around it.

The one idea: from the heads that come last in reverse postorder, inner loops before outer ones, walk back from the
edges that close a loop; a block that has a loop already stands for its outermost one, so each is walked once a level.
A circle with several entries is no loop here: nothing is moved out of it.
"""

from __future__ import annotations

from typing import Final

from liftcheck.clif.cfg import Cfg


class Loops:
    """`inner[block]` is the head of the innermost loop around a block, `around[head]` that of the next one outside."""

    def __init__(self, cfg: Cfg) -> None:
        self.inner: Final[dict[int, int]] = {}
        self.around: Final[dict[int, int]] = {}
        for head in reversed(cfg.order):
            backs = [p for p in cfg.preds[head] if p in cfg.place and cfg.dominates(head, p)]
            if backs:
                self._walk(cfg, head, backs)

    def _walk(self, cfg: Cfg, head: int, waiting: list[int]) -> None:
        outermost: dict[int, int] = {}
        while waiting:
            block = waiting.pop()
            known = self.inner.get(block)
            if known is None:
                self.inner[block] = head
                if block != head:
                    waiting += [p for p in cfg.preds[block] if p in cfg.place]
                continue
            top = known
            while top in self.around or top in outermost:
                top = self.around.get(top, head)
            if top != head and top not in self.around:
                self.around[top] = head
                waiting += [p for p in cfg.preds[top] if p in cfg.place and self.inner.get(p) != top]
        self.inner.setdefault(head, head)
