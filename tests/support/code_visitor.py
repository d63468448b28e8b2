"""A browser without a screen: opens code pages, keeps their cookies, and sends their forms as they stand."""

import http.client
import re
from html import unescape
from typing import Any, NamedTuple
from urllib.parse import urlencode, urlsplit

from tests.support.api_client import ApiClient

RETURN_URL = "http://127.0.0.1:9/done"
_HIDDEN = re.compile(r'<input type="hidden" name="([a-z]+)" value="([^"]*)">')


class Shown(NamedTuple):
    """An answer as it came."""

    status: int
    headers: dict[str, str]
    html: str

    @property
    def text(self) -> str:
        """What stands on the page, without its tags."""
        return unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", self.html)))

    @property
    def fields(self) -> dict[str, str]:
        """The hidden fields of its form."""
        return {name: unescape(value) for name, value in _HIDDEN.findall(self.html)}


class Visitor:
    """One browser."""

    def __init__(self) -> None:
        self.cookies: dict[str, str] = {}

    def ask(self, method: str, url: str, form: dict[str, str] | None = None, **headers: str) -> Shown:
        parts = urlsplit(url)
        connection = http.client.HTTPConnection(parts.netloc, timeout=30)
        sent = {"cookie": "; ".join(f"{name}={value}" for name, value in self.cookies.items())} | headers
        body = None
        if form is not None:
            sent["content-type"] = "application/x-www-form-urlencoded"
            body = urlencode(form)
        connection.request(method, parts.path + (f"?{parts.query}" if parts.query else ""), body, sent)
        answer = connection.getresponse()
        shown = Shown(
            answer.status,
            {name.lower(): value for name, value in answer.getheaders() if name.lower() != "date"},
            answer.read().decode(),
        )
        connection.close()
        self._keep(shown.headers.get("set-cookie", ""))
        return shown

    def open(self, url: str) -> Shown:
        return self.ask("GET", url)

    def do(self, shown: Shown, url: str, what: str, **fields: str) -> Shown:
        """Send the form of a page that was shown."""
        return self.ask("POST", url, {**shown.fields, "do": what, **fields})

    def _keep(self, cookie: str) -> None:
        name, _, value = cookie.partition(";")[0].partition("=")
        if name:
            self.cookies[name] = value


def made_page(
    api: ApiClient, to: str, *, page: dict[str, Any] | None = None, **fields: Any
) -> tuple[str, str]:
    """Start a verification and make its page; return its id and the address."""
    started = api.start(to, **fields)
    assert started.status == 201, started
    body = {"return_url": RETURN_URL, "state": "a b&c", **(page or {})}
    made = api.post(f"/v1/verifications/{started.body['id']}/page", body)
    assert made.status == 201, made
    return started.body["id"], made.body["url"]
