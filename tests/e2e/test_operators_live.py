"""People who run things: one token makes the first of them, and none is in without a second factor."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pyotp
import pytest

from tests.support.api_client import ApiClient
from tests.support.dastak_process import DastakProcess
from tests.support.login_client import BEHIND_PROXY, PASSWORD, LoginClient, some_number

ACCOUNT = "/account/operators/console"
LOGIN = "/login/operators/console"


@pytest.fixture
def dastak(tmp_path: Path) -> Iterator[DastakProcess]:
    with DastakProcess(tmp_path / "data", environment=BEHIND_PROXY) as process:
        yield process


def path_of(dastak: DastakProcess) -> str:
    return dastak.setup_url.removeprefix(dastak.url)


def operator_with_phone(dastak: DastakProcess, browser: LoginClient) -> str:
    """Make the first operator; return the number."""
    api, number = ApiClient(dastak.url, dastak.api_key), some_number()
    browser.send(path_of(dastak), {"password": PASSWORD})
    browser.send(ACCOUNT, {"do": "number", "msisdn": number})
    code = api.next_text(number)["code"]
    shown = browser.send(f"{ACCOUNT}/code", {"do": "check", "code": code})
    assert shown.status_code == 200, shown.text
    return number


def test_first_operator_comes_by_the_token_and_again_by_both_factors(dastak: DastakProcess) -> None:
    api = ApiClient(dastak.url, dastak.api_key)
    with LoginClient(dastak.url) as browser:
        number = operator_with_phone(dastak, browser)
        inside = browser.get("/console")
        used = browser.get(path_of(dastak))
        browser.send(ACCOUNT, {"do": "out"})
        outside = browser.get("/console")
        browser.pass_password("operator", path=LOGIN)
        between = browser.get("/console")
        code = api.next_text(number)["code"]
        browser.send(f"{LOGIN}/code", {"do": "check", "code": code})
        again = browser.get("/console")

    assert inside.status_code == 200
    assert "Signed in as <strong>operator</strong>" in inside.text
    assert "default" in inside.text
    assert used.status_code == 404
    assert (outside.status_code, outside.headers["location"]) == (303, f"{LOGIN}?next=%2Fconsole")
    assert between.status_code == 303
    assert again.status_code == 200


def test_operator_is_not_in_before_a_second_factor_is_proved(dastak: DastakProcess) -> None:
    with LoginClient(dastak.url) as browser:
        made = browser.send(path_of(dastak), {"password": PASSWORD})
        console = browser.get("/console")
        account = browser.get(ACCOUNT)
        prefers = browser.send(ACCOUNT, {"do": "codes"})

    assert made.headers["location"] == ACCOUNT
    assert console.status_code == 303
    assert account.status_code == 200
    assert prefers.status_code == 403, "who is between the steps may set up a factor and do nothing else"


def test_operator_begins_with_an_authenticator_where_there_is_no_carrier(dastak: DastakProcess) -> None:
    with LoginClient(dastak.url) as browser:
        browser.send(path_of(dastak), {"password": PASSWORD})
        browser.send(ACCOUNT, {"do": "add-totp", "msisdn": some_number()})
        page = browser.get(f"{ACCOUNT}/code").text
        secret = page.partition('class="secret" dir="ltr">')[2].partition("<")[0].replace(" ", "")
        browser.send(f"{ACCOUNT}/code", {"do": "check", "code": pyotp.TOTP(secret).now()})
        inside = browser.get("/console").status_code
        browser.send(ACCOUNT, {"do": "out"})
        browser.pass_password("operator", path=LOGIN)
        asked = browser.get(f"{LOGIN}/code").text
        forged = [
            browser.send(f"{LOGIN}/code", {"do": do}).status_code for do in ("resend", "call", "use-sms")
        ]
        still = browser.get(f"{LOGIN}/code").text
        code = pyotp.TOTP(secret).at(int(time.time()) + 30)
        browser.send(f"{LOGIN}/code", {"do": "check", "code": code})
        again = browser.get("/console").status_code

    assert inside == 200
    assert "authenticator shows" in asked
    assert "Text message" not in asked, "a number that was not proved is no factor"
    assert forged == [422, 422, 303]
    assert "authenticator shows" in still, "and no form makes it one"
    assert again == 200


def test_weak_password_leaves_the_token_good(dastak: DastakProcess) -> None:
    with LoginClient(dastak.url) as browser:
        refused = browser.send(path_of(dastak), {"password": "operator1"})
        made = browser.send(path_of(dastak), {"password": PASSWORD})

    assert refused.status_code == 422
    assert "operator1" not in refused.text
    assert made.status_code == 303


def test_unknown_token_opens_nothing(dastak: DastakProcess) -> None:
    with LoginClient(dastak.url) as browser:
        answers = {browser.get(f"/console/setup/{token}").status_code for token in ("x", "x" * 32, "%00")}

    assert answers == {404}


def test_operators_are_invited_listed_and_removed_by_command(dastak: DastakProcess) -> None:
    config = str(dastak.data_dir / "dastak.toml")

    def command(*arguments: str) -> str:
        words = [sys.executable, "-m", "dastak", "--config", config, *arguments]
        return subprocess.run(words, capture_output=True, text=True, check=True).stdout

    link = json.loads(command("operators", "invite", "second", "--tenant", "default", "--json"))["link"]
    with LoginClient(dastak.url) as browser:
        path = "/console/setup/" + link.rpartition("/")[2]
        browser.send(path, {"password": PASSWORD})
        browser.send(ACCOUNT, {"do": "add-totp", "msisdn": some_number()})
        page = browser.get(f"{ACCOUNT}/code").text
        secret = page.partition('class="secret" dir="ltr">')[2].partition("<")[0].replace(" ", "")
        browser.send(f"{ACCOUNT}/code", {"do": "check", "code": pyotp.TOTP(secret).now()})
        before = browser.get("/console").status_code
        listed = json.loads(command("operators", "list", "--json"))
        command("operators", "remove", "second")
        after = browser.get("/console").status_code

    assert before == 200
    assert [(one["name"], one["tenant"]) for one in listed] == [("second", "default")]
    assert after == 303
