"""The virtual phones over HTTP: pages for people, a long poll for tests, and a live stream for the pages.

1. Nothing another site's page asks for is answered, for everything here is a secret of some verification.
2. Everything is answered uncached and under a policy that runs no script but ours.
"""

import asyncio
import shlex
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from functools import partial
from importlib.resources import files
from typing import Annotated, Any, Final, Protocol, TypeVar

import msgspec
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from dastak.core.errors import DastakError, InvalidRequest, NotFound, Overloaded, Refused
from dastak.core.msisdn import Msisdn
from dastak.simulator.phone import Cleared, Follower, Phones, Text, Update, read_number

N = TypeVar("N", int, float)
Answered = Callable[[Request], Awaitable[Response]]
Handler = Callable[[Phones, Request], Awaitable[Response]]

WAIT_S_DEFAULT: Final = 10.0
WAIT_S_MAX: Final = 60.0
# Proxies and sleeping laptops end a stream that says nothing for half a minute.
HEARTBEAT_S: Final = 15.0

HEADERS: Final[Mapping[str, str]] = {
    "cache-control": "no-store",
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'"
    ),
    "cross-origin-opener-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}
_MEDIA_TYPES: Final = {
    "html": "text/html",
    "css": "text/css",
    "js": "text/javascript",
    "svg": "image/svg+xml",
}


