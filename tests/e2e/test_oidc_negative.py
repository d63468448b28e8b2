"""What the OpenID Connect provider refuses, and to whom it says so."""

import asyncio
import base64
import hashlib
import hmac
import json
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import httpx
import pytest
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, KeySet

from dastak.core.ids import digest_of
from tests.support.api_client import ApiClient
from tests.support.dastak_process import DastakProcess
from tests.support.login_client import BEHIND_PROXY, PASSWORD, LoginClient, lock, some_name
from tests.support.login_server import behind_proxy
from tests.support.oidc_site import CALLBACK, CLIENTS, LOGGED_OUT, Site, answer_of, command, log_in
from tests.support.plain_browser import PlainBrowser, Sheet

DISCOVERY = "/.well-known/openid-configuration"


dastak = behind_proxy


@pytest.fixture
def site(dastak: DastakProcess) -> Iterator[Site]:
    with PlainBrowser(dastak.url) as browser:
        yield Site(dastak, browser)


@pytest.fixture(scope="module")
def known(dastak: DastakProcess) -> Iterator[Site]:
    """A site whose reader is logged in already, for tests that only need codes."""
    with PlainBrowser(dastak.url) as browser:
        made = Site(dastak, browser)
        made.log_in()
        yield made


def is_told_to_the_person(page: Sheet, status: int = 400) -> bool:
    return page.status == status and "did not work" in page.text


# The authorization request: what must not redirect, and what must.


@pytest.mark.parametrize(
    "redirect_uri",
    [
        None,
        "",
        CALLBACK + "/",
        CALLBACK.upper(),
        CALLBACK.replace("shop", "SHOP"),
        CALLBACK + "?",
        CALLBACK + "?x=1",
        CALLBACK + "#f",
        CALLBACK.replace("https", "http"),
        CALLBACK.replace("example/", "example:443/"),
        CALLBACK.replace("example/", "example:8443/"),
        CALLBACK.replace("https://", "https://user@"),
        CALLBACK.replace("https://", "https://shop.example@evil.example/"),
        CALLBACK.replace("/callback", "/x/../callback"),
        CALLBACK.replace("/callback", "//callback"),
        CALLBACK + "%00",
        "https://evil.example/callback",
        "javascript:alert(1)",
        "//evil.example/callback",
        "/callback",
    ],
)
def test_nothing_is_sent_to_an_address_that_is_not_the_clients_to_the_letter(
    known: Site, redirect_uri: str | None
) -> None:
    assert is_told_to_the_person(known.ask(redirect_uri=redirect_uri))


@pytest.mark.parametrize("client_id", [None, "", "client_000000000000000000000000", "x' OR 1=1 --", "☃"])
def test_nothing_is_sent_anywhere_for_a_client_nobody_knows(known: Site, client_id: str | None) -> None:
    assert is_told_to_the_person(known.ask(client_id=client_id))


@pytest.mark.parametrize("name", ["client_id", "redirect_uri"])
def test_client_and_address_stand_once_or_nothing_is_sent(known: Site, name: str) -> None:
    value = {"client_id": known.id, "redirect_uri": CALLBACK}[name]

    page = known.browser.open(f"/authorize?{known.query()}&{urlencode({name: value})}")

    assert is_told_to_the_person(page)


@pytest.mark.parametrize(
    "name", ["scope", "state", "nonce", "code_challenge", "response_type", "x", "prompt"]
)
def test_any_parameter_that_stands_twice_is_refused(known: Site, name: str) -> None:
    there = known.browser.open(f"/authorize?{known.query(prompt='none')}&{name}=1&{name}=1")

    assert answer_of(there)["error"] == "invalid_request"
    assert answer_of(there)["iss"] == known.browser.site


