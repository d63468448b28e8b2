"""A customer's own system that knows passwords: it checks our signature as the standard says, and answers."""

import base64
import hashlib
import hmac
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class PasswordSystem:
    """Answers on a free port of this machine.

    Attributes:
        passwords: What it knows.
        secret: What requests must be signed with, as it was shown: `whsec_...`.
        asked: How often it was asked with a signature that holds.
        refused: How often without.
        throttled: Names that are answered with a status and nothing else.
        answer: Sent in place of a right answer, if set: status and body.
    """

    def __init__(self, passwords: Mapping[str, str]) -> None:
        self.passwords = passwords
        self.secret = ""
        self.asked = self.refused = 0
        self.throttled: dict[str, int] = {}
        self.answer: tuple[int, bytes] | None = None
        self.url = ""

    def judge(self, headers: Mapping[str, str], body: bytes) -> tuple[int, bytes]:
        """Return status and body of an answer."""
        signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
        key = base64.b64decode(self.secret.removeprefix("whsec_"))
        proof = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
        if f"v1,{proof}" not in headers["webhook-signature"].split(" "):
            self.refused += 1
            return 400, b"{}"
        self.asked += 1
        if self.answer is not None:
            return self.answer
        said = json.loads(body)
        if said["username"] in self.throttled:
            return self.throttled[said["username"]], b""
        right = self.passwords.get(said["username"]) == said["password"]
        return 200, json.dumps({"valid": right}).encode()


@contextmanager
def answering(passwords: Mapping[str, str]) -> Iterator[PasswordSystem]:
    """Run a system that knows these passwords."""
    system = PasswordSystem(passwords)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            status, answer = system.judge({name.lower(): value for name, value in self.headers.items()}, body)
            self.send_response(status)
            self.send_header("content-length", str(len(answer)))
            if status == 302:
                self.send_header("location", system.url)
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    system.url = f"http://127.0.0.1:{server.server_address[1]}/check"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield system
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
