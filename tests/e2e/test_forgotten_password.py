"""A forgotten password is set anew by the phone and one proof more, and tells strangers nothing."""

import time
from typing import Any

import httpx
import pyotp

from dastak.core.sign_in_limits import RESET_CODES, RESETS_ADDRESS, RESETS_HOURLY
from tests.support.api_client import ApiClient
from tests.support.dastak_process import DastakProcess
from tests.support.login_client import (
    ACCOUNT,
    LOGIN,
    PASSWORD,
    LoginClient,
    hidden_fields,
    some_address,
    some_name,
    some_number,
)
from tests.support.login_server import behind_proxy

FORGOTTEN = f"{LOGIN}/forgotten"
FRESH = "another bridge of limes"


dastak = behind_proxy


def forget(browser: LoginClient, name: str) -> httpx.Response:
    return browser.send(FORGOTTEN, {"username": name})


def type_code(browser: LoginClient, code: str) -> httpx.Response:
    return browser.send(f"{FORGOTTEN}/code", {"code": code})


def prove_phone(browser: LoginClient, api: ApiClient, person: dict[str, Any]) -> httpx.Response:
    forget(browser, person["name"])
    return type_code(browser, api.next_text(person["number"])["code"])


def choose(browser: LoginClient, **fields: str) -> httpx.Response:
    return browser.send(f"{FORGOTTEN}/new", {"new": FRESH, **fields})


def masked(answer: httpx.Response) -> tuple[int, str, tuple[str, ...]]:
    """Return an answer without its token."""
    token = hidden_fields(answer.text).get("form", "no form")
    return answer.status_code, answer.text.replace(token, "TOKEN"), tuple(sorted(answer.headers))


def test_phone_and_recovery_code_set_it_anew_and_end_all_sessions(
    dastak: DastakProcess, api: ApiClient, person: dict[str, Any]
) -> None:
    with LoginClient(dastak.url) as other, LoginClient(dastak.url) as browser:
        other.pass_password(person["name"], remember="1")
        other.type_code(api.next_text(person["number"])["code"])
        before = other.is_in()
        named = forget(browser, person["name"])
        text = api.next_text(person["number"])
        proved = type_code(browser, text["code"])
        nowhere = browser.is_in()
        done = choose(browser, recovery=person["codes"][0])
        again = browser.get(f"{FORGOTTEN}/new")
        ended = not other.is_in()
        old = other.pass_password(person["name"])
        new = other.pass_password(person["name"], FRESH)
        other.type_code(api.next_text(person["number"])["code"])
        account = other.get(ACCOUNT).text

    assert named.headers["location"] == f"{FORGOTTEN}/code"
    assert "password reset" in text["text"]
    assert proved.headers["location"] == f"{FORGOTTEN}/new"
    assert not nowhere, "a reset opens nothing but a new password"
    assert "Your password is changed" in done.text
    assert again.headers["location"] == FORGOTTEN
    assert (before, ended) == (True, True)
    assert old.status_code == 422
    assert new.headers["location"] == f"{LOGIN}/code", "the browser is remembered no more"
    assert "Password set anew" in account
    assert "A new password was asked for" in account
    assert "Codes left: 9" in account


def test_phone_alone_sets_nothing(dastak: DastakProcess, api: ApiClient, person: dict[str, Any]) -> None:
    with LoginClient(dastak.url) as browser:
        prove_phone(browser, api, person)
        answers = [choose(browser, recovery=tried) for tried in ("", "AAAAA-AAAAA")]
        weak = choose(browser, recovery=person["codes"][0], new="password")
        old = browser.pass_password(person["name"])
        done = choose(browser, recovery=person["codes"][0])

    assert {one.status_code for one in answers} == {422}
    assert weak.status_code == 422
    assert old.status_code == 303, "the old password is still the one"
    assert done.status_code == 200, "a password that was refused used up no recovery code"