@pytest.mark.parametrize(
    ("said", "error"),
    [
        ({"scope": None}, "invalid_scope"),
        ({"scope": "phone"}, "invalid_scope"),
        ({"scope": "OPENID"}, "invalid_scope"),
        ({"scope": "openid  phone"}, "invalid_scope"),
        ({"response_type": None}, "invalid_request"),
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"response_type": "id_token"}, "unsupported_response_type"),
        ({"response_type": "code id_token"}, "unsupported_response_type"),
        ({"response_type": "none"}, "unsupported_response_type"),
        ({"response_mode": "fragment"}, "invalid_request"),
        ({"response_mode": "form_post"}, "invalid_request"),
        ({"code_challenge": None}, "invalid_request"),
        ({"code_challenge_method": None}, "invalid_request"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"code_challenge_method": "s256"}, "invalid_request"),
        ({"code_challenge": "short"}, "invalid_request"),
        ({"code_challenge": "x" * 44}, "invalid_request"),
        ({"code_challenge": "+" * 43}, "invalid_request"),
        ({"prompt": "none login"}, "invalid_request"),
        ({"prompt": "create"}, "invalid_request"),
        ({"max_age": "-1"}, "invalid_request"),
        ({"max_age": "soon"}, "invalid_request"),
        ({"max_age": "٣"}, "invalid_request"),
        ({"nonce": "n" * 1001}, "invalid_request"),
        ({"login_hint": "a\r\nb"}, "invalid_request"),
        ({"request": "eyJ"}, "request_not_supported"),
        ({"request_uri": "https://shop.example/r"}, "request_uri_not_supported"),
        ({"registration": "{}"}, "registration_not_supported"),
        ({"id_token_hint": "eyJhbGciOiJub25lIn0.e30."}, "invalid_request"),
    ],
    ids=lambda value: (
        "" if isinstance(value, str) else "-".join(f"{k}={str(v)[:12]}" for k, v in value.items())
    ),
)
def test_what_is_wrong_is_told_to_the_site_with_its_state(
    known: Site, said: dict[str, str | None], error: str
) -> None:
    told = answer_of(known.ask(**said))

    assert told["error"] == error
    assert (told["state"], told["iss"]) == ("st", known.browser.site)
    assert "code" not in told


def test_scopes_and_parameters_nobody_knows_are_passed_over(known: Site) -> None:
    assert known.code(scope="openid email whatever", display="popup", claims="{}", acr_values="x")


# What a person is asked, and what not.


def test_prompt_none_asks_nobody(site: Site) -> None:
    assert answer_of(site.ask(prompt="none"))["error"] == "login_required"

    site.log_in()

    assert "code" in answer_of(site.ask(prompt="none"))


def test_consent_is_asked_for_once_and_again_for_more(dastak: DastakProcess) -> None:
    with PlainBrowser(dastak.url) as browser:
        site = Site(dastak, browser, ask_consent=True)
        site.log_in(scope="openid")

        assert "code" in answer_of(site.ask(scope="openid", prompt="none"))
        assert answer_of(site.ask(scope="openid phone", prompt="none"))["error"] == "consent_required"
        page = site.ask(scope="openid", prompt="consent")
        assert "wants to know who you are" in page.text


@pytest.mark.parametrize("said", [{"max_age": "0"}, {"prompt": "login"}, {"prompt": "select_account"}])
def test_fresh_login_is_asked_for_and_an_old_one_does_not_count(site: Site, said: dict[str, str]) -> None:
    site.log_in()
    began = time.time()

    page = site.ask(**said)
    again = site.browser.open(page.url)

    assert "number" in page.fields
    assert "number" in again.fields
    code = answer_of(log_in(site.browser, page.url, site.number))["code"]
    claims = claims_of(site.exchange(code).json()["id_token"])
    assert claims["auth_time"] >= int(began)


def test_login_older_than_max_age_does_not_count(site: Site) -> None:
    site.log_in()

    assert "code" in answer_of(site.ask(max_age="600", prompt="none"))
    time_went_by = site.ask(max_age="0", prompt="none")
    assert answer_of(time_went_by)["error"] == "login_required"


def test_way_of_another_request_is_begun_anew(site: Site) -> None:
    page = site.ask()
    mark = page.url.partition("?")[0].rpartition("/")[2]

    forged = site.browser.open(f"/authorize/{mark}?{site.query(scope='openid')}")
    older = site.browser.open(f"/authorize/0{mark[1:]}?{site.query()}")

    assert mark not in forged.url
    assert mark not in older.url


def test_hint_of_somebody_else_lets_nobody_in(dastak: DastakProcess, site: Site) -> None:
    hint = site.exchange(site.code()).json()["id_token"]

    assert "code" in answer_of(site.ask(id_token_hint=hint, prompt="none"))
    site.browser.open(f"/logout?id_token_hint={hint}")
    site.number = "+919499999999"
    site.log_in()
    assert answer_of(site.ask(id_token_hint=hint, prompt="none"))["error"] == "login_required"
    there = log_in(site.browser, site.ask(id_token_hint=hint).url, site.number)
    assert answer_of(there)["error"] == "login_required"


def test_request_by_form_is_as_good_as_one_by_address(known: Site) -> None:
    data = httpx.QueryParams(known.query())

    sent = known.browser.client.post(f"{known.browser.site}/authorize", data=dict(data))

    assert sent.status_code == 303
    assert sent.headers["location"].startswith("/authorize?")
    assert "code" in answer_of(known.browser.open(sent.headers["location"]))


def test_code_page_of_another_browser_is_no_use(dastak: DastakProcess, site: Site) -> None:
    page = site.browser.send(site.ask(), number=site.number, do="begin")
    code = ApiClient(dastak.url, None).next_text(site.number)["code"]

    with PlainBrowser(dastak.url) as other:
        seen = other.open(page.url)
        sent = other.send(seen, **{**page.fields, "do": "check", "code": code})

    assert "number" in seen.fields
    assert is_told_to_the_person(sent, 403)


