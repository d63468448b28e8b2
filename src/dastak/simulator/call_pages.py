"""The calls of virtual phones over HTTP: what rings, to answer it, to press keys, and what is heard.

The sound of a call under way comes as server-sent events, each a tenth of a second of G.711 µ-law in base64;
a whole call is there as a WAV file.
"""

import asyncio
import base64
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Annotated, Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from dastak.core.errors import InvalidRequest, NotFound
from dastak.core.msisdn import Msisdn
from dastak.simulator.exchange.listener import Listener
from dastak.simulator.exchange.telephone_exchange import Exchange
from dastak.simulator.exchange.virtual_call import VirtualCall
from dastak.simulator.phone import CallNews, read_number
from dastak.simulator.phone_pages import HEADERS, WAIT_S_MAX, Answered, for_our_pages, quantity, write_json
from dastak.voice.sound.g711 import SAMPLES_PER_S

WAIT_S_DEFAULT: Final = 10.0

Act = Callable[[VirtualCall, Request], Awaitable[None]]


class _Pressed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    key: Annotated[str, msgspec.Meta(pattern=r"\A[0-9*#]\Z")]


def call_routes(exchange: Exchange) -> list[Route]:
    """Return everything of calls under /sim."""
    pages = _CallPages(exchange)

    def ours(path: str, handler: Answered, method: str = "GET") -> Route:
        return Route(path, for_our_pages(handler), methods=[method])

    return [
        ours("/sim/phones/{msisdn}/calls", pages.of_phone),
        ours("/sim/phones/{msisdn}/calls/next", pages.next),
        ours("/sim/calls/{call:int}", pages.one),
        ours("/sim/calls/{call:int}/answer", pages.acting(_answer), "POST"),
        ours("/sim/calls/{call:int}/hang-up", pages.acting(_hang_up), "POST"),
        ours("/sim/calls/{call:int}/keys", pages.acting(_press), "POST"),
        ours("/sim/calls/{call:int}/sound", pages.sound),
        ours("/sim/calls/{call:int}/sound.wav", pages.wav),
    ]


class _CallPages:
    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    async def of_phone(self, request: Request) -> Response:
        """Answer with the calls to a phone, oldest first."""
        return write_json([news_of(call) for call in self._exchange.calls(_msisdn(request))])

    async def next(self, request: Request) -> Response:
        """Answer with the call that rings a phone as soon as one does, or with 204 when none does in time."""
        msisdn = _msisdn(request)
        timeout_s = quantity(request, "timeout_s", float, WAIT_S_MAX)
        try:
            async with asyncio.timeout(WAIT_S_DEFAULT if timeout_s is None else timeout_s):
                while (ringing := self._exchange.ringing(msisdn)) is None:
                    await self._exchange.changes()
        except TimeoutError:
            return Response(status_code=204, headers=HEADERS)
        return write_json(news_of(ringing))

    async def one(self, request: Request) -> Response:
        """Answer with one call, and what was said and done in it, with times."""
        call = self._found(request)
        log = [{"at": at, "word": word} for at, word in call.log]
        shown = {**msgspec.to_builtins(news_of(call)), "log": log}
        return write_json(shown)

    async def sound(self, request: Request) -> Response:
        """Stream what is spoken from now on."""
        listener = self._found(request).listen()
        return StreamingResponse(_sound(listener), media_type="text/event-stream", headers=HEADERS)

    async def wav(self, request: Request) -> Response:
        """Answer with what was spoken so far."""
        octets = as_wav(bytes(self._found(request).heard))
        return Response(octets, headers=HEADERS, media_type="audio/wav")

    def acting(self, act: Act) -> Answered:
        """Do something on the phone, and answer with the call as it is then."""

        async def acted(request: Request) -> Response:
            call = self._found(request)
            await act(call, request)
            return write_json(news_of(call))

        return acted

    def _found(self, request: Request) -> VirtualCall:
        call = self._exchange.call(int(request.path_params["call"]))
        if call is None:
            raise NotFound("There is no such call.")
        return call


def news_of(call: VirtualCall) -> CallNews:
    """Return a call as it is told of."""
    return CallNews(
        id=call.id,
        msisdn=call.msisdn,
        caller=call.caller,
        state=call.state,
        began_at=call.began_at,
        why=call.why,
        keys=call.keys,
        keys_heard=call.keys_heard,
    )


def as_wav(ulaw: bytes) -> bytes:
    """Return sound as a WAV file of G.711 µ-law, mono, 8 kHz.

    Source: RIFF WAVE, format 7.
    """
    head = struct.pack("<4sIHHIIHHH", b"fmt ", 18, 7, 1, SAMPLES_PER_S, SAMPLES_PER_S, 1, 8, 0)
    fact = struct.pack("<4sII", b"fact", 4, len(ulaw))
    data = struct.pack("<4sI", b"data", len(ulaw)) + ulaw + b"\0" * (len(ulaw) % 2)
    body = b"WAVE" + head + fact + data
    return struct.pack("<4sI", b"RIFF", len(body)) + body


async def _answer(call: VirtualCall, _request: Request) -> None:
    call.answer()


async def _hang_up(call: VirtualCall, _request: Request) -> None:
    call.put_down()


async def _press(call: VirtualCall, request: Request) -> None:
    try:
        pressed = msgspec.json.decode(await request.body(), type=_Pressed)
    except (msgspec.DecodeError, RecursionError) as error:
        raise InvalidRequest('Send JSON such as {"key": "7"}: a digit, * or #.', field="key") from error
    call.press(pressed.key)


async def _sound(listener: Listener) -> AsyncIterator[bytes]:
    yield b":\n\n"
    while (octets := await listener.sound()) is not None:
        yield b"event: sound\ndata: %s\n\n" % base64.b64encode(octets)
    yield b"event: end\ndata:\n\n"


def _msisdn(request: Request) -> Msisdn:
    return read_number(request.path_params["msisdn"])
