"""s390x's machine instructions, one row each (docs/machine-rows.md)."""
