"""Find the programs that some tests talk to; without one a test is skipped, but never in the gate."""

import os
import shutil

import pytest


def program(*names: str) -> str:
    """Return the path of the first of these programs that is here.

    With DASTAK_CI=1 a missing one fails the test: a gate must not be green because it could not look.
    """
    for name in names:
        path = shutil.which(name)
        if path is not None:
            return path
    missing = f"needs {' or '.join(names)}, which is not installed"
    if os.environ.get("DASTAK_CI") == "1":
        pytest.fail(missing)
    pytest.skip(missing)
