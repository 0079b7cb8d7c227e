"""Plants many faults in a Cranelift's rules, in one build: each sleeps until LIFTCHECK_FAULT names its number.

The one idea: a rule R with a fault becomes two, R itself, which matches unless its fault is awake, and above it a copy
with the fault, which matches only if it is. So a single build holds all faults, and every process of the compiler has
the one that its environment names, or none. To make room between priorities all of them are multiplied. Faults are
single edits of a rule's guards or right-hand side, drawn by a seed from all that the tables below make of the five
units (the rules of four ISAs and of the mid-end); those that ISLE's own checks refuse are dropped.

    python ci/experiments/rule_faults.py make FOLDER [--each N] [--seed N]     # a crate: --compiler cranelift=FOLDER
    python ci/experiments/rule_faults.py prove FOLDER [--unit UNIT] [--fault N]   # what `verify --rules` says of each
    python ci/experiments/rule_faults.py fuzz FOLDER --fault N … [--time 60]      # beside it a campaign each
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import shutil
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

from liftcheck.campaign.prove.work import PROGRAMS, RULE, TURNS, ProveOptions, Task, Workshop
from liftcheck.campaign.report.rule_proofs import REFUTED, verdicts
from liftcheck.generators.instances import of_rule
from liftcheck.isa import ISAS
from liftcheck.isle import sources as isle
from liftcheck.isle.sources import MID_END

VERSION = "0.135.8"
MID_END_ON = "aarch64"
"""The ISA whose code shows the mid-end's faults."""
SCALE = 1000
TOKEN = re.compile(r";[^\n]*|[()]|[^\s();]+")
NUMBER = re.compile(r"-?(?:\d+|0x[0-9a-fA-F_]+)$")

PAIRS = {
    "width": ("Size32 Size64", "$I32 $I64", "$I16 $I32", "$I8 $I16", "zext32 zext64", "sext32 sext64",
              "fits_in_16 fits_in_32", "fits_in_32 fits_in_64", "ty_bits ty_bytes", "ty_half_width lane_type",
              "$I32X4 $I64X2", "$I8X16 $I16X8", "$F32 $F64"),
    "sign": ("sext zext", "smin umin", "smax umax", "Signed Unsigned", "sra srl", "asr lsr", "Asr Lsr", "sar shr",
             "slt sltu", "AShR LShR", "SMin UMin", "SMax UMax", "Sxt Uxt", "movsx movzx", "imm_sext imm_zext",
             "true false", "swiden uwiden", "sextend uextend"),
    "condition": ("CC.Z CC.NZ", "CC.B CC.BE", "CC.L CC.LE", "CC.NB CC.NBE", "CC.O CC.NO", "Cond.Eq Cond.Ne",
                  "Cond.Lt Cond.Le", "Cond.Hs Cond.Hi", "Cond.Lo Cond.Ls", "Cond.Gt Cond.Ge", "cmp_eqz cmp_nez",
                  "cmp_ltu cmp_leu", "cmp_geu cmp_gtu", "cmp_ltz cmp_gez", "Equal NotEqual", "LessThan LessThanOrEqual",
                  "GreaterThan GreaterThanOrEqual", "eq ne", "ult ule", "slt sle", "ugt uge", "sgt sge",
                  "intcc_swap_args intcc_complement", "trap_if trap_if_not"),
    "sibling": ("add sub", "Add Sub", "and or", "And Orr", "xor or", "bxor bor", "band bor", "shl shr", "sll srl",
                "Lsl Lsr", "min max", "Min Max", "lo hi", "low high", "mul mulh", "clz ctz", "rotl rotr", "even odd",
                "iadd isub", "ishl ushr", "umin umax", "smin smax", "bnot ineg", "fadd fsub", "unpckl unpckh",
                "madd msub", "MAdd MSub", "value_regs_get_lo value_regs_get_hi"),
}  # fmt: skip
"""Words that are taken for one another, alone or as parts of a longer one between underscores, dots or capitals."""
OFFSET = re.compile(r"amode|offset|slot|mem\b|displacement|addr")


class Token(NamedTuple):
    """A word or parenthesis of a rule's text, and where it stands."""

    text: str
    start: int
    end: int


class Edit(NamedTuple):
    """One fault of a rule: `kind`, what it does in words, and the text from `start` to `end` that is replaced."""

    kind: str
    what: str
    start: int
    end: int
    new: str


class Fault(NamedTuple):
    """A fault with its number. `place`: where the faulty copy stands in the crate that is made."""

    number: int
    unit: str
    kind: str
    what: str
    original: str
    place: str = ""


