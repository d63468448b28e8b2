"""Lead the root of a customer's own host to what belongs there: its landing page, or its login.

1. On every other host, our own among them, the root is the API's, and there is nothing at it.
2. A host is a service's own while it is among its `domains`; one that two services claim has no login, and
   of their pages the one that names it.
3. Below the root such a host has the pages of the tenants whose services claim it, and of no others; see
   `PageHouse.refuse_elsewhere`.
"""

from collections.abc import Sequence
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from dastak.core.landing import PageState
from dastak.core.landing_store import LandingStore
from dastak.core.people_store import PeopleStore
from dastak.tenancy.directory import Directory
from dastak.web.login.sign_in_desk import LOGIN_PATH
from dastak.web.page_answers import see_other
from dastak.web.page_house import host_of


class HostRoot:
    """Answers GET of `/`.

    Args:
        directory: Knows the services and their hosts.
        landing: Knows the pages and their hosts.
        people: Knows which services have a login.
        ours: Addresses of our own, such as `https://otp.example.in`.
        api: Answers where nothing belongs to a host.
    """

    def __init__(
        self,
        directory: Directory,
        landing: LandingStore,
        people: PeopleStore,
        *,
        ours: Sequence[str],
        api: ASGIApp,
    ) -> None:
        self._directory, self._landing, self._people = directory, landing, people
        self._ours = {urlsplit(address).hostname for address in ours}
        self._api = api

    def route(self) -> Route:
        """Return the route; every other method of `/` is the API's."""
        route = Route("/", _nothing, methods=["GET"])
        route.app = self
        return route

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send a browser on, or have the API answer."""
        host = host_of(Request(scope))
        path = None if not host or host in self._ours else await self._shown_at(host)
        if path is None:
            await self._api(scope, receive, send)
            return
        query: bytes = scope["query_string"]
        kept = f"?{query.decode()}" if query and query.isascii() else ""
        await see_other(path + kept)(scope, receive, send)

    async def _shown_at(self, host: str) -> str | None:
        owners = self._directory.services_at(host)
        page = await self._landing.page_at(host)
        if page is not None and page.state is not PageState.DRAFT and page.service in owners:
            return f"/f/{page.slug}"
        return await self._login_of(*owners) if len(owners) == 1 else None

    async def _login_of(self, n: int) -> str | None:
        if await self._people.login_of(n) is None:
            return None
        service = self._directory.service_of(n)
        return f"{LOGIN_PATH}/{self._directory.tenant_of(service.tenant).name}/{service.name}"


async def _nothing(_request: Request) -> None:
    raise AssertionError("the route answers by its app")
