"""Compilers under test: the protocol, the registry, what each has on an ISA (`matrix`)."""
