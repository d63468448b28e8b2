"""Every second factor at the login's own pages: set up, asked for, put first, and told to other sites."""

import base64
import json
import re
from collections.abc import Iterator
from typing import Any

import httpx
import pyotp
import pytest

from dastak.core.sign_in_limits import RESYNCS
from tests.support.api_client import ApiClient
from tests.support.dastak_process import DastakProcess
from tests.support.login_client import ACCOUNT, LOGIN, PASSWORD, LoginClient, some_name, some_number
from tests.support.login_server import behind_proxy
from tests.support.oidc_site import Site, answer_of
from tests.support.patience import until
from tests.support.plain_browser import PlainBrowser
from tests.support.virtual_caller import CODES, Handset

dastak = behind_proxy
TWO = "urn:dastak:acr:password-and-code"
CODE = f"{LOGIN}/code"
MATCHING = {"factors": ["sms", "voice"], "mode": "test", "open_sign_up": True}


@pytest.fixture
def inside(dastak: DastakProcess, api: ApiClient, person: dict[str, Any]) -> Iterator[LoginClient]:
    """A browser that has just signed in with a code."""
    with LoginClient(dastak.url) as browser:
        browser.pass_password(person["name"])
        browser.type_code(api.next_text(person["number"])["code"])
        yield browser


def add_hotp(browser: LoginClient) -> pyotp.HOTP:
    """Set a key fob up, and prove it by its first code."""
    browser.send(ACCOUNT, {"do": "add-hotp"})
    page = browser.get(f"{ACCOUNT}/code").text
    shared = pyotp.HOTP(page.partition('class="secret" dir="ltr">')[2].partition("<")[0].replace(" ", ""))
    proved = browser.send(f"{ACCOUNT}/code", {"do": "check", "code": shared.at(0)})
    assert proved.status_code == 303, proved.text
    return shared


def resync(browser: LoginClient, first: str, second: str) -> httpx.Response:
    """Type two codes in a row where a code is asked for."""
    return browser.send(CODE, {"do": "resync", "first": first, "second": second})


def step(browser: LoginClient, first: str, second: str, *, way: str = "hotp") -> httpx.Response:
    """Type two codes in a row where one looks after one's account."""
    return browser.send(ACCOUNT, {"do": f"step-{way}", "first": first, "second": second})


def printed_codes(page: str) -> list[str]:
    """Return the codes of a list as a page shows it, from the top."""
    return re.findall(r"<li>([^<]+)</li>", page.partition('class="printed"')[2].partition("</ol>")[0])


def sign_in_by(browser: LoginClient, name: str, way: str) -> str:
    """Pass the password, ask for a code by a way, and return the page that asks for it."""
    browser.send(ACCOUNT, {"do": "out"})
    browser.pass_password(name)
    browser.send(CODE, {"do": f"use-{way}"})
    return browser.get(CODE).text


def spoken_code(api: ApiClient, number: str) -> str:
    """Take a call, press the digit that is asked for, and return the code that is heard."""
    phone = Handset(api, number)
    assert phone.rings()
    phone.answer()
    phone.press(phone.gate())
    found = until(lambda: CODES.search(phone.code()), within_s=30)
    return str(found[1])


def test_key_fob_is_set_up_and_asked_for_and_each_code_counts_once(
    inside: LoginClient, person: dict[str, Any]
) -> None:
    fob = add_hotp(inside)
    asked = sign_in_by(inside, person["name"], "hotp")
    used = inside.type_code(fob.at(0))
    entered = inside.type_code(fob.at(1))

    assert "authenticator shows" in asked
    assert "Sent to" not in asked, "nothing was sent"
    assert used.status_code == 422
    assert entered.headers["location"] == ACCOUNT


def test_key_fob_that_is_far_ahead_is_brought_into_step_by_two_codes(
    inside: LoginClient, person: dict[str, Any]
) -> None:
    fob = add_hotp(inside)
    sign_in_by(inside, person["name"], "hotp")
    ahead = inside.type_code(fob.at(25))
    apart = resync(inside, fob.at(25), fob.at(27))
    mended = resync(inside, fob.at(25), fob.at(26))
    outside = inside.is_in()
    used = inside.type_code(fob.at(26))
    entered = inside.type_code(fob.at(27))

    assert ahead.status_code == 422, "one code alone is not believed so far ahead"
    assert apart.status_code == 422
    assert "do not follow one another" in apart.text
    assert mended.status_code == 200
    assert "in step again" in mended.text
    assert not outside, "two codes mend the fob and let nobody in"
    assert used.status_code == 422
    assert entered.headers["location"] == ACCOUNT


