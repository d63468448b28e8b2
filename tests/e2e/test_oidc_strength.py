"""How strongly a site may ask for proof: `acr_values`, `claims`, `prompt` and `max_age`."""

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

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
from tests.support.oidc_peers import CLIENTS, Fact, OidcClient
from tests.support.oidc_site import (
    CALLBACK,
    LOGGED_OUT,
    Site,
    add_client,
    answer_of,
    command,
    log_in,
    order,
    some_number,
)
from tests.support.plain_browser import PlainBrowser, Sheet

FORGOTTEN = f"{LOGIN}/forgotten"
PHONE, TWO = "urn:dastak:acr:phone", "urn:dastak:acr:password-and-code"


dastak = behind_proxy


def essential(*values: str) -> str:
    """Return the parameter that takes no other login."""
    return json.dumps({"id_token": {"acr": {"essential": True, "values": values}}})


@pytest.fixture
def browser(dastak: DastakProcess) -> Iterator[PlainBrowser]:
    with PlainBrowser(dastak.url) as opened:
        yield opened


@pytest.fixture(params=CLIENTS)
def client(request: pytest.FixtureRequest, dastak: DastakProcess) -> Iterator[OidcClient]:
    made = add_client(dastak, ask_consent=False)
    wanted = {
        "issuer": dastak.url,
        "client_id": made["client_id"],
        "client_secret": made["client_secret"],
        "redirect_uri": CALLBACK,
        "scope": "openid phone offline_access",
    }
    with CLIENTS[request.param](wanted) as site:
        yield site


def sign_in(browser: PlainBrowser, page: Sheet, person: Fact, **typed: str) -> Sheet:
    """Type username and password, and the code."""
    page = browser.send(page, username=person["name"], password=PASSWORD, **typed)
    code = ApiClient(browser.site, None).next_text(person["number"])["code"]
    return browser.send(page, do="check", code=code)


# With other authors' clients.


def test_stronger_login_is_asked_for_and_the_person_stays_the_same(
    client: OidcClient, browser: PlainBrowser, person: Fact
) -> None:
    weak = client.callback(log_in(browser, client.authorize(), person["number"]).url)

    page = browser.open(client.authorize(acr_values=TWO))
    strong = client.callback(sign_in(browser, page, person).url)
    again = client.refresh()

    assert "password" in page.fields
    assert (weak["claims"]["acr"], strong["claims"]["acr"]) == (PHONE, TWO)
    assert {"pwd", "otp", "sms"} <= set(strong["claims"]["amr"])
    assert strong["claims"]["sub"] == weak["claims"]["sub"]
    assert (again["claims"]["acr"], again["claims"]["sub"]) == (TWO, strong["claims"]["sub"])


def test_single_facts_come_where_the_site_wants_them(
    client: OidcClient, browser: PlainBrowser, person: Fact
) -> None:
    asked = json.dumps(
        {
            "id_token": {
                "acr": {"essential": True, "value": TWO},
                "phone_number": None,
                "phone_number_verified": {"essential": True},
                "email": {"essential": True},
            }
        }
    )
    told = client.callback(sign_in(browser, browser.open(client.authorize(claims=asked)), person).url)

    about = {"phone_number": person["number"], "phone_number_verified": True}
    assert told["claims"].items() >= {"acr": TWO, **about}.items()
    assert "email" not in told["claims"]
    assert told["userinfo"] == {"sub": told["claims"]["sub"], **about}


def test_what_cannot_be_proved_is_told_to_the_client(client: OidcClient, browser: PlainBrowser) -> None:
    there = browser.open(client.authorize(claims=essential("urn:elsewhere:gold")))

    assert answer_of(there)["error"] == "unmet_authentication_requirements"
    assert "unmet_authentication_requirements" in str(client.callback(there.url))


@pytest.mark.parametrize(
    "more", [{"prompt": "login"}, {"prompt": "select_account"}, {"max_age": "0"}], ids=str
)
def test_login_is_a_new_one_where_the_client_wants_that(
    client: OidcClient, browser: PlainBrowser, more: dict[str, str]
) -> None:
    number = some_number()
    first = client.callback(log_in(browser, client.authorize(), number).url)
    began = int(time.time())

    page = browser.open(client.authorize(**more))
    second = client.callback(log_in(browser, page.url, number).url)

    assert "number" in page.fields
    assert first["claims"]["auth_time"] <= began <= second["claims"]["auth_time"]
    assert first["claims"]["sub"] == second["claims"]["sub"]


def test_nobody_is_asked_where_the_client_wants_that(client: OidcClient, browser: PlainBrowser) -> None:
    before = browser.open(client.authorize(prompt="none"))
    refused = client.callback(before.url)
    client.callback(log_in(browser, client.authorize(), some_number()).url)

    told = client.callback(browser.open(client.authorize(prompt="none", max_age="600")).url)

    assert "login_required" in str(refused)
    assert told["claims"]["acr"] == PHONE


