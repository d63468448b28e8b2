"""Keep the console on a host of its own, so that no page a customer designed shares its origin.

1. On the console's host there is the console, and the sign-in of operators; nothing else.
2. On every other host there is none of that.

Source: OWASP ASVS 5.0, 3.5.4.
"""

from collections.abc import Sequence
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from dastak.tenancy.console_service import CONSOLE_TENANT
from dastak.web.page_house import PageHouse

_PLACES: Final = ("/console", f"/login/{CONSOLE_TENANT}", f"/account/{CONSOLE_TENANT}")


def console_apart(house: PageHouse, routes: Sequence[Route]) -> Sequence[Route]:
    """Have each route answer on its own host only; without `console_url` all answer everywhere."""
    if house.console_url is not None:
        for route in routes:
            route.app = _on_its_host(house, route.app)
    return routes


def _on_its_host(house: PageHouse, app: ASGIApp) -> ASGIApp:
    async def guarded(scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope)
        of_console = any(scope["path"] == place or scope["path"].startswith(f"{place}/") for place in _PLACES)
        here = house.origin_of(request) == house.console_url
        await (app if of_console == here else Response(status_code=404))(scope, receive, send)

    return guarded
