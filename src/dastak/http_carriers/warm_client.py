"""Send requests to one host over connections that are kept warm, so that no code waits for a handshake."""

import asyncio
import logging
from types import TracebackType
from typing import Final, NamedTuple, Self

import httpx

from dastak.core.errors import CarrierUnavailable
from dastak.http_carriers.http_render import HttpRequest

ANSWER_OCTETS_MAX: Final = 64 * 1024
# Vendors close idle connections after a minute or more; ours ends first, and is renewed before it does.
KEPT_S: Final = 55.0
WARM_EVERY_S: Final = 40.0
assert WARM_EVERY_S < KEPT_S
WARM_WITHIN_S: Final = 5.0
CANCEL_AGAIN_S: Final = 0.2


class Patience(NamedTuple):
    """How long to wait, and for how many answers at once."""

    connect_s: float
    total_s: float
    window: int


class WarmClient:
    """A client of one host, warm while the context lasts.

    Args:
        place: Scheme and host, without a slash at the end; empty keeps nothing warm.
        patience: With its answers.

    Attributes:
        open: Whether it may be used.
        fault: Why the host cannot be connected to; empty when it can.
    """

    def __init__(self, place: str, patience: Patience) -> None:
        self._place, self._patience = place, patience
        self.open, self.fault = False, "not open yet"
        self._tried = asyncio.Event()
        self._warming: asyncio.Task[None] | None = None
        self._client: httpx.AsyncClient | None = None
        # They write whole addresses, and some carriers want number, code or password there.
        for library in ("httpx", "httpcore"):
            logging.getLogger(library).setLevel(logging.WARNING)

    async def __aenter__(self) -> Self:
        """Open, and begin to connect."""
        self._client = httpx.AsyncClient(
            timeout=httpx.Timeout(self._patience.total_s, connect=self._patience.connect_s),
            limits=httpx.Limits(
                max_connections=self._patience.window,
                max_keepalive_connections=self._patience.window,
                keepalive_expiry=KEPT_S,
            ),
            # A short answer needs no packing, and a packed one could be of any size.
            headers={"accept-encoding": "identity", "user-agent": "dastak"},
            follow_redirects=False,
            trust_env=False,
        )
        self.open, self.fault = True, ""
        self._warming = asyncio.create_task(self._keep_warm())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Disconnect."""
        await self.cool()
        if self._client is not None:
            await self._client.aclose()

    async def cool(self) -> None:
        """Connect no more; what is under way goes on."""
        self.open, self.fault = False, "it is closed"
        # A connection that fails at this very moment may swallow a cancellation.
        while self._warming is not None and not self._warming.done():
            self._warming.cancel()
            await asyncio.wait([self._warming], timeout=CANCEL_AGAIN_S)

    async def wait_warm(self) -> None:
        """Return as soon as the host was connected to, or could not be."""
        await self._tried.wait()

    async def send(self, request: HttpRequest, within_s: float) -> tuple[int, bytes]:
        """Send a request and return status and body of its answer.

        Raises:
            CarrierUnavailable: No answer; with `outcome_unknown` the request may have arrived.
        """
        assert self._client is not None
        try:
            async with asyncio.timeout(within_s):
                built = self._client.build_request(
                    request.method, request.url, headers=request.headers, content=request.body
                )
                answer = await self._client.send(built, stream=True)
                try:
                    return answer.status_code, await _bounded(answer)
                finally:
                    await answer.aclose()
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            # Nothing of the message was sent.
            raise CarrierUnavailable("The carrier cannot be connected to.") from error
        except (httpx.HTTPError, TimeoutError) as error:
            raise CarrierUnavailable("The carrier did not answer in time.", outcome_unknown=True) from error

    async def _keep_warm(self) -> None:
        """Keep a connection open; a failure is only shown."""
        while self.open:
            fault = await self._warm() if self._place else ""
            self.fault = fault if self.open else self.fault
            self._tried.set()
            await asyncio.sleep(WARM_EVERY_S)

    async def _warm(self) -> str:
        assert self._client is not None
        try:
            async with asyncio.timeout(WARM_WITHIN_S):
                await self._client.head(f"{self._place}/")
        except (httpx.ConnectError, httpx.ConnectTimeout, TimeoutError) as error:
            host = self._place.partition("://")[2]
            return f"{host} could not be connected to lately: {type(error).__name__}"
        except httpx.HTTPError:
            pass  # it took the connection; what it thinks of HEAD says nothing of messages
        return ""


async def _bounded(answer: httpx.Response) -> bytes:
    """Read an answer, but no more of it than an answer can have."""
    body = b""
    async for piece in answer.aiter_raw():
        body += piece
        if len(body) > ANSWER_OCTETS_MAX:
            return b""
    return body
