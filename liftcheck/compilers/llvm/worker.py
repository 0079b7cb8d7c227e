"""The process in which LLVM works: it may end at any input, and takes nobody with it.

A message is its length (4 bytes, little-endian) and a pickled value: in, `Order`s; out, for each one the bytes of an
object, or (kind, words).
"""

from __future__ import annotations

import pickle
import sys
from functools import cache
from typing import Any, BinaryIO, NamedTuple


class Order(NamedTuple):
    """text: of a module. level: of LLVM's code generator, 0 to 3; 0 leaves the middle end out."""

    text: str
    triple: str
    cpu: str
    features: str
    abi: str
    level: int


@cache
def _machine(triple: str, cpu: str, features: str, abi: str, level: int) -> Any:
    from llvmlite import binding

    target = binding.Target.from_triple(triple)
    return target.create_target_machine(cpu, features, level, "pic", "small", abiname=abi)


def _optimized(module: Any, machine: Any, level: int) -> None:
    from llvmlite import binding

    options = binding.create_pipeline_tuning_options(speed_level=level)
    builder = binding.create_pass_builder(machine, options)
    builder.getModulePassManager().run(module, builder)


def answer(order: Order) -> bytes | tuple[str, str]:
    """The object's bytes, or ('input', what LLVM has against the text)."""
    from llvmlite import binding

    machine = _machine(*order[1:])
    try:
        module = binding.parse_assembly(f'target datalayout = "{machine.target_data}"\n{order.text}')
        module.verify()
    except RuntimeError as error:
        return "input", str(error)
    if order.level:
        _optimized(module, machine, order.level)
    code: bytes = machine.emit_object(module)
    return code


def serve(stream: BinaryIO, out: BinaryIO) -> None:
    """Answers until nobody asks any more."""
    from llvmlite import binding

    binding.initialize_all_targets()
    binding.initialize_all_asmprinters()
    while len(head := stream.read(4)) == 4:
        order = pickle.loads(stream.read(int.from_bytes(head, "little")))
        data = pickle.dumps(answer(order))
        out.write(len(data).to_bytes(4, "little") + data)
        out.flush()


if __name__ == "__main__":
    serve(sys.stdin.buffer, sys.stdout.buffer)