# -- single edits


def tokens(text: str) -> list[Token]:
    """All words, without comments."""
    return [Token(m.group(), m.start(), m.end()) for m in TOKEN.finditer(text) if not m.group().startswith(";")]


def groups(words: Sequence[Token]) -> list[list[int]]:
    """For each parenthesis that opens, the numbers of its children's first tokens, then that of the one that closes."""
    found: list[list[int]] = []
    stack: list[list[int]] = []
    for n, word in enumerate(words):
        if word.text != ")" and stack:
            stack[-1].append(n)
        if word.text == "(":
            stack.append([n])
            found.append(stack[-1])
        elif word.text == ")":
            stack.pop().append(n)
    return found


def edits(text: str) -> Iterator[Edit]:
    """All single faults of a rule."""
    words = tokens(text)
    every = groups(words)
    top = every[0]
    children = [n for n in top[1:-1] if words[n].text == "("]
    left, guards, right = children[0], children[1:-1], children[-1]
    after = words[guards[0] if guards else right].start
    for n, word in enumerate(words):
        if word.start < after and word.start > words[left].start:
            yield from (edit for edit in replaced(word, {"width"}) if word.text.startswith("fits_in"))
        elif word.start >= after:
            yield from replaced(word, set(PAIRS))
            if NUMBER.match(word.text):
                call = words[n - 1].text if words[n - 1].text != "(" else ""
                inside = next((words[g[1]].text for g in reversed(every) if len(g) > 2 and g[0] < n < g[-1]), call)
                kind = "offset" if OFFSET.search(inside) else "immediate"
                number = int(word.text.replace("_", ""), 0)
                for other in (number + 1, number - 1):
                    if other >= 0 or number < 0:
                        yield Edit(kind, f"{word.text} is {other}", word.start, word.end, str(other))
    for n in guards:
        group = next(g for g in every if g[0] == n)
        start, end = words[n].start, words[group[-1]].end
        yield Edit("guard", f"without {' '.join(text[start:end].split())}", start, end, "")
    for group in every:
        yield from swapped(text, words, group, words[right].start)


def replaced(word: Token, kinds: set[str]) -> Iterator[Edit]:
    """The word with a part of it taken for another."""
    for kind in sorted(kinds):
        for pair in PAIRS[kind]:
            for old, new in (pair.split(), pair.split()[::-1]):
                pattern = (
                    rf"(?<![A-Za-z]){re.escape(old)}(?![a-z])" if old[0].islower() else rf"{re.escape(old)}(?![a-z])"
                )
                if old[0] == "$":
                    pattern = rf"^{re.escape(old)}$"
                made = re.sub(pattern, new.replace("\\", ""), word.text, count=1)
                if made != word.text and re.fullmatch(r"[$A-Za-z_.0-9]+", word.text):
                    yield Edit(kind, f"{word.text} is {made}", word.start, word.end, made)


def swapped(text: str, words: Sequence[Token], group: Sequence[int], begin: int) -> Iterator[Edit]:
    """Two operands that stand side by side and are plain names, the one for the other."""
    if words[group[0]].start < begin:
        return
    inner = list(group[2:-1])
    for one, two in pairwise(inner):
        a, b = words[one].text, words[two].text
        if a != b and all(re.fullmatch(r"[a-z]\w*", name) for name in (a, b)):
            start, end = words[one].start, words[two].end
            yield Edit("operands", f"{a} {b} is {b} {a}", start, end, f"{b} {a}")


# -- the crate


def crate() -> Path:
    found = sorted(Path.home().glob(f".cargo/registry/src/*/cranelift-codegen-{VERSION}"))
    if not found:
        sys.exit(f"cranelift-codegen {VERSION} is not in the registry: `liftcheck compiler add cranelift@{VERSION}`")
    return found[0]


class Candidate(NamedTuple):
    """A rule, its text, and an edit of it."""

    rule: isle.Rule
    text: str
    edit: Edit


@cache
def candidates(source: Path) -> dict[str, dict[str, list[Candidate]]]:
    """Unit -> kind -> what can be planted."""
    found: dict[str, dict[str, list[Candidate]]] = defaultdict(lambda: defaultdict(list))
    for rule in isle.read_below(source, ISAS).rules:
        lines = (source / rule.file.removeprefix("src/")).read_text().split("\n")[rule.first - 1 : rule.last]
        text = "\n".join(lines)
        if (
            rule.part in (*ISAS, MID_END)
            and text.startswith("(rule")
            and text.endswith(")")
            and rule.file != "src/prelude_opt.isle"
        ):
            for edit in edits(text):
                found[rule.part][edit.kind].append(Candidate(rule, text, edit))
    return found


