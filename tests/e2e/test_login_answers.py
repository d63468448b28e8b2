"""Every answer of the login and the account, redirects and refusals too: under the policy, kept by nobody."""

from collections.abc import Iterator

import httpx
import pyotp
import pytest

from tests.support.api_client import ApiClient
from tests.support.dastak_process import DastakProcess
from tests.support.login_client import ACCOUNT, LOGIN, PASSWORD, LoginClient, some_name, some_number
from tests.support.login_server import behind_proxy

dastak = behind_proxy
CODE = f"{LOGIN}/code"
WANTED = {
    "cache-control": "no-store",
    "cross-origin-opener-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}
POLICY = {
    "default-src 'none'",
    "script-src 'self'",
    "base-uri 'none'",
    "frame-ancestors 'none'",
    "object-src 'none'",
}


class Kept:
    """All that one browser was answered with.

    Attributes:
        pages: By what was asked for.
    """

    def __init__(self) -> None:
        self.pages: dict[str, httpx.Response] = {}

    def keep(self, answer: httpx.Response) -> None:
        answer.read()
        asked = f"{answer.request.method} {answer.request.url.path} {answer.status_code}"
        self.pages[f"{asked} {len(self.pages)}"] = answer


@pytest.fixture
def walked(dastak: DastakProcess, api: ApiClient) -> Iterator[dict[str, httpx.Response]]:
    """Go through all there is: sign-up, every factor, wrong and right, a forgotten password, the end."""
    kept, name, number = Kept(), some_name(), some_number()
    with LoginClient(dastak.url) as browser:
        browser.http.event_hooks = {"response": [kept.keep]}
        browser.sign_up(name, "password")
        browser.sign_up(name)
        browser.send(ACCOUNT, {"do": "number", "msisdn": "12"})
        codes = browser.add_number(api, number)
        browser.send(ACCOUNT, {"do": "add-totp"})
        page = browser.get(f"{ACCOUNT}/code").text
        secret = page.partition('class="secret" dir="ltr">')[2].partition("<")[0].replace(" ", "")
        browser.send(f"{ACCOUNT}/code", {"do": "check", "code": pyotp.TOTP(secret).now()})
        browser.send(ACCOUNT, {"do": "add-hash_chain"})
        browser.send(ACCOUNT, {"do": "password", "old": "x", "new": PASSWORD})
        browser.send(ACCOUNT, {"do": "no-such-thing"})
        browser.send(ACCOUNT, {"do": "out"})
        browser.pass_password(name, "a wrong but long one")
        browser.pass_password(name)
        browser.send(CODE, {"do": "resync", "first": "1", "second": "2"})
        browser.send(CODE, {"do": "use-sms"})
        api.next_text(number)
        browser.send(CODE, {"do": "check", "code": "12"})
        browser.get(f"{CODE}/watch")
        browser.send(CODE, {"do": "recover", "recovery": "AAAAA-AAAAA"})
        browser.send(CODE, {"do": "recover", "recovery": codes[0]})
        browser.get(ACCOUNT)
        browser.get(f"{LOGIN}/on?next=/x")
        browser.send(ACCOUNT, {"do": "out"})
        browser.send(f"{LOGIN}/forgotten", {"username": name})
        browser.get(f"{LOGIN}/forgotten/code")
        browser.get("/login/default/nobody")
        yield kept.pages


def test_every_answer_is_under_the_policy_and_kept_by_nobody(
    walked: dict[str, httpx.Response],
) -> None:
    faults = {}
    for asked, answer in walked.items():
        policy = set(answer.headers.get("content-security-policy", "").split("; "))
        wrong = {name for name, wanted in WANTED.items() if answer.headers.get(name) != wanted}
        if wrong or not policy >= POLICY or any("unsafe" in part for part in policy):
            faults[asked] = (wrong, sorted(policy))
    seen = {answer.status_code for answer in walked.values()}

    assert len(walked) > 40
    assert seen >= {200, 303, 403, 404, 422}
    assert faults == {}
