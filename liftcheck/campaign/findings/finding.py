"""A finding as data: the program, where it goes wrong and how, who stands against whom; and its JSON form.

The one idea: the recipe is data, not a seed. The program is kept as text with its inputs and memory, so a finding can
be replayed by a later liftcheck whose generator draws other programs. The seed is told in addition, for people.
"""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple, get_args

from liftcheck.case import Case, CompileFailure, FailureKind, Outcome, Target
from liftcheck.clif.opcodes import OPCODES, key_of
from liftcheck.clif.text.parser import parse_module
from liftcheck.clif.text.printer import print_module
from liftcheck.errors import InputError
from liftcheck.oracles.base import FindingClass
from liftcheck.oracles.classes import CLASSES, class_of

FORMAT: Final = 1


@dataclass(frozen=True, slots=True)
class VoteRecord:
    """One voter: `who` ('reference (big-endian)', 'x86-64 opt_level=none on unicorn'), `outcome` as text, and whether
    it stands `with_reference`; None if it could say nothing."""

    who: str
    outcome: str
    with_reference: bool | None


@dataclass(frozen=True, slots=True)
class Finding:
    """One disagreement.

    target    where it shows (the first of `targets`, reduced settings); `targets` are all that disagree alike
    witness   a target that agrees with the reference on the same program, if there is one
    run       the number of the input that disagrees, in `case.inputs`
    original  the case before reduction, if it was reduced
    runners   on which it was seen to go wrong
    key       what equal findings share; `count` how many were folded into this one
    """

    klass: str
    case: Case
    target: Target
    targets: tuple[Target, ...] = ()
    witness: Target | None = None
    run: int = 0
    expected: Outcome | None = None
    actual: Outcome | None = None
    failure: CompileFailure | None = None
    detail: str = ""
    votes: tuple[VoteRecord, ...] = ()
    runners: tuple[str, ...] = ()
    compiler: str = ""
    seed: int | None = None
    number: int | None = None
    profile: str = ""
    original: Case | None = None
    reduced: bool = False
    key: str = ""
    count: int = 1
    seconds: float = 0.0
    """Into the campaign when it was found."""
    note: str = ""
    """Why it was not made small, or not as small as it may get."""
    disassembly: dict[str, str] = field(default_factory=dict)
    """A target's text -> disassembly of the entry's module there, for the bad target and the witness."""
    damaged: tuple[str, ...] = ()
    """ABI damage: the callee-saved registers that come back changed."""
    program: str = ""
    """The filetest that shows it (`reproduce`)."""
    unsaid: str = ""
    """What that filetest does not say or show."""
    fault: str = ""
    """The known fault that is proven to be its cause: the page, or of a page on several the cause with the page."""
    other: str = ""
    """The other of two compilers, if a campaign has two."""
    beside: str = ""
    """What that one does with the program (`beside`)."""
    spared: bool = False
    """It fails no campaign: of two compilers it is not the second alone that has it."""
    suspects: tuple[str, ...] = ()
    """Rules of the compiler that fired at the bad target and not at the witness."""
    fired: tuple[str, ...] = ()
    """All rules that fired for the program at the bad target, less those that fire for programs that compute nothing.
    """

    blame: Mapping[str, object] | None = None
    """What `liftcheck blame` found out (`blamed.document`)."""

    @property
    def row(self) -> FindingClass:
        """What is done for its class."""
        return class_of(self.klass)

    @property
    def whose(self) -> str:
        """Of two compilers, which have the fault: 'both', 'only NAME'; '' where there is one."""
        return "" if not self.other else "both" if self.beside == "wrong" else f"only {self.compiler}"


def fold_key(finding: Finding) -> str:
    """What equal findings share: the fault (`_fault_key`) and, of two compilers, which of them have it."""
    if not finding.other:
        return _fault_key(finding)
    return f"{_fault_key(finding)} | {finding.whose}"


def _fault_key(finding: Finding) -> str:
    """What equal findings share: class, ISA, opcodes with types and rules of the reduced program. A compiler's own
    failure is known by its reason and place, ABI damage by the registers. A calling convention that the reduction could
    not do without stands for the fault alone: then the opcodes only happen to use what it loses. Where the cause is
    known and proven it stands for all of that, on all ISAs."""
    if finding.fault:
        return f"known | {finding.fault}"
    if finding.failure is not None and not finding.row.folds_by_program:
        return f"{finding.klass} | {finding.target.isa} | {finding.failure.reason} | {finding.failure.place}"
    if finding.damaged:
        return f"{finding.klass} | {finding.target.isa} | {' '.join(finding.damaged)}"
    if finding.row.ours:
        return f"{finding.klass} | reference | {' '.join(sorted(opcodes(finding.case)))}"
    needed = {function.signature.call_conv for function in finding.case.module.functions} - {"", "system_v"}
    if needed and finding.reduced:
        return f"{finding.row.fold_name} | {finding.target.isa} | {' '.join(sorted(needed))}"
    rules = _digest(finding) if finding.reduced else ""
    what = " ".join(sorted(opcodes(finding.case)))
    return " | ".join(filter(None, [finding.row.fold_name, finding.target.isa, what, rules]))


