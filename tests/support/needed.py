"""Find the programs that some tests talk to; without one a test is skipped, but never in the gate."""

import importlib.util
import os
import shutil
from pathlib import Path
from typing import NoReturn

import pytest

PEERS = Path(__file__).parents[1] / "peers"
# Where Debian puts servers, and the path of a plain user may not lead.
ALSO_IN = ("/usr/sbin", "/sbin")


def program(*names: str) -> str:
    """Return the path of the first of these programs that is here.

    With DASTAK_CI=1 a missing one fails the test: a gate must not be green because it could not look.
    """
    for name in names:
        path = shutil.which(name) or shutil.which(name, path=os.pathsep.join(ALSO_IN))
        if path is not None:
            return path
    return missing(f"needs {' or '.join(names)}, which is not installed")


def library(module: str) -> None:
    """Go on only where this module can be imported."""
    if importlib.util.find_spec(module) is None:
        missing(f"needs {module}, which is not installed")


def installed_peer(package: str) -> str:
    """Return the path of node, if this npm package of tests/peers is installed."""
    node = program("node")
    if (PEERS / "node_modules" / package).exists():
        return node
    return missing(f"needs {package}: npm ci --prefix tests/peers")


def installed_prism() -> tuple[str, str]:
    """Return the command of Prism, if it and the document it serves are installed."""
    node, prism = program("node"), PEERS / "prism" / "node_modules" / "@stoplight" / "prism-cli"
    if prism.exists() and list((PEERS / "prism" / "node_modules").glob("twilio-cli-core-*.tgz")):
        return node, str(prism / "dist" / "index.js")
    return missing("needs Prism: npm ci --prefix tests/peers/prism")


def missing(reason: str) -> NoReturn:
    """Skip the test and say why; in the gate fail it."""
    if os.environ.get("DASTAK_CI") == "1":
        pytest.fail(reason)
    pytest.skip(reason)
