"""Sign up, sign in with two factors, lose the phone, be remembered: the login's pages as forms over HTTP."""

import time
from typing import Any

import pyotp
import pytest

from tests.support.api_client import ApiClient
from tests.support.dastak_process import DastakProcess
from tests.support.login_client import (
    ACCOUNT,
    LOGIN,
    PASSWORD,
    LoginClient,
    hidden_fields,
    some_name,
    some_number,
    with_number,
)
from tests.support.login_server import behind_proxy

dastak = behind_proxy


def test_person_signs_up_adds_a_number_and_signs_in_with_both_factors(
    dastak: DastakProcess, api: ApiClient
) -> None:
    name, number = some_name(), some_number()
    with LoginClient(dastak.url) as browser:
        made = browser.sign_up(name)
        invited = browser.get(ACCOUNT).text
        codes = browser.add_number(api, number)
        browser.send(ACCOUNT, {"do": "out"})
        left = browser.is_in()
        first = browser.pass_password(name)
        between = browser.is_in()
        entered = browser.type_code(api.next_text(number)["code"])

        assert (made.status_code, made.headers["location"]) == (303, ACCOUNT)
        assert "two-factor" in invited
        assert len(set(codes)) == 10
        assert not left
        assert (first.status_code, first.headers["location"]) == (303, f"{LOGIN}/code")
        assert not between
        assert (entered.status_code, entered.headers["location"]) == (303, ACCOUNT)
        assert browser.is_in()
        assert "two-factor" not in browser.get(ACCOUNT).text


def test_number_is_read_as_people_write_it(dastak: DastakProcess, api: ApiClient) -> None:
    name, number = some_name(), some_number()
    with LoginClient(dastak.url) as browser:
        browser.sign_up(name)
        asked = browser.send(ACCOUNT, {"do": "number", "msisdn": f"0{number[3:8]} {number[8:]}"})
        browser.send(f"{ACCOUNT}/code", {"do": "check", "code": api.next_text(number)["code"]})
        account = browser.get(ACCOUNT).text

    assert (asked.status_code, asked.headers.get("location")) == (303, f"{ACCOUNT}/code")
    assert f"•••• {number[-2:]}" in account


def test_wrong_code_is_told_and_the_right_one_still_counts(dastak: DastakProcess, api: ApiClient) -> None:
    person = with_number(dastak.url, api)
    with LoginClient(dastak.url) as browser:
        browser.pass_password(person["name"])
        right = api.next_text(person["number"])["code"]
        wrong = browser.type_code(f"{(int(right) + 1) % 1_000_000:06}")
        entered = browser.type_code(right)

        assert wrong.status_code == 422
        assert "Tries left: 4" in wrong.text
        assert entered.status_code == 303
        assert browser.is_in()


def test_each_recovery_code_opens_once(dastak: DastakProcess, api: ApiClient) -> None:
    person = with_number(dastak.url, api)
    answers = []
    for code in (person["codes"][0].lower().replace("-", " "), person["codes"][0], person["codes"][1]):
        with LoginClient(dastak.url) as browser:
            browser.pass_password(person["name"])
            browser.send(f"{LOGIN}/code", {"do": "recover", "recovery": code})
            answers.append(browser.is_in())
            left = browser.get(ACCOUNT).text

    assert answers == [True, False, True]
    assert "Codes left: 8" in left


def test_remembered_browser_is_asked_for_no_code_until_it_is_forgotten(
    dastak: DastakProcess, api: ApiClient
) -> None:
    person = with_number(dastak.url, api)
    with LoginClient(dastak.url) as browser:
        browser.pass_password(person["name"], remember="1")
        browser.type_code(api.next_text(person["number"])["code"])
        browser.send(ACCOUNT, {"do": "out"})
        again = browser.pass_password(person["name"])
        changing = browser.send(ACCOUNT, {"do": "number", "msisdn": some_number()})
        browser.send(ACCOUNT, {"do": "out-everywhere"})
        after = browser.pass_password(person["name"])

    assert again.headers["location"] == ACCOUNT
    assert changing.headers["location"].startswith(LOGIN), "a remembered browser proved no second factor"
    assert "fresh=1" in changing.headers["location"]
    assert after.headers["location"] == f"{LOGIN}/code"


def test_authenticator_is_set_up_preferred_and_asked_for(dastak: DastakProcess, api: ApiClient) -> None:
    person = with_number(dastak.url, api)
    with LoginClient(dastak.url) as browser:
        browser.pass_password(person["name"])
        browser.type_code(api.next_text(person["number"])["code"])
        browser.send(ACCOUNT, {"do": "add-totp"})
        page = browser.get(f"{ACCOUNT}/code").text
        secret = page.partition('class="secret" dir="ltr">')[2].partition("<")[0].replace(" ", "")
        shared = pyotp.TOTP(secret)
        proved = browser.send(f"{ACCOUNT}/code", {"do": "check", "code": shared.now()})
        browser.send(ACCOUNT, {"do": "out"})
        browser.pass_password(person["name"])
        asked = browser.get(f"{LOGIN}/code").text
        # Its code of now was used up by the proof; the next one counts already.
        entered = browser.type_code(shared.at(int(time.time()) + 30))

    assert proved.status_code == 303, proved.text
    assert "authenticator shows" in asked
    assert entered.headers["location"] == ACCOUNT


