"""Take the receipts of HTTP carriers: only when they are proven, answered only when they are durable."""

import asyncio
from collections.abc import Callable
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from dastak.api import problems
from dastak.carriers.callback_address import PATH
from dastak.carriers.fleet import Fleet
from dastak.core.errors import DastakError, Overloaded, Unauthenticated
from dastak.core.message import Receipt
from dastak.core.ports import Clock
from dastak.http_carriers.hook_proof import Hook
from dastak.http_carriers.http_route import HttpRoute

# For a batch to become durable; then the carrier is asked to send it again.
DURABLE_WITHIN_S: Final = 10.0

TakeReceipt = Callable[[Receipt, Callable[[bool], None]], None]


def hook_routes(fleet: Fleet, take: TakeReceipt, clock: Clock) -> list[Route]:
    """Return the pages that carriers call.

    Args:
        fleet: Knows which carriers there are now, those that are off too: their late receipts are facts.
        take: Settles a receipt, and says whether it is durable.
        clock: For signatures that tell their time.
    """

    async def called(request: Request) -> Response:
        try:
            route = _route(fleet, request.path_params["carrier"])
            hook = await read_hook(request, route.callback.url)
            receipts = route.receive(hook, request.path_params["token"], now=clock.now())
            await settled(receipts, take)
        except DastakError as error:
            refused = problems.of_error(error)
            headers = {name.decode(): value.decode() for name, value in refused.headers}
            return Response(refused.body, refused.status, headers, media_type=refused.content_type.decode())
        form = route.carrier.profile.receipt
        return Response(form.answer if form else "", media_type="text/plain")

    return [Route(f"{PATH}/{{carrier}}/{{token}}", called, methods=["GET", "POST"])]


def _route(fleet: Fleet, name: str) -> HttpRoute:
    """Return the route of an HTTP carrier; who guesses names learns nothing."""
    route = fleet.hears(name)
    if not isinstance(route, HttpRoute):
        raise Unauthenticated("This is not an address that a carrier was given.")
    return route


async def read_hook(request: Request, url: str) -> Hook:
    """Return a webhook as it came to an address that we gave out."""
    return Hook(
        method=request.method,
        url=url,
        query=request.url.query,
        headers=dict(request.headers),
        # The edge bounds it.
        body=await request.body(),
    )


async def settled(receipts: tuple[Receipt, ...], take: TakeReceipt) -> None:
    """Return when all receipts are durable.

    Raises:
        Overloaded: One is not, and the carrier shall send them again; the others change nothing then.
    """
    loop = asyncio.get_running_loop()
    waiting: list[asyncio.Future[bool]] = []
    for receipt in receipts:
        durable: asyncio.Future[bool] = loop.create_future()
        waiting.append(durable)
        take(receipt, lambda taken, durable=durable: durable.done() or durable.set_result(taken))  # type: ignore[misc]
    try:
        async with asyncio.timeout(DURABLE_WITHIN_S):
            taken = await asyncio.gather(*waiting)
    except TimeoutError as error:
        raise Overloaded("The receipts could not be written down in time; send them again.") from error
    if not all(taken):
        raise Overloaded("The receipts could not be written down; send them again.")
