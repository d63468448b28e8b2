"""A name server that nobody here wrote: Debian's dnsmasq, with the records of a test."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from bench.processes import free_port
from tests.support.foreign_daemon import ForeignDaemon


class Dnsmasq:
    """One name server for the zone `example`; it knows its own records alone.

    Args:
        directory: Made here; its log.
        records: As its options say them, such as `host-record=sip.example,127.0.0.1`.
        ttl_s: Of every record.
        port: Where another one listened before, or a free one.
    """

    def __init__(self, directory: Path, records: Sequence[str], *, ttl_s: int = 60, port: int = 0) -> None:
        directory.mkdir()
        self.port = port or free_port()
        self.daemon = ForeignDaemon(
            "dnsmasq",
            [
                "--keep-in-foreground", "--conf-file=/dev/null", "--no-resolv", "--no-hosts",
                "--bind-interfaces", "--listen-address=127.0.0.1", f"--port={self.port}",
                "--log-queries", "--log-facility=-",
                "--user=", "--pid-file=", "--local=/example/", f"--local-ttl={ttl_s}",
                *(f"--{record}" for record in records),
            ],
            directory=directory,
        )  # fmt: skip
        self.daemon.until_listening(self.port)

    @property
    def address(self) -> tuple[str, int]:
        """Return where it listens."""
        return "127.0.0.1", self.port


@contextmanager
def dnsmasq(directory: Path, *records: str, ttl_s: int = 60, port: int = 0) -> Iterator[Dnsmasq]:
    """Run a name server; skip where it cannot be had."""
    server = Dnsmasq(directory, records, ttl_s=ttl_s, port=port)
    try:
        yield server
    finally:
        server.daemon.stop()


@asynccontextmanager
async def asking_dnsmasq(directory: Path, *records: str, ttl_s: int = 60) -> AsyncIterator[Dnsmasq]:
    """Run a name server beside a loop."""
    server = await asyncio.to_thread(lambda: Dnsmasq(directory, records, ttl_s=ttl_s))
    try:
        yield server
    finally:
        await asyncio.to_thread(server.daemon.stop)
