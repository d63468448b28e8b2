"""A wall clock that a test steps under a running program (libfaketime); its monotonic clock goes on."""

import os
from pathlib import Path

import pytest

from tests.support.needed import program


class SteppedClock:
    """The wall's time plus so many seconds, for the programs that run in its environment."""

    def __init__(self, file: Path) -> None:
        program("faketime")
        found = sorted(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))
        if not found:
            missing = "faketime is here, and its library is not where Debian has it"
            pytest.fail(missing) if os.environ.get("DASTAK_CI") == "1" else pytest.skip(missing)
        self._file = file
        self.environment = {
            "LD_PRELOAD": str(found[0]),
            "FAKETIME_TIMESTAMP_FILE": str(file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }
        self.step(0)

    def step(self, seconds: int) -> None:
        """Set the wall clock this far from the real time, at once."""
        new = self._file.with_suffix(".new")
        new.write_text(f"{seconds:+}\n")
        new.replace(self._file)