def drawn(source: Path, each: int, seed: int, refused: set[str]) -> list[tuple[str, Candidate]]:
    """As many of each unit, the kinds in turn, no rule twice."""
    draw, chosen = random.Random(seed), []
    for unit, kinds in sorted(candidates(source).items()):
        used: set[str] = set()
        stacks = {kind: draw.sample(every, len(every)) for kind, every in sorted(kinds.items())}
        lowerings_first = sorted(stacks)
        while len(used) < each and any(stacks.values()):
            for kind in lowerings_first:
                while stacks[kind]:
                    one = stacks[kind].pop()
                    if one.rule.place not in used and key(one) not in refused:
                        used.add(one.rule.place)
                        chosen.append((unit, one))
                        break
                if len(used) >= each:
                    break
    return chosen


def key(one: Candidate) -> str:
    """What names a candidate from draw to draw."""
    return f"{one.rule.place} {one.edit.kind} {one.edit.what} {one.edit.start}"


def priced(text: str, priority: int | None, guard: str) -> str:
    """A rule's text with another priority and a guard more; `None` for a rule that has none."""
    head = re.match(r"\(rule((?:\s+[a-zA-Z_]\w*)?)((?:\s+-?\d+)?)(?=\s)", text)
    assert head is not None, text
    body = text[head.end() :]
    words = tokens("(" + body)
    group = groups(words)[0]
    left = next(n for n in group[1:-1] if words[n].text == "(")
    close = next(g for g in groups(words) if g[0] == left)[-1]
    at = words[close].end - 1
    number = "" if priority is None else f" {priority}"
    return f"(rule{number}{body[:at]}\n  (if ({guard})){body[at:]}"


def multi(source: Path) -> set[str]:
    """Terms whose rules have no priorities."""
    texts = "".join(path.read_text() for path in source.rglob("*.isle"))
    return set(re.findall(r"\(decl (?:pure )?(?:rec )?multi (\w+)", texts))


def make(folder: Path, each: int, seed: int, refused: set[str]) -> list[Fault]:
    """Writes the crate, and which faults there are."""
    source = crate() / "src"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(crate(), folder)
    many = multi(source)
    faults, per_file = [], defaultdict(list)
    for number, (unit, one) in enumerate(drawn(source, each, seed, refused), 1):
        per_file[one.rule.file].append((number, unit, one))
    for path in sorted((folder / "src").rglob("*.isle")):
        name = f"src/{path.relative_to(folder / 'src').as_posix()}"
        lines = scaled(path.read_text()).split("\n")
        for number, unit, one in sorted(per_file[name], key=lambda item: -item[2].rule.first):
            rule, edit = one.rule, one.edit
            wrong = one.text[: edit.start] + edit.new + one.text[edit.end :]
            plain = None if rule.term in many else SCALE * rule.priority
            above = None if plain is None else plain + 1 + number % (SCALE - 1)
            both = [priced(wrong, above, f"fault_awake {number}"), priced(one.text, plain, f"fault_asleep {number}")]
            lines[rule.first - 1 : rule.last] = [f";; fault {number}: {edit.what}", *both]
            faults.append((Fault(number, unit, edit.kind, edit.what, rule.place), key(one)))
        path.write_text("\n".join(lines))
    _switch(folder)
    placed = []
    for fault, name in sorted(faults):
        file = fault.original.rpartition(":")[0]
        text = (folder / file).read_text()
        at = text.index(f";; fault {fault.number}: ")
        rule = next(r for r in isle.rules_in(text, file, "") if r.first >= text.count("\n", 0, at) + 2)
        placed.append({**fault._replace(place=rule.place)._asdict(), "key": name})
    (folder / "faults.json").write_text(json.dumps(placed, indent=1))
    return [Fault(**{name: value for name, value in one.items() if name != "key"}) for one in placed]


def scaled(text: str) -> str:
    """All priorities multiplied, no line moved."""
    return re.sub(
        r"(^ *\(rule(?:\s+[a-zA-Z_]\w*)?[ ]+)(-?\d+)(?=\s)",
        lambda m: f"{m[1]}{SCALE * int(m[2])}",
        text,
        flags=re.MULTILINE,
    )


