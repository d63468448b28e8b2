"""A browser without scripts: it keeps cookies, follows redirects of one site and fills in forms."""

from html.parser import HTMLParser
from typing import Final, Self
from urllib.parse import urljoin, urlsplit

import httpx

from tests.support.login_client import some_address

REDIRECTS_MAX: Final = 10


class Sheet(HTMLParser):
    """One page as it was answered, or the address of another site that it led to.

    Attributes:
        url: Where it is.
        status: Of the answer; 0 at another site, which is not opened.
        fields: The form's fields and what is in them.
        action: Where the form goes.
        refresh: Where a page goes by itself.
    """

    def __init__(self, url: str, answer: httpx.Response | None) -> None:
        super().__init__()
        self.url = url
        self.status = 0 if answer is None else answer.status_code
        self.text = "" if answer is None else answer.text
        self.headers = httpx.Headers() if answer is None else answer.headers
        self.fields: dict[str, str] = {}
        self.action = url
        self.refresh: str | None = None
        self.feed(self.text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        said = dict(attrs)
        if tag == "input" and said.get("name"):
            self.fields[said["name"] or ""] = said.get("value") or ""
        if tag == "form" and said.get("action"):
            self.action = urljoin(self.url, said["action"] or "")
        if tag == "meta" and said.get("http-equiv") == "refresh":
            self.refresh = (said.get("content") or "").partition("url=")[2]


class PlainBrowser:
    """One person's browser at one site.

    Args:
        site: The site's address; what leads elsewhere is not followed.

    Attributes:
        client: Has the cookies.
        program: Has none, for what is no browser.
    """

    def __init__(self, site: str) -> None:
        self.site = site.rstrip("/")
        # Each seems to come from a network of its own, as a proxy would tell.
        headers = {"accept-language": "en", "x-forwarded-for": some_address()}
        self.client = httpx.Client(headers=headers, timeout=30, trust_env=False)
        self.program = httpx.Client(base_url=self.site, timeout=30, trust_env=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.client.close()
        self.program.close()

    def open(self, url: str) -> Sheet:
        """Go to an address as by a link."""
        return self._follow(self.client.build_request("GET", urljoin(self.site, url)))

    def send(self, sheet: Sheet, **typed: str) -> Sheet:
        """Send a page's form, with what was typed."""
        headers = {"origin": self.site, "sec-fetch-site": "same-origin"}
        data = {**sheet.fields, **typed}
        return self._follow(self.client.build_request("POST", sheet.action, data=data, headers=headers))

    def _follow(self, request: httpx.Request) -> Sheet:
        for _ in range(REDIRECTS_MAX):
            answer = self.client.send(request)
            sheet = Sheet(str(request.url), answer)
            leads = answer.headers.get("location") or sheet.refresh
            if not leads:
                return sheet
            there = urljoin(str(request.url), leads)
            if urlsplit(there)[:2] != urlsplit(self.site)[:2]:
                return Sheet(there, None)
            request = self.client.build_request("GET", there)
        raise AssertionError(f"more than {REDIRECTS_MAX} redirects, the last to {request.url}")