def test_authenticator_is_the_other_proof(
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
        prove_phone(fresh, api, person)
        asked = fresh.get(f"{FORGOTTEN}/new").text
        later = shared.at(int(time.time()) + 30)
        wrong = choose(fresh, code=f"{(int(later) + 1) % 1_000_000:06}")
        done = choose(fresh, code=later)
        new = fresh.pass_password(person["name"], FRESH)

    assert "authenticator shows" in asked
    assert "Tries left" in wrong.text
    assert "Your password is changed" in done.text
    assert new.status_code == 303


def test_known_and_unknown_account_get_the_same_octets(
    dastak: DastakProcess, api: ApiClient, person: dict[str, Any]
) -> None:
    plain, blocked_out = some_name(), some_name()
    with LoginClient(dastak.url) as browser:
        browser.sign_up(plain)
    seen = {}
    for name in (person["name"], plain, blocked_out, person["name"].upper(), ""):
        with LoginClient(dastak.url) as browser:
            answers = [browser.get(FORGOTTEN), forget(browser, name), browser.get(f"{FORGOTTEN}/code")]
            answers += [
                type_code(browser, code)
                for code in ("", "12", "words", *["000000"] * (RESET_CODES.attempts + 1))
            ]
            answers.append(browser.get(f"{FORGOTTEN}/new"))
            seen[name] = [masked(one) for one in answers]
    right = api.next_text(person["number"])["code"]

    assert right != "000000"
    assert all(one == seen[""] for one in seen.values())
    assert [status for status, _, _ in seen[""]] == [200, 303, 200, *[422] * (RESET_CODES.attempts + 4), 303]
    assert person["number"][-4:] not in str(seen)


def test_wrong_codes_end_with_their_session_and_lock_no_sign_in(
    dastak: DastakProcess, api: ApiClient, person: dict[str, Any]
) -> None:
    for _ in range(RESETS_HOURLY.attempts):
        with LoginClient(dastak.url) as guesser:
            forget(guesser, person["name"])
            right = api.next_text(person["number"])["code"]
            for _ in range(RESET_CODES.attempts):
                type_code(guesser, f"{(int(right) + 1) % 1_000_000:06}")
            late = type_code(guesser, right)
    with LoginClient(dastak.url) as browser:
        browser.pass_password(person["name"])
        entered = browser.type_code(api.next_text(person["number"])["code"])

    assert late.status_code == 422, "the right code comes too late for who guessed"
    assert entered.status_code == 303, "the person signs in as ever"


def test_strangers_use_up_a_budget_that_is_not_that_of_a_known_browser(
    dastak: DastakProcess, api: ApiClient
) -> None:
    person = {"name": some_name(), "number": some_number()}
    with LoginClient(dastak.url) as known:
        known.sign_up(person["name"])
        known.add_number(api, person["number"])
        known.send(ACCOUNT, {"do": "out"})
        for _ in range(RESETS_HOURLY.attempts + 2):
            with LoginClient(dastak.url) as stranger:
                last = forget(stranger, person["name"])
        sent = [api.next_text(person["number"])["code"] for _ in range(RESETS_HOURLY.attempts)]
        proved = prove_phone(known, api, person)

    assert last.headers["location"] == f"{FORGOTTEN}/code", "who is refused is told nothing of it"
    assert len(sent) == RESETS_HOURLY.attempts
    assert proved.headers["location"] == f"{FORGOTTEN}/new"


def test_one_address_asks_so_often_and_signs_in_all_the_same(
    dastak: DastakProcess, api: ApiClient, person: dict[str, Any]
) -> None:
    address = some_address()
    with LoginClient(dastak.url, address=address) as browser:
        answers = [forget(browser, some_name()).status_code for _ in range(RESETS_ADDRESS.attempts + 1)]
        signed_in = browser.pass_password(person["name"])

    assert answers == [303] * RESETS_ADDRESS.attempts + [429]
    assert signed_in.status_code == 303


def test_its_session_is_no_other_session(
    dastak: DastakProcess, api: ApiClient, person: dict[str, Any]
) -> None:
    opened = []
    with LoginClient(dastak.url) as browser:
        forget(browser, person["name"])
        named = browser.cookie("dastak-forgotten")
        type_code(browser, api.next_text(person["number"])["code"])
        proved = browser.cookie("dastak-forgotten")
    for secret in (named, proved):
        with LoginClient(dastak.url) as thief:
            thief.http.cookies.set("dastak-login-1", secret or "")
            opened.append((thief.is_in(), thief.get(f"{LOGIN}/code").headers["location"]))
    with LoginClient(dastak.url) as skipping:
        forget(skipping, person["name"])
        skipped = skipping.get(f"{FORGOTTEN}/new").headers["location"]

    assert named != proved
    assert opened == [(False, LOGIN)] * 2
    assert skipped == FORGOTTEN, "the code of the phone comes first"


def test_form_of_another_site_sends_nothing(dastak: DastakProcess, person: dict[str, Any]) -> None:
    with LoginClient(dastak.url) as browser:
        token = hidden_fields(browser.get(FORGOTTEN).text)["form"]
        fields = {"username": person["name"], "form": token}
        foreign = browser.http.post(FORGOTTEN, data=fields, headers={"origin": "https://evil.example"})
        stale = browser.http.post(FORGOTTEN, data={**fields, "form": "x" * 32})

    assert (foreign.status_code, stale.status_code) == (403, 403)


def test_operators_and_passwords_known_elsewhere_are_not_offered_it(
    dastak: DastakProcess, api: ApiClient
) -> None:
    operators = "/login/operators/console"
    elsewhere = "/v1/admin/tenants/default/services/elsewhere"
    api.post("/v1/admin/tenants/default/services", {"name": "elsewhere", "brand": "Elsewhere"})
    changed = api.patch(f"{elsewhere}/login", {"check_url": "https://check.example/password"})
    with LoginClient(dastak.url) as browser:
        offered = browser.get(LOGIN).text
        pages = [browser.get(path).text for path in (operators, "/login/default/elsewhere")]
        gone = [
            browser.get(f"{path}/forgotten").status_code for path in (operators, "/login/default/elsewhere")
        ]

    assert changed.status == 200, changed
    assert "Forgot your password" in offered
    assert all("Forgot" not in page for page in pages)
    assert gone == [404, 404]
    assert PASSWORD != FRESH
