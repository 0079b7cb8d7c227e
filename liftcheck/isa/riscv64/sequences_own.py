"""What the compiler of our own emits on riscv64 for what is several machine instructions: text with named registers.

The one idea: `=d` is written where nothing else is read any more, `=&d` and `&t` before; `{0}` is the instruction's
extra. A line with `!` is the access that may trap. `vcode.Steps` makes bytes of it.

Source: The RISC-V ISA manual, 14.2 (what a loop of lr and sc may hold), 21.6 (fmin of NaNs is no NaN).
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Final

from liftcheck.isa.riscv64.backend import steps
from liftcheck.mach.vcode import Steps

_SELECT: Final = {
    "int": ("=d c a x y", "{0} {c}, {a}, yes\naddi {d}, {y}, 0\nj end\nyes:\naddi {d}, {x}, 0\nend:"),
    "float": ("=d.f c a x.f y.f", "{0} {c}, {a}, yes\nfsgnj.d {d}, {y}, {y}\nj end\nyes:\nfsgnj.d {d}, {x}, {x}\nend:"),
}


@cache
def select(kind: str) -> Steps:
    """The one of two registers; `extra`: the branch of the condition on the first two that are read."""
    return steps(f"select_{kind}", *_SELECT[kind])


_ROUNDING: Final = {"ceil": "rup", "floor": "rdn", "trunc": "rtz", "nearest": "rne"}
_WORDS: Final = {
    "add": "add {t}, {u}, {v}", "sub": "sub {t}, {u}, {v}", "and": "and {t}, {u}, {v}", "or": "or {t}, {u}, {v}",
    "xor": "xor {t}, {u}, {v}", "xchg": "addi {t}, {v}, 0", "nand": "and {t}, {u}, {v}\nxori {t}, {t}, -1",
}  # fmt: skip
_LEAST: Final = {"umin": ("bltu", 0), "umax": ("bgeu", 0), "smin8": ("blt", 56), "smax8": ("bge", 56),
                 "smin16": ("blt", 48), "smax16": ("bge", 48)}  # fmt: skip


def _texts() -> Iterator[tuple[str, str, str]]:
    for letter, size in (("s", "w"), ("d", "l")):
        for name in ("fmin", "fmax"):
            yield (
                f"{name}.{letter}",
                "=d.f x.f y.f &t &u",
                f"feq.{letter} {{t}}, {{x}}, {{x}}\nfeq.{letter} {{u}}, {{y}}, {{y}}\nand {{t}}, {{t}}, {{u}}\n"
                f"bnez {{t}}, numbers\nfadd.{letter} {{d}}, {{x}}, {{y}}\nj end\nnumbers:\n"
                f"{name}.{letter} {{d}}, {{x}}, {{y}}\nend:",
            )
        for name, mode in _ROUNDING.items():
            yield (
                f"{name}.{letter}",
                "=&d.f x.f most.f &t",
                f"fsgnjx.{letter} {{d}}, {{x}}, {{x}}\nflt.{letter} {{t}}, {{d}}, {{most}}\nbnez {{t}}, small\n"
                f"fmin.{letter} {{d}}, {{x}}, {{x}}\nj end\nsmall:\nfcvt.{size}.{letter} {{t}}, {{x}}, {mode}\n"
                f"fcvt.{letter}.{size} {{d}}, {{t}}\nfsgnj.{letter} {{d}}, {{d}}, {{x}}\nend:",
            )
    for letter in "wd":
        yield (
            f"amonand.{letter}",
            "=&d v a &t",
            f"again:\n!lr.{letter}.aqrl {{d}}, ({{a}})\nand {{t}}, {{d}}, {{v}}\nxori {{t}}, {{t}}, -1\n"
            f"!sc.{letter}.aqrl {{t}}, {{t}}, ({{a}})\nbnez {{t}}, again",
        )
        yield (
            f"cas.{letter}",
            "=&d e v a &t",
            f"again:\n!lr.{letter}.aqrl {{d}}, ({{a}})\nbne {{d}}, {{e}}, end\n"
            f"!sc.{letter}.aqrl {{t}}, {{v}}, ({{a}})\nbnez {{t}}, again\nend:",
        )
    start = "again:\n!lr.w.aqrl {d}, ({a})\n"
    end = "sll {t}, {t}, {s}\nxor {t}, {t}, {d}\nand {t}, {t}, {m}\nxor {t}, {t}, {d}\n!sc.w.aqrl {t}, {t}, ({a})\n"
    last = "bnez {t}, again\nand {d}, {d}, {m}\nsrl {d}, {d}, {s}"
    for name, text in _WORDS.items():
        yield f"narrow_{name}", "=&d a s m v &t &u", f"{start}srl {{u}}, {{d}}, {{s}}\n{text}\n{end}{last}"
    for name, (branch, shift) in _LEAST.items():
        extend = f"slli {{u}}, {{u}}, {shift}\nsrai {{u}}, {{u}}, {shift}\n" if shift else ""
        yield (
            f"narrow_{name}",
            "=&d a s m v &t &u",
            f"{start}and {{u}}, {{d}}, {{m}}\nsrl {{u}}, {{u}}, {{s}}\n{extend}addi {{t}}, {{u}}, 0\n"
            f"{branch} {{u}}, {{v}}, kept\naddi {{t}}, {{v}}, 0\nkept:\n{end}{last}",
        )
    yield (
        "narrow_cas",
        "=&d a s m e v &t",
        f"{start}and {{t}}, {{d}}, {{m}}\nsrl {{t}}, {{t}}, {{s}}\nbne {{t}}, {{e}}, end\naddi {{t}}, {{v}}, 0\n{end}"
        "bnez {t}, again\nend:\nand {d}, {d}, {m}\nsrl {d}, {d}, {s}",
    )


@cache
def sequences() -> dict[str, Steps]:
    """By name, without the `s_` that rules have before it."""
    return {name: steps(name, operands, text) for name, operands, text in _texts()}
