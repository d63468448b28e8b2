"""A request and its answer, apart from any server: what the edge hands in and writes out."""

from typing import Final

import msgspec

JSON: Final = b"application/json"
PROBLEM: Final = b"application/problem+json"


class Request(msgspec.Struct, frozen=True):
    """One HTTP request, whole.

    Attributes:
        path: Decoded, without the query.
        query: As it came, without the question mark.
        headers: By lower-case name; of a repeated one the last.
        peer: The address of the other end of the connection.
    """

    method: str
    path: str
    query: str
    headers: dict[bytes, bytes]
    body: bytes
    peer: str


class Response(msgspec.Struct, frozen=True):
    """One HTTP answer, whole."""

    status: int
    body: bytes
    content_type: bytes = JSON
    headers: tuple[tuple[bytes, bytes], ...] = ()


_ENCODER: Final = msgspec.json.Encoder()


def answer(status: int, value: object) -> Response:
    """Answer with a value as JSON."""
    return Response(status, _ENCODER.encode(value))
