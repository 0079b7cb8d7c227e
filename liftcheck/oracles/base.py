"""What oracles have in common: what they see (`Compiled`), what they suspect (`Mismatch`), and what the rest of
liftcheck does with a class of findings (`FindingClass`).

The one idea: whatever is done differently for one class of findings stands in its row: how its findings fold, how a
smaller program is asked whether it shows the same, what a page says. Nothing else asks for a class by its name. The
rows here are of what a run or the compiler itself shows; an `Oracle`, which judges code without running it, brings its
own (`classes.py` has them all).
Sources of the sentences on filetests: upstream's `cranelift/filetests`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple, Protocol

from liftcheck.case import Case, CompileFailure, FailureKind, Outcome, Target
from liftcheck.compilers.base import Compiler, Program
from liftcheck.oracles import compare
from liftcheck.oracles.tally import Tally
from liftcheck.runners.base import Runner

Asked = Literal["judged", "judged everywhere", "compiled twice"]
Code = Sequence[Sequence[Program | CompileFailure | None]]
"""What a compiler made of every case (inner) for every target (outer); None where a case is not for that ISA."""
LONG: Final = 40
"""The price from which on a class takes so long that its findings come last."""


@dataclass(frozen=True, slots=True)
class FindingClass:
    """One way of being wrong, and all that is done differently for it.

    name            as reports, folders and JSON have it
    failure         the kind of `CompileFailure` that is of this class by itself
    says            what a page says of the compiler, with {target}; of a failure {message} ({first_line} and the rest,
                    {more}), {place}, and {shown}: whether a run shows it, too
    kin             classes of one kin may take each other's place while a program gets smaller
    folds_by_program  its failures fold by the opcodes of the reduced program, too: the reason alone says too little
    folds_as        the name under which equal findings of several classes are one; '': its own
    steady          False: which class of its kin is seen depends on what lies around; a fresh runner decides
    ours            the reference is accused, by all ISAs: the fault is most likely liftcheck's
    may_be_open     what differs may be what CLIF leaves open: then it is excused
    counts_as_pair  a failure stands for a pair; False: its code runs, and the run counts
    needs_witness   a target is looked for that compiles what fails; False: there is code at all levels
    asked           how a smaller program is asked whether it shows the same
    price           questions that one answered yes counts for: what goes wrong so takes its time
    dies            it shows in a process that dies or never answers, so every run of it takes long
    seeks_run       inputs are tried until a run shows it, too
    needs_run       what is refuted is a finding only of what a run of its counterexample shows (`Mismatch.trials`)
    names_registers its page says which callee-saved registers come back changed
    endings         how `liftcheck test` begins to say what it sees
    unsaid          what a filetest that shows it does not say to upstream
    no_filetest     why no filetest shows it, except for one of its runs
    """

    name: str
    says: str = "compiles this program for `{target}` to code that does something else than CLIF's semantics say."
    failure: FailureKind | None = None
    kin: str = ""
    folds_by_program: bool = False
    folds_as: str = ""
    steady: bool = True
    ours: bool = False
    may_be_open: bool = False
    counts_as_pair: bool = True
    needs_witness: bool = True
    asked: Asked = "judged"
    price: int = 0
    dies: bool = False
    seeks_run: bool = False
    needs_run: bool = False
    names_registers: bool = False
    endings: tuple[str, ...] = ()
    unsaid: str = ""
    no_filetest: str = ""

    @property
    def fold_name(self) -> str:
        """What its findings are called where they are compared."""
        return self.folds_as or self.name

    @property
    def is_long(self) -> bool:
        """Whether its every question takes seconds: reduced when no more programs are wanted."""
        return self.price >= LONG

    def is_kin(self, other: FindingClass) -> bool:
        """Whether the one may take the other's place."""
        return self.name == other.name or (bool(self.kin) and self.kin == other.kin)


