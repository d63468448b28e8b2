"""The API as an ASGI application, for requests that cannot take the short way of the edge."""

from collections.abc import Awaitable, Callable
from typing import Any

from dastak.api.edge import Respond
from dastak.api.exchange import FIXED_HEADERS, Request, Response
from dastak.api.gate import Gate


def asgi(gate: Gate, respond: Respond) -> Callable[..., Awaitable[None]]:
    """Make the ASGI application of our API, for requests that cannot take the short way."""

    async def application(scope: Any, receive: Any, send: Any) -> None:
        body = b""
        more = True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            body += message.get("body", b"")
            more = message.get("more_body", False)
        peer = scope["client"][0] if scope.get("client") else ""
        request = Request(
            scope["method"],
            scope["path"],
            scope["query_string"].decode("ascii"),
            dict(scope["headers"]),
            body,
            peer,
        )
        response = await _respond(gate, respond, request)
        fixed = [tuple(line.split(b": ", 1)) for line in FIXED_HEADERS.split(b"\r\n") if line]
        headers = [
            (b"content-type", response.content_type),
            *fixed,
            *response.headers,
            (b"content-length", str(len(response.body)).encode()),
        ]
        await send({"type": "http.response.start", "status": response.status, "headers": headers})
        await send({"type": "http.response.body", "body": response.body})

    return application


async def _respond(gate: Gate, respond: Respond, request: Request) -> Response:
    entered = gate.enter(request)
    if isinstance(entered, Response):
        return entered
    status = 0
    try:
        response = await respond(request)
        status = response.status
    finally:
        gate.leave(entered, status)
    return response
