"""Register allocation proven for each function: the allocation against its program, then the bytes against it.

See docs/validation.md for the argument. `validate` is the door.
"""
