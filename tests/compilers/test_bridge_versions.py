"""Every Cranelift that is built on this machine speaks the same protocol. Only one is built for them."""

from __future__ import annotations

import pytest

from liftcheck.case import CompileFailure, FunctionCode, Target
from liftcheck.clif.text.printer import print_module
from liftcheck.compilers import matrix
from liftcheck.compilers.cranelift import builds
from liftcheck.compilers.cranelift.client import DEFAULTS, Cranelift
from liftcheck.generators import generate
from liftcheck.generators.choices import RandomChoices
from liftcheck.generators.tables import Context
from liftcheck.isa import ISAS

TEXT = """\
function %f(i64, i64) -> i64 system_v {
    sig0 = (i64) -> i64 system_v
    fn0 = %g sig0
    ss0 = explicit_slot 16
block0(v0: i64, v1: i64):
    v2 = call fn0(v0)
    v3 = udiv v2, v1
    v4 = stack_addr.i64 ss0
    store v3, v4
    v5 = load.i64 v1+8
    trapz v5, user7
    return v5
}
"""
OLD_DIALECT = """\
function %old(i64) -> i64 system_v {
block0(v0: i64):
    v1 = iadd_imm v0, 3
    return v1
}
"""


pytestmark = pytest.mark.needs_compiler


def specs() -> list[str]:
    """What is built here by this liftcheck, and what tests are of in any case."""
    fuzz = [build for build in builds.listed() if build.profile == builds.FUZZ and "=" not in build.spec]
    own = {build.spec for build in fuzz if builds.find(build.spec) == build}
    return sorted(own | {f"cranelift@{builds.newest()}"})


@pytest.fixture(scope="module", params=specs())
def cranelift(request: pytest.FixtureRequest) -> Cranelift:
    return Cranelift(request.param)


def test_code_relocations_traps_calls(cranelift: Cranelift) -> None:
    columns = cranelift.compile_text(TEXT, [Target(isa) for isa in ISAS])
    for (found,) in columns:
        assert isinstance(found, FunctionCode), (cranelift.name, found)
        assert [(r.kind, r.name) for r in found.relocations] == [("Abs8", "%g")]
        assert {name for _, name in found.traps} >= {"int_divz", "user7", "heap_oob"}
        assert len(found.calls) == 1 and found.alignment >= 1


def test_extras(cranelift: Cranelift) -> None:
    wants = frozenset({"disassembly", "vcode", "srclocs", "frame", "clif", "blocks"})
    for (found,) in cranelift.compile_text(TEXT, [Target(isa, (("opt_level", "speed"),)) for isa in ISAS], wants):
        assert isinstance(found, FunctionCode)
        assert set(found.extra) == wants
        assert found.extra["disassembly"] and found.extra["srclocs"] and "udiv" in str(found.extra["clif"])


def test_the_dialect_follows_the_version(cranelift: Cranelift) -> None:
    accepted = cranelift.verify_text(OLD_DIALECT) == []
    assert accepted == (builds.numbers(cranelift.version) < (0, 133))


def test_the_matrix(cranelift: Cranelift) -> None:
    for isa in ISAS:
        found = matrix.load(cranelift, isa)
        assert {"iadd.i64", "load.i32", "udiv.i64", "fadd.f64", "call", "br_table"} <= found.has, (cranelift.name, isa)
    assert cranelift.deaths == 0


def test_every_version_reads_what_is_generated_for_it(cranelift: Cranelift) -> None:
    """Opcodes, flags, slots and conventions that came later are left out, by the matrix' word."""
    known = cranelift.settings("x86-64")
    settings = tuple(sorted((*((k, v) for k, v in DEFAULTS if k in known), ("enable_verifier", "false"))))
    context = Context(ISAS, {isa: matrix.load(cranelift, isa, settings) for isa in ISAS})
    done, refused = 0, []
    for seed in range(150):
        case = generate.generate(RandomChoices(seed), "all", context)
        targets = [Target(isa, settings) for isa in case.tags["isas"]]
        replies = [reply for column in cranelift.compile_text(print_module(case.module), targets) for reply in column]
        refused += [
            f"seed {seed}: {reply.message}"
            for reply in replies
            if isinstance(reply, CompileFailure) and reply.kind == "input"
        ]
        done += all(isinstance(reply, FunctionCode) for reply in replies)
    assert not refused and done >= 100, (cranelift.name, done, refused[:3])


def test_values_that_came_later(cranelift: Cranelift) -> None:
    setting = cranelift.settings("x86-64").get("regalloc_algorithm")
    assert (setting is not None and setting.takes("single_pass")) == (builds.numbers(cranelift.version) >= (0, 125))
    opt_level = cranelift.settings("s390x")["opt_level"]
    assert opt_level.takes("speed") and not opt_level.takes("fast")
    verifier = cranelift.settings("s390x")["enable_verifier"]
    assert verifier.takes("false") and not verifier.takes("preset")