def test_form_of_another_site_is_refused(site: Site) -> None:
    page = site.ask()
    data = {**page.fields, "number": site.number, "do": "begin"}

    foreign = site.browser.client.post(page.url, data=data, headers={"origin": "https://evil.example"})
    crossed = site.browser.client.post(page.url, data=data, headers={"sec-fetch-site": "cross-site"})

    assert (foreign.status_code, crossed.status_code) == (403, 403)


def test_planted_cookie_is_worth_nothing_after_the_login(dastak: DastakProcess, site: Site) -> None:
    page = site.ask()
    planted = {cookie.name: cookie.value for cookie in site.browser.client.cookies.jar}

    answer_of(log_in(site.browser, page.url, site.number))

    kept = {cookie.name: cookie.value for cookie in site.browser.client.cookies.jar}
    assert set(kept) == set(planted)
    assert kept != planted
    with PlainBrowser(dastak.url) as attacker:
        attacker.client.cookies.update(planted)
        assert (
            answer_of(attacker.open(f"/authorize?{site.query(prompt='none')}"))["error"] == "login_required"
        )


def test_code_is_bound_to_our_host_where_the_service_has_it(tmp_path: Path) -> None:
    environment = {**BEHIND_PROXY, "DASTAK__SERVER__PUBLIC_URL": "http://otp.example.in"}
    with (
        DastakProcess(tmp_path / "data", environment=environment) as bound,
        PlainBrowser(bound.url) as browser,
    ):
        api = ApiClient(bound.url, bound.api_key)
        service = "/v1/admin/tenants/default/services/default"
        assert api.patch(service, {"domains": ["otp.example.in"]}).status == 200
        site = Site(bound, browser)
        page = site.ask()
        browser.client.post(page.url, data={**page.fields, "number": site.number, "do": "begin"})

        text = api.next_text(site.number)

    assert text["text"].splitlines()[-1] == f"@otp.example.in #{text['code']}"


def test_number_is_not_read_as_of_the_first_country_of_the_alphabet(dastak: DastakProcess) -> None:
    api = ApiClient(dastak.url, dastak.api_key)
    service = {"name": "gulf", "countries": ["AE", "IN"]}
    assert api.post("/v1/admin/tenants/default/services", service).status == 201
    with PlainBrowser(dastak.url) as browser:
        site = Site(dastak, browser, service="gulf")
        page = browser.send(site.ask(), number=f"{site.number[3:8]} {site.number[8:]}", do="begin")
        text = api.next_text(site.number)

    assert page.status == 200
    assert text["code"]


def test_number_that_is_none_is_told_on_the_page(site: Site) -> None:
    page = site.browser.send(site.ask(), number="12", do="begin")

    assert page.status == 422
    assert page.fields["number"] == "12"
    assert "<title>Error:" in page.text


def test_hint_is_a_number_to_begin_with_and_no_script(site: Site) -> None:
    assert site.ask(login_hint="+919876543210").fields["number"] == "+919876543210"
    nasty = '"><script>alert(1)</script>'

    page = site.ask(login_hint=nasty)

    assert "<script>alert" not in page.text
    assert page.fields["number"] == nasty


def test_suspended_tenant_lets_nobody_in(dastak: DastakProcess) -> None:
    command(dastak, "tenants", "create", "gone")
    command(dastak, "services", "create", "app", "--tenant", "gone")
    made = command(
        dastak, "clients", "add", "Shop", "--redirect-uri", CALLBACK, "--tenant", "gone", "--service", "app"
    )
    with PlainBrowser(dastak.url) as browser:
        site = Site(dastak, browser)
        shown = browser.open(f"/authorize?{site.query(client_id=made['client_id'])}")
        command(dastak, "tenants", "set", "gone", "--suspend")
        deadline = time.monotonic() + 5
        while (page := browser.open(f"/authorize?{site.query(client_id=made['client_id'])}")).status == 200:
            assert time.monotonic() < deadline

    assert shown.status == 200
    assert is_told_to_the_person(page, 403)


# The token endpoint.


def refused(answer: httpx.Response, error: str, status: int = 400) -> bool:
    assert answer.headers["cache-control"] == "no-store"
    return (answer.status_code, answer.json()["error"]) == (status, error)


def test_code_is_good_once_and_a_second_use_revokes_what_it_gave(known: Site) -> None:
    code = known.code()
    first = known.exchange(code).json()
    assert known.userinfo(first["access_token"]).status_code == 200

    again = known.exchange(code)

    assert refused(again, "invalid_grant")
    assert known.userinfo(first["access_token"]).status_code == 401


