"""Which machine instructions Cranelift emits on s390x for the words of its listing, and how their operands are ordered.

The one idea: a listing is made before registers are known, so it has the form that every register fits; emission takes
a shorter instruction where two operands are in one register, where floats are in the lower half of the vector
registers, or where a displacement is short. `long_form` gives such an instruction's operands as the listing has them.

Source: cranelift-codegen 0.130 to 0.137 isa/s390x/inst/emit.rs, `print_with_state` of inst/mod.rs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product
from typing import Final, TypeVar

from liftcheck.isa.s390x.insts.common import COMPARED, CONDITIONS

_T = TypeVar("_T")


def _pairs(words: str) -> dict[str, str]:
    """'a b, c d' is {a: b, c: d}."""
    return dict(pair.split() for pair in words.split(","))


LOADS: Final = _pairs("vlef le, vleg ld")
_LANES: Final = LOADS | _pairs("vstef ste, vsteg std")
_MOVED: Final = _pairs("vlvgg ldgr, vlgvg lgdr")
WHOLE: Final = frozenset({*LOADS.values(), *(word + "y" for word in LOADS.values()), "ldgr"})
"""What leaves nothing that can be relied on of the rest of a register, in the place of what inserts a lane."""
_TIED: Final = _pairs(
    "ark ar, agrk agr, alrk alr, algrk algr, srk sr, sgrk sgr, slrk slr, slgrk slgr, msrkc msr, msgrkc msgr, nrk nr, "
    "ngrk ngr, ork or, ogrk ogr, xrk xr, xgrk xgr, ahik ahi, aghik aghi, "
    "wfasb aebr, wfadb adbr, wfssb sebr, wfsdb sdbr, wfmsb meebr, wfmdb mdbr, wfdsb debr, wfddb ddbr"
)
"""Where the result takes the place of the first input."""
_FUSED: Final = _pairs("wfmasb maebr, wfmadb madbr, wfmssb msebr, wfmsdb msdbr")
"""Where it takes the place of the last one."""
_ROUNDED: Final = _pairs("wledb ledbra, wfisb fiebra, wfidb fidbra")
_SAME: Final = {
    (word, name)
    for word, name in (
        *_pairs("wfcsb cebr, wfcdb cdbr, wldeb ldebr, wfsqsb sqebr, wfsqdb sqdbr, wflpsb lpebr, wflpdb lpdbr").items(),
        *_pairs("wflcsb lcebr, wflcdb lcdbr, wflnsb lnebr, wflndb lndbr, vuplh vuplhw, vblend vblendb").items(),
        ("vlr", "ldr"), ("vlr", "ler"),
    )
}  # fmt: skip
_TRAPS: Final = ("crt", "cgrt", "clrt", "clgrt", "cit", "cgit", "clfit", "clgit")
RENAMED: Final[Mapping[str, str]] = {
    **_pairs("vuplh vuplhw, vblend vblendb, label_address larl"),
    **{trap + CONDITIONS[mask]: trap + suffix for trap, (mask, suffix) in product(_TRAPS, COMPARED.items())},
}
"""Words of a listing for which assemblers have another one."""
_SINGLE: Final = frozenset(
    {"wledb", "wflrx", "wfisb", "wfidb", "wfixb", "wcfeb", "wcgdb", "wclfeb", "wclgdb", "wcefb", "wcdgb", "wcelfb",
     "wcdlgb"}
)  # fmt: skip
"""Conversions of one element, of which the listing leaves out that it is one."""
_ONE_ELEMENT: Final = 8
_DIVISIONS: Final = frozenset(f"v{kind}{size}" for kind, size in product(("d", "dl", "r", "rl"), "fgq"))
"""Of which assemblers leave out a mask of zeros."""
_ODD: Final = _SINGLE | _DIVISIONS


def long_form(word: str, name: str, operands: Sequence[_T]) -> Sequence[_T | int] | None:
    """Of an instruction called `name`, in the place of a listing's `word`; None if it is not emitted for that."""
    if name == word:
        return operands if word not in _ODD else _unfolded(word, operands)
    if name == RENAMED.get(word) or (word, name) in _SAME:
        return operands
    if word in (name + "y", name.removesuffix("y")):
        return operands
    if _TIED.get(word) == name:
        return [operands[0], *operands]
    if _LANES.get(word) == name.removesuffix("y") or _MOVED.get(word) == name:
        return [*operands, 0]
    if _FUSED.get(word) == name:
        return [*operands, operands[0]]
    if _ROUNDED.get(word) == name:
        target, mode, source, exact = operands
        return [target, source, exact, mode]
    return None


def _unfolded(word: str, operands: Sequence[_T]) -> Sequence[_T | int]:
    """Operands that either side leaves out."""
    if word in _SINGLE and len(operands) == 4:
        target, source, single, mode = operands
        return [target, source, 0 if single == _ONE_ELEMENT else -1, mode]
    return [*operands, 0] if word in _DIVISIONS and len(operands) == 3 else operands
