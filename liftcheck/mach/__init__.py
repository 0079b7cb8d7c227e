"""Machine code of any ISA as data: places, decoded instructions, their effects, disassembly, relocations.

The one idea: what is true of all ISAs is here, what differs is in `liftcheck.isa`. Nothing here judges code.
"""