def test_fob_that_wrong_codes_locked_is_opened_by_two_codes(
    inside: LoginClient, person: dict[str, Any]
) -> None:
    fob = add_hotp(inside)
    sign_in_by(inside, person["name"], "hotp")
    while inside.get(CODE).status_code == 200:
        last = inside.type_code(fob.at(40))
    sign_in_by(inside, person["name"], "hotp")
    resync(inside, fob.at(40), fob.at(41))
    entered = inside.type_code(fob.at(42))

    assert last.headers["location"].startswith(f"{LOGIN}?again=1")
    assert entered.headers["location"] == ACCOUNT


def test_tries_to_bring_a_fob_into_step_are_counted(inside: LoginClient, person: dict[str, Any]) -> None:
    fob = add_hotp(inside)
    sign_in_by(inside, person["name"], "hotp")
    wrong = [resync(inside, fob.at(30), fob.at(20)).status_code for _ in range(RESYNCS.attempts)]
    too_often = resync(inside, fob.at(20), fob.at(21))
    ahead = inside.type_code(fob.at(22))
    entered = inside.type_code(fob.at(1))

    assert set(wrong) == {422}
    assert too_often.status_code == 429
    assert ahead.status_code == 422, "the right two were not looked at any more"
    assert entered.headers["location"] == ACCOUNT, "and the login is as open as before"


def test_nobody_brings_into_step_what_is_no_authenticator(
    inside: LoginClient, person: dict[str, Any]
) -> None:
    shown = sign_in_by(inside, person["name"], "sms")
    refused = resync(inside, "123456", "123457")

    assert 'value="resync"' not in shown
    assert refused.status_code == 403


def test_key_fob_that_is_far_ahead_is_brought_into_step_on_ones_own_account(
    inside: LoginClient, person: dict[str, Any]
) -> None:
    before = inside.get(ACCOUNT).text
    fob = add_hotp(inside)
    apart = step(inside, fob.at(25), fob.at(27))
    mended = step(inside, fob.at(25), fob.at(26))
    again = step(inside, fob.at(25), fob.at(26))
    sign_in_by(inside, person["name"], "hotp")
    used = inside.type_code(fob.at(26))
    entered = inside.type_code(fob.at(27))

    assert "step-" not in before, "there is nothing yet that could be out of step"
    assert [one.status_code for one in (apart, mended, again)] == [422, 200, 422]
    assert "do not follow one another" in apart.text
    assert 'href="#first-hotp"' in apart.text
    assert "in step again" in mended.text
    assert used.status_code == 422
    assert entered.headers["location"] == ACCOUNT


def test_tries_on_ones_own_account_and_at_the_login_are_counted_together(
    inside: LoginClient, person: dict[str, Any]
) -> None:
    fob = add_hotp(inside)
    wrong = [step(inside, fob.at(30), fob.at(20)).status_code for _ in range(RESYNCS.attempts)]
    too_often = step(inside, fob.at(20), fob.at(21))
    sign_in_by(inside, person["name"], "hotp")
    at_login = resync(inside, fob.at(20), fob.at(21))

    assert set(wrong) == {422}
    assert (too_often.status_code, at_login.status_code) == (429, 429)


@pytest.mark.parametrize("way", ["hotp", "sms", "hash_chain", "nothing"])
def test_what_one_does_not_have_or_has_no_steps_is_not_brought_into_step(
    inside: LoginClient, way: str
) -> None:
    assert step(inside, "123456", "123457", way=way).status_code == 403


def test_authenticator_is_not_brought_into_step_between_password_and_code(
    inside: LoginClient, person: dict[str, Any]
) -> None:
    fob = add_hotp(inside)
    inside.send(ACCOUNT, {"do": "out"})
    inside.pass_password(person["name"])
    between = inside.send(ACCOUNT, {"do": "step-hotp", "first": fob.at(25), "second": fob.at(26)}, page=CODE)
    asked = inside.send(CODE, {"do": "use-hotp"})
    ahead = inside.type_code(fob.at(27))

    assert between.headers["location"] == CODE
    assert (asked.status_code, ahead.status_code) == (303, 422)


def test_printed_list_is_shown_once_and_asked_for_code_by_code(
    inside: LoginClient, person: dict[str, Any]
) -> None:
    shown = inside.send(ACCOUNT, {"do": "add-hash_chain"}).text
    printed = printed_codes(shown)
    again = inside.get(f"{ACCOUNT}/code").text
    proved = inside.send(f"{ACCOUNT}/code", {"do": "check", "code": printed[0]})
    asked = sign_in_by(inside, person["name"], "hash_chain")
    used = inside.type_code(printed[0])
    entered = inside.type_code(printed[1])

    assert len(set(printed)) > 10
    assert f'reversed start="{len(printed) - 1}"' in shown
    assert f"otp-sha1 {len(printed) - 1} " in shown, "and its number is the one beside it"
    assert printed[0] not in again, "it is shown only once"
    assert proved.status_code == 303, proved.text
    assert "printed list" in asked
    assert used.status_code == 422
    assert entered.headers["location"] == ACCOUNT


