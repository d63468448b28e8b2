"""A host of one customer shows nothing of another one, whose page would pass for the first one's there."""

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlencode

import httpx
import pytest
from msgspec.structs import replace
from starlette.applications import Starlette
from starlette.responses import JSONResponse

from dastak.app_pages import people_routes
from dastak.config import ServerSettings, Settings
from dastak.core.code_page import CodePage
from dastak.core.ids import digest_of
from dastak.core.landing import PageImage
from dastak.core.login_settings import LoginSettings
from dastak.core.oidc import challenge_of
from dastak.tenancy.console_service import ensure_console
from dastak.tenancy.directory import Directory
from tests.support.house import House
from tests.support.landing_visitors import ANSWERS, ORIGIN, Landing, field, open_landing
from tests.support.oidc_samples import CALLBACK, VERIFIER, some_client
from tests.support.samples import NOW, some_service, some_tenant

ACME, BOLT = "login.acme.in", "offers.bolt.in"
PICTURE: Final = "a" * 32
# Of the second tenant, and what each answers where it may.
OF_BOLT: Final[Mapping[str, int]] = {
    "/f/holi": 200,
    f"/f/image/1/{PICTURE}": 200,
    "/login/bolt/shop": 200,
    "/login/bolt/shop/forgotten": 200,
    "/login/bolt/shop/sign-up": 200,
    "/account/bolt/shop": 303,
}


class NoPasswords:
    """Nobody gets as far as a password here."""

    async def make(self, clear: str) -> str:
        raise AssertionError(clear)

    async def holds(self, kept: str | None, clear: str) -> bool:
        raise AssertionError(clear)

    def is_outdated(self, kept: str) -> bool:
        raise AssertionError(kept)

    def is_known(self, clear: str) -> bool:
        raise AssertionError(clear)


async def two_tenants(landing: Landing) -> None:
    """Give the second tenant all that can be shown of one: its own page, pictures and login."""
    store = landing.house.store
    await store.put_tenant(some_tenant("bolt"))
    put = await store.put_service(some_service(tenant=2, name="shop", brand="Bolt", domains=(BOLT,)))
    for service in (1, put.n):
        await store.people.put_login(LoginSettings(service=service, open_sign_up=True))
    page = await landing.published(slug="holi", tenant=2, service=put.n, host=BOLT)
    picture = PageImage(page=page.n, name=PICTURE, kind="image/png", width=1, height=1, octets=b"x")
    await landing.store.put_image(picture, now=NOW)
    await landing.published(host=ACME)


async def opened(landing: Landing, public_url: str | None = ORIGIN) -> httpx.AsyncClient:
    """Return a browser before the pages of the whole program."""
    directory = Directory(lambda: NOW)
    await directory.refresh(landing.house.store)
    routes = people_routes(
        *(landing.house.ports, directory, landing.house.store, NoPasswords()),
        Settings(server=ServerSettings(public_url=public_url)),
        public_url=public_url or "http://0.0.0.0:8080",
        api=JSONResponse({"code": "no_such_path"}, 404),
    )
    transport: Any = httpx.ASGITransport(Starlette(routes=routes))
    return httpx.AsyncClient(transport=transport, base_url=ORIGIN)


@pytest.mark.parametrize("path", OF_BOLT)
async def test_page_of_one_tenant_is_at_our_hosts_and_its_own_and_at_no_other_tenants(
    house: House, path: str
) -> None:
    hosts = (BOLT, f"{BOLT.upper()}.:443", "otp.example.in", "localhost:8080", "10.0.0.5", "unheard.of")
    async with open_landing(house) as landing:
        await two_tenants(landing)
        async with await opened(landing) as browser:
            shown = [(await browser.get(path, headers={"host": host})).status_code for host in hosts]
            foreign = [
                (await browser.get(path, headers={"host": host})).status_code
                for host in (ACME, f"{ACME.upper()}.:443")
            ]

    assert shown == [OF_BOLT[path]] * len(hosts)
    assert foreign == [404, 404]


async def test_page_of_the_host_itself_goes_from_its_root_to_its_code(house: House) -> None:
    async with open_landing(house) as landing:
        await two_tenants(landing)
        async with await opened(landing) as browser:
            browser.base_url = f"https://{ACME}"
            root = await browser.get("/")
            shown = await browser.get(root.headers["location"])
            sent = await browser.post("/f/diwali", data={"form": field(shown), **ANSWERS})
            asking = await browser.get(sent.headers["location"])
            elsewhere = await browser.get(sent.headers["location"], headers={"host": BOLT})
            login = await browser.get("/login/acme/login")

    assert (root.status_code, shown.status_code, sent.status_code) == (303, 200, 303)
    assert (asking.status_code, elsewhere.status_code, login.status_code) == (200, 404, 200)


