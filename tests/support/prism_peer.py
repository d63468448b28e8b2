"""Runs Prism on a vendor's own OpenAPI document: a server nobody of us wrote, which judges our requests."""

import asyncio
import hashlib
import subprocess
import tarfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from bench.processes import free_port
from tests.support.needed import PEERS, installed_prism

# The package that carries Twilio's document; what else is in it is not used.
PACKAGE = PEERS / "prism" / "node_modules" / "twilio-cli-core-8.3.2.tgz"
PACKAGE_SHA512 = (
    "a914c0652d798bf9ec78a1eedb36486f5043efc58545539633ae620bd26a8d974"
    "da73e4a41a884235925b0b7160e2d69c171fd246ea96c55c9ac8898449c3f77"
)
DOCUMENT = "package/src/services/twilio-api/twilio_api_v2010.json"
# It reads two megabytes of JSON first, and machines are shared.
READY_S_MAX = 60


@asynccontextmanager
async def prism(directory: Path) -> AsyncIterator[str]:
    """Serve Twilio's API as its document says, and return where; requests that break it get 422."""
    command = [
        *installed_prism(),
        "mock",
        "--errors",
        "--host",
        "127.0.0.1",
        "--port",
        str(port := free_port()),
    ]
    process = await asyncio.create_subprocess_exec(
        *command, str(_document(directory)), stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    assert process.stdout is not None
    drain = None
    try:
        async with asyncio.timeout(READY_S_MAX):
            while b"Prism is listening" not in (line := await process.stdout.readline()):
                assert line, "Prism ended before it listened"
        # Its log would fill the pipe.
        drain = asyncio.create_task(process.stdout.read())
        yield f"http://127.0.0.1:{port}"
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()
        if drain is not None:
            await drain


def _document(directory: Path) -> Path:
    octets = PACKAGE.read_bytes()
    assert hashlib.sha512(octets).hexdigest() == PACKAGE_SHA512, "this is another package"
    with tarfile.open(PACKAGE) as archive:
        member = archive.extractfile(DOCUMENT)
        assert member is not None
        path = directory / "twilio_api_v2010.json"
        path.write_bytes(member.read())
    return path
