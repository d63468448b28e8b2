"""A landing page whose visitors are logged in at a site by OpenID Connect, and all who are not."""

import base64
import json
from collections.abc import AsyncIterator
from typing import Any, Final
from urllib.parse import parse_qs, quote, urlencode, urlsplit

import httpx
import pytest

from dastak.core.landing import LandingPage
from dastak.core.oidc import Client, LoginWay, challenge_of
from dastak.core.tenant import Mode
from tests.support.house import House
from tests.support.landing_visitors import ORIGIN, Landing, Visitor, field, leading_to, open_landing
from tests.support.led_on import led_to
from tests.support.oidc_samples import CALLBACK, VERIFIER, some_client
from tests.support.samples import MSISDN

BEGINS: Final = "https://shop.example/login?from=diwali"
BEGUN: Final = f"{BEGINS}&iss={quote(ORIGIN, safe='')}"
ASKED: Final = {
    "redirect_uri": CALLBACK,
    "response_type": "code",
    "scope": "openid phone",
    "state": "st",
    "nonce": "no",
    "code_challenge": challenge_of(VERIFIER),
    "code_challenge_method": "S256",
}


@pytest.fixture
async def landing(house: House) -> AsyncIterator[Landing]:
    async with open_landing(house) as opened:
        yield opened


async def shop(landing: Landing, **changes: Any) -> Client:
    """Register a site that has no secret, and asks for no consent."""
    fresh = some_client(**{"mode": Mode.LIVE, "ask_consent": False, **changes})
    put: Client = await landing.house.store.oidc.put_client(fresh)
    return put


async def page_for(landing: Landing, client: Client, begins: str = BEGINS, **changes: Any) -> LandingPage:
    return await landing.published(leading_to(begins, log_in_at=client.id, **changes))


async def proved(landing: Landing, visitor: Visitor) -> httpx.Response:
    return await visitor.type(await visitor.asked(), await landing.code())


async def authorize(visitor: Visitor, client: Client, **more: str) -> httpx.Response:
    """Do what the site does at the address where it begins a login."""
    return await visitor.get(f"/authorize?{urlencode({'client_id': client.id, **ASKED, **more})}")


def code_of(answer: httpx.Response) -> str:
    assert answer.headers["location"].startswith(f"{CALLBACK}?"), answer.headers["location"]
    said = parse_qs(urlsplit(answer.headers["location"]).query)
    assert (said["state"], said["iss"]) == (["st"], [ORIGIN])
    return said["code"][0]


async def exchange(landing: Landing, client: Client, code: str, verifier: str = VERIFIER) -> httpx.Response:
    form = {
        "grant_type": "authorization_code",
        "client_id": client.id,
        "redirect_uri": CALLBACK,
        "code": code,
        "code_verifier": verifier,
    }
    return await landing.visitor().browser.post("/token", data=form)


def claims_of(token: str) -> dict[str, Any]:
    body = token.split(".")[1]
    claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    return claims


def logged_in(visitor: Visitor) -> list[str]:
    return [name for name in visitor.browser.cookies if "oidc" in name]


async def test_visitor_who_proved_a_number_gets_a_code_for_the_sites_own_request(landing: Landing) -> None:
    client = await shop(landing)
    page, visitor = await page_for(landing, client), landing.visitor()

    sent = await proved(landing, visitor)
    code = code_of(await authorize(visitor, client))
    other = await exchange(landing, client, code, "w" * 43)
    given = (await exchange(landing, client, code)).json()

    assert (sent.status_code, led_to(sent.text)) == (200, BEGUN)
    assert other.status_code == 400
    claims = claims_of(given["id_token"])
    assert (claims["amr"], claims["nonce"], claims["aud"]) == (["otp", "sms"], "no", client.id)
    assert claims["auth_time"] == int(landing.house.clock.now().timestamp())
    bearer = {"authorization": f"Bearer {given['access_token']}"}
    about = (await landing.visitor().browser.get("/userinfo", headers=bearer)).json()
    assert (about["phone_number"], about["phone_number_verified"]) == (MSISDN, True)
    # The site gets a login; there is no token beside it that somebody else could change for the lead.
    assert len(await landing.leads(page)) == 1
    assert "dastak_token" not in sent.text


