"""Count for all nodes together in a Valkey or Redis server: quickly asked, and not missed when it is gone.

1. Only what protects comfort is counted there. Who has that server, or empties it, has no money or account.
2. All who ask at one time share a round trip, and nobody waits longer than ANSWER_S_MAX.
3. While an answer is late nobody else waits for it, and after a failure nobody asks for a while: a server
   that hangs makes a few requests slow, and not all.
4. No name, number or address can be read from its keys.
"""

import asyncio
import logging
from collections.abc import Sequence
from hashlib import blake2b
from types import TracebackType
from typing import Any, Final, NamedTuple, Self
from urllib.parse import urlsplit

from dastak.core.errors import Conflict

# A server in the same house answers in less than one millisecond; a busy loop of ours takes some more.
ANSWER_S_MAX: Final = 0.02
# Then the connection is given up, and for so long no other one is tried.
FLIGHT_S_MAX: Final = 1.0
REST_S: Final = 1.0
BATCH_MAX: Final = 256
WAITING_MAX: Final = 4_096
KEY_OCTETS: Final = 16
SCHEMES: Final = ("valkey", "valkeys", "redis", "rediss")
assert ANSWER_S_MAX < FLIGHT_S_MAX

# The cell rate algorithm of guard/buckets.py for each group of limits: all of them count, or none does. The
# time is the server's, one for all nodes; a bucket that is full again is forgotten.
SCRIPT: Final = """
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local told, key, arg = {}, 1, 1
while arg <= #ARGV do
  local count, full, longest, met = tonumber(ARGV[arg]), {}, 0, 0
  for i = 1, count do
    full[i] = tonumber(redis.call('GET', KEYS[key + i - 1]) or 0)
    local wait = full[i] - ARGV[arg + 2 * i] - now
    if wait > longest then longest, met = wait, i end
  end
  if met == 0 then
    for i = 1, count do
      local at = math.max(full[i], now) + ARGV[arg + 2 * i - 1]
      redis.call('SET', KEYS[key + i - 1], string.format('%.0f', at), 'PX', math.ceil((at - now) / 1000))
    end
  end
  told[#told + 1], told[#told + 2] = met, longest
  key, arg = key + count, arg + 1 + 2 * count
end
return told
"""

log = logging.getLogger("dastak.shared_counts")


class Asked(NamedTuple):
    """One more against one limit.

    Attributes:
        limit: Its name.
        whose: Names who asks, among those of the limit.
        interval_us: Between two at full rate.
        slack_us: How far ahead of that rate one may be.
    """

    limit: str
    whose: str
    interval_us: int
    slack_us: int


class Answer(NamedTuple):
    """The limit that was met, by its place among those asked, and for how long; nothing was counted then."""

    met: int
    wait_us: int


class Unshared(Exception):  # noqa: N818 - a signal: the node goes on by its own counts
    """The shared counts cannot be had at this moment."""


class _Waiting(NamedTuple):
    asked: Sequence[Asked]
    future: "asyncio.Future[Answer | None]"