def test_second_use_of_a_code_revokes_refresh_tokens_too(known: Site) -> None:
    code = known.code(scope="openid offline_access")
    first = known.exchange(code).json()

    known.exchange(code)

    assert refused(known.refresh(first["refresh_token"]), "invalid_grant")


async def test_of_two_exchanges_at_once_exactly_one_wins(known: Site) -> None:
    for _ in range(5):
        code = await asyncio.to_thread(known.code)
        async with httpx.AsyncClient(base_url=known.browser.site, timeout=30, trust_env=False) as client:
            data, proof = known.form(code=code), known.basic()
            answers = await asyncio.gather(
                *(client.post("/token", data=data, headers=proof) for _ in range(8))
            )

        won = [answer for answer in answers if answer.status_code == 200]
        lost = [answer for answer in answers if answer.status_code != 200]
        assert len(won) == 1
        assert all(refused(answer, "invalid_grant") for answer in lost)


def test_code_is_no_use_to_another_client(dastak: DastakProcess, known: Site) -> None:
    other = Site(dastak, known.browser)
    code = known.code()

    stolen = known.exchange(code, headers=other.basic())

    assert refused(stolen, "invalid_grant")
    # And whoever tried it has not spoiled it for its owner.
    assert known.exchange(code).status_code == 200


@pytest.mark.parametrize(
    ("said", "error"),
    [
        ({"redirect_uri": CALLBACK + "/"}, "invalid_grant"),
        ({"redirect_uri": None}, "invalid_grant"),
        ({"code_verifier": None}, "invalid_request"),
        ({"code_verifier": "x" * 42}, "invalid_grant"),
        ({"code_verifier": "x" * 64}, "invalid_grant"),
        ({"code_verifier": "x" * 129}, "invalid_grant"),
        ({"code_verifier": "☃" * 50}, "invalid_grant"),
        ({"grant_type": None}, "invalid_request"),
        ({"grant_type": "password"}, "unsupported_grant_type"),
        ({"grant_type": "client_credentials"}, "unsupported_grant_type"),
        ({"grant_type": "implicit"}, "unsupported_grant_type"),
        ({"grant_type": "refresh_token"}, "invalid_request"),
    ],
    ids=str,
)
def test_what_does_not_fit_the_code_gets_nothing(
    known: Site, said: dict[str, str | None], error: str
) -> None:
    assert refused(known.exchange(known.code(), **said), error)


@pytest.mark.parametrize("code", ["", "x" * 43, "x", "x" * 5000])
def test_code_nobody_gave_gets_nothing(known: Site, code: str) -> None:
    assert refused(known.exchange(code), "invalid_grant" if code else "invalid_request")


def end(dastak: DastakProcess, token: str) -> None:
    """Have a token's time be over."""
    with closing(sqlite3.connect(dastak.data_dir / "dastak.db", timeout=30)) as database:
        over = "UPDATE oidc_token SET ends_at = ? WHERE digest = ?"
        changed = database.execute(over, (int(time.time() * 1000) - 1, digest_of(token)))
        assert changed.rowcount == 1
        database.commit()


def test_tokens_whose_time_is_over_open_nothing(dastak: DastakProcess, known: Site) -> None:
    late = known.code()
    end(dastak, late)
    given = known.exchange(known.code(scope="openid offline_access")).json()
    end(dastak, given["access_token"])
    end(dastak, given["refresh_token"])

    assert refused(known.exchange(late), "invalid_grant")
    assert known.userinfo(given["access_token"]).status_code == 401
    assert refused(known.refresh(given["refresh_token"]), "invalid_grant")


def test_access_and_refresh_tokens_are_no_codes(known: Site) -> None:
    given = known.exchange(known.code(scope="openid offline_access")).json()

    for token in (given["access_token"], given["refresh_token"]):
        assert refused(known.exchange(token), "invalid_grant")
    assert refused(known.refresh(given["access_token"]), "invalid_grant")
    assert known.userinfo(given["refresh_token"]).status_code == 401


def test_wrong_secret_is_told_with_the_scheme(known: Site) -> None:
    code = known.code()
    wrong = known.exchange(code, headers=known.basic(secret="wrong"))
    unknown = known.exchange(code, headers=known.basic(client_id="client_000000000000000000000000"))
    by_form = known.exchange(code, headers={}, client_id=known.id, client_secret=known.secret)
    without = known.exchange(code, headers={}, client_id=known.id)

    for answer in (wrong, unknown, by_form, without):
        assert refused(answer, "invalid_client", 401)
        assert answer.headers["www-authenticate"].startswith("Basic ")
    assert wrong.json() == unknown.json()
    assert known.exchange(code).status_code == 200


