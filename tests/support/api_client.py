"""Talk to a running Dastak as a customer's program would: plain HTTP, nothing of ours imported."""

import json
import urllib.error
import urllib.request
from typing import Any, NamedTuple


class Answer(NamedTuple):
    """One HTTP answer."""

    status: int
    body: Any
    headers: dict[str, str]


class ApiClient:
    """A customer's program with one key."""

    def __init__(self, url: str, key: str | None) -> None:
        self.url = url.rstrip("/")
        self.key = key

    def post(self, path: str, body: Any = None, **headers: str) -> Answer:
        """Send JSON; a header's underscores are hyphens."""
        octets = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        return self._send("POST", path, octets, headers)

    def get(self, path: str, **headers: str) -> Answer:
        """Read."""
        return self._send("GET", path, None, headers)

    def start(self, to: str, **fields: Any) -> Answer:
        """Start a verification."""
        return self.post("/v1/verifications", {"to": to, **fields})

    def check(self, verification_id: str, code: str, **fields: Any) -> Answer:
        """Check a code."""
        return self.post(f"/v1/verifications/{verification_id}/check", {"code": code, **fields})

    def next_text(self, to: str, *, timeout_s: float = 10) -> dict[str, Any]:
        """Wait for the next text on a virtual phone."""
        answer = self.get(f"/sim/phones/{to.lstrip('+')}/messages/next?timeout_s={timeout_s}")
        assert answer.status == 200, answer
        return answer.body

    def _send(self, method: str, path: str, octets: bytes | None, headers: dict[str, str]) -> Answer:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        if octets is not None:
            named.setdefault("content-type", "application/json")
        if self.key is not None:
            named.setdefault("authorization", f"Bearer {self.key}")
        request = urllib.request.Request(self.url + path, data=octets, headers=named, method=method)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return _read(answer.status, answer.read(), answer.headers)
        except urllib.error.HTTPError as refusal:
            with refusal:
                return _read(refusal.code, refusal.read(), refusal.headers)


def _read(status: int, octets: bytes, headers: Any) -> Answer:
    body = json.loads(octets) if "json" in headers.get("content-type", "") else octets
    return Answer(status, body, {name.lower(): value for name, value in headers.items()})
