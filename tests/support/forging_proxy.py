"""Somebody between a site and its provider who puts another ID token in place of the one that was signed."""

import http.client
import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final, Self

# Of one connection, and so not passed on (RFC 9110, section 7.6.1).
_HOP: Final = frozenset({"connection", "keep-alive", "transfer-encoding", "content-length", "date", "server"})

Forge = Callable[[str], str]


class ForgingProxy:
    """A web server on a free port that passes everything on, but for ID tokens.

    Attributes:
        url: Where it listens; the provider behind it calls itself so.
        behind: The host and port of the provider.
        forge: What becomes of an ID token; at first nothing.
        passed: How many ID tokens went through its hands.
    """

    def __init__(self) -> None:
        self.behind = ""
        self.forge: Forge = lambda token: token
        self.passed = 0
        proxy = self

        class Pass(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._pass(b"")

            def do_POST(self) -> None:
                self._pass(self.rfile.read(int(self.headers.get("content-length", "0"))))

            def _pass(self, body: bytes) -> None:
                asked = {name: value for name, value in self.headers.items() if name.lower() not in _HOP}
                connection = http.client.HTTPConnection(proxy.behind, timeout=30)
                connection.request(self.command, self.path, body or None, asked)
                answer = connection.getresponse()
                octets = proxy._forged(answer.read(), answer.getheader("content-type", ""))
                connection.close()
                self.send_response(answer.status)
                for name, value in answer.getheaders():
                    if name.lower() not in _HOP:
                        self.send_header(name, value)
                self.send_header("content-length", str(len(octets)))
                self.end_headers()
                self.wfile.write(octets)

            def log_message(self, *_words: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Pass)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def _forged(self, octets: bytes, kind: str) -> bytes:
        if not kind.startswith("application/json"):
            return octets
        said: Any = json.loads(octets)
        if not isinstance(said, dict) or "id_token" not in said:
            return octets
        self.passed += 1
        return json.dumps({**said, "id_token": self.forge(said["id_token"])}).encode()