@pytest.mark.parametrize(
    "header",
    ["Basic", "Basic !!!", "Basic " + base64.b64encode(b"no colon").decode(), "Bearer x", "Basic w6k="],
)
def test_header_that_is_no_basic_authentication_is_refused(known: Site, header: str) -> None:
    assert refused(known.exchange("x", headers={"authorization": header}), "invalid_client", 401)


def test_proof_in_two_ways_is_refused(known: Site) -> None:
    assert refused(known.exchange("x", client_secret=known.secret), "invalid_request")
    assert refused(known.exchange("x", client_id="another"), "invalid_request")


def test_id_and_secret_are_decoded_as_forms_are(known: Site) -> None:
    encoded = "".join(f"%{octet:02X}" for octet in known.id.encode())
    pair = f"{encoded}:{quote(known.secret, safe='')}"
    header = {"authorization": f"basic {base64.b64encode(pair.encode()).decode()}"}

    assert known.exchange(known.code(), headers=header).status_code == 200


def test_secret_of_before_the_rotation_opens_nothing(dastak: DastakProcess, known: Site) -> None:
    site = Site(dastak, known.browser)
    fresh = ApiClient(dastak.url, dastak.api_key).post(f"{CLIENTS}/{site.id}/rotate-secret").body

    assert refused(site.exchange("x"), "invalid_client", 401)
    assert refused(site.exchange("x", headers=site.basic(secret=fresh["client_secret"])), "invalid_grant")


def test_form_with_a_field_twice_or_another_kind_of_body_is_refused(known: Site) -> None:
    twice = "&".join((urlencode(known.form(code="x")), "code=y"))
    kind = {"content-type": "application/x-www-form-urlencoded"}

    assert refused(
        known.http.post("/token", content=twice, headers={**known.basic(), **kind}), "invalid_request"
    )
    assert refused(
        known.http.post("/token", json=known.form(code="x"), headers=known.basic()), "invalid_request"
    )
    assert known.http.get("/token").status_code == 404


def test_refresh_token_that_comes_again_ends_the_family(known: Site) -> None:
    first = known.exchange(known.code(scope="openid offline_access")).json()
    second = known.refresh(first["refresh_token"]).json()
    third = known.refresh(second["refresh_token"]).json()
    assert known.userinfo(third["access_token"]).status_code == 200

    assert refused(known.refresh(first["refresh_token"]), "invalid_grant")

    assert refused(known.refresh(third["refresh_token"]), "invalid_grant")
    assert known.userinfo(third["access_token"]).status_code == 401


async def test_of_two_refreshes_at_once_one_wins_and_the_family_ends(known: Site) -> None:
    first = (await asyncio.to_thread(known.exchange, known.code(scope="openid offline_access"))).json()
    async with httpx.AsyncClient(base_url=known.browser.site, timeout=30, trust_env=False) as client:
        data = {"grant_type": "refresh_token", "refresh_token": first["refresh_token"]}
        sent = (client.post("/token", data=data, headers=known.basic()) for _ in range(6))
        answers = await asyncio.gather(*sent)

    assert sorted(answer.status_code for answer in answers) == [200, *[400] * 5]
    won = next(answer.json() for answer in answers if answer.status_code == 200)
    assert known.userinfo(won["access_token"]).status_code == 401


def test_refresh_gives_no_more_than_was_granted_and_nothing_to_another_client(
    dastak: DastakProcess, known: Site
) -> None:
    first = known.exchange(known.code(scope="openid offline_access")).json()
    other = Site(dastak, known.browser)

    assert refused(known.refresh(first["refresh_token"], scope="openid phone"), "invalid_scope")
    assert refused(other.refresh(first["refresh_token"]), "invalid_grant")
    assert known.refresh(first["refresh_token"], scope="openid").status_code == 200


def test_without_offline_access_there_is_no_refresh_token(known: Site) -> None:
    assert "refresh_token" not in known.exchange(known.code()).json()


def test_number_locked_between_page_and_token_gets_nothing(dastak: DastakProcess, site: Site) -> None:
    code = site.code()
    lock(ApiClient(dastak.url, dastak.api_key), site.number)

    told = site.exchange(code)

    assert refused(told, "invalid_grant")
    assert answer_of(site.ask(prompt="none"))["error"] == "login_required"
    unlock(dastak, site.number)
    assert site.exchange(code).status_code == 200


def unlock(dastak: DastakProcess, number: str) -> None:
    """Open a number as its tenant may."""
    path = f"/v1/admin/tenants/default/numbers/{number}/unlock"
    assert ApiClient(dastak.url, dastak.api_key).post(path).body == {"unlocked": True}


