"""A path between two UDP programs that loses chosen datagrams, each once."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

from tests.support.smpp_pair import soon


class LossyPath(asyncio.DatagramProtocol):
    """The path.

    Attributes:
        port: Where the caller sends.
        peer: The callee, once it is known.
        lost: How the datagrams begin that are still to be lost.
    """

    def __init__(self, lost: Iterable[bytes]) -> None:
        self.lost = list(lost)
        self.peer = ("127.0.0.1", 0)
        self.port = 0
        self._caller = ("127.0.0.1", 0)
        self._passed: asyncio.Queue[bytes] = asyncio.Queue()

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:  # type: ignore[override]
        self._transport = transport
        self.port = transport.get_extra_info("sockname")[1]

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        begins = next((one for one in self.lost if data.startswith(one)), None)
        if begins is not None:
            self.lost.remove(begins)
            return
        if addr == self.peer:
            self._transport.sendto(data, self._caller)
        else:
            self._caller = addr
            self._transport.sendto(data, self.peer)
        self._passed.put_nowait(data)

    async def until_passed(self, begins: bytes) -> None:
        """Wait for a datagram that begins so and was not lost."""
        while not (await soon(self._passed.get())).startswith(begins):
            pass

    def close(self) -> None:
        """Let nothing through any more."""
        self._transport.close()


@asynccontextmanager
async def lossy_path(lost: Iterable[bytes]) -> AsyncIterator[LossyPath]:
    """Open a path; its `peer` is to be set before anything is sent."""
    path = LossyPath(lost)
    await asyncio.get_running_loop().create_datagram_endpoint(lambda: path, local_addr=("127.0.0.1", 0))
    try:
        yield path
    finally:
        path.close()