async def test_form_of_another_tenants_page_sends_nothing_at_a_customers_host(house: House) -> None:
    async with open_landing(house) as landing:
        await two_tenants(landing)
        async with await opened(landing) as browser:
            shown = await browser.get("/f/holi")
            form = {"form": field(shown), **ANSWERS}
            sent = await browser.post("/f/holi", data=form, headers={"host": ACME})

    assert sent.status_code == 404
    assert await house.all(2) == ()


async def test_consoles_sign_in_is_at_no_customers_host(house: House) -> None:
    async with open_landing(house) as landing:
        await two_tenants(landing)
        console = await ensure_console(house.store)
        await house.store.people.put_login(LoginSettings(service=console.n))
        async with await opened(landing) as browser:
            ours, theirs = [
                (await browser.get("/login/operators/console", headers={"host": host})).status_code
                for host in ("otp.example.in", ACME)
            ]

    assert (ours, theirs) == (200, 404)


async def test_login_at_a_site_of_another_tenant_is_not_at_a_customers_host(house: House) -> None:
    asked = {
        "redirect_uri": CALLBACK,
        "response_type": "code",
        "scope": "openid",
        "code_challenge": challenge_of(VERIFIER),
        "code_challenge_method": "S256",
    }
    async with open_landing(house) as landing:
        await two_tenants(landing)
        client = await house.store.oidc.put_client(some_client(tenant=2, service=2, name="Bolt"))
        path = f"/authorize?{urlencode({'client_id': client.id, **asked})}"
        async with await opened(landing) as browser:
            begun = await browser.get(path)
            step = begun.headers["location"]
            hosts = (BOLT, "otp.example.in", ACME)
            shown = [
                (await browser.get(at, headers={"host": host})).status_code
                for host in hosts
                for at in (path, step)
            ]

    assert shown == [303, 200, 303, 200, 404, 404]


async def test_code_page_of_another_tenant_is_neither_shown_nor_given_away_at_a_customers_host(
    house: House,
) -> None:
    async with open_landing(house) as landing:
        await two_tenants(landing)
        verification = await house.start(caller=house.caller_of(tenant=2, service=2))
        page = CodePage(
            token_digest=digest_of("token"),
            tenant=2,
            service=2,
            mode=verification.mode,
            made_for=verification.id,
            asks_for=verification.id,
            return_url=f"https://{BOLT}/done",
            expires_at=verification.expires_at,
        )
        await house.store.code_pages.put_page(page)
        async with await opened(landing) as browser:
            shown = [
                (await browser.get("/v/token", headers={"host": host})).status_code
                for host in (ACME, BOLT, "otp.example.in", ACME)
            ]

    assert shown == [404, 200, 200, 404]


async def test_host_that_two_services_have_shows_both(house: House) -> None:
    async with open_landing(house) as landing:
        await two_tenants(landing)
        await house.store.put_service(some_service(tenant=2, name="other", domains=(ACME,)))
        shop = next(one for one in (await house.store.tenancy()).services if one.name == "shop")
        await house.store.put_service(replace(shop, domains=(ACME, BOLT)))
        async with await opened(landing) as browser:
            paths = ("/f/holi", "/f/diwali")
            shown = [(await browser.get(path, headers={"host": ACME})).status_code for path in paths]

    assert shown == [200, 200]


async def test_host_of_one_service_shows_the_pages_of_its_tenants_other_services(house: House) -> None:
    async with open_landing(house) as landing:
        await two_tenants(landing)
        made = await house.store.put_service(some_service(tenant=1, name="without", domains=()))
        await house.store.people.put_login(LoginSettings(service=made.n))
        await landing.published(slug="onam", service=made.n)
        async with await opened(landing) as browser:
            shown = {
                host: [
                    (await browser.get(path, headers={"host": host})).status_code
                    for path in ("/f/onam", "/login/acme/without")
                ]
                for host in (ACME, BOLT)
            }

    assert shown == {ACME: [200, 200], BOLT: [404, 404]}


async def test_nothing_is_closed_where_nobody_said_which_host_is_ours(house: House) -> None:
    async with open_landing(house) as landing:
        await two_tenants(landing)
        async with await opened(landing, public_url=None) as browser:
            shown = {path: (await browser.get(path, headers={"host": ACME})).status_code for path in OF_BOLT}

    assert shown == OF_BOLT
