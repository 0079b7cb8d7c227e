"""`builtin`: the project's own compiler, in Python alone (docs/builtin.md)."""
