"""Instances that are more than one operation and its operands: control flow, calls, addresses, constants, as CLIF.

The one idea: what rules say of blocks, callees and symbols is as many programs as there are kinds, so they stand here
as text. Each function is an instance of its own; one that the compiler refuses is none. `{T}` stands for each type of
the list in front of it.
"""

from __future__ import annotations

from typing import Final

_SHAPES: Final = (
    ("i8 i16 i32 i64 i128 f32 f64 i8x16 f64x2", """function %f({T}, {T}, i32) -> {T} system_v {
block0(v0: {T}, v1: {T}, v2: i32):
    br_table v2, block1, [block2, block1, block3]
block1:
    return v0
block2:
    return v1
block3:
    jump block1
}"""),
    ("i64", """function %f({T}, i32) -> {T} system_v {
block0(v0: {T}, v1: i32):
    br_table v1, block1, []
block1:
    return v0
}"""),
    ("i8 i16 i32 i64 i128 f16 f32 f64 f128 i8x16 i32x4 f32x4", """function %f({T}, {T}) -> {T}, {T} system_v {
    fn0 = %g({T}, i32) -> {T} system_v
block0(v0: {T}, v1: {T}):
    v2 = iconst.i32 7
    v3 = call fn0(v1, v2)
    return v3, v0
}"""),
    ("i8 i16 i32 i64 f32 f64 i8x16", """function %f({T}, i64) -> {T} system_v {
    sig0 = ({T}) -> {T} system_v
block0(v0: {T}, v1: i64):
    v2 = call_indirect sig0, v1(v0)
    return v2
}"""),
    ("i32 i64 f64 i8x16 i128", """function %f({T}, i64) -> {T} tail {
    fn0 = %g(i64, {T}) -> {T} tail
block0(v0: {T}, v1: i64):
    return_call fn0(v1, v0)
}"""),
    ("i32 i64 f64", """function %f({T}, i64) -> {T} tail {
    sig0 = (i64, {T}) -> {T} tail
block0(v0: {T}, v1: i64):
    return_call_indirect sig0, v1(v1, v0)
}"""),
    ("colocated", """function %f(i64) -> i64 system_v {
    fn0 = {T} %g(i64) -> i64 system_v
block0(v0: i64):
    v1 = call fn0(v0)
    return v1
}"""),
    ("colocated", """function %f(i64) -> i64 tail {
    fn0 = {T} %g(i64) -> i64 tail
block0(v0: i64):
    return_call fn0(v0)
}"""),
    ("colocated", """function %f() -> i64 system_v {
    fn0 = {T} %g(i64) -> i64 system_v
block0:
    v1 = func_addr.i64 fn0
    return v1
}"""),
    ("i64", """function %f() -> i64 system_v {
    fn0 = %g(i64) -> i64 system_v
block0:
    v1 = func_addr.i64 fn0
    return v1
}"""),
    ("+0 +8 -8 +4096 +1048576 -1048577", """function %f(i64) -> i64 system_v {
    gv0 = symbol colocated %data{T}
    gv1 = symbol %other{T}
block0(v0: i64):
    v1 = symbol_value.i64 gv0
    v2 = symbol_value.i64 gv1
    v3 = iadd v1, v2
    return v3
}"""),
    ("colocated", """function %f() -> i64 system_v {
    gv0 = symbol {T} %data
block0:
    v1 = symbol_value.i64 gv0
    return v1
}"""),
    ("0 8 63", """function %f(i64) -> i64 system_v {
    ss0 = explicit_slot 16
    ss1 = explicit_slot 128, align = 16
block0(v0: i64):
    v1 = stack_addr.i64 ss1+{T}
    store.i64 v0, v1
    v2 = load.i64 v1
    return v2
}"""),
    ("stk_ovf heap_oob int_ovf int_divz bad_toint user1", """function %f() system_v {
block0:
    trap {T}
}"""),
    ("i8 i16 i32 i64 i128", """function %f({T}, i64, i64) -> i64 system_v {
block0(v0: {T}, v1: i64, v2: i64):
    brif v0, block1(v1), block1(v2)
block1(v3: i64):
    return v3
}"""),
    ("i8 i16 i32 i64 i128", """function %f({T}, i64, i64) -> i64 system_v {
block0(v0: {T}, v1: i64, v2: i64):
    brif v0, block2, block1
block1:
    return v1
block2:
    return v2
}"""),
    ("f32 f64", """function %f({T}, {T}, i64) -> i64 system_v {
block0(v0: {T}, v1: {T}, v2: i64):
    v3 = fcmp eq v0, v1
    brif v3, block1, block2
block1:
    return v2
block2:
    v4 = iconst.i64 1
    return v4
}"""),
    ("i64", """function %f(i64, i64) -> i64 system_v {
block0(v0: i64, v1: i64):
    fence
    store.i64 v0, v1
    fence
    v2 = load.i64 v1
    return v2
}"""),
    ("i8 i16 i32 i64 i128 f32 f64 i8x16 f32x4", """function %f({T}) -> {T} system_v {
block0(v0: {T}):
    return v0
}"""),
    ("i64 i128 f64 i8x16", """function %f({T}, {T}, {T}, {T}, {T}, {T}, {T}, {T}, {T}, {T}) -> {T}, {T} system_v {
block0(v0: {T}, v1: {T}, v2: {T}, v3: {T}, v4: {T}, v5: {T}, v6: {T}, v7: {T}, v8: {T}, v9: {T}):
    return v9, v8
}"""),
    ("get_frame_pointer get_stack_pointer get_return_address", """function %f() -> i64 system_v {
block0:
    v0 = {T}.i64
    return v0
}"""),
    ("i64", """function %f(i64, i64) -> i64 tail {
    sig0 = (i64) -> i64 tail
    fn0 = %g(i64) -> i64 tail
block0(v0: i64, v1: i64):
    try_call fn0(v0), sig0, block1(ret0), [ default: block2(exn0) ]
block1(v2: i64):
    return v2
block2(v3: i64):
    return v3
}"""),
    ("i64", """function %f(i64, i64) -> i64 tail {
    sig0 = (i64) -> i64 tail
block0(v0: i64, v1: i64):
    try_call_indirect v1(v0), sig0, block1(ret0), [ default: block2(exn0) ]
block1(v2: i64):
    return v2
block2(v3: i64):
    return v3
}"""),
)  # fmt: skip

TEXTS: Final = tuple(text.replace("{T}", word) for words, text in _SHAPES for word in words.split())
"""Each a function `%f`."""
