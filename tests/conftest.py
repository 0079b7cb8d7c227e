"""Builds the newest Cranelift before the first test, once and visibly: it takes minutes, and no test waits that long.
Twice, for what tests of register allocation see is another build.

Where it cannot be built (no cargo, no network) the tests that need it say so themselves.
"""

from __future__ import annotations

import pytest

from liftcheck.compilers.cranelift import builds
from liftcheck.errors import LiftcheckError


def pytest_sessionstart(session: pytest.Session) -> None:
    """In the process that was started by hand; workers of xdist find the build in the cache."""
    if hasattr(session.config, "workerinput"):
        return
    capture = session.config.pluginmanager.getplugin("capturemanager")
    try:
        for profile in (builds.FUZZ, builds.REGALLOC):
            if builds.find("cranelift", profile) is None and capture is not None:
                with capture.global_and_fixture_disabled():
                    builds.ensure("cranelift", profile)
    except LiftcheckError as error:
        session.config.issue_config_time_warning(UserWarning(f"Cranelift cannot be built: {error}"), stacklevel=1)
