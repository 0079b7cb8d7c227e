"""What a batch is made with: which settings, which targets, which profile, which contexts of programs.

The one idea: a plan is drawn from the batch's own seed, so it depends on nothing but the campaign's options, the
batch's number and, if it is directed, on what `steering` says of earlier ones.
All ISAs of a batch share one world: 'plain', what every runner runs, or 'rich', with the extensions that only native
execution and qemu run (riscv64 V and Zb*, AVX, s390x from z15); each world has its own matrices, so that programs hold
what the compiler has there. On top come settings that change code but no typing: register allocator, padding, PIC, ….
Sources of the sweep: settings that changed the code of upstream's run tests when flipped alone.
"""

from __future__ import annotations

import difflib
import random
from collections.abc import Callable, Container, Iterator, Mapping
from functools import cached_property
from typing import Final

from liftcheck.campaign.options import BATCH, Avoided, Extent, FuzzOptions, batch_cases, batch_seed
from liftcheck.campaign.plan import INPUTS, Plan, is_directed
from liftcheck.campaign.seeds import Seeds, Stock
from liftcheck.case import Target
from liftcheck.compilers import matrix
from liftcheck.compilers.base import Compiler, Setting, innermost, shared_settings
from liftcheck.compilers.registry import open_compiler
from liftcheck.errors import Unavailable, UsageError
from liftcheck.generators import profiles
from liftcheck.generators.exhaustive import Space
from liftcheck.generators.lefthand import Rules
from liftcheck.generators.profiles import EXHAUSTIVE
from liftcheck.generators.tables import Context
from liftcheck.isa import ISAS
from liftcheck.isa.base import isa_named
from liftcheck.isle import sources as isle
from liftcheck.oracles.base import Oracle
from liftcheck.oracles.registry import ORACLES, oracle
from liftcheck.runners.pool import RunnerPool

SIZE: Final = 44
"""The dial of the generator: programs come out at about 60 instructions, all functions together."""
BASE: Final = (("enable_llvm_abi_extensions", "true"), ("enable_multi_ret_implicit_sret", "true"),
               ("preserve_frame_pointers", "true"), ("enable_verifier", "false"))  # fmt: skip
"""Without the first three much does not compile at all (i128 in signatures, vector returns, tail calls). The compiler's
own verifier between its passes takes a fifth of its time: it is on in a quarter of the batches."""
APART: Final = 10
"""Batches between the turns of two oracles that are sampled; even, so that no directed batch has one."""
_KEPT: Final = 4
"""Contexts of programs that steer around something: two worlds, now and before."""
PLAIN, RICH = "plain", "rich"


def _seldom() -> list[tuple[int, tuple[str, str]]]:
    """The extensions that ISAs have for this, the most frequent first."""
    found = [(chance, (flag, "true")) for isa in ISAS for flag, chance in isa_named(isa).seldom.items()]
    return sorted(found, key=lambda one: (-one[0], one[1]))


SWEEPS: Final[tuple[tuple[int, tuple[str, str]], ...]] = (
    (64, ("enable_verifier", "true")),
    (48, ("regalloc_algorithm", "single_pass")), (16, ("bb_padding_log2_minus_one", "4")),
    (16, ("enable_nan_canonicalization", "true")), (16, ("is_pic", "true")), (16, ("use_colocated_libcalls", "true")),
    (12, ("machine_code_cfg_info", "true")), (12, ("use_csdb", "true")), (12, ("use_bti", "true")),
    *_seldom(),
    (12, ("sign_return_address", "true")), (40, ("opt_level", "speed_and_size")),
)  # fmt: skip
"""Chance in 256 of a setting; 'opt_level' here replaces 'speed'."""


