"""Landing pages over a house of the flows, and visitors with browsers of their own."""

import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import httpx
from msgspec.structs import replace
from starlette.applications import Starlette
from starlette.requests import Request

from dastak.core.landing import LandingPage, Lead, LeadFilter, PageState, PageVersion
from dastak.core.tenant import Mode
from dastak.tenancy.directory import Directory
from dastak.web.code_step import CodeStep
from dastak.web.landing.console_room import Author
from dastak.web.landing.design import Design, Success, encode
from dastak.web.landing.landing_routes import landing_routes
from dastak.web.landing.lead_webhook import LeadWebhook
from dastak.web.landing.page_login import PageLogins
from dastak.web.landing.starter import begin
from dastak.web.login.sign_in_desk import SignInDesk
from dastak.web.oidc.authorize_pages import AuthorizePages
from dastak.web.oidc.password_login import PasswordLogin
from dastak.web.oidc.provider import Provider
from dastak.web.oidc.token_endpoint import TokenEndpoint
from dastak.web.oidc.userinfo_endpoint import UserinfoEndpoint
from dastak.web.page_files import PageFiles
from dastak.web.page_house import PageHouse
from dastak.web.page_templates import PageTemplates
from tests.support.house import House
from tests.support.samples import NOW, some_service, some_tenant

ORIGIN = "https://otp.example.in"
RAVI = "98765 43210"
ANSWERS: Mapping[str, str] = {"name": "Ravi", "number": RAVI, "agree": "yes"}


class Landing:
    """A house with landing pages."""

    def __init__(self, house: House, pages: PageHouse) -> None:
        self.house, self.pages, self.store = house, pages, house.store.landing
        self.author: Author | None = Author("Asha", None, "s" * 43)
        webhook = LeadWebhook(house.ports, house.store.lead_hooks, private=True)
        provider = Provider(
            house=pages,
            store=house.store.oidc,
            codes=CodeStep(pages),
            passwords=PasswordLogin(SignInDesk(pages, house.store.people), house.store.people),
        )
        made = landing_routes(
            pages,
            self.store,
            webhook,
            house.store.people,
            PageLogins(provider),
            who=self._who,
            sign_in=lambda path: f"/login?next={path}",
        )
        # Sites that pages log their visitors in at are answered as by the whole program.
        sites = (AuthorizePages(provider), TokenEndpoint(provider), UserinfoEndpoint(provider))
        at_sites = [route for part in sites for route in part.routes()]
        self.app = Starlette(routes=[*made, *at_sites, *PageFiles().routes()])

    async def _who(self, _request: Request) -> Author | None:
        return self.author

    async def published(self, design: Design | None = None, slug: str = "diwali", **said: Any) -> LandingPage:
        """Publish a page; a plain one in Hindi and English if none is given."""
        body = encode(design or begin("Acme", ("en", "hi"), theme="ocean"))
        plain = LandingPage(
            n=0,
            tenant=1,
            service=1,
            mode=Mode.LIVE,
            slug=slug,
            host=None,
            state=PageState.DRAFT,
            live=0,
            draft=body,
            created_at=NOW,
        )
        page = await self.store.put_page(replace(plain, **said))
        version = PageVersion(page=page.n, version=0, at=NOW, author="Asha", reason="first", body=body)
        published: LandingPage = await self.store.publish(version)
        return published

    async def leads(self, page: LandingPage) -> list[Lead]:
        return list(await self.store.leads(LeadFilter(page=page.n)))

    async def code(self) -> str:
        """Return the code of the newest verification."""
        newest, *_ = await self.house.all()
        return self.house.code(newest)

    def visitor(self, address: str = "203.0.113.7") -> "Visitor":
        return Visitor(self.app, address)


class Visitor:
    """One browser."""

    def __init__(self, app: Starlette, address: str = "203.0.113.7") -> None:
        transport = httpx.ASGITransport(app=app, client=(address, 5000))
        self.browser = httpx.AsyncClient(transport=transport, base_url=ORIGIN)

    async def get(self, path: str, **headers: str) -> httpx.Response:
        return await self.browser.get(path, headers=headers)

    async def post(self, path: str, form: Mapping[str, str], **headers: str) -> httpx.Response:
        sent = {"origin": ORIGIN, "sec-fetch-site": "same-origin", **headers}
        return await self.browser.post(path, data=dict(form), headers=sent)

    async def send_in(self, path: str = "/f/diwali?lang=en", **answers: str) -> httpx.Response:
        """Open a page and send its form in."""
        shown = await self.get(path)
        return await self.post(path, {"form": field(shown), **ANSWERS, **answers})

    async def asked(self, path: str = "/f/diwali?lang=en", **answers: str) -> httpx.Response:
        """Go as far as the page that asks for the code."""
        sent = await self.send_in(path, **answers)
        assert sent.status_code == 303, sent.text
        return await self.get(sent.headers["location"])

    async def type(self, shown: httpx.Response, code: str, **more: str) -> httpx.Response:
        """Type a code on the page that asks for it."""
        typed = {"form": field(shown), "at": field(shown, "at"), "do": "check", "code": code, **more}
        return await self.post(str(shown.request.url), typed)


def field(shown: httpx.Response, name: str = "form") -> str:
    """Return what a hidden field of a page holds."""
    found = re.search(rf'name="{name}" value="([^"]*)"', shown.text)
    assert found is not None, shown.text
    return found[1]


def leading_to(address: str, **changes: Any) -> Design:
    """Return a page that sends its visitors on."""
    design = begin("Acme", ("en",), theme="ocean")
    blocks = tuple(
        replace(block, go_to=address) if isinstance(block, Success) else block for block in design.blocks
    )
    return replace(design, blocks=blocks, **changes)


@asynccontextmanager
async def open_landing(house: House) -> AsyncIterator[Landing]:
    """Give a house its landing pages."""
    await house.store.put_tenant(some_tenant())
    await house.store.put_service(some_service(countries=("IN",), domains=("login.acme.in",)))
    directory = Directory(lambda: NOW)
    await directory.refresh(house.store)
    files = PageFiles()
    pages = PageHouse(
        ports=house.ports, directory=directory, templates=PageTemplates(files), public_url=ORIGIN
    )
    yield Landing(house, pages)
