"""Runners execute linked machine code on many inputs and say how each run ended.

The one idea: a loop of machine code of our own (`stubs/`) calls a trampoline a row, so that no runner knows calling
conventions and all look at the same memory. What a runner has is asked of it (`features`, `probes`); what it gets wrong
is a row with a proof (`errata`). They compare nothing.
"""
