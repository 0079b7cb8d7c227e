"""Cranelift as a compiler under test: one long-lived bridge process, asked with texts, replaced when it dies.

The one idea: a request that kills the bridge is repeated without the pair of function and target that was being
compiled, and that pair alone decides, in a process of its own, what it did. So the guilty function is a typed failure,
the others are compiled, and a kill from outside is not noticed. What was never compiled is never in
a reply.
Not thread-safe: a `Cranelift` a worker. After a fork the child gets a bridge of its own.
"""

from __future__ import annotations

import difflib
import os
import re
import struct
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Any, Final

from liftcheck.case import CompileFailure, Target
from liftcheck.compilers.base import Complaint, Reply, Setting, UnknownSetting
from liftcheck.compilers.child import Child, Died
from liftcheck.compilers.cranelift import builds, capture, failures, protocol
from liftcheck.compilers.cranelift.builds import Build
from liftcheck.compilers.cranelift.capture import PlantedFault
from liftcheck.errors import InputError, InternalError, Unavailable, Unsupported, UsageError
from liftcheck.isa import ISA_ALIASES, ISAS, LISTED
from liftcheck.isa.base import isa_named
from liftcheck.regalloc.allocation import Captured

DEFAULTS: Final = (
    ("enable_llvm_abi_extensions", "true"),
    ("enable_multi_ret_implicit_sret", "true"),
    ("preserve_frame_pointers", "true"),
)
"""Without them i128 in signatures, vector returns and tail calls are refused on some ISAs."""