async def test_form_of_the_code_page_leads_to_no_site_and_the_page_after_it_does(landing: Landing) -> None:
    client = await shop(
        landing, redirect_uris=(CALLBACK, "https://www.shop.example/in"), sector="shop.example"
    )
    await page_for(landing, client)

    visitor = landing.visitor()

    asking = await visitor.asked()
    sent = await visitor.type(asking, await landing.code())

    assert "form-action 'self';" in asking.headers["content-security-policy"]
    assert (sent.status_code, led_to(sent.text)) == (200, BEGUN)


async def test_consent_is_asked_for_as_by_any_login(landing: Landing) -> None:
    client = await shop(landing, ask_consent=True)
    await page_for(landing, client)
    visitor = landing.visitor()
    await proved(landing, visitor)

    on = await authorize(visitor, client)
    asked = await visitor.get(on.headers["location"])

    assert "Shop wants to know who you are" in asked.text


async def test_wrong_code_logs_nobody_in(landing: Landing) -> None:
    client = await shop(landing)
    await page_for(landing, client)
    visitor = landing.visitor()
    asking = await visitor.asked()
    verification, *_ = await landing.house.all()

    wrong = await visitor.type(asking, landing.house.wrong(verification))
    on = await authorize(visitor, client)
    quiet = await authorize(visitor, client, prompt="none")

    assert wrong.status_code == 422
    assert logged_in(visitor) == []
    assert on.headers["location"].startswith("/authorize/")
    assert "error=login_required" in quiet.headers["location"]


@pytest.mark.parametrize("more", [{"prompt": "login"}, {"max_age": "0"}])
async def test_site_that_wants_a_fresh_proof_has_one_asked_for(
    landing: Landing, more: dict[str, str]
) -> None:
    client = await shop(landing)
    await page_for(landing, client)
    visitor = landing.visitor()
    await proved(landing, visitor)
    landing.house.clock.advance(1)

    on = await authorize(visitor, client, **more)

    assert on.headers["location"].startswith("/authorize/")
    assert 'name="number"' in (await visitor.get(on.headers["location"])).text


async def test_other_browser_with_the_visits_address_is_nobody(landing: Landing) -> None:
    client = await shop(landing)
    await page_for(landing, client)
    visitor, thief = landing.visitor(), landing.visitor()
    asking = await visitor.asked()
    await visitor.type(asking, await landing.code())
    await thief.get("/f/diwali?lang=en")

    looked = await thief.get(str(asking.request.url))
    typed = await thief.type(asking, await landing.code())

    assert (looked.status_code, typed.status_code) == (404, 404)
    assert logged_in(thief) == []


async def test_secret_that_was_planted_in_the_browser_is_worth_nothing_after(landing: Landing) -> None:
    client = await shop(landing)
    await page_for(landing, client)
    thief, visitor = landing.visitor(), landing.visitor()
    await thief.get((await authorize(thief, client)).headers["location"])
    (planted,) = logged_in(thief)
    visitor.browser.cookies.set(planted, thief.browser.cookies[planted], domain="otp.example.in")

    await proved(landing, visitor)

    assert code_of(await authorize(visitor, client))
    assert (await authorize(thief, client)).headers["location"].startswith("/authorize/")


async def test_button_pressed_twice_leads_on_as_well_but_not_after_minutes(landing: Landing) -> None:
    client = await shop(landing)
    await page_for(landing, client)
    visitor = landing.visitor()
    asking, code = await visitor.asked(), await landing.code()

    first, second = await visitor.type(asking, code), await visitor.type(asking, code)
    landing.house.clock.advance(301)
    late = await visitor.type(asking, code)

    assert [led_to(one.text) for one in (first, second)] == [BEGUN, BEGUN]
    assert late.headers["location"].startswith("/f/diwali/")
    assert "set-cookie" not in late.headers


