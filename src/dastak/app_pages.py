"""Wire the pages for people: what they share, and each group of them."""

from contextlib import AsyncExitStack
from typing import Protocol

from starlette.requests import Request
from starlette.routing import Route
from starlette.types import ASGIApp

from dastak.config import Settings, SignInSettings
from dastak.core.code_page import CodePageStore
from dastak.core.landing_store import LandingStore
from dastak.core.lead_hook import LeadHookStore
from dastak.core.oidc_store import OidcStore
from dastak.core.people_store import LoginPorts, Passwords, PeopleStore
from dastak.core.ports import Ports
from dastak.core.voice_store import VoiceStore
from dastak.flows.lead_hooks import LOOK_EVERY_S, LeadHooks
from dastak.flows.worker import every
from dastak.tenancy.directory import Directory
from dastak.tenancy.password_hook import PasswordHook
from dastak.web.code_step import CodeStep
from dastak.web.console_host import console_apart
from dastak.web.host_root import HostRoot
from dastak.web.hosted.hosted_page import hosted_routes
from dastak.web.landing.console_room import Author
from dastak.web.landing.landing_routes import landing_routes
from dastak.web.landing.lead_webhook import LeadWebhook
from dastak.web.landing.page_login import PageLogins
from dastak.web.login.login_house import LoginHouse
from dastak.web.login.login_routes import login_routes
from dastak.web.login.sign_in_desk import SignInDesk
from dastak.web.oidc.oidc_routes import oidc_routes, provider_of
from dastak.web.page_files import PageFiles
from dastak.web.page_house import PageHouse
from dastak.web.page_templates import PageTemplates
from dastak.web.voice.voice_pages import VoicePages


class PageStores(Protocol):
    """What pages for people are kept in."""

    @property
    def code_pages(self) -> CodePageStore:
        """The pages that ask for a code."""

    @property
    def landing(self) -> LandingStore:
        """Landing pages, their visits and their leads."""

    @property
    def lead_hooks(self) -> LeadHookStore:
        """The webhooks of landing pages."""

    @property
    def people(self) -> PeopleStore:
        """People who sign in."""

    @property
    def voices(self) -> VoiceStore:
        """What tenants recorded for their calls."""

    @property
    def oidc(self) -> OidcStore:
        """Sites that log people in through us."""


def people_routes(
    ports: Ports,
    directory: Directory,
    stores: PageStores,
    passwords: Passwords,
    settings: Settings,
    *,
    public_url: str,
    api: ASGIApp | None = None,
) -> list[Route]:
    """Return every page for people.

    Args:
        ports: What the flows may touch.
        directory: Knows the services whose pages these are.
        stores: Where codes, people and pages are written down.
        passwords: Hashes those of people.
        settings: As read at start.
        public_url: Where people reach us.
        api: What answers at the root of a host where no page belongs; None: no other host leads to us.
    """
    files = PageFiles()
    house = PageHouse(
        ports=ports,
        directory=directory,
        templates=PageTemplates(files),
        public_url=public_url.rstrip("/"),
        console_url=settings.server.console_url and settings.server.console_url.rstrip("/"),
        hosts_apart=settings.server.public_url is not None,
    )
    login = login_house(house, stores, passwords, settings.login)
    groups = [
        *hosted_routes(house, stores.code_pages),
        *login_routes(login),
        *oidc_routes(login, stores.oidc),
        *landing_pages(house, stores, login, private=settings.login.private_checks),
        *VoicePages(house, login.desk, stores.voices).routes(),
    ]
    if api is not None:
        ours = [one for one in (house.public_url, house.console_url) if one is not None]
        roots = HostRoot(directory, stores.landing, stores.people, ours=ours, api=api)
        return [*console_apart(house, groups), roots.route(), *files.routes()]
    return [*console_apart(house, groups), *files.routes()]


def landing_pages(house: PageHouse, stores: PageStores, login: LoginHouse, *, private: bool) -> list[Route]:
    """Have the operators of the console make landing pages."""

    async def who(request: Request) -> Author | None:
        operator = await login.desk.operator_of(request)
        if operator is None:
            return None
        return Author(operator.name, operator.tenant, operator.signed_in.session.digest.hex())

    webhook = LeadWebhook(house.ports, stores.lead_hooks, private=private)
    return landing_routes(
        house,
        stores.landing,
        webhook,
        stores.people,
        PageLogins(provider_of(login, stores.oidc)),
        who=who,
        sign_in=login.desk.console_address,
        proxies=login.proxies,
    )


async def tell_leads(stack: AsyncExitStack, ports: Ports, stores: PageStores, settings: Settings) -> None:
    """Send the leads of landing pages to their webhooks, for as long as the stack is open."""
    private = settings.login.private_checks
    hooks = await stack.enter_async_context(LeadHooks(ports, stores.lead_hooks, private=private))
    await stack.enter_async_context(every(LOOK_EVERY_S, hooks.look))


def login_house(
    house: PageHouse, stores: PageStores, passwords: Passwords, settings: SignInSettings
) -> LoginHouse:
    """Put the parts of the login together."""
    return LoginHouse(
        house=house,
        login=LoginPorts(
            ports=house.ports,
            people=stores.people,
            passwords=passwords,
            asks_elsewhere=PasswordHook(house.ports, private=settings.private_checks),
        ),
        desk=SignInDesk(house, stores.people),
        step=CodeStep(house),
        tally=stores.oidc.tally,
        proxies=settings.trusted_proxies,
    )
