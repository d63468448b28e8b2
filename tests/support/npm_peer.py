"""Runs the foreign SMSC of tests/peers in a process of its own."""

import asyncio
import json
import os
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support.needed import program
from tests.support.smpp_pair import soon

PEERS = Path(__file__).parent.parent / "peers"


class NpmSmsc:
    """A running foreign SMSC.

    Attributes:
        port: Where it listens.
    """

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.port = 0
        self._process = process

    async def said(self) -> dict[str, Any]:
        """Return the next thing it says: a PDU that it got, or the answer to one it sent."""
        assert self._process.stdout is not None
        line = await soon(self._process.stdout.readline())
        fact: dict[str, Any] = json.loads(line)
        return fact

    async def submitted(self) -> dict[str, Any]:
        """Return the next text that it got."""
        while (fact := await self.said())["command"] != "submit_sm":
            pass
        return fact

    def reports(self, word: str, err: str = "000") -> None:
        """Have it send the receipt of a text whose number ends in 20, as `UNDELIV` with a reason."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{word} {err}\n".encode())

    def send_signal(self, number: int) -> None:
        """Send it a signal; SIGSTOP makes it a carrier that says nothing with its connections open."""
        self._process.send_signal(number)

    async def stop(self) -> None:
        """End it by ending its input, and wait until it is gone."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        await soon(self._process.wait())


def install() -> str:
    """Have the packages of tests/peers in place; return the path of node."""
    node = program("node", "nodejs")
    if not (PEERS / "node_modules" / "smpp").is_dir():
        done = subprocess.run(
            [program("npm"), "ci", "--no-audit", "--no-fund"],
            cwd=PEERS,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        if done.returncode != 0:
            missing = f"npm ci in tests/peers failed: {done.stderr[-300:]}"
            pytest.fail(missing) if os.environ.get("DASTAK_CI") == "1" else pytest.skip(missing)
    return node


@asynccontextmanager
async def npm_smsc(**settings: str) -> AsyncIterator[NpmSmsc]:
    """Run the SMSC; see tests/peers/smsc.js for what it does."""
    wanted = {"system_id": "sim_1", "password": "secret"} | settings
    process = await asyncio.create_subprocess_exec(
        await asyncio.to_thread(install),
        "smsc.js",
        json.dumps(wanted),
        cwd=PEERS,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    peer = NpmSmsc(process)
    try:
        peer.port = (await peer.said())["port"]
        yield peer
    finally:
        await peer.stop()
