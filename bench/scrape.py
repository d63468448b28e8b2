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
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET /metrics HTTP/1.1\r\nhost: bench\r\nconnection: close\r\n\r\n")
    lines = dict(line.rsplit(b" ", 1) for line in (await reader.read()).splitlines() if b" " in line)
    writer.close()
    if COMMITS not in lines:
        return None
    return Batches(float(lines[COMMITS]), float(lines[OPERATIONS]))