def test_refresh_token_outlives_a_lock_of_the_number(dastak: DastakProcess, site: Site) -> None:
    given = site.exchange(site.code(scope="openid offline_access")).json()
    lock(ApiClient(dastak.url, dastak.api_key), site.number)

    told = site.refresh(given["refresh_token"])
    unlock(dastak, site.number)
    later = site.refresh(given["refresh_token"])

    assert refused(told, "temporarily_unavailable", 503)
    assert 0 < int(told.headers["retry-after"]) <= 3600
    assert later.status_code == 200


def test_refresh_token_that_comes_again_ends_the_family_of_a_locked_number(
    dastak: DastakProcess, site: Site
) -> None:
    first = site.exchange(site.code(scope="openid offline_access")).json()
    second = site.refresh(first["refresh_token"]).json()
    lock(ApiClient(dastak.url, dastak.api_key), site.number)

    assert refused(site.refresh(first["refresh_token"]), "invalid_grant")

    assert site.userinfo(second["access_token"]).status_code == 401


def test_number_locked_on_the_way_is_told_to_the_site_and_nobody_is_sent_round(
    dastak: DastakProcess, person: dict[str, Any]
) -> None:
    api = ApiClient(dastak.url, dastak.api_key)
    with PlainBrowser(dastak.url) as browser:
        site = Site(dastak, browser, login="password_and_code", ask_consent=True)
        page = browser.send(site.ask(), username=person["name"], password=PASSWORD)
        consent = browser.send(page, do="check", code=api.next_text(person["number"])["code"])
        lock(api, person["number"])
        seen_again = answer_of(browser.open(consent.url))
        allowed = answer_of(browser.send(consent, do="allow"))
        later = site.ask()

    assert "Shop" in consent.text
    assert (seen_again["error"], seen_again["state"]) == ("temporarily_unavailable", "st")
    assert allowed["error"] == "temporarily_unavailable"
    assert "password" in later.fields, "there may be another way in"


def test_number_locked_on_the_way_by_phone_alone_is_told_to_the_site_too(dastak: DastakProcess) -> None:
    with PlainBrowser(dastak.url) as browser:
        site = Site(dastak, browser, ask_consent=True)
        api, page = ApiClient(dastak.url, None), browser.send(site.ask(), number=site.number, do="begin")
        consent = browser.send(page, do="check", code=api.next_text(site.number)["code"])
        lock(ApiClient(dastak.url, dastak.api_key), site.number)
        seen_again = answer_of(browser.open(consent.url))
        allowed = answer_of(browser.send(consent, do="allow"))
        later = site.ask()

    assert "Shop" in consent.text
    assert (seen_again["error"], seen_again["state"]) == ("temporarily_unavailable", "st")
    assert allowed["error"] == "temporarily_unavailable"
    assert "number" in later.fields, "there may be another number"


def test_removed_client_and_what_it_was_given_open_nothing(dastak: DastakProcess, known: Site) -> None:
    site = Site(dastak, known.browser)
    given = site.exchange(site.code(scope="openid offline_access")).json()

    gone = ApiClient(dastak.url, dastak.api_key).delete(f"{CLIENTS}/{site.id}")

    assert gone.status == 200
    assert site.userinfo(given["access_token"]).status_code == 401
    assert refused(site.refresh(given["refresh_token"]), "invalid_client", 401)
    assert is_told_to_the_person(site.ask())


# Tokens, and those who look at them.


def claims_of(token: str) -> dict[str, Any]:
    body = token.split(".")[1]
    claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    return claims


def test_id_token_says_what_the_standard_wants_and_no_number(dastak: DastakProcess, known: Site) -> None:
    given = known.exchange(known.code()).json()
    keys = KeySet.import_key_set(httpx.get(f"{dastak.url}/.well-known/jwks.json").json())

    token = jwt.decode(given["id_token"], keys, algorithms=["ES256"])

    claims = token.claims
    half = hashlib.sha256(given["access_token"].encode()).digest()[:16]
    assert token.header["alg"] == "ES256"
    assert token.header["kid"] in {key.kid for key in keys.keys}
    assert (claims["iss"], claims["aud"], claims["nonce"]) == (dastak.url, known.id, "no")
    assert claims["exp"] - claims["iat"] == 600
    assert claims["auth_time"] <= claims["iat"] <= time.time() + 1
    assert claims["at_hash"] == base64.urlsafe_b64encode(half).rstrip(b"=").decode()
    assert known.number.lstrip("+") not in json.dumps(claims)
    assert set(claims) == {
        "iss", "sub", "aud", "exp", "iat", "auth_time", "acr", "amr", "at_hash", "nonce",
    }  # fmt: skip


def signed_by_hand(head: dict[str, str], body: str, key: bytes) -> str:
    """Take a public key for a secret, as a client would that believes what a token says of itself."""
    said = f"{base64.urlsafe_b64encode(json.dumps(head).encode()).rstrip(b'=').decode()}.{body}"
    signature = hmac.digest(key, said.encode(), "sha256")
    return f"{said}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"