class Planner:
    """Makes plans; opens what they need. Every process has its own."""

    def __init__(self, options: FuzzOptions) -> None:
        self.options = options
        self._known: dict[str, Mapping[str, Setting]] = {}
        self._contexts: dict[tuple[str, ...], Context] = {}
        self._around: dict[tuple[str, Avoided], Context] = {}
        self._compiler: Compiler | None = None
        self._baseline: Compiler | None = None
        self.build = ""
        """What identifies the compiler's build, once it is prepared."""

    def open_compiler(self) -> Compiler:
        """The compiler under test; the same one at every call."""
        if self._compiler is None:
            self._compiler = self._open(self.options.compiler)
        return self._compiler

    def open_baseline(self) -> Compiler | None:
        """The compiler that it is compared with, if there are two; the same one at every call."""
        if self._baseline is None and self.options.baseline:
            self._baseline = self._open(self.options.baseline)
        return self._baseline

    def _open(self, spec: str) -> Compiler:
        """In the build that an oracle needs, if one does."""
        opened = {one.name: made for one in self.oracles if (made := one.open(spec)) is not None}
        telling = [one.name for one in self.oracles if one.wants and one.name not in opened]
        if opened and len(opened) + len(telling) > 1:
            for compiler in opened.values():
                compiler.close()
            raise UsageError(
                f"--validate {' and '.join((*opened, *telling))}: they need different builds; one at a time"
            )
        return next(iter(opened.values()), None) or open_compiler(spec)

    @cached_property
    def oracles(self) -> tuple[Oracle, ...]:
        """Those that judge the code itself, not its runs."""
        return tuple(map(oracle, dict.fromkeys(self.options.oracles)))

    @cached_property
    def runners(self) -> RunnerPool:
        """Runners for the campaign's ISAs; they open when they are first needed."""
        return self.open_runners()

    def open_runners(self, apart: bool = False) -> RunnerPool:
        """Other ones; `apart`: only those that have processes of their own."""
        names = tuple(dict.fromkeys(self.options.runners)) or ("auto",)
        if len(names) > 1:
            raise UsageError(f"one runner, or auto for the best of all: not {', '.join(names)}")
        return RunnerPool(names[0], apart)

    def prepare(self, say: Callable[[str], None] | None) -> str:
        """Does once, in the parent, what takes long: builds the compiler, asks its matrices. Gives the compiler's name.
        UsageError for settings and profiles that do not exist, Unavailable for a compiler or runners that are
        missing."""
        if self.options.seeds is not None and self.options.profiles:
            raise UsageError("--seeds with --profile: programs are made of the files, or of a profile")
        if not self.is_exhaustive:
            for name in self.options.profiles:
                profiles.by_name(name)
        elif len(self.options.profiles) > 1:
            raise UsageError(f"--profile {EXHAUSTIVE}: it cannot be combined with another profile")
        compiler, baseline = self.open_compiler(), self.open_baseline()
        self.build = " and ".join(str(getattr(one, "cache_key", "")) for one in (compiler, baseline) if one is not None)
        if self.seeds is not None:
            self.build += f", seeds {self.seeds.digest}"
        try:
            self._check_settings(compiler)
            self._check_runners()
            for world in self.worlds:
                self.context(world)
            return compiler.name
        finally:
            compiler.close()
            if baseline is not None:
                baseline.close()
            self.runners.close()

    def _check_runners(self) -> None:
        """Every ISA must have a runner."""
        for isa in self.options.isas:
            if not self.runners.names(Target(isa)):
                raise Unavailable(
                    f"no runner for {isa} with --runner {' '.join(self.options.runners)}: "
                    "`liftcheck doctor` says what this machine lacks"
                )

    def _check_settings(self, compiler: Compiler) -> None:
        """Every `--set` must be known on one of the ISAs."""
        for name, _ in self.options.settings:
            if not any(name in self.settings_of(isa) for isa in self.options.isas):
                near = difflib.get_close_matches(name, {n for isa in self.options.isas for n in self.settings_of(isa)})
                hint = f"; did you mean {' or '.join(sorted(near))}?" if near else ""
                raise UsageError(f"{compiler.name} has no setting {name!r} on {', '.join(self.options.isas)}{hint}")

    def settings_of(self, isa: str) -> Mapping[str, Setting]:
        """The settings that the compiler has on an ISA, by name; of two, those that both have."""
        if isa not in self._known:
            own, baseline = self.open_compiler().settings(isa), self.open_baseline()
            self._known[isa] = own if baseline is None else shared_settings(own, baseline.settings(isa))
        return self._known[isa]

    @cached_property
    def worlds(self) -> tuple[str, ...]:
        """The worlds that differ on this machine: 'rich' only if a runner here runs more than Unicorn does."""
        if not self.options.sweep:
            return (PLAIN,)
        rich = any(self.features(RICH, isa) != self.features(PLAIN, isa) for isa in self.options.isas)
        return (PLAIN, RICH) if rich else (PLAIN,)

    @cached_property
    def rules(self) -> Rules | None:
        """The compiler's own rules as shapes of programs; None if its sources are not on this machine."""
        compiler = self.open_compiler()
        source = isle.find(compiler.version, compiler.name)
        return Rules(source, self.options.isas) if source is not None else None

    def features(self, world: str, isa: str) -> tuple[tuple[str, str], ...]:
        """The extensions that are on in a world: the compiler knows them and a runner runs them."""
        known, value = self.settings_of(isa), isa_named(isa)
        return tuple(
            (name, "true")
            for name in (value.plain if world == PLAIN else value.rich)
            if name in known and self.runners.names(Target(isa, ((name, "true"),)))
        )

    def around(self, world: str, avoided: Avoided) -> Context | None:
        """For what programs are made in a world that steer around what goes wrong; the last few are kept."""
        if not avoided:
            return None
        if (world, avoided) not in self._around:
            while len(self._around) >= _KEPT:
                del self._around[next(iter(self._around))]
            self._around[world, avoided] = self.context(world).without(avoided)
        return self._around[world, avoided]

    def context(self, world: str) -> Context:
        """For what programs are made in a world."""
        isas = self.options.isas
        if (world,) not in self._contexts:
            matrices: Mapping[str, Container[str]] = {isa: self._matrix(world, isa) for isa in isas}
            self._contexts[world,] = Context(isas, matrices, SIZE, INPUTS, rules=self.rules)
        return self._contexts[world,]

    def _matrix(self, world: str, isa: str) -> matrix.Matrix:
        """What the compiler has, of two what both have."""
        settings, baseline = self.target(world, isa, "none", ()).settings, self.open_baseline()
        own = matrix.load(self.open_compiler(), isa, settings)
        return own if baseline is None else matrix.common(own, matrix.load(baseline, isa, settings))

    def target(self, world: str, isa: str, level: str, more: tuple[tuple[str, str], ...]) -> Target:
        """An ISA's target: base settings, extensions, the batch's draws, the user's settings; unknown ones left out."""
        known = self.settings_of(isa)
        chosen = dict((*BASE, *self.features(world, isa), *more, *self.options.settings, ("opt_level", level)))
        off = {name for name, value in chosen.items() if name.startswith("has_") and value == "false"}
        off |= {name for name, value in more if name in known and not known[name].takes(value)}
        return Target(isa, tuple(sorted((k, v) for k, v in chosen.items() if k in known and k not in off)))

    def known(self, compiler: Compiler, target: Target) -> Target:
        """The target without settings and values that this version of the compiler does not have."""
        known = self.settings_of(target.isa)
        return Target(target.isa, tuple(s for s in target.settings if s[0] in known and known[s[0]].takes(s[1])))

    @cached_property
    def traces_rules(self) -> bool:
        """Whether the compiler says which of its rules matched, and they are known."""
        return self.rules is not None and bool(getattr(innermost(self.open_compiler()), "traces_rules", False))

    def plan(self, batch: int, cold: bytes = b"", avoided: Avoided = ()) -> Plan:
        """What batch `batch` consists of. `cold`: the rules that a directed batch aims at in addition; `avoided`: what
        most of its programs do without."""
        if self.is_exhaustive:
            return self._exhaustive(batch)
        draw = random.Random(batch_seed(self.options.seed, batch))
        world = draw.choice(self.worlds)
        profile = draw.choice(self.options.profiles) if self.options.profiles else "all"
        drawn = [setting for chance, setting in SWEEPS if draw.randrange(256) < chance] if self.options.sweep else []
        levels = [
            ("speed_and_size" if ("opt_level", "speed_and_size") in drawn and level == "speed" else level)
            for level in self.options.opt_levels
        ]
        more = tuple(setting for setting in drawn if setting[0] != "opt_level")
        targets = []
        for isa in self.options.isas:
            off = self._switched_off(isa, draw)
            targets += [self.target(world, isa, level, (*more, *off)) for level in dict.fromkeys(levels)]
        cases = batch_cases(self.options, batch)
        oracles = (*self.oracles, *self._sampled(batch))
        around = self.around(world, avoided)
        return Plan(
            self.options,
            cases,
            tuple(targets),
            profile,
            self.context(world),
            is_directed(batch),
            cold,
            oracles,
            around=around,
            seeds=self.seeds,
        )

    @cached_property
    def seeds(self) -> Seeds | None:
        """The files that programs are made of; InputError if there are none."""
        return None if self.options.seeds is None else Seeds(self.options.seeds)

    def stock(self) -> Stock | None:
        """What there is in them; InputError if nothing can be a seed."""
        return None if self.seeds is None else self.seeds.stock(self.context(PLAIN))

    @property
    def is_exhaustive(self) -> bool:
        return EXHAUSTIVE in self.options.profiles

    @cached_property
    def spaces(self) -> list[tuple[str, int, Space]]:
        """Of each world all small programs, and the number of the first; each begins with a batch."""
        found, start = [], 0
        for world in self.worlds:
            space = Space(self.context(world))
            found.append((world, start, space))
            start += -(-len(space) // BATCH) * BATCH
        return found

    @cached_property
    def extent(self) -> Extent:
        """All small programs, those within `--cases` alone."""
        _, start, space = self.spaces[-1]
        numbers = start + -(-len(space) // BATCH) * BATCH
        bound = numbers if self.options.cases is None else min(self.options.cases, numbers)
        spaces = [space for _, _, space in self.spaces]
        left_out: dict[str, str] = {}
        for one in spaces:
            left_out |= one.left_out()
        return Extent(
            bound,
            sum(min(len(space), max(0, bound - start)) for _, start, space in self.spaces),
            sum(len(space) for space in spaces),
            sum(space.typings() for space in spaces),
            sum(space.pairs() for space in spaces),
            left_out,
        )

    def _exhaustive(self, batch: int) -> Plan:
        """A batch of small programs, with the settings of its world alone."""
        cases = batch_cases(self.options, batch)
        world, start, space = next(one for one in reversed(self.spaces) if one[1] <= batch * BATCH)
        levels = dict.fromkeys(self.options.opt_levels)
        targets = tuple(self.target(world, isa, level, ()) for isa in self.options.isas for level in levels)
        oracles = (*self.oracles, *self._sampled(batch))
        return Plan(
            self.options, cases, targets, EXHAUSTIVE, space.context, oracles=oracles, space=space, space_start=start
        )

    def _sampled(self, batch: int) -> Iterator[Oracle]:
        """The oracles that have their turn in this batch without being asked for, one at most; none where an oracle
        has a build of its own."""
        if innermost(self.open_compiler()) is not self.open_compiler():
            return
        for place, (name, row) in enumerate(ORACLES.items()):
            if row.every and batch % row.every == place * APART and name not in self.options.oracles:
                yield oracle(name)

    def _switched_off(self, isa: str, draw: random.Random) -> tuple[tuple[str, str], ...]:
        """In a quarter of the batches each optional extension is off with a chance of one half."""
        if not self.options.sweep or draw.randrange(4):
            return ()
        return tuple((name, "false") for name in isa_named(isa).optional if draw.randrange(2))
