"""A site that speaks OpenID Connect by hand, so that a test can send whatever it likes."""

import base64
import hashlib
import json
import secrets
import subprocess
import sys
from typing import Any, Final
from urllib.parse import parse_qs, quote_plus, urlencode, urlsplit

import httpx

from tests.support.api_client import ApiClient
from tests.support.dastak_process import DastakProcess
from tests.support.fresh_numbers import FRESH
from tests.support.plain_browser import PlainBrowser, Sheet
from tests.support.program import clean_environment

CALLBACK: Final = "https://shop.example/callback"
LOGGED_OUT: Final = "https://shop.example/bye?from=dastak"
CLIENTS: Final = "/v1/admin/tenants/default/clients"


def some_number() -> str:
    """Return a number that no other test uses."""
    return f"+91{next(FRESH)}"


def add_client(dastak: DastakProcess, **fields: Any) -> dict[str, Any]:
    """Register a client, and return it with its secret."""
    plain = {"name": "Shop", "redirect_uris": [CALLBACK], "logout_uris": [LOGGED_OUT], **fields}
    made = ApiClient(dastak.url, dastak.api_key).post(CLIENTS, plain)
    assert made.status == 201, made
    body: dict[str, Any] = made.body
    return body


def command(dastak: DastakProcess, *arguments: str) -> Any:
    """Give a command in the directory of a running server, and return what it printed."""
    return json.loads(order(dastak, *arguments, "--json"))


def order(dastak: DastakProcess, *arguments: str) -> bytes:
    """Give a command that prints no JSON."""
    done = subprocess.run(
        [sys.executable, "-m", "dastak", *arguments],
        cwd=dastak.data_dir,
        env=clean_environment({}),
        capture_output=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


def log_in(browser: PlainBrowser, url: str, number: str) -> Sheet:
    """Go where a site sends the browser, type the number and its code, and allow what is asked."""
    page = browser.open(url)
    page = browser.send(page, number=number, do="begin")
    assert page.status == 200, page.text
    code = ApiClient(browser.site, None).next_text(number)["code"]
    page = browser.send(page, code=code, do="check")
    return browser.send(page, do="allow") if page.status == 200 else page


class Site:
    """One client, and one reader's browser.

    Attributes:
        verifier: What each code of it is bound to.
    """

    def __init__(self, dastak: DastakProcess, browser: PlainBrowser, **fields: Any) -> None:
        self._dastak = dastak
        self.made = add_client(dastak, **{"ask_consent": False, **fields})
        self.id, self.secret = self.made["client_id"], self.made["client_secret"]
        self.browser, self.number = browser, some_number()
        self.verifier = secrets.token_urlsafe(48)
        # The site's own program; it closes with the browser.
        self.http = browser.program

    def remove(self) -> None:
        """Take it out of the list of sites."""
        gone = ApiClient(self._dastak.url, self._dastak.api_key).delete(f"{CLIENTS}/{self.id}")
        assert gone.status == 200, gone

    def query(self, **more: str | None) -> str:
        """Return an authorization request; None leaves a parameter out."""
        challenge = hashlib.sha256(self.verifier.encode()).digest()
        plain = {
            "client_id": self.id,
            "redirect_uri": CALLBACK,
            "response_type": "code",
            "scope": "openid phone",
            "state": "st",
            "nonce": "no",
            "code_challenge": base64.urlsafe_b64encode(challenge).rstrip(b"=").decode(),
            "code_challenge_method": "S256",
        }
        return urlencode({name: value for name, value in {**plain, **more}.items() if value is not None})

    def ask(self, **more: str | None) -> Sheet:
        """Send the browser, and return where it came."""
        return self.browser.open(f"/authorize?{self.query(**more)}")

    def log_in(self, **more: str | None) -> dict[str, str]:
        """Log the reader in, and return the answer."""
        there = log_in(self.browser, f"/authorize?{self.query(**more)}", self.number)
        return answer_of(there)

    def code(self, **more: str | None) -> str:
        """Return a code; the reader logs in where that is needed."""
        there = self.ask(**more)
        return answer_of(there)["code"] if there.status == 0 else self.log_in(**more)["code"]

    def basic(self, secret: str | None = None, client_id: str | None = None) -> dict[str, str]:
        """Return the header of HTTP Basic authentication."""
        joined = f"{quote_plus(client_id or self.id)}:{quote_plus(secret or self.secret or '')}"
        return {"authorization": f"Basic {base64.b64encode(joined.encode()).decode()}"}

    def form(self, **fields: str | None) -> dict[str, str]:
        """Return what changes a code for tokens; None leaves a field out."""
        plain = {
            "grant_type": "authorization_code",
            "redirect_uri": CALLBACK,
            "code_verifier": self.verifier,
            **fields,
        }
        return {name: value for name, value in plain.items() if value is not None}

    def exchange(
        self, code: str | None, *, headers: dict[str, str] | None = None, **fields: str | None
    ) -> httpx.Response:
        """Change a code for tokens."""
        proof = self.basic() if headers is None else headers
        return self.http.post("/token", data=self.form(code=code, **fields), headers=proof)

    def refresh(self, token: str, **fields: str) -> httpx.Response:
        """Change a refresh token for others."""
        data = {"grant_type": "refresh_token", "refresh_token": token, **fields}
        return self.http.post("/token", data=data, headers=self.basic())

    def userinfo(self, token: str) -> httpx.Response:
        """Ask who holds a token."""
        return self.http.get("/userinfo", headers={"authorization": f"Bearer {token}"})


def answer_of(sheet: Sheet) -> dict[str, str]:
    """Return what the site is told in an address it was sent to."""
    assert sheet.status == 0, f"{sheet.url} {sheet.status} {sheet.text}"
    return {name: values[0] for name, values in parse_qs(urlsplit(sheet.url).query).items()}
