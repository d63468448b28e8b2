"""The site that sent its reader to a page of ours: it notes every address that a browser comes back to."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self

_PAGE = b"<!doctype html><title>Back</title><link rel=icon href=data:,><h1>Welcome back</h1>"


class ReturnSite:
    """A web server on a free port.

    Attributes:
        url: Where readers come back to.
        came: The paths and queries that browsers asked for.
        login_url: Where it begins a login, by sending browsers to `asks`.
        moved_to: Where it sends those on who come back, with what they bring; empty: nowhere.
    """

    def __init__(self) -> None:
        self.came: list[str] = []
        came, site = self.came, self
        self.asks = self.moved_to = ""

        class Answer(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                came.append(self.path)
                path, _, query = self.path.partition("?")
                asked = site.asks if path == "/login" else ""
                moved = f"{site.moved_to}?{query}" if site.moved_to and path == "/done" else ""
                if asked or moved:
                    self.send_response(303)
                    self.send_header("location", asked or moved)
                    self.end_headers()
                    return
                self.send_response(200)
                self.send_header("content-type", "text/html")
                self.end_headers()
                self.wfile.write(_PAGE)

            def log_message(self, *_words: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
        self.url = f"http://127.0.0.1:{self._server.server_port}/done"
        self.login_url = f"http://127.0.0.1:{self._server.server_port}/login"

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