def _digest(finding: Finding) -> str:
    """The rules of the code that is wrong, in a word."""
    if not finding.fired:
        return ""
    return f"rules {hashlib.blake2b(' '.join(sorted(finding.fired)).encode(), digest_size=5).hexdigest()}"


def cause_key(finding: Finding) -> str:
    """What findings with the same cause share, in any campaign, whatever program showed it: the page that proves it;
    else class, ISA, what failed (a panic's words and place, registers), opcodes with types and rules of the reduced
    program. As narrow as can be told: another rule, opcode or type is another cause. '' for a finding that was not
    reduced, since its program has much that is not part of it."""
    if finding.fault:
        return f"page | {page_name(finding.fault)}"
    if not finding.reduced:
        return ""
    parts = [finding.row.fold_name, "reference" if finding.row.ours else finding.target.isa]
    if ("opt_level", "none") not in finding.target.settings and any(
        n == "opt_level" for n, _ in finding.target.settings
    ):
        parts[1] += " optimized"
    if finding.failure is not None:
        parts += [finding.failure.reason, finding.failure.place]
    parts += [" ".join(finding.damaged)] if finding.damaged else []
    conventions = {function.signature.call_conv or "fast" for function in finding.case.module.functions} - {"system_v"}
    parts.append(" ".join([*sorted(opcodes(finding.case)), *sorted(conventions)]))
    return " | ".join(filter(None, [*parts, _digest(finding)]))


_PAGE: Final = re.compile(r"(?:(?P<words>.*) \()?(?:\S*/)?(?P<name>[\w-]+)\.md\)?$")


def page_name(fault: str) -> str:
    """A known fault without the place of its page, which differs between installations."""
    found = _PAGE.match(fault)
    if found is None:
        return fault
    words = (found["words"] or "").rpartition(": ")[2]
    return f"{found['name']} | {words}" if words else found["name"]


DULL: Final = frozenset({"return", "iconst", "jump", "f32const", "f64const", "vconst"})
"""What every program has."""


def opcodes(case: Case) -> frozenset[str]:
    """The opcodes with types of a case, less those that every program has."""
    return frozenset(
        key_of(inst, function.types)
        for function in case.module.functions
        for block in function.blocks
        for inst in block.insts
        if inst.op not in DULL
    )


def held(case: Case) -> frozenset[str]:
    """What of a case may be to blame: opcodes with types, and conventions as `call_conv=NAME`."""
    conventions = {function.signature.call_conv for function in case.module.functions} - {"", "system_v"}
    return opcodes(case) | {f"call_conv={name}" for name in conventions}


def _rarity(key: str) -> tuple[bool, bool, str]:
    """Loads and stores, which most cases have, come last."""
    row = OPCODES[key.partition(".")[0]]
    return row.can_load, row.can_store, key


def folder_name(finding: Finding) -> str:
    """A name for people that is valid everywhere: class, ISA, the rarest-looking opcodes, and where it came from."""
    words = [finding.klass, finding.target.isa]
    if finding.failure is not None:
        words.append(finding.failure.reason[:40])
    elif finding.damaged:
        words += finding.damaged
    elif finding.reduced:
        words += sorted(opcodes(finding.case), key=_rarity)[:3]
    name = re.sub(r"[^a-z0-9]+", "-", " ".join(words).lower()).strip("-")[:80].strip("-")
    return f"{name}-{finding.number}" if finding.number is not None else name


def encode_case(case: Case) -> dict[str, Any]:
    """A case as JSON data. Values are hexadecimal text, since JSON's readers lose integers beyond 2^53."""
    return {
        "clif": print_module(case.module),
        "entry": case.entry,
        "inputs": [[hex(value) for value in row] for row in case.inputs],
        "memories": [base64.b64encode(zlib.compress(content)).decode() for content in case.memories],
        "slot": case.slot,
        "name": case.name,
    }


def decode_case(data: dict[str, Any], where: str) -> Case:
    """The inverse of `encode_case`; InputError if the data is not of this form."""
    try:
        return Case(
            parse_module(data["clif"], where),
            int(data["entry"]),
            tuple(tuple(int(value, 16) for value in row) for row in data["inputs"]),
            tuple(zlib.decompress(base64.b64decode(text)) for text in data["memories"]),
            int(data["slot"]),
            str(data["name"]),
        )
    except (KeyError, TypeError, ValueError, zlib.error) as error:
        raise InputError.at(f"not a finding's recipe: {type(error).__name__}: {error}", where) from error


