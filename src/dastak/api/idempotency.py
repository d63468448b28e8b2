"""Read an Idempotency-Key, and keep and give back the answer of the request it named."""

from collections.abc import Callable
from hashlib import blake2b
from typing import Any, Final

from dastak.api.exchange import PROBLEM, Request, Response
from dastak.core.errors import MalformedRequest
from dastak.core.ports import Once, Replayed

KEY_CHARACTERS_MAX: Final = 255
HEADER: Final = b"idempotency-key"
REPLAYED: Final = (b"idempotency-replayed", b"true")


def once_of(request: Request, tenant: int, keep: Callable[[Any], Response]) -> Once | None:
    """Make the store's `Once` for a request, if it names a key.

    Args:
        request: The key is good for its tenant, method and path; its body is the fingerprint.
        tenant: Whose key it is.
        keep: Makes the answer that a repeat shall get.

    Raises:
        MalformedRequest: The key is empty, too long or not printable ASCII.
    """
    key = request.headers.get(HEADER)
    if key is None:
        return None
    if not 1 <= len(key) <= KEY_CHARACTERS_MAX or not all(0x20 < octet < 0x7F for octet in key):
        raise MalformedRequest(f"An Idempotency-Key is 1 to {KEY_CHARACTERS_MAX} printable ASCII characters.")
    scope = b"%d\0%s\0%s\0%s" % (tenant, request.method.encode(), request.path.encode(), key)
    return Once(
        key=blake2b(scope, digest_size=32).digest(),
        fingerprint=blake2b(request.body, digest_size=16).digest(),
        render=lambda result: _pack(keep(result)),
    )


def replay(replayed: Replayed) -> Response:
    """Give the kept answer again, marked as such."""
    status, body = replayed.answer.split(b" ", 1)
    return _response(int(status), body)


def _pack(response: Response) -> bytes:
    return b"%d %s" % (response.status, response.body)


def _response(status: int, body: bytes) -> Response:
    if status >= 400:
        return Response(status, body, PROBLEM, (REPLAYED,))
    return Response(status, body, headers=(REPLAYED,))
