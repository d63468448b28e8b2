"""Let voice carriers over HTTP fetch what their calls say, and tell what becomes of them.

Whoever has not the right address, at the right moment, with the right signature, finds nothing: 404, counted.
"""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Final

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from dastak.api.carrier_hooks import read_hook, settled
from dastak.carriers.callback_address import PATH
from dastak.carriers.fleet import Fleet
from dastak.carriers.trial_desk import TrialDesk
from dastak.core.errors import DastakError, NotFound, Overloaded
from dastak.core.ports import Clock
from dastak.http_voice.call_desk import CallDesk
from dastak.http_voice.call_under_way import SOUND_TYPE
from dastak.http_voice.http_voice_route import HttpVoiceRoute

# What is said in one call is nobody's to keep.
UNKEPT: Final = {"cache-control": "no-store"}
_CARRIER: Final = f"{PATH}/{{carrier}}/{{secret}}"
_CALL: Final = f"{_CARRIER}/calls/{{call}}"

Answer = Callable[[CallDesk, Request, datetime], Awaitable[Response]]


def call_routes(fleet: Fleet, trials: TrialDesk, clock: Clock) -> list[Route]:
    """Return the pages that voice carriers call.

    Args:
        fleet: Knows which carriers there are now, those that are off too.
        trials: Takes receipts, and knows the calls of trials.
        clock: For lives of codes, and signatures that tell their time.
    """

    async def status(desk: CallDesk, request: Request, now: datetime) -> Response:
        hook = await read_hook(request, _told(desk, request))
        await settled(desk.status(hook, request.path_params["call"], now=now), trials.take)
        return PlainTextResponse("")

    def endpoint(answer: Answer) -> Callable[[Request], Awaitable[Response]]:
        async def called(request: Request) -> Response:
            try:
                desk = _desk(fleet, trials, request)
                desk.admit(request.path_params["secret"])
                answered = await answer(desk, request, clock.now())
            except Overloaded:
                return PlainTextResponse("Send it again.", 503, UNKEPT)
            except DastakError:
                return PlainTextResponse("There is nothing here.", 404, UNKEPT)
            answered.headers.update(UNKEPT)
            return answered

        return called

    return [
        Route(f"{_CARRIER}/text", endpoint(_text), methods=["GET"]),
        Route(f"{_CALL}/status", endpoint(status), methods=["GET", "POST"]),
        Route(f"{_CALL}/{{turn:int}}", endpoint(_page), methods=["POST"]),
        Route(f"{_CALL}/{{turn:int}}/{{part}}", endpoint(_sound), methods=["GET"]),
    ]


async def _page(desk: CallDesk, request: Request, now: datetime) -> Response:
    turn: int = request.path_params["turn"]
    hook = await read_hook(request, _told(desk, request))
    page = desk.page(hook, request.path_params["call"], turn, now=now)
    return Response(page.body, media_type=page.media_type)


async def _sound(desk: CallDesk, request: Request, _now: datetime) -> Response:
    call, turn, part = (request.path_params[name] for name in ("call", "turn", "part"))
    return Response(desk.sound(call, turn, part), media_type=SOUND_TYPE)


async def _text(desk: CallDesk, request: Request, now: datetime) -> Response:
    hook = await read_hook(request, f"{desk.callback.url}/text")
    return PlainTextResponse(desk.text(hook, now=now))


def _told(desk: CallDesk, request: Request) -> str:
    """Return the address as it was given out: what the vendor signs, whatever a Host header says."""
    # A key may have been changed since: then the secret in it is the older one.
    secret = request.path_params["secret"]
    before, _, _ = desk.callback.url.rpartition("/")
    return f"{before}/{secret}{request.url.path.partition(f'/{secret}')[2]}"


def _desk(fleet: Fleet, trials: TrialDesk, request: Request) -> CallDesk:
    """Return where a call is known: with a trial of its carrier, or else with the carrier itself."""
    name, call = request.path_params["carrier"], request.path_params.get("call", "")
    desks = [
        route.desk for route in (*trials.routes(name), fleet.hears(name)) if isinstance(route, HttpVoiceRoute)
    ]
    known = [desk for desk in desks if desk.knows(call)]
    if not desks:
        raise NotFound("There is nothing here.")
    return (known or desks[-1:])[0]