RUST = """
        fn fault_awake(&mut self, n: u32) -> Option<Unit> {
            if crate::awake_fault() == n { Some(()) } else { None }
        }

        fn fault_asleep(&mut self, n: u32) -> Option<Unit> {
            if crate::awake_fault() == n { None } else { Some(()) }
        }
"""
AWAKE = """
/// The number of the fault that the environment wakes, 0 for none.
pub(crate) fn awake_fault() -> u32 {
    static NUMBER: std::sync::OnceLock<u32> = std::sync::OnceLock::new();
    *NUMBER.get_or_init(|| std::env::var("LIFTCHECK_FAULT").ok().and_then(|n| n.parse().ok()).unwrap_or(0))
}
"""
ISLE = """
(decl pure partial fault_awake (u32) Unit)
(extern constructor fault_awake fault_awake)
(decl pure partial fault_asleep (u32) Unit)
(extern constructor fault_asleep fault_asleep)
"""


def _switch(folder: Path) -> None:
    """What reads the environment."""
    prelude = folder / "src/prelude.isle"
    prelude.write_text(prelude.read_text() + ISLE)
    methods = folder / "src/isle_prelude.rs"
    text = methods.read_text()
    at = text.index("        isle_numerics_methods!();")
    methods.write_text(text[:at] + RUST.lstrip("\n") + "\n" + text[at:])
    lib = folder / "src/lib.rs"
    lib.write_text(lib.read_text() + AWAKE)


def checked(folder: Path, target: Path) -> set[str]:
    """The keys of faults that ISLE refuses; builds the crate's build script, and no more if that fails."""
    command = ["cargo", "check", "--features", "all-native-arch,trace-log", "--quiet"]
    env = {**os.environ, "CARGO_TARGET_DIR": str(target), "CARGO_TERM_COLOR": "never"}
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True)
    if done.returncode == 0:
        return set()
    faults = json.loads((folder / "faults.json").read_text())
    refused = set()
    for file, line in re.findall(r"(src/[\w/]+\.isle):(\d+)", done.stderr):
        lines = (folder / file).read_text().split("\n")[: int(line)]
        above = next((found[1] for text in reversed(lines) if (found := re.match(r";; fault (\d+):", text))), None)
        refused |= {one["key"] for one in faults if above and one["number"] == int(above)}
    if not refused:
        sys.exit(f"the crate does not build:\n{done.stderr[-4000:]}")
    return refused


# -- what is made of them


def awake(number: int, *shops: Workshop) -> None:
    """From now on the compilers have this fault."""
    os.environ["LIFTCHECK_FAULT"] = str(number)
    for shop in shops:
        shop.planner.open_compiler().close()


def proven(folder: Path, fault: Fault, isa: str, known: dict[str, Workshop]) -> dict[str, Any]:
    """What `verify --rules` says of a rule with its fault awake: of its own programs first, then of all tasks that the
    command has for it. What is not refuted is compiled without the fault, too: does any code differ?"""
    options = ProveOptions(isa, fault.place, f"cranelift={folder}", fresh=True)
    started, shop = time.monotonic(), Workshop(options)
    if isa in known:
        shop.planner.__dict__["rules"] = known[isa].planner.rules
    awake(0, shop)
    assert shop.table and shop.targets
    known.setdefault(isa, shop)
    awake(fault.number, shop)
    number = next(n for n, rule in enumerate(shop.rules) if rule.place == fault.place)
    proofs, how = shop.do(Task(RULE, (number,))), "its programs"
    found = verdicts(proofs, [shop.rules[number]], {})[0]
    if found.verdict != REFUTED:
        how = "all tasks"
        for task in shop.tasks():
            if task.kind != RULE:
                proofs.add(shop.do(task))
            found = verdicts(proofs, [shop.rules[number]], {})[0]
            if found.verdict == REFUTED:
                break
    seconds = round(time.monotonic() - started, 1)
    ran = Counter(bad.ran.split(" on ")[0] for bad in found.matters if bad.kind == REFUTED)
    other = Counter[str]() if found.verdict == REFUTED else differing(shop, fault, number)
    seen = found.seen.equal + found.seen.proven + found.seen.bad
    awake(0, shop)
    if known[isa] is not shop:
        shop.planner.runners.close()
    panics = sum(n for reason, n in proofs.refused.items() if reason.startswith("panic"))
    other["panics"] = panics
    why = {"why": found.why, "open": Counter(bad.reason for bad in found.matters if bad.kind != REFUTED)}
    return {**fault._asdict(), "isa": isa, "verdict": found.verdict, "how": how, "seconds": seconds, "instances": seen,
            "run": ran, **why, **other}  # fmt: skip