class Back(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a phone writes back; without `to` it answers its newest text."""

    text: Annotated[str, msgspec.Meta(min_length=1, max_length=1600)]
    to: Annotated[str, msgspec.Meta(pattern=r"\A[ -~]{1,20}\Z")] | None = None


class Send(Protocol):
    """Takes a text from a phone to whoever wrote to it."""

    def __call__(self, msisdn: Msisdn, text: str, *, to: str, route: str | None) -> None:
        """Bring it there; `route` is the way the answered text came."""


_BACK: Final = msgspec.json.Decoder(Back)
_STATUS: Final = {InvalidRequest: 422, NotFound: 404, Refused: 403, Overloaded: 503}


def phone_routes(
    phones: Phones, *, send: Send, test_key: str | None = None, heartbeat_s: float = HEARTBEAT_S
) -> list[Route]:
    """Return everything under /sim: pages, JSON and the live stream.

    Args:
        phones: What is shown.
        send: Takes what a phone writes back.
        test_key: Put into the curl lines that pages offer; without it they name a variable of the shell.
        heartbeat_s: How often a silent live stream says that it is there.
    """
    page_files = {entry.name: entry.read_bytes() for entry in files(__package__).joinpath("pages").iterdir()}

    async def page_file(request: Request) -> Response:
        name = request.path_params["name"]
        return _file(name, page_files[name]) if name in page_files else Response(status_code=404)

    async def overview_page(_: Request) -> Response:
        return _file("phones.html", page_files["phones.html"])

    async def phone_page(_: Request) -> Response:
        return _file("phone.html", page_files["phone.html"])

    async def curl(_: Phones, request: Request) -> Response:
        return _answer(_curl_line(str(request.base_url), _msisdn(request), test_key), "text/plain")

    async def events(phones: Phones, request: Request) -> Response:
        number = request.query_params.get("msisdn")
        follower = phones.follow(None if number is None else _number(number))
        return StreamingResponse(
            _stream(follower, heartbeat_s), media_type="text/event-stream", headers=HEADERS
        )

    def ours(path: str, handler: Handler, method: str = "GET") -> Route:
        return Route(path, for_our_pages(partial(handler, phones)), methods=[method])

    return [
        Route("/sim/pages/{name}", page_file),
        Route("/sim/phones", overview_page),
        Route("/sim/phones/{msisdn}", phone_page),
        ours("/sim/phones.json", _overview),
        ours("/sim/phones/{msisdn}/curl", curl),
        ours("/sim/phones/{msisdn}/messages", _messages),
        ours("/sim/phones/{msisdn}/messages", partial(_write_back, send=send), "POST"),
        ours("/sim/phones/{msisdn}/messages", _clear, "DELETE"),
        ours("/sim/phones/{msisdn}/messages/next", _next),
        ours("/sim/events", events),
    ]


async def _overview(phones: Phones, _: Request) -> Response:
    """Answer with every phone, its newest text and how many it has."""
    return write_json([{"messages": count, "newest": _shown(text)} for text, count in phones.newest()])


async def _messages(phones: Phones, request: Request) -> Response:
    """Answer with the texts of one phone, oldest first."""
    return write_json([_shown(text) for text in phones.messages(_msisdn(request))])


async def _write_back(phones: Phones, request: Request, *, send: Send) -> Response:
    """Let a phone answer its newest text, or the newest one of a sender."""
    msisdn, said = _msisdn(request), _read_back(await request.body())
    answered = [text for text in phones.messages(msisdn) if said.to in (None, text.sender)]
    to = answered[-1].sender if answered else said.to
    if not to:
        raise InvalidRequest("This phone has no text to answer; say whom it writes to in `to`.", field="to")
    send(msisdn, said.text, to=to, route=answered[-1].route if answered else None)
    return _answer(msgspec.json.encode({"to": to}), "application/json", 202)


def _read_back(octets: bytes) -> Back:
    try:
        return _BACK.decode(octets)
    except (msgspec.DecodeError, RecursionError) as error:
        raise InvalidRequest(
            'Send JSON such as {"text": "STOP"}, with up to 1600 characters; `to` is a sender of up to 20.',
            field="text",
        ) from error


async def _clear(phones: Phones, request: Request) -> Response:
    """Empty a phone."""
    phones.clear(_msisdn(request))
    return Response(status_code=204, headers=HEADERS)


async def _next(phones: Phones, request: Request) -> Response:
    """Answer with the next text as soon as it is there, or with 204 when it does not come in time.

    Who hangs up no longer waits, so that the text is still there for the next who asks.
    """
    timeout_s = quantity(request, "timeout_s", float, WAIT_S_MAX)
    after = quantity(request, "after", int, 2**63)
    wait_s = WAIT_S_DEFAULT if timeout_s is None else timeout_s
    waiting = asyncio.create_task(phones.next(_msisdn(request), timeout_s=wait_s, after=after))
    leaving = asyncio.create_task(_hangs_up(request))
    try:
        await asyncio.wait((waiting, leaving), return_when=asyncio.FIRST_COMPLETED)
        text = waiting.result() if waiting.done() else None
    finally:
        waiting.cancel()
        leaving.cancel()
    return Response(status_code=204, headers=HEADERS) if text is None else write_json(_shown(text))


async def _hangs_up(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def _stream(follower: Follower, heartbeat_s: float) -> AsyncIterator[bytes]:
    """Write updates as server-sent events; a page that was cut off comes back and reads the list again.

    Source: HTML Living Standard, section 9.2.
    """
    yield b"retry: 1000\n\n"
    while True:
        try:
            async with asyncio.timeout(heartbeat_s):
                update = await follower.update()
        except TimeoutError:
            yield b":\n\n"
            continue
        if update is None:
            return
        kind, value = _news_of(update)
        # JSON has no line ends within, so that it is one line of data.
        yield b"event: %s\ndata: %s\n\n" % (kind.encode(), msgspec.json.encode(value))


def for_our_pages(handler: Answered) -> Answered:
    """Answer programs and pages of ours, and write errors as problems."""

    async def answered(request: Request) -> Response:
        try:
            # Browsers say whose page asks; programs say nothing.
            if request.headers.get("sec-fetch-site", "none") not in {"none", "same-origin"}:
                raise Refused("Another site's page may not read or empty the phones.", reason="cross_site")
            return await handler(request)
        except DastakError as error:
            return _problem(error)

    return answered


def _news_of(update: Update) -> tuple[str, object]:
    """Return the name of an event of the stream, and what it says."""
    if isinstance(update, Text):
        return "text", _shown(update)
    return ("cleared" if isinstance(update, Cleared) else "call"), update


def _shown(text: Text) -> dict[str, Any]:
    return {"code": text.code, "latency_ms": text.latency_ms, **msgspec.to_builtins(text)}


def _curl_line(base_url: str, msisdn: Msisdn, test_key: str | None) -> str:
    """Write a line for a shell that makes a text arrive on a phone."""
    bearer = (
        shlex.quote(f"Authorization: Bearer {test_key}")
        if test_key
        else '"Authorization: Bearer $DASTAK_KEY"'
    )
    body = msgspec.json.encode({"to": msisdn}).decode()
    return f"curl -H {bearer} --json {shlex.quote(body)} {shlex.quote(base_url + 'v1/verifications')}"


def _msisdn(request: Request) -> Msisdn:
    return _number(request.path_params["msisdn"])


def _number(spelling: str) -> Msisdn:
    # In a query a plus sign that nobody encoded is a space.
    return read_number(spelling.strip())


def quantity(request: Request, name: str, read: Callable[[str], N], most: float) -> N | None:
    """Read a number from the query; None when it is not there.

    Raises:
        InvalidRequest: It is no number, or not between 0 and `most`.
    """
    text = request.query_params.get(name)
    if text is None:
        return None
    try:
        value = read(text)
        valid = 0 <= value <= most
    except ValueError:
        valid = False
    if not valid:
        raise InvalidRequest(f"`{name}` must be a number from 0 to {most:g}.", field=name)
    return value


def _problem(error: DastakError) -> Response:
    """Answer one of our errors by RFC 9457."""
    status = next(_STATUS[kind] for kind in type(error).__mro__ if kind in _STATUS)
    problem = {
        "type": f"urn:dastak:problem:{error.code}",
        "title": error.title,
        "status": status,
        "detail": error.detail,
        "code": error.code,
    }
    response = _answer(msgspec.json.encode(problem), "application/problem+json", status)
    if isinstance(error, Overloaded):
        response.headers["retry-after"] = str(error.retry_after_s)
    return response


def write_json(value: object) -> Response:
    """Answer with JSON."""
    return _answer(msgspec.json.encode(value), "application/json")


def _file(name: str, octets: bytes) -> Response:
    return _answer(octets, _MEDIA_TYPES[name.rpartition(".")[2]])


def _answer(content: bytes | str, media_type: str, status: int = 200) -> Response:
    return Response(content, status, headers=HEADERS, media_type=media_type)
