"""What looking ahead is worth: in how many rounds several processes answer the questions of a reduction.

Random programs are reduced for an opcode that they execute. In a round each process answers one candidate; what comes
after a good one was asked in vain. So questions by rounds is the most by which `liftcheck reduce --jobs N` can be
quicker, whatever a question costs.

    python ci/experiments/lookahead.py [--programs N] [--seed N]
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Iterator
from itertools import islice

from liftcheck.campaign.findings.likeness import probe
from liftcheck.campaign.reduce.engine import Limits, Meter, finished, reduce_case
from liftcheck.case import Case, Target
from liftcheck.generators import generate
from liftcheck.generators.choices import RandomChoices
from liftcheck.generators.tables import Context
from liftcheck.oracles.reference import interpret

PROCESSES = (1, 2, 4, 8)
TARGET = Target("x86-64")


class Everything:
    """All that a compiler may have."""

    def __contains__(self, key: object) -> bool:
        return True


class Rounds:
    """Answers of so many processes; counts their rounds and the questions that count."""

    def __init__(self, question: Callable[[Case], str], processes: int) -> None:
        self.question = question
        self.processes = processes
        self.rounds = self.questions = 0

    def __call__(self, candidates: Iterable[Case | None]) -> Iterator[tuple[Case, str] | None]:
        stream = (one for one in candidates if one is not None)
        while drawn := [*islice(stream, self.processes)]:
            self.rounds += 1
            for one in drawn:
                self.questions += 1
                objection = self.question(one)
                yield one, objection
                if not objection:
                    return


def executed(case: Case) -> set[str]:
    """The opcodes that the reference executes for the inputs; none if it does not end."""
    found = interpret(case, False, 20_000)
    return set() if found.trouble else {key.partition(".")[0] for key in found.executed}


def rounds(case: Case, wanted: str, processes: int) -> Rounds:
    """A reduction for an opcode."""
    asked = Rounds(lambda one: "" if wanted in executed(one) else "lack it", processes)
    finished(reduce_case(case, asked, lambda one: probe(one, TARGET), Meter(Limits(600.0))))
    return asked


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--programs", type=int, default=40)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    totals = dict.fromkeys(PROCESSES, 0)
    questions = 0
    for seed in range(options.seed, options.seed + options.programs):
        context = Context(("x86-64",), {"x86-64": Everything()}, inputs=2)
        case = generate.generate(RandomChoices(seed), "default", context)
        made = {inst.op for f in case.module.functions for b in f.blocks for inst in b.insts if inst.results}
        if not (able := sorted(made & executed(case))):
            continue
        for processes in PROCESSES:
            found = rounds(case, able[seed % len(able)], processes)
            totals[processes] += found.rounds
        questions += found.questions
    print("| processes | rounds | questions a round |\n|---|---|---|")
    for processes, count in totals.items():
        print(f"| {processes} | {count} | {questions / count:.1f} |")


if __name__ == "__main__":
    main()
