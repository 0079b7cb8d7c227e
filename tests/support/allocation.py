"""Functions in which a register allocator has all to do that it ever has, for tests of what it answered."""

from __future__ import annotations

COLD = """\
function %cold(i64, i32) -> i64 {
    fn0 = %g(i64) -> i64
block0(v0: i64, v1: i32):
    brif v1, block1(v0), block2
block1(v2: i64):
    v3 = call fn0(v2)
    v4 = iadd v3, v0
    v5 = udiv v4, v2
    jump block3(v5)
block2 cold:
    v6 = iconst.i64 7
    v7 = iadd v0, v6
    jump block3(v7)
block3(v8: i64):
    trapz v8, user1
    return v8
}
function %trap() {
block0:
    trap user2
}
function %constant() -> i32 {
block0:
    v0 = iconst.i32 7
    return v0
}
"""
MANY = """\
function %many(i64, f64) -> i64 {
    fn0 = %g(i64, f64) -> i64, i64, i64, i64, i64, i64, i64, i64, i64, i64, i64, i64, f64, f64, f64, f64, f64, f64, f64
block0(v0: i64, v1: f64):
    v2, v3, v4, v5, v6, v7, v8, v9, v10, v11, v12, v13, v14, v15, v16, v17, v18, v19, v20 = call fn0(v0, v1)
    v24 = isub v2, v3
    v25 = isub v24, v4
    v26 = isub v25, v5
    v27 = isub v26, v6
    v28 = isub v27, v7
    v29 = isub v28, v8
    v30 = isub v29, v9
    v31 = isub v30, v10
    v32 = isub v31, v11
    v33 = isub v32, v12
    v34 = isub v33, v13
    v35 = ireduce.i32 v34
    br_table v35, block1(v0), [block1(v3), block2(v4), block1(v5), block2(v6)]
block1(v40: i64):
    v41 = umulhi v40, v34
    v42 = imul v40, v34
    v43 = isub v41, v42
    jump block2(v43)
block2(v50: i64):
    v51 = uextend.i128 v50
    v52 = uextend.i128 v34
    v53 = imul v51, v52
    v54, v55 = isplit v53
    v56 = isub v54, v55
    return v56
}
"""
RESULTS = """\
function %results(i64) -> i64 {
    fn0 = %g(i64) -> i64, i64, i64, i64, i64, i64, i64, i64, i64, i64, i64, i64, i64, i64
    fn1 = %h(i64) -> i64
block0(v0: i64):
    v1, v2, v3, v4, v5, v6, v7, v8, v9, v10, v11, v12, v13, v14 = call fn0(v0)
    v15 = call fn1(v0)
    v16 = isub v15, v1
    v17 = isub v16, v2
    v18 = isub v17, v3
    v19 = isub v18, v4
    v20 = isub v19, v5
    v21 = isub v20, v6
    v22 = isub v21, v7
    v23 = isub v22, v8
    v24 = isub v23, v9
    v25 = isub v24, v10
    v26 = isub v25, v11
    v27 = isub v26, v12
    v28 = isub v27, v13
    v29 = isub v28, v14
    v30 = call fn1(v29)
    v31 = isub v30, v1
    v32 = isub v31, v2
    v33 = isub v32, v3
    v34 = isub v33, v4
    v35 = isub v34, v5
    v36 = isub v35, v6
    v37 = isub v36, v7
    v38 = isub v37, v8
    v39 = isub v38, v9
    v40 = isub v39, v10
    v41 = isub v40, v11
    v42 = isub v41, v12
    v43 = isub v42, v13
    v44 = isub v43, v14
    return v44
}
"""
ATOMIC = """\
function %atomic(i64, i64, i64) -> i64, i64 {
block0(v0: i64, v1: i64, v2: i64):
    v3 = ireduce.i16 v1
    v5 = atomic_rmw.i64 add v0, v1
    v6 = atomic_cas.i64 v0, v1, v2
    v7 = atomic_rmw.i16 nand v0, v3
    v9 = udiv v1, v2
    v10 = urem v2, v9
    v11 = iadd v5, v6
    v12 = iadd v11, v10
    v13 = isub v12, v1
    v14 = umulhi v13, v2
    v15 = bitselect v14, v13, v1
    return v15, v12
}
"""
VECTOR = """\
function %vector(i64, i32x4, i32x4, f64, f64, f64, f32x4, f32x4) -> i32x4, f64, f32x4 {
block0(v0: i64, v1: i32x4, v2: i32x4, v3: f64, v4: f64, v5: f64, v20: f32x4, v21: f32x4):
    v6 = ireduce.i32 v0
    v7 = fma v3, v4, v5
    v8 = fma v4, v5, v3
    v9 = fadd v7, v8
    v10 = bitselect v1, v2, v1
    v11 = bitselect v2, v1, v10
    v12 = insertlane v11, v6, 1
    v13 = fadd v9, v5
    v22 = fma v20, v21, v20
    v23 = fma v21, v20, v22
    v24 = fadd v23, v20
    return v12, v13, v24
}
"""
UNWIND = """\
function %unwind(i64) -> i64 {
    sig0 = (i64) -> i64 tail
    fn0 = %g(i64) -> i64 tail
block0(v0: i64):
    v1 = iconst.i64 3
    v2 = iadd v0, v1
    try_call fn0(v2), sig0, block1(ret0, v2), [ default: block2(v0) ]
block1(v3: i64, v4: i64):
    v5 = iadd v3, v4
    return v5
block2(v6: i64):
    v7 = imul v6, v2
    return v7
}
"""


def crowded(kind: str, live: int, op: str) -> str:
    """A function with `live` values of a type alive over a call and into two branches that meet with parameters."""
    values = [f"v{number}" for number in range(1, live + 2)]
    lines = [
        f"function %crowded_{kind}(i64, {kind}) -> {kind} {{",
        "    fn0 = %g(i64) -> i64",
        f"block0(v0: i64, v1: {kind}):",
    ]
    lines += [f"    {value} = load.{kind} notrap aligned v0+{16 * at}" for at, value in enumerate(values[1:])]
    names = iter(range(live + 2, 100 * live))
    call = next(names)
    lines += [
        f"    v{call} = call fn0(v0)",
        f"    brif v{call}, block1({values[1]}, {values[2]}), block2({values[3]}, {values[4]})",
    ]
    for block, order, extra in ((1, values, values[5]), (2, values[::-1], values[6])):
        one, two, total = next(names), next(names), next(names)
        lines += [f"block{block}(v{one}: {kind}, v{two}: {kind}):", f"    v{total} = {op} v{two}, v{one}"]
        for value in order:
            total, before = next(names), total
            lines.append(f"    v{total} = {op} v{before}, {value}")
        lines.append(f"    jump block3({f'v{total}, {extra}' if block == 1 else f'{extra}, v{total}'})")
    one, two, total = next(names), next(names), next(names)
    return "\n".join(
        [
            *lines,
            f"block3(v{one}: {kind}, v{two}: {kind}):",
            f"    v{total} = {op} v{one}, v{two}",
            f"    return v{total}",
            "}",
            "",
        ]
    )


CROWDED = crowded("i64", 30, "isub") + crowded("f64", 40, "fsub") + crowded("i32x4", 40, "isub")
EVERYTHING = COLD + MANY + RESULTS + ATOMIC + VECTOR + UNWIND + CROWDED
