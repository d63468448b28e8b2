"""Moves the octets of one SMPP session over one TCP connection: one write per turn of the loop."""

import asyncio
from collections.abc import Callable
from typing import Final, cast

from dastak.sms.smpp_session import Event, SmppSession, State

# Deadlines are judged this often; a finer clock would cost wake-ups and find nothing sooner that matters.
TICK_S: Final = 0.1
# A closed connection may take this long to send its last octets; a black hole would keep them for ever.
_LINGER_S: Final = 1.0


class SmppLink(asyncio.Protocol):
    """One connection.

    Args:
        session: Its state.
        on_event: Hears every event, at once; `Closed` is the last.
        on_tick: Called after each look at the clock, for what the owner does by time.
    """

    def __init__(
        self,
        session: SmppSession,
        *,
        on_event: Callable[[Event], None],
        on_tick: Callable[[float], None] | None = None,
    ) -> None:
        self.session = session
        self.writable = True
        self._on_event = on_event
        self._on_tick = on_tick
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._ticker: asyncio.TimerHandle | None = None
        self._flushing = False
        self._frozen = False

    def flush(self) -> None:
        """Send what the session has to say, together with all that is said in this turn of the loop."""
        if self.session.output and not self._flushing and not self._frozen:
            self._flushing = True
            self._loop.call_soon(self._write)

    def close(self, reason: str) -> None:
        """Send what is left and end the connection."""
        self._handle(self.session.close(reason))

    def abort(self) -> None:
        """Cut the connection as a broken cable would."""
        if self._transport is not None:
            self._transport.abort()

    def freeze(self) -> None:
        """Fall silent with the connection open, as behind a dead network; nothing thaws it."""
        self._frozen = True
        if self._transport is not None:
            self._transport.pause_reading()
        if self._ticker is not None:
            self._ticker.cancel()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:  # noqa: D102
        self._transport = cast(asyncio.Transport, transport)
        self._ticker = self._loop.call_later(TICK_S, self._tick)
        self.flush()

    def data_received(self, data: bytes) -> None:  # noqa: D102
        for event in self.session.receive(data, self._loop.time()):
            self._on_event(event)
        self._settle()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: D102
        self._transport = None
        if self._ticker is not None:
            self._ticker.cancel()
        self._handle(
            self.session.close(f"connection lost: {exc}" if exc else "connection closed by the peer")
        )

    def pause_writing(self) -> None:
        """Stop hearing a peer that does not listen, so that neither buffer grows without bound."""
        self.writable = False
        if self._transport is not None:
            self._transport.pause_reading()

    def resume_writing(self) -> None:  # noqa: D102
        self.writable = True
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    def _handle(self, events: list[Event]) -> None:
        for event in events:
            self._on_event(event)
        self._settle()

    def _settle(self) -> None:
        if self.session.state is State.CLOSED:
            self._write()
            if self._transport is not None and not self._transport.is_closing():
                self._transport.close()
                self._loop.call_later(_LINGER_S, self._transport.abort)
        else:
            self.flush()

    def _write(self) -> None:
        self._flushing = False
        output = self.session.output
        if output and self._transport is not None and not self._transport.is_closing():
            self._transport.write(b"".join(output))
        output.clear()

    def _tick(self) -> None:
        now = self._loop.time()
        self._handle(self.session.tick(now))
        if self._on_tick is not None:
            self._on_tick(now)
        if self.session.state is not State.CLOSED:
            self._ticker = self._loop.call_later(TICK_S, self._tick)
