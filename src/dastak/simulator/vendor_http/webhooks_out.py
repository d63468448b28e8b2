"""The webhooks of the simulated carrier on their way out: to this machine only, a few at once, a few times.

1. No name is looked up: an address is a loopback address or `localhost`, or it is refused.
2. What waits is bounded, in number and in time; what is given up is counted.
3. An address is a secret of whoever gave it, and stands in no log.
"""

import asyncio
import ipaddress
import logging
from collections import Counter
from types import TracebackType
from typing import Final, Self
from urllib.parse import urlsplit, urlunsplit

import httpx

from dastak.simulator.vendor_http.order import Webhook

WAITING_MAX: Final = 10_000
AT_ONCE_MAX: Final = 20
TRIES_MAX: Final = 3
WITHIN_S: Final = 5.0
# Before the second try, and before the third.
AGAIN_S: Final = (0.5, 2.0)
assert len(AGAIN_S) == TRIES_MAX - 1
URL_CHARACTERS_MAX: Final = 2000

log = logging.getLogger("dastak.simulator")


class WebhooksOut:
    """Sends while the context lasts.

    Attributes:
        counts: How many were `sent`, `refused` by the other end, and `given_up`.
    """

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self._tasks: set[asyncio.Task[None]] = set()
        self._turns = asyncio.Semaphore(AT_ONCE_MAX)
        self._client: httpx.AsyncClient | None = None
        # They write whole addresses, and the secret of a webhook's receiver is in its address.
        for library in ("httpx", "httpcore"):
            logging.getLogger(library).setLevel(logging.WARNING)

    async def __aenter__(self) -> Self:
        """Open."""
        self._client = httpx.AsyncClient(
            timeout=WITHIN_S,
            limits=httpx.Limits(max_connections=AT_ONCE_MAX, max_keepalive_connections=AT_ONCE_MAX),
            headers={"user-agent": "dastak-sim"},
            follow_redirects=False,
            trust_env=False,
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Give up what waits; stopping twice is fine."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._client is not None:
            await self._client.aclose()

    def add(self, webhook: Webhook, delay_s: float) -> asyncio.Task[None] | None:
        """Send a webhook later, unless too many wait.

        Returns:
            What is done once it was taken or given up; None when that is at once.
        """
        if len(self._tasks) >= WAITING_MAX:
            self._give_up("too many wait")
            return None
        task = asyncio.create_task(self._later(webhook, delay_s))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _later(self, webhook: Webhook, delay_s: float) -> None:
        if delay_s > 0:
            await asyncio.sleep(delay_s)
        address = local_address(webhook.url)
        if address is None:
            self._give_up("it does not go to this machine")
            return
        for pause_s in (*AGAIN_S, None):
            async with self._turns:
                status = await self._try(address, webhook)
            if status is not None and 200 <= status < 300:
                self.counts["sent"] += 1
                return
            if status is not None and status < 500 and status != 429:
                self.counts["refused"] += 1
                log.warning("a webhook was refused with %d", status)
                return
            if pause_s is not None:
                await asyncio.sleep(pause_s)
        self._give_up(f"it was tried {TRIES_MAX} times")

    async def _try(self, address: str, webhook: Webhook) -> int | None:
        """Send once; None when there was no answer."""
        assert self._client is not None
        headers = {**webhook.headers, "host": urlsplit(webhook.url).netloc}
        try:
            async with (
                asyncio.timeout(WITHIN_S),
                self._client.stream("POST", address, headers=headers, content=webhook.body) as answer,
            ):
                return answer.status_code  # whatever it says beside is not read
        except (httpx.HTTPError, TimeoutError):
            return None

    def _give_up(self, why: str) -> None:
        self.counts["given_up"] += 1
        log.warning("a webhook is given up: %s", why)


def local_address(url: str) -> str | None:
    """Return where a webhook is sent, with a number for the host; None when that is not this machine."""
    if len(url) > URL_CHARACTERS_MAX or not url.isascii() or not url.isprintable() or " " in url:
        return None
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
        if parts.scheme != "http" or not host or "@" in parts.netloc:
            return None
        place = ipaddress.ip_address("127.0.0.1" if host == "localhost" else host)
    except ValueError:
        return None
    if not place.is_loopback or port == 0:
        return None
    shown = f"[{place}]" if place.version == 6 else str(place)
    netloc = shown if port is None else f"{shown}:{port}"
    return urlunsplit(("http", netloc, parts.path or "/", parts.query, ""))
