"""The list of ISAs and their values: each has one, of its name, and what it names exists."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import fields

import pytest

from liftcheck.errors import InternalError
from liftcheck.isa import BIG_ENDIAN, ISA_ALIASES, ISAS, LISTED, byte_order
from liftcheck.isa.base import EVERY, Isa, isa_named
from liftcheck.mach.insn import decode
from liftcheck.runners.table import NAMES


@pytest.mark.parametrize("isa", ISAS)
def test_each_has_a_value_of_its_name(isa: str) -> None:
    value = isa_named(isa)
    assert value.name == isa and value.listed is LISTED[isa] and value.byte_order == byte_order(isa)
    assert value is isa_named(isa)


@pytest.mark.parametrize("isa", ISAS)
def test_what_a_value_names_in_its_package_is_there(isa: str) -> None:
    value = isa_named(isa)
    words = [word for field in fields(Isa) if isinstance(word := getattr(value, field.name), str) and ":" in word]
    values = (value.errata, value.backend)
    assert value.reader in words and all(callable(value.part(word)) for word in words if word not in values)
    assert not value.backend or value.part(value.backend) is not None
    assert value.part("") is None
    with pytest.raises(AttributeError):
        value.part(value.reader.partition(":")[0] + ":nothing_of_this_name")


@pytest.mark.parametrize("isa", ISAS)
def test_a_return_has_the_size_that_its_first_byte_says(isa: str) -> None:
    value, code = isa_named(isa), bytes.fromhex(isa_named(isa).ret)
    (machine,) = decode(isa, code)
    assert machine.known and machine.size == len(code) and not machine.size % value.alignment
    assert not value.sizes or value.sizes[code[0]] == machine.size


@pytest.mark.parametrize("isa", ISAS)
def test_extensions_are_known_by_their_probes(isa: str) -> None:
    value = isa_named(isa)
    known = {*value.probes, *(name for names in value.implied.values() for name in names)}
    named = {*value.plain, *value.rich, *value.optional, *(() if value.indifferent is EVERY else value.indifferent)}
    assert {name for name in named if not name.startswith("has_zvl")} <= known
    assert set(value.plain) <= set(value.rich) and set(value.optional) <= set(value.rich)
    assert {*value.unprobed, *value.preferred} <= set(NAMES)


def test_names_and_aliases_mean_one_isa_each() -> None:
    words = [*ISAS, *ISA_ALIASES, *(word for row in LISTED.values() for word in row.spellings)]
    assert len(words) == len(set(words)) and set(ISA_ALIASES.values()) <= set(ISAS)
    assert {isa for isa in ISAS if byte_order(isa) == "big"} == BIG_ENDIAN


def test_an_unknown_one_is_named_with_those_there_are() -> None:
    with pytest.raises(InternalError, match=r"no ISA called 'vax'; there is x86-64, .*s390x"):
        isa_named("vax")


def test_the_list_opens_no_value() -> None:
    """The command line reads it whenever it starts."""
    code = "import sys, liftcheck.isa; print([name for name in sys.modules if name.startswith('liftcheck.isa.')])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
