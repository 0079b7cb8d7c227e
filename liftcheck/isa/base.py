"""`Isa`: what differs between ISAs, as a value.

The one idea: data is a field; what needs code is the name of a function in the ISA's own package ('reader:read'),
which is imported when somebody first asks for it, so a value costs nothing to open and may be asked for from any
layer. A field that an ISA does not fill has the value of an ISA that has nothing of the kind.
Sources: with the values.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from typing import Any, Final

from liftcheck.isa import ByteOrder, Listed, listed

EVERY: Final = frozenset({"*"})
"""For `Isa.indifferent`: all extensions there are."""
PROGRAM_CHECK: Final = "program check"
VECTOR_SIZES: Final = tuple(1 << k for k in range(5, 17))
"""Bits that a vector register may have, where that is not fixed."""


def counted(prefix: str, first: int, last: int) -> tuple[str, ...]:
    """Names of registers: 'r8' to 'r15'."""
    return tuple(f"{prefix}{number}" for number in range(first, last + 1))


@dataclass(frozen=True, slots=True)
class Qemu:
    """qemu-user for an ISA.

    program    the binary; with '-static' after it where there is none
    options    what stands before the program to be run
    models     `-cpu` models to try in turn, the richest first, since qemu refuses extensions that it does not know;
               `{vlen}` is the size of vector registers. None: the model is in the options
    outdated   an old qemu lacks extensions that newer ones have
    at_fault   signals with which the PC is past the instruction, and the fault's address is its start
    """

    program: str
    options: tuple[str, ...] = ("-L", "/", "-cpu", "max")
    models: tuple[str, ...] = ()
    outdated: bool = False
    at_fault: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Assembler:
    """The GNU tools for an ISA, which make the bytes of `runners/stubs` (`ci/stubs/assemble.py`): how their names
    begin, options, and the line before probes."""

    prefix: str
    options: tuple[str, ...]
    head: str


@dataclass(frozen=True, slots=True)
class Unicorn:
    """Unicorn for an ISA: names of its constants (in `unicorn.<constants>_const`, or `unicorn` for `arch`, `mode`).

    switched_on   (register, bits, whether the others stay): floating point, vectors, 64-bit addressing
    interrupts    number -> what it is, for people, and bytes by which the PC is ahead; PROGRAM_CHECK: of all kinds, for
                  instructions that it lacks as well; then two zero bytes are not an instruction
    system_call   the interrupt of a system call; -1: there is none, Unicorn passes over the instruction `call`
    call_number   the register with the call's number; `call_in_code`: it is in the instruction, where that is not 0
    host_calls    number of an interrupt by which the stub has the host compute a fused multiply-add -> its width
    first_vector  the register of its first operand, which is that of its result
    page_size     where the emulator's own is too small; 0: it is not
    results       registers that results of instructions are in, as its constants name them
    """

    constants: str
    arch: str
    mode: str
    pc: str
    call_number: str
    interrupts: Mapping[int, tuple[str, int]]
    system_call: int
    model: str = ""
    page_size: int = 0
    switched_on: tuple[tuple[str, int, bool], ...] = ()
    call: str = ""
    call_in_code: bool = False
    host_calls: Mapping[int, int] = field(default_factory=dict)
    first_vector: str = ""
    results: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Isa:
    """What differs between ISAs. Bytes of instructions are in hexadecimal, as they lie in memory.

    Instructions
    reader        'module:function' that reads one: `mach.insn.Reader`
    by_rows       whether that is one over the table of rows, which knows nothing that has no row
    sizes         bytes of an instruction, by its first byte; (): only a reader knows
    alignment     bytes by which instructions are aligned
    capstone      names of Capstone's architecture and mode bits
    fill          what stands between functions: a byte that traps where it is executed
    ret           a return
    far           the instruction that makes an address for the one after it, with which it is one far jump or call
    far_jump      'module:function' that says where such a jump leads, given the code and the offset of its second half
    sized         'module:function' that gives a vector instruction under a known configuration

    Instructions, for people and at a runner's stop
    trapping      the regular expression of mnemonics that stop a runner which has them
    beyond_capstone  the regular expression of instructions that Capstone has no names for: vectors
    listing       'module:function' that says whether machine instructions are those that the compiler's own text of an
                  instruction names, given that text; '' where there is none yet
    operands      'module:function' that says whether they have the operands that it names (`regalloc.named.Reader`); ''
                  where there is none yet
    emitted       'module:function' that gives how its text of emitted code says how wide registers are
                  (`regalloc.named.Emitted`); '' where the texts of `operands` say it
    direction     'module:function' that says which way of a text's condition a branch is
                  (`oracles.regalloc.code.ways.Direction`)
    trap_codes    'module:function' that gives the codes of an instruction's traps in the order of its bytes, given
                  that text; '' where all texts name them
    rows          'module:function' that gives its table of rows (`mach.rows.table.Table`); '' where there is none yet
    context       'module:function' from an instruction's effects (`Lifted`) and the context before it to the one
                  after it; '' where meanings need none
    bench         'module:function' that gives the programs which execute rows (`mach.rows.bench.Bench`), one for each
                  kind of machine that there is
    text          'module:function' that writes such an instruction as an assembler reads it
    with_names    'module:function' that gives a compiler's own disassembly names for what its Capstone lacks

    Registers, which are places (`mach.regs`); their use is the ABI's: `isa.abi.Abi`
    registers     by class and number, as its assembler names them; '' is none
    widths        bits of a register of each class, as far as a function may rely on them: of a register that grew with
                  extensions no more than a value of Cranelift's has
    stack_pointer

    The compiler of our own
    backend       'module:value', its part of emission (`mach.backend.Backend`); '' where there is none yet
    lowering      'module:function' that gives its part of lowering (`mach.lower.Rules`); '' likewise

    The compiler
    stack_probe   'module:function' that says which way the branch of a stack probe's loop goes, given the state and the
                  instruction before it
    pinned        the register of `enable_pinned_reg`; None: there is none
    conventions   calling conventions of 0.135. Not here: `probestack`, and `cold`, which was removed
    struct_arguments  it passes structs by value (`sarg`)
    last_byte     its trap tables name the last byte of a trap or divide, not the first

    Extensions, by their flag's name
    plain, rich   those that programs may use in a plain world and in a rich one (`campaign.planner`)
    optional      those that a batch may switch off: they choose between lowerings but decide about no typing
    seldom        those that batches switch on by chance although no world has them, and in how many of 256
    indifferent   those that change neither how values are passed nor whether a load, a store and a call of a type
                  compile; EVERY: all
    always        those that every runner has
    presets       words that stand for several
    probes        a function that uses the extension and returns
    unprobed      runner -> those that it lacks though the probe returns
    implied       an extension -> those that a runner with it has

    Probes of single instructions
    more_probes   'module:function' that gives more of them than are written in `stubs/probes-….txt`
    compressed    instructions of two bytes are read as the longer ones that they stand for
    vectors       the flag that makes vector instructions legal, in a tuple; (): they are in the base
    vector_size   the flag that promises vector registers of so many bits ('{}'), and makes vectors legal too
    configures    the regular expression of an instruction that configures vectors, which code does before anything is
                  computed, loaded or stored with them
    vector_names  what the names of vector instructions begin with
    hints         the regular expression of instructions that do nothing on machines which lack their extension

    Runners
    preferred     runners to take before others, the fastest first
    host          `uname -m` of a processor that runs it natively
    elf_machine, elf_flags  of an ELF file
    qemu, unicorn, assembler
    ahead         bytes by which the PC is past a breakpoint that a native process stops at
    spy           'module:function' that writes the code around a trampoline which notes registers (`oracles.canaries`)
    errata        'module:rows' of what runners get wrong
    replacing     'module:class' that replaces instructions which an emulator lacks: of all kinds for unicorn, of those
                  that test bits for qemu
    """

    name: str
    reader: str
    alignment: int
    capstone: tuple[str, ...]
    fill: bytes
    ret: str
    conventions: tuple[str, ...]
    qemu: Qemu
    unicorn: Unicorn
    assembler: Assembler
    elf_machine: int
    probes: Mapping[str, str]
    registers: tuple[tuple[str, ...], ...]
    widths: tuple[int, int, int]
    stack_pointer: int
    trapping: str
    by_rows: bool = False
    sizes: tuple[int, ...] = ()
    far: str = ""
    far_jump: str = ""
    sized: str = ""
    beyond_capstone: bytes = b""
    listing: str = ""
    operands: str = ""
    emitted: str = ""
    direction: str = ""
    trap_codes: str = ""
    rows: str = ""
    context: str = ""
    bench: str = ""
    text: str = ""
    with_names: str = ""
    backend: str = ""
    lowering: str = ""
    stack_probe: str = "stack_probe:taken"
    spy: str = "spy:spy"
    pinned: int | None = None
    struct_arguments: bool = False
    last_byte: bool = False
    plain: tuple[str, ...] = ()
    rich: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()
    seldom: Mapping[str, int] = field(default_factory=dict)
    indifferent: frozenset[str] = frozenset()
    always: frozenset[str] = frozenset()
    presets: Mapping[str, str] = field(default_factory=dict)
    unprobed: Mapping[str, frozenset[str]] = field(default_factory=dict)
    implied: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    more_probes: str = ""
    compressed: bool = False
    vectors: tuple[str, ...] = ()
    vector_size: str = ""
    configures: bytes = b""
    hints: bytes = b"(?!)"
    vector_names: str = ""
    preferred: tuple[str, ...] = ()
    host: str = ""
    elf_flags: int = 0
    ahead: int = 0
    replacing: str = ""
    errata: str = "errata:ROWS"

    @property
    def listed(self) -> Listed:
        """Its row in the list of ISAs."""
        return listed(self.name)

    @property
    def byte_order(self) -> ByteOrder:
        """How it stores numbers."""
        return self.listed.byte_order

    def is_indifferent(self, setting: str) -> bool:
        """Whether a setting is an extension that is `indifferent`."""
        return setting.startswith("has_") if self.indifferent is EVERY else setting in self.indifferent

    def part(self, where: str) -> Any:
        """'module:name' of its package, imported now; None for ''."""
        if not where:
            return None
        module, _, name = where.partition(":")
        return getattr(import_module(f"liftcheck.isa.{self.listed.package}.{module}"), name)


@cache
def isa_named(name: str) -> Isa:
    """The value of an ISA; an InternalError if there is none of that name."""
    value = import_module(f"liftcheck.isa.{listed(name).package}").ISA
    assert isinstance(value, Isa)
    return value
