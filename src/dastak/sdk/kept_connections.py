"""Connections to the service that are kept alive between requests, for any number of threads.

1. A redirect is not followed and no proxy of the environment is asked: the key goes to one host only.
2. A connection that the service closed while it lay idle is replaced once; the request's Idempotency-Key
   keeps that from being done twice.
"""

import http.client
import json
import threading
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

from .refusals import Unavailable

# More lie idle only after a burst.
IDLE_MAX: Final = 8
# The longest answer, a list of two hundred verifications, has a quarter of that.
ANSWER_OCTETS_MAX: Final = 1024 * 1024

# What a connection that was closed at the other end says at its next use.
_GONE: Final = (http.client.BadStatusLine, ConnectionError)


class Answer(NamedTuple):
    """One HTTP answer; the body is {} where it is no JSON object."""

    status: int
    body: dict[str, Any]
    retry_after_s: int | None


class KeptConnections:
    """Sends requests to one server.

    Args:
        url: Such as `https://otp.example.in`; a path in it comes before every other.
        timeout_s: For connecting, and for each wait in a request.

    Raises:
        ValueError: The address is none.
    """

    def __init__(self, url: str, *, timeout_s: float) -> None:
        place = urlsplit(url)
        if place.scheme not in ("http", "https") or not place.hostname or place.query or place.username:
            raise ValueError("write the address as https://otp.example.in")
        self._kind = http.client.HTTPSConnection if place.scheme == "https" else http.client.HTTPConnection
        self._host, self._port = place.hostname, place.port
        self._prefix = place.path.rstrip("/")
        self._timeout_s = timeout_s
        self._idle: list[http.client.HTTPConnection] = []
        self._lock = threading.Lock()

    def close(self) -> None:
        """Close what lies idle."""
        with self._lock:
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    def ask(self, method: str, path: str, octets: bytes | None, headers: dict[str, str]) -> Answer:
        """Send a request and return its answer.

        Raises:
            Unavailable: Nobody answers, not in time, or not as Dastak does.
        """
        kept = self._take()
        try:
            if kept is not None:
                try:
                    return self._ask(kept, method, path, octets, headers)
                except _GONE:
                    kept.close()
            return self._ask(self._new(), method, path, octets, headers)
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise Unavailable("Dastak does not answer.", code="unreachable") from error

    def _ask(
        self,
        connection: http.client.HTTPConnection,
        method: str,
        path: str,
        octets: bytes | None,
        headers: dict[str, str],
    ) -> Answer:
        try:
            connection.request(method, self._prefix + path, octets, headers)
            answer = connection.getresponse()
            read = answer.read(ANSWER_OCTETS_MAX + 1)
            if len(read) > ANSWER_OCTETS_MAX:
                raise ValueError("an answer of more octets than any of Dastak")
        except BaseException:
            connection.close()
            raise
        self._give_back(connection, closing=answer.will_close)
        wait = answer.headers.get("retry-after", "")
        return Answer(answer.status, _object(read), int(wait) if wait.isdecimal() else None)

    def _new(self) -> http.client.HTTPConnection:
        return self._kind(self._host, self._port, timeout=self._timeout_s)

    def _take(self) -> http.client.HTTPConnection | None:
        with self._lock:
            return self._idle.pop() if self._idle else None

    def _give_back(self, connection: http.client.HTTPConnection, *, closing: bool) -> None:
        with self._lock:
            if not closing and len(self._idle) < IDLE_MAX:
                self._idle.append(connection)
                return
        connection.close()


def _object(octets: bytes) -> dict[str, Any]:
    """Read a JSON object; what a proxy in between wrote is none, and its status says enough."""
    try:
        body = json.loads(octets)
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}
