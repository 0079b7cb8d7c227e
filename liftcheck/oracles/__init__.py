"""Judges: outcomes against the reference, compilers' refusals, filetests, register allocation.

The one idea: an oracle says what is wrong, with its evidence; what becomes of that is the campaign's business.
"""
