"""Answer a request with an Idempotency-Key once, and its repeats with the answer that was kept."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from hashlib import blake2b
from typing import Any, Final, TypeVar
from weakref import WeakValueDictionary

from dastak.api.exchange import PROBLEM, Request, Response
from dastak.core.errors import MalformedRequest
from dastak.core.ports import Clock, Once, Replayed, Store
from dastak.core.tenant import Caller

T = TypeVar("T")

KEY_CHARACTERS_MAX: Final = 255
HEADER: Final = b"idempotency-key"
REPLAYED: Final = (b"idempotency-replayed", b"true")


class Turns:
    """Lets repeats of a request under way wait for its answer, so that they cost no limit and no work."""

    def __init__(self) -> None:
        # Weak: a turn lives as long as somebody has it or waits for it.
        self._turns: WeakValueDictionary[bytes, asyncio.Lock] = WeakValueDictionary()

    @asynccontextmanager
    async def turn(self, key: bytes) -> AsyncIterator[None]:
        """Wait until nobody else has this key."""
        lock = self._turns.setdefault(key, asyncio.Lock())
        async with lock:
            yield


async def answer_once(
    store: Store,
    turns: Turns,
    request: Request,
    caller: Caller,
    *,
    clock: Clock,
    act: Callable[[Once | None], Awaitable[T | Replayed]],
    show: Callable[[T], Response],
    keep: Callable[[Any], Response] | None = None,
) -> Response:
    """Act and answer, or give back the answer that an earlier request with the same key was given.

    Args:
        store: Where answers are kept.
        turns: Shared by all requests of this process.
        request: Its body is the fingerprint.
        caller: The key is good for one tenant, service and mode, and for one method and path: what a test
            key started is no answer for a live one.
        clock: Read where there is a key.
        act: Does it, and has the answer kept in the same commit.
        show: Makes the answer.
        keep: Makes the answer that a repeat gets, from what the store wrote, where that is another one.

    Raises:
        MalformedRequest: The key is empty, too long or not printable ASCII.
        IdempotencyMismatch: The key came before with another request.
    """
    if HEADER not in request.headers:
        return _shown(await act(None), show)
    once = _once(request, caller, clock.now(), keep or show)
    async with turns.turn(once.key):
        kept = await store.kept(once)
        return _shown(kept or await act(once), show)


def _once(request: Request, caller: Caller, now: datetime, keep: Callable[[Any], Response]) -> Once:
    key = request.headers[HEADER]
    if not 1 <= len(key) <= KEY_CHARACTERS_MAX or not all(0x20 < octet < 0x7F for octet in key):
        raise MalformedRequest(f"An Idempotency-Key is 1 to {KEY_CHARACTERS_MAX} printable ASCII characters.")
    asker = b"%d\0%d\0%s" % (caller.tenant.n, caller.service.n, caller.key.mode.encode())
    scope = b"\0".join((asker, request.method.encode(), request.path.encode(), key))
    return Once(
        key=blake2b(scope, digest_size=32).digest(),
        fingerprint=blake2b(request.body, digest_size=16).digest(),
        asked_at=now,
        render=lambda result: _pack(keep(result)),
    )


def _shown(result: T | Replayed, show: Callable[[T], Response]) -> Response:
    if not isinstance(result, Replayed):
        return show(result)
    status, body = result.answer.split(b" ", 1)
    if int(status) >= 400:
        return Response(int(status), body, PROBLEM, (REPLAYED,))
    return Response(int(status), body, headers=(REPLAYED,))


def _pack(response: Response) -> bytes:
    return b"%d %s" % (response.status, response.body)
