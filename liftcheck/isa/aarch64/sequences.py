"""What Cranelift emits on aarch64 for what is several machine instructions by nature: each step with its operands.

The one idea: a sequence is written as an assembler would, with the text's virtual registers by their numbers in it:
`%v0` is the first one. `1:` before a step is a label, `>1` leads there. Where registers are read in part is not said.

Source: cranelift-codegen 0.130 to 0.137 isa/aarch64/inst/emit.rs.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final

_LOOP: Final = re.compile(r"atomic_rmw_loop_(\w+)_(\d+) .*")
_EXCHANGE: Final = re.compile(r"atomic_cas_loop_(\d+) .*")
_SELECT: Final = re.compile(r"vcsel .*, (\w\w) \(if-then-else diamond\)")
_EXTENDED: Final = re.compile(r", uxt[bh](?=; csel)")
_SUFFIX: Final[Mapping[str, str]] = {"8": "b", "16": "h", "32": "", "64": ""}
_CONDITION: Final[Mapping[str, str]] = {"umin": "lo", "umax": "hi", "smin": "lt", "smax": "gt"}


def sequences(text: str) -> Sequence[str]:
    """Of a text whose virtual registers have their numbers, the ways of several versions; none of any other."""
    if found := _LOOP.fullmatch(text):
        loop = _loop(found[1], _SUFFIX.get(found[2], "?"))
        return loop, _EXTENDED.sub("", loop)  # before 0.136 what was loaded and an operand were compared as they are
    if found := _EXCHANGE.fullmatch(text):
        z = _SUFFIX.get(found[1], "?")
        extended = f", uxt{z}" if z else ""
        loop = f"1: ldaxr{z} %v3, [%v0]; cmp %v3, %v1{extended}; b.ne >2; stlxr{z} %v4, %v2, [%v0]; cbnz %v4, >1; 2:"
        return (loop,)
    if found := _SELECT.fullmatch(text):
        return (f"b.{found[1]} >1; mov %v0.16b, %v2.16b; b >2; 1: mov %v0.16b, %v1.16b; 2:",)
    if text.startswith("load_ext_name_near "):
        return ("adrp %v0, >?; add %v0, %v0, >?",)
    return ("ldr %v0, >?",) if text.startswith("load_ext_name_far ") else ()


def _loop(kind: str, z: str) -> str:
    """0: address, 1: operand, 2: old value, 3: whether it failed, 4: new value."""
    signed = kind in ("smin", "smax")
    steps = f"{kind} %v4, %v2, %v1; "
    if kind == "nand":
        steps = "and %v4, %v2, %v1; mvn %v4, %v4; "
    elif kind in _CONDITION:
        extended = f", {'s' if signed else 'u'}xt{z}" if z else ""
        steps = f"cmp %v2, %v1{extended}; csel %v4, %v2, %v1, {_CONDITION[kind]}; "
    before = f"sxt{z} %v2, %v2; " if signed and z else ""
    new = "%v1" if kind == "xchg" else "%v4"
    steps = "" if kind == "xchg" else steps
    return f"1: ldaxr{z} %v2, [%v0]; {before}{steps}stlxr{z} %v3, {new}, [%v0]; cbnz %v3, >1"
