"""Read from the metrics of the program how many commits it made, and for how many operations."""

import asyncio
from typing import NamedTuple

COMMITS = b"dastak_store_commits_total"
OPERATIONS = b"dastak_store_operations_total"


class Batches(NamedTuple):
    """Counts since the start of the program."""

    commits: float
    operations: float

    @classmethod
    def between(cls, before: "Batches | None", after: "Batches | None") -> "Batches | None":
        if before is None or after is None or after.commits == before.commits:
            return None
        return cls(after.commits - before.commits, after.operations - before.operations)


async def batches(port: int) -> Batches | None:
    """Scrape; None where the program shows no metrics."""
    lines = await _scrape(port)
    if COMMITS not in lines:
        return None
    return Batches(float(lines[COMMITS]), float(lines[OPERATIONS]))


async def figure(port: int, name: str) -> float:
    """Scrape one figure without labels."""
    return float((await _scrape(port))[name.encode()])


async def until_figure(port: int, name: str, least: float, *, timeout_s: float = 15.0) -> None:
    """Wait until a figure is there and is at least so much."""
    async with asyncio.timeout(timeout_s):
        while float((await _scrape(port)).get(name.encode(), "-inf")) < least:  # noqa: ASYNC110 - it is in another process
            await asyncio.sleep(0.1)


async def _scrape(port: int) -> dict[bytes, bytes]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET /metrics HTTP/1.1\r\nhost: bench\r\nconnection: close\r\n\r\n")
    lines = dict(line.rsplit(b" ", 1) for line in (await reader.read()).splitlines() if b" " in line)
    writer.close()
    return lines