TIMEOUT: Final = 5.0
LONG_TEXT: Final = 200_000
"""Bytes of text that add a second, twice as many four: a compiler's time grows with the square of a function's length.
5 s are a bug where programs are as short as they usually are, and nothing special for a function of a megabyte."""
MEMORY: Final = 2 << 30
Decided = dict[tuple[int, int], Reply]
_FUNCTION: Final = re.compile(r"^[ \t]*function\b", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class _Work:
    """One compile request: the text, targets with settings as given, what is wanted in addition to code, time per pair.

    ahead: what stands in front of the text in the request (see `capture.py`).
    """

    text: str
    targets: tuple[Target, ...]
    wants: int
    timeout: float
    raw: bool
    ahead: bytes = b""


def patience(text: str, timeout: float) -> float:
    """Processor seconds that each function of a text may take, where a short one may take `timeout`."""
    return round(timeout + (len(text) / LONG_TEXT) ** 2, 1)


class Cranelift:
    """A Cranelift of one build. `name` opens it again; `timeout`: processor seconds a function, more in long texts (see
    `patience`); `memory`: bytes."""

    def __init__(
        self,
        spec: str | Build = "cranelift",
        profile: str = builds.FUZZ,
        timeout: float = TIMEOUT,
        memory: int = MEMORY,
    ) -> None:
        self.build: Final = spec if isinstance(spec, Build) else builds.ensure(spec, profile)
        self.name: Final = self.build.spec
        self.version: Final = self.build.version
        self.timeout = timeout
        self.memory = memory
        self.deaths = 0
        self._always: Final = frozenset({"srclocs"} if builds.numbers(self.version) < (0, 110) else ())
        """Before 0.110 only loads and stores with a source location are in the trap table of three ISAs."""
        self._child: Child | None = None
        self._handles: dict[tuple[Target, bool], int] = {}
        self._settings: dict[str, dict[str, Setting]] = {}

    def __enter__(self) -> Cranelift:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def traces_rules(self) -> bool:
        """Whether `wants={'rules'}` can be answered: from 0.130 on."""
        return builds.numbers(self.version) >= (0, 130)

    @property
    def cache_key(self) -> str:
        """What identifies the build."""
        return f"{self.version}-{self.build.profile}-{self.build.key}"

    @property
    def pid(self) -> int:
        """The bridge's process."""
        return self._running().pid

    def close(self) -> None:
        """Ends the bridge; the next request starts another."""
        if self._child is not None:
            self._child.close()
        self._child = None
        self._handles.clear()

    # -- requests

    def compile_text(
        self,
        text: str,
        targets: Sequence[Target],
        wants: frozenset[str] = frozenset(),
        timeout: float | None = None,
        raw: bool = False,
    ) -> list[list[Reply]]:
        """Compiles every function of `text` for every target.

        `raw` leaves out DEFAULTS: settings are exactly the target's. A text that the reader refuses comes back as
        failures of kind 'input', function by function; one that holds no function raises InputError.
        """
        if "rules" in wants and not self.traces_rules:
            raise Unsupported(f"{self.name} does not say which ISLE rules matched (0.130 and newer do)")
        return self._run(
            _Work(
                text,
                tuple(targets),
                protocol.wants_mask(wants | self._always),
                patience(text, timeout or self.timeout),
                raw,
            )
        )

    def allocations(
        self,
        text: str,
        targets: Sequence[Target],
        fault: PlantedFault | None = None,
        with_text: bool = False,
        timeout: float | None = None,
        raw: bool = False,
    ) -> list[list[Captured | CompileFailure]]:
        """Compiles like `compile_text` and says what register allocation was given and answered: what `capture` reads.

        Only a bridge of the profile 'regalloc' can: `Cranelift(spec, builds.REGALLOC)`; Unsupported from any other.
        The code is the same as the ordinary bridge's. `with_text`: `Instruction.text` is filled. `fault` is
        planted in the allocation before code is made from it, and `Allocation.fault` says how.
        """
        if self.build.profile != builds.REGALLOC:
            raise Unsupported(
                f"{self.build.name} does not show register allocation: open it with the profile '{builds.REGALLOC}'"
            )
        read = with_text and any(isa_named(target.isa).emitted for target in targets)
        shown = {"frame", "vcode"} if read else {"frame"}
        wants = protocol.wants_mask(self._always | shown) | protocol.ALLOCATION | (with_text and protocol.TEXT)
        work = _Work(text, tuple(targets), wants, patience(text, timeout or self.timeout), raw, capture.request(fault))
        version = (
            () if "=" in self.build.spec else builds.numbers(self.version)
        )  # a checkout's says nothing of its code
        return capture.read_all(self._run(work), [target.isa for target in targets], version)

    def _run(self, work: _Work) -> list[list[Reply]]:
        try:
            columns = self._compile(work)
        except Died as died:
            columns = self._compile_again(work, died)
        return _complete(columns)

    def verify_text(self, text: str, target: Target | None = None) -> list[Complaint]:
        """What the reader (its first complaint) or the verifier (all of them) has against the text; [] accepts it."""
        try:
            return self._verify(text, target)
        except Died:
            self.close()
        try:
            return self._verify(text, target)
        except Died as died:
            failure = failures.death(died.status, died.words, died.timeout)
            return [Complaint("panic", 0, "", failure.reason + ": " + failure.message)]

    def _verify(self, text: str, target: Target | None) -> list[Complaint]:
        handle = protocol.NONE if target is None else self._handle(target, False)
        answer, _ = protocol.head(self._exchange(b"V" + struct.pack("<I", handle) + text.encode(), self.timeout))
        _check(answer)
        return protocol.complaints(answer)

    def read_filetest(self, text: str) -> list[Complaint]:
        """What upstream's reader has against a whole filetest, run lines included; [] accepts it."""
        return protocol.complaints(self._ask(b"R" + text.encode()))

    def settings(self, isa: str) -> dict[str, Setting]:
        """Every setting of this version on `isa`, by name."""
        if isa not in self._settings:
            rows = self._ask(b"S" + _triple(isa).encode())["settings"]
            self._settings[isa] = {
                name: Setting(name, kind, tuple(values), default, description, shared)
                for name, kind, values, default, description, shared in rows
            }
        return self._settings[isa]

    def info(self) -> dict[str, object]:
        """'cranelift' and 'regalloc2' versions, whether 'assertions' are on and 'rules' can be traced."""
        return self._ask(b"I")

    # -- compiling

    def _compile(self, work: _Work, skip: Decided | None = None) -> list[protocol.Column]:
        handles = [self._handle(target, work.raw) for target in work.targets]
        request = protocol.compile_request(work.text, handles, work.wants, tuple(skip or ()), ahead=work.ahead)
        reply = self._exchange(request, work.timeout)
        answer, at = protocol.head(reply)
        if "results" in answer:
            return _filled(protocol.results(answer, reply, at), skip)
        _check(answer)
        return self._compile_pieces(work, protocol.refused_text(protocol.complaints(answer)[0]))

    def _compile_again(self, work: _Work, died: Died) -> list[protocol.Column]:
        """After a death: without what is known to be guilty, until an answer comes."""
        decided: Decided = {}
        strikes: Counter[tuple[int, int] | None] = Counter()
        while True:
            strikes[died.at] += 1
            if died.at is not None:
                decided |= self._verdict(work, died, strikes[died.at], decided)
            elif strikes[None] > 1:
                return self._compile_pieces(work, failures.death(died.status, died.words, died.timeout))
            try:
                return self._compile(work, decided)
            except Died as again:
                died = again

    def _verdict(self, work: _Work, died: Died, strikes: int, decided: Decided) -> Decided:
        """What is decided about the pair that was being compiled; nothing if it was killed from outside."""
        assert died.at is not None
        endless = any(
            function == died.at[0] and isinstance(reply, CompileFailure) and reply.kind == "timeout"
            for (function, _), reply in decided.items()
        )
        if died.timeout is not None and endless:
            return {died.at: failures.death(died.status, died.words, died.timeout)}
        verdict = self._alone(work, *died.at)
        return {died.at: verdict} if isinstance(verdict, CompileFailure) or strikes > 1 else {}

    def _alone(self, work: _Work, function: int, target: int) -> Reply:
        """What one function does on one target in a process of its own."""
        self.close()
        try:
            handles = [self._handle(work.targets[target], work.raw)]
            request = protocol.compile_request(work.text, handles, work.wants, (), function, work.ahead)
            reply = self._exchange(request, work.timeout)
        except Died as died:
            return failures.death(died.status, died.words, died.timeout)
        answer, at = protocol.head(reply)
        found = protocol.results(answer, reply, at)[0][function]
        assert found is not None
        return found

    def _compile_pieces(self, work: _Work, refusal: CompileFailure) -> list[protocol.Column]:
        """A text that cannot be read as a whole, function by function; line numbers stay."""
        pieces = list(_pieces(work.text))
        if not pieces:
            raise InputError.at(refusal.message or refusal.reason)
        if len(pieces) == 1:
            return [[refusal] for _ in work.targets]
        columns: list[protocol.Column] = [[] for _ in work.targets]
        for piece in pieces:
            parts = self._compile_piece(work, piece)
            for column, part in zip(columns, parts):
                column += part
        return columns

    def _compile_piece(self, work: _Work, piece: str) -> list[protocol.Column]:
        """One piece of a text, with the whole machinery around it."""
        part = replace(work, text=piece)
        try:
            return self._compile(part)
        except Died as died:
            return self._compile_again(part, died)

    # -- talking

    def _running(self) -> Child:
        if self._child is None or self._child.owner != os.getpid():
            self._handles.clear()
            try:
                self._child = Child([self.build.binary], self.memory)
            except OSError as error:
                raise Unavailable(
                    f"the bridge of {self.name} does not start ({error}): liftcheck compiler add {self.name}"
                ) from error
        return self._child

    def _exchange(self, request: bytes, timeout: float) -> bytes:
        try:
            return self._running().exchange(request, timeout)
        except Died:
            self.deaths += 1
            self._child = None
            self._handles.clear()
            raise
        except BaseException:
            # An interrupted exchange leaves half a message in the pipe.
            self.close()
            raise

    def _ask(self, request: bytes) -> dict[str, Any]:
        """A request without machine code in its reply; a death is tried once more."""
        try:
            reply = self._exchange(request, self.timeout)
        except Died:
            reply = self._exchange(request, self.timeout)
        answer, _ = protocol.head(reply)
        _check(answer)
        return answer

    def _handle(self, target: Target, raw: bool) -> int:
        child = self._child
        if child is None or child.owner != os.getpid():
            self._running()
        found = self._handles.get((target, raw))
        if found is None:
            found = self._handles[target, raw] = self._make_isa(target, raw)
        return found

    def _make_isa(self, target: Target, raw: bool) -> int:
        settings = dict(target.settings)
        if not raw:
            known = self.settings(target.isa)
            settings = {name: value for name, value in DEFAULTS if name in known} | settings
        lines = [_triple(target.isa), *(f"{name}={value}" for name, value in settings.items())]
        reply = self._exchange(b"T" + "\n".join(lines).encode(), self.timeout)
        answer, _ = protocol.head(reply)
        _check(answer)
        if "refused" in answer:
            self._refuse(target, answer["refused"], answer["name"], answer["message"])
        return int(answer["handle"])

    def _refuse(self, target: Target, kind: str, name: str, message: str) -> None:
        here = f"{self.name} on {target.isa}"
        if kind == "combination":
            raise Unsupported(f"{here} refuses these settings together: {message}")
        known = self.settings(target.isa)
        if kind == "value":
            setting = known[name.partition("=")[0]]
            values = ", ".join(setting.values) or {"bool": "true, false", "num": "0 … 255"}.get(setting.kind, "preset")
            raise UnknownSetting(f"{here}: '{name}' is not among {values}", setting.name)
        near = difflib.get_close_matches(name, known, 3) or sorted(n for n in known if not known[n].shared)[:8]
        raise UnknownSetting(f"{here} has no setting '{name}'; there is {', '.join(near)}, …", name)


def _triple(isa: str) -> str:
    name = ISA_ALIASES.get(isa, isa)
    if name not in ISAS:
        raise UsageError(f"no ISA called '{isa}'; there is {', '.join(ISAS)}")
    return LISTED[name].triple


def _check(answer: dict[str, object]) -> None:
    if "error" in answer:
        raise InternalError(f"the bridge does not understand: {answer['error']}")


def _filled(columns: list[protocol.Column], skip: Decided | None) -> list[protocol.Column]:
    for (function, target), reply in (skip or {}).items():
        columns[target][function] = reply
    return columns


def _complete(columns: list[protocol.Column]) -> list[list[Reply]]:
    done: list[list[Reply]] = []
    for column in columns:
        assert None not in column
        done.append(column)  # type: ignore[arg-type]
    return done


def _pieces(text: str) -> Iterator[str]:
    """Each function of a text on its own, after as many lines as stood before it: empty except for a first `test run`,
    which says what a signature without a convention means."""
    starts = [found.start() for found in _FUNCTION.finditer(text)]
    first = "test run" if text.startswith("test run\n") else ""
    for start, end in zip(starts, [*starts[1:], len(text)]):
        yield first + "\n" * text.count("\n", 0, start) + text[start:end]
