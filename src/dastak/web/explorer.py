"""The API explorer of `dastak dev`: every endpoint with a form, offline, made from the OpenAPI document."""

from collections.abc import Callable
from functools import cache
from importlib.resources import files
from typing import Any, Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

PAGE_CSP: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'"
)
_KINDS: Final = {"html": "text/html", "css": "text/css", "js": "text/javascript"}


def explorer_routes(openapi: Callable[[], dict[str, Any]]) -> list[Route]:
    """Return the pages under /explorer, and the document at /openapi.json: made when first asked for."""

    @cache
    def octets() -> bytes:
        return msgspec.json.encode(openapi())

    async def document(_request: Request) -> Response:
        return Response(octets(), media_type="application/json", headers={"cache-control": "no-store"})

    async def page(request: Request) -> Response:
        return _file(request.path_params.get("name", "explorer.html"))

    return [
        Route("/openapi.json", document),
        Route("/explorer", page),
        Route("/explorer/{name:str}", page),
    ]


def _file(name: str) -> Response:
    if name not in ("explorer.html", "explorer.css", "explorer.js"):
        return Response(status_code=404)
    text = files("dastak.web").joinpath("explorer_page", name).read_text(encoding="utf-8")
    headers = {
        "content-security-policy": PAGE_CSP,
        "x-content-type-options": "nosniff",
        "cache-control": "no-store",
    }
    return Response(text, media_type=_KINDS[name.rpartition(".")[2]], headers=headers)
