"""The runners' own machine code: the loop over rows, the server around it, library calls (stubs/*.s, assembled as
JSON).

Bytes are committed, so that no assembler is needed; ci/stubs/assemble.py makes them. All labels are addresses here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Final, NamedTuple

from liftcheck import layout

_LIBCALL: Final = "lib_"


class Stub(NamedTuple):
    """Bytes for `layout.STUB`, labels as addresses, library calls by Cranelift's name as addresses."""

    code: bytes
    labels: Mapping[str, int]
    libcalls: Mapping[str, int]


@cache
def load_stub(isa: str) -> Stub:
    """The stub of one ISA."""
    text = resources.files("liftcheck.runners").joinpath("stubs", f"{isa}.json").read_text()
    data = json.loads(text)
    labels = {name: layout.STUB + offset for name, offset in data["labels"].items()}
    libcalls = {name.removeprefix(_LIBCALL): at for name, at in labels.items() if name.startswith(_LIBCALL)}
    return Stub(bytes.fromhex("".join(data["code"])), labels, libcalls)
