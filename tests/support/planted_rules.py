"""A compiler with a wrong rule, without building one: code that a certain rule had a part in returns something else.

The one idea: the real compiler says which rules fired for a function. Where the planted one did, the end of the
function is patched: the first integer result has another lowest bit, the first float or vector result is zero. That is
what a wrong rule is to whoever looks at results, and costs no build. Functions whose code does not end with a return
stay as they are, as some programs hide a fault.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Sequence
from typing import Any

from liftcheck.case import CompileFailure, FunctionCode, Target
from liftcheck.compilers.base import Compiler, Reply

ENDS = {
    "x86-64": ("c3", "4883f0010f57c0"),
    "aarch64": ("c0035fd6", "000040d200e4006f"),
    "riscv64": ("67800000", "13451500530500f2"),
    "s390x": ("07fe", "c02700000001b3750000"),
}
"""A return, and what is put in front of it."""


class Planted:
    """`inner`, with `rule` ('file:line') wrong: by a patch, or with `fails` by a failure in place of the code. `only`
    says for which functions' code the fault shows at all; `change` is another patch."""

    def __init__(
        self,
        inner: Compiler,
        rule: str,
        fails: CompileFailure | None = None,
        only: Callable[[FunctionCode], bool] = lambda _: True,
        change: Callable[[FunctionCode, str], FunctionCode] | None = None,
    ) -> None:
        self.inner = inner
        self.rule = rule
        self.fails = fails
        self.only = only
        self.change = change or patched

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def compile_text(
        self, text: str, targets: Sequence[Target], wants: frozenset[str] = frozenset()
    ) -> list[list[Reply]]:
        columns = self.inner.compile_text(text, targets, wants | {"rules"})
        return [[self._planted(reply, target) for reply in column] for target, column in zip(targets, columns)]

    def _planted(self, reply: Reply, target: Target) -> Reply:
        if not isinstance(reply, FunctionCode) or reply.name.startswith("%trampoline"):
            return reply
        rules = reply.extra.get("rules")
        if not isinstance(rules, tuple) or self.rule not in {str(rule).partition(" ")[0] for rule in rules}:
            return reply
        if not self.only(reply):
            return reply
        if self.rule.startswith("src/opts/"):
            reply = other_middle_end(reply)
        return self.fails or self.change(reply, target.isa)


def other_middle_end(code: FunctionCode) -> FunctionCode:
    """The code with another optimized CLIF, whose first result has all bits turned round."""
    text = re.sub(r"return (v\d+)", r"v99999 = bnot \1\n    return v99999", str(code.extra.get("clif", "")))
    return dataclasses.replace(code, extra={**code.extra, "clif": text})


def patched(code: FunctionCode, isa: str) -> FunctionCode:
    """The code with another result, if it ends with a return."""
    end, more = map(bytes.fromhex, ENDS[isa])
    if not code.code.endswith(end):
        return code
    return dataclasses.replace(code, code=code.code[: -len(end)] + more + end)