def test_page_is_in_the_language_and_with_the_number_that_the_client_says(
    client: OidcClient, browser: PlainBrowser
) -> None:
    page = browser.open(client.authorize(ui_locales="fr ur-PK en", login_hint="+919876543210"))
    consent = log_in(browser, client.authorize(prompt="consent"), some_number())

    assert '<html lang="ur" dir="rtl"' in page.text
    assert page.fields["number"] == "+919876543210"
    assert client.callback(consent.url)["claims"]["acr"] == PHONE


# By hand.


@pytest.fixture
def site(dastak: DastakProcess, browser: PlainBrowser) -> Site:
    return Site(dastak, browser)


def test_new_login_for_one_site_logs_out_of_no_other_and_the_sign_out_after_it_of_both(
    dastak: DastakProcess, site: Site, person: Fact
) -> None:
    other = Site(dastak, site.browser)
    first = answer_of(sign_in(site.browser, other.ask(claims=essential(TWO)), person))
    theirs = other.exchange(first["code"]).json()["access_token"]
    second = answer_of(sign_in(site.browser, site.ask(prompt="login", claims=essential(TWO)), person))
    ours = site.exchange(second["code"]).json()["access_token"]

    inside = [other.userinfo(theirs).status_code, site.userinfo(ours).status_code]
    site.browser.send(site.browser.open(ACCOUNT), do="out", about="")
    after = [other.userinfo(theirs).status_code, site.userinfo(ours).status_code]

    assert inside == [200, 200]
    assert after == [401, 401]


def test_nothing_less_than_asked_for_comes_by_itself(site: Site, person: Fact) -> None:
    site.number = person["number"]
    site.log_in()

    by_phone = answer_of(site.ask(prompt="none", acr_values=PHONE))
    unasked = answer_of(site.ask(prompt="none", acr_values=TWO))
    strong = sign_in(site.browser, site.ask(claims=essential(TWO)), person)
    by_both = answer_of(site.ask(prompt="none", claims=essential(TWO)))

    assert "code" in by_phone
    assert unasked["error"] == "login_required"
    assert "code" in answer_of(strong)
    assert "code" in by_both


def test_wish_that_a_person_cannot_meet_leaves_the_phone_and_what_is_essential_does_not(site: Site) -> None:
    name = some_name()
    with LoginClient(site.browser.site) as alone:
        alone.sign_up(name)

    page = site.browser.send(site.ask(acr_values=TWO), username=name, password=PASSWORD)
    there = answer_of(log_in(site.browser, page.url, site.number))
    refused = site.browser.send(
        site.ask(claims=essential(TWO), prompt="login"), username=name, password=PASSWORD
    )

    assert "number" in page.fields
    assert "code" in there
    assert answer_of(refused)["error"] == "unmet_authentication_requirements"


def test_service_without_accounts_has_the_phone_alone(dastak: DastakProcess, browser: PlainBrowser) -> None:
    command(dastak, "services", "create", "bare")
    site = Site(dastak, browser, service="bare")

    assert "number" in site.ask(acr_values=f"{TWO} {PHONE}").fields
    assert answer_of(site.ask(claims=essential(TWO)))["error"] == "unmet_authentication_requirements"
    assert "number" in site.ask(claims=essential(TWO, PHONE)).fields


def test_less_than_the_client_is_registered_with_is_never_taken(
    dastak: DastakProcess, browser: PlainBrowser
) -> None:
    site = Site(dastak, browser, login="password_and_code")

    assert "password" in site.ask(acr_values=PHONE).fields
    assert answer_of(site.ask(claims=essential(PHONE)))["error"] == "unmet_authentication_requirements"


def test_browser_that_is_remembered_is_asked_for_the_code_all_the_same(
    dastak: DastakProcess, person: Fact
) -> None:
    with PlainBrowser(dastak.url) as browser:
        sign_in(browser, browser.open("/login/default/default"), person, remember="1")
        browser.send(browser.open("/account/default/default"), do="out")
        site = Site(dastak, browser, login="password_and_code")
        page = site.ask()

        there = answer_of(sign_in(browser, page, person))

    assert "password" in page.fields
    assert "code" in there


@pytest.mark.parametrize("said", [{"prompt": "login"}, {"max_age": "0"}], ids=str)
def test_password_and_code_are_asked_for_again(
    dastak: DastakProcess, browser: PlainBrowser, person: Fact, said: dict[str, str]
) -> None:
    site = Site(dastak, browser, login="password_and_code")
    sign_in(browser, site.ask(), person)
    assert "code" in answer_of(site.ask(prompt="none"))

    page = site.ask(**said)
    there = answer_of(sign_in(browser, page, person))

    assert "password" in page.fields
    assert "code" in there


