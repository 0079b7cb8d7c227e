"""Targets' extensions, probes, and the choice of a runner."""

from __future__ import annotations

import pytest
from support.runner_samples import RUNNERS, opened

from liftcheck.case import Target
from liftcheck.errors import UsageError
from liftcheck.isa import ISAS
from liftcheck.isa.base import isa_named
from liftcheck.runners.features import choose_runner, features_of, probe, vector_length
from liftcheck.runners.pool import Abilities, RunnerPool, available_runners, open_runner

SSE = {"has_sse3", "has_ssse3", "has_sse41", "has_sse42"}


def test_presets_and_flags_are_united() -> None:
    target = Target("x86-64", (("has_avx", "true"), ("has_bmi1", "false"), ("opt_level", "speed"), ("sse42", "preset")))
    assert features_of(target) == SSE | {"has_avx"}
    assert features_of(Target("riscv64", (("has_c", "preset"), ("has_m", "true")))) == {"has_zca", "has_zcd"}
    assert features_of(Target("s390x", (("arch13", "preset"),))) == {"has_mie3", "has_vxrs_ext2"}
    haswell = features_of(Target("x86-64", (("haswell", "preset"),)))
    assert haswell > SSE | {"has_avx2", "has_fma"}
    assert features_of(Target("x86-64", (("x86-64-v4", "preset"),))) - haswell == {"has_avx512dq", "has_avx512vl"}


def test_vector_length_follows_the_settings() -> None:
    assert vector_length(Target("riscv64", (("has_v", "true"),))) == 128
    assert vector_length(Target("riscv64", (("has_zvl512b", "true"),))) == 512
    assert vector_length(Target("riscv64", (("zvl1024b", "preset"),))) == 1024


@pytest.mark.parametrize("isa", ISAS)
def test_presets_name_features_that_are_probed(isa: str) -> None:
    presets = isa_named(isa).presets
    named = {word for words in presets.values() for word in words.split() if not word.startswith("has_zvl")}
    assert named <= set(isa_named(isa).probes)


@pytest.mark.parametrize(("name", "isa"), RUNNERS)
def test_probes_say_what_runs(name: str, isa: str) -> None:
    found = probe(opened(name, isa))
    floor = {"x86-64": SSE, "aarch64": {"has_lse", "has_fp16"}, "riscv64": {"has_zca"}, "s390x": set()}[isa]
    assert floor <= found
    if name == "unicorn":
        assert not found & {"has_avx", "has_fma", "has_avx512f", "has_zcb", "has_zbb", "has_v", "has_mie3"}
    if (name, isa) == ("qemu", "riscv64"):
        assert {"has_v", "has_zvl128b", "has_zba", "has_zcb", "has_zfa", "has_zicond"} <= found


def test_choice_prefers_and_explains() -> None:
    both = {"unicorn": frozenset({"has_zca"}), "qemu": frozenset({"has_zca", "has_v"})}
    assert choose_runner(Target("riscv64", ()), both) == (["unicorn", "qemu"], "")
    assert choose_runner(Target("riscv64", (("has_v", "true"),)), both) == (["qemu"], "")
    assert choose_runner(Target("riscv64", (("has_zvbb", "true"),)), both) == ([], "no runner here has has_zvbb")
    assert choose_runner(Target("s390x", ()), {}) == ([], "no runner for s390x")


def test_pool_hands_out_one_runner_and_openers_of_new_ones() -> None:
    pool, target = RunnerPool("unicorn"), Target("aarch64", ())
    runner = pool.pick(target, [])
    assert pool.pick(target, []) is runner
    assert pool.names(target) == ("unicorn",)
    openers = pool.every(target, [])
    assert [opener().name for opener in openers] == ["unicorn"]
    assert pool.pick(Target("x86-64", (("has_avx", "true"),)), []) == "no runner here has has_avx"
    pool.close()


def test_pool_is_limited_by_names() -> None:
    pool = RunnerPool("unicorn,native")
    assert "qemu" not in pool.names(Target("s390x", ()))
    assert RunnerPool("auto").allowed == {"unicorn", "native", "qemu"}
    pool.close()


def test_unknown_runners_are_usage_errors() -> None:
    with pytest.raises(UsageError, match="choose auto"):
        RunnerPool("bochs")
    with pytest.raises(UsageError, match="no runner 'native' for s390x"):
        open_runner("native", "s390x")


@pytest.mark.needs_qemu
def test_available_runners_give_features_or_a_reason() -> None:
    for isa in ISAS:
        found = available_runners(isa)
        assert isinstance(found["unicorn"], Abilities)
        assert all(isinstance(what, Abilities) or "apt-get" in what or "host" in what for what in found.values())
