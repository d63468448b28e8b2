"""Talk to a running Dastak as a customer's program would: plain HTTP, nothing of ours imported."""

import http.client
import json
import math
import time
from typing import Any, NamedTuple, Self
from urllib.parse import urlsplit


class Answer(NamedTuple):
    """One HTTP answer."""

    status: int
    body: Any
    headers: dict[str, str]


class ApiClient:
    """A customer's program with one key.

    Args:
        url: Where Dastak answers.
        key: What stands in every request's header, unless that is None.
        kept: Keep one connection for all requests; then it is good for one thread, in a `with`.

    Attributes:
        sent_at: When the last octet of the newest request was given to the kernel, in monotonic seconds.
    """

    def __init__(self, url: str, key: str | None, *, kept: bool = False) -> None:
        self.url = url.rstrip("/")
        self.key = key
        self.sent_at = math.inf
        self._kept = self._connect() if kept else None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        if self._kept is not None:
            self._kept.close()

    def post(self, path: str, body: Any = None, **headers: str) -> Answer:
        """Send JSON; a header's underscores are hyphens."""
        octets = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        return self._send("POST", path, octets, headers)

    def put(self, path: str, body: Any) -> Answer:
        """Replace something by JSON."""
        return self._send("PUT", path, json.dumps(body).encode(), {})

    def patch(self, path: str, body: Any, **headers: str) -> Answer:
        """Change something by JSON."""
        return self._send("PATCH", path, json.dumps(body).encode(), headers)

    def delete(self, path: str, **headers: str) -> Answer:
        """Take away."""
        return self._send("DELETE", path, None, headers)

    def get(self, path: str, **headers: str) -> Answer:
        """Read."""
        return self._send("GET", path, None, headers)

    def start(self, to: str, **fields: Any) -> Answer:
        """Start a verification."""
        return self.post("/v1/verifications", {"to": to, **fields})

    def check(self, verification_id: str, code: str, **fields: Any) -> Answer:
        """Check a code."""
        return self.post(f"/v1/verifications/{verification_id}/check", {"code": code, **fields})

    def timeline(self, verification_id: str) -> list[dict[str, Any]]:
        """Read the events of a verification."""
        answer = self.get(f"/v1/verifications/{verification_id}/timeline")
        assert answer.status == 200, answer
        events: list[dict[str, Any]] = answer.body["events"]
        return events

    def next_text(self, to: str, *, timeout_s: float = 10) -> dict[str, Any]:
        """Wait for the next text on a virtual phone."""
        answer = self.get(f"/sim/phones/{to.lstrip('+')}/messages/next?timeout_s={timeout_s}")
        assert answer.status == 200, answer
        text: dict[str, Any] = answer.body
        return text

    def _connect(self) -> http.client.HTTPConnection:
        place = urlsplit(self.url)
        assert place.hostname is not None
        return http.client.HTTPConnection(place.hostname, place.port, timeout=30)

    def _send(self, method: str, path: str, octets: bytes | None, headers: dict[str, str]) -> Answer:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        if octets is not None:
            named.setdefault("content-type", "application/json")
        if self.key is not None:
            named.setdefault("authorization", f"Bearer {self.key}")
        connection = self._kept or self._connect()
        self.sent_at = math.inf
        try:
            connection.request(method, path, octets, named)
            self.sent_at = time.monotonic()
            with connection.getresponse() as answer:
                return _read(answer.status, answer.read(), answer.headers)
        finally:
            if connection is not self._kept:
                connection.close()


def _read(status: int, octets: bytes, headers: Any) -> Answer:
    body = json.loads(octets) if octets and "json" in headers.get("content-type", "") else octets
    return Answer(status, body, {name.lower(): value for name, value in headers.items()})
