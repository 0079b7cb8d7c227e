"""How often `liftcheck blame` names the rule that is at fault: on the known faults, and on rules planted as wrong.

Known faults are the files of `corpus/regressions`, each on the compiler that has the fault, held against what its page
in docs/findings names: rules, or the place that is no rule. Planted rules are drawn from those that fire in random
programs; the code of whatever they fire in is patched (`tests/support/planted_rules.py`), the finding is reduced and
blamed as a campaign's would be. Prints the tables of docs/blame.md; exit code 1 if less than nine tenths are named.

    python ci/experiments/blame_rules.py [--planted N] [--seed N] [--isa ISA] [--no-pages]
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from liftcheck.campaign import blame
from liftcheck.campaign.findings.finding import Finding
from liftcheck.campaign.findings.investigate import Investigator
from liftcheck.campaign.findings.reduction import reduce_finding
from liftcheck.campaign.findings.suspect_rules import Suspicion, suspected
from liftcheck.campaign.options import FuzzOptions
from liftcheck.campaign.planner import Planner
from liftcheck.campaign.reduce.engine import Limits
from liftcheck.case import Case, CompileFailure, Target
from liftcheck.errors import LiftcheckError
from liftcheck.isa import ISAS
from liftcheck.oracles.differential import Judge
from liftcheck.oracles.rule_counts import RULES
from liftcheck.oracles.tally import Tally

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))

from support.planted_rules import Planted  # noqa: E402

NEWEST, OLD = "cranelift@0.135.8", "cranelift@0.130.0"
FIRST = 3
"""So many suspects are read by a maintainer."""
ENOUGH = 0.9

PAGES: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("aarch64-apple-extended-stack-argument", NEWEST, ()),
    ("aarch64-fdemote-from-f128", NEWEST, ("aarch64/lower.isle:559",)),
    ("aarch64-fpromote-from-f16", NEWEST, ("aarch64/lower.isle:554",)),
    ("aarch64-narrow-atomic-umin-umax", NEWEST, ()),
    ("aarch64-preserve-all-upper-vector-halves", OLD, ()),
    ("compiler-panics-bit-of-i128", NEWEST, ("riscv64/lower.isle:808", "riscv64/lower.isle:849")),
    ("compiler-panics-bit-test-i128", NEWEST, ("x64/inst.isle:3897", "x64/lower.isle:446")),
    ("compiler-panics-bmask-i128", NEWEST, ("riscv64/inst.isle:3187",)),
    ("compiler-panics-bnot-of-bxor", OLD, ("aarch64/lower.isle:1368",)),
    ("compiler-panics-canonical-nan", NEWEST, ()),
    ("compiler-panics-fma-of-splat", NEWEST, ("lower_fmla",)),
    ("compiler-panics-folded-float", NEWEST, ("all_zero", "opts/bitops.isle:26")),
    ("compiler-panics-folded-vector", NEWEST, ("iconst_u", "opts/arithmetic.isle:50")),
    ("compiler-panics-fpromote-f16", NEWEST, ("x64/lower.isle:2740",)),
    ("compiler-panics-guarded-float", NEWEST, ("riscv64/lower.isle:2689",)),
    ("compiler-panics-iconst-vector", NEWEST, ("src/opts/",)),
    ("compiler-panics-ineg-half-vector", NEWEST, ("aarch64/lower.isle:857",)),
    ("compiler-panics-jump-over-constants", OLD, ()),
    ("mid-end-fmin-fmax-of-zero", NEWEST, ("src/opts/cprop.isle",)),
    ("min-max-i128-refused-at-speed", NEWEST, ("src/opts/selects.isle", "x64/lower.isle:1767")),
    ("preserve-all-inline-probe-loses-a-register", NEWEST, ()),
    ("riscv64-f32-return-value-not-boxed", NEWEST, ()),
    ("riscv64-fcvt-of-splat-f16-refused", NEWEST, ("src/opts/vector.isle",)),
    ("riscv64-fs1-not-saved", NEWEST, ()),
    ("riscv64-preserve-all-without-vectors", NEWEST, ()),
    ("riscv64-replicated-immediate-of-wrong-lane", OLD, ("riscv64/inst.isle:2040",)),
    ("riscv64-swizzle-of-splat", NEWEST, ("riscv64/lower.isle:2990",)),
    ("riscv64-trap-on-narrow-values-icmp", OLD, ("riscv64/lower.isle:2119", "riscv64/lower.isle:2140", "gen_trapif")),
    ("riscv64-trap-on-narrow-values", OLD, ("riscv64/lower.isle:2119", "riscv64/lower.isle:2132", "gen_trapif")),
    ("riscv64-uadd-overflow-i32", OLD, ("riscv64/lower.isle:332",)),
    ("s390x-fcvt-to-uint-sat-i8", NEWEST, ("s390x/inst.isle:3842",)),
    ("s390x-narrow-atomic-cas", OLD, ("atomic_cas_body",)),
    ("s390x-narrow-atomic-rmw", OLD, ("atomic_rmw_body_rxsbg",)),
    ("s390x-store-forwarded-to-swapped-load", OLD, ()),
    ("x86-64-atomic-i128-of-equal-halves", NEWEST, ()),
    ("x86-64-vany-true-of-64-bit-vector", NEWEST, ("x64/lower.isle:4577",)),
)
"""File, compiler, and what its page names: part of 'file:line term'; () where the page names a place that is no rule.
Left out: riscv64-outline-probestack-overwrites-a0, which no run shows."""


class Named(NamedTuple):
    """`place` of the first suspect that has the rule (0: the first; None: none has); `rules` of that suspect."""

    place: int | None
    rules: int


def named(suspects: list[list[str]], wanted: tuple[str, ...]) -> Named:
    for place, rules in enumerate(suspects):
        if any(want in rule for rule in rules for want in wanted):
            return Named(place, len(rules))
    return Named(None, 0)


def pages() -> Iterator[tuple[bool, bool]]:
    """Each known fault as a row of the table, and whether it was named at first, and among the first few."""
    print("| finding | the page names | named as suspect | of rules | stage |\n|---|---|---|---|---|")
    for name, compiler, wanted in PAGES:
        path = ROOT / "corpus" / "regressions" / f"{name}.clif"
        version = compiler.partition("@")[2]
        options = blame.Wanted(compiler=compiler, seconds=20.0, versions=version)
        try:
            found = blame.of_text(path.read_text(), path.name, options, lambda _: None)
        except LiftcheckError as error:
            print(f"| {name} | | {str(error).partition(chr(10))[0]} | | |", flush=True)
            continue
        yield row(name, wanted, found.answer)


def row(name: str, wanted: tuple[str, ...], answer: dict[str, Any]) -> tuple[bool, bool]:
    suspects = [one["rules"] for one in answer["rules"]["suspects"]]
    stage = answer["stage"]["where"] or "not known"
    if not wanted:
        told = not suspects or "no rule" in answer["rules"]["why"]
        words = "none, rightly" if not suspects else "with a warning" if told else "a rule, wrongly"
        print(f"| {name} | no rule | {words} | | {stage} |", flush=True)
        return told, told
    found = named(suspects, wanted)
    place = "no" if found.place is None else str(found.place + 1)
    print(f"| {name} | `{wanted[0]}` | {place} | {found.rules or ''} | {stage} |", flush=True)
    return found.place == 0, found.place is not None and found.place < FIRST


def planted(isa: str, count: int, seed: int) -> Iterator[tuple[Named, Named]]:
    """Of random planted rules: what is named in the program as found, and in the reduced one."""
    planner = Planner(FuzzOptions(isas=(isa,), compiler=NEWEST, seed=seed))
    planner.prepare(None)
    inner, pool, draw = planner.open_compiler(), planner.runners, random.Random(seed)
    used: set[str] = set()
    batch = done = 0
    while done < count:
        batch += 1
        plan = planner.plan(batch)
        for case in draw.sample(plan.generate(None, []), 6):
            target = plan.targets[-1]
            rules = fired(Judge(inner, pool), case, target) - used
            if not rules or done >= count:
                continue
            rule = draw.choice(sorted(rules))
            used.add(rule)
            desk = Investigator(Judge(Planted(inner, rule), pool), pool)
            tally = Tally()
            seen = desk.judge.judge([case], [target], tally)
            for finding in desk.investigate(case, seen[:1], tally) if seen else ():
                done += 1
                yield both(desk, finding, rule)
    pool.close()
    inner.close()


def fired(judge: Judge, case: Case, target: Target) -> set[str]:
    """The written rules that fire for a case, if it is right."""
    tally = Tally()
    code = judge.compile([case], [target], tally, RULES)[0][0]
    if judge.judge([case], [target], tally) or not tally.agreed or code is None or isinstance(code, CompileFailure):
        return set()
    names = [one.extra.get("rules") for one in code]
    found = {str(rule).partition(" ")[0] for one in names if isinstance(one, tuple) for rule in one}
    return {rule for rule in found if rule.startswith("src/")}


def both(desk: Investigator, finding: Finding, rule: str) -> tuple[Named, Named]:
    started = time.monotonic()
    early = suspected(desk, finding, Limits(10.0, 60))
    middle = time.monotonic()
    small = reduce_finding(desk, finding, Limits(20.0, sys.maxsize))[0]
    late = suspected(desk, small, Limits(20.0, 200))
    names = [named(groups(one), (f"{rule} ",)) for one in (early, late)]
    print(
        f"{rule} ({finding.target.isa}): as found {names[0].place} in {middle - started:.1f} s, "
        f"reduced {names[1].place}"
        f" of {names[1].rules} rules, {late.stage.where or late.why}",
        file=sys.stderr,
        flush=True,
    )
    return names[0], names[1]


def groups(found: Suspicion) -> list[list[str]]:
    return [list(one.rules) for one in found.suspects]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--planted", type=int, default=10, help="planted rules an ISA")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--isa", action="append", choices=ISAS, default=[])
    parser.add_argument("--no-pages", action="store_true", help="planted rules only")
    options = parser.parse_args()
    shares = []
    if not options.no_pages:
        told = list(pages())
        first, few = (sum(one[at] for one in told) for at in (0, 1))
        shares.append(few / len(told))
        print(f"\nOf {len(told)} known faults {first} are named first, {few} among the first {FIRST}.\n")
    if options.planted:
        print("| ISA | planted | as found: first, of first three | reduced: first, of first three |\n|---|---|---|---|")
    for isa in (options.isa or ISAS) if options.planted else ():
        made = list(planted(isa, options.planted, options.seed))
        cells = []
        for at in (0, 1):
            places = [one[at].place for one in made]
            cells.append(f"{places.count(0)}, {sum(place is not None and place < FIRST for place in places)}")
        shares.append(sum(one[1].place == 0 for one in made) / len(made))
        print(f"| {isa} | {len(made)} | {cells[0]} | {cells[1]} |", flush=True)
    return int(min(shares, default=1.0) < ENOUGH)


if __name__ == "__main__":
    sys.exit(main())