def differing(shop: Workshop, fault: Fault, number: int) -> Counter[str]:
    """Of the rule's own programs on all targets: for how many it fires, with its fault and (the rule after it) without;
    for how many of each the code is another; and how many are not compiled any more."""
    rules = shop.planner.rules
    assert rules is not None
    recipes = [one for turns in (PROGRAMS, TURNS) for one in of_rule(shop.table, rules, number, turns)]
    awake(fault.number, shop)
    wrong = shop.factory().recipes(shop.table, recipes)
    awake(0, shop)
    right = shop.factory().recipes(shop.table, recipes)
    plain = shop.rules[number + 1].place
    counts = Counter({"fired": 0, "other_code": 0, "fired_asleep": 0, "other_asleep": 0, "not_compiled": 0})
    for ours, theirs in zip(wrong, right):
        for one, other in zip(ours, theirs):
            is_other = one is None or other is None or one.key != other.key
            counts["not_compiled"] += one is None and other is not None
            counts["fired"] += one is not None and fault.place in one.fired
            counts["other_code"] += one is not None and fault.place in one.fired and is_other
            counts["fired_asleep"] += other is not None and plain in other.fired
            counts["other_asleep"] += other is not None and plain in other.fired and is_other
    return counts


def prove(folder: Path, units: Sequence[str], numbers: Sequence[int]) -> None:
    """A JSON line a fault."""
    known: dict[str, Workshop] = {}
    faults = json.loads((folder / "faults.json").read_text())
    for row in faults:
        fault = Fault(**{name: value for name, value in row.items() if name != "key"})
        if fault.unit in units and (not numbers or fault.number in numbers):
            isa = MID_END_ON if fault.unit == MID_END else fault.unit
            print(json.dumps(proven(folder, fault, isa, known)), flush=True)


def fuzz(folder: Path, numbers: Sequence[int], seconds: int, work: Path) -> None:
    """A JSON line a fault: whether a campaign on its ISA finds something that the published version has right."""
    for row in json.loads((folder / "faults.json").read_text()):
        if row["number"] not in numbers:
            continue
        isa = MID_END_ON if row["unit"] == MID_END else row["unit"]
        out = work / f"fuzz-{row['number']}"
        shutil.rmtree(out, ignore_errors=True)
        words = ["fuzz", "--compiler", f"cranelift={folder}", "--isa", isa, "--time", f"{seconds}s", "--jobs", "1"]
        command = [sys.executable, "-m", "liftcheck", *words, "--seed", "1", "--json", "--out", str(out)]
        env = {**os.environ, "LIFTCHECK_FAULT": str(row["number"])}
        done = subprocess.run(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        report = json.loads(done.stdout)
        mine = [one["seconds"] for one in report["findings"] if one["folder"] and is_planted(one["folder"])]
        told = {"number": row["number"], "found": bool(mine), "seconds": min(mine, default=None)}
        print(json.dumps({**told, "findings": len(report["findings"]), "programs": report["programs"]}), flush=True)


def is_planted(folder: str) -> bool:
    """Whether the published version is right where the copy is wrong."""
    command = [sys.executable, "-m", "liftcheck", "replay", folder, "--compiler", f"cranelift@{VERSION}"]
    return subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=["make", "prove", "fuzz"])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--each", type=int, default=34, help="make: faults a unit")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--unit", action="append", choices=[*ISAS, MID_END], help="prove: only this one; repeatable")
    parser.add_argument("--fault", action="append", type=int, default=[], help="only this one; repeatable")
    parser.add_argument("--time", type=int, default=60, help="fuzz: seconds a fault")
    options = parser.parse_args()
    folder = options.folder.resolve()
    if options.command == "prove":
        prove(folder, options.unit or (*ISAS, MID_END), options.fault)
    elif options.command == "fuzz":
        fuzz(folder, options.fault, options.time, folder.parent)
    else:
        build(folder, options.each, options.seed)
    return 0


def build(folder: Path, each: int, seed: int) -> None:
    """Draws faults until ISLE takes them all."""
    refused: set[str] = set()
    for number in range(60):
        faults = make(folder, each, seed, refused)
        more = checked(folder, folder.parent / f"{folder.name}-target") - refused
        print(f"round {number}: {len(faults)} faults, {len(more)} refused by ISLE", flush=True)
        if not more:
            break
        refused |= more
    print(Counter((fault.unit, fault.kind) for fault in faults))


if __name__ == "__main__":
    sys.exit(main())
