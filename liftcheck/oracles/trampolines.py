"""Trampolines as a compiler makes them, each once.

The one idea: a table by signature and target, filled by one request for all that is missing. Which target a trampoline
is compiled for is the user's choice: `shared_target` for campaigns, which sweep settings and want few of them,
`runners.trampolines.trampoline_target` for a file that is judged with exactly its own settings.
The texts are of `runners.trampolines`; a trampoline that the compiler refuses is kept as that refusal.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import cache
from typing import Final

from liftcheck.case import CompileFailure, FunctionCode, Target
from liftcheck.clif.ir import Signature
from liftcheck.compilers.base import Reply
from liftcheck.isa.base import isa_named
from liftcheck.runners.trampolines import keeps_pinned, trampoline_target, trampoline_text

LIBRARY: Final = "liftcheck's trampoline would call a library routine to copy a structure"
Compile = Callable[[str, Sequence[Target]], Sequence[Sequence[Reply]]]
_MANY: Final = 20_000
"""A campaign has a few thousand; beyond that its worker begins anew."""
_INDIFFERENT: Final = frozenset({
    "enable_verifier", "regalloc_algorithm", "bb_padding_log2_minus_one", "enable_nan_canonicalization", "is_pic",
    "use_colocated_libcalls", "machine_code_cfg_info",
})  # fmt: skip
"""Shared settings that change neither how values are passed nor whether a load, a store and a call of a type compile;
those of an ISA: `Isa.indifferent`."""


@cache
def shared_target(target: Target) -> Target:
    """For what a target's trampolines are compiled: few targets, so that trampolines are made once and not for every
    batch's settings; without the compiler's verifier, as they are all of one form, if the target names that setting
    (a compiler need not have it)."""
    isa = isa_named(target.isa)
    kept = [
        setting
        for setting in trampoline_target(target).settings
        if setting[0] not in _INDIFFERENT and not isa.is_indifferent(setting[0])
    ]
    unverified = [("enable_verifier", "false")] if any(name == "enable_verifier" for name, _ in target.settings) else []
    return Target(target.isa, tuple(sorted((*kept, *unverified))))


def _alone(reply: Reply) -> Reply:
    """A trampoline; a refusal of what is not linked with anything, and yet calls."""
    calls = isinstance(reply, FunctionCode) and reply.relocations
    return CompileFailure("unsupported", LIBRARY, LIBRARY) if calls else reply


class Trampolines:
    """The trampolines that `compile` has made, each for the target that `target_of` gives."""

    def __init__(self, compile: Compile, target_of: Callable[[Target], Target]) -> None:
        self._compile: Final = compile
        self._target_of: Final = target_of
        self._made: Final[dict[Target, dict[Signature, Reply]]] = {}

    def need(self, signatures: Iterable[Signature], targets: Iterable[Target]) -> None:
        """Compiles those not met before; one request for all of them (two where some targets have a pinned
        register)."""
        wanted = {target: self._made.setdefault(target, {}) for target in map(self._target_of, targets)}
        missing = [s for s in dict.fromkeys(signatures) if any(s not in made for made in wanted.values())]
        if not missing:
            return
        for pinned in (False, True):
            chosen = [target for target in wanted if keeps_pinned(target) == pinned]
            text = "\n".join(trampoline_text(s, f"%trampoline{n}", pinned) for n, s in enumerate(missing))
            for target, reply in zip(chosen, self._compile(text, chosen) if chosen else ()):
                wanted[target].update(zip(missing, map(_alone, reply), strict=True))

    def of(self, signature: Signature, target: Target) -> Reply:
        """A trampoline that was needed."""
        return self.made_for(target)[signature]

    def made_for(self, target: Target) -> dict[Signature, Reply]:
        """All that were needed for a target."""
        return self._made.setdefault(self._target_of(target), {})

    def one(self, signature: Signature, target: Target) -> Reply:
        """A trampoline, compiled now if it was not before."""
        self.need([signature], [target])
        return self.of(signature, target)

    def limit(self) -> None:
        """Forgets all if they have become many."""
        if sum(map(len, self._made.values())) > _MANY:
            self._made.clear()
