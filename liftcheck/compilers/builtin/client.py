"""`builtin` behind the seam of compilers: texts are read and verified here, functions compiled one by one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from hashlib import blake2b
from pathlib import Path
from typing import Final

from liftcheck.case import CompileFailure, Target
from liftcheck.clif.ir import Function
from liftcheck.clif.text.parser import parse_filetest
from liftcheck.clif.verify import verify
from liftcheck.compilers.base import OPT_LEVEL, Compiler, Reply, Setting, UnknownSetting
from liftcheck.compilers.builtin.pipeline import compile_function, rules_of
from liftcheck.errors import LiftcheckError, UsageError
from liftcheck.isa.base import isa_named
from liftcheck.mach.lower import Refused

VERSION: Final = "0.1"
_SHARED: Final = (
    Setting("preserve_frame_pointers", "bool", (), "false", "each function has a frame pointer", True),
    Setting("enable_llvm_abi_extensions", "bool", (), "false", "more registers for results", True),
    Setting("enable_multi_ret_implicit_sret", "bool", (), "false", "signatures that it has anyway", True),
)


class Builtin(Compiler):
    """The project's own compiler."""

    def __init__(self, spec: str = "builtin") -> None:
        if "@" in spec or "=" in spec:
            raise UsageError(f"{spec}: there is one builtin compiler; say 'builtin'")

    @property
    def name(self) -> str:
        return "builtin"

    @property
    def version(self) -> str:
        return VERSION

    @property
    def cache_key(self) -> str:
        """Changes whenever the compiler does."""
        return f"builtin {_sources()}"

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
            settings = _resolved(target)
            rules_of(target.isa)  # what is wrong in them is no function's fault
            column: list[Reply] = []
            for test in tests.functions:
                if test.function is None:
                    column.append(CompileFailure("unsupported", test.refused))
                else:
                    column.append(_compiled(test.function, target.isa, settings, wants))
            columns.append(column)
        return columns


def _compiled(function: Function, isa: str, settings: Mapping[str, str], wants: frozenset[str]) -> Reply:
    wrong = verify(function, isa)
    if wrong:
        return CompileFailure("input", wrong[0].message, "\n".join(map(str, wrong)))
    try:
        return compile_function(function, isa, settings, wants).code
    except Refused as reason:
        return CompileFailure("unsupported", f"not there yet: {reason}")
    except LiftcheckError as error:
        return CompileFailure("panic", str(error).splitlines()[0], str(error))


def _resolved(target: Target) -> dict[str, str]:
    """The settings, presets spelt out; UnknownSetting."""
    known, presets = _settings(target.isa), isa_named(target.isa).presets
    settings: dict[str, str] = {}
    for name, value in target.settings:
        if name not in known or not known[name].takes(value):
            raise UnknownSetting(f"builtin has no setting {name}={value} on {target.isa}", name)
        if value == "preset":
            settings.update(dict.fromkeys(presets[name].split(), "true"))
        else:
            settings[name] = value
    return settings


@cache
def _settings(isa: str) -> dict[str, Setting]:
    own = isa_named(isa)
    flags = dict.fromkeys([*own.always, *own.plain, *own.rich])
    rows = [OPT_LEVEL, *_SHARED]
    for name in flags:
        rows.append(Setting(name, "bool", (), str(name in own.always).lower(), "an extension", False))
    rows += [
        Setting(name, "preset", ("preset",), "", f"short for {all_of}", False)
        for name, all_of in own.presets.items()
        if set(all_of.split()) <= flags.keys()
    ]
    return {row.name: row for row in rows}


@cache
def _sources() -> str:
    """What changes whenever the compiler does."""
    root = Path(__file__).parents[2]
    parts = ("compilers/builtin", "mach", "regalloc", "isle", "isa", "clif", "opt", "bits")
    paths = sorted(p for part in parts for kind in ("*.py", "*.isle") for p in (root / part).rglob(kind))
    return blake2b(b"".join(path.read_bytes() for path in paths), digest_size=8).hexdigest()