_FAILS: Final = "fails on this program for `{target}`: {first_line}{place}{more}"
_VALUE: Final = "wrong value"
_WILD: Final = "code that has gone wild"
CLASSES: Final = (
    FindingClass(compare.WRONG_RESULT, kin=_VALUE, folds_as=_VALUE, may_be_open=True),
    FindingClass(compare.WRONG_MEMORY, kin=_VALUE, folds_as=_VALUE, may_be_open=True),
    FindingClass(compare.WRONG_TRAP, may_be_open=True),
    FindingClass(
        compare.ABI_DAMAGE,
        names_registers=True,
        endings=("abi", "changed"),
        unsaid="upstream's harness does not look at callee-saved registers: the file passes there, and fails here",
    ),
    FindingClass(compare.CRASH, kin=_WILD, steady=False, price=4, dies=True, endings=("crashed",)),
    FindingClass(compare.ENDLESS, kin=_WILD, steady=False, price=40, dies=True, endings=("endless",)),
    FindingClass(
        compare.WRONG_MEANING,
        says="agrees with itself on every ISA and level, against liftcheck's reference interpreter: most likely a bug "
        "of liftcheck, since no other judge that could be asked sides with the reference",
        kin=_VALUE,
        ours=True,
        may_be_open=True,
        asked="judged everywhere",
    ),
    FindingClass(compare.COMPILER_PANIC, _FAILS, "panic"),
    FindingClass(compare.COMPILER_TIMEOUT, _FAILS, "timeout", price=200, dies=True),
    FindingClass(compare.COMPILER_MEMORY, _FAILS, "memory", price=40, dies=True),
    FindingClass(compare.COMPILER_ABORT, _FAILS, "abort", dies=True),
    FindingClass(compare.COMPILER_VERIFIER, _FAILS, "verifier"),
    FindingClass(
        compare.NONDETERMINISTIC,
        asked="compiled twice",
        no_filetest="a filetest compiles once: what comes out differently the second time is not seen",
    ),
    FindingClass(compare.WRONG_REFUSAL, _FAILS, "refusal"),
)
"""What shows in a run or is the compiler's own failure."""
ILLEGAL: Final = FindingClass(
    compare.ILLEGAL_CODE,
    "compiles this program to code that `{target}` cannot execute: {message}.",
    "illegal",
    counts_as_pair=False,
    needs_witness=False,
)
"""The class of the oracle `extensions`; part of it is seen in every batch (`runners.beyond`)."""
CLASS_OF_FAILURE: Final = {row.failure: row.name for row in (*CLASSES, ILLEGAL) if row.failure is not None}
"""`CompileFailure.kind` -> class, for the kinds that are findings by themselves."""


class Trial(NamedTuple):
    """A case that may show in a run what was refuted without one. `lacks`: what keeps it from being just the state of
    the refutation; '': it is, so a run that agrees contradicts it."""

    case: Case
    lacks: str = ""

    @property
    def is_exact(self) -> bool:
        """Whether it is the state of the refutation."""
        return not self.lacks


class Mismatch(NamedTuple):
    """Something that disagrees: case number `case` of the batch on `target`, at input `run`. `trials`: what may show it
    in a run, where that is asked for (`FindingClass.needs_run`)."""

    case: int
    target: Target
    verdict: compare.Verdict
    run: int = 0
    expected: Outcome | None = None
    actual: Outcome | None = None
    failure: CompileFailure | None = None
    runner: str = ""
    trials: tuple[Trial, ...] = ()


class Runners(Protocol):
    """Hands out runners. `pick` gives the runner for a target's program, or a reason why there is none."""

    def pick(self, target: Target, program: Program) -> Runner | str: ...


class Again(Protocol):
    """Compiles a batch once more: see `Compiled`."""

    def __call__(self, texts: Sequence[str], backwards: bool = False) -> Code: ...


class Compiled(NamedTuple):
    """A batch as an oracle sees it: the cases with their texts, the targets, the compiler and what it made of them.

    tally   counts; `validated` is for the verdicts of oracles, those that find nothing wrong too
    again   compiles other texts of the same cases, or the same ones once more, if wanted from the last to the first
    """

    compiler: Compiler
    cases: Sequence[Case]
    texts: Sequence[str]
    targets: Sequence[Target]
    code: Code
    tally: Tally
    again: Again

    def programs(self) -> Iterator[tuple[int, int, Program]]:
        """(number of the target, number of the case, code) of all that was compiled."""
        for column, made in enumerate(self.code):
            for number, code in enumerate(made):
                if code is not None and not isinstance(code, CompileFailure):
                    yield column, number, code


class Oracle(Protocol):
    """Judges what a compiler made of a batch without running it. What it refutes is a `Mismatch` with a `failure` of
    kind 'refuted' (`refuted`); that is counted, folded, reduced, stored and replayed like a compiler's own failure,
    without a vote, and the code runs all the same.

    name      as in `--validate NAME`
    classes   of its findings
    wants     what the compiler has to tell in addition to the code (`compilers.base.WANTS`)
    """

    name: str
    classes: tuple[FindingClass, ...]
    wants: frozenset[str] = frozenset()

    def open(self, spec: str) -> Compiler | None:
        """The compiler called `spec` in a build that this oracle needs; None: any will do."""
        return None

    def begin(self, compiler: Compiler) -> None:
        """A batch is about to be compiled."""
        return

    def judge(self, compiled: Compiled) -> Iterator[Mismatch]:
        """What is wrong with the code of a batch."""
        ...


def refuted(compiled: Compiled, column: int, number: int, klass: FindingClass, failure: CompileFailure) -> Mismatch:
    """Code of case `number` for target `column` is wrong."""
    verdict = compare.Verdict(compare.DISAGREE, klass.name, failure.reason)
    return Mismatch(number, compiled.targets[column], verdict, failure=failure)