def test_forged_tokens_are_no_hints(dastak: DastakProcess, known: Site) -> None:
    true = known.exchange(known.code()).json()["id_token"]
    head, body, signature = true.split(".")
    keys = httpx.get(f"{dastak.url}/.well-known/jwks.json").json()["keys"]
    kid = json.loads(base64.urlsafe_b64decode(head + "=="))["kid"]
    shown = next(key for key in keys if key["kid"] == kid)
    public = ECKey.import_key(shown).as_pem(private=False)
    claims = claims_of(true)
    altered = base64.urlsafe_b64encode(json.dumps({**claims, "sub": "x"}).encode()).rstrip(b"=").decode()
    forged = {
        "altered": f"{head}.{altered}.{signature}",
        "none": f"eyJhbGciOiJub25lIn0.{body}.",
        "hs256": signed_by_hand({"alg": "HS256", "kid": kid}, body, public),
        "another key": jwt.encode(
            {"alg": "ES256", "kid": kid}, claims, ECKey.generate_key("P-256"), algorithms=["ES256"]
        ),
    }

    assert "code" in answer_of(known.ask(id_token_hint=true, prompt="none"))
    for token in forged.values():
        assert answer_of(known.ask(id_token_hint=token, prompt="none"))["error"] == "invalid_request"
        with pytest.raises((JoseError, ValueError)):
            jwt.decode(token, KeySet.import_key_set({"keys": keys}), algorithms=["ES256"])


@pytest.mark.parametrize("header", [None, "", "Basic eDp5", "Bearer", "Bearer x", "Bearer " + "x" * 5000])
def test_userinfo_needs_a_token_that_counts(known: Site, header: str | None) -> None:
    answer = known.http.get("/userinfo", headers={} if header is None else {"authorization": header})

    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Bearer ")
    assert answer.headers["cache-control"] == "no-store"


def test_userinfo_takes_no_token_from_the_address(known: Site) -> None:
    token = known.exchange(known.code()).json()["access_token"]

    assert known.http.get(f"/userinfo?access_token={token}").status_code == 401
    assert known.http.post("/userinfo", headers={"authorization": f"Bearer {token}"}).status_code == 200


def test_userinfo_tells_the_number_only_where_it_was_asked_for(known: Site) -> None:
    without = known.userinfo(known.exchange(known.code(scope="openid")).json()["access_token"]).json()
    withal = known.userinfo(known.exchange(known.code()).json()["access_token"]).json()

    assert set(without) == {"sub"}
    assert withal == {**without, "phone_number": known.number, "phone_number_verified": True}


def test_person_has_another_name_at_each_pairwise_client_and_one_at_public_ones(
    dastak: DastakProcess, known: Site
) -> None:
    def named(**fields: Any) -> str:
        site = Site(dastak, known.browser, **fields)
        callback = fields.get("redirect_uris", [CALLBACK])[0]
        code = site.code(redirect_uri=callback)
        return str(claims_of(site.exchange(code, redirect_uri=callback).json()["id_token"])["sub"])

    elsewhere = {"redirect_uris": ["https://other.example/callback"]}

    assert named() == named()
    assert named(**elsewhere) != named()
    assert named(subject="public", **elsewhere) == named(subject="public")
    assert len({named(), named(**elsewhere), named(subject="public")}) == 3


# Logging out.


def test_hint_logs_out_without_a_question_and_ends_what_was_given(site: Site) -> None:
    given = site.exchange(site.code()).json()

    away = site.browser.open(f"/logout?{urlencode({'id_token_hint': given['id_token']})}")

    assert "You are logged out" in away.text
    assert answer_of(site.ask(prompt="none"))["error"] == "login_required"
    assert site.userinfo(given["access_token"]).status_code == 401


def test_refresh_tokens_outlive_the_browser_where_offline_access_was_granted(site: Site) -> None:
    given = site.exchange(site.code(scope="openid offline_access")).json()

    site.browser.open(f"/logout?{urlencode({'id_token_hint': given['id_token']})}")

    assert site.refresh(given["refresh_token"]).status_code == 200


def test_without_a_hint_the_person_is_asked_first(site: Site) -> None:
    site.log_in()

    page = site.browser.open(
        f"/logout?{urlencode({'client_id': site.id, 'post_logout_redirect_uri': LOGGED_OUT})}"
    )
    still = site.ask(prompt="none")
    away = site.browser.send(page)

    assert "code" in answer_of(still)
    assert away.url == LOGGED_OUT
    assert answer_of(site.ask(prompt="none"))["error"] == "login_required"


def test_whoever_names_no_site_is_asked_and_logged_out_everywhere(site: Site) -> None:
    site.log_in()

    away = site.browser.send(site.browser.open("/logout"))

    assert "You are logged out" in away.text
    assert answer_of(site.ask(prompt="none"))["error"] == "login_required"


