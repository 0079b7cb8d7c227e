"""The oracle `text`: what the compiler prints of a function, read again, compiles to the same code.

The one idea: a compiler's printer and reader are inverse, so a function's own text is as good as the function. The text
is that of the CLIF which code was made from; compiled without optimization it gives the same bytes, if the middle end
has nothing more to do on it (it says so itself: then the text it shows is the one that it was given).
Cranelift's printer leaves out the memory flags of `atomic_rmw` and `atomic_cas`; they are put back where all of a
function have the same. What else its text lacks (`oracles.filetests.texts` asks the same of our own printer) shows.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Final

from liftcheck.case import Case, CompileFailure, FunctionCode, Target
from liftcheck.clif.ir import Function
from liftcheck.clif.text.printer import flags_text
from liftcheck.compilers.base import Program, Reply
from liftcheck.oracles.base import Compiled, FindingClass, Mismatch, Oracle, refuted
from liftcheck.oracles.refusals import at_level
from liftcheck.oracles.sameness import difference

OTHER_TEXT: Final = FindingClass(
    "text means other code",
    "prints this program for `{target}` as CLIF that it does not compile to the same code: {message}.",
    counts_as_pair=False,
    needs_witness=False,
    no_filetest="no filetest reads what it has printed",
)
CLIF: Final = "clif"
_UNFLAGGED: Final = re.compile(r"(= atomic_(?:rmw|cas)(?:\.\w+)?) ")
_ATOMIC: Final = ("atomic_rmw", "atomic_cas")
SILENT: Final = "this compiler does not show its CLIF"


def shown(function: FunctionCode, model: Function) -> str:
    """The compiler's text of a function, whole again; '' if it shows none or its flags cannot be told."""
    text = function.extra.get(CLIF)
    flags = {inst.flags for block in model.blocks for inst in block.insts if inst.op in _ATOMIC}
    if not isinstance(text, str) or len(flags) > 1:
        return ""
    if not flags:
        return text
    return _UNFLAGGED.sub(rf"\1{flags_text(flags.pop(), False)} ", text)


class Texts(Oracle):
    """See the module."""

    name = "text"
    classes = (OTHER_TEXT,)
    wants = frozenset({CLIF})

    def judge(self, compiled: Compiled) -> Iterator[Mismatch]:
        for column, target in enumerate(compiled.targets):
            programs = [(number, code) for at, number, code in compiled.programs() if at == column]
            yield from _judge_target(compiled, column, target, programs)


def _judge_target(
    compiled: Compiled, column: int, target: Target, programs: Sequence[tuple[int, Program]]
) -> Iterator[Mismatch]:
    """All programs of one target in one request."""
    asked = [(number, code, _texts(compiled.cases[number], code)) for number, code in programs]
    whole = "\n".join(text for _, _, texts in asked for text in texts)
    replies = compiled.compiler.compile_text(whole, [at_level(target, "none")], Texts.wants)[0] if whole else []
    left = iter(replies)
    for number, code, texts in asked:
        verdict, what = _verdict(code, texts, list(islice(left, len(texts))))
        compiled.tally.validated[target.isa, f"text: {verdict}"] += len(code)
        if what:
            failure = CompileFailure("refuted", "other code", what)
            yield refuted(compiled, column, number, OTHER_TEXT, failure)


def _texts(case: Case, code: Program) -> list[str]:
    """The texts of a program's functions; [] if one has none."""
    texts = [shown(one, model) for one, model in zip(code, case.module.functions, strict=True)]
    return texts if all(texts) else []


def _verdict(code: Program, texts: Sequence[str], replies: Sequence[Reply]) -> tuple[str, str]:
    """What is counted, and what is wrong if anything is."""
    if not texts:
        told = all(CLIF in one.extra for one in code)
        return "undecided: " + ("its text leaves out different memory flags" if told else SILENT), ""
    for one, reply in zip(code, replies, strict=True):
        if isinstance(reply, CompileFailure):
            return "other code", difference([one], reply)
        if _plain(str(reply.extra.get(CLIF))) != _plain(str(one.extra[CLIF])):
            return "undecided: the middle end goes on with its own text", ""
        if what := difference([one], [reply]):
            return "other code", what
    return "the same code from its own text", ""


def _plain(text: str) -> str:
    """Without comments, which tell constants' values."""
    return re.sub(r"\s*;.*", "", text)


ORACLE: Final = Texts()
