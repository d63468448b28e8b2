"""What a person types and sees in a terminal, captured from the real program for the docs."""

import re
import shlex
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from tests.support.program import clean_environment

# What differs between two runs that are the same.
VARIABLE: Final = (
    (re.compile(r"\d+ s to live"), "N s to live"),
    (re.compile(r" *\b\d+ ms"), " N ms"),
    (re.compile(r" *\b\d+\.\d{3} s\b"), " N s"),
    (re.compile(r"latency_ms \d+"), "latency_ms N"),
    (re.compile(r"ver_[0-9a-f]{32}"), "ver_ID"),
    (re.compile(r"\b(?=[0-9a-f]*[a-f])[0-9a-f]{9,16}\b"), "ID"),
    (re.compile(r"\bSM[0-9a-f]{32}\b"), "SM_ID"),
    (re.compile(r"\bdone \d{10}"), "done DATE"),
    (re.compile(r"user_message_reference 0x[0-9a-f]{4}"), "user_message_reference REF"),
    (re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d"), "DATE"),
)


class Terminal:
    """A terminal in one directory.

    Args:
        directory: Where commands are typed.
        environment: What was exported before.
        shown_as: Text of this machine, such as a free port, and what stands in its place in the docs.
    """

    def __init__(
        self, directory: Path, *, environment: Mapping[str, str], shown_as: Mapping[str, str]
    ) -> None:
        self._directory, self._environment, self._shown_as = directory, environment, shown_as

    def type(self, *lines: str) -> str:
        """Type lines that begin with `dastak`, one after the other; return all that is seen."""
        return "\n".join(f"$ {line}\n{self._run(line)}".rstrip() for line in lines)

    def _run(self, line: str) -> str:
        actual = line
        for real, shown in self._shown_as.items():
            actual = actual.replace(shown, real)
        program, *arguments = shlex.split(actual)
        assert program == "dastak"
        done = subprocess.run(
            [sys.executable, "-m", "dastak", *arguments],
            cwd=self._directory,
            env=clean_environment({"NO_COLOR": "1", **self._environment}),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=60,
            check=False,
        )
        seen = done.stdout
        for real, shown in self._shown_as.items():
            seen = seen.replace(real, shown)
        return seen


def same(session: str) -> str:
    """Return a session without what differs from run to run."""
    for pattern, word in VARIABLE:
        session = pattern.sub(word, session)
    return session