@pytest.mark.parametrize(
    "back",
    [
        LOGGED_OUT + "/",
        LOGGED_OUT + "&x=1",
        "https://evil.example/",
        "//evil.example",
        CALLBACK,
        "javascript:x",
    ],
)
def test_browser_goes_back_to_no_address_that_is_not_registered(known: Site, back: str) -> None:
    asked = {"client_id": known.id, "post_logout_redirect_uri": back}

    assert is_told_to_the_person(known.browser.open(f"/logout?{urlencode(asked)}"))
    assert "code" in answer_of(known.ask(prompt="none"))


def test_browser_goes_nowhere_where_no_client_is_named(known: Site) -> None:
    assert is_told_to_the_person(
        known.browser.open(f"/logout?{urlencode({'post_logout_redirect_uri': LOGGED_OUT})}")
    )


def test_hint_of_another_client_or_of_nobody_is_refused(dastak: DastakProcess, known: Site) -> None:
    other = Site(dastak, known.browser)
    hint = known.exchange(known.code()).json()["id_token"]

    assert is_told_to_the_person(
        known.browser.open(f"/logout?{urlencode({'id_token_hint': hint, 'client_id': other.id})}")
    )
    assert is_told_to_the_person(known.browser.open(f"/logout?{urlencode({'id_token_hint': hint[:-2]})}"))
    assert "code" in answer_of(known.ask(prompt="none"))


def test_hint_of_somebody_else_asks_whoever_is_here(dastak: DastakProcess, known: Site) -> None:
    with PlainBrowser(dastak.url) as browser:
        site = Site(dastak, browser)
        site.id, site.secret = known.id, known.secret
        site.log_in()
        hint = known.exchange(known.code()).json()["id_token"]

        page = browser.open(f"/logout?{urlencode({'id_token_hint': hint})}")

        assert "Do you want to log out?" in page.text
        assert "code" in answer_of(site.ask(prompt="none"))


# With a password.


def test_account_without_a_second_factor_is_not_let_in(dastak: DastakProcess) -> None:
    name = some_name()
    with LoginClient(dastak.url) as person:
        person.sign_up(name)
    with PlainBrowser(dastak.url) as browser:
        site = Site(dastak, browser, login="password_and_code")
        there = browser.send(site.ask(), username=name, password=PASSWORD)

    assert answer_of(there)["error"] == "unmet_authentication_requirements"


def test_phone_alone_is_not_enough_where_a_password_is_wanted(dastak: DastakProcess, known: Site) -> None:
    strict = Site(dastak, known.browser, login="password_and_code")

    assert answer_of(strict.ask(prompt="none"))["error"] == "login_required"
    assert "password" in strict.ask().fields
    page = strict.ask()
    sent = known.browser.client.post(page.url, data={"do": "begin", "number": known.number})
    assert sent.status_code in (400, 403, 404, 422)


# Answers.


def test_discovery_is_the_same_by_both_standards_and_every_address_answers(dastak: DastakProcess) -> None:
    first = httpx.get(dastak.url + DISCOVERY).json()
    second = httpx.get(f"{dastak.url}/.well-known/oauth-authorization-server").json()

    assert first == second
    assert first["issuer"] == dastak.url
    assert first["code_challenge_methods_supported"] == ["S256"]
    assert first["response_types_supported"] == ["code"]
    assert len(httpx.get(first["jwks_uri"]).json()["keys"]) >= 2
    assert all("d" not in key for key in httpx.get(first["jwks_uri"]).json()["keys"])


def test_page_of_another_origin_may_exchange_a_code(known: Site) -> None:
    asked = known.http.options("/token", headers={"origin": "https://app.example"})
    answer = known.exchange(known.code())

    assert asked.status_code == 204
    assert answer.headers["access-control-allow-origin"] == "*"
    assert "access-control-allow-credentials" not in answer.headers


def test_forms_of_the_pages_lead_to_us_alone_and_pages_are_kept_by_nobody(site: Site) -> None:
    page = site.ask()
    sent = site.browser.send(page, number=site.number, do="begin")

    for shown in (page, sent):
        assert "form-action 'self';" in shown.headers["content-security-policy"]
        assert "frame-ancestors 'none'" in shown.headers["content-security-policy"]
        assert shown.headers["cache-control"] == "no-store"
        assert shown.headers["referrer-policy"] == "no-referrer"


def test_nothing_secret_is_in_the_log(dastak: DastakProcess, site: Site) -> None:
    code = site.code()
    given = site.exchange(code).json()
    site.exchange(code)

    log = dastak.log()
    for secret in (code, given["access_token"], site.secret, site.verifier, site.number):
        assert secret not in log
    assert "a token came twice" in log