def encode_target(target: Target) -> dict[str, Any]:
    """A target as JSON data."""
    return {"isa": target.isa, "settings": dict(target.settings)}


def decode_target(data: dict[str, Any]) -> Target:
    """The inverse of `encode_target`."""
    return Target(data["isa"], tuple(sorted(data["settings"].items())))


def encode_outcome(outcome: Outcome | None) -> dict[str, Any] | None:
    """An outcome as JSON data; memory is packed."""
    if outcome is None:
        return None
    return {
        "kind": outcome.kind,
        "values": [hex(value) for value in outcome.values],
        "detail": outcome.detail,
        "memory": base64.b64encode(zlib.compress(outcome.memory)).decode(),
    }


def decode_outcome(data: dict[str, Any] | None) -> Outcome | None:
    """The inverse of `encode_outcome`."""
    if data is None:
        return None
    memory = zlib.decompress(base64.b64decode(data["memory"]))
    return Outcome(data["kind"], tuple(int(value, 16) for value in data["values"]), memory, data["detail"])


def encode(finding: Finding) -> dict[str, Any]:
    """The document `finding.json`; docs/json.md explains its keys."""
    failure = dataclasses.asdict(finding.failure) if finding.failure is not None else None
    return {
        "format": FORMAT,
        "class": finding.klass,
        "detail": finding.detail,
        "compiler": finding.compiler,
        "target": encode_target(finding.target),
        "targets": [encode_target(target) for target in finding.targets],
        "witness": encode_target(finding.witness) if finding.witness else None,
        "runners": list(finding.runners),
        "run": finding.run,
        "expected": encode_outcome(finding.expected),
        "actual": encode_outcome(finding.actual),
        "failure": failure,
        "votes": [{"who": v.who, "outcome": v.outcome, "with_reference": v.with_reference} for v in finding.votes],
        "damaged": list(finding.damaged),
        "unsaid": finding.unsaid,
        "fault": finding.fault,
        "suspects": list(finding.suspects),
        "fired": list(finding.fired),
        "other": finding.other,
        "beside": finding.beside,
        "spared": finding.spared,
        "seed": finding.seed,
        "case": finding.number,
        "profile": finding.profile,
        "reduced": finding.reduced,
        "note": finding.note,
        "seconds": round(finding.seconds, 3),
        "key": finding.key,
        "cause": cause_key(finding),
        "count": finding.count,
        "blame": dict(finding.blame) if finding.blame is not None else None,
        "recipe": encode_case(finding.case),
        "original": encode_case(finding.original) if finding.original is not None else None,
    }


def decode(data: dict[str, Any], where: str) -> Finding:
    """What a replay needs of `finding.json`: the programs, targets, class; not the texts for people."""
    try:
        if data["format"] != FORMAT:
            raise InputError.at(f"format {data['format']} is not {FORMAT}, the one this liftcheck reads", where)
        if data["class"] not in CLASSES:
            raise InputError.at(f"this liftcheck knows no class of findings called {data['class']!r}", where)
        failure = CompileFailure(**data["failure"]) if data["failure"] else None
        if failure is not None and failure.kind not in get_args(FailureKind):
            raise InputError.at(f"this liftcheck knows no failure of kind {failure.kind!r}", where)
        return Finding(
            klass=data["class"],
            case=decode_case(data["recipe"], where),
            target=decode_target(data["target"]),
            targets=tuple(map(decode_target, data["targets"])),
            witness=decode_target(data["witness"]) if data["witness"] else None,
            run=data["run"],
            failure=failure,
            detail=data["detail"],
            damaged=tuple(data["damaged"]),
            runners=tuple(data["runners"]),
            compiler=data["compiler"],
            seed=data["seed"],
            number=data["case"],
            profile=data["profile"],
            reduced=data["reduced"],
            key=data["key"],
            count=data["count"],
            note=data.get("note", ""),
            fault=data.get("fault", ""),
            fired=tuple(data.get("fired", ())),
            other=data.get("other", ""),
            beside=data.get("beside", ""),
            spared=data.get("spared", False),
            blame=data.get("blame"),
            seconds=data["seconds"],
            original=decode_case(data["original"], where) if data["original"] else None,
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise InputError.at(f"not a finding: {type(error).__name__}: {error}", where) from error


class Like(NamedTuple):
    """A finding that others may look like: its kind, its ISA, its opcodes with types; how many were folded into it; the
    registers that come back changed."""

    key: str
    kind: str
    isa: str
    opcodes: frozenset[str]
    whose: str = ""
    seen: int = 0
    damaged: tuple[str, ...] = ()


class Familiar(NamedTuple):
    """What is known: of failures of the compiler the keys, each with the number of its case; and the others."""

    failures: Mapping[str, int] = {}
    likes: tuple[Like, ...] = ()