def test_authenticator_of_a_former_number_is_none_any_more(dastak: DastakProcess, api: ApiClient) -> None:
    person, number = with_number(dastak.url, api), some_number()
    with LoginClient(dastak.url) as browser:
        browser.pass_password(person["name"])
        browser.type_code(api.next_text(person["number"])["code"])
        browser.send(ACCOUNT, {"do": "add-totp"})
        page = browser.get(f"{ACCOUNT}/code").text
        secret = page.partition('class="secret" dir="ltr">')[2].partition("<")[0].replace(" ", "")
        browser.send(f"{ACCOUNT}/code", {"do": "check", "code": pyotp.TOTP(secret).now()})
        had = browser.get(ACCOUNT).text
        browser.add_number(api, number)
        has = browser.get(ACCOUNT).text
        filed = api.get(f"/v1/factors?to=%2B{person['number'][1:]}").body["factors"]

    assert "drop-totp" in had
    assert "add-totp" in has
    assert f"•••• {number[-2:]}" in has
    assert filed == []


def test_new_password_needs_the_old_one_and_ends_all_other_sessions(dastak: DastakProcess) -> None:
    name, fresh = some_name(), "another bridge of limes"
    with LoginClient(dastak.url) as browser, LoginClient(dastak.url) as other:
        browser.sign_up(name)
        other.pass_password(name)
        before = other.is_in()
        wrong = browser.send(ACCOUNT, {"do": "password", "old": fresh, "new": fresh})
        weak = browser.send(ACCOUNT, {"do": "password", "old": PASSWORD, "new": "password1"})
        changed = browser.send(ACCOUNT, {"do": "password", "old": PASSWORD, "new": fresh})
        kept, ended = browser.is_in(), other.is_in()
        old = other.pass_password(name).status_code
        new = other.pass_password(name, fresh).status_code

    assert (wrong.status_code, weak.status_code, changed.status_code) == (422, 422, 303)
    assert (before, kept, ended) == (True, True, False)
    assert (old, new) == (422, 303)


def test_username_has_one_owner_in_every_spelling(dastak: DastakProcess) -> None:
    name = some_name()
    with LoginClient(dastak.url) as browser, LoginClient(dastak.url) as other:
        browser.sign_up(name)
        taken = other.sign_up(name.upper())
        entered = other.pass_password(f" {name.upper()} ")

    assert taken.status_code == 422
    assert "taken" in taken.text
    assert entered.headers["location"] == ACCOUNT


@pytest.mark.parametrize("password", ["s3cr7x", "Password123!", "qwertyuiop", "11111111111"])
def test_password_that_everybody_tries_is_refused(dastak: DastakProcess, password: str) -> None:
    with LoginClient(dastak.url) as browser:
        refused = browser.sign_up(some_name(), password)

    assert refused.status_code == 422
    assert "Choose another one" in refused.text
    assert password not in refused.text


def test_next_is_reached_by_a_page_in_between(dastak: DastakProcess) -> None:
    name = some_name()
    with LoginClient(dastak.url) as browser:
        browser.sign_up(name)
        browser.send(ACCOUNT, {"do": "out"})
        entered = browser.send(f"{LOGIN}?next=/healthz%3Fa%3D1", {"username": name, "password": PASSWORD})
        between = browser.get(entered.headers["location"])

    assert entered.headers["location"] == f"{LOGIN}/on?next=%2Fhealthz%3Fa%3D1"
    assert 'content="0;url=/healthz?a=1"' in between.text


@pytest.mark.parametrize("refused", [True, False])
def test_another_language_leads_to_the_same_place_afterwards(
    dastak: DastakProcess, api: ApiClient, person: dict[str, Any], refused: bool
) -> None:
    wanted = f"{ACCOUNT}?from=a%20b"
    with LoginClient(dastak.url) as browser:
        page = browser.http.get(LOGIN, params={"next": wanted, "fresh": "1"})
        if refused:
            hidden = hidden_fields(page.text)
            page = browser.http.post(LOGIN, data={**hidden, "username": person["name"], "password": "wrong"})
        nav = "<form" + page.text.partition("<nav")[2].partition("<form")[2]
        chosen = browser.http.get(LOGIN, params={**hidden_fields(nav), "lang": "ta"})
        hidden = hidden_fields(chosen.text)
        sent = {**hidden, "username": person["name"], "password": PASSWORD}
        browser.http.post(LOGIN, data=sent)
        entered = browser.type_code(api.next_text(person["number"])["code"])
        gone_on = browser.get(entered.headers["location"])

    assert '<html lang="ta"' in chosen.text
    assert (hidden["next"], hidden["fresh"]) == (wanted, "1")
    assert 'url=/account/default/default?from=a%20b"' in gone_on.text