def test_code_is_spoken_to_whoever_wants_a_call(
    api: ApiClient, inside: LoginClient, person: dict[str, Any]
) -> None:
    sign_in_by(inside, person["name"], "voice")
    entered = inside.type_code(spoken_code(api, person["number"]))

    assert entered.headers["location"] == ACCOUNT


def test_call_of_a_service_that_matches_numbers_lets_in_whoever_types_the_one_of_the_page(
    dastak: DastakProcess, api: ApiClient
) -> None:
    login, account, number = "/login/default/matching", "/account/default/matching", some_number()
    policy = {"channels": ["sms", "voice"], "match": True}
    service = {"name": "matching", "countries": ["IN"], "policy": policy}
    assert api.post("/v1/admin/tenants/default/services", service).status == 201
    opened = api.patch("/v1/admin/tenants/default/services/matching/login", MATCHING)
    assert opened.status == 200, opened
    name = some_name()
    with LoginClient(dastak.url) as browser:
        browser.send(f"{login}/sign-up", {"username": name, "password": PASSWORD})
        browser.send(account, {"do": "number", "msisdn": number})
        texted = api.next_text(number)["code"]
        browser.send(f"{account}/code", {"do": "check", "code": texted})
        browser.send(account, {"do": "out"})
        browser.pass_password(name, path=login)
        browser.send(f"{login}/code", {"do": "use-voice"})
        page = browser.get(f"{login}/code").text
        phone = Handset(api, number)
        assert phone.rings()
        phone.answer()
        until(lambda: phone.hears("match"), within_s=20)
        early = browser.send(f"{login}/code", {"do": "check"})
        for key in page.partition("<bdi>")[2].partition("</bdi>")[0]:
            phone.press(key)
        entered = until(lambda: _entered(browser, f"{login}/code"), within_s=20)

    assert 'id="code"' not in page, "nothing is typed into the page"
    assert early.status_code == 422
    assert entered.headers["location"] == account


def _entered(browser: LoginClient, path: str) -> httpx.Response | None:
    answer = browser.send(path, {"do": "check"})
    return answer if answer.status_code == 303 else None


def test_site_is_told_that_the_code_came_by_a_call(
    dastak: DastakProcess, api: ApiClient, person: dict[str, Any]
) -> None:
    with PlainBrowser(dastak.url) as browser:
        site = Site(dastak, browser, login="password_and_code")
        page = browser.send(site.ask(acr_values=TWO), username=person["name"], password=PASSWORD)
        page = browser.send(page, do="use-voice")
        page = browser.send(page, do="check", code=spoken_code(api, person["number"]))
        given = site.exchange(answer_of(page)["code"]).json()
    claims = json.loads(base64.urlsafe_b64decode(given["id_token"].split(".")[1] + "=="))

    assert set(claims["amr"]) >= {"pwd", "otp", "tel"}
    assert "sms" not in claims["amr"]
    assert claims["acr"] == TWO


def test_person_says_what_is_asked_for_first(inside: LoginClient, person: dict[str, Any]) -> None:
    add_hotp(inside)
    firsts = []
    for way in ("hotp", "sms", "hotp"):
        inside.send(ACCOUNT, {"do": f"prefer-{way}"})
        with LoginClient(str(inside.http.base_url)) as other:
            other.pass_password(person["name"])
            firsts.append("authenticator shows" in other.get(CODE).text)

    assert firsts == [True, False, True]


def test_number_is_changed_with_a_recovery_code_when_the_phone_is_lost(
    dastak: DastakProcess, api: ApiClient, person: dict[str, Any]
) -> None:
    number = some_number()
    with LoginClient(dastak.url) as browser:
        browser.pass_password(person["name"])
        between = browser.send(ACCOUNT, {"do": "number", "msisdn": number}, page=CODE)
        browser.send(CODE, {"do": "recover", "recovery": person["codes"][0]})
        browser.add_number(api, number)
        account = browser.get(ACCOUNT).text
        browser.send(ACCOUNT, {"do": "out"})
        browser.pass_password(person["name"])
        entered = browser.type_code(api.next_text(number)["code"])

    assert between.headers["location"] == CODE, "the password alone changes no number"
    assert f"•••• {number[-2:]}" in account
    assert entered.headers["location"] == ACCOUNT
