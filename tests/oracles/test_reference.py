"""What the reference can say about a case beside its outcomes."""

from __future__ import annotations

from liftcheck.case import Case
from liftcheck.clif.text.parser import parse_module
from liftcheck.oracles.reference import reads_garbage

PROGRAM = """function %f(i64) -> i64 system_v {{
    ss0 = explicit_slot 16
block0(v0: i64):
    v1 = stack_addr.i64 ss0
    store.i64 v0, v1{offset}
    v2 = load.i64 v1
    return v2
}}
"""


def case(offset: str) -> Case:
    return Case(parse_module(PROGRAM.format(offset=offset), "test"), 0, ((7,),))


def test_a_read_of_what_was_never_written_is_noticed() -> None:
    assert reads_garbage(case("+8"), False)
    assert reads_garbage(case("+1"), True)


def test_a_read_of_what_was_written_is_not() -> None:
    assert not reads_garbage(case(""), False)
