"""`llvm`: LLVM behind the seam of compilers. Functions are translated here and compiled one by one in LLVM's process.

A function that LLVM ends at is given up alone; what LLVM cannot select is a refusal, every other death a finding.
"""

from __future__ import annotations

import os
import pickle
import re
import sys
from collections.abc import Iterator, Sequence
from functools import cache
from hashlib import blake2b
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from liftcheck.case import CompileFailure, FunctionCode, Target
from liftcheck.clif.ir import Function
from liftcheck.clif.text.parser import parse_filetest
from liftcheck.compilers.base import OPT_LEVEL, Compiler, Reply, Setting, UnknownSetting
from liftcheck.compilers.child import Child, Died
from liftcheck.compilers.llvm.body import Refused
from liftcheck.compilers.llvm.objects import contents
from liftcheck.compilers.llvm.translate import Translated, translate
from liftcheck.compilers.llvm.worker import Order
from liftcheck.errors import Unavailable, UsageError
from liftcheck.isa.base import isa_named
from liftcheck.isa.llvm import Llvm
from liftcheck.mach.insn import decode

LEVELS: Final = {"none": 0, "speed": 2, "speed_and_size": 2}
SECONDS: Final = 20.0
"""Of processor time that one function may take."""
_MEMORY: Final = 4 << 30
_WORKER: Final = (sys.executable, "-m", "liftcheck.compilers.llvm.worker")
_SELECTS: Final = re.compile(
    r"LLVM ERROR: (Cannot select|unsupported|unable to|do not know how|failed to perform tail call|.*not supported)",
    re.I,
)
_TRIPLE: Final = "{}-unknown-linux-gnu"
_FRAME: Final = "preserve_frame_pointers"
_SHARED: Final = (
    Setting(_FRAME, "bool", (), "false", "each function has a frame pointer", True),
    Setting("enable_llvm_abi_extensions", "bool", (), "false", "signatures that LLVM has anyway", True),
    Setting("enable_multi_ret_implicit_sret", "bool", (), "false", "signatures that LLVM has anyway", True),
)


class Llvm22(Compiler):
    """The LLVM that llvmlite has."""

    def __init__(self, spec: str) -> None:
        if "@" in spec or "=" in spec:
            raise UsageError(f"{spec}: there is one LLVM, that of llvmlite; say 'llvm'")
        if find_spec("llvmlite") is None:
            raise Unavailable("llvmlite is not installed: pip install 'liftcheck[llvm]'")
        self._child: Child | None = None

    @property
    def name(self) -> str:
        return "llvm"

    @property
    def version(self) -> str:
        return metadata.version("llvmlite")

    @property
    def cache_key(self) -> str:
        """Changes whenever the translation does, or llvmlite."""
        return f"{self.version} {_sources()}"

    def settings(self, isa: str) -> dict[str, Setting]:
        return dict(_settings(isa))

    def compile_text(
        self, text: str, targets: Sequence[Target], wants: frozenset[str] = frozenset()
    ) -> list[list[Reply]]:
        """One list a target, of the functions of the text."""
        tests = parse_filetest(text, strict=False)
        if tests.errors:
            failed = CompileFailure("input", "the text is not read", str(tests.errors[0]))
            return [[failed for _ in tests.functions] for _ in targets]
        columns: list[list[Reply]] = []
        for target in targets:
            facts = _facts(target.isa)
            order = self._order(target, facts)
            done: list[Reply] = []
            for test in tests.functions:
                if test.function is None:
                    done.append(CompileFailure("unsupported", test.refused))
                else:
                    done.append(self._compile(test.function, target, facts, order))
            columns.append(done)
        return columns

    def close(self) -> None:
        if self._child is not None:
            self._child.close()
            self._child = None

    def _order(self, target: Target, facts: Llvm) -> Order:
        """An order without its text; UnknownSetting."""
        known, level, features = _settings(target.isa), "none", [facts.features] if facts.features else []
        presets = isa_named(target.isa).presets
        for name, value in target.settings:
            if name not in known or not known[name].takes(value):
                raise UnknownSetting(f"llvm has no setting {name}={value} on {target.isa}", name)
            if name == OPT_LEVEL.name:
                level = value
            elif value != "false":
                flags = presets[name].split() if value == "preset" else [name]
                features += [f"+{facts.extensions[flag]}" for flag in flags if flag in facts.extensions]
        triple = _TRIPLE.format(isa_named(target.isa).listed.triple.split("-")[0])
        return Order("", triple, facts.cpu, ",".join(features), facts.abi, LEVELS[level])

    def _compile(self, function: Function, target: Target, facts: Llvm, order: Order) -> Reply:
        try:
            small, framed = (one in target.settings for one in ((OPT_LEVEL.name, "speed_and_size"), (_FRAME, "true")))
            said = translate(function, facts, target.big_endian, order.triple, small, framed)
            answer = self._asked(order._replace(text=said.text))
            if isinstance(answer, CompileFailure):
                return answer
            return self._code(function.name, answer, target, facts, said)
        except Refused as reason:
            return CompileFailure("unsupported", str(reason))

    def _asked(self, order: Order) -> bytes | CompileFailure:
        if self._child is None or self._child.owner != os.getpid():
            self._child = Child(_WORKER, _MEMORY)
        try:
            answer = pickle.loads(self._child.exchange(pickle.dumps(order), SECONDS))
        except Died as death:
            self._child = None
            if death.timeout is not None:
                return CompileFailure("timeout", f"longer than {SECONDS:.0f} s")
            words = next((line for line in death.words.splitlines() if "LLVM ERROR" in line), "") or death.words[-400:]
            reason = re.sub(r"0x[0-9a-f]+|\bt\d+\b|\d+", "_", words)[:120]
            return CompileFailure("unsupported" if _SELECTS.search(words) else "abort", reason or "died", death.words)
        if isinstance(answer, bytes):
            return answer
        return CompileFailure("input", "LLVM does not read our text", answer[1])

    def _code(self, name: str, data: bytes, target: Target, facts: Llvm, said: Translated) -> FunctionCode:
        found = contents(data, facts, target.big_endian, said.called)
        traps = list(found.traps)
        if said.faults:
            traps += [(at, said.faults) for at in _accesses(target.isa, found.code[: found.size])]
        return FunctionCode(name, found.code, found.alignment, found.relocations, tuple(sorted(set(traps))))


def _accesses(isa: str, code: bytes) -> Iterator[int]:
    """Offsets of the instructions that access memory, as the rows say; and of those that no row knows."""
    at = 0
    for instruction in decode(isa, code):
        if instruction.accesses or not instruction.known:
            yield at
        at += instruction.size


@cache
def _settings(isa: str) -> dict[str, Setting]:
    own, features = isa_named(isa), _facts(isa).extensions
    rows = [OPT_LEVEL, *_SHARED]
    rows += [Setting(name, "bool", (), "false", f"LLVM's feature {text}", False) for name, text in features.items()]
    rows += [Setting(name, "bool", (), "true", "always there", False) for name in sorted(own.always)]
    rows += [
        Setting(name, "preset", ("preset",), "", f"short for {flags}", False)
        for name, flags in own.presets.items()
        if set(flags.split()) <= features.keys() | own.always
    ]
    return {row.name: row for row in rows}


def _facts(isa: str) -> Llvm:
    facts: Llvm = isa_named(isa).part("llvm:LLVM")
    return facts


@cache
def _sources() -> str:
    """What changes whenever the translation does."""
    folder = Path(__file__).parent
    return blake2b(b"".join(path.read_bytes() for path in sorted(folder.glob("*.py"))), digest_size=8).hexdigest()
