"""s390x's conventions: what callees give back, and how Cranelift's backend uses registers and the stack.

Sources: ELF ABI s390x Supplement 1.6 (table 1.16: r6-r13, r15, f8-f15, which are the high halves of v8-v15; the
register save area); cranelift-codegen 0.135 isa/s390x (`tail`: r6 and r7 are arguments; `ReturnCallInd`: any register;
r0 and r1 are its own).
"""

from __future__ import annotations

from typing import Final

from liftcheck.isa.abi import COPIED, Abi, Order, Passing, run

_SAVE_AREA: Final = 160

_PASSING: Final = Passing(
    (5, 4, 8), (4, 4, 8), "vector", COPIED, COPIED, whole_vectors=True, most_aligned=8, unit=8, shadow=_SAVE_AREA,
    widens=True, to_the_right=True,
)  # fmt: skip

_FLOATS: Final = ((0, 2, 4, 6), run(24, 31))
_ORDER: Final = Order((run(2, 6), *_FLOATS), (run(2, 5), *_FLOATS))
_USUAL: Final = ("system_v", "fast", "preserve_all")

ABI: Final = Abi(
    link=14,
    scratch=frozenset({0, 1}),
    saved={"system_v": (run(6, 13), run(8, 15)), "tail": (run(8, 13), run(8, 15))},
    saved_bits=(64, 64),
    half="f",
    counts=(16, 32, 0),
    callee_area=_SAVE_AREA,
    back_chain=True,
    stack_unit=8,
    pushes_arguments=True,
    carries_scratch=True,
    flags_wait=True,
    turns_unused=True,
    doubling=frozenset({"vpdi"}),
    through_table=("larl", "agf", "br"),
    indexed=".*",
    return_address=112,
    passing={
        "tail": _PASSING._replace(arguments=(6, 4, 8), results=(6, 4, 8)),
        **dict.fromkeys(("system_v", "fast", "preserve_all"), _PASSING),
    },
    order={"tail": Order((run(2, 7), *_FLOATS), (run(2, 7), *_FLOATS)), **dict.fromkeys(_USUAL, _ORDER)},
    floats_on_top=True,
    top_lane=frozenset(_USUAL),
    whole_words=False,
    patched={
        "S390xPLTRel32Dbl": frozenset({"brasl", "jg"}),
        "S390xPCRel32Dbl": frozenset({"larl", "lgrl"}),
        "S390xTlsGdCall": frozenset({"brasl"}),
    },
    # lgr r15,r3; lgr r1,r2; lgr r7,r6; lgr r6,r5; br r1
    resume="b90400f3 b9040012 b9040076 b9040065 07f1",
)