@pytest.mark.parametrize("said", ["x", "[]", '{"id_token": 1}', '{"id_token": {"acr": "x"}}'])
def test_claims_of_another_shape_are_refused(site: Site, said: str) -> None:
    assert answer_of(site.ask(claims=said))["error"] == "invalid_request"


def test_somebody_else_than_the_site_means_is_not_let_in(site: Site) -> None:
    given = site.exchange(site.code()).json()
    subject = site.userinfo(given["access_token"]).json()["sub"]

    def meant(name: str) -> str:
        return json.dumps({"id_token": {"sub": {"value": name}}})

    assert "code" in answer_of(site.ask(claims=meant(subject), prompt="none"))
    assert answer_of(site.ask(claims=meant("another"), prompt="none"))["error"] == "login_required"
    there = log_in(site.browser, site.ask(claims=meant("another")).url, site.number)
    assert answer_of(there)["error"] == "login_required"


def test_number_that_claims_ask_for_is_asked_of_the_person(
    dastak: DastakProcess, browser: PlainBrowser
) -> None:
    site = Site(dastak, browser, ask_consent=True)
    site.log_in(scope="openid")
    asked = json.dumps({"userinfo": {"phone_number": {"essential": True}}})

    silent = answer_of(site.ask(scope="openid", prompt="none", claims=asked))
    page = site.ask(scope="openid", claims=asked)
    code = answer_of(browser.send(page, do="allow"))["code"]
    given = site.exchange(code).json()

    assert silent["error"] == "consent_required"
    assert "It gets your mobile number." in page.text
    assert given["scope"] == "openid phone"
    assert site.userinfo(given["access_token"]).json()["phone_number"] == site.number


def test_whoever_proved_more_is_logged_out_whole_and_without_a_question(site: Site, person: Fact) -> None:
    site.number = person["number"]
    site.log_in()
    code = answer_of(sign_in(site.browser, site.ask(acr_values=TWO), person))["code"]
    given = site.exchange(code).json()

    away = site.browser.open(
        f"/logout?id_token_hint={given['id_token']}&post_logout_redirect_uri={LOGGED_OUT.replace('?', '%3F')}"
    )

    assert away.url == LOGGED_OUT
    assert site.userinfo(given["access_token"]).status_code == 401
    assert answer_of(site.ask(prompt="none"))["error"] == "login_required"
    assert answer_of(site.ask(prompt="none", acr_values=TWO))["error"] == "login_required"


@pytest.mark.parametrize("login", ["phone", "password_and_code"])
def test_account_that_was_blocked_gets_no_more_tokens(
    dastak: DastakProcess, browser: PlainBrowser, person: Fact, login: str
) -> None:
    site = Site(dastak, browser, login=login)
    there = sign_in(browser, site.ask(scope="openid offline_access", acr_values=TWO), person)
    given = site.exchange(answer_of(there)["code"]).json()

    order(dastak, "login", "block", person["name"])
    refused = site.refresh(given["refresh_token"])
    order(dastak, "login", "block", "--undo", person["name"])

    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_grant")
    later = site.refresh(given["refresh_token"])
    assert later.status_code == 400, "whoever is let in again signs in again, as in every browser"


@pytest.mark.parametrize("end", ["password reset", "sign-out everywhere"])
def test_tokens_end_with_the_sessions_of_the_person(
    dastak: DastakProcess, browser: PlainBrowser, person: dict[str, Any], end: str
) -> None:
    api = ApiClient(dastak.url, dastak.api_key)
    site = Site(dastak, browser, login="password_and_code")
    asked = site.ask(scope="openid phone offline_access", acr_values=TWO)
    given = site.exchange(answer_of(sign_in(browser, asked, person))["code"]).json()
    before = site.userinfo(given["access_token"]).status_code
    with LoginClient(dastak.url) as other:
        if end == "password reset":
            other.send(FORGOTTEN, {"username": person["name"]})
            other.send(f"{FORGOTTEN}/code", {"code": api.next_text(person["number"])["code"]})
            done = other.send(
                f"{FORGOTTEN}/new", {"new": "another bridge of limes", "recovery": person["codes"][0]}
            )
        else:
            other.pass_password(person["name"])
            other.type_code(api.next_text(person["number"])["code"])
            done = other.send(ACCOUNT, {"do": "out-everywhere"})
    refreshed = site.refresh(given["refresh_token"])

    assert done.status_code in (200, 303)
    assert before == 200
    assert (refreshed.status_code, refreshed.json()["error"]) == (400, "invalid_grant")
    assert site.userinfo(given["access_token"]).status_code == 401
