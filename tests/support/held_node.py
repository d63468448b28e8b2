"""A node whose requests wait until the test lets one of them go: what a proxy does meanwhile can be seen."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final, Self

HELD_S_MAX: Final = 60


class HeldNode:
    """It is alive, and holds every other request.

    Attributes:
        address: Where it listens.
        came: Who has come, in that order: the `Held-As` of each request.
        hangs_up: Whether those who are let go hear nothing, as when a node is killed.
    """

    def __init__(self) -> None:
        node = self
        self.came: list[str] = []
        self.hangs_up = False
        self._goes = threading.Semaphore(0)

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                if self.path != "/healthz":
                    node._hold(self.headers["Held-As"])
                    if node.hangs_up:
                        return
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["Content-Length"]))
                self.do_GET()

            def log_message(self, *_what: object) -> None:
                pass

        class Server(ThreadingHTTPServer):
            request_queue_size = 512

            def handle_error(self, *_whose: object) -> None:
                pass  # who asked has gone, as when a proxy is stopped

        self._server = Server(("127.0.0.1", 0), Handler)
        self.address = f"127.0.0.1:{self._server.server_port}"

    def let_go(self, count: int = 1) -> None:
        """Answer so many, those who came already or come next."""
        for _ in range(count):
            self._goes.release()

    def _hold(self, name: str) -> None:
        self.came.append(name)
        self._goes.acquire(timeout=HELD_S_MAX)

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self.let_go(10_000)
        self._server.shutdown()
        self._server.server_close()
