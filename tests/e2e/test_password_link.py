"""A link from those who run the site sets a password anew, once, and never without one proof more."""

import time
from typing import Any
from urllib.parse import urlsplit

import httpx
import pyotp

from tests.support.api_client import ApiClient
from tests.support.dastak_process import DastakProcess
from tests.support.login_client import (
    ACCOUNT,
    LOGIN,
    PASSWORD,
    LoginClient,
    some_name,
)
from tests.support.login_server import behind_proxy
from tests.support.oidc_site import order

LINKS = "/v1/admin/tenants/default/services/default/login/password-links"
NEW = f"{LOGIN}/forgotten/new"
FRESH = "another bridge of limes"


dastak = behind_proxy


def link_for(api: ApiClient, name: str) -> str:
    """Make a link, and return its path."""
    made = api.post(LINKS, {"username": name})
    assert made.status == 201, made
    return urlsplit(made.body["link"]).path


def follow(browser: LoginClient, link: str) -> httpx.Response:
    """Open a link and press its button."""
    return browser.send(link, {})


def choose(browser: LoginClient, **fields: str) -> httpx.Response:
    return browser.send(NEW, {"new": FRESH, **fields})


def test_link_and_phone_set_it_anew_and_end_all_sessions(
    dastak: DastakProcess, api: ApiClient, person: dict[str, Any]
) -> None:
    with LoginClient(dastak.url) as other, LoginClient(dastak.url) as browser:
        other.pass_password(person["name"])
        other.type_code(api.next_text(person["number"])["code"])
        before = other.is_in()
        link = link_for(api, person["name"])
        looked = [browser.get(link).status_code for _ in range(3)]
        opened = follow(browser, link)
        again = browser.get(link).status_code
        text = api.next_text(person["number"])
        alone = choose(browser)
        nowhere = browser.is_in()
        done = choose(browser, code=text["code"])
        ended = not other.is_in()
        entered = other.pass_password(person["name"], FRESH)
        other.type_code(api.next_text(person["number"])["code"])
        account = other.get(ACCOUNT).text

    assert looked == [200] * 3, "looking uses nothing up"
    assert opened.headers["location"] == NEW
    assert again == 404
    assert "password reset" in text["text"]
    assert alone.status_code == 422, "a link alone sets nothing"
    assert not nowhere
    assert "Your password is changed" in done.text
    assert (before, ended, entered.status_code) == (True, True, 303)
    assert "Password set anew" in account


def test_lost_phone_is_no_matter_where_there_is_an_authenticator(
    dastak: DastakProcess, api: ApiClient, person: dict[str, Any]
) -> None:
    with LoginClient(dastak.url) as browser, LoginClient(dastak.url) as fresh:
        browser.pass_password(person["name"])
        browser.type_code(api.next_text(person["number"])["code"])
        browser.send(ACCOUNT, {"do": "add-totp"})
        page = browser.get(f"{ACCOUNT}/code").text
        secret = page.partition('class="secret" dir="ltr">')[2].partition("<")[0].replace(" ", "")
        shared = pyotp.TOTP(secret)
        browser.send(f"{ACCOUNT}/code", {"do": "check", "code": shared.now()})
        follow(fresh, link_for(api, person["name"]))
        asked = fresh.get(NEW).text
        fresh.send(NEW, {"do": "use-sms"})
        texted = fresh.get(NEW).text
        text = api.next_text(person["number"])["code"]
        fresh.send(NEW, {"do": "use-totp"})
        stale = choose(fresh, code=text)
        done = choose(fresh, code=shared.at(int(time.time()) + 30))

    assert "authenticator shows" in asked
    assert "use-sms" in asked
    assert "digits from the message" in texted
    assert stale.status_code == 422, "only the way that was asked for last is open"
    assert "Your password is changed" in done.text


def test_recovery_code_is_the_other_proof(
    dastak: DastakProcess, api: ApiClient, person: dict[str, Any]
) -> None:
    with LoginClient(dastak.url) as browser:
        follow(browser, link_for(api, person["name"]))
        wrong = choose(browser, recovery="AAAAA-AAAAA")
        done = choose(browser, recovery=person["codes"][0])

    assert wrong.status_code == 422
    assert "Your password is changed" in done.text


def test_newer_link_and_sign_out_everywhere_end_the_older(
    dastak: DastakProcess, api: ApiClient, person: dict[str, Any]
) -> None:
    first, second = (link_for(api, person["name"]) for _ in range(2))
    with LoginClient(dastak.url) as browser:
        replaced = [browser.get(link).status_code for link in (first, second)]
        browser.pass_password(person["name"])
        browser.type_code(api.next_text(person["number"])["code"])
        browser.send(ACCOUNT, {"do": "out-everywhere"})
        ended = browser.get(second).status_code

    assert replaced == [404, 200]
    assert ended == 404


def test_form_of_another_site_uses_no_link_up(
    dastak: DastakProcess, api: ApiClient, person: dict[str, Any]
) -> None:
    link = link_for(api, person["name"])
    with LoginClient(dastak.url) as browser:
        browser.get(link)
        foreign = browser.http.post(link, data={"form": "x" * 32}).status_code
        good = browser.get(link).status_code

    assert (foreign, good) == (403, 200)


def test_who_could_prove_nothing_more_gets_no_link(dastak: DastakProcess, api: ApiClient) -> None:
    bare = some_name()
    with LoginClient(dastak.url) as browser:
        browser.sign_up(bare)
    answers = [api.post(LINKS, {"username": name}).status for name in (bare, some_name())]

    assert answers == [409, 404]


def test_repeated_request_makes_one_link_and_shows_it_once(
    dastak: DastakProcess, api: ApiClient, person: dict[str, Any]
) -> None:
    wanted = {"username": person["name"]}
    first, second = (api.post(LINKS, wanted, idempotency_key="one-link") for _ in range(2))
    with LoginClient(dastak.url) as browser:
        good = browser.get(urlsplit(first.body["link"]).path).status_code

    assert (first.status, second.status, good) == (201, 201, 200)
    assert second.body == {**first.body, "link": None}


def test_command_makes_the_same_link(dastak: DastakProcess, api: ApiClient, person: dict[str, Any]) -> None:
    link = urlsplit(order(dastak, "login", "password-link", person["name"]).decode().strip())
    with LoginClient(dastak.url) as browser:
        follow(browser, link.path)
        done = choose(browser, code=api.next_text(person["number"])["code"])
        old = browser.pass_password(person["name"], PASSWORD)

    assert link.path.startswith(f"{LOGIN}/forgotten/link/")
    assert "Your password is changed" in done.text
    assert old.status_code == 422