async def test_login_is_as_old_as_its_proof(landing: Landing) -> None:
    client = await shop(landing)
    await page_for(landing, client)
    visitor = landing.visitor()
    asking, code = await visitor.asked(), await landing.code()
    await visitor.type(asking, code)
    proved_at = int(landing.house.clock.now().timestamp())
    landing.house.clock.advance(120)
    await visitor.type(asking, code)

    given = (await exchange(landing, client, code_of(await authorize(visitor, client)))).json()

    assert claims_of(given["id_token"])["auth_time"] == proved_at


async def test_number_that_was_locked_since_gets_no_code(landing: Landing) -> None:
    client = await shop(landing)
    await page_for(landing, client)
    visitor = landing.visitor()
    await proved(landing, visitor)
    for n in range(2):
        again = landing.visitor(f"203.0.114.{n}")
        asking = await again.asked()
        verification, *_ = await landing.house.all()
        for _ in range(5):
            asking = await again.type(asking, landing.house.wrong(verification))
        landing.house.clock.advance(120)

    on = await authorize(visitor, client)

    assert on.headers["location"].startswith("/authorize/")


@pytest.mark.parametrize(
    "changes",
    [
        {"mode": Mode.TEST},
        {"service": 2},
        {"tenant": 2},
        {"login": LoginWay.PASSWORD_AND_CODE},
        {"redirect_uris": ("https://shop.example:8443/callback",)},
        {"redirect_uris": ("https://shop.example.evil.in/callback",)},
    ],
    ids=["other phones", "other service", "other tenant", "passwords", "other port", "other host"],
)
async def test_page_never_logs_in_at_a_site_that_is_not_its_own(
    landing: Landing, changes: dict[str, Any]
) -> None:
    client = await shop(landing, **changes)
    page, visitor = await page_for(landing, client), landing.visitor()

    done = await proved(landing, visitor)

    # The number is proved all the same, and its lead written.
    assert done.headers["location"].startswith("/f/diwali/")
    assert logged_in(visitor) == []
    assert len(await landing.leads(page)) == 1


async def test_site_that_was_removed_since_gets_nobody(landing: Landing) -> None:
    client = await shop(landing)
    await page_for(landing, client)
    visitor = landing.visitor()
    asking = await visitor.asked()
    await landing.house.store.oidc.remove_client(client)

    done = await visitor.type(asking, await landing.code())

    assert done.headers["location"].startswith("/f/diwali/")
    assert logged_in(visitor) == []


async def test_page_in_a_frame_logs_nobody_in(landing: Landing) -> None:
    client = await shop(landing)
    await page_for(landing, client, framed_by=("https://shop.example",))
    visitor = landing.visitor()
    shown = await visitor.get("/f/diwali?lang=en")
    visitor.browser.cookies.clear()
    sent = await visitor.post(
        "/f/diwali?lang=en",
        {"form": field(shown), "name": "Ravi", "number": "98765 43210", "agree": "yes"},
    )
    visitor.browser.cookies.clear()

    done = await visitor.type(await visitor.get(sent.headers["location"]), await landing.code())

    assert done.headers["location"].startswith("/f/diwali/")
    assert logged_in(visitor) == []


async def test_editor_offers_the_sites_of_the_page_and_keeps_the_choice(landing: Landing) -> None:
    client = await shop(landing, name="Our <Shop>")
    await shop(landing, name="For trials", mode=Mode.TEST)
    page = await page_for(landing, client)

    shown = await landing.visitor().get(f"/console/pages/{page.n}")

    assert f'<option value="{client.id}" selected>A login by OpenID Connect at Our &lt;Shop&gt;' in shown.text
    assert "For trials" not in shown.text
    await landing.house.store.oidc.remove_client(client)
    gone = await landing.visitor().get(f"/console/pages/{page.n}/publish")
    assert "The site is not there any more" in gone.text