class SharedCounts:
    """The counts on one server, as an async context.

    Args:
        url: `valkey://host:6379/0`; `valkeys` speaks TLS, and `redis` and `rediss` are the same.
        password: Where the server wants one.
        secret: What keys are made unreadable with; all nodes have the same.

    Attributes:
        unshared: How often an answer was not to be had.
    """

    def __init__(self, url: str, *, password: str | None, secret: bytes) -> None:
        self._url, self._password, self._secret = url, password, secret
        self._waiting: list[_Waiting] = []
        self._flight: asyncio.Task[None] | None = None
        self._began_at = self._rest_until = 0.0
        self._lost = False
        self.unshared = 0

    async def __aenter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        self._client = client_of(self._url, self._password)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._flight is not None:
            self._flight.cancel()
            await asyncio.gather(self._flight, return_exceptions=True)
        await self._client.aclose()

    @property
    def shared(self) -> bool:
        """Whether the last answer came."""
        return not self._lost

    async def take(self, asked: Sequence[Asked]) -> Answer | None:
        """Count one against every limit, or against none and say which was met. Raises: Unshared."""
        now = self._loop.time()
        late = self._flight is not None and now - self._began_at > ANSWER_S_MAX
        if late or now < self._rest_until or len(self._waiting) >= WAITING_MAX:
            self.unshared += 1
            raise Unshared
        future: asyncio.Future[Answer | None] = self._loop.create_future()
        self._waiting.append(_Waiting(asked, future))
        if self._flight is None:
            self._began_at = now
            self._flight = self._loop.create_task(self._fly())
        # Unlike a timeout around it, this sees an answer that came while the loop was busy.
        done, _ = await asyncio.wait({future}, timeout=ANSWER_S_MAX)
        if not done:
            future.cancel()
            self._lose("no answer in time")
        if not done or future.cancelled():
            self.unshared += 1
            raise Unshared
        return future.result()

    async def _fly(self) -> None:
        """Carry all that waits, a batch after the other."""
        batch: Sequence[_Waiting] = ()
        try:
            while self._waiting:
                batch, self._waiting = self._waiting[:BATCH_MAX], self._waiting[BATCH_MAX:]
                self._began_at = self._loop.time()
                told = await self._ask(batch)
                if self._lost:
                    self._lost = False
                    log.info("the shared counts answer again")
                for (_, future), met, wait_us in zip(batch, told[::2], told[1::2], strict=True):
                    if not future.done():
                        future.set_result(Answer(met - 1, wait_us) if met else None)
        except Exception as error:  # whatever the client raises, the node goes on by its own counts
            self._rest_until = self._loop.time() + REST_S
            self._lose(type(error).__name__)
        finally:
            self._flight = None
            for _, future in (*batch, *self._waiting):
                future.cancel()  # whoever has no answer yet gets none
            self._waiting.clear()

    async def _ask(self, batch: Sequence[_Waiting]) -> Sequence[int]:
        keys = [self._key(one) for asked, _ in batch for one in asked]
        numbers: list[int] = []
        for asked, _ in batch:
            numbers.append(len(asked))
            for one in asked:
                numbers += (one.interval_us, one.slack_us)
        told: Sequence[int] = await self._client.eval(SCRIPT, len(keys), *keys, *numbers)
        return told

    def _key(self, one: Asked) -> bytes:
        name = f"{one.limit}\x00{one.whose}".encode()
        return b"dastak:" + blake2b(name, key=self._secret, digest_size=KEY_OCTETS).hexdigest().encode()

    def _lose(self, why: str) -> None:
        if not self._lost:
            self._lost = True
            log.warning("the shared counts do not answer (%s): each node counts by itself", why)


def client_of(url: str, password: str | None) -> Any:
    """Return a client that is not connected yet. Raises: Conflict (it is not installed)."""
    try:
        from redis import asyncio as redis  # noqa: PLC0415 - an extra
        from redis.backoff import NoBackoff  # noqa: PLC0415
        from redis.retry import Retry  # noqa: PLC0415
    except ImportError as error:
        what = f"{error.name} is not installed. Next: pip install '.[valkey]' in the checkout"
        raise Conflict(what) from error
    return redis.Redis.from_url(
        url_of_client(url),
        password=password,
        socket_timeout=FLIGHT_S_MAX,
        socket_connect_timeout=FLIGHT_S_MAX,
        retry=Retry(NoBackoff(), 0),
    )


def check(url: str) -> None:
    """Raises: ValueError (it names no such server, or has a password that everybody would see)."""
    parts = urlsplit(url)
    if parts.scheme not in SCHEMES or not parts.hostname:
        raise ValueError(f"valkey_url: {parts.scheme!r} is no such server; write valkey://host:6379")
    if parts.password is not None:
        raise ValueError("valkey_url: it has a password in it; write that to limits.valkey_password_file")


def url_of_client(url: str) -> str:
    """Return the URL as its client knows it: Valkey is what Redis was."""
    scheme, colon, rest = url.partition(":")
    return {"valkey": "redis", "valkeys": "rediss"}.get(scheme, scheme) + colon + rest
