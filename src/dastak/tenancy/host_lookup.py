"""Look up the addresses of hosts that customers chose, in threads that nobody else needs.

A name server that does not answer keeps a thread for half a minute, and nothing ends that sooner. In the
loop's own pool, of a handful of threads, one customer's names would keep all others waiting, and the end too.
"""

import asyncio
import socket
from collections.abc import Callable
from threading import Thread
from typing import Any, Final

UNDER_WAY_MAX: Final = 64

Look = Callable[[str, int], list[str]]


def system_look(host: str, port: int) -> list[str]:
    """Ask the system, and wait for it. Raises: OSError (the host has no address)."""
    return [str(entry[4][0]) for entry in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]


class HostLookup:
    """Looks up hosts, so many at once at most.

    Args:
        look: Returns addresses, and may take its time.
    """

    def __init__(self, look: Look = system_look) -> None:
        self._look = look
        self._under_way = 0

    async def addresses(self, host: str, port: int) -> list[str]:
        """Return the addresses of a host. Raises: OSError, or what `look` raises."""
        if self._under_way >= UNDER_WAY_MAX:
            raise OSError("too many names are being looked up")
        loop = asyncio.get_running_loop()
        told: asyncio.Future[list[str]] = loop.create_future()

        def done(tell: Callable[[Any], None], what: object) -> None:
            self._under_way -= 1
            if not told.done():
                tell(what)

        def run() -> None:
            try:
                ready: tuple[Callable[[Any], None], object] = told.set_result, self._look(host, port)
            except (OSError, ValueError) as error:
                ready = told.set_exception, error
            if not loop.is_closed():
                loop.call_soon_threadsafe(done, *ready)

        # A daemon: whoever waits for it no more does not wait at the end either.
        Thread(target=run, name="dastak-lookup", daemon=True).start()
        self._under_way += 1
        return await told
