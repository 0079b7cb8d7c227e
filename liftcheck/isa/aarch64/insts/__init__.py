"""A64 instructions as rows; the manual's chapters are the modules."""
