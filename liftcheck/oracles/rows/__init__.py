"""Rows against execution: each instruction on many states, in emulators and natively, all outputs compared.

The one idea: a guest program loads all registers of a state, executes one instruction, stores all registers, and goes
on with the next state; thousands of (instruction, state) pairs are one run. What the row says of each is computed here
(`mach.rows. evaluate`), and the two blocks of memory are compared as a whole, so whatever an instruction changes
unsaid is seen too.
"""
