"""How many examples a test looks at: all that it names, or a share where slow tests are left out (conftest.py)."""

from __future__ import annotations

import os

SHARE = "LIFTCHECK_EXAMPLES"
"""The environment variable that says which: 3 is a third."""


def many(count: int) -> int:
    """So many examples, at least one."""
    return -(-count // int(os.environ.get(SHARE, "1")))
