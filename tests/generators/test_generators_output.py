"""Cases as filetests."""

from __future__ import annotations

from support.generators import context

from liftcheck.case import Target
from liftcheck.clif.text.parser import parse_filetest
from liftcheck.compilers.cranelift.client import Cranelift
from liftcheck.generators.choices import RandomChoices
from liftcheck.generators.filetests import filetest_text
from liftcheck.generators.generate import generate
from liftcheck.interp.run import prepare
from liftcheck.isa import ISAS


def text_of(seed: int, isas: tuple[str, ...] = ISAS, profile: str = "all") -> str:
    case = generate(RandomChoices(seed), profile, context(), name=f"seed {seed}")
    allowed = case.tags["isas"]
    assert isinstance(allowed, tuple)
    return filetest_text(case, [Target(isa, (("opt_level", "speed"),)) for isa in isas if isa in allowed])


def test_run_lines_hold_in_the_interpreter() -> None:
    held = 0
    for seed in range(15):
        parsed = parse_filetest(text_of(seed), f"{seed}.clif")
        prepared = prepare(parsed.module(), big_endian=all(t.isa == "s390x" for t in parsed.targets))
        names = [function.name for function in parsed.functions]
        for place, function in enumerate(parsed.functions):
            for line in function.run_lines:
                outcome = prepared.run(place, line.args, {})
                assert outcome.values == line.expected, (seed, names[place])
                held += 1
    assert held > 80


def test_upstreams_reader_accepts(compiler: Cranelift) -> None:
    for seed in range(15):
        text = text_of(seed)
        assert compiler.read_filetest(text) == [], text


def test_byte_orders_are_not_mixed() -> None:
    texts = [text_of(seed) for seed in range(20)]
    assert any("left out" in text and "target s390x" not in text for text in texts)
    alone = text_of(next(s for s in range(40) if "left out" in text_of(s)), ("s390x",))
    assert "target s390x" in alone and "; run:" in alone


def test_trapping_inputs_are_named() -> None:
    assert any("is not a run line: it trapped (" in text_of(seed, profile="traps") for seed in range(60))


def test_settings_are_said_again_where_they_change() -> None:
    case = generate(RandomChoices(3), "integers", context())
    text = filetest_text(case, [Target("x86-64", (("has_sse3", "true"), ("opt_level", "speed"))), Target("aarch64")])
    lines = [line for line in text.splitlines() if line.startswith(("set opt", "target"))]
    assert lines == ["set opt_level=speed", "target x86_64 has_sse3", "set opt_level=none", "target aarch64"]
