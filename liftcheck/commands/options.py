"""Readers of option values, and the options that several commands share.

Each reader turns one option's text into a value or raises `ArgumentTypeError`, whose message names the valid choices
and the nearest miss; argparse prefixes it with the option. Nothing here touches a compiler: whether a setting, a
profile or a version exists is asked of the part that owns it, when the command runs.
"""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from liftcheck.errors import UsageError
from liftcheck.isa import ISA_ALIASES, ISAS
from liftcheck.runners.table import NAMES

OPT_LEVELS: Final = ("none", "speed", "speed_and_size")
RUNNERS: Final = ("auto", *NAMES)
DEFAULT_COMPILER: Final = "cranelift"

_UNIT_SECONDS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_DURATION_PART: Final = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")


def near_miss(word: str, choices: Iterable[str]) -> str:
    """The choice that `word` was probably meant to be, as '; did you mean X?', or ''."""
    import difflib  # only wrong usage needs it

    close = difflib.get_close_matches(word, list(choices), n=1, cutoff=0.5)
    return f"; did you mean {close[0]}?" if close else ""


def choice_error(what: str, word: str, choices: Sequence[str]) -> argparse.ArgumentTypeError:
    """The complaint that `word` is not one of `choices`."""
    return argparse.ArgumentTypeError(
        f"unknown {what} '{word}'{near_miss(word, choices)} (there are: {', '.join(choices)})"
    )


def isa_list(text: str) -> list[str]:
    """One ISA, several with commas between, or 'all'."""
    names: list[str] = []
    for word in _words(text):
        name = ISA_ALIASES.get(word.lower(), word.lower())
        if name == "all":
            names.extend(ISAS)
        elif name in ISAS:
            names.append(name)
        else:
            raise choice_error("ISA", word, (*ISAS, *ISA_ALIASES))
    return names


def opt_levels(text: str) -> list[str]:
    """Optimization levels with commas between."""
    return _chosen("optimization level", text, OPT_LEVELS)


def runner_names(text: str) -> list[str]:
    """Runners with commas between; 'auto' takes the best for each program."""
    return _chosen("runner", text, RUNNERS)


def _chosen(what: str, text: str, choices: tuple[str, ...]) -> list[str]:
    words = _words(text)
    for word in words:
        if word not in choices:
            raise choice_error(what, word, choices)
    return list(dict.fromkeys(words))


def _words(text: str) -> list[str]:
    words = [word.strip() for word in text.split(",")]
    if not all(words):
        raise argparse.ArgumentTypeError(f"'{text}' has an empty item")
    return words


def duration(text: str) -> float:
    """Seconds of '90', '90s', '10m', '1h30m', '500ms'; more than zero."""
    lowered = text.strip().lower()
    if re.fullmatch(r"\d+(\.\d+)?", lowered):
        seconds = float(lowered)
    elif lowered and not _DURATION_PART.sub("", lowered):
        seconds = sum(float(number) * _UNIT_SECONDS[unit] for number, unit in _DURATION_PART.findall(lowered))
    else:
        raise argparse.ArgumentTypeError(f"'{text}' is not a duration: write 90s, 10m, 1h or 1h30m")
    if seconds <= 0:
        raise argparse.ArgumentTypeError(f"'{text}' is not a time: write 90s, 10m or 1h")
    return seconds


def setting(text: str) -> tuple[str, str]:
    """`name=value` of a compiler setting; the bare name switches it on (or applies the preset)."""
    name, equals, value = text.partition("=")
    if not re.fullmatch(r"[A-Za-z][\w.-]*", name) or (equals and not value):
        raise argparse.ArgumentTypeError(
            f"'{text}' is not a setting: write name=value (has_zbb=true) or a preset's name"
        )
    return name, {"on": "true", "off": "false"}.get(value, value) if equals else "true"


def positive(text: str) -> int:
    """A whole number of at least 1."""
    value = whole(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"'{text}' must be at least 1")
    return value


def whole(text: str) -> int:
    """A whole number of at least 0, decimal or with 0x."""
    try:
        value = int(text, 0)
    except ValueError:
        raise argparse.ArgumentTypeError(f"'{text}' is not a whole number") from None
    if not 0 <= value < 2**64:
        raise argparse.ArgumentTypeError(f"'{text}' is not between 0 and 2^64-1")
    return value


def fresh_seed() -> int:
    """A seed for a campaign that names none; it is printed, so that the campaign can be repeated."""
    return int.from_bytes(os.urandom(4), "little")


def cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def flat(groups: Sequence[Sequence[str]] | None, default: Sequence[str]) -> tuple[str, ...]:
    """What a repeatable list option gathered, each once and in order, or the default."""
    return tuple(dict.fromkeys(item for group in groups for item in group)) if groups else tuple(default)


