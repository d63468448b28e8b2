"""The port: whoever knocks is let in at once, and nobody is left outside when it closes.

uvloop lets one connection in for each round of its loop. While it is busy a round takes milliseconds, so
after a restart hundreds waited for a second, and those who still did at the next stop were cut off.
"""

import asyncio
import logging
import socket
from collections.abc import Callable
from typing import Final

# Those who wait while the system's queue is full are told to knock again, a second later.
QUEUE_MAX: Final = 2048
# In one round of the loop; others are served in between.
AT_ONCE_MAX: Final = 100
# Without a descriptor to spare nobody can be let in.
PAUSE_S: Final = 0.5

log = logging.getLogger("dastak.edge")


class Entrance:
    """A listening socket whose connections are let in.

    Args:
        listener: Bound; it is closed with the entrance.
        make: Makes the protocol of a connection.
    """

    def __init__(self, listener: socket.socket, make: Callable[[], asyncio.Protocol]) -> None:
        self._listener = listener
        self._make = make
        self._loop = asyncio.get_running_loop()
        self._coming: set[asyncio.Task[object]] = set()
        self._pause: asyncio.TimerHandle | None = None

    def open(self) -> None:
        """Let in whoever knocks from now on."""
        self._listener.setblocking(False)
        self._listener.listen(QUEUE_MAX)
        self._loop.add_reader(self._listener, self._let_in)

    async def close(self) -> None:
        """Let in everybody who has knocked so far, and nobody else."""
        self._let_in(at_once_max=QUEUE_MAX)
        if self._pause is not None:
            self._pause.cancel()
        self._loop.remove_reader(self._listener)
        self._listener.close()
        if self._coming:
            await asyncio.wait(self._coming)

    def _let_in(self, at_once_max: int = AT_ONCE_MAX) -> None:
        for _ in range(at_once_max):
            try:
                connection, _address = self._listener.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                log.warning("nobody is let in for %.1f s: %s", PAUSE_S, error)
                self._loop.remove_reader(self._listener)
                self._pause = self._loop.call_later(PAUSE_S, self.open)
                return
            coming = self._loop.create_task(self._loop.connect_accepted_socket(self._make, connection))
            self._coming.add(coming)
            coming.add_done_callback(self._came)

    def _came(self, coming: asyncio.Task[object]) -> None:
        """Forget it; a connection that is over already is nobody's fault."""
        self._coming.discard(coming)
        if not coming.cancelled() and (error := coming.exception()) is not None:
            log.debug("a connection was over before it was let in: %s", error)
