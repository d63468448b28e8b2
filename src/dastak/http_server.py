"""Run the HTTP server on a socket that is open already, and stop it without losing an answer."""

import asyncio
import contextlib
import gc
import logging
import signal
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, Final, cast

import uvicorn

from dastak.api.door import Door
from dastak.api.edge import Respond, edge_protocol
from dastak.api.gate import Gate

# Of the five seconds that a stop may take: in which somebody who is connected may ask once more,
LAST_WORD_S: Final = 0.2
# and then for what is under way,
ANSWERS_S: Final = 2
# of which another application on another port may take so much.
BESIDE_S: Final = 1
# Those who wait while the system's queue is full are told to knock again, a second later.
QUEUE_MAX: Final = 2048
# Let in in one round of the loop; others are served in between.
AT_ONCE_MAX: Final = 100
# Without a descriptor to spare nobody can be let in.
PAUSE_S: Final = 0.5
# Allocations between two looks for garbage. Requests leave none that only the collector would find, so its
# looks find nothing; at the default of 700 they take a tenth of all time.
COLLECT_AFTER: Final = 100_000

log = logging.getLogger("dastak.edge")


class _Entrance:
    """A listening socket: whoever knocks is let in at once, and nobody is left outside when it closes.

    uvloop lets one connection in for each round of its loop. While it is busy a round takes milliseconds, so
    after a restart hundreds waited for a second, and those who still did at the next stop were cut off.

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


class _Server(uvicorn.Server):
    """uvicorn, but for signals: it would raise them again and end the program before its parts are closed."""

    def __init__(
        self,
        config: uvicorn.Config,
        door: Door,
        listener: socket.socket,
        *,
        ready: Callable[[], None],
        closing: Callable[[], None],
    ) -> None:
        super().__init__(config)
        self._door = door
        self._entrance = _Entrance(listener, self._protocol)
        self._ready = ready
        self._closing = closing

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin, and tell. What is there now stays, and is never looked at again."""
        await super().startup(sockets)
        gc.collect()
        gc.freeze()
        gc.set_threshold(COLLECT_AFTER)
        self._entrance.open()
        self._ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Let in who knocked, answer everybody once more, and end what would not end by itself."""
        self._closing()
        self._door.closing = True
        await self._entrance.close()
        if self.server_state.connections:
            await asyncio.sleep(LAST_WORD_S)
        await super().shutdown(sockets)

    def _protocol(self) -> asyncio.Protocol:
        make: Any = self.config.http_protocol_class
        return cast(
            "asyncio.Protocol", make(config=self.config, server_state=self.server_state, app_state={})
        )

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Take SIGTERM and SIGINT as the wish to stop, and nothing more."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop)
        try:
            yield
        finally:
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.remove_signal_handler(number)

    def _stop(self) -> None:
        # A second signal does not wait for answers.
        self.force_exit = self.should_exit
        self.should_exit = True


async def serve(
    pages: Any,
    door: Door,
    gate: Gate,
    respond: Respond,
    listener: socket.socket,
    *,
    ready: Callable[[], None],
    closing: Callable[[], None],
) -> None:
    """Serve until SIGTERM or SIGINT.

    Args:
        pages: The ASGI application for what does not take the short way.
        door: Bounds every connection.
        gate: Sends requests away when there are too many.
        respond: Answers the API.
        listener: Bound and listening.
        ready: Called once, when requests are answered.
        closing: Called first when it stops, to end answers that never end by themselves.
    """
    config = uvicorn.Config(
        pages,
        http=edge_protocol(door, gate, respond),
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        # A header that anybody can send does not say who sent it.
        proxy_headers=False,
        timeout_graceful_shutdown=ANSWERS_S,
    )
    # uvicorn itself listens to nothing.
    await _Server(config, door, listener, ready=ready, closing=closing).serve([])


@contextlib.asynccontextmanager
async def served_beside(pages: Any, listener: socket.socket) -> AsyncIterator[None]:
    """Serve another application on another port while the context lasts, for people we know."""
    config = uvicorn.Config(
        pages,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=BESIDE_S,
    )
    server = _Beside(config)
    serving = asyncio.create_task(server.serve([listener]))
    try:
        yield
    finally:
        server.should_exit = True
        await serving


class _Beside(uvicorn.Server):
    """uvicorn without any care for signals."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals to the server that this one stands beside."""
        yield