def add_isa(parser: argparse.ArgumentParser, help_text: str) -> None:
    parser.add_argument(
        "--isa", action="append", type=isa_list, metavar="ISA", help=f"{help_text}; repeatable ({', '.join(ISAS)})"
    )


def one_isa(text: str) -> str:
    """The name of one ISA."""
    name = ISA_ALIASES.get(text.lower(), text.lower())
    if name not in ISAS:
        raise choice_error("ISA", text, (*ISAS, *ISA_ALIASES))
    return name


def add_compiler(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--compiler",
        default=DEFAULT_COMPILER,
        metavar="NAME[@VERSION]",
        help="compiler under test: cranelift, cranelift@0.130.0, or a name from "
        "`liftcheck compiler list` (default: the newest Cranelift that cargo here can build)",
    )


def add_compilers(parser: argparse.ArgumentParser) -> None:
    """One compiler, or two to compare."""
    parser.add_argument(
        "--compiler",
        action="append",
        metavar="NAME[@VERSION]",
        help="compiler under test: cranelift, cranelift@0.130.0, or a name from `liftcheck compiler list` "
        "(default: the newest Cranelift that cargo here can build); given twice, the second is compared with the first",
    )


def two_compilers(given: Sequence[str] | None) -> tuple[str, str]:
    """(the first of two, or '', and the compiler under test)."""
    several = list(given or [DEFAULT_COMPILER])
    if len(several) > 2:
        raise UsageError(
            f"--compiler {' '.join(several)}: one compiler under test, or two, the second against the first"
        )
    return several[0] if len(several) == 2 else "", several[-1]


def add_settings(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--set",
        action="append",
        type=setting,
        default=[],
        dest="settings",
        metavar="NAME=VALUE",
        help="a compiler setting for every compilation, shared or the ISA's own; repeatable",
    )


def add_opt(parser: argparse.ArgumentParser, default: str) -> None:
    parser.add_argument(
        "--opt",
        action="append",
        type=opt_levels,
        metavar="LEVELS",
        help=f"optimization levels, separated by commas: none, speed, speed_and_size (default: {default})",
    )


FUEL: Final = 100_000_000
LONGEST: Final = 10.0
"""The same as in `oracles.patience` (a test compares them)."""


def add_fuel(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--fuel",
        type=positive,
        default=FUEL,
        metavar="N",
        help="instructions before the reference interpreter gives up on a run (default: %(default)s)",
    )


def add_time(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--time",
        type=duration,
        default=LONGEST,
        metavar="T",
        dest="longest",
        help="processor time after which compiled code is given up and counts as undecided; all calls of "
        "a function on a target together (default: 10s)",
    )


class _MoreNames(argparse.Action):
    """Names of a repeated option follow one another; the first ones take the default's place."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: object,
        option_string: str | None = None,
    ) -> None:
        assert isinstance(values, list)
        before = getattr(namespace, self.dest)
        setattr(namespace, self.dest, values if before is self.default else [*before, *values])


def add_runner(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--runner",
        type=runner_names,
        action=_MoreNames,
        default=["auto"],
        metavar="NAMES",
        help=f"what runs the code: auto (the fastest that can), {', '.join(NAMES)}; separated by commas",
    )


def add_jobs(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--jobs", type=positive, metavar="N", help="worker processes (default: one per core)")


def add_known(parser: argparse.ArgumentParser) -> None:
    """`--known FILE`: for the commands that tell new findings from known ones."""
    parser.add_argument(
        "--known",
        action="append",
        default=[],
        metavar="FILE",
        help="findings whose cause is in this list do not count as found (docs/known.md); repeatable. liftcheck's "
        "own list for Cranelift's versions comes first; 'none' leaves it out",
    )


def add_json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--json",
        action="store_true",
        help="print one JSON object on standard output (docs/json.md); progress goes to standard error",
    )


def add_what(parser: argparse.ArgumentParser) -> None:
    """What a command makes small first."""
    parser.add_argument(
        "what", metavar="FINDING|FILE", help="a finding's folder, or a .clif file (- for standard input)"
    )


def add_patience(parser: argparse.ArgumentParser) -> None:
    """How long it is made small."""
    parser.add_argument(
        "--time",
        type=duration,
        default=60.0,
        metavar="DURATION",
        help="stop making it smaller after this long (default: 60s)",
    )


def names_folder(args: argparse.Namespace, command: str, for_files: Iterable[str]) -> bool:
    """Whether `what` is a finding's folder; UsageError if it is, and one of the options `for_files` is given."""
    place = Path(args.what)
    if not place.is_dir() and place.name != "finding.json":
        return False
    given = next((name for name in for_files if getattr(args, name)), "").replace("settings", "set")
    if given:
        raise UsageError(f"liftcheck {command}: --{given} is for files; a finding's folder says all that itself")
    return True
