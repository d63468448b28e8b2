"""A request and its answer, apart from any server: what the edge hands in and writes out."""

import http
from collections.abc import Sequence
from typing import Final

import msgspec

JSON: Final = b"application/json"
PROBLEM: Final = b"application/problem+json"

# What every answer of the API says besides its own: nobody may store, sniff or frame it.
FIXED_HEADERS: Final = (
    b"cache-control: no-store\r\n"
    b"x-content-type-options: nosniff\r\n"
    b"referrer-policy: no-referrer\r\n"
    b"content-security-policy: default-src 'none'; frame-ancestors 'none'\r\n"
)
_STATUS_LINES: Final = {
    status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode() for status in http.HTTPStatus
}


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


class AnswerWriting:
    """Writes answers out; what they begin with is put together once, until the date in it changes."""

    def __init__(self) -> None:
        self._common: Sequence[tuple[bytes, bytes]] | None = None
        self._beginnings: dict[tuple[int, bytes], bytes] = {}

    def octets(self, response: Response, common: Sequence[tuple[bytes, bytes]], *, keep_alive: bool) -> bytes:
        """Return an answer as it goes out.

        Args:
            response: The answer.
            common: The headers of all answers of the server now; others come as another object.
            keep_alive: Whether the connection stays open after it.
        """
        if common is not self._common:
            self._common, self._beginnings = common, {}
        kind = (response.status, response.content_type)
        beginning = self._beginnings.get(kind)
        if beginning is None:
            beginning = self._beginnings[kind] = _beginning(*kind, common)
        parts = [beginning]
        for header in response.headers:
            parts.append(b"%b: %b\r\n" % header)
        if not keep_alive:
            parts.append(b"connection: close\r\n")
        parts.append(b"content-length: %d\r\n\r\n%b" % (len(response.body), response.body))
        return b"".join(parts)


def _beginning(status: int, content_type: bytes, common: Sequence[tuple[bytes, bytes]]) -> bytes:
    headers = b"".join(b"%b: %b\r\n" % header for header in common)
    return b"%bcontent-type: %b\r\n%b%b" % (_STATUS_LINES[status], content_type, FIXED_HEADERS, headers)


_ENCODER: Final = msgspec.json.Encoder()


def answer(status: int, value: object) -> Response:
    """Answer with a value as JSON."""
    return Response(status, _ENCODER.encode(value))
