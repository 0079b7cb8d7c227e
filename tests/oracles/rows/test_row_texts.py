"""`ci/experiments/row_texts.py`: what GNU as refuses is counted, in however many passes, and another form is told from
another instruction."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from support.scripts import load

from liftcheck.isa.base import isa_named
from liftcheck.mach.rows.table import Decoded, Table

texts = load("experiments/row_texts")


@pytest.fixture(scope="module")
def table() -> Table:
    made = isa_named("x86-64").part(isa_named("x86-64").rows)()
    assert isinstance(made, Table)
    return made


def read(table: Table, code: str) -> Decoded:
    found = table.decode(bytes.fromhex(code))
    assert found is not None
    return found


def test_what_is_refused_in_a_second_pass_is_a_row_too(table: Table) -> None:
    """As GNU as does, which reports errors of its own passes only where the first had none."""
    asked = [read(table, code) for code in ("4889d8", "4801d8", "90", "4829d8")]

    def assemble(_isa: str, left: Sequence[Decoded], _more: Sequence[str]) -> tuple[dict[int, str], bytes]:
        for name in ("mov", "add"):
            if wrong := {place: f"no {name}" for place, one in enumerate(left) if one.row.name == name}:
                return wrong, b""
        return {}, b"".join((one.data + bytes([texts.END])).ljust(texts.SLOT, b"\0") for one in left)

    refused, made = texts.slots("x86-64", asked, (), assemble)
    assert refused == {0: "no mov", 1: "no add"}
    assert made == {number: asked[number].data for number in (2, 3)}


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("4889d8", "488bc3", True),
        ("6605ffff", "6683c0ff", True),
        ("4889d8", "4889d9", False),
        ("4889d8", "4801d8", False),
        ("4889d8", "4889d890", False),
        ("4889d8", "ff", False),
    ],
)
def test_another_form_is_told_from_another_instruction(table: Table, one: str, other: str, same: bool) -> None:
    got = bytes.fromhex(other)
    assert texts.is_same(table, read(table, one), table.decode(got), got) is same
