"""ISLE, the language of rewrite and lowering rules: read, checked and compiled to Python; lists of rules."""
