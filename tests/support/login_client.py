"""A browser without a window: it keeps cookies, fills in the forms of the login, and follows nothing."""

import re
from collections.abc import Mapping
from html import unescape
from ipaddress import IPv4Address
from itertools import count
from typing import Any, Final, Self

import httpx

from dastak.core.lockout import WRONG_PER_HOUR_MAX
from dastak.core.policy import ATTEMPTS_MAX
from tests.support.api_client import ApiClient
from tests.support.fresh_numbers import FRESH

LOGIN: Final = "/login/default/default"
ACCOUNT: Final = "/account/default/default"
PASSWORD: Final = "a bridge of seven lemons"
_NAMES: Final = count(1)
_ADDRESSES: Final = count(1)
# Each browser seems to come from an address of its own, as a proxy would tell.
BEHIND_PROXY: Final[Mapping[str, str]] = {"DASTAK__LOGIN__TRUSTED_PROXIES": "1"}
_HIDDEN: Final = re.compile(r'<input type="hidden" name="(\w+)" value="([^"]*)">')


def some_name() -> str:
    """Return a username that nobody has yet."""
    return f"person.{next(_NAMES)}"


def some_number() -> str:
    """Return a number that no other test uses."""
    return f"+91{next(FRESH)}"


def some_address() -> str:
    """Return an address in a network that no other browser is in."""
    return str(IPv4Address(0x0B000001 + (next(_ADDRESSES) << 8)))


class LoginClient:
    """One browser of one person.

    Args:
        url: Where Dastak answers.
        address: Where it seems to come from; a server `BEHIND_PROXY` believes it. By default a new network.

    Attributes:
        http: The client, with its cookies.
    """

    def __init__(self, url: str, *, address: str | None = None) -> None:
        headers = {"x-forwarded-for": address or some_address()}
        self.http = httpx.Client(base_url=url, headers=headers, timeout=30, trust_env=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.http.close()

    def get(self, path: str) -> httpx.Response:
        """Open a page."""
        return self.http.get(path)

    def send(self, path: str, fields: Mapping[str, str], *, page: str | None = None) -> httpx.Response:
        """Open a page, fill in its first form and send it."""
        hidden = hidden_fields(self.get(page or path).text)
        return self.http.post(path.partition("?")[0], data={**hidden, **fields})

    def sign_up(self, username: str, password: str = PASSWORD) -> httpx.Response:
        """Make an account."""
        return self.send(f"{LOGIN}/sign-up", {"username": username, "password": password})

    def pass_password(
        self, username: str, password: str = PASSWORD, *, path: str = LOGIN, **fields: str
    ) -> httpx.Response:
        """Take step one."""
        return self.send(path, {"username": username, "password": password, **fields})

    def add_number(self, api: ApiClient, number: str) -> tuple[str, ...]:
        """Prove a number; return the recovery codes that are shown with the first one."""
        asked = self.send(ACCOUNT, {"do": "number", "msisdn": number})
        assert asked.status_code == 303, asked.text
        code = api.next_text(number)["code"]
        shown = self.send(f"{ACCOUNT}/code", {"do": "check", "code": code})
        assert shown.status_code in (200, 303), shown.text
        return recovery_codes(shown.text)

    def type_code(self, code: str) -> httpx.Response:
        """Take step two."""
        return self.send(f"{LOGIN}/code", {"do": "check", "code": code})

    def is_in(self) -> bool:
        """Say whether it is signed in, with all that is wanted."""
        return self.get(ACCOUNT).status_code == 200

    def cookie(self, name: str) -> str | None:
        """Return what it carries under a name that begins so."""
        return next((one.value for one in self.http.cookies.jar if one.name.startswith(name)), None)


def hidden_fields(html: str) -> dict[str, str]:
    """Return the hidden fields of a page's first form."""
    form = html.partition("<form")[2].partition("</form>")[0]
    return {name: unescape(value) for name, value in _HIDDEN.findall(form)}


def recovery_codes(html: str) -> tuple[str, ...]:
    """Return the recovery codes that a page shows."""
    return tuple(re.findall(r"<li>([0-9A-Z]{5}-[0-9A-Z]{5})</li>", html))


def lock(api: ApiClient, number: str) -> None:
    """Type so many wrong codes that a number is locked, as anybody may who knows it."""
    for _ in range(WRONG_PER_HOUR_MAX // ATTEMPTS_MAX):
        waste_a_code(api, number)


def waste_a_code(api: ApiClient, number: str) -> None:
    """Have a code sent, and type wrong ones until it is exhausted."""
    started = api.start(number, channel="sms").body
    right = api.next_text(number)["code"]
    for _ in range(ATTEMPTS_MAX):
        api.check(started["id"], f"{(int(right) + 1) % 1_000_000:06}")


def with_number(url: str, api: ApiClient) -> dict[str, Any]:
    """Make a person who has two factors; return the name, the number and the recovery codes."""
    name, number = some_name(), some_number()
    with LoginClient(url) as browser:
        browser.sign_up(name)
        codes = browser.add_number(api, number)
    return {"name": name, "number": number, "codes": codes}
